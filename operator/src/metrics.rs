//! Prometheus metrics. `docs/metrics.md` is made from what is registered here.

mod state;

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use crate::aws::Operation;
use state::Shared;
pub use state::State;

/// Bucket borders in seconds; a call to ECS takes some 20 ms to several seconds.
const SECONDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Bucket borders of the wait for a turn in seconds: with a thousand services it is minutes.
const WAIT_SECONDS: [f64; 8] = [0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0];

/// Bucket borders of the number of objects in one read.
const BATCH: [f64; 7] = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0];

type Labels = Vec<(&'static str, String)>;

/// All metrics of the operator.
pub struct Metrics {
    registry: Registry,
    state: Arc<State>,
    reconciles: Family<Labels, Counter>,
    reconcile_seconds: Family<Labels, Histogram>,
    faults: Family<Labels, Counter>,
    repairs: Family<Labels, Counter>,
    narrowed: Family<Labels, Counter>,
    aws_calls: Family<Labels, Counter>,
    aws_seconds: Family<Labels, Histogram>,
    write_wait_seconds: Family<Labels, Histogram>,
    read_batch: Family<Labels, Histogram>,
    hints: Family<Labels, Counter>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// A family of histograms with these bucket borders.
fn histograms(new: fn() -> Histogram) -> Family<Labels, Histogram> {
    Family::new_with_constructor(new)
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("ecs_operator");
        let state = Arc::new(State::default());
        registry.register_collector(Box::new(Shared(Arc::clone(&state))));
        let mut add = Register(&mut registry);
        Self {
            reconciles: add.metric("reconciles", "Passes over an object, by kind and outcome", Family::default()),
            reconcile_seconds: add.metric("reconcile_seconds", "Time of a pass, by kind", histograms(|| Histogram::new(SECONDS))),
            faults: add.metric("faults", "Passes that a call to AWS ended, by kind and class of the fault", Family::default()),
            repairs: add.metric(
                "repairs",
                "Writes that set back what somebody else had changed, by kind and operation",
                Family::default(),
            ),
            narrowed: add.metric(
                "status_narrowed",
                "Statuses written without the members that the served custom resource definition lacks, by kind",
                Family::default(),
            ),
            aws_calls: add.metric("aws_calls", "Calls to AWS, by operation and result", Family::default()),
            aws_seconds: add.metric(
                "aws_call_seconds",
                "Time of a call to AWS, by operation",
                histograms(|| Histogram::new(SECONDS)),
            ),
            write_wait_seconds: add.metric(
                "aws_write_wait_seconds",
                "Time that a write waited for its turn in our share of the quota, by operation",
                histograms(|| Histogram::new(WAIT_SECONDS)),
            ),
            read_batch: add.metric(
                "aws_read_batch",
                "Objects that were read together, by what they are",
                histograms(|| Histogram::new(BATCH)),
            ),
            hints: add.metric("hints", "Events of ECS from the queue, by result: ours, not_ours, unreadable", Family::default()),
            registry,
            state,
        }
    }
}

struct Register<'a>(&'a mut Registry);

impl Register<'_> {
    /// Registers a metric and answers it.
    fn metric<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }
}

impl Metrics {
    /// Counts a pass.
    pub fn reconciled(&self, kind: &str, outcome: &str, took: Duration) {
        self.reconciles.get_or_create(&vec![("kind", kind.to_owned()), ("outcome", outcome.to_owned())]).inc();
        self.reconcile_seconds.get_or_create(&vec![("kind", kind.to_owned())]).observe(took.as_secs_f64());
    }

    /// Counts a pass that a fault of this class ended.
    pub fn failed(&self, kind: &str, class: &str) {
        self.faults.get_or_create(&vec![("kind", kind.to_owned()), ("class", class.to_owned())]).inc();
    }

    /// Counts a write that set something back.
    pub fn repaired(&self, kind: &str, operation: Operation) {
        self.repairs.get_or_create(&vec![("kind", kind.to_owned()), ("operation", operation.to_string())]).inc();
    }

    /// Counts a status that was written without the members that the served definition lacks.
    pub fn narrowed(&self, kind: &str) {
        self.narrowed.get_or_create(&vec![("kind", kind.to_owned())]).inc();
    }

    /// Counts a call to AWS. `result` is `ok` or the class of the fault.
    pub fn aws_call(&self, operation: &str, result: &str, took: Duration) {
        self.aws_calls.get_or_create(&vec![("operation", operation.to_owned()), ("result", result.to_owned())]).inc();
        self.aws_seconds.get_or_create(&vec![("operation", operation.to_owned())]).observe(took.as_secs_f64());
    }

    /// Notes how long a write waited for its turn.
    pub fn write_waited(&self, operation: Operation, waited: Duration) {
        self.write_wait_seconds.get_or_create(&vec![("operation", operation.to_string())]).observe(waited.as_secs_f64());
    }

    /// Notes how many objects were read together.
    pub fn read_together(&self, what: &str, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.read_batch.get_or_create(&vec![("what", what.to_owned())]).observe(count.into());
    }

    /// Counts an event from the queue.
    pub fn hinted(&self, result: &str) {
        self.hints.get_or_create(&vec![("result", result.to_owned())]).inc();
    }

    /// Notes whether the event queue can be read.
    pub fn queue_is_read(&self, up: bool) {
        *self.state.queue_up.lock().unwrap_or_else(PoisonError::into_inner) = Some(up);
    }

    /// Each metric counted once: those that were never counted are not encoded.
    fn each_once() -> Self {
        let (metrics, operation, time) = (Self::default(), Operation::CreateService, Duration::ZERO);
        metrics.reconciled("", "", time);
        metrics.failed("", "");
        metrics.repaired("", operation);
        metrics.narrowed("");
        metrics.aws_call("", "", time);
        metrics.write_waited(operation, time);
        metrics.read_together("", 1);
        metrics.hinted("");
        metrics
    }

    /// What is looked at whenever metrics are asked for.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// All metrics in the OpenMetrics text format.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }
}

/// The page `docs/metrics.md`: every metric that is registered.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(
        "# Metrics\n\nServed as OpenMetrics at `/metrics` on `--http-address`. Counters end in `_total`; histograms have `_bucket`, `_sum` \
         and `_count`. Made by `make generate` from `operator/src/metrics.rs`.\n\n| metric | type | meaning |\n|---|---|---|\n",
    );
    let text = Metrics::each_once().encode();
    for line in text.lines() {
        let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|line| line.trim_end_matches('.').split_once(' ')) else {
            continue;
        };
        let type_ = text.lines().find_map(|line| line.strip_prefix(&format!("# TYPE {name} "))).unwrap_or_default();
        page.extend(["| `", name, "` | ", type_, " | ", help, " |\n"]);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_passes_are_counted_by_label() {
        let metrics = Metrics::default();
        metrics.aws_call("CreateService", "ok", Duration::from_millis(20));
        metrics.aws_call("CreateService", "throttle", Duration::from_millis(20));
        metrics.reconciled("EcsService", "in_sync", Duration::from_millis(1));
        metrics.read_together("services", 7);
        let text = metrics.encode();
        for line in [
            "ecs_operator_aws_calls_total{operation=\"CreateService\",result=\"throttle\"} 1",
            "ecs_operator_aws_call_seconds_count{operation=\"CreateService\"} 2",
            "ecs_operator_reconciles_total{kind=\"EcsService\",outcome=\"in_sync\"} 1",
            "ecs_operator_aws_read_batch_bucket{le=\"10.0\",what=\"services\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
