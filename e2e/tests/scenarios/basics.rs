//! The life of the three objects when all is well.

use anyhow::{Context, Result, ensure};
use aws_sdk_ecs::types::Tag;
use e2e::aws_server;
pub(crate) use e2e::samples::SAMPLES;
use e2e::wait;
use e2e::world::{PATIENCE, World, ready};

/// Their names for kubectl.
pub(crate) const OBJECTS: [&str; 3] =
    ["ecscluster/shop", "ecstaskdefinition/web", "ecsservice/web"];

/// The service among them.
pub(crate) const SERVICE: &str = OBJECTS[2];

pub(crate) async fn three_objects_become_ready_and_stay_quiet(world: &World) -> Result<()> {
    let scenario = world.scenario("create").await?;
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;

    let counts = scenario.aws_proxy.counts();
    ensure!(counts.writes() == 3, "{counts:?}");
    ensure!(counts.reads() <= 10, "{counts:?}");
    let service = aws_server::service(&scenario.outsider, "shop", "web").await?;
    ensure!(
        service.running_count() == 2 && service.desired_count() == 2,
        "{service:?}"
    );
    ensure!(
        service
            .task_definition()
            .is_some_and(|arn| arn.ends_with("task-definition/web:1")),
        "{service:?}"
    );

    scenario.is_quiet().await?;
    let service = scenario.get(SERVICE)?;
    ensure!(
        service["status"]["observedGeneration"] == service["metadata"]["generation"],
        "{service}"
    );
    ensure!(service["status"]["revision"] == "web:1", "{service}");
    ensure!(
        ready(&service).is_some_and(|ready| ready["message"] == "2 of 2 tasks run web:1"),
        "{service}"
    );
    scenario.told_once("web", "CreateService").await?;
    scenario.end().await
}

pub(crate) async fn a_new_image_rolls_the_service_to_exactly_that_revision(
    world: &World,
) -> Result<()> {
    let scenario = world.scenario("roll").await?;
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;

    scenario
        .kubectl
        .apply(&SAMPLES.replace("nginx:1.29", "nginx:1.30"))?;
    scenario
        .until(SERVICE, |service| service["status"]["revision"] == "web:2")
        .await?;
    scenario.wait_ready(&OBJECTS)?;
    let counts = scenario.aws_proxy.counts();
    ensure!(
        counts.of("RegisterTaskDefinition") == 2 && counts.of("UpdateService") == 1,
        "{counts:?}"
    );
    let update = scenario
        .aws_proxy
        .calls()
        .into_iter()
        .find(|call| call.operation == "UpdateService")
        .context("it was sent")?;
    ensure!(
        update.request["taskDefinition"]
            .as_str()
            .is_some_and(|arn| arn.ends_with(":2")),
        "{update:?}"
    );
    ensure!(
        update.request.get("desiredCount").is_none(),
        "only what differs is sent: {update:?}"
    );
    scenario.is_quiet().await?;
    scenario.end().await
}

pub(crate) async fn the_same_manifests_applied_again_change_nothing(world: &World) -> Result<()> {
    let scenario = world.scenario("again").await?;
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;
    let before = scenario.aws_proxy.counts().writes();
    scenario.kubectl.apply(SAMPLES)?;
    // The same environment in another order means the same.
    let reordered = SAMPLES.replace(
        "      environment:\n        - name: LOG_LEVEL\n          value: info\n",
        "      environment:\n        - name: LOG_LEVEL\n          value: info\n        - name: A\n          value: b\n",
    );
    ensure!(
        reordered != SAMPLES,
        "the sample still has the environment that this test changes"
    );
    scenario.kubectl.apply(&reordered)?;
    scenario
        .until(OBJECTS[1], |definition| {
            definition["status"]["revision"] == 2
        })
        .await?;
    let swapped = reordered.replace(
        "        - name: LOG_LEVEL\n          value: info\n        - name: A\n          value: b\n",
        "        - name: A\n          value: b\n        - name: LOG_LEVEL\n          value: info\n",
    );
    scenario.kubectl.apply(&swapped)?;
    scenario.wait_ready(&OBJECTS)?;
    scenario.is_quiet().await?;
    let counts = scenario.aws_proxy.counts();
    ensure!(
        counts.of("RegisterTaskDefinition") == 2 && counts.writes() == before + 2,
        "{counts:?}"
    );
    scenario.end().await
}

pub(crate) async fn tags_follow_the_spec_and_foreign_tags_stay(world: &World) -> Result<()> {
    let scenario = world.scenario("tags").await?;
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;
    let service = scenario.get(SERVICE)?;
    let arn = service["status"]["serviceArn"]
        .as_str()
        .context("the service has an ARN")?;
    let foreign = Tag::builder().key("cost-center").value("42").build();
    scenario
        .outsider
        .tag_resource()
        .resource_arn(arn)
        .tags(foreign)
        .send()
        .await?;

    let renamed = SAMPLES.replace(
        "  tags:\n    - key: team\n      value: checkout\n",
        "  tags:\n    - key: squad\n      value: cart\n",
    );
    scenario.kubectl.apply(&renamed)?;
    let keys = wait::until("tags", PATIENCE, async || {
        let service = aws_server::service(&scenario.outsider, "shop", "web").await?;
        let tags = service.tags().to_vec();
        let mut keys: Vec<_> = tags
            .iter()
            .filter_map(|tag| tag.key().map(str::to_owned))
            .collect();
        keys.sort();
        ensure!(
            keys.contains(&"squad".to_owned()) && !keys.contains(&"team".to_owned()),
            "{keys:?}"
        );
        Ok(keys)
    })
    .await?;
    ensure!(
        keys == [
            "cost-center",
            "ecs-operator.dev/owner",
            "ecs-operator.dev/spec-hash",
            "squad"
        ],
        "{keys:?}"
    );
    scenario.wait_ready(&OBJECTS)?;
    ensure!(
        scenario.aws_proxy.counts().of("UpdateService") == 0,
        "tags have calls of their own"
    );
    scenario.is_quiet().await?;
    scenario.end().await
}

pub(crate) async fn kubectl_scales_restarts_and_asks_for_a_look(world: &World) -> Result<()> {
    let scenario = world.scenario("commands").await?;
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;
    scenario.kubectl.run(&["scale", SERVICE, "--replicas=4"])?;
    scenario
        .until(SERVICE, |service| service["status"]["runningCount"] == 4)
        .await?;
    scenario.wait_ready(&OBJECTS)?;
    let scale = scenario
        .kubectl
        .run(&["get", SERVICE, "--subresource=scale", "-o", "json"])?;
    let scale: serde_json::Value = serde_json::from_str(&scale)?;
    ensure!(
        scale["spec"]["replicas"] == 4 && scale["status"]["replicas"] == 4,
        "{scale}"
    );
    ensure!(
        scale["status"]["selector"]
            .as_str()
            .is_some_and(|selector| selector.starts_with("ecs-operator.dev/")),
        "{scale}"
    );
    let refusal = scenario
        .kubectl
        .run(&["scale", SERVICE, "--replicas=-1"])
        .expect_err("a count below 0")
        .to_string();
    ensure!(refusal.contains("replicas"), "{refusal}");

    scenario.is_quiet().await?;
    let deployment = scenario.get(SERVICE)?["status"]["deployments"][0]["id"].clone();
    scenario.kubectl.run(&[
        "annotate",
        SERVICE,
        "ecs-operator.dev/restartedAt=2099-01-01T00:00:00Z",
    ])?;
    let restarted = scenario
        .until(SERVICE, |service| {
            service["status"]["handledCommands"][0]["value"] == "2099-01-01T00:00:00Z"
        })
        .await?;
    ensure!(
        restarted["status"]["deployments"][0]["id"] != deployment,
        "{restarted}"
    );
    scenario.wait_ready(&OBJECTS)?;
    scenario.is_quiet().await?;
    let forced = scenario
        .aws_proxy
        .calls()
        .into_iter()
        .filter(|call| call.request["forceNewDeployment"] == true)
        .count();
    ensure!(forced == 1, "{forced} forced deployments");

    let looks = scenario.aws_proxy.counts().of("ListTaskDefinitions");
    for (object, annotation) in [
        (OBJECTS[1], "ecs-operator.dev/reconcileAt"),
        (OBJECTS[0], "reconcile.fluxcd.io/requestedAt"),
    ] {
        scenario
            .kubectl
            .run(&["annotate", object, &format!("{annotation}=now-1")])?;
        scenario
            .until(object, |found| {
                found["status"]["lastHandledReconcileAt"] == "now-1"
            })
            .await?;
    }
    ensure!(
        scenario.aws_proxy.counts().of("ListTaskDefinitions") > looks,
        "{:?}",
        scenario.aws_proxy.counts()
    );
    scenario.is_quiet().await?;
    scenario.end().await
}

pub(crate) async fn resets_members_that_the_spec_drops(world: &World) -> Result<()> {
    let scenario = world.scenario("drop").await?;
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;
    let breaker = "    deploymentCircuitBreaker:\n      enable: true\n      rollback: true\n";
    let without = SAMPLES.replace(breaker, "");
    ensure!(
        without != SAMPLES,
        "the sample has the circuit breaker that this test drops"
    );
    scenario.kubectl.apply(&without)?;
    wait::until("the circuit breaker", PATIENCE, async || {
        let service = aws_server::service(&scenario.outsider, "shop", "web").await?;
        let configuration = service
            .deployment_configuration()
            .context("a configuration")?
            .clone();
        let breaker = configuration.deployment_circuit_breaker();
        ensure!(
            breaker.is_some_and(|breaker| !breaker.enable() && !breaker.rollback()),
            "{configuration:?}"
        );
        Ok(())
    })
    .await?;
    scenario.wait_ready(&OBJECTS)?;
    ensure!(
        scenario.aws_proxy.counts().of("UpdateService") == 1,
        "{:?}",
        scenario.aws_proxy.counts()
    );
    scenario.is_quiet().await?;
    scenario.end().await
}

pub(crate) async fn kubectl_explains_prints_and_waits(world: &World) -> Result<()> {
    let scenario = world.scenario("kubectl").await?;
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;
    let kubectl = &scenario.kubectl;

    let all = kubectl.run(&["get", "ecs"])?;
    for words in [
        "ecscluster.ecs-operator.dev/shop",
        "ecstaskdefinition.ecs-operator.dev/web",
        "ecsservice.ecs-operator.dev/web",
    ] {
        ensure!(all.contains(words), "{words} is not in\n{all}");
    }
    let rows = [
        ("ecsc", "NAME READY REASON SERVICES TASKS AGE ARN MESSAGE"),
        ("ecstd", "NAME READY REASON REVISION AGE ARN MESSAGE"),
        (
            "ecssvc",
            "NAME READY REASON REVISION DESIRED RUNNING AGE ROLLOUT MIN MAX ARN MESSAGE",
        ),
    ];
    for (kind, columns) in rows {
        let wide = kubectl.run(&["get", kind, "-o", "wide"])?;
        let head: Vec<_> = wide
            .lines()
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        ensure!(head.join(" ") == columns, "{wide}");
        ensure!(
            wide.contains("True") && wide.contains("Succeeded"),
            "{wide}"
        );
    }
    let selected = kubectl.run(&[
        "get",
        "ecssvc",
        "--field-selector",
        "spec.taskDefinitionRef.name=web",
        "-o",
        "name",
    ])?;
    ensure!(
        selected.trim() == "ecsservice.ecs-operator.dev/web",
        "{selected}"
    );

    let rows = [
        ("ecscluster.spec.settings", "containerInsights"),
        (
            "ecstaskdefinition.spec.containerDefinitions.healthCheck.interval",
            "Seconds between two checks, 5 to 300",
        ),
        (
            "ecsservice.spec.deploymentConfiguration.deploymentCircuitBreaker.rollback",
            "the last deployment that completed",
        ),
        ("ecsservice.spec.taskDefinitionRef", "rolls when it changes"),
        ("ecsservice.status.conditions", "Reconciling or Stalled"),
    ];
    for (field, words) in rows {
        // kubectl breaks lines where it likes.
        let text = kubectl
            .run(&["explain", field])?
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        ensure!(text.contains(words), "{words} is not in\n{text}");
    }
    scenario.end().await
}
