//! Triggers: which custom resource needs a pass, and the channels that carry that to the controller
//! of its kind.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use kube::runtime::reflector::{Lookup, ObjectRef};

/// Kind, namespace and name of a custom resource. Unlike [`ObjectRef`] it names objects of all
/// kinds by one type.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId {
    /// Kind, such as `EcsCluster`.
    pub kind: Cow<'static, str>,
    /// Namespace; `None` for a cluster-scoped object.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

impl ObjectId {
    /// The object of kind `K` with this name.
    #[must_use]
    pub fn new<K: Lookup<DynamicType = ()>>(namespace: Option<&str>, name: &str) -> Self {
        Self {
            kind: K::kind(&()),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        }
    }

    /// Names `object`.
    #[must_use]
    pub fn of<K: Lookup<DynamicType = ()>>(object: &K) -> Self {
        Self::new::<K>(
            object.namespace().as_deref(),
            object.name().as_deref().unwrap_or_default(),
        )
    }

    /// The same as a key of the store of kind `K`.
    #[must_use]
    pub fn object_ref<K: Lookup<DynamicType = ()>>(&self) -> ObjectRef<K> {
        let object = ObjectRef::new(&self.name);
        self.namespace
            .as_deref()
            .map_or(object.clone(), |namespace| object.within(namespace))
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.kind)?;
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&self.name)
    }
}

/// Requests passes from the controllers of all kinds.
#[derive(Clone, Debug, Default)]
pub struct Triggers(Arc<HashMap<Cow<'static, str>, UnboundedSender<ObjectId>>>);

/// The triggers that reach one controller.
pub type Triggered = UnboundedReceiver<ObjectId>;

impl Triggers {
    /// Triggers for these kinds, and the end of each channel in the same order.
    #[must_use]
    pub fn new(kinds: impl IntoIterator<Item = Cow<'static, str>>) -> (Self, Vec<Triggered>) {
        let (senders, receivers): (HashMap<_, _>, Vec<_>) = kinds
            .into_iter()
            .map(|kind| {
                let (sender, receiver) = unbounded();
                ((kind, sender), receiver)
            })
            .unzip();
        (Self(Arc::new(senders)), receivers)
    }

    /// Requests a pass over `object`. A kind without a controller has none.
    pub fn send(&self, object: ObjectId) {
        if let Some(sender) = self.0.get(&object.kind) {
            // The receiver is gone only when the operator stops.
            let _ = sender.unbounded_send(object);
        }
    }

    /// Requests a pass over each of `objects`.
    pub fn send_all(&self, objects: impl IntoIterator<Item = ObjectId>) {
        for object in objects {
            self.send(object);
        }
    }
}
