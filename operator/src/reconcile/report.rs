//! The status after a pass: what the kind reports, and what is the same for all kinds. Pure.

use ecs_operator_crds::v1beta1::shared::{CommonStatus, Status};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::kind::{After, Kind, OtherCondition, Report};
use super::outcome::Outcome;
use super::plan::Write;
use super::reset::{remember_all, remember_sent};
use crate::k8s::annotations::requested;
use crate::k8s::conditions::{besides, conditions, suspended};

/// The status of `object` after a pass.
#[must_use]
pub fn status_after<K: Kind>(object: &K, after: &After<'_, K::Observed>) -> K::Status {
    let before = object.status().cloned().unwrap_or_default();
    let report = object.report(after);
    let withheld = match after.outcome {
        Outcome::DryRun(writes) => Some(writes.iter().map(Write::pending).collect::<Vec<_>>()),
        _ => None,
    };
    let before = before.common();
    let conditions = if object.policies().suspends() && !object.is_deleting() {
        suspended_conditions(object, after, &report, before, withheld.as_ref())
    } else {
        told(object, after, &report, before)
    };
    let mut status = report.status;
    *status.common_mut() = CommonStatus {
        observed_generation: object.meta().generation,
        conditions,
        last_handled_reconcile_at: if report.is_request_open {
            before.last_handled_reconcile_at.clone()
        } else {
            requested(object)
        },
        pending_changes: withheld,
        ..before.clone()
    };
    if after.outcome.has_sent_all() {
        remember_all(object, status.common_mut());
    }
    if *after.outcome != Outcome::InSync {
        let sent: Vec<_> = after.accepted.iter().chain(after.unanswered).collect();
        remember_sent(object, status.common_mut(), &sent);
    }
    status
}

/// The conditions that a report comes to.
fn told<K: Kind>(
    object: &K,
    after: &After<'_, K::Observed>,
    report: &Report<K::Status>,
    before: &CommonStatus,
) -> Vec<Condition> {
    let (generation, before) = (object.meta().generation, before.conditions.as_slice());
    let other = |other: &OtherCondition| {
        let OtherCondition {
            type_,
            status,
            reason,
            message,
        } = other.clone();
        besides(
            type_, status, reason, message, before, generation, after.now,
        )
    };
    let mut all = conditions(before, &report.verdict, generation, after.now);
    all.extend(report.others.iter().map(other));
    all
}

/// The conditions of a suspended object. Pending changes are listed separately; Ready describes the
/// running state.
fn suspended_conditions<K: Kind>(
    object: &K,
    after: &After<'_, K::Observed>,
    report: &Report<K::Status>,
    before: &CommonStatus,
    withheld: Option<&Vec<String>>,
) -> Vec<Condition> {
    let in_sync = After {
        outcome: &Outcome::InSync,
        ..*after
    };
    let conditions = if withheld.is_some() {
        told(object, &in_sync, &object.report(&in_sync), before)
    } else {
        told(object, after, report, before)
    };
    suspended(
        &before.conditions,
        conditions,
        withheld.map_or(0, Vec::len),
        object.meta().generation,
        after.now,
    )
}
