//! The tables of an observer, one for each type of key. Each starts with its first use.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::table::Table;
use super::types::{Key, Pace, Sweep};
use crate::aws::call::Calls;
use crate::trigger::{ObjectId, Triggers};

/// Tables by the type of their key.
pub(super) struct Tables {
    calls: Arc<Calls>,
    sweep: Sweep,
    triggers: Triggers,
    by_key: Mutex<HashMap<TypeId, Arc<dyn AnyTable>>>,
}

/// What all tables can do, whatever the type of their key.
trait AnyTable: Any + Send + Sync {
    fn unwatch(&self, watcher: &ObjectId);
    fn set_pace(&self, watcher: &ObjectId, pace: Pace);
    /// What the table is about, and the age of its oldest answer that is kept fresh.
    fn age(&self) -> Option<(&'static str, Duration)>;
}

impl<K: Key> AnyTable for Table<K> {
    fn unwatch(&self, watcher: &ObjectId) {
        Table::unwatch(self, watcher);
    }

    fn set_pace(&self, watcher: &ObjectId, pace: Pace) {
        Table::set_pace(self, watcher, pace);
    }

    fn age(&self) -> Option<(&'static str, Duration)> {
        Some((K::WHAT, Table::age(self)?))
    }
}

impl Tables {
    pub(super) fn new(calls: Arc<Calls>, sweep: Sweep, triggers: Triggers) -> Self {
        Self { calls, sweep, triggers, by_key: Mutex::default() }
    }

    /// The table for keys of type `K`, which starts when it is not there.
    pub(super) fn of<K: Key>(&self) -> Arc<Table<K>> {
        let start = || {
            let sweep = Sweep { steady: K::steady(&self.sweep), ..self.sweep };
            Table::<K>::start(Arc::clone(&self.calls), sweep, self.triggers.clone())
        };
        let table = Arc::clone(self.lock().entry(TypeId::of::<K>()).or_insert_with(|| Arc::new(start())));
        let table: Arc<dyn Any + Send + Sync> = table;
        table.downcast().unwrap_or_else(|_| unreachable!("a table is stored under the type of its key"))
    }

    /// Ends what `watcher` watches in all tables but those for keys of the types `but`.
    pub(super) fn unwatch(&self, watcher: &ObjectId, but: &[TypeId]) {
        for (_, table) in self.lock().iter().filter(|(key, _)| !but.contains(key)) {
            table.unwatch(watcher);
        }
    }

    /// Polls at this pace whatever `watcher` watches.
    pub(super) fn set_pace(&self, watcher: &ObjectId, pace: Pace) {
        for table in self.lock().values() {
            table.set_pace(watcher, pace);
        }
    }

    /// The age of the oldest answer of each table, by what it is about.
    pub(super) fn ages(&self) -> Vec<(&'static str, Duration)> {
        let mut ages: Vec<_> = self.lock().values().filter_map(|table| table.age()).collect();
        ages.sort_unstable();
        ages
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TypeId, Arc<dyn AnyTable>>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ages()).finish()
    }
}
