//! The end of objects.

use anyhow::{Context, Result, ensure};
use aws_sdk_ecs::types::TaskDefinitionStatus;
use e2e::aws_proxy::AwsProxy;
use e2e::aws_server;
use e2e::process::free_ports;
use e2e::samples;
use e2e::wait;
use e2e::world::{PATIENCE, Scenario, World, condition, ready};
use serde_json::Value;

use crate::basics::{OBJECTS, SAMPLES, SERVICE};

pub(crate) async fn objects_go_in_every_order(world: &World) -> Result<()> {
    let scenario = world.scenario("orders").await?;
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        scenario.kubectl.apply(SAMPLES)?;
        scenario
            .wait_ready(&OBJECTS)
            .with_context(|| format!("before order {order:?}"))?;
        for object in order {
            scenario
                .kubectl
                .run(&["delete", OBJECTS[object], "--wait=false"])?;
        }
        scenario
            .until_empty()
            .await
            .with_context(|| format!("order {order:?}"))?;
        aws_is_empty(&scenario)
            .await
            .with_context(|| format!("order {order:?}"))?;
    }
    scenario.end().await
}

/// One cluster with many pairs of a task definition and a service, as documents by kind.
fn many(pairs: usize) -> [Vec<String>; 3] {
    let object = |kind: &str, name: &str, spec: &str| {
        format!(
            "apiVersion: ecs-operator.dev/v1beta1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"
        )
    };
    let names: Vec<_> = (0..pairs).map(|number| format!("app-{number}")).collect();
    let definition = |name: &String| {
        object(
            "EcsTaskDefinition",
            name,
            "{containerDefinitions: [{name: app, image: nginx, memory: 64}]}",
        )
    };
    let service = |name: &String| {
        object(
            "EcsService",
            name,
            &format!(
                "{{clusterRef: {{name: many}}, taskDefinitionRef: {{name: {name}}}, desiredCount: 0}}"
            ),
        )
    };
    [
        vec![object("EcsCluster", "many", "{}")],
        names.iter().map(definition).collect(),
        names.iter().map(service).collect(),
    ]
}

pub(crate) async fn many_go_at_once_in_every_order_of_one_file(world: &World) -> Result<()> {
    let mut scenario = world.scenario_without_operator("many").await?;
    // Without regular looks, calls are those of the deletion alone.
    scenario
        .options
        .flags
        .retain(|flag| !flag.starts_with("--sweep"));
    scenario
        .options
        .flags
        .push("--aws-quota-share=off".to_owned());
    scenario.start_operator()?;
    let (pairs, kinds) = (20, many(20));
    for order in [[0, 1, 2], [1, 2, 0], [2, 1, 0]] {
        let file: Vec<_> = order
            .iter()
            .flat_map(|kind| kinds[*kind].iter().map(String::as_str))
            .collect();
        let file = file.join("---\n");
        scenario.kubectl.apply(&file)?;
        scenario.kubectl.run(&[
            "wait",
            "--for=condition=Ready",
            "ecs",
            "--all",
            "--timeout=60s",
        ])?;
        let before = scenario.aws_proxy.counts();
        scenario.kubectl.delete(&file)?;
        scenario
            .until_empty()
            .await
            .with_context(|| format!("order {order:?}"))?;
        let after = scenario.aws_proxy.counts();
        // Of each pair its own. How often services and clusters are read, in batches, depends on how
        // long the machine takes.
        let own = [
            "DeleteService",
            "DescribeTaskDefinition",
            "DeregisterTaskDefinition",
            "ListTaskDefinitions",
        ];
        let calls = own.map(|operation| after.of(operation) - before.of(operation));
        let calls: usize = calls.iter().sum();
        ensure!(
            calls <= 4 * pairs + 10,
            "order {order:?}: {calls} calls for {pairs} pairs: {:?}",
            after.operations
        );
        let revisions = scenario.outsider.list_task_definitions().send().await?;
        ensure!(revisions.task_definition_arns().is_empty(), "{revisions:?}");
    }
    scenario.end().await
}

pub(crate) async fn a_task_definition_goes_as_soon_as_a_service_elsewhere_has_left_it(
    world: &World,
) -> Result<()> {
    let mut scenario = world.scenario_without_operator("literal").await?;
    let elsewhere = world.namespace("literal-elsewhere").await?;
    scenario
        .options
        .flags
        .push(format!("--watch-namespaces={elsewhere}"));
    scenario.start_operator()?;
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;
    let service = "apiVersion: ecs-operator.dev/v1beta1\nkind: EcsService\nmetadata: {name: literal}\n\
        spec: {cluster: shop, taskDefinition: \"web:1\", desiredCount: 0, networkConfiguration: {awsvpcConfiguration: {subnets: [subnet-1]}}}\n";
    let other = world.kubectl(Some(&elsewhere));
    other.apply(service)?;
    other.run(&[
        "wait",
        "--for=condition=Ready",
        "ecsservice/literal",
        "--timeout=60s",
    ])?;
    scenario
        .kubectl
        .run(&["delete", "ecs", "--all", "--wait=false"])?;
    let message = scenario
        .until_ready_is(OBJECTS[1], "False", "DeletionBlocked")
        .await?;
    ensure!(
        message.contains("web:1 runs in service literal in cluster shop"),
        "{message}"
    );
    other.run(&["delete", "ecsservice/literal"])?;
    scenario.until_empty().await?;
    scenario.end().await
}

/// A revision that runs elsewhere blocks the deletion of the object that owns it, and of no other.
pub(crate) async fn revisions_of_others_do_not_block(world: &World) -> Result<()> {
    let scenario = world.scenario("not-owned").await?;
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;
    let outsider = &scenario.outsider;
    outsider
        .create_service()
        .cluster("shop")
        .service_name("legacy")
        .task_definition("web:1")
        .desired_count(0)
        .send()
        .await?;
    scenario.kubectl.run(&["delete", SERVICE])?;
    let definition = scenario.get(OBJECTS[1])?;
    let arn = definition["status"]["taskDefinitionArn"]
        .as_str()
        .context("an ARN")?;
    scenario
        .kubectl
        .run(&["delete", OBJECTS[1], "--wait=false"])?;
    let message = scenario
        .until_ready_is(OBJECTS[1], "False", "DeletionBlocked")
        .await?;
    ensure!(
        message.contains("web:1 runs in service legacy in cluster shop"),
        "{message}"
    );
    outsider
        .untag_resource()
        .resource_arn(arn)
        .tag_keys("ecs-operator.dev/owner")
        .send()
        .await?;
    scenario
        .kubectl
        .run(&["wait", OBJECTS[1], "--for=delete", "--timeout=40s"])?;
    scenario.told_once("web", "LeftInAws").await?;

    // The next object takes nothing over, because it is suspended from the start.
    let definition = SAMPLES.split("---\n").nth(1).context("three documents")?;
    scenario.kubectl.apply(&definition.replace(
        "\nspec:\n",
        "\nspec:\n  adoptionPolicy: IfUnowned\n  suspend: true\n",
    ))?;
    scenario
        .until(OBJECTS[1], |object| {
            condition(object, "Suspended").is_some()
        })
        .await?;
    scenario
        .kubectl
        .run(&["delete", OBJECTS[1], "--timeout=60s"])?;
    let described = outsider
        .describe_task_definition()
        .task_definition("web:1")
        .send()
        .await?;
    let status = described
        .task_definition()
        .and_then(|definition| definition.status().cloned());
    ensure!(
        status == Some(TaskDefinitionStatus::Active),
        "the revision of others stays: {status:?}"
    );
    scenario.end().await
}

async fn aws_is_empty(scenario: &Scenario<'_>) -> Result<()> {
    let clusters = scenario.outsider.list_clusters().send().await?;
    ensure!(clusters.cluster_arns().is_empty(), "{clusters:?}");
    let services = scenario
        .outsider
        .describe_services()
        .cluster("shop")
        .services("web")
        .send()
        .await;
    let active = services.is_ok_and(|found| {
        found
            .services()
            .iter()
            .any(|service| service.status() == Some("ACTIVE"))
    });
    ensure!(!active, "the service is still there");
    let revisions = scenario
        .outsider
        .list_task_definitions()
        .family_prefix("web")
        .send()
        .await?;
    ensure!(revisions.task_definition_arns().is_empty(), "{revisions:?}");
    Ok(())
}

pub(crate) async fn a_cluster_waits_for_what_others_run_in_it(world: &World) -> Result<()> {
    let scenario = world.scenario("blocked").await?;
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;
    let outsider = &scenario.outsider;
    outsider
        .create_service()
        .cluster("shop")
        .service_name("legacy")
        .task_definition("web")
        .desired_count(1)
        .send()
        .await?;

    scenario
        .kubectl
        .run(&["delete", OBJECTS[0], "--wait=false"])?;
    let message = scenario
        .until_ready_is(OBJECTS[0], "False", "DeletionBlocked")
        .await?;
    ensure!(
        message.contains("EcsService web") && message.contains("legacy"),
        "{message}"
    );
    scenario
        .until_event("shop", "DeletionBlocked", &["legacy"])
        .await?;
    scenario.kubectl.run(&["delete", SERVICE])?;
    scenario
        .until(OBJECTS[0], |cluster| {
            let ready = condition(cluster, "Ready")
                .and_then(|ready| ready["message"].as_str())
                .unwrap_or_default();
            ready.contains("legacy") && !ready.contains("EcsService")
        })
        .await?;
    ensure!(
        scenario.aws_proxy.counts().of("DeleteCluster") == 0,
        "nothing is deleted with others in it"
    );

    outsider
        .delete_service()
        .cluster("shop")
        .service("legacy")
        .force(true)
        .send()
        .await?;
    scenario.kubectl.run(&["delete", OBJECTS[1]])?;
    scenario.until_empty().await?;
    aws_is_empty(&scenario).await?;
    scenario.end().await
}

pub(crate) async fn a_blocked_deletion_keeps_serving_references(world: &World) -> Result<()> {
    let scenario = world.scenario("serves-on").await?;
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;
    scenario
        .kubectl
        .run(&["delete", OBJECTS[0], OBJECTS[1], "--wait=false"])?;
    for object in &OBJECTS[..2] {
        scenario
            .until(object, |object| {
                object["metadata"]["deletionTimestamp"].is_string()
            })
            .await?;
        scenario
            .until_ready_is(object, "False", "DeletionBlocked")
            .await?;
    }
    // The service that they wait for is looked after as ever.
    scenario.kubectl.run(&["scale", SERVICE, "--replicas=3"])?;
    scenario
        .until_desired_count("shop", "web", 3, PATIENCE)
        .await?;
    scenario.wait_ready(&OBJECTS[2..])?;
    // Nothing new begins with them.
    scenario
        .kubectl
        .apply(&samples::SERVICE.replace("name: web\nspec", "name: late\nspec"))?;
    let message = scenario
        .until_ready_is("ecsservice/late", "False", "DependencyNotReady")
        .await?;
    ensure!(
        message.contains("is being deleted: reference another one"),
        "{message}"
    );
    scenario
        .kubectl
        .run(&["delete", "ecsservices", "--all", "--wait=false"])?;
    scenario.until_empty().await?;
    scenario.end().await
}

pub(crate) async fn retained_objects_stay_in_aws(world: &World) -> Result<()> {
    let scenario = world.scenario("retain").await?;
    scenario
        .kubectl
        .apply(&SAMPLES.replace("\nspec:\n", "\nspec:\n  deletionPolicy: Retain\n"))?;
    scenario.wait_ready(&OBJECTS)?;
    // Of the revisions of a task definition one is marked, and all stay.
    let other = r#"[{"op": "replace", "path": "/spec/containerDefinitions/0/image", "value": "nginx:other"}]"#;
    scenario
        .kubectl
        .run(&["patch", OBJECTS[1], "--type=json", "-p", other])?;
    wait::until("the second revision", PATIENCE, async || {
        let arn = scenario.get(OBJECTS[1])?["status"]["taskDefinitionArn"].to_string();
        ensure!(arn.ends_with(":2\""), arn);
        Ok(())
    })
    .await?;
    scenario.wait_ready(&OBJECTS)?;
    let writes = scenario.aws_proxy.counts().writes();
    scenario.kubectl.run(&["delete", "ecs", "--all"])?;
    scenario.until_empty().await?;
    let counts = scenario.aws_proxy.counts();
    ensure!(
        counts.writes() == writes + 3,
        "each is marked, and nothing else is changed: {counts:?}"
    );
    let described = async || {
        scenario
            .outsider
            .describe_services()
            .cluster("shop")
            .services("web")
            .send()
            .await
    };
    ensure!(
        described().await?.services()[0].running_count() == 2,
        "{:?}",
        described().await?
    );

    // The next objects of these names do not get what was retained without being told so.
    let next = SAMPLES.replace("desiredCount: 2", "desiredCount: 1");
    scenario.kubectl.apply(&next)?;
    for object in OBJECTS {
        let message = scenario.until_ready_is(object, "False", "NotOwned").await?;
        ensure!(message.contains("was retained in AWS"), "{message}");
    }
    ensure!(
        described().await?.services()[0].desired_count() == 2,
        "{:?}",
        described().await?
    );
    // Nor do they take it along.
    let writes = scenario.aws_proxy.counts().writes();
    scenario.kubectl.run(&["delete", "ecs", "--all"])?;
    scenario.until_empty().await?;
    ensure!(
        scenario.aws_proxy.counts().writes() == writes,
        "{:?}",
        scenario.aws_proxy.counts()
    );
    // Nor does an object that may adopt them and has not.
    scenario.kubectl.apply(&next.replace(
        "\nspec:\n",
        "\nspec:\n  adoptionPolicy: IfUnowned\n  suspend: true\n",
    ))?;
    for object in OBJECTS {
        scenario
            .until(object, |object| condition(object, "Suspended").is_some())
            .await?;
    }
    scenario.kubectl.run(&["delete", "ecs", "--all"])?;
    scenario.until_empty().await?;
    ensure!(
        scenario.aws_proxy.counts().writes() == writes,
        "{:?}",
        scenario.aws_proxy.counts()
    );
    scenario
        .kubectl
        .apply(&next.replace("\nspec:\n", "\nspec:\n  adoptionPolicy: IfUnowned\n"))?;
    scenario.wait_ready(&OBJECTS)?;
    scenario
        .until_desired_count("shop", "web", 1, PATIENCE)
        .await?;
    scenario.kubectl.run(&["delete", "ecs", "--all"])?;
    scenario.until_empty().await?;
    aws_is_empty(&scenario).await?;
    scenario.end().await
}

pub(crate) async fn deletion_of_missing_objects_succeeds(world: &World) -> Result<()> {
    let scenario = world.scenario("gone").await?;
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;
    let mut scenario = scenario;
    scenario.operator()?.process.kill().await?;
    // ministack lets a cluster go with services in it.
    scenario
        .outsider
        .delete_service()
        .cluster("shop")
        .service("web")
        .force(true)
        .send()
        .await?;
    scenario
        .outsider
        .delete_cluster()
        .cluster("shop")
        .send()
        .await?;
    scenario
        .outsider
        .deregister_task_definition()
        .task_definition("web:1")
        .send()
        .await?;
    scenario
        .kubectl
        .run(&["delete", "ecs", "--all", "--wait=false"])?;
    scenario.start_operator()?;
    wait::until("deletion", PATIENCE, async || {
        let left = scenario.kubectl.run(&["get", "ecs", "-o", "name"])?;
        ensure!(left.trim().is_empty(), left);
        Ok(())
    })
    .await?;
    scenario.end().await
}

pub(crate) async fn a_namespace_goes_with_all_that_is_in_it(world: &World) -> Result<()> {
    let scenario = world.scenario("namespace").await?;
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;
    world
        .kubectl(None)
        .run(&["delete", "namespace", &scenario.namespace, "--timeout=80s"])?;
    aws_is_empty(&scenario).await?;
    scenario.end().await
}

pub(crate) async fn an_unreachable_aws_keeps_the_finalizer_and_tells_the_way_out(
    world: &World,
) -> Result<()> {
    let mut scenario = world.scenario("unreachable").await?;
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;
    scenario.operator()?.process.stop().await?;
    let [port] = free_ports()?;
    let nowhere = AwsProxy::start(&format!("http://127.0.0.1:{port}"), 0, 0).await?;
    let environment = std::mem::replace(
        &mut scenario.options.environment,
        aws_server::environment(&nowhere.aws_url, &scenario.account),
    );
    scenario.start_operator()?;
    scenario.kubectl.run(&["delete", SERVICE, "--wait=false"])?;
    let way_out = "The finalizer stays until AWS answers; set spec.deletionPolicy to Retain";
    let tells = |service: &Value| {
        ready(service).is_some_and(|ready| {
            ready["reason"] == "AwsUnavailable" && ready["message"].to_string().contains(way_out)
        })
    };
    scenario.until(SERVICE, tells).await?;
    // The way out needs no AWS.
    scenario.kubectl.run(&[
        "patch",
        SERVICE,
        "--type=merge",
        "-p",
        r#"{"spec":{"deletionPolicy":"Retain"}}"#,
    ])?;
    scenario
        .kubectl
        .run(&["wait", "--for=delete", "--timeout=60s", SERVICE])?;
    // And without it, the deletion goes on when AWS is back.
    scenario
        .kubectl
        .run(&["delete", OBJECTS[1], "--wait=false"])?;
    scenario
        .until_ready_is(OBJECTS[1], "False", "AwsUnavailable")
        .await?;
    scenario.operator()?.process.stop().await?;
    scenario.options.environment = environment;
    scenario
        .outsider
        .delete_service()
        .cluster("shop")
        .service("web")
        .force(true)
        .send()
        .await?;
    scenario.start_operator()?;
    scenario
        .kubectl
        .run(&["wait", "--for=delete", "--timeout=60s", OBJECTS[1]])?;
    scenario.end().await
}
