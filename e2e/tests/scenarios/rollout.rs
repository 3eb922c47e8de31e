//! Rollouts over time, on ministack with a pretend Docker engine.

use anyhow::{Result, ensure};
use e2e::samples::plain;
use e2e::wait;
use e2e::world::{PATIENCE, World, condition};
use serde_json::Value;

use crate::basics::{OBJECTS, SERVICE};

pub(crate) async fn a_rollout_is_followed_to_its_end(world: &World) -> Result<()> {
    let scenario = world.rolling_scenario("rolling").await?;
    scenario.kubectl.apply(&plain("web:1"))?;
    // The first tasks take their time, and so does Ready.
    let starting = scenario
        .until(SERVICE, |service| service["status"]["revision"] == "web:1")
        .await?;
    ensure!(
        condition(&starting, "Ready").is_some_and(|ready| ready["status"] != "True"),
        "no task runs yet: {starting}"
    );
    scenario.wait_ready(&OBJECTS)?;
    scenario.kubectl.apply(&plain("web:2"))?;
    let two = |service: &Value| {
        service["status"]["deployments"]
            .as_array()
            .is_some_and(|deployments| deployments.len() == 2)
    };
    let rolling_out = scenario.until(SERVICE, two).await?;
    ensure!(
        rolling_out["status"]["deployments"][0]["revision"] == "web:2",
        "{rolling_out}"
    );
    ensure!(
        condition(&rolling_out, "Reconciling").is_some(),
        "{rolling_out}"
    );
    scenario.wait_ready(&OBJECTS)?;
    let done = scenario.get(SERVICE)?;
    ensure!(!two(&done) && done["status"]["runningCount"] == 2, "{done}");
    scenario.is_quiet().await?;
    scenario.end().await
}

pub(crate) async fn a_failing_rollout_is_told_and_not_tried_again_until_the_spec_changes(
    world: &World,
) -> Result<()> {
    let scenario = world.rolling_scenario("breaker").await?;
    scenario.kubectl.apply(&plain("web:1"))?;
    scenario.wait_ready(&OBJECTS)?;

    scenario.kubectl.apply(&plain("crash:2"))?;
    let message = scenario
        .until_ready_is(SERVICE, "False", "DeploymentRolledBack")
        .await?;
    ensure!(
        message.contains("web:2 failed, and ECS rolled back to web:1"),
        "{message}"
    );
    let failed = scenario.get(SERVICE)?;
    ensure!(condition(&failed, "Stalled").is_some(), "{failed}");
    ensure!(
        failed["status"]["failedDeployment"]["taskDefinition"]
            .as_str()
            .is_some_and(|arn| arn.ends_with("web:2")),
        "{failed}"
    );
    ensure!(
        scenario.aws_proxy.counts().of("UpdateService") == 1,
        "{:?}",
        scenario.aws_proxy.counts()
    );
    // The way back ends, and nobody sends the failed revision again.
    scenario
        .until(SERVICE, |service| {
            service["status"]["revision"] == "web:1" && service["status"]["runningCount"] == 2
        })
        .await?;
    scenario.is_quiet().await?;
    ensure!(
        scenario.aws_proxy.counts().of("UpdateService") == 1,
        "{:?}",
        scenario.aws_proxy.counts()
    );
    scenario.told_once("web", "DeploymentRolledBack").await?;
    // kubectl describe tells the whole story: what ECS said, why tasks stopped, what became of it.
    wait::until("the story", PATIENCE, async || {
        let story = scenario.kubectl.run(&["describe", SERVICE])?;
        for words in [
            "Deploying web:2 (ROLLING)",
            "exit code 1",
            "TaskExited",
            "circuit breaker was triggered",
            "DeploymentRolledBack",
        ] {
            ensure!(story.contains(words), "{words} is not in\n{story}");
        }
        Ok(())
    })
    .await?;

    scenario.kubectl.apply(&plain("web:3"))?;
    scenario
        .until(SERVICE, |service| service["status"]["revision"] == "web:3")
        .await?;
    scenario
        .until_ready_is(SERVICE, "True", "Succeeded")
        .await?;
    let mended = scenario.get(SERVICE)?["status"].clone();
    ensure!(
        mended["failedDeployment"].is_null(),
        "nothing is remembered of what was mended"
    );
    let results: Vec<_> = mended["rolloutHistory"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|record| &record["result"])
        .collect();
    ensure!(
        results == ["RolledBack", "Succeeded"] && mended["rollout"]["revision"] == "web:3",
        "{mended}"
    );
    scenario.end().await
}

pub(crate) async fn an_image_that_cannot_be_pulled_is_told_and_a_restart_tries_again(
    world: &World,
) -> Result<()> {
    let scenario = world.rolling_scenario("pull").await?;
    scenario.kubectl.apply(&plain("no-such-image:1"))?;
    // A first deployment has nothing to go back to.
    let message = scenario
        .until_ready_is(SERVICE, "False", "DeploymentFailed")
        .await?;
    ensure!(message.contains("pull access denied"), "{message}");
    // Events follow the status that they tell of.
    scenario.is_quiet().await?;
    let events = scenario.events("web").await?;
    let pulls = events
        .iter()
        .filter(|(reason, _)| reason == "TaskImagePullFailed")
        .count();
    ensure!(pulls == 1, "one for all tasks: {events:?}");
    ensure!(
        scenario.aws_proxy.counts().of("UpdateService") == 0,
        "{:?}",
        scenario.aws_proxy.counts()
    );

    scenario.kubectl.run(&[
        "annotate",
        SERVICE,
        "ecs-operator.dev/restartedAt=2099-01-01T00:00:00Z",
    ])?;
    scenario
        .until(SERVICE, |service| {
            service["status"]["rolloutHistory"][0]["result"] == "Failed"
        })
        .await?;
    scenario
        .until_ready_is(SERVICE, "False", "DeploymentFailed")
        .await?;
    ensure!(
        scenario.aws_proxy.counts().of("UpdateService") == 1,
        "{:?}",
        scenario.aws_proxy.counts()
    );
    scenario.kubectl.apply(&plain("web:2"))?;
    scenario
        .until(SERVICE, |service| service["status"]["revision"] == "web:2")
        .await?;
    scenario.wait_ready(&OBJECTS)?;
    scenario.end().await
}

pub(crate) async fn a_lost_task_is_told_and_replaced(world: &World) -> Result<()> {
    let scenario = world.rolling_scenario("lost").await?;
    // Slow to start, so that the gap can be seen.
    scenario.kubectl.apply(&plain("slow-lost:1"))?;
    let policy = r#"{"spec": {"rollout": {"minReadySeconds": 2, "unavailableAfterSeconds": 5}}}"#;
    scenario
        .kubectl
        .run(&["patch", SERVICE, "--type=merge", "-p", policy])?;
    scenario.wait_ready(&OBJECTS)?;
    let rollout = scenario.get(SERVICE)?["status"]["rollout"]["id"].clone();
    ensure!(
        world.rolling().await?.engine.crash("slow-lost", 137),
        "a container runs"
    );
    let told = |service: &Value| {
        let stopped = &service["status"]["stoppedTasks"][0];
        stopped["reason"] == "TaskExited" && stopped["exitCode"] == 137
    };
    scenario.until(SERVICE, told).await?;
    let explained = |service: &Value| {
        let ready = condition(service, "Ready");
        ready.is_some_and(|ready| {
            ready["status"] != "True"
                && ready["message"]
                    .as_str()
                    .is_some_and(|why| why.contains("exit code 137"))
        })
    };
    let held = scenario.until(SERVICE, explained).await?;
    ensure!(
        condition(&held, "Reconciling").is_some()
            && held["status"]["taskFailures"]["lastAt"].is_string(),
        "{held}"
    );
    scenario
        .until(SERVICE, |service| service["status"]["runningCount"] == 2)
        .await?;
    scenario.wait_ready(&OBJECTS)?;
    let after = scenario.get(SERVICE)?;
    ensure!(
        after["status"]["rollout"]["id"] == rollout && after["status"]["rolloutHistory"].is_null(),
        "no rollout: {after}"
    );
    scenario.is_quiet().await?;
    // Out and in again.
    for count in [4, 1] {
        scenario
            .kubectl
            .run(&["scale", SERVICE, &format!("--replicas={count}")])?;
        scenario
            .until(SERVICE, |service| {
                service["status"]["runningCount"] == count
            })
            .await?;
        scenario.wait_ready(&OBJECTS)?;
    }
    scenario.end().await
}

pub(crate) async fn settings_that_reach_new_tasks_only_are_told_until_a_restart(
    world: &World,
) -> Result<()> {
    let scenario = world.rolling_scenario("settings").await?;
    scenario.kubectl.apply(&plain("web:1"))?;
    scenario.wait_ready(&OBJECTS)?;
    let patch = |spec: &str| {
        scenario.kubectl.run(&[
            "patch",
            SERVICE,
            "--type=merge",
            "-p",
            &format!(r#"{{"spec": {spec}}}"#),
        ])
    };
    let required = |service: &Value| condition(service, "RestartRequired").is_some();
    let is_ready = |service: &Value| {
        condition(service, "Ready").is_some_and(|ready| ready["status"] == "True")
    };
    patch(r#"{"enableExecuteCommand": true}"#)?;
    let told = scenario
        .until(SERVICE, |service| required(service) && is_ready(service))
        .await?;
    let first = told["status"]["rollout"]["id"].clone();
    scenario.is_quiet().await?;
    scenario.kubectl.run(&[
        "annotate",
        SERVICE,
        "ecs-operator.dev/restartedAt=2099-01-01T00:00:00Z",
    ])?;
    let begun = |service: &Value, before: &Value| {
        service["status"]["rollout"]["id"] != *before && !required(service)
    };
    let second = scenario
        .until(SERVICE, |service| begun(service, &first))
        .await?["status"]["rollout"]["id"]
        .clone();
    scenario.wait_ready(&OBJECTS)?;
    // Without being told, where the spec says so.
    patch(r#"{"enableExecuteCommand": false, "rollout": {"restartOnSettings": true}}"#)?;
    scenario
        .until(SERVICE, |service| begun(service, &second))
        .await?;
    scenario.wait_ready(&OBJECTS)?;
    scenario.is_quiet().await?;
    scenario.end().await
}

pub(crate) async fn a_service_can_be_deleted_while_it_rolls(world: &World) -> Result<()> {
    let scenario = world.rolling_scenario("delete-rolling").await?;
    scenario.kubectl.apply(&plain("web:1"))?;
    scenario.wait_ready(&OBJECTS)?;
    scenario.kubectl.apply(&plain("crash:2"))?;
    scenario
        .until(SERVICE, |service| {
            service["status"]["rollout"]["revision"] == "web:2"
        })
        .await?;
    scenario
        .kubectl
        .run(&["delete", "ecs", "--all", "--wait=false"])?;
    scenario.until_empty().await?;
    let revisions = scenario
        .outsider
        .list_task_definitions()
        .family_prefix("web")
        .send()
        .await?;
    ensure!(revisions.task_definition_arns().is_empty(), "{revisions:?}");
    scenario.end().await
}
