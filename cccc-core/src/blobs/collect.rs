//! Blobs that no message names, and when they may go.
//!
//! A blob is stored before the message that names it is sent, and somebody may be about to name one that has
//! lain there for long. So a blob goes only when it has not been touched for [`GRACE`], and whoever is about
//! to name one touches it first; a lock orders the two. What was touched after the ledger was read for names is
//! young, so it does not matter that the ledger has grown since.
//!
//! A copy that is being made has a name of its own, and whoever makes it holds a lock on it. If nobody does, it was
//! broken off, and goes.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use cccc_fork::LockFile;

use super::Digest;
use crate::disk::{DiskFile, lock_file};
use crate::error::{Error, Result};
use crate::files::{self, Links, draft};
use crate::ledger::codec::parse_hex;

/// For how long a blob stays that no message names: whoever stored it may be about to send it.
pub(super) const GRACE: Duration = Duration::from_secs(24 * 60 * 60);

/// The name of the lock in a directory of blobs. It is held for the time that one file takes to be removed or
/// renamed.
const LOCK: &str = ".lock";

/// A file in a directory of blobs that may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Its name.
    pub(crate) name: String,
    /// Its digest; `None` for a copy that was broken off.
    pub(crate) digest: Option<Digest>,
    /// How large it is.
    pub(crate) bytes: u64,
}

/// What lies in a directory of blobs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lying {
    /// Old enough to go, and what was broken off; in order of names.
    pub(crate) old: Vec<Candidate>,
    /// How many are too young, whoever names them, or still being made.
    pub(crate) young: u64,
}

/// Looks for what is old enough to go.
pub(super) fn list(dir: &Path) -> Result<Lying> {
    let mut lying = Lying::default();
    let entries = match files::entries(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(lying),
        Err(e) => return Err(Error::io("list", dir, e)),
    };
    for entry in entries {
        let entry = entry.map_err(|e| Error::io("list", dir, e))?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        let digest = parse_hex(name.as_bytes());
        // Nothing is removed that was not put there by this module.
        if digest.is_none() && !is_draft(&name) {
            continue;
        }
        let may_go = |meta: &fs::Metadata| match digest {
            Some(_) => is_old(meta),
            None => draft::abandoned(&entry.path()).is_some(),
        };
        match entry.metadata() {
            Ok(meta) if !meta.is_file() => {}
            Ok(meta) if may_go(&meta) => lying.old.push(Candidate { name, digest, bytes: meta.len() }),
            Ok(_) => lying.young += 1,
            // Gone meanwhile.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::io("look at", &entry.path(), e)),
        }
    }
    lying.old.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(lying)
}

/// Removes those of these that nobody has touched since; answers which.
pub(super) fn remove(dir: &Path, candidates: Vec<Candidate>) -> Result<Vec<Candidate>> {
    let mut removed = Vec::new();
    for candidate in candidates {
        let path = dir.join(&candidate.name);
        // One lock a file, so that nobody who sends waits for all of them.
        let _lock = lock(dir)?;
        // Held until it is removed, so that nobody else takes it for abandoned meanwhile.
        let draft = if candidate.digest.is_none() { draft::abandoned(&path) } else { None };
        match fs::symlink_metadata(&path) {
            Ok(meta)
                if meta.is_file() && (draft.is_some() || candidate.digest.is_some() && is_old(&meta)) => {}
            _ => continue,
        }
        if files::remove_if_there(&path)? {
            removed.push(candidate);
        }
    }
    Ok(removed)
}

/// A new file for a copy that is being made, and its path. As long as it is open nobody takes it for abandoned.
pub(super) fn draft(dir: &Path) -> Result<(PathBuf, LockFile)> {
    draft::begin(|| Ok(dir.join(format!(".{}.tmp", crate::home::random_name()?))))
}

fn is_draft(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(".tmp")
}

/// Makes a blob young, because a message is about to name it; whether it is there.
pub(super) fn touch(dir: &Path, name: &str) -> Result<bool> {
    let path = dir.join(name);
    let failed = |e| Error::io("touch", &path, e);
    if fs::symlink_metadata(&path).is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound) {
        return Ok(false);
    }
    let _lock = lock(dir)?;
    let mut options = OpenOptions::new();
    options.write(true);
    match files::open_with(&path, Links::Refused, options) {
        Ok(file) => file.set_modified(now()).map(|()| true).map_err(failed),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(failed(e)),
    }
}

/// Keeps [`remove`] from removing anything, until dropped.
pub(super) fn lock(dir: &Path) -> Result<Box<dyn DiskFile>> {
    lock_file(&dir.join(LOCK))
}

/// What was touched in the future was touched before the clock was set back: young.
fn is_old(meta: &fs::Metadata) -> bool {
    meta.modified().is_ok_and(|at| now().duration_since(at).is_ok_and(|age| age >= GRACE))
}

#[expect(clippy::disallowed_methods, reason = "the age of files is by the clock of the operating system")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// The digests that stand in a text, wherever.
pub(crate) fn digests_in(text: &str) -> BTreeSet<Digest> {
    let words = text.split(|c: char| !c.is_ascii_hexdigit());
    words.filter_map(|word| parse_hex(word.as_bytes())).collect()
}
