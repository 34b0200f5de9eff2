//! The line format: encoding, decoding and the chain. `docs/ledger-format.md` describes it for others.
//!
//! A line is one JSON object: envelope members, then `data`, then `chain`, always in that order.
//! `chain = blake3(previous chain || bytes before data || blake3(bytes of data))[..10]`. The data enters
//! by its hash, so a redacted line, whose data has been replaced by that hash, still verifies.

mod gap;

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;

use super::{Chain, Envelope, MAX_LINE_BYTES, Position};
use crate::error::{Error, Result};
use crate::event::{Body, Event, Via};
use crate::id::{EventId, GroupId, Nonce, Principal, Seq};
use crate::time::Timestamp;

pub(crate) use gap::{Gap, unknown_chain};

/// The version of the line format that this crate writes. Gaps alone, which only a repair writes, state 2.
pub const LINE_VERSION: u64 = 1;

const DATA: &[u8] = b",\"data\":";
const CHAIN: &[u8] = b",\"chain\":\"";
const CHAIN_HEX: usize = 20;
const END: &[u8] = b"\"}\n";
/// From the comma before `"chain"` to the newline.
pub(crate) const TRAILER: usize = CHAIN.len() + CHAIN_HEX + END.len();

const REDACTED_START: &[u8] = b"{\"redacted\":\"";
const REDACTED_END: &[u8] = b"\"}";
/// Shortest data that can be redacted in place.
pub const MIN_REDACTABLE: usize = REDACTED_START.len() + 64 + REDACTED_END.len();

/// The chain before the first event of a group.
#[must_use]
pub fn first_chain(group_id: &GroupId) -> Chain {
    truncate(blake3::hash(group_id.as_str().as_bytes()))
}

fn truncate(hash: blake3::Hash) -> Chain {
    let mut chain = Chain::default();
    chain.0.copy_from_slice(hash.as_bytes().split_at(10).0);
    chain
}

/// The chain after a line. `before_data` runs from the line's first byte up to the one before the
/// comma of `,"data":`.
fn next_chain(previous: Chain, before_data: &[u8], data_hash: &[u8; 32]) -> Chain {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&previous.0);
    hasher.update(before_data);
    hasher.update(data_hash);
    truncate(hasher.finalize())
}

/// Decodes lower-case hex of exactly `N` bytes.
pub(crate) fn parse_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// The chain that a line states, given its last [`TRAILER`] bytes.
pub(crate) fn stated_chain(trailer: &[u8]) -> Option<Chain> {
    let hex = trailer.strip_prefix(CHAIN)?.strip_suffix(END)?;
    parse_hex(hex).map(Chain)
}

/// The chain that the line states which ends with `bytes`, also where its newline is damaged or lost.
pub(crate) fn stated_before(bytes: &[u8]) -> Option<Chain> {
    let end = END.strip_suffix(b"\n").unwrap_or_default();
    let of = |line: &[u8]| {
        let hex = line.strip_suffix(end)?.last_chunk::<CHAIN_HEX>()?;
        parse_hex(hex).map(Chain)
    };
    of(bytes).or_else(|| of(bytes.split_last()?.1))
}

/// A line after `previous` with its end written anew, whatever stands there.
pub(crate) fn restored_trailer(line: &[u8], previous: Chain) -> Option<Vec<u8>> {
    let body = line.get(..line.len().checked_sub(TRAILER)?)?;
    let data_start = memchr::memmem::find(body, DATA)? + DATA.len();
    let (before, data) = (body.get(..data_start - DATA.len())?, body.get(data_start..)?);
    let hash = redacted_hash(data).unwrap_or_else(|| *blake3::hash(data).as_bytes());
    let chain = next_chain(previous, before, &hash).to_string();
    Some([body, CHAIN, chain.as_bytes(), END].concat())
}

/// The hash that stands in redacted data, if `data` is that.
fn redacted_hash(data: &[u8]) -> Option<[u8; 32]> {
    let rest = data.strip_prefix(REDACTED_START)?;
    let (hex, rest) = rest.split_at_checked(64)?;
    let padding = rest.strip_prefix(REDACTED_END)?;
    if padding.iter().any(|b| *b != b' ') {
        return None;
    }
    parse_hex(hex)
}

/// Whether an event's data has been replaced by its hash.
#[must_use]
pub fn is_redacted(data: &[u8]) -> bool {
    redacted_hash(data).is_some()
}

/// What replaces data of `len` bytes with this hash: the same length, padded with spaces.
pub fn redaction(data_hash: &[u8; 32], len: usize) -> Result<Vec<u8>> {
    if len < MIN_REDACTABLE {
        return Err(Error::refused(format!("data of {len} bytes is too short to be redacted in place")));
    }
    let hex = blake3::Hash::from_bytes(*data_hash).to_hex();
    let mut bytes = [REDACTED_START, hex.as_bytes(), REDACTED_END].concat();
    bytes.resize(len, b' ');
    Ok(bytes)
}

/// A line whose outer structure is sound. The chain has not been checked.
#[derive(Clone, Copy, Debug)]
pub struct RawLine<'a> {
    line: &'a [u8],
    data_start: usize,
}

impl<'a> RawLine<'a> {
    /// Splits a line, given with its newline, at its data and chain.
    pub fn split(line: &'a [u8]) -> Result<Self, &'static str> {
        if line.len() > MAX_LINE_BYTES {
            return Err("longer than a line may be");
        }
        let body_len = line.len().checked_sub(TRAILER).ok_or("too short to be an event")?;
        let (body, trailer) = line.split_at(body_len);
        if !(trailer.starts_with(CHAIN) && trailer.ends_with(END)) {
            return Err("does not end with its chain");
        }
        let comma = memchr::memmem::find(body, DATA).ok_or("has no data")?;
        Ok(Self { line, data_start: comma + DATA.len() })
    }

    /// The whole line, with its newline.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.line
    }

    /// Where the data lies within the line.
    #[must_use]
    pub fn data_range(&self) -> Range<usize> {
        self.data_start..self.line.len() - TRAILER
    }

    /// The data's JSON.
    #[must_use]
    pub fn data(&self) -> &'a [u8] {
        self.line.get(self.data_range()).unwrap_or_default()
    }

    fn before_data(&self) -> &'a [u8] {
        self.line.get(..self.data_start - DATA.len()).unwrap_or_default()
    }

    /// The BLAKE3 hash of the data as it was written.
    #[must_use]
    pub fn data_hash(&self) -> [u8; 32] {
        redacted_hash(self.data()).unwrap_or_else(|| *blake3::hash(self.data()).as_bytes())
    }

    /// The chain that the line states.
    pub fn chain(&self) -> Result<Chain, &'static str> {
        let start = self.line.len() - END.len() - CHAIN_HEX;
        let hex = self.line.get(start..start + CHAIN_HEX).unwrap_or_default();
        parse_hex(hex).map(Chain).ok_or("its chain is not hex")
    }

    /// Checks that the line follows `previous`: its seq, its chain.
    pub fn check(&self, previous: Position) -> Result<Position, &'static str> {
        let seq = self.seq().ok_or("has no seq")?;
        if seq != previous.seq.next() {
            return Err("its seq is not the next");
        }
        let chain = next_chain(previous.chain, self.before_data(), &self.data_hash());
        let stated = self.chain()?;
        if chain != stated && !self.is_gap_after(previous.chain, stated) {
            return Err("its chain does not match its content");
        }
        Ok(Position { seq, chain: stated })
    }

    /// The seq, without parsing the rest: lines begin `{"v":N,"seq":N,`.
    #[must_use]
    pub fn seq(&self) -> Option<Seq> {
        let text = self.line.strip_prefix(b"{\"v\":")?;
        let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
        let rest = text.get(digits..)?.strip_prefix(b",\"seq\":")?;
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        std::str::from_utf8(rest.get(..digits)?).ok()?.parse().ok().map(Seq)
    }

    /// The same event as a line of another group's ledger, after `previous` there.
    ///
    /// # Errors
    /// Why that cannot be written.
    pub(crate) fn moved(&self, to: &GroupId, previous: Chain) -> Result<(Vec<u8>, Chain), String> {
        let envelope = self.envelope()?;
        let (before, old) = (self.before_data(), format!(",\"group_id\":\"{}\"", envelope.group_id));
        // Quotes within strings are escaped, so this is no part of one; `via`, which is an object, comes later.
        let at = memchr::memmem::find(before, old.as_bytes())
            .ok_or("does not spell its group as this format does")?;
        let (start, rest) = before.split_at(at);
        let rest = rest.get(old.len()..).unwrap_or_default();
        let before = [start, format!(",\"group_id\":\"{to}\"").as_bytes(), rest].concat();
        let (line, chain) = if self.is_gap() {
            self.gap_moved(&before, previous).ok_or("is a gap without a seal")?
        } else {
            let chain = next_chain(previous, &before, &self.data_hash());
            ([&before, DATA, self.data(), CHAIN, chain.to_string().as_bytes(), END].concat(), chain)
        };
        let moved = RawLine::split(&line)?;
        if moved.envelope()? != (Envelope { group_id: to.clone(), ..envelope }) {
            return Err("does not spell its group as this format does".into());
        }
        Ok((line, chain))
    }

    /// Reads the envelope, without the data.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn envelope(&self) -> Result<Envelope, String> {
        Envelope::read(self.line, self.before_data())
    }

    /// Reads how the line stands in its command, also where its envelope cannot be read: a later version may write who
    /// did it in a way that this one does not know, and its lines are sound all the same.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub(crate) fn framing(&self) -> Result<Framing, String> {
        match self.envelope() {
            Ok(Envelope { b, u, .. }) => Ok(Framing { b, u }),
            Err(_) => {
                serde_json::from_slice(self.line).map_err(|error| format!("is not a JSON event: {error}"))
            }
        }
    }

    /// Reads the whole event.
    ///
    /// # Errors
    /// A sentence that says what is wrong; for a newer line version, that.
    pub fn parse(&self) -> Result<Event, String> {
        let envelope = self.envelope()?;
        let gap = envelope.v == gap::GAP_VERSION && envelope.kind == gap::GAP_KIND;
        if envelope.v > LINE_VERSION && !gap {
            return Err(format!("was written in line format {}, newer than this version reads", envelope.v));
        }
        let malformed =
            |error: &dyn std::fmt::Display| format!("its {} data is malformed: {error}", envelope.kind);
        let data = std::str::from_utf8(self.data()).map_err(|error| malformed(&error))?;
        let body = Body::parse(&envelope.kind, data).map_err(|error| malformed(&error))?;
        Ok(Event {
            seq: envelope.seq,
            id: envelope.id,
            ts: envelope.ts,
            group_id: envelope.group_id,
            scope_key: envelope.scope_key.into(),
            by: envelope.by,
            via: envelope.via,
            must: envelope.must,
            chain: self.chain()?,
            body,
        })
    }
}

/// How a line stands in its command.
#[derive(Deserialize)]
pub(crate) struct Framing {
    /// How many lines of the same command follow.
    #[serde(default)]
    pub(crate) b: u64,
    /// On a batch's first line: how many events before it were not yet known to be durable.
    #[serde(default)]
    pub(crate) u: u64,
}

/// What a rule wants written: an event without its place.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What happened.
    pub body: Body,
    /// Whether readers must know the kind to write.
    pub must: bool,
}

impl<T: Into<Body>> From<T> for Draft {
    fn from(body: T) -> Self {
        Self { body: body.into(), must: false }
    }
}

/// What all events of one command have in common.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// When.
    pub ts: Timestamp,
    /// Who.
    pub by: Principal,
    /// Through which door.
    pub via: Option<Via>,
    /// From which scope.
    pub scope_key: Arc<str>,
}

/// Encoded lines that follow one position.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What they follow.
    pub after: Position,
    /// Where they end.
    pub end: Position,
    /// The lines.
    pub bytes: Vec<u8>,
    /// Length of each line, in order.
    pub lens: Vec<u32>,
}

impl Batch {
    /// Where each of its events is to stand.
    pub(crate) fn positions(&self) -> impl Iterator<Item = Position> {
        let lines = self.bytes.split_inclusive(|byte| *byte == b'\n');
        let chains = lines.map_while(|line| RawLine::split(line).ok()?.chain().ok());
        chains.scan(self.after.seq, |seq, chain| {
            *seq = seq.next();
            Some(Position { seq: *seq, chain })
        })
    }
}

/// Encodes the commands of one turn into a [`Batch`].
#[derive(Debug)]
pub struct Encoder {
    group_id: GroupId,
    durable: Seq,
    batch: Batch,
    data_hashes: Vec<[u8; 32]>,
}

impl Encoder {
    /// Starts after `after`, when everything up to `durable` is known to be durable.
    #[must_use]
    pub fn new(group_id: GroupId, after: Position, durable: Seq) -> Self {
        let batch = Batch { after, end: after, bytes: Vec::new(), lens: Vec::new() };
        Self { group_id, durable, batch, data_hashes: Vec::new() }
    }

    /// The batch so far.
    #[must_use]
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The BLAKE3 hash of each event's data so far.
    #[must_use]
    pub fn data_hashes(&self) -> &[[u8; 32]] {
        &self.data_hashes
    }

    /// Where the batch ends so far.
    #[must_use]
    pub fn end(&self) -> Position {
        self.batch.end
    }

    /// Adds all events of one command, or none of them on an error. `nonce` is called once an event.
    pub fn push(
        &mut self,
        drafts: Vec<Draft>,
        stamp: &Stamp,
        mut nonce: impl FnMut() -> Nonce,
    ) -> Result<Vec<Event>> {
        let (bytes, lines, end) = (self.batch.bytes.len(), self.batch.lens.len(), self.batch.end);
        let count = drafts.len();
        let mut events = Vec::with_capacity(count);
        for (i, draft) in drafts.into_iter().enumerate() {
            match self.push_one(draft, stamp, nonce(), count - 1 - i, i == 0) {
                Ok(event) => events.push(event),
                Err(error) => {
                    self.batch.bytes.truncate(bytes);
                    self.batch.lens.truncate(lines);
                    self.data_hashes.truncate(lines);
                    self.batch.end = end;
                    return Err(error);
                }
            }
        }
        Ok(events)
    }

    fn push_one(
        &mut self,
        draft: Draft,
        stamp: &Stamp,
        nonce: Nonce,
        following: usize,
        first: bool,
    ) -> Result<Event> {
        let seq = self.batch.end.seq.next();
        let id = EventId { seq, nonce };
        let data = draft.body.data_json()?;
        if is_redacted(data.as_bytes()) {
            return Err(Error::invalid("event data may not look like redacted data"));
        }
        if draft.body.kind() == gap::GAP_KIND {
            return Err(Error::invalid("nothing but a repair writes a gap"));
        }
        let mut line = String::with_capacity(data.len() + 256);
        let text = |value: &str| serde_json::Value::from(value).to_string();
        // Writing to a String cannot fail.
        let _ = write!(
            line,
            r#"{{"v":{LINE_VERSION},"seq":{seq},"id":"{id}","ts":"{}","kind":{},"group_id":"{}","scope_key":{},"by":"{}""#,
            stamp.ts,
            text(draft.body.kind()),
            self.group_id,
            text(&stamp.scope_key),
            stamp.by
        );
        if let Some(via) = &stamp.via {
            let json = serde_json::to_string(via)
                .map_err(|source| Error::invalid("`via` cannot be written as JSON").source(source))?;
            let _ = write!(line, r#","via":{json}"#);
        }
        if draft.must {
            line.push_str(r#","must":true"#);
        }
        if following > 0 {
            let _ = write!(line, r#","b":{following}"#);
        }
        let unsynced = self.batch.end.seq.0.saturating_sub(self.durable.0);
        if first && unsynced > 0 {
            let _ = write!(line, r#","u":{unsynced}"#);
        }
        let data_hash = *blake3::hash(data.as_bytes()).as_bytes();
        let chain = next_chain(self.batch.end.chain, line.as_bytes(), &data_hash);
        let _ = write!(line, r#","data":{data},"chain":"{chain}""#);
        line.push_str("}\n");
        if line.len() > MAX_LINE_BYTES {
            return Err(Error::too_large(format!(
                "the event would take {} bytes; a line may have {MAX_LINE_BYTES}",
                line.len()
            ))
            .hint("attach large content as a file"));
        }
        self.batch.bytes.extend_from_slice(line.as_bytes());
        self.batch.lens.push(u32::try_from(line.len()).unwrap_or(u32::MAX));
        self.data_hashes.push(data_hash);
        self.batch.end = Position { seq, chain };
        Ok(Event {
            seq,
            id,
            ts: stamp.ts,
            group_id: self.group_id.clone(),
            scope_key: stamp.scope_key.clone(),
            by: stamp.by.clone(),
            via: stamp.via.clone(),
            must: draft.must,
            chain,
            body: draft.body,
        })
    }

    /// The encoded lines.
    #[must_use]
    pub fn finish(self) -> Batch {
        self.batch
    }
}

/// Consecutive lines whose chain has been checked.
#[derive(Clone, Debug, Default)]
pub struct Page {
    bytes: Vec<u8>,
    lines: Vec<Span>,
    /// `None` for no page at all.
    previous: Option<Position>,
}

/// Where a line of a page ends, and where its data begins within it.
#[derive(Clone, Copy, Debug)]
struct Span {
    end: usize,
    data_start: usize,
}

impl Page {
    /// Checks `bytes`, whole lines that follow `previous`, and takes them as a page.
    ///
    /// # Errors
    /// Offset of the line that is wrong, the seq that should stand there, and the reason.
    pub fn check(bytes: Vec<u8>, previous: Position) -> Result<Self, (usize, Seq, &'static str)> {
        let (mut lines, mut at, mut position) = (Vec::new(), 0, previous);
        while at < bytes.len() {
            let rest = bytes.get(at..).unwrap_or_default();
            let step = || {
                let len = memchr::memchr(b'\n', rest).ok_or("the line has no end")? + 1;
                let line = RawLine::split(rest.get(..len).unwrap_or_default())?;
                Ok((len, line.data_start, line.check(position)?))
            };
            let (len, data_start, next) = step().map_err(|reason| (at, position.seq.next(), reason))?;
            at += len;
            lines.push(Span { end: at, data_start });
            position = next;
        }
        Ok(Self { bytes, lines, previous: Some(previous) })
    }

    /// The position before the first line; `None` for an empty page. Whoever derives something from pages takes one
    /// only if this is where the last one ended: else the ledger has another history by now.
    #[must_use]
    pub fn previous(&self) -> Option<Position> {
        self.previous.filter(|_| !self.is_empty())
    }

    /// The position after the last line; `None` for an empty page.
    #[must_use]
    pub fn end(&self) -> Option<Position> {
        let seq = Seq(self.previous()?.seq.0 + self.len() as u64);
        Some(Position { seq, chain: stated_before(&self.bytes)? })
    }

    /// How many events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// All lines, as stored.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Gives the lines away.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The lines one by one.
    pub fn lines(&self) -> impl Iterator<Item = RawLine<'_>> {
        let starts = std::iter::once(0).chain(self.lines.iter().map(|span| span.end));
        starts.zip(&self.lines).filter_map(|(start, span)| {
            Some(RawLine { line: self.bytes.get(start..span.end)?, data_start: span.data_start })
        })
    }

    /// The events one by one.
    ///
    /// # Errors
    /// `Unsupported` for a line that a newer version wrote, or one whose data no version can read: its
    /// chain is right, so it is what its writer meant.
    pub fn events(&self) -> impl Iterator<Item = Result<Event>> + '_ {
        self.lines().map(|line| {
            line.parse().map_err(|reason| {
                let seq = line.seq().unwrap_or_default();
                Error::unsupported(format!("event {seq} {reason}")).hint("upgrade cccc, then try again")
            })
        })
    }
}
