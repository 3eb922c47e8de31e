//! Rollouts that no emulator shows, at the transport: ECS answers as its documentation says it
//! does, and the whole operator sees nothing else. Blue/green with a pause, a rollback by an alarm,
//! and a service that drains.
//!
//! Source of the answers: "Amazon ECS blue/green deployments", "Lifecycle hooks for Amazon ECS
//! service deployments" and "Stopping Amazon ECS service deployments" in the developer guide;
//! DescribeServices, DescribeServiceDeployments, DescribeServiceRevisions and DeleteService in the
//! ECS API reference.

#[allow(
    clippy::unwrap_used,
    reason = "a poisoned lock fails the test, as it should"
)]
mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ecs_operator_crds::v1beta1::EcsService;
use serde_json::{Value, json};
use support::{Reply, World, refusal, success};

const CLUSTER: &str = "arn:aws:ecs:eu-central-1:111122223333:cluster/shop";
const SERVICE: &str = "arn:aws:ecs:eu-central-1:111122223333:service/shop/web";
const NOON: &str = "2026-06-01T12:00:00Z";

fn revision(number: i64) -> String {
    format!("arn:aws:ecs:eu-central-1:111122223333:task-definition/web:{number}")
}

fn object() -> Value {
    json!({
        "apiVersion": "ecs-operator.dev/v1beta1",
        "kind": "EcsService",
        "metadata": {"name": "web", "namespace": "default", "uid": "u-1", "generation": 1, "resourceVersion": "1"},
        "spec": {"cluster": "shop", "taskDefinition": "web:1", "desiredCount": 2},
    })
}

/// An ECS with one service, whose deployments a test moves on.
#[derive(Clone, Default)]
struct Ecs(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    service: Option<Value>,
    /// Of each deployment, by number: what DescribeServiceDeployments shows beyond the names.
    deployments: Vec<Value>,
    described: usize,
}

impl Ecs {
    fn answer(&self, operation: &str, request: &Value) -> Reply {
        let mut state = self.0.lock().expect("no test panics with it");
        match operation {
            "DescribeServices" => match &state.service {
                Some(service) => success(&json!({"services": [service]})),
                None => success(
                    &json!({"services": [], "failures": [{"arn": SERVICE, "reason": "MISSING"}]}),
                ),
            },
            "CreateService" => {
                let tags = request["tags"].clone();
                state.service = Some(
                    json!({"serviceArn": SERVICE, "serviceName": "web", "clusterArn": CLUSTER, "status": "ACTIVE",
                    "desiredCount": 2, "runningCount": 0, "pendingCount": 2, "tags": tags,
                    "deploymentConfiguration": {"strategy": "BLUE_GREEN"}}),
                );
                state.deploy(1);
                success(&json!({"service": state.service}))
            }
            "UpdateService" => {
                let number = request["taskDefinition"]
                    .as_str()
                    .and_then(|wanted| wanted.rsplit(':').next()?.parse().ok());
                if let Some(number) = number {
                    state.deploy(number);
                }
                success(&json!({"service": state.service}))
            }
            "DescribeServiceDeployments" => {
                state.described += 1;
                let arn = &request["serviceDeploymentArns"][0];
                let found = state
                    .deployments
                    .iter()
                    .find(|deployment| deployment["serviceDeploymentArn"] == *arn);
                success(&json!({"serviceDeployments": found.into_iter().collect::<Vec<_>>()}))
            }
            "DescribeServiceRevisions" => {
                let arn = request["serviceRevisionArns"][0]
                    .as_str()
                    .unwrap_or_default();
                let number = arn
                    .rsplit('/')
                    .next()
                    .and_then(|number| number.parse().ok())
                    .unwrap_or_default();
                success(
                    &json!({"serviceRevisions": [{"serviceRevisionArn": arn, "taskDefinition": revision(number)}]}),
                )
            }
            "ContinueServiceDeployment" | "StopServiceDeployment" => {
                success(&json!({"serviceDeploymentArn": "…"}))
            }
            "DeleteService" => {
                state.set(&json!({"status": "DRAINING", "desiredCount": 0}));
                success(&json!({"service": state.service}))
            }
            "ListTasks" => success(
                &json!({"taskArns": ["arn:aws:ecs:eu-central-1:111122223333:task/shop/abc"]}),
            ),
            "DescribeTasks" => success(&json!({"tasks": [{
                "taskArn": "arn:aws:ecs:eu-central-1:111122223333:task/shop/abc", "taskDefinitionArn": revision(2),
                "stopCode": "ServiceSchedulerInitiated", "stoppedReason": "Task failed ELB health checks in (target-group …)",
                "stoppedAt": 4_000_000_000.0, "containers": [{"name": "web"}]}]})),
            other => refusal("InvalidAction", other),
        }
    }

    /// Changes what ECS shows of the service, and of its last deployment.
    fn moves(&self, service: &Value, deployment: &Value) {
        let mut state = self.0.lock().expect("no test panics with it");
        state.set(service);
        if let Some(last) = state.deployments.last_mut() {
            merge(last, deployment);
        }
    }

    fn described(&self) -> usize {
        self.0.lock().expect("no test panics with it").described
    }
}

impl State {
    /// A new deployment of a revision, as CreateService and UpdateService begin it.
    fn deploy(&mut self, number: i64) {
        let nth = self.deployments.len();
        let arn =
            format!("arn:aws:ecs:eu-central-1:111122223333:service-deployment/shop/web/d{nth}");
        self.deployments.push(json!({"serviceDeploymentArn": arn, "status": "PENDING", "createdAt": 1000 * number,
            "targetServiceRevision": {"arn": format!("arn:aws:ecs:eu-central-1:111122223333:service-revision/shop/web/{number}"),
                "requestedTaskCount": 2, "runningTaskCount": 0, "pendingTaskCount": 0}}));
        let primary = json!({"id": format!("ecs-svc/{number}"), "status": "PRIMARY", "taskDefinition": revision(number),
            "desiredCount": 2, "runningCount": 0, "pendingCount": 0});
        self.set(&json!({"taskDefinition": revision(number), "currentServiceDeployment": arn, "deployments": [primary]}));
    }

    fn set(&mut self, change: &Value) {
        if let Some(service) = &mut self.service {
            merge(service, change);
        }
    }
}

fn merge(target: &mut Value, change: &Value) {
    for (name, value) in change.as_object().into_iter().flatten() {
        target[name] = value.clone();
    }
}

/// A world with a service that runs `web:1` and is Ready.
async fn ready() -> (World, Ecs) {
    let ecs = Ecs::default();
    let answers = ecs.clone();
    let world = World::new(object(), move |operation, request| {
        answers.answer(operation, request)
    })
    .await;
    look(&world).await;
    assert_eq!(
        world.conditions().0,
        ["Ready Unknown Progressing", "Reconciling True Progressing"]
    );
    runs(&ecs, 1);
    look(&world).await;
    assert_eq!(world.conditions().0, ["Ready True Succeeded"]);
    world.new_writes();
    (world, ecs)
}

/// ECS has brought a revision, and all is well.
fn runs(ecs: &Ecs, number: i64) {
    let primary = json!({"id": format!("ecs-svc/{number}"), "status": "PRIMARY", "taskDefinition": revision(number),
        "desiredCount": 2, "runningCount": 2, "pendingCount": 0});
    let service = json!({"taskDefinition": revision(number), "runningCount": 2, "pendingCount": 0, "deployments": [primary]});
    ecs.moves(
        &service,
        &json!({"status": "SUCCESSFUL", "finishedAt": 1500.0}),
    );
}

/// One pass that looks at AWS anew, as the observer's next sweep would have it.
async fn look(world: &World) {
    let mut object = world.object();
    let count = object["metadata"]["annotations"]["ecs-operator.dev/reconcileAt"]
        .as_str()
        .map_or(0, str::len);
    object["metadata"]["annotations"]["ecs-operator.dev/reconcileAt"] =
        "x".repeat(count + 1).into();
    world.set_object(object);
    world.pass::<EcsService>().await;
}

fn edit(world: &World, change: impl FnOnce(&mut Value)) {
    let mut object = world.object();
    change(&mut object);
    world.set_object(object);
}

fn ask_for(world: &World, number: i64) {
    edit(world, |object| {
        object["spec"]["taskDefinition"] = json!(format!("web:{number}"));
        object["metadata"]["generation"] = json!(2);
    });
}

/// The AWS writes among those since the last call.
fn aws_writes(world: &World) -> Vec<String> {
    let writes = world.new_writes().into_iter();
    writes
        .filter(|write| write != "status" && write != "metadata" && !write.starts_with("event"))
        .collect()
}

#[tokio::test]
async fn a_blue_green_deployment_waits_for_somebody_and_goes_on_when_told() {
    let (world, ecs) = ready().await;
    ask_for(&world, 2);
    look(&world).await;
    assert_eq!(aws_writes(&world), ["UpdateService"]);
    let stages = [
        (
            json!({"status": "IN_PROGRESS", "lifecycleStage": "SCALE_UP"}),
            "Progressing",
        ),
        (
            json!({"lifecycleStage": "TEST_TRAFFIC_SHIFT"}),
            "Progressing",
        ),
        (
            json!({"lifecycleStage": "POST_TEST_TRAFFIC_SHIFT",
                "lifecycleHookDetails": [{"hookId": "hook-1", "targetType": "PAUSE", "status": "AWAITING_ACTION"}]}),
            "AwaitingApproval",
        ),
    ];
    for (stage, reason) in stages {
        ecs.moves(&json!({}), &stage);
        look(&world).await;
        assert_eq!(
            world.conditions().0[0],
            format!("Ready Unknown {reason}"),
            "{stage}"
        );
    }
    assert!(
        world
            .conditions()
            .1
            .contains("paused at POST_TEST_TRAFFIC_SHIFT"),
        "{}",
        world.conditions().1
    );
    assert_eq!(aws_writes(&world), [""; 0]);

    edit(&world, |object| {
        object["metadata"]["annotations"]["ecs-operator.dev/continueAt"] = json!(NOON);
    });
    look(&world).await;
    look(&world).await;
    assert_eq!(aws_writes(&world), ["ContinueServiceDeployment"], "once");
    assert_eq!(
        world.object()["status"]["handledCommands"][0]["value"],
        NOON
    );
    ecs.moves(
        &json!({}),
        &json!({"lifecycleStage": "BAKE_TIME", "lifecycleHookDetails": []}),
    );
    look(&world).await;
    assert_eq!(world.conditions().0[0], "Ready Unknown Baking");
    runs(&ecs, 2);
    look(&world).await;
    assert_eq!(world.conditions().0, ["Ready True Succeeded"]);
    let rollout = world.object()["status"]["rollout"].clone();
    assert_eq!(
        (&rollout["phase"], &rollout["strategy"], &rollout["percent"]),
        (&json!("Succeeded"), &json!("BLUE_GREEN"), &json!(100))
    );

    // What has ended is not described again, and nothing is written any more.
    let described = ecs.described();
    world.new_writes();
    edit(&world, |object| {
        object["metadata"]["annotations"]["ecs-operator.dev/continueAt"] = json!(NOON);
    });
    world.pass::<EcsService>().await;
    world.pass::<EcsService>().await;
    assert_eq!(
        (ecs.described(), world.new_writes()),
        (described, Vec::new())
    );
}

#[tokio::test]
async fn a_rollback_by_an_alarm_is_told_and_not_repeated_even_without_memory() {
    let (world, ecs) = ready().await;
    ask_for(&world, 2);
    look(&world).await;
    ecs.moves(
        &json!({"taskDefinition": revision(1)}),
        &json!({"status": "ROLLBACK_IN_PROGRESS", "alarms": {"status": "TRIGGERED", "triggeredAlarmNames": ["errors"]}}),
    );
    look(&world).await;
    assert_eq!(
        world.conditions().0,
        [
            "Ready False DeploymentRolledBack",
            "Stalled True DeploymentRolledBack"
        ]
    );
    assert!(
        world.conditions().1.contains("alarms went off: errors"),
        "{}",
        world.conditions().1
    );
    assert!(
        world
            .conditions()
            .1
            .contains("Task abc stopped: Task failed ELB health checks"),
        "{}",
        world.conditions().1
    );
    let told = world.new_writes();
    assert!(
        told.iter().any(|write| write == "event TaskUnhealthy"),
        "{told:?}"
    );

    let primary = json!({"id": "ecs-svc/1", "status": "PRIMARY", "taskDefinition": revision(1), "desiredCount": 2, "runningCount": 2});
    ecs.moves(
        &json!({"taskDefinition": revision(1), "runningCount": 2, "deployments": [primary]}),
        &json!({"status": "ROLLBACK_SUCCESSFUL", "finishedAt": 2500.0}),
    );
    look(&world).await;
    assert_eq!(world.object()["status"]["rollout"]["phase"], "RolledBack");
    // The status is lost, and the operator knows nothing but what ECS says.
    edit(&world, |object| object["status"] = Value::Null);
    for _ in 0..2 {
        look(&world).await;
    }
    assert_eq!(world.conditions().0[0], "Ready False DeploymentRolledBack");
    assert_eq!(aws_writes(&world), [""; 0], "it is not sent again");
    // Whoever restarts wants it to be tried again.
    edit(&world, |object| {
        object["metadata"]["annotations"]["ecs-operator.dev/restartedAt"] = json!(NOON);
    });
    look(&world).await;
    assert_eq!(aws_writes(&world), ["UpdateService"]);
    runs(&ecs, 2);
    look(&world).await;
    assert_eq!(world.conditions().0, ["Ready True Succeeded"]);
    assert_eq!(
        aws_writes(&world),
        [""; 0],
        "one deployment for one restart"
    );
}

#[tokio::test]
async fn tasks_that_fail_after_a_rollout_hold_ready_back_and_are_told_at_once() {
    let (world, ecs) = ready().await;
    ask_for(&world, 2);
    look(&world).await;
    runs(&ecs, 2);
    // A little before the task of this ECS stops.
    ecs.moves(&json!({}), &json!({"finishedAt": 3_999_999_950.0}));
    look(&world).await;
    assert_eq!(world.conditions().0, ["Ready True Succeeded"]);
    world.new_writes();
    // As many run as are wanted, and one of them has taken the place of another.
    let primary = json!({"id": "ecs-svc/2", "status": "PRIMARY", "taskDefinition": revision(2), "desiredCount": 2, "runningCount": 2,
        "pendingCount": 0, "failedTasks": 1});
    ecs.moves(&json!({"deployments": [primary]}), &json!({}));
    look(&world).await;
    let (shapes, message) = world.conditions();
    assert_eq!(
        shapes,
        ["Ready Unknown Progressing", "Reconciling True Progressing"]
    );
    assert!(
        message.contains("Task abc stopped: Task failed ELB health checks"),
        "{message}"
    );
    let told = world.new_writes();
    assert!(
        told.iter().any(|write| write == "event TaskUnhealthy"),
        "{told:?}"
    );
    world.pass::<EcsService>().await;
    assert_eq!(world.new_writes(), [""; 0]);
}

#[tokio::test]
async fn a_running_deployment_is_stopped_on_command() {
    let (world, ecs) = ready().await;
    ask_for(&world, 2);
    look(&world).await;
    ecs.moves(&json!({}), &json!({"status": "IN_PROGRESS"}));
    world.new_writes();
    edit(&world, |object| {
        object["metadata"]["annotations"]["ecs-operator.dev/stopAt"] = json!(NOON);
    });
    look(&world).await;
    ecs.moves(&json!({}), &json!({"status": "STOP_REQUESTED"}));
    look(&world).await;
    assert_eq!(aws_writes(&world), ["StopServiceDeployment"]);
    assert_eq!(world.conditions().0[0], "Ready False DeploymentRolledBack");
    ecs.moves(
        &json!({"taskDefinition": revision(1)}),
        &json!({"status": "ROLLBACK_SUCCESSFUL"}),
    );
    look(&world).await;
    look(&world).await;
    assert_eq!(
        aws_writes(&world),
        [""; 0],
        "what was stopped on command is not sent again"
    );
}

#[tokio::test]
async fn a_service_drains_in_its_own_time_and_its_name_is_free_then() {
    let (world, ecs) = ready().await;
    let delete = |object: &mut Value| object["metadata"]["deletionTimestamp"] = json!(NOON);
    edit(&world, delete);
    look(&world).await;
    for left in [2, 1] {
        ecs.moves(&json!({"runningCount": left}), &json!({}));
        look(&world).await;
        let (shapes, message) = world.conditions();
        assert_eq!(
            shapes,
            ["Ready Unknown Deleting", "Reconciling True Deleting"]
        );
        assert!(
            message.contains(&format!("is DRAINING: waiting for {left} tasks to stop")),
            "{message}"
        );
    }
    assert_eq!(aws_writes(&world), ["DeleteService"]);
    // Somebody makes an object of the same name meanwhile: the name is taken until the tasks have
    // stopped.
    let (next, draining) = (object(), ecs.clone());
    let second = World::new(next, move |operation, request| {
        draining.answer(operation, request)
    })
    .await;
    look(&second).await;
    assert_eq!(second.conditions().0[0], "Ready Unknown Busy");
    ecs.moves(
        &json!({"status": "INACTIVE", "runningCount": 0}),
        &json!({}),
    );
    look(&world).await;
    assert_eq!(world.object()["metadata"]["finalizers"], json!([]));
    look(&second).await;
    assert_eq!(aws_writes(&second), ["CreateService"]);
}

#[tokio::test]
async fn ready_is_not_that_of_before_a_command() {
    let ecs = Ecs::default();
    let answers = ecs.clone();
    let answer = move |operation: &str, request: &Value| answers.answer(operation, request);
    // One write in ten seconds.
    let (world, _) = World::limited(object(), answer, Duration::from_secs(86400), Some(0.02)).await;
    look(&world).await;
    for nth in 0..5 {
        runs(&ecs, 1);
        look(&world).await;
        assert_eq!(world.conditions().0, ["Ready True Succeeded"]);
        world.new_writes();
        edit(&world, |object| {
            object["metadata"]["annotations"]["ecs-operator.dev/restartedAt"] =
                json!(format!("2026-06-01T12:00:0{nth}Z"));
        });
        world.pass::<EcsService>().await;
        assert_eq!(
            world.conditions().0,
            ["Ready Unknown Progressing", "Reconciling True Progressing"]
        );
        if aws_writes(&world).is_empty() {
            assert!(
                world.conditions().1.contains("Waiting for API quota"),
                "{}",
                world.conditions().1
            );
            return;
        }
    }
    panic!("five writes at once are more than the quota allows");
}

#[tokio::test]
async fn a_cluster_of_another_region_is_not_taken_for_one_here() {
    let mut elsewhere = object();
    elsewhere["spec"]["cluster"] = json!("arn:aws:ecs:us-east-1:111122223333:cluster/shop");
    let world = World::new(elsewhere, |operation, _| panic!("{operation}")).await;
    world.pass::<EcsService>().await;
    let (shapes, message) = world.conditions();
    assert_eq!(
        shapes,
        ["Ready False InvalidSpec", "Stalled True InvalidSpec"]
    );
    assert!(
        message.contains("spec.cluster is an ARN of us-east-1"),
        "{message}"
    );
}
