//! Keeps reads to our share of the rates that AWS publishes.
//!
//! What somebody waits for takes a token at once, if need be one of the future, and waits for it. Regular looks leave half of the bucket
//! to those, and take longer where there is too much to look at.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::operation::ActionFamily;

/// The part of a bucket that regular looks leave to what somebody waits for.
const RESERVE: f64 = 0.5;

/// The buckets of all families of reads.
#[derive(Debug)]
pub(super) struct ReadBudget {
    /// Share of the published quota that is ours; `None` reads without limit.
    share: Option<f64>,
    buckets: Mutex<HashMap<ActionFamily, Bucket>>,
}

impl ReadBudget {
    pub(super) fn new(share: Option<f64>) -> Self {
        Self { share, buckets: Mutex::default() }
    }

    /// Awaits that one more call may be sent.
    pub(super) async fn admit(&self, family: ActionFamily) {
        if let Some(wait) = self.with(family, Bucket::take).filter(|wait| !wait.is_zero()) {
            tokio::time::sleep(wait).await;
        }
    }

    /// Awaits that there is a token left over for a regular look, which takes it by [`admit`](Self::admit) before it waits for anything
    /// else, so that many who wait do not all find the same one.
    pub(super) async fn spare(&self, family: ActionFamily) {
        while let Some(wait) = self.with(family, Bucket::lack).filter(|wait| !wait.is_zero()) {
            tokio::time::sleep(wait).await;
        }
    }

    fn with(&self, family: ActionFamily, work: impl FnOnce(&mut Bucket, Instant) -> Duration) -> Option<Duration> {
        let (share, now) = (self.share?, Instant::now());
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(family).or_insert_with(|| {
            let (burst, per_second) = family.bucket();
            Bucket { burst: burst * share, per_second: per_second * share, tokens: burst * share, at: now }
        });
        Some(work(bucket, now))
    }
}

/// A token bucket that lends tokens of the future.
#[derive(Debug)]
struct Bucket {
    burst: f64,
    per_second: f64,
    /// Below zero while somebody waits.
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// Takes a token, and answers how long to wait for it.
    fn take(&mut self, now: Instant) -> Duration {
        self.refill(now);
        self.tokens -= 1.0;
        self.until(0.0)
    }

    /// How long it takes until there is a token beside the reserve.
    fn lack(&mut self, now: Instant) -> Duration {
        self.refill(now);
        self.until((self.burst * RESERVE + 1.0).min(self.burst))
    }

    fn until(&self, tokens: f64) -> Duration {
        Duration::from_secs_f64(((tokens - self.tokens) / self.per_second).max(0.0))
    }

    fn refill(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + seconds * self.per_second).min(self.burst);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn who_waits_goes_before_regular_looks() {
        let start = Instant::now();
        let mut bucket = Bucket { burst: 10.0, per_second: 2.0, tokens: 10.0, at: start };
        assert_eq!(bucket.lack(start), Duration::ZERO);
        for _ in 0..5 {
            assert_eq!(bucket.take(start), Duration::ZERO);
        }
        assert_eq!(bucket.lack(start), Duration::from_millis(500), "half of it is for others");
        for _ in 0..5 {
            assert_eq!(bucket.take(start), Duration::ZERO);
        }
        assert_eq!(bucket.take(start), Duration::from_millis(500));
        assert_eq!(bucket.take(start), Duration::from_secs(1));
        assert_eq!(bucket.lack(start), Duration::from_secs(4));
    }

    #[tokio::test]
    async fn without_a_share_nobody_waits() {
        let budget = ReadBudget::new(None);
        for _ in 0..1000 {
            budget.admit(ActionFamily::ServiceRead).now_or_never().expect("it goes at once");
        }
        budget.spare(ActionFamily::ServiceRead).now_or_never().expect("nobody goes before it");
    }
}
