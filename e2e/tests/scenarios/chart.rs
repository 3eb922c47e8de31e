//! The Helm chart.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use clap::{CommandFactory, Parser};
use e2e::chart::{self, RELEASE};
use e2e::installation::Installation;
use e2e::recorder::judge_prometheus;
use e2e::world::{PATIENCE, World, ready};
use e2e::{assets, merge_keys, wait};
use ecs_operator::cli::Cli;
use serde_json::{Value, json};

use crate::basics::{OBJECTS, SAMPLES};

/// Values that go well, as arguments of Helm. Together they set every value.
const GOOD: [&[&str]; 17] = [
    &[],
    &["--set=replicaCount=1,leaderElection.enabled=false"],
    &["--set=replicaCount=3,podDisruptionBudget.maxUnavailable=50%"],
    &[
        "--set=image.repository=example.com/ecs,image.tag=v1,image.pullPolicy=Always,imagePullSecrets[0].name=registry",
    ],
    &["--set=image.digest=sha256:0123456789012345678901234567890123456789012345678901234567890123"],
    &[
        "--set=nameOverride=ecs,fullnameOverride=our-ecs,commonLabels.team=platform,enabled=true,global.any=thing",
    ],
    &[
        "--set=crds.enabled=false,deletionProtection.enabled=false,rbac.userRoles=false,service.enabled=false",
    ],
    &[
        "--set=crds.keep=false,podDisruptionBudget.enabled=false,rbac.aggregateView=false,rbac.aggregateEdit=true",
    ],
    // `off` without quotes is false in YAML.
    &[
        "--set=aws.region=eusc-de-east-1,aws.quotaShare=false,networkPolicy.enabled=true",
        "--set-json=networkPolicy.apiServerPorts=[]",
    ],
    &[
        "--set=aws.region=eu-central-1,aws.roleArn=arn:aws:iam::111122223333:role/ecs-operator,aws.quotaShare=off",
    ],
    &[
        "--set=aws.eventQueueUrl=https://sqs.eu-central-1.amazonaws.com/111122223333/ecs-events,aws.quotaShare=100",
        "--set=aws.credentialsSecret.name=aws,aws.credentialsSecret.accessKeyId=id,aws.credentialsSecret.secretAccessKey=key",
    ],
    &[
        "--set=sweep.active=5s,sweep.steady=2m,sweep.taskDefinitions=2h,concurrency=8,http.port=9090,log.format=pretty",
    ],
    &[
        "--set=watch.scope=Namespaces,watch.namespaces={default,kube-public},watch.labelSelector=team=a,clusterId=prod",
    ],
    &[
        "--set=clusterId=prod,formerClusterIds={old,older},allowedClusters[0]=shop=shop-*,allowedClusters[1]=shop=eu-*/games,log.filter=debug",
        "--set=leaderElection.lease=ours,leaderElection.namespace=default,leaderElection.duration=30s",
    ],
    &[
        "--set=serviceAccount.create=false,serviceAccount.name=default,rbac.create=false",
        "--set=service.annotations.a=b",
    ],
    &[
        "--set=serviceAccount.annotations.a=b,podAnnotations.a=b,podLabels.a=b,commonLabels.a=c,nodeSelector.a=b,priorityClassName=system-cluster-critical",
        "--set=tolerations[0].operator=Exists,terminationGracePeriodSeconds=30,extraEnv[0].name=HTTPS_PROXY,extraEnv[0].value=http://proxy",
        "--set=resources.requests.cpu=1,resources.limits.memory=1Gi,extraVolumes[0].name=tmp",
        "--set-json=extraVolumes=[{\"name\":\"tmp\",\"emptyDir\":{}}]",
        "--set=extraVolumeMounts[0].name=tmp,extraVolumeMounts[0].mountPath=/tmp",
        "--set-json=topologySpreadConstraints=[{\"maxSkew\":1,\"topologyKey\":\"zone\",\"whenUnsatisfiable\":\"DoNotSchedule\"}]",
        "--set-json=affinity={\"nodeAffinity\":{}}",
    ],
    &[
        "--set=networkPolicy.enabled=true,networkPolicy.apiServerPorts={443}",
        "--set-json=networkPolicy.metricsFrom=[{\"namespaceSelector\":{}}]",
        "--set-json=networkPolicy.extraEgress=[{\"ports\":[{\"port\":3128}]}]",
        "--set=dashboard.enabled=true,dashboard.labels.a=b",
        "--set-json=extraObjects=[\"{apiVersion: v1, kind: ConfigMap, metadata: {name: \\\"{{ .Release.Name }}-more\\\"}}\"]",
    ],
];

/// Values for kinds that not every cluster has.
const MONITORING: &[&str] = &[
    "--set=serviceMonitor.enabled=true,serviceMonitor.interval=1m,serviceMonitor.labels.a=b",
    "--set=prometheusRule.enabled=true,prometheusRule.labels.a=b,commonLabels.a=c",
];

/// Values that are refused, and words of the refusal.
const BAD: [(&str, &str); 25] = [
    ("replicas=3", "replicas"),
    ("image.tagg=v1", "tagg"),
    ("replicaCount=many", "replicaCount"),
    ("image.digest=sha256:1", "digest"),
    ("aws.quotaShare=0", "quotaShare"),
    ("aws.quotaShare=half", "quotaShare"),
    ("aws.roleArn=ecs-operator", "roleArn"),
    ("aws.region=Frankfurt", "region"),
    ("sweep.steady=soon", "steady"),
    ("sweep.active=99ms", "active"),
    ("leaderElection.duration=1s", "duration"),
    ("leaderElection.duration=3601s", "duration"),
    ("aws.quotaShare=true", "quotaShare"),
    (
        "watch.scope=Namespaces,watch.namespaces={a,a}",
        "namespaces",
    ),
    (
        "serviceAccount.create=false,serviceAccount.name=a,aws.roleArn=arn:aws:iam::111122223333:role/a",
        "aws.roleArn: annotate",
    ),
    (
        "commonLabels.app\\.kubernetes\\.io/name=a",
        "commonLabels and podLabels: app.kubernetes.io/name",
    ),
    ("allowedClusters={shop}", "allowedClusters"),
    ("allowedClusters={shop=a/b/c}", "allowedClusters"),
    ("log.format=xml", "format"),
    (
        "leaderElection.enabled=false",
        "more than one replica needs leaderElection.enabled=true",
    ),
    (
        "watch.scope=Namespaces",
        "watch.namespaces: name at least one namespace",
    ),
    ("watch.namespaces={a}", "watch.scope: set it to Namespaces"),
    (
        "serviceAccount.create=false",
        "serviceAccount.name: name the ServiceAccount",
    ),
    (
        "serviceMonitor.enabled=true,service.enabled=false",
        "needs service.enabled=true",
    ),
    (
        "aws.roleArn=arn:aws:iam::111122223333:role/a,aws.credentialsSecret.name=b",
        "aws.roleArn: static keys",
    ),
];

pub(crate) async fn generated_files_of_the_chart_are_current(_: &World) -> Result<()> {
    for (path, current) in [
        ("charts/ecs-operator/values.yaml", chart::values_yaml()?),
        ("charts/ecs-operator/README.md", chart::readme()?),
        ("deploy/install.yaml", chart::manifests().await?),
        (
            "gitops/kustomize/ecs-operator-openapi.json",
            merge_keys::openapi()?,
        ),
    ] {
        let committed = std::fs::read_to_string(assets::root().join(path)).with_context(|| path)?;
        ensure!(committed == current, "{path} is stale: run `make generate`");
    }
    Ok(())
}

pub(crate) async fn every_set_of_values_is_taken_by_the_api_server_and_by_the_operator(
    world: &World,
) -> Result<()> {
    chart::helm(&["lint", "--strict", &chart::dir().display().to_string()]).await?;
    let namespace = world.namespace("chart").await?;
    let kubectl = world.kubectl(None);
    let mut flags = BTreeSet::new();
    for values in GOOD {
        let manifests = chart::template(&namespace, values).await?;
        let dry_run = [
            "apply",
            "--server-side",
            "--force-conflicts",
            "--dry-run=server",
            "-f",
            "-",
        ];
        kubectl
            .pipe(&manifests, &dry_run)
            .with_context(|| format!("{values:?}"))?;
        flags.extend(arguments(&manifests)?.into_iter().skip(1));
    }
    let set: String = GOOD.concat().concat() + &MONITORING.concat();
    for path in chart::paths()? {
        ensure!(set.contains(&path), "no row sets {path}");
    }
    // Every flag has its value, and the operator takes what the chart makes of it.
    let command = Cli::command();
    let run = command
        .find_subcommand("run")
        .context("there is a command run")?;
    for flag in run.get_arguments().filter_map(clap::Arg::get_long) {
        let has = flags
            .iter()
            .any(|argument| argument.trim_start_matches('-').split('=').next() == Some(flag));
        ensure!(has, "no value of the chart sets --{flag}");
    }
    Ok(())
}

/// The operator's arguments, which it takes.
fn arguments(manifests: &str) -> Result<Vec<String>> {
    let documents = chart::documents(manifests)?;
    let deployment = documents
        .iter()
        .find(|document| document["kind"] == "Deployment")
        .context("there is a Deployment")?;
    let arguments: Vec<String> =
        serde_json::from_value(pod(deployment)["spec"]["containers"][0]["args"].clone())?;
    Cli::try_parse_from(["ecs-operator".to_owned()].iter().chain(&arguments))?;
    Ok(arguments)
}

fn pod(deployment: &Value) -> &Value {
    &deployment["spec"]["template"]
}

pub(crate) async fn wrong_values_are_refused_by_name(_: &World) -> Result<()> {
    for (values, words) in BAD {
        let refused = chart::template(RELEASE, &[&format!("--set={values}")]).await;
        let words_are_in = refused
            .as_ref()
            .err()
            .is_some_and(|error| error.to_string().contains(words));
        ensure!(words_are_in, "{values}: {:?}", refused.map(|_| "taken"));
    }
    Ok(())
}

pub(crate) async fn a_network_policy_without_ports_lets_nothing_out(_: &World) -> Result<()> {
    let values = [
        "--set=networkPolicy.enabled=true",
        "--set-json=networkPolicy.apiServerPorts=[]",
    ];
    let documents = chart::documents(&chart::template(RELEASE, &values).await?)?;
    let policy = documents
        .iter()
        .find(|document| document["kind"] == "NetworkPolicy")
        .context("there is a NetworkPolicy")?;
    let egress = policy["spec"]["egress"]
        .as_array()
        .context("it has rules")?;
    ensure!(
        egress.iter().all(|rule| rule["ports"]
            .as_array()
            .is_some_and(|ports| !ports.is_empty())),
        "{egress:?}"
    );
    Ok(())
}

pub(crate) async fn a_digest_decides_which_image_runs(world: &World) -> Result<()> {
    let (released, ours) = (
        "sha256:".to_owned() + &"1".repeat(64),
        "sha256:".to_owned() + &"2".repeat(64),
    );
    // The chart as the release workflow leaves it.
    let dir = world.dir.join("released-chart");
    let copied = std::process::Command::new("cp")
        .args(["-r".as_ref(), chart::dir().as_os_str(), dir.as_os_str()])
        .status()?;
    ensure!(copied.success(), "the chart can be copied");
    let unreleased = std::fs::read_to_string(dir.join("Chart.yaml"))?;
    std::fs::write(
        dir.join("Chart.yaml"),
        unreleased.replace("image-digest: \"\"", &format!("image-digest: {released}")),
    )?;
    let version = env!("CARGO_PKG_VERSION");
    let rows = [
        ("", format!(":{version}@{released}")),
        ("image.tag=v9", ":v9".to_owned()),
        (&format!("image.digest={ours}"), format!("@{ours}")),
        (
            &format!("image.tag=v9,image.digest={ours}"),
            format!(":v9@{ours}"),
        ),
    ];
    for (values, expected) in rows {
        let set = format!("--set=image.repository=example.com/ecs,{values}");
        let template = [
            "template",
            RELEASE,
            &dir.display().to_string(),
            set.trim_end_matches(','),
            "--show-only=templates/deployment.yaml",
        ];
        let documents = chart::documents(&chart::helm(&template).await?)?;
        let image = &documents[0]["spec"]["template"]["spec"]["containers"][0]["image"];
        ensure!(
            *image == format!("example.com/ecs{expected}"),
            "{values}: {image}"
        );
    }
    Ok(())
}

pub(crate) async fn gitops_manifests_of_the_operator_fit_the_chart(world: &World) -> Result<()> {
    let rows = [
        (
            "argocd/operator.yaml",
            "Application",
            "/spec/source/path",
            "/spec/source/helm/valuesObject",
        ),
        (
            "flux/operator.yaml",
            "HelmRelease",
            "/spec/chart/spec/chart",
            "/spec/values",
        ),
    ];
    for (file, kind, path, values) in rows {
        let documents = chart::documents(&std::fs::read_to_string(
            assets::root().join("gitops").join(file),
        )?)?;
        let found = documents
            .iter()
            .find(|document| document["kind"] == kind)
            .context(kind)?;
        let path = found
            .pointer(path)
            .and_then(Value::as_str)
            .context("it names the chart")?;
        ensure!(assets::root().join(path) == chart::dir(), "{file}: {path}");
        let values_path = world.dir.join(format!("{kind}.json"));
        std::fs::write(
            &values_path,
            found.pointer(values).context("it has values")?.to_string(),
        )?;
        let rendered =
            chart::template(RELEASE, &["--values", &values_path.display().to_string()]).await?;
        for words in [
            format!(
                "registry.example.com/ecs-operator:{}",
                env!("CARGO_PKG_VERSION")
            ),
            "--aws-region=eu-central-1".to_owned(),
        ] {
            ensure!(
                rendered.contains(&words),
                "{file}: {words} is not in the Deployment"
            );
        }
    }
    Ok(())
}

pub(crate) async fn a_release_goes_to_one_replica_and_back(world: &World) -> Result<()> {
    let namespace = world.namespace("replicas").await?;
    let kubectl = world.kubectl(Some(&namespace));
    for apply in [
        &["apply", "-f", "-"][..],
        &["apply", "--server-side", "--force-conflicts", "-f", "-"],
    ] {
        for (elects, strategy) in [
            (true, "RollingUpdate"),
            (false, "Recreate"),
            (true, "RollingUpdate"),
        ] {
            let elects = format!("--set=replicaCount=0,leaderElection.enabled={elects}");
            let manifests = chart::template(
                &namespace,
                &[&elects, "--show-only=templates/deployment.yaml"],
            )
            .await?;
            kubectl.pipe(&manifests, apply)?;
            let now = kubectl.run(&[
                "get",
                "deployments",
                "-o",
                "jsonpath={.items[*].spec.strategy.type}",
            ])?;
            ensure!(now == strategy, "{now}");
        }
    }
    kubectl.run(&["delete", "deployments", "--all"]).map(drop)
}

pub(crate) async fn pods_fit_the_restricted_profile(world: &World) -> Result<()> {
    let namespace = world.namespace("restricted").await?;
    let kubectl = world.kubectl(Some(&namespace));
    kubectl.run(&[
        "label",
        "namespace",
        &namespace,
        "pod-security.kubernetes.io/enforce=restricted",
    ])?;
    let documents = chart::documents(&chart::template(RELEASE, &[]).await?)?;
    let deployment = documents
        .iter()
        .find(|document| document["kind"] == "Deployment")
        .context("there is a Deployment")?;
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "operator"}, "spec": pod(deployment)["spec"]});
    // The label reaches the admission plugin by a watch.
    let judge =
        |pod: &Value| kubectl.pipe(&pod.to_string(), &["create", "--dry-run=server", "-f", "-"]);
    judge(&pod)?;
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = json!(true);
    wait::until("a refusal", PATIENCE, async || {
        let refused = judge(&pod).err().context("it was taken")?.to_string();
        ensure!(
            refused.contains("violates PodSecurity")
                && refused.contains("allowPrivilegeEscalation"),
            refused
        );
        Ok(())
    })
    .await?;
    // … so the refusal of the other one counts, too.
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = json!(false);
    judge(&pod).map(drop)
}

pub(crate) async fn alerts_and_dashboard_show_metrics_that_there_are(_: &World) -> Result<()> {
    let known = ecs_operator::metrics::page();
    let alerts_page = std::fs::read_to_string(assets::root().join("docs/alerts.md"))?;
    let mut used = 0;
    for file in ["alerts.yaml", "dashboard.json"] {
        let text = std::fs::read_to_string(chart::dir().join("files").join(file))?;
        for rest in text.split("ecs_operator_").skip(1) {
            let name: String = rest
                .chars()
                .take_while(|character| character.is_ascii_alphanumeric() || *character == '_')
                .collect();
            let name = ["_total", "_bucket"]
                .iter()
                .fold(name.as_str(), |name, end| name.trim_end_matches(end));
            ensure!(
                known.contains(&format!("`ecs_operator_{name}`")),
                "{file}: there is no metric ecs_operator_{name}"
            );
            used += 1;
        }
        for alert in text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("- alert: "))
        {
            ensure!(
                alerts_page.contains(&format!("## {alert}\n")),
                "docs/alerts.md has no {alert}"
            );
            ensure!(
                text.contains(&format!("alerts.md#{}\n", alert.to_lowercase())),
                "{alert} has no link to its page"
            );
        }
    }
    ensure!(used > 10, "they use {used} metrics");
    Ok(())
}

pub(crate) async fn prometheus_takes_what_is_for_it(_: &World) -> Result<()> {
    let rendered = chart::documents(&chart::template(RELEASE, MONITORING).await?)?;
    let of_kind = |kind| {
        rendered
            .iter()
            .find(|document| document["kind"] == kind)
            .cloned()
            .context(kind)
    };
    let dashboard = std::fs::read_to_string(chart::dir().join("files/dashboard.json"))?;
    let rules = of_kind("PrometheusRule")?;
    let rules = rules["spec"]["groups"][0]["rules"]
        .as_array()
        .context("there are alerts")?
        .clone();
    ensure!(
        rules
            .iter()
            .all(|rule| rule["labels"]["operator"] == format!("{RELEASE}/{RELEASE}")),
        "each says whose it is: {rules:?}"
    );
    let good = [
        of_kind("ServiceMonitor")?,
        of_kind("PrometheusRule")?,
        serde_json::from_str(&dashboard)?,
    ];
    let mut bad = good.clone();
    bad[0]["spec"]["endpoints"][0]["intervall"] = json!("1m");
    bad[1]["spec"]["groups"][0]["rules"][0]["expr"] = json!("absent(");
    bad[2]["panels"][0]["targets"][0]["expr"] = json!("rate(up)");
    let found = judge_prometheus(&assets::prometheus().await?, &[good, bad].concat())?;
    ensure!(
        found[..3].iter().all(|verdict| verdict == "good"),
        "{found:?}"
    );
    let words = [
        "intervall",
        "unclosed left parenthesis",
        "expected type range vector",
    ];
    ensure!(
        words
            .iter()
            .zip(&found[3..])
            .all(|(words, verdict)| verdict.contains(words)),
        "{found:?}"
    );
    // Several operators: each release looks at its own metrics, where they say whose they are.
    let alone =
        chart::documents(&chart::template(RELEASE, &["--set=prometheusRule.enabled=true"]).await?)?;
    let alone = alone
        .into_iter()
        .find(|document| document["kind"] == "PrometheusRule")
        .context("there is a rule")?;
    let judged = judge_prometheus(&assets::prometheus().await?, std::slice::from_ref(&alone))?;
    ensure!(judged == ["good"], "{judged:?}");
    let ours = format!("namespace=\"{RELEASE}\",service=\"{RELEASE}-metrics\"");
    for (rule, named) in [(of_kind("PrometheusRule")?, true), (alone, false)] {
        let rules = rule["spec"]["groups"][0]["rules"]
            .as_array()
            .context("there are alerts")?;
        let expressions = || rules.iter().filter_map(|rule| rule["expr"].as_str());
        ensure!(
            expressions().count() > 5
                && expressions().all(|expression| expression.contains(&ours) == named),
            "{rule}"
        );
    }
    Ok(())
}

pub(crate) async fn rights_in_some_namespaces_are_enough(world: &World) -> Result<()> {
    let mut scenario = world.scenario_without_operator("some").await?;
    let (own, other, foreign) = (
        scenario.namespace.clone(),
        world.namespace("some").await?,
        world.namespace("others").await?,
    );
    let values = [
        // With an identity of its own it needs no right in the whole cluster.
        "--set=crds.enabled=false,deletionProtection.enabled=false,rbac.userRoles=false,clusterId=some".to_owned(),
        format!("--set=watch.scope=Namespaces,watch.namespaces={{{own},{other}}},fullnameOverride={own}"),
    ];
    let values: Vec<_> = values.iter().map(String::as_str).collect();
    let installation =
        Installation::new(&scenario.kubectl, &own, &values, &world.dir.join(&own)).await?;
    ensure!(
        !installation.manifests.contains("kind: ClusterRole"),
        "it has rights in the whole cluster"
    );
    scenario.options.kubeconfig = installation.kubeconfig;
    scenario
        .options
        .flags
        .retain(|flag| !flag.starts_with("--watch-namespaces"));
    // One of them it has no rights in: it says so, and works in the others.
    scenario.options.flags.extend([
        format!("--watch-namespaces={own},{other},{foreign}"),
        "--cluster-id=some".to_owned(),
    ]);
    scenario.start_operator()?;
    wait::until("what is missing", PATIENCE, async || {
        let report = scenario
            .operator
            .as_ref()
            .context("it runs")?
            .get("/readyz")
            .await?;
        ensure!(
            report.contains("[-] ecsservices: RBAC does not let the operator list ecsservices"),
            report
        );
        ensure!(
            report.contains(&format!("in the namespace \"{foreign}\"")),
            report
        );
        Ok(())
    })
    .await?;

    // Containers have their names at the end of a dash.
    let renamed = SAMPLES
        .replace("  name: shop", "  name: other-shop")
        .replace("  name: web", "  name: other-web");
    for namespace in [&other, &foreign] {
        world.kubectl(Some(namespace)).apply(&renamed)?;
    }
    scenario.kubectl.apply(SAMPLES)?;
    scenario.wait_ready(&OBJECTS)?;
    let objects = [
        "ecscluster/other-shop",
        "ecstaskdefinition/other-web",
        "ecsservice/other-web",
    ];
    let elsewhere = world.kubectl(Some(&other));
    elsewhere.run(
        &[
            &["wait", "--for=condition=Ready", "--timeout=60s"],
            &objects[..],
        ]
        .concat(),
    )?;
    scenario.is_quiet().await?;
    let untouched: Value = serde_json::from_str(
        &world
            .kubectl(Some(&foreign))
            .run(&["get", objects[0], "-o", "json"])?,
    )?;
    ensure!(
        untouched["metadata"]["finalizers"].is_null() && ready(&untouched).is_none(),
        "{untouched}"
    );
    ensure!(
        scenario.aws_proxy.counts().writes() == 6,
        "{:?}",
        scenario.aws_proxy.counts()
    );
    elsewhere.run(&["delete", "ecs", "--all"])?;
    scenario.kubectl.run(&["delete", "ecs", "--all"])?;
    scenario.end().await
}
