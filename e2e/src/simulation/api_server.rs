//! A Kubernetes API server with what the operator asks of one: it lists and watches custom
//! resources, patches finalizers and statuses, and takes events.
//!
//! Source: Kubernetes API concepts ("Efficient detection of changes", "Server-side apply"), and
//! the conventions for `generation`, finalizers and `resourceVersion`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use http::{Method, Request, Response};
use kube::Client;
use serde_json::{Value, json};

use super::chance::Chance;
use super::time;

/// Changes that a watch can go back to.
const KEPT: usize = 200;

/// Plural, namespace and name of an object.
pub(super) type Id = (String, String, String);

/// How the API server misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// A write is refused with 409, as when the object has changed.
    Conflict,
    /// A request fails with 500 before it is carried out.
    Fails,
    /// A write is carried out, and its reply gets lost.
    ReplyLost,
}

/// The objects of a cluster and the watches on them. A clone is the same server.
#[derive(Clone, Debug)]
pub(super) struct ApiServer(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    version: u64,
    uids: u64,
    objects: BTreeMap<Id, Value>,
    /// The last changes: version, plural and watch event.
    log: VecDeque<(u64, String, Value)>,
    watches: Vec<(String, UnboundedSender<Result<String, Infallible>>)>,
    /// What goes wrong, and how often of a hundred.
    trouble: Option<(Trouble, u64)>,
    chance: Chance,
    /// Objects whose last status was written with a reply that got lost. The operator has to write
    /// it once more.
    unanswered: BTreeSet<Id>,
    /// Writes of the operator other than events.
    writes: usize,
    /// What no operator may do.
    violations: Vec<String>,
    /// What happened, for the report of a failure.
    trace: Vec<String>,
    judge: Judge,
}

/// Judges an object whose status is written, or, with `true`, that is gone: returns what is wrong.
#[derive(Clone)]
pub(super) struct Judge(pub(super) Arc<Judgement>);

type Judgement = dyn Fn(&Value, bool) -> Option<String> + Send + Sync;

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Judge")
    }
}

impl ApiServer {
    /// A server without objects.
    pub(super) fn new(chance: Chance, judge: Judge) -> Self {
        Self(Arc::new(Mutex::new(State {
            version: 1,
            uids: 0,
            objects: BTreeMap::new(),
            log: VecDeque::new(),
            watches: Vec::new(),
            trouble: None,
            chance,
            unanswered: BTreeSet::new(),
            writes: 0,
            violations: Vec::new(),
            trace: Vec::new(),
            judge,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client of this server.
    pub(super) fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request| {
            let server = server.clone();
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        });
        Client::new(service, "default")
    }

    /// Makes the object, or gives it this spec and these annotations.
    pub(super) fn apply(
        &self,
        (plural, namespace, name): Id,
        kind: &str,
        spec: &Value,
        annotations: &Value,
    ) {
        let mut state = self.state();
        let id = (plural, namespace, name);
        let Some(before) = state.objects.get(&id).cloned() else {
            state.uids += 1;
            let object = json!({
                "apiVersion": "ecs-operator.dev/v1beta1",
                "kind": kind,
                "metadata": {
                    "name": id.2,
                    "namespace": id.1,
                    "uid": format!("00000000-0000-0000-0000-{:012}", state.uids),
                    "generation": 1,
                    "creationTimestamp": time::time_of_day().to_string(),
                    "annotations": annotations,
                },
                "spec": spec,
                "status": {"observedGeneration": -1},
            });
            state.store(id, object);
            return;
        };
        let mut object = before.clone();
        object["spec"] = spec.clone();
        object["metadata"]["annotations"] = annotations.clone();
        if object["spec"] != before["spec"] {
            advance_generation(&mut object);
        }
        if object != before {
            state.store(id, object);
        }
    }

    /// Asks for the deletion of an object.
    pub(super) fn delete(&self, id: &Id) {
        let mut state = self.state();
        let Some(mut object) = state.objects.get(id).cloned() else {
            return;
        };
        if object["metadata"]["deletionTimestamp"].is_null() {
            advance_generation(&mut object);
            object["metadata"]["deletionTimestamp"] = time::time_of_day().to_string().into();
            state.store(id.clone(), object);
        }
    }

    /// All objects.
    pub(super) fn objects(&self) -> BTreeMap<Id, Value> {
        self.state().objects.clone()
    }

    /// Sets what goes wrong from now on, and how often of a hundred.
    pub(super) fn set_trouble(&self, trouble: Option<(Trouble, u64)>) {
        self.state().trouble = trouble;
    }

    /// Ends all watches. With `forgets`, the next ones cannot go on where these end.
    pub(super) fn end_watches(&self, forgets: bool) {
        let mut state = self.state();
        state.watches.clear();
        if forgets {
            state.log.clear();
        }
    }

    /// Number of writes of the operator so far, other than events.
    pub(super) fn writes(&self) -> usize {
        self.state().writes
    }

    /// What the operator did that no operator may do.
    pub(super) fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    /// What happened since the last call.
    pub(super) fn take_trace(&self) -> Vec<String> {
        std::mem::take(&mut self.state().trace)
    }

    async fn answer(&self, request: Request<kube::client::Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let body = body.collect_bytes().await.unwrap_or_default();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let latency = 5 + self.state().chance.below(40);
        tokio::time::sleep(Duration::from_millis(latency)).await;
        let path = parts.uri.path().to_owned();
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let mut state = self.state();
        if parts.method == Method::GET {
            return state.read(&path, &query);
        }
        let trouble = state.trouble;
        let trouble = trouble.filter(|(_, percent)| state.chance.below(100) < *percent);
        match trouble {
            Some((Trouble::Conflict, _)) => {
                return refusal(409, "Conflict", "the object has been modified");
            }
            Some((Trouble::Fails, _)) => {
                // The operator cannot know that it was not carried out.
                state.unanswered.extend(id_of(&path));
                return refusal(500, "InternalError", "etcdserver: request timed out");
            }
            _ => {}
        }
        let reply = if path.ends_with("/events") || path.contains("/events/") {
            reply(&body)
        } else {
            state.patch(&path, &body, trouble.is_some())
        };
        if trouble.is_some() {
            return refusal(
                504,
                "Timeout",
                "request did not complete within the allotted time",
            );
        }
        reply
    }
}

impl State {
    /// Stores an object as it is now, or removes it when nothing holds its deletion back.
    fn store(&mut self, id: Id, mut object: Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        let meta = &object["metadata"];
        let is_held = meta["finalizers"]
            .as_array()
            .is_some_and(|held| !held.is_empty());
        let kind = if !meta["deletionTimestamp"].is_null() && !is_held {
            self.objects.remove(&id);
            self.violations.extend((self.judge.0)(&object, true));
            "DELETED"
        } else if self.objects.insert(id.clone(), object.clone()).is_some() {
            "MODIFIED"
        } else {
            "ADDED"
        };
        let event = json!({"type": kind, "object": object});
        let line = format!("{event}\n");
        let is_open = |(plural, watch): &(String, UnboundedSender<_>)| {
            *plural != id.0 || watch.unbounded_send(Ok(line.clone())).is_ok()
        };
        self.watches.retain(is_open);
        self.log.push_back((self.version, id.0, event));
        if self.log.len() > KEPT {
            self.log.pop_front();
        }
    }

    /// Lists or watches a kind.
    fn read(&mut self, path: &str, query: &str) -> Response<Body> {
        let plural = path.rsplit('/').next().unwrap_or_default().to_owned();
        let parameter = |name: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs
                .into_iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.to_owned())
        };
        if parameter("watch").is_none() {
            let items: Vec<_> = self
                .objects
                .iter()
                .filter(|(id, _)| id.0 == plural)
                .map(|(_, object)| object.clone())
                .collect();
            return reply(&json!({
                "apiVersion": "ecs-operator.dev/v1beta1",
                "kind": "List",
                "metadata": {"resourceVersion": self.version.to_string()},
                "items": items,
            }));
        }
        let from = parameter("resourceVersion")
            .and_then(|from| from.parse::<u64>().ok())
            .unwrap_or_default();
        let (sender, receiver) = unbounded();
        let oldest = self
            .log
            .front()
            .map_or(self.version + 1, |(version, ..)| *version);
        if from + 1 < oldest {
            let status = status(410, "Expired", "too old resource version");
            return reply(&json!({"type": "ERROR", "object": status}));
        }
        for (_, _, event) in self
            .log
            .iter()
            .filter(|(version, of, _)| *version > from && *of == plural)
        {
            // The receiver is open.
            let _ = sender.unbounded_send(Ok(format!("{event}\n")));
        }
        self.watches.push((plural, sender));
        Response::new(Body::from_stream(receiver))
    }

    /// Patches the finalizers or the status of an object. `is_lost` says that the reply gets lost.
    fn patch(&mut self, path: &str, body: &Value, is_lost: bool) -> Response<Body> {
        let Some(id) = id_of(path) else {
            self.violations.push(format!("writes {path}"));
            return refusal(404, "NotFound", "not found");
        };
        let (plural, _, name) = &id;
        let Some(before) = self.objects.get(&id).cloned() else {
            return refusal(404, "NotFound", "not found");
        };
        let (meta, given) = (&before["metadata"], &body["metadata"]);
        let differs = |member: &str| !given[member].is_null() && given[member] != meta[member];
        if differs("uid") || differs("resourceVersion") {
            return refusal(409, "Conflict", "the object has been modified");
        }
        let mut object = before.clone();
        if path.ends_with("/status") {
            object["status"] = body["status"].clone();
            let was_lost = self.unanswered.remove(&id);
            if is_lost {
                self.unanswered.insert(id.clone());
            }
            if object["status"] == before["status"] && !was_lost {
                self.violations
                    .push(format!("writes the status of {name}, which stays the same"));
            }
            self.violations.extend((self.judge.0)(&object, false));
            self.trace
                .push(format!("{} {plural}/{name} {}", stamp(), summary(&object)));
        } else {
            if !body["spec"].is_null() {
                self.violations.push(format!("writes the spec of {name}"));
            }
            let has = |object: &Value| {
                object["metadata"]["finalizers"]
                    .as_array()
                    .map_or(0, Vec::len)
            };
            object["metadata"]["finalizers"] = given["finalizers"].clone();
            if has(&object) > has(&before) && !meta["deletionTimestamp"].is_null() {
                let message = "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted";
                return refusal(422, "Invalid", message);
            }
            self.trace.push(format!(
                "{} {plural}/{name} finalizers {}",
                stamp(),
                has(&object)
            ));
        }
        self.writes += 1;
        if object != before {
            self.store(id.clone(), object.clone());
        }
        reply(self.objects.get(&id).unwrap_or(&object))
    }
}

/// Counts a change of the spec, or the request for a deletion.
fn advance_generation(object: &mut Value) {
    let generation = &mut object["metadata"]["generation"];
    *generation = (generation.as_u64().unwrap_or_default() + 1).into();
}

/// The object that a path names, with or without a subresource.
fn id_of(path: &str) -> Option<Id> {
    let parts: Vec<_> = path.trim_matches('/').split('/').collect();
    let ["apis", _, _, "namespaces", namespace, plural, name, ..] = parts.as_slice() else {
        return None;
    };
    Some((
        (*plural).to_owned(),
        (*namespace).to_owned(),
        (*name).to_owned(),
    ))
}

/// The conditions of an object in short.
pub(super) fn summary(object: &Value) -> String {
    let conditions = object["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten();
    let shown = conditions.map(|condition| {
        let text = |member: &str| condition[member].as_str().unwrap_or_default();
        format!(
            "{}={} {} ({})",
            text("type"),
            text("status"),
            text("reason"),
            text("message")
        )
    });
    shown.collect::<Vec<_>>().join("; ")
}

/// The time since the beginning, for traces.
pub(super) fn stamp() -> String {
    format!("{:9.3}", time::elapsed().as_secs_f64())
}

fn reply(body: &Value) -> Response<Body> {
    Response::new(Body::from(body.to_string()))
}

fn refusal(code: u16, reason: &str, message: &str) -> Response<Body> {
    let mut reply = reply(&status(code, reason, message));
    *reply.status_mut() = http::StatusCode::from_u16(code).unwrap_or_default();
    reply
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure",
        "code": code, "reason": reason, "message": message,
    })
}
