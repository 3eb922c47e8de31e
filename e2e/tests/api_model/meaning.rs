//! The tables of what means the same, against the API.

use std::collections::BTreeSet;

use e2e::api_model::{self, Maker};
use ecs_operator::aws::meaning::{DEFAULTS, SETS, ZERO_COUNTS, key_of, normalised};
use serde_json::Value;

use crate::documents::{changes, complete};
use crate::kinds::{AUTOSCALING, KINDS, Row};
use crate::model;

/// Lists of a task definition whose order counts, and why.
const ORDERED: &[(&str, &str)] = &[
    ("containerDefinitions.command", "arguments"),
    (
        "containerDefinitions.dnsSearchDomains",
        "they are searched in this order",
    ),
    (
        "containerDefinitions.dnsServers",
        "they are asked in this order",
    ),
    ("containerDefinitions.entryPoint", "arguments"),
    (
        "containerDefinitions.environmentFiles",
        "the first file that has a variable wins",
    ),
    ("containerDefinitions.healthCheck.command", "arguments"),
    (
        "containerDefinitions.mountPoints",
        "a mount can lie below another one",
    ),
];

/// The path of a member without the marks of lists.
fn dotted(path: &str) -> String {
    path.replace("[]", "")
}

/// Calls `visit` with the member at `path` of a document, in the first element of each list on the
/// way.
fn at<'a>(
    document: &'a mut Value,
    path: &str,
) -> Option<(&'a mut serde_json::Map<String, Value>, String)> {
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    let mut target = document;
    for part in parent.split('.').filter(|part| !part.is_empty()) {
        target = match part.strip_suffix("[]") {
            Some(list) => target.get_mut(list)?.get_mut(0)?,
            None => target.get_mut(part)?,
        };
    }
    Some((target.as_object_mut()?, name.to_owned()))
}

/// The document with another value at `path`, or without it.
fn changed(document: &Value, path: &str, value: Option<Value>) -> Value {
    let mut changed = document.clone();
    let (members, name) =
        at(&mut changed, path).unwrap_or_else(|| panic!("the full document has no {path}"));
    match value {
        Some(value) => members.insert(name, value),
        None => members.remove(&name),
    };
    changed
}

/// Each optional member of a task definition alone: absent, with its zero value, with its default,
/// and in another order. What is the same for AWS has the same hash, and what is not has another
/// one.
#[tokio::test]
async fn absent_empty_default_and_reordered_members_of_a_task_definition_mean_what_the_tables_say()
{
    let model = model("ecs").await;
    let members = api_model::input(&model, "RegisterTaskDefinition").expect("a known operation");
    let mut full = Maker::new(&model, 1, 1.0).input("RegisterTaskDefinition");
    complete(&mut full);
    // The host port has a meaning of its own where there is no network in between.
    full["networkMode"] = "none".into();
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for (path, member) in members.iter().filter(|(path, _)| {
        !path.ends_with("[]") && !path.contains("{}") && !path.starts_with("tags")
    }) {
        let plain = dotted(path);
        let absent = normalised(&changed(&full, path, None));
        let same = |value: Value| normalised(&changed(&full, path, Some(value))) == absent;
        let zero = match member.kind.as_str() {
            "array" => serde_json::json!([]),
            "map" | "object" => serde_json::json!({}),
            "boolean" => false.into(),
            "integer" | "number" => 0.into(),
            _ => "".into(),
        };
        checked += 1;
        let zero_counts = ZERO_COUNTS.iter().any(|(listed, _)| *listed == plain);
        if !member.required && same(zero.clone()) == zero_counts {
            wrong.push(format!("{path}: {zero} and absent"));
        }
        if let Some((_, default)) = DEFAULTS.iter().find(|(listed, _)| *listed == plain)
            && !same(serde_json::from_str(default).expect("the table holds JSON"))
        {
            wrong.push(format!("{path}: {default} and absent"));
        }
        if member.kind == "array" {
            let element = at(&mut full.clone(), path)
                .map(|(members, name)| members[&name][0].clone())
                .expect("it has an element");
            let mut other = changes(&element)
                .pop()
                .unwrap_or_else(|| panic!("{path} has elements of one value"));
            if let Some(Some(key)) = key_of(&plain) {
                other[key] = "another".into();
            }
            let list = |elements: [&Value; 2]| {
                normalised(&changed(
                    &full,
                    path,
                    Some(elements.into_iter().cloned().collect()),
                ))
            };
            let any_order = list([&element, &other]) == list([&other, &element]);
            let ordered = ORDERED.iter().any(|(listed, _)| *listed == plain);
            if any_order == ordered || any_order != key_of(&plain).is_some() {
                wrong.push(format!(
                    "{path}: another order, and it is {}in ORDERED",
                    if ordered { "" } else { "not " }
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    println!("{checked} members");
}

#[tokio::test]
async fn the_tables_of_what_means_the_same_name_members_of_the_api() {
    let mut known = BTreeSet::new();
    for Row {
        service, operation, ..
    } in KINDS
    {
        let input = api_model::input(&model(service).await, operation).expect("a known operation");
        known.extend(input.keys().map(|path| dotted(path)));
    }
    let scaling = model("application-autoscaling").await;
    for (path, operation, _) in AUTOSCALING {
        let input = api_model::input(&scaling, operation).expect("a known operation");
        known.extend(
            input
                .keys()
                .map(|member| dotted(&format!("{path}.{member}"))),
        );
    }
    let rows = SETS
        .iter()
        .map(|(path, _)| path)
        .chain(DEFAULTS.iter().map(|(path, _)| path));
    let rows = rows.chain(ZERO_COUNTS.iter().chain(ORDERED).map(|(path, _)| path));
    let unknown: Vec<_> = rows.filter(|path| !known.contains(**path)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
