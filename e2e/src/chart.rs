//! The Helm chart: what is generated for it, and how it is rendered. Its values are described in
//! one place, `values.schema.json`; `values.yaml` and the table in its README are made from that.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;
use tokio::process::Command;

use crate::assets;

/// Namespace and name of the release that tests render.
pub const RELEASE: &str = "ecs-operator";

/// Where the chart lies.
#[must_use]
pub fn dir() -> PathBuf {
    assets::root().join("charts/ecs-operator")
}

/// Renders the chart for a release of the usual name in a namespace.
///
/// # Errors
/// With Helm's words, when it refuses.
pub async fn template(namespace: &str, arguments: &[&str]) -> Result<String> {
    let dir = dir().display().to_string();
    helm(
        &[
            &["template", RELEASE, &dir, "--namespace", namespace],
            arguments,
        ]
        .concat(),
    )
    .await
}

/// The chart as it is rendered by default, with its namespace: what people apply who do without
/// Helm.
///
/// # Errors
/// When Helm refuses.
pub async fn manifests() -> Result<String> {
    let rendered = template(RELEASE, &[]).await?;
    let head = "# Made by `make generate`: the chart charts/ecs-operator as it is by default.\n";
    let namespace = format!(
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {RELEASE}\n  labels:\n    pod-security.kubernetes.io/enforce: restricted\n"
    );
    Ok(format!("{head}{namespace}{rendered}"))
}

/// The documents of a YAML stream that say something.
///
/// # Errors
/// When it is no YAML.
pub fn documents(stream: &str) -> Result<Vec<Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(stream)?;
    Ok(documents
        .into_iter()
        .filter(|document| !document.is_null())
        .collect())
}

/// Runs Helm and answers what it prints.
///
/// # Errors
/// With its words, when it refuses.
pub async fn helm(arguments: &[&str]) -> Result<String> {
    let helm = assets::helm().await?;
    let output = Command::new(helm)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .await?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "helm {}: {errors}",
        arguments.join(" ")
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// What the schema says of a value, or of a group of them.
#[derive(Deserialize)]
struct Schema {
    description: Option<String>,
    default: Option<Value>,
    /// In the order of the file, which is the order of the pages.
    properties: Option<IndexMap<String, Schema>>,
}

impl Schema {
    fn read() -> Result<Self> {
        let path = dir().join("values.schema.json");
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(serde_json::from_str(&text)?)
    }
}

/// One value of the chart.
struct Row {
    /// Its path, such as `image.tag`.
    path: String,
    description: String,
    default: Value,
}

/// `values.yaml`, made from the schema.
///
/// # Errors
/// When the schema cannot be read.
pub fn values_yaml() -> Result<String> {
    let mut yaml =
        "# Made by `make generate` from values.schema.json, which checks what you set.\n"
            .to_owned();
    write_values(&Schema::read()?, 0, &mut yaml)?;
    Ok(yaml)
}

/// README.md of the chart, with a table of all values.
///
/// # Errors
/// When the schema cannot be read.
pub fn readme() -> Result<String> {
    let mut page = include_str!("chart/readme.md").to_owned();
    page.push_str("\n| value | default | meaning |\n|---|---|---|\n");
    for Row {
        path,
        description,
        default,
    } in rows()?
    {
        let description = description.replace('|', "\\|");
        writeln!(page, "| `{path}` | `{default}` | {description} |")?;
    }
    Ok(page)
}

/// Paths of all values, in the order of the schema.
///
/// # Errors
/// When the schema cannot be read.
pub fn paths() -> Result<Vec<String>> {
    Ok(rows()?.into_iter().map(|row| row.path).collect())
}

fn rows() -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    collect(Schema::read()?, "", &mut rows)?;
    Ok(rows)
}

fn collect(schema: Schema, path: &str, rows: &mut Vec<Row>) -> Result<()> {
    for (name, property) in schema.properties.unwrap_or_default() {
        let path = if path.is_empty() {
            name
        } else {
            format!("{path}.{name}")
        };
        if property.properties.is_some() {
            collect(property, &path, rows)?;
            continue;
        }
        let default = property
            .default
            .with_context(|| format!("{path} has no default"))?;
        let description = property
            .description
            .with_context(|| format!("{path} has no description"))?;
        rows.push(Row {
            path,
            description,
            default,
        });
    }
    Ok(())
}

fn write_values(schema: &Schema, depth: usize, yaml: &mut String) -> Result<()> {
    let indent = "  ".repeat(depth);
    for (name, property) in schema.properties.iter().flatten() {
        if depth == 0 {
            yaml.push('\n');
        }
        let description = property
            .description
            .as_ref()
            .with_context(|| format!("{name} has no description"))?;
        writeln!(yaml, "{indent}# {description}")?;
        match &property.default {
            // JSON is YAML.
            Some(default) => writeln!(yaml, "{indent}{name}: {default}")?,
            None => writeln!(yaml, "{indent}{name}:")?,
        }
        write_values(property, depth + 1, yaml)?;
    }
    Ok(())
}
