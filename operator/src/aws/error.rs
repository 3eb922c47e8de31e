//! Errors of AWS calls, in ten kinds. The kind alone decides condition, event and retry.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecs::operation::RequestId;

use super::error_kind::{CODES, ErrorKind, ErrorTable, MESSAGES};
use super::operation::Operation;

/// A failed call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {message}")]
pub struct AwsError {
    /// The operation that failed.
    pub operation: Operation,
    /// Its kind.
    pub kind: ErrorKind,
    /// AWS's code, where AWS answered.
    pub code: Option<String>,
    /// What happened, in AWS's words where it answered.
    pub message: String,
}

impl AwsError {
    /// An error that the operator finds in the reply of AWS.
    #[must_use]
    pub fn new(operation: Operation, kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            operation,
            kind,
            code: None,
            message: message.into(),
        }
    }

    /// Converts an error of the SDK.
    pub(super) fn from_sdk<E>(
        operation: Operation,
        errors: &ErrorTable,
        error: &SdkError<E>,
    ) -> Self
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        if let SdkError::ServiceError(refusal) = error
            && let Some(code) = refusal.err().code()
        {
            let text = refusal.err().message().unwrap_or("no message");
            let status = refusal.raw().status().as_u16();
            // A status of 5xx is an error of AWS, whatever its code says.
            let kind = match classify(errors, code, text) {
                ErrorKind::Terminal if status >= 500 => ErrorKind::Server,
                kind => kind,
            };
            let message = match kind {
                ErrorKind::AccessDenied => {
                    format!(
                        "{} is denied: the IAM policy of the operator lacks it or a dependent permission: {text}",
                        operation.iam_action()
                    )
                }
                _ => text.to_owned(),
            };
            tracing::debug!(
                operation = operation.name(),
                code,
                request_id = refusal.err().meta().request_id(),
                "AWS refused"
            );
            return Self {
                operation,
                kind,
                code: Some(code.to_owned()),
                message,
            };
        }
        if has_source::<CredentialsError>(error) {
            // Not its Debug form: that has a request ID, and the message must be the same at each
            // retry.
            let message = format!("no AWS credentials: {}", innermost(error));
            return Self::new(operation, ErrorKind::Credentials, message);
        }
        let message = match error {
            SdkError::TimeoutError(_) => "AWS did not answer in time".to_owned(),
            SdkError::DispatchFailure(_) => format!("AWS cannot be reached: {}", innermost(error)),
            SdkError::ResponseError(_) | SdkError::ServiceError(_) => {
                "AWS sent a reply that is not valid for its API".to_owned()
            }
            _ => innermost(error).to_string(),
        };
        Self::new(operation, ErrorKind::Server, message)
    }

    /// A reply that lacks a member that it must have.
    #[must_use]
    pub fn incomplete(operation: Operation, member: &str) -> Self {
        Self::new(
            operation,
            ErrorKind::Server,
            format!("the reply has no {member}"),
        )
    }

    /// Whether a creation has surely made nothing, and no earlier one has made it.
    #[must_use]
    pub fn made_nothing(&self) -> bool {
        !matches!(self.kind, ErrorKind::Server | ErrorKind::AlreadyExists)
    }

    /// Whether AWS says by its code that an object is not there, such as
    /// `ServiceNotFoundException`.
    #[must_use]
    pub fn says_missing(&self) -> bool {
        self.code
            .as_deref()
            .is_some_and(|code| code.ends_with("NotFoundException"))
    }

    /// AWS does not know yet what it has just confirmed.
    #[must_use]
    pub fn not_yet(self) -> Self {
        Self {
            kind: ErrorKind::Busy,
            message: format!("{}; it was there a moment ago", self.message),
            ..self
        }
    }

    /// The call succeeded, but its reply is no JSON.
    pub(super) fn unreadable(operation: Operation, error: &serde_json::Error) -> Self {
        Self::new(
            operation,
            ErrorKind::Server,
            format!("the reply cannot be read: {error}"),
        )
    }
}

fn has_source<T: StdError + 'static>(error: &(dyn StdError + 'static)) -> bool {
    sources(error).any(<dyn StdError>::is::<T>)
}

fn innermost<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    sources(error).last().unwrap_or(error)
}

fn sources<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| {
        (*error).source()
    })
}

/// The kind of a refusal by AWS with this code and message, by the errors of the service and those
/// that all services share.
fn classify(errors: &ErrorTable, code: &str, message: &str) -> ErrorKind {
    let code = code.strip_suffix("Exception").unwrap_or(code);
    let message = message.to_lowercase();
    let is_code = |known: &str| {
        known
            .strip_suffix('*')
            .map_or(known == code, |start| code.starts_with(start))
    };
    let by_code = |codes: &[(&str, ErrorKind)]| {
        codes
            .iter()
            .find(|(known, _)| is_code(known))
            .map(|(_, kind)| *kind)
    };
    let by_message = |fragments: &[(&str, ErrorKind)]| {
        fragments
            .iter()
            .find(|(fragment, _)| message.contains(fragment))
            .map(|(_, kind)| *kind)
    };
    by_code(errors.codes)
        .or_else(|| by_code(CODES))
        .or_else(|| by_message(MESSAGES))
        .or_else(|| by_message(errors.messages))
        .unwrap_or(ErrorKind::Terminal)
}

#[cfg(test)]
mod tests {
    use super::ErrorKind::*;
    use super::*;
    use crate::aws::{autoscaling, ecs};

    #[test]
    #[allow(clippy::too_many_lines, reason = "a table")]
    fn code_and_message_decide_the_kind() {
        let rows = [
            ("ThrottlingException", "Rate exceeded", Throttle),
            (
                "InvalidParameterException",
                "Error retrieving subnet information (ErrorCode: Throttling, Rate exceeded)",
                Throttle,
            ),
            (
                "InvalidParameterException",
                "Request limit exceeded. (ErrorCode: RequestLimitExceeded)",
                Throttle,
            ),
            (
                "InvalidParameterException",
                "Error retrieving subnet information (ErrorCode: Throttling)",
                Throttle,
            ),
            ("ServerException", "Service Unavailable", Server),
            ("RequestTimeout", "The request timed out", Server),
            ("InternalServerError", "no message", Server),
            ("RequestExpired", "Request has expired", Credentials),
            (
                "ServiceDeploymentNotFoundException",
                "The service deployment was not found",
                Missing,
            ),
            (
                "ExpiredTokenException",
                "The security token included in the request is expired",
                Credentials,
            ),
            (
                "UnrecognizedClientException",
                "The security token included in the request is invalid",
                Credentials,
            ),
            (
                "AccessDeniedException",
                "User: x is not authorized to perform: ecs:CreateService",
                AccessDenied,
            ),
            (
                "ClientException",
                "User: x is not authorized to perform: iam:PassRole on resource: y",
                AccessDenied,
            ),
            (
                "ClientException",
                "Unable to describe task definition.",
                Missing,
            ),
            (
                "InvalidParameterException",
                "The referenced task was not found.",
                Missing,
            ),
            (
                "ClientException",
                "The specified task definition does not exist.",
                Missing,
            ),
            ("ClientException", "Role is not valid", DependencyNotReady),
            (
                "ClientException",
                "You've reached the limit on the number of vCPUs you can run concurrently",
                Quota,
            ),
            (
                "ClientException",
                "The specified capacity provider 'workers' is not in an ACTIVE state. Specify a valid capacity provider and try again.",
                DependencyNotReady,
            ),
            (
                "ClientException",
                "The specified capacity provider 'workers' was not found. Specify a valid name or ARN and try again.",
                DependencyNotReady,
            ),
            (
                "ClientException",
                "The specified capacity provider is in use and cannot be removed.",
                Busy,
            ),
            (
                "ResourceInUseException",
                "The specified resource is in-use and can't be removed.",
                Busy,
            ),
            (
                "ClientException",
                "The specified capacity provider does not exist. Specify a valid name or ARN and try again.",
                Missing,
            ),
            ("ServiceNotFoundException", "Service not found.", Missing),
            (
                "ClusterNotFoundException",
                "Cluster not found.",
                DependencyNotReady,
            ),
            (
                "ClientException",
                "TaskDefinition not found.",
                DependencyNotReady,
            ),
            (
                "ClientException",
                "TaskDefinition is inactive",
                DependencyNotReady,
            ),
            (
                "InvalidParameterException",
                "The target group x does not have an associated load balancer.",
                DependencyNotReady,
            ),
            (
                "InvalidParameterException",
                "Unable to assume role and validate the listeners configured on your load balancer. Please verify that the ECS service \
                 role being passed has the proper permissions.",
                DependencyNotReady,
            ),
            (
                "ClientException",
                "ECS was unable to assume the role 'arn:aws:iam::1:role/web'",
                DependencyNotReady,
            ),
            (
                "InvalidParameterException",
                "The specified capacity provider strategy cannot contain a capacity provider that is not associated with the cluster.",
                DependencyNotReady,
            ),
            (
                "InvalidParameterException",
                "Error retrieving subnet information (ErrorCode: InvalidSubnetID.NotFound)",
                DependencyNotReady,
            ),
            (
                "InvalidParameterException",
                "Error retrieving security group (ErrorCode: InvalidGroup.NotFound)",
                DependencyNotReady,
            ),
            (
                "InvalidParameterException",
                "Unable to assume the service linked role. Please verify",
                DependencyNotReady,
            ),
            (
                "InvalidParameterException",
                "Unable to Start a service that is still Draining.",
                Busy,
            ),
            ("ServiceNotActiveException", "Service was not ACTIVE.", Busy),
            (
                "UpdateInProgressException",
                "The specified cluster is in a busy state",
                Busy,
            ),
            (
                "ClusterContainsServicesException",
                "The Cluster cannot be deleted while Services are active.",
                Busy,
            ),
            (
                "ClusterContainsSomethingNewException",
                "The Cluster cannot be deleted yet.",
                Busy,
            ),
            (
                "ClientException",
                "The service cannot be stopped while the primary deployment is in progress",
                Busy,
            ),
            (
                "InvalidParameterException",
                "resource sg-1 has a dependent object",
                Busy,
            ),
            (
                "ClientException",
                "Too many concurrent attempts to create a new revision of the specified family.",
                Busy,
            ),
            ("InvalidParameterException", "Cluster was not ACTIVE", Busy),
            (
                "InvalidParameterException",
                "Creation of service was not idempotent.",
                AlreadyExists,
            ),
            (
                "InvalidParameterException",
                "Arguments on this idempotent request are inconsistent with arguments used before",
                AlreadyExists,
            ),
            (
                "ClientException",
                "The specified capacity provider already exists.",
                AlreadyExists,
            ),
            (
                "ClientException",
                "No Fargate configuration exists for given values",
                Terminal,
            ),
            (
                "InvalidParameterException",
                "The container x does not exist in the task definition.",
                Terminal,
            ),
            (
                "LimitExceededException",
                "The maximum number of services has been reached",
                Quota,
            ),
            (
                "SomethingNewException",
                "a message nobody has seen",
                Terminal,
            ),
        ];
        for (code, message, kind) in rows {
            assert_eq!(
                classify(&ecs::ERRORS, code, message),
                kind,
                "{code}: {message}"
            );
        }
        for (fragment, _) in MESSAGES.iter().chain(ecs::ERRORS.messages) {
            assert!(
                rows.iter()
                    .any(|(_, message, _)| message.to_lowercase().contains(fragment)),
                "no row for {fragment}"
            );
        }
    }

    #[test]
    fn errors_of_application_auto_scaling_have_their_kinds() {
        let rows = [
            (
                "ObjectNotFoundException",
                "No scalable target registered for namespace: ecs",
                Missing,
            ),
            ("ConcurrentUpdateException", "", Busy),
            ("FailedResourceAccessException", "", AccessDenied),
            ("InternalServiceException", "", Server),
            ("LimitExceededException", "", Quota),
            (
                "ValidationException",
                "ECS service doesn't exist: service/shop/web",
                DependencyNotReady,
            ),
            (
                "ValidationException",
                "Unable to assume IAM role: arn",
                DependencyNotReady,
            ),
            (
                "ValidationException",
                "The scalable target that you tried to tag already exists.",
                AlreadyExists,
            ),
            (
                "ValidationException",
                "Maximum capacity cannot be less than minimum capacity",
                Terminal,
            ),
        ];
        for (code, message, kind) in rows {
            let found = classify(&autoscaling::ERRORS, code, message);
            assert_eq!(found, kind, "{code} {message}");
        }
    }
}
