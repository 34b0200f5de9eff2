//! Importing a group: it is made aside, and takes its name when all of it is there and has been checked.
//!
//! What a process that died has left aside is removed by the next import. A lock beside it tells it from what
//! is being made just now.

use std::fs::{self, File, TryLockError};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cccc_fork::LockFile;
use schemars::JsonSchema;
use serde::Serialize;

use super::registry::Registry;
use super::{Home, Scope, random_group_id, random_name};
use crate::blobs::Blobs;
use crate::blocking::{block_on, off_thread};
use crate::bundle::{self, Begin, Contents, Whole};
use crate::command::{Command, RelayOutcome};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::event::{GroupMode, GroupSetState};
use crate::group::{Group, Shared};
use crate::id::{GroupId, Principal};
use crate::ledger::{Appended, Batch, Durability, FileLedger, Ledger, Position};
use crate::presence::Presence;

/// What the names of groups that are being made begin with: no group's id does.
const ASIDE: &str = ".import-";

/// A group that was imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Imported {
    /// Its id.
    pub group_id: GroupId,
    /// The id it had, if there was a group of that id here.
    pub was: Option<GroupId>,
    /// What people call it.
    pub title: String,
    /// The end of what was imported.
    pub head: Position,
    /// How many events that are.
    pub events: u64,
    /// How many attachments came along.
    pub blobs: u64,
    /// How many attachments messages name that did not: they had been redacted.
    pub missing_blobs: u64,
    /// The directories that belong to it here.
    pub scopes: Vec<PathBuf>,
    /// Those that had belonged to it, and are not here or belong to another group.
    pub detached: Vec<String>,
}

impl Home {
    /// Makes a group of a file that [`Group::export`] wrote; `name` is what errors call the file.
    ///
    /// It keeps its id, unless there is a group of that id here: then it gets a new one, and its chain begins
    /// anew from that, with all events, their ids and their places as they were. It is `idle`. Directories
    /// stay with it if they are here and belong to no other group. What it had not relayed to other groups yet
    /// is not relayed by a copy under a new id; the original will do that.
    ///
    /// Everything is checked before anything of it can be seen. Memory is bounded, whatever the file says.
    ///
    /// # Errors
    /// `Invalid` for what is no such file, or was cut short; `Corrupt`, with the place, for what is damaged;
    /// `Unsupported` for what a newer version wrote; `Unavailable` if a disk refuses. Nothing has changed then.
    pub async fn import_group(
        &self,
        from: impl Read + Send + 'static,
        name: impl Into<String>,
    ) -> Result<Imported> {
        let (home, name) = (self.clone(), name.into());
        off_thread("cccc import", move || block_on(home.import(from, &name))).await
    }

    async fn import(&self, from: impl Read, name: &str) -> Result<Imported> {
        let groups = self.path().join("groups");
        super::filesystem::make_private(&groups)?;
        remove_abandoned(&groups)?;
        let mut aside = Aside::new(self, &groups)?;
        let whole = bundle::read(from, name, &mut aside)?;
        aside.take_place(whole).await
    }
}

/// A group in the making. Dropped before it has taken its place, it is removed.
struct Aside<'a> {
    home: &'a Home,
    dir: PathBuf,
    lock_path: PathBuf,
    /// Held as long as this lives.
    _lock: LockFile,
    ledger: Option<Arc<FileLedger>>,
    blobs: Blobs,
}

impl<'a> Aside<'a> {
    fn new(home: &'a Home, groups: &Path) -> Result<Self> {
        let dir = groups.join(format!("{ASIDE}{}", random_name()?));
        let lock_path = dir.with_extension("lock");
        let lock = cccc_fork::open(|| {
            fs::OpenOptions::new().write(true).create(true).truncate(false).open(&lock_path)
        })
        .map_err(|e| Error::io("make", &lock_path, e))?;
        lock.lock().map_err(|e| Error::io("lock", &lock_path, e))?;
        super::filesystem::make_private(&dir)?;
        let blobs = Blobs::in_directory(dir.join("blobs"));
        Ok(Self { home, dir, lock_path, _lock: lock, ledger: None, blobs })
    }

    fn ledger(&self) -> Result<&Arc<FileLedger>> {
        self.ledger.as_ref().ok_or_else(|| Error::invalid("the file does not say which group it is"))
    }

    /// Makes the group what an imported one is, and gives it its name.
    async fn take_place(mut self, whole: Whole) -> Result<Imported> {
        let ledger = self.ledger()?.clone();
        let id = ledger.group_id().clone();
        if ledger.head().await? != whole.head {
            return Err(Error::unavailable("what was written is not what was read").hint("try again"));
        }
        let group = Group::from_shared(Arc::new(Shared {
            engine: Engine::new(ledger.clone(), self.home.0.options.clock.clone()),
            blobs: self.blobs.clone(),
            presence: Presence::in_memory(),
            files: Some(ledger),
            home: None,
        }));
        let idle = GroupSetState { state: GroupMode::Idle, reason: "imported".into() };
        group.execute(Command::SetState(idle)).await?;
        let was = (id != whole.begin.group_id).then(|| whole.begin.group_id.clone());
        if was.is_some() {
            give_up_relays(&group).await?;
        }

        let mut registry = Registry::lock(self.home.path())?;
        let target = self.home.group_path(&id);
        if target.exists() {
            return Err(Error::conflict(format!("a group {id} has come meanwhile")).hint("import it again"));
        }
        let attached = group.scopes().await?;
        let (mut scopes, mut detached) = (Vec::new(), Vec::new());
        for (scope_key, path) in attached {
            match Scope::of(Path::new(&path)) {
                Ok(scope) if scope.key() == scope_key && registry.group_at(scope.path()).is_none() => {
                    scopes.push(scope.path().to_owned());
                }
                _ => {
                    group.execute(Command::DetachScope { scope_key }).await?;
                    detached.push(path);
                }
            }
        }
        let title = group.title().await?;
        // Whatever still has the files open closes them by itself.
        drop(group);
        self.ledger = None;
        fs::rename(&self.dir, &target).map_err(|e| Error::io("rename to", &target, e))?;
        super::filesystem::sync_directory(&self.home.path().join("groups"))?;
        for scope in &scopes {
            registry.add_scope(scope, &id);
        }
        registry.save()?;
        Ok(Imported {
            group_id: id,
            was,
            title,
            head: whole.head,
            events: whole.head.seq.0,
            blobs: whole.blobs,
            missing_blobs: whole.missing_blobs,
            scopes,
            detached,
        })
    }
}

impl Contents for Aside<'_> {
    fn begin(&mut self, begin: &Begin) -> Result<GroupId> {
        let taken = self.home.group_path(&begin.group_id).exists();
        let id = if taken { random_group_id()? } else { begin.group_id.clone() };
        let options = &self.home.0.options;
        let ledger = FileLedger::create(options.disk.clone(), &self.dir, id.clone(), options.ledger)?;
        self.ledger = Some(Arc::new(ledger));
        Ok(id)
    }

    fn lines(&mut self, batch: Batch) -> Result<()> {
        let ledger = self.ledger()?.clone();
        let appended =
            block_on(async move { ledger.turn().await?.append(batch, Durability::Durable).await })?;
        match appended {
            Appended::New => Ok(()),
            Appended::Already | Appended::Lost => {
                Err(Error::unavailable("the disk lost what was imported").hint("try again"))
            }
        }
    }

    fn blob(&mut self, name: &str, content: &mut dyn Read) -> Result<String> {
        self.blobs.put(content, Path::new(name), name).map(|attachment| attachment.sha256)
    }
}

impl Drop for Aside<'_> {
    fn drop(&mut self) {
        // What remains of it is removed by the next import.
        let _ = fs::remove_dir_all(&self.dir);
        let _ = fs::remove_file(&self.lock_path);
    }
}

/// What the original has not relayed, it will: a copy of it does not.
async fn give_up_relays(group: &Group) -> Result<()> {
    let system = group.bind(Principal::System.to_string()).await?;
    for relay in group.relays().await? {
        let reason = "not relayed: this group is a copy, and the original relays it";
        let outcome = RelayOutcome::Bounced(reason.into());
        let event = relay.event_id.into();
        system.execute(Command::SettleRelay { event, group: relay.group_id, outcome }).await?;
    }
    Ok(())
}

/// Removes what imports have left that died.
fn remove_abandoned(groups: &Path) -> Result<()> {
    let entries = fs::read_dir(groups).map_err(|e| Error::io("list", groups, e))?;
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !(name.starts_with(ASIDE) && name.ends_with(".lock")) {
            continue;
        }
        let Ok(lock) = cccc_fork::open(|| File::open(&path)) else { continue };
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => continue,
            Err(TryLockError::Error(e)) => return Err(Error::io("lock", &path, e)),
        }
        let dir = path.with_extension("");
        match fs::remove_dir_all(&dir) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::io("remove", &dir, e)),
            _ => {}
        }
        let _ = fs::remove_file(&path);
    }
    Ok(())
}
