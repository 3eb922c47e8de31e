//! EcsService.

mod apply;
mod attempt;
mod autoscaling;
mod commands;
mod deployment;
mod described;
mod ecs_events;
mod failure;
mod gates;
mod kind;
mod notices;
mod observe;
mod observe_rollout;
mod observed;
mod plan;
mod references;
mod rollout;
mod settings;
mod shape;
mod stable;
mod status;
mod tasks;
#[cfg(test)]
mod tests;
mod update;
pub(crate) mod users;
mod validate;
mod verdict;

pub use deployment::ServiceDeployment;
pub use described::{Deployment, Service};
pub use observed::{CarriedOut, ObservedService};
pub use shape::{RESETS, STAYS};
