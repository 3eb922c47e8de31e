//! Starts the operator, runs it, and stops it.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::aws::event_queue::EventQueue;
use crate::aws::{Accounts, Aws, Calls, Scope, client};
use crate::http::{self, Endpoints};
use crate::k8s::events::Events;
use crate::leadership::Leadership;
use crate::metrics::{AwsMetrics, Metrics};
use crate::process::{connect, shutdown};
use crate::readiness::Readiness;
use crate::reconcile::{Claims, Context, ObjectStates, Registry, Wiring};
use crate::settings::Settings;
use crate::{Error, kinds};

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
    // Whether all passes have ended, so that nothing they sent is still under way.
    let (result, at_rest) = tokio::select! {
        result = work(settings, kube, events.clone(), leadership.clone(), metrics, readiness, stop.clone()) => (result, true),
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

/// Runs the controllers of all kinds.
async fn work(
    settings: Settings,
    kube: Client,
    events: Events,
    leadership: Leadership,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    stop: CancellationToken,
) -> Result<(), Error> {
    let mut registry = Registry::default();
    kinds::all(&mut registry);
    for need in registry.plurals().chain([client::NEED]) {
        readiness.set(need, Err("not looked at yet".to_owned()));
    }
    let config = client::load(settings.region.as_deref()).await;
    let scope = Scope::of(&config).ok_or(Error::NoRegion)?;
    tokio::spawn(client::await_credentials(
        config.clone(),
        Arc::clone(&readiness),
    ));
    let cluster_id = match settings.cluster_id {
        Some(cluster_id) => cluster_id,
        None => crate::k8s::cluster_id(&kube).await?,
    };
    let (stores, triggers, controllers) = registry.build();
    let aws_metrics = AwsMetrics::new(Arc::clone(&metrics), &scope.account, &scope.region);
    let share = settings.quota_share;
    let calls = Calls::new(&config, share, leadership.clone(), aws_metrics.clone());
    let aws = Aws::start(scope, calls, share, settings.sweep, triggers.clone());
    stores.register(&metrics);
    leadership.register(&metrics);
    tracing::info!(aws = %aws.scope, cluster_id, "ready to look");
    let accounts = Accounts::new(aws);
    let queue = match settings.event_queue_url {
        Some(url) => {
            let queue = EventQueue::new(&config, url, aws_metrics, Arc::clone(&readiness))?;
            let aws = Arc::clone(accounts.default_scope());
            Some(tokio::spawn(queue.follow(leadership.clone(), aws)))
        }
        None => None,
    };
    let context = Arc::new(Context {
        client: kube.clone(),
        cluster_id,
        former_clusters: settings.former_cluster_ids,
        allowed_clusters: settings.allowed_clusters,
        stores,
        accounts,
        readiness: Arc::clone(&readiness),
        events,
        metrics,
        states: ObjectStates::default(),
        claims: Claims::default(),
    });
    let wiring = Wiring {
        selection: settings.selection,
        concurrency: settings.concurrency,
        client: kube,
        leadership,
        readiness,
        context,
        triggers,
        stop,
    };
    controllers.run(Arc::new(wiring)).await;
    if let Some(queue) = queue {
        queue.abort();
    }
    Ok(())
}
