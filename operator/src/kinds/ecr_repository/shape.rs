//! The members of an EcrRepository that are special: data, no code.

use crate::aws::{Operation, ecr};
use crate::reconcile::kind::Reset;

/// Whether tags of images can be moved.
pub(super) const MUTABILITY: &str = "imageTagMutability";

/// The tags that are excluded from that.
pub(super) const FILTERS: &str = "imageTagMutabilityExclusionFilters";

/// How each member is reset when the spec drops it. Source: the ECR API reference.
pub const RESETS: &[Reset] = &[
    ("imageScanningConfiguration.scanOnPush", "false"),
    ("imageTagMutability", r#""MUTABLE""#),
    ("imageTagMutabilityExclusionFilters", "null"),
    ("lifecyclePolicy", "null"),
    ("lifecyclePolicyText", "null"),
    ("repositoryPolicy", "null"),
    ("repositoryPolicyText", "null"),
];

/// The policies, which are sent as texts.
pub(super) const SENT_BY: &[(&str, Operation)] = &[
    ("lifecyclePolicy", ecr::PutLifecyclePolicy),
    ("lifecyclePolicyText", ecr::PutLifecyclePolicy),
    ("repositoryPolicy", ecr::SetRepositoryPolicy),
    ("repositoryPolicyText", ecr::SetRepositoryPolicy),
];

/// Members of the spec that ECR does not have.
pub(super) const OWN_MEMBERS: &[&str] = &["forceDelete"];

/// The calls that change a repository, and the members that each replaces.
pub(super) const UPDATES: [(Operation, &[&str]); 2] = [
    (
        ecr::PutImageTagMutability,
        &["imageTagMutability", "imageTagMutabilityExclusionFilters"],
    ),
    (
        ecr::PutImageScanningConfiguration,
        &["imageScanningConfiguration"],
    ),
];

/// Members of updates that stay as they are in ECR when the spec drops them, and why.
pub const STAYS: &[(&str, &str)] = &[];
