//! Errors of ECR.

use crate::aws::error_kind::{ErrorKind, ErrorTable};

/// The errors of ECR.
pub(super) const ERRORS: ErrorTable = ErrorTable {
    codes: CODES,
    messages: &[],
};

/// Codes, without the suffix `Exception`.
const CODES: &[(&str, ErrorKind)] = &[
    // A key that was made a moment ago, or whose policy was changed, is not known everywhere yet.
    ("Kms", ErrorKind::DependencyNotReady),
    ("RepositoryNotFound", ErrorKind::Missing),
    ("RepositoryAlreadyExists", ErrorKind::AlreadyExists),
    // An image was pushed after the operator had looked for images.
    ("RepositoryNotEmpty", ErrorKind::Busy),
];
