//! A service: its tasks, its deployments, and how they move on.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::account::{Account, name_in};
use super::clock::Moment;
use super::deployment::{Deployment, Status};
use super::tags::{Tags, includes};
use super::tasks::Task;

/// How long ECS shows a deleted service.
const SHOWN: Duration = Duration::from_secs(3600);

/// Most events that ECS keeps. Source: ECS API, Service.
const EVENTS: usize = 100;

/// The status of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    Active,
    Draining,
    Inactive,
}

/// A service.
#[derive(Clone, Debug, Default)]
pub(super) struct Service {
    pub(super) arn: String,
    pub(super) name: String,
    /// Name of its cluster.
    pub(super) cluster: String,
    pub(super) state: State,
    pub(super) desired: usize,
    /// Members of the last CreateService or UpdateService that ECS shows as they are.
    pub(super) members: Map<String, Value>,
    pub(super) tags: Tags,
    pub(super) client_token: Option<String>,
    pub(super) created: Moment,
    /// The task definitions of its service revisions.
    pub(super) revisions: Vec<String>,
    /// All service deployments, the last one last.
    pub(super) deployments: Vec<Deployment>,
    pub(super) tasks: Vec<Task>,
    pub(super) events: VecDeque<Value>,
    /// When it became INACTIVE.
    pub(super) deleted: Option<Moment>,
    /// Number of the last event.
    pub(super) event_ids: u64,
}

impl Service {
    /// Whether it is not being deleted.
    pub(super) fn is_active(&self) -> bool {
        self.state == State::Active
    }

    /// Whether one of its revisions that has tasks or is deployed is `FAMILY:REVISION`.
    pub(super) fn uses(&self, name: &str) -> bool {
        let is_used = |number: usize| {
            let mut tasks = self.tasks.iter().filter(|task| !task.is_stopped());
            self.target() == Some(number) || tasks.any(|task| task.revision == number)
        };
        let mut revisions = self.revisions.iter().enumerate();
        revisions.any(|(number, revision)| name_in(revision) == name && is_used(number))
    }

    /// The ID of a service revision in its ARN. Another service of the same name has others.
    pub(super) fn revision_id(&self, number: usize) -> String {
        format!("{}{:04}", self.created.0, number + 1)
    }

    /// The task definition of the service revision with this ID.
    pub(super) fn revision_of(&self, id: &str) -> Option<&String> {
        let mut revisions = self.revisions.iter().enumerate();
        let found = revisions.find(|(number, _)| self.revision_id(*number) == id);
        found.map(|(_, revision)| revision)
    }

    /// The service revision that shall run.
    pub(super) fn target(&self) -> Option<usize> {
        self.deployments.last().map(Deployment::wanted)
    }

    /// Number of tasks of a service revision for which this holds.
    pub(super) fn count(&self, revision: usize, holds: impl Fn(&Task) -> bool) -> usize {
        let tasks = self.tasks.iter().filter(|task| task.revision == revision);
        tasks.filter(|task| holds(task)).count()
    }

    pub(super) fn configuration(&self) -> &Value {
        self.members
            .get("deploymentConfiguration")
            .unwrap_or(&Value::Null)
    }

    pub(super) fn strategy(&self) -> &str {
        self.configuration()["strategy"]
            .as_str()
            .unwrap_or("ROLLING")
    }

    /// Starts and stops tasks of a revision until as many are wanted.
    pub(super) fn scale(
        &mut self,
        account: &mut Account,
        revision: usize,
        wanted: usize,
        now: Moment,
    ) {
        let present = self.count(revision, Task::is_wanted);
        let task_definition = self.revisions[revision].clone();
        for _ in present..wanted {
            self.tasks
                .push(Task::new(account, &task_definition, revision, now));
        }
        let surplus = self
            .tasks
            .iter_mut()
            .filter(|task| task.revision == revision && task.is_wanted());
        for task in surplus.take(present.saturating_sub(wanted)) {
            task.stop("Scaling activity initiated by deployment", now);
        }
    }

    /// Moves tasks and deployments on.
    pub(super) fn advance(&mut self, account: &mut Account, now: Moment) {
        // A deployment counts failures of its own revision alone.
        let deployed = self.deployments.last().map(|last| last.revision);
        let mut failed = 0;
        for task in &mut self.tasks {
            let has_failed = task.advance(now);
            failed += usize::from(has_failed && Some(task.revision) == deployed);
        }
        self.tasks.retain(|task| !task.is_forgotten(now));
        match self.state {
            State::Active => {
                if let Some(mut deployment) = self.deployments.pop() {
                    deployment.advance(self, account, failed, now);
                    self.deployments.push(deployment);
                }
            }
            State::Draining => {
                if self.tasks.iter().all(Task::is_stopped) {
                    self.state = State::Inactive;
                    self.deleted = Some(now);
                }
            }
            State::Inactive => {}
        }
    }

    /// Whether ECS has forgotten it.
    pub(super) fn is_forgotten(&self, now: Moment) -> bool {
        self.deleted
            .is_some_and(|deleted| now.since(deleted) >= SHOWN)
    }

    /// Adds an event, as the guide words it in "Service event messages".
    pub(super) fn tell(&mut self, message: &str, now: Moment) {
        self.event_ids += 1;
        let message = format!("(service {}) {message}", self.name);
        let event =
            json!({"id": self.event_ids.to_string(), "createdAt": now.json(), "message": message});
        self.events.push_front(event);
        self.events.truncate(EVENTS);
    }

    /// The service as DescribeServices shows it.
    pub(super) fn json(&self, place: &str, request: &Value) -> Value {
        let count = |holds: fn(&Task) -> bool| self.tasks.iter().filter(|task| holds(task)).count();
        let mut json = Value::Object(self.members.clone());
        let status = match self.state {
            State::Active => "ACTIVE",
            State::Draining => "DRAINING",
            State::Inactive => "INACTIVE",
        };
        let own = json!({
            "serviceArn": self.arn,
            "serviceName": self.name,
            "clusterArn": format!("arn:aws:ecs:{place}:cluster/{}", self.cluster),
            "status": status,
            "desiredCount": self.desired,
            "runningCount": count(|task| task.last_status() == "RUNNING"),
            "pendingCount": count(|task| task.last_status() == "PENDING"),
            "createdAt": self.created.json(),
            "events": self.events,
            "deployments": self.listed(),
        });
        for (name, value) in own.as_object().into_iter().flatten() {
            json[name] = value.clone();
        }
        if let Some(target) = self.target() {
            json["taskDefinition"] = self.revisions[target].clone().into();
        }
        let last = self.deployments.last();
        if let Some(deployment) = last.filter(|deployment| !deployment.has_ended()) {
            json["currentServiceDeployment"] = deployment.arn.clone().into();
        }
        if includes(request, "TAGS") {
            json["tags"] = self.tags.json();
        }
        json
    }

    /// `deployments[]`: the revision that shall run, and those that still have tasks.
    fn listed(&self) -> Vec<Value> {
        let target = self.target();
        let has_tasks = |number: &usize| self.count(*number, |task| !task.is_stopped()) > 0;
        let others = (0..self.revisions.len()).filter(|number| Some(*number) != target);
        let others: Vec<_> = others.filter(has_tasks).collect();
        let all = target.into_iter().chain(others);
        let listed = all.map(|number| {
            let is_primary = Some(number) == target;
            let deployed = self.deployments.iter().rev().find(|past| past.revision == number);
            json!({
                "id": format!("ecs-svc/{}", number + 1),
                "status": if is_primary { "PRIMARY" } else { "ACTIVE" },
                "taskDefinition": self.revisions[number],
                "desiredCount": if is_primary { self.desired } else { 0 },
                "runningCount": self.count(number, |task| task.last_status() == "RUNNING"),
                "pendingCount": self.count(number, |task| task.last_status() == "PENDING"),
                "failedTasks": deployed.map_or(0, |past| past.failures),
                "rolloutState": deployed.map_or("COMPLETED", |past| rollout_state(past, is_primary)),
                "rolloutStateReason": deployed.and_then(|past| past.reason.clone()),
                "createdAt": deployed.map_or(self.created, |past| past.created).json(),
            })
        });
        listed.collect()
    }
}

fn rollout_state(deployment: &Deployment, is_primary: bool) -> &'static str {
    match deployment.status {
        Status::Successful | Status::Stopped => "COMPLETED",
        // The revision that runs again after a rollback.
        Status::RollbackSuccessful if is_primary => "COMPLETED",
        Status::RollbackSuccessful | Status::RollbackFailed => "FAILED",
        _ => "IN_PROGRESS",
    }
}
