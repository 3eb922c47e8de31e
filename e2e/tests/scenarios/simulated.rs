//! What no emulator shows, on the simulator: deployments that shift traffic, wait, and go back, and
//! a service that drains. Its clock moves only when a scenario moves it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::aws_proxy::Call;
use e2e::samples::{CLUSTER, TASK_DEFINITION};
use e2e::simulator::{Clock, Simulator};
use e2e::wait;
use e2e::world::{PATIENCE, Scenario, World, is_ready, ready};
use serde_json::Value;

use crate::basics::SERVICE;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// The sample of a canary deployment, with an alarm and a pause.
const CANARY: &str = include_str!("../../../samples/cases/canary.yaml");

/// The sample of a blue/green deployment.
const BLUE_GREEN: &str = include_str!("../../../samples/cases/blue-green.yaml");

/// A scenario whose operator works on a simulator.
pub(crate) async fn simulated<'a>(
    world: &'a World,
    name: &str,
) -> Result<(Scenario<'a>, Simulator)> {
    let simulator = Simulator::start(Clock::stopped()).await?;
    let mut scenario = world.scenario_without_operator(name).await?;
    scenario.use_server(&simulator.url).await?;
    scenario.start_operator()?;
    scenario.operator()?.ready().await?;
    Ok((scenario, simulator))
}

/// The sample of a service, of the name `web` and with a reference to the task definition.
fn service(sample: &str, name: &str) -> String {
    sample
        .replace(&format!("name: {name}\n"), "name: web\n")
        .replace("taskDefinition: web", "taskDefinitionRef: {name: web}")
}

/// Moves the clock by steps until this holds of an object.
pub(crate) async fn until(
    (scenario, simulator): (&Scenario<'_>, &Simulator),
    object: &str,
    step: Duration,
    holds: impl Fn(&Value) -> bool,
) -> Result<Value> {
    wait::until(object, PATIENCE, async || {
        simulator.advance(step);
        let found = scenario.get(object)?;
        ensure!(holds(&found), "{}", found["status"]);
        Ok(found)
    })
    .await
}

pub(crate) fn has_reason(object: &Value, reason: &str) -> bool {
    ready(object).is_some_and(|ready| ready["reason"] == reason)
}

fn annotate(scenario: &Scenario<'_>, annotation: &str) -> Result<()> {
    scenario
        .kubectl
        .run(&["annotate", SERVICE, annotation])
        .map(drop)
}

pub(crate) async fn a_canary_is_rolled_back_half_way_by_an_alarm(world: &World) -> Result<()> {
    let (scenario, simulator) = simulated(world, "canary").await?;
    let both = (&scenario, &simulator);
    let canary = service(CANARY, "canary");
    scenario
        .kubectl
        .apply(&format!("{CLUSTER}---\n{TASK_DEFINITION}---\n{canary}"))?;
    until(both, SERVICE, SECOND, is_ready).await?;
    scenario
        .kubectl
        .apply(&TASK_DEFINITION.replace("nginx:1.29", "nginx:1.30"))?;
    until(both, SERVICE, SECOND, |service| {
        has_reason(service, "AwaitingApproval")
    })
    .await?;
    annotate(
        &scenario,
        "ecs-operator.dev/continueAt=2026-12-01T12:00:00Z",
    )?;
    let weight =
        |service: &Value| service["status"]["rollout"]["requestedProductionTrafficWeight"].as_f64();
    until(both, SERVICE, SECOND, |service| {
        weight(service) == Some(10.0)
    })
    .await?;
    simulator.set_alarms(&scenario.account, &["shop-5xx"]);
    let back = |service: &Value| {
        has_reason(service, "DeploymentRolledBack") && service["status"]["revision"] == "web:1"
    };
    let object = until(both, SERVICE, SECOND, back).await?;
    let message = ready(&object).context("a condition")?["message"].to_string();
    ensure!(message.contains("alarms went off: shop-5xx"), "{message}");
    // The alarm is over, and the operator does not try again.
    simulator.set_alarms(&scenario.account, &[]);
    let updates = scenario.aws_proxy.counts().of("UpdateService");
    scenario.is_quiet().await?;
    ensure!(scenario.aws_proxy.counts().of("UpdateService") == updates);
    scenario.end().await
}

pub(crate) async fn a_blue_green_deployment_waits_at_its_pause_and_continues(
    world: &World,
) -> Result<()> {
    let (scenario, simulator) = simulated(world, "blue-green").await?;
    let both = (&scenario, &simulator);
    let lambda = BLUE_GREEN
        .lines()
        .filter(|line| line.contains("function:smoke-test") || line.contains("role/ecs/hooks"));
    let mut sample = service(BLUE_GREEN, "blue-green");
    for line in lambda {
        let pause = if line.contains("hookTargetArn") {
            "      - targetType: PAUSE\n"
        } else {
            ""
        };
        sample = sample.replace(&format!("{line}\n"), pause);
    }
    scenario
        .kubectl
        .apply(&format!("{CLUSTER}---\n{TASK_DEFINITION}---\n{sample}"))?;
    until(both, SERVICE, SECOND, is_ready).await?;
    scenario
        .kubectl
        .apply(&TASK_DEFINITION.replace("nginx:1.29", "nginx:1.30"))?;
    until(both, SERVICE, SECOND, |service| {
        has_reason(service, "AwaitingApproval")
    })
    .await?;
    // It waits for as long as nobody continues it.
    simulator.advance(3600 * SECOND);
    scenario.looks(4).await?;
    let waiting = scenario.get(SERVICE)?;
    ensure!(
        has_reason(&waiting, "AwaitingApproval"),
        "{}",
        waiting["status"]
    );
    annotate(
        &scenario,
        "ecs-operator.dev/continueAt=2026-12-01T12:00:00Z",
    )?;
    until(both, SERVICE, SECOND, |service| {
        has_reason(service, "Baking")
    })
    .await?;
    let updated = |service: &Value| is_ready(service) && service["status"]["revision"] == "web:2";
    until(both, SERVICE, 60 * SECOND, updated).await?;
    ensure!(scenario.aws_proxy.counts().of("ContinueServiceDeployment") == 1);
    scenario.is_quiet().await?;
    scenario.end().await
}

pub(crate) async fn a_service_that_drains_for_two_minutes_keeps_its_object(
    world: &World,
) -> Result<()> {
    let (scenario, simulator) = simulated(world, "drains").await?;
    let both = (&scenario, &simulator);
    let definition = TASK_DEFINITION.replace("nginx:1.29", "stubborn:1").replace(
        "      essential: true\n",
        "      essential: true\n      stopTimeout: 120\n",
    );
    ensure!(definition.contains("stopTimeout: 120"), "{definition}");
    let service = e2e::samples::SERVICE;
    scenario
        .kubectl
        .apply(&format!("{CLUSTER}---\n{definition}---\n{service}"))?;
    until(both, SERVICE, SECOND, is_ready).await?;
    scenario.kubectl.run(&["delete", SERVICE, "--wait=false"])?;
    let drains = |service: &Value| service["status"]["status"] == "DRAINING";
    // The status shows it when it lasts; the clock of the simulator stands still until then.
    until(both, SERVICE, Duration::ZERO, drains).await?;
    simulator.advance(60 * SECOND);
    scenario.looks(4).await?;
    ensure!(drains(&scenario.get(SERVICE)?), "half of the time is over");
    simulator.advance(70 * SECOND);
    wait::until("the end", PATIENCE, async || {
        let left = scenario.kubectl.run(&["get", "ecsservice", "-o", "name"])?;
        ensure!(left.is_empty(), "{left} is left");
        Ok(())
    })
    .await?;
    scenario.end().await
}

/// With the share of the quotas that it has by default, the operator is never throttled.
pub(crate) async fn a_bulk_apply_stays_within_the_published_quotas(world: &World) -> Result<()> {
    let simulator = Simulator::start(Clock::wall()).await?;
    let mut scenario = world.scenario_without_operator("quotas").await?;
    scenario.use_server(&simulator.url).await?;
    scenario.start_operator()?;
    let pair = |number: usize| {
        let object = |kind: &str, spec: &str| {
            format!(
                "---\napiVersion: ecs-operator.dev/v1beta1\nkind: {kind}\nmetadata: {{name: web-{number}}}\nspec: {spec}\n"
            )
        };
        let definition = "{containerDefinitions: [{name: web, image: nginx, memory: 64}]}";
        let service =
            format!("{{clusterRef: {{name: shop}}, taskDefinitionRef: {{name: web-{number}}}}}");
        object("EcsTaskDefinition", definition) + &object("EcsService", &service)
    };
    // More than the burst of registrations.
    let pairs: String = (0..30).map(pair).collect();
    scenario.kubectl.apply(&format!("{CLUSTER}{pairs}"))?;
    scenario.kubectl.run(&[
        "wait",
        "ecsservices",
        "--all",
        "--for=condition=Ready",
        "--timeout=120s",
    ])?;
    let calls = scenario.aws_proxy.calls();
    // A service may be looked up before its cluster is there, which is another error.
    let is_throttled = |call: &&Call| call.error.as_deref() == Some("ThrottlingException");
    let throttled: Vec<_> = calls.iter().filter(is_throttled).collect();
    ensure!(throttled.is_empty(), "{throttled:?}");
    let registered = calls
        .iter()
        .filter(|call| call.operation == "RegisterTaskDefinition")
        .count();
    ensure!(registered == 30, "{registered} registrations");
    scenario.end().await
}
