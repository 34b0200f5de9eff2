//! Taking back: cancel what was asked, retract a message, redact its content.
//!
//! Cancelling leaves the message readable and ends what is owed for it. Retracting withdraws it from
//! those who have not read it, and nothing is owed for it any more. Redacting removes the content for
//! ever, and implies a retraction. Its own sender may cancel and retract, and the user; the foreman where
//! a peer had asked peers.

use crate::error::{Error, Result};
use crate::event::{Body, ChatCancel, ChatMessage, ChatRedact, ChatRetract, Event, key_hash};
use crate::id::{EventRef, Principal, Seq};
use crate::ledger::Draft;
use crate::ledger::codec::MIN_REDACTABLE;
use crate::rule::permission::{self, Rank};
use crate::rule::{Call, Decision, MAX_REASON_BYTES, Resolved, bounded, obligation, relay};
use crate::state::GroupState;

/// Who has not read a message, with those in other groups to whom it has not gone yet.
pub(super) fn unread_by(state: &GroupState, seq: Seq) -> Vec<Principal> {
    let unread = state.mailboxes().iter().filter(|(_, mailbox)| mailbox.unread.contains(seq.0));
    let waiting = state.relays_of(seq).flat_map(|(_, passage)| passage.recipients.iter());
    unread.map(|(principal, _)| principal).chain(waiting).cloned().collect()
}

/// The fact by which the message at `seq` was withdrawn, and what replaced it if that was the reason.
pub(super) fn withdrawal(facts: &[Event], seq: Seq) -> Option<(&Event, Option<Seq>)> {
    facts.iter().find_map(|fact| match &fact.body {
        Body::ChatRetract(retract) if retract.event_id.seq == seq => Some((fact, retract.superseded_by)),
        Body::ChatRedact(redact) if redact.event_id.seq == seq => Some((fact, None)),
        _ => None,
    })
}

/// Whether the caller may take back what `event` asks of `others`.
fn may_withdraw(state: &GroupState, call: &Call, event: &Event, others: &[Principal]) -> Result<()> {
    let peer = |principal: &Principal| {
        matches!(principal, Principal::Actor(_)) && permission::rank(state, principal) == Rank::Peer
    };
    let allowed = match permission::rank(state, &call.by) {
        Rank::Owner => true,
        Rank::Foreman => event.by == call.by || (peer(&event.by) && others.iter().all(peer)),
        Rank::Person | Rank::Peer | Rank::Service => event.by == call.by,
    };
    // What an earlier bearer of the same name had asked is not the caller's own.
    if allowed && state.present_since(&call.by, event.seq) {
        return Ok(());
    }
    Err(Error::refused(format!(
        "message {} is from {}, so it is not {}'s to take back",
        event.id, event.by, call.by
    ))
    .hint("the sender and the user may; the foreman where a peer asked peers"))
}

pub(super) fn cancel(
    state: &GroupState,
    call: &Call,
    event: &EventRef,
    recipients: &[Principal],
    reason: &str,
    resolved: &Resolved,
) -> Result<Decision> {
    bounded("the reason", reason, MAX_REASON_BYTES)?;
    let (known, message) = resolved.message(event)?;
    let event = &known.event;
    let owes = |principal: &Principal| !obligation::owed_by(state, principal, event.seq).is_empty();
    for recipient in recipients {
        if !message.recipients.contains(recipient) && !owes(recipient) {
            return Err(Error::invalid(format!("message {} asked nothing of {recipient}", event.id))
                .hint(format!("`cccc receipts {}` shows whom it asked", event.seq)));
        }
    }
    let named: &[Principal] = if recipients.is_empty() { &message.recipients } else { recipients };
    may_withdraw(state, call, event, named)?;
    let facts = resolved.facts_of(event.seq);
    let elsewhere = message.recipients.iter().filter(|debtor| {
        (recipients.is_empty() || recipients.contains(debtor)) && relay::may_owe(debtor, message, facts)
    });
    let debtors: Vec<Principal> = state
        .mailboxes()
        .keys()
        .filter(|debtor| recipients.is_empty() || recipients.contains(debtor))
        .filter(|debtor| owes(debtor))
        .chain(elsewhere)
        .cloned()
        .collect();
    if debtors.is_empty() {
        return Ok(Decision::nothing());
    }
    Ok(Decision::write([Draft::from(ChatCancel {
        event_id: event.id,
        recipients: debtors,
        cause: None,
        reason: reason.to_owned(),
    })]))
}

pub(super) fn retract(
    state: &GroupState,
    call: &Call,
    event: &EventRef,
    reason: &str,
    resolved: &Resolved,
) -> Result<Decision> {
    bounded("the reason", reason, MAX_REASON_BYTES)?;
    let (known, message) = resolved.message(event)?;
    let event = &known.event;
    may_withdraw(state, call, event, &message.recipients)?;
    if let Some((fact, _)) = withdrawal(resolved.facts_of(event.seq), event.seq) {
        return Ok(Decision::done_by(fact.id));
    }
    Ok(Decision::write([Draft::from(ChatRetract {
        event_id: event.id,
        recipients: unread_by(state, event.seq),
        superseded_by: None,
        reason: reason.to_owned(),
    })]))
}

/// The user has a message's content removed. That the removal happens in the stored line is the
/// engine's part; the event carries the hash with which the ledger still verifies, and what the message
/// had answered, so that this stays answered.
pub(super) fn redact(
    state: &GroupState,
    call: &Call,
    event: &EventRef,
    reason: &str,
    resolved: &Resolved,
) -> Result<Decision> {
    permission::owner(state, call, "redact a message")?;
    bounded("the reason", reason, MAX_REASON_BYTES)?;
    let known = resolved.standing(event)?;
    let event = &known.event;
    let done = resolved
        .facts_of(event.seq)
        .iter()
        .find(|fact| matches!(&fact.body, Body::ChatRedact(redact) if redact.event_id == event.id));
    if let Some(done) = done {
        return Ok(Decision::done_by(done.id));
    }
    let message: &ChatMessage = match &event.body {
        Body::ChatMessage(message) => message,
        Body::Redacted { .. } => return Ok(Decision::nothing()),
        Body::LedgerGap(gap) => {
            let lost =
                Error::refused(format!("event {} was damaged, and nothing of it is on the ledger", event.id));
            return Err(match gap.file.as_str() {
                "" => lost,
                file => {
                    lost.hint(format!("its bytes lie in {file} of the group's directory: remove that file"))
                }
            });
        }
        body => {
            return Err(Error::refused(format!(
                "event {} is a {}; only messages can be redacted",
                event.id,
                body.kind()
            )));
        }
    };
    if event.body.data_json()?.len() < MIN_REDACTABLE {
        return Err(Error::refused(format!("message {} is too short to be redacted in place", event.id)));
    }
    let mut blobs: Vec<String> = message.attachments.iter().map(|a| a.sha256.clone()).collect();
    blobs.sort();
    blobs.dedup();
    Ok(Decision::write([Draft::from(ChatRedact {
        event_id: event.id,
        data_hash: known.data_hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        recipients: unread_by(state, event.seq),
        author: Some(event.by.clone()),
        answered: message.reply_to,
        progress: message.progress,
        chose: message.choice.is_some(),
        key: message.client_id.as_deref().map(|client_id| format!("{:016x}", key_hash(&event.by, client_id))),
        blobs,
        reason: reason.to_owned(),
    })]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Command, SendMessage};
    use crate::error::ErrorKind;
    use crate::event::Attachment;
    use crate::rule::desk::{Desk, event, message, who};

    #[test]
    fn who_may_take_back() {
        let mut desk = Desk::with(&["lead", "alice", "bob"]);
        let asks = |to: &[&str]| SendMessage { reply_required: true, ..message("x", to) };
        let (peers, to_user) = (desk.send("alice", asks(&["bob"])), desk.send("alice", asks(&["user"])));
        let users = desk.send("user", asks(&["bob"]));
        for (by, sent, allowed) in [
            ("alice", peers, true),
            ("user", peers, true),
            ("lead", peers, true),
            ("bob", peers, false),
            ("svc:x", peers, false),
            ("alice", to_user, true),
            ("lead", to_user, false),
            ("user", to_user, true),
            ("lead", users, false),
            ("bob", users, false),
        ] {
            let event = || event(sent);
            for command in [
                Command::Cancel { event: event(), recipients: vec![], reason: String::new() },
                Command::Retract { event: event(), reason: String::new() },
            ] {
                let done = desk.clone().run(by, command);
                assert_eq!(done.is_ok(), allowed, "{by} {sent}: {done:?}");
            }
        }
    }

    #[test]
    fn cancelling_names_debtors_and_does_nothing_twice() {
        let mut desk = Desk::with(&["lead", "alice", "bob"]);
        let sent = desk.send("lead", SendMessage { reply_required: true, ..message("x", &["alice", "bob"]) });
        let cancel = |whom: &[&str]| Command::Cancel {
            event: event(sent),
            recipients: whom.iter().map(|id| who(id)).collect(),
            reason: String::new(),
        };
        assert_eq!(desk.run("lead", cancel(&["user"])).unwrap_err().kind(), ErrorKind::Invalid);
        desk.run("lead", cancel(&["alice"])).unwrap();
        assert_eq!(desk.owed(), [format!("bob reply {sent}")]);
        assert_eq!(desk.unread("alice"), [sent.0], "it stays readable");
        assert!(desk.run("lead", cancel(&["alice"])).unwrap().events.is_empty());
        let done = desk.run("lead", cancel(&[])).unwrap();
        let Body::ChatCancel(rest) = &done.events[0].body else { panic!() };
        assert_eq!(rest.recipients, [who("bob")]);
        assert!(desk.receipt(sent, "bob").ends_with("reply cancelled (by lead)"));
    }

    #[test]
    fn retracting_reaches_those_who_have_not_read_it() {
        let mut desk = Desk::with(&["lead", "alice", "bob", "carol"]);
        let sent = desk.send("lead", message("x", &["alice", "bob", "carol"]));
        desk.run("alice", Command::MarkRead { events: vec![event(sent)] }).unwrap();
        desk.pull("carol", false).unwrap();
        let retract = || Command::Retract { event: event(sent), reason: "wrong".into() };
        let done = desk.run("lead", retract()).unwrap();
        assert_eq!(desk.run("lead", retract()).unwrap().duplicate, Some(done.events[0].id));
        assert!(desk.unread("bob").is_empty());
        for (recipient, start) in [
            ("alice", "alice: accepted, read"),
            ("bob", "bob: withheld (retracted), unread"),
            ("carol", "carol: accepted by pull, unread"),
        ] {
            assert!(desk.receipt(sent, recipient).starts_with(start), "{}", desk.receipt(sent, recipient));
        }
    }

    #[test]
    fn redacting_leaves_a_ledger_that_says_the_same() {
        let mut desk = Desk::with(&["lead", "alice"]);
        let file = |digit: &str| Attachment {
            sha256: digit.repeat(64),
            bytes: 1,
            name: "secret".into(),
            media_type: "text/plain".into(),
        };
        let attachments = vec![file("b"), file("a"), file("b")];
        let secret =
            SendMessage { attachments, client_id: Some("k".into()), ..message("the password", &["alice"]) };
        let sent = desk.send("lead", secret.clone());
        let redact = || Command::Redact { event: event(sent), reason: "secret".into() };
        for by in ["lead", "alice", "svc:x"] {
            assert_eq!(desk.run(by, redact()).unwrap_err().kind(), ErrorKind::Refused, "{by}");
        }
        let group = Command::Redact { event: event(Seq(1)), reason: String::new() };
        assert_eq!(desk.run("user", group).unwrap_err().kind(), ErrorKind::Refused);
        let done = desk.run("user", redact()).unwrap();
        let Body::ChatRedact(redacted) = &done.events[0].body else { panic!() };
        assert_eq!(redacted.recipients, [who("alice")]);
        assert_eq!(redacted.blobs, ["a".repeat(64), "b".repeat(64)]);
        assert_eq!(redacted.data_hash.len(), 64);
        desk.forget(sent);
        assert_eq!(&desk.rebuilt(), desk.state());
        assert!(desk.unread("alice").is_empty());
        assert_eq!(desk.run("user", redact()).unwrap().duplicate, Some(done.events[0].id));
        for command in [
            Command::Ack { event: event(sent) },
            Command::Send(SendMessage { reply_to: Some(event(sent)), ..message("re", &[]) }),
        ] {
            let error = desk.run("alice", command).unwrap_err();
            assert!(error.to_string().contains("redacted"), "{error}");
        }
        // A retry of what was redacted does not send it again.
        assert_eq!(desk.run("lead", Command::Send(secret)).unwrap_err().kind(), ErrorKind::Conflict);
    }
}
