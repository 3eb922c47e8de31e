//! A real Kubernetes control plane on loopback: etcd, kube-apiserver, kube-controller-manager. No
//! kubelet, so no pods.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tokio::process::Command;

use crate::assets::{self, KubernetesAssets};
use crate::kubectl::Kubectl;
use crate::process::{Process, free_ports};

/// How long each part may take to become ready, on a machine that also builds.
const PATIENCE: Duration = Duration::from_secs(120);

/// Has the API server keep a record of what ServiceAccounts do: only operators have one.
const AUDIT_POLICY: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, userGroups: ['system:serviceaccounts']}
- {level: None}
";

/// A running control plane, or a cluster of the user's own.
#[derive(Debug)]
pub struct ControlPlane {
    /// kubeconfig of an administrator.
    pub kubeconfig: PathBuf,
    /// `kubectl`.
    pub kubectl: PathBuf,
    /// What ServiceAccounts did; not there where the cluster is the user's own.
    pub audit_log: PathBuf,
    /// In the order in which they were started.
    processes: Vec<Process>,
}

/// Whether the environment names an existing cluster to use (`USE_EXISTING_CLUSTER=true`).
#[must_use]
pub fn is_cluster_given() -> bool {
    env::var("USE_EXISTING_CLUSTER").is_ok_and(|value| value == "true")
}

impl ControlPlane {
    /// Starts one with its data and logs in `dir`; with `USE_EXISTING_CLUSTER=true` takes the one
    /// in `KUBECONFIG`.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn start(dir: &Path) -> Result<Self> {
        if is_cluster_given() {
            let kubeconfig =
                env::var_os("KUBECONFIG").context("USE_EXISTING_CLUSTER needs KUBECONFIG")?;
            let kubectl = env::var_os("TEST_ASSET_KUBECTL").unwrap_or_else(|| "kubectl".into());
            return Ok(Self {
                kubeconfig: kubeconfig.into(),
                kubectl: kubectl.into(),
                audit_log: PathBuf::new(),
                processes: Vec::new(),
            });
        }
        let assets = assets::kubernetes().await?;
        fs::create_dir_all(dir)?;
        let [etcd_port, peer_port, api_port, manager_port] = free_ports()?;
        write_certificates(dir)?;
        let kubeconfig = dir.join("kubeconfig");
        fs::write(&kubeconfig, kubeconfig_yaml(dir, api_port))?;
        let audit_log = dir.join("audit.log");
        let mut control_plane = Self {
            kubeconfig,
            kubectl: assets.kubectl.clone(),
            audit_log,
            processes: Vec::new(),
        };
        control_plane
            .start_etcd(&assets, dir, etcd_port, peer_port)
            .await?;
        control_plane
            .start_api_server(&assets, dir, etcd_port, api_port)
            .await?;
        control_plane.start_controller_manager(&assets, dir, manager_port)?;
        Ok(control_plane)
    }

    /// A client with all rights.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read.
    pub async fn client(&self) -> Result<Client> {
        client(&self.kubeconfig).await
    }

    /// kubectl with all rights, in a namespace.
    #[must_use]
    pub fn kubectl(&self, namespace: Option<&str>) -> Kubectl {
        Kubectl {
            program: self.kubectl.clone(),
            kubeconfig: self.kubeconfig.clone(),
            namespace: namespace.map(str::to_owned),
        }
    }

    /// Stops it: the API server before etcd, or it hangs for minutes.
    ///
    /// # Errors
    /// When a process cannot be stopped.
    pub async fn stop(&mut self) -> Result<()> {
        while let Some(mut process) = self.processes.pop() {
            process.stop().await?;
        }
        Ok(())
    }

    /// Its processes, in the order in which they were started.
    #[must_use]
    pub fn into_processes(self) -> Vec<Process> {
        self.processes
    }

    async fn start_etcd(
        &mut self,
        assets: &KubernetesAssets,
        dir: &Path,
        port: u16,
        peer_port: u16,
    ) -> Result<()> {
        let (url, peer) = (
            format!("http://127.0.0.1:{port}"),
            format!("http://127.0.0.1:{peer_port}"),
        );
        let mut command = Command::new(&assets.etcd);
        command
            .arg("--data-dir")
            .arg(dir.join("etcd"))
            .args(["--unsafe-no-fsync=true", "--log-level=warn"]);
        command.args([
            "--listen-client-urls",
            &url,
            "--advertise-client-urls",
            &url,
        ]);
        command.args([
            "--listen-peer-urls",
            &peer,
            "--initial-advertise-peer-urls",
            &peer,
        ]);
        command.args(["--initial-cluster", &format!("default={peer}")]);
        let process = self.keep(Process::start("etcd", dir, command.process_group(0))?);
        process
            .until_ready(PATIENCE, async || {
                Ok(reqwest::get(format!("{url}/health"))
                    .await?
                    .error_for_status()
                    .map(drop)?)
            })
            .await
    }

    async fn start_api_server(
        &mut self,
        assets: &KubernetesAssets,
        dir: &Path,
        etcd_port: u16,
        port: u16,
    ) -> Result<()> {
        let file = |name: &str| dir.join(name).display().to_string();
        let mut command = Command::new(&assets.kube_apiserver);
        command.args([
            &format!("--etcd-servers=http://127.0.0.1:{etcd_port}"),
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            &format!("--secure-port={port}"),
            &format!("--cert-dir={}", dir.display()),
            &format!("--tls-cert-file={}", file("serving.crt")),
            &format!("--tls-private-key-file={}", file("serving.key")),
            &format!("--client-ca-file={}", file("ca.crt")),
            "--service-cluster-ip-range=10.0.0.0/24",
            "--allow-privileged=true",
            "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount",
            &format!("--service-account-issuer=https://127.0.0.1:{port}/"),
            &format!("--service-account-key-file={}", file("service-account.pub")),
            &format!(
                "--service-account-signing-key-file={}",
                file("service-account.key")
            ),
            // Else an error is logged every 10 s: 127.0.0.1 cannot be an endpoint.
            "--endpoint-reconciler-type=none",
            &format!("--audit-policy-file={}", file("audit-policy.yaml")),
            &format!("--audit-log-path={}", self.audit_log.display()),
        ]);
        fs::write(dir.join("audit-policy.yaml"), AUDIT_POLICY)?;
        if env::var_os("GOGC").is_none() {
            // A third of its work would be to collect garbage, and there is memory enough.
            command.env("GOGC", "400");
        }
        self.keep(Process::start(
            "kube-apiserver",
            dir,
            command.process_group(0),
        )?);
        let client = self.client().await?;
        let process = self.processes.last_mut().context("it was just started")?;
        let ready = async || {
            let request = axum::http::Request::get("/readyz").body(Vec::new())?;
            Ok(client.request_text(request).await.map(drop)?)
        };
        process.until_ready(PATIENCE, ready).await
    }

    fn start_controller_manager(
        &mut self,
        assets: &KubernetesAssets,
        dir: &Path,
        port: u16,
    ) -> Result<()> {
        let Some(program) = &assets.kube_controller_manager else {
            return Ok(());
        };
        let mut command = Command::new(program);
        command.args([
            &format!("--kubeconfig={}", self.kubeconfig.display()),
            "--leader-elect=false",
            "--use-service-account-credentials=false",
            "--bind-address=127.0.0.1",
            &format!("--secure-port={port}"),
            &format!("--cert-dir={}", dir.display()),
            "--authentication-skip-lookup=true",
            &format!("--service-account-private-key-file={}", dir.join("service-account.key").display()),
            &format!("--root-ca-file={}", dir.join("ca.crt").display()),
            "--controllers=namespace-controller,garbage-collector-controller,serviceaccount-controller,root-ca-certificate-publisher-controller",
        ]);
        self.keep(Process::start(
            "kube-controller-manager",
            dir,
            command.process_group(0),
        )?);
        Ok(())
    }

    fn keep(&mut self, process: Process) -> &mut Process {
        self.processes.push(process);
        self.processes.last_mut().expect("it was just pushed")
    }
}

/// A client by a kubeconfig.
///
/// # Errors
/// When the kubeconfig cannot be read.
pub async fn client(kubeconfig: &Path) -> Result<Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

/// A certificate authority, what it signs for the API server and an administrator, and a key for
/// service account tokens.
fn write_certificates(dir: &Path) -> Result<()> {
    let authority_key = KeyPair::generate()?;
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    authority
        .distinguished_name
        .push(DnType::CommonName, "ecs-operator test authority");
    let certificate = authority.self_signed(&authority_key)?;
    fs::write(dir.join("ca.crt"), certificate.pem())?;
    let issuer = Issuer::new(authority, authority_key);

    let mut serving =
        CertificateParams::new(["127.0.0.1", "localhost", "10.0.0.1"].map(str::to_owned))?;
    serving.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    serving
        .distinguished_name
        .push(DnType::CommonName, "kube-apiserver");
    sign(dir, "serving", &serving, &issuer)?;

    let mut administrator = CertificateParams::new(Vec::new())?;
    administrator.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    administrator
        .distinguished_name
        .push(DnType::CommonName, "admin");
    administrator
        .distinguished_name
        .push(DnType::OrganizationName, "system:masters");
    sign(dir, "admin", &administrator, &issuer)?;

    let tokens = KeyPair::generate()?;
    fs::write(dir.join("service-account.key"), tokens.serialize_pem())?;
    fs::write(dir.join("service-account.pub"), tokens.public_key_pem())?;
    Ok(())
}

fn sign(
    dir: &Path,
    name: &str,
    params: &CertificateParams,
    issuer: &Issuer<'_, KeyPair>,
) -> Result<()> {
    let key = KeyPair::generate()?;
    fs::write(
        dir.join(format!("{name}.crt")),
        params.signed_by(&key, issuer)?.pem(),
    )?;
    fs::write(dir.join(format!("{name}.key")), key.serialize_pem())?;
    Ok(())
}

fn kubeconfig_yaml(dir: &Path, port: u16) -> String {
    let dir = dir.display();
    format!(
        "apiVersion: v1
kind: Config
current-context: test
contexts:
- name: test
  context: {{cluster: test, user: admin}}
clusters:
- name: test
  cluster:
    server: https://127.0.0.1:{port}
    certificate-authority: {dir}/ca.crt
users:
- name: admin
  user:
    client-certificate: {dir}/admin.crt
    client-key: {dir}/admin.key
"
    )
}
