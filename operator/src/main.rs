//! The `ecs-operator` command.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;
use ecs_operator::cli::{Cli, Command};
use ecs_operator::settings::Settings;
use ecs_operator::{Error, crd, iam, run, telemetry};

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Crd => crd::yaml().and_then(|crds| print(&crds)),
        Command::IamPolicy(arguments) => print(&iam::json(&arguments)),
        Command::Run(arguments) => {
            let settings = Settings::from(arguments);
            telemetry::init(&settings);
            run::start(settings)
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

fn print(text: &str) -> Result<(), Error> {
    match std::io::stdout().write_all(text.as_bytes()) {
        // The reader has closed the pipe.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(Error::Output),
    }
}
