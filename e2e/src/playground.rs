//! A playground that keeps running: `make up` and `make down`.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

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

/// Starts the playground, with the operator unless `OPERATOR=none`.
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
    let with_operator = std::env::var("OPERATOR").as_deref() != Ok("none");
    let control_plane_dir = dir.join("control-plane");
    let [engine_port] = free_ports()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["engine", "--port", &engine_port.to_string()]);
    let mut engine = Process::start("engine", &dir, command.process_group(0))?;
    let engine_url = format!("http://127.0.0.1:{engine_port}/_ping");
    engine
        .until_ready(PATIENCE, async || {
            Ok(reqwest::get(&engine_url)
                .await?
                .error_for_status()
                .map(drop)?)
        })
        .await?;
    let kind = Kind::MinistackWithEngine(format!("tcp://127.0.0.1:{engine_port}"));
    let (control_plane, server) = tokio::try_join!(
        ControlPlane::start(&control_plane_dir),
        AwsServer::start(kind, &dir)
    )?;
    aws_server::put_sample_secret(&server.url, ACCOUNT).await?;
    let (kubeconfig, program, upstream) = (
        control_plane.kubeconfig.clone(),
        control_plane.kubectl.clone(),
        server.url.clone(),
    );
    let installation = Installation::plain(&control_plane.kubectl(None), &dir)?;

    let [aws_port, port] = free_ports()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args([
        "aws_proxy",
        "--upstream",
        &upstream,
        "--aws-port",
        &aws_port.to_string(),
        "--port",
        &port.to_string(),
    ]);
    let aws_proxy = Process::start("aws_proxy", &dir, command.process_group(0))?;
    let (aws_url, proxy_url) = (
        format!("http://127.0.0.1:{aws_port}"),
        format!("http://127.0.0.1:{port}"),
    );
    wait::until("the AWS proxy", PATIENCE, async || {
        reqwest::get(&proxy_url).await
    })
    .await?;

    let mut processes = control_plane.into_processes();
    processes.extend([engine, server.into_process(), aws_proxy]);
    let mut operator_pid = String::new();
    if with_operator {
        let options = Options {
            flags: vec!["--log-format=pretty".to_owned()],
            environment: aws_server::environment(&aws_url, ACCOUNT),
            kubeconfig: installation.kubeconfig.clone(),
        };
        let mut operator = Operator::start(&dir, &options)?;
        operator.ready().await?;
        operator_pid = operator.process.pid().to_string();
        processes.push(operator.process);
    }
    let mut variables = aws_server::environment(&aws_url, ACCOUNT);
    let path = assets::path_with(program.parent().context("kubectl lies in a directory")?)?;
    variables.extend([
        ("KUBECONFIG", kubeconfig.display().to_string()),
        ("AWS_UPSTREAM_URL", upstream),
        ("AWS_PROXY_URL", proxy_url),
        ("OPERATOR_PID", operator_pid),
        ("PATH", path.to_string_lossy().into_owned()),
    ]);
    let mut text = String::new();
    for (name, value) in variables {
        writeln!(text, "export {name}='{value}'")?;
    }
    fs::write(dir.join("env"), text)?;
    let members: Vec<_> = processes
        .into_iter()
        .map(|process| Member {
            name: process.name().to_owned(),
            pid: process.detach(),
        })
        .collect();
    fs::write(
        dir.join("processes.json"),
        serde_json::to_string_pretty(&members)?,
    )?;
    println!(
        "The playground runs. Use it from this directory:

    . {}
    kubectl apply --server-side -f samples/
    kubectl get ecs
    curl -s $AWS_PROXY_URL

Tasks take their time, and the names of images decide what becomes of them: no-such-image… cannot be pulled, crash… ends with
exit code 1, slow… takes two seconds to start, all others run.

Logs are beside that file. `make down` ends it.",
        short(&dir.join("env"))
    );
    Ok(())
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
