//! Removing groups: out of their place first, so that a process that dies leaves a group or none, then for good.

use std::path::PathBuf;

use super::Home;
use super::aside::{self, Aside, GONE};
use super::registry;
use crate::blocking::off_thread;
use crate::error::{Error, ErrorKind, Result};
use crate::event::GroupMode;
use crate::id::{GroupId, Seq};

impl Home {
    /// Deletes an archived group with everything in it, for ever. So is a directory of a group that has no ledger,
    /// or one without events: older versions left such when they died while they made one.
    ///
    /// # Errors
    /// `Refused` unless the group is archived; `NotFound`; `Unavailable` if the disk refuses, or if another process
    /// holds the registry. Where the message says that files are left, the group is gone, and they are removed by
    /// whoever makes, imports or deletes a group next.
    pub async fn delete_group(&self, id: &GroupId) -> Result<()> {
        if !self.is_hollow(id).await? {
            let group = self.group(id).await?;
            if group.summary().await?.state != GroupMode::Archived {
                return Err(Error::refused(format!("group {id} is not archived, so it is not deleted"))
                    .hint(format!("`cccc --group {id} group archive` first")));
            }
        }
        let (home, id) = (self.clone(), id.clone());
        off_thread("deleting a group", move || home.remove(&id)).await
    }

    /// What processes that died have left aside: groups half made, imported or removed. Nobody sees them, and
    /// whoever makes, imports or deletes a group removes them.
    ///
    /// # Errors
    /// `Unavailable` if the disk refuses.
    pub fn leftovers(&self) -> Result<Vec<PathBuf>> {
        aside::abandoned(self.path())
    }

    /// Whether there is a directory of this group without any event.
    async fn is_hollow(&self, id: &GroupId) -> Result<bool> {
        let path = self.group_path(id);
        match self.group(id).await {
            Ok(group) => Ok(group.position().await.is_ok_and(|at| at.seq == Seq(0))),
            Err(error) if error.kind() == ErrorKind::NotFound && path.is_dir() => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn remove(&self, id: &GroupId) -> Result<()> {
        let aside = Aside::new(self.path(), GONE)?;
        registry::change_here(self, |registry| {
            if registry.group_ids().any(|known| known == id) {
                registry.forget(id);
                registry.save()?;
            }
            aside.take_in(&self.presence_path(id), "presence")?;
            let there = aside.take_in(&self.group_path(id), "group")?;
            self.forget(id);
            if there { Ok(()) } else { Err(self.no_group(id)) }
        })?;
        aside.clear().map_err(|error| {
            let left = format!("group {id} is gone, but files of it are left: {}", error.message_text());
            Error::new(error.kind(), left).hint("whoever makes, imports or deletes a group next removes them")
        })
    }
}
