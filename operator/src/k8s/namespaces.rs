//! The watches of several namespaces as one. Where the operator has rights in some namespaces only, each has a watch of its own, and
//! the store behind them must not take the list of one for the list of all.

use std::collections::{HashMap, HashSet};

use futures::stream::{self, BoxStream, select_all};
use futures::{Stream, StreamExt};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::{self, Event};

use super::availability::{Missing, Off};
use super::object::Object;

/// Makes one stream of the watches of namespaces: it begins when every namespace was listed, and where one is listed anew, so is
/// all, with what `store` holds of the others. In `off` stands where the kind may not be listed.
pub(super) fn together<K: Object>(
    watches: Vec<(String, BoxStream<'static, watcher::Result<Event<K>>>)>,
    store: Store<K>,
    off: Off,
) -> impl Stream<Item = watcher::Result<Event<K>>> {
    let mut lists = Lists {
        listing: watches.iter().map(|(namespace, _)| (namespace.clone(), Listing::default())).collect(),
        store,
        off,
        has_begun: false,
    };
    let named = watches.into_iter().map(|(namespace, events)| events.map(move |event| (namespace.clone(), event)).boxed());
    select_all(named).flat_map(move |(namespace, event)| stream::iter(lists.take(&namespace, event)))
}

/// The namespaces whose list is not part of the store yet.
struct Lists<K: Object> {
    listing: HashMap<String, Listing<K>>,
    store: Store<K>,
    off: Off,
    /// Whether everything was listed once.
    has_begun: bool,
}

struct Listing<K: Object> {
    objects: HashMap<ObjectRef<K>, K>,
    is_complete: bool,
}

impl<K: Object> Default for Listing<K> {
    fn default() -> Self {
        Self { objects: HashMap::new(), is_complete: false }
    }
}

impl<K: Object> Lists<K> {
    /// What an event of one namespace means for all.
    fn take(&mut self, namespace: &str, event: watcher::Result<Event<K>>) -> Vec<watcher::Result<Event<K>>> {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                // What is wrong is told after what there is all the same.
                let rest = self.failed(namespace, &error);
                return rest.into_iter().chain([Err(error)]).collect();
            }
        };
        if matches!(event, Event::Init) {
            self.listing.entry(namespace.to_owned()).or_default();
        }
        if matches!(event, Event::InitDone) {
            self.off.listed::<K>(namespace);
        }
        let Some(listing) = self.listing.get_mut(namespace) else { return vec![Ok(event)] };
        match event {
            Event::InitApply(object) | Event::Apply(object) => {
                listing.objects.insert(ObjectRef::from_obj(&object), object);
            }
            Event::Delete(object) => {
                listing.objects.remove(&ObjectRef::from_obj(&object));
            }
            Event::Init => *listing = Listing::default(),
            Event::InitDone => listing.is_complete = true,
        }
        self.all_if_complete()
    }

    /// A namespace that cannot be listed, because there are no rights in it, does not keep the others waiting. It is listed again.
    fn failed(&mut self, namespace: &str, error: &watcher::Error) -> Vec<watcher::Result<Event<K>>> {
        let watcher::Error::InitialListFailed(error) = error else { return Vec::new() };
        let Some(missing) = Missing::of::<K>(error) else { return Vec::new() };
        // Before anybody misses what is there.
        self.off.set::<K>(Some(namespace), missing);
        let is_news =
            !self.has_begun || self.store.state().iter().any(|object| object.meta().namespace.as_deref() == Some(namespace));
        if !is_news {
            // It failed before, and nothing has changed; another list may have waited for this one.
            self.listing.remove(namespace);
            return if self.listing.is_empty() { Vec::new() } else { self.all_if_complete() };
        }
        if let Some(listing) = self.listing.get_mut(namespace) {
            listing.is_complete = true;
        }
        self.all_if_complete()
    }

    fn all_if_complete(&mut self) -> Vec<watcher::Result<Event<K>>> {
        if self.listing.values().all(|listing| listing.is_complete) { self.all() } else { Vec::new() }
    }

    /// The list of everything.
    fn all(&mut self) -> Vec<watcher::Result<Event<K>>> {
        self.has_begun = true;
        let listed: HashSet<String> = self.listing.keys().cloned().collect();
        let is_elsewhere = |object: &K| object.meta().namespace.as_ref().is_none_or(|namespace| !listed.contains(namespace));
        let others = self.store.state().into_iter().map(|object| (*object).clone()).filter(is_elsewhere);
        let new = self.listing.drain().flat_map(|(_, listing)| listing.objects.into_values());
        let objects: Vec<_> = others.chain(new).map(Event::InitApply).collect();
        [Event::Init].into_iter().chain(objects).chain([Event::InitDone]).map(Ok).collect()
    }
}

#[cfg(test)]
mod tests {
    use ecs_operator_crds::v1beta1::EcsCluster;
    use futures::channel::mpsc::{UnboundedSender, unbounded};
    use kube::ResourceExt;
    use kube::runtime::WatchStreamExt;
    use kube::runtime::reflector;

    use super::*;

    fn cluster(namespace: &str, name: &str) -> EcsCluster {
        let mut cluster = EcsCluster::new(name, serde_json::from_str("{}").unwrap());
        cluster.metadata.namespace = Some(namespace.to_owned());
        cluster
    }

    type Sender = UnboundedSender<watcher::Result<Event<EcsCluster>>>;

    fn refuse(sender: &Sender) {
        let refused = kube::core::Status::failure("no rights", "Forbidden").with_code(403).boxed();
        sender.unbounded_send(Err(watcher::Error::InitialListFailed(kube::Error::Api(refused)))).unwrap();
    }

    fn list(sender: &Sender, objects: &[EcsCluster]) {
        sender.unbounded_send(Ok(Event::Init)).unwrap();
        for object in objects {
            sender.unbounded_send(Ok(Event::InitApply(object.clone()))).unwrap();
        }
        sender.unbounded_send(Ok(Event::InitDone)).unwrap();
    }

    #[tokio::test]
    async fn a_store_holds_what_all_namespaces_hold() {
        let (store, writer) = reflector::store::<EcsCluster>();
        let ((a, in_a), (b, in_b)) = (unbounded(), unbounded());
        let watches = vec![("a".to_owned(), in_a.boxed()), ("b".to_owned(), in_b.boxed())];
        let off = Off::default();
        let is_off = |namespace| off.why_in::<EcsCluster>(namespace).is_some();
        let mut events = Box::pin(together(watches, store.clone(), off.clone()).reflect(writer));
        let mut names = async || {
            while let Ok(Some(event)) = tokio::time::timeout(std::time::Duration::ZERO, events.next()).await {
                if matches!(event, Ok(Event::InitDone)) {
                    off.loaded::<EcsCluster>();
                }
            }
            let mut names: Vec<_> =
                store.state().iter().map(|object| format!("{}/{}", object.namespace().unwrap(), object.name_any())).collect();
            names.sort();
            names
        };

        list(&a, &[cluster("a", "one"), cluster("a", "two")]);
        // It changes while the other namespace is still being listed.
        a.unbounded_send(Ok(Event::Apply(cluster("a", "three")))).unwrap();
        a.unbounded_send(Ok(Event::Delete(cluster("a", "two")))).unwrap();
        assert!(names().await.is_empty(), "half of it says nothing");
        list(&b, &[cluster("b", "one")]);
        assert_eq!(names().await, ["a/one", "a/three", "b/one"]);
        b.unbounded_send(Ok(Event::Apply(cluster("b", "two")))).unwrap();
        assert_eq!(names().await, ["a/one", "a/three", "b/one", "b/two"]);
        // One of them lost its rights: the others go on, and it comes back.
        b.unbounded_send(Ok(Event::Init)).unwrap();
        refuse(&b);
        assert_eq!(names().await, ["a/one", "a/three"]);
        assert!(is_off("b") && !is_off("a"), "there may be some that cannot be seen");
        b.unbounded_send(Ok(Event::Init)).unwrap();
        refuse(&b);
        a.unbounded_send(Ok(Event::Apply(cluster("a", "four")))).unwrap();
        assert_eq!(names().await, ["a/four", "a/one", "a/three"], "again and again, and nobody waits");
        // And while it is refused once more, the other is listed anew.
        b.unbounded_send(Ok(Event::Init)).unwrap();
        list(&a, &[cluster("a", "one"), cluster("a", "three")]);
        assert_eq!(names().await, ["a/four", "a/one", "a/three"]);
        refuse(&b);
        assert_eq!(names().await, ["a/one", "a/three"], "what was listed waits for nobody");
        assert!(is_off("b"), "the list of another says nothing of it");
        a.unbounded_send(Ok(Event::Init)).unwrap();
        list(&b, &[cluster("b", "one"), cluster("b", "two")]);
        assert_eq!(names().await, ["a/one", "a/three"], "the other one is being listed, too");
        assert!(is_off("b"), "nobody sees yet what is there");
        list(&a, &[cluster("a", "one"), cluster("a", "three")]);
        assert_eq!(names().await, ["a/one", "a/three", "b/one", "b/two"]);
        assert!(!is_off("b"));
        // One of them lost its place: what is gone there is gone, and the other is as it was.
        list(&a, &[cluster("a", "three")]);
        assert_eq!(names().await, ["a/three", "b/one", "b/two"]);
    }
}
