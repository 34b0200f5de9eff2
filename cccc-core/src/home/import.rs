//! Importing a group: it is made [aside](super::aside), and takes its name when all of it is there and has been
//! checked.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::aside::{Aside, IMPORT};
use super::registry;
use super::{Home, Scope, random_group_id};
use crate::blobs::Blobs;
use crate::blocking::{block_on, off_thread};
use crate::bundle::{self, Begin, Contents, Whole};
use crate::command::{Command, RelayOutcome};
use crate::error::{Error, Result};
use crate::event::{GroupMode, GroupSetState};
use crate::group::Group;
use crate::id::{GroupId, Principal};
use crate::ledger::{Appended, Batch, Durability, FileLedger, Ledger, Position};

/// How often the directories of a group are sorted out, if others take them meanwhile.
const TRIES: usize = 16;

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
    /// How many of them are gaps: lost, and marked as such by a repair.
    pub gaps: u64,
    /// How many attachments came along.
    pub blobs: u64,
    /// How many attachments messages name that did not because they had been redacted.
    pub missing_blobs: u64,
    /// Those that messages name and that did not come although nobody had redacted them, by their SHA-256.
    pub lost_blobs: Vec<String>,
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
        off_thread("importing", move || block_on(home.import(from, &name))).await
    }

    async fn import(&self, from: impl Read, name: &str) -> Result<Imported> {
        let mut import = Import::new(self)?;
        let whole = bundle::read(from, name, &mut import)?;
        import.take_place(whole).await
    }
}

/// A group in the making. Dropped before it has taken its place, it is removed.
struct Import<'a> {
    home: &'a Home,
    aside: Aside,
    ledger: Option<Arc<FileLedger>>,
    blobs: Blobs,
}

impl<'a> Import<'a> {
    fn new(home: &'a Home) -> Result<Self> {
        let aside = Aside::new(home.path(), IMPORT)?;
        let blobs = Blobs::in_directory(aside.dir().join("blobs"));
        Ok(Self { home, aside, ledger: None, blobs })
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
        let group = self.home.in_the_making(ledger, self.blobs.clone());
        let idle = GroupSetState { state: GroupMode::Idle, reason: "imported".into() };
        group.execute(Command::SetState(idle)).await?;
        let was = (id != whole.begin.group_id).then(|| whole.begin.group_id.clone());
        if was.is_some() {
            give_up_relays(&group).await?;
        }
        let title = group.title().await?;
        let mut detached = Vec::new();
        let mut scopes = self.sort_out(&group, &mut detached).await?;
        // Whatever still has the files open closes them by itself.
        drop(group);
        self.ledger = None;
        for _ in 0..TRIES {
            if self.register(&id, &scopes)? {
                return Ok(Imported {
                    group_id: id,
                    was,
                    title,
                    head: whole.head,
                    events: whole.head.seq.0,
                    gaps: whole.gaps,
                    blobs: whole.blobs,
                    missing_blobs: whole.missing_blobs,
                    lost_blobs: whole.lost_blobs,
                    scopes,
                    detached,
                });
            }
            // Somebody has taken a directory that was free.
            let group = self.open(&id)?;
            scopes = self.sort_out(&group, &mut detached).await?;
        }
        Err(Error::unavailable("others take the directories of this group all the time")
            .hint("import it again"))
    }

    fn open(&self, id: &GroupId) -> Result<Group> {
        let options = self.home.options();
        let ledger = FileLedger::open(options.disk.clone(), self.aside.dir(), id.clone(), options.ledger)?;
        Ok(self.home.in_the_making(Arc::new(ledger), self.blobs.clone()))
    }

    /// Detaches what is not here or not free; answers with what stays.
    async fn sort_out(&self, group: &Group, detached: &mut Vec<String>) -> Result<Vec<PathBuf>> {
        let attached = group.scopes().await?;
        let registry = self.home.registry()?;
        let mut stay = Vec::new();
        for (scope_key, path) in attached {
            match Scope::of(Path::new(&path)) {
                Ok(scope) if scope.key() == scope_key && registry.is_free_for(scope.path(), group.id()) => {
                    stay.push(scope.path().to_owned());
                }
                _ => {
                    group.execute(Command::DetachScope { scope_key }).await?;
                    detached.push(path);
                }
            }
        }
        Ok(stay)
    }

    /// Puts the group in its place with its directories; `false` if one of them is not free any more.
    fn register(&self, id: &GroupId, scopes: &[PathBuf]) -> Result<bool> {
        registry::change_here(self.home, |registry| {
            if !scopes.iter().all(|path| registry.is_free_for(path, id)) {
                return Ok(false);
            }
            let target = self.home.group_path(id);
            self.aside.take_place(&target)?;
            let was_deleted = registry.revive(id);
            for scope in scopes {
                registry.add_scope(scope, id);
            }
            if (was_deleted || !scopes.is_empty())
                && let Err(error) = registry.save()
            {
                // Where even this fails, it is a group that belongs to no directory.
                let _ = self.aside.give_back(&target);
                return Err(error);
            }
            Ok(true)
        })
    }
}

impl Contents for Import<'_> {
    fn begin(&mut self, begin: &Begin) -> Result<GroupId> {
        let taken = self.home.group_path(&begin.group_id).exists();
        let id = if taken { random_group_id()? } else { begin.group_id.clone() };
        let options = self.home.options();
        let ledger = FileLedger::create(options.disk.clone(), self.aside.dir(), id.clone(), options.ledger)?;
        self.ledger = Some(Arc::new(ledger));
        Ok(id)
    }

    fn lines(&mut self, batch: Batch) -> Result<()> {
        let ledger = self.ledger()?.clone();
        let appended =
            block_on(async move { ledger.turn().await?.append(&batch, Durability::Durable).await })?;
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
