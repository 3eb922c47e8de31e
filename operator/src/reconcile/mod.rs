//! The driver of all kinds: observe → plan → apply → status.
//!
//! [`Kind`] is what the driver asks of a kind. [`driver`] runs one pass over one object, [`queue`]
//! decides which object has the next one, [`controller`] turns what the watches see into triggers,
//! and [`registry`] knows the kinds.

mod act;
mod claims;
mod cluster_rule;
mod conclude;
pub mod context;
mod controller;
mod driver;
pub mod ignore;
pub mod index;
pub mod kind;
pub mod lifecycle;
mod object_state;
pub mod outcome;
mod permits;
pub mod plan;
pub mod policy;
pub mod queue;
pub mod references;
pub mod registry;
pub mod report;
mod reporting;
pub mod reset;
pub mod stores;
pub mod tagged;

pub use claims::Claims;
pub use cluster_rule::ClusterRule;
pub use context::{Context, Pass};
pub use controller::Wiring;
pub use driver::reconcile;
pub use index::{Index, Reference};
pub use kind::{Kind, Observed, OtherCondition, Report, Shape};
pub use object_state::ObjectStates;
pub use registry::Registry;
pub use stores::Stores;
