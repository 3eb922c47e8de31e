//! AWS misbehaves all the time, or the API server goes away; in the end the world is as it should
//! be, and nothing is there twice.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use aws_sdk_ecs::types::TaskDefinitionStatus;
use e2e::faults::{Fault, Faults, Rule};
use e2e::kube_proxy::{KubeProxy, Outage};
use e2e::wait;
use e2e::world::{PATIENCE, Scenario, World};
use libtest_mimic::{Failed, Trial};
use tokio::runtime::Handle;

use crate::basics::{OBJECTS, SAMPLES, SERVICE};

/// Seed of the faults that happen at random.
const SEED: u64 = 20_261_121;

/// The life of a service under each kind of fault.
pub(crate) fn trials(world: &Arc<World>, runtime: &Handle) -> Vec<Trial> {
    let sometimes = |fault, probability| {
        vec![Rule {
            probability: Some(probability),
            ..Rule::always(fault)
        }]
    };
    let often = |fault| sometimes(fault, 0.2);
    // After these it is long until the next try.
    let first = |fault, operation: &str| Rule {
        operation: Some(operation.to_owned()),
        nth: Some(1),
        ..Rule::always(fault)
    };
    let lost = ["RegisterTaskDefinition", "CreateService", "UpdateService"]
        .map(|operation| first(Fault::LostReply, operation));
    let expired = [
        "DescribeClusters",
        "RegisterTaskDefinition",
        "UpdateService",
    ]
    .map(|operation| first(Fault::ExpiredToken, operation));
    let cases = [
        ("throttled", often(Fault::Throttled)),
        ("server_errors", often(Fault::ServerError)),
        ("expired_tokens", expired.into()),
        ("connections_break_before", often(Fault::ResetBefore)),
        ("connections_break_after", often(Fault::ResetAfter)),
        ("answers_break_off", often(Fault::Truncated)),
        ("something_else_answers", sometimes(Fault::Html, 0.1)),
        ("slow", vec![Rule::always(Fault::Delay(400))]),
        ("reads_lag_behind", vec![Rule::always(Fault::Stale(3000))]),
        ("replies_get_lost", lost.into()),
    ];
    let trial = |(name, rules): (&str, Vec<Rule>)| {
        let (world, runtime) = (Arc::clone(world), runtime.clone());
        let faults = Faults {
            seed: SEED,
            rules,
            quotas: false,
        };
        Trial::test(format!("faults::{name}"), move || {
            let lived = runtime.block_on(world.interruption.stops(live(&world, faults)));
            lived.map_err(|error| Failed::from(format!("seed {SEED}: {error:#}")))
        })
    };
    cases.into_iter().map(trial).collect()
}

async fn live(world: &World, faults: Faults) -> Result<()> {
    let no_call_fails = faults
        .rules
        .iter()
        .all(|rule| matches!(rule.fault, Fault::Delay(_) | Fault::Stale(_)));
    let mut scenario = world.scenario_without_operator("faults").await?;
    scenario.aws_proxy.faults.set(faults);
    scenario.start_operator()?;
    scenario.operator()?.ready().await?;
    scenario.kubectl.apply(SAMPLES)?;
    until_runs(&scenario, 1, 2).await?;
    scenario
        .kubectl
        .apply(&SAMPLES.replace("nginx:1.29", "nginx:1.30"))?;
    until_runs(&scenario, 2, 2).await?;
    scenario.kubectl.run(&["scale", SERVICE, "--replicas=3"])?;
    until_runs(&scenario, 2, 3).await?;
    if no_call_fails {
        scenario.looks(10).await?;
        let counts = scenario.aws_proxy.counts();
        let needed = [
            ("CreateCluster", 1),
            ("RegisterTaskDefinition", 2),
            ("CreateService", 1),
            ("UpdateService", 2),
        ];
        for (operation, count) in needed {
            ensure!(
                counts.of(operation) == count,
                "no call failed, and {operation} was sent again: {counts:?}"
            );
        }
    }
    scenario.aws_proxy.faults.clear();
    is_there_once(&scenario).await?;
    scenario.is_quiet().await?;
    scenario.end().await
}

/// Awaits that the service is Ready with this revision and number of tasks.
async fn until_runs(scenario: &Scenario<'_>, revision: u8, count: u8) -> Result<()> {
    let runs = |service: &serde_json::Value| {
        let status = &service["status"];
        status["observedGeneration"] == service["metadata"]["generation"]
            && status["revision"] == format!("web:{revision}")
            && status["runningCount"] == count
            && e2e::world::ready(service).is_some_and(|ready| ready["status"] == "True")
    };
    scenario.until(SERVICE, runs).await.map(drop)
}

/// One service, and one revision for each image.
async fn is_there_once(scenario: &Scenario<'_>) -> Result<()> {
    let services = scenario
        .outsider
        .list_services()
        .cluster("shop")
        .send()
        .await?;
    ensure!(
        services.service_arns().len() == 1,
        "{:?}",
        services.service_arns()
    );
    let revisions = scenario
        .outsider
        .list_task_definitions()
        .family_prefix("web")
        .status(TaskDefinitionStatus::Active)
        .send()
        .await?;
    ensure!(
        revisions.task_definition_arns().len() == 2,
        "{:?}",
        revisions.task_definition_arns()
    );
    Ok(())
}

/// The operator reaches the API server through a proxy.
async fn behind_proxy<'a>(world: &'a World, name: &str) -> Result<(Scenario<'a>, KubeProxy)> {
    let mut scenario = world.scenario_without_operator(name).await?;
    let dir = world.dir.join(&scenario.namespace);
    let proxy = KubeProxy::start(
        &scenario.options.kubeconfig,
        scenario.aws_proxy.gate.clone(),
        &dir,
    )
    .await?;
    scenario.options.kubeconfig.clone_from(&proxy.kubeconfig);
    scenario.start_operator()?;
    scenario.operator()?.ready().await?;
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;
    Ok((scenario, proxy))
}

pub(crate) async fn without_api_server_and_aws_it_waits_and_goes_on(world: &World) -> Result<()> {
    let (mut scenario, proxy) = behind_proxy(world, "outage").await?;
    proxy.set(Outage::Down);
    // What runs is cared for all the same.
    scenario
        .outsider
        .update_service()
        .cluster("shop")
        .service("web")
        .desired_count(7)
        .send()
        .await?;
    scenario
        .until_desired_count("shop", "web", 2, PATIENCE)
        .await?;
    // Then AWS goes, too.
    scenario.aws_proxy.faults.set(Faults {
        rules: vec![Rule::always(Fault::ResetBefore)],
        ..Faults::default()
    });
    scenario
        .kubectl
        .apply(&SAMPLES.replace("nginx:1.29", "nginx:1.30"))?;
    let tries = scenario.aws_proxy.counts().reads();
    wait::until("looks in vain", PATIENCE, async || {
        ensure!(
            scenario.aws_proxy.counts().reads() >= tries + 5,
            "{:?}",
            scenario.aws_proxy.counts()
        );
        Ok(())
    })
    .await?;
    proxy.set(Outage::None);
    scenario
        .until_ready_is(OBJECTS[1], "False", "AwsUnavailable")
        .await?;
    scenario.aws_proxy.faults.clear();
    until_runs(&scenario, 2, 2).await?;
    is_there_once(&scenario).await?;
    let log = scenario.operator()?.process.log();
    ensure!(!log.contains("panicked"), "{log}");
    scenario.is_quiet().await?;
    scenario.end().await
}

pub(crate) async fn watches_that_lost_their_place_start_anew(world: &World) -> Result<()> {
    let (mut scenario, proxy) = behind_proxy(world, "compacted").await?;
    let writes = scenario.aws_proxy.counts().writes();
    proxy.set(Outage::Gone);
    // Seen by no watch: one object changes, another one goes and comes again.
    scenario
        .kubectl
        .apply(&SAMPLES.replace("nginx:1.29", "nginx:1.30"))?;
    wait::until("refused watches", PATIENCE, async || {
        ensure!(proxy.refused() >= 3, "{}", proxy.refused());
        Ok(())
    })
    .await?;
    ensure!(
        scenario.aws_proxy.counts().writes() == writes,
        "it cannot know: {:?}",
        scenario.aws_proxy.counts()
    );
    proxy.set(Outage::None);
    until_runs(&scenario, 2, 2).await?;
    is_there_once(&scenario).await?;
    let log = scenario.operator()?.process.log();
    ensure!(log.contains("the watch was interrupted"), "{log}");
    scenario
        .is_quiet()
        .await
        .context("after the watches began anew")?;
    scenario.end().await
}
