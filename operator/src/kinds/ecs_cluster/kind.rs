//! EcsCluster as the driver sees it.

use ecs_operator_crds::v1beta1::{EcsCluster, EcsClusterStatus};

use super::observed::ObservedCluster;
use super::shape::{OWN_MEMBERS, RESETS};
use super::{apply, capacity, observe, plan, status};
use crate::aws::ecs::ClusterKey;
use crate::aws::observer::PolledKey;
use crate::aws::tags::Owner;
use crate::aws::{AwsError, Freshness, Permit};
use crate::reconcile::kind::After;
use crate::reconcile::plan::{Plan, Write};
use crate::reconcile::{Kind, Observed, Pass, Reference, Report, Shape, Stores};

impl Kind for EcsCluster {
    type Observed = ObservedCluster;

    const SHAPE: Shape = Shape {
        identity: &["clusterName"],
        own_members: OWN_MEMBERS,
        resets: RESETS,
        sent_by: &[],
        refers_to: &["EcsCapacityProvider"],
    };

    fn aws_name(&self) -> Option<String> {
        Some(self.cluster_name())
    }

    fn references(&self) -> Vec<Reference> {
        capacity::references(self)
    }

    fn cluster(&self, _: &Stores) -> Option<String> {
        Some(self.cluster_name())
    }

    async fn observe(
        &self,
        pass: &Pass<'_, ObservedCluster>,
        freshness: Freshness,
    ) -> Result<Observed<ObservedCluster>, AwsError> {
        Ok(observed(
            self,
            observe::observe(self, pass, freshness).await?,
        ))
    }

    fn plan(&self, observed: &ObservedCluster, owner: &Owner) -> Plan {
        plan::plan(self, observed, owner)
    }

    async fn apply(
        &self,
        pass: &Pass<'_, ObservedCluster>,
        before: &ObservedCluster,
        write: &Write,
        permit: Permit,
    ) -> Result<Observed<ObservedCluster>, AwsError> {
        let after = apply::apply(self, pass, before, write, permit).await?;
        Ok(observed(
            self,
            ObservedCluster {
                managed_instances: before.managed_instances.clone(),
                provider_obstacle: before.provider_obstacle.clone(),
                ..after
            },
        ))
    }

    fn report(&self, after: &After<'_, ObservedCluster>) -> Report<EcsClusterStatus> {
        status::report(self, after)
    }
}

/// The cluster is polled as often as the state of the object asks for.
fn observed(object: &EcsCluster, value: ObservedCluster) -> Observed<ObservedCluster> {
    let polled = vec![(PolledKey::new(ClusterKey(object.cluster_name())), None)];
    Observed {
        read_at: Some(value.at),
        unconfirmed: value.may_be_there,
        urgent: false,
        polled,
        value,
    }
}
