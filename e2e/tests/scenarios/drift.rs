//! Changes in AWS behind the operator's back.

use anyhow::{Result, ensure};
use aws_sdk_ecs::types::DeploymentConfiguration;
use e2e::aws_server;
use e2e::wait;
use e2e::world::{PATIENCE, World};

use crate::basics::{OBJECTS, SAMPLES, SERVICE};

pub(crate) async fn changes_behind_our_back_are_repaired(world: &World) -> Result<()> {
    let scenario = world.scenario("drift").await?;
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;
    let configuration = DeploymentConfiguration::builder()
        .maximum_percent(150)
        .minimum_healthy_percent(50)
        .build();
    let update = scenario
        .outsider
        .update_service()
        .cluster("shop")
        .service("web");
    update
        .desired_count(5)
        .deployment_configuration(configuration)
        .send()
        .await?;

    wait::until("repair", PATIENCE, async || {
        let service = aws_server::service(&scenario.outsider, "shop", "web").await?;
        let percent = service
            .deployment_configuration()
            .and_then(DeploymentConfiguration::maximum_percent);
        ensure!(
            service.desired_count() == 2 && percent == Some(200),
            "{service:?}"
        );
        Ok(())
    })
    .await?;
    scenario.wait_ready(&OBJECTS)?;
    ensure!(
        scenario.aws_proxy.counts().of("UpdateService") == 1,
        "one repair, not more: {:?}",
        scenario.aws_proxy.counts()
    );
    // The event names what was repaired.
    let repaired = ["desiredCount", "maximumPercent"];
    scenario
        .until_event("web", "UpdateService", &repaired)
        .await?;
    scenario.is_quiet().await?;
    scenario.end().await
}

pub(crate) async fn recreates_objects_deleted_in_aws(world: &World) -> Result<()> {
    let scenario = world.scenario("recreate").await?;
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;

    scenario
        .outsider
        .deregister_task_definition()
        .task_definition("web:1")
        .send()
        .await?;
    scenario
        .until(SERVICE, |service| service["status"]["revision"] == "web:2")
        .await?;
    scenario.wait_ready(&OBJECTS)?;

    scenario
        .outsider
        .delete_service()
        .cluster("shop")
        .service("web")
        .force(true)
        .send()
        .await?;
    wait::until("a new service", PATIENCE, async || {
        let counts = scenario.aws_proxy.counts();
        ensure!(counts.of("CreateService") == 2, "{counts:?}");
        Ok(())
    })
    .await?;
    scenario.wait_ready(&OBJECTS)?;
    scenario.is_quiet().await?;
    scenario.end().await
}
