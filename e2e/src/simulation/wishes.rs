//! The custom resources that users want, and how they change their minds.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::api_server::{ApiServer, Id};
use super::chance::Chance;

/// Images: tasks of the last two do not run.
const IMAGES: [&str; 6] = [
    "good:1",
    "good:2",
    "good:3",
    "slow:1",
    "crash:1",
    "no-such-image:1",
];

/// Images whose tasks run.
const GOOD: [&str; 4] = ["good:1", "good:2", "good:3", "slow:1"];

/// Namespaces, which name what is in them.
const NAMESPACES: [&str; 2] = ["shop", "lab"];

/// Specs by object.
#[derive(Clone, Debug, Default)]
pub(super) struct Wishes(pub(super) BTreeMap<Id, Value>);

fn id(plural: &str, namespace: &str, name: &str) -> Id {
    (plural.to_owned(), namespace.to_owned(), name.to_owned())
}

/// Deletes what keeps others from being deleted.
pub(super) fn unblock(server: &ApiServer) {
    let leaving = leaving(server);
    for (id, object) in server.objects() {
        if leaving
            .iter()
            .any(|other| refers(&id, &object["spec"], other))
        {
            server.delete(&id);
        }
    }
}

/// The objects that are being deleted.
fn leaving(server: &ApiServer) -> Vec<Id> {
    let objects = server.objects().into_iter();
    let leaving = objects.filter(|(_, object)| !object["metadata"]["deletionTimestamp"].is_null());
    leaving.map(|(id, _)| id).collect()
}

/// Whether an object refers to another one.
fn refers((_, namespace, _): &Id, spec: &Value, other: &Id) -> bool {
    let member = match &*other.0 {
        "ecsclusters" => "clusterRef",
        "ecstaskdefinitions" => "taskDefinitionRef",
        _ => return false,
    };
    *namespace == other.1 && spec[member]["name"] == *other.2
}

/// The kind of a plural.
pub(super) fn kind(plural: &str) -> &'static str {
    match plural {
        "ecsclusters" => "EcsCluster",
        "ecstaskdefinitions" => "EcsTaskDefinition",
        _ => "EcsService",
    }
}

impl Wishes {
    /// Cluster and name of all services, or namespace and family of all task definitions.
    pub(super) fn names(&self, plural: &str) -> Vec<(String, String)> {
        let ids = self.0.keys().filter(|id| id.0 == plural);
        let named = ids.map(|id| (format!("{}-main", id.1), id.2.clone()));
        named.collect()
    }

    /// Changes or adds an object, and what it needs.
    pub(super) fn edit(&mut self, draw: u64, server: &ApiServer) {
        let mut chance = Chance::new(draw, 1);
        let namespace = *chance.one(&NAMESPACES);
        match chance.below(10) {
            0 => self.cluster(namespace, &mut chance),
            1..5 => {
                let name = format!("{namespace}-{}", chance.one(&["web", "job"]));
                self.task_definition(namespace, &name, &mut chance);
            }
            _ => {
                let name = format!("{namespace}-{}", chance.one(&["web", "api", "job"]));
                self.service(namespace, &name, &mut chance);
            }
        }
        self.apply(server);
    }

    /// Deletes an object. What refers to it stays.
    pub(super) fn delete(&mut self, draw: u64, server: &ApiServer) {
        let mut chance = Chance::new(draw, 2);
        let ids: Vec<_> = self.0.keys().cloned().collect();
        if !ids.is_empty() {
            let id = chance.one(&ids);
            self.0.remove(id);
            server.delete(id);
        }
    }

    /// Applies all that is wanted. What is being deleted is not made again before it is gone, nor
    /// what refers to it.
    pub(super) fn apply(&self, server: &ApiServer) {
        let leaving = leaving(server);
        for (id, spec) in &self.0 {
            let is_held = leaving
                .iter()
                .any(|other| other == id || refers(id, spec, other));
            if !is_held {
                server.apply(id.clone(), kind(&id.0), spec, &json!({}));
            }
        }
    }

    /// Mends what cannot come to a good end: images whose tasks do not run, and missing parents.
    pub(super) fn mend(&mut self, chance: &mut Chance) {
        let services: Vec<_> = self
            .0
            .iter()
            .filter(|(id, _)| id.0 == "ecsservices")
            .map(|(id, spec)| (id.clone(), spec.clone()))
            .collect();
        for (id, spec) in services {
            let cluster = self::id("ecsclusters", &id.1, &format!("{}-main", id.1));
            if !self.0.contains_key(&cluster) {
                self.cluster(&id.1, chance);
            }
            let name = spec["taskDefinitionRef"]["name"]
                .as_str()
                .unwrap_or_default();
            if !self
                .0
                .contains_key(&self::id("ecstaskdefinitions", &id.1, name))
            {
                self.task_definition(&id.1, name, chance);
            }
        }
        for (id, spec) in &mut self.0 {
            if id.0 == "ecstaskdefinitions" {
                let image = &mut spec["containerDefinitions"][0]["image"];
                if !GOOD.iter().any(|good| *image == **good) {
                    *image = (*chance.one(&GOOD)).into();
                }
            }
        }
    }

    fn cluster(&mut self, namespace: &str, chance: &mut Chance) {
        let mut spec = json!({});
        if chance.happens(60) {
            let value = *chance.one(&["enabled", "disabled"]);
            spec["settings"] = json!([{"name": "containerInsights", "value": value}]);
        }
        if chance.happens(40) {
            spec["capacityProviders"] = chance
                .one(&[json!(["FARGATE"]), json!(["FARGATE", "FARGATE_SPOT"])])
                .clone();
        }
        tags(&mut spec, chance);
        self.0.insert(
            id("ecsclusters", namespace, &format!("{namespace}-main")),
            spec,
        );
    }

    fn task_definition(&mut self, namespace: &str, name: &str, chance: &mut Chance) {
        let mut spec = json!({
            "requiresCompatibilities": ["FARGATE"],
            "networkMode": "awsvpc",
            "cpu": "256",
            "memory": "512",
            // Outsiders register revisions of the same family.
            "adoptionPolicy": "IfUnowned",
            "containerDefinitions": [{"name": "web", "image": *chance.one(&IMAGES)}],
        });
        if chance.happens(30) {
            spec["revisionHistoryLimit"] = (1 + chance.below(2)).into();
        }
        if chance.happens(20) {
            spec["deleteRevisions"] = true.into();
        }
        tags(&mut spec, chance);
        self.0
            .insert(id("ecstaskdefinitions", namespace, name), spec);
    }

    fn service(&mut self, namespace: &str, name: &str, chance: &mut Chance) {
        let definition = format!("{namespace}-{}", chance.one(&["web", "job"]));
        let mut spec = json!({
            "clusterRef": {"name": format!("{namespace}-main")},
            "taskDefinitionRef": {"name": definition},
            "launchType": "FARGATE",
            "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-0a1b2c3d"]}},
        });
        if chance.happens(80) {
            spec["desiredCount"] = chance.below(4).into();
        }
        if chance.happens(60) {
            let breaker = json!({"enable": true, "rollback": chance.happens(70)});
            spec["deploymentConfiguration"] = json!({"deploymentCircuitBreaker": breaker});
        }
        if chance.happens(30) {
            spec["enableExecuteCommand"] = chance.happens(50).into();
        }
        if chance.happens(20) {
            spec["healthCheckGracePeriodSeconds"] = (10 * (1 + chance.below(3))).into();
        }
        tags(&mut spec, chance);
        self.0.insert(id("ecsservices", namespace, name), spec);
        let needed = id("ecstaskdefinitions", namespace, &definition);
        if !self.0.contains_key(&needed) && chance.happens(80) {
            self.task_definition(namespace, &definition, chance);
        }
        let needed = id("ecsclusters", namespace, &format!("{namespace}-main"));
        if !self.0.contains_key(&needed) && chance.happens(90) {
            self.cluster(namespace, chance);
        }
    }
}

fn tags(spec: &mut Value, chance: &mut Chance) {
    if chance.happens(40) {
        spec["tags"] = json!([{"key": "team", "value": *chance.one(&["a", "b"])}]);
    }
}
