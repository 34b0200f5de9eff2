//! All scenarios of `cccc-core/tests/scenarios` through the command line: every step is a run of the program
//! with `--json`, as a script would run it.
//!
//! Time must be the scenario's, and no variable or argument of the real program can change its clock. So
//! this test is a program of its own: started by itself with `AS_PROGRAM`, it is `cccc` (the same code, by
//! [`cccc_cli::run`]) with a clock that stands at the time it is given; else it runs the scenarios. That is
//! why it has no test harness. Like one, it takes a piece of the names of those that shall run.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

mod door;
#[path = "../shared/place.rs"]
mod shared;

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use cccc_core::ManualClock;
use cccc_core::testing::scenario::Scenario;

use door::{AS_PROGRAM, CommandDoor};

fn main() -> ExitCode {
    if let Ok(now) = std::env::var(AS_PROGRAM) {
        return cccc_cli::run(Arc::new(ManualClock::at(now.parse().unwrap())));
    }
    let wanted = wanted(std::env::args().skip(1));
    if std::env::args().any(|arg| arg == "--list") {
        return ExitCode::SUCCESS;
    }
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cccc-core/tests/scenarios");
    match Scenario::all(&directory) {
        Ok(scenarios) => run(&scenarios, &wanted),
        Err(error) => fail(&[error]),
    }
}

/// Options of a test harness that are followed by a value, which is no name.
const WITH_VALUE: [&str; 6] = ["--test-threads", "--skip", "--format", "--color", "--logfile", "-Z"];

/// Pieces of the names of those that shall run; none: all. Options for harnesses are passed over.
fn wanted(mut arguments: impl Iterator<Item = String>) -> Vec<String> {
    let mut wanted = Vec::new();
    while let Some(argument) = arguments.next() {
        if WITH_VALUE.contains(&argument.as_str()) {
            arguments.next();
        } else if !argument.starts_with('-') {
            wanted.push(argument);
        }
    }
    wanted
}

/// Runs those whose names are wanted, side by side.
fn run(scenarios: &[Scenario], wanted: &[String]) -> ExitCode {
    let matches = |name: &str| wanted.is_empty() || wanted.iter().any(|piece| name.contains(piece.as_str()));
    let mut chosen: Vec<&Scenario> = scenarios.iter().filter(|one| matches(&one.name)).collect();
    chosen.retain(|one| match one.not_through.get("cli") {
        Some(why) => {
            println!("{} not through the CLI: {why}", one.name);
            false
        }
        None => true,
    });
    let (next, wrong) = (Mutex::new(chosen.iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some(scenario) = next.lock().unwrap().next() else { break };
                    if let Err(error) = scenario.run(&mut CommandDoor::new()) {
                        wrong.lock().unwrap().push(error);
                    }
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort();
    println!("{} of {} scenarios hold", chosen.len() - wrong.len(), chosen.len());
    if wrong.is_empty() { ExitCode::SUCCESS } else { fail(&wrong) }
}

fn fail(wrong: &[String]) -> ExitCode {
    println!("\n{}\n", wrong.join("\n\n"));
    ExitCode::FAILURE
}
