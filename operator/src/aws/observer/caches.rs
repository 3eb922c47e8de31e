//! The caches of an observer, one for each type of key. Each starts with its first use.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::cache::Cache;
use super::types::{Key, Pace, Sweep};
use crate::aws::call::Calls;
use crate::trigger::{ObjectId, Triggers};

/// Caches by the type of their key.
pub(super) struct Caches {
    calls: Arc<Calls>,
    sweep: Sweep,
    triggers: Triggers,
    by_key: Mutex<HashMap<TypeId, Arc<dyn AnyCache>>>,
}

/// What all caches can do, whatever the type of their key.
trait AnyCache: Any + Send + Sync {
    fn unwatch(&self, watcher: &ObjectId);
    fn set_pace(&self, watcher: &ObjectId, pace: Pace);
    /// What the cache is about, and the age of its oldest answer that is kept fresh.
    fn age(&self) -> Option<(&'static str, Duration)>;
}

impl<K: Key> AnyCache for Cache<K> {
    fn unwatch(&self, watcher: &ObjectId) {
        Cache::unwatch(self, watcher);
    }

    fn set_pace(&self, watcher: &ObjectId, pace: Pace) {
        Cache::set_pace(self, watcher, pace);
    }

    fn age(&self) -> Option<(&'static str, Duration)> {
        Some((K::WHAT, Cache::age(self)?))
    }
}

impl Caches {
    pub(super) fn new(calls: Arc<Calls>, sweep: Sweep, triggers: Triggers) -> Self {
        Self {
            calls,
            sweep,
            triggers,
            by_key: Mutex::default(),
        }
    }

    /// The cache for keys of type `K`, which starts when it is not there.
    pub(super) fn of<K: Key>(&self) -> Arc<Cache<K>> {
        let start = || {
            let sweep = Sweep {
                steady: K::steady(&self.sweep),
                ..self.sweep
            };
            Cache::<K>::start(Arc::clone(&self.calls), sweep, self.triggers.clone())
        };
        let cache = Arc::clone(
            self.lock()
                .entry(TypeId::of::<K>())
                .or_insert_with(|| Arc::new(start())),
        );
        let cache: Arc<dyn Any + Send + Sync> = cache;
        cache
            .downcast()
            .unwrap_or_else(|_| unreachable!("a cache is stored under the type of its key"))
    }

    /// Ends what `watcher` watches in all caches but those for keys of the types `but`.
    pub(super) fn unwatch(&self, watcher: &ObjectId, but: &[TypeId]) {
        for (_, cache) in self.lock().iter().filter(|(key, _)| !but.contains(key)) {
            cache.unwatch(watcher);
        }
    }

    /// Polls at this pace whatever `watcher` watches.
    pub(super) fn set_pace(&self, watcher: &ObjectId, pace: Pace) {
        for cache in self.lock().values() {
            cache.set_pace(watcher, pace);
        }
    }

    /// The age of the oldest answer of each cache, by what it is about.
    pub(super) fn ages(&self) -> Vec<(&'static str, Duration)> {
        let mut ages: Vec<_> = self
            .lock()
            .values()
            .filter_map(|cache| cache.age())
            .collect();
        ages.sort_unstable();
        ages
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TypeId, Arc<dyn AnyCache>>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Caches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ages()).finish()
    }
}
