//! Commands by annotation: each value is answered once.

use super::*;
use crate::kinds::ecs_service::deployment::ServiceDeployment;
use ecs_operator_crds::v1beta1::service::{HookStatus, RolloutPhase};

const NOON: &str = "2026-06-01T00:00:00Z";

fn asked(annotation: &str, value: &str, status: &Value) -> EcsService {
    let metadata = json!({"annotations": {(format!("ecs-operator.dev/{annotation}")): value}});
    object(&spec(), &json!({"metadata": metadata, "status": status}))
}

fn refused(object: &EcsService, observed: &ObservedService) -> String {
    let (plan, after) = after_pass(object, observed, 0);
    assert!(!matches!(plan, Plan::Write(_)), "{plan:?}");
    let status = after.status.expect("a status");
    let condition = status
        .common
        .conditions
        .iter()
        .find(|condition| condition.type_ == "CommandAccepted")
        .expect("a condition");
    assert_eq!(
        (condition.status.as_str(), condition.reason.as_str()),
        ("False", "CommandRefused")
    );
    condition.message.clone()
}

#[test]
fn a_restart_is_one_forced_deployment_for_each_new_value() {
    let plan =
        |object: &EcsService, observed: &ObservedService| plan::plan(object, observed, &owner());
    let now = asked("restartedAt", NOON, &json!({}));
    let seen = observed(Some(described()));
    let restart = writes(plan(&now, &seen)).remove(0);
    assert_eq!(
        restart.request,
        json!({"cluster": "shop", "service": "web", "forceNewDeployment": true})
    );

    // Carried out in this pass, remembered in the status, or visible in ECS: not again.
    let done = ObservedService {
        carried_out: [(ecs_operator_crds::RESTARTED_AT, NOON.to_owned())].into(),
        ..seen.clone()
    };
    let (planned, after) = after_pass(&now, &done, 0);
    assert_eq!(planned, Plan::InSync);
    assert_eq!(plan(&after, &seen), Plan::InSync);
    let deployment = |began: f64| json!({"deployments": [{"status": "PRIMARY", "rolloutState": "COMPLETED", "createdAt": began}]});
    let newer = observed(Some(with(&deployment(1_780_272_000.5))));
    let (planned, answered) = after_pass(&now, &newer, 0);
    assert_eq!(planned, Plan::InSync);
    assert_eq!(
        answered.status.unwrap().handled_commands.unwrap()[0].value,
        NOON
    );
    assert_ne!(
        plan(&now, &observed(Some(with(&deployment(1_780_271_999.0))))),
        Plan::InSync
    );
    // A new value is a new restart, and goes with what else is to be changed.
    let again = asked(
        "restartedAt",
        "2026-06-02T00:00:00Z",
        &serde_json::to_value(&after.status).unwrap(),
    );
    assert_eq!(writes(plan(&again, &seen)).len(), 1);
    let both = writes(plan(
        &again,
        &observed(Some(with(&json!({"desiredCount": 9})))),
    ));
    assert_eq!(
        (
            both.len(),
            &both[0].request["forceNewDeployment"],
            &both[0].request["desiredCount"]
        ),
        (1, &json!(true), &json!(2))
    );
    // What the annotation no longer says is forgotten.
    let without = EcsService {
        metadata: object(&spec(), &json!({})).metadata,
        ..after
    };
    assert_eq!(
        after_pass(&without, &seen, 0)
            .1
            .status
            .unwrap()
            .handled_commands,
        None
    );
}

#[test]
fn nonsense_is_refused_once_and_changes_nothing() {
    let seen = observed(Some(described()));
    let history =
        json!({"rolloutHistory": [{"revision": "web:2", "hash": "", "result": "Succeeded"}]});
    let rows = vec![
        (
            asked("restartedAt", "soon", &json!({})),
            seen.clone(),
            "\"soon\" is not a time",
        ),
        (
            asked("continueAt", NOON, &json!({})),
            seen.clone(),
            "no deployment waits at a pause hook",
        ),
        (
            asked("stopAt", NOON, &json!({})),
            seen.clone(),
            "no service deployment that could be stopped",
        ),
        (
            asked("rollbackTo", "web:9", &history),
            seen.clone(),
            "not a revision of status.rolloutHistory, which has [web:2]",
        ),
        (
            asked("rollbackTo", "web:2", &history),
            ObservedService {
                rollback_target: Some(false),
                ..seen.clone()
            },
            "web:2 is INACTIVE or gone in ECS",
        ),
    ];
    for (object, observed, words) in rows {
        let said = refused(&object, &observed);
        assert!(said.contains(words), "{said}");
    }
    // It is remembered, and not reported again.
    let (_, after) = after_pass(&asked("restartedAt", "soon", &json!({})), &seen, 0);
    let (_, later) = after_pass(&after, &seen, 60);
    assert_eq!(after.status, later.status);
}

#[test]
fn a_rollback_stays_until_the_spec_changes() {
    let history =
        json!({"rolloutHistory": [{"revision": "web:2", "hash": "", "result": "Succeeded"}]});
    let asked = asked("rollbackTo", "web:2", &history);
    let back = ObservedService {
        rollback_target: Some(true),
        ..observed(Some(described()))
    };
    let write = writes(plan::plan(&asked, &back, &owner())).remove(0);
    assert_eq!(
        write.request,
        json!({"cluster": "shop", "service": "web", "taskDefinition": "web:2"})
    );

    // Sent, and known only from ECS: the reply and the status got lost.
    let older = REVISION.replace(":3", ":2");
    let deployments = |state: &str| {
        json!([{"id": "ecs-svc/2", "status": "PRIMARY", "taskDefinition": older, "rolloutState": state,
        "desiredCount": 2, "runningCount": 2, "pendingCount": 0}])
    };
    let running = |state: &str| {
        observed(Some(with(
            &json!({"taskDefinition": older, "deployments": deployments(state)}),
        )))
    };
    let (_, after) = after_pass(&asked, &running("IN_PROGRESS"), 10);
    assert_eq!(ready(&after), ("Unknown".into(), "Progressing".into()));
    let (plan, after) = after_pass(&after, &running("COMPLETED"), 20);
    assert!(
        matches!(plan, Plan::Stall(obstacle) if obstacle.reason == Reason::RolledBackOnCommand)
    );
    assert_eq!(
        after
            .status
            .as_ref()
            .unwrap()
            .rollback
            .as_ref()
            .unwrap()
            .instead_of,
        "web:3"
    );
    // Another number of tasks is no reason to leave it; a new revision is.
    let mut scaled = after.clone();
    (scaled.spec.desired_count, scaled.metadata.generation) = (Some(5), Some(4));
    let write = writes(plan::plan(&scaled, &running("COMPLETED"), &owner())).remove(0);
    assert_eq!(
        write.request,
        json!({"cluster": "shop", "service": "web", "desiredCount": 5})
    );
    let newer = ObservedService {
        task_definition: Resolved::To(REVISION.replace(":3", ":4")),
        ..running("COMPLETED")
    };
    assert_eq!(
        writes(plan::plan(&after, &newer, &owner()))
            .remove(0)
            .request["taskDefinition"],
        REVISION.replace(":3", ":4")
    );
}

#[test]
fn a_refused_rollback_leaves_the_one_in_force() {
    let history =
        json!({"rolloutHistory": [{"revision": "web:2", "hash": "", "result": "Succeeded"}]});
    let older = REVISION.replace(":3", ":2");
    let back = observed(Some(with(&json!({"taskDefinition": older}))));
    let is_back = |plan: &Plan| matches!(plan, Plan::Stall(obstacle) if obstacle.reason == Reason::RolledBackOnCommand);
    let (plan, mut mistyped) = after_pass(&asked("rollbackTo", "web:2", &history), &back, 0);
    assert!(is_back(&plan));
    mistyped
        .metadata
        .annotations
        .as_mut()
        .unwrap()
        .insert("ecs-operator.dev/rollbackTo".into(), "web:l".into());
    for pass in 1..3 {
        let plan;
        (plan, mistyped) = after_pass(&mistyped, &back, pass);
        assert!(is_back(&plan), "{plan:?}");
        assert!(
            mistyped
                .status
                .as_ref()
                .unwrap()
                .handled_commands
                .as_ref()
                .unwrap()[0]
                .refused
                .is_some()
        );
    }
    // Without the annotation it ends.
    mistyped.metadata.annotations = None;
    assert_eq!(
        writes(plan::plan(&mistyped, &back, &owner()))[0].request["taskDefinition"],
        REVISION
    );
}

#[test]
fn a_mistyped_command_is_refused_by_name() {
    let seen = observed(Some(described()));
    let refused = refused(&asked("restartAt", NOON, &json!({})), &seen);
    assert!(
        refused.starts_with("ecs-operator.dev/restartAt is not a command")
            && refused.contains("restartedAt"),
        "{refused}"
    );
    let (_, after) = after_pass(&asked("reconcileAt", NOON, &json!({})), &seen, 0);
    assert_eq!(after.status.unwrap().handled_commands, None);
}

#[test]
fn pending_changes_name_the_operation() {
    let both = writes(plan::plan(
        &asked("restartedAt", NOON, &json!({})),
        &observed(Some(with(&json!({"desiredCount": 9})))),
        &owner(),
    ));
    let pending = both[0].pending();
    assert!(
        pending.starts_with("UpdateService: service web") && !pending.contains("Restarted"),
        "{pending}"
    );
}

#[test]
fn a_deployment_is_continued_stopped_and_aborted() {
    let deployment = ServiceDeployment {
        arn: "arn:d".into(),
        revision: Some("web:3".into()),
        phase: RolloutPhase::AwaitingApproval,
        hook: Some(HookStatus {
            id: "hook-1".into(),
            expires_at: None,
        }),
        ..ServiceDeployment::default()
    };
    let seen = |phase| {
        let deployment = ServiceDeployment {
            phase,
            ..deployment.clone()
        };
        ObservedService {
            deployment: Some(deployment),
            ..observed(Some(described()))
        }
    };
    let rows = [
        (
            "continueAt",
            ecs::ContinueServiceDeployment,
            json!({"serviceDeploymentArn": "arn:d", "hookId": "hook-1", "action": "CONTINUE"}),
        ),
        (
            "stopAt",
            ecs::StopServiceDeployment,
            json!({"serviceDeploymentArn": "arn:d", "stopType": "ROLLBACK"}),
        ),
        (
            "abortAt",
            ecs::StopServiceDeployment,
            json!({"serviceDeploymentArn": "arn:d", "stopType": "ABORT"}),
        ),
    ];
    for (annotation, operation, request) in rows {
        let asked = asked(annotation, NOON, &json!({}));
        let write = writes(plan::plan(
            &asked,
            &seen(RolloutPhase::AwaitingApproval),
            &owner(),
        ))
        .remove(0);
        assert_eq!((write.operation, write.request), (operation, request));
    }
    // ECS is rolling back already.
    let (_, after) = after_pass(
        &asked("stopAt", NOON, &json!({})),
        &seen(RolloutPhase::RollingBack),
        0,
    );
    assert_eq!(
        after.status.unwrap().handled_commands.unwrap()[0].refused,
        None
    );
    assert!(
        refused(
            &asked("stopAt", NOON, &json!({})),
            &seen(RolloutPhase::Succeeded)
        )
        .contains("no deployment is under way")
    );
}

#[test]
fn a_rollback_survives_a_moment_in_which_nobody_knows_what_the_spec_asks_for() {
    let history =
        json!({"rolloutHistory": [{"revision": "web:2", "hash": "", "result": "Succeeded"}]});
    let asked = asked("rollbackTo", "web:2", &history);
    let back = observed(Some(with(
        &json!({"taskDefinition": REVISION.replace(":3", ":2")}),
    )));
    let (_, rolled_back) = after_pass(&asked, &back, 0);
    let not_yet = || {
        Resolved::NotYet(Obstacle {
            reason: Reason::DependencyNotReady,
            message: "being worked on".into(),
            passing: true,
            all_else_sent: false,
        })
    };
    let waiting = ObservedService {
        task_definition: not_yet(),
        ..back.clone()
    };
    let (_, waiting) = after_pass(&rolled_back, &waiting, 10);
    assert!(
        matches!(plan::plan(&waiting, &back, &owner()), Plan::Stall(_)),
        "web:3 is not sent"
    );
    // Given in such a moment, it waits.
    let early = ObservedService {
        rollback_target: Some(true),
        ..observed(Some(described()))
    };
    let Resolved::NotYet(obstacle) = not_yet() else {
        unreachable!()
    };
    let early = ObservedService {
        task_definition: Resolved::NotYet(obstacle.clone()),
        ..early
    };
    let (plan, after) = after_pass(&asked, &early, 10);
    assert_eq!(
        (plan, after.status.unwrap().handled_commands),
        (Plan::Wait(obstacle), None)
    );
    // The status is lost: what runs shows that it was done.
    let mut lost = rolled_back.clone();
    lost.status = None;
    assert!(
        matches!(after_pass(&lost, &back, 20).0, Plan::Stall(obstacle) if obstacle.reason == Reason::RolledBackOnCommand)
    );
    // Back to what the spec asks for anyway is no rollback.
    let mut same = asked;
    same.metadata
        .annotations
        .as_mut()
        .unwrap()
        .insert("ecs-operator.dev/rollbackTo".into(), "web:3".into());
    assert_eq!(
        after_pass(&same, &observed(Some(described())), 0).0,
        Plan::InSync
    );
}

#[test]
fn a_command_is_for_what_was_there_when_it_was_given() {
    let deployment = ServiceDeployment {
        arn: "arn:d".into(),
        phase: RolloutPhase::AwaitingApproval,
        hook: Some(HookStatus {
            id: "hook-2".into(),
            expires_at: None,
        }),
        ..ServiceDeployment::default()
    };
    let seen = |began: &str| {
        let began = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(began.parse().unwrap());
        let deployment = ServiceDeployment {
            started_at: Some(began),
            ..deployment.clone()
        };
        ObservedService {
            deployment: Some(deployment),
            ..observed(Some(described()))
        }
    };
    let answered = |object: &EcsService, observed: &ObservedService| {
        let (plan, after) = after_pass(object, observed, 0);
        assert!(!matches!(plan, Plan::Write(_)), "{plan:?}");
        after.status.unwrap().handled_commands.unwrap()[0]
            .refused
            .clone()
    };
    // Older than the deployment.
    for annotation in ["stopAt", "abortAt", "continueAt"] {
        assert_eq!(
            answered(
                &asked(annotation, NOON, &json!({})),
                &seen("2026-06-02T00:00:00Z")
            ),
            None,
            "{annotation}"
        );
    }
    // One approval opens one gate: the answer to it got lost, and the next hook waits already.
    let first = json!({"rollout": {"revision": "web:3", "hash": "", "phase": "AwaitingApproval", "hook": {"id": "hook-1"}}});
    assert_eq!(
        answered(
            &asked("continueAt", NOON, &first),
            &seen("2026-05-01T00:00:00Z")
        ),
        None
    );
    assert!(matches!(
        plan::plan(
            &asked("continueAt", NOON, &json!({})),
            &seen("2026-05-01T00:00:00Z"),
            &owner()
        ),
        Plan::Write(_)
    ));
    // Without a service the command waits.
    let (plan, after) = after_pass(&asked("stopAt", NOON, &json!({})), &observed(None), 0);
    assert!(matches!(plan, Plan::Write(writes) if writes[0].operation == ecs::CreateService));
    assert_eq!(after.status.unwrap().handled_commands, None);
}
