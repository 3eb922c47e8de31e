//! Child processes that end when their owner does.

use std::ffi::OsStr;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use crate::wait;

/// How long a process gets to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);

/// A child process; killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    pid: i32,
    log: PathBuf,
}

impl Process {
    /// Starts `program` with its output in `dir/NAME.log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &str, dir: &Path, command: &mut Command) -> Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let pid = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .context("a new process has an id")?;
        Ok(Self {
            name: name.to_owned(),
            child,
            pid,
            log,
        })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it prints.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// What it has printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its exit code, if it has ended.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn ended(&mut self) -> Result<Option<i32>> {
        Ok(self
            .child
            .try_wait()?
            .map(|status| status.code().unwrap_or(-1)))
    }

    /// Awaits that `look` succeeds; gives up when the process ends or the time is up.
    ///
    /// # Errors
    /// With the last excuse, or with the end of the log of a process that has ended.
    pub async fn until_ready(
        &mut self,
        limit: Duration,
        look: impl AsyncFn() -> Result<()>,
    ) -> Result<()> {
        let what = self.name.clone();
        let ready = wait::until(&what, limit, look);
        tokio::select! {
            result = ready => result,
            status = self.child.wait() => {
                let log = self.log();
                let lines: Vec<_> = log.lines().collect();
                bail!("{what} ended ({}):\n{}", status?, lines[lines.len().saturating_sub(15)..].join("\n"))
            }
        }
    }

    /// Awaits its end.
    ///
    /// # Errors
    /// When it cannot be awaited.
    pub async fn wait(&mut self) -> Result<i32> {
        Ok(self.child.wait().await?.code().unwrap_or(-1))
    }

    /// Sends SIGKILL and awaits the end.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub async fn kill(&mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Asks it to end, and kills it when it does not. Answers the exit code.
    ///
    /// # Errors
    /// When it cannot be stopped.
    pub async fn stop(&mut self) -> Result<i32> {
        if let Some(code) = self.ended()? {
            return Ok(code);
        }
        signal(self.pid, Signal::SIGTERM);
        if let Ok(code) = tokio::time::timeout(GRACE, self.wait()).await {
            return code;
        }
        self.kill().await?;
        Ok(-1)
    }

    /// Lets it live on without us; it must have a process group of its own.
    #[must_use]
    pub fn detach(self) -> i32 {
        let pid = self.pid;
        std::mem::forget(self);
        pid
    }
}

/// Sends a signal to a process that we started. One that is gone already is no error.
pub fn signal(pid: i32, signal: Signal) {
    let _ = kill(Pid::from_raw(pid), signal);
}

/// Whether a process lives; one that has ended and waits for its parent to notice does not.
#[must_use]
pub fn lives(pid: i32) -> bool {
    let ended = std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.contains(") Z "));
    !ended && kill(Pid::from_raw(pid), None).is_ok()
}

/// Free ports on loopback.
///
/// # Errors
/// When there are none.
pub fn free_ports<const N: usize>() -> Result<[u16; N]> {
    // All are held until the last is known, so that they differ.
    let listeners: Vec<_> = (0..N)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<Result<_, _>>()?;
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

/// Runs a command to its end; its output goes to a log, which the error shows the end of.
///
/// # Errors
/// When it cannot be started or fails.
pub async fn run(
    what: &str,
    program: impl AsRef<OsStr>,
    arguments: &[&str],
    dir: &Path,
    env: &[(&str, &str)],
) -> Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(dir)
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .output()
        .await;
    let output = output.with_context(|| format!("cannot {what}"))?;
    if !output.status.success() {
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        bail!(
            "cannot {what}:\n{}",
            lines[lines.len().saturating_sub(20)..].join("\n")
        );
    }
    Ok(())
}
