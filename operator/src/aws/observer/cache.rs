//! One cache of the observer: the last answer for each key, and the objects that watch it.
//! [`batch`](super::batch) reads the keys that are requested or due.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::batch::run;
use super::entry::{Entry, LAG};
use super::state::{ReadRequest, Reading, Requester, Shared, State, Watched, interval};
use super::types::{Answer, Freshness, Key, Pace, Seen, Sweep};
use crate::aws::call::Calls;
use crate::aws::{AwsError, ErrorKind};
use crate::trigger::{ObjectId, Triggers};

/// Answers about objects of one kind.
#[derive(Debug)]
pub struct Cache<K: Key> {
    shared: Arc<Shared<K>>,
    requests: mpsc::UnboundedSender<ReadRequest<K>>,
}

impl<K: Key> Cache<K> {
    pub(super) fn start(calls: Arc<Calls>, sweep: Sweep, triggers: Triggers) -> Self {
        let state = Mutex::new(State {
            cache: HashMap::new(),
            watched: HashMap::new(),
            keys: HashMap::new(),
            creating: HashMap::new(),
            confirming: HashSet::new(),
            refused: HashMap::new(),
        });
        let shared = Arc::new(Shared {
            calls,
            sweep,
            triggers,
            state,
        });
        let (requests, incoming) = mpsc::unbounded_channel();
        tokio::spawn(run(Arc::clone(&shared), incoming));
        Self { shared, requests }
    }

    /// What the cache has, however old.
    #[must_use]
    pub fn cached(&self, key: &K) -> Option<Seen> {
        self.shared
            .state()
            .cache
            .get(key)
            .filter(|entry| entry.is_valid())
            .map(Entry::seen)
    }

    /// The answer about `key`, from the cache where that is fresh enough, else read together with
    /// other requests. `namespace` is that of the object that needs the answer; namespaces take
    /// turns.
    ///
    /// # Errors
    /// When the read fails.
    pub async fn get(
        &self,
        key: K,
        freshness: Freshness,
        namespace: &str,
    ) -> Result<Seen, AwsError> {
        let is_young = |entry: &Entry| match freshness {
            Freshness::Any => true,
            Freshness::Since(moment) | Freshness::Confirmed(moment) => entry.at >= moment,
        };
        let fresh = |entry: &&mut Entry| entry.is_valid() && is_young(entry);
        if let Some(entry) = self.shared.state().cache.get_mut(&key).filter(fresh) {
            entry.asked = Instant::now();
            return Ok(entry.seen());
        }
        if let Freshness::Confirmed(_) = freshness {
            self.shared.state().confirming.insert(key.clone());
        }
        let (reply, answer) = oneshot::channel();
        let stopped = || {
            AwsError::new(
                K::OPERATION,
                ErrorKind::Server,
                "the operator is shutting down",
            )
        };
        let requester = Requester {
            namespace: namespace.to_owned(),
            reply,
        };
        self.requests
            .send(ReadRequest { key, requester })
            .map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// Enters the reply to a write, so that no read is needed. Triggers other watchers of the same
    /// key.
    pub fn enter(&self, key: K, answer: Answer) -> Seen {
        let seen = Seen {
            at: Instant::now(),
            answer,
        };
        let mut state = self.shared.state();
        state.creating.remove(&key);
        let entry = Entry::written(state.cache.remove(&key), &seen);
        if state
            .watched
            .get(&key)
            .is_some_and(|watched| watched.watchers.len() > 1)
        {
            self.shared.wake(&state, &key);
        }
        state.cache.insert(key, entry);
        seen
    }

    /// Invalidates the answer after a failed write. What earlier writes have made is known
    /// all the same, for the reads to come may lag behind those.
    pub fn invalidate(&self, key: &K) {
        let cache = &mut self.shared.state().cache;
        if let Some(entry) = cache
            .remove(key)
            .filter(|entry| entry.is_written_before(Instant::now()))
        {
            cache.insert(key.clone(), entry.doubted());
        }
    }

    /// Notes that a creation is about to be sent. Its result is unknown until
    /// [`not_created`](Self::not_created) or [`enter`](Self::enter). Answers when an earlier one
    /// was sent of which that is not known.
    #[must_use]
    pub fn creating(&self, key: K) -> Option<Instant> {
        self.shared.state().creating.insert(key, Instant::now())
    }

    /// A creation was refused: it has made nothing. Of the one `before` it that says nothing.
    pub fn not_created(&self, key: &K, before: Option<Instant>) {
        let mut state = self.shared.state();
        match before {
            Some(before) => state.creating.insert(key.clone(), before),
            None => state.creating.remove(key),
        };
    }

    /// Whether `key` may be there although AWS does not show it: its creation was sent a short time
    /// ago and got no reply.
    #[must_use]
    pub fn may_be_there(&self, key: &K) -> bool {
        self.shared
            .state()
            .creating
            .get(key)
            .is_some_and(|sent| sent.elapsed() < LAG)
    }

    /// Whether a write of ours was so short a time ago that AWS may not show it everywhere yet.
    #[must_use]
    pub fn is_written_lately(&self, key: &K) -> bool {
        self.shared
            .state()
            .cache
            .get(key)
            .is_some_and(|entry| entry.is_written_before(Instant::now()))
    }

    /// Polls these keys and triggers `watcher` when an answer changes. Replaces what `watcher`
    /// watched before.
    pub fn watch(&self, keys: &[(K, Pace)], watcher: &ObjectId) {
        let only: Vec<_> = keys.iter().map(|(key, _)| key.clone()).collect();
        self.shared.state().unwatch(watcher, &only);
        for (key, pace) in keys {
            self.add(key.clone(), watcher, *pace);
        }
    }

    fn add(&self, key: K, watcher: &ObjectId, pace: Pace) {
        let mut state = self.shared.state();
        let last = state.cache.get(&key).map(|seen| seen.at);
        let sweep = self.shared.sweep;
        let entry = state.watched.entry(key.clone()).or_insert_with(|| {
            // What was never read is trusted for now; random, so that a restart does not read
            // everything at once.
            let due = last.map_or_else(
                || Instant::now() + interval(sweep, pace).mul_f64(fastrand::f64()),
                |at| at + interval(sweep, pace),
            );
            let since = Instant::now();
            Watched {
                watchers: Vec::new(),
                pace,
                since,
                due,
                hinted: None,
                read: Reading::No,
                refused: 0,
            }
        });
        if entry.pace != pace {
            entry.pace = pace;
            if entry.hinted.is_none() {
                entry.due = Instant::now() + interval(sweep, pace);
            }
        }
        if !entry.watchers.contains(watcher) {
            entry.watchers.push(watcher.clone());
            state.keys.entry(watcher.clone()).or_default().push(key);
        }
    }

    /// Polls at this pace what `watcher` watches, if it watches anything.
    pub(super) fn set_pace(&self, watcher: &ObjectId, pace: Pace) {
        let keys = self.shared.state().keys.get(watcher).cloned();
        for key in keys.into_iter().flatten() {
            self.add(key, watcher, pace);
        }
    }

    /// How old the oldest answer is that is kept fresh.
    pub(super) fn age(&self) -> Option<Duration> {
        let state = self.shared.state();
        let at = |(key, watched): (&K, &Watched)| {
            state.cache.get(key).map_or(watched.since, |entry| entry.at)
        };
        state
            .watched
            .iter()
            .map(at)
            .min()
            .map(|oldest| oldest.elapsed())
    }

    /// Schedules an early read of `key`, if it is watched, and returns its watchers.
    pub(in crate::aws) fn hint(&self, key: &K) -> Vec<ObjectId> {
        self.shared.state().hint(key)
    }

    /// Reads again soon what `watcher` watches, if it is meant.
    pub(in crate::aws) fn hint_of(&self, watcher: &ObjectId, is_meant: impl Fn(&K) -> bool) {
        let mut state = self.shared.state();
        let keys = state.keys.get(watcher).into_iter().flatten();
        let meant: Vec<_> = keys.filter(|key| is_meant(key)).cloned().collect();
        for key in meant {
            state.hint(&key);
        }
    }

    /// Ends the watch of `watcher`, and drops the answer when it has no other watcher.
    pub fn unwatch(&self, watcher: &ObjectId) {
        self.shared.state().unwatch(watcher, &[]);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use aws_config::BehaviorVersion;
    use aws_types::SdkConfig;
    use ecs_operator_crds::v1beta1::EcsService;

    use super::super::batch::may_be_read;
    use super::*;
    use crate::aws::ecs::{ClusterKey, FamilyKey, ServiceDeploymentKey, ServiceKey};
    use crate::aws::read_budget::Turn;
    use crate::leadership::Leadership;
    use crate::metrics::AwsMetrics;

    fn cache<K: Key>() -> Cache<K> {
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .build();
        let calls = Arc::new(Calls::new(
            &config,
            None,
            Leadership::always_leader(),
            AwsMetrics::new(Arc::default(), "", ""),
        ));
        let hour = Duration::from_secs(3600);
        Cache::start(
            calls,
            Sweep {
                active: hour,
                steady: hour,
                task_definitions: hour,
            },
            Triggers::default(),
        )
    }

    /// Keys that a pass in a namespace waits for.
    fn waiting<K: Key>(
        keys: impl IntoIterator<Item = (K, &'static str)>,
    ) -> BTreeMap<K, Vec<Requester>> {
        let requester = |namespace: &str| Requester {
            namespace: namespace.to_owned(),
            reply: oneshot::channel().0,
        };
        keys.into_iter()
            .map(|(key, namespace)| (key, vec![requester(namespace)]))
            .collect()
    }

    #[tokio::test]
    async fn many_families_of_one_namespace_are_read_apart() {
        let many = (0..20).map(|number| (FamilyKey(format!("many-{number}")), "many"));
        let few = [
            (FamilyKey("web".to_owned()), "shop"),
            (FamilyKey("api".to_owned()), "other"),
        ];
        let mut batches = cache::<FamilyKey>()
            .shared
            .batches(&waiting(many.chain(few)));
        batches.sort_by_key(|(_, keys)| keys.len());
        let of = |namespaces: &[&str]| {
            Turn::Of(
                namespaces
                    .iter()
                    .map(|namespace| (*namespace).to_owned())
                    .collect(),
            )
        };
        let calls: Vec<_> = batches
            .into_iter()
            .map(|(turn, keys)| (turn, keys.len()))
            .collect();
        assert_eq!(calls, [(of(&["other", "shop"]), 2), (of(&["many"]), 20)]);
        // Clusters share a call whatever their number.
        let many = (0..20).map(|number| (ClusterKey(format!("many-{number}")), "many"));
        let batches = cache::<ClusterKey>().shared.batches(&waiting(
            many.chain([(ClusterKey("web".to_owned()), "shop")]),
        ));
        assert_eq!(batches.len(), 1);
    }

    #[tokio::test]
    async fn a_hint_concerns_the_deployment_that_the_watchers_of_its_service_watch() {
        let (services, deployments) = (cache::<ServiceKey>(), cache::<ServiceDeploymentKey>());
        let service = |name: &str| ServiceKey {
            cluster: "shop".to_owned(),
            name: name.to_owned(),
        };
        let deployment = |name: &str| {
            ServiceDeploymentKey(format!("arn:aws:ecs:e:1:service-deployment/shop/{name}/x"))
        };
        for name in ["web", "api"] {
            let watcher = ObjectId::new::<EcsService>(Some("default"), name);
            services.watch(&[(service(name), Pace::Steady)], &watcher);
            deployments.watch(&[(deployment(name), Pace::Active)], &watcher);
        }
        let watchers = services.hint(&service("web"));
        assert_eq!(
            watchers,
            [ObjectId::new::<EcsService>(Some("default"), "web")]
        );
        assert_eq!(services.hint(&service("other")), []);
        deployments.hint_of(&watchers[0], |key| key.is_of(&service("web")));
        deployments.hint_of(&watchers[0], |key| key.is_of(&service("api")));
        let is_hinted = |name| {
            deployments.shared.state().watched[&deployment(name)]
                .hinted
                .is_some()
        };
        assert!(is_hinted("web") && !is_hinted("api"));
    }

    #[tokio::test]
    async fn a_watcher_watches_several_keys_and_no_others() {
        let services = cache::<ServiceKey>();
        let key = |name: &str| ServiceKey {
            cluster: "shop".to_owned(),
            name: name.to_owned(),
        };
        let [first, second] =
            ["first", "second"].map(|name| ObjectId::new::<EcsService>(Some("default"), name));
        let watched = || {
            let state = services.shared.state();
            let mut names: Vec<_> = state.watched.keys().map(|key| key.name.clone()).collect();
            names.sort();
            names
        };
        let steady = |name| (key(name), Pace::Steady);
        services.watch(&[steady("a"), steady("b")], &first);
        services.watch(&[steady("b"), steady("c")], &second);
        assert_eq!(watched(), ["a", "b", "c"]);
        services.set_pace(&first, Pace::Active);
        assert_eq!(watched(), ["a", "b", "c"]);
        services.watch(&[steady("a")], &first);
        assert_eq!(watched(), ["a", "b", "c"], "the other watches b");
        services.unwatch(&second);
        assert_eq!(watched(), ["a"]);
        services.unwatch(&first);
        assert_eq!(watched(), [""; 0]);
        assert!(services.shared.state().keys.is_empty());
    }

    #[test]
    fn a_hint_asks_for_a_read_that_is_yet_to_be_sent() {
        let now = Instant::now();
        let (before, after) = (now, now + Duration::from_secs(2));
        let sent = now + Duration::from_secs(1);
        let rows = [
            (Reading::No, None, true),
            (Reading::Waits, None, false),
            // It will show what happened until then.
            (Reading::Waits, Some(after), false),
            (Reading::Sent(sent), None, false),
            (Reading::Sent(sent), Some(before), false),
            (Reading::Sent(sent), Some(after), true),
        ];
        for (read, hinted, may) in rows {
            let (since, due, pace) = (now, now, Pace::Steady);
            let watched = Watched {
                watchers: Vec::new(),
                pace,
                since,
                due,
                hinted,
                read,
                refused: 0,
            };
            assert_eq!(may_be_read(&watched), may, "{read:?} {hinted:?}");
        }
    }
}
