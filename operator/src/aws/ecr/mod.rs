//! Amazon ECR: its operations with their quotas, its errors, and the keys by which its objects are
//! read.

mod errors;
mod images;
mod keys;
mod operations;
mod policies;

pub use images::{ImageKey, ImageReference, images, is_pulled_through, tags};
pub use keys::{RepositoryId, RepositoryKey, RepositoryTagsKey};
pub use operations::*;
pub use policies::{LifecyclePolicyKey, RepositoryPolicyKey};
