//! Tasks of services: how they start, run and stop, and the calls that show them.
//!
//! The name of an image decides what becomes of its tasks, as in the playground: `no-such-image…`
//! cannot be pulled, `crash…` ends with exit code 1, `slow…` needs longer to start, and `stubborn…`
//! runs until its `stopTimeout` after it was asked to stop.

use std::time::Duration;

use serde_json::{Value, json};

use super::account::{Account, name_in};
use super::clock::Moment;
use super::refusal::Refusal;
use super::task_definitions::{Revision, page};

/// Until a task runs.
const STARTING: Duration = Duration::from_secs(5);

/// The same for an image `slow…`.
const SLOW: Duration = Duration::from_secs(20);

/// Until a task that ends at SIGTERM has stopped.
const STOPPING: Duration = Duration::from_secs(2);

/// How long ECS shows stopped tasks. Source: ECS API, DescribeTasks ("appear for at least one
/// hour").
const SHOWN: Duration = Duration::from_secs(3600);

/// A task of a service.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) id: String,
    /// ARN of its task definition.
    pub(super) definition: String,
    /// Number of its service revision.
    pub(super) revision: usize,
    fate: Fate,
    created: Moment,
    state: State,
}

/// What becomes of a task.
#[derive(Clone, Copy, Debug)]
struct Fate {
    starts_in: Duration,
    stops_in: Duration,
    /// Why it fails instead of running, and its exit code.
    failure: Option<(&'static str, &'static str, Option<i32>)>,
}

#[derive(Clone, Debug)]
enum State {
    Starting,
    Running,
    Stopping(Moment, String),
    Stopped(Moment, String),
}

impl Fate {
    fn of(revision: Option<&Revision>) -> Self {
        let has = |prefix: &str| {
            let mut images = revision.into_iter().flat_map(Revision::images);
            images.any(|image| name_in(image).starts_with(prefix))
        };
        let stubborn = Duration::from_secs(revision.map_or(30, Revision::stop_timeout));
        let failure = if has("no-such-image") {
            Some((
                "TaskFailedToStart",
                "CannotPullContainerError: image not found",
                None,
            ))
        } else if has("crash") {
            Some((
                "EssentialContainerExited",
                "Essential container in task exited",
                Some(1),
            ))
        } else {
            None
        };
        Self {
            starts_in: if has("slow") { SLOW } else { STARTING },
            stops_in: if has("stubborn") { stubborn } else { STOPPING },
            failure,
        }
    }
}

impl Task {
    /// A task that starts now.
    pub(super) fn new(
        account: &mut Account,
        task_definition: &str,
        revision: usize,
        now: Moment,
    ) -> Self {
        Self {
            id: account.id(),
            fate: Fate::of(account.revision(task_definition)),
            definition: task_definition.to_owned(),
            revision,
            created: now,
            state: State::Starting,
        }
    }

    /// Whether it runs or will run.
    pub(super) fn is_wanted(&self) -> bool {
        matches!(self.state, State::Starting | State::Running)
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, State::Running)
    }

    pub(super) fn is_stopped(&self) -> bool {
        matches!(self.state, State::Stopped(..))
    }

    /// `lastStatus`, without the short steps in between.
    pub(super) fn last_status(&self) -> &'static str {
        match self.state {
            State::Starting => "PENDING",
            // A task runs until its containers have ended.
            State::Running | State::Stopping(..) => "RUNNING",
            State::Stopped(..) => "STOPPED",
        }
    }

    /// Asks it to stop.
    pub(super) fn stop(&mut self, reason: &str, now: Moment) {
        if self.is_wanted() {
            self.state = State::Stopping(now, reason.to_owned());
        }
    }

    /// Moves it on. Returns whether it has just failed.
    pub(super) fn advance(&mut self, now: Moment) -> bool {
        match &self.state {
            State::Starting if now.since(self.created) >= self.fate.starts_in => {
                if let Some((_, reason, _)) = self.fate.failure {
                    self.state = State::Stopped(now, reason.to_owned());
                    return true;
                }
                self.state = State::Running;
            }
            State::Stopping(since, reason) if now.since(*since) >= self.fate.stops_in => {
                self.state = State::Stopped(now, reason.clone());
            }
            _ => {}
        }
        false
    }

    /// Whether ECS has forgotten it.
    pub(super) fn is_forgotten(&self, now: Moment) -> bool {
        matches!(self.state, State::Stopped(since, _) if now.since(since) >= SHOWN)
    }

    fn json(&self, arn: &str, cluster: &str, service: &str) -> Value {
        let desired = if self.is_wanted() {
            "RUNNING"
        } else {
            "STOPPED"
        };
        let mut json = json!({
            "taskArn": arn,
            "clusterArn": cluster,
            "group": format!("service:{service}"),
            "taskDefinitionArn": self.definition,
            "lastStatus": self.last_status(),
            "desiredStatus": desired,
            "createdAt": self.created.json(),
            "containers": [{"name": "web", "lastStatus": self.last_status()}],
        });
        if let State::Stopped(at, reason) = &self.state {
            let failed = self.fate.failure.filter(|(_, text, _)| text == reason);
            json["stoppedAt"] = at.json();
            json["stoppedReason"] = reason.clone().into();
            json["stopCode"] = failed
                .map_or("ServiceSchedulerInitiated", |(code, ..)| code)
                .into();
            json["containers"][0]["exitCode"] = failed.and_then(|(_, _, code)| code).into();
        }
        json
    }
}

impl Account {
    pub(super) fn list_tasks(&mut self, request: &Value) -> Result<Value, Refusal> {
        let wanted = request["serviceName"].as_str().map(str::to_owned);
        let status = request["desiredStatus"].as_str().unwrap_or("RUNNING");
        let place = self.place.clone();
        let cluster = self.cluster_of(request)?;
        let services = cluster.services.values();
        let services =
            services.filter(|service| wanted.as_ref().is_none_or(|name| *name == service.name));
        let tasks =
            services.flat_map(|service| service.tasks.iter().map(move |task| (service, task)));
        let is_meant = |task: &&Task| task.is_wanted() == (status == "RUNNING");
        let arns: Vec<_> = tasks
            .filter(|(_, task)| is_meant(task))
            .map(|(service, task)| {
                format!("arn:aws:ecs:{place}:task/{}/{}", service.cluster, task.id)
            })
            .collect();
        Ok(page(request, "taskArns", &arns))
    }

    pub(super) fn describe_tasks(&mut self, request: &Value) -> Result<Value, Refusal> {
        let wanted = request["tasks"].as_array().cloned().unwrap_or_default();
        let place = self.place.clone();
        let cluster = self.cluster_of(request)?;
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for arn in wanted.iter().filter_map(Value::as_str) {
            let tasks = cluster.services.values();
            let mut tasks =
                tasks.flat_map(|service| service.tasks.iter().map(move |task| (service, task)));
            match tasks.find(|(_, task)| task.id == name_in(arn)) {
                Some((service, task)) => {
                    let name = &service.cluster;
                    let arn = format!("arn:aws:ecs:{place}:task/{name}/{}", task.id);
                    let cluster = format!("arn:aws:ecs:{place}:cluster/{name}");
                    found.push(task.json(&arn, &cluster, &service.name));
                }
                None => failures.push(json!({"arn": arn, "reason": "MISSING"})),
            }
        }
        Ok(json!({"tasks": found, "failures": failures}))
    }
}
