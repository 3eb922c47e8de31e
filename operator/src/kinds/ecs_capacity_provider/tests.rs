//! Tables for `plan` and `status`.

use std::sync::Arc;

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::EcsCapacityProvider;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::observed::ObservedCapacityProvider;
use super::plan;
use super::plan::wanted_hash;
use crate::aws::ecs::{self, CapacityProviderKey};
use crate::aws::observer::{Answer, Seen};
use crate::aws::tags::OWNER;
use crate::reconcile::kind::After;
use crate::reconcile::outcome::Outcome;
use crate::reconcile::plan::{Obstacle, Plan};
use crate::reconcile::references::not_ready;
use crate::reconcile::report::status_after;
use crate::reconcile::{Kind, Reference};
use crate::testkit::{Fixture, dependants, operations, owner, write};

const ARN: &str = "arn:aws:ecs:eu-central-1:111122223333:capacity-provider/workers";

/// A spec with an Auto Scaling group, with these members.
fn group(members: &Value) -> EcsCapacityProvider {
    let mut provider = json!({"autoScalingGroupArn": "workers"});
    for (name, value) in members.as_object().into_iter().flatten() {
        provider[name] = value.clone();
    }
    EcsCapacityProvider::test("workers", &json!({"autoScalingGroupProvider": provider}))
}

/// A spec with Managed Instances, with these members of the template.
fn instances(members: &Value) -> EcsCapacityProvider {
    let spec = json!({
        "clusterRef": {"name": "shop"},
        "managedInstancesProvider": {
            "infrastructureRoleArn": "arn:aws:iam::111122223333:role/ecs/infrastructure",
            "instanceLaunchTemplate": template(members),
        },
    });
    EcsCapacityProvider::test("workers", &spec)
}

fn template(members: &Value) -> Value {
    let mut template = json!({
        "ec2InstanceProfileArn": "arn:aws:iam::111122223333:instance-profile/ecs",
        "networkConfiguration": {"subnets": ["subnet-1", "subnet-2"]},
    });
    for (name, value) in members.as_object().into_iter().flatten() {
        template[name] = value.clone();
    }
    template
}

fn key(cluster: Option<&str>) -> CapacityProviderKey {
    CapacityProviderKey {
        cluster: cluster.map(str::to_owned),
        name: "workers".to_owned(),
    }
}

/// The provider as ECS describes it, with these members.
fn observed(changes: &Value) -> ObservedCapacityProvider {
    let scaling = json!({"status": "DISABLED", "targetCapacity": 100, "minimumScalingStepSize": 1,
        "maximumScalingStepSize": 10000, "instanceWarmupPeriod": 300});
    let group = json!({
        "autoScalingGroupArn": "arn:aws:autoscaling:eu-central-1:111122223333:autoScalingGroup:0a1b:autoScalingGroupName/workers",
        "managedScaling": scaling,
        "managedTerminationProtection": "DISABLED",
        "managedDraining": "ENABLED",
    });
    let mut json = json!({
        "capacityProviderArn": ARN,
        "name": "workers",
        "status": "ACTIVE",
        "type": "EC2_AUTOSCALING",
        "updateStatus": "CREATE_COMPLETE",
        "autoScalingGroupProvider": group,
        "tags": [{"key": OWNER, "value": owner("workers").tag()}],
    });
    for (name, value) in changes.as_object().into_iter().flatten() {
        json[name] = value.clone();
    }
    let answer = Answer::Found(Arc::new(json));
    seen(key(None), answer)
}

/// The same with Managed Instances.
fn observed_instances(changes: &Value) -> ObservedCapacityProvider {
    let provider = json!({
        "infrastructureRoleArn": "arn:aws:iam::111122223333:role/ecs/infrastructure",
        "instanceLaunchTemplate": template(&json!({"capacityOptionType": "ON_DEMAND", "monitoring": "BASIC",
            "networkConfiguration": {"subnets": ["subnet-2", "subnet-1"], "securityGroups": ["sg-1"]}})),
        "propagateTags": "NONE",
    });
    let mut json = json!({"autoScalingGroupProvider": null, "managedInstancesProvider": provider, "cluster": "shop"});
    for (name, value) in changes.as_object().into_iter().flatten() {
        json[name] = value.clone();
    }
    ObservedCapacityProvider {
        key: key(Some("shop")),
        ..observed(&json)
    }
}

fn missing(cluster: Option<&str>) -> ObservedCapacityProvider {
    seen(key(cluster), Answer::Missing)
}

fn seen(key: CapacityProviderKey, answer: Answer) -> ObservedCapacityProvider {
    let seen = Seen {
        at: Instant::now(),
        answer,
    };
    ObservedCapacityProvider::new(key)
        .with(seen)
        .expect("a valid reply")
}

fn planned(object: &EcsCapacityProvider, observed: &ObservedCapacityProvider) -> Plan {
    plan::plan(object, observed, &owner("workers"))
}

/// What the plan waits or stalls for.
fn obstacle(plan: Plan) -> Obstacle {
    match plan {
        Plan::Wait(obstacle) | Plan::Stall(obstacle) => obstacle,
        other => panic!("{other:?} is no obstacle"),
    }
}

#[test]
fn creates_a_provider_of_a_group_without_a_cluster() {
    let object = group(&json!({"managedDraining": "DISABLED"}));
    let create = write(planned(&object, &missing(None)));
    assert_eq!(create.operation, ecs::CreateCapacityProvider);
    let expected = json!({
        "name": "workers",
        "autoScalingGroupProvider": {"autoScalingGroupArn": "workers", "managedDraining": "DISABLED"},
        "tags": [{"key": OWNER, "value": owner("workers").tag()}],
    });
    assert_eq!(create.request, expected);
}

#[test]
fn creates_managed_instances_when_the_cluster_is_there() {
    let object = instances(&json!({}));
    let mut waits = missing(Some("shop"));
    waits.cluster_obstacle = Some(not_ready("not yet".to_owned(), true));
    let waiting = obstacle(planned(&object, &waits));
    assert_eq!(waiting.reason, Reason::DependencyNotReady);
    let create = write(planned(&object, &missing(Some("shop"))));
    assert_eq!(create.request["cluster"], "shop");
    assert_eq!(create.request["clusterRef"], Value::Null);
    // A provider that is there needs the EcsCluster no longer.
    let mut present = observed_instances(&json!({}));
    present.cluster_obstacle = waits.cluster_obstacle;
    assert_eq!(planned(&object, &present), Plan::InSync);
}

#[test]
fn what_ecs_fills_in_or_reorders_is_no_drift() {
    assert_eq!(
        planned(&group(&json!({})), &observed(&json!({}))),
        Plan::InSync
    );
    let defaults = json!({"managedScaling": {"status": "DISABLED", "targetCapacity": 100}, "managedDraining": "ENABLED"});
    assert_eq!(
        planned(&group(&defaults), &observed(&json!({}))),
        Plan::InSync
    );
    assert_eq!(
        planned(&instances(&json!({})), &observed_instances(&json!({}))),
        Plan::InSync
    );
}

#[test]
fn updates_a_group_without_the_members_that_cannot_change() {
    let object = group(&json!({"managedScaling": {"targetCapacity": 80}}));
    let update = write(planned(&object, &observed(&json!({}))));
    assert_eq!(update.operation, ecs::UpdateCapacityProvider);
    assert_eq!(
        update.note,
        "Updated capacity provider workers: autoScalingGroupProvider.managedScaling.targetCapacity"
    );
    let provider = &update.request["autoScalingGroupProvider"];
    assert_eq!(update.request["name"], "workers");
    assert_eq!(provider["managedScaling"]["targetCapacity"], 80);
    assert_eq!(provider.get("autoScalingGroupArn"), None);
}

#[test]
fn updates_managed_instances_with_all_that_ecs_requires() {
    let object = instances(&json!({"monitoring": "DETAILED", "capacityOptionType": "ON_DEMAND"}));
    let update = write(planned(&object, &observed_instances(&json!({}))));
    assert_eq!(update.request["cluster"], "shop");
    let provider = &update.request["managedInstancesProvider"];
    let sent = json!({
        "infrastructureRoleArn": "arn:aws:iam::111122223333:role/ecs/infrastructure",
        "instanceLaunchTemplate": {
            "ec2InstanceProfileArn": "arn:aws:iam::111122223333:instance-profile/ecs",
            "networkConfiguration": {"subnets": ["subnet-1", "subnet-2"], "securityGroups": ["sg-1"]},
            "monitoring": "DETAILED",
        },
        "propagateTags": "NONE",
    });
    // The last one means absence, so it may go along or not.
    for (member, value) in sent.as_object().unwrap() {
        if member != "propagateTags" {
            assert_eq!(provider[member], *value, "{member}");
        }
    }
}

#[test]
fn resets_a_member_that_the_spec_drops() {
    let status = json!({"status": {"appliedMembers": ["autoScalingGroupProvider.managedScaling.targetCapacity"]}});
    let object = group(&json!({})).with(&status);
    let mut live = observed(&json!({}));
    let mut json = (*live.provider.clone().unwrap().json).clone();
    json["autoScalingGroupProvider"]["managedScaling"]["targetCapacity"] = 80.into();
    live = seen(key(None), Answer::Found(Arc::new(json)));
    let update = write(planned(&object, &live));
    assert_eq!(
        update.request["autoScalingGroupProvider"]["managedScaling"]["targetCapacity"],
        100
    );
    assert_eq!(planned(&group(&json!({})), &live), Plan::InSync);
}

#[test]
fn changes_wait_for_an_earlier_change() {
    let object = group(&json!({"managedDraining": "DISABLED"}));
    let busy = observed(&json!({"updateStatus": "UPDATE_IN_PROGRESS"}));
    let waiting = obstacle(planned(&object, &busy));
    assert_eq!((waiting.reason, waiting.passing), (Reason::Busy, true));
    let status = group(&json!({})).status_after(Some(&busy), &Outcome::InSync);
    assert_eq!(status.common.conditions[0].status, "Unknown");
    let ready = group(&json!({})).status_after(Some(&observed(&json!({}))), &Outcome::InSync);
    assert_eq!(ready.common.conditions[0].status, "True");
    assert_eq!(ready.capacity_provider_arn.as_deref(), Some(ARN));
}

#[test]
fn a_failed_creation_is_reported_and_not_repeated_by_itself() {
    let object = instances(&json!({}));
    let failed = observed_instances(
        &json!({"status": "INACTIVE", "updateStatus": "CREATE_FAILED",
        "updateStatusReason": "The instance profile does not exist.", "tags": []}),
    );
    // A crash after the call has lost the record of it.
    let again = write(planned(&object, &failed));
    assert_eq!(again.operation, ecs::CreateCapacityProvider);
    let accepted = json!({"status": {"acceptedHash": wanted_hash(&object)}});
    let sent = object.clone().with(&accepted);
    let stalled = obstacle(planned(&sent, &failed));
    assert_eq!(stalled.reason, Reason::ProvisioningFailed);
    assert!(
        stalled
            .message
            .starts_with("capacity provider workers is CREATE_FAILED: The instance profile does not exist. Change the spec, or"),
        "{}",
        stalled.message
    );
    // Another spec, or a user's request, is sent.
    let changed = instances(&json!({"monitoring": "DETAILED"})).with(&accepted);
    assert_eq!(
        operations(&planned(&changed, &failed)),
        [ecs::CreateCapacityProvider]
    );
    let asked = sent
        .clone()
        .with(&json!({"metadata": {"annotations": {"ecs-operator.dev/reconcileAt": "now"}}}));
    assert_eq!(
        operations(&planned(&asked, &failed)),
        [ecs::CreateCapacityProvider]
    );
    assert_eq!(planned(&sent.deleting(), &failed), Plan::Gone);
}

#[test]
fn a_failed_update_is_reported_and_sent_again_on_request() {
    let object = group(&json!({"managedDraining": "DISABLED"}));
    let failed = observed(&json!({"updateStatus": "UPDATE_FAILED", "updateStatusReason": "no"}));
    assert_eq!(
        operations(&planned(&object, &failed)),
        [ecs::UpdateCapacityProvider],
        "the failure of somebody else's change"
    );
    let accepted = json!({"status": {"acceptedHash": wanted_hash(&object)}});
    let sent = object.with(&accepted);
    assert_eq!(
        obstacle(planned(&sent, &failed)).reason,
        Reason::ProvisioningFailed
    );
    let asked =
        sent.with(&json!({"metadata": {"annotations": {"ecs-operator.dev/reconcileAt": "now"}}}));
    assert_eq!(
        operations(&planned(&asked, &failed)),
        [ecs::UpdateCapacityProvider]
    );
}

#[test]
fn the_status_records_what_ecs_has_accepted() {
    let object = group(&json!({}));
    let create = write(planned(&object, &missing(None)));
    let seen = observed(&json!({"status": "PROVISIONING", "updateStatus": "CREATE_IN_PROGRESS"}));
    let after = |accepted: &[_], object: &EcsCapacityProvider| {
        let after = After {
            observed: Some(&seen),
            outcome: &Outcome::Unfinished,
            accepted,
            unanswered: None,
            now: Timestamp::UNIX_EPOCH,
        };
        status_after(object, &after).accepted_hash
    };
    assert_eq!(after(&[], &object), None);
    let create = [create];
    assert_eq!(after(&create, &object), Some(wanted_hash(&object)));
    let delete = [write(planned(
        &group(&json!({})).deleting(),
        &observed(&json!({})),
    ))];
    assert_eq!(after(&delete, &object).as_deref(), Some("deleted"));
}

#[test]
fn an_adopted_provider_cannot_differ_in_what_ecs_cannot_change() {
    let other = json!({"autoScalingGroupProvider": {"autoScalingGroupArn": "arn:aws:autoscaling:e:1:autoScalingGroup:0:autoScalingGroupName/others"}});
    let stalled = obstacle(planned(&group(&json!({})), &observed(&other)));
    assert_eq!(stalled.reason, Reason::InvalidSpec);
    assert!(
        stalled
            .message
            .contains("autoScalingGroupProvider.autoScalingGroupArn arn:aws:autoscaling"),
        "{}",
        stalled.message
    );
    let spot = instances(&json!({"capacityOptionType": "SPOT"}));
    let stalled = obstacle(planned(&spot, &observed_instances(&json!({}))));
    assert!(
        stalled
            .message
            .contains("capacityOptionType ON_DEMAND, which cannot change"),
        "{}",
        stalled.message
    );
}

#[test]
fn a_provider_is_deleted_when_nothing_uses_it() {
    let object = group(&json!({})).deleting();
    let delete = write(planned(&object, &observed(&json!({}))));
    assert_eq!(
        (delete.operation, delete.request),
        (
            ecs::DeleteCapacityProvider,
            json!({"capacityProvider": "workers"})
        )
    );
    let managed = instances(&json!({})).deleting();
    let delete = write(planned(&managed, &observed_instances(&json!({}))));
    assert_eq!(delete.request["cluster"], "shop");

    let mut used = observed(&json!({}));
    used.dependants = dependants(&["web"]);
    let blocked = obstacle(planned(&object, &used));
    assert_eq!(blocked.reason, Reason::DeletionBlocked);
    assert!(
        blocked.message.ends_with("EcsService web"),
        "{}",
        blocked.message
    );
    let mut listed = observed(&json!({}));
    listed.clusters = vec!["lab".into(), "shop".into()];
    let blocked = obstacle(planned(&object, &listed));
    assert!(
        blocked.message.ends_with(": lab, shop"),
        "{}",
        blocked.message
    );

    let leaving =
        observed(&json!({"status": "DEPROVISIONING", "updateStatus": "DELETE_IN_PROGRESS"}));
    assert_eq!(
        obstacle(planned(&object, &leaving)).reason,
        Reason::Deleting
    );
    assert_eq!(planned(&object, &missing(None)), Plan::Gone);
    assert_eq!(
        planned(&object, &observed(&json!({"tags": []}))),
        Plan::Gone
    );
}

#[test]
fn a_failed_deletion_is_reported_and_not_repeated_by_itself() {
    let object = group(&json!({})).deleting();
    let failed =
        observed(&json!({"updateStatus": "DELETE_FAILED", "updateStatusReason": "in use"}));
    assert_eq!(
        operations(&planned(&object, &failed)),
        [ecs::DeleteCapacityProvider],
        "the failure of somebody else's deletion"
    );
    let sent = object.with(&json!({"status": {"acceptedHash": "deleted"}}));
    assert_eq!(
        obstacle(planned(&sent, &failed)).reason,
        Reason::ProvisioningFailed
    );
}

#[test]
fn the_record_of_a_failed_creation_does_not_prove_that_nothing_is_there() {
    let object = instances(&json!({})).deleting();
    let mut failed =
        observed_instances(&json!({"status": "INACTIVE", "updateStatus": "CREATE_FAILED"}));
    assert_eq!(planned(&object, &failed), Plan::Gone);
    failed.may_be_there = true;
    assert_eq!(obstacle(planned(&object, &failed)).reason, Reason::Deleting);
}

#[test]
fn the_record_of_what_was_accepted_ends_when_ecs_has_carried_it_out() {
    let object = group(&json!({}));
    let accepted = json!({"status": {"acceptedHash": wanted_hash(&object)}});
    let object = object.with(&accepted);
    let hash = |seen: &ObservedCapacityProvider| {
        object
            .status_after(Some(seen), &Outcome::InSync)
            .accepted_hash
    };
    let busy = observed(&json!({"updateStatus": "UPDATE_IN_PROGRESS"}));
    assert!(hash(&busy).is_some());
    assert_eq!(hash(&observed(&json!({}))), None);
}

#[test]
fn a_provider_that_cannot_match_the_spec_is_not_adopted() {
    let spec = json!({"autoScalingGroupProvider": {"autoScalingGroupArn": "others"}, "adoptionPolicy": "IfUnowned"});
    let object = EcsCapacityProvider::test("workers", &spec);
    let unowned = observed(&json!({"tags": []}));
    assert_eq!(
        obstacle(planned(&object, &unowned)).reason,
        Reason::InvalidSpec
    );
    let fits = json!({"autoScalingGroupProvider": {"autoScalingGroupArn": "workers"}, "adoptionPolicy": "IfUnowned"});
    let object = EcsCapacityProvider::test("workers", &fits);
    assert_eq!(operations(&planned(&object, &unowned)), [ecs::TagResource]);
}

#[test]
fn refers_to_the_cluster_that_it_names_literally() {
    let spec = json!({"cluster": "arn:aws:ecs:e:1:cluster/shop", "managedInstancesProvider": null});
    let object = EcsCapacityProvider::test("workers", &spec);
    let named = Reference::Named {
        kind: "EcsCluster",
        aws_name: "shop".to_owned(),
    };
    assert!(object.references().contains(&named));
}

#[test]
fn zeros_that_mean_something_are_sent() {
    let mut object = instances(&json!({}));
    let provider = object.spec.managed_instances_provider.as_mut().unwrap();
    let optimization = json!({"scaleInAfter": 0});
    provider.infrastructure_optimization = serde_json::from_value(optimization).unwrap();
    let update = write(planned(&object, &observed_instances(&json!({}))));
    let sent = &update.request["managedInstancesProvider"];
    assert_eq!(sent["infrastructureOptimization"]["scaleInAfter"], 0);
}

#[test]
fn a_requirement_of_the_spec_replaces_the_one_that_it_excludes() {
    let counts = json!({"vCpuCount": {"min": 1}, "memoryMiB": {"min": 1024}});
    let with = |member: &str| {
        let mut requirements = counts.clone();
        requirements[member] = json!(["c8g.*"]);
        json!({"instanceRequirements": requirements})
    };
    let live = json!({
        "infrastructureRoleArn": "arn:aws:iam::111122223333:role/ecs/infrastructure",
        "instanceLaunchTemplate": template(&with("excludedInstanceTypes")),
    });
    let live = observed_instances(&json!({"managedInstancesProvider": live}));
    let update = write(planned(&instances(&with("allowedInstanceTypes")), &live));
    let sent = &update.request["managedInstancesProvider"]["instanceLaunchTemplate"]["instanceRequirements"];
    assert_eq!(sent["allowedInstanceTypes"], json!(["c8g.*"]));
    assert_eq!(sent.get("excludedInstanceTypes"), None);
}
