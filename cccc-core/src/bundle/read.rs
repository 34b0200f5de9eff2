//! Reading a bundle: nothing in it is believed.
//!
//! Entries must be the ones of the format, in its order; every line must follow the one before it by its
//! chain, from the group's id to the head that the first entry names; every attachment must have the digest
//! that is its name, and a message that names it. Memory is bounded by the longest line and by the digests
//! of the attachments, whatever the file says of itself.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read};

use serde::de::DeserializeOwned;

use super::{BEGIN, Begin, END, End, FORMAT, MAX_NOTE_BYTES};
use crate::blobs::{Digest, Named, hex};
use crate::error::{Damage, Error, ErrorKind, Result};
use crate::event::Body;
use crate::id::{GroupId, Seq};
use crate::ledger::{Batch, MAX_LINE_BYTES, Position, RawLine, codec};

/// How much is handed on at a time, unless one command takes more.
const BATCH_BYTES: usize = 4 << 20;

/// The most that the events of one command may take.
const MAX_COMMAND_BYTES: usize = 64 << 20;

/// Where a bundle goes, piece by piece, each of them checked. What was handed over counts only when
/// [`read`] has succeeded.
pub(crate) trait Contents {
    /// What it begins with; answers with the id that the group shall have.
    fn begin(&mut self, begin: &Begin) -> Result<GroupId>;
    /// Whole commands, which follow those before.
    fn lines(&mut self, batch: Batch) -> Result<()>;
    /// An attachment; answers with the digest of what it read.
    fn blob(&mut self, name: &str, content: &mut dyn Read) -> Result<String>;
}

/// What was read.
#[derive(Clone, Debug)]
pub(crate) struct Whole {
    pub(crate) begin: Begin,
    /// The end of the ledger, under the id it has now.
    pub(crate) head: Position,
    /// How many of the events are gaps.
    pub(crate) gaps: u64,
    pub(crate) blobs: u64,
    /// How many attachments were redacted.
    pub(crate) missing_blobs: u64,
    /// Those that were lost before.
    pub(crate) lost_blobs: Vec<String>,
}

/// Reads a bundle to its end. `file` names it in errors.
pub(crate) fn read(from: impl Read, file: &str, into: &mut dyn Contents) -> Result<Whole> {
    let ended = Cell::new(false);
    let mut reader =
        Reader { file, into, lines: None, named: Named::default(), blobs: BTreeSet::new(), end: None };
    let read = reader.entries(Noticing { from, ended: &ended });
    match read.and_then(|()| reader.whole()) {
        // Whatever is wrong with the last piece of a file that ends early is wrong because it does.
        Err(error) if ended.get() && reader.lines.is_some() => match error.kind() {
            ErrorKind::Corrupt | ErrorKind::Invalid => Err(cut(file)),
            _ => Err(error),
        },
        result => result,
    }
}

/// A reader that notices when more is wanted of it than there is.
struct Noticing<'a, R> {
    from: R,
    ended: &'a Cell<bool>,
}

impl<R: Read> Read for Noticing<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.from.read(buffer)?;
        if len == 0 && !buffer.is_empty() {
            self.ended.set(true);
        }
        Ok(len)
    }
}

/// The error for a file that is not whole.
fn cut(file: &str) -> Error {
    Error::invalid(format!("{file}: the file ends before its last entry"))
        .hint("it was cut short on the way: copy or export it again")
}

struct Reader<'a> {
    file: &'a str,
    into: &'a mut dyn Contents,
    /// The ledger so far; `None` before the first entry.
    lines: Option<Lines>,
    named: Named,
    /// Those that came.
    blobs: BTreeSet<Digest>,
    end: Option<End>,
}

impl Reader<'_> {
    fn entries(&mut self, from: impl Read) -> Result<()> {
        let mut archive = tar::Archive::new(from);
        // Raw: extensions of the format are entries like others, which means that they are refused.
        for entry in archive.entries().map_err(|e| unreadable(self.file, &e))?.raw(true) {
            let mut entry = entry.map_err(|e| unreadable(self.file, &e))?;
            self.entry(&mut entry)?;
        }
        Ok(())
    }

    fn entry(&mut self, entry: &mut tar::Entry<'_, impl Read>) -> Result<()> {
        let path = entry.path_bytes().into_owned();
        let name = String::from_utf8_lossy(&path).into_owned();
        let place = format!("{}, entry {name:?}", self.file);
        let stray = |what: &str| {
            Err(Error::invalid(format!("{place}: {what}")).hint("this is no file of `cccc group export`"))
        };
        if entry.header().entry_type() != tar::EntryType::Regular {
            return stray("only plain files belong into such a file");
        }
        if self.end.is_some() {
            return stray("something follows the last entry");
        }
        let Some(lines) = &mut self.lines else {
            if name != BEGIN {
                return stray("the first entry must be cccc-group.json");
            }
            let begin: Begin = note(entry, &place)?;
            if begin.cccc_group > FORMAT {
                return Err(Error::unsupported(format!("{place}: format {} is newer", begin.cccc_group))
                    .hint("upgrade cccc"));
            }
            let to = self.into.begin(&begin)?;
            self.lines = Some(Lines::new(begin, to));
            return Ok(());
        };
        if let Some(first) = segment(&name) {
            if !self.blobs.is_empty() || first != lines.at.seq.next() {
                return stray("it is out of order");
            }
            return lines.read(entry, &place, self.into, &mut self.named);
        }
        if let Some(digest) = name.strip_prefix("blobs/").and_then(|hex| codec::parse_hex(hex.as_bytes())) {
            lines.complete(&place, self.into)?;
            if self.blobs.last().is_some_and(|last| *last >= digest) {
                return stray("it is out of order, or there twice");
            }
            if !self.named.contains(&digest) {
                return stray("no message names it");
            }
            if entry.header().entry_size().map_err(|e| unreadable(self.file, &e))? > crate::MAX_BLOB_BYTES {
                return stray("it is larger than an attachment may be");
            }
            let hex = hex(&digest);
            if self.into.blob(&hex, entry)? != hex {
                return Err(damaged(
                    &place,
                    lines.at.seq,
                    "the content does not have the digest that is its name",
                ));
            }
            self.blobs.insert(digest);
            return Ok(());
        }
        if name == END {
            lines.complete(&place, self.into)?;
            self.end = Some(note(entry, &place)?);
            return Ok(());
        }
        stray("such an entry does not belong into such a file")
    }

    fn whole(&self) -> Result<Whole> {
        let (Some(lines), Some(end)) = (&self.lines, &self.end) else { return Err(cut(self.file)) };
        let blobs = u64::try_from(self.blobs.len()).unwrap_or(u64::MAX);
        if (end.events, end.blobs) != (lines.at.seq, blobs) {
            return Err(cut(self.file));
        }
        let (mut missing_blobs, mut lost_blobs) = (0, Vec::new());
        for (digest, _) in self.named.iter().filter(|(digest, _)| !self.blobs.contains(*digest)) {
            match self.named.is_redacted(digest) {
                true => missing_blobs += 1,
                false => lost_blobs.push(hex(digest)),
            }
        }
        Ok(Whole {
            begin: lines.begin.clone(),
            head: lines.written,
            gaps: lines.gaps,
            blobs,
            missing_blobs,
            lost_blobs,
        })
    }
}

/// The ledger of a bundle, as far as it was read.
struct Lines {
    begin: Begin,
    /// The id it shall have.
    to: GroupId,
    /// How far the lines were followed, under the id they have in the file.
    at: Position,
    /// How far they were made, under the id they shall have.
    written: Position,
    /// How many of them are gaps.
    gaps: u64,
    /// Lines that were not handed on yet.
    batch: Batch,
    /// Up to where the batch has whole commands: bytes, lines, position.
    whole: (usize, usize, Position),
}

impl Lines {
    fn new(begin: Begin, to: GroupId) -> Self {
        let (at, written) = (Position::start(&begin.group_id), Position::start(&to));
        let batch = Batch { after: written, end: written, bytes: Vec::new(), lens: Vec::new() };
        Self { begin, to, at, written, gaps: 0, batch, whole: (0, 0, written) }
    }

    fn read(
        &mut self,
        entry: &mut impl Read,
        place: &str,
        into: &mut dyn Contents,
        named: &mut Named,
    ) -> Result<()> {
        let mut reader = BufReader::with_capacity(256 << 10, entry);
        let (mut line, mut offset) = (Vec::new(), 0);
        loop {
            line.clear();
            let limit = u64::try_from(MAX_LINE_BYTES).unwrap_or(u64::MAX);
            let len =
                (&mut reader).take(limit).read_until(b'\n', &mut line).map_err(|e| unreadable(place, &e))?;
            if len == 0 {
                return Ok(());
            }
            self.line(&line, named).map_err(|reason| {
                let seq = self.at.seq.next();
                let damage = Damage { file: place.to_owned(), offset, seq, reason };
                Error::corrupt(damage).hint("nothing was imported; export it again, or take another copy")
            })?;
            offset += u64::try_from(len).unwrap_or(u64::MAX);
            if self.batch.bytes.len() >= BATCH_BYTES {
                self.hand_on(into)?;
                if self.batch.bytes.len() > MAX_COMMAND_BYTES {
                    return Err(Error::too_large(format!(
                        "{place}: one command takes more than {MAX_COMMAND_BYTES} bytes"
                    )));
                }
            }
        }
    }

    fn line(&mut self, bytes: &[u8], named: &mut Named) -> Result<(), String> {
        if !bytes.ends_with(b"\n") {
            return Err("the line has no end, or is longer than a line may be".into());
        }
        let line = RawLine::split(bytes)?;
        let next = line.check(self.at)?;
        let event = line.parse()?;
        if event.group_id != self.begin.group_id {
            return Err(format!("it belongs to group {}", event.group_id));
        }
        if event.id.seq != event.seq {
            return Err("its id has another number".into());
        }
        let begins = matches!(event.body, Body::GroupCreate(_));
        if begins != (event.seq == Seq(1)) && !line.is_gap() {
            return Err("a ledger begins with group.create, and that comes once".into());
        }
        named.note(&event);
        self.gaps += u64::from(line.is_gap());
        let following = line.envelope()?.b;
        let len = self.batch.bytes.len();
        if self.to == self.begin.group_id {
            self.batch.bytes.extend_from_slice(bytes);
            self.written = next;
        } else {
            let (moved, chain) = line.moved(&self.to, self.written.chain)?;
            self.batch.bytes.extend_from_slice(&moved);
            self.written = Position { seq: next.seq, chain };
        }
        self.batch.lens.push(u32::try_from(self.batch.bytes.len() - len).unwrap_or(u32::MAX));
        self.batch.end = self.written;
        self.at = next;
        if following == 0 {
            self.whole = (self.batch.bytes.len(), self.batch.lens.len(), self.written);
        }
        Ok(())
    }

    /// Hands on the commands that are whole.
    fn hand_on(&mut self, into: &mut dyn Contents) -> Result<()> {
        let (bytes, lines, end) = self.whole;
        if bytes == 0 {
            return Ok(());
        }
        let rest = Batch {
            after: end,
            end: self.batch.end,
            bytes: self.batch.bytes.split_off(bytes),
            lens: self.batch.lens.split_off(lines),
        };
        self.batch.end = end;
        self.whole = (0, 0, end);
        into.lines(std::mem::replace(&mut self.batch, rest))
    }
}

impl Lines {
    /// Checks that the ledger is whole, and hands on what is left of it.
    fn complete(&mut self, place: &str, into: &mut dyn Contents) -> Result<()> {
        if self.at != self.begin.head {
            let reason =
                format!("the ledger ends at {}, and the first entry says {}", self.at, self.begin.head);
            return Err(damaged(place, self.at.seq.next(), &reason));
        }
        if self.whole.0 != self.batch.bytes.len() {
            return Err(damaged(place, self.at.seq.next(), "the ledger ends within a command"));
        }
        if self.at.seq == Seq(0) {
            return Err(damaged(place, Seq(1), "there is no event"));
        }
        self.hand_on(into)
    }
}

/// The first seq of a piece of the ledger, from its name.
fn segment(name: &str) -> Option<Seq> {
    let digits = name.strip_prefix("ledger/")?.strip_suffix(".jsonl")?;
    let plain = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok().map(Seq))?
}

/// A small entry of JSON.
fn note<T: DeserializeOwned>(entry: &mut impl Read, place: &str) -> Result<T> {
    let mut text = Vec::new();
    entry.take(MAX_NOTE_BYTES + 1).read_to_end(&mut text).map_err(|e| unreadable(place, &e))?;
    if u64::try_from(text.len()).is_ok_and(|len| len > MAX_NOTE_BYTES) {
        return Err(Error::too_large(format!("{place}: it is longer than {MAX_NOTE_BYTES} bytes")));
    }
    serde_json::from_slice(&text)
        .map_err(|e| Error::invalid(format!("{place}: {e}")).hint("this is no file of `cccc group export`"))
}

fn damaged(place: &str, seq: Seq, reason: &str) -> Error {
    let damage = Damage { file: place.to_owned(), offset: 0, seq, reason: reason.to_owned() };
    Error::corrupt(damage).hint("nothing was imported; export it again, or take another copy")
}

/// A file that cannot be read, or that is no tar archive.
fn unreadable(place: &str, source: &io::Error) -> Error {
    let error = Error::invalid(format!("cannot read {place}: {source}"));
    error.hint("give a file that `cccc group export` wrote; a compressed one must be unpacked first")
}

#[cfg(test)]
mod tests;
