//! One pass over one object.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use kube::ResourceExt;

use super::allowance::{forbidden, is_anothers, is_withheld};
use super::conclude::{conclude, remember, trouble};
use super::permits::{fit, obtain};
use super::plan::{Outcome, Plan, Write};
use super::{Context, Kind, forget, is_asked, is_there, requested};
use crate::aws::tags::{OWNER, Owner, RETAINED, Tags};
use crate::aws::writer::Permit;
use crate::aws::{Fault, FaultClass, Freshness, Operation};
use crate::k8s::{RequestError, finalizer};

/// Longest time that a pass may take.
const PASS_TIMEOUT: Duration = Duration::from_secs(120);

/// How long an object that retains its AWS object tries to mark it, while AWS cannot be reached.
const MARK: Duration = Duration::from_secs(15);

/// Wait for the watch to show us what we wrote ourselves.
const CATCH_UP: Duration = Duration::from_millis(50);

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
        && (!fault.class.passes() || context.memories.with(&uid, |memory| memory.failing()) >= MARK)
    {
        // The way out needs no AWS.
        acted.outcome = Outcome::Left(format!("What this object has in AWS stays there without the tag {RETAINED}: {fault}"));
    }
    let back = conclude(&object, context, &acted).await;
    (acted.outcome, back)
}

/// What a pass saw, did and came to.
pub(super) struct Acted<O> {
    pub(super) observed: Option<O>,
    pub(super) outcome: Outcome,
    /// The writes that were needed.
    pub(super) planned: Vec<Write>,
    /// Those of them that were sent and accepted.
    pub(super) sent: usize,
    /// When they may be sent again, where an earlier pass tried in vain.
    pub(super) held_until: Option<Instant>,
    /// When the pass began to look.
    pub(super) began: Instant,
}

impl<O> Acted<O> {
    fn new(observed: Option<O>, outcome: Outcome) -> Self {
        Self { observed, outcome, planned: Vec::new(), sent: 0, held_until: None, began: Instant::now() }
    }

    /// The writes that AWS has accepted.
    pub(super) fn accepted(&self) -> &[Write] {
        &self.planned[..self.sent]
    }

    /// The write that AWS may have accepted: it got no reply.
    pub(super) fn unanswered(&self) -> Option<&Write> {
        let is_unanswered = matches!(&self.outcome, Outcome::Failed(fault) if !fault.made_nothing());
        self.planned.get(self.sent).filter(|_| is_unanswered)
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
        let applied = match claim_of(write).map_or(Ok(()), |arn| context.claims.claim(write.operation, arn, &owner.uid)) {
            Ok(()) => object.apply(context, &observed, write, permit).await,
            Err(taken) => Err(taken),
        };
        match applied {
            Ok(next) => observed = next,
            Err(fault) => {
                if let Some(arn) = claim_of(write).filter(|_| fault.made_nothing()) {
                    context.claims.release(arn, &owner.uid);
                }
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

/// The ARN of the AWS object that a write makes the object's own: two objects that adopt it at once would both take it for theirs.
fn claim_of(write: &Write) -> Option<&str> {
    let is_adoption = write.operation == Operation::TagResource && Tags::read(&write.request["tags"]).0.contains_key(OWNER);
    write.request["resourceArn"].as_str().filter(|_| is_adoption)
}

/// A fault that no call caused: a reply that lacks what it must have.
pub(super) fn incomplete(operation: crate::aws::Operation, member: &str) -> Fault {
    Fault::new(operation, crate::aws::FaultClass::Server, format!("the reply has no {member}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::reconcile::plan::tag_resource;

    #[test]
    fn a_write_of_the_owner_tag_claims_the_object() {
        let tags = |key: &str| Tags([(key.to_owned(), "x".to_owned())].into());
        assert_eq!(claim_of(&tag_resource("arn", &tags(OWNER), String::new())), Some("arn"));
        assert_eq!(claim_of(&tag_resource("arn", &tags("team"), String::new())), None);
        let create = Write { operation: Operation::CreateService, request: json!({}), note: String::new() };
        assert_eq!(claim_of(&create), None);
    }
}
