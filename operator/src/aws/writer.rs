//! The one place through which every write to AWS goes.
//!
//! AWS grants each action family a token bucket per account and Region. The writer keeps to a share of it, and slows down where AWS
//! throttles all the same. It never makes a caller wait: it hands out a [`Permit`] or names the moment when the caller's turn comes,
//! and the caller plans afresh then.

mod bucket;
mod queue;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::operation::ActionFamily;
use super::{Calls, Fault, FaultClass, Operation};
use bucket::Bucket;

/// Calls may reach AWS by this many seconds closer together than they were sent: for so many there is always a token left over there.
const JITTER: f64 = 0.3;

/// Sends writes within the budget of one account and Region.
#[derive(Debug)]
pub struct Writer {
    calls: Arc<Calls>,
    budget: Budget,
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
    pub fn new(calls: Arc<Calls>, share: Option<f64>) -> Self {
        let budget = Budget { share, buckets: Arc::default() };
        let _ = calls.metrics.state().budget.set(budget.clone());
        Self { calls, budget }
    }

    /// The rights to send all of `operations` now.
    ///
    /// # Errors
    /// When the budget of one of them is used up: the moment of this object's turn. Its places in the queues are kept.
    pub fn permits(&self, operations: &[Operation], asker: Asker<'_>) -> Result<Vec<Permit>, Instant> {
        for waited in self.budget.draw(operations, asker, Instant::now())? {
            self.calls.metrics.write_waited(waited.0, waited.1);
        }
        let permit = |operation: &Operation| Permit { operation: *operation, budget: Some(self.budget.clone()) };
        Ok(operations.iter().map(permit).collect())
    }

    /// Checks that it is this object's turn to send all of `operations`, without taking a token. Its places in the queues are kept until it
    /// obtains its permits or [withdraws](Self::withdraw), so that no other object takes its turn.
    ///
    /// # Errors
    /// As [`permits`](Self::permits).
    pub fn await_turn(&self, operations: &[Operation], asker: Asker<'_>) -> Result<(), Instant> {
        let mut buckets = self.budget.buckets();
        self.budget.turn(&mut buckets, operations, asker, Instant::now()).map(drop)
    }

    /// Gives up the places of an object that has nothing to write any more.
    pub fn withdraw(&self, namespace: &str, uid: &str) {
        let asker = Asker { namespace, uid, urgency: Urgency::Asked };
        for bucket in self.budget.buckets().values_mut() {
            bucket.withdraw(asker);
        }
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

/// Number of tokens by family, and one of the operations that need them.
type Needed = BTreeMap<ActionFamily, (u32, Operation)>;

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
        let (mut buckets, now) = (self.buckets(), Instant::now());
        let standing = buckets.iter_mut().map(|(family, bucket)| {
            bucket.refill(now);
            let [asked, repairs] = bucket.waiting();
            Standing { family: *family, rate: bucket.rate(), asked, repairs }
        });
        standing.collect()
    }

    /// Tokens that the operations need, by family, once there is one for each.
    fn turn(
        &self,
        buckets: &mut HashMap<ActionFamily, Bucket>,
        operations: &[Operation],
        asker: Asker<'_>,
        now: Instant,
    ) -> Result<Needed, Instant> {
        let Some(share) = self.share else { return Ok(Needed::new()) };
        let mut needed = Needed::new();
        for operation in operations {
            needed.entry(operation.family()).or_insert((0, *operation)).0 += 1;
        }
        for family in needed.keys() {
            if let Some(bucket) = buckets.get_mut(family) {
                bucket.keep(asker, now);
            }
        }
        // The scarcest first, and no further than to the first that has to be waited for: whoever waits for one holds up nobody in
        // the queue of another.
        let mut families: Vec<_> = needed.iter().map(|(family, (count, _))| (*family, *count)).collect();
        families.sort_by(|(one, _), (other, _)| one.bucket().1.total_cmp(&other.bucket().1));
        for (family, count) in families {
            buckets.entry(family).or_insert_with(|| full(family, share, now)).turn(asker, count, now)?;
        }
        Ok(needed)
    }

    /// A token for each operation, or none for any; and how long each was waited for.
    fn draw(&self, operations: &[Operation], asker: Asker<'_>, now: Instant) -> Result<Vec<(Operation, Duration)>, Instant> {
        let mut buckets = self.buckets();
        let needed = self.turn(&mut buckets, operations, asker, now)?;
        let draw = |(family, (count, operation))| Some((operation, buckets.get_mut(&family)?.draw(asker, count, now)));
        Ok(needed.into_iter().filter_map(draw).collect())
    }

    /// Works with the bucket that an operation has drawn on.
    fn with(&self, operation: Operation, work: impl FnOnce(&mut Bucket)) {
        if let Some(bucket) = self.buckets().get_mut(&operation.family()) {
            work(bucket);
        }
    }

    fn buckets(&self) -> MutexGuard<'_, HashMap<ActionFamily, Bucket>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The full bucket of a family, as far as it is ours.
fn full(family: ActionFamily, share: f64, now: Instant) -> Bucket {
    let (burst, per_second) = family.bucket();
    let (burst, per_second) = (burst * share, per_second * share);
    Bucket::new(burst - (per_second * JITTER).max(1.0), per_second, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKER: Asker<'_> = Asker { namespace: "shop", uid: "web", urgency: Urgency::Asked };

    fn budget(share: f64) -> Budget {
        Budget { share: Some(share), buckets: Arc::default() }
    }

    #[test]
    fn a_small_share_still_lets_one_call_through() {
        let (budget, start) = (budget(0.1), Instant::now());
        let draw = |uid| budget.draw(&[Operation::CreateCluster], Asker { uid, ..ASKER }, start).map(drop);
        assert_eq!(draw("a"), Ok(()));
        assert_eq!(draw("b"), Err(start + Duration::from_secs(10)));
    }

    #[test]
    fn a_plan_waits_for_all_it_needs_and_keeps_its_places() {
        let (budget, start) = (budget(0.1), Instant::now());
        let plan = [Operation::UpdateCluster, Operation::PutClusterCapacityProviders, Operation::TagResource];
        assert!(budget.draw(&[Operation::TagResource], Asker { uid: "other", ..ASKER }, start).is_ok());
        let second = Duration::from_secs(1);
        assert_eq!(budget.draw(&plan, ASKER, start), Err(start + second), "there is no token for the tag");
        let behind = Asker { uid: "behind", ..ASKER };
        assert!(budget.draw(&[Operation::UpdateCluster], behind, start).is_err(), "nobody overtakes it");
        let waited = budget.draw(&plan, ASKER, start + second).expect("its turn");
        assert_eq!(waited.len(), 2, "one for each family: {waited:?}");
    }

    #[test]
    fn who_waits_for_one_family_holds_up_nobody_in_another() {
        let (budget, start) = (budget(0.1), Instant::now());
        let plan = [Operation::UpdateService, Operation::TagResource];
        let names: Vec<_> = (0..50).map(|number| number.to_string()).collect();
        let mut crowd = names.iter().map(|uid| Asker { uid, ..ASKER });
        while budget.draw(&[Operation::UpdateService], crowd.next().expect("the bucket is small"), start).is_ok() {}
        for asker in crowd {
            assert!(budget.draw(&plan, asker, start).is_err());
        }
        let alone = Asker { uid: "tags alone", ..ASKER };
        assert!(budget.draw(&[Operation::TagResource], alone, start + Duration::from_secs(2)).is_ok());
    }

    #[test]
    fn a_permit_that_is_not_used_goes_back() {
        let (budget, start) = (budget(0.05), Instant::now());
        let draw = |uid| budget.draw(&[Operation::UpdateCluster], Asker { uid, ..ASKER }, start);
        assert!(draw("a").is_ok());
        drop(Permit { operation: Operation::UpdateCluster, budget: Some(budget.clone()) });
        assert!(draw("b").is_ok(), "it is there again");
        assert!(draw("c").is_err());
        assert_eq!(budget.standing().iter().map(|family| family.asked).sum::<usize>(), 1);
    }
}
