//! `cccc waits`

use cccc_core::WaitGraph;
use clap::Args;
use schemars::schema_for;

use super::schema::{Answers, one};
use crate::context::Context;
use crate::output::Outcome;

/// Show who waits for whom, and where that goes round in a circle
///
/// Over everything that is owed, oldest first. Within one thread a wait follows the newest question, so
/// asking back is no circle. A circle is named with everybody who can break it, and how.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc waits
  cccc waits --dot | dot -Tsvg > waits.svg     circles are red, waits behind others dashed")]
pub(crate) struct WaitsArgs {
    /// As a graph for Graphviz, unless JSON is asked for
    #[arg(long)]
    dot: bool,
}

pub(crate) async fn cmd_waits(context: &Context, args: WaitsArgs) -> Outcome {
    let graph = context.group_to_look().await?.waits().await?;
    if args.dot && !context.out.is_json() {
        return context.out.line(graph.to_dot().trim_end());
    }
    context.out.answer(&graph, || graph.to_string())
}

/// What the commands of this family print.
pub(crate) fn answers() -> Answers {
    vec![("waits", one(schema_for!(WaitGraph)))]
}
