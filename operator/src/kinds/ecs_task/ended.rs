//! How a task ended, as the status shows it. Pure.

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::task::{AttemptStatus, ContainerStatus, TaskStatus};
use serde_json::Value;

use crate::aws::{name_in, time};
use crate::k8s::conditions::{cut, whole_seconds};
use crate::kinds::task_stop::{StoppedContainer, TaskStop};

/// Longest reason that is kept, in bytes.
const LONGEST: usize = 512;

/// How a task ended with an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// Its class.
    pub(super) reason: Reason,
    /// The same in a sentence.
    pub(super) message: String,
    /// The exit code of the container that failed, if one did.
    pub(super) exit_code: Option<i32>,
}

/// Whether the task has stopped.
pub(super) fn has_stopped(task: &TaskStatus) -> bool {
    task.last_status == "STOPPED"
}

/// Whether nothing of the task can change any more: it has stopped, and it is known which of its
/// containers count.
pub(super) fn is_final(task: &TaskStatus) -> bool {
    let mut containers = task.containers.iter().flatten();
    has_stopped(task) && containers.all(|container| container.essential.is_some())
}

/// The essential containers of a task: others are stopped when these end, and have an exit code
/// that means nothing.
fn essential(task: &TaskStatus) -> impl Iterator<Item = &ContainerStatus> {
    let containers = task.containers.iter().flatten();
    containers.filter(|container| container.essential != Some(false))
}

/// How `task` failed; `None` while it runs, and if it succeeded.
pub(super) fn failure(task: &TaskStatus) -> Option<Failure> {
    if !has_stopped(task) {
        return None;
    }
    let code = task.stop_code.as_deref().unwrap_or_default();
    let ended_by_itself = ["", "EssentialContainerExited"].contains(&code);
    let has_succeeded = ended_by_itself
        && essential(task).next().is_some()
        && essential(task).all(|container| container.exit_code == Some(0));
    (!has_succeeded).then(|| told(task, code))
}

/// The exit codes of the essential containers of an attempt.
pub(super) fn exit_codes(attempt: &AttemptStatus) -> impl Iterator<Item = i32> {
    let tasks = attempt.tasks.iter().flatten();
    let containers = tasks.flat_map(essential);
    containers.filter_map(|container| container.exit_code)
}

fn told(task: &TaskStatus, code: &str) -> Failure {
    let containers: Vec<_> = essential(task)
        .map(|container| StoppedContainer {
            name: &container.name,
            reason: container.reason.as_deref().unwrap_or_default(),
            exit_code: container.exit_code,
        })
        .collect();
    let stopped = task.stopped_reason.as_deref().unwrap_or_default();
    let stop = TaskStop::new(code, stopped, &containers);
    let id = name_in(&task.task_arn);
    let culprit = match (&stop.container, stop.exit_code) {
        (Some(container), Some(code)) => format!(" (container {container}, exit code {code})"),
        (Some(container), None) => format!(" (container {container})"),
        _ => String::new(),
    };
    let words = match stop.words.trim_end_matches('.') {
        "" => "AWS gives no reason",
        words => words,
    };
    Failure {
        reason: stop.class.unwrap_or(Reason::TaskStopped),
        message: format!("Task {id} stopped: {words}{culprit}"),
        exit_code: stop.exit_code.filter(|code| *code != 0),
    }
}

/// A task as the status shows it. `definitions` are the containers of its task definition; `None`
/// while they are not known.
pub(super) fn shown(arn: &str, task: &Value, definitions: Option<&Value>) -> TaskStatus {
    let text = |member: &str| task[member].as_str().map(str::to_owned);
    let containers = task["containers"].as_array().into_iter().flatten();
    let containers: Vec<_> = containers
        .map(|container| container_shown(container, definitions, name_in(arn)))
        .collect();
    TaskStatus {
        task_arn: arn.to_owned(),
        last_status: text("lastStatus").unwrap_or_default(),
        created_at: time(&task["createdAt"]).map(whole_seconds),
        started_at: time(&task["startedAt"]).map(whole_seconds),
        stopped_at: time(&task["stoppedAt"]).map(whole_seconds),
        stop_code: text("stopCode"),
        stopped_reason: text("stoppedReason").map(|reason| cut(reason, LONGEST)),
        containers: (!containers.is_empty()).then_some(containers),
    }
}

/// The same task as ECS shows it now, with what was known of its containers before.
pub(super) fn updated(known: &TaskStatus, mut shown: TaskStatus) -> TaskStatus {
    for container in shown.containers.iter_mut().flatten() {
        let mut before = known.containers.iter().flatten();
        let before = before.find(|before| before.name == container.name);
        if let Some(before) = before.filter(|_| container.essential.is_none()) {
            container.essential = before.essential;
            container.log_group.clone_from(&before.log_group);
            container.log_stream.clone_from(&before.log_stream);
        }
    }
    shown
}

/// A container as the status shows it. What a known definition does not name, AWS itself has added,
/// as for GuardDuty, and it does not count. Source of the name of the log stream: "Send Amazon ECS
/// logs to CloudWatch", ECS developer guide, `awslogs-stream-prefix`.
fn container_shown(container: &Value, definitions: Option<&Value>, task: &str) -> ContainerStatus {
    let name = container["name"].as_str().unwrap_or_default().to_owned();
    let definitions = definitions.and_then(Value::as_array);
    let definition = definitions.map(|all| all.iter().find(|it| it["name"] == *name));
    let option = |member: &str| Some(definition??[member].as_str()?.to_owned());
    let log_stream = option("logPrefix").map(|prefix| format!("{prefix}/{name}/{task}"));
    let is_essential = |definition: Option<&Value>| {
        definition.is_some_and(|definition| definition["essential"] != false)
    };
    ContainerStatus {
        essential: definition.map(is_essential),
        exit_code: container["exitCode"]
            .as_i64()
            .and_then(|code| i32::try_from(code).ok()),
        reason: container["reason"]
            .as_str()
            .map(|reason| cut(reason.to_owned(), LONGEST)),
        log_group: option("logGroup"),
        log_stream,
        name,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn task(code: Option<&str>, containers: &Value, definitions: Option<&Value>) -> TaskStatus {
        let task = json!({"lastStatus": "STOPPED", "stopCode": code, "stoppedReason": "Essential container in task exited",
            "containers": containers});
        shown("arn:aws:ecs:e:1:task/shop/0123", &task, definitions)
    }

    #[test]
    fn a_task_succeeds_when_its_essential_containers_end_with_zero() {
        let definitions =
            json!([{"name": "app", "essential": true}, {"name": "log", "essential": false}]);
        let exited = Some("EssentialContainerExited");
        let app_and_log = |app: Value, log: Value| json!([{"name": "app", "exitCode": app}, {"name": "log", "exitCode": log}]);
        let succeeded = |code, containers: &Value, definitions| {
            failure(&task(code, containers, definitions)).is_none()
        };
        let known = Some(&definitions);
        assert!(succeeded(exited, &app_and_log(json!(0), json!(137)), known));
        assert!(!succeeded(exited, &app_and_log(json!(1), json!(0)), known));
        assert!(
            !succeeded(exited, &app_and_log(json!(null), json!(0)), known),
            "it never ran"
        );
        assert!(
            !succeeded(exited, &app_and_log(json!(0), json!(137)), None),
            "without the definition all containers count"
        );
        let user = Some("UserInitiated");
        assert!(
            !succeeded(user, &app_and_log(json!(0), json!(0)), known),
            "it was cut short"
        );
        assert!(!succeeded(Some("TaskFailedToStart"), &json!([]), known));
        let guarded = json!([{"name": "app", "exitCode": 0}, {"name": "aws-guardduty-agent", "exitCode": 137}]);
        assert!(succeeded(exited, &guarded, known), "AWS has added it");
    }

    #[test]
    fn the_failure_names_the_container_that_counts() {
        let definitions = json!([{"name": "log", "essential": false}, {"name": "proxy", "essential": true},
            {"name": "app", "essential": true}]);
        // The proxy is stopped because the application has ended.
        let containers = json!([{"name": "log", "exitCode": 137}, {"name": "proxy", "exitCode": 143}, {"name": "app", "exitCode": 3}]);
        let task = task(
            Some("EssentialContainerExited"),
            &containers,
            Some(&definitions),
        );
        assert_eq!(
            failure(&task),
            Some(Failure {
                reason: Reason::TaskExited,
                message: "Task 0123 stopped: Essential container in task exited (container app, exit code 3)".to_owned(),
                exit_code: Some(3),
            })
        );
        let attempt = AttemptStatus {
            tasks: Some(vec![task]),
            ..AttemptStatus::default()
        };
        assert_eq!(exit_codes(&attempt).collect::<Vec<_>>(), [143, 3]);
    }

    #[test]
    fn a_task_shows_where_its_logs_are() {
        let definitions =
            json!([{"name": "app", "essential": true, "logGroup": "/ecs/app", "logPrefix": "run"}]);
        let shown = task(None, &json!([{"name": "app"}]), Some(&definitions));
        let container = &shown.containers.expect("it has one")[0];
        assert_eq!(container.log_group.as_deref(), Some("/ecs/app"));
        assert_eq!(container.log_stream.as_deref(), Some("run/app/0123"));
    }
}
