use super::*;
use crate::Group;
use crate::blocking::block_on;
use crate::error::ErrorKind;

/// Keeps what a bundle holds.
#[derive(Default)]
struct Kept {
    to: Option<&'static str>,
    lines: Vec<u8>,
    blobs: Vec<(String, Vec<u8>)>,
}

impl Contents for Kept {
    fn begin(&mut self, begin: &Begin) -> Result<GroupId> {
        self.to.map_or(Ok(begin.group_id.clone()), GroupId::new)
    }

    fn lines(&mut self, batch: Batch) -> Result<()> {
        self.lines.extend(batch.bytes);
        Ok(())
    }

    fn blob(&mut self, name: &str, content: &mut dyn Read) -> Result<String> {
        let blobs = crate::Blobs::in_memory();
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).map_err(|e| unreadable(name, &e))?;
        self.blobs.push((name.into(), bytes.clone()));
        block_on(blobs.put_bytes(name, bytes)).map(|attachment| attachment.sha256)
    }
}

/// A small group with two attachments, as a file; and its lines.
fn bundle() -> (Vec<u8>, Vec<u8>) {
    block_on(async {
        let group = Group::in_memory("small").await?;
        group.add_actor("lead").await?;
        for content in ["one", "two"] {
            let file = group.blobs().put_bytes("file.txt", content.as_bytes().to_vec()).await?;
            group.send("see").to("lead").attachment(file).await?;
        }
        let mut file = Vec::new();
        let now = crate::Timestamp::from_millis(1_800_000_000_000);
        super::super::write(group.ledger().as_ref(), group.blobs(), now, &mut file).await?;
        let lines = group.history().limit(100).await?.lines;
        let lines: String = lines.into_iter().map(|line| format!("{}\n", line.trim_end())).collect();
        Ok::<_, Error>((file, lines.into_bytes()))
    })
    .unwrap()
}

/// An entry of an archive: path, type, content.
type Entry = (Vec<u8>, tar::EntryType, Vec<u8>);

fn entries(file: &[u8]) -> Vec<Entry> {
    let mut archive = tar::Archive::new(file);
    let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (entry.path_bytes().into_owned(), entry.header().entry_type(), content)
    };
    archive.entries().unwrap().map(read).collect()
}

/// The archive of these entries, whatever their names are.
fn archive(entries: &[Entry]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, entry_type, content) in entries {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..path.len()].copy_from_slice(path);
        header.set_entry_type(*entry_type);
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        header.set_cksum();
        builder.append(&header, content.as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn read_into(file: &[u8], kept: &mut Kept) -> Result<Whole> {
    read(file, "x.tar", kept)
}

#[test]
fn what_was_written_is_read() {
    let (file, lines) = bundle();
    let mut kept = Kept::default();
    let whole = read_into(&file, &mut kept).unwrap();
    assert_eq!(kept.lines, lines);
    assert_eq!((whole.blobs, whole.missing_blobs, whole.head), (2, 0, whole.begin.head));
    let contents: BTreeSet<&[u8]> = kept.blobs.iter().map(|(_, bytes)| bytes.as_slice()).collect();
    assert_eq!(contents, BTreeSet::from([&b"one"[..], b"two"]));
    // What was taken apart and put together again is as good.
    let again = read_into(&archive(&entries(&file)), &mut Kept::default()).unwrap();
    assert_eq!(again.head, whole.head);
}

#[test]
fn under_another_id_everything_but_the_chain_is_the_same() {
    let (file, lines) = bundle();
    for to in ["g", "a-much-longer-id-than-any-that-is-made-here"] {
        let mut kept = Kept { to: Some(to), ..Kept::default() };
        let whole = read_into(&file, &mut kept).unwrap();
        let old = format!("\"group_id\":\"{}\"", whole.begin.group_id);
        let new = format!("\"group_id\":\"{to}\"");
        let without_chain = |lines: &[u8]| -> Vec<String> {
            let text = String::from_utf8(lines.to_vec()).unwrap();
            text.lines().map(|line| line.split(",\"chain\"").next().unwrap().replace(&old, &new)).collect()
        };
        assert_eq!(without_chain(&kept.lines), without_chain(&lines));
        let page =
            crate::ledger::Page::check(kept.lines, Position::start(&GroupId::new(to).unwrap())).unwrap();
        assert_eq!(page.lines().last().unwrap().chain().unwrap(), whole.head.chain);
    }
}

#[test]
fn what_does_not_belong_there_is_refused() {
    let (file, _) = bundle();
    let good = entries(&file);
    let plain = tar::EntryType::Regular;
    let added = |at: usize, path: &str, entry_type, content: &[u8]| {
        let mut entries = good.clone();
        entries.insert(at, (path.as_bytes().to_vec(), entry_type, content.to_vec()));
        entries
    };
    let without = |at: usize| {
        let mut entries = good.clone();
        entries.remove(at);
        entries
    };
    let swapped = |a, b| {
        let mut entries = good.clone();
        entries.swap(a, b);
        entries
    };
    let changed = |at: usize, from: &str, to: &str| {
        let mut entries = good.clone();
        let text = String::from_utf8(entries[at].2.clone()).unwrap();
        assert!(text.contains(from), "{text}");
        entries[at].2 = text.replace(from, to).into_bytes();
        entries
    };
    let blob = String::from_utf8(good[2].0.clone()).unwrap();
    let nobody = format!("blobs/{}", "0".repeat(64));
    use ErrorKind::{Corrupt, Invalid, TooLarge, Unsupported};
    for (what, entries, kind, word) in [
        ("a way out", added(2, "../evil", plain, b"x"), Invalid, "does not belong"),
        ("an absolute path", added(2, "/etc/passwd", plain, b"x"), Invalid, "does not belong"),
        ("a way out below", added(2, "blobs/../../x", plain, b"x"), Invalid, "does not belong"),
        ("a dotted name", added(2, &format!("./{blob}"), plain, b"one"), Invalid, "does not belong"),
        ("a lock", added(2, "lock", plain, b""), Invalid, "does not belong"),
        ("a symbolic link", added(2, &blob, tar::EntryType::Symlink, b""), Invalid, "plain files"),
        ("a hard link", added(2, &blob, tar::EntryType::Link, b""), Invalid, "plain files"),
        ("a directory", added(0, "ledger/", tar::EntryType::Directory, b""), Invalid, "plain files"),
        ("an extension", added(0, "x", tar::EntryType::XHeader, b"11 path=a\n"), Invalid, "plain files"),
        ("a long name", added(0, "x", tar::EntryType::GNULongName, b"aaaa"), Invalid, "plain files"),
        ("a sparse file", added(2, &blob, tar::EntryType::GNUSparse, b""), Invalid, "plain files"),
        ("a blob twice", added(3, &blob, plain, &good[2].2), Invalid, "twice"),
        ("blobs in disorder", swapped(2, 3), Invalid, "out of order"),
        ("a blob that nobody names", added(2, &nobody, plain, b""), Invalid, "no message names it"),
        ("a blob of other content", changed(2, "o", "x"), Corrupt, "digest"),
        ("a blob before the ledger", swapped(1, 2), Corrupt, "the ledger ends at 0"),
        (
            "the ledger twice",
            added(2, "ledger/00000000000000000001.jsonl", plain, &good[1].2),
            Invalid,
            "out of order",
        ),
        (
            "a piece too far on",
            added(2, "ledger/00000000000000000009.jsonl", plain, b""),
            Invalid,
            "out of order",
        ),
        ("a line with another word", changed(1, "\"see\"", "\"sea\""), Corrupt, "event 3 "),
        ("a line without its end", changed(1, "\"}\n", "\"}"), Corrupt, "no end"),
        ("another head", changed(0, "\"head\":\"4:", "\"head\":\"3:"), Corrupt, "the first entry says 3"),
        ("another group", changed(0, "group_id\":\"g", "group_id\":\"h"), Corrupt, "event 1 "),
        ("a newer format", changed(0, "\"cccc_group\":1", "\"cccc_group\":2"), Unsupported, "newer"),
        ("a beginning that says nothing", changed(0, "group_id", "gruop_id"), Invalid, "missing field"),
        ("an endless beginning", changed(0, "{", &format!("{{{}", " ".repeat(70_000))), TooLarge, "longer"),
        ("no beginning", without(0), Invalid, "first entry"),
        ("no ledger", without(1), Corrupt, "the ledger ends at 0"),
        ("no end", without(4), Invalid, "before its last entry"),
        ("a blob too few", without(3), Invalid, "before its last entry"),
        ("something after the end", added(5, "x", plain, b""), Invalid, "follows the last"),
        ("nothing", Vec::new(), Invalid, "before its last entry"),
    ] {
        let error = read_into(&archive(&entries), &mut Kept::default()).expect_err(what);
        assert!(error.kind() == kind && error.to_string().contains(word), "{what}: {error}");
    }
    let error = read_into(
        b"no archive at all, but long enough to be looked at".repeat(40).as_slice(),
        &mut Kept::default(),
    );
    assert_eq!(error.unwrap_err().kind(), Invalid);
}

#[test]
fn a_size_that_is_only_claimed_costs_nothing() {
    let (file, _) = bundle();
    let good = entries(&file);
    // The headers say petabytes; what follows is little.
    for at in [0, 1, 2] {
        let mut file = archive(&good[..at]);
        file.truncate(file.len() - 1024);
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..good[at].0.len()].copy_from_slice(&good[at].0);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(1 << 50);
        header.set_cksum();
        file.extend_from_slice(header.as_bytes());
        file.extend_from_slice(&good[at].2);
        let error = read_into(&file, &mut Kept::default()).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Corrupt), "{at}: {error}");
    }
}

/// What an entry's content takes in the file.
fn good_len(content: &[u8]) -> usize {
    content.len().next_multiple_of(512)
}

#[test]
fn a_file_that_was_cut_or_changed_anywhere_is_refused_or_the_same() {
    let (file, lines) = bundle();
    // All but the zeros at the end, which say only that it ends.
    let end = file.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    // From the first entry's end on it is known for one of these files.
    let begun = 512 + good_len(&entries(&file)[0].2);
    for len in (0..end).step_by(37) {
        let error = read_into(&file[..len], &mut Kept::default()).expect_err("it is cut");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{len} bytes: {error}");
        if len >= begun {
            assert!(error.to_string().contains("cut short on the way"), "{len} bytes: {error}");
        }
    }
    for at in (0..end).step_by(61) {
        for bit in [0x01, 0x20, 0x80] {
            let mut changed = file.clone();
            changed[at] ^= bit;
            let mut kept = Kept::default();
            if read_into(&changed, &mut kept).is_ok() {
                assert_eq!(kept.lines, lines, "byte {at}");
            }
        }
    }
}
