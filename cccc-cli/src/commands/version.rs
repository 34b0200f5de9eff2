//! `cccc version`

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use crate::context::Context;
use crate::output::Outcome;

/// Print the version
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc version --json")]
pub(crate) struct VersionArgs {}

/// What `cccc version` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct VersionAnswer {
    /// The version of this program and of the library in it.
    version: &'static str,
    /// Version of the saved state; ledgers are read across all versions.
    state_schema: u32,
    os: &'static str,
    arch: &'static str,
}

impl VersionAnswer {
    pub(crate) fn of_this_program() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            state_schema: cccc_core::state::GroupState::SCHEMA,
            os: std::env::consts::OS,
            arch: std::env::consts::ARCH,
        }
    }
}

pub(crate) fn cmd_version(context: &Context, _: &VersionArgs) -> Outcome {
    let answer = VersionAnswer::of_this_program();
    context.out.answer(&answer, || format!("cccc {} ({}, {})", answer.version, answer.os, answer.arch))
}
