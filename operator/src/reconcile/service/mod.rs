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
mod rollout;
mod settings;
mod stable;
mod status;
mod tasks;
#[cfg(test)]
mod tests;
mod update;
mod verdict;

use std::time::{Duration, Instant};

use ecs_operator_crds::v1beta1::{EcsService, EcsServiceSpec, EcsServiceStatus};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::reflector::{ObjectRef, Store};

use super::plan::{Outcome, Plan, Write, request};
use super::references::Resolved;
use super::reset::{Remembered, Reset, remember};
use super::{Context, Kind, Stores, references};
use crate::aws::observer::{Pace, ServiceDeploymentKey, ServiceKey};
use crate::aws::tags::Owner;
use crate::aws::{Fault, Freshness, Operation, Permit, name_in};
use crate::k8s::events::Notice;
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

/// What the status remembers of the spec.
fn remembered(object: &EcsService) -> Option<Remembered> {
    let spec = &object.spec;
    Remembered::of(&request(spec, OWN_MEMBERS), spec.tags.as_deref(), &spec.policies, RESETS)
}

/// Names that only EcsService has.
pub trait ServiceExt {
    /// Name of the service in ECS.
    fn service_name(&self) -> String;
}

impl ServiceExt for EcsService {
    fn service_name(&self) -> String {
        self.spec.service_name.clone().unwrap_or_else(|| self.name_any())
    }
}

/// `family:revision` of an ARN.
fn short(task_definition: Option<&str>) -> Option<String> {
    task_definition.map(|arn| name_in(arn).to_owned())
}

/// The ARN of the cluster, where the spec gives one.
fn cluster_arn(object: &EcsService) -> Option<&str> {
    object.spec.cluster.as_deref().filter(|cluster| cluster.starts_with("arn:"))
}

impl Kind for EcsService {
    const IDENTITY: &'static [&'static str] = &["cluster", "clusterRef", "serviceName"];
    type Observed = ObservedService;

    fn store(stores: &Stores) -> &Store<Self> {
        &stores.services
    }

    fn cluster_in_ecs(&self, stores: &Stores) -> Option<String> {
        references::known_cluster(self, stores)
    }

    fn arns(&self) -> Vec<(&'static str, &str)> {
        let definition = self.spec.task_definition.as_deref().filter(|definition| definition.starts_with("arn:"));
        cluster_arn(self).map(|arn| ("cluster", arn)).into_iter().chain(definition.map(|arn| ("taskDefinition", arn))).collect()
    }

    async fn observe(&self, context: &Context, freshness: Freshness) -> Result<ObservedService, Fault> {
        observe::observe(self, context, freshness).await
    }

    fn observed_at(observed: &ObservedService) -> Option<Instant> {
        Some(observed.at)
    }

    fn is_unanswered(observed: &ObservedService) -> bool {
        observed.may_be_there
    }

    fn plan(&self, observed: &ObservedService, owner: &Owner) -> Plan {
        plan::plan(self, observed, owner)
    }

    async fn apply(
        &self,
        context: &Context,
        observed: &ObservedService,
        write: &Write,
        permit: Permit,
    ) -> Result<ObservedService, Fault> {
        apply::apply(self, context, observed, write, permit).await
    }

    fn status_after(&self, observed: Option<&ObservedService>, outcome: &Outcome, now: Timestamp) -> EcsServiceStatus {
        status::status(self, observed, outcome, now)
    }

    fn watch(&self, context: &Context, observed: Option<&ObservedService>, pace: Option<Pace>) {
        let services = context.aws.observer.services();
        let watcher = ObjectRef::from_obj(self);
        // Also while a deployment goes back that has been given up.
        let primary = observed.and_then(|observed| observed.service.as_ref()?.primary());
        let rolls = primary.is_some_and(|primary| primary.rollout_state.as_deref() == Some("IN_PROGRESS"));
        // In a cluster of another name than the known one would be another service.
        match (pace, references::known_cluster(self, &context.stores)) {
            (Some(pace), Some(cluster)) => {
                let own = || ServiceKey { cluster, name: self.service_name() };
                let key = observed.map_or_else(own, |observed| observed.key.clone());
                services.watch(key, watcher.clone(), if rolls { Pace::Active } else { pace });
            }
            _ => services.unwatch(&watcher),
        }
        let deployments = context.aws.observer.service_deployments();
        let deployment = observed.and_then(ObservedService::deployment);
        match (deployment.filter(|deployment| !deployment.phase.is_final()), pace) {
            (Some(deployment), Some(_)) => deployments.watch(ServiceDeploymentKey(deployment.arn.clone()), watcher, Pace::Active),
            _ => deployments.unwatch(&watcher),
        }
    }

    fn look_again(&self, _: Option<&ObservedService>, status: &EcsServiceStatus, now: Timestamp) -> Option<Duration> {
        let at = verdict::changes_at(self, status, now).into_iter().chain(stable::settles_until(status.rollout.as_ref()));
        // Past deadlines have had their say.
        let wait = at.filter(|at| *at > now).min()?.duration_since(now);
        Duration::try_from(wait).ok()
    }

    fn settles(status: &EcsServiceStatus, now: Timestamp) -> bool {
        stable::settles_until(status.rollout.as_ref()).is_some_and(|until| until > now)
    }

    fn is_commanded(&self) -> bool {
        commands::is_asked(self)
    }

    fn is_led_on(&self, observed: &ObservedService) -> bool {
        let Resolved::To(wanted) = &observed.task_definition else { return false };
        let rollout = self.status.as_ref().and_then(|status| status.rollout.as_ref());
        self.spec.task_definition_ref.is_some() && rollout.is_some_and(|rollout| rollout.revision != name_in(wanted))
    }

    fn remember(&self, status: &mut EcsServiceStatus, accepted: &[Write], unanswered: Option<&Write>) {
        let sent: Vec<_> = accepted.iter().chain(unanswered).collect();
        remember(&mut status.applied_members, &mut status.managed_tags, remembered(self), &sent);
        for write in accepted {
            update::remember_accepted(self, status, write);
        }
        if unanswered.is_some_and(|write| write.operation == Operation::UpdateService) {
            // Nobody knows which of the two ECS has.
            status.hidden_hash = None;
        }
    }

    fn carry_over(from: &ObservedService, to: &mut ObservedService) {
        to.carried_out.clone_from(&from.carried_out);
    }

    fn notices(&self, before: &EcsServiceStatus, after: &EcsServiceStatus) -> Vec<Notice> {
        notices::notices(before, after)
    }

    fn invalidate(&self, context: &Context, observed: &ObservedService) {
        context.aws.observer.services().invalidate(&observed.key);
    }
}
