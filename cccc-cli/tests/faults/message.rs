//! Messages are sent and redacted.

use std::fs;

use serde_json::Value;

use crate::matrix::{Case, Ended};
use crate::place::Place;

/// Alice's messages of a text, each with its seq.
fn received(place: &Place, text: &str) -> Vec<Value> {
    let inbox = place.lines(&["--as", "alice", "inbox", "--peek"]);
    assert_eq!(inbox[0]["text"], "first", "the order: {inbox:?}");
    inbox
        .into_iter()
        .filter(|message| message["text"] == text)
        .map(|message| message["seq"].clone())
        .collect()
}

/// Somebody writes, so that what the last writer left is recovered.
fn go_on(place: &Place) {
    place.user(&["actor", "add", "witness"]);
}

/// Sent once if that was answered, not at all if it was refused; and sent again under the same key it is once.
fn once(place: &Place, send: &[&str], ended: &Ended) {
    go_on(place);
    let there = received(place, "hello");
    match ended.answer() {
        Some(answer) => assert_eq!(there, [answer["seq"].clone()]),
        None if ended.refused() => assert!(there.is_empty(), "refused, and there: {ended:?}"),
        None => assert!(there.len() <= 1, "{there:?}"),
    }
    let again = place.lines(send);
    assert_eq!(again[0]["duplicate"], !there.is_empty(), "{again:?}, {ended:?}");
    assert_eq!(received(place, "hello"), [again[0]["seq"].clone()]);
}

#[test]
fn send() {
    let place = Place::with_group();
    place.user(&["send", "first", "--to", "alice"]);
    let send = ["--as", "lead", "send", "hello", "--to", "alice", "--client-id", "k"];
    let command = || (place.command(&[&send[..], &["--json"]].concat()), vec![]);
    Case { name: "send", place: &place, command: &command, check: &|ended| once(&place, &send, ended) }.run();
}

#[test]
fn send_file() {
    let place = Place::with_group();
    place.user(&["send", "first", "--to", "alice"]);
    fs::write(place.project().join("plan.md"), "# Plan".repeat(1000)).unwrap();
    let send = ["--as", "lead", "send", "hello", "--to", "alice", "--client-id", "k", "--file", "plan.md"];
    let command = || (place.command(&[&send[..], &["--json"]].concat()), vec![]);
    Case {
        name: "send_file",
        place: &place,
        command: &command,
        check: &|ended| {
            once(&place, &send, ended);
            let seq = received(&place, "hello")[0].to_string();
            let shown = place.user(&["show", &seq]);
            let blobs: Vec<_> =
                fs::read_dir(place.home().join("groups").join(place.group_id()).join("blobs"))
                    .unwrap()
                    .map(|entry| fs::read(entry.unwrap().path()).unwrap())
                    .collect();
            assert!(blobs.contains(&"# Plan".repeat(1000).into_bytes()), "{shown}");
        },
    }
    .run();
}

#[test]
fn redact() {
    const SECRET: &str = "this-is-the-password-that-went-where-it-should-not";
    let place = Place::with_group();
    place.user(&["send", "first", "--to", "alice"]);
    fs::write(place.project().join("secret.txt"), format!("{SECRET} in a file")).unwrap();
    let sent = place.lines(&["--as", "lead", "send", SECRET, "--to", "alice", "--file", "secret.txt"]);
    let seq = sent[0]["seq"].to_string();
    place.user(&["send", "later", "--to", "alice"]);
    let command = || (place.command(&["--as", "user", "--json", "redact", &seq]), vec![]);
    Case {
        name: "redact",
        place: &place,
        command: &command,
        check: &|ended| {
            let left = || place.bytes().windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
            assert!(!ended.done || !left(), "redacted, and there");
            // It can be repeated until it is done.
            place.user(&["redact", &seq]);
            assert!(!left(), "redacted at the second try, and there");
            assert_eq!(received(&place, "later").len(), 1);
        },
    }
    .run();
}
