//! What the observer is asked for, and what it answers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::aws::call::Reads;
use crate::aws::error::AwsError;
use crate::aws::operation::Operation;

/// What AWS says of one object. A failed read is an `Err`, and so is an object that the reply does
/// not mention at all.
#[derive(Clone, PartialEq)]
pub enum Answer {
    /// It exists; the members that the API describes.
    Found(Arc<Value>),
    /// It was deleted and is still described for a while. Its name is free.
    Inactive,
    /// It does not exist.
    Missing,
}

/// The JSON of an answer can hold values of environment variables, so it is never printed.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Found(_) => "Found",
            Self::Inactive => "Inactive",
            Self::Missing => "Missing",
        })
    }
}

/// An answer and when it was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// When the read began. What it says was true at some moment after that.
    pub at: Instant,
    /// The answer.
    pub answer: Answer,
}

/// How fresh an answer must be.
#[derive(Clone, Copy, Debug)]
pub enum Freshness {
    /// The cache will do.
    Any,
    /// Read after this moment.
    Since(Instant),
    /// The same for a look that a user asks for: an answer from before a write of the operator
    /// counts once two reads some seconds apart agree on it. Until then the answer is older than
    /// the moment.
    Confirmed(Instant),
}

/// How often something that is watched is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// A change is under way.
    Active,
    /// Nothing is expected to happen.
    Steady,
}

/// Polling intervals.
#[derive(Clone, Copy, Debug)]
pub struct Sweep {
    /// While a deployment or deletion is under way.
    pub active: Duration,
    /// Clusters and services at rest.
    pub steady: Duration,
    /// Task definition revisions, which cannot change, only be deregistered.
    pub task_definitions: Duration,
}

/// A key of the cache: the name of an object in AWS, or of a list.
pub trait Key:
    Clone + fmt::Debug + fmt::Display + Eq + std::hash::Hash + Ord + Send + Sync + 'static
{
    /// The call that reads it. Its quota limits the reads.
    const OPERATION: Operation;

    /// Most keys that one call can read.
    const BATCH: usize;

    /// What it is a key of, in the plural, for metrics.
    const WHAT: &'static str;

    /// Whether a call with more keys, up to [`BATCH`](Self::BATCH), has the same cost.
    const ROOM_IS_FREE: bool = true;

    /// How long an answer without watchers and requests is kept.
    const UNWATCHED: Duration = Duration::from_secs(60);

    /// How often a key at rest is read.
    #[must_use]
    fn steady(sweep: &Sweep) -> Duration {
        sweep.steady
    }

    /// Keys can share a call when this is equal.
    fn group(&self) -> &str;

    /// Reads `keys`, which are of one group and at most [`BATCH`](Self::BATCH). One answer per key,
    /// in the same order.
    fn read(
        reads: &Reads<'_>,
        keys: &[Self],
    ) -> impl Future<Output = Vec<Result<Answer, AwsError>>> + Send;
}
