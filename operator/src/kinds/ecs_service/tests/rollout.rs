//! What runs.

use super::*;

pub(super) fn deployment(id: u8, number: u8, state: &str, counts: [i32; 3]) -> Value {
    let status = if state == "FAILED" || state == "OLD" {
        "ACTIVE"
    } else {
        "PRIMARY"
    };
    let state = if state == "OLD" { "COMPLETED" } else { state };
    json!({"id": format!("ecs-svc/{id}"), "status": status, "taskDefinition": REVISION.replace(":3", &format!(":{number}")),
        "rolloutState": state, "rolloutStateReason": format!("{state}."), "createdAt": f64::from(id) * 100.0,
        "desiredCount": counts[0], "runningCount": counts[1], "pendingCount": counts[2], "failedTasks": 0})
}

/// A service with these deployments, the PRIMARY first.
pub(super) fn deploying(deployments: &[Value]) -> ObservedService {
    let sum = |member: &str| {
        deployments
            .iter()
            .filter_map(|deployment| deployment[member].as_i64())
            .sum::<i64>()
    };
    observed(Some(with(&json!({
        "taskDefinition": deployments[0]["taskDefinition"], "deployments": deployments,
        "runningCount": sum("runningCount"), "pendingCount": sum("pendingCount")}))))
}

#[test]
fn a_rolling_update_is_followed_and_becomes_history() {
    let steps = [
        // The spec asks for web:3, and web:2 runs: it is sent.
        (
            100,
            vec![deployment(1, 2, "COMPLETED", [2, 2, 0])],
            "Unknown",
            "Succeeded",
            100,
            0,
        ),
        (
            210,
            vec![
                deployment(2, 3, "IN_PROGRESS", [2, 0, 2]),
                deployment(1, 2, "OLD", [2, 2, 0]),
            ],
            "Unknown",
            "InProgress",
            0,
            1,
        ),
        (
            220,
            vec![
                deployment(2, 3, "IN_PROGRESS", [2, 1, 1]),
                deployment(1, 2, "OLD", [2, 2, 0]),
            ],
            "Unknown",
            "InProgress",
            50,
            1,
        ),
        // Some servers say so with nothing running.
        (
            230,
            vec![deployment(2, 3, "COMPLETED", [2, 1, 1])],
            "Unknown",
            "InProgress",
            50,
            1,
        ),
        (
            240,
            vec![deployment(2, 3, "COMPLETED", [2, 2, 0])],
            "True",
            "Succeeded",
            100,
            1,
        ),
        // A task lost later begins no rollout.
        (
            900,
            vec![deployment(2, 3, "COMPLETED", [2, 1, 0])],
            "Unknown",
            "Succeeded",
            100,
            1,
        ),
    ];
    let mut object = object(&spec(), &json!({}));
    for (at, deployments, is_ready, phase, percent, history) in steps {
        (_, object) = after_pass(&object, &deploying(&deployments), at);
        let status = serde_json::to_value(&object.status).unwrap();
        assert_eq!(ready(&object).0, is_ready, "{at}: {status}");
        assert_eq!(
            (&status["rollout"]["phase"], &status["rollout"]["percent"]),
            (&json!(phase), &json!(percent)),
            "{at}"
        );
        assert_eq!(
            status["rolloutHistory"].as_array().map_or(0, Vec::len),
            history,
            "{at}"
        );
    }
    let status = serde_json::to_value(&object.status).unwrap();
    assert_eq!(status["rollout"]["startedAt"], "1970-01-01T00:03:20Z");
    assert_eq!(status["rollout"]["finishedAt"], "1970-01-01T00:04:00Z");
    let record = &status["rolloutHistory"][0];
    assert_eq!(
        (
            &record["revision"],
            &record["result"],
            &record["durationSeconds"]
        ),
        (&json!("web:2"), &json!("Succeeded"), &json!(0))
    );
}

#[test]
fn a_rollout_without_progress_is_told_after_its_deadline_and_may_still_succeed() {
    let policy = json!({"progressDeadlineSeconds": 100});
    let mut spec = spec();
    spec["rollout"] = policy;
    let starting = deploying(&[deployment(1, 3, "IN_PROGRESS", [2, 0, 2])]);
    let further = deploying(&[deployment(1, 3, "IN_PROGRESS", [2, 1, 1])]);
    let mut object = object(&spec, &json!({}));
    let wait = |object: &EcsService, now: i64| {
        let now = Timestamp::from_second(now).unwrap();
        Kind::requeue_after(object, None, object.status.as_ref().unwrap(), now)
            .map(|wait| wait.as_secs())
    };
    for (at, seen, reason, next) in [
        (100, &starting, "Progressing", Some(100)),
        (150, &starting, "Progressing", Some(50)),
        (160, &further, "Progressing", Some(100)),
        (259, &further, "Progressing", Some(1)),
        (260, &further, "ProgressDeadlineExceeded", None),
        (400, &further, "ProgressDeadlineExceeded", None),
    ] {
        (_, object) = after_pass(&object, seen, at);
        assert_eq!(
            (ready(&object).1.as_str(), wait(&object, at)),
            (reason, next),
            "{at}"
        );
    }
    (_, object) = after_pass(
        &object,
        &deploying(&[deployment(1, 3, "COMPLETED", [2, 2, 0])]),
        500,
    );
    assert_eq!(ready(&object).0, "True");
}

#[test]
fn a_rolling_deployment_with_alarms_bakes_without_a_deadline() {
    let seen = |alarms: bool, state: &str, running: i32| {
        let mut seen = deploying(&[deployment(1, 3, state, [2, running, 2 - running])]);
        let service = seen.service.as_mut().unwrap();
        let mut shown = (*service.json).clone();
        shown["deploymentConfiguration"]["alarms"] =
            json!({"alarmNames": ["errors"], "enable": alarms, "rollback": true});
        service.json = Arc::new(shown);
        seen
    };
    let next = |object: &EcsService, now: i64| {
        let now = Timestamp::from_second(now).unwrap();
        Kind::requeue_after(object, None, object.status.as_ref().unwrap(), now)
            .map(|wait| wait.as_secs())
    };
    let (_, starting) = after_pass(
        &object(&spec(), &json!({})),
        &seen(true, "IN_PROGRESS", 1),
        100,
    );
    assert_eq!(
        (ready(&starting).1.as_str(), next(&starting, 100)),
        ("Progressing", Some(600))
    );
    let (_, baking) = after_pass(&starting, &seen(true, "IN_PROGRESS", 2), 200);
    assert_eq!(
        (ready(&baking), next(&baking, 200)),
        (("Unknown".into(), "Baking".into()), None)
    );
    let (_, later) = after_pass(&baking, &seen(true, "IN_PROGRESS", 2), 9000);
    assert_eq!(later.status, baking.status);
    assert_eq!(
        ready(&after_pass(&later, &seen(true, "COMPLETED", 2), 9010).1).0,
        "True"
    );
    // The bake time begins when the old revision has scaled in: until then the deployment has its
    // deadline.
    let beside_old = |now: i64, before: &EcsService| {
        let mut shown = seen(true, "IN_PROGRESS", 2);
        let old = json!({"id": "ecs-svc/0", "status": "ACTIVE", "taskDefinition": REVISION.replace(":3", ":2"),
            "rolloutState": "COMPLETED", "desiredCount": 2, "runningCount": 2, "pendingCount": 0, "failedTasks": 0});
        shown
            .service
            .as_mut()
            .unwrap()
            .deployments
            .push(serde_json::from_value(old).unwrap());
        after_pass(before, &shown, now).1
    };
    let scaling_in = beside_old(200, &starting);
    assert_eq!(
        (ready(&scaling_in).1.as_str(), next(&scaling_in, 200)),
        ("Progressing", Some(600))
    );
    assert_eq!(
        ready(&beside_old(800, &scaling_in)).1,
        "ProgressDeadlineExceeded"
    );
    // Without them, a deployment that ECS does not complete is reported.
    let (_, running) = after_pass(&starting, &seen(false, "IN_PROGRESS", 2), 200);
    assert_eq!(
        ready(&after_pass(&running, &seen(false, "IN_PROGRESS", 2), 800).1).1,
        "ProgressDeadlineExceeded"
    );
}

#[test]
fn tasks_that_are_lost_make_a_service_unavailable_after_a_grace_time() {
    let mut object = object(&spec(), &json!({}));
    let running = |desired: i32, running: i32| {
        observed(Some(with(
            &json!({"desiredCount": desired, "runningCount": running, "deployments": [deployment(1, 3, "COMPLETED", [desired, running, 0])]}),
        )))
    };
    for (at, desired, count, is_ready, reason) in [
        (100, 2, 2, "True", "Succeeded"),
        (110, 2, 1, "Unknown", "Progressing"),
        (169, 2, 1, "Unknown", "Progressing"),
        (170, 2, 1, "False", "Unavailable"),
        (180, 2, 0, "False", "Unavailable"),
        (190, 2, 1, "Unknown", "Progressing"),
        (200, 2, 2, "True", "Succeeded"),
    ] {
        (_, object) = after_pass(&object, &running(desired, count), at);
        assert_eq!(ready(&object), (is_ready.into(), reason.into()), "{at}");
    }
    // Scaling out takes its time, too.
    object.spec.desired_count = Some(9);
    for (at, count, is_ready) in [
        (300, 2, "Unknown"),
        (350, 5, "Unknown"),
        (409, 5, "Unknown"),
        (420, 9, "True"),
    ] {
        (_, object) = after_pass(&object, &running(9, count), at);
        assert_eq!(ready(&object).0, is_ready, "{at}");
    }
}

#[test]
fn tasks_are_missed_as_well_where_no_rollout_is_followed() {
    // One of CodeDeploy, which has task sets and no deployments.
    let shown = |running: i32| {
        let mut service = with(&json!({"deployments": [], "runningCount": running}));
        service["deploymentController"] = json!({"type": "CODE_DEPLOY"});
        observed(Some(service))
    };
    let new = object(&spec(), &json!({}));
    let starting = after_pass(&new, &shown(0), 10).1;
    assert_eq!(
        starting.status.as_ref().unwrap().unavailable_since,
        None,
        "it has just begun"
    );
    let well = after_pass(&starting, &shown(2), 20).1;
    assert_eq!(ready(&well).0, "True");
    let lost = after_pass(&well, &shown(0), 30).1;
    assert_eq!(ready(&lost), ("Unknown".into(), "Progressing".into()));
    let later = after_pass(&lost, &shown(0), 100).1;
    assert_eq!(ready(&later), ("False".into(), "Unavailable".into()));
    // After a failure of a spec of the past, too.
    let past =
        json!({"revision": "web:3", "hash": "other", "id": "ecs-svc/1", "phase": "RolledBack"});
    let mut known = after_pass(&new, &observed(Some(described())), 20).1;
    known.status.as_mut().unwrap().rollout = serde_json::from_value(past).unwrap();
    let lost = after_pass(
        &known,
        &observed(Some(with(&json!({"runningCount": 1})))),
        30,
    )
    .1;
    assert!(lost.status.unwrap().unavailable_since.is_some());
}

#[test]
fn reads_stopped_tasks_while_the_previous_revision_runs() {
    let old = deployment(1, 2, "OLD", [2, 2, 0]);
    let looks = |new: Value| {
        let seen = deploying(&[new, old.clone()]);
        let (_, object) = after_pass(&object(&spec(), &json!({})), &seen, 250);
        observe_rollout::wanted(&object, &seen, seen.service.as_ref().expect("a service")).is_some()
    };
    assert!(
        looks(deployment(2, 3, "IN_PROGRESS", [2, 0, 0])),
        "two of two tasks run, and none is its own"
    );
    assert!(!looks(deployment(2, 3, "IN_PROGRESS", [2, 2, 0])));
}

#[test]
fn stopped_tasks_explain_what_failed() {
    let rolling = after_pass(
        &object(&spec(), &json!({})),
        &deploying(&[deployment(2, 3, "IN_PROGRESS", [2, 0, 2])]),
        10,
    )
    .1;
    let task = json!([{"taskArn": "arn:aws:ecs:eu-central-1:1:task/shop/abc", "stopCode": "EssentialContainerExited",
        "stoppedReason": "Essential container in task exited", "taskDefinitionArn": REVISION,
        "containers": [{"name": "web", "exitCode": 3}]}]);
    let failed = ObservedService {
        stopped: Some(crate::kinds::ecs_service::tasks::troubled(&task)),
        ..deploying(&[
            deployment(1, 2, "COMPLETED", [2, 2, 0]),
            deployment(2, 3, "FAILED", [0, 0, 0]),
        ])
    };
    let (_, after) = after_pass(&rolling, &failed, 20);
    let message = &after.status.as_ref().unwrap().common.conditions[0].message;
    assert!(
        message.contains(
            "Task abc stopped: Essential container in task exited (container web, exit code 3)"
        ),
        "{message}"
    );
    let told = Kind::events(
        &rolling,
        rolling.status.as_ref().unwrap(),
        after.status.as_ref().unwrap(),
    );
    assert_eq!(
        told.iter()
            .map(|notice| notice.reason.as_str())
            .collect::<Vec<_>>(),
        ["TaskExited"]
    );
}

#[test]
fn ready_needs_one_completed_deployment_and_the_counts() {
    let deployment = |state: &str, rollout: &str| json!({"status": state, "rolloutState": rollout, "rolloutStateReason": "tasks failed to start", "taskDefinition": REVISION});
    let rows = [
        (json!({}), "True", "Succeeded"),
        (json!({"runningCount": 0}), "Unknown", "Progressing"),
        // While ECS scales in, or spreads tasks over zones, there are more for a while.
        (json!({"runningCount": 3}), "True", "Succeeded"),
        (json!({"pendingCount": 1}), "True", "Succeeded"),
        (
            json!({"runningCount": 1, "pendingCount": 1}),
            "Unknown",
            "Progressing",
        ),
        (
            json!({"deployments": [deployment("PRIMARY", "IN_PROGRESS")]}),
            "Unknown",
            "Progressing",
        ),
        (
            json!({"deployments": [deployment("ACTIVE", "COMPLETED"), deployment("PRIMARY", "COMPLETED")]}),
            "Unknown",
            "Progressing",
        ),
        (
            json!({"deployments": [deployment("PRIMARY", "FAILED")]}),
            "False",
            "DeploymentFailed",
        ),
        // A failed deployment without tasks does not count; one with tasks does.
        (
            json!({"deployments": [deployment("ACTIVE", "FAILED"), deployment("PRIMARY", "COMPLETED")]}),
            "True",
            "Succeeded",
        ),
        (
            json!({"deployments": [{"status": "ACTIVE", "rolloutState": "FAILED", "runningCount": 1}, deployment("PRIMARY", "COMPLETED")]}),
            "Unknown",
            "Progressing",
        ),
        (
            json!({"desiredCount": 0, "runningCount": 0}),
            "True",
            "Succeeded",
        ),
    ];
    for (change, ready, reason) in rows {
        let status = object(&spec(), &json!({}))
            .status_after(Some(&observed(Some(with(&change)))), &Outcome::InSync);
        assert_eq!(
            (
                status.common.conditions[0].status.as_str(),
                status.common.conditions[0].reason.as_str()
            ),
            (ready, reason),
            "{change}"
        );
        assert_eq!(status.common.observed_generation, Some(3));
    }
}

#[test]
fn the_status_shows_what_runs_and_is_the_same_for_the_same_inputs() {
    let shown = |at| {
        object(&spec(), &json!({})).status_at(
            Some(&observed(Some(described()))),
            &Outcome::InSync,
            at,
        )
    };
    let status = shown(Timestamp::UNIX_EPOCH);
    assert_eq!(status, shown(Timestamp::UNIX_EPOCH));
    assert_eq!(status.revision.as_deref(), Some("web:3"));
    assert_eq!(status.service_arn.as_deref(), Some(ARN));
    assert_eq!(
        (
            status.desired_count,
            status.running_count,
            status.pending_count
        ),
        (Some(2), Some(2), Some(0))
    );
    // Without a look at AWS, what is known stays.
    let error = crate::aws::AwsError::new(
        ecs::DescribeServices,
        crate::aws::ErrorKind::Throttle,
        "Rate exceeded",
    );
    let known = object(
        &spec(),
        &json!({"status": serde_json::to_value(&status).unwrap()}),
    );
    let after = known.status_after(None, &Outcome::Failed(error));
    assert_eq!(after.service_arn.as_deref(), Some(ARN));
    assert_eq!(after.common.conditions[0].reason, "Throttled");
}

#[test]
fn events_of_ecs_come_through_once() {
    let event = |id: u32, at: u32, message: &str| json!({"id": id.to_string(), "createdAt": at, "message": message});
    let pass = |before: &EcsService, events: &[Value]| {
        let (_, after) = after_pass(before, &observed(Some(with(&json!({"events": events})))), 0);
        let told = Kind::events(
            before,
            &before.status.clone().unwrap_or_default(),
            after.status.as_ref().unwrap(),
        );
        let told = told
            .into_iter()
            .filter(|notice| notice.reason == "ServiceEvent");
        (
            told.map(|notice| (notice.warning, notice.note))
                .collect::<Vec<_>>(),
            after,
        )
    };
    let mut fresh = object(&spec(), &json!({}));
    fresh.metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
        Timestamp::from_second(50).unwrap(),
    ));
    let (old, first) = (
        event(1, 10, "from before"),
        event(2, 60, "(service web) has started 2 tasks"),
    );
    let (told, after) = pass(&fresh, &[first.clone(), old.clone()]);
    assert_eq!(
        told,
        [(false, "(service web) has started 2 tasks".to_owned())]
    );
    assert_eq!(
        pass(&after, &[first.clone(), old.clone()]).0,
        [],
        "not again"
    );
    let steady = |id: u32| event(id, 60 + id, "(service web) has reached a steady state.");
    let stuck = event(4, 64, "(service web) was unable to place a task");
    let (told, after) = pass(
        &after,
        &[steady(5), stuck.clone(), first.clone(), old.clone()],
    );
    assert_eq!(
        told.iter().map(|(warning, _)| *warning).collect::<Vec<_>>(),
        [true, false],
        "in their order"
    );
    let (told, later) = pass(&after, &[steady(6), steady(5), stuck, first, old]);
    assert_eq!(
        (told.len(), later.status),
        (0, after.status),
        "a repetition is no news"
    );
}

#[test]
fn the_owner_of_desired_count_decides_whether_it_is_repaired() {
    let external = |count: i32, applied: Option<i32>| {
        let mut spec = spec();
        spec["desiredCount"] = json!(count);
        spec["desiredCountOwner"] = json!("External");
        object(&spec, &json!({"status": {"appliedDesiredCount": applied}}))
    };
    let autoscaled = observed(Some(with(&json!({"desiredCount": 7, "runningCount": 7}))));
    // An outsider's number stays; without knowledge of what was sent, too.
    for applied in [Some(2), None] {
        assert_eq!(
            plan::plan(&external(2, applied), &autoscaled, &owner()),
            Plan::InSync
        );
    }
    // A new number in the spec, as `kubectl scale` writes it, is sent.
    let scaled = writes(plan::plan(&external(4, Some(2)), &autoscaled, &owner())).remove(0);
    assert_eq!(
        scaled.request,
        json!({"cluster": "shop", "service": "web", "desiredCount": 4})
    );
    let (_, after) = after_pass(
        &external(4, Some(2)),
        &observed(Some(with(&json!({"desiredCount": 4})))),
        0,
    );
    assert_eq!(after.status.unwrap().applied_desired_count, Some(4));
    // By default it is the spec's.
    assert_eq!(
        operations(&planned(&spec(), Some(with(&json!({"desiredCount": 7}))))),
        [ecs::UpdateService]
    );
}

#[test]
fn a_family_without_a_number_is_not_sent_again_after_a_rollback_either() {
    let literal = |observed: ObservedService| ObservedService {
        task_definition: Resolved::To("web".into()),
        ..observed
    };
    let rolling = literal(deploying(&[deployment(2, 3, "IN_PROGRESS", [2, 0, 2])]));
    let (_, rolling) = after_pass(&object(&spec(), &json!({})), &rolling, 10);
    let mut primary = deployment(1, 3, "IN_PROGRESS", [2, 2, 0]);
    primary["rolloutStateReason"] = json!("rolling back to deploymentId ecs-svc/1.");
    let mut back = with(&json!({"deployments": [primary]}));
    back["networkConfiguration"] = json!({"awsvpcConfiguration": {"subnets": ["subnet-old"]}});
    let (plan, _) = after_pass(&rolling, &literal(observed(Some(back))), 20);
    assert!(
        matches!(plan, Plan::Stall(obstacle) if obstacle.reason == Reason::DeploymentRolledBack)
    );
}

#[test]
fn tasks_that_come_and_go_are_no_progress() {
    let seen =
        |running: i32| deploying(&[deployment(1, 3, "IN_PROGRESS", [2, running, 2 - running])]);
    let mut object = object(&spec(), &json!({}));
    for (at, running, reason) in [
        (0, 0, "Progressing"),
        (100, 1, "Progressing"),
        (200, 0, "Progressing"),
        (400, 1, "Progressing"),
        (700, 1, "ProgressDeadlineExceeded"),
    ] {
        (_, object) = after_pass(&object, &seen(running), at);
        assert_eq!(ready(&object).1, reason, "{at}");
    }
}

#[test]
fn a_number_sent_while_a_deployment_is_given_up_is_sent_once() {
    let mut spec = spec();
    spec["desiredCountOwner"] = json!("External");
    let mut primary = deployment(1, 2, "IN_PROGRESS", [2, 2, 0]);
    primary["rolloutStateReason"] = json!("rolling back to deploymentId ecs-svc/1.");
    let rolling = after_pass(
        &object(&spec, &json!({})),
        &deploying(&[deployment(2, 3, "IN_PROGRESS", [2, 0, 2])]),
        10,
    )
    .1;
    let (_, mut back) = after_pass(&rolling, &deploying(&[primary.clone()]), 20);
    back.spec.desired_count = Some(3);
    let service = |count: i32| {
        let mut observed = deploying(&[primary.clone()]);
        let service = observed.service.as_mut().unwrap();
        service.desired_count = count;
        let mut json = (*service.json).clone();
        json["desiredCount"] = json!(count);
        service.json = Arc::new(json);
        observed
    };
    assert_eq!(
        writes(after_pass(&back, &service(2), 30).0)[0].request["desiredCount"],
        3
    );
    let (_, sent) = after_pass(&back, &service(3), 40);
    assert!(
        matches!(after_pass(&sent, &service(6), 50).0, Plan::Stall(_)),
        "the autoscaler has the last word"
    );
}
