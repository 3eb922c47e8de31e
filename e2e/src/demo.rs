//! The main job of the operator, shown from apply to deletion: `make demo`.

use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use aws_sdk_ecs::Client;
use ecs_operator_crds::v1beta1::EcsService;
use futures::StreamExt;
use kube::Api;
use kube::runtime::{WatchStreamExt, watcher};

use crate::assets;
use crate::aws_server::{self, Kind, put_sample_secret};
use crate::docker_engine::DockerEngine;
use crate::wait;
use crate::world::{PATIENCE, Scenario, World};

/// The manifests that are applied.
const SAMPLES: [&str; 3] = [
    "samples/cluster.yaml",
    "samples/task-definition.yaml",
    "samples/service.yaml",
];
/// The account that the samples name.
const ACCOUNT: &str = "111122223333";

const OBJECTS: [&str; 3] = ["ecscluster/shop", "ecstaskdefinition/web", "ecsservice/web"];

/// Shows it.
///
/// # Errors
/// With the step that did not hold.
pub async fn run() -> Result<()> {
    let mut steps = Steps {
        started: Instant::now(),
        number: 0,
    };
    let dir = tempfile::Builder::new()
        .prefix("ecs-operator-demo-")
        .tempdir()?;

    steps.next("build what is missing: control plane, ministack, operator");
    assets::kubernetes().await?;
    assets::python_environment("ministack-engine").await?;
    assets::operator()?;

    steps.next("start control plane, AWS server and operator on loopback");
    let engine = DockerEngine::start().await?;
    let mut world =
        World::start_unjudged(Kind::MinistackWithEngine(engine.host.clone()), dir.path()).await?;
    let result = show(&mut steps, &world).await;
    world.stop().await?;
    match &result {
        Ok(()) => {
            println!(
                "\nPASSED: all of it held, in {:.0} s",
                steps.started.elapsed().as_secs_f64()
            );
        }
        Err(_) => println!(
            "\nFAILED at step {}; logs: {}",
            steps.number,
            dir.keep().display()
        ),
    }
    result
}

async fn show(steps: &mut Steps, world: &World) -> Result<()> {
    let mut scenario = world.scenario_without_operator("demo").await?;
    // The defaults are 10 s and a minute, which is long to watch.
    scenario
        .options
        .flags
        .retain(|flag| !flag.starts_with("--sweep") && !flag.starts_with("--log-filter"));
    scenario.options.flags.extend([
        "--sweep-active=1s".to_owned(),
        "--sweep-steady=2s".to_owned(),
    ]);
    scenario.use_account(ACCOUNT).await;
    put_sample_secret(&world.aws.url, ACCOUNT).await?;
    scenario.start_operator()?;
    scenario.operator()?.ready().await?;
    let result = story(steps, &scenario).await;
    if result.is_err() {
        scenario.explain();
    }
    result?;
    steps.next("what it took");
    summary(&scenario)?;
    scenario.end().await
}

async fn story(steps: &mut Steps, scenario: &Scenario<'_>) -> Result<()> {
    steps.next("apply the custom resource definitions and three samples");
    for path in SAMPLES {
        show_text(scenario.kubectl.apply(&read(path)?)?);
    }
    steps.next("wait until they are Ready, and compare with AWS");
    scenario.wait_ready(&OBJECTS)?;
    show_text(scenario.kubectl.run(&["get", "ecs"])?);
    show_aws(&scenario.outsider).await?;
    let counts = scenario.aws_proxy.counts();
    ensure!(
        counts.writes() == 3,
        "three objects take three writes: {counts:?}"
    );

    steps.next("change the image: a new revision, and the service moves to exactly that one");
    new_image(scenario).await?;
    steps.next("roll out an image that crashes: the circuit breaker goes back, and kubectl describe says why");
    failing_rollout(scenario).await?;
    steps.next("make three mistakes");
    mistakes(scenario).await?;
    steps.next("change the service behind the operator's back");
    behind_our_back(scenario).await?;
    steps.next("delete all in one command");
    let [cluster, definition, service] =
        SAMPLES.map(|path| assets::root().join(path).display().to_string());
    show_text(scenario.kubectl.run(&[
        "delete",
        "-f",
        &cluster,
        "-f",
        &definition,
        "-f",
        &service,
    ])?);
    scenario.until_empty().await?;
    aws_is_empty(&scenario.outsider).await
}

async fn new_image(scenario: &Scenario<'_>) -> Result<()> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let recorder = tokio::spawn(record(
        Api::namespaced(scenario.client.clone(), &scenario.namespace),
        Arc::clone(&seen),
    ));
    let story = || seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    wait::until("the first look", PATIENCE, async || {
        if story().is_empty() {
            Err("nothing yet")
        } else {
            Ok(())
        }
    })
    .await?;

    let definition = read(SAMPLES[1])?;
    let changed = definition.replace("nginx:1.29", "nginx:1.30");
    ensure!(
        changed != definition,
        "the sample has the image that the demo changes"
    );
    show_text(scenario.kubectl.apply(&changed)?);
    scenario
        .until(OBJECTS[2], |service| {
            service["status"]["revision"] == "web:2"
        })
        .await?;
    scenario.wait_ready(&OBJECTS)?;
    wait::until("the service to come back", PATIENCE, async || {
        let story = story();
        ensure!(
            story.len() >= 3 && story.last().is_some_and(|last| last.starts_with("True")),
            "{story:?}"
        );
        Ok(())
    })
    .await?;
    recorder.abort();
    show_text(format!(
        "Ready of ecsservice/web went: {}",
        story().join(" → ")
    ));
    show_text(scenario.kubectl.run(&["get", "ecs"])?);
    show_aws(&scenario.outsider).await
}

async fn failing_rollout(scenario: &Scenario<'_>) -> Result<()> {
    let definition = read(SAMPLES[1])?;
    scenario
        .kubectl
        .apply(&definition.replace("public.ecr.aws/nginx/nginx:1.29", "example.com/crash:1"))?;
    let message = scenario
        .until_ready_is(OBJECTS[2], "False", "DeploymentRolledBack")
        .await?;
    ensure!(message.contains("exit code 1"), message);
    scenario
        .until(OBJECTS[2], |service| {
            service["status"]["rollout"]["phase"] == "RolledBack"
        })
        .await?;
    show_text(scenario.kubectl.run(&["get", "ecssvc"])?);
    let described = scenario.kubectl.run(&["describe", OBJECTS[2]])?;
    let events: Vec<_> = described
        .lines()
        .skip_while(|line| !line.starts_with("Events:"))
        .collect();
    // The last are those of this rollout.
    for line in &events[events.len().saturating_sub(7)..] {
        show_text(line.chars().take(150).collect::<String>());
    }
    show_text(
        scenario
            .kubectl
            .apply(&definition.replace("nginx:1.29", "nginx:1.31"))?,
    );
    scenario
        .until(OBJECTS[2], |service| {
            service["status"]["rollout"]["revision"] == "web:4"
        })
        .await?;
    scenario.wait_ready(&OBJECTS)?;
    let columns = "custom-columns=HISTORY:.status.rolloutHistory[*].revision,RESULT:.status.rolloutHistory[*].result,NOW:.status.revision";
    show_text(scenario.kubectl.run(&["get", OBJECTS[2], "-o", columns])?);
    Ok(())
}

/// Writes down each new state of the Ready condition of the service.
async fn record(services: Api<EcsService>, seen: Arc<Mutex<Vec<String>>>) {
    let mut services = std::pin::pin!(
        watcher(services, watcher::Config::default())
            .default_backoff()
            .applied_objects()
    );
    while let Some(event) = services.next().await {
        let status = event.ok().and_then(|service| service.status);
        let ready = status.and_then(|status| {
            status
                .common
                .conditions
                .into_iter()
                .find(|condition| condition.type_ == "Ready")
        });
        let Some(ready) = ready else { continue };
        let state = format!("{} ({})", ready.status, ready.reason);
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.last() != Some(&state) {
            seen.push(state);
        }
    }
}

async fn mistakes(scenario: &Scenario<'_>) -> Result<()> {
    let service = read(SAMPLES[2])?;
    println!("    1. a document that the schema refuses (a cluster and a reference to one)");
    let refusal = scenario
        .kubectl
        .refused(&service.replace("  launchType", "  cluster: other\n  launchType"))?;
    ensure!(
        refusal.contains("cluster and clusterRef exclude each other"),
        refusal
    );
    show_text(refusal);

    println!("    2. a document that AWS refuses (a task definition of another account)");
    let nothing = "taskDefinition: arn:aws:ecs:eu-central-1:444455556666:task-definition/nothing:7";
    let refused = service
        .replacen("name: web", "name: refused", 1)
        .replace("taskDefinitionRef:\n    name: web", nothing);
    scenario.kubectl.apply(&refused)?;
    scenario
        .until_ready_is("ecsservice/refused", "False", "InvalidSpec")
        .await?;

    println!("    3. a reference to nothing");
    let dangling = service
        .replacen("name: web", "name: dangling", 1)
        .replace("clusterRef:\n    name: shop", "clusterRef:\n    name: shpo");
    scenario.kubectl.apply(&dangling)?;
    scenario
        .until_ready_is("ecsservice/dangling", "False", "DependencyNotReady")
        .await?;

    let of =
        |type_: &str, member: &str| format!(r#".status.conditions[?(@.type=="{type_}")].{member}"#);
    let columns = format!(
        "custom-columns=NAME:.metadata.name,READY:{},STALLED:{},REASON:{},MESSAGE:{}",
        of("Ready", "status"),
        of("Stalled", "status"),
        of("Ready", "reason"),
        of("Ready", "message"),
    );
    show_text(scenario.kubectl.run(&["get", "ecssvc", "-o", &columns])?);
    scenario
        .kubectl
        .run(&["delete", "ecssvc", "refused", "dangling"])?;
    Ok(())
}

async fn behind_our_back(scenario: &Scenario<'_>) -> Result<()> {
    scenario
        .outsider
        .update_service()
        .cluster("shop")
        .service("web")
        .desired_count(7)
        .send()
        .await?;
    show_text("somebody set desiredCount to 7 in AWS");
    wait::until("the repair", PATIENCE, async || {
        let service = aws_server::service(&scenario.outsider, "shop", "web").await?;
        let count = service.desired_count();
        ensure!(count == 2, "desiredCount is {count}");
        Ok(())
    })
    .await?;
    scenario.wait_ready(&OBJECTS)?;
    let events = scenario.events("web").await?;
    let repair = events
        .into_iter()
        .rev()
        .find(|(reason, note)| reason == "UpdateService" && note.contains("desiredCount"));
    show_text(format!(
        "event: {}",
        repair.context("the repair has an event")?.1
    ));
    Ok(())
}

async fn show_aws(aws: &Client) -> Result<()> {
    let service = aws_server::service(aws, "shop", "web").await?;
    let revision = service
        .task_definition()
        .and_then(|arn| arn.rsplit('/').next())
        .unwrap_or_default();
    show_text(format!(
        "AWS says: service {} is {}, {} of {} tasks run {revision}",
        service.service_name().unwrap_or_default(),
        service.status().unwrap_or_default(),
        service.running_count(),
        service.desired_count(),
    ));
    Ok(())
}

async fn aws_is_empty(aws: &Client) -> Result<()> {
    let clusters = aws.list_clusters().send().await?;
    ensure!(
        clusters.cluster_arns().is_empty(),
        "clusters are left: {:?}",
        clusters.cluster_arns()
    );
    let revisions = aws.list_task_definitions().send().await?;
    ensure!(
        revisions.task_definition_arns().is_empty(),
        "revisions are left: {:?}",
        revisions.task_definition_arns()
    );
    show_text("AWS says: no cluster, no service, no active revision");
    Ok(())
}

fn summary(scenario: &Scenario<'_>) -> Result<()> {
    let counts = scenario.aws_proxy.counts();
    for (operation, count) in &counts.operations {
        println!(
            "    {operation:<28} {:>3}  errors {}",
            count.count, count.errors
        );
    }
    println!(
        "    {} writes and {} reads",
        counts.writes(),
        counts.reads()
    );
    let memory = scenario
        .operator
        .as_ref()
        .context("it runs")?
        .resident_kib()?;
    println!(
        "    resident memory of the operator (development build): {:.1} MiB",
        to_mib(memory)
    );
    Ok(())
}

fn to_mib(kib: u64) -> f64 {
    f64::from(u32::try_from(kib).unwrap_or(u32::MAX)) / 1024.0
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(assets::root().join(path))
        .with_context(|| format!("cannot read {path}"))
}

fn show_text(text: impl Display) {
    for line in text.to_string().trim_end().lines() {
        println!("    {line}");
    }
}

/// Progress, a line a step.
struct Steps {
    started: Instant,
    number: usize,
}

impl Steps {
    fn next(&mut self, what: &str) {
        self.number += 1;
        println!(
            "[{:>5.1} s] {}. {what}",
            self.started.elapsed().as_secs_f64(),
            self.number
        );
    }
}
