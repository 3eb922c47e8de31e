//! Which namespaces may use which ECS clusters: rules of whoever runs the operator, for teams that share it.

use std::fmt;
use std::str::FromStr;

use wildmatch::WildMatch;

/// One rule: a namespace, and an ECS cluster that it may use. `*` stands for any text in both.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterRule {
    namespace: WildMatch,
    cluster: WildMatch,
}

impl FromStr for ClusterRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((namespace, cluster)) if !namespace.is_empty() && !cluster.is_empty() => {
                Ok(Self { namespace: WildMatch::new(namespace), cluster: WildMatch::new(cluster) })
            }
            _ => Err("give a namespace and a cluster, such as shop=shop-*".to_owned()),
        }
    }
}

impl fmt::Display for ClusterRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.namespace, self.cluster)
    }
}

/// Why a namespace may not use a cluster; `None` where it may. Without any rule everybody may use all.
#[must_use]
pub fn refusal(rules: &[ClusterRule], namespace: &str, cluster: &str) -> Option<String> {
    let own: Vec<_> = rules.iter().filter(|rule| rule.namespace.matches(namespace)).collect();
    if rules.is_empty() || own.iter().any(|rule| rule.cluster.matches(cluster)) {
        return None;
    }
    let allowed: Vec<_> = own.iter().map(|rule| rule.cluster.to_string()).collect();
    let allowed = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
    Some(format!(
        "namespace {namespace} may not use ECS cluster {cluster}; the configuration of the operator (--allowed-clusters) lets it use: {allowed}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(texts: &[&str]) -> Vec<ClusterRule> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_namespace_uses_what_a_rule_lets_it_use() {
        let some = rules(&["shop=shop", "shop=shop-*", "team-*=teams", "*=sandbox"]);
        for (namespace, cluster) in [("shop", "shop"), ("shop", "shop-eu"), ("team-a", "teams"), ("anybody", "sandbox")] {
            assert_eq!(refusal(&some, namespace, cluster), None, "{namespace} {cluster}");
        }
        for (namespace, cluster) in [("shop", "shopping"), ("team", "teams"), ("anybody", "shop"), ("shop", "teams")] {
            assert!(refusal(&some, namespace, cluster).is_some(), "{namespace} {cluster}");
        }
        assert_eq!(refusal(&[], "anybody", "anything"), None, "without rules");
        let words = refusal(&rules(&["shop=shop"]), "other", "shop").unwrap();
        assert!(
            words.contains("namespace other may not use ECS cluster shop") && words.ends_with("lets it use: none"),
            "{words}"
        );
    }

    #[test]
    fn a_rule_has_two_sides() {
        for text in ["shop", "shop=", "=shop", ""] {
            assert!(text.parse::<ClusterRule>().is_err(), "{text}");
        }
    }
}
