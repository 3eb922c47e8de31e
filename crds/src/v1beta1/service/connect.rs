//! Service Connect: how services find each other by name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::v1beta1::shared::LogConfiguration;

/// Service Connect of a service.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceConnectConfiguration {
    /// Whether the service takes part, as client and, with `services`, as server.
    pub enabled: bool,
    /// Name or ARN of the Cloud Map namespace; absent means the cluster's default.
    pub namespace: Option<String>,
    /// Ports that others can reach by name; absent means client only.
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["portName"]))]
    pub services: Option<Vec<ServiceConnectService>>,
    /// Where the logs of the proxy go.
    pub log_configuration: Option<LogConfiguration>,
    /// Access logs of the proxy.
    pub access_log_configuration: Option<ServiceConnectAccessLogConfiguration>,
    /// Settings of the proxy container, at most 10.
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "atomic"))]
    pub container_configurations: Option<Vec<ServiceConnectContainerConfiguration>>,
}

/// A port that others can reach by name.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceConnectService {
    /// Name of a port mapping of the task definition.
    pub port_name: String,
    /// Name in Cloud Map; default: `portName`.
    pub discovery_name: Option<String>,
    /// Address under which clients reach it; at most one.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub client_aliases: Option<Vec<ServiceConnectClientAlias>>,
    /// Port on which the proxy listens instead of a free one.
    #[schemars(range(min = 0, max = 65535))]
    pub ingress_port_override: Option<i32>,
    /// Time-outs of the proxy.
    pub timeout: Option<TimeoutConfiguration>,
    /// Encryption between proxies.
    pub tls: Option<ServiceConnectTlsConfiguration>,
}

/// Address under which clients reach a service.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceConnectClientAlias {
    /// Port that clients use.
    #[schemars(range(min = 0, max = 65535))]
    pub port: i32,
    /// Host name that clients use; default: `discoveryName.namespace`.
    pub dns_name: Option<String>,
    /// Which requests go to the new tasks during the test stage of a deployment.
    pub test_traffic_rules: Option<ServiceConnectTestTrafficRules>,
}

/// Which requests are test traffic.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceConnectTestTrafficRules {
    /// Header that marks test traffic.
    pub header: ServiceConnectTestTrafficHeader,
}

/// Header that marks test traffic.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceConnectTestTrafficHeader {
    /// Name of the header.
    pub name: String,
    /// Value of the header; absent means any.
    pub value: Option<ServiceConnectTestTrafficHeaderMatch>,
}

/// Value of a header that marks test traffic.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceConnectTestTrafficHeaderMatch {
    /// The exact value.
    pub exact: String,
}

/// Time-outs of the Service Connect proxy.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimeoutConfiguration {
    /// Seconds after which an idle connection is closed; 0 means never.
    #[schemars(range(min = 0))]
    pub idle_timeout_seconds: Option<i32>,
    /// Seconds that one request may take; 0 means no limit; not for TCP.
    #[schemars(range(min = 0))]
    pub per_request_timeout_seconds: Option<i32>,
}

/// Encryption between Service Connect proxies.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceConnectTlsConfiguration {
    /// Who signs the certificates.
    pub issuer_certificate_authority: ServiceConnectTlsCertificateAuthority,
    /// KMS key that encrypts the private keys.
    pub kms_key: Option<String>,
    /// IAM role with which ECS handles certificates.
    pub role_arn: Option<String>,
}

/// Who signs the certificates.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceConnectTlsCertificateAuthority {
    /// ARN of the AWS Private Certificate Authority.
    pub aws_pca_authority_arn: Option<String>,
}

/// Access logs of the proxy.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceConnectAccessLogConfiguration {
    /// TEXT or JSON.
    pub format: String,
    /// Whether query parameters are logged: ENABLED or DISABLED.
    pub include_query_parameters: Option<String>,
}

/// A setting of the proxy container; exactly one member.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceConnectContainerConfiguration {
    /// Log level of the proxy: debug or info.
    pub log_level: Option<String>,
}
