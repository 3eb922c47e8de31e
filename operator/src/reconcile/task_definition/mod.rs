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

use std::time::{Duration, Instant};

use ecs_operator_crds::v1beta1::{EcsTaskDefinition, EcsTaskDefinitionStatus};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::reflector::{ObjectRef, Store};
use serde_json::Map;

use super::plan::{Outcome, Plan, Write};
use super::reset::{Remembered, remember};
use super::{Context, Kind, Stores};
use crate::aws::observer::{FamilyKey, Pace, TaskDefinitionKey};
use crate::aws::tags::Owner;
use crate::aws::{Fault, Freshness, Permit};
pub use observe::{ObservedTaskDefinition, Revision};
pub(super) use registrations::Registrations;

/// Members of the spec that are ours and not the API's.
const OWN_MEMBERS: &[&str] = &["deleteRevisions", "revisionHistoryLimit"];

/// When the next old revisions go, as long as there are more: at the pace of the quota that they share with new ones.
const SURPLUS_AGAIN: Duration = Duration::from_secs(10);

/// When it is looked again who uses old revisions: a service that left one may have been nobody's here.
const SURPLUS_USED: Duration = Duration::from_secs(600);

/// Names that only EcsTaskDefinition has.
pub trait TaskDefinitionExt {
    /// Name of the family in ECS.
    fn family(&self) -> String;

    /// Whether more revisions are registered than `revisionHistoryLimit` allows.
    fn has_surplus(&self) -> bool;
}

impl TaskDefinitionExt for EcsTaskDefinition {
    fn family(&self) -> String {
        self.spec.family.clone().unwrap_or_else(|| self.name_any())
    }

    fn has_surplus(&self) -> bool {
        self.status.as_ref().is_some_and(|status| shows_surplus(self, status))
    }
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

/// What the status remembers of the spec: of a revision, which never changes, its tags alone.
fn remembered(object: &EcsTaskDefinition) -> Option<Remembered> {
    Remembered::of(&Map::new(), object.spec.tags.as_deref(), &object.spec.policies, &[])
}

/// ARN of the revision that the status names.
fn known_arn(object: &EcsTaskDefinition) -> Option<&str> {
    object.status.as_ref()?.task_definition_arn.as_deref()
}

impl Kind for EcsTaskDefinition {
    const IDENTITY: &'static [&'static str] = &["family"];
    type Observed = ObservedTaskDefinition;

    fn store(stores: &Stores) -> &Store<Self> {
        &stores.task_definitions
    }

    fn offers(status: &Self::Status) -> Option<&str> {
        status.task_definition_arn.as_deref()
    }

    async fn observe(&self, context: &Context, freshness: Freshness) -> Result<ObservedTaskDefinition, Fault> {
        observe::observe(self, context, freshness).await
    }

    fn observed_at(observed: &ObservedTaskDefinition) -> Option<Instant> {
        observed.at
    }

    fn is_unanswered(observed: &ObservedTaskDefinition) -> bool {
        observed.unanswered.is_some()
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
        apply::apply(self, context, observed, write, permit).await
    }

    fn status_after(
        &self,
        observed: Option<&ObservedTaskDefinition>,
        outcome: &Outcome,
        now: Timestamp,
    ) -> EcsTaskDefinitionStatus {
        status::status(self, observed, outcome, now)
    }

    fn remember(&self, status: &mut EcsTaskDefinitionStatus, accepted: &[Write], unanswered: Option<&Write>) {
        let sent: Vec<_> = accepted.iter().chain(unanswered).collect();
        remember(&mut None, &mut status.managed_tags, remembered(self), &sent);
    }

    fn watch(&self, context: &Context, observed: Option<&ObservedTaskDefinition>, pace: Option<Pace>) {
        let (revisions, families) = (context.aws.observer.task_definitions(), context.aws.observer.families());
        let watcher = ObjectRef::from_obj(self);
        let current = observed.and_then(|observed| Some(observed.current.as_ref()?.arn.as_str())).or_else(|| known_arn(self));
        match (current, pace) {
            // A revision cannot be on its way to anything: it is there or not.
            (Some(current), Some(_)) => revisions.watch(TaskDefinitionKey(current.to_owned()), watcher.clone(), Pace::Steady),
            _ => revisions.unwatch(&watcher),
        }
        match pace {
            Some(_) => families.watch(FamilyKey(self.family()), watcher, Pace::Steady),
            None => families.unwatch(&watcher),
        }
    }

    fn look_again(
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

    fn invalidate(&self, context: &Context, _: &ObservedTaskDefinition) {
        context.aws.observer.families().invalidate(&FamilyKey(self.family()));
        if let Some(arn) = known_arn(self) {
            context.aws.observer.task_definitions().invalidate(&TaskDefinitionKey(arn.to_owned()));
        }
    }
}
