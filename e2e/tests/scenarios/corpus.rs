//! Real documents, and the project's own samples, on their way to AWS.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use e2e::world::World;
use e2e::{assets, corpus};
use serde_json::Value;

/// The documents of other people, which are not part of the project.
pub(crate) async fn real_documents_reach_aws_whole(world: &World) -> Result<()> {
    take_all(world, &real_documents()).await
}

/// Where these documents are, beside the checkout.
pub(crate) fn real_documents() -> PathBuf {
    assets::root().join("../shared/corpus")
}

/// Every sample as the request document it stands for.
pub(crate) async fn samples_are_admitted_and_reach_aws_whole(world: &World) -> Result<()> {
    let dir = world.dir.join("samples");
    let mut number = 0;
    for manifest in manifests(&files()?)? {
        let kind = manifest["kind"].as_str().context("a kind")?;
        let Some(folder) = corpus::folder(kind) else {
            continue;
        };
        let mut spec = manifest["spec"].clone();
        let members = spec.as_object_mut().context("a spec")?;
        // Application Auto Scaling takes the one, and nobody in AWS the other.
        members.remove("autoscaling");
        members.remove("rollout");
        // What refers to other objects becomes what they are called in ECS.
        for (reference, member) in [
            ("clusterRef", "cluster"),
            ("taskDefinitionRef", "taskDefinition"),
        ] {
            if let Some(target) = members.remove(reference) {
                members.insert(member.to_owned(), target["name"].clone());
            }
        }
        fs::create_dir_all(dir.join(folder))?;
        number += 1;
        fs::write(
            dir.join(folder).join(format!("{number:03}.json")),
            spec.to_string(),
        )?;
    }
    take_all(world, &dir).await
}

async fn take_all(world: &World, dir: &Path) -> Result<()> {
    let report = corpus::run(world, dir).await?;
    println!("{} documents", report.documents);
    ensure!(report.problems.is_empty(), "{:#?}", report.problems);
    Ok(())
}

/// What ministack forgets: services that ask for it never stop to differ from it, so they do not
/// become Ready there.
const NOT_KEPT: &[(&str, &str)] = &[("batch", "placementStrategy and placementConstraints")];

/// Every sample becomes Ready, as far as the server keeps what it asks for.
pub(crate) async fn samples_become_ready(world: &World) -> Result<()> {
    let mut scenario = world.scenario_without_operator("samples").await?;
    // More task definitions at once than half of the quota has room for.
    scenario
        .options
        .flags
        .push("--aws-quota-share=100".to_owned());
    scenario.start_operator()?;
    let mut objects = Vec::new();
    // ministack reports no capacity provider as missing, has no service auto scaling, and no task
    // ends there: see `capacity`, `autoscaling` and `tasks` for these.
    let samples = files()?.into_iter();
    let samples: Vec<_> = samples
        .filter(|(_, text)| {
            let others = [
                "kind: EcsCapacityProvider",
                "kind: EcsTask\n",
                "  autoscaling:",
            ];
            !others.iter().any(|other| text.contains(other))
        })
        .collect();
    for (path, text) in &samples {
        scenario.kubectl.apply(text).with_context(|| path.clone())?;
    }
    for manifest in manifests(&samples)? {
        let (kind, name) = (
            manifest["kind"].as_str().unwrap_or_default(),
            manifest["metadata"]["name"].as_str().unwrap_or_default(),
        );
        objects.push((
            format!("{}/{name}", kind.to_lowercase()),
            NOT_KEPT.iter().any(|(forgotten, _)| *forgotten == name),
        ));
    }
    for (object, forgotten) in &objects {
        if *forgotten && object.starts_with("ecsservice") {
            scenario
                .until_ready_is(object, "False", "DriftPersists")
                .await?;
        } else {
            scenario.wait_ready(&[object])?;
        }
    }
    scenario
        .kubectl
        .run(&["delete", "ecs", "--all", "--wait=false"])?;
    scenario.until_empty().await?;
    scenario.end().await
}

/// The YAML files of the samples and their texts.
fn files() -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for folder in ["samples", "samples/cases"] {
        for entry in fs::read_dir(assets::root().join(folder))? {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "yaml")
            {
                files.push((path.display().to_string(), fs::read_to_string(&path)?));
            }
        }
    }
    files.sort();
    Ok(files)
}

/// All documents in them.
fn manifests(files: &[(String, String)]) -> Result<Vec<Value>> {
    let mut manifests = Vec::new();
    for (path, text) in files {
        for document in text.split("\n---\n") {
            manifests.push(serde_saphyr::from_str(document).with_context(|| path.clone())?);
        }
    }
    Ok(manifests)
}
