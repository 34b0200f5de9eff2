//! What a process may have and what others may do to it: few open files, and locks whose holder is stopped.
#![cfg(target_os = "linux")]
#![expect(clippy::disallowed_methods, reason = "real processes take real time")]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use cccc_core::disk::{Disk, RealDisk};
use cccc_core::event::Body;
use cccc_core::id::Nonce;
use cccc_core::ledger::file::Options;
use cccc_core::ledger::{Appended, Draft, Durability, Encoder, FileLedger, Ledger, ReadLimit, Stamp, Turn};
use cccc_core::{Error, ErrorKind, GroupId, Home, Principal, Seq, Timestamp, block_on};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use serde_json::value::RawValue;

/// The directory that a child process works in.
const DIR: &str = "CCCC_TEST_LIMITS";

fn group_id() -> GroupId {
    GroupId::new("g").unwrap()
}

async fn append(turn: Box<dyn Turn>) -> cccc_core::Result<Appended> {
    let mut encoder = Encoder::new(group_id(), turn.tip(), turn.durable().seq);
    let data = RawValue::from_string("{}".into()).unwrap();
    let draft: Draft = Body::Unknown { kind: "x.written".into(), data }.into();
    let stamp =
        Stamp { ts: Timestamp::from_millis(0), by: Principal::System, via: None, scope_key: "".into() };
    encoder.push(vec![draft], &stamp, || Nonce::from_bits(7)).unwrap();
    turn.append(&encoder.finish(), Durability::Durable).await
}

/// How many files under a directory this process has open.
fn open_files(dir: &Path) -> usize {
    let names = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = names.filter_map(|name| std::fs::read_link(name.unwrap().path()).ok());
    targets.filter(|target| target.starts_with(dir)).count()
}

/// Writes to and reads from many groups in turn; returns the most files that were open.
fn rotate(dir: &Path, rounds: u64) -> usize {
    const GROUPS: usize = 500;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new());
    let make =
        |n| FileLedger::create(disk.clone(), dir.join(format!("g{n}")), group_id(), Options::default());
    let groups: Vec<_> = (0..GROUPS).map(|n| make(n).unwrap()).collect();
    let mut most = 0;
    for round in 1..=rounds {
        for group in &groups {
            let turn = block_on(group.turn()).unwrap();
            assert_eq!(block_on(append(turn)).unwrap(), Appended::New);
            assert_eq!(block_on(group.read(Seq(1), ReadLimit::CHUNK)).unwrap().len() as u64, round);
            most = most.max(open_files(dir));
        }
    }
    most
}

#[test]
fn many_groups_need_few_descriptors() {
    let home = tempfile::tempdir().unwrap();
    let most = rotate(home.path(), 2);
    assert!(most <= 200, "{most} files were open");
}

/// A process that may open few files, if this one was started as that.
#[test]
#[ignore = "it is started by another test"]
fn poor_process() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(256), ..limit }).unwrap();
    let most = rotate(Path::new(&dir), 2);
    assert!(most <= 100, "{most} files were open");
}

fn child(test: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"]).env(DIR, dir);
    command
}

#[test]
fn many_groups_work_where_a_process_may_open_few_files() {
    let home = tempfile::tempdir().unwrap();
    assert!(child("limits::poor_process", home.path()).status().unwrap().success());
}

/// A process that takes the lock and keeps it, if this one was started as that.
#[test]
#[ignore = "it is started by another test"]
fn holder() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let ledger = FileLedger::open(Arc::new(RealDisk::new()), dir, group_id(), Options::default()).unwrap();
    let turn = block_on(ledger.turn()).unwrap();
    println!("\nholds the lock");
    let _ = std::io::stdin().read(&mut [0]);
    assert_eq!(block_on(append(turn)).unwrap(), Appended::New);
}

/// Such a process, stopped while it has the lock.
fn stopped(test: &str, what: &Path) -> Child {
    let mut holder = child(test, what).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(holder.stdout.take().unwrap());
    assert!(output.by_ref().lines().any(|line| line.unwrap() == "holds the lock"));
    // It will have more to say.
    holder.stdout = Some(output.into_inner());
    kill_process(Pid::from_child(&holder), Signal::STOP).unwrap();
    holder
}

/// Lets it go on to its end.
fn goes_on(mut holder: Child) {
    kill_process(Pid::from_child(&holder), Signal::CONT).unwrap();
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
}

/// An error that says who has the lock and what to do about it.
fn assert_named(error: &Error, holder: &Child) {
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let (text, id) = (error.to_string(), holder.id());
    for part in [format!("process {id} ("), "is stopped".into(), format!("kill -CONT {id}"), "since".into()] {
        assert!(text.contains(&part), "{text}");
    }
    assert!(error.retry_after_duration().is_some());
}

#[test]
fn a_stopped_holder_of_the_lock_is_named_and_blocks_nobody_for_ever() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("g");
    let ledger = Arc::new(
        FileLedger::create(Arc::new(RealDisk::new()), &dir, group_id(), Options::default()).unwrap(),
    );
    let holder = stopped("limits::holder", &dir);
    let started = Instant::now();
    // All wait at the same time, not one after the other.
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            let ledger = ledger.clone();
            std::thread::spawn(move || block_on(ledger.turn()).map(drop).unwrap_err())
        })
        .collect();
    for error in waiting {
        assert_named(&error.join().unwrap(), &holder);
    }
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    // Whoever reads is not held up.
    assert_eq!(block_on(ledger.head()).unwrap().seq, Seq(0));

    goes_on(holder);
    let turn = block_on(ledger.turn()).unwrap();
    assert_eq!(turn.tip().seq, Seq(1), "what it had begun is there, and nothing of those who gave up");
    assert_eq!(block_on(append(turn)).unwrap(), Appended::New);
}

/// A process that takes the lock of a file and keeps it, if this one was started as that.
#[test]
#[ignore = "it is started by another test"]
fn file_holder() {
    let Ok(path) = std::env::var(DIR) else { return };
    let file = RealDisk::new().open_lock(Path::new(&path)).unwrap();
    assert!(file.lock_within(Duration::from_secs(60)).unwrap());
    println!("\nholds the lock");
    let _ = std::io::stdin().read(&mut [0]);
}

/// Waits for what somebody holds who is stopped.
fn in_vain<T: std::fmt::Debug>(holder: &Child, work: impl Future<Output = cccc_core::Result<T>>) {
    let started = Instant::now();
    assert_named(&block_on(work).unwrap_err(), holder);
    let waited = started.elapsed();
    assert!(waited >= Duration::from_millis(1900) && waited < Duration::from_secs(8), "{waited:?}");
}

#[test]
fn a_stopped_holder_of_the_registry_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let home = block_on(Home::open(dir.path().join("home"))).unwrap();
    let group = block_on(home.create_group("one")).unwrap();
    let holder = stopped("limits::file_holder", &home.path().join("registry.lock"));
    in_vain(&holder, home.attach(dir.path()));
    in_vain(&holder, home.set_active(group.id()));
    // Neither these need it nor whoever only looks.
    drop(block_on(home.create_group("two")).unwrap());
    assert_eq!(block_on(home.groups()).unwrap().len(), 2);
    goes_on(holder);
    block_on(home.attach(dir.path())).unwrap();
}

#[test]
fn a_stopped_holder_of_the_attachments_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let home = block_on(Home::open(dir.path().join("home"))).unwrap();
    let group = block_on(home.create_group("one")).unwrap();
    let unsent = block_on(group.blobs().put_bytes("a.txt", b"a".to_vec())).unwrap();
    let path = group.blobs().path(&unsent.sha256).unwrap().unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(2 * 24 * 60 * 60)).unwrap();
    let holder = stopped("limits::file_holder", &path.with_file_name(".lock"));
    in_vain(&holder, group.collect_blobs());
    in_vain(&holder, group.blobs().put_bytes("b.txt", b"b".to_vec()));
    goes_on(holder);
    assert_eq!(block_on(group.collect_blobs()).unwrap().removed, [unsent.sha256]);
}

/// The locks of what is made aside have a name of their own each, so nobody waits for one.
#[test]
fn whoever_is_stopped_while_it_makes_a_group_holds_nobody_up_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let home = block_on(Home::open(dir.path().join("home"))).unwrap();
    drop(block_on(home.create_group("one")).unwrap());
    let made = home.path().join("groups/.new-another");
    std::fs::create_dir(&made).unwrap();
    let holder = stopped("limits::file_holder", &made.with_extension("lock"));
    drop(block_on(home.create_group("two")).unwrap());
    assert!(made.is_dir() && home.leftovers().unwrap().is_empty());
    goes_on(holder);
    drop(block_on(home.create_group("three")).unwrap());
    assert!(!made.exists(), "what it left is swept");
}
