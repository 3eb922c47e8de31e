//! Tables for `plan` and `status`.

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::task_definition::ImageStatus;
use ecs_operator_crds::v1beta1::{EcsTaskDefinition, EcsTaskDefinitionStatus};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::image::{ImageProblem, Why};
use super::observed::{ObservedTaskDefinition, Surplus};
use super::plan;
use super::revision::Revision;
use super::surplus::was_ours;
use crate::aws::ecr::{ImageKey, ImageReference};
use crate::aws::ecs;
use crate::aws::tags::{OWNER, Ownership, RETAINED, SPEC_HASH, Tags};
use crate::reconcile::Kind;
use crate::reconcile::outcome::Outcome;
use crate::reconcile::plan::{Plan, Write};
use crate::testkit::{Fixture, dependants, owner, samples, write};

const ARN: &str = "arn:aws:ecs:eu-central-1:111122223333:task-definition/web:1";

fn spec() -> Value {
    json!({
        "cpu": "256",
        "containerDefinitions": [
            {"name": "web", "image": "web:1", "environment": [{"name": "A", "value": "1"}, {"name": "B"}]},
            {"name": "log", "image": "log:1", "essential": false},
        ],
    })
}

fn planned(spec: &Value, observed: &ObservedTaskDefinition) -> Plan {
    plan::plan(
        &EcsTaskDefinition::test("web", spec),
        observed,
        &owner("web"),
    )
}

/// What is known after `write` has registered revision 1.
fn registered(write: &Write) -> ObservedTaskDefinition {
    let tags = Tags::read(&write.request["tags"]);
    let current = Revision {
        arn: ARN.into(),
        revision: 1,
        hash: tags.0.get(SPEC_HASH).cloned(),
        tags: Some(tags),
        definition: None,
    };
    ObservedTaskDefinition {
        current: Some(current),
        ..Default::default()
    }
}

#[test]
fn the_request_is_the_spec_with_family_and_tags() {
    let write = write(planned(&spec(), &ObservedTaskDefinition::default()));
    assert_eq!(write.operation, ecs::RegisterTaskDefinition);
    let mut request = write.request;
    let tags = Tags::read(&request["tags"].take());
    assert_eq!(tags.0.get(OWNER), Some(&owner("web").tag()));
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
    reordered["containerDefinitions"]
        .as_array_mut()
        .unwrap()
        .reverse();
    reordered["containerDefinitions"][1]["environment"]
        .as_array_mut()
        .unwrap()
        .reverse();
    assert_eq!(
        planned(&reordered, &first),
        Plan::InSync,
        "order without meaning"
    );

    let mut policies = spec();
    policies["deletionPolicy"] = json!("Retain");
    assert_eq!(
        planned(&policies, &first),
        Plan::InSync,
        "members of ours are not sent"
    );

    let mut tagged = spec();
    tagged["tags"] = json!([{"key": "team", "value": "a"}]);
    let tag = write(planned(&tagged, &first));
    assert_eq!(
        (tag.operation, &tag.request["resourceArn"]),
        (ecs::TagResource, &json!(ARN))
    );

    let mut image = spec();
    image["containerDefinitions"][0]["image"] = json!("web:2");
    assert_eq!(
        write(planned(&image, &first)).operation,
        ecs::RegisterTaskDefinition
    );
}

#[test]
fn does_not_register_a_definition_that_ecs_refuses() {
    let mut refused = spec();
    refused["containerDefinitions"][0]["secrets"] = json!([{"name": "A", "valueFrom": "s"}]);
    let nothing = ObservedTaskDefinition::default();
    let first = registered(&write(planned(&spec(), &nothing)));
    for observed in [&nothing, &first] {
        let Plan::Stall(obstacle) = planned(&refused, observed) else {
            panic!("it is refused")
        };
        assert_eq!(obstacle.reason, Reason::InvalidSpec);
        assert!(
            obstacle
                .message
                .starts_with("containerDefinitions[].secrets[].name"),
            "{}",
            obstacle.message
        );
    }
    // A registered revision is valid, `managementPolicy: Observe` lists what would be sent, and a
    // deletion continues.
    let mut observing = refused.clone();
    observing["managementPolicy"] = json!("Observe");
    let register = write(planned(&observing, &nothing));
    assert_eq!(register.operation, ecs::RegisterTaskDefinition);
    assert_eq!(planned(&refused, &registered(&register)), Plan::InSync);
    assert_eq!(
        plan::plan(
            &EcsTaskDefinition::test("web", &refused).deleting(),
            &nothing,
            &owner("web")
        ),
        Plan::Gone
    );
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
        foreign: Some((
            Revision {
                revision: 4,
                ..Default::default()
            },
            ownership,
        )),
        ..Default::default()
    };
    let stalled = |plan| match plan {
        Plan::Stall(obstacle) => obstacle.reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        stalled(planned(&spec(), &foreign(Ownership::Nobody))),
        Reason::NotOwned
    );
    let mut adopting = spec();
    adopting["adoptionPolicy"] = json!("IfUnowned");
    assert_eq!(
        write(planned(&adopting, &foreign(Ownership::Nobody))).operation,
        ecs::RegisterTaskDefinition
    );
}

#[test]
fn a_newer_revision_without_owner_does_not_hide_the_owner_of_the_family() {
    let revision = |number, tags: &[&str]| Revision {
        revision: number,
        tags: Some(Tags(
            tags.iter()
                .map(|key| ((*key).to_owned(), "true".to_owned()))
                .collect(),
        )),
        ..Default::default()
    };
    let other = || Ownership::Other("k8s/shop/web/u-9".into());
    let family = |revisions: Vec<(Revision, Ownership)>| {
        let mut observed = ObservedTaskDefinition::default();
        for (revision, ownership) in revisions {
            if !observed.take(revision, ownership, false) {
                break;
            }
        }
        observed
    };
    let mut adopting = spec();
    adopting["adoptionPolicy"] = json!("IfUnowned");
    let is_conflict = |observed: &ObservedTaskDefinition| {
        let plan = planned(&adopting, observed);
        matches!(plan, Plan::Stall(obstacle) if obstacle.reason == Reason::Conflict)
    };
    let nobodys = || (revision(6, &[]), Ownership::Nobody);
    let owned = family(vec![nobodys(), (revision(5, &[]), other())]);
    assert!(is_conflict(&owned), "the family has an owner");
    let both = family(vec![
        nobodys(),
        (revision(5, &[]), other()),
        (revision(3, &[]), Ownership::Ours),
    ]);
    assert!(is_conflict(&both), "each has taken it for its own");
    let older = family(vec![
        nobodys(),
        (revision(5, &[]), Ownership::Ours),
        (revision(3, &[]), other()),
    ]);
    assert!(!is_conflict(&older), "it was handed over before");
    // Its former owner has retained it, and the owner tag of the newest revision was removed.
    let handed_over = family(vec![
        nobodys(),
        (revision(5, &[RETAINED]), Ownership::Nobody),
        (revision(4, &[]), other()),
    ]);
    assert!(!is_conflict(&handed_over));
}

#[test]
fn a_gap_before_the_current_revision_has_the_family_listed_again() {
    let mut spec = spec();
    spec["revisionHistoryLimit"] = json!(1);
    let observed = registered(&write(planned(&spec, &ObservedTaskDefinition::default())));
    let after = |number: i32| {
        let mut observed = observed.clone();
        observed.current.as_mut().unwrap().revision = number;
        let known = EcsTaskDefinition::test("web", &spec)
            .with(&json!({"status": {"revision": 4, "revisions": [4, 3]}}));
        known
            .status_after(Some(&observed), &Outcome::Unfinished)
            .revisions
    };
    // At the end, the newest are deleted first, and the status goes on knowing the rest.
    let mut deleting = EcsTaskDefinition::test(
        "web",
        &json!({"deleteRevisions": true, "containerDefinitions": []}),
    )
    .with(&json!({"status": {"revision": 4, "revisions": [4, 3, 1]}}))
    .deleting();
    let observed_end = ObservedTaskDefinition {
        surplus: Surplus {
            revisions: Some(vec![1]),
            ..Surplus::default()
        },
        ..ObservedTaskDefinition::default()
    };
    for _ in 0..2 {
        let status = deleting.status_after(Some(&observed_end), &Outcome::Unfinished);
        assert!(
            status
                .revisions
                .as_ref()
                .is_some_and(|known| known.contains(&1)),
            "{:?}",
            status.revisions
        );
        deleting.status = Some(status);
    }
    assert_eq!(after(5), Some(vec![5, 4, 3]));
    // The registration of web:5 may have got no reply.
    assert_eq!(after(6), None);
}

#[test]
fn lists_revisions_to_delete_with_and_without_a_limit() {
    // The deletion waits for the status to know them: what is INACTIVE is listed nowhere.
    let surplus = Surplus {
        revisions: Some(vec![2, 1]),
        left: 2,
        ..Surplus::default()
    };
    let observed = ObservedTaskDefinition {
        surplus,
        ..ObservedTaskDefinition::default()
    };
    let mut spec = spec();
    spec["deleteRevisions"] = json!(true);
    let known = |spec: &Value| {
        EcsTaskDefinition::test("web", spec)
            .deleting()
            .status_after(Some(&observed), &Outcome::Unfinished)
    };
    assert_eq!(known(&spec).revisions, Some(vec![2, 1]));
    spec["revisionHistoryLimit"] = json!(3);
    assert_eq!(known(&spec).revisions, Some(vec![2, 1]));
}

#[test]
fn deletion_deregisters_our_revisions_when_nobody_refers_to_them() {
    let plan = |spec: &Value, observed: &ObservedTaskDefinition| {
        plan::plan(
            &EcsTaskDefinition::test("web", spec).deleting(),
            observed,
            &owner("web"),
        )
    };
    let surplus = Surplus {
        active: vec![ARN.into()],
        ..Surplus::default()
    };
    let mut observed = ObservedTaskDefinition {
        surplus,
        ..Default::default()
    };
    let deregister = write(plan(&spec(), &observed));
    assert_eq!(
        (deregister.operation, deregister.request),
        (
            ecs::DeregisterTaskDefinition,
            json!({"taskDefinition": ARN})
        )
    );
    observed.dependants = dependants(&["web"]);
    assert!(
        matches!(plan(&spec(), &observed), Plan::Wait(obstacle) if obstacle.reason == Reason::DeletionBlocked)
    );
    assert_eq!(
        plan(&spec(), &ObservedTaskDefinition::default()),
        Plan::Gone
    );
    let mut retained = spec();
    retained["deletionPolicy"] = json!("Retain");
    assert_eq!(plan(&retained, &observed), Plan::Gone);
}

#[test]
fn an_existing_revision_that_is_what_the_spec_asks_for_is_adopted_by_tags_alone() {
    let found = |image: &str| {
        let definition = json!({
            "taskDefinitionArn": ARN, "family": "web", "revision": 1, "status": "ACTIVE", "cpu": "256", "taskRoleArn": "",
            "volumes": [], "placementConstraints": [], "compatibilities": ["EC2"], "registeredAt": 1.0, "requiresAttributes": [],
            "containerDefinitions": [
                {"name": "log", "image": "log:1", "essential": false, "cpu": 0, "environment": [], "mountPoints": []},
                {"name": "web", "image": image, "essential": true, "cpu": 0, "portMappings": [],
                 "environment": [{"name": "B"}, {"name": "A", "value": "1"}]},
            ],
        });
        let found = Revision {
            arn: ARN.into(),
            revision: 1,
            definition: Some(definition.into()),
            ..Default::default()
        };
        ObservedTaskDefinition {
            foreign: Some((found, Ownership::Nobody)),
            ..Default::default()
        }
    };
    let mut adopting = spec();
    adopting["adoptionPolicy"] = json!("IfUnowned");
    let adopt = write(planned(&adopting, &found("web:1")));
    assert_eq!(
        (adopt.operation, &adopt.request["resourceArn"]),
        (ecs::TagResource, &json!(ARN))
    );
    let tags = Tags::read(&adopt.request["tags"]);
    assert!(
        tags.0.contains_key(OWNER) && tags.0.contains_key(SPEC_HASH),
        "{tags:?}"
    );
    assert_eq!(
        write(planned(&adopting, &found("web:0"))).operation,
        ecs::RegisterTaskDefinition
    );
}

#[test]
fn observe_compares_the_newest_revision_without_owner_tags() {
    let mut observing = spec();
    observing["managementPolicy"] = json!("Observe");
    let first = write(planned(&spec(), &ObservedTaskDefinition::default()));
    let mut seen = registered(&first);
    seen.current
        .as_mut()
        .unwrap()
        .tags
        .as_mut()
        .unwrap()
        .0
        .remove(OWNER);
    assert_eq!(planned(&observing, &seen), Plan::InSync);
    observing["tags"] = json!([{"key": "team", "value": "a"}]);
    assert_eq!(
        write(planned(&observing, &seen)).pending(),
        "TagResource: task definition web:1: team"
    );
}

#[test]
fn ignored_fields_make_no_revision() {
    let first = registered(&write(planned(&spec(), &ObservedTaskDefinition::default())));
    let ignoring = |image: &str| {
        let mut spec = spec();
        spec["containerDefinitions"][0]["image"] = json!(image);
        spec["ignoreFields"] = json!(["/containerDefinitions/0/image"]);
        spec
    };
    // The revision is the same, and learns by which part of the spec it goes from now on.
    let marked = write(planned(&ignoring("web:1"), &first));
    assert_eq!(marked.operation, ecs::TagResource);
    let mut ignored = first.clone();
    let current = ignored.current.as_mut().unwrap();
    current.hash = Tags::read(&marked.request["tags"]).0.remove(SPEC_HASH);
    current
        .tags
        .as_mut()
        .unwrap()
        .0
        .extend(Tags::read(&marked.request["tags"]).0);
    for image in ["web:1", "web:2"] {
        assert_eq!(planned(&ignoring(image), &ignored), Plan::InSync, "{image}");
    }
    // Together with another change it makes one, and so does taking it back: what others left there
    // is not known.
    let mut more = ignoring("web:1");
    more["cpu"] = json!("512");
    assert_eq!(
        write(planned(&more, &first)).operation,
        ecs::RegisterTaskDefinition
    );
    assert_eq!(
        write(planned(&ignoring("web:2"), &first)).operation,
        ecs::RegisterTaskDefinition
    );
    assert_eq!(
        write(planned(&spec(), &ignored)).operation,
        ecs::RegisterTaskDefinition
    );
}

#[test]
fn surplus_revisions_go_and_the_status_forgets_them() {
    let first = registered(&write(planned(&spec(), &ObservedTaskDefinition::default())));
    let older = |number: i32| ARN.replace(":1", &format!(":{number}"));
    let surplus = Surplus {
        active: vec![older(7)],
        inactive: vec![older(6)],
        ..Surplus::default()
    };
    let observed = ObservedTaskDefinition { surplus, ..first };
    assert_eq!(
        write(planned(&spec(), &observed)).request,
        json!({"taskDefinition": older(7)})
    );
    let mut deleting = spec();
    deleting["deleteRevisions"] = json!(true);
    let Plan::Write(writes) = planned(&deleting, &observed) else {
        panic!("two writes are needed")
    };
    assert_eq!(writes[1].operation, ecs::DeleteTaskDefinitions);
    assert_eq!(
        writes[1].request,
        json!({"taskDefinitions": [older(7), older(6)]})
    );

    let mut kept = spec();
    kept["revisionHistoryLimit"] = json!(1);
    let mut observed = observed;
    observed.surplus.revisions = Some(vec![8, 7, 6, 1]);
    observed.surplus.forget(&older(7));
    let status =
        EcsTaskDefinition::test("web", &kept).status_after(Some(&observed), &Outcome::InSync);
    assert_eq!(status.revisions, Some(vec![8, 6, 1]));
}

#[test]
fn a_newer_revision_of_somebody_else_is_shown_and_left_alone() {
    let mut observed = registered(&write(planned(&spec(), &ObservedTaskDefinition::default())));
    observed.looked = true;
    observed.foreign = Some((
        Revision {
            revision: 2,
            ..Default::default()
        },
        Ownership::Nobody,
    ));
    assert_eq!(planned(&spec(), &observed), Plan::InSync);
    let status =
        EcsTaskDefinition::test("web", &spec()).status_after(Some(&observed), &Outcome::InSync);
    assert_eq!(
        (status.foreign_revision.as_deref(), status.revision),
        (Some("web:2"), Some(1))
    );
}

#[test]
fn at_the_end_a_revision_in_use_is_left_and_named() {
    let surplus = Surplus {
        used: vec!["web:1 runs in service legacy in cluster shop".into()],
        ..Surplus::default()
    };
    let observed = ObservedTaskDefinition {
        surplus,
        ..Default::default()
    };
    let plan = plan::plan(
        &EcsTaskDefinition::test("web", &spec()).deleting(),
        &observed,
        &owner("web"),
    );
    assert!(
        matches!(&plan, Plan::Wait(obstacle) if obstacle.reason == Reason::DeletionBlocked && obstacle.message.contains("legacy")),
        "{plan:?}"
    );
}

#[test]
fn the_status_names_the_revision_and_its_hash() {
    let observed = registered(&write(planned(&spec(), &ObservedTaskDefinition::default())));
    let status =
        EcsTaskDefinition::test("web", &spec()).status_after(Some(&observed), &Outcome::InSync);
    assert_eq!(
        (status.revision, status.task_definition_arn.as_deref()),
        (Some(1), Some(ARN))
    );
    assert_eq!(status.spec_hash, observed.current.unwrap().hash);
    assert_eq!(
        status.common.conditions[0].message,
        "Revision web:1 is registered"
    );
}

#[test]
fn a_revision_whose_owner_tag_was_taken_away_is_left_with_words() {
    let mut deleting = EcsTaskDefinition::test("web", &spec()).deleting();
    let surplus = Surplus {
        lost: Some(("web:1".into(), Ownership::Nobody)),
        ..Surplus::default()
    };
    let observed = ObservedTaskDefinition {
        surplus,
        ..ObservedTaskDefinition::default()
    };
    assert_eq!(
        plan::plan(&deleting, &observed, &owner("web")),
        Plan::Gone,
        "nobody knows that it was"
    );
    deleting.status =
        serde_json::from_value(json!({"taskDefinitionArn": ARN})).expect("a valid status");
    let left = plan::plan(&deleting, &observed, &owner("web"));
    assert!(
        matches!(&left, Plan::Left(words) if words.starts_with("task definition web:1 is left in AWS")),
        "{left:?}"
    );
}

#[test]
fn old_revisions_that_wait_for_their_turn_are_no_trouble_of_the_current_one() {
    let first = registered(&write(planned(&spec(), &ObservedTaskDefinition::default())));
    let surplus = Surplus {
        active: vec![ARN.replace(":1", ":7")],
        ..Surplus::default()
    };
    let observed = ObservedTaskDefinition {
        surplus,
        ..first.clone()
    };
    for outcome in [
        Outcome::Unfinished,
        Outcome::Queued(tokio::time::Instant::now()),
    ] {
        let ready = |observed: &ObservedTaskDefinition| {
            let status =
                EcsTaskDefinition::test("web", &spec()).status_after(Some(observed), &outcome);
            status.common.conditions[0].status.clone()
        };
        assert_eq!(ready(&observed), "True");
        assert_eq!(ready(&first), "Unknown", "something else is unfinished");
    }
}

#[test]
fn is_not_ready_while_a_tag_is_missing_beside_old_revisions() {
    let first = registered(&write(planned(&spec(), &ObservedTaskDefinition::default())));
    let surplus = Surplus {
        active: vec![ARN.replace(":1", ":7")],
        ..Surplus::default()
    };
    let observed = ObservedTaskDefinition { surplus, ..first };
    let mut tagged = spec();
    tagged["tags"] = json!([{"key": "team", "value": "shop"}]);
    // The tag does not wait for the quota of the deregistration.
    assert_eq!(
        write(planned(&tagged, &observed)).operation,
        ecs::TagResource
    );
    let queued = Outcome::Queued(tokio::time::Instant::now());
    let status = EcsTaskDefinition::test("web", &tagged).status_after(Some(&observed), &queued);
    assert_eq!(status.common.conditions[0].status, "Unknown");
}

#[test]
fn lists_no_revision_of_somebody_else_as_its_own() {
    let theirs = Revision {
        arn: ARN.replace(":1", ":7"),
        revision: 7,
        ..Revision::default()
    };
    let observed = ObservedTaskDefinition {
        current: Some(theirs),
        ..ObservedTaskDefinition::default()
    };
    let revisions = |policy: &str| {
        let mut spec = spec();
        spec["revisionHistoryLimit"] = json!(5);
        spec["managementPolicy"] = json!(policy);
        let mut object = EcsTaskDefinition::test("web", &spec);
        object.status = Some(EcsTaskDefinitionStatus {
            revisions: Some(vec![6]),
            ..Default::default()
        });
        object
            .status_after(Some(&observed), &Outcome::InSync)
            .revisions
    };
    assert_eq!(revisions("Observe"), Some(vec![6]));
    assert_eq!(revisions("Full"), Some(vec![7, 6]));
}

#[test]
fn deletes_no_inactive_revision_that_has_another_owner() {
    let mut spec = spec();
    spec["deleteRevisions"] = json!(true);
    let object = EcsTaskDefinition::test("web", &spec).deleting();
    let tags = |key: &str, value: &str| Tags([(key.to_owned(), value.to_owned())].into());
    let rows = [
        (tags(OWNER, &owner("web").tag()), true),
        // Where ECS shows no tags, the status knows.
        (Tags::default(), true),
        (tags(OWNER, "k8s/other/web/u-9"), false),
        (tags("team", "shop"), false),
    ];
    for (tags, expected) in rows {
        assert_eq!(
            was_ours(&object, &owner("web"), &tags),
            expected,
            "{tags:?}"
        );
    }
}

#[test]
fn says_why_old_revisions_stay() {
    let first = registered(&write(planned(&spec(), &ObservedTaskDefinition::default())));
    let surplus = Surplus {
        left: 1,
        unreadable: Some("services is forbidden".to_owned()),
        ..Surplus::default()
    };
    let observed = ObservedTaskDefinition { surplus, ..first };
    let status =
        EcsTaskDefinition::test("web", &spec()).status_after(Some(&observed), &Outcome::InSync);
    assert_eq!(status.common.conditions[0].status, "True");
    assert!(
        status.common.conditions[0]
            .message
            .ends_with("cannot be read: services is forbidden"),
        "{}",
        status.common.conditions[0].message
    );
}

/// Any other hash would register a revision of everything, and have every service roll, when the
/// operator is upgraded.
#[test]
fn the_hash_of_a_spec_is_the_same_in_all_versions() {
    let mut spec = spec();
    spec["memory"] = json!("1 GB");
    spec["networkMode"] = json!("awsvpc");
    spec["requiresCompatibilities"] = json!(["FARGATE", "EC2"]);
    spec["tags"] = json!([{"key": "team", "value": "shop"}]);
    spec["containerDefinitions"][0]["essential"] = json!(true);
    spec["containerDefinitions"][0]["portMappings"] =
        json!([{"containerPort": 80, "hostPort": 80, "protocol": "tcp"}]);
    spec["revisionHistoryLimit"] = json!(3);
    let write = write(planned(&spec, &ObservedTaskDefinition::default()));
    assert_eq!(
        Tags::read(&write.request["tags"]).0[SPEC_HASH],
        "d3b74b7950020bdf6d1d878ef7f43dbb"
    );
}

/// The same for each sample.
#[test]
fn keeps_the_hashes_of_the_samples() {
    let hashes = samples::<EcsTaskDefinition>()
        .into_iter()
        .map(|(name, object)| {
            let request = write(plan::plan(
                &object,
                &ObservedTaskDefinition::default(),
                &owner("web"),
            ))
            .request;
            format!("{name} {}", Tags::read(&request["tags"]).0[SPEC_HASH])
        });
    assert_eq!(
        hashes.collect::<Vec<_>>(),
        [
            "autoscaled-web: autoscaled-web 2912ba0e061854ceafc3e282c34002db",
            "daemon: node-agent 4cc5681730011ae22d221cb5908d566e",
            "ec2-binpack: batch e43e07afda8ab0ebfc26c5b81437151e",
            "efs-volume: cms ccfd1a59510acf02130ef36755591f91",
            "external: edge 491a6e53d25909b41acfed1cbad923bf",
            "fargate-spot-worker: worker 79eaf3110bcc2f194cd9ccb713105f72",
            "fargate-web-alb: alb-web e4fde73e1e21098634f582c582cd17e3",
            "firelens-sidecar: routed bab443b4852a7f0c5fea3cdfc5ae63e4",
            "gpu: inference 5fea560e73f4bd990610cec280a340ca",
            "migration: shop-app 724344fe6a7eecc768407190632ebe36",
            "queue-worker: queue-worker 09bdaa9d287b247c410d96839391de62",
            "service-connect: api 5417bd4593233d8a22fa398d6149ec91",
            "windows: iis 7dfbd14255656c873b515014ec6a3e4d",
            "task-definition: web 70ac1bfdcc56dcaf8fa69978d81d25b8",
        ],
    );
}

#[test]
fn requeues_while_old_revisions_are_left() {
    let again = |policy: &str, revisions: &[i32], surplus: Surplus| {
        let object = EcsTaskDefinition::test(
            "web",
            &json!({"containerDefinitions": [], "revisionHistoryLimit": 1, "managementPolicy": policy}),
        );
        let status = EcsTaskDefinitionStatus {
            revisions: Some(revisions.to_vec()),
            ..Default::default()
        };
        let observed = ObservedTaskDefinition {
            surplus,
            ..Default::default()
        };
        object
            .requeue_after(Some(&observed), &status, Timestamp::UNIX_EPOCH)
            .map(|wait| wait.as_secs())
    };
    let seen = || Surplus {
        revisions: Some(vec![3, 2, 1]),
        ..Default::default()
    };
    assert_eq!(
        again("Full", &[3, 2], Surplus::default()),
        None,
        "there are none"
    );
    let full = |surplus| again("Full", &[3, 2, 1], surplus);
    assert_eq!(full(Surplus::default()), Some(10), "nobody has looked yet");
    assert_eq!(full(seen()), None, "and now somebody has");
    assert_eq!(
        full(Surplus {
            used: vec!["web:1 runs".to_owned()],
            ..seen()
        }),
        Some(600)
    );
    assert_eq!(full(Surplus { left: 2, ..seen() }), Some(10));
    assert_eq!(
        full(Surplus {
            left: 1,
            pause: std::time::Duration::from_secs(60),
            ..seen()
        }),
        Some(60),
        "after trouble"
    );
    assert_eq!(
        again("Observe", &[3, 2, 1], Surplus::default()),
        None,
        "not its affair"
    );
}

#[test]
fn a_registration_without_a_reply_is_not_repeated_before_a_list_can_show_it() {
    let after = |seconds| {
        let unanswered = Some(std::time::Duration::from_secs(seconds));
        planned(
            &spec(),
            &ObservedTaskDefinition {
                unanswered,
                ..Default::default()
            },
        )
    };
    assert!(
        matches!(after(9), Plan::Wait(obstacle) if obstacle.passing && obstacle.message.contains("did not reply"))
    );
    assert_eq!(write(after(10)).operation, ecs::RegisterTaskDefinition);
}

#[test]
fn registers_nothing_whose_image_does_not_exist() {
    let observed = |why: Why| ObservedTaskDefinition {
        image_problem: Some(problem(why)),
        ..ObservedTaskDefinition::default()
    };
    let rows = [
        (
            Why::NoImage(vec!["1.20".into(), "1.1".into()]),
            "container web: ECR repository shop/web has no tag 1.2 (it has 1.20, 1.1): push the image",
        ),
        (Why::NoImage(Vec::new()), "has no tag 1.2: push the image"),
        (Why::NoRepository, "does not exist in account 111122223333"),
        (
            Why::Archived,
            "tag 1.2 of ECR repository shop/web is archived",
        ),
    ];
    for (why, words) in rows {
        let plan = planned(&spec(), &observed(why));
        assert!(
            matches!(&plan, Plan::Stall(obstacle) if obstacle.reason == Reason::ImageNotFound && obstacle.message.contains(words)),
            "{plan:?}"
        );
    }
    let mut observing = spec();
    observing["managementPolicy"] = json!("Observe");
    assert_eq!(
        write(planned(&observing, &observed(Why::Archived))).operation,
        ecs::RegisterTaskDefinition,
        "it is listed as a pending change"
    );
}

#[test]
fn a_tag_that_names_another_image_makes_a_revision() {
    let image = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/shop/web:1";
    let spec = json!({"imageResolution": "Digest", "containerDefinitions": [
        {"name": "web", "image": image}, {"name": "log", "image": "fluent-bit:3"}]});
    let images = |digest: &str| {
        let image_of = |container: &str, image: &str, digest: Option<&str>| ImageStatus {
            container: container.into(),
            image: image.into(),
            digest: digest.map(str::to_owned),
            pushed_at: None,
        };
        Some(vec![
            image_of("web", image, Some(digest)),
            image_of("log", "fluent-bit:3", None),
        ])
    };
    let first = ObservedTaskDefinition {
        images: images("sha256:a"),
        ..ObservedTaskDefinition::default()
    };
    let register = write(planned(&spec, &first));
    let named =
        |write: &Write, at: usize| write.request["containerDefinitions"][at]["image"].clone();
    assert_eq!(
        named(&register, 0),
        "111122223333.dkr.ecr.eu-central-1.amazonaws.com/shop/web@sha256:a"
    );
    assert_eq!(named(&register, 1), "fluent-bit:3");
    let current = ObservedTaskDefinition {
        images: images("sha256:a"),
        ..registered(&register)
    };
    assert_eq!(planned(&spec, &current), Plan::InSync);
    let object = EcsTaskDefinition::test("web", &spec);
    let status = object.status_after(Some(&current), &Outcome::InSync);
    assert_eq!(status.images, images("sha256:a"));
    // Another image is pushed under the tag.
    let mut known = object;
    known.status = Some(status);
    let pushed = ObservedTaskDefinition {
        images: images("sha256:b"),
        ..current
    };
    let register = write(plan::plan(&known, &pushed, &owner("web")));
    assert!(named(&register, 0).to_string().ends_with("@sha256:b\""));
    let words = "web:1 is sha256:b)";
    assert!(register.note.ends_with(words), "{}", register.note);
    // The note is the same once the status knows the digest.
    known.status = Some(known.status_after(Some(&pushed), &Outcome::Unfinished));
    let again = write(plan::plan(&known, &pushed, &owner("web")));
    assert_eq!(again.note, register.note);
    // A tag that names nothing, of a revision with the tag as it is.
    let unresolved = ObservedTaskDefinition {
        unresolved: Some(problem(Why::NoImage(Vec::new()))),
        ..registered(&register)
    };
    let plan = planned(&spec, &unresolved);
    assert!(
        matches!(&plan, Plan::Stall(obstacle) if obstacle.reason == Reason::ImageNotFound),
        "{plan:?}"
    );
}

/// An image of the container `web` that cannot be pulled.
fn problem(why: Why) -> ImageProblem {
    ImageProblem {
        container: "web".into(),
        key: ImageKey {
            place: "111122223333/shop/web".into(),
            reference: ImageReference::Tag("1.2".into()),
        },
        why,
        way_out: "…",
    }
}
