//! The schemas as the API server sees them.

use anyhow::{Context, Result, ensure};
use e2e::world::World;
use kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::table::{Case, cases};

/// The cases that the rules are held against locally; here the API server judges, with all its
/// rules and their cost limits.
pub(crate) async fn the_api_server_judges_every_rule_as_we_do(world: &World) -> Result<()> {
    let scenario = world.scenario_without_operator("rules").await?;
    let mut wrong = Vec::new();
    let cases = cases();
    for (number, case) in cases.iter().enumerate() {
        let said = judge(
            &scenario.client,
            &scenario.namespace,
            &format!("case-{number}"),
            case,
        )
        .await?;
        let as_expected = if case.rejected {
            said.contains(&case.message)
        } else {
            said.is_empty()
        };
        if !as_expected {
            wrong.push(format!(
                "{}, {}: {}: said {said:?}",
                case.kind, case.message, case.spec
            ));
        }
    }
    ensure!(
        wrong.is_empty(),
        "{} of {} cases: {wrong:#?}",
        wrong.len(),
        cases.len()
    );
    scenario.end().await
}

/// What the API server says against a dry run of the case; empty when it accepts.
async fn judge(client: &Client, namespace: &str, name: &str, case: &Case) -> Result<String> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(
        ecs_operator_crds::GROUP,
        "v1beta1",
        &case.kind,
    ));
    let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource);
    let object = |spec: &Value| -> Result<DynamicObject> {
        Ok(serde_json::from_value(json!({
            "apiVersion": resource.api_version, "kind": case.kind, "metadata": {"name": name}, "spec": spec}))?)
    };
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let result = match &case.old {
        None => api.create(&dry_run, &object(&case.spec)?).await,
        Some(old) => {
            let before = api
                .create(&PostParams::default(), &object(old)?)
                .await
                .context("the object before")?;
            let mut after = object(&case.spec)?;
            after.metadata.resource_version = before.metadata.resource_version;
            let result = api.replace(name, &dry_run, &after).await;
            api.delete(name, &DeleteParams::default()).await?;
            result
        }
    };
    match result {
        Ok(_) => Ok(String::new()),
        Err(kube::Error::Api(status)) => Ok(status.message.clone()),
        Err(error) => Err(error.into()),
    }
}

/// Two managers share a list: each owns its elements, by key.
pub(crate) async fn two_managers_share_lists_by_key(world: &World) -> Result<()> {
    let scenario = world.scenario_without_operator("managers").await?;
    let manifest = |environment: &str, tag: &str| {
        format!(
            "apiVersion: ecs-operator.dev/v1beta1
kind: EcsTaskDefinition
metadata: {{name: web}}
spec:
  memory: \"512\"
  tags: [{{key: {tag}, value: x}}]
  containerDefinitions: [{{name: web, image: web:1, environment: [{environment}]}}]
"
        )
    };
    let apply = |manager: &str, manifest: &str| {
        scenario.kubectl.pipe(
            manifest,
            &[
                "apply",
                "--server-side",
                "--field-manager",
                manager,
                "-f",
                "-",
            ],
        )
    };
    apply("team", &manifest("{name: A, value: \"1\"}", "team"))?;
    apply("platform", &manifest("{name: B, value: \"2\"}", "owner"))?;
    let both = scenario.get("ecstaskdefinition/web")?;
    let names = |list: &Value, key: &str| -> Vec<String> {
        let mut names: Vec<_> = list
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|item| item[key].as_str().map(str::to_owned))
            .collect();
        names.sort();
        names
    };
    ensure!(
        names(
            &both["spec"]["containerDefinitions"][0]["environment"],
            "name"
        ) == ["A", "B"],
        "{both}"
    );
    ensure!(
        names(&both["spec"]["tags"], "key") == ["owner", "team"],
        "{both}"
    );

    // What a manager no longer lists goes, and nothing else.
    apply("team", &manifest("", "team"))?;
    let left = scenario.get("ecstaskdefinition/web")?;
    ensure!(
        names(
            &left["spec"]["containerDefinitions"][0]["environment"],
            "name"
        ) == ["B"],
        "{left}"
    );
    // The same element with another value is a conflict, in words.
    let refusal = scenario
        .kubectl
        .refused(&manifest("{name: B, value: \"3\"}", "owner"))?;
    ensure!(
        refusal.contains("conflict with \"platform\"") && refusal.contains("[name=\"B\"].value"),
        "{refusal}"
    );
    scenario.end().await
}

/// An absent spec of a cluster means the same as an empty one, and may come later.
pub(crate) async fn a_cluster_needs_no_spec(world: &World) -> Result<()> {
    let scenario = world.scenario("no-spec").await?;
    let manifest = |name: &str, spec: &str| {
        format!(
            "apiVersion: ecs-operator.dev/v1beta1\nkind: EcsCluster\nmetadata: {{name: {name}}}\n{spec}"
        )
    };
    scenario.kubectl.apply(&manifest("absent", ""))?;
    scenario.kubectl.apply(&manifest("empty", "spec: {}\n"))?;
    scenario.wait_ready(&["ecscluster/absent", "ecscluster/empty"])?;
    let specs = [
        scenario.get("ecscluster/absent")?["spec"].take(),
        scenario.get("ecscluster/empty")?["spec"].take(),
    ];
    ensure!(specs == [json!({}), json!({})], "{specs:?}");
    let refusal = scenario.kubectl.refused(&manifest("absent.eu", ""))?;
    ensure!(refusal.contains("set spec.clusterName"), "{refusal}");

    scenario.kubectl.apply(&manifest(
        "absent",
        "spec: {tags: [{key: team, value: shop}]}\n",
    ))?;
    scenario
        .until("ecscluster/absent", |cluster| {
            cluster["status"]["managedTags"] == json!(["team"])
        })
        .await?;
    scenario.kubectl.apply(&manifest("absent", ""))?;
    scenario
        .until("ecscluster/absent", |cluster| {
            cluster["status"]["managedTags"].is_null()
        })
        .await?;
    scenario.end().await
}
