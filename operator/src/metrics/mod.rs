//! Prometheus metrics. `docs/metrics.md` is made from what is registered here.

mod aws;
mod counters;
mod gauges;
mod labels;
mod page;

pub use aws::AwsMetrics;
pub use counters::Metrics;
pub use gauges::{Gauge, Sample};
pub use labels::Labels;
pub use page::page;
