//! How the fixture was made: everything a team may do, at times given.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cccc_core::command::{
    AddActor, AddSchedule, AddTask, Appendix, OpenSession, Outcome, RelayOutcome, RemoteAudience,
    SendMessage, UpdateTask, When,
};
use cccc_core::disk::RealDisk;
use cccc_core::event::{
    ActorRemove, Body, ChatMessage, Choice, ContextValue, Event, Evidence, EvidenceKind, GroupAttach,
    GroupCreate, GroupMode, GroupSetState, GroupUpdate, KINDS, Priority, ScheduleAction, Service, TaskOp,
    TaskUpdate, Transport, Wish,
};
use cccc_core::id::Nonce;
use cccc_core::ledger::file::{FileLedger, Options};
use cccc_core::ledger::{Draft, Durability, Encoder, Stamp};
use cccc_core::rule::desk::{event, message, who};
use cccc_core::{
    Blobs, Command, Group, GroupId, ManualClock, ReservationId, Seq, TaskId, Timestamp, VoteId, block_on,
};

use super::ask::ask;
use super::people::several_people;
use super::{events_of, fixture, now, shown};

/// A group on files, to which things happen one after the other.
pub(super) struct Scene {
    pub(super) user: Group,
    pub(super) clock: Arc<ManualClock>,
    pub(super) at: Timestamp,
}

impl Scene {
    /// A second later, somebody gives a command; answers the first event's place.
    pub(super) fn at(&mut self, by: &str, command: Command) -> Seq {
        self.events(by, command).first().map(|event| event.seq).unwrap_or_default()
    }

    pub(super) fn events(&mut self, by: &str, command: Command) -> Vec<Event> {
        self.wait(1);
        let handle = block_on(self.user.bind(by)).unwrap();
        let done = block_on(handle.execute(command)).unwrap_or_else(|error| panic!("{by}: {error}"));
        done.events.clone()
    }

    pub(super) fn wait(&mut self, seconds: u64) {
        self.at = self.at.after(Duration::from_secs(seconds));
        self.clock.set(self.at);
    }

    pub(super) fn send(&mut self, by: &str, send: SendMessage) -> Seq {
        self.at(by, Command::Send(send))
    }

    fn change(&mut self, by: &str, task_id: TaskId, changes: Vec<TaskOp>) {
        self.at(by, Command::UpdateTask(UpdateTask { task_id, base_version: None, changes }));
    }

    fn add(&mut self, by: &str, title: &str, owner: Option<&str>, more: AddTask) -> TaskId {
        let task = AddTask { title: title.into(), owner: owner.map(Into::into), ..more };
        TaskId(self.at(by, Command::AddTask(task)))
    }

    fn vote(&mut self, by: &str, subject: &str, voters: &[&str], minutes: u64) -> VoteId {
        let voters = voters.iter().map(|voter| who(voter)).collect();
        let within = Duration::from_secs(60 * minutes);
        VoteId(self.at(by, Command::OpenVote { subject: subject.into(), voters, within }))
    }

    fn cast(&mut self, by: &str, vote: VoteId, choice: Choice) {
        self.at(by, Command::CastVote { vote, choice, reason: String::new() });
    }

    fn mode(&mut self, state: GroupMode) {
        self.at("user", Command::SetState(GroupSetState { state, reason: "lunch".into() }));
    }

    /// Everything that is due is done.
    pub(super) fn carry_out(&mut self) {
        for effect in block_on(self.user.due()).unwrap() {
            block_on(self.user.carry_out(&effect)).unwrap();
        }
    }
}

fn asking(text: &str, to: &[&str]) -> SendMessage {
    SendMessage { reply_within: Some(Duration::from_secs(1_800)), ..message(text, to) }
}

fn people(scene: &mut Scene) {
    scene.at("user", Command::CreateGroup(GroupCreate { title: "Team".into(), ..GroupCreate::default() }));
    for (scope_key, path) in [("kone", "/project"), ("ktwo", "/project/old")] {
        let attach = GroupAttach { scope_key: scope_key.into(), path: path.into() };
        scene.at("user", Command::AttachScope(attach));
    }
    scene.at("user", Command::DetachScope { scope_key: "ktwo".into() });
    let settings =
        [("policy.attention_ms".to_owned(), 120_000.into()), ("policy.idle_ms".into(), 7_200_000.into())];
    let update =
        GroupUpdate { title: Some("A team".into()), settings: settings.into(), ..GroupUpdate::default() };
    scene.at("user", Command::UpdateGroup(update));
    for id in ["lead", "alice", "bob", "carol", "dave"] {
        let add = AddActor { ephemeral: id == "dave", ..AddActor::new(id.parse().unwrap()) };
        scene.at("user", Command::AddActor(add));
    }
    for (id, label) in [("alice", "review"), ("bob", "review"), ("bob", "ui")] {
        let add = vec![label.parse().unwrap()];
        scene.at(id, Command::ChangeLabels { actor_id: None, add, remove: Vec::new() });
    }
    for (id, session) in [("lead", "s1"), ("alice", "s2"), ("bob", "s3"), ("alice", "s4")] {
        let open = OpenSession {
            session: session.into(),
            runtime: "claude".into(),
            agent_session_id: Some(format!("agent-{session}")),
            cwd: "/project".into(),
            branch: Some("main".into()),
        };
        scene.at(id, Command::OpenSession(open));
    }
}

fn talk(scene: &mut Scene) {
    let look = SendMessage { priority: Priority::Attention, ..asking("Review src/auth.rs", &["#review"]) };
    let look = scene.send("lead", look);
    scene.at("alice", Command::Ack { event: event(look) });
    let reply_to = Some(event(look));
    scene.send("alice", SendMessage { reply_to: reply_to.clone(), progress: true, ..message("On it", &[]) });
    scene.send("alice", SendMessage { reply_to, ..message("Two findings", &[]) });
    let question = scene.send("bob", asking("Which branch?", &["lead"]));
    let back =
        SendMessage { reply_to: Some(event(question)), progress: true, ..asking("For what?", &["bob"]) };
    scene.send("lead", back);
    let claim = Command::Claim { recipient: who("carol"), events: Vec::new(), transport: Transport::Push };
    for (n, outcome) in [
        Outcome::accepted("turn 1"),
        Outcome::Failed("no terminal".into()),
        Outcome::Ambiguous("it went away".into()),
        Outcome::Bounced("nobody".into()),
    ]
    .into_iter()
    .enumerate()
    {
        let sent = scene.send("user", message(&format!("News {n}"), &["carol"]));
        let Command::Claim { recipient, transport, .. } = claim.clone() else { unreachable!() };
        let claimed =
            scene.events("svc:host", Command::Claim { recipient, events: vec![event(sent)], transport });
        scene.at("svc:host", Command::Settle { delivery: claimed[0].id, outcome });
        if n == 2 {
            scene.at("user", Command::Retry { event: event(sent), recipient: who("carol") });
        }
    }
    let cancelled = scene.send("lead", asking("Never mind?", &["carol"]));
    scene.at("lead", Command::Cancel { event: event(cancelled), recipients: vec![], reason: "done".into() });
    let retracted = scene.send("carol", message("Wrong window", &["alice"]));
    scene.at("carol", Command::Retract { event: event(retracted), reason: "oops".into() });
    let old = scene.send("alice", message("Version one", &["lead"]));
    scene.send("alice", SendMessage { supersedes: Some(event(old)), ..message("Version two", &["lead"]) });
    let secret = scene.send("user", message("the password is swordfish", &["lead", "alice"]));
    block_on(scene.user.redact(secret, "a secret")).unwrap();
    let unread: Vec<_> =
        events_of(&scene.user).iter().filter(|e| e.message().is_some()).map(|e| e.id).collect();
    scene.at("lead", Command::Pull { events: unread, mark_read: true });
    for n in 0..33 {
        scene.send("bob", message(&format!("Thanks {n}"), &["carol"]));
    }
}

/// To another group and from it.
fn abroad(scene: &mut Scene) {
    let other = GroupId::new("gother").unwrap();
    let copied = RelayOutcome::Copied { event_id: "9-bcdfghjk".parse().unwrap(), missed: Vec::new() };
    for (name, outcome) in [("zoe", copied), ("yves", RelayOutcome::Bounced("left".into()))] {
        let address = format!("{name}@gother");
        let remote = vec![RemoteAudience {
            address: address.clone(),
            group_id: other.clone(),
            seq: Seq(7),
            found: Ok(vec![who(&address)]),
        }];
        let sent = scene.send("lead", SendMessage { remote, ..asking("How do you do it?", &[&address]) });
        scene.at("system", Command::SettleRelay { event: event(sent), group: other.clone(), outcome });
    }
    // Only the relay itself writes in the name of somebody elsewhere.
    scene.wait(1);
    let ledger = scene.user.ledger();
    let turn = block_on(ledger.turn()).unwrap();
    let message: ChatMessage = serde_json::from_value(serde_json::json!({
        "text": "Who knows the parser?", "to": ["carol"], "recipients": ["carol"], "format": "plain",
        "priority": "normal", "reply_required": true, "root": turn.tip().seq.next(), "depth": 0,
        "client_id": "relay/gother/4-bcdfghjk", "src_group_id": "gother", "src_group_title": "Others",
        "src_event_id": "4-bcdfghjk",
    }))
    .unwrap();
    let stamp = Stamp { ts: scene.at, by: who("zoe@gother"), via: None, scope_key: "".into() };
    let mut encoder = Encoder::new(ledger.group_id().clone(), turn.tip(), turn.durable().seq);
    encoder.push(vec![Draft::from(message)], &stamp, || Nonce::from_bits(4_711)).unwrap();
    block_on(turn.append(&encoder.finish(), Durability::Durable)).unwrap();
}

fn work(scene: &mut Scene) {
    let requires = vec![EvidenceKind::Commit, EvidenceKind::Command];
    let due_within = Some(Duration::from_secs(3_600));
    let more = AddTask {
        requires,
        due_within,
        checklist: vec!["read".into(), "write".into()],
        ..AddTask::default()
    };
    let parser = scene.add("lead", "Fix the parser", Some("bob"), more);
    let docs = AddTask { depends_on: vec![parser], ..AddTask::default() };
    let docs = scene.add("lead", "Document it", Some("alice"), docs);
    scene.change("bob", parser, vec![TaskOp::Start {}, TaskOp::Check { item: 1, done: true }]);
    scene.change(
        "bob",
        parser,
        vec![TaskOp::AddItem { text: "test".into() }, TaskOp::Note { text: "hard".into() }],
    );
    let evidence = [
        Evidence::Commit { commit: "0123abc".into() },
        Evidence::Command { command: "make test".into(), exit_code: 0, output: "ok".into() },
        Evidence::File { path: "parser.rs".into(), sha256: "0".repeat(64) },
        Evidence::Text { text: "it works".into() },
    ];
    scene.change("bob", parser, evidence.map(TaskOp::Evidence).to_vec());
    let given = events_of(&scene.user);
    for event in given {
        let Body::TaskUpdate(TaskUpdate { change: TaskOp::Evidence(evidence), .. }) = &event.body else {
            continue;
        };
        if evidence.can_be_checked() {
            let holds = evidence.kind() != EvidenceKind::File;
            let found = if holds { "as was said" } else { "there is no such file" };
            let op = TaskOp::Checked { evidence: event.seq, holds, found: found.into() };
            scene.change("svc:host", parser, vec![op]);
        }
    }
    let checked = |item| TaskOp::Check { item, done: true };
    scene.change("bob", parser, vec![checked(2), checked(3), TaskOp::Done { text: "fixed".into() }]);
    scene.change("lead", parser, vec![TaskOp::Accept { text: "good".into() }]);
    scene.change("alice", docs, vec![TaskOp::Start {}, TaskOp::Plan {}, TaskOp::Offer { to: who("carol") }]);
    scene.change("carol", docs, vec![TaskOp::Take {}, TaskOp::Offer { to: who("bob") }]);
    scene.change("bob", docs, vec![TaskOp::Keep { reason: "no time".into() }]);
    let task = AddTask { title: "Try it".into(), due_within, ..AddTask::default() };
    let sent = message("Please try it", &["bob"]);
    let tried = TaskId(scene.at("carol", Command::TrackedSend { task, message: sent }));
    scene.change("bob", tried, vec![TaskOp::Done { text: String::new() }]);
    scene.change("carol", tried, vec![TaskOp::Reopen { reason: "not on Windows".into() }]);
    scene.change("carol", tried, vec![TaskOp::Depend { on: docs }, TaskOp::Undepend { on: docs }]);
    scene.change("carol", tried, vec![TaskOp::Depend { on: docs }]);
    let edit = TaskOp::Edit { title: Some("Try all".into()), outcome: Some("tried".into()), requires: None };
    scene.change("carol", tried, vec![edit]);
    let own = scene.add("alice", "Tidy up", None, AddTask::default());
    scene.change("alice", own, vec![TaskOp::Assign { owner: Some(who("alice")), reason: "mine".into() }]);
    let declined = scene.add("user", "Make coffee", Some("alice"), AddTask::default());
    scene.change("alice", declined, vec![TaskOp::Decline { reason: "no hands".into() }]);
    let cancelled = scene.add("user", "Buy milk", Some("dave"), AddTask::default());
    scene.change("user", cancelled, vec![TaskOp::Cancel { reason: "no coffee".into() }]);
    let done = scene.add("dave", "Wait for acceptance", Some("bob"), AddTask::default());
    scene.change("bob", done, vec![TaskOp::Done { text: "ready".into() }]);
}

fn know_and_hold(scene: &mut Scene) {
    let text = |text: &str| Some(ContextValue::Text(text.into()));
    let key = |key: &str| key.parse().unwrap();
    scene.at("lead", Command::SetContext { key: key("brief"), base: None, value: text("Build it") });
    let brief =
        scene.at("lead", Command::SetContext { key: key("brief"), base: None, value: text("Build it well") });
    scene.at(
        "bob",
        Command::SetContext { key: key("brief"), base: Some(brief), value: text("Build it well, soon") },
    );
    scene.at("bob", Command::SetContext { key: key("sketch"), base: None, value: text("a sketch") });
    scene.at("bob", Command::SetContext { key: key("sketch"), base: None, value: None });
    let service =
        Service { kind: "http".into(), address: "port 8080".into(), owner: Some("bob".parse().unwrap()) };
    let value = Some(ContextValue::Service(service));
    scene.at("bob", Command::SetContext { key: key("services/api"), base: None, value });
    scene.at("lead", Command::AppendContext { section: Appendix::Decision, text: "Rust".into() });
    scene.at("carol", Command::AppendContext { section: Appendix::Note, text: "The cache is slow".into() });
    for (id, focus, hours) in [("alice", "docs", 1), ("bob", "parser", 100), ("dave", "nothing", 1)] {
        let until = Some(scene.at.after(Duration::from_secs(3_600 * hours)));
        let said = |text: &str| Some(text.to_owned());
        let (next, blocker) = (said("tests"), said(if id == "bob" { "a key" } else { "" }));
        let (focus, waiting_for) = (said(focus), said("user").filter(|_| id != "dave"));
        let state =
            Command::SetAgentState { actor_id: None, focus, next, blocker, waiting_for, until, base: None };
        scene.at(id, state);
    }
    let reserve = |globs: &[&str], hours: u64| Command::Reserve {
        globs: globs.iter().map(|glob| (*glob).to_owned()).collect(),
        purpose: "editing".into(),
        lease: Duration::from_secs(3_600 * hours),
    };
    scene.at("dave", reserve(&["old/**"], 1));
    let docs = ReservationId(scene.at("alice", reserve(&["docs/**", "*.md"], 1)));
    scene.at("alice", Command::ExtendReservation { reservation: docs, lease: Duration::from_secs(400_000) });
    let src = ReservationId(scene.at("bob", reserve(&["src/**"], 2)));
    scene.at("bob", Command::ReleaseReservation { reservation: src, reason: "merged".into() });
    scene.at("carol", reserve(&["src/parser.rs"], 100));
}

fn vote(scene: &mut Scene) {
    let merge = scene.vote("bob", "Merge now?", &[], 60);
    for id in ["lead", "alice", "bob"] {
        scene.cast(id, merge, Choice::Yes);
    }
    let tabs = scene.vote("alice", "Tabs?", &["alice", "bob"], 60);
    scene.cast("bob", tabs, Choice::No);
    let called_off = scene.vote("carol", "Lunch?", &["carol", "lead", "user"], 60);
    scene.at("carol", Command::CloseVote { vote: called_off, reason: "eaten".into() });
    let slow = scene.vote("carol", "Sleep?", &["carol", "lead"], 1);
    scene.wait(120);
    scene.at("lead", Command::CloseVote { vote: slow, reason: String::new() });
    let open = scene.vote("lead", "Ship on Friday?", &["user", "alice", "bob", "carol"], 10_000);
    scene.cast("alice", open, Choice::Abstain);
    scene.cast("carol", open, Choice::Yes);
}

fn time(scene: &mut Scene) {
    let to = |name: &str| vec![name.to_owned()];
    let notify = |name: &str| ScheduleAction::Notify { to: to(name), text: "Stand up".into() };
    let mut add = |id: &str, when: When, action: ScheduleAction| {
        let schedule_id = Some(id.parse().unwrap());
        scene.at("user", Command::AddSchedule(AddSchedule { schedule_id, when, action }));
        scene.at
    };
    add("hourly", When::Every(Duration::from_secs(3_600)), notify("@all"));
    let cron = When::Cron { expr: "0 9 * * 1-5".into(), tz: Some("Europe/Paris".into()) };
    let at = add("daily", cron, notify("lead"));
    let soon = |seconds| When::At(at.after(Duration::from_secs(seconds)));
    for (id, seconds, wish) in
        [("start", 100, Wish::Start), ("stop", 101, Wish::Stop), ("again", 102, Wish::Restart)]
    {
        add(id, soon(seconds), ScheduleAction::Control { actor_id: "alice".parse().unwrap(), wish });
    }
    add("rest", soon(110), ScheduleAction::SetState { state: GroupMode::Idle });
    add("missed", soon(400), notify("lead"));
    add("gone", soon(500), notify("lead"));
    scene.at("user", Command::RemoveSchedule { schedule_id: "gone".parse().unwrap() });
    scene.at("user", Command::EnableSchedule { schedule_id: "hourly".parse().unwrap(), enabled: false });
    scene.wait(110);
    scene.carry_out();
    scene.mode(GroupMode::Active);
    scene.wait(400);
    scene.carry_out();
    scene.mode(GroupMode::Paused);
    scene.wait(1_000);
    scene.mode(GroupMode::Active);
    for _ in 0..3 {
        scene.wait(1_000);
        scene.carry_out();
    }
}

fn leave(scene: &mut Scene) {
    scene.at("bob", Command::CloseSession { session: "s3".into(), reason: Some("tired".into()) });
    let remove = |id: &str, successor: Option<&str>| {
        let successor = successor.map(|id| id.parse().unwrap());
        Command::RemoveActor(ActorRemove {
            actor_id: id.parse().unwrap(),
            reason: "moved on".into(),
            successor,
        })
    };
    scene.send("lead", asking("Anything left?", &["bob", "dave"]));
    scene.at("user", remove("bob", Some("alice")));
    let through = events_of(&scene.user).last().unwrap().seq;
    scene.at("lead", Command::SeeNotices { through });
    scene.at("dave", remove("dave", None));
    let open = scene.vote("alice", "release carol to alice", &[], 600);
    for id in ["lead", "alice"] {
        scene.cast(id, open, Choice::Yes);
    }
    scene.send("lead", asking("And you?", &["alice", "user"]));
    scene.send("alice", asking("And you?", &["lead"]));
}

/// To be run again only for a new version of the format, into a new directory.
#[test]
#[ignore = "makes the fixture, which otherwise never changes"]
fn makes_the_team_fixture() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("group");
    let id = GroupId::new("gteam").unwrap();
    let options = Options::default().segment_bytes(20_000);
    let ledger = FileLedger::create(Arc::new(RealDisk::new()), place.clone(), id, options).unwrap();
    let at: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
    let clock = Arc::new(ManualClock::at(at));
    let user = Group::over(Arc::new(ledger), Blobs::in_directory(place.join("blobs")), clock.clone());
    let mut scene = Scene { user: user.through("rust"), clock, at };
    for part in [people, talk, abroad, work, know_and_hold, vote, ask, several_people, time, leave] {
        part(&mut scene);
    }
    let events = events_of(&scene.user);
    let missing: Vec<_> =
        KINDS.iter().filter(|kind| !events.iter().any(|event| event.body.kind() == **kind)).collect();
    assert!(missing.is_empty(), "kinds without an example: {missing:?}");
    keep(&scene, &place, &fixture());
}

/// Keeps a scene's ledger, with what it means, as a fixture.
pub(super) fn keep(scene: &Scene, place: &Path, to: &Path) {
    let events = events_of(&scene.user);
    let position = block_on(scene.user.position()).unwrap();

    drop(fs::remove_dir_all(to));
    fs::create_dir_all(to.join("ledger")).unwrap();
    for entry in fs::read_dir(place.join("ledger")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|found| found == "jsonl") {
            fs::copy(&path, to.join("ledger").join(path.file_name().unwrap())).unwrap();
        }
    }
    for page in ["head", "tip", "lock"] {
        fs::copy(place.join(page), to.join(page)).unwrap();
    }
    fs::write(to.join("position"), format!("{position}\n")).unwrap();
    let expected = serde_json::to_string_pretty(&shown(&events, now())).unwrap();
    fs::write(to.join("expected.json"), expected + "\n").unwrap();
}
