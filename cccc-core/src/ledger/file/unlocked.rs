//! Reading where nothing can be written: backup media, a disk that was remounted read-only, another's home.
//!
//! No lock can be taken there and nothing can be recovered, and nothing has to be: what was published as
//! durable is on the disk.

use std::io;
use std::sync::atomic::Ordering;

use super::Shared;
use super::lines::{LineReader, ends_at, follow};
use super::page::{Mark, State};
use crate::error::{Error, Result};
use crate::id::Seq;

impl Shared {
    /// The head for a reader who was refused the lock by `error`: as the page says, or where what is whole ends.
    pub(super) fn without_lock(&self, page: Option<State>, error: Error) -> Result<Mark> {
        if !error.is_read_only() {
            return Err(error);
        }
        self.read_only.store(true, Ordering::Relaxed);
        if let Some(head) = self.believable(page)? {
            return Ok(head);
        }
        // Where only this process may not write, another one may be about to.
        if error.io_kind() != Some(io::ErrorKind::ReadOnlyFilesystem) {
            return Err(error);
        }
        if let Some(end) = self.whole.get() {
            return Ok(*end);
        }
        let end = self.end_of_what_is_whole()?;
        Ok(*self.whole.get_or_init(|| end))
    }

    /// What a head page says, if the event that it names ends where it says.
    pub(super) fn believable(&self, page: Option<State>) -> Result<Option<Mark>> {
        let Some(head) = page else { return Ok(None) };
        let (segment, _) = self.reader.locate(Seq(head.mark.segment), head.mark.segment)?;
        if !ends_at(&*segment.file, &head.mark).map_err(|e| Error::io("read", &segment.path, e))? {
            return Ok(None);
        }
        self.note_head(&head);
        Ok(Some(head.mark))
    }

    /// The end of the last whole command. Every segment but the last was synced whole before the next one began.
    fn end_of_what_is_whole(&self) -> Result<Mark> {
        let last = self.reader.list()?.last().copied().unwrap_or(1);
        let (segment, _) = self.reader.locate(Seq(last), last)?;
        let mut end = Mark { segment: last, len: 0, at: segment.start() };
        let mut position = end.at;
        let mut lines = LineReader::new(&*segment.file, 0, u64::MAX);
        loop {
            let Some(line) = lines.next_line().map_err(|e| Error::io("read", &segment.path, e))? else {
                break;
            };
            let Ok((raw, next)) = follow(line, position) else { break };
            let ends_command = raw.framing().is_ok_and(|framing| framing.b == 0);
            position = next;
            if ends_command {
                end = Mark { len: lines.offset(), at: next, ..end };
            }
        }
        Ok(end)
    }
}
