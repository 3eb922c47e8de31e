//! Condition types and reasons: the words in which an object tells how it is.
//!
//! Types follow kstatus (`sigs.k8s.io/cli-utils/pkg/kstatus`): `Reconciling` and `Stalled` are present only while true,
//! never together, and `Ready=True` excludes both.

use std::fmt;

/// A condition type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConditionType {
    /// AWS holds and runs what the spec asks for.
    Ready,
    /// The operator is on the way to it and goes on by itself.
    Reconciling,
    /// The operator cannot get there until somebody changes something.
    Stalled,
}

impl ConditionType {
    /// The type as it stands in `status.conditions[].type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
        }
    }
}

impl fmt::Display for ConditionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a condition is as it is. The list is finite, so reasons can be alerted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// AWS holds and runs what the spec asks for.
    Succeeded,
    /// A write was sent or a deployment is running; nothing is wrong.
    Progressing,
    /// A referenced object is missing, not ready yet, or being deleted. Starts by itself when that changes.
    DependencyNotReady,
    /// AWS or the operator refuses the spec as it is. Way out: change the spec.
    InvalidSpec,
    /// The AWS object exists and carries no ownership tag. Way out: `adoptionPolicy: IfUnowned`, or another name.
    NotOwned,
    /// The AWS object is owned by another custom resource. Way out: another name, or delete the other object.
    Conflict,
    /// AWS denies an action. Way out: the message names the action that the IAM policy lacks.
    AccessDenied,
    /// No AWS credentials, or AWS does not accept them any more.
    CredentialsUnavailable,
    /// AWS throttles the account. Goes on by itself, slower.
    Throttled,
    /// An AWS quota is used up. Way out: raise the quota or delete something.
    QuotaExceeded,
    /// AWS answers with an error of its own, or does not answer.
    AwsUnavailable,
    /// The AWS object is busy with an earlier change. Goes on by itself.
    Busy,
    /// ECS gave a deployment up. Way out: change the spec, the message says why the tasks failed.
    DeploymentFailed,
    /// AWS accepted a change and still shows the old value. Tried again ever more slowly.
    DriftPersists,
    /// The object is being deleted and AWS is still at it.
    Deleting,
    /// The object cannot be deleted yet: the message lists what is in the way.
    DeletionBlocked,
    /// A fault of the operator itself. Worth a bug report.
    InternalError,
}

impl Reason {
    /// Every reason, for documentation and tests.
    pub const ALL: [Self; 17] = [
        Self::Succeeded,
        Self::Progressing,
        Self::DependencyNotReady,
        Self::InvalidSpec,
        Self::NotOwned,
        Self::Conflict,
        Self::AccessDenied,
        Self::CredentialsUnavailable,
        Self::Throttled,
        Self::QuotaExceeded,
        Self::AwsUnavailable,
        Self::Busy,
        Self::DeploymentFailed,
        Self::DriftPersists,
        Self::Deleting,
        Self::DeletionBlocked,
        Self::InternalError,
    ];

    /// The reason as it stands in conditions and events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "Succeeded",
            Self::Progressing => "Progressing",
            Self::DependencyNotReady => "DependencyNotReady",
            Self::InvalidSpec => "InvalidSpec",
            Self::NotOwned => "NotOwned",
            Self::Conflict => "Conflict",
            Self::AccessDenied => "AccessDenied",
            Self::CredentialsUnavailable => "CredentialsUnavailable",
            Self::Throttled => "Throttled",
            Self::QuotaExceeded => "QuotaExceeded",
            Self::AwsUnavailable => "AwsUnavailable",
            Self::Busy => "Busy",
            Self::DeploymentFailed => "DeploymentFailed",
            Self::DriftPersists => "DriftPersists",
            Self::Deleting => "Deleting",
            Self::DeletionBlocked => "DeletionBlocked",
            Self::InternalError => "InternalError",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
