//! Redaction: what it reaches, whom it holds up, and what becomes of a note that leads nowhere.

use std::fs;
use std::path::Path;

use super::*;

/// A note of a redaction, as an interrupted one leaves it.
fn leave_note(dir: &Path, segment: u64, line: (u64, u64), data: (u64, u64), hash: [u8; 32]) {
    let mut bytes = b"CCCCredc".to_vec();
    for field in [segment, line.0, line.1, data.0, data.1] {
        bytes.extend_from_slice(&field.to_le_bytes());
    }
    bytes.extend_from_slice(&hash);
    let sum = blake3::hash(&bytes);
    bytes.extend_from_slice(&sum.as_bytes()[..16]);
    fs::write(dir.join("redacting"), bytes).unwrap();
}

fn hash_of(ledger: &FileLedger, seq: u64) -> [u8; 32] {
    let page = now(ledger.read(Seq(seq), ReadLimit::ONE)).unwrap();
    page.lines().next().unwrap().data_hash()
}

fn is_sound(ledger: &FileLedger) -> bool {
    matches!(now(ledger.verify()).unwrap(), Verdict::Sound { .. })
}

#[test]
fn a_note_that_leads_nowhere_is_set_aside_and_costs_no_event() {
    // In the middle of a line; beyond the file; in a segment that is not there.
    for (segment, at) in [(1, 17), (1, 1 << 30), (77, 0)] {
        let dir = tempfile::tempdir().unwrap();
        let ledger = create(dir.path());
        for n in 0..20 {
            append(&ledger, &[&format!("w{n}")]);
        }
        leave_note(dir.path(), segment, (at, 400), (200, 150), [7; 32]);
        fs::write(dir.path().join("tip"), b"torn").unwrap();
        append(&ledger, &["on"]);
        assert_eq!(texts(&ledger).len(), 21);
        assert!(!dir.path().join("redacting").exists());
        assert_eq!(torn(dir.path()).len(), 1, "the note is kept");
        let report = now(ledger.repair(RepairOptions { cut: true, dry_run: false })).unwrap();
        assert_eq!((report.damage, report.head.unwrap().seq), (None, Seq(21)));
        assert!(is_sound(&open(dir.path())));
    }
}

#[test]
fn a_note_of_an_event_that_was_replaced_leaves_the_one_that_stands_there_alone() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = create(dir.path());
    append(&ledger, &["one", "two", "three"]);
    let page = now(ledger.read(Seq(1), ReadLimit::CHUNK)).unwrap();
    let lines: Vec<_> = page.lines().collect();
    let (at, range) = (lines[0].bytes().len() as u64, lines[1].data_range());
    let data = (range.start as u64, range.len() as u64);
    leave_note(dir.path(), 1, (at, lines[1].bytes().len() as u64), data, [7; 32]);
    let ledger = open(dir.path());
    assert_eq!(texts(&ledger), ["one", "two", "three"]);
    assert!(!dir.path().join("redacting").exists());
    assert_eq!(torn(dir.path()).len(), 1);
    // With the hash of what stands there it is done, by whoever opens the ledger next.
    leave_note(dir.path(), 1, (at, lines[1].bytes().len() as u64), data, hash_of(&ledger, 2));
    assert_eq!(texts(&open(dir.path())), ["one", "(redacted)", "three"]);
    assert!(is_sound(&ledger));
}

#[test]
fn a_redaction_waits_for_no_turn_and_no_turn_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, other) = (create(dir.path()), open(dir.path()));
    append(&ledger, &["one", "two", "three"]);
    let hash = hash_of(&ledger, 2);
    let turn = now(other.turn()).unwrap();
    now(ledger.redact(Seq(2), hash)).unwrap();
    drop(turn);
    assert_eq!(texts(&other), ["one", "(redacted)", "three"]);
    let overwriting = Overwriting::take(&ledger.files().unwrap()).unwrap();
    append(&other, &["four"]);
    drop(overwriting);
    assert!(is_sound(&ledger));
}

#[test]
fn what_was_set_aside_of_a_redacted_event_goes_too() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = create(dir.path());
    append(&ledger, &["one", "swordfish", "three"]);
    let stored = fs::read(segment(dir.path(), 1)).unwrap();
    let lines: Vec<&[u8]> = stored.split_inclusive(|b| *b == b'\n').collect();
    fs::create_dir(dir.path().join("torn")).unwrap();
    let mut damaged = lines[1].to_vec();
    let at = damaged.windows(9).position(|w| w == b"swordfish").unwrap();
    damaged[at + 8] = b'!';
    let aside = [lines[0], lines[1], &damaged, lines[2]].concat();
    let path = dir.path().join("torn/2-1.bin");
    fs::write(&path, &aside).unwrap();
    let hash = hash_of(&ledger, 2);
    now(ledger.redact(Seq(2), hash)).unwrap();
    let left = fs::read(&path).unwrap();
    assert_eq!(left.len(), aside.len());
    assert!(!left.windows(8).any(|w| w == b"swordfis"), "{}", String::from_utf8_lossy(&left));
    assert!(left.starts_with(lines[0]) && left.ends_with(lines[2]), "others stay");
    // A copy that comes later goes when it is redacted again.
    fs::write(&path, lines[1]).unwrap();
    now(ledger.redact(Seq(2), hash)).unwrap();
    assert!(!fs::read(&path).unwrap().windows(9).any(|w| w == b"swordfish"));
}
