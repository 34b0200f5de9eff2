//! The registry: which directories belong to which group. Small, read whole, replaced whole.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use cccc_fork::LockFile;
use serde::{Deserialize, Serialize};

use super::scope::Scope;
use crate::error::{Error, ErrorKind, Result};
use crate::id::GroupId;

const VERSION: u32 = 1;

/// The registry, and the lock on it where it may be changed.
#[derive(Debug)]
pub(super) struct Registry {
    path: PathBuf,
    content: Content,
    /// Held from reading to saving, so that of two changes none is lost.
    _lock: Option<LockFile>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Content {
    v: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    active: Option<GroupId>,
    #[serde(default)]
    scopes: BTreeMap<PathBuf, GroupId>,
}

impl Registry {
    /// Reads the registry of a home, for looking.
    pub(super) fn read(home: &Path) -> Result<Self> {
        let path = home.join("registry.json");
        let content = match fs::read(&path) {
            Ok(bytes) => parse(&path, &bytes)?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                Content { v: VERSION, active: None, scopes: BTreeMap::new() }
            }
            Err(e) => return Err(Error::io("read", &path, e)),
        };
        Ok(Self { path, content, _lock: None })
    }

    /// Waits for the lock and reads the registry, for changing.
    pub(super) fn lock(home: &Path) -> Result<Self> {
        let path = home.join("registry.lock");
        let file = cccc_fork::open(|| private().create(true).truncate(false).open(&path))
            .map_err(|e| Error::io("open", &path, e))?;
        file.lock().map_err(|e| Error::io("lock", &path, e))?;
        Ok(Self { _lock: Some(file), ..Self::read(home)? })
    }

    /// Replaces the file; after a crash the old or the new one is there, whole.
    pub(super) fn save(&self) -> Result<()> {
        let temporary = self.path.with_extension("json.tmp");
        let text = serde_json::to_vec_pretty(&self.content)
            .map_err(|e| Error::invalid("the registry cannot be written as JSON").source(e))?;
        let write = || {
            let mut file = private().create(true).truncate(true).open(&temporary)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&temporary, &self.path)
        };
        write().map_err(|e| Error::io("write", &self.path, e))
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

    pub(super) fn scopes_of(&self, id: &GroupId) -> Vec<PathBuf> {
        let own = self.content.scopes.iter().filter(|(_, owner)| *owner == id);
        own.map(|(path, _)| path.clone()).collect()
    }

    /// Also makes the group the active one if there is none.
    pub(super) fn add_scope(&mut self, path: &Path, id: &GroupId) {
        self.content.scopes.insert(path.to_owned(), id.clone());
        self.content.active.get_or_insert_with(|| id.clone());
    }

    pub(super) fn remove_scope(&mut self, path: &Path) {
        self.content.scopes.remove(path);
    }

    pub(super) fn active(&self) -> Option<&GroupId> {
        self.content.active.as_ref()
    }

    pub(super) fn set_active(&mut self, id: Option<GroupId>) {
        self.content.active = id;
    }

    /// Drops everything about a group.
    pub(super) fn forget(&mut self, id: &GroupId) {
        self.content.scopes.retain(|_, owner| owner != id);
        self.content.active.take_if(|active| active == id);
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
    let content: Content = serde_json::from_slice(bytes).map_err(|error| {
        Error::new(ErrorKind::Corrupt, format!("{} is not a registry: {error}", path.display()))
            .hint("move it away and attach the directories again; the groups themselves are not touched")
    })?;
    if content.v > VERSION {
        return Err(Error::unsupported(format!("{} was written by a newer version", path.display()))
            .hint("upgrade cccc"));
    }
    Ok(content)
}
