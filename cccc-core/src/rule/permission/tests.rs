use super::*;
use crate::command::{
    AddActor, AddPerson, AddSchedule, AddTask, Appendix, JoinGroup, OpenSession, Outcome, RelayCopy,
    RelayOutcome, UpdateTask, When,
};
use crate::error::ErrorKind;
use crate::event::{
    ActorRemove, ActorUpdate, Choice, GroupAttach, GroupCreate, GroupSetState, GroupUpdate, PersonRemove,
    ScheduleAction, Transport,
};
use crate::id::{EventRef, ReservationId, Seq, TaskId, VoteId};
use crate::rule::desk::{Desk, event, message, who};
use std::time::Duration;

/// One of every command; what is named in them does not matter.
fn every_command(desk: &Desk, sent: Seq) -> Vec<(&'static str, Command)> {
    let alice: ActorId = "alice".parse().unwrap();
    let reason = String::new;
    let it: fn(Seq) -> EventRef = event;
    let id = desk.event(sent).unwrap().id;
    let time = Duration::from_secs(60);
    let copy = RelayCopy {
        src_group_id: "other".parse().unwrap(),
        src_group_title: String::new(),
        src_event_id: id,
        message: desk.event(sent).unwrap().message().unwrap().clone(),
        to: Vec::new(),
        recipients: vec![who("alice")],
        seq: Seq(9),
        reply_to: None,
        supersedes: None,
    };
    let guest = OpenSession { session: "g".into(), ..OpenSession::default() };
    let remove = ActorRemove { actor_id: alice.clone(), reason: reason(), successor: None };
    let schedule = AddSchedule {
        schedule_id: None,
        when: When::Every(time),
        action: ScheduleAction::Notify { to: vec!["lead".into()], text: "x".into() },
    };
    let task = AddTask { title: "x".into(), owner: Some("alice".into()), ..AddTask::default() };
    let schedule_id = || "s".parse().unwrap();
    vec![
        ("user", Command::CreateGroup(GroupCreate::default())),
        ("user", Command::UpdateGroup(GroupUpdate { title: Some("x".into()), ..GroupUpdate::default() })),
        ("user", Command::AttachScope(GroupAttach { scope_key: "k".into(), path: "/".into() })),
        ("user", Command::DetachScope { scope_key: "k".into() }),
        ("user", Command::AddActor(AddActor::new("bob".parse().unwrap()))),
        ("user", Command::UpdateActor(ActorUpdate::of(alice.clone()))),
        ("user", Command::RemoveActor(remove)),
        ("alice", Command::OpenSession(OpenSession { session: "s".into(), ..OpenSession::default() })),
        ("guest", Command::Join(JoinGroup { session: guest, ..JoinGroup::default() })),
        ("user", Command::AddPerson(AddPerson { person_id: "cal".parse().unwrap(), title: None })),
        (
            "user",
            Command::RemovePerson(PersonRemove {
                person_id: "bea".parse().unwrap(),
                reason: reason(),
                successor: None,
            }),
        ),
        ("system", Command::RetireActor { actor_id: alice.clone() }),
        ("alice", Command::SeeNotices { through: sent }),
        ("alice", Command::CloseSession { session: "s".into(), reason: None }),
        (
            "carol",
            Command::Join(JoinGroup {
                session: OpenSession { session: "c".into(), ..OpenSession::default() },
                ..JoinGroup::default()
            }),
        ),
        ("system", Command::RetireActor { actor_id: alice.clone() }),
        (
            "alice",
            Command::InSession { session: "s".into(), command: Box::new(Command::Ack { event: it(sent) }) },
        ),
        ("user", Command::Send(message("x", &["alice"]))),
        ("alice", Command::Ack { event: it(sent) }),
        ("alice", Command::MarkRead { events: vec![it(sent)] }),
        ("alice", Command::MarkReadThrough { event: it(sent) }),
        ("user", Command::Cancel { event: it(sent), recipients: vec![], reason: reason() }),
        ("user", Command::Retract { event: it(sent), reason: reason() }),
        ("user", Command::Redact { event: it(sent), reason: reason() }),
        ("alice", Command::Pull { events: vec![id], mark_read: true }),
        ("alice", Command::Take { events: vec![id] }),
        ("alice", Command::SettleTaken { delivery: None, read: vec![id], notices: Some(sent) }),
        ("system", Command::LoseClaims { sessions: vec!["s".into()] }),
        (
            "svc:host",
            Command::Claim { recipient: who("alice"), events: vec![it(sent)], transport: Transport::Push },
        ),
        ("svc:host", Command::Settle { delivery: id, outcome: Outcome::Failed("x".into()) }),
        ("user", Command::Notify { key: "x".into() }),
        ("user", Command::AddSchedule(schedule)),
        ("user", Command::EnableSchedule { schedule_id: schedule_id(), enabled: true }),
        ("user", Command::RemoveSchedule { schedule_id: schedule_id() }),
        ("user", Command::ClearSchedules),
        ("user", Command::FireSchedule { schedule_id: schedule_id(), scheduled_at: desk.now }),
        ("user", Command::AddTask(task.clone())),
        (
            "user",
            Command::UpdateTask(UpdateTask { task_id: TaskId(sent), base_version: None, changes: vec![] }),
        ),
        ("user", Command::TrackedSend { task, message: message("x", &["alice"]) }),
        ("lead@other", Command::Relay(Box::new(copy))),
        (
            "system",
            Command::SettleRelay {
                event: it(sent),
                group: "other".parse().unwrap(),
                outcome: RelayOutcome::Failed(reason()),
            },
        ),
        ("user", Command::Retry { event: it(sent), recipient: who("alice") }),
        ("user", Command::SetContext { key: "brief".parse().unwrap(), base: None, value: None }),
        ("user", Command::AppendContext { section: Appendix::Note, text: "x".into() }),
        (
            "alice",
            Command::SetAgentState {
                actor_id: None,
                focus: None,
                next: None,
                blocker: None,
                waiting_for: None,
                until: None,
                base: None,
            },
        ),
        ("alice", Command::Reserve { globs: vec!["x".into()], purpose: reason(), lease: time }),
        ("alice", Command::ExtendReservation { reservation: ReservationId(sent), lease: time }),
        ("alice", Command::ReleaseReservation { reservation: ReservationId(sent), reason: reason() }),
        ("lead", Command::OpenVote { subject: "x".into(), voters: vec![], within: time }),
        ("alice", Command::CastVote { vote: VoteId(sent), choice: Choice::Yes, reason: reason() }),
        ("lead", Command::CloseVote { vote: VoteId(sent), reason: reason() }),
        ("alice", Command::ChangeLabels { actor_id: None, add: vec!["x".parse().unwrap()], remove: vec![] }),
    ]
}

#[test]
fn an_archived_group_refuses_every_command_but_to_be_opened_again() {
    let mut desk = Desk::with(&["lead", "alice"]);
    let sent = desk.send("user", message("x", &["alice"]));
    let commands = every_command(&desk, sent);
    desk.mode(GroupMode::Archived);
    let before = desk.state().clone();
    for (by, command) in commands {
        let shown = format!("{command:?}");
        let error = desk.run(by, command).expect_err(&shown);
        assert!(
            error.kind() == ErrorKind::Refused && error.to_string().contains("archived"),
            "{shown}: {error}"
        );
    }
    assert_eq!(desk.state(), &before);
    let open = |state| Command::SetState(GroupSetState { state, reason: String::new() });
    for by in ["lead", "alice", "svc:host"] {
        assert_eq!(desk.run(by, open(GroupMode::Active)).unwrap_err().kind(), ErrorKind::Refused, "{by}");
    }
    desk.run("user", open(GroupMode::Active)).unwrap();
}

mod table;
