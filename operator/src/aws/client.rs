//! The configuration of the AWS SDK.

use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader};
use aws_credential_types::provider::ProvideCredentials;
use aws_types::SdkConfig;
use aws_types::region::Region;

use crate::readiness::Readiness;

/// Longest time that one attempt of a call may take; above the slowest ECS writes seen.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest time that a call may take with all its attempts.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(30);

/// What readiness calls the credentials.
pub const NEED: &str = "aws-credentials";

/// How often credentials are looked for until there are some.
const RETRY: Duration = Duration::from_secs(10);

/// Loads the configuration from where every AWS tool finds it: environment, profile, web identity,
/// pod identity, instance.
pub async fn load(region: Option<&str>) -> SdkConfig {
    loader(region).load().await
}

/// What [`load`] loads from, for tests that put in a connection or credentials of their own.
///
/// # Panics
/// Never: the name of the application is fixed.
#[must_use]
pub fn loader(region: Option<&str>) -> ConfigLoader {
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::standard())
        .timeout_config(timeouts)
        .app_name(
            aws_config::AppName::new("ecs-operator").expect("the name has only allowed characters"),
        );
    if let Some(region) = region {
        loader = loader.region(Region::new(region.to_owned()));
    }
    loader
}

/// Looks for AWS credentials until there are some. Should they be lost later, the observer triggers
/// the objects whose reads are refused.
pub async fn await_credentials(config: SdkConfig, readiness: Arc<Readiness>) {
    loop {
        let state = check_credentials(&config).await;
        let found = state.is_ok();
        if let Err(problem) = &state {
            tracing::warn!("waiting: {problem}");
        }
        readiness.set(NEED, state);
        if found {
            return;
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Checks that credentials can be had, without calling ECS.
async fn check_credentials(config: &SdkConfig) -> Result<(), String> {
    let provider = config
        .credentials_provider()
        .ok_or("no provider of AWS credentials is configured")?;
    match provider.provide_credentials().await {
        Ok(_) => Ok(()),
        Err(error) => Err(format!(
            "no AWS credentials: {}",
            aws_sdk_ecs::error::DisplayErrorContext(&error)
        )),
    }
}
