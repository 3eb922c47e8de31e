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

/// Pushes an image of this content under a tag of the sample.
async fn push(scenario: &Scenario<'_>, tag: &str, content: &str) -> Result<Value> {
    let manifest = json!({"schemaVersion": 2, "content": content}).to_string();
    let image = json!({"repositoryName": "shop/web", "imageTag": tag, "imageManifest": manifest});
    outsider(scenario, "PutImage", image).await
}

/// A task definition of one container with this image.
fn definition(image: &str, more: &str) -> String {
    format!(
        "apiVersion: ecs-operator.dev/v1beta1\nkind: EcsTaskDefinition\nmetadata: {{name: web}}\n\
         spec: {{containerDefinitions: [{{name: web, image: \"{image}\", memory: 64}}]{more}}}\n"
    )
}

/// Name of the task definition for kubectl.
const DEFINITION: &str = "ecstaskdefinition/web";

/// With `imageResolution: Digest`, a revision names the digest, and each pushed image makes another.
pub(crate) async fn a_pushed_image_makes_a_revision_of_its_digest(world: &World) -> Result<()> {
    let scenario = world.scenario("digests").await?;
    // Tags can be moved.
    scenario.kubectl.apply(&changed())?;
    scenario.wait_ready(&[OBJECT])?;
    let uri = scenario.get(OBJECT)?["status"]["repositoryUri"]
        .as_str()
        .context("an address")?
        .to_owned();
    push(&scenario, "main", "first").await?;
    push(&scenario, "side", "beside it").await?;
    let side = format!("{{name: side, image: \"{uri}:side\", memory: 64}}");
    let spec = definition(&format!("{uri}:main"), ", imageResolution: Digest");
    scenario
        .kubectl
        .apply(&spec.replace("memory: 64}]", &format!("memory: 64}}, {side}]")))?;
    scenario.wait_ready(&[DEFINITION])?;
    let runs = async |revision: &str| -> Result<String> {
        let described = scenario
            .outsider
            .describe_task_definition()
            .task_definition(revision)
            .send()
            .await?;
        let definition = described.task_definition().context("a definition")?;
        let image = definition.container_definitions()[0].image();
        Ok(image.unwrap_or_default().to_owned())
    };
    let digest = |object: &Value| {
        let digest = &object["status"]["images"][0]["digest"];
        digest.as_str().unwrap_or_default().to_owned()
    };
    let first = digest(&scenario.get(DEFINITION)?);
    ensure!(runs("web:1").await? == format!("{uri}@{first}"), "{first}");
    scenario.is_quiet().await?;
    push(&scenario, "main", "second").await?;
    let object = scenario
        .until(DEFINITION, |object| object["status"]["revision"] == 2)
        .await?;
    let second = digest(&object);
    ensure!(second != first, "{object}");
    ensure!(
        runs("web:2").await? == format!("{uri}@{second}"),
        "{second}"
    );
    scenario
        .until_event("web", "RegisterTaskDefinition", &["main is", &second])
        .await?;
    scenario.is_quiet().await?;
    // A tag that is gone changes nothing.
    let image = json!({"repositoryName": "shop/web", "imageIds": [{"imageTag": "main"}]});
    outsider(&scenario, "BatchDeleteImage", image).await?;
    scenario.is_quiet().await?;
    let object = scenario.get(DEFINITION)?;
    ensure!(
        object["status"]["revision"] == 2 && digest(&object) == second,
        "{object}"
    );
    // The first image has lost its tag, and is still there.
    scenario.kubectl.run(&[
        "patch",
        OBJECT,
        "--type=merge",
        "-p",
        r#"{"spec":{"forceDelete":true}}"#,
    ])?;
    scenario.kubectl.run(&["delete", DEFINITION, OBJECT])?;
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
    push(&scenario, "1.20", "an image").await?;
    scenario
        .kubectl
        .apply(&definition(&format!("{uri}:1.21"), ""))?;
    let message = scenario
        .until_ready_is(DEFINITION, "False", "ImageNotFound")
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
        .apply(&definition(&format!("{uri}:1.21"), ""))?;
    push(&scenario, "1.21", "another image").await?;
    scenario.wait_ready(&[DEFINITION])?;
    scenario.is_quiet().await?;
    // What is pushed, or deleted, after that changes nothing.
    scenario.kubectl.run(&["delete", DEFINITION])?;
    let images = json!({"repositoryName": "shop/web", "imageIds": [{"imageTag": "1.20"}, {"imageTag": "1.21"}]});
    outsider(&scenario, "BatchDeleteImage", images).await?;
    scenario.kubectl.run(&["delete", OBJECT])?;
    scenario.until_empty().await?;
    scenario.end().await
}
