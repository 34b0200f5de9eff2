//! A storm of signals over thirty-two processes on one group: some are killed, some are stopped and go on.
//!
//! It takes some seconds. For longer: `CCCC_STRESS_SECONDS=600`. Where it fails, `CCCC_STRESS_SEED` and the
//! number that it prints give the same signals again, though not the same moments.
#![cfg(unix)]
#![expect(clippy::disallowed_methods, reason = "real processes take real time")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use cccc_core::testing::Random;
use cccc_core::{EventId, Group, Home, Position, block_on};
use rustix::process::{Pid, Signal, kill_process};

use crate::crowd::{Helper, group, messages};

const PROCESSES: usize = 32;
/// How long the storm takes, unless told otherwise.
const SECONDS: u64 = 12;
/// So many are stopped at once at most.
const MAX_STOPPED: usize = 4;
/// Longer than anybody waits on a machine that is merely busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a process said.
enum Said {
    /// That a message of its is on the ledger, and how long that took.
    Sent { process: usize, id: EventId, text: String, took: Duration },
    /// That it was told to try again.
    Refused,
    /// It has ended.
    Ended { process: usize },
}

/// The processes and what they were told.
struct Storm<'a> {
    home: &'a Home,
    user: &'a Group,
    sender: Sender<Said>,
    receiver: Receiver<Said>,
    /// Every process that was ever started, with the number of its actor.
    started: Vec<(u32, usize)>,
    ended: usize,
    running: Vec<usize>,
    /// Each process's messages that were acknowledged, in that order.
    sent: BTreeMap<usize, Vec<(EventId, String)>>,
    longest: Duration,
    refused: u64,
    kills: u32,
    stopped: Vec<(usize, Instant)>,
    stops: u32,
    stop_time: Duration,
}

impl Storm<'_> {
    fn start(&mut self, actor: usize) {
        let mut helper = Helper::start(self.user, self.home, "stubborn", &format!("a{actor}"));
        let (process, sender) = (self.started.len(), self.sender.clone());
        self.started.push((helper.pid(), actor));
        self.running.push(process);
        std::thread::spawn(move || {
            while let Some(line) = helper.line() {
                // Nobody listens any more where the test has failed. A line may have been cut by a kill.
                let _ = sender.send(match line.splitn(3, ' ').collect::<Vec<_>>()[..] {
                    ["refused", ..] => Said::Refused,
                    [id, millis, text] if text.matches(' ').count() == 2 && id.parse::<EventId>().is_ok() => {
                        let took = Duration::from_millis(millis.parse().unwrap());
                        Said::Sent { process, id: id.parse().unwrap(), text: text.into(), took }
                    }
                    _ => continue,
                });
            }
            helper.wait();
            let _ = sender.send(Said::Ended { process });
        });
    }

    fn signal(&self, process: usize, signal: Signal) {
        // Its end is waited for when its output has ended; until then nobody else has its number.
        let pid = i32::try_from(self.started[process].0).ok().and_then(Pid::from_raw);
        let _ = kill_process(pid.expect("the number of a process"), signal);
    }

    /// Takes note of what is said, for so long.
    fn listen(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while let Ok(said) = self.receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
            self.note(said);
        }
    }

    fn note(&mut self, said: Said) {
        match said {
            Said::Sent { process, id, text, took } => {
                self.sent.entry(process).or_default().push((id, text));
                self.longest = self.longest.max(took);
            }
            Said::Refused => self.refused += 1,
            Said::Ended { process } => {
                assert!(!self.running.contains(&process), "a process ended that nobody killed");
                self.ended += 1;
            }
        }
    }

    fn kill(&mut self, random: &mut Random) {
        let victim = self.running.swap_remove(random.index(self.running.len()));
        self.stopped.retain(|(process, _)| *process != victim);
        self.signal(victim, Signal::KILL);
        self.kills += 1;
        self.start(self.started[victim].1);
    }

    fn stop(&mut self, random: &mut Random) {
        let victim = random.pick(&self.running);
        if self.stopped.len() == MAX_STOPPED || self.stopped.iter().any(|(process, _)| *process == victim) {
            return;
        }
        // Now and then for longer than others wait.
        let longest = if random.chance(50_000) { 4000 } else { 300 };
        let time = Duration::from_millis(random.below(longest));
        self.signal(victim, Signal::STOP);
        self.stopped.push((victim, Instant::now() + time));
        self.stops += 1;
        self.stop_time += time;
    }

    /// Lets those go on whose time is over.
    fn go_on(&mut self, now: Instant) {
        let (over, stopped) = self.stopped.iter().partition(|(_, until)| *until <= now);
        self.stopped = stopped;
        let over: Vec<(usize, Instant)> = over;
        over.into_iter().for_each(|(process, _)| self.signal(process, Signal::CONT));
    }
}

impl Drop for Storm<'_> {
    fn drop(&mut self) {
        self.running.iter().for_each(|process| self.signal(*process, Signal::KILL));
    }
}

#[test]
fn a_storm_of_signals_loses_and_doubles_nothing_and_nobody_hangs() {
    let seconds = number("CCCC_STRESS_SECONDS").unwrap_or(SECONDS);
    let seed = number("CCCC_STRESS_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let mut random = Random::new(seed);
    let (_dir, home, user) = group(PROCESSES);
    let reader = Helper::start(&user, &home, "reader", "reader");
    let seen = follow(&user);
    let (sender, receiver) = channel();
    let mut storm = Storm {
        home: &home,
        user: &user,
        sender,
        receiver,
        started: Vec::new(),
        ended: 0,
        running: Vec::new(),
        sent: BTreeMap::new(),
        longest: Duration::ZERO,
        refused: 0,
        kills: 0,
        stopped: Vec::new(),
        stops: 0,
        stop_time: Duration::ZERO,
    };
    (0..PROCESSES).for_each(|actor| storm.start(actor));
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        storm.listen(Duration::from_millis(random.below(40)));
        storm.go_on(Instant::now());
        if random.chance(300_000) { storm.kill(&mut random) } else { storm.stop(&mut random) }
    }
    storm.go_on(end + Duration::from_secs(3600));

    // Everybody who lives goes on.
    let calm = Instant::now();
    let before: BTreeMap<usize, usize> = storm.sent.iter().map(|(of, sent)| (*of, sent.len())).collect();
    let count = |sent: Option<&Vec<_>>| sent.map_or(0, Vec::len);
    while let Some(waiting) = storm
        .running
        .iter()
        .find(|process| count(storm.sent.get(process)) <= before.get(process).copied().unwrap_or(0))
    {
        assert!(calm.elapsed() < PATIENCE, "seed {seed}: process {waiting} hangs");
        storm.listen(Duration::from_millis(20));
    }
    while let Some(process) = storm.running.pop() {
        storm.signal(process, Signal::KILL);
    }
    while storm.ended < storm.started.len() {
        let said = storm.receiver.recv_timeout(PATIENCE).expect("the killed end");
        storm.note(said);
    }
    check(&storm, seed, &seen, reader);
}

/// Follows the group in this process; the ids in the order in which they came, until one says `end`.
fn follow(user: &Group) -> Receiver<Vec<EventId>> {
    let (group, (sender, seen)) = (user.clone(), channel());
    std::thread::spawn(move || {
        block_on(async {
            let (mut news, mut ids) = (group.watch(Position::start(group.id())), Vec::new());
            loop {
                let event = news.next().await.unwrap();
                let ended = event.message().is_some_and(|message| message.text == "end");
                ids.push(event.id);
                if ended {
                    return sender.send(ids).unwrap();
                }
            }
        });
    });
    seen
}

fn check(storm: &Storm<'_>, seed: u64, seen: &Receiver<Vec<EventId>>, reader: Helper) {
    block_on(async { storm.user.send("end").to("reader").await.unwrap() });
    let found = messages(storm.user);
    let texts: BTreeSet<&String> = found.values().map(|(_, text)| text).collect();
    assert_eq!(texts.len(), found.len(), "seed {seed}: a message stands there twice");
    let mut acknowledged = 0;
    for sent in storm.sent.values() {
        for (id, text) in sent {
            assert_eq!(found.get(&id.seq), Some(&(*id, text.clone())), "seed {seed}: acknowledged, and gone");
        }
        assert!(sent.is_sorted_by_key(|(id, _)| id.seq), "seed {seed}: reordered: {sent:?}");
        acknowledged += sent.len();
    }
    println!(
        "seed {seed}: {acknowledged} acknowledged of {}, {} kills, {} stops of {:?} in all, {} told to try again, \
         the longest wait {:?}",
        found.len(),
        storm.kills,
        storm.stops,
        storm.stop_time,
        storm.refused,
        storm.longest
    );
    assert!(storm.kills > 10 && storm.stops > 10 && acknowledged > 100, "seed {seed}: nothing happened");
    // Each death holds the others up for a quarter of a second at most, a stop for as long as it lasts.
    let justified = storm.stop_time + Duration::from_millis(250) * storm.kills + PATIENCE;
    assert!(storm.longest < justified, "seed {seed}: a send took {:?}", storm.longest);
    let followed = seen.recv_timeout(PATIENCE).expect("the follower comes to the end");
    assert!(followed.is_sorted_by_key(|id| id.seq), "seed {seed}: a follower saw another order");
    let followed: BTreeSet<EventId> = followed.into_iter().collect();
    assert!(found.values().all(|(id, _)| followed.contains(id)), "seed {seed}: a follower missed a message");
    assert_eq!(reader.rest(), [found.len().to_string()], "seed {seed}: what the reader was handed");
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("the variable is a number"))
}
