//! Simulation of the file ledger: several processes write and read on a machine that fails, and the
//! ledger's promises are checked, for thousands of seeds.
//!
//! A failure prints its seed. To see that one run again, with what it did last:
//!
//!     CCCC_SIM_SEED=123 cargo test -p cccc-core --test it simulation -- --nocapture
//!
//! To run more of them: `CCCC_SIM_SEEDS=100000`.

mod actors;
mod failed_sync;
mod housekeeper;
mod oracle;
mod scenario;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use scenario::{Outcome, Profile, run};

/// How many seeds a test run takes, unless told otherwise.
const SEEDS: u64 = 4000;
/// How many of the last calls are printed with a failure.
const TRACE_LINES: usize = 2000;

#[test]
fn the_promises_hold_whatever_fails() {
    if let Some(seed) = number("CCCC_SIM_SEED") {
        let outcome = run(seed);
        println!("{}\n{:?}", outcome.world.trace_tail(TRACE_LINES), outcome.report);
        assert!(outcome.violations.is_empty(), "{}", describe(seed, &outcome));
        return;
    }
    let count = number("CCCC_SIM_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let failures = Mutex::new(Vec::new());
    let totals = Mutex::new(Totals::default());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= count || failures.lock().unwrap().len() >= 5 {
                        return;
                    }
                    let outcome = run(seed);
                    totals.lock().unwrap().add(&outcome);
                    if !outcome.violations.is_empty() {
                        failures.lock().unwrap().push(describe(seed, &outcome));
                    }
                }
            });
        }
    });
    let totals = totals.into_inner().unwrap();
    println!("{totals:?}");
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    // A simulation in which nothing happens proves nothing.
    if count >= SEEDS {
        let Totals { appended, kills, power_cuts, failed_syncs, full_disk, lost, set_aside, .. } = totals;
        for (what, how_often) in [
            ("appends", appended),
            ("kills", kills),
            ("power cuts", power_cuts),
            ("failed syncs", failed_syncs),
            ("writes to a full disk", full_disk),
            ("lost batches", lost),
            ("files set aside", set_aside),
        ] {
            assert!(how_often >= 20, "only {how_often} {what}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..4 * Profile::COUNT {
        let [a, b] = [run(seed), run(seed)];
        assert_eq!(a.world.trace_hash(), b.world.trace_hash(), "seed {seed}");
        assert_eq!(a.world.random(), b.world.random(), "seed {seed}");
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("the variable is a number"))
}

fn describe(seed: u64, outcome: &Outcome) -> String {
    format!(
        "seed {seed} ({:?}): {}\n  replay: CCCC_SIM_SEED={seed} cargo test -p cccc-core --test it simulation -- --nocapture",
        Profile::of(seed),
        outcome.violations.join("\n  ")
    )
}

/// What happened in all runs together.
#[derive(Debug, Default)]
struct Totals {
    runs: u64,
    calls: u64,
    events: u64,
    appended: u64,
    kills: u64,
    power_cuts: u64,
    failed_syncs: u64,
    full_disk: u64,
    lost: u64,
    errors: u64,
    set_aside: u64,
}

impl Totals {
    fn add(&mut self, outcome: &Outcome) {
        self.runs += 1;
        self.calls += outcome.report.calls;
        self.kills += u64::from(outcome.report.kills);
        self.power_cuts += outcome.power_cuts;
        self.failed_syncs += u64::from(outcome.report.failed_syncs);
        self.full_disk += u64::from(outcome.report.full_disk);
        self.events += outcome.counts.events;
        self.appended += outcome.counts.appended;
        self.lost += outcome.counts.lost;
        self.errors += outcome.counts.errors;
        self.set_aside += outcome.counts.set_aside;
    }
}
