//! Kinds that cannot be read, everywhere or in a namespace, because their definition or the rights
//! to list them are missing.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::object::Object;

/// What a kind lacks to be served: its definition, or the rights to list it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable {
    /// The same in words.
    pub words: String,
    /// Whether its definition is there, and so perhaps objects that cannot be read.
    pub is_installed: bool,
}

/// The kinds that the operator cannot serve, in all watched namespaces or in one of them, and why.
/// The other kinds are served all the same; an object that references one of an unavailable kind
/// waits.
#[derive(Clone, Debug, Default)]
pub struct Availability(Arc<watch::Sender<BTreeMap<Place, Reason>>>);

/// The plural of a kind, and a namespace; `None` stands for all watched namespaces.
type Place = (String, Option<String>);

#[derive(Debug)]
struct Reason {
    unavailable: Unavailable,
    /// Whether the kind was listed since, but its objects are not in the store yet.
    is_listed: bool,
}

impl Availability {
    /// Marks a kind as unavailable in one namespace, or with `None` in all watched namespaces.
    pub fn set<K: Object>(&self, namespace: Option<&str>, unavailable: Unavailable) {
        let place = (K::plural(&()).into_owned(), namespace.map(str::to_owned));
        self.0.send_modify(|places| {
            drop(places.insert(
                place,
                Reason {
                    unavailable,
                    is_listed: false,
                },
            ));
        });
    }

    /// Notes that a kind was listed in a namespace. It is available there after
    /// [`loaded`](Self::loaded).
    pub fn listed<K: Object>(&self, namespace: &str) {
        let place = (K::plural(&()).into_owned(), Some(namespace.to_owned()));
        self.0.send_modify(|places| {
            if let Some(why) = places.get_mut(&place) {
                why.is_listed = true;
            }
        });
    }

    /// Marks a kind as available, except in the namespaces where it cannot be listed. Called when
    /// the list is in the store.
    pub fn loaded<K: Object>(&self) {
        let of_kind = K::plural(&()).into_owned();
        self.0.send_modify(|places| {
            places.retain(|(plural, namespace), why| {
                *plural != of_kind || (namespace.is_some() && !why.is_listed)
            });
        });
    }

    /// Why a kind is unavailable in any namespace; `None` when it is available in all.
    #[must_use]
    pub fn why<K: Object>(&self) -> Option<Unavailable> {
        let places = self.0.borrow();
        places
            .iter()
            .find(|((plural, _), _)| *plural == K::plural(&()))
            .map(|(_, why)| why.unavailable.clone())
    }

    /// Why a kind is unavailable in this namespace; `None` when it is available.
    #[must_use]
    pub fn why_in<K: Object>(&self, namespace: &str) -> Option<Unavailable> {
        let (places, plural) = (self.0.borrow(), K::plural(&()).into_owned());
        let why = places
            .get(&(plural.clone(), None))
            .or_else(|| places.get(&(plural, Some(namespace.to_owned()))));
        why.map(|why| why.unavailable.clone())
    }

    /// Waits until a kind is unavailable in all watched namespaces.
    pub async fn until<K: Object>(&self) {
        let everywhere = (K::plural(&()).into_owned(), None);
        // The sender is in `self`, so it is never gone.
        let _ = self
            .0
            .subscribe()
            .wait_for(|places| places.contains_key(&everywhere))
            .await;
    }
}

impl Unavailable {
    /// What the error of a list says that the kind lacks; `None` for any other error.
    pub(super) fn of<K: Object>(error: &kube::Error) -> Option<Self> {
        let kube::Error::Api(status) = error else {
            return None;
        };
        let plural = K::plural(&());
        // Where no kind of the group is installed, the reply is no Kubernetes status; only its code
        // tells.
        if status.code == 404 {
            let words = format!(
                "the custom resource definition is not installed: apply the output of `ecs-operator crd` ({plural})"
            );
            return Some(Self {
                words,
                is_installed: false,
            });
        }
        let words = format!(
            "RBAC does not let the operator list {plural}: {}",
            status.message
        );
        status.is_forbidden().then_some(Self {
            words,
            is_installed: true,
        })
    }
}
