//! Mistakes of users, and what they see.

use anyhow::{Result, ensure};
use e2e::world::{World, condition};

use crate::basics::{OBJECTS, SAMPLES, SERVICE};

pub(crate) async fn a_missing_reference_starts_the_service_when_it_appears(
    world: &World,
) -> Result<()> {
    let scenario = world.scenario("reference").await?;
    let (rest, service) = SAMPLES
        .rsplit_once("---\n")
        .expect("the service stands last");
    let (cluster, definition) = rest.split_once("---\n").expect("three documents");
    scenario.kubectl.apply(service)?;
    let message = scenario
        .until_ready_is(SERVICE, "False", "DependencyNotReady")
        .await?;
    ensure!(
        message.contains("EcsCluster shop (spec.clusterRef) does not exist"),
        "{message}"
    );
    ensure!(
        condition(&scenario.get(SERVICE)?, "Reconciling").is_some(),
        "it goes on by itself"
    );
    scenario.kubectl.apply(cluster)?;
    scenario.wait_ready(&OBJECTS[..1])?;
    let named = |object: &serde_json::Value| {
        condition(object, "Ready").is_some_and(|ready| {
            ready["message"]
                .as_str()
                .is_some_and(|text| text.contains("EcsTaskDefinition web"))
        })
    };
    scenario.until(SERVICE, named).await?;
    ensure!(scenario.aws_proxy.counts().of("CreateService") == 0);
    scenario.kubectl.apply(definition)?;
    scenario.wait_ready(&OBJECTS)?;
    scenario.is_quiet().await?;
    scenario.end().await
}

pub(crate) async fn the_schema_refuses_with_words(world: &World) -> Result<()> {
    let scenario = world.scenario_without_operator("schema").await?;
    let kubectl = &scenario.kubectl;
    let rows = [
        (SAMPLES.replace("desiredCount: 2", "desiredCount: -1"), "spec.desiredCount"),
        (SAMPLES.replace("desiredCount: 2", "desiredCont: 2"), ".spec.desiredCont: field not declared in schema"),
        (SAMPLES.replace("  name: shop\nspec", "  name: shop.eu\nspec"), "set spec.clusterName"),
        (SAMPLES.replace("interval: 10", "interval: 1"), "spec.containerDefinitions[0].healthCheck.interval"),
        (SAMPLES.replace("  launchType", "  cluster: other\n  launchType"), "cluster and clusterRef exclude each other"),
        (
            SAMPLES.replace("  taskDefinitionRef:\n    name: web\n", "  taskDefinitionRef:\n    name: \"web:1\"\n"),
            "spec.taskDefinitionRef.name",
        ),
        (SAMPLES.replace("  taskDefinitionRef:\n    name: web\n", ""), "taskDefinitionRef (an EcsTaskDefinition"),
        (
            SAMPLES.replace(
                "  launchType: FARGATE\n",
                "  launchType: FARGATE\n  capacityProviderStrategy: [{capacityProvider: FARGATE}]\n",
            ),
            "launchType and capacityProviderStrategy exclude each other",
        ),
        (SAMPLES.replace("  desiredCount", "  schedulingStrategy: DAEMON\n  desiredCount"), "desiredCount has no meaning with"),
        (
            SAMPLES.replace("    - name: metrics\n", "    - name: web\n"),
            ".spec.containerDefinitions: duplicate entries for key [name=\"web\"]",
        ),
    ];
    for (manifests, words) in rows {
        ensure!(
            manifests != SAMPLES,
            "the row for {words:?} changes nothing"
        );
        let refusal = kubectl.refused(&manifests)?;
        ensure!(refusal.contains(words), "{words} is not in\n{refusal}");
    }
    kubectl.apply(SAMPLES)?;
    let refusal =
        kubectl.refused(&SAMPLES.replacen("\nspec:\n", "\nspec:\n  clusterName: other\n", 1))?;
    ensure!(refusal.contains("clusterName cannot change"), "{refusal}");
    let refusal = kubectl.refused(&SAMPLES.replace(
        "clusterRef:\n    name: shop",
        "clusterRef:\n    name: other",
    ))?;
    ensure!(refusal.contains("clusterRef cannot change"), "{refusal}");
    scenario.end().await
}

pub(crate) async fn a_service_that_does_not_fit_its_task_definition_is_told_before_aws(
    world: &World,
) -> Result<()> {
    let scenario = world.scenario("misfit").await?;
    let balancer = "  loadBalancers: [{targetGroupArn: t, containerName: wbe, containerPort: 80}]\n  launchType";
    scenario
        .kubectl
        .apply(&SAMPLES.replace("  launchType", balancer))?;
    let message = scenario
        .until_ready_is(SERVICE, "False", "InvalidSpec")
        .await?;
    ensure!(
        message.contains(
            "containerName wbe is not a container of the task definition: it has [web, metrics]"
        ),
        "{message}"
    );
    ensure!(
        scenario.aws_proxy.counts().of("CreateService") == 0,
        "{:?}",
        scenario.aws_proxy.counts()
    );
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;
    scenario.end().await
}

pub(crate) async fn a_cycle_of_dependencies_is_told_before_aws(world: &World) -> Result<()> {
    let scenario = world.scenario("cycle").await?;
    let manifest = |dependencies: &str| {
        format!(
            "apiVersion: ecs-operator.dev/v1beta1
kind: EcsTaskDefinition
metadata: {{name: web}}
spec:
  memory: \"512\"
  containerDefinitions:
    - {{name: web, image: web:1, dependsOn: [{{containerName: db, condition: START}}]}}
    - {{name: db, image: db:1, dependsOn: [{dependencies}]}}
"
        )
    };
    scenario
        .kubectl
        .apply(&manifest("{containerName: web, condition: START}"))?;
    let message = scenario
        .until_ready_is("ecstaskdefinition/web", "False", "InvalidSpec")
        .await?;
    ensure!(
        message.contains("containerDefinitions[].dependsOn: web -> db -> web is a cycle"),
        "{message}"
    );
    ensure!(
        scenario.aws_proxy.counts().writes() == 0,
        "{:?}",
        scenario.aws_proxy.counts()
    );
    scenario.kubectl.apply(&manifest(""))?;
    scenario.wait_ready(&["ecstaskdefinition/web"])?;
    scenario.end().await
}

pub(crate) async fn a_refusal_of_aws_is_told_once_and_mended_by_a_new_spec(
    world: &World,
) -> Result<()> {
    let scenario = world.scenario("refused").await?;
    let nothing =
        "  taskDefinition: arn:aws:ecs:eu-central-1:111122223333:task-definition/nothing:7\n";
    let wrong = SAMPLES.replace("  taskDefinitionRef:\n    name: web\n", nothing);
    scenario.kubectl.apply(&wrong)?;
    let message = scenario
        .until_ready_is(SERVICE, "False", "InvalidSpec")
        .await?;
    ensure!(
        message.contains("CreateService: Unable to find task definition")
            && message.contains("nothing:7"),
        "{message}"
    );
    let service = scenario.get(SERVICE)?;
    ensure!(
        condition(&service, "Stalled").is_some() && condition(&service, "Reconciling").is_none(),
        "{service}"
    );
    ensure!(
        service["spec"]["taskDefinition"]
            .as_str()
            .is_some_and(|arn| arn.ends_with("nothing:7")),
        "the spec is the user's"
    );
    scenario.is_quiet().await?;
    ensure!(
        scenario.aws_proxy.counts().of("CreateService") == 1,
        "no hot loop: {:?}",
        scenario.aws_proxy.counts()
    );
    scenario.told_once("web", "InvalidSpec").await?;

    // The new field takes the place of the old one only where the same manager drops it.
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;
    scenario.end().await
}
