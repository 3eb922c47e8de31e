//! JSON through the SDK: the request body is ours, everything around it (endpoint, credentials,
//! signing, time-outs, typed errors) is the SDK's.
//!
//! The spec of a custom resource is the JSON of the API input, so no shape is mirrored in Rust, and
//! members that are newer than the SDK pass both ways.

use std::sync::{Arc, OnceLock};

use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use serde_json::Value;

use super::error::AwsError;
use super::error_kind::ErrorTable;
use super::member_names::{with_lowercase_names, with_uppercase_names};
use super::operation::{MemberNames, Operation};

/// Sends `request` as the body of `operation` by `send` and returns the body of the reply. `errors`
/// are those of the service.
pub(super) async fn send<O, E>(
    operation: Operation,
    request: &Value,
    errors: &ErrorTable,
    send: impl AsyncFnOnce(RawJson) -> Result<O, SdkError<E>>,
) -> Result<Value, AwsError>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let names = operation.service().member_names;
    let body = match names {
        MemberNames::Lowercase => request.to_string(),
        MemberNames::Uppercase => with_uppercase_names(request).to_string(),
    };
    let json = RawJson {
        request: body.into(),
        reply: Arc::default(),
    };
    send(json.clone())
        .await
        .map_err(|error| AwsError::from_sdk(operation, errors, &error))?;
    let body = json.reply.get().map_or(&b"{}"[..], Vec::as_slice);
    let reply =
        serde_json::from_slice(body).map_err(|error| AwsError::unreadable(operation, &error))?;
    Ok(match names {
        MemberNames::Lowercase => reply,
        MemberNames::Uppercase => with_lowercase_names(&reply),
    })
}

/// Puts our body into the request and keeps the body of the reply.
#[derive(Clone, Debug)]
pub(super) struct RawJson {
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
        request
            .headers_mut()
            .insert("content-length", self.request.len().to_string());
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
            self.reply
                .set(body.to_vec())
                .map_err(|_| "one call got two replies")?;
        }
        Ok(())
    }
}
