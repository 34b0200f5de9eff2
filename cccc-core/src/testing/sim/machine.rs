//! The machine's state: who runs, who waits for what, who holds which lock, and what fails next.
//!
//! All of it lies under one mutex, which only the running thread takes.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Faults;
use super::storage::{Inode, Storage};
use super::trace::{Entry, Trace};
use crate::testing::Random;

/// Where watching fails, the callback still comes so often.
const TICK: Duration = Duration::from_secs(1);
/// A run that takes longer, in virtual time or calls, is taken for one that does not end.
const MAX_TIME: Duration = Duration::from_secs(3600);
const MAX_CALLS: u64 = 5_000_000;

pub(super) type Pid = usize;
pub(super) type TaskId = usize;
pub(super) type HandleId = usize;
pub(super) type Wake = Arc<dyn Fn() + Send + Sync>;

pub(super) struct Machine {
    state: Mutex<State>,
    /// Signalled when the last task has ended.
    pub(super) finished: Condvar,
}

pub(super) struct State {
    pub(super) random: Random,
    pub(super) storage: Storage,
    pub(super) faults: Faults,
    pub(super) trace: Trace,
    pub(super) deaths: Vec<Duration>,
    pub(super) armed_sync_failures: u32,
    pub(super) free_bytes: Option<u64>,
    pub(super) report: super::Report,
    pub(super) tasks: Vec<Task>,
    pub(super) running: Option<TaskId>,
    processes: Vec<Process>,
    handles: Vec<Handle>,
    locks: BTreeMap<Inode, Lock>,
    watches: Vec<Watch>,
    /// When files were changed last; at the beginning, if they are not here.
    changes: BTreeMap<Inode, Duration>,
    clock: Duration,
    full_until: Duration,
    boots: u64,
    /// Whether processes that have made no call begin after a power cut.
    pub(super) begins_after_cuts: bool,
    /// Whether the machine tells its boots apart.
    pub(super) tells_boots: bool,
    /// Per million calls: the running task goes on. Differs by seed, because some bugs need many
    /// switches and others long runs.
    stay: u32,
}

#[derive(Debug)]
struct Process {
    alive: bool,
    /// It has made a call.
    begun: bool,
    /// Until then none of its tasks goes on.
    stopped_until: Duration,
    /// How long it was stopped in all.
    stopped: Duration,
    /// How many more calls it may make.
    calls_left: Option<u64>,
}

pub(super) struct Task {
    pub(super) pid: Pid,
    pub(super) name: String,
    pub(super) state: TaskState,
    /// Its future was woken since it was last polled.
    pub(super) notified: bool,
    /// Signalled when it may run.
    pub(super) turn: Arc<Condvar>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TaskState {
    Ready,
    Sleeping {
        until: Duration,
    },
    WaitingForLock,
    /// As that, but goes on without it at a time.
    WaitingForLockUntil {
        until: Duration,
    },
    /// Waits for its future to be woken, for a callback to run, or for the time.
    Parked {
        until: Duration,
    },
    Done,
}

#[derive(Debug)]
struct Handle {
    pid: Pid,
    inode: Inode,
    open: bool,
    /// How many of the file's failed syncs this handle was told of, or came after.
    failures_seen: u64,
}

#[derive(Debug, Default)]
struct Lock {
    owner: Option<HandleId>,
    queue: VecDeque<(TaskId, HandleId)>,
}

struct Watch {
    pid: Pid,
    inode: Inode,
    /// `None` once it has ended.
    wake: Option<Wake>,
    due: Duration,
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").finish_non_exhaustive()
    }
}

impl Machine {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let stay = random.pick(&[0, 500_000, 900_000, 990_000]);
        let state = State {
            random,
            storage: Storage::new(),
            faults: Faults::default(),
            trace: Trace::default(),
            deaths: Vec::new(),
            armed_sync_failures: 0,
            free_bytes: None,
            report: super::Report::default(),
            tasks: Vec::new(),
            running: None,
            processes: Vec::new(),
            handles: Vec::new(),
            locks: BTreeMap::new(),
            watches: Vec::new(),
            changes: BTreeMap::new(),
            clock: Duration::ZERO,
            full_until: Duration::ZERO,
            boots: 1,
            begins_after_cuts: false,
            tells_boots: true,
            stay,
        };
        Self { state: Mutex::new(state), finished: Condvar::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A task that panics while holding it is reported as the failure it is.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(super) fn now(&self) -> Duration {
        self.clock
    }

    pub(super) fn pass(&mut self, duration: Duration) {
        self.clock += duration;
    }

    pub(super) fn note_change(&mut self, inode: Inode) {
        self.changes.insert(inode, self.clock);
    }

    pub(super) fn unchanged_for(&self, inode: Inode) -> Duration {
        self.clock.saturating_sub(self.changes.get(&inode).copied().unwrap_or_default())
    }

    pub(super) fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
        self.full_until = Duration::ZERO;
    }

    pub(super) fn boot_id(&self) -> [u8; 16] {
        if self.tells_boots { u128::from(self.boots).to_be_bytes() } else { [0; 16] }
    }

    /// A duration up to `longest`.
    pub(super) fn random_time(&mut self, longest: Duration) -> Duration {
        Duration::from_nanos(self.random.below(u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX)))
    }

    // Processes.

    pub(super) fn start_process(&mut self) -> Pid {
        self.processes.push(Process {
            alive: true,
            begun: false,
            stopped_until: Duration::ZERO,
            stopped: Duration::ZERO,
            calls_left: None,
        });
        self.processes.len() - 1
    }

    pub(super) fn is_alive(&self, pid: Pid) -> bool {
        self.processes[pid].alive
    }

    pub(super) fn kill_after(&mut self, pid: Pid, calls: u64) {
        self.processes[pid].calls_left = Some(calls);
    }

    /// Counts a call of a process; false if it is the one the process does not live to make.
    pub(super) fn count_call(&mut self, pid: Pid) -> bool {
        self.report.calls += 1;
        self.processes[pid].begun = true;
        match &mut self.processes[pid].calls_left {
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
            None => true,
        }
    }

    pub(super) fn kill(&mut self, pid: Pid) {
        if self.processes[pid].alive {
            self.deaths.push(self.clock);
            self.report.kills += 1;
            self.end_process(pid);
        }
    }

    /// Stops a process, as a debugger does: it keeps what it has, its locks among it.
    pub(super) fn stop(&mut self, pid: Pid, time: Duration) {
        let process = &mut self.processes[pid];
        process.stopped_until = self.clock + time;
        process.stopped += time;
        self.report.stops += 1;
    }

    pub(super) fn stopped(&self, pid: Pid) -> Duration {
        self.processes[pid].stopped
    }

    pub(super) fn holds_a_lock(&self, pid: Pid) -> bool {
        let owners = self.locks.values().filter_map(|lock| lock.owner);
        owners.into_iter().any(|owner| self.handles[owner].pid == pid)
    }

    /// What the operating system does when a process ends, however it ends.
    pub(super) fn end_process(&mut self, pid: Pid) {
        self.processes[pid].alive = false;
        for handle in 0..self.handles.len() {
            if self.handles[handle].pid == pid {
                self.close(handle);
            }
        }
        let tasks = &self.tasks;
        for lock in self.locks.values_mut() {
            lock.queue.retain(|(task, _)| tasks[*task].pid != pid);
        }
    }

    pub(super) fn power_cut(&mut self) {
        for pid in 0..self.processes.len() {
            if self.processes[pid].begun || !self.begins_after_cuts {
                self.end_process(pid);
            }
        }
        let Self { storage, random, .. } = self;
        storage.power_cut(random);
        self.boots += 1;
        self.free_bytes = None;
        self.full_until = Duration::ZERO;
        self.report.power_cut = true;
    }

    // Scheduling.

    /// Who runs next; jumps in time if nobody can. `None` when all tasks are done.
    pub(super) fn pick(&mut self) -> Option<TaskId> {
        if self.report.failure.is_none() && (self.clock > MAX_TIME || self.report.calls > MAX_CALLS) {
            self.fail(format!("no end after {} calls and {:?}", self.report.calls, self.clock));
        }
        loop {
            let ready: Vec<TaskId> = (0..self.tasks.len()).filter(|task| self.is_ready(*task)).collect();
            if !ready.is_empty() {
                let current = self.running.filter(|task| ready.contains(task));
                return match current {
                    Some(current) if self.random.chance(self.stay) => Some(current),
                    _ => Some(self.random.pick(&ready)),
                };
            }
            if self.tasks.iter().all(|task| task.state == TaskState::Done) {
                return None;
            }
            match (0..self.tasks.len()).filter_map(|task| self.next_time(task)).min() {
                Some(time) => self.clock = self.clock.max(time),
                None => {
                    let waiting: Vec<String> = self
                        .tasks
                        .iter()
                        .filter(|task| task.state != TaskState::Done)
                        .map(|task| format!("{} ({:?})", task.name, task.state))
                        .collect();
                    self.fail(format!("everybody waits for ever: {}", waiting.join(", ")));
                }
            }
        }
    }

    /// Ends the run with a reason.
    pub(super) fn fail(&mut self, reason: String) {
        self.report.failure.get_or_insert(reason);
        for pid in 0..self.processes.len() {
            self.end_process(pid);
        }
    }

    fn is_ready(&self, id: TaskId) -> bool {
        let task = &self.tasks[id];
        if task.state == TaskState::Done {
            return false;
        }
        // The dead run once more, to unwind.
        if !self.is_alive(task.pid) {
            return true;
        }
        match task.state {
            TaskState::Ready => self.processes[task.pid].stopped_until <= self.clock,
            _ => self.next_time(id).is_some_and(|time| time <= self.clock),
        }
    }

    /// When a waiting task is to go on without anybody else's doing.
    fn next_time(&self, id: TaskId) -> Option<Duration> {
        let task = &self.tasks[id];
        let stopped_until = self.processes[task.pid].stopped_until;
        let time = match task.state {
            TaskState::Ready => Some(stopped_until),
            TaskState::WaitingForLock | TaskState::Done => None,
            TaskState::Sleeping { until } | TaskState::WaitingForLockUntil { until } => Some(until),
            TaskState::Parked { .. } if task.notified => Some(self.clock),
            TaskState::Parked { until } => {
                let watches = self.watches.iter().filter(|w| w.pid == task.pid && w.wake.is_some());
                watches.map(|watch| watch.due).chain([until]).min()
            }
        };
        time.map(|time| time.max(stopped_until))
    }

    // Open files and their locks.

    pub(super) fn open(&mut self, pid: Pid, inode: Inode) -> HandleId {
        let failures_seen = self.storage.failures(inode);
        self.handles.push(Handle { pid, inode, open: true, failures_seen });
        self.handles.len() - 1
    }

    pub(super) fn close(&mut self, handle: HandleId) {
        if std::mem::replace(&mut self.handles[handle].open, false) {
            self.unlock(handle);
        }
    }

    /// Whether a sync of the file failed that this handle was not told of. It is told once.
    pub(super) fn take_sync_error(&mut self, handle: HandleId) -> bool {
        let Handle { inode, failures_seen, .. } = &mut self.handles[handle];
        let failures = self.storage.failures(*inode);
        std::mem::replace(failures_seen, failures) < failures
    }

    /// Takes the lock if it is free, or held by this handle.
    pub(super) fn try_lock(&mut self, handle: HandleId) -> bool {
        let lock = self.locks.entry(self.handles[handle].inode).or_default();
        if lock.owner.is_none() && lock.queue.is_empty() {
            lock.owner = Some(handle);
        }
        lock.owner == Some(handle)
    }

    /// Waits in line. The task is ready again when the lock is its, or when it is `until`.
    pub(super) fn queue_for_lock(&mut self, task: TaskId, handle: HandleId, until: Option<Duration>) {
        self.locks.entry(self.handles[handle].inode).or_default().queue.push_back((task, handle));
        self.tasks[task].state =
            until.map_or(TaskState::WaitingForLock, |until| TaskState::WaitingForLockUntil { until });
    }

    /// Ends a wait: whether the lock has become the handle's. Else the task leaves the line.
    pub(super) fn leave_queue(&mut self, task: TaskId, handle: HandleId) -> bool {
        let Some(lock) = self.locks.get_mut(&self.handles[handle].inode) else { return false };
        lock.queue.retain(|waiting| *waiting != (task, handle));
        lock.owner == Some(handle)
    }

    pub(super) fn unlock(&mut self, handle: HandleId) {
        let Some(lock) = self.locks.get_mut(&self.handles[handle].inode) else { return };
        if lock.owner != Some(handle) {
            return;
        }
        lock.owner = None;
        // The dead leave the queue when they die, but their handles are closed first.
        while let Some((task, next)) = lock.queue.pop_front() {
            if self.processes[self.handles[next].pid].alive {
                lock.owner = Some(next);
                self.tasks[task].state = TaskState::Ready;
                return;
            }
        }
    }

    // Watches.

    pub(super) fn watch(&mut self, pid: Pid, inode: Inode, wake: Wake) -> usize {
        self.watches.push(Watch { pid, inode, wake: Some(wake), due: self.clock + TICK });
        self.watches.len() - 1
    }

    /// Ends a watch. The callback must be dropped after the state is unlocked: it may own files.
    #[must_use]
    pub(super) fn unwatch(&mut self, watch: usize) -> Option<Wake> {
        self.watches[watch].wake.take()
    }

    /// The file was written to.
    pub(super) fn notify(&mut self, inode: Inode) {
        for i in 0..self.watches.len() {
            if self.watches[i].inode != inode || self.random.chance(self.faults.lost_wake) {
                continue;
            }
            let soon = self.clock + self.random_time(Duration::from_micros(300));
            self.watches[i].due = self.watches[i].due.min(soon);
        }
    }

    /// The callbacks that a process has to run now.
    pub(super) fn take_due(&mut self, pid: Pid) -> Vec<Wake> {
        let (clock, mut due) = (self.clock, Vec::new());
        for watch in self.watches.iter_mut().filter(|w| w.pid == pid && w.due <= clock) {
            watch.due = clock + TICK;
            due.extend(watch.wake.clone());
        }
        due
    }

    /// The callbacks of processes that have ended, to be dropped after the state is unlocked.
    #[must_use]
    pub(super) fn take_orphans(&mut self) -> Vec<Wake> {
        let Self { watches, processes, .. } = self;
        watches.iter_mut().filter(|w| !processes[w.pid].alive).filter_map(|w| w.wake.take()).collect()
    }

    // What fails.

    /// How many of `len` bytes fit if the file grows by `growth`.
    pub(super) fn room_for(&mut self, len: usize, growth: usize) -> usize {
        if self.running.is_some() && self.random.chance(self.faults.full_disk) {
            let episode = self.random_time(Duration::from_millis(20));
            self.full_until = self.clock + episode;
        }
        let free = match self.free_bytes {
            _ if self.clock < self.full_until => self.random.index(growth + 1),
            Some(free) => usize::try_from(free).unwrap_or(usize::MAX),
            None => return len,
        };
        if growth <= free {
            return len;
        }
        self.report.full_disk += 1;
        len - growth + free
    }

    pub(super) fn use_space(&mut self, growth: usize) {
        if let Some(free) = &mut self.free_bytes {
            *free = free.saturating_sub(growth as u64);
        }
    }

    pub(super) fn sync_fails(&mut self) -> bool {
        let by_chance = self.running.is_some() && self.random.chance(self.faults.failed_sync);
        let fails = by_chance || self.armed_sync_failures > 0;
        if fails {
            self.armed_sync_failures = self.armed_sync_failures.saturating_sub(1);
            self.report.failed_syncs += 1;
        }
        fails
    }

    pub(super) fn record(
        &mut self,
        pid: Pid,
        call: &'static str,
        (inode, offset, len): (Inode, u64, usize),
        note: &'static str,
    ) {
        let (at, task, len, note) = (self.clock, self.running, len as u64, note.into());
        self.trace.add(Entry { at, pid, task, call, inode, offset, len, note });
    }

    /// Something that the test itself wants to be read in the trace.
    pub(super) fn note(&mut self, text: String) {
        let (at, task) = (self.clock, self.running);
        let pid = task.map_or(0, |task| self.tasks[task].pid);
        let entry = Entry { at, pid, task, call: "note", inode: 0, offset: 0, len: 0, note: text.into() };
        self.trace.add(entry);
    }
}
