//! The schemas have every member of the API, with the same kind and bounds, and no other.

use e2e::api_model::{self, Member, Members};
use ecs_operator_crds::v1beta1::Policies;

use crate::kinds::{
    AUTOSCALING, AUTOSCALING_EXCEPTIONS, EXCEPTIONS, KINDS, REQUIRED_BY_US, Row, definition,
    exempt, kind,
};
use crate::model;

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
                let text = [ours]
                    .into_iter()
                    .chain(list)
                    .map(|member| member.values.join(" "))
                    .collect::<String>();
                differences.extend(details(&format!("{kind} {path}"), member, ours, &text));
            }
        }
    }
    let is_own = |path: &str| own.iter().any(|own| is_in(path, own));
    let unknown = spec
        .keys()
        .filter(|path| !api.contains_key(*path) && !is_own(path) && !is_policy(path));
    differences.extend(unknown.map(|path| format!("{kind} {path} is not in the API")));
    differences
}

/// Whether `path` is `member`, or lies in it.
fn is_in(path: &str, member: &str) -> bool {
    path.strip_prefix(member)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn details(path: &str, api: &Member, ours: &Member, text: &str) -> Vec<String> {
    let mut differences = Vec::new();
    if api.kind != ours.kind {
        differences.push(format!(
            "{path} kind: {} in the API, {} here",
            api.kind, ours.kind
        ));
    }
    // An unbounded member may have bounds here, from the API's documentation; "at least 0" says
    // nothing of a list or text.
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
    let unnamed = api
        .values
        .iter()
        .filter(|value| !text.contains(value.as_str()));
    differences.extend(unnamed.map(|value| format!("{path} value {value}")));
    differences
}

#[tokio::test]
async fn specs_are_the_inputs_of_the_api() {
    let mut differences = Vec::new();
    for Row {
        kind,
        service,
        operation,
        own,
        ..
    } in KINDS
    {
        let api = api_model::input(&model(service).await, operation).expect("a known operation");
        let spec = api_model::spec(&definition(kind));
        println!("{kind}: {} members of {operation}", api.len());
        differences.extend(compare(kind, &api, &spec, own));
    }
    let unexpected: Vec<_> = differences
        .iter()
        .filter(|difference| !exempt(difference))
        .collect();
    assert!(
        unexpected.is_empty(),
        "not as in the API, and no exception says why:\n{unexpected:#?}"
    );
    let stale: Vec<_> = EXCEPTIONS
        .iter()
        .filter(|(exception, _)| !differences.iter().any(|difference| difference == exception))
        .collect();
    assert!(
        stale.is_empty(),
        "exceptions that are none any more: {stale:#?}"
    );
}

/// Values of metrics that are not of ECS have no meaning for a service.
fn is_of_other_service(difference: &str) -> bool {
    let value = difference.split_once(" value ").map(|(_, value)| value);
    value.is_some_and(|value| !value.starts_with("ECS") && !value.starts_with("ALB"))
        && difference.contains("redefinedMetricType")
}

#[tokio::test]
async fn autoscaling_is_the_inputs_of_its_calls() {
    let model = model("application-autoscaling").await;
    let spec = api_model::spec(&definition("EcsService"));
    let mut met = Vec::new();
    for (path, operation, own) in AUTOSCALING {
        let api = api_model::input(&model, operation).expect("a known operation");
        let members = spec.iter().filter_map(|(member, details)| {
            let member = member.strip_prefix(path)?.strip_prefix('.')?;
            Some((member.to_owned(), details.clone()))
        });
        let differences = compare("", &api, &members.collect(), own);
        let differences = differences
            .into_iter()
            .filter(|text| !is_of_other_service(text));
        for difference in differences {
            let difference = difference.trim_start();
            let exception = AUTOSCALING_EXCEPTIONS
                .iter()
                .position(|(exception, _)| *exception == difference);
            met.push(exception.unwrap_or_else(|| panic!("{operation}: {difference}")));
        }
    }
    for (number, (exception, _)) in AUTOSCALING_EXCEPTIONS.iter().enumerate() {
        assert!(
            met.contains(&number),
            "{exception} is no exception any more"
        );
    }
}

#[tokio::test]
async fn a_new_member_of_the_api_is_noticed_with_its_path() {
    let mut model = model("ecs").await;
    model["shapes"]["ContainerDefinition"]["members"]["favouriteColour"] =
        serde_json::json!({"shape": "String"});
    let api = api_model::input(&model, "RegisterTaskDefinition").expect("a known operation");
    let spec = api_model::spec(&definition("EcsTaskDefinition"));
    let differences = compare(
        "EcsTaskDefinition",
        &api,
        &spec,
        kind("EcsTaskDefinition").own,
    );
    assert!(
        differences
            .contains(&"EcsTaskDefinition containerDefinitions[].favouriteColour".to_owned()),
        "{differences:?}"
    );
}
