//! What the status says of service auto scaling. Pure.

use std::collections::BTreeSet;

use ecs_operator_crds::v1beta1::EcsService;
use ecs_operator_crds::v1beta1::service::{
    AppliedCapacity, AutoscalingStatus, ScalingActivityStatus, ScalingPolicyStatus,
    ScheduledActionStatus, SuspendedState,
};
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::elements::{ACTION, POLICY, Part};
use super::observed::{ObservedAutoscaling, ScalableTarget, is_managed};
use super::plan::notes_names;
use super::target::raises_maximum;
use super::wanted::{ACTION_NAME, POLICY_NAME, Wanted, name, named, names};
use crate::aws::autoscaling as aws;
use crate::aws::ecs::ServiceKey;
use crate::aws::time;
use crate::k8s::conditions::whole_seconds;
use crate::reconcile::outcome::Outcome;
use crate::reconcile::plan::Write;

/// The status of service auto scaling after a pass; `None` where the object has nothing to do with
/// it. `observed` is `None` where it was not read.
pub(in crate::kinds::ecs_service) fn status(
    object: &EcsService,
    service: &ServiceKey,
    observed: Option<&ObservedAutoscaling>,
    outcome: &Outcome,
    accepted: &[Write],
) -> Option<AutoscalingStatus> {
    if !is_managed(object) {
        return None;
    }
    let before = object.status.as_ref();
    let before = before.and_then(|status| status.autoscaling.clone());
    let target = observed.and_then(|observed| observed.target.as_ref());
    let owned = target.filter(|target| target.is_owned());
    let is_gone = |observed: &ObservedAutoscaling| owned.is_none() && !observed.may_be_there;
    if object.spec.autoscaling.is_none() && observed.is_some_and(is_gone) {
        // Nothing of it is left.
        return None;
    }
    let mut status = before.unwrap_or_default();
    let arn = owned.map(|target| target.arn.clone());
    if observed.is_some() && arn != status.scalable_target_arn {
        // What was accepted went with the former scalable target.
        forget_accepted(&mut status);
        status.scalable_target_arn = arn;
    }
    // What others own is not noted: it would be deleted when the spec drops it.
    if notes_names(object) && (target.is_none() || owned.is_some()) {
        note_names(&mut status, object, service);
    }
    remember(&mut status, object, service, observed, (outcome, accepted));
    if let Some(observed) = observed {
        drop_deleted(&mut status, object, service, observed);
        show(&mut status, object, service, observed);
    }
    Some(status)
}

fn forget_accepted(status: &mut AutoscalingStatus) {
    status.applied = None;
    for policy in status.policies.iter_mut().flatten() {
        (policy.hash, policy.repaired_hash) = (None, None);
    }
    for action in status.scheduled_actions.iter_mut().flatten() {
        (action.hash, action.repaired_hash) = (None, None);
    }
}

/// Notes the names that the spec has, before the operator puts anything of these names.
fn note_names(status: &mut AutoscalingStatus, object: &EcsService, service: &ServiceKey) {
    let [policies, actions] = names(object, service);
    let listed = status.policies.get_or_insert_default();
    for policy_name in policies {
        if !listed
            .iter()
            .any(|policy| policy.policy_name == policy_name)
        {
            listed.push(ScalingPolicyStatus {
                policy_name,
                ..ScalingPolicyStatus::default()
            });
        }
    }
    listed.sort_by(|one, other| one.policy_name.cmp(&other.policy_name));
    let listed = status.scheduled_actions.get_or_insert_default();
    for scheduled_action_name in actions {
        let is_same =
            |action: &ScheduledActionStatus| action.scheduled_action_name == scheduled_action_name;
        if !listed.iter().any(is_same) {
            listed.push(ScheduledActionStatus {
                scheduled_action_name,
                ..ScheduledActionStatus::default()
            });
        }
    }
    listed.sort_by(|one, other| one.scheduled_action_name.cmp(&other.scheduled_action_name));
}

/// Remembers what AWS has accepted of the spec.
fn remember(
    status: &mut AutoscalingStatus,
    object: &EcsService,
    service: &ServiceKey,
    observed: Option<&ObservedAutoscaling>,
    (outcome, accepted): (&Outcome, &[Write]),
) {
    if object.spec.autoscaling.is_none() || object.spec.policies.observes() {
        return;
    }
    // It is without members where all of it is left to others.
    let own = Wanted::own(object, service).unwrap_or_default();
    let is_in_sync = *outcome == Outcome::InSync;
    let registers = |write: &Write| write.operation == aws::RegisterScalableTarget;
    if is_in_sync || accepted.iter().any(registers) {
        status.applied = Some(own.capacity.clone());
    }
    let [policies, actions] = names(object, service);
    let live = |list: fn(&ObservedAutoscaling) -> &[Value]| observed.map(list).unwrap_or_default();
    let record = Record {
        accepted,
        is_in_sync,
        part: &POLICY,
        kept: &policies,
        own: &own.policies,
        live: live(|observed| &observed.policies),
    };
    for policy in status.policies.iter_mut().flatten() {
        let (hash, repaired) = (&mut policy.hash, &mut policy.repaired_hash);
        record.of(&policy.policy_name, hash, repaired);
    }
    let record = Record {
        part: &ACTION,
        kept: &actions,
        own: &own.actions,
        live: live(|observed| &observed.actions),
        ..record
    };
    for action in status.scheduled_actions.iter_mut().flatten() {
        let (hash, repaired) = (&mut action.hash, &mut action.repaired_hash);
        record.of(&action.scheduled_action_name, hash, repaired);
    }
}

/// What is remembered of policies, or of scheduled actions.
#[derive(Clone, Copy)]
struct Record<'a> {
    accepted: &'a [Write],
    is_in_sync: bool,
    part: &'a Part,
    /// The names that the spec has.
    kept: &'a [String],
    own: &'a [Value],
    live: &'a [Value],
}

impl Record<'_> {
    /// Remembers the hash of what AWS has accepted under a name, and of what it showed before the
    /// same was sent once more.
    fn of(&self, name: &String, hash: &mut Option<String>, repaired: &mut Option<String>) {
        let is_sent = self.part.is_sent(self.accepted, name);
        if !self.kept.contains(name) || !(self.is_in_sync || is_sent) {
            return;
        }
        let own = named(self.own, self.part.key, name).unwrap_or(&Value::Null);
        let now = Some(self.part.hash(own));
        let live = named(self.live, self.part.key, name);
        let replaced = live.and_then(Part::replaced_hash);
        if is_sent {
            let is_repair = *hash == now;
            *repaired = replaced.filter(|_| is_repair).map(str::to_owned);
        } else if live.is_some_and(|live| self.part.shows_another(live, repaired.as_deref())) {
            // A read shows that the repair had its effect.
            *repaired = None;
        }
        *hash = now;
    }
}

/// Drops the names that neither the spec nor AWS has any more.
fn drop_deleted(
    status: &mut AutoscalingStatus,
    object: &EcsService,
    service: &ServiceKey,
    observed: &ObservedAutoscaling,
) {
    let [policies, actions] = names(object, service);
    let stays = |kept: &[String], live: &[Value], key: &str, name: &String| {
        kept.contains(name) || named(live, key, name).is_some()
    };
    if let Some(listed) = &mut status.policies {
        listed.retain(|policy| {
            stays(
                &policies,
                &observed.policies,
                POLICY_NAME,
                &policy.policy_name,
            )
        });
    }
    if let Some(listed) = &mut status.scheduled_actions {
        listed.retain(|action| {
            stays(
                &actions,
                &observed.actions,
                ACTION_NAME,
                &action.scheduled_action_name,
            )
        });
    }
}

/// Shows what AWS has.
fn show(
    status: &mut AutoscalingStatus,
    object: &EcsService,
    service: &ServiceKey,
    observed: &ObservedAutoscaling,
) {
    let target = observed.target.as_ref();
    status.min_capacity = target.map(|target| target.min_capacity);
    status.max_capacity = target.map(|target| target.max_capacity);
    let suspended = target.and_then(|target| target.suspended_state.clone());
    status.suspended_state = suspended.filter(is_suspended);
    let wanted = Wanted::new(object, service, observed);
    status.capacity_reason = target.and_then(|target| capacity_reason(&wanted?, target, observed));
    for policy in status.policies.iter_mut().flatten() {
        let live = named(&observed.policies, POLICY_NAME, &policy.policy_name);
        policy.policy_type = live.and_then(|live| live["policyType"].as_str().map(str::to_owned));
        policy.alarms = live.and_then(alarms);
    }
    let known = status.policies.iter().flatten();
    let known: BTreeSet<_> = known.map(|policy| policy.policy_name.as_str()).collect();
    let policies = observed.policies.iter();
    let policies = policies
        .map(|policy| name(policy, POLICY_NAME))
        .filter(|name| !known.contains(name));
    let known = status.scheduled_actions.iter().flatten();
    let known: BTreeSet<_> = known
        .map(|action| action.scheduled_action_name.as_str())
        .collect();
    let actions = observed.actions.iter();
    let actions = actions
        .map(|action| name(action, ACTION_NAME))
        .filter(|name| !known.contains(name));
    let unmanaged: BTreeSet<_> = policies.chain(actions).map(str::to_owned).collect();
    show_activities(status, observed);
    status.unmanaged = Some(unmanaged.into_iter().collect()).filter(|all: &Vec<_>| !all.is_empty());
}

/// Shows the last scaling activity; what could not be read, and what AWS has forgotten, stays.
fn show_activities(status: &mut AutoscalingStatus, observed: &ObservedAutoscaling) {
    let (Some(activities), Some(target)) = (&observed.activities, &observed.target) else {
        return;
    };
    // A former service of the name has left others.
    let since = time(&target.json["creationTime"]).map(Timestamp::as_second);
    let began = |activity: &Value| time(&activity["startTime"]).map(Timestamp::as_second);
    let mut activities = activities
        .iter()
        .filter(|activity| began(activity) >= since);
    let reason = |activity: &Value| {
        let reason = activity["notScaledReasons"][0]["code"].as_str();
        reason.map(str::to_owned)
    };
    status.not_scaled_reason = activities.clone().next().and_then(reason);
    let Some(last) = activities.find(|activity| reason(activity).is_none()) else {
        return;
    };
    let text = |member: &str| last[member].as_str().map(str::to_owned);
    status.last_activity = Some(ScalingActivityStatus {
        id: text("activityId").unwrap_or_default(),
        started_at: time(&last["startTime"]).map(whole_seconds),
        status: text("statusCode"),
        description: text("description"),
        cause: text("cause"),
        message: text("statusMessage"),
    });
}

fn is_suspended(state: &SuspendedState) -> bool {
    [
        state.dynamic_scaling_in_suspended,
        state.dynamic_scaling_out_suspended,
        state.scheduled_scaling_suspended,
    ]
    .contains(&Some(true))
}

/// Names of the alarms of a policy.
fn alarms(policy: &Value) -> Option<Vec<String>> {
    let alarms = policy["alarms"].as_array()?.iter();
    let mut names: Vec<_> = alarms
        .filter_map(|alarm| alarm["alarmName"].as_str().map(str::to_owned))
        .collect();
    names.sort();
    Some(names).filter(|names| !names.is_empty())
}

/// Why minimum or maximum differ from the spec, in words.
fn capacity_reason(
    wanted: &Wanted,
    target: &ScalableTarget,
    observed: &ObservedAutoscaling,
) -> Option<String> {
    let AppliedCapacity {
        min_capacity,
        max_capacity,
        ..
    } = wanted.capacity;
    let wanted_actions = &wanted.actions;
    let reason = |member: &str, wanted: Option<i32>, present: i32| {
        let wanted = wanted.filter(|wanted| *wanted != present)?;
        let actions = wanted_actions.iter().chain(&observed.actions);
        let by = match setting(actions, member, present) {
            Some(action) => format!("set by scheduled action {action}"),
            None if member == "maxCapacity" && observed.policies.iter().any(raises_maximum) => {
                "raised by a predictive scaling policy".to_owned()
            }
            None => "not set by this object".to_owned(),
        };
        Some(format!("{member} {present} instead of {wanted}: {by}"))
    };
    let reasons: Vec<_> = [
        reason("minCapacity", min_capacity, target.min_capacity),
        reason("maxCapacity", max_capacity, target.max_capacity),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// The name of the scheduled action that sets `member` to this value.
fn setting<'a>(
    mut actions: impl Iterator<Item = &'a Value>,
    member: &str,
    value: i32,
) -> Option<&'a str> {
    let action = actions.find(|action| action["scalableTargetAction"][member] == value)?;
    Some(name(action, ACTION_NAME))
}
