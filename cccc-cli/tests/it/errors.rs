//! Refusals, mistakes and exit codes.

use serde_json::Value;

use crate::support::Place;

#[test]
fn a_refusal_names_the_nearest_and_the_next_step() {
    let place = Place::with_actors();
    let error = place.refused(&["send", "hi", "--to", "allice"]);
    assert_eq!(error["kind"], "not_found");
    assert!(error["hint"].as_str().unwrap().contains("alice"), "{error}");
    let output = place.run(&["send", "hi", "--to", "allice"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("error: ") && text.contains("hint: did you mean alice"), "{text}");
    for (args, kind) in [
        (&["send", "hi", "--to", "###"][..], "invalid"),
        (&["send", ""], "invalid"),
        (&["show", "9999"], "not_found"),
        (&["show", "0x5"], "invalid"),
        (&["receipts", "1"], "invalid"),
        (&["reply", "9999", "hi"], "not_found"),
        (&["send", "hi", "--to", "bob", "--file", "none.txt"], "not_found"),
        (&["--group", "gnone", "status"], "not_found"),
        (&["--group", "../x", "status"], "not_found"),
        (&["ledger", "verify", "--expect", "12"], "invalid"),
    ] {
        let error = place.refused(args);
        assert_eq!(error["kind"], kind, "{args:?}: {error}");
    }
}

#[test]
fn where_there_is_no_group_the_next_command_is_named() {
    let place = Place::bare();
    let error = place.refused(&["status"]);
    assert_eq!(error["kind"], "not_found");
    assert!(error["hint"].as_str().unwrap().contains("cccc attach"), "{error}");
    place.ok(&["attach"]);
    let error = place.refused(&["send", "hi"]);
    assert!(error["hint"].as_str().unwrap().contains("actor add"), "{error}");
}

#[test]
fn wrong_usage_is_told_from_refusal() {
    let place = Place::bare();
    for args in [
        &["sned", "hi"][..],
        &["send"],
        &["send", "hi", "--reply-within", "soon"],
        &["send", "hi", "--low", "--attention"],
        &["inbox", "--limit", "0"],
        &["obligations", "--mine", "--all"],
    ] {
        let output = place.run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let output = place.run(&[args, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let line: Value = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!(line["error"]["kind"], "invalid", "{line}");
        assert!(output.stdout.is_empty());
    }
    let output = place.run(&["sned", "hi"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("send"), "it says what was meant");
    assert_eq!(place.run(&["--version"]).status.code(), Some(0));
    assert!(!place.home().exists(), "wrong usage makes no home");
}
