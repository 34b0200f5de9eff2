//! What the simulated processes do with their group, and what each handle knows in the end.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use cccc_core::command::Outcome;
use cccc_core::disk::Disk;
use cccc_core::error::ErrorKind;
use cccc_core::event::Transport;
use cccc_core::ledger::Chain;
use cccc_core::testing::Random;
use cccc_core::testing::sim::SimDisk;
use cccc_core::{Error, Event, Group, Position, Result, Seq};

use super::scene::{ACTORS, Scene, Treacherous, here, here_for};

/// What a worker does in a round.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    /// Sends, reads, acknowledges, asks.
    Speaker,
    /// Hands over what waits for somebody, as a hook does.
    Deliverer,
    /// Follows the group.
    Follower,
}

/// A worker with its handle, which it keeps over the rounds.
struct Worker<'a> {
    scene: &'a Scene,
    disk: &'a SimDisk,
    name: &'a str,
    role: Role,
    random: Random,
    clock: Arc<Treacherous>,
    group: Group,
    /// What a follower has seen, by its place.
    seen: BTreeMap<Seq, Event>,
    sent: u64,
}

/// Counts a worker as long as it lives, however it ends, and be it before it has begun.
pub(super) struct Alive {
    scene: Scene,
    /// The rounds that it has come to the end of.
    finished: u64,
}

impl Alive {
    pub(super) fn new(scene: &Scene) -> Self {
        Self { scene: scene.clone(), finished: 0 }
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        let mut notes = self.scene.notes();
        notes.rounds.alive -= 1;
        if self.finished == notes.rounds.now {
            notes.rounds.busy = notes.rounds.busy.saturating_sub(1);
        }
    }
}

/// Works round after round until the last is over.
pub(super) fn work(mut alive: Alive, disk: &SimDisk, name: &str, role: Role, seed: u64) {
    let scene = &alive.scene.clone();
    let clock = Arc::default();
    let group = match scene.open(disk, &clock) {
        Ok(group) => group,
        Err(error) => return scene.violation(format!("{name} could not open: {error}")),
    };
    let (random, seen) = (Random::new(seed), BTreeMap::new());
    let mut worker = Worker { scene, disk, name, role, random, clock, group, seen, sent: 0 };
    loop {
        worker.round();
        let round = scene.notes().rounds.now;
        {
            let mut notes = scene.notes();
            notes.rounds.busy = notes.rounds.busy.saturating_sub(1);
            alive.finished = round + 1;
        }
        wait(disk, || scene.notes().rounds.calm);
        worker.tell();
        if scene.notes().rounds.last {
            return;
        }
        wait(disk, || scene.notes().rounds.now > round);
    }
}

/// Waits without a call that could fail.
pub(super) fn wait(disk: &SimDisk, done: impl Fn() -> bool) {
    while !done() {
        disk.sleep(Duration::from_millis(5));
    }
}

impl Worker<'_> {
    fn round(&mut self) {
        let steps = match self.role {
            Role::Speaker => 3 + self.random.below(8),
            Role::Deliverer | Role::Follower => 2 + self.random.below(4),
        };
        for _ in 0..steps {
            let pause = Duration::from_micros(self.random.below(3000));
            self.disk.sleep(pause);
            match self.role {
                Role::Speaker => self.speak(),
                Role::Deliverer => self.deliver(),
                Role::Follower => self.follow(Duration::from_millis(5)),
            }
        }
    }

    /// Carries something out, in time. `None` if it failed, which is noted; a panic on the way is none of the
    /// worker's business.
    fn attempt<T>(&self, what: &str, future: impl Future<Output = Result<T>>) -> Option<T> {
        let started = self.disk.monotonic() - self.disk.stopped();
        let result = catch_unwind(AssertUnwindSafe(|| here(future)));
        // What ends the task is passed on.
        let result = match result {
            Err(payload) if !self.disk.is_alive() => resume_unwind(payload),
            Err(_) => Some(Err(Error::unavailable("the clock is broken"))),
            Ok(result) => result,
        };
        let took = (self.disk.monotonic() - self.disk.stopped()).saturating_sub(started);
        match result {
            Some(Ok(answer)) => return Some(answer),
            None => self.scene.violation(format!("{} hangs: {what}", self.name)),
            Some(Err(error)) => {
                self.scene.world.note(format!("{} could not {what}: {error}", self.name));
                self.scene.notes().counts.errors += 1;
                // It asks for what may not be there, or be no message.
                let allowed = matches!(
                    error.kind(),
                    ErrorKind::Unavailable
                        | ErrorKind::Unknown
                        | ErrorKind::NotFound
                        | ErrorKind::Refused
                        | ErrorKind::Conflict
                        | ErrorKind::Invalid
                );
                if !allowed {
                    self.scene.violation(format!("{} could not {what}: {error}", self.name));
                }
            }
        }
        if took > super::scene::PATIENCE {
            self.scene.violation(format!("{} took {took:?} to {what}", self.name));
        }
        None
    }

    fn whom(&mut self) -> &'static str {
        self.random.pick(&ACTORS)
    }

    fn speak(&mut self) {
        let (by, to) = (self.whom(), self.whom());
        let Some(group) = self.attempt("bind", self.group.bind(by)) else { return };
        match self.random.below(10) {
            0..=3 => {
                self.sent += 1;
                let (text, urgent) = (format!("{}-{}", self.name, self.sent), self.random.chance(300_000));
                let broken = self.random.chance(80_000);
                for _ in 0..3 {
                    if broken {
                        self.clock.arm();
                    }
                    let mut request = group.send(&text).to(to).client_id(&text);
                    if urgent {
                        request = request.reply_required();
                    }
                    let sent = self.attempt("send", request.into_future());
                    if broken && !self.clock.disarm() {
                        self.scene.notes().counts.panics += 1;
                    }
                    if let Some(sent) = sent {
                        let mut notes = self.scene.notes();
                        notes.promised.insert(sent.seq, text);
                        notes.counts.sent += 1;
                        return;
                    }
                }
            }
            4 => {
                let take = group.inbox().limit(3).mark_read().take();
                let Some(taken) = self.attempt("take the inbox", take) else { return };
                if self.random.chance(200_000) {
                    // As one that is killed here leaves it.
                    self.scene.notes().counts.abandoned += 1;
                    return;
                }
                self.attempt("settle the inbox", taken.settle());
            }
            5 => {
                let seq = Seq(1 + self.random.below(40));
                self.attempt("ask for receipts", group.receipts(seq));
            }
            6 => {
                let seq = Seq(1 + self.random.below(40));
                self.attempt("acknowledge", group.ack(seq));
            }
            7 => {
                self.attempt("ask what is owed", group.obligations().all().into_future());
            }
            8 => {
                self.attempt("keep up", group.upkeep());
            }
            _ => match self.scene.open(self.disk, &self.clock) {
                Ok(group) => self.group = group,
                Err(error) => self.scene.violation(format!("{} could not open: {error}", self.name)),
            },
        }
    }

    /// Joins as somebody, claims what waits for it, and says how that went, unless it dies in between.
    fn deliver(&mut self) {
        let actor = self.whom();
        let session = format!("{}-{}", self.name, self.random.next_u64());
        let join = self.group.join().id(actor).session(&session).into_future();
        let Some(joined) = self.attempt("join", join) else { return };
        let group = joined.session.group().clone();
        let Some(inbox) = self.attempt("peek", group.inbox().limit(3).peek().into_future()) else { return };
        let events: Vec<_> = inbox.messages.iter().map(|message| message.event_id).collect();
        if events.is_empty() {
            return;
        }
        let hand = group.hand_over("svc:hook", &session, &events, Transport::Hook);
        let Some(Some(handing)) = self.attempt("claim", hand) else { return };
        if self.random.chance(200_000) {
            // As one that is killed here leaves it.
            self.scene.notes().counts.abandoned += 1;
            return;
        }
        let outcome = Outcome::accepted(serde_json::json!({"hook": "simulated"}));
        self.attempt("settle", handing.settle(outcome));
    }

    /// Takes what comes, from where it was.
    fn follow(&mut self, time: Duration) {
        let at = match self.seen.last_key_value() {
            Some((seq, event)) => Position { seq: *seq, chain: event.chain },
            None => Position::start(&self.scene.group_id),
        };
        let mut news = self.group.watch(at);
        loop {
            match here_for(time, news.next()) {
                None => return,
                Some(Ok(event)) => {
                    let expected = self.seen.last_key_value().map_or(Seq(1), |(seq, _)| seq.next());
                    // What was lost since it was told of is told again, as a gap.
                    let is_lost = event.body.kind() == "ledger.gap" && self.seen.contains_key(&event.seq);
                    if event.seq != expected && !is_lost {
                        self.scene
                            .violation(format!("{} was told {} after {expected}", self.name, event.seq));
                    }
                    self.seen.insert(event.seq, event);
                }
                // Another history stands there now: it begins anew.
                Some(Err(error)) if error.kind() == ErrorKind::Diverged && self.scene.notes().changed => {
                    self.scene.world.note(format!("{} is told: {error}", self.name));
                    self.seen.clear();
                    return;
                }
                Some(Err(error)) if error.kind() == ErrorKind::Unavailable => return,
                Some(Err(error)) => {
                    return self.scene.violation(format!("{} follows: {error}", self.name));
                }
            }
        }
    }

    /// Says what the handle knows, now that all is calm.
    fn tell(&mut self) {
        self.clock.disarm();
        if matches!(self.role, Role::Follower) {
            // Twice: the first may end with the news that the history is another one.
            self.follow(Duration::from_millis(1500));
            self.follow(Duration::from_millis(1500));
            // By the chain: where an event was lost since it was seen, a gap has that.
            let seen = self.seen.values().map(|event| (event.seq, event.chain));
            let seen: Vec<_> = seen.collect();
            match here(all_events(&self.group)) {
                Some(Ok(events)) if events == seen => {}
                other => {
                    let (there, last) = (other.map(|events| events.map(|events| events.len())), seen.last());
                    self.scene
                        .violation(format!("{} saw up to {last:?}, and there are {there:?}", self.name));
                }
            }
        }
        // Whatever it says, the umpire waits for it.
        let known = knowledge(&self.group).unwrap_or_else(|error| format!("nothing: {error}"));
        let mut notes = self.scene.notes();
        notes.counts.compared += 1;
        notes.known.push((self.name.to_owned(), known));
    }
}

/// Every event with its chain.
async fn all_events(group: &Group) -> Result<Vec<(Seq, Chain)>> {
    let mut events = Vec::new();
    let mut at = Some(Seq(1));
    while let Some(from) = at {
        let history = group.history().from(from).limit(1000).await?;
        events.extend(history.events.iter().map(|event| (event.seq, event.chain)));
        at = history.next;
    }
    Ok(events)
}

/// Every message by its place.
pub(super) fn messages(group: &Group) -> Result<BTreeMap<Seq, String>> {
    here(async {
        let history = group.history().from(Seq(1)).limit(10_000).await?;
        let of = |event: &Event| Some((event.seq, event.message()?.text.clone()));
        Ok(history.events.iter().filter_map(of).collect())
    })
    .unwrap_or_else(|| Err(Error::unavailable("the history hangs")))
}

/// All that a handle says of the group, as text.
pub(super) fn knowledge(group: &Group) -> Result<String> {
    let told = here(async {
        let mut text = format!("{:?}\n{:?}\n", group.position().await?, group.summary().await?);
        for actor in ACTORS {
            let actor = group.bind(actor).await?;
            let inbox = actor.inbox().limit(1000).peek().await?;
            let unread: Vec<_> = inbox.messages.iter().map(|message| message.event_id).collect();
            text += &format!("{actor:?} {} {unread:?} {:?}\n", inbox.unread, actor.obligations().await?);
        }
        for member in group.who().await? {
            text += &format!("{} {:?}\n", member.actor.actor_id, member.session);
        }
        for seq in (1..=group.position().await?.seq.0).map(Seq) {
            if group.event(seq).await?.message().is_some() {
                text += &format!("{seq} {:?}\n", group.receipts(seq).await?);
            }
        }
        Ok(text)
    });
    told.unwrap_or_else(|| Err(Error::unavailable("it hangs")))
}
