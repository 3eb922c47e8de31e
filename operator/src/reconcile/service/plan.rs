//! Second door of EcsService: what has to be done. Pure.

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::EcsService;
use serde_json::{Map, Value, json};

use super::restart::restart;
use super::update::{is_changed_by_others, is_same_task_definition, unseen, update};
use super::{Kind, OWN_MEMBERS, ObservedService, RESETS, Service};
use crate::aws::observer::ServiceKey;
use crate::aws::tags::{Owner, Ownership, SPEC_HASH, Tags};
use crate::aws::{Operation, name_in};
use crate::k8s::conditions;
use crate::reconcile::ignore::{as_others_left_it, ignores};
use crate::reconcile::plan::{Obstacle, Plan, Write, claim, hash, request, tag_writes};
use crate::reconcile::references::Resolved;
use crate::reconcile::reset::with_resets;

pub(super) fn plan(object: &EcsService, observed: &ObservedService, owner: &Owner) -> Plan {
    if object.is_deleting() {
        return delete(object, observed, owner);
    }
    let ObservedService { key, service, .. } = observed;
    if let (Ok(_), Some(misfit)) = (target(observed), &observed.misfit) {
        return Plan::stall(Reason::InvalidSpec, misfit.clone());
    }
    let Some(service) = service else {
        return match target(observed) {
            Ok(task_definition) => Plan::Write(vec![create(object, key, task_definition, owner)]),
            Err(obstacle) => Plan::Wait(obstacle),
        };
    };
    if service.status != "ACTIVE" {
        return Plan::pause(Reason::Busy, format!("{key} is {}; its name is free when its tasks have stopped", service.status));
    }
    if let Some(plan) = claim(&key.to_string(), &service.service_arn, &service.tags(), owner, &object.spec.policies) {
        return plan;
    }
    let spec = as_others_left_it(request(&object.spec, OWN_MEMBERS), &service.json, &object.spec.policies);
    if let Some(message) = immutable(key, &spec, service) {
        return Plan::stall(Reason::InvalidSpec, message);
    }
    let ignored = ["taskDefinition", "taskDefinitionRef"].iter().any(|member| ignores(&object.spec.policies, member));
    match if ignored { Ok(None) } else { target(observed) } {
        Ok(task_definition) => {
            let mut writes = writes(object, key, &spec, task_definition, service, owner);
            let updates = writes.iter().any(|write| write.operation == Operation::UpdateService);
            if let (true, Some(message)) = (updates, given_up(object, service, task_definition.unwrap_or_default())) {
                return Plan::stall(Reason::DeploymentFailed, message);
            }
            if writes.is_empty() {
                // On its own, so that a pass that does more cannot do it twice.
                writes.extend(restart(object, observed));
            }
            Plan::writes(writes)
        }
        Err(obstacle) => Plan::Wait(obstacle),
    }
}

/// The task definition to run, if any, once cluster and task definition are ready; else what to wait for.
fn target(observed: &ObservedService) -> Result<Option<&str>, Obstacle> {
    match (&observed.cluster_obstacle, &observed.task_definition) {
        (Some(obstacle), _) | (None, Resolved::NotYet(obstacle)) => Err(obstacle.clone()),
        (None, Resolved::To(task_definition)) => Ok(Some(task_definition)),
        (None, Resolved::Nothing) => Ok(None),
    }
}

/// Why what the service needs must not be sent again: ECS gave its deployment up and went back. Without this, ECS and the
/// operator would fight for ever. It is tried again when spec or revision change.
fn given_up(object: &EcsService, service: &Service, task_definition: &str) -> Option<String> {
    let status = object.status.as_ref()?;
    let generation = object.metadata.generation;
    let known = status.failed_deployment.as_ref();
    if let Some(known) = known.filter(|known| known.task_definition == task_definition && Some(known.generation) == generation) {
        return Some(known.message.clone());
    }
    // Had all of it been sent, for this very spec and revision? Else it is new, whatever ECS is going back from.
    let ready = conditions::ready(&status.conditions)?;
    let sent = ready.observed_generation == generation
        && [Reason::Succeeded.as_str(), Reason::Progressing.as_str()].contains(&ready.reason.as_str())
        && is_same_task_definition(task_definition, status.task_definition.as_deref());
    if !sent {
        return None;
    }
    let runs = service.task_definition.as_deref();
    let failed = service.deployments.iter().find(|deployment| {
        !is_same_task_definition(task_definition, runs)
            && is_same_task_definition(task_definition, deployment.task_definition.as_deref())
            && deployment.rollout_state.as_deref() == Some("FAILED")
    });
    let going_back = |reason: &&str| reason.to_lowercase().contains("rolling back");
    let reason = service.primary().and_then(|primary| primary.rollout_state_reason.as_deref()).filter(going_back);
    let reason = reason.or_else(|| failed.and_then(|failed| failed.rollout_state_reason.as_deref()))?;
    Some(format!(
        "The deployment of {} failed, and ECS went back to {}: {}. Change the task definition or the service to try again",
        name_in(task_definition),
        runs.map(name_in).unwrap_or_default(),
        reason.trim_end_matches('.'),
    ))
}

fn create(object: &EcsService, key: &ServiceKey, task_definition: Option<&str>, owner: &Owner) -> Write {
    let mut request = request(&object.spec, OWN_MEMBERS);
    let tags = tags(object, &request, owner);
    let daemon = request.get("schedulingStrategy").is_some_and(|strategy| strategy == "DAEMON");
    if !daemon {
        // ECS wants a number from a new service; from then on an absent one is left alone.
        request.entry("desiredCount").or_insert_with(|| 1.into());
    }
    request.insert("cluster".to_owned(), key.cluster.clone().into());
    request.insert("serviceName".to_owned(), key.name.clone().into());
    if let Some(task_definition) = task_definition {
        request.insert("taskDefinition".to_owned(), task_definition.into());
    }
    request.insert("clientToken".to_owned(), client_token(object, key, owner).into());
    request.insert("tags".to_owned(), tags.write());
    Write { operation: Operation::CreateService, request: request.into(), note: format!("Created {key}") }
}

/// The token by which ECS recognises a repeated CreateService. It is the same until the service was seen Ready, and
/// another one when a service that was Ready has to be created again.
fn client_token(object: &EcsService, key: &ServiceKey, owner: &Owner) -> String {
    let status = object.status.as_ref().filter(|status| status.service_arn.is_some());
    let since = status.and_then(|status| conditions::ready(&status.conditions)).map(|ready| &ready.last_transition_time);
    hash(&json!([owner.uid, key.cluster, key.name, since]))
}

/// The tags the service shall carry: those of the spec, the owner, and the hash of what DescribeServices does not show.
fn tags(object: &EcsService, spec: &Map<String, Value>, owner: &Owner) -> Tags {
    let mut tags = owner.desired(object.spec.tags.as_deref());
    let compared = as_others_left_it(spec.clone(), &Value::Null, &object.spec.policies);
    tags.0.insert(SPEC_HASH.to_owned(), hash(&unseen(&compared).into()));
    tags
}

/// What the spec wants to change and ECS cannot, in words.
fn immutable(key: &ServiceKey, spec: &Map<String, Value>, service: &Service) -> Option<String> {
    let fixed = ["launchType", "schedulingStrategy"];
    let changed = fixed.into_iter().find(|member| {
        let (wanted, shown) = (spec.get(*member), &service.json[*member]);
        wanted.is_some_and(|wanted| !shown.is_null() && wanted != shown)
    })?;
    Some(format!(
        "{changed} of {key} is {} and cannot change to {}: create a new EcsService, or set it back",
        service.json[changed], spec[changed]
    ))
}

fn writes(
    object: &EcsService,
    key: &ServiceKey,
    spec: &Map<String, Value>,
    task_definition: Option<&str>,
    service: &Service,
    owner: &Owner,
) -> Vec<Write> {
    let desired = tags(object, spec, owner);
    let managed = object.status.as_ref().and_then(|status| status.managed_tags.as_deref());
    let present = service.tags();
    let resend = present.0.get(SPEC_HASH) != desired.0.get(SPEC_HASH) || is_changed_by_others(object, service);
    let applied = object.status.as_ref().and_then(|status| status.applied_members.as_deref());
    let policies = &object.spec.policies;
    let spec = as_others_left_it(with_resets(spec, applied, RESETS), &service.json, policies);
    let update = update(key, &spec, task_definition, service, resend);
    update.into_iter().chain(tag_writes(&key.to_string(), &service.service_arn, &desired, &present, managed, policies)).collect()
}

fn delete(object: &EcsService, observed: &ObservedService, owner: &Owner) -> Plan {
    let ObservedService { key, service, .. } = observed;
    let Some(service) = service else { return Plan::Gone };
    if object.spec.policies.retains() || owner.of(&service.tags()) != Ownership::Ours {
        return Plan::Gone;
    }
    if service.status == "DRAINING" {
        let left = service.running_count + service.pending_count;
        return Plan::pause(Reason::Deleting, format!("{key} is DRAINING, {left} tasks have to stop"));
    }
    let request = json!({"cluster": key.cluster, "service": key.name, "force": true});
    Plan::Write(vec![Write { operation: Operation::DeleteService, request, note: format!("Deleted {key}") }])
}
