//! `cccc groups`, `cccc use`

use cccc_core::event::GroupMode;
use cccc_core::{GroupEntry, Home, Principal};
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::attach::only_the_user;
use crate::context::Context;
use crate::output::{Outcome, Style, clean};
use crate::render::{names, word};
use crate::table::{Table, plain};

/// List the groups of the home
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc groups
  cccc groups --json | jq -r .group_id")]
pub(crate) struct GroupsArgs {}

/// Make a group the one used where the directory belongs to none
///
/// This is for people only: agents never use the active group.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc use gh4c1f9k2x
  cccc use Shop")]
pub(crate) struct UseArgs {
    /// The group: its id, the start of its id, or its title
    #[arg(value_name = "GROUP")]
    named: String,
}

/// A line of `cccc groups`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct GroupLine {
    #[serde(flatten)]
    entry: GroupEntry,
    /// Absent where the group cannot be read.
    title: Option<String>,
    state: Option<GroupMode>,
    events: Option<u64>,
    open_obligations: Option<u64>,
    /// Why the group cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<serde_json::Value>,
}

/// What `cccc use` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct UseAnswer {
    active: cccc_core::GroupId,
}

pub(crate) async fn cmd_groups(context: &Context, _: GroupsArgs) -> Outcome {
    let home = context.home().await?;
    let mut lines = Vec::new();
    for entry in home.groups().await? {
        lines.push(line(&home, entry).await);
    }
    context.out.answers(&lines, || {
        let mut table =
            Table::new(&context.out, &["", "GROUP", "TITLE", "STATE", "EVENTS", "OPEN", "DIRECTORIES"]);
        for line in &lines {
            let number = |n: Option<u64>| plain(n.map(|n| n.to_string()).unwrap_or_default());
            let state = match (&line.state, &line.error) {
                (Some(state), _) => plain(word(state)),
                (None, _) => ("unreadable".to_owned(), Style::Red),
            };
            let scopes: Vec<String> =
                line.entry.scopes.iter().map(|path| clean(&path.to_string_lossy())).collect();
            table.row([
                plain(if line.entry.active { "*" } else { "" }),
                plain(&line.entry.group_id),
                plain(line.title.as_deref().map(clean).unwrap_or_default()),
                state,
                number(line.events),
                number(line.open_obligations),
                plain(names(&scopes)),
            ]);
        }
        if table.is_empty() {
            "no groups yet; `cccc attach` makes one for a directory".into()
        } else {
            table.text()
        }
    })
}

/// A group that cannot be read is listed with the reason and does not hide the others.
async fn line(home: &Home, entry: GroupEntry) -> GroupLine {
    let summary = async { home.group(&entry.group_id).await?.summary().await };
    match summary.await {
        Ok(summary) => GroupLine {
            entry,
            title: Some(summary.title),
            state: Some(summary.state),
            events: Some(summary.events),
            open_obligations: Some(summary.open_obligations),
            error: None,
        },
        Err(error) => GroupLine {
            entry,
            title: None,
            state: None,
            events: None,
            open_obligations: None,
            error: Some(error.to_json()),
        },
    }
}

pub(crate) async fn cmd_use(context: &Context, args: UseArgs) -> Outcome {
    match context.speaker().await?.principal {
        Principal::User => {}
        other => return Err(only_the_user(&other, "chooses the active group").into()),
    }
    let home = context.home().await?;
    let answer = UseAnswer { active: home.group_named(&args.named).await?.id().clone() };
    home.set_active(&answer.active).await?;
    context.out.answer(&answer, || format!("{} is the active group", answer.active))
}
