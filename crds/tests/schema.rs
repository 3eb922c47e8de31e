//! What every schema must hold.

use ecs_operator_crds::{GROUP, all};
use serde_json::{Value, json};

/// Calls `visit` with each property of a schema and its path.
fn walk(path: &str, schema: &Value, visit: &mut impl FnMut(&str, &Value)) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        visit(&path, property);
        walk(&path, property, visit);
    }
    for part in ["items", "additionalProperties"] {
        if schema[part].is_object() {
            walk(&format!("{path}[]"), &schema[part], visit);
        }
    }
}

fn each_property(mut visit: impl FnMut(&str, &Value)) {
    for crd in all() {
        let crd = serde_json::to_value(crd).expect("a definition serializes");
        let kind = crd["spec"]["names"]["kind"].as_str().expect("a kind");
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        walk(kind, schema, &mut visit);
    }
}

#[test]
fn every_property_is_explained() {
    let mut silent = Vec::new();
    each_property(|path, property| {
        // `spec` and `status` themselves are explained by their kind.
        let explained = property["description"]
            .as_str()
            .is_some_and(|text| text.len() > 3);
        if !explained && path.matches('.').count() > 1 {
            silent.push(path.to_owned());
        }
    });
    assert_eq!(silent, [""; 0], "without a description");
}

#[test]
fn nothing_in_a_spec_has_a_default() {
    let mut defaults = Vec::new();
    each_property(|path, property| {
        // An empty spec sends nothing.
        let is_empty_spec = matches!(path.split('.').collect::<Vec<_>>()[..], [_, "spec"])
            && property["default"] == json!({});
        if !property["default"].is_null() && path.contains(".spec") && !is_empty_spec {
            defaults.push(path.to_owned());
        }
    });
    assert_eq!(
        defaults, [""; 0],
        "a default in the schema would be sent to AWS as the user's wish"
    );
}

#[test]
fn a_spec_is_needed_unless_it_has_a_default() {
    for crd in all() {
        let crd = serde_json::to_value(crd).expect("a definition serializes");
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let needed = schema["required"]
            .as_array()
            .is_some_and(|required| required.contains(&json!("spec")));
        assert_eq!(
            needed,
            schema["properties"]["spec"]["default"].is_null(),
            "{}",
            crd["spec"]["names"]["kind"]
        );
    }
}

#[test]
fn a_fresh_object_does_not_look_current() {
    let mut defaults = Vec::new();
    each_property(|path, property| {
        if path.ends_with(".status") && path.matches('.').count() == 1 {
            defaults.push(property["default"]["observedGeneration"].clone());
        }
    });
    assert_eq!(defaults, vec![-1; all().len()]);
}

#[test]
fn numbers_have_formats_that_kubernetes_knows() {
    each_property(|path, property| {
        let format = property["format"].as_str().unwrap_or_default();
        assert!(!format.starts_with("uint"), "{path} is {format}");
    });
}

#[test]
fn kinds_have_short_names_a_category_and_useful_columns() {
    for crd in all() {
        assert_eq!(crd.spec.group, GROUP);
        assert_eq!(
            crd.spec.names.categories.as_deref(),
            Some(&["ecs".to_owned()][..])
        );
        assert!(crd.spec.names.short_names.is_some());
        let columns = crd.spec.versions[0]
            .additional_printer_columns
            .clone()
            .unwrap_or_default();
        let names: Vec<_> = columns
            .iter()
            .filter(|column| column.priority.is_none())
            .map(|column| column.name.as_str())
            .collect();
        assert_eq!(names.first(), Some(&"Ready"));
        assert_eq!(names.last(), Some(&"Age"));
    }
}

#[test]
fn definitions_are_small_enough_for_client_side_apply() {
    for crd in all() {
        let size = serde_json::to_string(&crd)
            .expect("a definition serializes")
            .len();
        assert!(
            size < 256 * 1024,
            "{} has {size} bytes",
            crd.spec.names.kind
        );
    }
}
