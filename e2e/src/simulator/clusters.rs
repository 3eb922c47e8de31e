//! Clusters. Source: ECS API, CreateCluster to DeleteCluster, and Cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::account::{Account, name_in};
use super::clock::Moment;
use super::refusal::Refusal;
use super::runs::{Run, Tokens};
use super::service::{Service, State};
use super::tags::{Tags, includes};

/// Until attached capacity providers have taken effect.
const ATTACHING: Duration = Duration::from_secs(10);

/// A cluster.
#[derive(Clone, Debug, Default)]
pub(super) struct Cluster {
    arn: String,
    name: String,
    is_active: bool,
    /// Settings, configuration, capacity providers.
    members: Map<String, Value>,
    /// Since when a change of the capacity providers takes effect.
    attaching: Option<Moment>,
    pub(super) tags: Tags,
    pub(super) services: BTreeMap<String, Service>,
    /// Tasks that run on their own.
    pub(super) runs: Vec<Run>,
    pub(super) tokens: Tokens,
}

impl Cluster {
    pub(super) fn advance(&mut self, now: Moment) {
        if self
            .attaching
            .is_some_and(|since| now.since(since) >= ATTACHING)
        {
            self.attaching = None;
        }
        for run in &mut self.runs {
            run.task.advance(now);
        }
        self.runs.retain(|run| !run.task.is_forgotten(now));
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the cluster has a capacity provider in its default strategy, lists it where that
    /// counts, or has a service that uses it.
    pub(super) fn uses(&self, provider: &str, counts_listed: bool) -> bool {
        let names = |list: &Value| -> bool {
            let items = list.as_array().into_iter().flatten();
            let names =
                items.filter_map(|item| item["capacityProvider"].as_str().or(item.as_str()));
            names.map(name_in).any(|name| name == provider)
        };
        let member = |name: &str| self.members.get(name).is_some_and(&names);
        self.is_active
            && (member("defaultCapacityProviderStrategy")
                || counts_listed && member("capacityProviders")
                || self.is_used_by_service(provider))
    }

    fn is_used_by_service(&self, provider: &str) -> bool {
        let uses = |item: &Value| item["capacityProvider"].as_str().map(name_in) == Some(provider);
        self.active_services().any(|service| {
            let strategy = service.members.get("capacityProviderStrategy");
            let items = strategy.and_then(Value::as_array);
            items.into_iter().flatten().any(uses)
        })
    }

    fn active_services(&self) -> impl Iterator<Item = &Service> {
        let is_gone = |service: &&Service| service.state == State::Inactive;
        self.services
            .values()
            .filter(move |service| !is_gone(service))
    }

    fn json(&self, request: &Value) -> Value {
        let count = |status: &str| -> usize {
            let tasks = self.services.values().flat_map(|service| &service.tasks);
            let tasks = tasks.chain(self.runs.iter().map(|run| &run.task));
            tasks.filter(|task| task.last_status() == status).count()
        };
        let mut json = json!({
            "clusterArn": self.arn,
            "clusterName": self.name,
            "status": if self.is_active { "ACTIVE" } else { "INACTIVE" },
            "activeServicesCount": self.active_services().count(),
            "runningTasksCount": count("RUNNING"),
            "pendingTasksCount": count("PENDING"),
            "registeredContainerInstancesCount": 0,
            "capacityProviders": [],
            "defaultCapacityProviderStrategy": [],
            "settings": [],
            "tags": [],
        });
        let shown = |member: &str| match member {
            "settings" => includes(request, "SETTINGS"),
            "configuration" => includes(request, "CONFIGURATIONS"),
            _ => true,
        };
        for (name, value) in self.members.iter().filter(|(name, _)| shown(name)) {
            json[name] = value.clone();
        }
        if includes(request, "TAGS") {
            json["tags"] = self.tags.json();
        }
        if includes(request, "ATTACHMENTS") {
            let status = if self.attaching.is_some() {
                "UPDATE_IN_PROGRESS"
            } else {
                "UPDATE_COMPLETE"
            };
            json["attachmentsStatus"] = status.into();
        }
        json
    }
}

/// What a write shows of a cluster.
fn all() -> Value {
    json!({"include": ["ATTACHMENTS", "CONFIGURATIONS", "SETTINGS", "TAGS"]})
}

impl Account {
    /// The active cluster that a request names; `default` if it names none.
    pub(super) fn cluster_of(&mut self, request: &Value) -> Result<&mut Cluster, Refusal> {
        let name = name_in(request["cluster"].as_str().unwrap_or("default"));
        let cluster = self
            .clusters
            .get_mut(name)
            .filter(|cluster| cluster.is_active);
        cluster.ok_or_else(|| Refusal::new("ClusterNotFoundException", "Cluster not found."))
    }

    pub(super) fn create_cluster(&mut self, request: &Value) -> Result<Value, Refusal> {
        let name = request["clusterName"]
            .as_str()
            .unwrap_or("default")
            .to_owned();
        self.check_providers(&name, request)?;
        let members = members(request, &["clusterName", "tags"]);
        if let Some(cluster) = self.clusters.get(&name).filter(|cluster| cluster.is_active) {
            if cluster.members != members || cluster.tags != Tags::of(request) {
                return Err(Refusal::parameter(
                    "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
                ));
            }
            return Ok(json!({"cluster": cluster.json(&all())}));
        }
        let cluster = Cluster {
            arn: self.arn(&format!("cluster/{name}")),
            name: name.clone(),
            is_active: true,
            members,
            tags: Tags::of(request),
            ..Cluster::default()
        };
        let json = cluster.json(&all());
        self.clusters.insert(name, cluster);
        Ok(json!({"cluster": json}))
    }

    pub(super) fn describe_clusters(&self, request: &Value) -> Value {
        let names = request["clusters"].as_array().cloned();
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for name in names.unwrap_or_else(|| vec![json!("default")]) {
            let name = name.as_str().unwrap_or_default();
            if let Some(cluster) = self.clusters.get(name_in(name)) {
                let mut json = cluster.json(request);
                let managed = self.managed_of(name_in(name));
                if let Some(listed) = json["capacityProviders"].as_array_mut() {
                    listed.extend(managed.into_iter().map(Value::from));
                }
                found.push(json);
            } else {
                let arn = self.arn(&format!("cluster/{}", name_in(name)));
                failures.push(json!({"arn": arn, "reason": "MISSING"}));
            }
        }
        json!({"clusters": found, "failures": failures})
    }

    pub(super) fn update_cluster(&mut self, request: &Value) -> Result<Value, Refusal> {
        let cluster = self.cluster_of(request)?;
        cluster.members.extend(members(request, &["cluster"]));
        Ok(json!({"cluster": cluster.json(&all())}))
    }

    /// Replaces providers and strategy. Refused while an earlier change takes effect.
    pub(super) fn put_capacity_providers(
        &mut self,
        request: &Value,
        now: Moment,
    ) -> Result<Value, Refusal> {
        let name = self.cluster_of(request)?.name.clone();
        self.check_providers(&name, request)?;
        let cluster = self.cluster_of(request)?;
        let kept = &request["capacityProviders"];
        let listed = cluster.members.get("capacityProviders");
        let mut removed = listed
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter(|name| !kept.as_array().is_some_and(|kept| kept.contains(name)))
            .filter_map(Value::as_str);
        if removed.any(|name| cluster.is_used_by_service(name_in(name))) {
            let message = "The specified capacity provider is in use and cannot be removed.";
            return Err(Refusal::new("ResourceInUseException", message));
        }
        if cluster.attaching.is_some() {
            let message = "The specified cluster is in a busy state.";
            return Err(Refusal::new("UpdateInProgressException", message));
        }
        cluster.members.extend(members(request, &["cluster"]));
        cluster.attaching = Some(now);
        Ok(json!({"cluster": cluster.json(&all())}))
    }

    /// Refused while services, tasks or Managed Instances providers are in the cluster.
    pub(super) fn delete_cluster(&mut self, request: &Value) -> Result<Value, Refusal> {
        let name = self.cluster_of(request)?.name.clone();
        if !self.managed_of(&name).is_empty() {
            let message = "The Cluster cannot be deleted while Managed Instances capacity providers are active.";
            let code = "ClusterContainsCapacityProviderException";
            return Err(Refusal::new(code, message));
        }
        let cluster = self.cluster_of(request)?;
        if cluster.active_services().next().is_some() {
            let message = "The Cluster cannot be deleted while Services are active.";
            return Err(Refusal::new("ClusterContainsServicesException", message));
        }
        if cluster.runs.iter().any(|run| !run.task.is_stopped()) {
            let message = "The Cluster cannot be deleted while Tasks are active.";
            return Err(Refusal::new("ClusterContainsTasksException", message));
        }
        cluster.is_active = false;
        Ok(json!({"cluster": cluster.json(&all())}))
    }

    pub(super) fn list_clusters(&self) -> Value {
        let active = self.clusters.values().filter(|cluster| cluster.is_active);
        let arns: Vec<_> = active.map(|cluster| cluster.arn.clone()).collect();
        json!({"clusterArns": arns})
    }
}

/// The members of a request without these.
pub(super) fn members(request: &Value, without: &[&str]) -> Map<String, Value> {
    let members = request.as_object().into_iter().flatten();
    members
        .filter(|(name, _)| !without.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
