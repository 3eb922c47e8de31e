//! The sample manifests as objects.

use std::fs;
use std::path::{Path, PathBuf};

use kube::ResourceExt;
use serde_json::{Value, json};

use crate::reconcile::Kind;

/// All objects of a kind in the sample manifests, each with `FILE: NAME` and in the order of the
/// files.
pub(crate) fn samples<K: Kind>() -> Vec<(String, K)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples");
    let mut files: Vec<_> = manifests(&folder)
        .into_iter()
        .chain(manifests(&folder.join("cases")))
        .collect();
    files.sort();
    let objects = files.iter().flat_map(|file| {
        let stem = file
            .file_stem()
            .and_then(|stem| stem.to_str())
            .expect("a file has a name")
            .to_owned();
        documents(file)
            .into_iter()
            .filter(|document| document["kind"] == *K::kind(&()))
            .map(move |mut document| {
                document["metadata"]["namespace"] = json!("default");
                document["metadata"]["uid"] = json!("u-1");
                let object: K = serde_json::from_value(document).expect("a valid object");
                (format!("{stem}: {}", object.name_any()), object)
            })
    });
    objects.collect()
}

fn manifests(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .expect("the samples are there")
        .map(|entry| entry.expect("a readable folder").path());
    entries
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect()
}

fn documents(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).expect("a readable sample");
    serde_saphyr::from_multiple(&text).expect("valid YAML")
}
