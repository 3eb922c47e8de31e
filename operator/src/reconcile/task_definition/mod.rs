//! EcsTaskDefinition.

mod apply;
mod observe;
mod plan;
mod status;
#[cfg(test)]
mod tests;

use std::time::Instant;

use ecs_operator_crds::v1beta1::{EcsTaskDefinition, EcsTaskDefinitionStatus};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use super::plan::{Outcome, Plan, Write};
use super::{Context, Kind};
use crate::aws::observer::{Pace, TaskDefinitionKey};
use crate::aws::tags::Owner;
use crate::aws::{Fault, Freshness, Permit};
pub use observe::{ObservedTaskDefinition, Revision};

/// Members of the spec that are ours and not the API's.
const OWN_MEMBERS: &[&str] = &["adoptionPolicy", "deletionPolicy"];

/// Names that only EcsTaskDefinition has.
pub trait TaskDefinitionExt {
    /// Name of the family in ECS.
    fn family(&self) -> String;
}

impl TaskDefinitionExt for EcsTaskDefinition {
    fn family(&self) -> String {
        self.spec.family.clone().unwrap_or_else(|| self.name_any())
    }
}

/// ARN of the revision that the status names.
fn known_arn(object: &EcsTaskDefinition) -> Option<&str> {
    object.status.as_ref()?.task_definition_arn.as_deref()
}

impl Kind for EcsTaskDefinition {
    type Observed = ObservedTaskDefinition;

    async fn observe(&self, context: &Context, freshness: Freshness) -> Result<ObservedTaskDefinition, Fault> {
        observe::observe(self, context, freshness).await
    }

    fn observed_at(observed: &ObservedTaskDefinition) -> Option<Instant> {
        observed.at
    }

    fn plan(&self, observed: &ObservedTaskDefinition, owner: &Owner) -> Plan {
        plan::plan(self, observed, owner)
    }

    async fn apply(
        &self,
        context: &Context,
        observed: &ObservedTaskDefinition,
        write: &Write,
        permit: Permit,
    ) -> Result<ObservedTaskDefinition, Fault> {
        apply::apply(context, observed, write, permit).await
    }

    fn status_after(
        &self,
        observed: Option<&ObservedTaskDefinition>,
        outcome: &Outcome,
        now: Timestamp,
    ) -> EcsTaskDefinitionStatus {
        status::status(self, observed, outcome, now)
    }

    fn watch(&self, context: &Context, observed: Option<&ObservedTaskDefinition>, pace: Option<Pace>) {
        let revisions = context.aws.observer.task_definitions();
        let watcher = ObjectRef::from_obj(self);
        let current = observed.and_then(|observed| Some(observed.current.as_ref()?.arn.as_str())).or_else(|| known_arn(self));
        match (current, pace) {
            // A revision cannot be on its way to anything: it is there or not.
            (Some(current), Some(_)) => revisions.watch(TaskDefinitionKey(current.to_owned()), watcher, Pace::Steady),
            _ => revisions.unwatch(&watcher),
        }
    }

    fn invalidate(&self, context: &Context, _: &ObservedTaskDefinition) {
        if let Some(arn) = known_arn(self) {
            context.aws.observer.task_definitions().invalidate(&TaskDefinitionKey(arn.to_owned()));
        }
    }
}
