//! Tables for the two pure doors.

use std::sync::Arc;
use std::time::Instant;

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::EcsService;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::observe::read;
use super::{ObservedService, plan, status};
use crate::aws::Operation;
use crate::aws::observer::{Answer, Seen, ServiceKey};
use crate::aws::tags::{OWNER, Owner, SPEC_HASH};
use crate::reconcile::plan::{Obstacle, Outcome, Plan, Write, hash};
use crate::reconcile::references::Resolved;

const ARN: &str = "arn:aws:ecs:eu-central-1:111122223333:service/shop/web";
const REVISION: &str = "arn:aws:ecs:eu-central-1:111122223333:task-definition/web:3";

fn owner() -> Owner {
    let [cluster_id, namespace, name, uid] = ["k8s", "default", "web", "u-1"].map(str::to_owned);
    Owner { cluster_id, namespace, name, uid }
}

fn spec() -> Value {
    json!({
        "clusterRef": {"name": "shop"},
        "taskDefinitionRef": {"name": "web"},
        "launchType": "FARGATE",
        "desiredCount": 2,
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-a", "subnet-b"]}},
    })
}

fn object(spec: &Value, more: &Value) -> EcsService {
    let mut object = json!({
        "apiVersion": "ecs-operator.dev/v1beta1",
        "kind": "EcsService",
        "metadata": {"name": "web", "namespace": "default", "uid": "u-1", "generation": 3},
        "spec": spec,
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        for (member, value) in value.as_object().into_iter().flatten() {
            object[name][member] = value.clone();
        }
    }
    serde_json::from_value(object).expect("a valid object")
}

/// The service as ECS describes it when all is well.
fn described() -> Value {
    json!({
        "serviceArn": ARN,
        "serviceName": "web",
        "clusterArn": "arn:aws:ecs:eu-central-1:111122223333:cluster/shop",
        "status": "ACTIVE",
        "launchType": "FARGATE",
        "schedulingStrategy": "REPLICA",
        "platformVersion": "LATEST",
        "taskDefinition": REVISION,
        "desiredCount": 2,
        "runningCount": 2,
        "pendingCount": 0,
        "networkConfiguration": {"awsvpcConfiguration": {
            "subnets": ["subnet-b", "subnet-a"], "securityGroups": [], "assignPublicIp": "DISABLED"}},
        "deploymentConfiguration": {"maximumPercent": 200, "minimumHealthyPercent": 100},
        "deployments": [{
            "id": "ecs-svc/1", "status": "PRIMARY", "taskDefinition": REVISION, "rolloutState": "COMPLETED",
            "desiredCount": 2, "runningCount": 2, "pendingCount": 0, "failedTasks": 0}],
        "tags": [{"key": OWNER, "value": owner().tag()}, {"key": SPEC_HASH, "value": hash(&json!({}))}],
    })
}

/// `described()` with some members replaced.
fn with(changes: &Value) -> Value {
    let mut service = described();
    for (name, value) in changes.as_object().into_iter().flatten() {
        service[name] = value.clone();
    }
    service
}

fn observed(service: Option<Value>) -> ObservedService {
    let answer = service.map_or(Answer::Missing, |service| Answer::Found(Arc::new(service)));
    let at = Instant::now();
    ObservedService {
        at,
        key: ServiceKey { cluster: "shop".into(), name: "web".into() },
        cluster_obstacle: None,
        task_definition: Resolved::To(REVISION.into()),
        misfit: None,
        restarted: None,
        service: read(&Seen { at, answer }).expect("a valid answer"),
    }
}

fn planned(spec: &Value, service: Option<Value>) -> Plan {
    plan::plan(&object(spec, &json!({})), &observed(service), &owner())
}

fn writes(plan: Plan) -> Vec<Write> {
    match plan {
        Plan::Write(writes) => writes,
        other => panic!("{other:?} is no write"),
    }
}

#[test]
fn a_missing_service_is_created_with_the_spec_and_nothing_else() {
    let write = writes(planned(&spec(), None)).remove(0);
    assert_eq!(write.operation, Operation::CreateService);
    let mut request = write.request;
    let token = request.as_object_mut().and_then(|members| members.remove("clientToken")).expect("a token");
    assert!(token.as_str().is_some_and(|token| token.len() <= 36), "{token}");
    let expected = json!({
        "cluster": "shop",
        "serviceName": "web",
        "taskDefinition": REVISION,
        "launchType": "FARGATE",
        "desiredCount": 2,
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-a", "subnet-b"]}},
        "tags": [{"key": OWNER, "value": owner().tag()}, {"key": SPEC_HASH, "value": hash(&json!({}))}],
    });
    assert_eq!(request, expected);
}

#[test]
fn a_repeated_creation_has_the_same_token_and_one_after_a_loss_another() {
    let token = |status: &Value| {
        let plan = plan::plan(&object(&spec(), &json!({"status": status})), &observed(None), &owner());
        writes(plan)[0].request["clientToken"].clone()
    };
    let ready = |time: &str| {
        json!({"serviceArn": ARN, "conditions": [
            {"type": "Ready", "status": "True", "reason": "Succeeded", "message": "", "lastTransitionTime": time}]})
    };
    assert_eq!(token(&json!({})), token(&json!({"observedGeneration": 2})));
    assert_ne!(token(&json!({})), token(&ready("2026-01-01T00:00:00Z")));
    assert_ne!(token(&ready("2026-01-02T00:00:00Z")), token(&ready("2026-01-01T00:00:00Z")));
}

#[test]
fn an_absent_desired_count_is_one_at_creation_and_never_again() {
    let mut spec = spec();
    spec.as_object_mut().unwrap().remove("desiredCount");
    assert_eq!(writes(planned(&spec, None))[0].request["desiredCount"], 1);
    assert_eq!(planned(&spec, Some(with(&json!({"desiredCount": 9, "runningCount": 9})))), Plan::InSync);
    spec["schedulingStrategy"] = json!("DAEMON");
    assert_eq!(writes(planned(&spec, None))[0].request.get("desiredCount"), None);
}

#[test]
fn what_aws_fills_in_and_reorders_is_in_sync() {
    assert_eq!(planned(&spec(), Some(described())), Plan::InSync);
}

#[test]
fn each_change_sends_its_member_and_no_other() {
    let rows = [
        (json!({"desiredCount": 5}), json!({"desiredCount": 2})),
        (json!({"taskDefinition": REVISION.replace(":3", ":2")}), json!({"taskDefinition": REVISION})),
        (
            json!({"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-a"]}}}),
            json!({"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-a", "subnet-b"]}}}),
        ),
    ];
    for (change, sent) in rows {
        let writes = writes(planned(&spec(), Some(with(&change))));
        assert_eq!(writes.len(), 1);
        assert_eq!(writes[0].operation, Operation::UpdateService);
        let mut expected = sent.clone();
        expected["cluster"] = json!("shop");
        expected["service"] = json!("web");
        assert_eq!(writes[0].request, expected);
        let member = sent.as_object().unwrap().keys().next().unwrap();
        assert!(writes[0].note.contains(member.as_str()), "{}", writes[0].note);
    }
}

#[test]
fn members_that_ecs_does_not_show_are_sent_once_when_they_change() {
    let mut spec = spec();
    spec["serviceConnectConfiguration"] = json!({"enabled": true, "namespace": "shop"});
    let first = writes(planned(&spec, Some(described())));
    assert_eq!(first[0].operation, Operation::UpdateService);
    assert_eq!(first[0].request["serviceConnectConfiguration"]["namespace"], "shop");
    assert_eq!(first[1].operation, Operation::TagResource);
    let mut tagged = described();
    tagged["tags"][1]["value"] = first[1].request["tags"][0]["value"].clone();
    assert_eq!(planned(&spec, Some(tagged)), Plan::InSync);
}

#[test]
fn members_that_the_spec_drops_are_set_back_once() {
    let rows = [
        ("loadBalancers", json!([{"targetGroupArn": "t"}]), json!({"loadBalancers": []})),
        ("serviceConnectConfiguration", json!({"enabled": true}), json!({"serviceConnectConfiguration": {"enabled": false}})),
        (
            "deploymentConfiguration",
            json!({"deploymentCircuitBreaker": {"enable": true, "rollback": true}, "maximumPercent": 200}),
            json!({"deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": false, "rollback": false}}}),
        ),
    ];
    for (member, value, reset) in rows {
        let mut before = spec();
        before[member] = value.clone();
        let mut shown = with(&json!({member: value}));
        let tags = writes(planned(&before, None))[0].request["tags"].clone();
        shown["tags"] = tags;
        let seen = observed(Some(shown.clone()));
        let status = status::status(&object(&before, &json!({})), Some(&seen), &Outcome::InSync, Timestamp::UNIX_EPOCH);
        let without = object(&spec(), &json!({"status": serde_json::to_value(&status).unwrap()}));
        let update = writes(plan::plan(&without, &seen, &owner())).remove(0);
        assert_eq!(update.operation, Operation::UpdateService, "{member}");
        let (name, value) = reset.as_object().unwrap().iter().next().unwrap();
        assert_eq!(update.request[name], *value);

        // Once AWS shows it, nothing is left to do, and nothing is remembered.
        let after = with(&reset);
        assert_eq!(plan::plan(&without, &observed(Some(after.clone())), &owner()), Plan::InSync, "{member}");
        let status = status::status(&without, Some(&observed(Some(after))), &Outcome::InSync, Timestamp::UNIX_EPOCH);
        assert_eq!(status.applied_members, None, "{member}");
    }
}

#[test]
fn swapped_target_groups_are_no_drift_and_other_ones_are() {
    let balancer = |one: &str, other: &str| {
        json!([{"targetGroupArn": one, "containerName": "web", "containerPort": 80,
            "advancedConfiguration": {"alternateTargetGroupArn": other, "productionListenerRule": "r", "roleArn": "a"}}])
    };
    let mut spec = spec();
    spec["loadBalancers"] = balancer("blue", "green");
    for (shown, in_sync) in
        [(balancer("blue", "green"), true), (balancer("green", "blue"), true), (balancer("blue", "red"), false)]
    {
        let plan = planned(&spec, Some(with(&json!({"loadBalancers": shown}))));
        assert_eq!(plan == Plan::InSync, in_sync, "{shown}");
    }
}

#[test]
fn a_service_that_does_not_fit_its_task_definition_is_not_sent() {
    let mut misfit = observed(None);
    misfit.misfit = Some("loadBalancers[].containerName".into());
    let plan = plan::plan(&object(&spec(), &json!({})), &misfit, &owner());
    assert_eq!(plan, Plan::stall(Reason::InvalidSpec, "loadBalancers[].containerName"));
}

#[test]
fn a_restart_is_one_forced_deployment_for_each_new_value() {
    let asked = |value: &str, status: &Value| {
        let metadata = json!({"annotations": {"ecs-operator.dev/restartedAt": value}});
        object(&spec(), &json!({"metadata": metadata, "status": status}))
    };
    let plan = |object: &EcsService, observed: &ObservedService| plan::plan(object, observed, &owner());
    let now = asked("2026-06-01T00:00:00Z", &json!({}));
    let seen = observed(Some(described()));
    let restart = writes(plan(&now, &seen)).remove(0);
    assert_eq!(restart.request, json!({"cluster": "shop", "service": "web", "forceNewDeployment": true}));

    // Carried out in this pass, remembered in the status, or visible in ECS: not again.
    let done = ObservedService { restarted: Some("2026-06-01T00:00:00Z".into()), ..seen.clone() };
    assert_eq!(plan(&now, &done), Plan::InSync);
    let status = status::status(&now, Some(&done), &Outcome::InSync, Timestamp::UNIX_EPOCH);
    let after = asked("2026-06-01T00:00:00Z", &serde_json::to_value(&status).unwrap());
    assert_eq!(plan(&after, &seen), Plan::InSync);
    let deployment =
        |began: f64| json!({"deployments": [{"status": "PRIMARY", "rolloutState": "COMPLETED", "createdAt": began}]});
    let newer = observed(Some(with(&deployment(1_780_272_000.5))));
    assert_eq!(plan(&now, &newer), Plan::InSync);
    let answered = status::status(&now, Some(&newer), &Outcome::InSync, Timestamp::UNIX_EPOCH);
    assert_eq!(answered.last_handled_restart_at.as_deref(), Some("2026-06-01T00:00:00Z"));
    assert_ne!(plan(&now, &observed(Some(with(&deployment(1_780_271_999.0))))), Plan::InSync);
    // A new value is a new restart; what else is to be changed goes first.
    let again = asked("again", &serde_json::to_value(&status).unwrap());
    assert_eq!(writes(plan(&again, &seen)).len(), 1);
    let first = writes(plan(&again, &observed(Some(with(&json!({"desiredCount": 9}))))));
    assert_eq!((first.len(), first[0].request.get("forceNewDeployment")), (1, None));
}

#[test]
fn service_connect_that_others_change_is_set_back_once() {
    let mut spec = spec();
    spec["serviceConnectConfiguration"] = json!({"enabled": true, "namespace": "shop"});
    // ECS shows the namespace as an ARN, in the deployment.
    let shown = |namespace: &str| {
        let connect = json!({"enabled": true, "namespace": format!("arn:aws:servicediscovery:::namespace/{namespace}")});
        let mut service =
            with(&json!({"deployments": [{"status": "PRIMARY", "rolloutState": "COMPLETED", "taskDefinition": REVISION,
            "serviceConnectConfiguration": connect}]}));
        service["tags"] = writes(planned(&spec, None))[0].request["tags"].clone();
        observed(Some(service))
    };
    let status_after = |object: &EcsService, seen: &ObservedService, outcome: &Outcome| {
        let status = status::status(object, Some(seen), outcome, Timestamp::UNIX_EPOCH);
        EcsService { status: Some(status), ..object.clone() }
    };
    let plan = |object: &EcsService, seen: &ObservedService| plan::plan(object, seen, &owner());
    let fresh = object(&spec, &json!({}));
    assert_eq!(plan(&fresh, &shown("ns-1")), Plan::InSync);
    let settled = status_after(&fresh, &shown("ns-1"), &Outcome::InSync);
    assert_eq!(plan(&settled, &shown("ns-1")), Plan::InSync);
    let repair = writes(plan(&settled, &shown("ns-2")));
    assert_eq!(repair[0].request["serviceConnectConfiguration"]["namespace"], "shop");
    // Whatever ECS makes of it, it is not sent again.
    let unheeded = status_after(&settled, &shown("ns-2"), &Outcome::Unheeded(repair));
    assert_eq!(plan(&unheeded, &shown("ns-2")), Plan::InSync);
}

#[test]
fn a_foreign_deployment_controller_keeps_what_is_its_own() {
    let mut spec = spec();
    spec["deploymentController"] = json!({"type": "CODE_DEPLOY"});
    let shown = json!({"deploymentController": {"type": "CODE_DEPLOY"}, "taskDefinition": REVISION.replace(":3", ":9"), "desiredCount": 5,
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["other"]}}});
    let update = writes(planned(&spec, Some(with(&shown)))).remove(0);
    assert_eq!(update.request, json!({"cluster": "shop", "service": "web", "desiredCount": 2}));
}

#[test]
fn a_literal_family_runs_whatever_revision_ecs_took() {
    let rows = [("web", true), ("web:3", true), (REVISION, true), ("web:4", false), ("webs", false)];
    for (literal, in_sync) in rows {
        let mut observed = observed(Some(described()));
        observed.task_definition = Resolved::To(literal.into());
        let plan = plan::plan(&object(&spec(), &json!({})), &observed, &owner());
        assert_eq!(plan == Plan::InSync, in_sync, "{literal}");
    }
}

#[test]
fn obstacles_are_told_and_nothing_is_written() {
    let foreign = |value: &str| with(&json!({"tags": [{"key": OWNER, "value": value}]}));
    let mut ec2 = spec();
    ec2["launchType"] = json!("EC2");
    let rows = [
        (spec(), with(&json!({"tags": []})), Reason::NotOwned, "adoptionPolicy"),
        (spec(), foreign("k8s/default/other/u-9"), Reason::Conflict, "k8s/default/other/u-9"),
        (spec(), with(&json!({"status": "DRAINING"})), Reason::Busy, "DRAINING"),
        (ec2, described(), Reason::InvalidSpec, "launchType"),
    ];
    for (spec, service, reason, words) in rows {
        match planned(&spec, Some(service)) {
            Plan::Wait(obstacle) | Plan::Stall(obstacle) => {
                assert_eq!(obstacle.reason, reason);
                assert!(obstacle.message.contains(words), "{}", obstacle.message);
            }
            other => panic!("{other:?}"),
        }
    }
    let mut waiting = observed(None);
    let obstacle = Obstacle { reason: Reason::DependencyNotReady, message: "not ready".into(), passing: true };
    waiting.task_definition = Resolved::NotYet(obstacle.clone());
    assert_eq!(plan::plan(&object(&spec(), &json!({})), &waiting, &owner()), Plan::Wait(obstacle));
}

#[test]
fn an_unowned_service_is_adopted_by_a_tag_alone() {
    let mut spec = spec();
    spec["adoptionPolicy"] = json!("IfUnowned");
    let writes = writes(planned(&spec, Some(with(&json!({"tags": []})))));
    assert_eq!(writes.len(), 1);
    assert_eq!(writes[0].request, json!({"resourceArn": ARN, "tags": [{"key": OWNER, "value": owner().tag()}]}));
}

#[test]
fn deletion_forces_waits_and_leaves_what_is_not_ours() {
    let deleting = |spec: &Value| object(spec, &json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}));
    let plan = |spec: &Value, service| plan::plan(&deleting(spec), &observed(service), &owner());
    let writes = writes(plan(&spec(), Some(described())));
    assert_eq!(writes[0].operation, Operation::DeleteService);
    assert_eq!(writes[0].request, json!({"cluster": "shop", "service": "web", "force": true}));
    assert!(
        matches!(plan(&spec(), Some(with(&json!({"status": "DRAINING"})))), Plan::Wait(obstacle) if obstacle.reason == Reason::Deleting)
    );
    assert_eq!(plan(&spec(), None), Plan::Gone);
    assert_eq!(plan(&spec(), Some(with(&json!({"tags": []})))), Plan::Gone);
    let mut retained = spec();
    retained["deletionPolicy"] = json!("Retain");
    assert_eq!(plan(&retained, Some(described())), Plan::Gone);
}

#[test]
fn what_ecs_rolled_back_is_not_tried_again_until_something_changes() {
    let older = REVISION.replace(":3", ":2");
    let reason = "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/2.";
    let back = |state: &str, reason: &str| {
        let primary = json!({"status": "PRIMARY", "rolloutState": state, "rolloutStateReason": reason, "taskDefinition": older});
        observed(Some(with(&json!({"taskDefinition": older, "deployments": [primary]}))))
    };
    let pass = |object: &EcsService, observed: &ObservedService| {
        let plan = plan::plan(object, observed, &owner());
        let status = status::status(object, Some(observed), &plan.clone().into(), Timestamp::UNIX_EPOCH);
        (plan, EcsService { status: Some(status), ..object.clone() })
    };
    // We set revision 3, the circuit breaker goes back to 2.
    let sent = |generation: i64| {
        json!({"taskDefinition": REVISION, "conditions": [{
            "type": "Ready", "status": "Unknown", "reason": "Progressing", "message": "", "observedGeneration": generation,
            "lastTransitionTime": "2026-01-01T00:00:00Z"}]})
    };
    let rolling = object(&spec(), &json!({"status": sent(3)}));
    let (plan, rolled_back) = pass(&rolling, &back("IN_PROGRESS", reason));
    assert!(
        matches!(&plan, Plan::Stall(obstacle) if obstacle.reason == Reason::DeploymentFailed && obstacle.message.contains(reason.trim_end_matches('.'))),
        "{plan:?}"
    );
    // The way back is done, and ECS says no more of what failed.
    let (plan, rolled_back) = pass(&rolled_back, &back("COMPLETED", "ECS deployment ecs-svc/2 completed."));
    assert!(
        matches!(&plan, Plan::Stall(obstacle) if obstacle.message.contains("web:3 failed, and ECS went back to web:2")),
        "{plan:?}"
    );
    // A new revision, or a new spec, is a new attempt.
    let mut newer = back("COMPLETED", "");
    newer.task_definition = Resolved::To(REVISION.replace(":3", ":4"));
    assert!(matches!(pass(&rolled_back, &newer).0, Plan::Write(_)));
    let mut edited = rolled_back.clone();
    edited.metadata.generation = Some(4);
    assert!(matches!(pass(&edited, &back("COMPLETED", "")).0, Plan::Write(_)));
    // An outsider who sets another revision is drift.
    let steady = object(&spec(), &json!({"status": sent(3)}));
    assert!(matches!(pass(&steady, &back("IN_PROGRESS", "ECS deployment ecs-svc/9 in progress.")).0, Plan::Write(_)));
    // A spec that was edited while ECS still goes back from the one before is a new attempt, too.
    assert!(matches!(pass(&object(&spec(), &json!({"status": sent(2)})), &back("IN_PROGRESS", reason)).0, Plan::Write(_)));
    // What failed need not be the revision: here it is the network.
    let primary =
        json!({"status": "PRIMARY", "rolloutState": "IN_PROGRESS", "rolloutStateReason": reason, "taskDefinition": REVISION});
    let network = json!({"awsvpcConfiguration": {"subnets": ["subnet-old"]}});
    let network_back = observed(Some(with(&json!({"networkConfiguration": network, "deployments": [primary]}))));
    assert!(matches!(pass(&rolling, &network_back).0, Plan::Stall(obstacle) if obstacle.reason == Reason::DeploymentFailed));
    // All is well again: nothing is remembered.
    assert_eq!(pass(&rolled_back, &observed(Some(described()))).1.status.unwrap().failed_deployment, None);
}

#[test]
fn ready_needs_one_completed_deployment_and_the_counts() {
    let deployment = |state: &str, rollout: &str| json!({"status": state, "rolloutState": rollout, "rolloutStateReason": "tasks failed to start", "taskDefinition": REVISION});
    let rows = [
        (json!({}), "True", "Succeeded"),
        (json!({"runningCount": 0}), "Unknown", "Progressing"),
        (json!({"pendingCount": 1}), "Unknown", "Progressing"),
        (json!({"deployments": [deployment("PRIMARY", "IN_PROGRESS")]}), "Unknown", "Progressing"),
        (
            json!({"deployments": [deployment("ACTIVE", "COMPLETED"), deployment("PRIMARY", "COMPLETED")]}),
            "Unknown",
            "Progressing",
        ),
        (json!({"deployments": [deployment("PRIMARY", "FAILED")]}), "False", "DeploymentFailed"),
        // A failed deployment that is only still listed is in nobody's way; one with tasks is.
        (json!({"deployments": [deployment("ACTIVE", "FAILED"), deployment("PRIMARY", "COMPLETED")]}), "True", "Succeeded"),
        (
            json!({"deployments": [{"status": "ACTIVE", "rolloutState": "FAILED", "runningCount": 1}, deployment("PRIMARY", "COMPLETED")]}),
            "Unknown",
            "Progressing",
        ),
        (json!({"desiredCount": 0, "runningCount": 0}), "True", "Succeeded"),
    ];
    for (change, ready, reason) in rows {
        let status = status::status(
            &object(&spec(), &json!({})),
            Some(&observed(Some(with(&change)))),
            &Outcome::InSync,
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!((status.conditions[0].status.as_str(), status.conditions[0].reason.as_str()), (ready, reason), "{change}");
        assert_eq!(status.observed_generation, Some(3));
    }
}

#[test]
fn the_status_shows_what_runs_and_is_the_same_for_the_same_inputs() {
    let shown = |at| status::status(&object(&spec(), &json!({})), Some(&observed(Some(described()))), &Outcome::InSync, at);
    let status = shown(Timestamp::UNIX_EPOCH);
    assert_eq!(status, shown(Timestamp::UNIX_EPOCH));
    assert_eq!(status.revision.as_deref(), Some("web:3"));
    assert_eq!(status.service_arn.as_deref(), Some(ARN));
    assert_eq!((status.desired_count, status.running_count, status.pending_count), (Some(2), Some(2), Some(0)));
    // Without a look at AWS, what is known stays.
    let fault = crate::aws::Fault::new(Operation::DescribeServices, crate::aws::FaultClass::Throttle, "Rate exceeded");
    let known = object(&spec(), &json!({"status": serde_json::to_value(&status).unwrap()}));
    let after = status::status(&known, None, &Outcome::Failed(fault), Timestamp::UNIX_EPOCH);
    assert_eq!(after.service_arn.as_deref(), Some(ARN));
    assert_eq!(after.conditions[0].reason, "Throttled");
}
