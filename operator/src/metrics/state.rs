//! Metrics that are not counted but looked at when they are asked for.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use super::Labels;
use crate::aws::observer::Ages;
use crate::aws::writer::Budget;
use crate::k8s::leader::Leadership;
use crate::reconcile::Stores;

/// What is looked at; each is set once, when it is there.
#[derive(Debug, Default)]
pub struct State {
    /// The custom resources.
    pub stores: OnceLock<Stores>,
    /// What is left of the quotas.
    pub budget: OnceLock<Budget>,
    /// How old the observer's answers are.
    pub ages: OnceLock<Ages>,
    /// Whether this process is the leader.
    pub leadership: OnceLock<Leadership>,
    /// Whether the event queue can be read, where there is one.
    pub(super) queue_up: Mutex<Option<bool>>,
}

/// The state as the registry holds it.
#[derive(Debug)]
pub(super) struct Shared(pub(super) Arc<State>);

impl Collector for Shared {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(state) = self;
        state.objects(&mut encoder)?;
        state.budget(&mut encoder)?;
        let mut gauge = |name, help, values| gauges(&mut encoder, name, help, values);
        let ages = state.ages.get().map(Ages::oldest).unwrap_or_default();
        let ages = ages.into_iter().map(|(what, age)| (vec![("what", what.to_owned())], age.as_secs_f64()));
        gauge(
            "observation_age_seconds",
            "Age of the oldest answer of AWS among those that are kept fresh, by what it is about",
            ages.collect(),
        )?;
        let leads = state.leadership.get().map(|leadership| (Vec::new(), f64::from(u8::from(leadership.holds()))));
        gauge("leader", "1 in the replica that works, 0 in the others", leads.into_iter().collect())?;
        let up = *state.queue_up.lock().unwrap_or_else(PoisonError::into_inner);
        let help = "1 while the event queue can be read, 0 while it cannot; absent where there is none";
        gauge("event_queue_up", help, up.map(|up| (Vec::new(), f64::from(u8::from(up)))).into_iter().collect())?;
        let build = vec![(vec![("version", env!("CARGO_PKG_VERSION").to_owned())], 1.0)];
        gauge("build", "Always 1; the version is its label", build)
    }
}

impl State {
    /// Sets what is looked at, once.
    pub fn observe(&self, stores: Stores, leadership: Leadership, ages: Ages) {
        let _ = self.stores.set(stores);
        let _ = self.leadership.set(leadership);
        let _ = self.ages.set(ages);
    }

    fn objects(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let kinds = self.stores.get().map(Stores::kinds).unwrap_or_default();
        let on = kinds.into_iter().map(|(kind, is_on)| (vec![("kind", kind)], f64::from(u8::from(is_on)))).collect();
        let help = "1 for each kind that is looked after, 0 while its definition or the rights to read it are missing, be it in one namespace";
        gauges(encoder, "kind_up", help, on)?;
        let labels = |(kind, (ready, reason))| vec![("kind", kind), ("ready", ready), ("reason", reason)];
        let counts = self.stores.get().map(Stores::ready).unwrap_or_default();
        let counts = counts.into_iter().map(|(key, objects)| (labels(key), f64::from(objects)));
        gauges(
            encoder,
            "objects",
            "Custom resources, by kind and by status and reason of their Ready condition",
            counts.collect(),
        )
    }

    fn budget(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let standing = self.budget.get().map(Budget::standing).unwrap_or_default();
        let family = |family| ("family", format!("{family:?}"));
        let rates = standing.iter().map(|family_| (vec![family(family_.family)], family_.rate));
        let help = "Writes per second that we allow ourselves at present, by family of operations; less than our share after AWS has throttled";
        gauges(encoder, "aws_write_rate", help, rates.collect())?;
        let queues = standing.iter().flat_map(|one| {
            [("asked", one.asked), ("repair", one.repairs)].map(|(urgency, waiting)| {
                let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
                (vec![family(one.family), ("urgency", urgency.to_owned())], f64::from(waiting))
            })
        });
        let help = "Objects that wait for their turn to write, by family of operations and by whether somebody asked for it or it is a repair";
        gauges(encoder, "aws_write_queue", help, queues.collect())
    }
}

fn gauges(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, values: Vec<(Labels, f64)>) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        if labels.is_empty() {
            return ConstGauge::new(value).encode(family);
        }
        ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}
