//! AWS as a second API server: a cache of what ECS holds, fed by batched reads, that tells who changed.
//!
//! A reconcile asks for an [`Answer`] and says how fresh it must be. What the cache has is answered at once; the rest
//! becomes demands that [`table`] reads together, up to the batch size of the API call. Everything that is watched is read
//! again in the background, and an object whose answer changed is woken. An unchanged answer costs nothing.

mod families;
mod kept;
mod polled;
mod read;
mod rollouts;
mod rounds;
mod table;
mod tables;
mod usage;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::call::Reads;
use super::operation::ActionFamily;
use super::read_budget::Turn;
use super::{Calls, Fault};
use crate::trigger::{ObjectId, Triggers};
pub use families::{AllRevisionsKey, FamilyKey};
pub(crate) use families::{family_of, listed};
pub(crate) use kept::{CONFIRMED, LAG};
pub use polled::PolledKey;
pub use read::{Blockers, CapacityProviderKey, ClusterKey, ServiceKey, TaskDefinitionKey};
pub(crate) use read::{tagged, task_definition, written};
pub use rollouts::{ServiceDeploymentKey, ServiceRevisionKey, StoppedTasksKey};
use table::Table;
use tables::Tables;
pub use usage::Usage;
pub(crate) use usage::{is_user, key_of, user};

/// What AWS says of one object. A failed read is an `Err`, and so is an object that the reply does not mention at all.
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
    /// The same for a look that a user asks for: an answer from before a write of the operator counts once two reads some seconds apart
    /// agree on it. Until then the answer is older than the moment.
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

/// How often the observer reads by itself.
#[derive(Clone, Copy, Debug)]
pub struct Sweep {
    /// While a deployment or deletion is under way.
    pub active: Duration,
    /// Clusters and services at rest.
    pub steady: Duration,
    /// Task definition revisions, which cannot change, only be deregistered.
    pub task_definitions: Duration,
}

/// The side of one account and Region that reads.
#[derive(Debug)]
pub struct Observer {
    calls: Arc<Calls>,
    sweep: Sweep,
    triggers: Triggers,
    tables: Arc<Tables>,
    usage: usage::Cache,
}

impl Observer {
    /// Starts an observer that triggers the objects whose answers change; it ends when it is dropped.
    #[must_use]
    pub fn start(calls: &Arc<Calls>, sweep: Sweep, triggers: Triggers) -> Self {
        Self { calls: Arc::clone(calls), sweep, triggers, tables: Arc::default(), usage: usage::Cache::default() }
    }

    /// The answers for one type of key.
    #[must_use]
    pub fn table<K: Key>(&self) -> Arc<Table<K>> {
        self.tables.get_or_start(|| {
            let sweep = Sweep { steady: K::steady(&self.sweep), ..self.sweep };
            Table::start(Arc::clone(&self.calls), sweep, self.triggers.clone())
        })
    }

    /// Polls `keys` for `watcher`, and nothing else that it had polled before.
    pub fn poll(&self, watcher: &ObjectId, keys: &[(PolledKey, Pace)]) {
        for (key, pace) in keys {
            key.poll(self, watcher, *pace);
        }
        let polled: Vec<_> = keys.iter().map(|(key, _)| key.table_type()).collect();
        self.tables.unwatch(watcher, &polled);
    }

    /// Forgets what the cache holds for `keys`, after a write whose outcome is unknown.
    pub fn invalidate<'a>(&self, keys: impl IntoIterator<Item = &'a PolledKey>) {
        for key in keys {
            key.invalidate(self);
        }
    }

    /// What lives in a cluster and keeps it from being deleted, for an object in `namespace`. Read at every call.
    ///
    /// # Errors
    /// When a read fails.
    pub async fn blockers(&self, cluster: &str, namespace: &str) -> Result<Blockers, Fault> {
        let reads = self.calls.later_reads(Turn::Of(vec![namespace.to_owned()]));
        read::blockers(&reads, cluster).await
    }

    /// How old the answers are that are kept fresh.
    #[must_use]
    pub fn ages(&self) -> Ages {
        Ages(Arc::clone(&self.tables))
    }

    /// Which services of the account and Region use which revisions, of others too; at most `age` old, and read once for all
    /// who ask together.
    ///
    /// # Errors
    /// When a read fails, and when it takes longer than `patience`: it goes on then, for who asks later.
    pub async fn usage(&self, age: Duration, patience: Duration) -> Result<Arc<Usage>, Fault> {
        self.usage.get(&self.calls, age, patience).await
    }

    /// The services that use a revision, `family:revision`, by the last answer of [`usage`](Self::usage), however old.
    #[must_use]
    pub fn last_users(&self, revision: &str) -> Vec<String> {
        self.usage.last_users(revision)
    }

    /// Something happened to a service: it is read again soon, with its service deployment. Answers whether anybody cares for it.
    #[must_use]
    pub fn hint(&self, service: &ServiceKey) -> bool {
        let watchers = self.table::<ServiceKey>().hint(service);
        let deployments = self.table::<ServiceDeploymentKey>();
        for watcher in &watchers {
            deployments.hint_of(watcher, |deployment| deployment.is_of(service));
        }
        !watchers.is_empty()
    }

    /// A service was seen to be missing or INACTIVE: it uses nothing any more, whatever was read before `at`.
    pub fn is_gone(&self, service: &ServiceKey, at: Instant) {
        self.usage.is_gone(service, at);
    }
}

/// A key of the cache: the name of an object in AWS, or of a list.
pub trait Key: Clone + fmt::Debug + fmt::Display + Eq + std::hash::Hash + Ord + Send + Sync + 'static {
    /// The quota that its reads draw on.
    const FAMILY: ActionFamily;

    /// Most keys that one call can read.
    const BATCH: usize;

    /// What it is a key of, in the plural, for metrics.
    const WHAT: &'static str;

    /// Whether a call with more keys, up to [`BATCH`](Self::BATCH), costs no more.
    const ROOM_IS_FREE: bool = true;

    /// How long an answer is kept that nobody watches or asks for.
    const UNWATCHED: Duration = Duration::from_secs(60);

    /// How often a key at rest is read.
    #[must_use]
    fn steady(sweep: &Sweep) -> Duration {
        sweep.steady
    }

    /// Keys can share a call when this is equal.
    fn group(&self) -> &str;

    /// Reads `keys`, which are of one group and at most [`BATCH`](Self::BATCH). One answer per key, in the same order.
    fn read(reads: &Reads<'_>, keys: &[Self]) -> impl Future<Output = Vec<Result<Answer, Fault>>> + Send;
}

/// Tells how old the answers are that are kept fresh.
#[derive(Debug)]
pub struct Ages(Arc<Tables>);

impl Ages {
    /// The age of the oldest answer, by what it is about.
    #[must_use]
    pub fn oldest(&self) -> Vec<(&'static str, Duration)> {
        self.0.ages()
    }
}
