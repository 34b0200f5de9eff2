//! Pins: messages that the group keeps in sight, with who pinned them and why.
//!
//! The user and actors pin; at most [`MAX_PINS`] messages are. A pin is the group's: pinning what is pinned already
//! changes nothing, whoever did it. It is taken off by whoever put it there, the foreman or the user, and goes with a
//! message that is retracted, replaced or redacted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::event::{ChatPin, ChatUnpin, Event};
use crate::id::{EventId, EventRef, Principal, Seq};
use crate::ledger::Draft;
use crate::rule::permission::{self, Rank};
use crate::rule::{Call, Decision, MAX_REASON_BYTES, Resolved, bounded, withdraw};
use crate::state::{GroupState, Pin};
use crate::time::Timestamp;

/// Most messages that are pinned at once.
pub const MAX_PINS: usize = 64;

/// A pinned message as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct PinView {
    /// The message.
    pub event_id: EventId,
    /// Its place.
    pub seq: Seq,
    /// Who wrote it.
    pub by: Principal,
    /// What it says.
    pub text: String,
    /// Who pinned it.
    pub pinned_by: Principal,
    /// When.
    pub pinned_at: Timestamp,
    /// Why; may be empty.
    pub note: String,
}

impl PinView {
    /// A pin with its message.
    pub(crate) fn of(pin: &Pin, message: &Event) -> Self {
        Self {
            event_id: message.id,
            seq: message.seq,
            by: message.by.clone(),
            text: message.message().map(|message| message.text.clone()).unwrap_or_default(),
            pinned_by: pin.by.clone(),
            pinned_at: pin.at,
            note: pin.note.clone(),
        }
    }
}

pub(super) fn pin(
    state: &GroupState,
    call: &Call,
    event: &EventRef,
    note: &str,
    resolved: &Resolved,
) -> Result<Decision> {
    bounded("the note", note, MAX_REASON_BYTES)?;
    if permission::rank(state, &call.by) == Rank::Service {
        return Err(Error::refused(format!("{} is a service, and services pin nothing", call.by)));
    }
    let (known, _) = resolved.message(event)?;
    let id = known.event.id;
    if let Some(pin) = state.pins().get(&id.seq) {
        return Ok(Decision::done_by(pin.pinned_by_event));
    }
    if let Some((fact, _)) = withdraw::withdrawal(resolved.facts_of(id.seq), id.seq) {
        return Err(Error::refused(format!("message {id} was withdrawn, by event {}", fact.id))
            .hint("pin the message that is still meant"));
    }
    if state.pins().len() >= MAX_PINS {
        return Err(Error::refused(format!("{MAX_PINS} messages are pinned, which is the most"))
            .hint("take one off first: `cccc pins` lists them, `cccc unpin EVENT` takes one off"));
    }
    Ok(Decision::write([Draft::from(ChatPin { event_id: id, note: note.trim().to_owned() })]))
}

pub(super) fn unpin(
    state: &GroupState,
    call: &Call,
    event: &EventRef,
    reason: &str,
    resolved: &Resolved,
) -> Result<Decision> {
    bounded("the reason", reason, MAX_REASON_BYTES)?;
    // The pin of a message that is lost can still be taken off.
    let id = resolved.standing(event)?.event.id;
    let Some(pin) = state.pins().get(&id.seq) else { return Ok(Decision::nothing()) };
    let own = pin.by == call.by && state.present_since(&call.by, pin.pinned_by_event.seq);
    if !own && !matches!(permission::rank(state, &call.by), Rank::Owner | Rank::Foreman) {
        return Err(Error::refused(format!(
            "{} pinned message {id}, so it is not {}'s to unpin",
            pin.by, call.by
        ))
        .hint(format!("ask {} with `cccc send --to {}`, or the foreman, or the user", pin.by, pin.by)));
    }
    Ok(Decision::write([Draft::from(ChatUnpin { event_id: id, reason: reason.to_owned() })]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Command, SendMessage};
    use crate::error::ErrorKind;
    use crate::event::ActorRemove;
    use crate::rule::desk::{Desk, event, message};

    fn pin(event_: Seq) -> Command {
        Command::Pin { event: event(event_), note: "the plan".into() }
    }

    fn unpin(event_: Seq) -> Command {
        Command::Unpin { event: event(event_), reason: String::new() }
    }

    #[test]
    fn who_pins_and_who_takes_off() {
        for (by, allowed) in [
            ("user", true),
            ("lead", true),
            ("alice", true),
            ("bob", true),
            ("svc:x", false),
            ("system", true),
        ] {
            let mut desk = Desk::with(&["lead", "alice", "bob"]);
            let sent = desk.send("lead", message("x", &["alice"]));
            assert_eq!(desk.run(by, pin(sent)).is_ok(), allowed, "{by}");
            assert_eq!(desk.state().pins().len(), usize::from(allowed), "{by}");
        }
        for (by, allowed) in
            [("alice", true), ("lead", true), ("user", true), ("bob", false), ("svc:x", false)]
        {
            let mut desk = Desk::with(&["lead", "alice", "bob"]);
            let sent = desk.send("lead", message("x", &["alice"]));
            desk.run("alice", pin(sent)).unwrap();
            let done = desk.run(by, unpin(sent));
            assert_eq!(done.is_ok(), allowed, "{by}: {done:?}");
            assert_eq!(desk.state().pins().is_empty(), allowed, "{by}");
            assert_eq!(&desk.rebuilt(), desk.state());
        }
    }

    #[test]
    fn a_message_is_pinned_once() {
        let mut desk = Desk::with(&["lead", "alice"]);
        let sent = desk.send("lead", message("x", &["alice"]));
        let done = desk.run("alice", pin(sent)).unwrap();
        let again = desk.run("lead", pin(sent)).unwrap();
        assert_eq!((again.events.len(), again.duplicate), (0, Some(done.events[0].id)));
        assert!(desk.run("user", unpin(Seq(1))).unwrap().events.is_empty());
        desk.run("alice", unpin(sent)).unwrap();
        assert!(desk.run("alice", unpin(sent)).unwrap().events.is_empty());
        // Another of the same name did not pin it.
        desk.run("alice", pin(sent)).unwrap();
        let gone = ActorRemove { actor_id: "alice".parse().unwrap(), reason: String::new(), successor: None };
        desk.run("user", Command::RemoveActor(gone)).unwrap();
        desk.run("user", Command::AddActor(crate::command::AddActor::new("alice".parse().unwrap()))).unwrap();
        assert_eq!(desk.run("alice", unpin(sent)).unwrap_err().kind(), ErrorKind::Refused);
    }

    #[test]
    fn what_is_not_there_any_more_is_not_pinned() {
        let mut desk = Desk::with(&["lead", "alice"]);
        for withdraw in [
            (|sent| Command::Retract { event: event(sent), reason: String::new() }) as fn(Seq) -> Command,
            |sent| Command::Redact { event: event(sent), reason: String::new() },
            |sent| {
                Command::Send(SendMessage { supersedes: Some(event(sent)), ..message("newer", &["alice"]) })
            },
        ] {
            let sent = desk.send("user", message("x", &["alice"]));
            desk.run("alice", pin(sent)).unwrap();
            let command = withdraw(sent);
            let redacts = matches!(command, Command::Redact { .. });
            desk.run("user", command).unwrap();
            if redacts {
                desk.forget(sent);
            }
            assert!(desk.state().pins().is_empty());
            assert_eq!(&desk.rebuilt(), desk.state());
            assert_eq!(desk.run("alice", pin(sent)).unwrap_err().kind(), ErrorKind::Refused);
        }
        assert_eq!(desk.run("alice", pin(Seq(1))).unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(desk.run("alice", pin(Seq(99))).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn there_are_so_many_and_no_more() {
        let mut desk = Desk::with(&["lead"]);
        for _ in 0..MAX_PINS {
            let sent = desk.send("user", message("x", &["lead"]));
            desk.run("lead", pin(sent)).unwrap();
        }
        let sent = desk.send("user", message("x", &["lead"]));
        assert_eq!(desk.run("lead", pin(sent)).unwrap_err().kind(), ErrorKind::Refused);
        let long = Command::Pin { event: event(sent), note: "x".repeat(MAX_REASON_BYTES + 1) };
        assert_eq!(desk.run("lead", long).unwrap_err().kind(), ErrorKind::TooLarge);
    }
}
