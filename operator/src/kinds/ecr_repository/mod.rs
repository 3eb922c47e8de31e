//! EcrRepository.

mod apply;
mod kind;
mod observe;
mod observed;
mod plan;
mod policies;
mod shape;
mod status;
#[cfg(test)]
mod tests;

pub use observed::{ObservedRepository, Repository};
pub use shape::{RESETS, STAYS};
