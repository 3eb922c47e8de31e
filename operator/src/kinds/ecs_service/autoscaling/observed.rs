//! What is known of the service auto scaling of a service.

use std::sync::Arc;

use ecs_operator_crds::v1beta1::EcsService;
use ecs_operator_crds::v1beta1::service::SuspendedState;
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::aws::autoscaling;
use crate::aws::tags::{OWNER, Tags};
use crate::aws::{AwsError, ErrorKind};
use crate::reconcile::plan::Write;

/// What is known of the service auto scaling of a service.
#[derive(Clone, Debug, Default)]
pub struct ObservedAutoscaling {
    /// The scalable target; `None` when there is none.
    pub target: Option<ScalableTarget>,
    /// The scaling policies; empty without a scalable target.
    pub policies: Vec<Value>,
    /// The scheduled actions; empty without a scalable target.
    pub actions: Vec<Value>,
    /// The last scaling activities, the newest first; `None` if they could not be read.
    pub activities: Option<Vec<Value>>,
    /// Whether there may be a scalable target all the same: its registration got no reply.
    pub may_be_there: bool,
    /// Why it could not be read; the service is managed all the same.
    pub unread: Option<AwsError>,
    /// The writes that AWS has accepted in this pass.
    pub sent: Vec<Write>,
    /// When they were looked at, by which it is known which actions are over.
    pub now: Timestamp,
}

/// A scalable target in AWS.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScalableTarget {
    /// ARN.
    #[serde(rename = "scalableTargetARN", default)]
    pub arn: String,
    /// Least number of tasks.
    pub min_capacity: i32,
    /// Greatest number of tasks.
    pub max_capacity: i32,
    /// What is suspended; absent means nothing.
    pub suspended_state: Option<SuspendedState>,
    /// All of it.
    #[serde(skip)]
    pub json: Arc<Value>,
    /// Its tags; `None` where the status of the object knows that it owns the target.
    #[serde(skip)]
    pub tags: Option<Tags>,
}

impl ScalableTarget {
    /// Reads what DescribeScalableTargets says of a scalable target.
    pub(super) fn read(json: Arc<Value>) -> Result<Self, AwsError> {
        let target = Self::deserialize(&*json).map_err(|error| {
            let message = format!("the reply cannot be read: {error}");
            AwsError::new(
                autoscaling::DescribeScalableTargets,
                ErrorKind::Server,
                message,
            )
        })?;
        Ok(Self { json, ..target })
    }

    /// Whether the object owns it. The owner tag of a former owner of the service says so, too: the
    /// service is the object's, and its scalable target belongs to it.
    pub(in crate::kinds::ecs_service) fn is_owned(&self) -> bool {
        self.tags
            .as_ref()
            .is_none_or(|tags| tags.0.contains_key(OWNER))
    }
}

/// Whether the status says that the object owns the scalable target with this ARN.
pub(super) fn is_recorded(object: &EcsService, arn: &str) -> bool {
    let status = object.status.as_ref();
    let recorded = status.and_then(|status| status.autoscaling.as_ref());
    recorded.is_some_and(|recorded| recorded.scalable_target_arn.as_deref() == Some(arn))
}

/// Whether service auto scaling of the service is, or was, the object's to manage.
pub(in crate::kinds::ecs_service) fn is_managed(object: &EcsService) -> bool {
    let status = object.status.as_ref();
    object.spec.autoscaling.is_some() || status.is_some_and(|status| status.autoscaling.is_some())
}
