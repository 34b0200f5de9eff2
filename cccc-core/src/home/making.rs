//! Making groups: aside, and in place when whole; see [`aside`](super::aside).

use std::path::PathBuf;
use std::sync::Arc;

use super::aside::{Aside, NEW};
use super::registry::{self, Locked, Registry};
use super::{Attached, Home, Scope, random_group_id};
use crate::blobs::Blobs;
use crate::blocking::{block_on, off_thread};
use crate::command::Command;
use crate::engine::Engine;
use crate::error::{ErrorKind, Result};
use crate::event::{GroupAttach, GroupCreate};
use crate::group::{Group, Shared};
use crate::id::{GroupId, Seq};
use crate::ledger::FileLedger;
use crate::presence::Presence;

impl Home {
    /// The group of a directory, made if there is none; bound to the user.
    ///
    /// # Errors
    /// As for [`attach_as`](Self::attach_as).
    pub async fn attach(&self, dir: impl AsRef<std::path::Path>) -> Result<Group> {
        Ok(self.attach_as(dir, None).await?.group)
    }

    /// The group of a directory or of the nearest directory above that has one; if there is none, it is
    /// made, with this title or else the directory's name. A git worktree belongs to its main repository. A group that
    /// the registry has lost is found by its ledger, and is in the registry again then, with all its directories. One
    /// that has lost its beginning, because a repair cut the ledger there, begins again.
    ///
    /// Of several that make it at once, in whatever processes, one does and the others find its group.
    ///
    /// # Errors
    /// `NotFound` if the directory is not there, `Invalid` if it is none, and whatever the rules say of the title;
    /// `Conflict` if the registry knows no group of the directory and several claim it; `Corrupt`, or what else keeps it
    /// from being read, if it may be one that cannot be read; `Unavailable` if the disk refuses or another process holds
    /// the registry. Then there is no new group.
    pub async fn attach_as(
        &self,
        dir: impl AsRef<std::path::Path>,
        title: Option<String>,
    ) -> Result<Attached> {
        let scope = Scope::of(dir.as_ref())?;
        let found = self.there(&self.registry()?, &scope).map(|place| (place, false));
        let ((path, id), mut created) = match found {
            Some(found) => found,
            None => {
                let (home, title) = (self.clone(), title.clone());
                off_thread("attaching", move || home.make_for(&scope, title)).await?
            }
        };
        let group = self.group(&id).await?.in_scope(Scope::key_of(&path));
        // What is damaged is told by whatever meets it.
        let is_empty = group.position().await.is_ok_and(|at| at.seq == Seq(0));
        if is_empty && self.read_only().is_none() {
            created = begin_again(&group, &Scope::of(&path)?, title).await?;
        } else if self.read_only().is_none() {
            say_again(&group, &Scope::of(&path)?).await?;
        }
        Ok(Attached { group, created })
    }

    /// Makes a group that belongs to no directory yet; bound to the user.
    ///
    /// # Errors
    /// `TooLarge` or `Invalid` for the title; `Unavailable` if the disk refuses. Then there is no new group.
    pub async fn create_group(&self, title: impl Into<String>) -> Result<Group> {
        let (home, title) = (self.clone(), title.into());
        let made = off_thread("making a group", move || {
            let aside = Aside::new(home.path(), NEW)?;
            let create = GroupCreate { title, ..GroupCreate::default() };
            let id = home.make(&aside, [Command::CreateGroup(create)])?;
            aside.take_place(&home.group_path(&id))?;
            Ok(id)
        });
        self.group(&made.await?).await
    }

    /// Where a scope belongs to by the registry, as far as that group is there.
    fn there(&self, registry: &Registry, scope: &Scope) -> Option<(PathBuf, GroupId)> {
        let (path, id) = registry.find(scope)?;
        self.group_path(id).exists().then(|| (path.to_owned(), id.clone()))
    }

    /// As [`there`](Self::there). A group that the registry names and that is not there belongs to nothing any more.
    fn still_there(&self, registry: &mut Locked, scope: &Scope) -> Option<(PathBuf, GroupId)> {
        while let Some((_, stale)) = registry.find(scope) {
            if let Some(found) = self.there(registry, scope) {
                return Some(found);
            }
            let stale = stale.clone();
            registry.forget(&stale);
        }
        None
    }

    /// The group of a scope, and whether it was made.
    fn make_for(&self, scope: &Scope, title: Option<String>) -> Result<((PathBuf, GroupId), bool)> {
        if let Some(claim) = self.claimed(scope)? {
            let found = registry::change_here(self, |registry| {
                if let Some(found) = self.still_there(registry, scope) {
                    return Ok(found);
                }
                for path in &claim.scopes {
                    if registry.group_at(path).is_none() {
                        registry.add_scope(path, &claim.id);
                    }
                }
                registry.save()?;
                Ok((claim.path, claim.id))
            });
            return Ok((found?, false));
        }
        let aside = Aside::new(self.path(), NEW)?;
        let id = self.make(&aside, beginning(scope, title)?)?;
        registry::change_here(self, |registry| {
            if let Some(found) = self.still_there(registry, scope) {
                return Ok((found, false));
            }
            let target = self.group_path(&id);
            aside.take_place(&target)?;
            registry.add_scope(scope.path(), &id);
            if let Err(error) = registry.save() {
                // Where even this fails, it is a group that belongs to no directory.
                let _ = aside.give_back(&target);
                return Err(error);
            }
            Ok(((scope.path().to_owned(), id), true))
        })
    }

    /// Makes a group aside of its first commands, and closes it again.
    fn make(&self, aside: &Aside, commands: impl IntoIterator<Item = Command>) -> Result<GroupId> {
        let id = random_group_id()?;
        let options = self.options();
        let ledger = FileLedger::create(options.disk.clone(), aside.dir(), id.clone(), options.ledger)?;
        let group = self.in_the_making(Arc::new(ledger), Blobs::in_directory(aside.dir().join("blobs")));
        for command in commands {
            block_on(group.execute(command))?;
        }
        Ok(id)
    }

    /// A group that is not in its place yet.
    pub(super) fn in_the_making(&self, ledger: Arc<FileLedger>, blobs: Blobs) -> Group {
        Group::from_shared(Arc::new(Shared {
            engine: Engine::new(ledger.clone(), self.options().clock.clone()),
            blobs,
            presence: Presence::in_memory(),
            files: Some(ledger),
            home: None,
        }))
    }
}

/// The first commands of a scope's group.
fn beginning(scope: &Scope, title: Option<String>) -> Result<[Command; 2]> {
    let create = GroupCreate { title: title.unwrap_or_else(|| scope.title()), ..GroupCreate::default() };
    let attach = GroupAttach { scope_key: scope.key(), path: scope.path_text()? };
    Ok([Command::CreateGroup(create), Command::AttachScope(attach)])
}

/// Says on the ledger again that a scope is the group's, where what said so is lost: else the registry alone knows.
async fn say_again(group: &Group, scope: &Scope) -> Result<()> {
    // What is damaged is told by whatever meets it.
    let Ok(mut scopes) = group.scopes().await.map(IntoIterator::into_iter) else { return Ok(()) };
    if scopes.any(|(key, _)| key == scope.key()) {
        return Ok(());
    }
    let attach = GroupAttach { scope_key: scope.key(), path: scope.path_text()? };
    match group.execute(Command::AttachScope(attach)).await {
        // An archived group stays as it is.
        Err(error) if error.kind() == ErrorKind::Refused => Ok(()),
        done => done.map(drop),
    }
}

/// Gives a group without events the beginning that it had; `false` if somebody else does at the same time.
async fn begin_again(group: &Group, scope: &Scope, title: Option<String>) -> Result<bool> {
    let [create, attach] = beginning(scope, title)?;
    let created = match group.execute(create).await {
        Err(error) if error.kind() == ErrorKind::Conflict => false,
        done => done.map(|_| true)?,
    };
    group.execute(attach).await?;
    Ok(created)
}
