//! Holding the lock: what every holder checks before it believes the pages.
//!
//! Nothing here is decided by time except how long to wait for the syncs of others, and no lock is kept
//! while waiting.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use super::Shared;
use super::files::Access;
use super::layout::shown;
use super::lines::{ends_at, read_range};
use super::page::{FENCED, Mark, PAGE_BYTES, REDACTING, Role, SEALING, State};
use crate::blocking::blocking_section;
use crate::disk::{DiskFile, Kept, OpenMode, PATIENCE, Stat};
use crate::error::{Damage, Error, Result};
use crate::id::Seq;

/// How often others' syncs are looked for.
const WAIT_STEP: Duration = Duration::from_micros(500);

/// How long whoever has waited for others of this process waits for a lock that they did not get.
pub(super) const LAST_TRY: Duration = Duration::from_millis(50);

/// What whoever appends keeps from turn to turn.
#[derive(Debug, Default)]
pub(super) struct Writer {
    active: Option<Active>,
    /// Which file the active segment was when it was opened last.
    known: Option<(u64, (u64, u64))>,
    /// The highest epoch seen.
    pub(super) epoch: u64,
    /// Whether the last wait for the lock was in vain. The open file is then still in the queue for it.
    pub(super) waits_for_lock: bool,
}

impl Writer {
    /// Closes the active segment. What others write meanwhile is foreign to the handle that opens it again.
    pub(super) fn close_active(&mut self) {
        self.active = None;
    }
}

/// The segment that is written to, open for writing.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) first: u64,
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) offsets: Option<Box<dyn DiskFile>>,
    /// Counts both files.
    _kept: Kept,
    identity: (u64, u64),
    /// How long it was when this handle was opened. A sync through a handle reports only failures since the
    /// handle was opened, so it cannot vouch for bytes before this place.
    foreign: u64,
}

/// Both pages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pages {
    pub(super) head: State,
    pub(super) tip: State,
}

/// The lock, held until this is dropped.
#[derive(Debug)]
pub(super) struct Locked {
    pub(super) shared: Arc<Shared>,
    pub(super) writer: OwnedMutexGuard<Writer>,
    /// The lock file, while its lock is held.
    held: Option<Arc<dyn DiskFile>>,
    /// What its recoveries have come upon.
    pub(super) left: Left,
}

/// What others have left that a recovery has put in order.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Whether it was more than pages from before a reboot: a write or a repair that was not finished.
    pub(super) is_unfinished: bool,
    /// Copies of what it took out.
    pub(super) set_aside: Vec<PathBuf>,
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.unlock();
    }
}

impl Locked {
    /// Waits for the lock: first among the tasks of this process, then among processes.
    ///
    /// # Errors
    /// `Unavailable` after 2 s, with the process that holds it and what to do about that.
    pub(super) async fn take(shared: &Arc<Shared>) -> Result<Self> {
        Self::take_within(shared, PATIENCE).await
    }

    /// As [`take`](Self::take), but waits for other processes no longer than that.
    pub(super) async fn take_within(shared: &Arc<Shared>, patience: Duration) -> Result<Self> {
        shared.begin_use()?;
        let since = shared.disk.monotonic();
        let writer = shared.wait_here(shared.writer.clone().lock_owned()).await?;
        let waited = shared.disk.monotonic().saturating_sub(since);
        let mut locked = Self { shared: shared.clone(), writer, held: None, left: Left::default() };
        // Those who wait in line here wait for the same holder, so they do not wait one after the other.
        let limit = match locked.writer.waits_for_lock {
            true => patience.saturating_sub(waited).max(LAST_TRY),
            false => patience,
        };
        locked.lock(limit)?;
        Ok(locked)
    }

    fn lock(&mut self, limit: Duration) -> Result<()> {
        let shared = &self.shared;
        let file = shared.lock.get(&*shared.disk, Access::Make).inspect_err(|error| {
            if error.is_read_only() {
                shared.read_only.store(true, Ordering::Relaxed);
            }
        })?;
        let taken = blocking_section(|| shared.disk.take_lock(&*file, &shared.layout.lock, limit));
        self.writer.waits_for_lock = taken.is_err();
        taken?;
        self.held = Some(file);
        Ok(())
    }

    fn unlock(&mut self) {
        if let Some(file) = self.held.take() {
            // If it fails, closing the file or the end of the process gives the lock back.
            let _ = file.unlock();
        }
    }

    /// Gives others the lock for a moment.
    fn pause(&mut self) -> Result<()> {
        self.unlock();
        self.shared.disk.sleep(WAIT_STEP);
        self.lock(PATIENCE)
    }

    /// Gives others the lock until the pages are whole again, or surely lost.
    fn await_pages(&mut self) -> Result<()> {
        self.unlock();
        self.shared
            .await_pages(|| Ok(self.page(Role::Head)?.is_some() && self.page(Role::Tip)?.is_some()))?;
        self.lock(PATIENCE)?;
        self.check_replaced()
    }

    /// Reads the pages and makes sure that they hold, recovering what has to be recovered.
    pub(super) fn settle(&mut self) -> Result<Pages> {
        self.check_replaced()?;
        let mut waiting_since = None;
        let mut are_lost = false;
        loop {
            let (Some(head), Some(tip)) = (self.page(Role::Head)?, self.page(Role::Tip)?) else {
                // A writer that dies leaves a whole page or a torn one.
                if are_lost || !self.is_short(Role::Head)? && !self.is_short(Role::Tip)? {
                    return self.recover(None);
                }
                self.await_pages()?;
                are_lost = true;
                continue;
            };
            self.writer.epoch = self.writer.epoch.max(head.epoch);
            let boot = self.shared.disk.boot_id();
            let interrupted = head.boot != boot
                || tip.boot != boot
                || (head.flags | tip.flags) & FENCED != 0
                || self.shared.failed().is_some()
                || tip.flags & (SEALING | REDACTING) != 0
                || !self.leads_to(&head.mark, &tip.mark)
                || self.has_later(&tip.mark)?;
            if interrupted {
                return self.recover(None);
            }
            let (foreign, stat, ends) = {
                let active = self.active(&tip.mark)?;
                let ends =
                    ends_at(&*active.file, &tip.mark).map_err(|e| Error::io("read", &active.path, e))?;
                (active.foreign, stat_of(&self.shared, &tip.mark)?, ends)
            };
            if self.writer.active.as_ref().is_some_and(|active| active.identity != stat.identity) {
                return Err(replaced(&self.shared.layout.segment(tip.mark.segment)));
            }
            if stat.len != tip.mark.len || !ends {
                // Longer: a writer died between write and publish. Shorter: recovery says what is missing. What would
                // be written after a line whose end is damaged could not be read, as it follows nothing.
                return self.recover(None);
            }
            let pages = Pages { head, tip };
            // A segment that was just begun holds nothing durable yet.
            let durable = if head.mark.segment == tip.mark.segment { head.mark.len } else { 0 };
            if durable >= foreign || durable == tip.mark.len {
                self.shared.note_head(&head);
                return Ok(pages);
            }
            // Others wrote before this handle was opened, and have not synced yet.
            let now = self.shared.disk.monotonic();
            let since = *waiting_since.get_or_insert(now);
            if now.saturating_sub(since) >= self.shared.options.stall {
                return self.recover(None);
            }
            self.pause()?;
            self.check_replaced()?;
        }
    }

    /// Publishes what was written and is sound, if the head page does not cover it and nobody is at it.
    pub(super) fn catch_up(&mut self) -> Result<Pages> {
        self.check_replaced()?;
        match self.page(Role::Head)? {
            Some(head) if self.shared.is_outrun(&head.mark) => self.recover(None),
            _ => self.settle(),
        }
    }

    /// Whether the lines after `head` are those up to `tip`: in the same segment, or in the next one, which begins
    /// where nothing of the one before is missing from the disk. A power cut may have taken the name of a segment that
    /// was begun, where it is not known that there was one.
    fn leads_to(&self, head: &Mark, tip: &Mark) -> bool {
        if head.segment == tip.segment {
            return head.len <= tip.len && head.at.seq <= tip.at.seq;
        }
        let path = self.shared.layout.segment(tip.segment);
        let is_gone = || matches!(self.shared.disk.stat(&path), Err(e) if e.kind() == ErrorKind::NotFound);
        head.segment < tip.segment && head.at.seq.next().0 == tip.segment && !is_gone()
    }

    /// Whether there are segments after the one that `tip` is in, because the pages are older than they: a copy was
    /// put over the files, or a power cut brought the pages back where boots cannot be told apart. It is looked for
    /// where this handle knows of one, and before a new one is begun.
    fn has_later(&self, tip: &Mark) -> Result<bool> {
        let newest = &self.shared.newest;
        let is_full = tip.len >= self.shared.options.segment_bytes;
        if newest.load(Ordering::Relaxed) <= tip.segment && !is_full {
            return Ok(false);
        }
        let last = self.shared.reader.list()?.last().copied().unwrap_or(tip.segment);
        newest.store(last, Ordering::Relaxed);
        Ok(last > tip.segment)
    }

    /// A page; `None` if there is none, or its content is not one.
    pub(super) fn page(&self, role: Role) -> Result<Option<State>> {
        Ok(State::decode(role, &self.page_bytes(role)?))
    }

    /// Whether there is no page, or less than one, as while a copy is put in its place.
    fn is_short(&self, role: Role) -> Result<bool> {
        Ok(self.page_bytes(role)?.len() < PAGE_BYTES)
    }

    fn page_bytes(&self, role: Role) -> Result<Vec<u8>> {
        let (file, path) = match self.page_file(role, Access::Write) {
            Err(error) if error.kind() == crate::error::ErrorKind::NotFound => return Ok(Vec::new()),
            found => found?,
        };
        read_range(&*file, 0, PAGE_BYTES).map_err(|e| Error::io("read", path, e))
    }

    /// Rewrites a page.
    pub(super) fn write_page(&self, role: Role, state: &State) -> Result<()> {
        let (file, path) = self.page_file(role, Access::Make)?;
        file.write_at(&state.encode(role), 0).map_err(|e| Error::io("write to", path, e))?;
        if role == Role::Head {
            self.shared.note_head(state);
        }
        Ok(())
    }

    pub(super) fn page_file(&self, role: Role, access: Access) -> Result<(Arc<dyn DiskFile>, &Path)> {
        let shared = &self.shared;
        let (slot, path) = match role {
            Role::Head => (&shared.head, &shared.layout.head),
            Role::Tip => (&shared.tip, &shared.layout.tip),
        };
        Ok((slot.get(&*shared.disk, access)?, path))
    }

    /// The segment that `tip` is in, open for writing.
    pub(super) fn active(&mut self, tip: &Mark) -> Result<&Active> {
        let fits = self.writer.active.as_ref().is_some_and(|active| active.first == tip.segment);
        if !fits {
            let shared = self.shared.clone();
            let path = shared.layout.segment(tip.segment);
            let file = shared.disk.open(&path, OpenMode::Write).map_err(|e| match e.kind() {
                ErrorKind::NotFound => missing(&path, tip.at.seq.next()),
                _ => Error::io("open", &path, e),
            })?;
            self.adopt(tip.segment, path, file.into(), tip.len)?;
        }
        self.writer.active.as_ref().ok_or_else(|| Error::unavailable("no segment is open"))
    }

    /// Takes an open file as the active segment.
    pub(super) fn adopt(
        &mut self,
        first: u64,
        path: PathBuf,
        file: Arc<dyn DiskFile>,
        foreign: u64,
    ) -> Result<()> {
        let identity = file.stat().map_err(|e| Error::io("look at", &path, e))?.identity;
        if self.writer.known.is_some_and(|(segment, known)| segment == first && known != identity) {
            return Err(replaced(&path));
        }
        self.writer.known = Some((first, identity));
        self.shared.newest.fetch_max(first, Ordering::Relaxed);
        // Without offsets readers are slower, and find out by themselves.
        let offsets = self.shared.disk.open(&self.shared.layout.offsets(first), OpenMode::Create).ok();
        let kept = self.shared.disk.keep(2);
        self.writer.active = Some(Active { first, path, file, offsets, _kept: kept, identity, foreign });
        Ok(())
    }

    /// Forgets the active segment, because it is not the same any more.
    pub(super) fn forget_active(&mut self) {
        self.writer.close_active();
        self.writer.known = None;
    }

    /// An editor or a restored copy puts another file under the same name; what is written to the old one
    /// would be lost, and its lock would exclude nobody.
    fn check_replaced(&self) -> Result<()> {
        let shared = &self.shared;
        [&shared.lock, &shared.head, &shared.tip].into_iter().try_for_each(|slot| slot.check(&*shared.disk))
    }
}

fn stat_of(shared: &Shared, tip: &Mark) -> Result<Stat> {
    let path = shared.layout.segment(tip.segment);
    shared.disk.stat(&path).map_err(|e| match e.kind() {
        ErrorKind::NotFound => missing(&path, tip.at.seq.next()),
        _ => Error::io("look at", &path, e),
    })
}

/// What marks the errors of [`replaced`].
#[derive(Debug, thiserror::Error)]
#[error("another file stands there")]
struct Replaced;

/// The error for a file that is another one than that which is open.
pub(super) fn replaced(path: &Path) -> Error {
    Error::conflict(format!("{} was replaced by another file while it was in use", path.display()))
        .hint("try again; if it stays so, run `cccc ledger verify`")
        .source(Replaced)
}

/// Whether an error says that a file is another one than that which is open.
pub(super) fn is_replaced(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<Replaced>())
}

/// The error for a segment that is not there.
pub(super) fn missing(path: &Path, seq: Seq) -> Error {
    Error::corrupt(Damage { file: shown(path), offset: 0, seq, reason: "the segment file is missing".into() })
}
