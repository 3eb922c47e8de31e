//! Everything we do to Kubernetes: watches, conditions, status, events, finalizers.

pub mod conditions;
pub mod events;
pub mod finalizer;
pub mod status;
pub mod watch;

use std::time::Duration;

/// Name under which the operator applies fields and reports events.
pub const MANAGER: &str = "ecs-operator";

/// Longest time that a request to the API server may take; the client itself has no read timeout.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// What a request to the API server can end in.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The API server refused it or could not be reached.
    #[error(transparent)]
    Kube(#[from] kube::Error),
    /// No answer in time.
    #[error("the API server did not answer within {} s", REQUEST_TIMEOUT.as_secs())]
    Timeout(#[from] tokio::time::error::Elapsed),
}

impl RequestError {
    /// Whether the object is gone or has moved on, which the next watch event brings anyway.
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        matches!(self, Self::Kube(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() || status.is_invalid())
    }
}

/// Awaits a request for as long as it may take.
pub(crate) async fn request<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, RequestError> {
    Ok(tokio::time::timeout(REQUEST_TIMEOUT, call).await??)
}
