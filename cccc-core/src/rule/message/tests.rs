use super::*;
use crate::command::Command;
use crate::error::ErrorKind;
use crate::rule::desk::{Desk, event, message, who};

/// The kind and the words with which a message is refused.
fn refusal(desk: &mut Desk, by: &str, send: SendMessage) -> (ErrorKind, String) {
    let error = desk.run(by, Command::Send(send)).expect_err("to be refused");
    (error.kind(), error.to_string())
}

fn attachment() -> Attachment {
    Attachment { sha256: "0".repeat(64), bytes: 1, name: "a.txt".into(), media_type: "text/plain".into() }
}

#[test]
fn bounds_are_inclusive() {
    let mut desk = Desk::with(&["lead", "alice"]);
    let base = || message("x", &["alice"]);
    let fits = [
        SendMessage { text: "x".repeat(MAX_TEXT_BYTES), ..base() },
        SendMessage { text: String::new(), attachments: vec![attachment(); MAX_ATTACHMENTS], ..base() },
        SendMessage { refs: vec!["r".repeat(MAX_REF_BYTES); MAX_REFS], ..base() },
        SendMessage { client_id: Some("c".repeat(MAX_CLIENT_ID_BYTES)), ..base() },
        SendMessage { intent: Some("ü".repeat(MAX_INTENT_CHARS)), ..base() },
        SendMessage { to: vec!["alice".into(); address::MAX_ADDRESSES], ..base() },
        SendMessage { reply_within: Some(MAX_AHEAD), ..base() },
    ];
    for send in fits {
        desk.send("lead", send);
    }
    use ErrorKind::{Invalid, TooLarge};
    let one = desk.send("lead", base());
    let answer = || SendMessage { reply_to: Some(event(one)), ..base() };
    let bad_name = |name: &str| Attachment { name: name.into(), ..attachment() };
    for (send, kind, word) in [
        (SendMessage { text: "x".repeat(MAX_TEXT_BYTES + 1), ..base() }, TooLarge, "attach"),
        (SendMessage { text: String::new(), ..base() }, Invalid, "empty"),
        (SendMessage { text: " \n\t".into(), ..base() }, Invalid, "empty"),
        (SendMessage { text: "a\0b".into(), ..base() }, Invalid, "NUL"),
        (SendMessage { attachments: vec![attachment(); MAX_ATTACHMENTS + 1], ..base() }, TooLarge, "64"),
        (SendMessage { attachments: vec![bad_name("../x")], ..base() }, Invalid, "name"),
        (SendMessage { attachments: vec![bad_name("..")], ..base() }, Invalid, "name"),
        (SendMessage { refs: vec!["r".repeat(MAX_REF_BYTES + 1)], ..base() }, TooLarge, "1024"),
        (SendMessage { refs: vec!["r".into(); MAX_REFS + 1], ..base() }, TooLarge, "64"),
        (SendMessage { client_id: Some(String::new()), ..base() }, Invalid, "client_id"),
        (SendMessage { client_id: Some("c".repeat(MAX_CLIENT_ID_BYTES + 1)), ..base() }, TooLarge, "256"),
        (SendMessage { intent: Some("i".repeat(MAX_INTENT_CHARS + 1)), ..base() }, TooLarge, "64"),
        (SendMessage { to: vec!["alice".into(); address::MAX_ADDRESSES + 1], ..base() }, TooLarge, "256"),
        (SendMessage { quote: Some("q".into()), ..base() }, Invalid, "quote"),
        (SendMessage { quote: Some("q".repeat(MAX_QUOTE_BYTES + 1)), ..answer() }, TooLarge, "4096"),
        (SendMessage { progress: true, ..base() }, Invalid, "progress"),
        (SendMessage { reply_within: Some(Duration::ZERO), ..base() }, Invalid, "reply_within"),
        (SendMessage { reply_within: Some(MAX_AHEAD * 2), ..base() }, Invalid, "ten years"),
        (SendMessage { expires_at: Some(desk.now), ..base() }, Invalid, "expired already"),
        (SendMessage { expires_at: Some(desk.now.after(MAX_AHEAD * 2)), ..base() }, Invalid, "ten years"),
        (SendMessage { not_if: vec![NotIf::DeadlineOver; MAX_NOT_IF + 1], ..base() }, TooLarge, "16"),
        (SendMessage { not_if: vec![NotIf::DeadlineOver], ..base() }, Invalid, "deadline"),
    ] {
        let (got, text) = refusal(&mut desk, "lead", send);
        assert!(got == kind && text.contains(word), "{got:?} {text}");
    }
}

#[test]
fn a_key_gives_the_first_answer_whatever_happened_since() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    let old = desk.send("lead", message("old", &["alice"]));
    let first = SendMessage {
        client_id: Some("k".into()),
        reply_within: Some(Duration::from_secs(60)),
        expires_at: Some(desk.now.after(Duration::from_secs(5))),
        supersedes: Some(event(old)),
        ..message("hello", &["@alice", "role:x", "bob"])
    };
    let label = crate::event::ActorUpdate {
        labels: Some(vec!["x".parse().unwrap()]),
        ..crate::event::ActorUpdate::of("bob".parse().unwrap())
    };
    desk.run("user", Command::UpdateActor(label)).unwrap();
    let done = desk.run("lead", Command::Send(first.clone())).unwrap();
    assert_eq!(done.kinds(), ["chat.message", "chat.retract"]);
    assert!(done.duplicate.is_none());
    desk.wait(3600);
    let remove = crate::event::ActorRemove {
        actor_id: "bob".parse().unwrap(),
        reason: String::new(),
        successor: None,
    };
    desk.run("user", Command::RemoveActor(remove)).unwrap();
    let again = desk.run("lead", Command::Send(first.clone())).unwrap();
    assert!(again.events.is_empty());
    assert_eq!(again.duplicate, Some(done.events[0].id));
    // The same addresses in other words are the same content.
    let spelled = SendMessage { to: vec!["alice".into(), "#x".into(), "@bob".into()], ..first.clone() };
    assert_eq!(desk.run("lead", Command::Send(spelled)).unwrap().duplicate, Some(done.events[0].id));
    for other in [
        SendMessage { text: "hullo".into(), ..first.clone() },
        SendMessage { to: vec!["alice".into()], ..first.clone() },
        SendMessage { reply_within: Some(Duration::from_secs(61)), ..first.clone() },
        SendMessage { supersedes: None, ..first.clone() },
    ] {
        let (kind, text) = refusal(&mut desk, "lead", other);
        assert_eq!(kind, ErrorKind::Conflict);
        assert!(text.contains(&done.events[0].id.to_string()), "{text}");
    }
    // A key is the sender's own.
    let others = SendMessage { client_id: Some("k".into()), ..message("hello", &["lead"]) };
    assert!(desk.run("alice", Command::Send(others)).unwrap().duplicate.is_none());
}

#[test]
fn a_key_is_forgotten_only_when_old_by_time_and_by_number() {
    let mut desk = Desk::with(&["lead", "alice"]);
    let keyed = SendMessage { client_id: Some("k".into()), ..message("hello", &["alice"]) };
    let first = desk.send("lead", keyed.clone());
    // A year later, or by a clock that jumped back: still among the newest 100,000.
    for now in [desk.now.after(Duration::from_secs(366 * 86_400)), Timestamp::from_millis(0)] {
        desk.now = now;
        assert_eq!(desk.run("lead", Command::Send(keyed.clone())).unwrap().duplicate.unwrap().seq, first);
    }
    let mut state = desk.state().clone();
    let mut many = desk.event(first).unwrap().clone();
    for _ in 0..101_000 {
        many.seq = many.seq.next();
        many.body = Body::Redacted { kind: "chat.message".into() };
        state.apply(&many);
    }
    let resolved = Resolved { keyed: vec![desk.event(first).unwrap().clone()], ..Resolved::default() };
    let late = Timestamp::from_millis(1_800_000_000_000).after(KEY_RETENTION);
    for (now, duplicate) in [(late, true), (late.after(Duration::from_millis(1)), false)] {
        let call = Call { by: who("lead"), now };
        assert_eq!(super::send(&state, &call, &keyed, &resolved).unwrap().duplicate.is_some(), duplicate);
    }
}

#[test]
fn peers_oblige_few_and_by_name() {
    let mut desk = Desk::with(&["lead", "p1", "p2", "p3", "p4", "p5"]);
    let names = ["p2", "p3", "p4", "p5", "lead"];
    for (by, to, allowed) in [
        ("p1", &names[..4], true),
        ("p1", &names[..], false),
        ("lead", &["@peers"][..], true),
        ("user", &["@all"][..], true),
        ("p1", &["@all"][..], false),
        ("svc:bridge", &["@all"][..], false),
    ] {
        for asks in [
            SendMessage { reply_required: true, ..message("x", to) },
            SendMessage { priority: Priority::Attention, ..message("x", to) },
        ] {
            let sent = desk.run(by, Command::Send(asks));
            assert_eq!(sent.is_ok(), allowed, "{by} {to:?} {sent:?}");
        }
        desk.send(by, message("no obligation", to));
    }
}

#[test]
fn a_thread_keeps_its_root() {
    let mut desk = Desk::with(&["lead", "alice"]);
    let root = desk.send("lead", message("x", &["alice"]));
    let one = desk.reply("alice", root, false);
    let two = desk.reply("lead", one, false);
    let found = desk.event(two).unwrap().message().unwrap();
    assert_eq!((found.root, found.depth), (root, 2));
    assert_eq!(found.recipients, [who("alice")]);
    assert!(found.to.is_empty(), "stored as given");
    assert_eq!(desk.event(root).unwrap().message().unwrap().root, root);
}

#[test]
fn only_the_sender_replaces_and_only_once() {
    let mut desk = Desk::with(&["lead", "alice"]);
    let asks = SendMessage { reply_required: true, ..message("old", &["alice"]) };
    let old = desk.send("lead", asks);
    let new = |text: &str| SendMessage { supersedes: Some(event(old)), ..message(text, &["alice"]) };
    assert_eq!(refusal(&mut desk, "user", new("x")).0, ErrorKind::Refused);
    let newer = desk.send("lead", new("new"));
    assert_eq!(desk.unread("alice"), [newer.0]);
    assert!(desk.owed().is_empty());
    assert_eq!(
        desk.receipt(old, "alice"),
        "alice: withheld (superseded), unread, ack none, reply cancelled (superseded)"
    );
    let (kind, text) = refusal(&mut desk, "lead", new("newest"));
    assert!(kind == ErrorKind::Conflict && text.contains(&newer.to_string()), "{text}");
}

#[test]
fn one_debtor_has_a_bound() {
    let mut desk = Desk::with(&["lead", "alice"]);
    let asks = SendMessage { reply_required: true, ..message("x", &["alice"]) };
    let first = desk.send("lead", asks.clone());
    let mut state = desk.state().clone();
    let mut next = desk.event(first).unwrap().clone();
    for _ in 1..MAX_OWED {
        next.seq = next.seq.next();
        next.id.seq = next.seq;
        state.apply(&next);
    }
    let call = Call { by: who("lead"), now: desk.now };
    let refused = super::send(&state, &call, &asks, &Resolved::default()).unwrap_err();
    assert!(refused.to_string().contains("alice owes 10000"), "{refused}");
    super::send(&state, &call, &message("x", &["alice"]), &Resolved::default()).unwrap();
}
