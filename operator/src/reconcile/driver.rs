//! One pass over one object.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::shared::Status;
use futures::FutureExt;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use super::allowance::{forbidden, is_anothers, is_foreign, is_withheld};
use super::memory::Memory;
use super::news::{later, news, written};
use super::permits::{fit, obtain, urgency};
use super::plan::{Outcome, Plan, Write};
use super::{Context, Kind, forget, is_asked, is_there, requested};
use crate::aws::observer::{CONFIRMED, Pace};
use crate::aws::tags::{Owner, RETAINED};
use crate::aws::writer::{Permit, Urgency};
use crate::aws::{Fault, FaultClass, Freshness};
use crate::k8s::events::Notice;
use crate::k8s::status::{self, Written};
use crate::k8s::{RequestError, conditions, finalizer};

/// Longest time that a pass may take.
const PASS_TIMEOUT: Duration = Duration::from_secs(120);

/// First and longest wait for something that a watch or the observer should tell us of: a safety net.
const WAIT: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(60));

/// The same while somebody waits: the object is being deleted, or its spec is new.
const WAIT_WATCHED: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(10));

/// How long a spec is new.
const NEW: Duration = Duration::from_secs(300);

/// First and longest wait for somebody to change something.
const STALL: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(300));

/// First and longest wait after trouble with the API server.
const KUBERNETES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// First and longest wait before the next of several steps.
const STEP: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(30));

/// Wait for the watch to show us what we wrote ourselves.
const CATCH_UP: Duration = Duration::from_millis(50);

/// Wait for AWS to show what a call without a reply has made.
const UNANSWERED: Duration = Duration::from_secs(3);

/// First and longest wait after a write that AWS did not heed, or after a fault of our own.
const UNHEEDED: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(900));

/// Looks at one object and brings AWS closer to its spec. Never fails: whatever happens is told in the status and decides
/// when the next pass comes: after the time that it returns, or when something wakes the object.
pub async fn reconcile<K: Kind>(object: Arc<K>, context: Arc<Context>) -> Option<Duration> {
    let started = Instant::now();
    // A panic in one pass must not end the controller of its kind.
    let pass = AssertUnwindSafe(Box::pin(pass(&*object, &context))).catch_unwind();
    let (outcome, back) = match tokio::time::timeout(PASS_TIMEOUT, pass).await {
        Ok(Ok((outcome, back))) => (outcome, back),
        broken => {
            let what = if broken.is_err() { "took too long" } else { "panicked" };
            tracing::error!(kind = %K::kind(&()), namespace = object.namespace(), name = object.name_any(), "a pass {what}");
            let outcome = Outcome::Broken(format!("A pass over this object {what}; please report it"));
            let acted = Acted::new(None, outcome);
            let back = conclude(&*object, &context, &acted).await;
            (acted.outcome, back)
        }
    };
    keep_place(&*object, &context, &outcome);
    if !is_there(&*object, &context) {
        forget(&*object, &context);
    }
    context.metrics.reconciled(&K::kind(&()), outcome.as_str(), started.elapsed());
    back
}

/// Who has nothing to write gives its place in the queue up. A pass that decided nothing, or in which something failed, leaves it.
fn keep_place<K: Kind>(object: &K, context: &Context, outcome: &Outcome) {
    let uid = object.uid().unwrap_or_default();
    match outcome {
        Outcome::Queued(_) => context.memories.with(&uid, |memory| memory.queues(true)),
        Outcome::Unfinished | Outcome::Failed(_) | Outcome::Unheeded(_) | Outcome::Broken(_) => {}
        Outcome::InSync | Outcome::Waiting(_) | Outcome::Stalled(_) | Outcome::Withheld(_) => {
            context.aws.writer.withdraw(&object.namespace().unwrap_or_default(), &uid);
            context.memories.with(&uid, |memory| memory.queues(false));
        }
        // What is gone was forgotten, unless its finalizer stays for want of an API server.
        Outcome::Gone | Outcome::Left(_) => context.aws.writer.withdraw(&object.namespace().unwrap_or_default(), &uid),
    }
}

async fn pass<K: Kind>(object: &K, context: &Context) -> (Outcome, Option<Duration>) {
    let uid = object.uid().unwrap_or_default();
    if object.is_deleting() && !finalizer::is_set(object) {
        // Only the finalizers of others hold it.
        forget(object, context);
        return (Outcome::Gone, None);
    }
    if context.memories.with(&uid, |memory| memory.is_released()) {
        // The watch shows it as it was before the finalizer was taken off.
        return (Outcome::Gone, None);
    }
    if context.memories.with(&uid, |memory| memory.is_outdated(object.resource_version().as_deref())) {
        return (Outcome::Unfinished, Some(CATCH_UP));
    }
    let object = match guarded(object, context).await {
        Ok(object) => object,
        Err(error) => return (Outcome::Unfinished, Some(trouble(object, context, &error))),
    };
    let began = Instant::now();
    let mut acted = Acted { began, ..act(&object, context).await };
    if let Outcome::Failed(fault) = &acted.outcome
        && object.is_deleting()
        && object.policies().retains()
    {
        // The way out needs no AWS.
        acted.outcome = Outcome::Left(format!("What this object has in AWS stays there without the tag {RETAINED}: {fault}"));
    }
    let back = conclude(&object, context, &acted).await;
    (acted.outcome, back)
}

/// What a pass saw, did and came to.
struct Acted<O> {
    observed: Option<O>,
    outcome: Outcome,
    /// The writes that were needed.
    planned: Vec<Write>,
    /// Those of them that were sent and accepted.
    sent: usize,
    /// When they may be sent again, where an earlier pass tried in vain.
    held_until: Option<Instant>,
    /// When the pass began to look.
    began: Instant,
}

impl<O> Acted<O> {
    fn new(observed: Option<O>, outcome: Outcome) -> Self {
        Self { observed, outcome, planned: Vec::new(), sent: 0, held_until: None, began: Instant::now() }
    }

    /// The writes that AWS has accepted, and the one without a reply.
    fn may_be_applied(&self) -> &[Write] {
        let unanswered = matches!(&self.outcome, Outcome::Failed(fault) if !fault.made_nothing());
        &self.planned[..(self.sent + usize::from(unanswered)).min(self.planned.len())]
    }
}

/// The object with our finalizer, which must be on it before the first write to AWS.
async fn guarded<K: Kind>(object: &K, context: &Context) -> Result<K, RequestError> {
    if object.is_deleting() || finalizer::is_set(object) {
        return Ok(object.clone());
    }
    let object = finalizer::add(&context.client, object).await?;
    remember(&object, context);
    Ok(object)
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

fn remember<K: Kind>(written: &K, context: &Context) {
    let uid = written.uid().unwrap_or_default();
    context.memories.with(&uid, |memory| memory.wrote(written.resource_version().as_deref()));
}

/// Observes, plans and applies.
async fn act<K: Kind>(object: &K, context: &Context) -> Acted<K::Observed> {
    if let Some(outcome) = forbidden(object, context) {
        return Acted::new(None, outcome);
    }
    let began = Instant::now();
    let owner = context.owner(object);
    let asked = is_asked(object);
    if asked {
        // Whoever asks for a look wants what was refused to be tried again too, once.
        context.memories.with(&owner.uid, |memory| memory.forgive_for(requested(object)));
    }
    let freshness = match asked {
        true => Freshness::Confirmed(began),
        false if object.is_commanded() || is_anothers(object) => Freshness::Since(began),
        false => Freshness::Any,
    };
    let mut observed = match object.observe(context, freshness).await {
        Ok(observed) => observed,
        Err(fault) => return Acted::new(None, Outcome::Failed(with_way_out(object, fault))),
    };
    let mut plan = object.plan(&observed, &owner);
    let mut permits = Vec::new();
    if let Plan::Write(writes) = &plan
        && K::observed_at(&observed).is_none_or(|at| at < began)
    {
        // Who has to wait for a turn need not look before; who was refused does not ask for one.
        let refused = context.memories.with(&owner.uid, |memory| memory.refused(writes).is_some());
        if !is_withheld(object) && !refused {
            permits = match obtain((object, &observed), context, &owner, writes) {
                Ok(permits) => permits,
                Err(turn) => return Acted::new(Some(observed), Outcome::Queued(turn)),
            };
        }
        // The cache is good enough to do nothing, not to change something.
        observed = match object.observe(context, Freshness::Since(began)).await {
            Ok(observed) => observed,
            Err(fault) => return Acted::new(Some(observed), Outcome::Failed(with_way_out(object, fault))),
        };
        plan = object.plan(&observed, &owner);
    }
    let writes = match plan {
        Plan::Write(writes) if is_withheld(object) => return Acted::new(Some(observed), Outcome::Withheld(writes)),
        // What is left to do waits for the status.
        Plan::Write(writes) if writes.is_empty() => return Acted::new(Some(observed), Outcome::Unfinished),
        Plan::Write(writes) => writes,
        decided => return Acted::new(Some(observed), decided.into()),
    };
    if let Some(refusal) = context.memories.with(&owner.uid, |memory| memory.refused(&writes)) {
        return Acted { held_until: Some(refusal.until), ..Acted::new(Some(observed), refusal.outcome) };
    }
    let mut acted = Acted { planned: writes, ..Acted::new(Some(observed), Outcome::Unfinished) };
    send(object, context, &owner, &mut acted, permits).await;
    acted
}

/// A deletion that waits for AWS says what can be done about it.
fn with_way_out<K: Kind>(object: &K, mut fault: Fault) -> Fault {
    let unreachable = matches!(fault.class, FaultClass::Server | FaultClass::Credentials | FaultClass::AccessDenied);
    if object.is_deleting() && unreachable {
        fault.message +=
            ". The finalizer stays until AWS answers; spec.deletionPolicy: Retain lets this object go and leaves AWS as it is";
    }
    fault
}

/// Sends the planned writes, one after the other, and looks whether that was enough. `permits` are those at hand.
async fn send<K: Kind>(object: &K, context: &Context, owner: &Owner, acted: &mut Acted<K::Observed>, permits: Vec<Permit>) {
    let Some(mut observed) = acted.observed.take() else { return };
    let permits = if fit(&permits, &acted.planned) {
        Ok(permits)
    } else {
        // Else it would wait for what it has itself.
        drop(permits);
        obtain((object, &observed), context, owner, &acted.planned)
    };
    let permits = match permits {
        Ok(permits) => permits,
        Err(turn) => {
            acted.outcome = Outcome::Queued(turn);
            acted.observed = Some(observed);
            return;
        }
    };
    // For the others a later pass asks again.
    acted.planned.truncate(permits.len());
    for (write, permit) in acted.planned.iter().zip(permits) {
        match object.apply(context, &observed, write, permit).await {
            Ok(next) => observed = next,
            Err(fault) => {
                object.invalidate(context, &observed);
                acted.outcome = Outcome::Failed(fault);
                acted.observed = Some(observed);
                return;
            }
        }
        acted.sent += 1;
    }
    let mut rest = object.plan(&observed, owner);
    if matches!(rest, Plan::Write(_)) {
        // A reply may show less than a read does.
        match object.observe(context, Freshness::Since(Instant::now())).await {
            Ok(mut seen) => {
                K::carry_over(&observed, &mut seen);
                rest = object.plan(&seen, owner);
                observed = seen;
            }
            Err(fault) => {
                // AWS accepted the writes. The next pass looks again.
                acted.outcome = if fault.class.passes() { Outcome::Unfinished } else { Outcome::Failed(fault) };
                acted.observed = Some(observed);
                return;
            }
        }
    }
    acted.outcome = match rest {
        Plan::Write(rest) if rest == acted.planned => Outcome::Unheeded(rest),
        decided => decided.into(),
    };
    acted.observed = Some(observed);
}

/// Writes what came of a pass into the status, hands events to their publisher, and says when the next pass comes.
async fn conclude<K: Kind>(object: &K, context: &Context, acted: &Acted<K::Observed>) -> Option<Duration> {
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
        tracing::info!(kind = %K::kind(&()), namespace = about.namespace, name = about.name, operation = %write.operation, "{}", write.note);
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
        object.remember(&mut after, acted.may_be_applied());
        after
    };
    let rests = conditions::is_ready(after.conditions()) && !K::settles(&after, Timestamp::now());
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
        let is_watched = object.is_deleting() || memory.age_of(object.meta().generation) < NEW;
        let wait = match &acted.outcome {
            Outcome::InSync | Outcome::Gone | Outcome::Left(_) => {
                memory.forgive();
                return object.look_again(acted.observed.as_ref(), after, Timestamp::now());
            }
            Outcome::Queued(turn) => return until(*turn),
            Outcome::Unfinished => memory.after_step(STEP),
            // The watch tells of a new spec, and the observer of news from AWS.
            Outcome::Withheld(_) => return None,
            Outcome::Waiting(_) => memory.after_wait(if is_watched { WAIT_WATCHED } else { WAIT }),
            Outcome::Stalled(_) => memory.after_wait(STALL),
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
fn trouble<K: Kind>(object: &K, context: &Context, error: &RequestError) -> Duration {
    if error.is_outdated() {
        tracing::debug!(kind = %K::kind(&()), name = object.name_any(), %error, "the object has moved on");
    } else {
        tracing::warn!(kind = %K::kind(&()), namespace = object.namespace(), name = object.name_any(), %error, "the API server did not take a write");
    }
    let uid = object.uid().unwrap_or_default();
    let is_news = context.memories.with(&uid, |memory| memory.failing().is_zero());
    let wait = context.memories.with(&uid, |memory| memory.after_failure(KUBERNETES));
    if is_news && error.is_refusal() {
        let note = format!("The API server refuses what the operator writes to this object: {error}");
        context.events.publish(&object.object_ref(&()), Notice::new(true, Reason::InternalError.as_str(), note));
    }
    wait
}

/// A fault that no call caused: a reply that lacks what it must have.
pub(super) fn incomplete(operation: crate::aws::Operation, member: &str) -> Fault {
    Fault::new(operation, crate::aws::FaultClass::Server, format!("the reply has no {member}"))
}
