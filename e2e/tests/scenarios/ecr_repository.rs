//! An EcrRepository from its creation to its deletion.

use anyhow::{Context, Result, ensure};
use e2e::aws_server;
use e2e::world::{Scenario, World, ready};
use serde_json::{Value, json};

/// The sample.
pub(crate) const REPOSITORY: &str = include_str!("../../../samples/cases/ecr-repository.yaml");

/// Its name for kubectl.
pub(crate) const OBJECT: &str = "ecrrepository/web";

/// Another setting instead of the tag mutability of the sample.
const SCAN_ON_PUSH: &str = "imageScanningConfiguration: {scanOnPush: true}";

/// The sample without policies, and with another setting and tag.
pub(crate) fn changed() -> String {
    let (settings, rest) = REPOSITORY
        .split_once("  lifecyclePolicy:")
        .unwrap_or((REPOSITORY, ""));
    let tags = rest.rsplit_once("  tags:").map_or("", |(_, tags)| tags);
    format!("{settings}  tags:{tags}")
        .replace("imageTagMutability: IMMUTABLE", SCAN_ON_PUSH)
        .replace("key: team", "key: squad")
}

/// A call of ECR by an outsider.
async fn outsider(scenario: &Scenario<'_>, operation: &str, request: Value) -> Result<Value> {
    let target = format!("AmazonEC2ContainerRegistry_V20150921.{operation}");
    let (url, account) = (&scenario.world.aws.url, &scenario.account);
    aws_server::send(url, account, "ecr", &target, &request).await
}

/// The repository as ECR describes it.
async fn described(scenario: &Scenario<'_>) -> Result<Value> {
    let request = json!({"repositoryNames": ["shop/web"]});
    let mut reply = outsider(scenario, "DescribeRepositories", request).await?;
    Ok(reply["repositories"][0].take())
}

pub(crate) async fn follows_the_spec_and_waits_for_images_at_its_deletion(
    world: &World,
) -> Result<()> {
    let scenario = world.scenario("ecr").await?;
    scenario.kubectl.apply(REPOSITORY)?;
    scenario.wait_ready(&[OBJECT])?;
    let repository = described(&scenario).await?;
    ensure!(
        repository["imageTagMutability"] == "IMMUTABLE",
        "{repository}"
    );
    let object = scenario.get(OBJECT)?;
    let (status, uri) = (&object["status"], &repository["repositoryUri"]);
    ensure!(status["repositoryUri"] == *uri, "{status}");
    ensure!(
        status["repositoryArn"] == repository["repositoryArn"],
        "{status}"
    );
    let named = json!({"repositoryName": "shop/web"});
    let text = |reply: Value, member: &str| -> Result<Value> {
        Ok(serde_json::from_str(
            reply[member].as_str().context("a policy")?,
        )?)
    };
    let lifecycle = outsider(&scenario, "GetLifecyclePolicy", named.clone()).await?;
    let lifecycle = text(lifecycle, "lifecyclePolicyText")?;
    ensure!(
        lifecycle["rules"][1]["selection"]["countNumber"] == 10,
        "{lifecycle}"
    );
    let access = outsider(&scenario, "GetRepositoryPolicy", named.clone()).await?;
    let access = text(access, "policyText")?;
    ensure!(access["Statement"][0]["Sid"] == "pull", "{access}");
    scenario.is_quiet().await?;

    // A change, and a change behind the operator's back.
    scenario.kubectl.apply(&changed())?;
    scenario.wait_ready(&[OBJECT])?;
    for operation in ["GetLifecyclePolicy", "GetRepositoryPolicy"] {
        let reply = outsider(&scenario, operation, named.clone()).await;
        ensure!(reply.is_err(), "the spec has dropped it: {reply:?}");
    }
    let repository = described(&scenario).await?;
    ensure!(
        repository["imageTagMutability"] == "MUTABLE",
        "{repository}"
    );
    let scanning = &repository["imageScanningConfiguration"];
    ensure!(scanning["scanOnPush"] == true, "{repository}");
    let request = json!({"resourceArn": repository["repositoryArn"]});
    let tags = outsider(&scenario, "ListTagsForResource", request).await?["tags"].to_string();
    ensure!(tags.contains("squad") && !tags.contains("team"), "{tags}");
    scenario.is_quiet().await?;
    let scan_off =
        json!({"repositoryName": "shop/web", "imageScanningConfiguration": {"scanOnPush": false}});
    outsider(&scenario, "PutImageScanningConfiguration", scan_off).await?;
    scenario
        .kubectl
        .run(&["annotate", OBJECT, "ecs-operator.dev/reconcileAt=now"])?;
    scenario
        .until(OBJECT, |object| {
            object["status"]["lastHandledReconcileAt"] == "now"
        })
        .await?;
    let repository = described(&scenario).await?;
    ensure!(
        repository["imageScanningConfiguration"]["scanOnPush"] == true,
        "{repository}"
    );

    // Nothing that holds images is deleted.
    let image = json!({"repositoryName": "shop/web", "imageTag": "1", "imageManifest": "{\"schemaVersion\": 2}"});
    outsider(&scenario, "PutImage", image).await?;
    scenario.kubectl.run(&["delete", OBJECT, "--wait=false"])?;
    scenario
        .until_ready_is(OBJECT, "False", "DeletionBlocked")
        .await?;
    let object = scenario.get(OBJECT)?;
    let message = ready(&object).context("a condition")?["message"].to_string();
    ensure!(
        message.contains("repository shop/web holds 1 image"),
        "{message}"
    );
    let image = json!({"repositoryName": "shop/web", "imageIds": [{"imageTag": "1"}]});
    outsider(&scenario, "BatchDeleteImage", image).await?;
    scenario.until_empty().await?;
    ensure!(described(&scenario).await.is_err(), "it is deleted");
    scenario.end().await
}

/// A task definition is registered when its image in ECR exists, and a typo is reported before
/// that.
pub(crate) async fn a_missing_image_is_reported_before_anything_is_registered(
    world: &World,
) -> Result<()> {
    let scenario = world.scenario("images").await?;
    scenario.kubectl.apply(REPOSITORY)?;
    scenario.wait_ready(&[OBJECT])?;
    let uri = scenario.get(OBJECT)?["status"]["repositoryUri"]
        .as_str()
        .context("an address")?
        .to_owned();
    let push = async |tag: &str| {
        let image = json!({"repositoryName": "shop/web", "imageTag": tag, "imageManifest": "{\"schemaVersion\": 2}"});
        outsider(&scenario, "PutImage", image).await
    };
    push("1.20").await?;
    let definition = |image: &str| {
        format!(
            "apiVersion: ecs-operator.dev/v1beta1\nkind: EcsTaskDefinition\nmetadata: {{name: web}}\n\
             spec: {{containerDefinitions: [{{name: web, image: \"{image}\", memory: 64}}]}}\n"
        )
    };
    let object = "ecstaskdefinition/web";
    scenario
        .kubectl
        .apply(&definition(&format!("{uri}:1.21")))?;
    let message = scenario
        .until_ready_is(object, "False", "ImageNotFound")
        .await?;
    ensure!(
        message.contains("has no tag 1.21 (it has 1.20)"),
        "{message}"
    );
    ensure!(
        scenario.aws_proxy.counts().of("RegisterTaskDefinition") == 0,
        "{:?}",
        scenario.aws_proxy.counts()
    );
    // The image is pushed later.
    scenario
        .kubectl
        .apply(&definition(&format!("{uri}:1.21")))?;
    push("1.21").await?;
    scenario.wait_ready(&[object])?;
    scenario.is_quiet().await?;
    // What is pushed, or deleted, after that changes nothing.
    scenario.kubectl.run(&["delete", object])?;
    let images = json!({"repositoryName": "shop/web", "imageIds": [{"imageTag": "1.20"}, {"imageTag": "1.21"}]});
    outsider(&scenario, "BatchDeleteImage", images).await?;
    scenario.kubectl.run(&["delete", OBJECT])?;
    scenario.until_empty().await?;
    scenario.end().await
}
