//! Task definition families: which there are, and which revisions they have.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::ready;
use futures::{FutureExt, StreamExt, stream};
use serde_json::{Value, json};

use super::operations as ecs;
use crate::aws::call::Reads;
use crate::aws::observer::{Answer, Key, Sweep};
use crate::aws::replies::{arns, pages, some_pages};
use crate::aws::{AwsError, ErrorKind, Operation, name_in};

/// Name of a task definition family.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FamilyKey(pub String);

impl fmt::Display for FamilyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task definition family {}", self.0)
    }
}

/// How many of the newest revisions of a family are listed.
const NEWEST: usize = 10;

/// Found is a list of the ARNs of the newest ACTIVE revisions, the newest first; a family without
/// any is missing.
///
/// ECS lists one family a call. Where many are asked for at once, most of them are new: a list of
/// the families that there are tells which need no look of their own.
impl Key for FamilyKey {
    const WHAT: &'static str = "families";
    const OPERATION: Operation = ecs::ListTaskDefinitions;
    const BATCH: usize = 100;
    // Each family that there is needs a call of its own.
    const ROOM_IS_FREE: bool = false;

    fn group(&self) -> &'static str {
        ""
    }

    fn steady(sweep: &Sweep) -> Duration {
        sweep.task_definitions
    }

    async fn read(reads: &Reads<'_>, keys: &[Self]) -> Vec<Result<Answer, AwsError>> {
        let existing = match existing_families(reads, keys).await {
            Ok(existing) => existing,
            Err(error) => return keys.iter().map(|_| Err(error.clone())).collect(),
        };
        let is_new = |family: &str| {
            existing
                .as_ref()
                .is_some_and(|existing| !existing.contains(family))
        };
        let lists = keys.iter().map(|FamilyKey(family)| {
            if is_new(family) {
                ready(Ok(Answer::Missing)).left_future()
            } else {
                newest_revisions(reads, family).right_future()
            }
        });
        stream::iter(lists.collect::<Vec<_>>())
            .buffered(SIDE_BY_SIDE)
            .collect()
            .await
    }
}

/// How many families are listed side by side.
const SIDE_BY_SIDE: usize = 10;

async fn newest_revisions(reads: &Reads<'_>, family: &str) -> Result<Answer, AwsError> {
    let request =
        json!({"familyPrefix": family, "status": "ACTIVE", "sort": "DESC", "maxResults": NEWEST});
    let reply = reads.send(ecs::ListTaskDefinitions, &request).await?;
    // The server may not keep to the limit.
    let newest: Vec<_> = revisions(&reply, family).take(NEWEST).collect();
    Ok(if newest.is_empty() {
        Answer::Missing
    } else {
        Answer::Found(Arc::new(newest.into()))
    })
}

/// Which of these families have ACTIVE revisions, and maybe others; `None` where it costs less to
/// look at each of them.
async fn existing_families(
    reads: &Reads<'_>,
    keys: &[FamilyKey],
) -> Result<Option<HashSet<String>>, AwsError> {
    let mut request = json!({"status": "ACTIVE", "maxResults": 100});
    let prefix = common_prefix(keys);
    if !prefix.is_empty() {
        request["familyPrefix"] = prefix.into();
    }
    match some_pages(
        reads,
        ecs::ListTaskDefinitionFamilies,
        request,
        keys.len() / 2,
    )
    .await
    {
        // It only saves calls.
        Err(error) if error.kind == ErrorKind::AccessDenied => Ok(None),
        pages => Ok(pages?.map(|pages| {
            pages
                .iter()
                .flat_map(|page| arns(page, "families"))
                .map(str::to_owned)
                .collect()
        })),
    }
}

/// What all names begin with.
fn common_prefix(keys: &[FamilyKey]) -> &str {
    // Keys are sorted, so the first and the last differ most.
    let (Some(FamilyKey(first)), Some(FamilyKey(last))) = (keys.first(), keys.last()) else {
        return "";
    };
    let common = first
        .bytes()
        .zip(last.bytes())
        .take_while(|(a, b)| a == b)
        .count();
    first.get(..common).unwrap_or_default()
}

/// Name of a task definition family, all of whose revisions are meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AllRevisionsKey(pub String);

impl fmt::Display for AllRevisionsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "all revisions of task definition family {}", self.0)
    }
}

/// Found is a list of the ARNs of all ACTIVE revisions.
///
/// ECS lists one family a call, or all of them. Where many are asked for at once, the list of all
/// costs less, as long as it is not longer than that.
impl Key for AllRevisionsKey {
    const WHAT: &'static str = "all_revisions";
    const OPERATION: Operation = ecs::ListTaskDefinitions;
    const BATCH: usize = 100;
    const ROOM_IS_FREE: bool = false;
    // A list can be long, and is of use only to the pass that asks for it.
    const UNWATCHED: Duration = Duration::from_secs(5);

    fn group(&self) -> &'static str {
        ""
    }

    fn steady(sweep: &Sweep) -> Duration {
        sweep.task_definitions
    }

    async fn read(reads: &Reads<'_>, keys: &[Self]) -> Vec<Result<Answer, AwsError>> {
        let found = |revisions: Vec<String>| Answer::Found(Arc::new(revisions.into()));
        let request = json!({"status": "ACTIVE", "maxResults": 100});
        match some_pages(reads, ecs::ListTaskDefinitions, request, keys.len() / 2).await {
            Ok(Some(pages)) => {
                let of = |family: &str| {
                    pages
                        .iter()
                        .flat_map(|page| revisions(page, family))
                        .collect()
                };
                keys.iter()
                    .map(|AllRevisionsKey(family)| Ok(found(of(family))))
                    .collect()
            }
            Ok(None) => {
                let lists = keys.iter().map(|AllRevisionsKey(family)| async move {
                    let request =
                        json!({"familyPrefix": family, "status": "ACTIVE", "maxResults": 100});
                    let pages = pages(reads, ecs::ListTaskDefinitions, request).await?;
                    Ok(found(
                        pages
                            .iter()
                            .flat_map(|page| revisions(page, family))
                            .collect(),
                    ))
                });
                stream::iter(lists.collect::<Vec<_>>())
                    .buffered(SIDE_BY_SIDE)
                    .collect()
                    .await
            }
            Err(error) => keys.iter().map(|_| Err(error.clone())).collect(),
        }
    }
}

/// The ARNs in an answer about a family, the newest first; none where it has no ACTIVE revision.
pub(crate) fn listed(answer: &Answer) -> Vec<String> {
    let Answer::Found(listed) = answer else {
        return Vec::new();
    };
    listed
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// ARNs in a reply of ListTaskDefinitions. `familyPrefix` is the whole name by its documentation
/// and a prefix by its name: others are left out.
fn revisions<'a>(reply: &'a Value, family: &'a str) -> impl Iterator<Item = String> + 'a {
    arns(reply, "taskDefinitionArns")
        .filter(move |arn| family_of(arn) == family)
        .map(str::to_owned)
}

/// The family in `arn:…:task-definition/FAMILY:REVISION`, `FAMILY:REVISION` or `FAMILY`.
#[must_use]
pub(crate) fn family_of(task_definition: &str) -> &str {
    let name = name_in(task_definition);
    name.split(':').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_listed_by_what_their_names_begin_with() {
        let prefix = |names: &[&str]| {
            let keys: Vec<_> = names
                .iter()
                .map(|name| FamilyKey((*name).to_owned()))
                .collect();
            common_prefix(&keys).to_owned()
        };
        assert_eq!(prefix(&["shop-api", "shop-cart", "shop-web"]), "shop-");
        assert_eq!(prefix(&["api", "web"]), "");
        assert_eq!(prefix(&["web", "web-admin"]), "web");
    }

    #[test]
    fn a_family_is_its_whole_name() {
        let arn =
            |name: &str| format!("arn:aws:ecs:eu-central-1:111122223333:task-definition/{name}");
        let reply = json!({"taskDefinitionArns": [arn("web:3"), arn("web-admin:1"), arn("web:1")]});
        assert_eq!(
            revisions(&reply, "web").collect::<Vec<_>>(),
            [arn("web:3"), arn("web:1")]
        );
    }
}
