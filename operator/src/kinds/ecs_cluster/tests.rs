//! Tables for `plan` and `status`.

use std::sync::Arc;

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::{EcsCapacityProvider, EcsCluster, EcsClusterStatus};
use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector;
use kube::runtime::watcher::Event;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::observed::{ObservedCluster, read};
use super::{capacity, plan};
use crate::aws::ecs;
use crate::aws::observer::{Answer, Seen};
use crate::aws::tags::OWNER;
use crate::reconcile::kind::After;
use crate::reconcile::outcome::Outcome;
use crate::reconcile::plan::{Plan, Write};
use crate::reconcile::references::not_ready;
use crate::reconcile::report::status_after;
use crate::reconcile::stores::Builder;
use crate::reconcile::{Kind, Stores};
use crate::testkit::{Fixture, dependants, operations, owner, writes};
use crate::trigger::ObjectId;

const ARN: &str = "arn:aws:ecs:eu-central-1:111122223333:cluster/shop";

fn observed(changes: &Value) -> ObservedCluster {
    let mut cluster = json!({
        "clusterArn": ARN,
        "clusterName": "shop",
        "status": "ACTIVE",
        "capacityProviders": [],
        "defaultCapacityProviderStrategy": [],
        "settings": [{"name": "containerInsights", "value": "disabled"}],
        "tags": [{"key": OWNER, "value": owner("shop").tag()}],
    });
    for (name, value) in changes.as_object().into_iter().flatten() {
        cluster[name] = value.clone();
    }
    read(Seen {
        at: Instant::now(),
        answer: Answer::Found(Arc::new(cluster)),
    })
    .expect("a valid answer")
}

fn missing() -> ObservedCluster {
    read(Seen {
        at: Instant::now(),
        answer: Answer::Inactive,
    })
    .expect("a valid answer")
}

#[test]
fn a_missing_or_inactive_cluster_is_created() {
    let spec = json!({"settings": [{"name": "containerInsights", "value": "enabled"}], "deletionPolicy": "Retain"});
    let writes = writes(plan::plan(
        &EcsCluster::test("shop", &spec),
        &missing(),
        &owner("shop"),
    ));
    assert_eq!(writes[0].operation, ecs::CreateCluster);
    let expected = json!({
        "clusterName": "shop",
        "settings": [{"name": "containerInsights", "value": "enabled"}],
        "tags": [{"key": OWNER, "value": owner("shop").tag()}],
    });
    assert_eq!(writes[0].request, expected);
}

#[test]
fn each_member_goes_through_its_call() {
    let rows = [
        (json!({}), vec![]),
        (
            json!({"settings": [{"name": "containerInsights", "value": "enhanced"}]}),
            vec![(
                ecs::UpdateCluster,
                json!({"cluster": "shop", "settings": [{"name": "containerInsights", "value": "enhanced"}]}),
            )],
        ),
        (
            json!({"capacityProviders": ["FARGATE"]}),
            vec![(
                ecs::PutClusterCapacityProviders,
                json!({"cluster": "shop", "capacityProviders": ["FARGATE"], "defaultCapacityProviderStrategy": []}),
            )],
        ),
        (
            json!({"tags": [{"key": "team", "value": "a"}]}),
            vec![(
                ecs::TagResource,
                json!({"resourceArn": ARN, "tags": [{"key": "team", "value": "a"}]}),
            )],
        ),
    ];
    for (spec, expected) in rows {
        let plan = plan::plan(
            &EcsCluster::test("shop", &spec),
            &observed(&json!({})),
            &owner("shop"),
        );
        let found: Vec<_> = match plan {
            Plan::InSync => Vec::new(),
            plan => writes(plan)
                .into_iter()
                .map(|write| (write.operation, write.request))
                .collect(),
        };
        assert_eq!(found, expected, "{spec}");
    }
}

#[test]
fn resets_dropped_members_of_ecs_exec_only() {
    let exec = |exec: Value| json!({"executeCommandConfiguration": exec, "managedStorageConfiguration": {"kmsKeyId": "theirs"}});
    let shown = observed(
        &json!({"configuration": exec(json!({"kmsKeyId": "ours", "logging": "DEFAULT"}))}),
    );
    let spec = json!({"configuration": {"executeCommandConfiguration": {"kmsKeyId": "ours"}}});
    let with_key = EcsCluster::test("shop", &spec);
    let status = with_key.status_after(
        Some(&shown),
        &plan::plan(&with_key, &shown, &owner("shop")).into(),
    );
    assert_eq!(
        status.common.applied_members,
        Some(vec![
            "configuration.executeCommandConfiguration.kmsKeyId".to_owned()
        ])
    );
    let mut without = EcsCluster::test("shop", &json!({}));
    without.status = Some(status);
    let update = writes(plan::plan(&without, &shown, &owner("shop"))).remove(0);
    // ECS replaces the configuration as a whole.
    assert_eq!(
        update.request["configuration"],
        json!({
        "executeCommandConfiguration": {"logging": "DEFAULT"}, "managedStorageConfiguration": {"kmsKeyId": "theirs"}})
    );
    let after = observed(&json!({"configuration": exec(json!({"logging": "DEFAULT"}))}));
    assert_eq!(plan::plan(&without, &after, &owner("shop")), Plan::InSync);
}

#[test]
fn keeps_ecs_exec_members_that_others_set() {
    let shown = observed(
        &json!({"configuration": {"executeCommandConfiguration": {"kmsKeyId": "ours", "logging": "NONE"}}}),
    );
    let mut without = EcsCluster::test("shop", &json!({}));
    let applied = json!({"appliedMembers": ["configuration.executeCommandConfiguration.kmsKeyId"]});
    without.status = serde_json::from_value(applied).expect("a valid status");
    let update = writes(plan::plan(&without, &shown, &owner("shop"))).remove(0);
    assert_eq!(
        update.request["configuration"],
        json!({"executeCommandConfiguration": {"logging": "NONE"}})
    );
}

#[test]
fn managed_instances_providers_are_neither_compared_nor_sent() {
    let spec = json!({"capacityProviders": ["FARGATE", "managed"]});
    let mut shown = observed(&json!({"capacityProviders": ["FARGATE", "managed", "managed-2"]}));
    let plan = |spec: &Value, shown: &ObservedCluster| {
        plan::plan(&EcsCluster::test("shop", spec), shown, &owner("shop"))
    };
    assert_eq!(
        operations(&plan(&spec, &shown)),
        [ecs::PutClusterCapacityProviders],
        "those of Auto Scaling groups are"
    );
    shown.managed_instances = ["managed", "managed-2"].map(str::to_owned).into();
    assert_eq!(plan(&spec, &shown), Plan::InSync);
    let put = writes(plan(
        &json!({"capacityProviders": ["FARGATE_SPOT"]}),
        &shown,
    ))
    .remove(0);
    assert_eq!(put.request["capacityProviders"], json!(["FARGATE_SPOT"]));
}

#[test]
fn a_setting_that_only_aws_names_is_no_drift() {
    let spec = json!({"settings": [{"name": "containerInsights", "value": "disabled"}]});
    let shown = json!({"settings": [{"name": "later", "value": "on"}, {"name": "containerInsights", "value": "disabled"}]});
    assert_eq!(
        plan::plan(
            &EcsCluster::test("shop", &spec),
            &observed(&shown),
            &owner("shop")
        ),
        Plan::InSync
    );
}

#[test]
fn a_namespace_by_name_is_sent_when_the_spec_changes_it_and_at_no_other_time() {
    let (one, other) = (json!({"namespace": "shop"}), json!({"namespace": "desk"}));
    let arn = |id: &str| json!({"namespace": format!("arn:aws:servicediscovery:eu-central-1:1:namespace/{id}")});
    // The tags of a cluster that was sent this.
    let tagged = |sent: &Value| {
        let create = writes(plan::plan(
            &EcsCluster::test("shop", &json!({"serviceConnectDefaults": sent})),
            &missing(),
            &owner("shop"),
        ));
        create[0].request["tags"].clone()
    };
    let calls = |spec: &Value, tags: &Value, shown: &Value| -> Vec<_> {
        let observed = observed(&json!({"serviceConnectDefaults": shown, "tags": tags}));
        match plan::plan(
            &EcsCluster::test("shop", &json!({"serviceConnectDefaults": spec})),
            &observed,
            &owner("shop"),
        ) {
            Plan::InSync => Vec::new(),
            plan => writes(plan)
                .into_iter()
                .map(|write| {
                    (
                        write.operation,
                        write.request["serviceConnectDefaults"].clone(),
                    )
                })
                .collect(),
        }
    };
    let update = |namespace: &Value| (ecs::UpdateCluster, namespace.clone());
    let tag = || (ecs::TagResource, Value::Null);
    assert_eq!(calls(&one, &tagged(&one), &arn("ns-1")), []);
    assert_eq!(
        calls(&other, &tagged(&one), &arn("ns-1")),
        [update(&other), tag()],
        "another name"
    );
    assert_eq!(
        calls(&other, &tagged(&one), &arn("ns-2")),
        [update(&other), tag()],
        "the tag comes last, so it is sent again"
    );
    assert_eq!(calls(&other, &tagged(&other), &arn("ns-2")), []);
    assert_eq!(
        calls(&other, &tagged(&arn("ns-1")), &arn("ns-1")),
        [update(&other), tag()],
        "from an ARN to a name"
    );
    assert_eq!(
        calls(&arn("ns-1"), &tagged(&one), &arn("ns-1")),
        [tag()],
        "from a name to its ARN"
    );
    assert_eq!(
        calls(&arn("ns-2"), &tagged(&arn("ns-2")), &arn("ns-1")),
        [update(&arn("ns-2"))],
        "by somebody else"
    );
    assert_eq!(
        calls(&one, &tagged(&one), &json!(null)),
        [update(&one)],
        "taken away by somebody else"
    );
    let ours = json!([{"key": OWNER, "value": owner("shop").tag()}]);
    assert_eq!(
        calls(&one, &ours, &arn("ns-1")),
        [update(&one), tag()],
        "somebody else's, before the spec had one"
    );
    let adopting = json!({"serviceConnectDefaults": one, "adoptionPolicy": "IfUnowned"});
    let unowned = observed(&json!({"serviceConnectDefaults": arn("ns-1"), "tags": []}));
    let adopted = writes(plan::plan(
        &EcsCluster::test("shop", &adopting),
        &unowned,
        &owner("shop"),
    ));
    assert_eq!(
        adopted
            .iter()
            .map(|write| write.operation)
            .collect::<Vec<_>>(),
        [ecs::TagResource],
        "ours first"
    );
    // With the owner tag it is as above: the name of a namespace that the operator did not send is
    // not known.
    assert_eq!(
        calls(&one, &adopted[0].request["tags"], &arn("ns-1")),
        [update(&one), tag()]
    );
    assert_eq!(
        calls(&json!(null), &tagged(&one), &arn("ns-1")),
        [tag()],
        "not ours any more"
    );
}

#[test]
fn a_namespace_that_was_accepted_without_its_tag_is_taken_back_with_the_spec() {
    let spec = |name: &str| json!({"serviceConnectDefaults": {"namespace": name}});
    let arn = json!({"namespace": "arn:aws:servicediscovery:eu-central-1:1:namespace/ns-2"});
    let tags = writes(plan::plan(
        &EcsCluster::test("shop", &spec("shop")),
        &missing(),
        &owner("shop"),
    ))[0]
        .request["tags"]
        .clone();
    let shown = observed(&json!({"serviceConnectDefaults": arn, "tags": tags}));
    let edited = EcsCluster::test("shop", &spec("desk"));
    let accepted = writes(plan::plan(&edited, &shown, &owner("shop")));
    let mut status = edited.status.clone().unwrap_or_default();
    plan::remember_sent(&edited, &mut status, &accepted[..1], None);
    let known = |name: &str, status: &EcsClusterStatus| EcsCluster {
        status: Some(status.clone()),
        ..EcsCluster::test("shop", &spec(name))
    };
    let again = writes(plan::plan(&known("desk", &status), &shown, &owner("shop")));
    assert_eq!(
        again
            .iter()
            .map(|write| write.operation)
            .collect::<Vec<_>>(),
        [ecs::TagResource]
    );
    let back = writes(plan::plan(&known("shop", &status), &shown, &owner("shop")));
    assert_eq!(
        back[0].request["serviceConnectDefaults"],
        json!({"namespace": "shop"})
    );
    plan::remember_sent(&edited, &mut status, &[], Some(&accepted[0]));
    assert_eq!(status.hidden_hash.as_deref(), Some("unknown"));
}

#[test]
fn a_cluster_without_a_namespace_has_no_hash() {
    let create = writes(plan::plan(
        &EcsCluster::test("shop", &json!({})),
        &missing(),
        &owner("shop"),
    ));
    assert_eq!(
        create[0].request["tags"],
        json!([{"key": OWNER, "value": owner("shop").tag()}])
    );
}

#[test]
fn a_cluster_is_deleted_only_when_it_is_empty_and_ours() {
    let deleting = EcsCluster::test("shop", &json!({})).deleting();
    let plan = |observed: &ObservedCluster| plan::plan(&deleting, observed, &owner("shop"));
    assert_eq!(
        writes(plan(&observed(&json!({}))))[0].request,
        json!({"cluster": "shop"})
    );
    assert_eq!(plan(&missing()), Plan::Gone);
    assert_eq!(plan(&observed(&json!({"tags": []}))), Plan::Gone);

    let mut full = observed(&json!({"registeredContainerInstancesCount": 2}));
    full.dependants = dependants(&["api", "web"]);
    full.blockers.services = vec!["legacy".into()];
    full.blockers.tasks = vec!["0123".into()];
    let Plan::Wait(obstacle) = plan(&full) else {
        panic!("it has to wait")
    };
    assert_eq!(obstacle.reason, Reason::DeletionBlocked);
    for words in [
        "EcsService api, web",
        "service in ECS legacy",
        "task in ECS 0123",
        "container instances in ECS 2",
    ] {
        assert!(obstacle.message.contains(words), "{}", obstacle.message);
    }
}

#[test]
fn a_cluster_whose_owner_tag_was_taken_away_is_left_with_words() {
    let mut deleting = EcsCluster::test("shop", &json!({})).deleting();
    deleting.status = serde_json::from_value(json!({"clusterArn": "arn"})).expect("a valid status");
    let plan = |deleting: &EcsCluster, tags: &Value| {
        plan::plan(deleting, &observed(&json!({"tags": tags})), &owner("shop"))
    };
    let words = |plan: Plan| {
        if let Plan::Left(words) = plan {
            words
        } else {
            panic!("{plan:?}")
        }
    };
    assert!(
        words(plan(&deleting, &json!([])))
            .starts_with("cluster shop is left in AWS, because this object does not own it: it does not carry the tag")
    );
    let others = json!([{"key": OWNER, "value": "k8s/other/shop/u-9"}]);
    assert!(
        words(plan(&deleting, &others))
            .contains("belongs to another custom resource now (k8s/other/shop/u-9)")
    );
    // A pass before the deletion may have reported the loss already.
    let seen = observed(&json!({"tags": others}));
    let conflict = plan::plan(
        &EcsCluster {
            metadata: EcsCluster::test("shop", &json!({})).metadata,
            ..deleting.clone()
        },
        &seen,
        &owner("shop"),
    );
    deleting.status = Some(deleting.status_after(Some(&seen), &conflict.into()));
    assert!(words(plan(&deleting, &others)).contains("belongs to another"));
    // What never was its own.
    deleting.status.as_mut().unwrap().cluster_arn = None;
    assert_eq!(plan(&deleting, &others), Plan::Gone);
}

#[test]
fn a_retained_cluster_waits_for_its_services_and_for_nothing_else() {
    let retained = EcsCluster::test("shop", &json!({"deletionPolicy": "Retain"})).deleting();
    let mut seen = observed(&json!({}));
    seen.blockers.services = vec!["legacy".into()];
    let marks = writes(plan::plan(&retained, &seen, &owner("shop"))).remove(0);
    assert_eq!(
        marks.request,
        json!({"resourceArn": ARN, "tags": [{"key": "ecs-operator.dev/retained", "value": "true"}]})
    );
    seen.dependants = dependants(&["web"]);
    assert!(
        matches!(plan::plan(&retained, &seen, &owner("shop")), Plan::Wait(obstacle) if obstacle.reason == Reason::DeletionBlocked)
    );
}

#[test]
fn ready_is_an_active_cluster() {
    for (state, ready) in [
        ("ACTIVE", "True"),
        ("PROVISIONING", "Unknown"),
        ("FAILED", "False"),
    ] {
        let seen = observed(&json!({"status": state, "runningTasksCount": 4}));
        let status =
            EcsCluster::test("shop", &json!({})).status_after(Some(&seen), &Outcome::InSync);
        assert_eq!(status.common.conditions[0].status, ready, "{state}");
        assert_eq!(status.running_tasks_count, Some(4));
    }
}

#[test]
fn is_ready_when_its_capacity_providers_are_attached() {
    let spec = EcsCluster::test("shop", &json!({"capacityProviders": ["asg"]}));
    let seen = |attachments: &str, providers: Value| {
        observed(&json!({"attachmentsStatus": attachments, "capacityProviders": providers}))
    };
    for (attachments, ready) in [
        ("UPDATE_COMPLETE", "True"),
        ("UPDATE_IN_PROGRESS", "Unknown"),
        ("UPDATE_FAILED", "False"),
    ] {
        let seen = seen(attachments, json!(["asg"]));
        let status = spec.status_after(Some(&seen), &Outcome::InSync);
        assert_eq!(status.common.conditions[0].status, ready, "{attachments}");
    }
    // Attachments that others made do not concern a spec without capacity providers.
    let status = EcsCluster::test("shop", &json!({})).status_after(
        Some(&seen("UPDATE_FAILED", json!(["theirs"]))),
        &Outcome::InSync,
    );
    assert_eq!(status.common.conditions[0].status, "True");
    // A user can ask for another try.
    let failed = seen("UPDATE_FAILED", json!(["asg"]));
    assert_eq!(plan::plan(&spec, &failed, &owner("shop")), Plan::InSync);
    let asking = spec.clone().with(&json!({"metadata": {"annotations": {
        "ecs-operator.dev/reconcileAt": "now"}}}));
    let again = writes(plan::plan(&asking, &failed, &owner("shop")));
    assert_eq!(again[0].operation, ecs::PutClusterCapacityProviders);
    // ECS refuses another change until then.
    let waiting = plan::plan(
        &spec,
        &seen("UPDATE_IN_PROGRESS", json!([])),
        &owner("shop"),
    );
    assert!(
        matches!(&waiting, Plan::Wait(obstacle) if obstacle.passing),
        "{waiting:?}"
    );
    let put = writes(plan::plan(
        &spec,
        &seen("UPDATE_COMPLETE", json!([])),
        &owner("shop"),
    ));
    assert_eq!(put[0].operation, ecs::PutClusterCapacityProviders);
    // The request is open until the call is made.
    let handled = |outcome: &Outcome, accepted: &[Write]| {
        let failed = seen("UPDATE_FAILED", json!(["theirs"]));
        let after = After {
            observed: Some(&failed),
            outcome,
            accepted,
            unanswered: None,
            now: Timestamp::UNIX_EPOCH,
        };
        status_after(&asking, &after)
            .common
            .last_handled_reconcile_at
    };
    assert_eq!(handled(&Outcome::Queued(Instant::now()), &[]), None);
    assert_eq!(handled(&Outcome::Unfinished, &put).as_deref(), Some("now"));
}

#[test]
fn hides_the_state_of_a_cluster_with_another_owner() {
    let object = EcsCluster::test("shop", &json!({}));
    for tags in [
        json!([]),
        json!([{"key": OWNER, "value": "k8s/other/shop/u-9"}]),
    ] {
        let seen = observed(&json!({"tags": tags, "runningTasksCount": 4}));
        let outcome = plan::plan(&object, &seen, &owner("shop")).into();
        let status = object.status_after(Some(&seen), &outcome);
        assert_eq!(
            (
                status.common.conditions[0].status.as_str(),
                status.running_tasks_count
            ),
            ("False", None),
            "{tags}"
        );
    }
}

/// A spec that lists a provider of a group and has Managed Instances in its strategy.
fn with_providers() -> EcsCluster {
    let spec = json!({
        "capacityProviders": ["FARGATE", "workers"],
        "defaultCapacityProviderStrategy": [{"capacityProvider": "managed", "weight": 1}],
    });
    EcsCluster::test("shop", &spec)
}

/// The stores with EcsCapacityProviders of these names, in this state in ECS and not Ready.
fn providers(state: Option<&str>, names: &[&str]) -> Stores {
    let (store, mut writer) = reflector::store::<EcsCapacityProvider>();
    let mut stores = Builder::default();
    stores.add(store, EcsCapacityProvider::SHAPE.refers_to);
    let stores = stores.build();
    for name in names {
        let ready = json!({"type": "Ready", "status": "False", "reason": "Observing", "message": "it differs",
            "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let status = json!({"observedGeneration": 1, "status": state, "conditions": [ready]});
        let object = EcsCapacityProvider::test(name, &json!({"autoScalingGroupProvider": null}))
            .with(&json!({"status": status}));
        let id = ObjectId::of(&object);
        stores
            .references
            .apply(&id, object.aws_name(), object.references());
        writer.apply_watcher_event(&Event::Apply(object));
    }
    stores
}

#[test]
fn attaches_providers_when_they_are_active() {
    let object = with_providers();
    let why = |stores: &Stores, cluster: Option<&ObservedCluster>| {
        let cluster = cluster.and_then(|observed| observed.cluster.as_ref());
        capacity::obstacle(&object, cluster, stores).map(|obstacle| obstacle.message)
    };
    let both = ["workers", "managed"];
    assert_eq!(why(&providers(Some("ACTIVE"), &both), None), None);
    let waits = why(&providers(Some("PROVISIONING"), &both), None);
    assert!(
        waits
            .is_some_and(|message| message.starts_with("EcsCapacityProvider workers is not ready"))
    );
    assert_eq!(why(&providers(None, &[]), None), None, "ECS judges them");
    // What the cluster has already needs no more.
    let strategy = json!([{"capacityProvider": "managed", "weight": 1, "base": 0}]);
    let attached = observed(&json!({"capacityProviders": ["workers", "managed"]}));
    let in_use = observed(
        &json!({"capacityProviders": ["workers", "managed"], "defaultCapacityProviderStrategy": strategy}),
    );
    let stores = providers(Some("DEPROVISIONING"), &both);
    let waits = why(&stores, Some(&attached));
    assert!(waits.is_some_and(|message| message.contains("EcsCapacityProvider managed")));
    assert_eq!(why(&stores, Some(&in_use)), None);
}

#[test]
fn a_cluster_is_created_before_its_providers_are_ready() {
    let mut missing = missing();
    let obstacle = not_ready("not yet".to_owned(), true);
    missing.provider_obstacle = Some(obstacle.clone());
    let create = writes(plan::plan(&with_providers(), &missing, &owner("shop"))).remove(0);
    let members: Vec<_> = create.request.as_object().unwrap().keys().collect();
    assert_eq!(members, ["clusterName", "tags"]);
    let mut created = observed(&json!({}));
    created.provider_obstacle = Some(obstacle.clone());
    assert_eq!(
        plan::plan(&with_providers(), &created, &owner("shop")),
        Plan::Wait(obstacle)
    );
    created.provider_obstacle = None;
    let put = writes(plan::plan(&with_providers(), &created, &owner("shop"))).remove(0);
    assert_eq!(put.operation, ecs::PutClusterCapacityProviders);
}

#[test]
fn takes_managed_instances_out_of_the_strategy_at_the_end() {
    let deleting = with_providers().deleting();
    let strategy = json!([{"capacityProvider": "managed"}, {"capacityProvider": "workers"}]);
    let mut seen = observed(
        &json!({"capacityProviders": ["workers", "managed"], "defaultCapacityProviderStrategy": strategy}),
    );
    seen.managed_instances = ["managed".to_owned()].into();
    seen.dependants = dependants(&["web"]);
    let plan = |seen: &ObservedCluster| plan::plan(&deleting, seen, &owner("shop"));
    assert!(
        matches!(plan(&seen), Plan::Wait(_)),
        "its services go first"
    );
    seen.dependants.objects = vec![ObjectId::new::<EcsCapacityProvider>(
        Some("default"),
        "managed",
    )];
    let put = writes(plan(&seen)).remove(0);
    assert_eq!(
        put.request,
        json!({"cluster": "shop", "capacityProviders": ["workers"],
            "defaultCapacityProviderStrategy": [{"capacityProvider": "workers"}]})
    );
    // After it the cluster waits for the provider.
    let mut seen = ObservedCluster {
        cluster: observed(&json!({"capacityProviders": ["workers", "managed"]})).cluster,
        ..seen
    };
    assert!(
        matches!(plan(&seen), Plan::Wait(obstacle) if obstacle.message.contains("EcsCapacityProvider managed"))
    );
    seen.dependants.objects.clear();
    assert_eq!(operations(&plan(&seen)), [ecs::DeleteCluster]);
}
