//! Trouble with every call: at a boundary of a call to AWS or to the API server the operator is
//! killed and started again, or the call is refused, or its reply is lost; and in the end the world
//! is as if nothing had happened.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use aws_sdk_ecs::types::{DeploymentConfiguration, Service, TaskDefinitionStatus};
use ecs_operator_crds::v1beta1::{EcsCluster, EcsService, EcsTaskDefinition};
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, ListParams};
use serde_json::{Value, json};

use crate::aws_proxy::is_write;
use crate::gate::{Boundary, Trouble};
use crate::kube_proxy::KubeProxy;
use crate::operator::Operator;
use crate::samples::{self, SAMPLES};
use crate::world::{PATIENCE, Scenario, World, is_ready, ready};
use crate::{aws_server, wait};

/// What users do while the operator crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Apply the samples.
    Create,
    /// … and a new image.
    Image,
    /// … and another number of tasks.
    Scale,
    /// … and other settings and tags of cluster and service.
    Settings,
    /// … and restart the service.
    Restart,
    /// … and a new image, and go back by command.
    Rollback,
    /// Take over what somebody else made.
    Adopt,
    /// Apply the samples, and delete all at once, the cluster first.
    Delete,
    /// … the task definition first.
    DeleteDefinitionFirst,
    /// … the service first.
    DeleteServiceFirst,
    /// Three images, of which only the last revision is to stay.
    Revisions,
    /// … and an image whose tasks fail, so that ECS goes back.
    FailedRollout,
}

impl Workload {
    /// All of them; the first is the beginning of most others.
    pub const ALL: [Self; 12] = [
        Self::Create,
        Self::Image,
        Self::Scale,
        Self::Settings,
        Self::Restart,
        Self::Rollback,
        Self::Adopt,
        Self::Delete,
        Self::DeleteDefinitionFirst,
        Self::DeleteServiceFirst,
        Self::Revisions,
        Self::FailedRollout,
    ];

    /// The order in which a file names what is to be deleted; `None` where nothing is.
    fn deletes(self) -> Option<[&'static str; 3]> {
        let (cluster, definition, service) =
            (samples::CLUSTER, samples::TASK_DEFINITION, samples::SERVICE);
        match self {
            Self::Delete => Some([cluster, definition, service]),
            Self::DeleteDefinitionFirst => Some([definition, cluster, service]),
            Self::DeleteServiceFirst => Some([service, definition, cluster]),
            _ => None,
        }
    }

    async fn prepare(self, scenario: &Scenario<'_>) -> Result<()> {
        if self != Self::Adopt {
            return Ok(());
        }
        let [mut cluster, mut definition, mut service] = specs()?;
        cluster["clusterName"] = json!("shop");
        definition["family"] = json!("web");
        for (member, value) in [
            ("cluster", "shop"),
            ("serviceName", "web"),
            ("taskDefinition", "web:1"),
        ] {
            service[member] = json!(value);
        }
        for (operation, document) in [
            ("CreateCluster", cluster),
            ("RegisterTaskDefinition", definition),
            ("CreateService", service),
        ] {
            let target = format!("AmazonEC2ContainerServiceV20141113.{operation}");
            aws_server::send(
                &scenario.world.aws.url,
                &scenario.account,
                "ecs",
                &target,
                &document,
            )
            .await?;
        }
        Ok(())
    }

    /// Applies what the workload begins with, and carries it out.
    async fn carry_out(self, scenario: &Scenario<'_>) -> Result<()> {
        match self {
            Self::Adopt => {
                let adopting = "\nspec:\n  adoptionPolicy: IfUnowned\n";
                scenario
                    .kubectl
                    .apply(&SAMPLES.replace("\nspec:\n", adopting))?;
            }
            Self::Revisions => return self.limit_revisions(scenario).await,
            Self::FailedRollout => {
                scenario.kubectl.apply(&samples::plain("web:1"))?;
            }
            _ => {
                scenario.kubectl.apply(SAMPLES)?;
            }
        }
        until_ready(scenario).await?;
        self.change(scenario).await
    }

    /// Changes the objects that run, and awaits the end.
    async fn change(self, scenario: &Scenario<'_>) -> Result<()> {
        match self {
            Self::Create | Self::Adopt | Self::Revisions => {}
            Self::Image => {
                scenario.kubectl.apply(&with_image("nginx:2"))?;
                until_revision(scenario, "web:2").await?;
            }
            Self::Scale => {
                scenario
                    .kubectl
                    .run(&["scale", "ecsservice/web", "--replicas=4"])?;
                let runs = |service: &Value| service["status"]["runningCount"] == 4;
                until(scenario, "ecsservice", runs).await?;
            }
            Self::Settings => {
                let changed = SAMPLES
                    .replace("value: enabled", "value: disabled")
                    .replace("value: checkout", "value: shop")
                    .replace("maximumPercent: 200", "maximumPercent: 150");
                scenario.kubectl.apply(&changed)?;
            }
            Self::Restart => restart(scenario).await?,
            Self::Rollback => {
                scenario.kubectl.apply(&with_image("nginx:2"))?;
                until_revision(scenario, "web:2").await?;
                annotate(scenario, "ecs-operator.dev/rollbackTo=web:1")?;
                return until_reason(scenario, "RolledBackOnCommand").await;
            }
            Self::Delete | Self::DeleteDefinitionFirst | Self::DeleteServiceFirst => {
                let objects = self.deletes().unwrap_or_default().join("---\n");
                scenario.kubectl.delete(&objects)?;
                return until_empty(scenario).await;
            }
            Self::FailedRollout => {
                scenario.kubectl.apply(&samples::plain("crash:2"))?;
                until_reason(scenario, "DeploymentRolledBack").await?;
                let runs = |service: &Value| {
                    service["status"]["revision"] == "web:1"
                        && service["status"]["runningCount"] == 2
                };
                return until(scenario, "ecsservice", runs).await;
            }
        }
        until_ready(scenario).await
    }

    /// Registers three revisions of a task definition that keeps one.
    async fn limit_revisions(self, scenario: &Scenario<'_>) -> Result<()> {
        let limit =
            "  revisionHistoryLimit: 0\n  deleteRevisions: true\n  requiresCompatibilities:";
        for number in 1..=3 {
            let definition = with_image(&format!("nginx:{number}"));
            scenario
                .kubectl
                .apply(&definition.replace("  requiresCompatibilities:", limit))?;
            let is_registered = |definition: &Value| definition["status"]["revision"] == number;
            until(scenario, "ecstaskdefinition", is_registered).await?;
        }
        annotate_definition(scenario)?;
        let keeps_one = |definition: &Value| definition["status"]["revisions"] == json!([3]);
        until(scenario, "ecstaskdefinition", keeps_one).await
    }

    /// Checks that the world is what it is without crashes.
    async fn judge(self, scenario: &Scenario<'_>) -> Result<()> {
        let aws = &scenario.outsider;
        let deletes = self.deletes().is_some();
        let expected: &[&str] = match self {
            Self::Image | Self::Rollback | Self::FailedRollout => &["web:1", "web:2"],
            Self::Revisions => &["web:3"],
            _ if deletes => &[],
            _ => &["web:1"],
        };
        let active = revisions(aws, TaskDefinitionStatus::Active).await?;
        ensure!(
            active == expected,
            "ACTIVE revisions {active:?}, not {expected:?}"
        );
        let inactive = revisions(aws, TaskDefinitionStatus::Inactive).await?;
        ensure!(
            inactive.len() == usize::from(deletes),
            "INACTIVE revisions {inactive:?}"
        );
        let clusters = aws.list_clusters().send().await?;
        let lives = !deletes && self != Self::Revisions;
        ensure!(
            clusters.cluster_arns().len() == usize::from(lives),
            "{clusters:?}"
        );
        if !lives {
            return Ok(());
        }
        let listed = aws.list_services().cluster("shop").send().await?;
        ensure!(listed.service_arns().len() == 1, "{listed:?}");
        self.judge_service(&aws_server::service(aws, "shop", "web").await?)
    }

    /// Checks that the service is what it is without crashes.
    fn judge_service(self, service: &Service) -> Result<()> {
        let (count, revision) = match self {
            Self::Scale => (4, "web:1"),
            Self::Image => (2, "web:2"),
            _ => (2, "web:1"),
        };
        ensure!(
            (service.desired_count(), service.running_count()) == (count, count),
            "{service:?}"
        );
        let runs = service.task_definition().unwrap_or_default();
        ensure!(runs.ends_with(revision), "{service:?}");
        let tags = service.tags();
        let owners = tags
            .iter()
            .filter(|tag| tag.key() == Some("ecs-operator.dev/owner"));
        ensure!(owners.count() == 1, "{tags:?}");
        if self == Self::Settings {
            let percent = service
                .deployment_configuration()
                .and_then(DeploymentConfiguration::maximum_percent);
            ensure!(percent == Some(150), "{service:?}");
            let is_tagged = tags.iter().any(|tag| tag.value() == Some("shop"));
            ensure!(is_tagged, "{tags:?}");
        }
        Ok(())
    }

    /// How often writes may have been carried out that ECS does not undo: the same as without
    /// crashes.
    fn limits(self) -> &'static [(&'static str, usize)] {
        match self {
            Self::Adopt => &[
                ("CreateCluster", 0),
                ("RegisterTaskDefinition", 0),
                ("CreateService", 0),
                ("UpdateService", 0),
            ],
            Self::Image | Self::Rollback => &[("RegisterTaskDefinition", 2), ("CreateService", 1)],
            Self::FailedRollout => &[
                ("RegisterTaskDefinition", 2),
                ("CreateService", 1),
                ("UpdateService", 1),
            ],
            Self::Revisions => &[("RegisterTaskDefinition", 3)],
            Self::Restart => &[
                ("RegisterTaskDefinition", 1),
                ("CreateService", 1),
                ("UpdateService", 1),
            ],
            _ => &[("RegisterTaskDefinition", 1), ("CreateService", 1)],
        }
    }
}

/// Carries out a workload in a world of its own, with trouble at `boundary`. Answers how many calls
/// of each name were made, and whether the boundary was reached.
///
/// # Errors
/// With what is not as it is without crashes.
pub async fn run(
    world: &World,
    workload: Workload,
    boundary: Option<&Boundary>,
) -> Result<(BTreeMap<String, usize>, bool)> {
    let mut scenario = world.scenario_without_operator("chaos").await?;
    if workload == Workload::FailedRollout {
        scenario
            .use_server(&world.rolling().await?.server.url)
            .await?;
    }
    let gate = scenario.aws_proxy.gate.clone();
    let proxy = KubeProxy::start(
        &scenario.options.kubeconfig,
        gate.clone(),
        &world.dir.join(&scenario.namespace),
    )
    .await?;
    scenario.options.kubeconfig.clone_from(&proxy.kubeconfig);
    workload.prepare(&scenario).await?;
    if let Some(boundary) = boundary {
        gate.arm(boundary.clone());
    }
    let mut operator = scenario.spawn_operator()?;
    let reached = survive(&scenario, workload, &mut operator).await?;
    // What comes later are looks at a world at rest.
    let passed = gate.passed();
    gate.open();
    judge(&scenario, workload).await?;
    if workload == Workload::FailedRollout {
        operator.process.stop().await?;
        // The server looks after every task that runs, and all of them share it.
        scenario
            .outsider
            .delete_service()
            .cluster("shop")
            .service("web")
            .force(true)
            .send()
            .await?;
    } else {
        scenario.operator = Some(operator);
    }
    scenario.end().await?;
    Ok((passed, reached))
}

/// The workload, and the trouble if its boundary is reached meanwhile.
async fn survive(
    scenario: &Scenario<'_>,
    workload: Workload,
    operator: &mut Operator,
) -> Result<bool> {
    let gate = &scenario.aws_proxy.gate;
    let mut work = std::pin::pin!(workload.carry_out(scenario));
    let trouble = tokio::select! {
        result = &mut work => {
            result?;
            return Ok(false);
        }
        trouble = gate.reached() => trouble,
    };
    if matches!(trouble, Trouble::FrozenBefore | Trouble::FrozenAfter) {
        operator.process.kill().await?;
        *operator = scenario.spawn_operator()?;
    }
    gate.open();
    work.await?;
    Ok(true)
}

async fn judge(scenario: &Scenario<'_>, workload: Workload) -> Result<()> {
    let settled = async || workload.judge(scenario).await;
    // AWS may be ahead of the status by one look, and settings are no part of Ready.
    wait::until("the end state", PATIENCE, settled).await?;
    let counts = scenario.aws_proxy.counts();
    for (operation, most) in workload.limits() {
        ensure!(
            counts.of(operation) <= *most,
            "{operation} was carried out {} times: {counts:?}",
            counts.of(operation)
        );
    }
    if workload.deletes().is_some() || workload == Workload::Revisions {
        return Ok(());
    }
    scenario.is_quiet().await?;
    let calls = scenario.aws_proxy.calls();
    let late: Vec<_> = calls
        .iter()
        .skip(counts.operations.values().map(|count| count.count).sum())
        .collect();
    ensure!(
        late.iter().all(|call| !is_write(&call.operation)),
        "written after all was well: {late:?}"
    );
    Ok(())
}

/// The boundaries that a workload has and the calls of `before` have not: one of each kind of
/// trouble for each call.
#[must_use]
pub fn boundaries(
    calls: &BTreeMap<String, usize>,
    before: &BTreeMap<String, usize>,
) -> Vec<Boundary> {
    let mut boundaries = Vec::new();
    for (call, count) in calls {
        for nth in before.get(call).copied().unwrap_or_default() + 1..=*count {
            boundaries.extend(Trouble::ALL.map(|trouble| Boundary {
                call: call.clone(),
                nth,
                trouble,
            }));
        }
    }
    boundaries
}

fn specs() -> Result<[Value; 3]> {
    let spec = |document: &str| -> Result<Value> {
        Ok(serde_saphyr::from_str::<Value>(document)?["spec"].take())
    };
    Ok([
        spec(samples::CLUSTER)?,
        spec(samples::TASK_DEFINITION)?,
        spec(samples::SERVICE)?,
    ])
}

fn annotate(scenario: &Scenario<'_>, annotation: &str) -> Result<()> {
    scenario
        .kubectl
        .run(&["annotate", "--overwrite", "ecsservice/web", annotation])
        .map(drop)
}

fn annotate_definition(scenario: &Scenario<'_>) -> Result<()> {
    scenario
        .kubectl
        .run(&[
            "annotate",
            "--overwrite",
            "ecstaskdefinition/web",
            "ecs-operator.dev/reconcileAt=now",
        ])
        .map(drop)
}

fn resources() -> [(&'static str, &'static str, ApiResource); 3] {
    [
        ("ecscluster", "shop", ApiResource::erase::<EcsCluster>(&())),
        (
            "ecstaskdefinition",
            "web",
            ApiResource::erase::<EcsTaskDefinition>(&()),
        ),
        ("ecsservice", "web", ApiResource::erase::<EcsService>(&())),
    ]
}

async fn get(scenario: &Scenario<'_>, kind: &str) -> Result<Value> {
    let (_, name, resource) = resources()
        .into_iter()
        .find(|(known, ..)| *known == kind)
        .context("a kind of ours")?;
    let api = Api::<DynamicObject>::namespaced_with(
        scenario.client.clone(),
        &scenario.namespace,
        &resource,
    );
    Ok(serde_json::to_value(api.get(name).await?)?)
}

/// The revisions of the family `web` in this state, as `family:revision`.
async fn revisions(aws: &aws_sdk_ecs::Client, status: TaskDefinitionStatus) -> Result<Vec<String>> {
    let listed = aws
        .list_task_definitions()
        .family_prefix("web")
        .status(status)
        .send()
        .await?;
    let names = listed
        .task_definition_arns()
        .iter()
        .map(|arn| arn.rsplit('/').next().unwrap_or_default().to_owned());
    Ok(names.collect())
}

async fn until(
    scenario: &Scenario<'_>,
    kind: &str,
    condition: impl Fn(&Value) -> bool,
) -> Result<()> {
    wait::until(kind, PATIENCE, async || {
        let object = get(scenario, kind).await?;
        ensure!(condition(&object), "{}", object["status"]);
        Ok(())
    })
    .await
}

/// The task definition of the samples with another image.
fn with_image(image: &str) -> String {
    samples::TASK_DEFINITION.replace("nginx:1.29", image)
}

/// Restarts the service by annotation, in a later second than its rollout began.
async fn restart(scenario: &Scenario<'_>) -> Result<()> {
    let service = get(scenario, "ecsservice").await?;
    let began = &service["status"]["rollout"]["startedAt"];
    let began: Timestamp = began.as_str().context("a time")?.parse()?;
    wait::until("a later second", PATIENCE, async || {
        let is_later = Timestamp::now().as_second() > began.as_second();
        ensure!(is_later, "it is {began}");
        Ok(())
    })
    .await?;
    let at = Timestamp::from_second(Timestamp::now().as_second())?;
    annotate(scenario, &format!("ecs-operator.dev/restartedAt={at}"))?;
    let is_handled = |service: &Value| !service["status"]["handledCommands"].is_null();
    until(scenario, "ecsservice", is_handled).await
}

/// Awaits this reason of the Ready condition of the service.
async fn until_reason(scenario: &Scenario<'_>, reason: &str) -> Result<()> {
    let has_reason =
        |service: &Value| ready(service).is_some_and(|ready| ready["reason"] == reason);
    until(scenario, "ecsservice", has_reason).await
}

async fn until_ready(scenario: &Scenario<'_>) -> Result<()> {
    for (kind, ..) in resources() {
        until(scenario, kind, is_ready).await?;
    }
    Ok(())
}

async fn until_revision(scenario: &Scenario<'_>, revision: &str) -> Result<()> {
    until(scenario, "ecsservice", |service| {
        service["status"]["revision"] == revision
    })
    .await?;
    until_ready(scenario).await
}

async fn until_empty(scenario: &Scenario<'_>) -> Result<()> {
    wait::until("deletion", PATIENCE, async || {
        for (kind, _, resource) in resources() {
            let api = Api::<DynamicObject>::namespaced_with(
                scenario.client.clone(),
                &scenario.namespace,
                &resource,
            );
            let left = api.list(&ListParams::default()).await?.items;
            ensure!(left.is_empty(), "{kind}: {:?}", left[0].data["status"]);
        }
        Ok(())
    })
    .await
}
