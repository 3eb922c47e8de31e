//! Observes an EcsCluster: the cluster as ECS describes it, and at its deletion also its services
//! and tasks.

use ecs_operator_crds::v1beta1::EcsCluster;
use tokio::time::Instant;

use super::capacity;
use super::observed::{ObservedCluster, read};
use crate::aws::ecs::{self, ClusterKey};
use crate::aws::{AwsError, Freshness};
use crate::k8s::object::Object;
use crate::reconcile::Pass;
use crate::reconcile::references::Dependants;

pub(super) async fn observe(
    object: &EcsCluster,
    pass: &Pass<'_, ObservedCluster>,
    freshness: Freshness,
) -> Result<ObservedCluster, AwsError> {
    let name = object.cluster_name();
    let dependants = if object.is_deleting() {
        Dependants::of(object, &pass.context.stores)
    } else {
        Dependants::default()
    };
    // A deletion reads the services and tasks in the cluster, so it needs a fresh read. While
    // EcsServices are being deleted, they are enough to know.
    let is_end = object.is_deleting() && !dependants.leaving && !object.spec.policies.retains();
    let freshness = if is_end {
        Freshness::Confirmed(Instant::now())
    } else {
        freshness
    };
    let namespace = pass.namespace();
    pass.polls(ClusterKey(name.clone()));
    let seen = pass
        .aws
        .observer
        .cache::<ClusterKey>()
        .get(ClusterKey(name.clone()), freshness, namespace)
        .await?;
    let mut observed = read(seen)?;
    observed.may_be_there = observed.cluster.is_none()
        && pass
            .aws
            .observer
            .cache::<ClusterKey>()
            .may_be_there(&ClusterKey(name.clone()));
    if object.is_deleting() {
        observed.managed_instances = capacity::of_dependants(&dependants, &pass.context.stores);
    } else {
        let (cluster, stores) = (observed.cluster.as_ref(), &pass.context.stores);
        observed.provider_obstacle = capacity::obstacle(object, cluster, stores);
        observed.managed_instances = capacity::managed_instances(object, pass, cluster).await?;
    }
    if is_end && observed.cluster.is_some() {
        observed.blockers = ecs::blockers(&pass.aws.observer, &name, namespace).await?;
    }
    observed.dependants = dependants;
    Ok(observed)
}
