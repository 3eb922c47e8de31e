//! The kinds of errors of AWS calls, and the codes and messages that all services share.

use std::time::Duration;

use ecs_operator_crds::condition::Reason;

/// The kind of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Too many calls.
    Throttle,
    /// AWS has an error of its own, or cannot be reached. A write may have been applied all the
    /// same.
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

impl ErrorKind {
    /// The kind as the metric label `class`.
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

    /// First and longest wait before the next try. Terminal errors are tried again too, slowly: the
    /// world may change.
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

/// The errors of a service, beside those of all services.
pub(super) struct ErrorTable {
    /// Codes, without the suffix `Exception`. A `*` at the end stands for any text.
    pub(super) codes: &'static [(&'static str, ErrorKind)],
    /// Fragments of messages, in lower case, that say more than their code.
    pub(super) messages: &'static [(&'static str, ErrorKind)],
}

/// Codes of errors that all services use, without the suffix `Exception`.
pub(super) const CODES: &[(&str, ErrorKind)] = &[
    ("Throttling", ErrorKind::Throttle),
    ("TooManyRequests", ErrorKind::Throttle),
    ("RequestLimitExceeded", ErrorKind::Throttle),
    ("Server", ErrorKind::Server),
    ("InternalFailure", ErrorKind::Server),
    ("InternalError", ErrorKind::Server),
    ("InternalServer", ErrorKind::Server),
    ("InternalServerError", ErrorKind::Server),
    ("ServiceUnavailable", ErrorKind::Server),
    ("RequestTimeout", ErrorKind::Server),
    ("RequestAborted", ErrorKind::Server),
    ("ExpiredToken", ErrorKind::Credentials),
    ("RequestExpired", ErrorKind::Credentials),
    ("UnrecognizedClient", ErrorKind::Credentials),
    ("InvalidSignature", ErrorKind::Credentials),
    ("IncompleteSignature", ErrorKind::Credentials),
    ("InvalidClientTokenId", ErrorKind::Credentials),
    ("MissingAuthenticationToken", ErrorKind::Credentials),
    ("AccessDenied", ErrorKind::AccessDenied),
    ("ResourceNotFound", ErrorKind::Missing),
    ("ResourceInUse", ErrorKind::Busy),
    ("Conflict", ErrorKind::Busy),
    ("LimitExceeded", ErrorKind::Quota),
];

/// Fragments of messages of all services that say more than their code, in lower case.
pub(super) const MESSAGES: &[(&str, ErrorKind)] = &[
    ("rate exceeded", ErrorKind::Throttle),
    // What EC2 says inside an error of the service that calls it.
    ("request limit exceeded", ErrorKind::Throttle),
    ("errorcode: requestlimitexceeded", ErrorKind::Throttle),
    ("errorcode: throttling", ErrorKind::Throttle),
    ("not authorized to perform", ErrorKind::AccessDenied),
];
