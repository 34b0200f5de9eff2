//! The program `cccc`, by the system's clock. All else is in the library beside it.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::sync::Arc;

use cccc_core::SystemClock;

fn main() -> ExitCode {
    cccc_cli::run(Arc::new(SystemClock))
}
