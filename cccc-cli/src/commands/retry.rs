//! `cccc retry`

use clap::Args;

use super::answer_done;
use crate::context::Context;
use crate::output::Outcome;

/// Let a message be handed over once more that may have been handed over
///
/// A delivery is ambiguous where nobody knows how it ended, for example because the host died in it. It is
/// not tried again by itself, as twice may be worse than never. For the sender, the recipient, the foreman
/// and the user.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc receipts 5                 shows which deliveries are ambiguous
  cccc retry 5 --to alice")]
pub(crate) struct RetryArgs {
    /// The message: its number, its id, or the start of its id
    #[arg(value_name = "EVENT")]
    event: String,
    /// To whom
    #[arg(long, value_name = "ID")]
    to: String,
}

pub(crate) async fn cmd_retry(context: &Context, args: RetryArgs) -> Outcome {
    let done = context.group().await?.retry(args.event.as_str(), &args.to).await?;
    answer_done(context, &done, "to be handed over again")
}
