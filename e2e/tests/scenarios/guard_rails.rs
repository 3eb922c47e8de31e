//! The guard rails of `gitops/guard-rails`: what they deny, and that they deny nothing else.

use std::fs;

use anyhow::{Context, Result, ensure};
use e2e::kubectl::Kubectl;
use e2e::samples;
use e2e::world::World;
use e2e::{assets, wait};

use crate::basics::{OBJECTS, SERVICE};
use crate::ecr_repository::REPOSITORY;

/// An EcsService without its spec.
const NAMED: &str =
    "apiVersion: ecs-operator.dev/v1beta1\nkind: EcsService\nmetadata:\n  name: web\n";

/// An EcsCapacityProvider.
const CAPACITY_PROVIDER: &str = "apiVersion: ecs-operator.dev/v1beta1\nkind: EcsCapacityProvider\nmetadata: {name: theirs}\nspec: \
    {autoScalingGroupProvider: {autoScalingGroupArn: theirs}, tags: [{key: team}]}\n";

/// An EcsTask that the guard rails admit.
const TASK: &str = "apiVersion: ecs-operator.dev/v1beta1\nkind: EcsTask\nmetadata: {name: once}\nspec:\n  \
    {taskDefinitionRef: {name: web}, launchType: FARGATE, tags: [{key: team}], networkConfiguration: {awsvpcConfiguration: \
    {subnets: [subnet-0a1b2c3d4e5f60718], securityGroups: [sg-1]}}}\n";

/// Applies the guard rails, and has them work in a new namespace in which all resources are
/// allowed.
async fn guarded(world: &World, name: &str) -> Result<(String, Kubectl)> {
    let namespace = world.namespace(name).await?;
    let admin = world.kubectl(None);
    let policies = assets::root().join("gitops/guard-rails/policies.yaml");
    admin.apply(&fs::read_to_string(policies)?)?;
    let label = "ecs-operator.dev/guard-rails=true";
    admin.run(&["label", "namespace", &namespace, label])?;
    let allowed = "ecs-operator.dev/allowed-resources=*";
    admin.run(&["annotate", "namespace", &namespace, allowed])?;
    let kubectl = world.kubectl(Some(&namespace));
    Ok((namespace, kubectl))
}

/// A manifest with more members of its spec.
fn with(text: &str, members: &str) -> String {
    text.replace("\nspec:\n", &format!("\nspec:\n  {members}\n"))
}

/// A manifest whose roles are those of the namespace.
fn with_roles(text: &str, namespace: &str) -> String {
    text.replace(":role/ecs/", &format!(":role/ecs/{namespace}/"))
}

/// The task definition of the samples with the tags that the guard rails ask for.
fn definition() -> String {
    with(samples::TASK_DEFINITION, "tags: [{key: team, value: shop}]")
}

/// The cluster of the samples with a name that the guard rails allow.
fn cluster(namespace: &str) -> String {
    with(samples::CLUSTER, &format!("clusterName: {namespace}-shop"))
}

/// The repository of the sample with a name that the guard rails allow.
fn repository(namespace: &str) -> String {
    REPOSITORY.replace("shop/web", &format!("{namespace}/web"))
}

pub(crate) async fn refuse_with_words(world: &World) -> Result<()> {
    let (namespace, kubectl) = guarded(world, "guarded").await?;
    for (manifest, words) in settings(&namespace).into_iter().chain(passed_roles()) {
        // A policy is at work a moment after it was applied.
        wait::until(words, e2e::world::PATIENCE, async || {
            let refused = dry_run(&kubectl, &manifest).err();
            let refused = refused.context("it was accepted")?.to_string();
            ensure!(refused.contains(words), "{refused}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

fn dry_run(kubectl: &Kubectl, manifest: &str) -> Result<String> {
    kubectl.pipe(
        manifest,
        &["apply", "--server-side", "--dry-run=server", "-f", "-"],
    )
}

/// Manifests with settings that are not for teams, and the message of each.
#[allow(clippy::too_many_lines, reason = "a table")]
fn settings(namespace: &str) -> Vec<(String, &'static str)> {
    let roles = |text: &str| with_roles(text, namespace);
    let (definition, service, cluster) = (definition(), samples::SERVICE, cluster(namespace));
    let repository = repository(namespace);
    vec![
        (REPOSITORY.to_owned(), "repositoryName must begin with"),
        (with(&repository, "adoptionPolicy: IfUnowned"), "adoptionPolicy must be Refuse"),
        (with(&repository, "managementPolicy: Observe"), "managementPolicy must be Full"),
        (CAPACITY_PROVIDER.to_owned(), "EcsCapacityProviders are made by the administrators"),
        (definition.clone(), "must be roles below :role/ecs/"),
        (roles(samples::TASK_DEFINITION), "tags must have the key team"),
        (with(&roles(&definition), "managementPolicy: Observe"), "managementPolicy must be Full"),
        (with(&roles(&definition), "adoptionPolicy: IfUnowned"), "adoptionPolicy must be Refuse"),
        (with(service, "adoptionPolicy: IfUnowned"), "adoptionPolicy must be Refuse"),
        (roles(&definition).replace("[FARGATE]", "[FARGATE, EC2]"), "requiresCompatibilities must be FARGATE alone"),
        (
            roles(&definition).replace("\n  requiresCompatibilities: [FARGATE]", ""),
            "requiresCompatibilities must be FARGATE alone",
        ),
        (service.replace("launchType: FARGATE", "launchType: EC2"), "tasks must run on Fargate"),
        (
            service.replace(
                "launchType: FARGATE",
                "capacityProviderStrategy: [{capacityProvider: FARGATE, weight: 1}, {capacityProvider: ours}]",
            ),
            "tasks must run on Fargate",
        ),
        (TASK.replace("launchType: FARGATE", "launchType: EC2"), "tasks must run on Fargate"),
        (TASK.replace("taskDefinitionRef: {name: web}", "taskDefinition: theirs"), "taskDefinitionRef is needed"),
        (TASK.replace("subnet-0a", "subnet-ff"), "names a subnet that is not for teams"),
        (samples::CLUSTER.to_owned(), "clusterName (or else the name) must begin with"),
        (with(samples::CLUSTER, "clusterName: somebody-elses"), "clusterName (or else the name) must begin with"),
        (with(&cluster, "adoptionPolicy: IfUnowned"), "adoptionPolicy must be Refuse"),
        (roles(&definition).replace("tags: [{key: team, value: shop}]", "tags: null"), "tags must have the key team"),
        (
            format!("{NAMED}spec: {{taskDefinitionRef: null, taskDefinition: \"theirs:7\", tags: [{{key: team}}]}}\n"),
            "taskDefinitionRef is needed",
        ),
        (service.replace("desiredCount: 2", "desiredCount: 21"), "desiredCount is at most 20 here"),
        (service.replace("subnet-0a", "subnet-ff"), "names a subnet that is not for teams"),
        (service.replace("assignPublicIp: DISABLED", "assignPublicIp: ENABLED"), "assignPublicIp must be DISABLED"),
    ]
}

/// Services that pass the role of another team to AWS.
fn passed_roles() -> impl Iterator<Item = (String, &'static str)> {
    let theirs = "roleArn: arn:aws:iam::111122223333:role/ecs/other/admin";
    let hook = format!(
        "targetType: AWS_LAMBDA, hookTargetArn: hook, lifecycleStages: [PRE_SCALE_UP], {theirs}"
    );
    let balancer = format!(
        "containerName: web, containerPort: 80, targetGroupArn: blue, advancedConfiguration: {{{theirs}}}"
    );
    let passed = [
        format!("vpcLatticeConfigurations: [{{{theirs}, targetGroupArn: blue, portName: http}}]"),
        format!(
            "volumeConfigurations: [{{name: data, managedEBSVolume: {{sizeInGiB: 1, {theirs}}}}}]"
        ),
        format!("loadBalancers: [{{{balancer}}}]"),
        format!("deploymentConfiguration: {{lifecycleHooks: [{{{hook}}}]}}"),
        format!(
            "serviceConnectConfiguration: {{enabled: true, namespace: shop, services: [{{portName: http, \
             tls: {{issuerCertificateAuthority: {{awsPcaAuthorityArn: ca}}, {theirs}}}}}]}}"
        ),
    ];
    let bare =
        format!("{NAMED}spec:\n  taskDefinitionRef: {{name: web}}\n  tags: [{{key: team}}]\n");
    let message = "must be a role below :role/ecs/";
    let task = bare.replace("kind: EcsService", "kind: EcsTask");
    let overrides = ["taskRoleArn", "executionRoleArn"]
        .map(|role| format!("overrides: {{{role}: arn:aws:iam::111122223333:role/admin}}"));
    let tasks = overrides.map(|members| with(&task, &members));
    passed
        .into_iter()
        .map(move |members| with(&bare, &members))
        .chain(tasks)
        .map(move |manifest| (manifest, message))
}

pub(crate) async fn admit_everything_else(world: &World) -> Result<()> {
    let (namespace, kubectl) = guarded(world, "admitted").await?;
    let (cluster, service) = (cluster(&namespace), samples::SERVICE);
    let definition = with_roles(&definition(), &namespace);
    let repository = repository(&namespace);
    let all = format!("{cluster}---\n{definition}---\n{service}---\n{repository}---\n{TASK}");
    kubectl.apply(&all)?;
    // The subresource is no way around.
    wait::until("the rules", e2e::world::PATIENCE, async || {
        let scale = ["scale", SERVICE, "--replicas=500", "--dry-run=server"];
        let refused = kubectl.run(&scale).err();
        let refused = refused.context("it was scaled")?.to_string();
        let words = "desiredCount is at most 20 here";
        ensure!(refused.contains(words), "{refused}");
        Ok(())
    })
    .await?;
    dry_run(&kubectl, &all)?;
    // A member that is null is one that is left out.
    let nothing = "role: null, loadBalancers: null, volumeConfigurations: [{name: data, managedEBSVolume: null}], \
                   deploymentConfiguration: {lifecycleHooks: null}, networkConfiguration: null, serviceConnectConfiguration: null";
    let left_out = format!(
        "{NAMED}spec: {{taskDefinitionRef: {{name: web}}, tags: [{{key: team, value: shop}}], {nothing}}}\n"
    );
    dry_run(
        &kubectl,
        &left_out.replace("name: web\n", "name: another\n"),
    )?;
    kubectl.run(&["scale", SERVICE, "--replicas=3"]).map(drop)
}

pub(crate) async fn let_earlier_objects_be_annotated_and_deleted(world: &World) -> Result<()> {
    guarded(world, "later").await?;
    let admin = world.kubectl(None);
    let earlier = world.namespace("earlier").await?;
    let kubectl = world.kubectl(Some(&earlier));
    kubectl.apply(samples::TASK_DEFINITION)?;
    kubectl.run(&[
        "patch",
        OBJECTS[1],
        "--type=merge",
        "-p",
        r#"{"metadata":{"finalizers":["test/hold"]}}"#,
    ])?;
    admin.run(&[
        "label",
        "namespace",
        &earlier,
        "ecs-operator.dev/guard-rails=true",
    ])?;
    wait::until("the rules", e2e::world::PATIENCE, async || {
        let patch = r#"{"spec":{"cpu":"1024","memory":"2048"}}"#;
        let refused = kubectl
            .run(&[
                "patch",
                OBJECTS[1],
                "--type=merge",
                "--dry-run=server",
                "-p",
                patch,
            ])
            .err();
        refused.context("it was taken").map(drop)
    })
    .await?;
    kubectl.run(&["annotate", OBJECTS[1], "ecs-operator.dev/reconcileAt=now"])?;
    kubectl.run(&["delete", OBJECTS[1], "--wait=false"])?;
    kubectl
        .run(&[
            "patch",
            OBJECTS[1],
            "--type=merge",
            "-p",
            r#"{"metadata":{"finalizers":null}}"#,
        ])
        .map(drop)
}
