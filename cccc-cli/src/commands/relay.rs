//! `cccc relay ...`

use cccc_core::RelayView;
use clap::{Args, Subcommand};
use schemars::schema_for;

use super::schema::{Answers, lines};
use crate::context::Context;
use crate::output::{Outcome, Style, clean};
use crate::render::{due, names};
use crate::table::{Table, plain};

/// See and retry messages that have not arrived in other groups
///
/// A message to `alice@GROUP` is copied there right after it was sent. What could not be copied is listed
/// here with the reason, and tried again: after a minute, then ever more rarely, eight times in all. However
/// often it is tried, it arrives once.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc send \"Is the cluster up?\" --to alice@infra --reply-within 15m
  cccc relay list
  cccc relay retry 42")]
pub(crate) struct RelayArgs {
    #[command(subcommand)]
    command: RelayCommand,
}

#[derive(Debug, Subcommand)]
enum RelayCommand {
    /// List the messages that have not arrived in other groups, oldest first
    #[command(after_help = "Examples:\n  cccc relay list --json")]
    List,
    /// Try now to copy messages into other groups, and list those that have not arrived even so
    #[command(after_help = "Examples:\n  cccc relay retry\n  cccc relay retry 42")]
    Retry {
        /// Only this message: its number, its id, or the start of its id
        #[arg(value_name = "EVENT")]
        event: Option<String>,
    },
}

pub(crate) async fn cmd_relay(context: &Context, args: RelayArgs) -> Outcome {
    let left = match args.command {
        RelayCommand::List => context.group_to_look().await?.relays().await?,
        RelayCommand::Retry { event } => {
            let group = context.group().await?;
            let message = match event {
                Some(event) => Some(group.event(event.as_str()).await?.id),
                None => None,
            };
            group.retry_relays(message).await?
        }
    };
    context.out.answers(&left, || {
        let mut table = Table::new(&context.out, &["MESSAGE", "FOR", "TRIES", "NEXT", "REASON"]);
        for one in &left {
            table.row([
                plain(one.event_id),
                (names(&one.recipients), Style::Cyan),
                plain(one.tries),
                plain(one.next_at.map(due).unwrap_or_default()),
                (one.reason.as_deref().map(clean).unwrap_or_default(), Style::Red),
            ]);
        }
        if table.is_empty() { "everything has arrived".into() } else { table.text() }
    })
}

/// What of a message that was just sent has not arrived, for people; each on its line.
pub(crate) fn warnings(relays: &[RelayView]) -> String {
    let warning = |one: &RelayView| {
        let reason =
            one.reason.as_deref().map(clean).unwrap_or_else(|| "nothing leaves this group now".into());
        format!(
            "\nnot yet there: {}: {reason}; `cccc relay list` shows when it is tried again",
            names(&one.recipients)
        )
    };
    relays.iter().map(warning).collect()
}

/// What the commands of this family print.
pub(crate) fn answers() -> Answers {
    vec![("relay list", lines(schema_for!(RelayView))), ("relay retry", lines(schema_for!(RelayView)))]
}
