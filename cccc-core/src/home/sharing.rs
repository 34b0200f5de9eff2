//! What all homes on one path share within this process: the groups that are open, with their writers, and the
//! disk under them, with its notifier.
//!
//! A home is known by the directory that its path leads to, not by how the path is spelt. Homes share if the disk
//! and the clock are the same objects and the ledgers are kept in the same way; whoever brings a disk or a clock of
//! its own, as tests do to play several processes, is apart. So is a forked child, which has neither the threads
//! nor the locks of its parent.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use cccc_fork::Own;

use super::HomeOptions;
use crate::clock::SystemClock;
use crate::disk::RealDisk;
use crate::error::{Error, Result};
use crate::group::Shared;
use crate::id::GroupId;
use crate::opener::Opener;

/// What homes on one path share.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) options: HomeOptions,
    /// In which process.
    pub(super) opener: Opener,
    /// What is open, so that all handles of a group in this process share one writer.
    pub(super) open: Mutex<HashMap<GroupId, Weak<Shared>>>,
}

/// Which directory a home is: its path without links, and which directory is there now.
type Place = (PathBuf, (u64, u64));

/// What all homes of this process share.
#[derive(Default)]
struct InProcess {
    open: Mutex<BTreeMap<Place, Vec<Weak<Inner>>>>,
    /// The disk and the clock of all homes that bring none of their own.
    disk: Mutex<Weak<RealDisk>>,
    clock: Arc<SystemClock>,
}

fn in_process() -> &'static InProcess {
    static IN_PROCESS: Own<InProcess> = Own::new();
    IN_PROCESS.get_or_make(InProcess::default)
}

/// What a home on this path shares with those that are open, else what others will share with it.
pub(super) fn share(path: &Path, options: HomeOptions) -> Result<Arc<Inner>> {
    let place = place(path)?;
    let mut open = locked(&in_process().open);
    open.retain(|_, homes| {
        homes.retain(|home| home.strong_count() > 0);
        !homes.is_empty()
    });
    let homes = open.entry(place).or_default();
    let shared = homes.iter().filter_map(Weak::upgrade).find(|inner| same(&inner.options, &options));
    Ok(shared.unwrap_or_else(|| {
        let inner = Arc::new(Inner { options, opener: Opener::here(), open: Mutex::default() });
        homes.push(Arc::downgrade(&inner));
        inner
    }))
}

/// The operating system's disk, one for the whole process as long as anybody uses it.
pub(super) fn disk() -> Arc<RealDisk> {
    let mut disk = locked(&in_process().disk);
    disk.upgrade().unwrap_or_else(|| {
        let made = Arc::new(RealDisk::new());
        *disk = Arc::downgrade(&made);
        made
    })
}

/// The system's clock, one for the whole process.
pub(super) fn clock() -> Arc<SystemClock> {
    in_process().clock.clone()
}

fn place(path: &Path) -> Result<Place> {
    let failed = |e| Error::io("find", path, e);
    let canonical = std::fs::canonicalize(path).map_err(failed)?;
    let meta = std::fs::metadata(&canonical).map_err(failed)?;
    Ok((canonical, identity(&meta)))
}

#[cfg(unix)]
fn identity(meta: &std::fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (meta.dev(), meta.ino())
}

/// The path alone tells.
#[cfg(not(unix))]
fn identity(_: &std::fs::Metadata) -> (u64, u64) {
    (0, 0)
}

/// Whether what is kept with these options is kept by the same objects in the same way.
fn same(one: &HomeOptions, other: &HomeOptions) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(&one.disk), Arc::as_ptr(&other.disk))
        && std::ptr::addr_eq(Arc::as_ptr(&one.clock), Arc::as_ptr(&other.clock))
        && one.ledger == other.ledger
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::Home;
    use super::*;
    use crate::block_on;
    use crate::clock::ManualClock;

    #[test]
    fn homes_on_one_path_share_what_is_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("home");
        block_on(async {
            let one = Home::open(&path).await.unwrap();
            let two = Home::open(dir.path().join("home/../home")).await.unwrap();
            assert!(Arc::ptr_eq(&one.shared, &two.shared));
            #[cfg(unix)]
            {
                std::os::unix::fs::symlink(&path, dir.path().join("link")).unwrap();
                let linked = Home::open(dir.path().join("link")).await.unwrap();
                assert!(Arc::ptr_eq(&one.shared, &linked.shared));
                assert!(linked.path().ends_with("link"), "each goes by its own name");
            }
            let group = one.create_group("g").await.unwrap();
            let same = two.group(group.id()).await.unwrap();
            assert!(Arc::ptr_eq(group.ledger(), same.ledger()), "one ledger, one writer");
        });
    }

    #[test]
    fn what_is_not_the_same_is_not_shared() {
        let dir = tempfile::tempdir().unwrap();
        let open =
            |options: HomeOptions| block_on(Home::open_with(dir.path().join("home"), options)).unwrap();
        let first = open(HomeOptions::default());
        let clock = Arc::new(ManualClock::default());
        let with_clock = || HomeOptions { clock: clock.clone(), ..HomeOptions::default() };
        let timed = open(with_clock());
        assert!(!Arc::ptr_eq(&first.shared, &timed.shared));
        assert!(Arc::ptr_eq(&timed.shared, &open(with_clock()).shared));
        let apart = HomeOptions { disk: Arc::new(RealDisk::new()), ..HomeOptions::default() };
        assert!(!Arc::ptr_eq(&first.shared, &open(apart).shared));
        // Another directory under the same path.
        std::fs::rename(dir.path().join("home"), dir.path().join("before")).unwrap();
        assert!(cfg!(not(unix)) || !Arc::ptr_eq(&first.shared, &open(HomeOptions::default()).shared));
    }

    #[test]
    fn nothing_stays_when_nobody_has_it_open() {
        let dir = tempfile::tempdir().unwrap();
        let home = block_on(Home::open(dir.path().join("home"))).unwrap();
        let place = place(home.path()).unwrap();
        drop(home);
        drop(block_on(Home::open(dir.path().join("other"))).unwrap());
        assert!(!locked(&in_process().open).contains_key(&place));
    }
}
