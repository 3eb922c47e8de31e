//! EcsTask as the driver sees it.

use std::time::Duration;

use ecs_operator_crds::v1beta1::task::RunPolicy;
use ecs_operator_crds::v1beta1::{EcsTask, EcsTaskStatus};
use k8s_openapi::jiff::Timestamp;

use super::observed::ObservedTask;
use super::progress::{active, count, progress, started};
use super::shape::OWN_MEMBERS;
use super::{apply, observe, plan, status};
use crate::aws::observer::PolledKey;
use crate::aws::tags::Owner;
use crate::aws::{AwsError, Freshness, Permit};
use crate::k8s::events::Notice;
use crate::kinds::task_references::{TaskReferences, revision};
use crate::reconcile::kind::After;
use crate::reconcile::plan::{Plan, Write};
use crate::reconcile::{Kind, Observed, Pass, Reference, Report, Shape, Stores};

impl Kind for EcsTask {
    type Observed = ObservedTask;

    const SHAPE: Shape = Shape {
        identity: &[
            "cluster",
            "clusterRef",
            "taskDefinition",
            "taskDefinitionRef",
        ],
        own_members: OWN_MEMBERS,
        resets: &[],
        sent_by: &[],
        refers_to: &["EcsCluster", "EcsTaskDefinition"],
    };

    fn references(&self) -> Vec<Reference> {
        let run = self.status.as_ref().and_then(|status| status.run.as_ref());
        let has_ended = run.is_some_and(|run| run.completion_time.is_some());
        if has_ended && self.spec.run_policy != Some(RunPolicy::OnChange) {
            // It needs them no more.
            return Vec::new();
        }
        let tasks = TaskReferences {
            cluster: self.spec.cluster.as_deref(),
            cluster_ref: self.spec.cluster_ref.as_ref(),
            task_definition: self.spec.task_definition.as_deref(),
            task_definition_ref: self.spec.task_definition_ref.as_ref(),
        };
        // Further attempts need the revision.
        let pinned = run
            .filter(|_| !has_ended)
            .and_then(|run| run.revision.clone());
        tasks.all().chain(pinned.map(revision)).collect()
    }

    fn cluster(&self, stores: &Stores) -> Option<String> {
        observe::known_cluster(self, stores)
    }

    async fn observe(
        &self,
        pass: &Pass<'_, ObservedTask>,
        freshness: Freshness,
    ) -> Result<Observed<ObservedTask>, AwsError> {
        Ok(observed(
            self,
            observe::observe(self, pass, freshness).await?,
        ))
    }

    fn plan(&self, observed: &ObservedTask, owner: &Owner) -> Plan {
        plan::plan(self, observed, owner)
    }

    async fn apply(
        &self,
        pass: &Pass<'_, ObservedTask>,
        before: &ObservedTask,
        write: &Write,
        permit: Permit,
    ) -> Result<Observed<ObservedTask>, AwsError> {
        Ok(observed(
            self,
            apply::apply(self, pass, before, write, permit).await?,
        ))
    }

    fn report(&self, after: &After<'_, ObservedTask>) -> Report<EcsTaskStatus> {
        status::report(self, after)
    }

    fn requeue_after(
        &self,
        observed: Option<&ObservedTask>,
        status: &EcsTaskStatus,
        now: Timestamp,
    ) -> Option<Duration> {
        status::requeue_after(observed, status, now)
    }

    fn deadline(
        &self,
        observed: Option<&ObservedTask>,
        status: &EcsTaskStatus,
        now: Timestamp,
    ) -> Option<Duration> {
        status::until_deadline(self, observed, status, now)
    }

    fn events(&self, before: &EcsTaskStatus, after: &EcsTaskStatus) -> Vec<Notice> {
        status::events(before, after)
    }
}

/// The tasks of the attempt are polled until they have stopped, and until all are there also what
/// was started in its name.
fn observed(object: &EcsTask, value: ObservedTask) -> Observed<ObservedTask> {
    let progress = progress(object, &value);
    let attempt = progress
        .attempt()
        .filter(|attempt| attempt.result.is_none());
    let tasks = attempt.into_iter().flat_map(|it| active(it, &value));
    let cluster = value.cluster.as_deref().unwrap_or_default();
    let mut polled: Vec<_> = tasks
        .map(|task| {
            let key = observe::task_key(cluster, &task.task_arn);
            (PolledKey::new(key), None)
        })
        .collect();
    let is_full = |attempt| {
        let run = progress.run.as_ref();
        run.is_some_and(|run| started(attempt) >= count(run))
    };
    if let Some(key) = observe::run_key(object, value.cluster.as_deref())
        && !attempt.is_some_and(is_full)
    {
        polled.push((PolledKey::new(key), None));
    }
    Observed {
        read_at: value.at,
        unconfirmed: value.may_be_there,
        urgent: false,
        polled,
        value,
    }
}
