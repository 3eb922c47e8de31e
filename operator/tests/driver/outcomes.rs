//! What the driver does about each outcome of a pass: conditions, events, the finalizer, and when
//! the next pass comes. One table, over a kind without AWS, in time that tests set.

use std::time::Duration;

use ecs_operator::aws::{AwsError, ErrorKind, Operation, ecs};
use ecs_operator::reconcile::plan::{Plan, Write};
use ecs_operator_crds::condition::Reason;
use serde_json::{Value, json};
use tokio::time::advance;

use super::support::World;
use super::test_kind::{Script, TestKind, script};

fn object(name: &str, spec: &Value, deleting: bool) -> Value {
    let mut metadata = json!({"name": name, "namespace": "default", "uid": name, "generation": 1, "resourceVersion": "1"});
    if deleting {
        // Longer ago than any grace period.
        metadata["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        metadata["finalizers"] = json!(["ecs-operator.dev/finalizer"]);
    }
    json!({"apiVersion": "ecs-operator.dev/v1beta1", "kind": "TestKind", "metadata": metadata, "spec": spec})
}

async fn world(name: &str, spec: &Value, deleting: bool) -> World {
    World::without_aws::<TestKind>(object(name, spec, deleting)).await
}

fn update() -> Plan {
    let note = "Updated it".to_owned();
    Plan::Write(vec![Write {
        operation: ecs::UpdateCluster,
        request: json!({}),
        note,
    }])
}

fn error(operation: Operation, kind: ErrorKind) -> AwsError {
    AwsError::new(operation, kind, "as AWS says")
}

/// A script that needs no write.
fn comes_to(observed: Result<Plan, AwsError>) -> Script {
    Script {
        observed,
        applied: Ok(Plan::InSync),
    }
}

/// A script with a write that leads to this.
fn writes(applied: Result<Plan, AwsError>) -> Script {
    Script {
        observed: Ok(update()),
        applied,
    }
}

/// An outcome and what the driver does about it.
struct Row {
    name: &'static str,
    script: Script,
    spec: Value,
    deleting: bool,
    /// Type, status and reason of each condition.
    conditions: &'static [&'static str],
    /// Writes to the API server without the finalizer of a new object.
    writes: &'static [&'static str],
    /// Longest time until the next pass, in milliseconds; it is random by a quarter. `None` if only
    /// a trigger starts one.
    next: Option<u64>,
}

#[allow(clippy::too_many_lines, reason = "a table")]
fn rows() -> Vec<Row> {
    let row = |name, script, conditions, writes, next| Row {
        name,
        script,
        spec: json!({}),
        deleting: false,
        conditions,
        writes,
        next,
    };
    let deleting = |name, script, conditions, writes, next| Row {
        deleting: true,
        ..row(name, script, conditions, writes, next)
    };
    let denied = || error(ecs::DescribeClusters, ErrorKind::AccessDenied);
    vec![
        row(
            "in-sync",
            comes_to(Ok(Plan::InSync)),
            &["Ready True Succeeded"],
            &["status"],
            None,
        ),
        row(
            "written",
            writes(Ok(Plan::InSync)),
            &["Ready True Succeeded"],
            &["status", "event UpdateCluster"],
            None,
        ),
        row(
            "one-of-several-writes",
            writes(Ok(Plan::Write(Vec::new()))),
            &["Ready Unknown Progressing", "Reconciling True Progressing"],
            &["status", "event UpdateCluster"],
            Some(50),
        ),
        row(
            "waits-for-aws",
            comes_to(Ok(Plan::pause(Reason::Busy, "it is busy"))),
            &["Ready Unknown Busy", "Reconciling True Busy"],
            &["status"],
            Some(10_000),
        ),
        row(
            "waits-for-a-user",
            comes_to(Ok(Plan::wait(Reason::DeploymentFailed, "it failed"))),
            &[
                "Ready False DeploymentFailed",
                "Reconciling True DeploymentFailed",
            ],
            &["status", "event DeploymentFailed"],
            Some(10_000),
        ),
        row(
            "stalled",
            comes_to(Ok(Plan::stall(Reason::InvalidSpec, "it cannot be"))),
            &["Ready False InvalidSpec", "Stalled True InvalidSpec"],
            &["status", "event InvalidSpec"],
            Some(10_000),
        ),
        row(
            "read-is-denied",
            comes_to(Err(denied())),
            &["Ready False AccessDenied", "Stalled True AccessDenied"],
            &["status", "event AccessDenied"],
            Some(60_000),
        ),
        // It may pass in a moment.
        row(
            "read-has-no-reply",
            comes_to(Err(error(ecs::DescribeClusters, ErrorKind::Server))),
            &[],
            &[],
            Some(1_000),
        ),
        row(
            "write-is-refused",
            writes(Err(error(ecs::UpdateCluster, ErrorKind::Terminal))),
            &["Ready False InvalidSpec", "Stalled True InvalidSpec"],
            &["status", "event InvalidSpec"],
            Some(600_000),
        ),
        row(
            "write-has-no-effect",
            writes(Ok(update())),
            &[
                "Ready False DriftPersists",
                "Reconciling True DriftPersists",
            ],
            &["status", "event UpdateCluster", "event DriftPersists"],
            Some(30_000),
        ),
        Row {
            spec: json!({"managementPolicy": "Observe"}),
            ..row(
                "observes",
                writes(Ok(Plan::InSync)),
                &["Ready False Observing", "Stalled True Observing"],
                &["status", "event Observing"],
                None,
            )
        },
        deleting("gone", comes_to(Ok(Plan::Gone)), &[], &["metadata"], None),
        deleting(
            "left",
            comes_to(Ok(Plan::Left("it is left".to_owned()))),
            &[],
            &["metadata", "event LeftInAws"],
            None,
        ),
        deleting(
            "deletion-is-blocked",
            comes_to(Ok(Plan::wait(Reason::DeletionBlocked, "it is in use"))),
            &[
                "Ready False DeletionBlocked",
                "Reconciling True DeletionBlocked",
            ],
            &["status", "event DeletionBlocked"],
            Some(10_000),
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn each_outcome_has_its_conditions_events_and_next_pass() {
    for Row {
        name,
        script: scripted,
        spec,
        deleting,
        conditions,
        writes,
        next,
    } in rows()
    {
        script(name, scripted);
        let world = world(name, &spec, deleting).await;
        let requeue = world.pass::<TestKind>().await;
        let mut written = world.new_writes();
        if !deleting {
            assert_eq!(
                written.remove(0),
                "metadata",
                "{name}: the finalizer comes first"
            );
        }
        assert_eq!(world.conditions().0, conditions, "{name}");
        assert_eq!(written, writes, "{name}");
        let longest = next.map(Duration::from_millis);
        let is_in_range = match (requeue, longest) {
            (None, None) => true,
            (Some(requeue), Some(longest)) => {
                requeue <= longest && requeue >= longest.mul_f64(0.75)
            }
            _ => false,
        };
        assert!(is_in_range, "{name}: {requeue:?} and not {longest:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_write_is_sent_again_when_its_time_has_come() {
    script(
        "held-off",
        writes(Err(error(ecs::UpdateCluster, ErrorKind::Terminal))),
    );
    let world = world("held-off", &json!({}), false).await;
    let wait = world.pass::<TestKind>().await.expect("it is tried again");
    script("held-off", writes(Ok(Plan::InSync)));
    advance(wait / 2).await;
    world.pass::<TestKind>().await;
    assert_eq!(
        world.conditions().0[0],
        "Ready False InvalidSpec",
        "a trigger does not shorten the wait"
    );
    advance(wait / 2 + Duration::from_secs(1)).await;
    world.pass::<TestKind>().await;
    assert_eq!(world.conditions().0, ["Ready True Succeeded"]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_write_is_sent_again_after_the_object_has_waited_for_another_one() {
    script(
        "depends",
        writes(Err(error(ecs::UpdateCluster, ErrorKind::Terminal))),
    );
    let world = world("depends", &json!({}), false).await;
    world.pass::<TestKind>().await;
    let missing = Plan::wait(Reason::DependencyNotReady, "it is made again");
    script("depends", comes_to(Ok(missing)));
    world.pass::<TestKind>().await;
    assert_eq!(world.conditions().0[0], "Ready False DependencyNotReady");
    script("depends", writes(Ok(Plan::InSync)));
    world.pass::<TestKind>().await;
    assert_eq!(world.conditions().0, ["Ready True Succeeded"]);
}

#[tokio::test(start_paused = true)]
async fn the_first_failure_after_long_waits_is_retried_after_a_second() {
    script(
        "waits",
        comes_to(Ok(Plan::pause(Reason::Busy, "it is busy"))),
    );
    let world = world("waits", &json!({}), false).await;
    for _ in 0..5 {
        let wait = world.pass::<TestKind>().await.expect("it comes back");
        advance(wait).await;
    }
    script(
        "waits",
        comes_to(Err(error(ecs::DescribeClusters, ErrorKind::Server))),
    );
    let wait = world.pass::<TestKind>().await.expect("it is tried again");
    assert!(wait <= Duration::from_secs(1), "{wait:?}");
}

#[tokio::test(start_paused = true)]
async fn a_read_without_a_reply_is_reported_when_it_lasts() {
    script(
        "unread",
        comes_to(Err(error(ecs::DescribeClusters, ErrorKind::Server))),
    );
    let world = world("unread", &json!({}), false).await;
    world.pass::<TestKind>().await;
    assert_eq!(world.conditions().0, [""; 0]);
    advance(Duration::from_secs(3)).await;
    world.pass::<TestKind>().await;
    assert_eq!(
        world.conditions().0,
        [
            "Ready False AwsUnavailable",
            "Reconciling True AwsUnavailable"
        ]
    );
}
