//! Sends one write of an EcsCluster, and enters its reply into the observer.

use ecs_operator_crds::v1beta1::EcsCluster;

use super::observed::ObservedCluster;
use super::observed::read;
use crate::aws::ecs::{self, ClusterKey, written};
use crate::aws::observer::Answer;
use crate::aws::replies::tagged;
use crate::aws::{AwsError, Permit};
use crate::reconcile::Pass;
use crate::reconcile::lifecycle::Lifecycle;
use crate::reconcile::plan::Write;

const LIFECYCLE: Lifecycle = Lifecycle {
    create: ecs::CreateCluster,
    delete: ecs::DeleteCluster,
    deleted: &[],
};

pub(super) async fn apply(
    object: &EcsCluster,
    pass: &Pass<'_, ObservedCluster>,
    observed: &ObservedCluster,
    write: &Write,
    permit: Permit,
) -> Result<ObservedCluster, AwsError> {
    let clusters = pass.aws.observer.cache::<ClusterKey>();
    let key = ClusterKey(object.cluster_name());
    let what = key.to_string();
    if write.operation == ecs::CreateCluster {
        pass.context
            .claims
            .claim(write.operation, &what, pass.uid())?;
    }
    let reply = match LIFECYCLE.send(pass, &key, write, permit).await {
        Ok(Some(reply)) => reply,
        Ok(None) => return read(clusters.enter(key, Answer::Missing)),
        Err(error) => {
            if write.operation == ecs::CreateCluster && error.made_nothing() {
                pass.context.claims.release(&what, pass.uid());
            }
            return Err(error);
        }
    };
    let tags = match (write.operation, &observed.cluster) {
        (ecs::TagResource | ecs::UntagResource, Some(cluster)) => {
            return read(clusters.enter(
                key,
                tagged(&cluster.json, &write.request, ecs::SERVICE.tag_shape),
            ));
        }
        (ecs::CreateCluster, _) | (_, None) => write.request["tags"].clone(),
        (_, Some(cluster)) => cluster.json["tags"].clone(),
    };
    let answer = written(reply, "cluster", tags)
        .ok_or_else(|| AwsError::incomplete(write.operation, "cluster"))?;
    read(clusters.enter(key, answer))
}
