//! Which EcsServices use which task definition revisions: an index that the watches keep current, so that no pass looks through all
//! services, and a service that leaves a revision triggers only the task definitions that wait for that.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::{EcsCluster, EcsService, EcsTaskDefinition};
use kube::runtime::reflector::ObjectRef;

use super::ignore::ignores;
use super::references::{cluster_named, task_definition_named};
use super::service::ServiceExt;
use super::task_definition::TaskDefinitionExt;
use crate::aws::name_in;
use crate::aws::observer::{family_of, user};
use crate::k8s::conditions;

/// The index.
#[derive(Debug, Default)]
pub struct Users(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    services: HashMap<ObjectRef<EcsService>, Named>,
    /// Services by the revisions that they run or can be rolled back to, as `family:revision`.
    by_revision: HashMap<String, HashSet<ObjectRef<EcsService>>>,
    definitions: HashMap<String, HashSet<ObjectRef<EcsTaskDefinition>>>,
}

/// What a service names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Named {
    /// `SERVICE in cluster CLUSTER`.
    label: String,
    /// Whether the EcsService says what the service runs.
    sets_revision: bool,
    running: BTreeSet<String>,
    rollback_targets: BTreeSet<String>,
    cluster: Option<ObjectRef<EcsCluster>>,
    definition: Option<ObjectRef<EcsTaskDefinition>>,
}

impl Named {
    fn of(service: &EcsService) -> Self {
        let status = service.status.as_ref();
        let cluster = status.and_then(|status| status.cluster_arn.as_deref()).map(name_in).unwrap_or_default();
        let deployments = status.into_iter().flat_map(|status| status.deployments.iter().flatten());
        let running: BTreeSet<_> = deployments
            .filter_map(|deployment| deployment.revision.clone())
            .chain(status.and_then(|status| status.revision.clone()))
            .collect();
        let stalled = status.and_then(|status| conditions::ready(&status.conditions)).map(|ready| ready.reason.as_str());
        let mut unfollowed = Reason::ANOTHERS.iter().chain([&Reason::ClusterNotAllowed, &Reason::InvalidSpec]);
        let is_followed = !running.is_empty() && !unfollowed.any(|reason| Some(reason.as_str()) == stalled);
        let rollouts = status.into_iter().flat_map(|status| status.rollout_history.iter().flatten());
        let policies = &service.spec.policies;
        let by_ecs = service.spec.deployment_controller.as_ref().is_none_or(|controller| controller.type_ == "ECS");
        let is_left = ["taskDefinition", "taskDefinitionRef"].iter().any(|member| ignores(policies, member));
        Self {
            label: user(&service.service_name(), cluster),
            // Where the status does not follow the service, AWS knows better what it runs.
            sets_revision: is_followed && by_ecs && !policies.observes() && !policies.suspends() && !is_left,
            running,
            rollback_targets: rollouts.map(|rollout| rollout.revision.clone()).collect(),
            cluster: cluster_named(service),
            definition: task_definition_named(service),
        }
    }

    fn revisions(&self) -> BTreeSet<&String> {
        self.running.union(&self.rollback_targets).collect()
    }
}

/// What a service named before and names no more.
#[derive(Debug, Default)]
pub struct Released {
    /// The EcsCluster.
    pub cluster: Option<ObjectRef<EcsCluster>>,
    /// The EcsTaskDefinition that it referred to, and those of the families whose revisions it has left.
    pub definitions: HashSet<ObjectRef<EcsTaskDefinition>>,
}

impl Users {
    /// A service was created or changed.
    pub fn applied(&self, service: &EcsService) -> Released {
        self.enter(service, Some(Named::of(service)))
    }

    /// A service is gone.
    pub fn deleted(&self, service: &EcsService) -> Released {
        self.enter(service, None)
    }

    fn enter(&self, service: &EcsService, now: Option<Named>) -> Released {
        let state = &mut *self.state();
        let key = ObjectRef::from_obj(service);
        let before = state.services.remove(&key).unwrap_or_default();
        let next = now.clone().unwrap_or_default();
        let (old, new) = (before.revisions(), next.revisions());
        for revision in new.difference(&old) {
            state.by_revision.entry((*revision).clone()).or_default().insert(key.clone());
        }
        let mut definitions = HashSet::new();
        for revision in old.difference(&new) {
            if let Some(users) = state.by_revision.get_mut(*revision) {
                users.remove(&key);
                if users.is_empty() {
                    state.by_revision.remove(*revision);
                }
            }
            definitions.extend(state.definitions.get(family_of(revision)).into_iter().flatten().cloned());
        }
        definitions.extend(before.definition.filter(|definition| next.definition.as_ref() != Some(definition)));
        let cluster = before.cluster.filter(|cluster| next.cluster.as_ref() != Some(cluster));
        if let Some(now) = now {
            state.services.insert(key, now);
        }
        Released { cluster, definitions }
    }

    /// A task definition was created or changed.
    pub fn definition_applied(&self, definition: &EcsTaskDefinition) {
        self.state().definitions.entry(definition.family()).or_default().insert(ObjectRef::from_obj(definition));
    }

    /// A task definition is gone.
    pub fn definition_deleted(&self, definition: &EcsTaskDefinition) {
        let state = &mut *self.state();
        if let Some(definitions) = state.definitions.get_mut(&definition.family()) {
            definitions.remove(&ObjectRef::from_obj(definition));
            if definitions.is_empty() {
                state.definitions.remove(&definition.family());
            }
        }
    }

    /// What keeps a revision, `family:revision`, in words: a service that runs it or can be rolled back to it. With `running_only` the
    /// latter does not count.
    #[must_use]
    pub fn of(&self, revision: &str, running_only: bool) -> Option<String> {
        let state = self.state();
        let users = || {
            let keys = state.by_revision.get(revision).into_iter().flatten();
            keys.filter_map(|key| Some((key, state.services.get(key)?)))
        };
        let running = users().filter(|(_, named)| named.running.contains(revision)).map(|(_, named)| &named.label).min();
        if let Some(label) = running {
            return Some(format!("{revision} runs in service {label}"));
        }
        let target = users().map(|(key, _)| &key.name).min().filter(|_| !running_only);
        target.map(|name| format!("EcsService {name} can be rolled back to {revision}"))
    }

    /// The services whose revision an EcsService sets, as `SERVICE in cluster CLUSTER`: of what they run the watch knows more than an
    /// answer of AWS of a while ago.
    #[must_use]
    pub fn set_by_us(&self) -> HashSet<String> {
        self.state().services.values().filter(|named| named.sets_revision).map(|named| named.label.clone()).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn service(name: &str, spec: &Value, status: &Value) -> EcsService {
        let object = json!({"apiVersion": "ecs-operator.dev/v1beta1", "kind": "EcsService", "spec": spec, "status": status,
            "metadata": {"name": name, "namespace": "shop"}});
        serde_json::from_value(object).expect("a valid object")
    }

    fn definition(namespace: &str, name: &str) -> EcsTaskDefinition {
        let object = json!({"apiVersion": "ecs-operator.dev/v1beta1", "kind": "EcsTaskDefinition", "spec": {"containerDefinitions": []},
            "metadata": {"name": name, "namespace": namespace}});
        serde_json::from_value(object).expect("a valid object")
    }

    fn names(released: &Released) -> Vec<String> {
        let mut names: Vec<_> = released
            .definitions
            .iter()
            .map(|key| format!("{}/{}", key.namespace.as_deref().unwrap_or_default(), key.name))
            .collect();
        names.sort();
        names
    }

    #[test]
    fn who_leaves_a_revision_releases_the_task_definitions_of_its_family_and_no_other() {
        let users = Users::default();
        for (namespace, name) in [("shop", "web"), ("shop", "api"), ("desk", "web")] {
            users.definition_applied(&definition(namespace, name));
        }
        let literal = json!({"taskDefinition": "web:1"});
        let runs = |revision: &str, history: &[&str]| {
            let history: Vec<_> =
                history.iter().map(|revision| json!({"revision": revision, "hash": "", "result": "Succeeded"})).collect();
            json!({"revision": revision, "clusterArn": "c/main", "rolloutHistory": history})
        };
        assert_eq!(names(&users.applied(&service("a", &literal, &runs("web:1", &[])))), [""; 0]);
        assert_eq!(users.of("web:1", false).as_deref(), Some("web:1 runs in service a in cluster main"));
        assert_eq!(names(&users.applied(&service("a", &literal, &runs("web:2", &["web:1"])))), [""; 0], "it can go back");
        assert_eq!(users.of("web:1", false).as_deref(), Some("EcsService a can be rolled back to web:1"));
        assert_eq!(users.of("web:1", true), None);
        assert_eq!(names(&users.applied(&service("a", &literal, &runs("web:2", &[])))), ["desk/web", "shop/web"]);
        assert_eq!(users.of("web:1", false), None);
        assert!(users.set_by_us().contains("a in cluster main"));
        users.definition_deleted(&definition("desk", "web"));
        assert_eq!(names(&users.deleted(&service("a", &literal, &json!({})))), ["shop/web"]);
        assert_eq!(users.of("web:2", false), None);
        assert!(users.set_by_us().is_empty());
    }

    #[test]
    fn an_edited_reference_releases_what_it_named() {
        let users = Users::default();
        let refers = |name: &str| json!({"taskDefinitionRef": {"name": name}, "clusterRef": {"name": "main"}});
        users.applied(&service("a", &refers("web"), &json!({})));
        let released = users.applied(&service("a", &refers("api"), &json!({})));
        assert_eq!((names(&released), released.cluster), (vec!["shop/web".to_owned()], None));
        let released = users.deleted(&service("a", &refers("api"), &json!({})));
        assert_eq!(names(&released), ["shop/api"]);
        assert_eq!(released.cluster.map(|cluster| cluster.name).as_deref(), Some("main"));
    }
}
