//! Logs.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::Error;
use crate::cli::LogFormat;
use crate::settings::Settings;

/// Starts logging to standard error.
///
/// # Errors
/// When the filter cannot be read.
pub fn init(settings: &Settings) -> Result<(), Error> {
    let filter = EnvFilter::try_new(&settings.log_filter).map_err(|error| Error::LogFilter(error.to_string()))?;
    let logs = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.log_format {
        LogFormat::Json => logs.json().flatten_event(true).init(),
        LogFormat::Pretty => logs.with_ansi(std::io::stderr().is_terminal()).init(),
    }
    Ok(())
}
