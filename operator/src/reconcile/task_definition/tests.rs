//! Tables for the two pure doors.

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::EcsTaskDefinition;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::{ObservedTaskDefinition, Revision, plan, status};
use crate::aws::Operation;
use crate::aws::tags::{OWNER, Owner, Ownership, SPEC_HASH, Tags};
use crate::reconcile::plan::{Outcome, Plan, Write};

const ARN: &str = "arn:aws:ecs:eu-central-1:111122223333:task-definition/web:1";

fn owner() -> Owner {
    let [cluster_id, namespace, name, uid] = ["k8s", "default", "web", "u-1"].map(str::to_owned);
    Owner { cluster_id, namespace, name, uid }
}

fn spec() -> Value {
    json!({
        "cpu": "256",
        "containerDefinitions": [
            {"name": "web", "image": "web:1", "environment": [{"name": "A", "value": "1"}, {"name": "B"}]},
            {"name": "log", "image": "log:1", "essential": false},
        ],
    })
}

fn object(spec: &Value, deleting: bool) -> EcsTaskDefinition {
    let mut metadata = json!({"name": "web", "namespace": "default", "uid": "u-1", "generation": 1});
    if deleting {
        metadata["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    }
    let object =
        json!({"apiVersion": "ecs-operator.dev/v1beta1", "kind": "EcsTaskDefinition", "metadata": metadata, "spec": spec});
    serde_json::from_value(object).expect("a valid object")
}

fn planned(spec: &Value, observed: &ObservedTaskDefinition) -> Plan {
    plan::plan(&object(spec, false), observed, &owner())
}

fn write(plan: Plan) -> Write {
    match plan {
        Plan::Write(mut writes) if writes.len() == 1 => writes.remove(0),
        other => panic!("{other:?} is not one write"),
    }
}

/// What is known after `write` has registered revision 1.
fn registered(write: &Write) -> ObservedTaskDefinition {
    let tags = Tags::read(&write.request["tags"]);
    let current = Revision { arn: ARN.into(), revision: 1, hash: tags.0.get(SPEC_HASH).cloned(), tags: Some(tags) };
    ObservedTaskDefinition { current: Some(current), ..Default::default() }
}

#[test]
fn the_request_is_the_spec_with_family_and_tags() {
    let write = write(planned(&spec(), &ObservedTaskDefinition::default()));
    assert_eq!(write.operation, Operation::RegisterTaskDefinition);
    let mut request = write.request;
    let tags = Tags::read(&request["tags"].take());
    assert_eq!(tags.0.get(OWNER), Some(&owner().tag()));
    request.as_object_mut().unwrap().remove("tags");
    let mut expected = spec();
    expected["family"] = json!("web");
    assert_eq!(request, expected);
}

#[test]
fn only_a_request_that_differs_makes_a_revision() {
    let first = registered(&write(planned(&spec(), &ObservedTaskDefinition::default())));
    assert_eq!(planned(&spec(), &first), Plan::InSync);

    let mut reordered = spec();
    reordered["containerDefinitions"].as_array_mut().unwrap().reverse();
    reordered["containerDefinitions"][1]["environment"].as_array_mut().unwrap().reverse();
    assert_eq!(planned(&reordered, &first), Plan::InSync, "order without meaning");

    let mut policies = spec();
    policies["deletionPolicy"] = json!("Retain");
    assert_eq!(planned(&policies, &first), Plan::InSync, "members of ours are not sent");

    let mut tagged = spec();
    tagged["tags"] = json!([{"key": "team", "value": "a"}]);
    let tag = write(planned(&tagged, &first));
    assert_eq!((tag.operation, &tag.request["resourceArn"]), (Operation::TagResource, &json!(ARN)));

    let mut image = spec();
    image["containerDefinitions"][0]["image"] = json!("web:2");
    assert_eq!(write(planned(&image, &first)).operation, Operation::RegisterTaskDefinition);
}

#[test]
fn a_status_taken_at_its_word_needs_no_tags() {
    let mut known = registered(&write(planned(&spec(), &ObservedTaskDefinition::default())));
    known.current.as_mut().unwrap().tags = None;
    assert_eq!(planned(&spec(), &known), Plan::InSync);
}

#[test]
fn a_family_of_others_is_left_alone_unless_adopted() {
    let foreign = |ownership| ObservedTaskDefinition {
        foreign: Some((Revision { revision: 4, ..Default::default() }, ownership)),
        ..Default::default()
    };
    let stalled = |plan| match plan {
        Plan::Stall(obstacle) => obstacle.reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(stalled(planned(&spec(), &foreign(Ownership::Nobody))), Reason::NotOwned);
    let mut adopting = spec();
    adopting["adoptionPolicy"] = json!("IfUnowned");
    assert_eq!(write(planned(&adopting, &foreign(Ownership::Nobody))).operation, Operation::RegisterTaskDefinition);
    assert_eq!(stalled(planned(&adopting, &foreign(Ownership::Other("x".into())))), Reason::Conflict);
}

#[test]
fn deletion_deregisters_our_revisions_when_nobody_refers_to_them() {
    let plan = |spec: &Value, observed: &ObservedTaskDefinition| plan::plan(&object(spec, true), observed, &owner());
    let mut observed = ObservedTaskDefinition { ours: vec![ARN.into()], ..Default::default() };
    let deregister = write(plan(&spec(), &observed));
    assert_eq!((deregister.operation, deregister.request), (Operation::DeregisterTaskDefinition, json!({"taskDefinition": ARN})));
    observed.dependants.names = "web".into();
    assert!(matches!(plan(&spec(), &observed), Plan::Wait(obstacle) if obstacle.reason == Reason::DeletionBlocked));
    assert_eq!(plan(&spec(), &ObservedTaskDefinition::default()), Plan::Gone);
    let mut retained = spec();
    retained["deletionPolicy"] = json!("Retain");
    assert_eq!(plan(&retained, &observed), Plan::Gone);
}

#[test]
fn the_status_names_the_revision_and_its_hash() {
    let observed = registered(&write(planned(&spec(), &ObservedTaskDefinition::default())));
    let status = status::status(&object(&spec(), false), Some(&observed), &Outcome::InSync, Timestamp::UNIX_EPOCH);
    assert_eq!((status.revision, status.task_definition_arn.as_deref()), (Some(1), Some(ARN)));
    assert_eq!(status.spec_hash, observed.current.unwrap().hash);
    assert_eq!(status.conditions[0].message, "Revision web:1 is registered");
}
