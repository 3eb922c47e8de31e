//! The state of an object between two passes. It is rebuilt after a restart; only backoff is lost.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::outcome::{Limits, Outcome};
use super::plan::Write;

/// ObjectStates of all objects, by UID.
#[derive(Debug, Default)]
pub struct ObjectStates(Mutex<HashMap<String, ObjectState>>);

/// When the same is tried again, ever later.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    /// Tries in a row, each in its time.
    tries: u32,
    /// When the first of them was.
    since: Option<Instant>,
    /// When the next one is due, within which limits.
    due: Option<(Instant, Limits)>,
}

impl Backoff {
    /// The wait before the next try: twice as long each time, between `first` and `longest`, and
    /// random by a quarter so that objects that failed together do not all come back together. A
    /// pass that something else triggers before the next try is due leaves that as it is.
    fn next(&mut self, (first, longest): Limits, now: Instant) -> Duration {
        if let Some((due, limits)) = self.due
            && limits == (first, longest)
            && due > now
        {
            return due - now;
        }
        let wait = first
            .saturating_mul(1 << self.tries.min(16))
            .min(longest)
            .mul_f64(0.75 + 0.25 * fastrand::f64());
        self.tries += 1;
        self.since.get_or_insert(now);
        self.due = Some((now + wait, (first, longest)));
        wait
    }
}

/// The state of one object.
#[derive(Debug)]
pub(crate) struct ObjectState {
    /// When it was first looked at.
    since: Instant,
    /// The generation that was looked at last, and since when.
    generation: (Option<i64>, Instant),
    /// What ended in trouble.
    failures: Backoff,
    /// Writes to the API server that failed.
    unwritten: Backoff,
    /// What waits for something.
    waits: Backoff,
    /// Steps of what takes several passes.
    steps: Backoff,
    /// The status that was sent last, while the API server has not confirmed it.
    unconfirmed: Option<Unconfirmed<Box<dyn Any + Send>>>,
    /// Whether our finalizer has been taken off.
    released: bool,
    /// Since when it waits for its turn to write.
    queued: Option<Instant>,
    /// The last request for a look for which it was forgiven.
    forgiven: Option<String>,
    /// Resource version that our last write to the API server made, and when.
    written: Option<(u64, Instant)>,
    /// The status that was written without what the served definition lacks, and when.
    narrowed: Option<(String, Instant)>,
    /// What AWS refused or did not heed.
    refusal: Option<Refusal>,
    /// What the kind itself remembers.
    state: Option<Box<dyn Any + Send>>,
}

/// A status that was sent to the API server, which has not confirmed it.
#[derive(Clone, Debug)]
pub(super) struct Unconfirmed<S> {
    /// The last status that the API server has taken, whose changes are not yet told in events.
    pub(super) before: S,
    /// The status that was sent last.
    pub(super) sent: S,
    /// Whether the API server may have it all the same: it did not refuse it.
    pub(super) may_be_stored: bool,
}

/// Writes without success. They are not sent again before their time, whatever triggers the object.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    writes: Vec<Write>,
    pub(super) outcome: Outcome,
    pub(super) until: Instant,
}

/// How long a status that the served definition does not take whole is not written again: the
/// definition may be another one by then.
const NARROWED: Duration = Duration::from_secs(600);

/// How long a watch may lag behind our own writes before we stop waiting for it.
const WATCH_LAG: Duration = Duration::from_secs(5);

impl Default for ObjectState {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            generation: (None, Instant::now()),
            failures: Backoff::default(),
            unwritten: Backoff::default(),
            waits: Backoff::default(),
            steps: Backoff::default(),
            unconfirmed: None,
            released: false,
            queued: None,
            forgiven: None,
            written: None,
            narrowed: None,
            refusal: None,
            state: None,
        }
    }
}

impl ObjectState {
    /// What the kind itself remembers of the object, at first the default.
    pub(crate) fn of_kind<T: Default + Send + 'static>(&mut self) -> &mut T {
        if !self.state.as_ref().is_some_and(|state| state.is::<T>()) {
            self.state = Some(Box::<T>::default());
        }
        self.state
            .as_mut()
            .and_then(|state| state.downcast_mut())
            .unwrap_or_else(|| unreachable!("it has this type"))
    }

    /// How long it has been known.
    pub(crate) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// For how long passes have ended in trouble.
    pub(crate) fn failing(&self) -> Duration {
        self.failures
            .since
            .map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// The wait after trouble.
    pub(super) fn after_failure(&mut self, limits: Limits) -> Duration {
        self.failures.next(limits, Instant::now())
    }

    /// The wait after a write that the API server did not take, and whether it is the first in a
    /// row.
    pub(super) fn after_unwritten(&mut self, limits: Limits) -> (Duration, bool) {
        let is_first = self.unwritten.since.is_none();
        (self.unwritten.next(limits, Instant::now()), is_first)
    }

    /// The wait for something that is not there yet. Looking for it went well.
    pub(super) fn after_wait(&mut self, limits: Limits) -> Duration {
        (self.failures, self.steps) = Default::default();
        self.waits.next(limits, Instant::now())
    }

    /// The wait before the next of several steps.
    pub(super) fn after_step(&mut self, limits: Limits) -> Duration {
        (self.failures, self.waits) = Default::default();
        self.steps.next(limits, Instant::now())
    }

    /// A step came to something: the next one need not wait.
    pub(super) fn advanced(&mut self) {
        self.steps = Backoff::default();
    }

    /// A pass went well.
    pub(super) fn forgive(&mut self) {
        (self.failures, self.waits, self.steps) = Default::default();
        self.refusal = None;
    }

    /// How long this generation has been known.
    pub(super) fn age_of(&mut self, generation: Option<i64>) -> Duration {
        if self.generation.0 != generation {
            self.generation = (generation, Instant::now());
        }
        self.generation.1.elapsed()
    }

    /// Our finalizer has been taken off: what the watch still shows with it is from before.
    pub(super) fn release(&mut self) {
        self.released = true;
    }

    /// Whether our finalizer has been taken off.
    pub(super) fn is_released(&self) -> bool {
        self.released
    }

    /// Resets the backoff for a reconcile request, once per request.
    pub(super) fn forgive_for(&mut self, request: Option<String>) {
        if self.forgiven != request {
            self.forgiven = request;
            self.forgive();
        }
    }

    /// A pass ended, in the queue or not.
    pub(super) fn queues(&mut self, queued: bool) {
        self.queued = if queued {
            self.queued.or_else(|| Some(Instant::now()))
        } else {
            None
        };
    }

    /// How long it has been in the queue.
    pub(super) fn queued(&self) -> Duration {
        self.queued.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// `writes` came to nothing, and are worth another try after `wait`.
    pub(super) fn refuse(&mut self, writes: Vec<Write>, outcome: Outcome, wait: Duration) {
        self.refusal = Some(Refusal {
            writes,
            outcome,
            until: Instant::now() + wait,
        });
    }

    /// What AWS refused may succeed now: what the object refers to has changed since.
    pub(super) fn forget_refusal(&mut self) {
        (self.refusal, self.failures) = Default::default();
    }

    /// Why not to send `writes` now. Other writes than those refused are a new attempt.
    pub(super) fn refused(&self, writes: &[Write]) -> Option<Refusal> {
        self.refusal
            .clone()
            .filter(|refusal| refusal.writes == writes && refusal.until > Instant::now())
    }

    /// A write of the status failed, or its reply got lost: the API server may have another status
    /// than the watch shows until now, and the next pass goes on from the one that was sent.
    pub(super) fn doubt_status<S: Send + 'static>(
        &mut self,
        Unconfirmed {
            before,
            sent,
            may_be_stored,
        }: Unconfirmed<S>,
    ) {
        self.unconfirmed = Some(Unconfirmed {
            before: Box::new(before),
            sent: Box::new(sent),
            may_be_stored,
        });
    }

    /// The API server has the status that the object shall have.
    pub(super) fn confirm_status(&mut self) {
        self.unconfirmed = None;
    }

    /// The status that was sent and is not confirmed. One that may be stored is to be written again,
    /// even if the watch shows the same.
    pub(super) fn unconfirmed<S: Clone + 'static>(&self) -> Option<Unconfirmed<S>> {
        let status = |it: &Box<dyn Any + Send>| it.downcast_ref::<S>().cloned();
        let unconfirmed = self.unconfirmed.as_ref()?;
        Some(Unconfirmed {
            before: status(&unconfirmed.before)?,
            sent: status(&unconfirmed.sent)?,
            may_be_stored: unconfirmed.may_be_stored,
        })
    }

    /// Whether it is unknown which status the API server has.
    pub(crate) fn is_status_unknown(&self) -> bool {
        self.unconfirmed.is_some()
    }

    /// We wrote the object, and the API server answered with this resource version.
    pub(super) fn wrote(&mut self, resource_version: Option<&str>) {
        self.unwritten = Backoff::default();
        self.unconfirmed = None;
        self.written = resource_version
            .and_then(|version| version.parse().ok())
            .map(|version| (version, Instant::now()));
    }

    /// A status was written without what the served definition lacks.
    pub(super) fn narrow(&mut self, status: String) {
        self.narrowed = Some((status, Instant::now()));
    }

    /// Whether just this status was written lately without what the served definition lacks.
    pub(super) fn is_narrowed(&self, status: impl FnOnce() -> String) -> bool {
        let lately = self
            .narrowed
            .as_ref()
            .filter(|(_, at)| at.elapsed() < NARROWED);
        lately.is_some_and(|(narrowed, _)| *narrowed == status())
    }

    /// Whether an object of this resource version is older than our own last write to it. Resource
    /// versions of one kind can be compared since Kubernetes 1.35, and always could where etcd is
    /// behind them.
    pub(super) fn is_outdated(&self, resource_version: Option<&str>) -> bool {
        let seen = resource_version.and_then(|version| version.parse::<u64>().ok());
        self.written
            .zip(seen)
            .is_some_and(|((ours, at), seen)| seen < ours && at.elapsed() < WATCH_LAG)
    }
}

impl ObjectStates {
    /// Works with the state of one object.
    pub(crate) fn with<T>(&self, uid: &str, work: impl FnOnce(&mut ObjectState) -> T) -> T {
        let mut states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        work(states.entry(uid.to_owned()).or_default())
    }

    /// Forgets an object that is gone.
    pub(crate) fn forget(&self, uid: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = (Duration::from_secs(1), Duration::from_secs(60));

    #[test]
    fn backoff_doubles_up_to_its_limit_and_starts_again_after_success() {
        let (mut backoff, mut now) = (Backoff::default(), Instant::now());
        for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
            let wait = backoff.next(LIMITS, now);
            let seconds = wait.as_secs_f64();
            assert!(
                (f64::from(expected) * 0.75..=f64::from(expected)).contains(&seconds),
                "{seconds} for {expected}"
            );
            now += wait;
        }
        let mut state = ObjectState {
            failures: backoff,
            ..ObjectState::default()
        };
        state.forgive();
        assert!(state.after_failure(LIMITS) <= Duration::from_secs(1));
    }

    #[test]
    fn a_pass_that_something_triggers_makes_no_wait_longer() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        let wait = backoff.next(LIMITS, now);
        for _ in 0..100 {
            assert_eq!(
                backoff.next(LIMITS, now + wait / 2),
                (now + wait).duration_since(now + wait / 2)
            );
        }
        assert!(
            backoff.next(LIMITS, now + wait) <= Duration::from_secs(2),
            "the second, and not the hundredth"
        );
    }

    #[test]
    fn a_step_that_came_to_something_does_not_delay_the_next() {
        let mut state = ObjectState::default();
        for _ in 0..5 {
            state.steps.due = None;
            state.after_step(LIMITS);
        }
        state.advanced();
        assert!(state.after_step(LIMITS) <= Duration::from_secs(1));
    }

    #[test]
    fn waiting_and_failing_are_counted_on_their_own() {
        let mut state = ObjectState::default();
        let long = (Duration::from_secs(300), Duration::from_secs(300));
        for _ in 0..5 {
            state.waits.due = None;
            state.after_wait(LIMITS);
        }
        assert!(
            state.after_failure(LIMITS) <= Duration::from_secs(1),
            "the first failure after a long wait"
        );
        state.after_failure(long);
        state.after_wait(LIMITS);
        assert!(
            state.after_failure(LIMITS) <= Duration::from_secs(1),
            "a look went well in between"
        );
    }

    #[test]
    fn an_object_older_than_our_own_write_is_outdated() {
        let mut state = ObjectState::default();
        assert!(!state.is_outdated(Some("7")));
        state.wrote(Some("10"));
        assert!(state.is_outdated(Some("9")));
        assert!(!state.is_outdated(Some("10")));
        assert!(!state.is_outdated(Some("11")));
        assert!(!state.is_outdated(None));
    }
}
