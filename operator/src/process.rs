//! What the process has to do with the outside: the API server, the other replicas, and signals.

use std::sync::Arc;
use std::time::Duration;

use kube::{Client, Config};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::k8s::leader::LeaderElection;
use crate::leadership::Leadership;
use crate::readiness::Readiness;
use crate::settings::Settings;

/// Longest time that running passes get to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(4);

/// The client of the API server, and this replica's part in the election of a leader, where there
/// is one.
pub(crate) async fn connect(
    settings: &Settings,
    readiness: &Arc<Readiness>,
) -> Result<(Client, Leadership, Option<LeaderElection>), Error> {
    let no_cluster = |error: &dyn std::error::Error| Error::NoCluster(error.to_string());
    let config = Config::infer().await.map_err(|error| no_cluster(&error))?;
    let (campaign, leadership) = match settings.election.clone() {
        Some(election) => {
            let started = LeaderElection::start(config.clone(), election, Arc::clone(readiness));
            let (campaign, leadership) = started.map_err(|error| no_cluster(&error))?;
            (Some(campaign), leadership)
        }
        None => (None, Leadership::always_leader()),
    };
    let client =
        crate::k8s::client(config, leadership.clone()).map_err(|error| no_cluster(&error))?;
    Ok((client, leadership, campaign))
}

/// Ends when SIGTERM or SIGINT has come and running passes have had their time.
pub(crate) async fn shutdown(stop: &CancellationToken) {
    let mut terminate =
        signal(SignalKind::terminate()).expect("a signal handler can be installed once");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    tracing::info!("stopping");
    stop.cancel();
    tokio::time::sleep(GRACE).await;
}
