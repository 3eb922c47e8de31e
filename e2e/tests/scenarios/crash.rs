//! A small part of the matrix of trouble; `make chaos` is the whole of it.

use std::sync::Arc;

use anyhow::{Result, ensure};
use e2e::chaos::{self, Workload};
use e2e::gate::{Boundary, Trouble};
use e2e::world::World;
use libtest_mimic::{Failed, Trial};
use tokio::runtime::Handle;

/// Boundaries at which something would be made twice, lost or left behind if the operator trusted
/// its memory.
const BOUNDARIES: [(Workload, &str, Trouble); 16] = [
    (Workload::Create, "CreateCluster", Trouble::FrozenAfter),
    (
        Workload::Create,
        "RegisterTaskDefinition",
        Trouble::FrozenAfter,
    ),
    (Workload::Create, "CreateService", Trouble::FrozenBefore),
    (Workload::Create, "CreateService", Trouble::FrozenAfter),
    (
        Workload::Create,
        "PATCH ecsservices/web",
        Trouble::FrozenAfter,
    ),
    (
        Workload::Create,
        "PATCH ecsservices/web/status",
        Trouble::FrozenBefore,
    ),
    (Workload::Image, "UpdateService", Trouble::FrozenAfter),
    (Workload::Restart, "UpdateService", Trouble::FrozenAfter),
    (Workload::Adopt, "TagResource", Trouble::FrozenAfter),
    (Workload::Delete, "DeleteService", Trouble::FrozenAfter),
    (
        Workload::Delete,
        "DeregisterTaskDefinition",
        Trouble::FrozenAfter,
    ),
    (
        Workload::Revisions,
        "DeregisterTaskDefinition",
        Trouble::FrozenAfter,
    ),
    (Workload::Create, "CreateCluster", Trouble::Refused),
    (Workload::Create, "PATCH ecsservices/web", Trouble::Refused),
    (Workload::Create, "CreateService", Trouble::Lost),
    (Workload::Image, "UpdateService", Trouble::Lost),
];

/// A trial for each of them.
pub(crate) fn trials(world: &Arc<World>, runtime: &Handle) -> Vec<Trial> {
    let trial = |(workload, call, trouble): (Workload, &str, Trouble)| {
        let (world, runtime) = (Arc::clone(world), runtime.clone());
        let boundary = Boundary {
            call: call.to_owned(),
            nth: 1,
            trouble,
        };
        Trial::test(format!("crash::{workload:?} {boundary}"), move || {
            runtime
                .block_on(world.interruption.stops(crash(&world, workload, &boundary)))
                .map_err(|error| Failed::from(format!("{error:#}")))
        })
    };
    BOUNDARIES.map(trial).into()
}

async fn crash(world: &World, workload: Workload, boundary: &Boundary) -> Result<()> {
    let (_, reached) = chaos::run(world, workload, Some(boundary)).await?;
    ensure!(reached, "it was never reached");
    Ok(())
}
