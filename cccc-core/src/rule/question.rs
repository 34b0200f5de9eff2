//! Questions: a message with options, of which one of those who were asked chooses one.
//!
//! A question is an ordinary message that requires a reply and carries its options. It can be asked of a person, of an
//! agent, or of several of both: the first who chooses answers it for all, and in the same append nobody else owes
//! an answer any more. A second choice is refused, and told the first. The same choice by the same one again is
//! the first one's answer again.
//!
//! A reply in words meets what its sender owes, as for any message, and leaves the choice to the others. If nobody is
//! left who could choose (all have replied in words, left, or were excused), the question is over.
//!
//! With a deadline a question ends unanswered when that passes: whoever looks after the group writes that down
//! (`close`), nobody owes anything for it then, and all whom it concerns are told. An answer that comes after the
//! deadline is refused although nobody has written it down yet, as whoever asked may have gone on without one. Pauses of
//! the group do not count.
//!
//! Questions are asked within a group: of two groups neither can know which answer was the first.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::command::SendMessage;
use crate::error::{Error, Result};
use crate::event::{Body, CancelCause, ChatCancel, ChatMessage, Event, SystemNotify};
use crate::id::{EventId, EventRef, Principal, Seq};
use crate::ledger::Draft;
use crate::rule::message::is_recipient;
use crate::rule::permission::{self, Rank};
use crate::rule::{Call, Decision, Known, Resolved, address, bounded, estate, few, obligation, withdraw};
use crate::state::{GroupState, ObligationKind, Question};
use crate::time::Timestamp;

/// Fewest options: with one alone there is nothing to choose.
pub const MIN_OPTIONS: usize = 2;
/// Most options.
pub const MAX_OPTIONS: usize = 16;
/// Longest option, in bytes.
pub const MAX_OPTION_BYTES: usize = 256;
/// Most open questions of a group.
pub const MAX_QUESTIONS: usize = 256;
/// Most open questions that one peer has asked.
pub const MAX_QUESTIONS_OF_PEER: usize = 16;

/// Where a question stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum QuestionStanding {
    /// An answer is waited for.
    Open,
    /// Its deadline has passed unanswered, and nobody has written that down yet.
    Over,
    /// Somebody has chosen.
    Answered,
    /// Its deadline has passed unanswered.
    Expired,
    /// Whoever was asked has replied in words, and nobody is left who could choose.
    Replied,
    /// It was called off.
    Cancelled,
    /// It was retracted, replaced or redacted.
    Withdrawn,
    /// Whoever was asked has left.
    Returned,
}

impl QuestionStanding {
    /// The standing as it is written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Over => "over",
            Self::Answered => "answered",
            Self::Expired => "expired",
            Self::Replied => "replied",
            Self::Cancelled => "cancelled",
            Self::Withdrawn => "withdrawn",
            Self::Returned => "returned",
        }
    }
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct AnswerView {
    /// The reply that gives it.
    pub event_id: EventId,
    /// Who chose.
    pub by: Principal,
    /// When.
    pub at: Timestamp,
    /// What, as the question has it.
    pub choice: String,
}

/// A question as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct QuestionView {
    /// The message that asks.
    pub event_id: EventId,
    /// Its place.
    pub seq: Seq,
    /// Who asks.
    pub asker: Principal,
    /// What is asked.
    pub text: String,
    /// What may be answered, in order; numbered from 1.
    pub options: Vec<String>,
    /// Who was asked.
    pub asked: Vec<Principal>,
    /// Who still owes an answer.
    pub waiting: Vec<Principal>,
    /// When it ends unanswered, moved by the pauses so far; absent: not by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// Where it stands.
    pub standing: QuestionStanding,
    /// Its answer, if that can still be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<AnswerView>,
    /// How it came to its end, for people; may be empty.
    pub reason: String,
}

/// A question, open or not, from the message that asks it and what later events say of that one.
///
/// # Errors
/// `Invalid` if that event is no message with options.
pub fn show(state: &GroupState, asked: &Event, facts: &[Event], now: Timestamp) -> Result<QuestionView> {
    let message = asking(asked)?;
    let open = state.questions().get(&asked.seq);
    let (standing, answer, reason) = match open {
        Some(question) if is_over(state, question, now) => (QuestionStanding::Over, None, String::new()),
        Some(_) => (QuestionStanding::Open, None, String::new()),
        None => end(state, asked, message, facts),
    };
    Ok(QuestionView {
        event_id: asked.id,
        seq: asked.seq,
        asker: asked.by.clone(),
        text: message.text.clone(),
        options: message.options.clone(),
        asked: message.recipients.clone(),
        waiting: if open.is_some() { state.asked_in(asked.seq).cloned().collect() } else { Vec::new() },
        ends_at: open.map_or(message.due_at, |question| state.question_ends_at(question, now)),
        standing,
        answer,
        reason,
    })
}

/// The message, if an event is a question with options.
fn asking(event: &Event) -> Result<&ChatMessage> {
    let asks = event.message().filter(|message| !message.options.is_empty());
    asks.ok_or_else(|| {
        event.lost().unwrap_or_else(|| {
            Error::invalid(format!("event {} asks no question with options", event.id))
                .hint("`cccc question list` shows the questions")
        })
    })
}

/// How a question that nobody owes an answer to came to its end.
fn end(
    state: &GroupState,
    asked: &Event,
    message: &ChatMessage,
    facts: &[Event],
) -> (QuestionStanding, Option<AnswerView>, String) {
    if let Some(answer) = answer_among(asked, message, facts) {
        return (QuestionStanding::Answered, Some(answer), String::new());
    }
    // The answer was redacted since, and stays one.
    if let Some((by, id)) = facts.iter().find_map(|fact| redacted_answer(asked, fact)) {
        let reason = format!("{by} has answered, in event {id}, which was redacted");
        return (QuestionStanding::Answered, None, reason);
    }
    let cancels = || {
        facts.iter().filter_map(|fact| match &fact.body {
            Body::ChatCancel(cancel) if cancel.event_id == asked.id => Some((fact, cancel)),
            _ => None,
        })
    };
    if let Some((_, cancel)) = cancels().find(|(_, cancel)| cancel.cause == Some(CancelCause::Expired)) {
        return (QuestionStanding::Expired, None, cancel.reason.clone());
    }
    if let Some((fact, _)) = withdraw::withdrawal(facts, asked.seq) {
        return (QuestionStanding::Withdrawn, None, format!("by {}, in event {}", fact.by, fact.id));
    }
    if let Some((by, id)) = facts.iter().find_map(|fact| in_words(asked, fact)) {
        return (QuestionStanding::Replied, None, format!("{by} has replied in words, in event {id}"));
    }
    match cancels().next() {
        Some((_, cancel)) if !cancel.reason.is_empty() => {
            (QuestionStanding::Cancelled, None, cancel.reason.clone())
        }
        Some((fact, _)) => (QuestionStanding::Cancelled, None, format!("by {}", fact.by)),
        None if !state.present_since(&asked.by, asked.seq) => {
            (QuestionStanding::Cancelled, None, format!("{}, who asked, was removed", asked.by))
        }
        None => (QuestionStanding::Returned, None, "nobody who was asked is left".to_owned()),
    }
}

/// The first reply that chooses an option.
fn answer_among(asked: &Event, message: &ChatMessage, facts: &[Event]) -> Option<AnswerView> {
    facts.iter().find_map(|fact| {
        let reply = fact.message().filter(|reply| reply.reply_to == Some(asked.id))?;
        let choice = reply.choice.as_ref().filter(|choice| message.options.contains(choice))?;
        Some(AnswerView { event_id: fact.id, by: fact.by.clone(), at: fact.ts, choice: choice.clone() })
    })
}

/// An answer of which the text is gone: by whom, and where.
fn redacted_answer<'a>(asked: &Event, fact: &'a Event) -> Option<(&'a Principal, EventId)> {
    match &fact.body {
        Body::ChatRedact(redact) if redact.answered == Some(asked.id) && redact.chose => {
            Some((redact.author.as_ref()?, redact.event_id))
        }
        _ => None,
    }
}

/// A final reply, which may have been redacted: by whom, and where.
fn in_words<'a>(asked: &Event, fact: &'a Event) -> Option<(&'a Principal, EventId)> {
    match &fact.body {
        Body::ChatMessage(reply) if reply.reply_to == Some(asked.id) && !reply.progress => {
            Some((&fact.by, fact.id))
        }
        Body::ChatRedact(redact) if redact.answered == Some(asked.id) && !redact.progress => {
            Some((redact.author.as_ref()?, redact.event_id))
        }
        _ => None,
    }
}

fn is_over(state: &GroupState, question: &Question, now: Timestamp) -> bool {
    state.question_ends_at(question, now).is_some_and(|end| now > end)
}

/// The first moment at which the time of an open question is over, as of `now`.
pub(super) fn over_at(state: &GroupState, question: &Question, now: Timestamp) -> Option<Timestamp> {
    Some(state.question_ends_at(question, now)?.after(std::time::Duration::from_millis(1)))
}

/// The options of a message, as they are written: without white space around them.
pub(super) fn trimmed(options: &[String]) -> Vec<String> {
    options.iter().map(|option| option.trim().to_owned()).collect()
}

/// What depends on the command alone.
pub(super) fn check(send: &SendMessage) -> Result<()> {
    if let Some(choice) = &send.choice {
        if send.reply_to.is_none() {
            return Err(Error::invalid("a choice answers a question: this message answers none")
                .hint("name the question with reply_to"));
        }
        if send.progress || !send.options.is_empty() {
            return Err(Error::invalid("an answer is final, and asks nothing in turn")
                .hint("choose, or say that you are on it, or ask: one at a time"));
        }
        bounded("the choice", choice, MAX_OPTION_BYTES)?;
    }
    if send.options.is_empty() {
        return Ok(());
    }
    few("options", send.options.len(), MAX_OPTIONS)?;
    if send.options.len() < MIN_OPTIONS {
        return Err(Error::invalid("a question has two options at least")
            .hint("name the others, or ask for a reply in words (reply_required)"));
    }
    let options = trimmed(&send.options);
    for (n, option) in options.iter().enumerate() {
        bounded("an option", option, MAX_OPTION_BYTES)?;
        if option.is_empty() || option.chars().any(char::is_control) {
            return Err(Error::invalid(format!(
                "{option:?} is no option: it is a word or a few, on one line"
            )));
        }
        if options.iter().take(n).any(|other| same(other, option)) {
            return Err(Error::invalid(format!("the option {option:?} is there twice")));
        }
    }
    Ok(())
}

fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// The option that somebody means: by its text, whatever the case; or by its number, unless options are numbers
/// themselves.
#[must_use]
pub fn chosen<'a>(options: &'a [String], choice: &str) -> Option<&'a str> {
    let choice = choice.trim();
    let by_text = options.iter().find(|option| same(option, choice));
    let are_numbers = options.iter().any(|option| option.parse::<u64>().is_ok());
    let number = choice.parse::<usize>().ok().filter(|_| !are_numbers);
    by_text.or_else(|| options.get(number?.checked_sub(1)?)).map(String::as_str)
}

/// What may be chosen, for a hint.
fn named(options: &[String]) -> String {
    let numbered = options.iter().zip(1..).map(|(option, n)| format!("{n} {option:?}"));
    format!("choose one of {}", numbered.collect::<Vec<_>>().join(", "))
}

/// The choice of a reply as it is written, as far as the question can be read.
pub(super) fn written(send: &SendMessage, resolved: &Resolved) -> Option<String> {
    let choice = send.choice.as_ref()?;
    let question = send.reply_to.as_ref().and_then(|asked| resolved.message(asked).ok());
    let option = question.and_then(|(_, message)| chosen(&message.options, choice));
    Some(option.unwrap_or(choice).to_owned())
}

/// Whether the caller may ask a question of these.
pub(super) fn may_ask(state: &GroupState, call: &Call, audience: &address::Audience) -> Result<()> {
    if !audience.relay_to.is_empty() {
        return Err(Error::refused("a question with options is asked within the group")
            .hint("ask the other group without options, for a reply in words"));
    }
    let own = state.questions().values().filter(|question| question.asker == call.by).count();
    let is_peer = permission::rank(state, &call.by) == Rank::Peer;
    let most = if state.questions().len() >= MAX_QUESTIONS {
        format!("the group has {MAX_QUESTIONS} open questions")
    } else if is_peer && own >= MAX_QUESTIONS_OF_PEER {
        format!("{} has asked {MAX_QUESTIONS_OF_PEER} questions that are open", call.by)
    } else {
        return Ok(());
    };
    Err(Error::refused(format!("{most}, which is the most"))
        .hint("wait for an answer, or call one off: `cccc question list`, `cccc cancel EVENT`"))
}

/// What a choice comes to.
pub(super) enum Answer {
    /// It was given before, by this event.
    Before(EventId),
    /// It is the answer; with it nobody else owes one.
    First(Option<ChatCancel>),
}

/// The first who was asked and chooses in time answers.
pub(super) fn answer(
    state: &GroupState,
    call: &Call,
    choice: &str,
    asked: (&Known, &ChatMessage),
    resolved: &Resolved,
) -> Result<Answer> {
    let (event, message) = (&asked.0.event, asked.1);
    let (id, seq) = (event.id, event.seq);
    if message.options.is_empty() {
        return Err(Error::invalid(format!("message {id} has no options to choose from"))
            .hint(format!("answer it in words: `cccc reply {seq} TEXT`")));
    }
    let Some(option) = chosen(&message.options, choice) else {
        return Err(
            Error::invalid(format!("{choice:?} is no option of question {id}")).hint(named(&message.options))
        );
    };
    let facts = resolved.facts_of(seq);
    if let Some(first) = answer_among(event, message, facts)
        && first.by == call.by
        && first.choice == option
        && state.present_since(&call.by, first.event_id.seq)
    {
        return Ok(Answer::Before(first.event_id));
    }
    let may = event.by != call.by
        && (is_recipient(state, &call.by, event) || estate::took_over(state, &call.by, facts));
    if !may {
        return Err(obligation::not_addressed(&call.by, id, "answer"));
    }
    let Some(question) = state.questions().get(&seq) else {
        return Err(ended(state, event, message, facts));
    };
    if is_over(state, question, call.now) {
        let end = state.question_ends_at(question, call.now).unwrap_or_default();
        return Err(too_late(event, &end.to_string()));
    }
    Ok(Answer::First(nobody_else(state, call, event)))
}

/// With the first answer nobody else owes anything for the question.
fn nobody_else(state: &GroupState, call: &Call, asked: &Event) -> Option<ChatCancel> {
    let owes = |principal: &Principal| !obligation::owed_by(state, principal, asked.seq).is_empty();
    let others = state.mailboxes().keys().filter(|one| **one != call.by && owes(one));
    let recipients: Vec<Principal> = others.cloned().collect();
    (!recipients.is_empty()).then(|| ChatCancel {
        event_id: asked.id,
        recipients,
        cause: Some(CancelCause::Answered),
        // Not what it was: that would outlast a redaction of the answer.
        reason: format!("{} has answered", call.by),
    })
}

/// The refusal of a choice that comes after the end.
fn ended(state: &GroupState, asked: &Event, message: &ChatMessage, facts: &[Event]) -> Error {
    let id = asked.id;
    let (standing, answer, reason) = end(state, asked, message, facts);
    let hint = format!("say in a message what has changed: `cccc reply {} TEXT`", asked.seq);
    if let Some(AnswerView { event_id, by, at, choice }) = answer {
        return Error::conflict(format!(
            "{by} answered question {id} before, at {at}: {choice:?} (event {event_id})"
        ))
        .hint(format!("the first answer stands; {hint}"));
    }
    if standing == QuestionStanding::Expired {
        return too_late(asked, "its deadline");
    }
    let word = standing.as_str();
    Error::conflict(format!("question {id} is over ({word}: {reason}), and not to be answered any more"))
        .hint(hint)
}

fn too_late(asked: &Event, when: &str) -> Error {
    Error::refused(format!(
        "the time of question {} was over at {when}, and it was not answered by then",
        asked.id
    ))
    .hint(format!("say it in words: `cccc reply {} TEXT`", asked.seq))
}

/// Writes down that the time of a question is over; anybody may.
pub(super) fn close(
    state: &GroupState,
    call: &Call,
    question: &EventRef,
    resolved: &Resolved,
) -> Result<Decision> {
    let asked = &resolved.known(question)?.event;
    let message = asking(asked)?;
    let facts = resolved.facts_of(asked.seq);
    let Some(open) = state.questions().get(&asked.seq) else {
        let expired = facts.iter().find(|fact| {
            matches!(&fact.body, Body::ChatCancel(cancel) if cancel.cause == Some(CancelCause::Expired))
        });
        return match expired {
            Some(fact) => Ok(Decision::done_by(fact.id)),
            None => {
                let word = end(state, asked, message, facts).0.as_str();
                Err(Error::conflict(format!("question {} is over already: {word}", asked.id))
                    .hint(format!("`cccc question show {}` shows how it went", asked.seq)))
            }
        };
    };
    if !is_over(state, open, call.now) {
        let until = match state.question_ends_at(open, call.now) {
            Some(end) => format!("until {end}"),
            None => "until somebody answers it".into(),
        };
        return Err(Error::refused(format!("question {} is open {until}", asked.id))
            .hint(format!("whoever asked can call it off: `cccc cancel {}`", asked.seq)));
    }
    let owes = |principal: &&Principal| !obligation::owed_by(state, principal, asked.seq).is_empty();
    let recipients: Vec<Principal> = state.mailboxes().keys().filter(owes).cloned().collect();
    let asker = Some(&asked.by).filter(|asker| state.present_since(asker, asked.seq));
    let concerned = asker.into_iter().chain(state.asked_in(asked.seq));
    let told = concerned.filter(|whom| **whom != call.by && state.mailbox(whom).is_some()).map(|whom| {
        let notice = SystemNotify::new("question_expired", whom.clone(), &asked.seq.to_string(), 1);
        Draft::from(SystemNotify { related: vec![asked.seq], ..notice })
    });
    let expired = ChatCancel {
        event_id: asked.id,
        recipients,
        cause: Some(CancelCause::Expired),
        reason: "its time was over, and nobody had answered".into(),
    };
    Ok(Decision::write(std::iter::once(Draft::from(expired)).chain(told)))
}

/// Whether what is owed is an answer to a question with options.
#[must_use]
pub fn is_answer(state: &GroupState, source: Seq, kind: ObligationKind) -> bool {
    kind == ObligationKind::Reply && state.questions().contains_key(&source)
}

#[cfg(test)]
mod tests;
