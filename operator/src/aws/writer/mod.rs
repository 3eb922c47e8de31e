//! The one place through which every write to AWS goes.
//!
//! AWS grants each action family a token bucket per account and Region. The writer keeps to a share
//! of it, and slows down where AWS throttles all the same. It never makes a caller wait: it hands
//! out a [`Permit`] or names the moment when the caller's turn comes, and the caller plans afresh
//! then.

mod bucket;
mod budget;
mod handle;
mod queue;
mod requester;

pub use budget::Permit;
pub use handle::Writer;
pub use requester::{Priority, Requester};
