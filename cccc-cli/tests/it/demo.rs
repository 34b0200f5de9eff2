//! `cccc demo` on a small tree.

use serde_json::{Value, json};

use crate::support::Place;

/// Where the demo may put its home, so that what it leaves can be looked at.
fn demo(place: &Place, args: &[&str]) -> std::process::Output {
    let scratch = place.path().join("tmp");
    std::fs::create_dir_all(&scratch).unwrap();
    place.command(&[&["demo"], args].concat()).env("TMPDIR", scratch).output().unwrap()
}

fn left(place: &Place) -> usize {
    std::fs::read_dir(place.path().join("tmp")).unwrap().count()
}

#[test]
fn everything_claimed_is_checked() {
    let place = Place::bare();
    place.file("src/main.rs", "fn main() {\n    // TODO: more\n}\n");
    place.file("src/lib.rs", "// TODO\n");
    place.file("a name with spaces.md", "# Title\n\nText\n");
    place.file("no-newline.py", "pass  # TODO");
    place.file("target/debug/out.rs", "skipped\n");
    place.file("image.png", b"\x89PNG\0\0\n");
    let output = demo(&place, &["--json", "--rm"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["ok"], true, "{answer}");
    assert_eq!(answer["total"], json!({"files": 4, "lines": 7, "todos": 3}));
    assert_eq!(answer["counts"]["Rust"], json!({"files": 2, "lines": 4, "todos": 2}));
    let checks = answer["checks"].as_array().unwrap();
    assert_eq!(checks.len(), 9);
    assert!(checks.iter().all(|check| check["ok"] == true), "{checks:?}");
    assert_eq!(answer["receipts"].as_array().unwrap().len(), 3);
    assert_eq!(left(&place), 0, "--rm removes the home");
    assert!(!place.home().exists(), "the person's own home is not touched");
}

#[test]
fn the_conversation_is_shown_and_the_home_can_be_looked_at() {
    let place = Place::bare();
    place.file("a.rs", "one\ntwo\n");
    let output = demo(&place, &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&output.stderr));
    for words in
        ["user  -> lead", "lead  -> alice", "bob   -> lead", "was killed", "every task was delivered"]
    {
        assert!(text.contains(words), "{words:?} is missing in {text}");
    }
    let look = text.lines().find_map(|line| line.strip_prefix("look around: cccc ")).unwrap();
    let args: Vec<&str> = look.split(' ').collect();
    assert!(place.ok(&args).contains("-> user"));
}

#[test]
fn what_cannot_be_counted_is_an_error_at_once() {
    let place = Place::bare();
    let file = place.file("file.rs", "");
    for path in ["none", file.to_str().unwrap()] {
        let output = demo(&place, &[path, "--json"]);
        let error = crate::support::refusal(&output, &["demo", path]);
        assert!(error["message"].as_str().unwrap().contains(path), "{error}");
    }
    assert_eq!(left(&place), 0);
}

/// Exit code 0 claims that everything was checked and shown.
#[test]
fn a_demo_that_nobody_watches_is_no_success() {
    use std::io::Read;
    use std::process::Stdio;
    let place = Place::bare();
    place.file("a.rs", "one\n");
    let mut command = place.command(&["demo", "--rm"]);
    command.env("TMPDIR", place.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!((child.wait().unwrap().code(), errors.as_str()), (Some(1), ""));
}

#[test]
fn an_empty_directory_is_counted_too() {
    let place = Place::bare();
    let output = demo(&place, &["--json", "--rm"]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&answer["ok"], &answer["total"]["files"]), (&json!(true), &json!(0)), "{answer}");
}
