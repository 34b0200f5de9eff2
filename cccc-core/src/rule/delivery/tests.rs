use std::time::Duration;

use super::*;
use crate::command::{Command, OpenSession, SendMessage};
use crate::error::ErrorKind;
use crate::event::NotIf;
use crate::rule::desk::{Desk, Done, event, message, who};

fn claim(desk: &mut Desk, by: &str, recipient: &str, seqs: &[Seq]) -> Result<Done> {
    let events = seqs.iter().map(|seq| event(*seq)).collect();
    desk.run(by, Command::Claim { recipient: who(recipient), events, transport: Transport::Push })
}

fn settle(desk: &mut Desk, by: &str, delivery: EventId, outcome: Outcome) -> Result<Done> {
    desk.run(by, Command::Settle { delivery, outcome })
}

fn session(desk: &mut Desk, actor: &str, name: &str) {
    let open = OpenSession { session: name.into(), ..OpenSession::default() };
    desk.run(actor, Command::OpenSession(open)).unwrap();
}

fn accepted() -> Outcome {
    Outcome::accepted(serde_json::json!({"turn": 7}))
}

#[test]
fn one_door_at_a_time() {
    let mut desk = Desk::with(&["lead", "alice"]);
    let sent = desk.send("lead", message("x", &["alice"]));
    let claimed = claim(&mut desk, "svc:host", "alice", &[sent]).unwrap();
    assert_eq!(claimed.kinds(), ["runtime.delivery"]);
    assert!(desk.receipt(sent, "alice").starts_with("alice: claimed through push, unread"));
    let error = claim(&mut desk, "svc:hook", "alice", &[sent]).unwrap_err();
    assert!(error.kind() == ErrorKind::Conflict && error.to_string().contains("svc:host"), "{error}");
    assert!(desk.pull("alice", true).unwrap().events.is_empty(), "passed over, and not read by that");
    assert_eq!(desk.unread("alice"), [sent.0]);
    let delivery = claimed.events[0].id;
    assert_eq!(settle(&mut desk, "svc:hook", delivery, accepted()).unwrap_err().kind(), ErrorKind::Refused);
    let done = settle(&mut desk, "svc:host", delivery, accepted()).unwrap();
    assert!(desk.receipt(sent, "alice").starts_with("alice: accepted by runtime, through push, unread"));
    // The same outcome again is the same; another is a contradiction.
    assert_eq!(
        settle(&mut desk, "svc:host", delivery, accepted()).unwrap().duplicate,
        Some(done.events[0].id)
    );
    let error = settle(&mut desk, "user", delivery, Outcome::Failed("x".into())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(claim(&mut desk, "svc:host", "alice", &[sent]).unwrap_err().kind(), ErrorKind::Conflict);
    assert!(desk.pull("alice", false).unwrap().events.is_empty(), "handed over once in a session");
    let no_claim = settle(&mut desk, "svc:host", done.events[0].id, accepted()).unwrap_err();
    assert_eq!(no_claim.kind(), ErrorKind::Invalid);
}

#[test]
fn after_each_outcome() {
    type Make = fn(String) -> Outcome;
    let cases: [(Make, &str, bool, bool); 3] = [
        (Outcome::Failed, "failed", true, true),
        (Outcome::Ambiguous, "ambiguous", false, true),
        (Outcome::Bounced, "bounced", false, true),
    ];
    for (make, word, again, again_in_a_new_session) in cases {
        let mut desk = Desk::with(&["lead", "alice"]);
        session(&mut desk, "alice", "s1");
        let sent = desk.send("lead", message("x", &["alice"]));
        let delivery = claim(&mut desk, "system", "alice", &[sent]).unwrap().events[0].id;
        settle(&mut desk, "system", delivery, make("why".into())).unwrap();
        assert!(
            desk.receipt(sent, "alice").starts_with(&format!("alice: {word} through push (why), unread"))
        );
        let mut other = desk.clone();
        assert_eq!(claim(&mut other, "system", "alice", &[sent]).is_ok(), again, "{word}");
        let mut other = desk.clone();
        assert_eq!(other.pull("alice", false).unwrap().events.len(), 1, "{word}: who asks itself gets it");
        session(&mut desk, "alice", "s2");
        let claimed = claim(&mut desk, "system", "alice", &[sent]);
        assert_eq!(claimed.is_ok(), again_in_a_new_session, "{word}");
    }
}

#[test]
fn another_try_at_what_is_ambiguous_is_asked_for() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    let sent = desk.send("lead", message("x", &["alice"]));
    let retry =
        |desk: &mut Desk, by| desk.run(by, Command::Retry { event: event(sent), recipient: who("alice") });
    assert_eq!(retry(&mut desk, "lead").unwrap_err().kind(), ErrorKind::Refused, "nothing was tried");
    let first = claim(&mut desk, "system", "alice", &[sent]).unwrap().events[0].id;
    settle(&mut desk, "system", first, Outcome::Ambiguous("timeout".into())).unwrap();
    assert_eq!(retry(&mut desk, "bob").unwrap_err().kind(), ErrorKind::Refused);
    let done = retry(&mut desk, "lead").unwrap();
    assert_eq!(retry(&mut desk, "lead").unwrap().duplicate, Some(done.events[0].id));
    assert!(desk.receipt(sent, "alice").starts_with("alice: pending"));
    let second = claim(&mut desk, "system", "alice", &[sent]).unwrap().events[0].id;
    // What the first try left open clears up now; it says nothing of the second.
    settle(&mut desk, "system", first, Outcome::Failed("no".into())).unwrap();
    assert!(desk.receipt(sent, "alice").starts_with("alice: claimed"));
    settle(&mut desk, "system", second, accepted()).unwrap();
    assert!(desk.receipt(sent, "alice").starts_with("alice: accepted"));
}

#[test]
fn a_new_session_is_handed_everything_unread_again() {
    let mut desk = Desk::with(&["lead", "alice"]);
    session(&mut desk, "alice", "s1");
    let sent: Vec<Seq> = (0..3).map(|_| desk.send("lead", message("x", &["alice"]))).collect();
    let accepted_one = claim(&mut desk, "system", "alice", &sent[..1]).unwrap().events[0].id;
    settle(&mut desk, "system", accepted_one, accepted()).unwrap();
    let open = claim(&mut desk, "system", "alice", &sent[1..2]).unwrap().events[0].id;
    session(&mut desk, "alice", "s2");
    assert!(desk.receipt(sent[0], "alice").starts_with("alice: accepted"), "that it was is not taken back");
    let lapsed = desk.receipt(sent[1], "alice");
    assert!(lapsed.starts_with("alice: ambiguous through push (a new session began"), "{lapsed}");
    assert_eq!(claim(&mut desk, "system", "alice", &sent).unwrap().events.len(), 1);
    let Body::RuntimeDelivery(claimed) = &desk.events().last().unwrap().body else { panic!() };
    assert_eq!((claimed.event_ids.len(), claimed.generation), (3, 2));
    // The late outcome of the old claim is of the old session.
    settle(&mut desk, "system", open, accepted()).unwrap();
    let mailbox = desk.state().mailbox(&who("alice")).unwrap();
    assert!(mailbox.handed.is_empty() && mailbox.flights.len() == 3);
}

#[test]
fn who_may_claim_what() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    let low = desk.send("lead", SendMessage { priority: Priority::Low, ..message("x", &["alice"]) });
    let sent = desk.send("lead", message("x", &["alice"]));
    for (by, allowed) in
        [("system", true), ("svc:x", true), ("user", true), ("alice", true), ("lead", false), ("bob", false)]
    {
        assert_eq!(claim(&mut desk.clone(), by, "alice", &[sent]).is_ok(), allowed, "{by}");
    }
    let error = claim(&mut desk, "system", "alice", &[low]).unwrap_err();
    assert!(error.to_string().contains("low priority"), "{error}");
    assert_eq!(claim(&mut desk, "system", "bob", &[sent]).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(claim(&mut desk, "system", "nobody", &[sent]).unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(claim(&mut desk, "system", "alice", &[Seq(99)]).unwrap_err().kind(), ErrorKind::NotFound);
    let pull =
        Command::Claim { recipient: who("alice"), events: vec![event(sent)], transport: Transport::Pull };
    assert_eq!(desk.run("system", pull).unwrap_err().kind(), ErrorKind::Invalid);
    // One that can be had is had, whatever goes with it.
    assert_eq!(claim(&mut desk, "system", "alice", &[low, sent]).unwrap().events.len(), 1);
    assert_eq!(desk.pull("alice", false).unwrap().events.len(), 1, "low waits in the inbox");
}

#[test]
fn a_resting_group_hands_nothing_over() {
    for (mode, word, user_too) in [
        (GroupMode::Paused, "paused", true),
        (GroupMode::Stopped, "stopped", false),
        (GroupMode::Idle, "", false),
    ] {
        let mut desk = Desk::with(&["lead", "alice"]);
        desk.mode(mode);
        let sent = desk.send("lead", message("x", &["alice", "user"]));
        for refused in [claim(&mut desk, "system", "alice", &[sent]), desk.pull("alice", false)] {
            match (word, refused) {
                ("", done) => drop(done.unwrap()),
                (_, Ok(done)) => panic!("{mode:?} {done:?}"),
                (_, Err(error)) => {
                    assert_eq!(error.kind(), ErrorKind::Unavailable);
                    assert!(
                        error.to_string().contains(word) && error.to_string().contains("resume"),
                        "{error}"
                    );
                }
            }
            if word.is_empty() {
                break;
            }
        }
        assert_eq!(desk.pull("user", false).is_err(), user_too, "{mode:?}");
        desk.mode(GroupMode::Active);
        assert!(desk.pull("alice", false).is_ok());
    }
}

#[test]
fn a_pull_is_one_event_and_reading_another() {
    let mut desk = Desk::with(&["lead", "alice"]);
    let one = desk.send("lead", message("x", &["alice"]));
    assert_eq!(desk.pull("alice", false).unwrap().kinds(), ["runtime.delivery"]);
    assert_eq!(desk.receipt(one, "alice"), "alice: accepted by pull, unread, ack none, reply none");
    assert!(desk.pull("alice", false).unwrap().events.is_empty());
    let two = desk.send("lead", message("x", &["alice"]));
    assert_eq!(desk.pull("alice", true).unwrap().kinds(), ["runtime.delivery", "chat.read"]);
    assert!(desk.unread("alice").is_empty());
    assert_eq!(desk.receipts(two)[0].delivery.evidence, Some("inbox".into()));
    // Only one's own messages are taken, whatever is named.
    let ids = desk.events().iter().map(|event| event.id).collect();
    assert!(desk.run("user", Command::Pull { events: ids, mark_read: true }).unwrap().events.is_empty());
}

#[test]
fn what_may_not_be_handed_over_is_withheld_at_every_door() {
    let soon = |desk: &Desk| Some(desk.now.after(Duration::from_secs(10)));
    type Make = fn(&mut Desk, Seq) -> SendMessage;
    let cases: [(&str, Make); 4] = [
        ("expired", |_, _| message("x", &["alice"])),
        ("precondition", |d, other| {
            let event_id = d.event(other).unwrap().id;
            SendMessage { not_if: vec![NotIf::Retracted { event_id }], ..message("x", &["alice"]) }
        }),
        ("precondition", |_, _| SendMessage {
            not_if: vec![NotIf::DeadlineOver],
            reply_within: Some(Duration::from_secs(10)),
            ..message("x", &["alice"])
        }),
        ("superseded condition", |d, other| {
            let event_id = d.event(other).unwrap().id;
            SendMessage { not_if: vec![NotIf::Superseded { event_id }], ..message("x", &["alice"]) }
        }),
    ];
    for (word, make) in cases {
        for pull in [true, false] {
            let mut desk = Desk::with(&["lead", "alice"]);
            let other = desk.send("lead", message("other", &["user"]));
            let mut send = make(&mut desk, other);
            if word == "expired" {
                send.expires_at = soon(&desk);
            }
            let sent = desk.send("lead", send);
            assert_eq!(desk.unread("alice"), [sent.0]);
            desk.wait(11);
            desk.run("lead", Command::Retract { event: event(other), reason: String::new() }).unwrap();
            if word == "superseded condition" {
                assert_eq!(desk.unread("alice"), [sent.0], "retracted is not superseded");
                continue;
            }
            assert!(desk.unread("alice").is_empty(), "{word}: not listed");
            let done =
                if pull { desk.pull("alice", true) } else { claim(&mut desk, "system", "alice", &[sent]) };
            assert_eq!(done.unwrap().kinds(), ["runtime.delivery"]);
            assert!(desk.receipt(sent, "alice").starts_with(&format!("alice: withheld ({word}), unread")));
            assert!(desk.state().mailbox(&who("alice")).unwrap().unread.is_empty());
        }
    }
    // Once handed over, it stays.
    let mut desk = Desk::with(&["lead", "alice"]);
    let expires_at = soon(&desk);
    let sent = desk.send("lead", SendMessage { expires_at, ..message("x", &["alice"]) });
    desk.pull("alice", false).unwrap();
    desk.wait(11);
    assert_eq!(desk.unread("alice"), [sent.0]);
    assert!(desk.pull("alice", false).unwrap().events.is_empty());
}

/// A push to alice of one message, which has got so far.
fn tried(steps: &[Outcome]) -> (Desk, Seq, EventId) {
    let mut desk = Desk::with(&["lead", "alice"]);
    session(&mut desk, "alice", "s1");
    let sent = desk.send("lead", message("x", &["alice"]));
    let delivery = claim(&mut desk, "svc:host", "alice", &[sent]).unwrap().events[0].id;
    for step in steps {
        settle(&mut desk, "svc:host", delivery, step.clone()).unwrap();
    }
    (desk, sent, delivery)
}

fn seen(by: Witness) -> Outcome {
    Outcome::Accepted { by: Some(by), evidence: "entry 9".into() }
}

#[test]
fn each_step_says_what_was_seen_and_later_evidence_is_added() {
    let (mut desk, sent, delivery) = tried(&[]);
    let steps = [
        (Outcome::Handed("m1".into()), "alice: handed through push, unread"),
        (Outcome::Queued("q1".into()), "alice: queued through push, unread"),
        (Outcome::accepted("turn 7"), "alice: accepted by runtime, through push, unread"),
        (seen(Witness::Transcript), "alice: accepted by transcript, through push, unread"),
        (
            Outcome::Answered { by: Some(Witness::Transcript), evidence: "entry 10".into() },
            "alice: answered by transcript, through push, unread",
        ),
    ];
    for (at, (step, line)) in steps.iter().enumerate() {
        settle(&mut desk, "svc:host", delivery, step.clone()).unwrap();
        let receipt = desk.receipt(sent, "alice");
        assert!(receipt.starts_with(line), "{receipt}");
        assert_eq!(claim(&mut desk, "svc:b", "alice", &[sent]).unwrap_err().kind(), ErrorKind::Conflict);
        // What says less adds nothing.
        for (earlier, _) in &steps[..at] {
            assert!(settle(&mut desk, "svc:host", delivery, earlier.clone()).unwrap().duplicate.is_some());
        }
    }
    let receipt = desk.receipts(sent).remove(0);
    let words: Vec<_> = receipt.delivery.steps.iter().map(|step| step.state.as_str()).collect();
    assert_eq!(words, ["handed", "queued", "accepted", "accepted"]);
    assert_eq!(receipt.delivery.steps[3].evidence, Some("entry 9".into()));
    assert!(desk.pull("alice", false).unwrap().events.is_empty(), "it has it");
}

#[test]
fn a_proof_names_what_was_seen() {
    let (mut desk, _, delivery) = tried(&[]);
    let bare = Outcome::Accepted { by: Some(Witness::Replay), evidence: Value::Null };
    assert_eq!(settle(&mut desk, "svc:host", delivery, bare).unwrap_err().kind(), ErrorKind::Invalid);
    settle(&mut desk, "svc:host", delivery, Outcome::accepted(Value::Null)).unwrap();
}

#[test]
fn a_pull_shows_what_is_on_its_way_and_settles_it() {
    for step in [
        Outcome::Handed("m1".into()),
        Outcome::Queued("q1".into()),
        Outcome::Held("its user has to answer a question".into()),
    ] {
        let (mut desk, sent, delivery) = tried(std::slice::from_ref(&step));
        let pulled = desk.pull("alice", false).unwrap();
        assert_eq!(pulled.kinds(), ["runtime.delivery"], "{step:?}");
        let receipt = desk.receipt(sent, "alice");
        assert!(receipt.starts_with("alice: accepted by pull, unread"), "{receipt}");
        // The evidence of the push comes late, and makes no second copy.
        settle(&mut desk, "svc:host", delivery, seen(Witness::NativeEvent)).unwrap();
        assert_eq!(claim(&mut desk, "svc:host", "alice", &[sent]).unwrap_err().kind(), ErrorKind::Conflict);
    }
}

#[test]
fn what_was_taken_back_is_told_once_more() {
    let back = || Outcome::Withdrawn("its user cleared the queue".into());
    for steps in
        [vec![], vec![Outcome::Handed("m".into())], vec![Outcome::Queued("q".into())], vec![accepted()]]
    {
        let (mut desk, sent, first) = tried(&steps);
        settle(&mut desk, "svc:host", first, back()).unwrap();
        let receipt = desk.receipt(sent, "alice");
        assert!(receipt.starts_with("alice: withdrawn through push (its user cleared the queue), unread"));
        let second = claim(&mut desk, "svc:host", "alice", &[sent]).unwrap().events[0].clone();
        let Body::RuntimeDelivery(claimed) = &second.body else { panic!() };
        assert_eq!(claimed.again, claimed.event_ids, "it is marked as told before");
        assert_ne!(second.id, first, "a try of its own");
        settle(&mut desk, "svc:host", second.id, back()).unwrap();
        let error = claim(&mut desk, "svc:host", "alice", &[sent]).unwrap_err();
        assert!(error.to_string().contains("taken back twice"), "{error}");
        assert_eq!(desk.clone().pull("alice", false).unwrap().events.len(), 1, "who asks gets it");
        session(&mut desk, "alice", "s2");
        claim(&mut desk, "svc:host", "alice", &[sent]).unwrap();
    }
    let (mut desk, _, answered) = tried(&[Outcome::Answered { by: None, evidence: "turn 8".into() }]);
    assert_eq!(settle(&mut desk, "svc:host", answered, back()).unwrap_err().kind(), ErrorKind::Conflict);
}

#[test]
fn another_door_may_try_what_one_refused() {
    let (mut desk, sent, _) = tried(&[Outcome::Refused("too long for it".into())]);
    assert_eq!(claim(&mut desk, "svc:host", "alice", &[sent]).unwrap_err().kind(), ErrorKind::Conflict);
    let hook =
        Command::Claim { recipient: who("alice"), events: vec![event(sent)], transport: Transport::Hook };
    let claimed = desk.run("svc:hook", hook).unwrap().events.remove(0);
    let Body::RuntimeDelivery(claimed) = &claimed.body else { panic!() };
    assert!(claimed.again.is_empty(), "the first door has not told it");
}

#[test]
fn what_a_door_holds_goes_on_or_is_in_doubt_when_it_dies() {
    let (mut desk, sent, delivery) = tried(&[Outcome::Held("a dialog is open".into())]);
    let receipt = desk.receipt(sent, "alice");
    assert!(receipt.starts_with("alice: held through push (a dialog is open), unread"), "{receipt}");
    let retry = Command::Retry { event: event(sent), recipient: who("alice") };
    assert_eq!(desk.run("lead", retry.clone()).unwrap_err().kind(), ErrorKind::Refused, "it may still go on");
    settle(&mut desk, "svc:host", delivery, Outcome::Handed("m1".into())).unwrap();
    // Nobody sees it arrive, and somebody asks for another try.
    desk.run("lead", retry).unwrap();
    let second = claim(&mut desk, "svc:host", "alice", &[sent]).unwrap().events.remove(0);
    let Body::RuntimeDelivery(claimed) = &second.body else { panic!() };
    assert_eq!(claimed.again.len(), 1);
}

#[test]
fn in_a_new_session_what_was_on_its_way_is_in_doubt_and_told_again() {
    for step in
        [Outcome::Handed("m1".into()), Outcome::Queued("q1".into()), Outcome::Held("a dialog is open".into())]
    {
        let (mut desk, sent, _) = tried(&[step]);
        session(&mut desk, "alice", "s2");
        let receipt = desk.receipt(sent, "alice");
        assert!(receipt.starts_with("alice: ambiguous through push (a new session began"), "{receipt}");
        let claimed = claim(&mut desk, "svc:host", "alice", &[sent]).unwrap().events.remove(0);
        let Body::RuntimeDelivery(claimed) = &claimed.body else { panic!() };
        assert_eq!(claimed.again.len(), 1);
    }
}
