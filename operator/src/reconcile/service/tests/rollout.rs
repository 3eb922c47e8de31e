//! What runs, and what ECS gives up.

use super::*;

#[test]
fn a_restart_is_one_forced_deployment_for_each_new_value() {
    let asked = |value: &str, status: &Value| {
        let metadata = json!({"annotations": {"ecs-operator.dev/restartedAt": value}});
        object(&spec(), &json!({"metadata": metadata, "status": status}))
    };
    let plan = |object: &EcsService, observed: &ObservedService| plan::plan(object, observed, &owner());
    let now = asked("2026-06-01T00:00:00Z", &json!({}));
    let seen = observed(Some(described()));
    let restart = writes(plan(&now, &seen)).remove(0);
    assert_eq!(restart.request, json!({"cluster": "shop", "service": "web", "forceNewDeployment": true}));

    // Carried out in this pass, remembered in the status, or visible in ECS: not again.
    let done = ObservedService { restarted: Some("2026-06-01T00:00:00Z".into()), ..seen.clone() };
    assert_eq!(plan(&now, &done), Plan::InSync);
    let status = status::status(&now, Some(&done), &Outcome::InSync, Timestamp::UNIX_EPOCH);
    let after = asked("2026-06-01T00:00:00Z", &serde_json::to_value(&status).unwrap());
    assert_eq!(plan(&after, &seen), Plan::InSync);
    let deployment =
        |began: f64| json!({"deployments": [{"status": "PRIMARY", "rolloutState": "COMPLETED", "createdAt": began}]});
    let newer = observed(Some(with(&deployment(1_780_272_000.5))));
    assert_eq!(plan(&now, &newer), Plan::InSync);
    let answered = status::status(&now, Some(&newer), &Outcome::InSync, Timestamp::UNIX_EPOCH);
    assert_eq!(answered.last_handled_restart_at.as_deref(), Some("2026-06-01T00:00:00Z"));
    assert_ne!(plan(&now, &observed(Some(with(&deployment(1_780_271_999.0))))), Plan::InSync);
    // A new value is a new restart; what else is to be changed goes first.
    let again = asked("again", &serde_json::to_value(&status).unwrap());
    assert_eq!(writes(plan(&again, &seen)).len(), 1);
    let first = writes(plan(&again, &observed(Some(with(&json!({"desiredCount": 9}))))));
    assert_eq!((first.len(), first[0].request.get("forceNewDeployment")), (1, None));
}

#[test]
fn what_ecs_rolled_back_is_not_tried_again_until_something_changes() {
    let older = REVISION.replace(":3", ":2");
    let reason = "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/2.";
    let back = |state: &str, reason: &str| {
        let primary = json!({"status": "PRIMARY", "rolloutState": state, "rolloutStateReason": reason, "taskDefinition": older});
        observed(Some(with(&json!({"taskDefinition": older, "deployments": [primary]}))))
    };
    let pass = |object: &EcsService, observed: &ObservedService| {
        let plan = plan::plan(object, observed, &owner());
        let status = status::status(object, Some(observed), &plan.clone().into(), Timestamp::UNIX_EPOCH);
        (plan, EcsService { status: Some(status), ..object.clone() })
    };
    // We set revision 3, the circuit breaker goes back to 2.
    let sent = |generation: i64| {
        json!({"taskDefinition": REVISION, "conditions": [{
            "type": "Ready", "status": "Unknown", "reason": "Progressing", "message": "", "observedGeneration": generation,
            "lastTransitionTime": "2026-01-01T00:00:00Z"}]})
    };
    let rolling = object(&spec(), &json!({"status": sent(3)}));
    let (plan, rolled_back) = pass(&rolling, &back("IN_PROGRESS", reason));
    assert!(
        matches!(&plan, Plan::Stall(obstacle) if obstacle.reason == Reason::DeploymentFailed && obstacle.message.contains(reason.trim_end_matches('.'))),
        "{plan:?}"
    );
    // The way back is done, and ECS says no more of what failed.
    let (plan, rolled_back) = pass(&rolled_back, &back("COMPLETED", "ECS deployment ecs-svc/2 completed."));
    assert!(
        matches!(&plan, Plan::Stall(obstacle) if obstacle.message.contains("web:3 failed, and ECS went back to web:2")),
        "{plan:?}"
    );
    // A new revision, or a new spec, is a new attempt.
    let mut newer = back("COMPLETED", "");
    newer.task_definition = Resolved::To(REVISION.replace(":3", ":4"));
    assert!(matches!(pass(&rolled_back, &newer).0, Plan::Write(_)));
    let mut edited = rolled_back.clone();
    edited.metadata.generation = Some(4);
    assert!(matches!(pass(&edited, &back("COMPLETED", "")).0, Plan::Write(_)));
    // An outsider who sets another revision is drift.
    let steady = object(&spec(), &json!({"status": sent(3)}));
    assert!(matches!(pass(&steady, &back("IN_PROGRESS", "ECS deployment ecs-svc/9 in progress.")).0, Plan::Write(_)));
    // A spec that was edited while ECS still goes back from the one before is a new attempt, too.
    assert!(matches!(pass(&object(&spec(), &json!({"status": sent(2)})), &back("IN_PROGRESS", reason)).0, Plan::Write(_)));
    // What failed need not be the revision: here it is the network.
    let primary =
        json!({"status": "PRIMARY", "rolloutState": "IN_PROGRESS", "rolloutStateReason": reason, "taskDefinition": REVISION});
    let network = json!({"awsvpcConfiguration": {"subnets": ["subnet-old"]}});
    let network_back = observed(Some(with(&json!({"networkConfiguration": network, "deployments": [primary]}))));
    assert!(matches!(pass(&rolling, &network_back).0, Plan::Stall(obstacle) if obstacle.reason == Reason::DeploymentFailed));
    // All is well again: nothing is remembered.
    assert_eq!(pass(&rolled_back, &observed(Some(described()))).1.status.unwrap().failed_deployment, None);
}

#[test]
fn ready_needs_one_completed_deployment_and_the_counts() {
    let deployment = |state: &str, rollout: &str| json!({"status": state, "rolloutState": rollout, "rolloutStateReason": "tasks failed to start", "taskDefinition": REVISION});
    let rows = [
        (json!({}), "True", "Succeeded"),
        (json!({"runningCount": 0}), "Unknown", "Progressing"),
        (json!({"pendingCount": 1}), "Unknown", "Progressing"),
        (json!({"deployments": [deployment("PRIMARY", "IN_PROGRESS")]}), "Unknown", "Progressing"),
        (
            json!({"deployments": [deployment("ACTIVE", "COMPLETED"), deployment("PRIMARY", "COMPLETED")]}),
            "Unknown",
            "Progressing",
        ),
        (json!({"deployments": [deployment("PRIMARY", "FAILED")]}), "False", "DeploymentFailed"),
        // A failed deployment that is only still listed is in nobody's way; one with tasks is.
        (json!({"deployments": [deployment("ACTIVE", "FAILED"), deployment("PRIMARY", "COMPLETED")]}), "True", "Succeeded"),
        (
            json!({"deployments": [{"status": "ACTIVE", "rolloutState": "FAILED", "runningCount": 1}, deployment("PRIMARY", "COMPLETED")]}),
            "Unknown",
            "Progressing",
        ),
        (json!({"desiredCount": 0, "runningCount": 0}), "True", "Succeeded"),
    ];
    for (change, ready, reason) in rows {
        let status = status::status(
            &object(&spec(), &json!({})),
            Some(&observed(Some(with(&change)))),
            &Outcome::InSync,
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!((status.conditions[0].status.as_str(), status.conditions[0].reason.as_str()), (ready, reason), "{change}");
        assert_eq!(status.observed_generation, Some(3));
    }
}

#[test]
fn the_status_shows_what_runs_and_is_the_same_for_the_same_inputs() {
    let shown = |at| status::status(&object(&spec(), &json!({})), Some(&observed(Some(described()))), &Outcome::InSync, at);
    let status = shown(Timestamp::UNIX_EPOCH);
    assert_eq!(status, shown(Timestamp::UNIX_EPOCH));
    assert_eq!(status.revision.as_deref(), Some("web:3"));
    assert_eq!(status.service_arn.as_deref(), Some(ARN));
    assert_eq!((status.desired_count, status.running_count, status.pending_count), (Some(2), Some(2), Some(0)));
    // Without a look at AWS, what is known stays.
    let fault = crate::aws::Fault::new(Operation::DescribeServices, crate::aws::FaultClass::Throttle, "Rate exceeded");
    let known = object(&spec(), &json!({"status": serde_json::to_value(&status).unwrap()}));
    let after = status::status(&known, None, &Outcome::Failed(fault), Timestamp::UNIX_EPOCH);
    assert_eq!(after.service_arn.as_deref(), Some(ARN));
    assert_eq!(after.conditions[0].reason, "Throttled");
}
