//! What the operator needs of a service of AWS to call it.

use std::fmt;

use aws_types::SdkConfig;
use futures::future::BoxFuture;
use serde_json::Value;

use super::error::AwsError;
use super::operation::{Operation, Service};

/// The client of a service.
pub trait ServiceClient: fmt::Debug + Send + Sync {
    /// Sends `request` as the body of `operation`, which is one of this service, and returns the
    /// body of the reply.
    fn send<'a>(
        &'a self,
        operation: Operation,
        request: &'a Value,
    ) -> BoxFuture<'a, Result<Value, AwsError>>;
}

/// A service that the operator calls.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The service.
    pub service: Service,
    /// The operations that the operator uses.
    pub operations: &'static [Operation],
    /// Makes a client with the credentials, Region and endpoint of the configuration.
    pub connect: fn(&SdkConfig) -> Box<dyn ServiceClient>,
}
