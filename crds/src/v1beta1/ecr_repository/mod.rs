//! EcrRepository: a private repository of Amazon ECR. The spec is the input of `CreateRepository`.

mod lifecycle;

pub use lifecycle::{LifecycleAction, LifecyclePolicy, LifecycleRule, LifecycleSelection};

use kube::core::cel::Rule;
use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::shared::rules::{immutable, rule, tags};
use super::shared::{CommonStatus, FreeJson, Policies, Tag, spec, status};

/// A private repository of Amazon ECR, which holds the images of one application.
#[skip_serializing_none]
#[derive(CustomResource, JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "ecs-operator.dev",
    version = "v1beta1",
    kind = "EcrRepository",
    plural = "ecrrepositories",
    shortname = "ecrrepo",
    category = "ecs",
    doc = "A private repository of Amazon ECR, managed through the ECR API.",
    namespaced,
    validation = name_in_ecr(),
    status = "EcrRepositoryStatus",
    derive = "PartialEq",
    selectable = ".spec.repositoryName",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason"
    ),
    printcolumn(name = "URI", type_ = "string", json_path = ".status.repositoryUri"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "ARN",
        type_ = "string",
        json_path = ".status.repositoryArn",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].message",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(), "default" = {}))]
pub struct EcrRepositorySpec {
    /// Name of the repository in ECR, 2 to 256 lower-case letters, digits, hyphens, underscores,
    /// dots and slashes; default: `metadata.name`. Cannot change.
    #[schemars(
        length(min = 2, max = 256),
        regex(
            pattern = r"^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$"
        )
    )]
    pub repository_name: Option<String>,
    /// Tags of the repository, at most 50 with the operator's own.
    #[schemars(length(max = 48), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["key"]))]
    pub tags: Option<Vec<Tag>>,
    /// Whether a tag of an image can be moved to another image: MUTABLE, IMMUTABLE,
    /// IMMUTABLE_WITH_EXCLUSION or MUTABLE_WITH_EXCLUSION. AWS default MUTABLE.
    pub image_tag_mutability: Option<String>,
    /// Tags that are excluded from `imageTagMutability`; needs one of its values
    /// `…_WITH_EXCLUSION`.
    #[schemars(length(min = 1, max = 5), extend("x-kubernetes-list-type" = "atomic"))]
    pub image_tag_mutability_exclusion_filters: Option<Vec<ImageTagMutabilityExclusionFilter>>,
    /// Scan settings of the repository. AWS has deprecated them in favor of the scan settings of
    /// the registry.
    pub image_scanning_configuration: Option<ImageScanningConfiguration>,
    /// Encryption of the images. AWS default AES256. Cannot change.
    pub encryption_configuration: Option<EncryptionConfiguration>,

    /// Rules by which ECR removes or archives images. Absent, with `lifecyclePolicyText` absent too:
    /// the operator leaves the lifecycle policy alone, or deletes it if the spec had one before.
    pub lifecycle_policy: Option<LifecyclePolicy>,
    /// The lifecycle policy as JSON in a text. Exclusive with `lifecyclePolicy`.
    #[schemars(length(min = 1, max = 30720))]
    pub lifecycle_policy_text: Option<String>,
    /// Policy document of IAM that gives others access to the repository, as an object. Absent, with
    /// `repositoryPolicyText` absent too: the operator leaves the policy alone, or deletes it if the
    /// spec had one before.
    #[schemars(extend("type" = "object"))]
    pub repository_policy: Option<FreeJson>,
    /// The same as JSON in a text. Exclusive with `repositoryPolicy`.
    #[schemars(length(min = 1, max = 10240))]
    pub repository_policy_text: Option<String>,

    /// Whether the deletion of this object also deletes the images of the repository. Default
    /// false: it waits until the repository is empty.
    pub force_delete: Option<bool>,
    /// What the operator may do with the AWS object.
    #[serde(flatten)]
    pub policies: Policies,
}

/// The name of the object names the repository, unless the spec does.
fn name_in_ecr() -> Rule {
    rule(
        "has(self.spec.repositoryName) || self.metadata.name.size() >= 2",
        "metadata.name has one letter, and names of repositories have two at least: set spec.repositoryName",
    )
}

/// What CreateRepository and PutImageTagMutability refuse across members. Source: the ECR API
/// reference.
fn rules() -> Vec<Rule> {
    vec![
        immutable(
            "repositoryName",
            "repositoryName cannot change, ECR cannot rename a repository: create a new EcrRepository and push the images to it",
        ),
        immutable(
            "encryptionConfiguration",
            "encryptionConfiguration cannot change in ECR: create a new EcrRepository and push the images to it",
        ),
        tags(),
        rule(
            "has(self.imageTagMutabilityExclusionFilters) == (has(self.imageTagMutability) && self.imageTagMutability.endsWith('_WITH_EXCLUSION'))",
            "imageTagMutabilityExclusionFilters and an imageTagMutability of IMMUTABLE_WITH_EXCLUSION or MUTABLE_WITH_EXCLUSION need each other",
        ),
        rule(
            "!has(self.lifecyclePolicy) || !has(self.lifecyclePolicyText)",
            "lifecyclePolicy and lifecyclePolicyText exclude each other: drop one of them",
        ),
        rule(
            "!has(self.repositoryPolicy) || !has(self.repositoryPolicyText)",
            "repositoryPolicy and repositoryPolicyText exclude each other: drop one of them",
        ),
        rule(
            "!has(self.lifecyclePolicy) || self.lifecyclePolicy.rules.all(r, (r.selection.tagStatus == 'tagged') == (has(r.selection.tagPatternList) || has(r.selection.tagPrefixList)))",
            "lifecyclePolicy.rules[].selection: tagStatus tagged and tagPatternList or tagPrefixList need each other",
        ),
        rule(
            "!has(self.lifecyclePolicy) || self.lifecyclePolicy.rules.all(r, (r.selection.countType == 'imageCountMoreThan') != has(r.selection.countUnit))",
            "lifecyclePolicy.rules[].selection.countUnit: days is needed for a countType since…, and excluded for imageCountMoreThan",
        ),
        rule(
            "!has(self.lifecyclePolicy) || self.lifecyclePolicy.rules.all(r, r.selection.tagStatus != 'any' || self.lifecyclePolicy.rules.all(o, o.rulePriority <= r.rulePriority))",
            "lifecyclePolicy.rules[]: the rule with tagStatus any must have the highest rulePriority",
        ),
        rule(
            "!has(self.encryptionConfiguration) || !has(self.encryptionConfiguration.kmsKey) || self.encryptionConfiguration.encryptionType != 'AES256'",
            "encryptionConfiguration.kmsKey needs the encryptionType KMS or KMS_DSSE",
        ),
    ]
}

/// Tags that are excluded from the mutability of a repository.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageTagMutabilityExclusionFilter {
    /// Type of the filter: WILDCARD.
    pub filter_type: String,
    /// Tags, with `*` for any text, such as `dev-*`.
    #[schemars(
        length(min = 1, max = 128),
        regex(pattern = "^[0-9a-zA-Z._*-]{1,128}$")
    )]
    pub filter: String,
}

/// Scan settings of a repository.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageScanningConfiguration {
    /// Whether ECR scans an image when it is pushed. AWS default false.
    pub scan_on_push: Option<bool>,
}

/// Encryption of the images of a repository.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EncryptionConfiguration {
    /// AES256, KMS or KMS_DSSE.
    pub encryption_type: String,
    /// ARN, ID or alias of the KMS key; default: the key that AWS manages for ECR.
    #[schemars(length(min = 1, max = 2048))]
    pub kms_key: Option<String>,
}

/// Observed state of the repository.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = {"observedGeneration": -1}))]
pub struct EcrRepositoryStatus {
    /// What every status reports.
    #[serde(flatten)]
    pub common: CommonStatus,
    /// ARN of the repository.
    pub repository_arn: Option<String>,
    /// Address of the repository for `docker push` and for `image` of a container, without a tag.
    pub repository_uri: Option<String>,
}
spec!(EcrRepositorySpec);
status!(EcrRepositoryStatus {
    arn: repository_arn
});

impl EcrRepository {
    /// Name of the repository in ECR: `spec.repositoryName`, or the name of the object.
    #[must_use]
    pub fn repository_name(&self) -> String {
        self.spec
            .repository_name
            .clone()
            .unwrap_or_else(|| self.name_any())
    }
}
