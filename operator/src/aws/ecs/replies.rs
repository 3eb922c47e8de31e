//! What the replies of ECS say of the objects that they describe.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use crate::aws::observer::Answer;
use crate::aws::tags::{SPEC_HASH, Tags};
use crate::aws::{AwsError, ErrorKind, Operation, name_in};

/// The answer in a reply of DescribeTaskDefinition or RegisterTaskDefinition: the task definition
/// with its tags, which the API puts beside it. A revision that is INACTIVE is found, too, as its
/// tags say whose it was. Of one that carries the hash of its request only what decisions need is
/// kept; of another one the definition itself, too, to compare it.
pub(crate) fn task_definition(mut reply: Value) -> Answer {
    let tags = reply["tags"].take();
    let Value::Object(described) = reply["taskDefinition"].take() else {
        return Answer::Missing;
    };
    // It cannot be used, and nothing is left to do.
    if described
        .get("status")
        .is_some_and(|status| status == "DELETE_IN_PROGRESS")
    {
        return Answer::Missing;
    }
    let kept = ["taskDefinitionArn", "family", "revision", "status"];
    let mut found: serde_json::Map<_, _> = described
        .iter()
        .filter(|(key, _)| kept.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if !Tags::read(&tags).0.contains_key(SPEC_HASH) {
        found.insert("definition".to_owned(), described.into());
    }
    found.insert("tags".to_owned(), tags);
    Answer::Found(Arc::new(found.into()))
}

/// How many events of a service are kept, of the hundred that ECS shows: those since the last look.
const EVENTS: usize = 10;

/// The answer about one described object.
fn described(mut object: Value) -> Answer {
    // The reason why the creation of a capacity provider failed is still to be reported.
    if object["status"] == "INACTIVE" && object["updateStatus"] != "CREATE_FAILED" {
        return Answer::Inactive;
    }
    if let Some(events) = object.get_mut("events").and_then(Value::as_array_mut) {
        // The newest come first.
        events.truncate(EVENTS);
    }
    Answer::Found(Arc::new(object))
}

/// The answer in the reply to a write, which shows the object in `member` as the write left it.
/// Tags are shown only where they were asked for; else those we know are `tags`. `None` when the
/// reply has no such member.
pub(crate) fn written(mut reply: Value, member: &str, tags: Value) -> Option<Answer> {
    let mut object = reply[member].take();
    let members = object.as_object_mut()?;
    if members
        .get("tags")
        .and_then(Value::as_array)
        .is_none_or(Vec::is_empty)
    {
        members.insert("tags".to_owned(), tags);
    }
    Some(described(object))
}

/// One answer for each name or ARN from a reply that lists what was found in any order, and what is
/// missing in `failures`.
pub(super) fn sort_out(
    operation: Operation,
    reply: Result<Value, AwsError>,
    list: &str,
    name_member: &str,
    names: &[&str],
) -> Vec<Result<Answer, AwsError>> {
    let mut reply = match reply {
        Ok(reply) => reply,
        Err(error) => return names.iter().map(|_| Err(error.clone())).collect(),
    };
    let mut answers = HashMap::new();
    if let Value::Array(found) = reply[list].take() {
        for object in found {
            if let Some(name) = object[name_member].as_str().map(str::to_owned) {
                answers.insert(name, Ok(described(object)));
            }
        }
    }
    for failure in reply["failures"].as_array().into_iter().flatten() {
        let arn = failure["arn"].as_str().unwrap_or_default();
        let reason = failure["reason"].as_str().unwrap_or("no reason given");
        let answer = match reason {
            "MISSING" => Ok(Answer::Missing),
            _ => Err(AwsError::new(
                operation,
                ErrorKind::Server,
                format!("AWS could not describe {arn}: {reason}"),
            )),
        };
        // The ARN of a failure is, or ends in, what was asked for.
        let name = if names.contains(&arn) {
            arn
        } else {
            name_in(arn)
        };
        answers.entry(name.to_owned()).or_insert(answer);
    }
    let absent = |name: &str| {
        AwsError::new(
            operation,
            ErrorKind::Server,
            format!("the reply says nothing of {name}"),
        )
    };
    names
        .iter()
        .map(|name| {
            answers
                .get(*name)
                .cloned()
                .unwrap_or_else(|| Err(absent(name)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::operations as ecs;
    use super::*;

    fn clusters(reply: Value, names: &[&str]) -> Vec<Result<Answer, AwsError>> {
        sort_out(
            ecs::DescribeClusters,
            Ok(reply),
            "clusters",
            "clusterName",
            names,
        )
    }

    #[test]
    fn found_inactive_missing_and_absent_are_four_answers() {
        let reply = json!({
            "clusters": [
                {"clusterName": "old", "status": "INACTIVE"},
                {"clusterName": "here", "status": "ACTIVE"},
            ],
            "failures": [
                {"arn": "arn:aws:ecs:eu-central-1:111122223333:cluster/gone", "reason": "MISSING"},
                {"arn": "arn:aws:ecs:eu-central-1:111122223333:cluster/odd", "reason": "ACCESS"},
            ],
        });
        let answers = clusters(reply, &["here", "gone", "old", "odd", "forgotten"]);
        let here = Arc::new(json!({"clusterName": "here", "status": "ACTIVE"}));
        assert_eq!(answers[0], Ok(Answer::Found(here)));
        assert_eq!(answers[1], Ok(Answer::Missing));
        assert_eq!(answers[2], Ok(Answer::Inactive));
        assert!(
            answers[3]
                .as_ref()
                .is_err_and(|error| error.message.contains("ACCESS"))
        );
        assert!(
            answers[4]
                .as_ref()
                .is_err_and(|error| error.message == "the reply says nothing of forgotten")
        );
    }

    #[test]
    fn keeps_the_newest_events() {
        let events: Vec<_> = (0..100).map(|id| json!({"id": id})).collect();
        let Answer::Found(service) = described(json!({"status": "ACTIVE", "events": events}))
        else {
            panic!("it is found")
        };
        assert_eq!(service["events"].as_array().map(Vec::len), Some(EVENTS));
        assert_eq!(service["events"][0]["id"], 0);
    }

    #[test]
    fn a_failed_read_fails_every_name() {
        let error = AwsError::new(ecs::DescribeClusters, ErrorKind::Throttle, "Rate exceeded");
        let answers = sort_out(
            ecs::DescribeClusters,
            Err(error.clone()),
            "clusters",
            "clusterName",
            &["a", "b"],
        );
        assert_eq!(answers, [Err(error.clone()), Err(error)]);
    }
}
