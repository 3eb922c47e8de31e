//! What is worth telling: each write, and trouble that is new. And what is not: what passes by itself in a moment.

use std::time::Duration;

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::shared::Status;
use kube::ResourceExt;

use super::plan::{Obstacle, Outcome, Write};
use super::{Context, Kind};
use crate::aws::FaultClass;
use crate::k8s::conditions;
use crate::k8s::events::Notice;

/// Objects that are applied together need each other for a moment. A new one that waits for another tells of it only when it waits
/// for longer than this.
const ARRIVAL: Duration = Duration::from_secs(2);

/// After how many passes in a row that ended in trouble it is worth telling that AWS throttles: the last wait is a quarter of a minute.
const THROTTLES: u32 = 4;

/// How long an object may wait for its turn to write before that is worth telling.
const TURN: Duration = Duration::from_secs(10);

/// Whether an outcome is not worth telling: waiting for one's turn, or for what is being applied, or that AWS throttles for a moment.
pub(super) fn is_no_news<K: Kind>(object: &K, context: &Context, observed: Option<&K::Observed>, outcome: &Outcome) -> bool {
    let uid = object.uid().unwrap_or_default();
    match outcome {
        // Its generation is still that of the status, so who waits for Ready would take what was there before for it.
        Outcome::Queued(_) if object.is_commanded() || observed.is_some_and(|observed| object.is_led_on(observed)) => false,
        Outcome::Queued(_) => context.memories.with(&uid, |memory| memory.queued()) < TURN,
        Outcome::Failed(fault) if fault.class == FaultClass::Throttle => {
            context.memories.with(&uid, |memory| memory.failures()) < THROTTLES
        }
        outcome => arrives(object, context, outcome).is_some(),
    }
}

/// How much longer a new object may wait for another one before that is worth telling.
pub(super) fn arrives<K: Kind>(object: &K, context: &Context, outcome: &Outcome) -> Option<Duration> {
    let waits = matches!(outcome, Outcome::Waiting(Obstacle { reason: Reason::DependencyNotReady, .. }));
    let is_told = object.status().is_some_and(|status| !status.conditions().is_empty());
    if !waits || is_told || object.is_deleting() {
        return None;
    }
    let uid = object.uid().unwrap_or_default();
    ARRIVAL.checked_sub(context.memories.with(&uid, |memory| memory.age()))
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
