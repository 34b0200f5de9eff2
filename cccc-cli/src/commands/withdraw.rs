//! `cccc cancel`, `cccc retract`, `cccc redact`

use clap::Args;

use super::answer_done;
use crate::context::Context;
use crate::output::Outcome;

/// End what a message asks for; the message stays
///
/// Everyone may cancel its own, the user any, the foreman those between peers.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc cancel 5 --reason 'solved otherwise'")]
pub(crate) struct CancelArgs {
    #[command(flatten)]
    what: What,
}

/// Withdraw a message from those who have not read it, and end what it asks for
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc retract 5 --reason 'wrong branch'")]
pub(crate) struct RetractArgs {
    #[command(flatten)]
    what: What,
}

/// Remove the data of a message for ever, with its attachments
///
/// For secrets that went where they should not have. Only the user may. The ledger keeps a hash of the
/// data in its place and still verifies; the bytes of its attachments go, also where
/// another message has attached the same. What a recovery or a
/// repair has set aside of the message goes as well. The hash has no salt, so a short secret, like a PIN or a
/// word, can be guessed from it: change such a secret, too.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc redact 5 --reason 'contained a password'")]
pub(crate) struct RedactArgs {
    #[command(flatten)]
    what: What,
}

#[derive(Args, Debug)]
struct What {
    /// The message: its number, its id, or the start of its id
    #[arg(value_name = "EVENT")]
    event: String,
    /// Why, for people
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
}

pub(crate) async fn cmd_cancel(context: &Context, CancelArgs { what }: CancelArgs) -> Outcome {
    let done = context.group().await?.cancel(what.event.as_str(), what.reason).await?;
    answer_done(context, &done, "cancelled")
}

pub(crate) async fn cmd_retract(context: &Context, RetractArgs { what }: RetractArgs) -> Outcome {
    let done = context.group().await?.retract(what.event.as_str(), what.reason).await?;
    answer_done(context, &done, "retracted")
}

pub(crate) async fn cmd_redact(context: &Context, RedactArgs { what }: RedactArgs) -> Outcome {
    let done = context.group().await?.redact(what.event.as_str(), what.reason).await?;
    answer_done(context, &done, "redacted")
}
