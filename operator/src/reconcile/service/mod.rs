//! EcsService.

mod apply;
mod fit;
mod observe;
mod plan;
mod restart;
mod status;
#[cfg(test)]
mod tests;
mod update;

use std::time::Instant;

use ecs_operator_crds::v1beta1::{EcsService, EcsServiceStatus};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use super::plan::{Outcome, Plan, Write};
use super::reset::Reset;
use super::{Context, Kind, references};
use crate::aws::observer::{Pace, ServiceKey};
use crate::aws::tags::Owner;
use crate::aws::{Fault, Freshness, Permit};
pub use observe::{Deployment, ObservedService, Service};

/// Members of the spec that are ours and not the API's.
const OWN_MEMBERS: &[&str] = &["clusterRef", "taskDefinitionRef"];

/// How each member is taken back that ECS keeps when an update leaves it out. A dropped `capacityProviderStrategy` stays: an
/// empty one means the cluster's, which ECS then shows as if it were the service's own.
const RESETS: &[Reset] = &[
    ("deploymentConfiguration.alarms", r#"{"alarmNames":[],"enable":false,"rollback":false}"#),
    ("deploymentConfiguration.bakeTimeInMinutes", "0"),
    ("deploymentConfiguration.deploymentCircuitBreaker", r#"{"enable":false,"rollback":false}"#),
    ("deploymentConfiguration.lifecycleHooks", "[]"),
    ("deploymentConfiguration.strategy", r#""ROLLING""#),
    ("enableECSManagedTags", "false"),
    ("enableExecuteCommand", "false"),
    ("gatewayConnectors", "[]"),
    ("healthCheckGracePeriodSeconds", "0"),
    ("loadBalancers", "[]"),
    ("placementConstraints", "[]"),
    ("placementStrategy", "[]"),
    ("platformVersion", r#""LATEST""#),
    ("propagateTags", r#""NONE""#),
    ("serviceConnectConfiguration", r#"{"enabled":false}"#),
    ("serviceRegistries", "[]"),
    ("volumeConfigurations", "[]"),
    ("vpcLatticeConfigurations", "[]"),
];

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

impl Kind for EcsService {
    const IDENTITY: &'static [&'static str] = &["cluster", "clusterRef", "serviceName"];
    type Observed = ObservedService;

    async fn observe(&self, context: &Context, freshness: Freshness) -> Result<ObservedService, Fault> {
        observe::observe(self, context, freshness).await
    }

    fn observed_at(observed: &ObservedService) -> Option<Instant> {
        Some(observed.at)
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
        let key = observed.map_or_else(
            || ServiceKey { cluster: references::cluster_of(self, &context.stores).name, name: self.service_name() },
            |observed| observed.key.clone(),
        );
        let watcher = ObjectRef::from_obj(self);
        match pace {
            Some(pace) => services.watch(key, watcher, pace),
            None => services.unwatch(&watcher),
        }
    }

    fn invalidate(&self, context: &Context, observed: &ObservedService) {
        context.aws.observer.services().invalidate(&observed.key);
    }
}
