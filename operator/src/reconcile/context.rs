//! What every pass needs: the parts that all passes share, and those of one pass.

use std::sync::{Arc, Mutex, PoisonError};

use kube::ResourceExt;
use tokio::time::Instant;

use super::claims::Claims;
use super::cluster_rule::ClusterRule;
use super::object_state::{ObjectState, ObjectStates};
use super::plan::Write;
use super::stores::Stores;
use crate::aws::account::{Accounts, Aws};
use crate::aws::observer::{Key, PolledKey};
use crate::aws::tags::Owner;
use crate::k8s::events::Events;
use crate::k8s::object::Object;
use crate::metrics::Metrics;
use crate::readiness::Readiness;

/// What all passes share.
pub struct Context {
    /// Client of the API server.
    pub client: kube::Client,
    /// Identity of the Kubernetes cluster, part of every ownership tag.
    pub cluster_id: String,
    /// Identities of Kubernetes clusters that no longer exist and whose objects live on in this
    /// one.
    pub former_clusters: Vec<String>,
    /// Which namespaces may use which ECS clusters.
    pub allowed_clusters: Vec<ClusterRule>,
    /// What the watches see.
    pub stores: Stores,
    /// The accounts and Regions that objects live in.
    pub accounts: Accounts,
    /// What the probes report.
    pub readiness: Arc<Readiness>,
    /// Publishes events.
    pub events: Events,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// The state of each object between two passes.
    pub states: ObjectStates,
    /// Which objects are creating which AWS objects.
    pub claims: Claims,
}

impl Context {
    /// The owner that AWS objects of `object` carry in their tag.
    #[must_use]
    pub fn owner<K: Object>(&self, object: &K) -> Owner {
        Owner {
            cluster_id: self.cluster_id.clone(),
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            uid: object.uid().unwrap_or_default(),
            former_clusters: self.former_clusters.clone(),
        }
    }
}

/// One pass over one object of a kind that observes `O`.
pub struct Pass<'a, O> {
    /// What all passes share.
    pub context: &'a Context,
    /// The account and Region of the object.
    pub aws: Arc<Aws>,
    /// The owner that AWS objects of the object carry in their tag; also its namespace, name and
    /// UID.
    pub owner: Owner,
    /// When the pass began.
    pub began: Instant,
    /// What the last write of the pass left, for the read after it.
    pub applied: Option<&'a O>,
    /// What to poll when the pass cannot read AWS.
    fallback: Mutex<Vec<PolledKey>>,
    /// The writes that the pass sends, for the case that it breaks off.
    sending: Mutex<Sending>,
}

/// The writes of a pass.
#[derive(Clone, Debug, Default)]
pub(super) struct Sending {
    /// All of them, in their order.
    pub(super) writes: Vec<Write>,
    /// How many of them, from the first on, AWS has accepted.
    pub(super) accepted: usize,
}

impl<'a, O> Pass<'a, O> {
    /// Begins a pass over `object`.
    #[must_use]
    pub fn new<K: Object>(object: &K, context: &'a Context) -> Self {
        let aws = Arc::clone(context.accounts.default_scope());
        let owner = context.owner(object);
        let (fallback, sending) = (Mutex::default(), Mutex::default());
        Self {
            context,
            aws,
            owner,
            began: Instant::now(),
            applied: None,
            fallback,
            sending,
        }
    }

    /// The same pass, after a write that left `applied`.
    #[must_use]
    pub fn after<'b>(&'b self, applied: &'b O) -> Pass<'b, O> {
        let (aws, owner) = (Arc::clone(&self.aws), self.owner.clone());
        let (fallback, sending) = (Mutex::default(), Mutex::default());
        Pass {
            context: self.context,
            aws,
            owner,
            began: self.began,
            applied: Some(applied),
            fallback,
            sending,
        }
    }

    /// Names a key to poll when this pass cannot read AWS, so that a change there triggers the
    /// object. Called by a kind before it reads.
    pub fn polls<K: Key>(&self, key: K) {
        self.fallback
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(PolledKey::new(key));
    }

    /// What to poll when the pass could not read AWS; empty when it did not try.
    pub(super) fn fallback(&self) -> Vec<PolledKey> {
        self.fallback
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Works with the record of the writes that the pass sends.
    pub(super) fn sending<T>(&self, work: impl FnOnce(&mut Sending) -> T) -> T {
        work(&mut self.sending.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Namespace of the object, which takes turns with others to read and write; empty for a
    /// cluster-scoped object.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.owner.namespace
    }

    /// UID of the object.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.owner.uid
    }

    /// Works with the state of the object between two passes.
    pub(crate) fn state<T>(&self, work: impl FnOnce(&mut ObjectState) -> T) -> T {
        self.context.states.with(&self.owner.uid, work)
    }
}
