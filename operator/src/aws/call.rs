//! Sends AWS calls: checks leadership, waits for the read budget, and counts them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_types::SdkConfig;
use serde_json::Value;
use tokio::time::Instant;

use super::dispatch::ServiceClient;
use super::error::AwsError;
use super::error_kind::ErrorKind;
use super::operation::{ActionFamily, Operation};
use super::read_budget::{ReadBudget, Turn};
use super::services;
use crate::leadership::{Leadership, NOT_LEADER};
use crate::metrics::AwsMetrics;

/// First wait before [`Reads::insist`] tries a read again.
const AGAIN: Duration = Duration::from_millis(500);

/// Sends operations as JSON and counts them.
#[derive(Debug)]
pub struct Calls {
    /// A client for each service, by its name. They are without the SDK's retries: the SDK repeats
    /// a write whose reply got lost, and no budget counts what it repeats. The driver and the
    /// observer look again instead.
    clients: BTreeMap<&'static str, Box<dyn ServiceClient>>,
    read_budget: ReadBudget,
    /// Asked before every write.
    leadership: Leadership,
    pub(super) metrics: AwsMetrics,
}

impl Calls {
    /// Calls with the credentials, Region and endpoint of `config`: those that read within `share`
    /// of the published rates (`None` means no limit), those that write only while `leadership`
    /// holds.
    #[must_use]
    pub fn new(
        config: &SdkConfig,
        share: Option<f64>,
        leadership: Leadership,
        metrics: AwsMetrics,
    ) -> Self {
        let once = config
            .to_builder()
            .retry_config(RetryConfig::disabled())
            .build();
        let clients = services::ALL
            .iter()
            .map(|service| (service.service.name, (service.connect)(&once)))
            .collect();
        Self {
            clients,
            read_budget: ReadBudget::new(share),
            leadership,
            metrics,
        }
    }

    /// Waits for a turn to read, and returns a sender whose first call is sent without a further
    /// wait.
    pub(super) async fn reads(&self, family: ActionFamily, turn: Turn) -> Reads<'_> {
        self.read_budget.admit(family, &turn).await;
        Reads {
            calls: self,
            turn,
            is_admitted: AtomicBool::new(true),
        }
    }

    /// Returns a sender whose calls all wait for their turn.
    pub(super) fn later_reads(&self, turn: Turn) -> Reads<'_> {
        Reads {
            calls: self,
            turn,
            is_admitted: AtomicBool::new(false),
        }
    }

    /// Sends `request` as the body of `operation` and answers the body of the reply.
    ///
    /// # Errors
    /// Whatever AWS, the network or the credentials answer instead, classified. After a write, an
    /// error other than AWS's own refusal leaves open whether the call was applied.
    pub(super) async fn send(
        &self,
        operation: Operation,
        request: &Value,
    ) -> Result<Value, AwsError> {
        if operation.is_write() && !self.leadership.holds() {
            return Err(AwsError::new(operation, ErrorKind::Server, NOT_LEADER));
        }
        let started = Instant::now();
        let service = operation.service().name;
        let client = self
            .clients
            .get(service)
            .unwrap_or_else(|| unreachable!("{service} is not in the list of services"));
        let result = client.send(operation, request).await;
        let label = result
            .as_ref()
            .map_or_else(|error| error.kind.as_str(), |_| "ok");
        self.metrics
            .called([service, operation.name()], label, started.elapsed());
        if let Err(error) = &result {
            tracing::debug!(
                operation = operation.name(),
                code = error.code,
                message = error.message,
                "AWS call failed"
            );
        }
        result
    }
}

/// Sends reads in turn.
#[derive(Debug)]
pub struct Reads<'a> {
    calls: &'a Calls,
    turn: Turn,
    /// Whether the next call has had its wait.
    is_admitted: AtomicBool,
}

impl Reads<'_> {
    /// Waits for the turn of a read and sends it.
    ///
    /// # Errors
    /// As [`Calls::send`].
    pub(super) async fn send(
        &self,
        operation: Operation,
        request: &Value,
    ) -> Result<Value, AwsError> {
        if !self.is_admitted.swap(false, Ordering::Relaxed) {
            self.calls
                .read_budget
                .admit(operation.family(), &self.turn)
                .await;
        }
        let result = self.calls.send(operation, request).await;
        if matches!(&result, Err(error) if error.kind == ErrorKind::Throttle) {
            self.calls.read_budget.slow_down(operation.family());
        }
        result
    }

    /// Sends one of many reads that succeed or fail together: tries it up to three times when the
    /// error may pass.
    ///
    /// # Errors
    /// As [`Calls::send`].
    pub(super) async fn insist(
        &self,
        operation: Operation,
        request: &Value,
    ) -> Result<Value, AwsError> {
        for wait in [AGAIN, 2 * AGAIN] {
            match self.send(operation, request).await {
                Err(error) if error.kind.passes() => tokio::time::sleep(wait).await,
                result => return result,
            }
        }
        self.send(operation, request).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aws_config::BehaviorVersion;

    use super::*;
    use crate::aws::ecs;

    #[tokio::test]
    async fn writes_nothing_without_leadership() {
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .build();
        let calls = Calls::new(
            &config,
            None,
            Leadership::lost_for_good(),
            AwsMetrics::new(Arc::default(), "", ""),
        );
        let message = async |operation| {
            calls
                .send(operation, &Value::Null)
                .await
                .map_err(|error| error.message)
        };
        assert_eq!(
            message(ecs::CreateService).await,
            Err(NOT_LEADER.to_owned())
        );
        // A read is tried; without a Region it comes to nothing.
        assert_ne!(
            message(ecs::DescribeServices).await,
            Err(NOT_LEADER.to_owned())
        );
    }
}
