//! The disk as one simulated process sees it.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use super::executor::{current, die, switch};
use super::machine::{HandleId, Machine, Pid, State, TaskState};
use super::storage::Inode;
use crate::disk::{Disk, DiskFile, Holder, OpenMode, Stat, WatchGuard};
use crate::time::Timestamp;

/// What a call takes at most, besides waiting.
const CALL_TIME: Duration = Duration::from_micros(2);
/// What a sync takes at most on a healthy disk.
const SYNC_TIME: Duration = Duration::from_micros(400);
/// How many writes in a million are seen half done by others.
const SPLIT_WRITES: u32 = 50_000;

/// A process of a [`World`](super::World): its disk, clock and number.
///
/// Clones are the same process. Used by a task, every call is a point where another task may go on, or
/// this process may be killed. Used by any other thread, calls are carried out at once, and waiting for
/// a lock that is taken is an error, or in vain if the wait has a limit.
#[derive(Clone)]
pub struct SimDisk {
    machine: Arc<Machine>,
    pid: Pid,
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SimDisk").field(&self.pid).finish()
    }
}

/// The error of every call of a dead process.
#[derive(Debug, thiserror::Error)]
#[error("the simulated process is dead")]
struct Dead;

/// The error of calls that the simulated hardware refused.
#[derive(Debug, thiserror::Error)]
#[error("simulated input/output error")]
struct Refused;

type Guard<'m> = MutexGuard<'m, State>;

impl SimDisk {
    pub(super) fn new(machine: Arc<Machine>, pid: Pid) -> Self {
        Self { machine, pid }
    }

    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Whether the process runs: it was not killed, and not all of its tasks have ended.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.machine.lock().is_alive(self.pid)
    }

    /// How long this process was stopped in all.
    #[must_use]
    pub fn stopped(&self) -> Duration {
        self.machine.lock().stopped(self.pid)
    }

    /// Begins a call: others may go first, and the process may not live to make it.
    fn enter(&self, call: &'static str, inode: Inode) -> io::Result<Guard<'_>> {
        let mut state = self.machine.lock();
        let task = current(&self.machine).filter(|_| !std::thread::panicking());
        if !state.is_alive(self.pid) {
            match task {
                Some(_) => die(state),
                None => return Err(io::Error::other(Dead)),
            }
        }
        if !state.count_call(self.pid) {
            state.record(self.pid, call, (inode, 0, 0), "killed as arranged");
            state.kill(self.pid);
            match task {
                Some(_) => die(state),
                None => return Err(io::Error::other(Dead)),
            }
        }
        let time = state.random_time(CALL_TIME);
        state.pass(time);
        let Some(me) = task else { return Ok(state) };

        let faults = state.faults.clone();
        if state.random.chance(faults.pause) {
            state.record(self.pid, call, (inode, 0, 0), "paused");
            let until = state.now() + state.random_time(faults.longest_pause);
            state.tasks[me].state = TaskState::Sleeping { until };
        }
        if state.random.chance(faults.stop) && state.holds_a_lock(self.pid) {
            state.record(self.pid, call, (inode, 0, 0), "stopped");
            let time = state.random_time(faults.longest_stop);
            state.stop(self.pid, time);
        }
        let mut state = self.switch(state, me);
        if state.report.kills < faults.max_kills && state.random.chance(faults.kill) {
            state.record(self.pid, call, (inode, 0, 0), "killed");
            state.kill(self.pid);
            die(state);
        }
        if !state.report.power_cut && state.random.chance(faults.power_cut) {
            state.record(self.pid, call, (inode, 0, 0), "power cut");
            state.power_cut();
            die(state);
        }
        Ok(state)
    }

    /// As [`enter`](Self::enter), for calls that the hardware may refuse.
    fn enter_fallible(&self, call: &'static str, inode: Inode) -> io::Result<Guard<'_>> {
        let mut state = self.enter(call, inode)?;
        let chance = state.faults.error;
        if state.running.is_some() && state.random.chance(chance) {
            state.record(self.pid, call, (inode, 0, 0), "refused");
            return Err(io::Error::other(Refused));
        }
        Ok(state)
    }

    /// Lets others run, and comes back alive or not at all.
    fn switch<'m>(&'m self, state: Guard<'m>, me: usize) -> Guard<'m> {
        let state = switch(&self.machine, state, me);
        if !state.is_alive(self.pid) {
            die(state);
        }
        state
    }

    /// A call on a path, carried out at one moment.
    fn on_path<T>(
        &self,
        call: &'static str,
        path: &Path,
        act: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.enter_fallible(call, 0)?;
        let result = act(&mut state);
        let inode = state.storage.find(path).unwrap_or(0);
        state.record(self.pid, call, (inode, 0, 0), if result.is_ok() { "" } else { "error" });
        result
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        let (inode, handle) = self.on_path("open", path, |state| {
            let inode = match (state.storage.find_file(path), mode) {
                (Ok(_), OpenMode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
                (Ok(inode), _) => inode,
                (Err(error), OpenMode::Create | OpenMode::CreateNew)
                    if error.kind() == io::ErrorKind::NotFound =>
                {
                    if state.room_for(1, 1) == 0 {
                        return Err(io::ErrorKind::StorageFull.into());
                    }
                    let inode = state.storage.create_file(path)?;
                    state.trace.name(inode, &path.to_string_lossy());
                    state.note_change(inode);
                    inode
                }
                (Err(error), _) => return Err(error),
            };
            Ok((inode, state.open(self.pid, inode)))
        })?;
        let writable = mode != OpenMode::Read;
        Ok(Box::new(SimFile { disk: self.clone(), inode, handle, writable }))
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.on_path("stat", path, |state| {
            let inode = state.storage.find_file(path)?;
            Ok(Stat { identity: (1, inode as u64), len: state.storage.len(inode) as u64 })
        })
    }

    fn unchanged_for(&self, path: &Path) -> Option<Duration> {
        let told = self.on_path("changed", path, |state| {
            let inode = state.storage.find_file(path)?;
            Ok(state.unchanged_for(inode))
        });
        told.ok()
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.on_path("list", dir, |state| state.storage.list(dir))
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.on_path("mkdir", dir, |state| state.storage.create_dir(dir))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.on_path("syncdir", dir, |state| state.storage.sync_dir(dir))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.on_path("remove", path, |state| state.storage.remove(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.on_path("rename", to, |state| {
            let inode = state.storage.find(from)?;
            state.note_change(inode);
            state.storage.rename(from, to)
        })
    }

    fn boot_id(&self) -> [u8; 16] {
        self.machine.lock().boot_id()
    }

    fn process_id(&self) -> u32 {
        u32::try_from(self.pid).unwrap_or(u32::MAX)
    }

    fn monotonic(&self) -> Duration {
        // The dead read the clock too: a destructor may wait for a moment to pass.
        let state = self.enter("clock", 0).unwrap_or_else(|_| self.machine.lock());
        state.now()
    }

    fn sleep(&self, duration: Duration) {
        let task = current(&self.machine).filter(|_| !std::thread::panicking());
        let mut state = self.machine.lock();
        match task {
            Some(me) => {
                let until = state.now() + duration;
                state.tasks[me].state = TaskState::Sleeping { until };
                drop(self.switch(state, me));
            }
            None => state.pass(duration),
        }
    }

    fn watch(&self, path: &Path, wake: Arc<dyn Fn() + Send + Sync>) -> io::Result<Box<dyn WatchGuard>> {
        let watch = self.on_path("watch", path, |state| {
            let inode = state.storage.find_file(path)?;
            Ok(state.watch(self.pid, inode, wake))
        })?;
        Ok(Box::new(SimWatch { machine: self.machine.clone(), watch }))
    }
}

struct SimWatch {
    machine: Arc<Machine>,
    watch: usize,
}

impl WatchGuard for SimWatch {}

impl fmt::Debug for SimWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SimWatch").field(&self.watch).finish()
    }
}

impl Drop for SimWatch {
    fn drop(&mut self) {
        let wake = self.machine.lock().unwatch(self.watch);
        drop(wake);
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    inode: Inode,
    handle: HandleId,
    writable: bool,
}

impl SimFile {
    fn check_writable(&self) -> io::Result<()> {
        if self.writable { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }

    fn record(&self, state: &mut State, call: &'static str, offset: u64, len: usize, note: &'static str) {
        state.record(self.disk.pid, call, (self.inode, offset, len), note);
    }

    fn write_now(&self, state: &mut State, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)? + bytes.len();
        let growth = end.saturating_sub(state.storage.len(self.inode)).min(bytes.len());
        let fits = state.room_for(bytes.len(), growth);
        state.storage.write(self.inode, &bytes[..fits], offset)?;
        state.note_change(self.inode);
        state.use_space(growth - (bytes.len() - fits));
        state.notify(self.inode);
        let whole = fits == bytes.len();
        self.record(state, "write", offset, fits, if whole { "" } else { "disk full" });
        if !whole {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.trace.wrote(self.inode, bytes);
        Ok(())
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.enter_fallible("read", self.inode)?;
        let count = state.storage.read(self.inode, buffer, offset);
        self.record(&mut state, "read", offset, count, "");
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut state = self.disk.enter_fallible("write", self.inode)?;
        let split = state.running.is_some() && bytes.len() > 1 && state.random.chance(SPLIT_WRITES);
        let first = if split { state.random.index(bytes.len()) } else { 0 };
        if first > 0 {
            self.write_now(&mut state, &bytes[..first], offset)?;
            drop(state);
            state = self.disk.enter("write", self.inode)?;
        }
        self.write_now(&mut state, &bytes[first..], offset + first as u64)?;
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.enter("sync", self.inode)?;
        // What is written while the sync runs is not covered by it.
        let covered = state.storage.operations(self.inode);
        let mut duration = state.random_time(SYNC_TIME);
        match current(&self.disk.machine).filter(|_| !std::thread::panicking()) {
            Some(me) => {
                let faults = state.faults.clone();
                if state.random.chance(faults.slow_sync) {
                    duration = state.random_time(faults.longest_pause);
                }
                let until = state.now() + duration;
                state.tasks[me].state = TaskState::Sleeping { until };
                state = self.disk.switch(state, me);
            }
            None => state.pass(duration),
        }
        if state.sync_fails() {
            let State { storage, random, .. } = &mut *state;
            let evict = random.chance(300_000);
            storage.fail_sync(self.inode, covered, evict, random);
        } else {
            state.storage.sync(self.inode, covered);
        }
        let failed = state.take_sync_error(self.handle);
        self.record(&mut state, "sync", 0, 0, if failed { "failed" } else { "" });
        if failed { Err(io::Error::other(Refused)) } else { Ok(()) }
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut state = self.disk.enter_fallible("truncate", self.inode)?;
        state.storage.resize(self.inode, len)?;
        state.note_change(self.inode);
        state.notify(self.inode);
        self.record(&mut state, "truncate", len, 0, "");
        Ok(())
    }

    fn stat(&self) -> io::Result<Stat> {
        let mut state = self.disk.enter_fallible("stat", self.inode)?;
        let len = state.storage.len(self.inode);
        self.record(&mut state, "stat", 0, len, "");
        Ok(Stat { identity: (1, self.inode as u64), len: len as u64 })
    }

    fn is_gone(&self) -> bool {
        !self.disk.machine.lock().storage.is_linked(self.inode)
    }

    fn lock(&self) -> io::Result<()> {
        let mut state = self.disk.enter_fallible("lock", self.inode)?;
        if !state.try_lock(self.handle) {
            let Some(me) = current(&self.disk.machine).filter(|_| !std::thread::panicking()) else {
                return Err(io::ErrorKind::Deadlock.into());
            };
            self.record(&mut state, "lock", 0, 0, "waits");
            state.queue_for_lock(me, self.handle, None);
            state = self.disk.switch(state, me);
        }
        self.record(&mut state, "lock", 0, 0, "");
        Ok(())
    }

    fn lock_within(&self, limit: Duration) -> io::Result<bool> {
        let mut state = self.disk.enter_fallible("lock", self.inode)?;
        if !state.try_lock(self.handle) {
            let until = state.now() + limit;
            let taken = match current(&self.disk.machine).filter(|_| !std::thread::panicking()) {
                Some(me) => {
                    self.record(&mut state, "lock", 0, 0, "waits");
                    state.queue_for_lock(me, self.handle, Some(until));
                    state = self.disk.switch(state, me);
                    state.leave_queue(me, self.handle)
                }
                None => {
                    state.pass(limit);
                    false
                }
            };
            if !taken {
                self.record(&mut state, "lock", 0, 0, "in vain");
                return Ok(false);
            }
        }
        self.record(&mut state, "lock", 0, 0, "");
        if self.writable {
            let now = i64::try_from(state.now().as_millis()).unwrap_or(i64::MAX);
            let id = self.disk.process_id();
            let holder = Holder::new(Some(Timestamp::from_millis(now)), id, "simulated", "simulation");
            // A full disk leaves a shorter record.
            let _ = self.write_now(&mut state, &holder.encode(), 0);
        }
        Ok(true)
    }

    fn try_lock(&self) -> io::Result<bool> {
        let mut state = self.disk.enter_fallible("try_lock", self.inode)?;
        let taken = state.try_lock(self.handle);
        self.record(&mut state, "try_lock", 0, 0, if taken { "" } else { "taken" });
        Ok(taken)
    }

    fn unlock(&self) -> io::Result<()> {
        let mut state = self.disk.enter("unlock", self.inode)?;
        state.unlock(self.handle);
        self.record(&mut state, "unlock", 0, 0, "");
        Ok(())
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        self.disk.machine.lock().close(self.handle);
    }
}

#[cfg(test)]
mod tests;
