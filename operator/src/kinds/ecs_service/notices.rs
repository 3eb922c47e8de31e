//! Events of a service, made by comparing two statuses, so that each is published once. Pure.

use ecs_operator_crds::condition::{ConditionType, Reason};
use ecs_operator_crds::v1beta1::EcsServiceStatus;
use ecs_operator_crds::v1beta1::service::{RolloutPhase, RolloutStatus, ScalingActivityStatus};

use super::ecs_events::is_trouble;
use super::tasks::told;
use crate::k8s::conditions::of_type;
use crate::k8s::events::Notice;

pub(super) fn notices(before: &EcsServiceStatus, after: &EcsServiceStatus) -> Vec<Notice> {
    let mut notices = Vec::new();
    notices.extend(ecs_events(before, after));
    notices.extend(stopped_tasks(before, after));
    notices.extend(rollout(before, after));
    notices.extend(commands(before, after));
    notices.extend(restart(before, after));
    notices.extend(count_not_sent(before, after));
    notices.extend(scaling_activity(before, after));
    notices
}

/// Reports the last scaling activity, if it began or failed since the last pass.
fn scaling_activity(before: &EcsServiceStatus, after: &EcsServiceStatus) -> Option<Notice> {
    let last = |status: &'_ EcsServiceStatus| status.autoscaling.clone()?.last_activity;
    let activity = last(after)?;
    let known = last(before);
    let is_known = known.as_ref().is_some_and(|known| {
        known.id == activity.id && (known.status == activity.status || !has_failed(&activity))
    });
    // What AWS did before the object was there is no event of it.
    if is_known || before.autoscaling.as_ref()?.scalable_target_arn.is_none() {
        return None;
    }
    let text = |text: &Option<String>| {
        let text = text.as_deref().unwrap_or_default();
        text.trim_end_matches('.').to_owned()
    };
    let mut note = format!("{}: {}", text(&activity.description), text(&activity.cause));
    if has_failed(&activity) {
        note = format!("{note}: {}", text(&activity.message));
    }
    let reason = Reason::ScalingActivity.as_str();
    Some(Notice::new(has_failed(&activity), reason, note))
}

fn has_failed(activity: &ScalingActivityStatus) -> bool {
    let failed = ["Failed", "Unfulfilled"];
    let status = activity.status.as_deref();
    status.is_some_and(|status| failed.contains(&status))
}

/// A number of tasks that the spec has since the last pass, and that Application Auto Scaling
/// decides about.
fn count_not_sent(before: &EcsServiceStatus, after: &EcsServiceStatus) -> Option<Notice> {
    let scaling = after.autoscaling.as_ref()?;
    // The number at creation is sent.
    before.service_arn.as_ref()?;
    let (former, wanted) = (before.applied_desired_count, after.applied_desired_count?);
    let (min, max) = (scaling.min_capacity?, scaling.max_capacity?);
    let note = format!(
        "desiredCount {wanted} is not sent: Application Auto Scaling keeps the number of tasks between {min} and {max}; change autoscaling.minCapacity to start tasks"
    );
    let reason = Reason::DesiredCountNotSent.as_str();
    (former != Some(wanted)).then(|| Notice::new(true, reason, note))
}

/// Settings that the tasks which run do not have.
fn restart(before: &EcsServiceStatus, after: &EcsServiceStatus) -> Option<Notice> {
    let [before, after] = [before, after]
        .map(|status| of_type(ConditionType::RestartRequired, &status.common.conditions));
    let told = &after
        .filter(|after| before.is_none_or(|before| before.message != after.message))?
        .message;
    Some(Notice::new(
        false,
        Reason::SettingsChanged.as_str(),
        told.clone(),
    ))
}

/// A rollout that begins, changes its phase, or succeeds. A failed rollout turns Ready False, for
/// which the driver publishes an event.
fn rollout(before: &EcsServiceStatus, after: &EcsServiceStatus) -> Option<Notice> {
    let now = after.rollout.as_ref()?;
    let known = before.rollout.as_ref().filter(|known| is_same(known, now));
    if known.is_some_and(|known| known.phase == now.phase) {
        return None;
    }
    let RolloutStatus {
        revision, strategy, ..
    } = now;
    let (reason, note) = match now.phase {
        // From a later phase it comes back to this one between steps, which is no news.
        RolloutPhase::Pending | RolloutPhase::InProgress if known.is_none() => {
            let strategy = strategy.as_deref().unwrap_or("ROLLING");
            (
                Reason::Progressing,
                format!("Deploying {revision} ({strategy})"),
            )
        }
        RolloutPhase::Baking => (Reason::Baking, format!("{revision} is in its bake time")),
        RolloutPhase::AwaitingApproval => {
            let hook = now
                .hook
                .as_ref()
                .map(|hook| hook.id.as_str())
                .unwrap_or_default();
            let stage = now.lifecycle_stage.as_deref().unwrap_or_default();
            (
                Reason::AwaitingApproval,
                format!(
                    "The deployment of {revision} is paused at {stage} and awaits approval (hook {hook})"
                ),
            )
        }
        // Of one that has ended when it is first seen, of a service that was adopted or came to be
        // at once, Ready says enough.
        RolloutPhase::Succeeded if before.rollout.is_some() => {
            let seconds = now.started_at.as_ref().zip(now.finished_at.as_ref());
            let seconds =
                seconds.map(|(started, finished)| finished.0.as_second() - started.0.as_second());
            let took = seconds
                .map(|seconds| format!(" after {} s", seconds.max(0)))
                .unwrap_or_default();
            (
                Reason::Succeeded,
                format!("Rollout complete{took}: only {revision} is running"),
            )
        }
        _ => return None,
    };
    Some(Notice::new(false, reason.as_str(), note))
}

fn is_same(one: &RolloutStatus, other: &RolloutStatus) -> bool {
    one.started_at == other.started_at && one.revision == other.revision
}

fn stopped_tasks(before: &EcsServiceStatus, after: &EcsServiceStatus) -> Vec<Notice> {
    let known = before.stopped_tasks.as_deref().unwrap_or_default();
    let new = after
        .stopped_tasks
        .iter()
        .flatten()
        .filter(|task| !known.contains(task));
    new.map(|task| Notice::new(true, &task.reason, told(task)))
        .collect()
}

/// The events of the service in ECS, the oldest first.
fn ecs_events(before: &EcsServiceStatus, after: &EcsServiceStatus) -> Vec<Notice> {
    let known = before.events.as_deref().unwrap_or_default();
    let new = after
        .events
        .iter()
        .flatten()
        .filter(|event| !known.contains(event));
    let mut notices: Vec<_> = new
        .map(|event| {
            Notice::new(
                is_trouble(&event.message),
                Reason::ServiceEvent.as_str(),
                event.message.clone(),
            )
        })
        .collect();
    notices.reverse();
    notices
}

fn commands(before: &EcsServiceStatus, after: &EcsServiceStatus) -> Vec<Notice> {
    let known = before.handled_commands.as_deref().unwrap_or_default();
    let new = after
        .handled_commands
        .iter()
        .flatten()
        .filter(|command| !known.contains(command));
    new.filter_map(|command| {
        Some(Notice::new(
            true,
            Reason::CommandRefused.as_str(),
            command.refused.clone()?,
        ))
    })
    .collect()
}
