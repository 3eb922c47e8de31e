//! Reads that AWS refuses: for one name of several, for all, and for good.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ecs_operator::aws::ecs::{ClusterKey, ServiceKey};
use ecs_operator::aws::{Answer, ErrorKind, Freshness};
use ecs_operator_crds::v1beta1::EcsCluster;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde_json::{Value, json};

use super::support::{Reply, World, refusal, success};
use super::{cluster, working};

/// The clusters that are asked for, unless one of them is somebody else's by its name.
fn unless_theirs(request: &Value) -> Reply {
    let names: Vec<_> = request["clusters"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if names.iter().any(|name| name.starts_with("theirs")) {
        return refusal(
            "AccessDeniedException",
            "User: u is not authorized to perform: ecs:DescribeClusters on theirs",
        );
    }
    let found: Vec<_> = names
        .iter()
        .map(|name| json!({"clusterArn": "arn", "clusterName": name, "status": "ACTIVE"}))
        .collect();
    success(&json!({"clusters": found}))
}

#[tokio::test]
async fn reads_denied_keys_with_one_call() {
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    let ecs = move |_: &str, _: &Value| {
        *count.lock().expect("no test panics with it") += 1;
        refusal(
            "AccessDeniedException",
            "User: u is not authorized to perform: ecs:DescribeClusters",
        )
    };
    let world = World::new(cluster(&json!({})), ecs).await;
    let clusters = world
        .context
        .accounts
        .default_scope()
        .observer
        .cache::<ClusterKey>();
    for expected in [7, 8] {
        let names = ["a", "b", "c", "d"]
            .map(|name| clusters.get(ClusterKey(name.to_owned()), Freshness::Any, "default"));
        assert!(
            futures::future::join_all(names)
                .await
                .iter()
                .all(Result::is_err)
        );
        assert_eq!(
            *asked.lock().expect("no test panics with it"),
            expected,
            "one by one at first, then together"
        );
    }
}

#[tokio::test]
async fn one_name_that_aws_refuses_does_not_hide_the_others() {
    let ecs = |_: &str, request: &Value| unless_theirs(request);
    let world = World::new(cluster(&json!({})), ecs).await;
    let clusters = world
        .context
        .accounts
        .default_scope()
        .observer
        .cache::<ClusterKey>();
    let get = |name: &str| clusters.get(ClusterKey(name.to_owned()), Freshness::Any, "default");
    let (a, b, theirs, c) = tokio::join!(get("a"), get("b"), get("theirs"), get("c"));
    for seen in [a, b, c] {
        assert!(matches!(
            seen.expect("it is described").answer,
            Answer::Found(_)
        ));
    }
    assert_eq!(
        theirs.expect_err("it is denied").kind,
        ErrorKind::AccessDenied
    );
}

#[tokio::test]
async fn an_object_whose_first_read_is_denied_is_triggered_when_it_is_granted() {
    let denied = Arc::new(AtomicBool::new(true));
    let (ecs, deny) = (working(), Arc::clone(&denied));
    let ecs = move |operation: &str, request: &Value| {
        if deny.load(Ordering::Relaxed) {
            refusal(
                "AccessDeniedException",
                "User: u is not authorized to perform: ecs:DescribeClusters",
            )
        } else {
            ecs(operation, request)
        }
    };
    let (world, mut triggered) =
        World::swept(cluster(&json!({})), ecs, Duration::from_millis(100)).await;
    world.pass::<EcsCluster>().await;
    assert_eq!(
        world.conditions().0,
        ["Ready False AccessDenied", "Stalled True AccessDenied"]
    );
    denied.store(false, Ordering::Relaxed);
    let object = tokio::time::timeout(Duration::from_secs(10), triggered.next())
        .await
        .expect("within a sweep")
        .expect("it is open");
    assert_eq!(object.to_string(), "EcsCluster/default/shop");
}

#[tokio::test]
async fn an_object_learns_that_aws_lets_nobody_look_any_more() {
    let denied = Arc::new(AtomicBool::new(false));
    let (ecs, deny) = (working(), Arc::clone(&denied));
    let ecs = move |operation: &str, request: &Value| {
        if deny.load(Ordering::Relaxed) {
            refusal("ExpiredTokenException", "The security token is expired")
        } else {
            ecs(operation, request)
        }
    };
    let (world, mut woken) =
        World::swept(cluster(&json!({})), ecs, Duration::from_millis(100)).await;
    world.pass::<EcsCluster>().await;
    assert_eq!(world.conditions().0, ["Ready True Succeeded"]);
    denied.store(true, Ordering::Relaxed);
    tokio::time::timeout(Duration::from_secs(20), woken.next())
        .await
        .expect("it is woken")
        .expect("the observer runs");
    world.pass::<EcsCluster>().await;
    assert_eq!(
        world.conditions().0[0],
        "Ready False CredentialsUnavailable"
    );
}

#[tokio::test]
async fn denied_keys_do_not_hide_others_later() {
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    let ecs = move |_: &str, request: &Value| {
        *count.lock().expect("no test panics with it") += 1;
        unless_theirs(request)
    };
    let world = World::new(cluster(&json!({})), ecs).await;
    let clusters = world
        .context
        .accounts
        .default_scope()
        .observer
        .cache::<ClusterKey>();
    let get = |name: &str| clusters.get(ClusterKey(name.to_owned()), Freshness::Any, "default");
    let (one, two) = tokio::join!(get("theirs-1"), get("theirs-2"));
    assert!(one.is_err() && two.is_err());
    assert_eq!(
        *asked.lock().expect("no test panics with it"),
        3,
        "together, and then each alone"
    );
    let (one, two, ours) = tokio::join!(get("theirs-1"), get("theirs-2"), get("ours"));
    assert!(one.is_err() && two.is_err());
    assert!(matches!(
        ours.expect("it is described").answer,
        Answer::Found(_)
    ));
    assert_eq!(
        *asked.lock().expect("no test panics with it"),
        5,
        "one call for those, and one for the others"
    );
}

#[tokio::test]
async fn a_read_that_aws_throttles_is_sent_once() {
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    let ecs = move |_: &str, _: &Value| {
        *count.lock().expect("no test panics with it") += 1;
        refusal("ThrottlingException", "Rate exceeded")
    };
    let world = World::new(cluster(&json!({})), ecs).await;
    let look = world
        .context
        .accounts
        .default_scope()
        .observer
        .cache::<ClusterKey>()
        .get(ClusterKey("a".to_owned()), Freshness::Any, "default")
        .await;
    assert_eq!(look.expect_err("it is throttled").kind, ErrorKind::Throttle);
    assert_eq!(
        *asked.lock().expect("no test panics with it"),
        1,
        "no retry passes by the budget"
    );
}

#[tokio::test]
async fn a_read_that_breaks_once_is_no_news() {
    let broken = Arc::new(AtomicBool::new(false));
    let (ecs, breaks) = (working(), Arc::clone(&broken));
    let ecs = move |operation: &str, request: &Value| {
        if operation.starts_with("Describe") && breaks.swap(false, Ordering::Relaxed) {
            (503, String::new())
        } else {
            ecs(operation, request)
        }
    };
    let (world, mut woken) =
        World::swept(cluster(&json!({})), ecs, Duration::from_millis(100)).await;
    broken.store(true, Ordering::Relaxed);
    world.pass::<EcsCluster>().await;
    assert!(!broken.load(Ordering::Relaxed), "a read of the pass broke");
    assert_eq!(world.new_writes(), ["metadata"], "and nobody is told");
    world.pass::<EcsCluster>().await;
    assert_eq!(world.conditions().0, ["Ready True Succeeded"]);
    world.new_writes();
    while woken.try_recv().is_ok() {}

    // A regular look that breaks wakes nobody.
    broken.store(true, Ordering::Relaxed);
    let cached = || {
        world
            .context
            .accounts
            .default_scope()
            .observer
            .cache::<ClusterKey>()
            .cached(&ClusterKey("shop".to_owned()))
            .map(|seen| seen.at)
    };
    let before = cached();
    while broken.load(Ordering::Relaxed) || cached() == before {
        tokio::task::yield_now().await;
    }
    assert!(woken.try_recv().is_err());
    assert_eq!(world.conditions().0, ["Ready True Succeeded"]);
}

#[tokio::test]
async fn many_reads_of_one_namespace_do_not_delay_another() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::clone(&order);
    let ecs = move |_: &str, request: &Value| {
        asked
            .lock()
            .expect("no test panics with it")
            .push(request["cluster"].as_str().unwrap_or_default().to_owned());
        success(&json!({"services": []}))
    };
    // A burst of five, and then one a second.
    let (world, _) = World::limited(
        cluster(&json!({})),
        ecs,
        Duration::from_secs(86400),
        Some(0.05),
    )
    .await;
    let table = world
        .context
        .accounts
        .default_scope()
        .observer
        .cache::<ServiceKey>();
    let services = &*table;
    let get = |cluster: String, namespace: &'static str| {
        let key = ServiceKey {
            cluster,
            name: "web".to_owned(),
        };
        async move { services.get(key, Freshness::Any, namespace).await }
    };
    let mut many: FuturesUnordered<_> = (0..100)
        .map(|number| get(format!("many-{number}"), "many"))
        .collect();
    for _ in 0..5 {
        let _ = many.next().await.expect("a hundred are asked for");
    }
    let alone = get("alone".to_owned(), "alone");
    tokio::select! {
        _ = alone => {}
        () = async { while many.next().await.is_some() {} } => {}
    }
    let place = order
        .lock()
        .expect("no test panics with it")
        .iter()
        .position(|cluster| cluster == "alone");
    assert!(place.is_some_and(|place| place < 8), "{place:?}");
}

#[tokio::test]
async fn a_refused_write_is_held_off_though_the_status_cannot_say_so() {
    let ecs = working();
    let ecs = move |operation: &str, request: &Value| match operation {
        "CreateCluster" => refusal(
            "InvalidParameterException",
            "Long arn format must be enabled",
        ),
        _ => ecs(operation, request),
    };
    let world = World::new(cluster(&json!({})), ecs).await;
    world.denies_status.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        world.pass::<EcsCluster>().await;
    }
    let writes = world.new_writes();
    let count = |what: &str| writes.iter().filter(|write| *write == what).count();
    assert_eq!(
        (count("CreateCluster"), count("event InternalError")),
        (1, 1),
        "{writes:?}"
    );
}
