//! The observer of one account and Region.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cache::Cache;
use super::caches::Caches;
use super::polled::PolledKey;
use super::read::{self, Blockers, ServiceKey};
use super::rollouts::ServiceDeploymentKey;
use super::types::{Key, Pace, Sweep};
use super::usage::{self, Usage};
use crate::aws::call::Calls;
use crate::aws::error::AwsError;
use crate::aws::read_budget::Turn;
use crate::metrics::Gauge;
use crate::trigger::{ObjectId, Triggers};

/// The side of one account and Region that reads.
#[derive(Debug)]
pub struct Observer {
    calls: Arc<Calls>,
    caches: Arc<Caches>,
    usage: usage::Cache,
}

impl Observer {
    /// Starts an observer that triggers the objects whose answers change; it ends when it is dropped.
    #[must_use]
    pub fn start(calls: &Arc<Calls>, sweep: Sweep, triggers: Triggers) -> Self {
        let caches = Arc::new(Caches::new(Arc::clone(calls), sweep, triggers));
        let read = Arc::clone(&caches);
        calls.metrics.register(Gauge::ObservationAge, move || {
            read.ages().into_iter().map(|(what, age)| (vec![("what", what.to_owned())], age.as_secs_f64())).collect()
        });
        Self { calls: Arc::clone(calls), caches, usage: usage::Cache::default() }
    }

    /// The answers for one type of key.
    #[must_use]
    pub fn cache<K: Key>(&self) -> Arc<Cache<K>> {
        self.caches.of()
    }

    /// Polls `keys` for `watcher`, and nothing else that it had polled before.
    pub fn poll(&self, watcher: &ObjectId, keys: &[(PolledKey, Pace)]) {
        for (key, pace) in keys {
            key.poll(&self.caches, watcher, *pace);
        }
        let polled: Vec<_> = keys.iter().map(|(key, _)| key.key_type()).collect();
        self.caches.unwatch(watcher, &polled);
    }

    /// Polls at this pace whatever is polled for `watcher`.
    pub fn set_pace(&self, watcher: &ObjectId, pace: Pace) {
        self.caches.set_pace(watcher, pace);
    }

    /// Forgets what the cache holds for `keys`, after a write whose outcome is unknown.
    pub fn invalidate<'a>(&self, keys: impl IntoIterator<Item = &'a PolledKey>) {
        for key in keys {
            key.invalidate(&self.caches);
        }
    }

    /// What lives in a cluster and keeps it from being deleted, for an object in `namespace`. Read at every call.
    ///
    /// # Errors
    /// When a read fails.
    pub async fn blockers(&self, cluster: &str, namespace: &str) -> Result<Blockers, AwsError> {
        let reads = self.calls.later_reads(Turn::Of(vec![namespace.to_owned()]));
        read::blockers(&reads, cluster).await
    }

    /// The age of the oldest answer that is kept fresh, by what it is about.
    #[must_use]
    pub fn ages(&self) -> Vec<(&'static str, Duration)> {
        self.caches.ages()
    }

    /// Which services of the account and Region use which revisions, of others too; at most `age` old. Concurrent
    /// calls share one read.
    ///
    /// # Errors
    /// When a read fails, or when it takes longer than `patience`. It continues then, for later calls.
    pub async fn usage(&self, age: Duration, patience: Duration) -> Result<Arc<Usage>, AwsError> {
        self.usage.get(&self.calls, age, patience).await
    }

    /// The services that use a revision, `family:revision`, by the last answer of [`usage`](Self::usage), however old.
    #[must_use]
    pub fn last_users(&self, revision: &str) -> Vec<String> {
        self.usage.last_users(revision)
    }

    /// Reads a service again soon, with its service deployment, because an event named it. Returns whether an object watches it.
    #[must_use]
    pub fn hint(&self, service: &ServiceKey) -> bool {
        let watchers = self.cache::<ServiceKey>().hint(service);
        let deployments = self.cache::<ServiceDeploymentKey>();
        for watcher in &watchers {
            deployments.hint_of(watcher, |deployment| deployment.is_of(service));
        }
        !watchers.is_empty()
    }

    /// Notes that a service is missing or INACTIVE: it uses no revision, whatever was read before `at`.
    pub fn is_gone(&self, service: &ServiceKey, at: Instant) {
        self.usage.is_gone(service, at);
    }
}
