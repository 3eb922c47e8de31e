//! Service deployments as ECS tells of them: full sequences of blue/green, canary, hooks, alarms,
//! stops. No emulator shows these.
//!
//! Source of states, stages and their order: "Amazon ECS blue/green deployments", "Lifecycle hooks
//! for Amazon ECS service deployments" and "View service deployments" in the Amazon ECS developer
//! guide; ServiceDeployment in the ECS API reference.

use super::*;
use crate::kinds::ecs_service::deployment::ServiceDeployment;

const DEPLOYMENT: &str = "arn:aws:ecs:eu-central-1:111122223333:service-deployment/shop/web/d2";

/// A deployment of web:3 that replaces web:2.
fn told(change: &Value) -> ServiceDeployment {
    let mut json = json!({
        "serviceDeploymentArn": DEPLOYMENT,
        "status": "IN_PROGRESS",
        "createdAt": 1000.0,
        "startedAt": 1001.0,
        "targetServiceRevision": {"arn": "arn:aws:ecs:eu-central-1:111122223333:service-revision/shop/web/7",
            "requestedTaskCount": 2, "runningTaskCount": 0, "pendingTaskCount": 2},
        "alarms": {"status": "DISABLED"},
        "deploymentCircuitBreaker": {"status": "MONITORING", "failureCount": 0, "threshold": 3},
    });
    for (name, value) in change.as_object().into_iter().flatten() {
        json[name] = value.clone();
    }
    ServiceDeployment::read(&json, Some(&json!({"taskDefinition": REVISION})))
}

/// The service while `web:NUMBER` is what ECS shows as its task definition.
fn seen(number: u8, change: &Value) -> ObservedService {
    let revision = REVISION.replace(":3", &format!(":{number}"));
    let primary = json!({"id": format!("ecs-svc/{number}"), "status": "PRIMARY", "taskDefinition": revision,
        "desiredCount": 2, "runningCount": 2, "pendingCount": 0});
    let service = with(&json!({"taskDefinition": revision, "deployments": [primary]}));
    ObservedService {
        deployment: Some(told(change)),
        ..observed(Some(service))
    }
}

fn rollout(object: &EcsService) -> Value {
    serde_json::to_value(&object.status).unwrap()["rollout"].clone()
}

#[test]
fn a_canary_with_a_pause_goes_through_its_stages() {
    let hook = |status: &str| json!([{"hookId": "hook-1", "targetType": "PAUSE", "status": status, "expiresAt": 90000.0}]);
    let steps = [
        (
            json!({"status": "PENDING"}),
            "Pending",
            "Progressing",
            "Deploying web:3: 0 of 2 tasks run, 2 are starting; 2 of other revisions run",
        ),
        (
            json!({"lifecycleStage": "SCALE_UP"}),
            "InProgress",
            "Progressing",
            "Deploying web:3 (SCALE_UP)",
        ),
        (
            json!({"lifecycleStage": "PRE_PRODUCTION_TRAFFIC_SHIFT", "lifecycleHookDetails": hook("AWAITING_ACTION")}),
            "AwaitingApproval",
            "AwaitingApproval",
            "ecs-operator.dev/continueAt",
        ),
        (
            json!({"lifecycleStage": "PRODUCTION_TRAFFIC_SHIFT", "lifecycleHookDetails": hook("SUCCEEDED")}),
            "InProgress",
            "Progressing",
            "PRODUCTION_TRAFFIC_SHIFT",
        ),
        (
            json!({"lifecycleStage": "BAKE_TIME"}),
            "Baking",
            "Baking",
            "web:3 is in its bake time: 0 of 2 tasks run, 2 are starting; 2 of other revisions run",
        ),
        (
            json!({"lifecycleStage": "CLEAN_UP"}),
            "InProgress",
            "Progressing",
            "CLEAN_UP",
        ),
    ];
    let mut object = object(&spec(), &json!({}));
    let mut events = Vec::new();
    for (number, (change, phase, reason, words)) in (0_i64..).zip(steps) {
        let before = object.status.clone().unwrap_or_default();
        (_, object) = after_pass(&object, &seen(3, &change), 1001 + number * 100_000);
        assert_eq!(rollout(&object)["phase"], phase, "{change}");
        let status = object.status.as_ref().unwrap();
        assert_eq!(
            (
                status.common.conditions[0].status.as_str(),
                status.common.conditions[0].reason.as_str()
            ),
            ("Unknown", reason),
            "{change}"
        );
        assert!(
            status.common.conditions[0].message.contains(words),
            "{}",
            status.common.conditions[0].message
        );
        events.extend(
            Kind::events(&object, &before, status)
                .into_iter()
                .map(|notice| notice.reason),
        );
    }
    let before = object.status.clone().unwrap();
    (_, object) = after_pass(
        &object,
        &seen(3, &json!({"status": "SUCCESSFUL", "finishedAt": 2001.0})),
        900_000,
    );
    events.extend(
        Kind::events(&object, &before, object.status.as_ref().unwrap())
            .into_iter()
            .map(|notice| notice.reason),
    );
    assert_eq!(ready(&object), ("True".into(), "Succeeded".into()));
    let done = rollout(&object);
    assert_eq!(
        (&done["percent"], &done["finishedAt"]),
        (&json!(100), &json!("1970-01-01T00:33:21Z"))
    );
    assert_eq!(done["serviceDeploymentArn"], DEPLOYMENT);
    assert_eq!(done["id"], "ecs-svc/3");
    assert_eq!(
        events,
        ["Progressing", "AwaitingApproval", "Baking", "Succeeded"]
    );
    assert_eq!(
        after_pass(
            &object,
            &seen(3, &json!({"status": "SUCCESSFUL", "finishedAt": 2001.0})),
            950_000
        )
        .1
        .status,
        object.status
    );
}

#[test]
fn a_rollback_is_told_from_its_request_to_its_end_and_never_repeated() {
    let alarm = json!({"status": "TRIGGERED", "triggeredAlarmNames": ["errors"]});
    let steps = [
        (
            2,
            json!({"status": "ROLLBACK_REQUESTED", "alarms": alarm}),
            "RollingBack",
            "alarms went off: errors",
        ),
        (
            2,
            json!({"status": "ROLLBACK_IN_PROGRESS", "rollback": {"reason": "Service deployment rolled back because of an alarm."}}),
            "RollingBack",
            "because of an alarm",
        ),
        (
            2,
            json!({"status": "ROLLBACK_SUCCESSFUL", "statusReason": "Service deployment rolled back because the circuit breaker threshold was exceeded.", "finishedAt": 1500.0}),
            "RolledBack",
            "threshold was exceeded",
        ),
    ];
    let mut object = after_pass(&object(&spec(), &json!({})), &seen(3, &json!({})), 1001).1;
    for (at, (number, change, phase, words)) in (1100..).step_by(100).zip(steps) {
        let fresh = EcsService {
            status: None,
            ..object.clone()
        };
        for known in [&object, &fresh] {
            // ECS alone shows it, too, if the operator saw none of it.
            let (plan, after) = after_pass(known, &seen(number, &change), at);
            assert!(
                matches!(&plan, Plan::Stall(obstacle) if obstacle.reason == Reason::DeploymentRolledBack),
                "{plan:?}"
            );
            assert_eq!(rollout(&after)["phase"], phase);
        }
        let (plan, after) = after_pass(&object, &seen(number, &change), at);
        let told = |obstacle: &Obstacle| {
            obstacle
                .message
                .contains("web:3 failed, and ECS rolled back to web:2")
        };
        assert!(
            matches!(&plan, Plan::Stall(obstacle) if told(obstacle)),
            "{plan:?}"
        );
        assert!(
            rollout(&after)["reason"]
                .as_str()
                .is_some_and(|reason| reason.contains(words)),
            "{}",
            rollout(&after)
        );
        object = after;
    }
    // Remembered: the deployment has ended and is not described again.
    let known =
        ServiceDeployment::remembered(object.status.as_ref().unwrap().rollout.as_ref().unwrap());
    let later = ObservedService {
        deployment: known,
        ..seen(2, &json!({}))
    };
    let (plan, after) = after_pass(&object, &later, 9000);
    assert!(matches!(plan, Plan::Stall(_)));
    assert_eq!(after.status, object.status);
    // The spec goes back to what runs: that the other failed says nothing of it.
    let reverted = ObservedService {
        task_definition: Resolved::To(REVISION.replace(":3", ":2")),
        ..later.clone()
    };
    assert_eq!(
        ready(&after_pass(&object, &reverted, 9100).1),
        ("True".into(), "Succeeded".into())
    );
    // Asked for once more, it is tried once more.
    let reverted = after_pass(&object, &reverted, 9100).1;
    assert_eq!(
        operations(&after_pass(&reverted, &later, 9150).0),
        [ecs::UpdateService]
    );
    // A new revision is tried.
    let newer = ObservedService {
        task_definition: Resolved::To(REVISION.replace(":3", ":4")),
        ..later
    };
    assert_eq!(
        operations(&after_pass(&object, &newer, 9200).0),
        [ecs::UpdateService]
    );
}

#[test]
fn a_deployment_that_stops_or_cannot_go_back_is_no_success() {
    let rows = [
        (
            3,
            json!({"status": "STOPPED", "stoppedAt": 1500.0}),
            "DeploymentStopped",
        ),
        (
            3,
            json!({"status": "ROLLBACK_FAILED", "statusReason": "no way back"}),
            "DeploymentFailed",
        ),
        (
            3,
            json!({"status": "ROLLBACK_SUCCESSFUL"}),
            "DeploymentRolledBack",
        ),
        (
            2,
            json!({"status": "STOP_REQUESTED"}),
            "DeploymentRolledBack",
        ),
        (2, json!({"status": "STOPPED"}), "DeploymentStopped"),
    ];
    for (number, change, reason) in rows {
        let rolling = after_pass(&object(&spec(), &json!({})), &seen(3, &json!({})), 1001).1;
        let (plan, after) = after_pass(&rolling, &seen(number, &change), 1600);
        assert_eq!(ready(&after), ("False".into(), reason.into()), "{change}");
        assert!(!matches!(plan, Plan::Write(_)), "{change}: {plan:?}");
        assert_eq!(
            after.status.as_ref().unwrap().common.conditions[1].type_,
            "Stalled"
        );
    }
}

#[test]
fn a_new_deployment_that_ecs_does_not_name_yet_is_not_taken_for_the_old_one() {
    let before = after_pass(
        &object(&spec(), &json!({})),
        &seen(3, &json!({"status": "SUCCESSFUL"})),
        1001,
    )
    .1;
    let mut lagging = seen(3, &json!({"status": "SUCCESSFUL"}));
    let service = lagging.service.as_mut().unwrap();
    service.deployments[0].id = Some("ecs-svc/9".into());
    service.deployments[0].rollout_state = Some("IN_PROGRESS".into());
    let (_, after) = after_pass(&before, &lagging, 1100);
    assert_eq!(
        (ready(&after).0.as_str(), &rollout(&after)["id"]),
        ("Unknown", &json!("ecs-svc/9"))
    );
}

#[test]
fn an_edited_spec_is_tried_after_a_rollback_and_a_lost_status_is_not() {
    let rolling = after_pass(&object(&spec(), &json!({})), &seen(3, &json!({})), 1001).1;
    let back = json!({"status": "ROLLBACK_SUCCESSFUL", "finishedAt": 1500.0});
    let (_, rolled_back) = after_pass(&rolling, &seen(2, &back), 1600);
    let mut edited = rolled_back.clone();
    edited.spec.health_check_grace_period_seconds = Some(60);
    let write = writes(after_pass(&edited, &seen(2, &back), 1700).0).remove(0);
    assert_eq!(
        (
            &write.request["taskDefinition"],
            &write.request["healthCheckGracePeriodSeconds"]
        ),
        (&json!(REVISION), &json!(60))
    );
    let lost = EcsService {
        status: None,
        ..rolled_back
    };
    assert!(matches!(
        after_pass(&lost, &seen(2, &back), 1700).0,
        Plan::Stall(_)
    ));
}

#[test]
fn a_restart_of_what_failed_is_judged_by_its_own_deployment() {
    let rolling = after_pass(&object(&spec(), &json!({})), &seen(3, &json!({})), 1001).1;
    let back = json!({"status": "ROLLBACK_SUCCESSFUL", "finishedAt": 1500.0});
    let (_, rolled_back) = after_pass(&rolling, &seen(2, &back), 1600);
    // ECS has started another deployment, and still names the one that failed.
    let mut restarted = seen(3, &back);
    let primary = &mut restarted.service.as_mut().unwrap().deployments[0];
    (primary.id, primary.created_at) = (Some("ecs-svc/9".into()), Some(json!(1700.0)));
    primary.running_count = Some(0);
    let (plan, after) = after_pass(&rolled_back, &restarted, 1701);
    assert_eq!((plan, ready(&after).0.as_str()), (Plan::InSync, "Unknown"));
    assert_eq!(rollout(&after)["phase"], "InProgress");
    restarted.service.as_mut().unwrap().deployments[0].running_count = Some(2);
    assert_eq!(ready(&after_pass(&after, &restarted, 1800).1).0, "True");
}

#[test]
fn a_failure_is_one_of_the_spec_that_it_was_sent_for() {
    let subnets = |list: &[&str]| {
        let mut spec = spec();
        spec["networkConfiguration"]["awsvpcConfiguration"]["subnets"] = json!(list);
        spec
    };
    let back = json!({"status": "ROLLBACK_SUCCESSFUL", "finishedAt": 1500.0});
    // Other subnets with the same revision fail, and ECS goes back.
    let mut other = object(&subnets(&["subnet-x"]), &json!({}));
    let mut rolling = seen(3, &json!({}));
    let service = rolling.service.as_mut().unwrap();
    let mut shown = (*service.json).clone();
    shown["networkConfiguration"]["awsvpcConfiguration"]["subnets"] = json!(["subnet-x"]);
    service.json = Arc::new(shown);
    (_, other) = after_pass(&other, &rolling, 1001);
    (_, other) = after_pass(&other, &seen(3, &back), 1600);
    assert_eq!(ready(&other).1, "DeploymentRolledBack");
    // The spec goes back, too: what runs is what it asks for.
    let reverted = EcsService {
        spec: object(&spec(), &json!({})).spec,
        ..other
    };
    let (plan, reverted) = after_pass(&reverted, &seen(3, &back), 1700);
    assert_eq!((plan, ready(&reverted).0.as_str()), (Plan::InSync, "True"));
    // What was never sent is tried: web:2 with another grace time runs, and web:3 with it has not
    // failed yet.
    let rolled_back = after_pass(
        &after_pass(&object(&spec(), &json!({})), &seen(3, &json!({})), 1001).1,
        &seen(2, &back),
        1600,
    )
    .1;
    let mut edited = rolled_back;
    edited.spec.health_check_grace_period_seconds = Some(60);
    let mut older = seen(2, &back);
    let service = older.service.as_mut().unwrap();
    let mut shown = (*service.json).clone();
    shown["healthCheckGracePeriodSeconds"] = json!(60);
    service.json = Arc::new(shown);
    let waiting = ObservedService {
        task_definition: Resolved::To(REVISION.replace(":3", ":2")),
        ..older.clone()
    };
    let (plan, edited) = after_pass(&edited, &waiting, 1800);
    assert_eq!(plan, Plan::InSync);
    assert_eq!(
        operations(&after_pass(&edited, &older, 1900).0),
        [ecs::UpdateService]
    );
}

/// The service during a deployment with this strategy.
fn shifting(configuration: &Value, change: &Value) -> ObservedService {
    let mut seen = seen(3, change);
    let service = seen.service.as_mut().unwrap();
    let mut shown = (*service.json).clone();
    shown["deploymentConfiguration"] = configuration.clone();
    service.json = Arc::new(shown);
    seen
}

/// What DescribeServiceDeployments shows of a traffic shift.
fn shifted(stage: &str, weight: f64) -> Value {
    json!({"lifecycleStage": stage, "targetServiceRevision": {"requestedTaskCount": 2, "runningTaskCount": 2, "pendingTaskCount": 0,
        "requestedProductionTrafficWeight": weight, "requestedTestTrafficWeight": 100.0}})
}

/// Seconds until the next look, if there is one.
fn next_look(object: &EcsService, now: i64) -> Option<u64> {
    let now = Timestamp::from_second(now).unwrap();
    Kind::requeue_after(object, None, object.status.as_ref().unwrap(), now)
        .map(|wait| wait.as_secs())
}

#[test]
fn a_traffic_shift_may_take_its_bake_times_and_each_step_is_progress() {
    const SHIFT: &str = "PRODUCTION_TRAFFIC_SHIFT";
    let shown = |strategy: &str| json!({"strategy": strategy});
    let slow = json!({"strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 5.0, "canaryBakeTimeInMinutes": 30}});
    let baking = json!({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 60});
    // With AWS's defaults: 10 minutes for a canary, 6 for each step.
    let rows = [
        (shown("CANARY"), 5.0, 600 + 600),
        (slow, 5.0, 600 + 1800),
        (shown("LINEAR"), 10.0, 600 + 360),
        (shown("LINEAR"), 100.0, 600),
        (shown("BLUE_GREEN"), 0.0, 600),
        (baking.clone(), 0.0, 600),
        (baking, 100.0, 600 + 3600),
        (shown("ROLLING"), 50.0, 600),
    ];
    for (configuration, weight, patience) in rows {
        let at_step = shifting(&configuration, &shifted(SHIFT, weight));
        let (_, first) = after_pass(&object(&spec(), &json!({})), &at_step, 1000);
        assert_eq!(
            next_look(&first, 1000),
            Some(patience),
            "{configuration} {weight}"
        );
        let last = 1000 + i64::try_from(patience).unwrap();
        let (_, before) = after_pass(&first, &at_step, last - 1);
        assert_eq!(
            (ready(&before).1.as_str(), &before.status),
            ("Progressing", &first.status),
            "nothing moves by itself"
        );
        let (_, late) = after_pass(&before, &at_step, last);
        assert_eq!(
            ready(&late).1,
            "ProgressDeadlineExceeded",
            "{configuration} {weight}"
        );
        assert_eq!(next_look(&late, last), None);
    }
    // Ten steps of six minutes, at one stage.
    let linear = shown("LINEAR");
    let mut object = object(&spec(), &json!({}));
    for step in 1..=10_u8 {
        let now = 1000 + i64::from(step) * 400;
        (_, object) = after_pass(
            &object,
            &shifting(&linear, &shifted(SHIFT, f64::from(step) * 10.0)),
            now,
        );
        assert_eq!(ready(&object).1, "Progressing", "step {step}");
    }
    let told = rollout(&object);
    assert_eq!(
        (
            &told["requestedProductionTrafficWeight"],
            &told["progressedAt"]
        ),
        (&json!(100.0), &json!("1970-01-01T01:23:20Z"))
    );
}

#[test]
fn a_network_load_balancer_takes_its_time_to_shift() {
    let mut at_shift = shifting(
        &json!({"strategy": "BLUE_GREEN"}),
        &shifted("TEST_TRAFFIC_SHIFT", 0.0),
    );
    let service = at_shift.service.as_mut().unwrap();
    let mut shown = (*service.json).clone();
    let listener =
        "arn:aws:elasticloadbalancing:eu-central-1:111122223333:listener/net/web/0123/4567";
    shown["loadBalancers"] =
        json!([{"advancedConfiguration": {"productionListenerRule": listener}}]);
    service.json = Arc::new(shown);
    let (_, after) = after_pass(&object(&spec(), &json!({})), &at_shift, 1000);
    assert_eq!(next_look(&after, 1000), Some(1200));
}

#[test]
fn a_hook_that_runs_stops_the_clock_and_its_end_starts_it_again() {
    let hook = |status: &str| {
        let mut change = shifted("POST_SCALE_UP", 0.0);
        change["lifecycleHookDetails"] =
            json!([{"hookId": "hook-7", "targetType": "AWS_LAMBDA", "status": status}]);
        shifting(&json!({"strategy": "BLUE_GREEN"}), &change)
    };
    let (_, running) = after_pass(&object(&spec(), &json!({})), &hook("IN_PROGRESS"), 1000);
    assert_eq!(
        (ready(&running).1.as_str(), next_look(&running, 1000)),
        ("Progressing", None)
    );
    assert!(
        running.status.as_ref().unwrap().common.conditions[0]
            .message
            .contains("hook hook-7 runs")
    );
    let (_, later) = after_pass(&running, &hook("IN_PROGRESS"), 9000);
    assert_eq!(
        later.status, running.status,
        "and nothing is written meanwhile"
    );
    let (_, done) = after_pass(&later, &hook("SUCCEEDED"), 9010);
    assert_eq!(
        (ready(&done).1.as_str(), next_look(&done, 9010)),
        ("Progressing", Some(600))
    );
    assert_eq!(
        ready(&after_pass(&done, &hook("SUCCEEDED"), 9610).1).1,
        "ProgressDeadlineExceeded"
    );
}
