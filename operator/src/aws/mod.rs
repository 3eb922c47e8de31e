//! Everything we do to AWS: calls, their errors, the observer that reads and the writer that
//! writes.
//!
//! Nothing outside this module calls AWS. Reads go through [`Observer`], writes through [`Writer`];
//! both send through [`call`].

pub mod account;
pub mod autoscaling;
pub mod call;
pub mod client;
pub mod dispatch;
pub mod drift;
pub mod ecr;
pub mod ecs;
pub mod error;
mod error_kind;
pub mod event_queue;
mod json;
pub mod meaning;
mod member_names;
pub mod observer;
pub mod operation;
mod read_budget;
pub mod replies;
pub(crate) mod schema;
pub mod services;
pub mod tags;
mod tokens;
pub mod writer;

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

pub use account::{Accounts, Aws, Scope};
pub use call::Calls;
pub use error::AwsError;
pub use error_kind::ErrorKind;
pub use observer::{Answer, Freshness, Observer};
pub use operation::Operation;
pub use writer::{Permit, Writer};

/// A time in an answer: ECS writes seconds since 1970, others text.
#[must_use]
pub fn time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Number(seconds) => {
            #[allow(
                clippy::cast_possible_truncation,
                reason = "a time out of bounds is no time"
            )]
            let milliseconds = (seconds.as_f64()? * 1000.0) as i64;
            Timestamp::from_millisecond(milliseconds).ok()
        }
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// What stands behind the last slash of an ARN: the name of an object, for a task definition
/// `family:revision`. A plain name is its own.
#[must_use]
pub fn name_in(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}
