//! The custom resources that users want, and how they change their minds.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::api_server::{ApiServer, Id};
use super::chance::Chance;
use super::{tasks, time};

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

/// How capacity providers are called, after the namespace: of an Auto Scaling group, and of Managed
/// Instances.
const GROUP: &str = "workers";
const INSTANCES: &str = "managed";

/// Namespaces, which name what is in them.
const NAMESPACES: [&str; 2] = ["shop", "lab"];

/// The namespace of objects that name what somebody else owns in AWS.
pub(super) const INTRUDERS: &str = "intruders";

/// What users want.
#[derive(Clone, Debug, Default)]
pub(super) struct Wishes {
    /// Specs by object.
    pub(super) specs: BTreeMap<Id, Value>,
    /// Commands by object.
    annotations: BTreeMap<Id, Value>,
}

/// Objects that name what somebody else owns in AWS.
pub(super) fn intrude(server: &ApiServer) {
    let containers = json!([{"name": "web", "image": "good:1"}]);
    let service = json!({"cluster": "foreign", "taskDefinition": "foreign:1", "desiredCount": 3});
    let specs = [
        (
            "ecsclusters",
            json!({"tags": [{"key": "team", "value": "a"}]}),
        ),
        (
            "ecstaskdefinitions",
            json!({"containerDefinitions": containers}),
        ),
        ("ecsservices", service),
    ];
    for (plural, spec) in specs {
        server.apply(
            id(plural, INTRUDERS, "foreign"),
            kind(plural),
            &spec,
            &json!({}),
        );
    }
}

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
    let names = match &*other.0 {
        "ecsclusters" => spec["clusterRef"]["name"] == *other.2,
        "ecstaskdefinitions" => spec["taskDefinitionRef"]["name"] == *other.2,
        "ecscapacityproviders" => providers(spec).contains(&other.2),
        _ => return false,
    };
    names && *namespace == other.1
}

/// Names of the capacity providers that a cluster lists or has in its default strategy, other than
/// those of ECS.
pub(super) fn providers(spec: &Value) -> Vec<String> {
    let listed = spec["capacityProviders"].as_array();
    let strategy = spec["defaultCapacityProviderStrategy"].as_array();
    let strategy = strategy.into_iter().flatten();
    let names = listed
        .into_iter()
        .flatten()
        .chain(strategy.map(|item| &item["capacityProvider"]));
    let names = names.filter_map(Value::as_str);
    names
        .filter(|name| !name.starts_with("FARGATE"))
        .map(str::to_owned)
        .collect()
}

/// The kind of a plural.
pub(super) fn kind(plural: &str) -> &'static str {
    match plural {
        "ecsclusters" => "EcsCluster",
        "ecstaskdefinitions" => "EcsTaskDefinition",
        "ecscapacityproviders" => "EcsCapacityProvider",
        "ecstasks" => "EcsTask",
        _ => "EcsService",
    }
}

impl Wishes {
    /// Cluster and name of all services, or namespace and family of all task definitions.
    pub(super) fn names(&self, plural: &str) -> Vec<(String, String)> {
        let ids = self.specs.keys().filter(|id| id.0 == plural);
        let named = ids.map(|id| (format!("{}-main", id.1), id.2.clone()));
        named.collect()
    }

    /// Changes or adds an object, and what it needs.
    pub(super) fn edit(&mut self, draw: u64, server: &ApiServer) {
        let mut chance = Chance::new(draw, 1);
        let namespace = *chance.one(&NAMESPACES);
        match chance.below(13) {
            0 => self.cluster(namespace, &mut chance),
            10 => {
                let name = format!("{namespace}-{}", chance.one(&[GROUP, INSTANCES]));
                self.capacity_provider(namespace, &name, &mut chance);
            }
            11.. => {
                let name = format!("{namespace}-{}", chance.one(&["migrate", "report"]));
                self.task(namespace, &name, &mut chance);
            }
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

    /// Gives a service a command: restart, or reconcile now.
    pub(super) fn command(&mut self, draw: u64, server: &ApiServer) {
        let mut chance = Chance::new(draw, 3);
        let services: Vec<_> = self
            .specs
            .keys()
            .filter(|id| id.0 == "ecsservices")
            .cloned()
            .collect();
        if services.is_empty() {
            return;
        }
        let command = *chance.one(&["restartedAt", "reconcileAt"]);
        let annotations = self
            .annotations
            .entry(chance.one(&services).clone())
            .or_insert_with(|| json!({}));
        annotations[format!("ecs-operator.dev/{command}")] = time::time_of_day().to_string().into();
        self.apply(server);
    }

    /// Deletes an object. What refers to it stays.
    pub(super) fn delete(&mut self, draw: u64, server: &ApiServer) {
        let mut chance = Chance::new(draw, 2);
        let ids: Vec<_> = self.specs.keys().cloned().collect();
        if !ids.is_empty() {
            let id = chance.one(&ids);
            self.specs.remove(id);
            self.annotations.remove(id);
            server.delete(id);
        }
    }

    /// Applies all that is wanted. What is being deleted is not made again before it is gone, nor
    /// what refers to it.
    pub(super) fn apply(&self, server: &ApiServer) {
        let leaving = leaving(server);
        for (id, spec) in &self.specs {
            let is_held = leaving
                .iter()
                .any(|other| other == id || refers(id, spec, other));
            if !is_held {
                let annotations = self
                    .annotations
                    .get(id)
                    .cloned()
                    .unwrap_or_else(|| json!({}));
                server.apply(id.clone(), kind(&id.0), spec, &annotations);
            }
        }
    }

    /// Mends what cannot come to a good end: images whose tasks do not run, and missing parents.
    pub(super) fn mend(&mut self, chance: &mut Chance) {
        let services: Vec<_> = self
            .specs
            .iter()
            .filter(|(id, _)| ["ecsservices", "ecstasks"].contains(&&*id.0))
            .map(|(id, spec)| (id.clone(), spec.clone()))
            .collect();
        for (id, spec) in services {
            let cluster = self::id("ecsclusters", &id.1, &format!("{}-main", id.1));
            if !self.specs.contains_key(&cluster) {
                self.cluster(&id.1, chance);
            }
            let name = spec["taskDefinitionRef"]["name"]
                .as_str()
                .unwrap_or_default();
            if !self
                .specs
                .contains_key(&self::id("ecstaskdefinitions", &id.1, name))
            {
                self.task_definition(&id.1, name, chance);
            }
        }
        let orphaned = self
            .specs
            .iter()
            .filter(|(id, spec)| id.0 == "ecscapacityproviders" && !spec["clusterRef"].is_null());
        let namespaces: Vec<_> = orphaned.map(|(id, _)| id.1.clone()).collect();
        for namespace in namespaces {
            let cluster = self::id("ecsclusters", &namespace, &format!("{namespace}-main"));
            if !self.specs.contains_key(&cluster) {
                self.cluster(&namespace, chance);
            }
        }
        let clusters: Vec<_> = self
            .specs
            .iter()
            .filter(|(id, _)| id.0 == "ecsclusters")
            .map(|(id, spec)| (id.clone(), spec.clone()))
            .collect();
        for (id, spec) in clusters {
            for name in providers(&spec) {
                let provider = self::id("ecscapacityproviders", &id.1, &name);
                if !self.specs.contains_key(&provider) {
                    self.capacity_provider(&id.1, &name, chance);
                }
            }
        }
        for (id, spec) in &mut self.specs {
            if id.0 == "ecstaskdefinitions" {
                let image = &mut spec["containerDefinitions"][0]["image"];
                let good: &[&str] = if id.2.ends_with(tasks::BATCH) {
                    &tasks::GOOD
                } else {
                    &GOOD
                };
                if !good.iter().any(|good| *image == **good) {
                    *image = (*chance.one(good)).into();
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
        let mut strategy = Vec::new();
        if chance.happens(30) {
            let name = format!("{namespace}-{GROUP}");
            spec["capacityProviders"] = json!(["FARGATE", name]);
            if chance.happens(50) {
                strategy.push(json!({"capacityProvider": name, "weight": 1, "base": 0}));
            }
        }
        if strategy.is_empty() && chance.happens(20) {
            let name = format!("{namespace}-{INSTANCES}");
            strategy.push(json!({"capacityProvider": name, "weight": 1, "base": 0}));
        }
        if !strategy.is_empty() {
            spec["defaultCapacityProviderStrategy"] = strategy.into();
        }
        tags(&mut spec, chance);
        let needed = providers(&spec);
        self.specs.insert(
            id("ecsclusters", namespace, &format!("{namespace}-main")),
            spec,
        );
        for name in needed {
            let provider = id("ecscapacityproviders", namespace, &name);
            if !self.specs.contains_key(&provider) && chance.happens(80) {
                self.capacity_provider(namespace, &name, chance);
            }
        }
    }

    fn capacity_provider(&mut self, namespace: &str, name: &str, chance: &mut Chance) {
        let mut spec = if name.ends_with(GROUP) {
            let target = *chance.one(&[50, 80, 100]);
            let scaling = json!({"status": "ENABLED", "targetCapacity": target});
            json!({"autoScalingGroupProvider": {"autoScalingGroupArn": name, "managedScaling": scaling}})
        } else {
            let monitoring = *chance.one(&["BASIC", "DETAILED"]);
            let template = json!({
                "ec2InstanceProfileArn": "arn:aws:iam::111122223333:instance-profile/ecs/instance",
                "networkConfiguration": {"subnets": ["subnet-0a1b2c3d"]},
                "monitoring": monitoring,
            });
            let provider = json!({
                "infrastructureRoleArn": "arn:aws:iam::111122223333:role/ecs/infrastructure",
                "instanceLaunchTemplate": template,
            });
            json!({"clusterRef": {"name": format!("{namespace}-main")}, "managedInstancesProvider": provider})
        };
        tags(&mut spec, chance);
        self.specs
            .insert(id("ecscapacityproviders", namespace, name), spec);
    }

    fn task_definition(&mut self, namespace: &str, name: &str, chance: &mut Chance) {
        let images: &[&str] = if name.ends_with(tasks::BATCH) {
            &tasks::IMAGES
        } else {
            &IMAGES
        };
        let mut spec = json!({
            "requiresCompatibilities": ["FARGATE"],
            "networkMode": "awsvpc",
            "cpu": "256",
            "memory": "512",
            // Outsiders register revisions of the same family.
            "adoptionPolicy": "IfUnowned",
            "containerDefinitions": [{
                "name": "web",
                "image": *chance.one(images),
                "portMappings": [{"containerPort": 80}],
            }],
        });
        if chance.happens(30) {
            spec["revisionHistoryLimit"] = (1 + chance.below(2)).into();
        }
        if chance.happens(20) {
            spec["deleteRevisions"] = true.into();
        }
        tags(&mut spec, chance);
        self.specs
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
        if chance.happens(25) {
            shift_traffic(&mut spec, chance);
        }
        if chance.happens(30) {
            spec["enableExecuteCommand"] = chance.happens(50).into();
        }
        if chance.happens(20) {
            spec["healthCheckGracePeriodSeconds"] = (10 * (1 + chance.below(3))).into();
        }
        if chance.happens(30) {
            scale(&mut spec, chance);
        }
        tags(&mut spec, chance);
        self.specs.insert(id("ecsservices", namespace, name), spec);
        self.parents(namespace, &definition, chance);
    }

    fn task(&mut self, namespace: &str, name: &str, chance: &mut Chance) {
        let spec = tasks::spec(namespace, chance);
        self.specs.insert(id("ecstasks", namespace, name), spec);
        let definition = format!("{namespace}-{}", tasks::BATCH);
        self.parents(namespace, &definition, chance);
        if chance.happens(30) {
            self.task_definition(namespace, &definition, chance);
        }
    }

    /// Adds, most of the time, what a service or a task refers to.
    fn parents(&mut self, namespace: &str, definition: &str, chance: &mut Chance) {
        let needed = id("ecstaskdefinitions", namespace, definition);
        if !self.specs.contains_key(&needed) && chance.happens(80) {
            self.task_definition(namespace, definition, chance);
        }
        let needed = id("ecsclusters", namespace, &format!("{namespace}-main"));
        if !self.specs.contains_key(&needed) && chance.happens(90) {
            self.cluster(namespace, chance);
        }
    }
}

/// Has Application Auto Scaling change the number of tasks of a service. Its scheduled action is
/// due after the end of the world.
fn scale(spec: &mut Value, chance: &mut Chance) {
    let (min, more) = (chance.below(3), chance.below(3));
    let mut scaling = json!({"minCapacity": min, "maxCapacity": min + more});
    if !spec["desiredCount"].is_null() {
        spec["desiredCount"] = min.into();
    }
    if chance.happens(60) {
        scaling["cpu"] = (*chance.one(&[50, 70])).into();
    }
    if chance.happens(40) {
        let adjustment =
            json!({"metricIntervalLowerBound": 0, "scalingAdjustment": 1 + chance.below(2)});
        let steps = json!({"adjustmentType": "ChangeInCapacity", "stepAdjustments": [adjustment]});
        scaling["policies"] =
            json!([{"policyName": "steps", "stepScalingPolicyConfiguration": steps}]);
    }
    if chance.happens(40) {
        let schedule = *chance.one(&["at(2099-01-01T00:00:00)", "at(2099-06-01T00:00:00)"]);
        let action = json!({"minCapacity": min});
        scaling["scheduledActions"] = json!([
            {"scheduledActionName": "later", "schedule": schedule, "scalableTargetAction": action}
        ]);
    }
    if chance.happens(20) {
        scaling["suspendedState"] = json!({"dynamicScalingInSuspended": true});
    }
    spec["autoscaling"] = scaling;
}

/// Has the deployments of a service shift traffic between two target groups.
fn shift_traffic(spec: &mut Value, chance: &mut Chance) {
    let arn = |rest: &str| format!("arn:aws:elasticloadbalancing:eu-central-1:111122223333:{rest}");
    let strategy = *chance.one(&["BLUE_GREEN", "CANARY", "LINEAR"]);
    let configuration = &mut spec["deploymentConfiguration"];
    configuration["strategy"] = strategy.into();
    configuration["bakeTimeInMinutes"] = chance.below(3).into();
    match strategy {
        "CANARY" => {
            configuration["canaryConfiguration"] =
                json!({"canaryPercent": 10, "canaryBakeTimeInMinutes": 1});
        }
        "LINEAR" => {
            configuration["linearConfiguration"] =
                json!({"stepPercent": 50, "stepBakeTimeInMinutes": 1});
        }
        _ => {}
    }
    spec["loadBalancers"] = json!([{
        "targetGroupArn": arn("targetgroup/blue/0123456789abcdef"),
        "containerName": "web",
        "containerPort": 80,
        "advancedConfiguration": {
            "alternateTargetGroupArn": arn("targetgroup/green/0123456789abcdef"),
            "productionListenerRule": arn("listener-rule/app/shop/1/2/3"),
            "roleArn": "arn:aws:iam::111122223333:role/ecs/load-balancer",
        },
    }]);
}

fn tags(spec: &mut Value, chance: &mut Chance) {
    if chance.happens(40) {
        spec["tags"] = json!([{"key": "team", "value": *chance.one(&["a", "b"])}]);
    }
}
