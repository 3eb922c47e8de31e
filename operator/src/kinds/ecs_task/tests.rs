//! Runs, pass by pass: what is sent, and what the status says.

use std::collections::BTreeMap;
use std::sync::Arc;

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::EcsTask;
use ecs_operator_crds::v1beta1::task::{AttemptResult, TaskPhase};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::observed::ObservedTask;
use super::plan::plan;
use super::progress::told;
use super::status::{events, requeue_after, until_deadline};
use super::step::run_hash;
use crate::aws::{AwsError, ErrorKind, ecs};
use crate::reconcile::Kind;
use crate::reconcile::kind::After;
use crate::reconcile::outcome::Outcome;
use crate::reconcile::plan::{Plan, Write};
use crate::reconcile::references::{Resolved, not_ready};
use crate::reconcile::report::status_after;
use crate::testkit::{Fixture, operations, owner, write};

const DEFINITION: &str = "arn:aws:ecs:eu-central-1:111122223333:task-definition/report:3";

/// An object of a spec that names task definition and cluster, with these members besides.
fn object(members: &Value) -> EcsTask {
    let mut spec = json!({"cluster": "shop", "taskDefinitionRef": {"name": "report"}});
    for (name, value) in members.as_object().into_iter().flatten() {
        spec[name] = value.clone();
    }
    EcsTask::test("report", &spec)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
}

fn arn(id: &str) -> String {
    format!("arn:aws:ecs:eu-central-1:111122223333:task/shop/{id}")
}

/// A task as DescribeTasks shows it.
fn task(id: &str, changes: &Value) -> (String, Arc<Value>) {
    let mut task = json!({"taskArn": arn(id), "lastStatus": "RUNNING", "desiredStatus": "RUNNING", "taskDefinitionArn": DEFINITION,
        "containers": [{"name": "app"}]});
    for (name, value) in changes.as_object().into_iter().flatten() {
        task[name] = value.clone();
    }
    (arn(id), Arc::new(task))
}

fn exited(id: &str, code: i64, seconds: i64) -> (String, Arc<Value>) {
    let containers = json!([{"name": "app", "exitCode": code}]);
    task(
        id,
        &json!({"lastStatus": "STOPPED", "desiredStatus": "STOPPED", "stopCode": "EssentialContainerExited",
            "stoppedReason": "Essential container in task exited", "stoppedAt": at(seconds).as_second(), "containers": containers}),
    )
}

fn stopped(id: &str, code: &str, reason: &str, seconds: i64) -> (String, Arc<Value>) {
    task(
        id,
        &json!({"lastStatus": "STOPPED", "desiredStatus": "STOPPED", "stopCode": code, "stoppedReason": reason,
            "stoppedAt": at(seconds).as_second(), "containers": []}),
    )
}

/// What a look at this time finds.
fn look(seconds: i64, tasks: impl IntoIterator<Item = (String, Arc<Value>)>) -> ObservedTask {
    let containers = json!([{"name": "app", "essential": true}]);
    ObservedTask {
        at: Some(Instant::now()),
        now: at(seconds),
        cluster: Some("shop".to_owned()),
        cluster_obstacle: None,
        task_definition: Resolved::To(DEFINITION.to_owned()),
        is_registering: false,
        tasks: tasks.into_iter().collect(),
        forgotten: Vec::new(),
        containers: BTreeMap::from([(DEFINITION.to_owned(), Arc::new(containers))]),
        may_be_there: false,
        is_inherited: false,
        is_recorded: true,
        refusal: None,
    }
}

impl ObservedTask {
    /// The same after a call that has started these tasks, and found no room for more.
    fn with_refusal(self, tasks: impl IntoIterator<Item = (String, Arc<Value>)>) -> Self {
        Self {
            tasks: tasks.into_iter().collect(),
            refusal: Some("RESOURCE:MEMORY".to_owned()),
            ..self
        }
    }
}

fn decided(object: &EcsTask, observed: &ObservedTask) -> Plan {
    plan(object, observed, &owner("report"))
}

/// The object after a pass that sent nothing.
fn pass(object: EcsTask, observed: &ObservedTask) -> EcsTask {
    let outcome = match decided(&object, observed) {
        Plan::Write(writes) => {
            assert_eq!(writes, [], "it sends something");
            Outcome::Unfinished
        }
        plan => plan.into(),
    };
    after(object, observed, &outcome, &[])
}

/// The object after a pass that sent these writes.
fn after(
    object: EcsTask,
    observed: &ObservedTask,
    outcome: &Outcome,
    accepted: &[Write],
) -> EcsTask {
    let after = After {
        observed: Some(observed),
        outcome,
        accepted,
        unanswered: None,
        now: observed.now,
    };
    let status = status_after(&object, &after);
    EcsTask {
        status: Some(status),
        ..object
    }
}

/// The object once its first attempt is in the status.
fn begun(members: &Value) -> EcsTask {
    pass(object(members), &look(0, []))
}

/// The condition Ready: status and reason, and the message.
fn ready(object: &EcsTask) -> (String, String) {
    let status = object.status.as_ref().expect("a status");
    let ready = crate::k8s::conditions::ready(&status.common.conditions).expect("a condition");
    (
        format!("{} {}", ready.status, ready.reason),
        ready.message.clone(),
    )
}

fn conditions(object: &EcsTask) -> Vec<String> {
    let conditions = &object.status.as_ref().expect("a status").common.conditions;
    let told = conditions
        .iter()
        .map(|it| format!("{}={} {}", it.type_, it.status, it.reason));
    told.collect()
}

#[test]
fn the_status_has_the_attempt_before_a_task_is_started() {
    let object =
        object(&json!({"overrides": {"cpu": "512"}, "tags": [{"key": "team", "value": "a"}]}));
    assert_eq!(decided(&object, &look(0, [])), Plan::Write(Vec::new()));
    let object = pass(object, &look(0, []));
    let status = object.status.clone().expect("a status");
    let run = status.run.expect("a run");
    assert_eq!(
        (run.number, run.revision.as_deref(), status.phase),
        (1, Some("report:3"), Some(TaskPhase::Pending))
    );
    let sent = write(decided(&object, &look(1, [])));
    assert_eq!(sent.operation, ecs::RunTask);
    assert_eq!(sent.note, "Started a task of report:3 in cluster shop");
    let mut request = sent.request;
    assert_eq!(request["tags"].as_array().map(Vec::len), Some(2));
    request["tags"] = Value::Null;
    assert_eq!(
        request,
        json!({"cluster": "shop", "taskDefinition": DEFINITION, "count": 1, "overrides": {"cpu": "512"},
            "startedBy": "ecs-operator/u-1/1-1", "clientToken": "u-1.1.1.0.0", "tags": null})
    );
}

#[test]
fn a_call_without_a_reply_is_repeated_with_its_token_and_a_refused_one_is_not() {
    let object = begun(&json!({}));
    let token = |object: &EcsTask, seconds| {
        let sent = write(decided(object, &look(seconds, [])));
        sent.request["clientToken"].as_str().map(str::to_owned)
    };
    let first = token(&object, 1);
    assert_eq!(token(&object, 60), first, "it got no reply");
    let refused = ObservedTask {
        refusal: Some("RESOURCE:MEMORY".to_owned()),
        ..look(61, [])
    };
    let Plan::Wait(obstacle) = decided(&object, &refused) else {
        panic!("it waits");
    };
    assert_eq!(obstacle.reason, Reason::CapacityUnavailable);
    assert_eq!(
        obstacle.message,
        "ECS cannot start 1 more now: RESOURCE:MEMORY; it is tried again"
    );
    let object = after(object, &refused, &Outcome::Waiting(obstacle), &[]);
    assert_eq!(ready(&object).0, "False CapacityUnavailable");
    assert_ne!(
        token(&object, 70),
        first,
        "ECS may keep the answer with the token"
    );
}

#[test]
fn a_run_succeeds_when_its_task_ends_with_zero() {
    let object = begun(&json!({}));
    let object = pass(object, &look(2, [task("a", &json!({}))]));
    assert_eq!(
        ready(&object),
        (
            "Unknown Progressing".to_owned(),
            "Task a is RUNNING".to_owned()
        )
    );
    let before = object.status.clone().expect("a status");
    assert_eq!(
        (before.phase, before.active),
        (Some(TaskPhase::Running), Some(1))
    );
    let object = pass(object, &look(75, [exited("a", 0, 72)]));
    assert_eq!(
        conditions(&object),
        ["Ready=True Succeeded", "Complete=True Completed"]
    );
    assert_eq!(ready(&object).1, "The run succeeded after 1m12s");
    let status = object.status.clone().expect("a status");
    assert_eq!(
        (
            status.phase,
            status.exit_code,
            status.succeeded,
            status.failed,
            status.active
        ),
        (
            Some(TaskPhase::Succeeded),
            Some(0),
            Some(1),
            Some(0),
            Some(0)
        )
    );
    let told: Vec<_> = events(&before, &status)
        .into_iter()
        .map(|event| event.reason)
        .collect();
    assert_eq!(told, ["Completed"]);
    // ECS forgets the task, and nothing runs again.
    let later = ObservedTask {
        at: None,
        ..look(9000, [])
    };
    assert_eq!(decided(&object, &later), Plan::InSync);
    let again = pass(object.clone(), &later);
    assert_eq!(again.status, object.status);
    assert_eq!(requeue_after(Some(&later), &status, at(9000)), None);
    assert!(object.references().is_empty(), "it needs nothing any more");
}

#[test]
fn a_failed_run_says_why() {
    let object = begun(&json!({}));
    let object = pass(object, &look(5, [exited("a", 3, 4)]));
    assert_eq!(
        conditions(&object),
        [
            "Ready=False TaskExited",
            "Stalled=True TaskExited",
            "Failed=True BackoffLimitExceeded"
        ]
    );
    assert_eq!(
        ready(&object).1,
        "The run failed after 4s: Task a stopped: Essential container in task exited (container app, exit code 3)"
    );
    let status = object.status.clone().expect("a status");
    assert_eq!((status.exit_code, status.failed), (Some(3), Some(1)));
    assert_eq!(decided(&object, &look(600, [])), Plan::InSync);
}

#[test]
fn a_failed_attempt_is_made_again_after_a_longer_wait_each_time() {
    let mut object = begun(&json!({"backoffLimit": 2}));
    let mut now = 0;
    for (number, wait) in [(1, 10), (2, 20)] {
        let before = object.status.clone().expect("a status");
        object = pass(object, &look(now + 5, [exited("a", 1, now + 5)]));
        let status = object.status.clone().expect("a status");
        assert_eq!(ready(&object).0, "Unknown Progressing");
        assert!(
            ready(&object).1.starts_with(&format!(
                "Attempt {number} failed (TaskExited): Task a stopped"
            )),
            "{:?}",
            ready(&object)
        );
        assert_eq!(
            requeue_after(None, &status, at(now + 5)),
            Some(std::time::Duration::from_secs(wait))
        );
        let told = events(&before, &status);
        assert!(told.len() == 1 && told[0].warning && told[0].reason == "TaskExited");
        now += 5 + i64::try_from(wait).expect("small");
        assert_eq!(
            decided(&object, &look(now - 1, [])),
            Plan::InSync,
            "not yet"
        );
        object = pass(object, &look(now, []));
        let sent = write(decided(&object, &look(now + 1, [])));
        assert_eq!(
            sent.request["startedBy"],
            format!("ecs-operator/u-1/1-{}", number + 1)
        );
        assert!(
            sent.note.ends_with(&format!("(attempt {})", number + 1)),
            "{}",
            sent.note
        );
    }
    object = pass(object, &look(now + 5, [exited("c", 7, now + 4)]));
    assert!(conditions(&object).contains(&"Failed=True BackoffLimitExceeded".to_owned()));
    let status = object.status.clone().expect("a status");
    assert_eq!((status.failed, status.exit_code), (Some(3), Some(7)));
    assert!(
        ready(&object).1.contains("and 3 attempts"),
        "{:?}",
        ready(&object)
    );
}

#[test]
fn what_is_not_counted_is_tried_again_and_not_for_ever() {
    let mut object = begun(&json!({}));
    let mut now = 0;
    for _ in 0..10 {
        let lost = stopped(
            "a",
            "SpotInterruption",
            "Your Spot Task was interrupted.",
            now + 5,
        );
        object = pass(object, &look(now + 5, [lost]));
        assert_eq!(ready(&object).0, "Unknown Progressing");
        now += 1000;
        object = pass(object, &look(now, []));
    }
    let lost = stopped(
        "a",
        "SpotInterruption",
        "Your Spot Task was interrupted.",
        now + 5,
    );
    object = pass(object, &look(now + 5, [lost]));
    assert_eq!(ready(&object).0, "False TaskSpotInterrupted");
    let counted = begun(&json!({"failurePolicy": {"notCounted": []}}));
    let lost = stopped(
        "a",
        "SpotInterruption",
        "Your Spot Task was interrupted.",
        5,
    );
    assert_eq!(
        ready(&pass(counted, &look(5, [lost]))).0,
        "False TaskSpotInterrupted"
    );
}

#[test]
fn an_exit_code_can_end_the_run() {
    let spec = json!({"backoffLimit": 5, "failurePolicy": {"failOnExitCodes": [42]}});
    let object = pass(begun(&spec), &look(5, [exited("a", 42, 4)]));
    assert!(conditions(&object).contains(&"Failed=True FailurePolicy".to_owned()));
    let object = pass(begun(&spec), &look(5, [exited("a", 41, 4)]));
    assert_eq!(ready(&object).0, "Unknown Progressing");
}

#[test]
fn a_run_that_takes_too_long_is_stopped_and_has_failed() {
    let object = begun(&json!({"activeDeadlineSeconds": 60, "backoffLimit": 3}));
    let object = pass(object, &look(5, [task("a", &json!({}))]));
    let status = object.status.clone().expect("a status");
    assert_eq!(
        until_deadline(&object, None, &status, at(5)),
        Some(std::time::Duration::from_secs(55))
    );
    let sent = write(decided(&object, &look(60, [task("a", &json!({}))])));
    assert_eq!(sent.operation, ecs::StopTask);
    assert_eq!(
        sent.request,
        json!({"cluster": "shop", "task": arn("a"),
            "reason": "activeDeadlineSeconds (60 s) of EcsTask default/report have passed"})
    );
    let stopping = task("a", &json!({"desiredStatus": "STOPPED"}));
    assert_eq!(decided(&object, &look(61, [stopping])), Plan::InSync);
    let end = stopped(
        "a",
        "UserInitiated",
        "activeDeadlineSeconds (60 s) of …",
        65,
    );
    let object = pass(object, &look(66, [end]));
    assert!(conditions(&object).contains(&"Failed=True DeadlineExceeded".to_owned()));
    assert_eq!(ready(&object).0, "False DeadlineExceeded");
}

#[test]
fn a_run_that_finds_no_room_in_time_has_failed() {
    let object = begun(&json!({"activeDeadlineSeconds": 60}));
    let object = pass(object, &look(61, []));
    assert_eq!(ready(&object).0, "False DeadlineExceeded");
    assert!(
        ready(&object).1.ends_with("ECS started no task in time"),
        "{:?}",
        ready(&object)
    );
    let object = begun(&json!({"activeDeadlineSeconds": 60}));
    let unknown = ObservedTask {
        may_be_there: true,
        ..look(61, [])
    };
    let object = pass(object, &unknown);
    assert_eq!(ready(&object).0, "Unknown Progressing", "a task may run");
}

#[test]
fn several_tasks_succeed_together_and_those_that_found_no_room_are_started_later() {
    let object = begun(&json!({"count": 3}));
    let sent = write(decided(&object, &look(1, [])));
    assert_eq!(
        (&sent.request["count"], &*sent.note),
        (&json!(3), "Started 3 tasks of report:3 in cluster shop")
    );
    let two = [task("a", &json!({})), exited("b", 0, 4)];
    let refused = ObservedTask {
        refusal: Some("RESOURCE:MEMORY".to_owned()),
        ..look(5, two.clone())
    };
    let Plan::Wait(obstacle) = decided(&object, &refused) else {
        panic!("it waits");
    };
    assert!(
        obstacle.message.starts_with("2 of 3 tasks started; "),
        "{}",
        obstacle.message
    );
    let object = after(object, &refused, &Outcome::Waiting(obstacle), &[sent]);
    let sent = write(decided(&object, &look(15, two)));
    assert_eq!(
        (&sent.request["count"], &sent.request["clientToken"]),
        (&json!(1), &json!("u-1.1.1.1.2"))
    );
    let all = [exited("a", 0, 20), exited("b", 0, 4), exited("c", 0, 30)];
    let object = pass(object, &look(31, all));
    assert_eq!(ready(&object).1, "The run succeeded after 30s");
    // Where one has failed, no further one starts.
    let object = begun(&json!({"count": 3}));
    let failed = [exited("a", 1, 4), task("b", &json!({}))];
    assert_eq!(decided(&object, &look(5, failed)), Plan::InSync);
}

#[test]
fn a_task_that_ecs_forgot_has_an_unknown_result() {
    let object = begun(&json!({"backoffLimit": 5}));
    let object = pass(object, &look(5, [task("a", &json!({}))]));
    let forgotten = ObservedTask {
        forgotten: vec![arn("a")],
        ..look(8000, [])
    };
    let object = pass(object, &forgotten);
    assert_eq!(ready(&object).0, "False ResultUnknown");
    let status = object.status.clone().expect("a status");
    let attempt = &status.attempts.as_ref().expect("attempts")[0];
    assert_eq!(attempt.result, Some(AttemptResult::Unknown));
    assert_eq!(
        decided(&object, &look(9000, [])),
        Plan::InSync,
        "it is not run again"
    );
}

#[test]
fn a_task_that_ecs_does_not_show_yet_is_not_started_again() {
    let object = begun(&json!({"runPolicy": "OnChange"}));
    let object = pass(object, &look(5, [task("a", &json!({}))]));
    let unseen = ObservedTask {
        task_definition: Resolved::To(DEFINITION.replace(":3", ":4")),
        ..look(6, [])
    };
    assert_eq!(decided(&object, &unseen), Plan::InSync);
    let leaving = object.deleting();
    assert!(matches!(decided(&leaving, &unseen), Plan::Wait(_)));
}

#[test]
fn a_call_whose_token_ecs_has_forgotten_is_not_repeated() {
    let day = 24 * 3600;
    let object = begun(&json!({}));
    assert_eq!(
        operations(&decided(&object, &look(day, []))),
        [ecs::RunTask],
        "this process has sent no call without an answer"
    );
    let unanswered = AwsError::new(ecs::RunTask, ErrorKind::Server, "no reply");
    let lost = unsent(object, 5, unanswered);
    assert_eq!(
        operations(&decided(&lost, &look(day - 7200, []))),
        [ecs::RunTask]
    );
    assert_eq!(ready(&pass(lost, &look(day, []))).0, "False ResultUnknown");
    let inherited = ObservedTask {
        is_inherited: true,
        ..look(day, [])
    };
    let object = pass(begun(&json!({})), &inherited);
    assert_eq!(ready(&object).0, "False ResultUnknown");
    // What AWS has refused a while ago has started nothing.
    let denied = AwsError::new(ecs::RunTask, ErrorKind::AccessDenied, "denied");
    let refused = unsent(begun(&json!({})), day - 3600, denied);
    let inherited = ObservedTask {
        is_inherited: true,
        ..look(day, [])
    };
    assert_eq!(operations(&decided(&refused, &inherited)), [ecs::RunTask]);
}

/// The object after a pass whose call of RunTask ended with this error.
fn unsent(object: EcsTask, seconds: i64, error: AwsError) -> EcsTask {
    let observed = look(seconds, []);
    let sent = write(decided(&object, &observed));
    let is_unanswered = !error.made_nothing();
    let after = After {
        observed: Some(&observed),
        outcome: &Outcome::Failed(error),
        accepted: &[],
        unanswered: Some(&sent).filter(|_| is_unanswered),
        now: observed.now,
    };
    let status = status_after(&object, &after);
    EcsTask {
        status: Some(status),
        ..object
    }
}

#[test]
fn no_task_is_started_before_the_api_server_has_the_attempt() {
    let object = begun(&json!({}));
    let unknown = ObservedTask {
        is_recorded: false,
        ..look(1, [])
    };
    assert_eq!(decided(&object, &unknown), Plan::Write(Vec::new()));
}

/// A list may show a part of what a call without an answer has started.
#[test]
fn a_call_without_an_answer_is_repeated_as_it_was() {
    let object = begun(&json!({"count": 3}));
    let first = write(decided(&object, &look(1, [])));
    let lost = AwsError::new(ecs::RunTask, ErrorKind::Server, "no reply");
    let object = unsent(object, 1, lost);
    let part = [task("a", &json!({}))];
    assert_eq!(write(decided(&object, &look(2, part.clone()))), first);
    // Also when the status has seen the part.
    let turn = Outcome::Queued(Instant::now());
    let object = after(object, &look(3, part.clone()), &turn, &[]);
    assert_eq!(write(decided(&object, &look(4, part))), first);
}

#[test]
fn a_task_that_has_stopped_keeps_its_result_when_ecs_forgets_it() {
    let object = begun(&json!({"count": 2, "backoffLimit": 1}));
    let both = [exited("a", 3, 4), task("b", &json!({}))];
    let object = pass(object, &look(5, both));
    assert_eq!(ready(&object).0, "Unknown Progressing");
    let object = pass(object, &look(9000, [exited("b", 0, 8999)]));
    let status = object.status.as_ref().expect("a status");
    let attempt = &status.attempts.as_ref().expect("attempts")[0];
    assert_eq!(attempt.reason.as_deref(), Some("TaskExited"));
    assert_eq!(status.exit_code, Some(3));
}

#[test]
fn an_edit_during_a_run_starts_nothing_in_it() {
    let object = begun(&json!({"runPolicy": "OnChange"}));
    let object = pass(object, &look(5, [task("a", &json!({}))]));
    let edited = object.with(&json!({"spec": {"count": 3}, "metadata": {"generation": 2}}));
    assert_eq!(
        decided(&edited, &look(6, [task("a", &json!({}))])),
        Plan::InSync
    );
    let object = pass(edited, &look(9, [exited("a", 0, 8)]));
    let before = object.status.clone().expect("a status");
    assert_eq!(before.phase, Some(TaskPhase::Succeeded));
    assert!(
        !conditions(&object)
            .iter()
            .any(|it| it.starts_with("Complete")),
        "it is not that of the new spec: {:?}",
        conditions(&object)
    );
    let object = pass(object, &look(10, []));
    let sent = write(decided(&object, &look(11, [])));
    assert_eq!(
        (&sent.request["count"], &sent.request["startedBy"]),
        (&json!(3), &json!("ecs-operator/u-1/2-1"))
    );
    // An edit of what had no room yet is no part of the run either.
    let object = begun(&json!({"runPolicy": "OnChange", "count": 2}));
    let object = pass(object, &look(5, []).with_refusal([task("a", &json!({}))]));
    let edited = object.with(&json!({"spec": {"overrides": {"cpu": "512"}}}));
    assert_eq!(
        decided(&edited, &look(6, [task("a", &json!({}))])),
        Plan::InSync
    );
}

#[test]
fn a_time_that_has_passed_is_waited_for_no_more() {
    let object = begun(&json!({"activeDeadlineSeconds": 60}));
    let stopping = look(61, [task("a", &json!({"desiredStatus": "STOPPED"}))]);
    let object = pass(object, &stopping);
    let status = object.status.clone().expect("a status");
    assert_eq!(
        until_deadline(&object, Some(&stopping), &status, at(61)),
        None
    );
    assert_eq!(requeue_after(Some(&stopping), &status, at(61)), None);
    // It may come while the pass is under way.
    let before = look(59, []);
    assert_eq!(
        until_deadline(&object, Some(&before), &status, at(61)),
        Some(std::time::Duration::ZERO)
    );
    // The same for an attempt that is due while the object is suspended.
    let object = pass(
        begun(&json!({"backoffLimit": 1})),
        &look(5, [exited("a", 1, 4)]),
    );
    let status = object.status.clone().expect("a status");
    assert_eq!(requeue_after(Some(&look(500, [])), &status, at(500)), None);
}

#[test]
fn a_run_with_a_part_of_its_tasks_fails_at_its_deadline() {
    let object = begun(&json!({"activeDeadlineSeconds": 60, "count": 2}));
    let object = pass(object, &look(30, []).with_refusal([exited("a", 0, 20)]));
    assert_eq!(ready(&object).0, "False CapacityUnavailable");
    let object = pass(object, &look(60, []));
    assert_eq!(ready(&object).0, "False DeadlineExceeded");
}

#[test]
fn all_failures_of_an_attempt_count() {
    let spot = |id| stopped(id, "SpotInterruption", "Your Spot Task was interrupted.", 5);
    // One that counts, beside one that does not.
    let both = [spot("a"), exited("b", 1, 5)];
    let object = pass(begun(&json!({"count": 2})), &look(6, both));
    assert_eq!(ready(&object).0, "False TaskExited");
    let policy = json!({"count": 2, "backoffLimit": 3, "failurePolicy": {"failOnExitCodes": [42]}});
    let both = [exited("a", 1, 5), exited("b", 42, 5)];
    let object = pass(begun(&policy), &look(6, both));
    assert!(conditions(&object).contains(&"Failed=True FailurePolicy".to_owned()));
}

#[test]
fn a_task_is_judged_once_its_definition_is_known() {
    let object = begun(&json!({}));
    let unknown = ObservedTask {
        containers: BTreeMap::new(),
        ..look(5, [exited("a", 1, 4)])
    };
    let object = pass(object, &unknown);
    assert_eq!(ready(&object).0, "Unknown Progressing");
    let status = object.status.clone().expect("a status");
    assert!(requeue_after(Some(&unknown), &status, at(5)).is_some());
    let known = look(8, [exited("a", 1, 4)]);
    let object = pass(object, &known);
    assert_eq!(ready(&object).0, "False TaskExited");
    // A read that fails forgets nothing of what was known while the task ran.
    let sidecar = |app: Value, log: Value| json!({"containers": [{"name": "app", "exitCode": app}, {"name": "log", "exitCode": log}]});
    let object = begun(&json!({}));
    let object = pass(
        object,
        &look(5, [task("a", &sidecar(json!(null), json!(null)))]),
    );
    let mut stop = sidecar(json!(0), json!(137));
    for (member, value) in [
        ("lastStatus", "STOPPED"),
        ("stopCode", "EssentialContainerExited"),
    ] {
        stop[member] = value.into();
    }
    let unread = ObservedTask {
        containers: BTreeMap::new(),
        ..look(9, [task("a", &stop)])
    };
    assert_eq!(ready(&pass(object, &unread)).0, "True Succeeded");
    // It cannot be read at all, so all containers count.
    let denied = ObservedTask {
        containers: BTreeMap::from([(DEFINITION.to_owned(), Arc::default())]),
        ..look(6, [exited("a", 1, 4)])
    };
    assert_eq!(
        ready(&pass(begun(&json!({})), &denied)).0,
        "False TaskExited"
    );
}

#[test]
fn a_run_is_made_again_on_a_change_only_where_the_policy_says_so() {
    let done = |policy: &str| {
        let object = begun(&json!({"runPolicy": policy}));
        pass(object, &look(5, [exited("a", 0, 4)]))
    };
    let newer = ObservedTask {
        task_definition: Resolved::To(DEFINITION.replace(":3", ":4")),
        ..look(100, [])
    };
    assert_eq!(decided(&done("Once"), &newer), Plan::InSync);
    let object = done("OnChange");
    assert!(
        !object.references().is_empty(),
        "a new revision triggers it"
    );
    assert_eq!(
        decided(&object, &look(100, [])),
        Plan::InSync,
        "nothing has changed"
    );
    let unready = ObservedTask {
        task_definition: Resolved::NotYet(not_ready(
            "EcsTaskDefinition report is not ready".to_owned(),
            true,
        )),
        ..look(100, [])
    };
    assert_eq!(
        decided(&object, &unready),
        Plan::InSync,
        "nothing has changed"
    );
    let registering = ObservedTask {
        is_registering: true,
        ..unready
    };
    assert!(matches!(decided(&object, &registering), Plan::Wait(_)));
    let object = pass(object, &newer);
    let sent = write(decided(&object, &newer));
    assert_eq!(sent.request["startedBy"], "ecs-operator/u-1/2-1");
    let status = object.status.clone().expect("a status");
    assert_eq!(
        (status.exit_code, status.phase),
        (None, Some(TaskPhase::Pending))
    );
    assert!(
        !conditions(&object)
            .iter()
            .any(|it| it.starts_with("Complete"))
    );
    // A tag is no other run.
    let tagged = done("OnChange").with(&json!({"spec": {"tags": [{"key": "a"}]}}));
    assert_eq!(decided(&tagged, &look(100, [])), Plan::InSync);
}

/// Any other hash would run every task with `runPolicy: OnChange` again when the operator is
/// upgraded.
#[test]
fn the_hash_of_a_run_is_the_same_in_all_versions() {
    let object = object(
        &json!({"count": 2, "overrides": {"containerOverrides": [{"name": "app", "command": ["./migrate"]}]},
        "runPolicy": "OnChange", "backoffLimit": 3}),
    );
    assert_eq!(
        run_hash(&object, DEFINITION),
        "47397588847e5f8ba7f590cfdaa1934c"
    );
}

#[test]
fn a_change_waits_for_the_tasks_that_run() {
    let object = begun(&json!({"runPolicy": "OnChange", "backoffLimit": 5}));
    let newer = |tasks: Vec<_>| ObservedTask {
        task_definition: Resolved::To(DEFINITION.replace(":3", ":4")),
        ..look(100, tasks)
    };
    let running = newer(vec![task("a", &json!({}))]);
    assert_eq!(decided(&object, &running), Plan::InSync);
    // The change may be what an attempt lacked: it does not wait for further ones. The end comes
    // into the status and the events first.
    let before = object.status.clone().expect("a status");
    let failed = newer(vec![exited("a", 1, 99)]);
    let object = pass(object, &failed);
    let status = object.status.clone().expect("a status");
    assert_eq!(status.run.as_ref().map(|run| run.number), Some(1));
    let told: Vec<_> = events(&before, &status)
        .into_iter()
        .map(|event| event.reason)
        .collect();
    assert_eq!(told, ["TaskExited"]);
    let object = pass(object, &newer(Vec::new()));
    assert_eq!(
        object.status.expect("a status").run.expect("a run").number,
        2
    );
}

#[test]
fn a_deletion_stops_what_runs() {
    let object = begun(&json!({}));
    let object = pass(object, &look(5, [task("a", &json!({}))]));
    let leaving = object.clone().deleting();
    let sent = write(decided(&leaving, &look(6, [task("a", &json!({}))])));
    assert_eq!(sent.request["reason"], "EcsTask default/report was deleted");
    let stopping = task("a", &json!({"desiredStatus": "STOPPED"}));
    assert!(
        matches!(decided(&leaving, &look(7, [stopping])), Plan::Wait(obstacle) if obstacle.message == "task a is stopping")
    );
    assert_eq!(
        decided(&leaving, &look(9, [exited("a", 143, 8)])),
        Plan::Gone
    );
    let unknown = ObservedTask {
        may_be_there: true,
        ..look(7, [])
    };
    assert!(matches!(decided(&leaving, &unknown), Plan::Wait(_)));
    let retained = object
        .with(&json!({"spec": {"deletionPolicy": "Retain"}}))
        .deleting();
    assert_eq!(
        decided(&retained, &look(6, [task("a", &json!({}))])),
        Plan::Gone
    );
}

#[test]
fn a_suspended_object_shows_what_it_would_start() {
    let object = object(&json!({"suspend": true}));
    assert_eq!(operations(&decided(&object, &look(0, []))), [ecs::RunTask]);
}

#[test]
fn a_duration_reads_as_kubectl_shows_it() {
    for (seconds, text) in [
        (0, "0s"),
        (59, "59s"),
        (60, "1m"),
        (72, "1m12s"),
        (3600, "1h"),
        (7500, "2h5m"),
        (-3, "0s"),
    ] {
        assert_eq!(told(SignedDuration::from_secs(seconds)), text);
    }
}
