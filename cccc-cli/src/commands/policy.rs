//! `cccc policy ...`

use std::time::Duration;

use cccc_core::answer::DueAnswer;
use cccc_core::rule::task::Check;
use cccc_core::{Effect, PolicyView, Upkeep};
use clap::{Args, Subcommand};
use schemars::schema_for;

use super::answer_done;
use super::schema::{Answers, done, lines, one};
use crate::context::Context;
use crate::duration;
use crate::output::{Outcome, Style};
use crate::render::{due, names};
use crate::table::{Table, plain};

/// See and set what the group says by itself, and carry it out
///
/// Policies remind of what is unread, not acknowledged or overdue, once, and then tell others, once. Their
/// times are settings of the group; `off` turns one off. With them go schedules, and what has to be put in
/// order: claims of deliverers that died, sessions, votes, questions and requests that are over, actors that stayed
/// away.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc policy show
  cccc policy set attention 2m           two minutes to take note
  cccc policy set unread off             no word about unread messages
  cccc policy set silence 1h             an hour in which nobody does anything is told
  cccc policy due
  cccc policy run                        without a host, from a cron job for example")]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// List the policies with their times
    #[command(after_help = "Examples:\n  cccc policy show --json")]
    Show,
    /// Set the time of a policy
    #[command(after_help = "Examples:
  cccc policy set attention 2m
  cccc policy set unread off
  cccc policy set unread default")]
    Set {
        /// Its name
        policy: String,
        /// A time of at most a day, `off`, or `default`
        #[arg(value_name = "TIME", value_parser = period)]
        after: Period,
    },
    /// List what is due now, longest first, and when there will be more; a host carries it out
    #[command(after_help = "Examples:\n  cccc policy due --json")]
    Due,
    /// Carry out what is due now, and list what that was; a second time at once does nothing
    #[command(after_help = "Examples:\n  cccc policy run")]
    Run,
}

/// A policy's time as it is given.
#[derive(Clone, Copy, Debug)]
enum Period {
    Default,
    Off,
    After(Duration),
}

fn period(text: &str) -> Result<Period, String> {
    match text {
        "default" => Ok(Period::Default),
        "off" | "0" => Ok(Period::Off),
        time => duration::parse(time).map(Period::After),
    }
}

pub(crate) async fn cmd_policy(context: &Context, args: PolicyArgs) -> Outcome {
    match args.command {
        PolicyCommand::Show => {
            let policies = context.group_to_look().await?.policies().await?;
            context.out.answers(&policies, || list(context, &policies))
        }
        PolicyCommand::Set { policy, after } => {
            let after = match after {
                Period::Default => None,
                Period::Off => Some(Duration::ZERO),
                Period::After(time) => Some(time),
            };
            answer_done(context, &context.group().await?.set_policy(policy, after).await?, "set")
        }
        PolicyCommand::Due => {
            let group = context.group_to_look().await?;
            let answer = DueAnswer::of(&group).await?;
            context.out.answer(&answer, || text_of_due(context, &answer))
        }
        PolicyCommand::Run => {
            let effects = context.group().await?.carry_out_due().await?;
            context.out.answers(&effects, || match effects.as_slice() {
                [] => "nothing was due".into(),
                effects => table(context, effects).text(),
            })
        }
    }
}

fn text_of_due(context: &Context, answer: &DueAnswer) -> String {
    let mut text = match (answer.effects.is_empty(), answer.next_at) {
        (false, _) => table(context, &answer.effects).text(),
        (true, Some(next)) => format!("nothing is due; next {}", due(next)),
        (true, None) => "nothing is due".into(),
    };
    for Check { task_id, evidence, kind, .. } in &answer.checks {
        let kind = kind.as_str();
        text = format!(
            "{text}\nnobody has looked at {kind} {evidence} of {task_id}: cccc task verify {task_id} {evidence}"
        );
    }
    text
}

fn list(context: &Context, policies: &[PolicyView]) -> String {
    let mut table = Table::new(&context.out, &["POLICY", "AFTER", "DEFAULT"]);
    let time = |millis: Option<u64>| {
        millis.map_or_else(|| "off".into(), |ms| duration::short(Duration::from_millis(ms)))
    };
    for policy in policies {
        let style = if policy.after_ms == policy.default_ms { Style::Plain } else { Style::Yellow };
        table.row([
            (policy.policy.clone(), Style::Cyan),
            (time(policy.after_ms), style),
            plain(time(policy.default_ms)),
        ]);
    }
    table.text()
}

fn table<'a>(context: &'a Context, effects: &[Effect]) -> Table<'a> {
    let mut table = Table::new(&context.out, &["SINCE", "WHAT", "FOR", "ABOUT", "LEVEL"]);
    for effect in effects {
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
            Effect::Keep(keeping) => {
                let (what, about) = match &keeping.upkeep {
                    Upkeep::LoseClaim { delivery } => ("lost claim", delivery.to_string()),
                    Upkeep::CloseSession { session } => ("ended session", session.clone()),
                    Upkeep::Retire { actor_id } => ("retirement", actor_id.to_string()),
                    Upkeep::EndVote { vote } => ("vote is over", vote.to_string()),
                    Upkeep::EndApproval { approval } => ("request is over", approval.to_string()),
                    Upkeep::EndQuestion { question } => ("question is over", question.seq.to_string()),
                };
                table.row([since, plain(what), plain(""), plain(about), plain("")]);
            }
            Effect::Relay(relay) => table.row([
                since,
                plain("relay"),
                (relay.group_id.to_string(), Style::Cyan),
                plain(relay.event_id.seq),
                plain(relay.tries + 1),
            ]),
            _ => table.row([since, plain("something newer"), plain(""), plain(""), plain("")]),
        }
    }
    table
}

/// What the commands of this family print.
pub(crate) fn answers() -> Answers {
    vec![
        ("policy show", lines(schema_for!(PolicyView))),
        ("policy set", done()),
        ("policy due", one(schema_for!(DueAnswer))),
        ("policy run", lines(schema_for!(Effect))),
    ]
}
