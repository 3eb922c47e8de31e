//! What RunTask refuses across members, and what of a run cannot change, as rules of the schema.
//! Source: the ECS API reference.

use kube::core::cel::Rule;

use crate::v1beta1::shared::rules::{
    capacity, cluster, immutable, one_task_definition, rule, tags, unchanged,
};

/// Members of the run. All members of RunTask but the cluster, which never changes.
const RUN: [&str; 16] = [
    "taskDefinition",
    "taskDefinitionRef",
    "count",
    "launchType",
    "capacityProviderStrategy",
    "platformVersion",
    "networkConfiguration",
    "overrides",
    "placementConstraints",
    "placementStrategy",
    "group",
    "tags",
    "enableECSManagedTags",
    "propagateTags",
    "enableExecuteCommand",
    "volumeConfigurations",
];

/// Every rule, as the spec carries them.
pub(super) fn all() -> Vec<Rule> {
    let fixed = RUN.map(fixed);
    [identity(), run(), capacity(), fixed.to_vec()].concat()
}

/// What a task is and runs.
fn identity() -> Vec<Rule> {
    let moves = |member: &str| {
        immutable(
            member,
            &format!("{member} cannot change: create a new EcsTask in the other cluster"),
        )
    };
    let mut rules = cluster();
    rules.extend([
        moves("cluster"),
        moves("clusterRef"),
        one_task_definition(),
        rule(
            "has(self.taskDefinition) || has(self.taskDefinitionRef)",
            "taskDefinitionRef (an EcsTaskDefinition in this namespace) or taskDefinition (family, family:revision or ARN) is needed",
        ),
        tags(),
        rule(
            "!has(self.adoptionPolicy)",
            "adoptionPolicy has no meaning for an EcsTask, which takes over no task: drop it",
        ),
        rule(
            "!has(self.ignoreFields)",
            "ignoreFields has no meaning for an EcsTask, which compares nothing after the start: drop it",
        ),
    ]);
    rules
}

/// What RunTask refuses.
fn run() -> Vec<Rule> {
    vec![
        rule(
            "!has(self.propagateTags) || self.propagateTags != 'SERVICE'",
            "propagateTags SERVICE needs a service: set TASK_DEFINITION or NONE",
        ),
        rule(
            "!(has(self.launchType) && self.launchType == 'FARGATE') || (has(self.networkConfiguration) && has(self.networkConfiguration.awsvpcConfiguration))",
            "networkConfiguration.awsvpcConfiguration is needed with launchType FARGATE: name the subnets of the tasks",
        ),
        rule(
            "!has(self.launchType) || self.launchType != 'MANAGED_INSTANCES'",
            "launchType MANAGED_INSTANCES cannot be asked for: name the capacity provider in capacityProviderStrategy",
        ),
        rule(
            "!has(self.failurePolicy) || !has(self.failurePolicy.notCounted) || self.failurePolicy.notCounted.all(r, r in ['TaskSpotInterrupted', 'TaskHostFailed', 'TaskNetworkFailed', 'TaskStartFailed', 'TaskInitializationFailed', 'TaskImagePullFailed', 'TaskOutOfMemory'])",
            "failurePolicy.notCounted[] is TaskSpotInterrupted, TaskHostFailed, TaskNetworkFailed, TaskStartFailed, TaskInitializationFailed, TaskImagePullFailed or TaskOutOfMemory",
        ),
    ]
}

/// A member of the run, which cannot change once there is one.
fn fixed(member: &str) -> Rule {
    rule(
        &format!(
            "(has(self.runPolicy) && self.runPolicy == 'OnChange') || ({})",
            unchanged(member)
        ),
        &format!(
            "{member} cannot change with runPolicy Once: delete this object and create it again to run it again, or set runPolicy: OnChange"
        ),
    )
}
