//! A token bucket with a queue. When it is empty, it returns the time of the turn.
//!
//! Namespaces take turns, so that a namespace with a thousand writes delays another by one, and
//! changes by users precede repairs. No call waits in the bucket: an object comes back at the time
//! that it got, and may get a later one if others came in between.

use std::time::Duration;

use tokio::time::Instant;

use super::queue::Queue;
use super::requester::{Priority, Requester};
use crate::aws::tokens::Tokens;

/// The longest wait that is returned: by then the rate may be different, and other objects may have
/// left the queue.
const LONGEST_TURN: Duration = Duration::from_secs(30);

/// A bucket that has been full for this long grants every turn.
const IDLE: Duration = Duration::from_secs(2);

/// After waiting this long a repair is as urgent as anything else.
const AGED: Duration = Duration::from_secs(120);

/// A token bucket with a queue.
#[derive(Debug)]
pub(super) struct Bucket {
    tokens: Tokens,
    /// Changes by users, and repairs.
    queues: [Queue; 2],
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(burst: f64, per_second: f64, now: Instant) -> Self {
        Self {
            tokens: Tokens::new(burst, per_second, now),
            queues: Default::default(),
        }
    }

    /// Whether it is the turn of `requester`, which wants `count` tokens, and has a place in the queue
    /// after this.
    ///
    /// # Errors
    /// The time at which it may come back.
    pub(super) fn turn(
        &mut self,
        requester: Requester<'_>,
        count: u32,
        now: Instant,
    ) -> Result<(), Instant> {
        self.refill(now);
        let before = self.position(requester, count, now);
        // A plan that needs more tokens than the bucket holds gets them when it is full.
        let needed = before + f64::from(count).min(self.tokens.burst());
        let turn = now + self.tokens.until(needed).min(LONGEST_TURN);
        if let Some(waiting) = self
            .queues
            .iter_mut()
            .find_map(|queue| queue.find(requester))
        {
            waiting.turn = turn;
        }
        // Those who go before wait for a token of another bucket, where none of them comes.
        let is_idle = self.tokens.is_full_for(IDLE, now);
        if self.tokens.has(needed) || is_idle {
            Ok(())
        } else {
            Err(turn)
        }
    }

    /// Keeps the place of `requester`, if it has one: it has come back.
    pub(super) fn keep(&mut self, requester: Requester<'_>, now: Instant) {
        if let Some(waiting) = self
            .queues
            .iter_mut()
            .find_map(|queue| queue.find(requester))
        {
            waiting.turn = waiting.turn.max(now);
        }
    }

    /// Takes `count` tokens for `requester`, whose turn it is, and answers how long it has waited for
    /// them.
    pub(super) fn draw(&mut self, requester: Requester<'_>, count: u32, now: Instant) -> Duration {
        self.tokens.take(f64::from(count));
        self.withdraw(requester)
            .map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// Gives up the place of `requester`, if it has one, and answers since when it had it.
    pub(super) fn withdraw(&mut self, requester: Requester<'_>) -> Option<Instant> {
        self.queues
            .iter_mut()
            .find_map(|queue| queue.leave(requester))
    }

    /// Takes a token back that was not used.
    pub(super) fn give_back(&mut self) {
        self.tokens.give_back();
    }

    /// AWS has throttled: half as fast from now on, and then faster again bit by bit.
    pub(super) fn slow_down(&mut self, now: Instant) {
        self.tokens.slow_down(now);
    }

    /// How many wait, by priority.
    pub(super) fn waiting(&self) -> [usize; 2] {
        [self.queues[0].len(), self.queues[1].len()]
    }

    /// Calls per second that are allowed at present.
    pub(super) fn rate(&self) -> f64 {
        self.tokens.rate()
    }

    /// Brings it up to `now`.
    pub(super) fn refill(&mut self, now: Instant) {
        self.tokens.refill(now);
        for queue in &mut self.queues {
            queue.forget(now);
        }
    }

    /// How many tokens go before `requester`, which wants `count` and has a place in the queue after
    /// this.
    fn position(&mut self, requester: Requester<'_>, count: u32, now: Instant) -> f64 {
        let burst = self.tokens.burst();
        let [urgent, repairs] = &mut self.queues;
        if urgent.find(requester).is_none() {
            match repairs.find(requester).map(|waiting| waiting.since) {
                // It has become urgent.
                Some(since)
                    if requester.priority == Priority::User
                        || now.duration_since(since) >= AGED =>
                {
                    repairs.leave(requester);
                    urgent.enter(requester, count, since, now);
                }
                Some(_) => {}
                None if requester.priority == Priority::User => {
                    urgent.enter(requester, count, now, now);
                }
                None => repairs.enter(requester, count, now, now),
            }
        }
        for queue in [&mut *urgent, &mut *repairs] {
            if let Some(waiting) = queue.find(requester) {
                waiting.count = count;
            }
        }
        urgent
            .before(requester, burst)
            .or_else(|| Some(urgent.all(burst) + repairs.before(requester, burst)?))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::queue::KEPT;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn requester<'a>(namespace: &'a str, uid: &'a str) -> Requester<'a> {
        Requester {
            namespace,
            uid,
            priority: Priority::User,
        }
    }

    /// One token, if it is the turn of the requester, and how long it waited for it.
    fn take(
        bucket: &mut Bucket,
        requester: Requester<'_>,
        now: Instant,
    ) -> Result<Duration, Instant> {
        bucket
            .turn(requester, 1, now)
            .map(|()| bucket.draw(requester, 1, now))
    }

    /// An empty bucket that gives one token a second.
    fn empty(start: Instant) -> Bucket {
        let mut bucket = Bucket::new(1.0, 1.0, start);
        assert_eq!(
            take(&mut bucket, requester("first", "first"), start),
            Ok(Duration::ZERO)
        );
        bucket
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_one_turn_after_the_other() {
        let start = Instant::now();
        let mut bucket = Bucket::new(25.0, 2.5, start);
        let burst = (0..100)
            .map(|n| take(&mut bucket, requester("shop", &format!("b{n}")), start))
            .take_while(Result::is_ok)
            .count();
        assert_eq!(burst, 25);
        // The one that ended the burst has the first turn.
        let second = start + Duration::from_millis(800);
        assert_eq!(
            take(&mut bucket, requester("shop", "second"), start),
            Err(second)
        );
        assert_eq!(
            take(&mut bucket, requester("shop", "second"), start),
            Err(second),
            "asking again costs no second turn"
        );
        assert_eq!(
            take(&mut bucket, requester("shop", "third"), start),
            Err(start + Duration::from_millis(1200))
        );
        let first = take(&mut bucket, requester("shop", "b25"), second);
        assert_eq!(first, Ok(Duration::from_millis(800)));
        assert_eq!(
            take(&mut bucket, requester("shop", "second"), second),
            Ok(Duration::from_millis(800))
        );
    }

    #[test]
    fn a_namespace_that_wants_much_holds_up_no_other() {
        let start = Instant::now();
        let mut bucket = empty(start);
        for n in 0..1000 {
            take(&mut bucket, requester("crowd", &format!("c{n}")), start)
                .expect_err("the bucket is empty");
        }
        assert_eq!(
            take(&mut bucket, requester("alone", "one"), start),
            Err(start + 2 * SECOND)
        );
        assert_eq!(
            take(&mut bucket, requester("crowd", "c0"), start + SECOND),
            Ok(SECOND)
        );
        assert_eq!(
            take(&mut bucket, requester("crowd", "c1"), start + 2 * SECOND),
            Err(start + 3 * SECOND),
            "it is the other's turn"
        );
        assert_eq!(
            take(&mut bucket, requester("alone", "one"), start + 2 * SECOND),
            Ok(2 * SECOND)
        );
    }

    #[test]
    fn a_repair_waits_for_what_was_asked_for_but_not_for_ever() {
        let start = Instant::now();
        let mut bucket = empty(start);
        let repair = Requester {
            priority: Priority::Repair,
            ..requester("shop", "repair")
        };
        assert_eq!(take(&mut bucket, repair, start), Err(start + SECOND));
        assert_eq!(
            take(&mut bucket, requester("shop", "new"), start),
            Err(start + SECOND)
        );
        assert_eq!(take(&mut bucket, repair, start), Err(start + 2 * SECOND));
        let mut bucket = Bucket::new(1.0, 0.001, start);
        assert_eq!(
            take(&mut bucket, requester("shop", "first"), start),
            Ok(Duration::ZERO)
        );
        for seconds in [0, 30, 60, 90, 120] {
            let now = start + seconds * SECOND;
            assert_eq!(
                bucket.waiting()[0],
                usize::from(seconds > 0),
                "after {seconds} s the repair still waits behind"
            );
            take(&mut bucket, requester("shop", "new"), now).expect_err("there is no token");
            take(&mut bucket, repair, now).expect_err("there is no token");
        }
        assert_eq!(bucket.waiting(), [2, 0]);
    }

    #[test]
    fn grants_all_permits_of_a_plan_or_none() {
        let start = Instant::now();
        let mut bucket = Bucket::new(2.0, 1.0, start);
        assert_eq!(
            take(&mut bucket, requester("shop", "one"), start),
            Ok(Duration::ZERO)
        );
        assert_eq!(
            bucket.turn(requester("shop", "two"), 2, start),
            Err(start + SECOND)
        );
        assert_eq!(
            take(&mut bucket, requester("shop", "later"), start),
            Err(start + 2 * SECOND),
            "it stands behind"
        );
        assert_eq!(
            bucket.turn(requester("shop", "two"), 2, start + SECOND),
            Ok(())
        );
        // More than a full bucket has.
        let mut bucket = Bucket::new(1.0, 1.0, start);
        assert_eq!(bucket.turn(requester("shop", "three"), 3, start), Ok(()));
        assert_eq!(
            bucket.draw(requester("shop", "three"), 3, start),
            Duration::ZERO
        );
        assert_eq!(
            take(&mut bucket, requester("shop", "next"), start),
            Err(start + 3 * SECOND),
            "the others wait for it"
        );
    }

    #[test]
    fn a_large_plan_is_not_overtaken_by_small_ones() {
        let start = Instant::now();
        let mut bucket = Bucket::new(5.0, 1.0, start);
        assert_eq!(
            bucket.draw(requester("shop", "first"), 5, start),
            Duration::ZERO
        );
        assert_eq!(
            bucket.turn(requester("shop", "five"), 5, start),
            Err(start + 5 * SECOND)
        );
        assert_eq!(
            take(&mut bucket, requester("shop", "one"), start),
            Err(start + 6 * SECOND)
        );
        assert_eq!(
            take(&mut bucket, requester("shop", "one"), start + 4 * SECOND),
            Err(start + 6 * SECOND),
            "four are not for it"
        );
        assert_eq!(
            bucket.turn(requester("shop", "five"), 5, start + 5 * SECOND),
            Ok(())
        );
    }

    #[test]
    fn returns_a_turn_at_most_half_a_minute_away() {
        let start = Instant::now();
        let mut bucket = Bucket::new(50.0, 5.0, start);
        for second in 0..10 {
            bucket.slow_down(start + second * SECOND);
        }
        let now = start + 10 * SECOND;
        for n in 0..500 {
            assert!(
                take(&mut bucket, requester("shop", &format!("s{n}")), now)
                    .is_err_and(|turn| turn <= now + LONGEST_TURN)
            );
        }
    }

    #[test]
    fn a_plan_that_waits_leaves_no_bucket_idle() {
        let start = Instant::now();
        let mut bucket = Bucket::new(5.0, 1.0, start);
        // It is their turn, and they do not come to draw.
        for n in 0..20 {
            let _ = bucket.turn(requester("shop", &format!("s{n}")), 1, start);
        }
        assert!(
            take(&mut bucket, requester("shop", "one"), start).is_err(),
            "they may come yet"
        );
        assert!(take(&mut bucket, requester("shop", "one"), start + IDLE).is_ok());
        assert!(
            take(&mut bucket, requester("shop", "two"), start + IDLE).is_err(),
            "it is full no more"
        );
    }

    #[test]
    fn a_withdrawn_place_delays_nobody() {
        let start = Instant::now();
        let mut bucket = empty(start);
        for n in 0..10 {
            take(&mut bucket, requester("shop", &format!("s{n}")), start)
                .expect_err("the bucket is empty");
        }
        for n in 0..9 {
            assert_eq!(
                bucket.withdraw(requester("shop", &format!("s{n}"))),
                Some(start)
            );
        }
        assert_eq!(
            take(&mut bucket, requester("shop", "s9"), start),
            Err(start + SECOND)
        );
    }

    #[test]
    fn returned_tokens_are_available() {
        let start = Instant::now();
        let mut bucket = empty(start);
        bucket.give_back();
        assert_eq!(
            take(&mut bucket, requester("shop", "b"), start),
            Ok(Duration::ZERO)
        );
    }

    #[test]
    fn a_place_is_not_kept_for_ever() {
        let start = Instant::now();
        let mut bucket = empty(start);
        take(&mut bucket, requester("shop", "gone"), start).expect_err("the bucket is empty");
        assert_eq!(bucket.waiting(), [1, 0]);
        let later = start + SECOND + KEPT;
        assert_eq!(
            take(&mut bucket, requester("shop", "other"), later),
            Ok(Duration::ZERO)
        );
        assert_eq!(bucket.waiting(), [0, 0]);
    }
}
