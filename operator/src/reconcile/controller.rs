//! The controller of a kind: its watch, the triggers that lead to passes, and its work queue.

use std::sync::Arc;

use futures::{StreamExt, stream};
use kube::runtime::reflector::{self, ObjectRef, Store};
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::driver::forget;
use super::kind::Kind;
use super::queue;
use crate::k8s::watch::{self, Change, Selection};
use crate::leadership::Leadership;
use crate::readiness::Readiness;
use crate::trigger::{ObjectId, Triggered, Triggers};

/// What the controllers of all kinds share.
pub struct Wiring {
    /// Which objects to watch.
    pub selection: Selection,
    /// Number of passes of a kind at the same time.
    pub concurrency: u16,
    /// Client of the API server.
    pub client: kube::Client,
    /// Whether this replica is the leader.
    pub leadership: Leadership,
    /// What the probes report.
    pub readiness: Arc<Readiness>,
    /// What all passes share.
    pub context: Arc<Context>,
    /// Reach the controllers of all kinds.
    pub triggers: Triggers,
    /// Ends the controllers.
    pub stop: CancellationToken,
}

/// Watches a kind and reconciles its objects until the operator stops.
pub(super) async fn run<K: Kind>(
    wiring: Arc<Wiring>,
    store: Store<K>,
    writer: reflector::store::Writer<K>,
    mut triggered: Triggered,
) {
    let Wiring {
        selection,
        context,
        readiness,
        ..
    } = &*wiring;
    let apis = selection.apis::<K>(&wiring.client);
    let availability = &context.stores.availability;
    tokio::select! {
        () = watch::available(&apis, readiness, availability) => {}
        // A kind that was never watched has nothing to end.
        () = wiring.stop.cancelled() => return,
    }
    let work = async {
        // References are looked up in the stores of all kinds: an empty one would say that
        // everything is missing.
        context.stores.loaded().await;
        let waiting = stand_by(&wiring.leadership, &store, &mut triggered).await;
        let triggers = stream::iter(waiting).chain(triggered.map(|object| object.object_ref()));
        queue::work(
            triggers,
            store,
            Arc::clone(context),
            wiring.concurrency,
            wiring.stop.clone(),
        )
        .await;
    };
    let changed = |change: Change<'_, K>| changed(&change, context, &wiring.triggers);
    tokio::select! {
        () = watch::watch(apis, selection.labels.clone(), writer, (readiness, availability), changed) => {}
        () = work => {}
    }
}

/// Waits until this replica is the leader, and returns the objects that need a pass then: all of
/// them, for the triggers that come before are dropped.
async fn stand_by<K: Kind>(
    leadership: &Leadership,
    store: &Store<K>,
    triggered: &mut Triggered,
) -> Vec<ObjectRef<K>> {
    if leadership.holds() {
        return Vec::new();
    }
    tokio::select! {
        () = triggered.for_each(|_| async {}) => {}
        () = leadership.acquired() => {}
    }
    store
        .state()
        .iter()
        .map(|object| ObjectRef::from_obj(&**object))
        .collect()
}

/// Enters a change that the watch saw into the index of references, and triggers the objects that
/// it concerns.
fn changed<K: Kind>(change: &Change<'_, K>, context: &Context, triggers: &Triggers) {
    let references = &context.stores.references;
    match *change {
        Change::Applied {
            object,
            own,
            others,
        } => {
            let id = ObjectId::of(object);
            triggers.send_all(references.apply(&id, object.aws_name(), object.references()));
            if others {
                triggers.send_all(references.referrers(&id));
            }
            if own {
                triggers.send(id);
            }
        }
        Change::Deleted(object) => {
            let id = ObjectId::of(object);
            forget(object, context);
            // Those that name its AWS object are found while the index has the object.
            triggers.send_all(references.referrers(&id));
            triggers.send_all(references.remove(&id));
        }
        Change::Listed(namespace) => {
            let is_concerned =
                |object: &ObjectId| namespace.is_none() || object.namespace.as_deref() == namespace;
            references.complete(&K::kind(&()));
            triggers.send_all(
                references
                    .referrers_of_kind(&K::kind(&()))
                    .into_iter()
                    .filter(is_concerned),
            );
            // A deletion may have waited because objects of this kind could not be read.
            triggers.send_all(context.stores.deleting().into_iter().filter(is_concerned));
        }
    }
}
