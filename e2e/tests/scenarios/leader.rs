//! Two replicas, of which one works.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use e2e::aws_proxy::AwsProxy;
use e2e::aws_server;
use e2e::installation::Installation;
use e2e::operator::{Operator, Options};
use e2e::process::signal;
use e2e::wait;
use e2e::world::{PATIENCE, Scenario, World};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use nix::sys::signal::Signal;

use crate::basics::{OBJECTS, SAMPLES, SERVICE};

/// Starts the operator of the scenario, which leads, and then another one beside it, with an AWS
/// proxy of its own.
async fn two<'a>(world: &'a World, name: &str) -> Result<(Scenario<'a>, Operator, AwsProxy)> {
    let mut scenario = world.scenario_without_operator(name).await?;
    // A release in the namespace of the scenario, with rights in no other: its Lease lies there.
    let own = &scenario.namespace;
    let values = [
        "--set=crds.enabled=false,deletionProtection.enabled=false,rbac.userRoles=false,watch.scope=Namespaces",
        "--set=leaderElection.lease=ecs-operator",
        &format!("--set=watch.namespaces={{{own}}},fullnameOverride={own}"),
    ];
    let installation =
        Installation::new(&scenario.kubectl, own, &values, &world.dir.join(own)).await?;
    let namespace = format!("--leader-election-namespace={own}");
    scenario.options.kubeconfig = installation.kubeconfig;
    scenario.options.flags.extend(
        [
            "--leader-election",
            "--leader-election-duration=10s",
            &namespace,
        ]
        .map(str::to_owned),
    );
    scenario.start_operator()?;
    scenario.operator()?.ready().await?;
    until_leader(scenario.operator()?).await?;
    let aws_proxy = AwsProxy::start(&world.aws.url, 0, 0).await?;
    let options = Options {
        environment: aws_server::environment(&aws_proxy.aws_url, &scenario.account),
        ..scenario.options.clone()
    };
    let mut other = Operator::start(
        &world.dir.join(format!("{}-other", scenario.namespace)),
        &options,
    )?;
    other.ready().await?;
    ensure!(!is_leader(&other), "there are two leaders");
    Ok((scenario, other, aws_proxy))
}

fn is_leader(operator: &Operator) -> bool {
    operator
        .process
        .log()
        .contains("this process is the leader")
}

async fn until_leader(operator: &Operator) -> Result<()> {
    wait::until("a leader", PATIENCE, async || {
        ensure!(is_leader(operator), "it is none yet");
        Ok(())
    })
    .await
}

pub(crate) async fn a_paused_leader_writes_nothing_and_ends(world: &World) -> Result<()> {
    let (mut scenario, other, aws_proxy) = two(world, "stopped").await?;
    let ended = scenario.operator()?.process.ended()?;
    ensure!(ended.is_none(), "it ended before it was stopped: {ended:?}");
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;
    ensure!(
        aws_proxy.counts().writes() + aws_proxy.counts().reads() == 0,
        "the standby calls AWS: {:?}",
        aws_proxy.counts()
    );

    signal(scenario.operator()?.process.pid(), Signal::SIGSTOP);
    scenario
        .kubectl
        .apply(&SAMPLES.replace("nginx:1.29", "nginx:1.30"))?;
    until_leader(&other).await?;
    scenario
        .until(SERVICE, |service| service["status"]["revision"] == "web:2")
        .await?;
    scenario.wait_ready(&OBJECTS)?;
    let written = scenario.aws_proxy.counts().writes();
    signal(scenario.operator()?.process.pid(), Signal::SIGCONT);
    let code = tokio::time::timeout(PATIENCE, scenario.operator()?.process.wait())
        .await
        .context("it goes on")??;
    let log = scenario.operator()?.process.log();
    ensure!(
        code == 1 && log.contains("lost the leader election"),
        "{code}: {log}"
    );
    ensure!(
        scenario.aws_proxy.counts().writes() == written,
        "who was deposed wrote: {:?}",
        scenario.aws_proxy.counts()
    );

    // The other one has made one revision and one update, and nothing twice.
    let counts = aws_proxy.counts();
    ensure!(
        counts.of("RegisterTaskDefinition") == 1
            && counts.of("UpdateService") == 1
            && counts.writes() == 2,
        "{counts:?}"
    );
    scenario.operator = Some(other);
    scenario.end().await
}

pub(crate) async fn a_leader_renews_its_lease_and_stays(world: &World) -> Result<()> {
    let (mut scenario, other, _proxy) = two(world, "stays").await?;
    let leases = Api::<Lease>::namespaced(scenario.client.clone(), &scenario.namespace);
    let mut renewed = BTreeSet::new();
    let mut holders = BTreeSet::new();
    // Three times as long as the Lease is good without.
    wait::until("renewals", PATIENCE, async || {
        let spec = leases
            .get("ecs-operator")
            .await?
            .spec
            .context("it is held")?;
        renewed.insert(spec.renew_time.context("it was renewed")?.0);
        holders.insert(spec.holder_identity);
        ensure!(renewed.len() >= 10, "{} renewals", renewed.len());
        Ok(())
    })
    .await?;
    ensure!(
        holders.len() == 1 && !is_leader(&other),
        "it went from hand to hand: {holders:?}"
    );
    let ended = scenario.operator()?.process.ended()?;
    ensure!(ended.is_none(), "the leader has ended: {ended:?}");
    scenario.end().await
}

pub(crate) async fn a_standby_goes_on_where_the_leader_was_killed(world: &World) -> Result<()> {
    let (mut scenario, other, aws_proxy) = two(world, "killed").await?;
    let hold = scenario.aws_proxy.hold("CreateService");
    scenario.kubectl.apply(SAMPLES)?;
    wait::until("the service", PATIENCE, async || {
        ensure!(
            scenario.aws_proxy.counts().of("CreateService") == 1,
            "{:?}",
            scenario.aws_proxy.counts()
        );
        Ok(())
    })
    .await?;
    scenario.operator()?.process.kill().await?;
    drop(hold);
    scenario.wait_ready(&OBJECTS)?;
    ensure!(
        aws_proxy.counts().of("CreateService") == 0,
        "the service is made twice: {:?}",
        aws_proxy.counts()
    );
    ensure!(
        aws_proxy.counts().of("RegisterTaskDefinition") == 0,
        "the revision is made twice: {:?}",
        aws_proxy.counts()
    );
    scenario.operator = Some(other);
    scenario.end().await
}

pub(crate) async fn a_leader_releases_its_lease_at_shutdown(world: &World) -> Result<()> {
    let (mut scenario, other, aws_proxy) = two(world, "peace").await?;
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;
    let code = scenario.operator()?.process.stop().await?;
    ensure!(code == 0, "it ends with {code}");
    let log = scenario.operator()?.process.log();
    ensure!(log.contains("the Lease was let go"), "{log}");
    until_leader(&other).await?;
    scenario
        .kubectl
        .apply(&SAMPLES.replace("nginx:1.29", "nginx:1.30"))?;
    scenario
        .until(SERVICE, |service| service["status"]["revision"] == "web:2")
        .await?;
    ensure!(aws_proxy.counts().writes() == 2, "{:?}", aws_proxy.counts());
    scenario.operator = Some(other);
    scenario.end().await
}

pub(crate) async fn without_rights_on_leases_it_says_which_it_needs(world: &World) -> Result<()> {
    let mut scenario = world.scenario_without_operator("no-lease").await?;
    let flags = [
        "--leader-election",
        "--leader-election-namespace=does-not-exist",
    ]
    .map(str::to_owned);
    scenario.options.flags.extend(flags);
    scenario.start_operator()?;
    wait::until("what is missing", PATIENCE, async || {
        let report = scenario
            .operator
            .as_ref()
            .context("it runs")?
            .get("/readyz")
            .await?;
        ensure!(
            report.contains("[-] leader-election: the Lease cannot be read or taken"),
            report
        );
        ensure!(report.contains("cannot get resource \"leases\""), report);
        Ok(())
    })
    .await?;
    scenario.end().await
}
