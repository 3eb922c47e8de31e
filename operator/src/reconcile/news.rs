//! What is worth telling: each write, and trouble that is new. And what is not: what passes by itself in a moment.

use std::time::Duration;

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::shared::Status;
use k8s_openapi::jiff::Timestamp;

use super::context::Pass;
use super::kind::{Kind, Observed};
use super::outcome::Outcome;
use super::plan::{Obstacle, Write};
use crate::aws::FaultClass;
use crate::k8s::annotations::is_asked;
use crate::k8s::conditions;
use crate::k8s::events::Notice;

/// Objects that are applied together need each other for a moment. A new one that waits, for another one or for its turn to write, tells
/// of it only when it waits for longer than this. The same holds for a read that fails because AWS has an error or cannot be reached.
const ARRIVAL: Duration = Duration::from_secs(2);

/// How long AWS may throttle, or an object wait for its turn to write, before that is worth telling of one that has told of itself before.
const LASTS: Duration = Duration::from_secs(10);

/// The same for objects that are deleted together: the ones that keep an object from being deleted may be deleted in a moment.
const TOGETHER: Duration = Duration::from_secs(5);

/// How long an object that is being deleted may wait for what passes by itself before that is worth telling: what it waits for is on its
/// way out, too.
const LEAVING: Duration = Duration::from_secs(15);

/// How much longer an outcome is not worth telling, because it may pass by itself; `None` where it is worth telling now.
pub(super) fn later<K: Kind>(
    object: &K,
    pass: &Pass<'_, K::Observed>,
    observed: Option<&Observed<K::Observed>>,
    outcome: &Outcome,
) -> Option<Duration> {
    let (age, queued, failing) = pass.memory(|memory| (memory.age(), memory.queued(), memory.failing()));
    if let Some(deleted) = &object.meta().deletion_timestamp {
        let ago = Duration::try_from(Timestamp::now().duration_since(deleted.0)).unwrap_or(LEAVING);
        return match outcome {
            outcome if is_unread(outcome) => ARRIVAL.checked_sub(failing),
            // What is unfinished may wait for the status.
            Outcome::Queued(_) | Outcome::Waiting(Obstacle { passing: true, .. }) => LEAVING.checked_sub(ago),
            Outcome::Waiting(Obstacle { reason: Reason::DeletionBlocked, .. }) if observed.is_some() => TOGETHER.checked_sub(ago),
            _ => None,
        };
    }
    let is_told = object.status().is_some_and(|status| !status.conditions().is_empty());
    let patience = if is_told { LASTS } else { ARRIVAL };
    match outcome {
        // The look that somebody asked for was made; what is left to write does not belong to it.
        Outcome::Queued(_) if is_asked(object) => None,
        // Its generation is still that of the status, so who waits for Ready would take what was there before for it.
        Outcome::Queued(_) if observed.is_some_and(|observed| observed.urgent) => None,
        Outcome::Queued(_) => patience.checked_sub(queued),
        Outcome::Failed(fault) if fault.class == FaultClass::Throttle => patience.checked_sub(failing),
        outcome if is_unread(outcome) => ARRIVAL.checked_sub(failing),
        Outcome::Waiting(Obstacle { reason: Reason::DependencyNotReady, .. }) if !is_told => ARRIVAL.checked_sub(age),
        _ => None,
    }
}

/// Whether a read failed in a way that may pass: AWS had an error or could not be reached.
fn is_unread(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed(fault) if fault.class == FaultClass::Server && !fault.operation.is_write())
}

/// An event for a write that was sent.
pub(super) fn written(write: &Write) -> Notice {
    let name = write.operation.name();
    Notice { warning: false, reason: name.to_owned(), action: name.to_owned(), note: write.note.clone() }
}

/// An event for trouble that the status did not tell of before.
pub(super) fn news(before: &impl Status, after: &impl Status) -> Option<Notice> {
    let is = conditions::ready(after.conditions()).filter(|ready| ready.status == "False")?;
    let was = conditions::ready(before.conditions());
    let told = was.is_some_and(|was| was.status == is.status && was.reason == is.reason && was.message == is.message);
    (!told).then(|| Notice::new(true, &is.reason, is.message.clone()))
}
