//! Random documents of each operation: a spec carries them unchanged, and the comparison sees each
//! change.

use std::collections::BTreeSet;

use e2e::api_model::Maker;
use ecs_operator::aws::drift::drift;
use ecs_operator::aws::meaning::normalised;
use serde_json::Value;

use crate::kinds::{KINDS, Row, exempt};
use crate::model;

/// Seeds of the random documents: fixed, so that a failure can be repeated, and said in its
/// message.
const SEEDS: std::ops::Range<u64> = 0..500;

/// A document of each operation for every seed, of growing fullness, and the full one.
fn documents(model: &Value, operation: &str) -> Vec<(String, Value)> {
    let mut documents = vec![(
        "full".to_owned(),
        Maker::new(model, 1, 1.0).input(operation),
    )];
    for seed in SEEDS {
        let fullness = f64::from(u32::try_from(seed % 9 + 1).expect("a small number")) / 10.0;
        documents.push((
            format!("seed {seed}"),
            Maker::new(model, seed, fullness).input(operation),
        ));
    }
    for (_, document) in &mut documents {
        complete(document);
    }
    documents
}

/// Gives what is required by us, and not by the model, to a document that lacks it.
pub(crate) fn complete(document: &mut Value) {
    const KEYS: [(&str, &str); 7] = [
        ("containerOverrides", "name"),
        ("settings", "name"),
        ("settings", "value"),
        ("tags", "key"),
        ("environment", "name"),
        ("volumes", "name"),
        ("properties", "name"),
    ];
    match document {
        Value::Object(members) => {
            for (name, value) in members.iter_mut() {
                let keys = KEYS
                    .iter()
                    .filter(|(list, _)| list == name)
                    .map(|(_, key)| *key);
                let containers = ["name", "image"]
                    .into_iter()
                    .filter(|_| name == "containerDefinitions");
                for key in keys.chain(containers) {
                    for element in value.as_array_mut().into_iter().flatten() {
                        let element = element
                            .as_object_mut()
                            .expect("elements of these lists are objects");
                        element.entry(key).or_insert_with(|| "given".into());
                    }
                }
                complete(value);
            }
        }
        Value::Array(elements) => {
            // What tells the elements of a list apart must not be there twice.
            let key = |element: &Value| {
                ["name", "key", "namespace", "containerName"]
                    .map(|key| element[key].as_str().map(str::to_owned))
            };
            let mut seen = BTreeSet::new();
            elements.retain(|element| {
                !element.is_object()
                    || seen.insert(key(element))
                    || key(element) == [const { None }; 4]
            });
            elements.iter_mut().for_each(complete);
        }
        _ => {}
    }
}

#[tokio::test]
async fn every_member_comes_through_as_it_is() {
    for Row {
        kind,
        service,
        operation,
        carry,
        ..
    } in KINDS
    {
        for (name, mut document) in documents(&model(service).await, operation) {
            let members = document.as_object_mut().expect("an input is an object");
            members.retain(|member, _| !exempt(&format!("{kind} {member}")));
            assert_eq!(
                carry(&document).as_ref(),
                Ok(&document),
                "{operation}, {name}"
            );
        }
    }
}

#[tokio::test]
async fn a_document_is_in_sync_with_itself_and_not_with_any_other() {
    // What a task has been started with is not compared.
    let compared = KINDS.iter().filter(|row| row.kind != "EcsTask");
    for Row {
        service, operation, ..
    } in compared
    {
        for (name, document) in documents(&model(service).await, operation)
            .into_iter()
            .take(60)
        {
            assert_eq!(drift(&document, &document), [""; 0], "{operation}, {name}");
            for changed in changes(&document) {
                assert_eq!(
                    drift(&changed, &document).len(),
                    1,
                    "{operation}, {name}: {changed} against {document}"
                );
                if *operation == "RegisterTaskDefinition" {
                    assert_ne!(
                        normalised(&changed),
                        normalised(&document),
                        "{name}: {changed} against {document}"
                    );
                }
            }
        }
    }
}

/// The document with one text or number changed, for each of them.
pub(crate) fn changes(document: &Value) -> Vec<Value> {
    match document {
        Value::Object(members) => {
            let mut all = Vec::new();
            for (name, value) in members {
                for changed in changes(value) {
                    let mut copy = document.clone();
                    copy[name] = changed;
                    all.push(copy);
                }
            }
            all
        }
        Value::Array(elements) => {
            let mut all = Vec::new();
            for (index, element) in elements.iter().enumerate() {
                for changed in changes(element) {
                    let mut copy = document.clone();
                    copy[index] = changed;
                    all.push(copy);
                }
            }
            all
        }
        Value::String(text) => vec![format!("{text}!").into()],
        Value::Number(_) => vec![4_711_000.into()],
        Value::Bool(_) | Value::Null => Vec::new(),
    }
}
