//! What was called so far: AWS by the AWS proxy, the API server by its own metrics.

use std::time::Instant;

use anyhow::{Context, Result};

use super::load::Load;
use super::{PATIENCE, QUIET};
use crate::wait;

/// Counts of calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Meter {
    /// Calls that change AWS.
    pub(super) aws_writes: usize,
    /// Calls that read AWS.
    pub(super) aws_reads: usize,
    /// Calls that AWS, or who stands for it, refused.
    pub(super) throttled: usize,
    /// What the operator wrote to the API server: finalizers, statuses and events.
    pub(super) kube_writes: usize,
    /// What it read there, object by object.
    pub(super) kube_gets: usize,
}

impl Meter {
    /// What was called until now.
    pub(super) async fn read(load: &Load<'_>) -> Result<Self> {
        let counts = load.counts();
        let request = axum::http::Request::get("/metrics").body(Vec::new())?;
        let metrics = load.client().request_text(request).await?;
        let mut meter = Self {
            aws_writes: counts.writes(),
            aws_reads: counts.reads(),
            throttled: counts.operations.values().map(|count| count.errors).sum(),
            ..Self::default()
        };
        for line in metrics
            .lines()
            .filter(|line| line.starts_with("apiserver_request_total{"))
        {
            let label = |name: &str| {
                line.split(&format!("{name}=\""))
                    .nth(1)
                    .and_then(|rest| rest.split('"').next())
                    .unwrap_or_default()
            };
            let count = line
                .rsplit(' ')
                .next()
                .and_then(|count| count.parse::<f64>().ok())
                .context("a count")?;
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "counts are small and whole"
            )]
            let count = count as usize;
            match (
                label("group"),
                label("resource"),
                label("verb"),
                label("subresource"),
            ) {
                // Our own applies and deletions.
                ("ecs-operator.dev", _, "APPLY", "")
                | ("ecs-operator.dev", _, "DELETE" | "DELETECOLLECTION" | "POST", _) => {}
                ("ecs-operator.dev", _, "APPLY" | "PATCH" | "PUT", _)
                | (_, "events", "POST" | "PATCH", _) => {
                    meter.kube_writes += count;
                }
                ("ecs-operator.dev", _, "GET", _) => meter.kube_gets += count,
                _ => {}
            }
        }
        Ok(meter)
    }

    /// What was called after `before`.
    pub(super) fn since(&self, before: &Self) -> Self {
        Self {
            aws_writes: self.aws_writes - before.aws_writes,
            aws_reads: self.aws_reads - before.aws_reads,
            throttled: self.throttled - before.throttled,
            kube_writes: self.kube_writes - before.kube_writes,
            kube_gets: self.kube_gets - before.kube_gets,
        }
    }
}

/// Awaits that nothing is called for a while.
pub(super) async fn quiet(load: &Load<'_>) -> Result<Meter> {
    let mut last = (Meter::read(load).await?, Instant::now());
    wait::until("quiet", PATIENCE, async || {
        let now = Meter::read(load).await?;
        if now != last.0 {
            last = (now, Instant::now());
        }
        anyhow::ensure!(last.1.elapsed() >= QUIET, "there are calls");
        Ok(now)
    })
    .await
}
