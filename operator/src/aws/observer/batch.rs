//! Batches the reads of a cache: what is requested and what is due is read together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::entry::LAG;
use super::state::{ReadRequest, Reading, Requester, Shared, State, Watched, interval};
use super::types::{Answer, Key};
use crate::aws::call::Reads;
use crate::aws::read_budget::Turn;
use crate::aws::{AwsError, ErrorKind};

/// A batch closes when no request has come for this long …
const IDLE: Duration = Duration::from_millis(50);
/// … and at the latest this long after its first request.
const LONGEST: Duration = Duration::from_millis(250);

/// How many calls are under way at a time for what is read together.
const SIDE_BY_SIDE: usize = 16;

/// A namespace with more keys than this in a round reads them in calls of its own, where each key
/// may need one.
const MANY: usize = 10;

/// How long what AWS refused to let us read alone is read together with others of that kind, before
/// it is tried alone again.
const REFUSED: Duration = Duration::from_secs(300);

/// Serves requests and sweeps until the cache is dropped.
pub(super) async fn run<K: Key>(
    shared: Arc<Shared<K>>,
    mut incoming: mpsc::UnboundedReceiver<ReadRequest<K>>,
) {
    /// Longest sleep of this loop, since a new watch does not end the sleep.
    const LOOK: Duration = Duration::from_secs(1);
    loop {
        let look = Instant::now() + LOOK;
        let due = shared.next_due().map_or(look, |due| due.min(look));
        let mut waiting = BTreeMap::<K, Vec<Requester>>::new();
        tokio::select! {
            request = incoming.recv() => match request {
                None => return,
                Some(request) => {
                    waiting.entry(request.key).or_default().push(request.requester);
                    collect(&mut incoming, &mut waiting).await;
                }
            },
            () = sleep_until(due) => shared.forget(),
        }
        shared.add_due(Instant::now(), &mut waiting);
        if !waiting.is_empty() {
            // In a task of its own, so that a slow reply does not delay other reads.
            let shared = Arc::clone(&shared);
            shared.postpone(waiting.keys());
            tokio::spawn(async move { shared.read(waiting).await });
        }
    }
}

/// Waits for more requests until the batch closes.
async fn collect<K: Key>(
    incoming: &mut mpsc::UnboundedReceiver<ReadRequest<K>>,
    waiting: &mut BTreeMap<K, Vec<Requester>>,
) {
    let closes = Instant::now() + LONGEST;
    while waiting.len() < K::BATCH {
        let idle = (Instant::now() + IDLE).min(closes);
        match timeout_at(idle, incoming.recv()).await {
            Ok(Some(request)) => waiting
                .entry(request.key)
                .or_default()
                .push(request.requester),
            Ok(None) | Err(_) => return,
        }
    }
}

impl<K: Key> Shared<K> {
    /// When the next watched key is due.
    fn next_due(&self) -> Option<Instant> {
        self.state()
            .watched
            .values()
            .filter(|watched| may_be_read(watched))
            .map(|watched| watched.due)
            .min()
    }

    /// Adds to what waits for a read what is due, and, where a call with room in it costs as much
    /// as a full one, what is due next.
    fn add_due(&self, now: Instant, waiting: &mut BTreeMap<K, Vec<Requester>>) {
        let state = self.state();
        for (key, _) in state
            .watched
            .iter()
            .filter(|(_, watched)| watched.due <= now && may_be_read(watched))
        {
            waiting.entry(key.clone()).or_default();
        }
        if !K::ROOM_IS_FREE {
            return;
        }
        let mut room = BTreeMap::<String, usize>::new();
        for key in waiting
            .keys()
            .filter(|key| !state.refused.contains_key(*key))
        {
            let left = room.entry(key.group().to_owned()).or_default();
            *left = left.checked_sub(1).unwrap_or(K::BATCH - 1);
        }
        if room.values().all(|left| *left == 0) {
            return;
        }
        let is_near = |watched: &Watched| {
            watched.read == Reading::No
                && watched.due < now + interval(self.sweep, watched.pace) / 2
        };
        let is_taken = |key: &K| waiting.contains_key(key) || state.refused.contains_key(key);
        let mut near: Vec<_> = state
            .watched
            .iter()
            .filter(|(key, watched)| is_near(watched) && !is_taken(key))
            .collect();
        near.sort_by_key(|(_, watched)| watched.due);
        for (key, _) in near {
            if let Some(left) = room.get_mut(key.group()).filter(|left| **left > 0) {
                *left -= 1;
                waiting.insert(key.clone(), Vec::new());
            }
        }
    }

    /// Drops answers without a watcher, such as those of revisions that were read once.
    fn forget(&self) {
        let State {
            cache,
            watched,
            creating,
            refused,
            ..
        } = &mut *self.state();
        cache.retain(|key, seen| watched.contains_key(key) || seen.asked.elapsed() < K::UNWATCHED);
        creating.retain(|_, sent| sent.elapsed() < LAG);
        refused.retain(|_, since| since.elapsed() < REFUSED);
    }

    /// Keeps keys that are being read from coming due again meanwhile.
    fn postpone<'a>(&self, keys: impl Iterator<Item = &'a K>) {
        let mut state = self.state();
        let now = Instant::now();
        for key in keys {
            if let Some(watched) = state.watched.get_mut(key) {
                watched.due = now + interval(self.sweep, watched.pace);
                watched.read = Reading::Waits;
            }
        }
    }

    /// Reads keys in batches, a few side by side, and answers requests as soon as their batch is
    /// read. Batches for which a pass waits go first, and then those about which there was a hint.
    async fn read(&self, mut waiting: BTreeMap<K, Vec<Requester>>) {
        let reads = self
            .batches(&waiting)
            .into_iter()
            .map(|(turn, batch)| async move {
                let reads = self.calls.reads(K::OPERATION.family(), turn).await;
                let at = Instant::now();
                self.sent(&batch, at);
                self.calls.metrics.read_together(K::WHAT, batch.len());
                let answers = self.read_batch(&reads, &batch).await;
                (at, batch, answers)
            });
        let mut reads = stream::iter(reads.collect::<Vec<_>>()).buffer_unordered(SIDE_BY_SIDE);
        while let Some((at, batch, answers)) = reads.next().await {
            for (key, answer) in batch.iter().zip(answers) {
                let result = self.observed(key, at, answer);
                for requester in waiting.remove(key).into_iter().flatten() {
                    // The pass may have ended.
                    let _ = requester.reply.send(result.clone());
                }
            }
        }
    }

    /// Groups the keys into calls, each with the namespaces that wait for it.
    pub(super) fn batches(&self, waiting: &BTreeMap<K, Vec<Requester>>) -> Vec<(Turn, Vec<K>)> {
        let mut groups = BTreeMap::<_, Vec<&K>>::new();
        let apart = if K::ROOM_IS_FREE {
            Vec::new()
        } else {
            namespaces_with_many(waiting)
        };
        for (key, requesters) in waiting {
            let namespace = requesters
                .first()
                .map(|requester| requester.namespace.as_str())
                .filter(|namespace| apart.contains(namespace));
            // What AWS refuses keeps to itself, or it would have the others refused with it.
            groups
                .entry((!self.is_refused(key), key.group(), namespace))
                .or_default()
                .push(key);
        }
        let batch = |keys: &[&K]| {
            let mut requesters: Vec<_> = keys
                .iter()
                .flat_map(|key| &waiting[*key])
                .map(|requester| requester.namespace.clone())
                .collect();
            requesters.sort();
            requesters.dedup();
            let turn = if requesters.is_empty() {
                Turn::Regular
            } else {
                Turn::Of(requesters)
            };
            (turn, keys.iter().copied().cloned().collect())
        };
        let mut batches: Vec<_> = groups
            .values()
            .flat_map(|keys| keys.chunks(K::BATCH))
            .map(batch)
            .collect();
        batches.sort_by_cached_key(|(turn, batch): &(_, Vec<K>)| {
            (*turn == Turn::Regular, !self.is_hinted(batch))
        });
        batches
    }

    /// A read leaves: what happens from now on it may not show.
    fn sent(&self, keys: &[K], at: Instant) {
        let mut state = self.state();
        for key in keys {
            if let Some(watched) = state.watched.get_mut(key) {
                watched.read = Reading::Sent(at);
            }
        }
    }

    /// Whether AWS has lately refused to show it, even alone.
    fn is_refused(&self, key: &K) -> bool {
        self.state()
            .refused
            .get(key)
            .is_some_and(|since| since.elapsed() < REFUSED)
    }

    fn is_hinted(&self, keys: &[K]) -> bool {
        let state = self.state();
        keys.iter().any(|key| {
            state
                .watched
                .get(key)
                .is_some_and(|watched| watched.hinted.is_some())
        })
    }

    /// Reads keys of one group. A refused call is tried in parts, unless AWS has lately refused
    /// each of them alone.
    async fn read_batch(&self, reads: &Reads<'_>, keys: &[K]) -> Vec<Result<Answer, AwsError>> {
        let are_refused = keys.iter().all(|key| self.is_refused(key));
        let answers = if are_refused {
            K::read(reads, keys).await
        } else {
            read_each(reads, keys).await
        };
        let refused = &mut self.state().refused;
        for (key, answer) in keys.iter().zip(&answers) {
            match is_denied(answer) {
                true if are_refused => {}
                true => drop(refused.insert(key.clone(), Instant::now())),
                false => drop(refused.remove(key)),
            }
        }
        answers
    }
}

/// Namespaces that ask for many keys. Their keys are read apart from those of others where each key
/// may need a call of its own.
fn namespaces_with_many<K>(waiting: &BTreeMap<K, Vec<Requester>>) -> Vec<&str> {
    let mut counts = BTreeMap::new();
    for requester in waiting.values().filter_map(|requesters| requesters.first()) {
        *counts.entry(requester.namespace.as_str()).or_insert(0) += 1;
    }
    counts
        .into_iter()
        .filter(|(_, count)| *count > MANY)
        .map(|(namespace, _)| namespace)
        .collect()
}

fn is_denied(answer: &Result<Answer, AwsError>) -> bool {
    matches!(answer, Err(error) if error.kind == ErrorKind::AccessDenied)
}

/// Whether a due key may be read: not while a read of it is in progress, unless a hint came after
/// that was sent.
pub(super) fn may_be_read(watched: &Watched) -> bool {
    match watched.read {
        Reading::No => true,
        Reading::Waits => false,
        Reading::Sent(at) => watched.hinted.is_some_and(|hinted| hinted > at),
    }
}

/// Reads `keys` with one call, or, when AWS refuses that call for the sake of one of them, with one
/// for each half.
async fn read_each<K: Key>(reads: &Reads<'_>, keys: &[K]) -> Vec<Result<Answer, AwsError>> {
    let answers = K::read(reads, keys).await;
    let refused = |answer: &Result<Answer, AwsError>| matches!(answer, Err(error) if matches!(error.kind, ErrorKind::Terminal | ErrorKind::AccessDenied | ErrorKind::Missing | ErrorKind::DependencyNotReady));
    if keys.len() < 2 || !answers.iter().all(refused) {
        return answers;
    }
    let (first, second) = keys.split_at(keys.len() / 2);
    let (mut answers, rest) = tokio::join!(
        Box::pin(read_each(reads, first)),
        Box::pin(read_each(reads, second))
    );
    answers.extend(rest);
    answers
}
