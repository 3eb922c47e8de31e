//! Registrations of a task definition, and what came of those that got no reply.
//!
//! RegisterTaskDefinition has no client token, and lists may lag behind: what such a call has made
//! is known by its hash and by a number that is newer than what there was before.

use std::time::Duration;

use tokio::time::Instant;

use super::revision::Revision;
use crate::aws::observer::LAG;

/// The registrations of the last minute, the newest last.
#[derive(Debug, Default)]
pub(super) struct Registrations(Vec<Registration>);

#[derive(Debug)]
struct Registration {
    sent: Instant,
    hash: String,
    /// The newest revision that was known before.
    after: i32,
    /// The revision that it made; `None` while that is unknown.
    made: Option<i32>,
}

impl Registrations {
    /// One is about to be sent.
    pub(super) fn begin(&mut self, hash: String, after: i32) {
        self.0
            .retain(|registration| registration.sent.elapsed() < LAG);
        self.0.push(Registration {
            sent: Instant::now(),
            hash,
            after,
            made: None,
        });
    }

    /// The last one made this revision.
    pub(super) fn made(&mut self, revision: i32) {
        if let Some(last) = self.0.last_mut() {
            last.made = Some(revision);
        }
    }

    /// The last one was refused.
    pub(super) fn refused(&mut self) {
        self.0.pop();
    }

    /// These revisions of ours are there: each is what came of one registration at most.
    pub(super) fn find<'a>(&mut self, ours: impl IntoIterator<Item = &'a Revision>) {
        for revision in ours {
            if self
                .0
                .iter()
                .any(|registration| registration.made == Some(revision.revision))
            {
                continue;
            }
            let is_it = |registration: &&mut Registration| {
                let is_same = revision.hash.as_ref() == Some(&registration.hash);
                registration.made.is_none() && is_same && revision.revision > registration.after
            };
            if let Some(registration) = self.0.iter_mut().find(is_it) {
                registration.made = Some(revision.revision);
            }
        }
    }

    /// How long ago the last registration without a known result was sent, as long as a read may
    /// still show the result.
    pub(super) fn unanswered(&self) -> Option<Duration> {
        let mut unanswered = self
            .0
            .iter()
            .rev()
            .filter(|registration| registration.made.is_none());
        unanswered
            .next()
            .map(|registration| registration.sent.elapsed())
            .filter(|elapsed| *elapsed < LAG)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(number: i32, hash: &str) -> Revision {
        Revision {
            revision: number,
            hash: Some(hash.to_owned()),
            ..Revision::default()
        }
    }

    #[test]
    fn finds_a_registration_by_hash_and_number() {
        let mut registrations = Registrations::default();
        assert!(registrations.unanswered().is_none());
        registrations.begin("a".to_owned(), 1);
        for other in [revision(2, "b"), revision(1, "a")] {
            registrations.find([&other]);
            assert!(registrations.unanswered().is_some(), "{other:?} is not it");
        }
        registrations.find([&revision(2, "a")]);
        assert!(registrations.unanswered().is_none());
    }

    #[test]
    fn one_answer_is_not_that_of_another() {
        let mut registrations = Registrations::default();
        // The first is lost, the same again goes well.
        registrations.begin("a".to_owned(), 0);
        registrations.begin("a".to_owned(), 0);
        registrations.made(2);
        registrations.find([&revision(2, "a")]);
        assert!(
            registrations.unanswered().is_some(),
            "nobody has seen the first"
        );
        registrations.find([&revision(2, "a"), &revision(1, "a")]);
        assert!(registrations.unanswered().is_none());
        // Both are lost, and one shows.
        let mut registrations = Registrations::default();
        registrations.begin("a".to_owned(), 0);
        registrations.begin("a".to_owned(), 0);
        for _ in 0..2 {
            registrations.find([&revision(1, "a")]);
            assert!(registrations.unanswered().is_some(), "one of two");
        }
        registrations.find([&revision(1, "a"), &revision(2, "a")]);
        assert!(registrations.unanswered().is_none());
    }

    #[test]
    fn a_refused_registration_made_nothing() {
        let mut registrations = Registrations::default();
        registrations.begin("a".to_owned(), 0);
        registrations.begin("a".to_owned(), 0);
        registrations.refused();
        assert!(
            registrations.unanswered().is_some(),
            "that says nothing of the one before"
        );
        registrations.find([&revision(1, "a")]);
        assert!(registrations.unanswered().is_none());
    }
}
