//! The plan of an EcsService. Pure.

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::service::Rollback;
use ecs_operator_crds::v1beta1::{EcsService, Policies};
use ecs_operator_crds::{RESTARTED_AT, ROLLBACK_TO};
use serde_json::{Map, Value, json};

use super::attempt::is_same_task_definition;
use super::autoscaling;
use super::commands::{self, Command};
use super::described::{Service, foreign_controller};
use super::failure::{self, given_up};
use super::observed::ObservedService;
use super::settings::restarting;
use super::shape::{OWN_MEMBERS, cluster_arn, resets};
use super::update::{
    counts, hidden, is_changed_by_others, is_undone, left_to_controller, pair, shows, takes_unseen,
    unseen, update, with_hidden,
};
use crate::aws::ecs::{self, ServiceKey};
use crate::aws::tags::{Owner, Ownership, SPEC_HASH, Tags};
use crate::k8s::conditions;
use crate::k8s::object::Object;
use crate::reconcile::ignore::{ignores, with_ignored_fields};
use crate::reconcile::plan::{
    Obstacle, Plan, Write, absent, hash, is_accepted, request, tagged_hash, tagged_hashes,
};
use crate::reconcile::policy::arns;
use crate::reconcile::references::Resolved;
use crate::reconcile::reset::with_resets;
use crate::reconcile::tagged::{Tagged, left};

pub(super) fn plan(object: &EcsService, observed: &ObservedService, owner: &Owner) -> Plan {
    if object.is_deleting() {
        return delete(object, observed, owner);
    }
    let ObservedService { key, service, .. } = observed;
    let Some(service) = service else {
        return match target(observed) {
            Ok(_) if let Some(mismatch) = &observed.mismatch => stall(mismatch),
            Ok(_) if let Some(gate) = &observed.gate => gate.plan(),
            Ok(task_definition) => Plan::Write(vec![create(object, key, task_definition, owner)]),
            Err(obstacle) => Plan::Wait(obstacle),
        };
    };
    if let Some(message) = elsewhere(object, service) {
        return Plan::stall(Reason::InvalidSpec, message);
    }
    if service.status != "ACTIVE" {
        return Plan::pause(
            Reason::Busy,
            format!(
                "{key} is {}; its name is free when its tasks have stopped",
                service.status
            ),
        );
    }
    let tagged = Tagged {
        tagging: ecs::TAGGING,
        what: &key.to_string(),
        arn: &service.service_arn,
        tags: &service.tags(),
    };
    if let Some(plan) = tagged.claim("serviceName", owner, &object.spec.policies) {
        return plan;
    }
    let spec = request(&object.spec, OWN_MEMBERS);
    let compared = with_ignored_fields(spec.clone(), &service.json, &object.spec.policies);
    if let Some(message) =
        immutable(key, &compared, service).or_else(|| without_traffic(key, &compared, service))
    {
        return Plan::stall(Reason::InvalidSpec, message);
    }
    let plan = plan_update(object, observed, service, spec, owner);
    with_autoscaling(plan, object, observed, owner)
}

/// The plan of the service, and once there is nothing to write to it that of its scaling, which
/// does not wait for a deployment.
fn with_autoscaling(
    plan: Plan,
    object: &EcsService,
    observed: &ObservedService,
    owner: &Owner,
) -> Plan {
    if matches!(plan, Plan::Write(_)) {
        return plan;
    }
    let scaling = autoscaling::plan(object, &observed.key, observed.autoscaling.as_ref(), owner);
    match (plan, scaling) {
        (plan, Plan::InSync) => plan,
        (Plan::InSync, scaling) | (_, scaling @ Plan::Write(_)) => scaling,
        (plan, _) => plan,
    }
}

/// What brings a service that is ours to the spec, and what commands ask for.
fn plan_update(
    object: &EcsService,
    observed: &ObservedService,
    service: &Service,
    spec: Map<String, Value>,
    owner: &Owner,
) -> Plan {
    let key = &observed.key;
    let commands = commands::pending(object, observed);
    // A restart goes with what else is to be sent, all others at once and on their own.
    let urgent = commands
        .iter()
        .filter(|command| command.annotation != RESTARTED_AT);
    if let Some(write) = urgent.clone().find_map(Command::write) {
        return Plan::Write(vec![write.clone()]);
    }
    let restart = commands
        .iter()
        .find(|command| command.annotation == RESTARTED_AT);
    let restart = restart.and_then(Command::write);
    let task_definition = match wanted(object, observed) {
        Ok(task_definition) => task_definition,
        // A restart keeps the revision.
        Err(obstacle) if is_gate(observed, &obstacle) && restart.is_some() => {
            return Plan::Write(restart.into_iter().cloned().collect());
        }
        Err(obstacle) => {
            let plan = scale_meanwhile(object, observed, service, &spec, owner, obstacle);
            return gated(plan, observed);
        }
    };
    let target = task_definition.as_deref();
    let mut writes = writes(object, key, &spec, target, service, owner);
    if let Some(plan) = mismatch(object, observed, &writes) {
        return plan;
    }
    let is_update = |write: &Write| write.operation == ecs::UpdateService;
    match (writes.iter().position(is_update), restart) {
        // A restart also retries what failed.
        (Some(index), Some(restart)) => {
            writes[index].request["forceNewDeployment"] = true.into();
            writes[index].note = format!("{}; {}", writes[index].note, restart.note);
        }
        (Some(_), None) => {
            // If others set the task definition, the one that runs was tried.
            let tried = target.or(service.task_definition.as_deref());
            let failed = tried.and_then(|tried| given_up(object, observed, service, tried));
            if let Some(failed) = failed {
                writes = without_deployment(key, writes);
                if writes.is_empty() {
                    return Plan::stall(failure::reason(failed.result), failed.message);
                }
            }
        }
        // On its own, so that a pass that does more cannot do it twice.
        (None, Some(restart)) if writes.is_empty() => writes.push(restart.clone()),
        (None, _) => {}
    }
    if !writes.is_empty() {
        return Plan::Write(writes);
    }
    match commands::rollback(object, observed) {
        Some(rollback) => rolled_back(service, &rollback),
        None => without_writes(object, key, spec, target, service),
    }
}

/// The plan of a service that needs no write. Its deployment controller may have to deploy the
/// difference.
fn without_writes(
    object: &EcsService,
    key: &ServiceKey,
    spec: Map<String, Value>,
    task_definition: Option<&str>,
    service: &Service,
) -> Plan {
    let compared = with_ignored_fields(spec, &service.json, &object.spec.policies);
    let left = left_to_controller(&compared, task_definition, service);
    match foreign_controller(service) {
        Some(controller) if !left.is_empty() => Plan::wait(
            Reason::LeftToDeploymentController,
            format!(
                "{} of {key} differs from the spec and must be deployed by its deployment controller {controller}",
                left.join(", ")
            ),
        )
        .with_all_else_sent(),
        _ => Plan::InSync,
    }
}

/// Members that ECS checks against the task definition.
const FITTED: &[&str] = &[
    "loadBalancers",
    "networkConfiguration",
    "serviceConnectConfiguration",
    "taskDefinition",
];

/// The plan if an update changes members that do not fit the task definition.
fn mismatch(object: &EcsService, observed: &ObservedService, writes: &[Write]) -> Option<Plan> {
    if leaves_task_definition(&object.spec.policies) {
        return None;
    }
    let mismatch = observed.mismatch.as_ref()?;
    let update = writes
        .iter()
        .find(|write| write.operation == ecs::UpdateService)?;
    let has = |member: &&str| update.request.get(member).is_some();
    FITTED.iter().any(has).then(|| stall(mismatch))
}

fn stall(mismatch: &str) -> Plan {
    Plan::stall(Reason::InvalidSpec, mismatch)
}

/// Whether a task is what keeps the service from its task definition.
fn is_gate(observed: &ObservedService, obstacle: &Obstacle) -> bool {
    let gate = observed.gate.as_ref();
    gate.is_some_and(|gate| gate.obstacle == *obstacle)
}

/// The plan of a service that waits for a task, where the task has failed.
fn gated(plan: Plan, observed: &ObservedService) -> Plan {
    match (plan, &observed.gate) {
        (Plan::Wait(obstacle), Some(gate)) if gate.obstacle == obstacle => gate.plan(),
        (plan, _) => plan,
    }
}

/// The plan of a service whose task definition is not ready. What needs no deployment does not wait
/// for a user to correct the task definition.
fn scale_meanwhile(
    object: &EcsService,
    observed: &ObservedService,
    service: &Service,
    spec: &Map<String, Value>,
    owner: &Owner,
    obstacle: Obstacle,
) -> Plan {
    // A task may take long.
    let is_brief = obstacle.passing && !is_gate(observed, &obstacle);
    if is_brief || observed.cluster_obstacle.is_some() {
        return Plan::Wait(obstacle);
    }
    let key = &observed.key;
    let writes = without_deployment(key, writes(object, key, spec, None, service, owner));
    if writes.is_empty() {
        Plan::Wait(obstacle)
    } else {
        Plan::Write(writes)
    }
}

/// Those of `writes` that need no deployment: another number of tasks, and tags.
fn without_deployment(key: &ServiceKey, writes: Vec<Write>) -> Vec<Write> {
    let part = |mut write: Write| {
        if write.operation == ecs::UpdateService {
            return scaling_alone(key, &write);
        }
        without_hash(&mut write);
        (write.request["tags"] != json!([])).then_some(write)
    };
    writes.into_iter().filter_map(part).collect()
}

/// The hash says what was sent, and this is not.
fn without_hash(write: &mut Write) {
    if write.operation == ecs::TagResource
        && let Some(tags) = write.request["tags"].as_array_mut()
    {
        tags.retain(|tag| tag["key"] != SPEC_HASH);
    }
}

/// The part of an UpdateService that changes the number of tasks, if it does.
fn scaling_alone(key: &ServiceKey, update: &Write) -> Option<Write> {
    let count = update.request.get("desiredCount")?;
    let request = json!({"cluster": key.cluster, "service": key.name, "desiredCount": count});
    Some(Write {
        operation: ecs::UpdateService,
        request,
        note: format!("Updated {key}: desiredCount"),
    })
}

/// The task definition that an existing service shall run: by command that of an earlier rollout,
/// else that of the spec; `None` where it is left to others.
pub(super) fn wanted(
    object: &EcsService,
    observed: &ObservedService,
) -> Result<Option<String>, Obstacle> {
    if leaves_task_definition(&object.spec.policies) {
        return Ok(None);
    }
    let of_spec = target(observed)?.map(str::to_owned);
    if let Some(rollback) = commands::rollback(object, observed) {
        return Ok(Some(rollback.revision));
    }
    let service = observed.service.as_ref();
    let runs = service.and_then(|service| service.task_definition.as_deref());
    match (&observed.gate, &of_spec) {
        (Some(gate), Some(wanted)) if !is_same_task_definition(wanted, runs) => {
            Err(gate.obstacle.clone())
        }
        _ => Ok(of_spec),
    }
}

/// Whether `ignoreFields` leaves the revision of an existing service to others.
fn leaves_task_definition(policies: &Policies) -> bool {
    ["taskDefinition", "taskDefinitionRef"]
        .iter()
        .any(|member| ignores(policies, member))
}

/// A rollback replaced the revision of the spec: once it runs, the object is stalled until the user
/// changes that.
fn rolled_back(
    service: &Service,
    Rollback {
        revision,
        instead_of,
        ..
    }: &Rollback,
) -> Plan {
    let on_its_way = service.running_count < service.desired_count
        || service
            .primary()
            .is_some_and(|primary| primary.rollout_state.as_deref() == Some("IN_PROGRESS"));
    let message = format!(
        "{revision} instead of {instead_of}, as requested by {ROLLBACK_TO}; change the task definition or the service, or remove the \
         annotation, to resume"
    );
    if on_its_way {
        return Plan::pause(Reason::Progressing, format!("Deploying {message}"))
            .with_all_else_sent();
    }
    Plan::stall(Reason::RolledBackOnCommand, format!("ECS runs {message}")).with_all_else_sent()
}

/// The task definition to run, if any, once cluster and task definition are ready; else what to
/// wait for.
fn target(observed: &ObservedService) -> Result<Option<&str>, Obstacle> {
    match (&observed.cluster_obstacle, &observed.task_definition) {
        (Some(obstacle), _) | (None, Resolved::NotYet(obstacle)) => Err(obstacle.clone()),
        (None, Resolved::To(task_definition)) => Ok(Some(task_definition)),
        (None, Resolved::Nothing) => Ok(None),
    }
}

fn create(
    object: &EcsService,
    key: &ServiceKey,
    task_definition: Option<&str>,
    owner: &Owner,
) -> Write {
    let mut request = request(&object.spec, OWN_MEMBERS);
    let tags = tags(object, &request, owner);
    let daemon = request
        .get("schedulingStrategy")
        .is_some_and(|strategy| strategy == "DAEMON");
    if !daemon {
        // ECS wants a number from a new service; from then on an absent one is left alone.
        let scaling = object.spec.autoscaling.as_ref();
        let first = scaling.map_or(1, |scaling| {
            1.max(scaling.min_capacity).min(scaling.max_capacity)
        });
        request
            .entry("desiredCount")
            .or_insert_with(|| first.into());
    }
    // ECS refuses an ARN of another account, where there may be a cluster of the same name in this
    // one.
    request.insert(
        "cluster".to_owned(),
        cluster_arn(object).unwrap_or(&key.cluster).into(),
    );
    request.insert("serviceName".to_owned(), key.name.clone().into());
    if let Some(task_definition) = task_definition {
        request.insert("taskDefinition".to_owned(), task_definition.into());
    }
    request.insert(
        "clientToken".to_owned(),
        client_token(object, key, owner).into(),
    );
    request.insert("tags".to_owned(), tags.write(ecs::SERVICE.tag_shape));
    Write {
        operation: ecs::CreateService,
        request: request.into(),
        note: format!("Created {key}"),
    }
}

/// The token by which ECS recognises a repeated CreateService. It is the same until the service was
/// seen Ready, and another one when a service that was Ready has to be created again.
fn client_token(object: &EcsService, key: &ServiceKey, owner: &Owner) -> String {
    let status = object
        .status
        .as_ref()
        .filter(|status| status.service_arn.is_some());
    let since = status
        .and_then(|status| conditions::ready(&status.common.conditions))
        .map(|ready| &ready.last_transition_time);
    hash(&json!([owner.uid, key.cluster, key.name, since]))
}

/// The tags the service shall carry: those of the spec, the owner, and the hash of what
/// DescribeServices does not show.
fn tags(object: &EcsService, spec: &Map<String, Value>, owner: &Owner) -> Tags {
    let mut tags = owner.desired(object.spec.tags.as_deref());
    let compared = with_ignored_fields(spec.clone(), &Value::Null, &object.spec.policies);
    tags.0.insert(
        SPEC_HASH.to_owned(),
        tagged_hash(owner, &unseen(&compared).into()),
    );
    tags
}

/// The spec names a cluster or task definition of another account: one of that name in this account
/// would be something else.
fn elsewhere(object: &EcsService, service: &Service) -> Option<String> {
    let account = |arn: &str| arn.split(':').nth(4).unwrap_or_default().to_owned();
    let here = account(service.cluster_arn.as_deref()?);
    let (member, wanted) = arns(object)
        .into_iter()
        .map(|(member, arn)| (member, account(&arn)))
        .find(|(_, wanted)| *wanted != here)?;
    Some(format!(
        "spec.{member} is an ARN of account {wanted}, and this operator works in account {here}: give the name or ARN of one here"
    ))
}

/// What the spec wants to change and ECS cannot, in words.
fn immutable(key: &ServiceKey, spec: &Map<String, Value>, service: &Service) -> Option<String> {
    let strategy = &service.json["capacityProviderStrategy"];
    if let (Some(wanted), true) = (
        spec.get("launchType"),
        strategy
            .as_array()
            .is_some_and(|strategy| !strategy.is_empty()),
    ) && service.json["launchType"].is_null()
    {
        return Some(format!(
            "launchType of {key} cannot become {wanted}, for it has a capacity provider strategy: write the capacityProviderStrategy \
             that you want, such as [{{capacityProvider: FARGATE}}], or create a new EcsService"
        ));
    }
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

/// The spec gives a load balancer one target group of a pair, and ECS has shifted the traffic to
/// the other one: an update would move the tasks away from it.
fn without_traffic(
    key: &ServiceKey,
    spec: &Map<String, Value>,
    service: &Service,
) -> Option<String> {
    let live = service.json["loadBalancers"].as_array()?;
    let single = spec
        .get("loadBalancers")?
        .as_array()?
        .iter()
        .filter(|balancer| pair(balancer).is_none());
    single.filter_map(|balancer| balancer["targetGroupArn"].as_str()).find_map(|wanted| {
        let (with_traffic, _) = live.iter().filter_map(pair).find(|(_, alternate)| *alternate == wanted)?;
        Some(format!(
            "loadBalancers[].targetGroupArn of {key} is {wanted}, and ECS has shifted the traffic to {with_traffic}: write that one when you \
             drop advancedConfiguration, or deploy once more before"
        ))
    })
}

fn writes(
    object: &EcsService,
    key: &ServiceKey,
    spec: &Map<String, Value>,
    task_definition: Option<&str>,
    service: &Service,
    owner: &Owner,
) -> Vec<Write> {
    let mut desired = tags(object, spec, owner);
    if !takes_unseen(service) {
        // It would say that they were sent.
        desired.0.remove(SPEC_HASH);
    }
    let managed = object.managed_tags();
    let present = service.tags();
    let hidden = hidden(object);
    let accepted = object
        .status
        .as_ref()
        .and_then(|status| status.hidden_hash.as_deref());
    let unsent = match (is_accepted(accepted, &hidden), present.0.get(SPEC_HASH)) {
        (Some(accepted), _) => !accepted,
        (None, Some(sent)) => !tagged_hashes(owner, &hidden.clone().into()).contains(sent),
        (None, None) => !shows(&hidden, service),
    };
    let resend =
        unsent || is_changed_by_others(object, service) || is_undone(object, &hidden, service);
    let applied = object.applied_members();
    let policies = &object.spec.policies;
    let (wanted, shown) = (
        with_resets(spec, applied, &resets(&object.spec)),
        with_hidden(service),
    );
    let mut spec = with_ignored_fields(wanted.clone(), &shown, policies);
    // What is to be seen nowhere goes as the spec has it, when it goes at all.
    spec.extend(
        unseen(&wanted)
            .into_iter()
            .filter(|(member, _)| shown[member].is_null() && !ignores(policies, member)),
    );
    if !counts(object) {
        spec.remove("desiredCount");
    }
    let update = update(object, key, &spec, task_definition, service, resend)
        .map(|update| restarting(object, service, update));
    let tagged = Tagged {
        tagging: ecs::TAGGING,
        what: &key.to_string(),
        arn: &service.service_arn,
        tags: &present,
    };
    update
        .into_iter()
        .chain(tagged.tag_writes(&desired, managed, policies))
        .collect()
}

fn delete(object: &EcsService, observed: &ObservedService, owner: &Owner) -> Plan {
    let ObservedService { key, service, .. } = observed;
    if object.spec.policies.retains() {
        let what = key.to_string();
        return service.as_ref().map_or(Plan::Gone, |service| {
            Tagged {
                tagging: ecs::TAGGING,
                what: &what,
                arn: &service.service_arn,
                tags: &service.tags(),
            }
            .retain(owner, &object.spec.policies)
        });
    }
    let deregistration = autoscaling::deregistration(object, key, observed.autoscaling.as_ref());
    let Some(service) = service else {
        return match deregistration {
            Some(write) => Plan::Write(vec![write]),
            None => absent(&key.to_string(), observed.may_be_there),
        };
    };
    let ownership = owner.of(&service.tags());
    if ownership != Ownership::Ours {
        let known = object
            .status
            .as_ref()
            .and_then(|status| status.service_arn.as_deref());
        return left(&key.to_string(), &ownership, known, &object.spec.policies);
    }
    if service.status == "DRAINING" {
        let left = service.running_count + service.pending_count;
        return Plan::pause(
            Reason::Deleting,
            format!("{key} is DRAINING: waiting for {left} tasks to stop"),
        );
    }
    let request = json!({"cluster": key.cluster, "service": key.name, "force": true});
    let delete = Write {
        operation: ecs::DeleteService,
        request,
        note: format!("Deleted {key}"),
    };
    // First, so that AWS scales nothing that is being deleted.
    Plan::Write(deregistration.into_iter().chain([delete]).collect())
}
