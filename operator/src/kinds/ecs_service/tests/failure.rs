//! What ECS gives up.

use super::rollout::{deploying, deployment};
use super::*;

/// ECS after the rollback from web:3 to web:2.
fn back() -> ObservedService {
    deploying(&[deployment(1, 2, "COMPLETED", [2, 2, 0])])
}

/// A service whose rollout of web:3 begins.
fn rolling() -> EcsService {
    let before = after_pass(&object(&spec(), &json!({})), &back(), 5).1;
    let rolling = deploying(&[
        deployment(2, 3, "IN_PROGRESS", [2, 0, 2]),
        deployment(1, 2, "OLD", [2, 2, 0]),
    ]);
    after_pass(&before, &rolling, 10).1
}

/// ECS while it rolls back from web:3 to web:2.
fn going_back() -> ObservedService {
    let mut primary = deployment(1, 2, "IN_PROGRESS", [2, 2, 0]);
    primary["rolloutStateReason"] =
        json!("ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/1.");
    deploying(&[primary, deployment(2, 3, "FAILED", [0, 0, 0])])
}

/// The service after the rollback.
fn rolled_back() -> EcsService {
    let rolling_back = after_pass(&rolling(), &going_back(), 20).1;
    after_pass(&rolling_back, &back(), 30).1
}

#[test]
fn reports_a_rollback_and_changes_nothing() {
    let stalls = |plan: &Plan, words: &str| {
        assert!(
            matches!(plan, Plan::Stall(obstacle) if obstacle.message.contains(words)),
            "{plan:?}"
        );
    };
    let phase = |object: &EcsService| {
        serde_json::to_value(&object.status).unwrap()["rollout"]["phase"].clone()
    };
    let (plan, during) = after_pass(&rolling(), &going_back(), 20);
    stalls(
        &plan,
        "web:3 failed, and ECS rolled back to web:2: ECS deployment circuit breaker: rolling back",
    );
    assert_eq!(
        ready(&during),
        ("False".into(), "DeploymentRolledBack".into())
    );
    assert_eq!(phase(&during), "RollingBack");
    // The rollback is complete, and ECS no longer shows the failed deployment.
    let (plan, after) = after_pass(&during, &back(), 30);
    stalls(&plan, "ECS rolled back to web:2");
    assert_eq!(phase(&after), "RolledBack");
    assert_eq!(after_pass(&after, &back(), 40).1.status, after.status);
}

#[test]
fn keeps_the_rollback_while_the_next_revision_is_registered() {
    let obstacle = Obstacle {
        reason: Reason::DependencyNotReady,
        message: "being worked on".into(),
        passing: true,
        all_else_sent: false,
    };
    let waiting = ObservedService {
        task_definition: Resolved::NotYet(obstacle),
        ..back()
    };
    let status = after_pass(&rolled_back(), &waiting, 45).1.status.unwrap();
    assert_eq!(status.rollout, rolled_back().status.unwrap().rollout);
}

#[test]
fn retries_a_rollback_with_another_revision_spec_or_restart() {
    let newer = ObservedService {
        task_definition: Resolved::To(REVISION.replace(":3", ":4")),
        ..back()
    };
    let update = [ecs::UpdateService];
    assert_eq!(
        operations(&after_pass(&rolled_back(), &newer, 50).0),
        update
    );
    let mut edited = rolled_back();
    edited.spec.health_check_grace_period_seconds = Some(60);
    assert_eq!(operations(&after_pass(&edited, &back(), 50).0), update);
    let restarted = rolled_back().with(&json!({"metadata": {"annotations": {
        "ecs-operator.dev/restartedAt": "2026-01-01T00:00:00Z"}}}));
    let again = writes(after_pass(&restarted, &back(), 50).0).remove(0);
    assert_eq!(again.request["taskDefinition"], REVISION);
    assert_eq!(again.request["forceNewDeployment"], true);
}

#[test]
fn scales_after_a_rollback_without_a_retry() {
    let mut scaled = rolled_back();
    (scaled.spec.desired_count, scaled.metadata.generation) = (Some(3), Some(4));
    let scale = writes(after_pass(&scaled, &back(), 50).0).remove(0);
    assert_eq!(
        scale.request,
        json!({"cluster": "shop", "service": "web", "desiredCount": 3})
    );
    scaled.spec.desired_count = Some(2);
    assert!(matches!(after_pass(&scaled, &back(), 50).0, Plan::Stall(_)));
    let tagged = scaled.with(&json!({"spec": {"tags": [{"key": "team", "value": "a"}]}}));
    let tag = writes(after_pass(&tagged, &back(), 50).0).remove(0);
    assert_eq!(
        tag.request["tags"],
        json!([{"key": "team", "value": "a"}]),
        "tags need no deployment"
    );
}

#[test]
fn scales_while_the_task_definition_is_not_ready() {
    let waiting = |passing| ObservedService {
        task_definition: Resolved::NotYet(Obstacle {
            reason: Reason::DependencyNotReady,
            message: "EcsTaskDefinition web is not ready (InvalidSpec: …)".into(),
            passing,
            all_else_sent: false,
        }),
        ..observed(Some(described()))
    };
    let steady = object(&spec(), &json!({}));
    let scaled = steady
        .clone()
        .with(&json!({"spec": {"desiredCount": 10, "healthCheckGracePeriodSeconds": 60}}));
    let plan = |object: &EcsService, passing| plan::plan(object, &waiting(passing), &owner());
    let scale = write(plan(&scaled, false));
    assert_eq!(
        scale.request,
        json!({"cluster": "shop", "service": "web", "desiredCount": 10}),
        "the rest goes with the new revision"
    );
    assert!(matches!(plan(&steady, false), Plan::Wait(_)));
    // ECS has the number, so what an autoscaler sets after that is not set back.
    let counted = after_pass(&steady, &waiting(false), 10).1;
    assert_eq!(counted.status.unwrap().applied_desired_count, Some(2));
    // It is ready within moments, and both go together.
    assert!(matches!(plan(&scaled, true), Plan::Wait(_)));
}

#[test]
fn repairs_another_revision_that_an_outsider_sets() {
    let steady = after_pass(
        &object(&spec(), &json!({})),
        &observed(Some(described())),
        10,
    )
    .1;
    assert_eq!(
        operations(&after_pass(&steady, &back(), 20).0),
        [ecs::UpdateService]
    );
}

#[test]
fn moves_a_rollback_to_the_history_when_the_next_rollout_succeeds() {
    let succeeded = deploying(&[deployment(3, 3, "COMPLETED", [2, 2, 0])]);
    let status = after_pass(&rolled_back(), &succeeded, 60).1.status.unwrap();
    assert_eq!(status.failed_deployment, None);
    let history = serde_json::to_value(&status.rollout_history).unwrap();
    assert_eq!(history[0]["revision"], "web:3");
    assert_eq!(history[0]["result"], "RolledBack");
}

#[test]
fn does_not_retry_a_deployment_that_failed_before_its_reply() {
    let before = after_pass(
        &object(&spec(), &json!({})),
        &deploying(&[deployment(1, 2, "COMPLETED", [2, 2, 0])]),
        5,
    )
    .1;
    // The update was sent, and no read showed the deployment in progress.
    let went_back = deploying(&[
        deployment(1, 2, "COMPLETED", [2, 2, 0]),
        deployment(2, 3, "FAILED", [0, 0, 0]),
    ]);
    let (plan, told) = after_pass(&before, &went_back, 20);
    let words = "web:3 failed, and ECS rolled back to web:2: FAILED";
    assert!(
        matches!(&plan, Plan::Stall(obstacle) if obstacle.message.contains(words)),
        "{plan:?}"
    );
    assert_eq!(
        ready(&told),
        ("False".into(), "DeploymentRolledBack".into())
    );
    // What others tried before there was this object says nothing of it.
    let mut adopting = before.clone();
    adopting.metadata.creation_timestamp = Some(
        k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(Timestamp::from_second(1000).unwrap()),
    );
    assert_eq!(
        operations(&after_pass(&adopting, &went_back, 2000).0),
        [ecs::UpdateService]
    );
    // Another spec with the same revision is a new attempt, also while ECS still shows the old one.
    let mut edited = told.clone();
    edited.spec.health_check_grace_period_seconds = Some(60);
    assert_eq!(
        operations(&after_pass(&edited, &went_back, 30).0),
        [ecs::UpdateService]
    );
    // And where the reply to that one is lost, too, its failure differs from the reported one.
    let failed_twice = [
        deployment(1, 2, "COMPLETED", [2, 2, 0]),
        deployment(2, 3, "FAILED", [0, 0, 0]),
        deployment(3, 3, "FAILED", [0, 0, 0]),
    ];
    let again = deploying(&failed_twice);
    let (plan, told) = after_pass(&edited, &again, 40);
    assert!(
        matches!(&plan, Plan::Stall(obstacle) if obstacle.message.contains(words)),
        "{plan:?}"
    );
    let gone = deploying(&[deployment(1, 2, "COMPLETED", [2, 2, 0])]);
    assert!(
        matches!(after_pass(&told, &gone, 50).0, Plan::Stall(_)),
        "told is told, also when ECS lists it no more"
    );
    let mut edited = told;
    edited.spec.health_check_grace_period_seconds = Some(90);
    assert_eq!(
        operations(&after_pass(&edited, &again, 60).0),
        [ecs::UpdateService],
        "and a third spec is tried"
    );
    // A change back to what runs, and forward again, is a new try, also while ECS still lists the
    // failed deployment.
    edited.spec.health_check_grace_period_seconds = None;
    let mut back = deploying(&failed_twice);
    back.task_definition = Resolved::To(REVISION.replace(":3", ":2"));
    let (plan, settled) = after_pass(&edited, &back, 70);
    assert_eq!(plan, Plan::InSync);
    let status = settled.status.clone().unwrap();
    assert_eq!(status.failed_deployment, None);
    let history: Vec<_> = status
        .rollout_history
        .iter()
        .flatten()
        .filter_map(|record| record.id.as_deref())
        .collect();
    assert_eq!(history, ["ecs-svc/3", "ecs-svc/2"]);
    assert_eq!(
        operations(&after_pass(&settled, &again, 80).0),
        [ecs::UpdateService]
    );
}

#[test]
fn retries_the_same_revision_with_another_spec() {
    let mut primary = deployment(2, 3, "IN_PROGRESS", [2, 0, 2]);
    let rolling = after_pass(
        &object(&spec(), &json!({})),
        &deploying(&[primary.clone()]),
        10,
    )
    .1;
    primary["rolloutStateReason"] = json!("rolling back to deploymentId ecs-svc/1.");
    let mut back = with(&json!({"deployments": [primary]}));
    back["networkConfiguration"] = json!({"awsvpcConfiguration": {"subnets": ["subnet-old"]}});
    let (plan, _) = after_pass(&rolling, &observed(Some(back.clone())), 20);
    assert!(
        matches!(plan, Plan::Stall(obstacle) if obstacle.reason == Reason::DeploymentRolledBack)
    );
    // A spec that was edited while ECS still goes back from the one before is a new attempt.
    let mut edited = rolling;
    edited
        .spec
        .network_configuration
        .as_mut()
        .unwrap()
        .awsvpc_configuration
        .as_mut()
        .unwrap()
        .subnets
        .pop();
    assert_eq!(
        operations(&after_pass(&edited, &observed(Some(back)), 20).0),
        [ecs::UpdateService]
    );
}

#[test]
fn does_not_retry_a_deployment_under_another_controller() {
    let mut spec = spec();
    spec["ignoreFields"] = json!(["/taskDefinitionRef"]);
    let mut primary = deployment(2, 3, "IN_PROGRESS", [2, 0, 2]);
    let rolling = after_pass(
        &object(&spec, &json!({})),
        &deploying(&[primary.clone()]),
        10,
    )
    .1;
    primary["rolloutStateReason"] = json!("rolling back to deploymentId ecs-svc/1.");
    let mut back = with(&json!({"deployments": [primary]}));
    back["networkConfiguration"] = json!({"awsvpcConfiguration": {"subnets": ["subnet-old"]}});
    let (plan, told) = after_pass(&rolling, &observed(Some(back.clone())), 20);
    assert!(
        matches!(plan, Plan::Stall(obstacle) if obstacle.reason == Reason::DeploymentRolledBack)
    );
    assert!(told.status.as_ref().unwrap().failed_deployment.is_some());
    assert!(matches!(
        after_pass(&told, &observed(Some(back)), 30).0,
        Plan::Stall(_)
    ));
}

#[test]
fn sends_hidden_members_again_after_a_rollback() {
    let connect = |namespace: &str| json!({"enabled": true, "namespace": namespace});
    let deployed = |id: u8, number: u8, state: &str, namespace: &str| {
        let mut deployment = deployment(
            id,
            number,
            state,
            if state == "FAILED" {
                [0, 0, 0]
            } else {
                [2, 2, 0]
            },
        );
        deployment["serviceConnectConfiguration"] = connect(namespace);
        deployment
    };
    let mut spec = spec();
    spec["serviceConnectConfiguration"] = connect("desk");
    let sent = tagged_hash(
        &owner(),
        &json!({"serviceConnectConfiguration": connect("desk")}),
    );
    let service = |deployments: &[Value]| {
        let mut service = with(&json!({"deployments": deployments}));
        service["tags"][1]["value"] = json!(sent);
        observed(Some(service))
    };
    let (_, rolling) = after_pass(
        &object(&spec, &json!({})),
        &service(&[deployed(2, 3, "IN_PROGRESS", "desk")]),
        10,
    );
    let mut back = deployed(1, 3, "COMPLETED", "shop");
    back["rolloutStateReason"] = json!("rolling back to deploymentId ecs-svc/1.");
    let mut went_back = service(&[back]);
    went_back.service.as_mut().unwrap().json = Arc::new({
        let mut json = (*went_back.service.as_ref().unwrap().json).clone();
        json["networkConfiguration"] = json!({"awsvpcConfiguration": {"subnets": ["subnet-old"]}});
        json
    });
    let (plan, mut told) = after_pass(&rolling, &went_back, 20);
    assert!(
        matches!(&plan, Plan::Stall(obstacle) if obstacle.reason == Reason::DeploymentRolledBack),
        "{plan:?}"
    );
    // Scaled meanwhile: what the hash stands for does not go along, and so the hash does not
    // either.
    told.spec.desired_count = Some(5);
    let scaled = writes(after_pass(&told, &went_back, 25).0);
    assert!(
        scaled
            .iter()
            .all(|write| write.operation == ecs::UpdateService),
        "{scaled:?}"
    );
    told.spec.health_check_grace_period_seconds = Some(60);
    told.metadata.generation = Some(4);
    let update = writes(after_pass(&told, &went_back, 30).0);
    assert_eq!(
        update[0].request["serviceConnectConfiguration"],
        connect("desk")
    );
    // And once.
    let again = service(&[deployed(3, 3, "COMPLETED", "desk")]);
    let mut json = (*again.service.as_ref().unwrap().json).clone();
    json["healthCheckGracePeriodSeconds"] = json!(60);
    json["desiredCount"] = json!(5);
    assert_eq!(after_pass(&told, &observed(Some(json)), 40).0, Plan::InSync);
}

#[test]
fn an_empty_part_that_no_deployment_shows_is_not_missed_after_a_rollback() {
    let mut spec = spec();
    (spec["taskDefinition"], spec["volumeConfigurations"]) = (json!("web:3"), json!([]));
    spec["serviceConnectConfiguration"] = json!({"enabled": false});
    spec.as_object_mut()
        .expect("a spec")
        .remove("taskDefinitionRef");
    let object = object(
        &spec,
        &json!({"status": {"failedDeployment": {"taskDefinition": "web:4", "hash": "h", "result": "RolledBack", "message": "m"}}}),
    );
    let unseen = ["volumeConfigurations", "serviceConnectConfiguration"]
        .map(|name| (name.to_owned(), spec[name].clone()));
    let service = observed(Some(described())).service.expect("a service");
    assert!(!super::super::update::is_undone(
        &object,
        &unseen.into_iter().collect(),
        &service
    ));
    let shared = json!({"enabled": true, "namespace": "shop"});
    let unseen = [("serviceConnectConfiguration".to_owned(), shared)];
    assert!(super::super::update::is_undone(
        &object,
        &unseen.into_iter().collect(),
        &service
    ));
}

#[test]
fn an_empty_part_that_ecs_shows_nowhere_is_sent() {
    let service = observed(Some(described())).service.expect("a service");
    let shows = |name: &str, value: Value| {
        super::super::update::shows(&[(name.to_owned(), value)].into_iter().collect(), &service)
    };
    assert!(
        shows("volumeConfigurations", json!([])),
        "the deployment would show it"
    );
    assert!(!shows("gatewayConnectors", json!([])), "there may be some");
}
