//! Files that are damaged under an open handle, which then goes on writing.

use std::path::Path;

use super::*;

/// Three events, whose segment has become `damage(its bytes)`, under a handle that wrote them.
fn stage(damage: &dyn Fn(Vec<u8>) -> Vec<u8>) -> (tempfile::TempDir, FileLedger) {
    let dir = tempfile::tempdir().unwrap();
    let ledger = create(dir.path());
    for word in ["one", "two", "three"] {
        append(&ledger, &[word]);
    }
    let path = segment(dir.path(), 1);
    let bytes = damage(std::fs::read(&path).unwrap());
    overwrite(&path, &bytes);
    (dir, ledger)
}

/// The same file with other bytes.
fn overwrite(path: &Path, bytes: &[u8]) {
    let file = RealDisk::new().open(path, OpenMode::Write).unwrap();
    file.truncate(bytes.len() as u64).unwrap();
    file.write_at(bytes, 0).unwrap();
}

/// What every event says or is.
fn said(ledger: &FileLedger) -> Vec<String> {
    let page = now(ledger.read(Seq(1), ReadLimit::CHUNK)).unwrap();
    let said = page.events().map(Result::unwrap);
    said.map(|event| event.message().map_or_else(|| "(gap)".into(), |message| message.text.clone())).collect()
}

#[test]
fn nothing_is_written_after_an_end_that_is_damaged() {
    let flipped = |back: usize| {
        move |mut bytes: Vec<u8>| {
            let at = bytes.len() - back;
            bytes[at] ^= 1;
            bytes
        }
    };
    let cut = |back: usize| move |bytes: Vec<u8>| bytes[..bytes.len() - back].to_vec();
    let zeroed = |mut bytes: Vec<u8>| {
        let at = bytes.len() - 100;
        bytes[at..].fill(0);
        bytes
    };
    type Damage<'a> = (&'a str, &'a dyn Fn(Vec<u8>) -> Vec<u8>);
    let cases: [Damage<'_>; 7] = [
        ("the newline", &flipped(1)),
        ("the chain", &flipped(8)),
        ("the member before it", &flipped(26)),
        ("a byte short", &cut(1)),
        ("half a line short", &cut(150)),
        ("zeros at the end", &zeroed),
        ("empty", &|_| Vec::new()),
    ];
    for (name, damage) in cases {
        let (dir, ledger) = stage(damage);
        for one in [&ledger, &open(dir.path())] {
            let error = now(one.turn()).err().unwrap_or_else(|| panic!("{name}: it may write"));
            assert!(error.damage().is_some_and(|damage| damage.seq <= Seq(3)), "{name}: {error}");
        }
        assert!(torn(dir.path()).is_empty(), "{name}: nothing is taken out");
        assert!(matches!(now(ledger.verify()).unwrap(), Verdict::Damaged(_)), "{name}");
        // Where nothing is left, nothing but a cut is of use.
        let cut = name == "empty";
        let repair = |cut| now(open(dir.path()).repair(RepairOptions { cut, ..RepairOptions::default() }));
        let refused = repair(false).err().map(|error| error.kind());
        assert_eq!(refused, cut.then_some(ErrorKind::Refused), "{name}");
        assert!(!cut || repair(cut).unwrap().head.is_some_and(|head| head.seq == Seq(0)), "{name}");
        append(&ledger, &["four"]);
        let said = said(&open(dir.path()));
        let events = if cut { 1 } else { 4 };
        assert_eq!((said.len(), said[events - 1].as_str()), (events, "four"), "{name}: {said:?}");
    }
}

/// What lies before the end is not read again for every write. It is named by whoever reads it, and what was written
/// after it can be read.
#[test]
fn what_is_written_after_damage_further_back_can_be_read() {
    let (dir, ledger) = stage(&|bytes| {
        let text = String::from_utf8(bytes).unwrap();
        text.replace("\"three\"", "\"THREE\"").into_bytes()
    });
    append(&ledger, &["four"]);
    for one in [&ledger, &open(dir.path())] {
        let page = now(one.read(Seq(4), ReadLimit::ONE)).unwrap();
        assert_eq!(page.events().next().unwrap().unwrap().message().unwrap().text, "four");
        let error = now(one.read(Seq(3), ReadLimit::ONE)).unwrap_err();
        assert_eq!(error.damage().map(|damage| damage.seq), Some(Seq(3)), "{error}");
    }
    now(ledger.repair(RepairOptions::default())).unwrap();
    assert_eq!(said(&open(dir.path())), ["one", "two", "(gap)", "four"]);
}
