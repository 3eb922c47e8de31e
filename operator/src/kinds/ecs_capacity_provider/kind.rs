//! EcsCapacityProvider as the driver sees it.

use ecs_operator_crds::v1beta1::{EcsCapacityProvider, EcsCapacityProviderStatus};

use super::observed::ObservedCapacityProvider;
use super::shape::{OWN_MEMBERS, RESETS};
use super::{apply, observe, plan, status};
use crate::aws::observer::PolledKey;
use crate::aws::tags::Owner;
use crate::aws::{AwsError, Freshness, Permit, name_in};
use crate::reconcile::kind::After;
use crate::reconcile::plan::{Plan, Write};
use crate::reconcile::{Kind, Observed, Pass, Reference, Report, Shape, Stores};

impl Kind for EcsCapacityProvider {
    type Observed = ObservedCapacityProvider;

    const SHAPE: Shape = Shape {
        identity: &["cluster", "clusterRef", "name"],
        own_members: OWN_MEMBERS,
        resets: RESETS,
        sent_by: &[],
        refers_to: &["EcsCluster"],
    };

    fn aws_name(&self) -> Option<String> {
        Some(self.provider_name())
    }

    fn references(&self) -> Vec<Reference> {
        let cluster = self.spec.cluster_ref.as_ref();
        let named = cluster.map(|cluster| Reference::Object {
            kind: "EcsCluster",
            name: cluster.name.clone(),
        });
        let literal = self.spec.cluster.as_deref();
        // An EcsCluster that stands for it waits for the provider.
        let stands_for = literal.map(|cluster| Reference::Named {
            kind: "EcsCluster",
            aws_name: name_in(cluster).to_owned(),
        });
        let arn = literal.filter(|cluster| cluster.starts_with("arn:"));
        let arn = arn.map(|arn| Reference::Arn {
            field: "cluster",
            arn: arn.to_owned(),
        });
        named.into_iter().chain(stands_for).chain(arn).collect()
    }

    fn cluster(&self, stores: &Stores) -> Option<String> {
        observe::known_cluster(self, stores)
    }

    async fn observe(
        &self,
        pass: &Pass<'_, ObservedCapacityProvider>,
        freshness: Freshness,
    ) -> Result<Observed<ObservedCapacityProvider>, AwsError> {
        Ok(observed(observe::observe(self, pass, freshness).await?))
    }

    fn plan(&self, observed: &ObservedCapacityProvider, owner: &Owner) -> Plan {
        plan::plan(self, observed, owner)
    }

    async fn apply(
        &self,
        pass: &Pass<'_, ObservedCapacityProvider>,
        before: &ObservedCapacityProvider,
        write: &Write,
        permit: Permit,
    ) -> Result<Observed<ObservedCapacityProvider>, AwsError> {
        Ok(observed(apply::apply(pass, before, write, permit).await?))
    }

    fn report(
        &self,
        after: &After<'_, ObservedCapacityProvider>,
    ) -> Report<EcsCapacityProviderStatus> {
        status::report(self, after)
    }
}

/// The provider is polled as often as the state of the object asks for.
fn observed(value: ObservedCapacityProvider) -> Observed<ObservedCapacityProvider> {
    Observed {
        read_at: Some(value.at),
        unconfirmed: value.may_be_there,
        urgent: false,
        polled: vec![(PolledKey::new(value.key.clone()), None)],
        value,
    }
}
