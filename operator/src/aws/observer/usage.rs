//! Which services use which task definition revisions, across all clusters of the account and Region: what others run counts
//! as much as what we run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::read::{arns, pages};
use crate::aws::{Calls, Fault, Operation, name_in};

/// Services, as `SERVICE in cluster CLUSTER`, by the revision, as `family:revision`, that one of their deployments runs.
pub type Usage = BTreeMap<String, Vec<String>>;

/// The last answer. Whoever asks while it is being read waits for the same one.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<Option<(Instant, Arc<Usage>)>>);

impl Cache {
    pub(super) async fn get(&self, calls: &Calls, age: Duration) -> Result<Arc<Usage>, Fault> {
        let mut cached = self.0.lock().await;
        if let Some((at, usage)) = &*cached
            && at.elapsed() < age
        {
            return Ok(Arc::clone(usage));
        }
        let at = Instant::now();
        let usage = Arc::new(read(calls).await?);
        *cached = Some((at, Arc::clone(&usage)));
        Ok(usage)
    }
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
            let user = format!("{name} in cluster {cluster}");
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
