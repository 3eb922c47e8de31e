//! An answer as the cache keeps it, and what is known of the writes of ours that made it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::types::{Answer, Seen};

/// How long AWS's reads may lag behind its writes, and how many states before writes of ours are
/// recognised.
pub(crate) const LAG: Duration = Duration::from_secs(60);
const OUTDATED: usize = 4;

/// How far apart two reads have to be to be believed together. AWS's reads usually lag behind by
/// less than a second.
pub(crate) const CONFIRMED: Duration = Duration::from_secs(3);

/// An answer as the cache keeps it: as text it takes a fraction of the memory that a tree of JSON
/// needs.
pub(super) struct Entry {
    pub(super) at: Instant,
    /// When it was last requested.
    pub(super) asked: Instant,
    answer: StoredAnswer,
    /// What was true before writes of ours, the newest last, and when the last of them was.
    outdated: Vec<StoredAnswer>,
    written: Option<Instant>,
    /// What reads show instead, which may lag behind, and since when.
    suspected: Option<(StoredAnswer, Instant)>,
    /// Whether a write of unknown outcome followed: the answer is then not returned, and only helps
    /// to recognise reads that lag behind.
    is_doubted: bool,
}

#[derive(PartialEq)]
enum StoredAnswer {
    Found(Box<str>),
    Inactive,
    Missing,
}

impl Entry {
    pub(super) fn new(at: Instant, answer: &Answer) -> Self {
        let answer = match answer {
            Answer::Found(json) => StoredAnswer::Found(json.to_string().into()),
            Answer::Inactive => StoredAnswer::Inactive,
            Answer::Missing => StoredAnswer::Missing,
        };
        Self {
            at,
            asked: at,
            answer,
            outdated: Vec::new(),
            written: None,
            suspected: None,
            is_doubted: false,
        }
    }

    /// The answer after a write, given the answer `before`. Without one the object did not exist.
    pub(super) fn written(before: Option<Self>, Seen { at, answer }: &Seen) -> Self {
        let entry = Self::new(*at, answer);
        let (before, mut outdated) = before.map_or((StoredAnswer::Missing, Vec::new()), |before| {
            (before.answer, before.outdated)
        });
        if before != entry.answer {
            outdated.drain(..(outdated.len() + 1).saturating_sub(OUTDATED));
            outdated.push(before);
        }
        Self {
            outdated,
            written: Some(*at),
            ..entry
        }
    }

    /// This answer after a read that is not lagging.
    pub(super) fn followed_by(self, read: Self) -> Self {
        if self.is_written_lately(&read) {
            return Self {
                outdated: self.outdated,
                written: self.written,
                ..read
            };
        }
        read
    }

    /// Whether both say the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.answer == other.answer
    }

    fn is_written_lately(&self, read: &Self) -> bool {
        self.is_written_before(read.at)
    }

    /// Whether a write of ours was so short a time before `moment` that AWS may not show it yet.
    pub(super) fn is_written_before(&self, moment: Instant) -> bool {
        self.written.is_some_and(|written| moment < written + LAG)
    }

    /// Whether a read shows what was before writes of ours: AWS's reads may lag behind its writes.
    pub(super) fn is_lagging(&self, read: &Self) -> bool {
        let is_absence = matches!(read.answer, StoredAnswer::Inactive | StoredAnswer::Missing);
        let is_outdated = self.is_written_lately(read)
            && !self.is_same(read)
            && self.outdated.contains(&read.answer);
        is_outdated && !(is_absence && self.is_leaving())
    }

    /// A read shows what was before writes of ours.
    pub(super) fn suspect(&mut self, read: Self) {
        if self
            .suspected
            .as_ref()
            .is_none_or(|(answer, _)| *answer != read.answer)
        {
            self.suspected = Some((read.answer, read.at));
        }
    }

    /// Whether an earlier read said the same as this one, so long before that both are to be
    /// believed.
    pub(super) fn is_confirmed(&self, read: &Self) -> bool {
        self.suspected
            .as_ref()
            .is_some_and(|(answer, at)| *answer == read.answer && read.at >= *at + CONFIRMED)
    }

    /// Whether it is on its way out, so that its absence is what comes next.
    fn is_leaving(&self) -> bool {
        let Answer::Found(json) = self.seen().answer else {
            return false;
        };
        json["status"] == "DRAINING" || json["status"] == "DEPROVISIONING"
    }

    /// The same after a write of unknown outcome.
    pub(super) fn doubted(self) -> Self {
        Self {
            is_doubted: true,
            ..self
        }
    }

    /// Whether the answer may be returned.
    pub(super) fn is_valid(&self) -> bool {
        !self.is_doubted
    }

    pub(super) fn seen(&self) -> Seen {
        let answer = match &self.answer {
            // It was written from JSON.
            StoredAnswer::Found(text) => {
                Answer::Found(Arc::new(serde_json::from_str(text).unwrap_or_default()))
            }
            StoredAnswer::Inactive => Answer::Inactive,
            StoredAnswer::Missing => Answer::Missing,
        };
        Seen {
            at: self.at,
            answer,
        }
    }
}

/// It can hold values of environment variables, so it is never printed.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(count: u8) -> Answer {
        Answer::Found(Arc::new(json!({"desiredCount": count})))
    }

    #[test]
    fn a_read_that_lags_behind_our_writes_is_recognised() {
        let start = Instant::now();
        let second = |n| start + Duration::from_secs(n);
        let entry = Entry::written(
            None,
            &Seen {
                at: second(1),
                answer: found(1),
            },
        );
        let entry = Entry::written(
            Some(entry),
            &Seen {
                at: second(2),
                answer: found(2),
            },
        );
        let lags = |n, answer: &Answer| entry.is_lagging(&Entry::new(second(n), answer));
        assert!(lags(3, &found(1)) && lags(3, &Answer::Missing));
        assert!(!lags(3, &found(2)), "that is what we wrote");
        assert!(!lags(3, &found(7)), "somebody else wrote");
        assert!(!lags(63, &found(1)), "so late it is true");
        let entry = entry.followed_by(Entry::new(second(4), &found(3)));
        assert!(
            entry.is_lagging(&Entry::new(second(5), &found(1))),
            "another read takes over what is known"
        );
    }

    #[test]
    fn two_reads_some_seconds_apart_confirm_each_other() {
        let start = Instant::now();
        let read =
            |second, answer: &Answer| Entry::new(start + Duration::from_secs(second), answer);
        let mut entry = Entry::written(
            None,
            &Seen {
                at: start,
                answer: found(1),
            },
        );
        assert!(
            entry.is_lagging(&read(1, &Answer::Missing))
                && !entry.is_confirmed(&read(1, &Answer::Missing))
        );
        entry.suspect(read(1, &Answer::Missing));
        entry.suspect(read(3, &Answer::Missing));
        assert!(!entry.is_confirmed(&read(3, &Answer::Missing)), "too soon");
        assert!(
            !entry.is_confirmed(&read(9, &Answer::Inactive)),
            "something else"
        );
        assert!(entry.is_confirmed(&read(4, &Answer::Missing)));
    }

    #[test]
    fn a_draining_service_is_gone_when_a_read_says_so() {
        let start = Instant::now();
        let second = |n| start + Duration::from_secs(n);
        let draining = Answer::Found(Arc::new(json!({"status": "DRAINING"})));
        let created = Entry::written(
            Some(Entry::new(start, &Answer::Inactive)),
            &Seen {
                at: second(1),
                answer: found(1),
            },
        );
        assert!(created.is_lagging(&Entry::new(second(2), &Answer::Inactive)));
        let deleted = Entry::written(
            Some(created),
            &Seen {
                at: second(3),
                answer: draining,
            },
        );
        assert!(!deleted.is_lagging(&Entry::new(second(4), &Answer::Inactive)));
        assert!(
            deleted.is_lagging(&Entry::new(second(4), &found(1))),
            "and not there again"
        );
    }

    #[test]
    fn few_outdated_states_are_kept() {
        let start = Instant::now();
        let write = |entry, n| {
            Some(Entry::written(
                entry,
                &Seen {
                    at: start,
                    answer: found(n),
                },
            ))
        };
        let entry = (0..20).fold(None, write).expect("it was written");
        assert_eq!(entry.outdated.len(), OUTDATED);
        assert!(entry.outdated.last() == Some(&Entry::new(start, &found(18)).answer));
    }
}
