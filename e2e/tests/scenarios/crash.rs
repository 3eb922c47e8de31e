//! A small part of the crash matrix; `make chaos` is the whole of it.

use std::sync::Arc;

use anyhow::{Result, ensure};
use e2e::chaos::{self, Workload};
use e2e::gate::{Boundary, Moment};
use e2e::world::World;
use libtest_mimic::{Failed, Trial};
use tokio::runtime::Handle;

/// Boundaries at which something would be made twice, lost or left behind if the operator trusted its memory.
const BOUNDARIES: [(Workload, &str, Moment); 12] = [
    (Workload::Create, "CreateCluster", Moment::After),
    (Workload::Create, "RegisterTaskDefinition", Moment::After),
    (Workload::Create, "CreateService", Moment::Before),
    (Workload::Create, "CreateService", Moment::After),
    (Workload::Create, "PATCH ecsservices/web", Moment::After),
    (Workload::Create, "PATCH ecsservices/web/status", Moment::Before),
    (Workload::Image, "UpdateService", Moment::After),
    (Workload::Restart, "UpdateService", Moment::After),
    (Workload::Adopt, "TagResource", Moment::After),
    (Workload::Delete, "DeleteService", Moment::After),
    (Workload::Delete, "DeregisterTaskDefinition", Moment::After),
    (Workload::Revisions, "DeregisterTaskDefinition", Moment::After),
];

/// A trial for each of them.
pub(crate) fn trials(world: &Arc<World>, runtime: &Handle) -> Vec<Trial> {
    let trial = |(workload, call, moment): (Workload, &str, Moment)| {
        let (world, runtime) = (Arc::clone(world), runtime.clone());
        let boundary = Boundary { call: call.to_owned(), nth: 1, moment };
        Trial::test(format!("crash::{workload:?} {boundary}"), move || {
            runtime.block_on(crash(&world, workload, &boundary)).map_err(|error| Failed::from(format!("{error:#}")))
        })
    };
    BOUNDARIES.map(trial).into()
}

async fn crash(world: &World, workload: Workload, boundary: &Boundary) -> Result<()> {
    let (_, reached) = chaos::run(world, workload, Some(boundary)).await?;
    ensure!(reached, "it was never reached");
    Ok(())
}
