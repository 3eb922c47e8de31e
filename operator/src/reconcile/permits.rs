//! The permits that a plan needs before its first write.

use std::time::Instant;

use ecs_operator_crds::v1beta1::shared::Status;

use super::plan::Write;
use super::{Context, Kind};
use crate::aws::tags::Owner;
use crate::aws::writer::{Asker, Permit, Urgency};
use crate::k8s::conditions;

/// The permits for as many of the writes as may be sent now, at least one. All come before the first write: half of a plan must
/// not wait for the other half, unless it may be parted.
pub(super) fn obtain<K: Kind>(
    (object, observed): (&K, &K::Observed),
    context: &Context,
    owner: &Owner,
    writes: &[Write],
) -> Result<Vec<Permit>, Instant> {
    let asker = Asker { namespace: &owner.namespace, uid: &owner.uid, urgency: urgency(object, Some(observed), writes) };
    let operations: Vec<_> = writes.iter().map(|write| write.operation).collect();
    if !may_be_parted(writes) {
        return context.aws.writer.permits(&operations, asker);
    }
    let mut permits = Vec::new();
    for operation in operations {
        match context.aws.writer.permits(&[operation], asker) {
            Ok(one) => permits.extend(one),
            Err(_) if !permits.is_empty() => break,
            Err(turn) => return Err(turn),
        }
    }
    Ok(permits)
}

/// Whether writes are all of a kind, or only let things go, and can be carried out one by one.
fn may_be_parted(writes: &[Write]) -> bool {
    let family = |write: &Write| write.operation.family();
    writes.iter().all(|write| Some(family(write)) == writes.first().map(family))
        || writes.iter().all(|write| write.operation.lets_go())
}

/// Whether these permits are for the writes, or for the first of them where they may be parted.
pub(super) fn fit(permits: &[Permit], writes: &[Write]) -> bool {
    let are_for = permits.iter().map(Permit::operation).eq(writes.iter().take(permits.len()).map(|write| write.operation));
    are_for && !permits.is_empty() && (permits.len() == writes.len() || may_be_parted(writes))
}

/// Whether somebody waits for the writes: not where the spec was carried out before, and somebody else undid it.
pub(super) fn urgency<K: Kind>(object: &K, observed: Option<&K::Observed>, writes: &[Write]) -> Urgency {
    let is_carried_out = object.status().is_some_and(|status| {
        status.observed_generation() == object.meta().generation && conditions::is_ready(status.conditions())
    });
    if object.is_deleting() || object.is_commanded() || observed.is_some_and(|observed| object.is_led_on(observed)) {
        return Urgency::Asked;
    }
    if is_carried_out || writes.iter().all(|write| write.operation.lets_go()) { Urgency::Repair } else { Urgency::Asked }
}
