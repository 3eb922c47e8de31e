//! The plan of an EcsCapacityProvider. Pure.

use ecs_operator_crds::RECONCILE_AT;
use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::EcsCapacityProvider;
use serde_json::{Map, Value};

use super::observed::{CapacityProvider, ObservedCapacityProvider};
use super::shape::{EXCLUSIVE, FIXED, GROUP, INSTANCES, OWN_MEMBERS, PROVIDERS, RESETS};
use crate::aws::drift::drift;
use crate::aws::ecs;
use crate::aws::name_in;
use crate::aws::tags::{Owner, Ownership, Tags};
use crate::k8s::annotations::is_asked;
use crate::k8s::object::Object;
use crate::reconcile::ignore::with_ignored_fields;
use crate::reconcile::plan::{Plan, Write, absent, hash, pick, request, top};
use crate::reconcile::reset::{completed, with_resets};
use crate::reconcile::tagged::{Tagged, left};

/// What the status remembers as accepted after DeleteCapacityProvider.
pub(super) const DELETED: &str = "deleted";

pub(super) fn plan(
    object: &EcsCapacityProvider,
    observed: &ObservedCapacityProvider,
    owner: &Owner,
) -> Plan {
    if object.is_deleting() {
        return delete(object, observed, owner);
    }
    let Some(provider) = &observed.provider else {
        return match &observed.cluster_obstacle {
            Some(obstacle) => Plan::Wait(obstacle.clone()),
            None => Plan::Write(vec![create(object, observed, owner)]),
        };
    };
    let what = what(observed);
    if provider.status == "INACTIVE" {
        // Only one whose creation failed is seen.
        return if is_known_failure(object, provider) {
            failed(&what, provider)
        } else {
            Plan::Write(vec![create(object, observed, owner)])
        };
    }
    let policies = &object.spec.policies;
    let present = provider.tags();
    let tagged = tagged(&what, provider, &present);
    let claim = tagged.claim("name", owner, policies);
    if let Some(plan @ (Plan::Stall(_) | Plan::Wait(_))) = claim {
        return plan;
    }
    let spec = with_resets(
        &request(&object.spec, OWN_MEMBERS),
        object.applied_members(),
        RESETS,
    );
    let spec = with_ignored_fields(spec, &provider.json, policies);
    // One that cannot match the spec is not adopted.
    if let Some(message) = immovable(&what, &spec, provider) {
        return Plan::stall(Reason::InvalidSpec, message);
    }
    if let Some(adoption) = claim {
        return adoption;
    }
    if provider.is_leaving() {
        return Plan::pause(Reason::Busy, format!("{what} is DEPROVISIONING"));
    }
    if is_known_failure(object, provider) {
        return failed(&what, provider);
    }
    let retries = provider.is_update("FAILED") && is_asked(object);
    let update = update(observed, &spec, provider, retries);
    let waits = update.is_some() && provider.is_update("IN_PROGRESS");
    let desired = owner.desired(object.spec.tags.as_deref());
    let writes: Vec<_> = update
        .filter(|_| !waits)
        .into_iter()
        .chain(tagged.tag_writes(&desired, object.managed_tags(), policies))
        .collect();
    if writes.is_empty() && waits {
        // ECS refuses UpdateCapacityProvider until then (UpdateInProgressException).
        return Plan::pause(
            Reason::Busy,
            format!("an earlier change of {what} is in progress"),
        );
    }
    Plan::writes(writes)
}

/// The provider in words.
fn what(observed: &ObservedCapacityProvider) -> String {
    format!("capacity provider {}", observed.key.name)
}

fn tagged<'a>(what: &'a str, provider: &'a CapacityProvider, tags: &'a Tags) -> Tagged<'a> {
    Tagged {
        tagging: ecs::TAGGING,
        what,
        arn: &provider.capacity_provider_arn,
        tags,
    }
}

/// Hash of what of the spec ECS carries out after it has accepted it.
pub(super) fn wanted_hash(object: &EcsCapacityProvider) -> String {
    hash(&pick(&request(&object.spec, OWN_MEMBERS), &PROVIDERS).into())
}

/// Whether the change that has failed in ECS is the one that the object still wants. It is sent
/// again when the spec changes, or a user asks for it.
fn is_known_failure(object: &EcsCapacityProvider, provider: &CapacityProvider) -> bool {
    let accepted = object
        .status
        .as_ref()
        .and_then(|status| status.accepted_hash.as_deref());
    let wanted = if object.is_deleting() {
        DELETED.to_owned()
    } else {
        wanted_hash(object)
    };
    provider.is_update("FAILED") && accepted == Some(&*wanted) && !is_asked(object)
}

/// ECS has accepted a change and could not carry it out.
fn failed(what: &str, provider: &CapacityProvider) -> Plan {
    let reason = provider.update_status_reason.as_deref();
    let message = format!(
        "{what} is {}: {}. Change the spec, or remove the cause and annotate {RECONCILE_AT} with the present time to try again",
        provider.update_status.as_deref().unwrap_or_default(),
        reason
            .unwrap_or("AWS gives no reason")
            .trim_end_matches('.')
    );
    Plan::stall(Reason::ProvisioningFailed, message)
}

fn create(
    object: &EcsCapacityProvider,
    observed: &ObservedCapacityProvider,
    owner: &Owner,
) -> Write {
    let mut request = request(&object.spec, OWN_MEMBERS);
    name(&mut request, "name", observed);
    let tags = owner.desired(object.spec.tags.as_deref());
    request.insert("tags".to_owned(), tags.write(ecs::SERVICE.tag_shape));
    Write {
        operation: ecs::CreateCapacityProvider,
        request: request.into(),
        note: format!("Created {}", what(observed)),
    }
}

/// Adds the name of the provider, as `member`, and that of its cluster.
fn name(request: &mut Map<String, Value>, member: &str, observed: &ObservedCapacityProvider) {
    let key = &observed.key;
    request.insert(member.to_owned(), key.name.clone().into());
    if let Some(cluster) = &key.cluster {
        request.insert("cluster".to_owned(), cluster.clone().into());
    }
}

/// The write that changes the instances; `whole` sends them also if nothing differs.
fn update(
    observed: &ObservedCapacityProvider,
    spec: &Map<String, Value>,
    provider: &CapacityProvider,
    whole: bool,
) -> Option<Write> {
    let desired = changeable(pick(spec, &PROVIDERS));
    let paths = drift(&desired.clone().into(), &provider.json);
    if paths.is_empty() && !whole {
        return None;
    }
    let changed = desired
        .into_iter()
        .filter(|(member, _)| whole || paths.iter().any(|path| top(path) == member));
    let complete = |(member, value): (String, Value)| {
        let sent = completed(&member, &value, &provider.json[&member], RESETS);
        (member, sent)
    };
    // What the provider has in ECS and cannot change came along.
    let mut request = changeable(changed.map(complete).collect());
    drop_excluded(&mut request, spec);
    name(&mut request, "name", observed);
    let what = what(observed);
    let note = if paths.is_empty() {
        format!("Updated {what}")
    } else {
        format!("Updated {what}: {}", paths.join(", "))
    };
    Some(Write {
        operation: ecs::UpdateCapacityProvider,
        request: request.into(),
        note,
    })
}

/// Drops what came along from ECS beside a member of the spec that excludes it.
fn drop_excluded(request: &mut Map<String, Value>, spec: &Map<String, Value>) {
    let path = "/instanceLaunchTemplate/instanceRequirements";
    let wanted = spec.get(INSTANCES).and_then(|at| at.pointer(path));
    let sent = request.get_mut(INSTANCES);
    let sent = sent.and_then(|at| at.pointer_mut(path));
    let (Some(wanted), Some(Value::Object(sent))) = (wanted, sent) else {
        return;
    };
    let has = |member: &str| wanted.get(member).is_some_and(|value| !value.is_null());
    for (one, other) in EXCLUSIVE {
        if has(one) && !has(other) {
            sent.remove(other);
        } else if has(other) && !has(one) {
            sent.remove(one);
        }
    }
}

/// The members that UpdateCapacityProvider takes.
fn changeable(mut providers: Map<String, Value>) -> Map<String, Value> {
    let members = |provider: Option<&mut Value>, without: &[&str]| {
        if let Some(Value::Object(members)) = provider {
            members.retain(|member, _| !without.contains(&member.as_str()));
        }
    };
    members(providers.get_mut(GROUP), &["autoScalingGroupArn"]);
    let template = providers
        .get_mut(INSTANCES)
        .and_then(|instances| instances.get_mut("instanceLaunchTemplate"));
    members(template, &FIXED);
    providers
}

/// The message for an adopted provider that differs from the spec in what cannot change.
fn immovable(what: &str, spec: &Map<String, Value>, provider: &CapacityProvider) -> Option<String> {
    let spec = Value::Object(spec.clone());
    let group = "/autoScalingGroupProvider/autoScalingGroupArn".to_owned();
    let template = "/managedInstancesProvider/instanceLaunchTemplate";
    let fixed = FIXED.map(|member| format!("{template}/{member}"));
    let differs = |pointer: &String| {
        let (wanted, present) = (spec.pointer(pointer)?, provider.json.pointer(pointer)?);
        let is_same = match (wanted.as_str(), present.as_str()) {
            // ECS takes the name of a group, and shows its ARN.
            (Some(wanted), Some(present)) => name_in(wanted) == name_in(present),
            _ => wanted == present,
        };
        let member = pointer.trim_start_matches('/').replace('/', ".");
        let present = present
            .as_str()
            .map_or_else(|| present.to_string(), str::to_owned);
        (!is_same).then(|| {
            format!(
                "{what} has {member} {present}, which cannot change in ECS: delete this object, with deletionPolicy Retain if it owns the \
                 provider, and create it again with that value or with another name"
            )
        })
    };
    std::iter::once(&group).chain(&fixed).find_map(differs)
}

fn delete(
    object: &EcsCapacityProvider,
    observed: &ObservedCapacityProvider,
    owner: &Owner,
) -> Plan {
    let what = what(observed);
    let policies = &object.spec.policies;
    let Some(provider) = &observed.provider else {
        return absent(&what, observed.may_be_there);
    };
    let present = provider.tags();
    if policies.retains() {
        return tagged(&what, provider, &present).retain(owner, policies);
    }
    if provider.status == "INACTIVE" {
        // Of a creation that has failed only the record is left.
        return absent(&what, observed.may_be_there);
    }
    let ownership = owner.of(&present);
    if ownership != Ownership::Ours {
        let status = object.status.as_ref();
        let known = status.and_then(|status| status.capacity_provider_arn.as_deref());
        return left(&what, &ownership, known, policies);
    }
    if provider.is_leaving() {
        return Plan::pause(Reason::Deleting, format!("{what} is DEPROVISIONING"));
    }
    if !observed.dependants.is_empty() {
        let words = observed.dependants.words();
        let message = format!("{what} waits until nothing refers to it: {words}");
        return observed.dependants.block(message);
    }
    if !observed.clusters.is_empty() {
        let message = format!(
            "{what} is in use and waits until these clusters in ECS no longer name it: {}",
            observed.clusters.join(", ")
        );
        return Plan::wait(Reason::DeletionBlocked, message);
    }
    if provider.is_update("IN_PROGRESS") {
        return Plan::pause(
            Reason::Busy,
            format!("an earlier change of {what} is in progress"),
        );
    }
    if is_known_failure(object, provider) {
        return failed(&what, provider);
    }
    let mut request = Map::new();
    name(&mut request, "capacityProvider", observed);
    Plan::Write(vec![Write {
        operation: ecs::DeleteCapacityProvider,
        request: request.into(),
        note: format!("Deleted {what}"),
    }])
}
