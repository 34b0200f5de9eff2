//! What a process costs that works with many groups, and what it holds up meanwhile.

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cccc_core::disk::{Disk, OpenMode, RealDisk};
use cccc_core::event::{Body, GroupCreate};
use cccc_core::id::Nonce;
use cccc_core::ledger::file::Options;
use cccc_core::ledger::{Draft, Durability, Encoder, FileLedger, Ledger, MemoryLedger, Stamp};
use cccc_core::testing::DiskLayer;
use cccc_core::{Blobs, Group, GroupId, Principal, SystemClock, Timestamp, block_on};

const ROLE: &str = "CCCC_TEST_THREADS";

/// This test binary again, with one of the tests below that are for a process of their own.
fn alone(test: &str, role: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("threads::{test}"), "--ignored", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn many_groups_share_few_threads() {
    let output = alone("three_hundred_groups", "x").wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "run by another test, in a process of its own"]
fn three_hundred_groups() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let groups = current_thread().block_on(async {
        let tasks: Vec<_> = (0..300)
            .map(|i| {
                tokio::spawn(async move {
                    let group = Group::in_memory(format!("group {i}")).await.unwrap();
                    group.add_actor("lead").await.unwrap();
                    group.send("to work").to("lead").await.unwrap();
                    group
                })
            })
            .collect();
        let mut groups = Vec::new();
        for task in tasks {
            groups.push(task.await.unwrap());
        }
        groups
    });
    assert_eq!(groups.len(), 300);
    // Two of them are the test's own.
    let threads = std::fs::read_dir("/proc/self/task").unwrap().count();
    assert!(threads <= 8, "{threads} threads");
}

/// A group with so many messages and no checkpoint.
fn long_ledger(events: u64) -> MemoryLedger {
    let id = GroupId::new("g").unwrap();
    let ledger = MemoryLedger::new(id.clone());
    block_on(async {
        let group = Group::over(Arc::new(ledger.clone()), Blobs::in_memory(), Arc::new(SystemClock));
        group.execute(cccc_core::Command::CreateGroup(GroupCreate::default())).await.unwrap();
        group.add_actor("lead").await.unwrap();
        let sent = group.send("first").to("lead").await.unwrap();
        let message = group.event(&sent).await.unwrap().body;
        let turn = ledger.turn().await.unwrap();
        let mut encoder = Encoder::new(id, turn.tip(), turn.durable().seq);
        let stamp =
            Stamp { ts: Timestamp::from_millis(0), by: Principal::User, via: None, scope_key: "".into() };
        for n in 0..events {
            let draft = Draft { body: message.clone(), must: false };
            encoder.push(vec![draft], &stamp, || Nonce::from_bits(n)).unwrap();
        }
        assert!(matches!(message, Body::ChatMessage(_)));
        turn.append(&encoder.finish(), Durability::Durable).await.unwrap();
    });
    ledger
}

/// How often other tasks came to run on the only thread while `work` was done.
fn ticks_during<F: Future<Output = ()>>(work: impl FnOnce(Group) -> F) -> u64 {
    let ledger = long_ledger(50_000);
    current_thread().block_on(async {
        let ticks = Arc::new(AtomicU64::new(0));
        let counter = ticks.clone();
        let ticking = tokio::spawn(async move {
            loop {
                counter.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
        let group = Group::over(Arc::new(ledger), Blobs::in_memory(), Arc::new(SystemClock));
        work(group).await;
        ticking.abort();
        ticks.load(Ordering::Relaxed)
    })
}

#[test]
fn opening_a_long_group_holds_up_no_other_task() {
    let ticks = ticks_during(|group| async move {
        assert_eq!(group.summary().await.unwrap().actors.len(), 1);
    });
    assert!(ticks > 100, "{ticks}");
}

#[test]
fn looking_back_for_what_is_rare_holds_up_no_other_task() {
    let ticks = ticks_during(|group| async move {
        assert_eq!(group.history().kind("group").await.unwrap().events.len(), 1);
    });
    assert!(ticks > 100, "{ticks}");
}

/// A disk that counts the checkpoints that are put in place.
#[derive(Debug)]
struct Counting(RealDisk, AtomicU64);

impl DiskLayer for Counting {
    fn below(&self) -> &dyn Disk {
        &self.0
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if to.to_string_lossy().contains("checkpoint") {
            self.1.fetch_add(1, Ordering::Relaxed);
        }
        self.0.rename(from, to)
    }
}

fn over_files(dir: &Path) -> (Group, Arc<Counting>) {
    let disk = Arc::new(Counting(RealDisk::new(), AtomicU64::new(0)));
    let ledger =
        FileLedger::create(disk.clone(), dir, GroupId::new("g").unwrap(), Options::default()).unwrap();
    (Group::over(Arc::new(ledger), Blobs::in_memory(), Arc::new(SystemClock)), disk)
}

/// Somebody who has the locks of more groups than there are threads that may work holds up those groups, and no other.
#[test]
fn groups_whose_locks_are_held_elsewhere_hold_up_no_other_group() {
    let dir = tempfile::tempdir().unwrap();
    let opened = |i: usize| over_files(&dir.path().join(format!("g{i}"))).0;
    let create = || cccc_core::Command::CreateGroup(GroupCreate::default());
    current_thread().block_on(async {
        let (mut locks, mut waiting) = (Vec::new(), Vec::new());
        for i in 0..20 {
            let group = opened(i);
            group.execute(create()).await.unwrap();
            let path = dir.path().join(format!("g{i}")).join("lock");
            let lock = RealDisk::new().open(&path, OpenMode::Create).unwrap();
            lock.lock().unwrap();
            locks.push(lock);
            waiting.push(tokio::spawn(async move { group.add_actor("lead").await.map(drop) }));
        }
        // They have begun to wait before the last one is written to.
        tokio::task::yield_now().await;
        let last = opened(20);
        last.execute(create()).await.unwrap();
        last.add_actor("lead").await.unwrap();
        drop(locks);
        for one in waiting {
            // Whether it waited long enough or gave up.
            let _ = one.await.unwrap();
        }
    });
}

const SENDERS: u64 = 8;
const EACH: u64 = 400;

#[test]
fn processes_make_checkpoints_for_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("g");
    let (group, _) = over_files(&path);
    block_on(async {
        group.execute(cccc_core::Command::CreateGroup(GroupCreate::default())).await.unwrap();
        for i in 0..SENDERS {
            group.add_actor(format!("a{i}")).await.unwrap();
        }
    });
    let senders: Vec<Child> =
        (0..SENDERS).map(|i| alone("sender", &format!("{i} {}", path.display()))).collect();
    let mut made = 0;
    for sender in senders {
        let output = sender.wait_with_output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let count = said.lines().find_map(|line| line.split_once("made ")).map(|(_, count)| count.trim());
        made += count.unwrap_or_else(|| panic!("{said}")).parse::<u64>().unwrap();
    }
    let bytes = std::fs::read_dir(path.join("ledger"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().extension().is_some_and(|ending| ending == "jsonl"))
        .map(|entry| entry.metadata().unwrap().len())
        .sum::<u64>();
    let needed = bytes / (512 << 10);
    println!("{made} checkpoints for {bytes} bytes; {needed} are needed");
    assert!(needed >= 8, "{needed}");
    assert!(made >= needed / 3 && made <= needed * 3 / 2 + 1, "{made} checkpoints where {needed} are needed");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn sender() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let (number, path) = role.split_once(' ').unwrap();
    let (group, disk) = over_files(Path::new(path));
    block_on(async {
        let me = group.bind(format!("a{number}")).await.unwrap();
        let text = "x".repeat(1500);
        for i in 0..EACH {
            me.send(format!("{i} {text}")).to("@all").await.unwrap();
        }
        me.send("the last").to("user").await.unwrap();
    });
    println!("made {}", disk.1.load(Ordering::Relaxed));
}
