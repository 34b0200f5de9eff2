//! Remembering: adding, changing, forgetting.

use cccc_core::{ActorId, Error, Principal, Result, Seq, Timestamp};
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Transaction, params, params_from_iter};
use schemars::JsonSchema;
use serde::Serialize;

use crate::draft::{Change, Draft};
use crate::memory::Memory;
use crate::note::{MAX_NOTES, Note, NoteId, Origin, Stored};
use crate::query::separated;
use crate::read::{seen, signed, stored};
use crate::rule::{Who, may_write};
use crate::store::{Done, Store};

/// A note that was added, or was there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Added {
    /// It.
    #[serde(flatten)]
    pub note: Note,
    /// Whether it was there already, under the same key or with the same text.
    pub duplicate: bool,
}

/// What became of a note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Changed {
    /// As it is now.
    #[serde(flatten)]
    pub note: Note,
    /// Whether anything was written now.
    pub changed: bool,
}

impl Memory {
    /// Adds a note. One that is there already stays as it is, and is given again: under the same key of the
    /// same author, or with the same text among the notes that hold and belong to the same.
    ///
    /// # Errors
    /// `TooLarge` beyond a bound, or when the memory is full; `NotFound` for a source, or a note to supersede,
    /// that is not there; `Conflict` if another note was added under the key; `Refused` for notes of one's own
    /// by one that is no actor, for superseding what one may not change, and in an archived group.
    pub async fn add(&self, draft: Draft) -> Result<Added> {
        let draft = draft.checked()?;
        let (who, roster) = self.asked().await?;
        may_write(&roster)?;
        let owner = who.owner_of_new(draft.scope)?;
        let origins = self.origins(&draft.sources).await?;
        let voices = self.voices().await?;
        let new = New { who: &who, owner, draft: &draft, origins, now: roster.at };
        let mut store = Store::open_or_make(&self.directory)?;
        let (note, duplicate) = store.write(|db| new.added(db))?;
        Ok(Added { note: note.shown(&voices), duplicate })
    }

    /// Changes a note.
    ///
    /// # Errors
    /// `NotFound` for one that is not there, or not for whoever asks; `Refused` for one that is superseded or
    /// forgotten or whose change is for others; `Conflict` if it was changed since the version that was read,
    /// or would say the same as another.
    pub async fn edit(&self, id: NoteId, change: Change) -> Result<Changed> {
        let change = change.checked()?;
        let (who, roster) = self.asked().await?;
        may_write(&roster)?;
        let origins = match &change.sources {
            Some(sources) => Some(self.origins(sources).await?),
            None => None,
        };
        let voices = self.voices().await?;
        let mut store = self.existing(id)?;
        let (note, changed) = store.write(|db| {
            let before = seen(db, &who, id)?;
            let mut note = before.clone();
            who.may_change(&note)?;
            check_current(&note)?;
            check_base(&note, &who.principal, change.base)?;
            if let Some(text) = change.text {
                note.text = text;
            }
            if let Some(tags) = change.tags {
                note.tags = tags;
            }
            if let Some(origins) = origins {
                note.sources = origins;
            }
            if note == before {
                return Ok((note, false));
            }
            if let Some(twin) = twin(db, &note)? {
                return Err(Error::conflict(format!("{twin} says the same already"))
                    .hint(format!("`cccc memory forget {id}`, and keep {twin}"))
                    .into());
            }
            note.version += 1;
            note.edited_by = who.principal.clone();
            note.updated_at = roster.at;
            update(db, &note)?;
            Ok((note, true))
        })?;
        Ok(Changed { note: note.shown(&voices), changed })
    }

    /// Forgets a note: it is told no more, and its text goes with the next purge.
    ///
    /// # Errors
    /// `NotFound` for one that is not there, or not for whoever asks; `Refused` where that is for others;
    /// `Conflict` if a version is named and it was changed since.
    pub async fn forget(&self, id: NoteId, base: Option<u64>) -> Result<Changed> {
        let (who, roster) = self.asked().await?;
        may_write(&roster)?;
        let voices = self.voices().await?;
        let mut store = self.existing(id)?;
        let (note, changed) = store.write(|db| {
            // Whoever forgot it, or might have, is told so again.
            let known = stored(db, id)?
                .filter(|note| who.sees(note) || (note.forgotten.is_some() && who.may_change(note).is_ok()));
            let Some(mut note) = known else { return Ok((seen(db, &who, id)?, false)) };
            who.may_change(&note)?;
            if note.forgotten.is_some() {
                return Ok((note, false));
            }
            if base.is_some() {
                check_base(&note, &who.principal, base)?;
            }
            note.forgotten = Some((roster.at, who.principal.clone()));
            db.execute(
                "UPDATE note SET forgotten_at = ?, forgotten_by = ? WHERE id = ?",
                params![roster.at.as_millis(), who.principal.to_string(), id.0],
            )?;
            unindex(db, id)?;
            Ok((note, true))
        })?;
        Ok(Changed { note: note.shown(&voices), changed })
    }

    /// The database with this note, which is not made for looking.
    fn existing(&self, id: NoteId) -> Result<Store> {
        Store::open(&self.directory)?.ok_or_else(|| {
            Error::not_found(format!("there is no note {id}: nothing is remembered yet"))
                .hint("`cccc memory add` adds a note")
        })
    }
}

/// A note about to be added.
struct New<'a> {
    who: &'a Who,
    owner: Option<(ActorId, Seq)>,
    draft: &'a Draft,
    origins: Vec<Origin>,
    now: Timestamp,
}

impl New<'_> {
    fn added(self, db: &Transaction<'_>) -> Done<(Stored, bool)> {
        let Self { who, draft, now, .. } = self;
        let key = draft.client_id.as_ref().map(|key| (key, self.key_digest()));
        if let Some((key, digest)) = &key
            && let Some(note) = self.under_key(db, key, digest)?
        {
            return Ok((note, true));
        }
        let mut note = Stored {
            id: NoteId(0),
            owner: self.owner,
            author: who.principal.clone(),
            author_at: who.at,
            text: draft.text.clone(),
            tags: draft.tags.clone(),
            sources: self.origins,
            version: 1,
            edited_by: who.principal.clone(),
            created_at: now,
            updated_at: now,
            superseded_by: None,
            forgotten: None,
        };
        let twin = match twin(db, &note)? {
            Some(id) => stored(db, id)?,
            None => None,
        };
        let duplicate = twin.is_some();
        let better = match twin {
            Some(twin) => twin,
            None => {
                check_room(db)?;
                note.id = insert(db, &note, None)?;
                note
            }
        };
        for id in &draft.supersedes {
            supersede(db, who, *id, &better)?;
        }
        if let Some((key, digest)) = key.filter(|_| !duplicate) {
            db.execute(
                "UPDATE note SET client_id = ?, key_digest = ? WHERE id = ?",
                params![key, digest, better.id.0],
            )?;
        }
        Ok((better, duplicate))
    }

    /// What was added under the key before.
    fn under_key(&self, db: &Transaction<'_>, key: &str, digest: &[u8]) -> Done<Option<Stored>> {
        let at = self.who.at.map_or(0, |at| at.0);
        let before: Option<(i64, Vec<u8>)> = db
            .query_row(
                "SELECT id, key_digest FROM note
                 WHERE author = ? AND ifnull(author_at, 0) = ? AND client_id = ?",
                params![self.who.principal.to_string(), signed(at), key],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        match before {
            None => Ok(None),
            Some((id, known)) if known == digest => stored(db, NoteId(id)),
            Some((id, _)) => Err(Error::conflict(format!(
                "{} added another note under this client_id: {}",
                self.who.principal,
                NoteId(id)
            ))
            .hint("use another client_id, or edit that note")
            .into()),
        }
    }

    /// What was said with the key.
    fn key_digest(&self) -> Vec<u8> {
        let Draft { text, tags, supersedes, .. } = self.draft;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&digest(self.owner.as_ref(), text));
        for tag in tags {
            hasher.update(b"#").update(tag.as_str().as_bytes());
        }
        for origin in &self.origins {
            hasher.update(b"@").update(origin.event_id.to_string().as_bytes());
        }
        for id in supersedes {
            hasher.update(b">").update(id.to_string().as_bytes());
        }
        short(&hasher)
    }
}

/// Makes a note give way to a better one, if it has not done so before.
fn supersede(db: &Transaction<'_>, who: &Who, id: NoteId, better: &Stored) -> Done<()> {
    let old = seen(db, who, id)?;
    if old.superseded_by == Some(better.id) {
        return Ok(());
    }
    if id == better.id {
        return Err(Error::conflict(format!("{id} says this already, and does not supersede itself"))
            .hint("leave it out of what is superseded")
            .into());
    }
    who.may_change(&old)?;
    check_current(&old)?;
    if old.owner != better.owner {
        return Err(Error::refused(format!("{id} is not of the same scope"))
            .hint("a note of the group is superseded by one of the group, an own one by an own one")
            .into());
    }
    db.execute("UPDATE note SET superseded_by = ? WHERE id = ?", params![better.id.0, id.0])?;
    unindex(db, id)
}

/// A digest of whose a note is and what it says.
pub(crate) fn digest(owner: Option<&(ActorId, Seq)>, text: &str) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new();
    if let Some((id, at)) = owner {
        hasher.update(format!("{id}/{at}").as_bytes());
    }
    hasher.update(b"\n").update(text.trim().as_bytes());
    short(&hasher)
}

/// 128 bits are enough to tell notes apart.
fn short(hasher: &blake3::Hasher) -> Vec<u8> {
    hasher.finalize().as_bytes().iter().take(16).copied().collect()
}

/// Another note that holds, belongs to the same and says the same.
pub(crate) fn twin(db: &Transaction<'_>, note: &Stored) -> Done<Option<NoteId>> {
    let id = db
        .prepare_cached(
            "SELECT id FROM note WHERE digest = ? AND id <> ?
             AND superseded_by IS NULL AND forgotten_at IS NULL ORDER BY id LIMIT 1",
        )?
        .query_row(params![digest(note.owner.as_ref(), &note.text), note.id.0], |row| row.get(0))
        .optional()?;
    Ok(id.map(NoteId))
}

/// Refuses a note beyond the bound.
pub(crate) fn check_room(db: &Transaction<'_>) -> Done<()> {
    let notes: i64 = db.query_row("SELECT count(*) FROM note", (), |row| row.get(0))?;
    if u64::try_from(notes).is_ok_and(|notes| notes >= MAX_NOTES) {
        return Err(Error::too_large(format!("the memory is full: it holds {MAX_NOTES} notes"))
            .hint("forget what nobody needs; then the foreman or the user calls `cccc memory purge`")
            .into());
    }
    Ok(())
}

/// What of a note changes with it, by column.
fn changing(note: &Stored) -> [(&'static str, Value); 10] {
    let (forgotten_at, forgotten_by) = note.forgotten.clone().unzip();
    [
        ("owner", note.owner.as_ref().map(|(id, _)| id.to_string()).into()),
        ("owner_at", note.owner.as_ref().map(|(_, at)| signed(at.0)).into()),
        ("version", signed(note.version)),
        ("edited_by", note.edited_by.to_string().into()),
        ("updated_at", note.updated_at.as_millis().into()),
        ("superseded_by", note.superseded_by.map(|id| id.0).into()),
        ("forgotten_at", forgotten_at.map(Timestamp::as_millis).into()),
        ("forgotten_by", forgotten_by.map(|by: Principal| by.to_string()).into()),
        ("digest", digest(note.owner.as_ref(), &note.text).into()),
        ("text", note.text.clone().into()),
    ]
}

/// Writes a new note; under its own id, if it shall have a certain one.
pub(crate) fn insert(db: &Transaction<'_>, note: &Stored, id: Option<NoteId>) -> Done<NoteId> {
    let fixed = [
        ("id", id.map(|id| id.0).into()),
        ("author", note.author.to_string().into()),
        ("author_at", note.author_at.map(|at| signed(at.0)).into()),
        ("created_at", note.created_at.as_millis().into()),
    ];
    let (names, values): (Vec<_>, Vec<Value>) = fixed.into_iter().chain(changing(note)).unzip();
    let sql =
        format!("INSERT INTO note ({}) VALUES ({})", names.join(", "), vec!["?"; names.len()].join(", "));
    db.prepare_cached(&sql)?.execute(params_from_iter(values))?;
    let new = NoteId(db.last_insert_rowid());
    write_rest(db, new, note)?;
    if note.is_current() {
        index(db, new, note)?;
    }
    Ok(new)
}

/// Writes a note over what was there under its id.
pub(crate) fn update(db: &Transaction<'_>, note: &Stored) -> Done<()> {
    let (names, values): (Vec<_>, Vec<Value>) = changing(note).into_iter().unzip();
    let sql = format!("UPDATE note SET {} = ? WHERE id = ?", names.join(" = ?, "));
    db.prepare_cached(&sql)?.execute(params_from_iter(values.into_iter().chain([note.id.0.into()])))?;
    db.execute("DELETE FROM tag WHERE note = ?", [note.id.0])?;
    db.execute("DELETE FROM source WHERE note = ?", [note.id.0])?;
    write_rest(db, note.id, note)?;
    unindex(db, note.id)?;
    if note.is_current() {
        index(db, note.id, note)?;
    }
    Ok(())
}

fn write_rest(db: &Transaction<'_>, id: NoteId, note: &Stored) -> Done<()> {
    let mut statement = db.prepare_cached("INSERT INTO tag (tag, note) VALUES (?, ?)")?;
    for tag in &note.tags {
        statement.execute(params![tag.as_str(), id.0])?;
    }
    let mut statement =
        db.prepare_cached("INSERT INTO source (note, position, event_id, kind, by) VALUES (?, ?, ?, ?, ?)")?;
    for (position, source) in (0_i64..).zip(&note.sources) {
        let Origin { event_id, kind, by } = source;
        statement.execute(params![id.0, position, event_id.to_string(), kind, by.to_string()])?;
    }
    Ok(())
}

/// Makes a note found.
pub(crate) fn index(db: &Transaction<'_>, id: NoteId, note: &Stored) -> Done<()> {
    db.prepare_cached("INSERT INTO note_index (rowid, text, tags) VALUES (?, ?, ?)")?.execute(params![
        id.0,
        separated(&note.text),
        indexed_tags(note)
    ])?;
    Ok(())
}

pub(crate) fn indexed_tags(note: &Stored) -> String {
    let tags: Vec<&str> = note.tags.iter().map(cccc_core::Label::as_str).collect();
    tags.join(" ")
}

/// Makes a note found no more.
pub(crate) fn unindex(db: &Transaction<'_>, id: NoteId) -> Done<()> {
    db.prepare_cached("DELETE FROM note_index WHERE rowid = ?")?.execute([id.0])?;
    Ok(())
}

/// Refuses a note that does not hold any more.
fn check_current(note: &Stored) -> Done<()> {
    let id = note.id;
    match (&note.forgotten, note.superseded_by) {
        (Some((_, by)), _) => Err(Error::refused(format!("{id} was forgotten by {by}"))
            .hint("add it again if it holds after all")
            .into()),
        (None, Some(better)) => Err(Error::refused(format!("{id} was superseded by {better}"))
            .hint(format!("`cccc memory show {better}`, and edit that"))
            .into()),
        (None, None) => Ok(()),
    }
}

/// Nobody overwrites blindly what somebody else wrote.
fn check_base(note: &Stored, by: &Principal, base: Option<u64>) -> Done<()> {
    let (id, version, last) = (note.id, note.version, &note.edited_by);
    match base {
        Some(base) if base == version => Ok(()),
        Some(base) => Err(Error::conflict(format!(
            "{id} is at version {version}, changed by {last}, and you read version {base}"
        ))
        .hint(format!("`cccc memory show {id}` shows what it says now"))
        .into()),
        None if note.edited_by == *by => Ok(()),
        None => Err(Error::conflict(format!("{id} was last changed by {last}: say which version you read"))
            .hint(format!("`cccc memory show {id}` shows it; it is at version {version}"))
            .into()),
    }
}
