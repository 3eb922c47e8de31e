//! Random worlds, judged by oracles: see `e2e::simulation`. `make simulate` runs many more.

use e2e::simulation;

/// Steps of a world.
const STEPS: usize = 30;

#[test]
fn the_operator_is_right_in_every_world() {
    if let Some(failure) = simulation::run_all(0..30, STEPS) {
        panic!("{failure}");
    }
}
