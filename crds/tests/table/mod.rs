//! The table of rules: `rules.yaml`, read for whoever puts its rows to the test.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Table {
    bases: BTreeMap<String, Value>,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    base: String,
    message: String,
    old: Option<Value>,
    accept: Vec<Value>,
    reject: Vec<Value>,
}

/// A spec and what a rule must say to it.
pub(crate) struct Case {
    /// The kind of the spec.
    pub(crate) kind: String,
    /// Beginning of the rule's message.
    pub(crate) message: String,
    /// The spec before, where the rule is about a change.
    pub(crate) old: Option<Value>,
    /// The spec.
    pub(crate) spec: Value,
    /// Whether the rule rejects it; else no rule does.
    pub(crate) rejected: bool,
}

/// All cases of the table.
pub(crate) fn cases() -> Vec<Case> {
    let Table { bases, rows } = serde_saphyr::from_str(include_str!("../rules.yaml")).expect("the table is well formed");
    let mut cases = Vec::new();
    for Row { base: name, message, old, accept, reject } in rows {
        let base = &bases[&name];
        let old = old.map(|old| patched(base, &old));
        for (patches, rejected) in [(accept, false), (reject, true)] {
            for patch in patches {
                let kind = if name == "Fargate" { "EcsTaskDefinition" } else { &name }.to_owned();
                cases.push(Case { kind, message: message.clone(), old: old.clone(), spec: patched(base, &patch), rejected });
            }
        }
    }
    cases
}

/// `base` with a merge patch (RFC 7396) over its top-level members.
fn patched(base: &Value, patch: &Value) -> Value {
    let mut spec = base.clone();
    for (name, value) in patch.as_object().into_iter().flatten() {
        match value {
            Value::Null => drop(spec.as_object_mut().and_then(|members| members.remove(name))),
            value => spec[name] = value.clone(),
        }
    }
    spec
}
