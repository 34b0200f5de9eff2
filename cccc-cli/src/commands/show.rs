//! `cccc show`

use cccc_core::event::{Body, LedgerGap};
use cccc_core::{AttachmentState, Event, Voices};
use clap::Args;

use crate::context::Context;
use crate::output::{Failure, Outcome, Style, clean};
use crate::render::{ago, asks, attachment_fault, event_text, indented, names, size};

/// Show an event: a message with its text, files and where they lie
///
/// Files are read before it is said where they lie: what is lost, redacted, or not what was sent is named instead, and
/// the exit code is 1 unless it was redacted. With --json the event is printed as it is stored, and no file is read.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc show 5
  cccc show 5 --json | jq .data")]
pub(crate) struct ShowArgs {
    /// The event: its number, its id, or the start of its id
    #[arg(value_name = "EVENT")]
    event: String,
}

pub(crate) async fn cmd_show(context: &Context, args: ShowArgs) -> Outcome {
    let group = context.group_to_look().await?;
    let event = group.event(args.event.as_str()).await?;
    if context.out.is_json() {
        let page = group.history().from(event.seq).limit(1).await?;
        return page.lines.iter().try_for_each(|line| context.out.line(line));
    }
    let mut text = match &event.body {
        // Whoever runs `show` may be an agent: the words must hold for it, too.
        Body::ChatMessage(_) => message_text(context, &event, &group.bind("system").await?.voices().await?),
        Body::LedgerGap(gap) => lost_text(&event, gap),
        _ => format!("{}  {}  {}", event.id, event.by, event_text(&context.out, &event)),
    };
    let attachments = event.message().map(|message| message.attachments.as_slice()).unwrap_or_default();
    let mut are_there = true;
    for (attachment, state) in attachments.iter().zip(group.attachment_states(&event).await?) {
        are_there &= matches!(state, AttachmentState::Sound | AttachmentState::Redacted);
        let place = match (state, group.blobs().path(&attachment.sha256)?) {
            (AttachmentState::Sound, Some(path)) => path.display().to_string(),
            (AttachmentState::Sound, None) => attachment.sha256.clone(),
            (AttachmentState::Redacted, _) => "redacted".to_owned(),
            (state, _) => context.out.style(Style::Red, attachment_fault(&state, &attachment.sha256)),
        };
        let name = clean(&attachment.name);
        text +=
            &format!("\n    {name} ({}, {}): {place}", size(attachment.bytes), clean(&attachment.media_type));
    }
    context.out.line(text)?;
    if are_there { Ok(()) } else { Err(Failure::Answered) }
}

/// What is said of an event that was lost.
fn lost_text(event: &Event, gap: &LedgerGap) -> String {
    let Some(lost) = event.lost() else { return String::new() };
    let hint = lost.hint_text().map(|hint| format!("\n    {}", clean(hint))).unwrap_or_default();
    format!("{}: {}{hint}", clean(lost.message_text()), clean(&gap.reason))
}

fn message_text(context: &Context, event: &Event, voices: &Voices) -> String {
    let Some(message) = event.message() else { return String::new() };
    let mut lines = vec![format!(
        "{}  {}  to {}  {} ({})",
        context.out.style(Style::Bold, event.id),
        voices.from(&event.by, message.src_group_title.as_deref()),
        names(&message.recipients),
        event.ts,
        ago(event.ts),
    )];
    let asks = asks(message);
    if !asks.is_empty() {
        lines.push(format!("    {}", context.out.style(Style::Yellow, format!("[{asks}]"))));
    }
    if let Some(id) = message.reply_to {
        lines.push(format!("    in reply to {id}"));
    }
    if let Some(quote) = &message.quote {
        lines.extend(clean(quote).lines().map(|line| format!("    > {line}")));
    }
    lines.push(indented(&message.text));
    if !message.refs.is_empty() {
        let refs: Vec<String> = message.refs.iter().map(|reference| clean(reference)).collect();
        lines.push(format!("    refers to {}", refs.join(", ")));
    }
    lines.join("\n")
}
