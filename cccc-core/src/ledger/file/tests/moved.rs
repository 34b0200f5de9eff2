//! Files that are away, or not whole, for a moment, because a copy is being put in their place.

use std::path::Path;

use super::*;
use crate::testing::sim::{World, block_on};

const DIR: &str = "/home/g";

fn read(disk: &dyn Disk, path: &Path) -> Vec<u8> {
    let file = disk.open(path, OpenMode::Read).unwrap();
    let len = file.stat().unwrap().len;
    read_range(&*file, 0, usize::try_from(len).unwrap()).unwrap()
}

/// Puts a copy of a file back as `cp` does: the file is emptied, and then it grows.
fn put_back(disk: &dyn Disk, path: &Path, bytes: &[u8], pieces: usize, pause: Duration) {
    let file = disk.open(path, OpenMode::Create).unwrap();
    file.truncate(0).unwrap();
    for (piece, at) in bytes.chunks(bytes.len().div_ceil(pieces)).zip(0..) {
        disk.sleep(pause);
        file.write_at(piece, at * bytes.len().div_ceil(pieces) as u64).unwrap();
    }
}

/// Where the head is lost for the time being, nothing tells a line that is half there from one that was never
/// acknowledged.
#[test]
fn what_is_half_copied_is_not_taken_for_an_unfinished_write() {
    for (seed, removed) in (0..40).zip([false, true].into_iter().cycle()) {
        let world = World::new(seed);
        let ledger = FileLedger::create(Arc::new(world.process()), DIR, group(), Options::default()).unwrap();
        for word in ["one", "two", "three"] {
            append(&ledger, &[word]);
        }
        let (copier, writer) = (world.process(), world.process());
        let layout = Layout::new(DIR.into());
        let paths = [layout.tip.clone(), layout.segment(1), layout.head.clone()];
        let copies = paths.clone().map(|path| read(&copier, &path));
        let with = copier.clone();
        world.spawn(&copier, "copier", move || {
            let disk = with;
            for path in [&layout.head, &layout.tip] {
                match removed {
                    true => disk.remove(path).unwrap(),
                    false => disk.open(path, OpenMode::Write).unwrap().truncate(0).unwrap(),
                }
            }
            for (path, bytes) in paths.iter().zip(&copies) {
                put_back(&disk, path, bytes, 5, Duration::from_millis(300));
            }
        });
        let other = FileLedger::open(Arc::new(writer.clone()), DIR, group(), Options::default()).unwrap();
        world.spawn(&writer.clone(), "writer", move || {
            writer.sleep(Duration::from_millis(100 * (seed % 40)));
            // Damage may be named meanwhile, but not made.
            let _ = block_on(other.head());
            drop(block_on(other.turn()));
        });
        let report = world.run();
        assert_eq!(report.failure, None, "seed {seed}");
        let disk = world.process();
        assert!(disk.list(&Path::new(DIR).join("torn")).unwrap_or_default().is_empty(), "seed {seed}");
        let after = FileLedger::open(Arc::new(disk), DIR, group(), Options::default()).unwrap();
        append(&after, &["four"]);
        assert_eq!(texts(&after), ["one", "two", "three", "four"], "seed {seed}");
    }
}

/// It is made again from the lines, once nobody seems to put anything back.
#[test]
fn a_head_that_is_gone_for_good_is_made_again() {
    let world = World::new(1);
    let process = world.process();
    let ledger = FileLedger::create(Arc::new(process.clone()), DIR, group(), Options::default()).unwrap();
    append(&ledger, &["one"]);
    process.remove(&Layout::new(DIR.into()).head).unwrap();
    let before = world.now();
    append(&ledger, &["two"]);
    let waited = world.now() - before;
    assert!(waited < Duration::from_secs(3), "{waited:?}");
    assert_eq!(texts(&ledger), ["one", "two"]);
}

#[test]
fn whoever_waits_for_a_ledger_that_does_not_come_back_is_told() {
    let world = World::new(2);
    let process = world.process();
    let ledger = FileLedger::create(Arc::new(process.clone()), DIR, group(), Options::default()).unwrap();
    append(&ledger, &["one"]);
    let layout = Layout::new(DIR.into());
    for path in [layout.head.clone(), layout.tip.clone(), layout.segment(1), layout.offsets(1)] {
        process.remove(&path).unwrap();
    }
    let before = world.now();
    let error = now(ledger.wait(Seq(1))).unwrap_err();
    let waited = world.now() - before;
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.to_string().contains(DIR), "{error}");
    assert!(error.hint_text().is_some_and(|hint| hint.contains("back")), "{error}");
    assert!(waited >= Duration::from_secs(5) && waited < Duration::from_secs(8), "{waited:?}");
}
