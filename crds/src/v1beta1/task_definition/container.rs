//! One container of a task.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::{
    HealthCheck, HostEntry, LinuxParameters, MountPoint, PortMapping, ResourceRequirement,
    SystemControl, Ulimit, VolumeFrom,
};
use crate::v1beta1::shared::{LogConfiguration, Secret};

/// One container of a task (`ContainerDefinition` of the ECS API).
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerDefinition {
    /// Name of the container, unique in the task, up to 255 letters, digits, hyphens and
    /// underscores.
    #[schemars(length(min = 1, max = 255), regex(pattern = "^[a-zA-Z0-9_-]+$"))]
    pub name: String,
    /// Image, as `repository/name:tag` or `repository/name@digest`.
    #[schemars(length(min = 1, max = 1024))]
    pub image: String,
    /// Credentials of a private registry other than ECR.
    pub repository_credentials: Option<RepositoryCredentials>,
    /// CPU units of this container (1024 is one vCPU); its share when the task is busy. AWS default
    /// 0.
    #[schemars(range(min = 0))]
    pub cpu: Option<i32>,
    /// Memory limit in MiB: a container that passes it is killed.
    #[schemars(range(min = 4))]
    pub memory: Option<i32>,
    /// Memory in MiB that is kept for the container when the host is short of it; below `memory`.
    #[schemars(range(min = 4))]
    pub memory_reservation: Option<i32>,
    /// Containers that are reached by name without port mappings, as `name` or `name:alias`; bridge
    /// network mode only.
    #[schemars(length(max = 100), inner(length(max = 511)), extend("x-kubernetes-list-type" = "atomic"))]
    pub links: Option<Vec<String>>,
    /// Ports of the container.
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "atomic"))]
    pub port_mappings: Option<Vec<PortMapping>>,
    /// Whether the task ends when this container ends. AWS default true; one container must be
    /// essential.
    pub essential: Option<bool>,
    /// Restarts of the container inside the running task.
    pub restart_policy: Option<ContainerRestartPolicy>,
    /// Entry point that replaces the image's.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub entry_point: Option<Vec<String>>,
    /// Command that replaces the image's.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub command: Option<Vec<String>>,
    /// Environment variables. Put nothing secret here, use `secrets`.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub environment: Option<Vec<KeyValuePair>>,
    /// Files in S3 with environment variables, at most 10; where two set the same variable, the
    /// earlier file wins.
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "atomic"))]
    pub environment_files: Option<Vec<EnvironmentFile>>,
    /// Volumes of the task that the container sees, and where.
    #[schemars(length(max = 50), extend("x-kubernetes-list-type" = "atomic"))]
    pub mount_points: Option<Vec<MountPoint>>,
    /// Containers whose mounts this one takes over.
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "atomic"))]
    pub volumes_from: Option<Vec<VolumeFrom>>,
    /// Linux kernel options.
    pub linux_parameters: Option<LinuxParameters>,
    /// Environment variables whose values come from Secrets Manager or the Parameter Store. Needs
    /// an execution role.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub secrets: Option<Vec<Secret>>,
    /// Containers that must be in a state before this one starts.
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["containerName"]))]
    pub depends_on: Option<Vec<ContainerDependency>>,
    /// Seconds after which waiting for `dependsOn` is given up, 2 to 120 on Fargate. AWS default
    /// there: 180 (3 minutes).
    pub start_timeout: Option<i32>,
    /// Seconds between the stop signal and the kill, up to 120 on Fargate. AWS default 30.
    pub stop_timeout: Option<i32>,
    /// Whether ECS pins the image tag to one digest for a whole deployment: enabled or disabled.
    /// AWS default enabled.
    pub version_consistency: Option<String>,
    /// Host name of the container; not in awsvpc network mode.
    pub hostname: Option<String>,
    /// User that the process runs as: `user`, `uid`, `user:group` or `uid:gid`.
    pub user: Option<String>,
    /// Working directory of the process.
    pub working_directory: Option<String>,
    /// Whether networking is off in the container; not on Fargate.
    pub disable_networking: Option<bool>,
    /// Whether the container has the rights of root on the host; not on Fargate.
    pub privileged: Option<bool>,
    /// Whether the root file system is read-only. AWS default false.
    pub readonly_root_filesystem: Option<bool>,
    /// DNS servers of the container; not in awsvpc network mode.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub dns_servers: Option<Vec<String>>,
    /// DNS search domains of the container; not in awsvpc network mode.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub dns_search_domains: Option<Vec<String>>,
    /// Lines for the hosts file of the container; not in awsvpc network mode.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub extra_hosts: Option<Vec<HostEntry>>,
    /// SELinux, AppArmor and credential options, such as `no-new-privileges`; not on Fargate.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub docker_security_options: Option<Vec<String>>,
    /// Whether standard input stays open.
    pub interactive: Option<bool>,
    /// Whether a terminal is allocated.
    pub pseudo_terminal: Option<bool>,
    /// Labels of the container.
    pub docker_labels: Option<BTreeMap<String, String>>,
    /// Resource limits of the process; Fargate lets only `nofile` be set.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub ulimits: Option<Vec<Ulimit>>,
    /// Where standard output and error go.
    pub log_configuration: Option<LogConfiguration>,
    /// Command that tells whether the container is healthy.
    pub health_check: Option<HealthCheck>,
    /// Kernel parameters of the container.
    #[schemars(length(max = 1000), extend("x-kubernetes-list-type" = "atomic"))]
    pub system_controls: Option<Vec<SystemControl>>,
    /// GPUs and other devices of the container.
    #[schemars(length(max = 50), extend("x-kubernetes-list-type" = "atomic"))]
    pub resource_requirements: Option<Vec<ResourceRequirement>>,
    /// Makes this container the log router of the others (FireLens).
    pub firelens_configuration: Option<FirelensConfiguration>,
    /// Active Directory credential spec files (gMSA), at most one.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub credential_specs: Option<Vec<String>>,
}

/// Credentials of a private registry.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepositoryCredentials {
    /// ARN of the Secrets Manager secret with user name and password.
    pub credentials_parameter: String,
}

/// Restarts of a container inside the running task.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerRestartPolicy {
    /// Whether ECS restarts the container when it ends.
    pub enabled: bool,
    /// Exit codes after which it is not restarted, at most 50.
    #[schemars(length(max = 50), extend("x-kubernetes-list-type" = "set"))]
    pub ignored_exit_codes: Option<Vec<i32>>,
    /// Seconds that the container must have run to be restarted, 60 to 1800. AWS default 300.
    #[schemars(range(min = 60, max = 1800))]
    pub restart_attempt_period: Option<i32>,
}

/// An environment variable.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyValuePair {
    /// Name of the variable.
    pub name: String,
    /// Value of the variable; absent means empty.
    pub value: Option<String>,
}

/// A file in S3 with environment variables.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentFile {
    /// ARN of the S3 object; its name ends in `.env`.
    pub value: String,
    /// Kind of the file: `s3`.
    #[serde(rename = "type")]
    pub type_: String,
}

/// A container that must be in a state before another one starts.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerDependency {
    /// Name of the container to wait for.
    #[schemars(length(max = 255))]
    pub container_name: String,
    /// State to wait for: START, COMPLETE, SUCCESS (exit code 0) or HEALTHY (needs a health check).
    #[schemars(length(max = 64))]
    pub condition: String,
}

/// Makes a container the log router of the task (FireLens).
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FirelensConfiguration {
    /// Log router: fluentbit or fluentd.
    #[serde(rename = "type")]
    pub type_: String,
    /// Options: `enable-ecs-log-metadata`, `config-file-type` (s3 or file) and `config-file-value`.
    pub options: Option<BTreeMap<String, String>>,
}
