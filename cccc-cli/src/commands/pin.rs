//! `cccc pin`, `cccc unpin`, `cccc pins`

use cccc_core::PinView;
use clap::Args;
use schemars::schema_for;

use super::answer_done;
use super::schema::{Answers, done, lines};
use crate::context::Context;
use crate::output::{Outcome, Style, clean, first_line};
use crate::render::ago;
use crate::table::{Table, plain};

/// Keep a message in the group's sight, at most 64 of them
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc pin 5 \"The plan\"
  cccc pins")]
pub(crate) struct PinArgs {
    /// The message
    #[arg(value_name = "EVENT")]
    event: String,
    /// Why, for people
    #[arg(value_name = "WHY", default_value = "", hide_default_value = true)]
    note: String,
}

/// Take a message off the pins: your own, or as the foreman or the user any
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  cccc unpin 5 --reason 'done'")]
pub(crate) struct UnpinArgs {
    /// The message
    #[arg(value_name = "EVENT")]
    event: String,
    /// Why, for people
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
}

/// List the pinned messages, with who pinned them and why
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  cccc pins --json")]
pub(crate) struct PinsArgs {}

pub(crate) async fn cmd_pin(context: &Context, args: PinArgs) -> Outcome {
    answer_done(context, &context.group().await?.pin(args.event.as_str(), args.note).await?, "pinned")
}

pub(crate) async fn cmd_unpin(context: &Context, args: UnpinArgs) -> Outcome {
    answer_done(context, &context.group().await?.unpin(args.event.as_str(), args.reason).await?, "unpinned")
}

pub(crate) async fn cmd_pins(context: &Context, _: PinsArgs) -> Outcome {
    let pins = context.group_to_look().await?.pins().await?;
    context.out.answers(&pins, || {
        let mut table = Table::new(&context.out, &["EVENT", "FROM", "PINNED BY", "", "WHY", "TEXT"]);
        for pin in &pins {
            table.row([
                plain(pin.seq),
                (pin.by.to_string(), Style::Cyan),
                (pin.pinned_by.to_string(), Style::Cyan),
                plain(ago(pin.pinned_at)),
                plain(clean(&pin.note)),
                plain(first_line(&pin.text, 50)),
            ]);
        }
        if table.is_empty() { "nothing is pinned".into() } else { table.text() }
    })
}

/// What the commands of this family print.
pub(crate) fn answers() -> Answers {
    vec![("pin", done()), ("unpin", done()), ("pins", lines(schema_for!(PinView)))]
}
