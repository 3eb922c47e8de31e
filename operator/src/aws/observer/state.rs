//! The state of a cache: its entries, the watchers of each key, and the requests that wait for an
//! answer.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::entry::Entry;
use super::types::{Answer, Key, Pace, Seen, Sweep};
use crate::aws::call::Calls;
use crate::aws::{AwsError, ErrorKind};
use crate::trigger::{ObjectId, Triggers};

/// Number of refused reads in a row after which the object is triggered to report it.
const REFUSALS: u32 = 3;

/// However many hints come, something is read again only after this time.
const HINTED: Duration = Duration::from_secs(2);

/// A pass that waits for an answer.
#[derive(Debug)]
pub(super) struct Requester {
    /// Namespace of its object.
    pub(super) namespace: String,
    /// Receives the answer.
    pub(super) reply: oneshot::Sender<Result<Seen, AwsError>>,
}

#[derive(Debug)]
pub(super) struct ReadRequest<K> {
    pub(super) key: K,
    pub(super) requester: Requester,
}

#[derive(Debug)]
pub(super) struct Shared<K: Key> {
    pub(super) calls: Arc<Calls>,
    pub(super) sweep: Sweep,
    pub(super) triggers: Triggers,
    pub(super) state: Mutex<State<K>>,
}

#[derive(Debug)]
pub(super) struct State<K: Key> {
    pub(super) cache: HashMap<K, Entry>,
    pub(super) watched: HashMap<K, Watched>,
    /// What we have sent the creation of, and when, without a reply that tells what came of it.
    pub(super) creating: HashMap<K, Instant>,
    /// Keys of looks that users asked for, until they are read.
    pub(super) confirming: HashSet<K>,
    /// What AWS did not let us read even alone, and when.
    pub(super) refused: HashMap<K, Instant>,
    /// What each watcher watches.
    pub(super) keys: HashMap<ObjectId, Vec<K>>,
}

#[derive(Debug)]
pub(super) struct Watched {
    /// Objects to trigger; more than one only while two custom resources claim the same AWS object.
    pub(super) watchers: Vec<ObjectId>,
    pub(super) pace: Pace,
    /// Since when.
    pub(super) since: Instant,
    pub(super) due: Instant,
    /// When a hint came that no read has followed.
    pub(super) hinted: Option<Instant>,
    /// Whether it is being read; the next look waits for the end of that.
    pub(super) read: Reading,
    /// Reads in a row for which there were no credentials or no rights.
    pub(super) refused: u32,
}

/// How far a read is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// There is none.
    No,
    /// It waits to be sent, and will show all that happens until then.
    Waits,
    /// It was sent at this time.
    Sent(Instant),
}

impl<K: Key> State<K> {
    pub(super) fn hint(&mut self, key: &K) -> Vec<ObjectId> {
        let Some(watched) = self.watched.get_mut(key) else {
            return Vec::new();
        };
        let soon = self
            .cache
            .get(key)
            .map_or_else(Instant::now, |entry| entry.at + HINTED);
        watched.due = watched.due.min(soon);
        watched.hinted = Some(Instant::now());
        watched.watchers.clone()
    }

    /// Ends the watches of `watcher` but those of these keys, and drops answers that have no other
    /// watcher.
    pub(super) fn unwatch(&mut self, watcher: &ObjectId, but: &[K]) {
        let former = self.keys.remove(watcher).unwrap_or_default();
        let (kept, dropped): (Vec<_>, Vec<_>) =
            former.into_iter().partition(|key| but.contains(key));
        if !kept.is_empty() {
            self.keys.insert(watcher.clone(), kept);
        }
        for key in dropped {
            if let Some(watched) = self.watched.get_mut(&key) {
                watched.watchers.retain(|other| other != watcher);
                if watched.watchers.is_empty() {
                    self.watched.remove(&key);
                    self.cache.remove(&key);
                }
            }
        }
    }

    /// Whether the read of `key` was refused so often that its watchers have to know: no
    /// credentials, or no right to read. The cached answer is then invalid.
    pub(super) fn is_lost(&mut self, key: &K, result: &Result<Answer, AwsError>) -> bool {
        let refused = matches!(result, Err(error) if matches!(error.kind, ErrorKind::Credentials | ErrorKind::AccessDenied));
        let Some(watched) = self.watched.get_mut(key) else {
            return false;
        };
        watched.refused = if refused { watched.refused + 1 } else { 0 };
        let lost = watched.refused == REFUSALS;
        if lost {
            self.cache.remove(key);
        }
        lost
    }
}

pub(super) fn interval(sweep: Sweep, pace: Pace) -> Duration {
    match pace {
        Pace::Active => sweep.active,
        Pace::Steady => sweep.steady,
    }
}

impl<K: Key> Shared<K> {
    pub(super) fn state(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters the result of a read, unless a write was entered since the read began, and triggers
    /// the watchers.
    pub(super) fn observed(
        &self,
        key: &K,
        at: Instant,
        result: Result<Answer, AwsError>,
    ) -> Result<Seen, AwsError> {
        let mut state = self.state();
        if let Some(watched) = state.watched.get_mut(key) {
            watched.read = Reading::No;
            if matches!(&result, Err(error) if error.kind.passes()) {
                // The read shows nothing of the object, so a hint stays.
                watched.due =
                    Instant::now() + interval(self.sweep, watched.pace).min(self.sweep.active);
            } else if watched.hinted.is_none_or(|hinted| hinted < at) {
                (watched.due, watched.hinted) = (at + interval(self.sweep, watched.pace), None);
            } else {
                watched.due = at + HINTED;
            }
        }
        if state.is_lost(key, &result) {
            self.wake(&state, key);
        }
        let is_asked = state.confirming.remove(key);
        let seen = Seen {
            at,
            answer: result?,
        };
        let read = Entry::new(at, &seen.answer);
        match state.cache.get_mut(key) {
            Some(newer) if newer.at > at => return Ok(newer.seen()),
            Some(newer) if newer.is_lagging(&read) && !(is_asked && newer.is_confirmed(&read)) => {
                newer.suspect(read);
                return Ok(newer.seen());
            }
            Some(older) if older.is_same(&read) => {}
            _ => self.wake(&state, key),
        }
        let entry = match state.cache.remove(key) {
            Some(before) => before.followed_by(read),
            None => read,
        };
        state.cache.insert(key.clone(), entry);
        Ok(seen)
    }

    pub(super) fn wake(&self, state: &State<K>, key: &K) {
        for watcher in state
            .watched
            .get(key)
            .into_iter()
            .flat_map(|watched| &watched.watchers)
        {
            self.triggers.send(watcher.clone());
        }
    }
}
