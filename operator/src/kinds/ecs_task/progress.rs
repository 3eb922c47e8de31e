//! What has become of the run: the status from before, with what ECS shows now. Pure.

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::EcsTask;
use ecs_operator_crds::v1beta1::task::{AttemptResult, AttemptStatus, RunStatus, TaskStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::ended::{Failure, exit_codes, failure, has_stopped, is_final, shown, updated};
use super::observed::ObservedTask;
use super::shape::{NOT_COUNTED, TOKEN_LIVES};
use crate::aws::name_in;
use crate::k8s::conditions::whole_seconds;

/// The run and its attempts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Progress {
    /// The run; `None` before the first one.
    pub(super) run: Option<RunStatus>,
    /// Its attempts, the newest first, and those of runs before it.
    pub(super) attempts: Vec<AttemptStatus>,
}

impl Progress {
    /// The attempt that is under way, or was the last one.
    pub(super) fn attempt(&self) -> Option<&AttemptStatus> {
        self.attempts.first()
    }

    /// Whether the run has ended.
    pub(super) fn has_ended(&self) -> bool {
        let run = self.run.as_ref();
        run.is_some_and(|run| run.completion_time.is_some())
    }

    /// The exit code of the last attempt of the run that has ended.
    pub(super) fn exit_code(&self) -> Option<i32> {
        let run = self.run.as_ref()?;
        let mut attempts = self.attempts.iter();
        let ended = attempts.find(|it| it.run == run.number && it.result.is_some())?;
        match ended.result {
            Some(AttemptResult::Succeeded) => Some(0),
            _ => failures(ended).find_map(|failure| failure.exit_code),
        }
    }
}

/// The number of tasks of each attempt of a run.
pub(super) fn count(run: &RunStatus) -> usize {
    usize::try_from(run.count).unwrap_or(1)
}

/// The number of tasks of an attempt that have been started.
pub(super) fn started(attempt: &AttemptStatus) -> usize {
    attempt.tasks.as_ref().map_or(0, Vec::len)
}

/// The tasks of an attempt that run, as far as ECS shows them.
pub(super) fn active<'a>(
    attempt: &'a AttemptStatus,
    observed: &'a ObservedTask,
) -> impl Iterator<Item = &'a TaskStatus> {
    let tasks = attempt.tasks.iter().flatten();
    tasks.filter(|task| !has_stopped(task) && !observed.forgotten.contains(&task.task_arn))
}

/// Whether no task of an attempt runs, or may run.
pub(super) fn is_at_rest(attempt: &AttemptStatus, observed: &ObservedTask) -> bool {
    active(attempt, observed).next().is_none()
        && !observed.may_be_there
        && !is_unjudged(attempt, observed)
}

/// Whether a task has stopped, and a further read tells which of its containers count.
pub(super) fn is_unjudged(attempt: &AttemptStatus, observed: &ObservedTask) -> bool {
    let mut stopped = attempt.tasks.iter().flatten();
    stopped.any(|task| {
        let shown = observed.tasks.get(&task.task_arn);
        let is_unknown = shown.is_some_and(|shown| observed.containers_of(shown).is_none());
        has_stopped(task) && !is_final(task) && is_unknown
    })
}

/// How the tasks of an attempt failed.
pub(super) fn failures(attempt: &AttemptStatus) -> impl Iterator<Item = Failure> {
    attempt.tasks.iter().flatten().filter_map(failure)
}

/// When the run must have ended.
pub(super) fn deadline(object: &EcsTask, run: &RunStatus) -> Option<Timestamp> {
    let seconds = object.spec.active_deadline_seconds?;
    let began = run.start_time.as_ref()?.0;
    began
        .checked_add(SignedDuration::from_secs(seconds.into()))
        .ok()
}

/// What has become of the run of `object`.
pub(super) fn progress(object: &EcsTask, observed: &ObservedTask) -> Progress {
    let status = object.status.as_ref();
    let mut progress = Progress {
        run: status.and_then(|status| status.run.clone()),
        attempts: status
            .and_then(|status| status.attempts.clone())
            .unwrap_or_default(),
    };
    if progress.has_ended() {
        return progress;
    }
    let (Some(run), Some(attempt)) = (&mut progress.run, progress.attempts.first_mut()) else {
        return progress;
    };
    let is_over = deadline(object, run).is_some_and(|deadline| deadline <= observed.now);
    if attempt.result.is_none() {
        judge_attempt(object, run, attempt, observed, is_over);
    }
    judge_run(object, run, attempt, observed, is_over);
    progress
}

/// Enters what ECS shows of an attempt, and how it ended if it has.
fn judge_attempt(
    object: &EcsTask,
    run: &mut RunStatus,
    attempt: &mut AttemptStatus,
    observed: &ObservedTask,
    is_over: bool,
) {
    enter_tasks(attempt, observed);
    if !is_at_rest(attempt, observed) {
        return;
    }
    let failures: Vec<_> = failures(attempt).collect();
    if let Some(decisive) = decisive(object, &failures) {
        let more = match failures.len() {
            1 => String::new(),
            number => format!(" (and {} more)", number - 1),
        };
        let is_counted = counts(object, decisive);
        let reason = if is_over {
            Reason::DeadlineExceeded
        } else {
            decisive.reason
        };
        let message = format!("{}{more}", decisive.message);
        end_attempt(attempt, (AttemptResult::Failed, reason), message, observed);
        if !is_counted {
            *run.not_counted.get_or_insert_default() += 1;
        }
    } else if let Some(message) = unknown(attempt, observed) {
        let end = (AttemptResult::Unknown, Reason::ResultUnknown);
        end_attempt(attempt, end, message, observed);
    } else if started(attempt) >= count(run) {
        attempt.result = Some(AttemptResult::Succeeded);
        attempt.ended_at = Some(last_stop(attempt, observed.now));
        attempt.refusal = None;
    }
}

/// Enters the tasks that ECS shows. Those that it has forgotten stay as they were.
fn enter_tasks(attempt: &mut AttemptStatus, observed: &ObservedTask) {
    let mut tasks = attempt.tasks.take().unwrap_or_default();
    for (arn, task) in &observed.tasks {
        let shown = shown(arn, task, observed.containers_of(task));
        match tasks.iter_mut().find(|known| known.task_arn == *arn) {
            Some(known) if is_final(known) => {}
            Some(known) => *known = updated(known, shown),
            None => tasks.push(shown),
        }
    }
    attempt.tasks = (!tasks.is_empty()).then_some(tasks);
}

/// The failure that an attempt is judged by: one that counts for `backoffLimit`, if there is one.
fn decisive<'a>(object: &EcsTask, failures: &'a [Failure]) -> Option<&'a Failure> {
    let counted = failures.iter().find(|failure| counts(object, failure));
    counted.or(failures.first())
}

/// Whether a failure counts for `backoffLimit`.
fn counts(object: &EcsTask, failure: &Failure) -> bool {
    let default = [Reason::TaskSpotInterrupted, Reason::TaskHostFailed];
    let policy = object.spec.failure_policy.as_ref();
    match policy.and_then(|policy| policy.not_counted.as_ref()) {
        Some(not_counted) => !not_counted.iter().any(|one| one == failure.reason.as_str()),
        None => !default.contains(&failure.reason),
    }
}

/// Why nobody can tell how an attempt ended that did not fail.
fn unknown(attempt: &AttemptStatus, observed: &ObservedTask) -> Option<String> {
    if !observed.forgotten.is_empty() {
        let ids: Vec<_> = observed.forgotten.iter().map(|arn| name_in(arn)).collect();
        return Some(format!(
            "ECS no longer shows task {}, and the operator did not see how it ended. Look at its logs; create this object anew to run it again",
            ids.join(", ")
        ));
    }
    let may_have_run = attempt.unanswered_at.is_some() || observed.is_inherited;
    let is_lost = token_age(attempt, observed.now) > lifetime();
    (started(attempt) == 0 && observed.at.is_some() && may_have_run && is_lost).then(|| {
        "The operator asked ECS to start a task more than 23 hours ago and has no answer, and ECS shows none: it may have run. Look at its logs; create this object anew to run it again".to_owned()
    })
}

fn lifetime() -> SignedDuration {
    SignedDuration::try_from(TOKEN_LIVES).unwrap_or_default()
}

/// Whether half of the time has passed for which a call of the attempt can be repeated.
pub(super) fn is_token_aging(attempt: &AttemptStatus, now: Timestamp) -> bool {
    token_age(attempt, now) > lifetime() / 2
}

/// How long ago the token of the attempt can have been used for the first time.
fn token_age(attempt: &AttemptStatus, now: Timestamp) -> SignedDuration {
    let first = attempt.refused_at.as_ref().or(attempt.started_at.as_ref());
    first.map_or(SignedDuration::ZERO, |first| now.duration_since(first.0))
}

fn end_attempt(
    attempt: &mut AttemptStatus,
    (result, reason): (AttemptResult, Reason),
    message: String,
    observed: &ObservedTask,
) {
    attempt.result = Some(result);
    attempt.reason = Some(reason.as_str().to_owned());
    attempt.message = Some(message);
    attempt.ended_at = Some(last_stop(attempt, observed.now));
    attempt.refusal = None;
}

/// When the last of the tasks stopped.
fn last_stop(attempt: &AttemptStatus, now: Timestamp) -> Time {
    let stops = attempt.tasks.iter().flatten();
    let last = stops
        .filter_map(|task| Some(task.stopped_at.as_ref()?.0))
        .max();
    whole_seconds(last.unwrap_or(now))
}

/// Ends the run when its last attempt has decided it, or its time is over.
fn judge_run(
    object: &EcsTask,
    run: &mut RunStatus,
    attempt: &AttemptStatus,
    observed: &ObservedTask,
    is_over: bool,
) {
    let failure = match attempt.result {
        Some(AttemptResult::Succeeded) => None,
        Some(AttemptResult::Unknown) => Some(Reason::ResultUnknown),
        Some(AttemptResult::Failed) if is_over => Some(Reason::DeadlineExceeded),
        Some(AttemptResult::Failed) => match after_failure(object, run, attempt) {
            Some(failure) => Some(failure),
            None => return,
        },
        None if is_over && is_at_rest(attempt, observed) => Some(Reason::DeadlineExceeded),
        None => return,
    };
    let now = || whole_seconds(observed.now);
    let ended = attempt.ended_at.clone().unwrap_or_else(now);
    let began = run.start_time.as_ref();
    run.duration = began.map(|began| told(ended.0.duration_since(began.0)));
    run.failure = failure.map(|failure| failure.as_str().to_owned());
    run.completion_time = Some(ended);
}

/// Why a run has failed with a failed attempt; `None` where a further attempt is made.
fn after_failure(object: &EcsTask, run: &RunStatus, attempt: &AttemptStatus) -> Option<Reason> {
    let policy = object.spec.failure_policy.as_ref();
    let ends = policy.and_then(|policy| policy.fail_on_exit_codes.as_ref());
    let not_counted = run.not_counted.unwrap_or_default();
    let limit = object.spec.backoff_limit.unwrap_or_default();
    if ends.is_some_and(|ends| exit_codes(attempt).any(|code| ends.contains(&code))) {
        return Some(Reason::FailurePolicy);
    }
    let is_exceeded = attempt.number - not_counted > limit || not_counted > NOT_COUNTED;
    is_exceeded.then_some(Reason::BackoffLimitExceeded)
}

/// A duration as `kubectl` shows it: `12s`, `1m12s`, `2h5m`.
pub(super) fn told(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes, rest) {
        (0, 0, rest) => format!("{rest}s"),
        (0, minutes, 0) => format!("{minutes}m"),
        (0, minutes, rest) => format!("{minutes}m{rest}s"),
        (hours, 0, _) => format!("{hours}h"),
        (hours, minutes, _) => format!("{hours}h{minutes}m"),
    }
}
