//! The index of references: which custom resource refers to which, kept current by the watches.
//!
//! It finds the objects to trigger when an object changes, the objects that a deletion waits for,
//! and the users of a part of an AWS object, without a scan of all objects.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::trigger::ObjectId;

/// What a custom resource refers to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reference {
    /// The custom resource of this kind and name in the namespace of the object, whether or not it
    /// exists.
    Object {
        /// Kind of the target.
        kind: &'static str,
        /// Name of the target.
        name: String,
    },
    /// The custom resources of this kind in the namespace of the object that stand for the AWS
    /// object of this name, whether or not there are any.
    Named {
        /// Kind of the targets.
        kind: &'static str,
        /// Name of the AWS object, as [`Kind::aws_name`](super::Kind::aws_name) gives it.
        aws_name: String,
    },
    /// A part of an AWS object that custom resources of this kind stand for, in any namespace: a
    /// revision of a task definition.
    Part {
        /// Kind of the custom resources.
        kind: &'static str,
        /// Name of the AWS object, as [`Kind::aws_name`](super::Kind::aws_name) gives it: a family.
        aws_name: String,
        /// The part: `family:revision`.
        part: String,
    },
    /// An AWS object by its ARN, which must be in the account and Region of the object.
    Arn {
        /// Member of the spec that has the ARN.
        field: &'static str,
        /// The ARN.
        arn: String,
    },
}

/// The index.
#[derive(Debug, Default)]
pub struct Index {
    state: Mutex<State>,
    /// Kinds whose objects are all entered.
    complete: watch::Sender<BTreeSet<String>>,
}

#[derive(Debug, Default)]
struct State {
    objects: HashMap<ObjectId, Entry>,
    /// Objects by what they refer to.
    referrers: HashMap<ObjectId, BTreeSet<ObjectId>>,
    /// Objects by the namespace, kind and name in AWS of what they refer to.
    namers: HashMap<InNamespace, BTreeSet<ObjectId>>,
    /// Objects by the parts of AWS objects that they use.
    users: HashMap<Named, BTreeSet<ObjectId>>,
    /// Objects by the AWS object that they stand for.
    names: HashMap<Named, BTreeSet<ObjectId>>,
}

/// A kind, and a name in AWS.
type Named = (Cow<'static, str>, String);

/// The same in a namespace.
type InNamespace = (Option<String>, Named);

/// What the index knows of one object.
#[derive(Debug, Default)]
struct Entry {
    aws_name: Option<String>,
    references: BTreeSet<Reference>,
}

impl Index {
    /// Enters what an object that was created or changed refers to and stands for now. Returns what
    /// it referred to before and no longer does.
    pub fn apply(
        &self,
        object: &ObjectId,
        aws_name: Option<String>,
        references: Vec<Reference>,
    ) -> BTreeSet<ObjectId> {
        let mut state = self.state();
        let before = state.objects.remove(object).unwrap_or_default();
        let now = Entry {
            aws_name,
            references: references.into_iter().collect(),
        };
        let released = state.change(object, &before, &now);
        state.objects.insert(object.clone(), now);
        released
    }

    /// Removes an object. Returns what it referred to.
    pub fn remove(&self, object: &ObjectId) -> BTreeSet<ObjectId> {
        let mut state = self.state();
        let before = state.objects.remove(object).unwrap_or_default();
        state.change(object, &before, &Entry::default())
    }

    /// The objects that refer to `target`, whether or not it exists, by its name or by the name of
    /// the AWS object that it stands for.
    #[must_use]
    pub fn referrers(&self, target: &ObjectId) -> Vec<ObjectId> {
        let state = self.state();
        let aws_name = state
            .objects
            .get(target)
            .and_then(|entry| entry.aws_name.clone());
        let namers = aws_name.and_then(|name| {
            let named = (target.kind.clone(), name);
            state.namers.get(&(target.namespace.clone(), named))
        });
        union([state.referrers.get(target), namers].into_iter().flatten())
    }

    /// The objects that refer to any object of `kind`.
    #[must_use]
    pub fn referrers_of_kind(&self, kind: &str) -> Vec<ObjectId> {
        let state = self.state();
        let referrers = state
            .referrers
            .iter()
            .filter(|(target, _)| target.kind == kind)
            .map(|(_, referrers)| referrers);
        let namers = state
            .namers
            .iter()
            .filter(|((_, (of, _)), _)| of == kind)
            .map(|(_, namers)| namers);
        union(referrers.chain(namers))
    }

    /// The objects that use a part of an AWS object of `kind`.
    #[must_use]
    pub fn users(&self, kind: &'static str, part: &str) -> Vec<ObjectId> {
        listed(self.state().users.get(&(kind.into(), part.to_owned())))
    }

    /// The objects of `kind` that stand for the AWS object of this name.
    #[must_use]
    pub fn named(&self, kind: &'static str, aws_name: &str) -> Vec<ObjectId> {
        listed(self.state().names.get(&(kind.into(), aws_name.to_owned())))
    }

    /// All objects of a kind are entered.
    pub fn complete(&self, kind: &str) {
        self.complete
            .send_if_modified(|kinds| kinds.insert(kind.to_owned()));
    }

    /// Waits until all objects of a kind are entered.
    pub async fn until_complete(&self, kind: &str) {
        // The sender is in `self`, so it is never gone.
        let _ = self
            .complete
            .subscribe()
            .wait_for(|kinds| kinds.contains(kind))
            .await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Changes what is known of `object`, and returns what it no longer refers to.
    fn change(&mut self, object: &ObjectId, before: &Entry, now: &Entry) -> BTreeSet<ObjectId> {
        let named = |entry: &Entry| {
            entry
                .aws_name
                .clone()
                .map(|name| (object.kind.clone(), name))
        };
        if before.aws_name != now.aws_name {
            if let Some(name) = named(before) {
                remove(&mut self.names, &name, object);
            }
            if let Some(name) = named(now) {
                insert(&mut self.names, name, object);
            }
        }
        for reference in now.references.difference(&before.references) {
            match reference {
                Reference::Object { kind, name } => {
                    insert(&mut self.referrers, target(object, kind, name), object);
                }
                Reference::Named { kind, aws_name } => {
                    let named = ((*kind).into(), aws_name.clone());
                    insert(&mut self.namers, (object.namespace.clone(), named), object);
                }
                Reference::Part {
                    kind,
                    aws_name: _,
                    part,
                } => insert(&mut self.users, ((*kind).into(), part.clone()), object),
                Reference::Arn { .. } => {}
            }
        }
        let mut released = BTreeSet::new();
        for reference in before.references.difference(&now.references) {
            match reference {
                Reference::Object { kind, name } => {
                    let target = target(object, kind, name);
                    remove(&mut self.referrers, &target, object);
                    released.insert(target);
                }
                Reference::Named { kind, aws_name } => {
                    let named = ((*kind).into(), aws_name.clone());
                    let targets = self.names.get(&named).into_iter().flatten();
                    let is_here = |target: &&ObjectId| target.namespace == object.namespace;
                    released.extend(targets.filter(is_here).cloned());
                    remove(&mut self.namers, &(object.namespace.clone(), named), object);
                }
                Reference::Part {
                    kind,
                    aws_name,
                    part,
                } => {
                    remove(&mut self.users, &((*kind).into(), part.clone()), object);
                    released.extend(
                        self.names
                            .get(&((*kind).into(), aws_name.clone()))
                            .into_iter()
                            .flatten()
                            .cloned(),
                    );
                }
                Reference::Arn { .. } => {}
            }
        }
        released
    }
}

fn target(object: &ObjectId, kind: &'static str, name: &str) -> ObjectId {
    ObjectId {
        kind: kind.into(),
        namespace: object.namespace.clone(),
        name: name.to_owned(),
    }
}

fn insert<K: Eq + Hash>(map: &mut HashMap<K, BTreeSet<ObjectId>>, key: K, object: &ObjectId) {
    map.entry(key).or_default().insert(object.clone());
}

fn remove<K: Eq + Hash>(map: &mut HashMap<K, BTreeSet<ObjectId>>, key: &K, object: &ObjectId) {
    if let Some(objects) = map.get_mut(key) {
        objects.remove(object);
        if objects.is_empty() {
            map.remove(key);
        }
    }
}

/// All of these objects, each once.
fn union<'a>(sets: impl Iterator<Item = &'a BTreeSet<ObjectId>>) -> Vec<ObjectId> {
    let all: BTreeSet<_> = sets.flatten().cloned().collect();
    all.into_iter().collect()
}

fn listed(objects: Option<&BTreeSet<ObjectId>>) -> Vec<ObjectId> {
    objects.into_iter().flatten().cloned().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn id(kind: &'static str, namespace: &str, name: &str) -> ObjectId {
        ObjectId {
            kind: kind.into(),
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
        }
    }

    fn part(revision: &str) -> Reference {
        let aws_name = revision.split(':').next().unwrap_or_default().to_owned();
        Reference::Part {
            kind: "Definition",
            aws_name,
            part: revision.to_owned(),
        }
    }

    fn object(name: &str) -> Reference {
        Reference::Object {
            kind: "Definition",
            name: name.to_owned(),
        }
    }

    fn named(name: &str) -> Reference {
        Reference::Named {
            kind: "Definition",
            aws_name: name.to_owned(),
        }
    }

    fn set(ids: impl IntoIterator<Item = ObjectId>) -> BTreeSet<ObjectId> {
        ids.into_iter().collect()
    }

    #[test]
    fn releases_the_objects_that_stand_for_a_part_that_is_no_longer_used() {
        let index = Index::default();
        for (namespace, name) in [("shop", "web"), ("shop", "api"), ("desk", "web")] {
            index.apply(
                &id("Definition", namespace, name),
                Some(name.to_owned()),
                Vec::new(),
            );
        }
        let service = id("Service", "shop", "a");
        assert_eq!(index.apply(&service, None, vec![part("web:1")]), set([]));
        assert_eq!(
            index.apply(&service, None, vec![part("web:1"), part("web:2")]),
            set([]),
            "it still uses the first"
        );
        assert_eq!(index.users("Definition", "web:1"), [service.clone()][..]);
        let both = set([
            id("Definition", "desk", "web"),
            id("Definition", "shop", "web"),
        ]);
        assert_eq!(index.apply(&service, None, vec![part("web:2")]), both);
        assert_eq!(index.users("Definition", "web:1"), []);
        index.remove(&id("Definition", "desk", "web"));
        assert_eq!(
            index.remove(&service),
            set([id("Definition", "shop", "web")])
        );
        assert_eq!(index.users("Definition", "web:2"), []);
    }

    #[test]
    fn releases_the_object_that_an_edited_reference_named() {
        let (index, service) = (Index::default(), id("Service", "shop", "a"));
        index.apply(&service, None, vec![object("web")]);
        let [web, api] = ["web", "api"].map(|name| id("Definition", "shop", name));
        assert_eq!(index.referrers(&web), [service.clone()][..]);
        assert_eq!(
            index.referrers(&id("Definition", "desk", "web")),
            [],
            "references stay in their namespace"
        );
        assert_eq!(
            index.apply(&service, None, vec![object("api")]),
            set([web.clone()])
        );
        assert_eq!(
            (index.referrers(&web), index.referrers_of_kind("Definition")),
            (vec![], vec![service.clone()])
        );
        assert_eq!(index.remove(&service), set([api]));
        assert!(index.state().referrers.is_empty() && index.state().objects.is_empty());
    }

    #[test]
    fn finds_what_refers_to_an_object_by_its_name_in_aws() {
        let (index, service) = (Index::default(), id("Service", "shop", "a"));
        let [here, there] = ["shop", "desk"].map(|namespace| id("Definition", namespace, "web"));
        for target in [&here, &there] {
            index.apply(target, Some("web-in-aws".to_owned()), Vec::new());
        }
        index.apply(&service, None, vec![named("web-in-aws")]);
        assert_eq!(index.referrers(&here), [service.clone()][..]);
        assert_eq!(index.referrers(&there), [], "it is in another namespace");
        assert_eq!(index.referrers_of_kind("Definition"), [service.clone()][..]);
        assert_eq!(index.apply(&service, None, Vec::new()), set([here.clone()]));
        assert_eq!(index.referrers(&here), []);
        assert!(index.state().namers.is_empty());
    }

    /// After any sequence of changes the index answers what a look through all objects does.
    #[test]
    fn equals_a_look_through_all_objects() {
        let mut random = fastrand::Rng::with_seed(7);
        let names = ["a", "b", "c", "d"];
        let name = |random: &mut fastrand::Rng| names[random.usize(..names.len())];
        let (index, mut objects) = (
            Index::default(),
            BTreeMap::<ObjectId, (Option<String>, Vec<Reference>)>::new(),
        );
        for _ in 0..5000 {
            let kind = if random.bool() {
                "Definition"
            } else {
                "Service"
            };
            let namespace = if random.bool() { "shop" } else { "desk" };
            let changed = id(kind, namespace, name(&mut random));
            let references = (0..random.usize(..4)).map(|_| {
                let name = name(&mut random);
                match random.u8(..3) {
                    0 => object(name),
                    1 => named(name),
                    _ => part(&format!("{name}:{}", random.u8(..3))),
                }
            });
            let references: Vec<_> = references.collect();
            let now = (
                random.bool().then(|| name(&mut random).to_owned()),
                references,
            );
            let before = objects.get(&changed).cloned().unwrap_or_default();
            let (released, kept) = if random.u8(..4) == 0 {
                objects.remove(&changed);
                (index.remove(&changed), Vec::new())
            } else {
                objects.insert(changed.clone(), now.clone());
                (index.apply(&changed, now.0, now.1.clone()), now.1)
            };
            let mut expected = BTreeSet::new();
            for reference in before
                .1
                .iter()
                .filter(|reference| !kept.contains(reference))
            {
                match reference {
                    Reference::Object { kind, name } => {
                        expected.insert(id(kind, namespace, name));
                    }
                    Reference::Named { kind, aws_name }
                    | Reference::Part { kind, aws_name, .. } => {
                        let is_local = matches!(reference, Reference::Named { .. });
                        let stands = |(object, (name, _)): &(
                            &ObjectId,
                            &(Option<String>, Vec<Reference>),
                        )| {
                            object.kind == *kind
                                && name.as_ref() == Some(aws_name)
                                && (!is_local || object.namespace.as_deref() == Some(namespace))
                        };
                        expected.extend(
                            objects
                                .iter()
                                .filter(stands)
                                .map(|(object, _)| object.clone()),
                        );
                    }
                    Reference::Arn { .. } => unreachable!("there is none"),
                }
            }
            assert_eq!(released, expected);
            let wanted = id("Definition", namespace, name(&mut random));
            let refers =
                |(source, (_, references)): &(&ObjectId, &(Option<String>, Vec<Reference>))| {
                    let in_aws = objects.get(&wanted).and_then(|(name, _)| name.as_deref());
                    source.namespace == wanted.namespace
                        && (references.contains(&object(&wanted.name))
                            || in_aws.is_some_and(|name| references.contains(&named(name))))
                };
            let referrers: Vec<_> = objects
                .iter()
                .filter(refers)
                .map(|(source, _)| source.clone())
                .collect();
            assert_eq!(index.referrers(&wanted), referrers);
            let used = format!("{}:{}", name(&mut random), random.u8(..3));
            let refers_to_part =
                |(_, (_, references)): &(&ObjectId, &(Option<String>, Vec<Reference>))| {
                    references.contains(&part(&used))
                };
            let users: Vec<_> = objects
                .iter()
                .filter(refers_to_part)
                .map(|(source, _)| source.clone())
                .collect();
            assert_eq!(index.users("Definition", &used), users);
        }
    }
}
