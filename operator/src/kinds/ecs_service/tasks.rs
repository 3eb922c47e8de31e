//! Stopped tasks of a service that need attention. Pure.

use ecs_operator_crds::v1beta1::service::StoppedTask;
use serde_json::Value;

use crate::aws::{name_in, time};
use crate::k8s::conditions::whole_seconds;
use crate::kinds::task_stop::TaskStop;

/// How many stopped tasks the status keeps: one of each class.
const KEPT: usize = 5;

/// Those of `tasks` that stopped for a reason that needs attention, the newest first.
pub(super) fn troubled(tasks: &Value) -> Vec<StoppedTask> {
    let mut found: Vec<_> = tasks
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(troubled_task)
        .collect();
    found.sort_by(|a, b| {
        b.stopped_at
            .as_ref()
            .map(|at| at.0)
            .cmp(&a.stopped_at.as_ref().map(|at| at.0))
    });
    found
}

/// Merges known and new stopped tasks, one of each reason.
pub(super) fn merged(known: &[StoppedTask], seen: &[StoppedTask]) -> Vec<StoppedTask> {
    let mut all: Vec<StoppedTask> = Vec::new();
    for task in seen {
        if !known.iter().chain(&all).any(|known| is_alike(known, task)) {
            all.push(task.clone());
        }
    }
    all.extend(known.iter().cloned());
    all.truncate(KEPT);
    all
}

/// Whether two tasks stopped for the same reason: texts may hold IDs that differ each time.
fn is_alike(one: &StoppedTask, other: &StoppedTask) -> bool {
    let kind = |task: &StoppedTask| {
        (
            task.revision.clone(),
            task.reason.clone(),
            task.container.clone(),
            task.exit_code,
        )
    };
    kind(one) == kind(other)
}

fn troubled_task(task: &Value) -> Option<StoppedTask> {
    let TaskStop {
        class,
        words,
        container,
        exit_code,
    } = TaskStop::of(task);
    Some(StoppedTask {
        task_id: task["taskArn"]
            .as_str()
            .map(name_in)
            .unwrap_or_default()
            .to_owned(),
        revision: task["taskDefinitionArn"]
            .as_str()
            .map(|arn| name_in(arn).to_owned()),
        reason: class?.as_str().to_owned(),
        message: words,
        container,
        exit_code,
        stopped_at: time(&task["stoppedAt"]).map(whole_seconds),
    })
}

/// A stopped task in a sentence.
pub(super) fn told(task: &StoppedTask) -> String {
    let StoppedTask {
        task_id,
        message,
        container,
        exit_code,
        ..
    } = task;
    let ending = match (container, exit_code) {
        (Some(container), Some(code)) => format!(" (container {container}, exit code {code})"),
        (Some(container), None) => format!(" (container {container})"),
        _ => String::new(),
    };
    format!(
        "Task {task_id} stopped: {}{ending}",
        message.trim_end_matches('.')
    )
}

/// Why tasks of a revision stopped, for a message.
pub(super) fn hint(stopped_tasks: &[StoppedTask], revision: &str) -> String {
    let newest = stopped_tasks
        .iter()
        .find(|task| task.revision.as_deref() == Some(revision));
    newest
        .map(|task| format!(". {}", told(task)))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tasks_that_stopped_alike_are_told_once() {
        let task = |id: &str, at: i64, code: i64| {
            json!({"taskArn": format!("arn:aws:ecs:eu-central-1:1:task/shop/{id}"), "stopCode": "EssentialContainerExited",
                "stoppedReason": "Essential container in task exited", "stoppedAt": at,
                "taskDefinitionArn": "arn:aws:ecs:eu-central-1:1:task-definition/web:2",
                "containers": [{"name": "log", "exitCode": 0}, {"name": "web", "exitCode": code}]})
        };
        let first = merged(
            &[],
            &troubled(&json!([
                task("a", 10, 1),
                task("b", 20, 1),
                task("c", 15, 137)
            ])),
        );
        assert_eq!(
            first
                .iter()
                .map(|task| task.task_id.as_str())
                .collect::<Vec<_>>(),
            ["b", "c"]
        );
        assert_eq!(
            told(&first[0]),
            "Task b stopped: Essential container in task exited (container web, exit code 1)"
        );
        let later = merged(
            &first,
            &troubled(&json!([task("d", 30, 1), task("e", 31, 2)])),
        );
        assert_eq!(
            later
                .iter()
                .map(|task| task.task_id.as_str())
                .collect::<Vec<_>>(),
            ["e", "b", "c"]
        );
    }
}
