//! Everything the file ledger asks of the operating system, as one small trait.
//!
//! [`RealDisk`] is the operating system. The simulation (feature `testing`) implements the same trait
//! over a disk in memory that can lose unsynced bytes, tear writes, fail a sync, fill up, and stop a
//! process between any two calls.

mod notifier;
mod real;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use real::RealDisk;

/// How [`Disk::open`] treats a file that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// For reading only; a missing file is an error.
    Read,
    /// For reading and writing; a missing file is an error.
    Write,
    /// For reading and writing; a missing file is made, readable by its owner only.
    Create,
    /// As `Create`, but a file that exists is an error.
    CreateNew,
}

/// What a path leads to now: enough to notice that a file was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Which file it is, on this machine: device and inode, or what the platform has for it.
    pub identity: (u64, u64),
    /// Length in bytes.
    pub len: u64,
}

/// A disk, a clock and a process, as the file ledger sees them.
///
/// Every call may fail, and may be the last one this process makes.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Opens a file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file that is only there to be locked, making it if need be. A forked child does not keep the
    /// lock, where there are such children.
    fn open_lock(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.open(path, OpenMode::Create)
    }

    /// What the path leads to.
    fn stat(&self, path: &Path) -> io::Result<Stat>;

    /// The names in a directory, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Makes a directory with its parents, accessible to its owner only. One that exists is fine.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Renames a file over another one, atomically. For derived files only.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Differs after every start of the machine; all zero where the platform does not tell.
    fn boot_id(&self) -> [u8; 16];

    /// The calling process: differs in a forked child.
    fn process_id(&self) -> u32;

    /// A clock that never goes back, with an arbitrary start.
    fn monotonic(&self) -> Duration;

    /// Waits.
    fn sleep(&self, duration: Duration);

    /// Calls `wake` soon after the file at `path` was written to by anyone, until the result is dropped.
    /// It may also call it for no reason, and calls it now and then where notification is not to be had.
    fn watch(&self, path: &Path, wake: Arc<dyn Fn() + Send + Sync>) -> io::Result<Box<dyn WatchGuard>>;
}

/// Ends a [`Disk::watch`] when dropped.
pub trait WatchGuard: fmt::Debug + Send + Sync {}

/// An open file.
pub trait DiskFile: fmt::Debug + Send + Sync {
    /// Reads into `buffer` from `offset` until it is full or the file ends; returns how much was read.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`. On an error some of them may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes content and length durable. After an error, what was written since the last success may be
    /// lost although it can still be read, and a later sync may succeed all the same.
    fn sync(&self) -> io::Result<()>;

    /// Cuts the file, or extends it with zeros.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Which file is open, and how long it is.
    fn stat(&self) -> io::Result<Stat>;

    /// Waits in a fair queue for the exclusive lock on the file, and takes it. The lock belongs to this
    /// open file and ends with it, or with the process.
    fn lock(&self) -> io::Result<()>;

    /// Takes the lock if it is free; `false` if it is not.
    fn try_lock(&self) -> io::Result<bool>;

    /// Gives the lock back.
    fn unlock(&self) -> io::Result<()>;
}
