//! Where tasks get their compute from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// One capacity provider and its share of the tasks.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CapacityProviderStrategyItem {
    /// Name of the capacity provider, or FARGATE or FARGATE_SPOT.
    pub capacity_provider: String,
    /// Share of the tasks beyond `base` relative to the other items, 0 to 1000. AWS default 0.
    #[schemars(range(min = 0, max = 1000))]
    pub weight: Option<i32>,
    /// Number of tasks that run here before weights count, 0 to 100000; only one item may have it
    /// above 0. AWS default 0.
    #[schemars(range(min = 0, max = 100_000))]
    pub base: Option<i32>,
}
