//! What a run needs next. Pure.

use ecs_operator_crds::v1beta1::EcsTask;
use ecs_operator_crds::v1beta1::task::{AttemptResult, AttemptStatus, RunPolicy, RunStatus};
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::observed::ObservedTask;
use super::progress::{Progress, count, deadline, failures, is_at_rest, started};
use super::shape::{FIRST_BACKOFF, LONGEST_BACKOFF, OWN_MEMBERS};
use crate::aws::name_in;
use crate::k8s::conditions::whole_seconds;
use crate::reconcile::plan::{Obstacle, hash, request};
use crate::reconcile::references::{Resolved, not_ready};

/// What a run needs next.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Something that it refers to.
    Blocked(Obstacle),
    /// The status, as it is now, before another run begins.
    Record,
    /// The status, with this run and its attempt, before ECS is asked to start anything.
    Begin(Box<(RunStatus, AttemptStatus)>),
    /// As many tasks more.
    Start(usize),
    /// Its time is over: the tasks that run are to be stopped.
    Stop,
    /// Nothing: its tasks run, or may run although ECS does not show them yet.
    Watch,
    /// The next attempt, at this time.
    BackOff(Timestamp),
    /// Nothing: it has ended.
    Ended,
}

/// What the run of `object` needs next.
pub(super) fn step(object: &EcsTask, observed: &ObservedTask, progress: &Progress) -> Step {
    let (Some(run), Some(attempt)) = (&progress.run, progress.attempt()) else {
        return begin(object, observed, 1);
    };
    let is_changed = is_changed(object, observed, run);
    if is_changed && is_at_rest(attempt, observed) {
        return if is_recorded(object, progress) {
            begin(object, observed, run.number + 1)
        } else {
            Step::Record
        };
    }
    if progress.has_ended() {
        return after_the_end(object, observed);
    }
    if attempt.result == Some(AttemptResult::Failed) {
        return again(observed, run, attempt);
    }
    if deadline(object, run).is_some_and(|deadline| deadline <= observed.now) {
        return match observed.unstopped().next() {
            Some(_) => Step::Stop,
            None => Step::Watch,
        };
    }
    // An attempt fails with the first task, and nothing more is started of a run that another one
    // follows.
    let is_full = started(attempt) >= count(run);
    if is_changed || is_full || failures(attempt).next().is_some() {
        return Step::Watch;
    }
    // What a call without an answer has started may show in part: it is repeated as it was.
    Step::Start(count(run).saturating_sub(answered(attempt)))
}

/// The number of tasks that ECS has started by its answers.
pub(super) fn answered(attempt: &AttemptStatus) -> usize {
    let answered = attempt.answered.unwrap_or_default();
    usize::try_from(answered).unwrap_or_default()
}

/// Whether the status tells already how the attempt and the run ended.
fn is_recorded(object: &EcsTask, progress: &Progress) -> bool {
    let status = object.status.as_ref();
    let known = status.and_then(|status| status.attempts.as_ref()?.first());
    let run = status.and_then(|status| status.run.as_ref());
    known.and_then(|known| known.result) == progress.attempt().and_then(|attempt| attempt.result)
        && run == progress.run.as_ref()
}

/// A run that has ended and has not changed waits where a new revision is on its way.
fn after_the_end(object: &EcsTask, observed: &ObservedTask) -> Step {
    match &observed.task_definition {
        Resolved::NotYet(obstacle) if runs_again(object) && observed.is_registering => {
            Step::Blocked(obstacle.clone())
        }
        _ => Step::Ended,
    }
}

fn runs_again(object: &EcsTask) -> bool {
    object.spec.run_policy == Some(RunPolicy::OnChange)
}

/// Whether the spec or the task definition ask for another run than this one.
fn is_changed(object: &EcsTask, observed: &ObservedTask, run: &RunStatus) -> bool {
    let definition = match &observed.task_definition {
        Resolved::To(definition) if runs_again(object) => definition,
        _ => &run.task_definition,
    };
    run_hash(object, definition) != run.hash
}

/// The first attempt of a run.
fn begin(object: &EcsTask, observed: &ObservedTask, number: i64) -> Step {
    if let Some(obstacle) = &observed.cluster_obstacle {
        return Step::Blocked(obstacle.clone());
    }
    let definition = match &observed.task_definition {
        Resolved::To(definition) => definition,
        Resolved::NotYet(obstacle) => return Step::Blocked(obstacle.clone()),
        Resolved::Nothing => {
            let message = "spec.taskDefinitionRef or spec.taskDefinition is needed";
            return Step::Blocked(not_ready(message.to_owned(), false));
        }
    };
    let now = whole_seconds(observed.now);
    let short = name_in(definition);
    let run = RunStatus {
        number,
        hash: run_hash(object, definition),
        count: object.spec.count.unwrap_or(1),
        task_definition: definition.clone(),
        revision: short.contains(':').then(|| short.to_owned()),
        start_time: Some(now.clone()),
        ..RunStatus::default()
    };
    let attempt = AttemptStatus {
        run: number,
        number: 1,
        started_at: Some(now),
        ..AttemptStatus::default()
    };
    Step::Begin(Box::new((run, attempt)))
}

/// The attempt after one that failed.
fn again(observed: &ObservedTask, run: &RunStatus, failed: &AttemptStatus) -> Step {
    if let Some(due) = next_attempt(failed).filter(|due| observed.now < *due) {
        return Step::BackOff(due);
    }
    let attempt = AttemptStatus {
        run: run.number,
        number: failed.number + 1,
        started_at: Some(whole_seconds(observed.now)),
        ..AttemptStatus::default()
    };
    Step::Begin(Box::new((run.clone(), attempt)))
}

/// When the attempt after `failed` is due.
pub(super) fn next_attempt(failed: &AttemptStatus) -> Option<Timestamp> {
    let doublings = u32::try_from(failed.number - 1).unwrap_or_default().min(16);
    let wait = FIRST_BACKOFF
        .saturating_mul(1 << doublings)
        .min(LONGEST_BACKOFF);
    let ended = failed.ended_at.as_ref()?.0;
    ended.checked_add(SignedDuration::try_from(wait).ok()?).ok()
}

/// Hash of what runs: all that the spec has for RunTask but tags, and the task definition.
pub(in crate::kinds) fn run_hash(object: &EcsTask, task_definition: &str) -> String {
    let mut members = request(&object.spec, OWN_MEMBERS);
    members.remove("tags");
    members.insert("taskDefinition".to_owned(), task_definition.into());
    hash(&members.into())
}
