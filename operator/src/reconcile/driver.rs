//! Runs one pass over one object, and handles panics and time-outs.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use ecs_operator_crds::condition::Reason;
use futures::FutureExt;
use tokio::time::Instant;

use super::act::{Acted, act};
use super::conclude::{conclude, remember, trouble};
use super::context::{Context, Pass};
use super::kind::Kind;
use super::outcome::{Outcome, Place};
use super::plan::Obstacle;
use crate::aws::tags::RETAINED;
use crate::k8s::{RequestError, finalizer};
use crate::trigger::ObjectId;
use kube::ResourceExt;

/// Longest time that a pass may take.
const PASS_TIMEOUT: Duration = Duration::from_secs(120);

/// How long an object that retains its AWS object tries to mark it, while AWS cannot be reached.
const MARK: Duration = Duration::from_secs(15);

/// Wait for the watch to show what the operator itself wrote.
const CATCH_UP: Duration = Duration::from_millis(50);

/// Observes one object and brings AWS closer to its spec. Never fails: whatever happens is reported
/// in the status and decides when the next pass comes: after the time that this returns, or when
/// something triggers the object.
pub async fn reconcile<K: Kind>(object: Arc<K>, context: Arc<Context>) -> Option<Duration> {
    let started = Instant::now();
    let object = with_sent_status(object, &context);
    let pass = Pass::new(&*object, &context);
    // A panic in one pass must not end the controller of its kind.
    let ended = AssertUnwindSafe(Box::pin(run(&*object, &pass))).catch_unwind();
    let (outcome, requeue) = match tokio::time::timeout(PASS_TIMEOUT, ended).await {
        Ok(Ok(ended)) => ended,
        broken => {
            let outcome = if broken.is_err() {
                took_too_long()
            } else {
                panicked()
            };
            tracing::error!(kind = %K::kind(&()), namespace = object.namespace(), name = object.name_any(), "a pass broke off");
            let acted = Acted::broken_off(pass.sending(std::mem::take), outcome);
            // A write may have been sent.
            pass.aws.observer.invalidate(&pass.fallback());
            let ended = AssertUnwindSafe(conclude(&*object, &pass, &acted))
                .catch_unwind()
                .await;
            (acted.outcome, ended.unwrap_or(Some(PASS_TIMEOUT)))
        }
    };
    keep_place(&pass, &outcome);
    if !is_there(&*object, &context) {
        forget(&*object, &context);
    }
    context
        .metrics
        .reconciled(&K::kind(&()), outcome.as_str(), started.elapsed());
    requeue
}

/// The object with the status that was sent last, while the API server has not confirmed that. A
/// pass that starts from an older one forgets what it remembers of calls to AWS.
fn with_sent_status<K: Kind>(object: Arc<K>, context: &Context) -> Arc<K> {
    let uid = object.uid().unwrap_or_default();
    let unconfirmed = context
        .states
        .with(&uid, |state| state.unconfirmed::<K::Status>());
    let Some(unconfirmed) = unconfirmed else {
        return object;
    };
    let mut object = Arc::unwrap_or_clone(object);
    *object.status_mut() = Some(unconfirmed.sent);
    Arc::new(object)
}

/// Each call has a deadline of its own, so a pass that takes too long has waited for its turn to
/// read.
fn took_too_long() -> Outcome {
    let seconds = PASS_TIMEOUT.as_secs();
    let message = format!(
        "Reading AWS took longer than {seconds} s, because the reads of the operator wait for their turn in the API quota; it is tried again"
    );
    Outcome::Waiting(Obstacle {
        reason: Reason::Throttled,
        message,
        passing: true,
        all_else_sent: false,
    })
}

fn panicked() -> Outcome {
    Outcome::InternalError(
        "The reconciliation of this object panicked; please report it".to_owned(),
    )
}

async fn run<K: Kind>(object: &K, pass: &Pass<'_, K::Observed>) -> (Outcome, Option<Duration>) {
    if object.is_deleting() && !finalizer::is_set(object) {
        // Only the finalizers of others hold it.
        forget(object, pass.context);
        return (Outcome::Gone, None);
    }
    if pass.state(|state| state.is_released()) {
        // The watch shows it as it was before the finalizer was removed.
        return (Outcome::Gone, None);
    }
    if pass.state(|state| state.is_outdated(object.resource_version().as_deref())) {
        return (Outcome::Unfinished, Some(CATCH_UP));
    }
    let object = match guarded(object, pass.context).await {
        Ok(object) => object,
        Err(error) => return (Outcome::Unfinished, Some(trouble(object, pass, &error))),
    };
    let mut acted = act(&object, pass).await;
    if let Outcome::Failed(error) = &acted.outcome
        && object.is_deleting()
        && object.policies().retains()
        && (!error.kind.passes() || pass.state(|state| state.failing()) >= MARK)
    {
        // The way out needs no AWS.
        acted.outcome = Outcome::Left(format!(
            "The AWS objects are retained without the tag {RETAINED}: {error}"
        ));
    }
    let requeue = conclude(&object, pass, &acted).await;
    (acted.outcome, requeue)
}

/// The object with the operator's finalizer, which must be on it before the first write to AWS.
async fn guarded<K: Kind>(object: &K, context: &Context) -> Result<K, RequestError> {
    if object.is_deleting() || finalizer::is_set(object) {
        return Ok(object.clone());
    }
    let object = finalizer::add(&context.client, object).await?;
    remember(&object, context);
    Ok(object)
}

/// Releases the object's place in the write queue when it has nothing to write. Passes that failed
/// or did not finish keep it.
fn keep_place<O>(pass: &Pass<'_, O>, outcome: &Outcome) {
    let place = outcome.policy(false).place;
    if place == Place::Released {
        pass.aws.writer.withdraw(pass.namespace(), pass.uid());
    }
    // What is gone was forgotten, unless its finalizer could not be removed.
    if !matches!(outcome, Outcome::Gone | Outcome::Left(_)) && place != Place::Kept {
        pass.state(|state| state.queues(place == Place::Queued));
    }
}

/// Whether the object is still the one that the watch shows. A user may have removed its finalizer
/// while the pass was under way.
fn is_there<K: Kind>(object: &K, context: &Context) -> bool {
    let seen = context
        .stores
        .of::<K>()
        .get(&ObjectId::of(object).object_ref());
    seen.is_some_and(|seen| seen.uid() == object.uid())
}

/// Forgets an object that is gone, however that came about.
pub(super) fn forget<K: Kind>(object: &K, context: &Context) {
    let (id, uid) = (ObjectId::of(object), object.uid().unwrap_or_default());
    for aws in context.accounts.all() {
        aws.observer.poll(&id, &[]);
        aws.writer
            .withdraw(id.namespace.as_deref().unwrap_or_default(), &uid);
    }
    context.claims.forget(&uid);
    context.states.forget(&uid);
}
