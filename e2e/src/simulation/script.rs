//! What users, outsiders and trouble do in a world, drawn from a seed.

use std::time::Duration;

use serde_json::{Value, json};

use super::chance::Chance;
use super::wishes::Wishes;
use super::{api_server, aws};
use crate::simulator::Refusal;

/// The value of tags that outsiders set.
pub(super) const OUTSIDERS: &str = "outsiders";

/// One step of a world.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// A user changes what they want, or wants an object that was not there.
    Edit(u64),
    /// A user restarts a service, or asks for a look at it.
    Command(u64),
    /// A user deletes an object.
    Delete(u64),
    /// Somebody changes AWS beside the operator.
    Outsider(u64),
    /// AWS misbehaves for a while, this often of a hundred.
    Aws(aws::Trouble, u64),
    /// The API server misbehaves for a while, this often of a hundred.
    ApiServer(api_server::Trouble, u64),
    /// AWS and the API server are well again.
    Well,
    /// All watches end; the next ones may have to list.
    EndWatches(bool),
    /// The operator crashes, and another one starts after so many seconds.
    Crash(u64),
    /// The operator crashes before or after a write to AWS that so many others precede.
    CrashAt(u64, bool),
}

/// The steps of a world, each with the pause before it.
pub(super) fn steps(chance: &mut Chance, length: usize) -> Vec<(Duration, Step)> {
    // Users begin with something.
    let first = (0..4)
        .map(|_| Step::Edit(chance.below(u64::MAX)))
        .collect::<Vec<_>>();
    let mut steps: Vec<_> = first
        .into_iter()
        .map(|step| (Duration::ZERO, step))
        .collect();
    for _ in 0..length {
        let pause = match chance.below(10) {
            0..5 => chance.below(2_000),
            5..8 => chance.below(30_000),
            _ => chance.below(300_000),
        };
        steps.push((Duration::from_millis(pause), step(chance)));
    }
    steps
}

fn step(chance: &mut Chance) -> Step {
    let draw = chance.below(u64::MAX);
    match chance.below(100) {
        0..34 => Step::Edit(draw),
        34..40 => Step::Command(draw),
        40..52 => Step::Delete(draw),
        52..66 => Step::Outsider(draw),
        66..74 => {
            use aws::Trouble::{Fails, ReplyLost, Slow, Stale, Throttles};
            let trouble = *chance.one(&[Throttles, Fails, ReplyLost, Slow, Stale]);
            Step::Aws(trouble, 20 + chance.below(80))
        }
        74..80 => {
            use api_server::Trouble::{Conflict, Fails, ReplyLost};
            let trouble = *chance.one(&[Conflict, Fails, ReplyLost]);
            Step::ApiServer(trouble, 20 + chance.below(80))
        }
        80..88 => Step::Well,
        88..91 => Step::EndWatches(chance.happens(50)),
        91..95 => Step::Crash(chance.below(60)),
        _ => Step::CrashAt(chance.below(4), chance.happens(50)),
    }
}

/// Somebody changes AWS beside the operator: what is there is changed, tagged or deleted.
pub(super) fn outsider(draw: u64, aws: &aws::Aws, wishes: &Wishes) {
    let mut chance = Chance::new(draw, 0);
    let services = wishes.names("ecsservices");
    let families = wishes.names("ecstaskdefinitions");
    // What AWS refuses, because it is not there, changes nothing.
    let _ = match chance.below(9) {
        0 | 1 if !services.is_empty() => {
            let (cluster, service) = chance.one(&services).clone();
            let desired = chance.below(4);
            aws.call(
                "UpdateService",
                &json!({"cluster": cluster, "service": service, "desiredCount": desired}),
            )
        }
        2 if !services.is_empty() => {
            let (cluster, service) = chance.one(&services).clone();
            aws.call(
                "DeleteService",
                &json!({"cluster": cluster, "service": service, "force": true}),
            )
        }
        3 if !services.is_empty() => {
            let (cluster, service) = chance.one(&services).clone();
            let arn = format!("arn:aws:ecs:{}:service/{cluster}/{service}", super::PLACE);
            let key = *chance.one(&["team", "audit"]);
            let tag = json!({"key": key, "value": OUTSIDERS});
            aws.call("TagResource", &json!({"resourceArn": arn, "tags": [tag]}))
        }
        4 if !families.is_empty() => {
            let (_, family) = chance.one(&families).clone();
            aws.call(
                "DeregisterTaskDefinition",
                &json!({"taskDefinition": last(aws, &family)}),
            )
        }
        5 if !families.is_empty() => {
            let (_, family) = chance.one(&families).clone();
            let containers = json!([{"name": "web", "image": "outsiders:1"}]);
            aws.call(
                "RegisterTaskDefinition",
                &json!({"family": family, "containerDefinitions": containers}),
            )
        }
        6 | 7 if !services.is_empty() => {
            let (cluster, service) = chance.one(&services).clone();
            rescale(aws, &cluster, &service, &mut chance)
        }
        _ => {
            let cluster = chance.one(&["shop-main", "lab-main"]).to_owned();
            let value = *chance.one(&["enabled", "disabled"]);
            let setting = json!({"name": "containerInsights", "value": value});
            aws.call(
                "UpdateCluster",
                &json!({"cluster": cluster, "settings": [setting]}),
            )
        }
    };
}

/// Changes the service auto scaling of a service, if it has any.
fn rescale(
    aws: &aws::Aws,
    cluster: &str,
    service: &str,
    chance: &mut Chance,
) -> Result<Value, Refusal> {
    let id = format!("service/{cluster}/{service}");
    let mut request = json!({"ServiceNamespace": "ecs", "ResourceIds": [id]});
    let found = aws.look("DescribeScalableTargets", &request)?;
    if found["ScalableTargets"] == json!([]) {
        return Ok(Value::Null);
    }
    request = json!({
        "ServiceNamespace": "ecs", "ResourceId": id, "ScalableDimension": "ecs:service:DesiredCount",
    });
    let operation = match chance.below(4) {
        0 => {
            let min = chance.below(3);
            request["MinCapacity"] = min.into();
            request["MaxCapacity"] = (min + 1).into();
            "RegisterScalableTarget"
        }
        1 => "DeregisterScalableTarget",
        2 => {
            request["PolicyName"] = "cpu".into();
            "DeleteScalingPolicy"
        }
        _ => {
            request["ScheduledActionName"] = "later".into();
            "DeleteScheduledAction"
        }
    };
    aws.call(operation, &request)
}

/// The newest active revision of a family.
fn last(aws: &aws::Aws, family: &str) -> Value {
    let described = aws.look("DescribeTaskDefinition", &json!({"taskDefinition": family}));
    described.map_or(Value::Null, |reply| {
        reply["taskDefinition"]["taskDefinitionArn"].clone()
    })
}
