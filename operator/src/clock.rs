//! The present time of day. Durations are measured with tokio's clock instead.

use std::sync::OnceLock;

use k8s_openapi::jiff::Timestamp;

static SOURCE: OnceLock<fn() -> Timestamp> = OnceLock::new();

/// The present time: that of the machine, or what the function of [`set`] returns.
#[must_use]
pub fn now() -> Timestamp {
    SOURCE.get().map_or_else(Timestamp::now, |source| source())
}

/// Takes the time of day from `source` in the whole process, for tests with a clock of their own.
/// Returns whether it is the first source; a later one is not used.
pub fn set(source: fn() -> Timestamp) -> bool {
    SOURCE.set(source).is_ok()
}
