//! A playground that keeps running: `make up` and `make down`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::assets;
use crate::aws_server::{self, AwsServer, Kind};
use crate::control_plane::ControlPlane;
use crate::installation::Installation;
use crate::operator::{Operator, Options};
use crate::process::{Process, free_ports, lives, signal};
use crate::wait;
use crate::world::PATIENCE;

/// The account of the playground.
const ACCOUNT: &str = "111122223333";

/// A process of the playground.
#[derive(Debug, Serialize, Deserialize)]
struct Member {
    name: String,
    pid: i32,
}

fn dir() -> PathBuf {
    assets::target().join("playground")
}

/// Starts the playground, with the operator unless `OPERATOR=none`, and with the simulator as AWS
/// if `AWS=simulator`.
///
/// # Errors
/// When a part does not start.
pub async fn up() -> Result<()> {
    let dir = dir();
    ensure!(
        members().iter().all(|member| !lives(member.pid)),
        "the playground runs already: end it with `make down`"
    );
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir_all(&dir)?;
    let control_plane_dir = dir.join("control-plane");
    let (control_plane, (servers, upstream)) =
        tokio::try_join!(ControlPlane::start(&control_plane_dir), start_aws(&dir))?;
    let installation = Installation::plain(&control_plane.kubectl(None), &dir)?;
    let (aws_proxy, proxy) = start_aws_proxy(&dir, &upstream).await?;
    let kubectl = control_plane.kubectl.parent();
    let path = assets::path_with(kubectl.context("kubectl lies in a directory")?)?;
    let mut variables = aws_server::environment(&proxy.aws_url, ACCOUNT);
    variables.extend([
        ("KUBECONFIG", control_plane.kubeconfig.display().to_string()),
        ("AWS_UPSTREAM_URL", upstream),
        ("AWS_PROXY_URL", proxy.url),
        ("PATH", path.to_string_lossy().into_owned()),
    ]);
    let mut processes = control_plane.into_processes();
    processes.extend(servers);
    processes.push(aws_proxy);
    let mut operator_pid = String::new();
    if std::env::var("OPERATOR").as_deref() != Ok("none") {
        let operator = start_operator(&dir, &proxy.aws_url, installation).await?;
        operator_pid = operator.pid().to_string();
        processes.push(operator);
    }
    variables.push(("OPERATOR_PID", operator_pid));
    write_environment(&dir, variables)?;
    detach(&dir, processes)?;
    println!(
        "The playground runs. Use it from this directory:

    . {}
    kubectl apply --server-side -f samples/
    kubectl get ecs
    curl -s $AWS_PROXY_URL

Tasks need some seconds to start and stop. The name of an image decides about its tasks: no-such-image… cannot be pulled,
crash… ends with exit code 1, slow… needs two seconds to start, and all others run.

Logs are beside that file. `make down` ends the playground.",
        short(&dir.join("env"))
    );
    Ok(())
}

/// Starts the AWS server, and returns its address: ministack with an engine for its tasks, or the
/// simulator if `AWS=simulator`.
async fn start_aws(dir: &Path) -> Result<(Vec<Process>, String)> {
    if std::env::var("AWS").as_deref() == Ok("simulator") {
        let server = AwsServer::start(Kind::Simulator { has_quotas: true }, dir).await?;
        let url = server.url.clone();
        return Ok((vec![server.into_process()], url));
    }
    let (engine, address) = start_engine(dir).await?;
    let server = AwsServer::start(Kind::MinistackWithEngine(address), dir).await?;
    aws_server::put_sample_secret(&server.url, ACCOUNT).await?;
    let url = server.url.clone();
    Ok((vec![engine, server.into_process()], url))
}

/// Starts the pretend Docker engine, and returns its address.
async fn start_engine(dir: &Path) -> Result<(Process, String)> {
    let [port] = free_ports()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["engine", "--port", &port.to_string()]);
    let mut engine = Process::start("engine", dir, command.process_group(0))?;
    let ping = format!("http://127.0.0.1:{port}/_ping");
    let is_up = async || Ok(reqwest::get(&ping).await?.error_for_status().map(drop)?);
    engine.until_ready(PATIENCE, is_up).await?;
    Ok((engine, format!("tcp://127.0.0.1:{port}")))
}

/// Addresses of the AWS proxy.
struct ProxyAddresses {
    /// For clients of AWS.
    aws_url: String,
    /// Of the proxy itself.
    url: String,
}

/// Starts the AWS proxy in front of the server at `upstream`.
async fn start_aws_proxy(dir: &Path, upstream: &str) -> Result<(Process, ProxyAddresses)> {
    let ports = free_ports::<2>()?.map(|port| port.to_string());
    let [aws_port, port] = &ports;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["aws-proxy", "--upstream", upstream]);
    command.args(["--aws-port", aws_port, "--port", port]);
    let process = Process::start("aws-proxy", dir, command.process_group(0))?;
    let [aws_url, url] = [aws_port, port].map(|port| format!("http://127.0.0.1:{port}"));
    wait::until("the AWS proxy", PATIENCE, async || reqwest::get(&url).await).await?;
    Ok((process, ProxyAddresses { aws_url, url }))
}

async fn start_operator(dir: &Path, aws_url: &str, installation: Installation) -> Result<Process> {
    let options = Options {
        flags: vec!["--log-format=pretty".to_owned()],
        environment: aws_server::environment(aws_url, ACCOUNT),
        kubeconfig: installation.kubeconfig,
    };
    let mut operator = Operator::start(dir, &options)?;
    operator.ready().await?;
    Ok(operator.process)
}

/// Writes a file that sets the variables in a shell.
fn write_environment(dir: &Path, variables: Vec<(&str, String)>) -> Result<()> {
    let mut text = String::new();
    for (name, value) in variables {
        writeln!(text, "export {name}='{value}'")?;
    }
    Ok(fs::write(dir.join("env"), text)?)
}

/// Leaves the processes running, and notes them for [`down`].
fn detach(dir: &Path, processes: Vec<Process>) -> Result<()> {
    let member = |process: Process| Member {
        name: process.name().to_owned(),
        pid: process.detach(),
    };
    let members: Vec<_> = processes.into_iter().map(member).collect();
    let text = serde_json::to_string_pretty(&members)?;
    Ok(fs::write(dir.join("processes.json"), text)?)
}

/// The path as seen from here, if that is shorter.
fn short(path: &std::path::Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here)
        .unwrap_or(path)
        .display()
        .to_string()
}

/// Ends the playground; one that does not run is no error.
///
/// # Errors
/// When a process does not end.
pub async fn down() -> Result<()> {
    // The operator first, the API server before etcd.
    for Member { name, pid } in members().into_iter().rev() {
        signal(pid, Signal::SIGTERM);
        let ended = wait::until(&name, PATIENCE / 4, async || {
            if lives(pid) {
                Err("it still runs")
            } else {
                Ok(())
            }
        })
        .await;
        if ended.is_err() {
            signal(pid, Signal::SIGKILL);
        }
    }
    let _ = fs::remove_file(dir().join("processes.json"));
    println!("The playground has ended.");
    Ok(())
}

fn members() -> Vec<Member> {
    let text = fs::read_to_string(dir().join("processes.json")).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}
