//! The writes that bring scaling policies and scheduled actions to the spec. Pure.

use ecs_operator_crds::v1beta1::service::{
    AutoscalingStatus, ScalingPolicyStatus, ScheduledActionStatus,
};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::wanted::{ACTION_NAME, POLICY_NAME, name, named, with_times};
use crate::aws::Operation;
use crate::aws::autoscaling::{self as aws, ScalableTargetKey};
use crate::aws::drift::drift;
use crate::aws::ecs::ServiceKey;
use crate::aws::time;
use crate::reconcile::plan::{Write, hash, pick};

/// By how much a time zone can be ahead of UTC, and behind it.
const AHEAD: SignedDuration = SignedDuration::from_hours(14);
const BEHIND: SignedDuration = SignedDuration::from_hours(12);

/// Policies, or scheduled actions, of a service.
pub(super) struct Elements<'a> {
    pub(super) part: &'a Part,
    /// As the spec has them.
    pub(super) whole: &'a [Value],
    /// The same with what `ignoreFields` leaves to others as AWS has it.
    pub(super) wanted: &'a [Value],
    /// The same without what `ignoreFields` leaves to others.
    pub(super) own: &'a [Value],
    /// As AWS has them.
    pub(super) live: &'a [Value],
    /// What the status has under the names of the spec, and under former ones.
    pub(super) noted: Vec<Noted<'a>>,
    /// Whether that is of the scalable target that AWS has.
    pub(super) is_of_target: bool,
    /// The writes that AWS has accepted in this pass, which the status does not have yet.
    pub(super) sent: &'a [Write],
    /// When AWS was looked at.
    pub(super) now: Timestamp,
}

/// What the status has under a name.
#[derive(Clone, Copy)]
pub(super) struct Noted<'a> {
    pub(super) name: &'a str,
    /// Hash of what AWS has accepted.
    hash: Option<&'a str>,
    /// Hash of what AWS showed when that was sent once more.
    repaired: Option<&'a str>,
}

/// What AWS lacks of the spec.
#[derive(Debug, Default)]
pub(super) struct Difference {
    /// The writes that bring AWS to it.
    pub(super) writes: Vec<Write>,
    /// What AWS has accepted and does not show, in words.
    pub(super) persisting: Vec<String>,
}

/// What there is to do about one element.
enum Decision {
    Nothing,
    /// AWS accepted it, and shows the same difference as before it was sent once more.
    Persists(String),
    Write(Vec<Write>),
}

impl Elements<'_> {
    /// Adds the writes that put what differs and delete what the spec has dropped.
    pub(super) fn add_to(&self, difference: &mut Difference, service: &ServiceKey) {
        let part = self.part;
        for element in self.whole {
            match self.decide(service, element) {
                Decision::Nothing => {}
                Decision::Persists(what) => difference.persisting.push(what),
                Decision::Write(writes) => difference.writes.extend(writes),
            }
        }
        let is_dropped = |noted: &&Noted<'_>| named(self.whole, part.key, noted.name).is_none();
        let dropped = self.noted.iter().filter(is_dropped);
        let present = dropped.filter(|noted| named(self.live, part.key, noted.name).is_some());
        let deletions = present.map(|noted| part.deletion(service, noted.name));
        difference.writes.extend(deletions);
    }

    fn decide(&self, service: &ServiceKey, whole: &Value) -> Decision {
        let part = self.part;
        let name = name(whole, part.key);
        let live = named(self.live, part.key, name);
        let noted = self.noted.iter().find(|noted| noted.name == name);
        let noted = noted.filter(|_| self.is_of_target);
        let own = named(self.own, part.key, name).unwrap_or(&Value::Null);
        let is_sent = part.is_sent(self.sent, name);
        let known = noted.and_then(|noted| noted.hash);
        let is_accepted = match (is_sent, known) {
            (true, _) => Some(true),
            (false, known) => known.map(|known| known == part.hash(own)),
        };
        let element = match live {
            Some(_) => named(self.wanted, part.key, name),
            // Others have deleted what is left to them.
            None if own.is_null() && is_accepted.is_some() => None,
            None if is_over(whole, self.now, is_accepted == Some(true)) => None,
            None => Some(whole),
        };
        let Some(element) = element else {
            return Decision::Nothing;
        };
        // AWS cannot change the type of a policy.
        let replaced = live.filter(|live| live["policyType"] != element["policyType"]);
        let live = live.filter(|_| replaced.is_none());
        let is_changed = is_accepted == Some(false);
        let Some(put) = part.replacement(service, element, live, is_changed) else {
            return Decision::Nothing;
        };
        if let Some(live) = live
            && is_accepted == Some(true)
            && noted.and_then(|noted| noted.repaired) == Some(&part.shown_hash(live))
        {
            return Decision::Persists(put.note);
        }
        let deletion = replaced.map(|_| part.deletion(service, name));
        Decision::Write(deletion.into_iter().chain([put]).collect())
    }
}

pub(super) fn noted_policies(status: Option<&AutoscalingStatus>) -> Vec<Noted<'_>> {
    fn noted(policy: &ScalingPolicyStatus) -> Noted<'_> {
        Noted {
            name: &policy.policy_name,
            hash: policy.hash.as_deref(),
            repaired: policy.repaired_hash.as_deref(),
        }
    }
    let policies = status.and_then(|status| status.policies.as_ref());
    policies.into_iter().flatten().map(noted).collect()
}

pub(super) fn noted_actions(status: Option<&AutoscalingStatus>) -> Vec<Noted<'_>> {
    fn noted(action: &ScheduledActionStatus) -> Noted<'_> {
        Noted {
            name: &action.scheduled_action_name,
            hash: action.hash.as_deref(),
            repaired: action.repaired_hash.as_deref(),
        }
    }
    let actions = status.and_then(|status| status.scheduled_actions.as_ref());
    actions.into_iter().flatten().map(noted).collect()
}

/// What tells policies and scheduled actions apart.
pub(in crate::kinds::ecs_service) struct Part {
    /// What one is, for notes.
    what: &'static str,
    /// The list in the spec.
    list: &'static str,
    /// The member that names one.
    pub(super) key: &'static str,
    /// The members that a request sets.
    members: &'static [&'static str],
    pub(super) put: Operation,
    pub(super) delete: Operation,
}

pub(in crate::kinds::ecs_service) const POLICY: Part = Part {
    what: "scaling policy",
    list: "policies",
    key: POLICY_NAME,
    members: &[
        "policyType",
        "predictiveScalingPolicyConfiguration",
        "stepScalingPolicyConfiguration",
        "targetTrackingScalingPolicyConfiguration",
    ],
    put: aws::PutScalingPolicy,
    delete: aws::DeleteScalingPolicy,
};

pub(super) const ACTION: Part = Part {
    what: "scheduled action",
    list: "scheduledActions",
    key: ACTION_NAME,
    members: &[
        "endTime",
        "scalableTargetAction",
        "schedule",
        "startTime",
        "timezone",
    ],
    put: aws::PutScheduledAction,
    delete: aws::DeleteScheduledAction,
};

/// The member of an element that AWS has not shown since it was put: the hash of what it showed
/// before.
const REPLACED: &str = "replacedHash";

impl Part {
    /// The hash of an element, by which the status knows what AWS has accepted.
    pub(super) fn hash(&self, element: &Value) -> String {
        hash(&json!({"autoscaling": {self.list: [element]}}))
    }

    /// The hash of what AWS shows of an element, without what changes by itself.
    fn shown_hash(&self, live: &Value) -> String {
        let members = live.as_object().map(|live| pick(live, self.members));
        let members = Value::from(members.unwrap_or_default());
        self.hash(&with_times(members))
    }

    /// The element as it is after a write with these members.
    pub(in crate::kinds::ecs_service) fn after_put(
        &self,
        live: Option<&Value>,
        sent: &[&Value],
    ) -> Value {
        let mut element = live.cloned().unwrap_or_else(|| Value::Object(Map::new()));
        element[REPLACED] = live.map(|live| self.shown_hash(live)).into();
        for members in sent {
            for (member, value) in members.as_object().into_iter().flatten() {
                element[member] = value.clone();
            }
        }
        element
    }

    /// The hash of what AWS showed before the element was put, while it was not read since.
    pub(super) fn replaced_hash(live: &Value) -> Option<&str> {
        live[REPLACED].as_str()
    }

    /// Whether a read shows an element otherwise than `hash` says.
    pub(super) fn shows_another(&self, live: &Value, hash: Option<&str>) -> bool {
        live[REPLACED].is_null() && hash != Some(&self.shown_hash(live))
    }

    /// Whether AWS has accepted the element in this pass.
    pub(super) fn is_sent(&self, sent: &[Write], name: &str) -> bool {
        sent.iter()
            .any(|write| write.operation == self.put && write.request[self.key] == name)
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

/// Whether a scheduled action is over: it was due once, or its end has come. In a time zone, one
/// that AWS has accepted may be over and one that it has not may be still to come.
fn is_over(action: &Value, now: Timestamp, is_accepted: bool) -> bool {
    let schedule = action["schedule"].as_str().unwrap_or_default();
    let once = schedule.strip_prefix("at(");
    let once = once.and_then(|at| format!("{}Z", at.trim_end_matches(')')).parse().ok());
    let once = once.and_then(|at: Timestamp| match (&action["timezone"], is_accepted) {
        (Value::Null, _) => Some(at),
        (_, true) => at.checked_sub(AHEAD).ok(),
        (_, false) => at.checked_add(BEHIND).ok(),
    });
    let mut ends = once.into_iter().chain(time(&action["endTime"]));
    ends.any(|end| end <= now)
}
