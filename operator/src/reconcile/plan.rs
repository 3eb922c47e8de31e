//! Decisions as data: what a pass means to do, and what came of it.

use std::fmt::{self, Write as _};

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::Policies;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::aws::Operation;
use crate::aws::meaning::normalised;
use crate::aws::tags::Owner;

/// What `plan` decides.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// AWS holds what the spec asks for.
    InSync,
    /// These writes bring AWS to it, in this order.
    Write(Vec<Write>),
    /// Nothing can be done now; a change of the cluster or AWS resolves it.
    Wait(Obstacle),
    /// Nothing can be done until the user changes something.
    Stall(Obstacle),
    /// The object is being deleted and nothing of it is left in AWS.
    Gone,
    /// The object is being deleted, and its former AWS object is left, because it has another owner
    /// now. The reason, for the event.
    Left(String),
}

impl Plan {
    /// [`Plan::Wait`] for something that resolves without a user.
    #[must_use]
    pub fn pause(reason: Reason, message: impl Into<String>) -> Self {
        Self::Wait(Obstacle {
            reason,
            message: message.into(),
            passing: true,
            all_else_sent: false,
        })
    }

    /// [`Plan::Wait`] for something that may need a user.
    #[must_use]
    pub fn wait(reason: Reason, message: impl Into<String>) -> Self {
        Self::Wait(Obstacle {
            reason,
            message: message.into(),
            passing: false,
            all_else_sent: false,
        })
    }

    /// [`Plan::Stall`] with a reason and words.
    #[must_use]
    pub fn stall(reason: Reason, message: impl Into<String>) -> Self {
        Self::Stall(Obstacle {
            reason,
            message: message.into(),
            passing: false,
            all_else_sent: false,
        })
    }

    /// The same plan, where AWS has everything else of the spec.
    #[must_use]
    pub fn with_all_else_sent(mut self) -> Self {
        if let Self::Wait(obstacle) | Self::Stall(obstacle) = &mut self {
            obstacle.all_else_sent = true;
        }
        self
    }

    /// The writes, or in sync when there are none.
    #[must_use]
    pub fn writes(writes: Vec<Write>) -> Self {
        if writes.is_empty() {
            Self::InSync
        } else {
            Self::Write(writes)
        }
    }
}

/// One call that changes AWS.
#[derive(Clone, PartialEq)]
pub struct Write {
    /// The operation.
    pub operation: Operation,
    /// Its request, as JSON of the ECS API.
    pub request: Value,
    /// What it does, for the event: "Created service web in cluster main".
    pub note: String,
}

impl Write {
    /// What it would do: the note says what it did, so its verb gives way to the operation.
    #[must_use]
    pub fn pending(&self) -> String {
        let notes: Vec<_> = self
            .note
            .split("; ")
            .map(|note| note.split_once(' ').map_or(note, |(_, rest)| rest))
            .collect();
        format!("{}: {}", self.operation, notes.join("; "))
    }
}

/// The request can hold values of environment variables, so it is never printed.
impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.operation, self.note)
    }
}

/// What is in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// Its class.
    pub reason: Reason,
    /// The same in words, with the way out.
    pub message: String,
    /// Whether it resolves without a user: shown in the status, without an event.
    pub passing: bool,
    /// Whether AWS has everything else of the spec, so that the status remembers it as applied.
    pub all_else_sent: bool,
}

/// The members of `spec` that are members of the API input: all but the policies and `own`.
///
/// # Panics
/// Never: a spec is a struct with string keys, which always serializes to an object.
#[must_use]
pub fn request(spec: &impl serde::Serialize, own: &[&str]) -> serde_json::Map<String, Value> {
    let Ok(Value::Object(mut members)) = serde_json::to_value(spec) else {
        unreachable!("a spec serializes to an object");
    };
    members.retain(|name, _| {
        !own.contains(&name.as_str()) && !Policies::MEMBERS.contains(&name.as_str())
    });
    members
}

/// Those of `spec`'s members that `members` lists.
#[must_use]
pub fn pick(
    spec: &serde_json::Map<String, Value>,
    members: &[&str],
) -> serde_json::Map<String, Value> {
    spec.iter()
        .filter(|(name, _)| members.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// The first member of a path.
#[must_use]
pub fn top(path: &str) -> &str {
    path.split('.').next().unwrap_or(path)
}

/// The plan of an object at its end of which AWS shows nothing: what was sent and not answered may
/// still come.
#[must_use]
pub fn absent(what: &str, may_be_there: bool) -> Plan {
    if may_be_there {
        let message = format!(
            "AWS did not reply to the creation of {what}; checking for up to a minute whether it exists"
        );
        return Plan::pause(Reason::Deleting, message);
    }
    Plan::Gone
}

/// Hash of a request, the same for requests that mean the same. It stays in the cluster: in AWS
/// others may read it, see [`tagged_hashes`].
#[must_use]
pub fn hash(request: &Value) -> String {
    digest("", &normalised(request).to_string())
}

/// The [`hash`] that a status has of members that AWS does not show, while it is unknown which of
/// them AWS has.
pub const UNKNOWN_HASH: &str = "unknown";

/// Whether AWS has accepted just these members, which it does not show, by the hash in the status.
/// `None` while the status has none: the tag of the AWS object decides then.
#[must_use]
pub fn is_accepted(
    accepted: Option<&str>,
    hidden: &serde_json::Map<String, Value>,
) -> Option<bool> {
    accepted.map(|accepted| accepted == hash(&hidden.clone().into()))
}

/// The hashes of a request that a tag in AWS may have, the one to write first. The identity of the
/// Kubernetes cluster goes into each, so that nobody finds out by comparison, or from a list made
/// in advance, which values a request has. Objects of former clusters keep theirs until their tags
/// are written again.
#[must_use]
pub fn tagged_hashes(owner: &Owner, request: &Value) -> Vec<String> {
    let request = normalised(request).to_string();
    std::iter::once(&owner.cluster_id)
        .chain(&owner.former_clusters)
        .map(|cluster| digest(cluster, &request))
        .collect()
}

/// The first of [`tagged_hashes`].
#[must_use]
pub fn tagged_hash(owner: &Owner, request: &Value) -> String {
    digest(&owner.cluster_id, &normalised(request).to_string())
}

fn digest(salt: &str, request: &str) -> String {
    let digest = Sha256::new()
        .chain_update(salt)
        .chain_update("\n")
        .chain_update(request)
        .finalize();
    digest.iter().take(16).fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
