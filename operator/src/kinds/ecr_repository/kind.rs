//! EcrRepository as the driver sees it.

use ecs_operator_crds::v1beta1::{EcrRepository, EcrRepositoryStatus};

use super::observed::ObservedRepository;
use super::shape::RESETS;
use super::{apply, observe, plan, status};
use crate::aws::ecr::{RepositoryKey, RepositoryTagsKey};
use crate::aws::observer::PolledKey;
use crate::aws::tags::Owner;
use crate::aws::{AwsError, Freshness, Permit};
use crate::reconcile::kind::After;
use crate::reconcile::plan::{Plan, Write};
use crate::reconcile::{Kind, Observed, Pass, Report, Shape};

impl Kind for EcrRepository {
    type Observed = ObservedRepository;

    const SHAPE: Shape = Shape {
        identity: &["repositoryName"],
        own_members: &[],
        resets: RESETS,
        refers_to: &[],
    };

    fn aws_name(&self) -> Option<String> {
        Some(self.repository_name())
    }

    async fn observe(
        &self,
        pass: &Pass<'_, ObservedRepository>,
        freshness: Freshness,
    ) -> Result<Observed<ObservedRepository>, AwsError> {
        Ok(observed(
            self,
            observe::observe(self, pass, freshness).await?,
        ))
    }

    fn plan(&self, observed: &ObservedRepository, owner: &Owner) -> Plan {
        plan::plan(self, observed, owner)
    }

    async fn apply(
        &self,
        pass: &Pass<'_, ObservedRepository>,
        before: &ObservedRepository,
        write: &Write,
        permit: Permit,
    ) -> Result<Observed<ObservedRepository>, AwsError> {
        Ok(observed(
            self,
            apply::apply(self, pass, before, write, permit).await?,
        ))
    }

    fn report(&self, after: &After<'_, ObservedRepository>) -> Report<EcrRepositoryStatus> {
        status::report(self, after)
    }
}

/// The repository and its tags are polled as often as the state of the object asks for.
fn observed(object: &EcrRepository, value: ObservedRepository) -> Observed<ObservedRepository> {
    let tags = value
        .repository
        .as_ref()
        .map(|repository| RepositoryTagsKey::of(&repository.json));
    let polled = [PolledKey::new(RepositoryKey(object.repository_name()))];
    let polled = polled
        .into_iter()
        .chain(tags.map(PolledKey::new))
        .map(|key| (key, None))
        .collect();
    Observed {
        read_at: Some(value.at),
        unconfirmed: value.may_be_there,
        urgent: false,
        polled,
        value,
    }
}
