//! Capacity providers of Auto Scaling groups and of Managed Instances. Source: ECS API,
//! CreateCapacityProvider to DeleteCapacityProvider, and CapacityProvider.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::account::{Account, name_in};
use super::clock::Moment;
use super::clusters::{Cluster, members};
use super::refusal::Refusal;
use super::tags::{Tags, includes};

/// How long a creation, change or deletion takes.
const BUSY: Duration = Duration::from_secs(5);

/// Instance profiles and Auto Scaling groups whose name has this do not exist.
const MISSING: &str = "no-such";

/// A capacity provider.
#[derive(Clone, Debug)]
pub(super) struct Provider {
    arn: String,
    /// `autoScalingGroupProvider` or `managedInstancesProvider`.
    members: Map<String, Value>,
    /// Name of the cluster of a Managed Instances provider.
    cluster: Option<String>,
    status: &'static str,
    /// `CREATE`, `UPDATE` or `DELETE`.
    change: &'static str,
    /// `IN_PROGRESS`, `COMPLETE` or `FAILED`.
    state: &'static str,
    /// When the change began.
    since: Moment,
    pub(super) tags: Tags,
}

impl Provider {
    /// Ends a change that has taken its time.
    pub(super) fn advance(&mut self, now: Moment) {
        if self.state != "IN_PROGRESS" || now.since(self.since) < BUSY {
            return;
        }
        let fails = Value::from(self.members.clone())
            .to_string()
            .contains(MISSING);
        self.state = match self.change {
            "CREATE" | "UPDATE" if fails => "FAILED",
            _ => "COMPLETE",
        };
        self.status = match (self.change, self.state) {
            ("CREATE", "FAILED") | ("DELETE", _) => "INACTIVE",
            _ => "ACTIVE",
        };
    }

    fn begin(&mut self, change: &'static str, now: Moment) {
        (self.change, self.state, self.since) = (change, "IN_PROGRESS", now);
    }

    fn is_managed(&self) -> bool {
        self.cluster.is_some()
    }

    fn json(&self, name: &str, request: &Value) -> Value {
        let kind = if self.is_managed() {
            "MANAGED_INSTANCES"
        } else {
            "EC2_AUTOSCALING"
        };
        let mut json = json!({
            "capacityProviderArn": self.arn,
            "name": name,
            "type": kind,
            "status": self.status,
            "updateStatus": format!("{}_{}", self.change, self.state),
            "tags": [],
        });
        if self.state == "FAILED" {
            json["updateStatusReason"] = "The instance profile does not exist.".into();
        }
        if let Some(cluster) = &self.cluster {
            json["cluster"] = cluster.as_str().into();
        }
        for (member, value) in &self.members {
            json[member] = value.clone();
        }
        // ECS shows what it uses where the request says nothing.
        let scaling = json!({
            "status": "DISABLED", "targetCapacity": 100, "minimumScalingStepSize": 1,
            "maximumScalingStepSize": 10000, "instanceWarmupPeriod": 300,
        });
        let group = json!({
            "managedScaling": scaling, "managedTerminationProtection": "DISABLED",
            "managedDraining": "ENABLED",
        });
        if let Some(shown) = json.get_mut("autoScalingGroupProvider") {
            *shown = merged(group, shown);
        }
        if includes(request, "TAGS") {
            json["tags"] = self.tags.json();
        }
        json
    }
}

/// `base` with the members of `changes`, also inside objects.
fn merged(mut base: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().into_iter().flatten() {
        base[name] = if value.is_object() {
            merged(base[name].take(), value)
        } else {
            value.clone()
        };
    }
    base
}

/// What a write shows of a provider.
fn all() -> Value {
    json!({"include": ["TAGS"]})
}

impl Account {
    pub(super) fn create_capacity_provider(
        &mut self,
        request: &Value,
        now: Moment,
    ) -> Result<Value, Refusal> {
        let name = request["name"].as_str().unwrap_or_default().to_owned();
        if self
            .providers
            .get(&name)
            .is_some_and(|provider| provider.status != "INACTIVE")
        {
            return Err(Refusal::client(
                "The specified capacity provider already exists. To change the configuration of an existing capacity provider, update the \
                 capacity provider.",
            ));
        }
        let is_managed = request["managedInstancesProvider"].is_object();
        let cluster = match request["cluster"].as_str() {
            Some(_) if is_managed => {
                self.cluster_of(request)?;
                request["cluster"]
                    .as_str()
                    .map(|cluster| name_in(cluster).to_owned())
            }
            None if !is_managed => None,
            _ => {
                return Err(Refusal::parameter(
                    "cluster and managedInstancesProvider need each other.",
                ));
            }
        };
        let provider = Provider {
            arn: self.arn(&format!("capacity-provider/{name}")),
            members: members(request, &["name", "cluster", "tags"]),
            cluster,
            status: "PROVISIONING",
            change: "CREATE",
            state: "IN_PROGRESS",
            since: now,
            tags: Tags::of(request),
        };
        let json = provider.json(&name, &all());
        self.providers.insert(name, provider);
        Ok(json!({"capacityProvider": json}))
    }

    /// Those of Managed Instances are shown with their cluster only.
    pub(super) fn describe_capacity_providers(&self, request: &Value) -> Value {
        let names = request["capacityProviders"].as_array();
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for name in names.into_iter().flatten().filter_map(Value::as_str) {
            let cluster = request["cluster"].as_str().map(name_in);
            let is_shown = |provider: &&Provider| {
                provider.cluster.is_none() || provider.cluster.as_deref() == cluster
            };
            if matches!(name, "FARGATE" | "FARGATE_SPOT") {
                found.push(json!({"name": name, "status": "ACTIVE", "type": name}));
            } else if let Some(provider) = self.providers.get(name_in(name)).filter(is_shown) {
                found.push(provider.json(name_in(name), request));
            } else {
                let arn = self.arn(&format!("capacity-provider/{}", name_in(name)));
                failures.push(json!({"arn": arn, "reason": "MISSING"}));
            }
        }
        json!({"capacityProviders": found, "failures": failures})
    }

    /// The provider of this name that is not INACTIVE.
    fn provider(&mut self, name: &Value) -> Result<&mut Provider, Refusal> {
        let provider = self
            .providers
            .get_mut(name_in(name.as_str().unwrap_or_default()))
            .filter(|provider| provider.status != "INACTIVE");
        let provider = provider.ok_or_else(|| {
            Refusal::client("The specified capacity provider does not exist. Specify a valid name or ARN and try again.")
        })?;
        if provider.state == "IN_PROGRESS" {
            let message = "The specified capacity provider is being changed.";
            return Err(Refusal::new("UpdateInProgressException", message));
        }
        Ok(provider)
    }

    /// The members of an Auto Scaling group are merged one by one.
    pub(super) fn update_capacity_provider(
        &mut self,
        request: &Value,
        now: Moment,
    ) -> Result<Value, Refusal> {
        let provider = self.provider(&request["name"])?;
        for (member, value) in members(request, &["name", "cluster"]) {
            let before = provider.members.remove(&member).unwrap_or_default();
            provider.members.insert(member, merged(before, &value));
        }
        provider.begin("UPDATE", now);
        let json = provider.json(
            name_in(request["name"].as_str().unwrap_or_default()),
            &all(),
        );
        Ok(json!({"capacityProvider": json}))
    }

    /// Refused while a cluster lists the provider of a group, or has one in its default strategy,
    /// and while a service uses it.
    pub(super) fn delete_capacity_provider(
        &mut self,
        request: &Value,
        now: Moment,
    ) -> Result<Value, Refusal> {
        let name = request["capacityProvider"].as_str().unwrap_or_default();
        let name = name_in(name).to_owned();
        let is_managed = self.provider(&request["capacityProvider"])?.is_managed();
        let uses = |cluster: &Cluster| cluster.uses(&name, !is_managed);
        if self.clusters.values().any(uses) {
            return Err(Refusal::client(
                "The specified capacity provider is in use and cannot be removed.",
            ));
        }
        let provider = self.provider(&request["capacityProvider"])?;
        provider.status = "DEPROVISIONING";
        provider.begin("DELETE", now);
        let json = provider.json(&name, &all());
        Ok(json!({"capacityProvider": json}))
    }

    /// Names of the Managed Instances providers of a cluster that are not INACTIVE.
    pub(super) fn managed_of(&self, cluster: &str) -> Vec<String> {
        let providers = self.providers.iter();
        let managed = providers.filter(|(_, provider)| {
            provider.cluster.as_deref() == Some(cluster) && provider.status != "INACTIVE"
        });
        managed.map(|(name, _)| name.clone()).collect()
    }

    /// Checks the providers that a cluster shall have and use. Those of Managed Instances cannot be
    /// listed.
    pub(super) fn check_providers(&self, cluster: &str, request: &Value) -> Result<(), Refusal> {
        let names = |list: &Value, member: &str| -> Vec<String> {
            let items = list.as_array().into_iter().flatten();
            let names = items.map(|item| {
                if member.is_empty() {
                    item
                } else {
                    &item[member]
                }
            });
            let names = names.filter_map(Value::as_str).map(name_in);
            names
                .filter(|name| !matches!(*name, "FARGATE" | "FARGATE_SPOT"))
                .map(str::to_owned)
                .collect()
        };
        let listed = names(&request["capacityProviders"], "");
        let strategy = names(
            &request["defaultCapacityProviderStrategy"],
            "capacityProvider",
        );
        for name in listed.iter().chain(&strategy) {
            let provider = self.providers.get(name);
            let is_here =
                |provider: &&Provider| provider.cluster.as_deref().is_none_or(|of| of == cluster);
            let Some(provider) = provider.filter(is_here) else {
                return Err(Refusal::client(format!(
                    "The specified capacity provider '{name}' was not found. Specify a valid name or ARN and try again."
                )));
            };
            if provider.status != "ACTIVE" {
                return Err(Refusal::client(format!(
                    "The specified capacity provider '{name}' is not in an ACTIVE state. Specify a valid capacity provider and try again."
                )));
            }
            if provider.is_managed() && listed.contains(name) {
                return Err(Refusal::client(format!(
                    "The Managed Instances capacity provider '{name}' cannot be associated."
                )));
            }
            if !provider.is_managed() && !listed.contains(name) {
                return Err(Refusal::parameter(format!(
                    "The capacity provider '{name}' of the strategy is not associated with the cluster."
                )));
            }
        }
        Ok(())
    }
}
