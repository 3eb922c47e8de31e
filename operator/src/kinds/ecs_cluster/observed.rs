//! What is known of a cluster.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::aws::ecs::{self, Blockers};
use crate::aws::observer::{Answer, Seen};
use crate::aws::tags::Tags;
use crate::aws::{AwsError, ErrorKind};
use crate::reconcile::plan::Obstacle;
use crate::reconcile::references::Dependants;

/// What is known of a cluster.
#[derive(Clone, Debug)]
pub struct ObservedCluster {
    /// When ECS was asked.
    pub at: Instant,
    /// The cluster; `None` when there is none of that name.
    pub cluster: Option<Cluster>,
    /// Whether it may be there all the same: its creation got no reply.
    pub may_be_there: bool,
    /// Capacity providers of spec and cluster that are Managed Instances; at the deletion those of
    /// EcsCapacityProviders only.
    pub managed_instances: BTreeSet<String>,
    /// Why a capacity provider of the spec cannot be attached yet.
    pub provider_obstacle: Option<Obstacle>,
    /// What keeps it from being deleted; empty unless it is being deleted.
    pub blockers: Blockers,
    /// EcsServices that refer to it; none unless it is being deleted.
    pub dependants: Dependants,
}

/// A cluster in ECS: what decisions need.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cluster {
    /// ARN.
    pub cluster_arn: String,
    /// ACTIVE, PROVISIONING, DEPROVISIONING or FAILED.
    pub status: String,
    /// UPDATE_IN_PROGRESS, UPDATE_COMPLETE or UPDATE_FAILED: whether the last change of the
    /// capacity providers has taken effect.
    pub attachments_status: Option<String>,
    /// Services in state ACTIVE.
    pub active_services_count: Option<i32>,
    /// Running tasks.
    pub running_tasks_count: Option<i32>,
    /// Tasks on their way to running.
    pub pending_tasks_count: Option<i32>,
    /// Container instances.
    pub registered_container_instances_count: Option<i32>,
    /// All of it, for the comparison.
    #[serde(skip)]
    pub json: Arc<Value>,
}

impl Cluster {
    /// Whether ECS could not attach or detach capacity providers.
    pub(super) fn has_failed_to_attach(&self) -> bool {
        self.attachments_status.as_deref() == Some("UPDATE_FAILED")
    }

    /// Whether ECS is still attaching or detaching capacity providers.
    pub(super) fn is_attaching(&self) -> bool {
        self.attachments_status.as_deref() == Some("UPDATE_IN_PROGRESS")
    }

    /// Tags of the cluster.
    pub(super) fn tags(&self) -> Tags {
        Tags::read(&self.json["tags"])
    }
}

/// What an answer says of the cluster alone.
pub(super) fn read(Seen { at, answer }: Seen) -> Result<ObservedCluster, AwsError> {
    let cluster = match answer {
        Answer::Missing | Answer::Inactive => None,
        Answer::Found(json) => {
            let cluster = Cluster::deserialize(&*json).map_err(|error| {
                AwsError::new(
                    ecs::DescribeClusters,
                    ErrorKind::Server,
                    format!("the answer cannot be read: {error}"),
                )
            })?;
            Some(Cluster { json, ..cluster })
        }
    };
    let (managed_instances, provider_obstacle, blockers, dependants) = Default::default();
    Ok(ObservedCluster {
        at,
        cluster,
        may_be_there: false,
        managed_instances,
        provider_obstacle,
        blockers,
        dependants,
    })
}
