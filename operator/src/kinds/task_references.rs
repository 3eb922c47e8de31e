//! What an object that runs tasks refers to: its cluster and its task definition.

use ecs_operator_crds::v1beta1::ObjectReference;

use crate::aws::ecs::family_of;
use crate::reconcile::Reference;

/// The members of a spec that name the cluster and the task definition of tasks.
#[derive(Clone, Copy, Debug)]
pub(super) struct TaskReferences<'a> {
    /// `spec.cluster`.
    pub(super) cluster: Option<&'a str>,
    /// `spec.clusterRef`.
    pub(super) cluster_ref: Option<&'a ObjectReference>,
    /// `spec.taskDefinition`.
    pub(super) task_definition: Option<&'a str>,
    /// `spec.taskDefinitionRef`.
    pub(super) task_definition_ref: Option<&'a ObjectReference>,
}

impl TaskReferences<'_> {
    /// The objects, and the AWS objects by ARN, that these members name.
    pub(super) fn all(&self) -> impl Iterator<Item = Reference> {
        let named = [
            ("EcsCluster", self.cluster_ref),
            ("EcsTaskDefinition", self.task_definition_ref),
        ];
        let named = named.into_iter().filter_map(|(kind, reference)| {
            let name = reference?.name.clone();
            Some(Reference::Object { kind, name })
        });
        let arns = [
            ("cluster", self.cluster),
            ("taskDefinition", self.task_definition),
        ];
        let arns = arns.into_iter().filter_map(|(field, value)| {
            let arn = value.filter(|value| value.starts_with("arn:"))?.to_owned();
            Some(Reference::Arn { field, arn })
        });
        named.chain(arns)
    }
}

/// A revision, `family:revision`, that tasks run or may run again.
pub(super) fn revision(part: String) -> Reference {
    Reference::Part {
        kind: "EcsTaskDefinition",
        aws_name: family_of(&part).to_owned(),
        part,
    }
}
