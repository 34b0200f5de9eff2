//! Sessions over a real home: who is present, who receives, and what becomes of what died.

use std::fs;
use std::sync::Arc;

use cccc_core::command::Outcome;
use cccc_core::event::{GroupUpdate, JoinPolicy, Transport};
use cccc_core::rule::presence::{Condition, Upkeep};
use cccc_core::{
    Agent, Command, DeliveryWord, ErrorKind, Group, Home, HomeOptions, ManualClock, Member, Process, block_on,
};

struct Place {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

impl Place {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at("2026-11-21T08:00:00Z".parse().unwrap()));
        Self { dir: tempfile::tempdir().unwrap(), clock }
    }

    /// As another process would open it.
    async fn home(&self) -> Home {
        let mut options = HomeOptions::default();
        options.clock = self.clock.clone();
        options.disk = Arc::new(cccc_core::disk::RealDisk::new());
        Home::open_with(self.dir.path().join("home"), options).await.unwrap()
    }
}

async fn member(group: &Group, id: &str) -> Member {
    group.who().await.unwrap().into_iter().find(|member| member.actor.actor_id.as_str() == id).unwrap()
}

#[test]
fn an_agent_joins_is_seen_and_goes() {
    block_on(async {
        let place = Place::new();
        let user = place.home().await.create_group("g").await.unwrap();
        let other = place.home().await.group(user.id()).await.unwrap();
        let git = place.dir.path().join("p/.git");
        fs::create_dir_all(&git).unwrap();
        fs::write(git.join("HEAD"), "ref: refs/heads/fix\n").unwrap();
        let join = |session: &'static str| {
            user.join().runtime("claude").agent_session(session).directory(place.dir.path().join("p"))
        };
        let joined = join("c1").label("reviewer").await.unwrap();
        assert!(joined.added && joined.replaced.is_none() && joined.generation == 1);
        let id = joined.actor_id.to_string();
        let seen = member(&other, &id).await;
        assert!(seen.actor.ephemeral && seen.presence == Condition::Present);
        let session = seen.session.unwrap();
        assert_eq!((session.runtime.as_str(), session.branch.as_deref()), ("claude", Some("fix")));
        assert_eq!(session.session, joined.session.id());

        // Another session of the same program is somebody else; the same one is the same actor again.
        let second = join("c2").await.unwrap();
        assert_ne!(second.actor_id, joined.actor_id);
        drop(joined);
        assert_eq!(member(&other, &id).await.presence, Condition::Absent);
        let again = join("c1").await.unwrap();
        assert_eq!((again.actor_id.as_str(), again.added, again.generation), (id.as_str(), false, 2));
        again.session.close("bye").await.unwrap();
        let gone = member(&other, &id).await;
        assert_eq!((gone.presence, gone.session.unwrap().open), (Condition::Absent, false));
        let leaver = second.session.group().leave("").await.unwrap();
        assert_eq!(leaver.events.len(), 1);
        assert_eq!(second.session.group().leave("").await.unwrap_err().kind(), ErrorKind::NotFound);

        let update = GroupUpdate { join: Some(JoinPolicy::Closed), ..GroupUpdate::default() };
        user.update(update).await.unwrap();
        assert_eq!(user.join().await.unwrap_err().kind(), ErrorKind::Refused);
        assert_eq!(user.join().id("Not Valid").await.unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(user.join().id(&id).await.unwrap().generation, 3, "whoever is there comes in");
    });
}

#[test]
fn the_newest_session_receives_and_the_older_is_told() {
    block_on(async {
        let place = Place::new();
        let user = place.home().await.create_group("g").await.unwrap();
        user.add_actor("lead").await.unwrap();
        let old = user.join().id("alice").session("old").await.unwrap();
        user.send("one").to("alice").await.unwrap();
        let mine = old.session.group();
        assert_eq!(mine.inbox().await.unwrap().messages.len(), 1);
        let new = place.home().await.group(user.id()).await.unwrap();
        let new = new.join().id("alice").session("new").directory("/").await.unwrap();
        assert_eq!(new.replaced.unwrap().session, "old");
        user.send("two").to("alice").await.unwrap();
        for error in [
            mine.inbox().await.unwrap_err(),
            mine.execute(Command::Pull { events: Vec::new(), mark_read: false }).await.unwrap_err(),
            old.session.check().await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Refused);
            assert!(error.to_string().contains("replaced by a newer one (new"), "{error}");
        }
        let inbox = new.session.group().inbox().await.unwrap();
        assert_eq!(inbox.messages.len(), 2, "what the older one was told is told again");
        old.session.close("").await.unwrap();
        new.session.check().await.unwrap();
        assert_eq!(member(&user, "alice").await.presence, Condition::Present);
    });
}

#[test]
fn the_claims_of_a_dead_deliverer_become_ambiguous() {
    block_on(async {
        let place = Place::new();
        let user = place.home().await.create_group("g").await.unwrap();
        user.add_actor("lead").await.unwrap();
        let host = user.bind("svc:host").await.unwrap();
        let claim = |sent: &cccc_core::Sent| Command::Claim {
            recipient: "lead".parse().unwrap(),
            events: vec![sent.event_id.into()],
            transport: Transport::Push,
        };
        let (dead, alive) = (host.serve().unwrap(), host.serve().unwrap());
        let sent =
            [user.send("1").await.unwrap(), user.send("2").await.unwrap(), user.send("3").await.unwrap()];
        dead.group().execute(claim(&sent[0])).await.unwrap();
        let claimed = alive.group().execute(claim(&sent[1])).await.unwrap().events[0].id;
        host.execute(claim(&sent[2])).await.unwrap();
        assert!(user.upkeep().await.unwrap().is_empty(), "both are at work");
        drop(dead);
        let done = place.home().await.group(user.id()).await.unwrap().upkeep().await.unwrap();
        assert!(matches!(done.as_slice(), [Upkeep::LoseClaim { .. }]), "{done:?}");
        assert!(user.upkeep().await.unwrap().is_empty());
        let words = async |at: usize| user.receipts(&sent[at]).await.unwrap()[0].to_string();
        assert!(
            words(0).await.starts_with("lead: ambiguous through push (the deliverer ended"),
            "{}",
            words(0).await
        );
        assert!(words(2).await.starts_with("lead: claimed"), "of whom nothing is known, nothing follows");
        let settle = Command::Settle { delivery: claimed, outcome: Outcome::accepted("seen") };
        alive.group().execute(settle).await.unwrap();
        alive.close("").await.unwrap();
        assert_eq!(
            user.join().id("lead").await.unwrap().session.group().serve().unwrap_err().kind(),
            ErrorKind::Invalid
        );
    });
}

#[test]
fn who_stays_away_is_retired_and_what_it_owes_returns() {
    block_on(async {
        let place = Place::new();
        let user = place.home().await.create_group("g").await.unwrap();
        user.add_actor("lead").await.unwrap();
        let guest = user.join().await.unwrap();
        let sent = user.send("?").to(guest.actor_id.as_str()).reply_required().await.unwrap();
        drop(guest.session);
        assert!(matches!(user.upkeep().await.unwrap().as_slice(), [Upkeep::CloseSession { .. }]));
        place.clock.set("2026-11-22T08:00:00Z".parse().unwrap());
        assert!(matches!(user.upkeep().await.unwrap().as_slice(), [Upkeep::Retire { .. }]));
        assert!(user.obligations().all().await.unwrap().is_empty());
        let receipt = user.receipts(&sent).await.unwrap()[0].to_string();
        assert!(receipt.contains("returned") && receipt.contains("stayed away"), "{receipt}");
        let left: Vec<_> = walk(&place.dir.path().join("home/presence"));
        assert!(left.is_empty(), "{left:?}");
    });
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn an_id_of_a_shared_environment_is_not_ones_own() {
    block_on(async {
        let place = Place::new();
        let user = place.home().await.create_group("g").await.unwrap();
        let process = |pid: u32| Process { pid, started: "1".into(), place: "here".into() };
        let (daemon, other) = (process(10), process(20));
        // Two sessions of one program, which starts both with the environment of the first.
        let first = user.join().inherited_id("alice", vec![daemon.clone()]).program(daemon.clone());
        let first = first.await.unwrap();
        let above = vec![daemon.clone(), process(1)];
        let second = || user.join().inherited_id("alice", above.clone()).program(daemon.clone());
        let error = second().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().contains("alice is at work already"), "{error}");
        first.session.check().await.unwrap();
        // Somebody else's program, a word of one's own, and one that has ended are another matter.
        let moved = user.join().inherited_id("alice", vec![other.clone()]).program(other.clone());
        let moved = moved.await.unwrap();
        assert_eq!(moved.replaced.map(|old| old.session).as_deref(), Some(first.session.id()));
        drop((first, moved.session));
        let again = second().await.unwrap();
        user.join().id("alice").program(daemon).await.unwrap();
        assert!(again.session.check().await.is_err());
        // A program that is one session: started again, it is the same.
        let claude = |above: Vec<Process>| user.join().inherited_id("bob", above).process(other.clone());
        let before = claude(vec![other.clone()]).await.unwrap();
        claude(vec![other.clone()]).await.unwrap();
        assert!(before.session.check().await.is_err());
        // A program that is known to be a session starts something of its own.
        user.join().inherited_id("bob", vec![other.clone()]).program(other.clone()).await.unwrap();
        let outer = claude(vec![]).await.unwrap();
        let nested = user.join().inherited_id("bob", vec![process(30), other]).program(process(30)).await;
        assert_eq!(nested.unwrap_err().kind(), ErrorKind::Refused, "an agent that another one has started");
        outer.session.check().await.unwrap();
    });
}

#[test]
fn what_a_program_starts_finds_the_session_that_it_has() {
    block_on(async {
        let place = Place::new();
        let user = place.home().await.create_group("g").await.unwrap();
        user.add_actor("lead").await.unwrap();
        let agent = |id: &str, process: Option<Process>| Agent {
            runtime: "claude".into(),
            agent_session_id: Some(id.to_owned()),
            above: process.iter().cloned().collect(),
            process,
            one_session: true,
            fresh: false,
        };
        let me = Process::of(std::process::id());
        let join = |id: &'static str| user.join().runtime("claude").agent_session(id);
        assert_eq!(join("c1").quietly().await.unwrap_err().kind(), ErrorKind::NotFound);
        // One program says who the process is, and is gone; another one is its server.
        let mut request = join("c1");
        if let Some(process) = &me {
            request = request.process(process.clone());
        }
        let begun = request.await.unwrap();
        let (id, session) = (begun.actor_id.clone(), begun.session.id().to_owned());
        begun.session.hand_over().await.unwrap();
        let running = user.running(&agent("c1", me.clone())).await.unwrap().unwrap();
        assert_eq!((&running.actor_id, &running.session, running.stands_alone), (&id, &session, true));
        assert!(running.is_known_as(Some("c1")) && !running.is_known_as(Some("c2")));
        assert_eq!(user.running(&agent("c9", None)).await.unwrap(), None);
        let Some(me) = me else { return };
        let server = join("c1").id(id.as_str()).session(&session).process(me.clone()).await.unwrap();
        assert_eq!((server.generation, server.replaced), (1, None));
        user.send("once").to(id.as_str()).await.unwrap();
        assert_eq!(server.session.group().inbox().await.unwrap().messages.len(), 1);
        // The context was cleared: another session of the program, no other of the actor.
        let running = user.running(&agent("c2", Some(me.clone()))).await.unwrap().unwrap();
        let cleared = join("c2").id(id.as_str()).session(running.session).process(me.clone()).await.unwrap();
        assert_eq!(cleared.generation, 1);
        cleared.session.hand_over().await.unwrap();
        let running = user.running(&agent("c2", Some(me.clone()))).await.unwrap().unwrap();
        assert!(running.is_known_as(Some("c2")));
        // The server goes; the session goes on, and with the program it is over.
        server.session.depart("the client has gone").await.unwrap();
        assert_eq!(member(&user, id.as_str()).await.presence, Condition::Present);
        assert!(user.running(&agent("c2", Some(me.clone()))).await.unwrap().is_some());
        let elsewhere = join("c2").id(id.as_str()).session("other").await.unwrap();
        assert!(user.running(&agent("c1", Some(me))).await.unwrap().unwrap().is_replaced());
        let error = user.join().id(id.as_str()).quietly().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        elsewhere.session.depart("bye").await.unwrap();
        assert_eq!(member(&user, id.as_str()).await.presence, Condition::Absent);
    });
}

#[test]
fn a_deliverer_that_stands_outside_hands_over_to_the_newest_session_alone() {
    block_on(async {
        let place = Place::new();
        let user = place.home().await.create_group("g").await.unwrap();
        user.add_actor("lead").await.unwrap();
        let alice = user.join().id("alice").session("s1").await.unwrap();
        let sent = user.send("one").to("alice").await.unwrap();
        let (group, events) = (alice.session.group(), [sent.event_id]);
        let hand = |session: &'static str| group.hand_over("svc:hook", session, &events, Transport::Hook);
        let claimed = hand("s1").await.unwrap().unwrap();
        assert_eq!(claimed.taken(), [sent.event_id]);
        assert!(hand("s1").await.unwrap().is_none(), "another has it");
        assert!(group.inbox().await.unwrap().messages.is_empty(), "and so it is in no inbox meanwhile");
        claimed.settle(Outcome::Failed("x".into())).await.unwrap();
        // One that ends before it says how it went leaves that open, and what it left is taken away.
        drop(hand("s1").await.unwrap().unwrap());
        assert!(hand("s1").await.unwrap().is_none());
        assert_eq!(user.receipts(&sent).await.unwrap()[0].delivery.state, DeliveryWord::Ambiguous);
        let error = hand("s0").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(user.upkeep_due().await.unwrap().is_empty());
    });
}
