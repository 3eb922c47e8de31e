//! The custom resources against AWS's own models of its APIs: every member is there, with the same
//! kind and bounds, and no other. A new member in a newer model makes this fail with its path.

mod documents;
mod kinds;
mod meaning;
mod resets;
mod types;

use serde_json::Value;

/// The model of a service.
async fn model(service: &str) -> Value {
    e2e::api_model::load(service)
        .await
        .expect("botocore has the model")
}
