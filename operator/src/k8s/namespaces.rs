//! The watches of several namespaces as one. Where the operator has rights in some namespaces only,
//! each has a watch of its own, and the store behind them must not take the list of one for the
//! list of all.

use std::collections::HashMap;

use futures::stream::{self, BoxStream, select_all};
use futures::{Stream, StreamExt};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::{self, Event};

use super::availability::{Availability, Unavailable};
use super::object::Object;

/// What the watches of several namespaces see.
pub(super) enum Seen<K> {
    /// An event as one watch has it. At first it is the list of all namespaces.
    Event(Event<K>),
    /// A namespace was listed again, and events have told what changed there. The others are as
    /// they were.
    Listed(String),
}

/// Makes one stream of the watches of namespaces. It begins when every namespace was listed. When
/// one is listed again, it tells what has changed there, compared with `store`. `off` holds where
/// the kind may not be listed.
pub(super) fn together<K: Object>(
    watches: Vec<(String, BoxStream<'static, watcher::Result<Event<K>>>)>,
    store: Store<K>,
    availability: Availability,
) -> impl Stream<Item = watcher::Result<Seen<K>>> {
    let mut lists = Lists {
        listing: watches
            .iter()
            .map(|(namespace, _)| (namespace.clone(), Listing::default()))
            .collect(),
        store,
        availability,
        has_begun: false,
    };
    let named = watches
        .into_iter()
        .map(|(namespace, events)| events.map(move |event| (namespace.clone(), event)).boxed());
    select_all(named)
        .flat_map(move |(namespace, event)| stream::iter(lists.take(&namespace, event)))
}

/// The namespaces whose list is not part of the store yet.
struct Lists<K: Object> {
    listing: HashMap<String, Listing<K>>,
    store: Store<K>,
    availability: Availability,
    /// Whether everything was listed once.
    has_begun: bool,
}

struct Listing<K: Object> {
    objects: HashMap<ObjectRef<K>, K>,
    is_complete: bool,
}

impl<K: Object> Default for Listing<K> {
    fn default() -> Self {
        Self {
            objects: HashMap::new(),
            is_complete: false,
        }
    }
}

impl<K: Object> Lists<K> {
    /// What an event of one namespace means for all.
    fn take(
        &mut self,
        namespace: &str,
        event: watcher::Result<Event<K>>,
    ) -> Vec<watcher::Result<Seen<K>>> {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                // The error comes after what there is all the same.
                let rest = self.failed(namespace, &error);
                return rest.into_iter().map(Ok).chain([Err(error)]).collect();
            }
        };
        if matches!(event, Event::Init) {
            self.listing
                .insert(namespace.to_owned(), Listing::default());
        }
        if matches!(event, Event::InitDone) {
            self.availability.listed::<K>(namespace);
        }
        let Some(listing) = self.listing.get_mut(namespace) else {
            return vec![Ok(Seen::Event(event))];
        };
        match event {
            Event::InitApply(object) | Event::Apply(object) => {
                listing.objects.insert(ObjectRef::from_obj(&object), object);
            }
            Event::Delete(object) => {
                listing.objects.remove(&ObjectRef::from_obj(&object));
            }
            Event::Init => {}
            Event::InitDone if self.has_begun => {
                let listed = std::mem::take(&mut listing.objects);
                self.listing.remove(namespace);
                let events = self.changes(namespace, listed).into_iter();
                return events
                    .chain([Seen::Listed(namespace.to_owned())])
                    .map(Ok)
                    .collect();
            }
            Event::InitDone => listing.is_complete = true,
        }
        if self.has_begun {
            Vec::new()
        } else {
            self.all_if_complete().into_iter().map(Ok).collect()
        }
    }

    /// A namespace that cannot be listed, because there are no rights in it, does not keep the
    /// others waiting. It is listed again.
    fn failed(&mut self, namespace: &str, error: &watcher::Error) -> Vec<Seen<K>> {
        let watcher::Error::InitialListFailed(error) = error else {
            return Vec::new();
        };
        let Some(missing) = Unavailable::of::<K>(error) else {
            return Vec::new();
        };
        // Before any object misses what is there.
        self.availability.set::<K>(Some(namespace), missing);
        if self.has_begun {
            self.listing.remove(namespace);
            return self.changes(namespace, HashMap::new());
        }
        self.listing.insert(
            namespace.to_owned(),
            Listing {
                objects: HashMap::new(),
                is_complete: true,
            },
        );
        self.all_if_complete()
    }

    fn all_if_complete(&mut self) -> Vec<Seen<K>> {
        if self.listing.values().all(|listing| listing.is_complete) {
            self.all()
        } else {
            Vec::new()
        }
    }

    /// The list of everything.
    fn all(&mut self) -> Vec<Seen<K>> {
        self.has_begun = true;
        let objects = self
            .listing
            .drain()
            .flat_map(|(_, listing)| listing.objects.into_values());
        let objects: Vec<_> = objects.map(Event::InitApply).collect();
        [Event::Init]
            .into_iter()
            .chain(objects)
            .chain([Event::InitDone])
            .map(Seen::Event)
            .collect()
    }

    /// What has changed in a namespace where these objects are listed now.
    fn changes(&mut self, namespace: &str, listed: HashMap<ObjectRef<K>, K>) -> Vec<Seen<K>> {
        let is_gone = |object: &K| {
            let now = listed.get(&ObjectRef::from_obj(object));
            object.meta().namespace.as_deref() == Some(namespace)
                && now.is_none_or(|now| now.meta().uid != object.meta().uid)
        };
        let gone: Vec<_> = self
            .store
            .state()
            .into_iter()
            .filter(|object| is_gone(object))
            .collect();
        // Deletions come first: an object of the same name may have followed.
        let gone = gone
            .into_iter()
            .map(|object| Event::Delete((*object).clone()));
        gone.chain(listed.into_values().map(Event::Apply))
            .map(Seen::Event)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use ecs_operator_crds::v1beta1::EcsCluster;
    use futures::channel::mpsc::{UnboundedSender, unbounded};
    use kube::ResourceExt;
    use kube::runtime::reflector;

    use super::*;

    fn cluster(namespace: &str, name: &str) -> EcsCluster {
        let mut cluster = EcsCluster::new(name, serde_json::from_str("{}").unwrap());
        cluster.metadata.namespace = Some(namespace.to_owned());
        cluster
    }

    type Sender = UnboundedSender<watcher::Result<Event<EcsCluster>>>;

    fn refuse(sender: &Sender) {
        let refused = kube::core::Status::failure("no rights", "Forbidden")
            .with_code(403)
            .boxed();
        sender
            .unbounded_send(Err(watcher::Error::InitialListFailed(kube::Error::Api(
                refused,
            ))))
            .unwrap();
    }

    fn list(sender: &Sender, objects: &[EcsCluster]) {
        sender.unbounded_send(Ok(Event::Init)).unwrap();
        for object in objects {
            sender
                .unbounded_send(Ok(Event::InitApply(object.clone())))
                .unwrap();
        }
        sender.unbounded_send(Ok(Event::InitDone)).unwrap();
    }

    #[tokio::test]
    async fn a_store_holds_what_all_namespaces_hold() {
        let (store, mut writer) = reflector::store::<EcsCluster>();
        let ((a, in_a), (b, in_b)) = (unbounded(), unbounded());
        let watches = vec![
            ("a".to_owned(), in_a.boxed()),
            ("b".to_owned(), in_b.boxed()),
        ];
        let availability = Availability::default();
        let is_off = |namespace| availability.why_in::<EcsCluster>(namespace).is_some();
        let mut events = Box::pin(together(watches, store.clone(), availability.clone()));
        let mut names = async || {
            while let Ok(Some(seen)) =
                tokio::time::timeout(std::time::Duration::ZERO, events.next()).await
            {
                match seen {
                    Ok(Seen::Event(event)) => {
                        writer.apply_watcher_event(&event);
                        if matches!(event, Event::InitDone) {
                            availability.loaded::<EcsCluster>();
                        }
                    }
                    Ok(Seen::Listed(_)) => availability.loaded::<EcsCluster>(),
                    Err(_) => {}
                }
            }
            let mut names: Vec<_> = store
                .state()
                .iter()
                .map(|object| format!("{}/{}", object.namespace().unwrap(), object.name_any()))
                .collect();
            names.sort();
            names
        };

        list(&a, &[cluster("a", "one"), cluster("a", "two")]);
        // It changes while the other namespace is still being listed.
        a.unbounded_send(Ok(Event::Apply(cluster("a", "three"))))
            .unwrap();
        a.unbounded_send(Ok(Event::Delete(cluster("a", "two"))))
            .unwrap();
        assert!(names().await.is_empty(), "half of it says nothing");
        list(&b, &[cluster("b", "one")]);
        assert_eq!(names().await, ["a/one", "a/three", "b/one"]);
        b.unbounded_send(Ok(Event::Apply(cluster("b", "two"))))
            .unwrap();
        assert_eq!(names().await, ["a/one", "a/three", "b/one", "b/two"]);
        // One of them lost its rights: the others go on, and it comes back.
        b.unbounded_send(Ok(Event::Init)).unwrap();
        refuse(&b);
        assert_eq!(names().await, ["a/one", "a/three"]);
        assert!(
            is_off("b") && !is_off("a"),
            "there may be some that cannot be seen"
        );
        b.unbounded_send(Ok(Event::Init)).unwrap();
        refuse(&b);
        a.unbounded_send(Ok(Event::Apply(cluster("a", "four"))))
            .unwrap();
        assert_eq!(
            names().await,
            ["a/four", "a/one", "a/three"],
            "again and again, and nobody waits"
        );
        // And while it is refused once more, the other is listed again.
        b.unbounded_send(Ok(Event::Init)).unwrap();
        list(&a, &[cluster("a", "one"), cluster("a", "three")]);
        assert_eq!(
            names().await,
            ["a/one", "a/three"],
            "one list does not wait for the other"
        );
        refuse(&b);
        assert_eq!(names().await, ["a/one", "a/three"]);
        assert!(is_off("b"), "the list of another says nothing of it");
        a.unbounded_send(Ok(Event::Init)).unwrap();
        list(&b, &[cluster("b", "one"), cluster("b", "two")]);
        assert_eq!(
            names().await,
            ["a/one", "a/three", "b/one", "b/two"],
            "though the other one is being listed, too"
        );
        assert!(!is_off("b"));
        list(&a, &[cluster("a", "one"), cluster("a", "three")]);
        assert_eq!(names().await, ["a/one", "a/three", "b/one", "b/two"]);
        // One of them lost its place: what is gone there is gone, and the other is as it was.
        list(&a, &[cluster("a", "three")]);
        assert_eq!(names().await, ["a/three", "b/one", "b/two"]);
    }

    #[tokio::test]
    async fn the_list_of_one_namespace_says_nothing_of_another() {
        let (store, mut writer) = reflector::store::<EcsCluster>();
        let ((a, in_a), (b, in_b)) = (unbounded(), unbounded());
        let watches = vec![
            ("a".to_owned(), in_a.boxed()),
            ("b".to_owned(), in_b.boxed()),
        ];
        let mut events = Box::pin(together(watches, store.clone(), Availability::default()));
        let mut seen = async || {
            let mut seen = Vec::new();
            while let Ok(Some(Ok(next))) =
                tokio::time::timeout(std::time::Duration::ZERO, events.next()).await
            {
                let name = |object: &EcsCluster| {
                    format!("{}/{}", object.namespace().unwrap(), object.name_any())
                };
                seen.push(match &next {
                    Seen::Event(Event::Apply(object)) => format!("applied {}", name(object)),
                    Seen::Event(Event::Delete(object)) => format!("deleted {}", name(object)),
                    Seen::Event(_) => "list".to_owned(),
                    Seen::Listed(namespace) => format!("listed {namespace}"),
                });
                if let Seen::Event(event) = next {
                    writer.apply_watcher_event(&event);
                }
            }
            seen
        };
        list(&a, &[cluster("a", "one"), cluster("a", "two")]);
        list(&b, &[cluster("b", "one")]);
        assert_eq!(seen().await, ["list"; 5]);
        list(&a, &[cluster("a", "two")]);
        assert_eq!(seen().await, ["deleted a/one", "applied a/two", "listed a"]);
        refuse(&a);
        assert_eq!(seen().await, ["deleted a/two"]);
        assert_eq!(store.state().len(), 1);
    }
}
