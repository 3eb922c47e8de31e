//! Why a task stopped. Pure.
//!
//! Source: "Stopped task error codes" in the Amazon ECS developer guide, and TaskStopCode in the
//! ECS API reference.

use ecs_operator_crds::condition::Reason;
use serde_json::Value;

use crate::k8s::conditions::cut;

/// Longest reason that is kept, in bytes.
const LONGEST: usize = 512;

/// Why a task stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TaskStop {
    /// The class; `None` where it belongs to the course of things, as in a deployment or when
    /// scaling in.
    pub(super) class: Option<Reason>,
    /// The reason in AWS's words.
    pub(super) words: String,
    /// The container with something to say.
    pub(super) container: Option<String>,
    /// Its exit code.
    pub(super) exit_code: Option<i32>,
}

/// A container of a task that stopped.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoppedContainer<'a> {
    pub(super) name: &'a str,
    pub(super) reason: &'a str,
    pub(super) exit_code: Option<i32>,
}

/// Exit codes of a container that was stopped with its task: by SIGKILL and SIGTERM.
const SIGNALS: [i32; 2] = [137, 143];

impl TaskStop {
    /// Why `task`, as DescribeTasks shows it, stopped.
    pub(super) fn of(task: &Value) -> Self {
        let text = |value: &'_ Value| value.as_str().unwrap_or_default().to_owned();
        let containers = task["containers"].as_array().into_iter().flatten();
        let containers: Vec<_> = containers
            .map(|container| StoppedContainer {
                name: container["name"].as_str().unwrap_or_default(),
                reason: container["reason"].as_str().unwrap_or_default(),
                exit_code: container["exitCode"]
                    .as_i64()
                    .and_then(|code| i32::try_from(code).ok()),
            })
            .collect();
        Self::new(
            &text(&task["stopCode"]),
            &text(&task["stoppedReason"]),
            &containers,
        )
    }

    /// Why a task with these containers stopped, by its `stopCode` and `stoppedReason`.
    pub(super) fn new(code: &str, stopped: &str, containers: &[StoppedContainer<'_>]) -> Self {
        let has = |fits: &dyn Fn(&StoppedContainer<'_>) -> bool| {
            containers.iter().find(|container| fits(container))
        };
        let failed = |code: i32| code != 0 && !SIGNALS.contains(&code);
        // The container with something to say: a reason, or an exit code that is no success.
        let culprit = has(&|it| !it.reason.is_empty())
            .or_else(|| has(&|it| it.exit_code.is_some_and(failed)))
            .or_else(|| has(&|it| it.exit_code.is_some_and(|code| code != 0)))
            .or_else(|| has(&|it| it.exit_code.is_some()));
        let detail = culprit.map_or("", |container| container.reason);
        let words = if detail.is_empty() || stopped.contains(detail) {
            stopped.to_owned()
        } else {
            format!("{stopped}: {detail}")
        };
        Self {
            class: classify(code, stopped, detail),
            words: cut(words, LONGEST),
            container: culprit.map(|container| container.name.to_owned()),
            exit_code: culprit.and_then(|container| container.exit_code),
        }
    }
}

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

#[cfg(test)]
mod tests {
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
}
