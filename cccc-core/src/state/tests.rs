use serde_json::value::RawValue;

use super::*;
use crate::event::{Body, Event};
use crate::id::EventId;
use crate::rule::desk::{Desk, message, who};

/// A desk with one message from lead to alice, and that message over and over again.
fn flood(count: u64) -> (GroupState, Event) {
    let mut desk = Desk::with(&["lead", "alice"]);
    let first = desk.send("lead", message("x", &["alice"]));
    let mut state = desk.state().clone();
    let mut event = desk.event(first).unwrap().clone();
    for _ in 1..count {
        event.seq = event.seq.next();
        event.id = EventId { seq: event.seq, nonce: event.id.nonce };
        state.apply(&event);
    }
    (state, event)
}

#[test]
fn a_million_unread_messages_fit_a_megabyte_and_read_ones_leave_nothing() {
    let (mut state, mut event) = flood(1_000_000);
    let mailbox = state.mailbox(&who("alice")).unwrap();
    assert_eq!(mailbox.unread.len(), 1_000_000);
    assert!(mailbox.unread.serialized_size() < 1_000_000);
    assert!(state.to_bytes().unwrap().len() < 1_000_000);
    let empty = flood(1).0.to_bytes().unwrap().len();
    event.body = Body::ChatRead(crate::event::ChatRead {
        actor_id: who("alice"),
        event_ids: Vec::new(),
        through_seq: Some(event.seq),
    });
    event.seq = event.seq.next();
    state.apply(&event);
    let left = state.to_bytes().unwrap().len() - empty;
    assert!(left < 40_000, "{left} bytes are left, marks of where the messages are and when they were sent");
}

#[test]
fn messages_read_one_by_one_in_any_order_leave_nothing() {
    let (mut state, mut event) = flood(10_000);
    let (first, last) = (event.seq.0 - 9_999, event.seq.0);
    for step in [7, 1] {
        for seq in (first..=last).step_by(step) {
            event.seq = event.seq.next();
            event.body = Body::ChatRead(crate::event::ChatRead {
                actor_id: who("alice"),
                event_ids: vec![EventId { seq: Seq(seq), nonce: event.id.nonce }],
                through_seq: None,
            });
            state.apply(&event);
        }
    }
    let mailbox = state.mailbox(&who("alice")).unwrap();
    assert_eq!(mailbox, &Mailbox::default());
}

#[test]
fn what_is_saved_is_what_is_loaded_and_garbage_is_an_error() {
    let state = flood(10).0;
    let bytes = state.to_bytes().unwrap();
    assert_eq!(GroupState::from_bytes(&bytes).unwrap(), state);
    for cut in 0..bytes.len() {
        assert!(GroupState::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(GroupState::from_bytes(&longer).is_err());
    for at in 0..bytes.len() {
        // Either an error or some state; never a panic, and never long.
        let mut changed = bytes.clone();
        changed[at] ^= 0x80;
        drop(GroupState::from_bytes(&changed));
    }
}

#[test]
fn a_newer_version_can_forbid_writing() {
    let mut desk = Desk::with(&["lead"]);
    let mut event = desk.event(Seq(1)).unwrap().clone();
    let unknown = |event: &mut Event, must| {
        event.seq = event.seq.next();
        event.must = must;
        let data = RawValue::from_string("{}".into()).unwrap();
        event.body = Body::Unknown { kind: "x.new".into(), data };
    };
    event.seq = desk.state().position().seq;
    let mut state = desk.state().clone();
    unknown(&mut event, false);
    state.apply(&event);
    assert_eq!(state.unsupported(), None);
    unknown(&mut event, true);
    state.apply(&event);
    assert_eq!(state.unsupported(), Some((event.seq, "x.new")));
    let call = crate::rule::Call { by: who("user"), now: desk.now };
    let command = crate::command::Command::Send(message("x", &["lead"]));
    let error = crate::rule::decide(&state, &call, &command, &crate::rule::Resolved::default()).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Unsupported);
    desk.send("user", message("x", &["lead"]));
}

#[test]
fn an_event_counts_once_and_foreign_ones_change_only_what_they_can() {
    let mut desk = Desk::with(&["lead", "alice"]);
    let sent = desk.send("lead", message("x", &["alice"]));
    let mut state = desk.state().clone();
    state.apply(desk.event(sent).unwrap());
    assert_eq!(&state, desk.state());
    // Each event of a lively group, applied to an empty state in the wrong order: no panic.
    desk.reply("alice", sent, false);
    desk.pull("alice", true).unwrap();
    let mut foreign = GroupState::new(&"g".parse().unwrap());
    for (n, event) in desk.events().iter().rev().chain(desk.events()).enumerate() {
        let mut event = event.clone();
        event.seq = Seq(n as u64 + 1);
        foreign.apply(&event);
    }
    assert!(foreign.is_created() && foreign.mailboxes().contains_key(&who("alice")));
    assert_eq!(GroupState::from_bytes(&foreign.to_bytes().unwrap()).unwrap(), foreign);
}

#[test]
fn tombstones_are_bounded() {
    let mut desk = Desk::with(&[]);
    for n in 0..MAX_TOMBSTONES + 5 {
        let id: ActorId = format!("a{n}").parse().unwrap();
        desk.run("user", crate::command::Command::AddActor(crate::command::AddActor::new(id.clone())))
            .unwrap();
        let remove = crate::event::ActorRemove { actor_id: id, reason: String::new(), successor: None };
        desk.run("user", crate::command::Command::RemoveActor(remove)).unwrap();
    }
    assert_eq!(desk.state().tombstones().len(), MAX_TOMBSTONES);
    assert_eq!(desk.state().mailboxes().len(), 1, "only the user's is left");
}
