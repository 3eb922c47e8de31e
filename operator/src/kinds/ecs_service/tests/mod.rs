//! Tables for `plan` and `status`: here creation, ownership and deletion.

mod autoscaling;
mod commands;
mod failure;
mod rollout;
mod service_deployment;
mod settings;
mod stable;
mod update;

use std::sync::Arc;

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::{EcsService, EcsServiceStatus};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::described::read;
use super::kind::{is_rolling, wants_another_revision};
use super::observed::ObservedService;
use super::{observe_rollout, plan};
use crate::aws::ecs::{self, ServiceKey};
use crate::aws::observer::{Answer, Seen};
use crate::aws::tags::{OWNER, Owner, RETAINED, SPEC_HASH};
use crate::reconcile::Kind;
use crate::reconcile::outcome::Outcome;
use crate::reconcile::plan::{Obstacle, Plan, Write, tagged_hash};
use crate::reconcile::references::Resolved;
use crate::reconcile::reset::remember_sent;
use crate::testkit::{self, Fixture, operations, write, writes};

const ARN: &str = "arn:aws:ecs:eu-central-1:111122223333:service/shop/web";
const REVISION: &str = "arn:aws:ecs:eu-central-1:111122223333:task-definition/web:3";

fn spec() -> Value {
    json!({
        "clusterRef": {"name": "shop"},
        "taskDefinitionRef": {"name": "web"},
        "launchType": "FARGATE",
        "desiredCount": 2,
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-a", "subnet-b"]}},
    })
}

fn owner() -> Owner {
    testkit::owner("web")
}

fn object(spec: &Value, more: &Value) -> EcsService {
    EcsService::test("web", spec)
        .with(&json!({"metadata": {"generation": 3}}))
        .with(more)
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
        "tags": [{"key": OWNER, "value": owner().tag()}, {"key": SPEC_HASH, "value": tagged_hash(&owner(), &json!({}))}],
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

/// A service with one tag more.
fn tagged_with(service: &Value, key: &str) -> Value {
    let mut service = service.clone();
    service["tags"]
        .as_array_mut()
        .expect("it has tags")
        .push(json!({"key": key, "value": "true"}));
    service
}

fn observed(service: Option<Value>) -> ObservedService {
    let answer = service.map_or(Answer::Missing, |service| Answer::Found(Arc::new(service)));
    let at = Instant::now();
    ObservedService {
        at,
        task_definition: Resolved::To(REVISION.into()),
        service: read(&Seen { at, answer }).expect("a valid answer"),
        ..ObservedService::new(ServiceKey {
            cluster: "shop".into(),
            name: "web".into(),
        })
    }
}

/// Remembers what writes of a pass that did not come to its end have brought to AWS.
fn remember(
    object: &EcsService,
    status: &mut EcsServiceStatus,
    accepted: &[Write],
    unanswered: Option<&Write>,
) {
    remember_sent(
        object,
        &mut status.common,
        &accepted.iter().chain(unanswered).collect::<Vec<_>>(),
    );
    super::update::remember_sent(object, status, accepted, unanswered);
}

/// The object with the status after a pass that came to what the plan says.
fn after_pass(object: &EcsService, observed: &ObservedService, at: i64) -> (Plan, EcsService) {
    let plan = plan::plan(object, observed, &owner());
    let now = Timestamp::from_second(at).expect("a valid time");
    let status = object.status_at(Some(observed), &plan.clone().into(), now);
    (
        plan,
        EcsService {
            status: Some(status),
            ..object.clone()
        },
    )
}

/// Status and reason of the Ready condition.
fn ready(object: &EcsService) -> (String, String) {
    let ready = &object.status.as_ref().expect("a status").common.conditions[0];
    (ready.status.clone(), ready.reason.clone())
}

fn planned(spec: &Value, service: Option<Value>) -> Plan {
    plan::plan(&object(spec, &json!({})), &observed(service), &owner())
}

#[test]
fn a_missing_service_is_created_with_the_spec_and_nothing_else() {
    let write = writes(planned(&spec(), None)).remove(0);
    assert_eq!(write.operation, ecs::CreateService);
    let mut request = write.request;
    let token = request
        .as_object_mut()
        .and_then(|members| members.remove("clientToken"))
        .expect("a token");
    assert!(
        token.as_str().is_some_and(|token| token.len() <= 36),
        "{token}"
    );
    let expected = json!({
        "cluster": "shop",
        "serviceName": "web",
        "taskDefinition": REVISION,
        "launchType": "FARGATE",
        "desiredCount": 2,
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-a", "subnet-b"]}},
        "tags": [{"key": OWNER, "value": owner().tag()}, {"key": SPEC_HASH, "value": tagged_hash(&owner(), &json!({}))}],
    });
    assert_eq!(request, expected);
}

#[test]
fn a_repeated_creation_has_the_same_token_and_one_after_a_loss_another() {
    let token = |status: &Value| {
        let plan = plan::plan(
            &object(&spec(), &json!({"status": status})),
            &observed(None),
            &owner(),
        );
        writes(plan)[0].request["clientToken"].clone()
    };
    let ready = |time: &str| {
        json!({"serviceArn": ARN, "conditions": [
            {"type": "Ready", "status": "True", "reason": "Succeeded", "message": "", "lastTransitionTime": time}]})
    };
    assert_eq!(token(&json!({})), token(&json!({"observedGeneration": 2})));
    assert_ne!(token(&json!({})), token(&ready("2026-01-01T00:00:00Z")));
    assert_ne!(
        token(&ready("2026-01-02T00:00:00Z")),
        token(&ready("2026-01-01T00:00:00Z"))
    );
}

#[test]
fn an_absent_desired_count_is_one_at_creation_and_never_again() {
    let mut spec = spec();
    spec.as_object_mut().unwrap().remove("desiredCount");
    assert_eq!(writes(planned(&spec, None))[0].request["desiredCount"], 1);
    assert_eq!(
        planned(
            &spec,
            Some(with(&json!({"desiredCount": 9, "runningCount": 9})))
        ),
        Plan::InSync
    );
    spec["schedulingStrategy"] = json!("DAEMON");
    assert_eq!(
        writes(planned(&spec, None))[0].request.get("desiredCount"),
        None
    );
}

#[test]
fn a_service_that_does_not_fit_its_task_definition_is_not_sent() {
    let mut mismatch = observed(None);
    mismatch.mismatch = Some("loadBalancers[].containerName".into());
    let plan = plan::plan(&object(&spec(), &json!({})), &mismatch, &owner());
    assert_eq!(
        plan,
        Plan::stall(Reason::InvalidSpec, "loadBalancers[].containerName")
    );
}

#[test]
fn obstacles_are_told_and_nothing_is_written() {
    let foreign = |value: &str| with(&json!({"tags": [{"key": OWNER, "value": value}]}));
    let mut ec2 = spec();
    ec2["launchType"] = json!("EC2");
    let spot = with(
        &json!({"launchType": null, "capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT"}]}),
    );
    let rows = [
        (
            spec(),
            with(&json!({"tags": []})),
            Reason::NotOwned,
            "adoptionPolicy",
        ),
        (
            spec(),
            foreign("k8s/default/other/u-9"),
            Reason::Conflict,
            "k8s/default/other/u-9",
        ),
        (
            spec(),
            with(&json!({"status": "DRAINING"})),
            Reason::Busy,
            "DRAINING",
        ),
        (ec2, described(), Reason::InvalidSpec, "launchType"),
        (
            spec(),
            spot,
            Reason::InvalidSpec,
            "write the capacityProviderStrategy",
        ),
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
    let obstacle = Obstacle {
        reason: Reason::DependencyNotReady,
        message: "not ready".into(),
        passing: true,
        all_else_sent: false,
    };
    waiting.task_definition = Resolved::NotYet(obstacle.clone());
    assert_eq!(
        plan::plan(&object(&spec(), &json!({})), &waiting, &owner()),
        Plan::Wait(obstacle)
    );
}

#[test]
fn hides_the_state_of_a_service_with_another_owner() {
    let (_, ours) = after_pass(
        &object(&spec(), &json!({})),
        &observed(Some(described())),
        0,
    );
    assert_eq!(ours.status.as_ref().unwrap().running_count, Some(2));
    for tags in [
        json!([]),
        json!([{"key": OWNER, "value": "k8s/other/web/u-9"}]),
    ] {
        for before in [&object(&spec(), &json!({})), &ours] {
            let (_, after) = after_pass(before, &observed(Some(with(&json!({"tags": tags})))), 1);
            let status = after.status.unwrap();
            assert_eq!(
                (status.running_count, status.revision, status.deployments),
                (None, None, None),
                "{tags}"
            );
        }
    }
    let observing =
        json!({"managementPolicy": "Observe", "cluster": "shop", "taskDefinition": "web:3"});
    let (_, observing) = after_pass(
        &object(&observing, &json!({})),
        &observed(Some(with(&json!({"tags": []})))),
        1,
    );
    assert_eq!(
        observing.status.unwrap().running_count,
        Some(2),
        "an object that observes shows the service of others"
    );
}

#[test]
fn a_cluster_of_another_account_is_not_taken_for_ours_of_that_name() {
    let spec_of = |account: &str| {
        let mut spec = spec();
        spec["clusterRef"].take();
        spec["cluster"] = json!(format!("arn:aws:ecs:eu-central-1:{account}:cluster/shop"));
        spec["adoptionPolicy"] = json!("IfUnowned");
        spec
    };
    // ECS knows its own account, so it refuses the ARN of another one.
    let creation = writes(planned(&spec_of("444455556666"), None)).remove(0);
    assert_eq!(
        creation.request["cluster"],
        "arn:aws:ecs:eu-central-1:444455556666:cluster/shop"
    );
    let unowned = with(&json!({"tags": []}));
    assert_eq!(
        operations(&planned(&spec_of("111122223333"), Some(unowned.clone()))),
        [ecs::TagResource]
    );
    for there in [unowned, described()] {
        let Plan::Stall(obstacle) = planned(&spec_of("444455556666"), Some(there)) else {
            panic!("it is another cluster")
        };
        assert_eq!(obstacle.reason, Reason::InvalidSpec);
        assert!(
            obstacle.message.contains("account 444455556666"),
            "{}",
            obstacle.message
        );
    }
}

#[test]
fn an_unowned_service_is_adopted_by_a_tag_alone() {
    let mut spec = spec();
    spec["adoptionPolicy"] = json!("IfUnowned");
    let writes = writes(planned(&spec, Some(with(&json!({"tags": []})))));
    assert_eq!(writes.len(), 1);
    assert_eq!(
        writes[0].request,
        json!({"resourceArn": ARN, "tags": [{"key": OWNER, "value": owner().tag()}]})
    );
}

#[test]
fn arns_of_another_account_match_no_local_name() {
    let mut spec = spec();
    spec.as_object_mut()
        .expect("an object")
        .remove("taskDefinitionRef");
    for (account, stalls) in [("111122223333", false), ("999999999999", true)] {
        spec["taskDefinition"] = json!(REVISION.replace("111122223333", account));
        let plan = planned(&spec, Some(described()));
        let words = "spec.taskDefinition is an ARN of account 999999999999";
        assert_eq!(
            matches!(&plan, Plan::Stall(obstacle) if obstacle.message.contains(words)),
            stalls,
            "{plan:?}"
        );
    }
}

#[test]
fn deletion_forces_waits_and_leaves_what_is_not_ours() {
    let deleting = |spec: &Value| {
        object(
            spec,
            &json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
        )
    };
    let plan = |spec: &Value, service| plan::plan(&deleting(spec), &observed(service), &owner());
    let deletion = writes(plan(&spec(), Some(described())));
    assert_eq!(deletion[0].operation, ecs::DeleteService);
    assert_eq!(
        deletion[0].request,
        json!({"cluster": "shop", "service": "web", "force": true})
    );
    assert!(
        matches!(plan(&spec(), Some(with(&json!({"status": "DRAINING"})))), Plan::Wait(obstacle) if obstacle.reason == Reason::Deleting)
    );
    assert_eq!(plan(&spec(), None), Plan::Gone);
    let unanswered = ObservedService {
        may_be_there: true,
        ..observed(None)
    };
    let waits = plan::plan(&deleting(&spec()), &unanswered, &owner());
    assert!(
        matches!(&waits, Plan::Wait(obstacle) if obstacle.message.contains("did not reply")),
        "{waits:?}"
    );
    assert_eq!(plan(&spec(), Some(with(&json!({"tags": []})))), Plan::Gone);
    // What was ours, as its status tells.
    let mut settled = deleting(&spec());
    settled.status = after_pass(
        &object(&spec(), &json!({})),
        &observed(Some(described())),
        10,
    )
    .1
    .status;
    let left = plan::plan(
        &settled,
        &observed(Some(with(&json!({"tags": []})))),
        &owner(),
    );
    assert!(
        matches!(&left, Plan::Left(words) if words.starts_with("service web in cluster shop is left in AWS")),
        "{left:?}"
    );
    let mut retained = spec();
    retained["deletionPolicy"] = json!("Retain");
    let marks = writes(plan(&retained, Some(described())));
    assert_eq!(
        marks[0].request["tags"],
        json!([{"key": RETAINED, "value": "true"}])
    );
    let marked = tagged_with(&described(), RETAINED);
    assert_eq!(plan(&retained, Some(marked.clone())), Plan::Gone);
    // Another object of that name gets it by adoption alone.
    let next = Owner {
        uid: "u-2".to_owned(),
        ..owner()
    };
    let mut spec = spec();
    let again = |spec: &Value| {
        plan::plan(
            &object(spec, &json!({})),
            &observed(Some(marked.clone())),
            &next,
        )
    };
    assert!(
        matches!(again(&spec), Plan::Stall(obstacle) if obstacle.reason == Reason::NotOwned && obstacle.message.contains("retained"))
    );
    spec["adoptionPolicy"] = json!("IfUnowned");
    assert_eq!(
        writes(again(&spec))[0].request["tags"],
        json!([{"key": OWNER, "value": next.tag()}])
    );
    let own = plan::plan(
        &object(&spec, &json!({})),
        &observed(Some(marked)),
        &owner(),
    );
    assert_eq!(
        writes(own)[0].request["tagKeys"],
        json!([RETAINED]),
        "it has an owner again"
    );
}
