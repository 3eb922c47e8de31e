//! Cross-field rules of the schemas, in the Common Expression Language.

use kube::core::cel::Rule;

/// A rule with the message that a user sees.
pub(crate) fn rule(condition: &str, message: &str) -> Rule {
    Rule::new(condition).message(message)
}

/// A member that ECS cannot change, also not from or to absent.
pub(crate) fn immutable(member: &str, message: &str) -> Rule {
    rule(
        &format!(
            "has(self.{member}) == has(oldSelf.{member}) && (!has(self.{member}) || self.{member} == oldSelf.{member})"
        ),
        message,
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
