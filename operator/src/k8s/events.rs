//! Kubernetes events: one per AWS write and one per new trouble, never one per retry.
//!
//! A background task publishes them, so that a slow API server delays no status. Events of one
//! object keep their order. A lost event is no failure: conditions tell the same.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::conditions::cut;
use super::{MANAGER, request};

/// Longest note that the API accepts, in bytes.
const MAX_NOTE: usize = 1024;

/// Tasks that publish side by side. All events of an object go to the same task.
const PUBLISHERS: usize = 8;

/// Events that may wait for a publisher. Further ones are lost.
const WAITING: usize = 256;

/// Events that an object may have of one reason at once, and the time until it may have one more:
/// the limits of client-go.
const BURST: (u32, Duration) = (25, Duration::from_secs(300));

/// Objects and reasons that a publisher counts.
const COUNTED: usize = 1024;

/// Something worth an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether it is trouble.
    pub warning: bool,
    /// Why, in PascalCase.
    pub reason: String,
    /// What was done: the AWS operation, or `Reconcile`.
    pub action: String,
    /// The same in words.
    pub note: String,
}

impl Notice {
    /// Something that happened in AWS, or that the operator found.
    #[must_use]
    pub fn new(warning: bool, reason: &str, note: impl Into<String>) -> Self {
        Self {
            warning,
            reason: reason.to_owned(),
            action: "Reconcile".to_owned(),
            note: note.into(),
        }
    }
}

/// Publishes events in the background.
#[derive(Clone, Debug)]
pub struct Events(Arc<[mpsc::Sender<Order>]>);

#[derive(Debug)]
enum Order {
    Publish(Box<ObjectReference>, Notice),
    /// Answers when all earlier orders are done.
    Flush(oneshot::Sender<()>),
}

impl Events {
    /// Starts to publish with `client`, until the last clone is dropped.
    #[must_use]
    pub fn start(client: &Client) -> Self {
        let publisher = |_| {
            let (orders, incoming) = mpsc::channel(WAITING);
            tokio::spawn(serve(client.clone(), incoming));
            orders
        };
        Self((0..PUBLISHERS).map(publisher).collect())
    }

    /// Publishes `notice` about an object soon. Does not wait: the event is lost when too many wait
    /// already.
    pub fn publish(&self, about: &ObjectReference, notice: Notice) {
        let mut hasher = DefaultHasher::new();
        about.uid.hash(&mut hasher);
        let publisher = usize::try_from(hasher.finish() % PUBLISHERS as u64).unwrap_or_default();
        if let Err(error) =
            self.0[publisher].try_send(Order::Publish(Box::new(about.clone()), notice))
        {
            tracing::warn!(namespace = about.namespace, name = about.name, %error, "an event is lost");
        }
    }

    /// Waits until all events up to now are published.
    pub async fn flush(&self) {
        let flushed = self.0.iter().map(async |publisher| {
            let (done, is_done) = oneshot::channel();
            if publisher.send(Order::Flush(done)).await.is_ok() {
                let _ = is_done.await;
            }
        });
        futures::future::join_all(flushed).await;
    }
}

async fn serve(client: Client, mut incoming: mpsc::Receiver<Order>) {
    let mut budgets = Budgets::default();
    while let Some(order) = incoming.recv().await {
        match order {
            Order::Publish(about, notice) => {
                if budgets.admit(
                    about.uid.as_deref().unwrap_or_default(),
                    &notice.reason,
                    Instant::now(),
                ) {
                    publish(&client, &about, notice).await;
                } else {
                    tracing::debug!(
                        namespace = about.namespace,
                        name = about.name,
                        reason = notice.reason,
                        "the object has too many events"
                    );
                }
            }
            Order::Flush(done) => {
                let _ = done.send(());
            }
        }
    }
}

async fn publish(client: &Client, about: &ObjectReference, notice: Notice) {
    let Notice {
        warning,
        reason,
        action,
        note,
    } = notice;
    let event = Event {
        type_: if warning {
            EventType::Warning
        } else {
            EventType::Normal
        },
        reason,
        note: Some(cut(note, MAX_NOTE)),
        action,
        secondary: None,
    };
    // A recorder of its own each time: a shared one takes events of the same reason for
    // repetitions, whatever their note says, and repeats the first note. We publish only what is
    // new.
    let recorder = Recorder::new(
        client.clone(),
        Reporter {
            controller: MANAGER.into(),
            instance: None,
        },
    );
    if let Err(error) = request(recorder.publish(&event, about)).await {
        tracing::warn!(%error, reason = event.reason, "cannot publish an event");
    }
}

/// How many more events each object may have of each reason. An object or reason that is not
/// counted may have a full burst.
#[derive(Debug, Default)]
struct Budgets(HashMap<u64, Budget>);

#[derive(Clone, Copy, Debug)]
struct Budget {
    left: u32,
    /// When `left` was counted.
    since: Instant,
}

impl Budgets {
    /// Whether an object may have one more event of this reason.
    fn admit(&mut self, uid: &str, reason: &str, now: Instant) -> bool {
        let mut hasher = DefaultHasher::new();
        (uid, reason).hash(&mut hasher);
        let key = hasher.finish();
        if self.0.len() >= COUNTED && !self.0.contains_key(&key) {
            // The one that has most left is missed least.
            let least = self
                .0
                .iter()
                .max_by_key(|(_, budget)| (budget.left, std::cmp::Reverse(budget.since)))
                .map(|(key, _)| *key);
            least.and_then(|least| self.0.remove(&least));
        }
        let budget = self.0.entry(key).or_insert(Budget {
            left: BURST.0,
            since: now,
        });
        budget.refill(now);
        let admitted = budget.left > 0;
        budget.left = budget.left.saturating_sub(1);
        admitted
    }
}

impl Budget {
    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.since).as_secs() / BURST.1.as_secs();
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(passed);
        if self.left >= BURST.0 {
            *self = Self {
                left: BURST.0,
                since: now,
            };
        } else {
            self.since += BURST.1 * passed;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Mutex;

    use kube::client::Body;
    use tokio::sync::Semaphore;

    use super::*;

    #[test]
    fn an_object_has_a_burst_of_events_of_a_reason_and_then_one_in_five_minutes() {
        let (start, mut budgets) = (Instant::now(), Budgets::default());
        let mut admitted = |reason, minutes: u64| {
            budgets.admit("u-1", reason, start + Duration::from_secs(minutes * 60))
        };
        assert_eq!(
            (0..100).filter(|_| admitted("UpdateService", 0)).count(),
            25
        );
        assert!(admitted("TaskExited", 0), "each reason has its own budget");
        assert!(!admitted("UpdateService", 4));
        assert!(admitted("UpdateService", 5) && !admitted("UpdateService", 9));
        assert!(admitted("UpdateService", 10) && !admitted("UpdateService", 10));
        assert_eq!(
            (0..100)
                .filter(|_| admitted("UpdateService", 24 * 60))
                .count(),
            25
        );
    }

    #[test]
    fn the_number_of_counted_objects_is_bounded() {
        let (start, mut budgets) = (Instant::now(), Budgets::default());
        for number in 0..3 * COUNTED as u64 {
            assert!(budgets.admit(
                &number.to_string(),
                "UpdateService",
                start + Duration::from_millis(number)
            ));
        }
        assert_eq!(budgets.0.len(), COUNTED);
    }

    /// A client of an API server that accepts one event for each permit, and the reasons of the
    /// accepted events.
    fn client() -> (Client, Arc<Semaphore>, Arc<Mutex<Vec<String>>>) {
        let (permits, taken) = (
            Arc::new(Semaphore::new(0)),
            Arc::new(Mutex::new(Vec::new())),
        );
        let (gate, reasons) = (Arc::clone(&permits), Arc::clone(&taken));
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let (permits, taken) = (Arc::clone(&gate), Arc::clone(&reasons));
            async move {
                permits
                    .acquire()
                    .await
                    .expect("it is never closed")
                    .forget();
                let body = request.into_body().collect_bytes().await.expect("a body");
                let event: serde_json::Value = serde_json::from_slice(&body).expect("an event");
                taken
                    .lock()
                    .expect("no test panics with it")
                    .push(event["reason"].as_str().unwrap_or_default().to_owned());
                Ok::<_, Infallible>(http::Response::new(Body::from(body.to_vec())))
            }
        });
        (Client::new(service, "default"), permits, taken)
    }

    #[tokio::test]
    async fn a_slow_api_server_delays_no_caller_and_events_keep_their_order() {
        let (client, permits, taken) = client();
        let events = Events::start(&client);
        let about = ObjectReference {
            uid: Some("u-1".to_owned()),
            namespace: Some("default".to_owned()),
            ..Default::default()
        };
        let reasons: Vec<_> = (0..2 * WAITING)
            .map(|number| format!("Reason{number}"))
            .collect();
        for reason in &reasons {
            events.publish(&about, Notice::new(false, reason, ""));
        }
        permits.add_permits(reasons.len());
        events.flush().await;
        let taken = taken.lock().expect("no test panics with it").clone();
        assert_eq!(
            taken,
            reasons[..taken.len()],
            "in their order; those for which there was no room are lost"
        );
        assert!(taken.len() >= WAITING, "{}", taken.len());
    }
}
