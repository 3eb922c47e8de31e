//! Settings that ECS gives to new tasks only.

use super::rollout::deployment;
use super::*;
use crate::reconcile::Kind;

/// A spec with ECS Exec on.
fn exec(policy: &Value) -> Value {
    let mut spec = spec();
    (spec["enableExecuteCommand"], spec["rollout"]) = (json!(true), policy.clone());
    spec
}

/// The service with so many tasks, with ECS Exec on or off, during its nth deployment.
fn seen(on: bool, running: i32, nth: u8) -> ObservedService {
    observed(Some(with(
        &json!({"enableExecuteCommand": on, "propagateTags": "NONE", "desiredCount": 2, "runningCount": running,
        "deployments": [deployment(nth, 3, "COMPLETED", [2, running, 0])]}),
    )))
}

fn conditions(object: &EcsService) -> Vec<(&str, &str)> {
    let conditions = &object.status.as_ref().unwrap().common.conditions;
    conditions
        .iter()
        .map(|condition| (condition.type_.as_str(), condition.status.as_str()))
        .collect()
}

const REQUIRED: [(&str, &str); 2] = [("Ready", "True"), ("RestartRequired", "True")];

#[test]
fn a_setting_that_reaches_new_tasks_only_is_told_until_the_tasks_are_replaced() {
    let (_, before) = after_pass(&object(&spec(), &json!({})), &seen(false, 2, 1), 100);
    assert_eq!(conditions(&before), [("Ready", "True")]);
    let edited = EcsService {
        spec: object(&exec(&json!({})), &json!({})).spec,
        ..before.clone()
    };
    let (plan, _) = after_pass(&edited, &seen(false, 2, 1), 110);
    let request = &writes(plan)[0].request;
    assert_eq!(
        (
            &request["enableExecuteCommand"],
            request.get("forceNewDeployment")
        ),
        (&json!(true), None)
    );
    // ECS has accepted it, and whether the status was written in between makes no difference.
    let (_, after) = after_pass(&edited, &seen(true, 2, 1), 110);
    assert_eq!(conditions(&after), REQUIRED);
    let condition = after.status.as_ref().unwrap().common.conditions[1].clone();
    for words in [
        "enableExecuteCommand",
        "ecs-operator.dev/restartedAt",
        "spec.rollout.restartOnSettings",
    ] {
        assert!(condition.message.contains(words), "{}", condition.message);
    }
    let told = |before: &EcsService, after: &EcsService| {
        let notices = before.events(
            before.status.as_ref().unwrap(),
            after.status.as_ref().unwrap(),
        );
        notices
            .into_iter()
            .map(|notice| notice.reason)
            .collect::<Vec<_>>()
    };
    assert_eq!(told(&before, &after), ["SettingsChanged"]);
    assert_eq!(
        after_pass(&after, &seen(true, 2, 1), 900).1.status,
        after.status
    );
    // A look that fails says nothing of it.
    let error = crate::aws::AwsError::new(
        ecs::DescribeServices,
        crate::aws::ErrorKind::Throttle,
        "Rate exceeded",
    );
    let blind = after.status_at(
        None,
        &Outcome::Failed(error),
        Timestamp::from_second(910).unwrap(),
    );
    assert_eq!(blind.common.conditions.last(), Some(&condition));
    // It goes with a later rollout, when it is taken back, and when no task runs, whose successors
    // have what is set now.
    let rows = [
        (seen(true, 2, 2), 0),
        (seen(false, 2, 1), 0),
        (seen(true, 0, 1), 0),
        (seen(true, 1, 1), 1),
    ];
    for (seen, left) in rows {
        let (_, later) = after_pass(&after, &seen, 920);
        let count = conditions(&later)
            .iter()
            .filter(|(type_, _)| *type_ == "RestartRequired")
            .count();
        assert_eq!(count, left, "{:?}", conditions(&later));
    }
    let idle = after_pass(&after, &seen(true, 0, 1), 920).1;
    assert_eq!(
        conditions(&after_pass(&idle, &seen(true, 2, 1), 930).1),
        [("Ready", "True")]
    );
}

#[test]
fn a_change_of_settings_carries_a_new_deployment_where_the_spec_says_so() {
    let policy = json!({"restartOnSettings": true});
    let request =
        |spec: &Value, service: Value| writes(planned(spec, Some(service)))[0].request.clone();
    let sent = request(&exec(&policy), described());
    assert_eq!(
        (&sent["enableExecuteCommand"], &sent["forceNewDeployment"]),
        (&json!(true), &json!(true))
    );
    // Not where nothing runs, where other members change, or where another controller deploys.
    assert_eq!(
        request(&exec(&policy), with(&json!({"runningCount": 0}))).get("forceNewDeployment"),
        None
    );
    let mut other = spec();
    (other["healthCheckGracePeriodSeconds"], other["rollout"]) = (json!(9), policy.clone());
    assert_eq!(request(&other, described()).get("forceNewDeployment"), None);
    let mut tags = spec();
    (tags["propagateTags"], tags["rollout"]) = (json!("SERVICE"), policy);
    assert_eq!(request(&tags, described())["forceNewDeployment"], true);
    let foreign = with(&json!({"deploymentController": {"type": "CODE_DEPLOY"}}));
    assert_eq!(request(&tags, foreign).get("forceNewDeployment"), None);
}
