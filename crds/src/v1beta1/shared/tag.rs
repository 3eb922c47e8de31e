//! AWS tags.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// A tag of an AWS object.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tag {
    /// Key of the tag, 1 to 128 characters; the prefixes `aws:` and `ecs-operator.dev/` are
    /// reserved.
    #[schemars(length(min = 1, max = 128))]
    pub key: String,
    /// Value of the tag, up to 256 characters; absent means empty.
    #[schemars(length(max = 256))]
    pub value: Option<String>,
}
