//! The targets of this project, each measured beside the limit of this machine in the same run.
//!
//! `cargo xtask bench` runs it and prints one row a target: the raw limit, ours, and the ratio. Give a
//! part of a row's name to run only some. Nothing here is a test: times move with the machine.
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark reads clocks, prints, and may stop at any surprise"
)]

mod large;
mod many;
mod raw;
mod report;
mod send;

use criterion::Criterion;

use report::Report;

/// Set in the environment of processes that a benchmark starts: what they are to do.
const CHILD: &str = "CCCC_BENCH_CHILD";

fn main() {
    if let Ok(role) = std::env::var(CHILD) {
        return many::child(&role).or_else(|| large::child(&role)).expect("an unknown role");
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let criterion = Criterion::default().without_plots();
    let mut report = Report::new(criterion, wanted);
    send::run(&mut report);
    many::run(&mut report);
    large::run(&mut report);
    report.print();
}
