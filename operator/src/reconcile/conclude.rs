//! The end of a pass: events, the one status write, and when the next pass comes.

use std::time::{Duration, Instant};

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::shared::Status;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use super::allowance::is_foreign;
use super::driver::Acted;
use super::memory::{Limits, Memory};
use super::news::{later, news, written};
use super::permits::urgency;
use super::plan::{Outcome, Write};
use super::{Context, Kind, is_asked, requested};
use crate::aws::FaultClass;
use crate::aws::observer::{CONFIRMED, Pace};
use crate::aws::writer::Urgency;
use crate::k8s::events::Notice;
use crate::k8s::status::{self, Written};
use crate::k8s::{RequestError, conditions, finalizer};

/// First and longest wait for something that a watch or the observer should tell us of: a safety net.
const WAIT: Limits = (Duration::from_secs(10), Duration::from_secs(60));

/// The same while somebody waits: the object is being deleted, or its spec is new.
const WAIT_WATCHED: Limits = (Duration::from_secs(10), Duration::from_secs(10));

/// First and longest wait for what AWS lacks and another tool may be making, while somebody waits.
const DEPENDENCY_WATCHED: Limits = (Duration::from_secs(5), Duration::from_secs(10));

/// How long a spec is new.
const NEW: Duration = Duration::from_secs(300);

/// First and longest wait for somebody to change something.
const STALL: Limits = (Duration::from_secs(10), Duration::from_secs(300));

/// First and longest wait after trouble with the API server.
const KUBERNETES: Limits = (Duration::from_secs(1), Duration::from_secs(30));

/// First and longest wait before the next of several steps.
const STEP: Limits = (Duration::from_millis(50), Duration::from_secs(30));

/// Wait for AWS to show what a call without a reply has made.
const UNANSWERED: Duration = Duration::from_secs(3);

/// First and longest wait after a write that AWS did not heed, or after a fault of our own.
const UNHEEDED: Limits = (Duration::from_secs(30), Duration::from_secs(900));

/// Writes what came of a pass into the status, hands events to their publisher, and says when the next pass comes.
pub(super) async fn conclude<K: Kind>(object: &K, context: &Context, acted: &Acted<K::Observed>) -> Option<Duration> {
    let mut notices = account(object, context, acted);
    let (back, news) = tell(object, context, acted).await;
    notices.extend(news);
    let about = object.object_ref(&());
    for notice in notices {
        context.events.publish(&about, notice);
    }
    back
}

/// Counts and logs what a pass did, and returns an event for each write.
fn account<K: Kind>(object: &K, context: &Context, acted: &Acted<K::Observed>) -> Vec<Notice> {
    let Acted { observed, outcome, planned, sent, .. } = acted;
    let (observed, sent) = (observed.as_ref(), &planned[..*sent]);
    let about = object.object_ref(&());
    let kind = K::kind(&());
    let mut notices = Vec::new();
    if let (Outcome::Failed(fault), None) = (outcome, acted.held_until) {
        context.metrics.failed(&kind, fault.class.as_str());
    }
    for write in sent {
        if !write.operation.lets_go() && urgency(object, observed, std::slice::from_ref(write)) == Urgency::Repair {
            context.metrics.repaired(&kind, write.operation);
        }
        tracing::info!(%kind, namespace = about.namespace, name = about.name, operation = %write.operation, "{}", write.note);
        if object.is_deleting() && write.operation.lets_go() {
            // The end of the object tells as much.
            continue;
        }
        notices.push(written(write));
    }
    if let Outcome::Left(message) = outcome {
        tracing::warn!(%kind, namespace = about.namespace, name = about.name, "{message}");
        notices.push(Notice::new(true, Reason::LeftInAws.as_str(), message.clone()));
    }
    notices
}

/// Writes the status when it changes. Returns when the next pass comes, and an event for each change worth one.
async fn tell<K: Kind>(object: &K, context: &Context, acted: &Acted<K::Observed>) -> (Option<Duration>, Vec<Notice>) {
    let Acted { observed, outcome, planned, sent, .. } = acted;
    let (observed, sent) = (observed.as_ref(), &planned[..*sent]);
    if matches!(outcome, Outcome::Gone | Outcome::Left(_)) {
        return (release(object, context).await, Vec::new());
    }
    let before = object.status().cloned().unwrap_or_default();
    // The look that somebody asked for showed what may be out of date.
    let is_unconfirmed = is_asked(object) && observed.and_then(K::observed_at).is_some_and(|at| at < acted.began);
    let later = later(object, context, observed, outcome).filter(|_| sent.is_empty() || object.is_deleting());
    let after = if later.is_some() {
        before.clone()
    } else {
        let mut after = settled(object, observed, outcome, &before);
        if is_unconfirmed {
            *after.last_handled_reconcile_at() = before.clone().last_handled_reconcile_at().take();
        }
        if *outcome != Outcome::InSync {
            object.remember(&mut after, acted.accepted(), acted.unanswered());
        }
        after
    };
    let is_ready = conditions::is_ready(after.conditions()) && !object.is_deleting();
    let rests = is_ready && !K::settles(&after, Timestamp::now());
    let stalled = outcome.verdict().is_some_and(|verdict| verdict.state == conditions::State::Stalled);
    // While it waits for its turn, or for another object here, nothing is expected to happen in AWS.
    let waits_here = matches!(outcome, Outcome::Waiting(obstacle) if obstacle.reason == Reason::DependencyNotReady);
    let rests = rests || stalled || waits_here || matches!(outcome, Outcome::Queued(_));
    let pace = if rests { Pace::Steady } else { Pace::Active };
    object.watch(context, observed, Some(pace).filter(|_| !is_foreign(object, context, outcome)));
    let mut notices = Vec::new();
    if after != before && !is_narrowed(object, context, &after) {
        match status::write(&context.client, object, &after).await {
            Ok(Written::Whole(written)) => remember(&written, context),
            Ok(Written::Narrowed(written, why)) => {
                remember(&written, context);
                narrowed(object, context, &after, &why);
            }
            Err(error) => return (Some(trouble(object, context, &error)), Vec::new()),
        }
        notices = object.notices(&before, &after);
        notices.extend(news(&before, &after));
        for Notice { reason, note, .. } in notices.iter().filter(|notice| notice.warning) {
            tracing::warn!(kind = %K::kind(&()), namespace = object.namespace(), name = object.name_any(), %reason, "{note}");
        }
    }
    let next = next(object, context, acted, &after);
    // Should it last, that is told in time.
    (next.into_iter().chain(later).chain(is_unconfirmed.then_some(CONFIRMED)).min(), notices)
}

/// The status after a pass: what the kind says, and what is the same for all kinds.
fn settled<K: Kind>(object: &K, observed: Option<&K::Observed>, outcome: &Outcome, before: &K::Status) -> K::Status {
    let now = Timestamp::now();
    let mut after = object.status_after(observed, outcome, now);
    *after.last_handled_reconcile_at() = requested(object);
    let withheld = match outcome {
        Outcome::Withheld(writes) => Some(writes.iter().map(Write::pending).collect::<Vec<_>>()),
        _ => None,
    };
    if object.policies().suspends() && !object.is_deleting() {
        // What is held back is shown beside; Ready says how well runs what there is.
        let shown = if withheld.is_some() { object.status_after(observed, &Outcome::InSync, now) } else { after.clone() };
        let generation = object.meta().generation;
        let waiting = withheld.as_ref().map_or(0, Vec::len);
        *after.conditions_mut() =
            conditions::suspended(before.conditions(), shown.conditions().to_vec(), waiting, generation, now);
    }
    *after.pending_changes() = withheld;
    after
}

/// Takes the finalizer off: nothing of the object is left in AWS, or it shall stay there.
async fn release<K: Kind>(object: &K, context: &Context) -> Option<Duration> {
    if let Err(error) = finalizer::remove(&context.client, object).await {
        return Some(trouble(object, context, &error));
    }
    object.watch(context, None, None);
    context.claims.forget(&object.uid().unwrap_or_default());
    context.memories.with(&object.uid().unwrap_or_default(), Memory::release);
    None
}

/// When the next pass comes, if nothing triggers the object before; `None` where a watch or the observer tells.
fn next<K: Kind>(object: &K, context: &Context, acted: &Acted<K::Observed>, after: &K::Status) -> Option<Duration> {
    let until = |moment: Instant| Some(moment.saturating_duration_since(Instant::now()));
    if let Some(moment) = acted.held_until {
        return until(moment);
    }
    if matches!(acted.outcome, Outcome::Waiting(_)) && acted.observed.as_ref().is_some_and(K::is_unanswered) {
        return Some(UNANSWERED);
    }
    let uid = object.uid().unwrap_or_default();
    context.memories.with(&uid, |memory| {
        if acted.sent > 0 {
            memory.advanced();
        }
        let is_watched = object.is_deleting() || memory.age_of(object.meta().generation) < NEW;
        let wait = match &acted.outcome {
            Outcome::InSync | Outcome::Gone | Outcome::Left(_) => {
                memory.forgive();
                return object.look_again(acted.observed.as_ref(), after, Timestamp::now());
            }
            Outcome::Queued(turn) => return until(*turn),
            Outcome::Unfinished => memory.after_step(STEP),
            // The watch tells of a new spec, and the observer of news from AWS.
            Outcome::Withheld(_) => return object.look_again(acted.observed.as_ref(), after, Timestamp::now()),
            Outcome::Waiting(_) => memory.after_wait(if is_watched { WAIT_WATCHED } else { WAIT }),
            Outcome::Stalled(_) => memory.after_wait(STALL),
            // What AWS lacks somebody may be making, and nothing tells when it is there.
            Outcome::Failed(fault) if fault.class == FaultClass::DependencyNotReady && is_watched => {
                memory.after_failure(DEPENDENCY_WATCHED)
            }
            Outcome::Failed(fault) => memory.after_failure(fault.class.backoff()),
            Outcome::Unheeded(_) | Outcome::Broken(_) => memory.after_failure(UNHEEDED),
        };
        if matches!(acted.outcome, Outcome::Failed(_) | Outcome::Unheeded(_)) && !acted.planned.is_empty() {
            memory.refuse(acted.planned.clone(), acted.outcome.clone(), wait);
        }
        Some(wait)
    })
}

/// The wait after a write that the API server did not take. If the object is gone or has moved on, the watch tells us. What it refuses by
/// the schema or by a rule, no status can tell, so an event does.
pub(super) fn trouble<K: Kind>(object: &K, context: &Context, error: &RequestError) -> Duration {
    if error.is_outdated() {
        tracing::debug!(kind = %K::kind(&()), name = object.name_any(), %error, "the object has moved on");
    } else {
        tracing::warn!(kind = %K::kind(&()), namespace = object.namespace(), name = object.name_any(), %error, "the API server did not take a write");
    }
    let uid = object.uid().unwrap_or_default();
    let (is_news, wait) = context.memories.with(&uid, |memory| (memory.failing().is_zero(), memory.after_failure(KUBERNETES)));
    if is_news && error.is_refusal() {
        let note = format!("The API server refuses what the operator writes to this object: {error}");
        context.events.publish(&object.object_ref(&()), Notice::new(true, Reason::InternalError.as_str(), note));
    }
    wait
}

/// The served definition lacks members of this status: without this memory it would be written at every pass.
fn narrowed<K: Kind>(object: &K, context: &Context, after: &K::Status, why: &str) {
    let (uid, kind) = (object.uid().unwrap_or_default(), K::kind(&()));
    context.memories.with(&uid, |memory| memory.narrow(serde_json::to_string(after).unwrap_or_default()));
    context.metrics.narrowed(&kind);
    let words = format!(
        "the custom resource definition is older than the operator, and a part of each status is lost: apply the output of `ecs-operator crd` ({why})"
    );
    if context.readiness.note(&format!("{}-definition", K::plural(&())), Err(words.clone())) {
        tracing::warn!(%kind, "{words}");
    }
}

/// Whether just this status was written lately, as far as the served definition has its members.
fn is_narrowed<K: Kind>(object: &K, context: &Context, after: &K::Status) -> bool {
    let uid = object.uid().unwrap_or_default();
    context.memories.with(&uid, |memory| memory.is_narrowed(|| serde_json::to_string(after).unwrap_or_default()))
}

/// Remembers the version of an object that a write of ours has made.
pub(super) fn remember<K: Kind>(written: &K, context: &Context) {
    let uid = written.uid().unwrap_or_default();
    context.memories.with(&uid, |memory| memory.wrote(written.resource_version().as_deref()));
}
