//! The driver against doubles at the transport: what it writes, in which order, and what it tells
//! of errors.

#[allow(
    clippy::unwrap_used,
    reason = "a poisoned lock fails the test, as it should"
)]
#[path = "../support/mod.rs"]
mod support;

mod images;
mod lost;
mod outcomes;
mod refused;
mod test_kind;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ecs_operator::reconcile::reconcile;
use ecs_operator_crds::v1beta1::{EcsCluster, EcsTaskDefinition};
use serde_json::{Value, json};
use support::{Reply, World, refusal, success};

fn cluster(spec: &Value) -> Value {
    json!({
        "apiVersion": "ecs-operator.dev/v1beta1",
        "kind": "EcsCluster",
        "metadata": {"name": "shop", "namespace": "default", "uid": "u-1", "generation": 1, "resourceVersion": "1"},
        "spec": spec,
    })
}

fn missing() -> Reply {
    success(
        &json!({"clusters": [], "failures": [{"arn": "arn:aws:ecs:eu-central-1:1:cluster/shop", "reason": "MISSING"}]}),
    )
}

/// The cluster in an answer, with the tags it was created with.
fn described(tags: &Value, more: &Value) -> Value {
    let mut cluster = json!({"clusterArn": "arn:aws:ecs:eu-central-1:1:cluster/shop", "clusterName": "shop", "status": "ACTIVE", "tags": tags});
    for (name, value) in more.as_object().into_iter().flatten() {
        cluster[name] = value.clone();
    }
    cluster
}

/// An ECS that creates and describes one cluster.
fn working() -> impl Fn(&str, &Value) -> Reply + Clone {
    let tags = Arc::new(Mutex::new(None::<Value>));
    move |operation, request| {
        let mut tags = tags.lock().expect("no test panics with it");
        match operation {
            "CreateCluster" => {
                *tags = Some(request["tags"].clone());
                success(&json!({"cluster": described(&request["tags"], &json!({}))}))
            }
            "DeleteCluster" => {
                *tags = None;
                success(&json!({"cluster": described(&json!([]), &json!({"status": "INACTIVE"}))}))
            }
            "DescribeClusters" => tags.as_ref().map_or_else(missing, |tags| {
                success(&json!({"clusters": [described(tags, &json!({}))]}))
            }),
            "ListServices" => success(&json!({"serviceArns": []})),
            "ListTasks" => success(&json!({"taskArns": []})),
            other => refusal("InvalidAction", other),
        }
    }
}

#[tokio::test]
async fn the_finalizer_comes_before_the_first_write_and_the_status_once() {
    let world = World::new(cluster(&json!({})), working()).await;
    world.pass::<EcsCluster>().await;
    assert_eq!(
        world.new_writes(),
        ["metadata", "CreateCluster", "status", "event CreateCluster"]
    );
    assert_eq!(world.conditions().0, ["Ready True Succeeded"]);

    world.pass::<EcsCluster>().await;
    assert_eq!(
        world.new_writes(),
        [""; 0],
        "nothing changed, so nothing is written"
    );
}

#[tokio::test]
async fn the_status_waits_for_no_event() {
    let world = World::new(cluster(&json!({})), working()).await;
    let held = world.events.lock().await;
    let object: EcsCluster = serde_json::from_value(world.object()).expect("a valid object");
    reconcile(Arc::new(object), Arc::clone(&world.context)).await;
    assert_eq!(world.conditions().0, ["Ready True Succeeded"]);
    assert_eq!(world.new_writes(), ["metadata", "CreateCluster", "status"]);
    drop(held);
    world.context.events.flush().await;
    assert_eq!(world.new_writes(), ["event CreateCluster"]);
}

#[tokio::test]
async fn the_last_write_of_a_deletion_takes_the_finalizer_off() {
    let world = World::new(cluster(&json!({})), working()).await;
    world.pass::<EcsCluster>().await;
    delete(&world);
    world.pass::<EcsCluster>().await;
    assert_eq!(
        world.new_writes(),
        ["DeleteCluster", "metadata", "event DeleteCluster"]
    );
    assert_eq!(world.object()["metadata"]["finalizers"], json!([]));
}

#[tokio::test]
async fn faults_are_told_once_in_the_words_of_their_class() {
    let html = || (500, "<html>oops</html>".to_owned());
    let rows: [(&str, Reply, [&str; 2], &str); 6] = [
        (
            "CreateCluster",
            refusal(
                "AccessDeniedException",
                "User: u is not authorized to perform: ecs:CreateCluster",
            ),
            ["Ready False AccessDenied", "Stalled True AccessDenied"],
            "ecs:CreateCluster is denied",
        ),
        (
            "CreateCluster",
            refusal(
                "InvalidParameterException",
                "Long arn format must be enabled",
            ),
            ["Ready False InvalidSpec", "Stalled True InvalidSpec"],
            "CreateCluster: Long arn format must be enabled",
        ),
        (
            "CreateCluster",
            refusal("LimitExceededException", "too many clusters"),
            ["Ready False QuotaExceeded", "Stalled True QuotaExceeded"],
            "too many clusters",
        ),
        (
            "DescribeClusters",
            refusal(
                "ExpiredTokenException",
                "The security token included in the request is expired",
            ),
            [
                "Ready False CredentialsUnavailable",
                "Reconciling True CredentialsUnavailable",
            ],
            "expired",
        ),
        (
            "CreateCluster",
            (
                503,
                json!({"__type": "SomethingNewException", "message": "we have trouble"})
                    .to_string(),
            ),
            [
                "Ready False AwsUnavailable",
                "Reconciling True AwsUnavailable",
            ],
            "we have trouble",
        ),
        (
            "DescribeClusters",
            html(),
            [
                "Ready False AwsUnavailable",
                "Reconciling True AwsUnavailable",
            ],
            "not valid for its API",
        ),
    ];
    for (failing, reply, conditions, words) in rows {
        let ecs = working();
        let failing = failing.to_owned();
        let ecs = move |operation: &str, request: &Value| {
            if operation == failing {
                reply.clone()
            } else {
                ecs(operation, request)
            }
        };
        let world = World::new(cluster(&json!({})), ecs).await;
        // A read without a reply is told when it lasts.
        let started = Instant::now();
        while world.conditions().0.is_empty() && started.elapsed() < Duration::from_secs(60) {
            world.pass::<EcsCluster>().await;
        }
        let (shapes, message) = world.conditions();
        assert_eq!(shapes, conditions);
        assert!(message.contains(words), "{message}");
        let first = world.new_writes();
        assert_eq!(
            first
                .iter()
                .filter(|write| write.starts_with("event"))
                .count(),
            1,
            "{first:?}"
        );
        assert_eq!(
            first.iter().filter(|write| *write == "status").count(),
            1,
            "{first:?}"
        );

        world.pass::<EcsCluster>().await;
        assert_eq!(
            world.new_writes(),
            [""; 0],
            "not tried again before its time, and not told again"
        );
    }
}

#[tokio::test]
async fn throttling_is_told_when_it_lasts() {
    let ecs = |_: &str, _: &Value| refusal("ThrottlingException", "Rate exceeded");
    let world = World::new(cluster(&json!({})), ecs).await;
    let started = Instant::now();
    world.pass::<EcsCluster>().await;
    assert_eq!(world.conditions().0, [""; 0], "it may pass by itself");
    // A new object tells of itself soon, whatever comes of it.
    while world.conditions().0.is_empty() && started.elapsed() < Duration::from_secs(60) {
        world.pass::<EcsCluster>().await;
    }
    let (shapes, message) = world.conditions();
    assert_eq!(
        shapes,
        ["Ready False Throttled", "Reconciling True Throttled"]
    );
    assert!(message.contains("Rate exceeded"), "{message}");
    let told = world
        .new_writes()
        .iter()
        .filter(|write| write.starts_with("event"))
        .count();
    assert_eq!(told, 1);
}

#[tokio::test]
async fn a_look_that_somebody_asks_for_is_answered_while_a_write_waits_for_its_turn() {
    let settings = json!({"settings": [{"name": "containerInsights", "value": "enabled"}]});
    let (world, _) = World::limited(
        cluster(&settings),
        working(),
        Duration::from_secs(86400),
        Some(0.05),
    )
    .await;
    // The creation uses the budget up, and the answers of this ECS lack the settings.
    world.pass::<EcsCluster>().await;
    let mut asking = world.object();
    asking["metadata"]["annotations"] = json!({"ecs-operator.dev/reconcileAt": "now"});
    world.set_object(asking);
    world.pass::<EcsCluster>().await;
    assert_eq!(world.object()["status"]["lastHandledReconcileAt"], "now");
    assert_eq!(
        world.conditions().0[1],
        "Reconciling True Progressing",
        "the write still waits"
    );
}

#[tokio::test]
async fn a_look_by_hand_finds_a_cluster_that_somebody_deletes_right_after_our_write() {
    let ecs = working();
    let world = World::new(cluster(&json!({})), ecs.clone()).await;
    world.pass::<EcsCluster>().await;
    ecs("DeleteCluster", &json!({}));
    let mut asking = world.object();
    asking["metadata"]["annotations"] = json!({"ecs-operator.dev/reconcileAt": "now"});
    world.set_object(asking);
    world.new_writes();
    world.pass::<EcsCluster>().await;
    assert!(
        world.object()["status"]["lastHandledReconcileAt"].is_null(),
        "AWS's reads may lag behind the creation"
    );
    let started = Instant::now();
    while world.object()["status"]["lastHandledReconcileAt"].is_null()
        && started.elapsed() < Duration::from_secs(60)
    {
        world.pass::<EcsCluster>().await;
    }
    assert_eq!(world.object()["status"]["lastHandledReconcileAt"], "now");
    assert!(
        world.new_writes().contains(&"CreateCluster".to_owned()),
        "it is there again"
    );
}

#[tokio::test]
async fn a_managed_instances_provider_in_the_list_of_a_cluster_is_no_drift() {
    for (type_, expected) in [("MANAGED_INSTANCES", 0), ("EC2_AUTOSCALING", 1)] {
        let ecs = working();
        let ecs = move |operation: &str, request: &Value| match operation {
            "DescribeClusters" => {
                let (status, body) = ecs(operation, request);
                let mut reply: Value = serde_json::from_str(&body).expect("JSON");
                if let Some(cluster) = reply["clusters"].get_mut(0) {
                    cluster["capacityProviders"] = json!(["ours", "attached"]);
                }
                (status, reply.to_string())
            }
            "DescribeCapacityProviders" => {
                assert_eq!(
                    *request,
                    json!({"cluster": "shop", "capacityProviders": request["capacityProviders"], "include": ["TAGS"]})
                );
                let names = request["capacityProviders"]
                    .as_array()
                    .into_iter()
                    .flatten();
                let type_of = |name: &Value| {
                    if *name == "attached" {
                        type_
                    } else {
                        "EC2_AUTOSCALING"
                    }
                };
                success(
                    &json!({"capacityProviders": names.map(|name| json!({"name": name, "type": type_of(name)})).collect::<Vec<_>>()}),
                )
            }
            "PutClusterCapacityProviders" => refusal(
                "ClientException",
                "the provider is in use and cannot be removed",
            ),
            _ => ecs(operation, request),
        };
        let world = World::new(cluster(&json!({"capacityProviders": ["ours"]})), ecs).await;
        world.pass::<EcsCluster>().await;
        world.pass::<EcsCluster>().await;
        let puts = world
            .new_writes()
            .iter()
            .filter(|write| *write == "PutClusterCapacityProviders")
            .count();
        assert_eq!(puts, expected, "{type_}");
    }
}

#[tokio::test]
async fn an_object_without_its_finalizer_is_left_alone_though_the_watch_still_shows_it() {
    let world = World::new(cluster(&json!({})), working()).await;
    world.pass::<EcsCluster>().await;
    delete(&world);
    let shown = world.object();
    world.pass::<EcsCluster>().await;
    world.new_writes();
    world.set_object(shown);
    world.pass::<EcsCluster>().await;
    assert_eq!(world.new_writes(), [""; 0]);
}

#[tokio::test]
async fn a_change_that_aws_does_not_keep_is_told_and_not_repeated() {
    let settings = json!({"settings": [{"name": "containerInsights", "value": "enabled"}]});
    let ecs = working();
    let ecs = move |operation: &str, request: &Value| match operation {
        // It says yes and keeps the old value.
        "UpdateCluster" => {
            success(&json!({"cluster": described(&json!([]), &json!({"settings": []}))}))
        }
        _ => ecs(operation, request),
    };
    let world = World::new(cluster(&settings), ecs).await;
    world.pass::<EcsCluster>().await;
    // The reply to CreateCluster lacks the settings, so the cluster is updated next.
    world.pass::<EcsCluster>().await;
    let (shapes, message) = world.conditions();
    assert_eq!(
        shapes,
        [
            "Ready False DriftPersists",
            "Reconciling True DriftPersists"
        ]
    );
    assert!(message.contains("settings"), "{message}");
    world.new_writes();
    world.pass::<EcsCluster>().await;
    assert_eq!(world.new_writes(), [""; 0]);
}

/// The object of `world`, being deleted.
fn delete(world: &World) {
    let mut deleting = world.object();
    deleting["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    world.set_object(deleting);
    world.new_writes();
}

#[tokio::test]
async fn many_writes_of_a_kind_are_sent_as_the_budget_allows() {
    let owner = json!([{"key": "ecs-operator.dev/owner", "value": "k8s/default/web/u-1"}]);
    let revision = |number: u8| format!("arn:aws:ecs:eu-central-1:1:task-definition/web:{number}");
    let ecs = move |operation: &str, request: &Value| match operation {
        "ListTaskDefinitions" => {
            success(&json!({"taskDefinitionArns": (1..=4).map(revision).collect::<Vec<_>>()}))
        }
        "ListClusters" => success(&json!({"clusterArns": []})),
        "DescribeTaskDefinition" => {
            let arn = request["taskDefinition"].clone();
            success(
                &json!({"taskDefinition": {"taskDefinitionArn": arn, "family": "web", "status": "ACTIVE"}, "tags": owner}),
            )
        }
        "DeregisterTaskDefinition" => success(&json!({"taskDefinition": {}})),
        other => refusal("InvalidAction", other),
    };
    let object = json!({
        "apiVersion": "ecs-operator.dev/v1beta1",
        "kind": "EcsTaskDefinition",
        "metadata": {"name": "web", "namespace": "default", "uid": "u-1", "generation": 1, "resourceVersion": "1",
            "finalizers": ["ecs-operator.dev/finalizer"], "deletionTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"containerDefinitions": [{"name": "web", "image": "web:1"}]},
    });
    // A burst of two, and then one each seven seconds: less than the plan needs.
    let (world, _) = World::limited(object, ecs, Duration::from_secs(86400), Some(0.15)).await;
    world.pass::<EcsTaskDefinition>().await;
    let sent = |writes: Vec<String>| {
        writes
            .into_iter()
            .filter(|write| write == "DeregisterTaskDefinition")
            .count()
    };
    assert_eq!(
        sent(world.new_writes()),
        2,
        "what the budget allows, and not nothing"
    );
    world.pass::<EcsTaskDefinition>().await;
    assert_eq!(sent(world.new_writes()), 0, "the others have their turn");
}

#[tokio::test]
async fn stops_polling_an_object_whose_finalizer_a_user_removed() {
    for (shown, watched) in [("u-1", true), ("u-2", false)] {
        let mut object = cluster(&json!({}));
        object["metadata"]["uid"] = json!(shown);
        let world = World::new(object, working()).await;
        // The pass has this one, whatever the watch shows meanwhile.
        world.set_object(cluster(&json!({})));
        world.pass::<EcsCluster>().await;
        assert_eq!(world.conditions().0, ["Ready True Succeeded"]);
        let ages = world.context.accounts.default_scope().observer.ages();
        assert_eq!(
            ages.iter().any(|(what, _)| *what == "clusters"),
            watched,
            "{ages:?}"
        );
    }
}
