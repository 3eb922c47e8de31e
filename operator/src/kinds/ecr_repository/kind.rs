//! EcrRepository as the driver sees it.

use ecs_operator_crds::v1beta1::{EcrRepository, EcrRepositoryStatus};

use super::observed::{ObservedRepository, PolicyText};
use super::shape::{OWN_MEMBERS, RESETS, SENT_BY};
use super::{apply, observe, plan, status};
use crate::aws::ecr::{
    LifecyclePolicyKey, RepositoryId, RepositoryKey, RepositoryPolicyKey, RepositoryTagsKey,
};
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
        own_members: OWN_MEMBERS,
        resets: RESETS,
        sent_by: SENT_BY,
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

/// The repository, its tags and its policies are polled as often as the state of the object asks for.
fn observed(object: &EcrRepository, value: ObservedRepository) -> Observed<ObservedRepository> {
    let mut polled = vec![PolledKey::new(RepositoryKey(object.repository_name()))];
    if let Some(repository) = &value.repository {
        let id = RepositoryId::of(&repository.json);
        if repository.lifecycle != PolicyText::NotRead {
            polled.push(PolledKey::new(LifecyclePolicyKey(id.clone())));
        }
        if repository.access != PolicyText::NotRead {
            polled.push(PolledKey::new(RepositoryPolicyKey(id.clone())));
        }
        polled.push(PolledKey::new(RepositoryTagsKey(id)));
    }
    let polled = polled.into_iter().map(|key| (key, None)).collect();
    Observed {
        read_at: Some(value.at),
        unconfirmed: value.may_be_there,
        urgent: false,
        polled,
        value,
    }
}
