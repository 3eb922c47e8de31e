//! A smoke run on another AWS server, so that nothing depends on the habits of one.

use anyhow::{Result, ensure};
use e2e::aws_server::{AwsServer, Kind};
use e2e::samples;
use e2e::world::World;

/// moto keeps services and starts no task of theirs, so they are set to none; it fails for networks
/// that it does not know, so the service has none; nor does it know launch type EXTERNAL.
pub(crate) async fn moto_holds_what_we_ask_for(world: &World) -> Result<()> {
    let mut scenario = world.scenario_without_operator("moto").await?;
    let mut server = AwsServer::start(Kind::Moto, &world.dir.join(&scenario.namespace)).await?;
    scenario.use_server(&server.url).await?;
    scenario.start_operator()?;
    scenario.operator()?.ready().await?;
    let service = include_str!("../../../samples/cases/external.yaml");
    let service = service
        .replace("desiredCount: 1", "desiredCount: 0")
        .replace("EXTERNAL", "EC2");
    scenario
        .kubectl
        .apply(&format!("{}---\n{service}", samples::CLUSTER))?;
    scenario.wait_ready(&["ecscluster/shop", "ecstaskdefinition/edge"])?;
    scenario
        .until("ecsservice/edge", |service| {
            service["status"]["revision"] == "edge:1"
        })
        .await?;
    ensure!(
        scenario.aws_proxy.counts().writes() == 3,
        "{:?}",
        scenario.aws_proxy.counts()
    );
    scenario.kubectl.run(&["delete", "ecs", "--all"])?;
    scenario.until_empty().await?;
    server.stop().await?;
    scenario.end().await
}
