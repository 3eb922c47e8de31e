//! The matrix of trouble: for every call that a workload makes the operator is killed before it and
//! after it, the call is refused, and its reply is lost.
//!
//! First each workload runs without a crash, to count its calls; then once for each boundary that
//! workloads before it have not. `CHAOS_SHARD=2/4` takes the second quarter; `CHAOS_RESUME=1`
//! leaves out what has passed before, by `target/chaos/passed`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use e2e::assets;
use e2e::aws_server::Kind;
use e2e::chaos::{self, Workload};
use e2e::gate::Boundary;
use e2e::world::World;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

fn main() -> Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(8);
    let runtime = Runtime::new()?;
    let dir = tempfile::Builder::new()
        .prefix("ecs-operator-chaos-")
        .tempdir()?;
    let world = Arc::new(runtime.block_on(World::start(Kind::Ministack, dir.path()))?);
    let (known, passed) = passed()?;
    let passed = Arc::new(Mutex::new(passed));

    let plan = runtime.block_on(world.interruption.stops(plan(&world)))?;
    let total = plan.len();
    let reached = Arc::new(AtomicUsize::new(0));
    let trials = shard(plan)?
        .into_iter()
        .filter_map(|(workload, boundary)| {
            let name = format!("{workload:?} {boundary}");
            if known.contains(&name) {
                return None;
            }
            let (world, runtime, passed, reached) = (
                Arc::clone(&world),
                runtime.handle().clone(),
                Arc::clone(&passed),
                Arc::clone(&reached),
            );
            Some(Trial::test(name.clone(), move || {
                let (_, hit) = runtime
                    .block_on(world.interruption.stops(chaos::run(
                        &world,
                        workload,
                        Some(&boundary),
                    )))
                    .map_err(|error| Failed::from(format!("{error:#}")))?;
                reached.fetch_add(usize::from(hit), Ordering::Relaxed);
                let mut passed = passed.lock().map_err(|_| "another trial panicked")?;
                writeln!(passed, "{name}")?;
                Ok(())
            }))
        })
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    println!(
        "matrix: {} boundaries in all, {} passed here, of which {} were reached; {} failed",
        total,
        conclusion.num_passed,
        reached.load(Ordering::Relaxed),
        conclusion.num_failed
    );
    let mut world = Arc::into_inner(world).context("no trial runs any more")?;
    runtime.block_on(world.stop())?;
    if conclusion.has_failed() {
        println!("logs: {}", dir.keep().display());
    }
    Ok(conclusion.exit_code())
}

/// The boundaries that passed in the run that `CHAOS_RESUME` continues, and the file to add to.
fn passed() -> Result<(BTreeSet<String>, fs::File)> {
    let path = assets::target().join("chaos/passed");
    fs::create_dir_all(path.parent().context("a directory")?)?;
    let resume = std::env::var_os("CHAOS_RESUME").is_some();
    let before = if resume {
        fs::read_to_string(&path).unwrap_or_default()
    } else {
        String::new()
    };
    let file = fs::OpenOptions::new()
        .create(true)
        .append(resume)
        .write(true)
        .truncate(!resume)
        .open(&path)?;
    Ok((before.lines().map(str::to_owned).collect(), file))
}

/// Every boundary of every workload, less those that the first workload has as well, which most
/// others begin with.
async fn plan(world: &World) -> Result<Vec<(Workload, Boundary)>> {
    let mut plan = Vec::new();
    let mut create = BTreeMap::new();
    for workload in Workload::ALL {
        let (calls, _) = chaos::run(world, workload, None)
            .await
            .with_context(|| format!("{workload:?} without a crash"))?;
        let before = if matches!(
            workload,
            Workload::Adopt | Workload::Revisions | Workload::FailedRollout
        ) {
            BTreeMap::new()
        } else {
            create.clone()
        };
        let boundaries = chaos::boundaries(&calls, &before);
        println!("{workload:?}: {} boundaries", boundaries.len());
        plan.extend(boundaries.into_iter().map(|boundary| (workload, boundary)));
        if workload == Workload::Create {
            create = calls;
        }
    }
    Ok(plan)
}

/// The part of the plan that `CHAOS_SHARD` names.
fn shard(plan: Vec<(Workload, Boundary)>) -> Result<Vec<(Workload, Boundary)>> {
    let Ok(shard) = std::env::var("CHAOS_SHARD") else {
        return Ok(plan);
    };
    let numbers = shard
        .split_once('/')
        .and_then(|(nth, of)| Some((nth.parse::<usize>().ok()?, of.parse::<usize>().ok()?)));
    let (nth, of) = numbers
        .filter(|(nth, of)| (1..=*of).contains(nth))
        .context("CHAOS_SHARD is a part such as 2/4")?;
    Ok(plan
        .into_iter()
        .enumerate()
        .filter(|(index, _)| index % of == nth - 1)
        .map(|(_, part)| part)
        .collect())
}
