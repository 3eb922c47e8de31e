//! The `ecs-operator` command.

use std::process::ExitCode;

use clap::Parser;
use ecs_operator::cli::{Cli, Command};
use ecs_operator::settings::Settings;
use ecs_operator::{crd, run, telemetry};

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Crd => crd::print(),
        Command::Run(arguments) => {
            let settings = Settings::from(arguments);
            telemetry::init(&settings).and_then(|()| run::start(settings))
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ecs-operator: {error}");
            ExitCode::FAILURE
        }
    }
}
