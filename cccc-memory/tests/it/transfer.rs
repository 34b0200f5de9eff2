//! Notes as lines of JSON.

use cccc_core::{ErrorKind, EventRef, block_on};
use cccc_memory::{Change, Draft, Memory, Query, Which};

use crate::support::{Place, add, found, tagged};

fn exported(memory: &Memory) -> String {
    let mut bytes = Vec::new();
    block_on(memory.export(&mut bytes)).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// A memory with a bit of everything.
fn filled(place: &Place) -> Memory {
    let [user, alice] = ["user", "alice"].map(|who| place.memory(who));
    let sent = block_on(place.user.send("8080").to("alice")).unwrap();
    let mut draft = tagged("The port is 8080", &["ports"]);
    draft.sources = vec![EventRef::from(sent.event_id)];
    add(&alice, draft);
    add(&alice, Draft::own("own \"quotes\" \u{1} und Umlaute"));
    add(&user, Draft::new("old"));
    let mut better = Draft::new("new");
    better.supersedes = vec!["n3".parse().unwrap()];
    add(&user, better);
    add(&user, Draft::new("wrong"));
    block_on(user.forget("n5".parse().unwrap(), None)).unwrap();
    user
}

#[test]
fn an_export_restores_what_was_lost() {
    let place = Place::new();
    let user = filled(&place);
    let text = exported(&user);
    assert_eq!(text.lines().count(), 7);
    let all = Query { which: Which::All, ..Query::default() };
    let before = block_on(user.list(&all)).unwrap();
    let again = block_on(user.import(text.as_bytes(), false)).unwrap();
    assert_eq!((again.notes, again.unchanged), (5, 5), "what is there stays");
    std::fs::remove_file(place.file()).unwrap();
    let done = block_on(user.import(text.as_bytes(), false)).unwrap();
    assert_eq!((done.notes, done.added, done.renumbered), (5, 5, 0));
    assert_eq!(block_on(user.list(&all)).unwrap(), before);
    assert_eq!(exported(&user), text);
    assert_eq!(found(&place.memory("alice"), "umlaute"), ["n2"]);
    assert!(found(&place.memory("bob"), "umlaute").is_empty());
}

#[test]
fn what_is_there_gives_way_only_to_its_later_self() {
    let place = Place::new();
    let user = filled(&place);
    let old = exported(&user);
    let mut change = Change::default();
    change.text = Some("newer".to_owned());
    block_on(user.edit("n4".parse().unwrap(), change)).unwrap();
    let new = exported(&user);
    let done = block_on(user.import(old.as_bytes(), false)).unwrap();
    assert_eq!((done.updated, done.unchanged), (0, 5));
    assert_eq!(found(&user, "newer"), ["n4"]);
    std::fs::remove_file(place.file()).unwrap();
    block_on(user.import(old.as_bytes(), false)).unwrap();
    let done = block_on(user.import(new.as_bytes(), false)).unwrap();
    assert_eq!((done.updated, done.unchanged), (1, 4));
    assert_eq!(found(&user, "newer"), ["n4"]);
    assert!(block_on(user.verify()).unwrap().ok);
}

#[test]
fn in_another_group_taken_ids_give_way() {
    let place = Place::new();
    let text = exported(&filled(&place));
    let elsewhere = Place::new();
    let user = elsewhere.memory("user");
    add(&user, Draft::new("mine"));
    elsewhere.later(5);
    add(&user, Draft::new("new"));
    let error = block_on(user.import(text.as_bytes(), false)).unwrap_err();
    let said = error.to_string();
    assert!(said.contains("line 2") && said.contains("without-sources"), "{said}");
    let done = block_on(user.import(text.as_bytes(), true)).unwrap();
    assert_eq!((done.notes, done.added, done.unchanged), (5, 4, 1));
    // What said the same as one that was there is that one, also for what gave way to it.
    let old = Query { which: Which::Superseded, ..Query::default() };
    let old = block_on(user.list(&old)).unwrap().notes;
    assert_eq!((old[0].text.as_str(), old[0].superseded_by), ("old", Some("n2".parse().unwrap())));
    assert!(found(&user, "8080").len() == 1 && found(&user, "mine").len() == 1);
    assert!(block_on(user.verify()).unwrap().ok);
}

#[test]
fn what_is_malformed_is_named_by_its_line_and_nothing_comes_of_it() {
    let place = Place::new();
    let text = exported(&filled(&place));
    let lines: Vec<&str> = text.lines().collect();
    let with = |number: usize, line: &str| {
        let mut lines = lines.clone();
        lines[number - 1] = line;
        lines.join("\n") + "\n"
    };
    let long = lines[1].replace("The port is 8080", &"x".repeat(9000));
    let huge = format!("{{\"note_id\":\"n1\",\"text\":\"{}\"}}", "x".repeat(1 << 20));
    let twice = lines[1].to_owned();
    let no_author = lines[1].replace("\"author\":\"alice\",", "");
    let nobody = lines[1].replace("\"author\":\"alice\"", "\"author\":\"Alice!\"");
    let unknown = lines[1].replace("\"version\"", "\"colour\":1,\"version\"");
    let other_source = lines[1].replace("\"by\":\"user\"", "\"by\":\"bob\"");
    let end = format!("{{\"end\":true,\"notes\":{}}}", 4);
    for (input, place, why) in [
        (String::new(), 1, "cut short"),
        ("{}\n".to_owned(), 1, "no line"),
        ("nothing\n".to_owned(), 1, "no JSON"),
        (with(1, lines[1]), 1, "begins"),
        (with(3, "{\"note_id\":"), 3, "no JSON"),
        (with(2, &long), 2, "8192"),
        (with(2, &huge), 2, "longer"),
        (with(3, &twice), 3, "line 2"),
        (with(2, &no_author), 2, "author"),
        (with(2, &nobody), 2, "Alice!"),
        (with(2, &unknown), 2, "colour"),
        (with(2, &other_source), 2, "bob"),
        (with(4, lines[0]), 4, "second"),
        (with(7, &end), 7, "4 notes"),
        (lines[..6].join("\n") + "\n", 7, "cut short"),
        (text[..text.len() / 2].to_owned(), 0, "cut short"),
        (text.clone() + "more\n", 7, "after the end"),
    ] {
        let elsewhere = Place::new();
        let sent = block_on(elsewhere.user.send("8080").to("alice"));
        drop(sent);
        let user = elsewhere.memory("user");
        // Another ledger, so sources are only looked at where they are what is wrong.
        let without = why != "bob";
        let user = if without { user } else { filled(&elsewhere) };
        let count = block_on(user.stats()).unwrap().current;
        let error = block_on(user.import(input.as_bytes(), without)).unwrap_err();
        assert_eq!(
            error.kind() == ErrorKind::NotFound
                || error.kind() == ErrorKind::Invalid
                || error.kind() == ErrorKind::TooLarge,
            true,
            "{error}"
        );
        let said = error.to_string();
        if place > 0 && why != "bob" {
            assert!(said.contains(&format!("line {place}:")) && said.contains(why), "{place} {why}: {said}");
        }
        assert_eq!(block_on(user.stats()).unwrap().current, count, "{why}");
    }
    let newer = with(1, "{\"cccc_memory\":2,\"group_id\":\"g1\"}");
    let error = block_on(place.memory("user").import(newer.as_bytes(), true)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}
