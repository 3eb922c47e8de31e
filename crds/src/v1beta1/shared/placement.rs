//! On which container instances tasks run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// A rule that a container instance must fulfil. Not for Fargate.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacementConstraint {
    /// `memberOf` (instances that match `expression`) or, but not in a task definition,
    /// `distinctInstance` (each task on another one).
    #[serde(rename = "type")]
    pub type_: Option<String>,
    /// Cluster query language expression, such as `attribute:ecs.instance-type =~ g5.*`; with
    /// `memberOf` only.
    pub expression: Option<String>,
}

/// How tasks are distributed over container instances.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacementStrategy {
    /// random, spread (evenly by `field`) or binpack (as few instances as possible by `field`).
    #[serde(rename = "type")]
    pub type_: Option<String>,
    /// For spread `instanceId`, `host` or an attribute such as `attribute:ecs.availability-zone`;
    /// for binpack `cpu` or `memory`.
    pub field: Option<String>,
}
