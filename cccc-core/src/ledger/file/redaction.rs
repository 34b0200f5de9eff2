//! Replacing an event's data by its hash, in place, so that a crash at any moment can be made good.
//!
//! What is about to be overwritten is first written down in the file `redacting` and synced. Whoever
//! finds that file, and the lock free, finishes the work: it needs nothing of the old data.

use super::layout::shown;
use super::lines::read_range;
use super::locked::Locked;
use super::page::{Mark, REDACTING, Role, State, number};
use crate::disk::OpenMode;
use crate::error::{Damage, Error, Result};
use crate::id::Seq;
use crate::ledger::codec::{is_redacted, redaction};
use crate::ledger::{RawLine, ReadLimit};

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

impl Locked {
    /// Replaces the data of a durable event.
    pub(super) fn redact(&mut self, seq: Seq, hash: [u8; 32]) -> Result<()> {
        let pages = self.settle()?;
        let head = pages.head.mark;
        if seq.0 == 0 || seq > head.at.seq {
            return Err(Error::not_found(format!("there is no event {seq}")));
        }
        let shared = self.shared.clone();
        let page = shared.reader.read(&head, seq, ReadLimit::ONE)?;
        let line = page.lines().next().ok_or_else(|| Error::not_found(format!("there is no event {seq}")))?;
        if line.data_hash() != hash {
            return Err(Error::conflict(format!("the data of event {seq} has another hash")));
        }
        if is_redacted(line.data()) {
            return Ok(());
        }
        // Refuses what is too short, before anything is touched.
        redaction(&hash, line.data().len())?;
        let note = self.place(&head, seq, &line, hash)?;
        self.write_page(Role::Tip, &State { flags: REDACTING, ..pages.tip })?;
        self.write_down(&note)?;
        if let Err(error) = self.overwrite(&note).and_then(|()| self.remove_note()) {
            // The sync may have failed for appended lines as well.
            self.writer.epoch += 1;
            let _ = self.write_page(
                Role::Head,
                &State { epoch: self.writer.epoch, flags: super::page::FENCED, ..pages.head },
            );
            return Err(error);
        }
        self.write_page(Role::Tip, &pages.tip)
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

    /// Finishes an interrupted redaction, if there is one; `true` if there was.
    pub(super) fn finish_redaction(&mut self) -> Result<bool> {
        let shared = self.shared.clone();
        let path = &shared.layout.redacting;
        let file = match shared.disk.open(path, OpenMode::Read) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(Error::io("open", path, e)),
        };
        let bytes = read_range(&*file, 0, NOTE_BYTES).map_err(|e| Error::io("read", path, e))?;
        drop(file);
        // A note that is not whole was never acted upon.
        if let Some(note) = Note::decode(&bytes) {
            // Whoever left it may have died, or failed, before it was on disk; and then a power cut during
            // the overwriting would leave a torn line that nobody could put right.
            self.write_down(&note)?;
            self.overwrite(&note)?;
        }
        self.remove_note()?;
        Ok(true)
    }

    fn remove_note(&self) -> Result<()> {
        let path = &self.shared.layout.redacting;
        self.shared.disk.remove(path).map_err(|e| Error::io("remove", path, e))
    }

    fn overwrite(&self, note: &Note) -> Result<()> {
        let shared = &self.shared;
        let path = shared.layout.segment(note.segment);
        let io = |what, e| Error::io(what, &path, e);
        let file = shared.disk.open(&path, OpenMode::Write).map_err(|e| io("open", e))?;
        let len = usize::try_from(note.line_len).unwrap_or(0).min(crate::ledger::MAX_LINE_BYTES);
        let mut line = read_range(&*file, note.line_at, len).map_err(|e| io("read", e))?;
        let new = redaction(&note.hash, usize::try_from(note.data_len).unwrap_or(0))?;
        // The note is believed only if with it the line is one, with its data where the note says.
        let start = usize::try_from(note.data_at).unwrap_or(usize::MAX);
        let fits = line
            .get_mut(start..start.saturating_add(new.len()))
            .map(|data| data.copy_from_slice(&new))
            .and_then(|()| RawLine::split(&line).ok())
            .is_some_and(|raw| raw.data() == new && raw.data_hash() == note.hash);
        if !fits {
            return Err(Error::corrupt(Damage {
                file: shown(&path),
                offset: note.line_at,
                seq: Seq(note.segment),
                reason: "a redaction was interrupted and its line is not there any more".into(),
            }));
        }
        file.write_at(&new, note.line_at + note.data_at).map_err(|e| io("write to", e))?;
        file.sync().map_err(|e| io("sync", e))
    }
}
