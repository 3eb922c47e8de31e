//! The `e2e` command: builds and runs the test world.

use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use e2e::aws_proxy::AwsProxy;
use e2e::aws_server::Kind;
use e2e::docker_engine::DockerEngine;
use e2e::interruption::Interruption;
use e2e::simulator::{Clock, Simulator};
use e2e::world::World;
use e2e::{
    assets, bench, chart, corpus, demo, gitops, merge_keys, playground, reference, simulation,
};

#[derive(Debug, Parser)]
#[command(name = "e2e", about = "The test world of ecs-operator")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build and install what the test world needs, under target/
    Setup,
    /// Show the main job of the operator from apply to deletion
    Demo,
    /// Start a playground: control plane, AWS server, AWS proxy and operator
    Up,
    /// End the playground
    Down,
    /// Tell whether the operator can take a folder of `aws ecs` request documents
    Corpus {
        /// The folder, with clusters/, task-definitions/ and services/ of JSON files
        dir: PathBuf,
    },
    /// Measure speed, calls and memory beside our aims and the peer's figures
    Bench {
        /// What is measured; default: everything
        #[arg(
            long,
            value_delimiter = ',',
            default_value = "life,delay,quotas,neighbour"
        )]
        parts: Vec<bench::Part>,
        /// Numbers of pairs that live a life
        #[arg(long, value_delimiter = ',', default_value = "50,200,1000")]
        sizes: Vec<usize>,
        /// The AWS server of the life: ministack, or the simulator, which gives replies faster
        #[arg(long, default_value = "ministack")]
        aws: bench::Server,
    },
    /// Run the operator in random worlds in virtual time, and judge what comes of it
    Simulate {
        /// The first seed
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Number of seeds
        #[arg(long, default_value_t = 1000)]
        count: u64,
        /// Steps of a world
        #[arg(long, default_value_t = 30)]
        steps: usize,
    },
    /// Print the page about all reasons
    Reasons,
    /// Print the page about all metrics
    Metrics,
    /// Write what the schemas say into the pages of the kinds, docs/kinds, and the kinds into the
    /// GitOps files
    Kinds,
    /// Print what kustomize has to know of the schemas
    MergeKeys,
    /// Print values.yaml of the chart
    ChartValues,
    /// Print README.md of the chart
    ChartReadme,
    /// Print the chart as it is rendered by default
    Manifests,
    /// Run Helm
    Helm {
        /// Its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run the pretend Docker engine alone: no-such-image… cannot be pulled, crash… ends with exit
    /// code 1, slow… starts late
    Engine {
        /// Port to listen on
        #[arg(long)]
        port: u16,
    },
    /// Run the simulator of ECS alone, in real time
    Simulator {
        /// Port to listen on
        #[arg(long)]
        port: u16,
        /// Throttle calls beyond the quotas that AWS publishes
        #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
        quotas: bool,
    },
    /// Run the AWS proxy alone
    AwsProxy {
        /// Address of the AWS server
        #[arg(long)]
        upstream: String,
        /// Port for clients of AWS
        #[arg(long)]
        aws_port: u16,
        /// Port of the AWS proxy
        #[arg(long)]
        port: u16,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match Box::pin(run(Cli::parse().command)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("e2e: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<()> {
    match command {
        Command::Setup => setup().await,
        Command::Demo => Interruption::listen()?.stops(demo::run()).await,
        Command::Up => Interruption::listen()?.stops(playground::up()).await,
        Command::Down => playground::down().await,
        Command::Corpus { dir } => Interruption::listen()?.stops(take(&dir)).await,
        Command::Simulate { seed, count, steps } => {
            let failure = simulation::run_all(seed..seed + count, steps);
            failure.map_or(Ok(()), |failure| Err(anyhow::anyhow!("{failure}")))
        }
        Command::Bench { parts, sizes, aws } => {
            Interruption::listen()?
                .stops(bench::run(&parts, &sizes, aws))
                .await
        }
        Command::Reasons => generated(&ecs_operator_crds::condition::page()),
        Command::Metrics => generated(&ecs_operator::metrics::page()),
        Command::Kinds => {
            for (path, text) in reference::pages()?.into_iter().chain(gitops::files()?) {
                std::fs::write(path, text)?;
            }
            Ok(())
        }
        Command::MergeKeys => generated(&merge_keys::openapi()?),
        Command::ChartValues => generated(&chart::values_yaml()?),
        Command::ChartReadme => generated(&chart::readme()?),
        Command::Manifests => generated(&chart::manifests().await?),
        Command::Helm { arguments } => {
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            generated(&chart::helm(&arguments).await?)
        }
        Command::Engine { port } => DockerEngine::start_at(port).await?.serve().await,
        Command::Simulator { port, quotas } => {
            let simulator = Simulator::start_on(port, Clock::wall(), quotas).await?;
            simulator.serve().await;
            Ok(())
        }
        Command::AwsProxy {
            upstream,
            aws_port,
            port,
        } => {
            AwsProxy::start(&upstream, aws_port, port)
                .await?
                .serve()
                .await
        }
    }
}

/// Builds and installs what the scenarios need.
async fn setup() -> Result<()> {
    assets::kubernetes().await?;
    assets::kstatus().await?;
    assets::gitops().await?;
    assets::prometheus().await?;
    assets::helm().await?;
    for server in ["ministack", "ministack-engine", "moto"] {
        assets::python_environment(server).await?;
    }
    Ok(())
}

/// Prints a generated file.
fn generated(text: &(impl Display + ?Sized)) -> Result<()> {
    write!(std::io::stdout(), "{text}").context("cannot print")
}

async fn take(documents: &Path) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut world = World::start(Kind::Ministack, dir.path()).await?;
    let report = corpus::run(&world, documents).await;
    world.stop().await?;
    let report = report?;
    for problem in &report.problems {
        println!("{problem}");
    }
    println!(
        "{} documents, {} problems",
        report.documents,
        report.problems.len()
    );
    ensure!(
        report.problems.is_empty(),
        "the operator cannot take all of them"
    );
    println!("the operator takes all of them, to the last member");
    Ok(())
}
