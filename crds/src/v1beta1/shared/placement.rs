//! On which container instances tasks may run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// A rule that a container instance must fulfil. Not for Fargate.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacementConstraint {
    /// `memberOf` (instances that match `expression`) or, for a service, `distinctInstance` (each
    /// task on another one).
    #[serde(rename = "type")]
    pub type_: Option<String>,
    /// Cluster query language expression, such as `attribute:ecs.instance-type =~ g5.*`; with
    /// `memberOf` only.
    pub expression: Option<String>,
}
