//! Keys of all types as one type: what an object wants to have polled.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

use super::caches::Caches;
use super::types::{Key, Pace};
use crate::trigger::ObjectId;

/// A key of any type.
#[derive(Clone)]
pub struct PolledKey(Arc<dyn AnyKey>);

impl PolledKey {
    /// Erases the type of `key`.
    pub fn new<K: Key>(key: K) -> Self {
        Self(Arc::new(key))
    }

    /// Polls those of `keys` that are of the type of this one, and no other of that type.
    pub(super) fn poll(&self, keys: &[(Self, Pace)], caches: &Caches, watcher: &ObjectId) {
        let all: Vec<_> = keys
            .iter()
            .map(|(key, pace)| (key.0.as_any(), *pace))
            .collect();
        self.0.poll(&all, caches, watcher);
    }

    pub(super) fn invalidate(&self, caches: &Caches) {
        self.0.invalidate(caches);
    }

    /// Name of the service that answers it.
    pub(super) fn service(&self) -> &'static str {
        self.0.service()
    }

    /// The type of the key, by which its cache is found.
    pub(super) fn key_type(&self) -> TypeId {
        self.0.key_type()
    }
}

impl fmt::Debug for PolledKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

trait AnyKey: fmt::Debug + Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn poll(&self, keys: &[(&dyn Any, Pace)], caches: &Caches, watcher: &ObjectId);
    fn invalidate(&self, caches: &Caches);
    fn service(&self) -> &'static str;
    fn key_type(&self) -> TypeId;
}

impl<K: Key> AnyKey for K {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn poll(&self, keys: &[(&dyn Any, Pace)], caches: &Caches, watcher: &ObjectId) {
        let same = |(key, pace): &(&dyn Any, Pace)| {
            let key = key.downcast_ref::<K>()?;
            Some((key.clone(), *pace))
        };
        let keys: Vec<_> = keys.iter().filter_map(same).collect();
        caches.of::<K>().watch(&keys, watcher);
    }

    fn invalidate(&self, caches: &Caches) {
        caches.of::<K>().invalidate(self);
    }

    fn service(&self) -> &'static str {
        K::OPERATION.service().name
    }

    fn key_type(&self) -> TypeId {
        TypeId::of::<K>()
    }
}
