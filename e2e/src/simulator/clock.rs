//! The time of the simulator: that of the machine, or one that tests move.

use std::ops::Add;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// A moment, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

impl Moment {
    /// The moment as AWS writes it: seconds since 1970.
    #[must_use]
    pub fn json(self) -> Value {
        #[allow(
            clippy::cast_precision_loss,
            reason = "milliseconds of this century fit"
        )]
        let seconds = self.0 as f64 / 1000.0;
        seconds.into()
    }

    /// Time since an earlier moment; zero if it is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self(self.0 + i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock that all users of a simulator share.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Mutex<Option<Moment>>>);

impl Clock {
    /// The time of the machine.
    #[must_use]
    pub fn wall() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }

    /// A clock that starts at the present time and moves only when it is told to.
    #[must_use]
    pub fn stopped() -> Self {
        Self(Arc::new(Mutex::new(Some(machine()))))
    }

    /// Whether it moves only when a test moves it.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    /// The present time.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .unwrap_or_else(machine)
    }

    /// Moves a stopped clock.
    pub fn advance(&self, time: Duration) {
        let mut moment = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(moment) = &mut *moment {
            *moment = *moment + time;
        }
    }
}

fn machine() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Moment(0) + since.unwrap_or_default()
}
