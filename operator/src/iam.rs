//! The IAM policy that the operator needs: no action that it does not use, in statements that say
//! what they are for.

use serde::Serialize;
use serde_json::{Value, json};

use crate::aws::services;
use crate::cli::IamPolicyArgs;

/// Roles that may be passed where nothing else is said: those with a path that is for ECS alone.
pub const ROLES: &str = "arn:aws:iam::*:role/ecs/*";

/// Services that roles are passed to: for tasks, for what ECS manages on behalf of a service or a
/// capacity provider, such as volumes and instances, and for those instances.
const PASSED_TO: [&str; 3] = [
    "ecs-tasks.amazonaws.com",
    "ecs.amazonaws.com",
    "ec2.amazonaws.com",
];

/// Service-linked roles that calls of the operator may create: the service and the role.
const LINKED_ROLES: [(&str, &str); 2] = [
    ("ecs.amazonaws.com", "AWSServiceRoleForECS"),
    (
        "ecs.application-autoscaling.amazonaws.com",
        "AWSServiceRoleForApplicationAutoScaling_ECSService",
    ),
];

/// A policy document, as IAM takes it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Policy {
    version: &'static str,
    /// What is allowed.
    pub statement: Vec<Statement>,
}

/// What is allowed, and where.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Statement {
    sid: &'static str,
    effect: &'static str,
    /// The actions, such as `ecs:CreateService`.
    pub action: Vec<String>,
    resource: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Value>,
}

/// The policy as JSON, for people.
#[must_use]
pub fn json(arguments: &IamPolicyArgs) -> String {
    serde_json::to_string_pretty(&policy(arguments)).unwrap_or_default() + "\n"
}

/// The policy.
#[must_use]
pub fn policy(
    IamPolicyArgs {
        pass_role,
        event_queue_arn,
    }: &IamPolicyArgs,
) -> Policy {
    let everywhere = || vec!["*".to_owned()];
    let mut statements: Vec<Statement> = Vec::new();
    for operation in services::operations() {
        let sid = operation.family().statement();
        match statements.iter_mut().find(|statement| statement.sid == sid) {
            Some(statement) => statement.action.push(operation.iam_action()),
            None => statements.push(allow(sid, vec![operation.iam_action()], everywhere())),
        }
    }
    let roles = allow(
        "PassRoles",
        vec!["iam:PassRole".to_owned()],
        pass_role.clone(),
    );
    statements.push(Statement {
        condition: Some(json!({"StringEquals": {"iam:PassedToService": PASSED_TO}})),
        ..roles
    });
    // AWS creates them with the rights of the caller that creates the first cluster, or registers the
    // first scalable target, of the account. China and GovCloud are partitions of their own.
    let partition = pass_role
        .first()
        .and_then(|role| role.split(':').nth(1))
        .unwrap_or("aws");
    let linked = LINKED_ROLES.map(|(service, role)| {
        format!("arn:{partition}:iam::*:role/aws-service-role/{service}/{role}")
    });
    let role = allow(
        "ServiceLinkedRole",
        vec!["iam:CreateServiceLinkedRole".to_owned()],
        linked.into(),
    );
    let services = LINKED_ROLES.map(|(service, _)| service);
    let condition = json!({"StringEquals": {"iam:AWSServiceName": services}});
    statements.push(Statement {
        condition: Some(condition),
        ..role
    });
    // Application Auto Scaling makes the alarms of target tracking policies with the rights of the
    // caller.
    let alarms = ["DeleteAlarms", "DescribeAlarms", "PutMetricAlarm"];
    statements.push(allow(
        "ScalingAlarms",
        alarms.map(|action| format!("cloudwatch:{action}")).into(),
        everywhere(),
    ));
    // ECS tags the group of a capacity provider as AmazonECSManaged with the rights of the caller.
    statements.push(allow(
        "AutoScalingGroups",
        vec!["autoscaling:CreateOrUpdateTags".to_owned()],
        everywhere(),
    ));
    if let Some(queue) = event_queue_arn {
        let actions = ["sqs:ReceiveMessage", "sqs:DeleteMessage"].map(str::to_owned);
        statements.push(allow("EventQueue", actions.into(), vec![queue.clone()]));
    }
    Policy {
        version: "2012-10-17",
        statement: statements,
    }
}

fn allow(sid: &'static str, action: Vec<String>, resource: Vec<String>) -> Statement {
    Statement {
        sid,
        effect: "Allow",
        action,
        resource,
        condition: None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::aws::Operation;

    #[test]
    fn every_operation_is_granted_once() {
        let policy = policy(&IamPolicyArgs::default());
        let granted: Vec<_> = policy
            .statement
            .iter()
            .flat_map(|statement| &statement.action)
            .collect();
        let needed: Vec<_> = services::operations().map(Operation::iam_action).collect();
        let of_services: Vec<_> = granted
            .iter()
            .filter(|action| {
                let dependent = ["iam:", "autoscaling:", "cloudwatch:"];
                !dependent.iter().any(|prefix| action.starts_with(prefix))
            })
            .collect();
        assert_eq!(of_services.len(), needed.len(), "{of_services:?}");
        assert_eq!(
            of_services.into_iter().copied().collect::<BTreeSet<_>>(),
            needed.iter().collect()
        );
        assert!(
            granted.iter().all(|action| !action.starts_with("sqs:")),
            "there is no queue"
        );
    }
}
