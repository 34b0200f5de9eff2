//! `cccc reserve`, `cccc reservations`, `cccc release`

use std::time::Duration;

use cccc_core::ReservationView;
use clap::Args;
use schemars::schema_for;

use super::answer_done;
use super::schema::{Answers, done, lines, one};
use crate::context::Context;
use crate::duration;
use crate::output::{Outcome, Style, clean, first_line};
use crate::render::due;
use crate::table::{Table, plain};

/// Reserve paths, so that nobody else edits them meanwhile
///
/// Paths are relative to the group's directory. `*` and `?` stand for characters within a name, `**` for
/// any number of names; a plain path means everything below it as well. Either all are reserved or none.
/// Reserving the same again makes it last from now. A reservation lapses by itself. What overlaps another's is
/// refused with the holder and the end; who waits for that says so: `cccc agent-state --waiting-for r57`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc --as alice reserve 'src/parser/**' Cargo.toml --for 30m --purpose 'split the parser'
  cccc --as alice reserve --extend r57 --for 1h")]
pub(crate) struct ReserveArgs {
    /// Path patterns
    #[arg(value_name = "GLOB", required_unless_present = "extend")]
    globs: Vec<String>,
    /// For how long from now, at most 7d
    #[arg(long = "for", value_name = "TIME", value_parser = duration::parse, default_value = "30m")]
    lasting: Duration,
    /// What for; shown to whoever comes in its way
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    purpose: String,
    /// Make this reservation last from now instead
    #[arg(long, value_name = "ID", conflicts_with_all = ["globs", "purpose"])]
    extend: Option<String>,
}

/// List the reservations that hold
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc reservations
  cccc reservations --path src/main.rs --json      who has reserved this file")]
pub(crate) struct ReservationsArgs {
    /// Only those that mean this path
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
}

/// End a reservation
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc --as alice release r57")]
pub(crate) struct ReleaseArgs {
    /// Its id
    #[arg(value_name = "ID")]
    id: String,
    /// Why, for people
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
}

pub(crate) async fn cmd_reserve(context: &Context, args: ReserveArgs) -> Outcome {
    let group = context.group().await?;
    let held = match args.extend {
        Some(id) => group.extend_reservation(id.as_str(), args.lasting).await?,
        None => group.reserve(args.globs).purpose(args.purpose).lasting(args.lasting).await?,
    };
    context.out.answer(&held, || {
        format!("{}: {} reserved, lapses {}", held.reservation_id, held.globs.join(" "), due(held.until))
    })
}

pub(crate) async fn cmd_reservations(context: &Context, args: ReservationsArgs) -> Outcome {
    let group = context.group_to_look().await?;
    let reservations: Vec<ReservationView> = match args.path {
        Some(path) => group.reservations_of(path).await?,
        None => group.reservations().await?,
    };
    context.out.answers(&reservations, || {
        let mut table = Table::new(&context.out, &["ID", "HOLDER", "LAPSES", "PATHS", "PURPOSE"]);
        for one in &reservations {
            table.row([
                plain(one.reservation_id),
                (one.holder.to_string(), Style::Cyan),
                plain(due(one.until)),
                plain(clean(&one.globs.join(" "))),
                plain(first_line(&one.purpose, 60)),
            ]);
        }
        if table.is_empty() { "nothing is reserved".into() } else { table.text() }
    })
}

pub(crate) async fn cmd_release(context: &Context, args: ReleaseArgs) -> Outcome {
    let done = context.group().await?.release(args.id.as_str(), args.reason).await?;
    answer_done(context, &done, "released")
}

/// What the commands of this family print.
pub(crate) fn answers() -> Answers {
    vec![
        ("reserve", one(schema_for!(ReservationView))),
        ("reservations", lines(schema_for!(ReservationView))),
        ("release", done()),
    ]
}
