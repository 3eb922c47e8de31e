//! AWS's own models of its APIs, as botocore ships them: every member of every input, with type,
//! bounds and values.
//!
//! Services differ in whether names of members begin with a capital letter; here they begin with a
//! lower-case letter, as in a custom resource.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::assets;

/// Prints the newest model of the service that the argument names. botocore is pinned with moto,
/// and newer than the SDK.
const PRINT: &str = "
import botocore, glob, gzip, os, sys
folder = os.path.join(os.path.dirname(botocore.__file__), 'data', sys.argv[1])
path = max(glob.glob(os.path.join(folder, '*', 'service-2.json.gz')))
sys.stdout.write(gzip.open(path, 'rt').read())
";

/// What is known of one member.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Member {
    /// `string`, `integer`, `number`, `boolean`, `array`, `map`, `object`, or `any`.
    pub kind: String,
    /// Smallest value, length or number of elements.
    pub min: Option<f64>,
    /// Largest value, length or number of elements.
    pub max: Option<f64>,
    /// Values that a string may have; none where it is free.
    pub values: Vec<String>,
    /// Whether it must be there.
    pub required: bool,
}

/// Members by path; `a[]` is an element of list `a`, `a{}` a value of map `a`.
pub type Members = BTreeMap<String, Member>;

/// Reads the model of a service, such as `ecs`.
///
/// # Errors
/// When the Python environment cannot be made or has no model.
pub async fn load(service: &str) -> Result<Value> {
    let python = assets::python_environment("moto").await?.join("python");
    let output = Command::new(python).args(["-c", PRINT, service]).output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Members of the input of an operation.
///
/// # Errors
/// When the model has no such operation.
pub fn input(model: &Value, operation: &str) -> Result<Members> {
    let shape = model["operations"][operation]["input"]["shape"]
        .as_str()
        .with_context(|| format!("no operation {operation}"))?;
    let mut members = Members::new();
    walk(model, shape, "", &mut members);
    Ok(members)
}

fn walk(model: &Value, shape: &str, path: &str, members: &mut Members) {
    let shape = &model["shapes"][shape];
    let required: Vec<_> = shape["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (name, target) in shape["members"].as_object().into_iter().flatten() {
        let own = lower_first(name);
        let path = if path.is_empty() {
            own
        } else {
            format!("{path}.{own}")
        };
        let target = target["shape"].as_str().unwrap_or_default();
        enter(
            model,
            target,
            &path,
            required.contains(&name.as_str()),
            members,
        );
    }
}

/// The name with a lower-case first letter.
fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    letters
        .next()
        .map(|first| first.to_lowercase().chain(letters).collect())
        .unwrap_or_default()
}

fn enter(model: &Value, name: &str, path: &str, required: bool, members: &mut Members) {
    let shape = &model["shapes"][name];
    let strings = |list: &Value| {
        list.as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    let kind = match shape["type"].as_str().unwrap_or_default() {
        "structure" if shape["document"] == true => "any",
        "structure" => "object",
        "list" => "array",
        "long" | "integer" => "integer",
        "double" | "float" => "number",
        other => other,
    };
    let member = Member {
        kind: kind.to_owned(),
        min: shape["min"].as_f64(),
        max: shape["max"].as_f64(),
        values: strings(&shape["enum"]),
        required,
    };
    members.insert(path.to_owned(), member);
    match kind {
        "object" => walk(model, name, path, members),
        "array" => enter(
            model,
            shape["member"]["shape"].as_str().unwrap_or_default(),
            &format!("{path}[]"),
            false,
            members,
        ),
        "map" => enter(
            model,
            shape["value"]["shape"].as_str().unwrap_or_default(),
            &format!("{path}{{}}"),
            false,
            members,
        ),
        _ => {}
    }
}

/// Members of the spec of a custom resource, from its definition; the text that explains each
/// stands in `values`.
#[must_use]
pub fn spec(crd: &Value) -> Members {
    let mut members = Members::new();
    let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    walk_schema(spec, "", &mut members);
    members
}

fn walk_schema(schema: &Value, path: &str, members: &mut Members) {
    let required: Vec<_> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        enter_schema(property, &path, required.contains(&name.as_str()), members);
    }
}

fn enter_schema(schema: &Value, path: &str, required: bool, members: &mut Members) {
    let bound = |names: [&str; 3]| names.into_iter().find_map(|name| schema[name].as_f64());
    let is_map = schema["additionalProperties"].is_object();
    let kind = match schema["type"].as_str() {
        Some("object") if is_map => "map",
        Some(kind) => kind,
        None => "any",
    };
    let member = Member {
        kind: kind.to_owned(),
        min: bound(["minimum", "minLength", "minItems"]),
        max: bound(["maximum", "maxLength", "maxItems"]),
        values: schema["description"]
            .as_str()
            .map(str::to_owned)
            .into_iter()
            .collect(),
        required,
    };
    members.insert(path.to_owned(), member);
    match kind {
        "object" => walk_schema(schema, path, members),
        "array" => enter_schema(&schema["items"], &format!("{path}[]"), false, members),
        "map" => enter_schema(
            &schema["additionalProperties"],
            &format!("{path}{{}}"),
            false,
            members,
        ),
        _ => {}
    }
}

/// Makes up documents that the model allows.
#[derive(Debug)]
pub struct Maker<'a> {
    model: &'a Value,
    random: fastrand::Rng,
    /// How likely an optional member is there; 1.0 makes every member.
    fullness: f64,
}

impl<'a> Maker<'a> {
    /// A maker whose documents are the same for the same seed.
    #[must_use]
    pub fn new(model: &'a Value, seed: u64, fullness: f64) -> Self {
        Self {
            model,
            random: fastrand::Rng::with_seed(seed),
            fullness,
        }
    }

    /// An input of an operation.
    pub fn input(&mut self, operation: &str) -> Value {
        let shape = self.model["operations"][operation]["input"]["shape"]
            .as_str()
            .unwrap_or_default();
        self.value(shape)
    }

    fn value(&mut self, name: &str) -> Value {
        let shape = &self.model["shapes"][name];
        let full = self.fullness >= 1.0;
        match shape["type"].as_str().unwrap_or_default() {
            "structure" if shape["document"] == true => {
                serde_json::json!({"free": ["form", 1, {"deep": true}]})
            }
            "structure" => self.structure(shape),
            "list" => {
                let (least, most) = (
                    shape["min"].as_u64().unwrap_or(0),
                    shape["max"].as_u64().unwrap_or(3).min(3),
                );
                let length = if full {
                    most.clamp(1, 2)
                } else {
                    self.random.u64(least..=most)
                };
                let member = shape["member"]["shape"].as_str().unwrap_or_default();
                let mut list: Vec<Value> = (0..length).map(|_| self.value(member)).collect();
                list.dedup();
                list.into()
            }
            "map" => {
                let length = if full { 1 } else { self.random.u64(0..3) };
                let value = shape["value"]["shape"].as_str().unwrap_or_default();
                (0..length)
                    .map(|number| (format!("key-{number}"), self.value(value)))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            }
            "boolean" => self.random.bool().into(),
            "integer" | "long" => {
                let least = shape["min"].as_i64().unwrap_or(1);
                self.random
                    .i64(
                        least
                            ..=shape["max"]
                                .as_i64()
                                .unwrap_or(100)
                                .min(i64::from(i32::MAX)),
                    )
                    .into()
            }
            "double" | "float" => f64::from(self.random.u32(1..1000)).into(),
            _ => self.text(shape),
        }
    }

    fn structure(&mut self, shape: &Value) -> Value {
        let required: Vec<_> = shape["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut members = serde_json::Map::new();
        for (name, target) in shape["members"].as_object().into_iter().flatten() {
            if required.contains(&name.as_str()) || self.random.f64() < self.fullness {
                members.insert(
                    lower_first(name),
                    self.value(target["shape"].as_str().unwrap_or_default()),
                );
            }
        }
        members.into()
    }

    fn text(&mut self, shape: &Value) -> Value {
        if let Some(value) = shape["enum"]
            .as_array()
            .and_then(|values| values.get(self.random.usize(..values.len().max(1))))
        {
            return value.clone();
        }
        // Empty where the model lets it be, and more than letters.
        let least = usize::try_from(shape["min"].as_u64().unwrap_or(0)).unwrap_or(0);
        if least == 0 && self.fullness < 1.0 && self.random.u8(..8) == 0 {
            return "".into();
        }
        format!("x-{} ä \u{1f40b}\n", self.random.u32(..)).into()
    }
}
