//! Linux kernel options of a container.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// Linux kernel options of a container.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinuxParameters {
    /// Kernel capabilities beyond or below the default; Fargate lets only SYS_PTRACE be added.
    pub capabilities: Option<KernelCapabilities>,
    /// Devices of the host; not on Fargate.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub devices: Option<Vec<Device>>,
    /// Whether an init process forwards signals and reaps children.
    pub init_process_enabled: Option<bool>,
    /// Size of `/dev/shm` in MiB; not on Fargate.
    pub shared_memory_size: Option<i32>,
    /// File systems in memory.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub tmpfs: Option<Vec<Tmpfs>>,
    /// Swap in MiB; 0 means none; not on Fargate.
    pub max_swap: Option<i32>,
    /// How eagerly memory is swapped, 0 to 100; needs `maxSwap`; not on Fargate. AWS default 60.
    #[schemars(range(min = 0, max = 100))]
    pub swappiness: Option<i32>,
}

/// Kernel capabilities beyond or below the default.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KernelCapabilities {
    /// Capabilities to add, such as SYS_PTRACE.
    #[schemars(length(max = 100), inner(length(max = 64)), extend("x-kubernetes-list-type" = "set"))]
    pub add: Option<Vec<String>>,
    /// Capabilities to drop, such as ALL.
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub drop: Option<Vec<String>>,
}

/// A device of the host.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// Path of the device on the host.
    pub host_path: String,
    /// Path of the device in the container; default: the same.
    pub container_path: Option<String>,
    /// What the container may do with it: read, write, mknod. AWS default: all three.
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub permissions: Option<Vec<String>>,
}

/// A file system in memory.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tmpfs {
    /// Path in the container.
    pub container_path: String,
    /// Size in MiB.
    pub size: i32,
    /// Mount options, such as `noexec`.
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub mount_options: Option<Vec<String>>,
}

/// A resource limit of the process.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ulimit {
    /// Name of the limit: core, cpu, data, fsize, locks, memlock, msgqueue, nice, nofile, nproc,
    /// rss, rtprio, rttime, sigpending or stack.
    pub name: String,
    /// Limit that the process may raise up to `hardLimit`.
    pub soft_limit: i32,
    /// Limit that it cannot pass.
    pub hard_limit: i32,
}

/// A kernel parameter of a container.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SystemControl {
    /// Name of the parameter, such as `net.ipv4.tcp_keepalive_time`.
    #[schemars(length(max = 255))]
    pub namespace: Option<String>,
    /// Value of the parameter.
    pub value: Option<String>,
}
