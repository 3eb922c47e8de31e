//! Limits reads to our share of the rates that AWS publishes, and slows down when AWS throttles.
//!
//! Namespaces take turns at reads that a pass waits for. Regular looks leave half of the bucket to
//! those reads, and take longer when there are too many of them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::operation::ActionFamily;
use super::tokens::Tokens;
use crate::turns::Turns;

/// The part of a bucket that regular looks leave to reads that a pass waits for.
const RESERVE: f64 = 0.5;

/// After waiting for this long, a regular look takes a token although passes wait.
const OVERDUE: Duration = Duration::from_secs(10);

/// Tokens that passes take before an overdue regular look takes one.
const ASKED_PER_OVERDUE: u32 = 3;

/// For which namespaces a read is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Passes in these namespaces wait for the read.
    Of(Vec<String>),
    /// A regular look: no pass waits for the read.
    Regular,
}

/// The buckets of all families of reads.
#[derive(Debug)]
pub(super) struct ReadBudget {
    /// Share of the published quota that is ours; `None` reads without limit.
    share: Option<f64>,
    families: Arc<Families>,
}

#[derive(Debug, Default)]
struct Families {
    queues: Mutex<HashMap<ActionFamily, Queue>>,
    /// Notified when a call begins to wait.
    arrived: Notify,
}

/// A bucket and the calls that wait for its tokens.
#[derive(Debug)]
struct Queue {
    tokens: Tokens,
    asked: Turns<Waiter>,
    /// Regular looks, and since when they wait.
    regular: VecDeque<(Instant, Waiter)>,
    /// Tokens that passes have taken since the last regular look.
    asked_in_a_row: u32,
    /// Whether a task hands out tokens. The task ends when no call waits.
    is_served: bool,
}

/// Tells a waiting call that it may be sent.
type Waiter = oneshot::Sender<()>;

impl ReadBudget {
    pub(super) fn new(share: Option<f64>) -> Self {
        Self {
            share,
            families: Arc::default(),
        }
    }

    /// Waits until one more call may be sent.
    pub(super) async fn admit(&self, family: ActionFamily, turn: &Turn) {
        let Some(share) = self.share else { return };
        let turn_has_come = {
            let mut queues = self.families.queues();
            let queue = queues
                .entry(family)
                .or_insert_with(|| Queue::new(family, share, Instant::now()));
            if queue.take(turn, Instant::now()) {
                return;
            }
            let (waiter, turn_has_come) = oneshot::channel();
            queue.enter(turn, waiter, Instant::now());
            if !std::mem::replace(&mut queue.is_served, true) {
                tokio::spawn(Arc::clone(&self.families).serve(family));
            }
            turn_has_come
        };
        self.families.arrived.notify_waiters();
        // The task that hands out tokens ends early only when the operator stops.
        let _ = turn_has_come.await;
    }

    /// Slows down the reads of a family because AWS throttled one.
    pub(super) fn slow_down(&self, family: ActionFamily) {
        if let Some(queue) = self.families.queues().get_mut(&family) {
            queue.tokens.slow_down(Instant::now());
        }
    }
}

impl Families {
    /// Hands out tokens until no call waits.
    async fn serve(self: Arc<Self>, family: ActionFamily) {
        loop {
            let arrived = self.arrived.notified();
            let wait = self
                .queues()
                .get_mut(&family)
                .and_then(|queue| queue.hand_out(Instant::now()));
            let Some(wait) = wait else { return };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = arrived => {}
            }
        }
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<ActionFamily, Queue>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn new(family: ActionFamily, share: f64, now: Instant) -> Self {
        let (burst, per_second) = family.bucket();
        let tokens = Tokens::new(burst * share, per_second * share, now);
        Self {
            tokens,
            asked: Turns::default(),
            regular: VecDeque::new(),
            asked_in_a_row: 0,
            is_served: false,
        }
    }

    /// Takes a token for a new call, if there is one and no other call goes first.
    fn take(&mut self, turn: &Turn, now: Instant) -> bool {
        self.tokens.refill(now);
        let is_first = self.asked.is_empty()
            && (self.regular.is_empty() || *turn != Turn::Regular)
            && !self.is_overdue(now);
        let is_granted = is_first && self.tokens.has(self.needed(turn));
        if is_granted {
            self.tokens.take(1.0);
            self.asked_in_a_row += u32::from(*turn != Turn::Regular);
        }
        is_granted
    }

    /// Tokens that the bucket must have before one is taken.
    fn needed(&self, turn: &Turn) -> f64 {
        match turn {
            Turn::Of(_) => 1.0,
            Turn::Regular => (self.tokens.burst() * RESERVE + 1.0).min(self.tokens.burst()),
        }
    }

    /// Adds a call that waits. A call for several namespaces takes the turn of the namespace with
    /// the fewest waiting calls.
    fn enter(&mut self, turn: &Turn, waiter: Waiter, now: Instant) {
        match turn {
            Turn::Of(namespaces) => {
                let least = namespaces
                    .iter()
                    .min_by_key(|namespace| self.asked.len_of(namespace));
                self.asked.push(least.map_or("", String::as_str), waiter);
            }
            Turn::Regular => self.regular.push_back((now, waiter)),
        }
    }

    /// Whether the next token is for a regular look that has waited long.
    fn is_overdue(&self, now: Instant) -> bool {
        let waits = self
            .regular
            .front()
            .is_some_and(|(since, _)| now.saturating_duration_since(*since) >= OVERDUE);
        waits && self.asked_in_a_row >= ASKED_PER_OVERDUE
    }

    /// Hands out the tokens that there are, and returns the time until the next one; `None` when no
    /// call waits.
    fn hand_out(&mut self, now: Instant) -> Option<Duration> {
        self.tokens.refill(now);
        loop {
            let is_overdue = self.is_overdue(now);
            let turn = match (self.asked.is_empty(), self.regular.is_empty()) {
                (false, _) if !is_overdue => Turn::Of(Vec::new()),
                (_, false) => Turn::Regular,
                (_, true) => {
                    self.is_served = false;
                    return None;
                }
            };
            let needed = if is_overdue { 1.0 } else { self.needed(&turn) };
            if !self.tokens.has(needed) {
                // Rounding may make this zero, and the caller would spin.
                return Some(self.tokens.until(needed).max(Duration::from_millis(1)));
            }
            let next = match turn {
                Turn::Regular => {
                    self.asked_in_a_row = 0;
                    self.regular.pop_front().map(|(_, waiter)| waiter)
                }
                Turn::Of(_) => {
                    self.asked_in_a_row += 1;
                    self.asked.pop()
                }
            };
            // A call that was given up takes no token.
            if next.is_some_and(|waiter| waiter.send(()).is_ok()) {
                self.tokens.take(1.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::stream::FuturesUnordered;
    use futures::{FutureExt, StreamExt};

    use super::*;
    use crate::aws::ecs;

    const FAMILY: ActionFamily = ecs::ServiceRead;

    /// Time until the next token of [`empty`] at full pace.
    const TOKEN: Duration = Duration::from_millis(100);

    fn of(namespace: &str) -> Turn {
        Turn::Of(vec![namespace.to_owned()])
    }

    /// An empty bucket with a burst of 50 and ten tokens a second.
    fn empty(start: Instant) -> Queue {
        let mut queue = Queue::new(FAMILY, 0.5, start);
        for _ in 0..50 {
            assert!(queue.take(&of("first"), start), "there is a token");
        }
        assert!(!queue.take(&of("first"), start), "it was the last one");
        queue
    }

    /// Calls that wait.
    #[derive(Default)]
    struct Waiting(Vec<(String, oneshot::Receiver<()>)>);

    impl Waiting {
        fn enter(&mut self, queue: &mut Queue, name: impl Into<String>, turn: &Turn, now: Instant) {
            let (waiter, turn_has_come) = oneshot::channel();
            queue.enter(turn, waiter, now);
            self.0.push((name.into(), turn_has_come));
        }

        /// Removes the calls that may be sent now.
        fn called(&mut self) -> Vec<String> {
            self.0
                .extract_if(.., |(_, turn_has_come)| turn_has_come.try_recv().is_ok())
                .map(|(name, _)| name)
                .collect()
        }
    }

    #[test]
    fn many_reads_of_one_namespace_delay_another_by_one_read() {
        let start = Instant::now();
        let (mut queue, mut waiting) = (empty(start), Waiting::default());
        for number in 0..600 {
            waiting.enter(&mut queue, format!("many {number}"), &of("many"), start);
        }
        waiting.enter(&mut queue, "alone", &of("alone"), start);
        waiting.enter(
            &mut queue,
            "both",
            &Turn::Of(vec!["many".to_owned(), "other".to_owned()]),
            start,
        );
        assert_eq!(queue.hand_out(start), Some(TOKEN));
        assert_eq!(waiting.called(), [""; 0]);
        for (tokens, next) in (1..).zip(["many 0", "alone", "both", "many 1", "many 2"]) {
            queue.hand_out(start + TOKEN * tokens + TOKEN / 2);
            assert_eq!(waiting.called(), [next]);
        }
    }

    #[test]
    fn reads_for_a_pass_go_before_regular_looks() {
        let start = Instant::now();
        let (mut queue, mut waiting) = (empty(start), Waiting::default());
        waiting.enter(&mut queue, "look", &Turn::Regular, start);
        waiting.enter(&mut queue, "asked", &of("shop"), start);
        queue.hand_out(start + TOKEN * 2);
        assert_eq!(waiting.called(), ["asked"]);
        queue.hand_out(start + TOKEN * 25);
        assert_eq!(waiting.called(), [""; 0], "half of the bucket is reserved");
        assert!(
            queue.take(&of("shop"), start + TOKEN * 25),
            "no other call waits for a pass"
        );
        assert_eq!(queue.hand_out(start + TOKEN * 30), None);
        assert_eq!(waiting.called(), ["look"]);
    }

    #[test]
    fn a_regular_look_that_has_waited_long_takes_every_fourth_token() {
        let start = Instant::now();
        let (mut queue, mut waiting) = (empty(start), Waiting::default());
        for number in 0..3 {
            waiting.enter(&mut queue, format!("look {number}"), &Turn::Regular, start);
        }
        for _ in 0..600 {
            waiting.enter(&mut queue, "asked", &of("many"), start);
        }
        queue.hand_out(start + TOKEN * 50);
        assert_eq!(
            waiting.called(),
            ["asked"; 50],
            "they have waited for five seconds"
        );
        queue.hand_out(start + TOKEN * 100);
        let called = waiting.called();
        assert_eq!(
            called
                .iter()
                .filter(|name| name.starts_with("look"))
                .count(),
            3,
            "{called:?}"
        );
        assert_eq!(
            called.len(),
            50,
            "half of the bucket is not kept for passes then"
        );
    }

    #[test]
    fn a_regular_look_has_its_turn_among_passes_that_never_wait() {
        let start = Instant::now();
        let (mut queue, mut waiting) = (empty(start), Waiting::default());
        waiting.enter(&mut queue, "look", &Turn::Regular, start);
        // Each pass takes its token at once, so that no call waits for one.
        for tokens in 1..100 {
            assert!(queue.take(&of("shop"), start + TOKEN * tokens + TOKEN / 2));
        }
        assert!(
            !queue.take(&of("shop"), start + TOKEN * 100 + TOKEN / 2),
            "the next token is for the regular look"
        );
        queue.hand_out(start + TOKEN * 100 + TOKEN / 2);
        assert_eq!(waiting.called(), ["look"]);
        assert!(queue.take(&of("shop"), start + TOKEN * 102));
    }

    #[test]
    fn a_call_that_was_given_up_takes_no_token() {
        let start = Instant::now();
        let (mut queue, mut waiting) = (empty(start), Waiting::default());
        for _ in 0..100 {
            waiting.enter(&mut queue, "gone", &of("shop"), start);
        }
        waiting.0.clear();
        waiting.enter(&mut queue, "here", &of("shop"), start);
        assert_eq!(queue.hand_out(start + TOKEN * 2), None);
        assert_eq!(waiting.called(), ["here"]);
    }

    #[test]
    fn throttling_slows_reads_down() {
        let start = Instant::now();
        let mut queue = Queue::new(FAMILY, 0.5, start);
        queue.tokens.slow_down(start);
        assert!(!queue.take(&of("shop"), start), "the burst is gone");
        let (waiter, _turn_has_come) = oneshot::channel();
        queue.enter(&of("shop"), waiter, start);
        assert_eq!(queue.hand_out(start), Some(TOKEN * 2));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_share_no_read_waits() {
        let budget = ReadBudget::new(None);
        for _ in 0..1000 {
            budget
                .admit(FAMILY, &of("shop"))
                .now_or_never()
                .expect("no limit applies");
        }
        budget
            .admit(FAMILY, &Turn::Regular)
            .now_or_never()
            .expect("no limit applies");
    }

    #[tokio::test(start_paused = true)]
    async fn all_waiting_calls_are_admitted_in_turn() {
        // Two thousand tokens a second.
        let budget = ReadBudget::new(Some(100.0));
        while budget.admit(FAMILY, &of("first")).now_or_never().is_some() {}
        let mut turns: Vec<_> = (0..100).map(|_| of("many")).collect();
        turns.extend([Turn::Regular, of("alone")]);
        let admit = async |turn: Turn| {
            budget.admit(FAMILY, &turn).await;
            turn
        };
        let admitted: Vec<_> = turns
            .into_iter()
            .map(admit)
            .collect::<FuturesUnordered<_>>()
            .collect()
            .await;
        assert_eq!(admitted.len(), 102);
        assert_eq!(admitted.last(), Some(&Turn::Regular));
        let alone = admitted.iter().position(|turn| *turn == of("alone"));
        assert!(alone.is_some_and(|place| place < 50), "{alone:?}");
        assert!(
            !budget.families.queues()[&FAMILY].is_served,
            "no call waits"
        );
    }
}
