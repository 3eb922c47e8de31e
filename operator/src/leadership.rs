//! Whether this process is the one that may write: the one that holds the Lease.

use std::time::{Duration, Instant, SystemTime};

use k8s_openapi::api::coordination::v1::LeaseSpec;
use tokio::sync::watch;

use crate::metrics::{Gauge, Metrics};

/// Why a write is not sent.
pub(crate) const NOT_LEADER: &str = "this process is not the leader";

/// Of how many parts of the Lease's time one passes between two renewals. Whoever could not renew
/// it for two stops writing, so that one is left for clocks that differ.
pub(crate) const PARTS: u32 = 3;

/// What was last seen of the Lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) by: Option<String>,
    /// Until when its holder may write, by both clocks: one stands still in a machine that is
    /// paused, the other one can be set.
    pub(crate) until: Option<(Instant, SystemTime)>,
}

impl Held {
    /// What the Lease says now; the times in it are of the clock of its holder.
    pub(crate) fn read(spec: Option<LeaseSpec>, now: (Instant, SystemTime)) -> Self {
        let Some(LeaseSpec {
            holder_identity: by,
            renew_time: Some(renewed),
            lease_duration_seconds: Some(seconds),
            ..
        }) = spec
        else {
            return Self::default();
        };
        let duration = Duration::from_secs(seconds.try_into().unwrap_or_default());
        let good = duration * (PARTS - 1) / PARTS;
        let until = SystemTime::from(renewed.0) + good;
        // A clock that was set back makes no Lease longer.
        let left = until.duration_since(now.1).ok().map(|left| left.min(good));
        Self {
            by,
            until: left.map(|left| (now.0 + left, now.1 + left)),
        }
    }

    pub(crate) fn lets_write(&self, identity: &str) -> bool {
        self.by.as_deref() == Some(identity)
            && self
                .until
                .is_some_and(|(until, time)| Instant::now() < until && SystemTime::now() < time)
    }
}

/// Whether this process is the one that works.
#[derive(Clone, Debug)]
pub struct Leadership(pub(crate) Option<Candidate>);

/// A replica that takes part in the election.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) identity: String,
    pub(crate) held: watch::Receiver<Held>,
}

impl Leadership {
    /// That of a process that has no others beside it.
    #[must_use]
    pub fn always_leader() -> Self {
        Self(None)
    }

    /// That of a process that lost it.
    #[cfg(test)]
    pub(crate) fn lost_for_good() -> Self {
        let (_, held) = watch::channel(Held::default());
        Self(Some(Candidate {
            identity: "me".to_owned(),
            held,
        }))
    }

    /// Has metrics show whether this process is the leader.
    pub fn register(&self, metrics: &Metrics) {
        let leadership = self.clone();
        metrics.register(Gauge::Leader, move || {
            vec![(Vec::new(), f64::from(u8::from(leadership.holds())))]
        });
    }

    /// Whether this process may write now.
    #[must_use]
    pub fn holds(&self) -> bool {
        let Some(Candidate { identity, held }) = &self.0 else {
            return true;
        };
        held.borrow().lets_write(identity)
    }

    /// Awaits that this process may write.
    pub async fn acquired(&self) {
        let Some(Candidate { identity, held }) = &self.0 else {
            return;
        };
        if held
            .clone()
            .wait_for(|held| held.lets_write(identity))
            .await
            .is_err()
        {
            // The watch of the Lease has ended, and `lost` ends the operator.
            std::future::pending::<()>().await;
        }
    }

    /// Waits until this process loses the right to write, or can never get it.
    pub async fn lost(&self) {
        let Some(Candidate { identity, held }) = &self.0 else {
            return std::future::pending().await;
        };
        let mut held = held.clone();
        if held
            .wait_for(|held| held.lets_write(identity))
            .await
            .is_err()
        {
            return;
        }
        while self.holds() {
            let until = held
                .borrow_and_update()
                .until
                .map_or_else(Instant::now, |(until, _)| until);
            // The Lease changed, or its time is over, or its watch has ended.
            if let Ok(Err(_)) = tokio::time::timeout_at(until.into(), held.changed()).await {
                return;
            }
        }
    }
}
