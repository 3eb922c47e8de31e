//! Tasks that run once and end: on ministack with a pretend Docker engine, and on the simulator for
//! what ministack does not have: client tokens, and a cluster without room.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::aws_server;
use e2e::faults::{Fault, Faults, Rule};
use e2e::simulator::{Clock, Simulator};
use e2e::wait;
use e2e::world::{PATIENCE, World, condition, is_ready, ready};
use serde_json::{Value, json};

use crate::basics::SERVICE;
use crate::simulated::{SECOND, has_reason, simulated, until};

const TASK: &str = "ecstask/once";

/// A cluster, a task definition with this image, and a task with these members of its spec.
fn manifests(image: &str, members: &str) -> String {
    format!(
        "apiVersion: ecs-operator.dev/v1beta1\nkind: EcsCluster\nmetadata: {{name: shop}}\n---\n\
         apiVersion: ecs-operator.dev/v1beta1\nkind: EcsTaskDefinition\nmetadata: {{name: job}}\nspec:\n  \
         containerDefinitions: [{{name: app, image: {image}, memory: 64}}]\n---\n{}",
        task(members)
    )
}

fn task(members: &str) -> String {
    format!(
        "apiVersion: ecs-operator.dev/v1beta1\nkind: EcsTask\nmetadata: {{name: once}}\nspec:\n  clusterRef: {{name: shop}}\n  \
         taskDefinitionRef: {{name: job}}\n  {members}\n"
    )
}

fn message(object: &Value) -> Result<String> {
    let ready = ready(object).context("a condition")?;
    Ok(ready["message"].as_str().unwrap_or_default().to_owned())
}

fn phase(object: &Value) -> &Value {
    &object["status"]["phase"]
}

/// The tasks of the account in the cluster `shop`, running and stopped, as ECS describes them.
async fn tasks(url: &str, account: &str) -> Result<Vec<Value>> {
    let send = async |operation: &str, request: Value| {
        let target = format!("AmazonEC2ContainerServiceV20141113.{operation}");
        aws_server::send(url, account, "ecs", &target, &request).await
    };
    let mut arns = Vec::new();
    for status in ["RUNNING", "STOPPED"] {
        let request = json!({"cluster": "shop", "desiredStatus": status});
        let listed = send("ListTasks", request).await?;
        arns.extend(listed["taskArns"].as_array().cloned().unwrap_or_default());
    }
    if arns.is_empty() {
        return Ok(Vec::new());
    }
    let request = json!({"cluster": "shop", "tasks": arns, "include": ["TAGS"]});
    let described = send("DescribeTasks", request).await?;
    Ok(described["tasks"].as_array().cloned().unwrap_or_default())
}

pub(crate) async fn a_task_ends_and_shows_its_exit_code(world: &World) -> Result<()> {
    let scenario = world.rolling_scenario("tasks").await?;
    scenario
        .kubectl
        .apply(&manifests("job-ends:1", "runPolicy: Once"))?;
    let running = scenario
        .until(TASK, |task| {
            task["status"]["attempts"][0]["tasks"][0]["lastStatus"] == "RUNNING"
        })
        .await?;
    ensure!(
        phase(&running) == "Running" && condition(&running, "Reconciling").is_some(),
        "{running}"
    );
    let engine = &world.rolling().await?.engine;
    ensure!(engine.crash("job-ends", 0), "a container runs");
    let wait = ["wait", "--for=condition=Complete", "--timeout=60s", TASK];
    scenario.kubectl.run(&wait)?;
    let done = scenario.get(TASK)?;
    ensure!(
        is_ready(&done) && phase(&done) == "Succeeded" && done["status"]["exitCode"] == 0,
        "{done}"
    );
    let row = scenario.kubectl.run(&["get", TASK, "--no-headers"])?;
    let columns: Vec<_> = row.split_whitespace().collect();
    ensure!(
        columns[..5] == ["once", "True", "Succeeded", "Succeeded", "0"],
        "{row}"
    );
    scenario.told_once("once", "Completed").await?;
    ensure!(scenario.aws_proxy.counts().of("RunTask") == 1);
    // What has ended keeps nothing.
    scenario
        .kubectl
        .run(&["delete", "ecstaskdefinition/job", "ecscluster/shop"])?;
    // The run cannot change.
    let changed = scenario.kubectl.apply(&task("count: 2"));
    let refused = changed.err().context("it was admitted")?.to_string();
    ensure!(
        refused.contains("count cannot change with runPolicy Once"),
        "{refused}"
    );
    scenario.end().await
}

pub(crate) async fn a_task_that_fails_is_tried_again_and_says_why(world: &World) -> Result<()> {
    let scenario = world.rolling_scenario("attempts").await?;
    scenario
        .kubectl
        .apply(&manifests("crash:1", "backoffLimit: 1"))?;
    let waiting = scenario
        .until(TASK, |task| {
            task["status"]["attempts"][0]["result"] == "Failed"
        })
        .await?;
    let words = message(&waiting)?;
    ensure!(
        words.starts_with("Attempt 1 failed (TaskExited)") && words.contains("exit code 1"),
        "{words}"
    );
    ensure!(condition(&waiting, "Stalled").is_none(), "{waiting}");
    let words = scenario.until_ready_is(TASK, "False", "TaskExited").await?;
    ensure!(words.contains("and 2 attempts"), "{words}");
    let failed = scenario.get(TASK)?;
    ensure!(
        condition(&failed, "Failed").is_some_and(|it| it["reason"] == "BackoffLimitExceeded"),
        "{failed}"
    );
    ensure!(
        phase(&failed) == "Failed" && failed["status"]["failed"] == 2,
        "{failed}"
    );
    ensure!(scenario.aws_proxy.counts().of("RunTask") == 2);
    scenario
        .until_event("once", "TaskExited", &["Attempt 1 failed"])
        .await?;
    scenario.kubectl.run(&["delete", TASK]).map(drop)?;
    ensure!(
        scenario.aws_proxy.counts().of("StopTask") == 0,
        "nothing ran any more"
    );
    scenario.end().await
}

pub(crate) async fn a_task_is_stopped_at_its_deadline_and_at_its_deletion(
    world: &World,
) -> Result<()> {
    let scenario = world.rolling_scenario("deadline").await?;
    scenario
        .kubectl
        .apply(&manifests("web:1", "activeDeadlineSeconds: 5"))?;
    scenario
        .until_ready_is(TASK, "False", "DeadlineExceeded")
        .await?;
    let stopped = scenario.get(TASK)?;
    let task = &stopped["status"]["attempts"][0]["tasks"][0];
    ensure!(
        task["stopCode"] == "UserInitiated" && task["lastStatus"] == "STOPPED",
        "{stopped}"
    );
    let other = task_named("other");
    scenario.kubectl.apply(&other)?;
    scenario
        .until("ecstask/other", |task| phase(task) == "Running")
        .await?;
    scenario.kubectl.run(&["delete", "ecstask/other"])?;
    let left = tasks(&world.rolling().await?.server.url, &scenario.account).await?;
    ensure!(
        left.iter().all(|task| task["lastStatus"] == "STOPPED"),
        "{left:?}"
    );
    // All at once, the cluster first, while one runs.
    scenario.kubectl.apply(&task_named("last"))?;
    scenario
        .until("ecstask/last", |task| phase(task) == "Running")
        .await?;
    let all = manifests("web:1", "activeDeadlineSeconds: 5");
    scenario
        .kubectl
        .delete(&format!("{all}---\n{}", task_named("last")))?;
    scenario.until_empty().await?;
    scenario.end().await
}

fn task_named(name: &str) -> String {
    task("count: 1").replace("name: once", &format!("name: {name}"))
}

pub(crate) async fn a_lost_reply_and_a_crash_start_no_second_task(world: &World) -> Result<()> {
    let simulator = Simulator::start(Clock::stopped()).await?;
    let mut scenario = world.scenario_without_operator("runs").await?;
    scenario.use_server(&simulator.url).await?;
    scenario.aws_proxy.faults.set(Faults {
        rules: vec![Rule {
            operation: Some("RunTask".to_owned()),
            ..Rule::always(Fault::ResetAfter)
        }],
        ..Faults::default()
    });
    scenario.start_operator()?;
    scenario.kubectl.apply(&manifests("job:1", "count: 3"))?;
    wait::until("a call without a reply", PATIENCE, async || {
        ensure!(scenario.aws_proxy.counts().of("RunTask") > 0);
        Ok(())
    })
    .await?;
    // It is killed before it has looked.
    scenario.operator()?.process.kill().await?;
    scenario.aws_proxy.faults.clear();
    scenario.start_operator()?;
    until((&scenario, &simulator), TASK, SECOND, is_ready).await?;
    let started = tasks(&simulator.url, &scenario.account).await?;
    ensure!(started.len() == 3, "{started:?}");
    let owned = |task: &Value| {
        let by = task["startedBy"].as_str().unwrap_or_default();
        by.starts_with("ecs-operator/") && by.ends_with("/1-1")
    };
    ensure!(started.iter().all(owned), "{started:?}");
    scenario.end().await
}

pub(crate) async fn a_task_without_room_waits_and_starts_what_is_missing(
    world: &World,
) -> Result<()> {
    let (scenario, simulator) = simulated(world, "room").await?;
    let both = (&scenario, &simulator);
    // The account is there once somebody has called.
    scenario
        .kubectl
        .apply(&manifests("job:1", "suspend: true"))?;
    let is_held = |task: &Value| {
        condition(task, "Suspended").is_some() && task["status"]["pendingChanges"].is_array()
    };
    let held = until(both, TASK, SECOND, is_held).await?;
    let pending = held["status"]["pendingChanges"].to_string();
    ensure!(pending.contains("RunTask: a task of job:1"), "{pending}");
    scenario.kubectl.run(&["delete", TASK])?;
    simulator.set_room(&scenario.account, Some(0));
    scenario.kubectl.apply(&manifests("job:1", "count: 3"))?;
    let waiting = until(both, TASK, SECOND, |task| {
        has_reason(task, "CapacityUnavailable")
    })
    .await?;
    let words = message(&waiting)?;
    ensure!(words.contains("RESOURCE:MEMORY"), "{words}");
    simulator.set_room(&scenario.account, Some(2));
    until(both, TASK, Duration::ZERO, |task| {
        message(task).is_ok_and(|words| words.starts_with("2 of 3 tasks started"))
    })
    .await?;
    simulator.set_room(&scenario.account, None);
    until(both, TASK, SECOND, is_ready).await?;
    let started = tasks(&simulator.url, &scenario.account).await?;
    ensure!(started.len() == 3, "{started:?}");
    scenario.is_quiet().await?;
    scenario.end().await
}

pub(crate) async fn a_migration_runs_once_for_each_revision(world: &World) -> Result<()> {
    let (scenario, simulator) = simulated(world, "migration").await?;
    let both = (&scenario, &simulator);
    scenario
        .kubectl
        .apply(&manifests("job:1", "runPolicy: OnChange"))?;
    let revision = |number: usize| {
        move |task: &Value| {
            is_ready(task) && task["status"]["run"]["revision"] == format!("job:{number}")
        }
    };
    until(both, TASK, SECOND, revision(1)).await?;
    scenario.is_quiet().await?;
    scenario
        .kubectl
        .apply(&manifests("job:2", "runPolicy: OnChange"))?;
    until(both, TASK, SECOND, revision(2)).await?;
    ensure!(scenario.aws_proxy.counts().of("RunTask") == 2);
    // One that fails, and its mend.
    scenario
        .kubectl
        .apply(&manifests("crash:3", "runPolicy: OnChange"))?;
    until(both, TASK, SECOND, |task| has_reason(task, "TaskExited")).await?;
    scenario
        .kubectl
        .apply(&manifests("job:4", "runPolicy: OnChange"))?;
    let done = until(both, TASK, SECOND, revision(4)).await?;
    ensure!(done["status"]["run"]["number"] == 4, "{done}");
    // Long after ECS has forgotten the tasks.
    simulator.advance(Duration::from_secs(2 * 3600));
    scenario.is_quiet().await?;
    ensure!(is_ready(&scenario.get(TASK)?));
    ensure!(scenario.aws_proxy.counts().of("RunTask") == 4);
    scenario.end().await
}

/// A service that waits for the task, which runs for each revision of the same task definition.
const GATED: &str = "apiVersion: ecs-operator.dev/v1beta1\nkind: EcsService\nmetadata: {name: web}\nspec:\n  clusterRef: {name: shop}\n  \
    taskDefinitionRef: {name: job}\n  desiredCount: 1\n  rollout: {before: [{taskRef: {name: once}}]}\n";

pub(crate) async fn a_migration_comes_before_the_rollout(world: &World) -> Result<()> {
    let (scenario, simulator) = simulated(world, "gate").await?;
    let both = (&scenario, &simulator);
    let apply = |image: &str| {
        let all = manifests(image, "runPolicy: OnChange");
        scenario.kubectl.apply(&all)
    };
    scenario.kubectl.apply(GATED)?;
    let count = |operation: &str| scenario.aws_proxy.counts().of(operation);
    apply("job:1")?;
    let waiting = until(both, SERVICE, Duration::ZERO, |service| {
        has_reason(service, "AwaitingTask")
    })
    .await?;
    let words = message(&waiting)?;
    ensure!(words.starts_with("job:1 waits for EcsTask once"), "{words}");
    ensure!(count("CreateService") == 0);
    until(both, TASK, SECOND, is_ready).await?;
    until(both, SERVICE, SECOND, |service| {
        service["status"]["revision"] == "job:1"
    })
    .await?;
    // A task that fails keeps the service at its revision; other changes go on.
    apply("crash:2")?;
    let stalled = until(both, SERVICE, SECOND, |service| {
        has_reason(service, "PreDeployTaskFailed")
    })
    .await?;
    ensure!(
        stalled["status"]["revision"] == "job:1" && condition(&stalled, "Stalled").is_some(),
        "{stalled}"
    );
    scenario.kubectl.run(&["scale", SERVICE, "--replicas=2"])?;
    until(both, SERVICE, SECOND, |service| {
        service["status"]["desiredCount"] == 2
    })
    .await?;
    let restart = "ecs-operator.dev/restartedAt=2026-12-01T12:00:00Z";
    scenario.kubectl.run(&["annotate", SERVICE, restart])?;
    let restarted = until(both, SERVICE, SECOND, |service| {
        service["status"]["handledCommands"][0]["value"] == "2026-12-01T12:00:00Z"
            && has_reason(service, "PreDeployTaskFailed")
    })
    .await?;
    ensure!(restarted["status"]["revision"] == "job:1", "{restarted}");
    apply("job:3")?;
    until(both, SERVICE, SECOND, |service| {
        service["status"]["revision"] == "job:3"
    })
    .await?;
    ensure!((count("CreateService"), count("RunTask")) == (1, 3));
    // It goes back without a task.
    scenario
        .kubectl
        .run(&["annotate", SERVICE, "ecs-operator.dev/rollbackTo=job:1"])?;
    until(both, SERVICE, SECOND, |service| {
        service["status"]["revision"] == "job:1"
    })
    .await?;
    ensure!(count("RunTask") == 3);
    scenario.end().await
}
