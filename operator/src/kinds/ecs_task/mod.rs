//! EcsTask.
//!
//! A run has attempts, and each attempt starts its tasks under a `startedBy` and with a
//! `clientToken` of its own. The status has the attempt before the first call does, so that after a
//! crash or a lost reply the tasks are found, or started by the same call once more, and never
//! twice.

mod apply;
mod ended;
mod kind;
mod names;
mod observe;
mod observed;
mod plan;
mod progress;
mod shape;
mod status;
mod step;
#[cfg(test)]
mod tests;

pub use observed::ObservedTask;
pub(in crate::kinds) use step::run_hash;
