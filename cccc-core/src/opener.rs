//! Handles belong to the process that opened them.
//!
//! A forked child has copies of its parent's handles without what is behind them: threads that would answer,
//! and locks that it let go of by `cccc-fork`. Whatever it asks of them is refused, rather than waited for; so is
//! what the parent had asked and was waiting for when it forked.
//!
//! What is not a handle's but the process's, a child makes anew: no `static` of this crate may be a lock, or be made
//! when it is first used, but as [`cccc_fork::Own`].

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use crate::error::{Error, Result};

/// The process that opened a handle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opener(u32);

impl Opener {
    /// This process.
    pub(crate) fn here() -> Self {
        Self(std::process::id())
    }

    /// Whether this is the process.
    pub(crate) fn is_here(self) -> bool {
        std::process::id() == self.0
    }

    /// # Errors
    /// `Conflict` in another process than that.
    pub(crate) fn check(self) -> Result<()> {
        if self.is_here() {
            return Ok(());
        }
        Err(Error::conflict("this handle was opened by the process that this one was forked from")
            .hint("open the home again in the child"))
    }

    /// Goes on with `work` for as long as this is the process. What it waits for, a child would wait for in vain.
    ///
    /// # Errors
    /// Those of `work`; `Conflict` in another process than that.
    pub(crate) async fn only_here<T>(self, work: impl Future<Output = Result<T>>) -> Result<T> {
        while_allowed(|| self.check(), work).await
    }
}

/// Goes on with `work` for as long as `check` allows it, asked before each step.
pub(crate) async fn while_allowed<T>(
    check: impl Fn() -> Result<()>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let mut work = pin!(work);
    poll_fn(|context| match check() {
        Ok(()) => work.as_mut().poll(context),
        Err(error) => Poll::Ready(Err(error)),
    })
    .await
}
