//! Sends one write of an EcsTask, and enters its reply into the observer.

use std::collections::BTreeMap;
use std::sync::Arc;

use ecs_operator_crds::v1beta1::EcsTask;
use serde_json::Value;

use super::observe::{containers, run_key};
use super::observed::ObservedTask;
use crate::aws::ecs::{self, RunKey, TaskKey};
use crate::aws::observer::Answer;
use crate::aws::{AwsError, Permit};
use crate::clock;
use crate::reconcile::Pass;
use crate::reconcile::lifecycle::Lifecycle;
use crate::reconcile::plan::Write;

const LIFECYCLE: Lifecycle = Lifecycle {
    create: ecs::RunTask,
    delete: ecs::StopTask,
    deleted: &[],
};

pub(super) async fn apply(
    object: &EcsTask,
    pass: &Pass<'_, ObservedTask>,
    before: &ObservedTask,
    write: &Write,
    permit: Permit,
) -> Result<ObservedTask, AwsError> {
    let Some(key) = run_key(object, before.cluster.as_deref()) else {
        return Ok(before.clone());
    };
    let reply = LIFECYCLE.send(pass, &key, write, permit).await?;
    let mut observed = before.clone();
    match (write.operation, reply) {
        (ecs::RunTask, Some(reply)) => {
            let shown = started(pass, &mut observed, &key, &reply);
            observed.refusal = (shown < asked(write)).then(|| refusal(&reply));
        }
        (_, Some(reply)) => {
            let stopped = BTreeMap::from_iter(of(&reply["task"]));
            enter(pass, &mut observed, &key, stopped);
        }
        // ECS has forgotten it.
        (_, None) => {
            let arn = write.request["task"].as_str().unwrap_or_default();
            observed.tasks.remove(arn);
        }
    }
    containers(pass, &mut observed).await;
    observed.may_be_there = false;
    observed.now = clock::now();
    Ok(observed)
}

/// Enters the tasks that a reply of RunTask shows, and returns how many those are.
fn started(
    pass: &Pass<'_, ObservedTask>,
    observed: &mut ObservedTask,
    key: &RunKey,
    reply: &Value,
) -> usize {
    let tasks = reply["tasks"].as_array().into_iter().flatten();
    let tasks: BTreeMap<_, _> = tasks.filter_map(of).collect();
    let shown = tasks.len();
    enter(pass, observed, key, tasks);
    // Reads may not show them yet.
    let all: Vec<_> = observed
        .tasks
        .values()
        .map(|task| (**task).clone())
        .collect();
    let runs = pass.aws.observer.cache::<RunKey>();
    runs.enter(key.clone(), Answer::Found(Arc::new(all.into())));
    shown
}

/// The number of tasks that a call asks for.
fn asked(write: &Write) -> usize {
    let count = write.request["count"].as_u64();
    count
        .and_then(|count| usize::try_from(count).ok())
        .unwrap_or(1)
}

/// Why a reply of RunTask shows fewer tasks than were asked for.
fn refusal(reply: &Value) -> String {
    let failures = reply["failures"].as_array().into_iter().flatten();
    let mut reasons: Vec<_> = failures.map(reason).collect();
    reasons.sort();
    reasons.dedup();
    if reasons.is_empty() {
        return "AWS gives no reason".to_owned();
    }
    reasons.join("; ")
}

/// Why ECS could not start a task. Source: "API failure reasons", ECS developer guide.
fn reason(failure: &Value) -> String {
    let text = |member: &str| failure[member].as_str().unwrap_or_default();
    match (text("reason"), text("detail")) {
        ("", "") => "AWS gives no reason".to_owned(),
        (reason, "") => reason.to_owned(),
        (reason, detail) => format!("{reason} ({detail})"),
    }
}

/// A task with its ARN.
fn of(task: &Value) -> Option<(String, Arc<Value>)> {
    let arn = task["taskArn"].as_str()?;
    Some((arn.to_owned(), Arc::new(ecs::task(task))))
}

fn enter(
    pass: &Pass<'_, ObservedTask>,
    observed: &mut ObservedTask,
    key: &RunKey,
    tasks: BTreeMap<String, Arc<Value>>,
) {
    let cache = pass.aws.observer.cache::<TaskKey>();
    for (arn, task) in &tasks {
        let key = TaskKey {
            cluster: key.cluster.clone(),
            arn: arn.clone(),
        };
        observed.at = Some(cache.enter(key, Answer::Found(Arc::clone(task))).at);
    }
    observed.tasks.extend(tasks);
}
