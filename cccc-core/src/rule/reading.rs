//! Reading: a set of unread messages per principal, from which the cursor is derived.
//!
//! `read E` marks that message alone; `read --through E` everything up to it. A reply marks the message
//! it answers. Reading implies delivery, and reading twice writes nothing.

use crate::error::{Error, Result};
use crate::event::ChatRead;
use crate::id::{EventId, EventRef, Principal, Seq};
use crate::ledger::Draft;
use crate::rule::{Call, Decision, Resolved, delivery, estate, few, message, obligation};
use crate::state::GroupState;
use crate::time::Timestamp;

/// How many messages one command may name.
pub const MAX_EVENTS: usize = 1_000;

/// What a principal has not read, oldest first, from `from` on, at most `limit`. Messages that may no
/// longer be handed over (expired, a precondition broken) are left out.
#[must_use]
pub fn unread(
    state: &GroupState,
    principal: &Principal,
    from: Seq,
    limit: usize,
    now: Timestamp,
) -> Vec<Seq> {
    let Some(mailbox) = state.mailbox(principal) else { return Vec::new() };
    let mut unread = mailbox.unread.iter();
    unread.advance_to(from.0);
    unread
        .map(Seq)
        .filter(|seq| delivery::withheld(state, mailbox, *seq, now).is_none())
        .take(limit)
        .collect()
}

/// What a principal has not read and [`unread`] leaves out, oldest first, at most `limit`.
pub(crate) fn withheld(state: &GroupState, principal: &Principal, limit: usize, now: Timestamp) -> Vec<Seq> {
    let Some(mailbox) = state.mailbox(principal) else { return Vec::new() };
    let over =
        |seq: &Seq| mailbox.unread.contains(seq.0) && delivery::withheld(state, mailbox, *seq, now).is_some();
    mailbox.waiting.keys().copied().filter(over).take(limit).collect()
}

/// How many messages [`unread`] would list.
#[must_use]
pub fn unread_count(state: &GroupState, principal: &Principal, now: Timestamp) -> u64 {
    let Some(mailbox) = state.mailbox(principal) else { return 0 };
    let withheld =
        mailbox.waiting.keys().filter(|seq| delivery::withheld(state, mailbox, **seq, now).is_some()).count();
    mailbox.unread.len().saturating_sub(u64::try_from(withheld).unwrap_or(u64::MAX))
}

/// Everything up to this seq is read: the one before the first unread message, else the end.
#[must_use]
pub fn cursor(state: &GroupState, principal: &Principal) -> Seq {
    let first = state.mailbox(principal).and_then(|mailbox| mailbox.unread.min());
    first.map_or(state.position().seq, |first| Seq(first.saturating_sub(1)))
}

/// Whoever has a mailbox may read.
pub(super) fn reader<'a>(state: &'a GroupState, by: &Principal) -> Result<&'a crate::state::Mailbox> {
    state.mailbox(by).ok_or_else(|| {
        Error::refused(format!("{by} receives no messages")).hint("only people and actors have an inbox")
    })
}

pub(super) fn mark(
    state: &GroupState,
    call: &Call,
    events: &[EventRef],
    resolved: &Resolved,
) -> Result<Decision> {
    few("messages", events.len(), MAX_EVENTS)?;
    let mailbox = reader(state, &call.by)?;
    let mut ids: Vec<EventId> = Vec::new();
    for reference in events {
        let (known, _) = resolved.message(reference)?;
        let event = &known.event;
        let theirs = event.by == call.by
            || message::is_recipient(state, &call.by, event)
            || estate::took_over(state, &call.by, resolved.facts_of(event.seq));
        if !theirs {
            return Err(obligation::not_addressed(&call.by, event.id, "read"));
        }
        if mailbox.unread.contains(event.seq.0) {
            ids.push(event.id);
        }
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(read(&call.by, ids))
}

/// Marks messages as read, if there are any.
fn read(by: &Principal, event_ids: Vec<EventId>) -> Decision {
    if event_ids.is_empty() {
        return Decision::nothing();
    }
    Decision::write([Draft::from(ChatRead { actor_id: by.clone(), event_ids, through_seq: None })])
}

pub(super) fn mark_through(
    state: &GroupState,
    call: &Call,
    event: &EventRef,
    resolved: &Resolved,
) -> Result<Decision> {
    let mailbox = reader(state, &call.by)?;
    let through = resolved.standing(event)?.event.seq;
    if mailbox.unread.min().is_none_or(|first| first > through.0) {
        return Ok(Decision::nothing());
    }
    let read = ChatRead { actor_id: call.by.clone(), event_ids: Vec::new(), through_seq: Some(through) };
    Ok(Decision::write([Draft::from(read)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;
    use crate::error::ErrorKind;
    use crate::rule::desk::{Desk, event, message, who};

    #[test]
    fn single_messages_the_rest_and_the_cursor() {
        let mut desk = Desk::with(&["lead", "alice", "bob"]);
        let sent: Vec<Seq> = (0..5).map(|_| desk.send("lead", message("x", &["alice"]))).collect();
        let cursor = |desk: &Desk| cursor(desk.state(), &who("alice"));
        assert_eq!(cursor(&desk), Seq(sent[0].0 - 1));
        let read = |seqs: &[Seq]| Command::MarkRead { events: seqs.iter().map(|seq| event(*seq)).collect() };
        assert_eq!(desk.run("alice", read(&[sent[2], sent[1], sent[2]])).unwrap().kinds(), ["chat.read"]);
        assert_eq!(desk.unread("alice"), [sent[0].0, sent[3].0, sent[4].0]);
        assert_eq!(cursor(&desk), Seq(sent[0].0 - 1), "nothing before the cursor is unread");
        assert!(desk.run("alice", read(&[sent[1], sent[2]])).unwrap().events.is_empty());
        assert!(desk.run("lead", read(&[sent[0]])).unwrap().events.is_empty(), "one's own is read");
        assert_eq!(desk.run("bob", read(&[sent[0]])).unwrap_err().kind(), ErrorKind::Refused);
        let through = |seq| Command::MarkReadThrough { event: event(seq) };
        assert_eq!(desk.run("alice", through(sent[3])).unwrap().kinds(), ["chat.read"]);
        assert!(desk.run("alice", through(sent[3])).unwrap().events.is_empty());
        assert_eq!((desk.unread("alice"), cursor(&desk)), (vec![sent[4].0], Seq(sent[4].0 - 1)));
        assert!(desk.receipt(sent[3], "alice").starts_with("alice: accepted, read"));
        desk.reply("alice", sent[4], true);
        assert!(desk.unread("alice").is_empty());
        assert_eq!(cursor(&desk), desk.state().position().seq);
        assert_eq!(desk.run("svc:x", through(Seq(1))).unwrap_err().kind(), ErrorKind::Refused);
        assert_eq!(desk.run("alice", through(Seq(99))).unwrap_err().kind(), ErrorKind::NotFound);
        let many = Command::MarkRead { events: vec![event(sent[0]); MAX_EVENTS + 1] };
        assert_eq!(desk.run("alice", many).unwrap_err().kind(), ErrorKind::TooLarge);
    }

    #[test]
    fn unread_is_a_page() {
        let mut desk = Desk::with(&["lead", "alice"]);
        let sent: Vec<Seq> = (0..5).map(|_| desk.send("lead", message("x", &["alice"]))).collect();
        let page = |from, limit| unread(desk.state(), &who("alice"), from, limit, desk.now);
        assert_eq!(page(Seq(1), 2), sent[..2]);
        assert_eq!(page(sent[1].next(), 2), sent[2..4]);
        assert_eq!(page(Seq(0), 0), []);
        assert_eq!(unread_count(desk.state(), &who("alice"), desk.now), 5);
        assert_eq!(unread_count(desk.state(), &who("nobody"), desk.now), 0);
    }
}
