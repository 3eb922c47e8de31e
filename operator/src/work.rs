//! The work of a process: the controllers of all kinds.

use std::sync::Arc;

use aws_types::SdkConfig;
use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::aws::event_queue::EventQueue;
use crate::aws::{Accounts, Aws, Calls, Scope, client};
use crate::k8s::events::Events;
use crate::leadership::Leadership;
use crate::metrics::{AwsMetrics, Metrics};
use crate::readiness::Readiness;
use crate::reconcile::{Claims, Context, ObjectStates, Registry, Wiring};
use crate::settings::Settings;
use crate::{Error, kinds};

/// What a process works with.
pub struct Process {
    /// The client of the API server.
    pub kube: Client,
    /// Credentials, Region and connection of the calls to AWS.
    pub aws: SdkConfig,
    /// Whether it may write.
    pub leadership: Leadership,
    /// Publishes events.
    pub events: Events,
    /// Counts what it does.
    pub metrics: Arc<Metrics>,
    /// Says what it waits for.
    pub readiness: Arc<Readiness>,
    /// Ends it when its passes have ended.
    pub stop: CancellationToken,
}

/// Runs the controllers of all kinds until `process.stop`.
///
/// # Errors
/// When it lacks a Region or the right to read the identity of the Kubernetes cluster.
pub async fn work(settings: Settings, process: Process) -> Result<(), Error> {
    let Process {
        kube,
        aws: config,
        leadership,
        events,
        metrics,
        readiness,
        stop,
    } = process;
    let mut registry = Registry::default();
    kinds::all(&mut registry);
    for need in registry.plurals().chain([client::NEED]) {
        readiness.set(need, Err("not looked at yet".to_owned()));
    }
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
