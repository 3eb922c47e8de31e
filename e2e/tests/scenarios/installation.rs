//! The operator meets a cluster that is not ready for it.

use anyhow::{Context, Result, ensure};
use e2e::aws_proxy::AwsProxy;
use e2e::aws_server;
use e2e::chart::RELEASE;
use e2e::control_plane::ControlPlane;
use e2e::installation::Installation;
use e2e::operator::{Operator, Options};
use e2e::wait;
use e2e::world::{PATIENCE, World, ready};
use serde_json::{Value, json};

use crate::basics::{OBJECTS, SAMPLES, SERVICE};

/// A control plane of its own, without our definitions at first and then without the rights for one
/// kind.
#[allow(
    clippy::too_many_lines,
    reason = "the steps share one control plane, which takes long to start"
)]
pub(crate) async fn missing_definitions_and_rights_are_named(world: &World) -> Result<()> {
    let dir = world.dir.join("installation");
    let mut control_plane = ControlPlane::start(&dir).await?;
    let kubectl = control_plane.kubectl(Some("default"));
    let installation =
        Installation::new(&kubectl, RELEASE, &["--set=crds.enabled=false"], &dir).await?;
    let aws_proxy = AwsProxy::start(&world.aws.url, 0, 0).await?;
    let options = Options {
        flags: Vec::new(),
        environment: aws_server::environment(&aws_proxy.aws_url, "199999999999"),
        kubeconfig: installation.kubeconfig,
    };
    let mut operator = Operator::start(&dir, &options)?;
    let report = async |words: &str| {
        wait::until("/readyz", PATIENCE, async || {
            let report = operator.get("/readyz").await?;
            ensure!(report.contains(words), report);
            Ok(report)
        })
        .await
    };
    report("[-] ecsclusters: the custom resource definition is not installed: apply the output of `ecs-operator crd`").await?;
    ensure!(
        operator.get("/healthz").await? == "ok",
        "waiting is no reason to be restarted"
    );

    // The chart's rights, but for one kind.
    let rights = |without: &str| {
        let definitions = ecs_operator_crds::all().into_iter();
        let kinds = definitions.map(|definition| definition.spec.names.plural);
        let kinds: Vec<_> = kinds.filter(|plural| plural != without).collect();
        let patch =
            json!([{"op": "replace", "path": "/rules/0/resources", "value": kinds}]).to_string();
        kubectl.run(&["patch", "clusterrole", RELEASE, "--type=json", "-p", &patch])
    };
    rights("ecstaskdefinitions")?;
    kubectl.apply(&ecs_operator::crd::yaml()?)?;
    let refused =
        report("[-] ecstaskdefinitions: RBAC does not let the operator list ecstaskdefinitions")
            .await?;
    ensure!(
        refused.contains("cannot list resource \"ecstaskdefinitions\""),
        "{refused}"
    );
    kubectl.until_established()?;
    report("[+] ecsclusters: ok").await?;
    report("[+] ecsservices: ok").await?;
    // That kind is off, and the others work.
    kubectl.apply(SAMPLES)?;
    kubectl.run(&["wait", OBJECTS[0], "--for=condition=Ready", "--timeout=60s"])?;
    wait::until("words", PATIENCE, async || {
        let service: Value = serde_json::from_str(&kubectl.run(&["get", SERVICE, "-o", "json"])?)?;
        let message = ready(&service).context("no condition yet")?["message"].to_string();
        ensure!(
            message.contains(
                "EcsTaskDefinition web (spec.taskDefinitionRef) cannot be read: RBAC does not"
            ),
            message
        );
        Ok(())
    })
    .await?;
    let metrics = operator.get("/metrics").await?;
    ensure!(
        metrics.contains("ecs_operator_kind_up{kind=\"EcsTaskDefinition\"} 0"),
        "{metrics}"
    );
    ensure!(
        metrics.contains("ecs_operator_kind_up{kind=\"EcsService\"} 1"),
        "{metrics}"
    );

    rights("")?;
    report("[+] ecstaskdefinitions: ok").await?;
    kubectl.run(&[
        "wait",
        OBJECTS[0],
        OBJECTS[1],
        OBJECTS[2],
        "--for=condition=Ready",
        "--timeout=60s",
    ])?;
    ensure!(aws_proxy.counts().writes() == 3, "{:?}", aws_proxy.counts());
    ensure!(
        operator
            .process
            .log()
            .contains("waiting: RBAC does not let"),
        "the log says it too"
    );

    // A kind that is taken away while the operator runs.
    kubectl.run(&[
        "patch",
        SERVICE,
        "--type=merge",
        "-p",
        r#"{"spec":{"deletionPolicy":"Retain"}}"#,
    ])?;
    kubectl.run(&["delete", "crd", "ecsservices.ecs-operator.dev"])?;
    report("[-] ecsservices: the custom resource definition is not installed").await?;
    let metrics = operator.get("/metrics").await?;
    ensure!(
        metrics.contains("ecs_operator_kind_up{kind=\"EcsService\"} 0"),
        "{metrics}"
    );
    kubectl.apply(&ecs_operator::crd::yaml()?)?;
    kubectl.until_established()?;
    report("[+] ecsservices: ok").await?;
    operator.ready().await?;
    // The service was marked as retained, and an object of its name takes it over when told so.
    kubectl.apply(&SAMPLES.replace("\nspec:\n", "\nspec:\n  adoptionPolicy: IfUnowned\n"))?;
    kubectl.run(&["wait", SERVICE, "--for=condition=Ready", "--timeout=60s"])?;
    let (counts, tagged) = (
        aws_proxy.counts(),
        aws_proxy.counts().of("TagResource") + aws_proxy.counts().of("UntagResource"),
    );
    ensure!(
        counts.writes() == 3 + tagged,
        "only tags were written: {counts:?}"
    );
    operator.process.stop().await?;
    control_plane.stop().await
}

pub(crate) async fn a_taken_port_and_a_wrong_flag_end_the_operator_with_words(
    world: &World,
) -> Result<()> {
    let scenario = world.scenario("port").await?;
    let address = scenario
        .operator
        .as_ref()
        .context("it runs")?
        .url()?
        .replace("http://", "");
    let rows = [
        (vec!["--http-address", &address], vec![], "--http-address"),
        (vec!["--sweep-steady", "often"], vec![], "--sweep-steady"),
        (vec!["--log-filter", "=,="], vec![], "--log-filter"),
        (
            vec![],
            vec![("ECS_OPERATOR_AWS_QUOTA_SHARE", "200")],
            "--aws-quota-share",
        ),
        (
            vec!["--http-address", "127.0.0.1:0"],
            vec![("AWS_REGION", "")],
            "AWS_REGION",
        ),
    ];
    for (flags, environment, words) in rows {
        let output = tokio::process::Command::new(e2e::assets::operator()?)
            .arg("run")
            // Should it start after all, it must find nothing to do.
            .args(["--watch-namespaces", "nowhere"])
            .args(&flags)
            .env("KUBECONFIG", &scenario.options.kubeconfig)
            .envs(aws_server::environment(&world.aws.url, "199999999999"))
            .envs(environment)
            .output();
        let output = tokio::time::timeout(PATIENCE, output)
            .await
            .with_context(|| format!("it runs on with {flags:?}"))??;
        let text = String::from_utf8_lossy(&output.stderr);
        ensure!(
            !output.status.success() && text.contains(words),
            "{flags:?}: {}\n{text}",
            output.status
        );
    }
    scenario.end().await
}
