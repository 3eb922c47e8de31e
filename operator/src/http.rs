//! Probes and metrics: `/healthz`, `/readyz`, `/metrics`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::Error;
use crate::metrics::Metrics;
use crate::readiness::Readiness;

/// What the handlers answer from.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// For `/readyz`.
    pub readiness: Arc<Readiness>,
    /// For `/metrics`.
    pub metrics: Arc<Metrics>,
}

/// Takes the address.
///
/// # Errors
/// When it is taken already.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address)
        .await
        .map_err(|source| Error::Bind { address, source })
}

/// Serves until the future is dropped.
pub async fn serve(listener: TcpListener, endpoints: Endpoints) {
    let routes = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(endpoints);
    if let Err(error) = axum::serve(listener, routes).await {
        tracing::error!(%error, "metrics and probes are no longer served");
    }
}

async fn readyz(State(endpoints): State<Endpoints>) -> impl IntoResponse {
    let (ready, report) = endpoints.readiness.report();
    (
        if ready {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        },
        report,
    )
}

async fn metrics(State(endpoints): State<Endpoints>) -> impl IntoResponse {
    const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    (
        [(header::CONTENT_TYPE, OPENMETRICS)],
        endpoints.metrics.encode(),
    )
}
