//! The objects that the watches see, of all kinds.

use std::any::{Any, TypeId};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use ecs_operator_crds::v1beta1::shared::Status;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use kube::runtime::reflector::Store;

use super::index::Index;
use crate::k8s::availability::{Availability, Unavailable};
use crate::k8s::conditions;
use crate::k8s::object::Object;
use crate::metrics::{Gauge, Metrics};
use crate::trigger::ObjectId;

/// The objects that the watches see, pruned; cheap to clone.
#[derive(Clone, Default)]
pub struct Stores {
    by_type: Arc<HashMap<TypeId, Box<dyn AnyStore>>>,
    /// Which object refers to which.
    pub references: Arc<Index>,
    /// Kinds that cannot be read.
    pub availability: Availability,
}

/// Status and reason of a Ready condition.
pub type Ready = (String, String);

/// What the stores of all kinds can do, whatever the type of their objects.
trait AnyStore: Any + Send + Sync {
    fn kind(&self) -> Cow<'static, str>;
    fn refers_to(&self, kind: &str) -> bool;
    fn is_available(&self, availability: &Availability) -> bool;
    fn why_unavailable(&self, availability: &Availability, namespace: &str) -> Option<Unavailable>;
    fn loaded<'a>(
        &'a self,
        references: &'a Index,
        availability: &'a Availability,
    ) -> BoxFuture<'a, ()>;
    fn is_deleting(&self, object: &ObjectId) -> bool;
    fn deleting(&self) -> Vec<ObjectId>;
    fn ready(&self) -> BTreeMap<Ready, u32>;
}

/// The store of one kind, and the kinds that its objects may refer to.
struct OfKind<K: Object> {
    store: Store<K>,
    refers_to: &'static [&'static str],
}

impl<K: Object> AnyStore for OfKind<K> {
    fn kind(&self) -> Cow<'static, str> {
        K::kind(&())
    }

    fn refers_to(&self, kind: &str) -> bool {
        self.refers_to.contains(&kind)
    }

    fn is_available(&self, availability: &Availability) -> bool {
        availability.why::<K>().is_none()
    }

    fn why_unavailable(&self, availability: &Availability, namespace: &str) -> Option<Unavailable> {
        availability.why_in::<K>(namespace)
    }

    fn loaded<'a>(
        &'a self,
        references: &'a Index,
        availability: &'a Availability,
    ) -> BoxFuture<'a, ()> {
        async move {
            let kind = K::kind(&());
            tokio::select! {
                () = references.until_complete(&kind) => {}
                () = availability.until::<K>() => {}
            }
        }
        .boxed()
    }

    fn is_deleting(&self, object: &ObjectId) -> bool {
        self.store
            .get(&object.object_ref())
            .is_some_and(|object| K::is_deleting(&object))
    }

    fn deleting(&self) -> Vec<ObjectId> {
        self.store
            .state()
            .iter()
            .filter(|object| K::is_deleting(object))
            .map(|object| ObjectId::of(&**object))
            .collect()
    }

    fn ready(&self) -> BTreeMap<Ready, u32> {
        let mut counts = BTreeMap::new();
        for object in self.store.state() {
            let ready = object
                .status()
                .and_then(|status| conditions::ready(status.conditions()));
            let (status, reason) = ready.map_or(("Unknown", ""), |ready| {
                (ready.status.as_str(), ready.reason.as_str())
            });
            *counts
                .entry((status.to_owned(), reason.to_owned()))
                .or_default() += 1;
        }
        counts
    }
}

/// Collects the stores of all kinds.
#[derive(Default)]
pub struct Builder(HashMap<TypeId, Box<dyn AnyStore>>);

impl Builder {
    /// Adds the store of a kind whose objects may refer to objects of these kinds.
    pub fn add<K: Object>(&mut self, store: Store<K>, refers_to: &'static [&'static str]) {
        self.0
            .insert(TypeId::of::<K>(), Box::new(OfKind { store, refers_to }));
    }

    /// The stores that were added.
    #[must_use]
    pub fn build(self) -> Stores {
        Stores {
            by_type: Arc::new(self.0),
            ..Stores::default()
        }
    }
}

impl Stores {
    /// Has metrics show the kinds and their objects.
    pub fn register(&self, metrics: &Metrics) {
        let stores = self.clone();
        metrics.register(Gauge::KindUp, move || {
            stores
                .kinds()
                .into_iter()
                .map(|(kind, is_on)| (vec![("kind", kind)], f64::from(u8::from(is_on))))
                .collect()
        });
        let stores = self.clone();
        let labels =
            |(kind, (ready, reason))| vec![("kind", kind), ("ready", ready), ("reason", reason)];
        metrics.register(Gauge::Objects, move || {
            stores
                .ready()
                .into_iter()
                .map(|(key, count)| (labels(key), f64::from(count)))
                .collect()
        });
    }

    /// The objects of a kind.
    ///
    /// # Panics
    /// When the kind is not registered.
    #[must_use]
    pub fn of<K: Object>(&self) -> &Store<K> {
        let store = self
            .by_type
            .get(&TypeId::of::<K>())
            .map(|store| &**store as &dyn Any);
        let store = store
            .and_then(<dyn Any>::downcast_ref::<OfKind<K>>)
            .map(|of_kind| &of_kind.store);
        store.unwrap_or_else(|| panic!("{} is not registered", K::kind(&())))
    }

    /// Waits until the watches have seen all objects, except those of kinds that cannot be read.
    pub async fn loaded(&self) {
        join_all(
            self.by_type
                .values()
                .map(|store| store.loaded(&self.references, &self.availability)),
        )
        .await;
    }

    /// Whether an object is being deleted; an object that is not there is not.
    #[must_use]
    pub fn is_deleting(&self, object: &ObjectId) -> bool {
        self.by_type
            .values()
            .any(|store| store.kind() == object.kind && store.is_deleting(object))
    }

    /// All objects that are being deleted.
    #[must_use]
    pub fn deleting(&self) -> Vec<ObjectId> {
        self.by_type
            .values()
            .flat_map(|store| store.deleting())
            .collect()
    }

    /// Why objects that may refer to one of `kind` in `namespace` cannot be read; `None` when all
    /// can, or when there are none because their definition is not installed.
    #[must_use]
    pub fn unreadable_referrers(&self, kind: &str, namespace: &str) -> Option<Unavailable> {
        let referring = self.by_type.values().filter(|store| store.refers_to(kind));
        referring
            .filter_map(|store| store.why_unavailable(&self.availability, namespace))
            .find(|missing| missing.is_installed)
    }

    /// Each kind, and whether its objects can be read.
    #[must_use]
    pub fn kinds(&self) -> BTreeMap<String, bool> {
        self.by_type
            .values()
            .map(|store| {
                (
                    store.kind().into_owned(),
                    store.is_available(&self.availability),
                )
            })
            .collect()
    }

    /// Number of objects by kind and by their Ready condition.
    #[must_use]
    pub fn ready(&self) -> BTreeMap<(String, Ready), u32> {
        let of_kind = |store: &dyn AnyStore| {
            let kind = store.kind().into_owned();
            store
                .ready()
                .into_iter()
                .map(move |(ready, count)| ((kind.clone(), ready), count))
        };
        self.by_type
            .values()
            .flat_map(|store| of_kind(&**store))
            .collect()
    }
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.kinds().keys()).finish()
    }
}
