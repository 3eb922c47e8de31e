//! Prometheus metrics.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ecs_operator_crds::v1beta1::shared::Status;
use kube::runtime::reflector::Store;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::k8s::conditions;
use crate::reconcile::{Kind, Stores};

/// Bucket borders in seconds; a call to ECS takes some 20 ms to several seconds.
const SECONDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

type Labels = Vec<(&'static str, String)>;

/// All metrics of the operator.
pub struct Metrics {
    registry: Mutex<Registry>,
    reconciles: Family<Labels, Counter>,
    reconcile_seconds: Family<Labels, Histogram>,
    aws_calls: Family<Labels, Counter>,
    aws_seconds: Family<Labels, Histogram>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(SECONDS);
        let mut registry = Registry::with_prefix("ecs_operator");
        let reconciles = Family::<Labels, Counter>::default();
        registry.register("reconciles", "Passes over an object, by kind and outcome", reconciles.clone());
        let reconcile_seconds = Family::<Labels, Histogram>::new_with_constructor(histogram);
        registry.register("reconcile_seconds", "Time of a pass, by kind", reconcile_seconds.clone());
        let aws_calls = Family::<Labels, Counter>::default();
        registry.register("aws_calls", "Calls to AWS, by operation and result", aws_calls.clone());
        let aws_seconds = Family::<Labels, Histogram>::new_with_constructor(histogram);
        registry.register("aws_call_seconds", "Time of a call to AWS with its retries, by operation", aws_seconds.clone());
        Self { registry: Mutex::new(registry), reconciles, reconcile_seconds, aws_calls, aws_seconds }
    }
}

impl Metrics {
    /// Counts a pass.
    pub fn reconciled(&self, kind: &str, outcome: &str, took: Duration) {
        self.reconciles.get_or_create(&vec![("kind", kind.to_owned()), ("outcome", outcome.to_owned())]).inc();
        self.reconcile_seconds.get_or_create(&vec![("kind", kind.to_owned())]).observe(took.as_secs_f64());
    }

    /// Counts a call to AWS. `result` is `ok` or the class of the fault.
    pub fn aws_call(&self, operation: &str, result: &str, took: Duration) {
        self.aws_calls.get_or_create(&vec![("operation", operation.to_owned()), ("result", result.to_owned())]).inc();
        self.aws_seconds.get_or_create(&vec![("operation", operation.to_owned())]).observe(took.as_secs_f64());
    }

    /// Has the objects in `stores` counted whenever metrics are asked for.
    pub fn count_objects(&self, stores: Stores) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register_collector(Box::new(Objects(stores)));
    }

    /// All metrics in the OpenMetrics text format.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut out = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing to a string cannot fail.
        let _ = text::encode(&mut out, &registry);
        out
    }
}

/// Counts objects by kind and by what their Ready condition says.
#[derive(Debug)]
struct Objects(Stores);

impl Collector for Objects {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Stores { clusters, task_definitions, services } = &self.0;
        let mut counts = BTreeMap::new();
        count(clusters, &mut counts);
        count(task_definitions, &mut counts);
        count(services, &mut counts);
        let help = "Custom resources, by kind and by status and reason of their Ready condition";
        let mut family = encoder.encode_descriptor("objects", help, None, MetricType::Gauge)?;
        for ((kind, ready, reason), objects) in counts {
            let labels: Labels = vec![("kind", kind), ("ready", ready), ("reason", reason)];
            ConstGauge::new(objects).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

fn count<K: Kind>(store: &Store<K>, counts: &mut BTreeMap<(String, String, String), i64>) {
    for object in store.state() {
        let ready = object.status().and_then(|status| conditions::ready(status.conditions()));
        let (status, reason) = ready.map_or(("Unknown", ""), |ready| (ready.status.as_str(), ready.reason.as_str()));
        *counts.entry((K::kind(&()).into_owned(), status.to_owned(), reason.to_owned())).or_default() += 1;
    }
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
        let text = metrics.encode();
        for line in [
            "ecs_operator_aws_calls_total{operation=\"CreateService\",result=\"throttle\"} 1",
            "ecs_operator_aws_call_seconds_count{operation=\"CreateService\"} 2",
            "ecs_operator_reconciles_total{kind=\"EcsService\",outcome=\"in_sync\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
