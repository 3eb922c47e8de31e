//! Why the operator cannot start or go on.

use std::net::SocketAddr;

/// An error that ends the operator, with a message that says what to do.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("no AWS Region: set --aws-region or AWS_REGION")]
    NoRegion,
    #[error(
        "cannot serve metrics and probes on {address}: {source}; choose another address with --http-address"
    )]
    Bind {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("no Kubernetes API server is configured: set KUBECONFIG or run in a cluster ({0})")]
    NoCluster(String),
    #[error(
        "cannot read namespace kube-system, whose UID tells this cluster from others: {0}; grant `get` on it or set --cluster-id"
    )]
    ClusterId(String),
    #[error(
        "lost the leader election: another replica takes over, and this process exits so that it is restarted as a standby"
    )]
    LeadershipLost,
    #[error(
        "the event queue is in {queue_region} and the ECS objects are in {region}: EventBridge delivers events within a Region"
    )]
    QueueRegion {
        queue_region: String,
        region: String,
    },
    #[error("cannot start the runtime: {0}")]
    Runtime(std::io::Error),
    #[error("cannot write: {0}")]
    Output(std::io::Error),
    #[error("cannot print the custom resource definitions: {0}")]
    Crd(String),
    #[error("another TLS provider is installed already")]
    Tls,
}
