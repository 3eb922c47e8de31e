//! One account in one Region: its clusters and task definitions, and the calls that ECS takes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::autoscaling::ScalableTarget;
use super::capacity_providers::Provider;
use super::clock::Moment;
use super::clusters::Cluster;
use super::quotas::Quotas;
use super::refusal::Refusal;
use super::task_definitions::Family;
use super::validation;

/// The state of ECS in one account and Region.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Account and Region, as in ARNs: `eu-central-1:111122223333`.
    pub(super) place: String,
    pub(super) clusters: BTreeMap<String, Cluster>,
    pub(super) families: BTreeMap<String, Family>,
    pub(super) providers: BTreeMap<String, Provider>,
    /// The services that are scaled, as `service/CLUSTER/NAME`.
    pub(super) targets: BTreeMap<String, ScalableTarget>,
    /// The request quotas; `None` where calls are not counted.
    quotas: Option<Quotas>,
    /// The models of the APIs that requests are checked against: of ECS, and of Application Auto
    /// Scaling.
    models: Option<[Arc<Value>; 2]>,
    /// The most tasks that RunTask can start at once.
    pub(super) room: Option<usize>,
    /// CloudWatch alarms in state ALARM.
    pub(super) alarms: BTreeSet<String>,
    /// Number of the last ID.
    ids: u64,
    /// Until when the state machines have run.
    advanced: Moment,
}

/// How often the state machines look at their deadlines.
const STEP: Duration = Duration::from_secs(1);

impl Account {
    /// An account without objects.
    #[must_use]
    pub fn new(account: &str, region: &str, now: Moment) -> Self {
        Self {
            place: format!("{region}:{account}"),
            advanced: now,
            ..Self::default()
        }
    }

    /// The account with the request quotas that AWS publishes.
    #[must_use]
    pub fn with_quotas(mut self) -> Self {
        self.quotas = Some(Quotas::default());
        self
    }

    /// The account, which checks requests against the models of the APIs of ECS and Application
    /// Auto Scaling, as botocore ships them.
    #[must_use]
    pub fn with_models(mut self, models: [Arc<Value>; 2]) -> Self {
        self.models = Some(models);
        self
    }

    /// Carries out one call at this time.
    ///
    /// # Errors
    /// As ECS refuses the call.
    pub fn call(
        &mut self,
        operation: &str,
        request: &Value,
        now: Moment,
    ) -> Result<Value, Refusal> {
        self.advance(now);
        if let Some(quotas) = &mut self.quotas {
            quotas.take(operation, now)?;
        }
        let is_of_autoscaling = Self::is_of_autoscaling(operation, request);
        if let Some([ecs, autoscaling]) = &self.models {
            let model = if is_of_autoscaling { autoscaling } else { ecs };
            validation::check(model, operation, request).map_err(|refusal| match refusal.code {
                "InvalidParameterException" if is_of_autoscaling => {
                    Refusal::new("ValidationException", refusal.message)
                }
                _ => refusal,
            })?;
        }
        if is_of_autoscaling {
            return self.call_autoscaling(operation, request, now);
        }
        match operation {
            "CreateCluster" => self.create_cluster(request),
            "DescribeClusters" => Ok(self.describe_clusters(request)),
            "UpdateCluster" => self.update_cluster(request),
            "PutClusterCapacityProviders" => self.put_capacity_providers(request, now),
            "DeleteCluster" => self.delete_cluster(request),
            "ListClusters" => Ok(self.list_clusters()),
            "DescribeCapacityProviders" => Ok(self.describe_capacity_providers(request)),
            "CreateCapacityProvider" => self.create_capacity_provider(request, now),
            "UpdateCapacityProvider" => self.update_capacity_provider(request, now),
            "DeleteCapacityProvider" => self.delete_capacity_provider(request, now),
            "RegisterTaskDefinition" => self.register(request, now),
            "DescribeTaskDefinition" => self.describe_task_definition(request),
            "ListTaskDefinitions" => Ok(self.list_task_definitions(request)),
            "ListTaskDefinitionFamilies" => Ok(self.list_families(request)),
            "DeregisterTaskDefinition" => self.deregister(request),
            "DeleteTaskDefinitions" => Ok(self.delete_task_definitions(request)),
            "CreateService" => self.create_service(request, now),
            "UpdateService" => self.update_service(request, now),
            "DeleteService" => self.delete_service(request, now),
            "DescribeServices" => self.describe_services(request),
            "ListServices" => self.list_services(request),
            "DescribeServiceDeployments" => Ok(self.describe_service_deployments(request)),
            "DescribeServiceRevisions" => Ok(self.describe_service_revisions(request)),
            "ContinueServiceDeployment" => self.continue_service_deployment(request),
            "StopServiceDeployment" => self.stop_service_deployment(request),
            "RunTask" => self.run_task(request, now),
            "StopTask" => self.stop_task(request, now),
            "ListTasks" => self.list_tasks(request),
            "DescribeTasks" => self.describe_tasks(request),
            "TagResource" => self.tag(request, false),
            "UntagResource" => self.tag(request, true),
            other => Err(Refusal::new(
                "UnknownOperationException",
                format!("the simulator has no {other}"),
            )),
        }
    }

    /// Sets the CloudWatch alarms that are in state ALARM.
    pub fn set_alarms(&mut self, alarms: impl IntoIterator<Item = String>) {
        self.alarms = alarms.into_iter().collect();
    }

    /// Runs the state machines until this time.
    pub fn advance(&mut self, now: Moment) {
        while self.advanced + STEP <= now {
            self.advanced = self.advanced + STEP;
            let (moment, mut clusters) = (self.advanced, std::mem::take(&mut self.clusters));
            for cluster in clusters.values_mut() {
                cluster.advance(moment);
                for service in cluster.services.values_mut() {
                    service.advance(self, moment);
                }
            }
            self.clusters = clusters;
            for provider in self.providers.values_mut() {
                provider.advance(moment);
            }
            self.advance_targets(moment);
        }
    }

    /// Until when the state machines have run.
    pub(super) fn now(&self) -> Moment {
        self.advanced
    }

    /// An ARN of this account: `arn:aws:ecs:REGION:ACCOUNT:resource`.
    pub(super) fn arn(&self, resource: &str) -> String {
        format!("arn:aws:ecs:{}:{resource}", self.place)
    }

    /// An ID as ECS gives to tasks and deployments: 32 hexadecimal digits.
    pub(super) fn id(&mut self) -> String {
        self.ids += 1;
        format!("{:032x}", self.ids)
    }

    fn tag(&mut self, request: &Value, removes: bool) -> Result<Value, Refusal> {
        let arn = request["resourceArn"].as_str().unwrap_or_default();
        let (kind, rest) = resource(arn).split_once('/').unwrap_or_default();
        let tags = match kind {
            "cluster" => self.clusters.get_mut(rest).map(|cluster| &mut cluster.tags),
            "task-definition" => self.revision_mut(rest).map(|revision| &mut revision.tags),
            "capacity-provider" => self
                .providers
                .get_mut(rest)
                .map(|provider| &mut provider.tags),
            "service" => {
                let (cluster, name) = rest.split_once('/').unwrap_or_default();
                let cluster = self.clusters.get_mut(cluster);
                let service = cluster.and_then(|cluster| cluster.services.get_mut(name));
                service.map(|service| &mut service.tags)
            }
            _ => None,
        };
        let Some(tags) = tags else {
            return Err(Refusal::parameter(format!(
                "The specified resource {arn} was not found."
            )));
        };
        if removes {
            tags.remove(request);
        } else {
            tags.add(request);
        }
        Ok(json!({}))
    }
}

/// What stands behind the account in an ARN, such as `cluster/shop` or `task-definition/web:1`.
pub(super) fn resource(arn: &str) -> &str {
    // A revision has a colon of its own.
    arn.splitn(6, ':').nth(5).unwrap_or(arn)
}

/// The name in an ARN, or the name itself.
pub(super) fn name_in(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}
