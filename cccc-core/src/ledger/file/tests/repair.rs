//! What a repair refuses, says and leaves behind.

use std::path::Path;

use super::*;
use crate::testing::sim::World;

const DIR: &str = "/home/g";
const SEGMENT_BYTES: u64 = 1000;

fn options() -> Options {
    Options::default().segment_bytes(SEGMENT_BYTES)
}

fn again(world: &World) -> FileLedger {
    FileLedger::open(Arc::new(world.process()), DIR, group(), options()).unwrap()
}

/// Ten events in several segments.
fn filled(world: &World) -> FileLedger {
    let ledger = FileLedger::create(Arc::new(world.process()), DIR, group(), options()).unwrap();
    for n in 0..10 {
        append(&ledger, &[&format!("word{n}")]);
    }
    ledger
}

fn path(first: u64) -> PathBuf {
    Layout::new(DIR.into()).segment(first)
}

fn segments(world: &World) -> Vec<u64> {
    let names = world.process().list(Path::new("/home/g/ledger")).unwrap();
    names.iter().filter_map(|name| segment_name(name)).collect()
}

fn aside(world: &World) -> Vec<String> {
    world.process().list(Path::new("/home/g/torn")).unwrap_or_default()
}

fn content(world: &World, path: &Path) -> Vec<u8> {
    let file = world.process().open(path, OpenMode::Read).unwrap();
    let len = file.stat().unwrap().len;
    read_range(&*file, 0, usize::try_from(len).unwrap()).unwrap()
}

fn replace(world: &World, path: &Path, bytes: &[u8]) {
    let file = world.process().open(path, OpenMode::Write).unwrap();
    file.truncate(0).unwrap();
    file.write_at(bytes, 0).unwrap();
    file.sync().unwrap();
}

fn edit(world: &World, path: &Path, change: impl FnOnce(Vec<&[u8]>) -> Vec<Vec<u8>>) {
    let bytes = content(world, path);
    let lines = bytes.split_inclusive(|b| *b == b'\n').collect();
    replace(world, path, &change(lines).concat());
}

/// Spoils the text of a word, beyond restoring.
fn spoil(world: &World, segment: u64, word: &str) {
    let text = String::from_utf8(content(world, &path(segment))).unwrap();
    assert!(text.contains(word));
    replace(world, &path(segment), text.replace(word, "SPOILT").as_bytes());
}

/// Everything of the ledger but locks and what is derived.
fn all(world: &World) -> Vec<(PathBuf, Vec<u8>)> {
    let pages = ["head", "tip"].map(|name| Path::new(DIR).join(name)).into_iter();
    let paths = pages.chain(segments(world).into_iter().map(path));
    paths.map(|path| (path.clone(), content(world, &path))).collect()
}

fn run(ledger: &FileLedger, cut: bool) -> Result<RepairReport> {
    now(ledger.repair(RepairOptions { cut, dry_run: false }))
}

fn damage(ledger: &FileLedger) -> crate::error::Damage {
    match now(ledger.verify()).unwrap() {
        Verdict::Damaged(damage) => damage,
        sound => panic!("{sound:?}"),
    }
}

#[test]
fn a_repair_that_can_keep_nothing_is_refused_and_changes_nothing() {
    let emptied =
        |world: &World| segments(world).into_iter().for_each(|first| replace(world, &path(first), b""));
    let removed = |world: &World| {
        segments(world).into_iter().for_each(|first| world.process().remove(&path(first)).unwrap());
    };
    let garbled = |world: &World| {
        segments(world).into_iter().for_each(|first| replace(world, &path(first), &[b'x'; 700]));
    };
    let ways: [&dyn Fn(&World); 3] = [&emptied, &removed, &garbled];
    for (n, way) in ways.into_iter().enumerate() {
        let world = World::new(n as u64);
        filled(&world);
        way(&world);
        let before = all(&world);
        let error = run(&again(&world), false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{n}: {error}");
        assert!(
            error.to_string().contains("all 10 events of the ledger in /home/g are lost"),
            "{n}: {error}"
        );
        assert!(error.hint_text().unwrap().contains("`cccc ledger repair --cut`"), "{n}: {error}");
        assert_eq!(all(&world), before, "{n}");
        assert!(aside(&world).is_empty(), "{n}");
        let report = run(&again(&world), true).unwrap();
        assert_eq!(report.head.map(|head| head.seq), Some(Seq(0)), "{n}");
        append(&again(&world), &["anew"]);
        assert_eq!(texts(&again(&world)), ["anew"], "{n}");
    }
}

#[test]
fn repairs_that_fail_on_a_full_disk_leave_one_copy_and_no_draft() {
    let world = World::new(20);
    filled(&world);
    let segment = segments(&world)[1];
    spoil(&world, segment, "word4");
    for free in (0..2000).step_by(50) {
        world.set_free_space(Some(free));
        if run(&again(&world), false).is_ok() {
            assert!(free > 200, "room for a copy and a segment is wanted");
            break;
        }
        assert!(aside(&world).len() <= 1, "{free}: {:?}", aside(&world));
        let drafts = world.process().list(Path::new("/home/g/ledger")).unwrap();
        assert!(drafts.iter().all(|name| !name.ends_with(".new")), "{free}: {drafts:?}");
    }
    world.set_free_space(None);
    assert!(matches!(now(again(&world).verify()).unwrap(), Verdict::Sound { gaps: 1, .. }));
    assert_eq!(aside(&world).len(), 1);
    let copy = content(&world, &Path::new("/home/g/torn").join(&aside(&world)[0]));
    assert!(String::from_utf8(copy).unwrap().contains("SPOILT"));
}

#[test]
fn a_repair_says_what_it_took_out_after_the_last_event() {
    let world = World::new(21);
    filled(&world);
    let last = *segments(&world).last().unwrap();
    edit(&world, &path(last), |lines| [lines.concat(), b"garbage\n".to_vec()].into());
    let report = run(&again(&world), false).unwrap();
    assert!(report.damage.is_none() && report.finished, "{report:?}");
    assert_eq!(report.set_aside.len(), 1, "{report:?}");
    assert_eq!(content(&world, &report.set_aside[0]), b"garbage\n");
    let report = run(&again(&world), false).unwrap();
    assert!(!report.finished && report.set_aside.is_empty(), "{report:?}");
}

/// Whichever call is its last: the next one names the damage, or says that it has finished what was begun and how many
/// gaps there are.
#[test]
fn what_a_killed_repair_leaves_is_said_by_the_next() {
    let (mut found, mut finished, mut done) = (0, 0, false);
    for calls in 0.. {
        let world = World::new(calls);
        filled(&world);
        spoil(&world, segments(&world)[1], "word4");
        let disk = world.process();
        let ledger = FileLedger::open(Arc::new(disk.clone()), DIR, group(), options());
        if let Ok(ledger) = ledger {
            world.kill_after(&disk, calls);
            done = run(&ledger, false).is_ok();
        }
        let report = run(&again(&world), false).unwrap();
        let lost: u64 = report.broken.iter().map(|one| one.lost).sum();
        assert!(report.gaps == 1 && lost <= 1, "{calls}: {report:?}");
        found += u64::from(report.damage.is_some());
        finished += u64::from(report.damage.is_none() && report.finished);
        if done {
            assert!(report.damage.is_none() && !report.finished, "{report:?}");
            break;
        }
        assert!(calls < 1000, "it never came to its end");
    }
    assert!(found > 0 && finished > 0, "{found} {finished}");
}

#[test]
fn lines_that_changed_places_are_all_kept() {
    // Within a segment, at its end, and from its beginning to its end.
    for (n, order) in [[1, 0, 2], [0, 2, 1], [2, 1, 0], [1, 2, 0], [2, 0, 1]].into_iter().enumerate() {
        for which in [0, 1, 2] {
            let world = World::new(22 + n as u64);
            append(&filled(&world), &["word10"]);
            let before = all(&world);
            let segment = path(segments(&world)[which]);
            edit(&world, &segment, |lines| {
                assert!(lines.len() >= 3, "{}", lines.len());
                let first = lines.iter().take(3).enumerate().map(|(at, _)| lines[order[at]].to_vec());
                first.chain(lines.iter().skip(3).map(|line| line.to_vec())).collect()
            });
            let dry = now(again(&world).repair(RepairOptions { cut: false, dry_run: true })).unwrap();
            assert!(dry.broken.iter().all(|one| one.lost == 0), "{order:?} {which}: {dry:?}");
            let around = now(again(&world).read_around(Seq(1), ReadLimit::CHUNK)).unwrap();
            let said = around.events().map(|event| event.unwrap().message().unwrap().text.clone());
            assert!(said.eq((0..11).map(|n| format!("word{n}"))), "{order:?} {which}");
            let report = run(&again(&world), false).unwrap();
            assert_eq!((&report.broken, report.gaps), (&dry.broken, 0), "{order:?} {which}");
            let after: Vec<_> = all(&world).into_iter().skip(2).collect();
            assert_eq!(after, before[2..], "{order:?} {which}");
            append(&again(&world), &["on"]);
            assert_eq!(texts(&again(&world)).len(), 12);
        }
    }
}

/// Nobody can tell whether it was acknowledged, so it is not taken for torn.
#[test]
fn without_a_head_what_the_tip_knows_is_missed() {
    let removed = |world: &World, last| world.process().remove(&path(last)).unwrap();
    let cut = |world: &World, last| {
        edit(world, &path(last), |lines| lines[..lines.len() - 1].iter().map(|line| line.to_vec()).collect());
    };
    let spoilt = |world: &World, last| spoil(world, last, "word9");
    type Way<'a> = (&'a str, &'a dyn Fn(&World, u64));
    let ways: [Way<'_>; 3] = [
        ("the segment file is missing", &removed),
        ("what is sound ends here", &cut),
        ("ends here", &spoilt),
    ];
    let removed_head = |world: &World| world.process().remove(&Path::new(DIR).join("head")).unwrap();
    let garbled_head = |world: &World| {
        let head = world.process().open(&Path::new(DIR).join("head"), OpenMode::Write).unwrap();
        head.write_at(&[0; 128], 0).unwrap();
    };
    let heads: [&dyn Fn(&World); 2] = [&removed_head, &garbled_head];
    for ((says, way), head) in ways.into_iter().flat_map(|way| heads.map(|head| (way, head))) {
        for repair_cut in [false, true] {
            let world = World::new(30);
            filled(&world);
            let last = *segments(&world).last().unwrap();
            way(&world, last);
            head(&world);
            let before: Vec<_> =
                segments(&world).into_iter().map(|first| content(&world, &path(first))).collect();
            let found = damage(&again(&world));
            let missing = "`head` is missing or not whole, and `tip` says that event 10 was written";
            assert!(found.reason.contains(says) && found.reason.contains(missing), "{found:?}");
            assert_eq!(found.file, path(last).display().to_string());
            assert!(now(again(&world).turn()).is_err(), "{says}: nothing is written after it");
            let around = now(again(&world).read_around(Seq(1), ReadLimit::CHUNK)).unwrap();
            assert_eq!(around.len(), 10, "{says}");
            let after: Vec<_> =
                segments(&world).into_iter().map(|first| content(&world, &path(first))).collect();
            assert_eq!(after, before, "{says}: nothing is taken out");
            let report = run(&again(&world), repair_cut).unwrap();
            let end = if repair_cut { found.seq.0 - 1 } else { 10 };
            assert_eq!(report.head.map(|head| head.seq), Some(Seq(end)), "{says}: {report:?}");
            assert_eq!(report.gaps, if repair_cut { 0 } else { 11 - found.seq.0 }, "{says}: {report:?}");
            append(&again(&world), &["on"]);
        }
    }
}

/// Of what cannot be checked without it, the missing file is named, and the first event in it, by whoever asks.
#[test]
fn what_follows_a_missing_file_is_not_named_in_its_place() {
    for without_head in [false, true] {
        let world = World::new(31);
        let ledger = filled(&world);
        let names = segments(&world);
        world.process().remove(&path(names[1])).unwrap();
        drop(ledger);
        if without_head {
            replace(&world, &Path::new(DIR).join("head"), &[7; PAGE_BYTES]);
        }
        let expected = (Seq(names[1]), path(names[1]).display().to_string());
        for seq in names[1]..=names[2] {
            let error = now(again(&world).read(Seq(seq), ReadLimit::ONE)).unwrap_err();
            let found = error.damage().unwrap();
            assert_eq!((found.seq, found.file.clone()), expected, "{seq} {without_head}: {error}");
        }
        let found = damage(&again(&world));
        assert_eq!((found.seq, found.file), expected, "{without_head}");
    }
}
