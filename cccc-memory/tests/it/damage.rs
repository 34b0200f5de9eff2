//! Files that are not what was written.

use std::fs;

use cccc_core::{ErrorKind, block_on};
use cccc_memory::{Draft, Query};

use crate::support::{Place, add, found};

fn filled() -> Place {
    let place = Place::new();
    let alice = place.memory("alice");
    for n in 0..60 {
        add(&alice, Draft::new(format!("note {n} {}", "words of it ".repeat(60))));
    }
    place
}

#[test]
fn a_damaged_file_is_named_with_what_to_do() {
    for (what, damage) in [
        ("empty", &(|_: &mut Vec<u8>| Vec::new()) as &dyn Fn(&mut Vec<u8>) -> Vec<u8>),
        ("text", &|_| b"this is no database, and long enough to be looked at as one".repeat(20)),
        ("torn", &|bytes| bytes[..bytes.len() / 2].to_vec()),
        ("overwritten", &|bytes| {
            let len = bytes.len();
            bytes[4096..len].fill(0xa5);
            bytes.clone()
        }),
    ] {
        let place = filled();
        let mut bytes = fs::read(place.file()).unwrap();
        fs::write(place.file(), damage(&mut bytes)).unwrap();
        let alice = place.memory("alice");
        let verdict = block_on(alice.verify()).unwrap();
        assert!(!verdict.ok && !verdict.problems.is_empty(), "{what}");
        assert!(verdict.hint.is_some_and(|hint| hint.contains("rebuild")), "{what}");
        let errors = [
            block_on(alice.search(&Query::text("words"))).err(),
            block_on(alice.list(&Query::new())).err(),
            block_on(alice.add(Draft::new("one more"))).err(),
        ];
        let error = errors.into_iter().flatten().next().unwrap();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
        assert!(error.to_string().contains(place.file().to_str().unwrap()), "{what}: {error}");
        assert!(error.hint_text().is_some_and(|hint| hint.contains("cccc memory verify")), "{what}");
    }
}

/// Every page of it in turn: whatever comes of it, it is an answer or an error, and a verdict.
#[test]
fn no_damage_makes_it_panic() {
    let place = filled();
    let whole = fs::read(place.file()).unwrap();
    let alice = place.memory("alice");
    for page in 0..whole.len() / 4096 {
        for offset in [0, 3, 8, 100, 2000, 4000] {
            let mut bytes = whole.clone();
            let at = page * 4096 + offset;
            bytes[at..at + 5].iter_mut().for_each(|byte| *byte ^= 0xff);
            fs::write(place.file(), &bytes).unwrap();
            let _ = block_on(alice.search(&Query::text("words note")));
            let _ = block_on(alice.list(&Query::new()));
            let _ = block_on(alice.verify());
            let _ = block_on(place.memory("user").export(Vec::new()));
        }
    }
}

#[test]
fn a_damaged_index_is_made_anew() {
    let place = filled();
    let alice = place.memory("alice");
    let raw = rusqlite::Connection::open(place.file()).unwrap();
    raw.execute_batch("DELETE FROM note_index_data WHERE id > 10; DELETE FROM note_index_idx").unwrap();
    raw.execute_batch("DELETE FROM note_index_content WHERE id = 7").unwrap();
    drop(raw);
    let verdict = block_on(alice.verify()).unwrap();
    assert!(!verdict.ok, "{verdict:?}");
    assert_eq!(block_on(alice.rebuild()).unwrap().notes, 60);
    assert!(block_on(alice.verify()).unwrap().ok);
    assert_eq!(found(&alice, "\"note 7\""), ["n8"]);
}

#[test]
fn a_text_that_was_changed_behind_its_back_is_noticed() {
    let place = filled();
    let alice = place.memory("alice");
    let raw = rusqlite::Connection::open(place.file()).unwrap();
    raw.execute_batch("UPDATE note SET text = 'something else' WHERE id = 3").unwrap();
    drop(raw);
    let verdict = block_on(alice.verify()).unwrap();
    assert!(verdict.problems.iter().any(|problem| problem.contains("n3")), "{verdict:?}");
}

#[test]
fn what_a_newer_version_wrote_is_left_alone() {
    let place = filled();
    let raw = rusqlite::Connection::open(place.file()).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    drop(raw);
    let before = fs::read(place.file()).unwrap();
    let alice = place.memory("alice");
    for error in [
        block_on(alice.list(&Query::new())).unwrap_err(),
        block_on(alice.add(Draft::new("x"))).unwrap_err(),
        block_on(alice.verify()).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(
            error.to_string().contains("99") && error.hint_text().unwrap().contains("upgrade"),
            "{error}"
        );
    }
    assert_eq!(fs::read(place.file()).unwrap(), before);
}

#[test]
fn another_database_is_not_taken_for_a_memory() {
    let place = Place::new();
    let raw = rusqlite::Connection::open(place.file()).unwrap();
    raw.execute_batch("CREATE TABLE note (id INTEGER); PRAGMA user_version = 1").unwrap();
    drop(raw);
    let error = block_on(place.memory("alice").add(Draft::new("x"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn who_waits_too_long_is_told() {
    let place = filled();
    let raw = rusqlite::Connection::open(place.file()).unwrap();
    raw.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let error = block_on(place.memory("alice").add(Draft::new("x"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.retry_after_duration().is_some(), "{error}");
    raw.execute_batch("COMMIT").unwrap();
    add(&place.memory("alice"), Draft::new("x"));
}
