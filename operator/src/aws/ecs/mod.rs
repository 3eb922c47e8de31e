//! Amazon ECS: its operations with their quotas, its errors, and how it takes tags.

mod errors;
mod operations;

#[cfg(test)]
pub(super) use errors::ERRORS;
pub use operations::*;
