//! The services of AWS that the operator calls, one line each.

use super::autoscaling;
use super::dispatch::Entry;
use super::ecr;
use super::ecs;
use super::operation::Operation;

/// All services.
pub const ALL: &[Entry] = &[ecs::ENTRY, ecr::ENTRY, autoscaling::ENTRY];

/// The operations of all services.
pub fn operations() -> impl Iterator<Item = Operation> {
    ALL.iter().flat_map(|service| service.operations).copied()
}
