//! Errors of ECS.

use crate::aws::AwsError;
use crate::aws::error_kind::{ErrorKind, ErrorTable};

/// The errors of ECS.
pub(in crate::aws) const ERRORS: ErrorTable = ErrorTable {
    codes: CODES,
    messages: MESSAGES,
};

/// Whether the cluster of a call does not exist. Without its cluster, nothing that is in it exists.
pub(super) fn lacks_cluster(error: &AwsError) -> bool {
    error.code.as_deref() == Some("ClusterNotFoundException")
}

/// Codes, without the suffix `Exception`. A `*` at the end stands for any text.
const CODES: &[(&str, ErrorKind)] = &[
    ("ClusterNotFound", ErrorKind::DependencyNotReady),
    ("NamespaceNotFound", ErrorKind::DependencyNotReady),
    ("ServiceNotFound", ErrorKind::Missing),
    ("ServiceDeploymentNotFound", ErrorKind::Missing),
    ("UpdateInProgress", ErrorKind::Busy),
    ("ServiceNotActive", ErrorKind::Busy),
    ("ClusterContains*", ErrorKind::Busy),
    ("ResourceInUse", ErrorKind::Busy),
];

/// Fragments of messages, in lower case, that say more than their code, which is
/// InvalidParameterException or ClientException for most. Collected from the Terraform AWS
/// provider's issue tracker and the ECS API reference.
const MESSAGES: &[(&str, ErrorKind)] = &[
    ("unable to describe task definition", ErrorKind::Missing),
    (
        "the specified task definition does not exist",
        ErrorKind::Missing,
    ),
    ("the referenced task was not found", ErrorKind::Missing),
    (
        "creation of service was not idempotent",
        ErrorKind::AlreadyExists,
    ),
    (
        "arguments on this idempotent request are inconsistent",
        ErrorKind::AlreadyExists,
    ),
    ("already exists", ErrorKind::AlreadyExists),
    ("you can run concurrently", ErrorKind::Quota),
    ("still draining", ErrorKind::Busy),
    ("was not active", ErrorKind::Busy),
    ("has a dependent object", ErrorKind::Busy),
    ("the service cannot be stopped while", ErrorKind::Busy),
    (
        "too many concurrent attempts to create a new revision",
        ErrorKind::Busy,
    ),
    ("taskdefinition not found", ErrorKind::DependencyNotReady),
    ("taskdefinition is inactive", ErrorKind::DependencyNotReady),
    (
        "does not have an associated load balancer",
        ErrorKind::DependencyNotReady,
    ),
    // IAM shows a new role everywhere only after a while.
    ("role is not valid", ErrorKind::DependencyNotReady),
    (
        "role being passed has the proper permissions",
        ErrorKind::DependencyNotReady,
    ),
    ("unable to assume the role", ErrorKind::DependencyNotReady),
    (
        "unable to assume the service linked role",
        ErrorKind::DependencyNotReady,
    ),
    (
        "capacity provider that is not associated with the cluster",
        ErrorKind::DependencyNotReady,
    ),
    // Of a capacity provider.
    (
        "was not found. specify a valid name or arn",
        ErrorKind::DependencyNotReady,
    ),
    // hashicorp/terraform-provider-aws#45693
    ("is not in an active state", ErrorKind::DependencyNotReady),
    ("is in use and cannot be removed", ErrorKind::Busy),
    (
        "the specified capacity provider does not exist",
        ErrorKind::Missing,
    ),
    ("invalidsubnetid.notfound", ErrorKind::DependencyNotReady),
    ("invalidgroup.notfound", ErrorKind::DependencyNotReady),
];
