//! A service deployment: from its start to its end, whatever the strategy.
//!
//! Source: guide, "Amazon ECS service deployments" and "Amazon ECS blue/green deployments"; ECS
//! API, ServiceDeployment.

use std::time::Duration;

use serde_json::{Value, json};

use super::account::Account;
use super::clock::Moment;
use super::service::Service;
use super::tasks::Task;
use super::{rolling, shifting};

/// The status of a service deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Status {
    #[default]
    Pending,
    InProgress,
    Successful,
    StopRequested,
    Stopped,
    RollbackRequested,
    RollbackInProgress,
    RollbackSuccessful,
    RollbackFailed,
}

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::InProgress => "IN_PROGRESS",
            Self::Successful => "SUCCESSFUL",
            Self::StopRequested => "STOP_REQUESTED",
            Self::Stopped => "STOPPED",
            Self::RollbackRequested => "ROLLBACK_REQUESTED",
            Self::RollbackInProgress => "ROLLBACK_IN_PROGRESS",
            Self::RollbackSuccessful => "ROLLBACK_SUCCESSFUL",
            Self::RollbackFailed => "ROLLBACK_FAILED",
        }
    }
}

/// A hook that pauses a deployment.
#[derive(Clone, Debug)]
pub(super) struct Pause {
    pub(super) id: String,
    /// When ECS stops waiting, and whether it continues then instead of rolling back.
    pub(super) until: (Moment, bool),
}

/// A service deployment.
#[derive(Clone, Debug, Default)]
pub(super) struct Deployment {
    pub(super) arn: String,
    /// The service revision that it deploys.
    pub(super) revision: usize,
    /// The service revision that ran before, if any.
    pub(super) source: Option<usize>,
    pub(super) status: Status,
    pub(super) created: Moment,
    pub(super) finished: Option<Moment>,
    pub(super) reason: Option<String>,
    /// Failed tasks of the revision.
    pub(super) failures: usize,
    /// Alarms that went off during it.
    pub(super) alarms: Vec<String>,
    /// Stage of its lifecycle, and since when.
    pub(super) stage: Option<(usize, Moment)>,
    /// Percent of the production traffic that the revision has.
    pub(super) weight: f64,
    pub(super) pause: Option<Pause>,
    /// Places of the pause hooks that are over in the current stage.
    pub(super) continued: usize,
    /// When a ROLLING deployment began to wait for its alarms.
    pub(super) baking: Option<Moment>,
}

/// The most failures that a circuit breaker takes: half of the tasks, 3 at least and 200 at most.
/// Source: guide, "How the Amazon ECS deployment circuit breaker detects failures".
fn threshold(desired: usize) -> usize {
    desired.div_ceil(2).clamp(3, 200)
}

impl Deployment {
    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.finished.is_some()
    }

    /// The revision that shall run: after a failure the one before.
    pub(super) fn wanted(&self) -> usize {
        let is_back = matches!(
            self.status,
            Status::RollbackRequested | Status::RollbackInProgress | Status::RollbackSuccessful
        );
        self.source.filter(|_| is_back).unwrap_or(self.revision)
    }

    /// Ends it.
    pub(super) fn end(&mut self, status: Status, now: Moment) {
        self.status = status;
        self.finished = Some(now);
        self.stage = None;
        self.pause = None;
    }

    /// Moves it and the tasks of its service on. `failed` is how many tasks have just failed.
    pub(super) fn advance(
        &mut self,
        service: &mut Service,
        account: &mut Account,
        failed: usize,
        now: Moment,
    ) {
        self.failures += failed;
        match self.status {
            Status::Pending => self.status = Status::InProgress,
            Status::InProgress => {
                if let Some((reason, rolls_back)) = self.failure(service, account) {
                    return self.fail(reason, rolls_back, now);
                }
                match service.strategy() {
                    "ROLLING" => rolling::advance(self, service, account, now),
                    _ => shifting::advance(self, service, account, now),
                }
            }
            Status::StopRequested => self.end(Status::Stopped, now),
            Status::RollbackRequested => self.status = Status::RollbackInProgress,
            Status::RollbackInProgress => self.roll_back(service, account, now),
            // A steady service keeps its number of tasks.
            _ => {
                let (wanted, desired) = (self.wanted(), service.desired);
                service.scale(account, wanted, desired, now);
            }
        }
    }

    /// Why ECS gives it up, and whether it rolls back.
    fn failure(&mut self, service: &Service, account: &Account) -> Option<(String, bool)> {
        let configuration = service.configuration();
        let alarms = &configuration["alarms"];
        let names = alarms["alarmNames"].as_array().into_iter().flatten();
        let names = names
            .filter_map(Value::as_str)
            .filter(|name| account.alarms.contains(*name));
        let triggered: Vec<_> = names.map(str::to_owned).collect();
        if alarms["enable"] == true && !triggered.is_empty() {
            self.alarms = triggered;
            let reason = "Service deployment rolled back because of alarm(s) in ALARM state.";
            return Some((reason.to_owned(), alarms["rollback"] == true));
        }
        let breaker = &configuration["deploymentCircuitBreaker"];
        if breaker["enable"] == true && self.failures >= threshold(service.desired) {
            let reason = "Service deployment rolled back because the circuit breaker threshold was exceeded.";
            return Some((reason.to_owned(), breaker["rollback"] == true));
        }
        None
    }

    fn fail(&mut self, reason: String, rolls_back: bool, now: Moment) {
        self.reason = Some(reason);
        if rolls_back && self.source.is_some() {
            self.status = Status::RollbackRequested;
            self.pause = None;
        } else {
            self.end(Status::RollbackFailed, now);
        }
    }

    /// Gives the traffic and the tasks back to the revision before.
    fn roll_back(&mut self, service: &mut Service, account: &mut Account, now: Moment) {
        self.weight = 0.0;
        let (Some(source), desired) = (self.source, service.desired) else {
            return self.end(Status::RollbackFailed, now);
        };
        service.scale(account, source, desired, now);
        if service.count(source, Task::is_running) < desired {
            return;
        }
        service.scale(account, self.revision, 0, now);
        if service.count(self.revision, |task| !task.is_stopped()) == 0 {
            self.end(Status::RollbackSuccessful, now);
            service.tell("has reached a steady state.", now);
        }
    }

    /// The deployment as DescribeServiceDeployments shows it.
    pub(super) fn json(&self, service: &Service, place: &str) -> Value {
        let revision = |number: usize| {
            let (cluster, name) = (&service.cluster, &service.name);
            let count = |status: &str| service.count(number, |task| task.last_status() == status);
            let weight = if number == self.revision {
                self.weight
            } else {
                100.0 - self.weight
            };
            json!({
                "arn": format!(
                    "arn:aws:ecs:{place}:service-revision/{cluster}/{name}/{}",
                    service.revision_id(number)
                ),
                "requestedTaskCount": service.desired,
                "runningTaskCount": count("RUNNING"),
                "pendingTaskCount": count("PENDING"),
                "requestedProductionTrafficWeight": weight,
            })
        };
        let alarms = if self.alarms.is_empty() {
            "MONITORING"
        } else {
            "TRIGGERED"
        };
        let mut json = json!({
            "serviceDeploymentArn": self.arn,
            "serviceArn": service.arn,
            "createdAt": self.created.json(),
            "startedAt": self.created.json(),
            "status": self.status.name(),
            "statusReason": self.reason,
            "targetServiceRevision": revision(self.revision),
            "sourceServiceRevisions": self.source.map(revision).into_iter().collect::<Vec<_>>(),
            "deploymentConfiguration": service.configuration(),
            "deploymentCircuitBreaker": {"failureCount": self.failures, "threshold": threshold(service.desired)},
            "alarms": {"status": alarms, "triggeredAlarmNames": self.alarms},
        });
        if let Some(finished) = self.finished {
            json["finishedAt"] = finished.json();
        }
        if let Some((stage, _)) = self.stage {
            json["lifecycleStage"] = shifting::STAGES[stage].into();
        }
        if let Some(pause) = &self.pause {
            json["lifecycleHookDetails"] = json!([{
                "hookId": pause.id,
                "targetType": "PAUSE",
                "status": "AWAITING_ACTION",
                "expiresAt": pause.until.0.json(),
            }]);
        }
        if self.baking.is_some() {
            json["lifecycleStage"] = "BAKE_TIME".into();
        }
        json
    }
}

/// Minutes as a time.
pub(super) fn minutes(value: &Value, default: u64) -> Duration {
    Duration::from_secs(60 * value.as_u64().unwrap_or(default))
}
