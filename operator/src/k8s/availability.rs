//! Kinds that cannot be read, everywhere or in a namespace, because their definition or the rights to list them are missing.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::object::Object;

/// What is missing for a kind to be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The same in words.
    pub words: String,
    /// Whether its definition is there, and so perhaps objects that cannot be read.
    pub is_installed: bool,
}

/// Kinds that the operator does not serve, everywhere or in a namespace, because their definition or its rights are missing, and why.
/// The others work all the same; what refers to an object of such a kind waits.
#[derive(Clone, Debug, Default)]
pub struct Off(Arc<watch::Sender<BTreeMap<Place, Why>>>);

/// The plural of a kind, and one namespace of several; `None` where all that is watched is meant.
type Place = (String, Option<String>);

#[derive(Debug)]
struct Why {
    missing: Missing,
    /// Whether it was listed since, but its objects are not in the store yet.
    is_listed: bool,
}

impl Off {
    /// A kind is off in one namespace of several, or with `None` in all that is watched.
    pub fn set<K: Object>(&self, namespace: Option<&str>, missing: Missing) {
        let place = (K::plural(&()).into_owned(), namespace.map(str::to_owned));
        self.0.send_modify(|places| drop(places.insert(place, Why { missing, is_listed: false })));
    }

    /// A kind was listed in a namespace; it is on there once the list is in the store.
    pub fn listed<K: Object>(&self, namespace: &str) {
        let place = (K::plural(&()).into_owned(), Some(namespace.to_owned()));
        self.0.send_modify(|places| {
            if let Some(why) = places.get_mut(&place) {
                why.is_listed = true;
            }
        });
    }

    /// What was listed of a kind is in the store: it is on, but in the namespaces where it may not be listed.
    pub fn loaded<K: Object>(&self) {
        let of_kind = K::plural(&()).into_owned();
        self.0.send_modify(|places| {
            places.retain(|(plural, namespace), why| *plural != of_kind || (namespace.is_some() && !why.is_listed));
        });
    }

    /// Why a kind is off anywhere; `None` when it is on everywhere.
    #[must_use]
    pub fn why<K: Object>(&self) -> Option<Missing> {
        let places = self.0.borrow();
        places.iter().find(|((plural, _), _)| *plural == K::plural(&())).map(|(_, why)| why.missing.clone())
    }

    /// Why a kind is off in this namespace; `None` when it is on.
    #[must_use]
    pub fn why_in<K: Object>(&self, namespace: &str) -> Option<Missing> {
        let (places, plural) = (self.0.borrow(), K::plural(&()).into_owned());
        let why = places.get(&(plural.clone(), None)).or_else(|| places.get(&(plural, Some(namespace.to_owned()))));
        why.map(|why| why.missing.clone())
    }

    /// Awaits that a kind is off everywhere.
    pub async fn until<K: Object>(&self) {
        let everywhere = (K::plural(&()).into_owned(), None);
        // The sender is in `self`, so it is never gone.
        let _ = self.0.subscribe().wait_for(|places| places.contains_key(&everywhere)).await;
    }
}

impl Missing {
    /// What an error of a list says is missing; `None` where it is something else.
    pub(super) fn of<K: Object>(error: &kube::Error) -> Option<Self> {
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
