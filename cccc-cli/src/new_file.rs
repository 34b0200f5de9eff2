//! A file that a person asked for: it is there whole or not at all, and never in the place of another.
//!
//! It is written beside its place, under a name of no meaning, and gets its own when it is on disk. What is left of one
//! whose program was killed is removed by whoever writes to the same directory next; a lock tells it from what
//! somebody is writing just now.

use std::fs::{self, File};
use std::io::{self, ErrorKind as Io};
use std::path::{Path, PathBuf};

use cccc_core::{Error, Result};
use tempfile::{Builder, NamedTempFile};

use crate::output::in_words;

/// What the names of unfinished files begin and end with.
const PREFIX: &str = ".cccc-";
const SUFFIX: &str = ".part";

/// How often a name is tried. Who removes what is left may take a file that was just made for an abandoned one.
const TRIES: usize = 16;

/// A file in the making. Dropped before it is finished, it is removed.
#[derive(Debug)]
pub(crate) struct NewFile {
    target: PathBuf,
    draft: NamedTempFile,
}

impl NewFile {
    /// Begins a file, its owner's alone, at a place where nothing is.
    ///
    /// # Errors
    /// `Unavailable` if something is there, or the disk refuses; `NotFound` if the directory is not there.
    pub(crate) fn create(target: &Path) -> Result<Self> {
        if fs::symlink_metadata(target).is_ok() {
            return Err(exists(target, Io::AlreadyExists.into()));
        }
        let dir = directory(target);
        remove_abandoned(dir);
        for _ in 0..TRIES {
            let draft = Builder::new().prefix(PREFIX).suffix(SUFFIX).tempfile_in(dir);
            let draft = draft.map_err(|e| refused("create", target, e))?;
            let is_ours = draft.as_file().try_lock().is_ok() && draft.path().exists();
            if is_ours {
                return Ok(Self { target: target.to_owned(), draft });
            }
        }
        Err(Error::unavailable(format!("no name is to be had in {}", dir.display())).hint("try again"))
    }

    /// The file, to be written to.
    pub(crate) fn writer(&self) -> Result<File> {
        self.draft.as_file().try_clone().map_err(|e| refused("write", &self.target, e))
    }

    /// Puts what was written on disk, and then in its place.
    ///
    /// # Errors
    /// As for [`create`](Self::create).
    pub(crate) fn finish(self) -> Result<()> {
        let Self { target, draft } = self;
        draft.as_file().sync_all().map_err(|e| refused("write", &target, e))?;
        draft.persist_noclobber(&target).map_err(|e| match e.error.kind() {
            Io::AlreadyExists => exists(&target, e.error),
            _ => refused("create", &target, e.error),
        })?;
        sync_directory(directory(&target)).map_err(|e| {
            // Nobody is told of a file that a power cut may take away.
            let _ = fs::remove_file(&target);
            refused("write", &target, e)
        })
    }
}

/// The error for a file that could not be made whole. What there was of it is removed.
pub(crate) fn refused(operation: &str, target: &Path, cause: io::Error) -> Error {
    if !matches!(cause.kind(), Io::StorageFull | Io::QuotaExceeded) {
        return Error::io(operation, target, cause);
    }
    Error::unavailable(format!("cannot {operation} {}: {}", target.display(), in_words(&cause)))
        .hint("free space there, then repeat; nothing was left behind")
        .source(cause)
}

fn exists(target: &Path, cause: io::Error) -> Error {
    Error::io("create", target, cause).hint("nothing is overwritten: give another name, or move that away")
}

/// The directory of a file.
fn directory(target: &Path) -> &Path {
    target.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes unfinished files at which nobody is. What cannot be removed stays.
fn remove_abandoned(dir: &Path) {
    let is_unfinished = |name: &str| name.starts_with(PREFIX) && name.ends_with(SUFFIX);
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file
            && entry.file_name().to_str().is_some_and(is_unfinished)
            && File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok())
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Makes a directory's names durable, where a platform has that.
fn sync_directory(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}
