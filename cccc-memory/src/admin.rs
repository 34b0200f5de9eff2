//! Looking after the memory: how much there is, whether it is sound, and what tidies it up.

use std::time::Duration;

use cccc_core::{ActorId, Error, Result, Seq};
use rusqlite::{OptionalExtension, Transaction, params};
use schemars::JsonSchema;
use serde::Serialize;

use crate::memory::Memory;
use crate::note::{NoteId, Stored};
use crate::query::separated;
use crate::read::{COLUMNS, record, stored, with_rest};
use crate::rule::{Care, Who, may_write};
use crate::store::{Done, INDEX, Store, VERSION};
use crate::write::{digest, index, indexed_tags, twin, update};

/// The most problems that a verdict names.
const MAX_PROBLEMS: usize = 20;
/// The most owners that the statistics name.
const MAX_OWNERS: i64 = 50;

/// How much there is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Stats {
    /// The file; whether it is there shows in `bytes`.
    pub file: String,
    /// Its size; 0 if nothing was remembered yet.
    pub bytes: u64,
    /// Its version.
    pub version: u64,
    /// How many notes hold.
    pub current: u64,
    /// How many gave way to better ones.
    pub superseded: u64,
    /// How many were forgotten and are not purged yet.
    pub forgotten: u64,
    /// The actors that have notes of their own, those with most first; at most 50.
    pub own: Vec<Owned>,
}

/// How many notes of its own somebody has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Owned {
    /// Who.
    pub owner: ActorId,
    /// Whether that very actor is in the group: one that was added again is another.
    pub here: bool,
    /// How many notes, whatever became of them.
    pub notes: u64,
}

/// Whether all is as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Verdict {
    /// Whether it is.
    pub ok: bool,
    /// How many notes were looked at.
    pub notes: u64,
    /// What is wrong; at most 20 things.
    pub problems: Vec<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// The search index was made anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Rebuilt {
    /// Of so many notes.
    pub notes: u64,
}

/// What was purged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Purged {
    /// How many notes.
    pub notes: u64,
    /// Whether the file was compacted afterwards, so that nothing of them is left in it.
    pub compacted: bool,
}

/// What compacting saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Compacted {
    /// The size of the file before.
    pub bytes_before: u64,
    /// And now.
    pub bytes: u64,
}

/// Who gets the notes of an actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heir {
    /// The group: they are for all to see.
    Group,
    /// An actor of the group: they are its own.
    Actor(ActorId),
}

/// What was handed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct HandedOver {
    /// How many notes.
    pub notes: u64,
    /// How many of them the heir had already, and which are forgotten therefore.
    pub merged: u64,
}

impl Memory {
    /// How much there is. Says of everybody how many notes they have, of nobody what they say.
    pub async fn stats(&self) -> Result<Stats> {
        let (who, roster) = self.asked().await?;
        who.may(Care::Upkeep)?;
        let file = self.directory.join(crate::store::FILE);
        let mut stats = Stats { file: file.display().to_string(), ..Stats::default() };
        let Some(store) = Store::open(&self.directory)? else { return Ok(stats) };
        stats.bytes = bytes(&store)?;
        stats.version = u64::try_from(VERSION).unwrap_or(0);
        store.read(|db| {
            let counts = "SELECT count(*) FILTER (WHERE superseded_by IS NULL AND forgotten_at IS NULL),
                count(*) FILTER (WHERE superseded_by IS NOT NULL AND forgotten_at IS NULL),
                count(*) FILTER (WHERE forgotten_at IS NOT NULL) FROM note";
            let (current, superseded, forgotten): (i64, i64, i64) =
                db.query_row(counts, (), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            [stats.current, stats.superseded, stats.forgotten] =
                [current, superseded, forgotten].map(unsigned);
            let mut statement = db.prepare(
                "SELECT owner, owner_at, count(*) FROM note WHERE owner IS NOT NULL
                 GROUP BY owner, owner_at ORDER BY count(*) DESC, owner LIMIT ?",
            )?;
            let mut rows = statement.query([MAX_OWNERS])?;
            while let Some(row) = rows.next()? {
                let owner = ActorId::new(row.get::<_, String>(0)?)?;
                let at = Seq(unsigned(row.get(1)?));
                let here = roster.actors.get(&owner) == Some(&at);
                stats.own.push(Owned { owner, here, notes: unsigned(row.get(2)?) });
            }
            Ok(stats)
        })
    }

    /// Reads everything and checks it: the pages, the index against itself, and the index against the notes.
    /// What is wrong with the database is in the verdict.
    pub async fn verify(&self) -> Result<Verdict> {
        let (who, _) = self.asked().await?;
        who.may(Care::Upkeep)?;
        let opened = Store::open(&self.directory).and_then(|store| match store {
            Some(mut store) => store.write(|db| inspected(db)).map(Some),
            None => Ok(None),
        });
        let (notes, problems) = match opened {
            Ok(inspected) => inspected.unwrap_or_default(),
            Err(error) if error.kind() == cccc_core::ErrorKind::Corrupt => {
                let mut problem = error.to_json();
                (0, vec![problem["message"].take().as_str().unwrap_or_default().to_owned()])
            }
            Err(error) => return Err(error),
        };
        let hint = (!problems.is_empty()).then(|| {
            "`cccc memory rebuild` mends the search index; if that is not enough, `cccc memory export` what can \
             be read, move the file away and `cccc memory import` that or an earlier export"
                .to_owned()
        });
        Ok(Verdict { ok: problems.is_empty(), notes, problems, hint })
    }

    /// Makes the search index, and all others, anew from the notes.
    pub async fn rebuild(&self) -> Result<Rebuilt> {
        let (who, roster) = self.asked().await?;
        who.may(Care::Upkeep)?;
        may_write(&roster)?;
        let Some(mut store) = Store::open(&self.directory)? else { return Ok(Rebuilt { notes: 0 }) };
        let notes = store.write(|db| {
            db.execute_batch("DROP TABLE IF EXISTS note_index")?;
            db.execute_batch(INDEX)?;
            db.execute_batch("REINDEX")?;
            let mut notes = 0;
            each(db, |note| {
                if note.is_current() {
                    index(db, note.id, &note)?;
                    notes += 1;
                }
                Ok(())
            })?;
            Ok(notes)
        })?;
        Ok(Rebuilt { notes })
    }

    /// Removes for ever what was forgotten so long ago or longer, and what its text has left in the file.
    ///
    /// # Errors
    /// `Refused` for peers.
    pub async fn purge(&self, older_than: Duration) -> Result<Purged> {
        let (who, roster) = self.asked().await?;
        who.may(Care::Purge)?;
        may_write(&roster)?;
        let Some(mut store) = Store::open(&self.directory)? else {
            return Ok(Purged { notes: 0, compacted: true });
        };
        let notes = store.write(|db| {
            let age = i64::try_from(older_than.as_millis()).unwrap_or(i64::MAX);
            let last = roster.at.as_millis().saturating_sub(age);
            for table in ["tag", "source"] {
                db.execute(
                    &format!(
                        "DELETE FROM {table} WHERE note IN (SELECT id FROM note WHERE forgotten_at <= ?)"
                    ),
                    [last],
                )?;
            }
            let notes = db.execute("DELETE FROM note WHERE forgotten_at <= ?", [last])?;
            // Merges the index into one piece, in which there is nothing of what was taken out.
            db.execute_batch("INSERT INTO note_index (note_index) VALUES ('optimize')")?;
            Ok(u64::try_from(notes).unwrap_or(u64::MAX))
        })?;
        // The notes are gone whether or not others leave room for this now.
        let compacted = store.run("VACUUM").is_ok();
        Ok(Purged { notes, compacted })
    }

    /// Gives back to the disk what is not used any more.
    pub async fn compact(&self) -> Result<Compacted> {
        let (who, roster) = self.asked().await?;
        who.may(Care::Upkeep)?;
        may_write(&roster)?;
        let Some(mut store) = Store::open(&self.directory)? else {
            return Ok(Compacted { bytes_before: 0, bytes: 0 });
        };
        let bytes_before = bytes(&store)?;
        store.write(|db| Ok(db.execute_batch("INSERT INTO note_index (note_index) VALUES ('optimize')")?))?;
        store.run("VACUUM")?;
        Ok(Compacted { bytes_before, bytes: bytes(&store)? })
    }

    /// Hands the own notes of an actor that has left the group over to another, or to the group. The user may
    /// hand over those of an actor that is there as well. Handing over to the same id gives an actor that was
    /// added again what the one before it had.
    ///
    /// # Errors
    /// `Refused` for peers, and for the foreman where the actor is there; `NotFound` for an heir that is not.
    pub async fn hand_over(&self, from: &ActorId, to: &Heir) -> Result<HandedOver> {
        let (who, roster) = self.asked().await?;
        who.may(Care::HandOver)?;
        may_write(&roster)?;
        let heir = match to {
            Heir::Group => None,
            Heir::Actor(id) => match roster.actors.get(id) {
                Some(at) => Some((id.clone(), *at)),
                None => {
                    return Err(Error::not_found(format!("there is no actor {id} in this group"))
                        .hint("`cccc actor list` shows who is there"));
                }
            },
        };
        let here = roster.actors.get(from).copied();
        let Some(mut store) = Store::open(&self.directory)? else {
            return Ok(HandedOver { notes: 0, merged: 0 });
        };
        store.write(|db| {
            let (mut notes, mut merged) = (0, 0);
            for id in inherited(db, &who, from, here, heir.as_ref())? {
                let Some(mut note) = stored(db, id)? else { continue };
                note.owner.clone_from(&heir);
                notes += 1;
                if note.is_current() && twin(db, &note)?.is_some() {
                    note.forgotten = Some((roster.at, who.principal.clone()));
                    merged += 1;
                }
                update(db, &note)?;
            }
            Ok(HandedOver { notes, merged })
        })
    }
}

/// The notes that are handed over.
fn inherited(
    db: &Transaction<'_>,
    who: &Who,
    from: &ActorId,
    here: Option<Seq>,
    heir: Option<&(ActorId, Seq)>,
) -> Done<Vec<NoteId>> {
    let owners_own = matches!(who.rank, cccc_core::rule::permission::Rank::Owner);
    let present = here.map_or(-1, |at| i64::try_from(at.0).unwrap_or(i64::MAX));
    let mut statement = db.prepare("SELECT id, owner_at FROM note WHERE owner = ? ORDER BY id")?;
    let rows =
        statement.query_map([from.as_str()], |row| Ok((NoteId(row.get(0)?), row.get::<_, i64>(1)?)))?;
    let rows: Vec<(NoteId, i64)> = rows.collect::<rusqlite::Result<_>>()?;
    let itself = heir.is_some_and(|(id, _)| id == from);
    let left = |at: i64| at != present;
    if !owners_own && !rows.is_empty() && rows.iter().all(|(_, at)| !left(*at)) {
        return Err(Error::refused(format!("{from} is in the group, so its notes are its own"))
            .hint("only the user may hand them over: ask with `cccc send --to user`")
            .into());
    }
    let goes = |at: i64| left(at) || (owners_own && !itself);
    Ok(rows.into_iter().filter(|(_, at)| goes(*at)).map(|(id, _)| id).collect())
}

/// How large the file is, by what the database says of itself.
fn bytes(store: &Store) -> Result<u64> {
    store.read(|db| {
        let pages: i64 = db.query_row("PRAGMA page_count", (), |row| row.get(0))?;
        let size: i64 = db.query_row("PRAGMA page_size", (), |row| row.get(0))?;
        Ok(unsigned(pages).saturating_mul(unsigned(size)))
    })
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Looks at every note in turn.
pub(crate) fn each(db: &Transaction<'_>, mut look: impl FnMut(Stored) -> Done<()>) -> Done<()> {
    let mut statement = db.prepare(&format!("SELECT {COLUMNS} FROM note n ORDER BY n.id"))?;
    for note in statement.query_map((), record)? {
        look(with_rest(db, note?)?)?;
    }
    Ok(())
}

/// Counts the notes and says what is wrong with them.
fn inspected(db: &Transaction<'_>) -> Done<(u64, Vec<String>)> {
    let mut problems = Vec::new();
    let mut statement = db.prepare(&format!("PRAGMA integrity_check({MAX_PROBLEMS})"))?;
    for said in statement.query_map((), |row| row.get::<_, String>(0))? {
        let said = said?;
        if said != "ok" {
            problems.push(said);
        }
    }
    if !problems.is_empty() {
        return Ok((0, problems));
    }
    let mut tell = |problem: String| {
        if problems.len() < MAX_PROBLEMS {
            problems.push(problem);
        }
    };
    if let Err(error) = db.execute_batch("INSERT INTO note_index (note_index) VALUES ('integrity-check')") {
        tell(format!("the search index does not agree with itself: {error}"));
    }
    let mut notes = 0;
    let mut statement = db.prepare("SELECT text, tags FROM note_index WHERE rowid = ?")?;
    each(db, |note| {
        notes += 1;
        let found: Option<(String, String)> =
            statement.query_row([note.id.0], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let wanted = note.is_current().then(|| (separated(&note.text), indexed_tags(&note)));
        if found != wanted {
            tell(format!("{} is not in the search index as it should be", note.id));
        }
        let known: Vec<u8> =
            db.query_row("SELECT digest FROM note WHERE id = ?", params![note.id.0], |row| row.get(0))?;
        if known != digest(note.owner.as_ref(), &note.text) {
            tell(format!("the text of {} is not what was written", note.id));
        }
        Ok(())
    })?;
    let stray: i64 = db.query_row(
        "SELECT count(*) FROM note_index WHERE rowid NOT IN (SELECT id FROM note)",
        (),
        |row| row.get(0),
    )?;
    if stray > 0 {
        tell(format!("the search index has {stray} notes that are not there"));
    }
    Ok((notes, problems))
}
