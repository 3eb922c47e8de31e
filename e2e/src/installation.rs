//! The operator installed by its chart: the definitions, and the ServiceAccount with just the
//! rights that the chart grants. There is no kubelet here, so the operator runs as a process that
//! has the token of that ServiceAccount.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::chart::{self, RELEASE};
use crate::kubectl::Kubectl;

/// An installed release.
#[derive(Clone, Debug)]
pub struct Installation {
    /// kubeconfig of its ServiceAccount.
    pub kubeconfig: PathBuf,
    /// All its objects.
    pub manifests: String,
}

impl Installation {
    /// Installs the chart in `namespace`, which is made where it is missing, with these values, and
    /// writes the kubeconfig to `dir`.
    ///
    /// # Errors
    /// When Helm or the API server refuses.
    pub async fn new(
        kubectl: &Kubectl,
        namespace: &str,
        values: &[&str],
        dir: &Path,
    ) -> Result<Self> {
        let kubectl = Kubectl {
            namespace: None,
            ..kubectl.clone()
        };
        kubectl.apply(&format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n"
        ))?;
        // Where there are kubelets after all, no pod shall work beside the process.
        let mut arguments = vec!["--set=replicaCount=0"];
        arguments.extend(values);
        let manifests = chart::template(namespace, &arguments).await?;
        kubectl.apply(&manifests)?;
        Ok(Self {
            kubeconfig: Self::token(&kubectl, namespace, &account(&manifests)?, dir)?,
            manifests,
        })
    }

    /// Installs the plain manifests, which are the chart as it is by default, and writes the
    /// kubeconfig to `dir`. That needs no Helm.
    ///
    /// # Errors
    /// When the API server refuses.
    pub fn plain(kubectl: &Kubectl, dir: &Path) -> Result<Self> {
        let kubectl = Kubectl {
            namespace: None,
            ..kubectl.clone()
        };
        let mut documents = chart::documents(include_str!("../../deploy/install.yaml"))?;
        for document in documents
            .iter_mut()
            .filter(|document| document["kind"] == "Deployment")
        {
            document["spec"]["replicas"] = 0.into();
        }
        let manifests =
            serde_json::json!({"apiVersion": "v1", "kind": "List", "items": documents}).to_string();
        kubectl.apply(&manifests)?;
        Ok(Self {
            kubeconfig: Self::token(&kubectl, RELEASE, RELEASE, dir)?,
            manifests,
        })
    }

    /// A kubeconfig in `dir` with a token of a ServiceAccount.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn token(kubectl: &Kubectl, namespace: &str, account: &str, dir: &Path) -> Result<PathBuf> {
        let kubectl = Kubectl {
            namespace: None,
            ..kubectl.clone()
        };
        let token = kubectl.run(&[
            "create",
            "token",
            account,
            "--namespace",
            namespace,
            "--duration=24h",
        ])?;
        std::fs::create_dir_all(dir)?;
        let kubeconfig = dir.join("operator.kubeconfig");
        std::fs::copy(&kubectl.kubeconfig, &kubeconfig)?;
        let own = Kubectl {
            kubeconfig: kubeconfig.clone(),
            ..kubectl
        };
        own.run(&[
            "config",
            "set-credentials",
            RELEASE,
            "--token",
            token.trim(),
        ])?;
        own.run(&["config", "set-context", "--current", "--user", RELEASE])?;
        Ok(kubeconfig)
    }
}

/// Name of the ServiceAccount among the manifests.
fn account(manifests: &str) -> Result<String> {
    let documents = chart::documents(manifests)?;
    let account = documents
        .iter()
        .find(|document| document["kind"] == "ServiceAccount");
    let name = account.and_then(|account| account["metadata"]["name"].as_str());
    Ok(name.unwrap_or(RELEASE).to_owned())
}
