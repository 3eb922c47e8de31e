//! Application Auto Scaling: its operations with their quotas, its errors, and the keys by which
//! its objects are read.

mod errors;
mod keys;
mod operations;

#[cfg(test)]
pub(super) use errors::ERRORS;
pub use keys::{
    ScalableTargetKey, ScalableTargetTagsKey, ScalingActivitiesKey, ScalingPoliciesKey,
    ScheduledActionsKey,
};
pub use operations::*;
