//! Amazon ECR: its operations with their quotas, its errors, and the keys by which its objects are
//! read.

mod errors;
mod images;
mod keys;
mod operations;
mod policies;

pub use images::images;
pub use keys::{RepositoryId, RepositoryKey, RepositoryTagsKey};
pub use operations::*;
pub use policies::{LifecyclePolicyKey, RepositoryPolicyKey};
