//! Sending: what a message may contain, whom it reaches, what it may ask, and when it is the same
//! message again.
//!
//! Order of the checks: first what depends on the command alone; then the `client_id`, so that a retry
//! gets its first answer however the group has changed meanwhile; then the rest.

use std::time::Duration;

use crate::command::SendMessage;
use crate::error::{Error, Result};
use crate::event::{Attachment, Body, ChatMessage, ChatRetract, Event, NotIf, Priority};
use crate::id::{Principal, Seq, TaskId};
use crate::ledger::Draft;
use crate::rule::address::{self, Address};
use crate::rule::permission::{self, Rank};
use crate::rule::{
    Call, Decision, Known, Needs, Resolved, bounded, few, question, rate, relay, task, withdraw,
};
use crate::state::{GroupState, ObligationKind};
use crate::time::Timestamp;

/// Longest text, in bytes.
pub const MAX_TEXT_BYTES: usize = 1 << 20;
/// Longest quote, in bytes.
pub const MAX_QUOTE_BYTES: usize = 4 << 10;
/// Longest client_id, in bytes.
pub const MAX_CLIENT_ID_BYTES: usize = 256;
/// Longest intent, in characters.
pub const MAX_INTENT_CHARS: usize = 64;
/// Most references.
pub const MAX_REFS: usize = 64;
/// Longest reference, in bytes.
pub const MAX_REF_BYTES: usize = 1 << 10;
/// Most attachments.
pub const MAX_ATTACHMENTS: usize = 64;
/// Longest name or media type of an attachment, in bytes.
pub const MAX_ATTACHMENT_NAME_BYTES: usize = 255;
/// Most preconditions.
pub const MAX_NOT_IF: usize = 16;
/// How far ahead a message may be due or expire.
pub const MAX_AHEAD: Duration = Duration::from_secs(3653 * 24 * 60 * 60);
/// How many recipients a peer may oblige at once.
pub const MAX_OBLIGED_BY_PEER: usize = 4;
/// Most open obligations of one debtor.
pub const MAX_OWED: usize = 10_000;
/// Most unread messages of one recipient that may be handed over only under conditions.
pub const MAX_WAITING: usize = 10_000;
/// For how long a client_id is remembered; longer if fewer than 100,000 messages came since.
pub const KEY_RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// What has to be read: the messages it names; of some also what became of them.
pub(super) fn needs(send: &SendMessage) -> Needs {
    let conditions: Vec<Seq> = send.not_if.iter().filter_map(named).map(|id| id.seq).collect();
    let superseded = send.supersedes.iter().map(|reference| reference.seq());
    let mut facts_of: Vec<Seq> = superseded.chain(conditions).collect();
    if send.choice.is_some() {
        facts_of.extend(send.reply_to.iter().map(|reference| reference.seq()));
    }
    let mut events = facts_of.clone();
    events.extend(send.not_if.iter().filter_map(task_of).map(TaskId::seq));
    events.extend(send.reply_to.iter().map(|reference| reference.seq()));
    Needs { events, facts_of, key: None }
}

/// The message a precondition is about.
fn named(not_if: &NotIf) -> Option<crate::id::EventId> {
    match not_if {
        NotIf::Superseded { event_id } | NotIf::Retracted { event_id } => Some(*event_id),
        NotIf::TaskClosed { .. } | NotIf::DeadlineOver => None,
    }
}

/// The task a precondition is about.
fn task_of(not_if: &NotIf) -> Option<TaskId> {
    match not_if {
        NotIf::TaskClosed { task_id } => task_id.parse().ok(),
        NotIf::Superseded { .. } | NotIf::Retracted { .. } | NotIf::DeadlineOver => None,
    }
}

pub(super) fn send(
    state: &GroupState,
    call: &Call,
    send: &SendMessage,
    resolved: &Resolved,
) -> Result<Decision> {
    compose(state, call, send, resolved, None)
}

/// As [`send`], where the message comes right after the event that makes the task it is about.
pub(super) fn compose(
    state: &GroupState,
    call: &Call,
    send: &SendMessage,
    resolved: &Resolved,
    task_id: Option<TaskId>,
) -> Result<Decision> {
    let own_seq = task_id.map_or(state.position().seq, TaskId::seq).next();
    check_content(send)?;
    let given = address::parse_all(&send.to)?;
    let to: Vec<String> = given.iter().map(Address::to_string).collect();
    let choice = question::written(send, resolved);
    if let Some(earlier) = earlier(state, call, send, resolved) {
        return again(earlier, send, &to, choice.as_deref(), task_id.is_some());
    }
    check_times(call, send)?;
    let answered = send.reply_to.as_ref().map(|reference| resolved.message(reference)).transpose()?;
    let replaced =
        send.supersedes.as_ref().map(|reference| replaced(call, reference, resolved)).transpose()?;
    check_preconditions(state, send, resolved)?;
    let nobody_else = match (&choice, answered) {
        (Some(choice), Some(asked)) => match question::answer(state, call, choice, asked, resolved)? {
            question::Answer::Before(event) => return Ok(Decision::done_by(event)),
            question::Answer::First(nobody_else) => nobody_else,
        },
        _ => None,
    };

    let addresses = if given.is_empty() {
        let answered = answered.map(|(known, message)| (&known.event.by, message.recipients.as_slice()));
        address::defaults(state, &call.by, answered, &send.remote)?
    } else {
        given
    };
    let audience = address::resolve(state, &call.by, &addresses, &send.remote)?;
    relay::may_go(state, send, &audience.relay_to)?;
    if !send.options.is_empty() {
        question::may_ask(state, call, &audience)?;
    }
    let reply_required = asks_reply(send);
    let obliges = reply_required || send.priority == Priority::Attention;
    if obliges {
        may_oblige(state, call, &audience)?;
    }
    let (root, depth) = match answered {
        Some((known, message)) => {
            (message.root, rate::depth(state, &call.by, known.event.seq, message.depth))
        }
        None => (own_seq, 0),
    };
    let mut message = ChatMessage {
        text: said(send, choice.as_deref()).to_owned(),
        format: send.format,
        to,
        recipients: audience.recipients,
        priority: send.priority,
        reply_required,
        due_at: send.reply_within.map(|within| call.now.after(within)),
        reply_to: answered.map(|(known, _)| known.event.id),
        quote: send.quote.clone(),
        progress: send.progress,
        intent: send.intent.clone(),
        refs: send.refs.clone(),
        attachments: send.attachments.clone(),
        client_id: send.client_id.clone(),
        expires_at: send.expires_at,
        supersedes: replaced.map(|known| known.event.id),
        not_if: send.not_if.clone(),
        options: question::trimmed(&send.options),
        choice,
        root,
        depth,
        quiet: Vec::new(),
        // An answer to what belongs to a task belongs to it too.
        task_id: task_id
            .map(|task| task.to_string())
            .or_else(|| answered.and_then(|(_, message)| message.task_id.clone())),
        relay_to: audience.relay_to,
        src_group_id: None,
        src_group_title: None,
        src_event_id: None,
    };
    check_room(state, &message)?;
    message.quiet = rate::quiet(state, call, &message);
    let over = rate::notice(state, call, &message, own_seq);
    let retract = replaced.map(|known| ChatRetract {
        event_id: known.event.id,
        recipients: withdraw::unread_by(state, known.event.seq),
        superseded_by: Some(own_seq),
        reason: String::new(),
    });
    let drafts = std::iter::once(Draft::from(message)).chain(nobody_else.map(Draft::from));
    Ok(Decision::write(drafts.chain(retract.map(Draft::from)).chain(over.map(Draft::from))))
}

/// Whether each recipient owes a reply.
fn asks_reply(send: &SendMessage) -> bool {
    send.reply_required || send.reply_within.is_some() || !send.options.is_empty()
}

/// The text of a message. An answer without words says what it chooses.
fn said<'a>(send: &'a SendMessage, choice: Option<&'a str>) -> &'a str {
    choice.filter(|_| send.text.trim().is_empty()).unwrap_or(&send.text)
}

/// What depends on the command alone.
///
/// A text of nothing but white space is refused unless files go with it: then they are the message.
fn check_content(send: &SendMessage) -> Result<()> {
    if send.text.len() > MAX_TEXT_BYTES {
        return Err(Error::too_large(format!(
            "the text has {} bytes; at most {MAX_TEXT_BYTES} fit",
            send.text.len()
        ))
        .hint("attach long content as a file (`--file`), and say in the text what it is"));
    }
    if send.text.trim().is_empty() && send.attachments.is_empty() && send.choice.is_none() {
        return Err(Error::invalid("the text is empty").hint("say something, or attach a file"));
    }
    if send.text.contains('\0') {
        return Err(Error::invalid("the text contains a NUL character")
            .hint("attach binary content as a file (`--file`)"));
    }
    if send.progress && send.reply_to.is_none() {
        return Err(Error::invalid("progress is said of a message: this one answers none")
            .hint("name the message with reply_to"));
    }
    if send.quote.is_some() && send.reply_to.is_none() {
        return Err(Error::invalid("a quote is of the message that is answered: this one answers none")
            .hint("name the message with reply_to"));
    }
    if let Some(quote) = &send.quote {
        bounded("the quote", quote, MAX_QUOTE_BYTES)?;
    }
    if let Some(client_id) = &send.client_id {
        bounded("the client_id", client_id, MAX_CLIENT_ID_BYTES)?;
        if client_id.is_empty() {
            return Err(Error::invalid("the client_id is empty").hint("leave it out, or give it a value"));
        }
    }
    if let Some(intent) = &send.intent {
        let chars = intent.chars().count();
        if chars > MAX_INTENT_CHARS {
            return Err(Error::too_large(format!(
                "the intent has {chars} characters; at most {MAX_INTENT_CHARS} fit"
            )));
        }
        if intent.trim().is_empty() || intent.chars().any(char::is_control) {
            return Err(Error::invalid("the intent must be a word or a few, for example `question`"));
        }
    }
    few("references", send.refs.len(), MAX_REFS)?;
    for reference in &send.refs {
        bounded("a reference", reference, MAX_REF_BYTES)?;
        if reference.trim().is_empty() {
            return Err(Error::invalid("a reference is empty"));
        }
    }
    few("attachments", send.attachments.len(), MAX_ATTACHMENTS)?;
    send.attachments.iter().try_for_each(check_attachment)?;
    few("preconditions", send.not_if.len(), MAX_NOT_IF)?;
    question::check(send)?;
    let asks = asks_reply(send);
    if send.not_if.contains(&NotIf::DeadlineOver) && send.reply_within.is_none() {
        return Err(Error::invalid("not_if deadline_over needs a deadline").hint(if asks {
            "say within what time a reply is required (reply_within)"
        } else {
            "require a reply within some time (reply_within), or use expires_at"
        }));
    }
    for not_if in &send.not_if {
        if let NotIf::TaskClosed { task_id } = not_if {
            task_id.parse::<TaskId>()?;
        }
    }
    if send.reply_within.is_some_and(|within| within.is_zero() || within > MAX_AHEAD) {
        return Err(Error::invalid("reply_within must be more than nothing and at most ten years"));
    }
    Ok(())
}

fn check_attachment(attachment: &Attachment) -> Result<()> {
    let Attachment { sha256, name, media_type, .. } = attachment;
    if sha256.len() != 64 || !sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(Error::invalid(format!("{sha256:?} is not a SHA-256 in lower-case hex")));
    }
    bounded("the name of an attachment", name, MAX_ATTACHMENT_NAME_BYTES)?;
    bounded("the media type of an attachment", media_type, MAX_ATTACHMENT_NAME_BYTES)?;
    let no_file = matches!(name.as_str(), "" | "." | "..");
    if no_file || name.chars().any(|c| matches!(c, '/' | '\\') || c.is_control()) {
        return Err(Error::invalid(format!("{name:?} cannot name an attached file"))
            .hint("give the file's name without its directory"));
    }
    Ok(())
}

/// What depends on the clock.
fn check_times(call: &Call, send: &SendMessage) -> Result<()> {
    let Some(expires_at) = send.expires_at else { return Ok(()) };
    if expires_at <= call.now {
        return Err(Error::invalid(format!("the message would have expired already, at {expires_at}")));
    }
    if expires_at > call.now.after(MAX_AHEAD) {
        return Err(Error::invalid("expires_at must be within ten years"));
    }
    Ok(())
}

/// The message that a new one replaces: the sender's own, and not withdrawn before.
fn replaced<'a>(call: &Call, reference: &crate::id::EventRef, resolved: &'a Resolved) -> Result<&'a Known> {
    let (known, _) = resolved.message(reference)?;
    if known.event.by != call.by {
        return Err(Error::refused(format!(
            "message {} is from {}, and only its sender may replace it",
            known.event.id, known.event.by
        ))
        .hint(format!("answer it instead: `cccc reply {} TEXT`", known.event.seq)));
    }
    match withdraw::withdrawal(resolved.facts_of(known.event.seq), known.event.seq) {
        Some((by, Some(newer))) => {
            Err(Error::conflict(format!("message {} was replaced before, by event {newer}", known.event.id))
                .hint(format!("replace {newer} instead; event {} says so", by.id)))
        }
        Some((by, None)) => Err(Error::conflict(format!(
            "message {} was retracted before, by event {}",
            known.event.id, by.id
        ))
        .hint("send the new message without `supersedes`")),
        None => Ok(known),
    }
}

/// A precondition that is broken already would only withhold the message from everybody.
fn check_preconditions(state: &GroupState, send: &SendMessage, resolved: &Resolved) -> Result<()> {
    for not_if in &send.not_if {
        if let Some(id) = task_of(not_if) {
            task::exists(id, resolved)?;
            if state.is_task_closed(id) {
                return Err(Error::refused(format!("nobody would receive it: task {id} is closed already")));
            }
        }
        let Some(id) = named(not_if) else { continue };
        let (known, _) = resolved.message(&id.into())?;
        let gone = withdraw::withdrawal(resolved.facts_of(known.event.seq), known.event.seq);
        let holds = match (not_if, gone) {
            (NotIf::Superseded { .. }, Some((_, newer))) => newer.is_some(),
            (NotIf::Retracted { .. }, Some((_, newer))) => newer.is_none(),
            _ => false,
        };
        if holds {
            return Err(Error::refused(format!(
                "nobody would receive it: message {id} was withdrawn already"
            )));
        }
    }
    Ok(())
}

fn may_oblige(state: &GroupState, call: &Call, audience: &address::Audience) -> Result<()> {
    if matches!(permission::rank(state, &call.by), Rank::Owner | Rank::Person | Rank::Foreman) {
        return Ok(());
    }
    let what = if audience.selected {
        "oblige whoever has a label or belongs to the group".to_owned()
    } else if audience.recipients.len() > MAX_OBLIGED_BY_PEER {
        format!("oblige {} recipients at once; {MAX_OBLIGED_BY_PEER} is the most", audience.recipients.len())
    } else {
        return Ok(());
    };
    Err(Error::refused(format!("{} may not {what}", call.by))
        .hint("name up to four recipients, ask for no reply and no attention, or ask the foreman to send it"))
}

/// Bounds on what waits for one recipient.
pub(super) fn check_room(state: &GroupState, message: &ChatMessage) -> Result<()> {
    let conditional = message.expires_at.is_some() || !message.not_if.is_empty();
    let asked = usize::from(message.priority == Priority::Attention) + usize::from(message.reply_required);
    for recipient in &message.recipients {
        let Some(mailbox) = state.mailbox(recipient) else { continue };
        if asked > 0 && mailbox.owed.len() + asked > MAX_OWED {
            return Err(Error::refused(format!(
                "{recipient} owes {} things already, and {MAX_OWED} is the most",
                mailbox.owed.len()
            ))
            .hint("send it without asking for a reply or attention, or cancel what is no longer needed"));
        }
        if conditional && mailbox.waiting.len() >= MAX_WAITING {
            return Err(Error::refused(format!(
                "{recipient} has {MAX_WAITING} messages waiting under conditions, which is the most"
            ))
            .hint("send it without expires_at and not_if"));
        }
    }
    Ok(())
}

/// The message that the sender's key was used for, if that is remembered.
///
/// Forgotten is what is both older than [`KEY_RETENTION`] and not among the newest 100,000 messages:
/// clocks jump, so age alone would forget too much. What another incarnation of the sender wrote is not
/// the sender's.
fn earlier<'a>(
    state: &GroupState,
    call: &Call,
    send: &SendMessage,
    resolved: &'a Resolved,
) -> Option<&'a Event> {
    let key = send.client_id.as_deref()?;
    resolved.keyed.iter().find(|event| {
        let (by, same_key) = match &event.body {
            Body::ChatMessage(message) => (&event.by, message.client_id.as_deref() == Some(key)),
            // These were found under the hash of the key, and cannot be asked for the key itself any more.
            Body::Redacted { .. } => (&event.by, true),
            Body::ChatRedact(redact) => (redact.author.as_ref().unwrap_or(&event.by), true),
            _ => (&event.by, false),
        };
        let remembered = call.now.since(event.ts) <= KEY_RETENTION || state.remembers_key_at(event.seq);
        same_key && *by == call.by && state.present_since(&call.by, event.seq) && remembered
    })
}

/// The answer to a key that was used before.
fn again(
    earlier: &Event,
    send: &SendMessage,
    to: &[String],
    choice: Option<&str>,
    tracked: bool,
) -> Result<Decision> {
    let key = send.client_id.as_deref().unwrap_or_default();
    match earlier.message() {
        Some(message)
            if makes_task(earlier, message) == tracked
                && same_content(earlier, message, send, to, choice) =>
        {
            Ok(Decision::done_by(earlier.id))
        }
        Some(_) => Err(Error::conflict(format!(
            "client_id {key:?} was used for other content, in message {}",
            earlier.id
        ))
        .hint(format!("use another client_id; `cccc show {}` shows that message", earlier.seq))),
        None => {
            let id = match &earlier.body {
                Body::ChatRedact(redact) => redact.event_id,
                _ => earlier.id,
            };
            Err(Error::conflict(format!(
                "client_id {key:?} was used for message {id}, which was redacted since"
            ))
            .hint("use another client_id"))
        }
    }
}

/// Whether a message was sent together with the task it belongs to, which stands right before it.
fn makes_task(event: &Event, message: &ChatMessage) -> bool {
    let task = message.task_id.as_deref().and_then(|id| id.parse::<TaskId>().ok());
    task.is_some_and(|task| task.seq().next() == event.seq)
}

/// Whether a message is what is to be sent now. Compared is what the sender gave, not what the rules
/// made of it: recipients and thread follow from the group at that time.
fn same_content(
    event: &Event,
    message: &ChatMessage,
    send: &SendMessage,
    to: &[String],
    choice: Option<&str>,
) -> bool {
    let due_at: Option<Timestamp> = send.reply_within.map(|within| event.ts.after(within));
    let names =
        |reference: &Option<crate::id::EventRef>, id: Option<crate::id::EventId>| match (reference, id) {
            (Some(reference), Some(id)) => reference.matches(id),
            (None, None) => true,
            _ => false,
        };
    message.text == said(send, choice)
        && message.format == send.format
        && message.to == to
        && message.priority == send.priority
        && message.reply_required == asks_reply(send)
        && message.due_at == due_at
        && names(&send.reply_to, message.reply_to)
        && message.quote == send.quote
        && message.progress == send.progress
        && message.intent == send.intent
        && message.refs == send.refs
        && message.attachments == send.attachments
        && message.expires_at == send.expires_at
        && names(&send.supersedes, message.supersedes)
        && message.not_if == send.not_if
        && message.options == question::trimmed(&send.options)
        && message.choice.as_deref() == choice
}

/// Whether a principal is one of those a message was for, as the same incarnation, or has taken over
/// what one of them owed, or had not read.
pub(super) fn is_recipient(state: &GroupState, principal: &Principal, event: &Event) -> bool {
    let named = event.message().is_some_and(|message| message.recipients.contains(principal));
    let owes = state.mailbox(principal).is_some_and(|mailbox| {
        ObligationKind::ALL.iter().any(|kind| mailbox.owed.contains_key(&(event.seq, *kind)))
    });
    let unread = state.mailbox(principal).is_some_and(|mailbox| mailbox.unread.contains(event.seq.0));
    owes || unread || (named && event.by != *principal && state.present_since(principal, event.seq))
}

#[cfg(test)]
mod tests;
