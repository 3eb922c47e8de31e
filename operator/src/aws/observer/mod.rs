//! AWS as a second API server: a cache of what ECS holds, fed by batched reads, that tells who changed.
//!
//! A reconcile asks for an [`Answer`] and says how fresh it must be. What the cache has is answered at once; the rest
//! becomes demands that a [`Table`](table) reads together, up to the batch size of the API call. Everything that is polled is read
//! again in the background, and an object whose answer changed is triggered. An unchanged answer costs nothing.

mod families;
mod handle;
mod kept;
mod polled;
mod read;
mod rollouts;
mod rounds;
mod state;
mod table;
mod tables;
mod types;
mod usage;

pub use families::{AllRevisionsKey, FamilyKey};
pub(crate) use families::{family_of, listed};
pub use handle::Observer;
pub(crate) use kept::{CONFIRMED, LAG};
pub use polled::PolledKey;
pub use read::{Blockers, CapacityProviderKey, ClusterKey, ServiceKey, TaskDefinitionKey};
pub(crate) use read::{tagged, task_definition, written};
pub use rollouts::{ServiceDeploymentKey, ServiceRevisionKey, StoppedTasksKey};
pub use types::{Answer, Freshness, Key, Pace, Seen, Sweep};
pub use usage::Usage;
pub(crate) use usage::{is_user, key_of, user};
