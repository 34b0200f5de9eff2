//! The handle.

use std::path::PathBuf;

use cccc_core::{Error, EventRef, Group, Result, Roster, Voices};

use crate::note::Origin;
use crate::rule::Who;

/// The memory of a group, bound to the principal of the handle it was made of. Cheap to make and to clone.
///
/// *To remember:* [`add`](Self::add), [`edit`](Self::edit), [`forget`](Self::forget). *To recall:*
/// [`search`](Self::search), [`list`](Self::list), [`get`](Self::get). *To look after it:* [`stats`](Self::stats),
/// [`verify`](Self::verify), [`rebuild`](Self::rebuild), [`purge`](Self::purge), [`compact`](Self::compact),
/// [`hand_over`](Self::hand_over), [`export`](Self::export), [`import`](Self::import).
///
/// What changes it is durable when the call returns, or nothing was changed. Every method fails with `Corrupt` if
/// the database is damaged, `Unsupported` if a newer version wrote it, and `Unavailable` if others keep it busy for
/// ten seconds or the disk refuses; all of that only looking makes no file.
#[derive(Clone, Debug)]
pub struct Memory {
    pub(crate) group: Group,
    pub(crate) directory: PathBuf,
}

impl Memory {
    /// The memory of a group, in the name of whom the handle is bound to.
    ///
    /// # Errors
    /// `Unsupported` for a group that is not in files.
    pub fn of(group: &Group) -> Result<Self> {
        let files = group.files().ok_or_else(|| {
            Error::unsupported("a group that is not in files has no memory").hint("open it in a home")
        })?;
        Ok(Self { directory: files.path().to_owned(), group: group.clone() })
    }

    /// Who asks, in which group.
    pub(crate) async fn asked(&self) -> Result<(Who, Roster)> {
        let roster = self.group.roster().await?;
        Ok((Who::of(self.group.by(), &roster), roster))
    }

    /// In what words speakers are named to whoever asks.
    pub(crate) async fn voices(&self) -> Result<Voices> {
        self.group.voices().await
    }

    /// The events that are named, which must be there.
    pub(crate) async fn origins(&self, sources: &[EventRef]) -> Result<Vec<Origin>> {
        let mut origins = Vec::with_capacity(sources.len());
        for source in sources {
            let event = self.group.event(source.clone()).await?;
            origins.push(Origin { event_id: event.id, kind: event.body.kind().to_owned(), by: event.by });
        }
        Ok(origins)
    }
}
