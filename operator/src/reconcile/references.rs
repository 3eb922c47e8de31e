//! References between custom resources: what they resolve to, and who depends on whom.
//!
//! They resolve in the same namespace, from the stores of the watches, without any request. Changes of a target wake its
//! dependants at once.

use std::sync::Arc;

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::{EcsCluster, EcsService, EcsTaskDefinition, ObjectReference};
use kube::ResourceExt;
use kube::runtime::reflector::{self, ObjectRef, Store};

use super::cluster::ClusterExt;
use super::plan::{Obstacle, Plan};
use super::task_definition::TaskDefinitionExt;
use super::users::Released;
use super::{Kind, Missing, Stores};
use crate::aws::name_in;
use crate::k8s::conditions;
use ecs_operator_crds::v1beta1::shared::Status;

/// What a reference resolves to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// What the target is in AWS.
    To(String),
    /// There is none, and none is needed.
    Nothing,
    /// Not yet, and why.
    NotYet(Obstacle),
}

/// The name of the ECS cluster of a service, and whether services may be created in it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterOfService {
    /// Name of the cluster in ECS, known even while the reference does not resolve.
    pub name: String,
    /// Whether the name is a guess: nobody has seen the EcsCluster, which may give another.
    pub is_guess: bool,
    /// Why the service must wait for the cluster.
    pub obstacle: Option<Obstacle>,
}

/// The cluster that `service` names, by reference or literally.
#[must_use]
pub fn cluster_of(service: &EcsService, stores: &Stores) -> ClusterOfService {
    let known = known_cluster(service, stores);
    let is_guess = known.is_none();
    let Some(reference) = &service.spec.cluster_ref else {
        return ClusterOfService { name: known.unwrap_or_default(), is_guess, obstacle: None };
    };
    let off = || stores.off.why_in::<EcsCluster>(&service.namespace().unwrap_or_default());
    let target = cluster_object(service, stores);
    let obstacle = obstacle("EcsCluster", "spec.clusterRef", reference, target.as_deref(), is_served(service), off);
    ClusterOfService { name: known.unwrap_or_else(|| reference.name.clone()), is_guess, obstacle }
}

/// The name in ECS of the cluster that `service` names; `None` while nobody has seen the EcsCluster, which may give any name.
#[must_use]
pub fn known_cluster(service: &EcsService, stores: &Stores) -> Option<String> {
    if service.spec.cluster_ref.is_none() {
        return Some(name_in(service.spec.cluster.as_deref().unwrap_or("default")).to_owned());
    }
    // When the object is gone, what it named is known from what we saw last.
    let seen = || service.status.as_ref()?.cluster_arn.as_deref().map(|arn| name_in(arn).to_owned());
    cluster_object(service, stores).map(|cluster| cluster.cluster_name()).or_else(seen)
}

/// The task definition that `service` names: for a reference the ARN of the exact revision, else the literal.
#[must_use]
pub fn task_definition_of(service: &EcsService, stores: &Stores) -> Resolved {
    let Some(reference) = &service.spec.task_definition_ref else {
        return match &service.spec.task_definition {
            Some(literal) => Resolved::To(literal.clone()),
            // Task sets have task definitions then.
            None if is_external(service) => Resolved::Nothing,
            None => Resolved::NotYet(not_ready("spec.taskDefinitionRef or spec.taskDefinition is needed".to_owned(), false)),
        };
    };
    let target = task_definition_object(service, stores);
    if let Some(arn) = target.as_deref().and_then(observed_revision) {
        return Resolved::To(arn);
    }
    let off = || stores.off.why_in::<EcsTaskDefinition>(&service.namespace().unwrap_or_default());
    if let Some(obstacle) =
        obstacle("EcsTaskDefinition", "spec.taskDefinitionRef", reference, target.as_deref(), is_served(service), off)
    {
        return Resolved::NotYet(obstacle);
    }
    let arn = target.and_then(|target| target.status.as_ref()?.task_definition_arn.clone());
    arn.map_or_else(
        || Resolved::NotYet(not_ready(format!("EcsTaskDefinition {} has no revision yet", reference.name), true)),
        Resolved::To,
    )
}

/// The newest revision, where the object only observes: whoever made it, and whether or not it is what the spec says.
fn observed_revision(definition: &EcsTaskDefinition) -> Option<String> {
    let status = definition.status.as_ref()?;
    let follows = definition.spec.policies.observes() && !definition.is_deleting();
    let is_current = status.observed_generation == definition.metadata.generation;
    status.task_definition_arn.clone().filter(|_| follows && is_current)
}

/// The EcsCluster that `service` refers to, whether or not it exists.
#[must_use]
pub fn cluster_named(service: &EcsService) -> Option<ObjectRef<EcsCluster>> {
    Some(same_namespace(service, service.spec.cluster_ref.as_ref()?))
}

/// The EcsTaskDefinition that `service` refers to, whether or not it exists.
#[must_use]
pub fn task_definition_named(service: &EcsService) -> Option<ObjectRef<EcsTaskDefinition>> {
    Some(same_namespace(service, service.spec.task_definition_ref.as_ref()?))
}

/// The EcsCluster that `service` refers to, if it exists.
fn cluster_object(service: &EcsService, stores: &Stores) -> Option<Arc<EcsCluster>> {
    stores.clusters.get(&cluster_named(service)?)
}

/// The EcsTaskDefinition that `service` refers to, if it exists.
#[must_use]
pub fn task_definition_object(service: &EcsService, stores: &Stores) -> Option<Arc<EcsTaskDefinition>> {
    stores.task_definitions.get(&task_definition_named(service)?)
}

/// Whether somebody else carries out the deployments of the service, by task sets.
fn is_external(service: &EcsService) -> bool {
    service.spec.deployment_controller.as_ref().is_some_and(|controller| controller.type_ == "EXTERNAL")
}

/// Whether the service has had what it refers to: it was there in ECS.
fn is_served(service: &EcsService) -> bool {
    service.status.as_ref().is_some_and(|status| status.service_arn.is_some())
}

/// Why a reference does not resolve; `None` when its target is ready for what its spec says now.
fn obstacle<K: Kind>(
    kind: &str,
    field: &str,
    reference: &ObjectReference,
    target: Option<&K>,
    is_served: bool,
    off: impl Fn() -> Option<Missing>,
) -> Option<Obstacle> {
    let name = &reference.name;
    let Some(target) = target else {
        if let Some(Missing { words, .. }) = off() {
            return Some(not_ready(format!("{kind} {name}, which {field} names, cannot be read: {words}"), false));
        }
        return Some(not_ready(format!("{kind} {name}, which {field} names, does not exist in this namespace"), false));
    };
    if target.is_deleting() {
        // It waits for whoever refers to it, and serves them until then. Nothing new begins with it.
        let message =
            format!("{kind} {name}, which {field} names, is being deleted: name another one, or delete this object too");
        return (!is_served).then(|| not_ready(message, false));
    }
    let status = target.status();
    if status.and_then(Status::observed_generation) != target.meta().generation {
        return Some(not_ready(format!("{kind} {name} is being worked on"), true));
    }
    let conditions = status.map(Status::conditions).unwrap_or_default();
    let ready = conditions::ready(conditions)?;
    if ready.status == "True" {
        return None;
    }
    Some(not_ready(format!("{kind} {name} is not ready ({}: {})", ready.reason, ready.message), ready.status == "Unknown"))
}

fn not_ready(message: String, passing: bool) -> Obstacle {
    Obstacle { reason: Reason::DependencyNotReady, message, passing }
}

fn same_namespace<K>(service: &EcsService, reference: &ObjectReference) -> ObjectRef<K>
where
    K: reflector::Lookup<DynamicType = ()>,
{
    ObjectRef::new(&reference.name).within(&service.namespace().unwrap_or_default())
}

/// EcsServices that name this cluster by reference.
#[must_use]
pub fn services_of_cluster(cluster: &EcsCluster, services: &Store<EcsService>) -> Vec<Arc<EcsService>> {
    dependants(cluster, services, |service| service.spec.cluster_ref.as_ref())
}

/// EcsServices that name any cluster by reference.
#[must_use]
pub fn services_of_clusters(services: &Store<EcsService>) -> Vec<Arc<EcsService>> {
    filtered(services, |service| service.spec.cluster_ref.is_some())
}

/// EcsServices that name this task definition by reference.
#[must_use]
pub fn services_of_task_definition(task_definition: &EcsTaskDefinition, services: &Store<EcsService>) -> Vec<Arc<EcsService>> {
    dependants(task_definition, services, |service| service.spec.task_definition_ref.as_ref())
}

/// EcsServices that name any task definition by reference.
#[must_use]
pub fn services_of_task_definitions(services: &Store<EcsService>) -> Vec<Arc<EcsService>> {
    filtered(services, |service| service.spec.task_definition_ref.is_some())
}

fn dependants<K: ResourceExt>(
    target: &K,
    services: &Store<EcsService>,
    reference: impl Fn(&EcsService) -> Option<&ObjectReference>,
) -> Vec<Arc<EcsService>> {
    let (namespace, name) = (&target.meta().namespace, target.meta().name.as_deref());
    let names_it = |service: &EcsService| reference(service).is_some_and(|reference| Some(&*reference.name) == name);
    filtered(services, |service| service.metadata.namespace == *namespace && names_it(service))
}

fn filtered<K: Kind>(objects: &Store<K>, keep: impl Fn(&K) -> bool) -> Vec<Arc<K>> {
    objects.state().into_iter().filter(|object| keep(object)).collect()
}

/// EcsServices that refer to an object which is being deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependants {
    /// Their names, for a message; empty when there are none.
    pub names: String,
    /// Whether all of them are being deleted too.
    pub leaving: bool,
}

impl Dependants {
    /// What there is to say of those that refer to `cluster`.
    #[must_use]
    pub fn of_cluster(cluster: &EcsCluster, stores: &Stores) -> Self {
        Self::of(cluster, &services_of_cluster(cluster, &stores.services), stores)
    }

    /// What there is to say of those that refer to `task_definition`.
    #[must_use]
    pub fn of_task_definition(task_definition: &EcsTaskDefinition, stores: &Stores) -> Self {
        Self::of(task_definition, &services_of_task_definition(task_definition, &stores.services), stores)
    }

    fn of<K: ResourceExt>(target: &K, services: &[Arc<EcsService>], stores: &Stores) -> Self {
        let off = stores.off.why_in::<EcsService>(&target.namespace().unwrap_or_default());
        if let Some(Missing { words, is_installed: true }) = off {
            // There may be some.
            return Self { names: format!("some that cannot be read may be there ({words})"), leaving: false };
        }
        let mut names: Vec<_> = services.iter().map(|service| service.name_any()).collect();
        names.sort();
        Self { names: names.join(", "), leaving: !services.is_empty() && services.iter().all(|service| service.is_deleting()) }
    }

    /// The deletion that has to wait. While they are leaving themselves, it is only a matter of time.
    #[must_use]
    pub fn block(&self, message: String) -> Plan {
        Plan::Wait(Obstacle { reason: Reason::DeletionBlocked, message, passing: self.leaving })
    }
}

/// Clusters and task definitions that wait for services to go, or to leave a revision.
type Waiting = (Vec<Arc<EcsCluster>>, Vec<Arc<EcsTaskDefinition>>);

/// Those of what a service has left that wait for that.
#[must_use]
pub fn waiting(released: &Released, stores: &Stores) -> Waiting {
    let cluster = released.cluster.iter().filter_map(|key| stores.clusters.get(key)).filter(|cluster| cluster.is_deleting());
    let definitions = released.definitions.iter().filter_map(|key| stores.task_definitions.get(key)).filter(|it| waits(it));
    (cluster.collect(), definitions.collect())
}

/// All that wait for some service.
#[must_use]
pub fn all_waiting_targets(stores: &Stores) -> Waiting {
    (filtered(&stores.clusters, EcsCluster::is_deleting), filtered(&stores.task_definitions, waits))
}

/// Whether a task definition waits for services.
fn waits(definition: &EcsTaskDefinition) -> bool {
    definition.is_deleting() || definition.has_surplus()
}

#[cfg(test)]
mod tests {
    use kube::runtime::watcher::Event;
    use serde_json::{Value, json};

    use super::*;
    use crate::reconcile::Off;

    fn object<K: Kind>(kind: &str, spec: &Value, status: &Value) -> K {
        let metadata = json!({"name": "web", "namespace": "default", "uid": "u-1", "generation": 2});
        let object =
            json!({"apiVersion": "ecs-operator.dev/v1beta1", "kind": kind, "metadata": metadata, "spec": spec, "status": status});
        serde_json::from_value(object).expect("a valid object")
    }

    #[test]
    fn what_only_observes_names_the_newest_revision_whatever_it_is() {
        let service = object::<EcsService>("EcsService", &json!({"taskDefinitionRef": {"name": "web"}}), &json!({}));
        let resolved = |policy: &str, generation: i64| {
            let spec = json!({"containerDefinitions": [], "managementPolicy": policy});
            let ready = json!({"type": "Ready", "status": "False", "reason": "Observing", "message": "it differs",
                "lastTransitionTime": "2026-01-01T00:00:00Z"});
            let status = json!({"observedGeneration": generation, "taskDefinitionArn": "web:8", "conditions": [ready]});
            let (task_definitions, mut writer) = reflector::store();
            writer.apply_watcher_event(&Event::Apply(object::<EcsTaskDefinition>("EcsTaskDefinition", &spec, &status)));
            let (clusters, services) = (reflector::store().0, reflector::store().0);
            task_definition_of(
                &service,
                &Stores { clusters, task_definitions, services, users: Arc::default(), off: Off::default() },
            )
        };
        assert_eq!(resolved("Observe", 2), Resolved::To("web:8".into()));
        assert!(matches!(resolved("Observe", 1), Resolved::NotYet(_)), "it has not looked yet");
        assert!(matches!(resolved("Full", 2), Resolved::NotYet(_)));
    }

    #[test]
    fn both_annotations_that_ask_for_a_look_are_heard() {
        let asked = |annotations: &Value| {
            let mut service = object::<EcsService>("EcsService", &json!({}), &json!({}));
            service.metadata.annotations = serde_json::from_value(annotations.clone()).expect("annotations");
            super::super::requested(&service)
        };
        let (ours, flux) = (ecs_operator_crds::RECONCILE_AT, ecs_operator_crds::FLUX_REQUESTED_AT);
        assert_eq!(asked(&json!({})), None);
        assert_eq!(asked(&json!({flux: "2"})).as_deref(), Some("2"));
        assert_eq!(asked(&json!({ours: "1", flux: "2"})).as_deref(), Some("1,2"));
    }
}
