//! The life of the three objects when all is well.

use anyhow::{Context, Result, ensure};
use e2e::world::{World, ready};

/// The three samples: a cluster, a task definition, a service.
pub const SAMPLES: &str = concat!(
    include_str!("../../../samples/cluster.yaml"),
    "---\n",
    include_str!("../../../samples/task-definition.yaml"),
    "---\n",
    include_str!("../../../samples/service.yaml"),
);

/// Their names for kubectl.
pub const OBJECTS: [&str; 3] = ["ecscluster/shop", "ecstaskdefinition/web", "ecsservice/web"];

pub async fn three_objects_become_ready_and_stay_quiet(world: &World) -> Result<()> {
    let scenario = world.scenario("create").await?;
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;

    let counts = scenario.ledger.counts();
    ensure!(counts.writes() == 3, "{counts:?}");
    ensure!(counts.reads() <= 10, "{counts:?}");
    let described = scenario.outsider.describe_services().cluster("shop").services("web").send().await?;
    let service = described.services().first().context("the service is in AWS")?;
    ensure!(service.running_count() == 2 && service.desired_count() == 2, "{service:?}");
    ensure!(service.task_definition().is_some_and(|arn| arn.ends_with("task-definition/web:1")), "{service:?}");

    scenario.is_quiet().await?;
    let service = scenario.get(OBJECTS[2])?;
    ensure!(service["status"]["observedGeneration"] == service["metadata"]["generation"], "{service}");
    ensure!(service["status"]["revision"] == "web:1", "{service}");
    ensure!(ready(&service).is_some_and(|ready| ready["message"] == "2 of 2 tasks run web:1"), "{service}");
    scenario.end().await
}

pub async fn a_new_image_rolls_the_service_to_exactly_that_revision(world: &World) -> Result<()> {
    let scenario = world.scenario("roll").await?;
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;

    scenario.kubectl.apply(&SAMPLES.replace("nginx:1.29", "nginx:1.30"))?;
    scenario.until(OBJECTS[2], |service| service["status"]["revision"] == "web:2").await?;
    scenario.wait_ready(&OBJECTS)?;
    ensure!(scenario.ledger.counts().of("RegisterTaskDefinition") == 2);
    ensure!(scenario.ledger.counts().of("UpdateService") == 1);
    scenario.is_quiet().await?;
    scenario.end().await
}
