//! The read calls: which requests are sent, and what their replies mean.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::types::{Answer, Key, Sweep};
use crate::aws::call::Reads;
use crate::aws::ecs;
use crate::aws::operation::ActionFamily;
use crate::aws::tags::{SPEC_HASH, TagShape, Tags};
use crate::aws::{AwsError, ErrorKind, Operation, name_in};

/// Name of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterKey(pub String);

/// Cluster and name of a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceKey {
    /// Name of the cluster.
    pub cluster: String,
    /// Name of the service.
    pub name: String,
}

/// Cluster and name of a capacity provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CapacityProviderKey {
    /// Name of the cluster for which it is looked at.
    pub cluster: String,
    /// Name.
    pub name: String,
}

/// ARN of a task definition revision.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskDefinitionKey(pub String);

impl fmt::Display for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cluster {}", self.0)
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "service {} in cluster {}", self.name, self.cluster)
    }
}

impl fmt::Display for CapacityProviderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "capacity provider {} of cluster {}", self.name, self.cluster)
    }
}

impl fmt::Display for TaskDefinitionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task definition {}", self.0)
    }
}

impl Key for ClusterKey {
    const WHAT: &'static str = "clusters";
    const FAMILY: ActionFamily = ecs::ClusterRead;
    const BATCH: usize = 100;

    fn group(&self) -> &'static str {
        ""
    }

    async fn read(reads: &Reads<'_>, keys: &[Self]) -> Vec<Result<Answer, AwsError>> {
        let names: Vec<_> = keys.iter().map(|key| key.0.as_str()).collect();
        let request = json!({"clusters": names, "include": ["CONFIGURATIONS", "SETTINGS", "TAGS"]});
        let reply = reads.send(ecs::DescribeClusters, &request).await;
        sort_out(ecs::DescribeClusters, reply, "clusters", "clusterName", &names)
    }
}

/// Found is a capacity provider of the cluster. What is associated with another cluster or with none is missing.
impl Key for CapacityProviderKey {
    const WHAT: &'static str = "capacity_providers";
    const FAMILY: ActionFamily = ecs::ClusterRead;
    // ECS answers ten at a time.
    const BATCH: usize = 10;

    fn group(&self) -> &str {
        &self.cluster
    }

    async fn read(reads: &Reads<'_>, keys: &[Self]) -> Vec<Result<Answer, AwsError>> {
        let names: Vec<_> = keys.iter().map(|key| key.name.as_str()).collect();
        // Without the cluster ECS does not show its Managed Instances providers.
        let request = json!({"cluster": keys[0].cluster, "capacityProviders": names});
        let reply = reads.send(ecs::DescribeCapacityProviders, &request).await;
        sort_out(ecs::DescribeCapacityProviders, reply, "capacityProviders", "name", &names)
    }
}

impl Key for ServiceKey {
    const WHAT: &'static str = "services";
    const FAMILY: ActionFamily = ecs::ServiceRead;
    const BATCH: usize = 10;

    fn group(&self) -> &str {
        &self.cluster
    }

    async fn read(reads: &Reads<'_>, keys: &[Self]) -> Vec<Result<Answer, AwsError>> {
        let names: Vec<_> = keys.iter().map(|key| key.name.as_str()).collect();
        let request = json!({"cluster": keys[0].cluster, "services": names, "include": ["TAGS"]});
        match reads.send(ecs::DescribeServices, &request).await {
            // Without its cluster a service does not exist.
            Err(error) if error.code.as_deref() == Some("ClusterNotFoundException") => {
                names.iter().map(|_| Ok(Answer::Missing)).collect()
            }
            reply => sort_out(ecs::DescribeServices, reply, "services", "serviceName", &names),
        }
    }
}

impl Key for TaskDefinitionKey {
    const WHAT: &'static str = "task_definitions";
    const FAMILY: ActionFamily = ecs::TaskDefinitionRead;
    const BATCH: usize = 1;
    // Large families are looked through bit by bit, and a revision changes in its tags alone.
    const UNWATCHED: Duration = Duration::from_secs(900);

    fn group(&self) -> &str {
        &self.0
    }

    fn steady(sweep: &Sweep) -> Duration {
        sweep.task_definitions
    }

    async fn read(reads: &Reads<'_>, keys: &[Self]) -> Vec<Result<Answer, AwsError>> {
        let request = json!({"taskDefinition": keys[0].0, "include": ["TAGS"]});
        vec![match reads.send(ecs::DescribeTaskDefinition, &request).await {
            Ok(reply) => Ok(task_definition(reply)),
            Err(error) if error.kind == ErrorKind::Missing => Ok(Answer::Missing),
            Err(error) => Err(error),
        }]
    }
}

/// The answer in a reply of DescribeTaskDefinition or RegisterTaskDefinition: the task definition with its tags, which the
/// API puts beside it. Of one that carries the hash of its request only what decisions need is kept; of another one the
/// definition itself, too, to compare it.
pub(crate) fn task_definition(mut reply: Value) -> Answer {
    let tags = reply["tags"].take();
    let Value::Object(described) = reply["taskDefinition"].take() else { return Answer::Missing };
    match described.get("status").and_then(Value::as_str) {
        Some("INACTIVE") => return Answer::Inactive,
        // It cannot be used, and nothing is left to do.
        Some("DELETE_IN_PROGRESS") => return Answer::Missing,
        _ => {}
    }
    let kept = ["taskDefinitionArn", "family", "revision", "status"];
    let mut found: serde_json::Map<_, _> = described
        .iter()
        .filter(|(key, _)| kept.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if !Tags::read(&tags).0.contains_key(SPEC_HASH) {
        found.insert("definition".to_owned(), described.into());
    }
    found.insert("tags".to_owned(), tags);
    Answer::Found(Arc::new(found.into()))
}

/// How many events of a service are kept, of the hundred that ECS shows: those since the last look.
const EVENTS: usize = 10;

/// The answer about one described object.
pub(crate) fn described(mut object: Value) -> Answer {
    if object["status"] == "INACTIVE" {
        return Answer::Inactive;
    }
    if let Some(events) = object.get_mut("events").and_then(Value::as_array_mut) {
        // The newest come first.
        events.truncate(EVENTS);
    }
    Answer::Found(Arc::new(object))
}

/// The answer about `object` after TagResource or UntagResource with `request`: replies to them are empty, and a read may lag behind. `shape`
/// is that of the service.
pub(crate) fn tagged(object: &Value, request: &Value, shape: TagShape) -> Answer {
    let mut tags = Tags::read(&object["tags"]);
    tags.0.extend(Tags::read(&request["tags"]).0);
    for key in request["tagKeys"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        tags.0.remove(key);
    }
    let mut object = object.clone();
    object["tags"] = tags.write(shape);
    Answer::Found(Arc::new(object))
}

/// The answer in the reply to a write, which shows the object in `member` as the write left it. Tags are shown only where
/// they were asked for; else those we know are `tags`. `None` when the reply has no such member.
pub(crate) fn written(mut reply: Value, member: &str, tags: Value) -> Option<Answer> {
    let mut object = reply[member].take();
    let members = object.as_object_mut()?;
    if members.get("tags").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        members.insert("tags".to_owned(), tags);
    }
    Some(described(object))
}

/// One answer for each name or ARN from a reply that lists what was found in any order, and what is missing in `failures`.
pub(super) fn sort_out(
    operation: Operation,
    reply: Result<Value, AwsError>,
    list: &str,
    name_member: &str,
    names: &[&str],
) -> Vec<Result<Answer, AwsError>> {
    let mut reply = match reply {
        Ok(reply) => reply,
        Err(error) => return names.iter().map(|_| Err(error.clone())).collect(),
    };
    let mut answers = HashMap::new();
    if let Value::Array(found) = reply[list].take() {
        for object in found {
            if let Some(name) = object[name_member].as_str().map(str::to_owned) {
                answers.insert(name, Ok(described(object)));
            }
        }
    }
    for failure in reply["failures"].as_array().into_iter().flatten() {
        let arn = failure["arn"].as_str().unwrap_or_default();
        let reason = failure["reason"].as_str().unwrap_or("no reason given");
        let answer = match reason {
            "MISSING" => Ok(Answer::Missing),
            _ => Err(AwsError::new(operation, ErrorKind::Server, format!("AWS could not describe {arn}: {reason}"))),
        };
        // The ARN of a failure is, or ends in, what was asked for.
        let name = if names.contains(&arn) { arn } else { name_in(arn) };
        answers.entry(name.to_owned()).or_insert(answer);
    }
    let absent = |name: &str| AwsError::new(operation, ErrorKind::Server, format!("the reply says nothing of {name}"));
    names.iter().map(|name| answers.get(*name).cloned().unwrap_or_else(|| Err(absent(name)))).collect()
}

/// What lives in a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blockers {
    /// Names of services, at most a page of 100.
    pub services: Vec<String>,
    /// IDs of tasks that no service started, or that still stop, at most a page of 100.
    pub tasks: Vec<String>,
}

/// Services and tasks in a cluster: a page of each is enough to say what is in the way.
pub(super) async fn blockers(reads: &Reads<'_>, cluster: &str) -> Result<Blockers, AwsError> {
    let request = json!({"cluster": cluster, "maxResults": 100});
    let names = |reply: &Value, member: &str| -> Vec<String> { arns(reply, member).map(|arn| name_in(arn).to_owned()).collect() };
    let listed = names(&reads.send(ecs::ListServices, &request).await?, "serviceArns");
    let tasks = match reads.send(ecs::ListTasks, &request).await {
        // The tasks are only for the message. ECS refuses to delete a cluster with tasks.
        Err(error) if error.kind == ErrorKind::AccessDenied => Vec::new(),
        listed => names(&listed?, "taskArns"),
    };
    let keys: Vec<_> = listed.into_iter().map(|name| ServiceKey { cluster: cluster.to_owned(), name }).collect();
    let mut services = Vec::new();
    for batch in keys.chunks(ServiceKey::BATCH) {
        // A list may lag behind: a service that is described as gone does not block.
        for (key, answer) in batch.iter().zip(ServiceKey::read(reads, batch).await) {
            if matches!(answer?, Answer::Found(_)) {
                services.push(key.name.clone());
            }
        }
    }
    Ok(Blockers { services, tasks })
}

/// The replies to a list call, to the last page. A page that fails is tried again.
pub(super) async fn pages(reads: &Reads<'_>, operation: Operation, request: Value) -> Result<Vec<Value>, AwsError> {
    Ok(paged(reads, operation, request, usize::MAX, true).await?.unwrap_or_default())
}

/// The replies to a list call, to the last page; `None` where there are more than `most`.
pub(super) async fn some_pages(
    reads: &Reads<'_>,
    operation: Operation,
    request: Value,
    most: usize,
) -> Result<Option<Vec<Value>>, AwsError> {
    paged(reads, operation, request, most, false).await
}

async fn paged(
    reads: &Reads<'_>,
    operation: Operation,
    mut request: Value,
    most: usize,
    insists: bool,
) -> Result<Option<Vec<Value>>, AwsError> {
    let mut pages = Vec::new();
    while pages.len() < most {
        let sent = if insists { reads.insist(operation, &request).await } else { reads.send(operation, &request).await };
        let mut reply = sent?;
        let next = reply["nextToken"].take();
        pages.push(reply);
        match next {
            Value::String(token) if !token.is_empty() => request["nextToken"] = token.into(),
            _ => return Ok(Some(pages)),
        }
    }
    Ok(None)
}

/// The ARNs or names that a list call answers in `member`.
pub(super) fn arns<'a>(page: &'a Value, member: &str) -> impl Iterator<Item = &'a str> {
    page[member].as_array().into_iter().flatten().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clusters(reply: Value, names: &[&str]) -> Vec<Result<Answer, AwsError>> {
        sort_out(ecs::DescribeClusters, Ok(reply), "clusters", "clusterName", names)
    }

    #[test]
    fn found_inactive_missing_and_absent_are_four_answers() {
        let reply = json!({
            "clusters": [
                {"clusterName": "old", "status": "INACTIVE"},
                {"clusterName": "here", "status": "ACTIVE"},
            ],
            "failures": [
                {"arn": "arn:aws:ecs:eu-central-1:111122223333:cluster/gone", "reason": "MISSING"},
                {"arn": "arn:aws:ecs:eu-central-1:111122223333:cluster/odd", "reason": "ACCESS"},
            ],
        });
        let answers = clusters(reply, &["here", "gone", "old", "odd", "forgotten"]);
        let here = Arc::new(json!({"clusterName": "here", "status": "ACTIVE"}));
        assert_eq!(answers[0], Ok(Answer::Found(here)));
        assert_eq!(answers[1], Ok(Answer::Missing));
        assert_eq!(answers[2], Ok(Answer::Inactive));
        assert!(answers[3].as_ref().is_err_and(|error| error.message.contains("ACCESS")));
        assert!(answers[4].as_ref().is_err_and(|error| error.message == "the reply says nothing of forgotten"));
    }

    #[test]
    fn of_many_events_the_newest_are_kept() {
        let events: Vec<_> = (0..100).map(|id| json!({"id": id})).collect();
        let Answer::Found(service) = described(json!({"status": "ACTIVE", "events": events})) else { panic!("it is found") };
        assert_eq!(service["events"].as_array().map(Vec::len), Some(EVENTS));
        assert_eq!(service["events"][0]["id"], 0);
    }

    #[test]
    fn a_failed_read_fails_every_name() {
        let error = AwsError::new(ecs::DescribeClusters, ErrorKind::Throttle, "Rate exceeded");
        let answers = sort_out(ecs::DescribeClusters, Err(error.clone()), "clusters", "clusterName", &["a", "b"]);
        assert_eq!(answers, [Err(error.clone()), Err(error)]);
    }
}
