//! `cccc mcp`

use cccc_core::Error;
use cccc_mcp::{Options, Runtimes};
use clap::Args;

use crate::context::Context;
use crate::output::Outcome;
use crate::setup::catalog;
use crate::speaker;

/// Serve an agent over the Model Context Protocol, on standard input and output
///
/// Agents start this themselves, once it is entered in their settings. It joins the group of the directory when
/// the agent first calls a tool: under the id given with --as, else CCCC_ACTOR_ID, else as whoever was here
/// before from the same program, else under a readable new name. It is that actor's session until its input ends.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  claude mcp add cccc -s user -- cccc mcp
  codex mcp add cccc -- cccc mcp
  cccc mcp --as alice --pack history

Environment:
  CCCC_RUNTIME=NAME         the agent's program, if it does not say so itself
  CCCC_CHANNEL=1            as --channel
  CCCC_PACKS=NAME,NAME      as --pack")]
pub(crate) struct McpArgs {
    /// Notify through Claude Code's channels, where it was started to show them
    #[arg(long)]
    channel: bool,
    /// A pack of tools to begin with: history, labels, files, project, diagnostics, memory, memory-admin; repeatable
    #[arg(long = "pack", value_name = "NAME")]
    packs: Vec<String>,
}

pub(crate) fn cmd_mcp(context: &Context, args: McpArgs) -> Outcome {
    context.check_names()?;
    let mut options = Options::from_environment()?;
    options.home = context.home_path()?;
    options.home_options = context.home_options();
    if let Some(group) = context.named_group()? {
        options.group = Some(group);
    }
    options.actor = context.flagged_speaker();
    if options.runtime.is_none() {
        options.marked_runtime = speaker::program(&crate::context::variable);
    }
    let home = options.home.clone();
    options.runtimes = Runtimes::lazily(move || catalog::runtimes(&home));
    options.channel |= args.channel;
    options.packs.extend(args.packs);
    // On a thread of its own: this one is given to one future, and what blocks it would hold up every call.
    let server = std::thread::spawn(move || cccc_mcp::serve_stdio(options));
    match server.join() {
        Ok(result) => Ok(result?),
        Err(_) => Err(Error::unavailable("the server failed").into()),
    }
}
