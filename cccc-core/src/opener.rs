//! Handles belong to the process that opened them.
//!
//! A forked child has copies of its parent's handles without what is behind them: threads that would answer,
//! and locks that it let go of by `cccc-fork`. Whatever it asks of them is refused, rather than waited for.

use crate::error::{Error, Result};

/// The process that opened a handle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opener(u32);

impl Opener {
    /// This process.
    pub(crate) fn here() -> Self {
        Self(std::process::id())
    }

    /// # Errors
    /// `Conflict` in another process than that.
    pub(crate) fn check(self) -> Result<()> {
        if std::process::id() == self.0 {
            return Ok(());
        }
        Err(Error::conflict("this handle was opened by the process that this one was forked from")
            .hint("open the home again in the child"))
    }
}
