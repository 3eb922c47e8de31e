//! The observer of one account and Region.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Extensions;

use super::cache::Cache;
use super::caches::Caches;
use super::polled::PolledKey;
use super::types::{Key, Pace, Sweep};
use crate::aws::Operation;
use crate::aws::call::{Calls, Reads};
use crate::aws::read_budget::Turn;
use crate::metrics::Gauge;
use crate::trigger::{ObjectId, Triggers};

/// The side of one account and Region that reads.
#[derive(Debug)]
pub struct Observer {
    calls: Arc<Calls>,
    caches: Arc<Caches>,
    /// What services keep beside the caches.
    extensions: Mutex<Extensions>,
}

impl Observer {
    /// Starts an observer that triggers the objects whose answers change; it ends when it is
    /// dropped.
    #[must_use]
    pub fn start(calls: &Arc<Calls>, sweep: Sweep, triggers: Triggers) -> Self {
        let caches = Arc::new(Caches::new(Arc::clone(calls), sweep, triggers));
        let read = Arc::clone(&caches);
        calls.metrics.register(Gauge::ObservationAge, move || {
            read.ages()
                .into_iter()
                .map(|(what, age)| (vec![("what", what.to_owned())], age.as_secs_f64()))
                .collect()
        });
        Self {
            calls: Arc::clone(calls),
            caches,
            extensions: Mutex::default(),
        }
    }

    /// The answers for one type of key.
    #[must_use]
    pub fn cache<K: Key>(&self) -> Arc<Cache<K>> {
        self.caches.of()
    }

    /// Polls `keys` for `watcher`, and nothing else that it had polled before.
    pub fn poll(&self, watcher: &ObjectId, keys: &[(PolledKey, Pace)]) {
        let mut polled = Vec::new();
        for (key, _) in keys {
            if !polled.contains(&key.key_type()) {
                polled.push(key.key_type());
                key.poll(keys, &self.caches, watcher);
            }
        }
        self.caches.unwatch(watcher, &polled);
    }

    /// Polls at this pace whatever is polled for `watcher`.
    pub fn set_pace(&self, watcher: &ObjectId, pace: Pace) {
        self.caches.set_pace(watcher, pace);
    }

    /// Forgets what the cache holds for those of `keys` that the service of `operation` answers,
    /// after that has failed: its outcome may be unknown.
    pub fn invalidate_after<'a>(
        &self,
        operation: Operation,
        keys: impl IntoIterator<Item = &'a PolledKey>,
    ) {
        let service = operation.service().name;
        self.invalidate(keys.into_iter().filter(|key| key.service() == service));
    }

    /// Forgets what the cache holds for `keys`, after writes whose outcome is unknown.
    pub fn invalidate<'a>(&self, keys: impl IntoIterator<Item = &'a PolledKey>) {
        for key in keys {
            key.invalidate(&self.caches);
        }
    }

    /// Returns a sender for reads that no cache serves.
    pub(in crate::aws) fn reads(&self, turn: Turn) -> Reads<'_> {
        self.calls.later_reads(turn)
    }

    pub(in crate::aws) fn calls(&self) -> &Arc<Calls> {
        &self.calls
    }

    /// State that a service keeps beside the caches, one of each type. It starts as its default.
    pub(in crate::aws) fn extension<T: Clone + Default + Send + Sync + 'static>(&self) -> T {
        let mut extensions = self
            .extensions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        extensions.get_or_insert_default::<T>().clone()
    }

    /// The age of the oldest answer that is kept fresh, by what it is about.
    #[must_use]
    pub fn ages(&self) -> Vec<(&'static str, Duration)> {
        self.caches.ages()
    }
}
