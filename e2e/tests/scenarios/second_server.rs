//! A smoke run on another AWS server, so that nothing depends on the habits of one.

use anyhow::{Result, ensure};
use e2e::aws_server::{self, AwsServer, Kind};
use e2e::ledger::Ledger;
use e2e::world::World;

use crate::basics::{OBJECTS, SAMPLES, SERVICE};

/// moto keeps services, but starts no task of theirs: they are set to none.
pub(crate) async fn moto_holds_what_we_ask_for(world: &World) -> Result<()> {
    let mut scenario = world.scenario_without_operator("moto").await?;
    let mut server = AwsServer::start(Kind::Moto, &world.dir.join(&scenario.namespace)).await?;
    scenario.ledger = Ledger::start(&server.url, 0, 0).await?;
    scenario.options.environment = aws_server::environment(&scenario.ledger.aws_url, &scenario.account);
    scenario.start_operator()?;
    scenario.operator()?.ready().await?;
    // moto has no such subnets, and forgets deploymentConfiguration.
    let (kept, _) = SAMPLES.split_once("  networkConfiguration:").expect("the sample has one");
    let samples = kept.replace("desiredCount: 2", "desiredCount: 0");
    scenario.kubectl.apply(&samples)?;
    scenario.wait_ready(&OBJECTS[..2])?;
    scenario.until(SERVICE, |service| service["status"]["revision"] == "web:1").await?;
    ensure!(scenario.ledger.counts().writes() == 3, "{:?}", scenario.ledger.counts());
    scenario.kubectl.run(&["delete", "ecs", "--all"])?;
    scenario.until_empty().await?;
    server.stop().await?;
    scenario.end().await
}
