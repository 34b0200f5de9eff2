//! Files that are another group's, or not all there.

use super::*;

#[test]
fn the_files_of_another_group_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    append(&create(dir.path()), &["one"]);
    let before = std::fs::read(segment(dir.path(), 1)).unwrap();
    let other = GroupId::new("g-test.bak").unwrap();
    let error = FileLedger::open(real(), dir.path(), other, Options::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("are those of group g-test"), "{error}");
    assert_eq!(std::fs::read(segment(dir.path(), 1)).unwrap(), before);
    // A name alone proves nothing: this is a damaged line of this group.
    let garbled = String::from_utf8(before).unwrap().replace("\"g-test\"", "\"g-best\"");
    std::fs::write(segment(dir.path(), 1), garbled).unwrap();
    let verdict = now(open(dir.path()).verify()).unwrap();
    assert!(matches!(verdict, Verdict::Damaged(damage) if damage.seq == Seq(1)));
}

#[test]
fn what_is_there_is_read_and_what_is_missing_has_the_name_it_should_have() {
    for missing in 0..4 {
        let dir = tempfile::tempdir().unwrap();
        let options = Options::default().segment_bytes(1);
        let ledger = FileLedger::create(real(), dir.path(), group(), options).unwrap();
        // Two events a segment.
        for words in ["one two", "three four", "five six", "seven eight"] {
            append(&ledger, &[words]);
        }
        drop(ledger);
        let gone = segment(dir.path(), missing * 2 + 1);
        std::fs::remove_file(&gone).unwrap();
        let ledger = open(dir.path());
        for seq in 1..=8 {
            let read = now(ledger.read(Seq(seq), ReadLimit::ONE));
            // What comes right after it cannot be checked, as nothing says what it follows.
            let is_lost = (seq - 1) / 2 == missing;
            let follows = (seq - 1) / 2 == missing + 1;
            match read {
                Ok(page) => assert!(!is_lost && page.len() == 1, "{seq} without {gone:?}"),
                Err(error) => {
                    assert!(is_lost || follows, "{seq} without {gone:?}: {error}");
                    let file = error.damage().unwrap().file.clone();
                    assert_eq!(std::path::Path::new(&file).file_name(), gone.file_name(), "{seq}: {error}");
                }
            }
        }
    }
}

#[test]
fn a_damaged_ledger_is_repaired_where_the_head_is_missing() {
    for (cut, also_tip) in [(false, false), (false, true), (true, false), (true, true)] {
        let dir = tempfile::tempdir().unwrap();
        let ledger = create(dir.path());
        for word in ["one", "two", "three"] {
            append(&ledger, &[word]);
        }
        drop(ledger);
        let stored = std::fs::read_to_string(segment(dir.path(), 1)).unwrap();
        std::fs::write(segment(dir.path(), 1), stored.replace("\"two\"", "\"TWO\"")).unwrap();
        std::fs::remove_file(dir.path().join("head")).unwrap();
        if also_tip {
            std::fs::remove_file(dir.path().join("tip")).unwrap();
        }
        let options = RepairOptions { cut, ..RepairOptions::default() };
        let report = now(open(dir.path()).repair(options)).unwrap();
        let end = if cut { 1 } else { 3 };
        assert_eq!(report.head.map(|head| head.seq), Some(Seq(end)), "{report:?}");
        assert!(
            matches!(now(open(dir.path()).verify()).unwrap(), Verdict::Sound { head, .. } if head.seq == Seq(end))
        );
    }
}
