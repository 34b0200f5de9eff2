//! Replacing an event's data by its hash, in place, so that a crash at any moment can be made good.
//!
//! What is about to be overwritten is first written down in the file `redacting` and synced. Whoever
//! finds that file, and its lock free, finishes the work: it needs nothing of the old data. A note that does
//! not fit what lies there is set aside, since what it was made for is gone.
//!
//! Only durable bytes are touched, and appends touch no durable bytes, so redactions have a lock of their own
//! (`redacting.lock`) and nobody who appends waits for their syncs. A recovery and a repair write durable bytes
//! as well and hold both locks, the ledger's first; whoever has only this one never waits for the ledger's.

use std::path::PathBuf;
use std::sync::Arc;

use super::Shared;
use super::lines::{LineReader, read_range};
use super::locked::Locked;
use super::page::{FENCED, Mark, number};
use crate::blocking::blocking_section;
use crate::disk::{DiskFile, OpenMode, PATIENCE};
use crate::error::{Error, Result};
use crate::id::{EventId, Seq};
use crate::ledger::codec::{TRAILER, is_redacted, redaction, stated_chain};
use crate::ledger::{Position, RawLine, ReadLimit};

/// How often a redaction begins anew because a recovery came first.
const TRIES: usize = 16;

const MAGIC: &[u8; 8] = b"CCCCredc";
const NOTE_BYTES: usize = 8 + 5 * 8 + 32 + 16;

/// What is to be overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Note {
    segment: u64,
    /// The line within the segment.
    line_at: u64,
    line_len: u64,
    /// The data within the line.
    data_at: u64,
    data_len: u64,
    hash: [u8; 32],
}

impl Note {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for field in [self.segment, self.line_at, self.line_len, self.data_at, self.data_len] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.extend_from_slice(&self.hash);
        let sum = blake3::hash(&bytes);
        bytes.extend_from_slice(sum.as_bytes().split_at(16).0);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (fields, sum) = bytes.split_at_checked(NOTE_BYTES - 16)?;
        if sum.len() != 16 || !blake3::hash(fields).as_bytes().starts_with(sum) {
            return None;
        }
        let rest = fields.strip_prefix(MAGIC)?;
        let (segment, rest) = number(rest)?;
        let (line_at, rest) = number(rest)?;
        let (line_len, rest) = number(rest)?;
        let (data_at, rest) = number(rest)?;
        let (data_len, rest) = number(rest)?;
        let hash = *rest.first_chunk::<32>()?;
        Some(Self { segment, line_at, line_len, data_at, data_len, hash })
    }
}

/// The right to overwrite durable bytes, held until this is dropped.
#[derive(Debug)]
pub(super) struct Overwriting {
    shared: Arc<Shared>,
    lock: Box<dyn DiskFile>,
}

impl Drop for Overwriting {
    fn drop(&mut self) {
        // If it fails, closing the file gives the lock back.
        let _ = self.lock.unlock();
    }
}

/// What became of a note that a redaction had left.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finished {
    /// There was none.
    Nothing,
    /// What it says is done.
    Done,
    /// What it was made for is not there any more; it is kept under this path.
    SetAside(PathBuf),
}

impl Shared {
    /// Replaces the data of a durable event. Blocks its thread while others do the same, and for the syncs.
    pub(super) async fn redact(self: &Arc<Self>, seq: Seq, hash: [u8; 32]) -> Result<()> {
        for _ in 0..TRIES {
            // What a recovery has to put in order is so before the lock is taken.
            self.fresh_head().await?;
            match Overwriting::take(self).and_then(|overwriting| overwriting.redact(seq, hash)) {
                Ok(true) => return Ok(()),
                Ok(false) => drop(Locked::take(self).await?.settle()?),
                Err(error) => {
                    // A sync that failed may have failed for appended lines as well.
                    if self.failed().is_some() {
                        Locked::take(self).await?.settle()?;
                    }
                    return Err(error);
                }
            }
        }
        Err(Error::unavailable("the ledger is being recovered again and again").hint("try again"))
    }

    /// Finishes a redaction that nobody is at any more. What cannot be done now is done by whoever comes next.
    pub(super) fn finish_abandoned(self: &Arc<Self>) {
        if self.disk.stat(&self.layout.redacting).is_ok()
            && let Ok(lock) = self.disk.open_lock(&self.layout.redacting_lock)
            && lock.try_lock().is_ok_and(|free| free)
        {
            let _ = Overwriting { shared: self.clone(), lock }.finish();
        }
    }
}

impl Locked {
    /// Finishes an interrupted redaction, if there is one; `true` if there was.
    pub(super) fn finish_redaction(&mut self) -> Result<bool> {
        Ok(Overwriting::take(&self.shared)?.finish()? != Finished::Nothing)
    }
}

impl Overwriting {
    /// Waits until nobody else overwrites.
    pub(super) fn take(shared: &Arc<Shared>) -> Result<Self> {
        let path = &shared.layout.redacting_lock;
        let lock = shared.disk.open_lock(path).map_err(|e| Error::io("open", path, e))?;
        blocking_section(|| shared.disk.take_lock(&*lock, path, PATIENCE))?;
        Ok(Self { shared: shared.clone(), lock })
    }

    /// Removes what a repair that died has left of a segment it was writing anew.
    pub(super) fn remove_drafts(&self) -> Result<()> {
        let (disk, dir) = (&*self.shared.disk, &self.shared.layout.ledger);
        for name in disk.list(dir).map_err(|e| Error::io("list", dir, e))? {
            if name.ends_with(".new") {
                let path = dir.join(name);
                disk.remove(&path).map_err(|e| Error::io("remove", &path, e))?;
            }
        }
        Ok(())
    }

    /// Replaces the data of a durable event; `false` if it cannot be told now what is durable.
    fn redact(&self, seq: Seq, hash: [u8; 32]) -> Result<bool> {
        self.finish()?;
        let Some(head) = self.durable()? else { return Ok(false) };
        if seq.0 == 0 || seq > head.at.seq {
            return Err(Error::not_found(format!("there is no event {seq}")));
        }
        let page = self.shared.reader.read(&head, seq, ReadLimit::ONE)?;
        let line = page.lines().next().ok_or_else(|| Error::not_found(format!("there is no event {seq}")))?;
        if line.data_hash() != hash {
            return Err(Error::conflict(format!("the data of event {seq} has another hash")));
        }
        let done = is_redacted(line.data());
        if !done {
            // Refuses what is too short, before anything is touched.
            redaction(&hash, line.data().len())?;
        }
        // First the copies: what is looked for in them is lost with the line's data.
        let id = line.envelope().map_err(Error::unsupported)?.id;
        self.remove_drafts()?;
        self.clear_copies(id, (!done).then(|| line.data()), hash)?;
        if done {
            return Ok(true);
        }
        let note = self.place(&head, seq, &line, hash)?;
        self.write_down(&note)?;
        if !self.overwrite(&note, &head)? {
            self.set_note_aside()?;
            let damaged = "the file was changed while the event was redacted";
            let (segment, _) = self.shared.reader.locate(seq, head.segment)?;
            return Err(segment.damage(note.line_at, seq, damaged));
        }
        self.remove_note()?;
        Ok(true)
    }

    /// What the head page says is durable; `None` if that has to be found out under the ledger's lock.
    fn durable(&self) -> Result<Option<Mark>> {
        let shared = &self.shared;
        shared.head.check(&*shared.disk)?;
        let Some(head) = shared.head_page()? else { return Ok(None) };
        let holds = head.boot == shared.disk.boot_id() && head.flags & FENCED == 0;
        Ok(holds.then_some(head.mark))
    }

    /// Where the line lies. The offsets file is only a hint, so what it says is compared with the line.
    fn place(&self, head: &Mark, seq: Seq, line: &RawLine<'_>, hash: [u8; 32]) -> Result<Note> {
        let shared = &self.shared;
        let (segment, _) = shared.reader.locate(seq, head.segment)?;
        let len = if segment.first == head.segment { head.len } else { segment.sealed_len()? };
        let range = line.data_range();
        let offsets = segment.rebuild(&*shared.disk, len)?;
        let index = usize::try_from(seq.0 - segment.first).unwrap_or(usize::MAX);
        let offset =
            offsets.get(index).copied().ok_or_else(|| segment.damage(len, seq, "the event is missing"))?;
        Ok(Note {
            segment: segment.first,
            line_at: offset.into(),
            line_len: line.bytes().len() as u64,
            data_at: range.start as u64,
            data_len: range.len() as u64,
            hash,
        })
    }

    /// Makes a note durable.
    fn write_down(&self, note: &Note) -> Result<()> {
        let layout = &self.shared.layout;
        let io = |what, e| Error::io(what, &layout.redacting, e);
        let file = self.shared.disk.open(&layout.redacting, OpenMode::Create).map_err(|e| io("make", e))?;
        file.write_at(&note.encode(), 0).map_err(|e| io("write to", e))?;
        file.sync().map_err(|e| io("sync", e))?;
        self.shared.disk.sync_dir(&layout.dir).map_err(|e| Error::io("sync", &layout.dir, e))
    }

    /// Finishes an interrupted redaction, if there is one.
    pub(super) fn finish(&self) -> Result<Finished> {
        let shared = &self.shared;
        let path = &shared.layout.redacting;
        let file = match shared.disk.open(path, OpenMode::Read) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Finished::Nothing),
            Err(e) => return Err(Error::io("open", path, e)),
        };
        let bytes = read_range(&*file, 0, NOTE_BYTES).map_err(|e| Error::io("read", path, e))?;
        drop(file);
        // A note that is not whole was never acted upon.
        if let Some(note) = Note::decode(&bytes) {
            // Whoever left it may have died, or failed, before it was on disk; and then a power cut during
            // the overwriting would leave a torn line that nobody could put right.
            self.write_down(&note)?;
            // What an overwriting reaches is durable, and a failed sync costs at most a needless recovery.
            let start = Mark { segment: 1, len: 0, at: Position::start(&shared.group_id) };
            if !self.overwrite(&note, &self.durable().ok().flatten().unwrap_or(start))? {
                return self.set_note_aside().map(Finished::SetAside);
            }
        }
        self.remove_note()?;
        Ok(Finished::Done)
    }

    fn remove_note(&self) -> Result<()> {
        let path = &self.shared.layout.redacting;
        self.shared.disk.remove(path).map_err(|e| Error::io("remove", path, e))
    }

    /// Keeps a note that leads nowhere, where it holds nobody up. Nothing of the data is in it.
    fn set_note_aside(&self) -> Result<PathBuf> {
        let (disk, layout) = (&*self.shared.disk, &self.shared.layout);
        disk.create_dir(&layout.torn).map_err(|e| Error::io("make", &layout.torn, e))?;
        let mut time = disk.monotonic().as_nanos();
        while disk.stat(&layout.torn_note(time)).is_ok() {
            time += 1;
        }
        let target = layout.torn_note(time);
        disk.rename(&layout.redacting, &target).map_err(|e| Error::io("rename to", &target, e))?;
        for dir in [&layout.torn, &layout.dir] {
            disk.sync_dir(dir).map_err(|e| Error::io("sync", dir, e))?;
        }
        Ok(target)
    }

    /// Does what a note says, unless it does not fit what lies there: then `false`, and nothing is touched.
    fn overwrite(&self, note: &Note, durable: &Mark) -> Result<bool> {
        let shared = &self.shared;
        let path = shared.layout.segment(note.segment);
        let io = |what, e| Error::io(what, &path, e);
        let file = match shared.disk.open(&path, OpenMode::Write) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(io("open", e)),
        };
        let Some(new) = self.fitting(note, &*file)? else { return Ok(false) };
        file.write_at(&new, note.line_at + note.data_at).map_err(|e| io("write to", e))?;
        // The file may hold appended lines, too, whose writers must learn of a failure.
        // The file was opened for this, so it is told of failures of its own.
        file.sync().inspect_err(|_| shared.remember_failed_sync(durable)).map_err(|e| io("sync", e))?;
        Ok(true)
    }

    /// What replaces the data, if a note is right about where that lies: with it the line must be one, have its
    /// data where the note says, and follow the line before. Another event may stand there by now.
    fn fitting(&self, note: &Note, file: &dyn DiskFile) -> Result<Option<Vec<u8>>> {
        let path = self.shared.layout.segment(note.segment);
        let read = |from, len| read_range(file, from, len).map_err(|e| Error::io("read", &path, e));
        let size = |len| usize::try_from(len).unwrap_or(usize::MAX).min(crate::ledger::MAX_LINE_BYTES);
        let mut line = read(note.line_at, size(note.line_len))?;
        let Ok(new) = redaction(&note.hash, size(note.data_len)) else { return Ok(None) };
        let before = match note.line_at.checked_sub(TRAILER as u64) {
            Some(at) => stated_chain(&read(at, TRAILER)?),
            None if note.line_at > 0 => None,
            None => match self.shared.reader.locate(Seq(note.segment), note.segment) {
                Ok((segment, _)) => Some(segment.before),
                Err(error) if error.damage().is_some() => None,
                Err(error) => return Err(error),
            },
        };
        let start = usize::try_from(note.data_at).unwrap_or(usize::MAX);
        let Some(data) = line.get_mut(start..start.saturating_add(new.len())) else { return Ok(None) };
        data.copy_from_slice(&new);
        let fits = before.zip(RawLine::split(&line).ok()).is_some_and(|(chain, raw)| {
            let previous = raw.seq().and_then(|seq| seq.0.checked_sub(1)).map(Seq);
            raw.data() == new && previous.is_some_and(|seq| raw.check(Position { seq, chain }).is_ok())
        });
        Ok(fits.then_some(new))
    }

    /// Blanks what lies in `torn` of an event that is to be unreadable: lines of its id, and its data wherever
    /// that stands. A copy in which both are damaged is not found.
    fn clear_copies(&self, id: EventId, data: Option<&[u8]>, hash: [u8; 32]) -> Result<()> {
        let (disk, torn) = (&*self.shared.disk, &self.shared.layout.torn);
        let names = match disk.list(torn) {
            Ok(names) => names,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(Error::io("list", torn, e)),
        };
        let id = format!(",\"id\":\"{id}\"");
        for path in names.iter().map(|name| torn.join(name)) {
            let io = |what, e| Error::io(what, &path, e);
            let file = disk.open(&path, OpenMode::Write).map_err(|e| io("open", e))?;
            let len = file.stat().map_err(|e| io("look at", e))?.len;
            let mut pieces = LineReader::new(&*file, 0, len);
            let mut found = Vec::new();
            loop {
                let at = pieces.offset();
                let Some(piece) = pieces.next_line().map_err(|e| io("read", e))? else { break };
                found.extend(copy_in(piece, id.as_bytes(), data, &hash).map(|range| (at, range)));
            }
            drop(pieces);
            for (at, range) in &found {
                let blank = vec![b' '; range.len()];
                file.write_at(&blank, at + range.start as u64).map_err(|e| io("write to", e))?;
            }
            if !found.is_empty() {
                file.sync().map_err(|e| io("sync", e))?;
            }
        }
        Ok(())
    }
}

/// Where a piece of a file that was set aside holds an event's data.
fn copy_in(piece: &[u8], id: &[u8], data: Option<&[u8]>, hash: &[u8; 32]) -> Option<std::ops::Range<usize>> {
    let end = piece.len() - usize::from(piece.ends_with(b"\n"));
    if let Ok(line) = RawLine::split(piece)
        && line.data_hash() == *hash
    {
        return Some(line.data_range());
    }
    if let Some(at) = memchr::memmem::find(piece, id) {
        // Where its data begins can no longer be told if that place is damaged; then all of it goes.
        let rest = piece.get(at..).unwrap_or_default();
        let start = memchr::memmem::find(rest, b",\"data\":").map_or(0, |data| at + data);
        return Some(start..end);
    }
    let at = memchr::memmem::find(piece, data?)?;
    Some(at..at + data?.len())
}
