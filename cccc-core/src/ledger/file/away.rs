//! Files that are not there, or not whole, for a moment: they are being moved, or a copy is being put in their place.
//!
//! What is half there looks like what a crash left behind, and must not be judged by the same rules: to cut what is
//! still being written would make a hole in it. A copy that is being made shows by files that come and grow.

use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::locked::is_replaced;
use crate::blocking::{blocking_section, off_thread};
use crate::disk::Stat;
use crate::error::{Error, ErrorKind, Result};

/// How long nothing must have changed before a page that is missing or short counts as lost.
const LOST_AFTER: Duration = Duration::from_secs(1);
/// The longest wait for a page while files go on changing.
const PAGE_LIMIT: Duration = Duration::from_secs(5);
/// How long nothing must have changed before whoever follows a ledger that is gone is told so.
const GONE_AFTER: Duration = Duration::from_secs(5);
/// The longest wait of whoever follows while files go on changing.
const GONE_LIMIT: Duration = Duration::from_secs(60);
/// How often is looked.
const STEP: Duration = Duration::from_millis(20);

/// A wait for files that are not whole.
#[derive(Debug)]
pub(super) struct Wait {
    begun_at: Duration,
    changed_at: Duration,
    seen: Vec<Option<Stat>>,
}

impl Wait {
    pub(super) fn begin(shared: &Shared) -> Self {
        let now = shared.disk.monotonic();
        Self { begun_at: now, changed_at: now, seen: shared.look() }
    }

    /// Waits a moment, and says for how long nothing has changed then. Blocks.
    fn step(&mut self, shared: &Shared) -> Duration {
        blocking_section(|| shared.disk.sleep(STEP));
        let (now, seen) = (shared.disk.monotonic(), shared.look());
        if seen != self.seen {
            (self.changed_at, self.seen) = (now, seen);
        }
        now.saturating_sub(self.changed_at)
    }

    fn is_longer(&self, limit: Duration, shared: &Shared) -> bool {
        shared.disk.monotonic().saturating_sub(self.begun_at) >= limit
    }

    /// Waits a moment for the files to come back whose absence `error` tells of.
    ///
    /// # Errors
    /// What is to be told, once that was long enough.
    pub(super) async fn pass(mut self, shared: &Arc<Shared>, error: Error) -> Result<Self> {
        let files = shared.clone();
        let wait = move || {
            let still_for = self.step(&files);
            Ok((self, still_for))
        };
        let (wait, still_for) = off_thread("waiting for the ledger's files", wait).await?;
        if still_for < GONE_AFTER && !wait.is_longer(GONE_LIMIT, shared) {
            return Ok(wait);
        }
        if error.kind() != ErrorKind::NotFound {
            return Err(error);
        }
        let text = format!("the files of the ledger in {} are gone", shared.layout.dir.display());
        Err(Error::not_found(text)
            .hint("put them back and begin again; `cccc groups` lists the groups that there are")
            .source(error))
    }
}

/// Whether an error may be one of files that are away for a moment.
pub(super) fn may_come_back(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt) || is_replaced(error)
}

impl Shared {
    /// Waits until both pages are whole, or nothing has changed for so long that one of them is lost. Blocks, and is
    /// never called with the lock.
    ///
    /// # Errors
    /// `Unavailable` if the files go on changing.
    pub(super) fn await_pages(&self, are_whole: impl Fn() -> Result<bool>) -> Result<()> {
        let mut wait = Wait::begin(self);
        while !are_whole()? {
            if wait.step(self) >= LOST_AFTER {
                return Ok(());
            }
            if wait.is_longer(PAGE_LIMIT, self) {
                let text = format!("files are being copied into {}", self.layout.dir.display());
                return Err(Error::unavailable(text).hint("try again when the copy is complete"));
            }
        }
        Ok(())
    }

    /// What stands now where the ledger's files belong.
    fn look(&self) -> Vec<Option<Stat>> {
        let layout = &self.layout;
        let segments = self.reader.list().unwrap_or_default();
        let paths = segments.into_iter().map(|first| layout.segment(first));
        let all = [layout.head.clone(), layout.tip.clone()].into_iter().chain(paths);
        all.map(|path| self.disk.stat(&path).ok()).collect()
    }
}
