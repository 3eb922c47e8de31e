//! The write that brings the scalable target to the spec. Pure.

use ecs_operator_crds::v1beta1::service::{AppliedCapacity, SuspendedState};
use serde_json::{Value, json};

use super::observed::{ObservedAutoscaling, ScalableTarget};
use super::wanted::Wanted;
use crate::aws::autoscaling::{self as aws, ScalableTargetKey};
use crate::aws::ecs::ServiceKey;
use crate::reconcile::plan::Write;

/// RegisterScalableTarget, where it is needed: each one may move the number of tasks. It has the
/// members that differ alone, because AWS keeps what a request leaves out, such as what a scheduled
/// action has set. `own` and `applied` are without what `ignoreFields` leaves to others.
pub(super) fn register(
    service: &ServiceKey,
    wanted: &Wanted,
    own: &Wanted,
    observed: &ObservedAutoscaling,
    applied: Option<&AppliedCapacity>,
    tags: &Value,
) -> Option<Write> {
    let mut capacity = wanted.capacity.clone();
    let Some(target) = &observed.target else {
        let (min, max) = (capacity.min_capacity?, capacity.max_capacity?);
        let note = format!("Registered {service} for scaling between {min} and {max} tasks");
        let mut write = registration(service, &capacity, note);
        write.request["tags"] = tags.clone();
        return Some(write);
    };
    let had = applied.is_some_and(|applied| applied.suspended_state.is_some());
    if had && capacity.suspended_state.is_none() {
        capacity.suspended_state = Some(SuspendedState::default());
    }
    let mut members = changed(&own.capacity, applied);
    members.extend(drifted(&capacity, target, wanted, observed));
    members.sort_unstable();
    members.dedup();
    if members.is_empty() {
        return None;
    }
    let note = format!(
        "Updated the scalable target of {service}: {}",
        members.join(", ")
    );
    Some(registration(
        service,
        &only(capacity, &members, target),
        note,
    ))
}

/// Of `capacity` the members that differ; both bounds where one alone would pass the other one.
fn only(
    mut capacity: AppliedCapacity,
    members: &[&str],
    target: &ScalableTarget,
) -> AppliedCapacity {
    let is_sent = |member: &str| members.contains(&member);
    let (min, max) = (capacity.min_capacity, capacity.max_capacity);
    let passes = (is_sent("minCapacity") && min.is_some_and(|min| min > target.max_capacity))
        || (is_sent("maxCapacity") && max.is_some_and(|max| max < target.min_capacity));
    capacity.min_capacity = min.filter(|_| passes || is_sent("minCapacity"));
    capacity.max_capacity = max.filter(|_| passes || is_sent("maxCapacity"));
    if !is_sent("suspendedState") {
        capacity.suspended_state = None;
    }
    capacity
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

/// The bounds that the spec has changed since AWS accepted it.
fn changed(own: &AppliedCapacity, applied: Option<&AppliedCapacity>) -> Vec<&'static str> {
    let Some(applied) = applied else {
        return Vec::new();
    };
    let is_other = |own: Option<i32>, applied: Option<i32>| own.is_some() && own != applied;
    let members = [
        (
            "minCapacity",
            is_other(own.min_capacity, applied.min_capacity),
        ),
        (
            "maxCapacity",
            is_other(own.max_capacity, applied.max_capacity),
        ),
    ];
    let changed = members.into_iter().filter(|(_, is_changed)| *is_changed);
    changed.map(|(member, _)| member).collect()
}

/// The members that differ in AWS. A scheduled action sets minimum and maximum, and a predictive
/// policy may raise the maximum, which is what the spec asks for.
fn drifted(
    capacity: &AppliedCapacity,
    target: &ScalableTarget,
    wanted: &Wanted,
    observed: &ObservedAutoscaling,
) -> Vec<&'static str> {
    let bounds = |member: &'static str| {
        let actions = wanted.actions.iter().chain(&observed.actions);
        actions.filter_map(move |action| action["scalableTargetAction"][member].as_i64())
    };
    let scheduled = |member, present: i32| bounds(member).any(|value| value == i64::from(present));
    let mut maxima = capacity.max_capacity.map(i64::from).into_iter();
    let mut maxima = maxima.by_ref().chain(bounds("maxCapacity"));
    let is_raised = wanted.policies.iter().any(raises_maximum)
        && maxima.any(|max| max < i64::from(target.max_capacity));
    let differs =
        |wanted: Option<i32>, present: i32| wanted.is_some_and(|wanted| wanted != present);
    let state = capacity.suspended_state.as_ref();
    let present = &target.suspended_state.clone().unwrap_or_default();
    let members = [
        (
            "minCapacity",
            differs(capacity.min_capacity, target.min_capacity)
                && !scheduled("minCapacity", target.min_capacity),
        ),
        (
            "maxCapacity",
            differs(capacity.max_capacity, target.max_capacity)
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
