//! Everything we do to AWS: calls, their faults, the observer that reads and the writer that writes.
//!
//! Nothing outside this module calls AWS. Reads go through [`Observer`], writes through [`Writer`]; both send JSON through
//! the SDK with [`call`].

pub mod call;
pub mod client;
pub mod drift;
pub mod fault;
pub mod hints;
pub mod meaning;
pub mod observer;
pub mod operation;
mod read_budget;
pub(crate) mod schema;
pub mod tags;
mod tokens;
pub mod writer;

use std::fmt;
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

pub use call::Calls;
pub use fault::{Fault, FaultClass};
pub use observer::{Answer, Freshness, Observer};
pub use operation::Operation;
pub use writer::{Permit, Writer};

/// A time in an answer: ECS writes seconds since 1970, others text.
#[must_use]
pub fn time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Number(seconds) => {
            #[allow(clippy::cast_possible_truncation, reason = "a time out of bounds is no time")]
            let milliseconds = (seconds.as_f64()? * 1000.0) as i64;
            Timestamp::from_millisecond(milliseconds).ok()
        }
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// What stands behind the last slash of an ARN: the name of an object, for a task definition `family:revision`. A plain name is
/// its own.
#[must_use]
pub fn name_in(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// Where AWS objects live: an account, by the name under which the operator reaches it, and a Region.
///
/// Observer and writer belong to one scope each, because AWS counts its quotas per account and Region.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// Name of the credentials that reach the account; `default` is what the process itself has.
    pub account: Arc<str>,
    /// Region, such as `eu-central-1`.
    pub region: Arc<str>,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.region)
    }
}

/// One scope of AWS as the reconcilers see it: a side that reads and a side that writes.
#[derive(Debug)]
pub struct Aws {
    /// Which account and Region.
    pub scope: Scope,
    /// The side that reads.
    pub observer: Observer,
    /// The side that writes.
    pub writer: Writer,
}
