//! Obligations: acknowledging, and the queries over what is owed.
//!
//! One lifecycle for all kinds: `open -> met | cancelled(reason) | returned(reason)`, and it ends once.
//! A final reply meets the reply and the acknowledgement that its sender owed for the answered message,
//! whoever the reply is addressed to; a reply with `progress`, and an `ack`, meet the acknowledgement
//! only. Whether one is overdue is computed when asked, never stored.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::event::{Body, ChatAck};
use crate::id::{EventId, EventRef, Principal, Seq};
use crate::ledger::Draft;
use crate::rule::{Call, Decision, Resolved, estate, message, question};
use crate::state::{GroupState, Obligation, ObligationKind};
use crate::time::Timestamp;

/// What names an obligation: a message asks each recipient for each kind at most once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct ObligationId {
    /// The message that asked.
    pub source: Seq,
    /// For what.
    pub kind: ObligationKind,
    /// Who owes it.
    pub debtor: Principal,
}

/// An open obligation, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ObligationView {
    /// What is owed.
    pub kind: ObligationKind,
    /// Who owes it.
    pub debtor: Principal,
    /// To whom.
    pub creditor: Principal,
    /// The message that asked.
    pub source: EventId,
    /// When it is due, moved by the pauses so far; absent: whenever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// Whether that is over.
    pub overdue: bool,
    /// Whether it is to choose one of the options of a question.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub choice: bool,
    /// Who had owed it before and left it to the debtor; empty if the message was for the debtor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inherited_from: Vec<Principal>,
}

impl ObligationView {
    /// What names it.
    #[must_use]
    pub fn id(&self) -> ObligationId {
        ObligationId { source: self.source.seq, kind: self.kind, debtor: self.debtor.clone() }
    }
}

/// Which obligations are wanted; what is absent does not matter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those of this debtor.
    pub debtor: Option<Principal>,
    /// Those to this creditor.
    pub creditor: Option<Principal>,
}

/// The open obligations, oldest message first.
#[must_use]
pub fn list(state: &GroupState, filter: &Filter, now: Timestamp) -> Vec<ObligationView> {
    let mut views: Vec<ObligationView> = state
        .mailboxes()
        .iter()
        .filter(|(debtor, _)| filter.debtor.as_ref().is_none_or(|wanted| wanted == *debtor))
        .flat_map(|(debtor, mailbox)| mailbox.owed.iter().map(move |((_, kind), owed)| (debtor, *kind, owed)))
        .filter(|(_, _, owed)| filter.creditor.as_ref().is_none_or(|wanted| *wanted == owed.creditor))
        .map(|(debtor, kind, owed)| view(state, debtor, kind, owed, now))
        .collect();
    views.sort_by_key(ObligationView::id);
    views
}

/// What a principal owes for one message.
#[must_use]
pub fn owed_by(state: &GroupState, principal: &Principal, message: Seq) -> Vec<ObligationKind> {
    let Some(mailbox) = state.mailbox(principal) else { return Vec::new() };
    let owed = |kind: &ObligationKind| mailbox.owed.contains_key(&(message, *kind));
    ObligationKind::ALL.into_iter().filter(owed).collect()
}

fn view(
    state: &GroupState,
    debtor: &Principal,
    kind: ObligationKind,
    owed: &Obligation,
    now: Timestamp,
) -> ObligationView {
    let due_at = state.due_at(owed, now);
    let before = owed.lineages.iter().filter_map(|lineage| lineage.split_last());
    let mut inherited_from: Vec<Principal> =
        before.flat_map(|(_, former)| former.iter().map(|(holder, _)| holder.clone())).collect();
    inherited_from.sort();
    inherited_from.dedup();
    ObligationView {
        kind,
        debtor: debtor.clone(),
        creditor: owed.creditor.clone(),
        source: owed.source,
        due_at,
        overdue: due_at.is_some_and(|due| now > due),
        choice: question::is_answer(state, owed.source.seq, kind),
        inherited_from,
    }
}

/// A recipient takes note of a message; once, also of one that did not ask for it.
pub(super) fn ack(
    state: &GroupState,
    call: &Call,
    event: &EventRef,
    resolved: &Resolved,
) -> Result<Decision> {
    let (known, _) = resolved.message(event)?;
    let id = known.event.id;
    let done = resolved.facts_of(id.seq).iter().find(|fact| {
        matches!(&fact.body, Body::ChatAck(ack) if ack.actor_id == call.by)
            && state.present_since(&call.by, fact.seq)
    });
    if let Some(done) = done {
        return Ok(Decision::done_by(done.id));
    }
    if known.event.by == call.by {
        return Err(Error::refused(format!("message {id} is your own: only its recipients acknowledge it"))
            .hint(format!("`cccc receipts {}` shows who has", id.seq)));
    }
    if !message::is_recipient(state, &call.by, &known.event)
        && !estate::took_over(state, &call.by, resolved.facts_of(id.seq))
    {
        return Err(not_addressed(&call.by, id, "acknowledge"));
    }
    Ok(Decision::write([Draft::from(ChatAck { actor_id: call.by.clone(), event_id: id })]))
}

/// The refusal of what only a recipient may do.
pub(super) fn not_addressed(by: &Principal, id: EventId, verb: &str) -> Error {
    Error::refused(format!("message {id} was not addressed to {by}, so there is nothing to {verb}"))
        .hint("`cccc inbox` lists what was")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::command::{Command, SendMessage};
    use crate::error::ErrorKind;
    use crate::event::{ActorRemove, GroupMode, Priority};
    use crate::rule::desk::{Desk, event, message, who};

    fn asking(to: &[&str]) -> SendMessage {
        SendMessage { priority: Priority::Attention, reply_required: true, ..message("please", to) }
    }

    fn remove(desk: &mut Desk, id: &str, successor: Option<&str>) {
        let remove = ActorRemove {
            actor_id: id.parse().unwrap(),
            reason: "tired".into(),
            successor: successor.map(|id| id.parse().unwrap()),
        };
        desk.run("user", Command::RemoveActor(remove)).unwrap();
    }

    #[test]
    fn each_way_to_end() {
        type Act = fn(&mut Desk, Seq);
        let cases: [(&str, Act, &str); 9] = [
            (
                "ack",
                |d, m| _ = d.run("alice", Command::Ack { event: event(m) }).unwrap(),
                "ack met, reply open",
            ),
            ("progress", |d, m| _ = d.reply("alice", m, true), "ack met, reply open"),
            ("reply", |d, m| _ = d.reply("alice", m, false), "ack met, reply met"),
            (
                "reply to somebody else",
                |d, m| {
                    let reply = SendMessage { reply_to: Some(event(m)), ..message("re", &["user"]) };
                    d.send("alice", reply);
                },
                "ack met, reply met",
            ),
            ("another's reply", |d, m| _ = d.reply("bob", m, false), "ack open, reply open"),
            (
                "cancel",
                |d, m| {
                    let cancel =
                        Command::Cancel { event: event(m), recipients: vec![], reason: "never mind".into() };
                    d.run("lead", cancel).unwrap();
                },
                "ack cancelled (never mind), reply cancelled (never mind)",
            ),
            (
                "retract",
                |d, m| {
                    _ = d.run("user", Command::Retract { event: event(m), reason: String::new() }).unwrap()
                },
                "ack cancelled (retracted), reply cancelled (retracted)",
            ),
            (
                "the asker leaves",
                |d, _| remove(d, "lead", None),
                "ack cancelled (who asked was removed: tired), reply cancelled (who asked was removed: tired)",
            ),
            (
                "the debtor leaves",
                |d, _| remove(d, "alice", None),
                "ack returned (alice was removed: tired), reply returned (alice was removed: tired)",
            ),
        ];
        for (name, act, ends) in cases {
            let mut desk = Desk::with(&["lead", "alice", "bob"]);
            let sent = desk.send("lead", asking(&["alice"]));
            assert_eq!(desk.owed(), [format!("alice ack {sent}"), format!("alice reply {sent}")]);
            act(&mut desk, sent);
            let receipt = desk.receipt(sent, "alice");
            assert!(receipt.ends_with(ends), "{name}: {receipt}");
            assert_eq!(desk.owed().len(), ends.matches("open").count(), "{name}");
            // What ended stays as it ended.
            if !ends.contains("open") && name != "the debtor leaves" {
                let late = SendMessage { reply_to: Some(event(sent)), ..message("re", &["user"]) };
                desk.send("alice", late);
                assert!(desk.receipt(sent, "alice").ends_with(ends), "{name}, then a reply");
            }
        }
    }

    #[test]
    fn a_successor_owes_what_it_took_over_until_it_answers() {
        let mut desk = Desk::with(&["lead", "alice", "bob", "carol"]);
        let due = SendMessage { reply_within: Some(Duration::from_secs(60)), ..asking(&["alice", "bob"]) };
        let sent = desk.send("lead", due);
        remove(&mut desk, "alice", Some("bob"));
        assert_eq!(desk.owed(), [format!("bob ack {sent}"), format!("bob reply {sent}")]);
        let listed = list(desk.state(), &Filter { debtor: Some(who("bob")), creditor: None }, desk.now);
        assert_eq!(listed[0].inherited_from, [who("alice")]);
        assert!(
            desk.receipt(sent, "alice").ends_with("reply open, owed by bob"),
            "{}",
            desk.receipt(sent, "alice")
        );
        remove(&mut desk, "bob", Some("carol"));
        desk.wait(61);
        assert!(desk.receipt(sent, "alice").ends_with("reply open, owed by carol, overdue"));
        let answer = desk.reply("carol", sent, false);
        assert!(desk.owed().is_empty());
        assert!(desk.receipt(sent, "alice").ends_with("ack met, reply met"));
        // The answer stays an answer when it can no longer be read, also for who rebuilds the state.
        desk.run("user", Command::Redact { event: event(answer), reason: String::new() }).unwrap();
        desk.forget(answer);
        assert_eq!(&desk.rebuilt(), desk.state());
        assert!(desk.receipt(sent, "alice").ends_with("ack met, reply met"));
    }

    #[test]
    fn a_redacted_answer_ends_what_its_author_owed_then_and_no_more() {
        let mut desk = Desk::with(&["lead", "alice", "bob", "carol"]);
        let sent = desk.send("lead", asking(&["alice", "carol"]));
        // Bob answers without owing; later he takes over what Alice owes. Carol's answer is hers.
        let early = desk.reply("bob", sent, false);
        let carols = desk.reply("carol", sent, false);
        remove(&mut desk, "alice", Some("bob"));
        remove(&mut desk, "carol", Some("bob"));
        remove(&mut desk, "bob", Some("lead"));
        assert!(desk.owed().is_empty(), "who asked does not owe itself");
        let other = desk.send("user", asking(&["lead"]));
        for seq in [early, carols] {
            desk.run("user", Command::Redact { event: event(seq), reason: String::new() }).unwrap();
            desk.forget(seq);
        }
        assert_eq!(&desk.rebuilt(), desk.state());
        assert_eq!(desk.owed(), [format!("lead ack {other}"), format!("lead reply {other}")]);

        let mut desk = Desk::with(&["lead", "alice", "bob"]);
        let sent = desk.send("lead", asking(&["alice"]));
        let early = desk.reply("bob", sent, false);
        remove(&mut desk, "alice", Some("bob"));
        desk.run("user", Command::Redact { event: event(early), reason: String::new() }).unwrap();
        desk.forget(early);
        assert_eq!(desk.owed(), [format!("bob ack {sent}"), format!("bob reply {sent}")]);
        assert_eq!(&desk.rebuilt(), desk.state());
    }

    #[test]
    fn expiry_before_handoff_cancels_only_what_the_recipient_itself_was_asked() {
        let mut desk = Desk::with(&["lead", "alice", "bob"]);
        let expires_at = Some(desk.now.after(Duration::from_secs(10)));
        let sent = desk.send("lead", SendMessage { expires_at, ..asking(&["alice", "bob"]) });
        remove(&mut desk, "alice", Some("bob"));
        desk.wait(11);
        assert_eq!(desk.pull("bob", false).unwrap().kinds(), ["runtime.delivery"]);
        assert_eq!(
            desk.receipt(sent, "bob"),
            "bob: withheld (expired), unread, ack cancelled (expired), reply cancelled (expired)"
        );
        assert!(desk.receipt(sent, "alice").ends_with("reply open, owed by bob"));
        assert_eq!(desk.owed(), [format!("bob ack {sent}"), format!("bob reply {sent}")]);
    }

    #[test]
    fn clocks_stand_still_in_a_pause() {
        let mut desk = Desk::with(&["lead", "alice"]);
        desk.mode(GroupMode::Paused);
        desk.wait(1_000);
        let asks = SendMessage { reply_within: Some(Duration::from_secs(60)), ..message("x", &["alice"]) };
        desk.send("lead", asks);
        let overdue = |desk: &Desk| list(desk.state(), &Filter::default(), desk.now)[0].overdue;
        for (mode, seconds, expected) in [
            (GroupMode::Paused, 5_000, false),
            (GroupMode::Active, 59, false),
            (GroupMode::Paused, 5_000, false),
            (GroupMode::Idle, 1, false),
            (GroupMode::Active, 1, true),
        ] {
            desk.mode(mode);
            desk.wait(seconds);
            assert_eq!(overdue(&desk), expected, "{mode:?} {seconds}");
        }
        // A clock that jumps back makes nothing overdue and breaks nothing.
        desk.now = Timestamp::from_millis(0);
        assert!(!overdue(&desk));
    }

    #[test]
    fn acknowledging_is_for_recipients_and_happens_once() {
        let mut desk = Desk::with(&["lead", "alice", "bob"]);
        let sent = desk.send("lead", message("x", &["alice"]));
        let ack = || Command::Ack { event: event(sent) };
        let done = desk.run("alice", ack()).unwrap();
        assert_eq!(done.kinds(), ["chat.ack"]);
        let again = desk.run("alice", ack()).unwrap();
        assert!(again.events.is_empty() && again.duplicate == Some(done.events[0].id));
        assert!(desk.receipt(sent, "alice").contains("ack met"));
        for (by, word) in [("lead", "your own"), ("bob", "not addressed to bob"), ("user", "not addressed")] {
            let error = desk.run(by, ack()).unwrap_err();
            assert!(error.kind() == ErrorKind::Refused && error.to_string().contains(word), "{error}");
        }
        let nothing = desk.run("alice", Command::Ack { event: event(Seq(99)) }).unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::NotFound);
        let no_message = desk.run("alice", Command::Ack { event: event(Seq(1)) }).unwrap_err();
        assert!(no_message.to_string().contains("group.create"), "{no_message}");
        // The next one of that name was not asked.
        remove(&mut desk, "alice", None);
        desk.run("user", Command::AddActor(crate::command::AddActor::new("alice".parse().unwrap()))).unwrap();
        assert_eq!(desk.run("alice", ack()).unwrap_err().kind(), ErrorKind::Refused);
    }
}
