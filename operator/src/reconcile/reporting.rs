//! Which events are published: each write, and each new problem; and what is not reported because
//! it may resolve in a moment.

use std::time::Duration;

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::shared::Status;

use super::context::Pass;
use super::kind::{Kind, Observed};
use super::outcome::Outcome;
use super::plan::{Obstacle, Write};
use crate::aws::ErrorKind;
use crate::clock;
use crate::k8s::annotations::is_asked;
use crate::k8s::conditions;
use crate::k8s::events::Notice;

/// Objects that are applied together need each other for a moment. A new one that waits, for
/// another one or for its turn to write, tells of it only when it waits for longer than this. The
/// same holds for a read that fails because AWS has an error or cannot be reached.
const ARRIVAL: Duration = Duration::from_secs(2);

/// How long AWS may throttle, or an object wait in the write queue, before an object with
/// conditions reports it.
const LASTS: Duration = Duration::from_secs(10);

/// The same for objects that are deleted together: the ones that keep an object from being deleted
/// may be deleted in a moment.
const TOGETHER: Duration = Duration::from_secs(5);

/// How long an object that is being deleted may wait for something that resolves without a user,
/// such as other deletions, before it reports that.
const LEAVING: Duration = Duration::from_secs(15);

/// How much longer an outcome is not reported, because it may resolve; `None` if it is reported
/// now.
pub(super) fn grace_period<K: Kind>(
    object: &K,
    pass: &Pass<'_, K::Observed>,
    observed: Option<&Observed<K::Observed>>,
    outcome: &Outcome,
) -> Option<Duration> {
    let (age, queued, failing) = pass.state(|state| (state.age(), state.queued(), state.failing()));
    if let Some(deleted) = &object.meta().deletion_timestamp {
        let ago = Duration::try_from(clock::now().duration_since(deleted.0)).unwrap_or(LEAVING);
        return match outcome {
            outcome if is_unread(outcome) => left(ARRIVAL, failing),
            // What is unfinished may wait for the status.
            Outcome::Queued(_) | Outcome::Waiting(Obstacle { passing: true, .. }) => {
                left(LEAVING, ago)
            }
            Outcome::Waiting(Obstacle {
                reason: Reason::DeletionBlocked,
                ..
            }) if observed.is_some() => left(TOGETHER, ago),
            _ => None,
        };
    }
    let is_told = object
        .status()
        .is_some_and(|status| !status.conditions().is_empty());
    let patience = if is_told { LASTS } else { ARRIVAL };
    match outcome {
        // The requested reconcile was made; the queued writes do not belong to it.
        Outcome::Queued(_) if is_asked(object) => None,
        // The generation is that of the status, so `kubectl wait` would accept the previous Ready.
        Outcome::Queued(_) if observed.is_some_and(|observed| observed.urgent) => None,
        Outcome::Queued(_) => left(patience, queued),
        Outcome::Failed(error) if error.kind == ErrorKind::Throttle => left(patience, failing),
        outcome if is_unread(outcome) => left(ARRIVAL, failing),
        Outcome::Waiting(Obstacle {
            reason: Reason::DependencyNotReady,
            ..
        }) if !is_told => left(ARRIVAL, age),
        _ => None,
    }
}

/// What is left of a grace period; `None` when it has ended.
fn left(period: Duration, passed: Duration) -> Option<Duration> {
    period.checked_sub(passed).filter(|left| !left.is_zero())
}

/// Whether a read failed in a way that may pass: AWS had an error or could not be reached.
fn is_unread(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed(error) if error.kind == ErrorKind::Server && !error.operation.is_write())
}

/// An event for a write that was sent.
pub(super) fn write_event(write: &Write) -> Notice {
    let name = write.operation.name();
    Notice {
        warning: false,
        reason: name.to_owned(),
        action: name.to_owned(),
        note: write.note.clone(),
    }
}

/// An event for a problem that the status did not report before.
pub(super) fn problem_event(before: &impl Status, after: &impl Status) -> Option<Notice> {
    let is = conditions::ready(after.conditions()).filter(|ready| ready.status == "False")?;
    let was = conditions::ready(before.conditions());
    let told = was.is_some_and(|was| {
        was.status == is.status && was.reason == is.reason && was.message == is.message
    });
    (!told).then(|| Notice::new(true, &is.reason, is.message.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grace_period_ends_at_its_last_instant() {
        let second = Duration::from_secs(1);
        assert_eq!(left(second, second / 4), Some(second * 3 / 4));
        assert_eq!(
            left(second, second),
            None,
            "an object would never be reported"
        );
        assert_eq!(left(second, 2 * second), None);
    }
}
