//! The task definition that an object names, by a reference or literally.

use std::sync::Arc;

use ecs_operator_crds::v1beta1::{EcsTaskDefinition, ObjectReference};

use crate::k8s::object::Object;
use crate::reconcile::Stores;
use crate::reconcile::references::{Resolved, not_ready, obstacle};
use crate::trigger::ObjectId;

/// How an object names its task definition.
#[derive(Clone, Copy, Debug)]
pub(super) struct TaskDefinitionReference<'a> {
    /// Namespace of the object.
    pub(super) namespace: Option<&'a str>,
    /// The EcsTaskDefinition, of `spec.taskDefinitionRef`.
    pub(super) reference: Option<&'a ObjectReference>,
    /// Family, `family:revision` or ARN, of `spec.taskDefinition`.
    pub(super) literal: Option<&'a str>,
    /// Whether the object had it before.
    pub(super) is_served: bool,
}

impl TaskDefinitionReference<'_> {
    /// The EcsTaskDefinition that the object refers to, if it exists.
    pub(super) fn object(&self, stores: &Stores) -> Option<Arc<EcsTaskDefinition>> {
        let target = ObjectId::new::<EcsTaskDefinition>(self.namespace, &self.reference?.name);
        stores.of::<EcsTaskDefinition>().get(&target.object_ref())
    }

    /// For a reference the ARN of the exact revision, else the literal.
    pub(super) fn resolve(&self, stores: &Stores) -> Resolved {
        let Some(reference) = self.reference else {
            let literal = self.literal.map(str::to_owned);
            return literal.map_or(Resolved::Nothing, Resolved::To);
        };
        let target = self.object(stores);
        if let Some(arn) = target.as_deref().and_then(observed_revision) {
            return Resolved::To(arn);
        }
        let (namespace, field) = (self.namespace.unwrap_or_default(), "spec.taskDefinitionRef");
        if let Some(obstacle) =
            obstacle::<EcsTaskDefinition>(stores, namespace, field, &reference.name, self.is_served)
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

#[cfg(test)]
mod tests {
    use kube::runtime::reflector;
    use kube::runtime::watcher::Event;
    use serde_json::json;

    use super::*;
    use crate::reconcile::stores::Builder;
    use crate::testkit::Fixture;

    #[test]
    fn takes_the_newest_revision_of_a_task_definition_that_only_observes() {
        let reference = ObjectReference {
            name: "web".to_owned(),
        };
        let resolved = |policy: &str, generation: i64| {
            let spec = json!({"containerDefinitions": [], "managementPolicy": policy});
            let ready = json!({"type": "Ready", "status": "False", "reason": "Observing", "message": "it differs",
                "lastTransitionTime": "2026-01-01T00:00:00Z"});
            let status = json!({"observedGeneration": generation, "taskDefinitionArn": "web:8", "conditions": [ready]});
            let definition = EcsTaskDefinition::test("web", &spec)
                .with(&json!({"metadata": {"generation": 2}, "status": status}));
            let (task_definitions, mut writer) = reflector::store::<EcsTaskDefinition>();
            writer.apply_watcher_event(&Event::Apply(definition));
            let mut stores = Builder::default();
            stores.add(task_definitions, &[]);
            let reference = TaskDefinitionReference {
                namespace: Some("default"),
                reference: Some(&reference),
                literal: None,
                is_served: false,
            };
            reference.resolve(&stores.build())
        };
        assert_eq!(resolved("Observe", 2), Resolved::To("web:8".into()));
        assert!(
            matches!(resolved("Observe", 1), Resolved::NotYet(_)),
            "it has not looked yet"
        );
        assert!(matches!(resolved("Full", 2), Resolved::NotYet(_)));
    }
}
