//! EcsTaskDefinition as the driver sees it.

use std::time::Duration;

use ecs_operator_crds::v1beta1::{EcsTaskDefinition, EcsTaskDefinitionStatus};
use k8s_openapi::jiff::Timestamp;

use super::observed::ObservedTaskDefinition;
use super::shape::{OWN_MEMBERS, known_arn, lacks_revisions, shows_surplus};
use super::{apply, observe, plan, status};
use crate::aws::ecs::{FamilyKey, TaskDefinitionKey};
use crate::aws::observer::{Pace, PolledKey};
use crate::aws::tags::Owner;
use crate::aws::{AwsError, Freshness, Permit};
use crate::reconcile::kind::After;
use crate::reconcile::plan::{Plan, Write};
use crate::reconcile::{Kind, Observed, Pass, Report, Shape};

/// When the next old revisions go, as long as there are more: at the pace of the quota that they
/// share with new ones.
const SURPLUS_AGAIN: Duration = Duration::from_secs(10);

/// When the users of old revisions are read again: a service outside of this Kubernetes cluster
/// triggers nothing.
const SURPLUS_USED: Duration = Duration::from_secs(600);

impl Kind for EcsTaskDefinition {
    type Observed = ObservedTaskDefinition;

    const SHAPE: Shape = Shape {
        identity: &["family"],
        own_members: OWN_MEMBERS,
        resets: &[],
        sent_by: &[],
        refers_to: &[],
    };

    fn aws_name(&self) -> Option<String> {
        Some(self.family())
    }

    async fn observe(
        &self,
        pass: &Pass<'_, ObservedTaskDefinition>,
        freshness: Freshness,
    ) -> Result<Observed<ObservedTaskDefinition>, AwsError> {
        Ok(observed(
            self,
            observe::observe(self, pass, freshness).await?,
        ))
    }

    fn plan(&self, observed: &ObservedTaskDefinition, owner: &Owner) -> Plan {
        plan::plan(self, observed, owner)
    }

    async fn apply(
        &self,
        pass: &Pass<'_, ObservedTaskDefinition>,
        before: &ObservedTaskDefinition,
        write: &Write,
        permit: Permit,
    ) -> Result<Observed<ObservedTaskDefinition>, AwsError> {
        Ok(observed(
            self,
            apply::apply(self, pass, before, write, permit).await?,
        ))
    }

    fn report(&self, after: &After<'_, ObservedTaskDefinition>) -> Report<EcsTaskDefinitionStatus> {
        status::report(self, after)
    }

    fn requeue_after(
        &self,
        observed: Option<&ObservedTaskDefinition>,
        status: &EcsTaskDefinitionStatus,
        _: Timestamp,
    ) -> Option<Duration> {
        let surplus = observed.map(|observed| &observed.surplus)?;
        // Right after a registration the other revisions were not read.
        let is_unseen = surplus.revisions.is_none()
            && (lacks_revisions(self, status) || shows_surplus(self, status));
        match surplus.left {
            // Old revisions go a few at a time.
            1.. => Some(SURPLUS_AGAIN.max(surplus.pause)),
            0 if is_unseen => Some(SURPLUS_AGAIN),
            0 => (!surplus.used.is_empty()).then_some(SURPLUS_USED),
        }
    }
}

/// Polls the family, and the current revision, whether or not it exists, at the steady pace: no
/// change is in progress.
fn observed(
    object: &EcsTaskDefinition,
    value: ObservedTaskDefinition,
) -> Observed<ObservedTaskDefinition> {
    let current = value
        .current
        .as_ref()
        .map(|current| current.arn.as_str())
        .or_else(|| known_arn(object));
    let current = current.map(|arn| PolledKey::new(TaskDefinitionKey(arn.to_owned())));
    let family = PolledKey::new(FamilyKey(object.family()));
    // A push triggers the object.
    let missing = value.image_problem.as_ref().map(|problem| &problem.key);
    let images = value.image_keys.iter().chain(missing);
    let images: Vec<_> = images.map(|key| PolledKey::new(key.clone())).collect();
    let polled = current
        .into_iter()
        .chain([family])
        .chain(images)
        .map(|key| (key, Some(Pace::Steady)))
        .collect();
    Observed {
        read_at: value.at,
        unconfirmed: value.unanswered.is_some(),
        urgent: is_pushed(object, &value),
        polled,
        value,
    }
}

/// Whether a tag names another image than the status says: the revision that follows is no repair of
/// drift.
fn is_pushed(object: &EcsTaskDefinition, observed: &ObservedTaskDefinition) -> bool {
    let known = object
        .status
        .as_ref()
        .and_then(|status| status.images.as_ref());
    observed.images.is_some() && observed.images.as_ref() != known
}
