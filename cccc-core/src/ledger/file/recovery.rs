//! What a dead writer, a failed sync, or a power cut left behind is put in order here, under the lock, which is
//! held while the disk syncs. That is rare, and whoever waits in vain is told which process does it.
//!
//! Decides between *torn* (never acknowledged: set aside) and *damaged* (was durable: an error, and
//! nothing is changed). Whole valid batches are kept: their bytes are written again in place and synced, so
//! that no page of the operating system's cache that only seems to be on disk is relied upon.

use std::iter::once;

use super::Shared;
use super::layout::shown;
use super::lines::{LineReader, ends_at, follow};
use super::locked::{Locked, Pages, missing};
use super::page::{FENCED, Mark, Role, SEALING, State};
use super::redaction::Overwriting;
use super::salvage::told_without_head;
use crate::disk::{DiskFile, OpenMode};
use crate::error::{Damage, Error, Result};
use crate::id::Seq;
use crate::ledger::{Position, RawLine};

/// Bytes copied at a time.
const CHUNK: usize = 1 << 20;
/// How often a recovery looks anew at what others' failing syncs take away meanwhile.
const KEEP_TRIES: usize = 8;

/// Valid lines that a scan found in one segment.
struct Span {
    segment: u64,
    from: u64,
    to: u64,
    /// What the first line follows.
    after: Position,
    offsets: Vec<u32>,
}

/// What lies after a durable place.
struct Scan {
    spans: Vec<Span>,
    /// The end of the last whole batch. What follows in its segment is torn.
    end: Mark,
    torn: bool,
    /// Segments after the end that belong to another history.
    strays: Vec<u64>,
}

impl Locked {
    /// Puts everything after the durable head in order, and publishes the end as durable.
    ///
    /// `since` is an earlier place up to which everything is surely durable, if what the head says may
    /// have been published on the strength of a sync that is now known to have failed.
    ///
    /// # Errors
    /// `Corrupt` if durable events are damaged; `Unavailable` if the disk does not do its part.
    pub(super) fn recover(&mut self, since: Option<Mark>) -> Result<Pages> {
        // Kept to the end: what is written again below must not be redacted in between.
        let overwriting = Overwriting::take(&self.shared)?;
        overwriting.finish()?;
        let boot = self.shared.disk.boot_id();
        let (head, tip) = (self.page(Role::Head)?, self.page(Role::Tip)?);
        let last_told = last_told(boot, head, tip);
        let epoch = self.next_epoch(&[head, tip]);
        let (base, durable) = match head {
            Some(head) => (head.mark, head.mark.at.seq),
            None => (self.last_segment_start()?, Seq(0)),
        };
        let written = told_without_head(boot, head, tip);
        let failed = *self.shared.failed();
        let since = since.into_iter().chain(failed).min_by_key(|since| since.at.seq);
        let base = since.filter(|since| since.at.seq < base.at.seq).unwrap_or(base);
        self.check_joint(&base)?;
        let mut scan = self.scan_for(base, durable, last_told, written)?;
        self.writer.epoch = epoch;
        if let Some(head) = head {
            self.write_page(Role::Head, &State { boot, epoch, flags: FENCED, mark: head.mark })?;
        }
        // After a reboot the bytes came from the disk; they need not be written again.
        let rewrite = head.is_none_or(|head| head.boot == boot);
        let mut tries = 0;
        while !self.keep_all(&scan.spans, rewrite)? {
            tries += 1;
            if tries >= KEEP_TRIES {
                return Err(Error::unavailable("the disk keeps losing what was written and not synced")
                    .hint("the disk fails to sync; see `cccc doctor`"));
            }
            scan = self.scan_for(base, durable, last_told, written)?;
        }
        let is_whole = |page: Option<State>| page.is_some_and(|page| page.flags == 0);
        self.left.is_unfinished |= !is_whole(head) || !is_whole(tip) || scan.end.at != base.at || scan.torn;
        let path = self.shared.layout.segment(scan.end.segment);
        let file = self.open_segment(scan.end.segment)?;
        if scan.torn {
            let len = file.stat().map_err(|e| Error::io("look at", &path, e))?.len;
            let rest = once(scan.end.len..len.max(scan.end.len));
            let copy = self.shared.set_aside(&*file, &path, rest, scan.end.at.seq.next())?;
            self.left.set_aside.push(copy);
            file.truncate(scan.end.len).map_err(|e| Error::io("cut", &path, e))?;
        }
        file.sync().map_err(|e| Error::io("sync", &path, e))?;
        for first in scan.strays.iter().rev() {
            self.set_segment_aside(*first)?;
        }
        let dir = &self.shared.layout.ledger;
        self.shared.disk.sync_dir(dir).map_err(|e| Error::io("sync", dir, e))?;
        self.adopt(scan.end.segment, path, file.into(), 0)?;
        let state = State { boot, epoch, flags: 0, mark: scan.end };
        self.write_page(Role::Tip, &state)?;
        self.write_page(Role::Head, &state)?;
        *self.shared.failed() = None;
        drop(overwriting);
        Ok(Pages { head: state, tip: state })
    }

    /// An epoch that no turn has seen.
    pub(super) fn next_epoch(&self, pages: &[Option<State>]) -> u64 {
        let known = pages.iter().flatten().map(|page| page.epoch).fold(self.writer.epoch, u64::max);
        // With both pages lost nobody knows the last one; but epochs are raised less than once a microsecond.
        let floor = match pages.iter().any(Option::is_some) {
            true => 0,
            false => u64::try_from(self.shared.disk.monotonic().as_micros()).unwrap_or(0),
        };
        known.max(floor) + 1
    }

    fn open_segment(&self, first: u64) -> Result<Box<dyn DiskFile>> {
        let path = self.shared.layout.segment(first);
        self.shared.disk.open(&path, OpenMode::Write).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => missing(&path, Seq(first)),
            _ => Error::io("open", &path, e),
        })
    }

    /// Where to begin if the head page is lost: every segment but the last was synced before the next
    /// one was made.
    fn last_segment_start(&self) -> Result<Mark> {
        let last = self.shared.reader.list()?.last().copied();
        let last = last.ok_or_else(|| missing(&self.shared.layout.segment(1), Seq(1)))?;
        let (segment, _) = self.shared.reader.locate(Seq(last), last)?;
        Ok(Mark { segment: last, len: 0, at: segment.start() })
    }

    /// The line that ends at the head must be the one that the head names. If it is not, someone changed
    /// the file, and cutting it would make that worse.
    fn check_joint(&self, base: &Mark) -> Result<()> {
        let path = self.shared.layout.segment(base.segment);
        let file = self.open_segment(base.segment)?;
        let len = file.stat().map_err(|e| Error::io("look at", &path, e))?.len;
        let damage = |offset, seq, reason: &str| {
            Err(Error::corrupt(Damage { file: shown(&path), offset, seq, reason: reason.into() }))
        };
        if ends_at(&*file, base).map_err(|e| Error::io("read", &path, e))? {
            return Ok(());
        }
        // Name the first line that is wrong, not just where it was noticed.
        let (segment, _) = self.shared.reader.locate(Seq(base.segment), base.segment)?;
        segment
            .rebuild(&*self.shared.disk, base.len)
            .map_err(|error| self.shared.reader.missing_before(base.segment, error))?;
        damage(base.len.min(len), base.at.seq, "the file is not the one that was written to")
    }

    /// Without a head page nobody knows what was acknowledged. Then nothing is taken for torn that the tip page says
    /// was written: in one boot lines are there before it says so.
    fn check_written(&self, scan: &Scan, written: Option<Mark>) -> Result<()> {
        let Some(written) = written.filter(|written| written.at.seq > scan.end.at.seq) else { return Ok(()) };
        let seq = scan.end.at.seq.next();
        let (segment, offset, what) = match written.segment > scan.end.segment && !scan.torn {
            true => (seq.0, 0, "the segment file is missing"),
            false => (scan.end.segment, scan.end.len, "what is sound ends here"),
        };
        let file = shown(&self.shared.layout.segment(segment));
        let last = written.at.seq;
        let reason = format!(
            "{what}; the file `head` is missing or not whole, and `tip` says that event {last} was written"
        );
        Err(Error::corrupt(Damage { file, offset, seq, reason }))
    }

    /// Takes a segment out that belongs to another history: it was left when a copy was put over the files.
    fn set_segment_aside(&mut self, first: u64) -> Result<()> {
        let path = self.shared.layout.segment(first);
        let file = self.open_segment(first)?;
        let len = file.stat().map_err(|e| Error::io("look at", &path, e))?.len;
        let copy = self.shared.set_aside(&*file, &path, once(0..len), Seq(first))?;
        self.left.set_aside.push(copy);
        drop(file);
        self.shared.remove_hints(first)?;
        self.shared.disk.remove(&path).map_err(|e| Error::io("remove", &path, e))
    }

    /// Whether a later segment may go on where a scan has come to: it does not begin with a whole line that follows
    /// something else.
    fn goes_on(&self, scan: &Scan, first: u64) -> Result<bool> {
        if scan.torn || first != scan.end.at.seq.next().0 {
            return Ok(false);
        }
        let path = self.shared.layout.segment(first);
        let file = self.open_segment(first)?;
        let mut lines = LineReader::new(&*file, 0, u64::MAX);
        let line = lines.next_line().map_err(|e| Error::io("read", &path, e))?;
        Ok(line.is_none_or(|line| Suspect::of(line).at.is_none() || follow(line, scan.end.at).is_ok()))
    }

    /// As [`scan`](Self::scan), where all must be there that is told of without a head page; and a file that is missing
    /// is named, not what follows it.
    fn scan_for(
        &self,
        base: Mark,
        durable: Seq,
        last_told: Option<u64>,
        written: Option<Mark>,
    ) -> Result<Scan> {
        let scan = self
            .scan(base, durable, last_told)
            .map_err(|error| self.shared.reader.missing_before(base.segment, error))?;
        self.check_written(&scan, written)?;
        Ok(scan)
    }

    /// Reads everything after `base`. Events up to `durable` must be sound. Segments after the last one that is told
    /// of are none of this ledger, unless they follow.
    fn scan(&self, base: Mark, durable: Seq, last_told: Option<u64>) -> Result<Scan> {
        let names = self.shared.reader.list()?;
        let is_told = |first: u64| last_told.is_none_or(|last| first <= last);
        let mut scan = Scan { spans: Vec::new(), end: base, torn: false, strays: Vec::new() };
        loop {
            let segment = scan.end.segment;
            let later = names.iter().copied().find(|name| *name > segment);
            self.scan_segment(&mut scan, durable, later.is_some_and(is_told))?;
            let next = scan.end.at.seq.0 + 1;
            match later {
                Some(first) if !is_told(first) && !self.goes_on(&scan, first)? => {
                    scan.strays = names.into_iter().filter(|name| *name >= first).collect();
                    return Ok(scan);
                }
                None => return Ok(scan),
                Some(first) if first == next => scan.end = Mark { segment: first, len: 0, at: scan.end.at },
                Some(_) => return Err(missing(&self.shared.layout.segment(next), Seq(next))),
            }
        }
    }

    /// Reads the rest of one segment. Where a later segment exists, this one was synced, so nothing in it
    /// can be torn.
    fn scan_segment(&self, scan: &mut Scan, durable: Seq, sealed: bool) -> Result<()> {
        let mut mark = scan.end;
        let path = self.shared.layout.segment(mark.segment);
        let file = self.open_segment(mark.segment)?;
        let len = file.stat().map_err(|e| Error::io("look at", &path, e))?.len;
        let mut lines = LineReader::new(&*file, mark.len, len);
        let mut span =
            Span { segment: mark.segment, from: mark.len, to: mark.len, after: mark.at, offsets: Vec::new() };
        // Offsets of the lines of a batch that has not ended yet.
        let mut open = Vec::new();
        let mut left = 0;
        let bad = loop {
            let offset = lines.offset();
            let Some(line) = lines.next_line().map_err(|e| Error::io("read", &path, e))? else {
                break (left > 0).then_some((offset, "the file ends within a command"));
            };
            match judge(line, mark.at, left) {
                Ok((at, following)) => {
                    left = following;
                    mark = Mark { segment: mark.segment, len: offset + line.len() as u64, at };
                    open.push(u32::try_from(offset).unwrap_or(u32::MAX));
                    if following == 0 {
                        span.offsets.append(&mut open);
                        span.to = mark.len;
                        scan.end = mark;
                    }
                }
                Err(reason) => {
                    let suspect = Suspect::of(line);
                    let proof = mark.at.seq < durable
                        || sealed
                        || acknowledged(&mut lines, suspect, mark.at.seq.next())
                            .map_err(|e| Error::io("read", &path, e))?;
                    if proof {
                        let seq = mark.at.seq.next();
                        let damage = Damage { file: shown(&path), offset, seq, reason: reason.into() };
                        return Err(Error::corrupt(damage));
                    }
                    break Some((offset, reason));
                }
            }
        };
        if let Some((offset, reason)) = bad {
            if sealed || scan.end.at.seq < durable {
                let seq = mark.at.seq.next();
                return Err(Error::corrupt(Damage {
                    file: shown(&path),
                    offset,
                    seq,
                    reason: reason.into(),
                }));
            }
            scan.torn = true;
        } else if scan.end.at.seq < durable && !sealed {
            let seq = mark.at.seq.next();
            let reason = "the file ends before its last durable event".into();
            return Err(Error::corrupt(Damage { file: shown(&path), offset: len, seq, reason }));
        }
        if span.to > span.from {
            scan.spans.push(span);
        }
        Ok(())
    }

    fn keep_all(&self, spans: &[Span], rewrite: bool) -> Result<bool> {
        for span in spans {
            if !self.keep(span, rewrite)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes sure that valid lines are on disk, and can be found. `false` if they are not there any more: a sync of
    /// another process, which needs no lock for it, has failed since they were looked at.
    fn keep(&self, span: &Span, rewrite: bool) -> Result<bool> {
        let path = self.shared.layout.segment(span.segment);
        let file = self.open_segment(span.segment)?;
        let (mut at, mut position, mut bytes) = (span.from, span.after, Vec::new());
        let mut lines = LineReader::new(&*file, span.from, span.to);
        while rewrite && at < span.to {
            let line = lines.next_line().map_err(|e| Error::io("read", &path, e))?;
            let Some(Ok((raw, next))) = line.map(|line| follow(line, position)) else { return Ok(false) };
            bytes.extend_from_slice(raw.bytes());
            position = next;
            if bytes.len() >= CHUNK || at + bytes.len() as u64 >= span.to {
                file.write_at(&bytes, at).map_err(|e| Error::io("write to", &path, e))?;
                at += bytes.len() as u64;
                bytes.clear();
            }
        }
        file.sync().map_err(|e| Error::io("sync", &path, e))?;
        if let Ok(offsets) =
            self.shared.disk.open(&self.shared.layout.offsets(span.segment), OpenMode::Create)
        {
            let bytes: Vec<u8> = span.offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect();
            let _ = offsets.write_at(&bytes, (span.after.seq.next().0 - span.segment) * 4);
        }
        Ok(true)
    }
}

impl Shared {
    /// Removes what was derived from a segment's lines and leads to them.
    pub(super) fn remove_hints(&self, first: u64) -> Result<()> {
        for path in [self.layout.offsets(first), self.layout.index(first)] {
            match self.disk.remove(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", &path, e));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The last segment that there can be, if the pages tell: those of this boot are older than the segments only if a copy
/// was put over the files.
fn last_told(boot: [u8; 16], head: Option<State>, tip: Option<State>) -> Option<u64> {
    let (head, tip) = (head?, tip?);
    let begun = if tip.flags & SEALING != 0 { tip.mark.at.seq.next().0 } else { tip.mark.segment };
    (boot != [0; 16] && head.boot == boot && tip.boot == boot).then_some(begun.max(head.mark.segment))
}

/// Checks that a line follows, and within its batch; returns how many lines of the batch are still to come.
fn judge(line: &[u8], previous: Position, left: u64) -> Result<(Position, u64), &'static str> {
    let (raw, position) = follow(line, previous)?;
    let framing = raw.framing().map_err(|_| "it is not a JSON event")?;
    if left > 0 && framing.b != left - 1 {
        return Err("its command does not count down to its last event");
    }
    Ok((position, framing.b))
}

/// What can be learnt from a line by itself, without what it follows.
#[derive(Clone, Copy)]
struct Suspect {
    /// Where it says that it stands.
    at: Option<Position>,
    /// Whether it says that it ends a batch.
    ends: bool,
}

impl Suspect {
    fn of(line: &[u8]) -> Self {
        let nothing = Self { at: None, ends: false };
        let Ok(raw) = RawLine::split(line) else { return nothing };
        let (Ok(chain), Some(seq), Ok(framing)) = (raw.chain(), raw.seq(), raw.framing()) else {
            return nothing;
        };
        Self { at: Some(Position { seq, chain }), ends: framing.b == 0 }
    }
}

/// Whether what follows the bad line at byte `at` says that event `bad` was durable.
pub(super) fn is_acknowledged(file: &dyn DiskFile, at: u64, len: u64, bad: Seq) -> std::io::Result<bool> {
    let mut lines = LineReader::new(file, at, len);
    let Some(suspect) = lines.next_line()?.map(Suspect::of) else { return Ok(false) };
    acknowledged(&mut lines, suspect, bad)
}

/// Whether a later, locally valid batch says that event `bad` was durable when it was written: its first
/// line follows what the line before states, and that line ends a batch.
fn acknowledged(lines: &mut LineReader<'_>, bad_line: Suspect, bad: Seq) -> std::io::Result<bool> {
    let mut before = bad_line;
    while let Some(line) = lines.next_line()? {
        let this = Suspect::of(line);
        if let (Some(previous), true) = (before.at, before.ends)
            && let Ok((raw, at)) = follow(line, previous)
            && let Ok(framing) = raw.framing()
            && at.seq > bad
            && at.seq.0.saturating_sub(framing.u) > bad.0
        {
            return Ok(true);
        }
        before = this;
    }
    Ok(false)
}
