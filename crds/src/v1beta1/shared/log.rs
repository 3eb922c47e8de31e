//! Where logs go, and secrets that are handed over at start.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// Where the standard output and error of a container go.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogConfiguration {
    /// Log driver. Fargate knows awslogs, splunk and awsfirelens; EC2 also json-file, syslog,
    /// journald, gelf and fluentd.
    pub log_driver: String,
    /// Options of the driver; awslogs needs `awslogs-group`, `awslogs-region` and, on Fargate,
    /// `awslogs-stream-prefix`.
    pub options: Option<BTreeMap<String, String>>,
    /// Options whose values come from Secrets Manager or the Parameter Store.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub secret_options: Option<Vec<Secret>>,
}

/// A value that ECS reads from Secrets Manager or the Parameter Store when a task starts.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Secret {
    /// Name of the environment variable or log option that receives the value.
    pub name: String,
    /// ARN of the secret (optionally `:json-key:version-stage:version-id`), or ARN or name of the
    /// parameter. Needs an execution role.
    pub value_from: String,
}
