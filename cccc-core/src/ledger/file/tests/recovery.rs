//! What a dead writer, a lost page, or an editor left behind: torn or damaged.

use std::fs;
use std::path::Path;

use super::*;

fn append_bytes(path: &Path, bytes: &[u8]) {
    let mut all = fs::read(path).unwrap();
    all.extend_from_slice(bytes);
    fs::write(path, all).unwrap();
}

/// Flips a bit of the text of event `seq`, which is the `seq`-th line.
fn flip(path: &Path, seq: usize) -> u64 {
    let mut bytes = fs::read(path).unwrap();
    let start: usize = bytes.split_inclusive(|b| *b == b'\n').take(seq - 1).map(<[u8]>::len).sum();
    let text = bytes[start..].windows(8).position(|w| w == b"\"text\":\"").unwrap();
    bytes[start + text + 8] ^= 1;
    fs::write(path, bytes).unwrap();
    start as u64
}

fn lose_pages(dir: &Path) {
    for page in ["head", "tip"] {
        fs::write(dir.join(page), b"garbage").unwrap();
    }
}

fn buffered(ledger: &FileLedger, text: &str) {
    let turn = now(ledger.turn()).unwrap();
    let batch = batch_of(turn.tip(), turn.durable().seq, &[text]);
    now(turn.append(&batch, Durability::Buffered)).unwrap();
}

#[test]
fn a_whole_batch_of_a_writer_that_died_before_publishing_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = create(dir.path());
    let end = append(&ledger, &["one"]);
    append_bytes(&segment(dir.path(), 1), &batch_of(end, end.seq, &["two three"]).bytes);
    assert_eq!(texts(&ledger), ["one"], "what no page covers does not exist for readers");
    let before = now(open(dir.path()).turn()).unwrap();
    assert_eq!((before.tip().seq, before.durable().seq), (Seq(3), Seq(3)));
    drop(before);
    append(&ledger, &["four"]);
    assert_eq!(texts(&ledger), ["one", "two", "three", "four"]);
    assert!(torn(dir.path()).is_empty());
}

#[test]
fn a_torn_rest_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = create(dir.path());
    let end = append(&ledger, &["one"]);
    let whole = fs::read(segment(dir.path(), 1)).unwrap();
    let half = batch_of(end, end.seq, &["two three"]).bytes;
    let cuts = [1, half.len() / 3, half.len() / 2 + 30, half.len() - 1];
    for (n, cut) in cuts.iter().enumerate() {
        append_bytes(&segment(dir.path(), 1), &half[..*cut]);
        drop(now(ledger.turn()).unwrap());
        assert_eq!(fs::read(segment(dir.path(), 1)).unwrap(), whole);
        let torn = torn(dir.path());
        assert_eq!(torn.len(), n + 1);
        assert!(torn.contains(&half[..*cut].to_vec()));
    }
    assert!(matches!(now(ledger.verify()).unwrap(), Verdict::Sound { head, .. } if head == end));
}

/// A line as a version might write it that knows another way of naming who did it.
fn by_somebody_unknown(line: &[u8], previous: Position) -> Vec<u8> {
    let text = std::str::from_utf8(line).unwrap().replace(r#""by":"alice""#, r#""by":"team:red/7""#);
    let (before, rest) = text.split_once(",\"data\":").unwrap();
    let (data, _) = rest.rsplit_once(",\"chain\":").unwrap();
    let mut hasher = blake3::Hasher::new();
    hasher.update(&previous.chain.0).update(before.as_bytes());
    hasher.update(blake3::hash(data.as_bytes()).as_bytes());
    let chain = crate::ledger::Chain(hasher.finalize().as_bytes()[..10].try_into().unwrap());
    format!("{before},\"data\":{data},\"chain\":\"{chain}\"}}\n").into_bytes()
}

#[test]
fn who_did_it_may_be_named_in_a_way_of_a_later_version() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = create(dir.path());
    let end = append(&ledger, &["one"]);
    drop(ledger);
    let line = by_somebody_unknown(&batch_of(end, end.seq, &["two"]).bytes, end);
    append_bytes(&segment(dir.path(), 1), &line);
    lose_pages(dir.path());
    let ledger = open(dir.path());
    let turn = now(ledger.turn()).unwrap();
    assert_eq!((turn.tip().seq, torn(dir.path()).len()), (Seq(2), 0), "it is no torn rest");
    drop(turn);
    assert!(matches!(now(ledger.verify()).unwrap(), Verdict::Sound { head, .. } if head.seq == Seq(2)));
    let page = now(ledger.read(Seq(2), ReadLimit::ONE)).unwrap();
    let error = page.events().next().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

#[test]
fn lost_pages_are_made_anew_from_the_segments() {
    let dir = tempfile::tempdir().unwrap();
    drop(create(dir.path()));
    let options = Options::default().segment_bytes(600);
    let ledger = FileLedger::open(real(), dir.path(), group(), options).unwrap();
    for n in 0..10 {
        append(&ledger, &[&format!("w{n}")]);
    }
    let head = now(ledger.head()).unwrap();
    let epoch = now(ledger.turn()).unwrap().epoch();
    lose_pages(dir.path());
    let fresh = open(dir.path());
    assert_eq!(now(fresh.head()).unwrap(), head);
    assert_eq!(texts(&fresh).len(), 10);
    // A handle that was open meanwhile learns that what it knew of the tip may be void.
    assert_ne!(now(ledger.turn()).unwrap().epoch(), epoch);
}

#[test]
fn damage_before_the_head_is_named_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = create(dir.path());
    append(&ledger, &["one", "two", "three"]);
    let offset = flip(&segment(dir.path(), 1), 2);
    let ledgers = [ledger, open(dir.path())];
    for ledger in &ledgers {
        let error = now(ledger.read(Seq(1), ReadLimit::CHUNK)).unwrap_err();
        let damage = error.damage().unwrap();
        assert_eq!((damage.seq, damage.offset), (Seq(2), offset));
        assert_eq!(damage.file, segment(dir.path(), 1).display().to_string());
        let Verdict::Damaged(found) = now(ledger.verify()).unwrap() else { panic!("not noticed") };
        assert_eq!(&found, damage);
        assert_eq!(now(ledger.read(Seq(3), ReadLimit::ONE)).unwrap().len(), 1, "what is sound can be read");
    }
}

#[test]
fn with_the_pages_lost_an_acknowledged_event_is_still_told_from_a_torn_one() {
    for acknowledged in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let ledger = create(dir.path());
        append(&ledger, &["one"]);
        for text in ["two", "three", "four"] {
            if acknowledged {
                append(&ledger, &[text]);
            } else {
                buffered(&ledger, text);
            }
        }
        drop(ledger);
        flip(&segment(dir.path(), 1), 2);
        lose_pages(dir.path());
        let before = fs::read(segment(dir.path(), 1)).unwrap();
        let ledger = open(dir.path());
        if acknowledged {
            assert_eq!(now(ledger.head()).unwrap_err().damage().unwrap().seq, Seq(2));
            assert!(
                matches!(now(ledger.verify()).unwrap(), Verdict::Damaged(damage) if damage.seq == Seq(2))
            );
            assert_eq!(fs::read(segment(dir.path(), 1)).unwrap(), before, "nothing was touched");
        } else {
            assert_eq!(texts(&ledger), ["one"]);
            let torn = torn(dir.path());
            assert_eq!(torn.len(), 1);
            assert!(before.ends_with(&torn[0]));
        }
    }
}

#[test]
fn a_file_that_lost_durable_events_is_damaged_and_is_not_written_to() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = create(dir.path());
    append(&ledger, &["one", "two", "three"]);
    let path = segment(dir.path(), 1);
    let bytes = fs::read(&path).unwrap();
    let two = bytes.split_inclusive(|b| *b == b'\n').take(2).map(<[u8]>::len).sum::<usize>();
    fs::write(&path, &bytes[..two]).unwrap();
    let error = now(ledger.turn()).err().unwrap();
    assert_eq!(error.damage().unwrap().seq, Seq(3));
    assert!(matches!(now(ledger.verify()).unwrap(), Verdict::Damaged(damage) if damage.seq == Seq(3)));
    assert_eq!(fs::read(&path).unwrap().len(), two);
}

#[test]
fn an_edit_in_place_that_moves_the_end_is_damage_at_the_line_that_was_edited() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = create(dir.path());
    append(&ledger, &["one", "two", "three"]);
    let path = segment(dir.path(), 1);
    let edited = String::from_utf8(fs::read(&path).unwrap()).unwrap().replace("\"two\"", "\"two and more\"");
    fs::write(&path, &edited).unwrap();
    let error = now(ledger.turn()).err().unwrap();
    assert_eq!(error.damage().unwrap().seq, Seq(2));
    assert_eq!(fs::read_to_string(&path).unwrap(), edited);
    assert!(torn(dir.path()).is_empty());
}

#[test]
fn what_took_a_files_place_is_opened_anew_before_anything_is_written() {
    for name in ["head", "tip", "lock", "ledger/00000000000000000001.jsonl"] {
        let dir = tempfile::tempdir().unwrap();
        let ledger = create(dir.path());
        append(&ledger, &["one"]);
        let path = dir.path().join(name);
        fs::copy(&path, dir.path().join("copy")).unwrap();
        fs::rename(dir.path().join("copy"), &path).unwrap();
        assert_eq!(append(&ledger, &["two"]).seq, Seq(2));
        assert_eq!(ledger.replacements(), 1, "{name}");
        assert_eq!(append(&open(dir.path()), &["three"]).seq, Seq(3));
        assert_eq!(texts(&ledger), ["one", "two", "three"], "{name}");
    }
}

#[test]
fn a_missing_segment_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    drop(create(dir.path()));
    let options = Options::default().segment_bytes(1);
    let ledger = FileLedger::open(real(), dir.path(), group(), options).unwrap();
    for text in ["one", "two", "three"] {
        append(&ledger, &[text]);
    }
    fs::remove_file(segment(dir.path(), 2)).unwrap();
    let fresh = open(dir.path());
    let Verdict::Damaged(damage) = now(fresh.verify()).unwrap() else { panic!("not noticed") };
    assert_eq!((damage.seq, damage.file), (Seq(2), segment(dir.path(), 2).display().to_string()));
    assert_eq!(now(fresh.read(Seq(2), ReadLimit::ONE)).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn a_cut_sets_aside_everything_from_the_damaged_command_on() {
    let dir = tempfile::tempdir().unwrap();
    drop(create(dir.path()));
    let options = Options::default().segment_bytes(1000);
    let ledger = FileLedger::open(real(), dir.path(), group(), options).unwrap();
    append(&ledger, &["one"]);
    append(&ledger, &["two three"]);
    append(&ledger, &["four"]);
    append(&ledger, &["five"]);
    assert!(ledger.files().unwrap().reader.list().unwrap().len() > 1);
    flip(&segment(dir.path(), 1), 3);
    let dry = now(ledger.repair(RepairOptions { cut: true, dry_run: true })).unwrap();
    assert_eq!(dry.damage.as_ref().unwrap().seq, Seq(3));
    assert!(dry.set_aside.is_empty());
    assert_eq!(now(ledger.head()).unwrap().seq, Seq(5), "a dry run cuts nothing");
    let report = now(ledger.repair(RepairOptions { cut: true, dry_run: false })).unwrap();
    assert_eq!(report.head.unwrap().seq, Seq(1));
    assert_eq!(report.set_aside.len(), 2);
    let fresh = open(dir.path());
    assert_eq!(texts(&fresh), ["one"]);
    append(&fresh, &["six"]);
    assert!(matches!(now(fresh.verify()).unwrap(), Verdict::Sound { head, .. } if head.seq == Seq(2)));
}
