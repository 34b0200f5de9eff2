//! For programs without an async runtime.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

thread_local! {
    /// How many calls of [`block_on`] this thread is in.
    static BLOCKED: Cell<usize> = const { Cell::new(0) };
}

/// Whether this thread is given to one future: what blocks it holds up nobody else.
pub(crate) fn may_block() -> bool {
    BLOCKED.get() > 0
}

/// Counts a call of [`block_on`], however it ends.
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
/// Nothing in `cccc-core` needs a reactor, so this costs one park and one unpark where the future waits.
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
            Poll::Pending => thread::park(),
        }
    }
}

/// Runs `work`, which takes long, on a thread of its own, so that the caller's executor goes on.
pub(crate) async fn off_thread<T, F>(name: &str, work: F) -> crate::Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> crate::Result<T> + Send + 'static,
{
    let (answer, result) = tokio::sync::oneshot::channel();
    thread::Builder::new()
        .name(name.into())
        .spawn(move || {
            // Nobody may be waiting any more; the work is done all the same.
            let _ = answer.send(work());
        })
        .map_err(|source| crate::Error::unavailable(format!("cannot start a thread: {source}")))?;
    result.await.unwrap_or_else(|_| Err(crate::Error::unavailable("the thread doing this ended early")))
}
