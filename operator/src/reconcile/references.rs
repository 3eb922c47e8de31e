//! What references to custom resources resolve to, and what keeps an object from being deleted.
//!
//! References resolve in the namespace of the object that has them, from the stores, without any
//! request.

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
    let kind = K::kind(&());
    let target = stores
        .of::<K>()
        .get(&ObjectId::new::<K>(Some(namespace), name).object_ref());
    let Some(target) = target else {
        if let Some(Unavailable { words, .. }) = stores.availability.why_in::<K>(namespace) {
            return Some(not_ready(
                format!("{kind} {name} ({field}) cannot be read: {words}"),
                false,
            ));
        }
        return Some(not_ready(
            format!("{kind} {name} ({field}) does not exist in this namespace"),
            false,
        ));
    };
    if target.is_deleting() {
        // It waits for the objects that refer to it, and serves them until then. Nothing new begins
        // with it.
        let message = format!(
            "{kind} {name} ({field}) is being deleted: reference another one, or delete this object too"
        );
        return (!is_served).then(|| not_ready(message, false));
    }
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
    /// Their names, for a message; empty when there are none.
    pub names: String,
    /// Whether all of them are being deleted too.
    pub leaving: bool,
}

impl Dependants {
    /// The objects that refer to `target`.
    #[must_use]
    pub fn of<K: Kind>(target: &K, stores: &Stores) -> Self {
        let namespace = target.namespace().unwrap_or_default();
        if let Some(Unavailable { words, .. }) =
            stores.unreadable_referrers(&K::kind(&()), &namespace)
        {
            return Self {
                names: format!("these cannot be listed ({words})"),
                leaving: false,
            };
        }
        let referrers = stores.references.referrers(&ObjectId::of(target));
        let names: Vec<_> = referrers
            .iter()
            .map(|referrer| referrer.name.as_str())
            .collect();
        let leaving = !referrers.is_empty()
            && referrers
                .iter()
                .all(|referrer| stores.is_deleting(referrer));
        Self {
            names: names.join(", "),
            leaving,
        }
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
