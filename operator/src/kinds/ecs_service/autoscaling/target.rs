//! The write that brings the scalable target to the spec. Pure.

use ecs_operator_crds::v1beta1::service::{AppliedCapacity, AutoscalingStatus, SuspendedState};
use serde_json::{Value, json};

use super::observed::{ObservedAutoscaling, ScalableTarget};
use super::wanted::Wanted;
use crate::aws::autoscaling::{self as aws, ScalableTargetKey};
use crate::aws::ecs::ServiceKey;
use crate::aws::tags::Owner;
use crate::reconcile::plan::Write;

/// RegisterScalableTarget, where it is needed: each one may move the number of tasks.
pub(super) fn register(
    service: &ServiceKey,
    wanted: &Wanted,
    own: &Wanted,
    observed: &ObservedAutoscaling,
    known: Option<&AutoscalingStatus>,
    owner: &Owner,
) -> Option<Write> {
    let Some(target) = &observed.target else {
        // A new one has what `ignoreFields` leaves to others, too.
        let capacity = &wanted.capacity;
        let (min, max) = (capacity.min_capacity?, capacity.max_capacity?);
        let note = format!("Registered {service} for scaling between {min} and {max} tasks");
        let mut write = registration(service, capacity, note);
        write.request["tags"] = owner.desired(None).write(aws::SERVICE.tag_shape);
        return Some(write);
    };
    let applied = known.and_then(|known| known.applied.as_ref());
    let mut capacity = wanted.capacity.clone();
    let had = applied.is_some_and(|applied| applied.suspended_state.is_some());
    if had && capacity.suspended_state.is_none() {
        capacity.suspended_state = Some(SuspendedState::default());
    }
    let mut members = changed(&capacity, &own.capacity, applied);
    members.extend(drifted(&capacity, target, wanted, observed));
    members.sort_unstable();
    members.dedup();
    let note = format!(
        "Updated the scalable target of {service}: {}",
        members.join(", ")
    );
    (!members.is_empty()).then(|| registration(service, &capacity, note))
}

fn registration(service: &ServiceKey, capacity: &AppliedCapacity, note: String) -> Write {
    let mut request = ScalableTargetKey::of(service).request();
    for (member, value) in [
        ("minCapacity", capacity.min_capacity),
        ("maxCapacity", capacity.max_capacity),
    ] {
        request.extend(value.map(|value| (member.to_owned(), value.into())));
    }
    if let Some(state) = &capacity.suspended_state {
        // What AWS does with one that is left out is not documented.
        let state = json!({
            "dynamicScalingInSuspended": state.dynamic_scaling_in_suspended.unwrap_or(false),
            "dynamicScalingOutSuspended": state.dynamic_scaling_out_suspended.unwrap_or(false),
            "scheduledScalingSuspended": state.scheduled_scaling_suspended.unwrap_or(false),
        });
        request.insert("suspendedState".to_owned(), state);
    }
    Write {
        operation: aws::RegisterScalableTarget,
        request: request.into(),
        note,
    }
}

/// The members of the scalable target that the spec has changed since AWS accepted it.
fn changed(
    wanted: &AppliedCapacity,
    own: &AppliedCapacity,
    applied: Option<&AppliedCapacity>,
) -> Vec<&'static str> {
    let Some(applied) = applied else {
        return Vec::new();
    };
    let is_other = |own: Option<i32>, applied: Option<i32>| own.is_some() && own != applied;
    // A dropped state is set back once.
    let state = own.suspended_state.is_some() || applied.suspended_state.is_some();
    let is_dropped = state && own.suspended_state != applied.suspended_state;
    let members = [
        (
            "minCapacity",
            is_other(own.min_capacity, applied.min_capacity),
        ),
        (
            "maxCapacity",
            is_other(own.max_capacity, applied.max_capacity),
        ),
        (
            "suspendedState",
            is_dropped && wanted.suspended_state.is_some(),
        ),
    ];
    let changed = members.into_iter().filter(|(_, is_changed)| *is_changed);
    changed.map(|(member, _)| member).collect()
}

/// The members of the scalable target that somebody else has changed. A scheduled action sets
/// minimum and maximum, and a predictive policy may raise the maximum, which is what the spec asks
/// for.
fn drifted(
    wanted: &AppliedCapacity,
    target: &ScalableTarget,
    all: &Wanted,
    observed: &ObservedAutoscaling,
) -> Vec<&'static str> {
    let scheduled = |member: &str, present: i32| {
        let mut actions = all.actions.iter().chain(&observed.actions);
        actions.any(|action| action["scalableTargetAction"][member] == present)
    };
    let is_raised = target.max_capacity > wanted.max_capacity.unwrap_or_default()
        && all.policies.iter().any(raises_maximum);
    let differs =
        |wanted: Option<i32>, present: i32| wanted.is_some_and(|wanted| wanted != present);
    let state = wanted.suspended_state.as_ref();
    let present = &target.suspended_state.clone().unwrap_or_default();
    let members = [
        (
            "minCapacity",
            differs(wanted.min_capacity, target.min_capacity)
                && !scheduled("minCapacity", target.min_capacity),
        ),
        (
            "maxCapacity",
            differs(wanted.max_capacity, target.max_capacity)
                && !scheduled("maxCapacity", target.max_capacity)
                && !is_raised,
        ),
        (
            "suspendedState",
            state.is_some_and(|state| !is_same_state(state, present)),
        ),
    ];
    let drifted = members.into_iter().filter(|(_, is_drifted)| *is_drifted);
    drifted.map(|(member, _)| member).collect()
}

/// Whether a policy lets AWS raise the maximum.
pub(super) fn raises_maximum(policy: &Value) -> bool {
    policy["predictiveScalingPolicyConfiguration"]["maxCapacityBreachBehavior"]
        == "IncreaseMaxCapacity"
}

fn is_same_state(one: &SuspendedState, other: &SuspendedState) -> bool {
    let all = |state: &SuspendedState| {
        [
            state.dynamic_scaling_in_suspended,
            state.dynamic_scaling_out_suspended,
            state.scheduled_scaling_suspended,
        ]
        .map(Option::unwrap_or_default)
    };
    all(one) == all(other)
}
