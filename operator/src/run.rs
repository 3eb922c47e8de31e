//! Starts the operator, runs it, and stops it.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::aws::client;
use crate::http::{self, Endpoints};
use crate::k8s::events::Events;
use crate::metrics::Metrics;
use crate::process::{connect, shutdown};
use crate::readiness::Readiness;
use crate::settings::Settings;
use crate::work::{Process, work};

/// Longest time that waiting events get to be published after that.
const LAST_EVENTS: Duration = Duration::from_millis(500);

/// Runs the operator until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot start.
pub fn start(settings: Settings) -> Result<(), Error> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| Error::Tls)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    let result = runtime.block_on(run(settings));
    // Calls to AWS that are still under way are safe to leave: the next start observes their
    // result.
    runtime.shutdown_background();
    result
}

async fn run(settings: Settings) -> Result<(), Error> {
    let (metrics, readiness) = (Arc::new(Metrics::default()), Arc::new(Readiness::default()));
    let listener = http::bind(settings.http_address).await?;
    // With port 0 only the listener knows the address.
    let address = listener.local_addr().unwrap_or(settings.http_address);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), http = %address, "ecs-operator starts");
    let probes = tokio::spawn(http::serve(
        listener,
        Endpoints {
            readiness: Arc::clone(&readiness),
            metrics: Arc::clone(&metrics),
        },
    ));
    let stop = CancellationToken::new();
    let (kube, leadership, campaign) = connect(&settings, &readiness).await?;
    let events = Events::start(&kube);
    // Inside the select, so that a signal ends also the search for credentials.
    let working = async {
        let process = Process {
            aws: client::load(settings.region.as_deref()).await,
            kube,
            events: events.clone(),
            leadership: leadership.clone(),
            metrics,
            readiness,
            stop: stop.clone(),
        };
        work(settings, process).await
    };
    // Whether all passes have ended, so that nothing they sent is still under way.
    let (result, at_rest) = tokio::select! {
        result = working => (result, true),
        () = shutdown(&stop) => (Ok(()), false),
        () = leadership.lost() => (Err(Error::LeadershipLost), false),
    };
    // A process that is no longer the leader publishes nothing.
    let _ = tokio::time::timeout(LAST_EVENTS, events.flush()).await;
    if let Some(campaign) = campaign {
        campaign.end(at_rest).await;
    }
    probes.abort();
    tracing::info!("ecs-operator ends");
    result
}
