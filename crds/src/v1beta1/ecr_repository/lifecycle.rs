//! The lifecycle policy of a repository. Source: "Examples of lifecycle policies in Amazon ECR" and
//! "Lifecycle policy parameters", ECR user guide. The API takes it as a text, so its grammar is not
//! in the model of the API, and grows without it: unknown members go to ECR as they are.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_with::skip_serializing_none;

/// Rules by which ECR removes or archives images.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LifecyclePolicy {
    /// The rules, in the order of their priority, at most 50.
    #[schemars(length(min = 1, max = 50), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["rulePriority"]))]
    pub rules: Vec<LifecycleRule>,
}

/// A rule of a lifecycle policy.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct LifecycleRule {
    /// Order of the rule: ECR applies the rule with the lowest number first.
    #[schemars(range(min = 1, max = 999))]
    pub rule_priority: i32,
    /// What the rule is for.
    #[schemars(length(max = 256))]
    pub description: Option<String>,
    /// The images that the rule is about.
    pub selection: LifecycleSelection,
    /// What ECR does with them.
    pub action: LifecycleAction,
    /// Members that this definition does not know yet.
    #[serde(flatten)]
    #[schemars(skip)]
    pub other: BTreeMap<String, Value>,
}

/// The images that a rule of a lifecycle policy is about.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct LifecycleSelection {
    /// tagged, untagged or any. A rule for any image must have the highest number of all.
    #[schemars(length(max = 32))]
    pub tag_status: String,
    /// Patterns of tags with at most four `*`, such as `prod*`; an image must match all. For
    /// `tagStatus: tagged`.
    #[schemars(length(min = 1, max = 50), inner(length(min = 1, max = 128)), extend("x-kubernetes-list-type" = "set"))]
    pub tag_pattern_list: Option<Vec<String>>,
    /// Beginnings of tags; an image must match all. For `tagStatus: tagged`.
    #[schemars(length(min = 1, max = 50), inner(length(min = 1, max = 128)), extend("x-kubernetes-list-type" = "set"))]
    pub tag_prefix_list: Option<Vec<String>>,
    /// imageCountMoreThan, sinceImagePushed, sinceImagePulled or sinceImageTransitioned.
    #[schemars(length(max = 64))]
    pub count_type: String,
    /// Unit of `countNumber` for all but `imageCountMoreThan`: days.
    #[schemars(length(max = 16))]
    pub count_unit: Option<String>,
    /// Number of images to keep, or age of the images.
    #[schemars(range(min = 1))]
    pub count_number: i64,
    /// standard or archive. Default standard.
    #[schemars(length(max = 16))]
    pub storage_class: Option<String>,
    /// Members that this definition does not know yet.
    #[serde(flatten)]
    #[schemars(skip)]
    pub other: BTreeMap<String, Value>,
}

/// What ECR does with the images of a rule.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct LifecycleAction {
    /// expire or transition.
    #[serde(rename = "type")]
    #[schemars(length(max = 32))]
    pub type_: String,
    /// Storage class of `type: transition`: archive.
    #[schemars(length(max = 16))]
    pub target_storage_class: Option<String>,
    /// Members that this definition does not know yet.
    #[serde(flatten)]
    #[schemars(skip)]
    pub other: BTreeMap<String, Value>,
}
