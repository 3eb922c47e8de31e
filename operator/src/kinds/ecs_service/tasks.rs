//! Why tasks stopped: which of them need attention, and their class. Pure.
//!
//! Source: "Stopped task error codes" in the Amazon ECS developer guide, and TaskStopCode in the
//! ECS API reference.

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::service::StoppedTask;
use serde_json::Value;

use crate::aws::{name_in, time};
use crate::k8s::conditions::{cut, whole_seconds};

/// How many stopped tasks the status keeps: one of each class.
const KEPT: usize = 5;

/// Longest reason that is kept, in bytes.
const LONGEST: usize = 512;

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
    let code = task["stopCode"].as_str().unwrap_or_default();
    let stopped = task["stoppedReason"].as_str().unwrap_or_default();
    let containers = || task["containers"].as_array().into_iter().flatten();
    // The container with something to say: a reason, or an exit code that is no success.
    let culprit = containers()
        .find(|container| {
            container["reason"]
                .as_str()
                .is_some_and(|reason| !reason.is_empty())
        })
        .or_else(|| {
            containers()
                .find(|container| container["exitCode"].as_i64().is_some_and(|code| code != 0))
        })
        .or_else(|| containers().find(|container| container["exitCode"].is_i64()));
    let detail = culprit
        .and_then(|container| container["reason"].as_str())
        .unwrap_or_default();
    let reason = classify(code, stopped, detail)?;
    let words = if detail.is_empty() || stopped.contains(detail) {
        stopped.to_owned()
    } else {
        format!("{stopped}: {detail}")
    };
    let exit_code = culprit
        .and_then(|container| container["exitCode"].as_i64())
        .and_then(|code| i32::try_from(code).ok());
    Some(StoppedTask {
        task_id: task["taskArn"]
            .as_str()
            .map(name_in)
            .unwrap_or_default()
            .to_owned(),
        revision: task["taskDefinitionArn"]
            .as_str()
            .map(|arn| name_in(arn).to_owned()),
        reason: reason.as_str().to_owned(),
        message: cut(words, LONGEST),
        container: culprit
            .and_then(|container| container["name"].as_str())
            .map(str::to_owned),
        exit_code,
        stopped_at: time(&task["stoppedAt"]).map(whole_seconds),
    })
}

/// The class of a stop; `None` where it belongs to the course of things, as in a deployment or when
/// scaling in.
fn classify(code: &str, stopped: &str, detail: &str) -> Option<Reason> {
    let text = format!("{stopped} {detail}").to_lowercase();
    let says = |fragment: &str| text.contains(fragment);
    Some(match code {
        "SpotInterruption" | "TerminationNotice" => Reason::TaskSpotInterrupted,
        _ if says("cannotpull") || says("unable to pull image") => Reason::TaskImagePullFailed,
        _ if says("outofmemory") => Reason::TaskOutOfMemory,
        _ if says("health check") => Reason::TaskUnhealthy,
        _ if says("network interface") || says("resource:eni") => Reason::TaskNetworkFailed,
        _ if says("resourceinitializationerror") => Reason::TaskInitializationFailed,
        "EssentialContainerExited" => Reason::TaskExited,
        "InfrastructureHealth" => Reason::TaskHostFailed,
        "TaskFailedToStart" => Reason::TaskStartFailed,
        _ => return None,
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
    fn each_stop_has_its_class_and_the_course_of_things_has_none() {
        let rows = [
            (
                "TaskFailedToStart",
                "CannotPullContainerError: pull image manifest has been retried 1 time(s)",
                "",
                Some(Reason::TaskImagePullFailed),
            ),
            (
                "EssentialContainerExited",
                "Essential container in task exited",
                "OutOfMemoryError: Container killed due to memory usage",
                Some(Reason::TaskOutOfMemory),
            ),
            (
                "EssentialContainerExited",
                "Essential container in task exited",
                "",
                Some(Reason::TaskExited),
            ),
            (
                "ServiceSchedulerInitiated",
                "Task failed ELB health checks in (target-group arn:…)",
                "",
                Some(Reason::TaskUnhealthy),
            ),
            (
                "ServiceSchedulerInitiated",
                "Task failed container health checks",
                "",
                Some(Reason::TaskUnhealthy),
            ),
            (
                "SpotInterruption",
                "Your Spot Task was interrupted.",
                "",
                Some(Reason::TaskSpotInterrupted),
            ),
            (
                "TaskFailedToStart",
                "Timeout waiting for network interface provisioning to complete.",
                "",
                Some(Reason::TaskNetworkFailed),
            ),
            (
                "TaskFailedToStart",
                "Unexpected EC2 error while attempting to Create Network Interface: InsufficientFreeAddressesInSubnet",
                "",
                Some(Reason::TaskNetworkFailed),
            ),
            (
                "TaskFailedToStart",
                "ResourceInitializationError: unable to pull secrets or registry auth",
                "",
                Some(Reason::TaskInitializationFailed),
            ),
            (
                "TaskFailedToStart",
                "ContainerRuntimeError: …",
                "",
                Some(Reason::TaskStartFailed),
            ),
            (
                "InfrastructureHealth",
                "Host EC2 instance terminated.",
                "",
                Some(Reason::TaskHostFailed),
            ),
            (
                "ServiceSchedulerInitiated",
                "Scaling activity initiated by deployment ecs-svc/1",
                "",
                None,
            ),
            ("UserInitiated", "Task stopped by user", "", None),
        ];
        for (code, stopped, detail, class) in rows {
            assert_eq!(
                classify(code, stopped, detail),
                class,
                "{code}: {stopped} {detail}"
            );
        }
    }

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
