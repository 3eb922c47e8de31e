//! A ROLLING deployment: new tasks replace old ones within the limits of the configuration.
//!
//! Source: guide, "Deploy Amazon ECS services by replacing tasks"; ECS API,
//! DeploymentConfiguration.

use std::time::Duration;

use super::account::Account;
use super::clock::Moment;
use super::deployment::{Deployment, Status};
use super::service::Service;
use super::tasks::Task;

/// How long alarms are watched after the old tasks have stopped.
const BAKE: Duration = Duration::from_secs(300);

/// Starts and stops tasks, and ends the deployment when only the new revision runs.
pub(super) fn advance(
    deployment: &mut Deployment,
    service: &mut Service,
    account: &mut Account,
    now: Moment,
) {
    let desired = service.desired;
    let percent = |member: &str, default: u64| {
        let percent = service.configuration()[member].as_u64().unwrap_or(default);
        usize::try_from(percent).unwrap_or(usize::MAX)
    };
    let most = desired.saturating_mul(percent("maximumPercent", 200)) / 100;
    let least = desired
        .saturating_mul(percent("minimumHealthyPercent", 100))
        .div_ceil(100);
    let new = deployment.revision;
    let others: Vec<_> = (0..service.revisions.len())
        .filter(|number| *number != new)
        .collect();
    let alive = service
        .tasks
        .iter()
        .filter(|task| !task.is_stopped())
        .count();
    let wanted = service.count(new, Task::is_wanted);
    let room = most.max(1).saturating_sub(alive);
    service.scale(
        account,
        new,
        desired.min(wanted + room).max(wanted.min(desired)),
        now,
    );
    // Old tasks stop as long as enough tasks run.
    let running = service
        .tasks
        .iter()
        .filter(|task| task.is_running())
        .count();
    let mut surplus = running.saturating_sub(least);
    for old in others.iter().copied() {
        let present = service.count(old, Task::is_wanted);
        let stopping = present.min(surplus);
        surplus -= stopping;
        service.scale(account, old, present - stopping, now);
    }
    let is_old = |number: &usize| service.count(*number, |task| !task.is_stopped()) > 0;
    if service.count(new, Task::is_running) < desired || others.iter().any(is_old) {
        return;
    }
    deployment.weight = 100.0;
    if service.configuration()["alarms"]["enable"] == true {
        let since = *deployment.baking.get_or_insert(now);
        if now.since(since) < BAKE {
            return;
        }
    }
    deployment.baking = None;
    deployment.end(Status::Successful, now);
    service.tell("has reached a steady state.", now);
}
