//! Integration tests of `cccc-core`, as one binary: each of them would be linked anew otherwise.

mod conformance;
mod processes;
mod simulation;
