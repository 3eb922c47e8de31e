//! The metrics of one account and Region.

use std::sync::Arc;
use std::time::Duration;

use super::counters::Metrics;
use super::gauges::{Gauge, Sample};
use super::labels::Labels;

/// Counts what one account and Region does; all its metrics have the labels `account` and `region`.
#[derive(Clone, Debug)]
pub struct AwsMetrics {
    metrics: Arc<Metrics>,
    scope: [(&'static str, String); 2],
}

impl AwsMetrics {
    /// Metrics of the account with this name, in this Region.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, account: &str, region: &str) -> Self {
        Self {
            metrics,
            scope: [
                ("account", account.to_owned()),
                ("region", region.to_owned()),
            ],
        }
    }

    /// Counts a call of an operation of a service. `result` is `ok` or the kind of the error.
    pub fn called(&self, [service, operation]: [&str; 2], result: &str, took: Duration) {
        let called = [
            ("service", service.to_owned()),
            ("operation", operation.to_owned()),
        ];
        let [service, operation] = called.clone();
        let labels = self.labels([service, operation, ("result", result.to_owned())]);
        self.metrics.aws_calls.get_or_create(&labels).inc();
        let labels = self.labels(called);
        self.metrics
            .aws_seconds
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
    }

    /// Notes how long a write waited for its turn.
    pub fn write_waited(&self, [service, operation]: [&str; 2], waited: Duration) {
        let labels = self.labels([
            ("service", service.to_owned()),
            ("operation", operation.to_owned()),
        ]);
        self.metrics
            .write_wait_seconds
            .get_or_create(&labels)
            .observe(waited.as_secs_f64());
    }

    /// Notes how many objects were read together.
    pub fn read_together(&self, what: &str, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.metrics
            .read_batch
            .get_or_create(&self.labels([("what", what.to_owned())]))
            .observe(count.into());
    }

    /// Counts an event from the queue.
    pub fn queue_event(&self, result: &str) {
        self.metrics
            .queue_events
            .get_or_create(&self.labels([("result", result.to_owned())]))
            .inc();
    }

    /// Has `source` read the values of a gauge.
    pub fn register(&self, gauge: Gauge, source: impl Fn() -> Vec<Sample> + Send + Sync + 'static) {
        let scope = self.scope.clone();
        let with_scope = move |(labels, value): Sample| {
            (labels.into_iter().chain(scope.clone()).collect(), value)
        };
        self.metrics.register(gauge, move || {
            source().into_iter().map(&with_scope).collect()
        });
    }

    fn labels<const N: usize>(&self, own: [(&'static str, String); N]) -> Labels {
        own.into_iter().chain(self.scope.clone()).collect()
    }
}
