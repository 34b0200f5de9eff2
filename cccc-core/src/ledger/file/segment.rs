//! One segment, as readers see it: its lines by seq, found through the offsets file.
//!
//! The offsets file is a hint. An entry is believed only if the line that it leads to has the seq that was
//! asked for and follows the chain that the line before it states; otherwise the segment is read from
//! its beginning and the offsets are written anew.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::layout::shown;
use super::lines::{LineReader, follow, read_range};
use crate::disk::{Disk, DiskFile, Kept, OpenMode};
use crate::error::{Damage, Error, Result};
use crate::id::Seq;
use crate::ledger::codec::{TRAILER, stated_chain};
use crate::ledger::{Chain, MAX_LINE_BYTES, Position, ReadLimit};

/// Beyond so many events a read looks for line ends instead of looking up their offsets.
const MAX_HINTS: usize = 256;

/// A segment that is open for reading.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) first: u64,
    pub(super) path: PathBuf,
    offsets_path: PathBuf,
    pub(super) file: Box<dyn DiskFile>,
    offsets: Mutex<Option<Arc<dyn DiskFile>>>,
    /// Counts both files.
    _kept: Kept,
    /// The chain before the first line.
    pub(super) before: Chain,
    sealed_len: OnceLock<u64>,
}

/// Lines that have not been checked, and what they must follow.
pub(super) struct Fetched {
    pub(super) previous: Position,
    pub(super) bytes: Vec<u8>,
}

impl Segment {
    pub(super) fn new(
        first: u64,
        path: PathBuf,
        offsets_path: PathBuf,
        (file, kept): (Box<dyn DiskFile>, Kept),
        before: Chain,
    ) -> Self {
        Self {
            first,
            path,
            offsets_path,
            file,
            offsets: Mutex::new(None),
            _kept: kept,
            before,
            sealed_len: OnceLock::new(),
        }
    }

    /// What the first line follows.
    pub(super) fn start(&self) -> Position {
        Position { seq: Seq(self.first - 1), chain: self.before }
    }

    /// The length of a segment that is not written to any more.
    pub(super) fn sealed_len(&self) -> Result<u64> {
        if let Some(len) = self.sealed_len.get() {
            return Ok(*len);
        }
        let len = self.file.stat().map_err(|e| Error::io("look at", &self.path, e))?.len;
        Ok(*self.sealed_len.get_or_init(|| len))
    }

    pub(super) fn damage(&self, offset: u64, seq: Seq, reason: &str) -> Error {
        Error::corrupt(Damage { file: shown(&self.path), offset, seq, reason: reason.into() })
    }

    fn io(&self, error: std::io::Error) -> Error {
        Error::io("read", &self.path, error)
    }

    /// Lines from `seq` on, out of the first `end` bytes. `None` if the hints do not hold.
    pub(super) fn fetch(
        &self,
        disk: &dyn Disk,
        seq: Seq,
        end: u64,
        limit: ReadLimit,
        hints: Option<&[u32]>,
    ) -> Result<Option<Fetched>> {
        let index = seq.0.saturating_sub(self.first);
        let wanted = limit.events.clamp(1, MAX_HINTS) + 1;
        let entries = match hints {
            Some(all) => {
                let from = usize::try_from(index).unwrap_or(usize::MAX);
                all.get(from..).map(|rest| rest.iter().take(wanted).copied().collect()).unwrap_or_default()
            }
            None => self.hints(disk, index, wanted),
        };
        let Some(start) = entries.first().map(|first| u64::from(*first)) else { return Ok(None) };
        if start >= end || (index == 0) != (start == 0) || (index > 0 && start < TRAILER as u64) {
            return Ok(None);
        }
        let (stop, exact) = stop(&entries, start, end, limit);
        let lead = if index == 0 { 0 } else { TRAILER };
        let mut want = usize::try_from(stop - start).unwrap_or(usize::MAX);
        let (chain, mut bytes) = loop {
            let mut bytes =
                read_range(&*self.file, start - lead as u64, lead + want).map_err(|e| self.io(e))?;
            let chain = match bytes.get(..lead).and_then(stated_chain) {
                _ if index == 0 => self.before,
                Some(chain) => chain,
                None => return Ok(None),
            };
            bytes.drain(..lead);
            let short = (want as u64) < end - start;
            if exact || !short || want > MAX_LINE_BYTES || bytes.contains(&b'\n') {
                break (chain, bytes);
            }
            want = (want * 4).max(4096).min(usize::try_from(end - start).unwrap_or(usize::MAX));
        };
        if !exact {
            let cut = start + (bytes.len() as u64) < end;
            keep_whole_lines(&mut bytes, limit, cut);
        }
        Ok(Some(Fetched { previous: Position { seq: Seq(seq.0 - 1), chain }, bytes }))
    }

    /// Never held during a call to the disk.
    fn offsets(&self) -> MutexGuard<'_, Option<Arc<dyn DiskFile>>> {
        self.offsets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Entries of the offsets file; none if there is no such file.
    fn hints(&self, disk: &dyn Disk, index: u64, count: usize) -> Vec<u32> {
        let open = self.offsets().clone();
        let file = match open {
            Some(file) => file,
            None => {
                let Ok(file) = disk.open(&self.offsets_path, OpenMode::Read) else { return Vec::new() };
                let file = Arc::<dyn DiskFile>::from(file);
                *self.offsets() = Some(file.clone());
                file
            }
        };
        let bytes = read_range(&*file, index.saturating_mul(4), count * 4).unwrap_or_default();
        bytes.as_chunks::<4>().0.iter().map(|entry| u32::from_le_bytes(*entry)).collect()
    }

    /// Reads the segment from its beginning, checks every line up to byte `end`, and writes the offsets
    /// anew. The damage, if there is any before `end`, is the error.
    pub(super) fn rebuild(&self, disk: &dyn Disk, end: u64) -> Result<Vec<u32>> {
        let mut lines = LineReader::new(&*self.file, 0, end);
        let mut position = self.start();
        let mut offsets = Vec::new();
        loop {
            let offset = lines.offset();
            let Some(line) = lines.next_line().map_err(|e| self.io(e))? else { break };
            position =
                follow(line, position).map_err(|reason| self.damage(offset, position.seq.next(), reason))?.1;
            offsets.push(u32::try_from(offset).unwrap_or(u32::MAX));
        }
        if lines.offset() < end {
            return Err(self.damage(
                lines.offset(),
                position.seq.next(),
                "the file ends before its last event",
            ));
        }
        let bytes: Vec<u8> = offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect();
        // Failing to write a hint is no failure: the disk may be full or read-only.
        if let Ok(file) = disk.open(&self.offsets_path, OpenMode::Create) {
            let _ = file.write_at(&bytes, 0);
        }
        self.offsets().take();
        Ok(offsets)
    }
}

/// Where a read that begins at `start` should end, and whether a line surely ends there (if the hints are
/// true).
fn stop(entries: &[u32], start: u64, end: u64, limit: ReadLimit) -> (u64, bool) {
    let max_bytes = limit.bytes as u64;
    if limit.events > MAX_HINTS {
        return (end.min(start.saturating_add(max_bytes.max(1))), false);
    }
    let mut stop = start;
    for n in 1..=limit.events {
        match entries.get(n).map(|entry| u64::from(*entry)) {
            Some(next) if next > stop && next <= end => {
                if stop > start && next - start > max_bytes {
                    return (stop, true);
                }
                stop = next;
            }
            // The hints end here: so do the lines, as a rule.
            _ if stop > start && end - start > max_bytes => return (stop, true),
            _ => return (end.min(start.saturating_add(max_bytes.max(4096))).max(stop), false),
        }
    }
    (stop, true)
}

/// Cuts after as many lines as the limit allows, and before a last line that is not whole because the read
/// ended within it.
fn keep_whole_lines(bytes: &mut Vec<u8>, limit: ReadLimit, cut: bool) {
    let mut len = 0;
    for _ in 0..limit.events {
        let rest = bytes.get(len..).unwrap_or_default();
        let line = match rest.iter().position(|b| *b == b'\n') {
            Some(found) => found + 1,
            None if cut => break,
            // The checks that follow say what is wrong with it.
            None => rest.len(),
        };
        if line == 0 || (len > 0 && len + line > limit.bytes) {
            break;
        }
        len += line;
    }
    if len > 0 {
        bytes.truncate(len);
    }
}
