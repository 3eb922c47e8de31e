//! Third door of EcsCluster: sends one write, and enters its reply into the observer.

use std::time::Instant;

use ecs_operator_crds::v1beta1::EcsCluster;

use super::{ClusterExt, ObservedCluster, observe};
use crate::aws::observer::{Answer, ClusterKey, written};
use crate::aws::{Fault, Freshness, Operation, Permit};
use crate::reconcile::Context;
use crate::reconcile::driver::incomplete;
use crate::reconcile::plan::Write;

pub(super) async fn apply(
    object: &EcsCluster,
    context: &Context,
    observed: &ObservedCluster,
    write: &Write,
    permit: Permit,
) -> Result<ObservedCluster, Fault> {
    let clusters = context.aws.observer.clusters();
    let key = ClusterKey(object.cluster_name());
    let reply = match context.aws.writer.send(permit, &write.request).await {
        // Somebody was faster.
        Err(fault)
            if write.operation == Operation::DeleteCluster && fault.code.as_deref() == Some("ClusterNotFoundException") =>
        {
            return observe::read(clusters.enter(key, Answer::Missing));
        }
        reply => reply?,
    };
    let tags = match (write.operation, &observed.cluster) {
        // Replies to tag calls are empty.
        (Operation::TagResource | Operation::UntagResource, _) => {
            return observe::read(clusters.get(key, Freshness::Since(Instant::now())).await?);
        }
        (Operation::CreateCluster, _) | (_, None) => write.request["tags"].clone(),
        (_, Some(cluster)) => cluster.json["tags"].clone(),
    };
    let answer = written(reply, "cluster", tags).ok_or_else(|| incomplete(write.operation, "cluster"))?;
    observe::read(clusters.enter(key, answer))
}
