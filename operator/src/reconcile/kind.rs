//! What the driver asks of a kind.

use std::time::Duration;

use ecs_operator_crds::condition::{ConditionType, Reason};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::context::Pass;
use super::index::Reference;
use super::outcome::Outcome;
use super::plan::{Plan, Write, request};
use super::stores::Stores;
use crate::aws::observer::{Pace, PolledKey};
use crate::aws::tags::Owner;
use crate::aws::{AwsError, Freshness, Operation, Permit};
use crate::k8s::conditions::Verdict;
use crate::k8s::events::Notice;
use crate::k8s::object::Object;

/// A member, by path, and the JSON that sets it back. `null` leaves it out of the member above it,
/// which ECS replaces as a whole.
pub type Reset = (&'static str, &'static str);

/// What the driver knows of the spec of a kind: data, no code.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Members of the spec that identify the AWS object. They cannot be in `ignoreFields`.
    pub identity: &'static [&'static str],
    /// Members of the spec that belong to the operator and not to the AWS API.
    pub own_members: &'static [&'static str],
    /// Members that are set back when the spec drops them, and how.
    pub resets: &'static [Reset],
    /// Members of the spec that a request has under another name, and the operation that sends them.
    pub sent_by: &'static [(&'static str, Operation)],
    /// Kinds that [`Kind::references`] may name.
    pub refers_to: &'static [&'static str],
}

/// A kind of custom resource that stands for an object in AWS.
///
/// The driver calls the methods in this order: `observe`, `plan`, and where the plan has writes,
/// `apply` for each of them, then `report`. A kind is registered in
/// [`kinds::all`](crate::kinds::all).
pub trait Kind: Object {
    /// What `observe` finds: everything that `plan` and `status` decide from.
    type Observed: Send + Sync;

    /// What the driver knows of the spec.
    const SHAPE: Shape;

    /// Name of the AWS object, unique among those of the kind in an account and Region. Called for
    /// each change that the watch sees. `None`, the default, means that it is not known.
    fn aws_name(&self) -> Option<String> {
        None
    }

    /// What the object refers to. Called for each change that the watch sees, so it must not do
    /// I/O. A change of a target triggers the object; when the object drops a reference, the former
    /// target is triggered. The default is no references.
    fn references(&self) -> Vec<Reference> {
        Vec::new()
    }

    /// Name of the ECS cluster that the object is, or lives in, which `--allowed-clusters` checks.
    /// `None`, the default, means that there is none or that it is not known.
    fn cluster(&self, _stores: &Stores) -> Option<String> {
        None
    }

    /// Reads AWS through `pass.aws` and references through the stores. Called once for each object,
    /// and again before and after writes with a greater `freshness`. Must not write.
    fn observe(
        &self,
        pass: &Pass<'_, Self::Observed>,
        freshness: Freshness,
    ) -> impl Future<Output = Result<Observed<Self::Observed>, AwsError>> + Send;

    /// Decides what to do. Pure: no I/O, no clock, and an answer for everything that `observe` can
    /// find.
    fn plan(&self, observed: &Self::Observed, owner: &Owner) -> Plan;

    /// Sends one write of the plan and returns what is known after it.
    fn apply(
        &self,
        pass: &Pass<'_, Self::Observed>,
        observed: &Self::Observed,
        write: &Write,
        permit: Permit,
    ) -> impl Future<Output = Result<Observed<Self::Observed>, AwsError>> + Send;

    /// What the status reports after a pass. Pure. The driver makes the conditions from it, and
    /// fills in what all kinds have in common: the generation, `lastHandledReconcileAt`,
    /// `pendingChanges`, and what of the spec AWS has accepted.
    fn report(&self, after: &After<'_, Self::Observed>) -> Report<Self::Status>;

    /// When the object needs a pass although nothing triggers it, counted from `now`: a deadline
    /// passes, or work is left. Called after a pass that ends in sync. `None`, the default, means
    /// never.
    fn requeue_after(
        &self,
        _observed: Option<&Self::Observed>,
        _status: &Self::Status,
        _now: Timestamp,
    ) -> Option<Duration> {
        None
    }

    /// When the object needs a pass whatever comes of this one, counted from `now`: its time is
    /// over. `None`, the default, means never.
    fn deadline(
        &self,
        _observed: Option<&Self::Observed>,
        _status: &Self::Status,
        _now: Timestamp,
    ) -> Option<Duration> {
        None
    }

    /// Events for what changed between two statuses. The driver itself reports writes and a Ready
    /// condition that turns False. The default is none.
    fn events(&self, _before: &Self::Status, _after: &Self::Status) -> Vec<Notice> {
        Vec::new()
    }
}

/// What a report is made from.
#[derive(Debug)]
pub struct After<'a, O> {
    /// What was observed last; `None` when the pass could not read AWS.
    pub observed: Option<&'a O>,
    /// What came of the pass.
    pub outcome: &'a Outcome,
    /// The writes that AWS has accepted.
    pub accepted: &'a [Write],
    /// A write that AWS may have accepted, because it got no reply.
    pub unanswered: Option<&'a Write>,
    /// The present time.
    pub now: Timestamp,
}

impl<O> Clone for After<'_, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O> Copy for After<'_, O> {}

/// What a kind reports of an object after a pass.
#[derive(Clone, Debug)]
pub struct Report<S> {
    /// The status, with the members of the kind as they are now. The driver fills in
    /// `common`.
    pub status: S,
    /// What the conditions Ready, Reconciling and Stalled say.
    pub verdict: Verdict,
    /// Conditions beside them.
    pub others: Vec<OtherCondition>,
    /// Whether the reconcile that an annotation requests is not done yet, so that
    /// `lastHandledReconcileAt` stays as it is.
    pub is_request_open: bool,
}

impl<S> Report<S> {
    /// A report without other conditions.
    #[must_use]
    pub const fn new(status: S, verdict: Verdict) -> Self {
        Self {
            status,
            verdict,
            others: Vec::new(),
            is_request_open: false,
        }
    }
}

/// A condition of a kind beside Ready, Reconciling and Stalled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherCondition {
    /// Its type.
    pub type_: ConditionType,
    /// True, False or Unknown.
    pub status: &'static str,
    /// Why.
    pub reason: Reason,
    /// The same in words.
    pub message: String,
}

/// What `observe` or `apply` found, and what the driver needs to know about it.
#[derive(Clone, Debug)]
pub struct Observed<T> {
    /// What was found.
    pub value: T,
    /// When AWS was read; `None` when no read was needed.
    pub read_at: Option<Instant>,
    /// Whether AWS may not show yet what a write without a reply has created.
    pub unconfirmed: bool,
    /// Whether a user waits for what is to be done although the status is that of the current
    /// generation: a referenced object changed, or an annotation gives a command.
    pub urgent: bool,
    /// What to poll from now on, and how often; without a pace, as often as the state of the object
    /// asks for.
    pub polled: Vec<(PolledKey, Option<Pace>)>,
}

/// The members of the spec of `object` that are members of the AWS API input.
#[must_use]
pub fn members<K: Kind>(object: &K) -> Map<String, Value> {
    request(object.spec(), K::SHAPE.own_members)
}
