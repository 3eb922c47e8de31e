//! The ECS operations that the operator uses, and the quota that each draws on.

use std::fmt;

use strum::{IntoStaticStr, VariantArray};

/// An operation of the ECS API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[allow(missing_docs, reason = "the names are those of the ECS API")]
pub enum Operation {
    DescribeCapacityProviders,
    DescribeClusters,
    DescribeServices,
    DescribeServiceDeployments,
    DescribeServiceRevisions,
    DescribeTaskDefinition,
    DescribeTasks,
    ListClusters,
    ListServices,
    ListTasks,
    ListTaskDefinitions,
    ListTaskDefinitionFamilies,
    CreateCluster,
    UpdateCluster,
    PutClusterCapacityProviders,
    DeleteCluster,
    RegisterTaskDefinition,
    DeregisterTaskDefinition,
    DeleteTaskDefinitions,
    CreateService,
    UpdateService,
    DeleteService,
    ContinueServiceDeployment,
    StopServiceDeployment,
    TagResource,
    UntagResource,
}

/// A group of operations that share one token bucket of the account and Region.
///
/// Source: "Request throttling for the Amazon ECS API", ECS API reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are those of the AWS documentation")]
pub enum ActionFamily {
    ClusterRead,
    ClusterResourceRead,
    TaskDefinitionRead,
    ServiceRead,
    ServiceDeploymentRead,
    ServiceRevisionRead,
    ClusterModify,
    TaskDefinitionModify,
    TaskDefinitionDelete,
    ServiceModify,
    TagModify,
}

impl Operation {
    /// The name, as in the API reference, in IAM actions and in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether it only lets go of task definition revisions that have had their time.
    #[must_use]
    pub const fn lets_go(self) -> bool {
        matches!(self, Self::DeregisterTaskDefinition | Self::DeleteTaskDefinitions)
    }

    /// Whether it changes something.
    #[must_use]
    pub const fn is_write(self) -> bool {
        !matches!(
            self.family(),
            ActionFamily::ClusterRead
                | ActionFamily::ClusterResourceRead
                | ActionFamily::TaskDefinitionRead
                | ActionFamily::ServiceRead
                | ActionFamily::ServiceDeploymentRead
                | ActionFamily::ServiceRevisionRead
        )
    }

    /// The quota that it draws on.
    #[must_use]
    pub const fn family(self) -> ActionFamily {
        match self {
            // Of the first AWS publishes no rate: they are few.
            Self::DescribeCapacityProviders | Self::DescribeClusters | Self::ListClusters => ActionFamily::ClusterRead,
            Self::DescribeServices | Self::ListServices => ActionFamily::ServiceRead,
            Self::DescribeServiceDeployments => ActionFamily::ServiceDeploymentRead,
            Self::DescribeServiceRevisions => ActionFamily::ServiceRevisionRead,
            Self::DescribeTaskDefinition | Self::ListTaskDefinitions | Self::ListTaskDefinitionFamilies => {
                ActionFamily::TaskDefinitionRead
            }
            Self::DescribeTasks | Self::ListTasks => ActionFamily::ClusterResourceRead,
            Self::CreateCluster | Self::UpdateCluster | Self::PutClusterCapacityProviders | Self::DeleteCluster => {
                ActionFamily::ClusterModify
            }
            Self::RegisterTaskDefinition | Self::DeregisterTaskDefinition => ActionFamily::TaskDefinitionModify,
            Self::DeleteTaskDefinitions => ActionFamily::TaskDefinitionDelete,
            // Of the last two AWS publishes no rate: they are few.
            Self::CreateService
            | Self::UpdateService
            | Self::DeleteService
            | Self::ContinueServiceDeployment
            | Self::StopServiceDeployment => ActionFamily::ServiceModify,
            Self::TagResource | Self::UntagResource => ActionFamily::TagModify,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ActionFamily {
    /// The published token bucket: calls at once, and calls per second after that.
    #[must_use]
    pub const fn bucket(self) -> (f64, f64) {
        match self {
            Self::ClusterRead | Self::TaskDefinitionRead | Self::ServiceDeploymentRead | Self::ServiceRevisionRead => {
                (50.0, 20.0)
            }
            Self::ServiceRead | Self::ClusterResourceRead => (100.0, 20.0),
            Self::ClusterModify | Self::TaskDefinitionModify => (20.0, 1.0),
            Self::TaskDefinitionDelete => (5.0, 1.0),
            Self::ServiceModify => (50.0, 5.0),
            Self::TagModify => (20.0, 10.0),
        }
    }
}
