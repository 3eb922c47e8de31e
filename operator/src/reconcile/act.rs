//! The steps of a pass: observe, plan, wait for a turn, observe afresh, plan, apply, observe.

use tokio::time::Instant;

use super::context::{Pass, Sending};
use super::kind::{Kind, Observed};
use super::outcome::Outcome;
use super::permits::{await_turn, obtain};
use super::plan::{Plan, Write};
use super::policy::{check_policies, is_dry_run, is_owned_by_other};
use crate::aws::tags::{OWNER, Tags};
use crate::aws::writer::Permit;
use crate::aws::{AwsError, ErrorKind, Freshness};
use crate::k8s::annotations::{is_asked, requested};

/// What a pass saw, did and came to.
pub(super) struct Acted<O> {
    pub(super) observed: Option<Observed<O>>,
    pub(super) outcome: Outcome,
    /// The writes that were needed.
    pub(super) planned: Vec<Write>,
    /// How many of them, from the first on, AWS has accepted.
    pub(super) sent: usize,
    /// When they may be sent again, where an earlier pass tried in vain.
    pub(super) held_until: Option<Instant>,
}

impl<O> Acted<O> {
    pub(super) fn new(observed: Option<Observed<O>>, outcome: Outcome) -> Self {
        Self {
            observed,
            outcome,
            planned: Vec::new(),
            sent: 0,
            held_until: None,
        }
    }

    /// The writes that AWS has accepted.
    pub(super) fn accepted(&self) -> &[Write] {
        &self.planned[..self.sent]
    }

    /// What is known of a pass that broke off. The write after the accepted ones may have been
    /// sent.
    pub(super) fn broken_off(sending: Sending, outcome: Outcome) -> Self {
        Self {
            planned: sending.writes,
            sent: sending.accepted,
            ..Self::new(None, outcome)
        }
    }

    /// The write that AWS may have accepted: it got no reply.
    pub(super) fn unanswered(&self) -> Option<&Write> {
        let is_unanswered = match &self.outcome {
            Outcome::Failed(error) => !error.made_nothing(),
            // A pass that broke off.
            Outcome::InternalError(_) | Outcome::Waiting(_) => true,
            _ => false,
        };
        self.planned.get(self.sent).filter(|_| is_unanswered)
    }
}

/// A plan that has to be carried out, or what the pass came to without one.
type Decided<O> = Result<(Observed<O>, Vec<Write>), Acted<O>>;

/// Runs the steps of a pass.
pub(super) async fn act<K: Kind>(object: &K, pass: &Pass<'_, K::Observed>) -> Acted<K::Observed> {
    let (observed, writes) = match decide(object, pass).await {
        Ok(decided) => decided,
        Err(acted) => return acted,
    };
    // Permits for exactly this plan.
    let permits = match obtain(object, pass, &observed, &writes) {
        Ok(permits) => permits,
        Err(turn) => return Acted::new(Some(observed), Outcome::Queued(turn)),
    };
    apply(object, pass, observed, writes, permits).await
}

/// Observes and plans, at first with what the cache holds, and before a write with a fresh read.
async fn decide<K: Kind>(object: &K, pass: &Pass<'_, K::Observed>) -> Decided<K::Observed> {
    // Policies.
    if let Some(outcome) = check_policies(object, pass.context) {
        return Err(Acted::new(None, outcome));
    }
    let asked = is_asked(object);
    if asked {
        // A reconcile request also retries writes that were refused, once per request.
        pass.state(|state| state.forgive_for(requested(object)));
    }

    // Observe.
    let freshness = match asked {
        true => Freshness::Confirmed(pass.began),
        false if is_owned_by_other(object) => Freshness::Since(pass.began),
        false => Freshness::Any,
    };
    let mut observed = object
        .observe(pass, freshness)
        .await
        .map_err(|error| failed(object, None, error))?;

    // Plan.
    let mut plan = object.plan(&observed.value, &pass.owner);
    if let Plan::Write(writes) = &plan
        && observed.read_at.is_none_or(|at| at < pass.began)
    {
        // Wait for a turn, before the read that would be out of date by then.
        let is_held = is_dry_run(object) || pass.state(|state| state.refused(writes).is_some());
        if !is_held && let Err(turn) = await_turn(object, pass, &observed, writes) {
            return Err(Acted::new(Some(observed), Outcome::Queued(turn)));
        }

        // Observe afresh: the cache is good enough to do nothing, not to change something.
        observed = observe_afresh(object, pass, observed).await?;

        // Plan.
        plan = object.plan(&observed.value, &pass.owner);
    }
    to_send(object, pass, observed, plan)
}

/// Observes with a fresh read, before a write.
async fn observe_afresh<K: Kind>(
    object: &K,
    pass: &Pass<'_, K::Observed>,
    observed: Observed<K::Observed>,
) -> Result<Observed<K::Observed>, Acted<K::Observed>> {
    let fresh = if object.is_deleting() {
        // A deletion ends when two reads some seconds apart show nothing, however short a time ago
        // the operator wrote.
        Freshness::Confirmed(pass.began)
    } else {
        Freshness::Since(pass.began)
    };
    object.observe(pass, fresh).await.map_err(|error| {
        // The plan is not confirmed, so it must not hold a place in the write queue.
        pass.aws.writer.withdraw(pass.namespace(), pass.uid());
        failed(object, Some(observed), error)
    })
}

/// The writes of a plan that may be sent now.
#[allow(
    clippy::result_large_err,
    reason = "the end of a pass is not copied often"
)]
fn to_send<K: Kind>(
    object: &K,
    pass: &Pass<'_, K::Observed>,
    observed: Observed<K::Observed>,
    plan: Plan,
) -> Decided<K::Observed> {
    let writes = match plan {
        Plan::Write(writes) if is_dry_run(object) => {
            return Err(Acted::new(Some(observed), Outcome::DryRun(writes)));
        }
        // The rest waits for the status to be written.
        Plan::Write(writes) if writes.is_empty() => {
            return Err(Acted::new(Some(observed), Outcome::Unfinished));
        }
        Plan::Write(writes) => writes,
        decided => return Err(Acted::new(Some(observed), decided.into())),
    };
    match pass.state(|state| state.refused(&writes)) {
        Some(refusal) => Err(Acted {
            held_until: Some(refusal.until),
            ..Acted::new(Some(observed), refusal.outcome)
        }),
        None => Ok((observed, writes)),
    }
}

/// Sends the writes for which there are permits, one after the other, and observes whether that was
/// enough.
async fn apply<K: Kind>(
    object: &K,
    pass: &Pass<'_, K::Observed>,
    mut observed: Observed<K::Observed>,
    mut writes: Vec<Write>,
    permits: Vec<Permit>,
) -> Acted<K::Observed> {
    // A later pass asks for the permits of the others.
    writes.truncate(permits.len());
    pass.sending(|sending| sending.writes.clone_from(&writes));
    let mut sent = 0;
    for (write, permit) in writes.iter().zip(permits) {
        match claimed(object, pass, &observed.value, write, permit).await {
            Ok(next) => observed = next,
            Err(error) => {
                let polled = observed.polled.iter().map(|(key, _)| key);
                pass.aws.observer.invalidate_after(write.operation, polled);
                return Acted {
                    planned: writes,
                    sent,
                    ..Acted::new(Some(observed), Outcome::Failed(error))
                };
            }
        }
        sent += 1;
        pass.sending(|sending| sending.accepted = sent);
    }
    let (observed, outcome) = check_effect(object, pass, observed, &writes).await;
    Acted {
        planned: writes,
        sent,
        ..Acted::new(Some(observed), outcome)
    }
}

/// Plans once more after the writes, to see whether they were enough.
async fn check_effect<K: Kind>(
    object: &K,
    pass: &Pass<'_, K::Observed>,
    observed: Observed<K::Observed>,
    writes: &[Write],
) -> (Observed<K::Observed>, Outcome) {
    let rest = object.plan(&observed.value, &pass.owner);
    if !matches!(rest, Plan::Write(_)) {
        return (observed, rest.into());
    }
    // A reply may show less than a read does.
    let (after, fresh) = (
        pass.after(&observed.value),
        Freshness::Since(Instant::now()),
    );
    match object.observe(&after, fresh).await {
        Ok(seen) => {
            let outcome = match object.plan(&seen.value, &pass.owner) {
                Plan::Write(rest) if rest == writes => Outcome::NoEffect(rest),
                decided => decided.into(),
            };
            (seen, outcome)
        }
        // AWS accepted the writes. The next pass observes again.
        Err(error) if error.kind.passes() => (observed, Outcome::Unfinished),
        Err(error) => (observed, Outcome::Failed(error)),
    }
}

/// Sends one write. Two objects that adopt one AWS object at once would both take it for theirs, so
/// an adoption claims it.
async fn claimed<K: Kind>(
    object: &K,
    pass: &Pass<'_, K::Observed>,
    observed: &K::Observed,
    write: &Write,
    permit: Permit,
) -> Result<Observed<K::Observed>, AwsError> {
    let Some(arn) = claim_of(write) else {
        return object.apply(pass, observed, write, permit).await;
    };
    let claims = &pass.context.claims;
    claims.claim(write.operation, arn, pass.uid())?;
    let applied = object.apply(pass, observed, write, permit).await;
    if applied.as_ref().is_err_and(AwsError::made_nothing) {
        claims.release(arn, pass.uid());
    }
    applied
}

/// The ARN of the AWS object that a write makes the object's own.
fn claim_of(write: &Write) -> Option<&str> {
    let is_adoption = write.operation.is_tag_resource()
        && Tags::read(&write.request["tags"]).0.contains_key(OWNER);
    write.request["resourceArn"]
        .as_str()
        .filter(|_| is_adoption)
}

/// The end of a pass that could not read AWS. A deletion that waits for AWS says what can be done
/// about it.
fn failed<K: Kind>(
    object: &K,
    observed: Option<Observed<K::Observed>>,
    mut error: AwsError,
) -> Acted<K::Observed> {
    let unreachable = matches!(
        error.kind,
        ErrorKind::Server | ErrorKind::Credentials | ErrorKind::AccessDenied
    );
    if object.is_deleting() && unreachable {
        error.message = format!(
            "{}. The finalizer stays until AWS answers; set spec.deletionPolicy to Retain to release this object and leave AWS as it is",
            error.message.trim_end_matches('.')
        );
    }
    Acted::new(observed, Outcome::Failed(error))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::aws::AwsError;
    use crate::aws::ecs;
    use crate::reconcile::tagged::Tagged;
    use crate::testkit::Fixture;
    use ecs_operator_crds::v1beta1::EcsCluster;

    #[test]
    fn a_deletion_that_waits_for_aws_says_what_can_be_done() {
        let cluster = EcsCluster::test("shop", &json!({})).deleting();
        let error = AwsError::new(ecs::DescribeClusters, ErrorKind::Server, "Unavailable.");
        let outcome = failed(&cluster, None, error).outcome;
        assert!(
            matches!(&outcome, Outcome::Failed(error) if error.message.starts_with("Unavailable. The finalizer")),
            "{outcome:?}"
        );
    }

    #[test]
    fn a_pass_that_breaks_off_remembers_what_it_sent() {
        let write = |note: &str| Write {
            operation: ecs::UpdateService,
            request: json!({}),
            note: note.to_owned(),
        };
        let sending = Sending {
            writes: vec![write("first"), write("second"), write("third")],
            accepted: 1,
        };
        let acted = Acted::<()>::broken_off(sending, Outcome::InternalError(String::new()));
        assert_eq!(acted.accepted(), [write("first")]);
        // It may have been sent.
        assert_eq!(acted.unanswered(), Some(&write("second")));
    }

    #[test]
    fn a_write_of_the_owner_tag_claims_the_object() {
        let tags = |key: &str| Tags([(key.to_owned(), "x".to_owned())].into());
        let object = Tagged {
            tagging: ecs::TAGGING,
            what: "cluster shop",
            arn: "arn",
            tags: &Tags::default(),
        };
        assert_eq!(
            claim_of(&object.tag(&tags(OWNER), String::new())),
            Some("arn")
        );
        assert_eq!(claim_of(&object.tag(&tags("team"), String::new())), None);
        let create = Write {
            operation: ecs::CreateService,
            request: json!({}),
            note: String::new(),
        };
        assert_eq!(claim_of(&create), None);
    }
}
