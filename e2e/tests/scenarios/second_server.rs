//! A smoke run on another AWS server, so that nothing depends on the habits of one.

use anyhow::{Context, Result, ensure};
use e2e::aws_server::{self, AwsServer, Kind};
use e2e::samples;
use e2e::world::World;
use serde_json::{Value, json};

/// moto keeps services and starts no task of theirs, so they are set to none; it fails for networks
/// that it does not know, so the service has none; nor does it know launch type EXTERNAL.
pub(crate) async fn moto_holds_what_we_ask_for(world: &World) -> Result<()> {
    let mut scenario = world.scenario_without_operator("moto").await?;
    let mut server = AwsServer::start(Kind::Moto, &world.dir.join(&scenario.namespace)).await?;
    scenario.use_server(&server.url).await?;
    scenario.start_operator()?;
    scenario.operator()?.ready().await?;
    let service = include_str!("../../../samples/cases/external.yaml");
    let service = service
        .replace("desiredCount: 1", "desiredCount: 0")
        .replace("EXTERNAL", "EC2");
    scenario
        .kubectl
        .apply(&format!("{}---\n{service}", samples::CLUSTER))?;
    scenario.wait_ready(&["ecscluster/shop", "ecstaskdefinition/edge"])?;
    scenario
        .until("ecsservice/edge", |service| {
            service["status"]["revision"] == "edge:1"
        })
        .await?;
    ensure!(
        scenario.aws_proxy.counts().writes() == 3,
        "{:?}",
        scenario.aws_proxy.counts()
    );
    scenario.kubectl.run(&["delete", "ecs", "--all"])?;
    scenario.until_empty().await?;
    server.stop().await?;
    scenario.end().await
}

/// moto has capacity providers of Auto Scaling groups without states; ministack reports no provider
/// as missing.
pub(crate) async fn moto_keeps_capacity_providers(world: &World) -> Result<()> {
    let mut scenario = world.scenario_without_operator("moto-capacity").await?;
    let mut server = AwsServer::start(Kind::Moto, &world.dir.join(&scenario.namespace)).await?;
    scenario.use_server(&server.url).await?;
    scenario.start_operator()?;
    scenario.operator()?.ready().await?;
    let sample = include_str!("../../../samples/cases/capacity-provider-ec2.yaml");
    let (provider, _) = sample.split_once("---").context("two objects")?;
    let tagged = format!("{provider}  tags: [{{key: team, value: shop}}]\n");
    let object = "ecscapacityprovider/workers-on-demand";
    scenario.kubectl.apply(&tagged)?;
    scenario.wait_ready(&[object])?;
    scenario.is_quiet().await?;
    let changed = tagged
        .replace("targetCapacity: 90", "targetCapacity: 80")
        .replace("key: team", "key: squad");
    scenario.kubectl.apply(&changed)?;
    scenario.wait_ready(&[object])?;
    scenario.is_quiet().await?;
    let described = aws_server::send(
        &server.url,
        &scenario.account,
        "ecs",
        "AmazonEC2ContainerServiceV20141113.DescribeCapacityProviders",
        &json!({"capacityProviders": ["workers-on-demand"], "include": ["TAGS"]}),
    )
    .await?;
    let live = &described["capacityProviders"][0];
    let scaling = &live["autoScalingGroupProvider"]["managedScaling"];
    ensure!(scaling["targetCapacity"] == 80, "{live}");
    let tags = live["tags"].to_string();
    ensure!(tags.contains("squad") && !tags.contains("team"), "{tags}");
    scenario.kubectl.run(&["delete", "ecs", "--all"])?;
    scenario.until_empty().await?;
    server.stop().await?;
    scenario.end().await
}

/// moto keeps scalable targets, policies and scheduled actions, and moves no number of tasks.
pub(crate) async fn moto_scales_a_service(world: &World) -> Result<()> {
    let mut scenario = world.scenario_without_operator("moto-scaling").await?;
    let mut server = AwsServer::start(Kind::Moto, &world.dir.join(&scenario.namespace)).await?;
    scenario.use_server(&server.url).await?;
    scenario.start_operator()?;
    scenario.operator()?.ready().await?;
    let sample = include_str!("../../../samples/cases/queue-worker.yaml");
    let network = "  networkConfiguration:\n    awsvpcConfiguration:\n      subnets: [subnet-0a1b2c3d4e5f60718]\n";
    let worker = sample
        .replace(network, "")
        .replace(
            "  launchType: FARGATE\n",
            "  launchType: EC2\n  desiredCount: 0\n",
        )
        .replace("minCapacity: 1\n", "minCapacity: 0\n")
        .replace("[FARGATE]", "[EC2]")
        .replace("networkMode: awsvpc", "networkMode: bridge");
    let object = "ecsservice/queue-worker";
    scenario
        .kubectl
        .apply(&format!("{}---\n{worker}", samples::CLUSTER))?;
    let is_scaled = |object: &Value, max: i64| {
        let mut conditions = object["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten();
        object["status"]["autoscaling"]["maxCapacity"] == max
            && object["status"]["observedGeneration"] == object["metadata"]["generation"]
            && conditions.any(|condition| {
                condition["type"] == "AutoscalingReady" && condition["status"] == "True"
            })
    };
    scenario
        .until(object, |object| is_scaled(object, 20))
        .await?;
    let changed = worker
        .replace("maxCapacity: 20\n", "maxCapacity: 30\n")
        .replace("messages: 100", "messages: 50");
    scenario.kubectl.apply(&changed)?;
    scenario
        .until(object, |object| is_scaled(object, 30))
        .await?;
    let request = json!({"ServiceNamespace": "ecs", "ResourceId": "service/shop/queue-worker"});
    let described = aws_server::send(
        &server.url,
        &scenario.account,
        "application-autoscaling",
        "AnyScaleFrontendService.DescribeScalingPolicies",
        &request,
    )
    .await?;
    let live = &described["ScalingPolicies"][0];
    let tracking = &live["TargetTrackingScalingPolicyConfiguration"];
    ensure!(tracking["TargetValue"] == 50, "{live}");
    let counts = scenario.aws_proxy.counts();
    ensure!(
        counts.of("RegisterScalableTarget") == 2 && counts.of("PutScheduledAction") == 2,
        "{counts:?}"
    );
    scenario.is_quiet().await?;
    scenario.kubectl.run(&["delete", "ecs", "--all"])?;
    scenario.until_empty().await?;
    server.stop().await?;
    scenario.end().await
}
