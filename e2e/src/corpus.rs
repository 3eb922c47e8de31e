//! "Can the operator take what I have?": any folder of `aws ecs` request documents, put through the
//! API server and the operator, and compared with the requests that left.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use kube::Api;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams,
};
use serde_json::{Value, json};

use crate::aws_proxy::Call;
use crate::aws_server::REGION;
use crate::wait;
use crate::world::{PATIENCE, Scenario, World, ready};

/// A kind: its folder, the operation that makes it, and the members that name it in ECS.
const KINDS: [(&str, &str, &str, &[&str]); 3] = [
    ("clusters", "EcsCluster", "CreateCluster", &["clusterName"]),
    (
        "task-definitions",
        "EcsTaskDefinition",
        "RegisterTaskDefinition",
        &["family"],
    ),
    (
        "services",
        "EcsService",
        "CreateService",
        &["cluster", "serviceName"],
    ),
];

/// The folder with the documents of a kind; `None` for a kind without documents.
#[must_use]
pub fn folder(kind: &str) -> Option<&'static str> {
    let row = KINDS.iter().find(|(_, of_kind, ..)| *of_kind == kind)?;
    Some(row.0)
}

/// One document.
struct Document {
    /// Name of its file.
    file: String,
    /// `metadata.name` of its custom resource.
    name: String,
    spec: Value,
    /// What it is called in ECS.
    identity: Vec<String>,
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct Report {
    /// Documents read.
    pub documents: usize,
    /// What was refused or lost, a line each.
    pub problems: Vec<String>,
}

impl Report {
    fn add(&mut self, document: &Document, problem: &str) {
        self.problems.push(format!("{}: {problem}", document.file));
    }
}

/// Puts every document in `dir/{clusters,task-definitions,services}/*.json` through the operator.
///
/// # Errors
/// When the world does not work; problems of documents are in the report.
pub async fn run(world: &World, dir: &Path) -> Result<Report> {
    let mut report = Report::default();
    for (folder, kind, operation, identity) in KINDS {
        let mut documents = read(&dir.join(folder), identity)?;
        if documents.is_empty() {
            continue;
        }
        report.documents += documents.len();
        let mut scenario = world
            .scenario_without_operator(&format!("corpus-{folder}"))
            .await?;
        for document in &mut documents {
            move_to(&scenario.account, &mut document.spec);
        }
        scenario
            .options
            .flags
            .retain(|flag| !flag.starts_with("--sweep"));
        scenario
            .options
            .flags
            .push("--aws-quota-share=off".to_owned());
        scenario.start_operator()?;
        scenario.operator()?.ready().await?;
        for wave in waves(documents) {
            send(&scenario, kind, operation, identity, &wave, &mut report).await?;
        }
        scenario.end().await?;
    }
    ensure!(
        report.documents > 0,
        "{} has no documents: clusters/, task-definitions/ and services/ are looked into",
        dir.display()
    );
    Ok(report)
}

fn read(folder: &Path, identity: &[&str]) -> Result<Vec<Document>> {
    let mut documents = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(documents);
    };
    let mut paths: Vec<_> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "json")
    });
    paths.sort();
    for (number, path) in paths.iter().enumerate() {
        let name = format!("document-{number}");
        let mut spec: Value = serde_json::from_slice(&std::fs::read(path)?)
            .with_context(|| format!("{} is no JSON", path.display()))?;
        let default = |member: &str| {
            if member == "cluster" {
                "default"
            } else {
                &name
            }
        };
        // A cluster may be named by its ARN, in whatever account and Region the document was
        // written for.
        let last = |text: &str| text.rsplit('/').next().unwrap_or(text).to_owned();
        if let Some(cluster) = spec["cluster"].as_str().map(last) {
            spec["cluster"] = cluster.into();
        }
        let identity = identity
            .iter()
            .map(|member| last(spec[*member].as_str().unwrap_or_else(|| default(member))))
            .collect();
        let file = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        documents.push(Document {
            file,
            name: name.clone(),
            spec,
            identity,
        });
    }
    Ok(documents)
}

/// Puts the ARN of the task definition into the account and Region of the test, as its author would
/// on moving there: ECS refuses a service whose task definition is elsewhere, and so does the
/// operator.
fn move_to(account: &str, spec: &mut Value) {
    let Some(arn) = spec["taskDefinition"].as_str() else {
        return;
    };
    if let [start @ "arn", partition, "ecs", _, _, resource @ ..] =
        &*arn.split(':').collect::<Vec<_>>()
    {
        spec["taskDefinition"] = [&[*start, *partition, "ecs", REGION, account], resource]
            .concat()
            .join(":")
            .into();
    }
}

/// Documents of the same name in ECS cannot be there at the same time: they go one wave after the
/// other.
fn waves(mut documents: Vec<Document>) -> Vec<Vec<Document>> {
    let mut waves = Vec::new();
    while !documents.is_empty() {
        let mut taken = BTreeSet::new();
        let (wave, rest) = documents
            .into_iter()
            .partition(|document| taken.insert(document.identity.clone()));
        waves.push(wave);
        documents = rest;
    }
    waves
}

async fn send(
    scenario: &Scenario<'_>,
    kind: &str,
    operation: &str,
    identity: &[&str],
    wave: &[Document],
    report: &mut Report,
) -> Result<()> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(
        ecs_operator_crds::GROUP,
        "v1beta1",
        kind,
    ));
    let api = Api::<DynamicObject>::namespaced_with(
        scenario.client.clone(),
        &scenario.namespace,
        &resource,
    );
    let seen = scenario.aws_proxy.calls().len();
    let mut sent = Vec::new();
    for document in wave {
        let object = json!({"apiVersion": resource.api_version, "kind": kind, "metadata": {"name": document.name}, "spec": document.spec});
        let (params, patch) = (PatchParams::apply("corpus"), Patch::Apply(&object));
        match api.patch(&document.name, &params, &patch).await {
            Ok(_) => sent.push(document),
            Err(error) => report.add(document, &format!("refused: {error}")),
        }
    }
    for document in sent {
        let request = wait::until(&document.file, PATIENCE, async || {
            let calls = scenario.aws_proxy.calls();
            let ours = calls
                .iter()
                .skip(seen)
                .find(|call| is_of(call, operation, identity, document));
            if let Some(call) = ours {
                return Ok(call.request.clone());
            }
            let object = serde_json::to_value(api.get(&document.name).await?)?;
            Err(anyhow::anyhow!(
                "{}",
                ready(&object).map_or_else(String::new, |ready| ready["message"].to_string())
            ))
        });
        match request.await {
            Ok(request) => {
                let lost = lost(&document.spec, &request);
                if !lost.is_empty() {
                    report.add(document, &format!("lost: {}", lost.join(", ")));
                }
            }
            Err(error) => report.add(document, &format!("not sent: {error}")),
        }
    }
    api.delete_collection(&DeleteParams::default(), &ListParams::default())
        .await?;
    scenario.until_empty().await
}

/// Whether a call is the one that a document leads to.
fn is_of(call: &Call, operation: &str, identity: &[&str], document: &Document) -> bool {
    let names = identity
        .iter()
        .map(|member| call.request[*member].as_str().unwrap_or_default());
    call.operation == operation && names.eq(document.identity.iter().map(String::as_str))
}

/// Paths at which `request` does not say what `document` says. What the operator adds is no loss.
#[must_use]
pub fn lost(document: &Value, request: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    compare("", document, request, &mut paths);
    paths
}

fn compare(path: &str, document: &Value, request: &Value, paths: &mut Vec<String>) {
    match (document, request) {
        // AWS takes null for absent.
        (Value::Null, _) => {}
        (Value::Object(members), Value::Object(_)) => {
            for (name, value) in members {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                // Names are compared where documents are matched with requests; a cluster's ARN is
                // sent as its name.
                if path != "cluster" && path != "clientToken" {
                    compare(&path, value, &request[name], paths);
                }
            }
        }
        (Value::Array(tags), Value::Array(sent)) if path == "tags" => {
            if !tags.iter().all(|tag| sent.contains(tag)) {
                paths.push(path.to_owned());
            }
        }
        (Value::Array(elements), Value::Array(sent)) if elements.len() == sent.len() => {
            for (number, (element, sent)) in elements.iter().zip(sent).enumerate() {
                let mut path = path.to_owned();
                // Writing to a string cannot fail.
                let _ = write!(path, "[{number}]");
                compare(&path, element, sent, paths);
            }
        }
        (Value::Number(number), Value::Number(sent)) if number.as_f64() == sent.as_f64() => {}
        (document, request) if document == request => {}
        _ => paths.push(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arn_of_a_task_definition_moves_to_the_account_of_the_test() {
        let moved = |text: &str| {
            let mut spec = json!({"taskDefinition": text});
            move_to("000000000001", &mut spec);
            spec["taskDefinition"].clone()
        };
        assert_eq!(
            moved("arn:aws:ecs:us-east-1:012345678910:task-definition/web:3"),
            "arn:aws:ecs:eu-central-1:000000000001:task-definition/web:3"
        );
        assert_eq!(moved("web:3"), "web:3");
    }

    #[test]
    fn a_loss_is_told_by_its_path() {
        let document = json!({"a": [{"b": 1, "c": null}], "d": {"e": ""}, "tags": [{"key": "k"}]});
        let request = json!({"a": [{"b": 1.0}], "d": {"e": ""}, "tags": [{"key": "k"}, {"key": "ours"}], "ours": 1});
        assert_eq!(lost(&document, &request), [""; 0]);
        assert_eq!(
            lost(&document, &json!({"a": [{"b": 2}], "d": {}, "tags": []})),
            ["a[0].b", "d.e", "tags"]
        );
    }
}
