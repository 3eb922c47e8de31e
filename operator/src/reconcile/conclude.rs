//! The end of a pass: events, the one status write, and when the next pass comes.

use std::time::Duration;

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::shared::Status;
use kube::ResourceExt;
use tokio::time::Instant;

use super::act::Acted;
use super::context::{Context, Pass};
use super::kind::{After, Kind};
use super::object_state::{ObjectState, Unconfirmed};
use super::outcome::{Limits, Outcome, Requeue};
use super::permits::priority;
use super::policy::is_foreign;
use super::report::status_after;
use super::reporting::{grace_period, problem_event, write_event};
use crate::aws::observer::{CONFIRMED, Pace};
use crate::aws::writer::Priority;
use crate::clock;
use crate::k8s::annotations::is_asked;
use crate::k8s::events::Notice;
use crate::k8s::status::{self, Written};
use crate::k8s::{RequestError, conditions, finalizer};
use crate::trigger::ObjectId;

/// How long a spec is new.
const NEW: Duration = Duration::from_secs(300);

/// First and longest wait after trouble with the API server.
const KUBERNETES: Limits = (Duration::from_secs(1), Duration::from_secs(30));

/// Wait for AWS to show what a call without a reply has made.
const UNANSWERED: Duration = Duration::from_secs(3);

/// Writes what came of a pass into the status, hands events to their publisher, and says when the
/// next pass comes.
pub(super) async fn conclude<K: Kind>(
    object: &K,
    pass: &Pass<'_, K::Observed>,
    acted: &Acted<K::Observed>,
) -> Option<Duration> {
    let mut notices = account(object, pass, acted);
    let (back, news) = tell(object, pass, acted).await;
    notices.extend(news);
    let about = object.object_ref(&());
    for notice in notices {
        pass.context.events.publish(&about, notice);
    }
    back
}

/// Counts and logs what a pass did, and returns an event for each write.
fn account<K: Kind>(
    object: &K,
    pass: &Pass<'_, K::Observed>,
    acted: &Acted<K::Observed>,
) -> Vec<Notice> {
    let Acted {
        observed, outcome, ..
    } = acted;
    let (observed, context) = (observed.as_ref(), pass.context);
    let about = object.object_ref(&());
    let kind = K::kind(&());
    let mut notices = Vec::new();
    if let (Outcome::Failed(error), None) = (outcome, acted.held_until) {
        context.metrics.failed(&kind, error.kind.as_str());
    }
    for write in acted.accepted() {
        if !write.operation.is_cleanup()
            && priority(object, observed, std::slice::from_ref(write)) == Priority::Repair
        {
            context.metrics.repaired(&kind, write.operation.name());
        }
        tracing::info!(%kind, namespace = about.namespace, name = about.name, operation = %write.operation, "{}", write.note);
        if object.is_deleting() && write.operation.is_cleanup() {
            // The end of the object tells as much.
            continue;
        }
        notices.push(write_event(write));
    }
    if let Outcome::Left(message) = outcome {
        tracing::warn!(%kind, namespace = about.namespace, name = about.name, "{message}");
        notices.push(Notice::new(
            true,
            Reason::LeftInAws.as_str(),
            message.clone(),
        ));
    }
    notices
}

/// Writes the status when it changes. Returns when the next pass comes, and an event for each
/// change worth one.
async fn tell<K: Kind>(
    object: &K,
    pass: &Pass<'_, K::Observed>,
    acted: &Acted<K::Observed>,
) -> (Option<Duration>, Vec<Notice>) {
    let Acted {
        observed, outcome, ..
    } = acted;
    let (observed, context) = (observed.as_ref(), pass.context);
    if matches!(outcome, Outcome::Gone | Outcome::Left(_)) {
        return (release(object, pass).await, Vec::new());
    }
    let before = object.status().cloned().unwrap_or_default();
    // The requested reconcile used a read that may be out of date.
    let is_unconfirmed = is_asked(object)
        && observed
            .and_then(|observed| observed.read_at)
            .is_some_and(|at| at < pass.began);
    let later = grace_period(object, pass, observed, outcome)
        .filter(|_| acted.sent == 0 || object.is_deleting());
    let after = if later.is_some() {
        before.clone()
    } else {
        let mut after = status_after(
            object,
            &After {
                observed: observed.map(|observed| &observed.value),
                outcome,
                accepted: acted.accepted(),
                unanswered: acted.unanswered(),
                now: clock::now(),
            },
        );
        if is_unconfirmed {
            let handled = before.common().last_handled_reconcile_at.clone();
            after.common_mut().last_handled_reconcile_at = handled;
        }
        after
    };
    poll(object, pass, acted, &after);
    let mut notices = Vec::new();
    // The last status that the API server is known to have.
    let unconfirmed = pass.state(|state| state.unconfirmed::<K::Status>());
    let (before, may_be_stored) = unconfirmed.map_or((before, false), |unconfirmed| {
        (unconfirmed.before, unconfirmed.may_be_stored)
    });
    let is_due = may_be_stored || after != before && !is_narrowed(object, context, &after);
    if is_due {
        if let Err(error) = write_status(object, context, &after).await {
            let is_refused = error.is_outdated() || error.is_refusal();
            let sent = Unconfirmed {
                before,
                sent: after.clone(),
                may_be_stored: may_be_stored || !is_refused,
            };
            pass.state(|state| state.doubt_status(sent));
            // A write that AWS has refused is held off whether or not a status can say so.
            if acted.outcome.policy(false).holds_off {
                next(object, pass, acted, &after);
            }
            return (Some(trouble(object, pass, &error)), Vec::new());
        }
        notices = changes(object, &before, &after);
    } else {
        pass.state(ObjectState::confirm_status);
    }
    let next = next(object, pass, acted, &after);
    // A problem that lasts is reported by a later pass.
    (
        next.into_iter()
            .chain(later)
            .chain(is_unconfirmed.then_some(CONFIRMED))
            .chain(object.deadline(
                observed.map(|observed| &observed.value),
                &after,
                clock::now(),
            ))
            .min(),
        notices,
    )
}

/// An event for each change between two statuses that is worth one. Logs the warnings among them.
fn changes<K: Kind>(object: &K, before: &K::Status, after: &K::Status) -> Vec<Notice> {
    let mut notices = object.events(before, after);
    notices.extend(problem_event(before, after));
    for Notice { reason, note, .. } in notices.iter().filter(|notice| notice.warning) {
        tracing::warn!(kind = %K::kind(&()), namespace = object.namespace(), name = object.name_any(), %reason, "{note}");
    }
    notices
}

/// Writes the status, and remembers what came of it.
async fn write_status<K: Kind>(
    object: &K,
    context: &Context,
    after: &K::Status,
) -> Result<(), RequestError> {
    match status::write(&context.client, object, after).await? {
        Written::Whole(written) => remember(&written, context),
        Written::Narrowed(written, why) => {
            remember(&written, context);
            narrowed(object, context, after, &why);
        }
    }
    Ok(())
}

/// Polls AWS at the pace that the object needs. After a pass that could not read AWS, the kind has
/// named what to poll; after one that did not try, what was polled before still is. Without an
/// observation nothing is known to be in progress.
fn poll<K: Kind>(
    object: &K,
    pass: &Pass<'_, K::Observed>,
    acted: &Acted<K::Observed>,
    after: &K::Status,
) {
    let (observer, id) = (&pass.aws.observer, ObjectId::of(object));
    if is_foreign(object, pass.context, &acted.outcome) {
        observer.poll(&id, &[]);
        return;
    }
    let is_ready = conditions::is_ready(after.conditions()) && !object.is_deleting();
    let pace = if is_ready {
        Pace::Steady
    } else {
        acted.outcome.policy(false).pace
    };
    let fallback = pass.fallback();
    if let Some(observed) = &acted.observed {
        let polled: Vec<_> = observed
            .polled
            .iter()
            .map(|(key, own)| (key.clone(), own.unwrap_or(pace)))
            .collect();
        observer.poll(&id, &polled);
    } else if fallback.is_empty() {
        observer.set_pace(&id, Pace::Steady);
    } else {
        let polled: Vec<_> = fallback
            .into_iter()
            .map(|key| (key, Pace::Steady))
            .collect();
        observer.poll(&id, &polled);
    }
}

/// Removes the finalizer: nothing of the object is left in AWS, or it shall stay there.
async fn release<K: Kind>(object: &K, pass: &Pass<'_, K::Observed>) -> Option<Duration> {
    if let Err(error) = finalizer::remove(&pass.context.client, object).await {
        return Some(trouble(object, pass, &error));
    }
    pass.aws.observer.poll(&ObjectId::of(object), &[]);
    pass.context.claims.forget(pass.uid());
    pass.state(ObjectState::release);
    None
}

/// When the next pass comes, if nothing triggers the object before; `None` where a watch or the
/// observer does.
fn next<K: Kind>(
    object: &K,
    pass: &Pass<'_, K::Observed>,
    acted: &Acted<K::Observed>,
    after: &K::Status,
) -> Option<Duration> {
    let until = |moment: Instant| Some(moment.saturating_duration_since(Instant::now()));
    if let Some(moment) = acted.held_until {
        return until(moment);
    }
    let observed = acted.observed.as_ref();
    if matches!(acted.outcome, Outcome::Waiting(_))
        && observed.is_some_and(|observed| observed.unconfirmed)
    {
        return Some(UNANSWERED);
    }
    let by_kind = || {
        object.requeue_after(
            observed.map(|observed| &observed.value),
            after,
            clock::now(),
        )
    };
    pass.state(|state| {
        if acted.sent > 0 {
            state.advanced();
        }
        if acted.outcome.lacks_dependency() {
            state.forget_refusal();
        }
        let is_watched = object.is_deleting() || state.age_of(object.meta().generation) < NEW;
        let policy = acted.outcome.policy(is_watched);
        let wait = match policy.requeue {
            Requeue::Settled => {
                state.forgive();
                return by_kind();
            }
            Requeue::Unsettled => return by_kind(),
            Requeue::At(moment) => return until(moment),
            Requeue::Step(limits) => state.after_step(limits),
            Requeue::Wait(limits) => state.after_wait(limits),
            Requeue::Failure(limits) => state.after_failure(limits),
        };
        if policy.holds_off && !acted.planned.is_empty() {
            state.refuse(acted.planned.clone(), acted.outcome.clone(), wait);
        }
        Some(wait)
    })
}

/// The wait after a write that the API server did not take. If the object is gone or has moved on,
/// the watch tells us. What it refuses by the schema or by a rule, no status can tell, so an event
/// does.
pub(super) fn trouble<K: Kind>(
    object: &K,
    pass: &Pass<'_, K::Observed>,
    error: &RequestError,
) -> Duration {
    if error.is_outdated() {
        tracing::debug!(kind = %K::kind(&()), name = object.name_any(), %error, "conflict: the object changed since it was read");
    } else {
        tracing::warn!(kind = %K::kind(&()), namespace = object.namespace(), name = object.name_any(), %error, "writing to the API server failed");
    }
    let (wait, is_news) = pass.state(|state| state.after_unwritten(KUBERNETES));
    if is_news && error.is_refusal() {
        let note =
            format!("The API server refuses what the operator writes to this object: {error}");
        pass.context.events.publish(
            &object.object_ref(&()),
            Notice::new(true, Reason::InternalError.as_str(), note),
        );
    }
    wait
}

/// The served definition lacks members of this status: without this memory it would be written at
/// every pass.
fn narrowed<K: Kind>(object: &K, context: &Context, after: &K::Status, why: &str) {
    let (uid, kind) = (object.uid().unwrap_or_default(), K::kind(&()));
    context.states.with(&uid, |state| {
        state.narrow(serde_json::to_string(after).unwrap_or_default());
    });
    context.metrics.narrowed(&kind);
    let words = format!(
        "the custom resource definition is older than the operator, and a part of each status is lost: apply the output of `ecs-operator crd` ({why})"
    );
    if context.readiness.note(
        &format!("{}-definition", K::plural(&())),
        Err(words.clone()),
    ) {
        tracing::warn!(%kind, "{words}");
    }
}

/// Whether just this status was written lately, as far as the served definition has its members.
fn is_narrowed<K: Kind>(object: &K, context: &Context, after: &K::Status) -> bool {
    let uid = object.uid().unwrap_or_default();
    context.states.with(&uid, |state| {
        state.is_narrowed(|| serde_json::to_string(after).unwrap_or_default())
    })
}

/// Remembers the version of an object that a write of ours has made.
pub(super) fn remember<K: Kind>(written: &K, context: &Context) {
    let uid = written.uid().unwrap_or_default();
    context.states.with(&uid, |state| {
        state.wrote(written.resource_version().as_deref());
    });
}
