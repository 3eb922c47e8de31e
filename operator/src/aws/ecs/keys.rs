//! The keys of clusters, capacity providers, services and task definition revisions, and the calls
//! that read them.

use std::fmt;
use std::time::Duration;

use serde_json::json;

use super::errors::lacks_cluster;
use super::operations as ecs;
use super::replies::{sort_out, task_definition};
use crate::aws::call::Reads;
use crate::aws::observer::{Answer, Key, Sweep};
use crate::aws::{AwsError, ErrorKind, Operation};

/// Name of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterKey(pub String);

/// Cluster and name of a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceKey {
    /// Name of the cluster.
    pub cluster: String,
    /// Name of the service.
    pub name: String,
}

/// Name of a capacity provider, and the cluster through which it is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CapacityProviderKey {
    /// Name of the cluster, without which ECS does not show its Managed Instances providers; `None`
    /// for a provider of an Auto Scaling group, which belongs to no cluster.
    pub cluster: Option<String>,
    /// Name.
    pub name: String,
}

/// ARN of a task definition revision.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskDefinitionKey(pub String);

impl fmt::Display for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cluster {}", self.0)
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "service {} in cluster {}", self.name, self.cluster)
    }
}

impl fmt::Display for CapacityProviderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "capacity provider {}", self.name)?;
        match &self.cluster {
            Some(cluster) => write!(f, " of cluster {cluster}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for TaskDefinitionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task definition {}", self.0)
    }
}

impl Key for ClusterKey {
    const WHAT: &'static str = "clusters";
    const OPERATION: Operation = ecs::DescribeClusters;
    const BATCH: usize = 100;

    fn group(&self) -> &'static str {
        ""
    }

    async fn read(reads: &Reads<'_>, keys: &[Self]) -> Vec<Result<Answer, AwsError>> {
        let names: Vec<_> = keys.iter().map(|key| key.0.as_str()).collect();
        let request = json!({"clusters": names, "include": ["ATTACHMENTS", "CONFIGURATIONS", "SETTINGS", "TAGS"]});
        let reply = reads.send(ecs::DescribeClusters, &request).await;
        sort_out(
            ecs::DescribeClusters,
            reply,
            "clusters",
            "clusterName",
            &names,
        )
    }
}

/// Also found is a provider whose creation has failed, which ECS shows as INACTIVE.
impl Key for CapacityProviderKey {
    const WHAT: &'static str = "capacity_providers";
    const OPERATION: Operation = ecs::DescribeCapacityProviders;
    // ECS answers ten at a time.
    const BATCH: usize = 10;

    fn group(&self) -> &str {
        self.cluster.as_deref().unwrap_or_default()
    }

    async fn read(reads: &Reads<'_>, keys: &[Self]) -> Vec<Result<Answer, AwsError>> {
        let names: Vec<_> = keys.iter().map(|key| key.name.as_str()).collect();
        let mut request = json!({"capacityProviders": names, "include": ["TAGS"]});
        if let Some(cluster) = &keys[0].cluster {
            request["cluster"] = cluster.as_str().into();
        }
        match reads.send(ecs::DescribeCapacityProviders, &request).await {
            // Without its cluster a Managed Instances provider does not exist.
            Err(error) if lacks_cluster(&error) => {
                names.iter().map(|_| Ok(Answer::Missing)).collect()
            }
            reply => sort_out(
                ecs::DescribeCapacityProviders,
                reply,
                "capacityProviders",
                "name",
                &names,
            ),
        }
    }
}

impl Key for ServiceKey {
    const WHAT: &'static str = "services";
    const OPERATION: Operation = ecs::DescribeServices;
    const BATCH: usize = 10;

    fn group(&self) -> &str {
        &self.cluster
    }

    async fn read(reads: &Reads<'_>, keys: &[Self]) -> Vec<Result<Answer, AwsError>> {
        let names: Vec<_> = keys.iter().map(|key| key.name.as_str()).collect();
        let request = json!({"cluster": keys[0].cluster, "services": names, "include": ["TAGS"]});
        match reads.send(ecs::DescribeServices, &request).await {
            // Without its cluster a service does not exist.
            Err(error) if lacks_cluster(&error) => {
                names.iter().map(|_| Ok(Answer::Missing)).collect()
            }
            reply => sort_out(
                ecs::DescribeServices,
                reply,
                "services",
                "serviceName",
                &names,
            ),
        }
    }
}

impl Key for TaskDefinitionKey {
    const WHAT: &'static str = "task_definitions";
    const OPERATION: Operation = ecs::DescribeTaskDefinition;
    const BATCH: usize = 1;
    // Large families are looked through bit by bit, and a revision changes in its tags alone.
    const UNWATCHED: Duration = Duration::from_secs(900);

    fn group(&self) -> &str {
        &self.0
    }

    fn steady(sweep: &Sweep) -> Duration {
        sweep.task_definitions
    }

    async fn read(reads: &Reads<'_>, keys: &[Self]) -> Vec<Result<Answer, AwsError>> {
        let request = json!({"taskDefinition": keys[0].0, "include": ["TAGS"]});
        vec![
            match reads.send(ecs::DescribeTaskDefinition, &request).await {
                Ok(reply) => Ok(task_definition(reply)),
                Err(error) if error.kind == ErrorKind::Missing => Ok(Answer::Missing),
                Err(error) => Err(error),
            },
        ]
    }
}
