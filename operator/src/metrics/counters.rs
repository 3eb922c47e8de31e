//! The registry of all metrics, and those that are counted.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use super::gauges::{Gauge, Gauges, Sample};
use super::labels::Labels;

/// Bucket borders in seconds; a call to ECS takes some 20 ms to several seconds.
const SECONDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Bucket borders of the wait for a turn in seconds: with a thousand services it is minutes.
const WAIT_SECONDS: [f64; 8] = [0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0];

/// Bucket borders of the number of objects in one read.
const BATCH: [f64; 7] = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0];

/// All metrics of the operator.
pub struct Metrics {
    registry: Registry,
    gauges: Gauges,
    reconciles: Family<Labels, Counter>,
    reconcile_seconds: Family<Labels, Histogram>,
    errors: Family<Labels, Counter>,
    repairs: Family<Labels, Counter>,
    narrowed: Family<Labels, Counter>,
    pub(super) aws_calls: Family<Labels, Counter>,
    pub(super) aws_seconds: Family<Labels, Histogram>,
    pub(super) write_wait_seconds: Family<Labels, Histogram>,
    pub(super) read_batch: Family<Labels, Histogram>,
    pub(super) queue_events: Family<Labels, Counter>,
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
        let gauges = Gauges::default();
        registry.register_collector(Box::new(gauges.clone()));
        gauges.register(Gauge::Build, || {
            vec![(vec![("version", env!("CARGO_PKG_VERSION").to_owned())], 1.0)]
        });
        let mut add = Register(&mut registry);
        Self {
            reconciles: add.metric("reconciles", "Reconciliations of an object, by kind and outcome", Family::default()),
            reconcile_seconds: add.metric(
                "reconcile_seconds",
                "Duration of a reconciliation, by kind",
                histograms(|| Histogram::new(SECONDS)),
            ),
            errors: add.metric(
                "reconcile_errors",
                "Reconciliations that ended in a failed AWS call, by kind and class of the error",
                Family::default(),
            ),
            repairs: add.metric("repairs", "Writes that repaired drift, by kind and operation", Family::default()),
            narrowed: add.metric(
                "status_narrowed",
                "Statuses written without the members that the served custom resource definition lacks, by kind",
                Family::default(),
            ),
            aws_calls: add.metric("aws_calls", "AWS calls, by service, operation and result", Family::default()),
            aws_seconds: add.metric(
                "aws_call_seconds",
                "Duration of an AWS call, by service and operation",
                histograms(|| Histogram::new(SECONDS)),
            ),
            write_wait_seconds: add.metric(
                "aws_write_wait_seconds",
                "Time that a write waited in the write queue, by service and operation",
                histograms(|| Histogram::new(WAIT_SECONDS)),
            ),
            read_batch: add.metric(
                "aws_read_batch",
                "Objects in one read call, by what is read",
                histograms(|| Histogram::new(BATCH)),
            ),
            queue_events: add.metric(
                "queue_events",
                "ECS events from the queue, by result: ours, not_ours, unreadable",
                Family::default(),
            ),
            registry,
            gauges,
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
        self.reconciles
            .get_or_create(&vec![
                ("kind", kind.to_owned()),
                ("outcome", outcome.to_owned()),
            ])
            .inc();
        self.reconcile_seconds
            .get_or_create(&vec![("kind", kind.to_owned())])
            .observe(took.as_secs_f64());
    }

    /// Counts a pass that an error of this class ended.
    pub fn failed(&self, kind: &str, class: &str) {
        self.errors
            .get_or_create(&vec![
                ("kind", kind.to_owned()),
                ("class", class.to_owned()),
            ])
            .inc();
    }

    /// Counts a write that set something back.
    pub fn repaired(&self, kind: &str, operation: &str) {
        self.repairs
            .get_or_create(&vec![
                ("kind", kind.to_owned()),
                ("operation", operation.to_owned()),
            ])
            .inc();
    }

    /// Counts a status that was written without the members that the served definition lacks.
    pub fn narrowed(&self, kind: &str) {
        self.narrowed
            .get_or_create(&vec![("kind", kind.to_owned())])
            .inc();
    }

    /// Has `source` read the values of a gauge.
    pub fn register(&self, gauge: Gauge, source: impl Fn() -> Vec<Sample> + Send + Sync + 'static) {
        self.gauges.register(gauge, source);
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
