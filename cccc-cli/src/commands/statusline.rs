//! `cccc statusline`

use cccc_core::event::GroupMode;
use cccc_core::{ErrorKind, GroupId, Principal, Result};
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::context::Context;
use crate::output::{Outcome, clean};
use crate::render::word;

/// The most obligations that are looked at for being overdue.
const MAX_OWED: usize = 1000;

/// Print one line for an agent's status line: who it is, in which group, what is unread and owed
///
/// Prints nothing where there is no group, and never fails: a status line is no place for errors, `cccc doctor`
/// is. What agents write on standard input is not needed.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc statusline
  cccc statusline --json
In Claude Code's settings: {\"statusLine\": {\"type\": \"command\", \"command\": \"cccc statusline\"}}")]
pub(crate) struct StatuslineArgs {}

/// What `cccc statusline` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct StatuslineAnswer {
    principal: Principal,
    group_id: GroupId,
    title: String,
    state: GroupMode,
    unread: u64,
    owed: u64,
    /// How much of that is past due.
    overdue: usize,
}

pub(crate) async fn cmd_statusline(context: &Context, _: StatuslineArgs) -> Outcome {
    match look(context).await {
        Ok(answer) => context.out.answer(&answer, || text(&answer)),
        Err(error) if context.out.is_json() => context.out.json(&json!({ "error": error.to_json() })),
        Err(error) => match error.kind() {
            ErrorKind::NotFound => Ok(()),
            ErrorKind::Refused => context.out.line("cccc: not joined"),
            kind => context.out.line(format!("cccc: {}", kind.as_str())),
        },
    }
}

async fn look(context: &Context) -> Result<StatuslineAnswer> {
    let group = context.group().await?;
    let standing = group.standing(MAX_OWED).await?;
    Ok(StatuslineAnswer {
        title: group.summary().await?.title,
        group_id: group.id().clone(),
        principal: standing.principal,
        state: standing.state,
        unread: standing.unread,
        owed: standing.owed_count,
        overdue: standing.owed.iter().filter(|owed| owed.overdue).count(),
    })
}

/// `alice in parser: 3 unread, 2 owed (1 overdue), paused`
fn text(answer: &StatuslineAnswer) -> String {
    let mut words = Vec::new();
    if answer.unread > 0 {
        words.push(format!("{} unread", answer.unread));
    }
    match (answer.owed, answer.overdue) {
        (0, _) => {}
        (owed, 0) => words.push(format!("{owed} owed")),
        (owed, overdue) => words.push(format!("{owed} owed ({overdue} overdue)")),
    }
    if answer.state != GroupMode::Active {
        words.push(word(&answer.state));
    }
    let title: String = clean(&answer.title).chars().take(30).collect();
    let colon = if words.is_empty() { "" } else { ": " };
    format!("{} in {title}{colon}{}", answer.principal, words.join(", "))
}
