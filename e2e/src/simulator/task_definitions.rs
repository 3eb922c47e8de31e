//! Task definitions. Source: ECS API, RegisterTaskDefinition to DeleteTaskDefinitions.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::account::{Account, name_in};
use super::clock::Moment;
use super::clusters::members;
use super::refusal::Refusal;
use super::service::Service;
use super::tags::{Tags, includes};

/// The revisions of a family by number. Numbers are never used again.
#[derive(Clone, Debug, Default)]
pub(super) struct Family {
    revisions: BTreeMap<u32, Revision>,
    last: u32,
}

/// A revision.
#[derive(Clone, Debug)]
pub(super) struct Revision {
    arn: String,
    status: Status,
    /// The definition with the defaults of ECS.
    definition: Map<String, Value>,
    pub(super) tags: Tags,
}

/// The status of a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Active,
    Inactive,
    DeleteInProgress,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Inactive => "INACTIVE",
            Self::DeleteInProgress => "DELETE_IN_PROGRESS",
        }
    }
}

impl Revision {
    fn json(&self) -> Value {
        let mut json = Value::Object(self.definition.clone());
        json["taskDefinitionArn"] = self.arn.clone().into();
        json["status"] = self.status.name().into();
        json
    }

    /// The images of its essential containers decide what becomes of its tasks.
    pub(super) fn images(&self) -> impl Iterator<Item = &str> {
        let containers = self.definition.get("containerDefinitions");
        let containers = containers.and_then(Value::as_array).into_iter().flatten();
        containers.filter_map(|container| container["image"].as_str())
    }

    /// Its containers, and whether they are essential.
    pub(super) fn containers(&self) -> Vec<(String, bool)> {
        let containers = self.definition.get("containerDefinitions");
        let containers = containers.and_then(Value::as_array).into_iter().flatten();
        let container = |container: &Value| {
            let name = container["name"].as_str().unwrap_or_default().to_owned();
            (name, container["essential"].as_bool().unwrap_or(true))
        };
        containers.map(container).collect()
    }

    /// The longest `stopTimeout` of its containers, in seconds. AWS default 30.
    pub(super) fn stop_timeout(&self) -> u64 {
        let containers = self.definition.get("containerDefinitions");
        let containers = containers.and_then(Value::as_array).into_iter().flatten();
        let timeouts = containers.map(|container| container["stopTimeout"].as_u64().unwrap_or(30));
        timeouts.max().unwrap_or(30)
    }
}

impl Account {
    /// The revision `FAMILY:REVISION`, whatever its status.
    pub(super) fn revision(&self, name: &str) -> Option<&Revision> {
        let (family, number) = name_in(name).rsplit_once(':')?;
        self.families
            .get(family)?
            .revisions
            .get(&number.parse().ok()?)
    }

    pub(super) fn revision_mut(&mut self, name: &str) -> Option<&mut Revision> {
        let (family, number) = name_in(name).rsplit_once(':')?;
        let family = self.families.get_mut(family)?;
        family.revisions.get_mut(&number.parse().ok()?)
    }

    /// The ARN of the ACTIVE revision that `FAMILY`, `FAMILY:REVISION` or an ARN names.
    pub(super) fn active(&self, name: &str) -> Result<String, Refusal> {
        let newest = self.families.get(name_in(name)).and_then(|family| {
            let mut newest = family.revisions.values().rev();
            newest.find(|revision| revision.status == Status::Active)
        });
        let named = self.revision(name);
        let found = newest
            .or(named)
            .ok_or_else(|| Refusal::client("TaskDefinition not found."))?;
        if found.status == Status::Active {
            return Ok(found.arn.clone());
        }
        Err(Refusal::client("TaskDefinition is inactive"))
    }

    pub(super) fn register(&mut self, request: &Value, now: Moment) -> Result<Value, Refusal> {
        let family = request["family"].as_str().unwrap_or_default().to_owned();
        let containers = request["containerDefinitions"].as_array();
        if family.is_empty() || containers.is_none_or(Vec::is_empty) {
            return Err(Refusal::client("Container definitions must not be empty."));
        }
        let number = self
            .families
            .get(&family)
            .map_or(1, |family| family.last + 1);
        let revision = Revision {
            arn: self.arn(&format!("task-definition/{family}:{number}")),
            status: Status::Active,
            definition: with_defaults(request, number, now),
            tags: Tags::of(request),
        };
        let reply = json!({"taskDefinition": revision.json(), "tags": revision.tags.json()});
        let family = self.families.entry(family).or_default();
        family.last = number;
        family.revisions.insert(number, revision);
        Ok(reply)
    }

    pub(super) fn describe_task_definition(&self, request: &Value) -> Result<Value, Refusal> {
        let name = request["taskDefinition"].as_str().unwrap_or_default();
        let newest = self.active(name).ok();
        let found = self.revision(name).or_else(|| self.revision(&newest?));
        let unknown = || Refusal::client("Unable to describe task definition.");
        let revision = found.ok_or_else(unknown)?;
        let mut reply = json!({"taskDefinition": revision.json(), "tags": []});
        if includes(request, "TAGS") {
            reply["tags"] = revision.tags.json();
        }
        Ok(reply)
    }

    /// `familyPrefix` is the whole name of a family.
    pub(super) fn list_task_definitions(&self, request: &Value) -> Value {
        let status = request["status"].as_str().unwrap_or("ACTIVE");
        let wanted = request["familyPrefix"].as_str();
        let families = self.families.iter();
        let families = families.filter(|(name, _)| wanted.is_none_or(|wanted| wanted == *name));
        let revisions = families.flat_map(|(_, family)| family.revisions.values());
        let mut arns: Vec<_> = revisions
            .filter(|revision| revision.status.name() == status)
            .map(|revision| revision.arn.clone())
            .collect();
        if request["sort"] == "DESC" {
            arns.reverse();
        }
        page(request, "taskDefinitionArns", &arns)
    }

    pub(super) fn list_families(&self, request: &Value) -> Value {
        let prefix = request["familyPrefix"].as_str().unwrap_or_default();
        let is_active = |family: &Family| {
            let mut revisions = family.revisions.values();
            revisions.any(|revision| revision.status == Status::Active)
        };
        let names: Vec<_> = self
            .families
            .iter()
            .filter(|(name, family)| name.starts_with(prefix) && is_active(family))
            .map(|(name, _)| name.clone())
            .collect();
        page(request, "families", &names)
    }

    pub(super) fn deregister(&mut self, request: &Value) -> Result<Value, Refusal> {
        let name = request["taskDefinition"].as_str().unwrap_or_default();
        let missing = || Refusal::client("The specified task definition does not exist.");
        let revision = self.revision_mut(name).ok_or_else(missing)?;
        revision.status = Status::Inactive;
        Ok(json!({"taskDefinition": revision.json()}))
    }

    /// A revision that a service uses stays in DELETE_IN_PROGRESS; others are gone at once.
    pub(super) fn delete_task_definitions(&mut self, request: &Value) -> Value {
        let names = request["taskDefinitions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let (mut deleted, mut failures) = (Vec::new(), Vec::new());
        for name in names.iter().filter_map(Value::as_str) {
            let services = self
                .clusters
                .values()
                .flat_map(|cluster| cluster.services.values());
            let is_used = services
                .into_iter()
                .any(|service: &Service| service.uses(name_in(name)));
            let Some(revision) = self.revision_mut(name) else {
                failures.push(
                    json!({"arn": name, "reason": "The specified task definition does not exist."}),
                );
                continue;
            };
            if revision.status == Status::Active {
                let reason = "The specified task definition is still in ACTIVE status. Please deregister the target and try again.";
                failures.push(json!({"arn": name, "reason": reason}));
                continue;
            }
            revision.status = Status::DeleteInProgress;
            deleted.push(revision.json());
            if !is_used
                && let Some((family, number)) = name_in(name).rsplit_once(':')
                && let (Some(family), Ok(number)) = (self.families.get_mut(family), number.parse())
            {
                family.revisions.remove(&number);
            }
        }
        json!({"taskDefinitions": deleted, "failures": failures})
    }
}

/// The definition as ECS shows it. Source: ECS API, TaskDefinition and ContainerDefinition.
fn with_defaults(request: &Value, number: u32, now: Moment) -> Map<String, Value> {
    let mut definition = members(request, &["tags"]);
    definition.insert("revision".to_owned(), number.into());
    definition.insert("registeredAt".to_owned(), now.json());
    for list in ["volumes", "placementConstraints"] {
        definition.entry(list).or_insert_with(|| json!([]));
    }
    let is_awsvpc = request["networkMode"] == "awsvpc";
    let containers = definition.get_mut("containerDefinitions");
    for container in containers
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let defaults = [
            ("cpu", json!(0)),
            ("essential", json!(true)),
            ("environment", json!([])),
            ("mountPoints", json!([])),
            ("portMappings", json!([])),
            ("systemControls", json!([])),
            ("volumesFrom", json!([])),
        ];
        for (member, default) in defaults {
            if container[member].is_null() {
                container[member] = default;
            }
        }
        for mapping in container["portMappings"]
            .as_array_mut()
            .into_iter()
            .flatten()
        {
            if mapping["protocol"].is_null() {
                mapping["protocol"] = "tcp".into();
            }
            if mapping["hostPort"].is_null() {
                mapping["hostPort"] = if is_awsvpc {
                    mapping["containerPort"].clone()
                } else {
                    json!(0)
                };
            }
        }
    }
    definition
}

/// One page of a list. The token is the place of its first element.
pub(super) fn page(request: &Value, member: &str, all: &[String]) -> Value {
    let number = |value: &Value| {
        value
            .as_u64()
            .and_then(|number| usize::try_from(number).ok())
    };
    let size = number(&request["maxResults"]).unwrap_or(100).clamp(1, 100);
    let token = request["nextToken"].as_str();
    let first = token
        .and_then(|token| token.parse().ok())
        .unwrap_or(0)
        .min(all.len());
    let end = (first + size).min(all.len());
    let mut reply = json!({member: all[first..end]});
    if end < all.len() {
        reply["nextToken"] = end.to_string().into();
    }
    reply
}
