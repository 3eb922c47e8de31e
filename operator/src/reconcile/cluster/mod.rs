//! EcsCluster.

mod apply;
mod observe;
mod plan;
mod status;
#[cfg(test)]
mod tests;

use std::time::Instant;

use ecs_operator_crds::v1beta1::{EcsCluster, EcsClusterStatus};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::reflector::{ObjectRef, Store};

use super::plan::{Outcome, Plan, Write, request};
use super::reset::{Remembered, Reset, remember};
use super::{Context, Kind, Stores};
use crate::aws::observer::{ClusterKey, Pace};
use crate::aws::tags::Owner;
use crate::aws::{Fault, Freshness, Permit};
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

/// What the status remembers of the spec.
fn remembered(object: &EcsCluster) -> Option<Remembered> {
    let spec = &object.spec;
    Remembered::of(&request(spec, OWN_MEMBERS), spec.tags.as_deref(), &spec.policies, RESETS)
}

/// Names that only EcsCluster has.
pub trait ClusterExt {
    /// Name of the cluster in ECS.
    fn cluster_name(&self) -> String;
}

impl ClusterExt for EcsCluster {
    fn cluster_name(&self) -> String {
        self.spec.cluster_name.clone().unwrap_or_else(|| self.name_any())
    }
}

impl Kind for EcsCluster {
    const IDENTITY: &'static [&'static str] = &["clusterName"];
    type Observed = ObservedCluster;

    fn store(stores: &Stores) -> &Store<Self> {
        &stores.clusters
    }

    fn cluster_in_ecs(&self, _: &Stores) -> Option<String> {
        Some(self.cluster_name())
    }

    async fn observe(&self, context: &Context, freshness: Freshness) -> Result<ObservedCluster, Fault> {
        observe::observe(self, context, freshness).await
    }

    fn observed_at(observed: &ObservedCluster) -> Option<Instant> {
        Some(observed.at)
    }

    fn is_unanswered(observed: &ObservedCluster) -> bool {
        observed.may_be_there
    }

    fn plan(&self, observed: &ObservedCluster, owner: &Owner) -> Plan {
        plan::plan(self, observed, owner)
    }

    async fn apply(
        &self,
        context: &Context,
        observed: &ObservedCluster,
        write: &Write,
        permit: Permit,
    ) -> Result<ObservedCluster, Fault> {
        let after = apply::apply(self, context, observed, write, permit).await?;
        Ok(ObservedCluster { managed_instances: observed.managed_instances.clone(), ..after })
    }

    fn status_after(&self, observed: Option<&ObservedCluster>, outcome: &Outcome, now: Timestamp) -> EcsClusterStatus {
        status::status(self, observed, outcome, now)
    }

    fn remember(&self, status: &mut EcsClusterStatus, accepted: &[Write], unanswered: Option<&Write>) {
        let sent: Vec<_> = accepted.iter().chain(unanswered).collect();
        remember(&mut status.applied_members, &mut status.managed_tags, remembered(self), &sent);
    }

    fn watch(&self, context: &Context, _: Option<&ObservedCluster>, pace: Option<Pace>) {
        let (key, watcher) = (ClusterKey(self.cluster_name()), ObjectRef::from_obj(self));
        match pace {
            Some(pace) => context.aws.observer.clusters().watch(key, watcher, pace),
            None => context.aws.observer.clusters().unwatch(&watcher),
        }
    }

    fn invalidate(&self, context: &Context, _: &ObservedCluster) {
        context.aws.observer.clusters().invalidate(&ClusterKey(self.cluster_name()));
    }
}
