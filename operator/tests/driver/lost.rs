//! Replies that get lost, and reads that lag behind: nothing is made twice, and nothing is left
//! behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ecs_operator_crds::v1beta1::{EcsCluster, EcsService, EcsTaskDefinition};
use serde_json::{Value, json};

use super::support::{Reply, World, refusal, success};
use super::{cluster, delete, missing, working};

#[tokio::test]
async fn a_lost_reply_to_a_creation_is_found_by_the_next_look() {
    let ecs = working();
    let lost = Arc::new(AtomicBool::new(false));
    let ecs = move |operation: &str, request: &Value| {
        let reply = ecs(operation, request);
        if operation == "CreateCluster" && !lost.swap(true, Ordering::Relaxed) {
            (500, String::new())
        } else {
            reply
        }
    };
    let world = World::new(cluster(&json!({})), ecs).await;
    world.pass::<EcsCluster>().await;
    assert_eq!(world.conditions().0[0], "Ready False AwsUnavailable");
    world.pass::<EcsCluster>().await;
    assert_eq!(world.conditions().0, ["Ready True Succeeded"]);
    let creations = world
        .new_writes()
        .into_iter()
        .filter(|write| write == "CreateCluster")
        .count();
    assert_eq!(creations, 1);
}

#[tokio::test]
async fn a_deletion_waits_for_what_a_lost_reply_may_have_made() {
    let (ecs, is_shown) = (working(), Arc::new(AtomicBool::new(false)));
    let shown = Arc::clone(&is_shown);
    let ecs = move |operation: &str, request: &Value| match operation {
        "CreateCluster" => {
            ecs(operation, request);
            (500, String::new())
        }
        // It lags behind.
        "DescribeClusters" if !shown.load(Ordering::Relaxed) => missing(),
        _ => ecs(operation, request),
    };
    let world = World::new(cluster(&json!({})), ecs).await;
    world.pass::<EcsCluster>().await;
    delete(&world);
    world.pass::<EcsCluster>().await;
    assert_eq!(world.new_writes(), ["status"], "the finalizer stays");
    let (shapes, message) = world.conditions();
    assert_eq!(shapes[0], "Ready Unknown Deleting");
    assert!(message.contains("did not reply"), "{message}");
    is_shown.store(true, Ordering::Relaxed);
    world.pass::<EcsCluster>().await;
    assert_eq!(
        world.new_writes(),
        ["DeleteCluster", "metadata", "event DeleteCluster"]
    );
}

#[tokio::test]
async fn stops_waiting_when_a_lost_creation_shows() {
    let ecs = working();
    let ecs = move |operation: &str, request: &Value| match operation {
        "CreateCluster" => {
            ecs(operation, request);
            (500, String::new())
        }
        "DescribeClusters" => {
            let (code, body) = ecs(operation, request);
            (code, body.replace("ACTIVE", "DEPROVISIONING"))
        }
        _ => ecs(operation, request),
    };
    let world = World::new(cluster(&json!({})), ecs).await;
    world.pass::<EcsCluster>().await;
    delete(&world);
    let action = world.pass::<EcsCluster>().await;
    assert_eq!(world.conditions().0[0], "Ready Unknown Deleting");
    assert_ne!(
        action,
        Some(Duration::from_secs(3)),
        "that is how soon what does not show is looked for"
    );
}

#[tokio::test]
async fn a_recently_created_object_is_not_deleted_when_aws_does_not_find_it() {
    let (ecs, refused) = (working(), Arc::new(AtomicBool::new(false)));
    let ecs = move |operation: &str, request: &Value| {
        if operation == "DeleteCluster" && !refused.swap(true, Ordering::Relaxed) {
            return refusal("ClusterNotFoundException", "Cluster not found.");
        }
        ecs(operation, request)
    };
    let world = World::new(cluster(&json!({})), ecs).await;
    world.pass::<EcsCluster>().await;
    delete(&world);
    world.pass::<EcsCluster>().await;
    assert_eq!(
        world.new_writes(),
        ["DeleteCluster", "status", "event Busy"],
        "the finalizer stays"
    );
    assert_eq!(
        world.object()["metadata"]["finalizers"],
        json!(["ecs-operator.dev/finalizer"])
    );
}

/// Its absence is what reads showed before the creation, so a single read is not believed.
#[tokio::test]
async fn a_deletion_without_a_reply_ends_seconds_after_a_creation() {
    let (ecs, lost) = (working(), Arc::new(AtomicBool::new(false)));
    let ecs = move |operation: &str, request: &Value| {
        let reply = ecs(operation, request);
        match operation {
            "DeleteCluster" if !lost.swap(true, Ordering::Relaxed) => (500, String::new()),
            // The cluster is deleted.
            "DeleteCluster" => refusal("ClusterNotFoundException", "Cluster not found."),
            _ => reply,
        }
    };
    let world = World::new(cluster(&json!({})), ecs).await;
    world.pass::<EcsCluster>().await;
    delete(&world);
    let started = Instant::now();
    while world.object()["metadata"]["finalizers"] != json!([]) {
        world.pass::<EcsCluster>().await;
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "{:?}",
            world.conditions()
        );
    }
}

#[tokio::test]
async fn tags_that_a_read_does_not_show_yet_are_not_written_again() {
    let ecs = working();
    let ecs = move |operation: &str, request: &Value| match operation {
        "TagResource" => success(&json!({})),
        _ => ecs(operation, request),
    };
    let world = World::new(cluster(&json!({})), ecs).await;
    world.pass::<EcsCluster>().await;
    let mut edited = world.object();
    edited["metadata"]["generation"] = json!(2);
    edited["spec"]["tags"] = json!([{"key": "team", "value": "checkout"}]);
    world.set_object(edited);
    world.new_writes();
    for _ in 0..3 {
        world.pass::<EcsCluster>().await;
    }
    assert_eq!(
        world.new_writes(),
        ["TagResource", "status", "event TagResource"]
    );
    assert_eq!(world.conditions().0, ["Ready True Succeeded"]);
}

#[tokio::test]
async fn a_refused_second_creation_says_nothing_of_the_first() {
    let (ecs, creations) = (working(), Arc::new(AtomicUsize::new(0)));
    let ecs = move |operation: &str, request: &Value| match operation {
        // The first makes it and its reply gets lost; reads lag behind.
        "CreateCluster" if creations.fetch_add(1, Ordering::Relaxed) == 0 => (500, String::new()),
        "CreateCluster" => refusal("ThrottlingException", "Rate exceeded"),
        "DescribeClusters" => missing(),
        _ => ecs(operation, request),
    };
    let world = World::new(cluster(&json!({})), ecs).await;
    world.pass::<EcsCluster>().await;
    // A look that is asked for tries again at once.
    let mut asked = world.object();
    asked["metadata"]["annotations"] = json!({"ecs-operator.dev/reconcileAt": "now"});
    world.set_object(asked);
    world.pass::<EcsCluster>().await;
    assert_eq!(
        world
            .new_writes()
            .iter()
            .filter(|write| *write == "CreateCluster")
            .count(),
        2
    );
    delete(&world);
    world.pass::<EcsCluster>().await;
    assert_eq!(
        world.object()["metadata"]["finalizers"],
        json!(["ecs-operator.dev/finalizer"]),
        "it may be there"
    );
}

fn task_definition() -> Value {
    json!({
        "apiVersion": "ecs-operator.dev/v1beta1",
        "kind": "EcsTaskDefinition",
        "metadata": {"name": "web", "namespace": "default", "uid": "u-1", "generation": 1, "resourceVersion": "1"},
        "spec": {"containerDefinitions": [{"name": "web", "image": "web:1"}]},
    })
}

/// An ECS that registers revisions and lists them only while `is_listed`; the reply to the first
/// registration is lost where `is_lost`.
fn registering(
    is_listed: &Arc<AtomicBool>,
    is_lost: bool,
) -> impl Fn(&str, &Value) -> Reply + Clone + use<> {
    let (listed, registered) = (
        Arc::clone(is_listed),
        Arc::new(std::sync::Mutex::new(Vec::<Value>::new())),
    );
    let arn = |number: usize| format!("arn:aws:ecs:eu-central-1:1:task-definition/web:{number}");
    move |operation, request| {
        let mut registered = registered.lock().expect("no test panics with it");
        match operation {
            "RegisterTaskDefinition" => {
                let number = registered.len() + 1;
                let definition = json!({"taskDefinitionArn": arn(number), "family": "web", "revision": number, "status": "ACTIVE"});
                let revision = json!({"taskDefinition": definition, "tags": request["tags"]});
                registered.push(revision.clone());
                if is_lost && number == 1 {
                    (500, String::new())
                } else {
                    success(&revision)
                }
            }
            "ListTaskDefinitions" | "ListTaskDefinitionFamilies"
                if !listed.load(Ordering::Relaxed) =>
            {
                success(&json!({}))
            }
            "ListTaskDefinitions" => {
                let active = registered
                    .iter()
                    .map(|revision| &revision["taskDefinition"])
                    .filter(|it| it["status"] == "ACTIVE");
                success(
                    &json!({"taskDefinitionArns": active.map(|it| it["taskDefinitionArn"].clone()).collect::<Vec<_>>()}),
                )
            }
            "ListTaskDefinitionFamilies" => success(&json!({"families": ["web"]})),
            "ListClusters" => success(&json!({"clusterArns": []})),
            "DescribeTaskDefinition" | "DeregisterTaskDefinition" => {
                let found = registered.iter_mut().find(|revision| {
                    revision["taskDefinition"]["taskDefinitionArn"] == request["taskDefinition"]
                });
                let Some(found) = found else {
                    return refusal("ClientException", "Unable to describe task definition.");
                };
                if operation == "DeregisterTaskDefinition" {
                    found["taskDefinition"]["status"] = json!("INACTIVE");
                }
                success(found)
            }
            other => refusal("InvalidAction", other),
        }
    }
}

#[tokio::test]
async fn a_registration_without_a_reply_is_looked_for_before_it_is_repeated() {
    let is_listed = Arc::new(AtomicBool::new(false));
    let world = World::new(task_definition(), registering(&is_listed, true)).await;
    world.pass::<EcsTaskDefinition>().await;
    world.pass::<EcsTaskDefinition>().await;
    let mut asked = world.object();
    asked["metadata"]["annotations"] = json!({"ecs-operator.dev/reconcileAt": "now"});
    world.set_object(asked);
    let next = world.pass::<EcsTaskDefinition>().await;
    assert_eq!(
        next,
        Some(Duration::from_secs(3)),
        "however often it failed before"
    );
    let (shapes, message) = world.conditions();
    assert_eq!(shapes[0], "Ready Unknown Progressing");
    assert!(message.contains("did not reply"), "{message}");
    is_listed.store(true, Ordering::Relaxed);
    world.pass::<EcsTaskDefinition>().await;
    assert_eq!(world.conditions().0, ["Ready True Succeeded"]);
    let registrations = world
        .new_writes()
        .into_iter()
        .filter(|write| write == "RegisterTaskDefinition")
        .count();
    assert_eq!(registrations, 1);
}

#[tokio::test]
async fn a_revision_that_no_list_shows_yet_is_not_left_behind() {
    let is_listed = Arc::new(AtomicBool::new(false));
    let world = World::new(task_definition(), registering(&is_listed, false)).await;
    world.pass::<EcsTaskDefinition>().await;
    assert_eq!(world.conditions().0, ["Ready True Succeeded"]);
    delete(&world);
    world.pass::<EcsTaskDefinition>().await;
    assert!(
        world
            .new_writes()
            .contains(&"DeregisterTaskDefinition".to_owned())
    );
}

#[tokio::test]
async fn a_deletion_waits_for_a_registration_without_a_reply() {
    let is_listed = Arc::new(AtomicBool::new(false));
    let world = World::new(task_definition(), registering(&is_listed, true)).await;
    world.pass::<EcsTaskDefinition>().await;
    delete(&world);
    world.pass::<EcsTaskDefinition>().await;
    assert_eq!(
        world.object()["metadata"]["finalizers"],
        json!(["ecs-operator.dev/finalizer"]),
        "the finalizer stays"
    );
    assert!(
        world.conditions().1.contains("did not reply"),
        "{:?}",
        world.conditions()
    );
    is_listed.store(true, Ordering::Relaxed);
    tokio::time::timeout(Duration::from_secs(20), async {
        while world.object()["metadata"]["finalizers"] != json!([]) {
            world.pass::<EcsTaskDefinition>().await;
        }
    })
    .await
    .expect("it ends");
    assert!(
        world
            .new_writes()
            .contains(&"DeregisterTaskDefinition".to_owned())
    );
}

#[tokio::test]
async fn an_old_revision_is_no_answer_to_a_registration() {
    let is_listed = Arc::new(AtomicBool::new(true));
    let (ecs, is_lost) = (
        registering(&is_listed, false),
        Arc::new(AtomicBool::new(false)),
    );
    let lost = Arc::clone(&is_lost);
    let ecs = move |operation: &str, request: &Value| {
        let reply = ecs(operation, request);
        let loses = operation == "RegisterTaskDefinition" && lost.load(Ordering::Relaxed);
        let lags = operation == "ListTaskDefinitions" && lost.load(Ordering::Relaxed);
        match (loses, lags) {
            (true, _) => (500, String::new()),
            (_, true) => success(
                &json!({"taskDefinitionArns": ["arn:aws:ecs:eu-central-1:1:task-definition/web:1"]}),
            ),
            _ => reply,
        }
    };
    let world = World::new(task_definition(), ecs).await;
    world.pass::<EcsTaskDefinition>().await;
    let before = world.object();
    is_lost.store(true, Ordering::Relaxed);
    let mut edited = before.clone();
    edited["metadata"]["generation"] = json!(2);
    edited["spec"]["containerDefinitions"][0]["image"] = json!("web:2");
    world.set_object(edited);
    world.pass::<EcsTaskDefinition>().await;
    // Back to what it was, and away.
    let mut reverted = world.object();
    (reverted["metadata"]["generation"], reverted["spec"]) = (json!(3), before["spec"].clone());
    world.set_object(reverted);
    delete(&world);
    for _ in 0..3 {
        world.pass::<EcsTaskDefinition>().await;
    }
    assert_eq!(
        world.object()["metadata"]["finalizers"],
        json!(["ecs-operator.dev/finalizer"]),
        "the second may be there"
    );
    is_lost.store(false, Ordering::Relaxed);
    for _ in 0..3 {
        world.pass::<EcsTaskDefinition>().await;
    }
    assert_eq!(world.object()["metadata"]["finalizers"], json!([]));
    let gone = world
        .new_writes()
        .into_iter()
        .filter(|write| write == "DeregisterTaskDefinition")
        .count();
    assert_eq!(gone, 2);
}

#[tokio::test]
async fn at_the_end_every_look_is_one_for_the_service_that_a_lost_reply_may_have_made() {
    let (is_shown, tags) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(std::sync::Mutex::new(Value::Null)),
    );
    let shown = Arc::clone(&is_shown);
    let ecs = move |operation: &str, request: &Value| {
        let mut tags = tags.lock().expect("no test panics with it");
        let service = |status: &str, tags: &Value| {
            json!({"serviceArn": "arn:aws:ecs:eu-central-1:1:service/shop/web", "serviceName": "web", "status": status, "tags": tags,
                "clusterArn": "arn:aws:ecs:eu-central-1:1:cluster/shop", "taskDefinition": "web:1", "desiredCount": 2})
        };
        match operation {
            "CreateService" => {
                *tags = request["tags"].clone();
                (500, String::new())
            }
            "DescribeServices" if shown.load(Ordering::Relaxed) => {
                success(&json!({"services": [service("ACTIVE", &tags)]}))
            }
            "DescribeServices" => {
                success(&json!({"failures": [{"arn": "service/shop/web", "reason": "MISSING"}]}))
            }
            "DeleteService" => success(&json!({"service": service("DRAINING", &tags)})),
            other => refusal("InvalidAction", other),
        }
    };
    let object = json!({
        "apiVersion": "ecs-operator.dev/v1beta1",
        "kind": "EcsService",
        "metadata": {"name": "web", "namespace": "default", "uid": "u-1", "generation": 1, "resourceVersion": "1"},
        "spec": {"cluster": "shop", "taskDefinition": "web:1", "desiredCount": 2},
    });
    let world = World::new(object, ecs).await;
    world.pass::<EcsService>().await;
    // This one caches that there is none.
    world.pass::<EcsService>().await;
    delete(&world);
    world.pass::<EcsService>().await;
    assert_eq!(
        world.object()["metadata"]["finalizers"],
        json!(["ecs-operator.dev/finalizer"]),
        "it may be there"
    );
    is_shown.store(true, Ordering::Relaxed);
    world.pass::<EcsService>().await;
    assert!(world.new_writes().contains(&"DeleteService".to_owned()));
}

/// A watch that lags behind shows the status from before the write whose reply got lost.
#[tokio::test]
async fn a_status_whose_reply_got_lost_is_written_again() {
    let world = World::new(cluster(&json!({})), working()).await;
    world.pass::<EcsCluster>().await;
    let before = world.object();
    let mut asked = before.clone();
    asked["metadata"]["annotations"] = json!({"ecs-operator.dev/reconcileAt": "now"});
    world.set_object(asked);
    world.loses_status.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        world.pass::<EcsCluster>().await;
    }
    world.loses_status.store(false, Ordering::Relaxed);
    assert_eq!(world.object()["status"]["lastHandledReconcileAt"], "now");
    world.set_object(before);
    world.new_writes();
    world.pass::<EcsCluster>().await;
    assert_eq!(world.new_writes(), ["status"]);
    world.pass::<EcsCluster>().await;
    assert_eq!(world.new_writes(), [""; 0], "its reply came");
}

/// The status remembers what a write of AWS may have made. The watch may lag behind that status
/// when its reply is lost, and a pass that starts from the status before would write the memory
/// away.
#[tokio::test]
async fn a_tag_is_removed_although_its_write_and_its_status_had_no_reply() {
    a_dropped_tag_is_removed(|world| &world.loses_status).await;
}

/// The same where the API server refuses the status.
#[tokio::test]
async fn a_tag_is_removed_although_the_status_that_remembers_it_was_refused() {
    a_dropped_tag_is_removed(|world| &world.denies_status).await;
}

/// Adds a tag while writes of the status fail, and drops it again.
async fn a_dropped_tag_is_removed(fault: impl Fn(&World) -> &AtomicBool) {
    let (ecs, added) = (
        working(),
        Arc::new(std::sync::Mutex::new(Vec::<Value>::new())),
    );
    let in_aws = Arc::clone(&added);
    let ecs = move |operation: &str, request: &Value| {
        let mut added = added.lock().expect("no test panics with it");
        match operation {
            "TagResource" => {
                added.extend(request["tags"].as_array().cloned().unwrap_or_default());
                (500, String::new())
            }
            "UntagResource" => {
                added.clear();
                success(&json!({}))
            }
            "DescribeClusters" => {
                let (code, body) = ecs(operation, request);
                let mut reply: Value = serde_json::from_str(&body).expect("it is JSON");
                if let Some(tags) = reply
                    .pointer_mut("/clusters/0/tags")
                    .and_then(Value::as_array_mut)
                {
                    tags.extend(added.iter().cloned());
                }
                (code, reply.to_string())
            }
            _ => ecs(operation, request),
        }
    };
    let world = World::new(cluster(&json!({})), ecs).await;
    world.pass::<EcsCluster>().await;
    let before = world.object();
    let mut edited = before.clone();
    edited["metadata"]["generation"] = json!(2);
    edited["spec"]["tags"] = json!([{"key": "team", "value": "checkout"}]);
    world.set_object(edited);
    fault(&world).store(true, Ordering::Relaxed);
    world.pass::<EcsCluster>().await;
    fault(&world).store(false, Ordering::Relaxed);
    assert_eq!(in_aws.lock().expect("no test panics with it").len(), 1);

    // The user takes the tag back, and the watch does not show the status yet.
    let mut reverted = before;
    reverted["metadata"]["generation"] = json!(3);
    world.set_object(reverted);
    world.new_writes();
    for _ in 0..2 {
        world.pass::<EcsCluster>().await;
    }
    assert!(
        world.new_writes().contains(&"UntagResource".to_owned()),
        "{:?}",
        world.object()["status"]
    );
    assert_eq!(world.conditions().0, ["Ready True Succeeded"]);
}
