//! The IAM policy that we ship: it is enough, no action of it is never used, and where one is
//! missing, the objects say which.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use e2e::aws_server;
use e2e::samples::SAMPLES;
use e2e::wait;
use e2e::world::{PATIENCE, Scenario, World, is_ready, ready};
use ecs_operator::aws::{Operation, services};
use ecs_operator::cli::IamPolicyArgs;
use ecs_operator::iam;
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::basics::OBJECTS;
use crate::ecr_repository::{self, OBJECT, REPOSITORY};

/// Actions that ministack does not have, or where it does not report what is missing; scenarios on
/// the simulator and the driver's tests with a pretend ECS use them.
const NOT_HERE: [&str; 8] = [
    "ecs:CreateCapacityProvider",
    "ecs:DeleteCapacityProvider",
    "ecs:DescribeCapacityProviders",
    "ecs:UpdateCapacityProvider",
    "ecs:DescribeServiceDeployments",
    "ecs:DescribeServiceRevisions",
    "ecs:ContinueServiceDeployment",
    "ecs:StopServiceDeployment",
];

/// Whether ministack has the action. It has no Application Auto Scaling.
fn is_here(action: &str) -> bool {
    !NOT_HERE.contains(&action) && !action.starts_with("application-autoscaling:")
}

/// Reads without which all goes on, by others or with fewer words: so no condition names them.
const DISPENSABLE: [&str; 5] = [
    "ecr:DescribeImages",
    "ecr:DescribePullThroughCacheRules",
    "ecs:ListTaskDefinitionFamilies",
    "ecs:ListTasks",
    "ecs:DescribeTasks",
];

/// A task in the cluster of the samples. It runs until it is stopped.
const TASK: &str = "apiVersion: ecs-operator.dev/v1beta1\nkind: EcsTask\nmetadata: {name: once}\nspec:\n  clusterRef: {name: shop}\n  \
    taskDefinitionRef: {name: web}\n  launchType: FARGATE\n  networkConfiguration: {awsvpcConfiguration: {subnets: [subnet-0a]}}\n";

/// All objects that become ready.
fn objects() -> impl Iterator<Item = &'static str> {
    OBJECTS.into_iter().chain([OBJECT])
}

/// A trial for each action that is taken away.
pub(crate) fn trials(world: &Arc<World>, runtime: &Handle) -> Vec<Trial> {
    let needed = actions()
        .into_iter()
        .filter(|action| is_here(action) && !DISPENSABLE.contains(&&**action));
    let trial = |action: String| {
        let (world, runtime) = (Arc::clone(world), runtime.clone());
        Trial::test(format!("iam::without {action}"), move || {
            runtime
                .block_on(world.interruption.stops(without(&world, &action)))
                .map_err(|error| Failed::from(format!("{error:#}")))
        })
    };
    needed.map(trial).collect()
}

/// The actions of all operations of the operator.
fn actions() -> BTreeSet<String> {
    services::operations().map(Operation::iam_action).collect()
}

/// The policy, less one action.
fn policy(without: Option<&str>) -> Result<String> {
    let mut policy = iam::policy(&IamPolicyArgs::default());
    for statement in &mut policy.statement {
        statement
            .action
            .retain(|action| Some(action.as_str()) != without);
    }
    policy
        .statement
        .retain(|statement| !statement.action.is_empty());
    Ok(serde_json::to_string(&policy)?)
}

/// A user with this policy, as whom the operator works.
async fn guarded<'a>(world: &'a World, policy: &str) -> Result<Scenario<'a>> {
    let mut scenario = world.scenario_without_operator("iam").await?;
    let url = &world.guarded().await?.url;
    scenario.use_server(url).await?;
    let user = ("UserName", "operator");
    aws_server::iam(url, &scenario.account, "CreateUser", &[user]).await?;
    let key = aws_server::iam(url, &scenario.account, "CreateAccessKey", &[user]).await?;
    let member = |name: &str| {
        let value = key
            .split_once(&format!("<{name}>"))
            .and_then(|(_, rest)| rest.split_once('<'));
        Ok::<_, anyhow::Error>(
            value
                .with_context(|| format!("no {name} in {key}"))?
                .0
                .to_owned(),
        )
    };
    let (id, secret) = (member("AccessKeyId")?, member("SecretAccessKey")?);
    put(&scenario, policy).await?;
    // The server looks whether roles are there, and not who may pass them.
    let trust = json!({"Version": "2012-10-17", "Statement": []}).to_string();
    for role in ["execution", "web"] {
        let parameters = [
            ("RoleName", role),
            ("Path", "/ecs/"),
            ("AssumeRolePolicyDocument", &trust),
        ];
        aws_server::iam(url, &scenario.account, "CreateRole", &parameters).await?;
    }
    scenario
        .options
        .environment
        .retain(|(name, _)| !["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].contains(name));
    scenario
        .options
        .environment
        .extend([("AWS_ACCESS_KEY_ID", id), ("AWS_SECRET_ACCESS_KEY", secret)]);
    scenario.start_operator()?;
    scenario.operator()?.ready().await?;
    Ok(scenario)
}

async fn put(scenario: &Scenario<'_>, policy: &str) -> Result<()> {
    let url = &scenario.world.guarded().await?.url;
    let parameters = [
        ("UserName", "operator"),
        ("PolicyName", "ecs-operator"),
        ("PolicyDocument", policy),
    ];
    aws_server::iam(url, &scenario.account, "PutUserPolicy", &parameters)
        .await
        .map(drop)
}

/// Makes, changes and deletes an object of each kind, so that every action is used.
async fn live(scenario: &Scenario<'_>) -> Result<()> {
    let samples = |image: &str, limits: &str| {
        SAMPLES
            .replace(
                "  requiresCompatibilities:",
                "  deleteRevisions: true\n  requiresCompatibilities:",
            )
            .replace("nginx:1.29", image)
            .replace(
                "capacityProviders: [FARGATE, FARGATE_SPOT]",
                &format!("capacityProviders: [{limits}]"),
            )
    };
    scenario.kubectl.apply(&samples("nginx:1", "FARGATE"))?;
    scenario.kubectl.apply(REPOSITORY)?;
    until_ready(scenario).await?;
    let changed =
        samples("nginx:2", "FARGATE, FARGATE_SPOT").replace("value: enabled", "value: disabled");
    let changed = changed.replace("- key: team\n", "- key: squad\n");
    scenario.kubectl.apply(&changed)?;
    scenario.kubectl.apply(&ecr_repository::changed())?;
    scenario
        .until(OBJECTS[2], |service| {
            service["status"]["revision"] == "web:2"
        })
        .await?;
    until_ready(scenario).await?;
    scenario.kubectl.apply(TASK)?;
    scenario
        .until("ecstask/once", |task| task["status"]["phase"] == "Running")
        .await?;
    scenario
        .kubectl
        .run(&["delete", "ecs", "--all", "--wait=false"])?;
    scenario.until_empty().await
}

/// Asks the operator to look at an object, where it is still there.
fn look(scenario: &Scenario<'_>, object: &str, when: &str) -> Result<()> {
    match scenario.kubectl.run(&[
        "annotate",
        "--overwrite",
        object,
        &format!("ecs-operator.dev/reconcileAt={when}"),
    ]) {
        Err(error) if !error.to_string().contains("not found") => Err(error),
        _ => Ok(()),
    }
}

/// Like `wait_ready`, while something else goes on beside it.
async fn until_ready(scenario: &Scenario<'_>) -> Result<()> {
    for object in objects() {
        scenario.until(object, is_ready).await?;
    }
    Ok(())
}

pub(crate) async fn the_policy_is_enough_and_none_of_it_is_never_used(world: &World) -> Result<()> {
    let scenario = guarded(world, &policy(None)?).await?;
    live(&scenario).await?;
    let denied: Vec<_> = scenario
        .aws_proxy
        .calls()
        .into_iter()
        .filter(|call| call.error.is_some())
        .collect();
    ensure!(
        denied
            .iter()
            .all(|call| call.error.as_deref() != Some("AccessDeniedException")),
        "{denied:?}"
    );
    let used: BTreeSet<_> = scenario
        .aws_proxy
        .calls()
        .iter()
        .map(|call| format!("{}:{}", call.service, call.operation))
        .collect();
    let unused: Vec<_> = actions()
        .into_iter()
        .filter(|action| !used.contains(action))
        .collect();
    let known: Vec<_> = unused
        .iter()
        .filter(|action| !is_here(action) || DISPENSABLE.contains(&&***action))
        .collect();
    ensure!(
        known.len() == unused.len(),
        "granted and never used: {unused:?}"
    );
    scenario.end().await
}

async fn without(world: &World, action: &str) -> Result<()> {
    let scenario = guarded(world, &policy(Some(action))?).await?;
    let mut told = false;
    let watch = async {
        wait::until(action, PATIENCE, async || {
            let objects: Value =
                serde_json::from_str(&scenario.kubectl.run(&["get", "ecs", "-o", "json"])?)?;
            let items = objects["items"].as_array().context("a list")?;
            let conditions: Vec<_> = items.iter().filter_map(ready).collect();
            let names = |ready: &&Value| {
                let message = ready["message"].as_str().unwrap_or_default();
                ready["reason"] == "AccessDenied" && message.contains(&format!("{action} "))
            };
            ensure!(
                conditions.iter().any(names),
                "no object says that {action} is missing: {conditions:?}"
            );
            Ok(())
        })
        .await?;
        told = true;
        put(&scenario, &policy(None)?).await?;
        // The operator would try again by itself, a minute later.
        let objects = objects().chain(["ecstask/once"]);
        objects
            .into_iter()
            .try_for_each(|object| look(&scenario, object, "after-the-policy"))
    };
    let (lived, watched) = tokio::join!(live(&scenario), watch);
    watched?;
    lived?;
    ensure!(told, "nobody needed it");
    scenario.end().await
}
