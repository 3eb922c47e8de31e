//! What is known of a service.

use std::collections::BTreeMap;

use ecs_operator_crds::v1beta1::service::StoppedTask;
use tokio::time::Instant;

use super::autoscaling::ObservedAutoscaling;
use super::deployment::ServiceDeployment;
use super::described::Service;
use super::gates::Gate;
use crate::aws::ecs::ServiceKey;
use crate::reconcile::plan::Obstacle;
use crate::reconcile::references::Resolved;

/// Commands that this pass carried out: annotation and value.
pub type CarriedOut = BTreeMap<&'static str, String>;

/// What is known of a service.
#[derive(Clone, Debug)]
pub struct ObservedService {
    /// When ECS was asked.
    pub at: Instant,
    /// Cluster and name in ECS.
    pub key: ServiceKey,
    /// Whether the cluster is a guess: the EcsCluster that the service refers to was never seen.
    pub is_guess: bool,
    /// Why the service must wait for its cluster; `None` when the cluster is ready.
    pub cluster_obstacle: Option<Obstacle>,
    /// The task definition that the service shall run.
    pub task_definition: Resolved,
    /// The task that keeps the service from this task definition, unless it runs it already.
    pub gate: Option<Box<Gate>>,
    /// What the service says that its task definition does not bear out, in words; `None` when the
    /// two fit.
    pub mismatch: Option<String>,
    /// The service; `None` when there is none of that name.
    pub service: Option<Service>,
    /// Whether it may be there all the same: its creation got no reply.
    pub may_be_there: bool,
    /// The service deployment that is under way, or the last one, where ECS tells.
    pub deployment: Option<ServiceDeployment>,
    /// Tasks that stopped for a reason that needs attention; `None` if they were not read.
    pub stopped: Option<Vec<StoppedTask>>,
    /// Whether the revision that a command asks for is ACTIVE; `None` where none does.
    pub rollback_target: Option<bool>,
    /// Service auto scaling; `None` where it was not read.
    pub autoscaling: Option<ObservedAutoscaling>,
    /// The commands that this pass has carried out.
    pub carried_out: CarriedOut,
}

impl ObservedService {
    /// The service deployment, unless ECS has begun another one since.
    pub(super) fn deployment(&self) -> Option<&ServiceDeployment> {
        let service = self.service.as_ref()?;
        self.deployment
            .as_ref()
            .filter(|deployment| !deployment.lags(service))
    }

    /// Before the service was read.
    pub(super) fn new(key: ServiceKey) -> Self {
        Self {
            at: Instant::now(),
            key,
            is_guess: false,
            cluster_obstacle: None,
            task_definition: Resolved::Nothing,
            gate: None,
            mismatch: None,
            may_be_there: false,
            service: None,
            deployment: None,
            stopped: None,
            rollback_target: None,
            autoscaling: None,
            carried_out: CarriedOut::new(),
        }
    }
}
