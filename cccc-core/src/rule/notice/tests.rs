use super::*;
use crate::command::{Command, SendMessage};
use crate::error::ErrorKind;
use crate::event::{GroupMode, Priority};
use crate::rule::desk::{Desk, event, message, who};
use crate::rule::policy;
use crate::state::MAX_NOTICES;

fn shown(desk: &Desk, name: &str) -> Vec<String> {
    let views =
        unseen(desk.state(), &who(name)).into_iter().map(|seq| view(desk.event(seq).unwrap()).unwrap());
    views.map(|view| view.words).collect()
}

fn vote(desk: &mut Desk, by: &str, subject: &str) {
    let within = std::time::Duration::from_secs(60);
    desk.run(by, Command::OpenVote { subject: subject.into(), voters: vec![], within }).unwrap();
}

#[test]
fn a_notice_waits_until_it_was_shown_and_is_no_mail() {
    let mut desk = Desk::with(&["lead", "alice"]);
    vote(&mut desk, "lead", "Now?");
    let seqs = unseen(desk.state(), &who("alice"));
    assert_eq!(seqs.len(), 1);
    let opened = seqs[0].0 - 1;
    assert_eq!(shown(&desk, "alice"), [format!("your vote is asked for: `cccc vote show v{opened}`")]);
    assert!(desk.unread("alice").is_empty() && shown(&desk, "lead").is_empty(), "who asks is not told");
    let see = |through| Command::SeeNotices { through };
    assert!(desk.run("alice", see(Seq(seqs[0].0 - 1))).unwrap().events.is_empty(), "before it");
    assert_eq!(desk.run("svc:x", see(seqs[0])).unwrap_err().kind(), ErrorKind::Refused);
    desk.mode(GroupMode::Paused);
    assert_eq!(desk.run("alice", see(seqs[0])).unwrap_err().kind(), ErrorKind::Unavailable);
    desk.mode(GroupMode::Active);
    assert_eq!(desk.run("alice", see(seqs[0])).unwrap().kinds(), ["system.seen"]);
    assert!(desk.run("alice", see(seqs[0])).unwrap().events.is_empty());
    assert!(shown(&desk, "alice").is_empty());
    assert_eq!(&desk.rebuilt(), desk.state());
}

#[test]
fn of_many_the_newest_wait() {
    let mut desk = Desk::with(&["lead", "alice"]);
    for n in 0..MAX_NOTICES + 5 {
        vote(&mut desk, "lead", &format!("{n}?"));
    }
    let seqs = unseen(desk.state(), &who("alice"));
    assert_eq!(seqs.len(), MAX_NOTICES);
    assert_eq!(seqs.last().copied(), Some(desk.state().position().seq));
}

#[test]
fn every_notice_of_a_policy_says_whom_it_is_about() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    let within = Some(std::time::Duration::from_secs(60));
    let asks =
        SendMessage { priority: Priority::Attention, reply_within: within, ..message("?", &["alice"]) };
    let sent = desk.send("bob", asks);
    for _ in 0..4 {
        desk.wait(20 * 60);
        for effect in policy::due(desk.state(), desk.now) {
            let policy::Effect::Notify(reminder) = effect else { continue };
            desk.run("system", Command::Notify { key: reminder.key }).unwrap();
        }
    }
    let mut to_alice = shown(&desk, "alice");
    to_alice.sort();
    assert_eq!(
        to_alice,
        [
            format!("message {sent} asks for your attention: `cccc ack {sent}`"),
            "messages wait for you: `cccc inbox`".into(),
            format!("your reply for {sent} is overdue: `cccc obligations`"),
        ]
    );
    let mut to_lead = shown(&desk, "lead");
    to_lead.sort();
    let attention = format!("alice has not taken note of message {sent}, which asks for attention");
    assert_eq!(to_lead, [attention, format!("the reply that alice owes for {sent} is overdue")]);
    assert_eq!(shown(&desk, "bob"), [format!("the reply that alice owes for {sent} is overdue")]);
    desk.run("alice", Command::Ack { event: event(sent) }).unwrap();
}

#[test]
fn votes_and_departures_are_told_in_words() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    vote(&mut desk, "bob", "Now?");
    let id = unseen(desk.state(), &who("alice"))[0];
    let id = crate::id::VoteId(Seq(id.0 - 1));
    for by in ["alice", "lead"] {
        let choice = crate::event::Choice::Yes;
        desk.run(by, Command::CastVote { vote: id, choice, reason: String::new() }).unwrap();
    }
    assert_eq!(shown(&desk, "bob"), [format!("the vote that you asked for is over: `cccc vote show {id}`")]);
    let sent = desk.send("bob", message("x", &["alice"]));
    let actor_id = "alice".parse().unwrap();
    let remove = crate::event::ActorRemove { actor_id, reason: String::new(), successor: None };
    desk.run("user", Command::RemoveActor(remove)).unwrap();
    let last = shown(&desk, "bob").pop();
    let expected = format!("alice has left without reading or answering {sent}: `cccc receipts {sent}`");
    assert_eq!(last, Some(expected));
}
