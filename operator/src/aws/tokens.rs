//! A token bucket that slows down when AWS throttles, and recovers.

use std::time::Duration;

use tokio::time::Instant;

/// Of what AWS grants, this part is the least that is used after AWS has throttled again and again.
const SLOWEST: f64 = 1.0 / 16.0;

/// How fast the pace comes back after AWS has throttled: from nothing to all of it in twenty
/// seconds.
const RECOVERY: f64 = 1.0 / 20.0;

/// How long AWS's refusals count as one: those of calls that were under way together.
const ONE_THROTTLE: Duration = Duration::from_secs(1);

/// The part of a token that sums of fractions may lack: without it, a bucket could have too little
/// at the time that [`Tokens::until`] names.
const ROUNDING: f64 = 1e-6;

/// A token bucket of one family of operations.
#[derive(Debug)]
pub(super) struct Tokens {
    burst: f64,
    per_second: f64,
    left: f64,
    at: Instant,
    /// Since when it is full.
    full: Option<Instant>,
    /// The part of the rate that AWS lets us have at present, above 0 and at most 1.
    pace: f64,
    slowed: Option<Instant>,
}

impl Tokens {
    /// A full bucket.
    pub(super) fn new(burst: f64, per_second: f64, now: Instant) -> Self {
        let burst = burst.max(1.0);
        Self {
            burst,
            per_second,
            left: burst,
            at: now,
            full: Some(now),
            pace: 1.0,
            slowed: None,
        }
    }

    /// Adds the tokens that the time until `now` brings.
    pub(super) fn refill(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.at).as_secs_f64();
        self.pace = (self.pace + seconds * RECOVERY).min(1.0);
        self.left += seconds * self.rate();
        let over = (self.left - self.burst) / self.rate();
        if over >= 0.0 {
            self.left = self.burst;
            self.full = self
                .full
                .or_else(|| now.checked_sub(Duration::from_secs_f64(over)));
        } else {
            self.full = None;
        }
        self.at = now;
    }

    /// The most tokens that the bucket holds.
    pub(super) fn burst(&self) -> f64 {
        self.burst
    }

    /// Calls per second that are allowed at present.
    pub(super) fn rate(&self) -> f64 {
        self.per_second * self.pace
    }

    /// Whether the bucket has been full for this long.
    pub(super) fn is_full_for(&self, time: Duration, now: Instant) -> bool {
        self.full
            .is_some_and(|full| now.saturating_duration_since(full) >= time)
    }

    /// Time until the bucket has this many tokens.
    pub(super) fn until(&self, needed: f64) -> Duration {
        Duration::from_secs_f64(((needed - self.left) / self.rate()).max(0.0))
    }

    /// Whether the bucket has this many tokens.
    pub(super) fn has(&self, needed: f64) -> bool {
        self.left + ROUNDING >= needed
    }

    /// Takes this many tokens, also when the bucket has fewer.
    pub(super) fn take(&mut self, count: f64) {
        self.left -= count;
    }

    /// Returns a token that was not used.
    pub(super) fn give_back(&mut self) {
        self.left = (self.left + 1.0).min(self.burst);
    }

    /// Halves the pace because AWS throttled. The pace recovers over time.
    pub(super) fn slow_down(&mut self, now: Instant) {
        self.refill(now);
        if self
            .slowed
            .is_none_or(|slowed| now.saturating_duration_since(slowed) >= ONE_THROTTLE)
        {
            self.pace = (self.pace / 2.0).max(SLOWEST);
            self.left = self.left.min(0.0);
            self.slowed = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_has_its_tokens_when_it_said_so() {
        let start = Instant::now();
        for tenths in 1..100 {
            let mut tokens = Tokens::new(1.0, f64::from(tenths) / 10.0, start);
            let mut now = start;
            for _ in 0..100 {
                tokens.take(1.0);
                now += tokens.until(1.0);
                tokens.refill(now);
                assert!(tokens.has(1.0), "{tokens:?} at {now:?}");
            }
        }
    }

    #[test]
    fn throttling_halves_the_pace_and_it_comes_back() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut tokens = Tokens::new(50.0, 5.0, start);
        tokens.slow_down(start);
        tokens.slow_down(start);
        assert!(
            (tokens.rate() - 2.5).abs() < 0.01,
            "calls that were under way together count once: {}",
            tokens.rate()
        );
        assert!(!tokens.has(1.0), "nothing is left of the burst");
        for passed in 1..60 {
            tokens.slow_down(start + passed * second);
        }
        assert!(
            tokens.rate() >= 5.0 * SLOWEST && tokens.rate() < 1.0,
            "{}",
            tokens.rate()
        );
        tokens.refill(start + 60 * second + 30 * second);
        assert!(
            (tokens.rate() - 5.0).abs() < f64::EPSILON,
            "{}",
            tokens.rate()
        );
    }
}
