//! What a task definition makes of answers of ECR about its images.

use ecs_operator_crds::v1beta1::EcsTaskDefinition;
use serde_json::{Value, json};

use super::support::{Reply, World, refusal, success};

const IMAGE: &str = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/shop/web:1.2";

fn definition() -> Value {
    json!({
        "apiVersion": "ecs-operator.dev/v1beta1",
        "kind": "EcsTaskDefinition",
        "metadata": {"name": "web", "namespace": "default", "uid": "u-1", "generation": 1, "resourceVersion": "1"},
        "spec": {"containerDefinitions": [{"name": "web", "image": IMAGE}]},
    })
}

/// An answer of ECR.
type Answer = fn() -> Reply;

/// An ECS without revisions, and an ECR that answers so.
fn aws(images: Answer, rules: Answer) -> impl Fn(&str, &Value) -> Reply + Clone {
    move |operation, request| match operation {
        "DescribeImages" => images(),
        "DescribePullThroughCacheRules" => rules(),
        "ListImages" => success(&json!({"imageIds": [{"imageTag": "1.20"}]})),
        "ListTaskDefinitions" => success(&json!({"taskDefinitionArns": []})),
        "RegisterTaskDefinition" => success(&json!({"tags": request["tags"], "taskDefinition": {
            "taskDefinitionArn": "arn:aws:ecs:eu-central-1:111122223333:task-definition/web:1",
            "family": "web", "revision": 1, "status": "ACTIVE",
            "containerDefinitions": request["containerDefinitions"]}})),
        other => refusal("InvalidAction", other),
    }
}

fn no_repository() -> Reply {
    refusal("RepositoryNotFoundException", "no repository shop/web")
}

fn no_image() -> Reply {
    refusal("ImageNotFoundException", "no tag 1.2")
}

fn denied() -> Reply {
    refusal("AccessDeniedException", "not authorized")
}

fn no_rules() -> Reply {
    success(&json!({"pullThroughCacheRules": []}))
}

fn rules() -> Reply {
    success(&json!({"pullThroughCacheRules": [{"ecrRepositoryPrefix": "shop"}]}))
}

#[tokio::test]
async fn only_an_image_that_is_known_to_be_missing_prevents_the_registration() {
    let archived =
        || success(&json!({"imageDetails": [{"imageTags": ["1.2"], "imageStatus": "ARCHIVED"}]}));
    let there = || success(&json!({"imageDetails": [{"imageTags": ["1.2"]}]}));
    let rows: [(&str, Answer, Answer, &str); 9] = [
        ("no repository", no_repository, no_rules, "does not exist"),
        ("made by the first pull", no_repository, rules, ""),
        ("rules cannot be read", no_repository, denied, ""),
        (
            "no image",
            no_image,
            no_rules,
            "has no tag 1.2 (it has 1.20)",
        ),
        ("brought by the first pull", no_image, rules, ""),
        ("no image, rules cannot be read", no_image, denied, ""),
        ("archived", archived, denied, "is archived"),
        ("cannot be read", denied, denied, ""),
        ("there", there, denied, ""),
    ];
    for (name, images, rules, words) in rows {
        let world = World::new(definition(), aws(images, rules)).await;
        world.pass::<EcsTaskDefinition>().await;
        let (shapes, message) = world.conditions();
        let registers = world
            .new_writes()
            .contains(&"RegisterTaskDefinition".to_owned());
        if words.is_empty() {
            assert_eq!(shapes, ["Ready True Succeeded"], "{name}");
            assert!(registers, "{name}");
        } else {
            assert_eq!(
                shapes,
                ["Ready False ImageNotFound", "Stalled True ImageNotFound"],
                "{name}"
            );
            assert!(message.contains(words), "{name}: {message}");
            assert!(!registers, "{name}");
        }
    }
}
