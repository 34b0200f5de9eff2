//! The index: for each segment a file that answers lookups without reading the segment.
//!
//! Derived, never synced, never trusted: each piece carries a checksum of its own, and what does not
//! check is as if it were not there. The active segment's file covers a part of it and is replaced, by
//! rename, whenever it is extended.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use roaring::{RoaringBitmap, RoaringTreemap};
use serde::{Deserialize, Serialize};

use super::Shared;
use super::files::Access;
use super::filter::Filter;
use super::lines::read_range;
use super::page::{Mark, PAGE_BYTES, Role, State, number};
use crate::disk::{DiskFile, Kept, OpenMode};
use crate::error::{Error, Result};
use crate::id::{Principal, Seq};
use crate::index::TailIndex;
use crate::ledger::{Chain, Found, Lookup, Position, ReadLimit};
use crate::time::Timestamp;

const MAGIC: &[u8; 8] = b"CCCCidx1";
/// Magic, where the directory lies, how long it is, its checksum.
const HEADER: usize = 8 + 8 + 8 + 16;
/// Entries of a block of sorted pairs.
const BLOCK: usize = 512;
/// Index files kept open.
const MAX_OPEN: usize = 64;

/// The part of an index file that is read when it is opened.
#[derive(Debug, Serialize, Deserialize)]
struct Directory {
    first: u64,
    /// The last event that is covered, and the chain there.
    last: u64,
    chain: [u8; 10],
    /// Earliest and latest time stamp of the events covered, in milliseconds.
    times: (i64, i64),
    /// Sorted by name.
    principals: Vec<(String, Piece)>,
    /// Sorted (target, fact) pairs, by the first target of each block.
    targets: Vec<(u64, Piece)>,
    /// Sorted (hash, event) pairs, by the first hash of each block.
    keys: Vec<(u64, Piece)>,
}

/// What follows the directory; a file of an earlier version ends before it.
#[derive(Debug, Serialize, Deserialize)]
struct Supplement {
    /// The [`Filter`] of all keys.
    filter: Piece,
}

/// A part of an index file.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Piece {
    at: u64,
    len: u32,
    sum: u64,
}

/// What an index file holds, in memory while it is extended.
#[derive(Debug)]
struct Content {
    times: (i64, i64),
    /// Seqs relative to the segment's first.
    principals: BTreeMap<String, RoaringBitmap>,
    targets: Vec<(u64, u64)>,
    keys: Vec<(u64, u64)>,
}

impl Default for Content {
    fn default() -> Self {
        Self {
            times: (i64::MAX, i64::MIN),
            principals: BTreeMap::new(),
            targets: Vec::new(),
            keys: Vec::new(),
        }
    }
}

fn checksum(bytes: &[u8]) -> u64 {
    let hash = blake3::hash(bytes);
    number(hash.as_bytes()).map_or(0, |(first, _)| first)
}

/// An index file that is open.
#[derive(Debug)]
struct Run {
    directory: Directory,
    supplement: Option<Supplement>,
    /// Read when it is first asked for; `None` if it is garbage, or there is none.
    filter: OnceLock<Option<Filter>>,
    file: Box<dyn DiskFile>,
    _kept: Kept,
    identity: (u64, u64),
}

impl Run {
    /// A piece, if it is what was written.
    fn piece(&self, piece: &Piece) -> Option<Vec<u8>> {
        let bytes = read_range(&*self.file, piece.at, usize::try_from(piece.len).ok()?).ok()?;
        (checksum(&bytes) == piece.sum).then_some(bytes)
    }

    /// The second numbers of all pairs that begin with `key`, ascending. `None` if a block is garbage.
    fn pairs(&self, blocks: &[(u64, Piece)], key: u64) -> Option<Vec<u64>> {
        let mut found = Vec::new();
        let from = blocks.partition_point(|(first, _)| *first < key).saturating_sub(1);
        for (first, piece) in blocks.iter().skip(from) {
            if *first > key {
                break;
            }
            let pairs = decode_pairs(&self.piece(piece)?)?;
            found.extend(pairs.iter().filter(|pair| pair.0 == key).map(|pair| pair.1));
        }
        Some(found)
    }

    /// The events with a key, ascending. `None` if what has to be read for it is garbage.
    fn keyed(&self, key: u64) -> Option<Vec<u64>> {
        let read = || self.piece(&self.supplement.as_ref()?.filter).map(Filter::from_bytes);
        match self.filter.get_or_init(read) {
            Some(filter) if !filter.may_hold(key) => Some(Vec::new()),
            _ => self.pairs(&self.directory.keys, key),
        }
    }

    fn bitmap(&self, piece: &Piece) -> Option<RoaringBitmap> {
        RoaringBitmap::deserialize_from(&*self.piece(piece)?).ok()
    }

    /// Everything, to be extended.
    fn content(&self) -> Option<Content> {
        let Directory { times, principals, targets, keys, .. } = &self.directory;
        let mut content = Content { times: *times, ..Content::default() };
        for (name, piece) in principals {
            content.principals.insert(name.clone(), self.bitmap(piece)?);
        }
        for (blocks, pairs) in [(targets, &mut content.targets), (keys, &mut content.keys)] {
            for (_, piece) in blocks {
                pairs.extend(decode_pairs(&self.piece(piece)?)?);
            }
        }
        Some(content)
    }
}

/// Pairs as differences: to the first number before, and of the second to its predecessor in the block.
fn encode_pairs(pairs: &[(u64, u64)]) -> Vec<u8> {
    let mut before = (0, 0);
    let mut steps = Vec::with_capacity(pairs.len());
    for pair in pairs {
        steps.push((pair.0.wrapping_sub(before.0), pair.1.wrapping_sub(before.1).cast_signed()));
        before = *pair;
    }
    postcard::to_stdvec(&steps).unwrap_or_default()
}

fn decode_pairs(bytes: &[u8]) -> Option<Vec<(u64, u64)>> {
    let steps: Vec<(u64, i64)> = postcard::from_bytes(bytes).ok()?;
    let mut before = (0_u64, 0_u64);
    let pairs = steps.into_iter().map(|step| {
        before = (before.0.wrapping_add(step.0), before.1.wrapping_add(step.1.cast_unsigned()));
        before
    });
    Some(pairs.collect())
}

impl Content {
    /// Takes entries of events `from..=to` over.
    fn add(&mut self, tail: &TailIndex, first: u64, from: u64, to: u64) {
        for (principal, seqs) in &tail.involved {
            let mut some = RoaringTreemap::new();
            some.insert_range(from..=to);
            some &= seqs;
            if !some.is_empty() {
                let bitmap = self.principals.entry(principal.to_string()).or_default();
                bitmap.extend(some.iter().map(|seq| u32::try_from(seq - first).unwrap_or(u32::MAX)));
            }
        }
        let within = |seq: &u64| (from..=to).contains(seq);
        for (target, facts) in &tail.targets {
            self.targets.extend(facts.iter().copied().filter(within).map(|fact| (*target, fact)));
        }
        for (key, seqs) in &tail.keys {
            self.keys.extend(seqs.iter().copied().filter(within).map(|seq| (*key, seq)));
        }
    }

    /// The bytes of an index file.
    fn encode(mut self, first: u64, last: u64, chain: Chain) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        let mut put = |piece: &[u8]| {
            let at = bytes.len() as u64;
            bytes.extend_from_slice(piece);
            Piece { at, len: u32::try_from(piece.len()).unwrap_or(u32::MAX), sum: checksum(piece) }
        };
        let mut principals = Vec::new();
        for (name, bitmap) in &mut self.principals {
            bitmap.optimize();
            let mut piece = Vec::new();
            // Writing to a Vec cannot fail.
            let _ = bitmap.serialize_into(&mut piece);
            principals.push((name.clone(), put(&piece)));
        }
        let supplement =
            Supplement { filter: put(Filter::of(self.keys.iter().map(|(key, _)| *key)).bytes()) };
        let mut blocks = |mut pairs: Vec<(u64, u64)>| {
            pairs.sort_unstable();
            pairs.dedup();
            let pieces = pairs.chunks(BLOCK);
            let named = pieces.filter_map(|chunk| Some((chunk.first()?.0, put(&encode_pairs(chunk)))));
            named.collect::<Vec<_>>()
        };
        let targets = blocks(self.targets);
        let keys = blocks(self.keys);
        let directory =
            Directory { first, last, chain: chain.0, times: self.times, principals, targets, keys };
        let at = bytes.len() as u64;
        let directory = postcard::to_stdvec(&(directory, supplement)).unwrap_or_default();
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&at.to_le_bytes());
        header.extend_from_slice(&(directory.len() as u64).to_le_bytes());
        header.extend_from_slice(blake3::hash(&directory).as_bytes().split_at(16).0);
        bytes.extend_from_slice(&directory);
        if let Some(start) = bytes.get_mut(..HEADER) {
            start.copy_from_slice(&header);
        }
        bytes
    }
}

/// The index files that are open.
#[derive(Debug, Default)]
pub(super) struct Indexes {
    open: Mutex<BTreeMap<u64, Arc<Run>>>,
    /// Only one task of this process extends.
    extending: Mutex<()>,
}

impl Indexes {
    /// Forgets what is open.
    pub(super) fn forget(&self) {
        self.open().clear();
    }

    /// Never held during a call to the disk.
    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Run>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// A segment's index file, if it is one.
    fn run(&self, first: u64) -> Option<Arc<Run>> {
        let path = self.layout.index(first);
        let stat = self.disk.stat(&path).ok()?;
        if let Some(run) = self.indexes.open().get(&first).filter(|run| run.identity == stat.identity) {
            return Some(run.clone());
        }
        let file = self.disk.open(&path, OpenMode::Read).ok()?;
        let stat = file.stat().ok()?;
        let header = read_range(&*file, 0, HEADER).ok()?;
        let (at, rest) = number(header.strip_prefix(MAGIC)?)?;
        let (len, sum) = number(rest)?;
        if at.checked_add(len)? != stat.len {
            return None;
        }
        let bytes = read_range(&*file, at, usize::try_from(len).ok()?).ok()?;
        if !blake3::hash(&bytes).as_bytes().starts_with(sum) || sum.len() != 16 {
            return None;
        }
        let (directory, rest): (Directory, _) = postcard::take_from_bytes(&bytes).ok()?;
        let supplement = postcard::from_bytes(rest).ok();
        if directory.first != first || directory.last + 1 < first {
            return None;
        }
        let end = Position { seq: Seq(directory.last), chain: Chain(directory.chain) };
        if !self.is_here(end) {
            return None;
        }
        let (filter, kept) = (OnceLock::new(), self.disk.keep(1));
        let run = Arc::new(Run { directory, supplement, filter, file, _kept: kept, identity: stat.identity });
        let mut open = self.indexes.open();
        if open.len() >= MAX_OPEN {
            open.pop_first();
        }
        open.insert(first, run.clone());
        Some(run)
    }

    /// Whether what an index file was made of is this ledger's own: it may have been left by another history. Asked
    /// once a file, because whoever finds another history begins by loading, and then all are opened anew.
    fn is_here(&self, end: Position) -> bool {
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Another process may have indexed what this one has not seen yet.
        let head = seen.filter(|head| end.seq <= head.mark.at.seq).or_else(|| {
            let file = self.head.get(&*self.disk, Access::Read).ok()?;
            let page = read_range(&*file, 0, PAGE_BYTES).ok()?;
            State::decode(Role::Head, &page).filter(|head| end.seq <= head.mark.at.seq)
        });
        head.is_some_and(|head| self.reader.position(&head.mark, end.seq).is_ok_and(|actual| actual == end))
    }

    /// The runs that cover the events from the first on without a gap.
    fn runs(&self) -> Vec<Arc<Run>> {
        let mut runs: Vec<Arc<Run>> = Vec::new();
        let mut next = 1;
        while let Some(run) = self.run(next) {
            let covered = run.directory.last + 1;
            runs.push(run);
            if covered <= next {
                break;
            }
            next = covered;
        }
        runs
    }

    /// Looks something up in the index.
    pub(super) fn find(&self, lookup: &Lookup) -> Result<Found> {
        let runs = self.runs();
        let covered = Seq(runs.last().map_or(0, |run| run.directory.last));
        if let Some(seqs) = search(&runs, lookup) {
            return Ok(Found { seqs: seqs.into_iter().map(Seq).collect(), covered });
        }
        // A piece was garbage. What lies before the first bad file is still good.
        let mut good = Vec::new();
        for run in runs {
            if search(std::slice::from_ref(&run), lookup).is_none() {
                break;
            }
            good.push(run);
        }
        let covered = Seq(good.last().map_or(0, |run| run.directory.last));
        let seqs = search(&good, lookup).unwrap_or_default();
        Ok(Found { seqs: seqs.into_iter().map(Seq).collect(), covered })
    }

    /// Makes entries durable-ish: writes them into the index files, unless somebody else is doing so.
    pub(super) fn extend_index(&self, tail: &TailIndex, through: Position, head: &Mark) -> Result<Seq> {
        let covered = |runs: &[Arc<Run>]| Seq(runs.last().map_or(0, |run| run.directory.last));
        let Ok(_alone) = self.indexes.extending.try_lock() else { return Ok(covered(&self.runs())) };
        let path = &self.layout.index_lock;
        let lock = self.disk.open_lock(path).map_err(|e| Error::io("open", path, e))?;
        if !lock.try_lock().map_err(|e| Error::io("lock", path, e))? {
            return Ok(covered(&self.runs()));
        }
        if through.seq > head.at.seq || self.reader.position(head, through.seq)? != through {
            return Err(Error::conflict(format!("{through} is no durable position of this ledger")));
        }
        loop {
            let runs = self.runs();
            let done = covered(&runs);
            if done >= through.seq {
                let _ = lock.unlock();
                return Ok(done);
            }
            self.extend_segment(tail, done, through.seq, head)?;
        }
    }

    /// Extends the index of the segment that holds the event after `done`.
    fn extend_segment(&self, tail: &TailIndex, done: Seq, through: Seq, head: &Mark) -> Result<()> {
        let (segment, next) = self.reader.locate(done.next(), head.segment)?;
        let first = segment.first;
        let last = next.map_or(through.0, |next| through.0.min(next - 1));
        // A file whose pieces are garbage is made anew.
        let known = self.run(first).filter(|run| run.directory.last == done.0);
        let content = known.and_then(|run| run.content());
        let from = if content.is_some() { done.0 + 1 } else { first };
        let mut content = content.unwrap_or_default();
        match tail.range {
            Some((start, end)) if start <= from && last <= end => content.add(tail, first, from, last),
            // The tail does not reach back so far, so the lines themselves are asked.
            _ => {
                let read = self.tail_of(from, last, head)?;
                content.add(&read, first, from, last);
            }
        }
        for seq in [from, last] {
            let time = self.time_of(Seq(seq), head)?.as_millis();
            content.times = (content.times.0.min(time), content.times.1.max(time));
        }
        let chain = self.reader.position(head, Seq(last))?.chain;
        let bytes = content.encode(first, last, chain);
        let draft = self.layout.index_draft(first);
        let io = |what, e| Error::io(what, &draft, e);
        let file = self.disk.open(&draft, OpenMode::Create).map_err(|e| io("make", e))?;
        file.truncate(0).map_err(|e| io("cut", e))?;
        file.write_at(&bytes, 0).map_err(|e| io("write to", e))?;
        drop(file);
        let path = self.layout.index(first);
        self.disk.rename(&draft, &path).map_err(|e| Error::io("rename to", &path, e))
    }

    /// Index entries made from the lines.
    fn tail_of(&self, from: u64, to: u64, head: &Mark) -> Result<TailIndex> {
        let mut tail = TailIndex::default();
        let mut seq = from;
        while seq <= to {
            let page = self.reader.read(head, Seq(seq), ReadLimit::CHUNK)?;
            for event in page.events().take(usize::try_from(to - seq + 1).unwrap_or(usize::MAX)) {
                tail.add(&event?);
            }
            seq += (page.len() as u64).max(1);
        }
        Ok(tail)
    }

    fn time_of(&self, seq: Seq, head: &Mark) -> Result<Timestamp> {
        let page = self.reader.read(head, seq, ReadLimit::ONE)?;
        let line = page.lines().next();
        let time = line.and_then(|line| line.envelope().ok().map(|envelope| envelope.ts));
        time.ok_or_else(|| Error::unsupported(format!("event {seq} has no time that this version can read")))
    }
}

/// Searches runs that follow one another. `None` if one of them is garbage.
fn search(runs: &[Arc<Run>], lookup: &Lookup) -> Option<Vec<u64>> {
    let mut found = Vec::new();
    match lookup {
        Lookup::Target(target) => {
            for run in runs {
                found.extend(run.pairs(&run.directory.targets, target.0)?);
            }
        }
        Lookup::Key(hash) => {
            for run in runs.iter().rev() {
                found.extend(run.keyed(*hash)?.into_iter().rev());
            }
        }
        Lookup::Involving { principal, before, limit } => {
            for run in runs.iter().rev().filter(|run| run.directory.first < before.0) {
                if found.len() >= *limit {
                    break;
                }
                found.extend(involving(run, principal, *before, limit - found.len())?);
            }
        }
    }
    Some(found)
}

fn involving(run: &Run, principal: &Principal, before: Seq, limit: usize) -> Option<Vec<u64>> {
    let Directory { first, principals, .. } = &run.directory;
    let name = principal.to_string();
    let Ok(at) = principals.binary_search_by(|(other, _)| other.as_str().cmp(&name)) else {
        return Some(Vec::new());
    };
    let bitmap = run.bitmap(&principals.get(at)?.1)?;
    let end = match before.0 - first {
        0 => 0,
        below => bitmap.rank(u32::try_from(below - 1).unwrap_or(u32::MAX)),
    };
    let start = end.saturating_sub(limit as u64);
    let ranks = (start..end).rev().filter_map(|rank| bitmap.select(u32::try_from(rank).ok()?));
    Some(ranks.map(|seq| first + u64::from(seq)).collect())
}
