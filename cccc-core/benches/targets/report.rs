//! Measuring, and the table at the end.

use std::time::{Duration, Instant};

use criterion::Criterion;

/// Times of single operations, sorted.
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    pub(crate) fn new(mut times: Vec<Duration>) -> Self {
        times.sort();
        Self(times)
    }

    /// The time that a share of the operations, in per cent, did not exceed.
    pub(crate) fn percentile(&self, share: usize) -> Duration {
        self.0[(self.0.len() - 1) * share / 100]
    }

    pub(crate) fn median(&self) -> Duration {
        self.percentile(50)
    }
}

/// One line of the table.
struct Row {
    what: String,
    limit: String,
    ours: String,
    ratio: String,
    target: String,
    met: bool,
}

pub(crate) struct Report {
    criterion: Criterion,
    wanted: Vec<String>,
    rows: Vec<Row>,
}

impl Report {
    pub(crate) fn new(criterion: Criterion, wanted: Vec<String>) -> Self {
        Self { criterion, wanted, rows: Vec::new() }
    }

    /// Whether a row was asked for.
    pub(crate) fn wants(&self, what: &str) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|part| what.contains(part.as_str()))
    }

    /// Has criterion run an operation, and keeps the time of every single one.
    pub(crate) fn measure(&mut self, name: &str, mut operation: impl FnMut()) -> Samples {
        let mut times = Vec::new();
        self.criterion.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                let mut total = Duration::ZERO;
                for _ in 0..iterations {
                    let start = Instant::now();
                    operation();
                    let time = start.elapsed();
                    times.push(time);
                    total += time;
                }
                total
            });
        });
        Samples::new(times)
    }

    /// Adds a row in which less is better: the target is met while `ours <= bound`.
    pub(crate) fn time(
        &mut self,
        what: &str,
        limit: Duration,
        ours: Duration,
        target: &str,
        bound: Duration,
    ) {
        let ratio = format!("{:.2}x", ours.as_secs_f64() / limit.as_secs_f64());
        self.row(what, format!("{limit:.1?}"), format!("{ours:.1?}"), ratio, target, ours <= bound);
    }

    /// Adds a row in which more is better: the target is met while `ours >= least * limit`.
    pub(crate) fn rate(&mut self, what: &str, limit: f64, ours: f64, target: &str, least: f64) {
        let ratio = format!("{:.2}x", ours / limit);
        self.row(what, format!("{limit:.0}/s"), format!("{ours:.0}/s"), ratio, target, ours >= least * limit);
    }

    /// Adds any other row.
    pub(crate) fn fact(&mut self, what: &str, ours: String, target: &str, met: bool) {
        self.row(what, "-".into(), ours, "-".into(), target, met);
    }

    fn row(&mut self, what: &str, limit: String, ours: String, ratio: String, target: &str, met: bool) {
        self.rows.push(Row { what: what.into(), limit, ours, ratio, target: target.into(), met });
    }

    pub(crate) fn print(&self) {
        println!("\n{:<46} {:>12} {:>12} {:>8}  target", "what", "limit here", "ours", "ratio");
        for Row { what, limit, ours, ratio, target, met } in &self.rows {
            let verdict = if *met { "met" } else { "MISSED" };
            println!("{what:<46} {limit:>12} {ours:>12} {ratio:>8}  {target}: {verdict}");
        }
    }
}
