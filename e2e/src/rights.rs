//! Rights in Kubernetes: what the chart grants and what the operator uses, by the API server's own
//! records.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::chart;

/// One right: what may be done to which resource of which group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// API group; empty for the core.
    pub group: String,
    /// Resource, with its subresource after a slash.
    pub resource: String,
    /// Verb.
    pub verb: String,
}

/// What the roles that are bound to the operator's ServiceAccount grant.
///
/// # Errors
/// When the manifests cannot be read.
pub fn granted(manifests: &str) -> Result<BTreeSet<Right>> {
    let documents = chart::documents(manifests)?;
    let bound: BTreeSet<_> = documents
        .iter()
        .filter_map(|binding| binding["roleRef"]["name"].as_str())
        .collect();
    let is_role = |document: &&Value| {
        document["kind"]
            .as_str()
            .is_some_and(|kind| kind.ends_with("Role"))
            && document["metadata"]["name"]
                .as_str()
                .is_some_and(|name| bound.contains(name))
    };
    let mut rights = BTreeSet::new();
    for rule in documents
        .iter()
        .filter(is_role)
        .flat_map(|role| items(&role["rules"]))
    {
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                for verb in texts(&rule["verbs"]) {
                    rights.insert(Right {
                        group: group.clone(),
                        resource: resource.clone(),
                        verb,
                    });
                }
            }
        }
    }
    Ok(rights)
}

/// What ServiceAccounts have done by the API server's audit log, if they were let.
///
/// # Errors
/// When the log cannot be read.
pub fn used(audit_log: &Path) -> Result<BTreeSet<Right>> {
    let log =
        std::fs::read_to_string(audit_log).with_context(|| audit_log.display().to_string())?;
    let mut rights = BTreeSet::new();
    for line in log.lines() {
        // The last line may be half written.
        let Ok(event) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let (text, reference) = (
            |value: &Value| value.as_str().unwrap_or_default().to_owned(),
            &event["objectRef"],
        );
        let decision = text(&event["annotations"]["authorization.k8s.io/decision"]);
        if reference.is_null() || decision != "allow" {
            continue;
        }
        let subresource = reference["subresource"]
            .as_str()
            .map(|name| format!("/{name}"))
            .unwrap_or_default();
        let resource = format!("{}{subresource}", text(&reference["resource"]));
        rights.insert(Right {
            group: text(&reference["apiGroup"]),
            resource,
            verb: text(&event["verb"]),
        });
    }
    Ok(rights)
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn texts(value: &Value) -> Vec<String> {
    items(value)
        .filter_map(|text| text.as_str().map(str::to_owned))
        .collect()
}
