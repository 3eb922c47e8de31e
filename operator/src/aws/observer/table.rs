//! One table of the observer: a cache, the demands that wait for a read, and what is read again in the background.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::channel::mpsc::UnboundedSender;
use futures::{StreamExt, stream};
use kube::runtime::reflector::ObjectRef;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep_until, timeout_at};

use super::kept::Kept;
use super::{AgeOf, Answer, Freshness, Key, Pace, Seen, Sweep, Watcher};
use crate::aws::{Calls, Fault, FaultClass, Operation};

/// Where a table sends the custom resources whose answer changed.
pub type Wake<K> = UnboundedSender<ObjectRef<K>>;

/// A batch closes when no demand has come for this long …
const IDLE: Duration = Duration::from_millis(50);
/// … and at the latest this long after its first demand.
const LONGEST: Duration = Duration::from_millis(250);

/// Reads in a row that AWS must refuse before an object that was fine is woken to tell of it.
const REFUSALS: u32 = 3;

/// However many hints come, something is read again only after this time.
const HINTED: Duration = Duration::from_secs(2);

/// How many calls are under way at a time for what is read together.
const SIDE_BY_SIDE: usize = 16;

/// How long an answer is kept that nobody watches.
const UNWATCHED: Duration = Duration::from_secs(60);

/// Answers about objects of one kind.
#[derive(Debug)]
pub struct Table<K: Key> {
    shared: Arc<Shared<K>>,
    demands: mpsc::UnboundedSender<Demand<K>>,
}

/// Where one who asks waits for the answer.
type Reply = oneshot::Sender<Result<Seen, Fault>>;

#[derive(Debug)]
struct Demand<K> {
    key: K,
    reply: Reply,
}

#[derive(Debug)]
struct Shared<K: Key> {
    calls: Arc<Calls>,
    sweep: Sweep,
    wake: Wake<K::Object>,
    state: Mutex<State<K>>,
}

#[derive(Debug)]
struct State<K: Key> {
    cache: HashMap<K, Kept>,
    watched: HashMap<K, Watched<K>>,
    /// What each watcher watches.
    keys: HashMap<Watcher<K>, K>,
}

#[derive(Debug)]
struct Watched<K: Key> {
    /// Who is woken; more than one only while two custom resources claim the same AWS object.
    watchers: Vec<Watcher<K>>,
    pace: Pace,
    /// Since when.
    since: Instant,
    due: Instant,
    /// When a hint came that no read has followed.
    hinted: Option<Instant>,
    /// Whether it is being read; the next look waits for the end of that.
    is_read: bool,
    /// Reads in a row for which there were no credentials or no rights.
    refused: u32,
}

impl<K: Key> Table<K> {
    pub(super) fn start(calls: Arc<Calls>, sweep: Sweep, wake: Wake<K::Object>) -> Self {
        let state = Mutex::new(State { cache: HashMap::new(), watched: HashMap::new(), keys: HashMap::new() });
        let shared = Arc::new(Shared { calls, sweep, wake, state });
        let (demands, incoming) = mpsc::unbounded_channel();
        tokio::spawn(run(Arc::clone(&shared), incoming));
        Self { shared, demands }
    }

    /// What the cache has, however old.
    #[must_use]
    pub fn cached(&self, key: &K) -> Option<Seen> {
        self.shared.state().cache.get(key).map(Kept::seen)
    }

    /// The answer about `key`, from the cache where that is fresh enough, else read together with other demands.
    ///
    /// # Errors
    /// When the read fails.
    pub async fn get(&self, key: K, freshness: Freshness) -> Result<Seen, Fault> {
        let fresh = |kept: &&Kept| match freshness {
            Freshness::Any => true,
            Freshness::Since(moment) => kept.at >= moment,
        };
        if let Some(seen) = self.shared.state().cache.get(&key).filter(fresh).map(Kept::seen) {
            return Ok(seen);
        }
        let (reply, answer) = oneshot::channel();
        let stopped = || Fault::new(Operation::DescribeClusters, FaultClass::Server, "the operator is shutting down");
        self.demands.send(Demand { key, reply }).map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// Enters what the reply to a write of ours says, so that nobody has to read it.
    pub fn enter(&self, key: K, answer: Answer) -> Seen {
        let seen = Seen { at: Instant::now(), answer };
        let cache = &mut self.shared.state().cache;
        let kept = Kept::written(cache.remove(&key), &seen);
        cache.insert(key, kept);
        seen
    }

    /// Forgets the answer: a write failed, and the cache may be wrong.
    pub fn invalidate(&self, key: &K) {
        self.shared.state().cache.remove(key);
    }

    /// Reads `key` again at this pace from now on and wakes `watcher` when the answer changes. Whatever `watcher` watched
    /// before, it does no more.
    pub fn watch(&self, key: K, watcher: Watcher<K>, pace: Pace) {
        let mut state = self.shared.state();
        if state.keys.get(&watcher).is_some_and(|former| *former != key) {
            state.unwatch(&watcher);
        }
        let last = state.cache.get(&key).map(|seen| seen.at);
        let sweep = self.shared.sweep;
        let entry = state.watched.entry(key.clone()).or_insert_with(|| {
            // What was never read is trusted for now; random, so that a restart does not read everything at once.
            let due = last
                .map_or_else(|| Instant::now() + interval(sweep, pace).mul_f64(fastrand::f64()), |at| at + interval(sweep, pace));
            let since = Instant::now();
            Watched { watchers: Vec::new(), pace, since, due, hinted: None, is_read: false, refused: 0 }
        });
        if entry.pace != pace {
            entry.pace = pace;
            if entry.hinted.is_none() {
                entry.due = Instant::now() + interval(sweep, pace);
            }
        }
        if !entry.watchers.contains(&watcher) {
            entry.watchers.push(watcher.clone());
            state.keys.insert(watcher, key);
        }
    }

    /// How old the oldest answer is that is kept fresh.
    pub(super) fn age(&self) -> AgeOf {
        let shared = Arc::clone(&self.shared);
        let oldest = move || {
            let state = shared.state();
            let at = |(key, watched): (&K, &Watched<K>)| state.cache.get(key).map_or(watched.since, |kept| kept.at);
            state.watched.iter().map(at).min().map(|oldest| oldest.elapsed())
        };
        (K::WHAT, Box::new(oldest))
    }

    /// Reads what is meant again soon, if it is watched; answers whether anything is.
    pub(super) fn hint(&self, is_meant: impl Fn(&K) -> bool) -> bool {
        let State { cache, watched, .. } = &mut *self.shared.state();
        let mut any = false;
        for (key, watched) in watched.iter_mut().filter(|(key, _)| is_meant(key)) {
            let soon = cache.get(key).map_or_else(Instant::now, |kept| kept.at + HINTED);
            watched.due = watched.due.min(soon);
            watched.hinted = Some(Instant::now());
            any = true;
        }
        any
    }

    /// Ends the watch of `watcher`, and forgets what nobody watches.
    pub fn unwatch(&self, watcher: &Watcher<K>) {
        self.shared.state().unwatch(watcher);
    }
}

impl<K: Key> State<K> {
    fn unwatch(&mut self, watcher: &Watcher<K>) {
        let Some(key) = self.keys.remove(watcher) else { return };
        if let Some(watched) = self.watched.get_mut(&key) {
            watched.watchers.retain(|other| other != watcher);
            if watched.watchers.is_empty() {
                self.watched.remove(&key);
                self.cache.remove(&key);
            }
        }
    }

    /// Whether the read of `key` was refused so often that its watchers have to know: no credentials, or no right to read.
    /// What the cache says is then worth nothing any more.
    fn is_lost(&mut self, key: &K, result: &Result<Answer, Fault>) -> bool {
        let refused = matches!(result, Err(fault) if matches!(fault.class, FaultClass::Credentials | FaultClass::AccessDenied));
        let Some(watched) = self.watched.get_mut(key) else { return false };
        watched.refused = if refused { watched.refused + 1 } else { 0 };
        let lost = watched.refused == REFUSALS;
        if lost {
            self.cache.remove(key);
        }
        lost
    }
}

fn interval(sweep: Sweep, pace: Pace) -> Duration {
    match pace {
        Pace::Active => sweep.active,
        Pace::Steady => sweep.steady,
    }
}

impl<K: Key> Shared<K> {
    fn state(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the next watched key is due; one that is being read is not due before that has ended.
    fn next_due(&self) -> Option<Instant> {
        self.state().watched.values().filter(|watched| !watched.is_read).map(|watched| watched.due).min()
    }

    /// Adds to what waits for a read what is due, and, where a call with room in it costs as much as a full one, what is due next.
    fn add_due(&self, now: Instant, waiting: &mut BTreeMap<K, Vec<Reply>>) {
        let state = self.state();
        for (key, _) in state.watched.iter().filter(|(_, watched)| watched.due <= now && !watched.is_read) {
            waiting.entry(key.clone()).or_default();
        }
        if !K::ROOM_IS_FREE {
            return;
        }
        let mut room = BTreeMap::<String, usize>::new();
        for key in waiting.keys() {
            let left = room.entry(key.group().to_owned()).or_default();
            *left = left.checked_sub(1).unwrap_or(K::BATCH - 1);
        }
        if room.values().all(|left| *left == 0) {
            return;
        }
        let is_near = |watched: &Watched<K>| !watched.is_read && watched.due < now + interval(self.sweep, watched.pace) / 2;
        let mut near: Vec<_> =
            state.watched.iter().filter(|(key, watched)| is_near(watched) && !waiting.contains_key(*key)).collect();
        near.sort_by_key(|(_, watched)| watched.due);
        for (key, _) in near {
            if let Some(left) = room.get_mut(key.group()).filter(|left| **left > 0) {
                *left -= 1;
                waiting.insert(key.clone(), Vec::new());
            }
        }
    }

    /// Enters what a read found, unless a write of ours has been entered since the read began, and wakes whom it concerns.
    fn observed(&self, key: &K, at: Instant, result: Result<Answer, Fault>) -> Result<Seen, Fault> {
        let mut state = self.state();
        if let Some(watched) = state.watched.get_mut(key) {
            watched.is_read = false;
            if watched.hinted.is_none_or(|hinted| hinted < at) {
                (watched.due, watched.hinted) = (at + interval(self.sweep, watched.pace), None);
            } else {
                watched.due = at + HINTED;
            }
        }
        if state.is_lost(key, &result) {
            self.wake(&state, key);
        }
        let seen = Seen { at, answer: result? };
        let read = Kept::new(at, &seen.answer);
        match state.cache.get(key) {
            Some(newer) if newer.at > at || newer.is_lagging(&read) => return Ok(newer.seen()),
            Some(older) if older.is_same(&read) => {}
            _ => self.wake(&state, key),
        }
        let kept = match state.cache.remove(key) {
            Some(before) => before.followed_by(read),
            None => read,
        };
        state.cache.insert(key.clone(), kept);
        Ok(seen)
    }

    fn wake(&self, state: &State<K>, key: &K) {
        for watcher in state.watched.get(key).into_iter().flat_map(|watched| &watched.watchers) {
            // The controller is gone only when the operator stops.
            let _ = self.wake.unbounded_send(watcher.clone());
        }
    }

    /// Forgets answers that nobody watches, such as of revisions that were only looked through.
    fn forget(&self) {
        let State { cache, watched, .. } = &mut *self.state();
        cache.retain(|key, seen| watched.contains_key(key) || seen.at.elapsed() < UNWATCHED);
    }

    /// Reads keys in batches, a few side by side, and answers those who wait as soon as their batch is read. Batches for which somebody
    /// waits go first.
    async fn read(&self, mut waiting: BTreeMap<K, Vec<Reply>>) {
        let keys: Vec<K> = waiting.keys().cloned().collect();
        let groups = keys.chunk_by(|a, b| a.group() == b.group());
        let is_regular = |batch: &&[K]| batch.iter().all(|key| waiting[key].is_empty());
        let (regular, wanted): (Vec<_>, Vec<_>) = groups.flat_map(|group| group.chunks(K::BATCH)).partition(is_regular);
        let batches = wanted.into_iter().map(|batch| (batch, false)).chain(regular.into_iter().map(|batch| (batch, true)));
        let reads = batches.map(|(batch, is_regular)| async move {
            if is_regular {
                self.calls.spare(K::FAMILY).await;
            }
            let at = Instant::now();
            self.calls.metrics.read_together(K::WHAT, batch.len());
            (at, batch, read_each(&self.calls, batch).await)
        });
        let mut reads = stream::iter(reads.collect::<Vec<_>>()).buffer_unordered(SIDE_BY_SIDE);
        while let Some((at, batch, answers)) = reads.next().await {
            for (key, answer) in batch.iter().zip(answers) {
                let result = self.observed(key, at, answer);
                for reply in waiting.remove(key).into_iter().flatten() {
                    // Whoever asked may have given up.
                    let _ = reply.send(result.clone());
                }
            }
        }
    }
}

/// Reads `keys` with one call, or, when AWS refuses that call for the sake of one of them, with one for each half.
async fn read_each<K: Key>(calls: &Calls, keys: &[K]) -> Vec<Result<Answer, Fault>> {
    let answers = K::read(calls, keys).await;
    let refused = |answer: &Result<Answer, Fault>| matches!(answer, Err(fault) if matches!(fault.class, FaultClass::Terminal | FaultClass::AccessDenied | FaultClass::Missing | FaultClass::DependencyNotReady));
    if keys.len() < 2 || !answers.iter().all(refused) {
        return answers;
    }
    let (first, second) = keys.split_at(keys.len() / 2);
    let (mut answers, rest) = tokio::join!(Box::pin(read_each(calls, first)), Box::pin(read_each(calls, second)));
    answers.extend(rest);
    answers
}

/// Serves demands and sweeps until the table is dropped.
async fn run<K: Key>(shared: Arc<Shared<K>>, mut incoming: mpsc::UnboundedReceiver<Demand<K>>) {
    /// Longest sleep between two looks at what is due, since a new watch does not wake this loop.
    const LOOK: Duration = Duration::from_secs(1);
    loop {
        let look = Instant::now() + LOOK;
        let due = shared.next_due().map_or(look, |due| due.min(look));
        let mut waiting = BTreeMap::<K, Vec<Reply>>::new();
        tokio::select! {
            demand = incoming.recv() => match demand {
                None => return,
                Some(demand) => {
                    waiting.entry(demand.key).or_default().push(demand.reply);
                    collect(&mut incoming, &mut waiting).await;
                }
            },
            () = sleep_until(due.into()) => shared.forget(),
        }
        shared.add_due(Instant::now(), &mut waiting);
        if !waiting.is_empty() {
            // On the side, so that a slow reply holds up nobody else.
            let shared = Arc::clone(&shared);
            shared.postpone(waiting.keys());
            tokio::spawn(async move { shared.read(waiting).await });
        }
    }
}

/// Waits for more demands until the batch closes.
async fn collect<K: Key>(incoming: &mut mpsc::UnboundedReceiver<Demand<K>>, waiting: &mut BTreeMap<K, Vec<Reply>>) {
    let closes = Instant::now() + LONGEST;
    while waiting.len() < K::BATCH {
        let idle = (Instant::now() + IDLE).min(closes);
        match timeout_at(idle.into(), incoming.recv()).await {
            Ok(Some(demand)) => waiting.entry(demand.key).or_default().push(demand.reply),
            Ok(None) | Err(_) => return,
        }
    }
}

impl<K: Key> Shared<K> {
    /// Keeps keys that are being read from coming due again meanwhile.
    fn postpone<'a>(&self, keys: impl Iterator<Item = &'a K>) {
        let mut state = self.state();
        let now = Instant::now();
        for key in keys {
            if let Some(watched) = state.watched.get_mut(key) {
                watched.due = now + interval(self.sweep, watched.pace);
                watched.is_read = true;
            }
        }
    }
}
