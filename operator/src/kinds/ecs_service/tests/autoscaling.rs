//! Tables for service auto scaling.

use ecs_operator_crds::condition::ConditionType;
use ecs_operator_crds::v1beta1::service::{AutoscalingStatus, SuspendedState};

use super::*;
use crate::aws::autoscaling as aws;
use crate::aws::tags::Tags;
use crate::aws::{AwsError, ErrorKind};
use crate::k8s::conditions::of_type;
use crate::k8s::events::Notice;
use crate::kinds::ecs_service::autoscaling::{ObservedAutoscaling, ScalableTarget};
use crate::reconcile::kind::After;

const TARGET: &str = "arn:aws:application-autoscaling:eu-central-1:111122223333:scalable-target/1";

/// A service that is scaled by its CPU, and sleeps at night.
fn scaled() -> Value {
    let mut spec = spec();
    spec["autoscaling"] = json!({
        "minCapacity": 2, "maxCapacity": 10, "cpu": 60,
        "scheduledActions": [{
            "scheduledActionName": "night", "schedule": "cron(0 22 * * ? *)",
            "timezone": "Europe/Berlin", "scalableTargetAction": {"minCapacity": 0, "maxCapacity": 1},
        }],
    });
    spec
}

/// `scaled()` with some members of `autoscaling` replaced.
fn scaled_with(changes: &Value) -> Value {
    let mut spec = scaled();
    for (name, value) in changes.as_object().into_iter().flatten() {
        spec["autoscaling"][name] = value.clone();
    }
    spec
}

/// The policy of `scaled()` as AWS shows it.
fn cpu() -> Value {
    json!({
        "policyName": "cpu", "policyType": "TargetTrackingScaling", "policyARN": "arn",
        "resourceId": "service/shop/web",
        "targetTrackingScalingPolicyConfiguration": {
            "targetValue": 60.0, "disableScaleIn": false,
            "predefinedMetricSpecification": {"predefinedMetricType": "ECSServiceAverageCPUUtilization"},
        },
        "alarms": [{"alarmName": "TargetTracking-low"}, {"alarmName": "TargetTracking-high"}],
    })
}

/// The scheduled action of `scaled()` as AWS shows it.
fn night() -> Value {
    json!({
        "scheduledActionName": "night", "schedule": "cron(0 22 * * ? *)", "timezone": "Europe/Berlin",
        "scalableTargetAction": {"minCapacity": 0, "maxCapacity": 1}, "creationTime": 1.5,
    })
}

fn target(min: i32, max: i32, tags: Option<Tags>) -> ScalableTarget {
    let json = json!({"scalableTargetARN": TARGET, "minCapacity": min, "maxCapacity": max,
        "suspendedState": {"dynamicScalingInSuspended": false, "dynamicScalingOutSuspended": false, "scheduledScalingSuspended": false}});
    ScalableTarget {
        arn: TARGET.to_owned(),
        min_capacity: min,
        max_capacity: max,
        json: Arc::new(json),
        tags,
        ..ScalableTarget::default()
    }
}

fn with_scaling(autoscaling: ObservedAutoscaling) -> ObservedService {
    ObservedService {
        autoscaling: Some(autoscaling),
        ..observed(Some(described()))
    }
}

/// AWS as it is when all is well.
fn live() -> ObservedAutoscaling {
    ObservedAutoscaling {
        target: Some(target(2, 10, None)),
        policies: vec![cpu()],
        actions: vec![night()],
        ..ObservedAutoscaling::default()
    }
}

/// AWS with another range.
fn live_between(min: i32, max: i32) -> ObservedService {
    with_scaling(ObservedAutoscaling {
        target: Some(target(min, max, None)),
        ..live()
    })
}

/// The object with the status of a pass that was in sync with `scaled()`.
fn in_sync(spec: &Value) -> EcsService {
    let before = object(&scaled(), &json!({}));
    let noted = after_pass(&before, &with_scaling(live()), 1).1;
    let (plan, synced) = after_pass(&noted, &with_scaling(live()), 2);
    assert_eq!(plan, Plan::InSync);
    EcsService {
        status: synced.status,
        ..object(spec, &json!({"metadata": {"generation": 4}}))
    }
}

fn status(object: &EcsService) -> &AutoscalingStatus {
    let status = object.status.as_ref().expect("a status");
    status.autoscaling.as_ref().expect("it is scaled")
}

fn condition(object: &EcsService) -> (String, String, String) {
    let status = object.status.as_ref().expect("a status");
    let condition = of_type(ConditionType::AutoscalingReady, &status.common.conditions);
    let condition = condition.expect("it is scaled");
    let [status, reason, message] =
        [&condition.status, &condition.reason, &condition.message].map(Clone::clone);
    (status, reason, message)
}

fn plan_of(object: &EcsService, observed: &ObservedService) -> Plan {
    plan::plan(object, observed, &owner())
}

#[test]
fn registers_a_service_once_the_status_knows_what_will_be_put() {
    let new = object(&scaled(), &json!({}));
    let nothing = with_scaling(ObservedAutoscaling::default());
    let (plan, noted) = after_pass(&new, &nothing, 1);
    assert_eq!(plan, Plan::Write(Vec::new()));
    assert_eq!(condition(&noted).0, "False");
    let sent = writes(plan_of(&noted, &nothing));
    let target = json!({"serviceNamespace": "ecs", "resourceId": "service/shop/web", "scalableDimension": "ecs:service:DesiredCount"});
    let with = |members: Value| {
        let mut request = target.clone();
        for (name, value) in members.as_object().into_iter().flatten() {
            request[name] = value.clone();
        }
        request
    };
    let configuration = json!({"targetValue": 60, "predefinedMetricSpecification": {"predefinedMetricType": "ECSServiceAverageCPUUtilization"}});
    let expected = [
        (
            aws::RegisterScalableTarget,
            with(json!({"minCapacity": 2, "maxCapacity": 10, "tags": {OWNER: owner().tag()}})),
        ),
        (
            aws::PutScalingPolicy,
            with(
                json!({"policyName": "cpu", "policyType": "TargetTrackingScaling",
                "targetTrackingScalingPolicyConfiguration": configuration}),
            ),
        ),
        (
            aws::PutScheduledAction,
            with(scaled()["autoscaling"]["scheduledActions"][0].clone()),
        ),
    ];
    let sent: Vec<_> = sent
        .into_iter()
        .map(|write| (write.operation, write.request))
        .collect();
    assert_eq!(sent, expected);
}

#[test]
fn a_service_that_was_not_read_for_its_scaling_is_not_in_sync() {
    let plan = planned(&scaled(), Some(described()));
    assert_eq!(plan, Plan::Write(Vec::new()));
    assert_eq!(planned(&spec(), Some(described())), Plan::InSync);
}

#[test]
fn shows_what_aws_has_and_writes_nothing_more() {
    let object = in_sync(&scaled());
    assert_eq!(plan_of(&object, &with_scaling(live())), Plan::InSync);
    let shown = status(&object);
    assert_eq!(
        (
            shown.min_capacity,
            shown.max_capacity,
            &shown.capacity_reason
        ),
        (Some(2), Some(10), &None)
    );
    let policy = &shown.policies.as_ref().expect("a policy")[0];
    let alarms = policy.alarms.as_ref().expect("it has alarms");
    assert_eq!(alarms, &["TargetTracking-high", "TargetTracking-low"]);
    assert_eq!(
        condition(&object),
        (
            "True".to_owned(),
            "Succeeded".to_owned(),
            "AWS keeps the number of tasks between 2 and 10: cpu, night".to_owned()
        )
    );
}

#[test]
fn a_range_that_a_scheduled_action_has_set_is_no_drift() {
    let object = in_sync(&scaled());
    let (plan, after) = after_pass(&object, &live_between(0, 1), 3);
    assert_eq!(plan, Plan::InSync);
    let why = "minCapacity 0 instead of 2: set by scheduled action night; maxCapacity 1 instead of 10: set by scheduled action night";
    assert_eq!(status(&after).capacity_reason.as_deref(), Some(why));
    let write = write(plan_of(&object, &live_between(3, 10)));
    assert_eq!(write.operation, aws::RegisterScalableTarget);
    assert_eq!(
        write.note,
        "Updated the scalable target of service web in cluster shop: minCapacity"
    );
    assert_eq!(write.request["minCapacity"], 2);
    assert!(write.request["tags"].is_null(), "AWS refuses them");
}

#[test]
fn a_changed_range_is_sent_although_a_scheduled_action_has_set_another() {
    let bounds = |changes: &Value| {
        let write = write(plan_of(
            &in_sync(&scaled_with(changes)),
            &live_between(0, 1),
        ));
        assert_eq!(write.operation, aws::RegisterScalableTarget);
        json!([write.request["minCapacity"], write.request["maxCapacity"]])
    };
    // What the action has set of the other bound stays.
    assert_eq!(bounds(&json!({"maxCapacity": 12})), json!([null, 12]));
    assert_eq!(bounds(&json!({"minCapacity": 1})), json!([1, null]));
    // Unless one would pass the other.
    assert_eq!(bounds(&json!({"minCapacity": 3})), json!([3, 10]));
}

#[test]
fn a_maximum_that_a_predictive_policy_has_raised_is_no_drift() {
    let predictive = json!({"policyName": "forecast", "predictiveScalingPolicyConfiguration": {
        "metricSpecifications": [], "maxCapacityBreachBehavior": "IncreaseMaxCapacity", "maxCapacityBuffer": 10}});
    let changes = json!({"policies": [predictive], "scheduledActions": null});
    let object = in_sync(&scaled_with(&changes));
    let raised = |max| {
        let mut shown = predictive.clone();
        shown["policyType"] = "PredictiveScaling".into();
        let observed = ObservedAutoscaling {
            target: Some(target(2, max, None)),
            policies: vec![cpu(), shown],
            actions: Vec::new(),
            ..live()
        };
        with_scaling(observed)
    };
    let noted = after_pass(&object, &raised(10), 3).1;
    assert_eq!(plan_of(&noted, &raised(14)), Plan::InSync);
    assert_eq!(
        operations(&plan_of(&noted, &raised(9))),
        [aws::RegisterScalableTarget]
    );
}

#[test]
fn changes_and_deletes_policies_and_leaves_those_of_others() {
    let object = in_sync(&scaled_with(&json!({"cpu": 70})));
    let update = write(plan_of(&object, &with_scaling(live())));
    assert_eq!(update.operation, aws::PutScalingPolicy);
    assert_eq!(
        update.note,
        "Updated scaling policy cpu of service web in cluster shop: targetTrackingScalingPolicyConfiguration.targetValue"
    );
    let mut foreign = cpu();
    foreign["policyName"] = "theirs".into();
    let observed = with_scaling(ObservedAutoscaling {
        policies: vec![cpu(), foreign],
        ..live()
    });
    let object = in_sync(&scaled_with(
        &json!({"cpu": null, "scheduledActions": null}),
    ));
    let deletions = writes(plan_of(&object, &observed));
    let named: Vec<_> = deletions
        .iter()
        .map(|write| (write.operation, write.note.as_str()))
        .collect();
    assert_eq!(
        named,
        [
            (
                aws::DeleteScalingPolicy,
                "Deleted scaling policy cpu of service web in cluster shop"
            ),
            (
                aws::DeleteScheduledAction,
                "Deleted scheduled action night of service web in cluster shop"
            ),
        ]
    );
    let after = after_pass(&object, &observed, 3).1;
    assert_eq!(
        status(&after).unmanaged.as_deref(),
        Some(&["theirs".to_owned()][..])
    );
}

#[test]
fn a_member_that_the_spec_drops_is_sent_although_it_differs_nowhere() {
    let with_cooldown = scaled_with(&json!({"cpu": null, "policies": [{"policyName": "cpu",
        "targetTrackingScalingPolicyConfiguration": {"targetValue": 60, "scaleInCooldown": 120,
            "predefinedMetricSpecification": {"predefinedMetricType": "ECSServiceAverageCPUUtilization"}}}]}));
    let mut shown = cpu();
    shown["targetTrackingScalingPolicyConfiguration"]["scaleInCooldown"] = 120.into();
    let observed = with_scaling(ObservedAutoscaling {
        policies: vec![shown],
        ..live()
    });
    let before = object(&with_cooldown, &json!({}));
    let noted = after_pass(&before, &observed, 1).1;
    let (plan, synced) = after_pass(&noted, &observed, 2);
    assert_eq!(plan, Plan::InSync);
    let dropped = EcsService {
        status: synced.status,
        ..object(&scaled(), &json!({}))
    };
    let write = write(plan_of(&dropped, &observed));
    assert_eq!(
        write.note,
        "Updated scaling policy cpu of service web in cluster shop"
    );
    let configuration = &write.request["targetTrackingScalingPolicyConfiguration"];
    assert!(
        configuration["scaleInCooldown"].is_null(),
        "{configuration}"
    );
}

#[test]
fn a_policy_of_another_type_replaces_the_former_one() {
    let steps = json!({"cpu": null, "policies": [{"policyName": "cpu", "stepScalingPolicyConfiguration":
        {"adjustmentType": "ChangeInCapacity", "stepAdjustments": [{"metricIntervalLowerBound": 0, "scalingAdjustment": 2}]}}]});
    let object = in_sync(&scaled_with(&steps));
    assert_eq!(
        operations(&plan_of(&object, &with_scaling(live()))),
        [aws::DeleteScalingPolicy, aws::PutScalingPolicy]
    );
}

#[test]
fn a_scalable_target_of_others_is_taken_over_by_consent_alone() {
    let observed = |tags: Value| {
        let autoscaling = ObservedAutoscaling {
            target: Some(target(1, 4, Some(Tags::read(&tags)))),
            ..ObservedAutoscaling::default()
        };
        with_scaling(autoscaling)
    };
    let with = |member: &str, value: &str| {
        let mut spec = scaled();
        spec[member] = value.into();
        let new = object(&spec, &json!({}));
        after_pass(&new, &observed(json!({})), 1).1
    };
    let refused = with("adoptionPolicy", "Refuse");
    let Plan::Stall(obstacle) = plan_of(&refused, &observed(json!({}))) else {
        panic!("it is not ours")
    };
    assert_eq!(obstacle.reason, Reason::ScalableTargetNotOwned);
    assert_eq!(condition(&refused).1, "ScalableTargetNotOwned");
    // The service itself is the object's, and stays shown.
    let shown = refused.status.as_ref().expect("a status");
    assert_eq!(shown.running_count, Some(2));
    // What others own is not noted, so that it stays when the spec drops it.
    assert_eq!(status(&refused).policies, None);
    let adopting = with("adoptionPolicy", "IfUnowned");
    let tag = write(plan_of(&adopting, &observed(json!({}))));
    assert_eq!(
        (tag.operation, &tag.request),
        (
            aws::TagResource,
            &json!({"resourceArn": TARGET, "tags": {OWNER: owner().tag()}})
        )
    );
    // The former owner of the service has left it.
    let handed_over = observed(json!({OWNER: "k8s/default/former/u-0"}));
    assert_eq!(
        operations(&plan_of(
            &after_pass(&refused, &handed_over, 2).1,
            &handed_over
        ))[0],
        aws::RegisterScalableTarget
    );
    // What is only looked at needs no owner.
    let observing = with("managementPolicy", "Observe");
    assert_eq!(
        operations(&plan_of(&observing, &observed(json!({}))))[0],
        aws::RegisterScalableTarget
    );
}

#[test]
fn scaling_ends_with_the_block_and_the_status_forgets_it() {
    let dropped = in_sync(&spec());
    let write = write(plan_of(&dropped, &with_scaling(live())));
    assert_eq!(write.operation, aws::DeregisterScalableTarget);
    let (plan, after) = after_pass(&dropped, &with_scaling(ObservedAutoscaling::default()), 3);
    assert_eq!(plan, Plan::InSync);
    assert_eq!(after.status.expect("a status").autoscaling, None);
    // A scalable target of others stays.
    let theirs = with_scaling(ObservedAutoscaling {
        target: Some(target(1, 4, Some(Tags::default()))),
        ..ObservedAutoscaling::default()
    });
    let (plan, after) = after_pass(&dropped, &theirs, 3);
    assert_eq!(plan, Plan::InSync);
    assert_eq!(after.status.expect("a status").autoscaling, None);
}

#[test]
fn a_deleted_service_is_deregistered_first() {
    let deleting = |spec: &Value| in_sync(spec).deleting();
    assert_eq!(
        operations(&plan_of(&deleting(&scaled()), &with_scaling(live()))),
        [aws::DeregisterScalableTarget, ecs::DeleteService]
    );
    let mut retaining = scaled();
    retaining["deletionPolicy"] = "Retain".into();
    assert_eq!(
        operations(&plan_of(&deleting(&retaining), &with_scaling(live()))),
        [ecs::TagResource]
    );
    // AWS may show the scalable target after the service.
    let gone = ObservedService {
        autoscaling: Some(live()),
        ..observed(None)
    };
    assert_eq!(
        operations(&plan_of(&deleting(&scaled()), &gone)),
        [aws::DeregisterScalableTarget]
    );
}

#[test]
fn a_scheduled_action_that_is_over_is_put_again_for_another_target_alone() {
    let once = json!({"scheduledActions": [{"scheduledActionName": "night", "schedule": "at(2026-12-24T18:00:00)",
        "timezone": "Europe/Berlin", "scalableTargetAction": {"minCapacity": 0, "maxCapacity": 1}}]});
    let spec = scaled_with(&once);
    let mut shown = night();
    shown["schedule"] = "at(2026-12-24T18:00:00)".into();
    let observed_at = |now: &str, arn: &str, actions: Vec<Value>| {
        let mut target = target(2, 10, None);
        target.arn = arn.to_owned();
        with_scaling(ObservedAutoscaling {
            target: Some(target),
            actions,
            now: now.parse().expect("a time"),
            ..live()
        })
    };
    let observed =
        |arn: &str, actions: Vec<Value>| observed_at("2026-12-24T17:30:00Z", arn, actions);
    let new = object(&spec, &json!({}));
    let noted = after_pass(&new, &observed(TARGET, vec![shown.clone()]), 1).1;
    let (plan, synced) = after_pass(&noted, &observed(TARGET, vec![shown]), 2);
    assert_eq!(plan, Plan::InSync);
    assert_eq!(
        plan_of(&synced, &observed(TARGET, Vec::new())),
        Plan::InSync
    );
    assert_eq!(
        operations(&plan_of(&synced, &observed("arn:another", Vec::new()))),
        [aws::PutScheduledAction]
    );
    // One that is over everywhere is not put, which AWS would refuse.
    assert_eq!(
        plan_of(
            &synced,
            &observed_at("2026-12-25T06:00:00Z", "arn:another", Vec::new())
        ),
        Plan::InSync
    );
    // Before it is due, somebody else has deleted it.
    assert_eq!(
        operations(&plan_of(
            &synced,
            &observed_at("2026-12-24T03:00:00Z", TARGET, Vec::new())
        )),
        [aws::PutScheduledAction]
    );
    // The same of an action that recurs.
    let object = in_sync(&scaled());
    assert_eq!(
        operations(&plan_of(&object, &observed(TARGET, Vec::new()))),
        [aws::PutScheduledAction]
    );
}

#[test]
fn what_aws_keeps_of_the_target_and_its_actions_is_set_back() {
    let state = json!({"suspendedState": {"scheduledScalingSuspended": true}});
    let suspended = object(&scaled_with(&state), &json!({}));
    let mut shown = target(2, 10, None);
    shown.suspended_state = Some(SuspendedState {
        scheduled_scaling_suspended: Some(true),
        ..SuspendedState::default()
    });
    let observed = with_scaling(ObservedAutoscaling {
        target: Some(shown),
        ..live()
    });
    let noted = after_pass(&suspended, &observed, 1).1;
    let (plan, synced) = after_pass(&noted, &observed, 2);
    assert_eq!(plan, Plan::InSync);
    let dropped = EcsService {
        status: synced.status,
        ..object(&scaled(), &json!({}))
    };
    let write = write(plan_of(&dropped, &observed));
    let none = json!({"dynamicScalingInSuspended": false, "dynamicScalingOutSuspended": false, "scheduledScalingSuspended": false});
    assert_eq!(write.request["suspendedState"], none);
    // Without a time zone, an action is in UTC.
    let mut spec = scaled();
    spec["autoscaling"]["scheduledActions"][0]["timezone"] = Value::Null;
    let put = self::write(plan_of(&in_sync(&spec), &with_scaling(live())));
    assert_eq!(put.request["timezone"], "UTC");
}

#[test]
fn times_are_compared_as_instants() {
    let mut spec = scaled();
    spec["autoscaling"]["scheduledActions"][0]["startTime"] = "2027-01-01T01:00:00+01:00".into();
    let mut shown = night();
    shown["startTime"] = 1_798_761_600.0.into();
    let observed = with_scaling(ObservedAutoscaling {
        actions: vec![shown],
        ..live()
    });
    let new = object(&spec, &json!({}));
    let noted = after_pass(&new, &observed, 1).1;
    assert_eq!(plan_of(&noted, &observed), Plan::InSync);
    let put = write(plan_of(&noted, &with_scaling(live())));
    assert_eq!(put.request["startTime"], 1_798_761_600);
}

#[test]
fn the_number_of_tasks_is_sent_at_creation_alone_and_within_the_range() {
    let created = |changes: &Value, count: Value| {
        let mut spec = scaled_with(changes);
        spec["desiredCount"] = count;
        write(planned(&spec, None)).request["desiredCount"].clone()
    };
    assert_eq!(created(&json!({}), 4.into()), 4);
    assert_eq!(created(&json!({}), Value::Null), 2);
    assert_eq!(created(&json!({"minCapacity": 0}), Value::Null), 1);
    let scaled_out = ObservedService {
        autoscaling: Some(live()),
        ..observed(Some(with(&json!({"desiredCount": 7, "runningCount": 7}))))
    };
    let mut object = in_sync(&scaled());
    assert_eq!(plan_of(&object, &scaled_out), Plan::InSync);
    object.spec.desired_count = Some(5);
    assert_eq!(plan_of(&object, &scaled_out), Plan::InSync);
}

#[test]
fn a_deployment_that_waits_or_failed_does_not_hold_scaling_back() {
    let object = in_sync(&scaled_with(&json!({"maxCapacity": 20})));
    let waiting = ObservedService {
        task_definition: Resolved::NotYet(Obstacle {
            reason: Reason::DependencyNotReady,
            message: "EcsTaskDefinition web is not ready".into(),
            passing: false,
            all_else_sent: false,
        }),
        ..with_scaling(live())
    };
    assert_eq!(
        operations(&plan_of(&object, &waiting)),
        [aws::RegisterScalableTarget]
    );
    let synced = in_sync(&scaled());
    assert!(matches!(plan_of(&synced, &waiting), Plan::Wait(_)));
}

#[test]
fn what_is_left_to_others_is_sent_with_a_new_target_alone() {
    let mut spec = scaled();
    spec["ignoreFields"] = json!(["/autoscaling/maxCapacity", "/autoscaling/cpu"]);
    let new = object(&spec, &json!({}));
    let nothing = with_scaling(ObservedAutoscaling::default());
    let noted = after_pass(&new, &nothing, 1).1;
    let register = writes(plan_of(&noted, &nothing)).remove(0);
    assert_eq!(register.request["maxCapacity"], 10);
    let mut shown = cpu();
    shown["targetTrackingScalingPolicyConfiguration"]["targetValue"] = 80.into();
    let others = with_scaling(ObservedAutoscaling {
        target: Some(target(2, 30, None)),
        policies: vec![shown],
        ..live()
    });
    let noted = after_pass(&new, &others, 1).1;
    let (plan, synced) = after_pass(&noted, &others, 2);
    assert_eq!(plan, Plan::InSync);
    assert_eq!(plan_of(&synced, &live_between(2, 40)), Plan::InSync);
}

#[test]
fn positions_in_ignored_fields_are_those_of_the_spec() {
    let mut spec = scaled_with(&json!({"cpu": null, "memory": 70}));
    let mut policy = cpu();
    for shown in ["policyARN", "resourceId", "alarms"] {
        policy[shown] = Value::Null;
    }
    spec["autoscaling"]["policies"] = json!([policy]);
    let pointer = "/autoscaling/policies/0/targetTrackingScalingPolicyConfiguration/targetValue";
    spec["ignoreFields"] = json!([pointer]);
    let named = |name: &str, value: i32, metric: &str| {
        let mut policy = cpu();
        policy["policyName"] = name.into();
        let configuration = &mut policy["targetTrackingScalingPolicyConfiguration"];
        configuration["targetValue"] = value.into();
        configuration["predefinedMetricSpecification"]["predefinedMetricType"] = metric.into();
        policy
    };
    let observed = with_scaling(ObservedAutoscaling {
        policies: vec![
            named("memory", 50, "ECSServiceAverageMemoryUtilization"),
            named("cpu", 80, "ECSServiceAverageCPUUtilization"),
        ],
        ..live()
    });
    let noted = after_pass(&object(&spec, &json!({})), &observed, 1).1;
    let put = write(plan_of(&noted, &observed));
    assert_eq!(put.request["policyName"], "memory");
}

#[test]
fn a_queue_is_divided_among_the_tasks_that_run() {
    let backlog =
        json!({"cpu": null, "queueBacklogPerTask": {"queueName": "orders", "messages": 100}});
    let new = object(&scaled_with(&backlog), &json!({}));
    let nothing = with_scaling(ObservedAutoscaling::default());
    let noted = after_pass(&new, &nothing, 1).1;
    let policy = writes(plan_of(&noted, &nothing)).remove(1).request;
    assert_eq!(policy["policyName"], "queue-backlog");
    let configuration = &policy["targetTrackingScalingPolicyConfiguration"];
    assert_eq!(configuration["targetValue"], 100);
    let metrics = &configuration["customizedMetricSpecification"]["metrics"];
    let dimensions = |index: usize| metrics[index]["metricStat"]["metric"]["dimensions"].clone();
    assert_eq!(
        dimensions(0),
        json!([{"name": "QueueName", "value": "orders"}])
    );
    assert_eq!(
        dimensions(1),
        json!([{"name": "ClusterName", "value": "shop"}, {"name": "ServiceName", "value": "web"}])
    );
    let returned: Vec<_> = (0..3)
        .map(|index| metrics[index]["returnData"].clone())
        .collect();
    assert_eq!(returned, [false, false, true].map(Value::from));
}

#[test]
fn a_number_of_tasks_that_is_not_sent_is_told_once() {
    let events = |before: &EcsService, after: &EcsService| {
        let [before, after] =
            [before, after].map(|object| object.status.clone().unwrap_or_default());
        let notices = EcsService::test("web", &spec()).events(&before, &after);
        let is_told = |notice: &&Notice| notice.reason == "DesiredCountNotSent";
        notices.iter().filter(is_told).count()
    };
    let mut unset = scaled();
    unset["desiredCount"] = Value::Null;
    for spec in [scaled(), unset] {
        let created = object(&spec, &json!({}));
        let first = after_pass(&created, &with_scaling(live()), 1).1;
        assert_eq!(events(&created, &first), 0);
        let mut edited = after_pass(&first, &with_scaling(live()), 2).1;
        edited.spec.desired_count = Some(5);
        let (_, after) = after_pass(&edited, &with_scaling(live()), 3);
        let (_, later) = after_pass(&after, &with_scaling(live()), 4);
        assert_eq!((events(&edited, &after), events(&after, &later)), (1, 0));
    }
}

#[test]
fn a_bound_that_a_scheduled_action_drops_is_sent_without_it() {
    let mut spec = scaled();
    spec["autoscaling"]["scheduledActions"][0]["scalableTargetAction"] = json!({"maxCapacity": 1});
    let put = write(plan_of(&in_sync(&spec), &with_scaling(live())));
    assert_eq!(
        put.request["scalableTargetAction"],
        json!({"maxCapacity": 1})
    );
}

#[test]
fn the_last_scaling_activity_is_shown_and_told_once() {
    let activity = |id: &str, status: &str| {
        json!({"activityId": id, "statusCode": status, "startTime": 1.0, "description": "Setting desired count to 5.",
            "cause": "monitor alarm high in state ALARM triggered policy cpu", "statusMessage": "Failed to set it."})
    };
    let full = json!({"activityId": "n", "notScaledReasons": [{"code": "AlreadyAtMaxCapacity", "maxCapacity": 10}]});
    let with = |activities: Option<Vec<Value>>| {
        with_scaling(ObservedAutoscaling {
            activities,
            ..live()
        })
    };
    let told = |before: &EcsService, after: &EcsService| {
        let [before, after] =
            [before, after].map(|object| object.status.clone().unwrap_or_default());
        let notices = after_events(&before, &after);
        notices
            .into_iter()
            .map(|notice| (notice.warning, notice.note))
            .collect::<Vec<_>>()
    };
    let quiet = in_sync(&scaled());
    let first = after_pass(&quiet, &with(Some(vec![activity("1", "Pending")])), 3).1;
    let cause =
        "Setting desired count to 5: monitor alarm high in state ALARM triggered policy cpu";
    assert_eq!(told(&quiet, &first), [(false, cause.to_owned())]);
    let done = after_pass(&first, &with(Some(vec![activity("1", "Successful")])), 4).1;
    assert_eq!(told(&first, &done), []);
    let failed = after_pass(
        &done,
        &with(Some(vec![full.clone(), activity("2", "Failed")])),
        5,
    )
    .1;
    assert_eq!(
        told(&done, &failed),
        [(true, format!("{cause}: Failed to set it"))]
    );
    let shown = status(&failed);
    assert_eq!(shown.last_activity.as_ref().expect("an activity").id, "2");
    assert_eq!(
        shown.not_scaled_reason.as_deref(),
        Some("AlreadyAtMaxCapacity")
    );
    assert!(
        condition(&failed)
            .2
            .ends_with("a policy wants more than the maximum")
    );
    // What could not be read stays.
    let unread = after_pass(&failed, &with(None), 6).1;
    assert_eq!(unread.status, failed.status);
}

fn after_events(before: &EcsServiceStatus, after: &EcsServiceStatus) -> Vec<Notice> {
    let notices = EcsService::test("web", &spec()).events(before, after);
    let is_activity = |notice: &Notice| notice.reason == "ScalingActivity";
    notices.into_iter().filter(is_activity).collect()
}

#[test]
fn what_is_left_to_others_is_put_until_aws_has_accepted_it() {
    let mut spec = scaled();
    spec["ignoreFields"] = json!(["/autoscaling/scheduledActions", "/autoscaling/cpu"]);
    let cut = with_scaling(ObservedAutoscaling {
        policies: vec![cpu()],
        actions: Vec::new(),
        ..live()
    });
    // A pass broke off after the policy.
    let noted = after_pass(&object(&spec, &json!({})), &cut, 1).1;
    assert_eq!(
        operations(&plan_of(&noted, &cut)),
        [aws::PutScheduledAction]
    );
    let whole = after_pass(&noted, &with_scaling(live()), 2).1;
    assert_eq!(condition(&whole).0, "True");
    // Others delete what is left to them.
    assert_eq!(plan_of(&whole, &cut), Plan::InSync);
    spec["ignoreFields"] = json!(["/autoscaling"]);
    let nothing = with_scaling(ObservedAutoscaling::default());
    let noted = after_pass(&object(&spec, &json!({})), &nothing, 1).1;
    assert_eq!(writes(plan_of(&noted, &nothing)).len(), 3);
}

#[test]
fn a_write_of_this_pass_is_not_planned_again() {
    let changed = in_sync(&scaled_with(&json!({"maxCapacity": 12})));
    let register = write(plan_of(&changed, &with_scaling(live())));
    let after = with_scaling(ObservedAutoscaling {
        target: Some(target(2, 12, None)),
        sent: vec![register],
        ..live()
    });
    assert_eq!(plan_of(&changed, &after), Plan::InSync);
    let mut spec = scaled();
    spec["autoscaling"]["scheduledActions"][0]["scalableTargetAction"] = json!({"maxCapacity": 1});
    let changed = in_sync(&spec);
    let put = write(plan_of(&changed, &with_scaling(live())));
    let after = with_scaling(ObservedAutoscaling {
        sent: vec![put],
        ..live()
    });
    assert_eq!(plan_of(&changed, &after), Plan::InSync);
}

#[test]
fn a_repair_without_effect_is_reported_and_not_repeated() {
    use crate::kinds::ecs_service::autoscaling::POLICY;
    let mut other = cpu();
    other["targetTrackingScalingPolicyConfiguration"]["targetValue"] = 61.into();
    let drifted = with_scaling(ObservedAutoscaling {
        policies: vec![other.clone()],
        ..live()
    });
    let object = in_sync(&scaled());
    let put = write(plan_of(&object, &drifted));
    let sent = put.request.clone();
    let repaired = with_scaling(ObservedAutoscaling {
        policies: vec![POLICY.after_put(Some(&other), &[&sent])],
        ..live()
    });
    let status_after = |object: &EcsService, observed: &ObservedService, accepted: &[Write]| {
        let outcome = plan_of(object, observed).into();
        let report = object.report(&After {
            observed: Some(observed),
            outcome: &outcome,
            accepted,
            unanswered: None,
            now: Timestamp::from_second(9).expect("a time"),
        });
        EcsService {
            status: Some(report.status),
            ..object.clone()
        }
    };
    let after = status_after(&object, &repaired, &[put]);
    // AWS accepted it, and shows the same as before.
    assert_eq!(plan_of(&after, &drifted), Plan::InSync);
    let (_, told) = after_pass(&after, &drifted, 10);
    assert_eq!(condition(&told).1, "DriftPersists");
    // Another difference is repaired, and so is the same after one that was.
    other["targetTrackingScalingPolicyConfiguration"]["targetValue"] = 62.into();
    let another = with_scaling(ObservedAutoscaling {
        policies: vec![other],
        ..live()
    });
    assert_eq!(
        operations(&plan_of(&after, &another)),
        [aws::PutScalingPolicy]
    );
    let (_, well) = after_pass(&after, &with_scaling(live()), 11);
    assert_eq!(condition(&well).0, "True");
    assert_eq!(
        operations(&plan_of(&well, &drifted)),
        [aws::PutScalingPolicy]
    );
}

#[test]
fn the_condition_says_what_aws_lacks() {
    // ECS refuses a change of the service, so that the scaling waits.
    let changed = in_sync(&scaled_with(&json!({"minCapacity": 3})));
    let refused = AwsError::new(ecs::UpdateService, ErrorKind::Terminal, "no");
    let now = Timestamp::from_second(5).expect("a time");
    let status = changed.status_at(Some(&with_scaling(live())), &Outcome::Failed(refused), now);
    let told = EcsService {
        status: Some(status),
        ..changed
    };
    let (state, _, message) = condition(&told);
    assert_eq!(
        (state.as_str(), message.as_str()),
        (
            "False",
            "AWS does not have this yet: RegisterScalableTarget: the scalable target of service web in cluster shop: minCapacity"
        )
    );
    // What is only looked at is in sync, too.
    let mut spec = scaled();
    spec["managementPolicy"] = "Observe".into();
    let observing = after_pass(&object(&spec, &json!({})), &with_scaling(live()), 1).1;
    assert_eq!(condition(&observing).0, "True");
}

#[test]
fn a_registration_without_a_reply_is_looked_for() {
    let dropped = in_sync(&spec());
    let unknown = with_scaling(ObservedAutoscaling {
        may_be_there: true,
        ..ObservedAutoscaling::default()
    });
    let (plan, after) = after_pass(&dropped, &unknown, 3);
    assert!(matches!(plan, Plan::Wait(_)), "{plan:?}");
    assert!(after.status.expect("a status").autoscaling.is_some());
}

#[test]
fn a_service_does_not_depend_on_a_right_to_read_its_scaling() {
    let denied = AwsError::new(
        aws::DescribeScalableTargets,
        ErrorKind::AccessDenied,
        "application-autoscaling:DescribeScalableTargets is denied",
    );
    let unread = |service: Value| ObservedService {
        autoscaling: Some(ObservedAutoscaling {
            unread: Some(denied.clone()),
            ..ObservedAutoscaling::default()
        }),
        ..observed(Some(service))
    };
    let object = in_sync(&scaled());
    let older = with(
        &json!({"taskDefinition": "arn:aws:ecs:eu-central-1:111122223333:task-definition/web:2"}),
    );
    assert_eq!(
        operations(&plan_of(&object, &unread(older))),
        [ecs::UpdateService]
    );
    let (plan, after) = after_pass(&object, &unread(described()), 3);
    assert!(matches!(plan, Plan::Wait(_)), "{plan:?}");
    assert_eq!(ready(&after).1, "AccessDenied");
    assert_eq!(condition(&after).1, "AccessDenied");
    // What was known of it stays.
    assert_eq!(status(&after), status(&object));
    assert_eq!(
        operations(&plan_of(&object.deleting(), &unread(described()))),
        [ecs::DeleteService]
    );
}
