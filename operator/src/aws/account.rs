//! The accounts and Regions that the operator works in.

use std::fmt;
use std::sync::Arc;

use aws_config::SdkConfig;

use super::call::Calls;
use super::observer::Sweep;
use super::{Observer, Writer};
use crate::trigger::Triggers;

/// Where AWS objects live: an account, by the name under which the operator reaches it, and a
/// Region.
///
/// Observer and writer belong to one scope each, because AWS counts its quotas per account and
/// Region.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// Name of the credentials that reach the account; `default` is what the process itself has.
    pub account: Arc<str>,
    /// Region, such as `eu-central-1`.
    pub region: Arc<str>,
}

impl Scope {
    /// The scope of the operator's own credentials; `None` without a Region.
    #[must_use]
    pub fn of(config: &SdkConfig) -> Option<Self> {
        let region = config.region().map(ToString::to_string);
        Some(Self {
            account: "default".into(),
            region: region.filter(|region| !region.is_empty())?.into(),
        })
    }
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

impl Aws {
    /// Starts the observer and the writer of a scope. `share` is that of the published rates.
    #[must_use]
    pub fn start(
        scope: Scope,
        calls: Calls,
        share: Option<f64>,
        sweep: Sweep,
        triggers: Triggers,
    ) -> Self {
        let calls = Arc::new(calls);
        Self {
            scope,
            observer: Observer::start(&calls, sweep, triggers),
            writer: Writer::new(calls, share),
        }
    }
}

/// The scopes that the operator works in. There is one until a custom resource can name another
/// account.
#[derive(Clone, Debug)]
pub struct Accounts {
    default: Arc<Aws>,
}

impl Accounts {
    /// Works in one scope.
    #[must_use]
    pub fn new(default: Aws) -> Self {
        Self {
            default: Arc::new(default),
        }
    }

    /// All scopes.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Aws>> {
        [&self.default].into_iter()
    }

    /// The scope of an object that names none.
    #[must_use]
    pub fn default_scope(&self) -> &Arc<Aws> {
        &self.default
    }
}
