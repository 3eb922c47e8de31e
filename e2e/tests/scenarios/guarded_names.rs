//! The guard rails for names of AWS resources: what is not listed for a namespace is denied.

use std::fs;

use anyhow::{Context, Result, ensure};
use e2e::world::World;
use e2e::{assets, wait};

use crate::basics::SERVICE;

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

pub(crate) async fn deny_what_is_not_listed(world: &World) -> Result<()> {
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
