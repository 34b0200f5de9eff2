//! Saying something, answering, taking note.

use std::path::PathBuf;

use cccc_core::event::{EvidenceKind, Format, NotIf, Priority};
use cccc_core::{EventRef, Group, Principal, RelayView, Result, SendRequest, Sent, Seq, TaskId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Done, Effect, Tool};
use crate::args::{Event, Time, names};

/// `cccc_message_send`
#[derive(Debug)]
pub(crate) enum Send {}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendArgs {
    text: String,
    /// Actors, @all, @peers, @foreman, user[:NAME], @users, #label [@foreman]
    #[serde(default, deserialize_with = "names")]
    to: Vec<String>,
    /// attention may interrupt, and asks for an ack [normal]
    priority: Option<Priority>,
    reply_required: Option<bool>,
    /// Each recipient owes a reply within this time, like 15m
    reply_within: Option<Time>,
    /// What may be answered; the first choice counts for all
    #[serde(default, deserialize_with = "names")]
    options: Vec<String>,
    /// Makes it a task of the one recipient: tracked until it is done and accepted
    task: Option<TaskArgs>,
    /// Free: task, result, question...
    intent: Option<String>,
    /// Paths, URLs it refers to
    #[serde(default, deserialize_with = "names")]
    refs: Vec<String>,
    /// Paths of files to attach
    #[serde(default, deserialize_with = "names")]
    files: Vec<String>,
    format: Option<Format>,
    /// An own earlier message that this replaces
    supersedes: Option<Event>,
    /// After this time it is no longer delivered
    expires_in: Option<Time>,
    /// Not delivered if: deadline-over, task-closed:t5, retracted:42
    #[serde(default, deserialize_with = "names")]
    not_if: Vec<String>,
    /// Your own key: sent again under it, it is still one message
    client_id: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TaskArgs {
    title: String,
    /// How one sees that it is done
    #[serde(default)]
    outcome: String,
    /// Evidence without which it is not done
    #[serde(default)]
    requires: Vec<EvidenceKind>,
    #[serde(default, deserialize_with = "names")]
    checklist: Vec<String>,
    /// Tasks that must be done before
    #[serde(default, deserialize_with = "names")]
    depends_on: Vec<String>,
    due_within: Option<Time>,
}

/// A message that is on the ledger.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SentAnswer {
    seq: Seq,
    /// To whom it went.
    recipients: Vec<Principal>,
    /// Whether it had been sent before under the same client_id.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<TaskId>,
    /// The other groups that it has not reached yet, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    relays: Vec<RelayView>,
    /// The call that shows who got, read and answered it.
    receipts: String,
}

impl SentAnswer {
    fn of(sent: Sent, task: Option<TaskId>) -> Self {
        Self {
            seq: sent.seq,
            recipients: sent.recipients,
            duplicate: sent.duplicate,
            task,
            relays: sent.relays,
            receipts: format!("cccc_coordination {{\"action\":\"receipts\",\"seq\":{}}}", sent.seq),
        }
    }
}

impl Tool for Send {
    const NAME: &'static str = "cccc_message_send";
    const ABOUT: &'static str = "Send a message. It is on disk when this returns, and receipts say who got, read and \
        answered it. Ask for a reply only if you need one; do not send thanks.";
    const EFFECT: Effect = Effect::Adds;
    type Args = SendArgs;
    type Answer = SentAnswer;

    async fn run(call: &Call, mut args: SendArgs) -> Result<SentAnswer> {
        let seated = call.seated().await?;
        let group = seated.group();
        let (text, task) = (std::mem::take(&mut args.text), args.task.take());
        let supersedes = args.supersedes.as_ref().map(Event::reference).transpose()?;
        let conditions = conditions(group, &args.not_if).await?;
        let describe = |request| described(request, call, args, supersedes, conditions);
        let Some(task) = task else {
            return Ok(SentAnswer::of(describe(group.send(text)).await?, None));
        };
        let mut request = group.tracked_send(text, task.title).outcome(task.outcome).message(describe);
        for kind in task.requires {
            request = request.requires(kind);
        }
        for item in task.checklist {
            request = request.item(item);
        }
        for before in &task.depends_on {
            request = request.depends_on(before.as_str());
        }
        if let Some(Time(time)) = task.due_within {
            request = request.due_within(time);
        }
        let tracked = request.await?;
        Ok(SentAnswer::of(tracked.sent, Some(tracked.task_id)))
    }
}

/// The message with all that was said about it.
fn described<'a>(
    mut request: SendRequest<'a>,
    call: &Call,
    args: SendArgs,
    supersedes: Option<EventRef>,
    conditions: Vec<NotIf>,
) -> SendRequest<'a> {
    for address in args.to {
        request = request.to(address);
    }
    if let Some(priority) = args.priority {
        request = request.priority(priority);
    }
    if args.reply_required == Some(true) {
        request = request.reply_required();
    }
    if let Some(Time(time)) = args.reply_within {
        request = request.reply_within(time);
    }
    for option in args.options {
        request = request.option(option);
    }
    if let Some(intent) = args.intent {
        request = request.intent(intent);
    }
    for reference in args.refs {
        request = request.reference(reference);
    }
    for file in args.files {
        request = request.attach(in_directory(call, &file));
    }
    if let Some(format) = args.format {
        request = request.format(format);
    }
    if let Some(earlier) = supersedes {
        request = request.supersedes(earlier);
    }
    if let Some(Time(time)) = args.expires_in {
        request = request.expires_in(time);
    }
    if let Some(key) = args.client_id {
        request = request.client_id(key);
    }
    conditions.into_iter().fold(request, SendRequest::not_if)
}

/// Preconditions as they were written. Messages may be named by their numbers here, as everywhere.
async fn conditions(group: &Group, written: &[String]) -> Result<Vec<NotIf>> {
    let mut conditions = Vec::with_capacity(written.len());
    for text in written {
        let text = match text.split_once(':') {
            Some((what, number))
                if number.bytes().all(|byte| byte.is_ascii_digit()) && !number.is_empty() =>
            {
                format!("{what}:{}", group.event(number).await?.id)
            }
            _ => text.clone(),
        };
        conditions.push(text.parse()?);
    }
    Ok(conditions)
}

/// A path as the agent means it: from the directory it works in.
fn in_directory(call: &Call, path: &str) -> PathBuf {
    call.server.seat().options().directory.join(path)
}

/// `cccc_message_reply`
#[derive(Debug)]
pub(crate) enum Reply {}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplyArgs {
    /// The message that you answer
    seq: Event,
    #[serde(default)]
    text: String,
    /// Of the options, or its number
    choice: Option<String>,
    /// Not the answer yet, only word that you are on it
    #[serde(default)]
    progress: bool,
    /// What of the message you answer
    quote: Option<String>,
    /// Others than its sender
    #[serde(default, deserialize_with = "names")]
    to: Vec<String>,
    priority: Option<Priority>,
    reply_required: Option<bool>,
    reply_within: Option<Time>,
    intent: Option<String>,
    #[serde(default, deserialize_with = "names")]
    refs: Vec<String>,
    /// Paths of files to attach
    #[serde(default, deserialize_with = "names")]
    files: Vec<String>,
    format: Option<Format>,
    expires_in: Option<Time>,
    #[serde(default, deserialize_with = "names")]
    not_if: Vec<String>,
    client_id: Option<String>,
}

impl Tool for Reply {
    const NAME: &'static str = "cccc_message_reply";
    const ABOUT: &'static str = "Answer a message. Meets the reply and the ack that you owe for it, and marks it \
        read; with progress, only the ack.";
    const EFFECT: Effect = Effect::Adds;
    type Args = ReplyArgs;
    type Answer = SentAnswer;

    async fn run(call: &Call, args: ReplyArgs) -> Result<SentAnswer> {
        let seated = call.seated().await?;
        let group = seated.group();
        let ReplyArgs { seq, text, progress, quote, to, priority, reply_required, reply_within, .. } = args;
        let conditions = conditions(group, &args.not_if).await?;
        let said = SendArgs {
            text: String::new(),
            to,
            priority,
            reply_required,
            reply_within,
            options: Vec::new(),
            task: None,
            intent: args.intent,
            refs: args.refs,
            files: args.files,
            format: args.format,
            supersedes: None,
            expires_in: args.expires_in,
            not_if: Vec::new(),
            client_id: args.client_id,
        };
        let mut request = described(group.reply(seq.reference()?, text), call, said, None, conditions);
        if progress {
            request = request.progress();
        }
        if let Some(quote) = quote {
            request = request.quote(quote);
        }
        if let Some(choice) = args.choice {
            request = request.choosing(choice);
        }
        Ok(SentAnswer::of(request.await?, None))
    }
}

/// `cccc_message_ack`
#[derive(Debug)]
pub(crate) enum Ack {}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AckArgs {
    seq: Event,
}

impl Tool for Ack {
    const NAME: &'static str = "cccc_message_ack";
    const ABOUT: &'static str = "Take note of a message that asked for attention. Not an answer.";
    const EFFECT: Effect = Effect::Settles;
    type Args = AckArgs;
    type Answer = Done;

    async fn run(call: &Call, args: AckArgs) -> Result<Done> {
        let seated = call.seated().await?;
        Ok(seated.group().ack(args.seq.reference()?).await?.into())
    }
}
