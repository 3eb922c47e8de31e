//! The load of a measurement: many pairs of a task definition and a service in one cluster, and an
//! operator that cares for them.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ecs_operator_crds::v1beta1::{EcsCluster, EcsService, EcsTaskDefinition};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::PATIENCE;
use crate::aws_proxy::Counts;
use crate::faults::Faults;
use crate::wait;
use crate::world::{Scenario, World, ready};

/// How many objects are applied side by side.
const SIDE_BY_SIDE: usize = 32;

/// Name of the cluster.
const CLUSTER: &str = "bench";

/// How long the operator polls a service after its rollout as often as during it.
const SETTLING: SignedDuration = SignedDuration::from_secs(120);

/// The objects that there are, by kind and name; of those that are Ready the revision, or nothing
/// where they have none.
type Objects = Arc<Mutex<HashMap<String, Option<String>>>>;

/// Pairs in a namespace and the operator that cares for them.
pub(super) struct Load<'a> {
    scenario: Scenario<'a>,
    objects: Objects,
    watches: Vec<JoinHandle<()>>,
}

impl Drop for Load<'_> {
    fn drop(&mut self) {
        self.watches.iter().for_each(JoinHandle::abort);
    }
}

impl<'a> Load<'a> {
    /// An operator as users have it, with `flags` and `faults`, for one namespace in which there is
    /// a cluster.
    pub(super) async fn start(
        world: &'a World,
        name: &str,
        flags: &[&str],
        faults: Faults,
    ) -> Result<Self> {
        let scenario = world.scenario_without_operator(name).await?;
        let own = format!("--watch-namespaces={}", scenario.namespace);
        Self::with(scenario, &[flags, &[&own]].concat(), faults).await
    }

    /// The same for all namespaces.
    pub(super) async fn start_everywhere(
        world: &'a World,
        name: &str,
        flags: &[&str],
        faults: Faults,
    ) -> Result<Self> {
        Self::with(world.scenario_without_operator(name).await?, flags, faults).await
    }

    async fn with(mut scenario: Scenario<'a>, flags: &[&str], faults: Faults) -> Result<Self> {
        scenario.options.flags = flags.iter().copied().map(str::to_owned).collect();
        scenario.recorder.stop();
        scenario.aws_proxy.faults.set(faults);
        let objects = Objects::default();
        let watches = vec![
            watch::<EcsCluster>(&scenario, &objects),
            watch::<EcsTaskDefinition>(&scenario, &objects),
            watch::<EcsService>(&scenario, &objects),
        ];
        scenario.start_operator()?;
        scenario.operator()?.ready().await?;
        let load = Self {
            scenario,
            objects,
            watches,
        };
        load.put::<EcsCluster>(&load.scenario.namespace, CLUSTER, json!({}))
            .await?;
        load.until_ready(1).await?;
        Ok(load)
    }

    pub(super) fn namespace(&self) -> &str {
        &self.scenario.namespace
    }

    pub(super) fn client(&self) -> Client {
        self.scenario.client.clone()
    }

    pub(super) fn counts(&self) -> Counts {
        self.scenario.aws_proxy.counts()
    }

    pub(super) fn calls(&self, operation: &str) -> usize {
        self.counts().of(operation)
    }

    fn api<K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>>(
        &self,
        namespace: &str,
    ) -> Api<K> {
        Api::namespaced(self.client(), namespace)
    }

    async fn put<K>(&self, namespace: &str, name: &str, spec: Value) -> Result<()>
    where
        K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let object = json!({"apiVersion": K::api_version(&()), "kind": K::kind(&()), "metadata": {"name": name}, "spec": spec});
        let params = PatchParams::apply("bench").force();
        self.api::<K>(namespace)
            .patch(name, &params, &Patch::Apply(&object))
            .await?;
        Ok(())
    }

    async fn put_pair(&self, namespace: &str, name: &str, image: &str) -> Result<()> {
        let container = json!({"name": "app", "image": image, "memory": 128, "essential": true,
            "environment": [{"name": "LOG_LEVEL", "value": "info"}, {"name": "PORT", "value": "8080"}]});
        self.put::<EcsTaskDefinition>(
            namespace,
            name,
            json!({"family": name, "containerDefinitions": [container]}),
        )
        .await?;
        self.put_service(namespace, name, name).await
    }

    async fn put_service(&self, namespace: &str, name: &str, task_definition: &str) -> Result<()> {
        let spec = json!({"clusterRef": {"name": CLUSTER}, "taskDefinitionRef": {"name": task_definition}, "desiredCount": 1});
        self.put::<EcsService>(namespace, name, spec).await
    }

    /// Applies pairs of these numbers.
    pub(super) async fn apply(&self, numbers: Range<usize>, image: &str) -> Result<()> {
        let pairs = numbers.map(|number| async move {
            self.put_pair(self.namespace(), &format!("app-{number}"), image)
                .await
        });
        stream::iter(pairs)
            .buffer_unordered(SIDE_BY_SIDE)
            .try_collect()
            .await
    }

    /// Applies many services of one task definition.
    pub(super) async fn crowd(&self, size: usize) -> Result<()> {
        let services = (0..size).map(|number| async move {
            self.put_service(self.namespace(), &format!("one-{number}"), "app-0")
                .await
        });
        stream::iter(services)
            .buffer_unordered(SIDE_BY_SIDE)
            .try_collect()
            .await
    }

    /// Applies many services in clusters of their own.
    pub(super) async fn scattered(&self, size: usize) -> Result<()> {
        let services = (0..size).map(|number| async move {
            let spec = json!({"cluster": format!("own-{number}"), "taskDefinition": "app-0:1", "desiredCount": 1});
            self.put::<EcsService>(self.namespace(), &format!("own-{number}"), spec).await
        });
        stream::iter(services)
            .buffer_unordered(SIDE_BY_SIDE)
            .try_collect()
            .await
    }

    /// Applies a service with this many tasks to another namespace and awaits that ECS has it.
    pub(super) async fn alone(&self, namespace: &str, count: u8) -> Result<()> {
        let spec = json!({"cluster": CLUSTER, "taskDefinition": "app-0:1", "serviceName": "alone", "desiredCount": count});
        self.put::<EcsService>(namespace, "alone", spec).await?;
        wait::until("the service of another namespace", PATIENCE, async || {
            let made = self.scenario.aws_proxy.calls();
            let made = made.iter().any(|call| {
                let name = match &*call.operation {
                    "CreateService" => &call.request["serviceName"],
                    "UpdateService" => &call.request["service"],
                    _ => return false,
                };
                name == "alone" && call.request["desiredCount"] == count && call.status == 200
            });
            ensure!(made, "ECS does not have it yet");
            Ok(())
        })
        .await
    }

    /// Awaits that this many objects are Ready.
    pub(super) async fn until_ready(&self, count: usize) -> Result<()> {
        wait::until("Ready", PATIENCE, async || {
            let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
            let ready = objects.values().flatten().count();
            ensure!(ready >= count, "{ready} of {count}");
            Ok(())
        })
        .await
    }

    /// Awaits that the cluster tells of this many services: it is looked at once a minute.
    pub(super) async fn until_counted(&self, services: usize) -> Result<()> {
        let clusters = self.api::<EcsCluster>(self.namespace());
        wait::until("the counts of the cluster", PATIENCE, async || {
            let counted = clusters
                .get(CLUSTER)
                .await?
                .status
                .and_then(|status| status.active_services_count);
            ensure!(
                counted.is_some_and(|counted| usize::try_from(counted) == Ok(services)),
                "{counted:?}"
            );
            Ok(())
        })
        .await
    }

    /// Awaits that the cluster shows this many running tasks.
    pub(super) async fn until_running(&self, tasks: usize) -> Result<()> {
        let clusters = self.api::<EcsCluster>(self.namespace());
        wait::until("the running tasks of the cluster", PATIENCE, async || {
            let running = clusters
                .get(CLUSTER)
                .await?
                .status
                .and_then(|status| status.running_tasks_count);
            ensure!(
                running.is_some_and(|running| usize::try_from(running) == Ok(tasks)),
                "{running:?}"
            );
            Ok(())
        })
        .await
    }

    /// Awaits that the last rollout ended so long ago that its service is no longer polled as often
    /// as during a rollout.
    pub(super) async fn until_settled(&self) -> Result<()> {
        let services = self.api::<EcsService>(self.namespace());
        let ends = services
            .list(&ListParams::default())
            .await?
            .items
            .into_iter();
        let ends = ends.filter_map(|service| service.status?.rollout?.finished_at);
        let last = ends
            .map(|end| end.0)
            .max()
            .context("no rollout has ended")?;
        wait::until("the end of frequent polls", PATIENCE, async || {
            let ago = Timestamp::now().duration_since(last);
            ensure!(ago > SETTLING, "the last rollout ended {ago:#} ago");
            Ok(())
        })
        .await
    }

    /// Awaits that the service of a revision's family is Ready with that revision.
    pub(super) async fn until_revision(&self, revision: &str) -> Result<()> {
        let service = format!(
            "EcsService/{}",
            revision.split(':').next().unwrap_or_default()
        );
        wait::until(revision, PATIENCE, async || {
            let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
            let runs = objects.get(&service).cloned().flatten();
            ensure!(runs.as_deref() == Some(revision), "{runs:?}");
            Ok(())
        })
        .await
    }

    /// Awaits that a new process has looked at this many objects.
    pub(super) async fn until_looked_at(&mut self, count: usize) -> Result<()> {
        let operator = self.scenario.operator()?;
        operator.ready().await?;
        wait::until("a look at all", PATIENCE, async || {
            let metrics = operator.get("/metrics").await?;
            let passes = metrics
                .lines()
                .filter(|line| line.starts_with("ecs_operator_reconciles_total"));
            let seen: usize = passes
                .filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok())
                .sum();
            ensure!(seen >= count, "{seen} of {count}");
            Ok(())
        })
        .await
    }

    /// Kills the operator.
    pub(super) async fn kill(&mut self) -> Result<()> {
        self.scenario.operator()?.process.kill().await
    }

    /// Starts it again.
    pub(super) fn start_operator(&mut self) -> Result<()> {
        self.scenario.start_operator()
    }

    /// Changes the number of tasks as an outsider.
    pub(super) async fn scale_in_aws(&self, service: &str, count: i32) -> Result<()> {
        self.scenario
            .outsider
            .update_service()
            .cluster(CLUSTER)
            .service(service)
            .desired_count(count)
            .send()
            .await?;
        Ok(())
    }

    /// Awaits that the operator has set the number of tasks back.
    pub(super) async fn until_repaired(&self, service: &str, count: i32) -> Result<()> {
        self.scenario
            .until_desired_count(CLUSTER, service, count, PATIENCE)
            .await
    }

    /// Deletes the cluster, with all that is in it, as an outsider who has more rights than ECS
    /// grants.
    pub(super) async fn delete_cluster_in_aws(&self) -> Result<()> {
        self.scenario
            .outsider
            .delete_cluster()
            .cluster(CLUSTER)
            .send()
            .await
            .map(drop)
            .context("the server does not let it go")
    }

    /// Deletes all objects in the order in which `kubectl delete -f` meets them in a file, what
    /// others need first, and awaits that they are gone. Returns how long after the last service
    /// the last object went.
    pub(super) async fn delete(&self) -> Result<Duration> {
        let namespace = self.namespace();
        let (params, all) = (DeleteParams::background(), ListParams::default());
        self.api::<EcsCluster>(namespace)
            .delete_collection(&params, &all)
            .await?;
        self.api::<EcsTaskDefinition>(namespace)
            .delete_collection(&params, &all)
            .await?;
        self.api::<EcsService>(namespace)
            .delete_collection(&params, &all)
            .await?;
        self.until_gone("EcsService/").await?;
        let services_gone = Instant::now();
        self.until_gone("").await?;
        Ok(services_gone.elapsed())
    }

    /// Awaits that there is no object whose kind and name begin so.
    async fn until_gone(&self, prefix: &str) -> Result<()> {
        wait::until("deletion", PATIENCE, async || {
            let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
            let left = objects.keys().filter(|key| key.starts_with(prefix)).count();
            ensure!(left == 0, "{left} are left");
            Ok(())
        })
        .await
    }

    /// CPU time that the operator has used, in seconds.
    pub(super) fn cpu_seconds(&mut self) -> Result<f64> {
        self.scenario.operator()?.cpu_seconds()
    }

    /// The most memory that the operator has had, in MiB.
    pub(super) fn peak_mib(&mut self) -> Result<f64> {
        Ok(super::fixed(usize::try_from(self.scenario.operator()?.peak_kib()?)?) / 1024.0)
    }

    /// Ends the operator. What is left goes with the world.
    pub(super) async fn end(mut self) -> Result<()> {
        self.scenario.operator()?.process.stop().await.map(drop)
    }
}

/// Keeps `objects` true to what the API server says of the objects of a kind.
fn watch<K>(scenario: &Scenario<'_>, objects: &Objects) -> JoinHandle<()>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + serde::Serialize
        + std::fmt::Debug
        + Send
        + Sync
        + 'static,
{
    let api = Api::<K>::namespaced(scenario.client.clone(), &scenario.namespace);
    let objects = Arc::clone(objects);
    tokio::spawn(async move {
        let mut events = std::pin::pin!(watcher(api, watcher::Config::default()));
        while let Some(event) = events.next().await {
            let mut objects = objects.lock().unwrap_or_else(PoisonError::into_inner);
            let key = |object: &K| format!("{}/{}", K::kind(&()), object.name_any());
            match event {
                Ok(Event::Apply(object) | Event::InitApply(object)) => {
                    objects.insert(key(&object), revision_if_ready(&object));
                }
                Ok(Event::Delete(object)) => {
                    objects.remove(&key(&object));
                }
                _ => {}
            }
        }
    })
}

fn revision_if_ready(object: &(impl ResourceExt + serde::Serialize)) -> Option<String> {
    let generation = object.meta().generation;
    let object = serde_json::to_value(object).unwrap_or_default();
    let current = object["status"]["observedGeneration"].as_i64() == generation;
    let is_ready = current && ready(&object).is_some_and(|ready| ready["status"] == "True");
    is_ready.then(|| {
        object["status"]["revision"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    })
}
