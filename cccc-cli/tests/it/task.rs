//! Tasks and tracked messages.

use serde_json::json;

use crate::support::{Place, has};

#[test]
fn a_task_goes_its_way() {
    let place = Place::with_actors();
    let sent = place.json(&[
        "tracked-send",
        "It drops commas",
        "--to",
        "alice",
        "--title",
        "Fix the parser",
        "--outcome",
        "the tests pass",
        "--evidence",
        "commit",
    ]);
    has(&sent, &["task_id", "event_id", "seq", "recipients", "duplicate"]);
    let id = sent["task_id"].as_str().unwrap();
    let last =
        place.json(&["task", "add", "Release", "--owner", "bob", "--depends-on", id, "--item", "tag it"]);
    assert_eq!((&last["blocked"], &last["waits_for"]), (&json!(true), &json!([id])));
    let rows = place.lines(&["task", "list", "--owner", "alice"]);
    assert_eq!((rows.len(), &rows[0]["task_id"]), (1, &json!(id)));
    assert!(place.ok(&["task", "list"]).contains("blocked"));

    place.ok(&["--as", "alice", "task", "update", id, "--start", "--note", "it is the lexer"]);
    place.ok(&["--as", "alice", "task", "handoff", id, "--to", "bob"]);
    place.ok(&["--as", "bob", "task", "handoff", id, "--accept"]);
    let error = place.refused(&["--as", "bob", "task", "done", id]).to_string();
    assert!(error.contains("commit") && error.contains("--evidence"), "{error}");
    let done = place.json(&["--as", "bob", "task", "done", id, "Fixed", "--evidence", "commit:1a2b3c4"]);
    assert_eq!(done["status"], "done");
    assert_eq!(place.lines(&["obligations"])[0]["kind"], "acceptance");
    place.ok(&["task", "accept", id]);
    let shown = place.ok(&["task", "show", id]);
    for part in ["accepted", "it is the lexer", "commit 1a2b3c4", "evidence asked for: commit (all given)"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let last = last["task_id"].as_str().unwrap();
    assert_eq!(place.json(&["--as", "bob", "task", "check", last, "1"])["checklist"][0]["done"], true);
    place.ok(&["--as", "bob", "task", "decline", last, "not mine"]);
    place.ok(&["task", "reopen", last]);
    assert_eq!(place.json(&["task", "cancel", last, "no longer"])["reason"], "no longer");
}
