//! Conditions as kstatus and Flux read them.
//!
//! `Ready` is always there. `Reconciling` and `Stalled` are there only while true, never together
//! and never beside `Ready=True`. Each carries the generation it speaks of. `lastTransitionTime`
//! moves only when the status of a condition does.

use ecs_operator_crds::condition::{ConditionType, Reason};
use ecs_operator_crds::v1beta1::shared::Status;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::object::Object;

/// Longest message of a condition, in bytes; the API allows 32768, a person reads less.
const MAX_MESSAGE: usize = 4096;

/// How an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Done, on the way, or stuck.
    pub state: State,
    /// Why.
    pub reason: Reason,
    /// The same in words, with the way out where there is one.
    pub message: String,
}

/// The four states that the conditions can express.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// `Ready=True`.
    Ready,
    /// `Ready=Unknown`, `Reconciling=True`: a change is under way and nothing is wrong.
    Progressing,
    /// `Ready=False`, `Reconciling=True`: a problem that may resolve; the operator retries.
    Waiting,
    /// `Ready=False`, `Stalled=True`: the user has to change something.
    Stalled,
}

impl Verdict {
    /// A verdict.
    #[must_use]
    pub fn new(state: State, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            state,
            reason,
            message: cut(message.into(), MAX_MESSAGE),
        }
    }
}

/// The conditions that express `verdict`, given those there were before.
#[must_use]
pub fn conditions(
    before: &[Condition],
    verdict: &Verdict,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let (ready, other) = match verdict.state {
        State::Ready => ("True", None),
        State::Progressing => ("Unknown", Some(ConditionType::Reconciling)),
        State::Waiting => ("False", Some(ConditionType::Reconciling)),
        State::Stalled => ("False", Some(ConditionType::Stalled)),
    };
    let condition = |type_: ConditionType, status: &str| {
        besides(
            type_,
            status,
            verdict.reason,
            verdict.message.clone(),
            before,
            generation,
            now,
        )
    };
    let other = other.map(|type_| condition(type_, "True"));
    std::iter::once(condition(ConditionType::Ready, ready))
        .chain(other)
        .collect()
}

/// A condition beside those of the verdict, given those there were before.
#[must_use]
pub fn besides(
    type_: ConditionType,
    status: &str,
    reason: Reason,
    message: String,
    before: &[Condition],
    generation: Option<i64>,
    now: Timestamp,
) -> Condition {
    let same = before
        .iter()
        .find(|old| old.type_ == type_.as_str() && old.status == status);
    Condition {
        type_: type_.as_str().to_owned(),
        status: status.to_owned(),
        reason: reason.as_str().to_owned(),
        message: cut(message, MAX_MESSAGE),
        observed_generation: generation,
        last_transition_time: same.map_or_else(
            || whole_seconds(now),
            |old| old.last_transition_time.clone(),
        ),
    }
}

/// `conditions`, and one that says that the object is suspended. How many changes wait stands in
/// `Ready`, too, where people look.
#[must_use]
pub fn suspended(
    before: &[Condition],
    mut conditions: Vec<Condition>,
    waiting: usize,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let message = "spec.suspend is true: the operator reads AWS and changes nothing".to_owned();
    if let (Some(ready), 1..) = (
        conditions
            .iter_mut()
            .find(|condition| condition.type_ == ConditionType::Ready.as_str()),
        waiting,
    ) {
        let changes = if waiting == 1 {
            "change waits"
        } else {
            "changes wait"
        };
        ready.message = format!("{}; suspended, and {waiting} {changes}", ready.message);
    }
    conditions.push(besides(
        ConditionType::Suspended,
        "True",
        Reason::Suspended,
        message,
        before,
        generation,
        now,
    ));
    conditions
}

/// The `Ready` condition among `conditions`.
#[must_use]
pub fn ready(conditions: &[Condition]) -> Option<&Condition> {
    of_type(ConditionType::Ready, conditions)
}

/// The condition of this type among `conditions`.
#[must_use]
pub fn of_type(type_: ConditionType, conditions: &[Condition]) -> Option<&Condition> {
    conditions
        .iter()
        .find(|condition| condition.type_ == type_.as_str())
}

/// Whether `conditions` say `Ready=True`.
#[must_use]
pub fn is_ready(conditions: &[Condition]) -> bool {
    ready(conditions).is_some_and(|condition| condition.status == "True")
}

/// Whether the status of `object` says that its deletion is blocked.
#[must_use]
pub fn is_deletion_blocked<K: Object>(object: &K) -> bool {
    let conditions = object.status().map(Status::conditions);
    ready(conditions.unwrap_or_default())
        .is_some_and(|ready| ready.reason == Reason::DeletionBlocked.as_str())
}

/// The API server keeps whole seconds; what we compare must be what comes back.
#[must_use]
pub fn whole_seconds(now: Timestamp) -> Time {
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

/// Longest value of an annotation that the status repeats as it is, in bytes.
const MAX_ECHO: usize = 256;

/// The value of an annotation as the status repeats it. An annotation may have 256 KiB, and a
/// status with several of them would be too large for the API server; a long value is cut, with a
/// hash that tells it from others.
#[must_use]
pub fn echo(value: &str) -> String {
    if value.len() <= MAX_ECHO {
        return value.to_owned();
    }
    let hash = Sha256::digest(value)
        .iter()
        .take(8)
        .fold(String::new(), |hash, byte| format!("{hash}{byte:02x}"));
    format!(
        "{} ({} bytes, {hash})",
        cut(value.to_owned(), MAX_ECHO / 2),
        value.len()
    )
}

/// Cuts `text` to at most `limit` bytes, at a character boundary, and shows that it was cut.
#[must_use]
pub fn cut(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        let end = text.floor_char_boundary(limit.saturating_sub('…'.len_utf8()));
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a valid time")
    }

    fn shape(conditions: &[Condition]) -> Vec<(&str, &str)> {
        conditions
            .iter()
            .map(|condition| (condition.type_.as_str(), condition.status.as_str()))
            .collect()
    }

    #[test]
    fn each_state_has_the_conditions_that_kstatus_reads() {
        let rows: [(State, &[(&str, &str)]); 4] = [
            (State::Ready, &[("Ready", "True")]),
            (
                State::Progressing,
                &[("Ready", "Unknown"), ("Reconciling", "True")],
            ),
            (
                State::Waiting,
                &[("Ready", "False"), ("Reconciling", "True")],
            ),
            (State::Stalled, &[("Ready", "False"), ("Stalled", "True")]),
        ];
        for (state, expected) in rows {
            let conditions = conditions(
                &[],
                &Verdict::new(state, Reason::Progressing, "…"),
                Some(3),
                at(1),
            );
            assert_eq!(shape(&conditions), expected);
            assert!(
                conditions
                    .iter()
                    .all(|condition| condition.observed_generation == Some(3))
            );
        }
    }

    #[test]
    fn a_suspended_object_says_so_beside_how_it_is() {
        let ready = conditions(
            &[],
            &Verdict::new(State::Ready, Reason::Succeeded, "runs"),
            Some(1),
            at(10),
        );
        let paused = suspended(&[], ready.clone(), 2, Some(1), at(10));
        assert_eq!(shape(&paused), [("Ready", "True"), ("Suspended", "True")]);
        assert_eq!(paused[0].message, "runs; suspended, and 2 changes wait");
        assert_eq!(
            suspended(&paused, ready, 2, Some(1), at(30)),
            paused,
            "and nothing moves by itself"
        );
    }

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let waiting = Verdict::new(State::Waiting, Reason::DependencyNotReady, "a");
        let first = conditions(&[], &waiting, Some(1), at(10));
        let other_words = Verdict::new(State::Waiting, Reason::Throttled, "b");
        let second = conditions(&first, &other_words, Some(2), at(20));
        assert_eq!(second[0].last_transition_time, Time(at(10)));
        let third = conditions(
            &second,
            &Verdict::new(State::Ready, Reason::Succeeded, "c"),
            Some(2),
            at(30),
        );
        assert_eq!(third[0].last_transition_time, Time(at(30)));
    }

    #[test]
    fn a_long_value_is_repeated_in_short_and_told_from_others() {
        assert_eq!(echo("2026-01-31T12:00:00Z"), "2026-01-31T12:00:00Z");
        let (one, other) = (
            echo(&"ä".repeat(100_000)),
            echo(&format!("{}x", "ä".repeat(100_000))),
        );
        assert!(one.len() < MAX_ECHO && one != other, "{one} {other}");
        assert_eq!(
            one,
            echo(&"ä".repeat(100_000)),
            "the same value is the same"
        );
        let long = besides(
            ConditionType::CommandAccepted,
            "False",
            Reason::CommandRefused,
            "x".repeat(9999),
            &[],
            None,
            at(1),
        );
        assert_eq!(long.message.len(), MAX_MESSAGE);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(cut("short".into(), 10), "short");
        assert_eq!(cut("äöüäöü".into(), 8), "äö…");
    }
}
