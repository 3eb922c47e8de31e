//! The watches: one per kind, shared by everybody. What they see goes into a store and wakes whom it concerns.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use futures::stream::BoxStream;
use kube::api::ListParams;
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::{ObjectRef, Store, store::Writer};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, ResourceExt};

use super::finalizer;
use super::namespaces::together;
use crate::http::Readiness;
use crate::reconcile::{Kind, Missing, Off, requested};
use ecs_operator_crds::COMMANDS;
use ecs_operator_crds::v1beta1::shared::Status;

/// How often the operator asks again whether a kind is installed and readable.
const RETRY: Duration = Duration::from_secs(2);

/// An annotation with a copy of the whole manifest, of no use to us.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Which objects the operator looks at.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Namespaces; none means all.
    pub namespaces: Vec<String>,
    /// Label selector, as in `kubectl get -l`; `None` means all.
    pub labels: Option<String>,
}

impl Selection {
    /// The API of a kind in all namespaces, or in each of those that are selected.
    #[must_use]
    pub fn apis<K: Kind>(&self, client: &kube::Client) -> Vec<Api<K>> {
        if self.namespaces.is_empty() {
            return vec![Api::all(client.clone())];
        }
        let each_once: BTreeSet<_> = self.namespaces.iter().collect();
        each_once.into_iter().map(|namespace| Api::namespaced(client.clone(), namespace)).collect()
    }
}

/// Objects in a page of a list.
const PAGE: u32 = 100;

/// The events of a kind in one stream, be it watched in all namespaces or in some.
fn events<K: Kind>(apis: Vec<Api<K>>, labels: Option<String>, store: Store<K>) -> BoxStream<'static, watcher::Result<Event<K>>> {
    // Lists and watches, for streaming lists are off by default in Kubernetes 1.30, 1.31 and 1.33. Short pages, for each is in memory whole.
    let config = watcher::Config { label_selector: labels, page_size: Some(PAGE), ..watcher::Config::default() };
    let one = |api| watcher(api, config.clone()).default_backoff().boxed();
    match <[Api<K>; 1]>::try_from(apis) {
        Ok([api]) => one(api),
        Err(apis) => {
            let named = apis.into_iter().map(|api| (api.namespace().unwrap_or_default().to_owned(), one(api)));
            together(named.collect(), store).boxed()
        }
    }
}

/// Waits until the kind is installed and we may read it, in one namespace at least; says meanwhile what is in the way, and has the other
/// kinds go on without it.
pub async fn available<K: Kind>(apis: &[Api<K>], readiness: &Readiness, off: &Off) {
    let plural = K::plural(&());
    let one = ListParams::default().limit(1);
    loop {
        let lists = join_all(apis.iter().map(|api| super::request(api.list(&one)))).await;
        let Some(error) = lists.into_iter().map(Result::err).reduce(Option::and).flatten() else {
            readiness.set(&plural, Err("its objects are being read".to_owned()));
            return;
        };
        let missing = match &error {
            super::RequestError::Kube(error) => Missing::of::<K>(error),
            super::RequestError::Timeout(_) => None,
        };
        if missing.is_some() {
            off.set::<K>(missing.clone());
        }
        let problem = missing.map_or_else(|| format!("the API server does not list {plural}: {error}"), |missing| missing.words);
        if readiness.set(&plural, Err(problem.clone())) {
            tracing::warn!(kind = %K::kind(&()), "waiting: {problem}");
        }
        tokio::time::sleep(RETRY).await;
    }
}

impl Missing {
    /// What an error of a list says is missing; `None` where it is something else.
    pub(super) fn of<K: Kind>(error: &kube::Error) -> Option<Self> {
        let kube::Error::Api(status) = error else { return None };
        let plural = K::plural(&());
        // Where no kind of the group is installed, the reply is no Kubernetes status; only its code tells.
        if status.code == 404 {
            let words =
                format!("the custom resource definition is not installed: apply the output of `ecs-operator crd` ({plural})");
            return Some(Self { words, is_installed: false });
        }
        let words = format!("RBAC does not let the operator list {plural}: {}", status.message);
        status.is_forbidden().then_some(Self { words, is_installed: true })
    }
}

/// A change that a watch saw.
#[derive(Debug)]
pub enum Change<'a, K> {
    /// The object was created or changed, or the watch began.
    Applied {
        /// The object as it is now.
        object: &'a K,
        /// Whether the object itself needs a look, and not only those that refer to it.
        own: bool,
    },
    /// The object is gone.
    Deleted(&'a K),
}

/// Watches a kind for ever, keeps `writer`'s store current and tells `wake` of each change.
pub async fn watch<K: Kind>(
    apis: Vec<Api<K>>,
    labels: Option<String>,
    writer: Writer<K>,
    (readiness, off): (&Readiness, &Off),
    wake: impl Fn(Change<'_, K>),
) {
    let store = writer.as_reader();
    let mut triggers = HashMap::new();
    let events = events(apis, labels, store.clone()).modify(prune).reflect(writer);
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(object)) => applied(&object, &mut triggers, &wake),
            Ok(Event::Delete(object)) => {
                triggers.remove(&ObjectRef::from_obj(&object));
                wake(Change::Deleted(&object));
            }
            Ok(Event::InitDone) => {
                readiness.set(&K::plural(&()), Ok(()));
                off.set::<K>(None);
                begin(&store, &mut triggers, &wake);
            }
            Ok(Event::Init | Event::InitApply(_)) => {}
            Err(error) => {
                tracing::warn!(kind = %K::kind(&()), %error, "the watch was interrupted");
                // One namespace of several: the others go on, and it is listed again and again until it can be.
                if let watcher::Error::InitialListFailed(error) = &error
                    && let Some(missing) = Missing::of::<K>(error)
                {
                    readiness.set(&K::plural(&()), Err(missing.words));
                }
            }
        }
    }
}

/// What of an object calls for a look: its spec, its deletion, our finalizer, what its annotations ask for.
type Trigger = (Option<i64>, bool, bool, Option<String>, Vec<Option<String>>);

fn applied<K: Kind>(object: &K, triggers: &mut HashMap<ObjectRef<K>, (String, Trigger)>, wake: &impl Fn(Change<'_, K>)) {
    let trigger = (
        object.meta().generation,
        object.meta().deletion_timestamp.is_some(),
        finalizer::is_set(object),
        requested(object),
        COMMANDS.iter().map(|command| object.annotations().get(*command).cloned()).collect(),
    );
    let identity = (object.uid().unwrap_or_default(), trigger);
    let before = triggers.insert(ObjectRef::from_obj(object), identity.clone());
    // A status that does not speak of the present spec was wiped or never written.
    let observed = object.status().and_then(Status::observed_generation) == object.meta().generation;
    let own = before != Some(identity) || !observed;
    wake(Change::Applied { object, own });
}

/// After a (re)list: everything is looked at once, and what has gone meanwhile is forgotten.
fn begin<K: Kind>(store: &Store<K>, triggers: &mut HashMap<ObjectRef<K>, (String, Trigger)>, wake: &impl Fn(Change<'_, K>)) {
    triggers.retain(|object, _| store.get(object).is_some());
    for (uid, _) in triggers.values_mut() {
        uid.clear();
    }
    for object in store.state() {
        applied(object.as_ref(), triggers, wake);
    }
}

/// Drops what no decision needs before an object enters the store.
fn prune<K: ResourceExt>(object: &mut K) {
    object.managed_fields_mut().clear();
    object.annotations_mut().remove(LAST_APPLIED);
}
