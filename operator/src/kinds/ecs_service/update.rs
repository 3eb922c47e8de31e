//! The UpdateService that a service needs: which members differ, and which ECS takes. Pure.

use ecs_operator_crds::v1beta1::service::DesiredCountOwner;
use ecs_operator_crds::v1beta1::{EcsService, EcsServiceStatus};
use serde_json::{Map, Value, json};

use super::attempt::is_same_task_definition;
use super::attempt::was_sent;
use super::described::Service;
use super::shape::{OWN_MEMBERS, RESETS};
use crate::aws::drift::drift;
use crate::aws::ecs::{self, ServiceKey};
use crate::k8s::object::Object;
use crate::reconcile::ignore::with_ignored_fields;
use crate::reconcile::plan::{UNKNOWN_HASH, Write, hash, pick, request, top};
use crate::reconcile::reset::{completed, with_resets};

/// Members that UpdateService does not take, or that have a call of their own.
const NOT_UPDATABLE: &[&str] = &[
    "cluster",
    "serviceName",
    "launchType",
    "role",
    "schedulingStrategy",
    "tags",
    "taskDefinition",
];

/// Members that DescribeServices does not show with the service. They are sent when the spec
/// changes them, which a hash in a tag of the service tells.
const UNSEEN: &[&str] = &[
    "gatewayConnectors",
    "monitoring",
    "serviceConnectConfiguration",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
];

/// The members of `spec` that DescribeServices does not show with the service.
pub(super) fn unseen(spec: &Map<String, Value>) -> Map<String, Value> {
    spec.iter()
        .filter(|(member, value)| is_unseen(member, value))
        .map(|(member, value)| (member.clone(), value.clone()))
        .collect()
}

/// An empty strategy means that of the cluster, which ECS then shows as if it were the service's
/// own.
fn is_unseen(member: &str, value: &Value) -> bool {
    UNSEEN.contains(&member) || (member == STRATEGY && *value == json!([]))
}

/// The member that says which capacity providers the tasks run on.
pub(super) const STRATEGY: &str = "capacityProviderStrategy";

/// Of the members that ECS does not show with the service, those that it shows in the PRIMARY
/// deployment.
const IN_DEPLOYMENT: &[&str] = &[
    "serviceConnectConfiguration",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
];

/// What ECS shows in the PRIMARY deployment of the members that it does not show with the service.
fn in_deployment(service: &Service) -> Map<String, Value> {
    let mut deployments = service.json["deployments"].as_array().into_iter().flatten();
    let primary = deployments
        .find(|deployment| deployment["status"] == "PRIMARY")
        .and_then(Value::as_object);
    let mut shown = primary
        .map(|primary| pick(primary, IN_DEPLOYMENT))
        .unwrap_or_default();
    shown.retain(|_, value| !value.is_null());
    shown
}

/// The service with the members that ECS shows in the PRIMARY deployment alone.
pub(super) fn with_hidden(service: &Service) -> Value {
    let mut shown = (*service.json).clone();
    for (member, value) in in_deployment(service) {
        shown[member] = value;
    }
    shown
}

/// Whether the service, which we have never sent anything, has these members as the spec wants
/// them: then adopting it needs no deployment. What is to be seen nowhere has to be sent.
pub(super) fn shows(unseen: &Map<String, Value>, service: &Service) -> bool {
    let shown = in_deployment(service);
    unseen
        .iter()
        .filter(|(member, _)| *member != STRATEGY)
        .all(|(member, wanted)| {
            // A deployment without the member does not have it; the other members are not shown
            // anywhere.
            let shown = match shown.get(member) {
                Some(shown) => shown,
                None if IN_DEPLOYMENT.contains(&member.as_str()) => &Value::Null,
                None => return false,
            };
            let mut wanted = wanted.clone();
            // A name that ECS shows as an ARN, which says nothing of the name.
            if let (Some(name), Some(arn)) =
                (wanted["namespace"].as_str(), shown["namespace"].as_str())
                && !name.starts_with("arn:")
                && arn.starts_with("arn:")
            {
                wanted["namespace"] = arn.into();
            }
            drift(&wanted, shown).is_empty()
        })
}

/// Whether `desiredCount` is to be brought to the spec. Of a number that is somebody else's to
/// change, the spec only says what it was last; a new one in the spec counts. With service auto
/// scaling it is the number at creation alone.
pub(super) fn counts(object: &EcsService) -> bool {
    if object.spec.autoscaling.is_some() {
        return false;
    }
    let external = object.spec.desired_count_owner == Some(DesiredCountOwner::External);
    let applied = object
        .status
        .as_ref()
        .and_then(|status| status.applied_desired_count);
    !external || (applied.is_some() && applied != object.spec.desired_count)
}

/// Remembers what ECS has accepted with these writes and does not show, or others may change from
/// now on.
pub(super) fn remember_sent(
    object: &EcsService,
    status: &mut EcsServiceStatus,
    accepted: &[Write],
    unanswered: Option<&Write>,
) {
    for write in accepted {
        remember_accepted(object, status, write);
    }
    if let Some(write) = unanswered.filter(|write| write.operation == ecs::UpdateService)
        && unseen_to_send(object)
            .keys()
            .any(|member| write.request.get(member).is_some())
    {
        // ECS may have the members of this write or those before it, so they are sent again.
        status.hidden_hash = Some(UNKNOWN_HASH.to_owned());
    }
}

fn remember_accepted(object: &EcsService, status: &mut EcsServiceStatus, write: &Write) {
    if !matches!(write.operation, ecs::CreateService | ecs::UpdateService) {
        return;
    }
    if write.request.get("desiredCount").is_some() {
        status.applied_desired_count = object.spec.desired_count;
    }
    let is_sent = |member: &String| {
        write.request.get(member).is_some()
            || (member == STRATEGY && follows_cluster_strategy(object))
    };
    if unseen_to_send(object).keys().all(is_sent) {
        status.hidden_hash = Some(hash(&hidden(object).into()));
    }
    if let Some(strategy) = write.request.get(STRATEGY) {
        status.follows_cluster_strategy = (*strategy == json!([])).then_some(true);
    }
}

/// The members of the spec that are the operator's to set and that DescribeServices does not show.
pub(super) fn hidden(object: &EcsService) -> Map<String, Value> {
    let spec = request(&object.spec, OWN_MEMBERS);
    unseen(&with_ignored_fields(
        spec,
        &Value::Null,
        &object.spec.policies,
    ))
}

/// The hidden members that an update sends: those of the spec, and those that it sets back.
fn unseen_to_send(object: &EcsService) -> Map<String, Value> {
    let applied = object.applied_members();
    let wanted = with_resets(&request(&object.spec, OWN_MEMBERS), applied, RESETS);
    unseen(&with_ignored_fields(
        wanted,
        &Value::Null,
        &object.spec.policies,
    ))
}

/// Whether the service follows the strategy of its cluster because ECS has accepted
/// `capacityProviderStrategy: []`. To send that again would replace all tasks.
fn follows_cluster_strategy(object: &EcsService) -> bool {
    object
        .status
        .as_ref()
        .and_then(|status| status.follows_cluster_strategy)
        .unwrap_or_default()
}

/// Hash of what ECS shows in the PRIMARY deployment of the members that the spec has; `None` when
/// there is nothing to see.
///
/// It is compared with itself over time and never with the spec: ECS shows names as ARNs here and
/// fills defaults in.
pub(super) fn shown_in_deployment(object: &EcsService, service: &Service) -> Option<String> {
    let spec = with_ignored_fields(
        request(&object.spec, OWN_MEMBERS),
        &Value::Null,
        &object.spec.policies,
    );
    let mut shown = in_deployment(service);
    shown.retain(|member, _| spec.contains_key(member));
    let mut shown = in_one_order(&shown.into());
    if let Some(lattice) = shown[LATTICE].as_array_mut() {
        lattice.sort_by_key(ToString::to_string);
    }
    shown
        .as_object()
        .is_some_and(|shown| !shown.is_empty())
        .then(|| hash(&shown))
}

/// Whether the PRIMARY deployment has changed since this spec was in sync, which the operator did
/// not do.
pub(super) fn is_changed_by_others(object: &EcsService, service: &Service) -> bool {
    let Some(status) = object
        .status
        .as_ref()
        .filter(|status| status.common.observed_generation == object.metadata.generation)
    else {
        return false;
    };
    let now = shown_in_deployment(object, service);
    status.shown_in_deployment.is_some() && now.is_some() && now != status.shown_in_deployment
}

/// Whether ECS has gone back from a deployment, with what stands in deployments alone, and it was
/// not sent since: the hash says that it was sent, and so it was.
pub(super) fn is_undone(
    object: &EcsService,
    unseen: &Map<String, Value>,
    service: &Service,
) -> bool {
    let failed = object
        .status
        .as_ref()
        .is_some_and(|status| status.failed_deployment.is_some());
    let runs = service.task_definition.as_deref().unwrap_or_default();
    failed && !was_sent(object, runs) && !shows(&pick(unseen, IN_DEPLOYMENT), service)
}

/// Whether UpdateService takes from the spec what it does not show.
pub(super) fn takes_unseen(service: &Service) -> bool {
    may_change(
        service.json["deploymentController"]["type"].as_str(),
        "serviceConnectConfiguration",
    )
}

/// Whether UpdateService takes a member of a service with this deployment controller. What it does
/// not take belongs to CodeDeploy, or to the task sets. Source: UpdateService, ECS API reference.
fn may_change(controller: Option<&str>, member: &str) -> bool {
    const ALWAYS: &[&str] = &[
        "desiredCount",
        "deploymentController",
        "enableECSManagedTags",
        "healthCheckGracePeriodSeconds",
        "placementConstraints",
        "placementStrategy",
        "propagateTags",
    ];
    match controller {
        Some("CODE_DEPLOY") => ALWAYS.contains(&member) || member == "deploymentConfiguration",
        Some("EXTERNAL") => ALWAYS.contains(&member),
        _ => true,
    }
}

/// The members of the spec that differ from the service and that only its deployment controller can
/// change: CodeDeploy, or the program that makes the task sets. It swaps the target groups, too.
pub(super) fn left_to_controller(
    spec: &Map<String, Value>,
    task_definition: Option<&str>,
    service: &Service,
) -> Vec<String> {
    let controller = service.json["deploymentController"]["type"].as_str();
    let mut desired = spec.clone();
    desired.retain(|name, _| {
        !may_change(controller, name)
            && !NOT_UPDATABLE.contains(&name.as_str())
            && name != "loadBalancers"
    });
    // What the service does not show lives in task sets.
    desired.retain(|name, value| !is_unseen(name, value) && !service.json[name].is_null());
    let mut paths = drift(&desired.into(), &service.json);
    let runs = service.task_definition.as_deref();
    if !may_change(controller, "taskDefinition")
        && task_definition
            .is_some_and(|wanted| runs.is_some() && !is_same_task_definition(wanted, runs))
    {
        paths.push("taskDefinition".to_owned());
    }
    paths
}

/// The UpdateService that brings the service to the spec, with the members that differ and no
/// others.
pub(super) fn update(
    object: &EcsService,
    key: &ServiceKey,
    spec: &Map<String, Value>,
    task_definition: Option<&str>,
    service: &Service,
    resend: bool,
) -> Option<Write> {
    let mut desired = spec.clone();
    let controller = service.json["deploymentController"]["type"].as_str();
    desired
        .retain(|name, value| !NOT_UPDATABLE.contains(&name.as_str()) && !is_unseen(name, value));
    desired.retain(|name, _| may_change(controller, name));
    fit_strategy(&mut desired, service);
    let mut paths = drift(
        &in_one_order(&desired.clone().into()),
        &in_one_order(&service.json),
    );
    desired.retain(|name, _| paths.iter().any(|path| top(path) == name));
    if resend && takes_unseen(service) {
        let mut unseen = unseen(spec);
        if follows_cluster_strategy(object) {
            unseen.remove(STRATEGY);
        }
        paths.extend(unseen.keys().cloned());
        desired.extend(unseen);
    }
    let runs = service.task_definition.as_deref();
    if let Some(task_definition) = task_definition.filter(|wanted| {
        may_change(controller, "taskDefinition") && !is_same_task_definition(wanted, runs)
    }) {
        paths.push("taskDefinition".to_owned());
        desired.insert("taskDefinition".to_owned(), task_definition.into());
    }
    if desired.is_empty() {
        return None;
    }
    let shown = with_hidden(service);
    let mut desired: Map<_, _> = desired
        .into_iter()
        .map(|(name, value)| {
            (
                name.clone(),
                completed(&name, &value, &shown[&name], RESETS),
            )
        })
        .collect();
    fit_strategy(&mut desired, service);
    keep_swapped(&mut desired, &shown);
    if desired.contains_key(STRATEGY) {
        // ECS refuses a new strategy without a new deployment.
        desired.insert("forceNewDeployment".to_owned(), true.into());
    }
    desired.insert("cluster".to_owned(), key.cluster.clone().into());
    desired.insert("service".to_owned(), key.name.clone().into());
    let note = format!("Updated {key}: {}", paths.join(", "));
    Some(Write {
        operation: ecs::UpdateService,
        request: desired.into(),
        note,
    })
}

/// Leaves out the parts of `deploymentConfiguration` that ECS refuses with the strategy that the
/// service has after the update.
fn fit_strategy(request: &mut Map<String, Value>, service: &Service) {
    let Some(configuration) = request
        .get_mut("deploymentConfiguration")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    let strategy = configuration
        .get("strategy")
        .unwrap_or(&service.json["deploymentConfiguration"]["strategy"]);
    let strategy = strategy.as_str().unwrap_or("ROLLING").to_owned();
    for (part, needed) in [
        ("canaryConfiguration", "CANARY"),
        ("linearConfiguration", "LINEAR"),
        ("earlySuccessCriteria", "ROLLING"),
    ] {
        if strategy != needed {
            configuration.remove(part);
        }
    }
}

/// Has the target groups of each load balancer as ECS has swapped them. To send them in the order
/// of the spec would undo the swap and take the traffic away from the tasks that have it.
fn keep_swapped(request: &mut Map<String, Value>, shown: &Value) {
    for list in SWAPPED {
        let live = || shown[list].as_array().into_iter().flatten();
        for balancer in request
            .get_mut(*list)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            let Some((one, other)) = pair(balancer) else {
                continue;
            };
            if live().filter_map(pair).any(|live| live == (other, one)) {
                let (one, other) = (Value::from(one), Value::from(other));
                swap(balancer, one, other);
            }
        }
    }
}

/// Lists whose elements have two target groups between which ECS shifts traffic.
const SWAPPED: &[&str] = &["loadBalancers", LATTICE];

/// The target groups of VPC Lattice, which ECS shows in the PRIMARY deployment.
const LATTICE: &str = "vpcLatticeConfigurations";

fn swap(balancer: &mut Value, one: Value, other: Value) {
    balancer["targetGroupArn"] = other;
    balancer["advancedConfiguration"]["alternateTargetGroupArn"] = one;
}

/// The two target groups of a load balancer between which ECS shifts traffic.
pub(super) fn pair(balancer: &Value) -> Option<(&str, &str)> {
    Some((
        balancer["targetGroupArn"].as_str()?,
        balancer["advancedConfiguration"]["alternateTargetGroupArn"].as_str()?,
    ))
}

/// The document with the two target groups of each load balancer in alphabetical order: with every
/// deployment that shifts traffic ECS swaps them, and to swap them back would pin the service to
/// one of them.
fn in_one_order(document: &Value) -> Value {
    let mut document = document.clone();
    let lists = document
        .as_object_mut()
        .into_iter()
        .flatten()
        .filter(|(name, _)| SWAPPED.contains(&name.as_str()));
    for balancer in lists.filter_map(|(_, list)| list.as_array_mut()).flatten() {
        if let Some((one, other)) = pair(balancer).filter(|(one, other)| one > other) {
            let (one, other) = (Value::from(one), Value::from(other));
            swap(balancer, one, other);
        }
    }
    document
}
