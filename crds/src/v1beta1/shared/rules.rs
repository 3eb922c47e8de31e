//! Cross-field rules of the schemas, in the Common Expression Language.

use kube::core::cel::Rule;

/// A rule with the message that a user sees.
pub(crate) fn rule(condition: &str, message: &str) -> Rule {
    Rule::new(condition).message(message)
}

/// A member that ECS cannot change, also not from or to absent.
pub(crate) fn immutable(member: &str, message: &str) -> Rule {
    rule(&unchanged(member), message)
}

/// The condition that a member is as it was, or absent as it was.
pub(crate) fn unchanged(member: &str) -> String {
    format!(
        "has(self.{member}) == has(oldSelf.{member}) && (!has(self.{member}) || self.{member} == oldSelf.{member})"
    )
}

/// The name of the object names the AWS object too, unless `member` does; ECS has no dots in names.
pub(crate) fn name_in_ecs(member: &str) -> Rule {
    rule(
        &format!("has(self.spec.{member}) || !self.metadata.name.contains('.')"),
        &format!("metadata.name has a dot, which names in ECS cannot have: set spec.{member}"),
    )
}

/// Tags must not have a prefix that AWS or the operator keeps to itself.
pub(crate) fn tags() -> Rule {
    rule(
        "!has(self.tags) || self.tags.all(t, !t.key.lowerAscii().startsWith('aws:') && !t.key.startsWith('ecs-operator.dev/'))",
        "tags[].key: the prefix aws: is reserved by AWS, and ecs-operator.dev/ by the operator",
    )
}

/// Of a capacity provider strategy, one item at most may have a base.
pub(crate) fn one_base(member: &str) -> Rule {
    rule(
        &format!(
            "!has(self.{member}) || self.{member}.filter(i, has(i.base) && i.base > 0).size() <= 1"
        ),
        &format!("{member}[].base: only one item may have a base above 0"),
    )
}

/// How a spec names its cluster.
pub(crate) fn cluster() -> Vec<Rule> {
    vec![
        rule(
            "!(has(self.cluster) && has(self.clusterRef))",
            "cluster and clusterRef exclude each other: keep the one that names the cluster",
        ),
        rule(
            "!has(self.cluster) || self.cluster.matches('^[a-zA-Z0-9_-]{1,255}$') || self.cluster.matches('^arn:[^:]+:ecs:[^:]+:[0-9]+:cluster/[^/]+$')",
            "cluster is neither a name nor an ARN of a cluster: give its name, of letters, digits, hyphens and underscores, or an ARN such as arn:aws:ecs:eu-central-1:111122223333:cluster/shop",
        ),
    ]
}

/// A spec names one task definition at most.
pub(crate) fn one_task_definition() -> Rule {
    rule(
        "!(has(self.taskDefinition) && has(self.taskDefinitionRef))",
        "taskDefinition and taskDefinitionRef exclude each other: keep the one that names the task definition",
    )
}

/// On what tasks run: `launchType`, `capacityProviderStrategy`, placement and EBS volumes.
pub(crate) fn capacity() -> Vec<Rule> {
    vec![
        rule(
            "!(has(self.launchType) && has(self.capacityProviderStrategy) && size(self.capacityProviderStrategy) > 0)",
            "launchType and capacityProviderStrategy exclude each other: drop launchType to use capacity providers",
        ),
        one_base("capacityProviderStrategy"),
        rule(
            "!has(self.capacityProviderStrategy) || size(self.capacityProviderStrategy) <= 1 || self.capacityProviderStrategy.exists(i, has(i.weight) && i.weight > 0)",
            "capacityProviderStrategy[].weight: of several capacity providers, at least one needs a weight above 0: set one",
        ),
        rule(
            "!(has(self.launchType) && self.launchType == 'FARGATE') || ((!has(self.placementConstraints) || size(self.placementConstraints) == 0) && (!has(self.placementStrategy) || size(self.placementStrategy) == 0))",
            "placementConstraints and placementStrategy are not possible with launchType FARGATE, which has no instances to choose from",
        ),
        rule(
            "!has(self.volumeConfigurations) || self.volumeConfigurations.all(v, !has(v.managedEBSVolume) || has(v.managedEBSVolume.sizeInGiB) || has(v.managedEBSVolume.snapshotId))",
            "volumeConfigurations[].managedEBSVolume needs sizeInGiB or snapshotId: set one",
        ),
    ]
}
