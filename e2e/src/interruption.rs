//! An interrupted run stops what it has started.
//!
//! Each child has a process group of its own, so the terminal tells only us; a child ends when the
//! future that holds it is dropped.

use anyhow::{Result, bail};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Whether SIGINT or SIGTERM has come.
#[derive(Clone, Debug)]
pub struct Interruption(watch::Receiver<bool>);

impl Interruption {
    /// Listens from now on; within a runtime.
    ///
    /// # Errors
    /// When the signals cannot be listened to.
    pub fn listen() -> Result<Self> {
        let (mut interrupt, mut terminate) = (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        );
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            sender.send_replace(true);
            // Later waiters must still see it.
            sender.closed().await;
        });
        Ok(Self(receiver))
    }

    /// Does `work` until it is done or interrupted.
    ///
    /// # Errors
    /// That of `work`, or that it was interrupted.
    pub async fn stops<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let mut interrupted = self.0.clone();
        // A whole run is a large future.
        let work = Box::pin(work);
        tokio::select! {
            biased;
            _ = interrupted.wait_for(|interrupted| *interrupted) => bail!("interrupted"),
            result = work => result,
        }
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::{Signal, raise};

    use super::*;

    #[tokio::test]
    async fn a_signal_ends_running_passes_and_starts_none() {
        let interruption = Interruption::listen().expect("signals can be listened to");
        interruption
            .stops(async { Ok(()) })
            .await
            .expect("nobody has interrupted it");
        raise(Signal::SIGTERM).expect("we may tell ourselves");
        for _ in 0..2 {
            let stopped = interruption
                .stops(std::future::pending::<Result<()>>())
                .await;
            assert_eq!(
                stopped.expect_err("it never ends by itself").to_string(),
                "interrupted"
            );
        }
    }
}
