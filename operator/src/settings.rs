//! Settings, resolved once from the command line. Only these travel on.

use std::net::SocketAddr;

use tracing_subscriber::filter::Targets;

use crate::aws::observer::Sweep;
use crate::cli::{LogFormat, RunArgs};
use crate::k8s::leader::Election;
use crate::k8s::watch::Selection;
use crate::reconcile::ClusterRule;

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Region; `None` leaves it to the AWS SDK.
    pub region: Option<String>,
    /// Share of the published quotas, above 0 and at most 1; `None` means no limit.
    pub quota_share: Option<f64>,
    /// URL of the SQS queue with events of ECS, where there is one.
    pub event_queue_url: Option<String>,
    /// Polling intervals.
    pub sweep: Sweep,
    /// Which objects are looked at.
    pub selection: Selection,
    /// Identity of the Kubernetes cluster; `None` means the UID of namespace kube-system.
    pub cluster_id: Option<String>,
    /// Identities of former Kubernetes clusters whose objects were moved to this one.
    pub former_cluster_ids: Vec<String>,
    /// Which namespaces may use which ECS clusters; without any rule all may.
    pub allowed_clusters: Vec<ClusterRule>,
    /// Number of objects of a kind that are reconciled at the same time.
    pub concurrency: u16,
    /// Which Lease the replicas share; `None` for a single one.
    pub election: Option<Election>,
    /// Address of metrics and probes.
    pub http_address: SocketAddr,
    /// Format of the log lines.
    pub log_format: LogFormat,
    /// What is logged.
    pub log_filter: Targets,
}

impl From<RunArgs> for Settings {
    fn from(arguments: RunArgs) -> Self {
        let RunArgs {
            aws_region,
            aws_quota_share,
            aws_event_queue_url,
            sweep_active,
            sweep_steady,
            sweep_task_definitions,
            watch_namespaces,
            watch_label_selector,
            cluster_id,
            former_cluster_ids,
            allowed_clusters,
            concurrency,
            leader_election,
            leader_election_namespace,
            leader_election_lease,
            leader_election_duration,
            http_address,
            log_format,
            log_filter,
        } = arguments;
        let election = Election {
            namespace: leader_election_namespace,
            lease: leader_election_lease,
            duration: leader_election_duration,
        };
        Self {
            region: aws_region,
            quota_share: aws_quota_share.0,
            event_queue_url: aws_event_queue_url,
            sweep: Sweep {
                active: sweep_active,
                steady: sweep_steady,
                task_definitions: sweep_task_definitions,
            },
            selection: Selection {
                namespaces: watch_namespaces,
                labels: watch_label_selector,
            },
            cluster_id,
            former_cluster_ids,
            allowed_clusters,
            concurrency,
            election: leader_election.then_some(election),
            http_address,
            log_format,
            log_filter,
        }
    }
}
