//! ecs-operator: Amazon ECS objects as Kubernetes custom resources.
//!
//! ```text
//!   watches ──▶ stores ─┐
//!                       ├─▶ driver:  observe ──▶ plan ──▶ apply ──▶ status
//!   aws::observer ──────┘               │        pure       │        pure
//!        ▲                              ▼                   ▼
//!        └───────────────────────── aws::observer      aws::writer
//! ```
//!
//! [`reconcile`] holds the driver and one folder per kind, [`aws`] everything we do to AWS, [`k8s`]
//! everything we do to Kubernetes, [`run`] and [`work`] tie them together. `ARCHITECTURE.md` follows one object
//! through all of it.

pub mod aws;
pub mod cli;
pub mod clock;
pub mod crd;
pub mod error;
pub mod http;
pub mod iam;
pub mod k8s;
pub mod kinds;
pub mod leadership;
pub mod metrics;
mod process;
pub mod readiness;
pub mod reconcile;
pub mod run;
pub mod settings;
pub mod telemetry;
#[cfg(test)]
mod testkit;
pub mod trigger;
mod turns;
pub mod work;

pub use error::Error;
