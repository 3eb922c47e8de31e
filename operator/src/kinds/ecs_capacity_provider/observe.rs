//! Observes an EcsCapacityProvider: the provider as ECS describes it, and at its deletion also the
//! clusters that use it.

use ecs_operator_crds::v1beta1::{EcsCapacityProvider, EcsCluster};
use kube::ResourceExt;

use super::observed::ObservedCapacityProvider;
use crate::aws::ecs::{self, CapacityProviderKey, ClusterKey};
use crate::aws::observer::Answer;
use crate::aws::tags::Ownership;
use crate::aws::{AwsError, Freshness};
use crate::k8s::conditions::is_deletion_blocked;
use crate::k8s::object::Object;
use crate::kinds::cluster_reference::{ClusterReference, is_readable};
use crate::reconcile::plan::Obstacle;
use crate::reconcile::references::{Dependants, not_ready, target};
use crate::reconcile::{Pass, Stores};
use crate::trigger::ObjectId;

pub(super) async fn observe(
    object: &EcsCapacityProvider,
    pass: &Pass<'_, ObservedCapacityProvider>,
    freshness: Freshness,
) -> Result<ObservedCapacityProvider, AwsError> {
    let (stores, namespace) = (&pass.context.stores, pass.namespace());
    let known = known_cluster(object, stores);
    let reference = object.spec.cluster_ref.as_ref();
    let is_guess = reference.is_some() && known.is_none();
    let guess = reference.map(|reference| reference.name.clone());
    let key = CapacityProviderKey {
        cluster: known.or(guess),
        name: object.provider_name(),
    };
    let observed = ObservedCapacityProvider {
        cluster_obstacle: cluster_obstacle(object, stores),
        ..ObservedCapacityProvider::new(key.clone())
    };
    if is_guess {
        // In a cluster of another name would be another provider.
        is_readable(stores, namespace, ecs::DescribeCapacityProviders)?;
        if !object.is_deleting() {
            return Ok(observed);
        }
    }
    pass.polls(key.clone());
    let providers = pass.aws.observer.cache::<CapacityProviderKey>();
    let mut seen = providers.get(key.clone(), freshness, namespace).await?;
    if object.is_deleting() && !is_present(&seen.answer) {
        // The finalizer goes only after a fresh read.
        let fresh = Freshness::Confirmed(pass.began);
        seen = providers.get(key.clone(), fresh, namespace).await?;
    }
    let is_absent = !is_present(&seen.answer);
    let mut observed = observed.with(seen)?;
    observed.may_be_there = is_absent && providers.may_be_there(&key);
    if object.is_deleting() && !object.spec.policies.retains() {
        observed.dependants = dependants(object, &key, stores);
        if reads_clusters(object, pass, &observed) {
            observed.clusters = clusters(pass, &key).await?;
        }
    }
    Ok(observed)
}

/// Whether the provider is there, and not only the record of a creation that has failed.
fn is_present(answer: &Answer) -> bool {
    matches!(answer, Answer::Found(provider) if provider["status"] != "INACTIVE")
}

/// The name in ECS of the cluster of a Managed Instances provider; `None` for a provider of an Auto
/// Scaling group, and while the EcsCluster, which may give any name, was never seen.
pub(super) fn known_cluster(object: &EcsCapacityProvider, stores: &Stores) -> Option<String> {
    let (spec, status) = (&object.spec, object.status.as_ref());
    if spec.cluster_ref.is_none() && spec.cluster.is_none() {
        return None;
    }
    let reference = ClusterReference {
        namespace: object.metadata.namespace.as_deref(),
        reference: spec.cluster_ref.as_ref(),
        literal: spec.cluster.as_deref().unwrap_or_default(),
        seen: status.and_then(|status| status.cluster.as_deref()),
    };
    reference.known(stores)
}

/// Why the provider must wait for its EcsCluster. It needs the cluster to be ACTIVE in ECS, and not
/// more: the EcsCluster may wait for the provider, to name it in its default strategy.
fn cluster_obstacle(object: &EcsCapacityProvider, stores: &Stores) -> Option<Obstacle> {
    let name = &object.spec.cluster_ref.as_ref()?.name;
    let namespace = object.namespace().unwrap_or_default();
    let status = object.status.as_ref();
    let is_served = status.is_some_and(|status| status.capacity_provider_arn.is_some());
    let field = "spec.clusterRef";
    match target::<EcsCluster>(stores, &namespace, field, name, is_served) {
        Ok(cluster) => {
            let state = cluster
                .status
                .as_ref()
                .and_then(|status| status.status.as_deref());
            let message = format!("EcsCluster {name} is not ACTIVE in ECS yet");
            (state != Some("ACTIVE")).then(|| not_ready(message, true))
        }
        Err(obstacle) => Some(obstacle),
    }
}

/// The objects that refer to the provider, without the EcsCluster that it belongs to: that one waits
/// for the provider in its turn.
fn dependants(
    object: &EcsCapacityProvider,
    key: &CapacityProviderKey,
    stores: &Stores,
) -> Dependants {
    let is_own = |other: &ObjectId| {
        other.kind == "EcsCluster"
            && stores
                .of::<EcsCluster>()
                .get(&other.object_ref())
                .is_some_and(|cluster| Some(cluster.cluster_name()) == key.cluster)
    };
    Dependants::except(object, stores, is_own)
}

/// Whether clusters keep the object from being deleted: they are read right before the deletion,
/// and while the status says that there are some.
fn reads_clusters(
    object: &EcsCapacityProvider,
    pass: &Pass<'_, ObservedCapacityProvider>,
    observed: &ObservedCapacityProvider,
) -> bool {
    let Some(provider) = &observed.provider else {
        return false;
    };
    let is_blocked = is_deletion_blocked(object);
    let is_ours = pass.owner.of(&provider.tags()) == Ownership::Ours;
    // Without a fresh read, the driver observes again before it deletes.
    is_ours && observed.dependants.is_empty() && (is_blocked || observed.at >= pass.began)
}

/// Names of the clusters that use the provider. ECS removes a Managed Instances provider from the
/// list of its cluster, but not from the default strategy.
async fn clusters(
    pass: &Pass<'_, ObservedCapacityProvider>,
    key: &CapacityProviderKey,
) -> Result<Vec<String>, AwsError> {
    let (observer, namespace) = (&pass.aws.observer, pass.namespace());
    let Some(cluster) = &key.cluster else {
        return ecs::clusters_with(observer, &key.name, namespace).await;
    };
    let seen = observer
        .cache::<ClusterKey>()
        .get(
            ClusterKey(cluster.clone()),
            Freshness::Since(pass.began),
            namespace,
        )
        .await?;
    let uses = match &seen.answer {
        Answer::Found(json) => ecs::strategy_of(json).any(|name| name == key.name),
        Answer::Inactive | Answer::Missing => false,
    };
    Ok(uses.then(|| cluster.clone()).into_iter().collect())
}
