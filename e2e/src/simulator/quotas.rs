//! Request quotas: a token bucket for each family of operations. Source: "Request throttling for
//! the Amazon ECS API", ECS API reference.

use std::collections::BTreeMap;

use super::clock::Moment;
use super::refusal::Refusal;

/// Families of operations: calls at once, and calls per second after that.
const FAMILIES: &[(&[&str], i64, i64)] = &[
    (
        &[
            "CreateCluster",
            "DeleteCluster",
            "PutClusterCapacityProviders",
            "UpdateCluster",
            "UpdateClusterSettings",
        ],
        20,
        1,
    ),
    (&["DescribeClusters", "ListClusters"], 50, 20),
    (
        &["DeregisterTaskDefinition", "RegisterTaskDefinition"],
        20,
        1,
    ),
    (&["DeleteTaskDefinitions"], 5, 1),
    (
        &[
            "DescribeTaskDefinition",
            "ListTaskDefinitionFamilies",
            "ListTaskDefinitions",
        ],
        50,
        20,
    ),
    (&["CreateService", "DeleteService", "UpdateService"], 50, 5),
    (&["DescribeServices", "ListServices"], 100, 20),
    (
        &["DescribeServiceDeployments", "ListServiceDeployments"],
        50,
        20,
    ),
    (&["DescribeServiceRevisions"], 50, 20),
    (
        &[
            "CreateCapacityProvider",
            "DeleteCapacityProvider",
            "UpdateCapacityProvider",
        ],
        10,
        1,
    ),
    (&["DescribeCapacityProviders"], 50, 20),
    (&["RunTask", "StopTask"], 100, 40),
    (&["DescribeTasks", "ListTasks"], 100, 20),
    (&["TagResource", "UntagResource"], 20, 10),
    (&["ListTagsForResource"], 50, 20),
];

/// The buckets of one account and Region.
#[derive(Clone, Debug, Default)]
pub(super) struct Quotas(BTreeMap<usize, Bucket>);

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// In thousandths, so that a rate per second is one per millisecond.
    tokens: i64,
    filled: Moment,
}

impl Quotas {
    /// Takes a token for a call at this time. AWS publishes no quota of operations without a
    /// family.
    pub(super) fn take(&mut self, operation: &str, now: Moment) -> Result<(), Refusal> {
        let is_in =
            |(_, (operations, ..)): &(usize, &(&[&str], i64, i64))| operations.contains(&operation);
        let Some((family, (_, burst, rate))) = FAMILIES.iter().enumerate().find(is_in) else {
            return Ok(());
        };
        let full = burst * 1000;
        let bucket = self.0.entry(family).or_insert(Bucket {
            tokens: full,
            filled: now,
        });
        let elapsed = i64::try_from(now.since(bucket.filled).as_millis()).unwrap_or(i64::MAX);
        bucket.tokens = full.min(bucket.tokens + elapsed.saturating_mul(*rate));
        bucket.filled = now;
        if bucket.tokens < 1000 {
            return Err(Refusal::new("ThrottlingException", "Rate exceeded"));
        }
        bucket.tokens -= 1000;
        Ok(())
    }
}
