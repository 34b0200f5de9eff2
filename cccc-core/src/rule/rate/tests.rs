use proptest::prelude::*;

use super::*;
use crate::command::{Command, SendMessage};
use crate::error::{ErrorKind, Result};
use crate::event::{Body, Event, Transport};
use crate::rule::desk::{Desk, Done, event, message, who};
use crate::time::Timestamp;

fn push(desk: &mut Desk, to: &str, seq: Seq) -> Result<Done> {
    let claim = Command::Claim { recipient: who(to), events: vec![event(seq)], transport: Transport::Push };
    desk.run("system", claim)
}

/// Sends plain messages; answers which of them can be pushed.
fn chatter(desk: &mut Desk, by: &str, to: &str, count: usize) -> Vec<bool> {
    let pushed = |_| {
        let seq = desk.send(by, message("thanks", &[to]));
        push(desk, to, seq).is_ok()
    };
    (0..count).map(pushed).collect()
}

fn notices(desk: &Desk) -> Vec<SystemNotify> {
    let notice = |event: &'_ Event| match &event.body {
        Body::SystemNotify(notice) => Some(notice.clone()),
        _ => None,
    };
    desk.events().iter().filter_map(notice).collect()
}

#[test]
fn what_is_beyond_the_rate_is_stored_and_not_pushed() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    assert_eq!(chatter(&mut desk, "alice", "bob", RATE), [true; RATE]);
    let seq = desk.send("alice", message("thanks", &["bob", "lead"]));
    let refused = push(&mut desk, "bob", seq).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Refused);
    assert!(refused.to_string().contains("inbox"), "{refused}");
    // The other pair is another pair, in either direction.
    push(&mut desk, "lead", seq).unwrap();
    assert_eq!(chatter(&mut desk, "bob", "alice", 1), [true]);
    assert!(
        desk.receipt(seq, "bob").starts_with("bob: pending (beyond the rate"),
        "{}",
        desk.receipt(seq, "bob")
    );
    // It is there for whoever looks.
    assert!(desk.unread("bob").contains(&seq.0));
    desk.pull("bob", true).unwrap();
    assert!(desk.receipt(seq, "bob").contains("accepted by pull, read"), "{}", desk.receipt(seq, "bob"));
    assert!(desk.state().mailbox(&who("bob")).unwrap().quiet.is_empty());
}

#[test]
fn the_user_is_told_once_of_each_sender() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    chatter(&mut desk, "alice", "bob", RATE + 20);
    let told = notices(&desk);
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].notice.as_str(), &told[0].target), ("rate", &Some(Principal::User)));
    assert_eq!(desk.unread("user"), [0u64; 0], "a notice is never unread");
    assert_eq!(desk.event(told[0].related[0]).unwrap().body.kind(), "chat.message");
    desk.wait(24 * 60 * 60);
    chatter(&mut desk, "alice", "bob", RATE + 1);
    assert_eq!(notices(&desk).len(), 1, "not again until something happened");
    desk.send("user", message("go on", &["lead"]));
    chatter(&mut desk, "alice", "bob", RATE + 1);
    chatter(&mut desk, "bob", "alice", RATE + 1);
    assert_eq!(notices(&desk).len(), 3);
}

#[test]
fn counting_begins_anew() {
    let full = || {
        let mut desk = Desk::with(&["lead", "alice", "bob"]);
        chatter(&mut desk, "alice", "bob", RATE);
        desk
    };
    let over = [true; RATE].map(|_| false);
    assert_eq!(chatter(&mut full(), "alice", "bob", RATE), over);
    let mut after_a_while = full();
    after_a_while.wait(599);
    assert_eq!(chatter(&mut after_a_while, "alice", "bob", 1), [false]);
    after_a_while.wait(1);
    assert_eq!(chatter(&mut after_a_while, "alice", "bob", RATE), [true; RATE]);
    let mut after_the_user = full();
    after_the_user.send("user", message("go on", &["lead"]));
    assert_eq!(chatter(&mut after_the_user, "alice", "bob", RATE + 1)[RATE - 1..], [true, false]);
    let mut set_back = full();
    set_back.now = Timestamp::from_millis(set_back.now.as_millis() - 3_600_000);
    assert_eq!(chatter(&mut set_back, "alice", "bob", 1), [true], "a clock that was set back mutes nobody");
}

#[test]
fn the_user_has_no_limit_and_low_priority_does_not_count() {
    let mut desk = Desk::with(&["lead", "alice"]);
    assert!(!chatter(&mut desk, "user", "alice", RATE * 2).contains(&false));
    let low = SendMessage { priority: Priority::Low, ..message("fyi", &["alice"]) };
    for _ in 0..RATE {
        desk.send("lead", low.clone());
    }
    assert_eq!(chatter(&mut desk, "lead", "alice", RATE + 1)[RATE - 1..], [true, false]);
}

#[test]
fn a_reply_that_is_owed_is_pushed() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    let question = |to| SendMessage { reply_required: true, ..message("why?", &[to]) };
    let asked: Vec<Seq> = (0..6).map(|_| desk.send("bob", question("alice"))).collect();
    chatter(&mut desk, "alice", "bob", RATE);
    type Change = fn(&mut SendMessage);
    let answer = |seq, change: Change| {
        let mut reply = SendMessage { reply_to: Some(event(seq)), ..message("because", &["bob"]) };
        change(&mut reply);
        reply
    };
    let cases: [(&str, Change, bool); 5] = [
        ("the answer", |_| {}, true),
        ("the answer to somebody else as well", |m| m.to.push("lead".into()), true),
        ("word of progress", |m| m.progress = true, false),
        ("a question in turn", |m| m.reply_required = true, false),
        ("a call in turn", |m| m.priority = Priority::Attention, false),
    ];
    for ((what, change, pushed), asked) in cases.into_iter().zip(&asked) {
        let seq = desk.send("alice", answer(*asked, change));
        assert_eq!(push(&mut desk, "bob", seq).is_ok(), pushed, "{what}");
    }
    // Answered before, it is owed no more.
    let again = desk.send("alice", answer(asked[0], |_| {}));
    assert!(push(&mut desk, "bob", again).is_err());
}

#[test]
fn a_chain_of_answers_is_followed_so_deep() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    let mut last = desk.send("lead", message("begin", &["alice"]));
    last = desk.send("alice", SendMessage { reply_to: Some(event(last)), ..message("yes", &["bob"]) });
    let depth = |desk: &Desk, seq| desk.event(seq).unwrap().message().unwrap().depth;
    for step in 2..=MAX_DEPTH + 3 {
        let (by, to) = if step % 2 == 0 { ("bob", "alice") } else { ("alice", "bob") };
        // Slowly enough for the rate.
        desk.wait(60);
        last = desk.reply(by, last, false);
        assert_eq!(depth(&desk, last), step);
        assert_eq!(push(&mut desk, to, last).is_ok(), step <= MAX_DEPTH, "{step}");
    }
    assert_eq!(notices(&desk).len(), 2, "one of each of the two");
    desk.send("user", message("fine", &["lead"]));
    last = desk.reply("alice", last, false);
    assert_eq!(depth(&desk, last), 1);
    last = desk.reply("user", last, false);
    assert_eq!(depth(&desk, last), 0);
    last = desk.reply("alice", last, false);
    assert_eq!(depth(&desk, last), 1);
}

#[derive(Clone, Debug)]
enum Step {
    Say { by: usize, to: usize, answers: bool, owed: bool },
    User,
    Wait(u64),
    Remove(usize),
    Redact(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        40 => (0..3usize, 0..3usize, any::<bool>(), prop::bool::weighted(0.1))
            .prop_map(|(by, to, answers, owed)| Step::Say { by, to, answers, owed }),
        1 => Just(Step::User),
        6 => (1..240u64).prop_map(Step::Wait),
        1 => (1..3usize).prop_map(Step::Remove),
        1 => (0..100usize).prop_map(Step::Redact),
    ]
}

const NAMES: [&str; 3] = ["lead", "alice", "bob"];

/// One message as the naive count sees it.
struct Sent {
    by: Principal,
    to: Principal,
    at: Timestamp,
    seq: Seq,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever is said, no window has more pushes of a pair than the rate, but for what was owed.
    #[test]
    fn a_rate_is_never_exceeded_by_pushes(steps in prop::collection::vec(step(), 1..300)) {
        let mut desk = Desk::with(&NAMES);
        let (mut sent, mut since, mut last): (Vec<Sent>, Seq, Option<(Seq, usize)>) = (Vec::new(), Seq(0), None);
        for step in steps {
            match step {
                Step::Say { by, to, .. } if by == to => {}
                Step::Say { by, to, answers, owed } => {
                    let reply_to = last.filter(|(_, from)| answers && *from == to).map(|(seq, _)| event(seq));
                    let send = SendMessage { reply_to: reply_to.clone(), reply_required: owed, ..message("x", &[NAMES[to]]) };
                    let exempt = !owed && reply_to.is_some_and(|answered| {
                        desk.owed().contains(&format!("{} reply {}", NAMES[by], answered.seq()))
                    });
                    let seq = desk.send(NAMES[by], send);
                    last = Some((seq, by));
                    let (by, to) = (who(NAMES[by]), who(NAMES[to]));
                    let pushed = push(&mut desk, &to.to_string(), seq).is_ok();
                    let now = desk.now;
                    let recent = sent.iter().filter(|one| {
                        one.by == by && one.to == to && one.seq > since && now.since(one.at) < RATE_WINDOW
                    });
                    let deep = desk.event(seq).unwrap().message().unwrap().depth > MAX_DEPTH;
                    // Both ways: neither too much is pushed nor too little.
                    prop_assert_eq!(pushed, exempt || (recent.count() < RATE && !deep));
                    if pushed {
                        sent.push(Sent { by, to, at: desk.now, seq });
                    }
                }
                Step::User => since = desk.send("user", message("word", &["lead"])),
                Step::Wait(seconds) => desk.wait(seconds),
                Step::Remove(actor) => {
                    let id: crate::id::ActorId = NAMES[actor].parse().unwrap();
                    let remove = crate::event::ActorRemove { actor_id: id.clone(), reason: String::new(), successor: None };
                    desk.run("user", Command::RemoveActor(remove)).unwrap();
                    desk.run("user", Command::AddActor(crate::command::AddActor::new(id))).unwrap();
                    sent.retain(|one| one.by != who(NAMES[actor]) && one.to != who(NAMES[actor]));
                    last = None;
                }
                Step::Redact(back) => {
                    let messages: Vec<Seq> = desk.events().iter().filter(|e| e.message().is_some()).map(|e| e.seq).collect();
                    let Some(seq) = messages.iter().rev().nth(back).copied() else { continue };
                    desk.run("user", Command::Redact { event: event(seq), reason: String::new() }).unwrap();
                    desk.forget(seq);
                    sent.retain(|one| one.seq != seq);
                    last = last.filter(|(last, _)| *last != seq);
                }
            }
        }
        prop_assert_eq!(desk.state(), &desk.rebuilt());
        let saved = desk.state().to_bytes().unwrap();
        prop_assert_eq!(desk.state(), &GroupState::from_bytes(&saved).unwrap());
        let told = notices(&desk);
        let keys: std::collections::BTreeSet<&str> = told.iter().map(|notice| notice.key.as_str()).collect();
        prop_assert_eq!(keys.len(), told.len(), "no notice twice");
    }
}

#[test]
fn who_gets_on_with_a_task_may_talk_again() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    let task =
        crate::command::AddTask { title: "x".into(), owner: Some("alice".into()), ..Default::default() };
    let id = crate::id::TaskId(desk.run("lead", Command::AddTask(task)).unwrap().seq());
    assert_eq!(chatter(&mut desk, "alice", "bob", RATE + 1)[RATE - 1..], [true, false]);
    let change = |change| {
        Command::UpdateTask(crate::command::UpdateTask {
            task_id: id,
            changes: vec![change],
            base_version: None,
        })
    };
    desk.run("alice", change(crate::event::TaskOp::Note { text: "still at it".into() })).unwrap();
    assert_eq!(chatter(&mut desk, "alice", "bob", 1), [false], "a note is talk");
    desk.run("alice", change(crate::event::TaskOp::Start {})).unwrap();
    assert_eq!(chatter(&mut desk, "alice", "bob", RATE + 1)[RATE - 1..], [true, false]);
    assert_eq!(notices(&desk).iter().filter(|notice| notice.notice == "rate").count(), 2);
}
