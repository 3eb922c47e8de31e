//! The ECS operations that the operator uses, and the quota that each draws on.
//!
//! Source of the quotas: "Request throttling for the Amazon ECS API", ECS API reference. It
//! publishes no rate for DescribeCapacityProviders, ContinueServiceDeployment and
//! StopServiceDeployment; they are few.

#![allow(
    non_upper_case_globals,
    reason = "the names are those of the AWS documentation"
)]

use aws_sdk_ecs::Client;

use super::errors::ERRORS;
use crate::aws::operation::{MemberNames, Service, Tagging, operations};
use crate::aws::tags::TagShape;

/// Amazon ECS.
pub const SERVICE: Service = Service {
    name: "ecs",
    tag_shape: TagShape::Lowercase,
    member_names: MemberNames::Lowercase,
};

/// The operations of ECS that tag.
pub const TAGGING: Tagging = Tagging {
    tag: TagResource,
    untag: UntagResource,
};

operations! {
    SERVICE, ERRORS, Client;
    // Calls at once, and calls per second after that.
    reads {
        ClusterRead 50 20;
        ClusterResourceRead 100 20;
        TaskDefinitionRead 50 20;
        ServiceRead 100 20;
        ServiceDeploymentRead 50 20;
        ServiceRevisionRead 50 20;
    }
    // Before them the statement of the IAM policy that allows the writes.
    writes {
        ClusterModify "Clusters" 20 1;
        TaskDefinitionModify "TaskDefinitions" 20 1;
        TaskDefinitionDelete "TaskDefinitions" 5 1;
        ServiceModify "Services" 50 5;
        CapacityProviderModify "CapacityProviders" 10 1;
        TaskModify "Tasks" 100 40;
        TagModify "Tags" 20 10;
    }
    operations {
        ClusterRead: DescribeCapacityProviders describe_capacity_providers;
        ClusterRead: DescribeClusters describe_clusters;
        ServiceRead: DescribeServices describe_services;
        ServiceDeploymentRead: DescribeServiceDeployments describe_service_deployments;
        ServiceRevisionRead: DescribeServiceRevisions describe_service_revisions;
        TaskDefinitionRead: DescribeTaskDefinition describe_task_definition;
        ClusterResourceRead: DescribeTasks describe_tasks;
        ClusterRead: ListClusters list_clusters;
        ServiceRead: ListServices list_services;
        ClusterResourceRead: ListTasks list_tasks;
        TaskDefinitionRead: ListTaskDefinitions list_task_definitions;
        TaskDefinitionRead: ListTaskDefinitionFamilies list_task_definition_families;
        ClusterModify: CreateCluster create_cluster;
        ClusterModify: UpdateCluster update_cluster;
        ClusterModify: PutClusterCapacityProviders put_cluster_capacity_providers;
        ClusterModify: DeleteCluster delete_cluster;
        TaskDefinitionModify: RegisterTaskDefinition register_task_definition;
        TaskDefinitionModify: DeregisterTaskDefinition deregister_task_definition cleanup;
        TaskDefinitionDelete: DeleteTaskDefinitions delete_task_definitions cleanup;
        ServiceModify: CreateService create_service;
        ServiceModify: UpdateService update_service;
        ServiceModify: DeleteService delete_service;
        ServiceModify: ContinueServiceDeployment continue_service_deployment;
        ServiceModify: StopServiceDeployment stop_service_deployment;
        CapacityProviderModify: CreateCapacityProvider create_capacity_provider;
        CapacityProviderModify: UpdateCapacityProvider update_capacity_provider;
        CapacityProviderModify: DeleteCapacityProvider delete_capacity_provider;
        TaskModify: RunTask run_task;
        TaskModify: StopTask stop_task cleanup;
        TagModify: TagResource tag_resource;
        TagModify: UntagResource untag_resource;
    }
}
