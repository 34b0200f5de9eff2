//! Wakes callers when files change: one instance of the operating system's notification, and a slow
//! tick for where that is not to be had (network file systems, used-up limits, replaced files).
//!
//! It tells that something may have changed, never what; whoever is woken looks.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::WatchGuard;

/// How often every watcher is woken for no reason, in case notification fails silently.
const TICK: Duration = Duration::from_secs(1);
/// How often, when the operating system refused to notify about some watched file.
const POLL: Duration = Duration::from_millis(20);

/// All watches of one `RealDisk`. Its thread ends when it is dropped.
#[derive(Debug)]
pub(super) struct Notifier {
    /// Taken before `Shared::targets` where both are needed, and never from within a callback.
    watcher: Arc<Mutex<Option<RecommendedWatcher>>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    targets: Mutex<Targets>,
    /// Signalled when the tick thread has something to do before its tick.
    changed: Condvar,
}

#[derive(Default)]
struct Targets {
    by_path: HashMap<PathBuf, Target>,
    next_id: u64,
    /// Some target has no watches left, so the operating system's watch can go.
    has_garbage: bool,
    ended: bool,
}

struct Target {
    wakes: Vec<(u64, Arc<dyn Fn() + Send + Sync>)>,
    /// What the operating system watches; `None` if it does not.
    notified: Option<Identity>,
}

/// Device and inode of what a path leads to, where there are such; `None` if it leads nowhere.
type Identity = Option<(u64, u64)>;

#[cfg(unix)]
fn identity(path: &Path) -> Identity {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(_: &Path) -> Identity {
    None
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.lock().by_path.keys()).finish()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Targets> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notifier {
    /// Starts the tick thread. Where the operating system has no notifier to give, polling remains.
    pub(super) fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let handler = shared.clone();
        // Directory notification on Windows reports writes late (at close), so it polls there.
        let watcher = if cfg!(windows) {
            None
        } else {
            notify::recommended_watcher(move |event| on_event(&handler, event)).ok()
        };
        let watcher = Arc::new(Mutex::new(watcher));
        let (thread_watcher, thread_shared) = (watcher.clone(), shared.clone());
        std::thread::Builder::new()
            .name("cccc-tick".into())
            .spawn(move || tick(&thread_watcher, &thread_shared))?;
        Ok(Self { watcher, shared })
    }

    /// See [`Disk::watch`](super::Disk::watch). Must not be called from within a callback.
    pub(super) fn watch(
        &self,
        path: &Path,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> io::Result<Box<dyn WatchGuard>> {
        // FSEvents reports paths with symbolic links resolved.
        let path = path.canonicalize()?;
        let mut watcher = lock_watcher(&self.watcher);
        let is_new = !self.shared.lock().by_path.contains_key(&path);
        // The event thread takes `targets`, and `watch` waits for that thread: so not under the lock.
        let notified = if is_new { register(watcher.as_mut(), &path) } else { None };
        let mut targets = self.shared.lock();
        targets.next_id += 1;
        let id = targets.next_id;
        let target =
            targets.by_path.entry(path.clone()).or_insert_with(|| Target { wakes: Vec::new(), notified });
        target.wakes.push((id, wake));
        self.shared.changed.notify_all();
        Ok(Box::new(Guard { shared: self.shared.clone(), path, id }))
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.changed.notify_all();
    }
}

fn lock_watcher(watcher: &Mutex<Option<RecommendedWatcher>>) -> MutexGuard<'_, Option<RecommendedWatcher>> {
    watcher.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks the operating system for notification; `None` if it has none to give.
fn register(watcher: Option<&mut RecommendedWatcher>, path: &Path) -> Option<Identity> {
    // The identity is taken first: if the file is replaced in between, the next tick registers again.
    let watched = identity(path);
    watcher?.watch(path, RecursiveMode::NonRecursive).ok().map(|()| watched)
}

/// Runs on the notifier's thread.
fn on_event(shared: &Shared, event: notify::Result<notify::Event>) {
    let paths = match event {
        // Opening, reading and closing change nothing; waking for them would make readers wake each other.
        Ok(event) if matches!(event.kind, EventKind::Access(_)) => return,
        Ok(event) if !event.need_rescan() => event.paths,
        // Events were lost: any file may have changed.
        Ok(_) | Err(_) => Vec::new(),
    };
    let wakes = {
        let targets = shared.lock();
        if paths.is_empty() {
            all_wakes(&targets)
        } else {
            paths.iter().filter_map(|path| targets.by_path.get(path)).flat_map(Target::wakes).collect()
        }
    };
    for wake in wakes {
        wake();
    }
}

impl Target {
    fn wakes(&self) -> impl Iterator<Item = Arc<dyn Fn() + Send + Sync>> + '_ {
        self.wakes.iter().map(|(_, wake)| wake.clone())
    }
}

fn all_wakes(targets: &Targets) -> Vec<Arc<dyn Fn() + Send + Sync>> {
    targets.by_path.values().flat_map(Target::wakes).collect()
}

/// The tick thread: wakes everybody now and then, renews watches of files that were replaced, and
/// takes back those nobody waits for. That last is done here because a guard may be dropped within a
/// callback, where asking the notifier's thread for anything would wait for itself.
fn tick(watcher: &Mutex<Option<RecommendedWatcher>>, shared: &Shared) {
    loop {
        let wakes = {
            let mut targets = shared.lock();
            let interval = if targets.by_path.values().all(|t| t.notified.is_some()) { TICK } else { POLL };
            while targets.by_path.is_empty() && !targets.ended {
                targets = shared.changed.wait(targets).unwrap_or_else(PoisonError::into_inner);
            }
            let (targets, timeout) = shared
                .changed
                .wait_timeout_while(targets, interval, |targets| !targets.ended && !targets.has_garbage)
                .unwrap_or_else(PoisonError::into_inner);
            if targets.ended {
                return;
            }
            if timeout.timed_out() { all_wakes(&targets) } else { Vec::new() }
        };
        maintain(&mut lock_watcher(watcher), shared);
        for wake in wakes {
            wake();
        }
    }
}

fn maintain(watcher: &mut Option<RecommendedWatcher>, shared: &Shared) {
    let mut unused = Vec::new();
    let known: Vec<(PathBuf, Option<Identity>)> = {
        let mut targets = shared.lock();
        targets.has_garbage = false;
        targets.by_path.retain(|path, target| {
            let keep = !target.wakes.is_empty();
            if !keep {
                unused.push(path.clone());
            }
            keep
        });
        targets.by_path.iter().map(|(path, target)| (path.clone(), target.notified)).collect()
    };
    let Some(watcher) = watcher else { return };
    for path in unused {
        // It may be gone already, with the file.
        let _ = watcher.unwatch(&path);
    }
    for (path, notified) in known {
        if notified == Some(identity(&path)) {
            continue;
        }
        let _ = watcher.unwatch(&path);
        let renewed = register(Some(watcher), &path);
        if let Some(target) = shared.lock().by_path.get_mut(&path) {
            target.notified = renewed;
        }
    }
}

struct Guard {
    shared: Arc<Shared>,
    path: PathBuf,
    id: u64,
}

impl WatchGuard for Guard {}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(&self.path).finish()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut targets = self.shared.lock();
        let Some(target) = targets.by_path.get_mut(&self.path) else { return };
        target.wakes.retain(|(id, _)| *id != self.id);
        if target.wakes.is_empty() {
            targets.has_garbage = true;
            self.shared.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::disk::{Disk, OpenMode, RealDisk};

    /// A wake that counts, and a way to wait for it.
    fn counter() -> (Arc<dyn Fn() + Send + Sync>, mpsc::Receiver<()>) {
        let (sender, receiver) = mpsc::channel();
        let wake = move || {
            // The test may be over.
            let _ = sender.send(());
        };
        (Arc::new(wake), receiver)
    }

    #[test]
    fn every_watch_of_a_file_is_woken_by_a_write() {
        let (disk, home) = (RealDisk::new(), tempfile::tempdir().unwrap());
        let path = home.path().join("head");
        let file = disk.open(&path, OpenMode::Create).unwrap();
        let ((wake_a, woken_a), (wake_b, woken_b)) = (counter(), counter());
        let _a = disk.watch(&path, wake_a).unwrap();
        let b = disk.watch(&path, wake_b).unwrap();
        file.write_at(b"x", 0).unwrap();
        for woken in [&woken_a, &woken_b] {
            woken.recv_timeout(TICK / 2).unwrap();
        }
        drop(b);
        while woken_b.try_recv().is_ok() {}
        file.write_at(b"y", 0).unwrap();
        woken_a.recv_timeout(TICK / 2).unwrap();
        assert!(woken_b.try_recv().is_err());
    }

    #[test]
    fn opening_and_reading_wake_nobody_and_lost_events_wake_all() {
        use notify::event::{AccessKind, AccessMode, DataChange, Flag, ModifyKind};
        let shared = Shared::default();
        let (wake, woken) = counter();
        let path = PathBuf::from("/head");
        shared.lock().by_path.insert(path.clone(), Target { wakes: vec![(1, wake)], notified: None });
        let event = |kind| notify::Event::new(kind).add_path(path.clone());
        on_event(&shared, Ok(event(EventKind::Access(AccessKind::Open(AccessMode::Any)))));
        on_event(&shared, Ok(notify::Event::new(EventKind::Any).add_path("/other".into())));
        assert!(woken.try_recv().is_err());
        on_event(&shared, Ok(event(EventKind::Modify(ModifyKind::Data(DataChange::Any)))));
        woken.try_recv().unwrap();
        on_event(&shared, Ok(notify::Event::new(EventKind::Other).set_flag(Flag::Rescan)));
        woken.try_recv().unwrap();
    }

    #[test]
    fn a_replaced_file_is_watched_again_after_a_tick() {
        let (disk, home) = (RealDisk::new(), tempfile::tempdir().unwrap());
        let (path, other) = (home.path().join("head"), home.path().join("other"));
        drop(disk.open(&path, OpenMode::Create).unwrap());
        let (wake, woken) = counter();
        let _guard = disk.watch(&path, wake).unwrap();
        let file = disk.open(&other, OpenMode::Create).unwrap();
        disk.rename(&other, &path).unwrap();
        let replaced = Some(identity(&path));
        let notifier = disk.notifier().unwrap();
        let renewed = |n: &Notifier| n.shared.lock().by_path.values().all(|t| t.notified == replaced);
        for _ in 0..100 {
            if renewed(&notifier) {
                break;
            }
            woken.recv_timeout(2 * TICK).unwrap();
        }
        assert!(renewed(&notifier));
        while woken.try_recv().is_ok() {}
        file.write_at(b"x", 0).unwrap();
        woken.recv_timeout(TICK / 2).unwrap();
    }

    #[test]
    fn the_last_guard_may_be_dropped_by_its_own_callback() {
        let (disk, home) = (RealDisk::new(), tempfile::tempdir().unwrap());
        let path = home.path().join("head");
        let file = disk.open(&path, OpenMode::Create).unwrap();
        let slot: Arc<Mutex<Option<Box<dyn WatchGuard>>>> = Arc::default();
        let (wake, woken) = counter();
        let inner = slot.clone();
        let callback = Arc::new(move || {
            *inner.lock().unwrap() = None;
            wake();
        });
        *slot.lock().unwrap() = Some(disk.watch(&path, callback).unwrap());
        file.write_at(b"x", 0).unwrap();
        woken.recv_timeout(5 * TICK).unwrap();
        // The path can be watched anew, and the old watch is silent.
        let (wake, woken_again) = counter();
        let _guard = disk.watch(&path, wake).unwrap();
        while woken.try_recv().is_ok() {}
        file.write_at(b"y", 0).unwrap();
        woken_again.recv_timeout(2 * TICK).unwrap();
        assert!(woken.try_recv().is_err());
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "nothing tells when a thread has ended")]
    fn the_threads_end_with_the_disk() {
        let (disk, home) = (RealDisk::new(), tempfile::tempdir().unwrap());
        let path = home.path().join("head");
        drop(disk.open(&path, OpenMode::Create).unwrap());
        let (wake, _woken) = counter();
        let guard = disk.watch(&path, wake).unwrap();
        // Held by the disk, the guard, the tick thread and the operating system's notifier.
        let shared = Arc::downgrade(&disk.notifier().unwrap().shared);
        drop(disk);
        drop(guard);
        let started = std::time::Instant::now();
        while shared.strong_count() > 0 {
            assert!(started.elapsed() < Duration::from_secs(10), "a thread still runs");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
