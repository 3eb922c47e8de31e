//! Revisions of ours that have had their time: those beyond `revisionHistoryLimit`, and at the end
//! all of them.
//!
//! A revision that a service uses, or can be rolled back to, is left where it is.

use std::time::Duration;

use ecs_operator_crds::v1beta1::EcsTaskDefinition;
use kube::Resource;
use tokio::time::Instant;

use super::observed::ObservedTaskDefinition;
use super::observed::Surplus;
use super::revision::{Described, Revision, describe, is_active, number};
use super::shape::deletes;
use super::shape::known_arn;
use crate::aws::ecs::{
    self, AllRevisionsKey, FamilyKey, ServiceKey, TaskDefinitionKey, is_user, key_of, listed,
};
use crate::aws::observer::Answer;
use crate::aws::tags::{Owner, Ownership, Tags};
use crate::aws::{AwsError, ErrorKind, Freshness, name_in};
use crate::k8s::availability::Unavailable;
use crate::k8s::object::Object;
use crate::kinds::ecs_service::users::{is_set_here, user_of};
use crate::reconcile::Pass;

/// Number of revisions that one pass deregisters: few, because they share the quota of new
/// revisions.
const AT_ONCE: usize = 5;

/// How long one pass looks through the revisions of a family for those that are ours.
const LOOK_THROUGH: Duration = Duration::from_secs(30);

/// When the revisions beyond the limit are looked at again while EcsServices cannot be read.
const UNREADABLE: Duration = Duration::from_secs(60);

/// Maximum age of the read of all services that shows a revision as unused. In a large account it
/// takes minutes.
const USAGE: Duration = Duration::from_secs(60);

/// Longest wait of a pass for that read: no user waits for a revision beyond the limit to be
/// deregistered.
const BEYOND: Duration = Duration::from_secs(3);

/// The same for a revision at the end.
const AT_THE_END: Duration = Duration::from_secs(30);

/// Maximum age of the read that shows a revision as the object's where it blocks the deletion.
const OWNERSHIP: Duration = Duration::from_secs(60);

/// The unused revisions beyond the limit, at most a few.
pub(super) async fn observe(
    object: &EcsTaskDefinition,
    pass: &Pass<'_, ObservedTaskDefinition>,
    current: Option<&Revision>,
) -> Result<Surplus, AwsError> {
    let limit = object
        .spec
        .revision_history_limit
        .and_then(|limit| usize::try_from(limit).ok());
    let (Some(limit), Some(current)) =
        (limit, current.filter(|_| !object.spec.policies.observes()))
    else {
        return Ok(Surplus::default());
    };
    let status = object.status.as_ref();
    let mut revisions = if let Some(known) = status.and_then(|status| status.revisions.clone()) {
        known
    } else {
        let ours = ours(object, pass).await?;
        ours.iter().map(|revision| revision.revision).collect()
    };
    if !revisions.contains(&current.revision) {
        revisions.push(current.revision);
    }
    revisions.sort_unstable_by_key(|number| std::cmp::Reverse(*number));
    let older = revisions
        .iter()
        .filter(|number| **number < current.revision);
    let beyond: Vec<_> = older.copied().skip(limit).collect();
    if beyond.is_empty() {
        return Ok(Surplus {
            revisions: Some(revisions),
            ..Surplus::default()
        });
    }
    // An EcsService that cannot be read may run one of them, or be about to go back to it.
    let unreadable = pass
        .context
        .stores
        .unreadable_referrers(&EcsTaskDefinition::kind(&()), pass.namespace());
    if let Some(Unavailable { words, .. }) = unreadable {
        let unreadable = Some(words);
        return Ok(Surplus {
            revisions: Some(revisions),
            left: 1,
            pause: UNREADABLE,
            unreadable,
            ..Surplus::default()
        });
    }
    let family = current.arn.rsplit_once(':').map(|(family, _)| family);
    let arn = |number: &i32| format!("{}:{number}", family.unwrap_or_default());
    let beyond = beyond.iter().rev().map(arn).collect();
    let SortedOut { mut found, gone } =
        sort_out(object, pass, beyond, BEYOND, Instant::now()).await?;
    found.revisions = Some(revisions);
    found.wait_for_status(object);
    for arn in &gone {
        found.forget(arn);
    }
    Ok(found)
}

/// What will become of the revisions at the end by what the cache, the status and the watches know;
/// `None` where a look has to tell: whose a revision is that blocks the deletion is read once a
/// minute.
pub(super) fn expected(
    object: &EcsTaskDefinition,
    pass: &Pass<'_, ObservedTaskDefinition>,
) -> Option<Surplus> {
    // Of those that are deregistered already no cache knows.
    let mut revisions = if deletes(object) {
        Vec::new()
    } else {
        registered(object, pass)
    };
    revisions.sort();
    revisions.dedup();
    let (mut expected, mut any) = (Surplus::default(), false);
    for arn in revisions {
        let seen = cached_owner(&arn, pass);
        match &seen {
            Some((_, ownership)) if !is_expected(object, ownership) => continue,
            None if known_arn(object) != Some(&*arn) => return None,
            _ => any = true,
        }
        let user = user_of(name_in(&arn), true, &pass.context.stores)
            .or_else(|| seen_user(name_in(&arn), pass));
        match user {
            Some(user) if seen.is_some_and(|(at, _)| at.elapsed() < OWNERSHIP) => {
                expected.used.push(user);
            }
            Some(_) => return None,
            None if expected.active.len() < AT_ONCE => expected.active.push(arn),
            None => expected.left += 1,
        }
    }
    any.then_some(expected)
}

/// Whether a revision of this owner is the object's. What a former object retained is, once this
/// one has taken it over, which its status tells.
fn is_expected(object: &EcsTaskDefinition, ownership: &Ownership) -> bool {
    let adopted = known_arn(object).is_some() || *ownership != Ownership::Retained;
    adopted && goes_with(object, ownership)
}

/// Whose a revision is, as far as the cache knows, and when that was read.
fn cached_owner(
    arn: &str,
    pass: &Pass<'_, ObservedTaskDefinition>,
) -> Option<(Instant, Ownership)> {
    let revisions = pass.aws.observer.cache::<TaskDefinitionKey>();
    let seen = revisions.cached(&TaskDefinitionKey(arn.to_owned()))?;
    match seen.answer {
        Answer::Found(json) => Some((seen.at, pass.owner.of(&Tags::read(&json["tags"])))),
        // It is no longer registered.
        Answer::Inactive | Answer::Missing => Some((seen.at, Ownership::Nobody)),
    }
}

/// A service outside of this Kubernetes cluster that uses a revision, for a message, as far as the
/// cache knows.
fn seen_user(revision: &str, pass: &Pass<'_, ObservedTaskDefinition>) -> Option<String> {
    let services = pass.aws.observer.cache::<ServiceKey>();
    let is_seen = |user: &String| match key_of(user)
        .and_then(|key| services.cached(&key))
        .map(|seen| seen.answer)
    {
        Some(Answer::Found(service)) => is_user(&service, revision),
        _ => false,
    };
    let user = ecs::last_users(&pass.aws.observer, revision)
        .into_iter()
        .find(is_seen)?;
    Some(format!("{revision} runs in service {user}"))
}

/// All our revisions, at the end, and which of them are ACTIVE.
pub(super) async fn observe_all(
    object: &EcsTaskDefinition,
    pass: &Pass<'_, ObservedTaskDefinition>,
) -> Result<(Surplus, Vec<Revision>), AwsError> {
    let began = Instant::now();
    let ours = ours(object, pass).await?;
    let mut all: Vec<_> = ours.iter().map(|revision| revision.arn.clone()).collect();
    if deletes(object) {
        // Those that an earlier pass deregistered.
        let family = known_arn(object)
            .and_then(|arn| arn.rsplit_once(':'))
            .map(|(family, _)| family.to_owned());
        // Where no ARN is known, ECS takes the name as well.
        let family = family.unwrap_or_else(|| object.family());
        let known = object
            .status
            .as_ref()
            .and_then(|status| status.revisions.as_deref())
            .unwrap_or_default();
        let listed: Vec<_> = all.iter().map(|arn| number(arn)).collect();
        all.extend(
            known
                .iter()
                .filter(|known| !listed.contains(known))
                .map(|number| format!("{family}:{number}")),
        );
    }
    let revisions = deletes(object).then(|| all.iter().map(|arn| number(arn)).collect());
    let mut found = sort_out(object, pass, all, AT_THE_END, began).await?.found;
    found.revisions = revisions;
    if let Some(known) = known_arn(object) {
        let described = describe(pass, known, Freshness::Any).await?;
        let lost = described.filter(|described| !goes_with(object, &described.ownership));
        found.lost = lost.map(|lost| (name_in(&lost.revision.arn).to_owned(), lost.ownership));
    }
    found.wait_for_status(object);
    Ok((found, ours))
}

/// Whether a revision is the object's: it carries its tag, or an object of the same name retained
/// it and this one takes that over.
fn goes_with(object: &EcsTaskDefinition, ownership: &Ownership) -> bool {
    match ownership {
        Ownership::Ours => true,
        Ownership::Retained => object.spec.policies.adopts(),
        Ownership::Nobody | Ownership::Other(_) => false,
    }
}

/// Whether the object has taken over what a former object of its name retained: it had a revision,
/// or has one. `newer` are its revisions.
fn has_adopted(object: &EcsTaskDefinition, newer: &[Revision]) -> bool {
    known_arn(object).is_some() || !newer.is_empty()
}

/// Whether a revision that is INACTIVE was the object's. Where ECS shows no tags of it, the status
/// has to do, which lists only revisions of the object.
pub(super) fn was_ours(object: &EcsTaskDefinition, owner: &Owner, tags: &Tags) -> bool {
    tags.0.is_empty() || goes_with(object, &owner.of(tags))
}

/// The ACTIVE revisions of the family that are the object's. Where they are many, a later pass
/// looks at the rest: what was seen is cached as long as passes go on asking.
async fn ours(
    object: &EcsTaskDefinition,
    pass: &Pass<'_, ObservedTaskDefinition>,
) -> Result<Vec<Revision>, AwsError> {
    let mut ours = Vec::new();
    let key = AllRevisionsKey(object.family());
    let lists = pass.aws.observer.cache::<AllRevisionsKey>();
    let mut all = listed(
        &lists
            .get(key, Freshness::Since(Instant::now()), pass.namespace())
            .await?
            .answer,
    );
    // A list may lag behind.
    all.extend(registered(object, pass));
    all.sort_by_key(|arn| std::cmp::Reverse(number(arn)));
    all.dedup();
    let deadline = Instant::now() + LOOK_THROUGH;
    for arn in &all {
        if Instant::now() > deadline {
            let message = format!(
                "the {} revisions of family {} are still being read",
                all.len(),
                object.family()
            );
            return Err(AwsError::new(
                ecs::DescribeTaskDefinition,
                ErrorKind::Busy,
                message,
            ));
        }
        match describe(pass, arn, Freshness::Any).await? {
            Some(Described {
                revision,
                ownership,
                ..
            }) if goes_with(object, &ownership)
                && (ownership != Ownership::Retained || has_adopted(object, &ours)) =>
            {
                ours.push(revision);
            }
            // Those before it were retained with it.
            Some(Described {
                ownership: Ownership::Retained,
                ..
            }) => break,
            _ => {}
        }
    }
    Ok(ours)
}

/// ARNs of revisions that were there a short time ago, by the status and by the replies to our
/// writes.
fn registered(object: &EcsTaskDefinition, pass: &Pass<'_, ObservedTaskDefinition>) -> Vec<String> {
    let family = pass
        .aws
        .observer
        .cache::<FamilyKey>()
        .cached(&FamilyKey(object.family()));
    let listed = family.map(|seen| listed(&seen.answer));
    listed
        .into_iter()
        .flatten()
        .chain(known_arn(object).map(str::to_owned))
        .collect()
}

/// What became of revisions that may go.
#[derive(Default)]
struct SortedOut {
    found: Surplus,
    /// ARNs of revisions that need no further action.
    gone: Vec<String>,
}

/// Sorts revisions into those in use and those to deregister. Ownership counts only if it was read
/// after `since`.
async fn sort_out(
    object: &EcsTaskDefinition,
    pass: &Pass<'_, ObservedTaskDefinition>,
    revisions: Vec<String>,
    patience: Duration,
    since: Instant,
) -> Result<SortedOut, AwsError> {
    let mut sorted = SortedOut::default();
    let unused = without_users(object, pass, revisions, &mut sorted.found.used).await?;
    if unused.is_empty() {
        return Ok(sorted);
    }
    // Only now that it matters: this reads all services.
    let usage = ecs::usage(&pass.aws.observer, USAGE, patience).await?;
    for arn in unused {
        let name = name_in(&arn);
        let listed = set_elsewhere(pass, usage.get(name).cloned().unwrap_or_default());
        let found = &mut sorted.found;
        if let Some(user) = user(name, listed, pass).await? {
            found.used.push(format!("{name} runs in service {user}"));
        } else if found.active.len() + found.inactive.len() == AT_ONCE {
            found.left += 1;
        } else {
            let key = TaskDefinitionKey(arn.clone());
            let revisions = pass.aws.observer.cache::<TaskDefinitionKey>();
            let fresh = Freshness::Since(since);
            let seen = revisions.get(key, fresh, pass.namespace()).await?;
            match fate(object, &pass.owner, &seen.answer) {
                Fate::Deregister => found.active.push(arn),
                Fate::Delete => found.inactive.push(arn),
                Fate::Forget => sorted.gone.push(arn),
            }
        }
    }
    Ok(sorted)
}

/// The revisions of which neither the stores nor the cache know a user. Adds the users of the
/// others to `in_use`.
async fn without_users(
    object: &EcsTaskDefinition,
    pass: &Pass<'_, ObservedTaskDefinition>,
    revisions: Vec<String>,
    in_use: &mut Vec<String>,
) -> Result<Vec<String>, AwsError> {
    let mut candidates = Vec::new();
    for arn in revisions {
        match user_of(name_in(&arn), object.is_deleting(), &pass.context.stores) {
            Some(user) if blocks(object, &arn, pass).await? => in_use.push(user),
            Some(_) => {}
            None => candidates.push(arn),
        }
    }
    let mut unused = Vec::new();
    for arn in candidates {
        let name = name_in(&arn);
        let last = set_elsewhere(pass, ecs::last_users(&pass.aws.observer, name));
        match user(name, last, pass).await? {
            Some(user) if blocks(object, &arn, pass).await? => {
                in_use.push(format!("{name} runs in service {user}"));
            }
            Some(_) => {}
            None => unused.push(arn),
        }
    }
    Ok(unused)
}

/// Whether a revision in use blocks the deletion of the object: it is still the object's, by a read
/// of the last minute. Beyond the limit it does no harm.
async fn blocks(
    object: &EcsTaskDefinition,
    arn: &str,
    pass: &Pass<'_, ObservedTaskDefinition>,
) -> Result<bool, AwsError> {
    let a_minute_ago = Instant::now().checked_sub(OWNERSHIP);
    let freshness = match a_minute_ago.filter(|_| object.is_deleting()) {
        Some(since) => Freshness::Since(since),
        None => return Ok(true),
    };
    let revisions = pass.aws.observer.cache::<TaskDefinitionKey>();
    let key = TaskDefinitionKey(arn.to_owned());
    let seen = revisions.get(key, freshness, pass.namespace()).await?;
    Ok(fate(object, &pass.owner, &seen.answer) != Fate::Forget)
}

/// The users whose revision no EcsService of this Kubernetes cluster sets. Of the others the stores
/// know more than an earlier reply.
fn set_elsewhere(pass: &Pass<'_, ObservedTaskDefinition>, users: Vec<String>) -> Vec<String> {
    let is_elsewhere = |user: &String| !is_set_here(user, &pass.context.stores);
    users.into_iter().filter(is_elsewhere).collect()
}

/// What happens to an unused revision.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// It is deregistered.
    Deregister,
    /// It is deregistered already, and is deleted.
    Delete,
    /// It is gone, or has another owner.
    Forget,
}

fn fate(object: &EcsTaskDefinition, owner: &Owner, answer: &Answer) -> Fate {
    match answer {
        Answer::Found(json) => {
            let tags = Tags::read(&json["tags"]);
            match is_active(json) {
                true if goes_with(object, &owner.of(&tags)) => Fate::Deregister,
                false if deletes(object) && was_ours(object, owner, &tags) => Fate::Delete,
                _ => Fate::Forget,
            }
        }
        // The operator has just deregistered it.
        Answer::Inactive if deletes(object) => Fate::Delete,
        Answer::Inactive | Answer::Missing => Fate::Forget,
    }
}

/// The first of these services that uses the revision now. What was read with all services is asked
/// for again, one service at a time.
async fn user(
    revision: &str,
    users: Vec<String>,
    pass: &Pass<'_, ObservedTaskDefinition>,
) -> Result<Option<String>, AwsError> {
    for user in users {
        let Some(key) = key_of(&user) else { continue };
        let seen = pass
            .aws
            .observer
            .cache::<ServiceKey>()
            .get(key, Freshness::Since(Instant::now()), pass.namespace())
            .await?;
        if matches!(&seen.answer, Answer::Found(service) if is_user(service, revision)) {
            return Ok(Some(user));
        }
    }
    Ok(None)
}
