//! The watches, one for each kind. They fill the store of the kind and report each change.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use kube::api::ListParams;
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::{Store, store::Writer};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, ResourceExt};

use super::annotations::requested;
use super::availability::{Availability, Unavailable};
use super::namespaces::{Seen, together};
use super::object::{Object, Scope};
use super::{conditions, finalizer};
use crate::readiness::Readiness;
use ecs_operator_crds::GROUP;
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
    pub fn apis<K: Object>(&self, client: &kube::Client) -> Vec<Api<K>> {
        K::Scope::apis(client, &self.namespaces)
    }
}

/// Objects in a page of a list.
const PAGE: u32 = 100;

/// The events of a kind in one stream, be it watched in all namespaces or in some.
fn events<K: Object>(
    apis: Vec<Api<K>>,
    labels: Option<String>,
    store: Store<K>,
    availability: &Availability,
) -> BoxStream<'static, watcher::Result<Seen<K>>> {
    // Lists and watches, for streaming lists are off by default in Kubernetes 1.30, 1.31 and 1.33.
    // Short pages, for each is in memory whole.
    let config = watcher::Config {
        label_selector: labels,
        page_size: Some(PAGE),
        ..watcher::Config::default()
    };
    let one = |api| relisted(api, config.clone(), RETRY);
    match <[Api<K>; 1]>::try_from(apis) {
        Ok([api]) => one(api).map_ok(Seen::Event).boxed(),
        Err(apis) => {
            let named = apis
                .into_iter()
                .map(|api| (api.namespace().unwrap_or_default().to_owned(), one(api)));
            together(named.collect(), store, availability.clone()).boxed()
        }
    }
}

/// A watch that starts again with a list when the API server refuses to continue it, so that it
/// finds out when kind and rights are back. The first time after `pause`, and ever later while
/// nothing comes of it, up to sixteen times that.
fn relisted<K: Object>(
    api: Api<K>,
    config: watcher::Config,
    pause: Duration,
) -> BoxStream<'static, watcher::Result<Event<K>>> {
    let begin = move || {
        watcher(api.clone(), config.clone())
            .default_backoff()
            .boxed()
    };
    stream::unfold(
        (Some(begin()), 0, begin),
        move |(events, refusals, begin)| async move {
            let mut events = if let Some(events) = events {
                events
            } else {
                tokio::time::sleep(pause.saturating_mul(1 << (refusals - 1).min(4))).await;
                begin()
            };
            let event = events.next().await?;
            let (events, refusals) = match &event {
                Err(
                    watcher::Error::WatchStartFailed(error)
                    | watcher::Error::InitialListFailed(error),
                ) if Unavailable::of::<K>(error).is_some() => (None, refusals + 1),
                Ok(Event::Apply(_) | Event::Delete(_)) => (Some(events), 0),
                _ => (Some(events), refusals),
            };
            Some((event, (events, refusals, begin)))
        },
    )
    .boxed()
}

/// Waits until the kind is installed and we may read it, in one namespace at least; says meanwhile
/// what is in the way, and has the other kinds go on without it.
pub async fn available<K: Object>(
    apis: &[Api<K>],
    readiness: &Readiness,
    availability: &Availability,
) {
    let plural = K::plural(&());
    let one = ListParams::default().limit(1);
    loop {
        let lists = join_all(apis.iter().map(|api| super::request(api.list(&one)))).await;
        let Some(error) = lists
            .into_iter()
            .map(Result::err)
            .reduce(Option::and)
            .flatten()
        else {
            readiness.set(&plural, Err("its objects are being read".to_owned()));
            return;
        };
        let missing = match &error {
            super::RequestError::Kube(error) => Unavailable::of::<K>(error),
            super::RequestError::Timeout(_) => None,
        };
        if let Some(missing) = &missing {
            availability.set::<K>(None, missing.clone());
        }
        let problem = missing.map_or_else(
            || format!("the API server does not list {plural}: {error}"),
            |missing| missing.words,
        );
        if readiness.set(&plural, Err(problem.clone())) {
            tracing::warn!(kind = %K::kind(&()), "waiting: {problem}");
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// A change that a watch saw.
#[derive(Debug)]
pub enum Change<'a, K> {
    /// The object was created or changed.
    Applied {
        /// The object as it is now.
        object: &'a K,
        /// Whether the object itself needs a look.
        own: bool,
        /// Whether those that refer to it need one.
        others: bool,
    },
    /// The object is gone.
    Deleted(&'a K),
    /// All objects of a namespace were listed, or with `None` all of the kind. Objects that refer
    /// to one of them are triggered.
    Listed(Option<&'a str>),
}

/// Watches a kind forever, keeps the store of `writer` current and reports each change to `wake`.
pub async fn watch<K: Object>(
    apis: Vec<Api<K>>,
    labels: Option<String>,
    mut writer: Writer<K>,
    (readiness, availability): (&Readiness, &Availability),
    wake: impl Fn(Change<'_, K>),
) {
    let store = writer.as_reader();
    // Whether it is all that is watched of the kind.
    let is_whole = apis.len() == 1;
    let mut known = Known::default();
    // What there was before a list.
    let mut former = Vec::new();
    let mut events = events(apis, labels, store.clone(), availability);
    while let Some(seen) = events.next().await {
        let event = match seen {
            Ok(Seen::Event(event)) => Ok(event.modify(prune)),
            Ok(Seen::Listed(namespace)) => {
                readiness.set(&K::plural(&()), Ok(()));
                availability.loaded::<K>();
                wake(Change::Listed(Some(&namespace)));
                continue;
            }
            Err(error) => Err(error),
        };
        if matches!(event, Ok(Event::Init)) {
            former = store.state();
        }
        if let Ok(event) = &event {
            writer.apply_watcher_event(event);
        }
        match event {
            Ok(Event::Apply(object)) => {
                let (own, others) = known.applied(&object);
                wake(Change::Applied {
                    object: &object,
                    own,
                    others,
                });
            }
            Ok(Event::Delete(object)) => {
                known.0.remove(&object.uid().unwrap_or_default());
                wake(Change::Deleted(&object));
            }
            Ok(Event::InitDone) => {
                readiness.set(&K::plural(&()), Ok(()));
                begin(
                    &store.state(),
                    &std::mem::take(&mut former),
                    &mut known,
                    &wake,
                );
                // Only now that the index of references knows them.
                availability.loaded::<K>();
                wake(Change::Listed(None));
            }
            Ok(Event::Init | Event::InitApply(_)) => {}
            Err(error) => interrupted::<K>(&error, is_whole, readiness, availability),
        }
    }
}

/// Tells that the watch of a kind does not go on for now. Where the kind or the rights are missing,
/// the kind is unavailable; where `is_whole` is false, that is so in one namespace of several, and
/// the others go on.
fn interrupted<K: Object>(
    error: &watcher::Error,
    is_whole: bool,
    readiness: &Readiness,
    availability: &Availability,
) {
    let missing = match error {
        watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error) => {
            Unavailable::of::<K>(error)
        }
        _ => None,
    };
    let Some(missing) = missing else {
        tracing::warn!(kind = %K::kind(&()), %error, "the watch was interrupted");
        return;
    };
    if readiness.set(&K::plural(&()), Err(missing.words.clone())) {
        tracing::warn!(kind = %K::kind(&()), "the watch was interrupted: {}", missing.words);
    }
    if is_whole {
        availability.set::<K>(None, missing);
    }
}

/// What was last seen of each object, by UID. Hashes, for there may be many objects, and only a
/// change matters.
#[derive(Debug, Default)]
struct Known(HashMap<String, Shown>);

/// Hashes of what an object showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shown {
    own: u64,
    others: u64,
}

impl Known {
    /// Notes what an object shows now; answers whether it needs a look itself, and whether those
    /// that refer to it do.
    fn applied<K: Object>(&mut self, object: &K) -> (bool, bool) {
        let now = Shown {
            own: own_trigger(object),
            others: shown_to_others(object),
        };
        let before = self.0.insert(object.uid().unwrap_or_default(), now);
        // A status that does not speak of the present spec was wiped or never written.
        let observed =
            object.status().and_then(Status::observed_generation) == object.meta().generation;
        (
            before.is_none_or(|before| before.own != now.own) || !observed,
            before.is_none_or(|before| before.others != now.others),
        )
    }
}

/// What of an object calls for a look at it: its spec, its deletion, our finalizer, what its
/// annotations ask for.
fn own_trigger<K: Object>(object: &K) -> u64 {
    let meta = object.meta();
    let annotations = object.annotations();
    // Also unknown ones, which may be mistyped commands.
    let commands: Vec<_> = annotations
        .iter()
        .filter(|(name, _)| name.starts_with(GROUP))
        .collect();
    hash(&(
        meta.generation,
        meta.deletion_timestamp.is_some(),
        finalizer::is_set(object),
        requested(object),
        commands,
    ))
}

/// What of an object those that refer to it go by: see
/// [`references`](crate::reconcile::references).
fn shown_to_others<K: Object>(object: &K) -> u64 {
    let meta = object.meta();
    let status = object.status();
    let ready = status.and_then(|status| conditions::ready(status.conditions()));
    let ready = ready.map(|ready| (&ready.status, &ready.reason, &ready.message));
    let observed_generation = status.and_then(Status::observed_generation);
    hash(&(
        meta.generation,
        meta.deletion_timestamp.is_some(),
        observed_generation,
        ready,
        status.and_then(Status::arn),
    ))
}

fn hash(shown: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    shown.hash(&mut hasher);
    hasher.finish()
}

/// After a (re)list everything is looked at once, and what has gone meanwhile is forgotten.
fn begin<K: Object>(
    objects: &[Arc<K>],
    former: &[Arc<K>],
    known: &mut Known,
    wake: &impl Fn(Change<'_, K>),
) {
    known.0.clear();
    let listed: BTreeSet<_> = objects
        .iter()
        .map(|object| object.uid().unwrap_or_default())
        .collect();
    // Before the others: one of the same name may have come after it.
    for object in former
        .iter()
        .filter(|object| !listed.contains(&object.uid().unwrap_or_default()))
    {
        wake(Change::Deleted(object));
    }
    for object in objects {
        known.applied(&**object);
        wake(Change::Applied {
            object,
            own: true,
            others: false,
        });
    }
}

/// Drops what no decision needs before an object enters the store.
fn prune<K: ResourceExt>(object: &mut K) {
    object.managed_fields_mut().clear();
    object.annotations_mut().remove(LAST_APPLIED);
}

#[cfg(test)]
mod tests {
    use ecs_operator_crds::v1beta1::EcsTaskDefinition;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn only_what_somebody_goes_by_calls_for_a_look() {
        let ready = |message: &str| {
            json!([{"type": "Ready", "status": "True", "reason": "Succeeded", "message": message,
            "lastTransitionTime": "2026-01-01T00:00:00Z"}])
        };
        let mut object = json!({
            "apiVersion": "ecs-operator.dev/v1beta1",
            "kind": "EcsTaskDefinition",
            "metadata": {"name": "web", "namespace": "default", "uid": "u-1", "generation": 1, "resourceVersion": "1"},
            "spec": {"containerDefinitions": []},
            "status": {"observedGeneration": 1, "taskDefinitionArn": "web:1", "revisions": [1], "conditions": ready("it is there")},
        });
        let mut known = Known::default();
        let mut after = |path: &str, value: Value| {
            *object.pointer_mut(path).expect("a member") = value;
            known.applied::<EcsTaskDefinition>(
                &serde_json::from_value(object.clone()).expect("a valid object"),
            )
        };
        assert_eq!(
            after("/metadata/resourceVersion", json!("2")),
            (true, true),
            "nobody has seen it before"
        );
        assert_eq!(
            after("/metadata/resourceVersion", json!("3")),
            (false, false)
        );
        assert_eq!(after("/status/revisions", json!([1, 2])), (false, false));
        assert_eq!(
            after("/status/conditions", ready("it is there again")),
            (false, true)
        );
        assert_eq!(
            after("/status/taskDefinitionArn", json!("web:2")),
            (false, true)
        );
        assert_eq!(after("/metadata/generation", json!(2)), (true, true));
        assert_eq!(after("/status/observedGeneration", json!(2)), (false, true));
        assert_eq!(after("/status", json!({})), (true, true), "it was wiped");
        assert_eq!(
            after("/metadata/uid", json!("u-2")),
            (true, true),
            "another one of that name"
        );
    }

    #[test]
    fn forgets_objects_deleted_while_the_watch_was_down() {
        let object = |uid: &str| {
            let object = json!({"apiVersion": "ecs-operator.dev/v1beta1", "kind": "EcsTaskDefinition", "spec": {"containerDefinitions": []},
                "metadata": {"name": uid, "namespace": "default", "uid": uid}});
            Arc::new(serde_json::from_value::<EcsTaskDefinition>(object).expect("a valid object"))
        };
        let woken = std::cell::RefCell::new(Vec::new());
        let wake = |change: Change<'_, EcsTaskDefinition>| {
            woken.borrow_mut().push(match change {
                Change::Applied {
                    object,
                    own: true,
                    others: false,
                } => {
                    format!("look at {}", object.name_any())
                }
                Change::Applied { .. } => "more than that".to_owned(),
                Change::Deleted(object) => format!("forget {}", object.name_any()),
                Change::Listed(_) => "all listed".to_owned(),
            });
        };
        begin(
            &[object("a"), object("b")],
            &[object("b"), object("c")],
            &mut Known::default(),
            &wake,
        );
        assert_eq!(*woken.borrow(), ["forget c", "look at a", "look at b"]);
    }

    /// An API server that lists nothing, and refuses as many requests after the first list.
    fn refusing(refusals: usize) -> kube::Client {
        let requests = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
            let is_watch = request
                .uri()
                .query()
                .is_some_and(|query| query.contains("watch=true"));
            let is_refused = (1..=refusals)
                .contains(&requests.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
            let deleted = json!({"type": "DELETED", "object": {"apiVersion": "ecs-operator.dev/v1beta1", "kind": "EcsTaskDefinition",
                "metadata": {"name": "web", "resourceVersion": "2"}, "spec": {"containerDefinitions": []}}});
            let (code, body) = match (is_refused, is_watch) {
                (true, _) => (
                    403,
                    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 403,
                    "reason": "Forbidden", "message": "no rights"}),
                ),
                (false, true) => (200, deleted),
                (false, false) => (
                    200,
                    json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []}),
                ),
            };
            let body = kube::client::Body::from(format!("{body}\n").into_bytes());
            let response = http::Response::builder()
                .status(code)
                .body(body)
                .expect("a response");
            std::future::ready(Ok::<_, std::convert::Infallible>(response))
        });
        kube::Client::new(service, "default")
    }

    #[tokio::test]
    async fn a_watch_that_is_refused_begins_anew_with_a_list() {
        let api = Api::<EcsTaskDefinition>::all(refusing(3));
        let events = relisted(api, watcher::Config::default(), Duration::from_millis(1));
        let events: Vec<_> = events.take(10).collect().await;
        let shape = |event: &watcher::Result<Event<EcsTaskDefinition>>| match event {
            Ok(Event::Init) => "list",
            Ok(Event::InitDone) => "listed",
            Ok(Event::Delete(_)) => "watched",
            Err(watcher::Error::WatchStartFailed(_)) => "no watch",
            Err(watcher::Error::InitialListFailed(_)) => "no list",
            other => panic!("{other:?}"),
        };
        let shapes: Vec<_> = events.iter().map(shape).collect();
        assert_eq!(
            shapes,
            [
                "list", "listed", "no watch", "list", "no list", "list", "no list", "list",
                "listed", "watched"
            ]
        );
    }
}
