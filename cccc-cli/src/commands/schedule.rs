//! `cccc schedule ...`

use std::time::Duration;

use cccc_core::command::When;
use cccc_core::event::{FiredResult, GroupMode, ScheduleAction, Trigger, Wish};
use cccc_core::{Error, Group, Result, ScheduleView, Timestamp};
use clap::{Args, Subcommand, ValueEnum};
use schemars::schema_for;

use super::answer_done;
use super::schema::{Answers, done, lines, one};
use crate::context::Context;
use crate::duration;
use crate::output::{Outcome, Style, clean, first_line};
use crate::render::{due, names, word};
use crate::table::{Table, plain};

/// Have things said or done at certain times
///
/// Schedules run in active and idle groups, when a host is there. A time that passed is not made up for.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc schedule add 'Say what you do and what blocks you' --to @peers --every 15m
  cccc schedule add 'Stand-up' --to @all --cron '0 9 * * 1-5' --tz Europe/Paris --id standup
  cccc schedule add --set-state paused --at 17:00
  cccc schedule disable standup")]
pub(crate) struct ScheduleArgs {
    #[command(subcommand)]
    command: ScheduleCommand,
}

#[derive(Debug, Subcommand)]
enum ScheduleCommand {
    /// Make a schedule
    ///
    /// Anybody may have itself and up to four by name told something; the user and the foreman may have
    /// anybody told, and once, at a time, the group's state changed or an actor started, stopped or
    /// restarted. Cron expressions have five fields: minute, hour, day of the month, month, day of the week.
    #[command(after_help = "Examples:
  cccc schedule add 'Run the tests' --to alice --every 30m
  cccc schedule add 'Weekly report' --to @foreman --cron '0 16 * * 5' --tz America/New_York
  cccc schedule add --restart alice --at 2026-12-01T06:00:00Z")]
    Add(Box<AddArgs>),
    /// List the schedules
    #[command(after_help = "Examples:\n  cccc schedule list --json")]
    List,
    /// Let a schedule run again; what passed while it rested is not made up for
    #[command(after_help = "Examples:\n  cccc schedule enable standup")]
    Enable(IdArgs),
    /// Let a schedule rest
    #[command(after_help = "Examples:\n  cccc schedule disable standup")]
    Disable(IdArgs),
    /// Remove a schedule
    #[command(after_help = "Examples:\n  cccc schedule remove standup")]
    Remove(IdArgs),
    /// Remove those that were to happen once, and did
    #[command(after_help = "Examples:\n  cccc schedule clear")]
    Clear,
}

#[derive(Args, Debug)]
struct IdArgs {
    /// The schedule's name
    id: String,
}

#[derive(Args, Debug)]
struct AddArgs {
    #[command(flatten)]
    what: WhatArgs,
    /// Who is told: any address. Repeatable
    #[arg(long = "to", value_name = "A", requires = "text")]
    to: Vec<String>,
    #[command(flatten)]
    when: WhenArgs,
    /// The zone of --cron and of a time of day, by its IANA name [default: this machine's, else UTC]
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// Its name [default: s and the number of the event that makes it]
    #[arg(long, value_name = "ID")]
    id: Option<String>,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct WhatArgs {
    /// What is said
    #[arg(value_name = "TEXT", requires = "to")]
    text: Option<String>,
    /// The state that the group is set to
    #[arg(long, value_enum, value_name = "STATE")]
    set_state: Option<StateArg>,
    /// The actor that is started
    #[arg(long, value_name = "ACTOR")]
    start: Option<String>,
    /// The actor that is stopped
    #[arg(long, value_name = "ACTOR")]
    stop: Option<String>,
    /// The actor that is restarted
    #[arg(long, value_name = "ACTOR")]
    restart: Option<String>,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct WhenArgs {
    /// Again and again, first after this time: 15m, 2h, 1d
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    every: Option<Duration>,
    /// Whenever the clocks match: '0 9 * * 1-5' is every working day at nine
    #[arg(long, value_name = "EXPR")]
    cron: Option<String>,
    /// Once: the next 17:00, or a time like 2026-12-01T17:00:00Z
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

/// The states of a group.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum StateArg {
    /// Everything runs
    Active,
    /// Schedules only
    Idle,
    /// Nothing is handed over
    Paused,
    /// No agent runs
    Stopped,
    /// Read-only
    Archived,
}

impl From<StateArg> for GroupMode {
    fn from(state: StateArg) -> Self {
        match state {
            StateArg::Active => Self::Active,
            StateArg::Idle => Self::Idle,
            StateArg::Paused => Self::Paused,
            StateArg::Stopped => Self::Stopped,
            StateArg::Archived => Self::Archived,
        }
    }
}

pub(crate) async fn cmd_schedule(context: &Context, args: ScheduleArgs) -> Outcome {
    match args.command {
        ScheduleCommand::Add(args) => {
            let made = add(&context.group().await?, *args).await?;
            context.out.answer(&made, || {
                let next = made.next_at.map(due).unwrap_or_default();
                format!("schedule {}: first {next}", made.schedule_id)
            })
        }
        ScheduleCommand::List => list(context).await,
        ScheduleCommand::Enable(IdArgs { id }) => {
            answer_done(context, &context.group().await?.enable_schedule(id).await?, "enabled")
        }
        ScheduleCommand::Disable(IdArgs { id }) => {
            answer_done(context, &context.group().await?.disable_schedule(id).await?, "disabled")
        }
        ScheduleCommand::Remove(IdArgs { id }) => {
            answer_done(context, &context.group().await?.remove_schedule(id).await?, "removed")
        }
        ScheduleCommand::Clear => {
            answer_done(context, &context.group().await?.clear_schedules().await?, "cleared")
        }
    }
}

async fn add(group: &Group, AddArgs { what, to, when, tz, id }: AddArgs) -> Result<ScheduleView> {
    let WhatArgs { text, set_state, start, stop, restart } = what;
    let wishes = [(start, Wish::Start), (stop, Wish::Stop), (restart, Wish::Restart)];
    let wish = wishes.into_iter().find_map(|(actor, wish)| Some((actor?, wish)));
    let mut request = match (set_state, wish) {
        (Some(state), _) => group.schedule_state(state.into()),
        (None, Some((actor, wish))) => group.schedule_control(actor, wish),
        (None, None) => group.schedule_notice(text.unwrap_or_default()),
    };
    for address in to {
        request = request.to(address);
    }
    if let Some(id) = id {
        request = request.named(id);
    }
    request.when(read(when, tz)?).await
}

fn read(WhenArgs { every, cron, at }: WhenArgs, tz: Option<String>) -> Result<When> {
    let zone = || Some(tz.clone().unwrap_or_else(cccc_core::time::local_zone));
    match (every, cron, at) {
        (Some(every), ..) => Ok(When::Every(every)),
        (_, Some(expr), _) => Ok(When::Cron { expr, tz: zone() }),
        // A time of day is short; anything else is a point in time.
        (.., Some(time)) if time.len() <= 5 => Ok(When::AtTime { time, tz: zone() }),
        (.., Some(time)) => time.parse::<Timestamp>().map(When::At),
        (None, None, None) => Err(Error::invalid("a schedule needs a time").hint("--every, --cron or --at")),
    }
}

async fn list(context: &Context) -> Outcome {
    let schedules = context.group_to_look().await?.schedules().await?;
    context.out.answers(&schedules, || {
        let mut table = Table::new(&context.out, &["ID", "WHEN", "NEXT", "WHAT", "BY", "LAST"]);
        for schedule in &schedules {
            let next = match (schedule.completed, schedule.next_at) {
                (true, _) => ("over".into(), Style::Dim),
                (false, Some(next)) => plain(due(next)),
                (false, None) => ("rests".into(), Style::Dim),
            };
            let last = match &schedule.result {
                Some(FiredResult::Failed { reason }) => (clean(reason), Style::Red),
                Some(result) => plain(word(result)),
                None => plain(""),
            };
            table.row([
                plain(&schedule.schedule_id),
                plain(when(&schedule.trigger)),
                next,
                plain(what(&schedule.action)),
                (schedule.author.to_string(), Style::Cyan),
                last,
            ]);
        }
        if table.is_empty() { "there are no schedules".into() } else { table.text() }
    })
}

fn when(trigger: &Trigger) -> String {
    match trigger {
        Trigger::Interval { every_ms, .. } => {
            format!("every {}", duration::short(Duration::from_millis(*every_ms)))
        }
        Trigger::Cron { expr, tz } => format!("{expr} {tz}"),
        Trigger::Once { at } => at.to_string(),
        _ => "something newer".into(),
    }
}

fn what(action: &ScheduleAction) -> String {
    match action {
        ScheduleAction::Notify { to, text } => format!("tell {}: {}", names(to), first_line(text, 40)),
        ScheduleAction::SetState { state } => format!("set {}", word(state)),
        ScheduleAction::Control { actor_id, wish } => format!("{} {actor_id}", word(wish)),
        _ => "something newer".into(),
    }
}

/// What the commands of this family print.
pub(crate) fn answers() -> Answers {
    vec![
        ("schedule add", one(schema_for!(ScheduleView))),
        ("schedule list", lines(schema_for!(ScheduleView))),
        ("schedule enable", done()),
        ("schedule disable", done()),
        ("schedule remove", done()),
        ("schedule clear", done()),
    ]
}
