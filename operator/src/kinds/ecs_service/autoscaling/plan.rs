//! The plan that brings Application Auto Scaling to the spec. Pure.

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::EcsService;
use ecs_operator_crds::v1beta1::service::{AppliedCapacity, AutoscalingStatus};
use serde_json::{Value, json};

use super::elements::{ACTION, Difference, Elements, POLICY, noted_actions, noted_policies};
use super::observed::{ObservedAutoscaling, ScalableTarget, is_managed};
use super::target::register;
use super::wanted::{Wanted, names, with_times};
use crate::aws::autoscaling::{self as aws, ScalableTargetKey};
use crate::aws::ecs::ServiceKey;
use crate::aws::tags::Owner;
use crate::k8s::object::Object;
use crate::reconcile::plan::{Plan, Write};

/// The plan of the service auto scaling of a service that exists and that the object owns.
pub(in crate::kinds::ecs_service) fn plan(
    object: &EcsService,
    service: &ServiceKey,
    observed: Option<&ObservedAutoscaling>,
    owner: &Owner,
) -> Plan {
    let Some(observed) = observed else {
        return if is_managed(object) {
            // It is read when the service exists.
            Plan::Write(Vec::new())
        } else {
            Plan::InSync
        };
    };
    if let Some(error) = &observed.unread {
        return Plan::wait(error.kind.reason(), error.to_string());
    }
    if object.is_deleting() || object.spec.autoscaling.is_none() {
        return end(object, service, observed);
    }
    let rights = &object.spec.policies;
    let tags = owner.desired(None).write(aws::SERVICE.tag_shape);
    if let Some(target) = &observed.target
        && !target.is_owned()
        && !rights.observes()
    {
        return take_over(object, service, target, &tags);
    }
    let writes = difference(object, service, observed, &tags).writes;
    if !writes.is_empty() && notes_names(object) && !are_noted(object, service) {
        // What is put must be known to the status first, or a crash would leave it in AWS when the
        // spec drops it.
        return Plan::Write(Vec::new());
    }
    Plan::writes(writes)
}

/// The plan that ends service auto scaling.
fn end(object: &EcsService, service: &ServiceKey, observed: &ObservedAutoscaling) -> Plan {
    match deregistration(object, service, Some(observed)) {
        Some(write) => Plan::Write(vec![write]),
        None if observed.may_be_there => Plan::pause(
            Reason::Progressing,
            format!(
                "AWS did not reply to the registration of {service} for scaling; checking for up to a minute whether it is registered"
            ),
        ),
        None => Plan::InSync,
    }
}

/// The write that ends service auto scaling, where the object owns it. It deletes the policies and
/// scheduled actions, too.
pub(in crate::kinds::ecs_service) fn deregistration(
    object: &EcsService,
    service: &ServiceKey,
    observed: Option<&ObservedAutoscaling>,
) -> Option<Write> {
    let target = observed?.target.as_ref()?;
    if !target.is_owned() || (object.is_deleting() && object.spec.policies.observes()) {
        return None;
    }
    Some(Write {
        operation: aws::DeregisterScalableTarget,
        request: ScalableTargetKey::of(service).request().into(),
        note: format!("Deregistered the scalable target of {service}"),
    })
}

/// Whether the status notes the names of what the spec puts: not while the operator changes
/// nothing, because what it has never put is not its own to delete.
pub(super) fn notes_names(object: &EcsService) -> bool {
    !object.spec.policies.observes() && !object.spec.policies.suspends()
}

/// Whether the status knows the names of all that the spec puts.
fn are_noted(object: &EcsService, service: &ServiceKey) -> bool {
    let status = recorded(object);
    let noted = [noted_policies(status), noted_actions(status)];
    let [policies, actions] = names(object, service);
    let are_in = |names: &[String], index: usize| {
        let noted = &noted[index];
        let mut names = names.iter();
        names.all(|name| noted.iter().any(|noted| noted.name == name))
    };
    status.is_some() && are_in(&policies, 0) && are_in(&actions, 1)
}

fn recorded(object: &EcsService) -> Option<&AutoscalingStatus> {
    object.status.as_ref()?.autoscaling.as_ref()
}

/// The plan of a scalable target that the operator did not register.
fn take_over(
    object: &EcsService,
    service: &ServiceKey,
    target: &ScalableTarget,
    tags: &Value,
) -> Plan {
    if !object.spec.policies.adopts() {
        return Plan::stall(Reason::ScalableTargetNotOwned, not_owned(service));
    }
    Plan::Write(vec![Write {
        operation: aws::TagResource,
        request: json!({"resourceArn": target.arn, "tags": tags}),
        note: format!("Adopted the existing scalable target of {service}"),
    }])
}

/// Whose the scalable target is, and the way out.
pub(super) fn not_owned(service: &ServiceKey) -> String {
    format!(
        "{service} has a scalable target in Application Auto Scaling that this operator did not register; set spec.adoptionPolicy to IfUnowned to take \
         it over, or drop spec.autoscaling"
    )
}

/// What AWS lacks of the spec. A new scalable target gets `tags`.
pub(super) fn difference(
    object: &EcsService,
    service: &ServiceKey,
    observed: &ObservedAutoscaling,
    tags: &Value,
) -> Difference {
    let Some(whole) = Wanted::whole(object, service) else {
        return Difference::default();
    };
    // Both are without members where all of it is left to others.
    let wanted = Wanted::new(object, service, observed).unwrap_or_default();
    let own = Wanted::own(object, service).unwrap_or_default();
    // What was accepted for another scalable target went with that.
    let target = observed.target.as_ref();
    let is_of_target = recorded(object).is_some_and(|known| {
        target.is_some_and(|target| known.scalable_target_arn.as_deref() == Some(&target.arn))
    });
    let known = recorded(object).filter(|_| is_of_target);
    let live = observed.actions.iter().cloned();
    let live: Vec<_> = live.map(with_times).collect();
    let status = recorded(object);
    let policies = Elements {
        part: &POLICY,
        whole: &whole.policies,
        wanted: &wanted.policies,
        own: &own.policies,
        live: &observed.policies,
        noted: noted_policies(status),
        is_of_target,
        sent: &observed.sent,
        now: observed.now,
    };
    let actions = Elements {
        part: &ACTION,
        whole: &whole.actions,
        wanted: &wanted.actions,
        own: &own.actions,
        live: &live,
        noted: noted_actions(status),
        is_of_target,
        sent: &observed.sent,
        now: observed.now,
    };
    let applied = applied(&own, known, observed);
    let register = register(service, &wanted, &own, observed, applied, tags);
    let mut difference = Difference::default();
    difference.writes.extend(register);
    for elements in [policies, actions] {
        elements.add_to(&mut difference, service);
    }
    difference
}

/// What AWS has accepted of the scalable target of the spec, also in this pass.
fn applied<'a>(
    own: &'a Wanted,
    known: Option<&'a AutoscalingStatus>,
    observed: &ObservedAutoscaling,
) -> Option<&'a AppliedCapacity> {
    let registers = |write: &Write| write.operation == aws::RegisterScalableTarget;
    if observed.sent.iter().any(registers) {
        return Some(&own.capacity);
    }
    known.and_then(|known| known.applied.as_ref())
}
