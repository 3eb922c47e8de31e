//! The model in virtual time, without HTTP.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Account, Moment};

const MINUTE: Duration = Duration::from_secs(60);

/// A model and its time.
struct World {
    account: Account,
    now: Moment,
}

impl World {
    /// A cluster, two revisions of a task definition, and a service that runs the first one.
    fn with_service(configuration: &Value) -> Self {
        let now = Moment(1_800_000_000_000);
        let mut world = Self {
            account: Account::new("111122223333", "eu-central-1", now),
            now,
        };
        world.call("CreateCluster", &json!({"clusterName": "shop"}));
        for image in ["web:1", "web:2"] {
            let containers = json!([{"name": "web", "image": image}]);
            let request = json!({"family": "web", "containerDefinitions": containers});
            world.call("RegisterTaskDefinition", &request);
        }
        let request = json!({"cluster": "shop", "serviceName": "web", "taskDefinition": "web:1",
            "desiredCount": 2, "deploymentConfiguration": configuration});
        world.call("CreateService", &request);
        world.pass(MINUTE);
        assert_eq!(world.service()["runningCount"], 2);
        world
    }

    fn call(&mut self, operation: &str, request: &Value) -> Value {
        let reply = self.account.call(operation, request, self.now);
        reply.unwrap_or_else(|refusal| panic!("{operation}: {refusal}"))
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.account.advance(self.now);
    }

    fn service(&mut self) -> Value {
        let request = json!({"cluster": "shop", "services": ["web"]});
        self.call("DescribeServices", &request)["services"][0].take()
    }

    /// Starts the deployment of the second revision, and returns its ARN.
    fn deploy(&mut self) -> String {
        let request = json!({"cluster": "shop", "service": "web", "taskDefinition": "web:2"});
        let reply = self.call("UpdateService", &request);
        let arn = reply["service"]["currentServiceDeployment"].as_str();
        arn.expect("a deployment has started").to_owned()
    }

    fn deployment(&mut self, arn: &str) -> Value {
        let request = json!({"serviceDeploymentArns": [arn]});
        self.call("DescribeServiceDeployments", &request)["serviceDeployments"][0].take()
    }
}

#[test]
fn a_rolling_deployment_replaces_all_tasks_and_keeps_enough() {
    let mut world =
        World::with_service(&json!({"minimumHealthyPercent": 100, "maximumPercent": 200}));
    let arn = world.deploy();
    for _ in 0..60 {
        world.pass(Duration::from_secs(1));
        assert!(world.service()["runningCount"].as_i64() >= Some(2));
    }
    assert_eq!(world.deployment(&arn)["status"], "SUCCESSFUL");
    let service = world.service();
    assert_eq!(service["deployments"].as_array().map(Vec::len), Some(1));
    assert!(
        service["taskDefinition"]
            .as_str()
            .is_some_and(|arn| arn.ends_with("web:2"))
    );
    assert!(service["currentServiceDeployment"].is_null());
}

#[test]
fn a_canary_goes_back_when_an_alarm_goes_off() {
    let mut world = World::with_service(&json!({"strategy": "CANARY",
        "canaryConfiguration": {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 15},
        "alarms": {"enable": true, "rollback": true, "alarmNames": ["errors"]}}));
    let arn = world.deploy();
    world.pass(2 * MINUTE);
    let deployment = world.deployment(&arn);
    assert_eq!(deployment["lifecycleStage"], "PRODUCTION_TRAFFIC_SHIFT");
    let weight = |deployment: &Value| {
        deployment["targetServiceRevision"]["requestedProductionTrafficWeight"].clone()
    };
    assert_eq!(weight(&deployment), 10.0);
    world.account.set_alarms(["errors".to_owned()]);
    world.pass(MINUTE);
    let deployment = world.deployment(&arn);
    assert_eq!(deployment["status"], "ROLLBACK_SUCCESSFUL");
    assert_eq!(
        deployment["alarms"]["triggeredAlarmNames"],
        json!(["errors"])
    );
    assert_eq!(weight(&deployment), 0.0);
    let service = world.service();
    assert!(
        service["taskDefinition"]
            .as_str()
            .is_some_and(|arn| arn.ends_with("web:1"))
    );
    assert_eq!(service["runningCount"], 2);
}

#[test]
fn a_linear_deployment_moves_the_traffic_in_steps() {
    let mut world = World::with_service(&json!({"strategy": "LINEAR",
        "linearConfiguration": {"stepPercent": 25.0, "stepBakeTimeInMinutes": 5}}));
    let arn = world.deploy();
    let mut weights = Vec::new();
    for _ in 0..30 {
        let deployment = world.deployment(&arn);
        let weight = &deployment["targetServiceRevision"]["requestedProductionTrafficWeight"];
        if weights.last() != Some(weight) {
            weights.push(weight.clone());
        }
        world.pass(MINUTE);
    }
    assert_eq!(weights, [0.0, 25.0, 50.0, 75.0, 100.0]);
    assert_eq!(world.deployment(&arn)["status"], "SUCCESSFUL");
}

#[test]
fn a_pause_hook_waits_for_its_release_or_its_time_out() {
    let hook = json!({"targetType": "PAUSE", "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"],
        "timeoutConfiguration": {"timeoutInMinutes": 60, "action": "ROLLBACK"}});
    let configuration = json!({"strategy": "BLUE_GREEN", "lifecycleHooks": [hook]});
    let mut world = World::with_service(&configuration);
    let arn = world.deploy();
    world.pass(30 * MINUTE);
    let deployment = world.deployment(&arn);
    assert_eq!(
        deployment["lifecycleHookDetails"][0]["status"],
        "AWAITING_ACTION"
    );
    let id = deployment["lifecycleHookDetails"][0]["hookId"].clone();
    let request = json!({"serviceDeploymentArn": arn, "hookId": id, "action": "CONTINUE"});
    world.call("ContinueServiceDeployment", &request);
    world.pass(2 * MINUTE);
    assert_eq!(world.deployment(&arn)["status"], "SUCCESSFUL");

    let mut world = World::with_service(&configuration);
    let arn = world.deploy();
    world.pass(65 * MINUTE);
    assert_eq!(world.deployment(&arn)["status"], "ROLLBACK_SUCCESSFUL");
}

#[test]
fn a_circuit_breaker_rolls_back_after_its_threshold() {
    let breaker = json!({"deploymentCircuitBreaker": {"enable": true, "rollback": true}});
    let mut world = World::with_service(&breaker);
    let containers = json!([{"name": "web", "image": "crash:1"}]);
    let request = json!({"family": "web", "containerDefinitions": containers});
    world.call("RegisterTaskDefinition", &request);
    let request = json!({"cluster": "shop", "service": "web", "taskDefinition": "web:3"});
    let arn = world.call("UpdateService", &request)["service"]["currentServiceDeployment"].take();
    world.pass(2 * MINUTE);
    let deployment = world.deployment(arn.as_str().expect("an ARN"));
    assert_eq!(deployment["status"], "ROLLBACK_SUCCESSFUL");
    assert_eq!(deployment["deploymentCircuitBreaker"]["threshold"], 3);
    assert_eq!(world.service()["runningCount"], 2);
}

#[test]
fn a_deleted_service_drains_and_frees_its_name() {
    let mut world = World::with_service(&json!({}));
    let request = json!({"cluster": "shop", "service": "web", "force": true});
    assert_eq!(
        world.call("DeleteService", &request)["service"]["status"],
        "DRAINING"
    );
    let create = json!({"cluster": "shop", "serviceName": "web", "taskDefinition": "web:1"});
    let refused = world.account.call("CreateService", &create, world.now);
    assert!(refused.is_err_and(|refusal| refusal.message.contains("still Draining")));
    world.pass(MINUTE);
    assert_eq!(world.service()["status"], "INACTIVE");
    world.call("CreateService", &create);
}

#[test]
fn the_same_calls_at_the_same_times_have_the_same_replies() {
    let run = || {
        let mut world = World::with_service(&json!({"strategy": "LINEAR"}));
        let arn = world.deploy();
        let replies = (0..60).map(|_| {
            world.pass(MINUTE);
            [world.service(), world.deployment(&arn)]
        });
        replies.collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

#[test]
fn throttles_calls_beyond_the_published_quotas() {
    let mut now = Moment(1_800_000_000_000);
    let mut account = Account::new("111122223333", "eu-central-1", now).with_quotas();
    let mut create = |number: usize, now: Moment| {
        let request = json!({"clusterName": format!("c{number}")});
        account.call("CreateCluster", &request, now).map(drop)
    };
    // 20 at once, and one a second after that.
    let throttled = (0..30).filter(|number| create(*number, now).is_err());
    assert_eq!(throttled.count(), 10);
    now = now + Duration::from_secs(2);
    let refusals: Vec<_> = (30..33)
        .filter_map(|number| create(number, now).err())
        .collect();
    assert_eq!(refusals.len(), 1);
    assert_eq!(refusals[0].code, "ThrottlingException");
}

#[test]
fn refuses_what_the_model_of_the_api_excludes() {
    let model = json!({
        "operations": {"CreateCluster": {"input": {"shape": "Request"}}},
        "shapes": {
            "Request": {"type": "structure", "required": ["clusterName"], "members": {
                "clusterName": {"shape": "String"}, "settings": {"shape": "Settings"}}},
            "String": {"type": "string", "max": 5},
            "Settings": {"type": "list", "max": 1, "member": {"shape": "Setting"}},
            "Setting": {"type": "structure", "members": {"name": {"shape": "Name"}}},
            "Name": {"type": "string", "enum": ["containerInsights"]},
        },
    });
    let now = Moment(1_800_000_000_000);
    let account = Account::new("111122223333", "eu-central-1", now)
        .with_models([model, json!({})].map(std::sync::Arc::new));
    let refused = |request: Value| {
        let refusal = account.clone().call("CreateCluster", &request, now).err();
        refusal.map(|refusal| refusal.to_string())
    };
    let good = json!({"clusterName": "shop", "settings": [{"name": "containerInsights"}]});
    assert_eq!(refused(good), None);
    let rows = [
        (
            json!({}),
            "InvalidParameterException: clusterName is required",
        ),
        (
            json!({"clusterName": 1}),
            "SerializationException: clusterName can not be converted to string",
        ),
        (
            json!({"clusterName": "too-long"}),
            "InvalidParameterException: clusterName is above its maximum",
        ),
        (
            json!({"clusterName": "shop", "settings": [{"name": "insights"}]}),
            "InvalidParameterException: settings.name has no value \"insights\"",
        ),
        (
            json!({"clusterName": "shop", "tag": []}),
            "InvalidParameterException: tag is unknown",
        ),
    ];
    for (request, words) in rows {
        assert_eq!(refused(request).as_deref(), Some(words));
    }
}

#[test]
fn tags_reach_a_revision_of_a_task_definition() {
    let mut world = World::with_service(&json!({}));
    let arn = "arn:aws:ecs:eu-central-1:111122223333:task-definition/web:1";
    let tags = json!([{"key": "team", "value": "checkout"}]);
    world.call("TagResource", &json!({"resourceArn": arn, "tags": tags}));
    let request = json!({"taskDefinition": arn, "include": ["TAGS"]});
    assert_eq!(world.call("DescribeTaskDefinition", &request)["tags"], tags);
    world.call(
        "UntagResource",
        &json!({"resourceArn": arn, "tagKeys": ["team"]}),
    );
    assert_eq!(
        world.call("DescribeTaskDefinition", &request)["tags"],
        json!([])
    );
}

#[test]
fn failures_of_an_old_revision_are_not_those_of_the_new_one() {
    let breaker = json!({"deploymentCircuitBreaker": {"enable": true, "rollback": false}});
    let mut world = World::with_service(&breaker);
    let containers = json!([{"name": "web", "image": "crash:1"}]);
    let request = json!({"family": "web", "containerDefinitions": containers});
    world.call("RegisterTaskDefinition", &request);
    let update =
        |revision: &str| json!({"cluster": "shop", "service": "web", "taskDefinition": revision});
    world.call("UpdateService", &update("web:3"));
    world.pass(Duration::from_secs(3));
    world.call("UpdateService", &update("web:2"));
    world.pass(MINUTE);
    let service = world.service();
    assert_eq!(service["deployments"][0]["failedTasks"], 0);
    assert_eq!(service["deployments"][0]["rolloutState"], "COMPLETED");
}

#[test]
fn what_a_superseded_deployment_leaves_is_cleaned_up() {
    let mut world = World::with_service(&json!({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 1}));
    world.deploy();
    world.pass(MINUTE);
    let request = json!({"cluster": "shop", "service": "web", "taskDefinition": "web:1", "forceNewDeployment": true});
    world.call("UpdateService", &request);
    world.pass(10 * MINUTE);
    let service = world.service();
    assert_eq!(service["runningCount"], 2);
    assert_eq!(service["deployments"].as_array().map(Vec::len), Some(1));
}

#[test]
fn scales_a_service_within_the_range_that_scheduled_actions_move() {
    let mut world = World::with_service(&json!({}));
    let target = json!({"ServiceNamespace": "ecs", "ResourceId": "service/shop/web",
        "ScalableDimension": "ecs:service:DesiredCount"});
    let with = |members: Value| {
        let mut request = target.clone();
        for (name, value) in members.as_object().expect("members") {
            request[name] = value.clone();
        }
        request
    };
    let refused = |world: &mut World, operation: &str, request: &Value| {
        let refusal = world.account.call(operation, request, world.now);
        refusal.expect_err("it is refused").code
    };
    assert_eq!(
        refused(
            &mut world,
            "PutScalingPolicy",
            &with(json!({"PolicyName": "cpu"}))
        ),
        "ObjectNotFoundException"
    );
    // The number of tasks moves into the range.
    let register = with(json!({"MinCapacity": 3, "MaxCapacity": 5, "Tags": {"Team": "a"}}));
    let arn = world.call("RegisterScalableTarget", &register)["ScalableTargetARN"].clone();
    assert_eq!(world.service()["desiredCount"], 3);
    assert_eq!(
        refused(&mut world, "RegisterScalableTarget", &register),
        "ValidationException",
        "tags of an existing target"
    );
    let tags = world.call("ListTagsForResource", &json!({"ResourceARN": arn}));
    assert_eq!(tags, json!({"Tags": {"Team": "a"}}));
    // A scheduled action moves the range, and the number with it. 2027-01-15T08:00:00Z is the start.
    let action = json!({"ScheduledActionName": "night", "Schedule": "cron(30 8 * * ? *)",
        "ScalableTargetAction": {"MinCapacity": 0, "MaxCapacity": 1}});
    world.call("PutScheduledAction", &with(action));
    world.pass(40 * MINUTE);
    assert_eq!(world.service()["desiredCount"], 1);
    let targets = world.call(
        "DescribeScalableTargets",
        &json!({"ServiceNamespace": "ecs"}),
    );
    let shown = &targets["ScalableTargets"][0];
    assert_eq!(
        (&shown["MinCapacity"], &shown["MaxCapacity"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(shown["SuspendedState"]["ScheduledScalingSuspended"], false);
    // The scalable target goes with the service.
    world.call(
        "DeleteService",
        &json!({"cluster": "shop", "service": "web", "force": true}),
    );
    let targets = world.call(
        "DescribeScalableTargets",
        &json!({"ServiceNamespace": "ecs"}),
    );
    assert_eq!(targets, json!({"ScalableTargets": []}));
}

#[test]
fn lists_ten_scaling_policies_a_page_and_changes_no_type() {
    let mut world = World::with_service(&json!({}));
    let target = json!({"ServiceNamespace": "ecs", "ResourceId": "service/shop/web",
        "ScalableDimension": "ecs:service:DesiredCount", "MinCapacity": 1, "MaxCapacity": 5});
    world.call("RegisterScalableTarget", &target);
    let policy = |name: String, type_: &str| {
        json!({"ServiceNamespace": "ecs",
        "ResourceId": "service/shop/web", "ScalableDimension": "ecs:service:DesiredCount",
        "PolicyName": name, "PolicyType": type_,
        "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 50}})
    };
    for number in 0..12 {
        let reply = world.call(
            "PutScalingPolicy",
            &policy(format!("p{number:02}"), "TargetTrackingScaling"),
        );
        assert_eq!(reply["Alarms"].as_array().map(Vec::len), Some(2));
    }
    let refused = world.account.call(
        "PutScalingPolicy",
        &policy("p00".to_owned(), "StepScaling"),
        world.now,
    );
    assert!(refused.is_err());
    let mut request = json!({"ServiceNamespace": "ecs", "ResourceId": "service/shop/web"});
    let first = world.call("DescribeScalingPolicies", &request);
    assert_eq!(first["ScalingPolicies"].as_array().map(Vec::len), Some(10));
    request["NextToken"] = first["NextToken"].clone();
    let second = world.call("DescribeScalingPolicies", &request);
    assert_eq!(second["ScalingPolicies"].as_array().map(Vec::len), Some(2));
    assert_eq!(second["NextToken"], Value::Null);
}
