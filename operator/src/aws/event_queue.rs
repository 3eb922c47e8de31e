//! EventQueue: events of ECS, from an SQS queue that EventBridge fills.
//!
//! An event never says how things are, only where to look next: the service that it is about is read again soon, in a batch with others,
//! and triggers its object if something changed. So events may come twice, late, in any order, or not at all.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_config::timeout::TimeoutConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message};
use aws_types::SdkConfig;
use serde_json::Value;

use super::account::Aws;
use super::name_in;
use super::observer::{Observer, ServiceKey};
use crate::Error;
use crate::leadership::Leadership;
use crate::metrics::{AwsMetrics, Gauge};
use crate::readiness::Readiness;

/// How long SQS may hold a request back until there is a message; the most that it allows.
const LONG_POLL: i32 = 20;

/// Longest time that a call may take: more than SQS holds it back.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Most messages in one reply of SQS.
const MESSAGES: i32 = 10;

/// Most ARNs that are taken from one event; those of ECS name a handful.
const ARNS: usize = 100;

/// First and longest wait after trouble with the queue.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// What `/readyz` says of the queue. Without it the operator works as well, only slower.
const NEED: &str = "event-queue";

/// The queue of ECS events.
#[derive(Debug)]
pub struct EventQueue {
    client: Client,
    queue_url: String,
    metrics: AwsMetrics,
    /// Whether the queue can be read; `None` before it was tried.
    is_up: Arc<Mutex<Option<bool>>>,
    readiness: Arc<Readiness>,
}

impl EventQueue {
    /// Events from the queue at `queue_url`, with the credentials of `config`.
    ///
    /// # Errors
    /// When the queue lies in another Region than the ECS objects: EventBridge delivers within a Region.
    pub fn new(config: &SdkConfig, queue_url: String, metrics: AwsMetrics, readiness: Arc<Readiness>) -> Result<Self, Error> {
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        if let Some(queue_region) = region_of(&queue_url).filter(|queue_region| *queue_region != region) {
            return Err(Error::QueueRegion { queue_region: queue_region.to_owned(), region });
        }
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(TIMEOUT).build();
        let sqs = aws_sdk_sqs::config::Builder::from(config).timeout_config(timeouts).build();
        let is_up = Arc::<Mutex<Option<bool>>>::default();
        let read = Arc::clone(&is_up);
        metrics.register(Gauge::EventQueueUp, move || {
            let is_up = *read.lock().unwrap_or_else(PoisonError::into_inner);
            is_up.map(|is_up| (Vec::new(), f64::from(u8::from(is_up)))).into_iter().collect()
        });
        Ok(Self { client: Client::from_conf(sqs), queue_url, metrics, is_up, readiness })
    }

    /// Takes events out of the queue for ever, once this replica is the leader.
    pub async fn follow(self, leadership: Leadership, aws: Arc<Aws>) {
        leadership.acquired().await;
        let observer = &aws.observer;
        let mut wait = BACKOFF.0;
        // An answer at once at first, to know whether the queue can be read at all.
        let mut long_poll = 0;
        loop {
            match self.receive(observer, long_poll).await {
                Ok(()) => {
                    (wait, long_poll) = (BACKOFF.0, LONG_POLL);
                    self.tell(Ok(()));
                }
                Err(problem) => {
                    long_poll = 0;
                    self.tell(Err(format!("{problem}; until then changes are found by regular polls")));
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(BACKOFF.1);
                }
            }
        }
    }

    fn tell(&self, state: Result<(), String>) {
        *self.is_up.lock().unwrap_or_else(PoisonError::into_inner) = Some(state.is_ok());
        if self.readiness.note(NEED, state.clone())
            && let Err(problem) = state
        {
            tracing::warn!("{problem}");
        }
    }

    fn count(&self, operation: &str, ok: bool, started: Instant) {
        self.metrics.called(["sqs", operation], if ok { "ok" } else { "failed" }, started.elapsed());
    }

    /// One reply of the queue.
    async fn receive(&self, observer: &Observer, long_poll: i32) -> Result<(), String> {
        let problem = |what: &str, error: &dyn std::error::Error| {
            format!("cannot {what} {}: {}", self.queue_url, DisplayErrorContext(error))
        };
        let request = self
            .client
            .receive_message()
            .queue_url(&self.queue_url)
            .max_number_of_messages(MESSAGES)
            .wait_time_seconds(long_poll);
        let (started, sent) = (Instant::now(), request.send().await);
        self.count("ReceiveMessage", sent.is_ok(), started);
        let reply = sent.map_err(|error| problem("read the event queue", &error))?;
        let messages = reply.messages();
        for message in messages {
            let meant = message.body().and_then(|body| serde_json::from_str(body).ok()).map(|event| services(&event));
            let result = match &meant {
                None => "unreadable",
                Some(services) if services.iter().filter(|service| observer.hint(service)).count() == 0 => "not_ours",
                Some(_) => "ours",
            };
            self.metrics.queue_event(result);
        }
        let entries: Vec<_> = messages.iter().enumerate().filter_map(entry).collect();
        if !entries.is_empty() {
            let request = self.client.delete_message_batch().queue_url(&self.queue_url).set_entries(Some(entries));
            let (started, sent) = (Instant::now(), request.send().await);
            self.count("DeleteMessageBatch", sent.is_ok(), started);
            sent.map_err(|error| problem("delete from the event queue", &error))?;
        }
        Ok(())
    }
}

fn entry((index, message): (usize, &Message)) -> Option<DeleteMessageBatchRequestEntry> {
    DeleteMessageBatchRequestEntry::builder().id(index.to_string()).receipt_handle(message.receipt_handle()?).build().ok()
}

/// The Region in `https://sqs.REGION.amazonaws.com/…`; of other addresses it is not known.
fn region_of(queue_url: &str) -> Option<&str> {
    queue_url.strip_prefix("https://sqs.")?.split('.').next()
}

/// The services that an event is about. Source: "Amazon ECS events", ECS developer guide.
fn services(event: &Value) -> Vec<ServiceKey> {
    let detail = &event["detail"];
    let listed = event["resources"].as_array().into_iter().flatten();
    let named = [&detail["serviceArn"], &detail["serviceDeploymentArn"]];
    let arns = named.into_iter().chain(listed).filter_map(Value::as_str);
    let mut services: Vec<_> = arns.take(ARNS).filter_map(service_in).collect();
    // A task says by its group which service it is of.
    let group = detail["group"].as_str().and_then(|group| group.strip_prefix("service:"));
    if let (Some(name), Some(cluster)) = (group, detail["clusterArn"].as_str()) {
        services.push(ServiceKey { cluster: name_in(cluster).to_owned(), name: name.to_owned() });
    }
    services.sort();
    services.dedup();
    services
}

/// The service in `arn:…:service/CLUSTER/NAME` or `arn:…:service-deployment/CLUSTER/NAME/ID`.
fn service_in(arn: &str) -> Option<ServiceKey> {
    let (_, resource) = arn.rsplit_once(':')?;
    let mut parts = resource.split('/');
    let (kind, cluster, name) = (parts.next()?, parts.next()?, parts.next()?);
    matches!(kind, "service" | "service-deployment").then(|| ServiceKey { cluster: cluster.to_owned(), name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn named(event: &Value) -> Vec<String> {
        services(event).iter().map(|key| format!("{}/{}", key.cluster, key.name)).collect()
    }

    #[test]
    fn every_kind_of_event_names_its_service() {
        let arn = |resource: &str| format!("arn:aws:ecs:eu-central-1:111122223333:{resource}");
        let task = json!({"detail-type": "ECS Task State Change", "resources": [arn("task/shop/0123")],
            "detail": {"clusterArn": arn("cluster/shop"), "group": "service:web", "lastStatus": "STOPPED"}});
        let action = json!({"detail-type": "ECS Service Action", "resources": [arn("service/shop/web")],
            "detail": {"eventName": "SERVICE_STEADY_STATE", "clusterArn": arn("cluster/shop")}});
        let hook = json!({"detail-type": "ECS Hook State Change", "resources": [arn("service-deployment/shop/web/x1")],
            "detail": {"serviceArn": arn("service/shop/web")}});
        for event in [task, action, hook] {
            assert_eq!(named(&event), ["shop/web"], "{event}");
        }
    }

    #[test]
    fn a_long_event_is_not_read_to_its_end() {
        let arn = |number: usize| format!("arn:aws:ecs:eu-central-1:111122223333:service/shop/web-{number}");
        let event = json!({"resources": (0..10 * ARNS).map(arn).collect::<Vec<_>>()});
        assert_eq!(services(&event).len(), ARNS);
    }

    #[test]
    fn what_is_about_no_service_names_none() {
        let group = json!({"detail": {"clusterArn": "arn:aws:ecs:e:1:cluster/shop", "group": "family:job"}});
        let old = json!({"resources": ["arn:aws:ecs:eu-central-1:111122223333:service/web"]});
        for event in [group, old, json!({}), json!([1]), json!("text"), json!({"resources": 7, "detail": [null]})] {
            assert_eq!(named(&event), [""; 0], "{event}");
        }
    }
}
