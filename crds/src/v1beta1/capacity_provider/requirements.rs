//! Which instance types ECS may choose.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// Which instance types ECS may choose, by their attributes. Source: InstanceRequirementsRequest,
/// ECS API reference.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceRequirements {
    /// Number of vCPUs.
    pub v_cpu_count: RequiredNumberRange,
    /// Memory in MiB.
    #[serde(rename = "memoryMiB")]
    pub memory_mib: RequiredNumberRange,
    /// Memory in GiB for each vCPU.
    #[serde(rename = "memoryGiBPerVCpu")]
    pub memory_gib_per_v_cpu: Option<DecimalRange>,
    /// Makers of the CPU: intel, amd or amazon-web-services.
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub cpu_manufacturers: Option<Vec<String>>,
    /// Instance types that are chosen only, with `*` for any text, such as `c8g.*`; at most 400.
    /// Exclusive with `excludedInstanceTypes`.
    #[schemars(length(max = 400), inner(length(min = 1, max = 30)), extend("x-kubernetes-list-type" = "set"))]
    pub allowed_instance_types: Option<Vec<String>>,
    /// Instance types that are never chosen, with `*` for any text; at most 400.
    #[schemars(length(max = 400), inner(length(min = 1, max = 30)), extend("x-kubernetes-list-type" = "set"))]
    pub excluded_instance_types: Option<Vec<String>>,
    /// Generations of instance types: current or previous.
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub instance_generations: Option<Vec<String>>,
    /// Percentage by which the price of a Spot instance may exceed that of the cheapest type.
    pub spot_max_price_percentage_over_lowest_price: Option<i32>,
    /// The same for On-Demand instances.
    pub on_demand_max_price_percentage_over_lowest_price: Option<i32>,
    /// Highest price of a Spot instance, as a percentage of the On-Demand price of the best type.
    /// Exclusive with `spotMaxPricePercentageOverLowestPrice`.
    pub max_spot_price_as_percentage_of_optimal_on_demand_price: Option<i32>,
    /// Bare metal types: included, required or excluded. AWS default excluded.
    pub bare_metal: Option<String>,
    /// Burstable types: included, required or excluded. AWS default excluded.
    pub burstable_performance: Option<String>,
    /// Whether the instances must support hibernation.
    pub require_hibernate_support: Option<bool>,
    /// Number of network interfaces.
    pub network_interface_count: Option<NumberRange>,
    /// Network bandwidth in Gbit/s.
    pub network_bandwidth_gbps: Option<DecimalRange>,
    /// Types with disks of their own: included, required or excluded. AWS default included.
    pub local_storage: Option<String>,
    /// Kinds of those disks: hdd or ssd.
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub local_storage_types: Option<Vec<String>>,
    /// Size of those disks in GB.
    #[serde(rename = "totalLocalStorageGB")]
    pub total_local_storage_gb: Option<DecimalRange>,
    /// Bandwidth to EBS in Mbit/s.
    pub baseline_ebs_bandwidth_mbps: Option<NumberRange>,
    /// Kinds of accelerators: gpu, fpga or inference.
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub accelerator_types: Option<Vec<String>>,
    /// Number of accelerators.
    pub accelerator_count: Option<NumberRange>,
    /// Makers of accelerators: amazon-web-services, amd, nvidia, xilinx or habana.
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub accelerator_manufacturers: Option<Vec<String>>,
    /// Names of accelerators: a100, inferentia, k520, k80, m60, radeon-pro-v520, t4, vu9p, v100,
    /// a10g, h100, t4g, l40s or l4.
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub accelerator_names: Option<Vec<String>>,
    /// Memory of the accelerators in MiB.
    #[serde(rename = "acceleratorTotalMemoryMiB")]
    pub accelerator_total_memory_mib: Option<NumberRange>,
}

/// A range of whole numbers with a lower bound.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequiredNumberRange {
    /// Lower bound.
    pub min: i32,
    /// Upper bound; absent means none.
    pub max: Option<i32>,
}

/// A range of whole numbers.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NumberRange {
    /// Lower bound; absent means none.
    pub min: Option<i32>,
    /// Upper bound; absent means none.
    pub max: Option<i32>,
}

/// A range of numbers.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecimalRange {
    /// Lower bound; absent means none.
    pub min: Option<f64>,
    /// Upper bound; absent means none.
    pub max: Option<f64>,
}
