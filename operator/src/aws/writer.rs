//! The one place through which every write to AWS goes.
//!
//! AWS grants each action family a token bucket per account and Region. The writer keeps to a share of it. It never makes
//! a caller wait: it hands out a [`Permit`] or names the moment when the caller's turn comes, and the caller plans afresh
//! then.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::operation::ActionFamily;
use super::{Calls, Fault, Operation};

/// How long a turn waits for a caller that does not come back, because its object is gone or needs no write any more.
const TURN_KEPT: Duration = Duration::from_secs(30);

/// Sends writes within the budget of one account and Region.
#[derive(Debug)]
pub struct Writer {
    calls: Arc<Calls>,
    /// Share of the published quota that is ours, above 0 and at most 1; `None` sends without limit.
    share: Option<f64>,
    buckets: Mutex<HashMap<ActionFamily, Bucket>>,
}

/// The right to send one write, now.
#[derive(Debug)]
#[must_use = "a permit has taken a token from the budget"]
pub struct Permit {
    operation: Operation,
}

impl Writer {
    /// A writer that uses `share` of the published quota; `None` means no limit.
    #[must_use]
    pub fn new(calls: Arc<Calls>, share: Option<f64>) -> Self {
        Self { calls, share, buckets: Mutex::default() }
    }

    /// The right to send `operation` now, for the object with this UID.
    ///
    /// # Errors
    /// When the budget is used up: the moment of this object's turn. The turn is kept for it for a while.
    pub fn permit(&self, operation: Operation, uid: &str) -> Result<Permit, Instant> {
        if let (Some(share), Some(family)) = (self.share, operation.family()) {
            let now = Instant::now();
            let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
            buckets.entry(family).or_insert_with(|| Bucket::new(family, share, now)).take(uid, now)?;
        }
        Ok(Permit { operation })
    }

    /// Takes back a permit that is not used.
    pub fn give_back(&self, Permit { operation }: Permit) {
        let Some(family) = operation.family() else { return };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get_mut(&family) {
            bucket.give_back();
        }
    }

    /// Sends the write that `permit` allows.
    ///
    /// # Errors
    /// As [`Calls::send`].
    pub async fn send(&self, permit: Permit, request: &Value) -> Result<Value, Fault> {
        let Permit { operation } = permit;
        self.calls.send(operation, request).await
    }
}

/// A token bucket with turns: who finds it empty is given the moment of the next token nobody waits for.
#[derive(Debug)]
struct Bucket {
    burst: f64,
    per_second: f64,
    /// Tokens there are, less those promised to turns; below zero while objects wait.
    tokens: f64,
    at: Instant,
    turns: HashMap<String, Instant>,
}

impl Bucket {
    fn new(family: ActionFamily, share: f64, now: Instant) -> Self {
        let (burst, per_second) = family.bucket();
        let burst = (burst * share).max(1.0);
        Self { burst, per_second: per_second * share, tokens: burst, at: now, turns: HashMap::new() }
    }

    fn give_back(&mut self) {
        self.tokens = (self.tokens + 1.0).min(self.burst);
    }

    fn take(&mut self, uid: &str, now: Instant) -> Result<(), Instant> {
        self.turns.retain(|_, turn| *turn + TURN_KEPT > now);
        match self.turns.get(uid) {
            Some(turn) if *turn > now => return Err(*turn),
            Some(_) => {
                self.turns.remove(uid);
                return Ok(());
            }
            None => {}
        }
        let grown = now.duration_since(self.at).as_secs_f64() * self.per_second;
        self.tokens = (self.tokens + grown).min(self.burst) - 1.0;
        self.at = now;
        if self.tokens >= 0.0 {
            return Ok(());
        }
        let turn = now + Duration::from_secs_f64(-self.tokens / self.per_second);
        self.turns.insert(uid.to_owned(), turn);
        Err(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_one_turn_after_the_other() {
        let start = Instant::now();
        let mut bucket = Bucket::new(ActionFamily::ServiceModify, 0.5, start);
        let burst = (0..100).map(|n| bucket.take(&format!("b{n}"), start)).take_while(Result::is_ok).count();
        assert_eq!(burst, 25);
        // The one that ended the burst has the first turn.
        let second = start + Duration::from_millis(800);
        assert_eq!(bucket.take("second", start), Err(second));
        assert_eq!(bucket.take("second", start), Err(second), "asking again costs no second turn");
        assert_eq!(bucket.take("third", start), Err(start + Duration::from_millis(1200)));
        assert_eq!(bucket.take("second", second), Ok(()));
    }

    #[test]
    fn what_is_given_back_is_there_again() {
        let start = Instant::now();
        let mut bucket = Bucket::new(ActionFamily::ClusterModify, 0.1, start);
        assert_eq!((bucket.take("a", start), bucket.take("a", start)), (Ok(()), Ok(())));
        bucket.give_back();
        assert_eq!(bucket.take("b", start), Ok(()));
    }

    #[test]
    fn a_small_share_still_lets_one_call_through() {
        let start = Instant::now();
        let mut bucket = Bucket::new(ActionFamily::ClusterModify, 0.01, start);
        assert_eq!(bucket.take("a", start), Ok(()));
        assert_eq!(bucket.take("b", start), Err(start + Duration::from_secs(100)));
    }
}
