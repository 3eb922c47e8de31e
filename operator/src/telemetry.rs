//! Logs.

use std::io::IsTerminal;

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cli::LogFormat;
use crate::settings::Settings;

/// Starts logging to standard error.
pub fn init(settings: &Settings) {
    let logs = fmt::layer().with_writer(std::io::stderr);
    let logs = match settings.log_format {
        LogFormat::Json => logs.json().flatten_event(true).boxed(),
        LogFormat::Pretty => logs.with_ansi(std::io::stderr().is_terminal()).boxed(),
    };
    tracing_subscriber::registry()
        .with(logs.with_filter(settings.log_filter.clone()))
        .init();
}

/// Reads what is to be logged: a level for everything, levels for single targets, or both.
///
/// `Targets` reads such texts too, but takes a mistyped level for the name of a target, and logs
/// nothing.
///
/// # Errors
/// In words, when a part is neither a level nor `target=level`.
pub fn filter(text: &str) -> Result<Targets, String> {
    text.split(',')
        .map(str::trim)
        .try_fold(Targets::new(), |filter, part| match part.split_once('=') {
            None => Ok(filter.with_default(level(part)?)),
            Some((target, text)) if !target.is_empty() => {
                Ok(filter.with_target(target, level(text)?))
            }
            Some(_) => Err(format!("`{part}` names no target")),
        })
}

fn level(text: &str) -> Result<LevelFilter, String> {
    match text.parse() {
        Ok(level) if !text.is_empty() => Ok(level),
        _ => Err(format!(
            "`{text}` is not a level; use off, error, warn, info or debug, or levels of targets such as info,ecs_operator=debug"
        )),
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn a_level_holds_for_all_but_the_targets_that_have_their_own() {
        let filter = filter("info, kube=WARN,ecs_operator::aws=debug").expect("it is well formed");
        let logged = |target, level: Level| filter.would_enable(target, &level);
        assert!(logged("rustls", Level::INFO) && !logged("rustls", Level::DEBUG));
        assert!(logged("kube::client", Level::WARN) && !logged("kube::client", Level::INFO));
        assert!(
            logged("ecs_operator::aws::observer", Level::DEBUG)
                && !logged("ecs_operator::run", Level::DEBUG)
        );
    }

    #[test]
    fn a_filter_that_would_log_nothing_unawares_is_refused() {
        for text in [
            "",
            "loud",
            "=,=",
            "=info",
            "info,",
            "ecs_operator=",
            "ecs_operator=loud",
            "info,[span]=debug=x",
        ] {
            assert!(filter(text).is_err(), "{text}");
        }
    }
}
