//! The operator, AWS or the credentials go away and come back.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::aws_server::{AwsServer, Kind};
use e2e::process::{free_ports, signal};
use e2e::wait;
use e2e::world::{PATIENCE, Scenario, World};
use k8s_openapi::jiff::Timestamp;
use nix::sys::signal::Signal;

use crate::basics::{OBJECTS, SAMPLES, SERVICE};

/// Applies the samples, kills the operator when AWS has carried out `operation` and before it
/// learns of it, and starts it again.
async fn kill_at(scenario: &mut Scenario<'_>, operation: &str) -> Result<()> {
    let hold = scenario.aws_proxy.hold(operation);
    scenario.kubectl.apply(SAMPLES)?;
    wait::until(operation, PATIENCE, async || {
        ensure!(
            scenario.aws_proxy.counts().of(operation) == 1,
            "{:?}",
            scenario.aws_proxy.counts()
        );
        Ok(())
    })
    .await?;
    scenario.operator()?.process.kill().await?;
    drop(hold);
    scenario.start_operator()?;
    scenario.wait_ready(&OBJECTS)?;
    scenario.is_quiet().await
}

pub(crate) async fn a_lost_reply_and_a_kill_make_no_second_service(world: &World) -> Result<()> {
    let mut scenario = world.scenario("kill-service").await?;
    kill_at(&mut scenario, "CreateService").await?;
    ensure!(
        scenario.aws_proxy.counts().of("CreateService") == 1,
        "{:?}",
        scenario.aws_proxy.counts()
    );
    ensure!(
        scenario.aws_proxy.counts().of("UpdateService") == 0,
        "{:?}",
        scenario.aws_proxy.counts()
    );
    scenario.end().await
}

pub(crate) async fn a_lost_reply_and_a_kill_make_no_second_revision(world: &World) -> Result<()> {
    let mut scenario = world.scenario("kill-revision").await?;
    kill_at(&mut scenario, "RegisterTaskDefinition").await?;
    ensure!(
        scenario.aws_proxy.counts().of("RegisterTaskDefinition") == 1,
        "{:?}",
        scenario.aws_proxy.counts()
    );
    ensure!(scenario.get(SERVICE)?["status"]["revision"] == "web:1");
    scenario.end().await
}

pub(crate) async fn a_lost_reply_to_an_update_makes_no_second_revision(
    world: &World,
) -> Result<()> {
    let mut scenario = world.scenario("kill-update").await?;
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;
    let hold = scenario.aws_proxy.hold("RegisterTaskDefinition");
    scenario
        .kubectl
        .apply(&SAMPLES.replace("nginx:1.29", "nginx:1.30"))?;
    wait::until("the second revision", PATIENCE, async || {
        ensure!(
            scenario.aws_proxy.counts().of("RegisterTaskDefinition") == 2,
            "{:?}",
            scenario.aws_proxy.counts()
        );
        Ok(())
    })
    .await?;
    scenario.operator()?.process.kill().await?;
    drop(hold);
    scenario.start_operator()?;
    scenario
        .until(SERVICE, |service| service["status"]["revision"] == "web:2")
        .await?;
    scenario.wait_ready(&OBJECTS)?;
    scenario.is_quiet().await?;
    ensure!(
        scenario.aws_proxy.counts().of("RegisterTaskDefinition") == 2,
        "{:?}",
        scenario.aws_proxy.counts()
    );
    scenario.end().await
}

pub(crate) async fn a_lost_reply_to_a_restart_makes_no_second_one(world: &World) -> Result<()> {
    let mut scenario = world.scenario("kill-restart").await?;
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;
    // ECS tells by the time at which a deployment began whether it was after the time that is asked
    // for.
    let began = scenario.get(SERVICE)?["status"]["rollout"]["startedAt"]
        .as_str()
        .context("a time")?
        .parse::<Timestamp>()?;
    let at = wait::until("a later second", PATIENCE, async || {
        ensure!(
            Timestamp::now().as_second() > began.as_second(),
            "it is {began}"
        );
        Ok(Timestamp::from_second(Timestamp::now().as_second())?)
    })
    .await?;
    let hold = scenario.aws_proxy.hold("UpdateService");
    scenario.kubectl.run(&[
        "annotate",
        SERVICE,
        &format!("ecs-operator.dev/restartedAt={at}"),
    ])?;
    wait::until("the restart", PATIENCE, async || {
        ensure!(
            scenario.aws_proxy.counts().of("UpdateService") == 1,
            "{:?}",
            scenario.aws_proxy.counts()
        );
        Ok(())
    })
    .await?;
    scenario.operator()?.process.kill().await?;
    drop(hold);
    scenario.start_operator()?;
    scenario
        .until(SERVICE, |service| {
            service["status"]["handledCommands"][0]["value"] == at.to_string()
        })
        .await?;
    scenario.wait_ready(&OBJECTS)?;
    scenario.is_quiet().await?;
    ensure!(
        scenario.aws_proxy.counts().of("UpdateService") == 1,
        "{:?}",
        scenario.aws_proxy.counts()
    );
    scenario.end().await
}

pub(crate) async fn a_restarted_operator_changes_nothing(world: &World) -> Result<()> {
    let mut scenario = world.scenario("restart").await?;
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;
    scenario.is_quiet().await?;
    let writes = scenario.aws_proxy.counts().writes();
    scenario.operator()?.process.kill().await?;
    scenario.start_operator()?;
    scenario.operator()?.ready().await?;
    scenario.is_quiet().await?;
    ensure!(
        scenario.aws_proxy.counts().writes() == writes,
        "{:?}",
        scenario.aws_proxy.counts()
    );

    // A lost status is found again from AWS, without a new revision.
    scenario.operator()?.process.kill().await?;
    for object in OBJECTS {
        scenario.kubectl.run(&[
            "patch",
            object,
            "--subresource=status",
            "--type=merge",
            "-p",
            r#"{"status":null}"#,
        ])?;
    }
    scenario.start_operator()?;
    scenario.wait_ready(&OBJECTS)?;
    scenario.is_quiet().await?;
    ensure!(
        scenario.aws_proxy.counts().writes() == writes,
        "{:?}",
        scenario.aws_proxy.counts()
    );
    ensure!(scenario.get(SERVICE)?["status"]["revision"] == "web:1");
    scenario.end().await
}

pub(crate) async fn aws_may_be_down_at_the_start(world: &World) -> Result<()> {
    let mut scenario = world.scenario_without_operator("down").await?;
    let [port] = free_ports()?;
    scenario
        .use_server(&format!("http://127.0.0.1:{port}"))
        .await?;
    scenario.start_operator()?;
    scenario.operator()?.ready().await?;
    scenario.kubectl.apply(SAMPLES)?;
    let message = scenario
        .until_ready_is(OBJECTS[0], "False", "AwsUnavailable")
        .await?;
    ensure!(message.starts_with("DescribeClusters: "), "{message}");
    scenario.told_once("shop", "AwsUnavailable").await?;

    let mut server =
        AwsServer::start_at(Kind::Ministack, &world.dir.join(&scenario.namespace), port).await?;
    scenario.wait_ready(&OBJECTS)?;
    ensure!(
        scenario.aws_proxy.counts().writes() == 3,
        "{:?}",
        scenario.aws_proxy.counts()
    );
    server.stop().await?;
    scenario.end().await
}

pub(crate) async fn missing_credentials_are_named_and_found_later(world: &World) -> Result<()> {
    let mut scenario = world.scenario_without_operator("credentials").await?;
    let environment = scenario.options.environment.clone();
    scenario
        .options
        .environment
        .retain(|(name, _)| *name != "AWS_ACCESS_KEY_ID" && *name != "AWS_SECRET_ACCESS_KEY");
    scenario.start_operator()?;
    scenario.kubectl.apply(SAMPLES)?;
    let message = scenario
        .until_ready_is(OBJECTS[0], "False", "CredentialsUnavailable")
        .await?;
    ensure!(message.contains("no AWS credentials"), "{message}");
    let report = scenario.operator()?.get("/readyz").await?;
    ensure!(
        report.contains("[-] aws-credentials: no AWS credentials"),
        "{report}"
    );
    ensure!(report.contains("[+] ecsservices: ok"), "{report}");

    scenario.operator()?.process.stop().await?;
    scenario.options.environment = environment;
    scenario.start_operator()?;
    scenario.wait_ready(&OBJECTS)?;
    scenario.end().await
}

pub(crate) async fn sigterm_ends_the_operator_in_time(world: &World) -> Result<()> {
    let mut scenario = world.scenario("sigterm").await?;
    // A pass hangs in a call that is not answered.
    let hold = scenario.aws_proxy.hold("CreateCluster");
    scenario.kubectl.apply(SAMPLES)?;
    wait::until("CreateCluster", PATIENCE, async || {
        scenario
            .aws_proxy
            .counts()
            .operations
            .get("CreateCluster")
            .context("not yet")
            .map(drop)
    })
    .await?;
    let process = &mut scenario.operator()?.process;
    let started = Instant::now();
    signal(process.pid(), Signal::SIGTERM);
    let code = process.wait().await?;
    // A promise to Kubernetes, which kills after its grace period; not a measurement.
    ensure!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    ensure!(code == 0, "exit code {code}");
    drop(hold);
    scenario.start_operator()?;
    scenario.wait_ready(&OBJECTS)?;
    ensure!(
        scenario.aws_proxy.counts().of("CreateCluster") == 1,
        "{:?}",
        scenario.aws_proxy.counts()
    );
    scenario.end().await
}
