//! Wakes callers when files change: one instance of the operating system's notification, and looks of our
//! own for where that is not to be had (network file systems, used-up limits, files that vanished).
//!
//! It tells that something may have changed, never what; whoever is woken looks. Each file is looked after
//! by itself: one that vanishes, or that the operating system refuses to watch, costs the others nothing.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use notify::event::ModifyKind;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::WatchGuard;
use crate::opener::Opener;

/// Looks are made on beats, so that many files that are due come together.
const BEAT: Duration = Duration::from_millis(20);
/// Beats after which a file that the operating system watches is looked at all the same, and its watchers
/// are woken for no reason: notification may fail silently. Nothing is looked at less often.
const TICK: u64 = 50;
/// Files that the operating system does not watch are looked at on every beat while they are so few; more of
/// them take turns, down to a look a tick.
const POLLED_PER_BEAT: u64 = 20;
/// Beats after which, at the latest, the operating system is asked again to watch what it refused to: about
/// a minute.
const ASK_AGAIN: u64 = 64 * TICK;

type Wake = Arc<dyn Fn() + Send + Sync>;

/// All watches of one `RealDisk`. Its thread ends when it is dropped.
#[derive(Debug)]
pub(super) struct Notifier {
    /// Never waited for while `Shared::targets` is held, nor from within a callback.
    watcher: Arc<Mutex<Option<RecommendedWatcher>>>,
    shared: Arc<Shared>,
}

struct Shared {
    targets: Mutex<Targets>,
    /// Signalled when the tick thread may have something to do earlier than it knew.
    changed: Condvar,
    /// When the first beat was.
    started: Instant,
    /// Where its threads are.
    opener: Opener,
}

#[derive(Default)]
struct Targets {
    by_path: HashMap<PathBuf, Target>,
    next_id: u64,
    /// Some target has no watchers left, so the operating system's watch can go.
    has_garbage: bool,
    ended: bool,
}

struct Target {
    wakes: Vec<(u64, Wake)>,
    condition: Condition,
    /// The beat of the next look.
    due: u64,
}

/// How a file is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    /// The operating system watches this file.
    Notified(Identity),
    /// It does not, and is asked again at a beat, so many after it was asked last.
    Polled { ask_at: u64, after: u64 },
    /// There is no file; it is looked for again after so many beats.
    Missing { after: u64 },
}

/// Device and inode, where there are such.
type Identity = (u64, u64);

/// Which file a path leads to; `None` if it leads nowhere.
#[cfg(unix)]
fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(path: &Path) -> Option<Identity> {
    std::fs::metadata(path).ok().map(|_| (0, 0))
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.lock().by_path.keys()).finish()
    }
}

impl Shared {
    #[expect(clippy::disallowed_methods, reason = "looks are made at times, not at events")]
    fn new() -> Self {
        Self {
            targets: Mutex::default(),
            changed: Condvar::new(),
            started: Instant::now(),
            opener: Opener::here(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Targets> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The beat that it is.
    fn beat(&self) -> u64 {
        u64::try_from(self.elapsed().as_millis() / BEAT.as_millis()).unwrap_or(u64::MAX)
    }

    #[expect(clippy::disallowed_methods, reason = "looks are made at times, not at events")]
    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// How long it is until a beat.
    fn until(&self, beat: u64) -> Duration {
        let beat = u32::try_from(beat).map_or(Duration::MAX, |beat| BEAT.saturating_mul(beat));
        beat.saturating_sub(self.elapsed())
    }
}

impl Notifier {
    /// Starts the tick thread. Where the operating system has no notifier to give, polling remains.
    pub(super) fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared::new());
        let watcher = Arc::new(Mutex::new(None));
        let (thread_watcher, thread_shared) = (watcher.clone(), shared.clone());
        std::thread::Builder::new()
            .name("cccc-tick".into())
            .spawn(move || tick(&thread_watcher, &thread_shared))?;
        Ok(Self { watcher, shared })
    }

    /// See [`Disk::watch`](super::Disk::watch). Must not be called from within a callback.
    pub(super) fn watch(&self, path: &Path, wake: Wake) -> io::Result<Box<dyn WatchGuard>> {
        // FSEvents reports paths with symbolic links resolved.
        let path = path.canonicalize()?;
        // Held to the end, so that of two first watches of a file only one asks the operating system.
        let mut watcher = lock_watcher(&self.watcher);
        let is_new = !self.shared.lock().by_path.contains_key(&path);
        let beat = self.shared.beat();
        // The event thread takes `targets`, and asking waits for that thread: so not under the lock.
        let condition = if is_new {
            // The identity is taken first: if the file is replaced in between, the next look finds that out.
            look(identity(&path), Condition::Missing { after: 1 }, beat, || {
                register(&mut watcher, &self.shared, &path)
            })
        } else {
            Condition::Missing { after: 1 }
        };
        let mut targets = self.shared.lock();
        targets.next_id += 1;
        let id = targets.next_id;
        let due = next_look(condition, beat, 0);
        let target = targets.by_path.entry(path.clone()).or_insert_with(|| Target {
            wakes: Vec::new(),
            condition,
            due,
        });
        if matches!(target.condition, Condition::Missing { .. }) {
            // It is there again.
            target.due = target.due.min(beat + 1);
        }
        target.wakes.push((id, wake));
        self.shared.changed.notify_all();
        Ok(Box::new(Guard { shared: self.shared.clone(), path, id }))
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        // One of its threads may have held the lock when this child was forked.
        if !self.shared.opener.is_here() {
            return;
        }
        self.shared.lock().ended = true;
        self.shared.changed.notify_all();
    }
}

fn lock_watcher(watcher: &Mutex<Option<RecommendedWatcher>>) -> MutexGuard<'_, Option<RecommendedWatcher>> {
    watcher.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks the operating system to watch a file; `false` if it has no notification to give.
fn register(watcher: &mut Option<RecommendedWatcher>, shared: &Arc<Shared>, path: &Path) -> bool {
    // Directory notification on Windows reports writes late (at close), so it polls there.
    if watcher.is_none() && !cfg!(windows) {
        let shared = shared.clone();
        *watcher = notify::recommended_watcher(move |event| on_event(&shared, event)).ok();
    }
    watcher.as_mut().is_some_and(|watcher| watcher.watch(path, RecursiveMode::NonRecursive).is_ok())
}

/// Runs on the notifier's thread.
fn on_event(shared: &Shared, event: notify::Result<notify::Event>) {
    let (paths, is_content) = match event {
        // Opening, reading and closing change nothing; waking for them would make readers wake each other.
        Ok(event) if matches!(event.kind, EventKind::Access(_)) => return,
        Ok(event) if !event.need_rescan() => {
            (event.paths, matches!(event.kind, EventKind::Modify(ModifyKind::Data(_))))
        }
        // Events were lost: any file may have changed.
        Ok(_) => (Vec::new(), true),
        Err(error) => (error.paths, false),
    };
    let wakes: Vec<Wake> = {
        let mut targets = shared.lock();
        if paths.is_empty() {
            targets.by_path.values().flat_map(Target::wakes).collect()
        } else {
            let mut wakes = Vec::new();
            for path in &paths {
                let Some(target) = targets.by_path.get_mut(path) else { continue };
                wakes.extend(target.wakes());
                // It may have been removed or replaced.
                if !is_content {
                    target.due = target.due.min(shared.beat() + 1);
                    shared.changed.notify_all();
                }
            }
            wakes
        }
    };
    for wake in wakes {
        wake();
    }
}

impl Target {
    fn wakes(&self) -> impl Iterator<Item = Wake> + '_ {
        self.wakes.iter().map(|(_, wake)| wake.clone())
    }
}

/// The tick thread: looks at what is due, and takes back watches nobody waits for. That last is done here
/// because a guard may be dropped within a callback, where asking the notifier's thread for anything would
/// wait for itself.
fn tick(watcher: &Mutex<Option<RecommendedWatcher>>, shared: &Arc<Shared>) {
    while wait(shared) {
        take_back(&mut lock_watcher(watcher), shared);
        let look_at_one = |(path, before): (PathBuf, Condition)| {
            let after = look_at(watcher, shared, &path, before);
            (path, before, after)
        };
        let looked: Vec<_> = due(shared).into_iter().map(look_at_one).collect();
        for wake in note(shared, &looked) {
            wake();
        }
    }
}

/// Waits until something has to be done; `false` at the end.
fn wait(shared: &Shared) -> bool {
    let mut targets = shared.lock();
    loop {
        let next = targets.by_path.values().map(|target| target.due).min();
        let left = next.map(|due| shared.until(due));
        if targets.ended || targets.has_garbage || left == Some(Duration::ZERO) {
            return !targets.ended;
        }
        targets = match left {
            None => shared.changed.wait(targets).unwrap_or_else(PoisonError::into_inner),
            Some(left) => {
                shared.changed.wait_timeout(targets, left).unwrap_or_else(PoisonError::into_inner).0
            }
        };
    }
}

/// Removes what nobody waits for. The watcher is held all the while: a watch of the same file that begins
/// now must not be taken back.
fn take_back(watcher: &mut Option<RecommendedWatcher>, shared: &Shared) {
    let mut targets = shared.lock();
    if !std::mem::take(&mut targets.has_garbage) {
        return;
    }
    let unused = targets.by_path.extract_if(|_, target| target.wakes.is_empty());
    let unused: Vec<PathBuf> = unused.map(|(path, _)| path).collect();
    drop(targets);
    let Some(watcher) = watcher else { return };
    for path in unused {
        // It may be gone already, with the file.
        let _ = watcher.unwatch(&path);
    }
}

/// What is due now.
fn due(shared: &Shared) -> Vec<(PathBuf, Condition)> {
    let (targets, beat) = (shared.lock(), shared.beat());
    let due = targets.by_path.iter().filter(|(_, target)| target.due <= beat);
    due.map(|(path, target)| (path.clone(), target.condition)).collect()
}

/// Looks at a file, without a lock unless the operating system has to be asked for something.
fn look_at(
    watcher: &Mutex<Option<RecommendedWatcher>>,
    shared: &Arc<Shared>,
    path: &Path,
    before: Condition,
) -> Condition {
    let here = identity(path);
    let forget = |watcher: &mut Option<RecommendedWatcher>| {
        if let (Condition::Notified(_), Some(watcher)) = (before, watcher) {
            // The operating system may have forgotten it, with the file.
            let _ = watcher.unwatch(path);
        }
    };
    let after = look(here, before, shared.beat(), || {
        let mut watcher = lock_watcher(watcher);
        forget(&mut watcher);
        register(&mut watcher, shared, path)
    });
    if here.is_none() {
        forget(&mut lock_watcher(watcher));
    }
    after
}

/// What becomes of a file's condition by a look, which finds a file or none; `ask` asks the operating system
/// to watch it.
fn look(here: Option<Identity>, before: Condition, beat: u64, ask: impl FnOnce() -> bool) -> Condition {
    let Some(here) = here else {
        let after = if let Condition::Missing { after } = before { after.saturating_mul(2) } else { 1 };
        return Condition::Missing { after: after.min(TICK) };
    };
    let asked_after = match before {
        Condition::Notified(known) if known == here => return before,
        Condition::Polled { ask_at, .. } if beat < ask_at => return before,
        Condition::Polled { after, .. } => after,
        Condition::Notified(_) | Condition::Missing { .. } => TICK / 2, // so that the first time is a tick from now
    };
    if ask() {
        return Condition::Notified(here);
    }
    let after = asked_after.saturating_mul(2).min(ASK_AGAIN);
    Condition::Polled { ask_at: beat + after, after }
}

/// The beat of the next look, where so many files are polled.
fn next_look(condition: Condition, beat: u64, polled: u64) -> u64 {
    match condition {
        // All at once, so that the thread wakes once for them.
        Condition::Notified(_) => (beat / TICK + 1) * TICK,
        Condition::Polled { .. } => beat + polled.div_ceil(POLLED_PER_BEAT).clamp(1, TICK),
        Condition::Missing { after } => beat + after,
    }
}

/// Takes note of what was found, and answers whom to wake: whoever watches a file that is there, since it may
/// have changed, and whoever watches one that has just vanished.
fn note(shared: &Shared, looked: &[(PathBuf, Condition, Condition)]) -> Vec<Wake> {
    let mut targets = shared.lock();
    for (path, _, condition) in looked {
        if let Some(target) = targets.by_path.get_mut(path) {
            target.condition = *condition;
        }
    }
    let is_polled = |target: &&Target| matches!(target.condition, Condition::Polled { .. });
    let polled = u64::try_from(targets.by_path.values().filter(is_polled).count()).unwrap_or(u64::MAX);
    let (beat, mut wakes) = (shared.beat(), Vec::new());
    for (path, before, condition) in looked {
        let Some(target) = targets.by_path.get_mut(path) else { continue };
        target.due = next_look(*condition, beat, polled);
        let is_missing = |condition: &Condition| matches!(condition, Condition::Missing { .. });
        if !(is_missing(before) && is_missing(condition)) {
            wakes.extend(target.wakes());
        }
    }
    wakes
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
        // As for the notifier.
        if !self.shared.opener.is_here() {
            return;
        }
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
mod tests;
