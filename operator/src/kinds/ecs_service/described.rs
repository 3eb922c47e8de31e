//! A service as ECS describes it.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use crate::aws::ecs;
use crate::aws::observer::{Answer, Seen};
use crate::aws::tags::Tags;
use crate::aws::{AwsError, ErrorKind, name_in};

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
        self.deployments
            .iter()
            .find(|deployment| deployment.status.as_deref() == Some("PRIMARY"))
    }
}

/// What an answer says of the service.
pub(super) fn read(seen: &Seen) -> Result<Option<Service>, AwsError> {
    let Answer::Found(json) = &seen.answer else {
        return Ok(None);
    };
    let service = Service::deserialize(&**json).map_err(|error| {
        AwsError::new(
            ecs::DescribeServices,
            ErrorKind::Server,
            format!("the answer cannot be read: {error}"),
        )
    })?;
    Ok(Some(Service {
        json: Arc::clone(json),
        ..service
    }))
}
/// The deployment controller of the service, if it is not ECS itself.
pub(super) fn foreign_controller(service: &Service) -> Option<&str> {
    service.json["deploymentController"]["type"]
        .as_str()
        .filter(|controller| *controller != "ECS")
}

/// `family:revision` of an ARN.
pub(super) fn short(task_definition: Option<&str>) -> Option<String> {
    task_definition.map(|arn| name_in(arn).to_owned())
}
