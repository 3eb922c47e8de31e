//! What is under `gitops/`: the actions of Argo CD, kustomize, and guard rails. Its health checks
//! are judged in every scenario, over all that its objects ever said.

use std::fs;

use anyhow::{Context, Result, ensure};
use e2e::assets;
use e2e::recorder::{GitOps, judge_gitops};
use e2e::samples::{self, SAMPLES};
use e2e::world::{Scenario, World, condition};
use serde_json::json;

use crate::basics::{OBJECTS, SERVICE};

/// What Argo CD makes of the service as it is.
fn judged(scenario: &Scenario<'_>) -> Result<GitOps> {
    let found = judge_gitops(&scenario.world.judges()?.gitops, &[scenario.get(SERVICE)?])?;
    found.into_iter().next().context("a judgement")
}

/// Carries out an action, as Argo CD does: by what it makes of the object.
fn act(scenario: &Scenario<'_>, action: &str) -> Result<()> {
    let GitOps {
        actions, mut after, ..
    } = judged(scenario)?;
    let changed = after
        .remove(action)
        .with_context(|| format!("{action} is not offered: {actions:?}"))?;
    scenario
        .kubectl
        .pipe(&changed.to_string(), &["replace", "-f", "-"])
        .map(drop)
}

pub(crate) async fn the_actions_of_argo_cd_do_what_they_say(world: &World) -> Result<()> {
    let scenario = world.scenario("argo").await?;
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;
    let offered = |expected: &[&str]| {
        let mut actions = judged(&scenario)?.actions.unwrap_or_default();
        actions.sort();
        ensure!(actions == expected, "{actions:?}, not {expected:?}");
        Ok(())
    };
    offered(&["refresh", "restart", "suspend"])?;

    act(&scenario, "refresh")?;
    scenario
        .until(SERVICE, |service| {
            !service["status"]["lastHandledReconcileAt"].is_null()
        })
        .await?;
    act(&scenario, "suspend")?;
    scenario
        .until(SERVICE, |service| condition(service, "Suspended").is_some())
        .await?;
    ensure!(judged(&scenario)?.argo == "Suspended");
    offered(&["refresh", "restart", "resume"])?;
    act(&scenario, "resume")?;
    scenario
        .until(SERVICE, |service| condition(service, "Suspended").is_none())
        .await?;
    let before = scenario.aws_proxy.counts().of("UpdateService");
    act(&scenario, "restart")?;
    scenario
        .until(SERVICE, |service| {
            !service["status"]["handledCommands"].is_null()
        })
        .await?;
    ensure!(
        scenario.aws_proxy.counts().of("UpdateService") == before + 1,
        "{:?}",
        scenario.aws_proxy.counts()
    );

    scenario
        .kubectl
        .apply(&samples::TASK_DEFINITION.replace("nginx:1.29", "nginx:2"))?;
    scenario
        .until(SERVICE, |service| service["status"]["revision"] == "web:2")
        .await?;
    scenario.wait_ready(&OBJECTS)?;
    offered(&["refresh", "restart", "rollback", "suspend"])?;
    act(&scenario, "rollback")?;
    scenario
        .until_ready_is(SERVICE, "False", "RolledBackOnCommand")
        .await?;
    ensure!(scenario.get(SERVICE)?["status"]["revision"] == "web:1");
    scenario.end().await
}

/// No server here pauses a deployment, so what is offered then is looked at on an object that says
/// so.
pub(crate) async fn a_deployment_that_waits_can_go_on_or_stop_by_action(
    world: &World,
) -> Result<()> {
    let service = |phase: &str| {
        json!({"apiVersion": "ecs-operator.dev/v1beta1", "kind": "EcsService", "metadata": {"name": "web", "generation": 1}, "spec": {},
            "status": {"observedGeneration": 1, "rollout": {"revision": "web:2", "phase": phase}}})
    };
    let rows = [
        ("AwaitingApproval", true, true),
        ("InProgress", false, true),
        ("Succeeded", false, false),
    ];
    for (phase, goes_on, stops) in rows {
        let judged = judge_gitops(&world.judges()?.gitops, &[service(phase)])?.remove(0);
        let annotation = |action: &str, name: &str| {
            let after = judged
                .after
                .get(action)
                .map(|after| &after["metadata"]["annotations"]);
            after.is_some_and(|annotations| {
                annotations[format!("ecs-operator.dev/{name}")].is_string()
            })
        };
        ensure!(
            annotation("continue", "continueAt") == goes_on,
            "{phase}: {judged:?}"
        );
        ensure!(annotation("stop", "stopAt") == stops, "{phase}: {judged:?}");
    }
    Ok(())
}

pub(crate) async fn kustomize_reaches_images_counts_and_references(world: &World) -> Result<()> {
    let dir = world.dir.join("kustomize");
    fs::create_dir_all(&dir)?;
    for (name, text) in [
        ("cluster.yaml", samples::CLUSTER),
        ("definition.yaml", samples::TASK_DEFINITION),
        ("service.yaml", samples::SERVICE),
    ] {
        fs::write(dir.join(name), text)?;
    }
    for file in ["ecs-operator.yaml", "ecs-operator-openapi.json"] {
        fs::copy(
            assets::root().join("gitops/kustomize").join(file),
            dir.join(file),
        )?;
    }
    // One variable of one of two containers.
    let patch = json!({"apiVersion": "ecs-operator.dev/v1beta1", "kind": "EcsTaskDefinition", "metadata": {"name": "web"},
        "spec": {"containerDefinitions": [{"name": "web", "environment": [{"name": "STAGE", "value": "eu"}]}]}});
    fs::write(dir.join("patch.yaml"), patch.to_string())?;
    fs::write(
        dir.join("kustomization.yaml"),
        "resources: [cluster.yaml, definition.yaml, service.yaml]\nconfigurations: [ecs-operator.yaml]\nnamePrefix: eu-\n\
         openapi: {path: ecs-operator-openapi.json}\npatches: [{path: patch.yaml}]\n\
         images: [{name: public.ecr.aws/nginx/nginx, newTag: \"1.31\"}]\nreplicas: [{name: web, count: 5}]\n",
    )?;
    let scenario = world.scenario("kustomize").await?;
    let manifests = scenario
        .kubectl
        .run(&["kustomize", &dir.display().to_string()])?;
    scenario.kubectl.apply(&manifests)?;
    let objects = [
        "ecscluster/eu-shop",
        "ecstaskdefinition/eu-web",
        "ecsservice/eu-web",
    ];
    scenario.wait_ready(&objects)?;
    let (definition, service) = (scenario.get(objects[1])?, scenario.get(objects[2])?);
    let containers = definition["spec"]["containerDefinitions"]
        .as_array()
        .context("containers")?;
    ensure!(
        containers.len() == 2 && containers[0]["image"] == "public.ecr.aws/nginx/nginx:1.31",
        "{definition}"
    );
    let environment =
        json!([{"name": "STAGE", "value": "eu"}, {"name": "LOG_LEVEL", "value": "info"}]);
    ensure!(
        containers[0]["environment"] == environment && containers[0]["secrets"].is_array(),
        "it is merged: {definition}"
    );
    ensure!(service["spec"]["desiredCount"] == 5, "{service}");
    ensure!(
        service["spec"]["clusterRef"]["name"] == "eu-shop"
            && service["spec"]["taskDefinitionRef"]["name"] == "eu-web"
    );
    scenario.end().await
}
