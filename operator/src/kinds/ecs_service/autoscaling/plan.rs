//! The writes that bring Application Auto Scaling to the spec. Pure.

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::EcsService;
use ecs_operator_crds::v1beta1::service::AutoscalingStatus;
use serde_json::{Value, json};

use super::elements::{ACTION, Elements, Noted, POLICY, noted_actions, noted_policies};
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
    let rights = &object.spec.policies;
    let Some(observed) = observed else {
        return if is_managed(object) {
            // It is read when the service exists.
            Plan::Write(Vec::new())
        } else {
            Plan::InSync
        };
    };
    if object.is_deleting() || object.spec.autoscaling.is_none() {
        return Plan::writes(
            deregistration(object, service, Some(observed))
                .into_iter()
                .collect(),
        );
    }
    if let Some(target) = observed.target.as_ref().filter(|target| !target.is_owned())
        && !rights.observes()
    {
        return take_over(object, service, target, owner);
    }
    let writes = writes(object, service, observed, owner);
    let is_dry_run = rights.observes() || rights.suspend == Some(true);
    if !writes.is_empty() && !is_dry_run && !is_noted(object, service) {
        // What is put must be known to the status first, or a crash would leave it in AWS when the
        // spec drops it.
        return Plan::Write(Vec::new());
    }
    Plan::writes(writes)
}

/// The write that ends service auto scaling, where the object owns it. It deletes the policies and
/// scheduled actions, too.
pub(in crate::kinds::ecs_service) fn deregistration(
    object: &EcsService,
    service: &ServiceKey,
    observed: Option<&ObservedAutoscaling>,
) -> Option<Write> {
    let target = observed?.target.as_ref()?;
    if !target.is_owned() || object.spec.policies.observes() {
        return None;
    }
    Some(Write {
        operation: aws::DeregisterScalableTarget,
        request: ScalableTargetKey::of(service).request().into(),
        note: format!("Deregistered the scalable target of {service}"),
    })
}

fn recorded(object: &EcsService) -> Option<&AutoscalingStatus> {
    object.status.as_ref()?.autoscaling.as_ref()
}

/// Whether the status knows the names of all that the spec puts.
fn is_noted(object: &EcsService, service: &ServiceKey) -> bool {
    let status = recorded(object);
    let noted = [noted_policies(status), noted_actions(status)];
    let is_in = |noted: &[Noted<'_>], name: &String| noted.iter().any(|(noted, _)| noted == name);
    status.is_some()
        && names(object, service)
            .iter()
            .zip(noted)
            .all(|(names, noted)| names.iter().all(|name| is_in(&noted, name)))
}

/// The plan of a scalable target that the operator did not register.
fn take_over(
    object: &EcsService,
    service: &ServiceKey,
    target: &ScalableTarget,
    owner: &Owner,
) -> Plan {
    if !object.spec.policies.adopts() {
        return Plan::stall(
            Reason::NotOwned,
            format!(
                "{service} has a scalable target in Application Auto Scaling that this operator did not register; set spec.adoptionPolicy to \
                 IfUnowned to take it over, or drop spec.autoscaling"
            ),
        );
    }
    let tags = owner.desired(None).write(aws::SERVICE.tag_shape);
    Plan::Write(vec![Write {
        operation: aws::TagResource,
        request: json!({"resourceArn": target.arn, "tags": tags}),
        note: format!("Adopted the existing scalable target of {service}"),
    }])
}

/// The writes that bring what AWS has to the spec.
fn writes(
    object: &EcsService,
    service: &ServiceKey,
    observed: &ObservedAutoscaling,
    owner: &Owner,
) -> Vec<Write> {
    let (Some(wanted), Some(own)) = (
        Wanted::new(object, service, observed),
        Wanted::own(object, service),
    ) else {
        // It is left to others.
        return Vec::new();
    };
    // What was accepted for another scalable target went with that.
    let known = recorded(object).filter(|known| {
        let target = observed.target.as_ref();
        target.is_some_and(|target| known.scalable_target_arn.as_deref() == Some(&target.arn))
    });
    let register = register(service, &wanted, &own, observed, known, owner);
    let live = observed.actions.iter().cloned();
    let live: Vec<_> = live.map(|action| with_times(action, Value::from)).collect();
    let [policy_names, action_names] = names(object, service);
    let policies = Elements {
        part: &POLICY,
        wanted: &wanted.policies,
        own: &own.policies,
        live: &observed.policies,
        kept: &policy_names,
        noted: noted_policies(recorded(object)),
        accepted: noted_policies(known),
        now: observed.now,
    };
    let actions = Elements {
        part: &ACTION,
        wanted: &wanted.actions,
        own: &own.actions,
        live: &live,
        kept: &action_names,
        noted: noted_actions(recorded(object)),
        accepted: noted_actions(known),
        now: observed.now,
    };
    let elements = [policies, actions];
    let elements = elements.iter();
    let elements = elements.flat_map(|elements| elements.writes(service));
    register.into_iter().chain(elements).collect()
}
