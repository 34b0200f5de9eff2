//! Removing groups: out of their place first, so that a process that dies leaves a group or none, then for good.

use std::io;
use std::path::PathBuf;

use super::Home;
use super::aside::{self, Aside, GONE};
use super::registry;
use crate::blocking::off_thread;
use crate::error::{Error, ErrorKind, Result};
use crate::event::GroupMode;
use crate::files;
use crate::id::{GroupId, Seq};

impl Home {
    /// Deletes an archived group with everything in it, for ever. So is a directory of a group that has no ledger,
    /// or one without events: older versions left such when they died while they made one. A group of which only the
    /// registry knows, as its files are gone, is forgotten.
    ///
    /// # Errors
    /// `Refused` unless the group is archived, and for one without events if a repair has set bytes aside there: they
    /// may be all that is left of it. `NotFound`; `Unavailable` if the disk refuses, or if another process
    /// holds the registry. Where the message says that files are left, the group is gone, and they are removed by
    /// whoever makes, imports or deletes a group next.
    pub async fn delete_group(&self, id: &GroupId) -> Result<()> {
        if self.is_hollow(id).await? {
            self.check_nothing_aside(id)?;
        } else {
            let group = self.group(id).await?;
            if group.summary().await?.state != GroupMode::Archived {
                return Err(Error::refused(format!("group {id} is not archived, so it is not deleted"))
                    .hint(format!("`cccc --group {id} group archive` first")));
            }
        }
        let (home, id) = (self.clone(), id.clone());
        off_thread("deleting a group", move || home.remove(&id)).await
    }

    /// Refuses to delete a group without events of which there are bytes that were set aside.
    fn check_nothing_aside(&self, id: &GroupId) -> Result<()> {
        let torn = self.group_path(id).join("torn");
        let files = match files::entries(&torn) {
            Ok(entries) => entries.count(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => 0,
            Err(e) => return Err(Error::io("list", &torn, e)),
        };
        if files == 0 {
            return Ok(());
        }
        let (files, verb) =
            if files == 1 { ("1 file".into(), "was") } else { (format!("{files} files"), "were") };
        let text =
            format!("group {id} has no events, but {files} in {} that {verb} set aside", torn.display());
        Err(Error::refused(text).hint(format!(
            "move that directory away, then repeat; or `cccc --group {id} group update --title TITLE`, `cccc --group \
             {id} group archive`, then repeat"
        )))
    }

    /// What processes that died have left aside: groups half made, imported or removed. Nobody sees them, and
    /// whoever makes, imports or deletes a group removes them.
    ///
    /// # Errors
    /// `Unavailable` if the disk refuses.
    pub fn leftovers(&self) -> Result<Vec<PathBuf>> {
        aside::abandoned(self.path())
    }

    /// Whether there is a directory of this group without any event, or nothing but its name in the registry.
    async fn is_hollow(&self, id: &GroupId) -> Result<bool> {
        let path = self.group_path(id);
        match self.group(id).await {
            Ok(group) => Ok(group.position().await.is_ok_and(|at| at.seq == Seq(0))),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let is_known = || Ok::<_, Error>(self.registry()?.group_ids().any(|known| known == id));
                if path.is_dir() || is_known()? { Ok(true) } else { Err(error) }
            }
            Err(error) => Err(error),
        }
    }

    fn remove(&self, id: &GroupId) -> Result<()> {
        let aside = Aside::new(self.path(), GONE)?;
        registry::change_here(self, |registry| {
            let is_known = registry.group_ids().any(|known| known == id);
            if !is_known && !self.group_path(id).exists() {
                return Err(self.no_group(id));
            }
            // Before the files go, so that whoever misses them finds out why.
            registry.bury(id);
            registry.save()?;
            aside.take_in(&self.presence_path(id), "presence")?;
            aside.take_in(&self.group_path(id), "group")?;
            self.forget(id);
            Ok(())
        })?;
        aside.clear().map_err(|error| {
            let left = format!("group {id} is gone, but files of it are left: {}", error.message_text());
            Error::new(error.kind(), left).hint("whoever makes, imports or deletes a group next removes them")
        })
    }
}
