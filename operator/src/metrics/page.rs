//! The page `docs/metrics.md`.

use std::sync::Arc;
use std::time::Duration;

use super::aws::AwsMetrics;
use super::counters::Metrics;

/// The page `docs/metrics.md`: every metric that is registered.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(
        "# Metrics\n\nServed as OpenMetrics at `/metrics` on `--http-address`. Counters end in `_total`; histograms have `_bucket`, `_sum` \
         and `_count`. Made by `make generate` from `operator/src/metrics`.\n\n| metric | type | meaning |\n|---|---|---|\n",
    );
    let text = each_once().encode();
    for line in text.lines() {
        let Some((name, help)) = line
            .strip_prefix("# HELP ")
            .and_then(|line| line.trim_end_matches('.').split_once(' '))
        else {
            continue;
        };
        let type_ = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("# TYPE {name} ")))
            .unwrap_or_default();
        page.extend(["| `", name, "` | ", type_, " | ", help, " |\n"]);
    }
    page
}

/// Each metric counted once: those that were never counted are not encoded.
fn each_once() -> Arc<Metrics> {
    let (metrics, time) = (Arc::new(Metrics::default()), Duration::ZERO);
    metrics.reconciled("", "", time);
    metrics.failed("", "");
    metrics.repaired("", "");
    metrics.narrowed("");
    let aws = AwsMetrics::new(Arc::clone(&metrics), "", "");
    aws.called(["", ""], "", time);
    aws.write_waited(["", ""], time);
    aws.read_together("", 1);
    aws.queue_event("");
    metrics
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Gauge;

    #[test]
    fn calls_and_passes_are_counted_by_label() {
        let metrics = Arc::new(Metrics::default());
        let aws = AwsMetrics::new(Arc::clone(&metrics), "default", "eu-central-1");
        aws.called(["ecs", "CreateService"], "ok", Duration::from_millis(20));
        aws.called(
            ["ecs", "CreateService"],
            "throttle",
            Duration::from_millis(20),
        );
        metrics.reconciled("EcsService", "in_sync", Duration::from_millis(1));
        aws.read_together("services", 7);
        aws.register(Gauge::AwsWriteRate, || {
            vec![(vec![("family", "ServiceModify".to_owned())], 2.5)]
        });
        let text = metrics.encode();
        for line in [
            "ecs_operator_aws_calls_total{service=\"ecs\",operation=\"CreateService\",result=\"throttle\",account=\"default\",region=\"eu-central-1\"} 1",
            "ecs_operator_aws_call_seconds_count{service=\"ecs\",operation=\"CreateService\",account=\"default\",region=\"eu-central-1\"} 2",
            "ecs_operator_reconciles_total{kind=\"EcsService\",outcome=\"in_sync\"} 1",
            "ecs_operator_aws_read_batch_bucket{le=\"10.0\",what=\"services\",account=\"default\",region=\"eu-central-1\"} 1",
            "ecs_operator_aws_write_rate{family=\"ServiceModify\",account=\"default\",region=\"eu-central-1\"} 2.5",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
