//! What AWS refuses of a request by the model of its API: members that are missing, of another
//! type, out of bounds or unknown.

use serde_json::Value;

use super::refusal::Refusal;

/// Checks the input of an operation against the model of the service, as botocore ships it.
pub(super) fn check(model: &Value, operation: &str, request: &Value) -> Result<(), Refusal> {
    let shape = model["operations"][operation]["input"]["shape"].as_str();
    let Some(shape) = shape else {
        return Ok(());
    };
    Checker { model }.value(shape, "", request)
}

struct Checker<'a> {
    model: &'a Value,
}

impl Checker<'_> {
    fn value(&self, shape: &str, path: &str, value: &Value) -> Result<(), Refusal> {
        let shape = &self.model["shapes"][shape];
        let type_ = shape["type"].as_str().unwrap_or_default();
        let fits = match type_ {
            "structure" | "map" => value.is_object(),
            "list" => value.is_array(),
            "string" | "blob" => value.is_string(),
            "integer" | "long" => value.is_i64() || value.is_u64(),
            "double" | "float" | "timestamp" => value.is_number(),
            "boolean" => value.is_boolean(),
            _ => true,
        };
        if !fits {
            let message = format!("{} can not be converted to {type_}", named(path));
            return Err(Refusal::new("SerializationException", message));
        }
        bounds(shape, path, value)?;
        match value {
            Value::Object(members) if type_ == "structure" && shape["document"] != true => {
                let required = shape["required"].as_array().into_iter().flatten();
                for name in required.filter_map(Value::as_str) {
                    if members.get(name).is_none_or(Value::is_null) {
                        return refuse(&join(path, name), "is required");
                    }
                }
                for (name, value) in members {
                    let path = join(path, name);
                    match shape["members"][name]["shape"].as_str() {
                        Some(_) if value.is_null() => {}
                        Some(shape) => self.value(shape, &path, value)?,
                        None => return refuse(&path, "is unknown"),
                    }
                }
                Ok(())
            }
            Value::Object(members) if type_ == "map" => {
                let shape = shape["value"]["shape"].as_str().unwrap_or_default();
                let mut values = members.iter();
                values.try_for_each(|(name, value)| self.value(shape, &join(path, name), value))
            }
            Value::Array(elements) => {
                let shape = shape["member"]["shape"].as_str().unwrap_or_default();
                let mut elements = elements.iter();
                elements.try_for_each(|element| self.value(shape, path, element))
            }
            _ => Ok(()),
        }
    }
}

fn bounds(shape: &Value, path: &str, value: &Value) -> Result<(), Refusal> {
    let size = match value {
        #[allow(clippy::cast_precision_loss, reason = "a length of a request fits")]
        Value::String(text) => Some(text.chars().count() as f64),
        #[allow(clippy::cast_precision_loss, reason = "a length of a request fits")]
        Value::Array(elements) => Some(elements.len() as f64),
        Value::Number(number) => number.as_f64(),
        _ => None,
    };
    let bound = |name: &str| shape[name].as_f64();
    if let Some(size) = size {
        if bound("min").is_some_and(|min| size < min) {
            return refuse(path, "is below its minimum");
        }
        if bound("max").is_some_and(|max| size > max) {
            return refuse(path, "is above its maximum");
        }
    }
    let values = shape["enum"].as_array();
    if values.is_some_and(|values| !values.contains(value)) {
        return refuse(path, &format!("has no value {value}"));
    }
    Ok(())
}

fn refuse(path: &str, why: &str) -> Result<(), Refusal> {
    Err(Refusal::parameter(format!("{} {why}", named(path))))
}

fn named(path: &str) -> &str {
    if path.is_empty() { "The request" } else { path }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}
