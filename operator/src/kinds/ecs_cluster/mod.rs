//! EcsCluster.

mod apply;
mod capacity;
mod kind;
mod observe;
mod observed;
mod plan;
mod shape;
mod status;
#[cfg(test)]
mod tests;

pub use observed::{Cluster, ObservedCluster};
pub use shape::{RESETS, STAYS};
