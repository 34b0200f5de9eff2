//! Recalling: by text, by what notes are about, by id.

use cccc_core::{Error, Label, Result, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};
use schemars::JsonSchema;
use serde::Serialize;

use crate::memory::Memory;
use crate::note::{Note, NoteId, Origin, Scope, Stored};
use crate::query::{BETWEEN, MAX_LIMIT, Matched, Query, Terms, Which};
use crate::rule::{Sight, Who};
use crate::store::{Done, Store};

/// A text up to so many bytes is its own excerpt.
const EXCERPT_BYTES: usize = 400;

/// A note that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Hit {
    /// It.
    #[serde(flatten)]
    pub note: Note,
    /// Of a long text: the part that was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
}

impl From<Note> for Hit {
    fn from(note: Note) -> Self {
        Self { note, excerpt: None }
    }
}

/// What a search found, the best first; of equals the newest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Found {
    /// The notes.
    pub hits: Vec<Hit>,
    /// How the words were found.
    pub matched: Matched,
    /// How many to skip to see what follows; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<usize>,
}

/// A part of a list of notes, the newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Page {
    /// The notes.
    pub notes: Vec<Note>,
    /// How many to skip to see what follows; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<usize>,
}

impl Memory {
    /// Searches the notes that hold: first for those with all words of the text, where a word of three letters
    /// and more also stands for the beginning of a longer one; if there is none, for those with any of them.
    ///
    /// Whatever the text, it is no error; one without a word finds nothing.
    pub async fn search(&self, query: &Query) -> Result<Found> {
        let (who, _) = self.asked().await?;
        let voices = self.voices().await?;
        let nothing = Found { hits: Vec::new(), matched: Matched::None, next: None };
        let Some(store) = Store::open(&self.directory)? else { return Ok(nothing) };
        let terms = Terms::of(&query.text);
        let stages = [(terms.all(), Matched::All), (terms.any(), Matched::Any)];
        let (mut found, matched) = store.read(|db| {
            for (text, matched) in stages {
                let Some(text) = text else { continue };
                // Later pages look in the same way as the first, whatever is left there.
                let found = searched(db, &who, query, &text)?;
                if !found.is_empty() || (query.skip > 0 && any(db, &who, query, &text)?) {
                    return Ok((found, matched));
                }
            }
            Ok((Vec::new(), Matched::None))
        })?;
        let next = following(&mut found, query);
        let shown = |(note, excerpt): (Stored, Option<String>)| Hit { note: note.shown(&voices), excerpt };
        Ok(Found { hits: found.into_iter().map(shown).collect(), matched, next })
    }

    /// Lists notes, the newest first. The text of the query is not looked at.
    pub async fn list(&self, query: &Query) -> Result<Page> {
        let (who, _) = self.asked().await?;
        let voices = self.voices().await?;
        let Some(store) = Store::open(&self.directory)? else {
            return Ok(Page { notes: Vec::new(), next: None });
        };
        let mut notes = store.read(|db| listed(db, &who, query))?;
        let next = following(&mut notes, query);
        Ok(Page { notes: notes.into_iter().map(|note| note.shown(&voices)).collect(), next })
    }

    /// A note, whatever became of it.
    ///
    /// # Errors
    /// `NotFound` for one that is not there, or not for whoever asks.
    pub async fn get(&self, id: NoteId) -> Result<Note> {
        let (who, _) = self.asked().await?;
        let voices = self.voices().await?;
        let Some(store) = Store::open(&self.directory)? else { return Err(unknown(id)) };
        store.read(|db| seen(db, &who, id)).map(|note| note.shown(&voices))
    }
}

/// How many to skip next, if there was one more than asked for, which goes.
fn following<T>(found: &mut Vec<T>, query: &Query) -> Option<usize> {
    let limit = query.limit.clamp(1, MAX_LIMIT);
    let more = found.len() > limit;
    found.truncate(limit);
    more.then(|| query.skip.saturating_add(limit))
}

/// The conditions of a statement, with what they compare to.
#[derive(Debug, Default)]
struct Conditions {
    sql: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    fn add(&mut self, sql: impl Into<String>, values: impl IntoIterator<Item = Value>) {
        self.sql.push(sql.into());
        self.values.extend(values);
    }

    /// What somebody sees of what is asked for.
    fn of(who: &Who, query: &Query) -> Self {
        let mut all = Self::default();
        match who.sight() {
            Sight::All => {}
            Sight::GroupAnd(id, at) => all.add(
                "(n.owner IS NULL OR (n.owner = ? AND n.owner_at = ?))",
                [Value::from(id.to_string()), signed(at.0)],
            ),
            Sight::Group => all.add("n.owner IS NULL", []),
        }
        match query.which {
            Which::Current => all.add("n.superseded_by IS NULL AND n.forgotten_at IS NULL", []),
            Which::Superseded => all.add("n.superseded_by IS NOT NULL AND n.forgotten_at IS NULL", []),
            Which::Forgotten => all.add("n.forgotten_at IS NOT NULL", []),
            Which::All => {}
        }
        match (who.sight(), who.sees_forgotten()) {
            (Sight::All, _) => {}
            (_, true) => all.add("(n.forgotten_at IS NULL OR n.owner IS NULL)", []),
            (_, false) => all.add("n.forgotten_at IS NULL", []),
        }
        match query.scope {
            None => {}
            Some(Scope::Group) => all.add("n.owner IS NULL", []),
            Some(Scope::Own) => all.add("n.owner IS NOT NULL", []),
        }
        for tag in &query.tags {
            all.add(
                "EXISTS (SELECT 1 FROM tag WHERE tag.tag = ? AND tag.note = n.id)",
                [Value::from(tag.as_str().to_owned())],
            );
        }
        if let Some(author) = &query.author {
            all.add("n.author = ?", [Value::from(author.to_string())]);
        }
        if let Some(since) = query.since {
            all.add("n.updated_at >= ?", [Value::from(since.as_millis())]);
        }
        if let Some(until) = query.until {
            all.add("n.updated_at < ?", [Value::from(until.as_millis())]);
        }
        all
    }

    fn sql(&self) -> String {
        if self.sql.is_empty() { "TRUE".to_owned() } else { self.sql.join(" AND ") }
    }

    /// What they compare to, then how many notes are wanted, and one more.
    fn values_and_page(self, query: &Query) -> Vec<Value> {
        let limit = query.limit.clamp(1, MAX_LIMIT).saturating_add(1);
        let page = [limit, query.skip].map(|number| Value::from(i64::try_from(number).unwrap_or(i64::MAX)));
        self.values.into_iter().chain(page).collect()
    }
}

/// A number of ours for the database; none is beyond its bounds.
pub(crate) fn signed(number: u64) -> Value {
    Value::from(i64::try_from(number).unwrap_or(i64::MAX))
}

fn searched(db: &Connection, who: &Who, query: &Query, text: &str) -> Done<Vec<(Stored, Option<String>)>> {
    let mut conditions = Conditions::of(who, &Query { which: Which::Current, ..query.clone() });
    // Only the ids are sorted: texts, and what is found in them, are looked at of those that are answered.
    let sql = format!(
        "SELECT n.id FROM note_index JOIN note n ON n.id = note_index.rowid
         WHERE note_index MATCH ? AND {}
         ORDER BY round(bm25(note_index, 1.0, 2.0), 3), n.updated_at DESC, n.id DESC LIMIT ? OFFSET ?",
        conditions.sql()
    );
    conditions.values.insert(0, Value::from(text.to_owned()));
    let mut statement = db.prepare(&sql)?;
    let ids = statement.query_map(params_from_iter(conditions.values_and_page(query)), |row| row.get(0))?;
    let ids: Vec<i64> = ids.collect::<rusqlite::Result<_>>()?;
    let mut hits = Vec::with_capacity(ids.len());
    for id in ids {
        let Some(note) = stored(db, NoteId(id))? else { continue };
        let excerpt = (note.text.len() > EXCERPT_BYTES).then(|| part_found(db, text, id)).transpose()?;
        hits.push((note, excerpt));
    }
    Ok(hits)
}

/// The part of a note's text that is found.
fn part_found(db: &Connection, text: &str, id: i64) -> Done<String> {
    let sql = "SELECT snippet(note_index, 0, '', '', '…', 40) FROM note_index
        WHERE note_index MATCH ? AND rowid = ?";
    let part: String = db.prepare_cached(sql)?.query_row(rusqlite::params![text, id], |row| row.get(0))?;
    Ok(excerpt(&part))
}

/// Whether a search finds anything at all.
fn any(db: &Connection, who: &Who, query: &Query, text: &str) -> Done<bool> {
    Ok(!searched(db, who, &Query { limit: 1, skip: 0, ..query.clone() }, text)?.is_empty())
}

/// The part that was found, without what the index puts between characters, and not too long.
fn excerpt(part: &str) -> String {
    let mut shown: String = part.chars().filter(|c| *c != BETWEEN).collect();
    if shown.len() > EXCERPT_BYTES {
        let end = (0..=EXCERPT_BYTES).rev().find(|at| shown.is_char_boundary(*at)).unwrap_or(0);
        shown.truncate(end);
        shown.push('…');
    }
    shown
}

fn listed(db: &Connection, who: &Who, query: &Query) -> Done<Vec<Stored>> {
    let conditions = Conditions::of(who, query);
    let sql = format!(
        "SELECT {COLUMNS} FROM note n WHERE {} ORDER BY n.updated_at DESC, n.id DESC LIMIT ? OFFSET ?",
        conditions.sql()
    );
    let mut statement = db.prepare(&sql)?;
    let found = statement.query_map(params_from_iter(conditions.values_and_page(query)), record)?;
    found.map(|note| with_rest(db, note?)).collect()
}

/// A note that somebody sees.
///
/// # Errors
/// `NotFound`, saying the same of what is not there and of what is not to be seen.
pub(crate) fn seen(db: &Connection, who: &Who, id: NoteId) -> Done<Stored> {
    match stored(db, id)?.filter(|note| who.sees(note)) {
        Some(note) => Ok(note),
        None => Err(unknown(id).into()),
    }
}

fn unknown(id: NoteId) -> Error {
    Error::not_found(format!("there is no note {id}, or it was forgotten"))
        .hint("`cccc memory list` shows what is remembered")
}

/// The note of this id, if there is one.
pub(crate) fn stored(db: &Connection, id: NoteId) -> Done<Option<Stored>> {
    let sql = format!("SELECT {COLUMNS} FROM note n WHERE n.id = ?");
    let note = db.prepare_cached(&sql)?.query_row([id.0], record).optional()?;
    note.map(|note| with_rest(db, note)).transpose()
}

/// The columns that [`record`] reads.
pub(crate) const COLUMNS: &str = "n.id, n.owner, n.owner_at, n.author, n.author_at, n.version, n.edited_by, \
    n.created_at, n.updated_at, n.superseded_by, n.forgotten_at, n.forgotten_by, n.text";

/// A row of the table, without what stands in others.
pub(crate) fn record(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let seq = |name: &str| -> rusqlite::Result<Option<cccc_core::Seq>> {
        Ok(row.get::<_, Option<i64>>(name)?.and_then(|seq| u64::try_from(seq).ok()).map(cccc_core::Seq))
    };
    let owner: Option<String> = row.get("owner")?;
    let forgotten_at: Option<i64> = row.get("forgotten_at")?;
    let forgotten_by: Option<String> = row.get("forgotten_by")?;
    Ok(Stored {
        id: NoteId(row.get("id")?),
        owner: match (owner, seq("owner_at")?) {
            (Some(id), Some(at)) => Some((parsed(&id)?, at)),
            (Some(id), None) => return Err(malformed(format!("a note of {id}, of whenever"))),
            (None, _) => None,
        },
        author: parsed(&row.get::<_, String>("author")?)?,
        author_at: seq("author_at")?,
        text: row.get("text")?,
        tags: Vec::new(),
        sources: Vec::new(),
        version: u64::try_from(row.get::<_, i64>("version")?).unwrap_or(0),
        edited_by: parsed(&row.get::<_, String>("edited_by")?)?,
        created_at: Timestamp::from_millis(row.get("created_at")?),
        updated_at: Timestamp::from_millis(row.get("updated_at")?),
        superseded_by: row.get::<_, Option<i64>>("superseded_by")?.map(NoteId),
        forgotten: match (forgotten_at, forgotten_by) {
            (Some(at), Some(by)) => Some((Timestamp::from_millis(at), parsed(&by)?)),
            (None, None) => None,
            _ => return Err(malformed("a note forgotten by nobody, or never".to_owned())),
        },
    })
}

/// Adds to a note what stands in other tables.
pub(crate) fn with_rest(db: &Connection, mut note: Stored) -> Done<Stored> {
    let mut statement = db.prepare_cached("SELECT tag FROM tag WHERE note = ? ORDER BY tag")?;
    let tags = statement.query_map([note.id.0], |row| parsed::<Label>(&row.get::<_, String>(0)?))?;
    note.tags = tags.collect::<rusqlite::Result<_>>()?;
    let mut statement =
        db.prepare_cached("SELECT event_id, kind, by FROM source WHERE note = ? ORDER BY position")?;
    let sources = statement.query_map([note.id.0], |row| {
        Ok(Origin {
            event_id: parsed(&row.get::<_, String>(0)?)?,
            kind: row.get(1)?,
            by: parsed(&row.get::<_, String>(2)?)?,
        })
    })?;
    note.sources = sources.collect::<rusqlite::Result<_>>()?;
    Ok(note)
}

/// A name that we had written.
fn parsed<T: std::str::FromStr<Err = Error>>(text: &str) -> rusqlite::Result<T> {
    text.parse().map_err(|error: Error| malformed(error.to_string()))
}

fn malformed(why: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, why.into())
}
