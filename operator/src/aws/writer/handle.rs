//! The writer of one account and Region.

use std::sync::Arc;

use serde_json::Value;
use tokio::time::Instant;

use super::budget::{Budget, Permit};
use super::requester::{Priority, Requester};
use crate::aws::call::Calls;
use crate::aws::operation::Operation;
use crate::aws::{AwsError, ErrorKind};

/// Sends writes within the budget of one account and Region.
#[derive(Debug)]
pub struct Writer {
    calls: Arc<Calls>,
    budget: Budget,
}

impl Writer {
    /// A writer that uses `share` of the published quota; `None` means no limit.
    #[must_use]
    pub fn new(calls: Arc<Calls>, share: Option<f64>) -> Self {
        let budget = Budget::new(share);
        budget.register(&calls.metrics);
        Self { calls, budget }
    }

    /// The rights to send all of `operations` now.
    ///
    /// # Errors
    /// When the budget of one of them is used up: the moment of this object's turn. Its places in
    /// the queues are kept.
    pub fn permits(
        &self,
        operations: &[Operation],
        requester: Requester<'_>,
    ) -> Result<Vec<Permit>, Instant> {
        for waited in self.budget.draw(operations, requester, Instant::now())? {
            self.calls
                .metrics
                .write_waited([waited.0.service().name, waited.0.name()], waited.1);
        }
        Ok(operations
            .iter()
            .map(|operation| Permit::new(*operation, &self.budget))
            .collect())
    }

    /// Checks that it is this object's turn to send all of `operations`, without taking a token.
    /// Its places in the queues are kept until it obtains its permits or
    /// [withdraws](Self::withdraw), so that no other object takes its turn.
    ///
    /// # Errors
    /// As [`permits`](Self::permits).
    pub fn await_turn(
        &self,
        operations: &[Operation],
        requester: Requester<'_>,
    ) -> Result<(), Instant> {
        self.budget.turn(operations, requester, Instant::now())
    }

    /// Releases the places of an object that has nothing to write.
    pub fn withdraw(&self, namespace: &str, uid: &str) {
        let requester = Requester {
            namespace,
            uid,
            priority: Priority::User,
        };
        self.budget.withdraw(requester);
    }

    /// Sends the write that `permit` allows.
    ///
    /// # Errors
    /// As [`Calls::send`].
    pub async fn send(&self, permit: Permit, request: &Value) -> Result<Value, AwsError> {
        let operation = permit.spend();
        let result = self.calls.send(operation, request).await;
        if matches!(&result, Err(error) if error.kind == ErrorKind::Throttle) {
            self.budget.slow_down(operation, Instant::now());
        }
        result
    }
}
