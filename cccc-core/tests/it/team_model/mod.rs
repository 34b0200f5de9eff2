//! A naive model of how a team works together, checked against the rules over long random histories.
//!
//! The model knows nothing but the list of events. It answers what is owed, who holds what, who waits for
//! whom and what is due by looking through that list, without any cleverness; the library has to agree
//! with it after every few steps, in what it lists and in what it writes. Where both could be wrong alike, the
//! sentences that must hold (`invariant.rs`) are checked by themselves.
//!
//! `CCCC_MODEL_CASES` says how many histories are tried.

mod check;
mod command;
mod invariant;
mod model;
mod model_ask;
mod model_context;
mod model_estate;
mod model_lease;
mod model_mail;
mod model_policy;
mod model_rate;
mod model_schedule;
mod model_task;
mod model_vote;
mod model_wait;
mod ops;
mod reach;

use std::collections::BTreeSet;
use std::time::Duration;

use cccc_core::command::{OpenSession, Outcome};
use cccc_core::event::{Body, DeliveryState, Event};
use cccc_core::rule::desk::{Desk, Done, event, message};
use cccc_core::rule::policy::{self, Effect};
use cccc_core::rule::presence::{self, Condition, Facts};
use cccc_core::rule::wait;
use cccc_core::state::GroupState;
use cccc_core::{Command, Principal, Result, Seq, Timestamp};
use proptest::prelude::*;

use model::Model;
use ops::{Op, PEOPLE, RECEIVERS, What, op};

/// A group, what the model makes of it, and a second process that follows it.
#[derive(Debug)]
struct World {
    pub(super) desk: Desk,
    pub(super) model: Model,
    pub(super) replica: GroupState,
    /// Keys of the notices that were sent.
    pub(super) keys: BTreeSet<String>,
}

impl World {
    fn new() -> Self {
        let desk = Desk::with(&["lead", "a", "b"]);
        let replica = GroupState::new(&"g".parse().unwrap());
        let events = desk.events().to_vec();
        let (model, keys) = (Model::default(), BTreeSet::new());
        let mut world = Self { desk, model, replica, keys };
        events.iter().for_each(|event| world.follow(event));
        world
    }

    /// Gives a command. What is refused writes nothing; what is written is followed by all.
    pub(super) fn run(&mut self, by: &str, command: Command) -> Result<Done> {
        let before = self.desk.state().clone();
        let expected = self.foresee(by, &command);
        let shown = format!("{by}: {command:?}");
        let done = self.desk.run(by, command);
        match &done {
            Err(error) => {
                assert_eq!(self.desk.state(), &before, "a refusal writes nothing: {error}");
                assert!(!error.to_string().is_empty());
            }
            Ok(done) => done.events.iter().for_each(|event| self.follow(event)),
        }
        assert!(self.model.untold.is_empty(), "not told: {:?} after {shown}: {done:?}", self.model.untold);
        expected.compare(&shown, &done);
        done
    }

    fn follow(&mut self, event: &Event) {
        self.model.apply(event);
        // As another process reads it.
        let body = Body::parse(event.body.kind(), &event.body.data_json().unwrap()).unwrap();
        self.replica.apply(&Event { body, ..event.clone() });
        if let Body::SystemNotify(notice) = &event.body {
            let key = format!("{} to {:?}", notice.key, notice.target);
            assert!(self.keys.insert(key), "a notice is never sent twice: {notice:?}");
        }
    }

    fn step(&mut self, op: &Op) {
        let [x, y, z] = op.n;
        let pause = |n: usize| u64::try_from(n).unwrap();
        match op.what {
            What::Wait => self.desk.wait(1 + pause(x % 120)),
            What::WaitLong => self.desk.wait([300, 600, 1_000, 4_000, 90_000][x % 5] + pause(y)),
            What::WaitUntilDue if y.is_multiple_of(3) => self.wait_until_an_end(),
            What::WaitUntilDue => self.wait_until_due(),
            What::Jump if self.model.jumps => {
                let back = i64::try_from([60, 3_600, 100_000][x % 3] + y).unwrap() * 1000;
                self.desk.now = Timestamp::from_millis(self.desk.now.as_millis() - back);
            }
            What::Jump => {}
            What::Due => self.carry_out(x % 2 == 0),
            What::Upkeep => self.keep(x, y),
            What::Burst => {
                let (by, to) = (PEOPLE[1 + y % RECEIVERS], ["a", "b", "@all"][z % 3]);
                for _ in 0..20 + x % 15 {
                    drop(self.run(by, Command::Send(message("again", &[to]))));
                }
            }
            What::Chat => self.chat(x, y, z),
            What::Redact => self.redact(x),
            What::Claim => {
                let Some((by, command)) = self.command(op) else { return };
                let sessions = self.model.members.iter().filter_map(|member| member.session.as_ref());
                let sessions: Vec<String> = sessions.map(|(open, _)| open.session.clone()).collect();
                self.desk.session = sessions.get(z % (sessions.len() + 1)).cloned();
                let done = self.run(&by, command);
                self.desk.session = None;
                let Ok(done) = done else { return };
                if let Some(claim) = done.events.first() {
                    let steps = match y % 8 {
                        0 => vec![Outcome::Failed("no".into())],
                        1 => vec![Outcome::Ambiguous("perhaps".into())],
                        2 => vec![Outcome::accepted("seen")],
                        3 => vec![Outcome::Handed("m1".into())],
                        4 => vec![Outcome::Handed("m1".into()), Outcome::Queued("q1".into())],
                        5 => vec![Outcome::Held("a dialog".into())],
                        6 => vec![Outcome::accepted("seen"), Outcome::Withdrawn("cleared".into())],
                        _ => return,
                    };
                    for outcome in steps {
                        drop(self.run(&by, Command::Settle { delivery: claim.id, outcome }));
                    }
                }
            }
            What::Take => self.take(op),
            What::LoseClaims => {
                let Some((by, command)) = self.command(op) else { return };
                let Command::LoseClaims { sessions } = &command else { return };
                let dead = sessions.clone();
                if self.run(&by, command).is_ok() {
                    let is_of_dead =
                        |session: &Option<String>| session.as_ref().is_some_and(|one| dead.contains(one));
                    assert!(!self.model.claims().any(|(_, session)| is_of_dead(session)), "{dead:?}");
                }
            }
            _ => {
                if let Some((by, command)) = self.command(op) {
                    drop(self.run(&by, command));
                }
            }
        }
    }

    /// Somebody takes what waits for it, at times in the name of a session, and says that it has it, that it does not
    /// know, or nothing.
    fn take(&mut self, op: &Op) {
        let [x, y, z] = op.n;
        let Some((by, command)) = self.command(op) else { return };
        let me: Principal = by.parse().unwrap();
        let rows = |world: &Self| {
            world.model.unread_of(&me).map(|row| (row.seq, row.claim.is_some() && !row.held)).collect()
        };
        let before: Vec<(Seq, bool)> = rows(self);
        self.desk.session = x.is_multiple_of(2).then(|| format!("reader-{}", z % 3));
        let done = self.run(&by, command);
        self.desk.session = None;
        let Ok(done) = done else { return };
        let claimed = done.events.iter().find_map(|event| match &event.body {
            Body::RuntimeDelivery(claim) if claim.state == DeliveryState::Claimed => {
                Some((event.id, claim.event_ids.clone()))
            }
            _ => None,
        });
        let Some((delivery, events)) = claimed else { return };
        for id in &events {
            assert!(before.contains(&(id.seq, false)), "{id} was unread, and nobody's: {before:?}");
        }
        let read: Vec<_> = events.iter().copied().filter(|_| y.is_multiple_of(2)).collect();
        let settled = match z % 4 {
            0 => self.run(&by, Command::Settle { delivery, outcome: Outcome::Ambiguous("perhaps".into()) }),
            1 => return,
            _ => self.run(
                &by,
                Command::SettleTaken { delivery: Some(delivery), read: read.clone(), notices: None },
            ),
        };
        if settled.is_ok() && z % 4 > 1 {
            let left: Vec<(Seq, bool)> = rows(self);
            assert!(read.iter().all(|id| left.iter().all(|(seq, _)| *seq != id.seq)), "{read:?}: {left:?}");
        }
    }

    /// Two answer each other for some time.
    fn chat(&mut self, x: usize, y: usize, z: usize) {
        let (one, other) = ([PEOPLE[1 + x % 4], PEOPLE[1 + (x + 1) % 4]][y % 2], PEOPLE[1 + (x + 2) % 4]);
        let Ok(first) = self.run(one, Command::Send(message("hello", &[other]))) else { return };
        let mut last = first.seq();
        for n in 0..30 + z % 20 {
            let by = if n % 2 == 0 { other } else { one };
            let reply =
                cccc_core::command::SendMessage { reply_to: Some(event(last)), ..message("thanks", &[]) };
            let Ok(done) = self.run(by, Command::Send(reply)) else { return };
            last = done.seq();
        }
    }

    /// The user removes a text for ever. A message of a sender who is near its limit is left alone: of
    /// those the library knows only the newest, and one fewer of them is one more that may be sent.
    fn redact(&mut self, n: usize) {
        let Some(message) = self.message(n) else { return };
        let by = self.model.event(message.seq()).unwrap().by.clone();
        let now = self.desk.now;
        let lately = |event: &&Event| event.by == by && now.since(event.ts) < Duration::from_secs(1_300);
        if self.model.log.iter().filter(lately).count() >= 30 {
            return;
        }
        let command = Command::Redact { event: message.clone(), reason: String::new() };
        if let Ok(done) = self.run("user", command)
            && !done.events.is_empty()
        {
            self.desk.forget(message.seq());
        }
    }

    /// To the moment at which a reservation, a vote, a question or a request ends.
    fn wait_until_an_end(&mut self) {
        let now = self.desk.now;
        let leases = self.model.leases().into_iter().map(|one| one.until);
        let votes = self.model.open_votes().map(|(event, open)| self.model.vote_ends_at(event, open, now));
        let requests =
            self.model.open_approvals().map(|(event, open)| self.model.approval_ends_at(event, open, now));
        let questions = self.model.open_questions();
        let questions = questions.filter_map(|(event, asks)| self.model.question_ends_at(event, asks, now));
        let next = leases.chain(votes).chain(requests).chain(questions).filter(|end| *end > now).min();
        self.desk.now = next.unwrap_or(now);
    }

    fn wait_until_due(&mut self) {
        let now = self.desk.now;
        if let Some(next) = policy::next_deadline(self.desk.state(), now).filter(|next| *next > now) {
            // Not before: nothing is due a moment earlier.
            if !self.model.jumps && policy::due(self.desk.state(), now).is_empty() {
                let before = Timestamp::from_millis(next.as_millis() - 1);
                assert_eq!(policy::due(self.desk.state(), before), [], "before {next}");
                // A circle goes, or shows another, if a word or a reservation in it has ended by then.
                let waits = |at| wait::graph(self.desk.state(), at).waits.len();
                if waits(now) == waits(next) {
                    assert_ne!(policy::due(self.desk.state(), next), [], "at {next}");
                }
            }
            self.desk.now = next;
        }
    }

    /// Does what is due, as one host or two would. The second writes nothing.
    fn carry_out(&mut self, twice: bool) {
        let due = policy::due(self.desk.state(), self.desk.now);
        for effect in &due {
            let by = if matches!(effect, Effect::Keep(_)) { "system" } else { "svc:host" };
            let command = || match effect {
                Effect::Keep(keeping) => keeping.upkeep.command(),
                Effect::Notify(reminder) => Command::Notify { key: reminder.key.clone() },
                Effect::Fire(firing) => Command::FireSchedule {
                    schedule_id: firing.schedule_id.clone(),
                    scheduled_at: firing.scheduled_at,
                },
                other => panic!("{other:?}"),
            };
            drop(self.run(by, command()));
            if twice && let Ok(done) = self.run("system", command()) {
                assert!(done.events.is_empty(), "done twice: {effect:?} {:?}", done.events);
            }
        }
    }

    /// Does what follows from who is present, of which something is found out.
    fn keep(&mut self, x: usize, y: usize) {
        let mut facts = Facts::default();
        for (n, member) in self.model.members.iter().enumerate() {
            if let Some((session, _)) = &member.session {
                let condition = [Condition::Absent, Condition::Present, Condition::Unknown][(x + n * y) % 3];
                facts.add(session.session.clone(), condition);
            }
        }
        let due = presence::due(self.desk.state(), &facts, self.desk.now);
        self.check_presence(&facts, &due);
        let open = OpenSession {
            runtime: "claude".into(),
            agent_session_id: x.is_multiple_of(2).then(|| format!("c{}", y % 3)),
            cwd: ["/a", "/b"][y % 2].into(),
            ..OpenSession::default()
        };
        self.check_arrival(&facts, &open, u64::try_from(x).unwrap());
        for upkeep in due {
            if self.run("system", upkeep.command()).is_ok() {
                let again = self.run("system", upkeep.command());
                assert!(again.map_or(true, |done| done.events.is_empty()), "done twice: {upkeep:?}");
            }
        }
    }
}

/// What happened in a history that failed, if `CCCC_MODEL_TRACE` asks for it.
impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("CCCC_MODEL_TRACE").is_some() {
            println!("---- history");
            for event in &self.model.log {
                println!("{} {} {}: {:?}", event.seq, event.ts, event.by, event.body);
            }
        }
    }
}

/// How many histories are tried.
fn cases(default: u32) -> u32 {
    std::env::var("CCCC_MODEL_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(default)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(2_000), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_rules_agree_with_the_model(ops in proptest::collection::vec(op(), 1..150)) {
        let mut world = World::new();
        for (n, op) in ops.iter().enumerate() {
            world.step(op);
            if n % 6 == 0 {
                world.check();
            }
        }
        world.check();
        assert_eq!(&world.desk.rebuilt(), world.desk.state(), "rebuilt from the lines as they are now");
    }
}
