//! The status of an EcsCluster. Pure.

use ecs_operator_crds::RECONCILE_AT;
use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::{EcsCluster, EcsClusterStatus};

use super::capacity::has_capacity;
use super::observed::{Cluster, ObservedCluster};
use super::plan::remember_sent;
use crate::aws::ecs;
use crate::k8s::annotations::is_asked;
use crate::k8s::conditions::{State, Verdict};
use crate::k8s::object::Object;
use crate::reconcile::Report;
use crate::reconcile::kind::After;
use crate::reconcile::outcome::Outcome;
use crate::reconcile::plan::Write;

pub(super) fn report(
    object: &EcsCluster,
    after: &After<'_, ObservedCluster>,
) -> Report<EcsClusterStatus> {
    let outcome = after.outcome;
    let mut status = object.status.clone().unwrap_or_default();
    // The deletion of an object that retains its cluster does not read it.
    let left = object.is_deleting() && object.spec.policies.retains();
    let cluster = after
        .observed
        .filter(|_| !left)
        .map(|observed| observed.cluster.as_ref());
    // The status does not show the cluster of another owner.
    let cluster = cluster.map(|cluster| cluster.filter(|_| !outcome.is_owned_by_other()));
    if let Some(cluster) = cluster {
        let owned = status
            .cluster_arn
            .take()
            .filter(|_| outcome.is_owned_by_other());
        show(&mut status, cluster);
        // It tells that the object owned the cluster before.
        status.cluster_arn = status.cluster_arn.take().or(owned);
    }
    if *outcome == Outcome::InSync {
        // The tag of the cluster has the hash now.
        status.hidden_hash = None;
    } else {
        remember_sent(object, &mut status, after.accepted, after.unanswered);
    }
    let verdict = outcome
        .verdict()
        .unwrap_or_else(|| running(object, cluster.flatten()));
    Report {
        is_request_open: attaches_later(object, after),
        ..Report::new(status, verdict)
    }
}

/// Whether a user has asked to attach the capacity providers again, and the call has still to be
/// made.
fn attaches_later(object: &EcsCluster, after: &After<'_, ObservedCluster>) -> bool {
    let cluster = after
        .observed
        .and_then(|observed| observed.cluster.as_ref());
    let is_sent = |write: &Write| write.operation == ecs::PutClusterCapacityProviders;
    is_asked(object)
        && has_capacity(object)
        && cluster.is_none_or(Cluster::has_failed_to_attach)
        && after.outcome.is_to_continue()
        && !after.accepted.iter().any(is_sent)
}

fn show(status: &mut EcsClusterStatus, cluster: Option<&Cluster>) {
    let Cluster {
        cluster_arn,
        status: state,
        active_services_count,
        running_tasks_count,
        pending_tasks_count,
        registered_container_instances_count,
        attachments_status: _,
        json: _,
    } = cluster.cloned().unwrap_or_default();
    status.cluster_arn = cluster.map(|_| cluster_arn);
    status.status = cluster.map(|_| state);
    status.active_services_count = active_services_count;
    status.running_tasks_count = running_tasks_count;
    status.pending_tasks_count = pending_tasks_count;
    status.registered_container_instances_count = registered_container_instances_count;
}

/// ECS holds what the spec asks for; is the cluster usable?
fn running(object: &EcsCluster, cluster: Option<&Cluster>) -> Verdict {
    let name = object.cluster_name();
    // Attachments of others are none of this object's.
    let attachments = cluster
        .filter(|_| has_capacity(object))
        .and_then(|cluster| cluster.attachments_status.as_deref());
    match cluster.map(|cluster| cluster.status.as_str()) {
        Some("ACTIVE") if attachments == Some("UPDATE_IN_PROGRESS") => Verdict::new(
            State::Progressing,
            Reason::Progressing,
            format!("Cluster {name} is ACTIVE, and ECS is changing its capacity providers"),
        ),
        Some("ACTIVE") if attachments == Some("UPDATE_FAILED") => Verdict::new(
            State::Waiting,
            Reason::AwsUnavailable,
            format!(
                "Cluster {name} is ACTIVE, and ECS could not change its capacity providers (attachmentsStatus UPDATE_FAILED): correct \
                 the Auto Scaling groups of spec.capacityProviders, and annotate {RECONCILE_AT} with the present time to attach them again"
            ),
        ),
        Some("ACTIVE") => Verdict::new(
            State::Ready,
            Reason::Succeeded,
            format!("Cluster {name} is ACTIVE"),
        ),
        Some("FAILED") => Verdict::new(
            State::Waiting,
            Reason::AwsUnavailable,
            format!(
                "Cluster {name} is FAILED: ECS could not create the resources of its capacity providers"
            ),
        ),
        other => Verdict::new(
            State::Progressing,
            Reason::Progressing,
            format!("Cluster {name} is {}", other.unwrap_or("missing")),
        ),
    }
}
