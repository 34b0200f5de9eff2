//! What is made or removed aside: a group takes its name when it is whole, and loses it before it is taken apart.
//!
//! So nobody ever sees half of a group, whenever a process dies. What such a process has left aside is removed by
//! whoever works aside next. A lock beside it tells it from what somebody is at just now.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use cccc_fork::LockFile;

use super::{filesystem, random_name};
use crate::error::{Error, Result};
use crate::files::{self, Wanted, draft};

/// What the names of groups begin with that are being made: no group's id does.
pub(super) const NEW: &str = ".new-";
/// ... that are being imported.
pub(super) const IMPORT: &str = ".import-";
/// ... that are being removed.
pub(super) const GONE: &str = ".gone-";

const PREFIXES: [&str; 3] = [NEW, IMPORT, GONE];

/// A directory aside, and the lock that says that somebody is at it. Dropped, it is removed with all in it.
#[derive(Debug)]
pub(super) struct Aside {
    groups: PathBuf,
    dir: PathBuf,
    lock_path: PathBuf,
    /// Held as long as this lives.
    _lock: LockFile,
}

impl Aside {
    /// An empty directory aside, in a home's directory of groups, which is made if it is not there.
    pub(super) fn new(home: &Path, prefix: &str) -> Result<Self> {
        let groups = home.join("groups");
        filesystem::make_private(&groups)?;
        sweep(&groups);
        let (lock_path, lock) = draft::begin(|| Ok(groups.join(format!("{prefix}{}.lock", random_name()?))))?;
        let dir = lock_path.with_extension("");
        filesystem::make_private(&dir)?;
        Ok(Self { groups, dir, lock_path, _lock: lock })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Gives the directory its own name, at which nothing may be.
    pub(super) fn take_place(&self, target: &Path) -> Result<()> {
        if fs::symlink_metadata(target).is_ok() {
            return Err(Error::conflict(format!("{} has come meanwhile", target.display())).hint("try again"));
        }
        fs::rename(&self.dir, target).map_err(|e| Error::io("rename to", target, e))?;
        filesystem::sync_directory(&self.groups)
    }

    /// Takes the name away again.
    pub(super) fn give_back(&self, target: &Path) -> Result<()> {
        fs::rename(target, &self.dir).map_err(|e| Error::io("rename", target, e))?;
        filesystem::sync_directory(&self.groups)
    }

    /// Moves something in here, durably; `false` if it is not there.
    pub(super) fn take_in(&self, path: &Path, name: &str) -> Result<bool> {
        match fs::rename(path, self.dir.join(name)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(Error::io("rename", path, files::explained(e, path, Wanted::Directory))),
            Ok(()) => {}
        }
        filesystem::sync_directory(&self.dir)?;
        filesystem::sync_directory(path.parent().unwrap_or(path))?;
        Ok(true)
    }

    /// Removes all that is in here.
    pub(super) fn clear(self) -> Result<()> {
        remove(&self.dir)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // What remains of it is removed by the next one. The lock goes last, so that a directory without one is
        // nobody's.
        if remove(&self.dir).is_ok() {
            let _ = fs::remove_file(&self.lock_path);
        }
    }
}

/// What processes that died have left aside in a home.
pub(super) fn abandoned(home: &Path) -> Result<Vec<PathBuf>> {
    Ok(left(&home.join("groups"))?.into_iter().map(|(dir, _)| dir).collect())
}

/// Removes what processes that died have left. What cannot be removed stays, and is no reason to do nothing
/// else: `doctor` names it.
fn sweep(groups: &Path) {
    for (dir, _lock) in left(groups).unwrap_or_default() {
        if remove(&dir).is_ok() {
            let _ = fs::remove_file(dir.with_extension("lock"));
        }
    }
}

/// The directories aside at which nobody is, each with its lock, if it has one.
fn left(groups: &Path) -> Result<Vec<(PathBuf, Option<LockFile>)>> {
    let entries = match files::entries(groups) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io("list", groups, e)),
    };
    let mut left = Vec::new();
    for name in entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()) {
        let Some(name) = PREFIXES.iter().any(|prefix| name.starts_with(prefix)).then_some(name) else {
            continue;
        };
        let path = groups.join(&name);
        let Some(dir) = name.strip_suffix(".lock").map(|name| groups.join(name)) else {
            // Nobody has a directory before its lock, or after.
            let lock = path.with_extension("lock");
            if fs::symlink_metadata(lock).is_err_and(|e| e.kind() == io::ErrorKind::NotFound) {
                left.push((path, None));
            }
            continue;
        };
        if let Some(lock) = draft::abandoned(&path) {
            left.push((dir, Some(lock)));
        }
    }
    left.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(left)
}

/// Removes a directory with all in it; one that is not there is fine.
fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", dir, e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(home: &Path) -> Vec<String> {
        let entries = fs::read_dir(home.join("groups")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_the_dead_have_left_is_swept_and_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let groups = home.path().join("groups");
        for dead in [".new-a", ".gone-b", ".import-c"] {
            fs::create_dir_all(groups.join(dead).join("ledger")).unwrap();
            fs::write(groups.join(format!("{dead}.lock")), "").unwrap();
        }
        fs::create_dir_all(groups.join(".new-without")).unwrap();
        fs::write(groups.join(".new-only.lock"), "").unwrap();
        fs::create_dir_all(groups.join("g1")).unwrap();
        assert_eq!(abandoned(home.path()).unwrap().len(), 5);
        let one = Aside::new(home.path(), NEW).unwrap();
        let name = |aside: &Aside| aside.dir().file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(names(home.path()), [name(&one), format!("{}.lock", name(&one)), "g1".into()]);
        let two = Aside::new(home.path(), GONE).unwrap();
        assert!(one.dir().is_dir() && two.dir().is_dir(), "what is at work stays");
        assert!(abandoned(home.path()).unwrap().is_empty());
        assert!(two.take_in(&groups.join("g1"), "group").unwrap());
        assert!(!two.take_in(&groups.join("g1"), "group").unwrap());
        one.take_place(&groups.join("g2")).unwrap();
        drop((one, two));
        assert_eq!(names(home.path()), ["g2"]);
    }

    #[test]
    fn sweeping_and_making_at_once_takes_nobodys_work_away() {
        let home = tempfile::tempdir().unwrap();
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    for _ in 0..50 {
                        let aside = Aside::new(home.path(), NEW).unwrap();
                        fs::write(aside.dir().join("file"), "x").unwrap();
                        assert!(aside.lock_path.exists());
                    }
                });
            }
        });
        assert!(names(home.path()).is_empty());
    }
}
