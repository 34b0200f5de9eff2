//! The write path: append under the lock, sync without it, publish under it again.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::locked::{Locked, Pages, replaced};
use super::page::{FENCED, Mark, Role, SEALING, State};
use crate::disk::OpenMode;
use crate::error::{Error, ErrorKind, Result};
use crate::id::Seq;
use crate::ledger::{Appended, Batch, Durability, Page, Position, RawLine, ReadLimit, Turn};

/// A turn on a file ledger: the lock, and pages that hold.
#[derive(Debug)]
pub(super) struct FileTurn {
    pub(super) locked: Locked,
    pub(super) pages: Pages,
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

    async fn append(self: Box<Self>, batch: Batch, durability: Durability) -> Result<Appended> {
        let Self { mut locked, pages } = *self;
        let outcome = if batch.after == pages.tip.mark.at {
            Appended::New
        } else if stands_already(&locked, &pages, &batch).map_err(|e| heal(&mut locked, &pages, e))? {
            Appended::Already
        } else {
            return Err(Error::conflict(format!(
                "the ledger is at {}, not at {}",
                pages.tip.mark.at, batch.after
            ))
            .hint("take another turn and decide again"));
        };
        let mut end = pages.tip.mark;
        if outcome == Appended::New && !batch.bytes.is_empty() {
            if end.len >= locked.shared.options.segment_bytes {
                return seal(locked, pages, &batch);
            }
            end = write(&mut locked, &pages, &batch)?;
        }
        if durability == Durability::Buffered || pages.head.mark.at.seq >= end.at.seq {
            return Ok(outcome);
        }
        confirm(locked, pages, end, &batch, outcome).await
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

/// Writes the lines and then the tip; on a failure neither is left.
fn write(locked: &mut Locked, pages: &Pages, batch: &Batch) -> Result<Mark> {
    let tip = pages.tip.mark;
    let end = Mark { len: tip.len + batch.bytes.len() as u64, at: batch.end, ..tip };
    let active = locked.active(&tip)?;
    let file = active.file.clone();
    let undo = |error| {
        // If this fails too, whoever comes next sees a file longer than the tip says.
        let _ = file.truncate(tip.len);
        error
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

/// Gives the lock back, syncs, and publishes everything up to `end` as durable.
async fn confirm(
    mut locked: Locked,
    pages: Pages,
    end: Mark,
    batch: &Batch,
    outcome: Appended,
) -> Result<Appended> {
    let shared = locked.shared.clone();
    let active = locked.active(&pages.tip.mark)?;
    let (file, path) = (active.file.clone(), active.path.clone());
    drop(locked);
    let synced = shared.sync(&*file, &pages.head.mark);
    let mut locked = Locked::take(&shared).await.map_err(|error| doubtful(error, batch))?;
    let head = locked.page(Role::Head).map_err(|error| doubtful(error, batch))?;
    let same = head.filter(|head| head.epoch == pages.head.epoch && head.flags & FENCED == 0);
    let now = match (same, shared.failed_since()) {
        (Some(head), None) => {
            if head.mark.at.seq < end.at.seq {
                // It is durable whether this succeeds or not; the next turn publishes it otherwise.
                let _ = locked.write_page(Role::Head, &State { mark: end, ..head });
            }
            return Ok(outcome);
        }
        // A recovery has judged what was written; nothing else can be said of this batch.
        (None, _) => locked.settle(),
        (Some(head), Some(since)) => {
            let error = match synced {
                Err(error) => Error::io("sync", &path, error),
                Ok(()) => Error::unavailable(format!("an earlier sync of {} failed", path.display())),
            };
            locked
                .fence(&head)
                .and_then(|()| locked.recover(Some(since)))
                .map_err(|cause| if cause.kind() == ErrorKind::Corrupt { cause } else { error })
        }
    };
    let now = now.map_err(|error| doubtful(error, batch))?;
    let stands = |at: Position| {
        let end = now.head.mark;
        Ok::<_, Error>(at.seq <= end.at.seq && shared.reader.position(&end, at.seq)? == at)
    };
    if stands(batch.end)? {
        return Ok(outcome);
    }
    // A batch may hold several commands, of which a recovery keeps those before the first bad one.
    if first_of(batch).is_some_and(|first| stands(first).unwrap_or(true)) {
        let error = Error::unavailable("a recovery discarded a part of what was appended together");
        return Err(doubtful(error, batch));
    }
    Ok(Appended::Lost)
}

/// The place of a batch's first event.
fn first_of(batch: &Batch) -> Option<Position> {
    let line = batch.bytes.split_inclusive(|b| *b == b'\n').next()?;
    let chain = RawLine::split(line).ok()?.chain().ok()?;
    Some(Position { seq: batch.after.seq.next(), chain })
}

/// An error after which only the ledger itself can tell whether the batch is there.
fn doubtful(error: Error, batch: &Batch) -> Error {
    if error.kind() != ErrorKind::Unavailable {
        return error;
    }
    Error::unavailable(format!(
        "{error}; whether event {} was written cannot be told now",
        batch.after.seq.next()
    ))
    .hint("free or repair the disk; the same command with the same client id is then safe to repeat")
    .source(error)
}

impl Locked {
    /// Tells every process that what was written after the head may be gone, whatever the cache shows.
    fn fence(&mut self, head: &State) -> Result<()> {
        self.writer.epoch = self.writer.epoch.max(head.epoch) + 1;
        let epoch = self.writer.epoch;
        self.write_page(Role::Head, &State { epoch, flags: head.flags | FENCED, ..*head })
    }
}

/// Begins a new segment with `batch`. The lock is kept meanwhile: this happens once in many megabytes.
fn seal(mut locked: Locked, pages: Pages, batch: &Batch) -> Result<Appended> {
    let shared = locked.shared.clone();
    let tip = pages.tip.mark;
    let active = locked.active(&tip)?;
    let synced = shared.sync(&*active.file, &pages.head.mark);
    if let Err(error) = synced {
        let error = Error::io("sync", &active.path, error);
        locked.fence(&pages.head)?;
        // Once everything written so far is in order again, the batch can be tried anew.
        return locked.recover(Some(pages.head.mark)).map(|_| Appended::Lost).map_err(|_| error);
    }
    let durable = State { mark: tip, ..pages.head };
    locked.write_page(Role::Head, &durable)?;
    // From here on whoever comes next looks for what this writer left, if it dies.
    locked.write_page(Role::Tip, &State { flags: SEALING, ..pages.tip })?;
    let first = batch.after.seq.next().0;
    let path = shared.layout.segment(first);
    let dir = &shared.layout.ledger;
    let begin = || {
        let file = shared.disk.open(&path, OpenMode::CreateNew).map_err(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists => replaced(&path),
            _ => Error::io("make", &path, e),
        })?;
        let io = |what, e| Error::io(what, &path, e);
        file.write_at(&batch.bytes, 0).map_err(|e| io("write to", e))?;
        file.sync().map_err(|e| io("sync", e))?;
        shared.disk.sync_dir(dir).map_err(|e| Error::io("sync", dir, e))?;
        Ok::<_, Error>(file)
    };
    let file = match begin() {
        Ok(file) => file,
        Err(error) => {
            let undone = error.kind() == ErrorKind::Conflict
                || shared.disk.remove(&path).and_then(|()| shared.disk.sync_dir(dir)).is_ok();
            if undone {
                let _ = locked.write_page(Role::Tip, &pages.tip);
            }
            return Err(error);
        }
    };
    locked.adopt(first, path, Arc::from(file), 0)?;
    if let Ok(active) = locked.active(&Mark { segment: first, ..tip })
        && let Some(offsets) = &active.offsets
    {
        let _ = offsets.write_at(&offset_entries(0, &batch.lens), 0);
    }
    let mark = Mark { segment: first, len: batch.bytes.len() as u64, at: batch.end };
    // If either page cannot be written, the next turn finds the batch durable and publishes it.
    let published = locked.write_page(Role::Tip, &State { mark, ..pages.tip });
    if published.is_ok() {
        let _ = locked.write_page(Role::Head, &State { mark, ..durable });
    }
    Ok(Appended::New)
}
