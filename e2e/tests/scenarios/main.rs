//! End-to-end scenarios: a real kube-apiserver, an AWS server that we did not write, the operator as a process.
//!
//! One world for all, started before the first scenario and stopped after the last. Each scenario has a namespace, an AWS
//! account, a ledger and an operator of its own, and they run side by side.

mod basics;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use e2e::aws_server::Kind;
use e2e::world::World;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

/// A list of scenarios by name.
macro_rules! scenarios {
    ($world:expr, $runtime:expr, $($module:ident::$name:ident),* $(,)?) => {
        vec![$({
            let (world, runtime) = (Arc::clone($world), $runtime.handle().clone());
            Trial::test(stringify!($name), move || {
                runtime.block_on($module::$name(&world)).map_err(|error| Failed::from(format!("{error:?}")))
            })
        }),*]
    };
}

fn main() -> Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    // Scenarios wait most of the time.
    arguments.test_threads.get_or_insert(8);
    if arguments.list {
        arguments.test_threads = Some(1);
    }
    let runtime = Runtime::new()?;
    let dir = tempfile::Builder::new().prefix("ecs-operator-e2e-").tempdir()?;
    let world = Arc::new(runtime.block_on(World::start(Kind::Ministack, dir.path()))?);
    let trials = scenarios![
        &world,
        &runtime,
        basics::three_objects_become_ready_and_stay_quiet,
        basics::a_new_image_rolls_the_service_to_exactly_that_revision,
    ];
    let conclusion = libtest_mimic::run(&arguments, trials);
    let mut world = Arc::into_inner(world).expect("no scenario runs any more");
    runtime.block_on(world.stop())?;
    if conclusion.has_failed() {
        println!("logs: {}", dir.keep().display());
    }
    Ok(conclusion.exit_code())
}
