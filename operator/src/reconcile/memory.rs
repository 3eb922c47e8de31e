//! What is remembered of an object between two passes. Losing it costs nothing but patience, where AWS's reads do not lag behind.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::plan::{Outcome, Write};
use super::task_definition::Registrations;

/// Memories of all objects, by UID.
#[derive(Debug, Default)]
pub struct Memories(Mutex<HashMap<String, Memory>>);

/// What is remembered of one object.
#[derive(Debug)]
pub(super) struct Memory {
    /// When it was first looked at.
    since: Instant,
    /// Passes in a row that ended in trouble.
    failures: u32,
    /// Since when it waits for its turn to write.
    queued: Option<Instant>,
    /// The last request for a look for which it was forgiven.
    forgiven: Option<String>,
    /// Resource version that our last write to the API server made, and when.
    written: Option<(u64, Instant)>,
    /// What AWS refused or did not heed.
    refusal: Option<Refusal>,
    /// What a task definition has registered lately.
    pub(super) registrations: Registrations,
}

/// Writes that came to nothing. They are not sent again before their time, whatever wakes the object.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    writes: Vec<Write>,
    pub(super) outcome: Outcome,
    pub(super) until: Instant,
}

/// How long a watch may lag behind our own writes before we stop waiting for it.
const WATCH_LAG: Duration = Duration::from_secs(5);

impl Default for Memory {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            failures: 0,
            queued: None,
            forgiven: None,
            written: None,
            refusal: None,
            registrations: Registrations::default(),
        }
    }
}

impl Memory {
    /// How long it has been known.
    pub(super) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// Passes in a row that ended in trouble.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// The wait before the next try: twice as long each time, between `first` and `longest`, and random by a quarter so
    /// that objects that failed together do not all come back together.
    pub(super) fn backoff(&mut self, (first, longest): (Duration, Duration)) -> Duration {
        let wait = first.saturating_mul(1 << self.failures.min(16)).min(longest);
        self.failures += 1;
        wait.mul_f64(0.75 + 0.25 * fastrand::f64())
    }

    /// A pass went well.
    pub(super) fn forgive(&mut self) {
        self.failures = 0;
        self.refusal = None;
    }

    /// Somebody asks for a look; the same request forgives only once.
    pub(super) fn forgive_for(&mut self, request: Option<String>) {
        if self.forgiven != request {
            self.forgiven = request;
            self.forgive();
        }
    }

    /// A pass ended, in the queue or not.
    pub(super) fn queues(&mut self, queued: bool) {
        self.queued = if queued { self.queued.or_else(|| Some(Instant::now())) } else { None };
    }

    /// How long it has been in the queue.
    pub(super) fn queued(&self) -> Duration {
        self.queued.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// `writes` came to nothing, and are worth another try after `wait`.
    pub(super) fn refuse(&mut self, writes: Vec<Write>, outcome: Outcome, wait: Duration) {
        self.refusal = Some(Refusal { writes, outcome, until: Instant::now() + wait });
    }

    /// Why not to send `writes` now. Other writes than those refused are a new attempt.
    pub(super) fn refused(&self, writes: &[Write]) -> Option<Refusal> {
        self.refusal.clone().filter(|refusal| refusal.writes == writes && refusal.until > Instant::now())
    }

    /// We wrote the object, and the API server answered with this resource version.
    pub(super) fn wrote(&mut self, resource_version: Option<&str>) {
        self.written = resource_version.and_then(|version| version.parse().ok()).map(|version| (version, Instant::now()));
    }

    /// Whether an object of this resource version is older than our own last write to it. Resource versions of one kind
    /// can be compared since Kubernetes 1.35, and always could where etcd is behind them.
    pub(super) fn is_outdated(&self, resource_version: Option<&str>) -> bool {
        let seen = resource_version.and_then(|version| version.parse::<u64>().ok());
        self.written.zip(seen).is_some_and(|((ours, at), seen)| seen < ours && at.elapsed() < WATCH_LAG)
    }
}

impl Memories {
    /// Works with the memory of one object.
    pub(super) fn with<T>(&self, uid: &str, work: impl FnOnce(&mut Memory) -> T) -> T {
        let mut memories = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        work(memories.entry(uid.to_owned()).or_default())
    }

    /// Forgets an object that is gone.
    pub(crate) fn forget(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_its_limit_and_starts_again_after_success() {
        let mut memory = Memory::default();
        let limits = (Duration::from_secs(1), Duration::from_secs(60));
        for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
            let wait = memory.backoff(limits).as_secs_f64();
            assert!((f64::from(expected) * 0.75..=f64::from(expected)).contains(&wait), "{wait} for {expected}");
        }
        memory.forgive();
        assert!(memory.backoff(limits) <= Duration::from_secs(1));
    }

    #[test]
    fn an_object_older_than_our_own_write_is_outdated() {
        let mut memory = Memory::default();
        assert!(!memory.is_outdated(Some("7")));
        memory.wrote(Some("10"));
        assert!(memory.is_outdated(Some("9")));
        assert!(!memory.is_outdated(Some("10")));
        assert!(!memory.is_outdated(Some("11")));
        assert!(!memory.is_outdated(None));
    }
}
