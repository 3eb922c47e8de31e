//! Amazon ECS: its operations and their quotas.

mod operations;

pub use operations::OPERATIONS;
pub(super) use operations::dispatch;
