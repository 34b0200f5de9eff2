//! The chores of this repository, run as `cargo xtask <what>`.
//!
//! Plain `std` only, so that the first run on a fresh machine compiles in a second.

mod clients;
mod compare;
mod document;
mod snippets;
mod steps;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What went wrong, for whoever ran this.
type Failure = String;

const HELP: &str = "\
Chores of this repository.

Usage: cargo xtask <COMMAND>

Commands:
  test [STEP]...   everything a change must pass, in this order; or only the steps named:
STEPS
  bench [ARG]...   the benchmarks, each beside its limit in the same run; ARGs go to the harness
                   (a name runs only the benchmarks that contain it)
  clients          the MCP server, driven by the protocol's official client libraries and inspector (needs npm and
                   python3; installs them under target/clients)
  agents [ARG]...  the suite with the agents' own programs; `cargo xtask agents --help` says more
  help             this text

Each step's command is printed before it runs, so that it can be repeated alone.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["test", chosen @ ..] => steps::test(&root(), chosen),
        ["agents", rest @ ..] => steps::agents(&root(), rest),
        ["clients"] => clients::run(&root()),
        ["bench", rest @ ..] => steps::bench(&root(), rest),
        [] | ["help" | "--help" | "-h"] => {
            print(&HELP.replace("STEPS\n", &steps::list()));
            return ExitCode::SUCCESS;
        }
        [other, ..] => {
            print(&format!("xtask: {other:?} is not a command; see `cargo xtask help`\n"));
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            print(&format!("\nxtask: {failure}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Everything is said on stderr, in order with what the tools say there.
fn print(text: &str) {
    eprint!("{text}");
}

/// The directory of the workspace: the parent of this crate's.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}
