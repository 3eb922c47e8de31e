//! Events of ECS from a queue. The server emits none, so the test puts them into the queue, in the
//! form that EventBridge gives them.

use anyhow::{Context, Result, ensure};
use e2e::aws_server;
use e2e::wait;
use e2e::world::{PATIENCE, Scenario, World};
use serde_json::{Value, json};

use crate::basics::{OBJECTS, SAMPLES};

/// Name of the queue.
const QUEUE: &str = "ecs-events";

async fn sqs(scenario: &Scenario<'_>, operation: &str, request: &Value) -> Result<Value> {
    let target = format!("AmazonSQS.{operation}");
    aws_server::send(
        &scenario.world.aws.url,
        &scenario.account,
        "sqs",
        &target,
        request,
    )
    .await
}

/// Makes the queue and has the operator read it, and look at AWS by itself only once an hour.
async fn prepare(scenario: &mut Scenario<'_>) -> Result<String> {
    let queue = sqs(scenario, "CreateQueue", &json!({"QueueName": QUEUE})).await?;
    let url = queue["QueueUrl"]
        .as_str()
        .context("a queue has a URL")?
        .to_owned();
    scenario
        .options
        .flags
        .retain(|flag| !flag.starts_with("--sweep"));
    let flags = [
        "--sweep-active=1h",
        "--sweep-steady=1h",
        &format!("--aws-event-queue-url={url}"),
    ]
    .map(str::to_owned);
    scenario.options.flags.extend(flags);
    scenario.start_operator()?;
    scenario.operator()?.ready().await?;
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;
    Ok(url)
}

async fn put(scenario: &Scenario<'_>, url: &str, body: &str) -> Result<()> {
    sqs(
        scenario,
        "SendMessage",
        &json!({"QueueUrl": url, "MessageBody": body}),
    )
    .await
    .map(drop)
}

/// An event about a service, as EventBridge puts it into a queue.
fn event(account: &str, service: &str) -> String {
    json!({
        "version": "0",
        "id": "3f8f1b6e-0000-4000-8000-000000000000",
        "detail-type": "ECS Service Action",
        "source": "aws.ecs",
        "account": account,
        "time": "2026-01-01T00:00:00Z",
        "region": aws_server::REGION,
        "resources": [format!("arn:aws:ecs:{}:{account}:service/shop/{service}", aws_server::REGION)],
        "detail": {"eventType": "INFO", "eventName": "SERVICE_DESIRED_COUNT_UPDATED"},
    })
    .to_string()
}

/// Awaits that a metric of the operator has a value.
async fn until_metric(scenario: &Scenario<'_>, metric: &str, value: i32) -> Result<()> {
    wait::until(metric, PATIENCE, async || {
        let metrics = scenario
            .operator
            .as_ref()
            .context("it runs")?
            .get("/metrics")
            .await?;
        let line = metrics
            .lines()
            .find(|line| line.starts_with(metric))
            .unwrap_or_default();
        ensure!(
            line.rsplit(' ').next().map(str::parse) == Some(Ok(f64::from(value))),
            "{line:?}"
        );
        Ok(())
    })
    .await
}

pub(crate) async fn events_have_changes_found_without_regular_looks(world: &World) -> Result<()> {
    let mut scenario = world.scenario_without_operator("hints").await?;
    let url = prepare(&mut scenario).await?;
    scenario
        .outsider
        .update_service()
        .cluster("shop")
        .service("web")
        .desired_count(5)
        .send()
        .await?;
    put(&scenario, &url, &event(&scenario.account, "web")).await?;
    scenario
        .until_desired_count("shop", "web", 2, PATIENCE)
        .await?;
    scenario.wait_ready(&OBJECTS)?;

    // Junk, events about others, and the same one again and again do no harm.
    let before = scenario.aws_proxy.counts();
    put(&scenario, &url, &"x".repeat(256 * 1024)).await?;
    for body in ["{", "7", "[]", r#"{"resources": {"a": 1}, "detail": "x"}"#] {
        put(&scenario, &url, body).await?;
    }
    put(&scenario, &url, &event("999999999999", "other")).await?;
    for _ in 0..20 {
        put(&scenario, &url, &event(&scenario.account, "web")).await?;
    }
    until_metric(
        &scenario,
        r#"ecs_operator_queue_events_total{result="ours""#,
        21,
    )
    .await?;
    until_metric(
        &scenario,
        r#"ecs_operator_queue_events_total{result="unreadable""#,
        2,
    )
    .await?;
    until_metric(
        &scenario,
        r#"ecs_operator_queue_events_total{result="not_ours""#,
        4,
    )
    .await?;
    let after = scenario.aws_proxy.counts();
    ensure!(
        after.of("UpdateService") == before.of("UpdateService"),
        "{before:?} became {after:?}"
    );
    let looks = after.of("DescribeServices") - before.of("DescribeServices");
    ensure!(looks <= 10, "{looks} looks for 21 events");
    wait::until("an empty queue", PATIENCE, async || {
        let names = json!([
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible"
        ]);
        let left = sqs(
            &scenario,
            "GetQueueAttributes",
            &json!({"QueueUrl": url, "AttributeNames": names}),
        )
        .await?;
        let empty = left["Attributes"]
            .as_object()
            .is_some_and(|counts| counts.values().all(|count| count == "0"));
        ensure!(empty, "{left}");
        Ok(())
    })
    .await?;
    scenario.end().await
}

pub(crate) async fn a_lost_queue_is_told_and_found_again(world: &World) -> Result<()> {
    let mut scenario = world.scenario_without_operator("lost-queue").await?;
    let url = prepare(&mut scenario).await?;
    until_metric(&scenario, "ecs_operator_event_queue_up", 1).await?;
    sqs(&scenario, "DeleteQueue", &json!({"QueueUrl": url})).await?;
    until_metric(&scenario, "ecs_operator_event_queue_up", 0).await?;
    let report = scenario.operator()?.get("/readyz").await?;
    ensure!(
        report.contains("[!] event-queue: cannot read the event queue"),
        report
    );
    ensure!(
        scenario.operator()?.ready().await.is_ok(),
        "it works without"
    );
    sqs(&scenario, "CreateQueue", &json!({"QueueName": QUEUE})).await?;
    until_metric(&scenario, "ecs_operator_event_queue_up", 1).await?;
    scenario.end().await
}
