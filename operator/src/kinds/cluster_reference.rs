//! The ECS cluster that an object names, by a reference or literally.

use ecs_operator_crds::v1beta1::{EcsCluster, ObjectReference};

use crate::aws::name_in;
use crate::aws::{AwsError, ErrorKind, Operation};
use crate::reconcile::Stores;
use crate::trigger::ObjectId;

/// How an object names its cluster.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClusterReference<'a> {
    /// Namespace of the object.
    pub(super) namespace: Option<&'a str>,
    /// The EcsCluster, of `spec.clusterRef`.
    pub(super) reference: Option<&'a ObjectReference>,
    /// Name or ARN, of `spec.cluster` or by default.
    pub(super) literal: &'a str,
    /// Name or ARN, by the status.
    pub(super) seen: Option<&'a str>,
}

impl ClusterReference<'_> {
    /// The name of the cluster in ECS; `None` while the EcsCluster, which may give any name, was
    /// never seen.
    pub(super) fn known(&self, stores: &Stores) -> Option<String> {
        let Some(reference) = self.reference else {
            return Some(name_in(self.literal).to_owned());
        };
        let cluster = ObjectId::new::<EcsCluster>(self.namespace, &reference.name).object_ref();
        let cluster = stores.of::<EcsCluster>().get(&cluster);
        // When the object is gone, the status remembers what it named.
        let seen = || self.seen.map(|seen| name_in(seen).to_owned());
        cluster.map(|cluster| cluster.cluster_name()).or_else(seen)
    }
}

/// Fails while the EcsClusters of the namespace cannot be read, so that the name of the cluster is
/// not known. `operation` is the read that it is needed for.
pub(super) fn is_readable(
    stores: &Stores,
    namespace: &str,
    operation: Operation,
) -> Result<(), AwsError> {
    let Some(missing) = stores.availability.why_in::<EcsCluster>(namespace) else {
        return Ok(());
    };
    let message = format!(
        "the name of the ECS cluster is not known: {}",
        missing.words
    );
    Err(AwsError::new(
        operation,
        ErrorKind::DependencyNotReady,
        message,
    ))
}
