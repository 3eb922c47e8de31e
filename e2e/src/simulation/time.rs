//! Virtual time: it passes when everything waits, and goes on from one process to the next.

use std::cell::Cell;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;

use crate::simulator::Moment;

/// When every simulation begins: 2026-01-01T00:00:00Z.
const BEGIN: Moment = Moment(1_767_225_600_000);

thread_local! {
    /// The present moment at some instant of the tokio runtime that runs on this thread.
    static ANCHOR: Cell<(Moment, Option<Instant>)> = const { Cell::new((BEGIN, None)) };
}

/// The present moment of the simulation on this thread.
pub(super) fn now() -> Moment {
    let (moment, since) = ANCHOR.get();
    moment + since.map_or(Duration::ZERO, |since| since.elapsed())
}

/// Time since the simulation began.
pub(super) fn elapsed() -> Duration {
    now().since(BEGIN)
}

/// Starts at the beginning.
pub(super) fn reset() {
    ANCHOR.set((BEGIN, None));
}

/// Goes on in the tokio runtime that has just started on this thread.
pub(super) fn resume() {
    ANCHOR.set((ANCHOR.get().0, Some(Instant::now())));
}

/// Stands still until the next runtime starts.
pub(super) fn pause() {
    ANCHOR.set((now(), None));
}

/// The present moment as a time of day, for the operator and for objects.
pub(super) fn time_of_day() -> Timestamp {
    Timestamp::from_millisecond(now().0).unwrap_or_default()
}

/// Lets time pass while no runtime runs.
pub(super) fn pass(time: Duration) {
    ANCHOR.set((ANCHOR.get().0 + time, None));
}
