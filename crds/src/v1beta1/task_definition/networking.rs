//! Ports, hosts and proxies of a task.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::KeyValuePair;

/// A port, or a range of ports, of a container.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PortMapping {
    /// Port of the container.
    #[schemars(range(min = 0, max = 65535))]
    pub container_port: Option<i32>,
    /// Port of the host. In awsvpc mode the same as `containerPort` or absent; in bridge mode 0 or
    /// absent means any free one.
    #[schemars(range(min = 0, max = 65535))]
    pub host_port: Option<i32>,
    /// Protocol: tcp or udp. AWS default tcp.
    pub protocol: Option<String>,
    /// Name by which Service Connect and VPC Lattice refer to the port, up to 64 characters.
    #[schemars(length(min = 1, max = 64))]
    pub name: Option<String>,
    /// Application protocol for Service Connect: http, http2 or grpc; absent means TCP.
    pub app_protocol: Option<String>,
    /// Range of ports instead of one, such as `8000-8010`; bridge and awsvpc network modes.
    pub container_port_range: Option<String>,
}

/// A line of the hosts file of a container.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostEntry {
    /// Host name.
    pub hostname: String,
    /// Address of the host.
    pub ip_address: String,
}

/// Proxy of App Mesh.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProxyConfiguration {
    /// Kind of the proxy: APPMESH.
    #[serde(rename = "type")]
    pub type_: Option<String>,
    /// Name of the container that is the proxy.
    pub container_name: String,
    /// Parameters of the proxy, such as IgnoredUID, AppPorts, ProxyIngressPort and ProxyEgressPort.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub properties: Option<Vec<KeyValuePair>>,
}
