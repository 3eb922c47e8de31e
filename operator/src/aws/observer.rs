//! AWS as a second API server: a cache of what ECS holds, fed by batched reads, that tells who changed.
//!
//! A reconcile asks for an [`Answer`] and says how fresh it must be. What the cache has is answered at once; the rest
//! becomes demands that [`table`] reads together, up to the batch size of the API call. Everything that is watched is read
//! again in the background, and an object whose answer changed is woken. An unchanged answer costs nothing.

mod families;
mod kept;
mod read;
mod rollouts;
mod rounds;
mod table;
mod usage;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ecs_operator_crds::v1beta1::{EcsCluster, EcsService, EcsTaskDefinition};
use kube::runtime::reflector::ObjectRef;
use serde_json::Value;

use super::call::Reads;
use super::operation::ActionFamily;
use super::read_budget::Turn;
use super::{Calls, Fault};
pub use families::{AllRevisionsKey, FamilyKey};
pub(crate) use families::{family_of, listed};
pub(crate) use kept::{CONFIRMED, LAG};
pub use read::{Blockers, CapacityProviderKey, ClusterKey, ServiceKey, TaskDefinitionKey};
pub(crate) use read::{tagged, task_definition, written};
pub use rollouts::{ServiceDeploymentKey, ServiceRevisionKey, StoppedTasksKey};
use table::Table;
pub use table::Wake;
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

/// Where the observer sends what changed: one channel per kind.
#[derive(Debug, Clone)]
pub struct Wakes {
    /// Clusters.
    pub clusters: Wake<EcsCluster>,
    /// Task definitions.
    pub task_definitions: Wake<EcsTaskDefinition>,
    /// Services.
    pub services: Wake<EcsService>,
}

/// The side of one account and Region that reads.
#[derive(Debug)]
pub struct Observer {
    calls: Arc<Calls>,
    clusters: Table<ClusterKey>,
    capacity_providers: Table<CapacityProviderKey>,
    services: Table<ServiceKey>,
    task_definitions: Table<TaskDefinitionKey>,
    families: Table<FamilyKey>,
    all_revisions: Table<AllRevisionsKey>,
    service_deployments: Table<ServiceDeploymentKey>,
    service_revisions: Table<ServiceRevisionKey>,
    stopped_tasks: Table<StoppedTasksKey>,
    usage: usage::Cache,
}

impl Observer {
    /// Starts an observer; it ends when it is dropped.
    #[must_use]
    pub fn start(calls: &Arc<Calls>, sweep: Sweep, wakes: Wakes) -> Self {
        let revisions = Sweep { steady: sweep.task_definitions, ..sweep };
        Self {
            calls: Arc::clone(calls),
            clusters: Table::start(Arc::clone(calls), sweep, wakes.clusters.clone()),
            capacity_providers: Table::start(Arc::clone(calls), sweep, wakes.clusters),
            services: Table::start(Arc::clone(calls), sweep, wakes.services.clone()),
            service_deployments: Table::start(Arc::clone(calls), sweep, wakes.services.clone()),
            service_revisions: Table::start(Arc::clone(calls), sweep, wakes.services.clone()),
            stopped_tasks: Table::start(Arc::clone(calls), sweep, wakes.services),
            task_definitions: Table::start(Arc::clone(calls), revisions, wakes.task_definitions.clone()),
            families: Table::start(Arc::clone(calls), revisions, wakes.task_definitions.clone()),
            all_revisions: Table::start(Arc::clone(calls), revisions, wakes.task_definitions),
            usage: usage::Cache::default(),
        }
    }

    /// Clusters, by name.
    #[must_use]
    pub fn clusters(&self) -> &Table<ClusterKey> {
        &self.clusters
    }

    /// Capacity providers, by cluster and name. Nobody watches them.
    #[must_use]
    pub fn capacity_providers(&self) -> &Table<CapacityProviderKey> {
        &self.capacity_providers
    }

    /// Services, by cluster and name.
    #[must_use]
    pub fn services(&self) -> &Table<ServiceKey> {
        &self.services
    }

    /// Task definition revisions, by ARN.
    #[must_use]
    pub fn task_definitions(&self) -> &Table<TaskDefinitionKey> {
        &self.task_definitions
    }

    /// What lives in a cluster and keeps it from being deleted, for an object in `namespace`. Read at every call.
    ///
    /// # Errors
    /// When a read fails.
    pub async fn blockers(&self, cluster: &str, namespace: &str) -> Result<Blockers, Fault> {
        let reads = self.calls.later_reads(Turn::Of(vec![namespace.to_owned()]));
        read::blockers(&reads, cluster).await
    }

    /// ARNs of the newest ACTIVE revisions, by family.
    #[must_use]
    pub fn families(&self) -> &Table<FamilyKey> {
        &self.families
    }

    /// Service deployments, by ARN.
    #[must_use]
    pub fn service_deployments(&self) -> &Table<ServiceDeploymentKey> {
        &self.service_deployments
    }

    /// Service revisions, by ARN. They never change.
    #[must_use]
    pub fn service_revisions(&self) -> &Table<ServiceRevisionKey> {
        &self.service_revisions
    }

    /// Tasks that stopped lately, by service. Nobody watches them: they are asked for when something looks wrong.
    #[must_use]
    pub fn stopped_tasks(&self) -> &Table<StoppedTasksKey> {
        &self.stopped_tasks
    }

    /// How old the answers are that are kept fresh.
    #[must_use]
    pub fn ages(&self) -> Ages {
        Ages(vec![self.clusters.age(), self.services.age(), self.service_deployments.age(), self.task_definitions.age()])
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
        let watchers = self.services.hint(service);
        for watcher in &watchers {
            self.service_deployments.hint_of(watcher, |deployment| deployment.is_of(service));
        }
        !watchers.is_empty()
    }

    /// A service was seen to be missing or INACTIVE: it uses nothing any more, whatever was read before `at`.
    pub fn is_gone(&self, service: &ServiceKey, at: Instant) {
        self.usage.is_gone(service, at);
    }

    /// ARNs of all ACTIVE revisions, by family. Nobody watches them.
    #[must_use]
    pub fn all_revisions(&self) -> &Table<AllRevisionsKey> {
        &self.all_revisions
    }
}

/// A key of the cache that belongs to a kind of custom resource.
pub trait Key: Clone + fmt::Debug + fmt::Display + Eq + std::hash::Hash + Ord + Send + Sync + 'static {
    /// The kind that is woken when the answer changes.
    type Object: kube::runtime::reflector::Lookup<DynamicType = ()> + Clone + fmt::Debug + Send + Sync + 'static;

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

    /// Keys can share a call when this is equal.
    fn group(&self) -> &str;

    /// Reads `keys`, which are of one group and at most [`BATCH`](Self::BATCH). One answer per key, in the same order.
    fn read(reads: &Reads<'_>, keys: &[Self]) -> impl Future<Output = Vec<Result<Answer, Fault>>> + Send;
}

/// Tells how old the answers are that are kept fresh.
pub struct Ages(Vec<AgeOf>);

/// What answers are about, and the age of the oldest one.
type AgeOf = (&'static str, Box<dyn Fn() -> Option<Duration> + Send + Sync>);

impl Ages {
    /// The age of the oldest answer, by what it is about.
    #[must_use]
    pub fn oldest(&self) -> Vec<(&'static str, Duration)> {
        self.0.iter().filter_map(|(what, oldest)| Some((*what, oldest()?))).collect()
    }
}

impl fmt::Debug for Ages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.oldest()).finish()
    }
}

/// Names the custom resource that is woken when an answer changes.
pub type Watcher<K> = ObjectRef<<K as Key>::Object>;
