//! The parts of the GitOps files that list all kinds: health checks for Flux, actions for Argo CD.

use std::path::PathBuf;

use anyhow::{Context, Result};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use crate::assets;

/// Divides a file: people write above it, `make generate` below it.
const DIVIDER: &str = "# What follows is made for each kind by `make generate`.\n";

/// The health of an object for Flux, by the conditions of kstatus.
const FLUX: &str = r#"    - apiVersion: {group}/{version}
      kind: {kind}
      inProgress: "has(metadata.deletionTimestamp) || !has(status.conditions) || metadata.generation != status.observedGeneration || status.conditions.exists(e, e.type == 'Reconciling' && e.status == 'True')"
      failed: "status.conditions.exists(e, e.type == 'Stalled' && e.status == 'True')"
      current: "status.conditions.exists(e, e.type == 'Ready' && e.status == 'True')"
"#;

/// The actions that every kind has in Argo CD, which takes no wildcard for actions.
const ARGOCD: &str = r#"    {group}/{kind}:
      actions: |
        discovery.lua: |
          local suspended = obj.spec.suspend == true
          return {
            ["refresh"] = { ["disabled"] = false },
            ["suspend"] = { ["disabled"] = suspended },
            ["resume"] = { ["disabled"] = not suspended },
          }
        definitions:
          - name: refresh
            action.lua: |
              local os = require("os")
              if obj.metadata.annotations == nil then
                obj.metadata.annotations = {}
              end
              obj.metadata.annotations["ecs-operator.dev/reconcileAt"] = os.date("!%Y-%m-%dT%H:%M:%SZ")
              return obj
          - name: suspend
            action.lua: |
              obj.spec.suspend = true
              return obj
          - name: resume
            action.lua: |
              obj.spec.suspend = nil
              return obj
"#;

/// Each file that lists all kinds, with its path, as it has to be.
///
/// # Errors
/// When a file is not there, or has no divider.
pub fn files() -> Result<Vec<(PathBuf, String)>> {
    let kinds = ecs_operator_crds::all();
    let flux = file("gitops/flux/kustomization.yaml", |_| {
        kinds.iter().map(|kind| row(FLUX, kind)).collect()
    })?;
    // A kind with actions of its own has its block above the divider.
    let argocd = file("gitops/argocd/argocd-cm.yaml", |above| {
        let others = kinds
            .iter()
            .filter(|kind| !above.contains(&format!("/{}:\n", kind.spec.names.kind)));
        others.map(|kind| row(ARGOCD, kind)).collect()
    })?;
    Ok(vec![flux, argocd])
}

fn file(path: &str, rows: impl FnOnce(&str) -> String) -> Result<(PathBuf, String)> {
    let path = assets::root().join(path);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let (above, _) = text
        .split_once(DIVIDER)
        .with_context(|| format!("{} has no line {DIVIDER}", path.display()))?;
    let file = [above, DIVIDER, &rows(above)].concat();
    Ok((path, file))
}

fn row(template: &str, kind: &CustomResourceDefinition) -> String {
    let version = kind
        .spec
        .versions
        .first()
        .map_or_else(String::new, |version| version.name.clone());
    let row = template
        .replace("{group}", &kind.spec.group)
        .replace("{kind}", &kind.spec.names.kind);
    row.replace("{version}", &version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_all_kinds_are_current() {
        for (path, file) in files().unwrap() {
            let committed = std::fs::read_to_string(&path).unwrap();
            assert!(
                committed == file,
                "{} is stale: run `make generate`",
                path.display()
            );
        }
    }
}
