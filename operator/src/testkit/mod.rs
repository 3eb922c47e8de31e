//! What unit tests of several modules share.

mod samples;

pub(crate) use samples::samples;
