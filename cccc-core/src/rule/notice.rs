//! Notices as they are shown to those they are for.
//!
//! A notice says that something has happened or is due, and about which events; it has no message's text,
//! is never unread, obliges nobody, and is not pushed by itself. It waits until its target looks; of more than
//! [`MAX_NOTICES`](crate::state::MAX_NOTICES) the newest wait. Which notices there are is decided where their
//! causes are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::event::{Body, Event, SystemNotify, SystemSeen};
use crate::id::{Principal, Seq};
use crate::ledger::Draft;
use crate::rule::{Call, Decision, delivery, reading};
use crate::state::{GroupState, Mailbox};
use crate::time::Timestamp;

/// A notice as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct NoticeView {
    /// Its place.
    pub seq: Seq,
    /// When it was given.
    pub ts: Timestamp,
    /// What it is about, in a word: `unread`, `reply`, `task_assigned`...
    pub notice: String,
    /// How far it was escalated, from 1.
    pub level: u32,
    /// The events it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<Seq>,
    /// The same in a sentence, with the call that shows more.
    pub words: String,
}

/// A notice as it is shown; `None` for another event.
#[must_use]
pub fn view(event: &Event) -> Option<NoticeView> {
    let Body::SystemNotify(notice) = &event.body else { return None };
    Some(NoticeView {
        seq: event.seq,
        ts: event.ts,
        notice: notice.notice.clone(),
        level: notice.level,
        related: notice.related.clone(),
        words: words(notice),
    })
}

/// The notices that a principal has not been shown, oldest first.
#[must_use]
pub fn unseen(state: &GroupState, principal: &Principal) -> Vec<Seq> {
    state.mailbox(principal).map(|mailbox| mailbox.notices.iter().copied().collect()).unwrap_or_default()
}

/// The caller was shown its notices up to a place.
pub(super) fn see(state: &GroupState, call: &Call, through: Seq) -> Result<Decision> {
    let mailbox = reading::reader(state, &call.by)?;
    delivery::open_group(state, !call.by.is_person())?;
    Ok(Decision::write(seen(mailbox, &call.by, through)))
}

/// That a principal was shown its notices up to a place, if any of them was new to it.
pub(super) fn seen(mailbox: &Mailbox, by: &Principal, through: Seq) -> Option<Draft> {
    let is_new = mailbox.notices.front().is_some_and(|oldest| *oldest <= through);
    is_new.then(|| Draft::from(SystemSeen { actor_id: by.clone(), through_seq: through }))
}

/// What a notice says, for people and agents.
#[must_use]
pub fn words(notice: &SystemNotify) -> String {
    if let Some(text) = &notice.text {
        return text.clone();
    }
    let first = notice.related.first().copied().unwrap_or_default();
    let mut parts = notice.batch().split(',');
    let about = parts.next().unwrap_or_default();
    let (kind, debtor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    // The batch of a task's notice begins with the task.
    let task = about.split(['.', '-']).next().unwrap_or_default();
    let show = || format!("`cccc task show {task}`");
    match (notice.notice.as_str(), notice.level) {
        ("unread", _) => "messages wait for you: `cccc inbox`".into(),
        ("attention", 1) => format!("message {first} asks for your attention: `cccc ack {first}`"),
        ("attention", _) => {
            format!("{debtor} has not taken note of message {first}, which asks for attention")
        }
        ("reply", 1) => format!("your {kind} for {first} is overdue: `cccc obligations`"),
        ("reply", _) => format!("the {kind} that {debtor} owes for {first} is overdue"),
        ("cycle", _) => "some wait for each other in a circle: `cccc waits` says who can break it".into(),
        ("idle", _) => format!("{about} has done nothing for a while: `cccc who`"),
        ("keepalive", _) => "you owe something, and have done nothing for a while: `cccc obligations`".into(),
        ("silence", _) => "nobody has done anything for a while: `cccc who`".into(),
        ("rate", _) => {
            format!("{about} writes more than is pushed; the rest waits in inboxes (since {first})")
        }
        ("returned", _) => {
            let (gone, _) = about.rsplit_once('.').unwrap_or((about, ""));
            let messages: Vec<String> = notice.related.iter().map(ToString::to_string).collect();
            format!(
                "{gone} has left without reading or answering {}: `cccc receipts {first}`",
                messages.join(", ")
            )
        }
        ("vote_opened", _) => format!("your vote is asked for: `cccc vote show {about}`"),
        ("vote_closed", _) => format!("the vote that you asked for is over: `cccc vote show {about}`"),
        ("approval_opened", _) => {
            format!("an agent asks whether it may do something: `cccc approval show {about}`")
        }
        ("approval_decided", _) => {
            format!("your request for approval is decided, or over: `cccc approval show {about}`")
        }
        ("question_expired", _) => {
            format!("question {first} was not answered in time, and is over: `cccc question show {first}`")
        }
        ("task_assigned", _) => format!("task {task} is yours: {}", show()),
        ("task_moved", _) => format!("task {task} is no longer yours: {}", show()),
        ("task_offered", _) => format!("task {task} is offered to you: `cccc task handoff {task}` takes it"),
        ("task_done", _) => {
            format!("task {task} is said to be done: `cccc task accept {task}`, or reopen it")
        }
        ("task_declined", _) => format!("task {task} was declined: {}", show()),
        ("task_cancelled", _) => format!("task {task} was cancelled: {}", show()),
        ("task_reopened", _) => format!("task {task} is to be done again: {}", show()),
        ("task_accepted", _) => format!("task {task}, which you did, was accepted"),
        ("task_ready", _) => format!("task {task} waits for nothing any more: {}", show()),
        ("task_stuck", _) => format!("task {task} waits for something that will not be done: {}", show()),
        ("task_returned", _) => format!("task {task} has come back, its owner has left: {}", show()),
        ("task_refuted", _) => format!("evidence for task {task} was checked, and does not hold: {}", show()),
        (other, _) => other.replace('_', " "),
    }
}

#[cfg(test)]
mod tests;
