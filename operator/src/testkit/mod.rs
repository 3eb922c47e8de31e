//! What unit tests of several modules share.

mod fixtures;
mod samples;

pub(crate) use fixtures::{Fixture, operations, owner, write, writes};
pub(crate) use samples::samples;
