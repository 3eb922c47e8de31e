//! The kinds that the operator serves, and what each of them gets by being registered: a store, a
//! channel for triggers, a controller, and its lines in readiness and metrics.

use std::borrow::Cow;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use kube::runtime::reflector;
use tokio::task::JoinSet;

use super::controller::{self, Wiring};
use super::kind::Kind;
use super::stores::{self, Stores};
use crate::trigger::{Triggered, Triggers};

/// The kinds, in the order in which they start.
#[derive(Default)]
pub struct Registry {
    kinds: Vec<Registered>,
    stores: stores::Builder,
}

struct Registered {
    kind: Cow<'static, str>,
    plural: Cow<'static, str>,
    /// Starts the controller of the kind.
    start: Start,
}

type Start = Box<dyn FnOnce(Arc<Wiring>, Triggered) -> BoxFuture<'static, ()> + Send>;

impl Registry {
    /// Registers a kind.
    pub fn add<K: Kind>(&mut self) {
        let (store, writer) = reflector::store::<K>();
        self.stores.add(store.clone(), K::SHAPE.refers_to);
        let start = |wiring: Arc<Wiring>, triggered| {
            controller::run(wiring, store, writer, triggered).boxed()
        };
        self.kinds.push(Registered {
            kind: K::kind(&()),
            plural: K::plural(&()),
            start: Box::new(start),
        });
    }

    /// The plurals of the kinds, which readiness knows them by.
    pub fn plurals(&self) -> impl Iterator<Item = &str> {
        self.kinds.iter().map(|kind| &*kind.plural)
    }

    /// The stores of all kinds, the triggers that reach their controllers, and what starts those.
    #[must_use]
    pub fn build(self) -> (Stores, Triggers, Controllers) {
        let (triggers, triggered) = Triggers::new(self.kinds.iter().map(|kind| kind.kind.clone()));
        let controllers = self
            .kinds
            .into_iter()
            .map(|kind| kind.start)
            .zip(triggered)
            .collect();
        (self.stores.build(), triggers, Controllers(controllers))
    }
}

/// The controllers of all kinds, not started yet.
pub struct Controllers(Vec<(Start, Triggered)>);

impl Controllers {
    /// Runs all controllers until they end. Each runs as a task of its own, so that none delays
    /// another; dropping the future ends them.
    ///
    /// # Panics
    /// When a controller panics.
    pub async fn run(self, wiring: Arc<Wiring>) {
        let mut running = JoinSet::new();
        for (start, triggered) in self.0 {
            running.spawn(start(Arc::clone(&wiring), triggered));
        }
        while let Some(ended) = running.join_next().await {
            ended.unwrap_or_else(|broken| std::panic::resume_unwind(broken.into_panic()));
        }
    }
}
