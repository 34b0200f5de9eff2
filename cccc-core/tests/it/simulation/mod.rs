//! Simulation of the file ledger: several processes write and read on a machine that fails, and the
//! ledger's promises are checked, for thousands of seeds.
//!
//! A failure prints its seed. To see that one run again, with what it did last:
//!
//!     CCCC_SIM_SEED=123 cargo test -p cccc-core --test it simulation -- --nocapture
//!
//! To run more of them: `CCCC_SIM_SEEDS=100000`.

mod actors;
mod engine;
mod failed_sync;
mod housekeeper;
mod oracle;
mod scenario;

use std::ops::AddAssign;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use cccc_core::testing::sim::World;
use scenario::{Outcome, Profile, run, run_as};

/// How many seeds a test run takes, unless told otherwise.
const SEEDS: u64 = 4000;
/// How many of the last calls are printed with a failure.
const TRACE_LINES: usize = 20_000;

/// How many where one more thing is different.
const VARIED_SEEDS: u64 = 400;

#[test]
fn the_promises_hold_whatever_fails() {
    let Some(totals) = run_many(SEEDS, run) else { return };
    // A simulation in which nothing happens proves nothing.
    if totals.runs >= SEEDS {
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
fn the_promises_hold_where_boots_cannot_be_told_apart() {
    if let Some(totals) = run_many(VARIED_SEEDS, |seed| run_as(seed, Profile::of(seed), World::hide_boots)) {
        assert!(totals.power_cuts >= 20 && totals.kills >= 20, "{totals:?}");
    }
}

#[test]
fn the_promises_hold_while_the_machine_is_started_again() {
    let run = |seed| run_as(seed, Profile::of(seed), World::begin_after_cuts);
    if let Some(totals) = run_many(VARIED_SEEDS, run) {
        assert!(totals.power_cuts >= 20, "{totals:?}");
    }
}

#[test]
fn who_is_stopped_with_the_lock_holds_nobody_up_for_long() {
    if let Some(totals) = run_many(VARIED_SEEDS, |seed| run_as(seed, Profile::Stopped, |_| ())) {
        assert!(totals.stops >= 20 && totals.errors >= 20, "{totals:?}");
    }
}

/// Runs the seeds that are asked for, and panics if a promise is not kept. `None` if it was one alone.
fn run_many(seeds: u64, run: impl Fn(u64) -> Outcome + Sync) -> Option<Totals> {
    if let Some(seed) = number("CCCC_SIM_SEED") {
        let outcome = run(seed);
        println!("{}\n{:?}", outcome.world.trace_tail(TRACE_LINES), outcome.report);
        assert!(outcome.violations.is_empty(), "{}", describe(seed, &outcome));
        return None;
    }
    let totals = run_seeds(seeds, |seed| {
        let outcome = run(seed);
        let described = (!outcome.violations.is_empty()).then(|| describe(seed, &outcome));
        (Totals::of(&outcome), described.into_iter().collect())
    });
    println!("{totals:?}");
    Some(totals)
}

/// Runs so many seeds, unless told otherwise, on all processors, and panics with what is wrong in them.
fn run_seeds<T: Default + Send + AddAssign>(seeds: u64, run: impl Fn(u64) -> (T, Vec<String>) + Sync) -> T {
    let count = number("CCCC_SIM_SEEDS").unwrap_or(seeds);
    let next = AtomicU64::new(0);
    let failures = Mutex::new(Vec::new());
    let totals = Mutex::new(T::default());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= count || failures.lock().unwrap().len() >= 5 {
                        return;
                    }
                    let (happened, violations) = run(seed);
                    *totals.lock().unwrap() += happened;
                    if !violations.is_empty() {
                        failures.lock().unwrap().push(format!("seed {seed}: {}", violations.join("\n  ")));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    totals.into_inner().unwrap()
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
        "{:?}: {}\n  replay: CCCC_SIM_SEED={seed} cargo test -p cccc-core --test it simulation -- --nocapture",
        outcome.profile,
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
    stops: u64,
    power_cuts: u64,
    failed_syncs: u64,
    full_disk: u64,
    lost: u64,
    errors: u64,
    set_aside: u64,
}

impl Totals {
    fn of(outcome: &Outcome) -> Self {
        Self {
            runs: 1,
            calls: outcome.report.calls,
            kills: u64::from(outcome.report.kills),
            stops: u64::from(outcome.report.stops),
            power_cuts: outcome.power_cuts,
            failed_syncs: u64::from(outcome.report.failed_syncs),
            full_disk: u64::from(outcome.report.full_disk),
            events: outcome.counts.events,
            appended: outcome.counts.appended,
            lost: outcome.counts.lost,
            errors: outcome.counts.errors,
            set_aside: outcome.counts.set_aside,
        }
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.runs += other.runs;
        self.calls += other.calls;
        self.kills += other.kills;
        self.stops += other.stops;
        self.power_cuts += other.power_cuts;
        self.failed_syncs += other.failed_syncs;
        self.full_disk += other.full_disk;
        self.events += other.events;
        self.appended += other.appended;
        self.lost += other.lost;
        self.errors += other.errors;
        self.set_aside += other.set_aside;
    }
}
