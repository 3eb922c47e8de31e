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

use serde_json::{Value, json};

use super::api_server::{ApiServer, Id};
use super::aws::Aws;
use super::wishes::{INTRUDERS, Wishes};

/// The tag that names the owner.
const OWNER: &str = "ecs-operator.dev/owner";

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
        let desired = &object["spec"]["desiredCount"];
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
            "ecstaskdefinitions" => task_definition(object, spec, aws),
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

/// Whether the tags of the spec are in AWS.
fn tagged(spec: &Value, live: &Value) -> Result<(), String> {
    let tags = live["tags"].as_array().cloned().unwrap_or_default();
    let mut wanted = spec["tags"].as_array().into_iter().flatten();
    match wanted.find(|tag| !tags.contains(tag)) {
        Some(tag) => Err(format!("the tag {tag} is missing in AWS: {}", live["tags"])),
        None => Ok(()),
    }
}

fn cluster(id: &Id, spec: &Value, aws: &Aws) -> Result<(), String> {
    let request = json!({"clusters": [id.2], "include": ["TAGS", "SETTINGS"]});
    let reply = look(aws, "DescribeClusters", &request)?;
    let live = &reply["clusters"][0];
    if live["status"] != "ACTIVE" {
        return Err(format!("its status is {}", live["status"]));
    }
    same(spec, live, &["settings", "capacityProviders"])?;
    tagged(spec, live)
}

fn task_definition(object: &Value, spec: &Value, aws: &Aws) -> Result<(), String> {
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
    tagged(spec, &reply)
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
        &[
            "desiredCount",
            "enableExecuteCommand",
            "healthCheckGracePeriodSeconds",
        ],
    )?;
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

/// Whether no object is left, and nothing of theirs in AWS.
pub(super) fn gone(server: &ApiServer, aws: &Aws) -> Result<(), String> {
    if let Some(id) = server.objects().keys().next() {
        return Err(format!("{}/{} was deleted and is still there", id.0, id.2));
    }
    let is_owned = |live: &Value| {
        let tags = live["tags"].as_array().into_iter().flatten();
        tags.into_iter().any(|tag| tag["key"] == OWNER)
    };
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
