//! The ECS operations that the operator uses, and the quota that each draws on.
//!
//! Source of the quotas: "Request throttling for the Amazon ECS API", ECS API reference. It publishes no rate for
//! DescribeCapacityProviders, ContinueServiceDeployment and StopServiceDeployment; they are few.

use aws_sdk_ecs::Client;

use crate::aws::operation::{ActionFamily, Service, operations};

/// Amazon ECS.
const ECS: Service = Service { iam_prefix: "ecs" };

operations! {
    ECS, Client;
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
    TagModify: TagResource tag_resource;
    TagModify: UntagResource untag_resource;
}

const fn read(name: &'static str, burst: u32, per_second: u32) -> ActionFamily {
    ActionFamily { name, is_read: true, statement: "Read", burst, per_second }
}

const fn modify(name: &'static str, statement: &'static str, burst: u32, per_second: u32) -> ActionFamily {
    ActionFamily { name, is_read: false, statement, burst, per_second }
}

#[allow(non_upper_case_globals, missing_docs, reason = "the names are those of the AWS documentation")]
impl ActionFamily {
    pub const ClusterRead: Self = read("ClusterRead", 50, 20);
    pub const ClusterResourceRead: Self = read("ClusterResourceRead", 100, 20);
    pub const TaskDefinitionRead: Self = read("TaskDefinitionRead", 50, 20);
    pub const ServiceRead: Self = read("ServiceRead", 100, 20);
    pub const ServiceDeploymentRead: Self = read("ServiceDeploymentRead", 50, 20);
    pub const ServiceRevisionRead: Self = read("ServiceRevisionRead", 50, 20);
    pub const ClusterModify: Self = modify("ClusterModify", "Clusters", 20, 1);
    pub const TaskDefinitionModify: Self = modify("TaskDefinitionModify", "TaskDefinitions", 20, 1);
    pub const TaskDefinitionDelete: Self = modify("TaskDefinitionDelete", "TaskDefinitions", 5, 1);
    pub const ServiceModify: Self = modify("ServiceModify", "Services", 50, 5);
    pub const TagModify: Self = modify("TagModify", "Tags", 20, 10);
}
