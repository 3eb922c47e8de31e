//! The capacity providers of a cluster: which it refers to, attaches, and detaches at its end.

use std::collections::BTreeSet;

use ecs_operator_crds::v1beta1::{EcsCapacityProvider, EcsCluster};
use futures::future::try_join_all;
use kube::ResourceExt;
use serde_json::{Map, Value, json};

use super::observed::{Cluster, ObservedCluster};
use super::shape::CAPACITY;
use crate::aws::drift::drift;
use crate::aws::ecs::{self, CapacityProviderKey};
use crate::aws::observer::Answer;
use crate::aws::{AwsError, Freshness, name_in};
use crate::k8s::object::Object;
use crate::kinds::capacity::{own_names, references_to, targets};
use crate::reconcile::plan::{Obstacle, Write, pick};
use crate::reconcile::references::{Dependants, obstacle as why_not_ready};
use crate::reconcile::{Pass, Reference, Stores};
use crate::trigger::ObjectId;

/// Whether the spec has capacity providers or a default strategy, or had them.
pub(super) fn has_capacity(object: &EcsCluster) -> bool {
    let spec = &object.spec;
    let applied = object.applied_members();
    let mut applied = applied.into_iter().flatten();
    spec.capacity_providers.is_some()
        || spec.default_capacity_provider_strategy.is_some()
        || applied.any(|member| CAPACITY.contains(&member.as_str()))
}

/// Names of the capacity providers that the spec lists.
fn listed(object: &EcsCluster) -> BTreeSet<String> {
    let listed = object.spec.capacity_providers.iter().flatten();
    own_names(listed.map(String::as_str))
}

/// Names of the capacity providers in the default strategy of the spec.
fn in_strategy(object: &EcsCluster) -> BTreeSet<String> {
    let strategy = object.spec.default_capacity_provider_strategy.iter();
    own_names(
        strategy
            .flatten()
            .map(|item| item.capacity_provider.as_str()),
    )
}

/// The EcsCapacityProviders of the namespace whose providers the spec names.
pub(super) fn references(object: &EcsCluster) -> Vec<Reference> {
    references_to(&listed(object) | &in_strategy(object))
}

/// Names of the providers that the cluster lists in ECS.
fn shown(cluster: &Cluster) -> impl Iterator<Item = &str> {
    let shown = cluster.json["capacityProviders"].as_array();
    shown.into_iter().flatten().filter_map(Value::as_str)
}

/// Why a provider of the spec that the cluster does not have yet, in its list or in its default
/// strategy, cannot be attached: its EcsCapacityProvider is not ready. ECS judges those that no
/// EcsCapacityProvider stands for.
pub(super) fn obstacle(
    object: &EcsCluster,
    cluster: Option<&Cluster>,
    stores: &Stores,
) -> Option<Obstacle> {
    let namespace = object.namespace();
    let has = |cluster: &Cluster| {
        let strategy = own_names(ecs::strategy_of(&cluster.json));
        (own_names(shown(cluster)), strategy)
    };
    let (attached, used) = cluster.map(has).unwrap_or_default();
    let fields = [
        ("spec.capacityProviders", &listed(object) - &attached),
        (
            "spec.defaultCapacityProviderStrategy",
            &in_strategy(object) - &used,
        ),
    ];
    let missing = fields
        .iter()
        .flat_map(|(field, names)| names.iter().map(move |name| (*field, name)));
    missing
        .flat_map(|(field, name)| {
            let targets = targets(stores, namespace.as_deref(), name).into_iter();
            targets.map(move |target| (field, target))
        })
        .find_map(|(field, target)| why_not_active(field, &target, stores))
}

/// Why the provider of an EcsCapacityProvider cannot be attached. It need not match the spec, only
/// be ACTIVE.
fn why_not_active(field: &str, target: &ObjectId, stores: &Stores) -> Option<Obstacle> {
    let namespace = target.namespace.as_deref().unwrap_or_default();
    let why = why_not_ready::<EcsCapacityProvider>(stores, namespace, field, &target.name, false)?;
    let provider = stores.of::<EcsCapacityProvider>().get(&target.object_ref());
    let state = provider
        .filter(|provider| !provider.is_deleting())
        .and_then(|provider| provider.status.as_ref()?.status.clone());
    (state.as_deref() != Some("ACTIVE")).then_some(why)
}

/// Names of the providers of EcsCapacityProviders that refer to the cluster: they are Managed
/// Instances.
pub(super) fn of_dependants(dependants: &Dependants, stores: &Stores) -> BTreeSet<String> {
    let dependants = dependants.objects.iter();
    let providers = dependants
        .filter(|object| object.kind == "EcsCapacityProvider")
        .filter_map(|object| stores.of::<EcsCapacityProvider>().get(&object.object_ref()));
    providers.map(|provider| provider.provider_name()).collect()
}

/// Managed Instances providers among those that the spec or ECS has. They belong to their cluster
/// from their creation on: ECS shows them in its list, and PutClusterCapacityProviders refuses them
/// and does not remove them (hashicorp/terraform-provider-aws#46346, #44783).
pub(super) async fn managed_instances(
    object: &EcsCluster,
    pass: &Pass<'_, ObservedCluster>,
    cluster: Option<&Cluster>,
) -> Result<BTreeSet<String>, AwsError> {
    let Some(cluster) = cluster.filter(|_| has_capacity(object)) else {
        return Ok(BTreeSet::new());
    };
    let names = &listed(object) | &own_names(shown(cluster));
    let namespace = pass.namespace();
    let looks = names.iter().map(async |name| {
        let key = CapacityProviderKey {
            cluster: Some(object.cluster_name()),
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

/// The write that attaches the capacity providers of the spec; `retries` sends it also if nothing
/// differs.
pub(super) fn put(
    name: &str,
    spec: &Map<String, Value>,
    observed: &ObservedCluster,
    cluster: &Cluster,
    retries: bool,
) -> Option<Write> {
    let mut desired = Value::Object(pick(spec, &CAPACITY));
    let mut shown = json!({});
    for member in CAPACITY {
        shown[member] = cluster.json[member].clone();
    }
    for providers in [&mut desired, &mut shown] {
        if let Some(providers) = providers
            .get_mut("capacityProviders")
            .and_then(Value::as_array_mut)
        {
            providers.retain(|provider| {
                !observed
                    .managed_instances
                    .contains(name_in(provider.as_str().unwrap_or_default()))
            });
        }
    }
    let paths = drift(&desired, &shown);
    if paths.is_empty() && !retries {
        return None;
    }
    let member = |name: &str| {
        [&desired, &shown]
            .into_iter()
            .find_map(|from| from[name].as_array())
            .cloned()
            .unwrap_or_default()
    };
    let paths = if paths.is_empty() {
        CAPACITY.map(str::to_owned).into()
    } else {
        paths
    };
    let [providers, strategy] = CAPACITY.map(member);
    Some(replace(name, &providers, &strategy, &paths.join(", ")))
}

/// The write that replaces the list and the default strategy; `changed` names the members for its
/// note.
fn replace(name: &str, providers: &[Value], strategy: &[Value], changed: &str) -> Write {
    Write {
        operation: ecs::PutClusterCapacityProviders,
        request: json!({
            "cluster": name,
            "capacityProviders": providers,
            "defaultCapacityProviderStrategy": strategy,
        }),
        note: format!("Updated cluster {name}: {changed}"),
    }
}

/// The write that takes Managed Instances providers out of the default strategy of a cluster that is
/// being deleted: ECS deletes such a provider before its cluster, and refuses to while the strategy
/// names it. Services of the cluster go first.
pub(super) fn detach(name: &str, observed: &ObservedCluster, cluster: &Cluster) -> Option<Write> {
    let leaving = &observed.managed_instances;
    let is_leaving = |name: &str| leaving.contains(name_in(name));
    if observed.dependants.may_have("EcsService")
        || !ecs::strategy_of(&cluster.json).any(is_leaving)
    {
        return None;
    }
    let kept = |member: &str, name_of: fn(&Value) -> &Value| -> Vec<Value> {
        let items = cluster.json[member].as_array().into_iter().flatten();
        let is_kept = |item: &&Value| !name_of(item).as_str().is_some_and(is_leaving);
        items.filter(is_kept).cloned().collect()
    };
    let [listed, strategy] = CAPACITY;
    Some(replace(
        name,
        &kept(listed, |item| item),
        &kept(strategy, |item| &item["capacityProvider"]),
        strategy,
    ))
}
