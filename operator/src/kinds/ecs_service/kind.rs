//! EcsService as the driver sees it.

use std::time::Duration;

use ecs_operator_crds::v1beta1::{EcsService, EcsServiceStatus};
use k8s_openapi::jiff::Timestamp;

use super::observed::ObservedService;
use super::shape::{OWN_MEMBERS, RESETS};
use super::{apply, commands, notices, observe, plan, references, stable, status, users, verdict};
use crate::aws::autoscaling::{
    ScalableTargetKey, ScalableTargetTagsKey, ScalingActivitiesKey, ScalingPoliciesKey,
    ScheduledActionsKey,
};
use crate::aws::ecs::ServiceDeploymentKey;
use crate::aws::observer::{Pace, PolledKey};
use crate::aws::tags::Owner;
use crate::aws::{AwsError, Freshness, Permit, name_in};
use crate::clock;
use crate::k8s::events::Notice;
use crate::reconcile::kind::After;
use crate::reconcile::plan::{Plan, Write};
use crate::reconcile::references::Resolved;
use crate::reconcile::{Kind, Observed, Pass, Reference, Report, Shape, Stores};

impl Kind for EcsService {
    type Observed = ObservedService;

    const SHAPE: Shape = Shape {
        identity: &["cluster", "clusterRef", "serviceName"],
        own_members: OWN_MEMBERS,
        resets: RESETS,
        sent_by: &[],
        refers_to: &[
            "EcsCapacityProvider",
            "EcsCluster",
            "EcsTask",
            "EcsTaskDefinition",
        ],
    };

    fn aws_name(&self) -> Option<String> {
        users::label(self)
    }

    fn references(&self) -> Vec<Reference> {
        references::references(self)
    }

    fn cluster(&self, stores: &Stores) -> Option<String> {
        references::known_cluster(self, stores)
    }

    async fn observe(
        &self,
        pass: &Pass<'_, ObservedService>,
        freshness: Freshness,
    ) -> Result<Observed<ObservedService>, AwsError> {
        // A command is answered once, and so by a fresh read.
        let freshness = match freshness {
            Freshness::Any if commands::is_asked(self) => Freshness::Since(pass.began),
            freshness => freshness,
        };
        Ok(observed(
            self,
            observe::observe(self, pass, freshness).await?,
        ))
    }

    fn plan(&self, observed: &ObservedService, owner: &Owner) -> Plan {
        plan::plan(self, observed, owner)
    }

    async fn apply(
        &self,
        pass: &Pass<'_, ObservedService>,
        before: &ObservedService,
        write: &Write,
        permit: Permit,
    ) -> Result<Observed<ObservedService>, AwsError> {
        Ok(observed(
            self,
            apply::apply(self, pass, before, write, permit).await?,
        ))
    }

    fn report(&self, after: &After<'_, ObservedService>) -> Report<EcsServiceStatus> {
        status::report(self, after)
    }

    fn requeue_after(
        &self,
        _: Option<&ObservedService>,
        status: &EcsServiceStatus,
        now: Timestamp,
    ) -> Option<Duration> {
        let at = verdict::changes_at(self, status, now)
            .into_iter()
            .chain(stable::settles_until(status.rollout.as_ref()));
        // Past deadlines have had their say.
        let wait = at.filter(|at| *at > now).min()?.duration_since(now);
        Duration::try_from(wait).ok()
    }

    fn events(&self, before: &EcsServiceStatus, after: &EcsServiceStatus) -> Vec<Notice> {
        notices::notices(before, after)
    }
}

/// The service is polled, and while it rolls out also its service deployment.
fn observed(object: &EcsService, value: ObservedService) -> Observed<ObservedService> {
    let service = (
        PolledKey::new(value.key.clone()),
        is_rolling(object, &value, clock::now()).then_some(Pace::Active),
    );
    let deployment = value
        .deployment()
        .filter(|deployment| !deployment.phase.is_final());
    let deployment =
        deployment.map(|deployment| PolledKey::new(ServiceDeploymentKey(deployment.arn.clone())));
    // In a cluster of another name would be another service.
    let service = (!value.is_guess).then_some(service);
    let scaling = value.autoscaling.as_ref().map(|scaling| {
        let target = scaling.target.as_ref();
        let others = target.filter(|target| !target.is_owned());
        let tags = others.map(|target| PolledKey::new(ScalableTargetTagsKey(target.arn.clone())));
        let keys = [
            PolledKey::new(ScalableTargetKey::of(&value.key)),
            PolledKey::new(ScalingPoliciesKey::of(&value.key)),
            PolledKey::new(ScheduledActionsKey::of(&value.key)),
            PolledKey::new(ScalingActivitiesKey::of(&value.key)),
        ];
        keys.into_iter().chain(tags)
    });
    // Deployments do not change them.
    let scaling = scaling
        .into_iter()
        .flatten()
        .map(|key| (key, Some(Pace::Steady)));
    let polled = service
        .into_iter()
        .chain(scaling)
        .chain(deployment.map(|key| (key, Some(Pace::Active))))
        .collect();
    let urgent = commands::is_asked(object) || wants_another_revision(object, &value);
    Observed {
        read_at: Some(value.at),
        unconfirmed: value.may_be_there,
        urgent,
        polled,
        value,
    }
}

/// Whether the service is polled as often as during a rollout: one is under way, or has ended a
/// short time ago.
pub(super) fn is_rolling(object: &EcsService, observed: &ObservedService, now: Timestamp) -> bool {
    let Some(service) = &observed.service else {
        return false;
    };
    // Also while ECS rolls back a deployment that has been given up.
    let rolls = service
        .primary()
        .is_some_and(|primary| primary.rollout_state.as_deref() == Some("IN_PROGRESS"));
    let rollout = object
        .status
        .as_ref()
        .and_then(|status| status.rollout.as_ref());
    let ends = rollout.is_some_and(|rollout| !rollout.phase.is_final());
    rolls || ends || stable::settles_until(rollout).is_some_and(|until| until > now)
}

/// Whether the EcsTaskDefinition asks for another revision than the status speaks of.
pub(super) fn wants_another_revision(object: &EcsService, observed: &ObservedService) -> bool {
    let Resolved::To(wanted) = &observed.task_definition else {
        return false;
    };
    let rollout = object
        .status
        .as_ref()
        .and_then(|status| status.rollout.as_ref());
    object.spec.task_definition_ref.is_some()
        && rollout.is_some_and(|rollout| rollout.revision != name_in(wanted))
}
