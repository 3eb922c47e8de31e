//! Tasks that run once: what users want of them, and what judges them.
//!
//! - The tasks of an attempt are never more than the run asks for, and never run beside those of
//!   another attempt of the same object ([`started`], at every call of RunTask).
//! - In the end the run of the present task definition has succeeded ([`converged`]).
//! - When the object is gone, none of its tasks runs ([`left`]).

use serde_json::{Value, json};

use super::api_server::Id;
use super::aws::Aws;
use super::chance::Chance;
use super::wishes::Wishes;
use crate::simulator::{Account, Moment};

/// Images of tasks that end. The last two fail.
pub(super) const IMAGES: [&str; 5] = ["job:1", "job:2", "job:3", "crash:1", "no-such-image:1"];

/// Those of tasks that succeed.
pub(super) const GOOD: [&str; 3] = ["job:1", "job:2", "job:3"];

/// What the name of a task definition ends in whose tasks end.
pub(super) const BATCH: &str = "batch";

/// What a user wants of a task.
pub(super) fn spec(namespace: &str, chance: &mut Chance) -> Value {
    let mut spec = json!({
        "clusterRef": {"name": format!("{namespace}-main")},
        "taskDefinitionRef": {"name": format!("{namespace}-{BATCH}")},
        "launchType": "FARGATE",
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-0a1b2c3d"]}},
        "runPolicy": "OnChange",
    });
    if chance.happens(40) {
        spec["count"] = (1 + chance.below(3)).into();
    }
    if chance.happens(40) {
        spec["backoffLimit"] = chance.below(3).into();
    }
    if chance.happens(40) {
        spec["overrides"] = json!({"cpu": *chance.one(&["256", "512"])});
    }
    spec
}

/// All tasks of a cluster that ECS shows.
fn tasks(account: &Account, cluster: &Value, now: Moment) -> Vec<Value> {
    let mut account = account.clone();
    let mut call = |operation: &str, request: Value| {
        let reply = account.call(operation, &request, now);
        reply.unwrap_or_default()
    };
    let mut arns = Vec::new();
    for status in ["RUNNING", "STOPPED"] {
        let request = json!({"cluster": cluster, "desiredStatus": status});
        let listed = call("ListTasks", request);
        arns.extend(listed["taskArns"].as_array().cloned().unwrap_or_default());
    }
    let described = call("DescribeTasks", json!({"cluster": cluster, "tasks": arns}));
    described["tasks"].as_array().cloned().unwrap_or_default()
}

fn started_by(task: &Value) -> &str {
    task["startedBy"].as_str().unwrap_or_default()
}

/// Judges a call of RunTask that ECS has carried out.
pub(super) fn started(request: &Value, account: &Account, now: Moment) -> Option<String> {
    let attempt = started_by(request);
    let (object, _) = attempt.rsplit_once('/')?;
    let tasks = tasks(account, &request["cluster"], now);
    // The token ends in the number of tasks that had been started before.
    let token = request["clientToken"].as_str()?;
    let before: u64 = token.rsplit('.').next()?.parse().ok()?;
    let wanted = before + request["count"].as_u64()?;
    let of_attempt = tasks.iter().filter(|task| started_by(task) == attempt);
    let present = of_attempt.count();
    if u64::try_from(present).unwrap_or(u64::MAX) > wanted {
        return Some(format!("{present} tasks of {attempt} instead of {wanted}"));
    }
    let mut others = tasks.iter().filter(|task| {
        started_by(task).starts_with(object)
            && started_by(task) != attempt
            && task["lastStatus"] != "STOPPED"
    });
    let other = others.next()?;
    Some(format!("starts {attempt} while {} runs", started_by(other)))
}

/// Judges an object that is gone: none of its tasks runs.
pub(super) fn left(object: &Value, aws: &Aws) -> Option<String> {
    let uid = object["metadata"]["uid"].as_str()?;
    let cluster = &object["spec"]["clusterRef"]["name"];
    let listed = aws.look("ListTasks", &json!({"cluster": cluster})).ok()?;
    let request = json!({"cluster": cluster, "tasks": listed["taskArns"]});
    let described = aws.look("DescribeTasks", &request).ok()?;
    let mut running = described["tasks"].as_array()?.iter();
    let task = running.find(|task| started_by(task).contains(uid))?;
    Some(format!("{} is left and runs", task["taskArn"]))
}

/// Whether the last run had the task definition that its user wants.
pub(super) fn converged(id: &Id, object: &Value, wishes: &Wishes, aws: &Aws) -> Result<(), String> {
    let run = &object["status"]["run"];
    if object["status"]["phase"] != "Succeeded" {
        return Err(format!("its phase is {}", object["status"]["phase"]));
    }
    let name = object["spec"]["taskDefinitionRef"]["name"].as_str();
    let name = name.unwrap_or_default().to_owned();
    let definition = ("ecstaskdefinitions".to_owned(), id.1.clone(), name);
    let wanted = wishes
        .specs
        .get(&definition)
        .map(|spec| &spec["containerDefinitions"][0]["image"]);
    let request = json!({"taskDefinition": run["taskDefinition"]});
    let ran = aws
        .look("DescribeTaskDefinition", &request)
        .map_err(|refusal| refusal.to_string())?;
    let ran = &ran["taskDefinition"]["containerDefinitions"][0]["image"];
    if Some(ran) == wanted {
        Ok(())
    } else {
        Err(format!("it ran {ran} instead of {wanted:?}"))
    }
}
