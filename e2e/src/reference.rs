//! The pages of the kinds under `docs/kinds`: what people wrote, and after it what the schema says.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion, JSONSchemaProps,
    JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

use crate::assets;

/// What divides a page: people write above it, `make generate` below it.
const DIVIDER: &str = "<!-- What follows is made from the schema by `make generate`. -->\n";

/// The page of each kind, with its path, as it has to be.
///
/// # Errors
/// When a page is not there, or has no place for what the schema says.
pub fn pages() -> Result<Vec<(PathBuf, String)>> {
    ecs_operator_crds::all().iter().map(page).collect()
}

fn page(definition: &CustomResourceDefinition) -> Result<(PathBuf, String)> {
    let path = assets::root().join(format!(
        "docs/kinds/{}.md",
        definition.spec.names.kind.to_lowercase()
    ));
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let (written, _) = text
        .split_once(DIVIDER)
        .with_context(|| format!("{} has no line {DIVIDER}", path.display()))?;
    let mut page = written.to_owned() + DIVIDER;
    for version in &definition.spec.versions {
        write_version(definition, version, &mut page)?;
    }
    Ok((path, page))
}

fn write_version(
    definition: &CustomResourceDefinition,
    version: &CustomResourceDefinitionVersion,
    page: &mut String,
) -> Result<()> {
    let names = &definition.spec.names;
    let short = names.short_names.iter().flatten().map(String::as_str);
    let categories = names.categories.iter().flatten().map(String::as_str);
    let columns = version
        .additional_printer_columns
        .iter()
        .flatten()
        .map(|column| match column.priority {
            None | Some(0) => column.name.clone(),
            Some(_) => format!("{} (`-o wide`)", column.name),
        });
    let selectable = version
        .selectable_fields
        .iter()
        .flatten()
        .map(|field| field.json_path.trim_start_matches('.'));
    let fields = ["metadata.name", "metadata.namespace"]
        .into_iter()
        .chain(selectable);
    writeln!(page, "\n## {}/{}\n", definition.spec.group, version.name)?;
    writeln!(
        page,
        "- For kubectl: {}; among {}",
        quoted([names.plural.as_str()].into_iter().chain(short)),
        quoted(categories)
    )?;
    writeln!(
        page,
        "- Columns: {}",
        columns.collect::<Vec<_>>().join(", ")
    )?;
    writeln!(page, "- Field selectors: {}", quoted(fields))?;
    let schema = version
        .schema
        .as_ref()
        .and_then(|schema| schema.open_api_v3_schema.as_ref())
        .context("a version has a schema")?;
    for part in ["spec", "status"] {
        let schema = schema
            .properties
            .as_ref()
            .and_then(|properties| properties.get(part))
            .context("it has this part")?;
        write_object(part, schema, page)?;
    }
    Ok(())
}

fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// A section of its own for an object, and after it those of its members.
fn write_object(path: &str, schema: &JSONSchemaProps, page: &mut String) -> Result<()> {
    writeln!(page, "\n### {path}\n\n{}\n", words(schema))?;
    writeln!(page, "| member | type | |\n|---|---|---|")?;
    let members: Vec<_> = schema.properties.iter().flatten().collect();
    for (name, member) in &members {
        let required = if schema
            .required
            .iter()
            .flatten()
            .any(|required| required == *name)
        {
            ", required"
        } else {
            ""
        };
        let meaning = [words(member), facts(member)]
            .join(" ")
            .trim_end()
            .replace('|', "\\|");
        writeln!(
            page,
            "| `{name}` | {}{required} | {meaning} |",
            type_of(&format!("{path}.{name}"), member)
        )?;
    }
    let rules: Vec<_> = schema
        .x_kubernetes_validations
        .iter()
        .flatten()
        .filter_map(|rule| rule.message.as_deref())
        .collect();
    if !rules.is_empty() {
        writeln!(page, "\nRefused by the API server, in these words:\n")?;
        for rule in rules {
            writeln!(page, "- {}", rule.replace('*', "\\*"))?;
        }
    }
    for (name, member) in members {
        let (path, member) = inner(format!("{path}.{name}"), member);
        if has_section(member) {
            write_object(&path, member, page)?;
        }
    }
    Ok(())
}

/// Whether the members of an object are listed. Those of a condition are well known.
fn has_section(schema: &JSONSchemaProps) -> bool {
    schema
        .properties
        .as_ref()
        .is_some_and(|members| !members.is_empty() && !members.contains_key("lastTransitionTime"))
}

/// What a list or map holds, and where that is.
fn inner(path: String, schema: &JSONSchemaProps) -> (String, &JSONSchemaProps) {
    match (&schema.items, &schema.additional_properties) {
        (Some(JSONSchemaPropsOrArray::Schema(item)), _) => inner(path + "[]", item),
        (_, Some(JSONSchemaPropsOrBool::Schema(value))) => inner(path + ".*", value),
        _ => (path, schema),
    }
}

/// The type as people say it.
fn type_of(path: &str, schema: &JSONSchemaProps) -> String {
    match (&schema.items, &schema.additional_properties) {
        (Some(JSONSchemaPropsOrArray::Schema(item)), _) => {
            format!("list of {}", type_of(&format!("{path}[]"), item))
        }
        (_, Some(JSONSchemaPropsOrBool::Schema(value))) => {
            format!("map of {}", type_of(&format!("{path}.*"), value))
        }
        _ if has_section(schema) => format!("[object](#{})", anchor(path)),
        _ => schema.type_.clone().unwrap_or_else(|| "any".to_owned()),
    }
}

/// The anchor of a heading, as forges make it.
fn anchor(heading: &str) -> String {
    heading
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// The description, on one line.
fn words(schema: &JSONSchemaProps) -> String {
    schema
        .description
        .as_deref()
        .unwrap_or_default()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// What the schema knows and the description does not tell.
fn facts(schema: &JSONSchemaProps) -> String {
    let description = schema.description.as_deref().unwrap_or_default();
    let mut facts = Vec::new();
    let values: Vec<_> = schema
        .enum_
        .iter()
        .flatten()
        .filter_map(|value| value.0.as_str())
        .collect();
    if values.iter().any(|value| !description.contains(value)) {
        facts.push(format!("One of {}.", values.join(", ")));
    }
    if let Some(default) = &schema.default {
        facts.push(format!("Default: `{}`.", default.0));
    }
    if let Some(items) = schema
        .max_items
        .filter(|_| !description.contains("at most"))
    {
        facts.push(format!("At most {items}."));
    }
    if let (Some(low), Some(high)) = (schema.minimum, schema.maximum)
        && !description.contains(&high.to_string())
    {
        facts.push(format!("{low} to {high}."));
    }
    match (
        schema.x_kubernetes_list_type.as_deref(),
        &schema.x_kubernetes_list_map_keys,
    ) {
        (Some("map"), Some(keys)) => facts.push(format!("Merges by {}.", keys.join(" and "))),
        (Some("set"), _) => facts.push("Merges as a set.".to_owned()),
        _ => {}
    }
    facts.join(" ")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fs;

    use super::*;

    #[test]
    fn the_pages_of_the_kinds_are_current() {
        for (path, page) in pages().unwrap() {
            let committed = fs::read_to_string(&path).unwrap();
            assert!(
                committed == page,
                "{} is stale: run `make generate`",
                path.display()
            );
        }
    }

    #[test]
    fn links_lead_to_headings() {
        for (path, page) in pages().unwrap() {
            let headings: HashSet<_> = page
                .lines()
                .filter_map(|line| line.strip_prefix("### "))
                .map(anchor)
                .collect();
            let links: Vec<_> = page
                .split("](#")
                .skip(1)
                .filter_map(|rest| rest.split(')').next())
                .collect();
            assert!(!links.is_empty(), "{}", path.display());
            for link in links {
                assert!(
                    headings.contains(link),
                    "{}: nothing is called {link}",
                    path.display()
                );
            }
        }
    }
}
