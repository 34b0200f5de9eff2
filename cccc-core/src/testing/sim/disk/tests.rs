use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::testing::sim::{Faults, World, block_on, timeout};

fn file(disk: &SimDisk, path: &str) -> Box<dyn DiskFile> {
    disk.open(Path::new(path), OpenMode::Create).unwrap()
}

fn content(disk: &SimDisk, path: &str) -> Vec<u8> {
    let file = disk.open(Path::new(path), OpenMode::Read).unwrap();
    let mut bytes = vec![0; usize::try_from(file.stat().unwrap().len).unwrap()];
    file.read_at(&mut bytes, 0).unwrap();
    bytes
}

/// Several processes count in a file under a lock, one addition every few calls, with faults.
fn counting(seed: u64, faults: Faults) -> (World, crate::testing::sim::Report, u64) {
    let world = World::new(seed);
    let added = Arc::new(AtomicU64::new(0));
    file(&world.process(), "/n").write_at(&[0; 8], 0).unwrap();
    world.set_faults(faults);
    for i in 0..4 {
        let (process, added) = (world.process(), added.clone());
        let disk = process.clone();
        world.spawn(&process, format!("counter {i}"), move || {
            let (lock, number) = (file(&disk, "/lock"), file(&disk, "/n"));
            for _ in 0..20 {
                lock.lock().unwrap();
                let mut bytes = [0; 8];
                number.read_at(&mut bytes, 0).unwrap();
                number.write_at(&(u64::from_le_bytes(bytes) + 1).to_le_bytes(), 0).unwrap();
                added.fetch_add(1, Ordering::Relaxed);
                lock.unlock().unwrap();
                disk.sleep(Duration::from_micros(3));
            }
        });
    }
    let report = world.run();
    let count = added.load(Ordering::Relaxed);
    (world, report, count)
}

#[test]
fn a_lock_excludes_and_the_same_seed_gives_the_same_run() {
    let mut traces = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let (world, report, _) = counting(seed, Faults::default());
        assert_eq!(report.failure, None);
        let (again, _, _) = counting(seed, Faults::default());
        assert_eq!((again.trace_hash(), again.random()), (world.trace_hash(), world.random()));
        assert!(again.trace_tail(usize::MAX) == world.trace_tail(usize::MAX));
        let total = content(&world.process(), "/n");
        assert_eq!(u64::from_le_bytes(total.try_into().unwrap()), 80);
        traces.insert(world.trace_hash());
    }
    assert_eq!(traces.len(), 20, "other seeds give other runs");
}

#[test]
fn the_dead_release_their_locks_and_the_others_go_on() {
    let mut kills = 0;
    for seed in 0..50 {
        let faults = Faults { kill: 10_000, max_kills: 3, ..Faults::default() };
        let (world, report, added) = counting(seed, faults);
        assert_eq!(report.failure, None);
        kills += report.kills;
        assert_eq!(world.deaths().len(), report.kills as usize);
        let total = u64::from_le_bytes(content(&world.process(), "/n").try_into().unwrap());
        // A process may die between writing and counting.
        assert!(total >= added && total <= added + u64::from(report.kills), "{total} {added}");
        assert!(added >= 20);
    }
    assert!(kills > 50, "{kills}");
}

#[test]
fn a_power_cut_ends_everybody() {
    let faults = Faults { power_cut: 10_000, ..Faults::default() };
    let cut = (0..20).filter(|seed| {
        let (world, report, added) = counting(*seed, faults.clone());
        assert_eq!(report.failure, None);
        assert!(!report.power_cut || added < 80);
        world.process().create_dir(Path::new("/after")).unwrap();
        report.power_cut
    });
    assert!(cut.count() > 10);
}

#[test]
fn a_deadlock_and_a_panic_are_reported() {
    let world = World::new(1);
    for (i, order) in [["/a", "/b"], ["/b", "/a"]].into_iter().enumerate() {
        let disk = world.process();
        world.spawn(&disk.clone(), format!("task {i}"), move || {
            let files = order.map(|path| file(&disk, path));
            files[0].lock().unwrap();
            disk.sleep(Duration::from_millis(1));
            files[1].lock().unwrap();
        });
    }
    assert!(world.run().failure.unwrap().contains("task 1 (WaitingForLock)"));

    let disk = world.process();
    world.spawn(&disk.clone(), "careless", move || {
        disk.sleep(Duration::from_millis(1));
        std::panic::resume_unwind(Box::new("oops"));
    });
    assert_eq!(world.run().failure.unwrap(), "careless panicked: oops");
}

#[test]
fn without_tasks_calls_are_carried_out_at_once() {
    let world = World::new(5);
    let (a, b) = (world.process(), world.process());
    assert_ne!(a.process_id(), b.process_id());
    let (held, wanted) = (file(&a, "/lock"), file(&b, "/lock"));
    held.lock().unwrap();
    assert!(!wanted.try_lock().unwrap());
    assert_eq!(wanted.lock().unwrap_err().kind(), io::ErrorKind::Deadlock);
    world.kill_after(&a, 1);
    held.stat().unwrap();
    assert!(held.stat().is_err() && !a.is_alive());
    wanted.lock().unwrap();
    let boot_id = b.boot_id();
    world.power_cut();
    assert!(wanted.unlock().is_err());
    assert_ne!(world.process().boot_id(), boot_id);
    let before = world.now();
    world.process().sleep(Duration::from_secs(9));
    assert_eq!(world.now() - before, Duration::from_secs(9));
}

#[test]
fn a_full_disk_takes_part_of_a_write() {
    let world = World::new(1);
    let disk = world.process();
    let f = file(&disk, "/f");
    world.set_free_space(Some(4));
    assert_eq!(f.write_at(b"abcdef", 0).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(content(&disk, "/f"), b"abcd");
    f.write_at(b"ABCD", 0).unwrap();
    world.set_free_space(None);
    f.write_at(b"ef", 4).unwrap();
    assert_eq!(content(&disk, "/f"), b"ABCDef");
}

#[test]
fn a_failed_sync_is_told_once_to_each_handle_that_was_open() {
    let world = World::new(1);
    let disk = world.process();
    let (a, b) = (file(&disk, "/f"), file(&disk, "/f"));
    a.write_at(b"x", 0).unwrap();
    world.fail_next_sync();
    assert!(a.sync().is_err());
    a.sync().unwrap();
    assert!(b.sync().is_err());
    b.sync().unwrap();
    file(&disk, "/f").sync().unwrap();
}

#[test]
fn watches_wake_futures_of_the_process() {
    for seed in 0..20 {
        let world = World::new(seed);
        world.set_faults(Faults { lost_wake: 300_000, ..Faults::default() });
        drop(file(&world.process(), "/head"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (reader, writer) = (world.process(), world.process());
        let (disk, log) = (reader.clone(), seen.clone());
        world.spawn(&reader, "reader", move || {
            let (tell, mut told) = tokio::sync::watch::channel(());
            let _guard = disk.watch(Path::new("/head"), Arc::new(move || tell.send_replace(()))).unwrap();
            assert!(timeout(Duration::from_millis(1), std::future::pending::<()>()).is_none());
            while content(&disk, "/head") != b"stop" {
                let started = disk.monotonic();
                block_on(told.changed()).unwrap();
                log.lock().unwrap().push(disk.monotonic() - started);
            }
        });
        let disk = writer.clone();
        world.spawn(&writer, "writer", move || {
            let head = file(&disk, "/head");
            for text in [b"good", b"more", b"stop"] {
                disk.sleep(Duration::from_millis(100));
                head.write_at(text, 0).unwrap();
            }
        });
        assert_eq!(world.run().failure, None);
        let waits = seen.lock().unwrap().clone();
        assert!(!waits.is_empty() && waits.iter().all(|wait| *wait < Duration::from_millis(1100)));
    }
}
