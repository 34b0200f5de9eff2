//! What the processes of a run share, and how one runs.

use std::collections::BTreeMap;
use std::future::{Future, IntoFuture, poll_fn};
use std::panic::resume_unwind;
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use cccc_core::command::Command;
use cccc_core::disk::Disk;
use cccc_core::event::GroupCreate;
use cccc_core::ledger::file::Options;
use cccc_core::ledger::{FileLedger, Verdict};
use cccc_core::presence::Presence;
use cccc_core::testing::Random;
use cccc_core::testing::sim::{Faults, SimDisk, World, block_on, timeout};
use cccc_core::{Blobs, Clock, Error, Group, GroupId, Result, Seq, Timestamp};

use super::umpire;
use super::worker::{self, Alive, Role};

pub(super) const DIR: &str = "/home/g";
pub(super) const ACTORS: [&str; 3] = ["ann", "bob", "cem"];
/// Nothing takes longer in a process that nobody stops, whatever others do: many times what recoveries take.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// What all processes of a run share, outside of the machine.
#[derive(Clone)]
pub(super) struct Scene {
    pub(super) world: World,
    pub(super) group_id: GroupId,
    options: Options,
    presence: Presence,
    notes: Arc<Mutex<Notes>>,
}

/// What is known of the run so far.
#[derive(Default)]
pub(super) struct Notes {
    /// The message that was acknowledged at each place, and must stand there.
    pub(super) promised: BTreeMap<Seq, String>,
    pub(super) rounds: Rounds,
    /// Whether the ledger was changed under its handles since the round began: then they may say so.
    pub(super) changed: bool,
    /// What each handle said at the end of the round.
    pub(super) known: Vec<(String, String)>,
    pub(super) counts: Counts,
    pub(super) violations: Vec<String>,
}

/// Where the workers are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rounds {
    pub(super) now: u64,
    /// No round follows this one.
    pub(super) last: bool,
    /// Workers that live.
    pub(super) alive: u64,
    /// Those of them that have not come to the end of the round.
    pub(super) busy: u64,
    /// All have come to the end, nothing fails any more, and what the dead left is recovered: the handles are
    /// to be compared.
    pub(super) calm: bool,
}

/// How often things happened.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Counts {
    pub(super) sent: u64,
    pub(super) deaths: u64,
    pub(super) boots: u64,
    pub(super) panics: u64,
    pub(super) surgeries: u64,
    pub(super) compared: u64,
    pub(super) abandoned: u64,
    pub(super) errors: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.deaths += other.deaths;
        self.boots += other.boots;
        self.panics += other.panics;
        self.surgeries += other.surgeries;
        self.compared += other.compared;
        self.abandoned += other.abandoned;
        self.errors += other.errors;
    }
}

/// A clock that stands, and that panics once when it is told to.
#[derive(Debug, Default)]
pub(super) struct Treacherous(AtomicBool);

impl Treacherous {
    pub(super) fn arm(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it had no occasion to panic.
    pub(super) fn disarm(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl Clock for Treacherous {
    fn now(&self) -> Timestamp {
        if self.disarm() {
            // Without the hook that prints panics: this one is wanted.
            resume_unwind(Box::new("the clock is broken"));
        }
        Timestamp::from_millis(1_764_000_000_000)
    }
}

impl Scene {
    pub(super) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn violation(&self, text: String) {
        self.world.note(format!("VIOLATION: {text}"));
        let mut notes = self.notes();
        if notes.violations.len() < 8 {
            notes.violations.push(text);
        }
    }

    pub(super) fn ledger(&self, disk: &SimDisk) -> Result<FileLedger> {
        FileLedger::open(Arc::new(disk.clone()), DIR, self.group_id.clone(), self.options)
    }

    /// A handle of its own: a state and a writer that nobody shares.
    pub(super) fn open(&self, disk: &SimDisk, clock: &Arc<Treacherous>) -> Result<Group> {
        let ledger = Arc::new(self.ledger(disk)?);
        Ok(Group::over_with(ledger, Blobs::in_memory(), clock.clone(), self.presence.clone()))
    }
}

/// Runs a future of the library on the calling task, which may block: so the task does its work itself. `None`
/// if it waits longer than anything may.
pub(super) fn here<F: Future>(future: F) -> Option<F::Output> {
    here_for(PATIENCE, future)
}

/// As [`here`], for at most so long.
pub(super) fn here_for<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let polled = poll_fn(|context| {
        // Each poll by itself: the simulation waits in between, in its own time.
        cccc_core::block_on(poll_fn(|_| Poll::Ready(future.as_mut().poll(context))))
    });
    timeout(limit, polled)
}

/// How a run ended.
pub(super) struct Ended {
    pub(super) world: World,
    pub(super) counts: Counts,
    pub(super) violations: Vec<String>,
}

/// What fails in a run.
pub(super) fn faults(random: &mut Random) -> Faults {
    let mut faults = Faults { longest_pause: Duration::from_millis(600), ..Faults::default() };
    match random.below(4) {
        0 => {}
        1 => {
            faults.kill = random.pick(&[500, 2000]);
            faults.max_kills = 3;
        }
        2 => {
            faults.power_cut = random.pick(&[200, 1000]);
        }
        _ => {
            faults.kill = 1000;
            faults.max_kills = 2;
            faults.power_cut = 300;
            faults.pause = 1000;
            faults.stop = 300;
            faults.longest_stop = Duration::from_secs(10);
            faults.lost_wake = 100_000;
        }
    }
    faults
}

/// Runs a seed to its end and checks everything.
pub(super) fn run(seed: u64) -> Ended {
    let world = World::new(seed);
    world.begin_after_cuts();
    let mut random = Random::new(seed ^ 0xe9_61_4e);
    if random.chance(250_000) {
        world.hide_boots();
    }
    let scene = Scene {
        world: world.clone(),
        group_id: GroupId::new("g").expect("a valid id"),
        options: Options::default().segment_bytes(random.pick(&[2000, 64 << 20])),
        presence: Presence::in_memory(),
        notes: Arc::default(),
    };
    let setup = world.process();
    setup
        .create_dir(Path::new("/home"))
        .and_then(|()| setup.sync_dir(Path::new("/")))
        .expect("a healthy disk");
    FileLedger::create(Arc::new(setup.clone()), DIR, scene.group_id.clone(), scene.options)
        .expect("a healthy disk");
    let (founder, disk) = (scene.clone(), setup.clone());
    world.spawn(&setup, "founder", move || {
        if let Err(error) = found(&founder, &disk) {
            founder.violation(format!("the group cannot be made: {error}"));
        }
    });
    let mut failure = world.run().failure.or_else(|| scene.notes().violations.first().cloned());
    let mut boots = 0;
    if failure.is_none() {
        world.set_faults(faults(&mut random));
        cast(&scene, &mut random);
        let report = world.run();
        boots = u64::from(report.power_cut);
        failure = report.failure;
    }
    if failure.is_none() {
        world.set_faults(Faults::default());
        let (process, inspector) = (world.process(), scene.clone());
        let disk = process.clone();
        world.spawn(&process, "inspector", move || inspect(&inspector, &disk));
        failure = world.run().failure;
    }
    failure.into_iter().for_each(|failure| scene.violation(failure));
    let mut notes = std::mem::take(&mut *scene.notes());
    notes.counts.deaths = world.deaths().len() as u64;
    notes.counts.boots = boots;
    Ended { world, counts: notes.counts, violations: notes.violations }
}

/// Makes the group with its actors.
fn found(scene: &Scene, disk: &SimDisk) -> Result<()> {
    let group = scene.open(disk, &Arc::default())?;
    let hangs = || Error::unavailable("it hangs");
    let create = GroupCreate { title: "g".into(), ..GroupCreate::default() };
    here(group.execute(Command::CreateGroup(create))).ok_or_else(hangs)??;
    for actor in ACTORS {
        here(group.add_actor(actor).into_future()).ok_or_else(hangs)??;
    }
    Ok(())
}

/// Starts the workers, some of them late, and the umpire.
fn cast(scene: &Scene, random: &mut Random) {
    let mut names = Vec::new();
    for i in 0..2 + random.below(3) {
        let process = scene.world.process();
        // Those that come late begin on a machine that may have been started again.
        let delay = Duration::from_millis(if random.chance(400_000) { random.below(300) } else { 0 });
        for task in 0..1 + random.below(2) {
            let role = random.pick(&[Role::Speaker, Role::Speaker, Role::Deliverer, Role::Follower]);
            let name = format!("{role:?}{i}.{task}");
            names.push(name.clone());
            let (alive, disk, seed) = (Alive::new(scene), process.clone(), random.next_u64());
            scene.world.spawn(&process, name.clone(), move || {
                disk.sleep(delay);
                worker::work(alive, &disk, &name, role, seed);
            });
        }
    }
    let workers = names.len() as u64;
    let last = random.below(3);
    scene.notes().rounds = Rounds { now: 0, last: last == 0, alive: workers, busy: workers, calm: false };
    let (process, seed, scene) = (scene.world.process(), random.next_u64(), scene.clone());
    let disk = process.clone();
    scene.clone().world.spawn(&process, "umpire", move || umpire::preside(&scene, &disk, seed, last));
}

/// On a healthy machine, after everything: what was promised is there.
fn inspect(scene: &Scene, disk: &SimDisk) {
    let result: Result<()> = (|| {
        let group = scene.open(disk, &Arc::default())?;
        let verdict = block_on(group.ledger().verify())?;
        if !matches!(verdict, Verdict::Sound { .. }) {
            scene.violation(format!("at the end {verdict:?}"));
        }
        let promised = scene.notes().promised.clone();
        let there = worker::messages(&group)?;
        for (seq, text) in &promised {
            if there.get(seq) != Some(text) {
                scene.violation(format!(
                    "{text} was acknowledged at {seq}, where there is {:?}",
                    there.get(seq)
                ));
            }
        }
        let mut texts: Vec<&String> = there.values().collect();
        texts.sort();
        if let Some(twice) = texts.windows(2).find(|pair| pair[0] == pair[1]) {
            scene.violation(format!("{} is there twice", twice[0]));
        }
        Ok(())
    })();
    if let Err(error) = result {
        scene.violation(format!("inspector: {error}"));
    }
}
