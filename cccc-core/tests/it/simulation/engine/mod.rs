//! Simulation of whole groups: what is derived from the ledger is the same in every process, whatever fails.
//!
//! Several processes have a group open, each with a state and a writer of its own, over a machine that fails.
//! They send, read, acknowledge, follow and hand over; clocks panic under them; they are killed, and the machine
//! is started again. In a pause between two rounds somebody damages and repairs the ledger, or restores an old
//! copy of it or of its head page in place, under all the open handles. At the end of each round every handle says what it knows, and
//! that is what a fresh reading of the ledger says.
//!
//! Each handle belongs to one task, which carries out its commands itself (as `block_on` lets it). So no thread
//! of the library's own takes part, and a run is one of its seed.

mod scene;
mod surgery;
mod umpire;
mod worker;

use super::{number, run_seeds};

/// How many seeds a test run takes, unless told otherwise.
const SEEDS: u64 = 600;

#[test]
fn every_handle_knows_what_the_ledger_says() {
    if let Some(seed) = number("CCCC_SIM_SEED") {
        let ended = scene::run(seed);
        println!("{}", ended.world.trace_tail(super::TRACE_LINES));
        assert!(ended.violations.is_empty(), "{}", ended.violations.join("\n  "));
        return;
    }
    let totals = run_seeds(SEEDS, |seed| {
        let ended = scene::run(seed);
        (ended.counts, ended.violations)
    });
    println!("{totals:?}");
    for (what, how_often) in [
        ("messages sent", totals.sent),
        ("processes killed", totals.deaths),
        ("starts of the machine", totals.boots),
        ("panics", totals.panics),
        ("ledgers changed under open handles", totals.surgeries),
        ("handles compared", totals.compared),
        ("claims of the dead", totals.abandoned),
    ] {
        assert!(how_often >= 10, "only {how_often} {what}: {totals:?}");
    }
}
