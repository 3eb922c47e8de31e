//! Which services use which task definition revisions, across all clusters of the account and Region: what others run counts
//! as much as what we run.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::ServiceKey;
use super::read::{arns, pages};
use crate::aws::{Calls, Fault, Operation, name_in};

/// Services, as `SERVICE in cluster CLUSTER`, by the revision, as `family:revision`, that one of their deployments runs.
pub type Usage = BTreeMap<String, Vec<String>>;

/// How long it is remembered that a service has gone; longer than any answer is used.
const REMEMBERED: Duration = Duration::from_secs(120);

/// The last answer. Whoever asks while it is being read waits for the same one.
#[derive(Debug, Default)]
pub(super) struct Cache {
    last: tokio::sync::Mutex<Option<Read>>,
    /// Services that were seen to be gone, and when.
    gone: Mutex<HashMap<String, Instant>>,
}

impl Cache {
    pub(super) async fn get(&self, calls: &Calls, age: Duration) -> Result<Arc<Usage>, Fault> {
        let asked = Instant::now();
        let mut last = self.last.lock().await;
        // What was read while we waited is good for us, too, however long that took.
        let known = match last.take() {
            Some(known) if known.began + age > asked => known,
            _ => {
                let (began, usage) = (Instant::now(), Arc::new(read(calls).await?));
                Read { began, ended: Instant::now(), usage }
            }
        };
        let known = last.insert(known);
        strike_out(&mut known.usage, known.ended, &self.gone.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(Arc::clone(&known.usage))
    }

    pub(super) fn is_gone(&self, service: &ServiceKey, at: Instant) {
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        gone.retain(|_, since| since.elapsed() < REMEMBERED);
        gone.insert(user(&service.name, &service.cluster), at);
    }
}

/// What was read, and when.
#[derive(Debug)]
struct Read {
    began: Instant,
    ended: Instant,
    usage: Arc<Usage>,
}

/// Strikes out of what was read until `at` the services that were seen to be gone since.
fn strike_out(usage: &mut Arc<Usage>, at: Instant, gone: &HashMap<String, Instant>) {
    let is_gone = |user: &String| gone.get(user).is_some_and(|since| *since > at);
    if usage.values().flatten().any(is_gone) {
        for users in Arc::make_mut(usage).values_mut() {
            users.retain(|user| !is_gone(user));
        }
    }
}

/// How users are called.
fn user(service: &str, cluster: &str) -> String {
    format!("{service} in cluster {cluster}")
}

async fn read(calls: &Calls) -> Result<Usage, Fault> {
    let mut usage = Usage::new();
    for clusters in pages(calls, Operation::ListClusters, json!({"maxResults": 100})).await? {
        for cluster in arns(&clusters, "clusterArns") {
            let request = json!({"cluster": cluster, "maxResults": 100});
            let services = match pages(calls, Operation::ListServices, request).await {
                // Deleted meanwhile.
                Err(fault) if fault.code.as_deref() == Some("ClusterNotFoundException") => continue,
                listed => listed?,
            };
            for services in services {
                let services: Vec<_> = arns(&services, "serviceArns").collect();
                for batch in services.chunks(10) {
                    let request = json!({"cluster": cluster, "services": batch});
                    note(&calls.send(Operation::DescribeServices, &request).await?, &mut usage);
                }
            }
        }
    }
    Ok(usage)
}

fn note(reply: &Value, usage: &mut Usage) {
    for service in reply["services"].as_array().into_iter().flatten().filter(|service| service["status"] != "INACTIVE") {
        let [name, cluster] =
            ["serviceName", "clusterArn"].map(|member| service[member].as_str().map(name_in).unwrap_or_default());
        // Services of CodeDeploy and of external controllers run task sets.
        let running = ["deployments", "taskSets"].into_iter().flat_map(|list| service[list].as_array().into_iter().flatten());
        let revisions = running.chain([service]).filter_map(|running| running["taskDefinition"].as_str());
        for revision in revisions {
            let users = usage.entry(name_in(revision).to_owned()).or_default();
            let user = user(name, cluster);
            if !users.contains(&user) {
                users.push(user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_has_gone_since_counts_no_more() {
        let users = ["web", "api", "old"].map(|name| user(name, "shop"));
        let gone_before = Instant::now();
        let read = gone_before + Duration::from_millis(1);
        let gone = HashMap::from([(users[0].clone(), read + Duration::from_millis(1)), (users[2].clone(), gone_before)]);
        let mut usage = Arc::new(Usage::from([("web:1".to_owned(), users.to_vec())]));
        strike_out(&mut usage, read, &gone);
        assert_eq!(usage["web:1"], ["api in cluster shop", "old in cluster shop"], "old has come back since");
    }

    #[test]
    fn every_deployment_of_every_living_service_counts() {
        let revision = |number: i32| format!("arn:aws:ecs:eu-central-1:1:task-definition/web:{number}");
        let reply = json!({"services": [
            {"serviceName": "web", "clusterArn": "arn:aws:ecs:eu-central-1:1:cluster/shop", "status": "ACTIVE",
             "taskDefinition": revision(4), "deployments": [{"taskDefinition": revision(4)}, {"taskDefinition": revision(3)}],
             "taskSets": [{"taskDefinition": revision(2)}]},
            {"serviceName": "old", "clusterArn": "c", "status": "INACTIVE", "taskDefinition": revision(1)},
        ]});
        let mut usage = Usage::new();
        note(&reply, &mut usage);
        assert_eq!(usage.keys().collect::<Vec<_>>(), ["web:2", "web:3", "web:4"]);
        assert_eq!(usage["web:4"], ["web in cluster shop"]);
    }
}
