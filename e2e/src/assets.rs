//! The programs of the test world: found where the user keeps them, else built or installed under
//! `target/`.

use std::env;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::process::run;

/// Version of Kubernetes that we build; go.mod of the control plane says the same.
const KUBERNETES: &str = "v1.36.2";

/// Programs of the control plane.
#[derive(Clone, Debug)]
pub struct KubernetesAssets {
    /// `kube-apiserver`.
    pub kube_apiserver: PathBuf,
    /// `kube-controller-manager`; the assets of controller-runtime do not have it.
    pub kube_controller_manager: Option<PathBuf>,
    /// `etcd`.
    pub etcd: PathBuf,
    /// `kubectl`.
    pub kubectl: PathBuf,
}

/// The root of the checkout.
///
/// # Panics
/// Never: this crate lies in a folder of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("e2e lies in the workspace")
        .to_owned()
}

/// Where everything that we build and run is kept.
#[must_use]
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The operator, built by `cargo build --workspace` beside this program.
///
/// # Errors
/// When it has not been built.
pub fn operator() -> Result<PathBuf> {
    if let Some(path) = env::var_os("OPERATOR_BINARY") {
        return Ok(path.into());
    }
    built("ecs-operator")
}

/// The `e2e` command, built beside this program.
///
/// # Errors
/// When it has not been built.
pub fn e2e() -> Result<PathBuf> {
    built("e2e")
}

/// A program that `cargo build --workspace` has put beside this one.
fn built(name: &str) -> Result<PathBuf> {
    let here = env::current_exe()?;
    let found = here
        .ancestors()
        .skip(1)
        .take(2)
        .map(|dir| dir.join(name))
        .find(|path| path.is_file());
    found.with_context(|| format!("{name} is not built: run `cargo build --workspace` first"))
}

/// The programs of the control plane: from `TEST_ASSET_*`, from `KUBEBUILDER_ASSETS`, or our own
/// build.
///
/// # Errors
/// When they cannot be built.
pub async fn kubernetes() -> Result<KubernetesAssets> {
    let given = |variable: &str| env::var_os(variable).map(PathBuf::from);
    let dir = match given("KUBEBUILDER_ASSETS") {
        Some(dir) => dir,
        None => build_control_plane().await?,
    };
    let asset = |variable: &str, name: &str| given(variable).unwrap_or_else(|| dir.join(name));
    let kube_controller_manager = asset(
        "TEST_ASSET_KUBE_CONTROLLER_MANAGER",
        "kube-controller-manager",
    );
    Ok(KubernetesAssets {
        kube_apiserver: asset("TEST_ASSET_KUBE_APISERVER", "kube-apiserver"),
        kube_controller_manager: Some(kube_controller_manager).filter(|path| path.is_file()),
        etcd: asset("TEST_ASSET_ETCD", "etcd"),
        kubectl: asset("TEST_ASSET_KUBECTL", "kubectl"),
    })
}

async fn build_control_plane() -> Result<PathBuf> {
    let module = root().join("e2e/control-plane");
    let dir = target().join("control-plane");
    let bin = dir.join("bin");
    let stamp = Stamp::new(
        &dir,
        &[module.join("go.mod"), module.join("go.sum")],
        KUBERNETES,
    )?;
    if stamp.is_current() {
        return Ok(bin);
    }
    eprintln!(
        "building kube-apiserver, kube-controller-manager, kubectl and etcd (some minutes, once)"
    );
    let stripped = "-s -w";
    let version = "k8s.io/component-base/version";
    // Without the stamp the server calls itself v0.0.0-master and kubectl cannot parse that.
    let flags = format!(
        "{stripped} -X {version}.gitVersion={KUBERNETES} -X {version}.gitMajor=1 -X {version}.gitMinor=36"
    );
    let out = format!("{}/", bin.display());
    let commands = ["kube-apiserver", "kube-controller-manager", "kubectl"]
        .map(|name| format!("k8s.io/kubernetes/cmd/{name}"));
    let mut arguments = vec![
        "build",
        "-mod=readonly",
        "-trimpath",
        "-ldflags",
        &flags,
        "-o",
        &out,
    ];
    arguments.extend(commands.iter().map(String::as_str));
    let env = [("CGO_ENABLED", "0")];
    run("build Kubernetes", "go", &arguments, &module, &env).await?;
    let etcd = bin.join("etcd").display().to_string();
    let arguments = [
        "build",
        "-mod=readonly",
        "-trimpath",
        "-ldflags",
        stripped,
        "-o",
        &etcd,
        "go.etcd.io/etcd/server/v3",
    ];
    run("build etcd", "go", &arguments, &module, &env).await?;
    stamp.set()?;
    Ok(bin)
}

/// Helm.
///
/// # Errors
/// When it cannot be built.
pub async fn helm() -> Result<PathBuf> {
    // Else it takes the cluster that it renders for to be of version 1.20.
    let version = "helm.sh/helm/v3/pkg/chartutil";
    let flags = format!("-s -w -X {version}.k8sVersionMajor=1 -X {version}.k8sVersionMinor=36");
    go_program(
        "helm",
        &["go.mod", "go.sum"],
        "helm.sh/helm/v3/cmd/helm",
        &flags,
    )
    .await
}

/// The judge of statuses: a command around the kstatus library, which Flux, kpt and others wait
/// with.
///
/// # Errors
/// When it cannot be built.
pub async fn kstatus() -> Result<PathBuf> {
    go_program("kstatus", &["go.mod", "go.sum", "main.go"], ".", "-s -w").await
}

/// The judge of what Argo CD and Flux make of objects: a command around their own code.
///
/// # Errors
/// When it cannot be built.
pub async fn gitops() -> Result<PathBuf> {
    go_program("gitops", &["go.mod", "go.sum", "main.go"], ".", "-s -w").await
}

/// The judge of what is for Prometheus: a command around its own code and that of its operator.
///
/// # Errors
/// When it cannot be built.
pub async fn prometheus() -> Result<PathBuf> {
    go_program("prometheus", &["go.mod", "go.sum", "main.go"], ".", "-s -w").await
}

/// The program `package` of the Go module `e2e/NAME`, built again when one of its `sources` or the
/// linker's `flags` change.
async fn go_program(name: &str, sources: &[&str], package: &str, flags: &str) -> Result<PathBuf> {
    // Scenarios that run side by side may want the same one.
    static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _turn = ONE_AT_A_TIME.lock().await;
    let module = root().join("e2e").join(name);
    let dir = target().join(name);
    let program = dir.join(name);
    let sources: Vec<_> = sources.iter().map(|source| module.join(source)).collect();
    let stamp = Stamp::new(&dir, &sources, flags)?;
    if !stamp.is_current() {
        eprintln!("building {name} (some minutes, once)");
        let out = program.display().to_string();
        let arguments = [
            "build",
            "-mod=readonly",
            "-trimpath",
            "-ldflags",
            flags,
            "-o",
            &out,
            package,
        ];
        run(
            &format!("build {name}"),
            "go",
            &arguments,
            &module,
            &[("CGO_ENABLED", "0")],
        )
        .await?;
        stamp.set()?;
    }
    Ok(program)
}

/// The `bin` directory of a Python environment with what `e2e/aws/NAME.txt` pins, with hashes.
///
/// # Errors
/// When it cannot be made.
pub async fn python_environment(name: &str) -> Result<PathBuf> {
    // Scenarios that run side by side may want the same one.
    static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _turn = ONE_AT_A_TIME.lock().await;
    let requirements = root().join(format!("e2e/aws/{name}.txt"));
    let dir = target().join(name);
    let venv = dir.join("venv");
    let stamp = Stamp::new(&dir, std::slice::from_ref(&requirements), "")?;
    if stamp.is_current() {
        return Ok(venv.join("bin"));
    }
    eprintln!("installing {name} (once)");
    let path = venv.display().to_string();
    run(
        "make a Python environment (on Debian: apt-get install python3-venv)",
        "python3",
        &["-m", "venv", "--clear", &path],
        &dir,
        &[],
    )
    .await?;
    let requirements = requirements.display().to_string();
    let arguments = [
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
        "--only-binary",
        ":all:",
        "-r",
        &requirements,
    ];
    run(
        &format!("install {name}"),
        venv.join("bin/pip"),
        &arguments,
        &dir,
        &[],
    )
    .await?;
    stamp.set()?;
    Ok(venv.join("bin"))
}

/// Remembers from which inputs something was made.
#[derive(Debug)]
struct Stamp {
    path: PathBuf,
    hash: String,
}

impl Stamp {
    fn new(dir: &Path, inputs: &[PathBuf], salt: &str) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let mut digest = Sha256::new();
        digest.update(salt);
        for input in inputs {
            digest.update(
                std::fs::read(input).with_context(|| format!("cannot read {}", input.display()))?,
            );
        }
        let mut hash = String::new();
        for byte in digest.finalize() {
            write!(hash, "{byte:02x}")?;
        }
        Ok(Self {
            path: dir.join("stamp"),
            hash,
        })
    }

    fn is_current(&self) -> bool {
        std::fs::read_to_string(&self.path).is_ok_and(|hash| hash == self.hash)
    }

    fn set(&self) -> Result<()> {
        Ok(std::fs::write(&self.path, &self.hash)?)
    }
}

/// `PATH` with `dir` in front.
///
/// # Errors
/// When `dir` cannot be part of it.
pub fn path_with(dir: &Path) -> Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    Ok(env::join_paths(
        std::iter::once(dir.to_owned()).chain(env::split_paths(&path)),
    )?)
}
