//! Tasks: how they start, run and stop, and the calls that show them.
//!
//! The name of an image decides what becomes of its tasks, as in the playground: `no-such-image…`
//! cannot be pulled, `crash…` ends with exit code 1, `job…` ends with exit code 0, `slow…` needs
//! longer to start, and `stubborn…` runs until its `stopTimeout` after it was asked to stop.

use std::time::Duration;

use serde_json::{Value, json};

use super::account::{Account, name_in};
use super::clock::Moment;
use super::refusal::Refusal;
use super::tags::includes;
use super::task_definitions::{Revision, page};

/// Until a task runs.
const STARTING: Duration = Duration::from_secs(5);

/// The same for an image `slow…`.
const SLOW: Duration = Duration::from_secs(20);

/// Until a task that ends at SIGTERM has stopped.
const STOPPING: Duration = Duration::from_secs(2);

/// How long a task of an image `job…` runs.
const JOB: Duration = Duration::from_secs(10);

/// How long ECS shows stopped tasks. Source: ECS API, DescribeTasks ("appear for at least one
/// hour").
const SHOWN: Duration = Duration::from_secs(3600);

/// A task of a service, or one that runs on its own.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) id: String,
    /// ARN of its task definition.
    pub(super) definition: String,
    /// Number of its service revision; 0 of a task that runs on its own.
    pub(super) revision: usize,
    fate: Fate,
    created: Moment,
    state: State,
}

/// What becomes of a task.
#[derive(Clone, Debug)]
struct Fate {
    starts_in: Duration,
    stops_in: Duration,
    /// Why it fails instead of running.
    failure: Option<Stop>,
    /// After which time it ends by itself.
    ends_in: Option<Duration>,
}

/// What stopped a task.
#[derive(Clone, Debug)]
struct Stop {
    code: &'static str,
    reason: String,
    exit_code: Option<i32>,
}

impl Stop {
    fn new(code: &'static str, reason: &str, exit_code: Option<i32>) -> Self {
        let reason = reason.to_owned();
        Self {
            code,
            reason,
            exit_code,
        }
    }

    fn exited(code: i32) -> Self {
        let reason = "Essential container in task exited";
        Self::new("EssentialContainerExited", reason, Some(code))
    }
}

#[derive(Clone, Debug)]
enum State {
    Starting,
    Running,
    Stopping(Moment, Stop),
    Stopped(Moment, Stop),
}

impl Fate {
    fn of(revision: Option<&Revision>) -> Self {
        let has = |prefix: &str| {
            let mut images = revision.into_iter().flat_map(Revision::images);
            images.any(|image| name_in(image).starts_with(prefix))
        };
        let stubborn = Duration::from_secs(revision.map_or(30, Revision::stop_timeout));
        let failure = if has("no-such-image") {
            let reason = "CannotPullContainerError: image not found";
            Some(Stop::new("TaskFailedToStart", reason, None))
        } else {
            has("crash").then(|| Stop::exited(1))
        };
        Self {
            starts_in: if has("slow") { SLOW } else { STARTING },
            stops_in: if has("stubborn") { stubborn } else { STOPPING },
            failure,
            ends_in: has("job").then_some(JOB),
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

    /// Asks it to stop, as the scheduler of its service does.
    pub(super) fn stop(&mut self, reason: &str, now: Moment) {
        self.stop_for(Stop::new("ServiceSchedulerInitiated", reason, None), now);
    }

    /// Asks it to stop, as StopTask does.
    pub(super) fn stop_by_user(&mut self, reason: &str, now: Moment) {
        self.stop_for(Stop::new("UserInitiated", reason, Some(143)), now);
    }

    fn stop_for(&mut self, stop: Stop, now: Moment) {
        if self.is_wanted() {
            self.state = State::Stopping(now, stop);
        }
    }

    /// Moves it on. Returns whether it has just ended by itself.
    pub(super) fn advance(&mut self, now: Moment) -> bool {
        let age = now.since(self.created);
        match &self.state {
            State::Starting if age >= self.fate.starts_in => {
                if let Some(failure) = self.fate.failure.clone() {
                    self.state = State::Stopped(now, failure);
                    return true;
                }
                self.state = State::Running;
            }
            State::Running
                if (self.fate.ends_in).is_some_and(|end| age >= self.fate.starts_in + end) =>
            {
                self.state = State::Stopped(now, Stop::exited(0));
                return true;
            }
            State::Stopping(since, stop) if now.since(*since) >= self.fate.stops_in => {
                self.state = State::Stopped(now, stop.clone());
            }
            _ => {}
        }
        false
    }

    /// Whether ECS has forgotten it.
    pub(super) fn is_forgotten(&self, now: Moment) -> bool {
        matches!(self.state, State::Stopped(since, _) if now.since(since) >= SHOWN)
    }

    /// The task as DescribeTasks shows it. `group` says whose it is.
    pub(super) fn json(&self, cluster: &str, place: &str, group: &str) -> Value {
        let desired = if self.is_wanted() {
            "RUNNING"
        } else {
            "STOPPED"
        };
        let mut json = json!({
            "taskArn": self.arn(cluster, place),
            "clusterArn": format!("arn:aws:ecs:{place}:cluster/{cluster}"),
            "group": group,
            "taskDefinitionArn": self.definition,
            "lastStatus": self.last_status(),
            "desiredStatus": desired,
            "createdAt": self.created.json(),
            "containers": [{"name": "web", "lastStatus": self.last_status()}],
        });
        if self.last_status() == "RUNNING" {
            json["startedAt"] = (self.created + self.fate.starts_in).json();
        }
        if let State::Stopped(at, stop) = &self.state {
            json["stoppedAt"] = at.json();
            json["stoppedReason"] = stop.reason.clone().into();
            json["stopCode"] = stop.code.into();
            json["containers"][0]["exitCode"] = stop.exit_code.into();
        }
        json
    }

    fn arn(&self, cluster: &str, place: &str) -> String {
        format!("arn:aws:ecs:{place}:task/{cluster}/{}", self.id)
    }
}

impl Account {
    /// All tasks of a cluster, with their group and who started them.
    fn tasks_of(&mut self, request: &Value) -> Result<Vec<(&Task, Value)>, Refusal> {
        let place = self.place.clone();
        let cluster = self.cluster_of(request)?;
        let name = cluster.name().to_owned();
        let of_services = cluster.services.values().flat_map(|service| {
            let group = format!("service:{}", service.name);
            let (name, place) = (name.clone(), place.clone());
            let tasks = service.tasks.iter();
            tasks.map(move |task| (task, task.json(&name, &place, &group)))
        });
        let runs = cluster.runs.iter();
        let runs = runs.map(|run| (&run.task, run.json(&name, &place)));
        Ok(of_services.chain(runs).collect())
    }

    pub(super) fn list_tasks(&mut self, request: &Value) -> Result<Value, Refusal> {
        let service = request["serviceName"].as_str();
        let group = service.map(|name| format!("service:{}", name_in(name)));
        let started_by = &request["startedBy"];
        let status = request["desiredStatus"].as_str().unwrap_or("RUNNING");
        let tasks = self.tasks_of(request)?;
        let is_meant = |(task, json): &&(&Task, Value)| {
            task.is_wanted() == (status == "RUNNING")
                && group.as_ref().is_none_or(|group| json["group"] == **group)
                && (started_by.is_null() || json["startedBy"] == *started_by)
        };
        let meant = tasks.iter().filter(is_meant);
        let arns: Vec<_> = meant
            .filter_map(|(_, json)| Some(json["taskArn"].as_str()?.to_owned()))
            .collect();
        Ok(page(request, "taskArns", &arns))
    }

    pub(super) fn describe_tasks(&mut self, request: &Value) -> Result<Value, Refusal> {
        let wanted = request["tasks"].as_array().cloned().unwrap_or_default();
        let with_tags = includes(request, "TAGS");
        let tasks = self.tasks_of(request)?;
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for arn in wanted.iter().filter_map(Value::as_str) {
            match tasks.iter().find(|(task, _)| task.id == name_in(arn)) {
                Some((_, json)) => {
                    let mut json = json.clone();
                    if !with_tags {
                        json["tags"] = json!([]);
                    }
                    found.push(json);
                }
                None => failures.push(json!({"arn": arn, "reason": "MISSING"})),
            }
        }
        Ok(json!({"tasks": found, "failures": failures}))
    }
}
