//! Doubles at the transport: an API server with one object, and an ECS that answers what a test
//! scripts.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_credential_types::Credentials;
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use ecs_operator::aws::observer::Sweep;
use ecs_operator::aws::{Accounts, Aws, Calls, Scope};
use ecs_operator::k8s::events::Events;
use ecs_operator::leadership::Leadership;
use ecs_operator::metrics::{AwsMetrics, Metrics};
use ecs_operator::reconcile::stores::{Builder, Stores};
use ecs_operator::reconcile::{Claims, Context, Kind, ObjectStates, reconcile};
use ecs_operator::trigger::{Triggered, Triggers};
use ecs_operator_crds::v1beta1::{EcsCapacityProvider, EcsCluster, EcsService, EcsTaskDefinition};
use kube::Client;
use kube::client::Body;
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::Event;
use serde_json::{Value, json};

/// What ECS answers to one operation: status and body.
pub(crate) type Reply = (u16, String);

/// An error as ECS sends it.
pub(crate) fn refusal(code: &str, message: &str) -> Reply {
    (400, json!({"__type": code, "message": message}).to_string())
}

/// A success.
pub(crate) fn success(body: &Value) -> Reply {
    (200, body.to_string())
}

/// A world of one object.
pub(crate) struct World {
    pub(crate) context: Arc<Context>,
    object: Arc<Mutex<Value>>,
    /// Every write that reached the API server or AWS, in order.
    pub(crate) writes: Arc<Mutex<Vec<String>>>,
    /// The API server takes no events while a test holds this.
    #[allow(dead_code, reason = "not every test program needs it")]
    pub(crate) events: Arc<tokio::sync::Mutex<()>>,
    /// Whether the API server denies the writes of statuses.
    #[allow(dead_code, reason = "not every test program needs it")]
    pub(crate) denies_status: Arc<AtomicBool>,
    /// Whether the replies to writes of statuses get lost.
    #[allow(dead_code, reason = "not every test program needs it")]
    pub(crate) loses_status: Arc<AtomicBool>,
}

impl World {
    /// A world with `object` in it and an ECS that answers as `ecs` says.
    pub(crate) async fn new(
        object: Value,
        ecs: impl Fn(&str, &Value) -> Reply + Clone + Send + Sync + 'static,
    ) -> Self {
        Self::swept(object, ecs, Duration::from_secs(86400)).await.0
    }

    /// A world of one object of a kind that calls no AWS.
    #[allow(dead_code, reason = "not every test program needs it")]
    pub(crate) async fn without_aws<K: Kind>(object: Value) -> Self {
        let mut stores = Builder::default();
        stores.add(store::<K>(&object), K::SHAPE.refers_to);
        let ecs = |_: &str, _: &Value| refusal("InvalidAction", "the kind calls no AWS");
        Self::with(
            object,
            stores.build(),
            ecs,
            Duration::from_secs(86400),
            None,
        )
        .await
        .0
    }

    /// The same, with an observer that looks by itself this often, and the clusters that it wakes.
    pub(crate) async fn swept(
        object: Value,
        ecs: impl Fn(&str, &Value) -> Reply + Clone + Send + Sync + 'static,
        every: Duration,
    ) -> (Self, Triggered) {
        Self::limited(object, ecs, every, None).await
    }

    /// The same, with this share of the published write quotas.
    pub(crate) async fn limited(
        object: Value,
        ecs: impl Fn(&str, &Value) -> Reply + Clone + Send + Sync + 'static,
        every: Duration,
        share: Option<f64>,
    ) -> (Self, Triggered) {
        let stores = stores(&object);
        Self::with(object, stores, ecs, every, share).await
    }

    async fn with(
        object: Value,
        stores: Stores,
        ecs: impl Fn(&str, &Value) -> Reply + Clone + Send + Sync + 'static,
        every: Duration,
        share: Option<f64>,
    ) -> (Self, Triggered) {
        let (object, writes) = (
            Arc::new(Mutex::new(object)),
            Arc::new(Mutex::new(Vec::new())),
        );
        let metrics = Arc::new(Metrics::default());
        let config = aws_config::defaults(aws_config::BehaviorVersion::latest())
            .endpoint_url(serve_ecs(Arc::clone(&writes), ecs).await)
            .region("eu-central-1")
            .credentials_provider(Credentials::new("111122223333", "test", None, None, "test"))
            .load()
            .await;
        let scoped = AwsMetrics::new(Arc::clone(&metrics), "default", "eu-central-1");
        let calls = Calls::new(&config, share, Leadership::always_leader(), scoped);
        let (triggers, triggered) = Triggers::new(["EcsCluster".into()]);
        let events = Arc::default();
        let denies_status = Arc::<AtomicBool>::default();
        let loses_status = Arc::<AtomicBool>::default();
        let client = api_server(
            Arc::clone(&object),
            Arc::clone(&writes),
            Arc::clone(&events),
            Arc::clone(&denies_status),
            Arc::clone(&loses_status),
        );
        let context = Context {
            events: Events::start(&client),
            client,
            cluster_id: "k8s".to_owned(),
            former_clusters: Vec::new(),
            allowed_clusters: Vec::new(),
            stores,
            accounts: Accounts::new(Aws::start(
                Scope {
                    account: "default".into(),
                    region: "eu-central-1".into(),
                },
                calls,
                share,
                Sweep {
                    active: every,
                    steady: every,
                    task_definitions: every,
                },
                triggers,
            )),
            readiness: Arc::default(),
            metrics,
            states: ObjectStates::default(),
            claims: Claims::default(),
        };
        (
            Self {
                context: Arc::new(context),
                object,
                writes,
                events,
                denies_status,
                loses_status,
            },
            triggered
                .into_iter()
                .next()
                .expect("the channel of the kind"),
        )
    }

    /// One pass over the object as the API server has it, until its events are published.
    pub(crate) async fn pass<K: Kind>(&self) -> Option<Duration> {
        let object: K = serde_json::from_value(self.object()).expect("a valid object");
        let back = Box::pin(reconcile(Arc::new(object), Arc::clone(&self.context))).await;
        self.context.events.flush().await;
        back
    }

    pub(crate) fn object(&self) -> Value {
        self.object.lock().unwrap().clone()
    }

    pub(crate) fn set_object(&self, object: Value) {
        *self.object.lock().unwrap() = object;
    }

    /// Type and status of the conditions, and the message of the first.
    pub(crate) fn conditions(&self) -> (Vec<String>, String) {
        let conditions = self.object()["status"]["conditions"].clone();
        let of = |condition: &Value| {
            ["type", "status", "reason"]
                .map(|member| condition[member].as_str().unwrap_or_default().to_owned())
                .join(" ")
        };
        let shapes = conditions
            .as_array()
            .into_iter()
            .flatten()
            .map(of)
            .collect();
        (
            shapes,
            conditions[0]["message"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    }

    /// The writes since the last call.
    pub(crate) fn new_writes(&self) -> Vec<String> {
        std::mem::take(&mut *self.writes.lock().unwrap())
    }
}

/// What the watch of a kind sees: the object, if it is of the kind.
fn store<K: Kind>(object: &Value) -> Store<K> {
    let (store, mut writer) = reflector::store();
    if object["kind"] == *K::kind(&()) {
        let object = serde_json::from_value(object.clone()).expect("a valid object");
        writer.apply_watcher_event(&Event::<K>::Apply(object));
    }
    store
}

fn stores(object: &Value) -> Stores {
    let mut stores = Builder::default();
    stores.add(store::<EcsCluster>(object), EcsCluster::SHAPE.refers_to);
    stores.add(
        store::<EcsTaskDefinition>(object),
        EcsTaskDefinition::SHAPE.refers_to,
    );
    stores.add(store::<EcsService>(object), EcsService::SHAPE.refers_to);
    stores.add(
        store::<EcsCapacityProvider>(object),
        EcsCapacityProvider::SHAPE.refers_to,
    );
    stores.build()
}

async fn serve_ecs(
    writes: Arc<Mutex<Vec<String>>>,
    answer: impl Fn(&str, &Value) -> Reply + Clone + Send + Sync + 'static,
) -> String {
    let handler = move |headers: HeaderMap, body: Bytes| {
        let target = headers["x-amz-target"]
            .to_str()
            .unwrap_or_default()
            .to_owned();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let request = serde_json::from_slice(&body).unwrap_or_default();
        if !operation.starts_with("Describe") && !operation.starts_with("List") {
            writes.lock().unwrap().push(operation.clone());
        }
        let (status, body) = answer(&operation, &request);
        std::future::ready((StatusCode::from_u16(status).expect("a status"), body))
    };
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await });
    format!("http://{address}")
}

/// A failure as the API server sends it.
fn failure(code: u16, reason: &str, message: &str) -> http::Response<Body> {
    let status = json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message});
    http::Response::builder()
        .status(code)
        .body(Body::from(status.to_string().into_bytes()))
        .expect("a valid reply")
}

/// An API server that knows merge patches of metadata, applied statuses and events.
fn api_server(
    object: Arc<Mutex<Value>>,
    writes: Arc<Mutex<Vec<String>>>,
    events: Arc<tokio::sync::Mutex<()>>,
    denies_status: Arc<AtomicBool>,
    loses_status: Arc<AtomicBool>,
) -> Client {
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let (object, writes, events) = (
            Arc::clone(&object),
            Arc::clone(&writes),
            Arc::clone(&events),
        );
        let denies_status = denies_status.load(Ordering::Relaxed);
        let loses_status = loses_status.load(Ordering::Relaxed);
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect_bytes().await.expect("a body");
            let body: Value = serde_json::from_slice(&body).unwrap_or_default();
            let path = parts.uri.path();
            if denies_status && path.ends_with("/status") {
                return Ok(failure(403, "Forbidden", "denied"));
            }
            let reply = if path.ends_with("/events") {
                drop(events.lock().await);
                writes.lock().unwrap().push(format!(
                    "event {}",
                    body["reason"].as_str().unwrap_or_default()
                ));
                body
            } else {
                let mut object = object.lock().unwrap();
                if path.ends_with("/status") {
                    writes.lock().unwrap().push("status".to_owned());
                    object["status"] = body["status"].clone();
                } else {
                    writes.lock().unwrap().push("metadata".to_owned());
                    object["metadata"]["finalizers"] = body["metadata"]["finalizers"].clone();
                }
                let version = object["metadata"]["resourceVersion"]
                    .as_str()
                    .and_then(|version| version.parse::<u64>().ok());
                object["metadata"]["resourceVersion"] =
                    (version.unwrap_or_default() + 1).to_string().into();
                object.clone()
            };
            if loses_status && path.ends_with("/status") {
                return Ok(failure(504, "Timeout", "lost"));
            }
            Ok::<_, Infallible>(http::Response::new(Body::from(
                reply.to_string().into_bytes(),
            )))
        }
    });
    Client::new(service, "default")
}
