//! Which of several replicas works: the one that holds a Lease.
//!
//! kube-lease-manager takes the Lease and renews it. It says only that it has it, and learns late that it lost it, in a process that
//! was stopped or cut off. So a watch follows the Lease beside it, and before every write it is asked whether the Lease, as it was last
//! seen, is ours and has time left by our own clock. A process that held it and does so no more ends: what it knows may be old.

use std::time::{Duration, Instant, SystemTime};

use futures::StreamExt;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::http::Readiness;

/// What is in the way while the Lease cannot be read or taken.
const NEED: &str = "leader-election";

/// How long after trouble with the Lease it is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Of how many parts of the Lease's time one passes between two renewals. Whoever could not renew it for two stops writing, so that one
/// is left for clocks that differ.
const PARTS: u32 = 3;

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

/// What was last seen of the Lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Held {
    by: Option<String>,
    /// Until when its holder may write.
    until: Option<Instant>,
}

impl Held {
    /// What the Lease says now; the times in it are of the clock of its holder.
    fn read(spec: Option<LeaseSpec>, now: (Instant, SystemTime)) -> Self {
        let Some(LeaseSpec { holder_identity: by, renew_time: Some(renewed), lease_duration_seconds: Some(seconds), .. }) = spec
        else {
            return Self::default();
        };
        let duration = Duration::from_secs(seconds.try_into().unwrap_or_default());
        let until = SystemTime::from(renewed.0) + duration - duration / PARTS;
        Self { by, until: until.duration_since(now.1).ok().map(|left| now.0 + left) }
    }

    fn is_by(&self, identity: &str) -> bool {
        self.by.as_deref() == Some(identity)
    }
}

/// Whether this process is the one that works.
#[derive(Clone, Debug)]
pub struct Leadership(Option<Candidate>);

#[derive(Clone, Debug)]
struct Candidate {
    identity: String,
    held: watch::Receiver<Held>,
}

impl Leadership {
    /// That of a process that has no others beside it.
    #[must_use]
    pub fn unopposed() -> Self {
        Self(None)
    }

    /// That of a process that lost it.
    #[cfg(test)]
    pub(crate) fn deposed() -> Self {
        let (_, held) = watch::channel(Held::default());
        Self(Some(Candidate { identity: "me".to_owned(), held }))
    }

    /// Whether this process may write now.
    #[must_use]
    pub fn holds(&self) -> bool {
        let Some(Candidate { identity, held }) = &self.0 else { return true };
        let held = held.borrow();
        held.is_by(identity) && held.until.is_some_and(|until| Instant::now() < until)
    }

    /// Awaits that this process may write.
    pub async fn acquired(&self) {
        let Some(Candidate { identity, held }) = &self.0 else { return };
        let may_write = |held: &Held| held.is_by(identity) && held.until.is_some_and(|until| Instant::now() < until);
        if held.clone().wait_for(may_write).await.is_err() {
            // Nobody follows the Lease any more: the operator ends.
            std::future::pending::<()>().await;
        }
    }

    /// Awaits that this process, which could write, may not do so any more.
    pub async fn lost(&self) {
        self.acquired().await;
        let Some(Candidate { held, .. }) = &self.0 else { return std::future::pending().await };
        let mut held = held.clone();
        while self.holds() {
            let until = held.borrow_and_update().until.unwrap_or_else(Instant::now);
            // Either there is news of the Lease, or its time is over.
            let _ = tokio::time::timeout_at(until.into(), held.changed()).await;
        }
    }
}

/// A replica's part in the election, until [`Campaign::end`].
#[derive(Debug)]
pub struct Campaign {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Campaign {
    /// Takes part, with a client of its own, so that nothing holds up the renewal.
    #[must_use]
    pub fn start(client: Client, election: Election, readiness: std::sync::Arc<Readiness>) -> (Self, Leadership) {
        let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "ecs-operator".to_owned());
        let identity = format!("{host}_{:016x}", fastrand::u64(..));
        let (sender, held) = watch::channel(Held::default());
        let leadership = Leadership(Some(Candidate { identity: identity.clone(), held: held.clone() }));
        let stop = CancellationToken::new();
        readiness.set(NEED, Err("the Lease was not seen yet".to_owned()));
        let (leads, stopped) = (leadership.clone(), stop.clone());
        let task = tokio::spawn(async move {
            let namespace = election.namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
            tracing::info!(identity, lease = election.lease, namespace, "takes part in the election of a leader");
            let leases = Api::namespaced(client.clone(), &namespace);
            tokio::select! {
                () = follow(leases, &election.lease, &sender, &readiness) => {}
                () = run(client, &namespace, &election, &identity, held, &readiness, &stopped) => {}
                () = tell(&leads) => {}
            }
        });
        (Self { stop, task }, leadership)
    }

    /// Takes part no more, and lets the Lease go, so that another replica need not wait for its end.
    pub async fn end(self) {
        self.stop.cancel();
        let _ = tokio::time::timeout(RETRY, self.task).await;
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
    let mut events = std::pin::pin!(watcher(leases, config).default_backoff());
    while let Some(event) = events.next().await {
        let spec = match event {
            Ok(Event::Apply(lease) | Event::InitApply(lease)) => lease.spec,
            Ok(Event::Delete(_)) => None,
            Ok(Event::Init | Event::InitDone) => continue,
            Err(error) => {
                refused(readiness, &error);
                continue;
            }
        };
        readiness.set(NEED, Ok(()));
        held.send_replace(Held::read(spec, (Instant::now(), SystemTime::now())));
    }
}

/// Takes the Lease when it is free or has run out, and renews it.
async fn run(
    client: Client,
    namespace: &str,
    election: &Election,
    identity: &str,
    held: watch::Receiver<Held>,
    readiness: &Readiness,
    stop: &CancellationToken,
) {
    let seconds = election.duration.as_secs().max(u64::from(PARTS));
    loop {
        let manager = LeaseManagerBuilder::new(client.clone(), &election.lease)
            .with_namespace(namespace)
            .with_identity(identity)
            .with_duration(seconds)
            .with_grace(seconds - seconds / u64::from(PARTS));
        match manager.build().await {
            Ok(manager) => tokio::select! {
                () = renew(&manager) => {}
                // The manager would wait for the end of the Lease's time.
                () = is_freed(held.clone(), identity) => continue,
                () = stop.cancelled() => {
                    if let Err(error) = manager.release().await {
                        tracing::warn!(%error, "the Lease was not let go: the next leader waits for its end");
                    }
                    return;
                }
            },
            Err(error) => refused(readiness, &error),
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Renews the Lease until there is trouble.
async fn renew(manager: &LeaseManager) {
    while let Err(error) = manager.changed().await.map(drop) {
        tracing::warn!(%error, "the Lease cannot be renewed");
        tokio::time::sleep(RETRY).await;
    }
}

/// Awaits that another holder lets the Lease go.
async fn is_freed(mut held: watch::Receiver<Held>, identity: &str) {
    let freed = async {
        held.wait_for(|held| held.by.as_deref().is_some_and(|by| by != identity)).await?;
        held.wait_for(|held| held.by.is_none()).await?;
        Ok::<_, watch::error::RecvError>(())
    };
    if freed.await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn refused(readiness: &Readiness, error: &dyn std::error::Error) {
    let problem =
        format!("the Lease cannot be read or taken: {error}; the operator needs get, list, watch, create and patch on leases");
    if readiness.set(NEED, Err(problem.clone())) {
        tracing::warn!("waiting: {problem}");
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    fn lease(holder: &str, renewed: SystemTime, seconds: i32) -> LeaseSpec {
        let renewed = Timestamp::try_from(renewed).map(MicroTime).ok();
        let holder = (!holder.is_empty()).then(|| holder.to_owned());
        LeaseSpec { holder_identity: holder, renew_time: renewed, lease_duration_seconds: Some(seconds), ..LeaseSpec::default() }
    }

    fn leadership(held: Held) -> Leadership {
        let (_, held) = watch::channel(held);
        Leadership(Some(Candidate { identity: "me".to_owned(), held }))
    }

    #[test]
    fn the_holder_may_write_for_two_thirds_of_the_time_since_it_renewed() {
        let now = (Instant::now(), SystemTime::now());
        let left =
            |ago: u64| Held::read(Some(lease("me", now.1 - Duration::from_secs(ago), 15)), now).until.map(|until| until - now.0);
        assert_eq!(left(0).map(|left| left.as_secs_f64().round()), Some(10.0));
        assert_eq!(left(9).map(|left| left.as_secs_f64().round()), Some(1.0));
        assert_eq!(left(11), None, "its time is over for us, and not yet for the others");
    }

    #[test]
    fn only_the_holder_of_a_lease_with_time_left_may_write() {
        let soon = Some(Instant::now() + Duration::from_secs(60));
        let held = |by: &str, until| leadership(Held { by: Some(by.to_owned()), until }).holds();
        assert!(held("me", soon));
        assert!(!held("other", soon));
        assert!(!held("me", Some(Instant::now())));
        assert!(!held("me", None));
        assert!(!Leadership::deposed().holds());
        assert!(Leadership::unopposed().holds());
    }

    #[test]
    fn a_lease_without_holder_or_time_is_nobodys() {
        let now = (Instant::now(), SystemTime::now());
        assert_eq!(Held::read(None, now), Held::default());
        assert_eq!(
            Held::read(Some(LeaseSpec { holder_identity: Some("me".to_owned()), ..LeaseSpec::default() }), now),
            Held::default()
        );
        assert_eq!(Held::read(Some(lease("", now.1, 15)), now).by, None);
    }

    #[tokio::test]
    async fn a_lease_that_is_not_renewed_is_lost() {
        let until = Some(Instant::now() + Duration::from_millis(50));
        let (sender, held) = watch::channel(Held { by: Some("me".to_owned()), until });
        let leadership = Leadership(Some(Candidate { identity: "me".to_owned(), held }));
        leadership.lost().await;
        assert!(!leadership.holds());
        drop(sender);
    }
}
