//! The ledger in files: what SQLite's file format is to SQLite. `docs/ledger-format.md` describes the files.
//!
//! Any number of processes may have one ledger open. Whoever writes holds the lock on `lock` for the few
//! microseconds of a write; whoever reads holds none. Two pages say how far the ledger is durable (`head`)
//! and how far it is written (`tip`); what they do not cover does not exist for readers.
//!
//! The lock is not held across a sync, but for what is rare: making a ledger, a recovery of what somebody left
//! behind, a redaction, a repair, and taking back a segment that could not be begun. Nobody waits for it longer than
//! 2 s: whoever holds it may be stopped, so it says in the lock file who it is, and whoever has waited in vain
//! names it. Nor does anybody wait for it on an executor's thread.
//!
//! A head page that covers less than what was acknowledged, because an old one was put back, hides nothing for long: a
//! handle that begins with it looks once whether the last segment goes on, and if nobody has written for 2 s, puts that
//! in order. Nobody is told of an event as done before the head page covers it.
//!
//! A ledger whose directory cannot be written to is read without the lock. What its head page says is believed if
//! the event that it names ends where it says, also if the page is from before a reboot: what is at or before a
//! published head was on disk before it was published. If there is no whole page on a file system that is
//! read-only, everything that is whole is shown: it came from the disk, and nobody can change it.
//!
//! Everything here reaches the operating system through [`Disk`]. Nothing here knows what events mean,
//! except that index entries are made from them.

mod aside;
mod away;
mod checkpoint;
mod files;
mod filter;
mod layout;
mod lines;
mod locked;
mod mend;
mod page;
mod read;
mod recovery;
mod redaction;
mod repair;
mod runs;
mod salvage;
mod segment;
mod shared;
mod survey;
#[cfg(test)]
mod tests;
mod turn;
mod unlocked;
mod verify;

use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use self::away::{Wait, may_come_back};
use self::layout::{Layout, segment_name};
use self::lines::read_range;
use self::locked::{is_replaced, missing};
use self::page::{Mark, PAGE_BYTES, Role, State};
pub use self::repair::{Broken, Cut, RepairOptions, RepairReport, Stats};
use self::shared::{Shared, wake};
use self::turn::FileTurn;
use super::{Checkpoint, CheckpointPlace, Found, Ledger, Lookup, Page, Position, ReadLimit, Turn, Verdict};
use crate::disk::{Disk, OpenMode, PATIENCE};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{GroupId, Seq};
use crate::index::TailIndex;

/// How often files that were replaced are opened anew before that counts as an error.
const REOPENINGS: usize = 4;

/// How a [`FileLedger`] behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// A segment that has so many bytes is followed by a new one. Default: 64 MiB; at most 1 GiB.
    pub segment_bytes: u64,
    /// For how long a process waits for others' syncs before it takes them for dead. Default: 250 ms.
    pub stall: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, stall: Duration::from_millis(250) }
    }
}

impl Options {
    /// Sets [`segment_bytes`](Self::segment_bytes).
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// Sets [`stall`](Self::stall).
    #[must_use]
    pub fn stall(mut self, stall: Duration) -> Self {
        self.stall = stall;
        self
    }
}

/// A group's ledger in a directory.
///
/// If its files are replaced while it is open, by a repair or by a copy that takes their place, it opens them anew.
/// Whoever follows the ledger notices by the chain whether the history there is still the one it knows.
#[derive(Debug)]
pub struct FileLedger {
    disk: Arc<dyn Disk>,
    process_id: u32,
    layout: Arc<Layout>,
    group_id: GroupId,
    files: Mutex<Arc<Shared>>,
    replacements: AtomicU64,
    is_deleted: IsDeleted,
}

/// Tells whether a group whose files are not there was deleted, so that nobody waits for them.
struct IsDeleted(Box<dyn Fn() -> bool + Send + Sync>);

impl fmt::Debug for IsDeleted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IsDeleted")
    }
}

impl FileLedger {
    /// Makes a group's ledger in `dir`, durably, and opens it. One that is there is only opened.
    ///
    /// # Errors
    /// `Unavailable` with the path, if the disk does not allow it.
    pub fn create(
        disk: Arc<dyn Disk>,
        dir: impl Into<PathBuf>,
        group_id: GroupId,
        options: Options,
    ) -> Result<Self> {
        let dir = dir.into();
        create_files(&*disk, &Layout::new(dir.clone()), &group_id)?;
        Self::open(disk, dir, group_id, options)
    }

    /// Opens a group's ledger. A damaged one opens too: what is wrong is told by whatever meets it, and by
    /// [`verify`](Ledger::verify).
    ///
    /// # Errors
    /// `NotFound` if there is none in `dir`.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: impl Into<PathBuf>,
        group_id: GroupId,
        options: Options,
    ) -> Result<Self> {
        let options = Options { segment_bytes: options.segment_bytes.clamp(1, 1 << 30), ..options };
        let layout = Arc::new(Layout::new(dir.into()));
        let shared = Shared::open(disk.clone(), layout.clone(), group_id.clone(), options)?;
        let process_id = disk.process_id();
        let (files, replacements) = (Mutex::new(shared), AtomicU64::new(0));
        let is_deleted = IsDeleted(Box::new(|| false));
        Ok(Self { disk, process_id, layout, group_id, files, replacements, is_deleted })
    }

    /// Asks this where the files are not there any more. Default: nobody deletes them.
    pub(crate) fn deleted_if(self, is_deleted: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { is_deleted: IsDeleted(Box::new(is_deleted)), ..self }
    }

    /// Whether the files are still those that are open, and this is the process that opened them.
    pub(crate) fn is_usable(&self) -> bool {
        self.files().is_ok_and(|files| files.head.check(&*self.disk).is_ok())
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.layout.dir
    }

    /// The files as they are open now. A forked child is refused first: the mutex may be locked for ever in it.
    fn files(&self) -> Result<Arc<Shared>> {
        check_process(&*self.disk, self.process_id)?;
        Ok(self.files.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Does something with the files. If they turn out to have been replaced they are opened anew, as a program that
    /// comes now would, and it is tried again.
    async fn with_files<T, F: Future<Output = Result<T>>>(
        &self,
        work: impl Fn(Arc<Shared>) -> F,
    ) -> Result<T> {
        for _ in 0..REOPENINGS {
            let files = self.files()?;
            match work(files.clone()).await {
                Err(error) if is_replaced(&error) => self.reopen(&files)?,
                result => return result,
            }
        }
        work(self.files()?).await
    }

    /// The head, as soon as it is one that is waited for. Whoever waits goes on waiting while the files are away, as
    /// they are while a copy takes their place.
    async fn head_once(&self, is_wanted: impl Fn(Position) -> bool + Sync) -> Result<Position> {
        let (mut away, is_wanted) = (None, &is_wanted);
        loop {
            let error = match self.with_files(|files| async move { files.head_once(is_wanted).await }).await {
                Err(error) if may_come_back(&error) => error,
                done => return done,
            };
            let files = self.files()?;
            if self.is_deleted.0() {
                return Err(deleted(&self.group_id));
            }
            let wait = away.take().unwrap_or_else(|| Wait::begin(&files));
            away = Some(wait.pass(&files, error).await?);
        }
    }

    /// Opens what stands in the place of `old`, unless somebody has done so.
    fn reopen(&self, old: &Arc<Shared>) -> Result<()> {
        let new = old.open_anew().map_err(|error| match error.kind() {
            ErrorKind::NotFound if self.is_deleted.0() => deleted(&self.group_id),
            _ => error,
        })?;
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&files, old) {
            *files = new;
            self.replacements.fetch_add(1, Ordering::Relaxed);
        }
        drop(files);
        // Whoever waits for the old files is not told of anything any more.
        wake(&old.signal);
        Ok(())
    }
}

/// The error for whoever still has a group that was deleted.
pub(crate) fn deleted(id: &GroupId) -> Error {
    Error::not_found(format!("group {id} was deleted")).hint("`cccc groups` lists the groups that there are")
}

/// Fails in another process than the one that opened a handle.
fn check_process(disk: &dyn Disk, opener: u32) -> Result<()> {
    if disk.process_id() == opener {
        return Ok(());
    }
    Err(Error::conflict("this handle was opened by the process that this one was forked from")
        .hint("open the group again in the child"))
}

/// Whether a head page says that there were events.
fn began(disk: &dyn Disk, layout: &Layout) -> bool {
    let page = disk.open(&layout.head, OpenMode::Read).and_then(|file| read_range(&*file, 0, PAGE_BYTES));
    let state = page.ok().and_then(|page| State::decode(Role::Head, &page));
    state.is_some_and(|state| state.mark.at.seq.0 > 0)
}

/// Makes what is missing of an empty ledger. Whatever a creator that died has left is completed.
fn create_files(disk: &dyn Disk, layout: &Layout, group_id: &GroupId) -> Result<()> {
    disk.create_dir(&layout.ledger).map_err(|e| Error::io("make", &layout.ledger, e))?;
    let open = |path| disk.open(path, OpenMode::Create).map_err(|e| Error::io("open", path, e));
    let lock = disk.open_lock(&layout.lock).map_err(|e| Error::io("open", &layout.lock, e))?;
    disk.take_lock(&*lock, &layout.lock, PATIENCE)?;
    let names = disk.list(&layout.ledger).map_err(|e| Error::io("list", &layout.ledger, e))?;
    if !names.iter().any(|name| segment_name(name).is_some()) {
        let path = layout.segment(1);
        if began(disk, layout) {
            return Err(missing(&path, Seq(1)));
        }
        let at = Position::start(group_id);
        let mark = Mark { segment: 1, len: 0, at };
        let state = State { boot: disk.boot_id(), epoch: 1, flags: 0, mark };
        for (role, path) in [(Role::Head, &layout.head), (Role::Tip, &layout.tip)] {
            let page = open(path)?;
            page.write_at(&state.encode(role), 0).map_err(|e| Error::io("write to", path, e))?;
        }
        let file = disk.open(&path, OpenMode::Create).map_err(|e| Error::io("make", &path, e))?;
        file.sync().map_err(|e| Error::io("sync", &path, e))?;
    }
    for dir in [&layout.ledger, &layout.dir] {
        disk.sync_dir(dir).map_err(|e| Error::io("sync", dir, e))?;
    }
    // The directories above may have been made just now, too; those that were not may be out of reach.
    for dir in layout.dir.ancestors().skip(1) {
        if disk.sync_dir(dir).is_err() {
            break;
        }
    }
    let _ = lock.unlock();
    Ok(())
}

#[async_trait]
impl Ledger for FileLedger {
    fn group_id(&self) -> &GroupId {
        &self.group_id
    }

    async fn turn(&self) -> Result<Box<dyn Turn>> {
        let turn = self.with_files(|files| async move { FileTurn::begin(&files).await }).await?;
        Ok(Box::new(turn))
    }

    async fn head(&self) -> Result<Position> {
        self.with_files(|files| async move { Ok(files.head_to_read().await?.at) }).await
    }

    async fn read(&self, from: Seq, limit: ReadLimit) -> Result<Page> {
        let last = from.0.saturating_add(limit.events as u64).saturating_sub(1);
        let read = |files: Arc<Shared>| async move {
            let end = files.head_for(last).await?;
            files.reading(end, |end| files.reader.read(end, from, limit)).await
        };
        self.with_files(read).await
    }

    async fn find(&self, lookup: Lookup) -> Result<Found> {
        let files = self.files()?;
        files.begin_use()?;
        files.find(&lookup)
    }

    async fn wait(&self, past: Seq) -> Result<Position> {
        self.head_once(|head| head.seq > past).await
    }

    async fn changed(&self, seen: Position) -> Result<Position> {
        let before = self.replacements();
        self.head_once(|head| head != seen || self.replacements() != before).await
    }

    fn replacements(&self) -> u64 {
        self.replacements.load(Ordering::Relaxed)
    }

    fn forget(&self) {
        if let Ok(files) = self.files() {
            files.forget();
        }
    }

    async fn load_checkpoint(&self, schema: u32) -> Result<Option<Checkpoint>> {
        let load = |files: Arc<Shared>| async move {
            let head = files.fresh_head().await?;
            files.load_checkpoint(schema, &head)
        };
        self.with_files(load).await
    }

    async fn checkpoint_place(&self, schema: u32) -> Result<Option<Box<dyn CheckpointPlace>>> {
        let place = |files: Arc<Shared>| async move {
            let head = files.fresh_head().await?;
            files.checkpoint_place(schema, head)
        };
        let place = self.with_files(place).await?;
        Ok(place.map(|place| Box::new(place) as Box<dyn CheckpointPlace>))
    }

    async fn extend_index(&self, tail: &TailIndex, through: Position) -> Result<Seq> {
        let extend = |files: Arc<Shared>| async move {
            let head = files.head_for(through.seq.0).await?;
            files.extend_index(tail, through, &head)
        };
        self.with_files(extend).await
    }

    async fn redact(&self, seq: Seq, data_hash: [u8; 32]) -> Result<()> {
        self.with_files(|files| async move { files.redact(seq, data_hash).await }).await
    }

    async fn verify(&self) -> Result<Verdict> {
        self.with_files(|files| async move { files.check_all().await }).await
    }
}
