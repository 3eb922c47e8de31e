//! EcsCapacityProvider.

mod apply;
mod kind;
mod observe;
mod observed;
mod plan;
mod shape;
mod status;
#[cfg(test)]
mod tests;

pub use observed::{CapacityProvider, ObservedCapacityProvider};
pub use shape::{RESETS, STAYS};
