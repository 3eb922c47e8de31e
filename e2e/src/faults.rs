//! Faults of AWS and of the way to it, by rules: which calls, how often, and what happens to them.
//!
//! The AWS proxy takes them as JSON: `PUT /faults` replaces all rules, `GET /faults` shows them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde::{Deserialize, Serialize};

/// Everything that goes wrong.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Faults {
    /// Where the dice of `probability` start.
    pub seed: u64,
    /// The first rule that fits a call decides.
    pub rules: Vec<Rule>,
    /// Whether calls beyond ECS's published rates are throttled, as AWS does it.
    pub quotas: bool,
}

/// What happens to which calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// The operation; all of them, where it is left out.
    #[serde(default)]
    pub operation: Option<String>,
    /// Which call of those that fit, from 1; all of them, where it is left out.
    #[serde(default)]
    pub nth: Option<u64>,
    /// How likely it is, from 0 to 1; certain, where it is left out.
    #[serde(default)]
    pub probability: Option<f64>,
    /// What happens.
    pub fault: Fault,
}

impl Rule {
    /// A rule for every call of all operations.
    #[must_use]
    pub fn always(fault: Fault) -> Self {
        Self {
            operation: None,
            nth: None,
            probability: None,
            fault,
        }
    }
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fault {
    /// Refused: too many calls.
    Throttled,
    /// Refused: AWS has an error of its own.
    ServerError,
    /// Refused: the credentials may not do this.
    AccessDenied,
    /// Refused: the credentials have run out.
    ExpiredToken,
    /// The connection breaks before the call is carried out.
    ResetBefore,
    /// The call is carried out, and then the connection breaks.
    ResetAfter,
    /// The call is carried out, and no answer ever comes.
    LostReply,
    /// The answer comes this many milliseconds later.
    Delay(u64),
    /// The call is carried out, and the connection breaks in the middle of the answer.
    Truncated,
    /// Something that is no AWS answers.
    Html,
    /// A read is answered with what was true this many milliseconds ago.
    Stale(u64),
}

/// What ECS grants, by families of operations: calls at once, and calls per second after that.
/// Source: "Request throttling for the Amazon ECS API", ECS API reference.
const QUOTAS: &[(&[&str], f64, f64)] = &[
    (
        &[
            "CreateCluster",
            "UpdateCluster",
            "DeleteCluster",
            "PutClusterCapacityProviders",
        ],
        20.0,
        1.0,
    ),
    (&["DescribeClusters", "ListClusters"], 50.0, 20.0),
    (
        &["RegisterTaskDefinition", "DeregisterTaskDefinition"],
        20.0,
        1.0,
    ),
    (&["DeleteTaskDefinitions"], 5.0, 1.0),
    (
        &[
            "DescribeTaskDefinition",
            "ListTaskDefinitions",
            "ListTaskDefinitionFamilies",
        ],
        50.0,
        20.0,
    ),
    (
        &["CreateService", "UpdateService", "DeleteService"],
        50.0,
        5.0,
    ),
    (&["DescribeServices", "ListServices"], 100.0, 20.0),
    (&["DescribeServiceDeployments"], 50.0, 20.0),
    (&["DescribeServiceRevisions"], 50.0, 20.0),
    (&["DescribeTasks", "ListTasks"], 100.0, 20.0),
    (&["TagResource", "UntagResource"], 20.0, 10.0),
];

/// An answer of the server.
pub type Reply = (StatusCode, header::HeaderMap, Bytes);

/// Decides what happens to each call.
#[derive(Debug, Default)]
pub(crate) struct Injector(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    faults: Faults,
    dice: Option<fastrand::Rng>,
    /// How many calls each rule has fitted.
    fitted: Vec<u64>,
    /// Tokens of each family, and when they were counted.
    tokens: HashMap<usize, (f64, Instant)>,
    /// Answers to reads, the oldest first.
    past: HashMap<(String, Bytes), Vec<(Instant, Reply)>>,
}

impl Injector {
    /// Replaces all rules.
    pub(crate) fn set(&self, faults: Faults) {
        let dice = Some(fastrand::Rng::with_seed(faults.seed));
        *self.state() = State {
            fitted: vec![0; faults.rules.len()],
            faults,
            dice,
            ..State::default()
        };
    }

    /// The rules.
    pub(crate) fn faults(&self) -> Faults {
        self.state().faults.clone()
    }

    /// What happens to the call that comes now.
    pub(crate) fn decide(&self, operation: &str) -> Option<Fault> {
        let mut state = self.state();
        if state.faults.quotas && !state.has_token(operation, Instant::now()) {
            return Some(Fault::Throttled);
        }
        let State {
            faults,
            dice,
            fitted,
            ..
        } = &mut *state;
        for (rule, fitted) in faults.rules.iter().zip(fitted) {
            if rule
                .operation
                .as_ref()
                .is_some_and(|named| named != operation)
            {
                continue;
            }
            *fitted += 1;
            let is_it = rule.nth.is_none_or(|nth| nth == *fitted);
            if is_it
                && rule.probability.is_none_or(|probability| {
                    dice.as_mut().is_some_and(|dice| dice.f64() < probability)
                })
            {
                return Some(rule.fault);
            }
        }
        None
    }

    /// The answer to this read that was true `age` ago, or the first that was ever given; `now` is
    /// kept for later.
    pub(crate) fn stale(
        &self,
        operation: &str,
        request: &Bytes,
        now: Reply,
        age: Duration,
    ) -> Reply {
        let mut state = self.state();
        let past = state
            .past
            .entry((operation.to_owned(), request.clone()))
            .or_default();
        past.push((Instant::now(), now));
        let then = past
            .iter()
            .rposition(|(at, _)| at.elapsed() >= age)
            .unwrap_or_default();
        past.drain(..then);
        past[0].1.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_token(&mut self, operation: &str, now: Instant) -> bool {
        let Some(family) = QUOTAS
            .iter()
            .position(|(operations, ..)| operations.contains(&operation))
        else {
            return true;
        };
        let (_, burst, per_second) = QUOTAS[family];
        let (tokens, at) = self.tokens.entry(family).or_insert((burst, now));
        *tokens = (*tokens + now.duration_since(*at).as_secs_f64() * per_second).min(burst);
        *at = now;
        let granted = *tokens >= 1.0;
        *tokens -= f64::from(u8::from(granted));
        granted
    }
}

fn reply(status: StatusCode, content_type: &'static str, body: String) -> Reply {
    let headers = [(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static(content_type),
    )]
    .into_iter()
    .collect();
    (status, headers, body.into())
}

/// AWS's refusal with this code.
fn refusal(status: StatusCode, code: &str, message: &str) -> Reply {
    let body = serde_json::json!({"__type": code, "message": message});
    reply(status, "application/x-amz-json-1.1", body.to_string())
}

/// As ECS says it: with status 400.
pub(crate) fn throttled() -> Reply {
    refusal(
        StatusCode::BAD_REQUEST,
        "ThrottlingException",
        "Rate exceeded",
    )
}

/// The answer to a call that is not carried out; `None` where it is.
pub(crate) fn instead(fault: Fault) -> Option<Reply> {
    Some(match fault {
        Fault::Throttled => throttled(),
        Fault::ServerError => refusal(
            StatusCode::INTERNAL_SERVER_ERROR,
            "ServerException",
            "Service Unavailable",
        ),
        Fault::AccessDenied => refusal(
            StatusCode::BAD_REQUEST,
            "AccessDeniedException",
            "The user is not authorized to perform this action",
        ),
        Fault::ExpiredToken => refusal(
            StatusCode::BAD_REQUEST,
            "ExpiredTokenException",
            "The security token included in the request is expired",
        ),
        Fault::Html => reply(
            StatusCode::OK,
            "text/html",
            "<html><body>Sign in</body></html>".to_owned(),
        ),
        _ => return None,
    })
}

/// Breaks the connection: the server drops it with the task that serves it.
pub(crate) fn reset() -> ! {
    std::panic::resume_unwind(Box::new("the connection is reset"))
}

/// Half of an answer that promises all of it.
pub(crate) fn truncated((status, mut headers, reply): Reply) -> Response {
    headers.insert(header::CONTENT_LENGTH, reply.len().into());
    let half = Ok(reply.slice(..reply.len() / 2));
    let body = Body::from_stream(stream::iter([
        half,
        Err(std::io::Error::other("the connection is reset")),
    ]));
    (status, headers, body).into_response()
}

/// The rules of an AWS proxy, to be changed while it runs.
#[derive(Clone, Debug, Default)]
pub struct Rules(pub(crate) Arc<Injector>);

impl Rules {
    /// Replaces all rules.
    pub fn set(&self, faults: Faults) {
        self.0.set(faults);
    }

    /// Lets everything be well again.
    pub fn clear(&self) {
        self.set(Faults::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn injector(rules: &[(Option<&str>, Option<u64>, Option<f64>)]) -> Injector {
        let rule = |&(operation, nth, probability): &(Option<&str>, _, _)| Rule {
            operation: operation.map(str::to_owned),
            nth,
            probability,
            ..Rule::always(Fault::ServerError)
        };
        let injector = Injector::default();
        injector.set(Faults {
            seed: 7,
            rules: rules.iter().map(rule).collect(),
            quotas: false,
        });
        injector
    }

    #[test]
    fn a_rule_is_for_an_operation_and_for_one_of_its_calls() {
        let injector = injector(&[(Some("CreateService"), Some(2), None)]);
        let hits: Vec<_> = [
            "CreateService",
            "ListTasks",
            "CreateService",
            "CreateService",
        ]
        .map(|call| injector.decide(call))
        .into();
        assert_eq!(hits, [None, None, Some(Fault::ServerError), None]);
    }

    #[test]
    fn the_same_seed_throws_the_same_dice() {
        let throw = || -> Vec<bool> {
            let injector = injector(&[(None, None, Some(0.5))]);
            (0..64)
                .map(|_| injector.decide("ListTasks").is_some())
                .collect()
        };
        let hits = throw().into_iter().filter(|hit| *hit).count();
        assert!((16..48).contains(&hits), "{hits} of 64");
        assert_eq!(throw(), throw());
    }

    #[test]
    fn beyond_the_quota_calls_are_throttled() {
        let mut state = State::default();
        let start = Instant::now();
        let granted = (0..100)
            .filter(|_| state.has_token("CreateService", start))
            .count();
        assert_eq!(granted, 50);
        let later = (0..100)
            .filter(|_| state.has_token("UpdateService", start + Duration::from_secs(2)))
            .count();
        assert_eq!(later, 10, "they share a bucket");
    }

    #[test]
    fn a_stale_read_tells_what_was_true_then() {
        let injector = Injector::default();
        let reply = |text: &'static str| {
            (
                StatusCode::OK,
                header::HeaderMap::new(),
                Bytes::from_static(text.as_bytes()),
            )
        };
        let ask = |text, age| {
            injector
                .stale(
                    "DescribeServices",
                    &Bytes::from_static(b"{}"),
                    reply(text),
                    age,
                )
                .2
        };
        assert_eq!(ask("one", Duration::from_secs(60)), "one");
        assert_eq!(ask("two", Duration::from_secs(60)), "one");
        assert_eq!(ask("three", Duration::ZERO), "three");
        assert_eq!(
            ask("four", Duration::from_secs(60)),
            "three",
            "what was newer once is not forgotten"
        );
    }
}
