//! What judges a world.
//!
//! - An object is Ready only when AWS runs what it asks for ([`ready`], at every write of a status).
//! - Some time after the last trouble, each object is Ready, and AWS has what its spec says
//!   ([`converged`]).
//! - After that, nothing is written for half an hour.
//! - When the objects are deleted, nothing of theirs is left in AWS ([`gone`]), and what others own
//!   is untouched ([`foreign`]).
//!
//! Objects that name what others own ([`INTRUDERS`]) are Stalled and change nothing. The API server
//! adds two: a status is never written without a change, and a spec never.

use std::collections::{BTreeMap, BTreeSet};

use ecs_operator::aws::name_in;
use serde_json::{Value, json};

use super::api_server::{ApiServer, Id};
use super::aws::Aws;
use super::script::OUTSIDERS;
use super::tasks;
use super::wishes::{INTRUDERS, Wishes};
use crate::simulator::{Account, Moment};

/// The tag that names the owner.
const OWNER: &str = "ecs-operator.dev/owner";

/// The tag of a revision with the hash of the request that made it.
const SPEC_HASH: &str = "ecs-operator.dev/spec-hash";

/// Makes a cluster, a family and a service that nobody here owns.
pub(super) fn found_foreign(aws: &Aws) {
    let containers = json!([{"name": "web", "image": "foreign:1"}]);
    let calls = [
        ("CreateCluster", json!({"clusterName": "foreign"})),
        (
            "RegisterTaskDefinition",
            json!({"family": "foreign", "containerDefinitions": containers}),
        ),
        (
            "CreateService",
            json!({"cluster": "foreign", "serviceName": "foreign", "taskDefinition": "foreign", "desiredCount": 1}),
        ),
    ];
    for (operation, request) in calls {
        aws.call(operation, &request).expect("a valid request");
    }
    // They have been there for long.
    aws.settle();
}

/// What nobody here owns, without what changes by itself.
pub(super) fn foreign(aws: &Aws) -> Value {
    let look = |operation: &str, request: Value| aws.look(operation, &request).unwrap_or_default();
    let service = look(
        "DescribeServices",
        json!({"cluster": "foreign", "services": ["foreign"], "include": ["TAGS"]}),
    );
    let service = &service["services"][0];
    json!({
        "cluster": look("DescribeClusters", json!({"clusters": ["foreign"], "include": ["TAGS"]}))["clusters"][0]["status"],
        "family": look("ListTaskDefinitions", json!({"familyPrefix": "foreign"}))["taskDefinitionArns"],
        "service": [service["status"], service["desiredCount"], service["taskDefinition"], service["tags"]],
    })
}

/// Whether a status that says Ready=True speaks of what AWS has now or had within the last minute.
/// Returns what is wrong.
pub(super) fn ready(object: &Value, aws: &Aws) -> Option<String> {
    let is_current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
    if object["kind"] != "EcsService"
        || !is_current
        || !is_ready(object)
        || !object["metadata"]["deletionTimestamp"].is_null()
    {
        return None;
    }
    let (name, cluster) = (
        &object["metadata"]["name"],
        &object["spec"]["clusterRef"]["name"],
    );
    let request = json!({"cluster": cluster, "services": [name]});
    let mut wrong = None;
    for reply in aws.look_back("DescribeServices", &request) {
        let service = &reply["services"][0];
        let deployments = service["deployments"].as_array().map_or(0, Vec::len);
        // With service auto scaling it is the number at creation.
        let desired = match &object["spec"]["autoscaling"] {
            Value::Null => &object["spec"]["desiredCount"],
            _ => &Value::Null,
        };
        let problem = if service["status"] != "ACTIVE" {
            "the service is not ACTIVE".to_owned()
        } else if deployments != 1 || service["deployments"][0]["rolloutState"] != "COMPLETED" {
            format!(
                "{deployments} deployments are there, the first {}",
                service["deployments"][0]["rolloutState"]
            )
        } else if service["runningCount"].as_u64() < service["desiredCount"].as_u64() {
            format!(
                "{} of {} tasks run",
                service["runningCount"], service["desiredCount"]
            )
        } else if !desired.is_null() && *desired != service["desiredCount"] {
            format!(
                "{} tasks are wanted in AWS instead of {desired}",
                service["desiredCount"]
            )
        } else {
            return None;
        };
        wrong.get_or_insert(problem);
    }
    wrong.map(|wrong| format!("{name} is Ready, but {wrong}"))
}

/// The condition of an object; null if it has none of this type.
fn condition(object: &Value, kind: &str) -> Value {
    let conditions = object["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten();
    let mut meant = conditions.filter(|condition| condition["type"] == kind);
    meant.next().cloned().unwrap_or_default()
}

fn is_ready(object: &Value) -> bool {
    condition(object, "Ready")["status"] == "True"
}

/// Whether all objects are Ready, and AWS has what they ask for.
pub(super) fn converged(wishes: &Wishes, server: &ApiServer, aws: &Aws) -> Result<(), String> {
    let objects = server.objects();
    for (id, spec) in &wishes.specs {
        let object = objects
            .get(id)
            .ok_or_else(|| format!("{id:?} is not there"))?;
        let is_current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
        if !object["metadata"]["deletionTimestamp"].is_null() || !is_current || !is_ready(object) {
            return Err(format!("{}/{} is not Ready", id.0, id.2));
        }
        let found = match &*id.0 {
            "ecsclusters" => cluster(id, spec, aws),
            "ecscapacityproviders" => capacity_provider(id, spec, aws),
            "ecstaskdefinitions" => task_definition(object, spec, aws, &rollback_targets(&objects)),
            "ecstasks" => tasks::converged(id, object, wishes, aws),
            _ => service(id, spec, wishes, aws),
        };
        found.map_err(|problem| format!("{}/{} is Ready, but {problem}", id.0, id.2))?;
    }
    for (id, object) in &objects {
        if id.1 == INTRUDERS {
            let reason = &condition(object, "Stalled")["reason"];
            if reason != "NotOwned" {
                return Err(format!(
                    "{}/{} names what others own and is Stalled with {reason}",
                    id.0, id.2
                ));
            }
        } else if !wishes.specs.contains_key(id) {
            return Err(format!("{}/{} was deleted and is still there", id.0, id.2));
        }
    }
    Ok(())
}

fn look(aws: &Aws, operation: &str, request: &Value) -> Result<Value, String> {
    aws.look(operation, request)
        .map_err(|refusal| refusal.to_string())
}

/// Compares what the spec sets of these members.
fn same(spec: &Value, live: &Value, members: &[&str]) -> Result<(), String> {
    let differs = members
        .iter()
        .find(|member| !spec[**member].is_null() && spec[**member] != live[**member]);
    match differs {
        Some(member) => Err(format!(
            "{member} is {} in AWS instead of {}",
            live[*member], spec[*member]
        )),
        None => Ok(()),
    }
}

/// Whether AWS has the tags of the spec. A revision that was registered for an earlier spec keeps
/// the tags of that one, also if the spec goes back to it.
fn wanted_tags(spec: &Value, live: &Value) -> Result<(), String> {
    let tags = live["tags"].as_array().cloned().unwrap_or_default();
    let mut wanted = spec["tags"].as_array().into_iter().flatten();
    match wanted.find(|tag| !tags.contains(tag)) {
        Some(tag) => Err(format!("the tag {tag} is missing in AWS: {}", live["tags"])),
        None => Ok(()),
    }
}

/// Whether AWS has the tags of the spec, and of others only those of outsiders and of the operator.
fn tagged(spec: &Value, live: &Value) -> Result<(), String> {
    wanted_tags(spec, live)?;
    let tags = live["tags"].as_array().cloned().unwrap_or_default();
    let wanted = spec["tags"].as_array().cloned().unwrap_or_default();
    let is_known = |tag: &Value| {
        wanted.contains(tag)
            || tag["value"] == OUTSIDERS
            || tag["key"]
                .as_str()
                .is_some_and(|key| key.starts_with("ecs-operator.dev/"))
    };
    match tags.iter().find(|tag| !is_known(tag)) {
        Some(tag) => Err(format!("AWS still has the tag {tag}")),
        None => Ok(()),
    }
}

/// The value of a tag; null if there is no such tag.
fn tag(live: &Value, key: &str) -> Value {
    let mut tags = live["tags"].as_array().into_iter().flatten();
    let tag = tags.find(|tag| tag["key"] == key);
    tag.map_or(Value::Null, |tag| tag["value"].clone())
}

/// Judges a registration: its family may not have a newest active revision of the same owner that
/// the same request has made.
pub(super) fn registered(request: &Value, account: &Account, now: Moment) -> Option<String> {
    let family = &request["family"];
    let look = json!({"taskDefinition": family, "include": ["TAGS"]});
    let newest = account.clone().call("DescribeTaskDefinition", &look, now);
    let newest = newest.ok()?;
    let same = |key| tag(request, key) == tag(&newest, key);
    (same(OWNER) && same(SPEC_HASH)).then(|| {
        format!(
            "registers {} once more",
            newest["taskDefinition"]["taskDefinitionArn"]
        )
    })
}

/// Judges an object that is gone: its service or capacity provider is not left in AWS.
pub(super) fn left(object: &Value, aws: &Aws) -> Option<String> {
    let (meta, spec) = (&object["metadata"], &object["spec"]);
    let name = meta["name"].as_str()?;
    let live = match object["kind"].as_str()? {
        "EcsService" => {
            let cluster = &spec["clusterRef"]["name"];
            let request = json!({"cluster": cluster, "services": [name], "include": ["TAGS"]});
            aws.look("DescribeServices", &request).ok()?["services"][0].clone()
        }
        "EcsCapacityProvider" => described_provider(meta["namespace"].as_str()?, name, aws).ok()?,
        "EcsTask" => return tasks::left(object, aws),
        _ => return None,
    };
    let uid = meta["uid"].as_str()?;
    let is_left = live["status"] == "ACTIVE"
        && tag(&live, OWNER)
            .as_str()
            .is_some_and(|owner| owner.ends_with(uid));
    is_left.then(|| format!("{name} is gone and left in AWS"))
}

fn cluster(id: &Id, spec: &Value, aws: &Aws) -> Result<(), String> {
    let request = json!({"clusters": [id.2], "include": ["TAGS", "SETTINGS"]});
    let reply = look(aws, "DescribeClusters", &request)?;
    let live = &reply["clusters"][0];
    if live["status"] != "ACTIVE" {
        return Err(format!("its status is {}", live["status"]));
    }
    same(spec, live, &["settings", "defaultCapacityProviderStrategy"])?;
    // Managed Instances are in the list by themselves.
    let listed = live["capacityProviders"].as_array();
    let has = |name: &Value| listed.is_some_and(|listed| listed.contains(name));
    let mut wanted = spec["capacityProviders"].as_array().into_iter().flatten();
    if let Some(missing) = wanted.find(|name| !has(name)) {
        return Err(format!("{missing} is not among its capacity providers"));
    }
    tagged(spec, live)
}

/// A capacity provider as AWS describes it, through the cluster of its namespace.
fn described_provider(namespace: &str, name: &str, aws: &Aws) -> Result<Value, String> {
    let cluster = format!("{namespace}-main");
    let request = json!({"cluster": cluster, "capacityProviders": [name], "include": ["TAGS"]});
    let reply = look(aws, "DescribeCapacityProviders", &request)?;
    Ok(reply["capacityProviders"][0].clone())
}

fn capacity_provider(id: &Id, spec: &Value, aws: &Aws) -> Result<(), String> {
    let live = described_provider(&id.1, &id.2, aws)?;
    if live["status"] != "ACTIVE" {
        return Err(format!("its status is {}", live["status"]));
    }
    for pointer in [
        "/autoScalingGroupProvider/managedScaling/targetCapacity",
        "/managedInstancesProvider/instanceLaunchTemplate/monitoring",
    ] {
        if let (Some(wanted), live) = (spec.pointer(pointer), live.pointer(pointer))
            && live != Some(wanted)
        {
            return Err(format!("{pointer} is {live:?} in AWS instead of {wanted}"));
        }
    }
    tagged(spec, &live)
}

/// The revisions, as `family:revision`, that services can be rolled back to.
fn rollback_targets(objects: &BTreeMap<Id, Value>) -> BTreeSet<String> {
    let rollouts = objects
        .values()
        .filter_map(|object| object["status"]["rolloutHistory"].as_array());
    let revisions = rollouts
        .flatten()
        .filter_map(|rollout| rollout["revision"].as_str());
    revisions.map(str::to_owned).collect()
}

fn task_definition(
    object: &Value,
    spec: &Value,
    aws: &Aws,
    kept: &BTreeSet<String>,
) -> Result<(), String> {
    // Others may have registered a newer revision.
    let arn = &object["status"]["taskDefinitionArn"];
    let reply = look(
        aws,
        "DescribeTaskDefinition",
        &json!({"taskDefinition": arn, "include": ["TAGS"]}),
    )?;
    let live = &reply["taskDefinition"];
    if live["status"] != "ACTIVE" {
        return Err(format!("the status of {arn} is {}", live["status"]));
    }
    same(spec, live, &["cpu", "memory", "networkMode"])?;
    let image = |of: &Value| of["containerDefinitions"][0]["image"].clone();
    if image(spec) != image(live) {
        return Err(format!(
            "the image is {} in AWS instead of {}",
            image(live),
            image(spec)
        ));
    }
    wanted_tags(spec, &reply)?;
    within_history(spec, &reply, aws, kept)
}

/// Whether no more revisions of the owner are active than the spec keeps, beside those that a
/// service runs or can be rolled back to.
fn within_history(
    spec: &Value,
    current: &Value,
    aws: &Aws,
    kept: &BTreeSet<String>,
) -> Result<(), String> {
    let Some(limit) = spec["revisionHistoryLimit"].as_u64() else {
        return Ok(());
    };
    // A revision that a stale list hides when the operator takes stock is not found again.
    if aws.was_stale() {
        return Ok(());
    }
    let definition = &current["taskDefinition"];
    let request = json!({"familyPrefix": definition["family"], "status": "ACTIVE"});
    let listed = look(aws, "ListTaskDefinitions", &request)?;
    let in_use = in_use(aws)?;
    let mut older = 0;
    for arn in listed["taskDefinitionArns"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let request = json!({"taskDefinition": arn, "include": ["TAGS"]});
        let revision = look(aws, "DescribeTaskDefinition", &request)?;
        let number = |of: &Value| of["revision"].as_u64();
        let is_older = number(&revision["taskDefinition"]) < number(definition);
        let is_ours = tag(&revision, OWNER) == tag(current, OWNER);
        let name = arn.as_str().map(name_in).unwrap_or_default();
        if is_older && is_ours && !in_use.contains(arn) && !kept.contains(name) {
            older += 1;
        }
    }
    if older > limit {
        return Err(format!(
            "{older} older revisions are active instead of {limit}"
        ));
    }
    Ok(())
}

/// The revisions that services run.
fn in_use(aws: &Aws) -> Result<Vec<Value>, String> {
    let mut in_use = Vec::new();
    let clusters = look(aws, "ListClusters", &json!({}))?;
    for cluster in clusters["clusterArns"].as_array().into_iter().flatten() {
        let services = look(aws, "ListServices", &json!({"cluster": cluster}))?;
        for service in services["serviceArns"].as_array().into_iter().flatten() {
            let request = json!({"cluster": cluster, "services": [service]});
            let reply = look(aws, "DescribeServices", &request)?;
            let deployments = reply["services"][0]["deployments"].as_array();
            let runs = deployments.into_iter().flatten();
            in_use.extend(runs.map(|deployment| deployment["taskDefinition"].clone()));
        }
    }
    Ok(in_use)
}

fn service(id: &Id, spec: &Value, wishes: &Wishes, aws: &Aws) -> Result<(), String> {
    let request =
        json!({"cluster": spec["clusterRef"]["name"], "services": [id.2], "include": ["TAGS"]});
    let reply = look(aws, "DescribeServices", &request)?;
    let live = &reply["services"][0];
    if live["status"] != "ACTIVE" {
        return Err(format!("its status is {}", live["status"]));
    }
    same(
        spec,
        live,
        &["enableExecuteCommand", "healthCheckGracePeriodSeconds"],
    )?;
    if spec["autoscaling"].is_null() {
        same(spec, live, &["desiredCount"])?;
    }
    scaled(id, spec, aws)?;
    if live["runningCount"] != live["desiredCount"] {
        return Err(format!(
            "{} of {} tasks run",
            live["runningCount"], live["desiredCount"]
        ));
    }
    let definition = spec["taskDefinitionRef"]["name"]
        .as_str()
        .unwrap_or_default();
    let wanted = wishes.specs.get(&(
        "ecstaskdefinitions".to_owned(),
        id.1.clone(),
        definition.to_owned(),
    ));
    let running = look(
        aws,
        "DescribeTaskDefinition",
        &json!({"taskDefinition": live["taskDefinition"]}),
    )?;
    let image = |of: &Value| of["containerDefinitions"][0]["image"].clone();
    if wanted.is_some_and(|wanted| image(wanted) != image(&running["taskDefinition"])) {
        return Err(format!(
            "it runs the image {}",
            image(&running["taskDefinition"])
        ));
    }
    tagged(spec, live)
}

/// Whether Application Auto Scaling has what the spec asks for, and nothing without it. A number of
/// tasks that somebody sets outside of the range stays until the next scaling.
fn scaled(id: &Id, spec: &Value, aws: &Aws) -> Result<(), String> {
    let resource = format!("service/{}-main/{}", id.1, id.2);
    let request = json!({"ServiceNamespace": "ecs", "ResourceIds": [resource]});
    let targets = look(aws, "DescribeScalableTargets", &request)?;
    let target = &targets["ScalableTargets"][0];
    let wanted = &spec["autoscaling"];
    if wanted.is_null() {
        return match target {
            Value::Null => Ok(()),
            left => Err(format!("its scalable target is left in AWS: {left}")),
        };
    }
    let is_suspended = |state: &Value, member: &str| state[member] == true;
    if (&target["MinCapacity"], &target["MaxCapacity"])
        != (&wanted["minCapacity"], &wanted["maxCapacity"])
        || is_suspended(&target["SuspendedState"], "DynamicScalingInSuspended")
            != is_suspended(&wanted["suspendedState"], "dynamicScalingInSuspended")
    {
        return Err(format!("its scalable target is {target}"));
    }
    let request = json!({"ServiceNamespace": "ecs", "ResourceId": resource});
    let reply = look(aws, "DescribeScalingPolicies", &request)?;
    let mut policies: Vec<_> = reply["ScalingPolicies"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|policy| {
            let tracking = &policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"];
            let steps = &policy["StepScalingPolicyConfiguration"]["StepAdjustments"];
            let value = [tracking, &steps[0]["ScalingAdjustment"]];
            json!([policy["PolicyName"], value])
        })
        .collect();
    let cpu = &wanted["cpu"];
    let steps = &wanted["policies"][0]["stepScalingPolicyConfiguration"]["stepAdjustments"];
    let steps = &steps[0]["scalingAdjustment"];
    let expected = [
        json!(["cpu", [cpu, Value::Null]]),
        json!(["steps", [Value::Null, steps]]),
    ];
    let expected = expected.into_iter().zip([cpu, steps]);
    let expected: Vec<_> = expected
        .filter(|(_, value)| !value.is_null())
        .map(|(policy, _)| policy)
        .collect();
    policies.sort_by_key(ToString::to_string);
    if policies != expected {
        return Err(format!("its scaling policies are {policies:?}"));
    }
    let reply = look(aws, "DescribeScheduledActions", &request)?;
    let schedule = |action: &Value, member: &str| action[member].clone();
    let actions = reply["ScheduledActions"].as_array().into_iter().flatten();
    let actions: Vec<_> = actions.map(|action| schedule(action, "Schedule")).collect();
    let wanted = wanted["scheduledActions"].as_array().into_iter().flatten();
    let wanted: Vec<_> = wanted.map(|action| schedule(action, "schedule")).collect();
    if actions != wanted {
        return Err(format!("its scheduled actions are {actions:?}"));
    }
    Ok(())
}

/// Whether no object is left, and nothing of theirs in AWS.
pub(super) fn gone(server: &ApiServer, aws: &Aws) -> Result<(), String> {
    if let Some(id) = server.objects().keys().next() {
        return Err(format!("{}/{} was deleted and is still there", id.0, id.2));
    }
    let is_owned = |live: &Value| !tag(live, OWNER).is_null();
    let clusters = look(aws, "ListClusters", &json!({}))?;
    for cluster in clusters["clusterArns"].as_array().into_iter().flatten() {
        let reply = look(
            aws,
            "DescribeClusters",
            &json!({"clusters": [cluster], "include": ["TAGS"]}),
        )?;
        if reply["clusters"][0]["status"] == "ACTIVE" && is_owned(&reply["clusters"][0]) {
            return Err(format!("{cluster} is left in AWS"));
        }
        let services = look(aws, "ListServices", &json!({"cluster": cluster}))?;
        for service in services["serviceArns"].as_array().into_iter().flatten() {
            let reply = look(
                aws,
                "DescribeServices",
                &json!({"cluster": cluster, "services": [service], "include": ["TAGS"]}),
            )?;
            if is_owned(&reply["services"][0]) {
                return Err(format!("{service} is left in AWS"));
            }
        }
    }
    let revisions = look(aws, "ListTaskDefinitions", &json!({"status": "ACTIVE"}))?;
    for revision in revisions["taskDefinitionArns"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let reply = look(
            aws,
            "DescribeTaskDefinition",
            &json!({"taskDefinition": revision, "include": ["TAGS"]}),
        )?;
        if is_owned(&reply) {
            return Err(format!("{revision} is left in AWS"));
        }
    }
    Ok(())
}
