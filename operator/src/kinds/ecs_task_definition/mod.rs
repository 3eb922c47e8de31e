//! EcsTaskDefinition.

mod apply;
mod definition;
mod image;
mod kind;
mod observe;
mod observed;
mod plan;
mod problem;
mod registrations;
mod revision;
mod shape;
mod status;
mod surplus;
#[cfg(test)]
mod tests;

pub use observed::{ObservedTaskDefinition, Surplus};
pub use revision::Revision;
pub(crate) use revision::is_active;
