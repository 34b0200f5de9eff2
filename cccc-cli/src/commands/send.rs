//! `cccc send`, `cccc reply`

use std::path::PathBuf;
use std::time::Duration;

use cccc_core::event::{Format, Priority};
use cccc_core::{Result, SendRequest, Sent};
use clap::{Args, ValueEnum};

use super::relay;
use crate::context::Context;
use crate::output::Outcome;
use crate::render::names;
use crate::{duration, input};

/// Send a message; it is on disk when this returns
///
/// An address is `@all` (every actor), `@peers`, `@foreman`, `user`, an actor's id, or `#label` for all
/// who have that label. Without one the message goes to the group's default, which is the foreman. Each of
/// them with `@GROUP` (id, start of the id, or title) means whom it means in that group of the same home.
///
/// A retry with the same --client-id and the same content gives the first message again.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc send \"Review src/auth.rs\" --to '#reviewer' --reply-within 15m
  cccc send \"Is the cluster up?\" --to alice@infra --reply-required
  cccc send \"Deploy is blocked\" --to @all --attention
  git diff | cccc send - --to alice --intent question
  cccc send \"The findings\" --to lead --file findings.md --client-id findings-1
  cccc --as alice send \"Which branch?\" --to user --reply-required
  cccc --as alice send \"Deploy now?\" --to user --to lead --option yes --option no --reply-within 10m")]
pub(crate) struct SendArgs {
    /// What is said, at most 1 MiB; `-` reads standard input
    #[arg(allow_hyphen_values = true)]
    text: String,
    /// Answer this message
    #[arg(long, value_name = "EVENT")]
    reply_to: Option<String>,
    /// Replace an own earlier message, which is withdrawn from those who have not read it
    #[arg(long, value_name = "EVENT")]
    supersedes: Option<String>,
    #[command(flatten)]
    options: MessageOptions,
}

/// Answer a message, by default to whoever sent it
///
/// This meets what is owed for it, both reply and acknowledgement, and marks it as read. With --progress
/// it only says that the message is being worked on: that meets an acknowledgement, not a reply.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc --as alice reply 5 \"Reading it\" --progress
  cccc --as alice reply 5 \"Two findings\" --file findings.md")]
pub(crate) struct ReplyArgs {
    /// The message: its number, its id, or the start of its id
    #[arg(value_name = "EVENT")]
    event: String,
    /// What is said, at most 1 MiB; `-` reads standard input
    #[arg(allow_hyphen_values = true)]
    text: String,
    /// Not the answer yet, only word that it is being worked on
    #[arg(long)]
    progress: bool,
    #[command(flatten)]
    options: MessageOptions,
}

/// What can be said of any message.
#[derive(Args, Debug)]
struct MessageOptions {
    /// An address, repeatable
    #[arg(long, value_name = "A")]
    to: Vec<String>,
    /// Never pushed, read when the recipient looks
    #[arg(long, conflicts_with = "attention")]
    low: bool,
    /// May interrupt, and asks each recipient for an acknowledgement
    #[arg(long)]
    attention: bool,
    /// Each recipient owes a reply
    #[arg(long)]
    reply_required: bool,
    /// Each recipient owes a reply within this time: 90s, 15m, 1h30m, 2d
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    reply_within: Option<Duration>,
    /// An option, at least two: the message asks to choose one of them, and the first answer counts
    #[arg(long = "option", value_name = "TEXT")]
    choices: Vec<String>,
    /// What it is for: free, `task result question ack ping` are known
    #[arg(long, value_name = "I")]
    intent: Option<String>,
    /// What of the answered message this is about
    #[arg(long, value_name = "TEXT")]
    quote: Option<String>,
    /// How the text is written
    #[arg(long, value_enum, default_value = "plain", hide_default_value = true)]
    format: FormatArg,
    /// Attach a file of at most 64 MiB, repeatable
    #[arg(long = "file", value_name = "PATH")]
    files: Vec<PathBuf>,
    /// Something it refers to: a path, a URL. Repeatable
    #[arg(long = "ref", value_name = "REF")]
    references: Vec<String>,
    /// A key of your own that makes a retry safe
    #[arg(long, value_name = "KEY")]
    client_id: Option<String>,
    /// After this time it is no longer handed over
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    expires: Option<Duration>,
    /// When not to hand it over: `task-closed:T`, `superseded:EVENT`, `retracted:EVENT` (the full id),
    /// `deadline-over` (of --reply-within). Repeatable
    #[arg(long, value_name = "WHEN")]
    not_if: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatArg {
    Plain,
    Markdown,
}

impl MessageOptions {
    fn apply(self, mut request: SendRequest<'_>) -> Result<SendRequest<'_>> {
        for address in self.to {
            request = request.to(address);
        }
        if self.low {
            request = request.priority(Priority::Low);
        }
        if self.attention {
            request = request.priority(Priority::Attention);
        }
        if self.reply_required {
            request = request.reply_required();
        }
        if let Some(time) = self.reply_within {
            request = request.reply_within(time);
        }
        for option in self.choices {
            request = request.option(option);
        }
        if let Some(intent) = self.intent {
            request = request.intent(intent);
        }
        if let Some(quote) = self.quote {
            request = request.quote(quote);
        }
        request = request.format(match self.format {
            FormatArg::Plain => Format::Plain,
            FormatArg::Markdown => Format::Markdown,
        });
        for file in self.files {
            request = request.attach(file);
        }
        for reference in self.references {
            request = request.reference(reference);
        }
        if let Some(key) = self.client_id {
            request = request.client_id(key);
        }
        if let Some(time) = self.expires {
            request = request.expires_in(time);
        }
        for condition in self.not_if {
            request = request.not_if(condition.parse()?);
        }
        Ok(request)
    }
}

pub(crate) async fn cmd_send(context: &Context, args: SendArgs) -> Outcome {
    let group = context.group().await?;
    let mut request = args.options.apply(group.send(input::text(args.text)?))?;
    if let Some(event) = &args.reply_to {
        request = request.reply_to(event.as_str());
    }
    if let Some(event) = &args.supersedes {
        request = request.supersedes(event.as_str());
    }
    answer_sent(context, &request.await?)
}

pub(crate) async fn cmd_reply(context: &Context, args: ReplyArgs) -> Outcome {
    let group = context.group().await?;
    let mut request = args.options.apply(group.reply(args.event.as_str(), input::text(args.text)?))?;
    if args.progress {
        request = request.progress();
    }
    answer_sent(context, &request.await?)
}

pub(crate) fn answer_sent(context: &Context, sent: &Sent) -> Outcome {
    context.out.answer(sent, || {
        let before = if sent.duplicate { " (sent before)" } else { "" };
        let late = relay::warnings(&sent.relays);
        format!("{} to {}{before}{late}", sent.event_id, names(&sent.recipients))
    })
}
