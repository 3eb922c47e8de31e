//! EcsTaskDefinition.

mod apply;
mod observe;
mod plan;
mod problem;
mod registrations;
mod status;
mod surplus;
#[cfg(test)]
mod tests;

use std::time::Duration;

use ecs_operator_crds::v1beta1::{EcsTaskDefinition, EcsTaskDefinitionStatus};
use k8s_openapi::jiff::Timestamp;

use crate::aws::observer::{FamilyKey, Pace, PolledKey, TaskDefinitionKey};
use crate::aws::tags::Owner;
use crate::aws::{Fault, Freshness, Permit};
use crate::reconcile::kind::After;
use crate::reconcile::plan::{Plan, Write};
use crate::reconcile::{Kind, Observed, Pass, Shape};
pub use observe::{ObservedTaskDefinition, Revision};

/// Members of the spec that are ours and not the API's.
const OWN_MEMBERS: &[&str] = &["deleteRevisions", "revisionHistoryLimit"];

/// When the next old revisions go, as long as there are more: at the pace of the quota that they share with new ones.
const SURPLUS_AGAIN: Duration = Duration::from_secs(10);

/// When it is looked again who uses old revisions: a service that left one may have been nobody's here.
const SURPLUS_USED: Duration = Duration::from_secs(600);

/// Whether more revisions are registered than `revisionHistoryLimit` allows.
pub(super) fn has_surplus(object: &EcsTaskDefinition) -> bool {
    object.status.as_ref().is_some_and(|status| shows_surplus(object, status))
}

/// Whether the status tells of more revisions than are to stay.
fn shows_surplus(object: &EcsTaskDefinition, status: &EcsTaskDefinitionStatus) -> bool {
    let limit = object.spec.revision_history_limit.and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.filter(|_| !object.spec.policies.observes());
    limit.is_some_and(|limit| status.revisions.as_ref().is_some_and(|revisions| revisions.len() > limit + 1))
}

/// Whether there is a limit, and nobody knows which revisions there are.
fn lacks_revisions(object: &EcsTaskDefinition, status: &EcsTaskDefinitionStatus) -> bool {
    let spec = &object.spec;
    spec.revision_history_limit.is_some() && !spec.policies.observes() && status.revisions.is_none()
}

/// ARN of the revision that the status names.
fn known_arn(object: &EcsTaskDefinition) -> Option<&str> {
    object.status.as_ref()?.task_definition_arn.as_deref()
}

impl Kind for EcsTaskDefinition {
    type Observed = ObservedTaskDefinition;

    const SHAPE: Shape = Shape { identity: &["family"], own_members: OWN_MEMBERS, resets: &[], refers_to: &[] };

    fn aws_name(&self) -> Option<String> {
        Some(self.family())
    }

    async fn observe(&self, pass: &Pass<'_, Self>, freshness: Freshness) -> Result<Observed<ObservedTaskDefinition>, Fault> {
        Ok(observed(self, observe::observe(self, pass, freshness).await?))
    }

    fn plan(&self, observed: &ObservedTaskDefinition, owner: &Owner) -> Plan {
        plan::plan(self, observed, owner)
    }

    async fn apply(
        &self,
        pass: &Pass<'_, Self>,
        before: &ObservedTaskDefinition,
        write: &Write,
        permit: Permit,
    ) -> Result<Observed<ObservedTaskDefinition>, Fault> {
        Ok(observed(self, apply::apply(self, pass, before, write, permit).await?))
    }

    fn status_after(&self, after: &After<'_, ObservedTaskDefinition>) -> EcsTaskDefinitionStatus {
        status::status(self, after.observed, after.outcome, after.now)
    }

    fn requeue_after(
        &self,
        observed: Option<&ObservedTaskDefinition>,
        status: &EcsTaskDefinitionStatus,
        _: Timestamp,
    ) -> Option<Duration> {
        let surplus = observed.map(|observed| &observed.surplus)?;
        // Of one that has just been registered nobody has looked what there is beside it.
        let is_unseen = surplus.revisions.is_none() && (lacks_revisions(self, status) || shows_surplus(self, status));
        match surplus.left {
            // Old revisions go a few at a time.
            1.. => Some(SURPLUS_AGAIN.max(surplus.pause)),
            0 if is_unseen => Some(SURPLUS_AGAIN),
            0 => (!surplus.used.is_empty()).then_some(SURPLUS_USED),
        }
    }
}

/// The family is polled, and the current revision, which is there or not: nothing is on its way.
fn observed(object: &EcsTaskDefinition, value: ObservedTaskDefinition) -> Observed<ObservedTaskDefinition> {
    let current = value.current.as_ref().map(|current| current.arn.as_str()).or_else(|| known_arn(object));
    let current = current.map(|arn| PolledKey::new(TaskDefinitionKey(arn.to_owned())));
    let family = PolledKey::new(FamilyKey(object.family()));
    let polled = current.into_iter().chain([family]).map(|key| (key, Some(Pace::Steady))).collect();
    Observed { read_at: value.at, unconfirmed: value.unanswered.is_some(), urgent: false, polled, value }
}
