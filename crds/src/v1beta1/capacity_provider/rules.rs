//! What CreateCapacityProvider and UpdateCapacityProvider refuse across members, as rules of the
//! schema. Source: the ECS API reference.

use kube::core::cel::Rule;

use crate::v1beta1::shared::rules::{cluster, immutable, rule, tags};

/// Prefixes that ECS keeps for its own providers, as a condition on a name.
const RESERVED: &str = "lowerAscii().matches('^(aws|ecs|fargate)')";

/// The name of the object names the provider, unless the spec does.
pub(super) fn object_name() -> Rule {
    rule(
        &format!("has(self.spec.name) || !self.metadata.name.{RESERVED}"),
        "metadata.name begins with aws, ecs or fargate, which ECS reserves: set spec.name",
    )
}

/// Every rule, as the spec carries them.
pub(super) fn all() -> Vec<Rule> {
    [cluster(), identity(), scaling(), instances()].concat()
}

/// What a capacity provider is.
fn identity() -> Vec<Rule> {
    vec![
        immutable(
            "name",
            "name cannot change, ECS cannot rename a capacity provider: create a new EcsCapacityProvider and move the cluster to it",
        ),
        rule(
            &format!("!has(self.name) || !self.name.{RESERVED}"),
            "name begins with aws, ecs or fargate, which ECS reserves: choose another name",
        ),
        rule(
            "has(self.autoScalingGroupProvider) != has(self.managedInstancesProvider)",
            "one of autoScalingGroupProvider and managedInstancesProvider is needed, and they exclude each other",
        ),
        rule(
            "has(self.autoScalingGroupProvider) == has(oldSelf.autoScalingGroupProvider)",
            "autoScalingGroupProvider and managedInstancesProvider cannot replace each other: create a new EcsCapacityProvider and move the cluster to it",
        ),
        rule(
            "has(self.managedInstancesProvider) == (has(self.cluster) || has(self.clusterRef))",
            "managedInstancesProvider and clusterRef (an EcsCluster in this namespace) or cluster need each other: an Auto Scaling group belongs to no cluster, name its provider in the clusters that use it",
        ),
        immutable(
            "cluster",
            "cluster cannot change, ECS cannot move a capacity provider: create a new EcsCapacityProvider for the other cluster",
        ),
        immutable(
            "clusterRef",
            "clusterRef cannot change, ECS cannot move a capacity provider: create a new EcsCapacityProvider for the other cluster",
        ),
        tags(),
    ]
}

/// How an Auto Scaling group is scaled.
fn scaling() -> Vec<Rule> {
    let group = "self.autoScalingGroupProvider";
    let scaling = format!("{group}.managedScaling");
    vec![
        rule(
            "!has(self.autoScalingGroupProvider) || !has(oldSelf.autoScalingGroupProvider) || self.autoScalingGroupProvider.autoScalingGroupArn == oldSelf.autoScalingGroupProvider.autoScalingGroupArn",
            "autoScalingGroupProvider.autoScalingGroupArn cannot change: create a new EcsCapacityProvider for the other group and move the cluster to it",
        ),
        rule(
            &format!(
                "!has({group}) || !has({group}.managedTerminationProtection) || {group}.managedTerminationProtection != 'ENABLED' || (has({scaling}) && has({scaling}.status) && {scaling}.status == 'ENABLED')"
            ),
            "autoScalingGroupProvider.managedTerminationProtection ENABLED needs managedScaling.status ENABLED",
        ),
        rule(
            &format!(
                "!has({group}) || !has({scaling}) || !has({scaling}.minimumScalingStepSize) || !has({scaling}.maximumScalingStepSize) || {scaling}.minimumScalingStepSize <= {scaling}.maximumScalingStepSize"
            ),
            "autoScalingGroupProvider.managedScaling.minimumScalingStepSize is greater than maximumScalingStepSize: lower it",
        ),
    ]
}

/// Which instances ECS starts.
fn instances() -> Vec<Rule> {
    let template = "managedInstancesProvider.instanceLaunchTemplate";
    let fixed = |member: &str| {
        let (now, before) = (
            format!("self.{template}.{member}"),
            format!("oldSelf.{template}.{member}"),
        );
        rule(
            &format!(
                "!has(self.managedInstancesProvider) || !has(oldSelf.managedInstancesProvider) || (has({now}) == has({before}) && (!has({now}) || {now} == {before}))"
            ),
            &format!(
                "{template}.{member} cannot change in ECS: create a new EcsCapacityProvider and move the services to it"
            ),
        )
    };
    let requirements = format!("self.{template}.instanceRequirements");
    let exclusive = |one: &str, other: &str| {
        rule(
            &format!(
                "!has(self.managedInstancesProvider) || !has({requirements}) || !has({requirements}.{one}) || !has({requirements}.{other})"
            ),
            &format!(
                "{template}.instanceRequirements: {one} and {other} exclude each other: drop one of them"
            ),
        )
    };
    vec![
        fixed("capacityOptionType"),
        fixed("fipsEnabled"),
        fixed("nitroEnclavesEnabled"),
        exclusive("allowedInstanceTypes", "excludedInstanceTypes"),
        exclusive(
            "spotMaxPricePercentageOverLowestPrice",
            "maxSpotPriceAsPercentageOfOptimalOnDemandPrice",
        ),
    ]
}
