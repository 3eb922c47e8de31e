//! What an EcsService refers to: its cluster, its task definition, and the revisions that it runs
//! or can be rolled back to.

use std::sync::Arc;

use ecs_operator_crds::v1beta1::{EcsCluster, EcsService, EcsTaskDefinition};
use kube::ResourceExt;

use super::users;
use crate::aws::ecs::family_of;
use crate::k8s::object::Object;
use crate::kinds::capacity::{own_names, references_to};
use crate::kinds::cluster_reference::ClusterReference;
use crate::reconcile::plan::Obstacle;
use crate::reconcile::references::{Resolved, not_ready, obstacle};
use crate::reconcile::{Reference, Stores};
use crate::trigger::ObjectId;

/// References of the spec, and those of the status to revisions.
pub(super) fn references(object: &EcsService) -> Vec<Reference> {
    let spec = &object.spec;
    let named = [
        ("EcsCluster", &spec.cluster_ref),
        ("EcsTaskDefinition", &spec.task_definition_ref),
    ];
    let named = named.into_iter().filter_map(|(kind, reference)| {
        let name = reference.as_ref()?.name.clone();
        Some(Reference::Object { kind, name })
    });
    let arns = [
        ("cluster", &spec.cluster),
        ("taskDefinition", &spec.task_definition),
    ];
    let arns = arns.into_iter().filter_map(|(field, value)| {
        let arn = value.clone().filter(|value| value.starts_with("arn:"))?;
        Some(Reference::Arn { field, arn })
    });
    let revisions = users::running(object)
        .into_iter()
        .chain(users::rollback_targets(object))
        .map(|part| Reference::Part {
            kind: "EcsTaskDefinition",
            aws_name: family_of(&part).to_owned(),
            part,
        });
    let strategy = spec.capacity_provider_strategy.iter().flatten();
    let providers = own_names(strategy.map(|item| item.capacity_provider.as_str()));
    let providers = references_to(providers);
    named
        .chain(arns)
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
    let Some(reference) = &service.spec.task_definition_ref else {
        return match &service.spec.task_definition {
            Some(literal) => Resolved::To(literal.clone()),
            // Task sets have task definitions then.
            None if is_external(service) => Resolved::Nothing,
            None => Resolved::NotYet(not_ready(
                "spec.taskDefinitionRef or spec.taskDefinition is needed".to_owned(),
                false,
            )),
        };
    };
    let target = task_definition_object(service, stores);
    if let Some(arn) = target.as_deref().and_then(observed_revision) {
        return Resolved::To(arn);
    }
    let namespace = service.namespace().unwrap_or_default();
    let (field, is_served) = ("spec.taskDefinitionRef", is_served(service));
    if let Some(obstacle) =
        obstacle::<EcsTaskDefinition>(stores, &namespace, field, &reference.name, is_served)
    {
        return Resolved::NotYet(obstacle);
    }
    let arn = target.and_then(|target| target.status.as_ref()?.task_definition_arn.clone());
    arn.map_or_else(
        || {
            Resolved::NotYet(not_ready(
                format!("EcsTaskDefinition {} has no revision yet", reference.name),
                true,
            ))
        },
        Resolved::To,
    )
}

/// The newest revision, if the object only observes, whatever its owner and its definition.
fn observed_revision(definition: &EcsTaskDefinition) -> Option<String> {
    let status = definition.status.as_ref()?;
    let follows = definition.spec.policies.observes() && !definition.is_deleting();
    let is_current = status.common.observed_generation == definition.metadata.generation;
    status
        .task_definition_arn
        .clone()
        .filter(|_| follows && is_current)
}

/// The EcsTaskDefinition that `service` refers to, if it exists.
pub(super) fn task_definition_object(
    service: &EcsService,
    stores: &Stores,
) -> Option<Arc<EcsTaskDefinition>> {
    let reference = service.spec.task_definition_ref.as_ref()?;
    let target =
        ObjectId::new::<EcsTaskDefinition>(service.namespace().as_deref(), &reference.name);
    stores.of::<EcsTaskDefinition>().get(&target.object_ref())
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
    use serde_json::{Value, json};

    use super::*;
    use crate::reconcile::stores::Builder;
    use crate::testkit::Fixture;

    #[test]
    fn takes_the_newest_revision_of_a_task_definition_that_only_observes() {
        let object = |kind: &str, spec: &Value, status: &Value| {
            let metadata =
                json!({"name": "web", "namespace": "default", "uid": "u-1", "generation": 2});
            json!({"apiVersion": "ecs-operator.dev/v1beta1", "kind": kind, "metadata": metadata, "spec": spec, "status": status})
        };
        let service = object(
            "EcsService",
            &json!({"taskDefinitionRef": {"name": "web"}}),
            &json!({}),
        );
        let service: EcsService = serde_json::from_value(service).expect("a valid object");
        let resolved = |policy: &str, generation: i64| {
            let spec = json!({"containerDefinitions": [], "managementPolicy": policy});
            let ready = json!({"type": "Ready", "status": "False", "reason": "Observing", "message": "it differs",
                "lastTransitionTime": "2026-01-01T00:00:00Z"});
            let status = json!({"observedGeneration": generation, "taskDefinitionArn": "web:8", "conditions": [ready]});
            let (task_definitions, mut writer) = reflector::store::<EcsTaskDefinition>();
            let definition = serde_json::from_value(object("EcsTaskDefinition", &spec, &status))
                .expect("a valid object");
            writer.apply_watcher_event(&Event::Apply(definition));
            let mut stores = Builder::default();
            stores.add(task_definitions, &[]);
            task_definition_of(&service, &stores.build())
        };
        assert_eq!(resolved("Observe", 2), Resolved::To("web:8".into()));
        assert!(
            matches!(resolved("Observe", 1), Resolved::NotYet(_)),
            "it has not looked yet"
        );
        assert!(matches!(resolved("Full", 2), Resolved::NotYet(_)));
    }

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
