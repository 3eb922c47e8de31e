//! What the policies of the spec and the rules of the administrator permit.

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::shared::Status;
use kube::ResourceExt;

use super::cluster_rule::ClusterRule;
use super::context::Context;
use super::ignore;
use super::index::Reference;
use super::kind::Kind;
use super::outcome::Outcome;
use super::plan::Obstacle;
use crate::k8s::conditions;

/// Whether nothing may be written now.
pub(super) fn is_dry_run<K: Kind>(object: &K) -> bool {
    !object.is_deleting() && (object.policies().observes() || object.policies().suspends())
}

/// What the spec or a rule forbids, before AWS is read.
pub(super) fn check_policies<K: Kind>(object: &K, context: &Context) -> Option<Outcome> {
    let (policies, obstacle) = (object.policies(), |reason, message| Obstacle {
        reason,
        message,
        passing: false,
        all_else_sent: false,
    });
    if object.is_deleting() {
        let message = "spec.deletionProtection is true: set it to false to continue the deletion";
        return policies
            .protects()
            .then(|| Outcome::Waiting(obstacle(Reason::DeletionBlocked, message.to_owned())));
    }
    let here = &context.accounts.default_scope().scope.region;
    if let Some((member, elsewhere)) = elsewhere(object, context) {
        let message = format!(
            "spec.{member} is an ARN of {elsewhere}, and this operator works in {here}: give the name or ARN of one here"
        );
        return Some(Outcome::Stalled(obstacle(Reason::InvalidSpec, message)));
    }
    if !context.allowed_clusters.is_empty()
        && let Some(cluster) = object.cluster(&context.stores)
        && let Some(words) = refusal(
            &context.allowed_clusters,
            &object.namespace().unwrap_or_default(),
            here,
            &cluster,
        )
    {
        return Some(Outcome::Stalled(obstacle(Reason::ClusterNotAllowed, words)));
    }
    ignore::problem(policies, &K::kind(&()), K::SHAPE.identity)
        .map(|problem| Outcome::Stalled(obstacle(Reason::InvalidSpec, problem)))
}

/// Whether the object must not poll the AWS object.
pub(super) fn is_foreign<K: Kind>(object: &K, context: &Context, outcome: &Outcome) -> bool {
    let is_forbidden = matches!(outcome, Outcome::Stalled(obstacle) if obstacle.reason == Reason::ClusterNotAllowed);
    is_forbidden || elsewhere(object, context).is_some()
}

/// Whether the AWS object had another owner at the last read. A user may have released it and wait
/// for the operator to see that.
pub(super) fn is_owned_by_other<K: Kind>(object: &K) -> bool {
    let ready = object
        .status()
        .and_then(|status| conditions::ready(status.conditions()));
    ready.is_some_and(|ready| {
        Reason::ANOTHERS
            .iter()
            .any(|reason| reason.as_str() == ready.reason)
    })
}

/// A member of the spec with an ARN of another Region than this operator's, and that Region.
fn elsewhere<K: Kind>(object: &K, context: &Context) -> Option<(&'static str, String)> {
    let here = &context.accounts.default_scope().scope.region;
    let regions = arns(object)
        .into_iter()
        .filter_map(|(member, arn)| Some((member, arn.split(':').nth(3)?.to_owned())));
    regions.into_iter().find(|(_, region)| **region != **here)
}

/// The ARNs of AWS objects that the spec refers to, and the members that have them.
pub(crate) fn arns<K: Kind>(object: &K) -> Vec<(&'static str, String)> {
    let arn = |reference| {
        if let Reference::Arn { field, arn } = reference {
            Some((field, arn))
        } else {
            None
        }
    };
    object.references().into_iter().filter_map(arn).collect()
}

/// Why a namespace may not use a cluster of the Region; `None` where it may. Without any rule
/// everybody may use all.
fn refusal(rules: &[ClusterRule], namespace: &str, region: &str, cluster: &str) -> Option<String> {
    let own: Vec<_> = rules
        .iter()
        .filter(|rule| rule.namespace.matches(namespace))
        .collect();
    if rules.is_empty() || own.iter().any(|rule| rule.allows(region, cluster)) {
        return None;
    }
    let allowed: Vec<_> = own.iter().map(|rule| rule.place()).collect();
    let allowed = if allowed.is_empty() {
        "none".to_owned()
    } else {
        allowed.join(", ")
    };
    Some(format!(
        "namespace {namespace} may not use ECS cluster {cluster} in {region}; the configuration of the operator (--allowed-clusters) lets \
         it use: {allowed}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "eu-central-1";

    fn rules(texts: &[&str]) -> Vec<ClusterRule> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_namespace_uses_what_a_rule_lets_it_use() {
        let some = rules(&[
            "shop=shop",
            "shop=shop-*",
            "team-*=teams",
            "*=sandbox",
            "shop=eu-*/games",
            "shop=us-*/toys",
        ]);
        for (namespace, cluster) in [
            ("shop", "shop"),
            ("shop", "shop-eu"),
            ("team-a", "teams"),
            ("anybody", "sandbox"),
            ("shop", "games"),
        ] {
            assert_eq!(
                refusal(&some, namespace, HERE, cluster),
                None,
                "{namespace} {cluster}"
            );
        }
        for (namespace, cluster) in [
            ("shop", "shopping"),
            ("team", "teams"),
            ("anybody", "shop"),
            ("shop", "teams"),
            ("shop", "toys"),
        ] {
            assert!(
                refusal(&some, namespace, HERE, cluster).is_some(),
                "{namespace} {cluster}"
            );
        }
        assert_eq!(
            refusal(&[], "anybody", HERE, "anything"),
            None,
            "without rules"
        );
        let words = |rule| refusal(&rules(&[rule]), "shop", HERE, "shop").unwrap();
        assert!(words("shop=us-*/shop").ends_with("lets it use: us-*/shop"));
        let words = words("other=shop");
        assert!(
            words.contains("namespace shop may not use ECS cluster shop in eu-central-1")
                && words.ends_with("lets it use: none"),
            "{words}"
        );
    }
}
