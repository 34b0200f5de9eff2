//! Cases that the naive model of a team (`tests/it/team_model`) found, each in its smallest form.

use std::time::Duration;

use crate::command::{AddTask, Command, SendMessage, UpdateTask};
use crate::event::{ActorRemove, Body, Choice, Evidence, EvidenceKind, Priority, TaskOp};
use crate::id::TaskId;
use crate::rule::desk::{Desk, message, who};
use crate::rule::policy::{self, Effect};
use crate::rule::wait;
use crate::state::TaskStatus;

const MINUTE: u64 = 60;

fn add(desk: &mut Desk, by: &str, owner: Option<&str>, due_within: Option<u64>) -> TaskId {
    let task = AddTask {
        title: "x".into(),
        owner: owner.map(Into::into),
        due_within: due_within.map(Duration::from_secs),
        ..AddTask::default()
    };
    TaskId(desk.run(by, Command::AddTask(task)).unwrap().seq())
}

fn change(desk: &mut Desk, by: &str, task_id: TaskId, op: TaskOp) {
    let update = UpdateTask { task_id, base_version: None, changes: vec![op] };
    desk.run(by, Command::UpdateTask(update)).unwrap();
}

fn assign(desk: &mut Desk, task: TaskId, owner: &str) {
    change(desk, "lead", task, TaskOp::Assign { owner: Some(who(owner)), reason: String::new() });
}

fn remove(desk: &mut Desk, id: &str, successor: Option<&str>) {
    let remove = ActorRemove {
        actor_id: id.parse().unwrap(),
        reason: String::new(),
        successor: successor.map(|id| id.parse().unwrap()),
    };
    desk.run("user", Command::RemoveActor(remove)).unwrap();
}

/// Says what is due; answers `target: policy level` and checks that nothing is said twice.
fn speak(desk: &mut Desk) -> Vec<String> {
    let before = desk.events().len();
    for effect in policy::due(desk.state(), desk.now) {
        if let Effect::Notify(reminder) = effect {
            desk.run("system", Command::Notify { key: reminder.key }).unwrap();
        }
    }
    let notices = desk.events().iter().filter_map(|event| match &event.body {
        Body::SystemNotify(notice) => Some((event.seq, notice)),
        _ => None,
    });
    let notices: Vec<_> = notices.collect();
    let mut keys: Vec<&str> = notices.iter().map(|(_, notice)| notice.key.as_str()).collect();
    keys.sort_unstable();
    assert!(keys.windows(2).all(|pair| pair[0] != pair[1]), "no two notices have the same key: {keys:?}");
    let new = notices.iter().filter(|(seq, _)| seq.0 > u64::try_from(before).unwrap());
    let said = new.map(|(_, notice)| {
        format!("{}: {} {}", notice.target.as_ref().unwrap(), notice.notice, notice.level)
    });
    said.collect()
}

#[test]
fn who_asks_a_vote_and_votes_itself_waits_in_no_circle() {
    let mut desk = Desk::with(&["lead", "alice"]);
    let open = Command::OpenVote {
        subject: "Merge?".into(),
        voters: vec![],
        within: Duration::from_secs(60 * MINUTE),
    };
    let vote = desk.run("alice", open).unwrap().seq();
    assert_eq!(wait::graph(desk.state(), desk.now).cycles, []);
    desk.wait(10 * MINUTE);
    assert_eq!(speak(&mut desk), [""; 0]);
    let cast =
        Command::CastVote { vote: crate::id::VoteId(vote), choice: Choice::Yes, reason: String::new() };
    desk.run("lead", cast).unwrap();
    assert_eq!(wait::graph(desk.state(), desk.now).waits, [], "nobody waits for itself");
}

#[test]
fn the_user_hears_how_a_vote_ended_that_it_asked_for() {
    let mut desk = Desk::with(&["lead", "alice"]);
    for (choice, outcome) in [(Choice::No, "rejected"), (Choice::Yes, "accepted")] {
        let open = Command::OpenVote {
            subject: format!("Merge, and be {outcome}?"),
            voters: vec![who("lead"), who("alice")],
            within: Duration::from_secs(60 * MINUTE),
        };
        let vote = crate::id::VoteId(desk.run("user", open).unwrap().seq());
        let cast = || Command::CastVote { vote, choice, reason: String::new() };
        if choice == Choice::Yes {
            desk.run("alice", cast()).unwrap();
        }
        let done = desk.run("lead", cast()).unwrap();
        assert_eq!(done.kinds(), ["vote.cast", "vote.close", "system.notify"], "{outcome}");
    }
}

fn waits_for(desk: &mut Desk, by: &str, what: &str) {
    let word = Command::SetAgentState {
        actor_id: None,
        focus: None,
        next: None,
        blocker: None,
        waiting_for: Some(what.into()),
        until: None,
        base: None,
    };
    desk.run(by, word).unwrap();
}

#[test]
fn a_dependency_does_not_hide_that_somebody_says_it_waits() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    for (waiter, on) in [("alice", "bob"), ("bob", "alice")] {
        let (task, first) = (add(&mut desk, waiter, None, None), add(&mut desk, on, None, None));
        change(&mut desk, waiter, task, TaskOp::Depend { on: first });
    }
    assert_eq!(wait::graph(desk.state(), desk.now).cycles, []);
    waits_for(&mut desk, "alice", "bob");
    assert_eq!(wait::graph(desk.state(), desk.now).cycles.len(), 1);
}

#[test]
fn a_circle_over_a_reservation_counts_from_when_that_was_taken() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    waits_for(&mut desk, "bob", "alice");
    desk.wait(60 * MINUTE);
    let reserve = Command::Reserve {
        globs: vec!["src/**".into()],
        purpose: String::new(),
        lease: Duration::from_secs(60 * MINUTE),
    };
    let taken = desk.run("bob", reserve).unwrap().seq();
    desk.wait(30);
    waits_for(&mut desk, "alice", &format!("r{taken}"));
    assert_eq!(wait::graph(desk.state(), desk.now).cycles.len(), 1);
    assert_eq!(policy::next_deadline(desk.state(), desk.now), Some(desk.now.after(Duration::from_secs(30))));
}

#[test]
fn evidence_counts_although_another_piece_of_its_kind_does_not_hold() {
    let mut desk = Desk::with(&["lead", "alice"]);
    let requires = vec![EvidenceKind::Commit];
    let task = AddTask { title: "x".into(), owner: Some("alice".into()), requires, ..AddTask::default() };
    let id = TaskId(desk.run("lead", Command::AddTask(task)).unwrap().seq());
    let mut given = Vec::new();
    for commit in ["1a2b3c4", "5d6e7f8"] {
        change(&mut desk, "alice", id, TaskOp::Evidence(Evidence::Commit { commit: commit.into() }));
        given.push(desk.state().position().seq);
    }
    for (evidence, holds) in [(given[0], true), (given[1], false)] {
        change(&mut desk, "system", id, TaskOp::Checked { evidence, holds, found: String::new() });
        assert_eq!(desk.state().task(id).unwrap().missing().count(), 0);
    }
    change(&mut desk, "alice", id, TaskOp::Done { text: String::new() });
}

#[test]
fn a_circle_is_found_behind_shorter_ones_of_dependencies_alone() {
    let mut desk = Desk::with(&["lead", "alice", "bob", "carol", "dave"]);
    let mut wait_for = |waiter: &str, on: &str| {
        let (task, first) = (add(&mut desk, waiter, None, None), add(&mut desk, on, None, None));
        change(&mut desk, waiter, task, TaskOp::Depend { on: first });
    };
    // Each of three would wait for Dave, and Dave for each of them: one of their tasks can be begun.
    for name in ["alice", "bob", "carol"] {
        wait_for(name, "dave");
        wait_for("dave", name);
    }
    wait_for("alice", "bob");
    wait_for("bob", "carol");
    assert_eq!(wait::graph(desk.state(), desk.now).cycles, []);
    desk.send("carol", SendMessage { reply_required: true, ..message("?", &["alice"]) });
    let cycles = wait::graph(desk.state(), desk.now).cycles;
    let members: Vec<String> = cycles.iter().map(|cycle| format!("{:?}", cycle.members)).collect();
    assert_eq!(cycles.len(), 1, "{members:?}");
    assert_eq!(cycles[0].members, ["carol", "alice", "bob"].map(who));
}

#[test]
fn a_circle_of_tasks_counts_from_when_the_last_of_them_was_made() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    desk.send("alice", message("an old word", &["bob"]));
    desk.wait(60 * MINUTE);
    for name in ["alice", "bob"] {
        desk.pull(name, true).unwrap();
    }
    add(&mut desk, "alice", Some("bob"), None);
    add(&mut desk, "bob", Some("alice"), None);
    assert_eq!(wait::graph(desk.state(), desk.now).cycles.len(), 1);
    assert_eq!(
        policy::next_deadline(desk.state(), desk.now),
        Some(desk.now.after(Duration::from_secs(MINUTE)))
    );
    assert_eq!(speak(&mut desk), [""; 0]);
    desk.wait(MINUTE);
    assert_eq!(speak(&mut desk), ["lead: cycle 1"]);
}

#[test]
fn a_task_that_comes_back_is_another_thing_to_be_reminded_of() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    let task = add(&mut desk, "lead", Some("alice"), Some(MINUTE));
    desk.wait(2 * MINUTE);
    assert_eq!(speak(&mut desk), ["alice: reply 1"]);
    assign(&mut desk, task, "bob");
    assert_eq!(speak(&mut desk), ["bob: reply 1"]);
    assign(&mut desk, task, "alice");
    assert_eq!(speak(&mut desk), ["alice: reply 1"]);
    assert_eq!(speak(&mut desk), [""; 0]);
}

#[test]
fn a_successor_is_reminded_of_what_it_took_over() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    let look = SendMessage { priority: Priority::Attention, ..message("look", &["alice"]) };
    desk.send("lead", look);
    desk.pull("alice", true).unwrap();
    desk.wait(5 * MINUTE);
    assert_eq!(speak(&mut desk), ["alice: attention 1"]);
    remove(&mut desk, "alice", Some("bob"));
    desk.wait(5 * MINUTE - 1);
    assert_eq!(speak(&mut desk), [""; 0], "bob was asked when it took over");
    desk.wait(1);
    assert_eq!(speak(&mut desk), ["bob: attention 1"]);
    // One of the same name gets it back, as somebody else.
    desk.run("user", Command::AddActor(crate::command::AddActor::new("alice".parse().unwrap()))).unwrap();
    remove(&mut desk, "bob", Some("alice"));
    desk.wait(5 * MINUTE);
    assert_eq!(speak(&mut desk), ["alice: attention 1"]);
    desk.wait(5 * MINUTE);
    assert_eq!(speak(&mut desk), ["lead: attention 2"]);
}

#[test]
fn what_is_opened_again_has_somebody_who_asks_for_it() {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    let task = add(&mut desk, "alice", Some("bob"), None);
    change(&mut desk, "bob", task, TaskOp::Done { text: String::new() });
    change(&mut desk, "alice", task, TaskOp::Accept { text: String::new() });
    remove(&mut desk, "alice", None);
    change(&mut desk, "lead", task, TaskOp::Reopen { reason: String::new() });
    assert_eq!(desk.state().task(task).unwrap().asker, who("lead"));
    assert_eq!(desk.owed(), [format!("bob task {}", task.seq())]);
    change(&mut desk, "bob", task, TaskOp::Done { text: String::new() });
    assert_eq!(desk.owed(), [format!("lead acceptance {}", task.seq())]);
    assert_eq!(desk.state().task(task).unwrap().status, TaskStatus::Done);
}
