//! Application Auto Scaling of services: scalable targets, scaling policies, and scheduled actions
//! that move the range. Source: the API reference and the user guide of Application Auto Scaling.
//!
//! No policy measures anything: a test plays the load by UpdateService, as AWS's scaling does.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use k8s_openapi::jiff::civil::Time;
use k8s_openapi::jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::account::Account;
use super::clock::Moment;
use super::refusal::Refusal;

/// The operations whose names ECS does not have, too.
const OPERATIONS: &[&str] = &[
    "RegisterScalableTarget",
    "DeregisterScalableTarget",
    "DescribeScalableTargets",
    "PutScalingPolicy",
    "DeleteScalingPolicy",
    "DescribeScalingPolicies",
    "PutScheduledAction",
    "DeleteScheduledAction",
    "DescribeScheduledActions",
    "DescribeScalingActivities",
];

/// Policies on one page.
const PAGE: usize = 10;

/// A service that is scaled.
#[derive(Clone, Debug, Default)]
pub(super) struct ScalableTarget {
    arn: String,
    min: usize,
    max: usize,
    suspended: Map<String, Value>,
    tags: Map<String, Value>,
    created: Moment,
    policies: BTreeMap<String, Value>,
    actions: BTreeMap<String, Action>,
    /// What has changed the number of tasks, the newest last.
    activities: Vec<Value>,
}

#[derive(Clone, Debug)]
struct Action {
    members: Value,
    /// Until when it has been carried out.
    done: Moment,
}

impl Account {
    /// Whether a call is one of Application Auto Scaling and not of ECS.
    pub(super) fn is_of_autoscaling(operation: &str, request: &Value) -> bool {
        OPERATIONS.contains(&operation) || !request["ResourceARN"].is_null()
    }

    /// Carries out one call.
    pub(super) fn call_autoscaling(
        &mut self,
        operation: &str,
        request: &Value,
        now: Moment,
    ) -> Result<Value, Refusal> {
        let request = &renamed(request, char::to_ascii_lowercase);
        let reply = match operation {
            "RegisterScalableTarget" => self.register_target(request, now),
            "DeregisterScalableTarget" => {
                self.target(request)?;
                self.targets.remove(id(request));
                Ok(json!({}))
            }
            "DescribeScalableTargets" => Ok(self.describe_targets(request)),
            "PutScalingPolicy" => self.put_policy(request, now),
            "DeleteScalingPolicy" => {
                let removed = self
                    .target(request)?
                    .policies
                    .remove(text(request, "policyName"));
                removed
                    .map(|_| json!({}))
                    .ok_or_else(|| missing("No scaling policy found."))
            }
            "DescribeScalingPolicies" => Ok(self.describe_policies(request)),
            "PutScheduledAction" => self.put_action(request, now),
            "DeleteScheduledAction" => {
                let name = text(request, "scheduledActionName");
                let removed = self.target(request)?.actions.remove(name);
                removed
                    .map(|_| json!({}))
                    .ok_or_else(|| missing("No scheduled action found."))
            }
            "DescribeScheduledActions" => {
                let target = self.targets.get(id(request));
                let actions = target
                    .into_iter()
                    .flat_map(|target| target.actions.values());
                let actions: Value = actions.map(|action| action.members.clone()).collect();
                Ok(json!({"scheduledActions": actions}))
            }
            "DescribeScalingActivities" => {
                let target = self.targets.get(id(request));
                let activities = target.map(|target| &target.activities);
                let most = request["maxResults"].as_u64().unwrap_or(50);
                let newest = activities.into_iter().flatten().rev();
                let newest = newest.take(usize::try_from(most).unwrap_or(usize::MAX));
                Ok(json!({"scalingActivities": newest.collect::<Vec<_>>()}))
            }
            _ => self.tag_target(operation, request),
        };
        reply.map(|reply| renamed(&reply, char::to_ascii_uppercase))
    }

    fn target(&mut self, request: &Value) -> Result<&mut ScalableTarget, Refusal> {
        let message = format!(
            "No scalable target found for service namespace: ecs, resource ID: {}, scalable dimension: ecs:service:DesiredCount",
            id(request)
        );
        self.targets
            .get_mut(id(request))
            .ok_or_else(|| missing(&message))
    }

    /// Whether the service exists and is ACTIVE.
    fn has_service(&self, id: &str) -> bool {
        let mut parts = id.split('/').skip(1);
        let (cluster, name) = (parts.next(), parts.next());
        let cluster = cluster.and_then(|cluster| self.clusters.get(cluster));
        let service = cluster.and_then(|cluster| cluster.services.get(name?));
        service.is_some_and(super::service::Service::is_active)
    }

    fn register_target(&mut self, request: &Value, now: Moment) -> Result<Value, Refusal> {
        let id = id(request).to_owned();
        if !self.has_service(&id) {
            return Err(validation(format!("ECS service doesn't exist: {id}")));
        }
        let number = |member: &str| {
            request[member]
                .as_u64()
                .and_then(|n| usize::try_from(n).ok())
        };
        let present = self.targets.get(&id).cloned();
        let is_new = present.is_none();
        let tags = request["tags"].as_object();
        if !is_new && tags.is_some() {
            return Err(validation(
                "The scalable target that you tried to tag already exists. To update tags on an existing scalable target, use TagResource."
                    .to_owned(),
            ));
        }
        let number_of_target = self.id();
        let mut target = present.unwrap_or_else(|| ScalableTarget {
            arn: format!(
                "arn:aws:application-autoscaling:{}:scalable-target/{number_of_target}",
                self.place,
            ),
            created: now,
            tags: tags.cloned().unwrap_or_default(),
            ..ScalableTarget::default()
        });
        let needed = |value: Option<usize>, present: usize| match value {
            Some(value) => Ok(value),
            None if !is_new => Ok(present),
            None => Err(validation(
                "MinCapacity and MaxCapacity are required to register a new scalable target."
                    .to_owned(),
            )),
        };
        target.min = needed(number("minCapacity"), target.min)?;
        target.max = needed(number("maxCapacity"), target.max)?;
        if target.min > target.max {
            return Err(validation(
                "Maximum capacity cannot be less than minimum capacity".to_owned(),
            ));
        }
        for (member, value) in request["suspendedState"].as_object().into_iter().flatten() {
            target.suspended.insert(member.clone(), value.clone());
        }
        let arn = target.arn.clone();
        self.targets.insert(id.clone(), target);
        self.clamp(&id, "RegisterScalableTarget", now);
        Ok(json!({"scalableTargetARN": arn}))
    }

    /// Moves the number of tasks into the range.
    fn clamp(&mut self, id: &str, cause: &str, now: Moment) {
        let number = self.id();
        let mut parts = id.split('/').skip(1);
        let (cluster, name) = (parts.next(), parts.next());
        let cluster = cluster.and_then(|cluster| self.clusters.get_mut(cluster));
        let service = cluster.and_then(|cluster| cluster.services.get_mut(name?));
        let (Some(service), Some(target)) = (service, self.targets.get_mut(id)) else {
            return;
        };
        let count = service.desired.clamp(target.min, target.max);
        if count == service.desired {
            return;
        }
        let bound = if count > service.desired {
            "minimum"
        } else {
            "maximum"
        };
        service.desired = count;
        target.activities.push(json!({
            "activityId": number,
            "serviceNamespace": "ecs",
            "resourceId": id,
            "scalableDimension": "ecs:service:DesiredCount",
            "description": format!("Setting desired count to {count}."),
            "cause": format!("{bound} capacity was set to {count} ({cause})"),
            "startTime": now.json(),
            "endTime": now.json(),
            "statusCode": "Successful",
            "statusMessage": format!("Successfully set desired count to {count}. Change successfully fulfilled by ecs."),
        }));
    }

    fn describe_targets(&self, request: &Value) -> Value {
        let listed = request["resourceIds"].as_array();
        let is_listed = |id: &str| listed.is_none_or(|all| all.iter().any(|listed| listed == id));
        let targets = self.targets.iter().filter(|(id, _)| is_listed(id));
        let json: Value = targets.map(|(id, target)| target.json(id)).collect();
        json!({"scalableTargets": json})
    }

    fn put_policy(&mut self, request: &Value, now: Moment) -> Result<Value, Refusal> {
        let (number, place) = (self.id(), self.place.clone());
        let id = id(request).to_owned();
        let target = self.target(request)?;
        let name = text(request, "policyName").to_owned();
        let present = target.policies.get(&name);
        let type_ = &request["policyType"];
        if present.is_some_and(|present| present["policyType"] != *type_) {
            return Err(validation("The policy type cannot be changed.".to_owned()));
        }
        let arn = present.map_or_else(
            || {
                let resource = id.trim_start_matches("service/");
                format!(
                    "arn:aws:autoscaling:{place}:scalingPolicy:{number}:resource/ecs/service/{resource}:policyName/{name}"
                )
                .into()
            },
            |present| present["policyARN"].clone(),
        );
        let mut policy = request.clone();
        policy["policyARN"] = arn;
        policy["creationTime"] = now.json();
        policy["alarms"] = json!([]);
        if let Some(tracking) = policy
            .get_mut("targetTrackingScalingPolicyConfiguration")
            .filter(|tracking| tracking.is_object())
        {
            if tracking["disableScaleIn"].is_null() {
                tracking["disableScaleIn"] = false.into();
            }
            let alarm = |end: &str| {
                let name = format!("TargetTracking-{id}-{end}-{number}");
                json!({"alarmName": name, "alarmARN": format!("arn:aws:cloudwatch:{place}:alarm:{name}")})
            };
            policy["alarms"] = json!([alarm("AlarmHigh"), alarm("AlarmLow")]);
        }
        let reply = json!({"policyARN": policy["policyARN"], "alarms": policy["alarms"]});
        target.policies.insert(name, policy);
        Ok(reply)
    }

    fn describe_policies(&self, request: &Value) -> Value {
        let first = text(request, "nextToken").parse().unwrap_or(0);
        let target = self.targets.get(id(request));
        let policies = target.map(|target| &target.policies);
        let policies = policies.into_iter().flat_map(BTreeMap::values);
        let page: Vec<_> = policies.skip(first).take(PAGE + 1).cloned().collect();
        let next = (page.len() > PAGE).then(|| (first + PAGE).to_string());
        json!({"scalingPolicies": page[..page.len().min(PAGE)], "nextToken": next})
    }

    fn put_action(&mut self, request: &Value, now: Moment) -> Result<Value, Refusal> {
        let schedule = text(request, "schedule");
        if let Some(at) = once(schedule)
            && at <= now
        {
            return Err(validation("The schedule is in the past.".to_owned()));
        }
        let target = self.target(request)?;
        let name = text(request, "scheduledActionName").to_owned();
        let present = target.actions.get(&name);
        let mut members = present.map_or_else(|| json!({}), |present| present.members.clone());
        for (member, value) in request.as_object().into_iter().flatten() {
            members[member] = value.clone();
        }
        for member in ["startTime", "endTime"] {
            // They are deleted where the request leaves them out; all else stays.
            members[member] = request[member].clone();
        }
        members["creationTime"] = now.json();
        target.actions.insert(name, Action { members, done: now });
        Ok(json!({}))
    }

    fn tag_target(&mut self, operation: &str, request: &Value) -> Result<Value, Refusal> {
        let arn = text(request, "resourceARN");
        let mut targets = self.targets.values_mut();
        let Some(target) = targets.find(|target| target.arn == arn) else {
            let message = "The specified resource does not exist.";
            return Err(Refusal::new("ResourceNotFoundException", message));
        };
        match operation {
            "ListTagsForResource" => return Ok(json!({"tags": target.tags})),
            "UntagResource" => {
                for key in request["tagKeys"].as_array().into_iter().flatten() {
                    target.tags.remove(key.as_str().unwrap_or_default());
                }
            }
            _ => {
                let tags = request["tags"].as_object().cloned().unwrap_or_default();
                target.tags.extend(tags);
            }
        }
        Ok(json!({}))
    }

    /// AWS deletes the scalable target of a service with it.
    pub(super) fn forget_target(&mut self, cluster: &str, service: &str) {
        self.targets.remove(&format!("service/{cluster}/{service}"));
    }

    /// Carries out the scheduled actions that are due.
    pub(super) fn advance_targets(&mut self, now: Moment) {
        let mut moved = Vec::new();
        for (id, target) in &mut self.targets {
            if target.advance(now) {
                moved.push(id.clone());
            }
        }
        for id in moved {
            self.clamp(&id, "scheduled action", now);
        }
    }
}

impl ScalableTarget {
    fn json(&self, id: &str) -> Value {
        let is_suspended = |member: &str| self.suspended.get(member) == Some(&Value::Bool(true));
        json!({
            "scalableTargetARN": self.arn,
            "serviceNamespace": "ecs",
            "resourceId": id,
            "scalableDimension": "ecs:service:DesiredCount",
            "minCapacity": self.min,
            "maxCapacity": self.max,
            "roleARN": "arn:aws:iam::111122223333:role/aws-service-role/ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService",
            "creationTime": self.created.json(),
            "suspendedState": {
                "dynamicScalingInSuspended": is_suspended("dynamicScalingInSuspended"),
                "dynamicScalingOutSuspended": is_suspended("dynamicScalingOutSuspended"),
                "scheduledScalingSuspended": is_suspended("scheduledScalingSuspended"),
            },
        })
    }

    /// Carries out what is due; whether the range has moved.
    fn advance(&mut self, now: Moment) -> bool {
        let mut is_moved = false;
        let is_suspended = self.suspended.get("scheduledScalingSuspended") == Some(&true.into());
        let (min, max) = (&mut self.min, &mut self.max);
        self.actions.retain(|_, action| {
            let schedule = text(&action.members, "schedule");
            if !is_due(schedule, action.done, now) {
                return true;
            }
            let is_once = once(schedule).is_some();
            action.done = now;
            let number = |member: &str| {
                let value = action.members["scalableTargetAction"][member].as_u64();
                value.and_then(|value| usize::try_from(value).ok())
            };
            if !is_suspended {
                is_moved = true;
                // The other bound gives way.
                if let Some(value) = number("minCapacity") {
                    (*min, *max) = (value, (*max).max(value));
                }
                if let Some(value) = number("maxCapacity") {
                    (*max, *min) = (value, (*min).min(value));
                }
            }
            !is_once
        });
        is_moved
    }
}

/// Whether a schedule has a due time after `done` and until `now`, in UTC.
fn is_due(schedule: &str, done: Moment, now: Moment) -> bool {
    if let Some(at) = once(schedule) {
        return done < at && at <= now;
    }
    let Some((kind, inner)) = schedule.trim_end_matches(')').split_once('(') else {
        return false;
    };
    let mut parts = inner.split_whitespace();
    let number = parts.next().and_then(|part| part.parse::<u64>().ok());
    let second = parts.next();
    match (kind, number) {
        ("rate", Some(count)) => {
            let unit = match second.unwrap_or_default().trim_end_matches('s') {
                "minute" => 60,
                "hour" => 3600,
                _ => 86400,
            };
            now.since(done) >= Duration::from_secs(count * unit)
        }
        // Once a day.
        ("cron", Some(minute)) => {
            let hour = second.and_then(|part| part.parse::<i8>().ok());
            let at = |time: Timestamp| {
                let minute = i8::try_from(minute).ok()?;
                let time_of_day = Time::new(hour?, minute, 0, 0).ok()?;
                let day = time.to_zoned(TimeZone::UTC).date();
                let zoned = day.to_datetime(time_of_day).to_zoned(TimeZone::UTC).ok()?;
                Some(Moment(zoned.timestamp().as_millisecond()))
            };
            let today = Timestamp::from_millisecond(now.0).ok().and_then(at);
            today.is_some_and(|today| done < today && today <= now)
        }
        _ => false,
    }
}

/// When a schedule is due that is due once.
fn once(schedule: &str) -> Option<Moment> {
    let time = schedule.strip_prefix("at(")?.strip_suffix(')')?;
    let time: Timestamp = format!("{time}Z").parse().ok()?;
    Some(Moment(time.as_millisecond()))
}

fn id(request: &Value) -> &str {
    text(request, "resourceId")
}

fn text<'a>(request: &'a Value, member: &str) -> &'a str {
    request[member].as_str().unwrap_or_default()
}

fn missing(message: &str) -> Refusal {
    Refusal::new("ObjectNotFoundException", message)
}

fn validation(message: String) -> Refusal {
    Refusal::new("ValidationException", message)
}

/// The document with another first letter of the names of all members. Tags have names of users.
fn renamed(document: &Value, change: fn(&char) -> char) -> Value {
    match document {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| {
                let value = match name.as_str() {
                    "tags" | "Tags" => value.clone(),
                    _ => renamed(value, change),
                };
                let mut letters = name.chars();
                let first = letters.next().as_ref().map(change);
                (first.into_iter().chain(letters).collect::<String>(), value)
            })
            .collect(),
        Value::Array(elements) => elements
            .iter()
            .map(|element| renamed(element, change))
            .collect(),
        other => other.clone(),
    }
}
