//! What holds nobody up: a lock that is held, a segment that ends, a reader that has to wait, a disk that cannot be
//! written to, files that are no files, and many groups at once.

use std::path::Path;

use super::layer::Layer;
use super::*;
use crate::testing::sim::World;

const DIR: &str = "/home/g";

fn on(disk: Arc<dyn Disk>) -> FileLedger {
    FileLedger::create(disk, DIR, group(), Options::default().segment_bytes(2000)).unwrap()
}

#[test]
fn whoever_waits_in_vain_for_the_lock_is_told_who_holds_it() {
    let world = World::new(1);
    let (a, b) = (on(Arc::new(world.process())), on(Arc::new(world.process())));
    append(&a, &["one"]);
    let held = now(a.turn()).unwrap();
    let before = world.now();
    let error = now(b.turn()).err().unwrap();
    assert!(world.now() - before >= PATIENCE && world.now() - before < PATIENCE * 2);
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let (text, holder) = (error.to_string(), a.files().unwrap().disk.process_id());
    assert!(
        text.contains(&format!("process {holder} (simulated)")) && text.contains("/home/g/lock"),
        "{text}"
    );
    assert!(error.hint_text().is_some() && error.retry_after_duration().is_some(), "{text}");
    assert_eq!(texts(&b), ["one"], "who reads needs no lock");
    drop(held);
    append(&b, &["two"]);
    assert_eq!(texts(&a), ["one", "two"]);
}

#[test]
fn who_stops_between_a_write_and_its_publishing_is_named_and_the_batch_stays() {
    use crate::testing::sim::block_on;
    let (mut refused, mut doubtful) = (0, 0);
    for seed in 0..60 {
        let world = World::new(seed);
        drop(on(Arc::new(world.process())));
        let (writer, stopped) = (world.process(), world.process());
        let open = |disk| FileLedger::open(disk, DIR, group(), Options::default()).unwrap();
        let (a, b) = (open(Arc::new(writer.clone())), open(Arc::new(stopped.clone())));
        // Who has the segment open need not wait until what others write to it is durable.
        append(&b, &["before"]);
        let outcome = Arc::new(Mutex::new(None));
        let seen = outcome.clone();
        world.spawn(&writer, "writer", move || {
            let result = block_on(async {
                let turn = a.turn().await?;
                let batch = batch_of(turn.tip(), turn.durable().seq, &["written"]);
                turn.append(&batch, Durability::Durable).await
            });
            *seen.lock().unwrap() = Some(result);
        });
        world.spawn(&stopped.clone(), "stopped", move || {
            let turn = block_on(b.turn()).unwrap();
            stopped.sleep(Duration::from_secs(60));
            drop(turn);
        });
        let report = world.run();
        assert_eq!(report.failure, None, "seed {seed}");
        let outcome = outcome.lock().unwrap().take().unwrap();
        let after = on(Arc::new(world.process()));
        drop(now(after.turn()).unwrap());
        match outcome {
            Ok(_) => assert_eq!(texts(&after), ["before", "written"]),
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("(simulated) holds the lock"), "{text}");
                if text.contains("cannot be told") {
                    assert!(text.contains("same client id"), "{text}");
                    assert_eq!(texts(&after), ["before", "written"], "seed {seed}");
                    doubtful += 1;
                } else {
                    assert_eq!(texts(&after), ["before"], "seed {seed}");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 0 && doubtful > 0, "{refused} {doubtful}");
}

#[test]
fn the_lock_is_not_held_across_a_sync_where_a_segment_ends() {
    let world = World::new(3);
    let layer = Layer::over(Arc::new(world.process()));
    drop(on(layer.clone()));
    let options = Options::default().segment_bytes(600);
    let ledger = FileLedger::open(layer.clone(), DIR, group(), options).unwrap();
    let before = layer.syncs_under_lock();
    let words: Vec<String> = (0..30).map(|n| format!("w{n}")).collect();
    for word in &words {
        append(&ledger, &[word]);
    }
    // Also where what fills a segment was not synced by whoever wrote it, and where a whole segment was not.
    for _ in 0..10 {
        let turn = now(ledger.turn()).unwrap();
        let batch = batch_of(turn.tip(), turn.durable().seq, &["later"]);
        now(turn.append(&batch, Durability::Buffered)).unwrap();
    }
    append(&ledger, &["last"]);
    assert_eq!(layer.syncs_under_lock(), before);
    assert!(ledger.files().unwrap().reader.list().unwrap().len() > 6);
    assert_eq!(texts(&ledger).len(), 41);
    assert!(matches!(now(ledger.verify()).unwrap(), Verdict::Sound { .. }));
}

#[test]
fn a_segment_that_was_begun_and_not_published_is_no_interruption() {
    let world = World::new(4);
    let ledger = on(Arc::new(world.process()));
    let long = "x".repeat(2000);
    append(&ledger, &[&long]);
    // Begins the next segment as far as the lock is needed for that.
    let mut turn = now(FileTurn::begin(&ledger.files().unwrap())).unwrap();
    let batch = batch_of(turn.tip(), turn.durable().seq, &["next"]);
    let end = super::super::turn::begin_segment(&mut turn.locked, &turn.pages, &batch).unwrap();
    let epoch = turn.epoch();
    drop(turn);
    assert_eq!(texts(&ledger), std::slice::from_ref(&long), "it is not durable yet");
    let mut turn = now(ledger.turn()).unwrap();
    assert_eq!((turn.epoch(), turn.tip(), turn.durable().seq), (epoch, end.at, Seq(1)));
    assert_eq!(now(turn.read(Seq(1), ReadLimit::CHUNK)).unwrap().len(), 2);
    let batch = batch_of(turn.tip(), turn.durable().seq, &["and-next"]);
    now(turn.append(&batch, Durability::Durable)).unwrap();
    world.power_cut();
    let after = on(Arc::new(world.process()));
    assert_eq!(texts(&after), [&long, "next", "and-next"]);
}

#[test]
fn a_power_cut_while_a_segment_begins_leaves_one_history() {
    for seed in 0..200 {
        let world = World::new(seed);
        let ledger = on(Arc::new(world.process()));
        let long = "x".repeat(2000);
        append(&ledger, &[&long]);
        let mut turn = now(FileTurn::begin(&ledger.files().unwrap())).unwrap();
        let batch = batch_of(turn.tip(), turn.durable().seq, &["next", "to it"]);
        super::super::turn::begin_segment(&mut turn.locked, &turn.pages, &batch).unwrap();
        drop(turn);
        world.power_cut();
        let after = on(Arc::new(world.process()));
        append(&after, &["last"]);
        let seen = texts(&after);
        assert!(seen.len() >= 2 && seen[0] == long && seen.last().unwrap() == "last", "seed {seed}");
        assert!(matches!(now(after.verify()).unwrap(), Verdict::Sound { .. }), "seed {seed}");
    }
}

#[test]
fn a_reader_who_has_to_wait_does_not_hold_up_its_executor() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = create(dir.path());
    append(&ledger, &["one"]);
    let reader = open(dir.path());
    let turn = now(ledger.turn()).unwrap();
    // What it should say is found out under the lock, which is held.
    std::fs::write(dir.path().join("head"), [0; PAGE_BYTES]).unwrap();
    let (head, ()) = now(async { tokio::join!(reader.head(), async { drop(turn) }) });
    assert_eq!(head.unwrap().seq, Seq(1));
}

#[test]
fn what_cannot_be_written_to_can_be_read() {
    let world = World::new(5);
    let ledger = on(Arc::new(world.process()));
    append(&ledger, &["one", "two three"]);
    let reading = || {
        let layer = Layer::over(Arc::new(world.process()));
        layer.read_only.store(true, Ordering::Relaxed);
        (FileLedger::open(layer.clone(), DIR, group(), Options::default()).unwrap(), layer)
    };
    let (reader, layer) = reading();
    assert_eq!(texts(&reader), ["one", "two", "three"]);
    let error = now(reader.turn()).err().unwrap();
    assert!(error.to_string().contains("read-only"), "{error}");
    assert!(error.hint_text().is_some());
    // After a reboot nobody can recover, and with a broken page nobody can say where the end is.
    world.power_cut();
    let (reader, _) = reading();
    assert_eq!(texts(&reader), ["one", "two", "three"]);
    assert!(matches!(now(reader.verify()).unwrap(), Verdict::Sound { head, .. } if head.seq == Seq(3)));
    let head = world.process().open(&Path::new(DIR).join("head"), OpenMode::Write).unwrap();
    head.write_at(&[0; PAGE_BYTES], 0).unwrap();
    assert_eq!(texts(&reading().0), ["one", "two", "three"]);
    // Written to again, it is as it was.
    layer.read_only.store(false, Ordering::Relaxed);
    let again = on(Arc::new(world.process()));
    append(&again, &["four"]);
    assert_eq!(texts(&again), ["one", "two", "three", "four"]);
    assert_eq!(texts(&reading().0), ["one", "two", "three", "four"]);
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_an_error_and_no_hang() {
    use std::os::unix::fs::symlink;
    let make_pipe = |path: &Path| {
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    type Make<'a> = &'a dyn Fn(&Path);
    let makers: [(&str, Make<'_>); 4] = [
        ("pipe", &make_pipe),
        ("directory", &|path| std::fs::create_dir(path).unwrap()),
        ("device", &|path| symlink("/dev/zero", path).unwrap()),
        ("loop", &|path| symlink(path, path).unwrap()),
    ];
    for (what, make) in makers {
        for name in ["lock", "head", "tip", "segment", "redacting", "checkpoint.1.a", "checkpoint.lock"] {
            let dir = tempfile::tempdir().unwrap();
            append(&create(dir.path()), &["one"]);
            let layout = Layout::new(dir.path().to_owned());
            let path = if name == "segment" { layout.segment(1) } else { dir.path().join(name) };
            let _ = std::fs::remove_file(&path);
            make(&path);
            let (done, end) = std::sync::mpsc::channel();
            let place = dir.path().to_owned();
            std::thread::spawn(move || {
                let ledger = open(&place);
                let position = Position::start(&group());
                let turned = now(ledger.turn()).map(drop);
                let read = now(ledger.read(Seq(1), ReadLimit::ONE)).map(drop);
                let _ = now(ledger.load_checkpoint(1));
                let saved = now(ledger.save_checkpoint(1, Checkpoint { position, bytes: Vec::new() }));
                let _ = now(ledger.repair(RepairOptions::default()));
                let _ = done.send([turned, read, saved]);
            });
            let [turned, read, saved] = end
                .recv_timeout(Duration::from_secs(30))
                .unwrap_or_else(|_| panic!("a {what} at {name} hangs"));
            let failed: Vec<_> = match name {
                "lock" | "tip" => vec![turned],
                "head" | "segment" => vec![turned, read],
                "checkpoint.lock" => vec![saved],
                _ => vec![],
            };
            for result in failed {
                let error = result.err().unwrap_or_else(|| panic!("a {what} at {name} is no error"));
                assert!(error.to_string().contains(&*path.to_string_lossy()), "{what} at {name}: {error}");
            }
        }
    }
}

#[test]
fn what_took_the_place_of_a_closed_file_is_opened_anew() {
    for name in ["head", "tip", "lock", "segment"] {
        let dir = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::new().keep_open(0));
        let make = |name: &str| {
            FileLedger::create(disk.clone(), dir.path().join(name), group(), Options::default()).unwrap()
        };
        let (ledger, other) = (make("a"), make("b"));
        append(&ledger, &["one"]);
        append(&other, &["closes the files of the first"]);
        let layout = Layout::new(dir.path().join("a"));
        let path = if name == "segment" { layout.segment(1) } else { layout.dir.join(name) };
        let copy = dir.path().join("copy");
        std::fs::copy(&path, &copy).unwrap();
        std::fs::rename(&copy, &path).unwrap();
        append(&ledger, &["two"]);
        assert_eq!((ledger.replacements(), other.replacements()), (1, 0), "{name}");
        let fresh = FileLedger::open(disk, dir.path().join("a"), group(), Options::default()).unwrap();
        assert_eq!(texts(&fresh), ["one", "two"], "{name}");
    }
}
