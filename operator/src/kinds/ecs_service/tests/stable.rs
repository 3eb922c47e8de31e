//! Tasks that fail although the rollout has completed.

use super::rollout::{deploying, deployment};
use super::*;
use crate::kinds::ecs_service::tasks::troubled;
use crate::reconcile::Kind;

const COMPLETED: &str = "(service web) (deployment ecs-svc/1) deployment completed.";

fn event(id: &str, at: i64, message: &str) -> Value {
    json!({"id": id, "createdAt": at, "message": message})
}

/// A look at a deployment that ECS completed at 105, with so many of two tasks running, these
/// events, and tasks that stopped then.
fn look(running: i32, events: &[Value], stopped: &[i64]) -> ObservedService {
    let mut seen = deploying(&[deployment(1, 3, "COMPLETED", [2, running, 2 - running])]);
    let service = seen.service.as_mut().unwrap();
    let mut shown = (*service.json).clone();
    let all: Vec<_> = events
        .iter()
        .cloned()
        .chain([event("done", 105, COMPLETED)])
        .collect();
    shown["events"] = json!(all);
    service.json = Arc::new(shown);
    let task = |at: &i64| {
        json!({"taskArn": format!("arn:aws:ecs:eu-central-1:1:task/shop/t{at}"), "stopCode": "EssentialContainerExited",
            "stoppedReason": "Essential container in task exited", "stoppedAt": at, "taskDefinitionArn": REVISION,
            "containers": [{"name": "web", "exitCode": 3}]})
    };
    let stopped = (!stopped.is_empty()).then(|| troubled(&stopped.iter().map(task).collect()));
    ObservedService { stopped, ..seen }
}

fn started(policy: &Value) -> EcsService {
    let mut spec = spec();
    spec["rollout"] = policy.clone();
    after_pass(
        &object(&spec, &json!({})),
        &deploying(&[deployment(1, 3, "IN_PROGRESS", [2, 0, 2])]),
        101,
    )
    .1
}

fn message(object: &EcsService) -> &str {
    &object.status.as_ref().unwrap().common.conditions[0].message
}

fn next_look(object: &EcsService, now: i64) -> Option<u64> {
    let now = Timestamp::from_second(now).unwrap();
    object
        .requeue_after(None, object.status.as_ref().unwrap(), now)
        .map(|wait| wait.as_secs())
}

#[test]
fn a_service_whose_tasks_fail_one_after_the_other_is_not_ready_and_says_why_at_once() {
    let mut object = started(&json!({}));
    for (at, running, stopped, is_ready, reason) in [
        (110, 2, 108, "Unknown", "Progressing"),
        (120, 1, 118, "Unknown", "Progressing"),
        (130, 2, 128, "Unknown", "Progressing"),
        (160, 2, 158, "Unknown", "Progressing"),
        (168, 2, 167, "Unknown", "Progressing"),
        (180, 1, 179, "False", "Unavailable"),
        (190, 2, 189, "False", "Unavailable"),
    ] {
        (_, object) = after_pass(&object, &look(running, &[], &[stopped]), at);
        assert_eq!(
            ready(&object),
            (is_ready.into(), reason.into()),
            "{at}: {}",
            message(&object)
        );
        assert!(
            message(&object).contains("Task t108 stopped: Essential container"),
            "{at}: {}",
            message(&object)
        );
        assert!(
            object
                .status
                .as_ref()
                .unwrap()
                .common
                .conditions
                .iter()
                .any(|condition| condition.type_ == "Reconciling")
        );
    }
    assert_eq!(
        object
            .status
            .as_ref()
            .unwrap()
            .unavailable_since
            .as_ref()
            .unwrap()
            .0
            .as_second(),
        108
    );
    // None fails any more.
    let quiet = after_pass(&object, &look(2, &[], &[]), 248).1;
    assert_eq!(
        (ready(&quiet).0.as_str(), next_look(&quiet, 248)),
        ("False", Some(1))
    );
    assert_eq!(quiet.status, object.status, "nothing moves by itself");
    let well = after_pass(&quiet, &look(2, &[], &[]), 249).1;
    assert_eq!(
        (
            ready(&well).0.as_str(),
            &well.status.as_ref().unwrap().unavailable_since
        ),
        ("True", &None)
    );
    assert_eq!(
        after_pass(&well, &look(2, &[], &[]), 9000).1.status,
        well.status
    );
}

#[test]
fn a_new_rollout_is_ready_when_its_tasks_have_run_long_enough() {
    let policy = json!({"minReadySeconds": 90});
    let mut quiet = started(&policy);
    for (at, is_ready, next) in [
        (110, "Unknown", Some(85)),
        (194, "Unknown", Some(1)),
        (195, "True", Some(30)),
        (225, "True", None),
    ] {
        (_, quiet) = after_pass(&quiet, &look(2, &[], &[]), at);
        assert_eq!(
            (ready(&quiet).0.as_str(), next_look(&quiet, at)),
            (is_ready, next),
            "{at}: {}",
            message(&quiet)
        );
    }
    // A failure restarts the time, and a single one does not make the service Unavailable.
    let mut failed = started(&policy);
    for (at, stopped, is_ready) in [
        (110, &[][..], "Unknown"),
        (152, &[150], "Unknown"),
        (211, &[], "Unknown"),
        (239, &[], "Unknown"),
        (240, &[], "True"),
    ] {
        (_, failed) = after_pass(&failed, &look(2, &[], stopped), at);
        assert_eq!(ready(&failed).0, is_ready, "{at}: {}", message(&failed));
    }
    assert!(started(&policy).status.unwrap().task_failures.is_none());
    // What failed before the rollout had completed is its own affair.
    assert_eq!(
        ready(&after_pass(&started(&json!({})), &look(2, &[], &[104]), 110).1).0,
        "True"
    );
}

#[test]
fn a_service_that_has_run_for_a_while_may_lose_one_task_and_no_second_one() {
    let (_, mut object) = after_pass(&started(&json!({})), &look(2, &[], &[]), 110);
    for (at, running, stopped, is_ready) in [
        (1000, 1, &[999][..], "Unknown"),
        (1010, 2, &[], "True"),
        // Another one, later, is one of its own.
        (2000, 2, &[1999], "True"),
        (2020, 2, &[2019], "Unknown"),
        (2078, 2, &[], "Unknown"),
        (2079, 2, &[], "True"),
    ] {
        (_, object) = after_pass(&object, &look(running, &[], stopped), at);
        assert_eq!(ready(&object).0, is_ready, "{at}: {}", message(&object));
    }
    let told = object
        .status
        .as_ref()
        .unwrap()
        .stopped_tasks
        .as_ref()
        .unwrap();
    assert_eq!(
        told.iter()
            .map(|task| task.task_id.as_str())
            .collect::<Vec<_>>(),
        ["t1999"],
        "what failed anew"
    );
}

#[test]
fn tasks_that_ecs_starts_while_nothing_changes_have_others_looked_for_once() {
    let starts = |at: i64| {
        event(
            &at.to_string(),
            at,
            "(service web) has started 1 tasks: (task abc).",
        )
    };
    let is_wanted = |object: &EcsService, seen: &ObservedService| {
        observe_rollout::wanted(object, seen, seen.service.as_ref().expect("a service")).is_some()
    };
    let begun = started(&json!({}));
    assert!(
        !is_wanted(&begun, &look(2, &[starts(103)], &[])),
        "the rollout has started it"
    );
    assert!(
        is_wanted(&begun, &look(2, &[starts(107)], &[])),
        "at the very first look after it"
    );
    let (_, known) = after_pass(&begun, &look(2, &[], &[]), 110);
    let news = look(2, &[starts(111)], &[]);
    assert!(is_wanted(&known, &news));
    let (_, told) = after_pass(&known, &news, 120);
    assert!(!is_wanted(&told, &news), "once");
    let steady = event("8", 130, "(service web) has reached a steady state.");
    assert!(!is_wanted(&told, &look(2, &[steady, starts(111)], &[])));
    let mut scaled = news.clone();
    scaled.service.as_mut().unwrap().desired_count = 3;
    assert!(
        !is_wanted(&known, &scaled),
        "another number of tasks is wanted"
    );
    let mut rolling = news;
    rolling.service.as_mut().unwrap().deployments[0].rollout_state = Some("IN_PROGRESS".into());
    assert!(!is_wanted(&known, &rolling));
}

#[test]
fn a_service_is_looked_at_often_for_a_while_after_a_rollout() {
    let (_, object) = after_pass(&started(&json!({})), &look(2, &[], &[]), 110);
    assert_eq!(
        (ready(&object).0.as_str(), next_look(&object, 110)),
        ("True", Some(115))
    );
    let settles = |at: i64| {
        is_rolling(
            &object,
            &look(2, &[], &[]),
            Timestamp::from_second(at).unwrap(),
        )
    };
    assert_eq!(
        [settles(110), settles(224), settles(225)],
        [true, true, false]
    );
    let (_, later) = after_pass(&object, &look(2, &[], &[]), 225);
    assert_eq!(
        (&later.status, next_look(&later, 225)),
        (&object.status, None)
    );
}
