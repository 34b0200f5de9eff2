//! Where blocking is done: by callers that gave their thread to one future, and else by a few threads of this process.

pub(crate) mod pool;

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use crate::opener::Opener;

thread_local! {
    /// How many calls of [`block_on`] this thread is in, or polls of the pool.
    static BLOCKED: Cell<usize> = const { Cell::new(0) };
}

/// Whether this thread is given to one future: what blocks it holds up nobody else.
pub(crate) fn may_block() -> bool {
    BLOCKED.get() > 0
}

/// Says that this thread is given to one future, however that ends.
pub(crate) struct Blocked;

impl Blocked {
    pub(crate) fn enter() -> Self {
        BLOCKED.set(BLOCKED.get() + 1);
        Self
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        BLOCKED.set(BLOCKED.get() - 1);
    }
}

/// Wakes a parked thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future of this crate, or a request such as [`Group::send`](crate::Group::send) makes, to its end on
/// the calling thread.
///
/// Nothing in `cccc-core` needs a reactor (a store that does has [its own](crate::Ledger::executor)), so this costs one
/// park and one unpark where the future waits.
///
/// ```
/// use cccc_core::{Group, block_on};
///
/// let group = block_on(Group::in_memory("scratch"))?;
/// block_on(group.add_actor("lead"))?;
/// block_on(group.send("Hello").to("lead"))?;
/// # Ok::<(), cccc_core::Error>(())
/// ```
pub fn block_on<F: IntoFuture>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future.into_future());
    let _blocked = Blocked::enter();
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => blocking_section(thread::park),
        }
    }
}

/// Runs `wait`, which blocks this thread until another process, task or thread does something. A thread of the pool is
/// not counted among those that work meanwhile, so that whoever is waited for finds one.
pub(crate) fn blocking_section<T>(wait: impl FnOnce() -> T) -> T {
    pool::while_blocked(wait)
}

/// Runs `work`, which takes long or blocks: at once where this thread may, else on a thread of the pool, so that the
/// caller's executor goes on. Once begun it is done, whether or not somebody waits.
///
/// # Errors
/// Those of `work`; `Unavailable` if it panicked, or if no thread can be started for it, which a later call tries
/// again; `Conflict` in a forked child, if the work was its parent's.
pub(crate) async fn off_thread<T, F>(name: &str, work: F) -> crate::Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> crate::Result<T> + Send + 'static,
{
    if may_block() {
        return work();
    }
    let (answer, result) = tokio::sync::oneshot::channel();
    let work = async move {
        // Nobody may be waiting any more; the work is done all the same.
        let _ = answer.send(work());
    };
    on_the_pool(name, Box::pin(work), result).await
}

/// As [`off_thread`], for work that waits as well: a wait costs no thread.
///
/// # Errors
/// As for it.
pub(crate) async fn aside<T: Send + 'static>(
    name: &str,
    work: impl Future<Output = crate::Result<T>> + Send + 'static,
) -> crate::Result<T> {
    if may_block() {
        return work.await;
    }
    let (answer, result) = tokio::sync::oneshot::channel();
    let work = async move {
        let _ = answer.send(work.await);
    };
    on_the_pool(name, Box::pin(work), result).await
}

async fn on_the_pool<T>(
    name: &str,
    work: pool::Work,
    result: tokio::sync::oneshot::Receiver<crate::Result<T>>,
) -> crate::Result<T> {
    pool::spawn(work).map_err(|refused| no_thread(&refused.cause))?;
    let panicked = |_| crate::Error::unavailable(format!("{name} ended in a panic"));
    Opener::here().only_here(async { result.await.map_err(panicked)? }).await
}

/// The error where no thread can be started.
pub(crate) fn no_thread(cause: &std::io::Error) -> crate::Error {
    crate::Error::unavailable(format!("cannot start a thread: {cause}"))
        .hint("raise the limit of processes (`ulimit -u`) or end some, then repeat")
}
