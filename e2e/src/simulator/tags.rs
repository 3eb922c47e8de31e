//! Tags of all objects.

use serde_json::{Map, Value, json};

/// Tags by key.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tags(Map<String, Value>);

impl Tags {
    /// The tags of a request.
    pub(super) fn of(request: &Value) -> Self {
        let mut tags = Self::default();
        tags.add(request);
        tags
    }

    /// Sets the tags of a request.
    pub(super) fn add(&mut self, request: &Value) {
        for tag in request["tags"].as_array().into_iter().flatten() {
            if let Some(key) = tag["key"].as_str() {
                let value = tag["value"].as_str().unwrap_or_default();
                self.0.insert(key.to_owned(), value.into());
            }
        }
    }

    /// Removes the keys of a request.
    pub(super) fn remove(&mut self, request: &Value) {
        let keys = request["tagKeys"].as_array().into_iter().flatten();
        for key in keys.filter_map(Value::as_str) {
            self.0.remove(key);
        }
    }

    /// The tags as ECS lists them.
    pub(super) fn json(&self) -> Value {
        let tag = |(key, value): (&String, &Value)| json!({"key": key, "value": value});
        self.0.iter().map(tag).collect()
    }
}

/// Whether a request asks for more than the default reply, such as `TAGS`.
pub(super) fn includes(request: &Value, what: &str) -> bool {
    let listed = request["include"].as_array().into_iter().flatten();
    listed.into_iter().any(|include| include == what)
}
