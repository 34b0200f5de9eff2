//! The home: one directory with all groups of one person.
//!
//! ```text
//! registry.json          which directories belong to which group, and the active group
//! registry.lock          only ever locked
//! groups/<group id>/     one group: its ledger (see docs/ledger-format.md) and its blobs
//! presence/<group id>/   which sessions of its actors run (see the module `presence`)
//! groups/.import-*       a group that is being imported, or was when its process died
//! ```

mod filesystem;
mod import;
mod registry;
mod scope;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use schemars::JsonSchema;
use serde::Serialize;

use crate::blobs::Blobs;
use crate::clock::{Clock, SystemClock};
use crate::command::Command;
use crate::disk::{Disk, RealDisk};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{GroupAttach, GroupCreate, GroupMode};
use crate::group::{Group, Shared};
use crate::id::{GroupId, Nonce};
use crate::ledger::FileLedger;
use crate::ledger::file::Options;
use crate::opener::Opener;
use crate::presence::Presence;

pub use filesystem::FileSystem;
pub use import::Imported;
pub use scope::Scope;
pub(crate) use scope::git_branch;

use registry::Registry;

/// The environment variable that names the home.
pub const HOME_VARIABLE: &str = "CCCC_HOME";

/// How a home is opened. The default is right for everything but tests.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HomeOptions {
    /// The disk under the ledgers.
    pub disk: Arc<dyn Disk>,
    /// The clock.
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
            disk: Arc::new(RealDisk::new()),
            clock: Arc::new(SystemClock),
            ledger: Options::default(),
            allow_network_file_system: false,
        }
    }
}

/// A directory of groups. Cheap to clone; two homes in one process do not know of each other.
#[derive(Clone, Debug)]
pub struct Home(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    options: HomeOptions,
    opener: Opener,
    /// What is open, so that all handles of a group in this process share one writer.
    open: Mutex<HashMap<GroupId, Weak<Shared>>>,
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
    /// `Invalid` if neither `CCCC_HOME` nor the person's directory is known.
    pub fn default_path() -> Result<PathBuf> {
        if let Some(path) = std::env::var_os(HOME_VARIABLE).filter(|path| !path.is_empty()) {
            return Ok(path.into());
        }
        std::env::home_dir()
            .filter(|path| !path.as_os_str().is_empty())
            .map(|path| path.join(".cccc"))
            .ok_or_else(|| Error::invalid("there is no home directory").hint(format!("set {HOME_VARIABLE}")))
    }

    /// Opens a home, making it if it is not there.
    ///
    /// # Errors
    /// `Refused` if it belongs to another user or others may enter it; `Unsupported` on a file system on
    /// which several processes cannot be kept apart; `Unavailable` if the disk refuses.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, HomeOptions::default()).await
    }

    /// As [`open`](Self::open), with options.
    pub async fn open_with(path: impl AsRef<Path>, options: HomeOptions) -> Result<Self> {
        let path = std::path::absolute(path.as_ref()).map_err(|e| Error::io("find", path.as_ref(), e))?;
        filesystem::prepare(&path, options.allow_network_file_system)?;
        Ok(Self(Arc::new(Inner { path, options, opener: Opener::here(), open: Mutex::default() })))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Which file system it is on, and whether that keeps processes apart.
    pub fn file_system(&self) -> Result<FileSystem> {
        filesystem::of(&self.0.path)
    }

    /// Where a group's files lie, whether or not it exists.
    #[must_use]
    pub fn group_path(&self, id: &GroupId) -> PathBuf {
        self.0.path.join("groups").join(id.as_str())
    }

    fn presence_path(&self, id: &GroupId) -> PathBuf {
        self.0.path.join("presence").join(id.as_str())
    }

    /// The group of a directory, made if there is none; bound to the user.
    ///
    /// # Errors
    /// As for [`attach_as`](Self::attach_as).
    pub async fn attach(&self, dir: impl AsRef<Path>) -> Result<Group> {
        Ok(self.attach_as(dir, None).await?.group)
    }

    /// The group of a directory or of the nearest directory above that has one; if there is none, it is
    /// made, with this title or else the directory's name. A git worktree belongs to its main repository.
    ///
    /// # Errors
    /// `NotFound` if the directory is not there, `Invalid` if it is none.
    pub async fn attach_as(&self, dir: impl AsRef<Path>, title: Option<String>) -> Result<Attached> {
        let scope = Scope::of(dir.as_ref())?;
        if let Some(group) = self.at_scope(&self.registry()?, &scope).await? {
            return Ok(Attached { group, created: false });
        }
        let mut registry = Registry::lock(&self.0.path)?;
        // Another process may have made it while this one waited for the lock.
        if let Some(group) = self.at_scope(&registry, &scope).await? {
            return Ok(Attached { group, created: false });
        }
        let title = title.unwrap_or_else(|| scope.title());
        let group = self.create(GroupCreate { title, ..GroupCreate::default() }).await?;
        let attach = GroupAttach { scope_key: scope.key(), path: scope.path_text()? };
        group.execute(Command::AttachScope(attach)).await?;
        registry.add_scope(scope.path(), group.id());
        registry.save()?;
        Ok(Attached { group: group.in_scope(scope.key()), created: true })
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

    /// Makes a group that belongs to no directory yet; bound to the user.
    pub async fn create_group(&self, title: impl Into<String>) -> Result<Group> {
        let _lock = Registry::lock(&self.0.path)?;
        self.create(GroupCreate { title: title.into(), ..GroupCreate::default() }).await
    }

    async fn create(&self, create: GroupCreate) -> Result<Group> {
        self.0.opener.check()?;
        let id = random_group_id()?;
        let dir = self.group_path(&id);
        let Inner { options, .. } = self.0.as_ref();
        let ledger = FileLedger::create(options.disk.clone(), &dir, id.clone(), options.ledger)?;
        let group = self.register(Arc::new(ledger), &id);
        group.execute(Command::CreateGroup(create)).await?;
        Ok(group)
    }

    /// A group by its id; bound to the user.
    ///
    /// # Errors
    /// `NotFound`, with the groups that there are.
    pub async fn group(&self, id: &GroupId) -> Result<Group> {
        self.0.opener.check()?;
        let open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner).get(id).and_then(Weak::upgrade);
        if let Some(shared) = open {
            return Ok(Group::from_shared(shared));
        }
        let options = &self.0.options;
        match FileLedger::open(options.disk.clone(), self.group_path(id), id.clone(), options.ledger) {
            Ok(ledger) => Ok(self.register(Arc::new(ledger), id)),
            Err(error) if error.kind() == ErrorKind::NotFound && !self.group_path(id).exists() => {
                let known: Vec<String> = self.group_ids()?.iter().map(ToString::to_string).collect();
                let hint = match known.as_slice() {
                    [] => "there are no groups yet; `cccc attach` makes one for a directory".into(),
                    known => format!("known: {}", known.join(", ")),
                };
                Err(Error::not_found(format!("there is no group {id} in {}", self.0.path.display()))
                    .hint(hint))
            }
            Err(error) => Err(error),
        }
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
            [] => {
                let known: Vec<&str> = ids.iter().map(GroupId::as_str).collect();
                let hint = match known.as_slice() {
                    [] => "there are no groups yet; `cccc attach` makes one for a directory".into(),
                    known => format!("known: {}", known.join(", ")),
                };
                Err(Error::not_found(format!("there is no group {name} in {}", self.0.path.display()))
                    .hint(hint))
            }
            several => {
                let several: Vec<&str> = several.iter().map(GroupId::as_str).collect();
                Err(Error::conflict(format!("{name} means several groups")).hint(several.join(", ")))
            }
        }
    }

    /// Makes the group's handles share what is open. Of two that opened it at once, the first stays.
    fn register(&self, ledger: Arc<FileLedger>, id: &GroupId) -> Group {
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = open.get(id).and_then(Weak::upgrade) {
            return Group::from_shared(shared);
        }
        open.retain(|_, shared| shared.strong_count() > 0);
        let shared = Arc::new(Shared {
            engine: Engine::new(ledger.clone(), self.0.options.clock.clone()),
            blobs: Blobs::in_directory(self.group_path(id).join("blobs")),
            presence: Presence::in_directory(self.presence_path(id)),
            files: Some(ledger),
            home: Some(self.clone()),
        });
        open.insert(id.clone(), Arc::downgrade(&shared));
        Group::from_shared(shared)
    }

    /// The groups of this home, by id.
    pub async fn groups(&self) -> Result<Vec<GroupEntry>> {
        let registry = self.registry()?;
        let active = registry.active().cloned();
        let entry = |group_id: GroupId| GroupEntry {
            scopes: registry.scopes_of(&group_id),
            active: active.as_ref() == Some(&group_id),
            group_id,
        };
        Ok(self.group_ids()?.into_iter().map(entry).collect())
    }

    fn group_ids(&self) -> Result<Vec<GroupId>> {
        let dir = self.0.path.join("groups");
        let names = match std::fs::read_dir(&dir) {
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
    pub async fn set_active(&self, id: &GroupId) -> Result<()> {
        self.group(id).await?;
        let mut registry = Registry::lock(&self.0.path)?;
        registry.set_active(Some(id.clone()));
        registry.save()
    }

    /// Adds a directory to a group.
    ///
    /// # Errors
    /// `Conflict` if it belongs to another group already; `Refused` if the handle's principal may not.
    pub async fn add_scope(&self, group: &Group, dir: impl AsRef<Path>) -> Result<PathBuf> {
        let scope = Scope::of(dir.as_ref())?;
        let mut registry = Registry::lock(&self.0.path)?;
        match registry.group_at(scope.path()) {
            Some(id) if id == group.id() => return Ok(scope.path().to_owned()),
            Some(id) => {
                return Err(Error::conflict(format!("{} belongs to group {id}", scope.path().display()))
                    .hint(format!("`cccc --group {id} group scope remove` first")));
            }
            None => {}
        }
        let attach = GroupAttach { scope_key: scope.key(), path: scope.path_text()? };
        group.execute(Command::AttachScope(attach)).await?;
        registry.add_scope(scope.path(), group.id());
        registry.save()?;
        Ok(scope.path().to_owned())
    }

    /// Takes a directory from a group. The directory need not exist any more.
    ///
    /// # Errors
    /// `NotFound` if it does not belong to the group.
    pub async fn remove_scope(&self, group: &Group, dir: impl AsRef<Path>) -> Result<PathBuf> {
        let path = Scope::of(dir.as_ref()).map_or_else(
            |_| std::path::absolute(dir.as_ref()).map_err(|e| Error::io("find", dir.as_ref(), e)),
            |scope| Ok(scope.path().to_owned()),
        )?;
        let mut registry = Registry::lock(&self.0.path)?;
        if registry.group_at(&path) != Some(group.id()) {
            return Err(Error::not_found(format!(
                "{} does not belong to group {}",
                path.display(),
                group.id()
            ))
            .hint("`cccc group show` lists its directories"));
        }
        group.execute(Command::DetachScope { scope_key: Scope::key_of(&path) }).await?;
        registry.remove_scope(&path);
        registry.save()?;
        Ok(path)
    }

    /// Deletes an archived group with everything in it, for ever.
    ///
    /// # Errors
    /// `Refused` unless the group is archived.
    pub async fn delete_group(&self, id: &GroupId) -> Result<()> {
        let group = self.group(id).await?;
        if group.summary().await?.state != GroupMode::Archived {
            return Err(Error::refused(format!("group {id} is not archived, so it is not deleted"))
                .hint(format!("`cccc --group {id} group archive` first")));
        }
        let mut registry = Registry::lock(&self.0.path)?;
        registry.forget(id);
        registry.save()?;
        for dir in [self.presence_path(id), self.group_path(id)] {
            match std::fs::remove_dir_all(&dir) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", &dir, e));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn registry(&self) -> Result<Registry> {
        Registry::read(&self.0.path)
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
