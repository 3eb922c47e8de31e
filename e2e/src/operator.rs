//! The operator as a process, as users run it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::process::Command;

use crate::assets;
use crate::process::Process;

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
    /// The process.
    pub process: Process,
    /// Where its own lines begin in a log that operators before it may have begun.
    own: usize,
}

impl Operator {
    /// Starts it, with its log in `dir`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(dir: &Path, options: &Options) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let mut command = Command::new(assets::operator()?);
        command
            .arg("run")
            .arg("--http-address=127.0.0.1:0")
            .args(&options.flags);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        command.env("KUBECONFIG", &options.kubeconfig).envs(
            options
                .environment
                .iter()
                .map(|(name, value)| (name, value)),
        );
        let own = std::fs::read(dir.join("operator.log")).map_or(0, |log| log.len());
        let process = Process::start("operator", dir, command.process_group(0))?;
        Ok(Self { process, own })
    }

    /// Address of metrics and probes: it takes a free port and says which.
    ///
    /// # Errors
    /// When it has not said so yet.
    pub fn url(&self) -> Result<String> {
        url_in(self.process.log_path(), self.own)
    }

    /// Awaits `/readyz`.
    ///
    /// # Errors
    /// With what it lacks, when it does not become ready.
    pub async fn ready(&mut self) -> Result<()> {
        let own = self.own;
        let log = self.process.log_path().to_owned();
        let ready = async || {
            let reply = reqwest::get(format!("{}/readyz", url_in(&log, own)?)).await?;
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
        Ok(reqwest::get(format!("{}{path}", self.url()?))
            .await?
            .text()
            .await?)
    }

    /// Its resident memory in KiB, as Linux accounts it.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn resident_kib(&self) -> Result<u64> {
        memory_kib(self.process.pid(), "VmRSS:")
    }

    /// The most resident memory that it has had, in KiB.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn peak_kib(&self) -> Result<u64> {
        memory_kib(self.process.pid(), "VmHWM:")
    }

    /// The CPU time that it has used, in seconds.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn cpu_seconds(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.pid()))?;
        // After the name in parentheses; user and system time are the 14th and 15th member, in
        // hundredths of a second.
        let members: Vec<_> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let time = |member: usize| {
            anyhow::Ok(
                members
                    .get(member - 3)
                    .context("a shorter stat")?
                    .parse::<f64>()?,
            )
        };
        Ok((time(14)? + time(15)?) / 100.0)
    }
}

/// The address that an operator says in its log.
fn url_in(log: &Path, own: usize) -> Result<String> {
    let log = std::fs::read_to_string(log)?;
    let said = log
        .get(own..)
        .unwrap_or_default()
        .lines()
        .find(|line| line.contains("ecs-operator starts"));
    let address = said
        .and_then(|line| line.split("127.0.0.1:").nth(1))
        .context("it has not said its address yet")?;
    let port: String = address.chars().take_while(char::is_ascii_digit).collect();
    Ok(format!("http://127.0.0.1:{port}"))
}

fn memory_kib(pid: i32, member: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(member));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.with_context(|| format!("no {member}"))?.parse()?)
}
