//! A machine in memory on which processes run one call at a time, in an order that a seed decides,
//! and on which everything fails that can: processes are killed, the power goes, syncs fail, the disk
//! fills up.
//!
//! The code under test is the real one, over [`SimDisk`] instead of
//! [`RealDisk`](crate::disk::RealDisk). Each task of a process is a thread, but only one of all
//! threads runs at any time: every call to the disk is a point where the seed decides who goes on. So a
//! run is deterministic down to the next random number, as long as the code under test takes its
//! randomness and its order from nowhere else, and holds no lock of its own that another task of the
//! same process waits for during a call.
//!
//! Time is virtual. It passes with every call, and jumps when everybody waits.
//!
//! ```
//! use std::path::Path;
//! use cccc_core::disk::{Disk, OpenMode};
//! use cccc_core::testing::sim::World;
//!
//! let world = World::new(42);
//! let process = world.process();
//! let file = process.open(Path::new("/f"), OpenMode::Create)?;
//! file.write_at(b"gone", 0)?;
//! world.power_cut();
//! assert!(file.sync().is_err(), "the process is dead");
//! # Ok::<(), std::io::Error>(())
//! ```

mod disk;
mod executor;
mod machine;
mod storage;
mod trace;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use disk::SimDisk;
pub use executor::{block_on, timeout};
pub use trace::Written;

use machine::Machine;

/// What goes wrong by chance while tasks run. The default is nothing.
///
/// Calls made by threads that are no tasks never fail by chance.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Per million calls: the calling process is killed instead.
    pub kill: u32,
    /// At most so many processes are killed.
    pub max_kills: u32,
    /// Per million calls: the power goes, once.
    pub power_cut: u32,
    /// Per million syncs: it fails, and what it covered may be lost.
    pub failed_sync: u32,
    /// Per million syncs: it takes up to [`longest_pause`](Self::longest_pause).
    pub slow_sync: u32,
    /// Per million writes: the disk is full for up to 20 ms.
    pub full_disk: u32,
    /// Per million calls: it is refused with an input/output error.
    pub error: u32,
    /// Per million calls: the task stands still for up to [`longest_pause`](Self::longest_pause).
    pub pause: u32,
    /// How long a pause is at most.
    pub longest_pause: Duration,
    /// Per million calls of a process that holds a lock: the whole process stands still, with its locks, for up
    /// to [`longest_stop`](Self::longest_stop).
    pub stop: u32,
    /// How long a process is stopped at most.
    pub longest_stop: Duration,
    /// Per million writes to a watched file: one watch is not told.
    pub lost_wake: u32,
}

/// What happened in [`World::run`].
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How many processes were killed, without those the power cut ended.
    pub kills: u32,
    /// Whether the power went.
    pub power_cut: bool,
    /// How many processes were stopped.
    pub stops: u32,
    /// How many syncs failed.
    pub failed_syncs: u32,
    /// How many writes found the disk full.
    pub full_disk: u32,
    /// How many calls were made.
    pub calls: u64,
    /// What must not happen: a task panicked, all waited for one another, or it did not end.
    pub failure: Option<String>,
}

/// A machine with its disk.
#[derive(Clone)]
pub struct World {
    machine: Arc<Machine>,
}

impl World {
    /// A machine with an empty disk, on which everything happens as `seed` decides.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { machine: Arc::new(Machine::new(seed)) }
    }

    /// Sets what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.machine.lock().set_faults(faults);
    }

    /// Starts a process: it has the disk, and no task yet.
    #[must_use]
    pub fn process(&self) -> SimDisk {
        let pid = self.machine.lock().start_process();
        SimDisk::new(self.machine.clone(), pid)
    }

    /// Adds a task to a process, to be run by [`run`](Self::run). The process ends with its last task.
    ///
    /// The task is ended by unwinding when its process is killed: nothing of it runs any more but
    /// destructors, for which every call fails.
    pub fn spawn(&self, process: &SimDisk, name: impl Into<String>, body: impl FnOnce() + Send + 'static) {
        executor::spawn(&self.machine, process.pid(), name.into(), body);
    }

    /// Runs all tasks to their end.
    #[must_use]
    pub fn run(&self) -> Report {
        executor::run(&self.machine)
    }

    /// Kills a process: its calls fail, its locks and files are released.
    pub fn kill(&self, process: &SimDisk) {
        self.machine.lock().kill(process.pid());
    }

    /// Kills a process at its call after `calls` more.
    pub fn kill_after(&self, process: &SimDisk, calls: u64) {
        self.machine.lock().kill_after(process.pid(), calls);
    }

    /// Stops a process for so long, with all that it holds.
    pub fn stop(&self, process: &SimDisk, time: Duration) {
        self.machine.lock().stop(process.pid(), time);
    }

    /// From now on nothing tells one start of the machine from another, as on some platforms.
    pub fn hide_boots(&self) {
        self.machine.lock().tells_boots = false;
    }

    /// From now on processes that have made no call when the power goes begin when it is back.
    pub fn begin_after_cuts(&self) {
        self.machine.lock().begins_after_cuts = true;
    }

    /// Cuts the power: all processes are dead, and of what was not synced chance decides what is left.
    /// The machine has been started again when this returns.
    pub fn power_cut(&self) {
        self.machine.lock().power_cut();
    }

    /// Lets the next sync of any file fail, after which what it covered is readable but lost.
    pub fn fail_next_sync(&self) {
        self.machine.lock().armed_sync_failures += 1;
    }

    /// Leaves so many bytes free on the disk; `None` for plenty.
    pub fn set_free_space(&self, bytes: Option<u64>) {
        self.machine.lock().free_bytes = bytes;
    }

    /// Virtual time since the world began.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.machine.lock().now()
    }

    /// When each process died by a kill, in order.
    #[must_use]
    pub fn deaths(&self) -> Vec<Duration> {
        self.machine.lock().deaths.clone()
    }

    /// Draws from the world's random source, for choices of the test itself.
    #[must_use]
    pub fn random(&self) -> u64 {
        self.machine.lock().random.next_u64()
    }

    /// A hash of everything that happened so far: equal for equal runs.
    #[must_use]
    pub fn trace_hash(&self) -> u64 {
        self.machine.lock().trace.hash()
    }

    /// The last calls, one a line, for people.
    #[must_use]
    pub fn trace_tail(&self, lines: usize) -> String {
        self.machine.lock().trace.tail(lines)
    }

    /// Adds a remark to the trace.
    pub fn note(&self, text: impl Into<String>) {
        self.machine.lock().note(text.into());
    }

    /// From now on keeps a copy of every write to files whose name ends so.
    pub fn keep_writes(&self, name_ends_with: impl Into<String>) {
        self.machine.lock().trace.keep_writes(name_ends_with.into());
    }

    /// The kept writes so far, in order.
    #[must_use]
    pub fn kept_writes(&self) -> Vec<Written> {
        self.machine.lock().trace.kept().to_vec()
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}
