//! Going over segments that may be damaged: which lines are sound, what lies between them, and which events
//! that has cost. Changes nothing.
//!
//! After damage a line counts as sound again if it follows the chain that the bytes before it state, or the one
//! that the damaged line has once a small fault in it is undone. Eighty bits of hash agree with that, so
//! neither a line of another history nor garbage is taken for one.

use std::collections::BTreeMap;
use std::io;

use super::Shared;
use super::layout::shown;
use super::lines::{LineReader, follow, read_range};
use super::page::Mark;
use super::recovery::is_acknowledged;
use crate::disk::{DiskFile, OpenMode};
use crate::error::{Damage, Error, Result};
use crate::id::{GroupId, Seq};
use crate::ledger::codec::{Gap, TRAILER, restored_trailer, stated_before, unknown_chain};
use crate::ledger::{Chain, MAX_LINE_BYTES, Position, RawLine};
use crate::time::Timestamp;

/// More events than this are not taken to be lost in one place: rather is the line that says so no line.
const MAX_LOST: u64 = 1 << 20;

/// A bit that flipped is looked for in lines up to this many bytes: each of their bits costs a hash.
const MAX_FLIP_BYTES: usize = 8 << 10;

/// How far the sound lines have been followed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) position: Position,
    /// How many lines of the same command are still to come.
    pub(super) following: u64,
    /// Time stamp of the last line that can be read.
    pub(super) ts: Timestamp,
    /// Whether the chain is known, without which the next line cannot be checked.
    is_known: bool,
}

/// Why a line is no sound one that may be what was written.
const UNKNOWN: &str = "what it follows is lost, so it cannot be checked";

/// Bytes that are no sound lines, and what they have cost.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) segment: u64,
    /// The bytes within the segment.
    pub(super) from: u64,
    pub(super) to: u64,
    /// Where the sound lines ended.
    pub(super) before: Place,
    /// The last event that is lost; that of `before` if none is.
    pub(super) last: Seq,
    /// What the next line follows, if that can be told.
    chain: Option<Chain>,
    /// The line as it was written, if that can be told.
    pub(super) restored: Option<Vec<u8>>,
    /// The segment that is missing: no bytes are damaged, and what was in it belongs where those before it end.
    pub(super) missing: Option<u64>,
    pub(super) reason: &'static str,
}

impl Run {
    /// Bytes of a segment, `from` up to `to`, that have cost no event as far as is known.
    fn at(segment: u64, (from, to): (u64, u64), before: Place, reason: &'static str) -> Self {
        Self {
            segment,
            from,
            to,
            before,
            last: before.position.seq,
            chain: Some(before.position.chain),
            restored: None,
            missing: None,
            reason,
        }
    }

    /// How many events are lost.
    pub(super) fn lost(&self) -> u64 {
        if self.restored.is_some() { 0 } else { self.last.0 - self.before.position.seq.0 }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.to - self.from
    }

    /// The segment with the bytes, and where they begin in it.
    pub(super) fn place(&self) -> (u64, u64) {
        self.missing.map_or((self.segment, self.from), |missing| (missing, 0))
    }

    /// What is to stand in their place, whose bytes lie at `file` from `offset` on; and where the sound lines are
    /// then.
    pub(super) fn replacement(&self, group_id: &GroupId, file: &str, offset: u64) -> (Vec<u8>, Place) {
        let mut place = self.before;
        if let Some(line) = &self.restored {
            let raw = RawLine::split(line).and_then(|raw| Ok((raw, raw.check(place.position)?)));
            if let Ok((raw, position)) = raw {
                place.step(&raw, position);
            }
            return (line.clone(), place);
        }
        let mut lines = Vec::new();
        while place.position.seq < self.last {
            place.following = place.following.saturating_sub(1);
            let gap = Gap {
                ts: place.ts,
                following: place.following,
                reason: self.reason,
                place: (file, offset, self.bytes()),
            };
            let seq = place.position.seq.next();
            let known = self.chain.filter(|_| seq == self.last);
            place.is_known = known.is_some();
            let chain = known.unwrap_or_else(|| unknown_chain(place.position.chain));
            lines.extend(gap.encode(group_id, place.position, chain));
            place.position = Position { seq, chain };
        }
        (lines, place)
    }
}

impl Place {
    fn step(&mut self, line: &RawLine<'_>, position: Position) {
        (self.position, self.is_known) = (position, true);
        // A newer version may write envelopes that cannot be read; their lines are sound all the same.
        if let Ok(framing) = line.framing() {
            self.following = framing.b;
        }
        if let Ok(envelope) = line.envelope() {
            self.ts = envelope.ts;
        }
    }
}

/// What a survey comes upon.
pub(super) enum Part<'a> {
    /// A line that is what was written, where the sound lines are with it, and where it ends in its segment.
    Line(&'a [u8], Place, Mark),
    /// What is not.
    Damaged(Run),
}

/// A ledger that is gone over.
pub(super) struct Survey<'a> {
    shared: &'a Shared,
    /// First seqs of the segments, ascending.
    names: Vec<u64>,
    /// What is durable, as far as that is known.
    head: Option<Mark>,
}

impl<'a> Survey<'a> {
    /// A first segment that is missing counts as one that is empty.
    pub(super) fn new(shared: &'a Shared, head: Option<Mark>) -> Result<Self> {
        let mut names = shared.reader.list()?;
        if names.first() != Some(&1) {
            names.insert(0, 1);
        }
        Ok(Self { shared, names, head })
    }

    /// The first seq of the last segment.
    pub(super) fn last_segment(&self) -> u64 {
        self.names.last().copied().unwrap_or(1)
    }

    /// The segment with event `seq`, or where that should be.
    pub(super) fn segment_of(&self, seq: Seq) -> Option<u64> {
        let upper = self.names.partition_point(|first| *first <= seq.0);
        upper.checked_sub(1).and_then(|i| self.names.get(i)).copied()
    }

    /// Goes over all segments from `first` on, until `visit` has seen enough and says `false`. What cannot be
    /// told from an unfinished write is left out: judging that is a recovery's business. Returns where it ended.
    pub(super) fn run(&self, first: u64, mut visit: impl FnMut(Part<'_>) -> Result<bool>) -> Result<Place> {
        let mut place = self.start(first)?;
        for name in self.names.iter().copied().filter(|name| *name >= first) {
            if !self.segment(name, &mut place, &mut visit)? {
                break;
            }
        }
        Ok(place)
    }

    /// What the first line of a segment follows.
    pub(super) fn start(&self, first: u64) -> Result<Place> {
        let ts = Timestamp::from_millis(0);
        let (mut position, mut is_known) = (Position::start(&self.shared.group_id), true);
        let earlier = self.names.iter().copied().rfind(|name| *name < first);
        if let Some(name) = earlier {
            let stated = match self.open(name)? {
                Some((file, len)) => self.stated_at(name, &*file, len)?,
                None => None,
            };
            is_known = stated.is_some();
            position = Position {
                seq: Seq(first - 1),
                chain: stated.unwrap_or_else(|| unknown_chain(Chain::default())),
            };
        }
        Ok(Place { position, following: 0, ts, is_known })
    }

    /// A segment and its length; `None` for a first one that is missing.
    fn open(&self, name: u64) -> Result<Option<(Box<dyn DiskFile>, u64)>> {
        let path = self.shared.layout.segment(name);
        let file = match self.shared.disk.open(&path, OpenMode::Read) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound && name == 1 => return Ok(None),
            Err(e) => return Err(Error::io("open", &path, e)),
        };
        let len = file.stat().map_err(|e| Error::io("look at", &path, e))?.len;
        Ok(Some((file, len)))
    }

    fn failed(&self, name: u64, error: io::Error) -> Error {
        Error::io("read", &self.shared.layout.segment(name), error)
    }

    /// The chain that the bytes before a place state.
    fn stated_at(&self, name: u64, file: &dyn DiskFile, at: u64) -> Result<Option<Chain>> {
        let from = at.saturating_sub(TRAILER as u64);
        let len = usize::try_from(at - from).unwrap_or(TRAILER);
        let bytes = read_range(file, from, len).map_err(|e| self.failed(name, e))?;
        Ok(stated_before(&bytes))
    }

    /// The last event of a segment, if that is known: of the last one it is the head's.
    fn last_of(&self, name: u64) -> Option<u64> {
        match self.names.iter().copied().find(|next| *next > name) {
            Some(next) => Some(next - 1),
            None => self.head.map(|head| head.at.seq.0),
        }
    }

    fn is_last(&self, name: u64) -> bool {
        self.names.last() == Some(&name)
    }

    fn segment(
        &self,
        name: u64,
        place: &mut Place,
        visit: &mut impl FnMut(Part<'_>) -> Result<bool>,
    ) -> Result<bool> {
        let Some((file, len)) = self.open(name)? else { return self.missing(name, (name, 0), place, visit) };
        let (mut offset, mut strays) = (0, None);
        loop {
            let mut lines = LineReader::new(&*file, offset, len);
            let bad = loop {
                let at = lines.offset();
                let Some(line) = lines.next_line().map_err(|e| self.failed(name, e))? else { break None };
                if !self.is_last(name) && self.last_of(name) == Some(place.position.seq.0) {
                    break Some((at, "it does not belong into this file"));
                }
                match follow(line, place.position) {
                    Ok((raw, position)) => {
                        place.step(&raw, position);
                        let mark = Mark { segment: name, len: at + line.len() as u64, at: position };
                        if !visit(Part::Line(line, *place, mark))? {
                            return Ok(false);
                        }
                    }
                    Err(reason) => break Some((at, if place.is_known { reason } else { UNKNOWN })),
                }
            };
            let whole = self.last_of(name).is_none_or(|last| place.position.seq.0 >= last);
            if bad.is_none() && whole {
                return Ok(true);
            }
            let (at, reason) = bad.unwrap_or((len, "the file ends before its last event"));
            let found = self.damaged(name, &*file, len, at, *place, reason)?;
            let run = match found {
                None => return Ok(true),
                Some(run) if run.lost() == 0 => run,
                Some(run) => match self.stray(&mut strays, name, (&*file, len), at, *place)? {
                    Some(stray) => stray,
                    None if bad.is_none() && self.ends_at(name, place) => {
                        return self.missing(place.position.seq.next().0, (name, len), place, visit);
                    }
                    None => run,
                },
            };
            let beyond = run.to;
            *place = run.replacement(&self.shared.group_id, "", 0).1;
            if !visit(Part::Damaged(run))? {
                return Ok(false);
            }
            offset = beyond;
        }
    }

    /// Whether a segment that is too short for its events may yet be whole, and the next one missing: no command goes
    /// on in another segment, and the head's segment is named.
    fn ends_at(&self, name: u64, place: &Place) -> bool {
        let is_named = self.is_last(name) && self.head.is_some_and(|head| head.segment == name);
        place.following == 0 && place.position.seq.0 >= name && !is_named
    }

    /// Goes over what is not there: the events of segment `name`, and of those after it that are missing, too. Gaps for
    /// them belong at the end `at` of a segment that there is, or is to be.
    fn missing(
        &self,
        name: u64,
        (segment, at): (u64, u64),
        place: &mut Place,
        visit: &mut impl FnMut(Part<'_>) -> Result<bool>,
    ) -> Result<bool> {
        let bad = place.position.seq.next();
        let Some(last) = self.last_of(segment).filter(|last| *last >= bad.0) else { return Ok(true) };
        let mut run = Run::at(segment, (at, at), *place, "the segment file is missing");
        run.missing = Some(name);
        self.lose(&mut run, last)?;
        run.chain = self.head.filter(|_| self.is_last(segment)).map(|head| head.at.chain);
        *place = run.replacement(&self.shared.group_id, "", 0).1;
        visit(Part::Damaged(run))
    }

    /// Takes all events up to `last` for lost.
    fn lose(&self, run: &mut Run, last: u64) -> Result<()> {
        if last - run.before.position.seq.0 > MAX_LOST {
            let mut damage = run.damage(self.shared);
            damage.reason = format!("all events up to {last} are missing");
            return Err(Error::corrupt(damage).hint("restore the ledger's files from a copy"));
        }
        run.last = Seq(last);
        Ok(())
    }

    /// The line of the next event, which belongs at byte `at`, if it stands elsewhere in the segment: lines that have
    /// changed places are what they were. `strays` are the places of all lines by seq, once they were wanted.
    fn stray(
        &self,
        strays: &mut Option<BTreeMap<u64, Vec<(u64, usize)>>>,
        name: u64,
        (file, len): (&dyn DiskFile, u64),
        at: u64,
        before: Place,
    ) -> Result<Option<Run>> {
        if !before.is_known {
            return Ok(None);
        }
        if strays.is_none() {
            let mut places = BTreeMap::<u64, Vec<_>>::new();
            let mut lines = LineReader::new(file, 0, len);
            loop {
                let offset = lines.offset();
                let Some(line) = lines.next_line().map_err(|e| self.failed(name, e))? else { break };
                if let Some(seq) = RawLine::split(line).ok().and_then(|raw| raw.seq()) {
                    places.entry(seq.0).or_default().push((offset, line.len()));
                }
            }
            *strays = Some(places);
        }
        let bad = before.position.seq.next();
        for (offset, size) in strays.iter().filter_map(|places| places.get(&bad.0)).flatten() {
            let line = read_range(file, *offset, *size).map_err(|e| self.failed(name, e))?;
            if follow(&line, before.position).is_ok() {
                let mut run = Run::at(name, (at, at), before, "it stands elsewhere in this file");
                (run.last, run.restored) = (bad, Some(line));
                return Ok(Some(run));
            }
        }
        Ok(None)
    }

    /// How far the damage at byte `at` reaches; `None` if nothing says that this is no unfinished write.
    fn damaged(
        &self,
        name: u64,
        file: &dyn DiskFile,
        len: u64,
        at: u64,
        before: Place,
        reason: &'static str,
    ) -> Result<Option<Run>> {
        let bad = before.position.seq.next();
        let last = self.last_of(name);
        let is_durable = last.is_some_and(|last| last >= bad.0) || !self.is_last(name);
        if !is_durable && !is_acknowledged(file, at, len, bad).map_err(|e| self.failed(name, e))? {
            return Ok(None);
        }
        let mut run = Run::at(name, (at, len), before, reason);
        if self.resume(&mut run, file, len)? {
            return Ok(Some(run));
        }
        // Nothing sound follows in this file.
        let Some(last) = last.filter(|last| *last >= bad.0) else { return Ok(Some(run)) };
        self.lose(&mut run, last)?;
        run.chain = match self.head {
            Some(head) if self.is_last(name) => Some(head.at.chain),
            _ => self.stated_at(name, file, len)?,
        };
        let mut lines = LineReader::new(file, at, len);
        let line = lines.next_line().map_err(|e| self.failed(name, e))?.unwrap_or_default();
        let next = self.first_line_after(name)?;
        let fits = |position: Position| match (&next, self.head) {
            (Some(next), _) => follow(next, position).is_ok(),
            (None, Some(head)) => position == head.at,
            (None, None) => false,
        };
        if run.last == bad {
            run.restored = restored(line, before.position, run.chain, &fits);
            if run.restored.is_some() {
                run.to = at + line.len() as u64;
            }
        }
        Ok(Some(run))
    }

    /// Looks for the next sound line of the same file; `false` if there is none.
    fn resume(&self, run: &mut Run, file: &dyn DiskFile, len: u64) -> Result<bool> {
        let (name, previous) = (run.segment, run.before.position);
        let mut lines = LineReader::new(file, run.from, len);
        loop {
            let piece_at = lines.offset();
            let Some(piece) = lines.next_line().map_err(|e| self.failed(name, e))? else { return Ok(false) };
            // A line may also begin where the newline before it was lost.
            for start in memchr::memmem::find_iter(piece, b"{\"v\":") {
                let at = piece_at + start as u64;
                let Some(line) = piece.get(start..).and_then(|line| self.candidate(run, name, line)) else {
                    continue;
                };
                if at == run.from {
                    continue;
                }
                let seq = line.seq().unwrap_or_default();
                if seq == previous.seq.next() && line.check(previous).is_ok() {
                    run.to = at;
                    return Ok(true);
                }
                let Some(lost) = seq.0.checked_sub(1).map(Seq).filter(|lost| *lost > previous.seq) else {
                    continue;
                };
                let fits = |position: Position| line.check(position).is_ok();
                let stated = self
                    .stated_at(name, file, at)?
                    .filter(|chain| fits(Position { seq: lost, chain: *chain }));
                let size = usize::try_from(at - run.from).unwrap_or(usize::MAX);
                let mended = if lost == previous.seq.next() && size <= MAX_LINE_BYTES + 1 {
                    let bytes = read_range(file, run.from, size).map_err(|e| self.failed(name, e))?;
                    restored(&bytes, previous, stated, &fits)
                } else {
                    None
                };
                if stated.is_some() || mended.is_some() {
                    (run.to, run.last, run.chain, run.restored) = (at, lost, stated, mended);
                    return Ok(true);
                }
            }
        }
    }

    /// A piece of a file, if it may be a line after a run.
    fn candidate<'b>(&self, run: &Run, name: u64, bytes: &'b [u8]) -> Option<RawLine<'b>> {
        if !bytes.ends_with(b"\n") {
            return None;
        }
        let line = RawLine::split(bytes).ok()?;
        let seq = line.seq()?.0;
        let near = seq.checked_sub(run.before.position.seq.0)? <= MAX_LOST + 1;
        let here = self.is_last(name) || self.last_of(name).is_none_or(|last| seq <= last);
        let ours = near && here && line.envelope().is_ok_and(|one| one.group_id == self.shared.group_id);
        ours.then_some(line)
    }

    fn first_line_after(&self, name: u64) -> Result<Option<Vec<u8>>> {
        let Some(next) = self.names.iter().copied().find(|next| *next > name) else { return Ok(None) };
        let Some((file, len)) = self.open(next)? else { return Ok(None) };
        let mut lines = LineReader::new(&*file, 0, len);
        Ok(lines.next_line().map_err(|e| self.failed(next, e))?.map(<[u8]>::to_vec))
    }
}

/// The line that stood where `bytes` are, if so little of it is damaged that this can be told: its end, or a
/// single bit. `fits` says whether what follows follows it.
fn restored(
    bytes: &[u8],
    previous: Position,
    stated: Option<Chain>,
    fits: &dyn Fn(Position) -> bool,
) -> Option<Vec<u8>> {
    let sound = |line: &[u8]| {
        let position = RawLine::split(line).and_then(|raw| raw.check(previous)).ok()?;
        fits(position).then_some(())
    };
    if let Some(line) = restored_trailer(bytes, previous.chain)
        && sound(&line).is_some()
    {
        return Some(line);
    }
    stated?;
    if bytes.len() > MAX_FLIP_BYTES {
        return None;
    }
    let mut line = bytes.to_vec();
    for at in 0..line.len().saturating_sub(TRAILER) {
        for bit in 0..8 {
            let byte = line.get_mut(at)?;
            *byte ^= 1 << bit;
            if sound(&line).is_some() {
                return Some(line);
            }
            if let Some(byte) = line.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
    }
    None
}

impl Run {
    /// The first thing that is wrong, as it is reported.
    pub(super) fn damage(&self, shared: &Shared) -> Damage {
        let (segment, offset) = self.place();
        Damage {
            file: shown(&shared.layout.segment(segment)),
            offset,
            seq: self.before.position.seq.next(),
            reason: self.reason.into(),
        }
    }
}
