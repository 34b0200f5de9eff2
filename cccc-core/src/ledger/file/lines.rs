//! Reading a file line by line, whatever is in it.

use std::io;

use super::page::Mark;
use crate::disk::DiskFile;
use crate::ledger::codec::{TRAILER, stated_chain};
use crate::ledger::{MAX_LINE_BYTES, Position, RawLine};

const CHUNK: usize = 256 << 10;

/// Whether the last line before a mark ends there, and is the one that the mark names: it states its chain.
pub(super) fn ends_at(file: &dyn DiskFile, mark: &Mark) -> io::Result<bool> {
    if mark.len == 0 {
        return Ok(true);
    }
    let trailer = read_range(file, mark.len.saturating_sub(TRAILER as u64), TRAILER)?;
    Ok(stated_chain(&trailer) == Some(mark.at.chain))
}

/// Yields the lines of a part of a file, in bounded memory.
pub(super) struct LineReader<'a> {
    file: &'a dyn DiskFile,
    /// Where the buffer's end lies in the file.
    read_to: u64,
    end: u64,
    buffer: Vec<u8>,
    /// Where the next line begins in the buffer.
    at: usize,
}

impl<'a> LineReader<'a> {
    /// The lines from byte `from` up to byte `end`, or to the file's end if that comes first.
    pub(super) fn new(file: &'a dyn DiskFile, from: u64, end: u64) -> Self {
        Self { file, read_to: from, end, buffer: Vec::new(), at: 0 }
    }

    /// Where the next line begins in the file.
    pub(super) fn offset(&self) -> u64 {
        self.read_to - (self.buffer.len() - self.at) as u64
    }

    /// The next line with its newline. What has none, because the file ends or because it is longer than
    /// a line may be, comes as a piece without.
    pub(super) fn next_line(&mut self) -> io::Result<Option<&[u8]>> {
        let mut searched = 0;
        let len = loop {
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            if let Some(found) = rest.get(searched..).and_then(|new| memchr::memchr(b'\n', new)) {
                break searched + found + 1;
            }
            searched = rest.len();
            if searched > MAX_LINE_BYTES || !self.fill()? {
                break searched;
            }
        };
        if len == 0 {
            return Ok(None);
        }
        let start = self.at;
        self.at += len;
        Ok(self.buffer.get(start..self.at))
    }

    /// Reads more; `false` at the end.
    fn fill(&mut self) -> io::Result<bool> {
        let want = usize::try_from(self.end.saturating_sub(self.read_to)).unwrap_or(CHUNK).min(CHUNK);
        if want == 0 {
            return Ok(false);
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        let old = self.buffer.len();
        self.buffer.resize(old + want, 0);
        let got = self.file.read_at(self.buffer.get_mut(old..).unwrap_or_default(), self.read_to)?;
        self.buffer.truncate(old + got);
        self.read_to += got as u64;
        if got < want {
            self.end = self.read_to;
        }
        Ok(got > 0)
    }
}

/// Checks that a piece of a file is the line that follows `previous`.
pub(super) fn follow(line: &[u8], previous: Position) -> Result<(RawLine<'_>, Position), &'static str> {
    if !line.ends_with(b"\n") {
        return Err("the line has no end");
    }
    let raw = RawLine::split(line)?;
    let position = raw.check(previous)?;
    Ok((raw, position))
}

/// Reads exactly `len` bytes; fewer only where the file ends.
pub(super) fn read_range(file: &dyn DiskFile, from: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let got = file.read_at(&mut bytes, from)?;
    bytes.truncate(got);
    Ok(bytes)
}
