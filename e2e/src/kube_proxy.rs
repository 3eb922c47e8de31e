//! A proxy in front of the API server: everything passes a gate first. It has the rights of the
//! operator and speaks plain HTTP, on loopback alone.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use kube::Client;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::control_plane;
use crate::faults;
use crate::gate::{Gate, Stopped};

/// Largest body that is forwarded.
const MAX_BODY: usize = 16 << 20;

/// What is wrong with the API server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outage {
    /// Nothing.
    #[default]
    None,
    /// It is gone: connections break, those that are open, too.
    Down,
    /// It has forgotten what it was at: watches break off, and new ones are refused with 410.
    Gone,
}

/// A running proxy; stopped when dropped.
pub struct KubeProxy {
    /// A kubeconfig for clients of the proxy.
    pub kubeconfig: PathBuf,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    client: Client,
    gate: Gate,
    outage: watch::Sender<Outage>,
    refused: AtomicUsize,
}

impl KubeProxy {
    /// Starts one with its kubeconfig in `dir`, which goes on with the rights of `kubeconfig`.
    ///
    /// # Errors
    /// When there is no port, or a file cannot be read or written.
    pub async fn start(kubeconfig: &Path, gate: Gate, dir: &Path) -> Result<Self> {
        let client = control_plane::client(kubeconfig).await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let server = listener.local_addr()?;
        std::fs::create_dir_all(dir)?;
        let kubeconfig = dir.join("proxy.kubeconfig");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\ncontexts:\n- name: test\n  context: {{cluster: test, user: none}}\n\
             clusters:\n- name: test\n  cluster: {{server: \"http://{server}\"}}\nusers:\n- name: none\n  user: {{}}\n"
        );
        std::fs::write(&kubeconfig, text)?;
        let shared = Arc::new(Shared {
            client,
            gate,
            outage: watch::Sender::default(),
            refused: AtomicUsize::new(0),
        });
        let routes = Router::new()
            .fallback(forward)
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            // It ends only when it is aborted.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self {
            kubeconfig,
            shared,
            server,
        })
    }

    /// Has something go wrong from now on, or nothing any more.
    pub fn set(&self, outage: Outage) {
        self.shared.outage.send_replace(outage);
    }

    /// How many watches were refused with 410.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.shared.refused.load(Ordering::Relaxed)
    }
}

impl Drop for KubeProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn forward(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let Shared {
        client,
        gate,
        outage,
        refused: gone,
    } = &*shared;
    let is_watch = request
        .uri()
        .query()
        .is_some_and(|query| query.contains("watch=true"));
    let now = *outage.borrow();
    match now {
        Outage::Down => faults::reset(),
        Outage::Gone if is_watch => {
            gone.fetch_add(1, Ordering::Relaxed);
            return status(StatusCode::GONE, "Expired", "too old resource version");
        }
        _ => {}
    }
    let name = name(request.method(), request.uri().path());
    let nth = match &name {
        Some(name) => match gate.before(name).await {
            Ok(nth) => nth,
            Err(Stopped::Refused) => return refused(),
            Err(Stopped::Broken) => return StatusCode::BAD_GATEWAY.into_response(),
        },
        None => 0,
    };
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let Ok(reply) = client.send(call(parts, &body)).await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    if let Some(name) = name
        && gate.after(&name, nth).await.is_err()
    {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    let mut outage = outage.subscribe();
    let over = async move {
        outage
            .wait_for(|outage| *outage == Outage::Down || (*outage == Outage::Gone && is_watch))
            .await
            .is_ok()
    };
    reply.map(|body| {
        axum::body::Body::from_stream(
            axum::body::Body::new(body)
                .into_data_stream()
                .take_until(Box::pin(over)),
        )
    })
}

/// The request as the API server gets it.
fn call(parts: Parts, body: &[u8]) -> axum::http::Request<kube::client::Body> {
    let mut call = axum::http::Request::new(kube::client::Body::from(body.to_vec()));
    *call.method_mut() = parts.method;
    *call.uri_mut() = parts.uri;
    for header in ["content-type", "accept"] {
        if let Some(value) = parts.headers.get(header) {
            call.headers_mut().insert(header, value.clone());
        }
    }
    call
}

/// An API server that has too much to do.
fn refused() -> Response {
    status(
        StatusCode::TOO_MANY_REQUESTS,
        "TooManyRequests",
        "too many requests",
    )
}

/// A refusal as the API server puts it.
fn status(code: StatusCode, reason: &str, message: &str) -> Response {
    let status = serde_json::json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "code": code.as_u16(), "reason": reason, "message": message});
    (code, axum::Json(status)).into_response()
}

/// The name of a call that writes, such as `PATCH ecsservices/web/status`; reads go by without one.
fn name(method: &Method, path: &str) -> Option<String> {
    if method == Method::GET {
        return None;
    }
    // /apis/GROUP/VERSION/namespaces/NAMESPACE/PLURAL/NAME/SUBRESOURCE
    let rest: Vec<_> = path
        .split('/')
        .skip_while(|part| *part != "namespaces")
        .skip(2)
        .collect();
    Some(format!("{method} {}", rest.join("/")))
}
