//! Kubernetes events: one per AWS write and one per new trouble, never one per retry.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

use super::conditions::cut;
use super::{MANAGER, request};

/// Longest note that the API accepts, in bytes.
const MAX_NOTE: usize = 1024;

/// Something worth an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether it is trouble.
    pub warning: bool,
    /// Why, in PascalCase.
    pub reason: String,
    /// What was done: the AWS operation, or `Reconcile`.
    pub action: String,
    /// The same in words.
    pub note: String,
}

impl Notice {
    /// Something that happened by itself, or that the operator noticed.
    #[must_use]
    pub fn new(warning: bool, reason: &str, note: impl Into<String>) -> Self {
        Self { warning, reason: reason.to_owned(), action: "Reconcile".to_owned(), note: note.into() }
    }
}

/// Publishes `notice` about the object. A lost event is no reason to fail: conditions tell the same.
pub async fn publish(client: &Client, about: &ObjectReference, notice: Notice) {
    let Notice { warning, reason, action, note } = notice;
    let event = Event {
        type_: if warning { EventType::Warning } else { EventType::Normal },
        reason,
        note: Some(cut(note, MAX_NOTE)),
        action,
        secondary: None,
    };
    // A recorder of its own each time: a shared one takes events of the same reason for repetitions, whatever their note
    // says, and repeats the first note. We publish only what is new.
    let recorder = Recorder::new(client.clone(), Reporter { controller: MANAGER.into(), instance: None });
    if let Err(error) = request(recorder.publish(&event, about)).await {
        tracing::warn!(%error, reason = event.reason, "cannot publish an event");
    }
}
