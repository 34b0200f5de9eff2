//! What a caller wants written, and its bounds.

use cccc_core::{Error, EventRef, Label, Result};

use crate::note::{
    MAX_CLIENT_ID_BYTES, MAX_SOURCES, MAX_SUPERSEDED, MAX_TAGS, MAX_TEXT_BYTES, NoteId, Origin, Scope,
};

/// A note to be added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// What it says: at most 8 KiB.
    pub text: String,
    /// Whose it is.
    pub scope: Scope,
    /// What it is about: at most 16.
    pub tags: Vec<Label>,
    /// The events that it comes from: at most 20.
    pub sources: Vec<EventRef>,
    /// The notes that it says better: at most 20. They are told no more.
    pub supersedes: Vec<NoteId>,
    /// A key of one's own that makes a retry safe: under the same one, an author adds the same note once.
    pub client_id: Option<String>,
}

impl Draft {
    /// A note of the group.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// A note of the author's own.
    #[must_use]
    pub fn own(text: impl Into<String>) -> Self {
        Self { text: text.into(), scope: Scope::Own, ..Self::default() }
    }

    /// Checks the bounds, and leaves of everything what counts.
    pub(crate) fn checked(mut self) -> Result<Self> {
        check_text(&self.text)?;
        self.tags = checked_tags(self.tags)?;
        self.sources = checked_sources(self.sources)?;
        if self.supersedes.len() > MAX_SUPERSEDED {
            return Err(too_many("notes superseded at once", MAX_SUPERSEDED));
        }
        self.supersedes.sort_unstable();
        self.supersedes.dedup();
        match &self.client_id {
            Some(id) if id.is_empty() || id.len() > MAX_CLIENT_ID_BYTES || id.contains('\0') => {
                Err(Error::invalid(format!("a client_id has 1 to {MAX_CLIENT_ID_BYTES} bytes, and no NUL"))
                    .hint("any name that is the same when you try again: fix-123-lesson"))
            }
            _ => Ok(self),
        }
    }
}

/// What shall be changed of a note; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The version that was read; may be left out by whoever changed it last.
    pub base: Option<u64>,
    /// What it shall say.
    pub text: Option<String>,
    /// What it is about.
    pub tags: Option<Vec<Label>>,
    /// The events that it comes from.
    pub sources: Option<Vec<EventRef>>,
}

impl Change {
    /// Checks the bounds, and leaves of everything what counts.
    pub(crate) fn checked(mut self) -> Result<Self> {
        if self.text.is_none() && self.tags.is_none() && self.sources.is_none() {
            return Err(Error::invalid("nothing is to be changed").hint("give a text, tags or sources"));
        }
        self.text.as_deref().map_or(Ok(()), check_text)?;
        self.tags = self.tags.map(checked_tags).transpose()?;
        self.sources = self.sources.map(checked_sources).transpose()?;
        Ok(self)
    }
}

pub(crate) fn check_text(text: &str) -> Result<()> {
    if text.trim().is_empty() {
        return Err(Error::invalid("a note without text").hint("say what is worth knowing later"));
    }
    if text.contains('\0') {
        return Err(Error::invalid("the text has a NUL in it").hint("a note is text"));
    }
    if text.len() > MAX_TEXT_BYTES {
        return Err(Error::too_large(format!(
            "a note has at most {MAX_TEXT_BYTES} bytes, and this has {}",
            text.len()
        ))
        .hint("say it shorter, make several notes of it, or name the file or message that has it all"));
    }
    Ok(())
}

pub(crate) fn checked_tags(mut tags: Vec<Label>) -> Result<Vec<Label>> {
    tags.sort_unstable();
    tags.dedup();
    if tags.len() > MAX_TAGS { Err(too_many("tags", MAX_TAGS)) } else { Ok(tags) }
}

fn checked_sources(mut sources: Vec<EventRef>) -> Result<Vec<EventRef>> {
    sources.sort_unstable();
    sources.dedup();
    if sources.len() > MAX_SOURCES { Err(too_many("sources", MAX_SOURCES)) } else { Ok(sources) }
}

pub(crate) fn check_origins(sources: &[Origin]) -> Result<()> {
    if sources.len() > MAX_SOURCES { Err(too_many("sources", MAX_SOURCES)) } else { Ok(()) }
}

fn too_many(what: &str, most: usize) -> Error {
    Error::too_large(format!("a note has at most {most} {what}")).hint("leave some out")
}
