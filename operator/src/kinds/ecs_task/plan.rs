//! The plan of an EcsTask. Pure.

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::EcsTask;
use ecs_operator_crds::v1beta1::task::{AttemptStatus, RunStatus};
use kube::ResourceExt;
use serde_json::json;

use super::names::{started_by, token};
use super::observed::ObservedTask;
use super::progress::{active, count, progress, started};
use super::shape::OWN_MEMBERS;
use super::step::{Step, answered, step};
use crate::aws::ecs;
use crate::aws::name_in;
use crate::aws::tags::Owner;
use crate::k8s::object::Object;
use crate::reconcile::plan::{Plan, Write, absent, request};

pub(super) fn plan(object: &EcsTask, observed: &ObservedTask, owner: &Owner) -> Plan {
    if object.is_deleting() {
        return delete(object, observed);
    }
    let progress = progress(object, observed);
    match step(object, observed, &progress) {
        Step::Blocked(obstacle) => Plan::Wait(obstacle),
        Step::Begin(begun) if is_held(object) => {
            // What would be sent.
            let (run, attempt) = &*begun;
            let missing = count(run);
            Plan::Write(vec![start(
                object,
                observed,
                owner,
                (run, attempt),
                missing,
            )])
        }
        // The status comes first.
        Step::Begin(_) | Step::Record => Plan::Write(Vec::new()),
        Step::Start(_) if !observed.is_recorded && !is_held(object) => Plan::Write(Vec::new()),
        Step::Start(missing) => {
            let (Some(run), Some(attempt)) = (&progress.run, progress.attempt()) else {
                return Plan::InSync;
            };
            if let Some(refusal) = &observed.refusal {
                let message = no_room(started(attempt), count(run), refusal);
                return Plan::wait(Reason::CapacityUnavailable, message);
            }
            Plan::Write(vec![start(
                object,
                observed,
                owner,
                (run, attempt),
                missing,
            )])
        }
        Step::Stop => {
            let seconds = object.spec.active_deadline_seconds.unwrap_or_default();
            let name = named(object);
            let reason = format!("activeDeadlineSeconds ({seconds} s) of {name} have passed");
            Plan::Write(stops(observed, &reason))
        }
        Step::Watch | Step::BackOff(_) | Step::Ended => Plan::InSync,
    }
}

/// Whether the spec lets the operator send nothing.
fn is_held(object: &EcsTask) -> bool {
    object.spec.policies.suspends() || object.spec.policies.observes()
}

fn no_room(present: usize, total: usize, refusal: &str) -> String {
    let missing = total.saturating_sub(present);
    let runs = match present {
        0 => String::new(),
        present => format!("{present} of {total} tasks started; "),
    };
    format!("{runs}ECS cannot start {missing} more now: {refusal}; it is tried again")
}

/// The call that starts the missing tasks of an attempt.
fn start(
    object: &EcsTask,
    observed: &ObservedTask,
    owner: &Owner,
    (run, attempt): (&RunStatus, &AttemptStatus),
    missing: usize,
) -> Write {
    let mut request = request(&object.spec, OWN_MEMBERS);
    let cluster = observed.cluster.clone().unwrap_or_default();
    let tags = owner.desired(object.spec.tags.as_deref());
    let own = [
        ("cluster", cluster.clone().into()),
        ("taskDefinition", run.task_definition.clone().into()),
        ("count", missing.into()),
        ("startedBy", started_by(object, attempt).into()),
        (
            "clientToken",
            token(object, attempt, answered(attempt)).into(),
        ),
        ("tags", tags.write(ecs::SERVICE.tag_shape)),
    ];
    request.extend(own.map(|(member, value)| (member.to_owned(), value)));
    let what = name_in(&run.task_definition);
    let tasks = match missing {
        1 => "a task".to_owned(),
        number => format!("{number} tasks"),
    };
    let again = match attempt.number {
        1 => String::new(),
        number => format!(" (attempt {number})"),
    };
    Write {
        operation: ecs::RunTask,
        request: request.into(),
        note: format!("Started {tasks} of {what} in cluster {cluster}{again}"),
    }
}

/// The calls that stop the tasks that run.
fn stops(observed: &ObservedTask, reason: &str) -> Vec<Write> {
    let cluster = observed.cluster.as_deref().unwrap_or_default();
    let stop = |arn: &String| Write {
        operation: ecs::StopTask,
        request: json!({"cluster": cluster, "task": arn, "reason": reason}),
        note: format!("Stopped task {}: {reason}", name_in(arn)),
    };
    observed.unstopped().map(stop).collect()
}

/// The object, as AWS shows it in the reason of a stop.
fn named(object: &EcsTask) -> String {
    let namespace = object.namespace().unwrap_or_default();
    format!("EcsTask {namespace}/{}", object.name_any())
}

fn delete(object: &EcsTask, observed: &ObservedTask) -> Plan {
    if object.spec.policies.retains() {
        return Plan::Gone;
    }
    let stops = stops(observed, &format!("{} was deleted", named(object)));
    if !stops.is_empty() {
        return Plan::Write(stops);
    }
    let progress = progress(object, observed);
    let attempt = progress.attempt().filter(|_| !progress.has_ended());
    let stopping = attempt.into_iter().flat_map(|it| active(it, observed));
    let stopping: Vec<_> = stopping.map(|task| name_in(&task.task_arn)).collect();
    if !stopping.is_empty() {
        let message = format!("task {} is stopping", stopping.join(", "));
        return Plan::pause(Reason::Deleting, message);
    }
    absent("a task", observed.may_be_there)
}
