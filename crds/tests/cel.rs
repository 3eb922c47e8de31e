//! Every rule of the schemas accepts and rejects what its rows in `rules.yaml` say, by kube's own CEL interpreter. The
//! end-to-end tests put the same rows to a real API server.

mod table;

use kube::CustomResourceExt;
use kube::core::cel::{validate_cel, validate_cel_update};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use ecs_operator_crds::all;
use ecs_operator_crds::v1beta1::{EcsCluster, EcsService, EcsTaskDefinition};
use table::Case;

/// What the rules say against a change from `old`, or a creation: their messages, joined.
fn verdict(kind: &str, spec: &Value, old: Option<&Value>) -> String {
    match kind {
        "EcsCluster" => run::<EcsCluster>(kind, spec, old),
        "EcsTaskDefinition" => run::<EcsTaskDefinition>(kind, spec, old),
        _ => run::<EcsService>(kind, spec, old),
    }
}

fn run<K: CustomResourceExt + serde::Serialize + DeserializeOwned>(kind: &str, spec: &Value, old: Option<&Value>) -> String {
    let object = |spec: &Value| -> K {
        let object = json!({"apiVersion": "ecs-operator.dev/v1beta1", "kind": kind, "metadata": {"name": "x"}, "spec": spec});
        serde_json::from_value(object).unwrap_or_else(|error| panic!("{error}: {spec}"))
    };
    let result = match old {
        Some(old) => validate_cel_update(&object(spec), &object(old)),
        None => validate_cel(&object(spec)),
    };
    result.err().map(|errors| errors.to_string()).unwrap_or_default()
}

#[test]
fn every_rule_accepts_and_rejects_what_its_rows_say() {
    let cases = table::cases();
    let mut wrong = Vec::new();
    for Case { kind, message, old, spec, rejected } in &cases {
        let said = verdict(kind, spec, old.as_ref());
        // An accepted spec breaks no rule at all, a rejected one at least this one.
        let as_expected = if *rejected { said.contains(message.as_str()) } else { said.is_empty() };
        if !as_expected {
            wrong.push(format!("{kind}, {message}: rejected should be {rejected}: {spec}: said {said:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases: {wrong:#?}", wrong.len(), cases.len());
    println!("{} cases", cases.len());
}

#[test]
fn every_rule_has_cases_that_it_accepts_and_rejects() {
    let cases = table::cases();
    for crd in all() {
        let crd = serde_json::to_value(crd).expect("it serializes");
        let name = crd["spec"]["names"]["kind"].as_str().expect("a kind");
        let rules = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["x-kubernetes-validations"];
        let rules = rules.as_array().expect("rules");
        println!("{name}: {} rules", rules.len());
        for rule in rules {
            let message = rule["message"].as_str().expect("every rule has a message");
            let of_rule = |rejected| {
                cases.iter().any(|case| case.kind == name && message.starts_with(&case.message) && case.rejected == rejected)
            };
            assert!(of_rule(false), "{name}: nothing is accepted by: {message}");
            assert!(of_rule(true), "{name}: nothing is rejected by: {message}");
        }
    }
}
