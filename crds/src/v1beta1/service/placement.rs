//! How tasks are distributed over container instances.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

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
