//! The home: one directory with all groups of one person.
//!
//! ```text
//! registry.json          which directories belong to which group, and the active group
//! registry.lock          locked by whoever changes the registry; names who does
//! groups/<group id>/     one group: its ledger (see docs/ledger-format.md) and its blobs
//! presence/<group id>/   which sessions of its actors run (see the module `presence`)
//! groups/.new-*          a group that is being made, or was when its process died; a lock beside it tells
//! groups/.import-*       ... that is being imported
//! groups/.gone-*         ... that is being deleted
//! ```
//!
//! No lock of the operating system is held here across an `await`, nor waited for on an executor's thread: two
//! tasks of one executor may do anything here at once. What takes long is done aside, off the executor, and put
//! in place in one short step (see `aside`, and `registry` for how its lock is kept to that).

mod aside;
mod claimed;
mod filesystem;
mod import;
mod making;
mod registry;
mod removing;
mod scope;
mod sharing;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, Weak};

use schemars::JsonSchema;
use serde::Serialize;

use crate::blobs::Blobs;
use crate::clock::Clock;
use crate::command::Command;
use crate::disk::Disk;
use crate::engine::Engine;
use crate::environment::{plain_text, variable};
use crate::error::{Error, ErrorKind, Result};
use crate::event::GroupAttach;
use crate::files;
use crate::group::{Group, Shared};
use crate::id::{GroupId, Nonce};
use crate::ledger::FileLedger;
use crate::ledger::file::{self, Options};
use crate::presence::{self, Presence, Process, Record};

pub use filesystem::FileSystem;
pub use import::Imported;
pub use scope::Scope;
pub(crate) use scope::git_branch;

use registry::Registry;
use sharing::Inner;

/// The environment variable that names the home.
pub const HOME_VARIABLE: &str = "CCCC_HOME";

/// How a home is opened. The default is right for everything but tests.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HomeOptions {
    /// The disk under the ledgers. Default: the operating system's, one for all homes of the process.
    pub disk: Arc<dyn Disk>,
    /// The clock. Default: the system's.
    pub clock: Arc<dyn Clock>,
    /// How the ledgers are kept.
    pub ledger: Options,
    /// Opens a home on a file system on which locks or notification are not known to work (NFS, 9p,
    /// SMB...). Only safe if all its processes run on one machine and that file system honours locks.
    pub allow_network_file_system: bool,
}

impl Default for HomeOptions {
    fn default() -> Self {
        Self {
            disk: sharing::disk(),
            clock: sharing::clock(),
            ledger: Options::default(),
            allow_network_file_system: false,
        }
    }
}

/// A directory of groups. Cheap to clone.
///
/// Homes that a process opens on one directory, however its path is spelt, are one: they share the groups that are
/// open, with one writer each. Only where one is opened with a disk, a clock or options of its own it is apart from
/// the others, as if another process had opened it.
#[derive(Clone, Debug)]
pub struct Home {
    path: Arc<Path>,
    shared: Arc<Inner>,
}

/// The group of a directory, found or made.
#[derive(Debug)]
#[non_exhaustive]
pub struct Attached {
    /// The group, bound to the user and writing from this scope.
    pub group: Group,
    /// Whether it was made just now.
    pub created: bool,
}

/// A group of the home, as the registry knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct GroupEntry {
    /// Its id.
    pub group_id: GroupId,
    /// The directories that belong to it.
    pub scopes: Vec<PathBuf>,
    /// Whether it is the one used where no other is named.
    pub active: bool,
}

impl Home {
    /// `CCCC_HOME`, else `.cccc` in the person's own directory.
    ///
    /// # Errors
    /// `Invalid` if neither `CCCC_HOME` nor the person's directory is known, or if `CCCC_HOME` is no plain text.
    pub fn default_path() -> Result<PathBuf> {
        if let Some(path) = variable(HOME_VARIABLE)? {
            return Ok(path.into());
        }
        std::env::home_dir()
            .filter(|path| !path.as_os_str().is_empty())
            .map(|path| path.join(".cccc"))
            .ok_or_else(|| Error::invalid("there is no home directory").hint(format!("set {HOME_VARIABLE}")))
    }

    /// Opens a home, making it if it is not there. One that cannot be written to (a backup, a disk that was
    /// remounted, a directory without the permission) can be read; see [`read_only`](Self::read_only).
    ///
    /// # Errors
    /// `Refused` if it belongs to another user or others may enter it, unless its file system is read-only;
    /// `Unsupported` on a file system on which several processes cannot be kept apart; `Invalid` if its path is not
    /// UTF-8 or has control characters; `Unavailable` if the disk refuses.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, HomeOptions::default()).await
    }

    /// As [`open`](Self::open), with options.
    pub async fn open_with(path: impl AsRef<Path>, options: HomeOptions) -> Result<Self> {
        let path = std::path::absolute(path.as_ref()).map_err(|e| Error::io("find", path.as_ref(), e))?;
        plain_text(path.as_os_str(), "the path of the home")?;
        filesystem::prepare(&path, options.allow_network_file_system)?;
        let shared = sharing::share(&path, options)?;
        Ok(Self { path: path.into(), shared })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn options(&self) -> &HomeOptions {
        &self.shared.options
    }

    /// Which file system it is on, and whether that keeps processes apart.
    pub fn file_system(&self) -> Result<FileSystem> {
        filesystem::of(&self.path)
    }

    /// Why nothing can be written to it, if nothing can. What only looks works all the same.
    #[must_use]
    pub fn read_only(&self) -> Option<String> {
        filesystem::read_only(&self.path)
    }

    /// Where a group's files lie, whether or not it exists.
    #[must_use]
    pub fn group_path(&self, id: &GroupId) -> PathBuf {
        self.path.join("groups").join(id.as_str())
    }

    fn presence_path(&self, id: &GroupId) -> PathBuf {
        self.path.join("presence").join(id.as_str())
    }

    async fn at_scope(&self, registry: &Registry, scope: &Scope) -> Result<Option<Group>> {
        match registry.find(scope) {
            Some((path, id)) => {
                let group = self.group(id).await?;
                Ok(Some(group.in_scope(Scope::key_of(path))))
            }
            None => Ok(None),
        }
    }

    /// The group of a directory or of the nearest directory above that has one.
    pub async fn find(&self, dir: impl AsRef<Path>) -> Result<Option<Group>> {
        let scope = Scope::of(dir.as_ref())?;
        self.at_scope(&self.registry()?, &scope).await
    }

    /// A group by its id; bound to the user.
    ///
    /// # Errors
    /// `NotFound`, with the groups that there are.
    pub async fn group(&self, id: &GroupId) -> Result<Group> {
        self.shared.opener.check()?;
        let open = self.shared.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = open.get(id).and_then(usable) {
            return Ok(Group::from_shared(shared));
        }
        drop(open);
        let options = self.options();
        let path = self.group_path(id);
        match FileLedger::open(options.disk.clone(), path.clone(), id.clone(), options.ledger) {
            Ok(ledger) => {
                let (home, id) = (self.path.clone(), id.clone());
                let is_deleted = {
                    let id = id.clone();
                    move || !path.exists() && Registry::read(&home).is_ok_and(|known| known.has_deleted(&id))
                };
                Ok(self.register(Arc::new(ledger.deleted_if(is_deleted)), &id))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => match self.group_path(id).exists() {
                true => Err(error.hint(format!("`cccc group delete {id}` removes what is left of it"))),
                false => Err(self.absent(id)),
            },
            Err(error) => Err(error),
        }
    }

    /// Why there is nothing of a group.
    fn absent(&self, id: &GroupId) -> Error {
        match self.registry() {
            Ok(registry) if registry.group_ids().any(|known| known == id) => Error::not_found(format!(
                "the files of group {id} are gone: there is no {}",
                self.group_path(id).display()
            ))
            .hint(format!(
                "put them back from a copy; or `cccc group delete {id}` forgets the group, and `cccc attach` makes a \
                 new one"
            )),
            Ok(registry) if registry.has_deleted(id) => file::deleted(id),
            _ => self.no_group(id),
        }
    }

    /// There is no group that is called this.
    fn no_group(&self, name: impl fmt::Display) -> Error {
        let known = self.group_ids().unwrap_or_default();
        let known: Vec<&str> = known.iter().map(GroupId::as_str).collect();
        let hint = match known.as_slice() {
            [] => "there are no groups yet; `cccc attach` makes one for a directory".into(),
            known => format!("known: {}", known.join(", ")),
        };
        Error::not_found(format!("there is no group {name} in {}", self.path.display())).hint(hint)
    }

    /// A group as people name it: by its id, by the beginning of its id, or by its title; bound to the user.
    ///
    /// # Errors
    /// `NotFound`, with the groups that there are; `Conflict` if several are meant, with their ids.
    pub async fn group_named(&self, name: &str) -> Result<Group> {
        let ids = self.group_ids()?;
        if let Some(id) = ids.iter().find(|id| id.as_str() == name) {
            return self.group(id).await;
        }
        let mut found: Vec<GroupId> =
            ids.iter().filter(|id| !name.is_empty() && id.as_str().starts_with(name)).cloned().collect();
        if found.is_empty() {
            for id in &ids {
                // A group that cannot be read is not found by its title.
                let Ok(group) = self.group(id).await else { continue };
                if group.title().await.is_ok_and(|title| title == name) {
                    found.push(id.clone());
                }
            }
        }
        match found.as_slice() {
            [one] => self.group(one).await,
            [] => Err(GroupId::new(name).map_or_else(|_| self.no_group(name), |id| self.absent(&id))),
            several => {
                let several: Vec<&str> = several.iter().map(GroupId::as_str).collect();
                Err(Error::conflict(format!("{name} means several groups")).hint(several.join(", ")))
            }
        }
    }

    /// Makes the group's handles share what is open. Of two that opened it at once, the first stays.
    fn register(&self, ledger: Arc<FileLedger>, id: &GroupId) -> Group {
        let mut open = self.shared.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = open.get(id).and_then(usable) {
            return Group::from_shared(shared);
        }
        open.retain(|_, shared| shared.strong_count() > 0);
        let shared = Arc::new(Shared {
            engine: Engine::new(ledger.clone(), self.options().clock.clone()),
            blobs: Blobs::in_directory(self.group_path(id).join("blobs")),
            presence: Presence::in_directory(self.presence_path(id)),
            files: Some(ledger),
            home: Some(self.clone()),
        });
        open.insert(id.clone(), Arc::downgrade(&shared));
        Group::from_shared(shared)
    }

    /// Lets go of a group that is not there any more.
    fn forget(&self, id: &GroupId) {
        self.shared.open.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// The groups of this home, by id: those that are there, and those that directories belong to although their
    /// files are gone.
    pub async fn groups(&self) -> Result<Vec<GroupEntry>> {
        let registry = self.registry()?;
        let mut ids = BTreeSet::from_iter(self.group_ids()?);
        ids.extend(registry.group_ids().cloned());
        let active = registry.active().cloned();
        let entry = |group_id: GroupId| GroupEntry {
            scopes: registry.scopes_of(&group_id),
            active: active.as_ref() == Some(&group_id),
            group_id,
        };
        Ok(ids.into_iter().map(entry).collect())
    }

    fn group_ids(&self) -> Result<Vec<GroupId>> {
        let dir = self.path.join("groups");
        let names = match files::entries(&dir) {
            Ok(names) => names,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Error::io("list", &dir, e)),
        };
        let mut ids: Vec<GroupId> =
            names.filter_map(|entry| GroupId::new(entry.ok()?.file_name().to_str()?).ok()).collect();
        ids.sort();
        Ok(ids)
    }

    /// The group that is used where none is named and the directory has none.
    pub async fn active(&self) -> Result<Option<Group>> {
        match self.registry()?.active() {
            Some(id) => self.group(id).await.map(Some),
            None => Ok(None),
        }
    }

    /// Makes a group the active one.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` if the disk refuses, or if another process holds the registry.
    pub async fn set_active(&self, id: &GroupId) -> Result<()> {
        self.group(id).await?;
        let (home, id) = (self.clone(), id.clone());
        registry::change(self, move |registry| {
            if !home.group_path(&id).exists() {
                return Err(home.no_group(&id));
            }
            registry.set_active(id);
            registry.save()
        })
        .await
    }

    /// Adds a directory to a group. Doing so again changes nothing.
    ///
    /// # Errors
    /// `Conflict` if it belongs to another group already; `Refused` if the handle's principal may not;
    /// `Unavailable` if the disk refuses, or if another process holds the registry.
    pub async fn add_scope(&self, group: &Group, dir: impl AsRef<Path>) -> Result<PathBuf> {
        let scope = Scope::of(dir.as_ref())?;
        not_of_another(&self.registry()?, &scope, group.id())?;
        let attach = GroupAttach { scope_key: scope.key(), path: scope.path_text()? };
        let done = group.execute(Command::AttachScope(attach)).await?;
        let (id, registered) = (group.id().clone(), scope.clone());
        let added = registry::change(self, move |registry| {
            not_of_another(registry, &registered, &id)?;
            registry.add_scope(registered.path(), &id);
            registry.save()
        });
        if let Err(error) = added.await {
            // Another group has it by now, or nobody could write down that this one does.
            if !done.events.is_empty() {
                group.execute(Command::DetachScope { scope_key: scope.key() }).await?;
            }
            return Err(error);
        }
        Ok(scope.path().to_owned())
    }

    /// Takes a directory from a group. The directory need not exist any more.
    ///
    /// # Errors
    /// `NotFound` if it does not belong to the group; `Refused` if the handle's principal may not; `Unavailable`
    /// if the disk refuses, or if another process holds the registry: then it is to be done again.
    pub async fn remove_scope(&self, group: &Group, dir: impl AsRef<Path>) -> Result<PathBuf> {
        let path = Scope::of(dir.as_ref()).map_or_else(
            |_| std::path::absolute(dir.as_ref()).map_err(|e| Error::io("find", dir.as_ref(), e)),
            |scope| Ok(scope.path().to_owned()),
        )?;
        if self.registry()?.group_at(&path) != Some(group.id()) {
            return Err(Error::not_found(format!(
                "{} does not belong to group {}",
                path.display(),
                group.id()
            ))
            .hint("`cccc group show` lists its directories"));
        }
        match group.execute(Command::DetachScope { scope_key: Scope::key_of(&path) }).await {
            // Somebody died before the registry knew of it, too.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            result => drop(result?),
        }
        let (id, removed) = (group.id().clone(), path.clone());
        registry::change(self, move |registry| {
            if registry.group_at(&removed) == Some(&id) {
                registry.remove_scope(&removed);
                registry.save()?;
            }
            Ok(())
        })
        .await?;
        Ok(path)
    }

    /// The live sessions, in all groups, that the nearest of these processes is: who speaks where one of them gives a
    /// command.
    ///
    /// # Errors
    /// `Unavailable` if the disk refuses.
    pub async fn embodied(&self, processes: &[Process]) -> Result<Vec<(GroupId, Record)>> {
        let found = presence::embodied(&self.path, processes)?;
        let joining = found.iter().filter(|(_, record)| record.joining).map(|(id, _)| id);
        let joining: BTreeSet<&GroupId> = joining.collect();
        if joining.is_empty() || self.read_only().is_some() {
            return Ok(found);
        }
        // Whoever was stopped in the middle of it has joined or has not; who is still at it counts as who it will be.
        for id in joining {
            match self.group(id).await {
                Ok(group) => group.settle_joins().await?,
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        presence::embodied(&self.path, processes)
    }

    fn registry(&self) -> Result<Registry> {
        Registry::read(&self.path)
    }
}

/// What is open of a group, unless its files were replaced or this process is a fork of the one that opened it:
/// then whoever opens the group again gets it as it is now.
fn usable(open: &Weak<Shared>) -> Option<Arc<Shared>> {
    open.upgrade().filter(|shared| shared.files.as_ref().is_none_or(|files| files.is_usable()))
}

/// Refuses a directory that belongs to another group already.
fn not_of_another(registry: &Registry, scope: &Scope, id: &GroupId) -> Result<()> {
    match registry.group_at(scope.path()) {
        Some(other) if other != id => {
            Err(Error::conflict(format!("{} belongs to group {other}", scope.path().display()))
                .hint(format!("`cccc --group {other} group scope remove` first")))
        }
        _ => Ok(()),
    }
}

/// A name that nothing else has: 80 random bits.
pub(crate) fn random_name() -> Result<String> {
    Ok([random_bits()?, random_bits()?]
        .map(|bits| Nonce::from_bits(bits).as_str().replace('_', "0"))
        .concat())
}

/// 64 random bits.
#[expect(clippy::disallowed_methods, reason = "a home is where groups and sessions get their names")]
pub(crate) fn random_bits() -> Result<u64> {
    getrandom::u64().map_err(|e| Error::unavailable(format!("no source of randomness: {e}")))
}

/// A new group's id.
pub(crate) fn random_group_id() -> Result<GroupId> {
    let name = random_name()?;
    GroupId::new(format!("g{}", name.get(..12).unwrap_or(&name)))
}
