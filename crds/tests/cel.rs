//! Every rule of the schemas accepts and rejects what its rows in `rules/` say, by kube's own CEL
//! interpreter. The end-to-end tests put the same rows to a real API server.

mod table;

use kube::core::cel::Validator;
use serde_json::{Value, json};

use ecs_operator_crds::all;
use table::Case;

/// What the rules say against a change from `old`, or a creation: their messages, joined.
fn verdict(kind: &str, spec: &Value, old: Option<&Value>) -> String {
    let crd = all()
        .into_iter()
        .find(|crd| crd.spec.names.kind == kind)
        .unwrap_or_else(|| panic!("no kind {kind}"));
    let schema = serde_json::to_value(&crd.spec.versions[0].schema).expect("it serializes");
    let object = |spec: &Value| json!({"metadata": {"name": "web"}, "spec": spec});
    let result = Validator::new().validate(
        &schema["openAPIV3Schema"],
        &object(spec),
        old.map(object).as_ref(),
    );
    result
        .err()
        .map(|errors| errors.to_string())
        .unwrap_or_default()
}

#[test]
fn every_rule_accepts_and_rejects_what_its_rows_say() {
    let cases = table::cases();
    let mut wrong = Vec::new();
    for Case {
        kind,
        message,
        old,
        spec,
        rejected,
    } in &cases
    {
        let said = verdict(kind, spec, old.as_ref());
        // An accepted spec breaks no rule at all, a rejected one at least this one.
        let as_expected = if *rejected {
            said.contains(message.as_str())
        } else {
            said.is_empty()
        };
        if !as_expected {
            wrong.push(format!(
                "{kind}, {message}: rejected should be {rejected}: {spec}: said {said:?}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} cases: {wrong:#?}",
        wrong.len(),
        cases.len()
    );
    println!("{} cases", cases.len());
}

#[test]
fn every_rule_has_cases_that_it_accepts_and_rejects() {
    let cases = table::cases();
    for crd in all() {
        let crd = serde_json::to_value(crd).expect("it serializes");
        let name = crd["spec"]["names"]["kind"].as_str().expect("a kind");
        let rules = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
            ["x-kubernetes-validations"];
        let rules = rules.as_array().expect("rules");
        println!("{name}: {} rules", rules.len());
        for rule in rules {
            let message = rule["message"].as_str().expect("every rule has a message");
            let of_rule = |rejected| {
                cases.iter().any(|case| {
                    case.kind == name
                        && message.starts_with(&case.message)
                        && case.rejected == rejected
                })
            };
            assert!(of_rule(false), "{name}: nothing is accepted by: {message}");
            assert!(of_rule(true), "{name}: nothing is rejected by: {message}");
        }
    }
}
