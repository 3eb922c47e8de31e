//! Random numbers from a seed, one stream for each part of a world, so that a part that draws more
//! often changes nothing for the others.

use fastrand::Rng;

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub(super) struct Chance(Rng);

impl Chance {
    /// The stream of `part` in the world of `seed`.
    pub(super) fn new(seed: u64, part: u64) -> Self {
        Self(Rng::with_seed(
            seed.wrapping_mul(1_000_003).wrapping_add(part),
        ))
    }

    /// A number below `bound`, which is not 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0.u64(0..bound)
    }

    /// Whether something that happens in `percent` of a hundred cases happens.
    pub(super) fn happens(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of several.
    pub(super) fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.0.usize(0..of.len())]
    }
}
