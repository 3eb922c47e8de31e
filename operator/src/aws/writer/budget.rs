//! The write quotas of one account and Region, and the objects that wait for them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::bucket::Bucket;
use super::requester::Requester;
use crate::aws::operation::{ActionFamily, Operation};
use crate::metrics::{AwsMetrics, Gauge};

/// Calls may reach AWS by this many seconds closer together than they were sent: for so many there
/// is always a token left over there.
const JITTER: f64 = 0.3;

/// The quotas, and the objects that wait for them.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    /// Share of the published quota that is ours, above 0 and at most 1; `None` sends without
    /// limit.
    share: Option<f64>,
    buckets: Arc<Mutex<HashMap<ActionFamily, Bucket>>>,
}

/// The right to send one write, now. Dropped, it goes back into the budget.
#[must_use = "a permit has taken a token from the budget"]
pub struct Permit {
    operation: Operation,
    /// Where it goes back to; `None` once it is used.
    budget: Option<Budget>,
}

impl Permit {
    pub(super) fn new(operation: Operation, budget: &Budget) -> Self {
        Self {
            operation,
            budget: Some(budget.clone()),
        }
    }

    /// Uses the permit up.
    pub(super) fn spend(mut self) -> Operation {
        self.budget = None;
        self.operation
    }

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

/// Number of tokens by family, and one of the operations that need them.
type Needed = BTreeMap<ActionFamily, (u32, Operation)>;

/// How a family of operations stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct QuotaUsage {
    /// Which.
    pub family: ActionFamily,
    /// Calls per second that are allowed at present.
    pub rate: f64,
    /// Objects in the queue with a change by a user.
    pub asked: usize,
    /// Objects that wait for a repair.
    pub repairs: usize,
}

impl Budget {
    /// The full budget of an account and Region.
    pub(super) fn new(share: Option<f64>) -> Self {
        Self {
            share,
            buckets: Arc::default(),
        }
    }

    pub(super) fn register(&self, metrics: &AwsMetrics) {
        let family = |family: ActionFamily| ("family", family.name().to_owned());
        let budget = self.clone();
        metrics.register(Gauge::AwsWriteRate, move || {
            budget
                .usage()
                .iter()
                .map(|standing| (vec![family(standing.family)], standing.rate))
                .collect()
        });
        let budget = self.clone();
        let waiting = move |QuotaUsage {
                                family: of,
                                rate: _,
                                asked,
                                repairs,
                            }| {
            [("user", asked), ("repair", repairs)].map(|(priority, waiting)| {
                let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
                (
                    vec![family(of), ("priority", priority.to_owned())],
                    f64::from(waiting),
                )
            })
        };
        metrics.register(Gauge::AwsWriteQueue, move || {
            budget.usage().into_iter().flat_map(waiting).collect()
        });
    }

    /// How each family stands that was drawn on.
    #[must_use]
    pub(super) fn usage(&self) -> Vec<QuotaUsage> {
        let (mut buckets, now) = (self.buckets(), Instant::now());
        let standing = buckets.iter_mut().map(|(family, bucket)| {
            bucket.refill(now);
            let [asked, repairs] = bucket.waiting();
            QuotaUsage {
                family: *family,
                rate: bucket.rate(),
                asked,
                repairs,
            }
        });
        standing.collect()
    }

    /// Whether there is a token for each operation, and it is the turn of `requester`.
    pub(super) fn turn(
        &self,
        operations: &[Operation],
        requester: Requester<'_>,
        now: Instant,
    ) -> Result<(), Instant> {
        self.turn_in(&mut self.buckets(), operations, requester, now)
            .map(drop)
    }

    /// Gives up the places of `requester`.
    pub(super) fn withdraw(&self, requester: Requester<'_>) {
        for bucket in self.buckets().values_mut() {
            bucket.withdraw(requester);
        }
    }

    /// Slows down because AWS throttled this operation.
    pub(super) fn slow_down(&self, operation: Operation, now: Instant) {
        self.with(operation, |bucket| bucket.slow_down(now));
    }

    /// Tokens that the operations need, by family, once there is one for each.
    fn turn_in(
        &self,
        buckets: &mut HashMap<ActionFamily, Bucket>,
        operations: &[Operation],
        requester: Requester<'_>,
        now: Instant,
    ) -> Result<Needed, Instant> {
        let Some(share) = self.share else {
            return Ok(Needed::new());
        };
        let mut needed = Needed::new();
        for operation in operations {
            needed
                .entry(operation.family())
                .or_insert((0, *operation))
                .0 += 1;
        }
        for family in needed.keys() {
            if let Some(bucket) = buckets.get_mut(family) {
                bucket.keep(requester, now);
            }
        }
        // The scarcest first, and no further than the first without a token: an object that waits in
        // one queue delays no object in another.
        let mut families: Vec<_> = needed
            .iter()
            .map(|(family, (count, _))| (*family, *count))
            .collect();
        families.sort_by(|(one, _), (other, _)| one.bucket().1.total_cmp(&other.bucket().1));
        for (family, count) in families {
            buckets
                .entry(family)
                .or_insert_with(|| full(family, share, now))
                .turn(requester, count, now)?;
        }
        Ok(needed)
    }

    /// A token for each operation, or none for any; and how long each was waited for.
    pub(super) fn draw(
        &self,
        operations: &[Operation],
        requester: Requester<'_>,
        now: Instant,
    ) -> Result<Vec<(Operation, Duration)>, Instant> {
        let mut buckets = self.buckets();
        let needed = self.turn_in(&mut buckets, operations, requester, now)?;
        let draw = |(family, (count, operation))| {
            Some((
                operation,
                buckets.get_mut(&family)?.draw(requester, count, now),
            ))
        };
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
    use crate::aws::ecs;
    use crate::aws::writer::requester::Priority;

    const REQUESTER: Requester<'_> = Requester {
        namespace: "shop",
        uid: "web",
        priority: Priority::User,
    };

    fn budget(share: f64) -> Budget {
        Budget {
            share: Some(share),
            buckets: Arc::default(),
        }
    }

    #[test]
    fn a_small_share_still_lets_one_call_through() {
        let (budget, start) = (budget(0.1), Instant::now());
        let draw = |uid| {
            budget
                .draw(&[ecs::CreateCluster], Requester { uid, ..REQUESTER }, start)
                .map(drop)
        };
        assert_eq!(draw("a"), Ok(()));
        assert_eq!(draw("b"), Err(start + Duration::from_secs(10)));
    }

    #[test]
    fn a_plan_waits_for_all_it_needs_and_keeps_its_places() {
        let (budget, start) = (budget(0.1), Instant::now());
        let plan = [
            ecs::UpdateCluster,
            ecs::PutClusterCapacityProviders,
            ecs::TagResource,
        ];
        assert!(
            budget
                .draw(
                    &[ecs::TagResource],
                    Requester {
                        uid: "other",
                        ..REQUESTER
                    },
                    start
                )
                .is_ok()
        );
        let second = Duration::from_secs(1);
        assert_eq!(
            budget.draw(&plan, REQUESTER, start),
            Err(start + second),
            "there is no token for the tag"
        );
        let behind = Requester {
            uid: "behind",
            ..REQUESTER
        };
        assert!(
            budget.draw(&[ecs::UpdateCluster], behind, start).is_err(),
            "nobody overtakes it"
        );
        let waited = budget
            .draw(&plan, REQUESTER, start + second)
            .expect("its turn");
        assert_eq!(waited.len(), 2, "one for each family: {waited:?}");
    }

    #[test]
    fn a_full_family_does_not_delay_another() {
        let (budget, start) = (budget(0.1), Instant::now());
        let plan = [ecs::UpdateService, ecs::TagResource];
        let names: Vec<_> = (0..50).map(|number| number.to_string()).collect();
        let mut crowd = names.iter().map(|uid| Requester { uid, ..REQUESTER });
        while budget
            .draw(
                &[ecs::UpdateService],
                crowd.next().expect("the bucket is small"),
                start,
            )
            .is_ok()
        {}
        for requester in crowd {
            assert!(budget.draw(&plan, requester, start).is_err());
        }
        let alone = Requester {
            uid: "tags alone",
            ..REQUESTER
        };
        assert!(
            budget
                .draw(&[ecs::TagResource], alone, start + Duration::from_secs(2))
                .is_ok()
        );
    }

    #[test]
    fn a_permit_that_is_not_used_goes_back() {
        let (budget, start) = (budget(0.05), Instant::now());
        let draw = |uid| budget.draw(&[ecs::UpdateCluster], Requester { uid, ..REQUESTER }, start);
        assert!(draw("a").is_ok());
        drop(Permit {
            operation: ecs::UpdateCluster,
            budget: Some(budget.clone()),
        });
        assert!(draw("b").is_ok(), "it is there again");
        assert!(draw("c").is_err());
        assert_eq!(
            budget
                .usage()
                .iter()
                .map(|family| family.asked)
                .sum::<usize>(),
            1
        );
    }
}
