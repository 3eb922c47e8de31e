//! Metrics that are not counted but read when they are asked for. The parts of the operator that know a value register it.

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
        "1 for each kind that is looked after, 0 while its definition or the rights to read it are missing, be it in one namespace",
    ),
    (Gauge::Objects, "objects", "Custom resources, by kind and by status and reason of their Ready condition"),
    (
        Gauge::AwsWriteRate,
        "aws_write_rate",
        "Writes per second that we allow ourselves at present, by family of operations; less than our share after AWS has throttled",
    ),
    (
        Gauge::AwsWriteQueue,
        "aws_write_queue",
        "Objects that wait for their turn to write, by family of operations and by whether somebody asked for it or it is a repair",
    ),
    (
        Gauge::ObservationAge,
        "observation_age_seconds",
        "Age of the oldest answer of AWS among those that are kept fresh, by what it is about",
    ),
    (Gauge::Leader, "leader", "1 in the replica that works, 0 in the others"),
    (Gauge::EventQueueUp, "event_queue_up", "1 while the event queue can be read, 0 while it cannot; absent where there is none"),
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
    pub(super) fn register(&self, gauge: Gauge, source: impl Fn() -> Vec<Sample> + Send + Sync + 'static) {
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
            let samples: Vec<_> = self.lock().get(&gauge).into_iter().flatten().flat_map(|source| source()).collect();
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
