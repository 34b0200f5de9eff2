//! The registry: which directories belong to which group. Small, read whole, replaced whole.
//!
//! Whoever changes it holds a lock of the operating system, and the lock exists only within the closure that
//! [`change`] and [`change_here`] take. A closure cannot await, so it is never held while something else is waited
//! for, and it is never waited for on an executor's thread: [`change`] goes off it, and [`change_here`] is for
//! those who did. What takes long, such as making a group, is done before, and put in place in there.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Home;
use super::scope::Scope;
use crate::blocking::off_thread;
use crate::disk::lock_file;
use crate::error::{Error, ErrorKind, Result};
use crate::files::{self, Links};
use crate::id::GroupId;

const VERSION: u32 = 1;

/// How many groups that were deleted it names.
const MAX_DELETED: usize = 100;

/// The largest registry that is read, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// The registry as it was read.
#[derive(Debug)]
pub(super) struct Registry {
    path: PathBuf,
    content: Content,
}

#[derive(Debug, Serialize, Deserialize)]
struct Content {
    v: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    active: Option<GroupId>,
    #[serde(default)]
    scopes: BTreeMap<PathBuf, GroupId>,
    /// Groups that were deleted, newest last: whoever still has one open is told why its files are not there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    deleted: Vec<GroupId>,
}

/// The registry within a [`change`]: the newest, and nobody else changes it.
#[derive(Debug)]
pub(super) struct Locked {
    registry: Registry,
}

/// Changes the registry off the executor. What was changed counts once it was [saved](Locked::save).
///
/// # Errors
/// `Unavailable` with the process that holds the lock for longer than 2 s, or if the disk refuses; whatever `work`
/// answers.
pub(super) async fn change<T: Send + 'static>(
    home: &Home,
    work: impl FnOnce(&mut Locked) -> Result<T> + Send + 'static,
) -> Result<T> {
    let home = home.clone();
    off_thread("changing the registry", move || change_here(&home, work)).await
}

/// As [`change`], for those who are off the executor already.
pub(super) fn change_here<T>(home: &Home, work: impl FnOnce(&mut Locked) -> Result<T>) -> Result<T> {
    let _lock = lock_file(&home.path().join("registry.lock"))?;
    Registry::read(home.path()).and_then(|registry| work(&mut Locked { registry }))
}

impl Registry {
    /// Reads the registry of a home, for looking.
    pub(super) fn read(home: &Path) -> Result<Self> {
        let path = home.join("registry.json");
        let content = match files::read(&path, Links::Followed, MAX_BYTES) {
            Ok(bytes) => parse(&path, &bytes)?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                Content { v: VERSION, active: None, scopes: BTreeMap::new(), deleted: Vec::new() }
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::FileTooLarge) => {
                return Err(no_registry(&path, &e));
            }
            Err(e) => return Err(Error::io("read", &path, e)),
        };
        Ok(Self { path, content })
    }

    /// The nearest directory at or above a scope that belongs to a group.
    pub(super) fn find(&self, scope: &Scope) -> Option<(&Path, &GroupId)> {
        scope.ancestors().find_map(|path| {
            let (path, id) = self.content.scopes.get_key_value(&path)?;
            Some((path.as_path(), id))
        })
    }

    pub(super) fn group_at(&self, path: &Path) -> Option<&GroupId> {
        self.content.scopes.get(path)
    }

    /// Whether a directory belongs to no other group.
    pub(super) fn is_free_for(&self, path: &Path, id: &GroupId) -> bool {
        self.group_at(path).is_none_or(|owner| owner == id)
    }

    pub(super) fn scopes_of(&self, id: &GroupId) -> Vec<PathBuf> {
        let own = self.content.scopes.iter().filter(|(_, owner)| *owner == id);
        own.map(|(path, _)| path.clone()).collect()
    }

    pub(super) fn active(&self) -> Option<&GroupId> {
        self.content.active.as_ref()
    }

    /// The groups that it speaks of, perhaps several times, but for those that were deleted.
    pub(super) fn group_ids(&self) -> impl Iterator<Item = &GroupId> {
        self.content.scopes.values().chain(&self.content.active)
    }

    /// Whether a group was deleted, as far as that is remembered.
    pub(super) fn has_deleted(&self, id: &GroupId) -> bool {
        self.content.deleted.contains(id)
    }
}

impl std::ops::Deref for Locked {
    type Target = Registry;

    fn deref(&self) -> &Registry {
        &self.registry
    }
}

impl Locked {
    /// Replaces the file, durably; after a crash the old or the new one is there, whole.
    pub(super) fn save(&self) -> Result<()> {
        let Registry { path, content } = &self.registry;
        let temporary = path.with_extension("json.tmp");
        let text = serde_json::to_vec_pretty(content)
            .map_err(|e| Error::invalid("the registry cannot be written as JSON").source(e))?;
        // What a process that died has left there, or somebody has put there, is not written to.
        files::remove_if_there(&temporary)?;
        let write = || {
            let mut file = private().create_new(true).open(&temporary)?;
            file.write_all(&text)?;
            file.sync_all()?;
            files::rename(&temporary, path)
        };
        write().map_err(|e| Error::io("write", path, e))?;
        super::filesystem::sync_directory(path.parent().unwrap_or(path))
    }

    /// Also makes the group the active one if there is none.
    pub(super) fn add_scope(&mut self, path: &Path, id: &GroupId) {
        let content = &mut self.registry.content;
        content.scopes.insert(path.to_owned(), id.clone());
        content.active.get_or_insert_with(|| id.clone());
    }

    pub(super) fn remove_scope(&mut self, path: &Path) {
        self.registry.content.scopes.remove(path);
    }

    pub(super) fn set_active(&mut self, id: GroupId) {
        self.registry.content.active = Some(id);
    }

    /// Drops everything about a group.
    pub(super) fn forget(&mut self, id: &GroupId) {
        let content = &mut self.registry.content;
        content.scopes.retain(|_, owner| owner != id);
        content.active.take_if(|active| active == id);
    }

    /// Drops everything about a group but that it was deleted.
    pub(super) fn bury(&mut self, id: &GroupId) {
        self.forget(id);
        self.revive(id);
        let deleted = &mut self.registry.content.deleted;
        deleted.push(id.clone());
        deleted.drain(..deleted.len().saturating_sub(MAX_DELETED));
    }

    /// Forgets that a group was deleted, because it is there again; whether it was.
    pub(super) fn revive(&mut self, id: &GroupId) -> bool {
        let deleted = &mut self.registry.content.deleted;
        let before = deleted.len();
        deleted.retain(|deleted| deleted != id);
        deleted.len() < before
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Content> {
    let content: Content = serde_json::from_slice(bytes).map_err(|error| no_registry(path, &error))?;
    if content.v > VERSION {
        return Err(Error::unsupported(format!("{} was written by a newer version", path.display()))
            .hint("upgrade cccc"));
    }
    Ok(content)
}

fn no_registry(path: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Corrupt, format!("{} is not a registry: {why}", path.display()))
        .hint("move it away and attach the directories again; the groups themselves are not touched")
}
