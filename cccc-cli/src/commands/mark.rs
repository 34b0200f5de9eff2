//! `cccc ack`, `cccc read`

use clap::Args;

use super::answer_done;
use crate::context::Context;
use crate::output::Outcome;

/// Acknowledge a message: say that you have taken note
///
/// This meets what a message with --attention asks for. Acknowledging again changes nothing.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc --as alice ack 5")]
pub(crate) struct AckArgs {
    /// The message: its number, its id, or the start of its id
    #[arg(value_name = "EVENT")]
    event: String,
}

/// Mark a message as read, or everything up to it
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc --as alice read 5              this message alone
  cccc --as alice read 5 --through    and everything before it")]
pub(crate) struct ReadArgs {
    /// The message: its number, its id, or the start of its id
    #[arg(value_name = "EVENT")]
    event: String,
    /// Everything up to and including it
    #[arg(long)]
    through: bool,
}

pub(crate) async fn cmd_ack(context: &Context, args: AckArgs) -> Outcome {
    let done = context.group().await?.ack(args.event.as_str()).await?;
    answer_done(context, &done, "acknowledged")
}

pub(crate) async fn cmd_read(context: &Context, args: ReadArgs) -> Outcome {
    let group = context.group().await?;
    let done = match args.through {
        true => group.read_through(args.event.as_str()).await?,
        false => group.read(args.event.as_str()).await?,
    };
    answer_done(context, &done, "read")
}
