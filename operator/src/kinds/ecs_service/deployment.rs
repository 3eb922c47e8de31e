//! A service deployment as ECS describes it, less than it tells: what decisions and the status
//! need. Pure.
//!
//! Source of states and stages: ServiceDeployment, ECS API reference.

use ecs_operator_crds::v1beta1::service::{HookStatus, RolloutPhase, RolloutStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::described::Service;
use crate::aws::{name_in, time};
use crate::k8s::conditions::whole_seconds;

/// A service deployment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceDeployment {
    /// ARN.
    pub arn: String,
    /// ARN of the service revision that it brings.
    pub service_revision: Option<String>,
    /// Revision of the task definition that it brings: `family:revision`; `None` where ECS does not
    /// tell.
    pub revision: Option<String>,
    /// Where it stands.
    pub phase: RolloutPhase,
    /// Stage in its life cycle.
    pub stage: Option<String>,
    /// The pause hook that awaits approval.
    pub hook: Option<HookStatus>,
    /// ID of the hook that runs.
    pub hook_in_progress: Option<String>,
    /// Percent of the production traffic and of the test traffic that ECS directs to it.
    pub weights: [Option<f64>; 2],
    /// Tasks that it wants, that run, and that are on their way.
    pub counts: [Option<i32>; 3],
    /// Failures that the circuit breaker counted.
    pub failures: Option<i32>,
    /// When it began.
    pub started_at: Option<Time>,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// Why, in AWS's words.
    pub reason: Option<String>,
}

impl ServiceDeployment {
    /// Reads an answer of DescribeServiceDeployments, and what DescribeServiceRevisions says of the
    /// revision that it brings.
    pub(super) fn read(json: &Value, revision: Option<&Value>) -> Self {
        let target = &json["targetServiceRevision"];
        let count = |member: &str| {
            target[member]
                .as_i64()
                .and_then(|count| i32::try_from(count).ok())
        };
        let at = |members: &[&str]| {
            members
                .iter()
                .find_map(|member| time(&json[*member]))
                .map(whole_seconds)
        };
        let stage = text(&json["lifecycleStage"]);
        let hook = hook(json);
        Self {
            arn: text(&json["serviceDeploymentArn"]).unwrap_or_default(),
            service_revision: text(&target["arn"]),
            revision: revision
                .and_then(|revision| revision["taskDefinition"].as_str())
                .map(|arn| name_in(arn).to_owned()),
            phase: phase(
                json["status"].as_str().unwrap_or_default(),
                stage.as_deref(),
                hook.is_some(),
            ),
            stage,
            hook,
            hook_in_progress: hook_in_progress(json),
            weights: [
                "requestedProductionTrafficWeight",
                "requestedTestTrafficWeight",
            ]
            .map(|member| target[member].as_f64()),
            counts: ["requestedTaskCount", "runningTaskCount", "pendingTaskCount"].map(count),
            failures: json["deploymentCircuitBreaker"]["failureCount"]
                .as_i64()
                .and_then(|count| i32::try_from(count).ok()),
            started_at: at(&["startedAt", "createdAt"]),
            finished_at: at(&["finishedAt", "stoppedAt"]),
            reason: reason(json),
        }
    }

    /// Whether ECS shows a newer deployment of the service already, and only does not name it yet.
    pub(super) fn lags(&self, service: &Service) -> bool {
        let Some(primary) = service.primary().filter(|_| self.phase.is_final()) else {
            return false;
        };
        let begun = primary
            .created_at
            .as_ref()
            .and_then(time)
            .map(Timestamp::as_second);
        let ended = self.finished_at.as_ref().map(|ended| ended.0.as_second());
        let later = begun.zip(ended).is_some_and(|(begun, ended)| begun > ended);
        later
            || (self.phase == RolloutPhase::Succeeded
                && primary.rollout_state.as_deref() == Some("IN_PROGRESS"))
    }

    /// A deployment that has ended, from the status: it does not change.
    pub(super) fn remembered(rollout: &RolloutStatus) -> Option<Self> {
        let RolloutStatus {
            requested_count,
            running_count,
            pending_count,
            ..
        } = *rollout;
        let weights = [
            rollout.requested_production_traffic_weight,
            rollout.requested_test_traffic_weight,
        ];
        Some(Self {
            arn: rollout
                .service_deployment_arn
                .clone()
                .filter(|_| rollout.phase.is_final())?,
            service_revision: rollout.service_revision_arn.clone(),
            revision: Some(rollout.revision.clone()),
            phase: rollout.phase,
            stage: rollout.lifecycle_stage.clone(),
            hook: None,
            hook_in_progress: None,
            weights,
            counts: [requested_count, running_count, pending_count],
            failures: rollout.failed_count,
            started_at: rollout.started_at.clone(),
            finished_at: rollout.finished_at.clone(),
            reason: rollout.reason.clone(),
        })
    }
}

fn text(value: &Value) -> Option<String> {
    value
        .as_str()
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

fn hook(json: &Value) -> Option<HookStatus> {
    let hooks = json["lifecycleHookDetails"].as_array()?;
    let waiting = hooks
        .iter()
        .find(|hook| hook["status"] == "AWAITING_ACTION")?;
    Some(HookStatus {
        id: text(&waiting["hookId"])?,
        expires_at: time(&waiting["expiresAt"]).map(whole_seconds),
    })
}

/// Of several hooks that run, the same one at each look.
fn hook_in_progress(json: &Value) -> Option<String> {
    let hooks = json["lifecycleHookDetails"]
        .as_array()
        .into_iter()
        .flatten();
    let running = hooks.filter(|hook| hook["status"] == "IN_PROGRESS");
    running
        .filter_map(|hook| text(&hook["hookId"]).or_else(|| text(&hook["targetArn"])))
        .min()
}

fn phase(status: &str, stage: Option<&str>, waits: bool) -> RolloutPhase {
    match status {
        "PENDING" => RolloutPhase::Pending,
        "SUCCESSFUL" => RolloutPhase::Succeeded,
        "STOPPED" => RolloutPhase::Stopped,
        "STOP_REQUESTED" | "ROLLBACK_REQUESTED" | "ROLLBACK_IN_PROGRESS" => {
            RolloutPhase::RollingBack
        }
        "ROLLBACK_SUCCESSFUL" => RolloutPhase::RolledBack,
        "ROLLBACK_FAILED" => RolloutPhase::Failed,
        _ if waits => RolloutPhase::AwaitingApproval,
        _ if stage == Some("BAKE_TIME") => RolloutPhase::Baking,
        // IN_PROGRESS, and states that are not known.
        _ => RolloutPhase::InProgress,
    }
}

/// Why the deployment is where it is: its own words, those of its rollback, and alarms that went
/// off.
fn reason(json: &Value) -> Option<String> {
    let alarms: Vec<_> = json["alarms"]["triggeredAlarmNames"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let alarms = (!alarms.is_empty()).then(|| format!("alarms went off: {}", alarms.join(", ")));
    let words = [
        text(&json["statusReason"]),
        text(&json["rollback"]["reason"]),
        alarms,
    ];
    let mut said: Vec<String> = Vec::new();
    for word in words.into_iter().flatten() {
        let word = word.trim_end_matches('.').to_owned();
        if !said.contains(&word) {
            said.push(word);
        }
    }
    (!said.is_empty()).then(|| said.join("; "))
}
