//! Keys of all types as one type: what an object wants to have polled.

use std::any::TypeId;
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

    pub(super) fn poll(&self, caches: &Caches, watcher: &ObjectId, pace: Pace) {
        self.0.poll(caches, watcher, pace);
    }

    pub(super) fn invalidate(&self, caches: &Caches) {
        self.0.invalidate(caches);
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
    fn poll(&self, caches: &Caches, watcher: &ObjectId, pace: Pace);
    fn invalidate(&self, caches: &Caches);
    fn key_type(&self) -> TypeId;
}

impl<K: Key> AnyKey for K {
    fn poll(&self, caches: &Caches, watcher: &ObjectId, pace: Pace) {
        caches.of::<K>().watch(self.clone(), watcher.clone(), pace);
    }

    fn invalidate(&self, caches: &Caches) {
        caches.of::<K>().invalidate(self);
    }

    fn key_type(&self) -> TypeId {
        TypeId::of::<K>()
    }
}
