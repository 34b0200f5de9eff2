//! Appending, reading, waiting, sealing.

use super::*;

#[test]
fn what_was_appended_is_read_again_by_another_handle() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = create(dir.path());
    assert_eq!(now(ledger.head()).unwrap(), Position::start(&group()));
    append(&ledger, &["one", "two three"]);
    let end = append(&ledger, &["four"]);
    let other = open(dir.path());
    assert_eq!(now(other.head()).unwrap(), end);
    assert_eq!(texts(&other), ["one", "two", "three", "four"]);
    let page = now(other.read(Seq(2), ReadLimit { events: 2, bytes: 1 << 20 })).unwrap();
    let seqs: Vec<_> = page.lines().map(|line| line.seq().unwrap().0).collect();
    assert_eq!(seqs, [2, 3]);
    assert!(now(other.read(Seq(5), ReadLimit::ONE)).unwrap().is_empty());
    assert!(matches!(now(other.verify()).unwrap(), Verdict::Sound { head, .. } if head == end));
}

#[test]
fn creating_what_is_there_only_opens_it() {
    let dir = tempfile::tempdir().unwrap();
    append(&create(dir.path()), &["one"]);
    let again = create(dir.path());
    assert_eq!(texts(&again), ["one"]);
    let nowhere = FileLedger::open(real(), dir.path().join("x"), group(), Options::default());
    assert_eq!(nowhere.unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_batch_for_another_tip_is_a_conflict_unless_it_stands_there() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = create(dir.path());
    let start = now(ledger.head()).unwrap();
    append(&ledger, &["one two"]);
    let try_batch = |texts: &[&str]| {
        let turn = now(ledger.turn()).unwrap();
        now(turn.append(&batch_of(start, Seq(0), texts), Durability::Durable))
    };
    assert_eq!(try_batch(&["one two"]).unwrap(), Appended::Already);
    assert_eq!(try_batch(&["somebody else"]).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(texts(&ledger), ["one", "two"]);
}

#[test]
fn buffered_events_are_seen_once_a_sync_covers_them() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = create(dir.path());
    let turn = now(ledger.turn()).unwrap();
    let batch = batch_of(turn.tip(), turn.durable().seq, &["later"]);
    assert_eq!(now(turn.append(&batch, Durability::Buffered)).unwrap(), Appended::New);
    assert!(texts(&ledger).is_empty());
    let mut turn = now(ledger.turn()).unwrap();
    assert_eq!((turn.tip().seq, turn.durable().seq), (Seq(1), Seq(0)));
    assert_eq!(now(turn.read(Seq(1), ReadLimit::ONE)).unwrap().len(), 1);
    let nothing = batch_of(turn.tip(), turn.durable().seq, &[]);
    now(turn.append(&nothing, Durability::Durable)).unwrap();
    assert_eq!(texts(&ledger), ["later"]);
}

#[test]
fn segments_follow_one_another_and_read_as_one() {
    let dir = tempfile::tempdir().unwrap();
    drop(create(dir.path()));
    let options = Options::default().segment_bytes(600);
    let ledger = FileLedger::open(real(), dir.path(), group(), options).unwrap();
    let other = FileLedger::open(real(), dir.path(), group(), options).unwrap();
    let words: Vec<String> = (0..40).map(|n| format!("w{n}")).collect();
    for (n, word) in words.iter().enumerate() {
        append(if n % 3 == 0 { &other } else { &ledger }, &[word]);
    }
    assert!(ledger.files().unwrap().reader.list().unwrap().len() > 5);
    assert_eq!(texts(&ledger), words);
    let limit = ReadLimit { events: 7, bytes: 1 << 20 };
    for from in 1..=40 {
        let page = now(other.read(Seq(from), limit)).unwrap();
        let seqs: Vec<_> = page.lines().map(|line| line.seq().unwrap().0).collect();
        assert_eq!(seqs, (from..=40).take(7).collect::<Vec<_>>());
    }
    let fresh = open(dir.path());
    assert_eq!(texts(&fresh), words);
    assert!(matches!(now(fresh.verify()).unwrap(), Verdict::Sound { head, .. } if head.seq == Seq(40)));
}

#[test]
fn whoever_waits_is_woken_by_another_handle() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = create(dir.path());
    let other = open(dir.path());
    let waiting = std::thread::spawn(move || {
        now(async move {
            tokio::time::timeout(Duration::from_secs(20), other.wait(Seq(1))).await.unwrap().unwrap()
        })
    });
    append(&ledger, &["one"]);
    let end = append(&ledger, &["two"]);
    assert_eq!(waiting.join().unwrap(), end);
}
