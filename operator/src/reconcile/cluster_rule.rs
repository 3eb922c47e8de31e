//! A rule of `--allowed-clusters`.

use std::fmt;
use std::str::FromStr;

use wildmatch::WildMatch;

/// One rule: a namespace, and an ECS cluster that it may use, in one Region or in all. `*` stands
/// for any text in each.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterRule {
    pub(super) namespace: WildMatch,
    region: Option<WildMatch>,
    cluster: WildMatch,
}

impl FromStr for ClusterRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (namespace, place) = text.split_once('=').unwrap_or_default();
        let (region, cluster) = place
            .split_once('/')
            .map_or((None, place), |(region, cluster)| (Some(region), cluster));
        if namespace.is_empty()
            || region.is_some_and(str::is_empty)
            || cluster.is_empty()
            || cluster.contains('/')
        {
            return Err(
                "give a namespace and a cluster, such as shop=shop-* or shop=eu-central-1/shop-*"
                    .to_owned(),
            );
        }
        Ok(Self {
            namespace: WildMatch::new(namespace),
            region: region.map(WildMatch::new),
            cluster: WildMatch::new(cluster),
        })
    }
}

impl ClusterRule {
    pub(super) fn allows(&self, region: &str, cluster: &str) -> bool {
        self.region.as_ref().is_none_or(|rule| rule.matches(region))
            && self.cluster.matches(cluster)
    }

    /// What may be used, as the rule has it: `[REGION/]CLUSTER`.
    pub(super) fn place(&self) -> String {
        let region = self.region.as_ref().map(|region| format!("{region}/"));
        format!("{}{}", region.unwrap_or_default(), self.cluster)
    }
}

impl fmt::Display for ClusterRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.namespace, self.place())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_has_two_sides() {
        for text in [
            "shop",
            "shop=",
            "=shop",
            "",
            "shop=/shop",
            "shop=eu-*/",
            "shop=a/b/c",
        ] {
            assert!(text.parse::<ClusterRule>().is_err(), "{text}");
        }
        for text in ["shop=shop-*", "*=eu-*/shop"] {
            assert_eq!(text.parse::<ClusterRule>().unwrap().to_string(), text);
        }
    }
}
