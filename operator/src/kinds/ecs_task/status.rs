//! The status of an EcsTask. Pure.

use std::time::Duration;

use ecs_operator_crds::condition::{ConditionType, Reason};
use ecs_operator_crds::v1beta1::task::{
    AttemptResult, AttemptStatus, RunPolicy, RunStatus, TaskPhase,
};
use ecs_operator_crds::v1beta1::{EcsTask, EcsTaskStatus};
use k8s_openapi::jiff::Timestamp;

use super::observed::ObservedTask;
use super::progress::{Progress, active, deadline, is_token_aging, is_unjudged, progress, started};
use super::shape::ATTEMPTS;
use super::step::{Step, next_attempt, step};
use crate::aws::{ecs, name_in};
use crate::k8s::conditions::{self, State, Verdict, whole_seconds};
use crate::k8s::events::Notice;
use crate::k8s::object::Object;
use crate::reconcile::Report;
use crate::reconcile::kind::{After, OtherCondition};
use crate::reconcile::outcome::Outcome;
use crate::reconcile::plan::Write;

/// When tasks that ECS does not show yet are looked for again.
const LOOK: Duration = Duration::from_secs(3);

pub(super) fn report(object: &EcsTask, after: &After<'_, ObservedTask>) -> Report<EcsTaskStatus> {
    let mut status = object.status.clone().unwrap_or_default();
    let Some(observed) = after.observed else {
        let verdict = after.outcome.verdict().unwrap_or_else(idle);
        // A new spec may ask for another run.
        let is_current = object.spec.run_policy != Some(RunPolicy::OnChange)
            || status.common.observed_generation == object.metadata.generation;
        return with_ends(Report::new(status, verdict), is_current);
    };
    let mut progress = progress(object, observed);
    let step = step(object, observed, &progress);
    if object.is_deleting() {
        // Nothing begins any more.
    } else if let (Step::Begin(begun), Outcome::Unfinished) = (&step, after.outcome) {
        let (run, attempt) = *begun.clone();
        progress.run = Some(run);
        progress.attempts.insert(0, attempt);
        status.cluster.clone_from(&observed.cluster);
    }
    if let Some(attempt) = progress.attempts.first_mut() {
        account(attempt, observed, after);
    }
    let verdict = after
        .outcome
        .verdict()
        .unwrap_or_else(|| told(&progress, &step));
    show(&mut status, &progress, observed);
    with_ends(Report::new(status, verdict), step == Step::Ended)
}

/// Enters what became of the call that starts tasks.
fn account(attempt: &mut AttemptStatus, observed: &ObservedTask, after: &After<'_, ObservedTask>) {
    let now = whole_seconds(observed.now);
    let is_start = |write: &Write| write.operation == ecs::RunTask;
    if after.accepted.iter().any(is_start) {
        attempt.answered = i32::try_from(started(attempt)).ok();
        attempt.unanswered_at = None;
        attempt.refusal = None;
    }
    if let Some(refusal) = &observed.refusal {
        *attempt.refusals.get_or_insert_default() += 1;
        attempt.refusal = Some(refusal.clone());
        attempt.refused_at = Some(now);
    } else if after.unanswered.is_some_and(is_start) {
        attempt.unanswered_at = Some(now);
    } else if let Outcome::Failed(error) = after.outcome
        && error.operation == ecs::RunTask
        && attempt.unanswered_at.is_none()
        && is_token_aging(attempt, observed.now)
    {
        // Nothing has been started with this token.
        attempt.refused_at = Some(now);
    }
}

fn idle() -> Verdict {
    let message = "No task has been started";
    Verdict::new(State::Progressing, Reason::Progressing, message)
}

/// Enters what has become of the run.
fn show(status: &mut EcsTaskStatus, progress: &Progress, observed: &ObservedTask) {
    let (Some(run), Some(attempt)) = (&progress.run, progress.attempt()) else {
        status.phase = Some(TaskPhase::Pending);
        return;
    };
    let active = match attempt.result {
        None => active(attempt, observed).count(),
        Some(_) => 0,
    };
    let succeeded = match attempt.result {
        Some(AttemptResult::Succeeded) => started(attempt),
        _ => 0,
    };
    let number = |count: usize| Some(i32::try_from(count).unwrap_or(i32::MAX));
    let tasks = attempt.tasks.as_deref().unwrap_or_default();
    status.phase = Some(phase(run, active));
    status.task_arn = tasks.first().map(|task| task.task_arn.clone());
    status.active = number(active);
    status.succeeded = number(succeeded);
    status.failed = Some(attempt.number - i32::from(!is_failed(attempt)));
    status.exit_code = progress.exit_code();
    status.run = Some(run.clone());
    let attempts = progress.attempts.iter().take(ATTEMPTS);
    status.attempts = Some(attempts.cloned().collect());
}

fn is_failed(attempt: &AttemptStatus) -> bool {
    attempt
        .result
        .is_some_and(|result| result != AttemptResult::Succeeded)
}

fn phase(run: &RunStatus, active: usize) -> TaskPhase {
    match (&run.completion_time, &run.failure, active) {
        (Some(_), None, _) => TaskPhase::Succeeded,
        (Some(_), Some(_), _) => TaskPhase::Failed,
        (None, _, 0) => TaskPhase::Pending,
        (None, _, _) => TaskPhase::Running,
    }
}

/// What the conditions say when ECS has what the run asks for.
fn told(progress: &Progress, step: &Step) -> Verdict {
    let (Some(run), Some(attempt)) = (&progress.run, progress.attempt()) else {
        return idle();
    };
    if run.completion_time.is_some() {
        return ended(run, attempt);
    }
    let message = match step {
        Step::BackOff(due) => format!(
            "Attempt {} failed ({}): {}; the next begins at {}",
            attempt.number,
            attempt.reason.as_deref().unwrap_or_default(),
            attempt.message.as_deref().unwrap_or_default(),
            whole_seconds(*due).0
        ),
        _ => running(attempt),
    };
    Verdict::new(State::Progressing, Reason::Progressing, message)
}

/// The tasks of an attempt that runs.
fn running(attempt: &AttemptStatus) -> String {
    let tasks = attempt.tasks.as_deref().unwrap_or_default();
    if tasks.is_empty() {
        return "ECS does not show the task yet".to_owned();
    }
    let tasks: Vec<_> = tasks
        .iter()
        .map(|task| format!("{} is {}", name_in(&task.task_arn), task.last_status))
        .collect();
    format!("Task {}", tasks.join(", "))
}

/// How a run has ended.
fn ended(run: &RunStatus, attempt: &AttemptStatus) -> Verdict {
    let after = run.duration.as_deref().unwrap_or_default();
    let Some(failure) = &run.failure else {
        let message = match attempt.number {
            1 => format!("The run succeeded after {after}"),
            number => format!("The run succeeded after {after}, at attempt {number}"),
        };
        return Verdict::new(State::Ready, Reason::Succeeded, message);
    };
    let reasons = [
        Reason::DeadlineExceeded,
        Reason::FailurePolicy,
        Reason::ResultUnknown,
    ];
    // What the attempts failed of says more than that they were too many.
    let cause = attempt.reason.as_deref().and_then(Reason::named);
    let reason = Reason::named(failure)
        .filter(|reason| reasons.contains(reason))
        .or(cause)
        .unwrap_or(Reason::BackoffLimitExceeded);
    let why = attempt
        .message
        .as_deref()
        .unwrap_or("ECS started no task in time");
    let attempts = match attempt.number {
        1 => String::new(),
        number => format!(" and {number} attempts"),
    };
    let message = format!("The run failed after {after}{attempts}: {why}");
    Verdict::new(State::Stalled, reason, message)
}

/// The report with the condition Complete or Failed once the run has ended, if it `is_current`: no
/// other run is asked for.
fn with_ends(mut report: Report<EcsTaskStatus>, is_current: bool) -> Report<EcsTaskStatus> {
    let Some(run) = report.status.run.as_ref() else {
        return report;
    };
    if run.completion_time.is_none() || !is_current {
        return report;
    }
    let attempt = report.status.attempts.as_ref().and_then(|all| all.first());
    let message = ended(run, &attempt.cloned().unwrap_or_default()).message;
    let failure = run.failure.as_deref().map(|failure| {
        let named = Reason::named(failure);
        named.unwrap_or(Reason::BackoffLimitExceeded)
    });
    report.others.push(OtherCondition {
        type_: failure.map_or(ConditionType::Complete, |_| ConditionType::Failed),
        status: "True",
        reason: failure.unwrap_or(Reason::Completed),
        message,
    });
    report
}

/// When the next attempt is due, or ECS is to be asked again for what it did not show.
pub(super) fn requeue_after(
    observed: Option<&ObservedTask>,
    status: &EcsTaskStatus,
    now: Timestamp,
) -> Option<Duration> {
    let run = status.run.as_ref()?;
    let attempt = status.attempts.as_ref()?.first()?;
    if run.completion_time.is_some() {
        return None;
    }
    let is_failed = attempt.result == Some(AttemptResult::Failed);
    let again = is_failed.then(|| next_attempt(attempt)).flatten();
    let is_open = |observed: &ObservedTask| observed.may_be_there || is_unjudged(attempt, observed);
    let look = observed.is_some_and(is_open).then_some(LOOK);
    let again = again.and_then(|due| left(due, observed, now));
    again.into_iter().chain(look).min()
}

/// When the time of the run is over.
pub(super) fn until_deadline(
    object: &EcsTask,
    observed: Option<&ObservedTask>,
    status: &EcsTaskStatus,
    now: Timestamp,
) -> Option<Duration> {
    let run = status.run.as_ref()?;
    let runs = run.completion_time.is_none() && !object.is_deleting();
    left(deadline(object, run).filter(|_| runs)?, observed, now)
}

/// The time until then; `None` where it had come when the pass looked.
fn left(due: Timestamp, observed: Option<&ObservedTask>, now: Timestamp) -> Option<Duration> {
    let looked = observed.map_or(now, |observed| observed.now);
    let left = due.duration_since(now);
    (looked < due).then(|| Duration::try_from(left).unwrap_or_default())
}

/// Events for how attempts end. The driver reports a run that has failed.
pub(super) fn events(before: &EcsTaskStatus, after: &EcsTaskStatus) -> Vec<Notice> {
    let newest = |status: &'_ EcsTaskStatus| status.attempts.as_ref()?.first().cloned();
    let result = |attempt: Option<&AttemptStatus>| attempt.map(|it| (it.run, it.number, it.result));
    let (Some(run), Some(attempt)) = (&after.run, newest(after)) else {
        return Vec::new();
    };
    if result(newest(before).as_ref()) == result(Some(&attempt)) {
        return Vec::new();
    }
    match (attempt.result, &run.failure) {
        (Some(AttemptResult::Succeeded), _) => {
            let after = run.duration.as_deref().unwrap_or_default();
            let note = format!("The run succeeded after {after}");
            vec![Notice::new(false, Reason::Completed.as_str(), note)]
        }
        // A run that another one follows is not Stalled.
        (Some(AttemptResult::Failed), failure) if failure.is_none() || !is_told(after) => {
            let reason = attempt.reason.clone().unwrap_or_default();
            let message = attempt.message.unwrap_or_default();
            let note = format!("Attempt {} failed: {message}", attempt.number);
            vec![Notice::new(true, &reason, note)]
        }
        _ => Vec::new(),
    }
}

/// Whether the driver reports that the run has failed.
fn is_told(status: &EcsTaskStatus) -> bool {
    let ready = conditions::ready(&status.common.conditions);
    ready.is_some_and(|ready| ready.status == "False")
}
