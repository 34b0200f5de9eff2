use std::time::Duration;

use super::*;
use crate::command::{AddActor, AddTask, Command, SendMessage, UpdateTask};
use crate::error::ErrorKind;
use crate::event::{Body, GroupMode, GroupUpdate, Priority, TaskOp};
use crate::id::{ApprovalId, ReservationId, TaskId};
use crate::rule::desk::{Desk, Done, event, message, who};
use crate::rule::obligation::{self, Filter};
use crate::rule::{policy, wait};
use crate::state::ObligationKind;

fn adding(name: &str) -> Command {
    Command::AddPerson(AddPerson { person_id: name.parse().unwrap(), title: None })
}

fn leaving(name: &str, successor: Option<&str>) -> Command {
    Command::RemovePerson(PersonRemove {
        person_id: name.parse().unwrap(),
        reason: "moved on".into(),
        successor: successor.map(who),
    })
}

/// A group with bea and cal in it.
fn peopled() -> Desk {
    let mut desk = Desk::with(&["lead", "alice", "bob"]);
    for name in ["bea", "cal"] {
        desk.run("user", adding(name)).unwrap();
    }
    desk
}

fn recipients(done: &Done) -> Vec<String> {
    done.events[0].message().unwrap().recipients.iter().map(ToString::to_string).collect()
}

/// What somebody owes, oldest first.
fn owed(desk: &Desk, who: &str) -> Vec<ObligationKind> {
    let filter = Filter { debtor: Some(self::who(who)), ..Filter::default() };
    obligation::list(desk.state(), &filter, desk.now).into_iter().map(|owed| owed.kind).collect()
}

fn asks(text: &str, to: &[&str]) -> SendMessage {
    SendMessage { reply_required: true, ..message(text, to) }
}

#[test]
fn the_user_adds_people_once_and_may_name_them_anew() {
    let mut desk = Desk::with(&["lead"]);
    let done = desk.run("user", adding("bea")).unwrap();
    assert_eq!(done.kinds(), ["person.add"]);
    assert!(done.events[0].must, "an older version does not write where there are people");
    assert!(desk.run("user", adding("bea")).unwrap().events.is_empty());
    let sent = desk.send("lead", message("x", &["user:bea"]));
    let named = |title: &str| {
        Command::AddPerson(AddPerson { person_id: "bea".parse().unwrap(), title: Some(title.into()) })
    };
    assert_eq!(desk.run("user", named("Bea")).unwrap().kinds(), ["person.add"]);
    assert!(
        desk.run("user", adding("bea")).unwrap().events.is_empty(),
        "a title stays until another is given"
    );
    assert_eq!(desk.state().person(&"bea".parse().unwrap()).unwrap().title, "Bea");
    assert_eq!(desk.unread("user:bea"), [sent.0], "they are who they were");
    assert_eq!(desk.run("user", named("two\nlines")).unwrap_err().kind(), ErrorKind::Invalid);
    for by in ["lead", "user:bea", "svc:host"] {
        assert_eq!(desk.run(by, adding("cal")).unwrap_err().kind(), ErrorKind::Refused, "{by}");
    }
    // An actor may be called like a person; a person and an actor are two.
    desk.run("user", Command::AddActor(AddActor::new("bea".parse().unwrap()))).unwrap();
    let done = desk.run("lead", Command::Send(message("x", &["bea"]))).unwrap();
    assert_eq!(recipients(&done), ["bea"]);
    let users = desk.run("user", Command::AddActor(AddActor::new("users".parse().unwrap()))).unwrap_err();
    assert_eq!(users.kind(), ErrorKind::Invalid);
}

#[test]
fn people_are_bounded() {
    let mut desk = Desk::with(&[]);
    for n in 0..MAX_PEOPLE {
        desk.run("user", adding(&format!("p{n}"))).unwrap();
    }
    assert_eq!(desk.run("user", adding("one-more")).unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test]
fn addresses_of_people_mean_those_who_are_there() {
    let mut desk = peopled();
    for (by, to, meant) in [
        ("lead", &["user:bea"][..], "user:bea"),
        ("lead", &["@user:bea", "user:bea"], "user:bea"),
        ("lead", &["@users"], "user user:bea user:cal"),
        ("user", &["@users"], "user:bea user:cal"),
        ("user:bea", &["@users"], "user user:cal"),
        ("user:bea", &["user"], "user"),
        ("user:bea", &["@all"], "alice bob lead"),
        ("lead", &["@all"], "alice bob"),
        ("user:bea", &[], "lead"),
    ] {
        let done = desk.run(by, Command::Send(message("x", to))).unwrap();
        assert_eq!(recipients(&done).join(" "), meant, "{by} to {to:?}");
    }
    let asked = desk.send("user:bea", message("x", &["alice"]));
    let answer = desk.reply("alice", asked, false);
    assert_eq!(desk.event(answer).unwrap().message().unwrap().recipients, [who("user:bea")]);
    for (to, word) in [
        ("user:bae", "did you mean user:bea?"),
        ("user:dan", "`cccc person add dan`"),
        ("beaa", "did you mean user:bea?"),
        ("user:alice", "did you mean alice?"),
        ("user:", "is not a valid person's name"),
    ] {
        let error = desk.run("lead", Command::Send(message("x", &[to]))).expect_err(to);
        assert!(error.to_string().contains(word), "{to}: {error}");
    }
    let by_nobody = desk.run("user:dan", Command::Send(message("x", &["lead"]))).unwrap_err();
    assert_eq!(by_nobody.kind(), ErrorKind::NotFound);
    let mut alone = Desk::with(&["lead"]);
    assert_eq!(
        alone.run("user", Command::Send(message("x", &["@users"]))).unwrap_err().kind(),
        ErrorKind::Refused
    );
}

#[test]
fn what_a_person_leaves_returns_or_passes_on() {
    let mut desk = peopled();
    let asked = desk.run("lead", Command::Send(asks("x", &["user:bea"]))).unwrap().seq();
    let asked_by = desk.run("user:bea", Command::Send(asks("y", &["alice"]))).unwrap().seq();
    let mut gone = desk.clone();
    let done = gone.run("user", leaving("bea", None)).unwrap();
    assert_eq!(done.kinds(), ["person.remove", "system.notify"], "the asker is told");
    assert!(gone.receipt(asked, "user:bea").contains("returned (user:bea was removed: moved on)"));
    assert!(owed(&gone, "alice").is_empty(), "what was owed to them is over: {asked_by}");
    assert!(gone.run("user", leaving("bea", None)).unwrap().events.is_empty(), "gone is gone");
    let error = gone.run("lead", Command::Send(message("x", &["user:bea"]))).unwrap_err();
    assert!(error.to_string().contains("user:bea was removed from the group (moved on)"), "{error}");
    assert_eq!(
        gone.run("user:bea", Command::Send(message("x", &["lead"]))).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    gone.run("user", adding("bea")).unwrap();
    assert!(gone.unread("user:bea").is_empty(), "the name inherits no mail");
    assert!(owed(&gone, "user:bea").is_empty());
    assert!(gone.receipt(asked, "user:bea").contains("returned"), "that was another");

    // To somebody of either kind.
    for heir in ["user", "user:cal", "alice"] {
        let mut desk = desk.clone();
        let held = Command::Reserve {
            globs: vec!["x/**".into()],
            purpose: String::new(),
            lease: Duration::from_secs(900),
        };
        let held = ReservationId(desk.run("user:bea", held).unwrap().seq());
        let task = AddTask { title: "x".into(), owner: Some("user:bea".into()), ..AddTask::default() };
        let task = TaskId(desk.run("lead", Command::AddTask(task)).unwrap().seq());
        desk.run("user:bea", leaving("bea", Some(heir))).unwrap();
        assert!(desk.unread(heir).contains(&asked.0), "{heir}");
        let kinds = owed(&desk, heir);
        assert!(
            kinds.contains(&ObligationKind::Reply) && kinds.contains(&ObligationKind::Task),
            "{heir}: {kinds:?}"
        );
        assert_eq!(desk.state().reservations()[&held].holder, who(heir));
        assert_eq!(desk.state().task(task).unwrap().owner, Some(who(heir)));
        assert!(desk.receipt(asked, "user:bea").starts_with(&format!("user:bea: moved to {heir}")));
    }
    for (heir, kind) in [
        ("user:bea", ErrorKind::Invalid),
        ("svc:host", ErrorKind::Invalid),
        ("user:dan", ErrorKind::NotFound),
        ("zed", ErrorKind::NotFound),
    ] {
        assert_eq!(desk.run("user", leaving("bea", Some(heir))).unwrap_err().kind(), kind, "{heir}");
    }
    assert_eq!(desk.run("user", leaving("dan", None)).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_vote_of_others_outlives_a_person_who_had_no_voice_in_it() {
    let mut desk = peopled();
    let open = Command::OpenVote {
        subject: "Merge?".into(),
        voters: ["alice", "bob"].map(who).to_vec(),
        within: Duration::from_secs(900),
    };
    desk.run("lead", open).unwrap();
    assert_eq!(desk.run("user", leaving("bea", None)).unwrap().kinds(), ["person.remove"]);
    assert_eq!(desk.state().votes().len(), 1);
}

#[test]
fn people_are_not_nudged_and_what_they_owe_is_reported_to_the_asker_once() {
    for debtor in ["user", "user:bea"] {
        let mut desk = peopled();
        let asked = SendMessage {
            reply_within: Some(Duration::from_secs(60)),
            priority: Priority::Attention,
            ..message("x", &[debtor])
        };
        desk.run("alice", Command::Send(asked)).unwrap();
        let mut told = Vec::new();
        for _ in 0..30 {
            desk.wait(600);
            for effect in policy::due(desk.state(), desk.now) {
                let policy::Effect::Notify(reminder) = effect else { continue };
                let done = desk.run("svc:host", Command::Notify { key: reminder.key.clone() }).unwrap();
                told.extend(done.events.into_iter().filter_map(|event| match event.body {
                    Body::SystemNotify(notice) if notice.notice == "reply" => {
                        Some((notice.target, notice.level))
                    }
                    Body::SystemNotify(notice) => {
                        assert_ne!(notice.target, Some(who(debtor)), "{notice:?}");
                        None
                    }
                    _ => None,
                }));
            }
        }
        assert_eq!(told, [(Some(who("alice")), 2)], "{debtor}");
    }
}

#[test]
fn people_still_read_while_no_agent_runs() {
    // In a paused group nobody does.
    for (mode, rests) in [(GroupMode::Paused, true), (GroupMode::Stopped, false)] {
        let mut desk = peopled();
        let sent = desk.send("lead", message("x", &["@all", "@users"]));
        let id = desk.event(sent).unwrap().id;
        desk.mode(mode);
        for (by, reads) in [("user", !rests), ("user:bea", !rests), ("alice", false)] {
            let done = desk.run(by, Command::Pull { events: vec![id], mark_read: true });
            assert_eq!(done.is_ok(), reads, "{by} {mode:?}");
        }
        assert!(desk.unread("user:bea").is_empty() != rests && desk.unread("user:cal") == [sent.0]);
    }
}

#[test]
fn a_word_of_any_person_lets_everybody_talk_again() {
    for person in ["user", "user:bea"] {
        let mut desk = peopled();
        let quiet = |desk: &mut Desk| {
            let seq = desk.send("alice", message("thanks", &["bob"]));
            !desk.event(seq).unwrap().message().unwrap().quiet.is_empty()
        };
        let mut sent = 0;
        while !quiet(&mut desk) {
            sent += 1;
        }
        assert_eq!(sent, crate::state::RATE);
        desk.send(person, message("go on", &["lead"]));
        assert!(!quiet(&mut desk), "{person}");
        // People themselves have no limit.
        for _ in 0..2 * crate::state::RATE {
            let seq = desk.send(person, message("x", &["bob"]));
            assert!(desk.event(seq).unwrap().message().unwrap().quiet.is_empty(), "{person}");
        }
    }
}

#[test]
fn people_decide_on_approvals_where_the_user_lets_them() {
    let mut desk = peopled();
    let request = || Command::OpenApproval {
        subject: "Run it".into(),
        tool: None,
        input: None,
        within: Duration::from_secs(900),
        client_id: None,
    };
    let decide = |id| Command::DecideApproval { approval: id, allow: true, reason: String::new() };
    let first = ApprovalId(desk.run("alice", request()).unwrap().seq());
    assert_eq!(desk.run("user:bea", decide(first)).unwrap_err().kind(), ErrorKind::Refused);
    let settings = [("approval.people".to_owned(), true.into())].into();
    desk.run("user", Command::UpdateGroup(GroupUpdate { settings, ..GroupUpdate::default() })).unwrap();
    assert_eq!(
        desk.run("user:bea", decide(first)).unwrap_err().kind(),
        ErrorKind::Refused,
        "not asked of them"
    );
    let second = ApprovalId(desk.run("alice", request()).unwrap().seq());
    for decider in ["user", "user:bea", "user:cal"] {
        assert!(owed(&desk, decider).contains(&ObligationKind::Approval), "{decider}");
    }
    desk.run("user", adding("dan")).unwrap();
    assert_eq!(desk.run("user:dan", decide(second)).unwrap_err().kind(), ErrorKind::Refused, "came later");
    desk.run("user", leaving("cal", None)).unwrap();
    desk.run("user", adding("cal")).unwrap();
    assert_eq!(desk.run("user:cal", decide(second)).unwrap_err().kind(), ErrorKind::Refused, "another cal");
    desk.run("user:bea", decide(second)).unwrap();
    let late = desk.run("user", decide(second)).unwrap_err();
    assert!(late.kind() == ErrorKind::Conflict && late.to_string().contains("by user:bea"), "{late}");
    assert!(!owed(&desk, "user:bea").contains(&ObligationKind::Approval));
}

#[test]
fn the_first_of_the_people_asked_answers_a_question() {
    let mut desk = peopled();
    let question =
        SendMessage { options: vec!["yes".into(), "no".into()], ..message("Deploy?", &["@users"]) };
    assert_eq!(desk.run("alice", Command::Send(question.clone())).unwrap_err().kind(), ErrorKind::Refused);
    let asked = desk.run("lead", Command::Send(question)).unwrap().seq();
    let chooses = |choice: &str| {
        Command::Send(SendMessage {
            reply_to: Some(event(asked)),
            choice: Some(choice.into()),
            ..message("", &[])
        })
    };
    desk.run("user:bea", chooses("no")).unwrap();
    assert!(owed(&desk, "user").is_empty() && owed(&desk, "user:cal").is_empty());
    let late = desk.run("user:cal", chooses("yes")).unwrap_err();
    assert!(late.to_string().contains("user:bea"), "{late}");
}

#[test]
fn people_do_tasks_and_accept_them() {
    let mut desk = peopled();
    let task = AddTask { title: "x".into(), owner: Some("alice".into()), ..AddTask::default() };
    let task = TaskId(desk.run("user:bea", Command::AddTask(task)).unwrap().seq());
    let change =
        |op| Command::UpdateTask(UpdateTask { task_id: task, base_version: None, changes: vec![op] });
    desk.run("alice", change(TaskOp::Done { text: String::new() })).unwrap();
    assert_eq!(owed(&desk, "user:bea"), [ObligationKind::Acceptance]);
    let by_another = desk.run("user:cal", change(TaskOp::Accept { text: String::new() })).unwrap_err();
    assert_eq!(by_another.kind(), ErrorKind::Refused);
    desk.run("user:bea", change(TaskOp::Accept { text: String::new() })).unwrap();
    assert!(owed(&desk, "user:bea").is_empty());
    for (owner, kind) in [("user:bea", None), ("user:dan", Some(ErrorKind::NotFound))] {
        let task = AddTask { title: "y".into(), owner: Some(owner.into()), ..AddTask::default() };
        assert_eq!(desk.run("lead", Command::AddTask(task)).err().map(|error| error.kind()), kind, "{owner}");
    }
    assert_eq!(owed(&desk, "user:bea"), [ObligationKind::Task]);
}

#[test]
fn people_stand_in_the_wait_graph_as_the_user_does() {
    let mut desk = peopled();
    desk.run("alice", Command::Send(asks("x", &["user:bea"]))).unwrap();
    desk.run("user:bea", Command::Send(asks("y", &["alice"]))).unwrap();
    let graph = wait::graph(desk.state(), desk.now);
    assert_eq!(graph.waits.len(), 2);
    let [circle] = graph.cycles.as_slice() else { panic!("{graph:?}") };
    assert_eq!(circle.members, [who("user:bea"), who("alice")]);
    let breakers: Vec<&Principal> = circle.breakers.iter().map(|breaker| &breaker.who).collect();
    assert!(breakers.contains(&&who("user:bea")) && breakers.contains(&&who("user")), "{breakers:?}");
    assert!(!breakers.contains(&&who("lead")), "the foreman ends what a peer asked of a peer");
    let waits_for = |whom: &str| Command::SetAgentState {
        actor_id: None,
        focus: None,
        next: None,
        blocker: None,
        waiting_for: Some(whom.into()),
        until: None,
        base: None,
    };
    desk.run("bob", waits_for("user:cal")).unwrap();
    assert_eq!(desk.run("bob", waits_for("user:dan")).unwrap_err().kind(), ErrorKind::NotFound);
    desk.run("user", leaving("cal", None)).unwrap();
    assert!(!wait::graph(desk.state(), desk.now).waits.iter().any(|wait| wait.on == who("user:cal")));
}
