//! Probes and metrics: `/healthz`, `/readyz`, `/metrics`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::Error;
use crate::metrics::Metrics;

/// What the operator needs before it can work, by name, and what each still lacks; and what it can do without.
#[derive(Debug, Default)]
pub struct Readiness {
    needs: Mutex<BTreeMap<String, Result<(), String>>>,
    notes: Mutex<BTreeMap<String, Result<(), String>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Readiness {
    /// Sets the state of one need. Answers whether that is news.
    pub fn set(&self, need: &str, state: Result<(), String>) -> bool {
        lock(&self.needs).insert(need.to_owned(), state.clone()) != Some(state)
    }

    /// Sets the state of something that the operator can do without. Answers whether that is news.
    pub fn note(&self, what: &str, state: Result<(), String>) -> bool {
        lock(&self.notes).insert(what.to_owned(), state.clone()) != Some(state)
    }

    /// Whether every need is met, and a line for each.
    #[must_use]
    pub fn report(&self) -> (bool, String) {
        let line = |bad: char, (what, state): (&String, &Result<(), String>)| match state {
            Ok(()) => format!("[+] {what}: ok\n"),
            Err(problem) => format!("[{bad}] {what}: {problem}\n"),
        };
        let (needs, notes) = (lock(&self.needs), lock(&self.notes));
        let lines = needs.iter().map(|need| line('-', need)).chain(notes.iter().map(|note| line('!', note)));
        (needs.values().all(Result::is_ok), lines.collect())
    }
}

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
    TcpListener::bind(address).await.map_err(|source| Error::Bind { address, source })
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
    (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, report)
}

async fn metrics(State(endpoints): State<Endpoints>) -> impl IntoResponse {
    const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, OPENMETRICS)], endpoints.metrics.encode())
}
