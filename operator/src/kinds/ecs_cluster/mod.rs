//! EcsCluster.

mod apply;
mod observe;
mod plan;
mod status;
#[cfg(test)]
mod tests;

use ecs_operator_crds::v1beta1::{EcsCluster, EcsClusterStatus};

use crate::aws::observer::{ClusterKey, PolledKey};
use crate::aws::tags::Owner;
use crate::aws::{Fault, Freshness, Permit};
use crate::reconcile::kind::{After, Reset};
use crate::reconcile::plan::{Plan, Write};
use crate::reconcile::{Kind, Observed, Pass, Shape, Stores};
pub use observe::{Cluster, ObservedCluster};

/// Members of the spec that are ours and not the API's.
const OWN_MEMBERS: &[&str] = &[];

/// How each member is taken back that ECS keeps when an update leaves it out. What has no row, and is in no member that has one, stays
/// ([`STAYS`]).
pub const RESETS: &[Reset] = &[
    ("capacityProviders", "[]"),
    ("configuration.executeCommandConfiguration.kmsKeyId", "null"),
    ("configuration.executeCommandConfiguration.logConfiguration.cloudWatchEncryptionEnabled", "null"),
    ("configuration.executeCommandConfiguration.logConfiguration.cloudWatchLogGroupName", "null"),
    ("configuration.executeCommandConfiguration.logConfiguration.s3BucketName", "null"),
    ("configuration.executeCommandConfiguration.logConfiguration.s3EncryptionEnabled", "null"),
    ("configuration.executeCommandConfiguration.logConfiguration.s3KeyPrefix", "null"),
    ("configuration.executeCommandConfiguration.logging", r#""DEFAULT""#),
    ("defaultCapacityProviderStrategy", "[]"),
    ("serviceConnectDefaults", r#"{"namespace":""}"#),
];

/// Members of UpdateCluster that stay as they are in ECS when the spec drops them, and why. Their descriptions say so.
pub const STAYS: &[(&str, &str)] = &[
    ("configuration.managedStorageConfiguration", "no value is documented that takes a key back"),
    ("settings", "what the account setting says is not known here"),
];

impl Kind for EcsCluster {
    type Observed = ObservedCluster;

    const SHAPE: Shape = Shape { identity: &["clusterName"], own_members: OWN_MEMBERS, resets: RESETS, refers_to: &[] };

    fn aws_name(&self) -> Option<String> {
        Some(self.cluster_name())
    }

    fn cluster(&self, _: &Stores) -> Option<String> {
        Some(self.cluster_name())
    }

    async fn observe(&self, pass: &Pass<'_, Self>, freshness: Freshness) -> Result<Observed<ObservedCluster>, Fault> {
        Ok(observed(self, observe::observe(self, pass, freshness).await?))
    }

    fn plan(&self, observed: &ObservedCluster, owner: &Owner) -> Plan {
        plan::plan(self, observed, owner)
    }

    async fn apply(
        &self,
        pass: &Pass<'_, Self>,
        before: &ObservedCluster,
        write: &Write,
        permit: Permit,
    ) -> Result<Observed<ObservedCluster>, Fault> {
        let after = apply::apply(self, pass, before, write, permit).await?;
        Ok(observed(self, ObservedCluster { managed_instances: before.managed_instances.clone(), ..after }))
    }

    fn status_after(&self, after: &After<'_, ObservedCluster>) -> EcsClusterStatus {
        status::status(self, after.observed, after.outcome, after.now)
    }
}

/// The cluster is polled as often as the state of the object asks for.
fn observed(object: &EcsCluster, value: ObservedCluster) -> Observed<ObservedCluster> {
    let polled = vec![(PolledKey::new(ClusterKey(object.cluster_name())), None)];
    Observed { read_at: Some(value.at), unconfirmed: value.may_be_there, urgent: false, polled, value }
}
