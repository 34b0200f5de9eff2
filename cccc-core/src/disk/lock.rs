//! Waiting for the operating system's lock on a file, with an end to the waiting.
//!
//! Nothing can interrupt a wait in the kernel's queue, and asking again and again starves those who ask
//! less often. So a thread waits in the queue, and whoever wants the lock waits for that thread as long as
//! it likes. The thread begins when the lock is not had at once, serves whoever wants the lock of this open
//! file, gives back at once what nobody wants any more, and ends a moment after nobody has wanted it.
//!
//! The lock belongs to the open file: who shares one has to see to it that only one of them holds the lock.

use std::fs::{File, TryLockError};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::opener::Opener;

/// A lock is mostly held for microseconds: so often it is tried before a thread is asked to wait, which costs two
/// switches while the lock is had by nobody who works. With 8 and with 32 processes 4 tries cost a fifth of the
/// sends, and twice as many as these let some process wait much longer than others.
const TRIES: usize = 64;
/// How long the thread stays when nobody wants the lock: under load the next wait comes soon.
const LINGER: Duration = Duration::from_millis(500);
/// How long a wait without a thread sleeps between two tries, at most.
const LONGEST_STEP: Duration = Duration::from_millis(10);

/// An open file whose lock can be waited for.
#[derive(Debug)]
pub(super) struct LockFile {
    /// Dropped before the file, whose descriptor may be another file's as soon as it is closed.
    _registration: Option<cccc_fork::Registration>,
    pub(super) file: File,
    queue: Mutex<Queue>,
    changed: Condvar,
    /// Where the thread is, and who may have the lock.
    opener: Opener,
}

#[derive(Debug, Default)]
struct Queue {
    /// How many callers wait.
    wanted: usize,
    waiter: Waiter,
    /// Whether this process has the lock through this file.
    held: bool,
    /// The file is not used any more.
    closed: bool,
}

/// The thread that waits in the kernel's queue.
#[derive(Debug, Default)]
enum Waiter {
    #[default]
    None,
    Idle,
    Waiting,
    /// It has the lock, or cannot get it, and the next caller takes that over.
    Done(io::Result<()>),
}

impl LockFile {
    /// `registration` is what keeps a forked child from having the lock.
    pub(super) fn new(file: File, registration: Option<cccc_fork::Registration>) -> Arc<Self> {
        Arc::new(Self {
            _registration: registration,
            file,
            queue: Mutex::default(),
            changed: Condvar::new(),
            opener: Opener::here(),
        })
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the lock if it is free and nobody waits for it through this file.
    pub(super) fn try_lock(&self) -> io::Result<bool> {
        let mut queue = self.queue();
        // Both the thread and this caller would get it.
        if matches!(queue.waiter, Waiter::Waiting | Waiter::Done(_)) {
            return Ok(false);
        }
        loop {
            match self.file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => return Ok(false),
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        queue.held = true;
        Ok(true)
    }

    /// Waits for the lock, but not longer than `limit`; `false` if that did not do.
    pub(super) fn lock_within(self: &Arc<Self>, limit: Duration) -> io::Result<bool> {
        for _ in 0..TRIES {
            if self.try_lock()? {
                return Ok(true);
            }
            if limit.is_zero() {
                return Ok(false);
            }
            thread::yield_now();
        }
        // On Windows a wait for a lock holds up whatever else is done with the open file.
        if cfg!(windows) {
            return self.poll(limit);
        }
        let mut queue = self.queue();
        match queue.waiter {
            Waiter::None => {
                let waiting = self.clone();
                let started = thread::Builder::new().name("cccc-lock".into()).spawn(move || waiting.serve());
                if started.is_err() {
                    drop(queue);
                    return self.poll(limit);
                }
                queue.waiter = Waiter::Waiting;
            }
            Waiter::Idle => {
                queue.waiter = Waiter::Waiting;
                self.changed.notify_all();
            }
            Waiter::Waiting | Waiter::Done(_) => {}
        }
        queue.wanted += 1;
        let (mut queue, _) = self
            .changed
            .wait_timeout_while(queue, limit, |queue| !matches!(queue.waiter, Waiter::Done(_)))
            .unwrap_or_else(PoisonError::into_inner);
        queue.wanted -= 1;
        match std::mem::replace(&mut queue.waiter, Waiter::Idle) {
            Waiter::Done(result) => {
                result?;
                queue.held = true;
                Ok(true)
            }
            waiter => {
                queue.waiter = waiter;
                Ok(false)
            }
        }
    }

    /// As [`lock_within`](Self::lock_within), without a thread and without a place in the queue.
    fn poll(&self, limit: Duration) -> io::Result<bool> {
        let (mut left, mut step) = (limit, Duration::from_micros(100));
        while !self.try_lock()? {
            if left.is_zero() {
                return Ok(false);
            }
            step = step.min(left);
            #[expect(clippy::disallowed_methods, reason = "this is how the ledger waits")]
            thread::sleep(step);
            left -= step;
            step = (step * 2).min(LONGEST_STEP);
        }
        Ok(true)
    }

    pub(super) fn unlock(&self) -> io::Result<()> {
        if self.opener.is_here() {
            self.queue().held = false;
            self.file.unlock()?;
        }
        Ok(())
    }

    /// Gives the lock back if it is held, although the thread may keep the file open a little longer.
    pub(super) fn close(&self) {
        // A forked child must not give back what its parent holds, and the thread that it does not have may have been
        // looking at the queue.
        if !self.opener.is_here() {
            return;
        }
        let mut queue = self.queue();
        queue.closed = true;
        if std::mem::take(&mut queue.held) && !matches!(queue.waiter, Waiter::None) {
            let _ = self.file.unlock();
        }
        self.changed.notify_all();
    }

    /// What the thread does.
    fn serve(&self) {
        let mut queue = self.queue();
        loop {
            match queue.waiter {
                Waiter::Waiting => {
                    drop(queue);
                    let result = lock(&self.file);
                    queue = self.queue();
                    queue.waiter = if queue.wanted > 0 {
                        Waiter::Done(result)
                    } else {
                        if result.is_ok() {
                            let _ = self.file.unlock();
                        }
                        Waiter::Idle
                    };
                    self.changed.notify_all();
                }
                Waiter::Idle if queue.closed => return,
                Waiter::None | Waiter::Idle | Waiter::Done(_) => {
                    let (woken, timeout) =
                        self.changed.wait_timeout(queue, LINGER).unwrap_or_else(PoisonError::into_inner);
                    queue = woken;
                    if timeout.timed_out() && matches!(queue.waiter, Waiter::Idle) {
                        queue.waiter = Waiter::None;
                        return;
                    }
                }
            }
        }
    }
}

/// Waits as long as it takes. A signal handler may interrupt the wait.
pub(super) fn lock(file: &File) -> io::Result<()> {
    loop {
        match file.lock() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &std::path::Path) -> Arc<LockFile> {
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(false).open(path).unwrap();
        LockFile::new(file, None)
    }

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_wait_ends_in_time_and_what_comes_late_is_given_back() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("lock");
        let (holder, waiting, third) = (open(&path), open(&path), open(&path));
        assert!(holder.lock_within(LONG).unwrap());
        for _ in 0..3 {
            assert!(!waiting.lock_within(SHORT).unwrap());
        }
        assert!(matches!(waiting.queue().waiter, Waiter::Waiting), "one thread waits for all of them");
        holder.unlock().unwrap();
        // Nobody wants it through that file any more, so a third one gets it.
        assert!(third.lock_within(LONG).unwrap());
        assert!(!waiting.lock_within(SHORT).unwrap());
        third.unlock().unwrap();
        assert!(waiting.lock_within(LONG).unwrap());
    }

    #[test]
    fn a_file_that_is_closed_gives_its_lock_back_at_once() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("lock");
        let (holder, waiting, third) = (open(&path), open(&path), open(&path));
        assert!(holder.lock_within(LONG).unwrap());
        assert!(!waiting.lock_within(SHORT).unwrap());
        holder.unlock().unwrap();
        assert!(waiting.lock_within(LONG).unwrap());
        waiting.close();
        assert!(third.try_lock().unwrap());
    }
}
