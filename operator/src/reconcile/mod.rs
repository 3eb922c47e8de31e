//! The one generic driver: observe → plan → apply → status, for every kind.
//!
//! A kind has five doors. `observe` and `apply` talk to AWS, `plan` and `status` are pure functions, `mod` joins them to
//! [`Kind`]. The driver does all the rest: finalizer, timing, backoff, events, the one status write.

pub mod allowance;
mod claims;
pub mod cluster;
mod conclude;
mod driver;
pub mod ignore;
mod memory;
mod news;
mod permits;
pub mod plan;
pub mod queue;
pub mod references;
pub mod reset;
pub mod service;
mod stores;
pub mod task_definition;
pub mod users;

use std::fmt::Debug;
use std::time::{Duration, Instant};

use ecs_operator_crds::v1beta1::shared::{Policies, Spec, Status};
use ecs_operator_crds::{FLUX_REQUESTED_AT, RECONCILE_AT};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::jiff::Timestamp;
use kube::core::object::{HasSpec, HasStatus};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::aws::observer::Pace;
use crate::aws::tags::Owner;
use crate::aws::{Aws, Fault, Freshness, Permit};
use crate::http::Readiness;
use crate::k8s::conditions::echo;
use crate::k8s::events::{Events, Notice};
use crate::metrics::Metrics;
use allowance::ClusterRule;
pub use claims::Claims;
pub use driver::reconcile;
pub use memory::Memories;
use plan::{Outcome, Plan, Write};
pub use stores::{Missing, Off, Stores};

/// What every reconcile needs.
pub struct Context {
    /// Client of the API server.
    pub client: kube::Client,
    /// Identity of the Kubernetes cluster, part of every ownership tag.
    pub cluster_id: String,
    /// Kubernetes clusters that are no more and whose objects live on in this one.
    pub former_clusters: Vec<String>,
    /// Which namespaces may use which ECS clusters.
    pub allowed_clusters: Vec<ClusterRule>,
    /// What the watches see.
    pub stores: Stores,
    /// The account and Region that objects live in.
    pub aws: Aws,
    /// What the probes answer from.
    pub readiness: std::sync::Arc<Readiness>,
    /// Publishes events.
    pub events: Events,
    /// Counters.
    pub metrics: std::sync::Arc<Metrics>,
    /// What is remembered of each object between two passes.
    pub memories: Memories,
    /// Which objects are making which AWS objects.
    pub claims: Claims,
}

impl Context {
    /// The owner that AWS objects of `object` carry in their tag.
    #[must_use]
    pub fn owner<K: Kind>(&self, object: &K) -> Owner {
        Owner {
            cluster_id: self.cluster_id.clone(),
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            uid: object.uid().unwrap_or_default(),
            former_clusters: self.former_clusters.clone(),
        }
    }
}

/// The look at AWS that somebody asks for by annotation; where both annotations stand, one after the other.
pub fn requested(object: &impl ResourceExt) -> Option<String> {
    let annotations = object.annotations();
    let asked: Vec<_> = [RECONCILE_AT, FLUX_REQUESTED_AT].into_iter().filter_map(|name| annotations.get(name)).collect();
    (!asked.is_empty()).then(|| asked.into_iter().map(|value| echo(value)).collect::<Vec<_>>().join(","))
}

/// Whether an annotation asks for a look that the status has not answered yet.
pub(crate) fn is_asked<K: Kind>(object: &K) -> bool {
    let mut status = object.status().cloned().unwrap_or_default();
    requested(object).is_some_and(|request| status.last_handled_reconcile_at().as_ref() != Some(&request))
}

/// A kind of custom resource, as the driver sees it.
pub trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + HasSpec<Spec: Spec>
    + HasStatus<Status: Status + Clone + Debug + Default + PartialEq + Serialize + Send + Sync>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// Members of the spec that say which AWS object it is.
    const IDENTITY: &'static [&'static str];

    /// What the first door finds: everything the middle two decide from.
    type Observed: Send + Sync;

    /// Where the watch of this kind keeps what it sees.
    fn store(stores: &Stores) -> &Store<Self>;

    /// What a reference to it resolves to, beside what its name and its conditions say.
    fn offers(_status: &Self::Status) -> Option<&str> {
        None
    }

    /// First door: looks at AWS and at what the object refers to.
    fn observe(&self, context: &Context, freshness: Freshness) -> impl Future<Output = Result<Self::Observed, Fault>> + Send;

    /// When AWS was looked at; `None` where no look was needed.
    fn observed_at(observed: &Self::Observed) -> Option<Instant>;

    /// Whether AWS may not show yet what a call of ours has made that got no reply.
    fn is_unanswered(_observed: &Self::Observed) -> bool {
        false
    }

    /// Second door: what has to be done. Pure and total.
    fn plan(&self, observed: &Self::Observed, owner: &Owner) -> Plan;

    /// Third door: sends one write and answers what is known after it.
    fn apply(
        &self,
        context: &Context,
        observed: &Self::Observed,
        write: &Write,
        permit: Permit,
    ) -> impl Future<Output = Result<Self::Observed, Fault>> + Send;

    /// Fourth door: the status after a pass. Pure.
    fn status_after(&self, observed: Option<&Self::Observed>, outcome: &Outcome, now: Timestamp) -> Self::Status;

    /// Remembers in the status what AWS has accepted of the spec, and what it may have accepted by a write without a reply, although the
    /// pass as a whole did not come to its end: a member that the spec drops after that has to be set back.
    fn remember(&self, _status: &mut Self::Status, _accepted: &[Write], _unanswered: Option<&Write>) {}

    /// Has the observer look after the AWS object at this pace, or with `None` forget it.
    fn watch(&self, context: &Context, observed: Option<&Self::Observed>, pace: Option<Pace>);

    /// When there is something to do although nothing happens, counted from `now`: a deadline passes, or work is left.
    fn look_again(&self, _observed: Option<&Self::Observed>, _status: &Self::Status, _now: Timestamp) -> Option<Duration> {
        None
    }

    /// Whether AWS is looked at as often as during a change although the object is Ready: the change has only just ended.
    fn settles(_status: &Self::Status, _now: Timestamp) -> bool {
        false
    }

    /// Whether the object asks for something that can only be answered once, and so by a fresh look.
    fn is_commanded(&self) -> bool {
        false
    }

    /// Whether what it refers to asks for something else than its status speaks of.
    fn is_led_on(&self, _observed: &Self::Observed) -> bool {
        false
    }

    /// Takes over what a pass has done into a later look of the same pass.
    fn carry_over(_from: &Self::Observed, _to: &mut Self::Observed) {}

    /// What is worth an event between two statuses, beside a Ready condition that turns bad, which the driver tells.
    fn notices(&self, _before: &Self::Status, _after: &Self::Status) -> Vec<Notice> {
        Vec::new()
    }

    /// Forgets what the cache says of the AWS object, after a write whose outcome is not known.
    fn invalidate(&self, context: &Context, observed: &Self::Observed);

    /// Name of the ECS cluster that the object is, or lives in.
    fn cluster_in_ecs(&self, _stores: &Stores) -> Option<String> {
        None
    }

    /// The ARNs of ECS objects that the spec refers to, and the members that have them. They must be of the operator's account and Region.
    fn arns(&self) -> Vec<(&'static str, &str)> {
        Vec::new()
    }

    /// What the operator may do with the AWS object.
    fn policies(&self) -> &Policies {
        self.spec().policies()
    }

    /// Whether the object is being deleted.
    fn is_deleting(&self) -> bool {
        self.meta().deletion_timestamp.is_some()
    }
}

/// Whether the object is still the one that the watch shows. Somebody may have taken its finalizer off while the pass was under way.
fn is_there<K: Kind>(object: &K, context: &Context) -> bool {
    K::store(&context.stores).get(&ObjectRef::from_obj(object)).is_some_and(|seen| seen.uid() == object.uid())
}

/// Forgets an object that is gone, however that came about.
pub fn forget<K: Kind>(object: &K, context: &Context) {
    let uid = object.uid().unwrap_or_default();
    object.watch(context, None, None);
    context.aws.writer.withdraw(&object.namespace().unwrap_or_default(), &uid);
    context.claims.forget(&uid);
    context.memories.forget(&uid);
}
