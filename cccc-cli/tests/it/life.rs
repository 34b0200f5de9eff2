//! Leaving, notices, policies and what is waited for, on the command line.

use serde_json::json;

use crate::support::{Place, has};

#[test]
fn what_an_actor_leaves_is_shown() {
    let place = Place::with_actors();
    let sent = place.json(&["--as", "lead", "send", "Look", "--to", "alice", "--reply-required"]);
    let seq = sent["seq"].to_string();
    place.ok(&["actor", "remove", "alice", "--successor", "bob", "--reason", "holidays"]);
    assert!(place.ok(&["receipts", &seq]).contains("moved to bob"));
    assert_eq!(place.lines(&["receipts", &seq])[0]["moved_to"], "bob");
    assert_eq!(place.lines(&["--as", "bob", "inbox"])[0]["text"], "Look");
    assert!(place.ok(&["tail"]).contains(&format!("chat.move: {seq} from alice to bob")));
    place.ok(&["actor", "remove", "bob"]);
    let told = place.lines(&["--as", "lead", "notices"]);
    assert_eq!((told.len(), &told[0]["notice"]), (1, &json!("returned")));
    has(&told[0], &["seq", "ts", "notice", "level", "related", "words"]);
    assert!(place.lines(&["--as", "lead", "notices"]).is_empty());
}

#[test]
fn notices_come_after_the_messages_and_once() {
    let place = Place::with_actors();
    let vote = place.json(&["--as", "lead", "vote", "open", "Merge now?"])["vote_id"].clone();
    let vote = vote.as_str().unwrap();
    assert_eq!(place.lines(&["--as", "alice", "inbox"]).len(), 0);
    let text = place.ok(&["--as", "alice", "inbox"]);
    assert!(text.contains("nothing unread") && text.contains(&format!("cccc vote show {vote}")), "{text}");
    assert!(!place.ok(&["--as", "alice", "inbox"]).contains("vote"));
    for by in ["alice", "bob"] {
        place.ok(&["--as", by, "vote", "cast", vote, "yes"]);
    }
    assert_eq!(place.lines(&["vote", "list"]).len(), 0);
    let all = place.lines(&["vote", "list", "--all"]);
    assert_eq!((all.len(), &all[0]["standing"]), (1, &json!("accepted")));
    assert!(place.ok(&["--as", "lead", "notices", "--peek"]).contains("is over"));
}

#[test]
fn policies_are_shown_set_and_carried_out() {
    let place = Place::with_actors();
    let of = |name: &str| place.lines(&["policy", "show"]).into_iter().find(|p| p["policy"] == name).unwrap();
    assert_eq!(of("unread")["after_ms"], 900_000);
    place.ok(&["policy", "set", "unread", "off"]);
    assert!(of("unread").get("after_ms").is_none() && of("unread")["default_ms"] == 900_000);
    assert!(place.ok(&["policy", "show"]).contains("off"));
    place.ok(&["policy", "set", "unread", "1ms"]);
    assert_eq!(place.refused(&["policy", "set", "unred", "1m"])["kind"], "invalid");
    assert_eq!(place.refused(&["--as", "alice", "policy", "set", "unread", "1m"])["kind"], "refused");
    assert_eq!(place.run(&["policy", "set", "unread", "soon"]).status.code(), Some(2));
    place.ok(&["--as", "lead", "send", "Look", "--to", "alice"]);
    assert_eq!(place.refused(&["--as", "lead", "policy", "run"])["kind"], "refused");
    let done = place.lines(&["policy", "run"]);
    assert_eq!((done.len(), &done[0]["policy"]), (1, &json!("unread")));
    assert_eq!(place.ok(&["policy", "run"]), "nothing was due\n");
    assert!(place.ok(&["--as", "alice", "notices"]).contains("messages wait for you"));
}

#[test]
fn who_waits_for_a_reservation_says_so() {
    let place = Place::with_actors();
    let reserved = place.json(&["--as", "bob", "reserve", "src/**", "--for", "1h"]);
    let id = reserved["reservation_id"].as_str().unwrap();
    let conflict = place.refused(&["--as", "alice", "reserve", "src/main.rs"]);
    assert!(conflict["message"].as_str().unwrap().contains("bob has reserved"), "{conflict}");
    place.ok(&["--as", "alice", "agent-state", "--waiting-for", id]);
    let state = place.lines(&["agent-state", "--actor", "alice"]).remove(0);
    assert_eq!(state["waiting_for"], json!({"reservation": id}));
    assert!(place.ok(&["agent-state"]).contains(id));
    let waits = place.json(&["waits"])["waits"][0].clone();
    assert_eq!(
        (&waits["waiter"], &waits["on"], &waits["kind"]),
        (&json!("alice"), &json!("bob"), &json!("reservation"))
    );
    place.ok(&["--as", "bob", "release", id]);
    assert_eq!(place.ok(&["waits"]), "nobody waits\n");
    place.ok(&["--as", "alice", "agent-state", "--focus", "the lexer"]);
    assert!(place.ok(&["who"]).contains("the lexer"));
    let alice = place.lines(&["who"]).into_iter().find(|member| member["actor_id"] == "alice").unwrap();
    assert_eq!(alice["summary"], "the lexer");
}

#[test]
fn steps_and_evidence_of_a_task() {
    let place = Place::with_actors();
    let add = [
        "--as",
        "lead",
        "task",
        "add",
        "Fix it",
        "--owner",
        "alice",
        "--item",
        "lexer",
        "--evidence",
        "commit",
    ];
    let id = place.json(&add)["task_id"].clone();
    let id = id.as_str().unwrap();
    let done = ["--as", "alice", "task", "done", id, "--evidence", "commit:1a2b3c4"];
    assert!(place.refused(&done)["message"].as_str().unwrap().contains("1. lexer"));
    let shown = place.json(&[&done[..], &["--all-steps"]].concat());
    assert_eq!((&shown["status"], &shown["checklist"][0]["done"]), (&json!("done"), &json!(true)));
    let evidence = shown["evidence"][0]["seq"].to_string();
    let due = place.json(&["policy", "due"]);
    assert_eq!(
        due["checks"],
        json!([{"task_id": id, "evidence": shown["evidence"][0]["seq"], "kind": "commit"}])
    );
    assert!(place.ok(&["policy", "due"]).contains(&format!("cccc task verify {id} {evidence}")));
    assert_eq!(place.refused(&["--as", "lead", "task", "verify", id, &evidence])["kind"], "refused");
    let shown = place.json(&["task", "verify", id, &evidence, "--fails", "--found", "no such commit"]);
    assert_eq!((&shown["evidence"][0]["holds"], &shown["missing"]), (&json!(false), &json!(["commit"])));
    assert!(place.ok(&["task", "show", id]).contains("does NOT hold no such commit"));
}
