//! The permits that a plan needs before its first write.

use ecs_operator_crds::v1beta1::shared::Status;
use tokio::time::Instant;

use super::context::Pass;
use super::kind::{Kind, Observed};
use super::plan::Write;
use crate::aws::Operation;
use crate::aws::writer::{Permit, Priority, Requester};
use crate::k8s::conditions;

/// Checks that it is the object's turn to send `writes`, or at least the first of them where they
/// can be sent one by one. Its place in the queue keeps the turn for it.
///
/// # Errors
/// When its turn comes.
pub(super) fn await_turn<K: Kind>(
    object: &K,
    pass: &Pass<'_, K::Observed>,
    observed: &Observed<K::Observed>,
    writes: &[Write],
) -> Result<(), Instant> {
    let needed = if may_be_parted(writes) {
        &writes[..writes.len().min(1)]
    } else {
        writes
    };
    pass.aws.writer.await_turn(
        &operations(needed),
        requester(object, pass, observed, writes),
    )
}

/// The permits for as many of the writes as may be sent now, at least one. All come before the
/// first write: one half of a plan must not wait for the other, unless the writes can be sent one
/// by one.
///
/// # Errors
/// When the object's turn comes.
pub(super) fn obtain<K: Kind>(
    object: &K,
    pass: &Pass<'_, K::Observed>,
    observed: &Observed<K::Observed>,
    writes: &[Write],
) -> Result<Vec<Permit>, Instant> {
    let requester = requester(object, pass, observed, writes);
    if !may_be_parted(writes) {
        return pass.aws.writer.permits(&operations(writes), requester);
    }
    let mut permits = Vec::new();
    for operation in operations(writes) {
        match pass.aws.writer.permits(&[operation], requester) {
            Ok(one) => permits.extend(one),
            Err(_) if !permits.is_empty() => break,
            Err(turn) => return Err(turn),
        }
    }
    Ok(permits)
}

fn operations(writes: &[Write]) -> Vec<Operation> {
    writes.iter().map(|write| write.operation).collect()
}

fn requester<'a, K: Kind>(
    object: &K,
    pass: &'a Pass<'_, K::Observed>,
    observed: &Observed<K::Observed>,
    writes: &[Write],
) -> Requester<'a> {
    Requester {
        namespace: pass.namespace(),
        uid: pass.uid(),
        priority: priority(object, Some(observed), writes),
    }
}

/// Whether writes are all of one kind, or only let things go, and can be sent one by one.
fn may_be_parted(writes: &[Write]) -> bool {
    let family = |write: &Write| write.operation.family();
    writes
        .iter()
        .all(|write| Some(family(write)) == writes.first().map(family))
        || writes.iter().all(|write| write.operation.is_cleanup())
}

/// Whether a user waits for the writes: not where the spec was carried out before, and the change
/// in AWS is not the user's.
pub(super) fn priority<K: Kind>(
    object: &K,
    observed: Option<&Observed<K::Observed>>,
    writes: &[Write],
) -> Priority {
    let is_carried_out = object.status().is_some_and(|status| {
        status.observed_generation() == object.meta().generation
            && conditions::is_ready(status.conditions())
    });
    if object.is_deleting() || observed.is_some_and(|observed| observed.urgent) {
        return Priority::User;
    }
    if is_carried_out || writes.iter().all(|write| write.operation.is_cleanup()) {
        Priority::Repair
    } else {
        Priority::User
    }
}
