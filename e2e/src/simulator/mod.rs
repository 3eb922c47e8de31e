//! Amazon ECS as its documentation describes it, for what no emulator shows: deployments that shift
//! traffic in stages, alarms that roll them back, hooks that pause them, and tasks that drain.
//!
//! The model is [`Account`]: pure, with the time as an input, so that the same calls at the same
//! times have the same replies. [`Simulator`] serves it by HTTP, with a [`Clock`] that tests move.
//!
//! Sources are named at the rules; "ECS API" is the API reference and "guide" the developer guide.
//! What AWS does not document is in [`assumptions`].

mod account;
pub mod assumptions;
mod autoscaling;
mod capacity_providers;
mod clock;
mod clusters;
mod deployment;
mod quotas;
mod refusal;
mod rolling;
mod runs;
mod server;
mod service;
mod services;
mod shifting;
mod tags;
mod task_definitions;
mod tasks;
mod validation;

#[cfg(test)]
mod tests;

pub use account::Account;
pub use clock::{Clock, Moment};
pub use refusal::Refusal;
pub use server::Simulator;
