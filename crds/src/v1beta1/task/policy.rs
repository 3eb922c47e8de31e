//! What a failure means for a run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// Once (default): the run cannot change. OnChange: a change of the run, or a new revision of the
/// EcsTaskDefinition, runs it again when the run before has ended.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum RunPolicy {
    /// It runs once, and the run cannot change.
    #[default]
    Once,
    /// It runs again when the run changes, after the run before has ended.
    OnChange,
}

/// Which failures count for `backoffLimit`, and which end the run.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailurePolicy {
    /// Reasons of failures that do not count for `backoffLimit`: the attempt is made again, ten
    /// times at most. TaskSpotInterrupted, TaskHostFailed, TaskNetworkFailed, TaskStartFailed,
    /// TaskInitializationFailed, TaskImagePullFailed or TaskOutOfMemory. Default
    /// TaskSpotInterrupted and TaskHostFailed.
    #[schemars(length(max = 16), inner(length(max = 64)), extend("x-kubernetes-list-type" = "set"))]
    pub not_counted: Option<Vec<String>>,
    /// Exit codes of containers with which the run has failed at once, whatever `backoffLimit`
    /// allows.
    #[schemars(length(max = 64), inner(range(min = 1, max = 255)), extend("x-kubernetes-list-type" = "set"))]
    pub fail_on_exit_codes: Option<Vec<i32>>,
}
