//! What keeps a cluster, or a capacity provider, from being deleted.

use serde_json::{Value, json};

use super::keys::ServiceKey;
use super::operations as ecs;
use crate::aws::observer::{Answer, Key, Observer};
use crate::aws::read_budget::Turn;
use crate::aws::replies::{arns, pages};
use crate::aws::{AwsError, ErrorKind, name_in};

/// What lives in a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blockers {
    /// Names of services, at most a page of 100.
    pub services: Vec<String>,
    /// IDs of tasks that no service started, or that still stop, at most a page of 100.
    pub tasks: Vec<String>,
}

/// The services and tasks that keep `cluster` from being deleted, for an object in `namespace`; a
/// page of each is enough for the message. Read at every call.
///
/// # Errors
/// When a read fails.
pub async fn blockers(
    observer: &Observer,
    cluster: &str,
    namespace: &str,
) -> Result<Blockers, AwsError> {
    let reads = &observer.reads(Turn::Of(vec![namespace.to_owned()]));
    let request = json!({"cluster": cluster, "maxResults": 100});
    let names = |reply: &Value, member: &str| -> Vec<String> {
        arns(reply, member)
            .map(|arn| name_in(arn).to_owned())
            .collect()
    };
    let listed = names(
        &reads.send(ecs::ListServices, &request).await?,
        "serviceArns",
    );
    let tasks = match reads.send(ecs::ListTasks, &request).await {
        // The tasks are only for the message. ECS refuses to delete a cluster with tasks.
        Err(error) if error.kind == ErrorKind::AccessDenied => Vec::new(),
        listed => names(&listed?, "taskArns"),
    };
    let keys: Vec<_> = listed
        .into_iter()
        .map(|name| ServiceKey {
            cluster: cluster.to_owned(),
            name,
        })
        .collect();
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

/// Names of the clusters that use a capacity provider of an Auto Scaling group, for an object in
/// `namespace`. Read at every call.
///
/// # Errors
/// When a read fails.
pub async fn clusters_with(
    observer: &Observer,
    provider: &str,
    namespace: &str,
) -> Result<Vec<String>, AwsError> {
    let reads = &observer.reads(Turn::Of(vec![namespace.to_owned()]));
    let mut names = Vec::new();
    for page in pages(reads, ecs::ListClusters, json!({"maxResults": 100})).await? {
        let clusters: Vec<_> = arns(&page, "clusterArns").collect();
        if clusters.is_empty() {
            continue;
        }
        let request = json!({"clusters": clusters});
        let reply = reads.insist(ecs::DescribeClusters, &request).await?;
        let described = reply["clusters"].as_array().into_iter().flatten();
        let using = described.filter(|cluster| {
            cluster["status"] != "INACTIVE" && providers_of(cluster).any(|name| name == provider)
        });
        names.extend(using.filter_map(|cluster| Some(cluster["clusterName"].as_str()?.to_owned())));
    }
    Ok(names)
}

/// Names of the capacity providers that a cluster lists or has in its default strategy.
fn providers_of(cluster: &Value) -> impl Iterator<Item = &str> {
    let listed = cluster["capacityProviders"]
        .as_array()
        .into_iter()
        .flatten();
    listed
        .filter_map(Value::as_str)
        .chain(strategy_of(cluster))
        .map(name_in)
}

/// Names of the capacity providers in the default strategy of a cluster.
pub(crate) fn strategy_of(cluster: &Value) -> impl Iterator<Item = &str> {
    let strategy = cluster["defaultCapacityProviderStrategy"].as_array();
    strategy
        .into_iter()
        .flatten()
        .filter_map(|item| item["capacityProvider"].as_str())
        .map(name_in)
}
