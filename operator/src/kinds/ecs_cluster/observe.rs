//! Observes an EcsCluster: the cluster as ECS describes it, and at its deletion also its services
//! and tasks.

use std::collections::BTreeSet;

use ecs_operator_crds::v1beta1::EcsCluster;
use futures::future::try_join_all;
use serde_json::Value;
use tokio::time::Instant;

use super::observed::Cluster;
use super::observed::ObservedCluster;
use super::observed::read;
use super::plan::has_capacity;
use crate::aws::ecs::{self, CapacityProviderKey, ClusterKey};
use crate::aws::observer::Answer;
use crate::aws::{AwsError, Freshness, name_in};
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
    observed.managed_instances = managed_instances(object, pass, observed.cluster.as_ref()).await?;
    if is_end && observed.cluster.is_some() {
        observed.blockers = ecs::blockers(&pass.aws.observer, &name, namespace).await?;
    }
    observed.dependants = dependants;
    Ok(observed)
}

/// Managed Instances providers among those that the spec or ECS has. They belong to their cluster
/// from their creation on: ECS shows them in its list, and PutClusterCapacityProviders refuses them
/// and does not remove them (hashicorp/terraform-provider-aws#46346, #44783).
async fn managed_instances(
    object: &EcsCluster,
    pass: &Pass<'_, ObservedCluster>,
    cluster: Option<&Cluster>,
) -> Result<BTreeSet<String>, AwsError> {
    let Some(cluster) = cluster.filter(|_| !object.is_deleting()) else {
        return Ok(BTreeSet::new());
    };
    if !has_capacity(object) {
        return Ok(BTreeSet::new());
    }
    let listed = object.spec.capacity_providers.as_deref();
    let wanted: BTreeSet<_> = listed
        .unwrap_or_default()
        .iter()
        .map(|name| name_in(name).to_owned())
        .collect();
    let shown = cluster.json["capacityProviders"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let shown: BTreeSet<_> = shown.map(|name| name_in(name).to_owned()).collect();
    let namespace = pass.namespace();
    let looks = wanted
        .union(&shown)
        .filter(|name| !name.starts_with("FARGATE"))
        .map(async |name| {
            let key = CapacityProviderKey {
                cluster: object.cluster_name(),
                name: name.clone(),
            };
            let seen = pass
                .aws
                .observer
                .cache::<CapacityProviderKey>()
                .get(key, Freshness::Any, namespace)
                .await?;
            let is_managed = |provider: &Value| {
                provider["type"] == "MANAGED_INSTANCES"
                    || provider["managedInstancesProvider"].is_object()
            };
            Ok(
                matches!(&seen.answer, Answer::Found(provider) if is_managed(provider))
                    .then(|| name.clone()),
            )
        });
    // Together, so that the observer reads them with one call.
    Ok(try_join_all(looks).await?.into_iter().flatten().collect())
}
