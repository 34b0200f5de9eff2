//! The write path: append under the lock, sync without it, publish under it again.
//!
//! A new segment begins the same way: whoever finds one full syncs and publishes it, and then begins the next one with
//! what it has to write. While nothing of the new one is published, the head stands at the end of the one before.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::Shared;
use super::locked::{Locked, Pages, is_replaced, replaced};
use super::page::{FENCED, Mark, Role, SEALING, State};
use crate::blocking::blocking_section;
use crate::disk::{DiskFile, OpenMode};
use crate::error::{Error, ErrorKind, Result};
use crate::id::Seq;
use crate::ledger::{Appended, Batch, Durability, Page, Position, ReadLimit, Turn};

/// A turn on a file ledger: the lock, and pages that hold.
#[derive(Debug)]
pub(super) struct FileTurn {
    pub(super) locked: Locked,
    pub(super) pages: Pages,
}

/// How often a turn makes a full segment durable before it writes to it all the same: others may go on writing to
/// it that have a larger limit.
const CLOSING_ROUNDS: usize = 4;

impl FileTurn {
    /// Takes the lock, with pages that hold. A segment that is full is made durable first, without the lock:
    /// the next one begins only after that.
    pub(super) async fn begin(shared: &Arc<Shared>) -> Result<Self> {
        for _ in 0..CLOSING_ROUNDS {
            let turn = Self::take(shared).await?;
            if !turn.is_full() || turn.is_durable() {
                return Ok(turn);
            }
            let end = turn.pages.tip.mark;
            if let Published::Unseen(error) = publish(turn.locked, &turn.pages, end).await? {
                return Err(error);
            }
        }
        Self::take(shared).await
    }

    async fn take(shared: &Arc<Shared>) -> Result<Self> {
        let mut locked = Locked::take(shared).await?;
        let pages = locked.settle()?;
        Ok(Self { locked, pages })
    }

    /// Whether the segment has as many bytes as it should.
    fn is_full(&self) -> bool {
        self.pages.tip.mark.len >= self.locked.shared.options.segment_bytes
    }

    /// Whether everything that was written is known to be durable.
    fn is_durable(&self) -> bool {
        self.pages.head.mark == self.pages.tip.mark
    }
}

#[async_trait]
impl Turn for FileTurn {
    fn epoch(&self) -> u64 {
        self.pages.tip.epoch
    }

    fn tip(&self) -> Position {
        self.pages.tip.mark.at
    }

    fn durable(&self) -> Position {
        self.pages.head.mark.at
    }

    async fn read(&mut self, from: Seq, limit: ReadLimit) -> Result<Page> {
        let end = self.pages.tip.mark;
        let result = match self.locked.shared.reader.read(&end, from, limit) {
            // Perhaps a redaction was interrupted there.
            Err(error) if error.kind() == ErrorKind::Corrupt && self.locked.finish_redaction()? => {
                self.locked.shared.reader.read(&end, from, limit)
            }
            result => result,
        };
        result.map_err(|error| heal(&mut self.locked, &self.pages, error))
    }

    async fn append(self: Box<Self>, batch: &Batch, durability: Durability) -> Result<Appended> {
        let begins = self.is_full() && self.is_durable();
        let Self { mut locked, pages } = *self;
        let outcome = if batch.after == pages.tip.mark.at {
            Appended::New
        } else if stands_already(&locked, &pages, batch).map_err(|e| heal(&mut locked, &pages, e))? {
            Appended::Already
        } else {
            return Err(Error::conflict(format!(
                "the ledger is at {}, not at {}",
                pages.tip.mark.at, batch.after
            ))
            .hint("take another turn and decide again"));
        };
        let mut end = pages.tip.mark;
        let writes = outcome == Appended::New && !batch.bytes.is_empty();
        if writes {
            end = match begins {
                true => begin_segment(&mut locked, &pages, batch)?,
                false => write(&mut locked, &pages, batch)?,
            };
        }
        // Others can write to a new segment only once its beginning is durable, so that is not left to them.
        let buffered = durability == Durability::Buffered && !(writes && begins);
        if buffered || pages.head.mark.at.seq >= end.at.seq {
            return Ok(outcome);
        }
        confirm(locked, pages, end, batch, outcome).await
    }
}

/// Bytes that were written and not synced may turn out to be gone: a sync of another process has failed, and
/// it has not had the lock yet to say so. That is no damage; a recovery puts it right.
fn heal(locked: &mut Locked, pages: &Pages, error: Error) -> Error {
    if error.damage().is_none_or(|damage| damage.seq <= pages.head.mark.at.seq) {
        return error;
    }
    match locked.recover(None) {
        Ok(_) => Error::unavailable("the disk lost what others had written and not synced")
            .hint("take another turn")
            .retry_after(Duration::ZERO),
        Err(error) => error,
    }
}

/// Whether the events of `batch` stand where it wants them: an earlier try had succeeded. The chain at its
/// end covers all of them, and everything before.
fn stands_already(locked: &Locked, pages: &Pages, batch: &Batch) -> Result<bool> {
    if batch.bytes.is_empty() || batch.end.seq > pages.tip.mark.at.seq {
        return Ok(false);
    }
    Ok(locked.shared.reader.position(&pages.tip.mark, batch.end.seq)? == batch.end)
}

/// Writes the lines and then the tip; on a failure neither is left, or it is said to be unknown.
fn write(locked: &mut Locked, pages: &Pages, batch: &Batch) -> Result<Mark> {
    let tip = pages.tip.mark;
    let end = Mark { len: tip.len + batch.bytes.len() as u64, at: batch.end, ..tip };
    let active = locked.active(&tip)?;
    let file = active.file.clone();
    // If this fails too, whoever comes next sees a file longer than the tip says, and keeps what is whole of it.
    let undo = |error| match file.truncate(tip.len) {
        Ok(()) => error,
        Err(_) => doubtful(error, batch),
    };
    file.write_at(&batch.bytes, tip.len).map_err(|e| undo(Error::io("write to", &active.path, e)))?;
    if let Some(offsets) = &active.offsets {
        let at = (tip.at.seq.next().0 - tip.segment) * 4;
        // Only a hint: whoever misses it reads the segment instead.
        let _ = offsets.write_at(&offset_entries(tip.len, &batch.lens), at);
    }
    locked.write_page(Role::Tip, &State { mark: end, ..pages.tip }).map_err(|error| {
        let error = undo(error);
        let _ = locked.write_page(Role::Tip, &pages.tip);
        error
    })?;
    Ok(end)
}

fn offset_entries(start: u64, lens: &[u32]) -> Vec<u8> {
    let mut at = start;
    let mut bytes = Vec::with_capacity(lens.len() * 4);
    for len in lens {
        bytes.extend_from_slice(&u32::try_from(at).unwrap_or(u32::MAX).to_le_bytes());
        at += u64::from(*len);
    }
    bytes
}

/// How often the head page is tried again, and for how long the first pause is; each is twice as long as the one before.
const HEAD_TRIES: u32 = 8;
const HEAD_PAUSE: Duration = Duration::from_millis(4);

/// How publishing ended.
enum Published {
    /// It is durable, and readers see it.
    Durable,
    /// It is durable, but the head page could not be written, so that nobody else sees it.
    Unseen(Error),
    /// A recovery or a repair has judged what was written: up to the head of these files, that is durable.
    Judged(Arc<Shared>, Mark),
}

/// Gives the lock back, syncs, and publishes everything up to `end` as durable.
async fn publish(locked: Locked, pages: &Pages, end: Mark) -> Result<Published> {
    let shared = locked.shared.clone();
    match publish_here(locked, pages, end).await {
        Err(error) if is_replaced(&error) => {
            let shared = shared.open_anew()?;
            let pages = Locked::take(&shared).await?.settle()?;
            Ok(Published::Judged(shared, pages.head.mark))
        }
        published => published,
    }
}

/// As [`publish`], if no other files have taken the place of these.
async fn publish_here(mut locked: Locked, pages: &Pages, end: Mark) -> Result<Published> {
    let shared = locked.shared.clone();
    let active = locked.active(&end)?;
    let (file, path) = (active.file.clone(), active.path.clone());
    drop(locked);
    let sync = || {
        file.sync().map_err(|e| Error::io("sync", &path, e))?;
        // A segment that was begun since has a name that is not on disk yet.
        if pages.head.mark.segment != end.segment {
            let dir = &shared.layout.ledger;
            shared.disk.sync_dir(dir).map_err(|e| Error::io("sync", dir, e))?;
        }
        Ok(())
    };
    let synced = shared.sync(sync, &pages.head.mark).await;
    let mut pause = HEAD_PAUSE;
    for _ in 0..HEAD_TRIES {
        match publish_synced(&shared, pages, end, &synced, &path).await? {
            // Whoever comes next would publish it, but until then nobody else sees what was acknowledged.
            Published::Unseen(_) => blocking_section(|| shared.disk.sleep(pause)),
            published => return Ok(published),
        }
        pause *= 2;
    }
    publish_synced(&shared, pages, end, &synced, &path).await
}

/// Says in the head page that everything up to `end` is durable, if its sync has succeeded.
async fn publish_synced(
    shared: &Arc<Shared>,
    pages: &Pages,
    end: Mark,
    synced: &Result<()>,
    path: &Path,
) -> Result<Published> {
    let mut locked = Locked::take(shared).await?;
    if let Err(error) = shared.head.check(&*shared.disk)
        && is_replaced(&error)
    {
        return Err(error);
    }
    let head = locked.page(Role::Head)?;
    let judged = |pages: Pages| Published::Judged(shared.clone(), pages.head.mark);
    let same = head.filter(|head| head.epoch == pages.head.epoch && head.flags & FENCED == 0);
    let failed = *shared.failed();
    match (same, failed) {
        (Some(head), None) => {
            if head.mark.at.seq < end.at.seq
                && let Err(error) = locked.write_page(Role::Head, &State { mark: end, ..head })
            {
                return Ok(Published::Unseen(error));
            }
            Ok(Published::Durable)
        }
        // Nothing else can be said of what was written.
        (None, _) => locked.settle().map(judged),
        (Some(head), Some(since)) => {
            let error = match synced {
                Err(error) => error.clone(),
                Ok(()) => Error::unavailable(format!("an earlier sync of {} failed", path.display())),
            };
            locked
                .fence(&head)
                .and_then(|()| locked.recover(Some(since)))
                .map(judged)
                .map_err(|cause| if cause.kind() == ErrorKind::Corrupt { cause } else { error })
        }
    }
}

/// Publishes a batch, and says what has become of it.
async fn confirm(
    locked: Locked,
    pages: Pages,
    end: Mark,
    batch: &Batch,
    outcome: Appended,
) -> Result<Appended> {
    let (shared, end) = match publish(locked, &pages, end).await.map_err(|error| doubtful(error, batch))? {
        Published::Durable => return Ok(outcome),
        Published::Unseen(error) => return Err(unseen(error, batch)),
        Published::Judged(shared, end) => (shared, end),
    };
    let stands =
        |at: Position| Ok::<_, Error>(at.seq <= end.at.seq && shared.reader.position(&end, at.seq)? == at);
    if stands(batch.end)? {
        return Ok(outcome);
    }
    // A batch may hold several commands, of which a recovery keeps those before the first bad one.
    if batch.positions().next().is_some_and(|first| stands(first).unwrap_or(true)) {
        let error = Error::unavailable("a recovery discarded a part of what was appended together");
        return Err(doubtful(error, batch));
    }
    Ok(Appended::Lost)
}

/// An error after which only the ledger itself can tell whether the batch is there. Damage stays what it is: nobody can
/// tell before that is mended.
fn doubtful(error: Error, batch: &Batch) -> Error {
    if error.kind() == ErrorKind::Corrupt {
        return error;
    }
    let seq = batch.after.seq.next();
    let text = format!("{}; whether event {seq} was written cannot be told now", error.message_text());
    let first = error.hint_text().unwrap_or("free or repair the disk");
    let hint = format!("{first}; the same command with the same client id is then safe to repeat");
    let after = error.retry_after_duration();
    let doubt = Error::unknown(text).hint(hint).source(error);
    after.into_iter().fold(doubt, Error::retry_after)
}

/// An error after which a batch is there, and will be seen as soon as somebody can say so in the head page.
fn unseen(error: Error, batch: &Batch) -> Error {
    let seq = batch.after.seq.next();
    let text = format!("event {seq} is on disk, but nobody else sees it yet: {}", error.message_text());
    let first = error.hint_text().unwrap_or("free or repair the disk");
    let hint = format!("{first}; the same command with the same client id is then safe to repeat");
    // It was tried for as long as is sensible at a time.
    Error::unknown(text).hint(hint).retry_after(HEAD_PAUSE * (1 << HEAD_TRIES)).source(error)
}

impl Locked {
    /// Tells every process that what was written after the head may be gone, whatever the cache shows.
    fn fence(&mut self, head: &State) -> Result<()> {
        self.writer.epoch = self.writer.epoch.max(head.epoch) + 1;
        let epoch = self.writer.epoch;
        self.write_page(Role::Head, &State { epoch, flags: head.flags | FENCED, ..*head })
    }
}

/// Begins a new segment with `batch`; on a failure there is none. The segment before is durable to its end, and
/// published so. The new one and its name are synced by whoever publishes it first.
pub(super) fn begin_segment(locked: &mut Locked, pages: &Pages, batch: &Batch) -> Result<Mark> {
    let shared = locked.shared.clone();
    // From here on whoever comes next looks for what this writer left, if it dies.
    locked.write_page(Role::Tip, &State { flags: SEALING, ..pages.tip })?;
    let first = batch.after.seq.next().0;
    let path = shared.layout.segment(first);
    let file = shared.disk.open(&path, OpenMode::CreateNew).map_err(|e| {
        let _ = locked.write_page(Role::Tip, &pages.tip);
        match e.kind() {
            std::io::ErrorKind::AlreadyExists => replaced(&path),
            _ => Error::io("make", &path, e),
        }
    })?;
    let end = Mark { segment: first, len: batch.bytes.len() as u64, at: batch.end };
    let Err(error) = fill(locked, file.into(), &State { mark: end, ..pages.tip }, batch) else {
        return Ok(end);
    };
    locked.forget_active();
    // The name must not come back after a power cut, when others may have written on where it was not.
    let dir = &shared.layout.ledger;
    if shared.disk.remove(&path).and_then(|()| shared.disk.sync_dir(dir)).is_err() {
        return Err(doubtful(error, batch));
    }
    let _ = locked.write_page(Role::Tip, &pages.tip);
    Err(error)
}

/// Writes a new segment's first lines, and then the tip.
fn fill(locked: &mut Locked, file: Arc<dyn DiskFile>, tip: &State, batch: &Batch) -> Result<()> {
    let path = locked.shared.layout.segment(tip.mark.segment);
    file.write_at(&batch.bytes, 0).map_err(|e| Error::io("write to", &path, e))?;
    locked.adopt(tip.mark.segment, path, file, 0)?;
    if let Some(offsets) = &locked.active(&tip.mark)?.offsets {
        let _ = offsets.write_at(&offset_entries(0, &batch.lens), 0);
    }
    locked.write_page(Role::Tip, tip)
}
