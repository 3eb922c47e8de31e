//! Which of several replicas works: the one that holds a Lease.
//!
//! kube-lease-manager takes the Lease and renews it. It says only that it has it, and learns late
//! that it lost it, in a process that was stopped or cut off. So a watch follows the Lease beside
//! it, and before every write it is asked whether the Lease, as it was last seen, is ours and has
//! time left by our own clock. A process that lost it exits: its caches may be out of date.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures::StreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Config};
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::leadership::{Candidate, Held, Leadership, PARTS};
use crate::readiness::Readiness;

/// What is in the way while the Lease cannot be seen, and while it cannot be taken or renewed.
const SEEN: &str = "leader-election-watch";
const TAKEN: &str = "leader-election";

/// How long after trouble with the Lease it is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Which Lease the replicas share.
#[derive(Clone, Debug)]
pub struct Election {
    /// Namespace of the Lease; `None` means that of the operator itself.
    pub namespace: Option<String>,
    /// Name of the Lease.
    pub lease: String,
    /// How long it is good without being renewed.
    pub duration: Duration,
}

/// A replica's part in the election, until [`LeaderElection::end`].
#[derive(Debug)]
pub struct LeaderElection {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl LeaderElection {
    /// Takes part, with a client of its own, so that nothing holds up the renewal.
    ///
    /// # Errors
    /// When the configuration names no server that can be reached in principle.
    pub fn start(
        mut config: Config,
        election: Election,
        readiness: Arc<Readiness>,
    ) -> kube::Result<(Self, Leadership)> {
        // A live leader brings an event with each renewal, so a watch that is silent for longer
        // than that has lost its connection. And a renewal that hangs is given up in time for
        // another one. Not just as long as there is between two renewals: then the idle connection
        // would be closed just when it is needed.
        let patience = |parts: u32| Some(election.duration / parts);
        (
            config.connect_timeout,
            config.write_timeout,
            config.read_timeout,
        ) = (patience(5), patience(5), patience(2));
        let watching = Client::try_from(config.clone())?;
        config.read_timeout = patience(5);
        let client = Client::try_from(config)?;
        let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "ecs-operator".to_owned());
        let identity = format!("{host}_{:016x}", fastrand::u64(..));
        let (sender, held) = watch::channel(Held::default());
        let leadership = Leadership(Some(Candidate {
            identity: identity.clone(),
            held: held.clone(),
        }));
        let stop = CancellationToken::new();
        readiness.set(SEEN, Err("the Lease was not seen yet".to_owned()));
        let (leads, stopped) = (leadership.clone(), stop.clone());
        let namespace = election
            .namespace
            .clone()
            .unwrap_or_else(|| client.default_namespace().to_owned());
        tracing::info!(
            identity,
            lease = election.lease,
            namespace,
            "takes part in the election of a leader"
        );
        let leases = Api::namespaced(watching, &namespace);
        let candidate = Renewal {
            client,
            namespace,
            election,
            identity,
            held,
            readiness,
        };
        let task = tokio::spawn(async move {
            tokio::select! {
                () = follow(leases, &candidate.election.lease, &sender, &candidate.readiness) => {}
                () = candidate.run(&stopped) => {}
                () = tell(&leads) => {}
            }
        });
        Ok((Self { stop, task }, leadership))
    }

    /// Takes part no more. With `release` it lets the Lease go, so that another replica need not
    /// wait for its end: only where nothing that this one has begun can still be carried out.
    pub async fn end(self, release: bool) {
        if release {
            self.stop.cancel();
            let _ = tokio::time::timeout(RETRY, self.task).await;
        } else {
            self.task.abort();
        }
    }
}

/// Says in the log when this process becomes the leader.
async fn tell(leadership: &Leadership) {
    leadership.acquired().await;
    tracing::info!("this process is the leader");
    std::future::pending::<()>().await;
}

/// Keeps `held` true to what the API server says of the Lease.
async fn follow(leases: Api<Lease>, name: &str, held: &watch::Sender<Held>, readiness: &Readiness) {
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut events = std::pin::pin!(watcher(leases, config));
    while let Some(event) = events.next().await {
        let spec = match event {
            Ok(Event::Apply(lease) | Event::InitApply(lease)) => lease.spec,
            Ok(Event::Delete(_)) => None,
            Ok(Event::Init | Event::InitDone) => continue,
            Err(error) => {
                refused(readiness, SEEN, &error);
                // Not longer and longer: a leader that does not see its own renewals ends.
                tokio::time::sleep(RETRY).await;
                continue;
            }
        };
        let seen = Held::read(spec, (Instant::now(), SystemTime::now()));
        readiness.set(SEEN, Ok(()));
        if seen.until.is_some() {
            readiness.set(TAKEN, Ok(()));
        }
        held.send_replace(seen);
    }
}

/// Takes the Lease when it is free or has run out, and renews it.
struct Renewal {
    client: Client,
    namespace: String,
    election: Election,
    identity: String,
    held: watch::Receiver<Held>,
    readiness: Arc<Readiness>,
}

impl Renewal {
    async fn run(&self, stop: &CancellationToken) {
        let seconds = self.election.duration.as_secs().max(u64::from(PARTS));
        loop {
            let manager = LeaseManagerBuilder::new(self.client.clone(), &self.election.lease)
                .with_namespace(&self.namespace)
                .with_identity(&self.identity)
                .with_duration(seconds)
                .with_grace(seconds - seconds / u64::from(PARTS));
            match manager.build().await {
                Ok(manager) => tokio::select! {
                    () = self.renew(&manager) => {}
                    // The manager would wait for the end of the Lease's time.
                    () = is_freed(self.held.clone(), &self.identity) => {
                        // Not all of them at once: who comes second would take it from the first.
                        tokio::time::sleep(RETRY.mul_f64(fastrand::f64())).await;
                        continue;
                    }
                    () = stop.cancelled() => {
                        match manager.release().await {
                            Ok(()) => tracing::info!("the Lease was let go"),
                            Err(error) => tracing::warn!(%error, "the Lease was not let go: the next leader waits for its end"),
                        }
                        return;
                    }
                },
                Err(error) => refused(&self.readiness, TAKEN, &error),
            }
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Renews the Lease, or waits for its end, until there is trouble. The manager comes back with
    /// every change, and goes on.
    async fn renew(&self, manager: &LeaseManager) {
        loop {
            match manager.changed().await {
                Ok(leads) => tracing::debug!(leads, "the Lease has changed hands"),
                Err(error) => return refused(&self.readiness, TAKEN, &error),
            }
        }
    }
}

/// Awaits that another holder lets the Lease go.
async fn is_freed(mut held: watch::Receiver<Held>, identity: &str) {
    let freed = async {
        held.wait_for(|held| held.by.as_deref().is_some_and(|by| by != identity))
            .await?;
        held.wait_for(|held| held.by.is_none()).await?;
        Ok::<_, watch::error::RecvError>(())
    };
    if freed.await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn refused(readiness: &Readiness, need: &str, error: &dyn std::error::Error) {
    let problem = format!(
        "the Lease cannot be read or taken: {error}; the operator needs get, list, watch, create and patch on leases"
    );
    if readiness.set(need, Err(problem.clone())) {
        tracing::warn!("waiting: {problem}");
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
    use k8s_openapi::jiff::Timestamp;

    use k8s_openapi::api::coordination::v1::LeaseSpec;

    use super::*;

    fn lease(holder: &str, renewed: SystemTime, seconds: i32) -> LeaseSpec {
        let renewed = Timestamp::try_from(renewed).map(MicroTime).ok();
        let holder = (!holder.is_empty()).then(|| holder.to_owned());
        LeaseSpec {
            holder_identity: holder,
            renew_time: renewed,
            lease_duration_seconds: Some(seconds),
            ..LeaseSpec::default()
        }
    }

    fn leadership(held: Held) -> Leadership {
        let (_, held) = watch::channel(held);
        Leadership(Some(Candidate {
            identity: "me".to_owned(),
            held,
        }))
    }

    #[test]
    fn the_holder_may_write_for_two_thirds_of_the_time_since_it_renewed() {
        let now = (Instant::now(), SystemTime::now());
        let left = |ago: u64| {
            Held::read(Some(lease("me", now.1 - Duration::from_secs(ago), 15)), now)
                .until
                .map(|(until, _)| until - now.0)
        };
        assert_eq!(left(0).map(|left| left.as_secs_f64().round()), Some(10.0));
        assert_eq!(left(9).map(|left| left.as_secs_f64().round()), Some(1.0));
        assert_eq!(
            left(11),
            None,
            "its time is over for us, and not yet for the others"
        );
        let ahead = Held::read(Some(lease("me", now.1 + Duration::from_secs(600), 15)), now);
        assert_eq!(
            ahead.until.map(|(until, _)| until - now.0),
            Some(Duration::from_secs(10)),
            "our clock was set back"
        );
    }

    #[test]
    fn only_the_holder_of_a_lease_with_time_left_may_write() {
        let (now, time, minute) = (Instant::now(), SystemTime::now(), Duration::from_secs(60));
        let soon = Some((now + minute, time + minute));
        let held = |by: &str, until| {
            leadership(Held {
                by: Some(by.to_owned()),
                until,
            })
            .holds()
        };
        assert!(held("me", soon));
        assert!(!held("other", soon));
        assert!(!held("me", Some((now, time + minute))));
        assert!(
            !held("me", Some((now + minute, time))),
            "time has passed that this machine slept through"
        );
        assert!(!held("me", None));
        assert!(!Leadership::lost_for_good().holds());
        assert!(Leadership::always_leader().holds());
    }

    #[test]
    fn a_lease_without_holder_or_time_is_nobodys() {
        let now = (Instant::now(), SystemTime::now());
        assert_eq!(Held::read(None, now), Held::default());
        assert_eq!(
            Held::read(
                Some(LeaseSpec {
                    holder_identity: Some("me".to_owned()),
                    ..LeaseSpec::default()
                }),
                now
            ),
            Held::default()
        );
        assert_eq!(Held::read(Some(lease("", now.1, 15)), now).by, None);
    }

    #[tokio::test]
    async fn a_lease_that_is_not_renewed_is_lost() {
        let soon = Duration::from_millis(50);
        let until = Some((Instant::now() + soon, SystemTime::now() + soon));
        let (sender, held) = watch::channel(Held {
            by: Some("me".to_owned()),
            until,
        });
        let leadership = Leadership(Some(Candidate {
            identity: "me".to_owned(),
            held,
        }));
        leadership.lost().await;
        assert!(!leadership.holds());
        drop(sender);
    }

    #[tokio::test]
    async fn without_anybody_who_follows_the_lease_it_is_lost() {
        Leadership::lost_for_good().lost().await;
    }
}
