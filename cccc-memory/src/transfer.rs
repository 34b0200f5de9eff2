//! The notes as lines of JSON: a header, a note a line, an end. What is cut short is noticed.

use std::io::{BufRead, Read, Write};

use cccc_core::{ActorId, Error, EventRef, Label, Principal, Result, Seq, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::draft::{check_origins, check_text, checked_tags};
use crate::memory::Memory;
use crate::note::{NoteId, Origin, Stored};
use crate::read::stored;
use crate::rule::{Care, Sight, may_write};
use crate::store::{Done, Store};
use crate::write::{check_room, insert, twin, update};

/// The version of the format.
pub const FORMAT: u32 = 1;

/// The longest line: the longest text, with all of it escaped, and all that may go with it.
const MAX_LINE_BYTES: u64 = 128 << 10;

/// The largest id that an imported note keeps.
const MAX_KEPT_ID: i64 = 1_000_000_000;

/// A line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Begin(Begin),
    Note(Box<Record>),
    End(End),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Begin {
    cccc_memory: u32,
    group_id: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    end: bool,
    notes: u64,
}

/// A note with all that is known of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    note_id: NoteId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<ActorId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner_at: Option<Seq>,
    text: String,
    #[serde(default)]
    tags: Vec<Label>,
    #[serde(default)]
    sources: Vec<Origin>,
    author: Principal,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    author_at: Option<Seq>,
    version: u64,
    edited_by: Principal,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    superseded_by: Option<NoteId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    forgotten_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    forgotten_by: Option<Principal>,
}

impl From<Stored> for Record {
    fn from(note: Stored) -> Self {
        let (owner, owner_at) = note.owner.unzip();
        let (forgotten_at, forgotten_by) = note.forgotten.unzip();
        Self {
            note_id: note.id,
            owner,
            owner_at,
            text: note.text,
            tags: note.tags,
            sources: note.sources,
            author: note.author,
            author_at: note.author_at,
            version: note.version,
            edited_by: note.edited_by,
            created_at: note.created_at,
            updated_at: note.updated_at,
            superseded_by: note.superseded_by,
            forgotten_at,
            forgotten_by,
        }
    }
}

impl Record {
    /// The note, if it keeps all bounds.
    fn checked(self) -> Result<Stored> {
        check_text(&self.text)?;
        check_origins(&self.sources)?;
        let half = |what: &str| Error::invalid(format!("`{what}` and `{what}_at` go together"));
        if self.version == 0 || i64::try_from(self.version).is_err() {
            return Err(Error::invalid("`version` counts from 1"));
        }
        Ok(Stored {
            id: self.note_id,
            owner: match (self.owner, self.owner_at) {
                (Some(id), Some(at)) => Some((id, at)),
                (None, None) => None,
                _ => return Err(half("owner")),
            },
            author_at: match (&self.author, self.author_at) {
                (Principal::Actor(_) | Principal::Person(_), Some(at)) => Some(at),
                (Principal::Actor(_) | Principal::Person(_), None) | (_, Some(_)) => {
                    return Err(half("author"));
                }
                (_, None) => None,
            },
            author: self.author,
            text: self.text,
            tags: checked_tags(self.tags)?,
            sources: self.sources,
            version: self.version,
            edited_by: self.edited_by,
            created_at: self.created_at,
            updated_at: self.updated_at,
            superseded_by: self.superseded_by,
            forgotten: match (self.forgotten_at, self.forgotten_by) {
                (Some(at), Some(by)) => Some((at, by)),
                (None, None) => None,
                _ => return Err(Error::invalid("`forgotten_at` and `forgotten_by` go together")),
            },
        })
    }
}

/// What was exported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Exported {
    /// How many notes.
    pub notes: u64,
}

/// What was imported.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Imported {
    /// How many notes were read.
    pub notes: u64,
    /// How many of them were added.
    pub added: u64,
    /// How many took the place of an older version of themselves.
    pub updated: u64,
    /// How many were there already.
    pub unchanged: u64,
    /// How many of those added have another id, as theirs was taken.
    pub renumbered: u64,
}

impl Memory {
    /// Writes all notes, also those superseded and forgotten, one a line. The foreman gets those of the group.
    ///
    /// # Errors
    /// `Refused` for peers; `Unavailable` if it cannot be written.
    pub async fn export(&self, mut to: impl Write) -> Result<Exported> {
        let (who, _) = self.asked().await?;
        who.may(Care::Export)?;
        let all = who.sight() == Sight::All;
        let failed = |error: std::io::Error| {
            Error::unavailable(format!("cannot write the export: {error}")).source(error)
        };
        let mut write = |line: &Line| -> Result<()> {
            let mut text = serde_json::to_string(line)
                .map_err(|error| Error::invalid("a note cannot be written as JSON").source(error))?;
            text.push('\n');
            to.write_all(text.as_bytes()).map_err(failed)
        };
        let group_id = self.group.id().to_string();
        write(&Line::Begin(Begin { cccc_memory: FORMAT, group_id }))?;
        let mut notes = 0;
        // In parts, so that nobody waits for whoever reads this; in the order of their ids, so that what is
        // added meanwhile comes too, and nothing comes twice.
        let mut after = NoteId(0);
        if let Some(store) = Store::open(&self.directory)? {
            loop {
                let part = store.read(|db| {
                    let sql =
                        "SELECT id FROM note WHERE id > ? AND (? OR owner IS NULL) ORDER BY id LIMIT 200";
                    let mut statement = db.prepare_cached(sql)?;
                    let ids = statement.query_map(params![after.0, all], |row| row.get(0))?;
                    let ids: Vec<i64> = ids.collect::<rusqlite::Result<_>>()?;
                    let found = ids.into_iter().map(|id| stored(db, NoteId(id)));
                    found.collect::<Done<Vec<_>>>()
                })?;
                let Some(Some(last)) = part.last() else { break };
                after = last.id;
                for note in part.into_iter().flatten() {
                    notes += 1;
                    write(&Line::Note(Box::new(note.into())))?;
                }
            }
        }
        write(&Line::End(End { end: true, notes }))?;
        to.flush().map_err(failed)?;
        Ok(Exported { notes })
    }

    /// Reads notes that were exported, and adds all of them or none. Those that are there stay, unless what comes
    /// is a later version of the same note. An id that is taken by another note gives way to a new one.
    ///
    /// The events that notes come from must be on this group's ledger; `without_sources` leaves them out.
    ///
    /// # Errors
    /// `Refused` for all but the user; `Invalid`, with the line, for what is malformed, beyond a bound or cut
    /// short; `TooLarge` if the memory cannot hold them; `Unsupported` for a newer format.
    pub async fn import(&self, from: impl BufRead, without_sources: bool) -> Result<Imported> {
        let (who, roster) = self.asked().await?;
        who.may(Care::Import)?;
        may_write(&roster)?;
        let mut store = Store::open_or_make(&self.directory)?;
        // What comes is kept apart until all of it was seen, so that nobody waits for whoever writes this.
        store.run(
            "CREATE TEMP TABLE incoming (id INTEGER PRIMARY KEY, line INTEGER NOT NULL, json TEXT NOT NULL)",
        )?;
        let mut lines = Lines { from, number: 0 };
        lines.begin()?;
        loop {
            let record = match lines.next()? {
                Line::Note(record) => record,
                Line::Begin(_) => return Err(lines.wrong("a second beginning")),
                Line::End(End { notes, .. }) => {
                    lines.end(notes)?;
                    break;
                }
            };
            let mut note = record.checked().map_err(|error| lines.at(error))?;
            if without_sources {
                note.sources.clear();
            }
            for source in &note.sources {
                self.check_origin(source).await.map_err(|error| lines.at(error))?;
            }
            let id = note.id;
            let json = serde_json::to_string(&Record::from(note))
                .map_err(|error| Error::invalid("a note cannot be kept").source(error))?;
            let number = i64::try_from(lines.number).unwrap_or(i64::MAX);
            let known = store.read(|db| {
                let mut statement = db.prepare_cached("SELECT line FROM temp.incoming WHERE id = ?")?;
                Ok(statement.query_row([id.0], |row| row.get::<_, i64>(0)).optional()?)
            })?;
            if let Some(before) = known {
                return Err(lines.wrong(&format!("{id} is in line {before} already")));
            }
            store.read(|db| {
                db.prepare_cached("INSERT INTO temp.incoming (id, line, json) VALUES (?, ?, ?)")?
                    .execute(params![id.0, number, json])?;
                Ok(())
            })?;
        }
        store.write(merged)
    }

    /// Refuses an event that is not on this ledger.
    async fn check_origin(&self, source: &Origin) -> Result<()> {
        let there = self.group.event(EventRef::from(source.event_id)).await;
        match there {
            // What kind it is need not be the same: it may have been redacted.
            Ok(event) if event.by == source.by => Ok(()),
            Ok(event) => Err(Error::invalid(format!(
                "event {} was written by {}, not {}",
                source.event_id, event.by, source.by
            ))),
            Err(error) => Err(error.hint("of another group? `--without-sources` leaves the sources out")),
        }
    }
}

/// Lines with their numbers.
struct Lines<R> {
    from: R,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    /// The next line.
    fn next(&mut self) -> Result<Line> {
        let mut bytes = Vec::new();
        self.number += 1;
        self.from
            .by_ref()
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut bytes)
            .map_err(|error| Error::unavailable(format!("cannot read line {}: {error}", self.number)))?;
        match bytes.last() {
            None => Err(self.wrong("the export ends here, without its last line: it was cut short")),
            Some(b'\n') => serde_json::from_slice(&bytes).map_err(|error| self.explained(&bytes, &error)),
            Some(_) if u64::try_from(bytes.len()).is_ok_and(|len| len >= MAX_LINE_BYTES) => {
                Err(self.wrong(&format!("it is longer than {MAX_LINE_BYTES} bytes")))
            }
            Some(_) => Err(self.wrong("it is cut short")),
        }
    }

    /// What is wrong with a line that is none of those that there are.
    fn explained(&self, bytes: &[u8], error: &serde_json::Error) -> Error {
        match serde_json::from_slice::<serde_json::Value>(bytes) {
            Err(error) => self.wrong(&format!("it is no JSON: {error}")),
            Ok(value) if value.get("note_id").is_some() => {
                let error = serde_json::from_value::<Record>(value).err();
                self.wrong(&error.map(|error| error.to_string()).unwrap_or_default())
            }
            Ok(_) => self.wrong(&format!("it is no line of an export: {error}")),
        }
    }

    fn begin(&mut self) -> Result<()> {
        match self.next()? {
            Line::Begin(Begin { cccc_memory: FORMAT, .. }) => Ok(()),
            Line::Begin(Begin { cccc_memory, .. }) => Err(Error::unsupported(format!(
                "the export is of version {cccc_memory}, and this program knows {FORMAT}"
            ))
            .hint("upgrade cccc, then try again")),
            _ => Err(self.wrong("an export begins with {\"cccc_memory\":1,...}")),
        }
    }

    /// Checks that all of it was there.
    fn end(&mut self, notes: u64) -> Result<()> {
        // The first line was the beginning, this one is the end.
        let read = self.number.saturating_sub(2);
        if notes != read {
            return Err(self.wrong(&format!("the export had {notes} notes, and here are {read}")));
        }
        let mut rest = [0; 1];
        match self.from.read(&mut rest) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.wrong("there is something after the end")),
            Err(error) => Err(Error::unavailable(format!("cannot read on: {error}"))),
        }
    }

    fn wrong(&self, why: &str) -> Error {
        Error::invalid(format!("line {}: {why}", self.number))
            .hint("nothing was imported; give what `cccc memory export` wrote")
    }

    /// The same error, with the line.
    fn at(&self, error: Error) -> Error {
        let json = error.to_json();
        let message = json.get("message").and_then(serde_json::Value::as_str).unwrap_or_default();
        let placed = Error::new(error.kind(), format!("line {}: {message}", self.number));
        match error.hint_text() {
            Some(hint) => placed.hint(format!("nothing was imported; {hint}")),
            None => placed.hint("nothing was imported"),
        }
    }
}

/// Adds what came.
fn merged(db: &Transaction<'_>) -> Done<Imported> {
    let mut done = Imported::default();
    // New ids come after all that are taken or will be, so that no note is taken for another that had its id.
    let mut fresh: i64 = db.query_row(
        "SELECT max((SELECT ifnull(max(id), 0) FROM note), (SELECT ifnull(max(id), 0) FROM temp.incoming WHERE id <= ?))",
        [MAX_KEPT_ID],
        |row| row.get(0),
    )?;
    // Notes whose better one came under another id.
    let mut ids: Vec<(NoteId, NoteId)> = Vec::new();
    let mut written: Vec<(NoteId, NoteId)> = Vec::new();
    let mut statement = db.prepare("SELECT json FROM temp.incoming ORDER BY id")?;
    for json in statement.query_map((), |row| row.get::<_, String>(0))? {
        let record: Record = serde_json::from_str(&json?)
            .map_err(|error| Error::invalid("what was read cannot be read again").source(error))?;
        let note = record.checked()?;
        done.notes += 1;
        let old = note.id;
        let there = stored(db, old)?;
        let same = there.filter(|there| {
            there.author == note.author
                && there.author_at == note.author_at
                && there.created_at == note.created_at
        });
        if let Some(there) = same {
            if there.version < note.version {
                update(db, &note)?;
                done.updated += 1;
                written.extend(note.superseded_by.map(|better| (old, better)));
            } else {
                done.unchanged += 1;
            }
            continue;
        }
        let unplaced = Stored { id: NoteId(0), ..note };
        if unplaced.is_current()
            && let Some(twin) = twin(db, &unplaced)?
        {
            done.unchanged += 1;
            ids.push((old, twin));
            continue;
        }
        check_room(db)?;
        let new = if old.0 <= MAX_KEPT_ID && stored(db, old)?.is_none() {
            old
        } else {
            fresh += 1;
            NoteId(fresh)
        };
        insert(db, &unplaced, Some(new))?;
        done.added += 1;
        if new != old {
            done.renumbered += 1;
            ids.push((old, new));
        }
        written.extend(unplaced.superseded_by.map(|better| (new, better)));
    }
    ids.sort_unstable();
    for (note, better) in written {
        if let Ok(at) = ids.binary_search_by_key(&better, |(old, _)| *old)
            && let Some((_, new)) = ids.get(at)
        {
            db.execute("UPDATE note SET superseded_by = ? WHERE id = ?", params![new.0, note.0])?;
        }
    }
    Ok(done)
}
