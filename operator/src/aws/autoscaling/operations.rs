//! The operations of Application Auto Scaling that the operator uses, and the quota that each draws
//! on.
//!
//! AWS publishes no rates for these operations. 10 calls per second is an assumption; the operator
//! slows down when AWS throttles.

#![allow(
    non_upper_case_globals,
    reason = "the names are those of the AWS documentation"
)]

use aws_sdk_applicationautoscaling::Client;

use super::errors::ERRORS;
use crate::aws::operation::{MemberNames, Service, operations};
use crate::aws::tags::TagShape;

/// Application Auto Scaling.
pub const SERVICE: Service = Service {
    name: "application-autoscaling",
    tag_shape: TagShape::Map,
    member_names: MemberNames::Uppercase,
};

operations! {
    SERVICE, ERRORS, Client;
    // Calls at once, and calls per second after that.
    reads {
        ScalableTargetRead 10 10;
        ScalingPolicyRead 10 10;
    }
    // Before them the statement of the IAM policy that allows the writes.
    writes {
        ScalingModify "ServiceAutoScaling" 10 10;
    }
    operations {
        ScalableTargetRead: DescribeScalableTargets describe_scalable_targets;
        ScalableTargetRead: ListTagsForResource list_tags_for_resource;
        ScalingPolicyRead: DescribeScalingPolicies describe_scaling_policies;
        ScalingPolicyRead: DescribeScheduledActions describe_scheduled_actions;
        ScalingPolicyRead: DescribeScalingActivities describe_scaling_activities;
        ScalingModify: RegisterScalableTarget register_scalable_target;
        ScalingModify: DeregisterScalableTarget deregister_scalable_target;
        ScalingModify: PutScalingPolicy put_scaling_policy;
        ScalingModify: DeleteScalingPolicy delete_scaling_policy;
        ScalingModify: PutScheduledAction put_scheduled_action;
        ScalingModify: DeleteScheduledAction delete_scheduled_action;
        ScalingModify: TagResource tag_resource;
    }
}
