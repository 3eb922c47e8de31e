//! Real documents, and the project's own samples, on their way to AWS.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use e2e::world::World;
use e2e::{assets, corpus};
use serde_json::Value;

/// A folder of other people's documents, where it lies beside the checkout.
pub(crate) async fn real_documents_reach_aws_whole(world: &World) -> Result<()> {
    let dir = assets::root().join("../shared/corpus");
    if !dir.is_dir() {
        println!("there are no real documents here: skipped");
        return Ok(());
    }
    take_all(world, &dir).await
}

/// Every sample as the request document it stands for.
pub(crate) async fn samples_are_admitted_and_reach_aws_whole(world: &World) -> Result<()> {
    let dir = world.dir.join("samples");
    let folder = |kind: &str| match kind {
        "EcsCluster" => "clusters",
        "EcsTaskDefinition" => "task-definitions",
        _ => "services",
    };
    let mut number = 0;
    for manifest in manifests()? {
        let kind = manifest["kind"].as_str().context("a kind")?;
        let mut spec = manifest["spec"].clone();
        let members = spec.as_object_mut().context("a spec")?;
        // What refers to other objects becomes what they are called in ECS.
        for (reference, member) in [("clusterRef", "cluster"), ("taskDefinitionRef", "taskDefinition")] {
            if let Some(target) = members.remove(reference) {
                members.insert(member.to_owned(), target["name"].clone());
            }
        }
        fs::create_dir_all(dir.join(folder(kind)))?;
        number += 1;
        fs::write(dir.join(folder(kind)).join(format!("{number:03}.json")), spec.to_string())?;
    }
    take_all(world, &dir).await
}

async fn take_all(world: &World, dir: &Path) -> Result<()> {
    let report = corpus::run(world, dir).await?;
    println!("{} documents", report.documents);
    ensure!(report.problems.is_empty(), "{:#?}", report.problems);
    Ok(())
}

/// All documents in the YAML files of `samples/`.
fn manifests() -> Result<Vec<Value>> {
    let mut manifests = Vec::new();
    let mut paths: Vec<_> =
        fs::read_dir(assets::root().join("samples"))?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "yaml")) {
        let text = fs::read_to_string(path)?;
        for document in text.split("\n---\n") {
            manifests.push(serde_saphyr::from_str(document).with_context(|| path.display().to_string())?);
        }
    }
    Ok(manifests)
}
