//! The operator meets a cluster that is not ready for it.

use std::fs;

use anyhow::{Context, Result, ensure};
use e2e::aws_server;
use e2e::control_plane::ControlPlane;
use e2e::kubectl::Kubectl;
use e2e::operator::{Operator, Options};
use e2e::wait;
use e2e::world::{PATIENCE, World};

/// A control plane of its own, without our definitions; a service account with rights for all kinds but one.
pub(crate) async fn missing_definitions_and_rights_are_named(world: &World) -> Result<()> {
    if std::env::var("USE_EXISTING_CLUSTER").is_ok_and(|value| value == "true") {
        // It cannot be taken from a cluster that others use.
        return Ok(());
    }
    let dir = world.dir.join("installation");
    let mut control_plane = ControlPlane::start(&dir).await?;
    let kubectl =
        Kubectl { program: control_plane.kubectl.clone(), kubeconfig: control_plane.kubeconfig.clone(), namespace: None };
    kubectl.apply(RIGHTS)?;
    let token = kubectl.run(&["create", "token", "ecs-operator", "--namespace=default"])?;
    let options = Options {
        flags: Vec::new(),
        environment: aws_server::environment(&world.aws.url, "199999999999"),
        kubeconfig: dir.join("operator.kubeconfig"),
    };
    let admin = fs::read_to_string(&control_plane.kubeconfig)?;
    let (server, _) = admin.split_once("    client-certificate:").context("the kubeconfig names a certificate")?;
    fs::write(&options.kubeconfig, format!("{server}    token: {}\n", token.trim()))?;

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
    ensure!(operator.get("/healthz").await? == "ok", "waiting is no reason to be restarted");

    kubectl.apply(&ecs_operator::crd::yaml()?)?;
    let refused = report("[-] ecsservices: RBAC does not let the operator list ecsservices").await?;
    ensure!(refused.contains("cannot list resource \"ecsservices\""), "{refused}");
    kubectl.apply(&RIGHTS.replace("ecstaskdefinitions,", "ecstaskdefinitions, ecsservices,"))?;
    report("[+] ecsservices: ok").await?;
    operator.ready().await?;
    ensure!(operator.process.log().contains("waiting: RBAC does not let"), "the log says it too");
    operator.process.stop().await?;
    control_plane.stop().await
}

const RIGHTS: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: ecs-operator, namespace: default}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: ecs-operator}
rules:
- apiGroups: [ecs-operator.dev]
  resources: [ecsclusters, ecstaskdefinitions, \"ecsclusters/status\"]
  verbs: [get, list, watch, patch]
- apiGroups: ['']
  resources: [namespaces]
  resourceNames: [kube-system]
  verbs: [get]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: ecs-operator}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: ecs-operator}
subjects: [{kind: ServiceAccount, name: ecs-operator, namespace: default}]
";

pub(crate) async fn a_taken_port_and_a_wrong_flag_end_the_operator_with_words(world: &World) -> Result<()> {
    let scenario = world.scenario("port").await?;
    let address = scenario.operator.as_ref().context("it runs")?.url()?.replace("http://", "");
    let rows = [
        (vec!["--http-address", &address], vec![], "--http-address"),
        (vec!["--sweep-steady", "often"], vec![], "--sweep-steady"),
        (vec!["--log-filter", "=,="], vec![], "--log-filter"),
        (vec![], vec![("ECS_OPERATOR_AWS_QUOTA_SHARE", "200")], "--aws-quota-share"),
        (vec!["--http-address", "127.0.0.1:0"], vec![("AWS_REGION", "")], "AWS_REGION"),
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
        let output = tokio::time::timeout(PATIENCE, output).await.with_context(|| format!("it runs on with {flags:?}"))??;
        let text = String::from_utf8_lossy(&output.stderr);
        ensure!(!output.status.success() && text.contains(words), "{flags:?}: {}\n{text}", output.status);
    }
    scenario.end().await
}
