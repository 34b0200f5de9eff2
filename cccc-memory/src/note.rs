//! What a note is, and within which bounds.

use std::fmt;
use std::str::FromStr;

use cccc_core::{ActorId, Error, EventId, Label, Principal, Result, Seq, Timestamp, Voices};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most notes of a group, until forgotten ones are purged.
pub const MAX_NOTES: u64 = 100_000;
/// The longest text of a note, in bytes.
pub const MAX_TEXT_BYTES: usize = 8 << 10;
/// The most tags of a note.
pub const MAX_TAGS: usize = 16;
/// The most events that a note comes from.
pub const MAX_SOURCES: usize = 20;
/// The most notes that one note supersedes at once.
pub const MAX_SUPERSEDED: usize = 20;
/// The longest key under which a note is added once, in bytes.
pub const MAX_CLIENT_ID_BYTES: usize = 128;

/// The id of a note, `n12`. The letter may be left out where one is read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct NoteId(pub(crate) i64);

impl fmt::Display for NoteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("n{}", self.0))
    }
}

impl fmt::Debug for NoteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoteId({self})")
    }
}

impl FromStr for NoteId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let digits = text.strip_prefix('n').unwrap_or(text);
        let plain = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits
            .parse()
            .ok()
            .filter(|_| plain)
            .map(Self)
            .ok_or_else(|| Error::invalid(format!("{text:?} does not name a note")).hint("write it like n12"))
    }
}

impl TryFrom<String> for NoteId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<NoteId> for String {
    fn from(id: NoteId) -> Self {
        id.to_string()
    }
}

/// Whose a note is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The group's: all see it.
    #[default]
    Group,
    /// One actor's own: it and the user see it.
    Own,
}

/// An event that a note comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Source {
    /// Its place on the ledger.
    pub seq: Seq,
    /// Its id.
    pub event_id: EventId,
    /// What kind of event it is.
    pub kind: String,
    /// Who wrote it.
    pub by: Principal,
    /// The same in words for the reader: `from peer bob (not the user)`.
    pub from: String,
}

/// A note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Note {
    /// Its id.
    pub note_id: NoteId,
    /// Whose it is.
    pub scope: Scope,
    /// The actor whose own it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<ActorId>,
    /// What it says.
    pub text: String,
    /// What it is about.
    pub tags: Vec<Label>,
    /// The events that it comes from.
    pub sources: Vec<Source>,
    /// Who wrote it.
    pub author: Principal,
    /// The same in words for the reader: `from peer bob (not the user)`.
    pub from: String,
    /// Counts its changes from 1.
    pub version: u64,
    /// Who changed it last, if that is not its author.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edited_by: Option<Principal>,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it was written or changed last.
    pub updated_at: Timestamp,
    /// The note that says it better.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<NoteId>,
    /// When it was forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forgotten_at: Option<Timestamp>,
    /// By whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forgotten_by: Option<Principal>,
}

/// A note as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) id: NoteId,
    /// The actor whose own it is, and where that was added.
    pub(crate) owner: Option<(ActorId, Seq)>,
    pub(crate) author: Principal,
    /// Where the author was added, if it is an actor.
    pub(crate) author_at: Option<Seq>,
    pub(crate) text: String,
    pub(crate) tags: Vec<Label>,
    pub(crate) sources: Vec<Origin>,
    pub(crate) version: u64,
    pub(crate) edited_by: Principal,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) superseded_by: Option<NoteId>,
    pub(crate) forgotten: Option<(Timestamp, Principal)>,
}

/// An event that a note comes from, as it is stored: not what it says, so that redacting it is enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Origin {
    pub(crate) event_id: EventId,
    pub(crate) kind: String,
    pub(crate) by: Principal,
}

impl Stored {
    /// Whether it is told when notes are searched and listed.
    pub(crate) fn is_current(&self) -> bool {
        self.superseded_by.is_none() && self.forgotten.is_none()
    }

    /// For a reader.
    pub(crate) fn shown(self, voices: &Voices) -> Note {
        let source = |origin: Origin| Source {
            seq: origin.event_id.seq,
            event_id: origin.event_id,
            kind: origin.kind,
            from: voices.from(&origin.by, None),
            by: origin.by,
        };
        let (forgotten_at, forgotten_by) = self.forgotten.unzip();
        Note {
            note_id: self.id,
            scope: if self.owner.is_some() { Scope::Own } else { Scope::Group },
            owner: self.owner.map(|(id, _)| id),
            text: self.text,
            tags: self.tags,
            sources: self.sources.into_iter().map(source).collect(),
            from: voices.from(&self.author, None),
            edited_by: Some(self.edited_by).filter(|by| *by != self.author),
            author: self.author,
            version: self.version,
            created_at: self.created_at,
            updated_at: self.updated_at,
            superseded_by: self.superseded_by,
            forgotten_at,
            forgotten_by,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_with_and_without_its_letter() {
        for text in ["n12", "12"] {
            assert_eq!(text.parse::<NoteId>().unwrap(), NoteId(12));
        }
        for bad in ["", "n", "n0", "012", "-1", "n1.5", "t12", "99999999999999999999"] {
            assert!(bad.parse::<NoteId>().is_err(), "{bad}");
        }
        assert_eq!(serde_json::to_string(&NoteId(3)).unwrap(), "\"n3\"");
    }
}
