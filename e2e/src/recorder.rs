//! Writes down every version of our objects in a namespace, and judges them: by the kstatus
//! library, by the rules of Flux, and by what Argo CD and Flux make of them with our health checks.

use std::collections::HashMap;
use std::fmt;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use futures::future::try_join_all;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::assets;
use crate::world::condition;

/// Reasons for which a user has to change something: only these may be reported as a failure.
const FINAL: [&str; 29] = [
    "AccessDenied",
    "BackoffLimitExceeded",
    "ClusterNotAllowed",
    "Conflict",
    "DeadlineExceeded",
    "DeploymentFailed",
    "DeploymentRolledBack",
    "DeploymentStopped",
    "FailurePolicy",
    "ImageNotFound",
    "InvalidSpec",
    "NotOwned",
    "Observing",
    "PreDeployTaskFailed",
    "ProgressDeadlineExceeded",
    "ProvisioningFailed",
    "QuotaExceeded",
    "ResultUnknown",
    "RolledBackOnCommand",
    "ScalableTargetNotOwned",
    "TaskExited",
    "TaskHostFailed",
    "TaskImagePullFailed",
    "TaskInitializationFailed",
    "TaskNetworkFailed",
    "TaskOutOfMemory",
    "TaskSpotInterrupted",
    "TaskStartFailed",
    "TaskStopped",
];

/// What Kubernetes tools make of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement(pub String);

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Asks the kstatus library.
///
/// # Errors
/// When it cannot read an object.
pub fn judge(program: &Path, objects: &[Value]) -> Result<Vec<Judgement>> {
    Ok(ask(Command::new(program), objects)?
        .into_iter()
        .map(Judgement)
        .collect())
}

/// Asks a program that reads an object a line and answers a line for each.
fn ask(mut program: Command, objects: &[Value]) -> Result<Vec<String>> {
    let mut child = program
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the judge")?;
    let mut input = child.stdin.take().context("stdin was asked for")?;
    let lines: Vec<_> = objects.iter().map(Value::to_string).collect();
    // On the side: it answers before it has read all.
    let writer =
        std::thread::spawn(move || lines.iter().try_for_each(|line| writeln!(input, "{line}")));
    let output = child.wait_with_output()?;
    writer
        .join()
        .map_err(|_| anyhow::anyhow!("the writer panicked"))??;
    ensure!(output.status.success(), "the judge failed");
    let text = String::from_utf8(output.stdout)?;
    let answers: Vec<_> = text.lines().map(str::to_owned).collect();
    ensure!(
        answers.len() == objects.len(),
        "{} answers for {} objects",
        answers.len(),
        objects.len()
    );
    Ok(answers)
}

/// What Argo CD and Flux make of an object, by the files under `gitops/`.
#[derive(Clone, Debug, Deserialize)]
pub struct GitOps {
    /// Health by Argo CD.
    pub argo: String,
    /// Status by Flux.
    pub flux: String,
    /// The actions that Argo CD offers.
    #[serde(default)]
    pub actions: Option<Vec<String>>,
    /// The object as each of them leaves it.
    pub after: HashMap<String, Value>,
}

/// Asks the code of Argo CD and Flux.
///
/// # Errors
/// When it cannot judge an object.
pub fn judge_gitops(program: &Path, objects: &[Value]) -> Result<Vec<GitOps>> {
    let mut command = Command::new(program);
    command.arg(assets::root().join("gitops"));
    ask(command, objects)?
        .iter()
        .map(|line| Ok(serde_json::from_str(line)?))
        .collect()
}

/// Asks the code of Prometheus and of its operator: what is wrong with each object, or `good`.
///
/// # Errors
/// When it cannot read an object.
pub fn judge_prometheus(program: &Path, objects: &[Value]) -> Result<Vec<String>> {
    ask(Command::new(program), objects)
}

/// Every version of our objects since it started.
#[derive(Debug)]
pub struct Recorder {
    seen: Arc<Mutex<Vec<Value>>>,
    watches: Vec<JoinHandle<()>>,
}

/// The resource that a definition serves in its first version.
fn resource(definition: &CustomResourceDefinition) -> ApiResource {
    let spec = &definition.spec;
    let kind = GroupVersionKind::gvk(&spec.group, &spec.versions[0].name, &spec.names.kind);
    ApiResource::from_gvk_with_plural(&kind, &spec.names.plural)
}

impl Recorder {
    /// Watches no more.
    pub fn stop(&self) {
        self.watches.iter().for_each(JoinHandle::abort);
    }

    /// Begins to watch a namespace. Returns once each watch has its first list, so that no version
    /// written from then on is missing.
    ///
    /// # Errors
    /// When a watch ends before it has listed.
    pub async fn start(client: &Client, namespace: &str) -> Result<Self> {
        let seen = Arc::<Mutex<Vec<Value>>>::default();
        let (mut watches, mut listed) = (Vec::new(), Vec::new());
        for kind in ecs_operator_crds::all().iter().map(resource) {
            let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &kind);
            let (sender, receiver) = oneshot::channel();
            watches.push(tokio::spawn(record(api, Arc::clone(&seen), sender)));
            listed.push(receiver);
        }
        let recorder = Self { seen, watches };
        try_join_all(listed)
            .await
            .context("a watch ended before it had listed")?;
        Ok(recorder)
    }

    /// All versions so far, in the order of their coming.
    #[must_use]
    pub fn versions(&self) -> Vec<Value> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether the record holds this version of an object. Watches deliver a version some time after
    /// the API server has answered with it.
    #[must_use]
    pub fn has(&self, object: &Value) -> bool {
        let version = |object: &Value| {
            let metadata = &object["metadata"];
            (metadata["uid"].clone(), metadata["resourceVersion"].clone())
        };
        let wanted = version(object);
        self.versions().iter().any(|seen| version(seen) == wanted)
    }

    /// Judges all versions so far; answers how many there are.
    ///
    /// # Errors
    /// With those that contradict themselves, or tell Kubernetes tools something that is not so.
    pub fn check(&self, kstatus: &Path, gitops: &Path) -> Result<usize> {
        let versions = self.versions();
        let (judgements, others) = (judge(kstatus, &versions)?, judge_gitops(gitops, &versions)?);
        let mut generations = HashMap::<String, i64>::new();
        for ((object, Judgement(judgement)), others) in
            versions.iter().zip(&judgements).zip(&others)
        {
            let problem = contradiction(object)
                .or_else(|| misjudged(object, judgement))
                .or_else(|| misjudged_by_gitops(object, judgement, others))
                .or_else(|| back_in_time(object, &mut generations));
            ensure!(
                problem.is_none(),
                "{} ({judgement}): {object}",
                problem.unwrap_or_default()
            );
        }
        Ok(versions.len())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn record(
    api: Api<DynamicObject>,
    seen: Arc<Mutex<Vec<Value>>>,
    listed: oneshot::Sender<()>,
) {
    let mut listed = Some(listed);
    let mut events = std::pin::pin!(watcher(api, watcher::Config::default()).default_backoff());
    while let Some(event) = events.next().await {
        let object = match event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => object,
            Ok(Event::InitDone) => {
                // Nobody waits for the second list.
                if let Some(listed) = listed.take() {
                    let _ = listed.send(());
                }
                continue;
            }
            Ok(Event::Init | Event::Delete(_)) | Err(_) => continue,
        };
        if let Ok(mut object) = serde_json::to_value(object) {
            object["metadata"]["managedFields"].take();
            seen.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(object);
        }
    }
}

fn status_of<'a>(object: &'a Value, type_: &str) -> Option<&'a str> {
    condition(object, type_)?["status"].as_str()
}

/// What in the conditions contradicts itself, by the rules that Flux checks (fluxcd/pkg,
/// runtime/conditions/check).
fn contradiction(object: &Value) -> Option<&'static str> {
    let conditions = object["status"]["conditions"]
        .as_array()
        .filter(|conditions| !conditions.is_empty())?;
    let (observed, generation) = (
        &object["status"]["observedGeneration"],
        &object["metadata"]["generation"],
    );
    let Some(ready) = status_of(object, "Ready") else {
        return Some("conditions without Ready");
    };
    let (reconciling, stalled) = (
        status_of(object, "Reconciling"),
        status_of(object, "Stalled"),
    );
    let rules = [
        (
            reconciling.is_some() && stalled.is_some(),
            "Reconciling and Stalled together",
        ),
        (
            reconciling.is_some_and(|status| status != "True"),
            "Reconciling that is not True",
        ),
        (
            stalled.is_some_and(|status| status != "True"),
            "Stalled that is not True",
        ),
        (
            ready == "True" && (reconciling.is_some() || stalled.is_some()),
            "Ready=True beside Reconciling or Stalled",
        ),
        (
            ready == "Unknown" && reconciling.is_none(),
            "Ready=Unknown without Reconciling",
        ),
        (
            ready == "False" && reconciling.is_none() && stalled.is_none(),
            "Ready=False without Reconciling or Stalled",
        ),
        (
            conditions
                .iter()
                .any(|condition| condition["observedGeneration"] != *observed),
            "a condition of another generation",
        ),
        (
            observed.as_i64() > generation.as_i64(),
            "a generation that is not there yet",
        ),
    ];
    rules
        .into_iter()
        .find(|(broken, _)| *broken)
        .map(|(_, words)| words)
}

/// Statuses that mislead Kubernetes tools.
fn misjudged(object: &Value, judgement: &str) -> Option<&'static str> {
    if !object["metadata"]["deletionTimestamp"].is_null() {
        return (judgement != "Terminating")
            .then_some("an object that is being deleted and does not look like it");
    }
    let current = status_of(object, "Ready") == Some("True")
        && object["status"]["observedGeneration"] == object["metadata"]["generation"];
    let reason = condition(object, "Stalled").and_then(|stalled| stalled["reason"].as_str());
    match judgement {
        "Current" if !current => Some("Current too early"),
        "Current" if object["kind"] == "EcsService" && !runs(object) => {
            Some("Current without running")
        }
        "Failed" if !reason.is_some_and(|reason| FINAL.contains(&reason)) => {
            Some("Failed for something that passes")
        }
        "InProgress" if current => Some("Ready and not Current"),
        "Current" | "Failed" | "InProgress" => None,
        _ => Some("a judgement that nobody expects"),
    }
}

/// What Argo CD and Flux take for something else than kstatus does.
fn misjudged_by_gitops(
    object: &Value,
    judgement: &str,
    GitOps { argo, flux, .. }: &GitOps,
) -> Option<&'static str> {
    let is_suspended = status_of(object, "Suspended") == Some("True");
    let health = match judgement {
        "Terminating" => "Progressing",
        "InProgress" if !is_suspended => "Progressing",
        "Failed" if !is_suspended => "Degraded",
        "Current" if !is_suspended => "Healthy",
        // An object whose current generation was not reconciled is not suspended yet.
        _ if object["status"]["observedGeneration"] != object["metadata"]["generation"] => {
            "Progressing"
        }
        _ => "Suspended",
    };
    if argo != health {
        return Some("Argo CD sees it otherwise");
    }
    // The expressions know no fourth state.
    let status = if judgement == "Terminating" {
        "InProgress"
    } else {
        judgement
    };
    (flux != status).then_some("Flux sees it otherwise")
}

/// Whether a service runs what it says: its counts, and one rollout that has succeeded.
fn runs(service: &Value) -> bool {
    let status = &service["status"];
    status["runningCount"] == status["desiredCount"]
        && status["rollout"]["phase"] == "Succeeded"
        && status["rollout"]["revision"] == status["revision"]
}

/// The observed generation of an object never goes back, unless somebody wiped its status.
fn back_in_time(object: &Value, generations: &mut HashMap<String, i64>) -> Option<&'static str> {
    let observed = object["status"]["observedGeneration"]
        .as_i64()
        .filter(|observed| *observed >= 0)?;
    let uid = object["metadata"]["uid"].as_str()?.to_owned();
    let before = generations.insert(uid, observed);
    (before > Some(observed)).then_some("an observed generation that goes back")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn contradictions_are_found() {
        let object = |conditions: &[(&str, &str)]| {
            let conditions: Vec<_> = conditions
                .iter()
                .map(|(type_, status)| json!({"type": type_, "status": status, "observedGeneration": 1}))
                .collect();
            json!({"metadata": {"generation": 1}, "status": {"observedGeneration": 1, "conditions": conditions}})
        };
        for good in [
            &[("Ready", "True")][..],
            &[("Ready", "Unknown"), ("Reconciling", "True")],
            &[("Ready", "False"), ("Stalled", "True")],
            &[("Ready", "True"), ("Suspended", "True")],
        ] {
            assert_eq!(contradiction(&object(good)), None, "{good:?}");
        }
        for bad in [
            &[("Stalled", "True")][..],
            &[("Ready", "False")],
            &[("Ready", "True"), ("Reconciling", "True")],
            &[
                ("Ready", "False"),
                ("Reconciling", "True"),
                ("Stalled", "True"),
            ],
            &[("Ready", "Unknown")],
        ] {
            assert!(contradiction(&object(bad)).is_some(), "{bad:?}");
        }
        assert_eq!(
            misjudged(
                &object(&[("Ready", "Unknown"), ("Reconciling", "True")]),
                "Current"
            ),
            Some("Current too early")
        );
    }
}
