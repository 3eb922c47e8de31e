//! The custom resources against AWS's own model of the ECS API: every member is there, with the same kind and bounds, and
//! no other. A new member in a newer model makes this fail with its path.

use e2e::api_model::{self, Maker, Member, Members};
use ecs_operator::aws::drift::{drift, normalised};
use ecs_operator_crds::v1beta1::{EcsClusterSpec, EcsServiceSpec, EcsTaskDefinitionSpec, Policies};
use std::collections::BTreeSet;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Kind, operation whose input is its spec, and members of ours.
const KINDS: [(&str, &str, &[&str]); 3] = [
    ("EcsCluster", "CreateCluster", &[]),
    ("EcsTaskDefinition", "RegisterTaskDefinition", &["deleteRevisions", "revisionHistoryLimit"]),
    (
        "EcsService",
        "CreateService",
        &[
            "clusterRef",
            "clusterRef.name",
            "desiredCountOwner",
            "rollout",
            "rollout.progressDeadlineSeconds",
            "rollout.unavailableAfterSeconds",
            "taskDefinitionRef",
            "taskDefinitionRef.name",
        ],
    ),
];

/// Where a custom resource differs from the API on purpose: path, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("EcsService clientToken", "the operator makes the token, from the UID: a user's would not survive a crash"),
    ("EcsTaskDefinition family required", "the default is metadata.name"),
    ("EcsService serviceName required", "the default is metadata.name"),
    ("EcsCluster tags max", "two of the 50 tags are the operator's"),
    ("EcsTaskDefinition tags max", "two of the 50 tags are the operator's"),
    ("EcsService tags max", "two of the 50 tags are the operator's"),
    ("EcsService launchType value MANAGED_INSTANCES", "ECS shows it and does not take it: such services name a strategy"),
];

/// The API model leaves these optional, and ECS refuses documents without them; list keys need them besides.
const REQUIRED_BY_US: &[&str] = &[
    "EcsCluster settings[].name",
    "EcsCluster settings[].value",
    "EcsCluster tags[].key",
    "EcsTaskDefinition containerDefinitions[].name",
    "EcsTaskDefinition containerDefinitions[].image",
    "EcsTaskDefinition containerDefinitions[].environment[].name",
    "EcsTaskDefinition proxyConfiguration.properties[].name",
    "EcsTaskDefinition volumes[].name",
    "EcsTaskDefinition tags[].key",
    "EcsService tags[].key",
    "EcsService volumeConfigurations[].managedEBSVolume.tagSpecifications[].tags[].key",
];

fn exempt(what: &str) -> bool {
    EXCEPTIONS.iter().any(|(exception, _)| *exception == what)
}

/// Whether a member says what the operator may do, which all kinds can.
fn is_policy(path: &str) -> bool {
    Policies::MEMBERS.contains(&path.trim_end_matches("[]"))
}

fn compare(kind: &str, api: &Members, spec: &Members, own: &[&str]) -> Vec<String> {
    let mut differences = Vec::new();
    for (path, member) in api {
        match spec.get(path) {
            None => differences.push(format!("{kind} {path}")),
            Some(ours) => {
                // The elements of a list are explained with the list.
                let list = path.strip_suffix("[]").and_then(|list| spec.get(list));
                let text = [ours].into_iter().chain(list).map(|member| member.values.join(" ")).collect::<String>();
                differences.extend(details(&format!("{kind} {path}"), member, ours, &text));
            }
        }
    }
    let unknown = spec.keys().filter(|path| !api.contains_key(*path) && !own.contains(&path.as_str()) && !is_policy(path));
    differences.extend(unknown.map(|path| format!("{kind} {path} is not in the API")));
    differences
}

fn details(path: &str, api: &Member, ours: &Member, text: &str) -> Vec<String> {
    let mut differences = Vec::new();
    if api.kind != ours.kind {
        differences.push(format!("{path} kind: {} in the API, {} here", api.kind, ours.kind));
    }
    // An unbounded member may have bounds here, from the API's documentation; "at least 0" says nothing of a list or text.
    let says_something = api.kind == "integer" || api.min > Some(0.0);
    if api.min.is_some() && says_something && api.min != ours.min {
        differences.push(format!("{path} min"));
    }
    if api.max.is_some_and(|max| max < f64::from(i32::MAX)) && api.max != ours.max {
        differences.push(format!("{path} max"));
    }
    if api.required != ours.required && !REQUIRED_BY_US.contains(&path) {
        differences.push(format!("{path} required"));
    }
    let unnamed = api.values.iter().filter(|value| !text.contains(value.as_str()));
    differences.extend(unnamed.map(|value| format!("{path} value {value}")));
    differences
}

async fn model() -> Value {
    api_model::load().await.expect("botocore has the model")
}

#[tokio::test]
async fn specs_are_the_inputs_of_the_api() {
    let model = model().await;
    let crds: Vec<_> =
        ecs_operator_crds::all().into_iter().map(|crd| serde_json::to_value(crd).expect("it serializes")).collect();
    let mut differences = Vec::new();
    for (kind, operation, own) in KINDS {
        let crd = crds.iter().find(|crd| crd["spec"]["names"]["kind"] == kind).expect("the kind is defined");
        let (api, spec) = (api_model::input(&model, operation).expect("a known operation"), api_model::spec(crd));
        println!("{kind}: {} members of {operation}", api.len());
        differences.extend(compare(kind, &api, &spec, own));
    }
    let unexpected: Vec<_> = differences.iter().filter(|difference| !exempt(difference)).collect();
    assert!(unexpected.is_empty(), "not as in the API, and no exception says why:\n{unexpected:#?}");
    let stale: Vec<_> =
        EXCEPTIONS.iter().filter(|(exception, _)| !differences.iter().any(|difference| difference == exception)).collect();
    assert!(stale.is_empty(), "exceptions that are none any more: {stale:#?}");
}

#[tokio::test]
async fn a_new_member_of_the_api_is_noticed_with_its_path() {
    let mut model = model().await;
    model["shapes"]["ContainerDefinition"]["members"]["favouriteColour"] = serde_json::json!({"shape": "String"});
    let api = api_model::input(&model, "RegisterTaskDefinition").expect("a known operation");
    let crd = serde_json::to_value(&ecs_operator_crds::all()[1]).expect("it serializes");
    let differences = compare("EcsTaskDefinition", &api, &api_model::spec(&crd), KINDS[1].2);
    assert!(differences.contains(&"EcsTaskDefinition containerDefinitions[].favouriteColour".to_owned()), "{differences:?}");
}

/// Seeds of the random documents: fixed, so that a failure can be repeated, and said in its message.
const SEEDS: std::ops::Range<u64> = 0..500;

/// A document of each operation for every seed, of growing fullness, and the full one.
fn documents(model: &Value, operation: &str) -> Vec<(String, Value)> {
    let mut documents = vec![("full".to_owned(), Maker::new(model, 1, 1.0).input(operation))];
    for seed in SEEDS {
        let fullness = f64::from(u32::try_from(seed % 9 + 1).expect("a small number")) / 10.0;
        documents.push((format!("seed {seed}"), Maker::new(model, seed, fullness).input(operation)));
    }
    for (_, document) in &mut documents {
        complete(document);
    }
    documents
}

/// What is left of a document on its way through the spec of a custom resource.
fn carried<Spec: Serialize + DeserializeOwned>(document: &Value) -> Result<Value, String> {
    let spec: Spec = serde_json::from_value(document.clone()).map_err(|error| error.to_string())?;
    serde_json::to_value(spec).map_err(|error| error.to_string())
}

#[tokio::test]
async fn every_member_comes_through_as_it_is() {
    let model = model().await;
    for (operation, carry) in [
        ("CreateCluster", carried::<EcsClusterSpec> as fn(&Value) -> Result<Value, String>),
        ("RegisterTaskDefinition", carried::<EcsTaskDefinitionSpec>),
        ("CreateService", carried::<EcsServiceSpec>),
    ] {
        for (name, mut document) in documents(&model, operation) {
            document.as_object_mut().expect("an input is an object").remove("clientToken");
            assert_eq!(carry(&document).as_ref(), Ok(&document), "{operation}, {name}");
        }
    }
}

/// Gives what is required by us, and not by the model, to a document that lacks it.
fn complete(document: &mut Value) {
    const KEYS: [(&str, &str); 6] = [
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
                let keys = KEYS.iter().filter(|(list, _)| list == name).map(|(_, key)| *key);
                let containers = ["name", "image"].into_iter().filter(|_| name == "containerDefinitions");
                for key in keys.chain(containers) {
                    for element in value.as_array_mut().into_iter().flatten() {
                        let element = element.as_object_mut().expect("elements of these lists are objects");
                        element.entry(key).or_insert_with(|| "given".into());
                    }
                }
                complete(value);
            }
        }
        Value::Array(elements) => {
            // What tells the elements of a list apart must not be there twice.
            let key = |element: &Value| {
                ["name", "key", "namespace", "containerName"].map(|key| element[key].as_str().map(str::to_owned))
            };
            let mut seen = BTreeSet::new();
            elements.retain(|element| !element.is_object() || seen.insert(key(element)) || key(element) == [const { None }; 4]);
            elements.iter_mut().for_each(complete);
        }
        _ => {}
    }
}

#[tokio::test]
async fn a_document_is_in_sync_with_itself_and_not_with_any_other() {
    let model = model().await;
    for operation in ["CreateCluster", "RegisterTaskDefinition", "CreateService"] {
        for (name, document) in documents(&model, operation).into_iter().take(60) {
            assert_eq!(drift(&document, &document), [""; 0], "{operation}, {name}");
            for changed in changes(&document) {
                assert_eq!(drift(&changed, &document).len(), 1, "{operation}, {name}: {changed} against {document}");
                if operation == "RegisterTaskDefinition" {
                    assert_ne!(normalised(&changed), normalised(&document), "{name}: {changed} against {document}");
                }
            }
        }
    }
}

/// The document with one text or number changed, for each of them.
fn changes(document: &Value) -> Vec<Value> {
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
