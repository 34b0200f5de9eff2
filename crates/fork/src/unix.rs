//! The list of descriptors, and what runs around a fork.
//!
//! Between fork and the first code of the program the child may only do what is safe in a signal handler: no
//! lock may be waited for and no memory allocated, since another thread may have held the one or the
//! other when the process was copied. So the list is an array of atomics, and the handlers only call `dup2`
//! and `fcntl`.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::process;
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};

/// Words of the list, a bit for each descriptor. Pages of it that are never used take no memory.
const WORDS: usize = 1 << 14;

/// The list.
static LISTED: [AtomicU64; WORDS] = [const { AtomicU64::new(0) }; WORDS];
/// How many words of it were ever used.
static USED: AtomicUsize = AtomicUsize::new(0);
/// What the child has instead: the reading end of a pipe that nobody writes to.
static NOWHERE: AtomicI32 = AtomicI32::new(-1);
/// Forks that were begun, and those of them that the parent is through with.
static BEGUN: AtomicUsize = AtomicUsize::new(0);
static DONE: AtomicUsize = AtomicUsize::new(0);
/// [`UNPREPARED`], [`PREPARED`], or the process that is having the handlers run.
static PREPARING: AtomicU64 = AtomicU64::new(UNPREPARED);

/// The handlers do not run yet.
const UNPREPARED: u64 = 0;
/// The handlers run, in this process and its children. No process has this number.
const PREPARED: u64 = u64::MAX;

/// A descriptor in the list.
#[derive(Debug)]
pub(crate) struct Entry(RawFd);

impl Entry {
    fn of(file: &File) -> io::Result<Self> {
        let fd = file.as_raw_fd();
        let (word, index, bit) = place(fd).ok_or(io::ErrorKind::Unsupported)?;
        USED.fetch_max(index + 1, Ordering::SeqCst);
        word.fetch_or(bit, Ordering::SeqCst);
        Ok(Self(fd))
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        // From here until the file is closed a child keeps it, so there must be no lock on it any more.
        // SAFETY: the file is open until this has been dropped.
        unsafe { libc::flock(self.0, libc::LOCK_UN) };
        if let Some((word, _, bit)) = place(self.0) {
            word.fetch_and(!bit, Ordering::SeqCst);
        }
    }
}

/// Where a descriptor stands in the list.
fn place(fd: RawFd) -> Option<(&'static AtomicU64, usize, u64)> {
    let fd = usize::try_from(fd).ok()?;
    Some((LISTED.get(fd / 64)?, fd / 64, 1 << (fd % 64)))
}

pub(crate) fn open(mut open: impl FnMut() -> io::Result<File>) -> io::Result<(Entry, File)> {
    prepare()?;
    loop {
        let forks = BEGUN.load(Ordering::SeqCst);
        if DONE.load(Ordering::SeqCst) != forks {
            // A fork takes no longer than copying the page tables.
            std::thread::yield_now();
            continue;
        }
        let file = open()?;
        let entry = Entry::of(&file)?;
        // A child that was made since may have the file, and not the entry. It is not locked yet.
        if BEGUN.load(Ordering::SeqCst) == forks {
            return Ok((entry, file));
        }
        drop(entry);
    }
}

/// Has the handlers run from now on. A child whose parent was just at it begins anew, unless the handlers ran for it.
fn prepare() -> io::Result<()> {
    let this = u64::from(process::id());
    loop {
        let state = PREPARING.load(Ordering::SeqCst);
        if state == PREPARED {
            return Ok(());
        }
        if state == this {
            // Another thread is at it, which takes two calls of the system.
            std::thread::yield_now();
        } else if PREPARING.compare_exchange(state, this, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            let result = register();
            PREPARING.store(if result.is_ok() { PREPARED } else { UNPREPARED }, Ordering::SeqCst);
            return result;
        }
    }
}

fn register() -> io::Result<()> {
    let (nowhere, _) = io::pipe()?;
    NOWHERE.store(nowhere.into_raw_fd(), Ordering::SeqCst);
    // SAFETY: the handlers are functions of this program, and do only what is safe where they run.
    match unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

extern "C" fn before() {
    BEGUN.fetch_add(1, Ordering::SeqCst);
}

/// Runs when the fork failed, too.
extern "C" fn in_parent() {
    DONE.fetch_add(1, Ordering::SeqCst);
}

extern "C" fn in_child() {
    let nowhere = NOWHERE.load(Ordering::SeqCst);
    for (index, word) in LISTED.iter().take(USED.load(Ordering::SeqCst)).enumerate() {
        let mut bits = word.load(Ordering::SeqCst);
        while bits != 0 {
            // In range: there are a million places.
            let fd = (index * 64) as RawFd + bits.trailing_zeros() as RawFd;
            // SAFETY: both calls may be made in a child of a process with several threads; `fd` is open, as its
            // owner takes it out of the list before closing it.
            unsafe {
                libc::dup2(nowhere, fd);
                libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
            }
            bits &= bits - 1;
        }
    }
    DONE.store(BEGUN.load(Ordering::SeqCst), Ordering::SeqCst);
    PREPARING.store(PREPARED, Ordering::SeqCst);
}
