//! `cccc policy ...`

use cccc_core::Effect;
use cccc_core::answer::DueAnswer;
use clap::{Args, Subcommand};
use schemars::schema_for;

use super::schema::{Answers, one};
use crate::context::Context;
use crate::output::{Outcome, Style};
use crate::render::{due, names};
use crate::table::{Table, plain};

/// See what the policies and schedules of the group want done
///
/// Policies remind of what is unread, not acknowledged or overdue, once, and then tell others, once. Their
/// times are settings of the group; 0 turns one off.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc policy due
  cccc group update --set policy.unread_ms=0           no word about unread messages
  cccc group update --set policy.attention_ms=120000   two minutes to take note
  cccc group update --set policy.silence_ms=3600000    an hour in which nobody does anything is told")]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// List what is due now, longest first, and when there will be more; a host carries it out
    #[command(after_help = "Examples:\n  cccc policy due --json")]
    Due,
}

pub(crate) async fn cmd_policy(context: &Context, args: PolicyArgs) -> Outcome {
    let PolicyCommand::Due = args.command;
    let group = context.group_to_look().await?;
    let answer = DueAnswer::of(&group).await?;
    context.out.answer(&answer, || {
        let mut table = Table::new(&context.out, &["SINCE", "WHAT", "FOR", "ABOUT", "LEVEL"]);
        for effect in &answer.effects {
            let since = plain(due(effect.due_at()));
            match effect {
                Effect::Notify(reminder) => table.row([
                    since,
                    plain(&reminder.policy),
                    (names(&reminder.targets), Style::Cyan),
                    plain(names(&reminder.related)),
                    plain(reminder.level),
                ]),
                Effect::Fire(firing) => table.row([
                    since,
                    plain(if firing.missed { "schedule, missed" } else { "schedule" }),
                    plain(""),
                    plain(&firing.schedule_id),
                    plain(""),
                ]),
                _ => table.row([since, plain("something newer"), plain(""), plain(""), plain("")]),
            }
        }
        match (table.is_empty(), answer.next_at) {
            (false, _) => table.text(),
            (true, Some(next)) => format!("nothing is due; next {}", due(next)),
            (true, None) => "nothing is due".into(),
        }
    })
}

/// What the commands of this family print.
pub(crate) fn answers() -> Answers {
    vec![("policy due", one(schema_for!(DueAnswer)))]
}
