//! What is in the making, and how it is told from what a process that died has left of it: whoever makes something
//! holds a lock until it has its place, and what nobody holds may go.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use cccc_fork::LockFile;

use super::Links;
use crate::error::{Error, Result};

/// How often a name is tried. Whoever removes what is left may take a file that was just made for such a one.
const TRIES: usize = 16;

/// Makes a file, its owner's alone, and takes its lock. `path` gives a new name each time.
///
/// # Errors
/// `Unavailable` if the disk refuses, or others remove each file at once.
pub(crate) fn begin(mut path: impl FnMut() -> Result<PathBuf>) -> Result<(PathBuf, LockFile)> {
    let mut tried = path()?;
    for _ in 0..TRIES {
        let open = || {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            super::open_with(&tried, Links::Refused, options)
        };
        let file = cccc_fork::open(open).map_err(|e| Error::io("make", &tried, e))?;
        // Else whoever removes what is left has it, or has had it.
        if file.try_lock().is_ok() && tried.exists() {
            return Ok((tried, file));
        }
        tried = path()?;
    }
    let dir = tried.parent().unwrap_or(&tried);
    Err(Error::unavailable(format!("no name is to be had in {}", dir.display())).hint("try again"))
}

/// The lock on something in the making, if nobody is at it any more. Held until it is removed, nobody else takes it for
/// abandoned meanwhile.
pub(crate) fn abandoned(path: &Path) -> Option<LockFile> {
    let file = cccc_fork::open(|| super::open(path, Links::Refused)).ok()?;
    file.try_lock().is_ok().then_some(file)
}
