//! The documentation: every block of commands in it is carried out, and every manifest of ours
//! applied. Indented commands, which do not end or take what no test has, are tried as far as they
//! go: those of kubectl and Helm as dry runs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use e2e::aws_proxy::AwsProxy;
use e2e::aws_server;
use e2e::chart::RELEASE;
use e2e::control_plane::ControlPlane;
use e2e::installation::Installation;
use e2e::kubectl::Kubectl;
use e2e::operator::{Operator, Options};
use e2e::samples::SAMPLES;
use e2e::world::{PATIENCE, World};
use e2e::{assets, wait};
use ecs_operator::cli::Cli;
use tokio::process::Command;

use crate::basics::OBJECTS;

/// A block of text between two lines of backquotes.
struct Block {
    language: String,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            continue;
        };
        let text: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
        blocks.push(Block {
            language: language.to_owned(),
            text: text.join("\n") + "\n",
        });
    }
    blocks
}

/// All pages, the quick start among them.
fn pages() -> Result<Vec<PathBuf>> {
    let mut pages = [
        "README.md",
        "gitops/README.md",
        "charts/ecs-operator/README.md",
    ]
    .map(|path| assets::root().join(path))
    .to_vec();
    for dir in ["docs", "docs/kinds"] {
        let files = fs::read_dir(assets::root().join(dir))?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<Vec<_>>>()?;
        pages.extend(
            files
                .into_iter()
                .filter(|path| path.extension().is_some_and(|extension| extension == "md")),
        );
    }
    pages.sort();
    Ok(pages)
}

/// The indented commands of a page that take no more than a cluster, as dry runs; of others it is
/// known that there are such.
fn dry_runs(page: &str) -> Result<Vec<String>> {
    let makefile = fs::read_to_string(assets::root().join("Makefile"))?;
    let mut dry_runs = Vec::new();
    for line in page
        .replace("\\\n", " ")
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
    {
        let words: Vec<_> = line
            .split_whitespace()
            .take_while(|word| !word.starts_with('#'))
            .collect();
        match words[..] {
            ["ecs-operator", ..] => drop(Cli::try_parse_from(&words)?),
            ["make", target] => {
                ensure!(
                    makefile.contains(&format!("\n{target}:")),
                    "there is no make {target}"
                );
            }
            ["helm", "install", ..] => {
                dry_runs.push(format!("{} --dry-run=server", words.join(" ")));
            }
            // The test has installed the chart already.
            ["kubectl", "apply", ..] => dry_runs.push(format!(
                "{} --dry-run=server --force-conflicts",
                words.join(" ")
            )),
            _ => {}
        }
    }
    Ok(dry_runs)
}

/// A machine as the reader of the documentation has it: a cluster that has nothing yet, and tools
/// on the PATH.
struct Machine {
    control_plane: ControlPlane,
    kubectl: Kubectl,
    aws_proxy: AwsProxy,
    path: String,
    dir: PathBuf,
}

impl Machine {
    async fn start(world: &World, name: &str, account: &str) -> Result<(Self, Options)> {
        let dir = world.dir.join(name);
        let control_plane = ControlPlane::start(&dir.join("control-plane")).await?;
        let kubectl = control_plane.kubectl(Some("default"));
        let aws_proxy = AwsProxy::start(&world.aws.url, 0, 0).await?;
        let options = Options {
            flags: [
                "--sweep-active=500ms",
                "--sweep-steady=1s",
                "--log-format=pretty",
            ]
            .map(str::to_owned)
            .into(),
            environment: aws_server::environment(&aws_proxy.aws_url, account),
            kubeconfig: dir.join("operator.kubeconfig"),
        };
        let tools = [
            control_plane.kubectl.clone(),
            assets::helm().await?,
            assets::operator()?,
        ];
        let dirs = tools
            .iter()
            .filter_map(|tool| tool.parent().map(|dir| dir.display().to_string()));
        let path = dirs
            .chain(std::env::var("PATH"))
            .collect::<Vec<_>>()
            .join(":");
        Ok((
            Self {
                control_plane,
                kubectl,
                aws_proxy,
                path,
                dir,
            },
            options,
        ))
    }

    /// Carries out commands as they stand, in the root of the checkout.
    async fn run(&self, page: &Path, commands: &str) -> Result<()> {
        let commands: Vec<_> = commands.lines().map(refused).collect();
        let commands = commands.join("\n");
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &commands])
            .current_dir(assets::root())
            .env("PATH", &self.path)
            .env("KUBECONFIG", &self.kubectl.kubeconfig)
            .env("HELM_CACHE_HOME", self.dir.join("helm"))
            .env("HELM_CONFIG_HOME", self.dir.join("helm"))
            .env("HELM_DATA_HOME", self.dir.join("helm"))
            .output();
        let output = tokio::time::timeout(PATIENCE * 3, output)
            .await
            .with_context(|| format!("it hangs: {commands}"))??;
        let said = [output.stdout, output.stderr].concat();
        ensure!(
            output.status.success(),
            "{}: {commands}{}",
            page.display(),
            String::from_utf8_lossy(&said)
        );
        Ok(())
    }
}

/// A command after `!` has to fail, which bash alone does not mind.
fn refused(line: &str) -> String {
    let wrong = line.strip_prefix("! ");
    wrong.map_or_else(
        || line.to_owned(),
        |wrong| format!("if {wrong}; then echo 'it was taken'; exit 1; fi"),
    )
}

/// The pods of the chart cannot run here, so the operator is a process as soon as its Deployment is
/// there, with the rights of its ServiceAccount.
pub(crate) async fn the_quick_start_goes_as_written(world: &World) -> Result<()> {
    let (mut machine, mut options) = Machine::start(world, "quick-start", "199999999998").await?;
    let path = assets::root().join("docs/quickstart.md");
    let page = fs::read_to_string(&path)?;
    let mut operator: Option<Operator> = None;
    for block in blocks(&page).iter().filter(|block| block.language == "sh") {
        machine.run(&path, &block.text).await?;
        if operator.is_none() {
            options.kubeconfig =
                Installation::token(&machine.kubectl, RELEASE, RELEASE, &machine.dir)?;
            let mut started = Operator::start(&machine.dir, &options)?;
            started.ready().await?;
            operator = Some(started);
        }
    }
    let counts = machine.aws_proxy.counts();
    let restarts = counts.of("UpdateService");
    ensure!(
        counts.of("RegisterTaskDefinition") == 2
            && counts.of("DeleteService") == 1
            && restarts >= 3,
        "{counts:?}"
    );
    operator
        .context("the page installs it")?
        .process
        .stop()
        .await?;
    let left = machine.kubectl.run(&[
        "get",
        "all,clusterrole",
        "--all-namespaces",
        "-l",
        "app.kubernetes.io/name=ecs-operator",
    ])?;
    ensure!(left.is_empty(), "the release leaves {left}");
    ensure!(
        machine
            .kubectl
            .run(&["get", "crd", "ecsservices.ecs-operator.dev"])
            .is_ok(),
        "the definitions stay"
    );
    machine.control_plane.stop().await
}

/// Each page begins where the samples run.
pub(crate) async fn every_command_and_manifest_of_the_other_pages_goes_well(
    world: &World,
) -> Result<()> {
    let (mut machine, mut options) = Machine::start(world, "docs", "199999999997").await?;
    let install =
        format!("helm install {RELEASE} charts/{RELEASE} --namespace {RELEASE} --create-namespace");
    machine.run(Path::new("docs"), &install).await?;
    options.kubeconfig = Installation::token(&machine.kubectl, RELEASE, RELEASE, &machine.dir)?;
    let mut operator = Operator::start(&machine.dir, &options)?;
    operator.ready().await?;
    let (mut commands, mut manifests) = (0, 0);
    for path in pages()?
        .into_iter()
        .filter(|path| !path.ends_with("quickstart.md"))
    {
        let page = fs::read_to_string(&path)?;
        for dry_run in dry_runs(&page).with_context(|| path.display().to_string())? {
            machine.run(&path, &dry_run).await?;
            commands += 1;
        }
        let blocks = blocks(&page);
        let scripts: Vec<_> = blocks
            .iter()
            .filter(|block| block.language == "sh")
            .collect();
        for block in blocks.iter().filter(|block| {
            block.language == "yaml" && block.text.contains("apiVersion: ecs-operator.dev")
        }) {
            let dry_run = ["apply", "--server-side", "--dry-run=server", "-f", "-"];
            machine
                .kubectl
                .pipe(&block.text, &dry_run)
                .with_context(|| format!("{}: {}", path.display(), block.text))?;
            manifests += 1;
        }
        if scripts.is_empty() {
            continue;
        }
        machine.kubectl.apply(SAMPLES)?;
        machine.kubectl.run(
            &[
                &["wait", "--for=condition=Ready", "--timeout=60s"],
                &OBJECTS[..],
            ]
            .concat(),
        )?;
        for script in scripts {
            machine.run(&path, &script.text).await?;
            commands += script.text.lines().count();
        }
        machine
            .kubectl
            .run(&["delete", "ecs", "--all", "--wait=false"])?;
        wait::until("deletion", PATIENCE, async || {
            let left = machine.kubectl.run(&["get", "ecs", "-o", "name"])?;
            ensure!(left.is_empty(), left);
            Ok(())
        })
        .await?;
    }
    ensure!(
        commands >= 8 && manifests >= 6,
        "{commands} commands, {manifests} manifests: where have they gone?"
    );
    println!(
        "documentation: {commands} lines of commands and {manifests} manifests beside the quick start"
    );
    operator.process.stop().await?;
    machine.control_plane.stop().await
}
