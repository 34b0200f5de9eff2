//! What is worth saying when.

use super::*;
use crate::command::{Command, OpenSession, Outcome, SendMessage};
use crate::event::{GroupMode, GroupSetState, Priority, Transport};
use crate::rule::desk::{Desk, message};

fn desk() -> Desk {
    let mut desk = Desk::with(&["lead", "alice"]);
    let open = OpenSession { session: "s1".into(), ..OpenSession::default() };
    desk.run("alice", Command::OpenSession(open)).unwrap();
    desk
}

/// Sends, and answers where it stands.
fn send(desk: &mut Desk, send: SendMessage) -> Seq {
    desk.run("lead", Command::Send(send)).unwrap().events.last().unwrap().seq
}

fn of(priority: Priority) -> SendMessage {
    SendMessage { priority, ..message("x", &["alice"]) }
}

fn within(seconds: u64) -> SendMessage {
    SendMessage { reply_within: Some(Duration::from_secs(seconds)), ..message("x", &["alice"]) }
}

fn told(desk: &Desk, moment: Moment, said: &Said) -> Chosen {
    choose(desk.state(), &"alice".parse().unwrap(), moment, said, desk.now)
}

fn hand(desk: &mut Desk, seq: Seq) -> crate::id::EventId {
    let claim = Command::Claim {
        recipient: "alice".parse().unwrap(),
        events: vec![seq.into()],
        transport: Transport::Hook,
    };
    desk.run("svc:hook", claim).unwrap().events.first().unwrap().id
}

fn settle(desk: &mut Desk, delivery: crate::id::EventId, outcome: Outcome) {
    desk.run("svc:hook", Command::Settle { delivery, outcome }).unwrap();
}

#[test]
fn each_moment_has_its_mail() {
    let mut desk = desk();
    let normal = send(&mut desk, of(Priority::Normal));
    send(&mut desk, of(Priority::Low));
    let urgent = send(&mut desk, of(Priority::Attention));
    let later = send(&mut desk, within(3600));
    let soon = send(&mut desk, within(300));
    let all = vec![urgent, soon, normal, later];
    for (moment, expected) in [
        (Moment::Start, all.clone()),
        (Moment::Prompt, all.clone()),
        (Moment::BeforeTool, all.clone()),
        (Moment::Stop, all),
        (Moment::Tool, vec![urgent, soon]),
    ] {
        let chosen = told(&desk, moment, &Said::default());
        assert_eq!((chosen.hand, chosen.waiting), (expected, 5), "{moment:?}");
        assert!(chosen.owed.is_empty() && chosen.again.is_empty(), "said with the messages");
        assert_eq!(chosen.denies, moment == Moment::BeforeTool);
    }
    // What was far off comes near.
    desk.now = desk.now.after(Duration::from_secs(3100));
    assert!(told(&desk, Moment::Tool, &Said::default()).hand.contains(&later));
}

#[test]
fn what_was_handed_over_is_not_handed_over_again_and_what_may_have_been_is_named() {
    let mut desk = desk();
    let [failed, open, perhaps, seen] = [0, 1, 2, 3].map(|_| send(&mut desk, of(Priority::Normal)));
    let claims = [failed, open, perhaps, seen].map(|seq| hand(&mut desk, seq));
    assert!(told(&desk, Moment::Prompt, &Said::default()).is_silent(), "somebody is at it");
    settle(&mut desk, claims[0], Outcome::Failed("x".into()));
    settle(&mut desk, claims[2], Outcome::Ambiguous("x".into()));
    settle(&mut desk, claims[3], Outcome::accepted("x"));
    let chosen = told(&desk, Moment::Prompt, &Said::default());
    assert_eq!((chosen.hand, chosen.again), (vec![failed], vec![]));
    let chosen = told(&desk, Moment::Start, &Said::default());
    assert_eq!((chosen.hand, chosen.again), (vec![failed], vec![perhaps, seen]));
    // In the next session all is new, but for what is still under way.
    let open_next = OpenSession { session: "s2".into(), ..OpenSession::default() };
    desk.run("alice", Command::OpenSession(open_next)).unwrap();
    let chosen = told(&desk, Moment::Start, &Said::default());
    assert_eq!((chosen.hand, chosen.again), (vec![failed, open, perhaps, seen], vec![]));
}

#[test]
fn a_debt_is_named_once() {
    let mut desk = desk();
    let asked = send(&mut desk, within(60));
    let claim = hand(&mut desk, asked);
    settle(&mut desk, claim, Outcome::accepted("x"));
    let mut said = Said::default();
    for moment in [Moment::Tool, Moment::Stop] {
        assert_eq!(told(&desk, moment, &said).owed.len(), 1, "{moment:?}");
    }
    assert!(told(&desk, Moment::Prompt, &said).is_silent());
    said.named(Moment::Tool, [(asked, ObligationKind::Reply)]);
    assert!(told(&desk, Moment::Tool, &said).is_silent());
    assert_eq!(told(&desk, Moment::Stop, &said).owed.len(), 1, "a turn does not end over it");
    said.named(Moment::Stop, [(asked, ObligationKind::Reply)]);
    for moment in [Moment::Tool, Moment::Stop, Moment::Prompt] {
        assert!(told(&desk, moment, &said).is_silent(), "{moment:?}");
    }
    assert_eq!(told(&desk, Moment::Start, &said).owed.len(), 1);
}

#[test]
fn a_turn_ends_and_a_tool_is_used_in_the_end() {
    let mut desk = desk();
    let seq = send(&mut desk, of(Priority::Normal));
    for (stops, says) in [(0, true), (MAX_STOPS - 1, true), (MAX_STOPS, false)] {
        let said = Said { stops, ..Said::default() };
        assert_eq!(!told(&desk, Moment::Stop, &said).is_silent(), says, "{stops}");
    }
    for (denied, denies) in [
        (None, true),
        (Some((seq, MAX_DENIALS - 1)), true),
        (Some((seq, MAX_DENIALS)), false),
        (Some((Seq(seq.0 - 1), MAX_DENIALS)), true),
    ] {
        let said = Said { denied, ..Said::default() };
        assert_eq!(told(&desk, Moment::BeforeTool, &said).denies, denies, "{denied:?}");
    }
    let alice = "alice".parse().unwrap();
    assert_eq!(denied_for(desk.state(), &alice), Some(seq));
    let low = send(&mut desk, of(Priority::Low));
    assert_ne!(denied_for(desk.state(), &alice), Some(low));
}

#[test]
fn a_group_that_rests_is_silent() {
    let mut desk = desk();
    send(&mut desk, of(Priority::Attention));
    for state in [GroupMode::Paused, GroupMode::Stopped] {
        let set = GroupSetState { state, reason: String::new() };
        desk.run("user", Command::SetState(set)).unwrap();
        for moment in [Moment::Start, Moment::Prompt, Moment::BeforeTool, Moment::Tool, Moment::Stop] {
            assert!(told(&desk, moment, &Said::default()).is_silent(), "{state:?} {moment:?}");
        }
    }
}
