//! `cccc`: the command line over `cccc-core`.
//!
//! Every command parses its arguments, makes one call into core, and prints what came back. What may be
//! said to whom, what is owed and what is refused is decided in core and nowhere here.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 wrong usage.
//!
//! This is a library with a program of a few lines around it, because a program has one thing to say that no
//! argument and no variable of the environment may decide: which clock it goes by.
#![forbid(unsafe_code)]
#![recursion_limit = "256"] // for the one large `json!` of `cccc schema`

mod cli;
mod commands;
mod context;
mod demo;
mod duration;
mod export;
mod hook;
mod input;
mod new_file;
mod output;
mod progress;
mod render;
mod setup;
mod speaker;
mod table;

use std::process::ExitCode;
use std::sync::Arc;

use cccc_core::Clock;
use clap::Parser;

use crate::cli::Cli;
use crate::context::Context;
use crate::output::{Failure, Output};

/// Runs the program: reads the arguments and the environment of this process, and writes to its standard
/// output and error. Groups go by `clock`; that is the system's, except in tests.
#[must_use]
pub fn run(clock: Arc<dyn Clock>) -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if hook::is_asked_wrongly(&error) => return ExitCode::SUCCESS,
        Err(error) => return wrong_usage(&error),
    };
    let context = Context::new(cli.globals, clock);
    let result = cccc_core::block_on(cli.command.run(&context));
    match result.and_then(|()| context.out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::ClosedPipe) => {
            // Whoever read the output has seen enough, as with `cccc tail | head -1`.
            context.out.discard();
            ExitCode::SUCCESS
        }
        Err(failure) => {
            // What was printed before the failure is printed; that it could not be is no second failure.
            let _ = context.out.flush();
            context.out.report(&failure);
            ExitCode::FAILURE
        }
    }
}

/// Reports what clap says: help and version on standard output, mistakes on standard error.
///
/// `--json` is looked for by hand, since arguments that do not parse do not say.
fn wrong_usage(error: &clap::Error) -> ExitCode {
    let json = std::env::args_os().take_while(|arg| arg != "--").any(|arg| arg == "--json");
    if !error.use_stderr() {
        // A closed pipe is fine here too.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if json {
        Output::report_usage(error);
    } else {
        let _ = error.print();
    }
    ExitCode::from(2)
}
