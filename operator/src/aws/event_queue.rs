//! EventQueue: events of ECS, from an SQS queue that EventBridge fills.
//!
//! An event never says how things are, only where to look next: the service that it is about is
//! read again soon, in a batch with others, and triggers its object if something changed. So events
//! may come twice, late, in any order, or not at all.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::account::Aws;
use super::ecs;
use super::observer::Observer;
use crate::Error;
use crate::leadership::Leadership;
use crate::metrics::{AwsMetrics, Gauge};
use crate::readiness::Readiness;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message};
use aws_types::SdkConfig;

/// How long SQS may hold a request back until there is a message; the most that it allows.
const LONG_POLL: i32 = 20;

/// Longest time that a call may take: more than SQS holds it back.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Most messages in one reply of SQS.
const MESSAGES: i32 = 10;

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
    /// When the queue lies in another Region than the ECS objects: EventBridge delivers within a
    /// Region.
    pub fn new(
        config: &SdkConfig,
        queue_url: String,
        metrics: AwsMetrics,
        readiness: Arc<Readiness>,
    ) -> Result<Self, Error> {
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        if let Some(queue_region) =
            region_of(&queue_url).filter(|queue_region| *queue_region != region)
        {
            return Err(Error::QueueRegion {
                queue_region: queue_region.to_owned(),
                region,
            });
        }
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(TIMEOUT)
            .build();
        let sqs = aws_sdk_sqs::config::Builder::from(config)
            .timeout_config(timeouts)
            .build();
        let is_up = Arc::<Mutex<Option<bool>>>::default();
        let read = Arc::clone(&is_up);
        metrics.register(Gauge::EventQueueUp, move || {
            let is_up = *read.lock().unwrap_or_else(PoisonError::into_inner);
            is_up
                .map(|is_up| (Vec::new(), f64::from(u8::from(is_up))))
                .into_iter()
                .collect()
        });
        Ok(Self {
            client: Client::from_conf(sqs),
            queue_url,
            metrics,
            is_up,
            readiness,
        })
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
                    self.tell(Err(format!(
                        "{problem}; until then changes are found by regular polls"
                    )));
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
        self.metrics.called(
            ["sqs", operation],
            if ok { "ok" } else { "failed" },
            started.elapsed(),
        );
    }

    /// One reply of the queue.
    async fn receive(&self, observer: &Observer, long_poll: i32) -> Result<(), String> {
        let problem = |what: &str, error: &dyn std::error::Error| {
            format!(
                "cannot {what} {}: {}",
                self.queue_url,
                DisplayErrorContext(error)
            )
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
            let event = message
                .body()
                .and_then(|body| serde_json::from_str(body).ok());
            let result = match event.map(|event| ecs::hint(observer, &event)) {
                None => "unreadable",
                Some(true) => "ours",
                Some(false) => "not_ours",
            };
            self.metrics.queue_event(result);
        }
        let entries: Vec<_> = messages.iter().enumerate().filter_map(entry).collect();
        if !entries.is_empty() {
            let request = self
                .client
                .delete_message_batch()
                .queue_url(&self.queue_url)
                .set_entries(Some(entries));
            let (started, sent) = (Instant::now(), request.send().await);
            self.count("DeleteMessageBatch", sent.is_ok(), started);
            sent.map_err(|error| problem("delete from the event queue", &error))?;
        }
        Ok(())
    }
}

fn entry((index, message): (usize, &Message)) -> Option<DeleteMessageBatchRequestEntry> {
    DeleteMessageBatchRequestEntry::builder()
        .id(index.to_string())
        .receipt_handle(message.receipt_handle()?)
        .build()
        .ok()
}

/// The Region in `https://sqs.REGION.amazonaws.com/…`; of other addresses it is not known.
fn region_of(queue_url: &str) -> Option<&str> {
    queue_url.strip_prefix("https://sqs.")?.split('.').next()
}
