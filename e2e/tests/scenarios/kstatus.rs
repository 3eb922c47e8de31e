//! What Kubernetes tools make of each state that a service can be in, judged by the kstatus library
//! itself.

use anyhow::{Context, Result, ensure};
use e2e::recorder::judge;
use e2e::samples::plain;
use e2e::wait;
use e2e::world::{PATIENCE, Scenario, World, ready};
use ecs_operator::k8s::conditions::{State, Verdict, conditions};
use ecs_operator_crds::condition::Reason;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::basics::{OBJECTS, SERVICE};

/// Status and message of the service as kstatus reads it.
fn status(scenario: &Scenario<'_>) -> Result<String> {
    let judged = judge(&scenario.world.judges()?.kstatus, &[scenario.get(SERVICE)?])?;
    Ok(judged.first().context("a judgement")?.to_string())
}

/// Awaits that the service is `Ready` with this reason, and checks what kstatus makes of it.
async fn expect(scenario: &Scenario<'_>, reason: &str, judgement: &str) -> Result<()> {
    let is = |service: &Value| {
        let looked = service["status"]["observedGeneration"] == service["metadata"]["generation"];
        looked && ready(service).is_some_and(|ready| ready["reason"] == reason)
    };
    let service = scenario.until(SERVICE, is).await?;
    let judged = judge(&scenario.world.judges()?.kstatus, &[service])?;
    ensure!(
        judged[0].to_string() == judgement,
        "{reason} is {}, not {judgement}",
        judged[0]
    );
    Ok(())
}

pub(crate) async fn every_row_of_the_state_map_is_what_kubernetes_tools_expect(
    world: &World,
) -> Result<()> {
    let mut scenario = world.rolling_scenario("kstatus").await?;
    scenario.operator()?.process.stop().await?;
    let (cluster, rest) = {
        let all = plain("slow-kstatus:1").replace(
            "spec:\n  clusterRef",
            "spec:\n  rollout: {unavailableAfterSeconds: 0}\n  clusterRef",
        );
        let (cluster, rest) = all.split_once("---\n").context("three documents")?;
        (cluster.to_owned(), rest.to_owned())
    };
    scenario.kubectl.apply(&rest)?;
    ensure!(status(&scenario)? == "InProgress", "not seen yet");
    scenario.start_operator()?;
    expect(&scenario, "DependencyNotReady", "InProgress").await?;
    scenario.kubectl.apply(&cluster)?;
    expect(&scenario, "Progressing", "InProgress").await?;
    expect(&scenario, "Succeeded", "Current").await?;

    scenario.operator()?.process.stop().await?;
    scenario.kubectl.run(&[
        "patch",
        SERVICE,
        "--type=merge",
        "-p",
        r#"{"spec":{"healthCheckGracePeriodSeconds":5}}"#,
    ])?;
    ensure!(
        status(&scenario)? == "InProgress",
        "a spec that nobody has looked at"
    );
    scenario.start_operator()?;
    expect(&scenario, "Succeeded", "Current").await?;

    ensure!(
        world.rolling().await?.engine.crash("slow-kstatus", 1),
        "a container runs"
    );
    expect(&scenario, "Unavailable", "InProgress").await?;
    expect(&scenario, "Succeeded", "Current").await?;

    let patch = |patch: &str| {
        scenario
            .kubectl
            .run(&["patch", SERVICE, "--type=merge", "-p", patch])
            .map(drop)
    };
    patch(r#"{"spec":{"suspend":true}}"#)?;
    scenario
        .until(SERVICE, |service| {
            e2e::world::condition(service, "Suspended").is_some()
        })
        .await?;
    ensure!(
        status(&scenario)? == "Current",
        "suspended while all is well"
    );
    patch(r#"{"spec":{"suspend":false,"ignoreFields":["nonsense"]}}"#)?;
    expect(&scenario, "InvalidSpec", "Failed").await?;
    patch(r#"{"spec":{"ignoreFields":null}}"#)?;
    expect(&scenario, "Succeeded", "Current").await?;

    let definition = plain("crash:2");
    let definition = definition
        .split("---\n")
        .nth(1)
        .context("three documents")?;
    scenario.kubectl.apply(definition)?;
    expect(&scenario, "DeploymentRolledBack", "Failed").await?;
    scenario.kubectl.run(&[
        "patch",
        SERVICE,
        "--type=json",
        "-p",
        r#"[{"op":"add","path":"/metadata/finalizers/-","value":"test/hold"}]"#,
    ])?;
    scenario.kubectl.run(&["delete", SERVICE, "--wait=false"])?;
    let held = |service: &Value| service["metadata"]["finalizers"] == json!(["test/hold"]);
    scenario.until(SERVICE, held).await?;
    ensure!(status(&scenario)? == "Terminating", "being deleted");
    scenario.kubectl.run(&[
        "patch",
        SERVICE,
        "--type=merge",
        "-p",
        r#"{"metadata":{"finalizers":null}}"#,
    ])?;
    scenario.kubectl.run(&["delete", "ecs", "--all"])?;
    scenario.end().await
}

/// What no emulator shows: every state with every reason that goes with it.
pub(crate) async fn every_state_of_the_conditions_has_its_judgement(world: &World) -> Result<()> {
    let rows = [
        (State::Ready, vec![Reason::Succeeded], "Current"),
        (
            State::Progressing,
            vec![
                Reason::Progressing,
                Reason::Baking,
                Reason::AwaitingApproval,
                Reason::Deleting,
            ],
            "InProgress",
        ),
        (
            State::Waiting,
            vec![
                Reason::Unavailable,
                Reason::Throttled,
                Reason::AwsUnavailable,
                Reason::DependencyNotReady,
            ],
            "InProgress",
        ),
        (
            State::Stalled,
            vec![
                Reason::DeploymentStopped,
                Reason::ProgressDeadlineExceeded,
                Reason::RolledBackOnCommand,
            ],
            "Failed",
        ),
    ];
    for (state, reasons, judgement) in rows {
        for reason in reasons {
            let verdict = Verdict::new(state, reason, "words");
            let conditions =
                serde_json::to_value(conditions(&[], &verdict, Some(2), Timestamp::now()))?;
            let object = |observed: i64| {
                json!({"apiVersion": "ecs-operator.dev/v1beta1", "kind": "EcsService", "metadata": {"name": "web", "generation": 2},
                    "status": {"observedGeneration": observed, "conditions": conditions}})
            };
            let judged = judge(&world.judges()?.kstatus, &[object(2), object(1)])?;
            ensure!(
                judged[0].to_string() == judgement,
                "{reason} is {}, not {judgement}",
                judged[0]
            );
            ensure!(
                judged[1].to_string() == "InProgress",
                "{reason} of an older generation is {}",
                judged[1]
            );
        }
    }
    Ok(())
}

/// The samples on a world without trouble leave a record, and it is judged like every other.
pub(crate) async fn records_every_status_until_ready(world: &World) -> Result<()> {
    let scenario = world.scenario("record").await?;
    scenario.kubectl.apply(crate::basics::SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;
    wait::until("the record", PATIENCE, async || {
        for object in OBJECTS {
            ensure!(scenario.recorder.has(&scenario.get(object)?), "{object}");
        }
        Ok(())
    })
    .await?;
    let versions = scenario
        .recorder
        .check(&world.judges()?.kstatus, &world.judges()?.gitops)?;
    ensure!(
        versions >= 9,
        "each object is at least created, given a finalizer and made Ready: {versions}"
    );
    scenario.end().await
}
