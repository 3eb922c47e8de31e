//! Everything we do to Kubernetes: watches, conditions, status, events, finalizers, leader
//! election.

pub mod annotations;
pub mod availability;
pub mod conditions;
pub mod events;
pub mod finalizer;
pub mod leader;
mod namespaces;
pub mod object;
pub mod status;
pub mod watch;

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::client::ClientBuilder;
use kube::{Api, Client, Config};
use tower::BoxError;
use tower::filter::FilterLayer;

use crate::leadership::{Leadership, NOT_LEADER};

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
        let Self::Kube(kube::Error::Api(status)) = self else {
            return false;
        };
        // The API server takes no finalizer for an object that is being deleted.
        let is_deleted =
            status.is_invalid() && status.message.contains("no new finalizers can be added");
        status.is_not_found() || status.is_conflict() || is_deleted
    }

    /// Whether the API server refuses the object as it is, by its schema or a rule: to send the
    /// same again changes nothing.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Kube(kube::Error::Api(status)) if status.is_invalid() || status.is_forbidden())
            && !self.is_outdated()
    }
}

/// How often what the operator needs of the API server to start is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// Identity of the Kubernetes cluster: the UID of its namespace kube-system, which lives as long as
/// the cluster.
///
/// # Errors
/// When the operator may not read that namespace.
pub async fn cluster_id(client: &Client) -> Result<String, crate::Error> {
    let namespaces = Api::<Namespace>::all(client.clone());
    loop {
        match request(namespaces.get("kube-system")).await {
            Ok(namespace) => return Ok(namespace.metadata.uid.unwrap_or_default()),
            Err(RequestError::Kube(kube::Error::Api(status)))
                if status.is_forbidden() || status.is_not_found() =>
            {
                return Err(crate::Error::ClusterId(status.message.clone()));
            }
            Err(error) => tracing::warn!(%error, "waiting for the API server"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Awaits a request for as long as it may take.
pub(crate) async fn request<T>(
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, RequestError> {
    Ok(tokio::time::timeout(REQUEST_TIMEOUT, call).await??)
}

/// A client that reads at any time, and writes only while this process is the leader.
///
/// # Errors
/// When the configuration names no server that can be reached in principle.
pub fn client(config: Config, leadership: Leadership) -> kube::Result<Client> {
    let guard = move |request: http::Request<kube::client::Body>| {
        if request.method().is_safe() || leadership.holds() {
            Ok(request)
        } else {
            Err(BoxError::from(NOT_LEADER))
        }
    };
    Ok(ClientBuilder::try_from(config)?
        .with_layer(&FilterLayer::new(guard))
        .build())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Namespace;
    use kube::Api;
    use kube::api::{DeleteParams, PostParams};

    use super::*;

    #[tokio::test]
    async fn writes_nothing_without_leadership() -> kube::Result<()> {
        // Of the installed ones there is none in tests; a second one is no error here.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let nowhere = Config::new("http://127.0.0.1:9".parse().expect("an address"));
        let namespaces = Api::<Namespace>::all(client(nowhere, Leadership::lost_for_good())?);
        let is_refused = |error: Option<kube::Error>| {
            error.is_some_and(|error| format!("{error:?}").contains(NOT_LEADER))
        };
        assert!(is_refused(
            namespaces
                .create(&PostParams::default(), &Namespace::default())
                .await
                .err()
        ));
        assert!(is_refused(
            namespaces
                .delete("web", &DeleteParams::default())
                .await
                .err()
        ));
        assert!(
            !is_refused(namespaces.get("web").await.err()),
            "a read is tried"
        );
        Ok(())
    }
}
