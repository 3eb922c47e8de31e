//! Second door of EcsCluster: what has to be done. Pure.

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::EcsCluster;
use serde_json::{Map, Value, json};

use super::{Cluster, ClusterExt, Kind, OWN_MEMBERS, ObservedCluster, RESETS};
use crate::aws::Operation;
use crate::aws::drift::drift;
use crate::aws::tags::{Owner, Ownership};
use crate::reconcile::ignore::as_others_left_it;
use crate::reconcile::plan::{Plan, Write, claim, pick, request, tag_writes, top};
use crate::reconcile::reset::with_resets;

/// Members that UpdateCluster changes.
const UPDATABLE: [&str; 3] = ["settings", "configuration", "serviceConnectDefaults"];

/// Members that PutClusterCapacityProviders replaces, always both.
const CAPACITY: [&str; 2] = ["capacityProviders", "defaultCapacityProviderStrategy"];

pub(super) fn plan(object: &EcsCluster, observed: &ObservedCluster, owner: &Owner) -> Plan {
    if object.is_deleting() {
        return delete(object, observed, owner);
    }
    let name = object.cluster_name();
    let what = format!("cluster {name}");
    let Some(cluster) = &observed.cluster else {
        return Plan::Write(vec![create(object, owner)]);
    };
    let policies = &object.spec.policies;
    if let Some(plan) = claim(&what, &cluster.cluster_arn, &cluster.tags(), owner, policies) {
        return plan;
    }
    if cluster.status != "ACTIVE" && cluster.status != "FAILED" {
        return Plan::pause(Reason::Busy, format!("{what} is {}", cluster.status));
    }
    let applied = object.status.as_ref().and_then(|status| status.applied_members.as_deref());
    let spec = with_resets(&request(&object.spec, OWN_MEMBERS), applied, RESETS);
    let spec = as_others_left_it(spec, &cluster.json, policies);
    let mut writes: Vec<Write> = update(&name, &spec, cluster).into_iter().chain(put_capacity(&name, &spec, cluster)).collect();
    let desired = owner.desired(object.spec.tags.as_deref());
    let managed = object.status.as_ref().and_then(|status| status.managed_tags.as_deref());
    writes.extend(tag_writes(&what, &cluster.cluster_arn, &desired, &cluster.tags(), managed, policies));
    Plan::writes(writes)
}

fn create(object: &EcsCluster, owner: &Owner) -> Write {
    let name = object.cluster_name();
    let mut request = request(&object.spec, OWN_MEMBERS);
    request.insert("clusterName".to_owned(), name.clone().into());
    request.insert("tags".to_owned(), owner.desired(object.spec.tags.as_deref()).write());
    Write { operation: Operation::CreateCluster, request: request.into(), note: format!("Created cluster {name}") }
}

fn update(name: &str, spec: &Map<String, Value>, cluster: &Cluster) -> Option<Write> {
    let mut desired = pick(spec, &UPDATABLE);
    if is_same_namespace(&desired, cluster) {
        desired.remove("serviceConnectDefaults");
    }
    let paths = drift(&desired.clone().into(), &cluster.json);
    let mut request: Map<_, _> = desired.into_iter().filter(|(member, _)| paths.iter().any(|path| top(path) == member)).collect();
    if request.is_empty() {
        return None;
    }
    request.insert("cluster".to_owned(), name.into());
    let note = format!("Updated cluster {name}: {}", paths.join(", "));
    Some(Write { operation: Operation::UpdateCluster, request: request.into(), note })
}

/// ECS shows the Service Connect namespace as ARN even where a name was given; the ARN ends in an ID that says nothing of
/// the name. So a name is taken for in sync as soon as there is any namespace.
fn is_same_namespace(desired: &Map<String, Value>, cluster: &Cluster) -> bool {
    let wanted = desired.get("serviceConnectDefaults").and_then(|defaults| defaults["namespace"].as_str());
    let shown = cluster.json["serviceConnectDefaults"]["namespace"].as_str();
    wanted.zip(shown).is_some_and(|(wanted, shown)| wanted == shown || !(wanted.is_empty() || wanted.starts_with("arn:")))
}

fn put_capacity(name: &str, spec: &Map<String, Value>, cluster: &Cluster) -> Option<Write> {
    let desired = pick(spec, &CAPACITY);
    let paths = drift(&desired.clone().into(), &cluster.json);
    if paths.is_empty() {
        return None;
    }
    let member = |name: &str| desired.get(name).or_else(|| cluster.json.get(name)).cloned().unwrap_or_else(|| json!([]));
    let request = json!({
        "cluster": name,
        "capacityProviders": member("capacityProviders"),
        "defaultCapacityProviderStrategy": member("defaultCapacityProviderStrategy"),
    });
    let note = format!("Updated cluster {name}: {}", paths.join(", "));
    Some(Write { operation: Operation::PutClusterCapacityProviders, request, note })
}

fn delete(object: &EcsCluster, observed: &ObservedCluster, owner: &Owner) -> Plan {
    if object.spec.policies.retains() {
        if observed.dependants.names.is_empty() {
            return Plan::Gone;
        }
        // The cluster stays, but its services learn from this object what it is called in ECS.
        let message = format!("waits until no EcsService refers to it: {}", observed.dependants.names);
        return observed.dependants.block(message);
    }
    let Some(cluster) = &observed.cluster else { return Plan::Gone };
    if owner.of(&cluster.tags()) != Ownership::Ours {
        return Plan::Gone;
    }
    let name = object.cluster_name();
    if cluster.status == "DEPROVISIONING" {
        return Plan::pause(Reason::Deleting, format!("cluster {name} is DEPROVISIONING"));
    }
    let blockers = blockers(observed, cluster);
    if !blockers.is_empty() {
        let message = format!("cluster {name} is not empty and waits until these are gone: {}", blockers.join("; "));
        return observed.dependants.block(message);
    }
    let note = format!("Deleted cluster {name}");
    Plan::Write(vec![Write { operation: Operation::DeleteCluster, request: json!({"cluster": name}), note }])
}

fn blockers(observed: &ObservedCluster, cluster: &Cluster) -> Vec<String> {
    let instances = cluster.registered_container_instances_count.unwrap_or_default();
    let instances = if instances > 0 { instances.to_string() } else { String::new() };
    let lists = [
        ("EcsService", observed.dependants.names.clone()),
        ("service in ECS", observed.blockers.services.join(", ")),
        ("task in ECS", observed.blockers.tasks.join(", ")),
        ("container instances in ECS", instances),
    ];
    lists.iter().filter(|(_, list)| !list.is_empty()).map(|(kind, list)| format!("{kind} {list}")).collect()
}
