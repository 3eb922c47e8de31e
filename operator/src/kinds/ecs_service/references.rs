//! What an EcsService refers to: its cluster, its task definition, and the revisions that it runs
//! or can be rolled back to.

use std::sync::Arc;

use ecs_operator_crds::v1beta1::{EcsCluster, EcsService, EcsTaskDefinition};
use kube::ResourceExt;

use super::users;
use crate::kinds::capacity::{own_names, references_to};
use crate::kinds::cluster_reference::ClusterReference;
use crate::kinds::task_definition_reference::TaskDefinitionReference;
use crate::kinds::task_references::{TaskReferences, revision};
use crate::reconcile::plan::Obstacle;
use crate::reconcile::references::{Resolved, not_ready, obstacle};
use crate::reconcile::{Reference, Stores};
use crate::trigger::ObjectId;

/// References of the spec, and those of the status to revisions.
pub(super) fn references(object: &EcsService) -> Vec<Reference> {
    let spec = &object.spec;
    let tasks = TaskReferences {
        cluster: spec.cluster.as_deref(),
        cluster_ref: spec.cluster_ref.as_ref(),
        task_definition: spec.task_definition.as_deref(),
        task_definition_ref: spec.task_definition_ref.as_ref(),
    };
    let gates = spec.rollout.iter().flat_map(|rollout| &rollout.before);
    let gates = gates.flatten().map(|gate| Reference::Object {
        kind: "EcsTask",
        name: gate.task_ref.name.clone(),
    });
    let revisions = users::running(object)
        .into_iter()
        .chain(users::rollback_targets(object))
        .map(revision);
    let strategy = spec.capacity_provider_strategy.iter().flatten();
    let providers = own_names(strategy.map(|item| item.capacity_provider.as_str()));
    let providers = references_to(providers);
    tasks
        .all()
        .chain(gates)
        .chain(revisions)
        .chain(providers)
        .collect()
}

/// The name of the ECS cluster of a service, and whether services may be created in it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClusterOfService {
    /// Name of the cluster in ECS, known even while the reference does not resolve.
    pub(super) name: String,
    /// Whether the name is a guess: the EcsCluster, which may give another, was never seen.
    pub(super) is_guess: bool,
    /// Why the service must wait for the cluster.
    pub(super) obstacle: Option<Obstacle>,
}

/// The cluster that `service` names, by reference or literally.
pub(super) fn cluster_of(service: &EcsService, stores: &Stores) -> ClusterOfService {
    let known = known_cluster(service, stores);
    let is_guess = known.is_none();
    let Some(reference) = &service.spec.cluster_ref else {
        return ClusterOfService {
            name: known.unwrap_or_default(),
            is_guess,
            obstacle: None,
        };
    };
    let namespace = service.namespace().unwrap_or_default();
    let (field, name) = ("spec.clusterRef", &reference.name);
    let is_served = is_served(service);
    let obstacle = obstacle::<EcsCluster>(stores, &namespace, field, name, is_served);
    // A service that exists needs no more of its cluster than the name.
    let cluster = ObjectId::new::<EcsCluster>(Some(&namespace), name).object_ref();
    let exists = stores.of::<EcsCluster>().get(&cluster).is_some();
    let obstacle = obstacle.filter(|_| !(is_served && exists));
    ClusterOfService {
        name: known.unwrap_or_else(|| reference.name.clone()),
        is_guess,
        obstacle,
    }
}

/// The name in ECS of the cluster that `service` names; `None` while the EcsCluster, which may give
/// any name, was never seen.
pub(super) fn known_cluster(service: &EcsService, stores: &Stores) -> Option<String> {
    let status = service.status.as_ref();
    let reference = ClusterReference {
        namespace: service.metadata.namespace.as_deref(),
        reference: service.spec.cluster_ref.as_ref(),
        literal: service.spec.cluster.as_deref().unwrap_or("default"),
        seen: status.and_then(|status| status.cluster_arn.as_deref()),
    };
    reference.known(stores)
}

/// The task definition that `service` names: for a reference the ARN of the exact revision, else
/// the literal.
pub(super) fn task_definition_of(service: &EcsService, stores: &Stores) -> Resolved {
    match task_definition(service).resolve(stores) {
        // Task sets have task definitions then.
        Resolved::Nothing if !is_external(service) => Resolved::NotYet(not_ready(
            "spec.taskDefinitionRef or spec.taskDefinition is needed".to_owned(),
            false,
        )),
        resolved => resolved,
    }
}

/// The EcsTaskDefinition that `service` refers to, if it exists.
pub(super) fn task_definition_object(
    service: &EcsService,
    stores: &Stores,
) -> Option<Arc<EcsTaskDefinition>> {
    task_definition(service).object(stores)
}

fn task_definition(service: &EcsService) -> TaskDefinitionReference<'_> {
    TaskDefinitionReference {
        namespace: service.metadata.namespace.as_deref(),
        reference: service.spec.task_definition_ref.as_ref(),
        literal: service.spec.task_definition.as_deref(),
        is_served: is_served(service),
    }
}

/// Whether another controller carries out the deployments of the service, by task sets.
fn is_external(service: &EcsService) -> bool {
    service
        .spec
        .deployment_controller
        .as_ref()
        .is_some_and(|controller| controller.type_ == "EXTERNAL")
}

/// Whether the service has had what it refers to: it was there in ECS.
fn is_served(service: &EcsService) -> bool {
    service
        .status
        .as_ref()
        .is_some_and(|status| status.service_arn.is_some())
}

#[cfg(test)]
mod tests {
    use kube::runtime::reflector;
    use kube::runtime::watcher::Event;
    use serde_json::json;

    use super::*;
    use crate::reconcile::stores::Builder;
    use crate::testkit::Fixture;

    #[test]
    fn a_service_that_exists_does_not_wait_for_a_cluster_that_is_not_ready() {
        let waits = |arn: Option<&str>, ready: &str| {
            let service = EcsService::test("web", &json!({"clusterRef": {"name": "shop"}}));
            let service = service.with(&json!({"status": {"serviceArn": arn}}));
            let ready = json!({"type": "Ready", "status": ready, "reason": "Busy", "message": "it attaches",
                "lastTransitionTime": "2026-01-01T00:00:00Z"});
            let cluster = EcsCluster::test("shop", &json!({}));
            let status = json!({"observedGeneration": 1, "conditions": [ready]});
            let (clusters, mut writer) = reflector::store::<EcsCluster>();
            writer.apply_watcher_event(&Event::Apply(cluster.with(&json!({"status": status}))));
            let mut stores = Builder::default();
            stores.add(clusters, &[]);
            cluster_of(&service, &stores.build()).obstacle.is_some()
        };
        let arn = Some("arn:aws:ecs:e:1:service/shop/web");
        assert_eq!((waits(None, "True"), waits(arn, "True")), (false, false));
        assert_eq!((waits(None, "False"), waits(arn, "False")), (true, false));
        assert_eq!(
            (waits(None, "Unknown"), waits(arn, "Unknown")),
            (true, false)
        );
    }
}
