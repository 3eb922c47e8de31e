//! The keys of the scalable targets of services, of their policies and scheduled actions, and the
//! calls that read them.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::operations as autoscaling;
use crate::aws::call::Reads;
use crate::aws::ecs::ServiceKey;
use crate::aws::observer::{Answer, Key, Sweep};
use crate::aws::replies::{listed_tags, pages};
use crate::aws::{AwsError, Operation};

/// The dimension of an ECS service that is scaled.
const DIMENSION: &str = "ecs:service:DesiredCount";

/// How many scaling activities are read.
const LAST_ACTIVITIES: i32 = 10;

/// How many times longer than a service what has a call of its own for each service is kept, at
/// rest.
const READ_LESS: u32 = 10;

/// The scalable target of a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScalableTargetKey(String);

/// The scaling policies of a service. Found is a list of all.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScalingPoliciesKey(String);

/// The scheduled actions of a service. Found is a list of all.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScheduledActionsKey(String);

/// The scaling activities of a service. Found is a list of the last ones, the newest first, also of
/// those that changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScalingActivitiesKey(String);

/// The tags of the scalable target with this ARN. DescribeScalableTargets does not show them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScalableTargetTagsKey(pub String);

impl ScalableTargetKey {
    /// The scalable target of a service.
    #[must_use]
    pub fn of(service: &ServiceKey) -> Self {
        Self(resource_id(service))
    }

    /// The members by which every request names the scalable target.
    #[must_use]
    pub fn request(&self) -> Map<String, Value> {
        of_service(&self.0)
    }
}

impl ScalingPoliciesKey {
    /// The scaling policies of a service.
    #[must_use]
    pub fn of(service: &ServiceKey) -> Self {
        Self(resource_id(service))
    }
}

impl ScheduledActionsKey {
    /// The scheduled actions of a service.
    #[must_use]
    pub fn of(service: &ServiceKey) -> Self {
        Self(resource_id(service))
    }
}

impl ScalingActivitiesKey {
    /// The scaling activities of a service.
    #[must_use]
    pub fn of(service: &ServiceKey) -> Self {
        Self(resource_id(service))
    }
}

/// How Application Auto Scaling names a service: by the names, never by an ARN.
fn resource_id(service: &ServiceKey) -> String {
    format!("service/{}/{}", service.cluster, service.name)
}

impl fmt::Display for ScalableTargetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "scalable target {}", self.0)
    }
}

impl fmt::Display for ScalingPoliciesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "scaling policies of {}", self.0)
    }
}

impl fmt::Display for ScheduledActionsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "scheduled actions of {}", self.0)
    }
}

impl fmt::Display for ScalingActivitiesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "scaling activities of {}", self.0)
    }
}

impl fmt::Display for ScalableTargetTagsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tags of {}", self.0)
    }
}

impl Key for ScalableTargetKey {
    const WHAT: &'static str = "scalable_targets";
    const OPERATION: Operation = autoscaling::DescribeScalableTargets;
    const BATCH: usize = 50;

    fn group(&self) -> &'static str {
        ""
    }

    async fn read(reads: &Reads<'_>, keys: &[Self]) -> Vec<Result<Answer, AwsError>> {
        let names: Vec<_> = keys.iter().map(|key| key.0.as_str()).collect();
        let request = json!({
            "serviceNamespace": "ecs", "scalableDimension": DIMENSION, "resourceIds": names,
        });
        match all(reads, Self::OPERATION, request, "scalableTargets").await {
            Ok(targets) => answers(targets, keys),
            Err(error) => keys.iter().map(|_| Err(error.clone())).collect(),
        }
    }
}

/// One answer for each key: what no reply shows is missing.
fn answers(targets: Vec<Value>, keys: &[ScalableTargetKey]) -> Vec<Result<Answer, AwsError>> {
    let name = |target: &Value| target["resourceId"].as_str().map(str::to_owned);
    let mut found: HashMap<_, _> = targets
        .into_iter()
        .map(|target| (name(&target), target))
        .collect();
    let answer = |key: &ScalableTargetKey| {
        let target = found.remove(&Some(key.0.clone()));
        Ok(target.map_or(Answer::Missing, |target| Answer::Found(Arc::new(target))))
    };
    keys.iter().map(answer).collect()
}

impl Key for ScalingPoliciesKey {
    const WHAT: &'static str = "scaling_policies";
    const OPERATION: Operation = autoscaling::DescribeScalingPolicies;
    // AWS lists the policies of one service a call.
    const BATCH: usize = 1;

    fn group(&self) -> &str {
        &self.0
    }

    fn steady(sweep: &Sweep) -> Duration {
        sweep.steady * READ_LESS
    }

    async fn read(reads: &Reads<'_>, keys: &[Self]) -> Vec<Result<Answer, AwsError>> {
        vec![list(reads, Self::OPERATION, &keys[0].0, "scalingPolicies").await]
    }
}

impl Key for ScheduledActionsKey {
    const WHAT: &'static str = "scheduled_actions";
    const OPERATION: Operation = autoscaling::DescribeScheduledActions;
    // AWS lists the actions of one service a call.
    const BATCH: usize = 1;

    fn group(&self) -> &str {
        &self.0
    }

    fn steady(sweep: &Sweep) -> Duration {
        sweep.steady * READ_LESS
    }

    async fn read(reads: &Reads<'_>, keys: &[Self]) -> Vec<Result<Answer, AwsError>> {
        vec![list(reads, Self::OPERATION, &keys[0].0, "scheduledActions").await]
    }
}

impl Key for ScalingActivitiesKey {
    const WHAT: &'static str = "scaling_activities";
    const OPERATION: Operation = autoscaling::DescribeScalingActivities;
    // AWS lists the activities of one service a call.
    const BATCH: usize = 1;

    fn group(&self) -> &str {
        &self.0
    }

    fn steady(sweep: &Sweep) -> Duration {
        sweep.steady * READ_LESS
    }

    async fn read(reads: &Reads<'_>, keys: &[Self]) -> Vec<Result<Answer, AwsError>> {
        let mut request = Value::from(of_service(&keys[0].0));
        request["maxResults"] = LAST_ACTIVITIES.into();
        request["includeNotScaledActivities"] = true.into();
        // The first page has the newest ones.
        let reply = reads.send(Self::OPERATION, &request).await;
        vec![reply.map(|mut reply| Answer::Found(Arc::new(reply["scalingActivities"].take())))]
    }
}

/// Found are the tags.
impl Key for ScalableTargetTagsKey {
    const WHAT: &'static str = "scalable_target_tags";
    const OPERATION: Operation = autoscaling::ListTagsForResource;
    // AWS lists the tags of one scalable target a call.
    const BATCH: usize = 1;

    fn group(&self) -> &str {
        &self.0
    }

    fn steady(sweep: &Sweep) -> Duration {
        sweep.steady * READ_LESS
    }

    async fn read(reads: &Reads<'_>, keys: &[Self]) -> Vec<Result<Answer, AwsError>> {
        vec![listed_tags(reads, Self::OPERATION, &keys[0].0).await]
    }
}

/// The policies or actions of a service.
async fn list(
    reads: &Reads<'_>,
    operation: Operation,
    resource_id: &str,
    member: &str,
) -> Result<Answer, AwsError> {
    let all = all(reads, operation, of_service(resource_id).into(), member).await?;
    Ok(Answer::Found(Arc::new(all.into())))
}

/// The request about one service.
fn of_service(resource_id: &str) -> Map<String, Value> {
    Map::from_iter([
        ("serviceNamespace".to_owned(), "ecs".into()),
        ("resourceId".to_owned(), resource_id.into()),
        ("scalableDimension".to_owned(), DIMENSION.into()),
    ])
}

/// The elements of `member` on all pages.
async fn all(
    reads: &Reads<'_>,
    operation: Operation,
    request: Value,
    member: &str,
) -> Result<Vec<Value>, AwsError> {
    let mut all = Vec::new();
    for mut page in pages(reads, operation, request).await? {
        let Value::Array(elements) = page[member].take() else {
            return Err(AwsError::incomplete(operation, member));
        };
        all.extend(elements);
    }
    Ok(all)
}
