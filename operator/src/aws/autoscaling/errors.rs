//! Errors of Application Auto Scaling.

use crate::aws::error_kind::{ErrorKind, ErrorTable};

/// The errors of Application Auto Scaling.
pub(in crate::aws) const ERRORS: ErrorTable = ErrorTable {
    codes: &[
        ("ConcurrentUpdate", ErrorKind::Busy),
        // The credentials may not read or change the alarms of a policy.
        ("FailedResourceAccess", ErrorKind::AccessDenied),
        ("InternalService", ErrorKind::Server),
        ("ObjectNotFound", ErrorKind::Missing),
        ("TooManyTags", ErrorKind::Quota),
    ],
    messages: &[
        // Of a scalable target that a read did not show yet.
        ("tried to tag already exists", ErrorKind::AlreadyExists),
        ("ecs service doesn't exist", ErrorKind::DependencyNotReady),
        // The service-linked role is made by the first registration of the account.
        ("unable to assume iam role", ErrorKind::DependencyNotReady),
    ],
};
