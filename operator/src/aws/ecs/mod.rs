//! Amazon ECS: its operations with their quotas, its errors, the keys by which its objects are
//! read, and what its replies and events mean.

mod blockers;
mod errors;
mod events;
mod families;
mod keys;
mod operations;
mod replies;
mod rollouts;
mod tasks;
mod usage;

pub(crate) use blockers::strategy_of;
pub use blockers::{Blockers, blockers, clusters_with};
#[cfg(test)]
pub(super) use errors::ERRORS;
pub use events::hint;
pub use families::{AllRevisionsKey, FamilyKey};
pub(crate) use families::{family_of, listed};
pub use keys::{CapacityProviderKey, ClusterKey, ServiceKey, TaskDefinitionKey};
pub use operations::*;
pub(crate) use replies::{task_definition, written};
pub use rollouts::{ServiceDeploymentKey, ServiceRevisionKey, StoppedTasksKey};
pub use tasks::{ContainersKey, RunKey, TaskKey, task};
pub use usage::{Usage, last_users, note_gone, usage};
pub(crate) use usage::{is_user, key_of, user};
