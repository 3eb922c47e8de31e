//! The work queue of a kind: which object has the next pass.
//!
//! Namespaces take turns, so that thousands of objects of one namespace delay an object of another
//! by one pass. An object that waits costs no more than its name; each pass runs as a task of its
//! own. The `Controller` of kube-runtime picks objects at random, and polls all passes that wait
//! each time one of them goes on.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use kube::runtime::reflector::{ObjectRef, Store};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{Context, Kind, reconcile};
use crate::turns::Turns;

/// The divisor of the concurrency that gives the number of further passes for namespaces without
/// any.
const RESERVE: usize = 4;

/// Runs passes over objects that are triggered or requeued, `concurrency` at a time. After `stop`
/// it begins no further passes, and ends when those under way have ended.
///
/// # Panics
/// When a pass panics where the driver does not catch it.
pub async fn work<K: Kind>(
    wakes: impl Stream<Item = ObjectRef<K>>,
    store: Store<K>,
    context: Arc<Context>,
    concurrency: u16,
    stop: CancellationToken,
) {
    let mut wakes = std::pin::pin!(wakes.fuse());
    let mut queue = Queue::new(concurrency.into());
    let mut passes = JoinSet::new();
    while !stop.is_cancelled() {
        queue.advance(Instant::now());
        while let Some(object) = queue.start() {
            let Some(seen) = store.get(&object) else {
                // The object is gone.
                queue.ended(object, None);
                continue;
            };
            let context = Arc::clone(&context);
            let span = tracing::info_span!("reconciling object", object.ref = %object);
            let pass = async move {
                let back = reconcile(seen, context).await;
                (object, back)
            };
            passes.spawn(pass.instrument(span));
        }
        let due = queue.next_due();
        tokio::select! {
            Some(object) = wakes.next() => queue.wake(object),
            Some(ended) = passes.join_next() => {
                let (object, back) = ended.unwrap_or_else(|broken| std::panic::resume_unwind(broken.into_panic()));
                queue.ended(object, back.and_then(|wait| Instant::now().checked_add(wait)));
            }
            () = until(due) => {}
            () = stop.cancelled() => {}
        }
    }
    while passes.join_next().await.is_some() {}
}

/// Waits until `due`, or for ever.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Things that have a pass, wait for one, or come back later.
#[derive(Debug)]
struct Queue<T> {
    concurrency: usize,
    places: HashMap<T, Place>,
    ready: Turns<T>,
    later: BTreeMap<Time, T>,
    /// Makes each time in `later` unique.
    count: u64,
    /// Number of passes under way, by namespace.
    running: HashMap<String, usize>,
}

type Time = (Instant, u64);

#[derive(Debug)]
enum Place {
    Later(Time),
    Ready,
    Running {
        /// Whether another pass follows.
        woken: bool,
    },
}

/// A thing in a namespace.
trait Namespaced {
    fn namespace(&self) -> &str;
}

impl<K: Kind> Namespaced for ObjectRef<K> {
    fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }
}

impl<T: Namespaced + Clone + Eq + Hash> Queue<T> {
    fn new(concurrency: usize) -> Self {
        let (places, ready, later, running) = (
            HashMap::new(),
            Turns::default(),
            BTreeMap::new(),
            HashMap::new(),
        );
        Self {
            concurrency,
            places,
            ready,
            later,
            count: 0,
            running,
        }
    }

    /// Requests a pass over a thing.
    fn wake(&mut self, thing: T) {
        match self.places.get_mut(&thing) {
            Some(Place::Ready) => return,
            Some(Place::Running { woken }) => {
                *woken = true;
                return;
            }
            Some(Place::Later(time)) => drop(self.later.remove(time)),
            None => {}
        }
        self.enter(thing);
    }

    fn enter(&mut self, thing: T) {
        self.ready.push(thing.namespace(), thing.clone());
        self.places.insert(thing, Place::Ready);
    }

    /// The time at which the next thing comes back.
    fn next_due(&self) -> Option<Instant> {
        self.later.keys().next().map(|(due, _)| *due)
    }

    /// Requests a pass over each thing that comes back by `now`.
    fn advance(&mut self, now: Instant) {
        while let Some(first) = self
            .later
            .first_entry()
            .filter(|first| first.key().0 <= now)
        {
            let thing = first.remove();
            self.enter(thing);
        }
    }

    /// Begins the next pass, if one may begin. A few passes beyond the concurrency are for
    /// namespaces without any, which do not wait for slow passes of others.
    fn start(&mut self) -> Option<T> {
        let running: usize = self.running.values().sum();
        let reserve = (self.concurrency / RESERVE).max(1);
        let next = if running < self.concurrency {
            self.ready.pop()
        } else if running < self.concurrency + reserve {
            self.ready
                .pop_of(|namespace| !self.running.contains_key(namespace))
        } else {
            None
        };
        let thing = next?;
        *self
            .running
            .entry(thing.namespace().to_owned())
            .or_default() += 1;
        self.places
            .insert(thing.clone(), Place::Running { woken: false });
        Some(thing)
    }

    /// Ends a pass. The thing is due again at `back`, or when it is triggered.
    fn ended(&mut self, thing: T, back: Option<Instant>) {
        if let Entry::Occupied(mut running) = self.running.entry(thing.namespace().to_owned()) {
            *running.get_mut() -= 1;
            if *running.get() == 0 {
                running.remove();
            }
        }
        match (self.places.remove(&thing), back) {
            (Some(Place::Running { woken: true }), _) => self.enter(thing),
            (_, Some(back)) => {
                self.count += 1;
                let time = (back, self.count);
                self.later.insert(time, thing.clone());
                self.places.insert(thing, Place::Later(time));
            }
            (_, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A thing is `NAMESPACE/NAME`.
    impl Namespaced for String {
        fn namespace(&self) -> &str {
            self.split('/').next().unwrap_or_default()
        }
    }

    fn queue(
        concurrency: usize,
        things: impl IntoIterator<Item = impl Into<String>>,
    ) -> Queue<String> {
        let mut queue = Queue::new(concurrency);
        for thing in things {
            queue.wake(thing.into());
        }
        queue
    }

    fn started(queue: &mut Queue<String>) -> Vec<String> {
        std::iter::from_fn(|| queue.start()).collect()
    }

    #[test]
    fn many_objects_of_one_namespace_do_not_delay_another() {
        let mut queue = queue(4, (0..5000).map(|number| format!("many/{number}")));
        assert_eq!(
            started(&mut queue),
            ["many/0", "many/1", "many/2", "many/3"]
        );
        queue.wake("shop/web".to_owned());
        queue.wake("shop/api".to_owned());
        assert_eq!(
            started(&mut queue),
            ["shop/web"],
            "whatever the other passes wait for"
        );
        queue.ended("many/2".to_owned(), None);
        assert_eq!(started(&mut queue), [""; 0], "the reserve is in use");
        queue.ended("many/0".to_owned(), None);
        queue.ended("many/1".to_owned(), None);
        assert_eq!(started(&mut queue), ["many/4", "shop/api"], "in turn");
    }

    #[test]
    fn a_wake_during_a_pass_leads_to_one_more_pass_after_it() {
        let mut queue = queue(4, ["shop/web", "shop/web"]);
        assert_eq!(started(&mut queue), ["shop/web"]);
        queue.wake("shop/web".to_owned());
        queue.wake("shop/web".to_owned());
        assert_eq!(started(&mut queue), [""; 0]);
        queue.ended("shop/web".to_owned(), Some(Instant::now()));
        assert_eq!(started(&mut queue), ["shop/web"]);
        queue.ended("shop/web".to_owned(), None);
        assert_eq!((started(&mut queue), queue.next_due()), (vec![], None));
        assert!(queue.places.is_empty() && queue.running.is_empty() && queue.later.is_empty());
    }

    #[test]
    fn a_thing_comes_back_at_its_time_or_when_it_is_woken() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut queue = queue(4, ["shop/web", "shop/api"]);
        for thing in started(&mut queue) {
            queue.ended(thing, Some(start + second));
        }
        assert_eq!(queue.next_due(), Some(start + second));
        queue.advance(start);
        assert_eq!(started(&mut queue), [""; 0]);
        queue.wake("shop/web".to_owned());
        assert_eq!(started(&mut queue), ["shop/web"]);
        queue.advance(start + second);
        assert_eq!(started(&mut queue), ["shop/api"]);
        assert_eq!(queue.next_due(), None);
    }
}
