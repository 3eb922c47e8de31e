//! The plans that wait for a bucket, in turn by namespace.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::requester::Requester;

/// How long after its turn a place is kept for one that does not come back: longer than it may wait
/// for a token of another bucket.
pub(super) const KEPT: Duration = Duration::from_secs(60);

/// Objects that wait, in turn by namespace.
#[derive(Debug, Default)]
pub(super) struct Queue(VecDeque<(String, VecDeque<Waiting>)>);

#[derive(Debug)]
pub(super) struct Waiting {
    uid: String,
    /// Tokens that it wants.
    pub(super) count: u32,
    pub(super) since: Instant,
    /// When it is to come back.
    pub(super) turn: Instant,
}

impl Waiting {
    fn tokens(&self, burst: f64) -> f64 {
        f64::from(self.count).min(burst)
    }
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|(_, waiting)| waiting.len()).sum()
    }

    pub(super) fn find(&mut self, requester: Requester<'_>) -> Option<&mut Waiting> {
        let (_, waiting) = self
            .0
            .iter_mut()
            .find(|(namespace, _)| namespace == requester.namespace)?;
        waiting
            .iter_mut()
            .find(|waiting| waiting.uid == requester.uid)
    }

    /// How many tokens go before it, if it waits: those of as many of each namespace as of its own,
    /// and of one more where that has its turn before. No object counts for more than a full
    /// bucket.
    pub(super) fn before(&self, requester: Requester<'_>, burst: f64) -> Option<f64> {
        let own = self
            .0
            .iter()
            .position(|(namespace, _)| namespace == requester.namespace)?;
        let place = self.0[own]
            .1
            .iter()
            .position(|waiting| waiting.uid == requester.uid)?;
        let first = |(index, (_, waiting)): (usize, &(String, VecDeque<Waiting>))| {
            let ahead = place + usize::from(index < own);
            waiting
                .iter()
                .take(ahead)
                .map(|waiting| waiting.tokens(burst))
                .sum::<f64>()
        };
        Some(self.0.iter().enumerate().map(first).sum())
    }

    /// The tokens that all want.
    pub(super) fn all(&self, burst: f64) -> f64 {
        self.0
            .iter()
            .flat_map(|(_, waiting)| waiting)
            .map(|waiting| waiting.tokens(burst))
            .sum()
    }

    pub(super) fn enter(
        &mut self,
        requester: Requester<'_>,
        count: u32,
        since: Instant,
        turn: Instant,
    ) {
        let waiting = Waiting {
            uid: requester.uid.to_owned(),
            count,
            since,
            turn,
        };
        match self
            .0
            .iter_mut()
            .find(|(namespace, _)| namespace == requester.namespace)
        {
            Some((_, queue)) => queue.push_back(waiting),
            None => self
                .0
                .push_back((requester.namespace.to_owned(), VecDeque::from([waiting]))),
        }
    }

    /// Takes it out, since when it waited; its namespace has had its turn.
    pub(super) fn leave(&mut self, requester: Requester<'_>) -> Option<Instant> {
        let own = self
            .0
            .iter()
            .position(|(namespace, _)| namespace == requester.namespace)?;
        let place = self.0[own]
            .1
            .iter()
            .position(|waiting| waiting.uid == requester.uid)?;
        let (namespace, mut waiting) = self.0.remove(own)?;
        let left = waiting.remove(place)?;
        if !waiting.is_empty() {
            self.0.push_back((namespace, waiting));
        }
        Some(left.since)
    }

    pub(super) fn forget(&mut self, now: Instant) {
        for (_, waiting) in &mut self.0 {
            waiting.retain(|waiting| waiting.turn + KEPT > now);
        }
        self.0.retain(|(_, waiting)| !waiting.is_empty());
    }
}
