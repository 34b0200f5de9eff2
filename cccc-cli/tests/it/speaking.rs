//! Who is speaking.

use serde_json::json;

use crate::support::{Place, refusal};

#[test]
fn it_is_known_who_speaks_and_how() {
    let place = Place::with_actors();
    let me = place.json(&["whoami"]);
    assert_eq!(
        (&me["principal"], &me["source"], &me["role"]),
        (&json!("user"), &json!("assumed"), &json!(null))
    );
    let me = place.json(&["--as", "alice", "whoami"]);
    assert_eq!(
        (&me["principal"], &me["source"], &me["role"]),
        (&json!("alice"), &json!("flag"), &json!("peer"))
    );
    let output = place.command(&["whoami", "--json"]).env("CCCC_ACTOR_ID", "lead").output().unwrap();
    let me: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&me["principal"], &me["source"]), (&json!("lead"), &json!("environment")));
    assert!(place.ok(&["whoami"]).starts_with("user in group "));
}

#[test]
fn an_agent_is_never_taken_for_the_user() {
    let place = Place::with_actors();
    for mark in ["CLAUDECODE", "CODEX_THREAD_ID", "GEMINI_CLI"] {
        let run = |args: &[&str]| place.command(args).env(mark, "1").output().unwrap();
        let error = refusal(&run(&["send", "hi", "--to", "bob", "--json"]), &[mark]);
        assert_eq!(error["kind"], "refused");
        assert!(error["message"].as_str().unwrap().contains(mark), "{error}");
        assert!(error["hint"].as_str().unwrap().contains("--as"), "{error}");
        assert_eq!(run(&["--as", "alice", "send", "hi", "--to", "bob"]).status.code(), Some(0));
        assert_eq!(run(&["status"]).status.code(), Some(0), "looking needs no name");
        assert_eq!(run(&["use", "gnone", "--json"]).status.code(), Some(1));
    }
    assert_eq!(place.lines(&["tail", "--kind", "chat.message"]).len(), 3);
}

#[test]
fn an_unknown_speaker_is_refused_with_the_nearest_name() {
    let place = Place::with_actors();
    let error = place.refused(&["--as", "allice", "inbox"]);
    assert_eq!(error["kind"], "not_found");
    assert!(error["hint"].as_str().unwrap().contains("alice"), "{error}");
    assert_eq!(place.refused(&["--as", "Not Valid", "inbox"])["kind"], "invalid");
}

#[test]
fn only_the_user_makes_groups_and_chooses() {
    let place = Place::with_actors();
    let elsewhere = place.path().to_str().unwrap();
    assert_eq!(place.refused(&["--as", "alice", "attach", elsewhere])["kind"], "refused");
    assert_eq!(place.json(&["--as", "alice", "attach"])["created"], false);
    assert_eq!(place.refused(&["--as", "alice", "group", "create", "--title", "x"])["kind"], "refused");
    assert_eq!(place.refused(&["--as", "alice", "group", "pause"])["kind"], "refused");
}
