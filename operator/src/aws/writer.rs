//! The one place through which every write to AWS goes.
//!
//! AWS grants each action family a token bucket per account and Region. The writer keeps to a share of it, and slows down where AWS
//! throttles all the same. It never makes a caller wait: it hands out a [`Permit`] or names the moment when the caller's turn comes,
//! and the caller plans afresh then.

mod bucket;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::Value;

use super::operation::ActionFamily;
use super::{Calls, Fault, FaultClass, Operation};
use crate::metrics::Metrics;
use bucket::Bucket;

/// Calls may reach AWS by this many seconds closer together than they were sent: for so many there is always a token left over there.
const JITTER: f64 = 0.3;

/// Sends writes within the budget of one account and Region.
#[derive(Debug)]
pub struct Writer {
    calls: Arc<Calls>,
    budget: Budget,
    metrics: Arc<Metrics>,
}

/// What is left of the quotas, and who waits for them.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Share of the published quota that is ours, above 0 and at most 1; `None` sends without limit.
    share: Option<f64>,
    buckets: Arc<Mutex<HashMap<ActionFamily, Bucket>>>,
}

/// Who asks for a permit.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// Namespace of the object; turns go around the namespaces.
    pub namespace: &'a str,
    /// UID of the object.
    pub uid: &'a str,
    /// What it is for.
    pub urgency: Urgency,
}

/// What a write is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Somebody changed something and waits for it.
    Asked,
    /// Drift, or something that has had its time: it waits for the others.
    Repair,
}

/// The right to send one write, now. Dropped, it goes back into the budget.
#[must_use = "a permit has taken a token from the budget"]
pub struct Permit {
    operation: Operation,
    /// Where it goes back to; `None` once it is used.
    budget: Option<Budget>,
}

impl Permit {
    /// What may be sent.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.operation
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(budget) = self.budget.take() {
            budget.with(self.operation, Bucket::give_back);
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Permit").field(&self.operation).finish()
    }
}

impl Writer {
    /// A writer that uses `share` of the published quota; `None` means no limit.
    #[must_use]
    pub fn new(calls: Arc<Calls>, share: Option<f64>, metrics: Arc<Metrics>) -> Self {
        let budget = Budget { share, buckets: Arc::default() };
        let _ = metrics.state().budget.set(budget.clone());
        Self { calls, budget, metrics }
    }

    /// The right to send `operation` now.
    ///
    /// # Errors
    /// When the budget is used up: the moment of this object's turn. Its place in the queue is kept for a while.
    pub fn permit(&self, operation: Operation, asker: Asker<'_>) -> Result<Permit, Instant> {
        if let Some(waited) = self.budget.with(operation, |bucket| bucket.take(asker, Instant::now())) {
            self.metrics.write_waited(operation, waited?);
        }
        Ok(Permit { operation, budget: Some(self.budget.clone()) })
    }

    /// Sends the write that `permit` allows.
    ///
    /// # Errors
    /// As [`Calls::send`].
    pub async fn send(&self, mut permit: Permit, request: &Value) -> Result<Value, Fault> {
        permit.budget = None;
        let result = self.calls.send(permit.operation, request).await;
        if matches!(&result, Err(fault) if fault.class == FaultClass::Throttle) {
            self.budget.with(permit.operation, |bucket| bucket.slow_down(Instant::now()));
        }
        result
    }
}

/// How a family of operations stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// Which.
    pub family: ActionFamily,
    /// Calls per second that are allowed at present.
    pub rate: f64,
    /// Objects that wait for their turn because somebody changed something.
    pub asked: usize,
    /// Objects that wait for a repair.
    pub repairs: usize,
}

impl Budget {
    /// How each family stands that was drawn on.
    #[must_use]
    pub fn standing(&self) -> Vec<Standing> {
        let buckets = self.buckets();
        let standing = buckets.iter().map(|(family, bucket)| {
            let [asked, repairs] = bucket.waiting();
            Standing { family: *family, rate: bucket.rate(), asked, repairs }
        });
        standing.collect()
    }

    /// Works with the bucket that an operation draws on, where there is a limit.
    fn with<T>(&self, operation: Operation, work: impl FnOnce(&mut Bucket) -> T) -> Option<T> {
        let (share, family) = (self.share?, operation.family()?);
        let mut buckets = self.buckets();
        Some(work(buckets.entry(family).or_insert_with(|| {
            let (burst, per_second) = family.bucket();
            let (burst, per_second) = (burst * share, per_second * share);
            Bucket::new(burst - (per_second * JITTER).max(1.0), per_second, Instant::now())
        })))
    }

    fn buckets(&self) -> MutexGuard<'_, HashMap<ActionFamily, Bucket>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ASKER: Asker<'_> = Asker { namespace: "shop", uid: "web", urgency: Urgency::Asked };

    fn budget(share: f64) -> Budget {
        Budget { share: Some(share), buckets: Arc::default() }
    }

    #[test]
    fn a_small_share_still_lets_one_call_through() {
        let (budget, start) = (budget(0.01), Instant::now());
        let take = |asker| budget.with(Operation::CreateCluster, |bucket| bucket.take(asker, start)).expect("a limit");
        assert_eq!(take(ASKER), Ok(Duration::ZERO));
        let turn = take(Asker { uid: "api", ..ASKER }).expect_err("the bucket is empty");
        assert!(turn > start + Duration::from_secs(99) && turn <= start + Duration::from_secs(100));
    }

    #[test]
    fn a_permit_that_is_not_used_goes_back() {
        let budget = budget(0.05);
        let take = |uid| budget.with(Operation::UpdateCluster, |bucket| bucket.take(Asker { uid, ..ASKER }, Instant::now()));
        assert!(take("a").is_some_and(|taken| taken.is_ok()));
        drop(Permit { operation: Operation::UpdateCluster, budget: Some(budget.clone()) });
        assert!(take("b").is_some_and(|taken| taken.is_ok()), "it is there again");
        assert!(take("c").is_some_and(|taken| taken.is_err()));
        assert_eq!(budget.standing().iter().map(|family| family.asked).sum::<usize>(), 1);
    }
}
