//! The ECR operations that the operator uses, and the quota that each draws on.
//!
//! AWS publishes no rates for these operations ("Amazon ECR service quotas" lists the ones of
//! pushes and pulls). 10 calls per second is an assumption; the operator slows down when AWS
//! throttles.

#![allow(
    non_upper_case_globals,
    reason = "the names are those of the AWS documentation"
)]

use aws_sdk_ecr::Client;

use super::errors::ERRORS;
use crate::aws::operation::{MemberNames, Service, Tagging, operations};
use crate::aws::tags::TagShape;

/// Amazon ECR.
pub const SERVICE: Service = Service {
    name: "ecr",
    tag_shape: TagShape::Uppercase,
    member_names: MemberNames::Lowercase,
};

/// The operations of ECR that tag.
pub const TAGGING: Tagging = Tagging {
    tag: TagResource,
    untag: UntagResource,
};

operations! {
    SERVICE, ERRORS, Client;
    // Calls at once, and calls per second after that.
    reads {
        RepositoryRead 10 10;
        RepositoryTagsRead 10 10;
        RepositoryPolicyRead 10 10;
        ImageRead 10 10;
    }
    // Before them the statement of the IAM policy that allows the writes.
    writes {
        RepositoryModify "Repositories" 10 10;
        RepositoryTagModify "Repositories" 10 10;
    }
    operations {
        RepositoryRead: DescribeRepositories describe_repositories;
        RepositoryTagsRead: ListTagsForResource list_tags_for_resource;
        RepositoryPolicyRead: GetLifecyclePolicy get_lifecycle_policy;
        RepositoryPolicyRead: GetRepositoryPolicy get_repository_policy;
        ImageRead: DescribeImages describe_images;
        ImageRead: DescribePullThroughCacheRules describe_pull_through_cache_rules;
        ImageRead: ListImages list_images;
        RepositoryModify: CreateRepository create_repository;
        RepositoryModify: PutImageTagMutability put_image_tag_mutability;
        RepositoryModify: PutImageScanningConfiguration put_image_scanning_configuration;
        RepositoryModify: PutLifecyclePolicy put_lifecycle_policy;
        RepositoryModify: DeleteLifecyclePolicy delete_lifecycle_policy;
        RepositoryModify: SetRepositoryPolicy set_repository_policy;
        RepositoryModify: DeleteRepositoryPolicy delete_repository_policy;
        RepositoryModify: DeleteRepository delete_repository;
        RepositoryTagModify: TagResource tag_resource;
        RepositoryTagModify: UntagResource untag_resource;
    }
}
