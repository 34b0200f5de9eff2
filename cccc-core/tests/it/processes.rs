//! Real processes on a real disk: many of them write to one ledger, and some are killed.
//!
//! The processes are this test binary again, told by an environment variable to be a writer. What the
//! simulation checks step by step is checked here against the operating system's own locks, notification
//! and page cache.
#![expect(clippy::disallowed_methods, reason = "real processes take real time")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use cccc_core::disk::RealDisk;
use cccc_core::event::Body;
use cccc_core::id::Nonce;
use cccc_core::ledger::file::Options;
use cccc_core::ledger::{
    Appended, Draft, Durability, Encoder, FileLedger, Ledger, Page, Position, ReadLimit, Stamp, Verdict,
};
use cccc_core::testing::Random;
use cccc_core::{GroupId, Principal, Seq, Timestamp};
use serde_json::value::RawValue;

/// `<name> <count> <segment bytes> <directory>`
const WRITER: &str = "CCCC_TEST_WRITER";
/// Nobody waits longer for the dead than a quarter of a second each; the rest is for a busy machine.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// Bounds whole tests.
const TEST_TIME: Duration = Duration::from_secs(120);

fn group_id() -> GroupId {
    GroupId::new("g").unwrap()
}

fn open(dir: &Path, segment_bytes: u64) -> FileLedger {
    let options = Options::default().segment_bytes(segment_bytes);
    FileLedger::open(Arc::new(RealDisk::new()), dir, group_id(), options).unwrap()
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

/// A writer, if this process was started as one.
#[test]
#[ignore = "it is started by the other tests"]
fn writer() {
    let Ok(order) = std::env::var(WRITER) else { return };
    let mut words = order.splitn(4, ' ');
    let mut word = || words.next().unwrap();
    let (name, count, segment_bytes) = (word(), word().parse().unwrap(), word().parse().unwrap());
    let ledger = open(Path::new(word()), segment_bytes);
    block_on(write(&ledger, name, count));
}

/// Appends `count` commands of one to three events, and reports each one that returned.
async fn write(ledger: &FileLedger, name: &str, count: u64) {
    let mut random = Random::new(name.bytes().fold(7, |hash, byte| hash * 31 + u64::from(byte)));
    let mut slowest = Duration::ZERO;
    let mut n = 0;
    while n < count {
        let started = Instant::now();
        let turn = ledger.turn().await.unwrap();
        let command = format!("{name}.{n}");
        let mut encoder = Encoder::new(group_id(), turn.tip(), turn.durable().seq);
        let size = 1 + random.below(3);
        let drafts = (0..size).map(|index| draft(&command, index, size)).collect();
        let stamp =
            Stamp { ts: Timestamp::from_millis(0), by: Principal::System, via: None, scope_key: "".into() };
        encoder.push(drafts, &stamp, || Nonce::from_bits(random.next_u64())).unwrap();
        let batch = encoder.finish();
        let end = batch.end;
        match turn.append(&batch, Durability::Durable).await.unwrap() {
            Appended::New => {}
            // A recovery of what somebody else left behind: decide again.
            Appended::Lost => continue,
            Appended::Already => panic!("{command} was there before it was appended"),
        }
        slowest = slowest.max(started.elapsed());
        report(&format!("acked {end} {command}"));
        n += 1;
    }
    report(&format!("slowest {}", slowest.as_micros()));
}

fn report(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

fn draft(command: &str, index: u64, count: u64) -> Draft {
    let data = serde_json::json!({ "command": command, "index": index, "count": count });
    let data = RawValue::from_string(data.to_string()).unwrap();
    Body::Unknown { kind: "x.written".into(), data }.into()
}

/// What a writer reported.
enum Report {
    Acked {
        writer: usize,
        end: Position,
        command: String,
    },
    Slowest(Duration),
    /// It ended; whether by itself.
    Ended {
        writer: usize,
    },
}

/// A group's directory, writers on it, and what they reported.
struct Stage {
    _home: tempfile::TempDir,
    dir: PathBuf,
    segment_bytes: u64,
    children: Vec<Child>,
    sender: Sender<Report>,
    receiver: Receiver<Report>,
    acked: BTreeMap<String, Position>,
    slowest: Duration,
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Where a test failed they may still run.
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Stage {
    fn new(segment_bytes: u64) -> Self {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("g");
        FileLedger::create(Arc::new(RealDisk::new()), &dir, group_id(), Options::default()).unwrap();
        let (sender, receiver) = channel();
        let (acked, slowest) = (BTreeMap::new(), Duration::ZERO);
        Self { _home: home, dir, segment_bytes, children: Vec::new(), sender, receiver, acked, slowest }
    }

    fn start(&mut self, name: &str, count: u64) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "processes::writer", "--ignored", "--nocapture", "--test-threads=1"])
            .env(WRITER, format!("{name} {count} {} {}", self.segment_bytes, self.dir.display()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, writer) = (self.sender.clone(), self.children.len());
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // The test harness prints the test's name before the first line of its output.
                let words: Vec<&str> = line.split_whitespace().collect();
                let report = match words[..] {
                    [.., "acked", end, command] => {
                        Report::Acked { writer, end: end.parse().unwrap(), command: command.into() }
                    }
                    [.., "slowest", micros] => {
                        Report::Slowest(Duration::from_micros(micros.parse().unwrap()))
                    }
                    _ => continue,
                };
                // The test may have failed meanwhile.
                let _ = sender.send(report);
            }
            let _ = sender.send(Report::Ended { writer });
        });
        self.children.push(child);
    }

    /// Waits for the next report, no longer than somebody may be held up by the dead.
    fn next(&mut self) -> Report {
        let report = self.receiver.recv_timeout(LONGEST_WAIT).expect("somebody should have gone on");
        match &report {
            Report::Acked { end, command, .. } => {
                assert_eq!(self.acked.insert(command.clone(), *end), None, "{command} was acked twice");
            }
            Report::Slowest(time) => self.slowest = self.slowest.max(*time),
            Report::Ended { .. } => {}
        }
        report
    }

    /// Checks the ledger as it is now against what was acknowledged. Returns how many events there are.
    fn check(&self) -> u64 {
        let ledger = open(&self.dir, self.segment_bytes);
        // What a dead writer left is put in order.
        let turn = block_on(ledger.turn()).unwrap();
        let tip = turn.tip();
        let nothing = Encoder::new(group_id(), tip, turn.durable().seq).finish();
        assert_eq!(block_on(turn.append(&nothing, Durability::Durable)).unwrap(), Appended::New);
        assert!(matches!(block_on(ledger.verify()).unwrap(), Verdict::Sound { head, .. } if head == tip));

        let mut chains = BTreeMap::new();
        let mut commands = BTreeSet::new();
        let mut expected = None;
        let mut position = Position::start(&group_id());
        while position != tip {
            let page = block_on(ledger.read(position.seq.next(), ReadLimit::CHUNK)).unwrap();
            assert!(!page.is_empty());
            for line in page.lines() {
                position = line.check(position).unwrap();
                chains.insert(position.seq, position.chain);
                let event = line.parse().unwrap();
                let Body::Unknown { data, .. } = event.body else { panic!("{}", event.body.kind()) };
                let data: serde_json::Value = serde_json::from_str(data.get()).unwrap();
                let (command, index) = (data["command"].as_str().unwrap().to_owned(), data["index"].as_u64());
                match expected.take() {
                    Some(next) => assert_eq!((command.clone(), index.unwrap()), next),
                    None => assert_eq!(index, Some(0)),
                }
                if index.unwrap() + 1 < data["count"].as_u64().unwrap() {
                    expected = Some((command, index.unwrap() + 1));
                } else {
                    assert!(commands.insert(command.clone()), "{command} is there twice");
                }
            }
        }
        assert_eq!(expected, None);
        for (command, end) in &self.acked {
            assert!(commands.contains(command), "{command} is not there");
            assert_eq!(chains.get(&end.seq), Some(&end.chain), "{command}");
        }
        tip.seq.0
    }
}

/// Follows a ledger until `stop` is reached, on a thread of its own; returns every page it saw.
fn follow(dir: &Path, stop: Receiver<Seq>) -> std::thread::JoinHandle<Position> {
    let dir = dir.to_owned();
    std::thread::spawn(move || {
        block_on(async {
            let ledger = open(&dir, u64::MAX);
            let mut position = Position::start(&group_id());
            let mut last = None;
            let deadline = Instant::now() + TEST_TIME;
            while last.is_none_or(|last| position.seq < last) {
                assert!(Instant::now() < deadline);
                last = last.or_else(|| stop.try_recv().ok());
                let wait = ledger.wait(position.seq);
                // Without anything new, it has to look whether it may stop.
                let Ok(head) = tokio::time::timeout(Duration::from_millis(100), wait).await else { continue };
                assert!(head.unwrap().seq > position.seq);
                let page = ledger.read(position.seq.next(), ReadLimit::CHUNK).await.unwrap();
                position = follow_page(position, &page);
            }
            position
        })
    })
}

fn follow_page(previous: Position, page: &Page) -> Position {
    assert!(!page.is_empty());
    page.lines().fold(previous, |position, line| line.check(position).unwrap())
}

#[test]
fn many_processes_write_and_follow_one_ledger() {
    const WRITERS: u64 = 32;
    const EACH: u64 = 200;
    let mut stage = Stage::new(256 << 10);
    let followers: Vec<_> = (0..2)
        .map(|_| {
            let (stop, stopped) = channel();
            (stop, follow(&stage.dir, stopped))
        })
        .collect();
    (0..WRITERS).for_each(|i| stage.start(&format!("w{i}"), EACH));
    let mut running = WRITERS;
    while running > 0 {
        if let Report::Ended { .. } = stage.next() {
            running -= 1;
        }
    }
    assert_eq!(stage.acked.len() as u64, WRITERS * EACH);
    let events = stage.check();
    let ledger = open(&stage.dir, u64::MAX);
    let head = block_on(ledger.head()).unwrap();
    assert_eq!(head.seq.0, events);
    for (stop, follower) in followers {
        stop.send(head.seq).unwrap();
        assert_eq!(follower.join().unwrap(), head);
    }
    assert!(stage.slowest < LONGEST_WAIT, "{:?}", stage.slowest);
}

#[test]
fn what_a_killed_process_was_told_stays_and_nobody_waits_for_it() {
    const WRITERS: usize = 6;
    const KILLS: usize = 30;
    let mut stage = Stage::new(64 << 10);
    let mut random = Random::new(u64::from(std::process::id()));
    let mut kill_at: Vec<u64> = Vec::new();
    let mut acks: Vec<u64> = Vec::new();
    for i in 0..WRITERS {
        stage.start(&format!("w{i}"), u64::MAX);
        kill_at.push(1 + random.below(40));
        acks.push(0);
    }
    let mut killed = 0;
    let mut running = WRITERS;
    while running > 0 {
        match stage.next() {
            Report::Acked { writer, .. } => {
                acks[writer] += 1;
                // It goes on writing meanwhile: the kill may hit it anywhere.
                if acks[writer] == kill_at[writer] {
                    stage.children[writer].kill().unwrap();
                    killed += 1;
                }
            }
            Report::Slowest(_) => {}
            Report::Ended { writer } => {
                assert!(!stage.children[writer].wait().unwrap().success(), "it was killed");
                running -= 1;
                if killed + running < KILLS {
                    let name = format!("w{}", stage.children.len());
                    stage.start(&name, u64::MAX);
                    kill_at.push(1 + random.below(40));
                    acks.push(0);
                    running += 1;
                }
            }
        }
    }
    assert!(killed >= KILLS);
    assert!(stage.check() >= stage.acked.len() as u64);
}
