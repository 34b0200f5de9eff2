//! Presence: which sessions really run, told by locks of the operating system.
//!
//! A session holds a lock on a file of its own for as long as it runs; when its process ends, however it
//! ends, the system lets go of it. So nothing beats on the ledger, and nobody has to guess after how much
//! silence a process is dead. Beside the lock lies a record of whose session it is. This module finds facts;
//! what follows from them is [`rule::presence`](crate::rule::presence)'s to say.
//!
//! ```text
//! presence/<group id>/<principal>/<random>.lock    locked while the session runs
//! presence/<group id>/<principal>/<random>.json    whose session it is; written after locking
//! ```
//!
//! Whoever joins holds the lock before the ledger says that the session began, and the record says until then that
//! this is to come. What a program leaves that is killed in between is *half made*: whether the session has begun, the
//! ledger tells; whoever looks next for who runs has the record say so, or takes it away.
//!
//! A program that only runs for a moment, like `cccc join`, cannot hold a lock for the agent that called it.
//! It leaves the agent's process in the record instead, by number and starting time.

mod process;

use std::collections::BTreeMap;
use std::fs::{self, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use cccc_fork::LockFile;
use serde::{Deserialize, Serialize};

pub use process::Process;

use crate::error::{Error, Result};
use crate::files::{self, Links, draft};
use crate::id::{GroupId, Principal};
use crate::opener::Opener;
use crate::rule::presence::{Condition, Facts};

/// How often a lock is tried that others may be looking at just now.
const LOCK_TRIES: usize = 1_000;

/// How the name of a record ends that is being written.
const DRAFT: &str = "tmp";

/// The largest record that is read, in bytes.
const MAX_RECORD_BYTES: u64 = 64 << 10;

/// Whose session a lock is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Whom the session embodies: an actor, or a service that delivers.
    pub principal: Principal,
    /// The session's id.
    pub session: String,
    /// The process that the session is, if it is not the one that holds the lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// The program that started it, which may have started others too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<Process>,
    /// Whether it only hands messages over, for as long as that takes, and embodies nobody.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deliverer: bool,
    /// Whether the ledger is yet to say that the session has begun.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub joining: bool,
}

/// A session that was found, and whether it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Whose it is.
    pub record: Record,
    /// Whether it runs.
    pub condition: Condition,
    /// Whether a program of ours is at it and holds its lock; else it is the record's process that tells.
    pub held: bool,
    /// Whether who was joining is gone, and it is not known whether the session has begun.
    pub half_made: bool,
}

/// The presence of one group's sessions. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Presence(Store, Opener);

#[derive(Clone, Debug)]
enum Store {
    Directory(Arc<Path>),
    Memory(Arc<Mutex<Remembered>>),
}

/// Sessions of a group that is in memory, by a number of their own, and whether they are held.
#[derive(Debug, Default)]
struct Remembered {
    next: u64,
    sessions: BTreeMap<u64, (Record, bool)>,
}

/// A lock that says that a session runs. Dropping it lets go, as the end of the process does.
#[derive(Debug)]
pub struct Held(Hold);

#[derive(Debug)]
enum Hold {
    File(LockFile, PathBuf),
    Memory(Arc<Mutex<Remembered>>, u64),
}

impl Held {
    /// Has the record say that the session has begun.
    ///
    /// # Errors
    /// `Unavailable` if the disk refuses.
    pub(crate) fn begun(&self, record: Record) -> Result<()> {
        let record = Record { joining: false, ..record };
        match &self.0 {
            Hold::File(_, lock) => write_record(&lock.with_extension("json"), &record),
            Hold::Memory(memory, number) => {
                if let Some((known, _)) = locked(memory).sessions.get_mut(number) {
                    *known = record;
                }
                Ok(())
            }
        }
    }

    /// Lets go and takes the record away. Others of the same session stay.
    ///
    /// # Errors
    /// `Unavailable` if the disk refuses.
    pub fn withdraw(self) -> Result<()> {
        match &self.0 {
            Hold::File(_, lock) => remove(&lock.with_extension("json")),
            Hold::Memory(memory, number) => {
                locked(memory).sessions.remove(number);
                Ok(())
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        match &self.0 {
            // Closing is not enough: a program that this process is just starting has the file open, too,
            // until it has begun.
            Hold::File(file, _) => drop(file.unlock()),
            Hold::Memory(memory, number) => {
                if let Some((_, held)) = locked(memory).sessions.get_mut(number) {
                    *held = false;
                }
            }
        }
    }
}

fn locked(memory: &Mutex<Remembered>) -> std::sync::MutexGuard<'_, Remembered> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Presence {
    /// Presence in a directory, which is made when the first session comes.
    #[must_use]
    pub fn in_directory(dir: impl AsRef<Path>) -> Self {
        Self(Store::Directory(dir.as_ref().into()), Opener::here())
    }

    /// Presence within this process.
    #[must_use]
    pub fn in_memory() -> Self {
        Self(Store::Memory(Arc::default()), Opener::here())
    }

    /// Says that a session runs, until what is returned is dropped.
    ///
    /// # Errors
    /// `Unavailable` if the disk refuses.
    pub fn hold(&self, record: Record) -> Result<Held> {
        self.1.check()?;
        match &self.0 {
            Store::Directory(dir) => hold_file(dir, &record).map(|(file, lock)| Held(Hold::File(file, lock))),
            Store::Memory(memory) => {
                let mut remembered = locked(memory);
                remembered.next += 1;
                let number = remembered.next;
                remembered.sessions.insert(number, (record, true));
                Ok(Held(Hold::Memory(memory.clone(), number)))
            }
        }
    }

    /// Every session that left a record.
    ///
    /// # Errors
    /// `Unavailable` if the disk refuses. A record that cannot be understood is passed over: it may be of
    /// a newer version, and of it nothing follows.
    pub fn look(&self) -> Result<Vec<Sighting>> {
        self.1.check()?;
        match &self.0 {
            Store::Directory(dir) => {
                let mut sightings = Vec::new();
                each_record(dir, |path, record| {
                    let held = lock_condition(&path.with_extension("lock"));
                    sightings.push(Sighting {
                        condition: held.unwrap_or_else(|| beyond_the_lock(&record)),
                        held: held == Some(Condition::Present),
                        half_made: record.joining && held.is_none(),
                        record,
                    });
                    Ok(())
                })?;
                Ok(sightings)
            }
            Store::Memory(memory) => {
                let sighting = |(record, held): &(Record, bool)| Sighting {
                    record: record.clone(),
                    condition: if *held { Condition::Present } else { beyond_the_lock(record) },
                    held: *held,
                    half_made: record.joining && !held,
                };
                Ok(locked(memory).sessions.values().map(sighting).collect())
            }
        }
    }

    /// What the rules need to know.
    ///
    /// # Errors
    /// As for [`look`](Self::look).
    pub fn facts(&self) -> Result<Facts> {
        let mut facts = Facts::default();
        for Sighting { record, condition, .. } in self.look()? {
            facts.add(record.session, condition);
        }
        Ok(facts)
    }

    /// Settles the half-made records of these sessions: of each `has_begun` says whether it has.
    ///
    /// # Errors
    /// `Unavailable` if the disk refuses.
    pub(crate) fn settle(&self, sessions: &[String], has_begun: impl Fn(&Record) -> bool) -> Result<()> {
        self.1.check()?;
        let is_meant = |record: &Record| record.joining && sessions.contains(&record.session);
        match &self.0 {
            Store::Directory(dir) => each_record(dir, |path, record| {
                if !is_meant(&record) || lock_condition(&path.with_extension("lock")).is_some() {
                    return Ok(());
                }
                if has_begun(&record) {
                    write_record(path, &Record { joining: false, ..record })
                } else {
                    remove(path)
                }
            }),
            Store::Memory(memory) => {
                let stays = |(record, held): &mut (Record, bool)| {
                    if *held || !is_meant(record) {
                        return true;
                    }
                    record.joining = false;
                    has_begun(record)
                };
                locked(memory).sessions.retain(|_, one| stays(one));
                Ok(())
            }
        }
    }

    /// Removes what dead processes of a session have left, and nothing of those that may run.
    ///
    /// It is what tells that they are dead, so whatever has to follow from that comes first.
    ///
    /// # Errors
    /// `Unavailable` if the disk refuses.
    pub fn forget_dead(&self, session: &str) -> Result<()> {
        self.1.check()?;
        match &self.0 {
            // A lock is made for one holder and never taken again, so what is dead stays so.
            Store::Directory(dir) => each_record(dir, |path, record| {
                let held = || lock_condition(&path.with_extension("lock"));
                let is_dead = record.session == session
                    && held().unwrap_or_else(|| beyond_the_lock(&record)) == Condition::Absent;
                if is_dead { remove(path) } else { Ok(()) }
            }),
            Store::Memory(memory) => {
                let stays = |(record, held): &(Record, bool)| {
                    record.session != session || *held || beyond_the_lock(record) != Condition::Absent
                };
                locked(memory).sessions.retain(|_, one| stays(one));
                Ok(())
            }
        }
    }

    /// Removes what processes that were killed have left of records that they were writing. What cannot be removed stays,
    /// and does no harm.
    pub(crate) fn remove_drafts(&self) {
        let Store::Directory(dir) = &self.0 else { return };
        for principal in names(dir).unwrap_or_default() {
            for path in names(&principal).unwrap_or_default() {
                let is_draft = || match path.extension().and_then(|ending| ending.to_str()) {
                    Some(DRAFT) => true,
                    // Of a session that nobody has ever seen, or whose record is gone.
                    Some("lock") => !path.with_extension("json").exists(),
                    _ => false,
                };
                if !is_draft() {
                    continue;
                }
                // Looked at again under the lock: a session may have begun and ended meanwhile.
                if let Some(_lock) = draft::abandoned(&path).filter(|_| is_draft()) {
                    let _ = fs::remove_file(&path);
                }
            }
        }
    }

    /// Removes what is left of a session that has ended or been replaced.
    ///
    /// # Errors
    /// `Unavailable` if the disk refuses.
    pub fn forget(&self, session: &str) -> Result<()> {
        self.1.check()?;
        match &self.0 {
            Store::Directory(dir) => each_record(dir, |path, record| {
                if record.session != session {
                    return Ok(());
                }
                remove(path)
            }),
            Store::Memory(memory) => {
                locked(memory).sessions.retain(|_, (record, _)| record.session != session);
                Ok(())
            }
        }
    }
}

/// See [`Home::embodied`](crate::Home::embodied). What is half made is among them.
pub(crate) fn embodied(home: &Path, processes: &[Process]) -> Result<Vec<(GroupId, Record)>> {
    let mut found = Vec::new();
    for dir in names(&home.join("presence"))? {
        let Some(Ok(group)) = dir.file_name().and_then(|name| name.to_str()).map(GroupId::new) else {
            continue;
        };
        each_record(&dir, |_, record| {
            let at = record.process.as_ref().and_then(|one| processes.iter().position(|each| each == one));
            found.extend(at.map(|at| (at, group.clone(), record)));
            Ok(())
        })?;
    }
    let nearest = found.iter().map(|(at, ..)| *at).min();
    let nearest = found.into_iter().filter(|(at, ..)| Some(*at) == nearest);
    Ok(nearest.map(|(_, group, record)| (group, record)).collect())
}

/// Removes a record and the lock beside it.
fn remove(record: &Path) -> Result<()> {
    files::remove_if_there(record)?;
    files::remove_if_there(&record.with_extension("lock"))?;
    Ok(())
}

fn hold_file(dir: &Path, record: &Record) -> Result<(LockFile, PathBuf)> {
    let dir = dir.join(record.principal.to_string().replace(':', "."));
    files::make_private(&dir).map_err(|e| Error::io("make", &dir, e))?;
    let (lock, file) = draft::begin(|| Ok(dir.join(format!("{}.lock", crate::home::random_name()?))))?;
    // Whoever looks finds records, so a session is seen only once it holds its lock.
    write_record(&lock.with_extension("json"), record)?;
    Ok((file, lock))
}

/// Puts a record in place, which is seen whole or not at all. Of two who do so at once, both write the same.
fn write_record(path: &Path, record: &Record) -> Result<()> {
    let json = serde_json::to_vec(record)
        .map_err(|e| Error::invalid("a presence record cannot be written as JSON").source(e))?;
    let name = || Ok(path.with_extension(format!("{}.{DRAFT}", crate::home::random_name()?)));
    let (temporary, file) = draft::begin(name)?;
    let written = (&*file)
        .write_all(&json)
        .map_err(|e| Error::io("write", &temporary, e))
        .and_then(|()| files::rename(&temporary, path).map_err(|e| Error::io("rename to", path, e)));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn names(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = match files::entries(dir) {
        Ok(entries) => entries,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(e) => return Err(Error::io("list", dir, e)),
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    Ok(paths)
}

/// Calls `take` with each record's path and content.
fn each_record(dir: &Path, mut take: impl FnMut(&Path, Record) -> Result<()>) -> Result<()> {
    for principal in names(dir)? {
        for path in names(&principal)?.iter().filter(|path| path.extension().is_some_and(|e| e == "json")) {
            match files::read(path, Links::Refused, MAX_RECORD_BYTES) {
                Ok(bytes) => {
                    if let Ok(record) = serde_json::from_slice(&bytes) {
                        take(path, record)?;
                    }
                }
                // It ended between listing and reading.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                // It is no record.
                Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::FileTooLarge) => {}
                Err(e) => return Err(Error::io("read", path, e)),
            }
        }
    }
    Ok(())
}

/// Whether a session runs, as far as its lock tells: `None` if nobody holds it.
fn lock_condition(lock: &Path) -> Option<Condition> {
    let file = files::open(lock, Links::Refused).ok()?;
    for _ in 0..LOCK_TRIES {
        // Shared, so that two who look do not take each other for the session.
        match file.try_lock_shared() {
            Ok(()) => return None,
            Err(TryLockError::WouldBlock) => return Some(Condition::Present),
            Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(TryLockError::Error(_)) => return Some(Condition::Unknown),
        }
    }
    Some(Condition::Unknown)
}

/// Whether a session runs whose lock nobody holds.
fn beyond_the_lock(record: &Record) -> Condition {
    match record.process.as_ref().map(Process::is_running) {
        None | Some(Some(false)) => Condition::Absent,
        Some(Some(true)) => Condition::Present,
        Some(None) => Condition::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(session: &str, process: Option<Process>) -> Record {
        Record {
            principal: "alice".parse().unwrap(),
            session: session.into(),
            process,
            program: None,
            deliverer: false,
            joining: false,
        }
    }

    #[test]
    fn a_session_is_there_while_its_lock_is_held() {
        let dir = tempfile::tempdir().unwrap();
        for presence in [Presence::in_memory(), Presence::in_directory(dir.path().join("g"))] {
            let of = |session: &str| presence.facts().unwrap().condition(session);
            assert_eq!(of("s"), Condition::Unknown, "no record: nothing is known");
            let held = presence.hold(record("s", None)).unwrap();
            let service = Record { principal: "svc:host".parse().unwrap(), ..record("h", None) };
            let host = presence.hold(service).unwrap();
            assert_eq!((of("s"), of("h")), (Condition::Present, Condition::Present));
            let second = presence.hold(record("s", None)).unwrap();
            drop(held);
            assert_eq!(of("s"), Condition::Present, "two processes may be one session");
            drop(second);
            assert_eq!((of("s"), of("h")), (Condition::Absent, Condition::Present));
            presence.forget("s").unwrap();
            assert_eq!(of("s"), Condition::Unknown);
            drop(host);
            assert_eq!(presence.look().unwrap().len(), 1);
        }
    }

    #[test]
    fn what_was_being_written_when_a_process_was_killed_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let presence = Presence::in_directory(dir.path());
        let held = presence.hold(record("s", None)).unwrap();
        drop(presence.hold(record("dead", None)).unwrap());
        let of_alice = dir.path().join("alice");
        let names = || {
            let all = fs::read_dir(&of_alice).unwrap().map(|entry| entry.unwrap().file_name());
            all.map(|name| name.into_string().unwrap()).collect::<std::collections::BTreeSet<_>>()
        };
        let before = names();
        assert_eq!(before.len(), 4, "a record and a lock each: {before:?}");
        for left in ["a.b.tmp", "c.lock", "d.lock"] {
            fs::write(of_alice.join(left), "{").unwrap();
        }
        let (writing, _lock) = draft::begin(|| Ok(of_alice.join("e.f.tmp"))).unwrap();
        fs::create_dir(of_alice.join("g.tmp")).unwrap();
        presence.remove_drafts();
        let left = names();
        let more: Vec<&str> = left.difference(&before).map(String::as_str).collect();
        assert_eq!(more, ["e.f.tmp", "g.tmp"], "what somebody is at, and what is no file");
        assert!(before.is_subset(&left) && writing.exists());
        drop(held);
    }

    #[test]
    fn who_was_joining_and_is_gone_left_it_half_made() {
        let dir = tempfile::tempdir().unwrap();
        for presence in [Presence::in_memory(), Presence::in_directory(dir.path().join("g"))] {
            let seen = || {
                let all = presence.look().unwrap().into_iter();
                all.map(|one| (one.record.session, one.record.joining, one.half_made)).collect::<Vec<_>>()
            };
            let joining = |session: &str| Record { joining: true, ..record(session, None) };
            let held = presence.hold(joining("s")).unwrap();
            let settle = || presence.settle(&["s".into()], |_| false).unwrap();
            settle();
            assert_eq!(seen(), [("s".to_owned(), true, false)], "it may yet begin");
            held.begun(joining("s")).unwrap();
            drop(held);
            settle();
            assert_eq!(seen(), [("s".to_owned(), false, false)], "it has begun");
            presence.forget("s").unwrap();
            drop(presence.hold(joining("s")).unwrap());
            assert_eq!(seen(), [("s".to_owned(), true, true)]);
            presence.settle(&["other".into()], |_| false).unwrap();
            presence.settle(&["s".into()], |_| true).unwrap();
            assert_eq!(seen(), [("s".to_owned(), false, false)]);
            drop(presence.hold(joining("s")).unwrap());
            settle();
            assert_eq!(seen(), [("s".to_owned(), false, false)], "the other one is gone");
        }
    }

    #[cfg(unix)]
    #[test]
    fn letting_go_does_not_wait_for_programs_that_are_just_starting() {
        use std::sync::atomic::{AtomicBool, Ordering};
        let dir = tempfile::tempdir().unwrap();
        let presence = Presence::in_directory(dir.path());
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    std::process::Command::new("true").status().unwrap();
                }
            });
            let mut late = 0;
            for _ in 0..500 {
                drop(presence.hold(record("s", None)).unwrap());
                late += usize::from(presence.facts().unwrap().condition("s") != Condition::Absent);
                presence.forget("s").unwrap();
            }
            done.store(true, Ordering::Relaxed);
            assert_eq!(late, 0, "of 500");
        });
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_nearest_process_speaks() {
        let home = tempfile::tempdir().unwrap();
        let me = Process::of(std::process::id()).unwrap();
        let above = Process { pid: 1, ..me.clone() };
        assert!(embodied(home.path(), std::slice::from_ref(&me)).unwrap().is_empty());
        let hold = |group: &str, session: &str, process: &Process| {
            let presence = Presence::in_directory(home.path().join("presence").join(group));
            drop(presence.hold(record(session, Some(process.clone()))).unwrap());
        };
        hold("g1", "far", &above);
        let sessions = |processes: &[Process]| {
            let found = embodied(home.path(), processes).unwrap();
            found.into_iter().map(|(group, record)| format!("{group} {}", record.session)).collect::<Vec<_>>()
        };
        assert_eq!(sessions(&[me.clone(), above.clone()]), ["g1 far"]);
        hold("g2", "near", &me);
        assert_eq!(sessions(&[me.clone(), above.clone()]), ["g2 near"]);
        assert!(sessions(&[Process { started: "0".into(), ..me }]).is_empty());
    }

    #[test]
    fn what_is_no_record_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let presence = Presence::in_directory(dir.path());
        let _held = presence.hold(record("s", None)).unwrap();
        fs::write(dir.path().join("stray"), "x").unwrap();
        fs::write(dir.path().join("alice/broken.json"), "{").unwrap();
        fs::create_dir(dir.path().join("alice/directory.json")).unwrap();
        #[cfg(unix)]
        for pipe in ["pipe.json", "pipe.lock"] {
            crate::testing::make_pipe(&dir.path().join("alice").join(pipe)).unwrap();
        }
        assert_eq!(presence.look().unwrap().len(), 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_stands_for_a_session_that_nobody_holds() {
        let presence = Presence::in_memory();
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        drop(presence.hold(record("s", Process::of(child.id()))).unwrap());
        assert_eq!(presence.facts().unwrap().condition("s"), Condition::Present);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(presence.facts().unwrap().condition("s"), Condition::Absent);
        let other = Process { place: "another machine".into(), ..Process::of(std::process::id()).unwrap() };
        drop(presence.hold(record("t", Some(other))).unwrap());
        assert_eq!(presence.facts().unwrap().condition("t"), Condition::Unknown);
    }
}
