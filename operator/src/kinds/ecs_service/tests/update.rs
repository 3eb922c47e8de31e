//! Which members go into UpdateService, and when.

use super::*;
use crate::testkit::samples;

#[test]
fn defaults_and_order_of_aws_are_in_sync() {
    assert_eq!(planned(&spec(), Some(described())), Plan::InSync);
}

#[test]
fn each_change_sends_its_member_and_no_other() {
    let rows = [
        (json!({"desiredCount": 5}), json!({"desiredCount": 2})),
        (
            json!({"taskDefinition": REVISION.replace(":3", ":2")}),
            json!({"taskDefinition": REVISION}),
        ),
        (
            json!({"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-a"]}}}),
            json!({"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-a", "subnet-b"]}}}),
        ),
    ];
    for (change, sent) in rows {
        let writes = writes(planned(&spec(), Some(with(&change))));
        assert_eq!(writes.len(), 1);
        assert_eq!(writes[0].operation, ecs::UpdateService);
        let mut expected = sent.clone();
        expected["cluster"] = json!("shop");
        expected["service"] = json!("web");
        assert_eq!(writes[0].request, expected);
        let member = sent.as_object().unwrap().keys().next().unwrap();
        assert!(
            writes[0].note.contains(member.as_str()),
            "{}",
            writes[0].note
        );
    }
}

#[test]
fn members_that_ecs_does_not_show_are_sent_once_when_they_change() {
    let mut spec = spec();
    spec["serviceConnectConfiguration"] = json!({"enabled": true, "namespace": "shop"});
    let first = writes(planned(&spec, Some(described())));
    assert_eq!(first[0].operation, ecs::UpdateService);
    assert_eq!(
        first[0].request["serviceConnectConfiguration"]["namespace"],
        "shop"
    );
    assert_eq!(first[1].operation, ecs::TagResource);
    let mut tagged = described();
    tagged["tags"][1]["value"] = first[1].request["tags"][0]["value"].clone();
    assert_eq!(planned(&spec, Some(tagged)), Plan::InSync);
}

#[test]
fn members_that_the_spec_drops_are_set_back_once() {
    let rows = [
        (
            "loadBalancers",
            json!([{"targetGroupArn": "t"}]),
            json!({"loadBalancers": []}),
        ),
        (
            "serviceConnectConfiguration",
            json!({"enabled": true}),
            json!({"serviceConnectConfiguration": {"enabled": false}}),
        ),
        (
            "deploymentConfiguration",
            json!({"deploymentCircuitBreaker": {"enable": true, "rollback": true}, "maximumPercent": 200}),
            json!({"deploymentConfiguration": {
                "deploymentCircuitBreaker": {"enable": false, "rollback": false}, "maximumPercent": 200}}),
        ),
        (
            "deploymentConfiguration",
            json!({"strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 10, "canaryBakeTimeInMinutes": 1}}),
            json!({"deploymentConfiguration": {"strategy": "ROLLING"}}),
        ),
        (
            "networkConfiguration",
            json!({"awsvpcConfiguration": {"subnets": ["subnet-a", "subnet-b"], "assignPublicIp": "ENABLED"}}),
            json!({"networkConfiguration": {"awsvpcConfiguration": {
                "subnets": ["subnet-a", "subnet-b"], "assignPublicIp": "DISABLED"}}}),
        ),
    ];
    for (member, value, reset) in rows {
        let mut before = spec();
        before[member] = value.clone();
        let mut shown = with(&json!({member: value}));
        let tags = writes(planned(&before, None))[0].request["tags"].clone();
        shown["tags"] = tags;
        let seen = observed(Some(shown.clone()));
        let status = object(&before, &json!({})).status_after(Some(&seen), &Outcome::InSync);
        let without = object(
            &spec(),
            &json!({"status": serde_json::to_value(&status).unwrap()}),
        );
        let update = writes(plan::plan(&without, &seen, &owner())).remove(0);
        assert_eq!(update.operation, ecs::UpdateService, "{member}");
        let (name, value) = reset.as_object().unwrap().iter().next().unwrap();
        assert_eq!(update.request[name], *value);

        // Once AWS shows it, nothing is left to do, and nothing is remembered.
        let after = with(&reset);
        assert_eq!(
            plan::plan(&without, &observed(Some(after.clone())), &owner()),
            Plan::InSync,
            "{member}"
        );
        let status = without.status_after(Some(&observed(Some(after))), &Outcome::InSync);
        assert_eq!(status.common.applied_members, None, "{member}");
    }
}

/// What the status remembers of an object, for a later spec.
fn remembering(spec: &Value, before: &EcsService) -> EcsService {
    EcsService {
        status: before.status.clone(),
        ..object(spec, &json!({}))
    }
}

#[test]
fn sends_absent_and_ignored_members_as_they_are_live() {
    let theirs = json!({"awsvpcConfiguration": {
        "subnets": ["subnet-a"], "securityGroups": ["sg-theirs"], "assignPublicIp": "ENABLED"}});
    let shown = with(&json!({"networkConfiguration": theirs}));
    let mut left = spec();
    left["networkConfiguration"]["awsvpcConfiguration"]["securityGroups"] = json!(["sg-ours"]);
    left["ignoreFields"] = json!(["/networkConfiguration/awsvpcConfiguration/securityGroups"]);
    for spec in [spec(), left] {
        let update = writes(planned(&spec, Some(shown.clone()))).remove(0);
        assert_eq!(
            update.note,
            "Updated service web in cluster shop: networkConfiguration.awsvpcConfiguration.subnets"
        );
        let expected = json!({"awsvpcConfiguration": {
            "subnets": ["subnet-a", "subnet-b"], "securityGroups": ["sg-theirs"], "assignPublicIp": "ENABLED"}});
        assert_eq!(update.request["networkConfiguration"], expected);
    }
}

#[test]
fn an_element_of_a_list_is_the_spec_alone() {
    let mut spec = spec();
    let balancer = |advanced: &Value| {
        let mut balancer =
            json!({"targetGroupArn": "t", "containerName": "web", "containerPort": 80});
        balancer["advancedConfiguration"] = advanced.clone();
        json!([balancer])
    };
    spec["loadBalancers"] =
        json!([{"targetGroupArn": "t", "containerName": "web", "containerPort": 80}]);
    let shifting = with(
        &json!({"loadBalancers": balancer(&json!({"alternateTargetGroupArn": "u", "roleArn": "r"}))}),
    );
    let update = writes(planned(&spec, Some(shifting))).remove(0);
    assert_eq!(
        update.request["loadBalancers"], spec["loadBalancers"],
        "what the strategy before needed goes"
    );
    spec["loadBalancers"] = balancer(&json!({"alternateTargetGroupArn": "u", "roleArn": "r"}));
    let testing = json!({"alternateTargetGroupArn": "u", "roleArn": "r", "testListenerRule": "l"});
    assert_eq!(
        operations(&planned(
            &spec,
            Some(with(&json!({"loadBalancers": balancer(&testing)})))
        )),
        [ecs::UpdateService]
    );
}

#[test]
fn a_change_beside_swapped_target_groups_does_not_swap_them_back() {
    let balancer = |one: &str, other: &str, port: u16| {
        json!([{"targetGroupArn": one, "containerName": "web", "containerPort": port,
            "advancedConfiguration": {"alternateTargetGroupArn": other, "productionListenerRule": "r", "roleArn": "a"}}])
    };
    let mut spec = spec();
    spec["loadBalancers"] = balancer("blue", "green", 81);
    let update = |shown: Value| {
        writes(planned(&spec, Some(with(&json!({"loadBalancers": shown}))))).remove(0)
    };
    assert_eq!(
        update(balancer("green", "blue", 80)).request["loadBalancers"],
        balancer("green", "blue", 81)
    );
    assert_eq!(
        update(balancer("red", "blue", 80)).request["loadBalancers"],
        balancer("blue", "green", 81),
        "other groups"
    );
}

#[test]
fn remembers_accepted_writes_of_a_failed_pass() {
    let mut with_exec = spec();
    with_exec["enableExecuteCommand"] = json!(true);
    let object = object(&with_exec, &json!({}));
    let shown = observed(Some(with(&json!({"enableExecuteCommand": false}))));
    let update = writes(plan::plan(&object, &shown, &owner()));
    let error =
        crate::aws::AwsError::new(ecs::TagResource, crate::aws::ErrorKind::Server, "no reply");
    let mut status = object.status_after(Some(&shown), &Outcome::Failed(error));
    assert_eq!(status.common.applied_members, None);
    remember(&object, &mut status, &update, None);
    let dropped = remembering(
        &spec(),
        &EcsService {
            status: Some(status),
            ..object
        },
    );
    let back = writes(plan::plan(
        &dropped,
        &observed(Some(with(&json!({"enableExecuteCommand": true})))),
        &owner(),
    ));
    assert_eq!(back[0].request["enableExecuteCommand"], false);
}

#[test]
fn a_daemon_has_other_percentages_to_go_back_to() {
    let back = |strategy: &str| {
        let mut before = spec();
        before["schedulingStrategy"] = json!(strategy);
        before["deploymentConfiguration"] =
            json!({"maximumPercent": 150, "minimumHealthyPercent": 50});
        let shown = with(
            &json!({"schedulingStrategy": strategy, "deploymentConfiguration": before["deploymentConfiguration"]}),
        );
        let known = after_pass(
            &object(&before, &json!({})),
            &observed(Some(shown.clone())),
            10,
        )
        .1;
        before
            .as_object_mut()
            .unwrap()
            .remove("deploymentConfiguration");
        let update = writes(plan::plan(
            &remembering(&before, &known),
            &observed(Some(shown)),
            &owner(),
        ))
        .remove(0);
        update.request["deploymentConfiguration"].clone()
    };
    assert_eq!(
        back("REPLICA"),
        json!({"maximumPercent": 200, "minimumHealthyPercent": 100})
    );
    assert_eq!(
        back("DAEMON"),
        json!({"maximumPercent": 100, "minimumHealthyPercent": 0})
    );
}

#[test]
fn swapped_target_groups_are_no_drift_and_other_ones_are() {
    let balancer = |one: &str, other: &str| {
        json!([{"targetGroupArn": one, "containerName": "web", "containerPort": 80,
            "advancedConfiguration": {"alternateTargetGroupArn": other, "productionListenerRule": "r", "roleArn": "a"}}])
    };
    let mut spec = spec();
    spec["loadBalancers"] = balancer("blue", "green");
    for (shown, in_sync) in [
        (balancer("blue", "green"), true),
        (balancer("green", "blue"), true),
        (balancer("blue", "red"), false),
    ] {
        let plan = planned(&spec, Some(with(&json!({"loadBalancers": shown}))));
        assert_eq!(plan == Plan::InSync, in_sync, "{shown}");
    }
}

#[test]
fn service_connect_that_others_change_is_set_back_once() {
    let mut spec = spec();
    spec["serviceConnectConfiguration"] = json!({"enabled": true, "namespace": "shop"});
    // ECS shows the namespace as an ARN, in the deployment.
    let shown = |namespace: &str| {
        let connect = json!({"enabled": true, "namespace": format!("arn:aws:servicediscovery:::namespace/{namespace}")});
        let mut service = with(
            &json!({"deployments": [{"status": "PRIMARY", "rolloutState": "COMPLETED", "taskDefinition": REVISION,
            "serviceConnectConfiguration": connect}]}),
        );
        service["tags"] = writes(planned(&spec, None))[0].request["tags"].clone();
        observed(Some(service))
    };
    let status_after = |object: &EcsService, seen: &ObservedService, outcome: &Outcome| {
        let status = object.status_after(Some(seen), outcome);
        EcsService {
            status: Some(status),
            ..object.clone()
        }
    };
    let plan = |object: &EcsService, seen: &ObservedService| plan::plan(object, seen, &owner());
    let fresh = object(&spec, &json!({}));
    assert_eq!(plan(&fresh, &shown("ns-1")), Plan::InSync);
    let settled = status_after(&fresh, &shown("ns-1"), &Outcome::InSync);
    assert_eq!(plan(&settled, &shown("ns-1")), Plan::InSync);
    let repair = writes(plan(&settled, &shown("ns-2")));
    assert_eq!(
        repair[0].request["serviceConnectConfiguration"]["namespace"],
        "shop"
    );
    // Whatever ECS makes of it, it is not sent again.
    let unheeded = status_after(&settled, &shown("ns-2"), &Outcome::NoEffect(repair));
    assert_eq!(plan(&unheeded, &shown("ns-2")), Plan::InSync);
}

#[test]
fn a_foreign_deployment_controller_keeps_what_is_its_own() {
    let mut spec = spec();
    spec["deploymentController"] = json!({"type": "CODE_DEPLOY"});
    let shown = json!({"deploymentController": {"type": "CODE_DEPLOY"}, "taskDefinition": REVISION.replace(":3", ":9"), "desiredCount": 5,
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["other"]}}});
    let update = writes(planned(&spec, Some(with(&shown)))).remove(0);
    assert_eq!(
        update.request,
        json!({"cluster": "shop", "service": "web", "desiredCount": 2})
    );
    // What it does not take is said, until CodeDeploy has brought it or it is left to it.
    let scaled = |shown: &Value| {
        let mut shown = with(shown);
        shown["desiredCount"] = json!(2);
        planned(&spec, Some(shown))
    };
    let words = "networkConfiguration.awsvpcConfiguration.subnets, taskDefinition of service web in cluster shop";
    assert!(
        matches!(scaled(&shown), Plan::Wait(obstacle) if obstacle.reason == Reason::LeftToDeploymentController && obstacle.message.contains(words))
    );
    let mut swapped = json!({"deploymentController": {"type": "CODE_DEPLOY"}});
    swapped["loadBalancers"] = json!([{"targetGroupArn": "green"}]);
    assert_eq!(scaled(&swapped), Plan::InSync);
}

#[test]
fn a_literal_family_runs_whatever_revision_ecs_took() {
    let rows = [
        ("web", true),
        ("web:3", true),
        (REVISION, true),
        ("web:4", false),
        ("webs", false),
    ];
    for (literal, in_sync) in rows {
        let mut observed = observed(Some(described()));
        observed.task_definition = Resolved::To(literal.into());
        let plan = plan::plan(&object(&spec(), &json!({})), &observed, &owner());
        assert_eq!(plan == Plan::InSync, in_sync, "{literal}");
    }
}

#[test]
fn a_hidden_part_that_is_left_to_others_goes_along_as_they_left_it() {
    let mut spec = spec();
    spec["serviceConnectConfiguration"] =
        json!({"enabled": true, "namespace": "ours", "services": []});
    spec["monitoring"] = json!({"metricConfigurations": [{"metricNames": ["CPUUtilization"], "resolutionSeconds": 20}]});
    spec["ignoreFields"] = json!([
        "/serviceConnectConfiguration/namespace",
        "/monitoring/metricConfigurations"
    ]);
    let mut shown = described();
    shown["deployments"][0]["serviceConnectConfiguration"] =
        json!({"enabled": true, "namespace": "theirs"});
    let update = writes(planned(&spec, Some(shown))).remove(0).request;
    assert_eq!(
        update["serviceConnectConfiguration"],
        json!({"enabled": true, "namespace": "theirs", "services": []})
    );
    // Of this nothing is to be seen.
    assert_eq!(update["monitoring"], spec["monitoring"]);
}

#[test]
fn adoption_sends_only_what_the_service_does_not_show() {
    let mut spec = spec();
    spec["adoptionPolicy"] = json!("IfUnowned");
    spec["serviceConnectConfiguration"] = json!({"enabled": true, "namespace": "shop"});
    let shown = |connect: &Value| {
        let mut service = described();
        service["tags"].as_array_mut().unwrap().pop();
        service["deployments"][0]["serviceConnectConfiguration"] = connect.clone();
        service
    };
    let same = shown(
        &json!({"enabled": true, "namespace": "arn:aws:servicediscovery:eu-central-1:1:namespace/ns-1", "services": []}),
    );
    let tags = writes(planned(&spec, Some(same)));
    assert_eq!(
        tags.iter().map(|write| write.operation).collect::<Vec<_>>(),
        [ecs::TagResource],
        "no deployment"
    );
    for other in [json!({"enabled": false}), Value::Null] {
        let writes = writes(planned(&spec, Some(shown(&other))));
        assert_eq!(writes[0].operation, ecs::UpdateService, "{other}");
    }
}

#[test]
fn a_change_of_our_own_is_not_taken_for_one_of_others() {
    let mut spec = spec();
    spec["serviceConnectConfiguration"] = json!({"enabled": true, "namespace": "shop"});
    let shown = |namespace: &str, hash_of: &Value| {
        let mut service = described();
        service["deployments"][0]["serviceConnectConfiguration"] =
            json!({"enabled": true, "namespace": namespace});
        let unseen = json!({"serviceConnectConfiguration": hash_of["serviceConnectConfiguration"]});
        service["tags"][1]["value"] = json!(tagged_hash(&owner(), &unseen));
        observed(Some(service))
    };
    let (plan, known) = after_pass(&object(&spec, &json!({})), &shown("shop", &spec), 10);
    assert_eq!(plan, Plan::InSync);
    // A new spec waits for its task definition first, and is sent then.
    spec["serviceConnectConfiguration"]["namespace"] = json!("desk");
    let mut edited = object(&spec, &json!({}));
    (edited.status, edited.metadata.generation) = (known.status, Some(4));
    let obstacle = Obstacle {
        reason: Reason::DependencyNotReady,
        message: "being worked on".into(),
        passing: true,
        all_else_sent: false,
    };
    let mut before = shown(
        "shop",
        &json!({"serviceConnectConfiguration": {"enabled": true, "namespace": "shop"}}),
    );
    let waiting = ObservedService {
        task_definition: Resolved::NotYet(obstacle),
        ..before.clone()
    };
    let (_, edited) = after_pass(&edited, &waiting, 20);
    before.at = Instant::now();
    assert_eq!(
        operations(&plan::plan(&edited, &before, &owner())),
        [ecs::UpdateService, ecs::TagResource]
    );
    assert_eq!(
        plan::plan(&edited, &shown("desk", &spec), &owner()),
        Plan::InSync,
        "sent, and not again"
    );
}

#[test]
fn the_strategy_of_the_cluster_is_asked_for_once() {
    let mut spec = spec();
    spec["launchType"].take();
    spec["capacityProviderStrategy"] = json!([]);
    let own = json!([{"capacityProvider": "FARGATE_SPOT", "weight": 1, "base": 0}]);
    let mut shown = with(&json!({"launchType": null, "capacityProviderStrategy": own}));
    let first = writes(planned(&spec, Some(shown.clone())));
    assert_eq!(first[0].request["capacityProviderStrategy"], json!([]));
    assert_eq!(first[0].request["forceNewDeployment"], true);
    // ECS shows that of the cluster as if it were the service's own.
    shown["tags"][1]["value"] = first[1].request["tags"][0]["value"].clone();
    assert_eq!(planned(&spec, Some(shown.clone())), Plan::InSync);
    shown["tags"] = json!([]);
    spec["adoptionPolicy"] = json!("IfUnowned");
    let adopted = writes(planned(&spec, Some(shown)));
    assert_eq!(
        adopted
            .iter()
            .map(|write| write.operation)
            .collect::<Vec<_>>(),
        [ecs::TagResource]
    );
    let mut ours = with(&json!({"launchType": null, "capacityProviderStrategy": own}));
    ours["tags"] = adopted[0].request["tags"].clone();
    let rest = writes(planned(&spec, Some(ours)));
    assert_eq!(
        rest.iter().map(|write| write.operation).collect::<Vec<_>>(),
        [ecs::TagResource],
        "no deployment"
    );
}

#[test]
fn does_not_reset_ignored_or_observed_members() {
    let balancers = json!([{"targetGroupArn": "t", "containerName": "web", "containerPort": 80}]);
    let mut tagged = with(&json!({"loadBalancers": balancers}));
    tagged["tags"]
        .as_array_mut()
        .unwrap()
        .push(json!({"key": "team", "value": "theirs"}));
    for (member, value) in [
        ("ignoreFields", json!(["/loadBalancers", "/tags"])),
        ("managementPolicy", json!("Observe")),
    ] {
        let mut before = spec();
        before["loadBalancers"] = balancers.clone();
        before["tags"] = json!([{"key": "team", "value": "theirs"}]);
        before[member] = value;
        let (plan, known) = after_pass(
            &object(&before, &json!({})),
            &observed(Some(tagged.clone())),
            10,
        );
        assert_eq!(plan, Plan::InSync, "{member}");
        let after = EcsService {
            status: known.status,
            ..object(&spec(), &json!({}))
        };
        assert_eq!(
            plan::plan(&after, &observed(Some(tagged.clone())), &owner()),
            Plan::InSync,
            "{member}"
        );
    }
}

#[test]
fn does_not_report_deployments_of_another_controller_as_sent() {
    let code_deploy = |changes: &Value| {
        let mut service = with(changes);
        service["deploymentController"] = json!({"type": "CODE_DEPLOY"});
        service
    };
    let mut spec = spec();
    spec["placementConstraints"] = json!([{"type": "distinctInstance"}]);
    spec["enableExecuteCommand"] = json!(true);
    let shown = code_deploy(
        &json!({"placementConstraints": spec["placementConstraints"], "enableExecuteCommand": false}),
    );
    let (plan, known) = after_pass(
        &object(&spec, &json!({})),
        &observed(Some(shown.clone())),
        10,
    );
    assert!(
        matches!(plan, Plan::Wait(obstacle) if obstacle.reason == Reason::LeftToDeploymentController)
    );
    spec.as_object_mut().unwrap().remove("placementConstraints");
    let dropped = EcsService {
        status: known.status,
        ..object(&spec, &json!({}))
    };
    let update = writes(plan::plan(&dropped, &observed(Some(shown)), &owner()));
    assert_eq!(update[0].request["placementConstraints"], json!([]));
    // Back to ECS, with something that only ECS brings.
    spec["deploymentController"] = json!({"type": "ECS"});
    spec["serviceConnectConfiguration"] = json!({"enabled": true});
    let update = writes(planned(&spec, Some(code_deploy(&json!({})))));
    assert_eq!(
        update
            .iter()
            .map(|write| write.operation)
            .collect::<Vec<_>>(),
        [ecs::UpdateService],
        "no new hash yet"
    );
    let update = writes(planned(
        &spec,
        Some(with(&json!({"enableExecuteCommand": true}))),
    ));
    assert_eq!(
        update[0].request["serviceConnectConfiguration"],
        json!({"enabled": true})
    );
}

#[test]
fn a_new_revision_is_no_repair_and_a_foreign_one_is() {
    let (_, ready) = after_pass(
        &object(&spec(), &json!({})),
        &observed(Some(described())),
        1,
    );
    let foreign = observed(Some(with(
        &json!({"taskDefinition": REVISION.replace(":3", ":2")}),
    )));
    assert!(
        !wants_another_revision(&ready, &foreign),
        "somebody else took another one"
    );
    let next = ObservedService {
        task_definition: Resolved::To(REVISION.replace(":3", ":4")),
        ..observed(Some(described()))
    };
    assert!(
        wants_another_revision(&ready, &next),
        "the EcsTaskDefinition has another one"
    );
}

/// Any other hash would send what ECS does not show once more, and may begin a deployment, when the
/// operator is upgraded.
#[test]
fn the_hash_of_what_ecs_does_not_show_is_the_same_in_all_versions() {
    let mut spec = spec();
    spec["serviceConnectConfiguration"] =
        json!({"enabled": true, "namespace": "shop", "services": [{"portName": "http"}]});
    let create = writes(planned(&spec, None));
    assert_eq!(
        crate::aws::tags::Tags::read(&create[0].request["tags"]).0[SPEC_HASH],
        "3547338d355eb397c3ae2280a67dbbbd"
    );
}

/// The same for each sample. One that has nothing that ECS does not show shares its hash with
/// others.
#[test]
fn keeps_the_hashes_of_the_samples() {
    let hashes = samples::<EcsService>().into_iter().map(|(name, object)| {
        let create = writes(plan::plan(&object, &observed(None), &owner()));
        format!(
            "{name} {}",
            crate::aws::tags::Tags::read(&create[0].request["tags"]).0[SPEC_HASH]
        )
    });
    assert_eq!(
        hashes.collect::<Vec<_>>(),
        [
            "autoscaled-web: autoscaled-web 3918457cacdb5a55c85972077030c14a",
            "blue-green: blue-green 3918457cacdb5a55c85972077030c14a",
            "canary: canary 3918457cacdb5a55c85972077030c14a",
            "daemon: node-agent 3918457cacdb5a55c85972077030c14a",
            "ec2-binpack: batch 3918457cacdb5a55c85972077030c14a",
            "external: edge 3918457cacdb5a55c85972077030c14a",
            "fargate-spot-worker: worker 3918457cacdb5a55c85972077030c14a",
            "fargate-web-alb: alb-web 3918457cacdb5a55c85972077030c14a",
            "migration: shop-app 3918457cacdb5a55c85972077030c14a",
            "queue-worker: queue-worker 3918457cacdb5a55c85972077030c14a",
            "service-connect: api 7fcc8446c44a6637b7f1a4beabf69a25",
            "service-connect: front b1d4002181db2526a4df937664ae8a85",
            "service: web 3918457cacdb5a55c85972077030c14a",
        ],
    );
}

#[test]
fn remembers_the_number_of_tasks_that_ecs_accepted_though_the_pass_failed() {
    let mut external = spec();
    external["desiredCountOwner"] = json!("External");
    external["desiredCount"] = json!(5);
    let object = object(&external, &json!({"status": {"appliedDesiredCount": 2}}));
    let accepted = writes(plan::plan(&object, &observed(Some(described())), &owner()));
    assert_eq!(accepted[0].request["desiredCount"], 5);
    let mut status = object.status.clone().unwrap_or_default();
    remember(&object, &mut status, &[], accepted.first());
    assert_eq!(
        status.applied_desired_count,
        Some(2),
        "without a reply it is sent again"
    );
    remember(&object, &mut status, &accepted, None);
    assert_eq!(status.applied_desired_count, Some(5));
    let scaled = observed(Some(with(&json!({"desiredCount": 8}))));
    let known = EcsService {
        status: Some(status),
        ..object
    };
    assert_eq!(
        plan::plan(&known, &scaled, &owner()),
        Plan::InSync,
        "an autoscaler has scaled it"
    );
}

#[test]
fn sends_what_ecs_does_not_show_once_although_its_hash_cannot_be_tagged() {
    let mut changed = spec();
    changed["capacityProviderStrategy"] = json!([]);
    changed["monitoring"] =
        json!({"metricConfigurations": [{"metricNames": ["a"], "resolutionSeconds": 10}]});
    changed.as_object_mut().unwrap().remove("launchType");
    let object = object(&changed, &json!({}));
    let plan = writes(plan::plan(&object, &observed(Some(described())), &owner()));
    assert_eq!(
        plan.iter().map(|write| write.operation).collect::<Vec<_>>(),
        [ecs::UpdateService, ecs::TagResource]
    );
    assert_eq!(plan[0].request["forceNewDeployment"], true);
    let mut status = object.status.clone().unwrap_or_default();
    remember(&object, &mut status, &plan[..1], Some(&plan[1]));
    let known = EcsService {
        status: Some(status.clone()),
        ..object.clone()
    };
    let again = writes(plan::plan(&known, &observed(Some(described())), &owner()));
    assert_eq!(
        again
            .iter()
            .map(|write| write.operation)
            .collect::<Vec<_>>(),
        [ecs::TagResource]
    );

    // Another change does not replace the tasks for the sake of the strategy once more.
    changed["monitoring"] =
        json!({"metricConfigurations": [{"metricNames": ["b"], "resolutionSeconds": 10}]});
    let next = EcsService {
        status: Some(status.clone()),
        ..super::object(&changed, &json!({}))
    };
    let update = writes(plan::plan(&next, &observed(Some(described())), &owner())).remove(0);
    assert_eq!(update.request["monitoring"], changed["monitoring"]);
    assert_eq!(
        (
            update.request.get("capacityProviderStrategy"),
            update.request.get("forceNewDeployment")
        ),
        (None, None)
    );

    // What was accepted is taken back when the spec is, whatever the tag says: it is that of the
    // spec before.
    let mut before = described();
    before["tags"][1]["value"] = json!(tagged_hash(
        &owner(),
        &json!({"monitoring": changed["monitoring"], "capacityProviderStrategy": []})
    ));
    let reverted = EcsService {
        status: Some(status.clone()),
        ..super::object(&changed, &json!({}))
    };
    let back = writes(plan::plan(&reverted, &observed(Some(before)), &owner()));
    assert_eq!(back[0].request["monitoring"], changed["monitoring"]);

    // An update without a reply may have changed them.
    remember(&next, &mut status, &[], Some(&update));
    assert_eq!(status.hidden_hash.as_deref(), Some("unknown"));
    let unknown = EcsService {
        status: Some(status),
        ..next
    };
    assert_eq!(
        writes(plan::plan(&unknown, &observed(Some(described())), &owner()))[0].operation,
        ecs::UpdateService
    );
}

#[test]
fn an_update_without_the_strategy_is_not_taken_for_one_with_it() {
    let mut empty = spec();
    empty["capacityProviderStrategy"] = json!([]);
    empty.as_object_mut().unwrap().remove("launchType");
    let object = object(&empty, &json!({}));
    let request = json!({"cluster": "shop", "service": "web", "taskDefinition": REVISION.replace(":3", ":2")});
    let rollback = Write {
        operation: ecs::UpdateService,
        request,
        note: String::new(),
    };
    let mut status = object.status.clone().unwrap_or_default();
    remember(&object, &mut status, &[rollback], None);
    assert_eq!(
        (&status.hidden_hash, status.follows_cluster_strategy),
        (&None, None)
    );
    let known = EcsService {
        status: Some(status),
        ..object
    };
    let update = writes(plan::plan(&known, &observed(Some(described())), &owner()));
    assert_eq!(update[0].request["capacityProviderStrategy"], json!([]));
}

#[test]
fn keeps_the_traffic_when_the_spec_drops_the_pair_of_target_groups() {
    let pair = json!([{"targetGroupArn": "green", "containerName": "web", "containerPort": 80,
        "advancedConfiguration": {"alternateTargetGroupArn": "blue", "productionListenerRule": "r", "roleArn": "a"}}]);
    let single = |group: &str| {
        let mut spec = spec();
        spec["loadBalancers"] =
            json!([{"targetGroupArn": group, "containerName": "web", "containerPort": 80}]);
        planned(&spec, Some(with(&json!({"loadBalancers": pair}))))
    };
    let Plan::Stall(Obstacle { message, .. }) = single("blue") else {
        panic!("the traffic would go nowhere")
    };
    assert!(
        message.contains("ECS has shifted the traffic to green"),
        "{message}"
    );
    assert_eq!(
        writes(single("green"))[0].request["loadBalancers"][0]["targetGroupArn"],
        "green"
    );
}

#[test]
fn target_groups_of_lattice_that_ecs_swaps_are_no_change_of_others() {
    let lattice = |one: &str, other: &str| json!({"roleArn": "r", "targetGroupArn": one, "portName": "http", "advancedConfiguration": {"alternateTargetGroupArn": other}});
    let mut spec = spec();
    spec["vpcLatticeConfigurations"] = json!([lattice("a", "b"), lattice("c", "d")]);
    let shown = |list: Value| {
        let mut service = described();
        service["deployments"][0]["vpcLatticeConfigurations"] = list;
        let read = observed(Some(service)).service.expect("it is found");
        crate::kinds::ecs_service::update::shown_in_deployment(&object(&spec, &json!({})), &read)
    };
    assert_eq!(
        shown(json!([lattice("a", "b"), lattice("c", "d")])),
        shown(json!([lattice("d", "c"), lattice("b", "a")]))
    );
    assert_ne!(
        shown(json!([lattice("a", "b")])),
        shown(json!([lattice("a", "e")]))
    );
}

#[test]
fn a_task_definition_that_does_not_fit_stops_only_what_needs_it() {
    let mismatch = |spec: &Value, more: &Value, task_definition: &str| {
        let seen = ObservedService {
            mismatch: Some("containerName web is not a container".into()),
            task_definition: Resolved::To(REVISION.replace(":3", task_definition)),
            ..observed(Some(with(
                &json!({"deployments": [{"id": "ecs-svc/1", "status": "PRIMARY", "taskDefinition": REVISION}]}),
            )))
        };
        plan::plan(&object(spec, more), &seen, &owner())
    };
    assert!(
        matches!(mismatch(&spec(), &json!({}), ":4"), Plan::Stall(_)),
        "the new revision is not sent"
    );
    assert_eq!(
        mismatch(&spec(), &json!({}), ":3"),
        Plan::InSync,
        "nothing is to be sent"
    );
    let mut scaled = spec();
    scaled["desiredCount"] = json!(5);
    assert_eq!(
        writes(mismatch(&scaled, &json!({}), ":3"))[0].request["desiredCount"],
        5
    );
}
