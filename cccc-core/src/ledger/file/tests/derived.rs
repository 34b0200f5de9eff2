//! Offsets, index and checkpoints: derived, never trusted.

use std::fs;

use super::*;
use crate::index::TailIndex;

#[test]
fn garbage_offsets_change_nothing_but_the_time_it_takes() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = create(dir.path());
    let words: Vec<String> = (0..50).map(|n| format!("w{n}")).collect();
    for word in &words {
        append(&ledger, &[word]);
    }
    let path = Layout::new(dir.path().to_owned()).offsets(1);
    let good = fs::read(&path).unwrap();
    assert_eq!(good.len(), 200);
    let mut shifted = good.clone();
    shifted.rotate_left(4);
    for bad in [Vec::new(), vec![0; 200], vec![0xff; 200], vec![7; 3], shifted, good[..100].to_vec()] {
        for from in [1, 2, 17, 50] {
            fs::write(&path, &bad).unwrap();
            let ledger = open(dir.path());
            let page = now(ledger.read(Seq(from), ReadLimit { events: 3, bytes: 1 << 20 })).unwrap();
            let seqs: Vec<_> = page.lines().map(|line| line.seq().unwrap().0).collect();
            assert_eq!(seqs, (from..=50).take(3).collect::<Vec<_>>());
        }
        fs::write(&path, &bad).unwrap();
        assert_eq!(texts(&open(dir.path())), words);
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(now(open(dir.path()).read(Seq(30), ReadLimit::ONE)).unwrap().len(), 1);
    assert_eq!(fs::read(&path).unwrap(), good, "made anew by whoever missed it");
}

/// A ledger of several segments, and index entries of all its events.
fn indexed(dir: &std::path::Path) -> (FileLedger, TailIndex) {
    drop(create(dir));
    let options = Options::default().segment_bytes(20_000);
    let ledger = FileLedger::open(real(), dir, group(), options).unwrap();
    for n in 0..200_u64 {
        let turn = now(ledger.turn()).unwrap();
        let mut encoder = Encoder::new(group(), turn.tip(), turn.durable().seq);
        let by = ActorId::new(format!("a{}", n % 5)).unwrap().into();
        let mut message = message(&"some words ".repeat(10));
        message.client_id = (n % 3 == 0).then(|| format!("key-{}", n % 30));
        message.reply_to = (n > 10).then(|| EventId { seq: Seq(n / 2), nonce: Nonce::from_bits(n) });
        let ts = Timestamp::from_millis(1000);
        let stamp = Stamp { ts, by, via: None, scope_key: "".into() };
        let draft = Body::from(message).into();
        encoder.push(vec![draft], &stamp, || Nonce::from_bits(n)).unwrap();
        now(turn.append(&encoder.finish(), Durability::Durable)).unwrap();
    }
    let mut tail = TailIndex::default();
    for from in [1, 101] {
        let page = now(ledger.read(Seq(from), ReadLimit { events: 100, bytes: 1 << 20 })).unwrap();
        page.events().for_each(|event| tail.add(&event.unwrap()));
    }
    (ledger, tail)
}

fn lookups() -> Vec<Lookup> {
    let mut lookups = Vec::new();
    for seq in [1, 5, 50, 77, 100, 150] {
        lookups.push(Lookup::Target(Seq(seq)));
    }
    for n in [0, 3, 27, 5] {
        let by = ActorId::new(format!("a{}", n % 5)).unwrap().into();
        lookups.push(Lookup::Key(crate::event::key_hash(&by, &format!("key-{n}"))));
    }
    for name in ["a0", "a3", "bob", "nobody"] {
        for before in [1, 2, 60, 201, 1000] {
            let principal = ActorId::new(name).unwrap().into();
            lookups.push(Lookup::Involving { principal, before: Seq(before), limit: 7 });
        }
    }
    lookups
}

#[test]
fn the_index_answers_as_its_entries_would() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, tail) = indexed(dir.path());
    assert!(ledger.files().unwrap().reader.list().unwrap().len() > 3);
    let head = now(ledger.head()).unwrap();
    let mark = now(ledger.files().unwrap().fresh_head()).unwrap();
    for through in [3, 40, 41, 137, 200] {
        let through = ledger.files().unwrap().reader.position(&mark, Seq(through)).unwrap();
        assert_eq!(now(ledger.extend_index(&tail, through)).unwrap(), through.seq);
    }
    let wrong = Position { seq: Seq(200), chain: Default::default() };
    let mut other = tail.clone();
    other.trim(Seq(200));
    assert_eq!(now(ledger.extend_index(&other, head)).unwrap(), Seq(200), "what is there stays");
    assert_ne!(wrong, head);
    for lookup in lookups() {
        let found = now(open(dir.path()).find(lookup.clone())).unwrap();
        assert_eq!(found.covered, Seq(200));
        assert_eq!(found.seqs, tail.find(&lookup), "{lookup:?}");
    }
    let stats = now(ledger.stats()).unwrap();
    assert!(stats.derived_bytes * 100 <= stats.bytes * 15, "{stats:?}");
}

#[test]
fn a_tail_that_does_not_reach_back_is_completed_from_the_lines() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, tail) = indexed(dir.path());
    let head = now(ledger.head()).unwrap();
    let mut short = tail.clone();
    short.trim(Seq(150));
    assert_eq!(now(ledger.extend_index(&short, head)).unwrap(), Seq(200));
    for lookup in lookups() {
        assert_eq!(now(ledger.find(lookup.clone())).unwrap().seqs, tail.find(&lookup), "{lookup:?}");
    }
}

#[test]
fn a_garbage_index_file_ends_what_is_covered_and_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, tail) = indexed(dir.path());
    let head = now(ledger.head()).unwrap();
    now(ledger.extend_index(&tail, head)).unwrap();
    let segments = ledger.files().unwrap().reader.list().unwrap();
    let path = Layout::new(dir.path().to_owned()).index(segments[1]);
    let good = fs::read(&path).unwrap();
    for at in (0..good.len()).step_by(7) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        fs::remove_file(&path).unwrap();
        fs::write(&path, &bad).unwrap();
        for lookup in lookups() {
            let found = now(ledger.find(lookup.clone())).unwrap();
            let mut right = tail.find(&lookup);
            if let Lookup::Target(_) | Lookup::Key(_) = lookup {
                right.retain(|seq| *seq <= found.covered);
                assert_eq!(found.seqs, right, "byte {at}, {lookup:?}");
            }
            assert!(found.seqs.iter().all(|seq| *seq <= found.covered));
        }
    }
    fs::write(&path, b"garbage").unwrap();
    assert_eq!(now(ledger.find(Lookup::Target(Seq(1)))).unwrap().covered, Seq(segments[1] - 1));
    assert_eq!(now(ledger.extend_index(&TailIndex::default(), head)).unwrap(), Seq(200));
    assert_eq!(fs::read(&path).unwrap(), good);
}

#[test]
fn an_index_file_of_an_earlier_version_has_no_filter_and_answers_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, tail) = indexed(dir.path());
    let head = now(ledger.head()).unwrap();
    now(ledger.extend_index(&tail, head)).unwrap();
    let layout = Layout::new(dir.path().to_owned());
    for first in ledger.files().unwrap().reader.list().unwrap() {
        let mut bytes = fs::read(layout.index(first)).unwrap();
        let number = |bytes: &[u8]| usize::try_from(u64::from_le_bytes(bytes.try_into().unwrap())).unwrap();
        let (at, len) = (number(&bytes[8..16]), number(&bytes[16..24]));
        // What says where the filter is takes more bytes than that.
        bytes.truncate(at + len - 3);
        let sum = blake3::hash(&bytes[at..]);
        bytes[16..24].copy_from_slice(&(len as u64 - 3).to_le_bytes());
        bytes[24..40].copy_from_slice(&sum.as_bytes()[..16]);
        fs::remove_file(layout.index(first)).unwrap();
        fs::write(layout.index(first), bytes).unwrap();
    }
    for lookup in lookups() {
        let found = now(open(dir.path()).find(lookup.clone())).unwrap();
        assert_eq!((found.covered, found.seqs), (Seq(200), tail.find(&lookup)), "{lookup:?}");
    }
}

#[test]
fn the_newest_whole_checkpoint_of_this_history_is_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = create(dir.path());
    let ends = ["one", "two", "three"].map(|text| append(&ledger, &[text]));
    let save = |schema, position, bytes: &[u8]| {
        now(ledger.save_checkpoint(schema, Checkpoint { position, bytes: bytes.to_vec() })).unwrap();
    };
    let load = |schema| now(ledger.load_checkpoint(schema)).unwrap().map(|c| (c.position, c.bytes));
    assert_eq!(load(1), None);
    save(1, ends[0], b"old");
    save(1, ends[1], b"new");
    save(2, ends[2], b"other schema");
    assert_eq!(load(1), Some((ends[1], b"new".to_vec())));
    assert_eq!(load(2), Some((ends[2], b"other schema".to_vec())));
    // Garbage in the newer one: the older serves.
    let newer = ledger.files().unwrap().layout.checkpoint(1, 'b');
    let good = fs::read(&newer).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&newer, &bad).unwrap();
        assert_eq!(load(1), Some((ends[0], b"old".to_vec())), "byte {at}");
    }
    fs::write(&newer, &good[..good.len() - 1]).unwrap();
    assert_eq!(load(1), Some((ends[0], b"old".to_vec())));
    // Another history, and a place beyond the head.
    save(3, Position { seq: Seq(2), chain: ends[0].chain }, b"lies");
    save(4, Position { seq: Seq(9), chain: ends[0].chain }, b"lies");
    assert_eq!((load(3), load(4)), (None, None));
}

#[test]
fn a_checkpoint_of_another_history_displaces_none() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = create(dir.path());
    let ends = ["one", "two", "three"].map(|text| append(&ledger, &[text]));
    let save = |position, bytes: &[u8]| {
        now(ledger.save_checkpoint(1, Checkpoint { position, bytes: bytes.to_vec() })).unwrap();
    };
    save(ends[0], b"first");
    save(Position { seq: Seq(2), chain: ends[0].chain }, b"lies");
    save(Position { seq: Seq(9), chain: ends[0].chain }, b"lies");
    let newest = || now(ledger.checkpoint_place(1)).unwrap().unwrap().newest();
    assert_eq!(newest(), Some((ends[0], 5)));

    // What lies there of another history, however new it claims to be, is replaced first and keeps nobody from saving.
    let elsewhere = tempfile::tempdir().unwrap();
    let other = create(elsewhere.path());
    let far = (0..20).map(|n| append(&other, &[&format!("other {n}")])).max_by_key(|at| at.seq).unwrap();
    now(other.save_checkpoint(1, Checkpoint { position: far, bytes: b"far".to_vec() })).unwrap();
    fs::copy(
        other.files().unwrap().layout.checkpoint(1, 'a'),
        ledger.files().unwrap().layout.checkpoint(1, 'b'),
    )
    .unwrap();
    assert_eq!(newest(), Some((ends[0], 5)));
    save(ends[1], b"second");
    save(ends[2], b"third");
    assert_eq!(newest(), Some((ends[2], 5)));
    let loaded = now(ledger.load_checkpoint(1)).unwrap().unwrap();
    assert_eq!((loaded.position, loaded.bytes), (ends[2], b"third".to_vec()));
}

#[test]
fn a_place_for_a_checkpoint_is_one_processes_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, other) = (create(dir.path()), open(dir.path()));
    let place = now(ledger.checkpoint_place(1)).unwrap();
    assert!(place.is_some());
    assert!(now(other.checkpoint_place(1)).unwrap().is_none());
    drop(place);
    assert!(now(other.checkpoint_place(1)).unwrap().is_some());
}

#[test]
fn an_index_that_another_history_left_answers_nothing() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (ledger, tail) = indexed(here.path());
    let head = now(ledger.head()).unwrap();
    now(ledger.extend_index(&tail, head)).unwrap();
    let other = create(there.path());
    for n in 0..250 {
        append(&other, &[&format!("another {n}")]);
    }
    let left =
        |first| (ledger.files().unwrap().layout.index(first), other.files().unwrap().layout.index(first));
    let (from, to) = left(1);
    fs::copy(from, &to).unwrap();
    for lookup in lookups() {
        let found = now(other.find(lookup.clone())).unwrap();
        assert_eq!((found.covered, found.seqs), (Seq(0), Vec::new()), "{lookup:?}");
    }
    // It is made anew.
    let mut own = TailIndex::default();
    let mut next = Seq(1);
    loop {
        let page = now(other.read(next, ReadLimit::CHUNK)).unwrap();
        if page.is_empty() {
            break;
        }
        for event in page.events() {
            let event = event.unwrap();
            own.add(&event);
            next = event.seq.next();
        }
    }
    let head = now(other.head()).unwrap();
    assert_eq!(now(other.extend_index(&own, head)).unwrap(), head.seq);
    for lookup in lookups() {
        let found = now(other.find(lookup.clone())).unwrap();
        assert_eq!((found.covered, found.seqs), (head.seq, own.find(&lookup)), "{lookup:?}");
    }
}
