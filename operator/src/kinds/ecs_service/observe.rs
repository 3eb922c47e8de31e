//! First door of EcsService: the service as ECS describes it, and what its references resolve to.

use std::sync::Arc;
use std::time::Instant;

use ecs_operator_crds::v1beta1::service::StoppedTask;
use ecs_operator_crds::v1beta1::{EcsCluster, EcsService};
use serde::Deserialize;
use serde_json::Value;

use super::commands::CarriedOut;
use super::deployment::ServiceDeployment;
use super::fit::misfit;
use super::{follow, references};
use crate::aws::observer::{Answer, Seen, ServiceKey};
use crate::aws::tags::Tags;
use crate::aws::{Fault, FaultClass, Freshness, Operation};
use crate::k8s::object::Object;
use crate::reconcile::Pass;
use crate::reconcile::plan::Obstacle;
use crate::reconcile::references::Resolved;

/// What is known of a service.
#[derive(Clone, Debug)]
pub struct ObservedService {
    /// When ECS was asked.
    pub at: Instant,
    /// Cluster and name in ECS.
    pub key: ServiceKey,
    /// Whether the cluster is a guess: the EcsCluster that the service refers to was never seen.
    pub is_guess: bool,
    /// Why the service must wait for its cluster; `None` when the cluster is ready.
    pub cluster_obstacle: Option<Obstacle>,
    /// The task definition that the service shall run.
    pub task_definition: Resolved,
    /// What the service says that its task definition does not bear out, in words; `None` when the two fit.
    pub misfit: Option<String>,
    /// The service; `None` when there is none of that name.
    pub service: Option<Service>,
    /// Whether it may be there all the same: its creation got no reply.
    pub may_be_there: bool,
    /// The service deployment that is under way, or the last one, where ECS tells.
    pub deployment: Option<ServiceDeployment>,
    /// Tasks that stopped for a reason that needs somebody; `None` where nobody looked.
    pub stopped: Option<Vec<StoppedTask>>,
    /// Whether the revision that a command asks for is ACTIVE; `None` where none does.
    pub rollback_target: Option<bool>,
    /// The commands that this pass has carried out.
    pub carried_out: CarriedOut,
}

/// A service in ECS: what decisions need.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// ARN.
    pub service_arn: String,
    /// ARN of the cluster.
    pub cluster_arn: Option<String>,
    /// ACTIVE or DRAINING.
    pub status: String,
    /// ARN of the task definition revision.
    pub task_definition: Option<String>,
    /// Tasks wanted.
    #[serde(default)]
    pub desired_count: i32,
    /// Tasks running.
    #[serde(default)]
    pub running_count: i32,
    /// Tasks on their way to running.
    #[serde(default)]
    pub pending_count: i32,
    /// Deployments, in any order.
    #[serde(default)]
    pub deployments: Vec<Deployment>,
    /// ARN of the service deployment that is under way, or the last one.
    pub current_service_deployment: Option<String>,
    /// All of it, for the comparison.
    #[serde(skip)]
    pub json: Arc<Value>,
}

/// A deployment of a service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// ID.
    pub id: Option<String>,
    /// PRIMARY, ACTIVE or INACTIVE.
    pub status: Option<String>,
    /// ARN of the task definition revision.
    pub task_definition: Option<String>,
    /// Tasks wanted.
    pub desired_count: Option<i32>,
    /// Tasks running.
    pub running_count: Option<i32>,
    /// Tasks on their way to running.
    pub pending_count: Option<i32>,
    /// Tasks that failed.
    pub failed_tasks: Option<i32>,
    /// When it began, as ECS writes it: seconds since 1970.
    pub created_at: Option<Value>,
    /// IN_PROGRESS, COMPLETED or FAILED.
    pub rollout_state: Option<String>,
    /// Why.
    pub rollout_state_reason: Option<String>,
}

impl Service {
    /// Tags of the service.
    pub(super) fn tags(&self) -> Tags {
        Tags::read(&self.json["tags"])
    }

    /// The deployment that ECS is carrying out or carried out last.
    pub(super) fn primary(&self) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.status.as_deref() == Some("PRIMARY"))
    }
}

impl ObservedService {
    /// The service deployment, unless ECS has begun another one since.
    pub(super) fn deployment(&self) -> Option<&ServiceDeployment> {
        let service = self.service.as_ref()?;
        self.deployment.as_ref().filter(|deployment| !deployment.lags(service))
    }

    /// Before anybody has asked for the service.
    pub(super) fn new(key: ServiceKey) -> Self {
        Self {
            at: Instant::now(),
            key,
            is_guess: false,
            cluster_obstacle: None,
            task_definition: Resolved::Nothing,
            misfit: None,
            may_be_there: false,
            service: None,
            deployment: None,
            stopped: None,
            rollback_target: None,
            carried_out: CarriedOut::new(),
        }
    }
}

pub(super) async fn observe(
    object: &EcsService,
    pass: &Pass<'_, EcsService>,
    freshness: Freshness,
) -> Result<ObservedService, Fault> {
    let namespace = pass.namespace();
    let cluster = references::cluster_of(object, &pass.context.stores);
    let key = ServiceKey { cluster: cluster.name, name: object.service_name() };
    let carried_out = pass.applied.map(|applied| applied.carried_out.clone()).unwrap_or_default();
    let observed = ObservedService { is_guess: cluster.is_guess, carried_out, ..ObservedService::new(key) };
    if let (true, Some(missing)) = (cluster.is_guess, pass.context.stores.off.why_in::<EcsCluster>(namespace)) {
        // In a cluster of another name would be another service.
        let message = format!("the name of the ECS cluster is not known: {}", missing.words);
        return Err(Fault::new(Operation::DescribeServices, FaultClass::DependencyNotReady, message));
    }
    if cluster.is_guess && !object.is_deleting() {
        return Ok(ObservedService { cluster_obstacle: cluster.obstacle, ..observed });
    }
    let services = pass.aws.observer.table::<ServiceKey>();
    // At the end every look is one for what a call without a reply has made.
    let is_end = object.is_deleting() && services.may_be_there(&observed.key);
    let freshness = if is_end { Freshness::Since(Instant::now()) } else { freshness };
    let seen = services.get(observed.key.clone(), freshness, namespace).await?;
    if !matches!(seen.answer, Answer::Found(_)) {
        pass.aws.observer.is_gone(&observed.key, seen.at);
    }
    let definition = references::task_definition_object(object, &pass.context.stores);
    let service = read(&seen)?;
    let observed = ObservedService {
        at: seen.at,
        cluster_obstacle: cluster.obstacle,
        task_definition: references::task_definition_of(object, &pass.context.stores),
        misfit: definition.and_then(|definition| misfit(&object.spec, &definition.spec)),
        may_be_there: service.is_none() && services.may_be_there(&observed.key),
        service,
        ..observed
    };
    if object.is_deleting() {
        return Ok(observed);
    }
    let rollback_target = follow::rollback_target(object, pass).await?;
    follow::follow(object, pass, ObservedService { rollback_target, ..observed }).await
}

/// What an answer says of the service.
pub(super) fn read(seen: &Seen) -> Result<Option<Service>, Fault> {
    let Answer::Found(json) = &seen.answer else { return Ok(None) };
    let service = Service::deserialize(&**json).map_err(|error| {
        Fault::new(Operation::DescribeServices, FaultClass::Server, format!("the answer cannot be read: {error}"))
    })?;
    Ok(Some(Service { json: Arc::clone(json), ..service }))
}
