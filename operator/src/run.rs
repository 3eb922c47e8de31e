//! Ties it all together: clients, watches, controllers, probes, shutdown.

use std::sync::Arc;
use std::time::Duration;

use ecs_operator_crds::v1beta1::{EcsCluster, EcsService, EcsTaskDefinition};
use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Namespace;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::{Api, Client, Config, ResourceExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::aws::hints::Hints;
use crate::aws::observer::{Observer, Wakes};
use crate::aws::{Aws, Calls, Scope, Writer, client};
use crate::http::{self, Endpoints, Readiness};
use crate::k8s::events::Events;
use crate::k8s::leader::{Campaign, Leadership};
use crate::k8s::watch::{self, Change};
use crate::metrics::Metrics;
use crate::reconcile::{self, Claims, Context, Kind, Memories, Off, Stores, queue, references};
use crate::settings::Settings;

/// Longest time that running passes get to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(4);

/// Longest time that waiting events get to be published after that.
const LAST_EVENTS: Duration = Duration::from_millis(500);

/// How often something that must be there at the start is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// Runs the operator until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot start.
pub fn start(settings: Settings) -> Result<(), Error> {
    rustls::crypto::aws_lc_rs::default_provider().install_default().map_err(|_| Error::Tls)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Error::Runtime)?;
    let result = runtime.block_on(run(settings));
    // Whatever still waits for AWS is safe to leave: the next start looks again.
    runtime.shutdown_background();
    result
}

async fn run(settings: Settings) -> Result<(), Error> {
    let metrics = Arc::new(Metrics::default());
    let readiness = Arc::new(Readiness::default());
    let listener = http::bind(settings.http_address).await?;
    // With port 0 only the listener knows the address.
    let address = listener.local_addr().unwrap_or(settings.http_address);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), http = %address, "ecs-operator starts");
    let probes =
        tokio::spawn(http::serve(listener, Endpoints { readiness: Arc::clone(&readiness), metrics: Arc::clone(&metrics) }));
    let stop = CancellationToken::new();
    let (kube, leadership, campaign) = connect(&settings, &readiness).await?;
    let events = Events::start(&kube);
    // Whether all passes have ended, so that nothing they sent is still under way.
    let (result, at_rest) = tokio::select! {
        result = work(settings, kube, events.clone(), leadership.clone(), metrics, readiness, stop.clone()) => (result, true),
        () = shutdown(&stop) => (Ok(()), false),
        () = leadership.lost() => (Err(Error::LeadershipLost), false),
    };
    // A process that is not the leader any more publishes nothing.
    let _ = tokio::time::timeout(LAST_EVENTS, events.flush()).await;
    if let Some(campaign) = campaign {
        campaign.end(at_rest).await;
    }
    probes.abort();
    tracing::info!("ecs-operator ends");
    result
}

/// The client of the API server, and this replica's part in the election of a leader, where there is one.
async fn connect(settings: &Settings, readiness: &Arc<Readiness>) -> Result<(Client, Leadership, Option<Campaign>), Error> {
    let no_cluster = |error: &dyn std::error::Error| Error::NoCluster(error.to_string());
    let config = Config::infer().await.map_err(|error| no_cluster(&error))?;
    let (campaign, leadership) = match settings.election.clone() {
        Some(election) => {
            let started = Campaign::start(config.clone(), election, Arc::clone(readiness));
            let (campaign, leadership) = started.map_err(|error| no_cluster(&error))?;
            (Some(campaign), leadership)
        }
        None => (None, Leadership::unopposed()),
    };
    let client = crate::k8s::client(config, leadership.clone()).map_err(|error| no_cluster(&error))?;
    Ok((client, leadership, campaign))
}

/// Ends when SIGTERM or SIGINT has come and running passes have had their time.
async fn shutdown(stop: &CancellationToken) {
    let mut terminate = signal(SignalKind::terminate()).expect("a signal handler can be installed once");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    tracing::info!("stopping");
    stop.cancel();
    tokio::time::sleep(GRACE).await;
}

async fn work(
    settings: Settings,
    kube: Client,
    events: Events,
    leadership: Leadership,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    stop: CancellationToken,
) -> Result<(), Error> {
    for need in ["aws-credentials", "ecsclusters", "ecstaskdefinitions", "ecsservices"] {
        readiness.set(need, Err("not looked at yet".to_owned()));
    }
    let config = client::load(settings.region.as_deref()).await;
    let region = config.region().map(ToString::to_string).filter(|region| !region.is_empty()).ok_or(Error::NoRegion)?;
    tokio::spawn(await_credentials(config.clone(), Arc::clone(&readiness)));
    let cluster_id = match settings.cluster_id.clone() {
        Some(cluster_id) => cluster_id,
        None => cluster_id(&kube).await?,
    };

    let (clusters, cluster_writer) = reflector::store();
    let (task_definitions, task_definition_writer) = reflector::store();
    let (services, service_writer) = reflector::store();
    let stores = Stores { clusters, task_definitions, services, users: Arc::default(), off: Off::default() };
    let _ = metrics.state().stores.set(stores.clone());
    let _ = metrics.state().leadership.set(leadership.clone());

    let (cluster_wake, cluster_wakes) = unbounded();
    let (task_definition_wake, task_definition_wakes) = unbounded();
    let (service_wake, service_wakes) = unbounded();
    let wakes = Wakes { clusters: cluster_wake, task_definitions: task_definition_wake, services: service_wake };

    let calls = Arc::new(Calls::new(&config, settings.quota_share, leadership.clone(), Arc::clone(&metrics)));
    let aws = Aws {
        scope: Scope { account: "default".into(), region: region.into() },
        observer: Observer::start(&calls, settings.sweep, wakes.clone()),
        writer: Writer::new(calls, settings.quota_share),
    };
    let _ = metrics.state().ages.set(aws.observer.ages());
    tracing::info!(aws = %aws.scope, cluster_id, "ready to look");
    let context = Arc::new(Context {
        client: kube.clone(),
        cluster_id,
        former_clusters: settings.former_cluster_ids.clone(),
        allowed_clusters: settings.allowed_clusters.clone(),
        stores: stores.clone(),
        aws,
        readiness: Arc::clone(&readiness),
        events,
        metrics,
        memories: Memories::default(),
        claims: Claims::default(),
    });

    let new_hints = |url| Hints::new(&config, url, Arc::clone(&context.metrics), Arc::clone(&readiness));
    let hints = settings.event_queue_url.clone().map(new_hints).transpose()?;
    let hints = hints.map(|hints| tokio::spawn(take_hints(hints, leadership.clone(), Arc::clone(&context))));
    let wiring = Arc::new(Wiring { settings, kube, leadership, readiness, context, wakes, stop });
    // Each kind runs as a task of its own, so that none delays another. Dropping the set ends them.
    let mut kinds = JoinSet::new();
    kinds.spawn(Arc::clone(&wiring).control(stores.clusters, cluster_writer, cluster_wakes, cluster_changed));
    kinds.spawn(Arc::clone(&wiring).control(
        stores.task_definitions,
        task_definition_writer,
        task_definition_wakes,
        task_definition_changed,
    ));
    kinds.spawn(wiring.control(stores.services, service_writer, service_wakes, service_changed));
    while let Some(ended) = kinds.join_next().await {
        ended.unwrap_or_else(|broken| std::panic::resume_unwind(broken.into_panic()));
    }
    if let Some(hints) = hints {
        hints.abort();
    }
    Ok(())
}

/// Takes events of ECS out of their queue for ever, once this replica is the leader.
async fn take_hints(hints: Hints, leadership: Leadership, context: Arc<Context>) {
    leadership.acquired().await;
    hints.follow(&context.aws.observer).await;
}

/// Identity of the Kubernetes cluster: the UID of its namespace kube-system, which lives as long as the cluster.
async fn cluster_id(kube: &Client) -> Result<String, Error> {
    let namespaces = Api::<Namespace>::all(kube.clone());
    loop {
        match crate::k8s::request(namespaces.get("kube-system")).await {
            Ok(namespace) => return Ok(namespace.uid().unwrap_or_default()),
            Err(crate::k8s::RequestError::Kube(kube::Error::Api(status))) if status.is_forbidden() || status.is_not_found() => {
                return Err(Error::ClusterId(status.message.clone()));
            }
            Err(error) => tracing::warn!(%error, "waiting for the API server"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Looks for AWS credentials until there are some. Should they be lost later, the objects tell: the observer wakes them when
/// its reads are refused.
async fn await_credentials(config: aws_types::SdkConfig, readiness: Arc<Readiness>) {
    loop {
        let state = client::check_credentials(&config).await;
        let found = state.is_ok();
        if let Err(problem) = &state {
            tracing::warn!("waiting: {problem}");
        }
        readiness.set("aws-credentials", state);
        if found {
            return;
        }
        tokio::time::sleep(RETRY * 5).await;
    }
}

/// What the controllers of all kinds share.
struct Wiring {
    settings: Settings,
    kube: Client,
    leadership: Leadership,
    readiness: Arc<Readiness>,
    context: Arc<Context>,
    wakes: Wakes,
    stop: CancellationToken,
}

impl Wiring {
    /// Watches a kind and works on its objects until the operator stops.
    async fn control<K: Kind>(
        self: Arc<Self>,
        store: Store<K>,
        writer: reflector::store::Writer<K>,
        mut wakes: UnboundedReceiver<ObjectRef<K>>,
        changed: fn(&Change<'_, K>, &Context, &Wakes),
    ) {
        let selection = &self.settings.selection;
        let apis = selection.apis::<K>(&self.kube);
        let off = &self.context.stores.off;
        tokio::select! {
            () = watch::available(&apis, &self.readiness, off) => {}
            // There is nothing to end of a kind that was never begun.
            () = self.stop.cancelled() => return,
        }
        let work = async {
            // References are looked up in the stores of all kinds: an empty one would say that everything is missing.
            self.context.stores.loaded().await;
            let seen = self.stand_by(&store, &mut wakes).await;
            let wakes = stream::iter(seen).chain(wakes);
            queue::work(wakes, store, Arc::clone(&self.context), self.settings.concurrency, self.stop.clone()).await;
        };
        let wake = |change: Change<'_, K>| changed(&change, &self.context, &self.wakes);
        tokio::select! {
            () = watch::watch(apis, selection.labels.clone(), writer, (&self.readiness, off), wake) => {}
            () = work => {}
        }
    }

    /// Awaits that this replica is the leader, and answers the objects that wait for it then. Those that it is woken for before are in
    /// the store.
    async fn stand_by<K: Kind>(&self, store: &Store<K>, wakes: &mut UnboundedReceiver<ObjectRef<K>>) -> Vec<ObjectRef<K>> {
        if self.leadership.holds() {
            return Vec::new();
        }
        tokio::select! {
            () = wakes.for_each(|_| async {}) => {}
            () = self.leadership.acquired() => {}
        }
        store.state().iter().map(|object| ObjectRef::from_obj(&**object)).collect()
    }
}

fn cluster_changed(change: &Change<'_, EcsCluster>, context: &Context, wakes: &Wakes) {
    let services = &context.stores.services;
    let concerned = match own(change, context, &wakes.clusters) {
        Concerns::Nobody => return,
        Concerns::Those(cluster) => references::services_of_cluster(cluster, services),
        Concerns::All => references::services_of_clusters(services),
    };
    send_all(&wakes.services, &concerned);
}

fn task_definition_changed(change: &Change<'_, EcsTaskDefinition>, context: &Context, wakes: &Wakes) {
    match change {
        Change::Applied { object, .. } => context.stores.users.definition_applied(object),
        Change::Deleted(object) => context.stores.users.definition_deleted(object),
        Change::Listed => {}
    }
    let services = &context.stores.services;
    let concerned = match own(change, context, &wakes.task_definitions) {
        Concerns::Nobody => return,
        Concerns::Those(definition) => references::services_of_task_definition(definition, services),
        Concerns::All => references::services_of_task_definitions(services),
    };
    send_all(&wakes.services, &concerned);
}

fn service_changed(change: &Change<'_, EcsService>, context: &Context, wakes: &Wakes) {
    own(change, context, &wakes.services);
    let stores = &context.stores;
    let (clusters, task_definitions) = match change {
        Change::Listed => references::all_waiting_targets(stores),
        Change::Applied { object, .. } => references::waiting(&stores.users.applied(object), stores),
        Change::Deleted(object) => references::waiting(&stores.users.deleted(object), stores),
    };
    send_all(&wakes.clusters, &clusters);
    send_all(&wakes.task_definitions, &task_definitions);
}

/// Whose references a change concerns.
enum Concerns<'a, K> {
    Nobody,
    /// Those that refer to this object.
    Those(&'a K),
    /// Whoever refers to one of its kind.
    All,
}

/// Wakes the changed object itself where it needs a look, or forgets it when it is gone; says whom else the change concerns.
fn own<'a, K: Kind>(change: &Change<'a, K>, context: &Context, wake: &crate::aws::observer::Wake<K>) -> Concerns<'a, K> {
    match *change {
        Change::Applied { object, own, others } => {
            if own {
                send(wake, object);
            }
            if others { Concerns::Those(object) } else { Concerns::Nobody }
        }
        Change::Deleted(object) => {
            reconcile::forget(object, context);
            Concerns::Those(object)
        }
        Change::Listed => Concerns::All,
    }
}

fn send<K: Kind>(wake: &crate::aws::observer::Wake<K>, object: &K) {
    // The receiver is gone only when the operator stops.
    let _ = wake.unbounded_send(ObjectRef::from_obj(object));
}

fn send_all<K: Kind>(wake: &crate::aws::observer::Wake<K>, objects: &[Arc<K>]) {
    for object in objects {
        send(wake, &**object);
    }
}
