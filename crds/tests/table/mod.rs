//! The table of rules in `tests/rules`, one file for each kind.
//!
//! A file has one row for each rule of the schema: the beginning of its message, and merge patches
//! of the base spec that it accepts and rejects. `old` is a patch for the object before, where the
//! rule is about a change. The tests of this crate run the rules locally, and the end-to-end tests
//! send the same objects to an API server.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Table {
    kind: String,
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

/// All cases of all files.
pub(crate) fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds/tests/rules");
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("the folder is there")
        .map(|file| file.expect("a file").path())
        .collect();
    files.sort();
    files
        .iter()
        .flat_map(|file| cases_of(&fs::read_to_string(file).expect("a readable file")))
        .collect()
}

fn cases_of(table: &str) -> Vec<Case> {
    let Table { kind, bases, rows } =
        serde_saphyr::from_str(table).expect("the table is well formed");
    let mut cases = Vec::new();
    for Row {
        base,
        message,
        old,
        accept,
        reject,
    } in rows
    {
        let base = &bases[&base];
        let old = old.map(|old| patched(base, &old));
        for (patches, rejected) in [(accept, false), (reject, true)] {
            for patch in patches {
                let (kind, message, old) = (kind.clone(), message.clone(), old.clone());
                cases.push(Case {
                    kind,
                    message,
                    old,
                    spec: patched(base, &patch),
                    rejected,
                });
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
            Value::Null => drop(
                spec.as_object_mut()
                    .and_then(|members| members.remove(name)),
            ),
            value => spec[name] = value.clone(),
        }
    }
    spec
}
