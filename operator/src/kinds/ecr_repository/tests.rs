//! Tables for `plan` and `status`.

use std::sync::Arc;

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::EcrRepository;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::observed::{ObservedRepository, PolicyText, Repository};
use super::plan;
use crate::aws::ecr;
use crate::aws::tags::{OWNER, Tags};
use crate::aws::{AwsError, ErrorKind};
use crate::reconcile::kind::After;
use crate::reconcile::outcome::Outcome;
use crate::reconcile::plan::Plan;
use crate::reconcile::report::status_after;
use crate::testkit::{Fixture, owner, write, writes};

const ARN: &str = "arn:aws:ecr:eu-central-1:111122223333:repository/shop/web";

fn object(spec: &Value) -> EcrRepository {
    EcrRepository::test("web", spec)
}

/// The repository as ECR describes it, with these members and tags.
fn observed(changes: &Value, tags: &[(&str, &str)]) -> ObservedRepository {
    let mut json = json!({
        "repositoryArn": ARN,
        "repositoryName": "web",
        "repositoryUri": "111122223333.dkr.ecr.eu-central-1.amazonaws.com/web",
        "imageTagMutability": "MUTABLE",
        "imageScanningConfiguration": {"scanOnPush": false},
        "encryptionConfiguration": {"encryptionType": "AES256"},
    });
    for (name, value) in changes.as_object().into_iter().flatten() {
        json[name] = value.clone();
    }
    let tags = tags
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let repository = Repository::read(Arc::new(json), Tags(tags.collect()));
    ObservedRepository {
        at: Instant::now(),
        repository: Some(repository.expect("a valid reply")),
        may_be_there: false,
        images: 0,
    }
}

/// The same, with the owner tag of the object.
fn ours(changes: &Value) -> ObservedRepository {
    observed(changes, &[(OWNER, &owner("web").tag())])
}

fn missing() -> ObservedRepository {
    ObservedRepository {
        repository: None,
        ..ours(&json!({}))
    }
}

fn planned(object: &EcrRepository, observed: &ObservedRepository) -> Plan {
    plan::plan(object, observed, &owner("web"))
}

#[test]
fn creates_a_missing_repository_with_the_spec() {
    let spec = json!({"repositoryName": "shop/web", "imageTagMutability": "IMMUTABLE",
        "tags": [{"key": "team", "value": "shop"}], "deletionPolicy": "Retain"});
    let create = write(planned(&object(&spec), &missing()));
    assert_eq!(create.operation, ecr::CreateRepository);
    let expected = json!({
        "repositoryName": "shop/web",
        "imageTagMutability": "IMMUTABLE",
        "tags": [{"Key": OWNER, "Value": owner("web").tag()}, {"Key": "team", "Value": "shop"}],
    });
    assert_eq!(create.request, expected);
}

#[test]
fn puts_the_policies_after_the_creation() {
    let rule = json!({"rulePriority": 1, "selection": {"tagStatus": "any", "countType": "imageCountMoreThan",
        "countNumber": 5}, "action": {"type": "expire"}});
    let spec = json!({"lifecyclePolicy": {"rules": [rule]}, "repositoryPolicyText": r#"{"Statement": []}"#, "forceDelete": true});
    let create = write(planned(&object(&spec), &missing()));
    let members: Vec<_> = create.request.as_object().unwrap().keys().collect();
    assert_eq!(members, ["repositoryName", "tags"]);
    // A crash after the creation, or a creation by others, is completed the same way.
    let mut created = ours(&json!({}));
    let repository = created.repository.as_mut().unwrap();
    (repository.lifecycle, repository.access) = (PolicyText::Absent, PolicyText::Absent);
    let requests: Vec<_> = writes(planned(&object(&spec), &created))
        .into_iter()
        .map(|write| (write.operation, write.request))
        .collect();
    let lifecycle = json!({"rules": [rule]}).to_string();
    let expected = [
        (
            ecr::PutLifecyclePolicy,
            json!({"repositoryName": "web", "lifecyclePolicyText": lifecycle}),
        ),
        (
            ecr::SetRepositoryPolicy,
            json!({"repositoryName": "web", "policyText": r#"{"Statement":[]}"#}),
        ),
    ];
    assert_eq!(requests, expected);
}

#[test]
fn remembers_an_accepted_policy_though_the_next_one_was_refused() {
    let spec = json!({"lifecyclePolicyText": "{}", "repositoryPolicy": {"Statement": []}});
    let mut created = ours(&json!({}));
    let repository = created.repository.as_mut().unwrap();
    (repository.lifecycle, repository.access) = (PolicyText::Absent, PolicyText::Absent);
    let writes = writes(planned(&object(&spec), &created));
    let error = AwsError::new(ecr::SetRepositoryPolicy, ErrorKind::Terminal, "refused");
    for (accepted, expected) in [
        (&writes[..1], "lifecyclePolicyText"),
        (&writes[1..], "repositoryPolicy"),
    ] {
        let after = After {
            observed: Some(&created),
            outcome: &Outcome::Failed(error.clone()),
            accepted,
            unanswered: None,
            now: Timestamp::UNIX_EPOCH,
        };
        let status = status_after(&object(&spec), &after);
        assert_eq!(
            status.common.applied_members,
            Some(vec![expected.to_owned()])
        );
    }
}

#[test]
fn a_text_that_is_no_json_is_reported_and_nothing_is_sent() {
    let plan = planned(
        &object(&json!({"lifecyclePolicyText": "rules:", "imageTagMutability": "IMMUTABLE"})),
        &ours(&json!({})),
    );
    assert!(
        matches!(&plan, Plan::Stall(obstacle) if obstacle.reason == Reason::InvalidSpec
            && obstacle.message.contains("lifecyclePolicyText is not valid JSON")),
        "{plan:?}"
    );
}

#[test]
fn deletes_images_with_the_repository_when_asked_to() {
    let full = ObservedRepository {
        images: 3,
        ..ours(&json!({}))
    };
    let forced = object(&json!({"forceDelete": true})).deleting();
    let delete = write(planned(&forced, &full));
    assert_eq!(
        delete.request,
        json!({"repositoryName": "web", "force": true})
    );
    let plan = planned(&object(&json!({})).deleting(), &full);
    assert!(
        matches!(&plan, Plan::Wait(obstacle) if obstacle.message.contains("forceDelete")),
        "{plan:?}"
    );
}

#[test]
fn sends_each_member_with_its_call() {
    let filters = json!([{"filterType": "WILDCARD", "filter": "dev-*"}]);
    let rows = [
        (json!({}), None),
        (json!({"imageTagMutability": "MUTABLE"}), None),
        (json!({"imageScanningConfiguration": {}}), None),
        (
            json!({"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION", "imageTagMutabilityExclusionFilters": filters}),
            Some((
                ecr::PutImageTagMutability,
                json!({"repositoryName": "web", "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
                    "imageTagMutabilityExclusionFilters": filters}),
            )),
        ),
        (
            json!({"imageScanningConfiguration": {"scanOnPush": true}}),
            Some((
                ecr::PutImageScanningConfiguration,
                json!({"repositoryName": "web", "imageScanningConfiguration": {"scanOnPush": true}}),
            )),
        ),
        (
            json!({"tags": [{"key": "team"}]}),
            Some((
                ecr::TagResource,
                json!({"resourceArn": ARN, "tags": [{"Key": "team", "Value": ""}]}),
            )),
        ),
    ];
    for (spec, expected) in rows {
        let found = match planned(&object(&spec), &ours(&json!({}))) {
            Plan::InSync => None,
            plan => Some(write(plan)).map(|write| (write.operation, write.request)),
        };
        assert_eq!(found, expected, "{spec}");
    }
}

#[test]
fn resets_members_that_the_spec_drops() {
    let filters = json!([{"filterType": "WILDCARD", "filter": "dev-*"}]);
    let spec = json!({
        "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": filters,
        "imageScanningConfiguration": {"scanOnPush": true},
    });
    let shown = ours(&spec);
    assert_eq!(planned(&object(&spec), &shown), Plan::InSync);
    let before = object(&spec).status_after(Some(&shown), &Outcome::InSync);
    let mut dropped = object(&json!({}));
    dropped.status = Some(before);
    let requests: Vec<_> = writes(planned(&dropped, &shown))
        .into_iter()
        .map(|write| write.request)
        .collect();
    let expected = [
        json!({"repositoryName": "web", "imageTagMutability": "MUTABLE"}),
        json!({"repositoryName": "web", "imageScanningConfiguration": {"scanOnPush": false}}),
    ];
    assert_eq!(requests, expected);
}

#[test]
fn leaves_a_repository_of_somebody_else_alone() {
    let spec = json!({"imageTagMutability": "IMMUTABLE"});
    let rows = [
        (vec![], Reason::NotOwned),
        (vec![(OWNER, "k8s/other/web/u-9")], Reason::Conflict),
    ];
    for (tags, reason) in rows {
        let seen = observed(&json!({}), &tags);
        let plan = planned(&object(&spec), &seen);
        assert!(
            matches!(&plan, Plan::Stall(obstacle) if obstacle.reason == reason),
            "{plan:?}"
        );
        let status = object(&spec).status_after(Some(&seen), &plan.into());
        assert_eq!(status.repository_uri, None);
        let deleting = object(&json!({})).deleting();
        assert_eq!(planned(&deleting, &seen), Plan::Gone);
    }
    let adopting = object(&json!({"adoptionPolicy": "IfUnowned"}));
    assert_eq!(
        write(planned(&adopting, &observed(&json!({}), &[]))).operation,
        ecr::TagResource
    );
}

#[test]
fn says_that_the_encryption_of_an_adopted_repository_cannot_change() {
    let spec = json!({"encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": "alias/x"}});
    let plan = planned(&object(&spec), &ours(&json!({})));
    let words = "repository web has encryptionConfiguration.encryptionType AES256";
    assert!(
        matches!(&plan, Plan::Stall(obstacle) if obstacle.message.starts_with(words)),
        "{plan:?}"
    );
    // ECR shows a key as an ARN.
    let shown = json!({"encryptionType": "KMS", "kmsKey": "arn:aws:kms:e:1:key/1"});
    let kms = ours(&json!({"encryptionConfiguration": shown}));
    assert_eq!(planned(&object(&spec), &kms), Plan::InSync);
}

#[test]
fn deletes_an_empty_repository_and_waits_for_images() {
    let deleting = |spec: &Value| object(spec).deleting();
    let empty = ours(&json!({}));
    let delete = write(planned(&deleting(&json!({})), &empty));
    assert_eq!(delete.operation, ecr::DeleteRepository);
    assert_eq!(delete.request, json!({"repositoryName": "web"}));
    let full = ObservedRepository {
        images: 3,
        ..ours(&json!({}))
    };
    let plan = planned(&deleting(&json!({})), &full);
    let is_blocked = |obstacle: &crate::reconcile::plan::Obstacle| {
        obstacle.reason == Reason::DeletionBlocked && obstacle.message.contains("holds 3 images")
    };
    assert!(
        matches!(&plan, Plan::Wait(obstacle) if is_blocked(obstacle)),
        "{plan:?}"
    );
    assert_eq!(planned(&deleting(&json!({})), &missing()), Plan::Gone);
    let retained = write(planned(
        &deleting(&json!({"deletionPolicy": "Retain"})),
        &full,
    ));
    assert_eq!(retained.operation, ecr::TagResource);
    let unanswered = ObservedRepository {
        may_be_there: true,
        ..missing()
    };
    assert!(matches!(
        planned(&deleting(&json!({})), &unanswered),
        Plan::Wait(_)
    ));
}

#[test]
fn shows_arn_and_uri() {
    let seen = ours(&json!({}));
    let status = object(&json!({})).status_after(Some(&seen), &Outcome::InSync);
    assert_eq!(status.repository_arn.as_deref(), Some(ARN));
    assert!(
        status
            .repository_uri
            .is_some_and(|uri| uri.ends_with(".amazonaws.com/web"))
    );
    assert_eq!(status.common.conditions[0].status, "True");
}

#[test]
fn sends_mutability_and_filters_together_when_one_is_left_to_others() {
    let filters = json!([{"filterType": "WILDCARD", "filter": "dev-*"}]);
    let spec = |ignored: &str| {
        json!({"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
            "imageTagMutabilityExclusionFilters": filters, "ignoreFields": [ignored]})
    };
    // The other manager has set MUTABLE, which drops the filters.
    let mutable = ours(&json!({}));
    let plan = planned(&object(&spec("/imageTagMutability")), &mutable);
    assert_eq!(plan, Plan::InSync);
    // The filters of the spec are used if ECR has none.
    let spec = spec("/imageTagMutabilityExclusionFilters");
    let request = write(planned(&object(&spec), &mutable)).request;
    assert_eq!(request["imageTagMutability"], "IMMUTABLE_WITH_EXCLUSION");
    assert_eq!(request["imageTagMutabilityExclusionFilters"], filters);
    // Only the filters were remembered.
    let mut dropped = object(&json!({}));
    let applied = json!({"appliedMembers": ["imageTagMutabilityExclusionFilters"]});
    dropped.status = serde_json::from_value(applied).expect("a valid status");
    let shown = json!({"imageTagMutability": "MUTABLE_WITH_EXCLUSION", "imageTagMutabilityExclusionFilters": filters});
    assert_eq!(planned(&dropped, &ours(&shown)), Plan::InSync);
}

#[test]
fn compares_the_key_of_an_adopted_repository_unless_it_is_an_alias() {
    let key = |id: &str| format!("arn:aws:kms:eu-central-1:111122223333:key/{id}");
    let shown = json!({"encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": key("1")}});
    let rows = [
        ("alias/x", true),
        ("arn:aws:kms:eu-central-1:111122223333:alias/x", true),
        ("1", true),
        (&key("1"), true),
        ("2", false),
        (&key("2"), false),
    ];
    for (wanted, is_same) in rows {
        let spec = json!({"encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": wanted}});
        let plan = planned(&object(&spec), &ours(&shown));
        assert_eq!(plan == Plan::InSync, is_same, "{wanted}: {plan:?}");
    }
}

#[test]
fn refuses_to_ignore_the_form_of_a_policy_that_the_spec_does_not_use() {
    let policy = json!({"Statement": []});
    for (form, value, other) in [
        ("repositoryPolicy", policy.clone(), "repositoryPolicyText"),
        (
            "repositoryPolicyText",
            policy.to_string().into(),
            "repositoryPolicy",
        ),
    ] {
        let spec = json!({form: value, "ignoreFields": [format!("/{other}")]});
        let plan = planned(&object(&spec), &ours(&json!({})));
        assert!(
            matches!(&plan, Plan::Stall(obstacle) if obstacle.message.contains(&format!("list /{form}"))),
            "{plan:?}"
        );
    }
}
