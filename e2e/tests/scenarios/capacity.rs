//! Capacity providers with the clusters and services that use them, on the simulator: no emulator
//! has their states, their refusals and Managed Instances. See `second_server` for moto.

use anyhow::{Context, Result, ensure};
use e2e::aws_proxy::Call;
use e2e::aws_server;
use e2e::simulator::Simulator;
use e2e::wait;
use e2e::world::{PATIENCE, Scenario, World, is_ready, ready};
use serde_json::json;

use crate::simulated::{SECOND, has_reason, simulated, until};

/// A provider of an Auto Scaling group, and the cluster that lists it.
const GROUP: &str = include_str!("../../../samples/cases/capacity-provider-ec2.yaml");

/// A cluster, and a Managed Instances provider in its default strategy.
const INSTANCES: &str = include_str!("../../../samples/cases/managed-instances-gpu.yaml");

/// The task definition of the services.
const DEFINITION: &str = "apiVersion: ecs-operator.dev/v1beta1\nkind: EcsTaskDefinition\nmetadata: {name: web}\nspec:\n  \
    containerDefinitions: [{name: web, image: nginx, memory: 64}]\n";

/// The objects of both samples.
const OBJECTS: [&str; 4] = [
    "ecscapacityprovider/workers-on-demand",
    "ecscluster/workers",
    "ecscapacityprovider/training-gpu",
    "ecscluster/training",
];

/// Services of both clusters.
const SERVICES: [&str; 2] = ["ecsservice/workers", "ecsservice/training"];

/// A service in a cluster of the samples that uses its provider.
fn service(cluster: &str, provider: &str) -> String {
    format!(
        "apiVersion: ecs-operator.dev/v1beta1\nkind: EcsService\nmetadata: {{name: {cluster}}}\nspec:\n  clusterRef: {{name: {cluster}}}\n  \
         taskDefinitionRef: {{name: web}}\n  desiredCount: 1\n  capacityProviderStrategy: [{{capacityProvider: {provider}, weight: 1}}]\n"
    )
}

/// All manifests, one each.
fn manifests() -> Vec<String> {
    let all = [
        GROUP,
        INSTANCES,
        DEFINITION,
        &service("workers", "workers-on-demand"),
        &service("training", "training-gpu"),
    ]
    .join("\n---\n");
    all.split("\n---\n").map(str::to_owned).collect()
}

/// The kind of a manifest.
fn kind(manifest: &str) -> &str {
    let mut lines = manifest.lines();
    lines
        .find_map(|line| line.strip_prefix("kind: "))
        .unwrap_or_default()
}

async fn until_all_ready(
    both: (&Scenario<'_>, &Simulator),
    objects: impl IntoIterator<Item = &str>,
) -> Result<()> {
    for object in objects {
        until(both, object, SECOND, is_ready).await?;
    }
    Ok(())
}

/// Moves the clock until no object is left.
async fn until_gone((scenario, simulator): (&Scenario<'_>, &Simulator)) -> Result<()> {
    wait::until("the end", PATIENCE, async || {
        simulator.advance(SECOND);
        let left = scenario.kubectl.run(&["get", "ecs", "-o", "name"])?;
        ensure!(left.is_empty(), "{left} is left");
        Ok(())
    })
    .await
}

/// Number of calls of an operation so far.
fn sent(scenario: &Scenario<'_>, operation: &str) -> usize {
    scenario.aws_proxy.counts().of(operation)
}

pub(crate) async fn clusters_get_their_providers_when_these_are_ready(world: &World) -> Result<()> {
    let (scenario, simulator) = simulated(world, "capacity").await?;
    let both = (&scenario, &simulator);
    scenario.kubectl.apply(&manifests().join("\n---\n"))?;
    until_all_ready(both, OBJECTS.into_iter().chain(SERVICES)).await?;
    let provider = scenario.get(OBJECTS[2])?;
    ensure!(
        provider["status"]["cluster"] == "training",
        "{}",
        provider["status"]
    );
    ensure!(sent(&scenario, "PutClusterCapacityProviders") == 2);
    let request = json!({"clusters": ["training"]});
    let described = aws_server::send(
        &simulator.url,
        &scenario.account,
        "ecs",
        "AmazonEC2ContainerServiceV20141113.DescribeClusters",
        &request,
    )
    .await?;
    let cluster = &described["clusters"][0];
    let strategy = &cluster["defaultCapacityProviderStrategy"][0];
    ensure!(strategy["capacityProvider"] == "training-gpu", "{cluster}");
    scenario.is_quiet().await?;

    // A change in place, and another one of an outsider that the spec does not name.
    let changed = GROUP.replace("targetCapacity: 90", "targetCapacity: 80");
    ensure!(changed != GROUP);
    scenario.kubectl.apply(&changed)?;
    until(both, OBJECTS[0], SECOND, |provider| {
        is_ready(provider) && provider["status"]["updateStatus"] == "UPDATE_COMPLETE"
    })
    .await?;
    ensure!(sent(&scenario, "UpdateCapacityProvider") == 1);
    scenario.is_quiet().await?;

    // A provider that is in use stays until its users name it no longer.
    scenario
        .kubectl
        .run(&["delete", OBJECTS[0], "--wait=false"])?;
    let blocked = until(both, OBJECTS[0], SECOND, |provider| {
        has_reason(provider, "DeletionBlocked")
    })
    .await?;
    let message = ready(&blocked).context("a condition")?["message"].to_string();
    ensure!(
        message.contains("EcsCluster workers; EcsService workers"),
        "{message}"
    );
    scenario
        .kubectl
        .run(&["delete", SERVICES[0], "--wait=false"])?;
    let without = "spec: {capacityProviders: [FARGATE]}";
    let cluster = GROUP.split("\n---\n").nth(1).context("a cluster")?;
    let (head, _) = cluster.split_once("spec:").context("a spec")?;
    scenario.kubectl.apply(&format!("{head}{without}\n"))?;
    wait::until("its end", PATIENCE, async || {
        simulator.advance(SECOND);
        let left = scenario.kubectl.run(&["get", "ecscp", "-o", "name"])?;
        ensure!(!left.contains("workers-on-demand"), "{left}");
        Ok(())
    })
    .await?;
    scenario
        .kubectl
        .run(&["delete", "ecs", "--all", "--wait=false"])?;
    until_gone(both).await?;
    scenario.end().await
}

pub(crate) async fn all_go_at_once_in_every_order(world: &World) -> Result<()> {
    let (scenario, simulator) = simulated(world, "capacity-orders").await?;
    let both = (&scenario, &simulator);
    let manifests = manifests();
    let kinds = ["EcsCluster", "EcsCapacityProvider", "EcsService"];
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    for order in orders {
        scenario.kubectl.apply(&manifests.join("\n---\n"))?;
        until_all_ready(both, OBJECTS.into_iter().chain(SERVICES)).await?;
        let of_kind = |kind_: &str| {
            let of_kind = manifests.iter().filter(|manifest| kind(manifest) == kind_);
            of_kind.cloned().collect::<Vec<_>>()
        };
        let mut ordered: Vec<_> = order
            .iter()
            .flat_map(|kind| of_kind(kinds[*kind]))
            .collect();
        ordered.extend(of_kind("EcsTaskDefinition"));
        let file = world.dir.join(&scenario.namespace).join("all.yaml");
        std::fs::write(&file, ordered.join("\n---\n"))?;
        let path = file.to_str().context("a path")?;
        scenario
            .kubectl
            .run(&["delete", "-f", path, "--wait=false"])?;
        until_gone(both)
            .await
            .with_context(|| format!("{order:?}"))?;
    }
    // Each deletion came when ECS could carry it out.
    let calls = scenario.aws_proxy.calls();
    let is_deletion = |call: &&Call| call.operation.starts_with("Delete");
    let refused: Vec<_> = calls
        .iter()
        .filter(|call| call.error.is_some() && is_deletion(call))
        .collect();
    ensure!(refused.is_empty(), "{refused:?}");
    scenario.end().await
}

pub(crate) async fn a_failed_creation_is_reported_and_repeated_for_a_new_spec(
    world: &World,
) -> Result<()> {
    let (scenario, simulator) = simulated(world, "capacity-fails").await?;
    let both = (&scenario, &simulator);
    let broken = INSTANCES.replace("instance-profile/ecs/instance", "instance-profile/no-such");
    ensure!(broken != INSTANCES);
    scenario.kubectl.apply(&broken)?;
    let provider = OBJECTS[2];
    let failed = until(both, provider, SECOND, |provider| {
        has_reason(provider, "ProvisioningFailed")
    })
    .await?;
    let message = ready(&failed).context("a condition")?["message"].to_string();
    ensure!(
        message.contains("CREATE_FAILED: The instance profile does not exist"),
        "{message}"
    );
    let created = || sent(&scenario, "CreateCapacityProvider");
    simulator.advance(3600 * SECOND);
    scenario.looks(4).await?;
    ensure!(created() == 1, "{} creations", created());
    scenario.kubectl.apply(INSTANCES)?;
    until_all_ready(both, [OBJECTS[2], OBJECTS[3]]).await?;
    ensure!(created() == 2, "{} creations", created());
    scenario
        .kubectl
        .run(&["delete", "ecs", "--all", "--wait=false"])?;
    until_gone(both).await?;
    scenario.end().await
}
