//! One run: which processes there are, what fails, and what is checked when all is over.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cccc_core::disk::{Disk, OpenMode};
use cccc_core::ledger::file::Options as FileOptions;
use cccc_core::ledger::{
    Appended, Durability, Encoder, FileLedger, Ledger, Page, Position, ReadLimit, Verdict,
};
use cccc_core::testing::Random;
use cccc_core::testing::sim::{Faults, Report, SimDisk, World, block_on};
use cccc_core::{GroupId, Result, Seq};

use super::actors;
use super::housekeeper::keep_house;
use super::oracle::{Counts, Oracle};

/// What may fail in a run. Each is a world of its own, because what must hold is stricter where less fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    Healthy,
    Kills,
    PowerCut,
    KillsAndPowerCut,
    FailedSync,
    FullDisk,
    Slow,
    Everything,
    /// Not among those that every run takes turns with: somebody stands still and holds the lock.
    Stopped,
}

impl Profile {
    pub(super) const COUNT: u64 = 8;

    pub(super) fn of(seed: u64) -> Self {
        match seed % Self::COUNT {
            0 => Self::Healthy,
            1 => Self::Kills,
            2 => Self::PowerCut,
            3 => Self::KillsAndPowerCut,
            4 => Self::FailedSync,
            5 => Self::FullDisk,
            6 => Self::Slow,
            _ => Self::Everything,
        }
    }

    fn faults(self, random: &mut Random) -> Faults {
        let mut faults = Faults { longest_pause: Duration::from_millis(600), ..Faults::default() };
        let all = self == Self::Everything;
        if matches!(self, Self::Kills | Self::KillsAndPowerCut | Self::FullDisk | Self::Slow) || all {
            faults.kill = random.pick(&[1000, 5000, 20_000]);
            faults.max_kills = random.pick(&[1, 2, 4]);
        }
        if matches!(self, Self::PowerCut | Self::KillsAndPowerCut | Self::FailedSync) || all {
            faults.power_cut = random.pick(&[500, 2000, 10_000]);
        }
        if self == Self::FailedSync || all {
            faults.failed_sync = random.pick(&[10_000, 50_000, 300_000]);
        }
        if self == Self::FullDisk || all {
            faults.full_disk = random.pick(&[10_000, 50_000]);
        }
        if self == Self::Slow || all {
            faults.pause = random.pick(&[0, 1000, 5000]);
            faults.slow_sync = random.pick(&[0, 20_000, 100_000]);
            faults.lost_wake = random.pick(&[0, 100_000, 1_000_000]);
        }
        if self == Self::Stopped {
            faults.stop = random.pick(&[500, 2000, 10_000]);
            faults.longest_stop = Duration::from_secs(60);
        }
        if all {
            faults.error = random.pick(&[0, 500, 3000]);
        }
        faults
    }

    pub(super) fn rules(self) -> Rules {
        Rules {
            errors: matches!(self, Self::FailedSync | Self::FullDisk | Self::Everything | Self::Stopped),
            lock_is_refused: matches!(self, Self::Slow | Self::Stopped),
            // After a failed sync, or an error at an unlucky place, a recovery may yet find the batch.
            failed_is_gone: self == Self::FullDisk,
            stops: self == Self::Stopped,
            bounded: matches!(self, Self::Healthy | Self::Kills | Self::Stopped),
            nothing_vanishes: matches!(self, Self::Healthy | Self::Kills | Self::Slow | Self::Stopped),
        }
    }
}

/// What must hold in a run, beyond the promises.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Operations may fail (but never for damage).
    pub(super) errors: bool,
    /// Pauses may be so many that others give up waiting for the lock.
    pub(super) lock_is_refused: bool,
    /// A batch whose append failed is not there and will not come back.
    pub(super) failed_is_gone: bool,
    /// Nobody waits longer than the dead justify.
    pub(super) bounded: bool,
    /// Processes are stopped while they hold the lock.
    pub(super) stops: bool,
    /// What was written is on the ledger or set aside.
    nothing_vanishes: bool,
}

/// What all processes of a run share, outside of the machine.
#[derive(Clone)]
pub(super) struct Stage {
    pub(super) world: World,
    pub(super) rules: Rules,
    /// Per million appends: answered before they are durable.
    pub(super) buffered: u32,
    /// Data is redacted now and then.
    pub(super) redacting: bool,
    pub(super) group_id: GroupId,
    pub(super) oracle: Arc<Mutex<Oracle>>,
    options: FileOptions,
}

impl Stage {
    pub(super) fn open(&self, disk: &SimDisk) -> Result<FileLedger> {
        FileLedger::open(Arc::new(disk.clone()), DIR, self.group_id.clone(), self.options)
    }

    pub(super) fn start(&self) -> Position {
        Position::start(&self.group_id)
    }
}

const DIR: &str = "/home/g";

/// How a run ended.
pub(super) struct Outcome {
    pub(super) profile: Profile,
    pub(super) world: World,
    pub(super) violations: Vec<String>,
    pub(super) counts: Counts,
    /// Of all phases together.
    pub(super) report: Report,
    pub(super) power_cuts: u64,
}

/// Runs a seed to its end and checks everything.
pub(super) fn run(seed: u64) -> Outcome {
    run_as(seed, Profile::of(seed), |_| ())
}

/// As [`run`], with a choice of what fails, and of the machine.
pub(super) fn run_as(seed: u64, profile: Profile, prepare: impl FnOnce(&World)) -> Outcome {
    let world = World::new(seed);
    prepare(&world);
    world.keep_writes(".jsonl");
    let mut random = Random::new(seed ^ 0x5eed);
    let segment_bytes = random.pick(&[1, 2000, 20_000, 64 << 20]);
    // Whoever comes after a buffered event that nobody syncs waits as for the dead.
    let buffered = random.pick(&[0, 150_000]);
    let redacting = random.chance(250_000);
    let stage = Stage {
        world: world.clone(),
        rules: Rules {
            bounded: buffered == 0 && profile.rules().bounded,
            nothing_vanishes: !redacting && profile.rules().nothing_vanishes,
            ..profile.rules()
        },
        buffered,
        redacting,
        group_id: GroupId::new("g").expect("a valid id"),
        oracle: Arc::default(),
        options: FileOptions::default().segment_bytes(segment_bytes),
    };
    let setup = world.process();
    setup
        .create_dir(Path::new("/home"))
        .and_then(|()| setup.sync_dir(Path::new("/")))
        .expect("a healthy disk");
    FileLedger::create(Arc::new(setup.clone()), DIR, stage.group_id.clone(), stage.options)
        .expect("a healthy disk");

    let mut total = Report::default();
    let mut power_cuts = 0;
    for phase in 0..=random.below(3) {
        world.set_faults(profile.faults(&mut random));
        cast(&stage, &mut random, phase);
        let report = world.run();
        power_cuts += u64::from(report.power_cut);
        let failed = report.failure.is_some();
        add(&mut total, report);
        if failed {
            break;
        }
    }
    if total.failure.is_none() {
        world.set_faults(Faults::default());
        let process = world.process();
        let (inspector, disk) = (stage.clone(), process.clone());
        world.spawn(&process, "inspector", move || {
            if let Err(error) = inspect(&inspector, &disk) {
                inspector.oracle.lock().unwrap().violation(format!("inspector: {error}"));
            }
        });
        add(&mut total, world.run());
    }
    let mut oracle = std::mem::take(&mut *stage.oracle.lock().unwrap());
    if let Some(failure) = total.failure.clone() {
        oracle.violation(failure);
    }
    Outcome {
        profile,
        world,
        violations: oracle.violations,
        counts: oracle.counts,
        report: total,
        power_cuts,
    }
}

fn add(total: &mut Report, report: Report) {
    total.kills += report.kills;
    total.stops += report.stops;
    total.power_cut |= report.power_cut;
    total.failed_syncs += report.failed_syncs;
    total.full_disk += report.full_disk;
    total.calls += report.calls;
    total.failure = total.failure.take().or(report.failure);
}

/// Starts the processes of one phase.
fn cast(stage: &Stage, random: &mut Random, phase: u64) {
    let world = &stage.world;
    let commands = 1 + random.below(10);
    for i in 0..2 + random.below(3) {
        let process = world.process();
        // Some come later: when others may have died.
        let delay = Duration::from_millis(if random.chance(300_000) { random.below(400) } else { 0 });
        for task in 0..1 + random.below(2) {
            let (stage, disk, seed) = (stage.clone(), process.clone(), random.next_u64());
            let name = format!("w{phase}.{i}.{task}");
            world.spawn(&process, name.clone(), move || {
                disk.sleep(delay);
                actors::write(&stage, &disk, &name, seed, commands);
            });
        }
    }
    for i in 0..1 + random.below(2) {
        let (stage, process, seed) = (stage.clone(), world.process(), random.next_u64());
        let (disk, name) = (process.clone(), format!("r{phase}.{i}"));
        world.spawn(&process, name.clone(), move || actors::read(&stage, &disk, &name, seed, 5 * commands));
    }
    if random.chance(500_000) {
        let (stage, process, seed) = (stage.clone(), world.process(), random.next_u64());
        let (disk, name) = (process.clone(), format!("h{phase}"));
        world.spawn(&process, name.clone(), move || keep_house(&stage, &disk, &name, seed, 2 * commands));
    }
    if random.chance(500_000) {
        let (stage, process) = (stage.clone(), world.process());
        let (disk, name) = (process.clone(), format!("f{phase}"));
        world.spawn(&process, name.clone(), move || actors::follow(&stage, &disk, &name));
    }
}

/// On a healthy machine, after everything: recovers, and checks all that was promised.
fn inspect(stage: &Stage, disk: &SimDisk) -> Result<()> {
    let ledger = stage.open(disk)?;
    let turn = block_on(ledger.turn())?;
    let tip = turn.tip();
    let nothing = Encoder::new(stage.group_id.clone(), tip, turn.durable().seq).finish();
    let appended = block_on(turn.append(&nothing, Durability::Durable))?;
    let head = block_on(ledger.head())?;
    let mut bytes = Vec::new();
    let mut next = Seq(1);
    loop {
        let page = block_on(ledger.read(next, ReadLimit::CHUNK))?;
        if page.is_empty() {
            break;
        }
        bytes.extend_from_slice(page.bytes());
        next = Seq(next.0 + page.len() as u64);
    }
    let verdict = block_on(ledger.verify())?;
    let torn = set_aside(disk);
    let mut oracle = stage.oracle.lock().unwrap();
    oracle.counts.set_aside += torn.len() as u64;
    if (appended, head) != (Appended::New, tip) {
        oracle.violation(format!("at the end {appended:?}, tip {tip}, head {head}"));
    }
    match verdict {
        Verdict::Sound { head: end, bytes: len, .. } if end == head && len == bytes.len() as u64 => {}
        other => oracle.violation(format!("at the end {other:?}, head {head}, {} bytes", bytes.len())),
    }
    if stage.rules.nothing_vanishes {
        let there: HashSet<&[u8]> =
            torn.iter().chain([&bytes]).flat_map(|bytes| bytes.split_inclusive(|b| *b == b'\n')).collect();
        let written = stage.world.kept_writes();
        let lines = written.iter().flat_map(|write| write.bytes.split_inclusive(|b| *b == b'\n'));
        // A writer that was killed within a write leaves a part of a line.
        let within = |part: &[u8]| {
            torn.iter().chain([&bytes]).any(|bytes| bytes.windows(part.len()).any(|window| window == part))
        };
        let vanished: Vec<_> = lines.filter(|line| !there.contains(line) && !within(line)).collect();
        if let Some(first) = vanished.first() {
            let first = String::from_utf8_lossy(first);
            oracle.violation(format!("{} lines vanished; the first: {first}", vanished.len()));
        }
    }
    match Page::check(bytes, stage.start()) {
        Ok(page) => oracle.check_end(stage.start(), &page),
        Err(error) => oracle.violation(format!("at the end {error:?}")),
    }
    Ok(())
}

/// The contents of the files under `torn/`.
fn set_aside(disk: &SimDisk) -> Vec<Vec<u8>> {
    let dir = Path::new(DIR).join("torn");
    let names = disk.list(&dir).unwrap_or_default();
    let read = |name: &String| {
        let file = disk.open(&dir.join(name), OpenMode::Read).ok()?;
        let mut bytes = vec![0; usize::try_from(file.stat().ok()?.len).ok()?];
        file.read_at(&mut bytes, 0).ok()?;
        Some(bytes)
    };
    names.iter().filter_map(read).collect()
}
