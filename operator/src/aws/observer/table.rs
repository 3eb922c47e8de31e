//! One table of the observer: a cache, the demands that wait for a read, and what is read again in the background.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::channel::mpsc::UnboundedSender;
use futures::future::join_all;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep_until, timeout_at};

use super::{Answer, Freshness, Key, Pace, Seen, Sweep, Watcher};
use crate::aws::{Calls, Fault, FaultClass, Operation};

/// Where a table sends the custom resources whose answer changed.
pub type Wake<K> = UnboundedSender<ObjectRef<K>>;

/// A batch closes when no demand has come for this long …
const IDLE: Duration = Duration::from_millis(50);
/// … and at the latest this long after its first demand.
const LONGEST: Duration = Duration::from_millis(250);

/// Answers about objects of one kind.
#[derive(Debug)]
pub struct Table<K: Key> {
    shared: Arc<Shared<K>>,
    demands: mpsc::UnboundedSender<Demand<K>>,
}

#[derive(Debug)]
struct Demand<K> {
    key: K,
    reply: oneshot::Sender<Result<Seen, Fault>>,
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
    cache: HashMap<K, Seen>,
    watched: HashMap<K, Watched<K>>,
}

#[derive(Debug)]
struct Watched<K: Key> {
    /// Who is woken; more than one only while two custom resources claim the same AWS object.
    watchers: Vec<Watcher<K>>,
    pace: Pace,
    due: Instant,
}

impl<K: Key> Table<K> {
    pub(super) fn start(calls: Arc<Calls>, sweep: Sweep, wake: Wake<K::Object>) -> Self {
        let state = Mutex::new(State { cache: HashMap::new(), watched: HashMap::new() });
        let shared = Arc::new(Shared { calls, sweep, wake, state });
        let (demands, incoming) = mpsc::unbounded_channel();
        tokio::spawn(run(Arc::clone(&shared), incoming));
        Self { shared, demands }
    }

    /// What the cache has, however old.
    #[must_use]
    pub fn cached(&self, key: &K) -> Option<Seen> {
        self.shared.state().cache.get(key).cloned()
    }

    /// The answer about `key`, from the cache where that is fresh enough, else read together with other demands.
    ///
    /// # Errors
    /// When the read fails.
    pub async fn get(&self, key: K, freshness: Freshness) -> Result<Seen, Fault> {
        let fresh = |seen: &Seen| match freshness {
            Freshness::Any => true,
            Freshness::Since(moment) => seen.at >= moment,
        };
        if let Some(seen) = self.cached(&key).filter(fresh) {
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
        self.shared.state().cache.insert(key, seen.clone());
        seen
    }

    /// Forgets the answer: a write failed, and the cache may be wrong.
    pub fn invalidate(&self, key: &K) {
        self.shared.state().cache.remove(key);
    }

    /// Reads `key` again at this pace from now on and wakes `watcher` when the answer changes.
    pub fn watch(&self, key: K, watcher: Watcher<K>, pace: Pace) {
        let mut state = self.shared.state();
        let last = state.cache.get(&key).map(|seen| seen.at);
        let sweep = self.shared.sweep;
        let entry = state.watched.entry(key).or_insert_with(|| {
            // What was never read is trusted for now; random, so that a restart does not read everything at once.
            let due = last
                .map_or_else(|| Instant::now() + interval(sweep, pace).mul_f64(fastrand::f64()), |at| at + interval(sweep, pace));
            Watched { watchers: Vec::new(), pace, due }
        });
        if entry.pace != pace {
            entry.pace = pace;
            entry.due = Instant::now() + interval(sweep, pace);
        }
        if !entry.watchers.contains(&watcher) {
            entry.watchers.push(watcher);
        }
    }

    /// Ends the watch of `watcher`, and forgets what nobody watches.
    pub fn unwatch(&self, key: &K, watcher: &Watcher<K>) {
        let mut state = self.shared.state();
        if let Some(watched) = state.watched.get_mut(key) {
            watched.watchers.retain(|other| other != watcher);
            if watched.watchers.is_empty() {
                state.watched.remove(key);
                state.cache.remove(key);
            }
        }
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

    /// When the next watched key is due.
    fn next_due(&self) -> Option<Instant> {
        self.state().watched.values().map(|watched| watched.due).min()
    }

    fn due(&self, now: Instant) -> Vec<K> {
        let state = self.state();
        state.watched.iter().filter(|(_, watched)| watched.due <= now).map(|(key, _)| key.clone()).collect()
    }

    /// Enters what a read found, unless a write of ours has been entered since the read began, and wakes whom it concerns.
    fn observed(&self, key: &K, at: Instant, result: Result<Answer, Fault>) -> Result<Seen, Fault> {
        let mut state = self.state();
        if let Some(watched) = state.watched.get_mut(key) {
            watched.due = at + interval(self.sweep, watched.pace);
        }
        let seen = Seen { at, answer: result? };
        match state.cache.get(key) {
            Some(newer) if newer.at > at => return Ok(newer.clone()),
            Some(older) if older.answer == seen.answer => {}
            _ => {
                for watcher in state.watched.get(key).into_iter().flat_map(|watched| &watched.watchers) {
                    // The controller is gone only when the operator stops.
                    let _ = self.wake.unbounded_send(watcher.clone());
                }
            }
        }
        state.cache.insert(key.clone(), seen.clone());
        Ok(seen)
    }

    /// Reads `keys` in batches, side by side, and answers those who wait.
    async fn read(&self, mut waiting: BTreeMap<K, Vec<oneshot::Sender<Result<Seen, Fault>>>>) {
        let keys: Vec<K> = waiting.keys().cloned().collect();
        let groups = keys.chunk_by(|a, b| a.group() == b.group());
        let batches = groups.flat_map(|group| group.chunks(K::BATCH)).map(|batch| async move {
            let at = Instant::now();
            (at, batch, K::read(&self.calls, batch).await)
        });
        for (at, batch, answers) in join_all(batches).await {
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

/// Serves demands and sweeps until the table is dropped.
async fn run<K: Key>(shared: Arc<Shared<K>>, mut incoming: mpsc::UnboundedReceiver<Demand<K>>) {
    /// Longest sleep between two looks at what is due, since a new watch does not wake this loop.
    const LOOK: Duration = Duration::from_secs(1);
    loop {
        let look = Instant::now() + LOOK;
        let due = shared.next_due().map_or(look, |due| due.min(look));
        let mut waiting = BTreeMap::<K, Vec<_>>::new();
        tokio::select! {
            demand = incoming.recv() => match demand {
                None => return,
                Some(demand) => {
                    waiting.entry(demand.key).or_default().push(demand.reply);
                    collect(&mut incoming, &mut waiting).await;
                }
            },
            () = sleep_until(due.into()) => {}
        }
        for key in shared.due(Instant::now()) {
            waiting.entry(key).or_default();
        }
        if !waiting.is_empty() {
            // On the side, so that a slow reply holds up nobody else.
            let shared = Arc::clone(&shared);
            shared.postpone(waiting.keys());
            tokio::spawn(async move { shared.read(waiting).await });
        }
    }
}

/// Waits for more demands until the batch closes.
async fn collect<K: Key>(
    incoming: &mut mpsc::UnboundedReceiver<Demand<K>>,
    waiting: &mut BTreeMap<K, Vec<oneshot::Sender<Result<Seen, Fault>>>>,
) {
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
            }
        }
    }
}
