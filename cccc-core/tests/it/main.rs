//! Integration tests of `cccc-core`, as one binary: each of them would be linked anew otherwise.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "tests stop where they fail")]

mod conformance;
mod processes;
mod simulation;
