//! The writes that bring scaling policies and scheduled actions to the spec. Pure.

use ecs_operator_crds::v1beta1::service::{
    AutoscalingStatus, ScalingPolicyStatus, ScheduledActionStatus,
};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::wanted::{ACTION_NAME, POLICY_NAME, name, named};
use crate::aws::Operation;
use crate::aws::autoscaling::{self as aws, ScalableTargetKey};
use crate::aws::drift::drift;
use crate::aws::ecs::ServiceKey;
use crate::aws::time;
use crate::reconcile::plan::{Write, hash};

/// By how much a time zone can be ahead of UTC.
const FARTHEST_ZONE: SignedDuration = SignedDuration::from_hours(14);

/// Policies, or scheduled actions, of a service.
pub(super) struct Elements<'a> {
    pub(super) part: &'a Part,
    /// As the spec wants them.
    pub(super) wanted: &'a [Value],
    /// The same without what `ignoreFields` leaves to others.
    pub(super) own: &'a [Value],
    /// As AWS has them.
    pub(super) live: &'a [Value],
    /// The names that the spec has.
    pub(super) kept: &'a [String],
    /// The names that the spec has or had, which is all that may be deleted.
    pub(super) noted: Vec<Noted<'a>>,
    /// The same, of the scalable target that AWS has.
    pub(super) accepted: Vec<Noted<'a>>,
    /// When AWS was looked at.
    pub(super) now: Timestamp,
}

impl Elements<'_> {
    /// Puts what differs, and deletes what the spec has dropped.
    pub(super) fn writes(&self, service: &ServiceKey) -> Vec<Write> {
        let Self { part, live, .. } = self;
        let mut writes = Vec::new();
        for element in self.wanted {
            let name = name(element, part.key);
            let live = named(live, part.key, name);
            let own = named(self.own, part.key, name);
            let mut accepted = self.accepted.iter();
            let accepted = accepted.find(|(noted, _)| *noted == name);
            let is_accepted = accepted
                .and_then(|(_, hash)| *hash)
                .zip(own)
                .map(|(hash, own)| hash == part.hash(own));
            if live.is_none() && is_accepted == Some(true) && is_over(element, self.now) {
                // AWS removes an action that is over.
                continue;
            }
            // AWS cannot change the type of a policy.
            let replaced = live.filter(|live| live["policyType"] != element["policyType"]);
            writes.extend(replaced.map(|_| part.deletion(service, name)));
            let live = live.filter(|_| replaced.is_none());
            writes.extend(part.replacement(service, element, live, is_accepted == Some(false)));
        }
        let noted = self.noted.iter().map(|(name, _)| *name);
        let dropped = noted.filter(|name| !self.kept.iter().any(|kept| kept == name));
        let present = |name: &&str| named(live, part.key, name).is_some();
        writes.extend(
            dropped
                .filter(present)
                .map(|name| part.deletion(service, name)),
        );
        writes
    }
}

/// A name in the status, and the hash of what AWS has accepted under it.
pub(super) type Noted<'a> = (&'a str, Option<&'a str>);

pub(super) fn noted_policies(status: Option<&AutoscalingStatus>) -> Vec<Noted<'_>> {
    fn noted(policy: &ScalingPolicyStatus) -> Noted<'_> {
        (&policy.policy_name, policy.hash.as_deref())
    }
    let policies = status.and_then(|status| status.policies.as_ref());
    policies.into_iter().flatten().map(noted).collect()
}

pub(super) fn noted_actions(status: Option<&AutoscalingStatus>) -> Vec<Noted<'_>> {
    fn noted(action: &ScheduledActionStatus) -> Noted<'_> {
        (&action.scheduled_action_name, action.hash.as_deref())
    }
    let actions = status.and_then(|status| status.scheduled_actions.as_ref());
    actions.into_iter().flatten().map(noted).collect()
}

/// What tells policies and scheduled actions apart.
pub(super) struct Part {
    /// What one is, for notes.
    what: &'static str,
    /// The list in the spec.
    list: &'static str,
    /// The member that names one.
    pub(super) key: &'static str,
    pub(super) put: Operation,
    pub(super) delete: Operation,
}

pub(super) const POLICY: Part = Part {
    what: "scaling policy",
    list: "policies",
    key: POLICY_NAME,
    put: aws::PutScalingPolicy,
    delete: aws::DeleteScalingPolicy,
};

pub(super) const ACTION: Part = Part {
    what: "scheduled action",
    list: "scheduledActions",
    key: ACTION_NAME,
    put: aws::PutScheduledAction,
    delete: aws::DeleteScheduledAction,
};

impl Part {
    /// The hash of an element, by which the status knows what AWS has accepted.
    pub(super) fn hash(&self, element: &Value) -> String {
        hash(&json!({"autoscaling": {self.list: [element]}}))
    }

    /// The paths at which AWS differs from `wanted`.
    fn differences(&self, wanted: &Value, live: &Value) -> Vec<String> {
        let shown = |element: &Value| json!({"autoscaling": {self.list: element}});
        let below = format!("autoscaling.{}.", self.list);
        let paths = drift(&shown(wanted), &shown(live)).into_iter();
        paths
            .map(|path| path.strip_prefix(&below).unwrap_or(&path).to_owned())
            .collect()
    }

    /// The write that puts `element`, unless AWS has it.
    fn replacement(
        &self,
        service: &ServiceKey,
        element: &Value,
        live: Option<&Value>,
        is_changed: bool,
    ) -> Option<Write> {
        let mut element = element.clone();
        if element["timezone"].is_null() && live.is_some_and(|live| !live["timezone"].is_null()) {
            // AWS keeps the time zone that a request leaves out.
            element["timezone"] = "UTC".into();
        }
        let what = self.what;
        let name = name(&element, self.key);
        let paths = live.map(|live| self.differences(&element, live));
        let note = match paths.unwrap_or_default().as_slice() {
            _ if live.is_none() => format!("Created {what} {name} of {service}"),
            [] if !is_changed => return None,
            // What the spec has dropped has no path.
            [] => format!("Updated {what} {name} of {service}"),
            paths => format!("Updated {what} {name} of {service}: {}", paths.join(", ")),
        };
        let mut request = ScalableTargetKey::of(service).request();
        request.extend(element.as_object().cloned().unwrap_or_default());
        Some(Write {
            operation: self.put,
            request: request.into(),
            note,
        })
    }

    /// The write that deletes what has this name.
    fn deletion(&self, service: &ServiceKey, name: &str) -> Write {
        let mut request = ScalableTargetKey::of(service).request();
        request.insert(self.key.to_owned(), name.into());
        Write {
            operation: self.delete,
            request: request.into(),
            note: format!("Deleted {} {name} of {service}", self.what),
        }
    }
}

/// Whether a scheduled action is over: it was due once, or its end has come.
fn is_over(action: &Value, now: Timestamp) -> bool {
    let schedule = action["schedule"].as_str().unwrap_or_default();
    let once = schedule.strip_prefix("at(");
    let once = once.and_then(|at| format!("{}Z", at.trim_end_matches(')')).parse().ok());
    // The time zone may be ahead of UTC by so much.
    let once = once.and_then(|at: Timestamp| at.checked_sub(FARTHEST_ZONE).ok());
    let mut ends = once.into_iter().chain(time(&action["endTime"]));
    ends.any(|end| end <= now)
}
