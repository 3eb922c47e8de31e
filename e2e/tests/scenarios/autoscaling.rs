//! Service auto scaling, on the simulator: no emulator has scheduled actions that move the range, a
//! number of tasks that moves into it, and scalable targets that go with their service. See
//! `second_server` for moto.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use e2e::aws_server;
use e2e::corpus::lost;
use e2e::faults::{Fault, Faults, Rule};
use e2e::samples::CLUSTER;
use e2e::wait;
use e2e::world::{PATIENCE, Scenario, World, is_ready};
use serde_json::{Value, json};

use crate::corpus;
use crate::simulated::{SECOND, has_reason, simulated, until};

/// A worker that scales on its queue and sleeps at night.
const WORKER: &str = include_str!("../../../samples/cases/queue-worker.yaml");

/// A web service that scales on two metrics.
const WEB: &str = include_str!("../../../samples/cases/autoscaled-web.yaml");

const OBJECT: &str = "ecsservice/queue-worker";

/// The calls of the operator to Application Auto Scaling that write.
const WRITES: [&str; 7] = [
    "RegisterScalableTarget",
    "DeregisterScalableTarget",
    "PutScalingPolicy",
    "DeleteScalingPolicy",
    "PutScheduledAction",
    "DeleteScheduledAction",
    "TagResource",
];

/// A call of somebody else.
async fn call(url: &str, account: &str, operation: &str, members: Value) -> Result<Value> {
    let mut request = json!({});
    if members["ResourceARN"].is_null() {
        request["ServiceNamespace"] = "ecs".into();
    }
    for (name, value) in members.as_object().into_iter().flatten() {
        request[name] = value.clone();
    }
    let target = format!("AnyScaleFrontendService.{operation}");
    aws_server::send(url, account, "application-autoscaling", &target, &request).await
}

/// The members that name a service.
fn named(service: &str) -> Value {
    json!({"ResourceId": format!("service/shop/{service}"), "ScalableDimension": "ecs:service:DesiredCount"})
}

/// The scalable targets in AWS.
async fn targets(url: &str, account: &str) -> Result<Vec<Value>> {
    let reply = call(url, account, "DescribeScalableTargets", json!({})).await?;
    Ok(reply["ScalableTargets"]
        .as_array()
        .cloned()
        .unwrap_or_default())
}

/// Minimum and maximum of a scalable target.
fn range(target: &Value) -> (Option<i64>, Option<i64>) {
    (
        target["MinCapacity"].as_i64(),
        target["MaxCapacity"].as_i64(),
    )
}

/// The number of calls that write scaling.
fn writes(scenario: &Scenario<'_>) -> usize {
    let counts = scenario.aws_proxy.counts();
    WRITES.iter().map(|operation| counts.of(operation)).sum()
}

fn is_scaled(object: &Value) -> bool {
    let mut conditions = object["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten();
    let condition = conditions.find(|condition| condition["type"] == "AutoscalingReady");
    condition.is_some_and(|condition| condition["status"] == "True")
}

pub(crate) async fn a_worker_scales_on_its_queue_and_sleeps_at_night(world: &World) -> Result<()> {
    let (scenario, simulator) = simulated(world, "queue-worker").await?;
    let both = (&scenario, &simulator);
    let (url, account) = (&simulator.url, &scenario.account);
    scenario.kubectl.apply(&format!("{CLUSTER}---\n{WORKER}"))?;
    let ready = |object: &Value| is_ready(object) && is_scaled(object);
    until(both, OBJECT, SECOND, ready).await?;
    // One target, one policy and two actions, and the owner tag with the first call.
    ensure!(writes(&scenario) == 4, "{:?}", scenario.aws_proxy.counts());
    let target = targets(url, account).await?.pop().context("a target")?;
    ensure!(range(&target) == (Some(1), Some(20)), "{target}");
    let arn = &target["ScalableTargetARN"];
    let tags = call(
        url,
        account,
        "ListTagsForResource",
        json!({"ResourceARN": arn}),
    )
    .await?;
    ensure!(tags["Tags"]["ecs-operator.dev/owner"].is_string(), "{tags}");
    scenario.is_quiet().await?;

    // AWS's scaling changes the number of tasks, and so does the night.
    let scale = json!({"cluster": "shop", "service": "queue-worker", "desiredCount": 7});
    let ecs = "AmazonEC2ContainerServiceV20141113.UpdateService";
    aws_server::send(url, account, "ecs", ecs, &scale).await?;
    until(both, OBJECT, SECOND, |object| {
        is_ready(object) && object["status"]["desiredCount"] == 7
    })
    .await?;
    let mut hours = 0;
    while range(&targets(url, account).await?[0]) != (Some(0), Some(0)) {
        simulator.advance(3600 * SECOND);
        hours += 1;
        ensure!(hours <= 24, "there is a night in every day");
    }
    let asleep = until(both, OBJECT, SECOND, |object| {
        is_ready(object)
            && object["status"]["desiredCount"] == 0
            && object["status"]["autoscaling"]["maxCapacity"] == 0
    })
    .await?;
    let why = &asleep["status"]["autoscaling"]["capacityReason"];
    ensure!(
        why == "minCapacity 0 instead of 1: set by scheduled action night; maxCapacity 0 instead of 20: set by scheduled action night",
        "{why}"
    );
    let activity = &asleep["status"]["autoscaling"]["lastActivity"]["description"];
    ensure!(activity == "Setting desired count to 0.", "{activity}");
    let words = ["desired count to 0", "maximum capacity"];
    scenario
        .until_event("queue-worker", "ScalingActivity", &words)
        .await?;
    scenario.is_quiet().await?;
    let counts = scenario.aws_proxy.counts();
    ensure!(
        writes(&scenario) == 4 && counts.of("UpdateService") == 0,
        "{counts:?}"
    );

    // A change of the spec is sent; what is dropped is deleted.
    let changed = WORKER
        .replace("maxCapacity: 20\n", "maxCapacity: 30\n")
        .replace("messages: 100", "messages: 50");
    let (changed, _) = changed
        .split_once("      - scheduledActionName: morning")
        .context("two actions")?;
    scenario.kubectl.apply(changed)?;
    let sent =
        |object: &Value| ready(object) && object["status"]["autoscaling"]["maxCapacity"] == 30;
    until(both, OBJECT, SECOND, sent).await?;
    let counts = scenario.aws_proxy.counts();
    ensure!(
        counts.of("RegisterScalableTarget") == 2
            && counts.of("PutScalingPolicy") == 2
            && counts.of("DeleteScheduledAction") == 1,
        "{counts:?}"
    );
    scenario.is_quiet().await?;

    // Without the block scaling ends, and the number of tasks stays.
    let (unscaled, _) = WORKER.split_once("  autoscaling:").context("the block")?;
    scenario.kubectl.apply(unscaled)?;
    until(both, OBJECT, SECOND, |object| {
        is_ready(object) && object["status"]["autoscaling"].is_null()
    })
    .await?;
    ensure!(targets(url, account).await?.is_empty());
    scenario.is_quiet().await?;
    scenario.end().await
}

pub(crate) async fn a_service_that_is_made_again_is_scaled_again(world: &World) -> Result<()> {
    let (scenario, simulator) = simulated(world, "made-again").await?;
    let both = (&scenario, &simulator);
    let (url, account) = (&simulator.url, &scenario.account);
    scenario.kubectl.apply(&format!("{CLUSTER}---\n{WEB}"))?;
    let object = "ecsservice/autoscaled-web";
    let ready = |object: &Value| is_ready(object) && is_scaled(object);
    let first = until(both, object, SECOND, ready).await?;
    let delete = json!({"cluster": "shop", "service": "autoscaled-web", "force": true});
    let ecs = "AmazonEC2ContainerServiceV20141113.DeleteService";
    aws_server::send(url, account, "ecs", ecs, &delete).await?;
    ensure!(targets(url, account).await?.is_empty());
    let arn = |object: &Value| object["status"]["autoscaling"]["scalableTargetARN"].clone();
    until(both, object, SECOND, |object| {
        ready(object) && arn(object) != arn(&first)
    })
    .await?;
    let policies = call(
        url,
        account,
        "DescribeScalingPolicies",
        named("autoscaled-web"),
    )
    .await?;
    let policies = policies["ScalingPolicies"].as_array().map(Vec::len);
    ensure!(policies == Some(2), "{policies:?}");
    scenario.is_quiet().await?;
    // The scalable target goes before the service, and where it may not, with the service.
    let denied = Rule {
        operation: Some("DeregisterScalableTarget".to_owned()),
        ..Rule::always(Fault::AccessDenied)
    };
    scenario.aws_proxy.faults.set(Faults {
        rules: vec![denied],
        ..Faults::default()
    });
    scenario
        .kubectl
        .run(&["delete", "ecs", "--all", "--wait=false"])?;
    wait::until("all gone", PATIENCE, async || {
        simulator.advance(SECOND);
        let left = scenario.kubectl.run(&["get", "ecs", "--output=name"])?;
        ensure!(left.is_empty(), "{left}");
        Ok(())
    })
    .await?;
    ensure!(scenario.aws_proxy.counts().of("DeregisterScalableTarget") == 1);
    ensure!(targets(url, account).await?.is_empty());
    scenario.end().await
}

pub(crate) async fn scaling_of_others_is_taken_over_by_consent_alone(world: &World) -> Result<()> {
    let (scenario, simulator) = simulated(world, "scaled-by-others").await?;
    let both = (&scenario, &simulator);
    let (url, account) = (&simulator.url, &scenario.account);
    let (unscaled, _) = WORKER.split_once("  autoscaling:").context("the block")?;
    scenario
        .kubectl
        .apply(&format!("{CLUSTER}---\n{unscaled}"))?;
    until(both, OBJECT, SECOND, is_ready).await?;
    let with = |members: Value| {
        let mut request = named("queue-worker");
        for (name, value) in members.as_object().into_iter().flatten() {
            request[name] = value.clone();
        }
        request
    };
    let register = with(json!({"MinCapacity": 1, "MaxCapacity": 3}));
    call(url, account, "RegisterScalableTarget", register).await?;
    let policy = json!({"PolicyName": "theirs", "PolicyType": "StepScaling",
        "StepScalingPolicyConfiguration": {"AdjustmentType": "ChangeInCapacity"}});
    call(url, account, "PutScalingPolicy", with(policy)).await?;
    scenario.kubectl.apply(WORKER)?;
    let refused = until(both, OBJECT, SECOND, |object| {
        has_reason(object, "ScalableTargetNotOwned")
    })
    .await?;
    let told = refused["status"]["conditions"].to_string();
    ensure!(told.contains("did not register"), "{told}");
    ensure!(writes(&scenario) == 0, "{:?}", scenario.aws_proxy.counts());
    let adopting = WORKER.replace(
        "  launchType: FARGATE\n",
        "  launchType: FARGATE\n  adoptionPolicy: IfUnowned\n",
    );
    scenario.kubectl.apply(&adopting)?;
    let adopted = until(both, OBJECT, SECOND, |object| {
        is_ready(object) && is_scaled(object)
    })
    .await?;
    let unmanaged = &adopted["status"]["autoscaling"]["unmanaged"];
    ensure!(*unmanaged == json!(["theirs"]), "{unmanaged}");
    ensure!(range(&targets(url, account).await?[0]) == (Some(1), Some(20)));
    scenario.is_quiet().await?;
    scenario.end().await
}

/// Real requests to Application Auto Scaling, beside the checkout.
pub(crate) fn real_documents() -> PathBuf {
    corpus::real_documents().join("autoscaling")
}

/// A service whose block stands for a request of somebody else, to RegisterScalableTarget or to
/// PutScalingPolicy.
fn service_of(name: &str, document: &Value) -> Result<String> {
    let is_policy = !document["PolicyName"].is_null();
    let mut block = json!({"minCapacity": 1, "maxCapacity": 100});
    if is_policy {
        block["policies"] = json!([lowercase(document)]);
    } else if let Value::Object(members) = lowercase(document) {
        for (member, value) in members {
            block[member] = value;
        }
    }
    let service = json!({
        "apiVersion": "ecs-operator.dev/v1beta1",
        "kind": "EcsService",
        "metadata": {"name": name},
        "spec": {"cluster": "shop", "taskDefinition": "web:1", "autoscaling": block},
    });
    Ok(serde_json::to_string(&service)?)
}

/// The document with names that begin with a lower-case letter.
fn lowercase(document: &Value) -> Value {
    match document {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| {
                let (first, rest) = name.split_at(1);
                (format!("{}{rest}", first.to_lowercase()), lowercase(value))
            })
            .collect(),
        Value::Array(elements) => elements.iter().map(lowercase).collect(),
        other => other.clone(),
    }
}

/// Each of the documents is admitted, and the request that leaves says what it says.
pub(crate) async fn real_scaling_documents_reach_aws_whole(world: &World) -> Result<()> {
    let (scenario, simulator) = simulated(world, "scaling-corpus").await?;
    let definition = "apiVersion: ecs-operator.dev/v1beta1\nkind: EcsTaskDefinition\nmetadata: {name: web}\nspec:\n  \
        containerDefinitions: [{name: web, image: nginx, memory: 64}]\n";
    scenario
        .kubectl
        .apply(&format!("{CLUSTER}---\n{definition}"))?;
    scenario.wait_ready(&["ecscluster/shop", "ecstaskdefinition/web"])?;
    let mut documents = Vec::new();
    for entry in fs::read_dir(real_documents())? {
        let path = entry?.path();
        let mut document: Value = serde_json::from_slice(&fs::read(&path)?)?;
        let members = document.as_object_mut().context("a request")?;
        // The service has them from its place, and AWS uses the service-linked role.
        for member in [
            "ServiceNamespace",
            "ResourceId",
            "ScalableDimension",
            "RoleARN",
        ] {
            members.remove(member);
        }
        let name = format!("document-{}", documents.len());
        scenario
            .kubectl
            .apply(&service_of(&name, &document)?)
            .with_context(|| path.display().to_string())?;
        documents.push((name, document));
    }
    ensure!(!documents.is_empty(), "there are documents");
    for (name, document) in &documents {
        let operation = match &document["PolicyName"] {
            Value::Null => "RegisterScalableTarget",
            _ => "PutScalingPolicy",
        };
        let resource = format!("service/shop/{name}");
        let request = wait::until(name, PATIENCE, async || {
            simulator.advance(SECOND);
            let calls = scenario.aws_proxy.calls().into_iter();
            let mut ours = calls.filter(|call| {
                call.operation == operation && call.request["ResourceId"] == *resource
            });
            ours.next().map(|call| call.request).context("no request")
        });
        let lost = lost(document, &request.await?);
        ensure!(lost.is_empty(), "{name}: {lost:?} of {document}");
    }
    println!("{} documents", documents.len());
    scenario.end().await
}
