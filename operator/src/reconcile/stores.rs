//! The objects that the watches see, and the kinds that cannot be read.

use std::collections::BTreeMap;
use std::sync::Arc;

use ecs_operator_crds::v1beta1::{EcsCluster, EcsService, EcsTaskDefinition};
use kube::runtime::reflector::Store;
use tokio::sync::watch;

use super::Kind;

/// The objects that the watches see, pruned.
#[derive(Clone, Debug)]
pub struct Stores {
    /// EcsClusters.
    pub clusters: Store<EcsCluster>,
    /// EcsTaskDefinitions.
    pub task_definitions: Store<EcsTaskDefinition>,
    /// EcsServices.
    pub services: Store<EcsService>,
    /// Kinds that are off.
    pub off: Off,
}

/// What is missing for a kind to be looked after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The same in words.
    pub words: String,
    /// Whether its definition is there, and so perhaps objects that cannot be read.
    pub is_installed: bool,
}

/// Kinds that the operator does not look after, because their definition or its rights are missing, and why. The others work all the
/// same; what refers to an object of such a kind waits.
#[derive(Clone, Debug, Default)]
pub struct Off(Arc<watch::Sender<BTreeMap<String, Missing>>>);

impl Off {
    /// Sets why a kind is off; `None` when it is on.
    pub fn set<K: Kind>(&self, why: Option<Missing>) {
        let plural = K::plural(&()).into_owned();
        self.0.send_modify(|kinds| {
            match why {
                Some(why) => kinds.insert(plural, why),
                None => kinds.remove(&plural),
            };
        });
    }

    /// Why a kind is off; `None` when it is on.
    #[must_use]
    pub fn why<K: Kind>(&self) -> Option<Missing> {
        self.0.borrow().get(&*K::plural(&())).cloned()
    }

    /// Awaits that a kind is off.
    async fn until<K: Kind>(&self) {
        // The sender is in `self`, so it is never gone.
        let _ = self.0.subscribe().wait_for(|kinds| kinds.contains_key(&*K::plural(&()))).await;
    }
}

impl Stores {
    /// Waits until every watch has seen all there is, but for the kinds that are off.
    pub async fn loaded(&self) {
        tokio::join!(self.known(&self.clusters), self.known(&self.task_definitions), self.known(&self.services));
    }

    async fn known<K: Kind>(&self, store: &Store<K>) {
        tokio::select! {
            // An error means that a watch has ended, and then so does the operator.
            _ = store.wait_until_ready() => {}
            () = self.off.until::<K>() => {}
        }
    }
}
