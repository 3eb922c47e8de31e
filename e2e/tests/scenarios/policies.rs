//! What the spec lets the operator do: observe, suspend, protect, leave parts to others.

use anyhow::{Result, ensure};
use e2e::aws_server;
use e2e::wait;
use e2e::world::{PATIENCE, Scenario, World, condition, ready};
use serde_json::Value;

use crate::basics::{OBJECTS, SAMPLES, SERVICE};

/// The samples with a line more at the beginning of each spec.
fn samples_with(line: &str) -> String {
    SAMPLES.replace("\nspec:\n", &format!("\nspec:\n  {line}\n"))
}

/// Has the operator make all three, and lets them go so that nobody owns them.
async fn leave_unowned(scenario: &Scenario<'_>) -> Result<()> {
    scenario
        .kubectl
        .apply(&samples_with("deletionPolicy: Retain"))?;
    scenario.wait_ready(&OBJECTS)?;
    let arns = ["clusterArn", "taskDefinitionArn", "serviceArn"];
    let mut owned = Vec::new();
    for (object, arn) in OBJECTS.iter().zip(arns) {
        owned.push(
            scenario.get(object)?["status"][arn]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        );
    }
    scenario.kubectl.run(&["delete", "ecs", "--all"])?;
    for arn in owned {
        let keys = ["ecs-operator.dev/owner", "ecs-operator.dev/spec-hash"];
        scenario
            .outsider
            .untag_resource()
            .resource_arn(arn)
            .set_tag_keys(Some(keys.map(str::to_owned).to_vec()))
            .send()
            .await?;
    }
    Ok(())
}

pub(crate) async fn observe_writes_nothing_and_lists_pending_changes(world: &World) -> Result<()> {
    let scenario = world.scenario("observe").await?;
    scenario
        .kubectl
        .apply(&samples_with("managementPolicy: Observe"))?;
    let message = scenario
        .until_ready_is(OBJECTS[0], "False", "Observing")
        .await?;
    ensure!(message.contains("CreateCluster: cluster shop"), "{message}");
    ensure!(
        scenario.get(OBJECTS[0])?["status"]["pendingChanges"][0] == "CreateCluster: cluster shop"
    );
    ensure!(
        scenario.aws_proxy.counts().writes() == 0,
        "{:?}",
        scenario.aws_proxy.counts()
    );
    scenario.kubectl.run(&["delete", "ecs", "--all"])?;

    leave_unowned(&scenario).await?;
    let writes = scenario.aws_proxy.counts().writes();
    scenario
        .kubectl
        .apply(&samples_with("managementPolicy: Observe"))?;
    scenario.wait_ready(&OBJECTS)?;
    scenario
        .outsider
        .update_service()
        .cluster("shop")
        .service("web")
        .desired_count(1)
        .send()
        .await?;
    let message = scenario
        .until_ready_is(SERVICE, "False", "Observing")
        .await?;
    ensure!(
        message.contains("UpdateService: service web in cluster shop: desiredCount"),
        "{message}"
    );
    ensure!(
        scenario.get(SERVICE)?["status"]["runningCount"] == 1,
        "what runs is shown"
    );
    scenario.kubectl.run(&["delete", "ecs", "--all"])?;
    ensure!(
        scenario.aws_proxy.counts().writes() == writes,
        "{:?}",
        scenario.aws_proxy.counts()
    );
    let service = aws_server::service(&scenario.outsider, "shop", "web").await?;
    ensure!(service.status() == Some("ACTIVE"), "{service:?}");
    scenario.end().await
}

pub(crate) async fn a_suspended_object_waits_and_resumes(world: &World) -> Result<()> {
    let scenario = world.scenario("suspend").await?;
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;
    let writes = scenario.aws_proxy.counts().writes();
    let suspended = samples_with("suspend: true").replace("desiredCount: 2", "desiredCount: 3");
    scenario.kubectl.apply(&suspended)?;
    let service = scenario
        .until(SERVICE, |service| {
            condition(service, "Suspended").is_some()
                && !service["status"]["pendingChanges"].is_null()
        })
        .await?;
    ensure!(
        service["status"]["pendingChanges"][0]
            == "UpdateService: service web in cluster shop: desiredCount",
        "{service}"
    );
    // To those who wait it is as it was, and nothing is under way.
    ensure!(
        ready(&service).is_some_and(|ready| ready["status"] == "True"),
        "{service}"
    );
    ensure!(
        service["status"]["observedGeneration"] == service["metadata"]["generation"],
        "{service}"
    );
    scenario.is_quiet().await?;
    ensure!(
        scenario.aws_proxy.counts().writes() == writes,
        "{:?}",
        scenario.aws_proxy.counts()
    );

    scenario
        .kubectl
        .apply(&suspended.replace("suspend: true", "suspend: false"))?;
    let service = scenario
        .until(SERVICE, |service| service["status"]["runningCount"] == 3)
        .await?;
    ensure!(
        condition(&service, "Suspended").is_none() && service["status"]["pendingChanges"].is_null(),
        "{service}"
    );
    // What is suspended can be deleted all the same.
    scenario.kubectl.apply(&suspended)?;
    scenario.kubectl.run(&["delete", "ecs", "--all"])?;
    ensure!(
        scenario.aws_proxy.counts().of("DeleteService") == 1,
        "{:?}",
        scenario.aws_proxy.counts()
    );
    scenario.end().await
}

pub(crate) async fn protected_objects_cannot_be_deleted(world: &World) -> Result<()> {
    let scenario = world.scenario("protect").await?;
    scenario
        .kubectl
        .apply(&samples_with("deletionProtection: true"))?;
    scenario.wait_ready(&OBJECTS)?;
    // The policy takes a moment until the API server enforces it.
    let refused = wait::until("the policy", PATIENCE, async || {
        match scenario
            .kubectl
            .run(&["delete", SERVICE, "--dry-run=server"])
        {
            Ok(_) => Err(anyhow::anyhow!("not refused")),
            Err(refused) => Ok(refused.to_string()),
        }
    })
    .await?;
    ensure!(
        refused.contains("EcsService web is protected: set spec.deletionProtection to false"),
        "{refused}"
    );
    ensure!(scenario.kubectl.run(&["delete", "ecs", "--all"]).is_err());
    scenario.wait_ready(&OBJECTS)?;
    scenario.kubectl.apply(SAMPLES)?;
    scenario.kubectl.run(&["delete", "ecs", "--all"])?;
    scenario.end().await
}

pub(crate) async fn ignored_fields_are_not_repaired(world: &World) -> Result<()> {
    let scenario = world.scenario("ignore").await?;
    let ignoring = |pointers: &str| {
        SAMPLES.replace(
            "  clusterRef:",
            &format!("  ignoreFields: {pointers}\n  clusterRef:"),
        )
    };
    let pointers = r#"["/desiredCount", "/deploymentConfiguration/maximumPercent"]"#;
    scenario.kubectl.apply(&ignoring(pointers))?;
    scenario.wait_ready(&OBJECTS)?;
    scenario
        .outsider
        .update_service()
        .cluster("shop")
        .service("web")
        .desired_count(4)
        .send()
        .await?;
    scenario
        .until(SERVICE, |service| service["status"]["runningCount"] == 4)
        .await?;
    scenario.is_quiet().await?;
    ensure!(
        scenario.aws_proxy.counts().of("UpdateService") == 0,
        "{:?}",
        scenario.aws_proxy.counts()
    );

    for (pointer, words) in [
        ("desiredCount", r#"write "/desiredCount""#),
        ("/serviceName", "says which AWS object it is"),
    ] {
        scenario
            .kubectl
            .apply(&ignoring(&format!(r#"["{pointer}"]"#)))?;
        let told = |service: &Value| {
            ready(service)
                .and_then(|ready| ready["message"].as_str())
                .is_some_and(|message| message.contains(words))
        };
        let service = scenario.until(SERVICE, told).await?;
        ensure!(
            ready(&service).is_some_and(|ready| ready["reason"] == "InvalidSpec"),
            "{service}"
        );
        scenario.until_event("web", "InvalidSpec", &[words]).await?;
    }
    ensure!(
        scenario.aws_proxy.counts().of("UpdateService") == 0,
        "{:?}",
        scenario.aws_proxy.counts()
    );
    scenario.end().await
}

pub(crate) async fn a_namespace_uses_the_clusters_that_it_may_use(world: &World) -> Result<()> {
    let mut scenario = world.scenario_without_operator("allowed").await?;
    scenario.options.flags.push(format!(
        "--allowed-clusters={0}=eu-*/team-*,{0}=us-*/shop,others=*",
        scenario.namespace
    ));
    scenario.start_operator()?;
    scenario.operator()?.ready().await?;
    scenario.kubectl.apply(SAMPLES)?;
    for object in [OBJECTS[0], SERVICE] {
        let message = scenario
            .until_ready_is(object, "False", "ClusterNotAllowed")
            .await?;
        ensure!(
            message.contains("may not use ECS cluster shop in eu-central-1")
                && message.ends_with("use: eu-*/team-*, us-*/shop"),
            "{message}"
        );
    }
    scenario.wait_ready(&OBJECTS[1..2])?;
    // Nor are they looked after: looks come from what is allowed alone.
    let looks = |scenario: &Scenario<'_>| scenario.aws_proxy.counts().of("DescribeTaskDefinition");
    let before = looks(&scenario);
    wait::until("regular looks", PATIENCE, async || {
        ensure!(
            looks(&scenario) >= before + 2,
            "{:?}",
            scenario.aws_proxy.counts()
        );
        Ok(())
    })
    .await?;
    let counts = scenario.aws_proxy.counts();
    ensure!(
        [
            "CreateCluster",
            "CreateService",
            "DescribeClusters",
            "DescribeServices"
        ]
        .iter()
        .all(|name| counts.of(name) == 0),
        "{counts:?}"
    );
    // What is not allowed can be taken back.
    scenario.kubectl.run(&["delete", OBJECTS[0], SERVICE])?;
    let allowed = SAMPLES.replacen("\nspec:\n", "\nspec:\n  clusterName: team-shop\n", 1);
    scenario.kubectl.apply(&allowed)?;
    scenario.wait_ready(&OBJECTS)?;
    ensure!(
        scenario.get(SERVICE)?["status"]["clusterArn"]
            .as_str()
            .is_some_and(|arn| arn.ends_with("cluster/team-shop"))
    );
    scenario.end().await
}
