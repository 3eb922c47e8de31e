//! Caches what AWS holds, keeps it current by batched reads, and triggers the objects whose AWS
//! objects changed.
//!
//! A reconcile asks for an [`Answer`] and says how fresh it must be. What the cache has is answered
//! at once; the rest becomes requests that a [`Cache`](cache) reads together, up to the batch size
//! of the API call. Everything that is polled is read again in the background, and an object whose
//! answer changed is triggered. An unchanged answer costs nothing.

mod batch;
mod cache;
mod caches;
mod entry;
mod handle;
mod polled;
mod state;
mod types;

pub(crate) use entry::{CONFIRMED, LAG};
pub use handle::Observer;
pub use polled::PolledKey;
pub use types::{Answer, Freshness, Key, Pace, Seen, Sweep};
