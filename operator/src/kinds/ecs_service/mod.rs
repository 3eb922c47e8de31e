//! EcsService.

mod apply;
mod commands;
mod deployment;
mod ecs_events;
mod failure;
mod fit;
mod follow;
mod notices;
mod observe;
mod plan;
mod references;
mod rollout;
mod settings;
mod stable;
mod status;
mod tasks;
#[cfg(test)]
mod tests;
mod update;
pub(crate) mod users;
mod verdict;

use std::time::Duration;

use ecs_operator_crds::v1beta1::{EcsService, EcsServiceSpec, EcsServiceStatus};
use k8s_openapi::jiff::Timestamp;

use crate::aws::observer::{Pace, PolledKey, ServiceDeploymentKey};
use crate::aws::tags::Owner;
use crate::aws::{Fault, Freshness, Permit, name_in};
use crate::k8s::events::Notice;
use crate::reconcile::kind::{After, Reset};
use crate::reconcile::outcome::Outcome;
use crate::reconcile::plan::{Plan, Write};
use crate::reconcile::references::Resolved;
use crate::reconcile::{Kind, Observed, Pass, Reference, Shape, Stores};
pub use commands::CarriedOut;
pub use deployment::ServiceDeployment;
pub use observe::{Deployment, ObservedService, Service};

/// Members of the spec that are ours and not the API's.
const OWN_MEMBERS: &[&str] = &["clusterRef", "desiredCountOwner", "rollout", "taskDefinitionRef"];

/// How each member is taken back that ECS keeps when an update leaves it out. What has no row, and is in no member that has one, stays
/// ([`STAYS`]); elements of a list are replaced with the list.
pub const RESETS: &[Reset] = &[
    ("deploymentConfiguration.alarms", r#"{"alarmNames":[],"enable":false,"rollback":false}"#),
    ("deploymentConfiguration.bakeTimeInMinutes", "0"),
    ("deploymentConfiguration.canaryConfiguration.canaryBakeTimeInMinutes", "10"),
    ("deploymentConfiguration.canaryConfiguration.canaryPercent", "5"),
    ("deploymentConfiguration.deploymentCircuitBreaker.enable", "false"),
    ("deploymentConfiguration.deploymentCircuitBreaker.resetOnHealthyTask", "true"),
    ("deploymentConfiguration.deploymentCircuitBreaker.rollback", "false"),
    ("deploymentConfiguration.deploymentCircuitBreaker.thresholdConfiguration", r#"{"type":"BOUNDED_PERCENT","value":50}"#),
    ("deploymentConfiguration.earlySuccessCriteria.enable", "false"),
    ("deploymentConfiguration.lifecycleHooks", "[]"),
    ("deploymentConfiguration.linearConfiguration.stepBakeTimeInMinutes", "6"),
    ("deploymentConfiguration.linearConfiguration.stepPercent", "10"),
    ("deploymentConfiguration.maximumPercent", "200"),
    ("deploymentConfiguration.minimumHealthyPercent", "100"),
    ("deploymentConfiguration.strategy", r#""ROLLING""#),
    ("enableECSManagedTags", "false"),
    ("enableExecuteCommand", "false"),
    ("gatewayConnectors", "[]"),
    ("healthCheckGracePeriodSeconds", "0"),
    ("loadBalancers", "[]"),
    ("networkConfiguration.awsvpcConfiguration.assignPublicIp", r#""DISABLED""#),
    ("placementConstraints", "[]"),
    ("placementStrategy", "[]"),
    ("platformVersion", r#""LATEST""#),
    ("propagateTags", r#""NONE""#),
    ("serviceConnectConfiguration.accessLogConfiguration", "null"),
    ("serviceConnectConfiguration.containerConfigurations", "null"),
    ("serviceConnectConfiguration.enabled", "false"),
    ("serviceConnectConfiguration.logConfiguration", "null"),
    ("serviceConnectConfiguration.namespace", "null"),
    ("serviceConnectConfiguration.services", "null"),
    ("serviceRegistries", "[]"),
    ("volumeConfigurations", "[]"),
    ("vpcLatticeConfigurations", "[]"),
];

/// [`RESETS`] for this spec: a service that runs one task on every instance has other percentages.
fn resets(spec: &EcsServiceSpec) -> Vec<Reset> {
    let is_daemon = spec.scheduling_strategy.as_deref() == Some("DAEMON");
    let value = |(path, value): &Reset| match *path {
        "deploymentConfiguration.maximumPercent" if is_daemon => (*path, "100"),
        "deploymentConfiguration.minimumHealthyPercent" if is_daemon => (*path, "0"),
        _ => (*path, *value),
    };
    RESETS.iter().map(value).collect()
}

/// Members of UpdateService that stay as they are in ECS when the spec drops them, and why. Their descriptions say so.
pub const STAYS: &[(&str, &str)] = &[
    ("availabilityZoneRebalancing", "what ECS would choose for a new service is not documented for an update"),
    ("capacityProviderStrategy", "to take it back replaces all tasks, which an empty one in the spec asks for"),
    ("deploymentConfiguration.earlySuccessCriteria.healthyPercent", "ECS needs it while the criteria are enabled"),
    ("deploymentConfiguration.earlySuccessCriteria.sourceServiceRevisionCleanup", "ECS needs it while the criteria are enabled"),
    ("deploymentController", "another controller takes the deployments over"),
    ("desiredCount", "the number is left to ECS and autoscalers"),
    ("monitoring", "no value is documented that takes it back"),
    (
        "networkConfiguration.awsvpcConfiguration.securityGroups",
        "the default group of the VPC would expose the tasks in another way",
    ),
    ("networkConfiguration.awsvpcConfiguration.subnets", "ECS needs it"),
    ("taskDefinition", "a service runs one"),
];

/// `family:revision` of an ARN.
fn short(task_definition: Option<&str>) -> Option<String> {
    task_definition.map(|arn| name_in(arn).to_owned())
}

/// The ARN of the cluster, where the spec gives one.
fn cluster_arn(object: &EcsService) -> Option<&str> {
    object.spec.cluster.as_deref().filter(|cluster| cluster.starts_with("arn:"))
}

impl Kind for EcsService {
    type Observed = ObservedService;

    const SHAPE: Shape = Shape {
        identity: &["cluster", "clusterRef", "serviceName"],
        own_members: OWN_MEMBERS,
        resets: RESETS,
        refers_to: &["EcsCluster", "EcsTaskDefinition"],
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

    async fn observe(&self, pass: &Pass<'_, Self>, freshness: Freshness) -> Result<Observed<ObservedService>, Fault> {
        // A command is answered once, and so by a fresh read.
        let freshness = match freshness {
            Freshness::Any if commands::is_asked(self) => Freshness::Since(pass.began),
            freshness => freshness,
        };
        Ok(observed(self, observe::observe(self, pass, freshness).await?))
    }

    fn plan(&self, observed: &ObservedService, owner: &Owner) -> Plan {
        plan::plan(self, observed, owner)
    }

    async fn apply(
        &self,
        pass: &Pass<'_, Self>,
        before: &ObservedService,
        write: &Write,
        permit: Permit,
    ) -> Result<Observed<ObservedService>, Fault> {
        Ok(observed(self, apply::apply(self, pass, before, write, permit).await?))
    }

    fn status_after(&self, after: &After<'_, ObservedService>) -> EcsServiceStatus {
        let mut status = status::status(self, after.observed, after.outcome, after.now);
        if *after.outcome != Outcome::InSync {
            update::remember_sent(self, &mut status, after.accepted, after.unanswered);
        }
        status
    }

    fn requeue_after(&self, _: Option<&ObservedService>, status: &EcsServiceStatus, now: Timestamp) -> Option<Duration> {
        let at = verdict::changes_at(self, status, now).into_iter().chain(stable::settles_until(status.rollout.as_ref()));
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
    let service = (PolledKey::new(value.key.clone()), is_rolling(object, &value, Timestamp::now()).then_some(Pace::Active));
    let deployment = value.deployment().filter(|deployment| !deployment.phase.is_final());
    let deployment = deployment.map(|deployment| PolledKey::new(ServiceDeploymentKey(deployment.arn.clone())));
    // In a cluster of another name would be another service.
    let service = (!value.is_guess).then_some(service);
    let polled = service.into_iter().chain(deployment.map(|key| (key, Some(Pace::Active)))).collect();
    let urgent = commands::is_asked(object) || wants_another_revision(object, &value);
    Observed { read_at: Some(value.at), unconfirmed: value.may_be_there, urgent, polled, value }
}

/// Whether the service is polled as often as during a rollout: one is under way, or has ended a short time ago.
fn is_rolling(object: &EcsService, observed: &ObservedService, now: Timestamp) -> bool {
    let Some(service) = &observed.service else { return false };
    // Also while ECS rolls back a deployment that has been given up.
    let rolls = service.primary().is_some_and(|primary| primary.rollout_state.as_deref() == Some("IN_PROGRESS"));
    let rollout = object.status.as_ref().and_then(|status| status.rollout.as_ref());
    let ends = rollout.is_some_and(|rollout| !rollout.phase.is_final());
    rolls || ends || stable::settles_until(rollout).is_some_and(|until| until > now)
}

/// Whether the EcsTaskDefinition asks for another revision than the status speaks of.
fn wants_another_revision(object: &EcsService, observed: &ObservedService) -> bool {
    let Resolved::To(wanted) = &observed.task_definition else { return false };
    let rollout = object.status.as_ref().and_then(|status| status.rollout.as_ref());
    object.spec.task_definition_ref.is_some() && rollout.is_some_and(|rollout| rollout.revision != name_in(wanted))
}
