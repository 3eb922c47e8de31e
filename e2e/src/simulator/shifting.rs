//! A BLUE_GREEN, LINEAR or CANARY deployment: the new revision is scaled up beside the old one, and
//! the traffic moves in stages.
//!
//! Source: guide, "Amazon ECS blue/green deployments", "linear deployments", "canary deployments"
//! and "Lifecycle hooks for Amazon ECS service deployments".

use std::time::Duration;

use serde_json::Value;

use super::account::Account;
use super::clock::Moment;
use super::deployment::{Deployment, Pause, Status, minutes};
use super::service::Service;
use super::tasks::Task;

/// The stages in their order.
pub(super) const STAGES: [&str; 10] = [
    "RECONCILE_SERVICE",
    "PRE_SCALE_UP",
    "SCALE_UP",
    "POST_SCALE_UP",
    "TEST_TRAFFIC_SHIFT",
    "POST_TEST_TRAFFIC_SHIFT",
    "PRODUCTION_TRAFFIC_SHIFT",
    "POST_PRODUCTION_TRAFFIC_SHIFT",
    "BAKE_TIME",
    "CLEAN_UP",
];

/// How long a stage without work takes.
const STAGE: Duration = Duration::from_secs(2);

/// Moves the deployment to its next stage when the present one is over.
pub(super) fn advance(
    deployment: &mut Deployment,
    service: &mut Service,
    account: &mut Account,
    now: Moment,
) {
    let (stage, since) = *deployment.stage.get_or_insert((0, now));
    let desired = service.desired;
    // The first deployment has nothing to shift traffic from.
    let Some(source) = deployment.source else {
        service.scale(account, deployment.revision, desired, now);
        if service.count(deployment.revision, Task::is_running) >= desired {
            deployment.weight = 100.0;
            deployment.end(Status::Successful, now);
            service.tell("has reached a steady state.", now);
        }
        return;
    };
    if STAGES[stage] == "CLEAN_UP" {
        // Also what is left of a deployment that this one has superseded.
        for other in others(deployment, service) {
            service.scale(account, other, 0, now);
        }
    } else {
        service.scale(account, source, desired, now);
    }
    let in_stage = now.since(since);
    let is_over = match STAGES[stage] {
        "SCALE_UP" => {
            service.scale(account, deployment.revision, desired, now);
            service.count(deployment.revision, Task::is_running) >= desired
        }
        "PRODUCTION_TRAFFIC_SHIFT" => shift(deployment, service, in_stage),
        "BAKE_TIME" => in_stage >= minutes(&service.configuration()["bakeTimeInMinutes"], 0),
        "CLEAN_UP" => others(deployment, service)
            .into_iter()
            .all(|other| service.count(other, |task| !task.is_stopped()) == 0),
        _ => in_stage >= STAGE,
    };
    if !is_over || !is_continued(deployment, service, stage, now) {
        return;
    }
    deployment.continued = 0;
    if stage + 1 < STAGES.len() {
        deployment.stage = Some((stage + 1, now));
        return;
    }
    deployment.end(Status::Successful, now);
    service.tell("has reached a steady state.", now);
}

/// The service revisions that the deployment replaces.
fn others(deployment: &Deployment, service: &Service) -> Vec<usize> {
    let all = 0..service.revisions.len();
    all.filter(|number| *number != deployment.revision)
        .collect()
}

/// Moves the production traffic as far as the strategy has it after this time. Returns whether all
/// of it has moved.
fn shift(deployment: &mut Deployment, service: &Service, time: Duration) -> bool {
    let configuration = service.configuration();
    let number = |value: &Value, default: f64| value.as_f64().unwrap_or(default);
    let weight = match service.strategy() {
        "CANARY" => {
            let canary = &configuration["canaryConfiguration"];
            let bake = minutes(&canary["canaryBakeTimeInMinutes"], 10);
            if time < bake {
                number(&canary["canaryPercent"], 5.0)
            } else {
                100.0
            }
        }
        "LINEAR" => {
            let linear = &configuration["linearConfiguration"];
            let bake = minutes(&linear["stepBakeTimeInMinutes"], 6);
            let steps = 1.0 + (time.as_secs_f64() / bake.as_secs_f64().max(1.0)).floor();
            steps * number(&linear["stepPercent"], 10.0)
        }
        _ => 100.0,
    };
    deployment.weight = weight.min(100.0);
    deployment.weight >= 100.0
}

/// Whether the pause hooks of the stage let the deployment continue. Each waits for
/// ContinueServiceDeployment or its time-out.
fn is_continued(deployment: &mut Deployment, service: &Service, stage: usize, now: Moment) -> bool {
    let hooks = service.configuration()["lifecycleHooks"]
        .as_array()
        .into_iter()
        .flatten();
    let is_meant = |hook: &&Value| {
        let stages = hook["lifecycleStages"].as_array().into_iter().flatten();
        hook["targetType"] == "PAUSE" && stages.into_iter().any(|name| name == STAGES[stage])
    };
    let Some(hook) = hooks.filter(is_meant).nth(deployment.continued) else {
        return true;
    };
    let Some(pause) = &deployment.pause else {
        let timeout = &hook["timeoutConfiguration"];
        let until = now + minutes(&timeout["timeoutInMinutes"], 1440);
        let id = format!("hook-{stage}-{}", deployment.continued);
        let continues = timeout["action"] == "CONTINUE";
        deployment.pause = Some(Pause {
            id,
            until: (until, continues),
        });
        return false;
    };
    let (until, continues) = pause.until;
    if now < until {
        return false;
    }
    deployment.pause = None;
    deployment.continued += 1;
    if !continues {
        deployment.reason = Some("A lifecycle hook timed out.".to_owned());
        deployment.status = Status::RollbackRequested;
    }
    false
}
