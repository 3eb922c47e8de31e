//! Revisions of a family: ours that grow old, and those of others.

use anyhow::{Context, Result, ensure};
use aws_sdk_ecs::types::{ContainerDefinition, TaskDefinitionStatus};
use e2e::wait;
use e2e::world::{PATIENCE, Scenario, World};

use crate::basics::{OBJECTS, SAMPLES, SERVICE};

fn samples_keeping(more: &str, image: &str) -> String {
    SAMPLES
        .replace(
            "  requiresCompatibilities:",
            &format!("  {more}\n  requiresCompatibilities:"),
        )
        .replace("nginx:1.29", image)
}

async fn roll(
    scenario: &Scenario<'_>,
    more: &str,
    numbers: std::ops::RangeInclusive<i32>,
) -> Result<()> {
    for number in numbers {
        scenario
            .kubectl
            .apply(&samples_keeping(more, &format!("nginx:{number}")))?;
        let revision = format!("web:{number}");
        scenario
            .until(SERVICE, |service| {
                service["status"]["revision"] == revision.as_str()
            })
            .await?;
        scenario.wait_ready(&OBJECTS)?;
    }
    Ok(())
}

async fn listed(scenario: &Scenario<'_>, status: TaskDefinitionStatus) -> Result<Vec<String>> {
    let listed = scenario
        .outsider
        .list_task_definitions()
        .family_prefix("web")
        .status(status)
        .send()
        .await?;
    let name = |arn: &String| arn.rsplit('/').next().unwrap_or_default().to_owned();
    Ok(listed.task_definition_arns().iter().map(name).collect())
}

async fn until_active(scenario: &Scenario<'_>, expected: &[&str]) -> Result<()> {
    wait::until("old revisions", PATIENCE, async || {
        let mut active = listed(scenario, TaskDefinitionStatus::Active).await?;
        active.sort();
        ensure!(active == expected, "{active:?}");
        Ok(())
    })
    .await
}

pub(crate) async fn old_revisions_go_unless_somebody_needs_them(world: &World) -> Result<()> {
    let scenario = world.scenario("history").await?;
    roll(&scenario, "revisionHistoryLimit: 1", 1..=1).await?;
    // Somebody else runs the first, and registers one of their own.
    let outsider = &scenario.outsider;
    outsider
        .create_service()
        .cluster("shop")
        .service_name("legacy")
        .task_definition("web:1")
        .desired_count(0)
        .send()
        .await?;
    let container = ContainerDefinition::builder()
        .name("ci")
        .image("ci:1")
        .build();
    outsider
        .register_task_definition()
        .family("web")
        .container_definitions(container)
        .send()
        .await?;
    roll(&scenario, "revisionHistoryLimit: 1", 3..=9).await?;
    // Ours are 1 and 3 to 9. The last is current, one more stays, and the service can be rolled
    // back to the five before.
    until_active(
        &scenario,
        &[
            "web:1", "web:2", "web:4", "web:5", "web:6", "web:7", "web:8", "web:9",
        ],
    )
    .await?;
    scenario.is_quiet().await?;
    ensure!(
        scenario.aws_proxy.counts().of("DeregisterTaskDefinition") == 1,
        "{:?}",
        scenario.aws_proxy.counts()
    );

    // At the end all of ours go but the one that somebody still runs.
    scenario.kubectl.run(&["delete", SERVICE])?;
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
    until_active(&scenario, &["web:1", "web:2"]).await?;
    scenario
        .outsider
        .delete_service()
        .cluster("shop")
        .service("legacy")
        .force(true)
        .send()
        .await?;
    scenario
        .kubectl
        .run(&["wait", "--for=delete", "--timeout=60s", OBJECTS[1]])?;
    until_active(&scenario, &["web:2"]).await?;
    scenario.end().await
}

pub(crate) async fn old_revisions_can_be_deleted_and_others_are_only_shown(
    world: &World,
) -> Result<()> {
    let scenario = world.scenario("delete-history").await?;
    let more = "revisionHistoryLimit: 0\n  deleteRevisions: true";
    // Without a service nobody needs the old ones.
    let definition = |image: &str| {
        let samples = samples_keeping(more, image);
        samples
            .split("---\n")
            .nth(1)
            .map(str::to_owned)
            .context("a task definition")
    };
    for number in 1..=3 {
        scenario
            .kubectl
            .apply(&definition(&format!("nginx:{number}"))?)?;
        scenario
            .until(OBJECTS[1], |object| object["status"]["revision"] == number)
            .await?;
    }
    scenario
        .kubectl
        .run(&["annotate", OBJECTS[1], "ecs-operator.dev/reconcileAt=now"])?;
    until_active(&scenario, &["web:3"]).await?;
    scenario
        .until(OBJECTS[1], |object| {
            object["status"]["revisions"] == serde_json::json!([3])
        })
        .await?;
    let inactive = listed(&scenario, TaskDefinitionStatus::Inactive).await?;
    ensure!(inactive.is_empty(), "{inactive:?} are only deregistered");

    let container = ContainerDefinition::builder()
        .name("ci")
        .image("ci:1")
        .build();
    scenario
        .outsider
        .register_task_definition()
        .family("web")
        .container_definitions(container)
        .send()
        .await?;
    scenario
        .until(OBJECTS[1], |object| {
            object["status"]["foreignRevision"] == "web:4"
        })
        .await?;
    ensure!(scenario.get(OBJECTS[1])?["status"]["revision"] == 3);
    scenario.kubectl.run(&["delete", OBJECTS[1]])?;
    until_active(&scenario, &["web:4"]).await?;
    scenario.end().await
}

pub(crate) async fn a_limit_holds_for_what_had_to_wait_for_its_turn(world: &World) -> Result<()> {
    let scenario = world.scenario("queued").await?;
    // More than the burst of the operator's share.
    let names: Vec<_> = (0..14).map(|number| format!("limited-{number}")).collect();
    let definition = |name: &str, image: &str| {
        format!(
            "apiVersion: ecs-operator.dev/v1beta1\nkind: EcsTaskDefinition\nmetadata: {{name: {name}}}\n\
             spec: {{revisionHistoryLimit: 0, containerDefinitions: [{{name: app, image: \"{image}\", memory: 64}}]}}\n---\n"
        )
    };
    let all: String = names
        .iter()
        .map(|name| definition(name, "nginx:1"))
        .collect();
    scenario.kubectl.apply(&all)?;
    for name in &names {
        scenario
            .until(&format!("ecstaskdefinition/{name}"), |definition| {
                definition["status"]["revision"] == 1
            })
            .await?;
    }
    // The last of them had to wait for its turn.
    let calls = scenario.aws_proxy.calls();
    let registered: Vec<_> = calls
        .iter()
        .filter(|call| call.operation == "RegisterTaskDefinition")
        .collect();
    let queued = registered
        .last()
        .and_then(|call| call.request["family"].as_str())
        .context("it is registered")?;
    let object = format!("ecstaskdefinition/{queued}");
    for number in 2..=3 {
        scenario
            .kubectl
            .apply(&definition(queued, &format!("nginx:{number}")))?;
        scenario
            .until(&object, |definition| {
                definition["status"]["revision"] == number
            })
            .await?;
    }
    wait::until("one revision", PATIENCE, async || {
        let active = scenario
            .outsider
            .list_task_definitions()
            .family_prefix(queued)
            .status(TaskDefinitionStatus::Active)
            .send()
            .await?;
        ensure!(active.task_definition_arns().len() == 1, "{active:?}");
        Ok(())
    })
    .await?;
    scenario.end().await
}
