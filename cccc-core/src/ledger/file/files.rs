//! Files that a ledger keeps open while it is used, and which ones they are.
//!
//! A file that was closed because the process has too many open, and is opened again, must be the same one:
//! what is known of it holds for no other.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::locked::replaced;
use crate::disk::{Disk, DiskFile, Kept, OpenMode};
use crate::error::{Error, Result};

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    /// It must be there.
    Write,
    /// As `Write`, but it is made if it is not there.
    Make,
}

/// A file that is opened when it is needed.
#[derive(Debug)]
pub(super) struct Slot {
    path: PathBuf,
    /// Whether it is there to be locked, so that a forked child must not have it.
    is_lock: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: Option<Open>,
    /// Which file it was when it was opened first.
    identity: Option<(u64, u64)>,
}

#[derive(Debug)]
struct Open {
    file: Arc<dyn DiskFile>,
    access: Access,
    _kept: Kept,
}

impl Slot {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, is_lock: false, state: Mutex::default() }
    }

    /// For a file that is only there to be locked.
    pub(super) fn for_lock(path: PathBuf) -> Self {
        Self { is_lock: true, ..Self::new(path) }
    }

    /// Never held during a call to the disk.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file, opened if it is not. One that is open for writing serves readers, too.
    ///
    /// # Errors
    /// `Conflict` if it is another file than it was; `NotFound` if there is none and it is not to be made.
    pub(super) fn get(&self, disk: &dyn Disk, access: Access) -> Result<Arc<dyn DiskFile>> {
        let known = {
            let state = self.state();
            match &state.open {
                Some(open) if open.access != Access::Read || access == Access::Read => {
                    return Ok(open.file.clone());
                }
                _ => state.identity,
            }
        };
        let mode = match access {
            Access::Read => OpenMode::Read,
            Access::Make if known.is_none() => OpenMode::Create,
            Access::Write | Access::Make => OpenMode::Write,
        };
        let opened = if self.is_lock { disk.open_lock(&self.path) } else { disk.open(&self.path, mode) };
        let file = opened.map_err(|e| match e.kind() {
            io::ErrorKind::NotFound if known.is_some() => replaced(&self.path),
            _ => Error::io("open", &self.path, e),
        })?;
        let identity = file.stat().map_err(|e| Error::io("look at", &self.path, e))?.identity;
        let file: Arc<dyn DiskFile> = file.into();
        let mut state = self.state();
        if *state.identity.get_or_insert(identity) != identity {
            return Err(replaced(&self.path));
        }
        state.open = Some(Open { file: file.clone(), access, _kept: disk.keep(1) });
        Ok(file)
    }

    /// Fails if the path leads to another file than it did.
    pub(super) fn check(&self, disk: &dyn Disk) -> Result<()> {
        let Some(identity) = self.state().identity else { return Ok(()) };
        match disk.stat(&self.path) {
            Ok(stat) if stat.identity == identity => Ok(()),
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("look at", &self.path, e)),
            _ => Err(replaced(&self.path)),
        }
    }

    /// Closes the file as soon as nobody uses it any more.
    pub(super) fn close(&self) {
        let open = self.state().open.take();
        drop(open);
    }
}
