//! What a forked child does not inherit: locks on files, and what threads share.
//!
//! # Locks on files
//! A lock of the operating system (`flock`) belongs to the open file, and a forked child has the same files
//! open. So it has its parent's locks too: when the parent dies, they stay held for as long as the child lives,
//! and whoever waits for one waits for a process that knows nothing of it. Python's `multiprocessing` makes
//! such children. [`open`] opens a file for locking so that this does not happen: in a forked child its
//! descriptor is replaced by one that leads nowhere before any other code runs there. Closing a duplicate
//! unlocks nothing while the parent lives, and when the parent dies the lock is free.
//!
//! In the child, the file is then like the reading end of an empty pipe: reads find the end, writes fail, and
//! what is locked or unlocked concerns nobody else. A program goes on there by opening what it needs again.
//!
//! This holds for `fork`; a child made by the bare system call, past the C library, keeps the locks. Children that
//! go on to execute another program (`std::process::Command`) lose the files by that, as all that Rust
//! opens. On Windows nothing is inherited, and this does nothing.
//!
//! # What threads share
//! A child has one thread, and a copy of all that its parent's threads were in the middle of. [`Own`] is for what a
//! process keeps for all its threads: a child makes its own and touches nothing of its parent's.
//!
//! This crate is the only place of the project with unsafe code.
#![deny(unsafe_op_in_unsafe_fn)]

use std::fs::File;
use std::io;
use std::ops::Deref;

mod own;
#[cfg(unix)]
mod unix;
#[cfg(unix)]
use unix as platform;

pub use own::Own;

#[cfg(not(unix))]
mod platform {
    use std::fs::File;
    use std::io;

    /// Nothing is inherited here.
    #[derive(Debug)]
    pub(crate) struct Entry;

    pub(crate) fn open(mut open: impl FnMut() -> io::Result<File>) -> io::Result<(Entry, File)> {
        open().map(|file| (Entry, file))
    }
}

/// A file that a forked child lets go of. Used as the file that it is.
#[derive(Debug)]
pub struct LockFile {
    // Dropped in this order: the number of a descriptor that is closed may be another file's at once.
    registration: Registration,
    file: File,
}

/// Keeps a descriptor in the list of those that a forked child lets go of. To be dropped before its file.
#[derive(Debug)]
pub struct Registration {
    _entry: platform::Entry,
}

/// Opens a file for locking. `open` must do nothing that may not be done twice: where a fork came in between,
/// the file is closed and opened again, as the child may have it.
///
/// # Errors
/// What `open` answers, and `Unsupported` for a descriptor whose number is beyond a million.
pub fn open(open: impl FnMut() -> io::Result<File>) -> io::Result<LockFile> {
    let (entry, file) = platform::open(open)?;
    Ok(LockFile { registration: Registration { _entry: entry }, file })
}

impl LockFile {
    /// The file, and what has to be dropped before it.
    #[must_use]
    pub fn into_parts(self) -> (Registration, File) {
        (self.registration, self.file)
    }
}

impl Deref for LockFile {
    type Target = File;
    fn deref(&self) -> &File {
        &self.file
    }
}
