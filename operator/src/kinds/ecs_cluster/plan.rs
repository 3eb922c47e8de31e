//! The plan of an EcsCluster. Pure.

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::{EcsCluster, EcsClusterStatus};
use serde_json::{Map, Value, json};

use super::capacity::{self, has_capacity};
use super::observed::{Cluster, ObservedCluster};
use super::shape::CAPACITY;
use super::shape::{OWN_MEMBERS, RESETS};
use crate::aws::drift::drift;
use crate::aws::ecs;
use crate::aws::tags::{Owner, Ownership, SPEC_HASH, Tags};
use crate::k8s::annotations::is_asked;
use crate::k8s::object::Object;
use crate::reconcile::ignore::with_ignored_fields;
use crate::reconcile::plan::{
    Obstacle, Plan, UNKNOWN_HASH, Write, absent, hash, is_accepted, pick, request, tagged_hash,
    tagged_hashes, top,
};
use crate::reconcile::reset::{completed, with_resets};
use crate::reconcile::tagged::{Tagged, left};

/// Members that UpdateCluster changes.
const UPDATABLE: [&str; 3] = ["settings", "configuration", NAMESPACE];

/// The configuration of ECS Exec.
const EXEC: &str = "configuration.executeCommandConfiguration";

/// The member with the default namespace of Service Connect.
const NAMESPACE: &str = "serviceConnectDefaults";

pub(super) fn plan(object: &EcsCluster, observed: &ObservedCluster, owner: &Owner) -> Plan {
    if object.is_deleting() {
        return delete(object, observed, owner);
    }
    let name = object.cluster_name();
    let what = format!("cluster {name}");
    let Some(cluster) = &observed.cluster else {
        return Plan::Write(vec![create(object, observed, owner)]);
    };
    let policies = &object.spec.policies;
    let present = cluster.tags();
    let tagged = Tagged {
        tagging: ecs::TAGGING,
        what: &what,
        arn: &cluster.cluster_arn,
        tags: &present,
    };
    if let Some(plan) = tagged.claim("clusterName", owner, policies) {
        return plan;
    }
    if cluster.status != "ACTIVE" && cluster.status != "FAILED" {
        return Plan::pause(Reason::Busy, format!("{what} is {}", cluster.status));
    }
    let applied = object.applied_members();
    let spec = with_resets(&request(&object.spec, OWN_MEMBERS), applied, RESETS);
    let spec = with_ignored_fields(spec, &cluster.json, policies);
    let desired = tags(object, &present, owner);
    let sent = is_namespace_sent(object, &present, owner);
    // ECS tries to attach them again when they are sent again, which a user can ask for.
    let retries = cluster.has_failed_to_attach() && has_capacity(object) && is_asked(object);
    let capacity = capacity::put(&name, &spec, observed, cluster, retries);
    let obstacle = match &observed.provider_obstacle {
        Some(obstacle) => Some(obstacle.clone()),
        None if cluster.is_attaching() => Some(still_attaching(&what)),
        None => None,
    };
    let obstacle = obstacle.filter(|_| capacity.is_some());
    let capacity = capacity.filter(|_| obstacle.is_none());
    let mut writes: Vec<Write> = update(&name, &spec, cluster, sent)
        .into_iter()
        .chain(capacity)
        .collect();
    let managed = object.managed_tags();
    writes.extend(tagged.tag_writes(&desired, managed, policies));
    match obstacle {
        Some(obstacle) if writes.is_empty() => Plan::Wait(obstacle),
        _ => Plan::writes(writes),
    }
}

/// ECS refuses PutClusterCapacityProviders until then (UpdateInProgressException).
fn still_attaching(what: &str) -> Obstacle {
    Obstacle {
        reason: Reason::Busy,
        message: format!("{what} is still attaching its former capacity providers"),
        passing: true,
        all_else_sent: false,
    }
}

/// Whether ECS was sent the Service Connect namespace of the spec, by the status and the tags.
fn is_namespace_sent(object: &EcsCluster, present: &Tags, owner: &Owner) -> bool {
    let status = object.status.as_ref();
    let accepted = status.and_then(|status| status.hidden_hash.as_deref());
    let hidden = namespace(object);
    match (is_accepted(accepted, &hidden), present.0.get(SPEC_HASH)) {
        (Some(accepted), _) => accepted,
        (None, Some(sent)) => tagged_hashes(owner, &hidden.into()).contains(sent),
        // An observed cluster without an owner is assumed to match the spec.
        (None, None) => {
            let applied = object.applied_members();
            let mut applied = applied.into_iter().flatten();
            owner.of(present) == Ownership::Nobody || applied.any(|path| path == NAMESPACE)
        }
    }
}

fn create(object: &EcsCluster, observed: &ObservedCluster, owner: &Owner) -> Write {
    let name = object.cluster_name();
    let mut request = request(&object.spec, OWN_MEMBERS);
    if observed.provider_obstacle.is_some() {
        // They are attached when they are there: Managed Instances need the cluster before.
        request.retain(|member, _| !CAPACITY.contains(&member.as_str()));
    }
    request.insert("clusterName".to_owned(), name.clone().into());
    request.insert(
        "tags".to_owned(),
        tags(object, &Tags::default(), owner).write(ecs::SERVICE.tag_shape),
    );
    Write {
        operation: ecs::CreateCluster,
        request: request.into(),
        note: format!("Created cluster {name}"),
    }
}

/// The tags that the cluster shall carry: those of the spec, the owner, and, once there was a
/// Service Connect namespace in the spec, the hash of it.
fn tags(object: &EcsCluster, present: &Tags, owner: &Owner) -> Tags {
    let mut tags = owner.desired(object.spec.tags.as_deref());
    let namespace = namespace(object);
    if !namespace.is_empty() || present.0.contains_key(SPEC_HASH) {
        tags.0
            .insert(SPEC_HASH.to_owned(), tagged_hash(owner, &namespace.into()));
    }
    tags
}

/// Remembers the Service Connect namespace that these writes have brought to ECS.
pub(super) fn remember_sent(
    object: &EcsCluster,
    status: &mut EcsClusterStatus,
    accepted: &[Write],
    unanswered: Option<&Write>,
) {
    let has_it = |write: &&Write| write.request.get(NAMESPACE).is_some();
    if accepted.iter().any(|write| has_it(&write)) {
        status.hidden_hash = Some(hash(&namespace(object).into()));
    }
    if unanswered.is_some_and(|write| has_it(&write) && write.operation == ecs::UpdateCluster) {
        status.hidden_hash = Some(UNKNOWN_HASH.to_owned());
    }
}

/// The Service Connect namespace of the spec, unless it is left to others.
fn namespace(object: &EcsCluster) -> Map<String, Value> {
    pick(
        &with_ignored_fields(
            request(&object.spec, OWN_MEMBERS),
            &Value::Null,
            &object.spec.policies,
        ),
        &[NAMESPACE],
    )
}

/// `sent` is whether ECS was sent the namespace that the spec has, as far as the tags tell.
fn update(name: &str, spec: &Map<String, Value>, cluster: &Cluster, sent: bool) -> Option<Write> {
    let mut desired = pick(spec, &UPDATABLE);
    if sent && may_be_the_namespace(&desired, cluster) {
        desired.remove(NAMESPACE);
    }
    let paths = drift(&desired.clone().into(), &cluster.json);
    let changed = desired
        .into_iter()
        .filter(|(member, _)| paths.iter().any(|path| top(path) == member));
    let complete = |(member, value): (String, Value)| {
        (
            member.clone(),
            completed(&member, &value, &cluster.json[&member], RESETS),
        )
    };
    let mut request: Map<_, _> = changed.map(complete).collect();
    // Without any member ECS would not replace the configuration of ECS Exec.
    if paths.iter().any(|path| path.starts_with(EXEC))
        && request["configuration"]["executeCommandConfiguration"].is_null()
    {
        request["configuration"]["executeCommandConfiguration"] = json!({"logging": "DEFAULT"});
    }
    if request.is_empty() {
        return None;
    }
    request.insert("cluster".to_owned(), name.into());
    let note = format!("Updated cluster {name}: {}", paths.join(", "));
    Some(Write {
        operation: ecs::UpdateCluster,
        request: request.into(),
        note,
    })
}

/// Whether the spec names the namespace and ECS shows an ARN: it ends in an ID that says nothing of
/// the name. Then the hash of what was sent, in a tag of the cluster, tells whether the spec has
/// changed since.
fn may_be_the_namespace(desired: &Map<String, Value>, cluster: &Cluster) -> bool {
    let is_arn = |namespace: &str| namespace.starts_with("arn:");
    let wanted = desired
        .get(NAMESPACE)
        .and_then(|defaults| defaults["namespace"].as_str());
    let shown = cluster.json[NAMESPACE]["namespace"].as_str();
    wanted
        .zip(shown)
        .is_some_and(|(wanted, shown)| !wanted.is_empty() && !is_arn(wanted) && is_arn(shown))
}

fn delete(object: &EcsCluster, observed: &ObservedCluster, owner: &Owner) -> Plan {
    if object.spec.policies.retains() {
        if observed.dependants.is_empty() {
            let cluster = observed.cluster.as_ref();
            let what = format!("cluster {}", object.cluster_name());
            return cluster.map_or(Plan::Gone, |cluster| {
                Tagged {
                    tagging: ecs::TAGGING,
                    what: &what,
                    arn: &cluster.cluster_arn,
                    tags: &cluster.tags(),
                }
                .retain(owner, &object.spec.policies)
            });
        }
        // The cluster stays, but what refers to it learns from this object what it is called in ECS.
        let message = format!(
            "waits until nothing refers to it: {}",
            observed.dependants.words()
        );
        return observed.dependants.block(message);
    }
    let name = object.cluster_name();
    let Some(cluster) = &observed.cluster else {
        return absent(&format!("cluster {name}"), observed.may_be_there);
    };
    let ownership = owner.of(&cluster.tags());
    if ownership != Ownership::Ours {
        let known = object
            .status
            .as_ref()
            .and_then(|status| status.cluster_arn.as_deref());
        return left(
            &format!("cluster {name}"),
            &ownership,
            known,
            &object.spec.policies,
        );
    }
    if cluster.status == "DEPROVISIONING" {
        return Plan::pause(
            Reason::Deleting,
            format!("cluster {name} is DEPROVISIONING"),
        );
    }
    if let Some(write) = capacity::detach(&name, observed, cluster) {
        return if cluster.is_attaching() {
            Plan::Wait(still_attaching(&format!("cluster {name}")))
        } else {
            Plan::Write(vec![write])
        };
    }
    let blockers = blockers(observed, cluster);
    if !blockers.is_empty() {
        let message = format!(
            "cluster {name} is not empty and waits until these are gone: {}",
            blockers.join("; ")
        );
        return observed.dependants.block(message);
    }
    let note = format!("Deleted cluster {name}");
    Plan::Write(vec![Write {
        operation: ecs::DeleteCluster,
        request: json!({"cluster": name}),
        note,
    }])
}

fn blockers(observed: &ObservedCluster, cluster: &Cluster) -> Vec<String> {
    let instances = cluster
        .registered_container_instances_count
        .unwrap_or_default();
    let instances = if instances > 0 {
        instances.to_string()
    } else {
        String::new()
    };
    let lists = [
        ("service in ECS", observed.blockers.services.join(", ")),
        ("task in ECS", observed.blockers.tasks.join(", ")),
        ("container instances in ECS", instances),
    ];
    let in_ecs = lists
        .iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(kind, list)| format!("{kind} {list}"));
    let words = observed.dependants.words();
    let dependants = (!words.is_empty()).then_some(words);
    dependants.into_iter().chain(in_ecs).collect()
}
