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
//! A ledger whose directory cannot be written to is read without the lock. What its head page says is believed if
//! the event that it names ends where it says, also if the page is from before a reboot: what is at or before a
//! published head was on disk before it was published. If there is no whole page on a file system that is
//! read-only, everything that is whole is shown: it came from the disk, and nobody can change it.
//!
//! Everything here reaches the operating system through [`Disk`]. Nothing here knows what events mean,
//! except that index entries are made from them.

mod checkpoint;
mod files;
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
mod survey;
#[cfg(test)]
mod tests;
mod turn;
mod unlocked;
mod verify;

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Mutex as AsyncMutex, watch};

use self::files::{Access, Slot};
use self::layout::{Layout, segment_name};
use self::lines::read_range;
use self::locked::{Locked, Writer, is_replaced, missing};
use self::page::{Mark, PAGE_BYTES, Role, State};
use self::read::Reader;
use self::redaction::Overwriting;
pub use self::repair::{Broken, Cut, RepairOptions, RepairReport, Stats};
use self::runs::Indexes;
use self::turn::FileTurn;
use super::{Checkpoint, CheckpointPlace, Found, Ledger, Lookup, Page, Position, ReadLimit, Turn, Verdict};
use crate::blocking::{block_on, may_block, off_thread};
use crate::disk::{Disk, Keeper, OpenMode, PATIENCE, WatchGuard};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{GroupId, Seq};
use crate::index::TailIndex;
use crate::opener::while_allowed;

/// How often files that were replaced are opened anew before that counts as an error.
const REOPENINGS: usize = 4;

/// How often a torn head page is read again before it counts as broken.
const TORN_PAGE_READS: usize = 64;

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
}

/// The files as they were opened: what turns and readers of one handle share until others take their place.
#[derive(Debug)]
struct Shared {
    disk: Arc<dyn Disk>,
    layout: Arc<Layout>,
    group_id: GroupId,
    options: Options,
    process_id: u32,
    lock: Slot,
    head: Slot,
    tip: Slot,
    reader: Reader,
    /// One turn at a time within this handle: a file lock does not exclude its own holder.
    writer: Arc<AsyncMutex<Writer>>,
    /// One sync at a time within this handle: the operating system tells of a failure once, to whichever sync
    /// comes first, and any other that it concerns must not end before that is known.
    syncing: AsyncMutex<()>,
    /// Since where syncs through this handle have failed, until a recovery has put that right.
    failed: Mutex<Option<Mark>>,
    /// The newest head page seen.
    seen: Mutex<Option<State>>,
    /// Changes when the head may have.
    signal: Arc<watch::Sender<u64>>,
    watching: OnceLock<Box<dyn WatchGuard>>,
    /// Whether the pages were checked under the lock since this handle was opened.
    settled: AtomicBool,
    /// Where what is whole ends, if it had to be found out where nothing can be written.
    whole: OnceLock<Mark>,
    /// Whether the lock could not be opened because nothing can be written.
    read_only: AtomicBool,
    indexes: Indexes,
    /// When this handle was used last, in uses of all handles of the process.
    last_used: AtomicU64,
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
        Ok(Self { disk, process_id, layout, group_id, files, replacements })
    }

    /// Whether this is the process that opened it, not a fork of that.
    pub(crate) fn is_usable(&self) -> bool {
        check_process(&*self.disk, self.process_id).is_ok()
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

    /// Opens what stands in the place of `old`, unless somebody has done so.
    fn reopen(&self, old: &Arc<Shared>) -> Result<()> {
        let new = old.open_anew()?;
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&files, old) {
            *files = new;
            self.replacements.fetch_add(1, Ordering::Relaxed);
        }
        drop(files);
        // Whoever waits for the old files is not told of anything any more.
        old.signal.send_modify(|count| *count = count.wrapping_add(1));
        Ok(())
    }
}

impl Shared {
    fn open(
        disk: Arc<dyn Disk>,
        layout: Arc<Layout>,
        group_id: GroupId,
        options: Options,
    ) -> Result<Arc<Self>> {
        let none = || {
            Error::not_found(format!("there is no ledger in {}", layout.dir.display()))
                .hint("`cccc groups` lists the groups of this home")
        };
        let names = match disk.list(&layout.ledger) {
            Ok(names) => names,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(none()),
            Err(e) => return Err(Error::io("list", &layout.ledger, e)),
        };
        if !names.iter().any(|name| segment_name(name).is_some()) && !began(&*disk, &layout) {
            return Err(none());
        }
        let shared = Self {
            lock: Slot::for_lock(layout.lock.clone()),
            head: Slot::new(layout.head.clone()),
            tip: Slot::new(layout.tip.clone()),
            reader: Reader::new(disk.clone(), layout.clone(), group_id.clone()),
            process_id: disk.process_id(),
            writer: Arc::default(),
            syncing: AsyncMutex::default(),
            failed: Mutex::default(),
            seen: Mutex::default(),
            signal: Arc::new(watch::Sender::new(0)),
            watching: OnceLock::new(),
            settled: AtomicBool::new(false),
            whole: OnceLock::new(),
            read_only: AtomicBool::new(false),
            indexes: Indexes::default(),
            last_used: AtomicU64::new(0),
            disk,
            layout,
            group_id,
            options,
        };
        let shared = Arc::new(shared);
        if let Some(descriptors) = shared.disk.descriptors() {
            let keeper: Arc<dyn Keeper> = shared.clone();
            descriptors.register(Arc::downgrade(&keeper));
        }
        shared.finish_abandoned();
        Ok(shared)
    }

    /// The files that have taken the place of these.
    fn open_anew(&self) -> Result<Arc<Self>> {
        Self::open(self.disk.clone(), self.layout.clone(), self.group_id.clone(), self.options)
    }
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

impl Shared {
    /// Begins every use.
    fn begin_use(&self) -> Result<()> {
        self.check_process()?;
        if let Some(descriptors) = self.disk.descriptors() {
            let now = descriptors.now();
            self.last_used.store(now, Ordering::Relaxed);
            descriptors.make_room(now);
        }
        Ok(())
    }

    /// A forked child has let go of its parent's lock, and of the threads that would answer.
    fn check_process(&self) -> Result<()> {
        check_process(&*self.disk, self.process_id)
    }

    /// Waits for another task of this process, which a forked child does not have.
    async fn wait_here<T>(&self, event: impl Future<Output = T>) -> Result<T> {
        while_allowed(|| self.check_process(), async { Ok(event.await) }).await
    }

    /// Runs a sync of lines of which those up to `durable` are surely on disk. A failure is remembered until a
    /// recovery has succeeded: whatever comes between, no later success may be taken for this one's.
    async fn sync(&self, sync: impl FnOnce() -> Result<()>, durable: &Mark) -> Result<()> {
        let _alone = self.wait_here(self.syncing.lock()).await?;
        sync().inspect_err(|_| self.remember_failed_sync(durable))
    }

    fn remember_failed_sync(&self, durable: &Mark) {
        let mut failed = self.failed();
        let earlier = failed.filter(|since| since.at.seq <= durable.at.seq);
        *failed = Some(earlier.unwrap_or(*durable));
    }

    /// See [`failed`](Self::failed). Never held during a call to the disk.
    fn failed(&self) -> MutexGuard<'_, Option<Mark>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a head page, and wakes those who wait within this process.
    fn note_head(&self, head: &State) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.as_ref() != Some(head) {
            let before = seen.replace(*head);
            drop(seen);
            // It goes back where the ledger was cut or restored; then files that are open may be there no more.
            if before.is_some_and(|before| before.mark.at.seq > head.mark.at.seq || before.epoch > head.epoch)
            {
                self.forget();
            }
            self.signal.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// Forgets what is known of segments and their index.
    fn forget(&self) {
        self.reader.forget();
        self.indexes.forget();
    }

    /// The head as it is now.
    async fn fresh_head(self: &Arc<Self>) -> Result<Mark> {
        self.begin_use()?;
        self.head.check(&*self.disk)?;
        let page = self.head_page()?;
        if let Some(head) = page {
            // Where boots cannot be told apart, every handle makes sure once.
            let boot = self.disk.boot_id();
            if head.boot == boot && (boot != [0; 16] || self.settled.load(Ordering::Relaxed)) {
                self.note_head(&head);
                return Ok(head.mark);
            }
        }
        if self.read_only.load(Ordering::Relaxed)
            && let Some(head) = self.believable(page)?
        {
            return Ok(head);
        }
        // Broken, or from before a reboot: what it should say is found out under the lock.
        let settled = self.off_executor(|mut locked| locked.settle()).await;
        match settled {
            Ok(pages) => {
                self.settled.store(true, Ordering::Relaxed);
                Ok(pages.head.mark)
            }
            Err(error) => self.without_lock(page, error),
        }
    }

    /// The head page; `None` if it is not there or stays torn.
    fn head_page(&self) -> Result<Option<State>> {
        let file = match self.head.get(&*self.disk, Access::Read) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        for _ in 0..TORN_PAGE_READS {
            let page =
                read_range(&*file, 0, PAGE_BYTES).map_err(|e| Error::io("read", &self.layout.head, e))?;
            if let Some(head) = State::decode(Role::Head, &page) {
                return Ok(Some(head));
            }
        }
        Ok(None)
    }

    /// Does something under the lock for a reader. Waiting for the lock and for others' syncs takes long, so it
    /// happens on a thread that is no executor's.
    async fn off_executor<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(Locked) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let shared = self.clone();
        let work = async move { work(Locked::take(&shared).await?) };
        if may_block() {
            return work.await;
        }
        off_thread("putting the ledger in order", move || block_on(work)).await
    }

    /// A head that covers `seq`, if one does; old news are good enough.
    async fn head_for(self: &Arc<Self>, seq: u64) -> Result<Mark> {
        self.begin_use()?;
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen {
            Some(head) if head.mark.at.seq.0 >= seq => Ok(head.mark),
            _ => self.head_to_read().await,
        }
    }

    /// Runs a read up to `end`. Damage may be what a redaction is just doing, or the ledger may have been cut or
    /// restored since this handle looked; so before it is told it is looked at anew.
    async fn reading<T>(self: &Arc<Self>, end: Mark, read: impl Fn(&Mark) -> Result<T>) -> Result<T> {
        let mut result = read(&end);
        for _ in 0..2 {
            if !matches!(&result, Err(error) if error.kind() == ErrorKind::Corrupt) {
                break;
            }
            match self.look_anew().await {
                Ok(end) => result = read(&end),
                Err(error) if is_replaced(&error) => return Err(error),
                // It cannot be told now, or there is damage elsewhere, too.
                Err(_) => break,
            }
        }
        result
    }

    /// Forgets what is known of the files, finishes an interrupted redaction, and returns the head as it is now.
    async fn look_anew(self: &Arc<Self>) -> Result<Mark> {
        // Whoever is redacting holds a lock, so taking it also waits for that.
        if self.disk.stat(&self.layout.redacting).is_ok() {
            let shared = self.clone();
            let finish = move || Overwriting::take(&shared)?.finish();
            match off_thread("putting the ledger in order", finish).await {
                // It cannot be finished where nothing can be written.
                Err(error) if unlocked::is_read_only(&error) => {}
                finished => drop(finished?),
            }
        }
        self.forget();
        self.fresh_head().await
    }

    /// The head, as soon as it is one that is waited for.
    async fn head_once(self: &Arc<Self>, is_wanted: impl Fn(Position) -> bool + Send) -> Result<Position> {
        self.begin_use()?;
        let mut changes = self.signal.subscribe();
        self.watch_head()?;
        loop {
            changes.mark_unchanged();
            let head = self.fresh_head().await?.at;
            if is_wanted(head) {
                return Ok(head);
            }
            // The sender lives as long as this handle, so this cannot fail.
            let _ = self.wait_here(changes.changed()).await?;
        }
    }

    /// Has the operating system report writes to the head.
    fn watch_head(&self) -> Result<()> {
        if self.watching.get().is_none() {
            let signal = self.signal.clone();
            let wake = Arc::new(move || signal.send_modify(|count| *count = count.wrapping_add(1)));
            let head = &self.layout.head;
            let guard = self.disk.watch(head, wake).map_err(|e| Error::io("watch", head, e))?;
            // If another task was faster, its watch serves and this one ends.
            let _ = self.watching.set(guard);
        }
        Ok(())
    }
}

impl Keeper for Shared {
    fn last_used(&self) -> u64 {
        self.last_used.load(Ordering::Relaxed)
    }

    fn close_idle(&self) {
        self.head.close();
        self.forget();
        // Whoever writes has the others open.
        if let Ok(mut writer) = self.writer.try_lock() {
            writer.close_active();
            self.tip.close();
            // Its thread still waits in the queue, and there must not be two.
            if !writer.waits_for_lock {
                self.lock.close();
            }
        }
    }
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
        self.with_files(|files| async move { files.head_once(|head| head.seq > past).await }).await
    }

    async fn changed(&self, seen: Position) -> Result<Position> {
        self.with_files(|files| async move { files.head_once(|head| head != seen).await }).await
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
