//! Everything the file ledger asks of the operating system, as one small trait.
//!
//! [`RealDisk`] is the operating system. The simulation (feature `testing`) implements the same trait
//! over a disk in memory that can lose unsynced bytes, tear writes, fail a sync, fill up, and stop a
//! process between any two calls.

mod descriptors;
mod holder;
mod lock;
mod notifier;
mod process;
mod real;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use descriptors::Descriptors;
pub(crate) use descriptors::{Keeper, Kept};
pub(crate) use holder::PATIENCE;
pub use holder::{Condition, Holder};
pub use real::RealDisk;

use holder::held_error;

use crate::blocking::blocking_section;
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, Result};

/// How many times as long a lock is waited for that passes from one to the next.
const PATIENCES: usize = 5;

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
    /// Opens a file. What is no regular file is an error, and never waited for.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file that is only there to be locked, making it if need be. A link is an error. A forked child
    /// does not keep the lock, where there are such children.
    fn open_lock(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.open(path, OpenMode::Create)
    }

    /// What the path leads to.
    fn stat(&self, path: &Path) -> io::Result<Stat>;

    /// For how long nobody has changed the file at a path, or put it there, by the clock of the file system. `None`,
    /// the default: it cannot be told. A guess to be quick by, never what something is decided by.
    fn unchanged_for(&self, path: &Path) -> Option<Duration> {
        let _ = path;
        None
    }

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

    /// Who holds the lock on `file`, as far as it can be told. To be asked only after a wait for that lock was
    /// in vain, and for nothing but a message: what is in the file may be of somebody who held it before.
    fn holder(&self, file: &dyn DiskFile) -> Option<Holder> {
        Holder::read(file)
    }

    /// A clock that never goes back, with an arbitrary start.
    fn monotonic(&self) -> Duration;

    /// Counts the files that this process keeps open to be faster. `None`, the default: they may be any number.
    fn descriptors(&self) -> Option<&Arc<Descriptors>> {
        None
    }

    /// Waits.
    fn sleep(&self, duration: Duration);

    /// Calls `wake` soon after the file at `path` was written to by anyone, until the result is dropped.
    /// It may also call it for no reason, and calls it now and then where notification is not to be had.
    fn watch(&self, path: &Path, wake: Arc<dyn Fn() + Send + Sync>) -> io::Result<Box<dyn WatchGuard>>;
}

impl dyn Disk + '_ {
    /// Counts files that are kept open until the result is dropped.
    pub(crate) fn keep(&self, files: usize) -> Kept {
        self.descriptors().map(|descriptors| descriptors.keep(files)).unwrap_or_default()
    }

    /// Waits for the lock on an open file until `limit` has passed, or says who holds it.
    pub(crate) fn take_lock(&self, file: &dyn DiskFile, path: &Path, limit: Duration) -> Result<()> {
        if file.lock_within(limit).map_err(|e| Error::io("lock", path, e))? {
            return Ok(());
        }
        Err(held_error(path, self.holder(file).as_ref()))
    }
}

/// Opens a file that is there to be locked, and nothing else, and takes its lock. The lock ends with the result.
/// For locks under which files are synced: a lock that passes from one to the next is waited for, 10 s at most,
/// and one that stays with the same process for 2 s. Blocks the thread.
///
/// # Errors
/// `Unavailable` with the process that holds the lock and what to do about it; `Unavailable` or `NotFound` if the
/// file cannot be opened.
pub(crate) fn lock_file(path: &Path) -> Result<Box<dyn DiskFile>> {
    let disk: &dyn Disk = &RealDisk::new();
    let file = disk.open_lock(path).map_err(|e| Error::io("open", path, e))?;
    blocking_section(|| {
        for _ in 0..PATIENCES {
            match file.lock_within(PATIENCE) {
                Ok(true) => return Ok(()),
                Ok(false) if disk.holder(&*file).is_some_and(|holder| holder.is_new(SystemClock.now())) => {}
                Ok(false) => break,
                Err(e) => return Err(Error::io("lock", path, e)),
            }
        }
        Err(held_error(path, disk.holder(&*file).as_ref()))
    })?;
    Ok(file)
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

    /// Whether no path leads to the file any more, where that can be told: it was removed, or another one was renamed
    /// to its name.
    fn is_gone(&self) -> bool {
        false
    }

    /// Waits in a fair queue for the exclusive lock on the file, and takes it. The lock belongs to this
    /// open file and ends with it, or with the process.
    ///
    /// Whoever holds it may be stopped, and then this waits for as long: see [`lock_within`](Self::lock_within).
    fn lock(&self) -> io::Result<()>;

    /// As [`lock`](Self::lock), but gives up after `limit`; `false` then. Whoever has the lock says so at the
    /// beginning of the file (see [`Disk::holder`]), so the file must be one that holds nothing else.
    ///
    /// On Windows those who wait are not in a queue, but try again and again.
    fn lock_within(&self, limit: Duration) -> io::Result<bool>;

    /// Takes the lock if it is free; `false` if it is not.
    fn try_lock(&self) -> io::Result<bool>;

    /// Gives the lock back.
    fn unlock(&self) -> io::Result<()>;
}
