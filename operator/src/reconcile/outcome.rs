//! What came of a pass, and what the driver does about it: one table for the write queue, the pace
//! of polls and the next pass.

use std::time::Duration;

use ecs_operator_crds::condition::Reason;
use tokio::time::Instant;

use super::plan::{Obstacle, Plan, Write};
use crate::aws::observer::Pace;
use crate::aws::{AwsError, ErrorKind};
use crate::k8s::conditions::{State, Verdict};

/// First and longest wait.
pub(super) type Limits = (Duration, Duration);

/// For something that a watch or the observer reports: a safety net.
const WAIT: Limits = (Duration::from_secs(10), Duration::from_secs(60));

/// The same while a user waits: the object is being deleted, or its spec is new.
const WAIT_WATCHED: Limits = (Duration::from_secs(10), Duration::from_secs(10));

/// For what AWS lacks and another tool may be creating, while a user waits.
const DEPENDENCY_WATCHED: Limits = (Duration::from_secs(5), Duration::from_secs(10));

/// For a user to change something.
const STALL: Limits = (Duration::from_secs(10), Duration::from_secs(300));

/// Before the next of several steps.
const STEP: Limits = (Duration::from_millis(50), Duration::from_secs(30));

/// After a write that had no effect, or an error of the operator itself.
const NO_EFFECT: Limits = (Duration::from_secs(30), Duration::from_secs(900));

/// What came of a pass.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// AWS holds what the spec asks for; whether it also runs is for the kind to say.
    InSync,
    /// Writes were sent and more are needed.
    Unfinished,
    /// The budget is used up; this is the moment of the object's turn.
    Queued(Instant),
    /// As [`Plan::Wait`].
    Waiting(Obstacle),
    /// As [`Plan::Stall`].
    Stalled(Obstacle),
    /// A call failed.
    Failed(AwsError),
    /// AWS accepted these writes and still needs them.
    NoEffect(Vec<Write>),
    /// These writes are needed, and the spec does not let the operator send any.
    DryRun(Vec<Write>),
    /// The operator itself failed.
    InternalError(String),
    /// All AWS resources have been deleted.
    Gone,
    /// As [`Plan::Left`].
    Left(String),
}

impl Outcome {
    /// The outcome as a metric label.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::InSync => "in_sync",
            Self::Unfinished => "unfinished",
            Self::Queued(_) => "queued",
            Self::Waiting(_) => "waiting",
            Self::Stalled(_) => "stalled",
            Self::Failed(_) => "failed",
            Self::NoEffect(_) => "no_effect",
            Self::DryRun(_) => "dry_run",
            Self::InternalError(_) => "internal_error",
            Self::Gone => "gone",
            Self::Left(_) => "left",
        }
    }

    /// Whether the AWS object has another owner.
    #[must_use]
    pub fn is_owned_by_other(&self) -> bool {
        matches!(self, Self::Stalled(obstacle) if Reason::ANOTHERS.contains(&obstacle.reason))
    }

    /// Whether AWS has accepted all of the spec, but for what an obstacle names.
    #[must_use]
    pub fn has_sent_all(&self) -> bool {
        match self {
            Self::InSync => true,
            Self::Waiting(obstacle) | Self::Stalled(obstacle) => obstacle.all_else_sent,
            _ => false,
        }
    }

    /// Whether the object waits for another one.
    pub(super) fn lacks_dependency(&self) -> bool {
        matches!(self, Self::Waiting(obstacle) if obstacle.reason == Reason::DependencyNotReady)
    }

    /// Whether later passes send what this one has not sent, without a change of the spec.
    #[must_use]
    pub fn is_to_continue(&self) -> bool {
        match self {
            Self::Queued(_) | Self::Unfinished | Self::Waiting(_) => true,
            Self::Failed(error) => !error.kind.stalls(),
            _ => false,
        }
    }

    /// What the conditions say of it; `None` where AWS is in sync and the kind must look at what
    /// runs.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        let (state, reason, message) = match self {
            Self::InSync => return None,
            Self::Unfinished => (
                State::Progressing,
                Reason::Progressing,
                "Updating AWS to match the spec".to_owned(),
            ),
            Self::Queued(_) => {
                let message =
                    "Waiting for API quota; the change is sent when the turn of this object comes";
                (State::Progressing, Reason::Progressing, message.to_owned())
            }
            Self::Waiting(Obstacle {
                reason,
                message,
                passing,
                all_else_sent: _,
            }) => {
                let state = if *passing {
                    State::Progressing
                } else {
                    State::Waiting
                };
                (state, *reason, message.clone())
            }
            Self::Stalled(Obstacle {
                reason,
                message,
                passing: _,
                all_else_sent: _,
            }) => (State::Stalled, *reason, message.clone()),
            Self::Failed(error) => {
                let state = if error.kind.stalls() {
                    State::Stalled
                } else {
                    State::Waiting
                };
                (state, error.kind.reason(), error.to_string())
            }
            Self::NoEffect(writes) => {
                let notes: Vec<_> = writes.iter().map(|write| write.note.as_str()).collect();
                let message = format!(
                    "AWS accepted this change and still shows the old value: {}",
                    notes.join("; ")
                );
                (State::Waiting, Reason::DriftPersists, message)
            }
            Self::DryRun(writes) => {
                let changes: Vec<_> = writes.iter().map(Write::pending).collect();
                let message = format!(
                    "managementPolicy is Observe; Full would send {}",
                    changes.join("; ")
                );
                (State::Stalled, Reason::Observing, message)
            }
            Self::InternalError(message) => {
                (State::Waiting, Reason::InternalError, message.clone())
            }
            Self::Gone => (
                State::Progressing,
                Reason::Deleting,
                "All AWS resources have been deleted".to_owned(),
            ),
            Self::Left(message) => (State::Progressing, Reason::Deleting, message.clone()),
        };
        Some(Verdict::new(state, reason, message))
    }
}

impl From<Plan> for Outcome {
    fn from(plan: Plan) -> Self {
        match plan {
            Plan::InSync => Self::InSync,
            Plan::Write(_) => Self::Unfinished,
            Plan::Wait(obstacle) => Self::Waiting(obstacle),
            Plan::Stall(obstacle) => Self::Stalled(obstacle),
            Plan::Gone => Self::Gone,
            Plan::Left(message) => Self::Left(message),
        }
    }
}

/// What the driver does after a pass.
#[derive(Debug, PartialEq)]
pub(super) struct Policy {
    /// The object's place in the write queue.
    pub(super) place: Place,
    /// How often AWS is polled while the object is not Ready.
    pub(super) pace: Pace,
    /// When the next pass comes, if nothing triggers the object before.
    pub(super) requeue: Requeue,
    /// Whether the planned writes are held off until then, whatever triggers the object.
    pub(super) holds_off: bool,
}

/// What becomes of an object's place in the write queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It waits in the queue.
    Queued,
    /// It keeps the place that it has, if it has one.
    Kept,
    /// It has nothing to write.
    Released,
}

/// When the next pass comes. Each counts its tries on its own, so that waiting does not lengthen
/// the wait after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Requeue {
    /// As [`Kind::requeue_after`](super::Kind::requeue_after) says. Resets all counters.
    Settled,
    /// As [`Kind::requeue_after`](super::Kind::requeue_after) says.
    Unsettled,
    /// At this moment.
    At(Instant),
    /// When the next step is due.
    Step(Limits),
    /// When it may have what it waits for.
    Wait(Limits),
    /// When it is worth another try.
    Failure(Limits),
}

impl Outcome {
    /// What the driver does after a pass with this outcome. `is_watched` says whether a user waits:
    /// the object is being deleted, or its spec is new.
    pub(super) fn policy(&self, is_watched: bool) -> Policy {
        let policy = |place, pace, requeue| Policy {
            place,
            pace,
            requeue,
            holds_off: false,
        };
        match self {
            Self::InSync | Self::Gone | Self::Left(_) => {
                policy(Place::Released, Pace::Active, Requeue::Settled)
            }
            Self::Unfinished => policy(Place::Kept, Pace::Active, Requeue::Step(STEP)),
            Self::Queued(turn) => policy(Place::Queued, Pace::Steady, Requeue::At(*turn)),
            Self::Waiting(Obstacle {
                reason,
                message: _,
                passing: _,
                all_else_sent: _,
            }) => {
                // What another object here lacks does not show in AWS.
                let pace = if *reason == Reason::DependencyNotReady {
                    Pace::Steady
                } else {
                    Pace::Active
                };
                policy(
                    Place::Released,
                    pace,
                    Requeue::Wait(if is_watched { WAIT_WATCHED } else { WAIT }),
                )
            }
            Self::Stalled(Obstacle {
                reason,
                message: _,
                passing: _,
                all_else_sent: _,
            }) => {
                // Not everything that brings an image shows in what is polled.
                let limits = if *reason == Reason::ImageNotFound {
                    WAIT
                } else {
                    STALL
                };
                policy(Place::Released, Pace::Steady, Requeue::Wait(limits))
            }
            Self::Failed(AwsError {
                operation: _,
                kind,
                code: _,
                message: _,
            }) => {
                let limits = match kind {
                    ErrorKind::DependencyNotReady if is_watched => DEPENDENCY_WATCHED,
                    kind => kind.backoff(),
                };
                let pace = if kind.stalls() {
                    Pace::Steady
                } else {
                    Pace::Active
                };
                Policy {
                    holds_off: true,
                    ..policy(Place::Kept, pace, Requeue::Failure(limits))
                }
            }
            Self::NoEffect(_) => Policy {
                holds_off: true,
                ..policy(Place::Kept, Pace::Active, Requeue::Failure(NO_EFFECT))
            },
            Self::DryRun(_) => policy(Place::Released, Pace::Steady, Requeue::Unsettled),
            Self::InternalError(_) => {
                policy(Place::Kept, Pace::Active, Requeue::Failure(NO_EFFECT))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Place::{Kept, Queued, Released};
    use super::*;
    use crate::aws::ecs;
    use crate::aws::observer::Pace::{Active, Steady};

    /// What each outcome means for the write queue, the pace of polls and the next pass.
    #[test]
    #[allow(clippy::too_many_lines, reason = "a table")]
    fn decides_what_the_driver_does_next() {
        let obstacle = |reason| Obstacle {
            reason,
            message: String::new(),
            passing: false,
            all_else_sent: false,
        };
        let failed = |kind| Outcome::Failed(AwsError::new(ecs::DescribeClusters, kind, "no reply"));
        let turn = Instant::now();
        let (quick, slow) = (
            (Duration::from_secs(1), Duration::from_secs(60)),
            (Duration::from_secs(600), Duration::from_secs(3600)),
        );
        let rows = [
            (Outcome::InSync, Released, Active, Requeue::Settled, false),
            (
                Outcome::Unfinished,
                Kept,
                Active,
                Requeue::Step(STEP),
                false,
            ),
            (
                Outcome::Queued(turn),
                Queued,
                Steady,
                Requeue::At(turn),
                false,
            ),
            (
                Outcome::Waiting(obstacle(Reason::Busy)),
                Released,
                Active,
                Requeue::Wait(WAIT),
                false,
            ),
            (
                Outcome::Waiting(obstacle(Reason::DependencyNotReady)),
                Released,
                Steady,
                Requeue::Wait(WAIT),
                false,
            ),
            (
                Outcome::Stalled(obstacle(Reason::InvalidSpec)),
                Released,
                Steady,
                Requeue::Wait(STALL),
                false,
            ),
            (
                Outcome::Stalled(obstacle(Reason::ImageNotFound)),
                Released,
                Steady,
                Requeue::Wait(WAIT),
                false,
            ),
            (
                failed(ErrorKind::Throttle),
                Kept,
                Active,
                Requeue::Failure(quick),
                true,
            ),
            (
                failed(ErrorKind::Terminal),
                Kept,
                Steady,
                Requeue::Failure(slow),
                true,
            ),
            (
                Outcome::NoEffect(Vec::new()),
                Kept,
                Active,
                Requeue::Failure(NO_EFFECT),
                true,
            ),
            (
                Outcome::DryRun(Vec::new()),
                Released,
                Steady,
                Requeue::Unsettled,
                false,
            ),
            (
                Outcome::InternalError(String::new()),
                Kept,
                Active,
                Requeue::Failure(NO_EFFECT),
                false,
            ),
            (Outcome::Gone, Released, Active, Requeue::Settled, false),
            (
                Outcome::Left(String::new()),
                Released,
                Active,
                Requeue::Settled,
                false,
            ),
        ];
        for (outcome, place, pace, requeue, holds_off) in rows {
            assert_eq!(
                outcome.policy(false),
                Policy {
                    place,
                    pace,
                    requeue,
                    holds_off
                },
                "{outcome:?}"
            );
        }
        // While a user waits, the next look is at most ten seconds away.
        let watched = |outcome: Outcome| outcome.policy(true).requeue;
        assert_eq!(
            watched(Outcome::Waiting(obstacle(Reason::Busy))),
            Requeue::Wait(WAIT_WATCHED)
        );
        assert_eq!(
            watched(failed(ErrorKind::DependencyNotReady)),
            Requeue::Failure(DEPENDENCY_WATCHED)
        );
        assert!(WAIT_WATCHED.1.max(DEPENDENCY_WATCHED.1) <= Duration::from_secs(10));
    }
}
