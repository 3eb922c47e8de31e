//! What unit tests of several modules share.

mod fixtures;
mod samples;

pub(crate) use fixtures::{Fixture, dependants, operations, owner, write, writes};
pub(crate) use samples::samples;
