//! JSON through the SDK: the request body is ours, everything around it (endpoint, credentials, signing, time-outs, typed
//! errors) is the SDK's.
//!
//! The spec of a custom resource is the JSON of the API input, so no shape is mirrored in Rust, and members that are newer
//! than the SDK pass both ways.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use aws_sdk_ecs::Client;
use aws_sdk_ecs::config::retry::RetryConfig;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use aws_types::SdkConfig;
use serde_json::Value;

use super::operation::ActionFamily;
use super::read_budget::{ReadBudget, Turn};
use super::{Fault, FaultClass, Operation};
use crate::leadership::{Leadership, NOT_LEADER};
use crate::metrics::AwsMetrics;

/// First wait before [`Reads::insist`] tries a read again.
const AGAIN: Duration = Duration::from_millis(500);

/// Sends ECS operations as JSON and counts them.
#[derive(Debug)]
pub struct Calls {
    /// Without the SDK's retries: the SDK repeats a write whose reply got lost, and no budget counts what it repeats. The driver and the
    /// observer look again instead.
    client: Client,
    read_budget: ReadBudget,
    /// Asked before every write.
    leadership: Leadership,
    pub(super) metrics: AwsMetrics,
}

impl Calls {
    /// Calls with the credentials, Region and endpoint of `config`: those that read within `share` of the published rates (`None` means
    /// no limit), those that write only while `leadership` holds.
    #[must_use]
    pub fn new(config: &SdkConfig, share: Option<f64>, leadership: Leadership, metrics: AwsMetrics) -> Self {
        let once = aws_sdk_ecs::config::Builder::from(config).retry_config(RetryConfig::disabled()).build();
        Self { client: Client::from_conf(once), read_budget: ReadBudget::new(share), leadership, metrics }
    }

    /// Waits for a turn to read, and returns a sender whose first call is sent without a further wait.
    pub(super) async fn reads(&self, family: ActionFamily, turn: Turn) -> Reads<'_> {
        self.read_budget.admit(family, &turn).await;
        Reads { calls: self, turn, is_admitted: AtomicBool::new(true) }
    }

    /// Returns a sender whose calls all wait for their turn.
    pub(super) fn later_reads(&self, turn: Turn) -> Reads<'_> {
        Reads { calls: self, turn, is_admitted: AtomicBool::new(false) }
    }

    /// Sends `request` as the body of `operation` and answers the body of the reply.
    ///
    /// # Errors
    /// Whatever AWS, the network or the credentials answer instead, classified. After a write, an error other than AWS's
    /// own refusal leaves open whether the call was applied.
    pub(super) async fn send(&self, operation: Operation, request: &Value) -> Result<Value, Fault> {
        if operation.is_write() && !self.leadership.holds() {
            return Err(Fault::new(operation, FaultClass::Server, NOT_LEADER));
        }
        let started = Instant::now();
        let result = dispatch(&self.client, operation, request).await;
        let label = result.as_ref().map_or_else(|fault| fault.class.as_str(), |_| "ok");
        self.metrics.called(operation.name(), label, started.elapsed());
        if let Err(fault) = &result {
            tracing::debug!(operation = operation.name(), code = fault.code, message = fault.message, "AWS call failed");
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
    pub(super) async fn send(&self, operation: Operation, request: &Value) -> Result<Value, Fault> {
        if !self.is_admitted.swap(false, Ordering::Relaxed) {
            self.calls.read_budget.admit(operation.family(), &self.turn).await;
        }
        let result = self.calls.send(operation, request).await;
        if matches!(&result, Err(fault) if fault.class == FaultClass::Throttle) {
            self.calls.read_budget.slow_down(operation.family());
        }
        result
    }

    /// Sends one of many reads that succeed or fail together: tries it up to three times when the fault may pass.
    ///
    /// # Errors
    /// As [`Calls::send`].
    pub(super) async fn insist(&self, operation: Operation, request: &Value) -> Result<Value, Fault> {
        for wait in [AGAIN, 2 * AGAIN] {
            match self.send(operation, request).await {
                Err(fault) if fault.class.passes() => tokio::time::sleep(wait).await,
                result => return result,
            }
        }
        self.send(operation, request).await
    }
}

async fn dispatch(client: &Client, operation: Operation, request: &Value) -> Result<Value, Fault> {
    macro_rules! send {
        ($method:ident) => {
            raw(operation, request, async |json| client.$method().customize().interceptor(json).send().await).await
        };
    }
    match operation {
        Operation::DescribeCapacityProviders => send!(describe_capacity_providers),
        Operation::DescribeClusters => send!(describe_clusters),
        Operation::DescribeServices => send!(describe_services),
        Operation::DescribeServiceDeployments => send!(describe_service_deployments),
        Operation::DescribeServiceRevisions => send!(describe_service_revisions),
        Operation::DescribeTaskDefinition => send!(describe_task_definition),
        Operation::DescribeTasks => send!(describe_tasks),
        Operation::ListClusters => send!(list_clusters),
        Operation::ListServices => send!(list_services),
        Operation::ListTasks => send!(list_tasks),
        Operation::ListTaskDefinitions => send!(list_task_definitions),
        Operation::ListTaskDefinitionFamilies => send!(list_task_definition_families),
        Operation::CreateCluster => send!(create_cluster),
        Operation::UpdateCluster => send!(update_cluster),
        Operation::PutClusterCapacityProviders => send!(put_cluster_capacity_providers),
        Operation::DeleteCluster => send!(delete_cluster),
        Operation::RegisterTaskDefinition => send!(register_task_definition),
        Operation::DeregisterTaskDefinition => send!(deregister_task_definition),
        Operation::DeleteTaskDefinitions => send!(delete_task_definitions),
        Operation::CreateService => send!(create_service),
        Operation::UpdateService => send!(update_service),
        Operation::DeleteService => send!(delete_service),
        Operation::ContinueServiceDeployment => send!(continue_service_deployment),
        Operation::StopServiceDeployment => send!(stop_service_deployment),
        Operation::TagResource => send!(tag_resource),
        Operation::UntagResource => send!(untag_resource),
    }
}

async fn raw<O, E>(
    operation: Operation,
    request: &Value,
    send: impl AsyncFnOnce(RawJson) -> Result<O, SdkError<E>>,
) -> Result<Value, Fault>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let json = RawJson { request: request.to_string().into(), reply: Arc::default() };
    send(json.clone()).await.map_err(|error| Fault::from_sdk(operation, &error))?;
    let body = json.reply.get().map_or(&b"{}"[..], Vec::as_slice);
    serde_json::from_slice(body).map_err(|error| Fault::unreadable(operation, &error))
}

/// Puts our body into the request and keeps the body of the reply.
#[derive(Clone, Debug)]
struct RawJson {
    request: Arc<str>,
    reply: Arc<OnceLock<Vec<u8>>>,
}

#[dyn_dispatch_hint]
impl Intercept for RawJson {
    fn name(&self) -> &'static str {
        "RawJson"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        request.headers_mut().insert("content-length", self.request.len().to_string());
        *request.body_mut() = SdkBody::from(self.request.as_bytes());
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        if let (true, Some(body)) = (response.status().is_success(), response.body().bytes()) {
            // A second reply would be a retry after a success, which the SDK does not do.
            self.reply.set(body.to_vec()).map_err(|_| "one call got two replies")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use aws_config::BehaviorVersion;

    use super::*;

    #[tokio::test]
    async fn who_is_not_the_leader_writes_nothing() {
        let config = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build();
        let calls = Calls::new(&config, None, Leadership::deposed(), AwsMetrics::new(Arc::default(), "", ""));
        let message = async |operation| calls.send(operation, &Value::Null).await.map_err(|fault| fault.message);
        assert_eq!(message(Operation::CreateService).await, Err(NOT_LEADER.to_owned()));
        // A read is tried; without a Region it comes to nothing.
        assert_ne!(message(Operation::DescribeServices).await, Err(NOT_LEADER.to_owned()));
    }
}
