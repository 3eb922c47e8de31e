//! A proxy between the operator and an AWS server that forwards everything and records all calls.
//!
//! `GET /` on its own address answers counts by operation, `GET /calls` the calls in order, `DELETE
//! /` forgets them, `PUT /faults` sets what goes wrong ([`Faults`]).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::faults::{self, Fault, Faults, Reply, Rules};
use crate::gate::{Gate, Stopped};

/// Largest body that is forwarded; ECS allows 64 KiB for a task definition.
const MAX_BODY: usize = 16 << 20;

/// One call.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// The service, by the name with which the call is signed, such as `ecs`.
    pub service: String,
    /// Name of the operation, such as `CreateService`.
    pub operation: String,
    /// When it came, in milliseconds since the proxy was started.
    pub at: u64,
    /// How long the server took, in milliseconds.
    pub took: u64,
    /// HTTP status of the reply.
    pub status: u16,
    /// AWS's code, where the reply is an error.
    pub error: Option<String>,
    /// Body of the request.
    pub request: Value,
}

/// Counts of one operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// All calls.
    pub count: usize,
    /// Those that ended in an error.
    pub errors: usize,
}

/// Counts by operation.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    /// By name of the operation.
    pub operations: BTreeMap<String, Count>,
}

impl Counts {
    /// Number of calls that change AWS.
    #[must_use]
    pub fn writes(&self) -> usize {
        self.operations
            .iter()
            .filter(|(name, _)| is_write(name))
            .map(|(_, count)| count.count)
            .sum()
    }

    /// Number of calls that only read.
    #[must_use]
    pub fn reads(&self) -> usize {
        self.operations
            .iter()
            .filter(|(name, _)| !is_write(name))
            .map(|(_, count)| count.count)
            .sum()
    }

    /// Number of calls of one operation.
    #[must_use]
    pub fn of(&self, operation: &str) -> usize {
        self.operations
            .get(operation)
            .map_or(0, |count| count.count)
    }
}

/// Whether an operation changes AWS.
#[must_use]
pub fn is_write(operation: &str) -> bool {
    !["Describe", "List", "Get"]
        .iter()
        .any(|prefix| operation.starts_with(prefix))
}

/// A running proxy; stopped when dropped.
#[derive(Debug)]
pub struct AwsProxy {
    /// Address for clients of AWS.
    pub aws_url: String,
    /// Address of the AWS proxy itself.
    pub url: String,
    /// The gate that every call passes.
    pub gate: Gate,
    /// What goes wrong.
    pub faults: Rules,
    shared: Arc<Shared>,
    servers: [JoinHandle<()>; 2],
}

#[derive(Debug)]
struct Shared {
    upstream: String,
    client: reqwest::Client,
    opened: Instant,
    calls: Mutex<Vec<Call>>,
    /// The operation whose replies are held back, if any.
    held: watch::Sender<Option<String>>,
    gate: Gate,
    faults: Rules,
}

impl AwsProxy {
    /// Starts a proxy in front of `upstream`, on the given ports, where 0 is any.
    ///
    /// # Errors
    /// When a port is taken.
    pub async fn start(upstream: &str, aws_port: u16, port: u16) -> Result<Self> {
        let aws = TcpListener::bind((Ipv4Addr::LOCALHOST, aws_port)).await?;
        let own = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            client: reqwest::Client::new(),
            opened: Instant::now(),
            calls: Mutex::default(),
            held: watch::Sender::new(None),
            gate: Gate::default(),
            faults: Rules::default(),
        });
        let (aws_url, url) = (
            format!("http://{}", aws.local_addr()?),
            format!("http://{}", own.local_addr()?),
        );
        let proxy = Router::new()
            .fallback(forward)
            .with_state(Arc::clone(&shared));
        let aws_proxy = Router::new()
            .route("/", get(counts).delete(reset))
            .route("/calls", get(calls))
            .route("/faults", get(show_faults).put(set_faults))
            .with_state(Arc::clone(&shared));
        let servers = [(aws, proxy), (own, aws_proxy)].map(|(listener, routes)| {
            tokio::spawn(async move {
                // It ends only when it is aborted.
                let _ = axum::serve(listener, routes).await;
            })
        });
        Ok(Self {
            aws_url,
            url,
            gate: shared.gate.clone(),
            faults: shared.faults.clone(),
            shared,
            servers,
        })
    }

    /// All calls so far, in the order in which their replies came.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls().clone()
    }

    /// Counts of all calls so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }

    /// Holds back the replies of an operation, which the server has carried out, until the answer
    /// is dropped.
    #[must_use]
    pub fn hold(&self, operation: &str) -> Hold {
        self.shared.held.send_replace(Some(operation.to_owned()));
        Hold(Arc::clone(&self.shared))
    }

    /// Serves for ever.
    ///
    /// # Errors
    /// When a server ends.
    pub async fn serve(mut self) -> Result<()> {
        Ok((&mut self.servers[0]).await?)
    }
}

impl Drop for AwsProxy {
    fn drop(&mut self) {
        self.servers.iter().for_each(JoinHandle::abort);
    }
}

/// Holds back replies as long as it lives.
#[derive(Debug)]
pub struct Hold(Arc<Shared>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.held.send_replace(None);
    }
}

impl Shared {
    fn calls(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for call in self.calls().iter() {
            let count = counts.operations.entry(call.operation.clone()).or_default();
            count.count += 1;
            count.errors += usize::from(call.status >= 400);
        }
        counts
    }
}

async fn counts(State(shared): State<Arc<Shared>>) -> Json<Counts> {
    Json(shared.counts())
}

async fn calls(State(shared): State<Arc<Shared>>) -> Json<Vec<Call>> {
    Json(shared.calls().clone())
}

async fn show_faults(State(shared): State<Arc<Shared>>) -> Json<Faults> {
    Json(shared.faults.0.faults())
}

async fn set_faults(State(shared): State<Arc<Shared>>, Json(faults): Json<Faults>) {
    println!("faults with seed {}: {:?}", faults.seed, faults.rules);
    shared.faults.set(faults);
}

async fn reset(State(shared): State<Arc<Shared>>) {
    shared.calls().clear();
}

async fn forward(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let started = Instant::now();
    let called = Called::of(&parts);
    let operation = called.operation.clone();
    let nth = match shared.gate.before(&operation).await {
        Ok(nth) => nth,
        Err(Stopped::Refused) => return faults::throttled().into_response(),
        Err(Stopped::Broken) => return StatusCode::BAD_GATEWAY.into_response(),
    };
    let fault = shared.faults.0.decide(&operation);
    let broken = (StatusCode::BAD_GATEWAY, Bytes::new());
    if fault == Some(Fault::ResetBefore) {
        shared.enter(called, started, broken.0, &broken.1, &body);
        faults::reset();
    }
    if let Some(reply) = fault.and_then(faults::instead) {
        shared.enter(called, started, reply.0, &reply.2, &body);
        return reply.into_response();
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let call = shared
        .client
        .request(parts.method, format!("{}{path}", shared.upstream))
        .headers(end_to_end(parts.headers))
        .body(body.clone());
    let reply = async {
        let reply = call.send().await?;
        Ok::<_, reqwest::Error>((
            reply.status(),
            end_to_end(reply.headers().clone()),
            reply.bytes().await?,
        ))
    };
    let Ok(reply) = reply.await else {
        // The server is down. Closes the connection of the client, which must not take this for a
        // reply of AWS.
        shared.enter(called, started, broken.0, &broken.1, &body);
        return broken.0.into_response();
    };
    shared.enter(called, started, reply.0, &reply.2, &body);
    if shared.gate.after(&operation, nth).await.is_err() {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    let mut held = shared.held.subscribe();
    // The sender lives as long as we do.
    let _ = held
        .wait_for(|held| held.as_ref() != Some(&operation))
        .await;
    answer(&shared, fault, &operation, &body, reply).await
}

/// The answer to a call that was carried out.
async fn answer(
    shared: &Shared,
    fault: Option<Fault>,
    operation: &str,
    request: &Bytes,
    reply: Reply,
) -> Response {
    match fault {
        Some(Fault::ResetAfter) => faults::reset(),
        Some(Fault::LostReply) => std::future::pending().await,
        Some(Fault::Truncated) => faults::truncated(reply),
        Some(Fault::Delay(millis)) => {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            reply.into_response()
        }
        Some(Fault::Stale(millis)) if !is_write(operation) => shared
            .faults
            .0
            .stale(operation, request, reply, Duration::from_millis(millis))
            .into_response(),
        _ => reply.into_response(),
    }
}

impl Shared {
    fn enter(
        &self,
        Called { service, operation }: Called,
        started: Instant,
        status: StatusCode,
        reply: &Bytes,
        request: &Bytes,
    ) {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let error = status.is_client_error() || status.is_server_error();
        let code = || {
            serde_json::from_slice::<Value>(reply).ok()?["__type"]
                .as_str()
                .map(str::to_owned)
        };
        self.calls().push(Call {
            service,
            operation,
            at: millis(started.duration_since(self.opened)),
            took: millis(started.elapsed()),
            status: status.as_u16(),
            error: error.then(code).flatten(),
            request: serde_json::from_slice(request).unwrap_or_default(),
        });
    }
}

/// What is called.
struct Called {
    service: String,
    operation: String,
}

impl Called {
    /// The service is a part of the signature. The operation of JSON services is the end of
    /// `X-Amz-Target`; that of others is method and path.
    fn of(request: &Parts) -> Self {
        let header = |name: &str| request.headers.get(name)?.to_str().ok();
        let target = header("x-amz-target").and_then(|target| target.rsplit('.').next());
        let operation = || format!("{} {}", request.method, request.uri.path());
        // Credential=KEY/DATE/REGION/SERVICE/aws4_request
        let scope = header("authorization").and_then(|signature| signature.split('/').nth(3));
        Self {
            service: scope.unwrap_or_default().to_owned(),
            operation: target.map_or_else(operation, str::to_owned),
        }
    }
}

/// Headers that are not about one connection. The name of the host stays: it is signed.
fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    let hop: [HeaderName; 3] = [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
    ];
    for name in hop {
        headers.remove(name);
    }
    headers
}
