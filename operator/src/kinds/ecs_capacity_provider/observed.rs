//! What is known of a capacity provider.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::aws::ecs::{self, CapacityProviderKey};
use crate::aws::observer::{Answer, Seen};
use crate::aws::tags::Tags;
use crate::aws::{AwsError, ErrorKind};
use crate::reconcile::plan::Obstacle;
use crate::reconcile::references::Dependants;

/// What is known of a capacity provider.
#[derive(Clone, Debug)]
pub struct ObservedCapacityProvider {
    /// When ECS was asked.
    pub at: Instant,
    /// Name in ECS, and the cluster of a Managed Instances provider.
    pub key: CapacityProviderKey,
    /// Why the provider must wait for its cluster.
    pub cluster_obstacle: Option<Obstacle>,
    /// The provider; `None` when there is none of that name.
    pub provider: Option<CapacityProvider>,
    /// Whether it may be there all the same: its creation got no reply.
    pub may_be_there: bool,
    /// Names of the clusters that use it; empty unless it is being deleted.
    pub clusters: Vec<String>,
    /// Objects that refer to it, without its own cluster; none unless it is being deleted.
    pub dependants: Dependants,
}

/// A capacity provider in ECS: what decisions need.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CapacityProvider {
    /// ARN.
    #[serde(default)]
    pub capacity_provider_arn: String,
    /// PROVISIONING, ACTIVE, DEPROVISIONING or INACTIVE.
    pub status: String,
    /// CREATE, UPDATE or DELETE, and IN_PROGRESS, COMPLETE or FAILED, joined by an underscore.
    pub update_status: Option<String>,
    /// Why, in AWS's words.
    pub update_status_reason: Option<String>,
    /// All of it, for the comparison.
    #[serde(skip)]
    pub json: Arc<Value>,
}

impl CapacityProvider {
    /// Whether the last change, whichever it was, has ended so or is under way: `IN_PROGRESS` or
    /// `FAILED`.
    pub(super) fn is_update(&self, state: &str) -> bool {
        let update = self.update_status.as_deref();
        update.is_some_and(|update| update.ends_with(state))
    }

    /// Whether ECS is deleting it.
    pub(super) fn is_leaving(&self) -> bool {
        self.status == "DEPROVISIONING" && !self.is_update("FAILED")
    }

    /// Tags of the provider.
    pub(super) fn tags(&self) -> Tags {
        Tags::read(&self.json["tags"])
    }
}

impl ObservedCapacityProvider {
    /// Before the provider was read.
    pub(super) fn new(key: CapacityProviderKey) -> Self {
        Self {
            at: Instant::now(),
            key,
            cluster_obstacle: None,
            provider: None,
            may_be_there: false,
            clusters: Vec::new(),
            dependants: Dependants::default(),
        }
    }

    /// The same with what an answer says of the provider.
    pub(super) fn with(self, Seen { at, answer }: Seen) -> Result<Self, AwsError> {
        let provider = match answer {
            Answer::Missing | Answer::Inactive => None,
            Answer::Found(json) => {
                let provider = CapacityProvider::deserialize(&*json).map_err(|error| {
                    let message = format!("the answer cannot be read: {error}");
                    AwsError::new(ecs::DescribeCapacityProviders, ErrorKind::Server, message)
                })?;
                Some(CapacityProvider { json, ..provider })
            }
        };
        Ok(Self {
            at,
            provider,
            ..self
        })
    }
}
