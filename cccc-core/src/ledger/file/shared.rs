//! The files of a ledger as one handle has them open: what its turns and readers share.

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, watch};

use super::files::{Access, Slot};
use super::layout::{Layout, segment_name};
use super::lines::{ends_at, follow, read_range};
use super::locked::{LAST_TRY, Locked, Writer, is_replaced};
use super::page::{Mark, PAGE_BYTES, Role, State};
use super::read::Reader;
use super::redaction::Overwriting;
use super::runs::Indexes;
use super::{Options, began, check_process};
use crate::blocking::{block_on, may_block, off_thread};
use crate::disk::{Disk, Keeper, OpenMode, PATIENCE, WatchGuard};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{GroupId, Seq};
use crate::ledger::{Envelope, Position, RawLine};
use crate::opener::while_allowed;

/// How often a torn head page is read again before it counts as broken.
const TORN_PAGE_READS: usize = 64;

/// So much of a ledger's beginning is looked at for whose it is: the first line, as a rule.
const OWNER_BYTES: usize = 8 << 10;

/// How often what looks like damage is looked at anew, because the ledger may just be changed.
pub(super) const SECOND_LOOKS: usize = 2;

/// The files as they were opened: what turns and readers of one handle share until others take their place.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) layout: Arc<Layout>,
    pub(super) group_id: GroupId,
    pub(super) options: Options,
    pub(super) process_id: u32,
    pub(super) lock: Slot,
    pub(super) head: Slot,
    pub(super) tip: Slot,
    pub(super) reader: Reader,
    /// One turn at a time within this handle: a file lock does not exclude its own holder.
    pub(super) writer: Arc<AsyncMutex<Writer>>,
    /// One sync at a time within this handle: the operating system tells of a failure once, to whichever sync
    /// comes first, and any other that it concerns must not end before that is known.
    pub(super) syncing: AsyncMutex<()>,
    /// Since where syncs through this handle have failed, until a recovery has put that right.
    pub(super) failed: Mutex<Option<Mark>>,
    /// The newest head page seen.
    pub(super) seen: Mutex<Option<State>>,
    /// Changes when the head may have.
    pub(super) signal: Arc<watch::Sender<u64>>,
    pub(super) watching: OnceLock<Box<dyn WatchGuard>>,
    /// Whether the pages were checked under the lock since this handle was opened.
    pub(super) settled: AtomicBool,
    /// Whether this handle has looked, once, if something was written long ago that the head page does not cover.
    pub(super) caught_up: AtomicBool,
    /// Where what is whole ends, if it had to be found out where nothing can be written.
    pub(super) whole: OnceLock<Mark>,
    /// Whether the lock could not be opened because nothing can be written.
    pub(super) read_only: AtomicBool,
    pub(super) indexes: Indexes,
    /// The newest segment that was seen. Where the pages name an older one, a copy was put over the files.
    pub(super) newest: AtomicU64,
    /// When this handle was used last, in uses of all handles of the process.
    pub(super) last_used: AtomicU64,
}

impl Shared {
    pub(super) fn open(
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
        check_owner(&*disk, &layout, &group_id)?;
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
            caught_up: AtomicBool::new(false),
            whole: OnceLock::new(),
            read_only: AtomicBool::new(false),
            indexes: Indexes::default(),
            newest: AtomicU64::new(names.iter().filter_map(|name| segment_name(name)).max().unwrap_or(0)),
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
    pub(super) fn open_anew(&self) -> Result<Arc<Self>> {
        Self::open(self.disk.clone(), self.layout.clone(), self.group_id.clone(), self.options)
    }

    /// Begins every use.
    pub(super) fn begin_use(&self) -> Result<()> {
        self.check_process()?;
        if let Some(descriptors) = self.disk.descriptors() {
            let now = descriptors.now();
            self.last_used.store(now, Ordering::Relaxed);
            descriptors.make_room(now);
        }
        Ok(())
    }

    /// A forked child has let go of its parent's lock, and of the threads that would answer.
    pub(super) fn check_process(&self) -> Result<()> {
        check_process(&*self.disk, self.process_id)
    }

    /// Waits for another task of this process, which a forked child does not have.
    pub(super) async fn wait_here<T>(&self, event: impl Future<Output = T>) -> Result<T> {
        while_allowed(|| self.check_process(), async { Ok(event.await) }).await
    }

    /// Runs a sync of lines of which those up to `durable` are surely on disk. A failure is remembered until a
    /// recovery has succeeded: whatever comes between, no later success may be taken for this one's.
    pub(super) async fn sync(&self, sync: impl FnOnce() -> Result<()>, durable: &Mark) -> Result<()> {
        let _alone = self.wait_here(self.syncing.lock()).await?;
        sync().inspect_err(|_| self.remember_failed_sync(durable))
    }

    pub(super) fn remember_failed_sync(&self, durable: &Mark) {
        let mut failed = self.failed();
        let earlier = failed.filter(|since| since.at.seq <= durable.at.seq);
        *failed = Some(earlier.unwrap_or(*durable));
    }

    /// See [`failed`](Self::failed). Never held during a call to the disk.
    pub(super) fn failed(&self) -> MutexGuard<'_, Option<Mark>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a head page, and wakes those who wait within this process.
    pub(super) fn note_head(&self, head: &State) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.as_ref() != Some(head) {
            let before = seen.replace(*head);
            drop(seen);
            // It goes back where the ledger was cut or restored; then files that are open may be there no more.
            if before.is_some_and(|before| before.mark.at.seq > head.mark.at.seq || before.epoch > head.epoch)
            {
                self.forget();
            }
            wake(&self.signal);
        }
    }

    /// Forgets what is known of segments and their index.
    pub(super) fn forget(&self) {
        self.reader.forget();
        self.indexes.forget();
    }

    /// The head as it is now.
    pub(super) async fn fresh_head(self: &Arc<Self>) -> Result<Mark> {
        self.begin_use()?;
        self.head.check(&*self.disk)?;
        let page = self.head_page()?;
        if let Some(head) = page {
            // Where boots cannot be told apart, every handle makes sure once.
            let boot = self.disk.boot_id();
            if head.boot == boot && (boot != [0; 16] || self.settled.load(Ordering::Relaxed)) {
                let head = self.caught_up(head).await;
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

    /// The head that a handle begins with. If the page was put back from a copy, or could not be written, it covers
    /// less than what was acknowledged, and nobody would see that before somebody writes.
    async fn caught_up(self: &Arc<Self>, head: State) -> State {
        let has_looked =
            self.caught_up.load(Ordering::Relaxed) || self.caught_up.swap(true, Ordering::Relaxed);
        if has_looked || !self.is_outrun(&head.mark) {
            return head;
        }
        // What cannot be put in order now is left to whoever writes next.
        let pages = self.off_executor_within(LAST_TRY, |mut locked| locked.catch_up()).await;
        pages.map_or(head, |pages| pages.head)
    }

    /// Whether something was written after `head` so long ago that whoever did it is not about to publish it.
    pub(super) fn is_outrun(&self, head: &Mark) -> bool {
        let newest = self.newest.load(Ordering::Relaxed).max(head.segment);
        let path = self.layout.segment(newest);
        let covered = if newest == head.segment { head.len } else { 0 };
        let is_quiet = |path| self.disk.unchanged_for(path).is_some_and(|time| time >= PATIENCE);
        self.disk.stat(&path).is_ok_and(|stat| stat.len > covered)
            && is_quiet(&path)
            && is_quiet(&self.layout.head)
    }

    /// The head page; `None` if it is not there or stays torn.
    pub(super) fn head_page(&self) -> Result<Option<State>> {
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
    pub(super) async fn off_executor<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(Locked) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.off_executor_within(PATIENCE, work).await
    }

    /// As [`off_executor`](Self::off_executor), with less patience if other processes hold the lock.
    async fn off_executor_within<T: Send + 'static>(
        self: &Arc<Self>,
        patience: Duration,
        work: impl FnOnce(Locked) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let shared = self.clone();
        let work = async move { work(Locked::take_within(&shared, patience).await?) };
        if may_block() {
            return work.await;
        }
        off_thread("putting the ledger in order", move || block_on(work)).await
    }

    /// A head that covers `seq`, if one does; old news are good enough.
    pub(super) async fn head_for(self: &Arc<Self>, seq: u64) -> Result<Mark> {
        self.begin_use()?;
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen {
            Some(head) if head.mark.at.seq.0 >= seq => Ok(head.mark),
            _ => self.head_to_read().await,
        }
    }

    /// Runs a read up to `end`. Damage may be what a redaction is just doing, or the ledger may have been cut or
    /// restored since this handle looked; so before it is told it is looked at anew.
    pub(super) async fn reading<T>(
        self: &Arc<Self>,
        end: Mark,
        read: impl Fn(&Mark) -> Result<T>,
    ) -> Result<T> {
        let mut result = read(&end);
        for look in 0..SECOND_LOOKS {
            if !matches!(&result, Err(error) if error.kind() == ErrorKind::Corrupt) {
                break;
            }
            if look > 0 {
                // A repair replaces files one by one, and has the lock until all fit together.
                let _ = self.off_executor(|_| Ok(())).await;
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
    pub(super) async fn look_anew(self: &Arc<Self>) -> Result<Mark> {
        // Whoever is redacting holds a lock, so taking it also waits for that.
        if self.disk.stat(&self.layout.redacting).is_ok() {
            let shared = self.clone();
            let finish = move || Overwriting::take(&shared)?.finish();
            match off_thread("putting the ledger in order", finish).await {
                // It cannot be finished where nothing can be written.
                Err(error) if error.is_read_only() => {}
                finished => drop(finished?),
            }
        }
        self.forget();
        self.fresh_head().await
    }

    /// The head, as soon as it is one that is waited for.
    pub(super) async fn head_once(
        self: &Arc<Self>,
        is_wanted: impl Fn(Position) -> bool + Send,
    ) -> Result<Position> {
        self.begin_use()?;
        let mut changes = self.signal.subscribe();
        self.watch_head()?;
        loop {
            changes.mark_unchanged();
            let head = self.fresh_head().await?;
            if is_wanted(head.at) {
                self.check_end(&head)?;
                return Ok(head.at);
            }
            // The sender lives as long as this handle, so this cannot fail.
            let _ = self.wait_here(changes.changed()).await?;
        }
    }

    /// Fails unless the event that a head names stands where it says. While a copy is put over the files, one may
    /// be there before the other.
    fn check_end(&self, head: &Mark) -> Result<()> {
        let (segment, _) = self.reader.locate(Seq(head.segment), head.segment)?;
        if ends_at(&*segment.file, head).map_err(|e| Error::io("read", &segment.path, e))? {
            return Ok(());
        }
        Err(segment.damage(head.len, head.at.seq, "the file ends before its last durable event"))
    }

    /// Has the operating system report writes to the head.
    pub(super) fn watch_head(&self) -> Result<()> {
        if self.watching.get().is_none() {
            let signal = self.signal.clone();
            let head = &self.layout.head;
            let guard = self
                .disk
                .watch(head, Arc::new(move || wake(&signal)))
                .map_err(|e| Error::io("watch", head, e))?;
            // If another task was faster, its watch serves and this one ends.
            let _ = self.watching.set(guard);
        }
        Ok(())
    }
}

/// Fails if the files are another group's, as of a copy beside the original or a directory that was renamed: by their
/// own measure they are sound, and everything in them would be damage by this group's.
fn check_owner(disk: &dyn Disk, layout: &Layout, group_id: &GroupId) -> Result<()> {
    let Ok(file) = disk.open(&layout.segment(1), OpenMode::Read) else { return Ok(()) };
    let begin = read_range(&*file, 0, OWNER_BYTES).unwrap_or_default();
    let Some(first) = begin.split_inclusive(|byte| *byte == b'\n').next() else { return Ok(()) };
    let Some(Envelope { group_id: owner, .. }) =
        RawLine::split(first).ok().and_then(|line| line.envelope().ok())
    else {
        return Ok(());
    };
    if owner == *group_id || follow(first, Position::start(&owner)).is_err() {
        return Ok(());
    }
    Err(Error::conflict(format!("the files in {} are those of group {owner}", layout.dir.display()))
        .hint("if it is a copy, move it out of the home; if it was renamed, give it that name again"))
}

/// Wakes those who wait within this process for another head.
pub(super) fn wake(signal: &watch::Sender<u64>) {
    signal.send_modify(|count| *count = count.wrapping_add(1));
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
