//! Where the calls of a store run that needs a reactor, such as one with sockets.
//!
//! Nothing else in this crate needs one, so that any executor, or none, drives it. A store that does says on which
//! executor its futures are to be polled; they are polled nowhere else. Tokio's is here; another is two methods.

use std::fmt;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use cccc_fork::Own;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::blocking::no_thread;
use crate::error::Result;

/// What an [`Executor`] runs, or waits for.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An async runtime, as far as a store needs one.
pub trait Executor: fmt::Debug + Send + Sync {
    /// Runs a task to its end, whether or not anybody waits for it. One that cannot be run, because the runtime has
    /// ended, is dropped: whoever waits for it is told.
    fn spawn(&self, task: Task);

    /// Is ready after this time, or at once if the runtime has ended. It may be polled anywhere.
    fn timer(&self, time: Duration) -> Task;
}

/// Tokio's runtime, with whatever drivers it was built with: those for time and for what the store uses are needed.
#[derive(Clone, Debug)]
pub struct TokioExecutor(Handle);

impl TokioExecutor {
    /// The runtime that this is called in. Where there is none: one of this process's own, of one thread, which all
    /// stores share that are made like this.
    ///
    /// What is made with a runtime ends with it: a store that is to outlive the caller's runtime takes
    /// [`own`](Self::own).
    ///
    /// # Errors
    /// As for [`own`](Self::own).
    pub fn here() -> Result<Self> {
        Handle::try_current().map_or_else(|_| Self::own(), |handle| Ok(Self(handle)))
    }

    /// The runtime of this process's own. It is started when first asked for, and lasts as long as the process.
    ///
    /// # Errors
    /// `Unavailable` if its thread cannot be started, which a later call tries again.
    pub fn own() -> Result<Self> {
        static RUNTIME: Own<Mutex<Option<Handle>>> = Own::new();
        let mut runtime = RUNTIME.get_or_make(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        let handle = match runtime.take() {
            Some(handle) => handle,
            None => start().map_err(|cause| no_thread(&cause))?,
        };
        Ok(Self(runtime.insert(handle).clone()))
    }
}

/// A runtime on a thread of its own.
fn start() -> std::io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new().name("cccc-io".into()).spawn(move || runtime.block_on(pending::<()>()))?;
    Ok(handle)
}

impl From<Handle> for TokioExecutor {
    fn from(handle: Handle) -> Self {
        Self(handle)
    }
}

impl Executor for TokioExecutor {
    fn spawn(&self, task: Task) {
        drop(self.0.spawn(task));
    }

    fn timer(&self, time: Duration) -> Task {
        let (over, is_over) = oneshot::channel::<()>();
        drop(self.0.spawn(async move {
            tokio::time::sleep(time).await;
            drop(over);
        }));
        Box::pin(async {
            let _ = is_over.await;
        })
    }
}
