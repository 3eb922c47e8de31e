//! How a service is whose AWS object is what the spec asks for: does it also run? Pure.

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::service::{RolloutPhase, RolloutStatus, StoppedTask, TaskFailures};
use ecs_operator_crds::v1beta1::{EcsService, EcsServiceStatus};
use ecs_operator_crds::{CONTINUE_AT, STOP_AT};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::attempt::{asked_for, is_same_task_definition};
use super::described::{Service, short};
use super::rollout::is_over;
use super::stable::{after, failing, held_until, unavailable_after};
use super::tasks::hint;
use crate::k8s::conditions::{self, State, Verdict};

/// Default of `rollout.progressDeadlineSeconds`: that of a Deployment.
const PROGRESS_DEADLINE: i64 = 600;

/// What the verdict is made of.
pub(super) struct Facts<'a> {
    pub object: &'a EcsService,
    pub service: &'a Service,
    pub rollout: Option<&'a RolloutStatus>,
    pub stopped_tasks: &'a [StoppedTask],
    /// Tasks that failed one after the other since the rollout has completed.
    pub failures: Option<&'a TaskFailures>,
    /// Since when tasks of a steady service are missing, or fail.
    pub unavailable_since: Option<&'a Time>,
    pub now: Timestamp,
}

pub(super) fn verdict(facts: &Facts<'_>) -> Verdict {
    let Facts {
        service, rollout, ..
    } = *facts;
    let rollout = concerned(rollout, service.task_definition.as_deref());
    let phase = rollout.map(|rollout| rollout.phase);
    match (phase, rollout) {
        (Some(phase), Some(rollout)) if phase.is_failure() && is_of_this_spec(facts, rollout) => {
            failed(facts, rollout)
        }
        (Some(RolloutPhase::AwaitingApproval), Some(rollout)) => awaiting(facts, rollout),
        (Some(RolloutPhase::Baking), Some(rollout)) => Verdict::new(
            State::Progressing,
            Reason::Baking,
            format!(
                "{} is in its bake time: {}",
                revision(service),
                tasks_of(rollout, service)
            ),
        ),
        (Some(RolloutPhase::Pending | RolloutPhase::InProgress), Some(rollout)) => {
            deploying(facts, rollout)
        }
        (_, rollout) => steady(facts, rollout),
    }
}

/// The rollout, unless it is that of another revision: what became of that says nothing of the one
/// that is asked for.
fn concerned<'a>(
    rollout: Option<&'a RolloutStatus>,
    task_definition: Option<&str>,
) -> Option<&'a RolloutStatus> {
    rollout.filter(|rollout| is_same_task_definition(&rollout.revision, task_definition))
}

/// Whether a failure is one of what the spec asks for. What ECS has gone back from may have been
/// another spec with the same revision; what it has not gone back from is still there.
fn is_of_this_spec(facts: &Facts<'_>, rollout: &RolloutStatus) -> bool {
    let went_back = matches!(
        rollout.phase,
        RolloutPhase::RollingBack | RolloutPhase::RolledBack
    );
    !went_back || rollout.hash == asked_for(facts.object, &rollout.revision)
}

/// The next deadline at which the verdict changes.
pub(super) fn changes_at(
    object: &EcsService,
    status: &EcsServiceStatus,
    now: Timestamp,
) -> Option<Timestamp> {
    let rollout = concerned(status.rollout.as_ref(), status.task_definition.as_deref());
    let failures = status.task_failures.as_ref();
    let deadline = rollout.and_then(|rollout| deadline(object, rollout));
    let grace = status
        .unavailable_since
        .as_ref()
        .and_then(|since| after(since, unavailable_after(object)));
    let failing = failing(object, rollout, failures).map(|(_, until)| until);
    let moments = [
        deadline,
        grace,
        failing,
        held_until(object, rollout, failures),
    ];
    moments
        .into_iter()
        .flatten()
        .filter(|moment| *moment > now)
        .min()
}

/// When a rollout has made no progress for too long; `None` while it waits for something that has
/// no such limit.
fn deadline(object: &EcsService, rollout: &RolloutStatus) -> Option<Timestamp> {
    let is_moving = matches!(
        rollout.phase,
        RolloutPhase::Pending | RolloutPhase::InProgress
    );
    let progressed = rollout
        .progressed_at
        .as_ref()
        .filter(|_| is_moving && rollout.hook_in_progress.is_none())?;
    after(progressed, patience(object, rollout))
}

/// Seconds that a rollout may take for its next step.
fn patience(object: &EcsService, rollout: &RolloutStatus) -> i64 {
    progress_deadline(object) + 60 * i64::from(rollout.bake_time_in_minutes.unwrap_or_default())
}

fn progress_deadline(object: &EcsService) -> i64 {
    object
        .spec
        .rollout
        .as_ref()
        .and_then(|rollout| rollout.progress_deadline_seconds)
        .map_or(PROGRESS_DEADLINE, i64::from)
}

fn revision(service: &Service) -> String {
    short(service.task_definition.as_deref()).unwrap_or_default()
}

fn counts(service: &Service) -> String {
    let Service {
        desired_count,
        running_count,
        pending_count,
        ..
    } = service;
    format!("{running_count} of {desired_count} tasks run, {pending_count} are starting")
}

/// The tasks of a rollout, and beside them those of other revisions, which are none of its success.
fn tasks_of(rollout: &RolloutStatus, service: &Service) -> String {
    let (Some(running), Some(wanted)) = (rollout.running_count, rollout.requested_count) else {
        return counts(service);
    };
    let starting = rollout.pending_count.unwrap_or_default();
    let others = service.running_count - running;
    let others = if others > 0 {
        format!("; {others} of other revisions run")
    } else {
        String::new()
    };
    format!("{running} of {wanted} tasks run, {starting} are starting{others}")
}

fn failed(facts: &Facts<'_>, rollout: &RolloutStatus) -> Verdict {
    let (reason, what) = match rollout.phase {
        RolloutPhase::Stopped => (Reason::DeploymentStopped, "was stopped"),
        RolloutPhase::Failed => (Reason::DeploymentFailed, "failed"),
        _ => (
            Reason::DeploymentRolledBack,
            "failed, and ECS rolled it back",
        ),
    };
    let why = rollout
        .reason
        .as_deref()
        .unwrap_or("ECS gives no reason")
        .trim_end_matches('.');
    let hint = hint(facts.stopped_tasks, &rollout.revision);
    let message = format!(
        "The deployment of {} {what}: {why}; {}{hint}",
        rollout.revision,
        counts(facts.service)
    );
    Verdict::new(State::Stalled, reason, message)
}

fn awaiting(facts: &Facts<'_>, rollout: &RolloutStatus) -> Verdict {
    let stage = rollout.lifecycle_stage.as_deref().unwrap_or("its stage");
    let message = format!(
        "The deployment of {} is paused at {stage} and awaits approval: annotate {CONTINUE_AT} with the present time to continue it, {STOP_AT} to \
         roll it back; {}",
        rollout.revision,
        counts(facts.service)
    );
    Verdict::new(State::Progressing, Reason::AwaitingApproval, message)
}

fn deploying(facts: &Facts<'_>, rollout: &RolloutStatus) -> Verdict {
    let (revision, counts) = (&rollout.revision, tasks_of(rollout, facts.service));
    if deadline(facts.object, rollout).is_some_and(|deadline| deadline <= facts.now) {
        let (hint, seconds) = (
            hint(facts.stopped_tasks, revision),
            patience(facts.object, rollout),
        );
        let message = format!(
            "The deployment of {revision} made no progress for {seconds} s: {counts}{hint}"
        );
        return Verdict::new(State::Stalled, Reason::ProgressDeadlineExceeded, message);
    }
    let stage = rollout
        .lifecycle_stage
        .as_ref()
        .map(|stage| format!(" ({stage})"))
        .unwrap_or_default();
    let hook = rollout
        .hook_in_progress
        .as_ref()
        .map(|hook| format!("; hook {hook} runs"))
        .unwrap_or_default();
    let weight = rollout.requested_production_traffic_weight;
    let traffic = weight
        .map(|weight| format!("; {weight} % of the traffic"))
        .unwrap_or_default();
    Verdict::new(
        State::Progressing,
        Reason::Progressing,
        format!("Deploying {revision}{stage}: {counts}{traffic}{hook}"),
    )
}

/// No rollout is under way. What counts is that there is one deployment, and that its tasks run and
/// keep running.
fn steady(facts: &Facts<'_>, rollout: Option<&RolloutStatus>) -> Verdict {
    let Facts {
        object,
        service,
        failures,
        now,
        ..
    } = *facts;
    let Service {
        desired_count,
        running_count,
        deployments,
        ..
    } = service;
    let revision = revision(service);
    let state = service
        .primary()
        .and_then(|primary| primary.rollout_state.as_deref());
    let settled = deployments
        .iter()
        .filter(|deployment| !is_over(deployment))
        .count()
        <= 1
        && state.is_none_or(|state| state == "COMPLETED");
    // More run for a while when ECS scales in or spreads tasks over zones: it starts the new ones
    // first.
    let is_complete = settled && running_count >= desired_count;
    let held = held_until(object, rollout, failures).filter(|until| *until > now);
    if is_complete && held.is_none() {
        return Verdict::new(
            State::Ready,
            Reason::Succeeded,
            format!("{running_count} of {desired_count} tasks run {revision}"),
        );
    }
    unsteady(facts, rollout, held.filter(|_| is_complete), is_complete)
}

/// How a service is in which tasks are missing or fail. `held` is until when Ready waits although
/// all tasks run.
fn unsteady(
    facts: &Facts<'_>,
    rollout: Option<&RolloutStatus>,
    held: Option<Timestamp>,
    is_complete: bool,
) -> Verdict {
    let Facts {
        object,
        service,
        unavailable_since,
        now,
        ..
    } = *facts;
    let (revision, counts) = (revision(service), counts(service));
    let gone = unavailable_since.and_then(|since| after(since, unavailable_after(object)));
    let failing = failing(object, rollout, facts.failures).filter(|(_, until)| *until > now);
    let hint = || hint(facts.stopped_tasks, &revision);
    // While all tasks run, failures have to go on for that long, and not only one to be that long
    // ago.
    let latest = if is_complete {
        failing.map(|(failures, _)| failures.last_at.0)
    } else {
        Some(now)
    };
    let is_unavailable = gone
        .zip(latest)
        .is_some_and(|(moment, latest)| moment <= latest);
    if is_unavailable {
        let what = if failing.is_some() {
            "fail one after the other"
        } else {
            "are missing"
        };
        let message = format!("Tasks of {revision} {what}: {counts}{}", hint());
        return Verdict::new(State::Waiting, Reason::Unavailable, message);
    }
    let why = if failing.is_some() {
        hint()
    } else {
        String::new()
    };
    let message = match held {
        Some(until) => format!("{revision} is Ready if no task fails until {until}: {counts}{why}"),
        None => format!("{revision} is rolling out: {counts}{why}"),
    };
    Verdict::new(State::Progressing, Reason::Progressing, message)
}

/// Whether no rollout is under way, and there was a time when all was well.
fn is_settled(object: &EcsService, service: &Service, rollout: Option<&RolloutStatus>) -> bool {
    let rollout = concerned(rollout, service.task_definition.as_deref());
    let begins = service
        .primary()
        .is_some_and(|primary| primary.rollout_state.as_deref() == Some("IN_PROGRESS"));
    // Deployments of other controllers are not followed, and that of a spec of the past says
    // nothing of this one.
    let is_none = rollout.is_none_or(|rollout| {
        rollout.phase == RolloutPhase::RolledBack
            && rollout.hash != asked_for(object, &rollout.revision)
    });
    let was_well = object.status.as_ref().is_some_and(|status| {
        status.unavailable_since.is_some() || conditions::is_ready(&status.common.conditions)
    });
    rollout.is_some_and(|rollout| rollout.phase == RolloutPhase::Succeeded)
        || (is_none && was_well && !begins)
}

/// Since when tasks of a service without a rollout are missing, or fail one after the other. While
/// none fails, the clock starts again whenever one more runs, or another number of them is wanted.
pub(super) fn unavailable_since(
    object: &EcsService,
    service: &Service,
    rollout: Option<&RolloutStatus>,
    failures: Option<&TaskFailures>,
    now: Timestamp,
) -> Option<Time> {
    let before = object.status.as_ref();
    let failing = failing(object, rollout, failures)
        .filter(|(_, until)| *until > now)
        .map(|(failures, _)| failures);
    let is_missing = service.running_count < service.desired_count;
    if !is_settled(object, service, rollout) || !(is_missing || failing.is_some()) {
        return None;
    }
    let same = failing.is_some()
        || before.is_some_and(|before| {
            before.desired_count == Some(service.desired_count)
                && before.running_count >= Some(service.running_count)
        });
    let since = before
        .and_then(|before| before.unavailable_since.clone())
        .filter(|_| same);
    since.or_else(|| {
        Some(failing.map_or_else(
            || conditions::whole_seconds(now),
            |failures| failures.first_at.clone(),
        ))
    })
}
