//! The threads of this process that may block: for writers, rebuilds, and whatever reads or writes long.
//!
//! They are few, however many groups are open, and run futures: one that waits for another task costs no
//! thread meanwhile. One that waits for a lock of the operating system blocks its thread, says so
//! ([`blocking_section`](super::blocking_section)), and another may start in its place. So nothing that is queued
//! waits for something that is queued behind it.
//!
//! A forked child has a pool of its own. What its parent's was doing is not done there.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use std::{io, thread};

use cccc_fork::Own;

use super::Blocked;
use crate::opener::Opener;

/// Threads that are not blocked in a wait.
const MAX_FREE: usize = 6;
/// Threads at all.
const MAX_THREADS: usize = 64;
/// After how long without work a thread ends. One stays, so that a thread which cannot be started is never
/// the end of what has begun.
const IDLE: Duration = Duration::from_secs(5);

/// What the pool runs.
pub(crate) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Work that no thread could be started for.
pub(crate) struct Refused {
    pub(crate) cause: io::Error,
    pub(crate) work: Option<Work>,
}

thread_local! {
    /// Whether this thread is one of the pool, and not in a section that blocks already.
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

/// The pool of this process.
fn pool() -> &'static Pool {
    static POOL: Own<Pool> = Own::new();
    POOL.get_or_make(Pool::default)
}

#[derive(Default)]
struct Pool {
    state: Mutex<State>,
    /// Signalled when something was queued.
    news: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Arc<Task>>,
    threads: usize,
    /// Those that wait for work.
    idle: usize,
    /// Those that wait for something else.
    blocked: usize,
}

impl State {
    fn free(&self) -> usize {
        self.threads.saturating_sub(self.blocked)
    }

    /// Whether what is queued would wait although another thread may start.
    fn is_short(&self) -> bool {
        self.queue.len() > self.idle && self.free() < MAX_FREE && self.threads < MAX_THREADS
    }
}

/// Runs `work` on a thread of the pool.
pub(crate) fn spawn(work: Work) -> Result<(), Refused> {
    let progress = Mutex::new(Progress { work: Some(work), phase: Phase::Queued });
    let task = Arc::new(Task { opener: Opener::here(), progress });
    pool().push(&task).map_err(|cause| Refused { cause, work: task.progress().work.take() })
}

/// See [`blocking_section`](super::blocking_section).
pub(super) fn while_blocked<T>(wait: impl FnOnce() -> T) -> T {
    if !COUNTED.replace(false) {
        return wait();
    }
    let _waiting = Waiting::begin();
    wait()
}

/// Counts a thread that waits, however that ends.
struct Waiting;

impl Waiting {
    fn begin() -> Self {
        let pool = pool();
        let mut state = pool.lock();
        state.blocked += 1;
        // If no thread can be started, what is queued waits for this one.
        let _ = pool.serve(state);
        Self
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // A child that was forked during the wait has another pool, where this was not counted.
        let mut state = pool().lock();
        state.blocked = state.blocked.saturating_sub(1);
        COUNTED.set(true);
    }
}

impl Pool {
    /// Never held while anything runs.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a task. Where there is no thread at all and none can be started, it is not queued.
    fn push(&'static self, task: &Arc<Task>) -> io::Result<()> {
        let mut state = self.lock();
        state.queue.push_back(task.clone());
        self.serve(state).or_else(|cause| {
            let queue = &mut self.lock().queue;
            match queue.iter().position(|queued| Arc::ptr_eq(queued, task)).and_then(|at| queue.remove(at)) {
                Some(_) => Err(cause),
                // Somebody else had better luck meanwhile.
                None => Ok(()),
            }
        })
    }

    /// Sees to it that somebody takes what is queued. An error if there is nobody.
    fn serve(&'static self, mut state: MutexGuard<'_, State>) -> io::Result<()> {
        if !state.is_short() {
            if state.idle > 0 && !state.queue.is_empty() {
                self.news.notify_one();
            }
            return Ok(());
        }
        state.threads += 1;
        drop(state);
        let Err(cause) = thread::Builder::new().name("cccc".into()).spawn(|| self.work()) else {
            return Ok(());
        };
        let mut state = self.lock();
        state.threads = state.threads.saturating_sub(1);
        if state.threads == 0 { Err(cause) } else { Ok(()) }
    }

    /// What each thread does.
    fn work(&'static self) {
        COUNTED.set(true);
        let mut state = self.lock();
        loop {
            if let Some(task) = state.queue.pop_front() {
                drop(state);
                task.run();
                state = self.lock();
                // Others were started while some were blocked.
                if state.free() > MAX_FREE {
                    break;
                }
                continue;
            }
            state.idle += 1;
            let (woken, timeout) =
                self.news.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if timeout.timed_out() && state.queue.is_empty() && state.free() > 1 {
                break;
            }
        }
        state.threads -= 1;
        if state.idle > 0 && !state.queue.is_empty() {
            self.news.notify_one();
        }
    }
}

/// A future, and whether it is to be polled.
struct Task {
    /// Nobody else goes on with it.
    opener: Opener,
    progress: Mutex<Progress>,
}

struct Progress {
    /// `None` while it is polled, and at the end.
    work: Option<Work>,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Queued,
    Running {
        /// It was woken meanwhile.
        again: bool,
    },
    Done,
}

impl Task {
    /// Never held while the future is polled.
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(self: Arc<Self>) {
        let work = {
            let mut progress = self.progress();
            progress.phase = Phase::Running { again: false };
            progress.work.take()
        };
        let Some(mut work) = work else { return };
        let waker = Waker::from(self.clone());
        let polled = catch_unwind(AssertUnwindSafe(move || {
            let _blocked = Blocked::enter();
            let pending = work.as_mut().poll(&mut Context::from_waker(&waker)).is_pending();
            // What is over is dropped here, where a panic ends nothing else.
            pending.then_some(work)
        }));
        let mut progress = self.progress();
        let Ok(Some(work)) = polled else {
            progress.phase = Phase::Done;
            return;
        };
        progress.work = Some(work);
        let again = progress.phase == Phase::Running { again: true };
        progress.phase = if again { Phase::Queued } else { Phase::Waiting };
        drop(progress);
        if again {
            let pool = pool();
            let mut state = pool.lock();
            state.queue.push_back(self);
            // This thread takes one of them itself.
            if state.queue.len() > 1 {
                let _ = pool.serve(state);
            }
        }
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        if !self.opener.is_here() {
            return;
        }
        let mut progress = self.progress();
        match &mut progress.phase {
            Phase::Waiting => {
                progress.phase = Phase::Queued;
                drop(progress);
                let pool = pool();
                let mut state = pool.lock();
                state.queue.push_back(self);
                // It has run before, so there is a thread, and one stays.
                let _ = pool.serve(state);
            }
            Phase::Running { again } => *again = true,
            Phase::Queued | Phase::Done => {}
        }
    }
}

/// Lets everything else that is queued go first.
pub(crate) async fn step_back() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests;
