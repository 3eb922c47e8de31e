//! Metrics that are not counted but read when they are asked for. The parts of the operator that
//! know a value register it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use super::Labels;

/// A value that is read when it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "GAUGES says what each of them is")]
pub enum Gauge {
    KindUp,
    Objects,
    AwsWriteRate,
    AwsWriteQueue,
    ObservationAge,
    Leader,
    EventQueueUp,
    Build,
}

/// Name and help of each gauge.
const GAUGES: [(Gauge, &str, &str); 8] = [
    (
        Gauge::KindUp,
        "kind_up",
        "1 if the kind is served, 0 if its definition or the rights to list it are missing in any namespace",
    ),
    (
        Gauge::Objects,
        "objects",
        "Custom resources, by kind and by status and reason of their Ready condition",
    ),
    (
        Gauge::AwsWriteRate,
        "aws_write_rate",
        "Current limit of writes per second, by family of operations; lower than the configured share after AWS throttled",
    ),
    (
        Gauge::AwsWriteQueue,
        "aws_write_queue",
        "Objects in the write queue, by family of operations and by priority: user or repair",
    ),
    (
        Gauge::ObservationAge,
        "observation_age_seconds",
        "Age of the oldest observation among those that are polled, by what is observed",
    ),
    (
        Gauge::Leader,
        "leader",
        "1 in the leader, 0 in the standby replicas",
    ),
    (
        Gauge::EventQueueUp,
        "event_queue_up",
        "1 while the event queue can be read, 0 while it cannot; absent where there is none",
    ),
    (Gauge::Build, "build", "Always 1; the version is its label"),
];

/// A value and its labels.
pub type Sample = (Labels, f64);

/// Reads the values of a gauge.
type Source = Box<dyn Fn() -> Vec<Sample> + Send + Sync>;

/// What reads each gauge. A gauge may have several sources: one for each account and Region.
#[derive(Clone, Default)]
pub(super) struct Gauges(Arc<Mutex<HashMap<Gauge, Vec<Source>>>>);

impl Gauges {
    pub(super) fn register(
        &self,
        gauge: Gauge,
        source: impl Fn() -> Vec<Sample> + Send + Sync + 'static,
    ) {
        self.lock().entry(gauge).or_default().push(Box::new(source));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Gauge, Vec<Source>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Gauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.lock().keys()).finish()
    }
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (gauge, name, help) in GAUGES {
            let samples: Vec<_> = self
                .lock()
                .get(&gauge)
                .into_iter()
                .flatten()
                .flat_map(|source| source())
                .collect();
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (labels, value) in samples {
                if labels.is_empty() {
                    ConstGauge::new(value).encode(family)?;
                    break;
                }
                ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
