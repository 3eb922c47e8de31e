//! Errors of ECR.

use crate::aws::error_kind::{ErrorKind, ErrorTable};

/// The errors of ECR.
pub(super) const ERRORS: ErrorTable = ErrorTable {
    codes: CODES,
    // IAM shows a new role everywhere only after a while. Source: issue 39064 of the Terraform AWS
    // provider.
    messages: &[("principal not found", ErrorKind::DependencyNotReady)],
};

/// Codes, without the suffix `Exception`.
const CODES: &[(&str, ErrorKind)] = &[
    // A key that was made a moment ago, or whose policy was changed, is not known everywhere yet.
    ("Kms", ErrorKind::DependencyNotReady),
    ("ImageNotFound", ErrorKind::Missing),
    ("LifecyclePolicyNotFound", ErrorKind::Missing),
    ("RepositoryNotFound", ErrorKind::Missing),
    ("RepositoryPolicyNotFound", ErrorKind::Missing),
    ("RepositoryAlreadyExists", ErrorKind::AlreadyExists),
    // An image was pushed after the operator had looked for images.
    ("RepositoryNotEmpty", ErrorKind::Busy),
];
