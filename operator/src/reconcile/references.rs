//! What references to custom resources resolve to, and what keeps an object from being deleted.
//!
//! References resolve in the namespace of the object that has them, from the stores, without any
//! request.

use std::sync::Arc;

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::shared::Status;
use kube::ResourceExt;

use super::kind::Kind;
use super::plan::{Obstacle, Plan};
use super::stores::Stores;
use crate::k8s::availability::Unavailable;
use crate::k8s::conditions;
use crate::trigger::ObjectId;

/// What a reference resolves to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// What the target is in AWS.
    To(String),
    /// There is none, and none is needed.
    Nothing,
    /// Not yet, and why.
    NotYet(Obstacle),
}

/// Why the reference `field` to the object `name` of kind `K` in `namespace` does not resolve;
/// `None` when the target is ready for what its spec says now. `is_served` says whether the
/// referring object had it before.
#[must_use]
pub fn obstacle<K: Kind>(
    stores: &Stores,
    namespace: &str,
    field: &str,
    name: &str,
    is_served: bool,
) -> Option<Obstacle> {
    match target::<K>(stores, namespace, field, name, is_served) {
        Ok(target) => not_ready_yet(&*target),
        Err(obstacle) => Some(obstacle),
    }
}

/// The object `name` of kind `K` in `namespace` that the reference `field` names, ready or not.
/// `is_served` says whether the referring object had it before.
///
/// # Errors
/// When it does not exist, cannot be read, or is being deleted.
pub fn target<K: Kind>(
    stores: &Stores,
    namespace: &str,
    field: &str,
    name: &str,
    is_served: bool,
) -> Result<Arc<K>, Obstacle> {
    let kind = K::kind(&());
    let target = stores
        .of::<K>()
        .get(&ObjectId::new::<K>(Some(namespace), name).object_ref());
    let Some(target) = target else {
        let missing = stores.availability.why_in::<K>(namespace);
        let why = missing.map_or_else(
            || "does not exist in this namespace".to_owned(),
            |Unavailable { words, .. }| format!("cannot be read: {words}"),
        );
        return Err(not_ready(format!("{kind} {name} ({field}) {why}"), false));
    };
    if target.is_deleting() && !is_served {
        // It waits for the objects that refer to it, and serves them until then. Nothing new begins
        // with it.
        let message = format!(
            "{kind} {name} ({field}) is being deleted: reference another one, or delete this object too"
        );
        return Err(not_ready(message, false));
    }
    Ok(target)
}

/// Why the target of a reference is not ready for what its spec says now. One that is being deleted
/// serves as it is.
fn not_ready_yet<K: Kind>(target: &K) -> Option<Obstacle> {
    if target.is_deleting() {
        return None;
    }
    let (kind, name) = (K::kind(&()), target.name_any());
    let status = target.status();
    if status.and_then(Status::observed_generation) != target.meta().generation {
        return Some(not_ready(
            format!("{kind} {name} is not reconciled yet"),
            true,
        ));
    }
    let conditions = status.map(Status::conditions).unwrap_or_default();
    let ready = conditions::ready(conditions)?;
    if ready.status == "True" {
        return None;
    }
    Some(not_ready(
        format!(
            "{kind} {name} is not ready ({}: {})",
            ready.reason, ready.message
        ),
        ready.status == "Unknown",
    ))
}

/// The obstacle of an object whose reference does not resolve.
#[must_use]
pub fn not_ready(message: String, passing: bool) -> Obstacle {
    Obstacle {
        reason: Reason::DependencyNotReady,
        message,
        passing,
        all_else_sent: false,
    }
}

/// Objects that refer to an object which is being deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependants {
    /// The objects, by kind and name.
    pub objects: Vec<ObjectId>,
    /// Why they cannot be listed.
    pub unreadable: Option<String>,
    /// Whether all of them are being deleted too.
    pub leaving: bool,
}

impl Dependants {
    /// The objects that refer to `target`.
    #[must_use]
    pub fn of<K: Kind>(target: &K, stores: &Stores) -> Self {
        Self::except(target, stores, |_| false)
    }

    /// The objects that refer to `target`, without those that `is_left_out` names.
    #[must_use]
    pub fn except<K: Kind>(
        target: &K,
        stores: &Stores,
        is_left_out: impl Fn(&ObjectId) -> bool,
    ) -> Self {
        let namespace = target.namespace().unwrap_or_default();
        if let Some(Unavailable { words, .. }) =
            stores.unreadable_referrers(&K::kind(&()), &namespace)
        {
            return Self {
                unreadable: Some(words),
                ..Self::default()
            };
        }
        let mut objects = stores.references.referrers(&ObjectId::of(target));
        objects.retain(|object| !is_left_out(object));
        let leaving =
            !objects.is_empty() && objects.iter().all(|referrer| stores.is_deleting(referrer));
        Self {
            objects,
            unreadable: None,
            leaving,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.unreadable.is_none()
    }

    /// Whether there may be one of this kind.
    #[must_use]
    pub fn may_have(&self, kind: &str) -> bool {
        self.unreadable.is_some() || self.objects.iter().any(|object| object.kind == kind)
    }

    /// Their kinds and names, for a message: `EcsService api, web`; empty when there are none.
    #[must_use]
    pub fn words(&self) -> String {
        if let Some(words) = &self.unreadable {
            return format!("objects that cannot be listed ({words})");
        }
        let of_kind = |objects: &[ObjectId]| {
            let names: Vec<_> = objects.iter().map(|object| object.name.as_str()).collect();
            format!("{} {}", objects[0].kind, names.join(", "))
        };
        let kinds = self.objects.chunk_by(|one, next| one.kind == next.kind);
        kinds.map(of_kind).collect::<Vec<_>>().join("; ")
    }

    /// The deletion that has to wait. While they are leaving themselves, it is only a matter of
    /// time.
    #[must_use]
    pub fn block(&self, message: String) -> Plan {
        Plan::Wait(Obstacle {
            reason: Reason::DeletionBlocked,
            message,
            passing: self.leaving,
            all_else_sent: false,
        })
    }
}
