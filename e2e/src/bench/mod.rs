//! `make bench`: how fast the operator is, how many calls it makes and what it costs, beside the
//! aims that we set and the figures of the peer, ACK's ecs-controller 1.2.1, measured by the same
//! kind of harness.
//!
//! These are no tests: they print what they find. The server is ministack behind our proxy, which
//! gives some 670 replies a second, or the simulator.

mod load;
mod meter;
mod table;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;

use crate::aws_server::Kind;
use crate::faults::{Fault, Faults, Rule};
use crate::wait;
use crate::world::World;
use load::Load;
use meter::Meter;
use table::{Table, fixed};

/// How long any phase may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// Without news for this long, all is quiet.
const QUIET: Duration = Duration::from_secs(3);

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// A life from creation to deletion, as fast as the server gives replies.
    Life,
    /// The same creation, with 50 ms more for each call to AWS.
    Delay,
    /// The same creation, under the rates that AWS publishes.
    Quotas,
    /// One creation beside a thousand of another namespace, under the rates that AWS publishes.
    Neighbour,
    /// Edits beside thousands of new services in clusters of their own in another namespace, under
    /// the rates that AWS publishes.
    Reads,
}

/// The AWS server that the operator works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Server {
    /// ministack, which is not ours.
    Ministack,
    /// The simulator without quotas, for numbers that ministack is too slow for.
    Simulator,
}

/// Measures `parts`, the life for each of the `sizes`, and prints the table; the figures as JSON go
/// to `target/bench.json`.
///
/// # Errors
/// When something does not come to its end.
pub async fn run(parts: &[Part], sizes: &[usize], server: Server) -> Result<()> {
    let mut table = Table::default();
    let mut measured = Ok(());
    for part in parts {
        // Nothing of one part is in the way of the next.
        let dir = tempfile::tempdir()?;
        let kind = match server {
            Server::Ministack => Kind::Ministack,
            Server::Simulator => Kind::Simulator { has_quotas: false },
        };
        let mut world = World::start(kind, dir.path()).await?;
        measured = measure(&world, *part, sizes, &mut table).await;
        world.stop().await?;
        if measured.is_err() {
            break;
        }
    }
    table.print(&crate::assets::target().join("bench.json"))?;
    measured
}

async fn measure(world: &World, part: Part, sizes: &[usize], table: &mut Table) -> Result<()> {
    match part {
        Part::Life => {
            let mut memory = Vec::new();
            for size in sizes {
                memory.push((*size, life(world, *size, table).await?));
            }
            memory.sort_by_key(|(size, _)| *size);
            if let [(fewest, little), .., (most, much)] = memory[..] {
                let growth = (much - little) * 1024.0 / fixed(most - fewest);
                table.row(
                    most,
                    "resident memory per pair, by the smallest number",
                    "KiB",
                    growth,
                    None,
                    None,
                );
            }
            Ok(())
        }
        Part::Delay => delay(world, table).await,
        Part::Quotas => quotas(world, table).await,
        Part::Neighbour => neighbour(world, table).await,
        Part::Reads => reads(world, sizes, table).await,
    }
}

async fn delay(world: &World, table: &mut Table) -> Result<()> {
    let size = 200;
    let faults = Faults {
        rules: vec![Rule::always(Fault::Delay(50))],
        ..Faults::default()
    };
    let mut load = Load::start(world, "delay", &["--aws-quota-share=off"], faults).await?;
    let (ready, _) = create(&mut load, size).await?;
    table.row(
        size,
        "50 ms per call: apply until all Ready",
        "s",
        ready,
        Some(66.0),
        Some(4.0),
    );
    load.end().await
}

/// Creates pairs and waits until all are Ready and nothing happens any more: the seconds until
/// Ready, and what happened until quiet.
async fn create(load: &mut Load<'_>, size: usize) -> Result<(f64, Meter)> {
    println!("{}: {size} pairs are created …", load.namespace());
    let (start, before) = (Instant::now(), Meter::read(load).await?);
    load.apply(0..size, "nginx:1").await?;
    load.until_ready(2 * size + 1).await?;
    let ready = start.elapsed().as_secs_f64();
    println!(
        "{}: {size} pairs are Ready after {ready:.1} s",
        load.namespace()
    );
    Ok((ready, meter::quiet(load).await?.since(&before)))
}

/// The figure of the peer for this size, or the aim.
fn at(size: usize, at_200: f64, at_1000: f64) -> Option<f64> {
    match size {
        200 => Some(at_200),
        1000 => Some(at_1000),
        _ => None,
    }
}

/// A life from creation to deletion; answers the memory that a new process needs for it, in MiB.
async fn life(world: &World, size: usize, table: &mut Table) -> Result<f64> {
    let mut load =
        Load::start(world, "life", &["--aws-quota-share=off"], Faults::default()).await?;
    creation(&mut load, size, table).await?;
    same_manifests(&load, size, table).await?;
    new_image(&load, size, table).await?;
    load.until_counted(size).await?;
    load.until_settled().await?;
    at_rest(&load, size, table).await?;
    if size == 200 {
        drift(&load, size, table).await?;
        // The cluster shows the tasks that are gone, too.
        load.until_running(size).await?;
        meter::quiet(&load).await?;
    }
    let memory = restart(&mut load, size, table).await?;
    deletion(&mut load, size, table).await?;
    load.end().await?;
    if size == 50 {
        cluster_gone_first(world, size, table).await?;
    }
    Ok(memory)
}

/// Creates all pairs.
async fn creation(load: &mut Load<'_>, size: usize, table: &mut Table) -> Result<()> {
    let cpu = load.cpu_seconds()?;
    let (ready, spent) = create(load, size).await?;
    let per_pair = |count: usize| fixed(count) / fixed(size);
    let cpu = load.cpu_seconds()? - cpu;
    let (name, peer, aim) = (
        "apply until all Ready",
        at(size, 33.0, 180.0),
        at(size, 3.0, 15.0),
    );
    table.row(size, name, "s", ready, peer, aim);
    let rows = [
        (
            "AWS writes per pair, creation until quiet",
            spent.aws_writes,
            3.0,
            2.0,
        ),
        (
            "AWS reads per pair, creation until quiet",
            spent.aws_reads,
            6.0,
            0.5,
        ),
        ("API server writes per pair", spent.kube_writes, 8.0, 6.0),
        ("API server GETs per pair", spent.kube_gets, 8.0, 0.0),
    ];
    for (name, count, peer, aim) in rows {
        table.row(
            size,
            name,
            "",
            per_pair(count),
            at(size, peer, peer),
            Some(aim),
        );
    }
    let (peer, aim) = (at(size, f64::NAN, 32.0), at(size, f64::NAN, 5.0));
    table.row(size, "CPU of the creation", "s", cpu, peer, aim);
    let (peer, aim) = (at(size, 66.0, 83.0), at(size, 18.0, 25.0));
    table.row(
        size,
        "resident memory, peak",
        "MiB",
        load.peak_mib()?,
        peer,
        aim,
    );
    Ok(())
}

/// Applies all pairs once more.
async fn same_manifests(load: &Load<'_>, size: usize, table: &mut Table) -> Result<()> {
    let before = Meter::read(load).await?;
    load.apply(0..size, "nginx:1").await?;
    let spent = meter::quiet(load).await?.since(&before);
    let (name, peer) = (
        "the same manifests again: AWS writes",
        at(size, 200.0, 1000.0),
    );
    table.row(size, name, "", fixed(spent.aws_writes), peer, Some(0.0));
    let name = "the same manifests again: status writes";
    table.row(size, name, "", fixed(spent.kube_writes), None, Some(0.0));
    Ok(())
}

/// Changes the image of one pair.
async fn new_image(load: &Load<'_>, size: usize, table: &mut Table) -> Result<()> {
    let start = Instant::now();
    load.apply(0..1, "nginx:2").await?;
    load.until_revision("app-0:2").await?;
    let (name, took) = (
        "a new image: its service runs that revision",
        start.elapsed(),
    );
    table.row(size, name, "s", took.as_secs_f64(), None, Some(2.0));
    meter::quiet(load).await?;
    Ok(())
}

/// Deletes all pairs in the order of one file: cluster, task definitions, services.
async fn deletion(load: &mut Load<'_>, size: usize, table: &mut Table) -> Result<()> {
    let (start, cpu) = (Instant::now(), load.cpu_seconds()?);
    let before = Meter::read(load).await?;
    let after_services = load.delete().await?.as_secs_f64();
    let took = start.elapsed().as_secs_f64();
    let (peer, aim) = (at(size, f64::NAN, 165.0), at(size, f64::NAN, 30.0));
    table.row(size, "delete all", "s", took, peer, aim);
    let name = "the last object after the last service";
    table.row(size, name, "s", after_services, None, Some(10.0));
    let spent = Meter::read(load).await?.since(&before);
    let calls = fixed(spent.aws_writes + spent.aws_reads) / fixed(size);
    table.row(
        size,
        "AWS calls per pair to delete",
        "",
        calls,
        at(size, 6.0, 6.0),
        Some(4.0),
    );
    let writes = fixed(spent.kube_writes) / fixed(size);
    table.row(
        size,
        "API server writes per pair to delete",
        "",
        writes,
        None,
        Some(3.0),
    );
    table.row(
        size,
        "CPU of the deletion",
        "s",
        load.cpu_seconds()? - cpu,
        None,
        None,
    );
    Ok(())
}

/// A new process sees everything that is there, and has nothing to do.
async fn restart(load: &mut Load<'_>, size: usize, table: &mut Table) -> Result<f64> {
    load.kill().await?;
    let before = Meter::read(load).await?;
    let start = Instant::now();
    load.start_operator()?;
    load.until_looked_at(2 * size + 1).await?;
    let peer = |at_1000: f64| (size == 1000).then_some(at_1000);
    table.row(
        size,
        "restart: everything looked at",
        "s",
        start.elapsed().as_secs_f64(),
        peer(99.0),
        peer(5.0),
    );
    let spent = meter::quiet(load).await?.since(&before);
    table.row(
        size,
        "restart: AWS reads",
        "",
        fixed(spent.aws_reads),
        peer(2002.0),
        peer(120.0),
    );
    table.row(
        size,
        "restart: AWS writes",
        "",
        fixed(spent.aws_writes),
        peer(1000.0),
        Some(0.0),
    );
    table.row(
        size,
        "restart: API server writes",
        "",
        fixed(spent.kube_writes),
        peer(2001.0),
        Some(0.0),
    );
    let memory = load.peak_mib()?;
    table.row(size, "restart: resident memory", "MiB", memory, None, None);
    Ok(memory)
}

/// One sweep over everything at rest.
async fn at_rest(load: &Load<'_>, size: usize, table: &mut Table) -> Result<()> {
    let before = Meter::read(load).await?;
    // What is counted is what happens in this time: there is nothing to wait for.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let spent = Meter::read(load).await?.since(&before);
    table.row(
        size,
        "at rest: AWS reads per service and sweep",
        "",
        fixed(spent.aws_reads) / fixed(size),
        None,
        Some(0.101),
    );
    table.row(
        size,
        "at rest: API server calls in a minute",
        "",
        fixed(spent.kube_writes + spent.kube_gets),
        Some(0.0),
        Some(0.0),
    );
    Ok(())
}

/// Somebody else changes the number of tasks.
async fn drift(load: &Load<'_>, size: usize, table: &mut Table) -> Result<()> {
    let start = Instant::now();
    load.scale_in_aws("app-1", 3).await?;
    load.until_repaired("app-1", 1).await?;
    table.row(
        size,
        "desiredCount changed in AWS: repaired",
        "s",
        start.elapsed().as_secs_f64(),
        None,
        Some(60.0),
    );
    Ok(())
}

async fn cluster_gone_first(world: &World, size: usize, table: &mut Table) -> Result<()> {
    let mut load =
        Load::start(world, "gone", &["--aws-quota-share=off"], Faults::default()).await?;
    create(&mut load, size).await?;
    load.delete_cluster_in_aws().await?;
    let start = Instant::now();
    load.delete().await?;
    table.row(
        size,
        "cluster deleted in AWS first, then the objects",
        "s",
        start.elapsed().as_secs_f64(),
        None,
        Some(5.0),
    );
    load.end().await
}

async fn quotas(world: &World, table: &mut Table) -> Result<()> {
    let size = 200;
    let faults = Faults {
        quotas: true,
        ..Faults::default()
    };
    let mut load = Load::start(world, "quotas", &["--aws-quota-share=100"], faults).await?;
    let (ready, spent) = create(&mut load, size).await?;
    table.row(
        size,
        "published rates: apply until all Ready (floor 180 s)",
        "s",
        ready,
        Some(202.0),
        Some(189.0),
    );
    let share = 100.0 * fixed(spent.throttled) / fixed(spent.aws_writes + spent.aws_reads);
    table.row(
        size,
        "published rates: throttled",
        "%",
        share,
        Some(100.0 * 138.0 / 1938.0),
        Some(0.5),
    );
    load.end().await
}

async fn neighbour(world: &World, table: &mut Table) -> Result<()> {
    let faults = Faults {
        quotas: true,
        ..Faults::default()
    };
    let load =
        Load::start_everywhere(world, "neighbour", &["--aws-quota-share=100"], faults).await?;
    load.apply(0..1, "nginx:1").await?;
    load.until_ready(3).await?;
    load.crowd(1000).await?;
    wait::until("the crowd waits for its turn", PATIENCE, async || {
        ensure!(load.calls("CreateService") > 50);
        Ok(())
    })
    .await?;
    let other = world.namespace("alone").await?;
    let start = Instant::now();
    load.alone(&other, 1).await?;
    table.row(
        1000,
        "one more service of another namespace",
        "s",
        start.elapsed().as_secs_f64(),
        None,
        Some(2.0),
    );
    load.end().await
}

/// Each new service needs a call of its own, because ECS describes the services of one cluster in a
/// call.
async fn reads(world: &World, sizes: &[usize], table: &mut Table) -> Result<()> {
    for size in sizes {
        let faults = Faults {
            quotas: true,
            ..Faults::default()
        };
        let load = Load::start_everywhere(world, "reads", &[], faults).await?;
        load.apply(0..1, "nginx:1").await?;
        load.until_ready(3).await?;
        let other = world.namespace("edited").await?;
        load.alone(&other, 1).await?;
        let before = load.calls("DescribeServices");
        load.scattered(*size).await?;
        wait::until("the burst is used up", PATIENCE, async || {
            ensure!(load.calls("DescribeServices") > before + 100);
            Ok(())
        })
        .await?;
        let mut longest = Duration::ZERO;
        for count in 2..7 {
            let start = Instant::now();
            load.alone(&other, count).await?;
            longest = longest.max(start.elapsed());
        }
        table.row(
            *size,
            "the longest of five edits of another namespace",
            "s",
            longest.as_secs_f64(),
            None,
            Some(2.0),
        );
        load.end().await?;
    }
    Ok(())
}

/// The figures as JSON.
fn save(path: &Path, rows: &[serde_json::Value]) -> Result<()> {
    Ok(std::fs::write(
        path,
        serde_json::to_string_pretty(&json!({"server": "ministack", "figures": rows}))?,
    )?)
}
