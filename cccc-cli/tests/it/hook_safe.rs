//! What a hook does when something goes wrong: never anything to the agent, and never the same message twice.
#![cfg(target_os = "linux")]

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::hook::{delivery, hook, joined, messages, prompt, send, start, stop, text, told};
use crate::support::Place;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

fn troubles(place: &Place) -> Vec<Value> {
    place.lines(&["hook", "--troubles"])
}

fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < PATIENCE, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn whatever_is_wrong_the_agent_goes_on() {
    let bare = Place::bare();
    assert_eq!(start(&bare), None, "no home");
    assert!(!bare.home().exists(), "and none is made");
    let place = Place::with_actors();
    start(&place);
    let deep = "[".repeat(100_000);
    let huge = format!("{{\"session_id\":\"c1\",\"tool_response\":\"{}\"}}", "x".repeat(17 << 20));
    for input in
        ["", "{", "null", "[]", "7", "\u{0}", deep.as_str(), huge.as_str(), "{\"cwd\":\"/nowhere/at/all\"}"]
    {
        for event in ["prompt", "tool", "stop", "before-tool", "start", "end"] {
            let output =
                place.fed(&["hook", event, "--runtime", "x", "--strict", "--guard"], input.as_bytes());
            assert_eq!(output.status.code(), Some(0));
            assert!(output.stderr.is_empty());
            // Without an id and a directory it is a new session in this directory.
            assert!(
                output.stdout.is_empty() || (event == "start" && input.is_empty()),
                "{event} {input:.20}"
            );
        }
    }
    let kinds: std::collections::BTreeSet<String> =
        troubles(&place).iter().map(|one| one["kind"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["invalid", "not_found", "too_large"]);
    let mode = std::fs::metadata(place.home().join("hooks.log")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn arguments_that_are_none_keep_no_tool_from_being_used() {
    let place = Place::with_actors();
    for args in [
        vec!["hook", "sometime"],
        vec!["hook", "stop", "--form", "none"],
        vec!["hook", "stop", "--what"],
        vec!["hook"],
    ] {
        let output = place.fed(&args, b"{}");
        assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(0), true), "{args:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.starts_with("error: ") && said.contains("`cccc hook --help`"), "{args:?}: {said}");
        let is_other = args.get(1) == Some(&"sometime");
        assert_eq!(said.contains("before-tool"), is_other, "{args:?}: {said}");
    }
    assert_eq!(troubles(&place).len(), 4);
}

#[test]
fn a_damaged_ledger_is_silence_and_a_trouble() {
    let place = Place::with_actors();
    start(&place);
    let me = joined(&place);
    send(&place, "lead", &me, "look", &["--attention"]);
    let group = std::fs::read_dir(place.home().join("groups")).unwrap().next().unwrap().unwrap().path();
    for file in std::fs::read_dir(group.join("ledger")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "jsonl") {
            let mut bytes = std::fs::read(&path).unwrap();
            for byte in bytes.iter_mut().skip(40).step_by(50) {
                *byte = b'~';
            }
            std::fs::write(&path, bytes).unwrap();
        }
    }
    for file in std::fs::read_dir(&group).unwrap() {
        let path = file.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("checkpoint") {
            std::fs::remove_file(path).unwrap();
        }
    }
    assert_eq!((prompt(&place), stop(&place, false)), (None, None));
    let kinds: Vec<Value> = troubles(&place).iter().map(|one| one["kind"].clone()).collect();
    assert_eq!(kinds, ["corrupt", "corrupt"]);
}

#[test]
fn an_agent_that_never_stops_writing_is_given_up() {
    let place = Place::with_actors();
    start(&place);
    send(&place, "lead", &joined(&place), "look", &[]);
    let mut command = place.command(&["hook", "prompt", "--runtime", "claude"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let stdin = child.stdin.take().unwrap();
    let started = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stdout.is_empty());
    assert!(started.elapsed() < Duration::from_secs(10));
    drop(stdin);
    assert!(troubles(&place)[0]["message"].as_str().unwrap().contains("longer than 2 s"));
    assert_eq!(messages(&text(prompt(&place))), ["look"]);
}

#[test]
fn hooks_at_the_same_time_hand_a_message_over_once() {
    let place = Place::with_actors();
    start(&place);
    let me = joined(&place);
    for n in 0..5 {
        send(&place, "lead", &me, &format!("m{n}"), &["--attention"]);
    }
    let told = told(&place, "PostToolUse", &json!({"tool_name": "Bash"}));
    let children: Vec<_> = (0..12)
        .map(|_| {
            let mut command = place.command(&["hook", "tool", "--runtime", "claude"]);
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            child.stdin.take().unwrap().write_all(&told).unwrap();
            child
        })
        .collect();
    let mut seen = Vec::new();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        if !output.stdout.is_empty() {
            seen.extend(messages(&text(Some(serde_json::from_slice(&output.stdout).unwrap()))));
        }
    }
    seen.sort();
    assert_eq!(seen, ["m0", "m1", "m2", "m3", "m4"]);
    assert_eq!(troubles(&place), [Value::Null; 0]);
    place.ok(&["--as", "user", "ledger", "verify"]);
}

#[test]
fn what_nobody_reads_has_failed_and_is_tried_again() {
    let place = Place::with_actors();
    start(&place);
    let seq = send(&place, "lead", &joined(&place), "look", &[]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = place.command(&["hook", "prompt", "--runtime", "claude"]);
    let mut child = command.stdin(Stdio::piped()).stdout(writer).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&told(&place, "UserPromptSubmit", &json!({}))).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(delivery(&place, &seq), "failed");
    assert_eq!(troubles(&place).len(), 1);
    assert_eq!(messages(&text(prompt(&place))), ["look"]);
    assert_eq!(delivery(&place, &seq), "accepted");
}

#[test]
fn a_hook_that_is_killed_between_claim_and_word_leaves_it_open_what_was_seen() {
    let place = Place::with_actors();
    start(&place);
    let seq = send(&place, "lead", &joined(&place), "look", &[]);
    // A pipe that is full: the hook stands in the middle of printing.
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&[b' '; 64 << 10]).unwrap();
    let mut command = place.command(&["hook", "prompt", "--runtime", "claude"]);
    let mut child = command.stdin(Stdio::piped()).stdout(writer).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&told(&place, "UserPromptSubmit", &json!({}))).unwrap();
    wait("the claim", || delivery(&place, &seq) == "claimed");
    // Meanwhile nobody else hands it over.
    assert_eq!(prompt(&place), None);
    assert_eq!(delivery(&place, &seq), "claimed");
    child.kill().unwrap();
    child.wait().unwrap();
    drop(reader);
    assert_eq!(prompt(&place), None, "it may have been seen, so it is not said again by itself");
    assert_eq!(delivery(&place, &seq), "ambiguous");
    // It is named when the session is told how it stands, and whoever asks for its inbox has it.
    let more = json!({"source": "compact"});
    let said = text(hook(&place, &["start"], &told(&place, "SessionStart", &more)));
    assert!(said.contains("or perhaps") && messages(&said) == ["look"], "{said}");
    assert_eq!(place.lines(&["inbox"])[0]["text"], "look");
    assert_eq!(delivery(&place, &seq), "accepted");
    let left = std::fs::read_dir(place.home().join("presence")).unwrap().next().unwrap().unwrap().path();
    send(&place, "lead", &joined(&place), "again", &[]);
    prompt(&place);
    assert!(std::fs::read_dir(left.join("svc.hook")).unwrap().next().is_none(), "nothing is left of it");
}
