//! What a task definition makes of answers of ECR about its images.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

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

fn throttled() -> Reply {
    refusal("ThrottlingException", "Rate exceeded")
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

#[tokio::test]
async fn registers_nothing_while_ecr_may_answer_in_a_moment() {
    let rows: [(&str, Answer, Answer); 2] = [
        ("images", throttled, no_rules),
        ("rules", no_image, throttled),
    ];
    for resolution in ["AsWritten", "Digest"] {
        for (name, images, rules) in rows {
            let mut object = definition();
            object["spec"]["imageResolution"] = resolution.into();
            let world = World::new(object, aws(images, rules)).await;
            let back = world.pass::<EcsTaskDefinition>().await;
            let writes = world.new_writes();
            assert!(
                !writes.contains(&"RegisterTaskDefinition".to_owned()),
                "{name}, {resolution}: {writes:?}"
            );
            assert!(back.is_some(), "{name}, {resolution}: nobody looks again");
        }
    }
}

#[tokio::test]
async fn a_digest_that_cannot_be_read_again_is_not_taken_for_current() {
    let fails = Arc::new(AtomicBool::default());
    let registered = Arc::new(Mutex::new(Value::Null));
    let arn = "arn:aws:ecs:eu-central-1:111122223333:task-definition/web:1";
    let there =
        || success(&json!({"imageDetails": [{"imageTags": ["1.2"], "imageDigest": "sha256:1"}]}));
    let answers = {
        let (fails, registered) = (Arc::clone(&fails), Arc::clone(&registered));
        let others = aws(there, no_rules);
        move |operation: &str, request: &Value| match operation {
            "DescribeImages" if fails.load(Ordering::Relaxed) => throttled(),
            "RegisterTaskDefinition" => {
                let (status, body) = others(operation, request);
                *registered.lock().unwrap() = serde_json::from_str(&body).expect("a body");
                (status, body)
            }
            "ListTaskDefinitions" if !registered.lock().unwrap().is_null() => {
                success(&json!({"taskDefinitionArns": [arn]}))
            }
            "DescribeTaskDefinition" => success(&registered.lock().unwrap()),
            _ => others(operation, request),
        }
    };
    let mut object = definition();
    object["spec"]["imageResolution"] = "Digest".into();
    let world = World::new(object, answers).await;
    world.pass::<EcsTaskDefinition>().await;
    assert_eq!(world.object()["status"]["images"][0]["digest"], "sha256:1");
    let handled = |world: &World| world.object()["status"]["lastHandledReconcileAt"].clone();
    for (is_throttled, answered) in [(true, Value::Null), (false, "now".into())] {
        fails.store(is_throttled, Ordering::Relaxed);
        let mut object = world.object();
        object["metadata"]["annotations"] = json!({"ecs-operator.dev/reconcileAt": "now"});
        world.set_object(object);
        for _ in 0..4 {
            world.pass::<EcsTaskDefinition>().await;
        }
        assert_eq!(handled(&world), answered);
    }
}

#[tokio::test]
async fn an_image_that_was_pushed_since_the_last_read_is_used() {
    for resolution in ["AsWritten", "Digest"] {
        let pushed = Arc::new(AtomicBool::default());
        let answers = {
            let pushed = Arc::clone(&pushed);
            let there = || {
                success(
                    &json!({"imageDetails": [{"imageTags": ["1.2"], "imageDigest": "sha256:1"}]}),
                )
            };
            let (before, after) = (aws(no_image, no_rules), aws(there, no_rules));
            move |operation: &str, request: &Value| match operation {
                "ListImages" if pushed.load(Ordering::Relaxed) => {
                    success(&json!({"imageIds": [{"imageTag": "1.2"}]}))
                }
                _ if pushed.load(Ordering::Relaxed) => after(operation, request),
                _ => before(operation, request),
            }
        };
        let mut object = definition();
        object["spec"]["imageResolution"] = resolution.into();
        let world = World::new(object, answers).await;
        world.pass::<EcsTaskDefinition>().await;
        assert!(
            world
                .conditions()
                .1
                .contains("has no tag 1.2 (it has 1.20)")
        );
        pushed.store(true, Ordering::Relaxed);
        world.pass::<EcsTaskDefinition>().await;
        let (shapes, message) = world.conditions();
        assert_eq!(shapes, ["Ready True Succeeded"], "{resolution}: {message}");
        let images = &world.object()["status"]["images"];
        assert_eq!(
            images[0]["digest"] == "sha256:1",
            resolution == "Digest",
            "{images}"
        );
    }
}
