//! Tasks that run on their own. Source: ECS API, RunTask, StopTask, "Ensuring idempotency" and "API
//! failure reasons".

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::account::{Account, name_in};
use super::clock::Moment;
use super::clusters::members;
use super::refusal::Refusal;
use super::tags::Tags;
use super::tasks::Task;

/// How long ECS keeps a client token.
const TOKEN: Duration = Duration::from_secs(24 * 3600);

/// A task that runs on its own.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) task: Task,
    started_by: Value,
    overrides: Value,
    tags: Tags,
    /// Its containers, and whether they are essential.
    containers: Vec<(String, bool)>,
}

/// What was started with a client token: when, by which request, and the tasks.
#[derive(Clone, Debug, Default)]
pub(super) struct Tokens(BTreeMap<String, (Moment, Value, Vec<String>)>);

impl Tokens {
    fn forget(&mut self, now: Moment) {
        self.0.retain(|_, (at, ..)| now.since(*at) < TOKEN);
    }
}

impl Run {
    /// The task as DescribeTasks shows it.
    pub(super) fn json(&self, cluster: &str, place: &str) -> Value {
        let definition = name_in(&self.task.definition);
        let family = definition.split(':').next().unwrap_or_default();
        let mut json = self.task.json(cluster, place, &format!("family:{family}"));
        json["startedBy"] = self.started_by.clone();
        json["overrides"] = self.overrides.clone();
        json["tags"] = self.tags.json();
        let shown = json["containers"][0].clone();
        let container = |(name, essential): &(String, bool)| {
            let mut container = shown.clone();
            container["name"] = name.as_str().into();
            if !essential && shown["exitCode"].is_i64() {
                // It is ended with the others.
                container["exitCode"] = 137.into();
            }
            container
        };
        json["containers"] = self.containers.iter().map(container).collect();
        json
    }
}

impl Account {
    /// Limits the tasks that RunTask can start at once; `None` means that there is room for all.
    pub fn set_room(&mut self, room: Option<usize>) {
        self.room = room;
    }

    pub(super) fn run_task(&mut self, request: &Value, now: Moment) -> Result<Value, Refusal> {
        let name = self.cluster_of(request)?.name().to_owned();
        let place = self.place.clone();
        let token = request["clientToken"].as_str().map(str::to_owned);
        let meant = Value::Object(members(request, &["clientToken"]));
        let cluster = self.cluster_of(request)?;
        cluster.tokens.forget(now);
        if let Some((_, before, ids)) = token.as_ref().and_then(|it| cluster.tokens.0.get(it)) {
            if *before != meant {
                let message = "The request with this client token had other parameters.";
                return Err(Refusal::new("ConflictException", message));
            }
            let started = cluster.runs.iter().filter(|run| ids.contains(&run.task.id));
            let tasks: Vec<_> = started.map(|run| run.json(&name, &place)).collect();
            return Ok(json!({"tasks": tasks, "failures": []}));
        }
        let wanted = request["taskDefinition"].as_str().unwrap_or_default();
        let definition = self.active(wanted)?;
        let containers = self
            .revision(&definition)
            .map(super::task_definitions::Revision::containers);
        let containers = containers.unwrap_or_default();
        let names = request["overrides"]["containerOverrides"].as_array();
        for name in names.into_iter().flatten() {
            if !containers.iter().any(|(known, _)| name["name"] == **known) {
                let name = name["name"].as_str().unwrap_or_default();
                return Err(Refusal::parameter(format!(
                    "Override for container named {name} is not a container in the TaskDefinition."
                )));
            }
        }
        let count = usize::try_from(request["count"].as_u64().unwrap_or(1)).unwrap_or(1);
        let room = self.room.unwrap_or(count).min(count);
        let runs: Vec<_> = (0..room)
            .map(|_| Run {
                task: Task::new(self, &definition, 0, now),
                started_by: request["startedBy"].clone(),
                overrides: request["overrides"].clone(),
                tags: Tags::of(request),
                containers: containers.clone(),
            })
            .collect();
        let tasks: Vec<_> = runs.iter().map(|run| run.json(&name, &place)).collect();
        let failures: Vec<_> = (room..count)
            .map(|_| json!({"reason": "RESOURCE:MEMORY"}))
            .collect();
        let cluster = self.cluster_of(request)?;
        if let Some(token) = token {
            let ids = runs.iter().map(|run| run.task.id.clone()).collect();
            cluster.tokens.0.insert(token, (now, meant, ids));
        }
        cluster.runs.extend(runs);
        Ok(json!({"tasks": tasks, "failures": failures}))
    }

    pub(super) fn stop_task(&mut self, request: &Value, now: Moment) -> Result<Value, Refusal> {
        let place = self.place.clone();
        let id = name_in(request["task"].as_str().unwrap_or_default()).to_owned();
        let reason = request["reason"].as_str().unwrap_or("Task stopped by user");
        let cluster = self.cluster_of(request)?;
        let name = cluster.name().to_owned();
        if let Some(run) = cluster.runs.iter_mut().find(|run| run.task.id == id) {
            run.task.stop_by_user(reason, now);
            // ECS deletes the tags of a task that is stopped.
            run.tags = Tags::default();
            return Ok(json!({"task": run.json(&name, &place)}));
        }
        for service in cluster.services.values_mut() {
            let group = format!("service:{}", service.name);
            if let Some(task) = service.tasks.iter_mut().find(|task| task.id == id) {
                task.stop_by_user(reason, now);
                return Ok(json!({"task": task.json(&name, &place, &group)}));
            }
        }
        Err(Refusal::parameter("The referenced task was not found."))
    }
}
