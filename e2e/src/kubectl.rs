//! kubectl, as users run it.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kube::ResourceExt;
use nix::sys::signal::Signal;

use crate::process::signal;

/// How long one command may take.
const LIMIT: Duration = Duration::from_secs(90);

/// kubectl with its kubeconfig.
#[derive(Clone, Debug)]
pub struct Kubectl {
    /// The program.
    pub program: PathBuf,
    /// The kubeconfig.
    pub kubeconfig: PathBuf,
    /// The namespace of every command; `None` is the default one.
    pub namespace: Option<String>,
}

impl Kubectl {
    /// Runs it and answers what it printed.
    ///
    /// # Errors
    /// With what it printed as error, when it fails.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        self.pipe("", arguments)
    }

    /// Runs it with `input` on standard input and answers what it printed.
    ///
    /// # Errors
    /// With what it printed as error, when it fails.
    pub fn pipe(&self, input: &str, arguments: &[&str]) -> Result<String> {
        let output = self.output(input, arguments)?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Applies manifests from the server's side.
    ///
    /// # Errors
    /// With what kubectl says, when they are refused.
    pub fn apply(&self, manifests: &str) -> Result<String> {
        self.pipe(manifests, &["apply", "--server-side", "-f", "-"])
    }

    /// Deletes what is in the manifests, in their order, and does not await that it is gone.
    ///
    /// # Errors
    /// With what kubectl says, when they are refused.
    pub fn delete(&self, manifests: &str) -> Result<String> {
        self.pipe(manifests, &["delete", "--wait=false", "-f", "-"])
    }

    /// Awaits that the API server serves our kinds.
    ///
    /// # Errors
    /// When it does not.
    pub fn until_established(&self) -> Result<()> {
        let definitions = ecs_operator_crds::all()
            .into_iter()
            .map(|crd| format!("crd/{}", crd.name_any()));
        let definitions: Vec<_> = definitions.collect();
        let definitions = definitions.iter().map(String::as_str);
        let wait = ["wait", "--for=condition=Established", "--timeout=60s"];
        self.run(&wait.into_iter().chain(definitions).collect::<Vec<_>>())
            .map(drop)
    }

    /// What kubectl says when it fails.
    ///
    /// # Errors
    /// When it does not fail.
    pub fn refused(&self, manifests: &str) -> Result<String> {
        let output = self.output(manifests, &["apply", "--server-side", "-f", "-"])?;
        anyhow::ensure!(
            !output.status.success(),
            "it was accepted: {}",
            String::from_utf8_lossy(&output.stdout)
        );
        Ok(String::from_utf8(output.stderr)?)
    }

    fn output(&self, input: &str, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(&self.program);
        command.env("KUBECONFIG", &self.kubeconfig).args(arguments);
        if let Some(namespace) = &self.namespace {
            command.args(["--namespace", namespace]);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start kubectl")?;
        child
            .stdin
            .take()
            .context("stdin was asked for")?
            .write_all(input.as_bytes())?;
        let pid = i32::try_from(child.id())?;
        let (sender, done) = mpsc::channel();
        // It ends with the process, which is killed when it takes too long.
        thread::spawn(move || sender.send(child.wait_with_output()));
        let Ok(output) = done.recv_timeout(LIMIT) else {
            signal(pid, Signal::SIGKILL);
            bail!(
                "kubectl {} took more than {} s",
                arguments.join(" "),
                LIMIT.as_secs()
            )
        };
        Ok(output?)
    }
}
