//! A pretend Docker engine: enough of the Engine API for ministack to run tasks that start, fail
//! and end over time.
//!
//! The name of an image decides the fate of its containers: `no-such-image…` cannot be pulled,
//! `crash…` ends with exit code 1 soon after it started, `slow…` takes a while to start; everything
//! else starts at once and runs until it is stopped.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long a slow container takes to start.
const START_TAKES: Duration = Duration::from_secs(2);

/// How long a container that crashes runs.
const CRASH_AFTER: Duration = Duration::from_millis(300);

/// A running engine; stopped when dropped.
#[derive(Debug)]
pub struct DockerEngine {
    /// Its address, as `DOCKER_HOST`.
    pub host: String,
    containers: Arc<Containers>,
    server: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Containers {
    all: Mutex<HashMap<String, Container>>,
    made: AtomicUsize,
}

#[derive(Debug)]
struct Container {
    name: String,
    config: Value,
    running: bool,
    /// The exit code, once it has ended.
    exit: watch::Sender<Option<i64>>,
}

impl DockerEngine {
    /// Starts an engine on a free port.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn start() -> Result<Self> {
        Self::start_at(0).await
    }

    /// Starts an engine on this port; 0 means a free one.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn start_at(port: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let host = format!("tcp://{}", listener.local_addr()?);
        let containers = Arc::<Containers>::default();
        let routes = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&containers));
        let server = tokio::spawn(async move {
            // It ends only when it is aborted.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self {
            host,
            containers,
            server,
        })
    }

    /// Runs until it is ended from outside.
    ///
    /// # Errors
    /// When it cannot go on.
    pub async fn serve(mut self) -> Result<()> {
        Ok((&mut self.server).await?)
    }

    /// Ends one running container of an image whose name holds `image` with an exit code, as a
    /// crash does; answers whether there was one.
    #[must_use]
    pub fn crash(&self, image: &str, code: i64) -> bool {
        let holds = |container: &Container| {
            container.config["Image"]
                .as_str()
                .is_some_and(|name| name.contains(image))
        };
        let victim = self
            .containers
            .all()
            .iter()
            .find(|(_, container)| container.running && holds(container))
            .map(|(id, _)| id.clone());
        victim.is_some_and(|id| self.containers.end(&id, code).status().is_success())
    }
}

impl Drop for DockerEngine {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Whether an image with this name can be pulled.
fn exists(image: &str) -> bool {
    !image.contains("no-such-image")
}

fn denied(image: &str) -> Response {
    (
        StatusCode::NOT_FOUND,
        axum::Json(json!({"message": format!("pull access denied for {image}")})),
    )
        .into_response()
}

async fn answer(State(containers): State<Arc<Containers>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20)
        .await
        .unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let query: HashMap<String, String> = parts.uri.query().map(parse).unwrap_or_default();
    let path: Vec<&str> = parts
        .uri
        .path()
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    // Clients may put the version of the API in front.
    let path = path.strip_prefix(&["v1.46"]).or_else(|| {
        path.split_first()
            .filter(|(first, _)| first.starts_with("v1."))
            .map(|(_, rest)| rest)
    });
    let path = path.map_or_else(
        || {
            parts
                .uri
                .path()
                .split('/')
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
        },
        <[&str]>::to_vec,
    );
    match (&parts.method, path.as_slice()) {
        (_, ["_ping"]) => "OK".into_response(),
        (_, ["version"]) => {
            axum::Json(json!({"ApiVersion": "1.46", "MinAPIVersion": "1.24", "Version": "27.0", "Os": "linux", "Arch": "amd64"}))
                .into_response()
        }
        (_, ["info"]) => axum::Json(json!({"OSType": "linux", "Architecture": "x86_64"})).into_response(),
        (&Method::POST, ["images", "create"]) => match query.get("fromImage") {
            Some(image) if !exists(image) => denied(image),
            _ => axum::Json(json!({"status": "Pulled"})).into_response(),
        },
        (&Method::POST, ["images", .., "tag"]) => StatusCode::CREATED.into_response(),
        (_, ["images" | "distribution", name @ .., "json"]) => {
            let image = name.join("/");
            if !exists(&image) {
                return denied(&image);
            }
            let digest = format!(
                "sha256:{:064x}",
                image.bytes().fold(7_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()))
            );
            let answer = json!({
                "Id": digest, "RepoTags": [image], "Architecture": "amd64", "Os": "linux",
                "Descriptor": {"digest": digest}, "Platforms": [{"architecture": "amd64", "os": "linux"}]});
            axum::Json(answer).into_response()
        }
        (&Method::POST, ["containers", "create"]) => containers.create(query.get("name").cloned(), body),
        (_, ["containers", "json"]) => axum::Json(containers.list()).into_response(),
        (method, ["containers", id, rest @ ..]) => containers.act(method, id, rest).await,
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn parse(query: &str) -> HashMap<String, String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| {
            (
                name.to_owned(),
                value.replace("%2F", "/").replace("%3A", ":"),
            )
        })
        .collect()
}

impl Containers {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Container>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn create(&self, name: Option<String>, config: Value) -> Response {
        let image = config["Image"].as_str().unwrap_or_default();
        if !exists(image) {
            return denied(image);
        }
        // Never an identifier of one that is gone: its watchers would take the new one for it.
        let id = format!("{:064x}", self.made.fetch_add(1, Ordering::Relaxed) + 1);
        let container = Container {
            name: name.unwrap_or_else(|| id.clone()),
            config,
            running: false,
            exit: watch::Sender::new(None),
        };
        self.all().insert(id.clone(), container);
        (
            StatusCode::CREATED,
            axum::Json(json!({"Id": id, "Warnings": []})),
        )
            .into_response()
    }

    fn list(&self) -> Value {
        let all = self.all();
        let one = |(id, container): (&String, &Container)| {
            json!({"Id": id, "Names": [format!("/{}", container.name)], "Labels": container.config["Labels"],
                "Image": container.config["Image"], "State": if container.running { "running" } else { "exited" }})
        };
        all.iter().map(one).collect()
    }

    async fn act(self: &Arc<Self>, method: &Method, id: &str, rest: &[&str]) -> Response {
        match (method, rest) {
            (&Method::POST, ["start"]) => {
                if self.is_slow(id) {
                    tokio::time::sleep(START_TAKES).await;
                }
                self.begin(id)
            }
            (&Method::POST, ["stop" | "kill"]) => self.end(id, 143),
            (&Method::DELETE, []) => {
                self.end(id, 137);
                self.all().remove(id);
                StatusCode::NO_CONTENT.into_response()
            }
            (&Method::POST, ["wait"]) => {
                let exit = self
                    .all()
                    .get(id)
                    .map(|container| container.exit.subscribe());
                let Some(mut exit) = exit else {
                    return StatusCode::NOT_FOUND.into_response();
                };
                let code = exit
                    .wait_for(Option::is_some)
                    .await
                    .ok()
                    .and_then(|code| *code)
                    .unwrap_or(137);
                axum::Json(json!({"StatusCode": code})).into_response()
            }
            (_, ["json"]) => self.inspect(id),
            (_, ["logs"]) => StatusCode::OK.into_response(),
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    }

    fn is_slow(&self, id: &str) -> bool {
        let all = self.all();
        all.get(id)
            .and_then(|container| container.config["Image"].as_str())
            .is_some_and(|image| image.contains("slow"))
    }

    fn begin(self: &Arc<Self>, id: &str) -> Response {
        let crashes = {
            let mut all = self.all();
            let Some(container) = all.get_mut(id) else {
                return StatusCode::NOT_FOUND.into_response();
            };
            container.running = true;
            container.config["Image"]
                .as_str()
                .is_some_and(|image| image.contains("crash"))
        };
        if crashes {
            let (containers, id) = (Arc::clone(self), id.to_owned());
            tokio::spawn(async move {
                tokio::time::sleep(CRASH_AFTER).await;
                containers.end(&id, 1);
            });
        }
        StatusCode::NO_CONTENT.into_response()
    }

    fn end(&self, id: &str, code: i64) -> Response {
        let mut all = self.all();
        let Some(container) = all.get_mut(id) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        if container.running {
            container.running = false;
            container.exit.send_replace(Some(code));
        }
        StatusCode::NO_CONTENT.into_response()
    }

    fn inspect(&self, id: &str) -> Response {
        let all = self.all();
        let Some(container) = all.get(id) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let state = if container.running {
            "running"
        } else {
            "exited"
        };
        let exit = container.exit.borrow().unwrap_or_default();
        let answer = json!({
            "Id": id, "Name": format!("/{}", container.name), "Image": container.config["Image"], "Config": container.config,
            "State": {"Status": state, "Running": container.running, "ExitCode": exit, "Pid": 1},
            "HostConfig": {}, "Mounts": [], "NetworkSettings": {"IPAddress": "127.0.0.1", "Networks": {}}});
        axum::Json(answer).into_response()
    }
}
