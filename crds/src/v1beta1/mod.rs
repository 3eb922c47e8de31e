//! Version `v1beta1`: one file a kind, one file an AWS topic below it, and the shapes that kinds
//! share.

pub mod capacity_provider;
pub mod cluster;
pub mod ecr_repository;
pub mod service;
pub mod shared;
pub mod task;
pub mod task_definition;

pub use capacity_provider::{
    EcsCapacityProvider, EcsCapacityProviderSpec, EcsCapacityProviderStatus,
};
pub use cluster::{EcsCluster, EcsClusterSpec, EcsClusterStatus};
pub use ecr_repository::{EcrRepository, EcrRepositorySpec, EcrRepositoryStatus};
pub use service::{EcsService, EcsServiceSpec, EcsServiceStatus};
pub use shared::{
    AdoptionPolicy, DeletionPolicy, ManagementPolicy, ObjectReference, Policies, Tag,
};
pub use task::{EcsTask, EcsTaskSpec, EcsTaskStatus};
pub use task_definition::{EcsTaskDefinition, EcsTaskDefinitionSpec, EcsTaskDefinitionStatus};
