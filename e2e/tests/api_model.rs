//! The custom resources against AWS's own model of the ECS API: every member is there, with the same kind and bounds, and
//! no other. A new member in a newer model makes this fail with its path.

use e2e::api_model::{self, Maker, Member, Members};
use ecs_operator::aws::drift::drift;
use ecs_operator::aws::meaning::{DEFAULTS, SETS, ZERO_COUNTS, key_of, normalised};
use ecs_operator::kinds::{ecs_cluster as cluster, ecs_service as service};
use ecs_operator::reconcile::kind::Reset;
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
            "rollout.minReadySeconds",
            "rollout.progressDeadlineSeconds",
            "rollout.restartOnSettings",
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

/// Lists of a task definition whose order counts, and why.
const ORDERED: &[(&str, &str)] = &[
    ("containerDefinitions.command", "arguments"),
    ("containerDefinitions.dnsSearchDomains", "they are searched in this order"),
    ("containerDefinitions.dnsServers", "they are asked in this order"),
    ("containerDefinitions.entryPoint", "arguments"),
    ("containerDefinitions.environmentFiles", "the first file that has a variable wins"),
    ("containerDefinitions.healthCheck.command", "arguments"),
    ("containerDefinitions.mountPoints", "a mount can lie below another one"),
];

/// The path of a member without the marks of lists.
fn dotted(path: &str) -> String {
    path.replace("[]", "")
}

/// Calls `visit` with the member at `path` of a document, in the first element of each list on the way.
fn at<'a>(document: &'a mut Value, path: &str) -> Option<(&'a mut serde_json::Map<String, Value>, String)> {
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
    let (members, name) = at(&mut changed, path).unwrap_or_else(|| panic!("the full document has no {path}"));
    match value {
        Some(value) => members.insert(name, value),
        None => members.remove(&name),
    };
    changed
}

/// Each optional member of a task definition alone: absent, with its zero value, with its default, and in another order. What is the
/// same for AWS has the same hash, and what is not has another one.
#[tokio::test]
async fn absent_empty_default_and_reordered_members_of_a_task_definition_mean_what_the_tables_say() {
    let model = model().await;
    let members = api_model::input(&model, "RegisterTaskDefinition").expect("a known operation");
    let mut full = Maker::new(&model, 1, 1.0).input("RegisterTaskDefinition");
    complete(&mut full);
    // The host port has a meaning of its own where there is no network in between.
    full["networkMode"] = "none".into();
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for (path, member) in
        members.iter().filter(|(path, _)| !path.ends_with("[]") && !path.contains("{}") && !path.starts_with("tags"))
    {
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
            let element =
                at(&mut full.clone(), path).map(|(members, name)| members[&name][0].clone()).expect("it has an element");
            let mut other = changes(&element).pop().unwrap_or_else(|| panic!("{path} has elements of one value"));
            if let Some(Some(key)) = key_of(&plain) {
                other[key] = "another".into();
            }
            let list = |elements: [&Value; 2]| normalised(&changed(&full, path, Some(elements.into_iter().cloned().collect())));
            let any_order = list([&element, &other]) == list([&other, &element]);
            let ordered = ORDERED.iter().any(|(listed, _)| *listed == plain);
            if any_order == ordered || any_order != key_of(&plain).is_some() {
                wrong.push(format!("{path}: another order, and it is {}in ORDERED", if ordered { "" } else { "not " }));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    println!("{checked} members");
}

#[tokio::test]
async fn the_tables_of_what_means_the_same_name_members_of_the_api() {
    let model = model().await;
    let mut known = BTreeSet::new();
    for operation in ["CreateCluster", "RegisterTaskDefinition", "CreateService"] {
        let input = api_model::input(&model, operation).expect("a known operation");
        known.extend(input.keys().map(|path| dotted(path)));
    }
    let rows = SETS.iter().map(|(path, _)| path).chain(DEFAULTS.iter().map(|(path, _)| path));
    let rows = rows.chain(ZERO_COUNTS.iter().chain(ORDERED).map(|(path, _)| path));
    let unknown: Vec<_> = rows.filter(|path| !known.contains(**path)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// Whether `path` is `listed`, or lies in it.
fn is_in(path: &str, listed: &str) -> bool {
    path.strip_prefix(listed).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Members that are set back, and members that stay and why.
type Tables = (&'static [Reset], &'static [(&'static str, &'static str)]);

/// Each member of an update is taken back when the spec drops it, or its description says that it stays. Elements of a list are
/// replaced with the list.
#[tokio::test]
async fn every_member_of_an_update_is_set_back_or_said_to_stay() {
    let model = model().await;
    let tables: [(usize, &[&str], &[&str], Tables); 2] = [
        (0, &["UpdateCluster", "PutClusterCapacityProviders"], &["cluster"], (cluster::RESETS, cluster::STAYS)),
        (2, &["UpdateService"], &["cluster", "forceNewDeployment", "service"], (service::RESETS, service::STAYS)),
    ];
    for (kind, operations, own, (resets, stays)) in tables {
        let inputs = operations.iter().flat_map(|operation| api_model::input(&model, operation).expect("a known operation"));
        let input: Members = inputs.collect();
        let crd = serde_json::to_value(&ecs_operator_crds::all()[kind]).expect("it serializes");
        let described = api_model::spec(&crd);
        let is_leaf = |path: &str, member: &Member| member.kind != "object" && !path.contains("[]") && !path.contains("{}");
        let leaves: Vec<_> = input.iter().filter(|(path, member)| is_leaf(path, member)).map(|(path, _)| path.as_str()).collect();
        for path in leaves.iter().filter(|path| !own.contains(path)) {
            let reset = resets.iter().any(|(listed, _)| is_in(path, listed));
            let stay = stays.iter().any(|(listed, _)| is_in(path, listed));
            assert!(reset != stay, "{path} is in RESETS ({reset}) or in STAYS ({stay})");
        }
        for (listed, _) in stays {
            assert!(leaves.iter().any(|path| is_in(path, listed)), "{operations:?} have no {listed}");
            let text = described[*listed].values.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
            let says = text.contains("they stay") || text.contains("it stays");
            let is_needed = listed.ends_with("subnets") || *listed == "taskDefinition";
            assert!(says != is_needed, "the description of {listed} says whether it stays");
        }
        for (listed, _) in resets {
            assert!(leaves.iter().any(|path| is_in(path, listed)), "{operations:?} have no {listed}");
        }
    }
}
