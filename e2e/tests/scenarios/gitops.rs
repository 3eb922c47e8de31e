//! What is under `gitops/`: the actions of Argo CD, kustomize, and guard rails. Its health checks
//! are judged in every scenario, over all that its objects ever said.

use std::fs;

use anyhow::{Context, Result, ensure};
use e2e::recorder::{GitOps, judge_gitops};
use e2e::samples::{self, SAMPLES};
use e2e::world::{Scenario, World, condition};
use e2e::{assets, wait};
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

/// An EcsService without its spec.
const NAMED: &str =
    "apiVersion: ecs-operator.dev/v1beta1\nkind: EcsService\nmetadata:\n  name: web\n";

pub(crate) async fn guard_rails_refuse_with_words(world: &World) -> Result<()> {
    let namespace = world.namespace("guarded").await?;
    let admin = world.kubectl(None);
    admin.apply(&fs::read_to_string(
        assets::root().join("gitops/guard-rails/policies.yaml"),
    )?)?;
    admin.run(&[
        "label",
        "namespace",
        &namespace,
        "ecs-operator.dev/guard-rails=true",
    ])?;
    admin.run(&[
        "annotate",
        "namespace",
        &namespace,
        "ecs-operator.dev/allowed-resources=*",
    ])?;
    let kubectl = world.kubectl(Some(&namespace));
    let roles = |text: &str| text.replace(":role/ecs/", &format!(":role/ecs/{namespace}/"));
    let definition = samples::TASK_DEFINITION
        .replace("\nspec:\n", "\nspec:\n  tags: [{key: team, value: shop}]\n");
    let service = samples::SERVICE;
    let with =
        |text: &str, members: &str| text.replace("\nspec:\n", &format!("\nspec:\n  {members}\n"));
    let cluster = with(samples::CLUSTER, &format!("clusterName: {namespace}-shop"));
    let rows = [
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
    ];
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
    let passed = passed.map(|members| (with(&bare, &members), "must be a role below :role/ecs/"));
    for (manifest, words) in rows.into_iter().chain(passed) {
        // A policy is at work a moment after it was applied.
        wait::until(words, e2e::world::PATIENCE, async || {
            let refused = kubectl
                .pipe(
                    &manifest,
                    &["apply", "--server-side", "--dry-run=server", "-f", "-"],
                )
                .err();
            let refused = refused.context("it was accepted")?.to_string();
            ensure!(refused.contains(words), "{refused}");
            Ok(())
        })
        .await?;
    }
    // A member that is null is one that is left out.
    let nothing = "role: null, loadBalancers: null, volumeConfigurations: [{name: data, managedEBSVolume: null}], \
                   deploymentConfiguration: {lifecycleHooks: null}, networkConfiguration: null, serviceConnectConfiguration: null";
    let left_out = format!(
        "{NAMED}spec: {{taskDefinitionRef: {{name: web}}, tags: [{{key: team, value: shop}}], {nothing}}}\n"
    );
    kubectl.pipe(
        &left_out,
        &["apply", "--server-side", "--dry-run=server", "-f", "-"],
    )?;
    kubectl.apply(&format!(
        "{cluster}---\n{}---\n{service}",
        roles(&definition)
    ))?;
    let refused = kubectl
        .run(&["scale", SERVICE, "--replicas=500"])
        .err()
        .context("the subresource is a way around")?
        .to_string();
    ensure!(
        refused.contains("desiredCount is at most 20 here"),
        "{refused}"
    );
    kubectl.run(&["scale", SERVICE, "--replicas=3"])?;
    // What was there before the rules can be annotated and deleted.
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

/// An EcsTaskDefinition without the rest of its spec.
const DEFINITION: &str = "apiVersion: ecs-operator.dev/v1beta1
kind: EcsTaskDefinition
metadata:
  name: web
spec:
  requiresCompatibilities: [FARGATE]
  networkMode: awsvpc
  cpu: \"512\"
  memory: \"1024\"
  containerDefinitions: [{name: web, image: nginx}]
  tags: [{key: team, value: shop}]
  ";

/// An EcsService without the rest of its spec.
const RUNS: &str = "apiVersion: ecs-operator.dev/v1beta1
kind: EcsService
metadata:
  name: web
spec:
  clusterRef: {name: shop}
  taskDefinitionRef: {name: web}
  tags: [{key: team, value: shop}]
  ";

/// An EcsCluster without the rest of its spec.
const CLUSTER: &str = "apiVersion: ecs-operator.dev/v1beta1
kind: EcsCluster
metadata:
  name: shop
spec:
  clusterName: NAMESPACE-shop
  tags: [{key: team, value: shop}]
  ";

/// What names a resource of AWS: the manifest and what is added to it, the member, and the entry
/// that allows it. `%` is whose it is.
const NAMING: [(&str, &str, &str, &str); 24] = [
    (
        RUNS,
        "loadBalancers: [{BALANCES, targetGroupArn: arn:tg/%/1}]",
        "loadBalancers.targetGroupArn",
        "arn:tg/%/1",
    ),
    (
        RUNS,
        "loadBalancers: [{BALANCES, targetGroupArn: null, loadBalancerName: %}]",
        "loadBalancerName",
        "loadBalancerName=%",
    ),
    (
        RUNS,
        "loadBalancers: [{BALANCES, targetGroupArn: arn:tg/ours/1}, {BALANCES, targetGroupArn: arn:tg/%/1}]",
        "loadBalancers.targetGroupArn",
        "arn:tg/%/1",
    ),
    (
        RUNS,
        "loadBalancers: [{BALANCES, targetGroupArn: arn:tg/ours/1, advancedConfiguration: {alternateTargetGroupArn: arn:tg/%/2}}]",
        "loadBalancers.advancedConfiguration.alternateTargetGroupArn",
        "arn:tg/%/2",
    ),
    (
        RUNS,
        "loadBalancers: [{BALANCES, targetGroupArn: arn:tg/ours/1, advancedConfiguration: {alternateTargetGroupArn: null, \
         productionListenerRule: arn:rule/%/1}}]",
        "loadBalancers.advancedConfiguration.productionListenerRule",
        "arn:rule/%/1",
    ),
    (
        RUNS,
        "loadBalancers: [{BALANCES, targetGroupArn: arn:tg/ours/1, advancedConfiguration: {testListenerRule: arn:rule/%/2}}]",
        "loadBalancers.advancedConfiguration.testListenerRule",
        "arn:rule/%/2",
    ),
    (
        RUNS,
        "vpcLatticeConfigurations: [{LATTICE, targetGroupArn: arn:lattice/%/1}]",
        "vpcLatticeConfigurations.targetGroupArn",
        "arn:lattice/%/1",
    ),
    (
        RUNS,
        "vpcLatticeConfigurations: [{ADVANCED_LATTICE: {alternateTargetGroupArn: arn:lattice/%/2}}]",
        "vpcLatticeConfigurations.advancedConfiguration.alternateTargetGroupArn",
        "arn:lattice/%/2",
    ),
    (
        RUNS,
        "vpcLatticeConfigurations: [{ADVANCED_LATTICE: {productionListenerRule: arn:lattice-rule/%/1}}]",
        "vpcLatticeConfigurations.advancedConfiguration.productionListenerRule",
        "arn:lattice-rule/%/1",
    ),
    (
        RUNS,
        "vpcLatticeConfigurations: [{ADVANCED_LATTICE: {testListenerRule: arn:lattice-rule/%/2}}]",
        "vpcLatticeConfigurations.advancedConfiguration.testListenerRule",
        "arn:lattice-rule/%/2",
    ),
    (
        RUNS,
        "serviceRegistries: [{registryArn: arn:registry/%}]",
        "serviceRegistries.registryArn",
        "arn:registry/%",
    ),
    (
        RUNS,
        "networkConfiguration: {awsvpcConfiguration: {subnets: [subnet-0a1b2c3d4e5f60718], securityGroups: [sg-ours, sg-%]}}",
        "networkConfiguration.awsvpcConfiguration.securityGroups",
        "sg-%",
    ),
    (
        RUNS,
        "serviceConnectConfiguration: {enabled: true, namespace: %}",
        "serviceConnectConfiguration.namespace",
        "namespace=%",
    ),
    (
        RUNS,
        "serviceConnectConfiguration: {enabled: false, namespace: %, services: null}",
        "serviceConnectConfiguration.namespace",
        "namespace=%",
    ),
    (
        RUNS,
        "serviceConnectConfiguration: {enabled: true, namespace: ours, services: [{portName: a, tls: null}, {portName: http, \
         tls: {issuerCertificateAuthority: {awsPcaAuthorityArn: arn:ca/%}}}]}",
        "tls.issuerCertificateAuthority.awsPcaAuthorityArn",
        "arn:ca/%",
    ),
    (
        RUNS,
        "deploymentConfiguration: {lifecycleHooks: [{targetType: PAUSE, lifecycleStages: [PRE_SCALE_UP]}, {HOOK, \
         hookTargetArn: arn:function/%}]}",
        "deploymentConfiguration.lifecycleHooks.hookTargetArn",
        "arn:function/%",
    ),
    (
        RUNS,
        "volumeConfigurations: [{name: data, managedEBSVolume: {ROLE, sizeInGiB: null, snapshotId: snap-%}}]",
        "volumeConfigurations.managedEBSVolume.snapshotId",
        "snap-%",
    ),
    (
        DEFINITION,
        "volumes: [{name: a}, {name: b, efsVolumeConfiguration: {fileSystemId: fs-%, authorizationConfig: null}}]",
        "volumes.efsVolumeConfiguration.fileSystemId",
        "fs-%",
    ),
    (
        DEFINITION,
        "volumes: [{name: b, efsVolumeConfiguration: {fileSystemId: fs-shared, transitEncryption: ENABLED, \
         authorizationConfig: {accessPointId: fsap-%}}}]",
        "volumes.efsVolumeConfiguration.fileSystemId",
        "fs-shared/fsap-%",
    ),
    (
        DEFINITION,
        "volumes: [{name: b, s3filesVolumeConfiguration: {fileSystemArn: arn:s3files/%, accessPointArn: null}}]",
        "volumes.s3filesVolumeConfiguration.fileSystemArn",
        "arn:s3files/%",
    ),
    (
        DEFINITION,
        "volumes: [{name: b, s3filesVolumeConfiguration: {fileSystemArn: arn:s3files/shared, accessPointArn: \
         arn:s3files/shared/access-point/%}}]",
        "volumes.s3filesVolumeConfiguration.fileSystemArn",
        "arn:s3files/shared/access-point/%",
    ),
    (
        CLUSTER,
        "serviceConnectDefaults: {namespace: %}",
        "serviceConnectDefaults.namespace",
        "namespace=%",
    ),
    (
        CLUSTER,
        "capacityProviders: [FARGATE, %]",
        "capacityProviders",
        "capacityProvider=%",
    ),
    (
        CLUSTER,
        "defaultCapacityProviderStrategy: [{capacityProvider: FARGATE_SPOT}, {capacityProvider: %}]",
        "capacityProviders",
        "capacityProvider=%",
    ),
];

pub(crate) async fn guard_rails_deny_what_is_not_listed(world: &World) -> Result<()> {
    let namespace = world.namespace("listed").await?;
    let admin = world.kubectl(None);
    let policies = fs::read_to_string(assets::root().join("gitops/guard-rails/policies.yaml"))?;
    admin.apply(&policies)?;
    admin.run(&[
        "label",
        "namespace",
        &namespace,
        "ecs-operator.dev/guard-rails=true",
    ])?;
    let kubectl = world.kubectl(Some(&namespace));
    let whole = |manifest: &str, members: &str, whose: &str| {
        let role =
            format!("roleArn: arn:aws:iam::111122223333:role/ecs/{namespace}/infrastructure");
        let members = members.replace("BALANCES", "containerName: web, containerPort: 80");
        let members = members
            .replace(
                "ADVANCED_LATTICE",
                "LATTICE, targetGroupArn: arn:lattice/ours/1, advancedConfiguration",
            )
            .replace("LATTICE", "portName: http, ROLE")
            .replace("HOOK", "ROLE, lifecycleStages: [PRE_SCALE_UP]");
        format!("{manifest}{members}\n")
            .replace("ROLE", &role)
            .replace("NAMESPACE", &namespace)
            .replace('%', whose)
    };
    let dry = |manifest: &str| {
        kubectl.pipe(
            manifest,
            &["apply", "--server-side", "--dry-run=server", "-f", "-"],
        )
    };
    let refused = async |manifest: &str, words: &str| {
        wait::until(words, e2e::world::PATIENCE, async || {
            let refused = dry(manifest)
                .err()
                .with_context(|| format!("it was accepted: {manifest}"))?
                .to_string();
            ensure!(refused.contains(words), "{refused}");
            Ok(())
        })
        .await
    };
    let way_out = "ask the platform team to list it in annotation ecs-operator.dev/allowed-resources of namespace";
    let out = format!(", which is not listed; {way_out} {namespace}");
    // Nothing is listed.
    let target_group = NAMING[0].1;
    refused(
        &whole(RUNS, target_group, "ours"),
        &format!("loadBalancers.targetGroupArn names arn:tg/ours/1{out}"),
    )
    .await?;
    // Much is listed, to see what it costs, and ours after it.
    let filler = (0..300).map(|number| {
        format!(
            "arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/others-{number}-*"
        )
    });
    let list = filler
        .chain(NAMING.iter().map(|row| row.3.replace('%', "ours")))
        .collect::<Vec<_>>()
        .join("\n");
    let list = list.replace("arn:tg/ours/2", "\tarn:tg/ours/*  arn:tg-without-star/");
    admin.run(&[
        "annotate",
        "namespace",
        &namespace,
        &format!("ecs-operator.dev/allowed-resources={list}"),
    ])?;
    let ours = NAMING
        .iter()
        .map(|(manifest, members, ..)| whole(manifest, members, "ours"));
    let ours = ours.collect::<Vec<_>>().join("---\n");
    wait::until("what is listed", e2e::world::PATIENCE, async || {
        dry(&ours).map(drop)
    })
    .await?;
    for (manifest, members, member, entry) in NAMING {
        for whose in ["theirs", "ours-not"] {
            let words = format!("{member} names {}{out}", entry.replace('%', whose));
            refused(&whole(manifest, members, whose), &words).await?;
        }
    }
    // Neither defaults of AWS, nor a policy that only looks, nor parts that are left to others are
    // a way around; nor is a whole file system, or an access point of another one, where one access
    // point is listed.
    let access_point = "transitEncryption: ENABLED, authorizationConfig: {accessPointId: ''}";
    let rows = [
        (
            RUNS,
            "networkConfiguration: {awsvpcConfiguration: {subnets: [subnet-0a1b2c3d4e5f60718]}}",
            "securityGroups is needed",
        ),
        (
            RUNS,
            "networkConfiguration: {awsvpcConfiguration: {subnets: [subnet-0a1b2c3d4e5f60718], securityGroups: null}}",
            "securityGroups is needed",
        ),
        (
            RUNS,
            "networkConfiguration: {awsvpcConfiguration: {subnets: [subnet-0a1b2c3d4e5f60718], securityGroups: []}}",
            "securityGroups is needed",
        ),
        (
            RUNS,
            "serviceConnectConfiguration: {enabled: true}",
            "serviceConnectConfiguration.namespace is needed",
        ),
        (
            RUNS,
            "serviceConnectConfiguration: {enabled: true, namespace: null}",
            "serviceConnectConfiguration.namespace is needed",
        ),
        (
            RUNS,
            "serviceConnectConfiguration: {enabled: true, namespace: ''}",
            "serviceConnectConfiguration.namespace names",
        ),
        (
            RUNS,
            "serviceRegistries: [{registryArn: arn:tg-without-star/longer}]",
            "serviceRegistries.registryArn names",
        ),
        (
            RUNS,
            "managementPolicy: Observe\n  serviceRegistries: [{registryArn: theirs}]",
            "serviceRegistries.registryArn names",
        ),
        (
            RUNS,
            "suspend: true\n  serviceRegistries: [{registryArn: theirs}]",
            "serviceRegistries.registryArn names",
        ),
        (
            RUNS,
            "ignoreFields: [/serviceRegistries]\n  serviceRegistries: [{registryArn: theirs}]",
            "serviceRegistries.registryArn names",
        ),
        (
            DEFINITION,
            &format!(
                "volumes: [{{name: b, efsVolumeConfiguration: {{fileSystemId: fs-shared, {access_point}}}}}]"
            ),
            "fileSystemId names fs-shared,",
        ),
        (
            DEFINITION,
            "volumes: [{name: b, s3filesVolumeConfiguration: {fileSystemArn: arn:s3files/shared, accessPointArn: \
             arn:s3files/theirs}}]",
            "fileSystemArn names arn:s3files/shared/arn:s3files/theirs,",
        ),
        (
            RUNS,
            "loadBalancers: [{BALANCES, targetGroupArn: theirs}]\n  serviceRegistries: [{registryArn: theirs}]",
            "loadBalancers.targetGroupArn names theirs, serviceRegistries.registryArn names theirs,",
        ),
    ];
    for (manifest, members, words) in rows {
        refused(&whole(manifest, members, "theirs"), words).await?;
    }
    // A member that is null is one that is left out, and what turns something off and Fargate need
    // no entry.
    let nothing = [
        whole(
            RUNS,
            "loadBalancers: null\n  serviceRegistries: null\n  networkConfiguration: {awsvpcConfiguration: null}\n  \
             serviceConnectConfiguration: {enabled: false, namespace: null}\n  vpcLatticeConfigurations: null\n  \
             deploymentConfiguration: {lifecycleHooks: null}\n  volumeConfigurations: [{name: data, managedEBSVolume: null}]",
            "",
        ),
        whole(
            RUNS,
            "loadBalancers: [{BALANCES, targetGroupArn: arn:tg/ours/1, advancedConfiguration: null}]\n  serviceConnectConfiguration: \
             null\n  networkConfiguration: null\n  deploymentConfiguration: null\n  volumeConfigurations: null",
            "",
        ),
        whole(DEFINITION, "volumes: null", ""),
        whole(
            CLUSTER,
            "serviceConnectDefaults: {namespace: ''}\n  capacityProviders: null\n  defaultCapacityProviderStrategy: \
             [{capacityProvider: FARGATE_SPOT}]",
            "",
        ),
        whole(
            CLUSTER,
            "serviceConnectDefaults: null\n  capacityProviders: [FARGATE, FARGATE_SPOT]",
            "",
        ),
    ];
    dry(&nothing.join("---\n"))?;
    // As much as a spec can hold stays within what the API server lets a policy cost.
    let many = |count: usize, element: &dyn Fn(usize) -> String| {
        (0..count).map(element).collect::<Vec<_>>().join(", ")
    };
    let rules = "productionListenerRule: arn:tg/ours/3, testListenerRule: arn:tg/ours/4";
    let advanced =
        format!("advancedConfiguration: {{alternateTargetGroupArn: arn:tg/ours/2, {rules}}}");
    let balancers = many(5, &|_| {
        format!("{{BALANCES, targetGroupArn: arn:tg/ours/1, {advanced}}}")
    });
    let lattices = many(20, &|_| {
        format!("{{LATTICE, targetGroupArn: arn:tg/ours/1, {advanced}}}")
    });
    let hooks = many(10, &|number| {
        format!("{{HOOK, hookTargetArn: arn:tg/ours/{number}}}")
    });
    let connected = many(100, &|number| {
        format!(
            "{{portName: a{number}, tls: {{issuerCertificateAuthority: {{awsPcaAuthorityArn: arn:tg/ours/{number}}}}}}}"
        )
    });
    let service = format!(
        "loadBalancers: [{balancers}]\n  vpcLatticeConfigurations: [{lattices}]\n  deploymentConfiguration: \
         {{lifecycleHooks: [{hooks}]}}\n  serviceConnectConfiguration: {{enabled: true, namespace: ours, services: [{connected}]}}"
    );
    let volumes = many(50, &|number| {
        format!("{{name: a{number}, efsVolumeConfiguration: {{fileSystemId: fs-ours}}}}")
    });
    dry(&whole(RUNS, &service, "ours"))?;
    dry(&whole(DEFINITION, &format!("volumes: [{volumes}]"), "ours"))?;
    // What was there before a rule goes on: it can be scaled, annotated and freed of what is not
    // listed.
    let earlier = world.namespace("earlier").await?;
    let kubectl = world.kubectl(Some(&earlier));
    kubectl.apply(&whole(
        RUNS,
        "serviceRegistries: [{registryArn: theirs}]",
        "",
    ))?;
    admin.run(&[
        "label",
        "namespace",
        &earlier,
        "ecs-operator.dev/guard-rails=true",
    ])?;
    wait::until("the rules", e2e::world::PATIENCE, async || {
        let patch = r#"{"spec":{"propagateTags":"SERVICE"}}"#;
        let refused = kubectl
            .run(&[
                "patch",
                SERVICE,
                "--type=merge",
                "--dry-run=server",
                "-p",
                patch,
            ])
            .err();
        let refused = refused.context("it was taken")?.to_string();
        ensure!(
            refused.contains("serviceRegistries.registryArn names theirs"),
            "{refused}"
        );
        Ok(())
    })
    .await?;
    kubectl.run(&["scale", SERVICE, "--replicas=3"])?;
    kubectl.run(&["annotate", SERVICE, "ecs-operator.dev/reconcileAt=now"])?;
    kubectl
        .run(&[
            "patch",
            SERVICE,
            "--type=merge",
            "-p",
            r#"{"spec":{"serviceRegistries":null}}"#,
        ])
        .map(drop)
}
