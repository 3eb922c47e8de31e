//! The operator as a process, as users run it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use tokio::process::Command;

use crate::assets;
use crate::process::{Process, free_ports};

/// How long it may take to become ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// How it is started.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Flags after `run`.
    pub flags: Vec<String>,
    /// Environment; nothing of the user's AWS environment is passed on.
    pub environment: Vec<(&'static str, String)>,
    /// kubeconfig.
    pub kubeconfig: PathBuf,
}

/// A running operator.
#[derive(Debug)]
pub struct Operator {
    /// Address of metrics and probes.
    pub url: String,
    /// The process.
    pub process: Process,
}

impl Operator {
    /// Starts it, with its log in `dir`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(dir: &Path, options: &Options) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let [port] = free_ports()?;
        let mut command = Command::new(assets::operator()?);
        command.arg("run").arg(format!("--http-address=127.0.0.1:{port}")).args(&options.flags);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        command.env("KUBECONFIG", &options.kubeconfig).envs(options.environment.iter().map(|(name, value)| (name, value)));
        let process = Process::start("operator", dir, command.process_group(0))?;
        Ok(Self { url: format!("http://127.0.0.1:{port}"), process })
    }

    /// Awaits `/readyz`.
    ///
    /// # Errors
    /// With what it lacks, when it does not become ready.
    pub async fn ready(&mut self) -> Result<()> {
        let url = format!("{}/readyz", self.url);
        let ready = async || {
            let reply = reqwest::get(&url).await?;
            let (ready, text) = (reply.status().is_success(), reply.text().await?);
            anyhow::ensure!(ready, text);
            Ok(())
        };
        self.process.until_ready(PATIENCE, ready).await
    }

    /// The text at one of its addresses, such as `/metrics`, whatever the status.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn get(&self, path: &str) -> Result<String> {
        Ok(reqwest::get(format!("{}{path}", self.url)).await?.text().await?)
    }

    /// Its resident memory in KiB, as Linux accounts it.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn resident_kib(&self) -> Result<u64> {
        resident_kib(self.process.pid())
    }
}

/// Resident memory of a process in KiB.
///
/// # Errors
/// When the system does not tell.
pub fn resident_kib(pid: i32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.ok_or_else(|| anyhow::anyhow!("no VmRSS"))?.parse()?)
}
