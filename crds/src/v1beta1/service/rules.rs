//! What CreateService and UpdateService refuse across members, as rules of the schema.
//!
//! Sources: the ECS API reference of both calls, "Service definition parameters" in the Amazon ECS
//! developer guide, and the messages that users report. Where AWS accepts, so do we; a value that
//! we do not know is left to AWS.

use kube::core::cel::Rule;

use crate::v1beta1::shared::rules::{
    capacity, cluster, immutable, one_task_definition, rule, tags,
};

/// Every rule, as the spec carries them.
pub(super) fn all() -> Vec<Rule> {
    [
        cluster(),
        identity(),
        capacity(),
        placement(),
        deployment(),
        traffic(),
        scaling(),
    ]
    .concat()
}

/// What a service is and runs.
fn identity() -> Vec<Rule> {
    vec![
        immutable(
            "serviceName",
            "serviceName cannot change, ECS cannot rename a service: create a new EcsService and delete this one",
        ),
        immutable(
            "cluster",
            "cluster cannot change, ECS cannot move a service: create a new EcsService in the other cluster",
        ),
        immutable(
            "clusterRef",
            "clusterRef cannot change, ECS cannot move a service: create a new EcsService in the other cluster",
        ),
        one_task_definition(),
        rule(
            "has(self.taskDefinition) || has(self.taskDefinitionRef) || (has(self.deploymentController) && self.deploymentController.type == 'EXTERNAL')",
            "taskDefinitionRef (an EcsTaskDefinition in this namespace) or taskDefinition (family, family:revision or ARN) is needed",
        ),
        rule(
            "!has(self.rollout) || !has(self.rollout.before) || has(self.taskDefinitionRef)",
            "rollout.before needs taskDefinitionRef, whose revisions wait for the tasks: name an EcsTaskDefinition, or drop rollout.before",
        ),
        immutable(
            "schedulingStrategy",
            "schedulingStrategy cannot change: create a new EcsService and delete this one",
        ),
        immutable(
            "role",
            "role cannot change: create a new EcsService and delete this one",
        ),
        rule(
            "!(has(self.schedulingStrategy) && self.schedulingStrategy == 'DAEMON' && has(self.desiredCount))",
            "desiredCount has no meaning with schedulingStrategy DAEMON, which runs one task on every instance: drop it",
        ),
        rule(
            "!has(self.desiredCountOwner) || has(self.desiredCount)",
            "desiredCountOwner needs desiredCount: set desiredCount, or drop both to leave the number to ECS",
        ),
        tags(),
    ]
}

/// What decides how many tasks it has.
fn scaling() -> Vec<Rule> {
    vec![
        rule(
            "!has(self.autoscaling) || !has(self.desiredCount) || (self.autoscaling.minCapacity <= self.desiredCount && self.desiredCount <= self.autoscaling.maxCapacity)",
            "desiredCount is the number of tasks at creation and must be between autoscaling.minCapacity and autoscaling.maxCapacity: change one of them, or drop desiredCount",
        ),
        rule(
            "!has(self.autoscaling) || !has(self.desiredCountOwner) || self.desiredCountOwner == 'External'",
            "desiredCountOwner: Spec and autoscaling exclude each other: drop desiredCountOwner",
        ),
        rule(
            "!has(self.autoscaling) || !has(self.schedulingStrategy) || self.schedulingStrategy != 'DAEMON'",
            "autoscaling is not possible with schedulingStrategy DAEMON, which runs one task on every instance: drop it",
        ),
        rule(
            "!has(self.autoscaling) || !has(self.deploymentController) || self.deploymentController.type != 'EXTERNAL'",
            "autoscaling is not possible with deploymentController EXTERNAL: drop it",
        ),
    ]
}

/// What RegisterScalableTarget refuses across members, and the names that the short forms of
/// policies take. Source: the API reference of Application Auto Scaling.
pub(super) fn autoscaling() -> Vec<Rule> {
    let reserved = |member: &str, name: &str| {
        rule(
            &format!(
                "!has(self.{member}) || !has(self.policies) || !self.policies.exists(p, p.policyName == '{name}')"
            ),
            &format!(
                "policies[].policyName: {name} is the name of the policy that autoscaling.{member} makes: choose another name, or drop autoscaling.{member}"
            ),
        )
    };
    vec![
        rule(
            "self.minCapacity <= self.maxCapacity",
            "minCapacity is greater than maxCapacity: lower it",
        ),
        rule(
            "!has(self.scheduledActions) || self.scheduledActions.all(a, (has(a.scalableTargetAction.maxCapacity) || !has(a.scalableTargetAction.minCapacity) || a.scalableTargetAction.minCapacity <= self.maxCapacity) && (has(a.scalableTargetAction.minCapacity) || !has(a.scalableTargetAction.maxCapacity) || a.scalableTargetAction.maxCapacity >= self.minCapacity))",
            "scheduledActions[].scalableTargetAction: a minCapacity above autoscaling.maxCapacity needs a maxCapacity, and a maxCapacity below autoscaling.minCapacity a minCapacity: give both",
        ),
        reserved("cpu", "cpu"),
        reserved("memory", "memory"),
        reserved("queueBacklogPerTask", "queue-backlog"),
    ]
}

/// What PutScalingPolicy refuses across members.
pub(super) fn scaling_policy() -> Vec<Rule> {
    let types = [
        (
            "targetTrackingScalingPolicyConfiguration",
            "TargetTrackingScaling",
        ),
        ("stepScalingPolicyConfiguration", "StepScaling"),
        ("predictiveScalingPolicyConfiguration", "PredictiveScaling"),
    ];
    let one = types.map(|(member, _)| format!("(has(self.{member}) ? 1 : 0)"));
    let fitting = types
        .map(|(member, type_)| format!("(self.policyType == '{type_}' && has(self.{member}))"));
    vec![
        rule(
            &format!("{} == 1", one.join(" + ")),
            "one of targetTrackingScalingPolicyConfiguration, stepScalingPolicyConfiguration and predictiveScalingPolicyConfiguration is needed, and they exclude each other",
        ),
        rule(
            &format!("!has(self.policyType) || {}", fitting.join(" || ")),
            "policyType does not fit the configuration: drop policyType",
        ),
    ]
}

/// What PutScalingPolicy refuses of a target tracking policy.
pub(super) fn target_tracking() -> Vec<Rule> {
    let (known, own) = (
        "self.predefinedMetricSpecification",
        "self.customizedMetricSpecification",
    );
    vec![
        rule(
            &format!("has({known}) != has({own})"),
            "one of predefinedMetricSpecification and customizedMetricSpecification is needed, and they exclude each other",
        ),
        rule(
            &format!(
                "!has({known}) || (has({known}.resourceLabel) ? {known}.resourceLabel.matches('^app/[^/]+/[^/]+/targetgroup/[^/]+/[^/]+$') : {known}.predefinedMetricType != 'ALBRequestCountPerTarget')"
            ),
            "predefinedMetricSpecification.resourceLabel is needed with ALBRequestCountPerTarget, as app/NAME/ID/targetgroup/NAME/ID: join the ends of the ARNs of the load balancer and the target group",
        ),
        rule(
            &format!(
                "!has({own}) || (has({own}.metrics) ? !has({own}.metricName) && !has({own}.statistic) && !has({own}.dimensions) : has({own}.metricName) && has({own}.statistic))"
            ),
            "customizedMetricSpecification: either metrics, or metricName, namespace and statistic are needed, and they exclude each other",
        ),
    ]
}

/// What PutScheduledAction refuses across members.
pub(super) fn scheduled_action() -> Vec<Rule> {
    let action = "self.scalableTargetAction";
    vec![
        rule(
            &format!("has({action}.minCapacity) || has({action}.maxCapacity)"),
            "scalableTargetAction: minCapacity or maxCapacity is needed",
        ),
        rule(
            &format!(
                "!has({action}.minCapacity) || !has({action}.maxCapacity) || {action}.minCapacity <= {action}.maxCapacity"
            ),
            "scalableTargetAction.minCapacity is greater than maxCapacity: lower it",
        ),
        rule(
            "self.schedule.startsWith('cron(') || self.schedule.startsWith('rate(') || self.schedule.startsWith('at(')",
            "schedule is none of cron(...), rate(...) and at(...): write it as cron(0 22 * * ? *), rate(1 hour) or at(2026-12-24T18:00:00)",
        ),
    ]
}

/// Where its tasks run.
fn placement() -> Vec<Rule> {
    vec![
        rule(
            "!has(self.launchType) || !has(oldSelf.launchType) || self.launchType == oldSelf.launchType",
            "launchType cannot change to another one: create a new EcsService, or drop launchType and use capacityProviderStrategy",
        ),
        rule(
            "!(has(self.schedulingStrategy) && self.schedulingStrategy == 'DAEMON') || ((!has(self.placementStrategy) || size(self.placementStrategy) == 0) && !(has(self.launchType) && self.launchType == 'FARGATE'))",
            "placementStrategy and launchType FARGATE are not possible with schedulingStrategy DAEMON, which runs one task on every instance",
        ),
        rule(
            "!(has(self.schedulingStrategy) && self.schedulingStrategy == 'DAEMON') || !has(self.capacityProviderStrategy) || size(self.capacityProviderStrategy) == 0",
            "capacityProviderStrategy is not possible with schedulingStrategy DAEMON: drop it and set launchType EC2 or EXTERNAL",
        ),
        rule(
            "!(has(self.launchType) && self.launchType == 'FARGATE') || (has(self.networkConfiguration) && has(self.networkConfiguration.awsvpcConfiguration)) || (has(self.deploymentController) && self.deploymentController.type == 'EXTERNAL')",
            "networkConfiguration.awsvpcConfiguration is needed with launchType FARGATE: name the subnets of the tasks",
        ),
        rule(
            "!(has(self.availabilityZoneRebalancing) && self.availabilityZoneRebalancing == 'ENABLED') || (!(has(self.schedulingStrategy) && self.schedulingStrategy == 'DAEMON') && !(has(self.deploymentConfiguration) && has(self.deploymentConfiguration.maximumPercent) && self.deploymentConfiguration.maximumPercent <= 100))",
            "availabilityZoneRebalancing: ENABLED needs schedulingStrategy REPLICA and deploymentConfiguration.maximumPercent above 100",
        ),
    ]
}

/// How its tasks are replaced.
fn deployment() -> Vec<Rule> {
    vec![
        configuration(
            "!has(self.deploymentConfiguration.maximumPercent) || self.deploymentConfiguration.maximumPercent >= 100",
            "deploymentConfiguration.maximumPercent must be at least 100",
        ),
        configuration(
            "!has(self.deploymentConfiguration.minimumHealthyPercent) || self.deploymentConfiguration.minimumHealthyPercent <= 100 || (has(self.deploymentConfiguration.maximumPercent) && self.deploymentConfiguration.minimumHealthyPercent <= self.deploymentConfiguration.maximumPercent)",
            "deploymentConfiguration.minimumHealthyPercent cannot be above 100, or above maximumPercent",
        ),
        configuration(
            "(has(self.deploymentController) && self.deploymentController.type != 'ECS') || (has(self.deploymentConfiguration.strategy) && self.deploymentConfiguration.strategy != 'ROLLING') || !(has(self.deploymentConfiguration.maximumPercent) && self.deploymentConfiguration.maximumPercent == 100 && has(self.deploymentConfiguration.minimumHealthyPercent) && self.deploymentConfiguration.minimumHealthyPercent == 100)",
            "deploymentConfiguration: with maximumPercent and minimumHealthyPercent both 100 a rolling deployment can replace no task: raise one or lower the other",
        ),
        configuration(
            "!has(self.deploymentConfiguration.canaryConfiguration) || (has(self.deploymentConfiguration.strategy) && self.deploymentConfiguration.strategy == 'CANARY')",
            "deploymentConfiguration.canaryConfiguration needs strategy: CANARY",
        ),
        configuration(
            "!has(self.deploymentConfiguration.linearConfiguration) || (has(self.deploymentConfiguration.strategy) && self.deploymentConfiguration.strategy == 'LINEAR')",
            "deploymentConfiguration.linearConfiguration needs strategy: LINEAR",
        ),
        configuration(
            "!has(self.deploymentConfiguration.earlySuccessCriteria) || !has(self.deploymentConfiguration.strategy) || self.deploymentConfiguration.strategy == 'ROLLING'",
            "deploymentConfiguration.earlySuccessCriteria needs strategy: ROLLING",
        ),
        configuration(
            "!has(self.deploymentConfiguration.lifecycleHooks) || self.deploymentConfiguration.lifecycleHooks.all(h, has(h.targetType) && h.targetType == 'PAUSE' ? (!has(h.lifecycleStages) || h.lifecycleStages.all(s, !(s in ['TEST_TRAFFIC_SHIFT', 'PRODUCTION_TRAFFIC_SHIFT']))) : has(h.hookTargetArn))",
            "deploymentConfiguration.lifecycleHooks[]: a Lambda hook needs hookTargetArn; a PAUSE cannot stand at TEST_TRAFFIC_SHIFT or PRODUCTION_TRAFFIC_SHIFT",
        ),
        foreign_controller(
            "!(has(self.schedulingStrategy) && self.schedulingStrategy == 'DAEMON')",
            "schedulingStrategy DAEMON needs deploymentController ECS",
        ),
        foreign_controller(
            "!has(self.deploymentConfiguration) || ((!has(self.deploymentConfiguration.deploymentCircuitBreaker) || !self.deploymentConfiguration.deploymentCircuitBreaker.enable) && (!has(self.deploymentConfiguration.strategy) || self.deploymentConfiguration.strategy == 'ROLLING'))",
            "deploymentConfiguration: deploymentCircuitBreaker and strategies other than ROLLING need deploymentController ECS",
        ),
        rule(
            "!has(self.deploymentController) || self.deploymentController.type != 'CODE_DEPLOY' || (has(oldSelf.deploymentController) && oldSelf.deploymentController.type == 'CODE_DEPLOY')",
            "deploymentController cannot change to CODE_DEPLOY: create a new EcsService",
        ),
    ]
}

/// Who reaches it.
fn traffic() -> Vec<Rule> {
    vec![
        rule(
            "!has(self.loadBalancers) || self.loadBalancers.all(l, (has(l.targetGroupArn) || has(l.loadBalancerName)) && has(l.containerName) && has(l.containerPort))",
            "loadBalancers[] needs containerName, containerPort, and targetGroupArn (Application or Network) or loadBalancerName (Classic)",
        ),
        rule(
            "!has(self.serviceConnectConfiguration) || !self.serviceConnectConfiguration.enabled || !has(self.serviceConnectConfiguration.services) || self.serviceConnectConfiguration.services.all(s, !has(s.clientAliases) || size(s.clientAliases) <= 1)",
            "serviceConnectConfiguration.services[].clientAliases: ECS takes one",
        ),
    ]
}

/// A rule for services with a deployment configuration.
fn configuration(condition: &str, message: &str) -> Rule {
    rule(
        &format!("!has(self.deploymentConfiguration) || ({condition})"),
        message,
    )
}

/// A rule for services with another deployment controller than ECS.
fn foreign_controller(condition: &str, message: &str) -> Rule {
    rule(
        &format!(
            "!has(self.deploymentController) || self.deploymentController.type == 'ECS' || ({condition})"
        ),
        message,
    )
}
