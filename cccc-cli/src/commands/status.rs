//! `cccc status`

use cccc_core::GroupSummary;
use clap::Args;

use super::person::people_table;
use super::who::actor_table;
use crate::context::Context;
use crate::output::{Outcome, Style, clean};
use crate::render::{gaps_of_them, names, word};

/// Show the group at a glance: its state, its actors and people, what is unread and owed
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc status
  cccc status --json | jq .open_obligations")]
pub(crate) struct StatusArgs {}

pub(crate) async fn cmd_status(context: &Context, _: StatusArgs) -> Outcome {
    let group = context.group_to_look().await?;
    let summary = match group.summary().await {
        Err(error) => return Err(group.first_damage(error).await.into()),
        Ok(summary) => summary,
    };
    context.out.answer(&summary, || text(context, &summary))
}

/// What there is to be done for a group whose ledger was cut at its beginning.
pub(crate) const BEGIN_AGAIN: &str = "`cccc attach` sets it up again, or `cccc group update --title TITLE`";

/// A group for people.
pub(crate) fn text(context: &Context, group: &GroupSummary) -> String {
    let title = context.out.style(Style::Bold, clean(&group.title));
    let default_to = match group.default_to.as_slice() {
        [] => "the foreman".to_owned(),
        addresses => names(addresses),
    };
    let scopes: Vec<String> = group.scopes.iter().map(|path| clean(path)).collect();
    let mut lines = vec![
        format!("{title}  {}  {}", group.group_id, word(&group.state)),
        format!(
            "{} events{}, {} obligations open, {} unread by the user",
            group.events,
            gaps_of_them(group.gaps),
            group.open_obligations,
            group.user_unread
        ),
        format!("directories: {}", if scopes.is_empty() { "none".into() } else { scopes.join(", ") }),
        format!("messages without an address go to {default_to}; joining is {}", word(&group.join)),
    ];
    let actors = actor_table(&context.out, &group.actors);
    lines.push(match actors.is_empty() {
        true if group.events == 0 => format!("the group has no beginning: {BEGIN_AGAIN}"),
        true => "no actors yet: `cccc actor add lead` adds the first, which becomes the foreman".into(),
        false => format!("\n{}", actors.text()),
    });
    let people = people_table(&context.out, &group.people);
    if !people.is_empty() {
        lines.push(format!("\n{}", people.text()));
    }
    lines.join("\n")
}
