//! First door of EcsService: the service as ECS describes it, and what its references resolve to.

use std::sync::Arc;
use std::time::Instant;

use ecs_operator_crds::v1beta1::EcsService;
use serde::Deserialize;
use serde_json::Value;

use super::fit::misfit;
use super::{Kind, ServiceExt};
use crate::aws::observer::{Answer, Seen, ServiceKey};
use crate::aws::tags::Tags;
use crate::aws::{Fault, FaultClass, Freshness, Operation};
use crate::reconcile::Context;
use crate::reconcile::plan::Obstacle;
use crate::reconcile::references::{self, Resolved};

/// What is known of a service.
#[derive(Clone, Debug)]
pub struct ObservedService {
    /// When ECS was asked.
    pub at: Instant,
    /// Cluster and name in ECS.
    pub key: ServiceKey,
    /// Why the service must wait for its cluster; `None` when the cluster is ready.
    pub cluster_obstacle: Option<Obstacle>,
    /// The task definition that the service shall run.
    pub task_definition: Resolved,
    /// What the service says that its task definition does not bear out, in words; `None` when the two fit.
    pub misfit: Option<String>,
    /// The restart that was just carried out; value of the annotation.
    pub restarted: Option<String>,
    /// The service; `None` when there is none of that name.
    pub service: Option<Service>,
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
    /// Of a service that nobody asked for.
    pub(super) fn nothing(key: ServiceKey) -> Self {
        Self {
            at: Instant::now(),
            key,
            cluster_obstacle: None,
            task_definition: Resolved::Nothing,
            misfit: None,
            restarted: None,
            service: None,
        }
    }
}

pub(super) async fn observe(object: &EcsService, context: &Context, freshness: Freshness) -> Result<ObservedService, Fault> {
    let cluster = references::cluster_of(object, &context.stores);
    let key = ServiceKey { cluster: cluster.name, name: object.service_name() };
    if object.is_deleting() && object.spec.policies.retains() {
        // Whatever AWS has stays there: nobody needs to ask.
        return Ok(ObservedService::nothing(key));
    }
    let seen = context.aws.observer.services().get(key.clone(), freshness).await?;
    Ok(ObservedService {
        at: seen.at,
        key,
        cluster_obstacle: cluster.obstacle,
        task_definition: references::task_definition_of(object, &context.stores),
        restarted: None,
        misfit: references::task_definition_object(object, &context.stores)
            .and_then(|definition| misfit(&object.spec, &definition.spec)),
        service: read(&seen)?,
    })
}

/// What an answer says of the service.
pub(super) fn read(seen: &Seen) -> Result<Option<Service>, Fault> {
    let Answer::Found(json) = &seen.answer else { return Ok(None) };
    let service = Service::deserialize(&**json).map_err(|error| {
        Fault::new(Operation::DescribeServices, FaultClass::Server, format!("the answer cannot be read: {error}"))
    })?;
    Ok(Some(Service { json: Arc::clone(json), ..service }))
}
