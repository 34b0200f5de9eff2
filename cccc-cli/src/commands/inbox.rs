//! `cccc inbox`

use cccc_core::{Group, Inbox, Message, Seq, Voices};
use clap::Args;

use super::notices;
use crate::context::Context;
use crate::output::{Outcome, Output, Style};
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
    let voices = group.voices().await?;
    let taken = request.take().await.map_err(|error| match error.is_read_only() {
        true => error.hint("nothing can be handed over there; `cccc inbox --peek` only looks"),
        false => error,
    })?;
    let inbox = taken.inbox();
    let printed = context
        .out
        .answers(&inbox.messages, || text(&context.out, &group, inbox, &voices))
        .and_then(|()| context.out.flush());
    if let Err(failure) = printed {
        // Nobody may have read it, so it is not said that anybody has.
        taken.abandon("the inbox could not be printed").await?;
        return Err(failure.of_what_is_shown_once("the messages are still unread: look into the inbox again"));
    }
    Ok(taken.settle().await?)
}

fn text(out: &Output, group: &Group, inbox: &Inbox, voices: &Voices) -> String {
    let mut parts = vec![match inbox.messages.as_slice() {
        [] => format!("nothing unread for {}", group.by()),
        _ => format!("{} unread for {}", inbox.unread, group.by()),
    }];
    for message in &inbox.messages {
        parts.push(message_text(out, message, voices));
    }
    if let Some(next) = inbox.next {
        parts.push(format!("more: cccc inbox --after {next}"));
    }
    if !inbox.notices.is_empty() {
        parts.push(notices::text(out, &inbox.notices));
    }
    parts.join("\n\n")
}

fn message_text(out: &Output, message: &Message, voices: &Voices) -> String {
    let head = format!(
        "{}  {}  {}",
        out.style(Style::Bold, message.seq),
        out.style(
            who_style(&message.by),
            voices.from(&message.by, message.content.src_group_title.as_deref())
        ),
        out.style(Style::Dim, ago(message.ts)),
    );
    let mut lines = vec![head];
    if message.again {
        lines.push(out.style(Style::Dim, "    again: it may have come before, and nobody saw that it did"));
    }
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
        let asks = !message.content.options.is_empty();
        let call = match owed.iter().any(|kind| kind == "reply") {
            true if asks => format!("cccc answer {} OPTION", message.seq),
            true => format!("cccc reply {} TEXT", message.seq),
            false => format!("cccc ack {}", message.seq),
        };
        lines.push(out.style(Style::Yellow, format!("    you owe: {} ({call})", names(&owed))));
    }
    lines.join("\n")
}
