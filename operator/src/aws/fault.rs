//! What went wrong in AWS, in ten classes. The class alone decides condition, event and retry.

use std::error::Error as StdError;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecs::operation::RequestId;
use ecs_operator_crds::condition::Reason;

use super::Operation;

/// The class of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultClass {
    /// Too many calls.
    Throttle,
    /// AWS has an error of its own, or cannot be reached. A write may have been applied all the same.
    Server,
    /// No credentials, or AWS does not accept them.
    Credentials,
    /// The credentials may not do this.
    AccessDenied,
    /// The object does not exist.
    Missing,
    /// Something that the call refers to is not there or not ready yet.
    DependencyNotReady,
    /// The object is busy with an earlier change.
    Busy,
    /// The object exists already.
    AlreadyExists,
    /// AWS refuses the request as it is.
    Terminal,
    /// A quota is used up.
    Quota,
}

impl FaultClass {
    /// The class as a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Throttle => "throttle",
            Self::Server => "server",
            Self::Credentials => "credentials",
            Self::AccessDenied => "access_denied",
            Self::Missing => "missing",
            Self::DependencyNotReady => "dependency_not_ready",
            Self::Busy => "busy",
            Self::AlreadyExists => "already_exists",
            Self::Terminal => "terminal",
            Self::Quota => "quota",
        }
    }

    /// The reason that conditions and events give.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Throttle => Reason::Throttled,
            Self::Server => Reason::AwsUnavailable,
            Self::Credentials => Reason::CredentialsUnavailable,
            Self::AccessDenied => Reason::AccessDenied,
            Self::DependencyNotReady => Reason::DependencyNotReady,
            // The next look shows what is really there.
            Self::Missing | Self::AlreadyExists | Self::Busy => Reason::Busy,
            Self::Terminal => Reason::InvalidSpec,
            Self::Quota => Reason::QuotaExceeded,
        }
    }

    /// Whether the same call may succeed in a moment.
    #[must_use]
    pub const fn passes(self) -> bool {
        matches!(self, Self::Throttle | Self::Server)
    }

    /// Whether the user has to change something.
    #[must_use]
    pub const fn stalls(self) -> bool {
        matches!(self, Self::AccessDenied | Self::Terminal | Self::Quota)
    }

    /// First and longest wait before the next try. Terminal faults are tried again too, slowly: the world may change.
    #[must_use]
    pub const fn backoff(self) -> (Duration, Duration) {
        let (first, longest) = match self {
            Self::Missing | Self::AlreadyExists | Self::Throttle | Self::Server => (1, 60),
            Self::Busy => (5, 30),
            Self::DependencyNotReady => (5, 60),
            Self::Credentials => (5, 300),
            Self::AccessDenied => (60, 600),
            Self::Quota => (600, 1800),
            Self::Terminal => (600, 3600),
        };
        (Duration::from_secs(first), Duration::from_secs(longest))
    }
}

/// A failed call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {message}")]
pub struct Fault {
    /// The operation that failed.
    pub operation: Operation,
    /// What kind of fault.
    pub class: FaultClass,
    /// AWS's code, where AWS answered.
    pub code: Option<String>,
    /// What happened, in AWS's words where it answered.
    pub message: String,
}

impl Fault {
    /// A fault that we found ourselves in what AWS answered.
    #[must_use]
    pub fn new(operation: Operation, class: FaultClass, message: impl Into<String>) -> Self {
        Self { operation, class, code: None, message: message.into() }
    }

    /// The fault behind an error of the SDK.
    pub(super) fn from_sdk<E>(operation: Operation, error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        if let SdkError::ServiceError(refusal) = error
            && let Some(code) = refusal.err().code()
        {
            let text = refusal.err().message().unwrap_or("no message");
            let status = refusal.raw().status().as_u16();
            // Whatever its name, what AWS calls its own error is no fault of the spec.
            let class = match classify(code, text) {
                FaultClass::Terminal if status >= 500 => FaultClass::Server,
                class => class,
            };
            let message = match class {
                FaultClass::AccessDenied => {
                    format!(
                        "{} is denied: the IAM policy of the operator lacks it or a dependent permission: {text}",
                        operation.iam_action()
                    )
                }
                _ => text.to_owned(),
            };
            tracing::debug!(operation = operation.name(), code, request_id = refusal.err().meta().request_id(), "AWS refused");
            return Self { operation, class, code: Some(code.to_owned()), message };
        }
        if has_source::<CredentialsError>(error) {
            // Not its Debug form: that has a request ID, and the message must be the same at each retry.
            let message = format!("no AWS credentials: {}", innermost(error));
            return Self::new(operation, FaultClass::Credentials, message);
        }
        let message = match error {
            SdkError::TimeoutError(_) => "AWS did not answer in time".to_owned(),
            SdkError::DispatchFailure(_) => format!("AWS cannot be reached: {}", innermost(error)),
            SdkError::ResponseError(_) | SdkError::ServiceError(_) => "AWS answered something that is no ECS reply".to_owned(),
            _ => innermost(error).to_string(),
        };
        Self::new(operation, FaultClass::Server, message)
    }

    /// A reply that lacks a member that it must have.
    #[must_use]
    pub fn incomplete(operation: Operation, member: &str) -> Self {
        Self::new(operation, FaultClass::Server, format!("the reply has no {member}"))
    }

    /// Whether a creation has surely made nothing, and no earlier one has made it.
    #[must_use]
    pub fn made_nothing(&self) -> bool {
        !matches!(self.class, FaultClass::Server | FaultClass::AlreadyExists)
    }

    /// Whether AWS says that the cluster or service is not there.
    #[must_use]
    pub fn says_missing(&self) -> bool {
        matches!(self.code.as_deref(), Some("ServiceNotFoundException" | "ClusterNotFoundException"))
    }

    /// AWS does not know yet what it has just confirmed.
    #[must_use]
    pub fn not_yet(self) -> Self {
        Self { class: FaultClass::Busy, message: format!("{}; it was there a moment ago", self.message), ..self }
    }

    /// The call succeeded, but its reply is no JSON.
    pub(super) fn unreadable(operation: Operation, error: &serde_json::Error) -> Self {
        Self::new(operation, FaultClass::Server, format!("the reply cannot be read: {error}"))
    }
}

fn has_source<T: StdError + 'static>(error: &(dyn StdError + 'static)) -> bool {
    sources(error).any(<dyn StdError>::is::<T>)
}

fn innermost<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    sources(error).last().unwrap_or(error)
}

fn sources<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| (*error).source())
}

/// Fragments of messages that say more than their code, which is InvalidParameterException or ClientException for most.
/// Collected from the Terraform AWS provider's issue tracker and the ECS API reference.
const MESSAGES: &[(&str, FaultClass)] = &[
    ("rate exceeded", FaultClass::Throttle),
    // What EC2 says inside an InvalidParameterException of ECS.
    ("request limit exceeded", FaultClass::Throttle),
    ("errorcode: requestlimitexceeded", FaultClass::Throttle),
    ("errorcode: throttling", FaultClass::Throttle),
    ("not authorized to perform", FaultClass::AccessDenied),
    ("unable to describe task definition", FaultClass::Missing),
    ("the specified task definition does not exist", FaultClass::Missing),
    ("the referenced task was not found", FaultClass::Missing),
    ("creation of service was not idempotent", FaultClass::AlreadyExists),
    ("arguments on this idempotent request are inconsistent", FaultClass::AlreadyExists),
    ("already exists", FaultClass::AlreadyExists),
    ("still draining", FaultClass::Busy),
    ("was not active", FaultClass::Busy),
    ("has a dependent object", FaultClass::Busy),
    ("the service cannot be stopped while", FaultClass::Busy),
    ("too many concurrent attempts to create a new revision", FaultClass::Busy),
    ("taskdefinition not found", FaultClass::DependencyNotReady),
    ("taskdefinition is inactive", FaultClass::DependencyNotReady),
    ("does not have an associated load balancer", FaultClass::DependencyNotReady),
    // IAM shows a new role everywhere only after a while.
    ("role is not valid", FaultClass::DependencyNotReady),
    ("role being passed has the proper permissions", FaultClass::DependencyNotReady),
    ("unable to assume the role", FaultClass::DependencyNotReady),
    ("unable to assume the service linked role", FaultClass::DependencyNotReady),
    ("capacity provider that is not associated with the cluster", FaultClass::DependencyNotReady),
    ("invalidsubnetid.notfound", FaultClass::DependencyNotReady),
    ("invalidgroup.notfound", FaultClass::DependencyNotReady),
];

/// The class of AWS's refusal with this code and message.
#[must_use]
pub fn classify(code: &str, message: &str) -> FaultClass {
    let code = code.strip_suffix("Exception").unwrap_or(code);
    match code {
        "Throttling" | "TooManyRequests" | "RequestLimitExceeded" => FaultClass::Throttle,
        "Server"
        | "InternalFailure"
        | "InternalError"
        | "InternalServer"
        | "InternalServerError"
        | "ServiceUnavailable"
        | "RequestTimeout"
        | "RequestAborted" => FaultClass::Server,
        "ExpiredToken"
        | "RequestExpired"
        | "UnrecognizedClient"
        | "InvalidSignature"
        | "IncompleteSignature"
        | "InvalidClientTokenId"
        | "MissingAuthenticationToken" => FaultClass::Credentials,
        "AccessDenied" => FaultClass::AccessDenied,
        "ClusterNotFound" | "NamespaceNotFound" => FaultClass::DependencyNotReady,
        "ServiceNotFound" | "ServiceDeploymentNotFound" | "ResourceNotFound" => FaultClass::Missing,
        "UpdateInProgress" | "ResourceInUse" | "ServiceNotActive" | "Conflict" => FaultClass::Busy,
        "LimitExceeded" => FaultClass::Quota,
        _ if code.starts_with("ClusterContains") => FaultClass::Busy,
        _ => {
            let message = message.to_lowercase();
            MESSAGES.iter().find(|(fragment, _)| message.contains(fragment)).map_or(FaultClass::Terminal, |(_, class)| *class)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FaultClass::*;
    use super::*;

    #[test]
    fn code_and_message_decide_the_class() {
        let rows = [
            ("ThrottlingException", "Rate exceeded", Throttle),
            ("InvalidParameterException", "Error retrieving subnet information (ErrorCode: Throttling, Rate exceeded)", Throttle),
            ("InvalidParameterException", "Request limit exceeded. (ErrorCode: RequestLimitExceeded)", Throttle),
            ("InvalidParameterException", "Error retrieving subnet information (ErrorCode: Throttling)", Throttle),
            ("ServerException", "Service Unavailable", Server),
            ("RequestTimeout", "The request timed out", Server),
            ("InternalServerError", "no message", Server),
            ("RequestExpired", "Request has expired", Credentials),
            ("ServiceDeploymentNotFoundException", "The service deployment was not found", Missing),
            ("ExpiredTokenException", "The security token included in the request is expired", Credentials),
            ("UnrecognizedClientException", "The security token included in the request is invalid", Credentials),
            ("AccessDeniedException", "User: x is not authorized to perform: ecs:CreateService", AccessDenied),
            ("ClientException", "User: x is not authorized to perform: iam:PassRole on resource: y", AccessDenied),
            ("ClientException", "Unable to describe task definition.", Missing),
            ("InvalidParameterException", "The referenced task was not found.", Missing),
            ("ClientException", "The specified task definition does not exist.", Missing),
            ("ClientException", "Role is not valid", DependencyNotReady),
            ("ServiceNotFoundException", "Service not found.", Missing),
            ("ClusterNotFoundException", "Cluster not found.", DependencyNotReady),
            ("ClientException", "TaskDefinition not found.", DependencyNotReady),
            ("ClientException", "TaskDefinition is inactive", DependencyNotReady),
            ("InvalidParameterException", "The target group x does not have an associated load balancer.", DependencyNotReady),
            (
                "InvalidParameterException",
                "Unable to assume role and validate the listeners configured on your load balancer. Please verify that the ECS service \
                 role being passed has the proper permissions.",
                DependencyNotReady,
            ),
            ("ClientException", "ECS was unable to assume the role 'arn:aws:iam::1:role/web'", DependencyNotReady),
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
            ("InvalidParameterException", "Unable to assume the service linked role. Please verify", DependencyNotReady),
            ("InvalidParameterException", "Unable to Start a service that is still Draining.", Busy),
            ("ServiceNotActiveException", "Service was not ACTIVE.", Busy),
            ("UpdateInProgressException", "The specified cluster is in a busy state", Busy),
            ("ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active.", Busy),
            ("ClientException", "The service cannot be stopped while the primary deployment is in progress", Busy),
            ("InvalidParameterException", "resource sg-1 has a dependent object", Busy),
            ("ClientException", "Too many concurrent attempts to create a new revision of the specified family.", Busy),
            ("InvalidParameterException", "Cluster was not ACTIVE", Busy),
            ("InvalidParameterException", "Creation of service was not idempotent.", AlreadyExists),
            (
                "InvalidParameterException",
                "Arguments on this idempotent request are inconsistent with arguments used before",
                AlreadyExists,
            ),
            ("ClientException", "The specified capacity provider already exists.", AlreadyExists),
            ("ClientException", "No Fargate configuration exists for given values", Terminal),
            ("InvalidParameterException", "The container x does not exist in the task definition.", Terminal),
            ("LimitExceededException", "The maximum number of services has been reached", Quota),
            ("SomethingNewException", "a message nobody has seen", Terminal),
        ];
        for (code, message, class) in rows {
            assert_eq!(classify(code, message), class, "{code}: {message}");
        }
        for (fragment, _) in MESSAGES {
            assert!(rows.iter().any(|(_, message, _)| message.to_lowercase().contains(fragment)), "no row for {fragment}");
        }
    }
}
