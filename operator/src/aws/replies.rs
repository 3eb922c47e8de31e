//! What the replies of all services have in common.

use std::sync::Arc;

use serde_json::{Value, json};

use super::call::Reads;
use super::observer::Answer;
use super::tags::{TagShape, Tags};
use super::{AwsError, ErrorKind, Operation};

/// The answer about `object` after TagResource or UntagResource with `request`: replies to them are
/// empty, and a read may lag behind. `shape` is that of the service.
#[must_use]
pub fn tagged(object: &Value, request: &Value, shape: TagShape) -> Answer {
    let tags = Tags::read(&object["tags"]).after(request);
    let mut object = object.clone();
    object["tags"] = tags.write(shape);
    Answer::Found(Arc::new(object))
}

/// The tags of an object that ListTagsForResource shows, one object a call; missing where the object
/// is.
pub(in crate::aws) async fn listed_tags(
    reads: &Reads<'_>,
    operation: Operation,
    arn: &str,
) -> Result<Answer, AwsError> {
    match reads.send(operation, &json!({"resourceArn": arn})).await {
        Ok(mut reply) => Ok(Answer::Found(Arc::new(reply["tags"].take()))),
        Err(error) if error.kind == ErrorKind::Missing => Ok(Answer::Missing),
        Err(error) => Err(error),
    }
}

/// The replies to a list call, to the last page. A page that fails is tried again.
pub(in crate::aws) async fn pages(
    reads: &Reads<'_>,
    operation: Operation,
    request: Value,
) -> Result<Vec<Value>, AwsError> {
    Ok(paged(reads, operation, request, usize::MAX, true)
        .await?
        .unwrap_or_default())
}

/// The replies to a list call, to the last page; `None` where there are more than `most`.
pub(in crate::aws) async fn some_pages(
    reads: &Reads<'_>,
    operation: Operation,
    request: Value,
    most: usize,
) -> Result<Option<Vec<Value>>, AwsError> {
    paged(reads, operation, request, most, false).await
}

async fn paged(
    reads: &Reads<'_>,
    operation: Operation,
    mut request: Value,
    most: usize,
    insists: bool,
) -> Result<Option<Vec<Value>>, AwsError> {
    let mut pages = Vec::new();
    while pages.len() < most {
        let sent = if insists {
            reads.insist(operation, &request).await
        } else {
            reads.send(operation, &request).await
        };
        let mut reply = sent?;
        let next = reply["nextToken"].take();
        pages.push(reply);
        match next {
            Value::String(token) if !token.is_empty() => request["nextToken"] = token.into(),
            _ => return Ok(Some(pages)),
        }
    }
    Ok(None)
}

/// The ARNs or names that a list call answers in `member`.
pub(in crate::aws) fn arns<'a>(page: &'a Value, member: &str) -> impl Iterator<Item = &'a str> {
    page[member]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}
