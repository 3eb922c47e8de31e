//! A kind without AWS: what its objects observe, and what their writes leave, is scripted by the
//! test.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use ecs_operator::aws::tags::Owner;
use ecs_operator::aws::{AwsError, Freshness, Permit};
use ecs_operator::k8s::conditions::{State, Verdict};
use ecs_operator::reconcile::kind::After;
use ecs_operator::reconcile::plan::{Plan, Write};
use ecs_operator::reconcile::{Kind, Observed, Pass, Report, Shape};
use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::shared::{CommonStatus, Spec, Status};
use ecs_operator_crds::v1beta1::{Policies, Tag};
use kube::CustomResource;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// The spec has the policies and nothing else.
#[derive(CustomResource, Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[kube(
    group = "ecs-operator.dev",
    version = "v1beta1",
    kind = "TestKind",
    namespaced,
    status = "TestKindStatus",
    schema = "disabled"
)]
pub(crate) struct TestKindSpec {
    #[serde(flatten)]
    policies: Policies,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TestKindStatus {
    #[serde(flatten)]
    common: CommonStatus,
}

impl Spec for TestKindSpec {
    fn policies(&self) -> &Policies {
        &self.policies
    }

    fn tags(&self) -> Option<&[Tag]> {
        None
    }
}

impl Status for TestKindStatus {
    fn common(&self) -> &CommonStatus {
        &self.common
    }

    fn common_mut(&mut self) -> &mut CommonStatus {
        &mut self.common
    }

    fn arn(&self) -> Option<&str> {
        None
    }
}

/// What an object comes to.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// What a read of AWS leads to.
    pub(crate) observed: Result<Plan, AwsError>,
    /// What each write leads to.
    pub(crate) applied: Result<Plan, AwsError>,
}

/// The scripts, by the names of the objects.
static SCRIPTS: Mutex<BTreeMap<String, Script>> = Mutex::new(BTreeMap::new());

/// Has the objects of this name behave so from now on.
pub(crate) fn script(name: &str, script: Script) {
    SCRIPTS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(name.to_owned(), script);
}

fn scripted<O>(pass: &Pass<'_, O>) -> Script {
    SCRIPTS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get(&pass.owner.name)
        .cloned()
        .expect("the object has a script")
}

fn observed(plan: Plan) -> Observed<Plan> {
    Observed {
        value: plan,
        read_at: Some(Instant::now()),
        unconfirmed: false,
        urgent: false,
        polled: Vec::new(),
    }
}

impl Kind for TestKind {
    type Observed = Plan;

    const SHAPE: Shape = Shape {
        identity: &[],
        own_members: &[],
        resets: &[],
        sent_by: &[],
        refers_to: &[],
    };

    async fn observe(
        &self,
        pass: &Pass<'_, Plan>,
        _: Freshness,
    ) -> Result<Observed<Plan>, AwsError> {
        // A read after a write shows what the write led to.
        pass.applied
            .map_or_else(|| scripted(pass).observed, |applied| Ok(applied.clone()))
            .map(observed)
    }

    fn plan(&self, observed: &Plan, _: &Owner) -> Plan {
        observed.clone()
    }

    async fn apply(
        &self,
        pass: &Pass<'_, Plan>,
        _: &Plan,
        _: &Write,
        _: Permit,
    ) -> Result<Observed<Plan>, AwsError> {
        scripted(pass).applied.map(observed)
    }

    fn report(&self, after: &After<'_, Plan>) -> Report<TestKindStatus> {
        let ready = || {
            Verdict::new(
                State::Ready,
                Reason::Succeeded,
                "It is as the spec asks for".to_owned(),
            )
        };
        let verdict = after.outcome.verdict().unwrap_or_else(ready);
        Report::new(self.status.clone().unwrap_or_default(), verdict)
    }
}
