//! Whose an AWS object is.

use anyhow::{Context, Result, ensure};
use aws_sdk_ecs::types::{ContainerDefinition, Tag};
use e2e::aws_proxy::Counts;
use e2e::aws_server;
use e2e::kubectl::Kubectl;
use e2e::samples::plain;
use e2e::wait;
use e2e::world::{PATIENCE, Scenario, World, ready};
use serde_json::{Value, json};

use crate::basics::{OBJECTS, SAMPLES, SERVICE};

pub(crate) async fn unowned_objects_are_unchanged_until_adopted(world: &World) -> Result<()> {
    let scenario = world.scenario("adopt").await?;
    let outsider = &scenario.outsider;
    outsider
        .create_cluster()
        .cluster_name("shop")
        .send()
        .await?;
    let container = ContainerDefinition::builder()
        .name("old")
        .image("old:1")
        .build();
    outsider
        .register_task_definition()
        .family("web")
        .container_definitions(container)
        .send()
        .await?;

    scenario.kubectl.apply(SAMPLES)?;
    for object in &OBJECTS[..2] {
        let message = scenario.until_ready_is(object, "False", "NotOwned").await?;
        ensure!(
            message.contains("spec.adoptionPolicy to IfUnowned"),
            "{message}"
        );
        ensure!(
            e2e::world::condition(&scenario.get(object)?, "Stalled").is_some(),
            "{object} is stalled"
        );
    }
    let message = scenario
        .until_ready_is(SERVICE, "False", "DependencyNotReady")
        .await?;
    ensure!(message.contains("NotOwned"), "{message}");
    ensure!(
        scenario.aws_proxy.counts().writes() == 0,
        "{:?}",
        scenario.aws_proxy.counts()
    );
    scenario.told_once("shop", "NotOwned").await?;

    scenario
        .kubectl
        .apply(&SAMPLES.replace("\nspec:\n", "\nspec:\n  adoptionPolicy: IfUnowned\n"))?;
    scenario.wait_ready(&OBJECTS)?;
    ensure!(
        scenario.get(OBJECTS[1])?["status"]["revision"] == 2,
        "the adopted family goes on with its next revision"
    );
    ensure!(
        scenario.aws_proxy.counts().of("CreateCluster") == 0,
        "{:?}",
        scenario.aws_proxy.counts()
    );
    scenario.is_quiet().await?;

    // A tag of another owner cannot be adopted away.
    let arn = scenario.get(SERVICE)?["status"]["serviceArn"]
        .as_str()
        .context("an ARN")?
        .to_owned();
    let theirs = Tag::builder()
        .key("ecs-operator.dev/owner")
        .value("other/shop/web/1")
        .build();
    outsider
        .tag_resource()
        .resource_arn(&arn)
        .tags(theirs)
        .send()
        .await?;
    let message = scenario
        .until_ready_is(SERVICE, "False", "Conflict")
        .await?;
    ensure!(message.contains("other/shop/web/1"), "{message}");
    scenario.kubectl.run(&["delete", SERVICE])?;
    let service = aws_server::service(outsider, "shop", "web").await?;
    ensure!(
        service.status() == Some("ACTIVE"),
        "what is not ours is not deleted"
    );
    scenario.end().await
}

pub(crate) async fn two_namespaces_may_use_the_same_names_for_different_things(
    world: &World,
) -> Result<()> {
    let mut scenario = world.scenario_without_operator("tenants").await?;
    let other = world.namespace("tenants").await?;
    let second = world.kubectl(Some(&other));
    let label = format!("scenario={}", scenario.namespace);
    scenario
        .options
        .flags
        .retain(|flag| !flag.starts_with("--watch-namespaces"));
    scenario
        .options
        .flags
        .push(format!("--watch-label-selector={label}"));
    scenario.start_operator()?;
    scenario.operator()?.ready().await?;
    let labelled = SAMPLES.replace(
        "\nmetadata:\n",
        &format!(
            "\nmetadata:\n  labels: {{scenario: {}}}\n",
            scenario.namespace
        ),
    );

    scenario.kubectl.apply(&labelled)?;
    scenario.wait_ready(&OBJECTS)?;
    let writes = scenario.aws_proxy.counts().writes();
    // The same names in ECS: the second comes too late.
    second.apply(&labelled)?;
    for object in &OBJECTS[..2] {
        e2e::wait::until(object, e2e::world::PATIENCE, async || {
            let found: serde_json::Value =
                serde_json::from_str(&second.run(&["get", object, "-o", "json"])?)?;
            ensure!(
                ready(&found).is_some_and(|ready| ready["reason"] == "Conflict"),
                "{}",
                found["status"]
            );
            Ok(())
        })
        .await?;
    }
    ensure!(
        scenario.aws_proxy.counts().writes() == writes,
        "no tug of war: {:?}",
        scenario.aws_proxy.counts()
    );
    second.run(&["delete", "ecs", "--all"])?;
    scenario.wait_ready(&OBJECTS)?;
    ensure!(
        scenario.aws_proxy.counts().writes() == writes,
        "the end of the second touches nothing of the first"
    );

    // The same names in Kubernetes for different things in ECS are no conflict.
    let apart = labelled
        .replacen("\nspec:\n", "\nspec:\n  clusterName: shop-two\n", 1)
        .replacen(
            "\nspec:\n  requires",
            "\nspec:\n  family: web-two\n  requires",
            1,
        );
    second.apply(&apart)?;
    second.run(&[
        "wait",
        "--for=condition=Ready",
        "--timeout=60s",
        OBJECTS[0],
        OBJECTS[1],
        OBJECTS[2],
    ])?;
    let service = aws_server::service(&scenario.outsider, "shop-two", "web").await?;
    ensure!(
        service
            .task_definition()
            .is_some_and(|arn| arn.ends_with("web-two:1")),
        "{service:?}"
    );
    scenario.is_quiet().await?;
    scenario.end().await
}

pub(crate) async fn adopts_running_services_without_a_restart(world: &World) -> Result<()> {
    let scenario = world.rolling_scenario("take-over").await?;
    // Somebody made all three with another tool, from the very documents that the specs are.
    let samples = plain("web:1");
    let mut specs = samples.split("---\n").map(|document| {
        let object: Value = serde_saphyr::from_str(document)?;
        Ok::<_, anyhow::Error>(object["spec"].clone())
    });
    let mut next = || specs.next().context("three documents")?;
    let (mut cluster, mut definition, mut service) = (next()?, next()?, next()?);
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
            &world.rolling().await?.server.url,
            &scenario.account,
            "ecs",
            &target,
            &document,
        )
        .await?;
    }
    wait::until("their tasks", PATIENCE, async || {
        let service = aws_server::service(&scenario.outsider, "shop", "web").await?;
        ensure!(
            service.running_count() == 2 && service.pending_count() == 0,
            "{service:?}"
        );
        Ok(())
    })
    .await?;
    let running = (deployment(&scenario).await?, tasks(&scenario).await?);

    scenario.kubectl.apply(&samples)?;
    for object in OBJECTS {
        scenario.until_ready_is(object, "False", "NotOwned").await?;
    }
    scenario
        .kubectl
        .apply(&samples.replace("\nspec:\n", "\nspec:\n  adoptionPolicy: IfUnowned\n"))?;
    scenario.wait_ready(&OBJECTS)?;
    scenario.is_quiet().await?;
    let counts = scenario.aws_proxy.counts();
    ensure!(
        counts.writes() == counts.of("TagResource") && counts.writes() >= 3,
        "only tags were written: {counts:?}"
    );
    ensure!(
        (deployment(&scenario).await?, tasks(&scenario).await?) == running,
        "the tasks are the same"
    );
    ensure!(scenario.get(SERVICE)?["status"]["revision"] == "web:1");
    scenario.end().await
}

/// ARNs of the tasks that run.
async fn tasks(scenario: &Scenario<'_>) -> Result<Vec<String>> {
    let mut tasks = scenario
        .outsider
        .list_tasks()
        .cluster("shop")
        .service_name("web")
        .send()
        .await?
        .task_arns()
        .to_vec();
    tasks.sort();
    Ok(tasks)
}

/// ID of the PRIMARY deployment.
async fn deployment(scenario: &Scenario<'_>) -> Result<String> {
    let service = aws_server::service(&scenario.outsider, "shop", "web").await?;
    let primary = service
        .deployments()
        .iter()
        .find(|deployment| deployment.status() == Some("PRIMARY"));
    Ok(primary
        .and_then(|primary| primary.id())
        .context("a PRIMARY deployment")?
        .to_owned())
}

pub(crate) async fn objects_restored_from_git_find_what_is_theirs(world: &World) -> Result<()> {
    let mut scenario = world.scenario("restored").await?;
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;
    let (before, running) = (scenario.aws_proxy.counts(), deployment(&scenario).await?);
    // The cluster is lost with all that is in it, and AWS goes on.
    lose(&mut scenario).await?;
    scenario.start_operator()?;
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;
    only_tags_were_written(&scenario, &before)?;

    // Another cluster is another owner, unless somebody says that the former one is no more.
    lose(&mut scenario).await?;
    scenario
        .options
        .flags
        .push("--cluster-id=another".to_owned());
    scenario.start_operator()?;
    scenario.kubectl.apply(SAMPLES)?;
    let message = scenario
        .until_ready_is(OBJECTS[0], "False", "Conflict")
        .await?;
    let former = message
        .split('(')
        .nth(1)
        .and_then(|rest| rest.split('/').next())
        .context("the owner is named")?
        .to_owned();
    ensure!(message.contains("--former-cluster-ids"), "{message}");
    scenario.operator()?.process.stop().await?;
    scenario
        .options
        .flags
        .push(format!("--former-cluster-ids={former}"));
    scenario.start_operator()?;
    scenario.wait_ready(&OBJECTS)?;
    only_tags_were_written(&scenario, &before)?;
    ensure!(
        deployment(&scenario).await? == running,
        "the tasks are the same"
    );
    // What was taken back is ours to the end.
    scenario.kubectl.run(&["delete", "ecs", "--all"])?;
    ensure!(
        scenario.aws_proxy.counts().of("DeleteCluster") == 1,
        "{:?}",
        scenario.aws_proxy.counts()
    );
    scenario.end().await
}

pub(crate) async fn handed_over_services_keep_running(world: &World) -> Result<()> {
    let scenario = world.scenario("handed-over").await?;
    scenario
        .kubectl
        .apply(&SAMPLES.replace("\nspec:\n", "\nspec:\n  deletionPolicy: Retain\n"))?;
    scenario.wait_ready(&OBJECTS)?;
    let (before, running) = (scenario.aws_proxy.counts(), deployment(&scenario).await?);
    let arn_of = |object: &str, member: &str| {
        Ok::<_, anyhow::Error>(
            scenario.get(object)?["status"][member]
                .as_str()
                .context("an ARN")?
                .to_owned(),
        )
    };
    let arns = [
        arn_of(OBJECTS[0], "clusterArn")?,
        arn_of(OBJECTS[1], "taskDefinitionArn")?,
        arn_of(SERVICE, "serviceArn")?,
    ];
    scenario.kubectl.run(&["delete", "ecs", "--all"])?;

    // The same objects in AWS, by other names in Kubernetes.
    let mut renamed = SAMPLES
        .replace("name: shop\n", "name: market\n")
        .replace("\n  name: web\nspec", "\n  name: site\nspec")
        .replace("\n    name: web\n", "\n    name: site\n");
    for (kind, named) in [
        ("EcsCluster", "clusterName: shop"),
        ("EcsTaskDefinition", "family: web"),
        ("EcsService", "serviceName: web"),
    ] {
        let at = renamed
            .find(&format!("kind: {kind}\n"))
            .context("the sample")?;
        let spec = at + renamed[at..].find("\nspec:\n").context("its spec")? + "\nspec:\n".len();
        renamed.insert_str(spec, &format!("  {named}\n  adoptionPolicy: IfUnowned\n"));
    }
    scenario.kubectl.apply(&renamed)?;
    for (object, arn) in [
        "ecscluster/market",
        "ecstaskdefinition/site",
        "ecsservice/site",
    ]
    .into_iter()
    .zip(&arns)
    {
        let message = scenario.until_ready_is(object, "False", "Conflict").await?;
        ensure!(
            message.contains("deletionPolicy Retain") && message.contains("ecs-operator.dev/owner"),
            "{message}"
        );
        scenario
            .outsider
            .untag_resource()
            .resource_arn(arn)
            .tag_keys("ecs-operator.dev/owner")
            .send()
            .await?;
        scenario
            .kubectl
            .run(&["wait", object, "--for=condition=Ready", "--timeout=60s"])?;
    }
    only_tags_were_written(&scenario, &before)?;
    ensure!(
        deployment(&scenario).await? == running,
        "the tasks are the same"
    );
    scenario.end().await
}

/// Kills the operator and removes its objects without a trace in AWS.
async fn lose(scenario: &mut Scenario<'_>) -> Result<()> {
    scenario.operator()?.process.kill().await?;
    scenario
        .kubectl
        .run(&["delete", "ecs", "--all", "--wait=false"])?;
    for object in OBJECTS {
        scenario.kubectl.run(&[
            "patch",
            object,
            "--type=merge",
            "-p",
            r#"{"metadata":{"finalizers":null}}"#,
        ])?;
    }
    Ok(())
}

fn only_tags_were_written(scenario: &Scenario<'_>, before: &Counts) -> Result<()> {
    let after = scenario.aws_proxy.counts();
    let changes = |counts: &Counts| counts.of("TagResource") + counts.of("UntagResource");
    let tagged = changes(&after) - changes(before);
    ensure!(
        after.writes() - before.writes() == tagged,
        "only tags were written: {after:?}"
    );
    Ok(())
}

pub(crate) async fn one_of_two_concurrent_objects_gets_the_name(world: &World) -> Result<()> {
    let mut scenario = world.scenario_without_operator("race").await?;
    let rival = world.namespace("race-rival").await?;
    scenario
        .options
        .flags
        .push(format!("--watch-namespaces={rival}"));
    let others = world.kubectl(Some(&rival));
    let names: Vec<_> = (0..4).map(|number| format!("race-{number}")).collect();
    let both = |name: &String| {
        format!(
            "apiVersion: ecs-operator.dev/v1beta1\nkind: EcsCluster\nmetadata: {{name: {name}}}\n---\n\
             apiVersion: ecs-operator.dev/v1beta1\nkind: EcsTaskDefinition\nmetadata: {{name: {name}}}\n\
             spec: {{containerDefinitions: [{{name: app, image: nginx, memory: 64}}]}}\n---\n"
        )
    };
    let all: String = names.iter().map(both).collect();
    // The operator finds the objects of both namespaces at its start, and begins with all of them
    // at once.
    scenario.kubectl.apply(&all)?;
    others.apply(&all)?;
    scenario.start_operator()?;
    for name in &names {
        for kind in ["ecscluster", "ecstaskdefinition"] {
            let object = format!("{kind}/{name}");
            wait::until(&object, PATIENCE, async || {
                let reason = |kubectl: &Kubectl| -> Result<String> {
                    let path = "jsonpath={.status.conditions[?(@.type=='Ready')].reason}";
                    kubectl.run(&["get", &object, "-o", path])
                };
                let mut reasons = [reason(&scenario.kubectl)?, reason(&others)?];
                reasons.sort();
                ensure!(reasons == ["Conflict", "Succeeded"], "{reasons:?}");
                Ok(())
            })
            .await?;
        }
        let revisions = scenario
            .outsider
            .list_task_definitions()
            .family_prefix(name)
            .send()
            .await?;
        ensure!(revisions.task_definition_arns().len() == 1, "{revisions:?}");
    }
    let counts = scenario.aws_proxy.counts();
    ensure!(
        counts.of("CreateCluster") == names.len(),
        "each is created once: {counts:?}"
    );
    scenario.end().await
}
