//! `cccc inbox`

use std::collections::BTreeMap;

use cccc_core::event::Role;
use cccc_core::{ActorId, Group, Inbox, Message, Principal, Result, Seq};
use clap::Args;

use super::notices;
use crate::context::Context;
use crate::output::{Outcome, Output, Style, clean};
use crate::render::{ago, asks, indented, names, who_style, word};

/// Show what you have not read, oldest first
///
/// Looking is a delivery: it is recorded that the messages reached you. They stay unread until they are
/// read (`cccc read`), answered (`cccc reply`), or shown with --mark-read. Notices (of tasks, votes, what is
/// overdue) are shown after them, once; with --json they are left to `cccc notices`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc inbox
  cccc --as alice inbox --limit 5 --mark-read
  cccc --as alice inbox --json | jq -r .text")]
pub(crate) struct InboxArgs {
    /// At most so many messages
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Only messages after this number
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,
    /// Mark what is shown as read
    #[arg(long)]
    mark_read: bool,
    /// Look without recording anything, even while the group is paused
    #[arg(long, conflicts_with = "mark_read")]
    peek: bool,
}

pub(crate) async fn cmd_inbox(context: &Context, args: InboxArgs) -> Outcome {
    let group = context.group().await?;
    let mut request = group.inbox().limit(args.limit.into());
    if let Some(seq) = args.after {
        request = request.after(Seq(seq));
    }
    if args.mark_read {
        request = request.mark_read();
    }
    if args.peek {
        request = request.peek();
    }
    if context.out.is_json() {
        request = request.without_notices();
    }
    let inbox = request.await?;
    let roles = roles(&group).await?;
    context.out.answers(&inbox.messages, || text(&context.out, &group, &inbox, &roles))
}

type Roles = BTreeMap<ActorId, Role>;

/// What each actor is now, to say from whom a message is.
pub(crate) async fn roles(group: &Group) -> Result<Roles> {
    Ok(group.actors().await?.into_iter().map(|actor| (actor.actor_id, actor.role)).collect())
}

fn text(out: &Output, group: &Group, inbox: &Inbox, roles: &Roles) -> String {
    let mut parts = vec![match inbox.messages.as_slice() {
        [] => format!("nothing unread for {}", group.by()),
        _ => format!("{} unread for {}", inbox.unread, group.by()),
    }];
    for message in &inbox.messages {
        parts.push(message_text(out, message, group.by(), roles));
    }
    if let Some(next) = inbox.next {
        parts.push(format!("more: cccc inbox --after {next}"));
    }
    if !inbox.notices.is_empty() {
        parts.push(notices::text(out, &inbox.notices));
    }
    parts.join("\n\n")
}

/// Where a message comes from, in words that no agent can take for the user's when they are not. `group` is
/// what people call the group that it was relayed from.
pub(crate) fn from(by: &Principal, reader: &Principal, roles: &Roles, group: Option<&str>) -> String {
    let not = if *reader == Principal::User { "" } else { " (not the user)" };
    match by {
        Principal::Remote(remote) => {
            let title = group.map(|title| format!(" {:?}", clean(title))).unwrap_or_default();
            let not = if *remote.who() == Principal::User { "" } else { not };
            let who = match remote.who() {
                Principal::User => "the user".to_owned(),
                who => who.to_string(),
            };
            format!("from {who} in group {}{title}{not}", remote.group())
        }
        Principal::User => "from the user".to_owned(),
        Principal::System => format!("from the system{not}"),
        Principal::Service(name) => format!("from the service {name}{not}"),
        Principal::Actor(id) => match roles.get(id) {
            Some(role) => format!("from {} {id}{not}", word(role)),
            None => format!("from {id}, who has left{not}"),
        },
    }
}

fn message_text(out: &Output, message: &Message, reader: &Principal, roles: &Roles) -> String {
    let head = format!(
        "{}  {}  {}",
        out.style(Style::Bold, message.seq),
        out.style(
            who_style(&message.by),
            from(&message.by, reader, roles, message.content.src_group_title.as_deref())
        ),
        out.style(Style::Dim, ago(message.ts)),
    );
    let mut lines = vec![head];
    let asks = asks(&message.content);
    if !asks.is_empty() {
        lines.push(format!("    {}", out.style(Style::Yellow, format!("[{asks}]"))));
    }
    if let Some(id) = message.content.reply_to {
        lines.push(out.style(Style::Dim, format!("    in reply to {}", id.seq)));
    }
    lines.push(indented(&message.content.text));
    if !message.owed.is_empty() {
        let owed: Vec<String> = message.owed.iter().map(word).collect();
        let call = match owed.iter().any(|kind| kind == "reply") {
            true => format!("cccc reply {} TEXT", message.seq),
            false => format!("cccc ack {}", message.seq),
        };
        lines.push(out.style(Style::Yellow, format!("    you owe: {} ({call})", names(&owed))));
    }
    lines.join("\n")
}
