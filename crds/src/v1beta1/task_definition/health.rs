//! Health of a container.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// Command that tells whether a container is healthy.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// Command whose exit code 0 means healthy: `["CMD-SHELL", "…"]`, `["CMD", "…", …]` or
    /// `["NONE"]`.
    #[schemars(length(min = 1), extend("x-kubernetes-list-type" = "atomic"))]
    pub command: Vec<String>,
    /// Seconds between two checks, 5 to 300. AWS default 30.
    #[schemars(range(min = 5, max = 300))]
    pub interval: Option<i32>,
    /// Seconds after which a check has failed, 2 to 60. AWS default 5.
    #[schemars(range(min = 2, max = 60))]
    pub timeout: Option<i32>,
    /// Failed checks in a row that make the container unhealthy, 1 to 10. AWS default 3.
    #[schemars(range(min = 1, max = 10))]
    pub retries: Option<i32>,
    /// Seconds after the start in which failed checks do not count, 0 to 300. AWS default: none.
    #[schemars(range(min = 0, max = 300))]
    pub start_period: Option<i32>,
}
