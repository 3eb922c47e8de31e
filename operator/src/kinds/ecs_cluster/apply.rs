//! Sends one write of an EcsCluster, and enters its reply into the observer.

use ecs_operator_crds::v1beta1::EcsCluster;

use super::observed::ObservedCluster;
use super::observed::read;
use crate::aws::ecs::{self, ClusterKey, written};
use crate::aws::observer::Answer;
use crate::aws::replies::tagged;
use crate::aws::{AwsError, Permit};
use crate::reconcile::Pass;
use crate::reconcile::plan::Write;

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
    let mut before = None;
    if write.operation == ecs::CreateCluster {
        pass.context.claims.claim(write.operation, &what, pass.uid())?;
        before = clusters.creating(key.clone());
    }
    let reply = match (write.operation, pass.aws.writer.send(permit, &write.request).await) {
        // ECS does not show yet what the operator has just created.
        (ecs::DeleteCluster, Err(error)) if error.says_missing() && clusters.is_written_lately(&key) => {
            return Err(error.not_yet());
        }
        // It is deleted already.
        (ecs::DeleteCluster, Err(error)) if error.says_missing() => {
            return read(clusters.enter(key, Answer::Missing));
        }
        (ecs::CreateCluster, Err(error)) if error.made_nothing() => {
            clusters.not_created(&key, before);
            pass.context.claims.release(&what, pass.uid());
            return Err(error);
        }
        (_, reply) => reply?,
    };
    let tags = match (write.operation, &observed.cluster) {
        (ecs::TagResource | ecs::UntagResource, Some(cluster)) => {
            return read(clusters.enter(key, tagged(&cluster.json, &write.request, ecs::SERVICE.tag_shape)));
        }
        (ecs::CreateCluster, _) | (_, None) => write.request["tags"].clone(),
        (_, Some(cluster)) => cluster.json["tags"].clone(),
    };
    let answer = written(reply, "cluster", tags).ok_or_else(|| AwsError::incomplete(write.operation, "cluster"))?;
    read(clusters.enter(key, answer))
}
