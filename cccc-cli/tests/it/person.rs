//! People beside the user, and that no agent is taken for one.

use serde_json::json;

use crate::support::{Place, refusal};

#[test]
fn people_are_added_listed_spoken_for_and_removed() {
    let place = Place::with_actors();
    assert!(place.ok(&["person", "list"]).contains("nobody beside the user"));
    let bea = place.json(&["person", "add", "bea", "--title", "Bea, product"]);
    assert_eq!(bea, json!({"principal": "user:bea", "title": "Bea, product", "unread": 0, "owed": 0}));
    assert_eq!(place.refused(&["--as", "lead", "person", "add", "cal"])["kind"], "refused");
    let sent = place.json(&["--as", "alice", "send", "Which colour?", "--to", "@users", "--to", "user:bea"]);
    assert_eq!(sent["recipients"], json!(["user", "user:bea"]));
    let me = place.json(&["--as", "user:bea", "whoami"]);
    assert_eq!((&me["principal"], &me["role"]), (&json!("user:bea"), &json!(null)));
    let mail = place.lines(&["--as", "user:bea", "inbox"]);
    assert_eq!(mail[0]["text"], "Which colour?");
    let seq = sent["seq"].to_string();
    place.ok(&["--as", "user:bea", "reply", &seq, "Blue"]);
    assert!(place.ok(&["receipts", &seq]).contains("user:bea"));
    for shows in ["who", "status", "person list"] {
        let shown = place.ok(&shows.split(' ').collect::<Vec<_>>());
        assert!(shown.contains("user:bea") && shown.contains("Bea, product"), "{shows}: {shown}");
    }
    assert_eq!(place.json(&["status"])["people"][0]["principal"], "user:bea");
    for owners in [
        &["group", "create", "--title", "x"][..],
        &["use", "gnone"],
        &["group", "pause"],
        &["actor", "remove", "alice"],
        &["redact", &seq],
    ] {
        let error = place.refused(&[&["--as", "user:bea"], owners].concat());
        assert_eq!(error["kind"], "refused", "{owners:?}: {error}");
    }
    assert_eq!(place.refused(&["--as", "user:bae", "inbox"])["hint"], "did you mean user:bea?");
    place.ok(&["person", "remove", "bea", "--successor", "user", "--reason", "moved on"]);
    assert_eq!(place.refused(&["--as", "user:bea", "inbox"])["kind"], "not_found");
}

#[test]
fn an_agent_in_a_persons_environment_is_not_that_person() {
    let place = Place::with_actors();
    place.ok(&["person", "add", "bea"]);
    let run = |mark: Option<&str>, arguments: &[&str]| {
        let mut command = place.command(arguments);
        command.env("CCCC_ACTOR_ID", "user:bea");
        if let Some(mark) = mark {
            command.env(mark, "1");
        }
        command.output().unwrap()
    };
    let hi = ["send", "hi", "--to", "bob", "--json"];
    assert_eq!(run(None, &hi).status.code(), Some(0), "the person at their terminal");
    let error = refusal(&run(Some("CLAUDECODE"), &hi), &["an agent"]);
    assert_eq!(error["kind"], "refused");
    assert!(error["message"].as_str().unwrap().contains("not user:bea"), "{error}");
    assert_eq!(
        run(Some("CLAUDECODE"), &["--as", "alice", "send", "hi", "--to", "bob"]).status.code(),
        Some(0)
    );
    // Nor does it join as one: it is whoever it says, or somebody new.
    let joined = run(Some("CLAUDECODE"), &["join", "--json"]);
    let joined: serde_json::Value = serde_json::from_slice(&joined.stdout).unwrap();
    assert_ne!(joined["actor_id"], "user:bea");
    // What it does from then on is done by that actor.
    let by: Vec<String> = place
        .lines(&["tail", "--kind", "chat.message"])
        .iter()
        .map(|event| event["by"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(by, ["user:bea", "alice"]);
}
