//! Reading lines, from whichever segments hold them. Takes no lock and changes nothing but hints.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::layout::{Layout, segment_name, shown};
use super::lines::read_range;
use super::locked::missing;
use super::page::Mark;
use super::segment::{Fetched, Segment};
use crate::disk::{Disk, OpenMode};
use crate::error::{Damage, Error, Result};
use crate::id::{GroupId, Seq};
use crate::ledger::codec::{TRAILER, first_chain, stated_chain};
use crate::ledger::{Chain, Page, Position, ReadLimit};

/// Segments kept open.
const MAX_OPEN: usize = 32;

/// Reads lines of one group. Shared by all who read through one ledger handle.
#[derive(Debug)]
pub(super) struct Reader {
    disk: Arc<dyn Disk>,
    layout: Arc<Layout>,
    group_id: GroupId,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    /// First seqs of the segments, ascending.
    names: Arc<Vec<u64>>,
    segments: BTreeMap<u64, Arc<Segment>>,
}

impl Reader {
    pub(super) fn new(disk: Arc<dyn Disk>, layout: Arc<Layout>, group_id: GroupId) -> Self {
        Self { disk, layout, group_id, open: Mutex::default() }
    }

    /// The segments that there are now, ascending.
    pub(super) fn list(&self) -> Result<Vec<u64>> {
        let names =
            self.disk.list(&self.layout.ledger).map_err(|e| Error::io("list", &self.layout.ledger, e))?;
        Ok(names.iter().filter_map(|name| segment_name(name)).collect())
    }

    /// Forgets what is open, because files were replaced by a repair.
    pub(super) fn forget(&self) {
        *self.open() = Open::default();
    }

    /// Never held during a call to the disk.
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The segments that there are, at least up to `last`.
    fn names(&self, last: u64) -> Result<Arc<Vec<u64>>> {
        let known = self.open().names.clone();
        if known.binary_search(&last).is_ok() {
            return Ok(known);
        }
        let names = Arc::new(self.list()?);
        self.open().names = names.clone();
        Ok(names)
    }

    /// The segment that holds event `seq`, of a ledger whose last segment is `last`; and the first seq of
    /// the one after it.
    pub(super) fn locate(&self, seq: Seq, last: u64) -> Result<(Arc<Segment>, Option<u64>)> {
        let names = self.names(last)?;
        // A segment after the last one may be gone again: whoever began it could not write to it.
        let upper = names.partition_point(|first| *first <= seq.0.min(last));
        let Some(first) = upper.checked_sub(1).and_then(|i| names.get(i)).copied() else {
            return Err(self.missing(1));
        };
        // If the last one is missing it is still known where it should begin.
        let next = names.get(upper).copied().filter(|next| *next <= last);
        let next = next.or((first < last).then_some(last));
        Ok((self.segment(&names, first)?, next))
    }

    /// A segment by name, opened if it is not.
    fn segment(&self, names: &[u64], first: u64) -> Result<Arc<Segment>> {
        let open = self.open().segments.get(&first).cloned();
        if let Some(segment) = open {
            if !segment.file.is_gone() {
                return Ok(segment);
            }
            // What was restored has a file of the same name, with other events.
            self.forget();
        }
        let path = self.layout.segment(first);
        let file = self.disk.open(&path, OpenMode::Read).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => self.missing(first),
            _ => Error::io("open", &path, e),
        })?;
        let before = self.chain_before(names, first)?;
        let kept = self.disk.keep(2);
        let segment = Arc::new(Segment::new(first, path, self.layout.offsets(first), (file, kept), before));
        let mut open = self.open();
        if open.segments.len() >= MAX_OPEN {
            open.segments.pop_first();
        }
        open.segments.insert(first, segment.clone());
        Ok(segment)
    }

    /// The chain that the segment before ends with.
    fn chain_before(&self, names: &[u64], first: u64) -> Result<Chain> {
        if first == 1 {
            return Ok(first_chain(&self.group_id));
        }
        let at = names.partition_point(|name| *name < first);
        let Some(earlier) = at.checked_sub(1).and_then(|i| names.get(i)).copied() else {
            return Err(self.missing(1));
        };
        let path = self.layout.segment(earlier);
        let file = self.disk.open(&path, OpenMode::Read).map_err(|e| Error::io("open", &path, e))?;
        let len = file.stat().map_err(|e| Error::io("look at", &path, e))?.len;
        let trailer_at = len.saturating_sub(TRAILER as u64);
        let trailer = read_range(&*file, trailer_at, TRAILER).map_err(|e| Error::io("read", &path, e))?;
        stated_chain(&trailer).ok_or_else(|| {
            Error::corrupt(Damage {
                file: shown(&path),
                offset: trailer_at,
                seq: Seq(first - 1),
                reason: "the segment does not end with an event".into(),
            })
        })
    }

    /// The error for a segment that is not there: whichever of its events was wanted, the first one is named.
    fn missing(&self, first: u64) -> Error {
        missing(&self.layout.segment(first), Seq(first))
    }

    /// The error for a segment whose first line does not follow: perhaps the file before it is not the segment before,
    /// and that is missing. Nothing can be said of the line itself then.
    pub(super) fn missing_before(&self, first: u64, error: Error) -> Error {
        if error.damage().is_none_or(|damage| damage.seq.0 != first) {
            return error;
        }
        match self.end_before(first) {
            Ok(Some(end)) if end + 1 < first => self.missing(end + 1),
            _ => error,
        }
    }

    /// The last event of the file before a segment, if there is one and it can be read whole.
    fn end_before(&self, first: u64) -> Result<Option<u64>> {
        let names = self.list()?;
        let Some(earlier) = names.iter().copied().rfind(|name| *name < first) else { return Ok(None) };
        let segment = self.segment(&names, earlier)?;
        let lines = segment.rebuild(&*self.disk, segment.sealed_len()?)?;
        Ok(Some(earlier - 1 + lines.len() as u64))
    }

    /// Lines from `from` on, up to `end`, with their chain checked.
    pub(super) fn read(&self, end: &Mark, from: Seq, limit: ReadLimit) -> Result<Page> {
        let mut seq = Seq(from.0.max(1));
        let mut page: Option<(Position, Vec<u8>)> = None;
        let mut rest = limit;
        while seq <= end.at.seq && rest.events > 0 {
            let (segment, next) = self.locate(seq, end.segment)?;
            let len = if segment.first == end.segment { end.len } else { segment.sealed_len()? };
            let last =
                if segment.first == end.segment { end.at.seq.0 } else { next.map_or(0, |next| next - 1) };
            if seq.0 > last {
                return Err(self.missing(next.unwrap_or(seq.0)));
            }
            let (fetched, checked) = self.checked(&segment, seq, len, rest)?;
            let count = checked.len();
            if count == 0 {
                return Err(segment.damage(len, seq, "the file ends before this event"));
            }
            let size = fetched.1;
            seq = Seq(seq.0 + count as u64);
            // These may be lines of a file that is not there any more.
            if seq > end.at.seq && checked.end() != Some(end.at) {
                return Err(segment.damage(len, end.at.seq, "the head names another history"));
            }
            let full = seq <= end.at.seq && rest.bytes <= size;
            rest = ReadLimit {
                events: rest.events.saturating_sub(count),
                bytes: rest.bytes.saturating_sub(size),
            };
            match &mut page {
                None if full || rest.events == 0 || seq > end.at.seq || seq.0 <= last => return Ok(checked),
                None => page = Some((fetched.0, checked.into_bytes())),
                Some((_, bytes)) if bytes.len() + size > limit.bytes => break,
                Some((_, bytes)) => bytes.extend_from_slice(checked.bytes()),
            }
            if full || seq.0 <= last {
                break;
            }
        }
        match page {
            None => Ok(Page::default()),
            // Only a page that crosses a segment's end is checked twice.
            Some((previous, bytes)) => {
                Page::check(bytes, previous).map_err(|(_, seq, reason)| self.broken_seam(seq, reason))
            }
        }
    }

    fn broken_seam(&self, seq: Seq, reason: &str) -> Error {
        Error::corrupt(Damage {
            file: shown(&self.layout.segment(seq.0)),
            offset: 0,
            seq,
            reason: reason.into(),
        })
    }

    /// Lines of one segment, checked; through the hints if they hold.
    fn checked(
        &self,
        segment: &Segment,
        seq: Seq,
        len: u64,
        limit: ReadLimit,
    ) -> Result<((Position, usize), Page)> {
        let check = |fetched: Option<Fetched>| {
            let Fetched { previous, bytes } = fetched?;
            let size = bytes.len();
            Page::check(bytes, previous)
                .ok()
                .filter(|page| !page.is_empty())
                .map(|page| ((previous, size), page))
        };
        if let Some(found) = check(segment.fetch(&*self.disk, seq, len, limit, None)?) {
            return Ok(found);
        }
        let offsets =
            segment.rebuild(&*self.disk, len).map_err(|error| self.missing_before(segment.first, error))?;
        // What follows it would have the name of its first event.
        let after = segment.first + offsets.len() as u64;
        if seq.0 >= after {
            return Err(self.missing(after));
        }
        let fetched = segment.fetch(&*self.disk, seq, len, limit, Some(&offsets))?;
        check(fetched).ok_or_else(|| {
            let reason = "the events of this file do not include it";
            segment.damage(len, seq, reason)
        })
    }

    /// The position of the event at `seq`, which must not be beyond `end`.
    pub(super) fn position(&self, end: &Mark, seq: Seq) -> Result<Position> {
        if seq.0 == 0 {
            return Ok(Position::start(&self.group_id));
        }
        if seq == end.at.seq {
            return Ok(end.at);
        }
        let page = self.read(end, seq, ReadLimit::ONE)?;
        let chain = page.lines().next().and_then(|line| line.chain().ok());
        let chain = chain.ok_or_else(|| Error::not_found(format!("there is no event {seq}")))?;
        Ok(Position { seq, chain })
    }
}
