//! Failing syncs, full disks, forks, power cuts and crashes at every call, on the simulated machine.

use std::path::Path;
use std::sync::atomic::AtomicU32;

use super::*;
use crate::testing::DiskLayer;
use crate::testing::sim::World;

const DIR: &str = "/home/g";

fn on(world: &World) -> FileLedger {
    let disk = Arc::new(world.process());
    let made = FileLedger::create(disk, DIR, group(), Options::default().segment_bytes(2000));
    made.unwrap()
}

#[test]
fn a_failed_sync_is_made_good_and_the_epoch_tells_everyone() {
    let world = World::new(1);
    let (a, b) = (on(&world), on(&world));
    append(&a, &["one"]);
    append(&b, &["two"]);
    let epoch = now(a.turn()).unwrap().epoch();
    for n in 0..10 {
        world.fail_next_sync();
        let turn = now(a.turn()).unwrap();
        let batch = batch_of(turn.tip(), turn.durable().seq, &["again"]);
        match now(turn.append(&batch, Durability::Durable)).unwrap() {
            Appended::New => {}
            // The cache had forgotten it, so it is not there, and that is what was said.
            Appended::Lost => assert_ne!(texts(&b).last().unwrap(), &format!("again{n}")),
            Appended::Already => panic!("it was never there before"),
        }
    }
    assert!(now(b.turn()).unwrap().epoch() > epoch);
    let seen = texts(&b);
    world.power_cut();
    assert_eq!(texts(&on(&world)), seen, "what was shown is not taken back");
}

#[test]
fn a_full_disk_refuses_with_the_file_and_leaves_nothing_behind() {
    let world = World::new(2);
    let ledger = on(&world);
    append(&ledger, &["one"]);
    world.set_free_space(Some(100));
    let turn = now(ledger.turn()).unwrap();
    let batch = batch_of(turn.tip(), turn.durable().seq, &["two"]);
    let error = now(turn.append(&batch, Durability::Durable)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("00000000000000000001.jsonl"), "{error}");
    assert_eq!(now(ledger.turn()).unwrap().tip().seq, Seq(1));
    world.set_free_space(None);
    append(&ledger, &["three"]);
    assert_eq!(texts(&ledger), ["one", "three"]);
    assert!(world.process().list(Path::new("/home/g/torn")).unwrap_or_default().is_empty());
}

#[test]
fn a_power_cut_takes_nothing_back_that_was_acknowledged() {
    for seed in 0..200 {
        let world = World::new(seed);
        let ledger = on(&world);
        let mut acknowledged = Vec::new();
        for round in 0..3 {
            let ledger = if round == 0 { &ledger } else { &on(&world) };
            let already = texts(ledger);
            assert!(already.starts_with(&acknowledged), "seed {seed}: {acknowledged:?} {already:?}");
            acknowledged = already;
            for n in 0..7 {
                let text = format!("r{round}n{n}");
                append(ledger, &[&text]);
                acknowledged.push(text);
            }
            let turn = now(ledger.turn()).unwrap();
            let batch = batch_of(turn.tip(), turn.durable().seq, &["not acknowledged"]);
            now(turn.append(&batch, Durability::Buffered)).unwrap();
            world.power_cut();
        }
        let last = on(&world);
        assert!(texts(&last).starts_with(&acknowledged), "seed {seed}");
        assert!(matches!(now(last.verify()).unwrap(), Verdict::Sound { .. }), "seed {seed}");
    }
}

/// Runs `what` on a ledger with four events, killing the process, or cutting the power, at each of its
/// calls in turn. `check` then looks at the ledger as the next process finds it.
fn at_every_call(what: impl Fn(&FileLedger), check: impl Fn(&FileLedger)) {
    for power_cut in [false, true] {
        let mut done = false;
        for calls in 0..400 {
            if done {
                break;
            }
            let world = World::new(calls);
            let before = on(&world);
            append(&before, &["one", "two secret", "three"]);
            let disk = world.process();
            let options = Options::default().segment_bytes(2000);
            let ledger = FileLedger::open(Arc::new(disk.clone()), DIR, group(), options).unwrap();
            world.kill_after(&disk, calls);
            what(&ledger);
            done = disk.stat(&Path::new(DIR).join("head")).is_ok();
            if power_cut {
                world.power_cut();
            }
            check(&on(&world));
        }
        assert!(done, "it never came to its end");
    }
}

#[test]
fn a_redaction_that_dies_at_any_call_is_finished_or_was_not_begun() {
    let secret = |ledger: &FileLedger| {
        let page = now(ledger.read(Seq(3), ReadLimit::ONE)).unwrap();
        page.lines().next().unwrap().data_hash()
    };
    at_every_call(
        |ledger| {
            if let Ok(page) = now(ledger.read(Seq(3), ReadLimit::ONE)) {
                let hash = page.lines().next().unwrap().data_hash();
                let _ = now(ledger.redact(Seq(3), hash));
            }
        },
        |ledger| {
            assert!(
                matches!(now(ledger.verify()).unwrap(), Verdict::Sound { head, .. } if head.seq == Seq(4))
            );
            let hash = secret(ledger);
            now(ledger.redact(Seq(3), hash)).unwrap();
            assert_eq!(texts(ledger), ["one", "two", "(redacted)", "three"]);
            now(ledger.redact(Seq(3), hash)).unwrap();
            assert_eq!(secret(ledger), hash);
            assert!(now(ledger.redact(Seq(3), [0; 32])).is_err());
            append(ledger, &["five"]);
            assert!(matches!(now(ledger.verify()).unwrap(), Verdict::Sound { .. }));
        },
    );
}

#[test]
fn sealing_that_dies_at_any_call_leaves_one_history() {
    at_every_call(
        |ledger| {
            let long = "x".repeat(900);
            for text in [&long, &long, "last"] {
                let Ok(turn) = now(ledger.turn()) else { return };
                let batch = batch_of(turn.tip(), turn.durable().seq, &[text]);
                if now(turn.append(&batch, Durability::Durable)).is_err() {
                    return;
                }
            }
        },
        |ledger| {
            // A batch that was written and not published is judged by the next turn.
            drop(now(ledger.turn()).unwrap());
            let before = texts(ledger);
            assert!(before.len() >= 4);
            append(ledger, &["next", "and next"]);
            assert_eq!(texts(ledger).len(), before.len() + 3);
            assert!(matches!(now(ledger.verify()).unwrap(), Verdict::Sound { .. }));
        },
    );
}

/// A disk that says it belongs to another process once that is set: what a forked child sees.
#[derive(Debug)]
struct Forkable(Arc<dyn Disk>, AtomicU32);

impl DiskLayer for Forkable {
    fn below(&self) -> &dyn Disk {
        &*self.0
    }

    fn process_id(&self) -> u32 {
        self.1.load(Ordering::Relaxed)
    }
}

#[test]
fn a_forked_child_is_asked_to_reopen() {
    let world = World::new(3);
    let disk = Arc::new(Forkable(Arc::new(world.process()), AtomicU32::new(1)));
    let ledger = FileLedger::create(disk.clone(), DIR, group(), Options::default()).unwrap();
    append(&ledger, &["one"]);
    disk.1.store(2, Ordering::Relaxed);
    let errors = [
        now(ledger.turn()).err().unwrap(),
        now(ledger.head()).unwrap_err(),
        now(ledger.read(Seq(1), ReadLimit::ONE)).unwrap_err(),
    ];
    for error in errors {
        assert!(error.to_string().contains("forked"), "{error}");
    }
}

/// Sets the head page back, as a copy of an older one does that is put in its place.
fn set_back(world: &World, page: &[u8]) {
    let head = world.process().open(&Path::new(DIR).join("head"), OpenMode::Write).unwrap();
    head.write_at(page, 0).unwrap();
}

fn head_page(world: &World) -> Vec<u8> {
    let head = world.process().open(&Path::new(DIR).join("head"), OpenMode::Read).unwrap();
    read_range(&*head, 0, PAGE_BYTES).unwrap()
}

#[test]
fn an_old_head_page_hides_nothing_from_those_who_open_the_ledger() {
    // How many events the page that is put back does not cover, in segments of about four.
    for behind in [1, 2, 3, 5, 9, 14] {
        let world = World::new(behind);
        let ledger = on(&world);
        let mut old = head_page(&world);
        let words: Vec<String> = (1..=14).map(|n| format!("w{n:0600}")).collect();
        for (n, word) in (1..).zip(&words) {
            append(&ledger, &[word]);
            if n == 14 - behind {
                old = head_page(&world);
            }
        }
        drop(ledger);
        set_back(&world, &old);
        let just_now = on(&world);
        let covered = usize::try_from(14 - behind).unwrap();
        assert_eq!(texts(&just_now), words[..covered], "whoever did that may be at it");
        world.process().sleep(Duration::from_secs(2));
        // Nobody writes.
        let reader = on(&world);
        assert_eq!(texts(&reader), words, "{behind}");
        assert_eq!(texts(&on(&world)), words, "{behind}");
        assert_eq!(texts(&just_now), words, "{behind}");
        append(&reader, &["on"]);
        assert!(matches!(now(reader.verify()).unwrap(), Verdict::Sound { head, .. } if head.seq == Seq(15)));
    }
}

#[test]
fn an_old_head_page_where_nothing_can_be_written_is_believed() {
    let world = World::new(1);
    let ledger = on(&world);
    append(&ledger, &["one"]);
    let old = head_page(&world);
    append(&ledger, &["two"]);
    set_back(&world, &old);
    world.process().sleep(Duration::from_secs(2));
    let layer = layer::Layer::over(Arc::new(world.process()));
    layer.read_only.store(true, Ordering::Relaxed);
    let reader = FileLedger::open(layer, DIR, group(), Options::default()).unwrap();
    assert_eq!(texts(&reader), ["one"]);
}

#[test]
fn whoever_opens_a_ledger_waits_for_nobody_to_put_an_old_head_page_right() {
    let world = World::new(2);
    let ledger = on(&world);
    append(&ledger, &["one"]);
    let old = head_page(&world);
    append(&ledger, &["two"]);
    let turn = now(ledger.turn()).unwrap();
    set_back(&world, &old);
    world.process().sleep(Duration::from_secs(2));
    let before = world.now();
    assert_eq!(texts(&on_again(&world)), ["one"]);
    assert!(world.now() - before < Duration::from_millis(200), "{:?}", world.now() - before);
    drop(turn);
    assert_eq!(texts(&on_again(&world)), ["one", "two"]);
}

/// Opens what is there, for which nobody's lock is needed.
fn on_again(world: &World) -> FileLedger {
    FileLedger::open(Arc::new(world.process()), DIR, group(), Options::default()).unwrap()
}

#[test]
fn what_is_acknowledged_is_seen_by_others_although_the_head_page_could_not_be_written_at_first() {
    for refused in [1, 2, 3, 6] {
        let world = World::new(refused);
        let reader = on(&world);
        let layer = layer::Layer::over(Arc::new(world.process()));
        let writer = FileLedger::open(layer.clone(), DIR, group(), Options::default()).unwrap();
        append(&writer, &["one"]);
        layer.refused_heads.store(usize::try_from(refused).unwrap(), Ordering::Relaxed);
        append(&writer, &["two"]);
        assert_eq!(texts(&reader), ["one", "two"], "{refused}");
    }
}

#[test]
fn what_nobody_can_be_told_of_is_not_acknowledged() {
    let world = World::new(3);
    let reader = on(&world);
    let layer = layer::Layer::over(Arc::new(world.process()));
    let writer = FileLedger::open(layer.clone(), DIR, group(), Options::default()).unwrap();
    append(&writer, &["one"]);
    layer.refused_heads.store(usize::MAX, Ordering::Relaxed);
    let turn = now(writer.turn()).unwrap();
    let batch = batch_of(turn.tip(), turn.durable().seq, &["two"]);
    let before = world.now();
    let error = now(turn.append(&batch, Durability::Durable)).unwrap_err();
    assert!(world.now() - before < Duration::from_secs(3), "it has an end");
    assert_eq!(error.kind(), ErrorKind::Unknown);
    assert!(error.to_string().contains("event 2 is on disk, but nobody else sees it yet"), "{error}");
    assert!(error.to_string().contains("/home/g/head") && error.to_string().contains("same client id"));
    assert_eq!(texts(&reader), ["one"]);
    layer.refused_heads.store(0, Ordering::Relaxed);
    let again = now(now(writer.turn()).unwrap().append(&batch, Durability::Durable)).unwrap();
    assert_eq!(again, Appended::Already);
    assert_eq!(texts(&reader), ["one", "two"]);
}
