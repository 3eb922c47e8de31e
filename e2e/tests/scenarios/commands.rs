//! Commands by annotation, and who may change the number of tasks.

use anyhow::{Result, ensure};
use e2e::wait;
use e2e::world::{PATIENCE, Scenario, World, condition};

use crate::basics::{OBJECTS, SAMPLES, SERVICE};

/// Sets an annotation of the service.
fn annotate(scenario: &Scenario<'_>, command: &str, value: &str) -> Result<()> {
    scenario
        .kubectl
        .run(&[
            "annotate",
            "--overwrite",
            SERVICE,
            &format!("ecs-operator.dev/{command}={value}"),
        ])
        .map(drop)
}

/// Awaits that the service says why it refuses a command, in a condition and one event.
async fn until_refused(scenario: &Scenario<'_>, words: &str) -> Result<()> {
    let says = |service: &serde_json::Value| {
        let refusal =
            condition(service, "CommandAccepted").and_then(|refusal| refusal["message"].as_str());
        refusal.is_some_and(|message| message.contains(words))
    };
    let service = scenario.until(SERVICE, says).await?;
    ensure!(
        e2e::world::ready(&service).is_some_and(|ready| ready["status"] == "True"),
        "it runs as before: {service}"
    );
    // The event follows the status that it tells of.
    wait::until("the event", PATIENCE, async || {
        let told = scenario.events("web").await?.into_iter();
        let told = told
            .filter(|(reason, note)| reason == "CommandRefused" && note.contains(words))
            .count();
        ensure!(told == 1, "told {told} times");
        Ok(())
    })
    .await
}

pub(crate) async fn nonsense_is_refused_with_words_and_changes_nothing(
    world: &World,
) -> Result<()> {
    let scenario = world.scenario("nonsense").await?;
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;
    let writes = scenario.aws_proxy.counts().writes();
    let rows = [
        ("restartedAt", "soon", "is not a time"),
        (
            "rollbackTo",
            "web:7",
            "is not a revision of status.rolloutHistory",
        ),
        (
            "continueAt",
            "2026-01-01T00:00:00Z",
            "no deployment waits at a pause hook",
        ),
        (
            "stopAt",
            "2026-01-01T00:00:00Z",
            "no service deployment that could be stopped",
        ),
    ];
    for (command, value, words) in rows {
        annotate(&scenario, command, value)?;
        until_refused(&scenario, words).await?;
        scenario
            .kubectl
            .run(&["annotate", SERVICE, &format!("ecs-operator.dev/{command}-")])?;
        scenario
            .until(SERVICE, |service| {
                condition(service, "CommandAccepted").is_none()
            })
            .await?;
    }
    ensure!(
        scenario.aws_proxy.counts().writes() == writes,
        "{:?}",
        scenario.aws_proxy.counts()
    );
    scenario.end().await
}

pub(crate) async fn a_rollback_by_command_stays_until_the_spec_changes(
    world: &World,
) -> Result<()> {
    let mut scenario = world.scenario("rollback").await?;
    for number in 1..=2 {
        scenario
            .kubectl
            .apply(&SAMPLES.replace("nginx:1.29", &format!("nginx:{number}")))?;
        let revision = format!("web:{number}");
        scenario
            .until(SERVICE, |service| {
                service["status"]["revision"] == revision.as_str()
            })
            .await?;
        scenario.wait_ready(&OBJECTS)?;
    }
    let history = scenario.get(SERVICE)?["status"]["rolloutHistory"].clone();
    ensure!(
        history[0]["revision"] == "web:1" && history[0]["result"] == "Succeeded",
        "{history}"
    );

    annotate(&scenario, "rollbackTo", "web:1")?;
    let message = scenario
        .until_ready_is(SERVICE, "False", "RolledBackOnCommand")
        .await?;
    ensure!(message.contains("web:1 instead of web:2"), "{message}");
    scenario
        .until_event("web", "UpdateService", &["back to web:1"])
        .await?;
    scenario.is_quiet().await?;
    // It stays after a restart of the operator, and after another number of tasks.
    scenario.operator()?.process.kill().await?;
    scenario.start_operator()?;
    scenario.kubectl.run(&["scale", SERVICE, "--replicas=3"])?;
    let scaled = scenario
        .until(SERVICE, |service| service["status"]["runningCount"] == 3)
        .await?;
    ensure!(scaled["status"]["revision"] == "web:1", "{scaled}");
    scenario.is_quiet().await?;

    // kubectl scale owns the number now.
    let samples = |image: &str| {
        SAMPLES
            .replace("  desiredCount: 2\n", "")
            .replace("nginx:1.29", image)
    };
    scenario.kubectl.apply(&samples("nginx:3"))?;
    scenario
        .until(SERVICE, |service| service["status"]["revision"] == "web:3")
        .await?;
    scenario.wait_ready(&OBJECTS)?;
    // A revision that is gone cannot come back.
    scenario
        .outsider
        .deregister_task_definition()
        .task_definition("web:2")
        .send()
        .await?;
    scenario.kubectl.apply(&samples("nginx:4"))?;
    scenario
        .until(SERVICE, |service| service["status"]["revision"] == "web:4")
        .await?;
    scenario.wait_ready(&OBJECTS)?;
    annotate(&scenario, "rollbackTo", "web:2")?;
    until_refused(&scenario, "web:2 is ").await?;
    scenario.end().await
}

pub(crate) async fn a_number_of_tasks_that_is_somebody_elses_stays(world: &World) -> Result<()> {
    let scenario = world.scenario("count").await?;
    let outside = async |count: i32| {
        scenario
            .outsider
            .update_service()
            .cluster("shop")
            .service("web")
            .desired_count(count)
            .send()
            .await
    };
    let samples = |count: &str| SAMPLES.replace("  desiredCount: 2\n", count);
    // By default it is the spec's.
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;
    outside(5).await?;
    scenario
        .until(SERVICE, |service| service["status"]["desiredCount"] == 2)
        .await?;
    // External: the last word counts, whoever has it.
    scenario.kubectl.apply(&samples(
        "  desiredCount: 2\n  desiredCountOwner: External\n",
    ))?;
    scenario.wait_ready(&OBJECTS)?;
    let updates = scenario.aws_proxy.counts().of("UpdateService");
    outside(5).await?;
    scenario
        .until(SERVICE, |service| service["status"]["runningCount"] == 5)
        .await?;
    scenario.is_quiet().await?;
    ensure!(
        scenario.aws_proxy.counts().of("UpdateService") == updates,
        "{:?}",
        scenario.aws_proxy.counts()
    );
    scenario.kubectl.run(&["scale", SERVICE, "--replicas=3"])?;
    scenario
        .until(SERVICE, |service| service["status"]["runningCount"] == 3)
        .await?;
    // Absent: nobody is asked.
    scenario.kubectl.run(&[
        "patch",
        SERVICE,
        "--type=merge",
        "-p",
        r#"{"spec":{"desiredCount":null,"desiredCountOwner":null}}"#,
    ])?;
    scenario.wait_ready(&OBJECTS)?;
    outside(1).await?;
    scenario
        .until(SERVICE, |service| service["status"]["runningCount"] == 1)
        .await?;
    scenario.is_quiet().await?;
    ensure!(
        scenario.aws_proxy.counts().of("UpdateService") == updates + 1,
        "{:?}",
        scenario.aws_proxy.counts()
    );

    // A DAEMON has no number, and an owner needs one.
    let service = |count: &str, name: &str| {
        let samples = samples(count);
        let service = samples.rsplit("---\n").next().unwrap_or_default();
        service.replacen("  name: web\n", &format!("  name: {name}\n"), 1)
    };
    let daemon = service("  schedulingStrategy: DAEMON\n", "agent")
        .replace("launchType: FARGATE", "launchType: EC2");
    scenario.kubectl.apply(&daemon)?;
    let refused = scenario
        .kubectl
        .run(&["scale", "ecsservice/agent", "--replicas=2"])
        .expect_err("a DAEMON")
        .to_string();
    ensure!(
        refused.contains("desiredCount has no meaning with schedulingStrategy DAEMON"),
        "{refused}"
    );
    let refused = scenario.kubectl.refused(&service(
        "  desiredCountOwner: Spec
",
        "other",
    ))?;
    ensure!(
        refused.contains("desiredCountOwner needs desiredCount"),
        "{refused}"
    );
    scenario.end().await
}
