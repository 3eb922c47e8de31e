//! What ECS gives up.

use super::rollout::{deploying, deployment};
use super::*;

#[test]
fn does_not_retry_a_rollback_until_something_changes() {
    let before = after_pass(
        &object(&spec(), &json!({})),
        &deploying(&[deployment(1, 2, "COMPLETED", [2, 2, 0])]),
        5,
    )
    .1;
    let rolling = deploying(&[
        deployment(2, 3, "IN_PROGRESS", [2, 0, 2]),
        deployment(1, 2, "OLD", [2, 2, 0]),
    ]);
    let rolling = after_pass(&before, &rolling, 10).1;
    let mut primary = deployment(1, 2, "IN_PROGRESS", [2, 2, 0]);
    primary["rolloutStateReason"] =
        json!("ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/1.");
    let going_back = deploying(&[primary, deployment(2, 3, "FAILED", [0, 0, 0])]);
    let back = deploying(&[deployment(1, 2, "COMPLETED", [2, 2, 0])]);

    let (plan, rolled_back) = after_pass(&rolling, &going_back, 20);
    let words =
        "web:3 failed, and ECS rolled back to web:2: ECS deployment circuit breaker: rolling back";
    assert!(
        matches!(&plan, Plan::Stall(obstacle) if obstacle.message.contains(words)),
        "{plan:?}"
    );
    assert_eq!(
        ready(&rolled_back),
        ("False".into(), "DeploymentRolledBack".into())
    );
    let phase = |object: &EcsService| {
        serde_json::to_value(&object.status).unwrap()["rollout"]["phase"].clone()
    };
    assert_eq!(phase(&rolled_back), "RollingBack");
    // The way back is done, and ECS says no more of what failed.
    let (plan, rolled_back) = after_pass(&rolled_back, &back, 30);
    assert!(
        matches!(&plan, Plan::Stall(obstacle) if obstacle.message.contains("ECS rolled back to web:2")),
        "{plan:?}"
    );
    assert_eq!(phase(&rolled_back), "RolledBack");
    assert_eq!(
        after_pass(&rolled_back, &back, 40).1.status,
        rolled_back.status,
        "nothing moves any more"
    );

    // While the next revision is being registered, nothing else has begun.
    let obstacle = Obstacle {
        reason: Reason::DependencyNotReady,
        message: "being worked on".into(),
        passing: true,
    };
    let waiting = ObservedService {
        task_definition: Resolved::NotYet(obstacle),
        ..back.clone()
    };
    assert_eq!(
        after_pass(&rolled_back, &waiting, 45)
            .1
            .status
            .unwrap()
            .rollout,
        rolled_back.status.as_ref().unwrap().rollout
    );
    // A new revision, another spec, or a restart is a new attempt; another number of tasks is not.
    let newer = ObservedService {
        task_definition: Resolved::To(REVISION.replace(":3", ":4")),
        ..back.clone()
    };
    assert_eq!(
        operations(&after_pass(&rolled_back, &newer, 50).0),
        [ecs::UpdateService]
    );
    let mut edited = rolled_back.clone();
    edited.spec.health_check_grace_period_seconds = Some(60);
    assert_eq!(
        operations(&after_pass(&edited, &back, 50).0),
        [ecs::UpdateService]
    );
    let mut scaled = rolled_back.clone();
    (scaled.spec.desired_count, scaled.metadata.generation) = (Some(3), Some(4));
    let scale = writes(after_pass(&scaled, &back, 50).0).remove(0);
    assert_eq!(
        scale.request,
        json!({"cluster": "shop", "service": "web", "desiredCount": 3}),
        "and nothing of what failed"
    );
    scaled.spec.desired_count = Some(2);
    assert!(matches!(after_pass(&scaled, &back, 50).0, Plan::Stall(_)));
    let mut restarted = rolled_back.clone();
    let annotation = (
        "ecs-operator.dev/restartedAt".to_owned(),
        "2026-01-01T00:00:00Z".to_owned(),
    );
    restarted.metadata.annotations = Some([annotation].into());
    let again = writes(after_pass(&restarted, &back, 50).0).remove(0);
    assert_eq!(
        (
            &again.request["taskDefinition"],
            &again.request["forceNewDeployment"]
        ),
        (&json!(REVISION), &json!(true))
    );

    // An outsider who sets another revision is drift, also while something else rolls.
    let steady = after_pass(
        &object(&spec(), &json!({})),
        &observed(Some(described())),
        10,
    )
    .1;
    assert_eq!(
        operations(&after_pass(&steady, &back, 20).0),
        [ecs::UpdateService]
    );
    // All is well again: nothing is remembered, and what failed is history.
    let healed = after_pass(
        &rolled_back,
        &deploying(&[deployment(3, 3, "COMPLETED", [2, 2, 0])]),
        60,
    )
    .1
    .status
    .unwrap();
    assert_eq!(healed.failed_deployment, None);
    let history = serde_json::to_value(&healed.rollout_history).unwrap();
    assert_eq!(
        (&history[0]["revision"], &history[0]["result"]),
        (&json!("web:3"), &json!("RolledBack"))
    );
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
