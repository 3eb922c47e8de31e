//! What the spec asks of Application Auto Scaling: short forms as policies, in the JSON of the
//! requests. Pure.

use ecs_operator_crds::v1beta1::service::AppliedCapacity;
use ecs_operator_crds::v1beta1::{EcsService, Policies};
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::observed::ObservedAutoscaling;
use crate::aws::ecs::ServiceKey;
use crate::aws::time;
use crate::reconcile::ignore::with_ignored_fields;

/// Members of a policy that hold the configuration of a type, and the type.
const TYPES: &[(&str, &str)] = &[
    (
        "targetTrackingScalingPolicyConfiguration",
        "TargetTrackingScaling",
    ),
    ("stepScalingPolicyConfiguration", "StepScaling"),
    ("predictiveScalingPolicyConfiguration", "PredictiveScaling"),
];

/// The member by which policies, and scheduled actions, are told apart.
pub(super) const POLICY_NAME: &str = "policyName";
pub(super) const ACTION_NAME: &str = "scheduledActionName";

/// Service auto scaling as the spec wants it.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// `minCapacity`, `maxCapacity` and `suspendedState`, each where the operator is to set it.
    pub(super) capacity: AppliedCapacity,
    /// Policies as PutScalingPolicy takes them.
    pub(super) policies: Vec<Value>,
    /// Scheduled actions as PutScheduledAction takes them.
    pub(super) actions: Vec<Value>,
}

impl Wanted {
    /// What the spec wants; what `ignoreFields` leaves to others is as `live` has it.
    pub(super) fn new(
        object: &EcsService,
        service: &ServiceKey,
        live: &ObservedAutoscaling,
    ) -> Option<Self> {
        if live.target.is_none() {
            return Self::whole(object, service);
        }
        let live = json!({"autoscaling": document(live)});
        Self::with(object, service, &live, &object.spec.policies)
    }

    /// All that the spec wants, as a new scalable target has it.
    pub(super) fn whole(object: &EcsService, service: &ServiceKey) -> Option<Self> {
        Self::with(object, service, &Value::Null, &Policies::default())
    }

    /// What the operator itself sets: all but what `ignoreFields` leaves to others.
    pub(super) fn own(object: &EcsService, service: &ServiceKey) -> Option<Self> {
        Self::with(object, service, &Value::Null, &object.spec.policies)
    }

    fn with(
        object: &EcsService,
        service: &ServiceKey,
        live: &Value,
        policies: &Policies,
    ) -> Option<Self> {
        let block = json!(object.spec.autoscaling.as_ref()?);
        let spec = Map::from_iter([("autoscaling".to_owned(), block)]);
        // Before the short forms become policies, so that positions are those of the spec.
        let mut spec = with_ignored_fields(spec, live, policies);
        let block = with_policies(spec.remove("autoscaling")?, service);
        let list = |member: &str| block[member].as_array().cloned().unwrap_or_default();
        Some(Self {
            capacity: AppliedCapacity::deserialize(&block).unwrap_or_default(),
            policies: list("policies").into_iter().map(with_type).collect(),
            actions: list("scheduledActions")
                .into_iter()
                .map(with_times)
                .collect(),
        })
    }
}

/// What AWS has, in the form of the spec.
fn document(live: &ObservedAutoscaling) -> Value {
    let target = live.target.as_ref();
    let mut document = target.map_or_else(|| json!({}), |target| (*target.json).clone());
    document["policies"] = live.policies.clone().into();
    let text = |at: Timestamp| Value::from(at.to_string());
    let actions = live.actions.iter().cloned();
    document["scheduledActions"] = actions.map(|action| with_instants(action, text)).collect();
    document
}

/// The element of `list` with this name.
pub(super) fn named<'a>(list: &'a [Value], key: &str, name: &str) -> Option<&'a Value> {
    list.iter().find(|element| element[key] == name)
}

/// The name of a policy or scheduled action.
pub(super) fn name<'a>(element: &'a Value, key: &str) -> &'a str {
    element[key].as_str().unwrap_or_default()
}

/// The names of the policies, and of the scheduled actions, that the spec has.
pub(super) fn names(object: &EcsService, service: &ServiceKey) -> [Vec<String>; 2] {
    // Also those that `ignoreFields` leaves to others: the spec has not dropped them.
    let wanted = Wanted::whole(object, service).unwrap_or_default();
    let of = |list: &[Value], key| {
        list.iter()
            .map(|element| name(element, key).to_owned())
            .collect()
    };
    [
        of(&wanted.policies, POLICY_NAME),
        of(&wanted.actions, ACTION_NAME),
    ]
}

/// The block with its short forms as policies.
fn with_policies(mut block: Value, service: &ServiceKey) -> Value {
    let average = |member: &str, metric: &str| {
        let percent = block[member].as_i64()?;
        let metric = json!({"predefinedMetricType": metric});
        let configuration =
            json!({"targetValue": percent, "predefinedMetricSpecification": metric});
        Some(json!({
            POLICY_NAME: member, "targetTrackingScalingPolicyConfiguration": configuration,
        }))
    };
    let backlog = || {
        let backlog = &block["queueBacklogPerTask"];
        let metrics = backlog_metrics(backlog["queueName"].as_str()?, service);
        let configuration = json!({
            "targetValue": backlog["messages"],
            "customizedMetricSpecification": {"metrics": metrics},
        });
        Some(json!({
            POLICY_NAME: "queue-backlog",
            "targetTrackingScalingPolicyConfiguration": configuration,
        }))
    };
    let short = [
        average("cpu", "ECSServiceAverageCPUUtilization"),
        average("memory", "ECSServiceAverageMemoryUtilization"),
        backlog(),
    ];
    let listed = block["policies"].as_array().cloned().unwrap_or_default();
    block["policies"] = short.into_iter().flatten().chain(listed).collect();
    block
}

/// The messages that wait for each running task. Source: "Create a target tracking scaling policy
/// for Application Auto Scaling using metric math". While no task runs, all messages wait for one.
fn backlog_metrics(queue: &str, service: &ServiceKey) -> Value {
    let stat = |namespace: &str, metric: &str, stat: &str, dimensions: Value| {
        let metric =
            json!({"namespace": namespace, "metricName": metric, "dimensions": dimensions});
        json!({"metric": metric, "stat": stat})
    };
    let of_queue = json!([{"name": "QueueName", "value": queue}]);
    let of_service = json!([
        {"name": "ClusterName", "value": service.cluster},
        {"name": "ServiceName", "value": service.name},
    ]);
    let messages = stat(
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        "Sum",
        of_queue,
    );
    let tasks = stat(
        "ECS/ContainerInsights",
        "RunningTaskCount",
        "Average",
        of_service,
    );
    json!([
        {"id": "messages", "metricStat": messages, "returnData": false},
        {"id": "tasks", "metricStat": tasks, "returnData": false},
        {"id": "backlog", "expression": "messages / IF(FILL(tasks, 0) > 0, FILL(tasks, 0), 1)", "returnData": true},
    ])
}

/// A policy with the type that its configuration is of.
fn with_type(mut policy: Value) -> Value {
    let type_ = TYPES
        .iter()
        .find(|(member, _)| !policy[*member].is_null())
        .map(|(_, type_)| *type_);
    if let (true, Some(type_)) = (policy["policyType"].is_null(), type_) {
        policy["policyType"] = type_.into();
    }
    policy
}

/// A scheduled action with its times as seconds since 1970, as AWS takes and shows them.
pub(super) fn with_times(action: Value) -> Value {
    with_instants(action, |at| at.as_second().into())
}

fn with_instants(mut action: Value, write: impl Fn(Timestamp) -> Value) -> Value {
    for member in ["startTime", "endTime"] {
        if let Some(at) = time(&action[member]) {
            action[member] = write(at);
        }
    }
    action
}
