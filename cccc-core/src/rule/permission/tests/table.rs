//! Who may do what, action by action.

use std::time::Duration;

use super::*;
use crate::command::{SendMessage, UpdateTask};
use crate::event::{ContextValue, TaskOp};
use crate::id::{ApprovalId, ContextKey};
use crate::rule::desk::Done;

/// Who asks, in the order of the table's columns.
const CALLERS: [&str; 5] = ["user", "user:bea", "lead", "dora", "svc:host"];

/// A group with two people, a foreman, peers, and something of everybody's.
struct Stage {
    desk: Desk,
    /// From the user, to everybody who has an inbox.
    told: Seq,
    /// From alice to bob, who owes an answer.
    asked: Seq,
    note: ContextKey,
    pinned: Seq,
    vote: VoteId,
    task: TaskId,
    of_alice: ReservationId,
    of_cal: ReservationId,
    request: ApprovalId,
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn person(name: &str) -> Command {
    Command::AddPerson(AddPerson { person_id: name.parse().unwrap(), title: None })
}

fn leaving(name: &str) -> Command {
    let person_id = name.parse().unwrap();
    Command::RemovePerson(PersonRemove { person_id, reason: String::new(), successor: None })
}

fn set(name: &str, value: serde_json::Value) -> Command {
    let settings = [(name.to_owned(), value)].into();
    Command::UpdateGroup(GroupUpdate { settings, ..GroupUpdate::default() })
}

fn reserve(glob: &str) -> Command {
    Command::Reserve { globs: vec![glob.into()], purpose: String::new(), lease: seconds(900) }
}

fn asking(to: &[&str]) -> Command {
    Command::Send(SendMessage { reply_required: true, ..message("x", to) })
}

fn mode(state: GroupMode) -> Command {
    Command::SetState(GroupSetState { state, reason: String::new() })
}

fn vote() -> Command {
    let voters = ["user", "user:bea", "lead", "alice"].map(who).to_vec();
    Command::OpenVote { subject: "Merge?".into(), voters, within: seconds(900) }
}

fn approval() -> Command {
    Command::OpenApproval {
        subject: "Run it".into(),
        tool: None,
        input: None,
        within: seconds(900),
        client_id: None,
    }
}

fn telling(to: &[&str]) -> Command {
    let to = to.iter().map(|to| (*to).to_owned()).collect();
    let action = ScheduleAction::Notify { to, text: "x".into() };
    Command::AddSchedule(AddSchedule { schedule_id: None, when: When::Every(seconds(60)), action })
}

fn changing(task_id: TaskId, op: TaskOp) -> Command {
    Command::UpdateTask(UpdateTask { task_id, base_version: None, changes: vec![op] })
}

impl Stage {
    fn new() -> Self {
        let mut desk = Desk::with(&["lead", "alice", "bob", "dora"]);
        let run = |desk: &mut Desk, by: &str, command| -> Done { desk.run(by, command).unwrap() };
        run(&mut desk, "user", person("bea"));
        run(&mut desk, "user", person("cal"));
        let told = desk.send("user", message("x", &["@all", "@users"]));
        let asked = run(&mut desk, "alice", asking(&["bob"])).seq();
        let note = Command::AppendContext { section: Appendix::Note, text: "so it is".into() };
        let note = match &run(&mut desk, "alice", note).events[0].body {
            crate::event::Body::ContextSet(set) => set.key.clone(),
            body => panic!("{body:?}"),
        };
        run(&mut desk, "alice", Command::Pin { event: event(told), note: String::new() });
        let vote = VoteId(run(&mut desk, "alice", vote()).seq());
        let add = AddTask { title: "x".into(), owner: Some("bob".into()), ..AddTask::default() };
        let task = TaskId(run(&mut desk, "alice", Command::AddTask(add)).seq());
        run(&mut desk, "bob", changing(task, TaskOp::Done { text: String::new() }));
        let of_alice = ReservationId(run(&mut desk, "alice", reserve("a/**")).seq());
        let of_cal = ReservationId(run(&mut desk, "user:cal", reserve("c/**")).seq());
        let request = ApprovalId(run(&mut desk, "alice", approval()).seq());
        Self { desk, told, asked, note, pinned: told, vote, task, of_alice, of_cal, request }
    }

    /// Whether somebody may do something, on a group of its own.
    fn may(&self, by: &str, command: Command) -> bool {
        let shown = format!("{by}: {command:?}");
        match self.desk.clone().run(by, command) {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Refused, "{shown}: {error}");
                assert!(error.hint_text().is_some() || !error.to_string().is_empty());
                false
            }
        }
    }
}

#[test]
fn each_action_is_allowed_to_whom_it_is_for() {
    let stage = Stage::new();
    let Stage { told, asked, note, pinned, vote: open, task, of_alice, of_cal, request, .. } = &stage;
    let reason = String::new;
    let alice: ActorId = "alice".parse().unwrap();
    let all = &["lead", "alice", "bob", "dora", "user"][..];
    let remove = ActorRemove { actor_id: alice.clone(), reason: reason(), successor: None };
    let scope = GroupAttach { scope_key: "k".into(), path: "/".into() };
    let own = AddTask { title: "x".into(), ..AddTask::default() };
    let session = OpenSession { session: "s".into(), ..OpenSession::default() };
    let said = ContextValue::Text("x".into());
    let state = |actor_id| Command::SetAgentState {
        actor_id,
        focus: Some("x".into()),
        next: None,
        blocker: None,
        waiting_for: None,
        until: None,
        base: None,
    };
    let deny = Command::DecideApproval { approval: *request, allow: false, reason: reason() };
    let claim =
        Command::Claim { recipient: who("alice"), events: vec![event(*told)], transport: Transport::Push };
    let cast = Command::CastVote { vote: *open, choice: Choice::Yes, reason: reason() };
    // user, person, foreman, peer, service
    for (action, allowed, command) in [
        // Their own words and work.
        ("send", "yyyyy", Command::Send(message("x", &["bob"]))),
        ("send to everybody", "yyyyy", Command::Send(message("x", &["@all"]))),
        ("oblige somebody", "yyyyy", asking(&["bob"])),
        ("oblige more than four", "yyy--", asking(&[all, &["user:cal"]].concat())),
        ("oblige through a selector", "yyy--", asking(&["@all"])),
        ("oblige all people", "yyy--", asking(&["@users"])),
        ("read", "yyyy-", Command::MarkReadThrough { event: event(*told) }),
        ("see notices", "yyyy-", Command::SeeNotices { through: *told }),
        ("pull", "yyyy-", Command::Pull { events: vec![], mark_read: true }),
        ("pin", "yyyy-", Command::Pin { event: event(*asked), note: reason() }),
        ("reserve", "yyyyy", reserve("x/**")),
        ("add a task", "yyyyy", Command::AddTask(own)),
        ("note", "yyyyy", Command::AppendContext { section: Appendix::Note, text: "x".into() }),
        ("ask for a vote", "yyyy-", vote()),
        ("vote when asked", "yyy--", cast),
        ("ask for approval", "--yy-", approval()),
        ("have somebody told", "yyyyy", telling(&["bob"])),
        ("have everybody told", "yyy--", telling(&["@all"])),
        ("begin a session", "--yy-", Command::OpenSession(session)),
        // What is others'.
        ("cancel", "y-y--", Command::Cancel { event: event(*asked), recipients: vec![], reason: reason() }),
        ("retract", "y-y--", Command::Retract { event: event(*asked), reason: reason() }),
        ("redact", "y----", Command::Redact { event: event(*asked), reason: reason() }),
        ("unpin", "y-y--", Command::Unpin { event: event(*pinned), reason: reason() }),
        (
            "release a peer's paths",
            "y-y--",
            Command::ReleaseReservation { reservation: *of_alice, reason: reason() },
        ),
        (
            "release a person's paths",
            "y----",
            Command::ReleaseReservation { reservation: *of_cal, reason: reason() },
        ),
        ("call off a vote", "y-y--", Command::CloseVote { vote: *open, reason: reason() }),
        ("accept a task", "y-y--", changing(*task, TaskOp::Accept { text: reason() })),
        ("reopen a task", "y-y--", changing(*task, TaskOp::Reopen { reason: reason() })),
        (
            "change another's note",
            "y-y--",
            Command::SetContext { key: note.clone(), base: Some(note_version(&stage)), value: Some(said) },
        ),
        ("speak for an actor", "y-y--", state(Some(alice.clone()))),
        ("decide", "y----", deny),
        // Running the group.
        ("add an actor", "y-y--", Command::AddActor(AddActor::new("eve".parse().unwrap()))),
        (
            "change an actor",
            "y-y--",
            Command::UpdateActor(ActorUpdate { title: Some("A".into()), ..ActorUpdate::of(alice.clone()) }),
        ),
        ("remove an actor", "y-y--", Command::RemoveActor(remove)),
        ("add a person", "y----", person("dan")),
        ("remove another person", "y----", leaving("cal")),
        ("change settings", "y-y--", set("policy.reply_ms", 1.into())),
        ("say who decides", "y----", set("approval.people", true.into())),
        ("pause", "y-y--", mode(GroupMode::Paused)),
        ("archive", "y----", mode(GroupMode::Archived)),
        ("attach a directory", "y-y--", Command::AttachScope(scope)),
        ("deliver", "y---y", claim),
        ("say that a deliverer died", "y----", Command::LoseClaims { sessions: vec![] }),
        ("host", "y---y", Command::Notify { key: "x".into() }),
    ] {
        let found = CALLERS.map(|by| if stage.may(by, command.clone()) { 'y' } else { '-' });
        assert_eq!(found.iter().collect::<String>(), allowed, "{action}");
    }
}

fn note_version(stage: &Stage) -> Seq {
    stage.desk.state().context().get(&stage.note).unwrap().set_by_event.seq
}

#[test]
fn what_they_began_is_theirs_to_end() {
    for by in CALLERS {
        let mut desk = Stage::new().desk;
        let asked = desk.run(by, asking(&["alice"])).unwrap().seq();
        let said = desk.send(by, message("y", &["alice"]));
        let task = AddTask { title: "x".into(), owner: Some("alice".into()), ..AddTask::default() };
        let task = TaskId(desk.run(by, Command::AddTask(task)).unwrap().seq());
        desk.run("alice", changing(task, TaskOp::Done { text: String::new() })).unwrap();
        let held = ReservationId(desk.run(by, reserve("y/**")).unwrap().seq());
        for command in [
            Command::Cancel { event: event(asked), recipients: vec![], reason: String::new() },
            Command::Retract { event: event(said), reason: String::new() },
            changing(task, TaskOp::Accept { text: String::new() }),
            Command::ReleaseReservation { reservation: held, reason: String::new() },
        ] {
            let shown = format!("{by}: {command:?}");
            // Of a service nobody waits until it accepts what was done.
            let accepted = by == "svc:host" && matches!(command, Command::UpdateTask(_));
            assert_eq!(desk.run(by, command).unwrap().events.is_empty(), accepted, "{shown}");
        }
    }
}
