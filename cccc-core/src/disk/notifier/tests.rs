use std::sync::mpsc;

use super::*;
use crate::disk::{Disk, OpenMode, RealDisk};

const A_TICK: Duration = Duration::from_secs(1);

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
        woken.recv_timeout(A_TICK / 2).unwrap();
    }
    drop(b);
    while woken_b.try_recv().is_ok() {}
    file.write_at(b"y", 0).unwrap();
    woken_a.recv_timeout(A_TICK / 2).unwrap();
    assert!(woken_b.try_recv().is_err());
}

#[test]
fn opening_and_reading_wake_nobody_and_lost_events_wake_all() {
    use notify::event::{AccessKind, AccessMode, DataChange, Flag, ModifyKind};
    let shared = Shared::new();
    let (wake, woken) = counter();
    let path = PathBuf::from("/head");
    let condition = Condition::Missing { after: 1 };
    shared.lock().by_path.insert(path.clone(), Target { wakes: vec![(1, wake)], condition, due: 0 });
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
    let replaced = Condition::Notified(identity(&path).unwrap());
    let notifier = disk.notifier().unwrap();
    let renewed = |n: &Notifier| n.shared.lock().by_path.values().all(|t| t.condition == replaced);
    for _ in 0..100 {
        if renewed(&notifier) {
            break;
        }
        woken.recv_timeout(2 * A_TICK).unwrap();
    }
    assert!(renewed(&notifier));
    while woken.try_recv().is_ok() {}
    file.write_at(b"x", 0).unwrap();
    woken.recv_timeout(A_TICK / 2).unwrap();
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
    woken.recv_timeout(5 * A_TICK).unwrap();
    // The path can be watched anew, and the old watch is silent.
    let (wake, woken_again) = counter();
    let _guard = disk.watch(&path, wake).unwrap();
    while woken.try_recv().is_ok() {}
    file.write_at(b"y", 0).unwrap();
    woken_again.recv_timeout(2 * A_TICK).unwrap();
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

/// Three more ticks of a file that is watched take two ticks, whatever becomes of another.
#[test]
#[expect(clippy::disallowed_methods, reason = "how often somebody is woken is what is tested")]
fn a_file_that_vanishes_wakes_nobody_else() {
    let (disk, home) = (RealDisk::new(), tempfile::tempdir().unwrap());
    let watched: Vec<_> = (0..100)
        .map(|n| {
            let path = home.path().join(n.to_string());
            drop(disk.open(&path, OpenMode::Create).unwrap());
            let (wake, woken) = counter();
            (disk.watch(&path, wake).unwrap(), woken)
        })
        .collect();
    let (_, gone) = &watched[50];
    std::fs::remove_file(home.path().join("50")).unwrap();
    gone.recv_timeout(2 * A_TICK).unwrap();
    let notifier = disk.notifier().unwrap();
    let path = home.path().canonicalize().unwrap().join("50");
    let is_missing = || matches!(notifier.shared.lock().by_path[&path].condition, Condition::Missing { .. });
    let (_, witness) = &watched[0];
    while !is_missing() {
        witness.recv_timeout(2 * A_TICK).unwrap();
    }
    for (_, woken) in &watched {
        while woken.try_recv().is_ok() {}
    }
    witness.recv_timeout(2 * A_TICK).unwrap();
    let begun = std::time::Instant::now();
    for _ in 0..2 {
        witness.recv_timeout(2 * A_TICK).unwrap();
    }
    assert!(begun.elapsed() > A_TICK * 3 / 2, "{:?}", begun.elapsed());
    for (n, (_, woken)) in watched.iter().enumerate() {
        let times = woken.try_iter().count();
        assert!(times <= 4, "{n} was woken {times} times in two seconds");
    }
    assert_eq!(gone.try_iter().count(), 0, "that it vanished was said once");

    // It comes back, and is watched as before.
    let file = disk.open(&path, OpenMode::Create).unwrap();
    gone.recv_timeout(3 * A_TICK).unwrap();
    while is_missing() {
        witness.recv_timeout(2 * A_TICK).unwrap();
    }
    while gone.try_recv().is_ok() {}
    file.write_at(b"x", 0).unwrap();
    gone.recv_timeout(A_TICK / 2).unwrap();
}

#[test]
fn what_cannot_be_watched_is_looked_at_alone() {
    let refused = || false;
    let never = || panic!("the operating system is not asked");
    // What stays missing is looked for less and less often, down to once a tick, and not for ever less.
    let (mut condition, mut pauses) = (Condition::Notified((1, 1)), Vec::new());
    for _ in 0..9 {
        condition = look(None, condition, 0, never);
        pauses.push(next_look(condition, 0, 0));
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 50, 50, 50]);
    // It comes back.
    assert_eq!(look(Some((1, 2)), condition, 7, || true), Condition::Notified((1, 2)));

    // The operating system refuses (`max_user_watches` is used up): polled, and asked again now and then.
    let mut condition = look(Some((1, 2)), condition, 100, refused);
    assert_eq!(condition, Condition::Polled { ask_at: 150, after: 50 });
    assert_eq!(look(Some((1, 3)), condition, 149, never), condition, "whoever it wakes looks anyway");
    let (mut beat, mut asked) = (100, 0);
    while beat < 100 + 3600 * TICK {
        beat = next_look(condition, beat, 1);
        condition = look(Some((1, 2)), condition, beat, || {
            asked += 1;
            false
        });
    }
    assert!((50..70).contains(&asked), "about once a minute, not {asked} times in an hour");
    assert_eq!(look(Some((1, 2)), condition, u64::MAX, || true), Condition::Notified((1, 2)));

    // However many are polled, there are at most a thousand looks a second, or one a second each.
    let polled = Condition::Polled { ask_at: 0, after: 1 };
    for (count, beats) in [(1, 1), (20, 1), (21, 2), (300, 15), (1_000, 50), (100_000, 50)] {
        assert_eq!(next_look(polled, 1_000, count), 1_000 + beats, "{count}");
    }
}
