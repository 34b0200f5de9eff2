use std::time::Duration;

use super::view::{self, TaskFilter, TaskView};
use super::*;
use crate::command::{AddActor, Command};
use crate::error::ErrorKind;
use crate::event::{ActorRemove, Evidence, NotIf, SystemNotify, TaskOp as Op};
use crate::rule::desk::{Desk, Done, event, message, who};
use crate::state::MAX_SETTLED_TASKS;

fn team() -> Desk {
    Desk::with(&["lead", "alice", "bob", "carol"])
}

fn task(title: &str, owner: &str) -> AddTask {
    let owner = (!owner.is_empty()).then(|| owner.to_owned());
    AddTask { title: title.into(), owner, ..AddTask::default() }
}

fn add(desk: &mut Desk, by: &str, add: AddTask) -> TaskId {
    TaskId(desk.run(by, Command::AddTask(add)).unwrap().seq())
}

fn change(desk: &mut Desk, by: &str, id: TaskId, changes: Vec<Op>) -> Result<Done> {
    desk.run(by, Command::UpdateTask(UpdateTask { task_id: id, base_version: None, changes }))
}

fn done() -> Op {
    Op::Done { text: String::new() }
}

fn op(text: &str) -> Op {
    let reason = String::new();
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match word {
        "start" => Op::Start {},
        "plan" => Op::Plan {},
        "done" => done(),
        "decline" => Op::Decline { reason },
        "accept" => Op::Accept { text: reason },
        "reopen" => Op::Reopen { reason },
        "cancel" => Op::Cancel { reason },
        "take" => Op::Take {},
        "keep" => Op::Keep { reason },
        "note" => Op::Note { text: rest.into() },
        "item" => Op::AddItem { text: rest.into() },
        "check" => Op::Check { item: rest.parse().unwrap(), done: true },
        "offer" => Op::Offer { to: who(rest) },
        "assign" => Op::Assign { owner: Some(who(rest)), reason },
        "unassign" => Op::Assign { owner: None, reason },
        "title" => Op::Edit { title: Some(rest.into()), outcome: None, requires: None },
        "depend" => Op::Depend { on: rest.parse().unwrap() },
        "undepend" => Op::Undepend { on: rest.parse().unwrap() },
        "commit" => Op::Evidence(Evidence::Commit { commit: rest.into() }),
        other => panic!("{other}?"),
    }
}

fn act(desk: &mut Desk, by: &str, id: TaskId, text: &str) -> Result<Done> {
    change(desk, by, id, vec![op(text)])
}

/// Notices among the events, as `notice to target`.
fn told(done: &Done) -> Vec<String> {
    let notice = |event: &Event| match &event.body {
        Body::SystemNotify(SystemNotify { notice, target: Some(target), .. }) => {
            Some(format!("{notice} to {target}"))
        }
        _ => None,
    };
    done.events.iter().filter_map(notice).collect()
}

fn show(desk: &Desk, id: TaskId) -> TaskView {
    view::show(desk.state(), desk.event(id.seq()).unwrap(), &desk.facts(id.seq()), desk.now).unwrap()
}

fn remove(desk: &mut Desk, id: &str, successor: Option<&str>) -> Done {
    let remove = ActorRemove {
        actor_id: id.parse().unwrap(),
        reason: "tired".into(),
        successor: successor.map(|id| id.parse().unwrap()),
    };
    desk.run("user", Command::RemoveActor(remove)).unwrap()
}

#[test]
fn a_task_from_beginning_to_end() {
    let mut desk = team();
    let steps = vec!["read it".to_owned(), "fix it".to_owned()];
    let made = desk
        .run("lead", Command::AddTask(AddTask { checklist: steps, ..task("Fix the parser", "alice") }))
        .unwrap();
    assert_eq!(told(&made), ["task_assigned to alice"]);
    let id = TaskId(made.seq());
    assert_eq!(desk.owed(), [format!("alice task {}", id.seq())]);
    for (by, text, notices, owed) in [
        ("alice", "start", "", "alice task"),
        ("alice", "start", "nothing", "alice task"),
        ("alice", "check 1", "", "alice task"),
        ("bob", "note looks hard", "", "alice task"),
        ("alice", "offer bob", "task_offered to bob", "alice task"),
        ("bob", "take", "task_moved to alice", "bob task"),
        ("bob", "commit abcdef0", "", "bob task"),
        ("bob", "check 2", "", "bob task"),
        ("bob", "done", "task_done to lead", "lead acceptance"),
        ("bob", "done", "nothing", "lead acceptance"),
        ("lead", "reopen", "task_reopened to bob", "bob task"),
        ("bob", "done", "task_done to lead", "lead acceptance"),
        ("lead", "accept", "task_accepted to bob", ""),
        ("lead", "accept", "nothing", ""),
        ("lead", "reopen", "task_reopened to bob", "bob task"),
        ("bob", "decline", "task_declined to lead", ""),
        ("lead", "reopen", "task_reopened to bob", "bob task"),
        ("lead", "assign carol", "task_assigned to carol, task_moved to bob", "carol task"),
        ("lead", "cancel", "task_cancelled to carol", ""),
        ("lead", "cancel", "nothing", ""),
    ] {
        let done = act(&mut desk, by, id, text).unwrap_or_else(|error| panic!("{by} {text}: {error}"));
        assert_eq!(done.events.is_empty(), notices == "nothing", "{by} {text}");
        assert_eq!(told(&done).join(", "), notices.replace("nothing", ""), "{by} {text}");
        let expected: Vec<String> = [owed]
            .iter()
            .filter(|owed| !owed.is_empty())
            .map(|owed| format!("{owed} {}", id.seq()))
            .collect();
        assert_eq!(desk.owed(), expected, "{by} {text}");
        assert_eq!(&desk.rebuilt(), desk.state());
    }
    let shown = show(&desk, id);
    assert_eq!((shown.notes.len(), shown.evidence.len(), shown.status), (1, 1, TaskStatus::Cancelled));
    assert!(shown.checklist.iter().all(|step| step.done));
    assert_eq!(shown.version, 17);
    assert_eq!(shown.to_string(), format!("{id} Fix the parser: cancelled, carol for lead"));
    assert!(desk.unread("alice").is_empty(), "notices are never unread");
}

#[test]
fn who_may_do_what() {
    // lead leads; bob asks alice; carol has nothing to do with it.
    let rows = [
        ("start", "alice user"),
        ("plan", "alice user"),
        ("done", "alice user"),
        ("decline", "alice user"),
        ("offer carol", "alice user"),
        ("take", "alice"),
        ("keep", "alice user"),
        ("commit abcdef0", "alice bob carol lead user"),
        ("note x", "alice bob carol lead user"),
        ("item x", "alice bob lead user"),
        ("title x", "bob lead user"),
        ("assign carol", "bob lead user"),
        ("unassign", "bob lead user"),
        ("cancel", "bob lead user"),
        ("reopen", "bob lead user"),
        ("accept", ""),
    ];
    for (text, allowed) in rows {
        for by in ["alice", "bob", "carol", "lead", "user"] {
            let mut desk = team();
            let id = add(&mut desk, "bob", task("x", "alice"));
            let result = act(&mut desk, by, id, text);
            assert_eq!(result.is_ok(), allowed.split(' ').any(|name| name == by), "{by} {text}: {result:?}");
            if let Err(error) = result {
                assert_eq!(error.kind(), ErrorKind::Refused, "{by} {text}");
                assert!(error.hint_text().is_some(), "{by} {text}");
            }
        }
    }
    // What the user asked for is not the foreman's to decide.
    let mut desk = team();
    let id = add(&mut desk, "user", task("x", "alice"));
    assert!(act(&mut desk, "lead", id, "cancel").is_err());
    // Nobody but the asker accepts its own work; the user may do everything.
    let id = add(&mut desk, "bob", task("x", "lead"));
    act(&mut desk, "lead", id, "done").unwrap();
    assert!(act(&mut desk, "lead", id, "accept").unwrap_err().to_string().contains("its own work"));
    act(&mut desk, "user", id, "accept").unwrap();
}

#[test]
fn what_is_refused_and_why() {
    let cases: [(&[&str], &str, &str, ErrorKind, &str); 14] = [
        (&["alice: done"], "bob", "cancel", ErrorKind::Refused, "is done"),
        (&["alice: done"], "alice", "start", ErrorKind::Refused, "is done"),
        (&["bob: cancel"], "alice", "done", ErrorKind::Refused, "is cancelled"),
        (&["bob: cancel"], "alice", "commit abcdef0", ErrorKind::Refused, "is cancelled"),
        (&["bob: unassign"], "alice", "done", ErrorKind::Refused, "nobody's"),
        (&[], "alice", "check 1", ErrorKind::NotFound, "no step 1"),
        (&[], "alice", "offer alice", ErrorKind::Refused, "already"),
        (&[], "alice", "offer zed", ErrorKind::NotFound, "no actor zed"),
        (&[], "bob", "assign svc:x", ErrorKind::Invalid, "does no tasks"),
        (&[], "bob", "title  ", ErrorKind::Invalid, "one line"),
        (&[], "bob", "note  ", ErrorKind::Invalid, "empty"),
        (&[], "bob", "commit xyz", ErrorKind::Invalid, "hash of a commit"),
        (&[], "carol", "take", ErrorKind::Refused, "not offered"),
        (&["alice: offer carol", "carol: keep"], "carol", "take", ErrorKind::Refused, "not offered"),
    ];
    for (before, by, text, kind, word) in cases {
        let mut desk = team();
        let id = add(&mut desk, "bob", task("x", "alice"));
        for step in before {
            let (by, text) = step.split_once(": ").unwrap();
            act(&mut desk, by, id, text).unwrap();
        }
        let state = desk.state().clone();
        let error = act(&mut desk, by, id, text).unwrap_err();
        assert!(error.kind() == kind && error.to_string().contains(word), "{before:?} {by} {text}: {error}");
        assert_eq!(&state, desk.state(), "a refusal writes nothing");
    }
    let mut desk = team();
    let id = add(&mut desk, "bob", task("x", "alice"));
    let error = change(&mut desk, "alice", id, vec![op("start"), op("check 7")]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(desk.state().task(id).unwrap().version, 1, "all of it or nothing");
    for nobody in ["t1", "t99"] {
        let error = act(&mut desk, "bob", nobody.parse().unwrap(), "start").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{nobody}: {error}");
    }
    let ask = Op::Ask { asker: who("carol"), reason: String::new() };
    assert_eq!(change(&mut desk, "user", id, vec![ask]).unwrap_err().kind(), ErrorKind::Invalid);
    for (add, kind) in [
        (task("", "alice"), ErrorKind::Invalid),
        (task(&"x".repeat(MAX_TITLE_BYTES + 1), "alice"), ErrorKind::TooLarge),
        (task("x", "@peers"), ErrorKind::Refused),
        (task("x", "zed"), ErrorKind::NotFound),
        (AddTask { depends_on: vec![TaskId(Seq(2))], ..task("x", "alice") }, ErrorKind::NotFound),
        (AddTask { due_within: Some(Duration::ZERO), ..task("x", "alice") }, ErrorKind::Invalid),
        (AddTask { checklist: vec![String::new()], ..task("x", "alice") }, ErrorKind::Invalid),
    ] {
        let error = desk.run("bob", Command::AddTask(add.clone())).unwrap_err();
        assert_eq!(error.kind(), kind, "{add:?}: {error}");
    }
}

#[test]
fn done_needs_the_evidence_that_is_asked_for() {
    let mut desk = team();
    let requires = vec![EvidenceKind::Command, EvidenceKind::Commit, EvidenceKind::Commit];
    let id = add(&mut desk, "lead", AddTask { requires, ..task("x", "alice") });
    let run = |exit_code| {
        Op::Evidence(Evidence::Command { command: "cargo test".into(), exit_code, output: String::new() })
    };
    let error = act(&mut desk, "alice", id, "done").unwrap_err();
    assert!(error.to_string().contains("commit and command"), "{error}");
    // A command that failed proves nothing.
    let error = change(&mut desk, "alice", id, vec![op("commit abcdef0"), run(1), done()]).unwrap_err();
    assert!(error.to_string().contains("command is asked for"), "{error}");
    change(&mut desk, "alice", id, vec![op("commit abcdef0"), run(0), done()]).unwrap();
    // After it was reopened, old evidence proves nothing either.
    act(&mut desk, "lead", id, "reopen").unwrap();
    assert!(act(&mut desk, "alice", id, "done").is_err());
    assert_eq!(show(&desk, id).missing, [EvidenceKind::Commit, EvidenceKind::Command]);
    change(&mut desk, "alice", id, vec![op("commit abcdef1"), run(0), done()]).unwrap();
    let nothing =
        Evidence::Event { event_id: crate::id::EventId { seq: Seq(999), ..desk.event(Seq(1)).unwrap().id } };
    let error = change(&mut desk, "alice", id, vec![Op::Evidence(nothing)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let event = Evidence::Event { event_id: desk.event(Seq(1)).unwrap().id };
    change(&mut desk, "alice", id, vec![Op::Evidence(event)]).unwrap();
}

#[test]
fn dependencies_block_and_their_end_is_told() {
    let mut desk = team();
    let first = add(&mut desk, "lead", task("first", "alice"));
    let second = add(&mut desk, "lead", task("second", "bob"));
    let last = add(&mut desk, "lead", AddTask { depends_on: vec![first, second], ..task("last", "carol") });
    assert!(show(&desk, last).blocked);
    for text in ["start", "done"] {
        let error = act(&mut desk, "carol", last, text).unwrap_err();
        assert!(error.to_string().contains(&format!("waits for {first} (alice, planned)")), "{error}");
    }
    assert_eq!(told(&act(&mut desk, "alice", first, "done").unwrap()), ["task_done to lead"]);
    assert_eq!(
        told(&act(&mut desk, "bob", second, "done").unwrap()),
        ["task_done to lead", "task_ready to carol"]
    );
    act(&mut desk, "carol", last, "start").unwrap();
    // Reopened, it blocks again.
    act(&mut desk, "lead", first, "reopen").unwrap();
    assert_eq!(show(&desk, last).waits_for, [first]);
    assert_eq!(
        told(&act(&mut desk, "alice", first, "decline").unwrap()),
        ["task_declined to lead", "task_stuck to carol"]
    );
    assert!(show(&desk, last).blocked);
    assert_eq!(
        told(&act(&mut desk, "lead", last, &format!("undepend {first}")).unwrap()),
        ["task_ready to carol"]
    );
    act(&mut desk, "carol", last, "done").unwrap();
    // No circles, and nothing waits for what will not be done.
    let a = add(&mut desk, "lead", task("a", "alice"));
    let b = add(&mut desk, "lead", AddTask { depends_on: vec![a], ..task("b", "alice") });
    for (id, on) in [(a, b), (a, a), (b, first)] {
        assert_eq!(
            act(&mut desk, "lead", id, &format!("depend {on}")).unwrap_err().kind(),
            ErrorKind::Refused,
            "{id} on {on}"
        );
    }
    assert_eq!(&desk.rebuilt(), desk.state());
}

#[test]
fn a_stale_update_is_refused_with_what_changed() {
    let mut desk = team();
    let id = add(&mut desk, "lead", task("x", "alice"));
    act(&mut desk, "alice", id, "start").unwrap();
    act(&mut desk, "bob", id, "note hm").unwrap();
    let update = |base| {
        Command::UpdateTask(UpdateTask {
            task_id: id,
            base_version: Some(base),
            changes: vec![op("title y")],
        })
    };
    let error = desk.run("lead", update(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("start by alice, note by bob"), "{error}");
    assert_eq!(desk.run("lead", update(9)).unwrap_err().kind(), ErrorKind::Invalid);
    desk.run("lead", update(3)).unwrap();
}

#[test]
fn who_leaves_hands_on_or_gives_back() {
    let setup = || {
        let mut desk = team();
        let owned = add(&mut desk, "lead", task("owned", "alice"));
        let asked = add(&mut desk, "alice", task("asked", "bob"));
        let offered = add(&mut desk, "lead", task("offered", "bob"));
        act(&mut desk, "bob", offered, "offer alice").unwrap();
        let finished = add(&mut desk, "alice", task("finished", "bob"));
        act(&mut desk, "bob", finished, "done").unwrap();
        let own = add(&mut desk, "alice", task("own", "alice"));
        (desk, [owned, asked, offered, finished, own])
    };
    let (mut desk, [owned, asked, offered, finished, own]) = setup();
    let done = remove(&mut desk, "alice", Some("carol"));
    assert_eq!(done.kinds().last(), Some(&"actor.remove"));
    assert_eq!(
        desk.owed(),
        [
            format!("carol task {}", owned.seq()),
            format!("bob task {}", asked.seq()),
            format!("bob task {}", offered.seq()),
            format!("carol acceptance {}", finished.seq()),
        ]
    );
    assert_eq!(show(&desk, own).owner, Some(who("carol")));
    assert_eq!(show(&desk, offered).offered_to, None);
    assert_eq!(&desk.rebuilt(), desk.state());

    let (mut desk, [owned, asked, _, finished, own]) = setup();
    let done = remove(&mut desk, "alice", None);
    assert!(told(&done).contains(&"task_returned to lead".to_owned()));
    let returned = show(&desk, owned);
    assert_eq!((returned.owner, returned.reason.as_str()), (None, "alice was removed: tired"));
    assert_eq!(show(&desk, asked).asker, who("lead"));
    assert!(desk.owed().contains(&format!("lead acceptance {}", finished.seq())));
    act(&mut desk, "carol", own, "assign carol").unwrap();
    assert!(desk.owed().contains(&format!("carol task {}", own.seq())));
    // Nothing of it comes back with the name.
    desk.run("user", Command::AddActor(AddActor::new("alice".parse().unwrap()))).unwrap();
    assert!(desk.owed().iter().all(|owed| !owed.starts_with("alice")));
    assert_eq!(&desk.rebuilt(), desk.state());
}

#[test]
fn a_tracked_message_is_one_append_and_one_thing() {
    let mut desk = team();
    let add = AddTask { outcome: "tests pass".into(), ..task("Fix it", "") };
    let send = |key: &str, to: &[&str]| SendMessage {
        client_id: (!key.is_empty()).then(|| key.to_owned()),
        ..message("please fix it", to)
    };
    let tracked =
        |add: &AddTask, send: SendMessage| Command::TrackedSend { task: add.clone(), message: send };
    let done = desk.run("lead", tracked(&add, send("k", &["alice"]))).unwrap();
    assert_eq!(done.kinds(), ["task.create", "chat.message"]);
    let (id, at) = (TaskId(done.events[0].seq), done.events[1].seq);
    let sent = done.events[1].message().unwrap();
    assert_eq!(
        (sent.root, sent.task_id.as_deref(), sent.intent.as_deref()),
        (at, Some(id.to_string().as_str()), Some("task"))
    );
    assert_eq!(desk.owed(), [format!("alice task {}", id.seq())]);
    assert_eq!(desk.unread("alice"), [at.0]);
    // The same again is the same; anything else under that key is not.
    let again = desk.run("lead", tracked(&add, send("k", &["alice"]))).unwrap();
    assert_eq!(again.duplicate, Some(done.events[1].id));
    let other = AddTask { title: "Fix that".into(), ..add.clone() };
    for command in [
        tracked(&other, send("k", &["alice"])),
        tracked(&add, SendMessage { text: "no".into(), ..send("k", &["alice"]) }),
        Command::Send(SendMessage { intent: Some("task".into()), ..send("k", &["alice"]) }),
    ] {
        assert_eq!(desk.run("lead", command).unwrap_err().kind(), ErrorKind::Conflict);
    }
    // If either cannot be, neither is.
    let state = desk.state().clone();
    for (add, send, kind) in [
        (add.clone(), send("", &["alice", "bob"]), ErrorKind::Refused),
        (add.clone(), send("", &["zed"]), ErrorKind::NotFound),
        (task("", ""), send("", &["alice"]), ErrorKind::Invalid),
        (task("x", "alice"), send("", &["alice"]), ErrorKind::Invalid),
        (
            AddTask { depends_on: vec![TaskId(Seq(99))], ..add.clone() },
            send("", &["alice"]),
            ErrorKind::NotFound,
        ),
    ] {
        let error = desk.run("lead", tracked(&add, send)).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    assert_eq!(&state, desk.state());
    // A plain task has keys as well.
    let keyed = || Command::AddTask(AddTask { client_id: Some("t".into()), ..task("x", "alice") });
    let first = desk.run("lead", keyed()).unwrap().seq();
    assert_eq!(desk.run("lead", keyed()).unwrap().duplicate.map(|id| id.seq), Some(first));
}

#[test]
fn a_message_about_a_task_is_withheld_once_that_is_closed() {
    let mut desk = team();
    let id = add(&mut desk, "lead", task("x", "alice"));
    let hint = |task: &str| SendMessage {
        not_if: vec![NotIf::TaskClosed { task_id: task.into() }],
        ..message("a hint", &["bob"])
    };
    let sent = desk.send("lead", hint(&id.to_string()));
    act(&mut desk, "alice", id, "done").unwrap();
    assert_eq!(
        desk.run("lead", Command::Send(hint(&id.to_string()))).unwrap_err().kind(),
        ErrorKind::Refused
    );
    act(&mut desk, "lead", id, "reopen").unwrap();
    let open = desk.clone().pull("bob", false).unwrap();
    assert!(matches!(&open.events[0].body, Body::RuntimeDelivery(d) if d.event_ids[0].seq == sent));
    act(&mut desk, "lead", id, "cancel").unwrap();
    desk.pull("bob", false).unwrap();
    assert!(
        desk.receipt(sent, "bob").starts_with("bob: withheld (precondition)"),
        "{}",
        desk.receipt(sent, "bob")
    );
    for (task, kind) in [("t1", ErrorKind::NotFound), ("t99", ErrorKind::NotFound), ("x", ErrorKind::Invalid)]
    {
        assert_eq!(desk.run("lead", Command::Send(hint(task))).unwrap_err().kind(), kind, "{task}");
    }
}

#[test]
fn settled_tasks_leave_memory_and_stay_findable() {
    let mut desk = team();
    let first = add(&mut desk, "lead", task("first", "alice"));
    act(&mut desk, "alice", first, "done").unwrap();
    act(&mut desk, "alice", first, "note it was easy").unwrap();
    act(&mut desk, "lead", first, "accept").unwrap();
    let dropped = add(&mut desk, "lead", task("dropped", "alice"));
    act(&mut desk, "lead", dropped, "cancel").unwrap();
    for _ in 0..MAX_SETTLED_TASKS {
        let id = add(&mut desk, "lead", task("x", "lead"));
        act(&mut desk, "lead", id, "done").unwrap();
    }
    assert!(desk.owed().is_empty(), "who asks itself owes nobody");
    assert_eq!((desk.state().live_tasks(), desk.state().tasks().count()), (0, MAX_SETTLED_TASKS));
    let shown = show(&desk, first);
    assert_eq!((shown.state_word(), shown.notes.len()), ("accepted", 1));
    assert_eq!(act(&mut desk, "lead", first, "reopen").unwrap_err().kind(), ErrorKind::Refused);
    // What is forgotten and done blocks nobody; what is forgotten and was not done cannot be waited for.
    let after = AddTask { depends_on: vec![first], ..task("after", "alice") };
    let after = add(&mut desk, "lead", after);
    assert!(!show(&desk, after).blocked);
    let never = AddTask { depends_on: vec![dropped], ..task("never", "alice") };
    assert_eq!(desk.run("lead", Command::AddTask(never)).unwrap_err().kind(), ErrorKind::Refused);
    let listed = |filter| view::list(desk.state(), &filter, desk.now).len();
    assert_eq!(listed(TaskFilter::default()), 1);
    assert_eq!(listed(TaskFilter { settled: true, ..TaskFilter::default() }), MAX_SETTLED_TASKS + 1);
    assert_eq!(listed(TaskFilter { owner: Some(who("bob")), ..TaskFilter::default() }), 0);
    assert_eq!(&desk.rebuilt(), desk.state());
}

#[test]
fn there_is_a_bound_on_live_tasks() {
    let mut desk = team();
    for _ in 0..MAX_TASKS {
        add(&mut desk, "lead", task("x", ""));
    }
    let error = desk.run("lead", Command::AddTask(task("x", ""))).unwrap_err();
    assert!(error.kind() == ErrorKind::Refused && error.to_string().contains("1000 tasks"), "{error}");
}

#[test]
fn due_times_stand_still_in_a_pause() {
    let mut desk = team();
    let due_within = Some(Duration::from_secs(60));
    let id = add(&mut desk, "lead", AddTask { due_within, ..task("x", "alice") });
    desk.mode(crate::event::GroupMode::Paused);
    desk.wait(1_000);
    desk.mode(crate::event::GroupMode::Active);
    desk.wait(59);
    assert!(!show(&desk, id).overdue);
    desk.wait(2);
    assert!(show(&desk, id).overdue);
    let owed = crate::rule::obligation::list(desk.state(), &Default::default(), desk.now);
    assert!(owed[0].overdue);
    act(&mut desk, "alice", id, "done").unwrap();
    assert!(!show(&desk, id).overdue);
}

#[test]
fn events_are_written_as_documented_and_read_again() {
    let mut desk = team();
    let id = add(&mut desk, "lead", task("x", "alice"));
    let done =
        change(&mut desk, "alice", id, vec![op("start"), op("note hm"), op("commit abcdef0")]).unwrap();
    let json: Vec<String> = done.events.iter().map(|event| event.body.data_json().unwrap()).collect();
    assert_eq!(
        json,
        [
            format!(r#"{{"task_id":"{id}","version":2,"op":"start","value":{{}}}}"#),
            format!(r#"{{"task_id":"{id}","version":3,"op":"note","value":{{"text":"hm"}}}}"#),
            format!(
                r#"{{"task_id":"{id}","version":4,"op":"evidence","value":{{"kind":"commit","commit":"abcdef0"}}}}"#
            ),
        ]
    );
}

proptest::proptest! {
    /// Whatever is tried, each task has exactly the one obligation that its status says, in one mailbox;
    /// what is derived is what was written; and nobody waits for what is done.
    #[test]
    fn an_obligation_of_a_task_is_open_once_or_over(
        steps in proptest::collection::vec((0usize..5, 0usize..4, 0usize..16), 1..60)
    ) {
        let mut desk = team();
        let mut ids = vec![add(&mut desk, "lead", task("a", "alice")), add(&mut desk, "bob", task("b", "carol"))];
        for (by, which, what) in steps {
            let by = ["user", "lead", "alice", "bob", "carol"][by];
            let id = ids[which % ids.len()];
            match what {
                0 => ids.extend(desk.run(by, Command::AddTask(AddTask { depends_on: vec![id], ..task("x", "bob") })).ok().map(|done| TaskId(done.seq()))),
                1 if which == 3 && desk.state().actor(&"carol".parse().unwrap()).is_some() => {
                    remove(&mut desk, "carol", Some("bob"));
                }
                2 if which == 3 && desk.state().actor(&"alice".parse().unwrap()).is_some() => {
                    remove(&mut desk, "alice", None);
                }
                _ => {
                    let text = ["start", "done", "decline", "accept", "reopen", "cancel", "take", "keep",
                        "offer bob", "assign alice", "unassign", "plan", "note x", "assign carol", "done", "accept"][what];
                    drop(act(&mut desk, by, id, text));
                }
            }
            let owed = desk.owed();
            for task in desk.state().tasks() {
                let of_task: Vec<&String> =
                    owed.iter().filter(|owed| owed.ends_with(&format!(" {}", task.id.seq()))).collect();
                let owner = task.owner.as_ref().filter(|owner| **owner != task.asker);
                let expected = owner.and_then(|owner| match task.status {
                    TaskStatus::Planned | TaskStatus::Active => Some(format!("{owner} task {}", task.id.seq())),
                    TaskStatus::Done if !task.accepted => Some(format!("{} acceptance {}", task.asker, task.id.seq())),
                    _ => None,
                });
                proptest::prop_assert_eq!(of_task, expected.iter().collect::<Vec<_>>());
                for on in &task.depends_on {
                    let done = desk.state().task(*on).is_none_or(|on| on.status == TaskStatus::Done);
                    proptest::prop_assert_eq!(task.waits_for.contains(on), !done);
                }
            }
            proptest::prop_assert_eq!(&desk.rebuilt(), desk.state());
        }
    }
}

fn given(desk: &mut Desk, by: &str, id: TaskId, evidence: Evidence) -> Seq {
    let update = UpdateTask { task_id: id, base_version: None, changes: vec![TaskOp::Evidence(evidence)] };
    desk.run(by, Command::UpdateTask(update)).unwrap().seq()
}

fn found(id: TaskId, evidence: Seq, holds: bool) -> Command {
    let changes = vec![TaskOp::Checked { evidence, holds, found: "looked".into() }];
    Command::UpdateTask(UpdateTask { task_id: id, base_version: None, changes })
}

#[test]
fn done_needs_every_step() {
    let mut desk = Desk::with(&["lead", "alice"]);
    let checklist = vec!["lexer".into(), "parser".into()];
    let add = Command::AddTask(AddTask { checklist, ..task("Fix it", "alice") });
    let id = TaskId(desk.run("lead", add).unwrap().seq());
    let update = |changes| Command::UpdateTask(UpdateTask { task_id: id, base_version: None, changes });
    let check = |item| TaskOp::Check { item, done: true };
    desk.run("alice", update(vec![check(1)])).unwrap();
    let done = || TaskOp::Done { text: String::new() };
    let error = desk.run("alice", update(vec![done()])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("2. parser") && !error.to_string().contains("lexer"), "{error}");
    desk.run("alice", update(vec![check(2), done()])).unwrap();
}

#[test]
fn evidence_is_looked_at_from_outside_once_and_what_does_not_hold_is_missing_again() {
    let mut desk = Desk::with(&["lead", "alice"]);
    let requires = vec![EvidenceKind::Commit];
    let id =
        TaskId(desk.run("lead", Command::AddTask(AddTask { requires, ..task("x", "alice") })).unwrap().seq());
    let text = given(&mut desk, "alice", id, Evidence::Text { text: "it works".into() });
    let commit = given(&mut desk, "alice", id, Evidence::Commit { commit: "1a2b3c4".into() });
    assert_eq!(checks(desk.state()), [Check { task_id: id, evidence: commit, kind: EvidenceKind::Commit }]);
    for (by, evidence, kind) in [
        ("alice", commit, ErrorKind::Refused),
        ("lead", commit, ErrorKind::Refused),
        ("system", id.seq(), ErrorKind::NotFound),
        ("system", Seq(999), ErrorKind::NotFound),
    ] {
        assert_eq!(desk.run(by, found(id, evidence, true)).unwrap_err().kind(), kind, "{by} {evidence}");
    }
    assert!(
        desk.run("system", found(id, text, true)).unwrap().events.is_empty(),
        "words cannot be looked up"
    );
    let refuted = desk.run("svc:host", found(id, commit, false)).unwrap();
    assert_eq!(refuted.kinds(), ["task.update", "system.notify", "system.notify"]);
    assert!(desk.run("svc:host", found(id, commit, true)).unwrap().events.is_empty(), "once");
    let done =
        UpdateTask { task_id: id, base_version: None, changes: vec![TaskOp::Done { text: String::new() }] };
    let error = desk.run("alice", Command::UpdateTask(done.clone())).unwrap_err();
    assert!(error.to_string().contains("commit is asked for"), "{error}");
    let better = given(&mut desk, "alice", id, Evidence::Commit { commit: "5d6e7f8".into() });
    assert_eq!(desk.run("svc:host", found(id, better, true)).unwrap().kinds(), ["task.update"]);
    desk.run("alice", Command::UpdateTask(done)).unwrap();
    assert_eq!(checks(desk.state()), []);
    let begin = desk.event(id.seq()).unwrap();
    let shown = view::show(desk.state(), begin, &desk.facts(id.seq()), desk.now).unwrap();
    assert_eq!(
        shown.evidence.iter().map(|given| given.holds).collect::<Vec<_>>(),
        [None, Some(false), Some(true)]
    );
    assert_eq!(&desk.rebuilt(), desk.state());
}

#[test]
fn an_answer_belongs_to_the_task_that_is_talked_about() {
    let mut desk = Desk::with(&["lead", "alice"]);
    let send = Command::TrackedSend {
        task: AddTask { title: "x".into(), ..AddTask::default() },
        message: message("do it", &["alice"]),
    };
    let done = desk.run("lead", send).unwrap();
    let (id, sent) = (TaskId(done.events[0].seq), done.events[1].seq);
    let reply = || {
        Command::Send(crate::command::SendMessage {
            reply_to: Some(event(sent)),
            client_id: Some("k".into()),
            ..message("which one?", &[])
        })
    };
    let answer = desk.run("alice", reply()).unwrap();
    let again = desk.run("alice", reply()).unwrap();
    assert_eq!((again.events.len(), again.seq()), (0, answer.seq()), "a retry is the same message");
    let back = desk.reply("lead", answer.seq(), false);
    for seq in [sent, answer.seq(), back] {
        assert_eq!(desk.event(seq).unwrap().message().unwrap().task_id, Some(id.to_string()));
    }
    let plain = desk.send("lead", message("by the way", &["alice"]));
    assert_eq!(desk.event(plain).unwrap().message().unwrap().task_id, None);
}
