//! The kinds of custom resources, one folder each.

mod capacity;
mod cluster_reference;
pub mod ecr_repository;
pub mod ecs_capacity_provider;
pub mod ecs_cluster;
pub mod ecs_service;
pub mod ecs_task;
pub mod ecs_task_definition;
mod task_definition_reference;
mod task_references;
mod task_stop;

use ecs_operator_crds::v1beta1::{
    EcrRepository, EcsCapacityProvider, EcsCluster, EcsService, EcsTask, EcsTaskDefinition,
};

use crate::reconcile::Registry;

/// Registers all kinds, in the order in which they start.
pub fn all(registry: &mut Registry) {
    registry.add::<EcsCluster>();
    registry.add::<EcsTaskDefinition>();
    registry.add::<EcsService>();
    registry.add::<EcrRepository>();
    registry.add::<EcsCapacityProvider>();
    registry.add::<EcsTask>();
}
