//! Damage in the middle: what is sound is read around it, and stays when it is repaired.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::event::Event;
use crate::ledger::RawLine;
use crate::testing::sim::World;

const DIR: &str = "/home/g";
const SEGMENT_BYTES: u64 = 1000;

fn on(world: &World) -> FileLedger {
    let options = Options::default().segment_bytes(SEGMENT_BYTES);
    FileLedger::create(Arc::new(world.process()), DIR, group(), options).unwrap()
}

/// Opens what is there, and makes nothing that is not.
fn on_again(world: &World) -> FileLedger {
    let options = Options::default().segment_bytes(SEGMENT_BYTES);
    FileLedger::open(Arc::new(world.process()), DIR, group(), options).unwrap()
}

/// Twelve events in three segments; 3 to 5 are one command.
fn filled(world: &World) -> FileLedger {
    let ledger = on(world);
    for command in
        ["one", "two", "three four five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    {
        append(&ledger, &[command]);
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

fn content(world: &World, path: &Path) -> Vec<u8> {
    let file = world.process().open(path, OpenMode::Read).unwrap();
    let len = file.stat().unwrap().len;
    read_range(&*file, 0, usize::try_from(len).unwrap()).unwrap()
}

/// Replaces a file's content behind the ledger's back.
fn replace(world: &World, path: &Path, bytes: &[u8]) {
    let file = world.process().open(path, OpenMode::Write).unwrap();
    file.truncate(0).unwrap();
    file.write_at(bytes, 0).unwrap();
    file.sync().unwrap();
}

/// The pages and the segments as they are, to be put back by [`replace`].
fn copy(world: &World) -> Vec<(PathBuf, Vec<u8>)> {
    let pages = ["head", "tip"].map(|name| Path::new(DIR).join(name)).into_iter();
    let paths = pages.chain(segments(world).into_iter().map(path));
    paths.map(|path| (path.clone(), content(world, &path))).collect()
}

/// All lines, by seq, with the segment and the offset.
fn lines(world: &World) -> BTreeMap<u64, (u64, usize, Vec<u8>)> {
    let mut all = BTreeMap::new();
    for first in segments(world) {
        let mut at = 0;
        for line in content(world, &path(first)).split_inclusive(|b| *b == b'\n') {
            let seq = RawLine::split(line).unwrap().seq().unwrap();
            all.insert(seq.0, (first, at, line.to_vec()));
            at += line.len();
        }
    }
    all
}

/// Changes event `seq` beyond restoring, so that its line keeps its end.
fn spoil(world: &World, seq: u64) {
    let (first, at, line) = lines(world).remove(&seq).unwrap();
    let mut bytes = content(world, &path(first));
    let text = line.windows(8).position(|w| w == b"\"text\":\"").unwrap();
    bytes[at + text + 8] ^= 3;
    bytes[at + text + 9] ^= 3;
    replace(world, &path(first), &bytes);
}

fn read_all(ledger: &FileLedger) -> Vec<Event> {
    let page = now(ledger.read_around(Seq(1), ReadLimit { events: 1000, bytes: 1 << 20 })).unwrap();
    page.events().collect::<Result<_>>().unwrap()
}

fn text(event: &Event) -> String {
    event.message().map_or_else(|| "(gap)".into(), |message| message.text.clone())
}

fn sound_gaps(ledger: &FileLedger) -> Option<(u64, u64)> {
    match now(ledger.verify()).unwrap() {
        Verdict::Sound { head, gaps, .. } => Some((head.seq.0, gaps)),
        Verdict::Damaged(damage) => panic!("{damage:?}"),
    }
}

fn mend(ledger: &FileLedger) -> RepairReport {
    now(ledger.repair(RepairOptions::default())).unwrap()
}

#[test]
fn a_damaged_event_is_read_around_and_a_gap_takes_its_place() {
    for seq in 1..=12 {
        let world = World::new(seq);
        let ledger = filled(&world);
        let (head, before) = (now(ledger.head()).unwrap(), read_all(&ledger));
        let stored = lines(&world);
        assert!(segments(&world).len() >= 3);
        spoil(&world, seq);
        let spoilt = lines(&world).remove(&seq).unwrap();

        // Before the repair: what is sound is readable, the rest is named, and nothing can be written over it.
        let fresh = on(&world);
        assert!(now(fresh.read(Seq(seq), ReadLimit::ONE)).unwrap_err().damage().is_some());
        let seen = read_all(&fresh);
        let gap = &seen[usize::try_from(seq).unwrap() - 1];
        let Body::LedgerGap(data) = &gap.body else { panic!("{gap:?}") };
        assert!(path(spoilt.0).ends_with(&data.file), "{data:?}");
        assert_eq!((data.offset, data.bytes), (spoilt.1 as u64, spoilt.2.len() as u64));
        let limit = ReadLimit { events: 3, bytes: 1 << 20 };
        let part = now(fresh.read_around(Seq(seq.saturating_sub(1)), limit)).unwrap();
        assert_eq!(part.lines().next().unwrap().seq(), Some(Seq(seq.saturating_sub(1).max(1))));

        let dry = now(fresh.repair(RepairOptions { cut: false, dry_run: true })).unwrap();
        assert_eq!(dry.broken.len(), 1, "{dry:?}");
        assert_eq!((dry.broken[0].first, dry.broken[0].lost), (Seq(seq), 1));
        assert!(dry.set_aside.is_empty() && dry.head.is_none());
        let report = mend(&fresh);
        assert_eq!((&report.damage, &report.broken), (&dry.damage, &dry.broken));
        assert_eq!(report.head, Some(head));
        assert_eq!(content(&world, &report.set_aside[0]), spoilt.2);

        // Handles that were open find out, and all see the same as before, but for one event.
        let replacements = ledger.replacements();
        assert_eq!(now(ledger.head()).unwrap(), head);
        assert!(ledger.replacements() > replacements);
        assert_eq!(sound_gaps(&ledger), Some((12, 1)));
        let fresh = on(&world);
        assert_eq!(sound_gaps(&fresh), Some((12, 1)));
        for (n, line) in lines(&world) {
            assert!(n == seq || stored[&n].2 == line.2, "event {n} is what it was");
        }
        let after = read_all(&fresh);
        for (was, is) in before.iter().zip(&after).filter(|(was, _)| was.seq.0 != seq) {
            assert_eq!((text(was), was.id, was.chain), (text(is), is.id, is.chain));
        }
        assert_eq!(after[usize::try_from(seq).unwrap() - 1].id, gap.id);
        append(&fresh, &["on", "and on"]);
        assert_eq!(sound_gaps(&on(&world)), Some((15, 1)));
        assert_eq!(texts(&on(&world)).len(), 15);
        assert!(mend(&on(&world)).damage.is_none());
    }
}

#[test]
fn a_flipped_bit_is_found_and_the_event_is_what_it_was() {
    let world = World::new(1);
    filled(&world);
    let first = segments(&world)[1];
    let stored = content(&world, &path(first));
    for bit in (0..stored.len() * 8).step_by(41) {
        let mut bytes = stored.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        replace(&world, &path(first), &bytes);
        let report = mend(&on(&world));
        assert!(report.broken.iter().all(|one| one.restored && one.lost == 0), "bit {bit}: {report:?}");
        assert!(report.set_aside.is_empty());
        assert_eq!(content(&world, &path(first)), stored, "bit {bit}");
    }
    assert_eq!(sound_gaps(&on(&world)), Some((12, 0)));
}

#[test]
fn whatever_is_overwritten_only_that_is_lost() {
    for seed in 0..150 {
        let world = World::new(seed);
        filled(&world);
        let stored = lines(&world);
        let names = segments(&world);
        let mut touched = Vec::new();
        for _ in 0..=world.random() % 2 {
            let first = names[usize::try_from(world.random()).unwrap_or(0) % names.len()];
            let mut bytes = content(&world, &path(first));
            let from = usize::try_from(world.random() % bytes.len() as u64).unwrap();
            let to = bytes.len().min(from + usize::try_from(world.random() % 900).unwrap());
            match world.random() % 3 {
                0 => bytes[from..to].fill(0),
                1 => bytes[from..to].fill(b'\n'),
                _ => drop(bytes.drain(from..to)),
            }
            replace(&world, &path(first), &bytes);
            touched.push((first, from));
        }
        let fresh = on(&world);
        let seen = read_all(&fresh);
        assert_eq!(seen.len(), 12, "seed {seed}: {touched:?}");
        let report = mend(&fresh);
        assert!(report.head.is_some(), "seed {seed}: {report:?}");
        let fresh = on(&world);
        let (last, gaps) = sound_gaps(&fresh).unwrap();
        assert_eq!(last, 12, "seed {seed}");
        assert!(gaps <= 9, "seed {seed}: {gaps} lost by {touched:?}");
        for (n, line) in lines(&world) {
            let is_gap = RawLine::split(&line.2).unwrap().is_gap();
            assert!(is_gap || stored[&n].2 == line.2, "seed {seed}: event {n} is sound or a gap");
        }
        append(&fresh, &["on"]);
        assert_eq!(texts(&on(&world)).len(), 13);
    }
}

#[test]
fn lines_that_were_put_in_taken_out_or_doubled_cost_no_sound_event() {
    let world = World::new(3);
    filled(&world);
    let first = segments(&world)[0];
    let stored = content(&world, &path(first));
    let all: Vec<&[u8]> = stored.split_inclusive(|b| *b == b'\n').collect();
    for (edited, lost) in [
        ([&all[..2], &[b"a line of an editor\n"], &all[2..]].concat().concat(), 0),
        ([&all[..2], &all[1..]].concat().concat(), 0),
        ([&all[..], &[b"{}\n"]].concat().concat(), 0),
        // What follows a line that is gone without a trace cannot be checked either.
        ([&all[..2], &all[3..]].concat().concat(), 2),
        (all[1..].concat(), 2),
    ] {
        replace(&world, &path(first), &edited);
        let report = mend(&on(&world));
        assert_eq!(report.broken.iter().map(|one| one.lost).sum::<u64>(), lost, "{report:?}");
        assert_eq!(sound_gaps(&on(&world)), Some((12, lost)));
        replace(&world, &path(first), &stored);
        mend(&on(&world));
    }
}

#[test]
fn lost_segments_and_lost_pages_leave_the_rest() {
    for (n, lost_pages) in [(0, false), (1, false), (2, false), (1, true)] {
        let world = World::new(4);
        filled(&world);
        let names = segments(&world);
        world.process().remove(&path(names[n])).unwrap();
        if lost_pages {
            replace(&world, Path::new("/home/g/head"), b"garbage");
        }
        let report = mend(&on(&world));
        assert_eq!(report.head.map(|head| head.seq), Some(Seq(12)), "{n}: {report:?}");
        let fresh = on(&world);
        let (_, gaps) = sound_gaps(&fresh).unwrap();
        assert!((1..=7).contains(&gaps), "{n}: {gaps}");
        append(&fresh, &["on"]);
        assert_eq!(texts(&on(&world)).len(), 13);
    }
}

/// Whichever files are missing, a dry run names them and says what a repair then does.
#[test]
fn a_dry_run_says_what_missing_segments_cost() {
    for (lost, cut) in [&[0][..], &[1], &[2], &[0, 1], &[1, 2], &[0, 1, 2]]
        .into_iter()
        .flat_map(|lost| [(lost, false), (lost, true)])
    {
        let world = World::new(12);
        filled(&world);
        let names = segments(&world);
        assert_eq!(names.len(), 3);
        let events_of = |n: usize| names[n]..names.get(n + 1).copied().unwrap_or(13);
        let mut missing: Vec<u64> = lost.iter().flat_map(|n| events_of(*n)).collect();
        lost.iter().for_each(|n| world.process().remove(&path(names[*n])).unwrap());
        let before = segments(&world);
        let dry = now(on_again(&world).repair(RepairOptions { cut, dry_run: true })).unwrap();
        assert_eq!(segments(&world), before, "a dry run changes nothing");
        // The next one can no longer be checked.
        missing.extend(Some(missing[missing.len() - 1] + 1).filter(|next| *next <= 12));
        let named: Vec<u64> = dry.broken.iter().flat_map(|one| one.first.0..one.first.0 + one.lost).collect();
        assert_eq!(named, missing, "{lost:?}: {dry:?}");
        // What follows a missing file is in the file's place, so of several that are missing the first is named.
        assert_eq!(dry.broken[0].file, path(names[lost[0]]).display().to_string(), "{lost:?}");
        assert_eq!((dry.broken[0].offset, dry.broken[0].bytes), (0, 0));
        assert_eq!(dry.broken[0].reason, "the segment file is missing");
        assert!(dry.broken.iter().skip(1).all(|one| one.reason.starts_with("what it follows is lost")));
        assert_eq!(dry.last, Some(Seq(12)));
        let done = now(on_again(&world).repair(RepairOptions { cut, dry_run: false }));
        if missing.len() == 12 && !cut {
            assert_eq!(done.unwrap_err().kind(), ErrorKind::Refused, "nothing is left: {lost:?}");
            continue;
        }
        let done = done.unwrap();
        assert_eq!((&done.broken, done.cut, done.last), (&dry.broken, dry.cut, dry.last), "{lost:?}");
        let end = if cut { missing[0] - 1 } else { 12 };
        assert_eq!(done.head.map(|head| head.seq), Some(Seq(end)), "{lost:?}");
        assert_eq!(dry.cut.map(|cut| (cut.first, cut.last)), cut.then_some((Seq(end + 1), Seq(12))));
    }
}

#[test]
fn events_before_a_missing_first_segment_are_read_as_gaps() {
    let world = World::new(13);
    filled(&world);
    let names = segments(&world);
    world.process().remove(&path(names[0])).unwrap();
    let seen = read_all(&on_again(&world));
    assert_eq!(seen.len(), 12);
    let Body::LedgerGap(gap) = &seen[0].body else { panic!("{:?}", seen[0]) };
    assert!(path(1).ends_with(&gap.file) && gap.bytes == 0, "{gap:?}");
    assert_eq!(text(&seen[11]), "twelve");
}

#[test]
fn more_than_a_repair_takes_for_lost_is_told_by_a_dry_run_too() {
    let world = World::new(14);
    filled(&world);
    let head = Path::new("/home/g/head");
    let mut state = State::decode(Role::Head, &content(&world, head)).unwrap();
    state.mark.at.seq = Seq(3 << 20);
    replace(&world, head, &state.encode(Role::Head));
    for dry_run in [true, false] {
        let error = now(on_again(&world).repair(RepairOptions { cut: false, dry_run })).unwrap_err();
        assert!(error.to_string().contains("all events up to 3145728 are missing"), "{error}");
        assert!(error.hint_text().unwrap().contains("from a copy"), "{error}");
    }
}

#[test]
fn a_head_of_another_history_costs_no_event() {
    let world = World::new(5);
    let ledger = on(&world);
    append(&ledger, &["one", "two"]);
    let page = content(&world, Path::new("/home/g/head"));
    drop(ledger);
    // The ledger grows on, and an old backup's head comes back with another chain.
    append(&on(&world), &["three", "four"]);
    let mut state = State::decode(Role::Head, &page).unwrap();
    state.mark.at.chain.0[0] ^= 1;
    replace(&world, Path::new("/home/g/head"), &state.encode(Role::Head));
    for cut in [true, false] {
        let report = now(on(&world).repair(RepairOptions { cut, dry_run: true })).unwrap();
        assert!(report.damage.is_some() && report.cut.is_none() && report.broken.is_empty(), "{report:?}");
    }
    let report = now(on(&world).repair(RepairOptions { cut: true, dry_run: false })).unwrap();
    assert_eq!((report.head.map(|head| head.seq), report.set_aside.len()), (Some(Seq(4)), 0));
    assert_eq!(texts(&on(&world)).len(), 4);
}

#[test]
fn a_cut_says_before_what_it_takes() {
    let world = World::new(6);
    let ledger = filled(&world);
    spoil(&world, 7);
    let dry = now(ledger.repair(RepairOptions { cut: true, dry_run: true })).unwrap();
    let cut = dry.cut.unwrap();
    let rest: usize = lines(&world).values().skip(6).map(|line| line.2.len()).sum();
    assert_eq!((cut.first, cut.last, cut.bytes), (Seq(7), Seq(12), rest as u64));
    let done = now(ledger.repair(RepairOptions { cut: true, dry_run: false })).unwrap();
    assert_eq!((done.cut, done.head.unwrap().seq), (dry.cut, Seq(6)));
}

/// A power cut may bring back pages from before the newest segments, and so may a copy that is put over the files.
#[test]
fn older_pages_do_not_hide_newer_segments() {
    for knows_boots in [false, true] {
        let world = World::new(9);
        if !knows_boots {
            world.hide_boots();
        }
        let ledger = on(&world);
        let pages = ["head", "tip"].map(|name| Path::new(DIR).join(name));
        let mut words = Vec::new();
        let mut append_next = |ledger: &FileLedger| {
            words.push(format!("word{}", words.len()));
            append(ledger, &[words.last().unwrap()]);
            words.clone()
        };
        while content(&world, &path(1)).len() < usize::try_from(SEGMENT_BYTES).unwrap() {
            append_next(&ledger);
        }
        let old = pages.each_ref().map(|page| content(&world, page));
        while segments(&world).len() < 3 {
            append_next(&ledger);
        }
        pages.iter().zip(&old).for_each(|(page, content)| replace(&world, page, content));
        let fresh = on(&world);
        let written = append_next(&fresh);
        assert_eq!(texts(&fresh), written, "{knows_boots}");
        assert_eq!(texts(&ledger), written, "{knows_boots}");
    }
}

/// A copy is put back in place, and what came after it is left, as `cp` does: whatever is written next, segments of
/// the other history neither hide it nor come back.
#[test]
fn segments_that_a_restore_left_are_set_aside() {
    // Through the handle that wrote what is left, and through one that knows of none of it until it begins a segment.
    for (appended, idle) in [0, 1, 2, 3, 12].into_iter().flat_map(|n| [(n, false), (n, true)]) {
        let world = World::new(11);
        let old = filled(&world);
        let writer = if idle { &on(&world) } else { &old };
        let kept = copy(&world);
        for n in 0..12 {
            append(&old, &[&format!("left{n:02}")]);
        }
        let before = segments(&world);
        kept.iter().for_each(|(path, bytes)| replace(&world, path, bytes));
        let restored = texts(&on(&world));
        assert_eq!(restored.len(), 12);
        let mut expected = restored;
        for n in 0..appended {
            let word = format!("a longer word so that segments begin elsewhere {n:02}").replace(' ', "-");
            append(writer, &[&word]);
            expected.push(word);
        }
        for ledger in [&old, &on(&world)] {
            let now_there = texts(ledger);
            assert_eq!(now_there, expected, "{appended} {idle}");
            assert!(matches!(now(ledger.verify()).unwrap(), Verdict::Sound { .. }));
        }
        if appended == 12 || (appended > 0 && !idle) {
            let aside = world.process().list(Path::new("/home/g/torn")).unwrap();
            let strays =
                before.iter().filter(|first| kept.iter().all(|(kept, _)| *kept != path(**first))).count();
            assert_eq!(aside.len(), strays, "{appended} {idle}: {aside:?}");
        }
    }
}

/// A copy is put back in place, what came after it is removed, and somebody writes on. Whoever had the files open
/// then has files open that are there no more, under the names of others.
#[test]
fn what_was_removed_by_a_restore_is_not_read_any_more() {
    let world = World::new(10);
    let old = filled(&world);
    let kept = copy(&world);
    let words = |name: &str| (0..12).map(|n| format!("{name}{n:02}")).collect::<Vec<_>>();
    for word in words("lost") {
        append(&old, &[&word]);
    }
    assert_eq!(texts(&old).len(), 24);
    let disk = world.process();
    for first in segments(&world) {
        if kept.iter().all(|(kept, _)| *kept != path(first)) {
            disk.remove(&path(first)).unwrap();
            let _ = disk.remove(&Layout::new(DIR.into()).offsets(first));
        }
    }
    kept.iter().for_each(|(path, bytes)| replace(&world, path, bytes));
    let other = on(&world);
    for word in words("came") {
        append(&other, &[&word]);
    }
    // One by one, and before anything else is asked.
    let read = |ledger: &FileLedger, seq| {
        let page = now(ledger.read(Seq(seq), ReadLimit::ONE)).unwrap();
        page.events().next().unwrap().unwrap().message().unwrap().text.clone()
    };
    for seq in (1..=24).rev() {
        assert_eq!(read(&old, seq), read(&other, seq), "event {seq}");
    }
}

#[test]
fn a_dry_run_waits_for_nobody() {
    let world = World::new(7);
    let ledger = filled(&world);
    spoil(&world, 2);
    let other = on(&world);
    let turn = now(ledger.turn()).unwrap();
    let report = now(other.repair(RepairOptions { cut: false, dry_run: true })).unwrap();
    assert_eq!(report.broken.len(), 1);
    drop(turn);
}

#[test]
fn a_repair_that_dies_at_any_call_is_done_by_the_next() {
    for power_cut in [false, true] {
        let mut done = false;
        let mut calls = 0;
        while !done {
            let world = World::new(calls);
            filled(&world);
            let stored = lines(&world);
            // After a power cut the head may be older, and nothing but it says that the last event was durable.
            let spoilt = if power_cut { [2, 4, 9] } else { [2, 4, 12] };
            for seq in spoilt {
                spoil(&world, seq);
            }
            let disk = world.process();
            let options = Options::default().segment_bytes(SEGMENT_BYTES);
            if let Ok(ledger) = FileLedger::open(Arc::new(disk.clone()), DIR, group(), options) {
                world.kill_after(&disk, calls);
                let _ = now(ledger.repair(RepairOptions::default()));
            }
            done = disk.stat(&Path::new(DIR).join("head")).is_ok();
            if power_cut {
                world.power_cut();
            }
            if !power_cut {
                assert_eq!(read_all(&on(&world)).len(), 12, "call {calls}");
            }
            let report = mend(&on(&world));
            assert_eq!(report.head.map(|head| head.seq), Some(Seq(12)), "call {calls}: {report:?}");
            let fresh = on(&world);
            assert_eq!(sound_gaps(&fresh), Some((12, 3)), "call {calls}");
            for (n, line) in lines(&world) {
                assert!(spoilt.contains(&n) || stored[&n].2 == line.2, "call {calls}: event {n}");
            }
            append(&fresh, &["on"]);
            calls += 1;
            assert!(calls < 1000, "it never came to its end");
        }
    }
}
