//! Context, agent states, reservations, votes, questions, approvals, pins and labels on the command line.

use serde_json::json;

use crate::support::{Place, has};

#[test]
fn the_context_is_set_shown_and_kept_from_blind_overwriting() {
    let place = Place::with_actors();
    assert!(place.ok(&["context", "show"]).contains("nothing is known yet"));
    let first = place.json(&["context", "set", "brief", "Ship it."])["seq"].to_string();
    place.ok(&["--as", "alice", "context", "set", "brief", "Ship it soon.", "--base", &first]);
    let refused = place.refused(&["--as", "bob", "context", "set", "brief", "Now.", "--base", &first]);
    assert_eq!(refused["kind"], "conflict");
    assert!(refused["message"].as_str().unwrap().contains("new is \"Ship it soon.\""), "{refused}");
    let version = place.json(&["context", "show", "brief"])["version"].to_string();
    let fed = place.fed(&["context", "set", "brief", "-", "--base", &version], b"From a file.\n");
    assert!(fed.status.success());
    place.ok(&["--as", "alice", "context", "decide", "tabs"]);
    let note = place.json(&["--as", "bob", "context", "note", "CI is slow"]);
    assert_eq!(place.json(&["--as", "bob", "context", "note", "CI is slow"])["changed"], false);
    place.ok(&[
        "context",
        "set",
        "services/api",
        "--kind",
        "http",
        "--address",
        "localhost:1",
        "--owner",
        "bob",
    ]);
    assert_eq!(place.refused(&["context", "set", "api", "--kind", "x", "--address", "y"])["kind"], "invalid");
    let entries = place.lines(&["context", "show"]);
    assert_eq!(entries.len(), 4);
    has(&entries[0], &["key", "version", "value", "by", "at"]);
    assert_eq!(entries[3]["value"], json!({"kind": "http", "address": "localhost:1", "owner": "bob"}));
    for part in ["From a file.", "tabs (alice", "CI is slow (bob", "http at localhost:1"] {
        assert!(place.ok(&["context", "show"]).contains(part), "{part}");
    }
    let digest = place.json(&["context", "show", "--digest", "60"]);
    assert!(digest["text"].as_str().unwrap().len() <= 60);
    let key = format!("notes/{}", note["seq"]);
    assert!(place.ok(&["context", "show", &key]).contains("by bob"));
    place.ok(&["--as", "bob", "context", "set", &key, "--remove"]);
    assert_eq!(place.refused(&["context", "show", &key])["kind"], "not_found");
    assert_eq!(place.run(&["context", "set", "brief"]).status.code(), Some(2));
}

#[test]
fn agents_say_what_they_are_doing() {
    let place = Place::with_actors();
    assert_eq!(place.lines(&["agent-state"]).len(), 0);
    place.ok(&["--as", "alice", "agent-state", "--focus", "parser", "--next", "docs", "--for", "2h"]);
    place.ok(&["agent-state", "--actor", "bob", "--blocker", "no database"]);
    let states = place.lines(&["agent-state"]);
    assert_eq!((&states[0]["focus"], &states[1]["blocker"]), (&json!("parser"), &json!("no database")));
    has(&states[0], &["actor_id", "next", "until", "stale", "version", "at"]);
    assert_eq!(place.lines(&["agent-state", "--actor", "bob"]).len(), 1);
    assert!(place.ok(&["agent-state"]).contains("parser"));
    let refused = place.refused(&["--as", "alice", "agent-state", "--actor", "bob", "--focus", "x"]);
    assert_eq!(refused["kind"], "refused");
}

#[test]
fn paths_are_reserved_and_released() {
    let place = Place::with_actors();
    let held = place.json(&["--as", "alice", "reserve", "src/**", "--for", "10m", "--purpose", "parser"]);
    let id = held["reservation_id"].as_str().unwrap();
    has(&held, &["holder", "globs", "purpose", "until", "lapsed"]);
    let refused = place.refused(&["--as", "bob", "reserve", "src/a.rs"]);
    assert_eq!(refused["kind"], "conflict");
    assert!(refused["retry_after_ms"].as_u64().unwrap() > 500_000, "{refused}");
    assert!(refused["message"].as_str().unwrap().contains("alice"), "{refused}");
    let longer = place.json(&["--as", "alice", "reserve", "--extend", id, "--for", "1h"]);
    assert!(longer["until"].as_str() > held["until"].as_str());
    assert_eq!(place.lines(&["reservations", "--path", "src/a.rs"]).len(), 1);
    assert_eq!(place.lines(&["reservations", "--path", "docs/a.md"]).len(), 0);
    assert!(place.ok(&["reservations"]).contains("parser"));
    assert_eq!(place.refused(&["--as", "bob", "release", id])["kind"], "refused");
    place.ok(&["--as", "alice", "release", id, "--reason", "done"]);
    assert_eq!(place.refused(&["--as", "alice", "release", id])["kind"], "not_found");
    assert_eq!(place.refused(&["--as", "bob", "reserve", "../x"])["kind"], "invalid");
    assert_eq!(place.run(&["--as", "bob", "reserve"]).status.code(), Some(2));
    assert!(place.ok(&["tail"]).contains("reservation.take"));
}

#[test]
fn a_vote_is_opened_cast_and_closed() {
    let place = Place::with_actors();
    let vote = place.json(&["--as", "alice", "vote", "open", "release bob", "--for", "30m"]);
    let id = vote["vote_id"].as_str().unwrap();
    has(&vote, &["subject", "release", "opener", "voices", "threshold", "ends_at", "standing", "reason"]);
    assert_eq!(place.json(&["--as", "lead", "obligations", "--mine"])["kind"], "vote");
    assert!(place.ok(&["vote", "list"]).contains("release bob"));
    assert_eq!(place.refused(&["--as", "bob", "vote", "cast", id, "no"])["kind"], "refused");
    place.ok(&["--as", "alice", "vote", "cast", id, "yes"]);
    let decided = place.json(&["--as", "lead", "vote", "cast", id, "yes", "--reason", "silent"]);
    assert_eq!(decided["standing"], "accepted");
    assert!(place.ok(&["vote", "show", id]).contains("bob is released"));
    assert_eq!(place.lines(&["who"]).len(), 2);
    assert_eq!(place.lines(&["vote", "list"]).len(), 0);
    let other = place.json(&["vote", "open", "Now?", "--voter", "lead", "--voter", "alice"]);
    let other = other["vote_id"].as_str().unwrap();
    place.ok(&["vote", "close", other, "--reason", "never mind"]);
    assert!(place.ok(&["vote", "show", other]).contains("cancelled: never mind"));
    assert_eq!(place.refused(&["vote", "show", "v1"])["kind"], "invalid");
    assert_eq!(place.run(&["vote", "cast", id, "maybe"]).status.code(), Some(2));
}

#[test]
fn a_question_is_shown_with_its_options_and_answered() {
    let place = Place::with_actors();
    let ask = [
        "--as", "alice", "send", "Deploy?", "--to", "user", "--to", "bob", "--option", "yes", "--option",
        "no",
    ];
    let asked = place.json(&ask)["seq"].to_string();
    let inbox = place.ok(&["--as", "bob", "inbox"]);
    assert!(
        inbox.contains("options: 1 yes, 2 no") && inbox.contains(&format!("cccc answer {asked} OPTION")),
        "{inbox}"
    );
    let listed = place.lines(&["question", "list"]);
    has(
        &listed[0],
        &["event_id", "seq", "asker", "text", "options", "asked", "waiting", "standing", "reason"],
    );
    assert!(place.ok(&["question", "list"]).contains("yes | no"));
    assert!(place.ok(&["question", "show", &asked]).contains("open, waits for user, bob"));
    assert_eq!(place.refused(&["question", "close", &asked])["kind"], "refused");
    place.ok(&["answer", &asked, "1"]);
    let refused = place.refused(&["--as", "bob", "answer", &asked, "no"]);
    assert!(refused["message"].as_str().unwrap().starts_with("user answered question"), "{refused}");
    assert!(place.ok(&["question", "show", &asked]).contains("    1 yes <-"));
    assert!(place.ok(&["tail"]).contains("[chooses yes]"));
    assert_eq!(place.ok(&["question", "list"]).trim(), "no question is open");
    let answer = place.json(&["--as", "alice", "inbox"]);
    assert_eq!((&answer["choice"], &answer["text"]), (&json!("yes"), &json!("yes")));
}

#[test]
fn a_request_for_approval_is_decided_once() {
    let place = Place::with_actors();
    let ask = ["--as", "alice", "approval", "open", "Run it", "--tool", "Bash", "--input", "-"];
    let asked = place.fed(&ask, b"make all\n");
    assert!(asked.status.success(), "{asked:?}");
    let request = place.json(&["approval", "list"]);
    has(
        &request,
        &["approval_id", "requester", "subject", "tool", "input", "deciders", "ends_at", "standing"],
    );
    let id = request["approval_id"].as_str().unwrap();
    assert_eq!(place.json(&["obligations", "--mine"])["kind"], "approval");
    let shown = place.ok(&["approval", "show", id]);
    assert!(shown.contains("open, ends in") && shown.contains("    make all"), "{shown}");
    assert_eq!(place.refused(&["--as", "lead", "approval", "allow", id])["kind"], "refused");
    assert!(place.ok(&["approval", "deny", id, "--reason", "no"]).contains("denied by user"));
    assert_eq!(place.refused(&["approval", "allow", id])["kind"], "conflict");
    assert!(place.ok(&["--as", "alice", "inbox"]).contains(&format!("cccc approval show {id}")));
    assert_eq!(place.ok(&["approval", "list"]).trim(), "nothing is asked for");
    assert!(place.ok(&["approval", "list", "--all"]).contains("denied by user"));
    place.ok(&["group", "update", "--set", "approval.foreman=true"]);
    let other = place.json(&["--as", "alice", "approval", "open", "Run that", "--for", "1h"]);
    let other = other["approval_id"].as_str().unwrap();
    assert!(place.ok(&["--as", "lead", "approval", "allow", other]).contains("allowed by lead"));
}

#[test]
fn messages_are_pinned_and_listed() {
    let place = Place::with_actors();
    let plan = place.json(&["send", "The plan", "--to", "@all"])["seq"].to_string();
    assert_eq!(place.ok(&["pins"]).trim(), "nothing is pinned");
    place.ok(&["--as", "alice", "pin", &plan, "what we do"]);
    assert!(place.ok(&["--as", "bob", "pin", &plan]).contains("already"));
    has(&place.json(&["pins"]), &["event_id", "seq", "by", "text", "pinned_by", "pinned_at", "note"]);
    assert!(place.ok(&["pins"]).contains("what we do"));
    assert_eq!(place.refused(&["--as", "bob", "unpin", &plan])["kind"], "refused");
    place.ok(&["unpin", &plan, "--reason", "done"]);
    assert_eq!(place.lines(&["pins"]).len(), 0);
}

#[test]
fn labels_are_taken_dropped_and_counted() {
    let place = Place::with_actors();
    place.ok(&["--as", "bob", "label", "add", "#docs", "reviewer"]);
    place.ok(&["label", "add", "docs", "--actor", "lead"]);
    place.ok(&["--as", "bob", "label", "remove", "reviewer"]);
    let labels = place.lines(&["label", "list"]);
    assert_eq!(labels[0], json!({"label": "docs", "count": 2, "actors": ["bob", "lead"]}));
    assert_eq!(labels[1], json!({"label": "reviewer", "count": 1, "actors": ["alice"]}));
    assert!(place.ok(&["label", "list"]).contains("#docs"));
    assert_eq!(place.json(&["send", "hi", "--to", "#docs"])["recipients"], json!(["bob", "lead"]));
    assert_eq!(place.refused(&["label", "add", "x"])["kind"], "invalid");
    assert_eq!(place.refused(&["--as", "bob", "label", "add", "x", "--actor", "lead"])["kind"], "refused");
}
