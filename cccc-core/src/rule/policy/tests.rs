use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::command::{Command, OpenSession, SendMessage};
use crate::error::ErrorKind;
use crate::event::{Body, GroupMode, GroupUpdate, Priority};
use crate::rule::desk::{Desk, event, message, who};

const MINUTES: u64 = 60;

/// Carries out everything that is due; answers `target: key`.
fn speak(desk: &mut Desk) -> Vec<String> {
    let before = desk.events().len();
    for effect in due(desk.state(), desk.now) {
        if let Effect::Notify(reminder) = effect {
            desk.run("system", Command::Notify { key: reminder.key }).unwrap();
        }
    }
    desk.events()[before..].iter().map(|event| said(&event.body)).collect()
}

fn said(body: &Body) -> String {
    let Body::SystemNotify(notice) = body else { panic!("{body:?}") };
    assert_eq!(notice.text, None);
    let target = notice.target.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("{target}: {} {}", notice.notice, notice.level)
}

fn set(desk: &mut Desk, name: &str, value: Value) -> Result<()> {
    let settings = BTreeMap::from([(name.to_owned(), value)]);
    desk.run("user", Command::UpdateGroup(GroupUpdate { settings, ..GroupUpdate::default() })).map(drop)
}

fn attention() -> SendMessage {
    SendMessage { priority: Priority::Attention, ..message("look", &["alice"]) }
}

fn within(minutes: u64, to: &str) -> SendMessage {
    SendMessage { reply_within: Some(Duration::from_secs(minutes * MINUTES)), ..message("?", &[to]) }
}

fn session(desk: &mut Desk, by: &str, name: &str) {
    let open = OpenSession { session: name.into(), runtime: "x".into(), ..OpenSession::default() };
    desk.run(by, Command::OpenSession(open)).unwrap();
}

fn close(desk: &mut Desk, by: &str, name: &str) {
    desk.run(by, Command::CloseSession { session: name.into(), reason: None }).unwrap();
}

#[test]
fn unread_mail_is_spoken_of_once() {
    let mut desk = Desk::with(&["lead", "alice"]);
    let begin = desk.now;
    desk.send("lead", message("one", &["alice"]));
    desk.wait(5 * MINUTES);
    desk.send("lead", message("two", &["alice"]));
    assert_eq!(next_deadline(desk.state(), desk.now), Some(begin.after(Duration::from_secs(15 * MINUTES))));
    desk.wait(10 * MINUTES - 1);
    assert_eq!(speak(&mut desk), [""; 0]);
    desk.wait(1);
    assert_eq!(speak(&mut desk), ["alice: unread 1"]);
    desk.wait(60 * MINUTES);
    assert_eq!(speak(&mut desk), [""; 0], "both were meant");
    desk.send("lead", message("three", &["alice"]));
    desk.wait(15 * MINUTES);
    assert_eq!(speak(&mut desk), ["alice: unread 1"], "what came since is new");
    // A new session has not heard of any of it.
    session(&mut desk, "alice", "s1");
    assert_eq!(speak(&mut desk), [""; 0], "it has only begun");
    desk.wait(15 * MINUTES);
    assert_eq!(speak(&mut desk), ["alice: unread 1"]);
    desk.wait(60 * MINUTES);
    assert_eq!((speak(&mut desk), next_deadline(desk.state(), desk.now)), (Vec::new(), None));
}

#[test]
fn a_look_or_an_answer_in_between_cancels() {
    let mut desk = Desk::with(&["lead", "alice"]);
    let seq = desk.send("lead", attention());
    let later = desk.send("lead", within(10, "alice"));
    desk.wait(20 * MINUTES);
    let keys = due(desk.state(), desk.now).into_iter().map(|effect| match effect {
        Effect::Notify(reminder) => reminder.key,
        Effect::Fire(_) | Effect::Relay(_) => panic!(),
    });
    let keys: Vec<String> = keys.collect();
    assert_eq!(keys.len(), 3, "{keys:?}");
    desk.pull("alice", false).unwrap();
    desk.reply("alice", seq, false);
    desk.reply("alice", later, false);
    for key in keys {
        assert_eq!(desk.run("system", Command::Notify { key }).unwrap().kinds(), [""; 0]);
    }
    assert_eq!(speak(&mut desk), [""; 0]);
}

#[test]
fn attention_is_escalated_to_the_foreman_once() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    let seq = desk.send("bob", attention());
    desk.pull("alice", true).unwrap();
    desk.wait(5 * MINUTES);
    assert_eq!(speak(&mut desk), ["alice: attention 1"], "reading is not taking note");
    desk.wait(5 * MINUTES - 1);
    assert_eq!(speak(&mut desk), [""; 0]);
    desk.wait(1);
    assert_eq!(speak(&mut desk), ["lead: attention 2"]);
    desk.wait(60 * 24 * MINUTES);
    assert_eq!(speak(&mut desk), [""; 0], "then silence");
    desk.run("alice", Command::Ack { event: event(seq) }).unwrap();
    // The foreman's own is the user's to hear of.
    desk.send("bob", SendMessage { to: vec!["lead".into()], ..attention() });
    desk.pull("lead", true).unwrap();
    desk.wait(5 * MINUTES);
    assert_eq!(speak(&mut desk), ["lead: attention 1"]);
    desk.wait(5 * MINUTES);
    assert_eq!(speak(&mut desk), ["user: attention 2"]);
}

#[test]
fn an_overdue_reply_goes_to_the_debtor_then_to_asker_and_foreman() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    desk.send("bob", within(30, "alice"));
    desk.pull("alice", true).unwrap();
    desk.wait(30 * MINUTES);
    assert_eq!(speak(&mut desk), [""; 0], "not at its deadline, after it");
    desk.wait(1);
    assert_eq!(speak(&mut desk), ["alice: reply 1"]);
    desk.wait(15 * MINUTES);
    assert_eq!(speak(&mut desk), ["bob: reply 2", "lead: reply 2"]);
    desk.wait(60 * 24 * MINUTES);
    assert_eq!(speak(&mut desk), [""; 0]);
    // One notice where asker and foreman are one.
    desk.send("lead", within(30, "alice"));
    desk.pull("alice", true).unwrap();
    desk.wait(31 * MINUTES);
    assert_eq!(speak(&mut desk), ["alice: reply 1"]);
    desk.wait(15 * MINUTES);
    assert_eq!(speak(&mut desk), ["lead: reply 2"]);
    // The user is never reminded; the asker learns of it once.
    desk.send("bob", within(1, "user"));
    desk.wait(2 * MINUTES);
    assert_eq!(speak(&mut desk), ["bob: reply 2"]);
    desk.wait(60 * 24 * MINUTES);
    assert_eq!(speak(&mut desk), [""; 0]);
}

#[test]
fn who_ended_its_session_is_not_reminded_but_reported() {
    let mut desk = Desk::with(&["lead", "alice"]);
    session(&mut desk, "alice", "s1");
    desk.send("lead", attention());
    desk.send("lead", within(30, "alice"));
    close(&mut desk, "alice", "s1");
    desk.wait(9 * MINUTES);
    assert_eq!(speak(&mut desk), [""; 0]);
    desk.wait(MINUTES);
    assert_eq!(speak(&mut desk), ["lead: attention 2"]);
    desk.wait(60 * MINUTES);
    assert_eq!(speak(&mut desk), ["lead: reply 2"]);
    assert_eq!(next_deadline(desk.state(), desk.now), None);
}

#[test]
fn pauses_stop_the_clocks_and_only_an_active_group_is_spoken_to() {
    for mode in [GroupMode::Idle, GroupMode::Paused, GroupMode::Stopped, GroupMode::Archived] {
        let mut desk = Desk::with(&["lead", "alice"]);
        desk.send("lead", attention());
        desk.wait(4 * MINUTES);
        desk.mode(mode);
        desk.wait(60 * MINUTES);
        assert_eq!((speak(&mut desk), next_deadline(desk.state(), desk.now)), (Vec::new(), None), "{mode:?}");
        desk.mode(GroupMode::Active);
        if mode == GroupMode::Paused {
            assert_eq!(speak(&mut desk), [""; 0]);
            let next = desk.now.after(Duration::from_secs(MINUTES));
            assert_eq!(next_deadline(desk.state(), desk.now), Some(next));
            desk.now = next;
            assert_eq!(speak(&mut desk), ["alice: attention 1"]);
        } else {
            assert_eq!(speak(&mut desk), ["alice: attention 1", "alice: unread 1"], "{mode:?}");
        }
    }
}

#[test]
fn the_busy_are_left_alone() {
    let mut desk = Desk::with(&["lead", "alice"]);
    desk.send("lead", within(1, "alice"));
    desk.wait(20 * MINUTES);
    let busy = BTreeSet::from(["alice".parse().unwrap()]);
    assert_eq!(due(desk.state(), desk.now).len(), 2);
    assert_eq!(due_besides(desk.state(), &busy, desk.now), []);
}

#[test]
fn what_is_quiet_is_not_spoken_of() {
    let mut desk = Desk::with(&["lead", "alice"]);
    desk.send("lead", SendMessage { priority: Priority::Low, ..message("fyi", &["alice"]) });
    let soon = Some(desk.now.after(Duration::from_secs(MINUTES)));
    desk.send("lead", SendMessage { expires_at: soon, ..message("now or never", &["alice"]) });
    desk.wait(60 * MINUTES);
    assert_eq!(speak(&mut desk), [""; 0]);
}

#[test]
fn a_circle_is_reported_once() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    let ask = |desk: &mut Desk, by: &str, to: &str| {
        desk.send(by, SendMessage { reply_required: true, ..message("?", &[to]) });
        desk.pull(to, true).unwrap();
    };
    ask(&mut desk, "alice", "bob");
    ask(&mut desk, "bob", "alice");
    assert_eq!(speak(&mut desk), [""; 0], "for a moment it may be");
    desk.wait(MINUTES);
    assert_eq!(speak(&mut desk), ["lead: cycle 1"]);
    desk.wait(60 * 24 * MINUTES);
    assert_eq!(speak(&mut desk), [""; 0]);
    ask(&mut desk, "bob", "lead");
    ask(&mut desk, "lead", "bob");
    desk.wait(MINUTES);
    assert_eq!(speak(&mut desk), [""; 0], "the knot is the same until it is cut");
}

#[test]
fn idleness_and_silence_are_off_unless_wanted() {
    let mut desk = Desk::with(&["lead", "alice"]);
    session(&mut desk, "alice", "s1");
    desk.send("lead", SendMessage { reply_required: true, ..message("?", &["alice"]) });
    desk.pull("alice", true).unwrap();
    desk.wait(60 * MINUTES);
    assert_eq!(speak(&mut desk), [""; 0]);
    for name in ["idle", "keepalive", "silence"] {
        set(&mut desk, &format!("policy.{name}_ms"), (600_000).into()).unwrap();
    }
    assert_eq!(speak(&mut desk), ["lead: idle 1", "alice: keepalive 1"], "the user has just spoken");
    desk.wait(10 * MINUTES);
    assert_eq!(speak(&mut desk), ["lead: silence 1"]);
    desk.wait(60 * 24 * MINUTES);
    assert_eq!(speak(&mut desk), [""; 0]);
    desk.send("alice", message("here", &["lead"]));
    desk.pull("lead", true).unwrap();
    desk.wait(10 * MINUTES);
    let mut again = speak(&mut desk);
    again.sort();
    assert_eq!(again, ["alice: keepalive 1", "lead: idle 1", "lead: silence 1"]);
}

#[test]
fn settings_change_and_turn_off() {
    let mut desk = Desk::with(&["lead", "alice"]);
    desk.send("lead", attention());
    desk.wait(2 * MINUTES);
    set(&mut desk, "policy.attention_ms", 60_000.into()).unwrap();
    set(&mut desk, "policy.unread_ms", 0.into()).unwrap();
    assert_eq!(speak(&mut desk), ["alice: attention 1"]);
    desk.wait(60 * MINUTES);
    assert_eq!(speak(&mut desk), ["lead: attention 2"]);
    set(&mut desk, "policy.unread_ms", Value::Null).unwrap();
    assert_eq!(speak(&mut desk), ["alice: unread 1"]);
    for (name, value) in [
        ("policy.unred_ms", 1.into()),
        ("policy.unread", 1.into()),
        ("policy.unread_ms", (-1).into()),
        ("policy.unread_ms", "15m".into()),
        ("policy.unread_ms", 86_400_001.into()),
    ] {
        let error = set(&mut desk, name, value).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{name}: {error}");
    }
}

#[test]
fn only_the_host_speaks() {
    let mut desk = Desk::with(&["lead", "alice"]);
    for by in ["lead", "alice"] {
        let error = desk.run(by, Command::Notify { key: "unread/0,4,alice/1".into() }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
    }
    assert_eq!(desk.run("svc:host", Command::Notify { key: "nonsense".into() }).unwrap().kinds(), [""; 0]);
}

#[test]
fn a_month_in_which_nothing_happens_appends_nothing() {
    for mode in [GroupMode::Active, GroupMode::Idle] {
        let mut desk = Desk::with(&["lead", "alice", "bob"]);
        let seq = desk.send("lead", attention());
        desk.pull("alice", true).unwrap();
        desk.reply("alice", seq, false);
        desk.pull("lead", true).unwrap();
        desk.mode(mode);
        let events = desk.events().len();
        let saved = desk.state().to_bytes().unwrap();
        assert_eq!(
            next_deadline(desk.state(), desk.now),
            None,
            "nobody needs to look before something happens"
        );
        for _ in 0..30 * 24 * 4 {
            desk.wait(15 * MINUTES);
            assert_eq!(speak(&mut desk), [""; 0]);
        }
        assert_eq!(desk.events().len(), events);
        assert_eq!(desk.state().to_bytes().unwrap(), saved);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Say {
        by: usize,
        to: usize,
        kind: usize,
    },
    Answer {
        by: usize,
    },
    Pull {
        by: usize,
        read: bool,
    },
    Session {
        by: usize,
        open: bool,
    },
    Mode(GroupMode),
    Remove {
        actor: usize,
        heir: bool,
    },
    Wait(u64),
    /// Two hosts look, and both carry out what they saw.
    Hosts,
}

const NAMES: [&str; 4] = ["user", "lead", "alice", "bob"];

fn step() -> impl Strategy<Value = Step> {
    let modes = [GroupMode::Active, GroupMode::Active, GroupMode::Active, GroupMode::Paused, GroupMode::Idle];
    prop_oneof![
        6 => (0..4usize, 0..4usize, 0..4usize).prop_map(|(by, to, kind)| Step::Say { by, to, kind }),
        2 => (0..4usize).prop_map(|by| Step::Answer { by }),
        2 => (0..4usize, any::<bool>()).prop_map(|(by, read)| Step::Pull { by, read }),
        1 => (1..4usize, any::<bool>()).prop_map(|(by, open)| Step::Session { by, open }),
        2 => prop::sample::select(modes.to_vec()).prop_map(Step::Mode),
        1 => (2..4usize, any::<bool>()).prop_map(|(actor, heir)| Step::Remove { actor, heir }),
        6 => (1..2000u64).prop_map(Step::Wait),
        6 => Just(Step::Hosts),
    ]
}

fn take(desk: &mut Desk, step: Step, count: usize) {
    match step {
        Step::Say { by, to, kind } if by != to => {
            let to = NAMES[to];
            let send = match kind {
                0 => message("x", &[to]),
                1 => SendMessage { to: vec![to.into()], ..attention() },
                2 => within(5, to),
                _ => SendMessage { reply_required: true, ..message("?", &[to]) },
            };
            desk.send(NAMES[by], send);
        }
        Step::Say { .. } => {}
        Step::Answer { by } => {
            let owed = obligation_of(desk, NAMES[by]);
            if let Some(seq) = owed {
                desk.reply(NAMES[by], seq, false);
            }
        }
        Step::Pull { by, read } => drop(desk.pull(NAMES[by], read)),
        Step::Session { by, open: true } => session(desk, NAMES[by], &format!("s{count}")),
        Step::Session { by, open: false } => {
            let id: ActorId = NAMES[by].parse().unwrap();
            if let Some(session) = desk.state().actor(&id).and_then(|actor| actor.session.clone()) {
                close(desk, NAMES[by], &session.session);
            }
        }
        Step::Mode(mode) => desk.mode(mode),
        Step::Remove { actor, heir } => {
            let actor_id: ActorId = NAMES[actor].parse().unwrap();
            let successor = heir.then(|| "lead".parse().unwrap());
            let remove =
                crate::event::ActorRemove { actor_id: actor_id.clone(), reason: String::new(), successor };
            desk.run("user", Command::RemoveActor(remove)).unwrap();
            desk.run("user", Command::AddActor(crate::command::AddActor::new(actor_id))).unwrap();
        }
        Step::Wait(seconds) => desk.wait(seconds),
        Step::Hosts => {
            let seen = due(desk.state(), desk.now);
            for effect in seen.iter().chain(&seen) {
                if let Effect::Notify(reminder) = effect {
                    desk.run("system", Command::Notify { key: reminder.key.clone() }).unwrap();
                }
            }
        }
    }
}

fn obligation_of(desk: &Desk, name: &str) -> Option<Seq> {
    desk.state().mailbox(&who(name))?.owed.keys().next().map(|(source, _)| *source)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// However many hosts run, no notice is written twice for one batch and level.
    #[test]
    fn nothing_is_said_twice(steps in prop::collection::vec(step(), 1..150)) {
        let mut desk = Desk::with(&NAMES[1..]);
        set(&mut desk, "policy.silence_ms", 3_600_000.into()).unwrap();
        set(&mut desk, "policy.idle_ms", 1_200_000.into()).unwrap();
        set(&mut desk, "policy.keepalive_ms", 900_000.into()).unwrap();
        for (count, step) in steps.into_iter().enumerate() {
            take(&mut desk, step, count);
            let next = next_deadline(desk.state(), desk.now);
            let now_due = !due(desk.state(), desk.now).is_empty();
            // Whoever sleeps until the next deadline misses nothing.
            prop_assert_eq!(next.is_some_and(|next| next <= desk.now), now_due);
        }
        let keys: Vec<&str> = desk.events().iter().filter_map(|event| match &event.body {
            Body::SystemNotify(notice) => Some(notice.key.as_str()),
            _ => None,
        }).collect();
        let different: BTreeSet<&str> = keys.iter().copied().collect();
        prop_assert_eq!(keys.len(), different.len(), "{:?}", keys);
        prop_assert_eq!(desk.state(), &desk.rebuilt());
        let saved = desk.state().to_bytes().unwrap();
        prop_assert_eq!(desk.state(), &GroupState::from_bytes(&saved).unwrap());
    }
}
