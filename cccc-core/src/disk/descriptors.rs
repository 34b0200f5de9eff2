//! How many files a process keeps open only because it may need them again.
//!
//! A group in use has about seven files open, and an operating system may allow a process no more than 1024,
//! or 256. So ledgers count what they keep open, and when together they keep too much, those that were not
//! used for longest close their files. They open them again when they are used.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// So many at most, where the operating system allows more than four times as many.
const MOST: usize = 128;

/// Whoever keeps files open, and can do without.
pub(crate) trait Keeper: fmt::Debug + Send + Sync {
    /// See [`Descriptors::now`]: when it was used last.
    fn last_used(&self) -> u64;

    /// Closes what is not in use this moment. Must not wait for anything.
    fn close_idle(&self);
}

/// The files that one process keeps open; see [`Disk::descriptors`](super::Disk::descriptors).
#[derive(Debug)]
pub struct Descriptors {
    budget: usize,
    kept: AtomicUsize,
    /// More than so many are too many. Above the budget while so many are really in use, so that not every
    /// use of a ledger looks in vain for what could be closed.
    limit: AtomicUsize,
    uses: AtomicU64,
    keepers: Mutex<Vec<Weak<dyn Keeper>>>,
}

impl Default for Descriptors {
    /// A quarter of what this process may open, at most 128.
    fn default() -> Self {
        Self::new(allowed().map_or(MOST, |allowed| (allowed / 4).min(MOST)))
    }
}

impl Descriptors {
    /// At most so many files, except for those that are in use.
    #[must_use]
    pub fn new(budget: usize) -> Self {
        Self {
            budget,
            kept: AtomicUsize::new(0),
            limit: AtomicUsize::new(budget),
            uses: AtomicU64::new(0),
            keepers: Mutex::default(),
        }
    }

    /// Counts a use; what is used later gets a higher number.
    pub(crate) fn now(&self) -> u64 {
        self.uses.fetch_add(1, Ordering::Relaxed)
    }

    /// Adds whom to ask to close files.
    pub(crate) fn register(&self, keeper: Weak<dyn Keeper>) {
        let mut keepers = self.keepers.lock().unwrap_or_else(PoisonError::into_inner);
        keepers.retain(|keeper| keeper.strong_count() > 0);
        keepers.push(keeper);
    }

    /// Counts files that are kept open until the result is dropped.
    pub(crate) fn keep(self: &Arc<Self>, files: usize) -> Kept {
        self.kept.fetch_add(files, Ordering::Relaxed);
        Kept { of: Some(self.clone()), files }
    }

    /// If too many files are open, has those close theirs who were not used for longest, but for whoever was used
    /// at `now`.
    pub(crate) fn make_room(&self, now: u64) {
        let kept = || self.kept.load(Ordering::Relaxed);
        if kept() <= self.limit.load(Ordering::Relaxed) {
            return;
        }
        let keepers = self.keepers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut keepers: Vec<_> = keepers.iter().filter_map(Weak::upgrade).collect();
        keepers.retain(|keeper| keeper.last_used() < now);
        keepers.sort_by_key(|keeper| keeper.last_used());
        for keeper in keepers {
            // Some more than needed, so that it is not the same again at the next use.
            if kept() <= self.budget * 3 / 4 {
                break;
            }
            keeper.close_idle();
        }
        self.limit.store(self.budget.max(kept() + self.budget / 4), Ordering::Relaxed);
    }
}

/// Files that are counted while this lives.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    of: Option<Arc<Descriptors>>,
    files: usize,
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(descriptors) = &self.of {
            descriptors.kept.fetch_sub(self.files, Ordering::Relaxed);
        }
    }
}

/// How many files this process may have open.
#[cfg(unix)]
fn allowed() -> Option<usize> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.and_then(|limit| usize::try_from(limit).ok())
}

#[cfg(not(unix))]
fn allowed() -> Option<usize> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Group(u64, Mutex<Kept>);

    impl Keeper for Group {
        fn last_used(&self) -> u64 {
            self.0
        }
        fn close_idle(&self) {
            *self.1.lock().unwrap() = Kept::default();
        }
    }

    #[test]
    fn those_not_used_for_longest_close_their_files() {
        let descriptors = Arc::new(Descriptors::new(40));
        let groups: Vec<_> = (0..10)
            .map(|n| {
                let group: Arc<Group> = Arc::new(Group(9 - n, Mutex::new(descriptors.keep(5))));
                let keeper: Arc<dyn Keeper> = group.clone();
                descriptors.register(Arc::downgrade(&keeper));
                group
            })
            .collect();
        descriptors.make_room(9);
        let open = |group: &&Arc<Group>| group.1.lock().unwrap().files > 0;
        let left: Vec<_> = groups.iter().filter(open).map(|group| group.0).collect();
        assert_eq!(left, [9, 8, 7, 6, 5, 4]);
        assert_eq!(descriptors.kept.load(Ordering::Relaxed), 30);
        // What is in use cannot be closed, and is not asked again at each use.
        let held = descriptors.keep(100);
        descriptors.make_room(0);
        assert_eq!(descriptors.limit.load(Ordering::Relaxed), 140);
        drop((held, groups));
        assert_eq!(descriptors.kept.load(Ordering::Relaxed), 0);
    }
}
